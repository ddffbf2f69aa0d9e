/* SPDX-License-Identifier: Apache-2.0 */
/* identity.bind, identity.unbind, identity.ls */
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "control/identity/bindings.h"

#define BATCH_MAX 4096
#define TTL_DEFAULT_S (8 * 3600)

/* Ends what `user` has live from that address by its binding. Returns how many sessions. */
static int kill_bound(struct control *control, const char *address, const char *user)
{
	char of_session[TARGET_ADDRESS_SIZE];
	int killed = 0;

	for (struct session *session = control->sessions.first; session != NULL; session = session->next) {
		if (session->identity != RPC_IDENTITY_ADDRESS || strcmp(session->user, user) != 0)
			continue;
		binding_address(
		    (struct wire_span){session->client_addr, session->addr_len}, session->vlan, of_session);
		if (strcmp(of_session, address) == 0 &&
		    session_kill(control, session, "portreeve: you are signed out at this address"))
			killed++;
	}
	return killed;
}

static bool read_address(struct request *request, const char *typed, char address[TARGET_ADDRESS_SIZE])
{
	if (binding_address_read(typed, address))
		return true;
	request_fail(request, SERVER_BAD_INPUT,
	    "'%.80s' is no host's address; expected one such as 198.51.100.1 or 2001:db8::1, with %%vlan7 "
	    "behind "
	    "it on a tagged network",
	    typed);
	return false;
}

/* -- bind -------------------------------------------------------------------------------------------------
 */

/* One of a batch, or the request's own parameters. False: answered. */
static bool bind_one(struct request *request, const json_t *one, int64_t now, json_t *done)
{
	static const char *const keys[] = {"address", "user", "ttl_s", NULL};
	const char *typed = NULL, *user = NULL;
	char address[TARGET_ADDRESS_SIZE], replaced[WORD_SIZE];
	int64_t ttl = TTL_DEFAULT_S;

	if (!params_only(request, one, keys) || !params_string(request, one, "address", true, &typed) ||
	    !params_string(request, one, "user", true, &user) ||
	    !params_integer(request, one, "ttl_s", false, BINDING_TTL_MIN_S, BINDING_TTL_MAX_S, &ttl) ||
	    !read_address(request, typed, address))
		return false;
	switch (bindings_add(
	    &request->control->db, address, user, now, now + ttl, (int64_t)request->uid, replaced)) {
	case BINDINGS_OK:
		replaced[0] = '\0';
		break;
	case BINDINGS_REPLACED:
		break;
	case BINDINGS_NO_USER:
		request_fail(request, SERVER_NOT_FOUND,
		    "there is no user '%.80s'; enrol with: reeve user add (nothing was bound)", user);
		return false;
	case BINDINGS_FULL:
	case BINDINGS_FAILED:
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
		return false;
	}
	json_t *row = json_pack(
	    "{s:s, s:s, s:I}", "address", address, "user", user, "expires_at", (json_int_t)now + ttl);
	if (replaced[0] != '\0')
		(void)json_object_set_new(row, "replaced", json_string(replaced));
	(void)json_array_append_new(done, row);
	return true;
}

/* What is bound has been written; who is told of it. */
static void tell_bound(struct request *request, json_t *done, bool kill)
{
	int killed = 0;
	size_t i;
	json_t *row;

	json_array_foreach(done, i, row)
	{
		const char *address = json_string_value(json_object_get(row, "address"));
		const char *replaced = json_string_value(json_object_get(row, "replaced"));
		request_audit(request, "identity.bind", json_copy(row));
		if (kill && replaced != NULL)
			killed += kill_bound(request->control, address, replaced);
	}
	request_result(request, json_pack("{s:O, s:i}", "bindings", done, "killed", killed));
}

