/* SPDX-License-Identifier: Apache-2.0 */
/* host_key.*: the host keys that clients are shown, their seed, and who certifies them. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "control/identity/host_keys.h"

/* -- the seed -- */

struct seed_call {
	struct request *request;
	uint8_t action;
};

static json_t *seed_json(struct wire_span seed)
{
	char hex[2 * 32 + 1];

	if (seed.len == 0 || seed.len > 32)
		return json_null();
	sodium_bin2hex(hex, sizeof(hex), seed.at, seed.len);
	return json_string(hex);
}

static void seed_answered(void *context, void *argument, int error, struct wire_span body)
{
	static const char *const events[] = {[RPC_HOST_SEED_ROTATE] = "host_key.rotate",
	    [RPC_HOST_SEED_COMMIT] = "host_key.commit",
	    [RPC_HOST_SEED_ABANDON] = "host_key.abandon"};
	struct control *control = context;
	struct seed_call call = *(struct seed_call *)argument;
	struct rpc_key_host_seed_reply reply;

	free(argument);
	if (keeper_failed(call.request, error))
		return;
	if (!rpc_get_key_host_seed_reply(body, &reply) || reply.current.len != sizeof(control->host_seed)) {
		request_fail(call.request, JSONRPC_INTERNAL, "the keeper's answer cannot be read");
		return;
	}
	if (reply.error.len > 0) {
		request_fail(call.request, SERVER_CONFLICT, "%.*s", (int)reply.error.len,
		    (const char *)reply.error.at);
		return;
	}
	/* Live sessions may still need the one before; nobody needs what was before that. */
	if (call.action == RPC_HOST_SEED_COMMIT && control->host_seed_known)
		host_keys_forget_others(&control->db, reply.current,
		    (struct wire_span){control->host_seed, sizeof(control->host_seed)});
	memcpy(control->host_seed, reply.current.at, sizeof(control->host_seed));
	control->host_seed_known = true;
	session_next_seed_is(control, reply.next);
	if (call.action != RPC_HOST_SEED_SHOW)
		request_audit(call.request, events[call.action], json_object());
	request_result(call.request,
	    json_pack("{s:o, s:o}", "current", seed_json(reply.current), "next", seed_json(reply.next)));
}

static void seed_method(struct request *request, const json_t *params, uint8_t action)
{
	static const char *const keys[] = {NULL};

	if (!params_only(request, params, keys))
		return;
	struct seed_call *call = malloc(sizeof(*call));
	if (call == NULL) {
		request_fail(request, JSONRPC_INTERNAL, "out of memory");
		return;
	}
	*call = (struct seed_call){request, action};
	struct call_options options =
	    ask_keeper(request, RPC_KEY_HOST_SEED, RPC_KEY_HOST_SEED_REPLY, seed_answered);
	options.argument = call;
	CALL(&options, key_host_seed, .action = action);
}

static void seed_show(struct request *request, const json_t *params)
{
	seed_method(request, params, RPC_HOST_SEED_SHOW);
}

static void seed_rotate(struct request *request, const json_t *params)
{
	seed_method(request, params, RPC_HOST_SEED_ROTATE);
}

static void seed_commit(struct request *request, const json_t *params)
{
	seed_method(request, params, RPC_HOST_SEED_COMMIT);
}

static void seed_abandon(struct request *request, const json_t *params)
{
	seed_method(request, params, RPC_HOST_SEED_ABANDON);
}

/* -- one key -- */

struct key_call {
	struct request *request;
	char target_id[PUBLIC_KEY_FINGERPRINT_SIZE];
	char type[HOST_KEYS_TYPE_SIZE];
};

static void answer_key(struct request *request, struct wire_span blob)
{
	char *line = public_key_line_print(blob, "");

	request_result(request, line == NULL ? NULL : json_pack("{s:s}", "public_key", line));
	free(line);
}

