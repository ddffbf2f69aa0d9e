/* SPDX-License-Identifier: Apache-2.0 */
/* vault.*: secrets for origins that trust no CA. They come sealed to the keeper (seal.key) and are not read
 * here. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

#define SEALED_MAX (36 * 1024)

/* A request to the keeper that is under way. */
struct vault_call {
	struct request *request;
	char target[PUBLIC_KEY_FINGERPRINT_SIZE], login[WORD_SIZE];
	json_t *rows; /* vault.ls: what has come so far */
	uint32_t count;
};

/* True: the keeper did not do it, and the request is answered. */
static bool failed(struct request *request, int error, bool decoded, uint8_t problem, struct wire_span why)
{
	if (keeper_failed(request, error))
		return true;
	if (!decoded)
		request_fail(request, SERVER_UNAVAILABLE, "the keeper's answer cannot be read; see the log");
	else if (problem != RPC_PROBLEM_NONE)
		request_fail(
		    request, request_problem_code(problem), "%.*s", (int)why.len, (const char *)why.at);
	return !decoded || problem != RPC_PROBLEM_NONE;
}

/* "SHA256:" and 43 characters of base64: what a target is named by. False: answered. */
static bool take_place(struct request *request, const json_t *params, struct vault_call *call)
{
	const char *target = NULL, *login = NULL;

	if (!params_string(request, params, "target", true, &target) ||
	    !params_string(request, params, "login", true, &login))
		return false;
	if (strlen(target) != PUBLIC_KEY_FINGERPRINT_SIZE - 2 || strncmp(target, "SHA256:", 7) != 0) {
		request_fail(request, SERVER_BAD_INPUT,
		    "'%.80s' is no fingerprint of a host key; expected SHA256:… as `reeve target ls` prints "
		    "it",
		    target);
		return false;
	}
	if (!word_is_name(login)) {
		request_fail(request, SERVER_BAD_INPUT, "'%.80s' is no login name", login);
		return false;
	}
	snprintf(call->target, sizeof(call->target), "%s", target);
	snprintf(call->login, sizeof(call->login), "%s", login);
	return true;
}

/* A copy that the callback frees; NULL: answered. */
static struct vault_call *begin(struct request *request, const struct vault_call *call)
{
	struct vault_call *copy = malloc(sizeof(*copy));

	if (copy == NULL) {
		request_fail(request, JSONRPC_INTERNAL, "out of memory");
		return NULL;
	}
	*copy = *call;
	copy->request = request;
	return copy;
}

/* -- vault.put, vault.rm -- */

static void was_put(void *context, void *argument, int error, struct wire_span body)
{
	struct vault_call call = *(struct vault_call *)argument;
	struct rpc_key_vault_put_reply reply = {0};
	bool decoded = error == 0 && rpc_get_key_vault_put_reply(body, &reply);

	(void)context;
	free(argument);
	if (failed(call.request, error, decoded, reply.problem, reply.error))
		return;
	request_audit(call.request, "vault.put",
	    json_pack(
	        "{s:s, s:s, s:b}", "target", call.target, "login", call.login, "replaced", reply.replaced));
	request_result(call.request, json_pack("{s:s, s:s, s:b}", "target", call.target, "login", call.login,
	                                 "replaced", reply.replaced));
}

static void vault_put_secret(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"target", "login", "sealed", NULL};
	static uint8_t sealed[SEALED_MAX];
	struct vault_call call = {0};
	const char *text = NULL;
	size_t len = 0;

	if (!params_only(request, params, keys) || !take_place(request, params, &call) ||
	    !params_string(request, params, "sealed", true, &text))
		return;
	if (sodium_base642bin(sealed, sizeof(sealed), text, strlen(text), NULL, &len, NULL,
	        sodium_base64_VARIANT_ORIGINAL) != 0) {
		request_fail(request, SERVER_BAD_INPUT, "'sealed' is not base64, or too long");
		return;
	}
	struct call_options options =
	    ask_keeper(request, RPC_KEY_VAULT_PUT, RPC_KEY_VAULT_PUT_REPLY, was_put);
	options.argument = begin(request, &call);
	if (options.argument != NULL)
		CALL(&options, key_vault_put, .target = wire_span_of(call.target),
		    .login = wire_span_of(call.login), .sealed = {sealed, len});
}

