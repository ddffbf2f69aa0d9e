/* SPDX-License-Identifier: Apache-2.0 */
/* recordings.ls, recording.read: asked of the recorder, which alone sees the files. Content stays sealed. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

#define RECORDER_TIMEOUT_MS 5000

static struct call_options ask_recorder(
    struct request *request, uint16_t type, uint16_t reply_type, call_done done)
{
	return (struct call_options){.peer = &request->control->peers.recorder,
	    .type = type,
	    .reply_type = reply_type,
	    .timeout_ms = RECORDER_TIMEOUT_MS,
	    .fd = -1,
	    .done = done,
	    .argument = request};
}

/* True: the request is answered. */
static bool recorder_failed(struct request *request, int error, struct wire_span text)
{
	if (error != 0)
		request_fail(request, SERVER_UNAVAILABLE,
		    "the recorder (reeve-recorder) does not answer; try again in a moment");
	else if (text.len > 0)
		request_fail(request, SERVER_NOT_FOUND, "%.*s", (int)(text.len > 400 ? 400 : text.len),
		    (const char *)text.at);
	return error != 0 || text.len > 0;
}

/* -- recordings.ls ----------------------------------------------------------------------------------------
 */

static void listed(void *context, void *argument, int error, struct wire_span body)
{
	struct request *request = argument;
	struct rpc_rec_list_reply reply = {0};

	(void)context;
	if (error == 0 && !rpc_get_rec_list_reply(body, &reply))
		error = -1;
	if (recorder_failed(request, error, reply.error))
		return;
	json_t *rows = json_loadb((const char *)reply.rows.at, reply.rows.len, 0, NULL);
	if (!json_is_array(rows)) {
		json_decref(rows);
		request_fail(request, SERVER_UNAVAILABLE, "the recorder's answer makes no sense");
		return;
	}
	request_result(request, json_pack("{s:o, s:b}", "recordings", rows, "more", reply.more != 0));
}

static void recordings_ls(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"session", "program", "user", "after", "limit", "offset", NULL};
	static const char *const texts[] = {"session", "program", "user"};
	char full[SESSION_ID_SIZE];
	int64_t after = -1, limit = 100, offset = 0;
	json_t *filter = json_object();
	bool good = params_only(request, params, keys);

	for (size_t i = 0; good && i < 3; i++) {
		const char *value = NULL;
		good = params_string(request, params, texts[i], false, &value);
		/* The recorder knows whole ids only; a prefix is looked up here. */
		if (value != NULL && i == 0 &&
		    history_find_session(request->control, value, full) == HISTORY_ONE)
			value = full;
		if (value != NULL && i == 1 &&
		    history_find_program(request->control, value, full) == HISTORY_ONE)
			value = full;
		if (value != NULL)
			json_object_set_new(filter, texts[i], json_string(value));
	}
	good = good && params_integer(request, params, "after", false, 0, INT64_MAX, &after) &&
	       params_integer(request, params, "limit", false, 1, 1000, &limit) &&
	       params_integer(request, params, "offset", false, 0, INT32_MAX, &offset);
	if (good) {
		if (after >= 0)
			json_object_set_new(filter, "after", json_integer(after));
		json_object_set_new(filter, "limit", json_integer(limit));
		char *text = json_dumps(filter, JSON_COMPACT);
		struct call_options options = ask_recorder(request, RPC_REC_LIST, RPC_REC_LIST_REPLY, listed);
		CALL(&options, rec_list, .filter = wire_span_of(text == NULL ? "{}" : text),
		    .offset = (uint32_t)offset);
		free(text);
	}
	json_decref(filter);
}

/* -- recording.read ---------------------------------------------------------------------------------------
 */

static void read_done(void *context, void *argument, int error, struct wire_span body)
{
	struct request *request = argument;
	struct rpc_rec_read_reply reply = {0};

	(void)context;
	if (error == 0 && !rpc_get_rec_read_reply(body, &reply))
		error = -1;
	if (recorder_failed(request, error, reply.error))
		return;
	size_t room = sodium_base64_encoded_len(reply.data.len, sodium_base64_VARIANT_ORIGINAL);
	char *text = malloc(room);
	json_t *result = NULL;
	if (text != NULL) {
		sodium_bin2base64(text, room, reply.data.at, reply.data.len, sodium_base64_VARIANT_ORIGINAL);
		result = json_pack("{s:s, s:I}", "data", text, "size", (json_int_t)reply.size);
	}
	free(text);
	request_result(request, result);
}

/* That somebody looks at a recording is an event; once a recording and client, not once a page. */
static void audit_access(struct request *request, const char *program)
{
	struct client *client = server_client(&request->control->server, request->client);

	if (client == NULL || strcmp(client->last_program, program) == 0)
		return;
	snprintf(client->last_program, sizeof(client->last_program), "%s", program);
	request_audit(request, "session.recording.access", json_pack("{s:s}", "program_id", program));
}

/* "program" names a program, or a session whose number'th program is meant. False: answered. */
static bool which_program(struct request *request, const char *name, int64_t number, char id[SESSION_ID_SIZE])
{
	char session[SESSION_ID_SIZE];
	struct control *control = request->control;
	enum history_match match = number > 0 ? history_find_session(control, name, session)
	                                      : history_find_program(control, name, id);

	if (match == HISTORY_SEVERAL) {
		request_fail(
		    request, SERVER_BAD_INPUT, "'%.40s' fits more than one; give more of the id", name);
		return false;
	}
	if (number > 0) {
		if (match == HISTORY_ONE && history_program_number(control, session, number, id))
			return true;
		request_fail(request, SERVER_NOT_FOUND, "there is no session '%.40s' with a program %lld",
		    name, (long long)number);
		return false;
	}
	/* The recorder may know what this database has forgotten; it then needs the whole id. */
	if (match == HISTORY_NONE && strlen(name) == 36 && strspn(name, "0123456789abcdef-") == 36) {
		snprintf(id, SESSION_ID_SIZE, "%s", name);
		match = HISTORY_ONE;
	}
	if (match == HISTORY_NONE)
		request_fail(request, SERVER_NOT_FOUND,
		    "there is no program '%.40s' (a full id, or at least its first %d characters)", name,
		    SESSION_ID_PREFIX_MIN);
	return match == HISTORY_ONE;
}

static void recording_read(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"program", "number", "offset", "length", NULL};
	char id[SESSION_ID_SIZE];
	const char *name = NULL;
	int64_t number = 0, offset = 0, length = RPC_READ_MAX;

	if (!params_only(request, params, keys) || !params_string(request, params, "program", true, &name) ||
	    !params_integer(request, params, "number", false, 1, INT32_MAX, &number) ||
	    !params_integer(request, params, "offset", false, 0, INT64_MAX, &offset) ||
	    !params_integer(request, params, "length", false, 1, RPC_READ_MAX, &length) ||
	    !which_program(request, name, number, id))
		return;
	audit_access(request, id);
	struct call_options options = ask_recorder(request, RPC_REC_READ, RPC_REC_READ_REPLY, read_done);
	CALL(&options, rec_read, .program_id = wire_span_of(id), .offset = (uint64_t)offset,
	    .length = (uint32_t)length);
}

const struct method recording_methods[] = {
    {"recordings.ls", ROLE_AUDITOR, recordings_ls},
    {"recording.read", ROLE_AUDITOR, recording_read},
    {NULL, ROLE_NONE, NULL},
};