/* The batch, or the one binding that stands in the parameters themselves; borrowed. NULL: answered. */
static const json_t *one_or_many(struct request *request, const json_t *params, const char *key, json_t *one)
{
	const json_t *many = json_object_get(params, key);
	json_t *alone = json_copy((json_t *)params);

	/* What is left beside the batch would be the members of one. */
	(void)json_object_del(alone, key);
	(void)json_object_del(alone, "kill");
	bool mixed = many != NULL && json_object_size(alone) > 0;
	(void)json_array_append_new(one, alone);
	if (many == NULL)
		return one;
	if (mixed) {
		request_fail(request, JSONRPC_PARAMS, "%s takes either one binding or the list '%s'",
		    request->method, key);
		return NULL;
	}
	if (json_is_array(many) && json_array_size(many) > 0 && json_array_size(many) <= BATCH_MAX)
		return many;
	request_fail(request, JSONRPC_PARAMS, "%s: the parameter '%s' is wrong; expected a list of 1 to %d",
	    request->method, key, BATCH_MAX);
	return NULL;
}

static bool bind_all(struct request *request, const json_t *list, json_t *done)
{
	struct database *db = &request->control->db;
	int64_t now = time(NULL);
	bool good = true;

	if (!bindings_begin(db)) {
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
		return false;
	}
	for (size_t i = 0; i < json_array_size(list) && good; i++) {
		const json_t *one = json_array_get(list, i);
		good = json_is_object(one) && bind_one(request, one, now, done);
		if (!json_is_object(one))
			request_fail(request, JSONRPC_PARAMS, "%s: expected objects {address, user, ttl_s}",
			    request->method);
	}
	enum bindings_result result = bindings_end(db, now, good);
	if (good && result == BINDINGS_FULL)
		request_fail(request, SERVER_CONFLICT,
		    "more than %d addresses would be bound; nothing was (see: reeve identity ls)",
		    BINDINGS_MAX);
	else if (good && result != BINDINGS_OK)
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
	return good && result == BINDINGS_OK;
}

static void identity_bind(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"address", "user", "ttl_s", "bindings", "kill", NULL};
	bool kill = false;
	json_t *one = json_array(), *done = json_array();

	if (params_only(request, params, keys) && params_bool(request, params, "kill", &kill)) {
		const json_t *list = one_or_many(request, params, "bindings", one);
		if (list != NULL && bind_all(request, list, done))
			tell_bound(request, done, kill);
	}
	json_decref(one);
	json_decref(done);
}

/* -- unbind, ls -------------------------------------------------------------------------------------------
 */

static void identity_unbind(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"address", "kill", NULL};
	char address[TARGET_ADDRESS_SIZE], user[WORD_SIZE];
	const char *typed = NULL;
	bool kill = false;

	if (!params_only(request, params, keys) || !params_string(request, params, "address", true, &typed) ||
	    !params_bool(request, params, "kill", &kill) || !read_address(request, typed, address))
		return;
	if (!bindings_remove(&request->control->db, address, time(NULL), user)) {
		request_fail(
		    request, SERVER_NOT_FOUND, "%s is bound to nobody; see: reeve identity ls", address);
		return;
	}
	int killed = kill ? kill_bound(request->control, address, user) : 0;
	request_audit(request, "identity.unbind",
	    json_pack("{s:s, s:s, s:i}", "address", address, "user", user, "killed", killed));
	request_result(
	    request, json_pack("{s:s, s:s, s:i}", "address", address, "user", user, "killed", killed));
}

static void identity_ls(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"user", NULL};
	const char *user = NULL;

	if (params_only(request, params, keys) && params_string(request, params, "user", false, &user))
		request_result(request,
		    json_pack("{s:o}", "bindings", bindings_json(&request->control->db, time(NULL), user)));
}

const struct method binding_methods[] = {
    {"identity.bind", ROLE_REPORTER, identity_bind},
    {"identity.unbind", ROLE_REPORTER, identity_unbind},
    {"identity.ls", ROLE_REPORTER, identity_ls},
    {NULL, ROLE_NONE, NULL},
};
