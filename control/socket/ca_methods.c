/* SPDX-License-Identifier: Apache-2.0 */
/* ca.* */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"

#define HOST_TTL_MIN_S 60
#define HOST_TTL_MAX_S (2 * 366 * 86400) /* the keeper signs no longer ones */
#define HOST_NAMES_MAX 64
#define HOST_NAME_MAX_LEN 253
#define HOST_BACKDATE_S 60 /* for clients whose clock is behind ours */

static bool ca_type(struct request *request, const json_t *params, uint8_t *ca)
{
	static const char *const keys[] = {"type", NULL};
	static const char *const names[] = {"user", "client", "host"};
	const char *type = NULL;

	if (!params_only(request, params, keys) || !params_string(request, params, "type", true, &type))
		return false;
	for (uint8_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(type, names[i]) == 0) {
			*ca = (uint8_t)(RPC_CA_USER + i);
			return true;
		}
	request_fail(
	    request, SERVER_BAD_INPUT, "there is no CA '%.32s'; expected user, client or host", type);
	return false;
}

static const char *ca_name(uintptr_t ca)
{
	return ca == RPC_CA_USER ? "user" : ca == RPC_CA_CLIENT ? "client" : "host";
}

static json_t *ca_json(const char *type, struct wire_span public_line)
{
	struct public_key_line *line = malloc(sizeof(*line));
	char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];
	json_t *result = NULL;

	while (public_line.len > 0 && public_line.at[public_line.len - 1] <= ' ')
		public_line.len--;
	if (line != NULL &&
	    public_key_line_parse((const char *)public_line.at, public_line.len, line) == NULL) {
		public_key_fingerprint((struct wire_span){line->blob, line->blob_len}, fingerprint);
		result = json_pack("{s:s, s:s%, s:s}", "type", type, "public_key",
		    (const char *)public_line.at, public_line.len, "fingerprint", fingerprint);
	}
	free(line);
	return result;
}

static void ca_shown(void *context, void *argument, int error, struct wire_span body)
{
	struct request *request = argument;
	struct rpc_key_ca_reply reply;
	const char *type = ca_name((uintptr_t)request->context);

	(void)context;
	if (keeper_failed(request, error))
		return;
	if (!rpc_get_key_ca_reply(body, &reply) || reply.public_line.len == 0)
		request_fail(request, SERVER_NOT_FOUND,
		    "there is no %s CA yet; make it with: reeve ca create --type %s", type, type);
	else
		request_result(request, ca_json(type, reply.public_line));
}

static void ca_show(struct request *request, const json_t *params)
{
	uint8_t ca;

	if (!ca_type(request, params, &ca))
		return;
	request->context = (void *)(uintptr_t)ca;
	struct call_options options = ask_keeper(request, RPC_KEY_CA, RPC_KEY_CA_REPLY, ca_shown);
	CALL(&options, key_ca, .ca = ca, .create = 0);
}

static void ca_created(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct request *request = argument;
	struct rpc_key_ca_reply reply = {0};
	uintptr_t ca = (uintptr_t)request->context;

	if (keeper_failed(request, error))
		return;
	if (!rpc_get_key_ca_reply(body, &reply) || reply.error.len > 0 || reply.public_line.len == 0) {
		keeper_complains(request, reply.error);
		return;
	}
	if (ca == RPC_CA_CLIENT)
		client_cas_take(&control->client_cas, reply.public_line);
	request_audit(request, "ca.create", json_pack("{s:s}", "type", ca_name(ca)));
	request_result(request, ca_json(ca_name(ca), reply.public_line));
}

/* The keeper said whether it is there already. */
static void ca_looked(void *context, void *argument, int error, struct wire_span body)
{
	struct request *request = argument;
	struct rpc_key_ca_reply reply = {0};
	uintptr_t ca = (uintptr_t)request->context;

	(void)context;
	if (keeper_failed(request, error))
		return;
	if (rpc_get_key_ca_reply(body, &reply) && reply.public_line.len > 0) {
		request_fail(request, SERVER_CONFLICT,
		    "there is a %s CA already; see it with: reeve ca show --type %s", ca_name(ca),
		    ca_name(ca));
		return;
	}
	struct call_options options = ask_keeper(request, RPC_KEY_CA, RPC_KEY_CA_REPLY, ca_created);
	CALL(&options, key_ca, .ca = (uint8_t)ca, .create = 2);
}