static void was_removed(void *context, void *argument, int error, struct wire_span body)
{
	struct vault_call call = *(struct vault_call *)argument;
	struct rpc_key_vault_remove_reply reply = {0};
	bool decoded = error == 0 && rpc_get_key_vault_remove_reply(body, &reply);

	(void)context;
	free(argument);
	if (failed(call.request, error, decoded, reply.problem, reply.error))
		return;
	request_audit(call.request, "vault.remove",
	    json_pack("{s:s, s:s}", "target", call.target, "login", call.login));
	request_result(call.request, json_object());
}

static void vault_rm(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"target", "login", NULL};
	struct vault_call call = {0};
	struct call_options options =
	    ask_keeper(request, RPC_KEY_VAULT_REMOVE, RPC_KEY_VAULT_REMOVE_REPLY, was_removed);

	if (!params_only(request, params, keys) || !take_place(request, params, &call))
		return;
	options.argument = begin(request, &call);
	if (options.argument != NULL)
		CALL(&options, key_vault_remove, .target = wire_span_of(call.target),
		    .login = wire_span_of(call.login));
}

/* -- vault.ls -- */

/* One row as the keeper tells of it; NULL: it cannot be read. */
static json_t *row_json(struct wire_span bytes)
{
	struct wire in = wire_over(bytes.at, bytes.len);
	struct wire_span target = wire_string(&in), login = wire_string(&in);
	uint8_t kind = wire_u8(&in);
	uint64_t put_at = wire_u64(&in);
	struct wire_span blob = wire_string(&in);
	struct public_key key;
	char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];

	if (!wire_done(&in))
		return NULL;
	json_t *row = json_pack("{s:s%, s:s%, s:s, s:I}", "target", (const char *)target.at, target.len,
	    "login", (const char *)login.at, login.len, "kind", kind == RPC_SECRET_KEY ? "key" : "password",
	    "put_at", (json_int_t)put_at);
	if (kind == RPC_SECRET_KEY && public_key_parse(blob, &key)) {
		char *line = public_key_line_print(blob, "");
		public_key_fingerprint(blob, fingerprint);
		json_object_set_new(row, "fingerprint", json_string(fingerprint));
		json_object_set_new(row, "public_key", json_string(line));
		free(line);
	}
	return row;
}

static void ask_rows(struct vault_call *call);

static void rows_came(void *context, void *argument, int error, struct wire_span body)
{
	struct vault_call *call = argument;
	struct rpc_key_vault_list_reply reply = {0};
	bool decoded = error == 0 && rpc_get_key_vault_list_reply(body, &reply);
	struct wire in = wire_over(reply.rows.at, reply.rows.len);
	uint32_t before = call->count;

	(void)context;
	while (decoded && wire_left(&in) > 0) {
		json_t *row = row_json(wire_string(&in));
		decoded = row != NULL && json_array_append_new(call->rows, row) == 0;
		call->count++;
	}
	if (decoded && reply.problem == RPC_PROBLEM_NONE && reply.more != 0 && call->count > before) {
		ask_rows(call);
		return;
	}
	if (failed(call->request, error, decoded, reply.problem, reply.error))
		json_decref(call->rows);
	else
		request_result(call->request, json_pack("{s:o}", "secrets", call->rows));
	free(call);
}

static void ask_rows(struct vault_call *call)
{
	struct call_options options =
	    ask_keeper(call->request, RPC_KEY_VAULT_LIST, RPC_KEY_VAULT_LIST_REPLY, rows_came);

	options.argument = call;
	CALL(&options, key_vault_list, .offset = call->count);
}

static void vault_ls(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};

	if (!params_only(request, params, keys))
		return;
	struct vault_call *call = begin(request, &(struct vault_call){.rows = json_array()});
	if (call != NULL)
		ask_rows(call);
}

const struct method vault_methods[] = {
    {"vault.put", ROLE_ADMIN, vault_put_secret},
    {"vault.ls", ROLE_ADMIN, vault_ls},
    {"vault.rm", ROLE_ADMIN, vault_rm},
    {NULL, ROLE_NONE, NULL},
};
