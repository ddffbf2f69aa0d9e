/* SPDX-License-Identifier: Apache-2.0 */
/* sessions.ls, session.show, session.kill */
#include <stdio.h>
#include <string.h>

#include "control/control.h"

#define SESSIONS_LISTED 1000 /* where no limit is asked for */

static void sessions_ls(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"live", "limit", "offset", NULL};
	bool live = false;
	int64_t limit = SESSIONS_LISTED, offset = 0;

	if (params_only(request, params, keys) && params_bool(request, params, "live", &live) &&
	    params_integer(request, params, "limit", false, 1, 100000, &limit) &&
	    params_integer(request, params, "offset", false, 0, INT64_MAX, &offset))
		request_result(request,
		    json_pack("{s:o}", "sessions", history_list(request->control, live, limit, offset)));
}

/* The session that `id` (perhaps a prefix) names. False: the request is answered. */
static bool find(struct request *request, const char *id, char full[SESSION_ID_SIZE])
{
	switch (history_find_session(request->control, id, full)) {
	case HISTORY_ONE:
		return true;
	case HISTORY_SEVERAL:
		request_fail(
		    request, SERVER_BAD_INPUT, "'%.40s' fits more than one session; give more of the id", id);
		return false;
	case HISTORY_NONE:
		break;
	}
	request_fail(request, SERVER_NOT_FOUND,
	    "there is no session '%.40s' (a full id, or at least its first %d characters)", id,
	    SESSION_ID_PREFIX_MIN);
	return false;
}

static void session_show(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"id", NULL};
	char full[SESSION_ID_SIZE];
	const char *id = NULL;

	if (params_only(request, params, keys) && params_string(request, params, "id", true, &id) &&
	    find(request, id, full))
		request_result(request, history_show(request->control, full));
}

/* The reason reaches the client's terminal: no control characters. */
static void clean(const char *reason, char text[200])
{
	size_t len = 0;

	for (; *reason != '\0' && len + 1 < 200; reason++)
		text[len++] = (unsigned char)*reason < 0x20 || *reason == 0x7f ? ' ' : *reason;
	text[len] = '\0';
}

static void session_kill_method(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"id", "reason", NULL};
	struct control *control = request->control;
	char full[SESSION_ID_SIZE], text[200];
	const char *id = NULL, *reason = "ended by an administrator";

	if (!params_only(request, params, keys) || !params_string(request, params, "id", true, &id) ||
	    !params_string(request, params, "reason", false, &reason) || !find(request, id, full))
		return;
	struct session *session = control->sessions.first;
	while (session != NULL && strcmp(session->session_id, full) != 0)
		session = session->next;
	if (session == NULL) {
		request_fail(request, SERVER_NOT_FOUND, "session %s is not live", full);
		return;
	}
	clean(reason, text);
	if (!session_kill(control, session, text)) {
		request_fail(request, SERVER_UNAVAILABLE, "the worker of session %s is not reachable", full);
		return;
	}
	session_event(control, session, "session.kill",
	    json_pack("{s:s, s:I}", "reason", text, "client_uid", (json_int_t)request->uid));
	request_result(request, json_object());
}

const struct method session_methods[] = {
    {"sessions.ls", ROLE_AUDITOR, sessions_ls},
    {"session.show", ROLE_AUDITOR, session_show},
    {"session.kill", ROLE_ADMIN, session_kill_method},
    {NULL, ROLE_NONE, NULL},
};