static void key_answered(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct key_call *call = argument;
	struct request *request = call->request;
	struct rpc_key_host_reply reply;

	if (!keeper_failed(request, error)) {
		if (!rpc_get_key_host_reply(body, &reply) || reply.error.len > 0) {
			request_fail(request, SERVER_NOT_FOUND, "%.*s", (int)reply.error.len,
			    reply.error.len > 0 ? (const char *)reply.error.at : "");
		} else {
			(void)host_keys_store(
			    &control->db, reply.seed, call->target_id, call->type, reply.public_key);
			answer_key(request, reply.public_key);
		}
	}
	free(call);
}

/* `seed`: as seed methods call it; the database may know its keys. */
static bool answer_known(struct request *request, const char *seed, const char *target_id, const char *type)
{
	struct host_key_row row;
	uint8_t id[8];
	size_t len = 0;

	if (seed == NULL || sodium_hex2bin(id, sizeof(id), seed, strlen(seed), NULL, &len, NULL) != 0 ||
	    !host_keys_find(&request->control->db, (struct wire_span){id, len}, target_id, type, &row))
		return false;
	answer_key(request, (struct wire_span){row.public_key, row.public_len});
	return true;
}

static void key_show(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"target_id", "type", "seed", "next", NULL};
	const char *target_id = NULL, *type = NULL, *seed = NULL;
	bool next = false;

	if (!params_only(request, params, keys) ||
	    !params_string(request, params, "target_id", true, &target_id) ||
	    !params_string(request, params, "type", true, &type) ||
	    !params_string(request, params, "seed", false, &seed) ||
	    !params_bool(request, params, "next", &next) || answer_known(request, seed, target_id, type))
		return;
	struct key_call *call = calloc(1, sizeof(*call));
	if (call == NULL ||
	    !wire_span_copy(wire_span_of(target_id), call->target_id, sizeof(call->target_id)) ||
	    !wire_span_copy(wire_span_of(type), call->type, sizeof(call->type))) {
		free(call);
		request_fail(
		    request, SERVER_BAD_INPUT, "there is no such target, or no host key of such a type");
		return;
	}
	call->request = request;
	struct call_options options = ask_keeper(request, RPC_KEY_HOST, RPC_KEY_HOST_REPLY, key_answered);
	options.argument = call;
	CALL(&options, key_host, .target_id = wire_span_of(target_id), .type = wire_span_of(type),
	    .next = next);
}

/* -- the host CA -- */

static void ca_answered(void *context, void *argument, int error, struct wire_span body)
{
	struct request *request = argument;
	struct rpc_key_ca_reply reply;
	json_t *list = json_array();

	(void)context;
	if (keeper_failed(request, error)) {
		json_decref(list);
		return;
	}
	/* No CA is an empty list. Old keys are trusted until they retire, the next one beforehand. */
	if (rpc_get_key_ca_reply(body, &reply)) {
		struct wire in = wire_over(reply.keys.at, reply.keys.len);
		while (wire_left(&in) > 0) {
			struct wire_span entry = wire_string(&in);
			struct wire one = wire_over(entry.at, entry.len);
			wire_skip(&one, 1 + 8 + 8);
			char *line = public_key_line_print(wire_string(&one), "");
			if (line != NULL && !one.failed && !in.failed)
				json_array_append_new(list, json_string(line));
			free(line);
		}
	}
	request_result(request, json_pack("{s:o}", "public_keys", list));
}

static void host_ca(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};

	if (!params_only(request, params, keys))
		return;
	struct call_options options = ask_keeper(request, RPC_KEY_CA, RPC_KEY_CA_REPLY, ca_answered);
	CALL(&options, key_ca, .ca = RPC_CA_HOST, .action = RPC_CA_SHOW);
}

const struct method host_key_methods[] = {
    {"host_key.seed", ROLE_ADMIN, seed_show},
    {"host_key.rotate", ROLE_ADMIN, seed_rotate},
    {"host_key.commit", ROLE_ADMIN, seed_commit},
    {"host_key.abandon", ROLE_ADMIN, seed_abandon},
    {"host_key.show", ROLE_ADMIN, key_show},
    {"host_key.ca", ROLE_ADMIN, host_ca},
    {NULL, ROLE_NONE, NULL},
};