static void ca_create(struct request *request, const json_t *params)
{
	uint8_t ca;

	if (!ca_type(request, params, &ca))
		return;
	request->context = (void *)(uintptr_t)ca;
	struct call_options options = ask_keeper(request, RPC_KEY_CA, RPC_KEY_CA_REPLY, ca_looked);
	CALL(&options, key_ca, .ca = ca, .create = 0);
}

/* -- ca.sign_host -----------------------------------------------------------------------------------------
 */

struct host_issue {
	struct request *request;
	char name[HOST_NAME_MAX_LEN + 1]; /* the first */
	uint64_t serial;
	int64_t valid_before;
};

static void host_issued(void *context, void *argument, int error, struct wire_span body)
{
	struct host_issue *issue = argument;
	struct request *request = issue->request;
	struct rpc_key_certify_host_reply reply = {0};

	(void)context;
	if (error != 0 || !rpc_get_key_certify_host_reply(body, &reply) || reply.error.len > 0) {
		if (!keeper_failed(request, error))
			keeper_complains(request, reply.error);
	} else {
		char *line = public_key_line_print(reply.certificate, issue->name);
		request_audit(request, "host_cert.create",
		    json_pack("{s:s, s:I}", "name", issue->name, "serial", (json_int_t)issue->serial));
		request_result(request, line == NULL
		                            ? NULL
		                            : json_pack("{s:s, s:I, s:s, s:I}", "certificate", line, "serial",
		                                  (json_int_t)issue->serial, "key_id", issue->name,
		                                  "valid_before", (json_int_t)issue->valid_before));
		free(line);
	}
	free(issue);
}

/* Each name as a string; false: the request is answered. */
static bool take_host_names(struct request *request, const json_t *names, struct wire_out *out)
{
	size_t i;
	const json_t *item;

	if (json_array_size(names) == 0 || json_array_size(names) > HOST_NAMES_MAX) {
		request_fail(request, SERVER_BAD_INPUT,
		    "expected 1 to %u names and addresses under which the host is reached", HOST_NAMES_MAX);
		return false;
	}
	json_array_foreach((json_t *)names, i, item)
	{
		const char *name = json_string_value(item);
		size_t len = strlen(name);
		if (len == 0 || len > HOST_NAME_MAX_LEN ||
		    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:*?") !=
		        len) {
			request_fail(request, SERVER_BAD_INPUT,
			    "'%.80s' is neither a host name nor an address; expected such as "
			    "web1.example.com or "
			    "198.51.100.7",
			    name);
			return false;
		}
		wire_put_cstring(out, name);
	}
	return true;
}

static void ask_host_certificate(
    struct request *request, struct wire_span key, struct wire_span principals, const char *name, int64_t ttl)
{
	struct host_issue *issue = calloc(1, sizeof(*issue));
	int64_t now = time(NULL);

	if (issue == NULL) {
		request_fail(request, JSONRPC_INTERNAL, "out of memory");
		return;
	}
	*issue = (struct host_issue){.request = request, .valid_before = now + ttl};
	snprintf(issue->name, sizeof(issue->name), "%s", name);
	randombytes_buf(&issue->serial, sizeof(issue->serial));
	issue->serial >>= 1; /* JSON's and SQL's integers have a sign */
	struct call_options options =
	    ask_keeper(request, RPC_KEY_CERTIFY_HOST, RPC_KEY_CERTIFY_HOST_REPLY, host_issued);
	options.argument = issue;
	CALL(&options, key_certify_host, .public_key = key, .key_id = wire_span_of(issue->name),
	    .principals = principals, .valid_after = (uint64_t)(now - HOST_BACKDATE_S),
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
    {"ca.sign_host", ROLE_ADMIN, ca_sign_host},
    {NULL, ROLE_NONE, NULL},
};
