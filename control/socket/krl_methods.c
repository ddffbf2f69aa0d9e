/* SPDX-License-Identifier: Apache-2.0 */
/* krl.load, krl.show, krl.clear */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"

/* Ends the live sessions whose key or certificate is revoked now. Returns how many. */
static int kill_revoked(struct control *control)
{
	char why[320];
	int killed = 0;

	for (struct session *session = control->sessions.first; session != NULL; session = session->next)
		if (session->came_with_len > 0 &&
		    !revocations_check(&control->revocations,
		        (struct wire_span){session->came_with, session->came_with_len}, why, sizeof(why)) &&
		    session_kill(
		        control, session, "portreeve: the key or certificate of this session is revoked"))
			killed++;
	return killed;
}

static json_t *krl_json(const struct revocations *revocations)
{
	const struct krl *krl = &revocations->krl;

	return json_pack("{s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "version", (json_int_t)krl->version,
	    "generated_at", (json_int_t)krl->generated, "loaded_at", (json_int_t)revocations->loaded_at,
	    "comment", krl->comment, "bytes", (json_int_t)krl->bytes.len, "keys", (json_int_t)krl->keys,
	    "fingerprints", (json_int_t)krl->fingerprints, "serials",
	    (json_int_t)(krl->serials > INT64_MAX ? INT64_MAX : krl->serials), "key_ids",
	    (json_int_t)krl->key_ids);
}

static void put_in_force(struct request *request, struct wire_span bytes, bool kill)
{
	struct control *control = request->control;
	const char *wrong = revocations_load(&control->revocations, &control->db, bytes, (int64_t)time(NULL));

	if (wrong != NULL) {
		request_fail(
		    request, SERVER_BAD_INPUT, "the revocation list %s; what was in force stays so", wrong);
		return;
	}
	json_t *result = krl_json(&control->revocations);
	request_audit(request, "krl.load", json_deep_copy(result));
	(void)json_object_set_new(result, "killed", json_integer(kill ? kill_revoked(control) : 0));
	request_result(request, result);
}

static void krl_load(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"krl", "kill", NULL};
	const char *text = NULL;
	bool kill = false;
	size_t len = 0;

	if (!params_only(request, params, keys) || !params_string(request, params, "krl", true, &text) ||
	    !params_bool(request, params, "kill", &kill))
		return;
	size_t room = strlen(text) / 4 * 3 + 3;
	uint8_t *bytes = malloc(room);
	if (bytes == NULL)
		request_fail(request, JSONRPC_INTERNAL, "out of memory");
	else if (sodium_base642bin(
	             bytes, room, text, strlen(text), NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		request_fail(request, SERVER_BAD_INPUT, "'krl' is not base64");
	else
		put_in_force(request, (struct wire_span){bytes, len}, kill);
	free(bytes);
}

static void krl_show(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};
	const struct revocations *revocations = &request->control->revocations;

	if (!params_only(request, params, keys))
		return;
	switch (revocations->state) {
	case REVOCATIONS_NONE:
		request_fail(
		    request, SERVER_NOT_FOUND, "no revocation list is in force; reeve krl load FILE");
		return;
	case REVOCATIONS_DAMAGED:
		request_fail(request, SERVER_UNAVAILABLE,
		    "the revocation list in control.db is damaged: no key or certificate is accepted until "
		    "another one "
		    "is loaded or it is cleared");
		return;
	case REVOCATIONS_GOOD:
		request_result(request, krl_json(revocations));
		return;
	}
}

static void krl_clear(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};
	struct control *control = request->control;

	if (!params_only(request, params, keys))
		return;
	if (control->revocations.state == REVOCATIONS_NONE) {
		request_fail(request, SERVER_NOT_FOUND, "no revocation list is in force");
	} else if (!revocations_clear(&control->revocations, &control->db)) {
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
	} else {
		request_audit(request, "krl.clear", NULL);
		request_result(request, json_object());
	}
}

const struct method krl_methods[] = {
    {"krl.load", ROLE_ADMIN, krl_load},
    {"krl.show", ROLE_ADMIN, krl_show},
    {"krl.clear", ROLE_ADMIN, krl_clear},
    {NULL, ROLE_NONE, NULL},
};
