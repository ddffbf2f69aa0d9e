/* SPDX-License-Identifier: Apache-2.0 */
/* ca.*, seal.key */
#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "control/identity/host_keys.h"
#include "control/socket/certificate_issue.h"

#define STEP_TIMEOUT_MS 60000 /* an RSA key takes seconds to make */
#define KEEP_MAX_S (3660LL * 86400)
#define SEALED_MAX (36 * 1024)
#define HOST_TTL_MIN_S 60
#define HOST_TTL_MAX_S (2 * 366 * 86400) /* the keeper signs no longer ones */
#define HOST_NAMES_MAX 64
#define HOST_NAME_MAX_LEN 253

/* -- what was asked for ----------------------------------------------------------------------------------
 */

static const char *const types[] = {
    [RPC_CA_USER] = "user", [RPC_CA_CLIENT] = "client", [RPC_CA_HOST] = "host", NULL};
static const char *const algorithms[] = {[RPC_CA_ED25519] = "ed25519",
    [RPC_CA_ECDSA_P256] = "ecdsa-p256",
    [RPC_CA_RSA_3072] = "rsa-3072",
    [RPC_CA_RSA_4096] = "rsa-4096",
    NULL};
static const char *const states[] = {
    [RPC_CA_NEXT] = "next", [RPC_CA_CURRENT] = "current", [RPC_CA_OLD] = "old", NULL};

/* Its place from `first` on; -1: not among them. */
static int place_of(const char *const *names, int first, const char *name)
{
	for (int i = first; names[i] != NULL; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* False: answered. */
static bool take_type(struct request *request, const json_t *params, uint8_t *ca)
{
	const char *type = NULL;

	if (!params_string(request, params, "type", true, &type))
		return false;
	int place = place_of(types, RPC_CA_USER, type);
	if (place < 0) {
		request_fail(
		    request, SERVER_BAD_INPUT, "there is no CA '%.32s'; expected user, client or host", type);
		return false;
	}
	*ca = (uint8_t)place;
	return true;
}

static bool take_algorithm(struct request *request, const json_t *params, uint8_t *algorithm)
{
	const char *name = "ed25519";

	if (!params_string(request, params, "algorithm", false, &name))
		return false;
	int place = strcmp(name, "rsa") == 0 ? RPC_CA_RSA_3072 : place_of(algorithms, 0, name);
	if (place < 0) {
		request_fail(request, SERVER_BAD_INPUT,
		    "there is no algorithm '%.32s'; expected ed25519, ecdsa-p256, rsa-3072 or rsa-4096",
		    name);
		return false;
	}
	*algorithm = (uint8_t)place;
	return true;
}

/* Where the key is made, or is: a PKCS#11 URI, which the keeper reads. */
static bool take_token(struct request *request, const json_t *params, struct rpc_key_ca *body)
{
	const char *uri = "";

	if (!params_string(request, params, "token", false, &uri))
		return false;
	body->token = wire_span_of(uri);
	return true;
}

/* -- what the keeper has ----------------------------------------------------------------------------------
 */

/* One key as the keeper tells of it; NULL: it cannot be read. */
static json_t *key_json(const char *type, struct wire_span bytes)
{
	struct wire in = wire_over(bytes.at, bytes.len);
	uint8_t state = wire_u8(&in);
	uint64_t created_at = wire_u64(&in), retire_at = wire_u64(&in);
	struct wire_span blob = wire_string(&in), token = wire_string(&in);
	struct public_key key;
	char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE], comment[64];

	if (!wire_done(&in) || state < RPC_CA_NEXT || state > RPC_CA_OLD || !public_key_parse(blob, &key))
		return NULL;
	snprintf(comment, sizeof(comment), "portreeve-%s-ca", type);
	char *line = public_key_line_print(blob, comment);
	public_key_fingerprint(blob, fingerprint);
	json_t *object =
	    json_pack("{s:s, s:s, s:s, s:s, s:I}", "state", states[state], "algorithm", key.type->name,
	        "public_key", line, "fingerprint", fingerprint, "created_at", (json_int_t)created_at);
	if (retire_at != 0)
		json_object_set_new(object, "retire_at", json_integer((json_int_t)retire_at));
	if (token.len > 0)
		json_object_set_new(object, "token", json_stringn((const char *)token.at, token.len));
	free(line);
	return object;
}

/* The CA: the key that signs, and all in their order. NULL: it cannot be read. */
static json_t *ca_json(const char *type, struct wire_span keys)
{
	struct wire in = wire_over(keys.at, keys.len);
	json_t *list = json_array(), *signs = NULL;

	while (wire_left(&in) > 0) {
		json_t *key = key_json(type, wire_string(&in));
		if (key == NULL || in.failed || json_array_append_new(list, key) != 0) {
			json_decref(list);
			return NULL;
		}
		if (strcmp(json_string_value(json_object_get(key, "state")), states[RPC_CA_CURRENT]) == 0)
			signs = key;
	}
	return json_pack("{s:s, s:O, s:O, s:o}", "type", type, "public_key",
	    json_object_get(signs, "public_key"), "fingerprint", json_object_get(signs, "fingerprint"),
	    "keys", list);
}

/* -- asking it --------------------------------------------------------------------------------------------
 */

/* A request to the keeper that is under way. */
struct ca_call {
	struct request *request;
	uint8_t ca, action;
};

static void audit_step(struct request *request, uint8_t action, const char *type, const json_t *ca)
{
	static const char *const steps[] = {[RPC_CA_CREATE] = "create",
	    [RPC_CA_ROTATE] = "rotate",
	    [RPC_CA_IMPORT] = "import",
	    [RPC_CA_COMMIT] = "commit",
	    [RPC_CA_UNDO] = "undo",
	    [RPC_CA_RETIRE] = "retire",
	    [RPC_CA_ABANDON] = "abandon"};

	request_audit(request, action == RPC_CA_CREATE ? "ca.create" : "ca.rotate",
	    json_pack("{s:s, s:s, s:O, s:i}", "type", type, "step", steps[action], "fingerprint",
	        json_object_get(ca, "fingerprint"), "keys",
	        (int)json_array_size(json_object_get(ca, "keys"))));
}

/* What is believed of the CA's keys. Whatever became of the step: one that was not answered in time may be
 * done later, one that was refused may have been done before, and what was retired must not be trusted on. No
 * keys of the client CA: the keeper is asked for them at the next certificate. */
static void settle_keys(struct control *control, const struct ca_call *call, struct wire_span keys)
{
	if (call->ca == RPC_CA_CLIENT)
		client_cas_take(&control->client_cas, keys);
	if (call->ca == RPC_CA_HOST && keys.len > 0)
		control->has_host_ca = true;
	if (call->ca == RPC_CA_USER && keys.len > 0)
		control->no_user_ca = false;
	if (call->ca == RPC_CA_HOST && call->action != RPC_CA_SHOW)
		host_keys_recertify(
		    &control->db, NULL); /* those that clients are shown are not by its present key */
}

static void ca_answered(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct ca_call call = *(struct ca_call *)argument;
	struct request *request = call.request;
	struct rpc_key_ca_reply reply = {0};
	const char *type = types[call.ca];
	bool decoded = error == 0 && rpc_get_key_ca_reply(body, &reply);

	free(argument);
	settle_keys(control, &call, decoded ? reply.keys : (struct wire_span){0});
	if (keeper_failed(request, error))
		return;
	if (!decoded || reply.problem != RPC_PROBLEM_NONE) {
		request_fail(request, request_problem_code(reply.problem), "%.*s", (int)reply.error.len,
		    (const char *)reply.error.at);
		return;
	}
	if (reply.keys.len == 0) {
		request_fail(request, SERVER_NOT_FOUND,
		    "there is no %s CA yet; make it with: reeve ca create --type %s", type, type);
		return;
	}
	json_t *ca = ca_json(type, reply.keys);
	if (call.action != RPC_CA_SHOW)
		audit_step(request, call.action, type, ca);
	request_result(request, ca);
}

/* `body`: without the CA and the action. */
static void ask_ca(struct request *request, uint8_t ca, uint8_t action, struct rpc_key_ca body)
{
	struct ca_call *call = calloc(1, sizeof(*call));
	struct call_options options = ask_keeper(request, RPC_KEY_CA, RPC_KEY_CA_REPLY, ca_answered);

	if (call == NULL) {
		request_fail(request, JSONRPC_INTERNAL, "out of memory");
		return;
	}
	*call = (struct ca_call){.request = request, .ca = ca, .action = action};
	options.argument = call;
	if (action != RPC_CA_SHOW)
		options.timeout_ms = STEP_TIMEOUT_MS;
	body.ca = ca;
	body.action = action;
	call_start(&options, rpc_put_key_ca, &body);
}

static void ca_show(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"type", NULL};
	uint8_t ca;

	if (params_only(request, params, keys) && take_type(request, params, &ca))
		ask_ca(request, ca, RPC_CA_SHOW, (struct rpc_key_ca){0});
}

static void ca_create(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"type", "algorithm", "token", NULL};
	struct rpc_key_ca body = {0};
	uint8_t ca;

	if (params_only(request, params, keys) && take_type(request, params, &ca) &&
	    take_algorithm(request, params, &body.algorithm) && take_token(request, params, &body))
		ask_ca(request, ca, RPC_CA_CREATE, body);
}

static void ca_rotate(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"type", "algorithm", "token", "step", "keep_s", NULL};
	static const char *const steps[] = {[RPC_CA_ROTATE] = "next",
	    [RPC_CA_IMPORT] = "",
	    [RPC_CA_COMMIT] = "commit",
	    [RPC_CA_UNDO] = "undo",
	    [RPC_CA_RETIRE] = "retire",
	    [RPC_CA_ABANDON] = "abandon",
	    NULL};
	struct rpc_key_ca body = {0};
	const char *step = "next";
	int64_t keep = 0;
	uint8_t ca;

	if (!params_only(request, params, keys) || !take_type(request, params, &ca) ||
	    !take_algorithm(request, params, &body.algorithm) || !take_token(request, params, &body) ||
	    !params_string(request, params, "step", false, &step) ||
	    !params_integer(request, params, "keep_s", false, 60, KEEP_MAX_S, &keep))
		return;
	int action = place_of(steps, RPC_CA_ROTATE, step);
	if (action < 0 || action == RPC_CA_IMPORT)
		request_fail(request, SERVER_BAD_INPUT,
		    "there is no step '%.32s'; expected next, commit, undo, retire or abandon", step);
	else if ((keep != 0 && action != RPC_CA_COMMIT) ||
	         ((json_object_get(params, "algorithm") != NULL || body.token.len > 0) &&
	             action != RPC_CA_ROTATE))
		request_fail(request, SERVER_BAD_INPUT,
		    "keep_s goes with the step commit, algorithm and token with next: not with '%.32s'",
		    step);
	else {
		body.retire_at = keep == 0 ? 0 : (uint64_t)(time(NULL) + keep);
		ask_ca(request, ca, (uint8_t)action, body);
	}
}

static void ca_import(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"type", "sealed", "token", NULL};
	static uint8_t sealed[SEALED_MAX];
	struct rpc_key_ca body = {0};
	const char *text = NULL;
	size_t len = 0;
	uint8_t ca;

	if (!params_only(request, params, keys) || !take_type(request, params, &ca) ||
	    !params_string(request, params, "sealed", false, &text) || !take_token(request, params, &body))
		return;
	if ((text == NULL) == (body.token.len == 0))
		request_fail(request, JSONRPC_PARAMS, "ca.import takes either 'sealed' or 'token'");
	else if (text == NULL)
		ask_ca(request, ca, RPC_CA_IMPORT, body);
	else if (sodium_base642bin(sealed, sizeof(sealed), text, strlen(text), NULL, &len, NULL,
	             sodium_base64_VARIANT_ORIGINAL) != 0)
		request_fail(request, SERVER_BAD_INPUT, "'sealed' is not base64, or too long");
	else
		ask_ca(request, ca, RPC_CA_IMPORT, (struct rpc_key_ca){.sealed = {sealed, len}});
}

/* -- seal.key ---------------------------------------------------------------------------------------------
 */

static void seal_told(void *context, void *argument, int error, struct wire_span body)
{
	struct request *request = argument;
	struct rpc_key_seal_reply reply;
	char text[64];

	(void)context;
	if (keeper_failed(request, error))
		return;
	if (!rpc_get_key_seal_reply(body, &reply) || reply.public_key.len != crypto_box_PUBLICKEYBYTES) {
		request_fail(request, SERVER_UNAVAILABLE, "the keeper has no key to seal to; see the log");
		return;
	}
	sodium_bin2base64(
	    text, sizeof(text), reply.public_key.at, reply.public_key.len, sodium_base64_VARIANT_ORIGINAL);
	request_result(request, json_pack("{s:s}", "public_key", text));
}

static void seal_key(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};

	if (!params_only(request, params, keys))
		return;
	struct call_options options = ask_keeper(request, RPC_KEY_SEAL, RPC_KEY_SEAL_REPLY, seal_told);
	CALL(&options, key_seal, .reserved = 0);
}

/* -- ca.sign_host -----------------------------------------------------------------------------------------
 */

static void host_issued(void *context, void *argument, int error, struct wire_span body)
{
	struct rpc_key_certify_host_reply reply = {0};
	bool decoded = error == 0 && rpc_get_key_certify_host_reply(body, &reply);

	(void)context;
	certificate_issued(argument, error, decoded, reply.error, reply.certificate);
}

/* As ssh compares it with the host that it was told: an address in its one form, a name (or a pattern, of
 * either) in small letters. False: it is neither. */
static bool read_host_name(const char *typed, char name[HOST_NAME_MAX_LEN + 1])
{
	uint8_t address[16];
	size_t len = strlen(typed);

	if (len == 0 || len > HOST_NAME_MAX_LEN)
		return false;
	if (inet_pton(AF_INET, typed, address) == 1 || inet_pton(AF_INET6, typed, address) == 1)
		return inet_ntop(strchr(typed, ':') != NULL ? AF_INET6 : AF_INET, address, name,
		           HOST_NAME_MAX_LEN + 1) != NULL;
	for (size_t i = 0; i <= len; i++)
		name[i] = typed[i] >= 'A' && typed[i] <= 'Z' ? (char)(typed[i] - 'A' + 'a') : typed[i];
	/* A colon is an address's, never a port's: the port is no part of what ssh looks for. */
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_:*?") == len &&
	       (strchr(name, ':') == NULL || strpbrk(name, "*?") != NULL);
}

/* Each name as a string; false: the request is answered. */
static bool take_host_names(struct request *request, const json_t *names, struct wire_out *out)
{
	char name[HOST_NAME_MAX_LEN + 1];
	size_t i;
	const json_t *item;

	if (json_array_size(names) == 0 || json_array_size(names) > HOST_NAMES_MAX) {
		request_fail(request, SERVER_BAD_INPUT,
		    "expected 1 to %u names and addresses under which the host is reached", HOST_NAMES_MAX);
		return false;
	}
	json_array_foreach((json_t *)names, i, item)
	{
		if (!read_host_name(json_string_value(item), name)) {
			request_fail(request, SERVER_BAD_INPUT,
			    "'%.80s' is neither a host name nor an address; expected such as "
			    "web1.example.com or 198.51.100.7, without a port",
			    json_string_value(item));
			return false;
		}
		wire_put_cstring(out, name);
	}
	return true;
}

static void ask_host_certificate(
    struct request *request, struct wire_span key, struct wire_span principals, const char *name, int64_t ttl)
{
	struct certificate_issue *issue = calloc(1, sizeof(*issue));
	int64_t now = time(NULL);

	if (issue == NULL) {
		request_fail(request, JSONRPC_INTERNAL, "out of memory");
		return;
	}
	*issue = (struct certificate_issue){
	    .request = request, .event = "host_cert.create", .holder = "name", .valid_before = now + ttl};
	snprintf(issue->key_id, sizeof(issue->key_id), "%s", name);
	randombytes_buf(&issue->serial, sizeof(issue->serial));
	issue->serial >>= 1; /* JSON's and SQL's integers have a sign */
	struct call_options options =
	    ask_keeper(request, RPC_KEY_CERTIFY_HOST, RPC_KEY_CERTIFY_HOST_REPLY, host_issued);
	options.argument = issue;
	CALL(&options, key_certify_host, .public_key = key, .key_id = wire_span_of(issue->key_id),
	    .principals = principals, .valid_after = (uint64_t)(now - CERTIFICATE_BACKDATE_S),
	    .valid_before = (uint64_t)issue->valid_before, .serial = issue->serial);
}

static void ca_sign_host(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"key", "names", "ttl_s", NULL};
	static uint8_t room[HOST_NAMES_MAX * (HOST_NAME_MAX_LEN + 4)];
	struct wire_out principals = wire_into(room, sizeof(room));
	const char *text = NULL;
	const json_t *names = NULL;
	int64_t ttl = 52 * 7 * 86400;

	if (!params_only(request, params, keys) || !params_string(request, params, "key", true, &text) ||
	    !params_list(request, params, "names", &names) ||
	    !params_integer(request, params, "ttl_s", false, HOST_TTL_MIN_S, HOST_TTL_MAX_S, &ttl) ||
	    !take_host_names(request, names, &principals))
		return;
	struct public_key_line *line = malloc(sizeof(*line));
	const char *wrong =
	    line == NULL ? "did not fit into memory" : public_key_line_parse(text, strlen(text), line);
	if (wrong != NULL)
		request_fail(request, SERVER_BAD_INPUT, "the host key %s", wrong);
	else
		ask_host_certificate(request, (struct wire_span){line->blob, line->blob_len},
		    (struct wire_span){room, wire_written(&principals)},
		    json_string_value(json_array_get(names, 0)), ttl);
	free(line);
}

const struct method ca_methods[] = {
    {"ca.create", ROLE_ADMIN, ca_create},
    {"ca.show", ROLE_ADMIN, ca_show},
    {"ca.rotate", ROLE_ADMIN, ca_rotate},
    {"ca.import", ROLE_ADMIN, ca_import},
    {"seal.key", ROLE_ADMIN, seal_key},
    {"ca.sign_host", ROLE_ADMIN, ca_sign_host},
    {NULL, ROLE_NONE, NULL},
};
