/* SPDX-License-Identifier: Apache-2.0 */
/* user.* */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/certificate/certificate.h"
#include "control/control.h"
#include "control/socket/certificate_issue.h"

#define CERTIFICATE_TTL_MIN_S 60
#define CERTIFICATE_TTL_MAX_S (30 * 86400) /* the keeper signs no longer ones */
#define USER_LOGINS_MAX 64                 /* all of them stand in a certificate */

/* -- users ------------------------------------------------------------------------------------------------
 */

static bool take_names(struct request *request, const json_t *list, const char *what, struct words *words)
{
	size_t i;
	const json_t *item;

	json_array_foreach((json_t *)list, i, item)
	{
		const char *word = json_string_value(item);
		if (!word_is_name(word)) {
			request_fail(request, SERVER_BAD_INPUT,
			    "'%.80s' is no name for a %s; expected 1 to 63 letters, digits and . _ @ + - \\ "
			    "$, not '-' first",
			    word, what);
			return false;
		}
		if (!words_add(words, word)) {
			request_fail(request, SERVER_BAD_INPUT, "too many %ss (at most %u)", what, WORDS_MAX);
			return false;
		}
	}
	return true;
}

/* Keys of the request, malloc'ed; NULL: answered. */
static struct public_key_line *take_keys(struct request *request, const json_t *list, size_t *count)
{
	*count = json_array_size(list);
	if (*count > USER_KEYS_MAX) {
		request_fail(request, SERVER_BAD_INPUT, "too many keys (at most %u)", USER_KEYS_MAX);
		return NULL;
	}
	struct public_key_line *keys = calloc(*count + 1, sizeof(*keys));
	for (size_t i = 0; keys != NULL && i < *count; i++) {
		const json_t *item = json_array_get(list, i);
		const char *wrong =
		    public_key_line_parse(json_string_value(item), json_string_length(item), &keys[i]);
		if (wrong != NULL) {
			free(keys);
			request_fail(request, SERVER_BAD_INPUT, "key %zu %s", i + 1, wrong);
			return NULL;
		}
	}
	if (keys == NULL)
		request_fail(request, JSONRPC_INTERNAL, "out of memory");
	return keys;
}

static bool take_logins(struct request *request, const json_t *list, struct words *logins)
{
	if (!take_names(request, list, "login", logins))
		return false;
	if (logins->count > USER_LOGINS_MAX) {
		request_fail(request, SERVER_BAD_INPUT, "too many logins (at most %u)", USER_LOGINS_MAX);
		return false;
	}
	return true;
}

static bool take_user(struct request *request, const json_t *params, struct user *user)
{
	const char *name = NULL, *email = "";
	const json_t *logins, *groups;

	if (!params_string(request, params, "name", true, &name) ||
	    !params_string(request, params, "email", false, &email) ||
	    !params_list(request, params, "logins", &logins) ||
	    !params_list(request, params, "groups", &groups))
		return false;
	if (!word_is_name(name) || strlen(email) >= sizeof(user->email)) {
		request_fail(request, SERVER_BAD_INPUT,
		    !word_is_name(name) ? "'%.80s' is no name for a user; expected 1 to 63 letters, digits "
		                          "and . _ @ + - \\ $, not '-' first"
		                        : "the email of '%.80s' is too long",
		    name);
		return false;
	}
	snprintf(user->name, sizeof(user->name), "%s", name);
	snprintf(user->email, sizeof(user->email), "%s", email);
	if (!take_logins(request, logins, &user->logins) ||
	    !take_names(request, groups, "group", &user->groups))
		return false;
	/* Without logins of its own, a user has the login of its name. */
	return user->logins.count > 0 || words_add(&user->logins, name);
}

/* Answers for what has become of `user`, whose event it is where it went well. */
static void answer(struct request *request, const struct user *user, enum users_result result,
    const char *event, const char *taken_by)
{
	switch (result) {
	case USERS_OK:
		request_audit(request, event, json_pack("{s:s}", "name", user->name));
		request_result(request, user_json(&request->control->db, user));
		return;
	case USERS_EXISTS:
		request_fail(request, SERVER_CONFLICT,
		    "there is a user '%s' already (reeve user change, reeve user rm)", user->name);
		return;
	case USERS_KEY_TAKEN:
		request_fail(request, SERVER_CONFLICT,
		    "one of the keys is enrolled for '%s' already: a key is one person's", taken_by);
		return;
	case USERS_FAILED:
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
		return;
	}
}

static void user_add(struct request *request, const json_t *params)
{
	static const char *const keys_known[] = {"name", "logins", "keys", "groups", "email", NULL};
	struct user user = {0};
	const json_t *list;
	size_t count = 0;

	if (!params_only(request, params, keys_known) || !params_list(request, params, "keys", &list))
		return;
	if (!take_user(request, params, &user)) {
		user_free(&user);
		return;
	}
	struct public_key_line *keys = take_keys(request, list, &count);
	char taken_by[WORD_SIZE];
	if (keys != NULL)
		answer(request, &user, users_add(&request->control->db, &user, keys, count, taken_by),
		    "user.create", taken_by);
	free(keys);
	user_free(&user);
}

/* The lists that the request has take the place of the user's. */
struct changed {
	const json_t *logins, *groups, *keys; /* NULL: stays as it is */
	struct user there, now;               /* as it was, and what of it was asked for */
};

static bool take_change(struct request *request, const json_t *params, struct changed *changed)
{
	static const char *const known[] = {"name", "logins", "keys", "groups", NULL};
	const char *name = NULL;

	if (!params_only(request, params, known) || !params_string(request, params, "name", true, &name) ||
	    !params_list(request, params, "logins", &changed->logins) ||
	    !params_list(request, params, "groups", &changed->groups) ||
	    !params_list(request, params, "keys", &changed->keys))
		return false;
	if (!users_find(&request->control->db, name, &changed->there)) {
		request_fail(request, SERVER_NOT_FOUND, "there is no user '%.80s'", name);
		return false;
	}
	if (!take_logins(request, changed->logins, &changed->now.logins) ||
	    !take_names(request, changed->groups, "group", &changed->now.groups))
		return false;
	if (changed->logins != NULL && changed->now.logins.count == 0) {
		request_fail(request, SERVER_BAD_INPUT, "a user has one login at least");
		return false;
	}
	return true;
}

static void change(struct request *request, struct changed *changed)
{
	struct database *db = &request->control->db;
	size_t count = 0;
	char taken_by[WORD_SIZE], name[WORD_SIZE];
	struct public_key_line *keys = NULL;

	if (changed->keys != NULL && (keys = take_keys(request, changed->keys, &count)) == NULL)
		return;
	enum users_result result =
	    users_change(db, changed->there.name, changed->logins != NULL ? &changed->now.logins : NULL,
	        changed->groups != NULL ? &changed->now.groups : NULL, keys, count, taken_by);
	free(keys);
	snprintf(name, sizeof(name), "%s", changed->there.name);
	user_free(&changed->there);
	changed->there = (struct user){0};
	if (result == USERS_OK && !users_find(db, name, &changed->there))
		result = USERS_FAILED;
	answer(request, &changed->there, result, "user.change", taken_by);
}

static void user_change(struct request *request, const json_t *params)
{
	struct changed changed = {0};

	if (take_change(request, params, &changed))
		change(request, &changed);
	user_free(&changed.there);
	user_free(&changed.now);
}

static void user_ls(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};

	if (params_only(request, params, keys))
		request_result(request, json_pack("{s:o}", "users", users_json(&request->control->db)));
}

static void user_rm(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"name", NULL};
	const char *name = NULL;

	if (!params_only(request, params, keys) || !params_string(request, params, "name", true, &name))
		return;
	struct user user;
	if (users_find(&request->control->db, name, &user)) {
		totp_forget(request->control, user.user_id);
		user_free(&user);
	}
	if (!users_remove(&request->control->db, name)) {
		request_fail(request, SERVER_NOT_FOUND, "there is no user '%.80s'", name);
		return;
	}
	request_audit(request, "user.delete", json_pack("{s:s}", "name", name));
	request_result(
	    request, json_pack("{s:i}", "live_sessions", (int)sessions_of_user(request->control, name)));
}

/* -- user.cert --------------------------------------------------------------------------------------------
 */

static void issued(void *context, void *argument, int error, struct wire_span body)
{
	struct rpc_key_certify_reply reply = {0};
	bool decoded = error == 0 && rpc_get_key_certify_reply(body, &reply);

	(void)context;
	certificate_issued(argument, error, decoded, reply.error, reply.certificate);
}

/* What narrows a certificate, or widens it. */
struct wishes {
	const char *source_address, *force_command; /* empty: none */
	uint32_t flags;                             /* RPC_CERTIFY_… */
};

/* False: answered. */
static bool take_wishes(struct request *request, const json_t *params, struct wishes *wishes)
{
	bool no_touch = false, verify = false, malformed = false;

	*wishes = (struct wishes){.source_address = "", .force_command = ""};
	if (!params_string(request, params, "source_address", false, &wishes->source_address) ||
	    !params_string(request, params, "force_command", false, &wishes->force_command) ||
	    !params_bool(request, params, "no_touch_required", &no_touch) ||
	    !params_bool(request, params, "verify_required", &verify))
		return false;
	wishes->flags = (no_touch ? RPC_CERTIFY_NO_TOUCH : 0) | (verify ? RPC_CERTIFY_VERIFY_REQUIRED : 0);
	if (json_object_get(params, "source_address") != NULL)
		(void)certificate_address_in(
		    wishes->source_address, (struct wire_span){(const uint8_t[4]){0}, 4}, &malformed);
	if (malformed)
		request_fail(request, SERVER_BAD_INPUT,
		    "the source address is no list of addresses and networks as OpenSSH reads it, such as "
		    "198.51.100.7,2001:db8::/32: none is empty, and a network has zeros behind its length");
	else if (json_object_get(params, "force_command") != NULL && wishes->force_command[0] == '\0')
		request_fail(request, SERVER_BAD_INPUT, "the forced command is empty");
	else
		return true;
	return false;
}

/* Principals: the logins that the user has now; the key id names the user. */
static void ask_certificate(struct request *request, struct certificate_issue *issue, const struct user *user,
    struct wire_span key, const struct wishes *wishes)
{
	static uint8_t room[WORDS_MAX * (WORD_SIZE + 4)];
	struct wire_out out = wire_into(room, sizeof(room));
	struct call_options options = ask_keeper(request, RPC_KEY_CERTIFY, RPC_KEY_CERTIFY_REPLY, issued);

	for (size_t i = 0; i < user->logins.count; i++)
		wire_put_cstring(&out, user->logins.at[i]);
	options.argument = issue;
	CALL(&options, key_certify, .ca = RPC_CA_CLIENT, .public_key = key,
	    .key_id = wire_span_of(user->name), .principals = {room, wire_written(&out)},
	    .valid_after = (uint64_t)(time(NULL) - CERTIFICATE_BACKDATE_S),
	    .valid_before = (uint64_t)issue->valid_before,
	    .source_address = wire_span_of(wishes->source_address),
	    .force_command = wire_span_of(wishes->force_command),
	    .permits = wishes->flags | RPC_PERMIT_PTY | RPC_PERMIT_PORT_FORWARDING |
	               RPC_PERMIT_AGENT_FORWARDING | RPC_PERMIT_X11_FORWARDING | RPC_PERMIT_USER_RC,
	    .serial = issue->serial);
}

static void certify_user(struct request *request, const struct user *user, const struct public_key_line *key,
    int64_t ttl, const struct wishes *wishes)
{
	struct certificate_issue *issue = calloc(1, sizeof(*issue));
	struct wire_span blob = {key->blob, key->blob_len};

	if (issue != NULL) {
		issue->request = request;
		issue->event = "cert.create";
		issue->holder = "user";
		issue->valid_before = (int64_t)time(NULL) + ttl;
		issue->serial = users_new_serial(&request->control->db, user, blob, issue->valid_before);
		snprintf(issue->key_id, sizeof(issue->key_id), "%s", user->name);
	}
	if (issue == NULL || issue->serial == 0) {
		free(issue);
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
		return;
	}
	ask_certificate(request, issue, user, blob, wishes);
}

static void user_cert(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"name", "key", "ttl_s", "source_address", "force_command",
	    "no_touch_required", "verify_required", NULL};
	const char *name = NULL, *text = NULL;
	int64_t ttl = 8 * 3600;
	struct wishes wishes;
	struct user user;

	if (!params_only(request, params, keys) || !params_string(request, params, "name", true, &name) ||
	    !params_string(request, params, "key", true, &text) ||
	    !params_integer(
	        request, params, "ttl_s", false, CERTIFICATE_TTL_MIN_S, CERTIFICATE_TTL_MAX_S, &ttl) ||
	    !take_wishes(request, params, &wishes))
		return;
	if (!users_find(&request->control->db, name, &user)) {
		request_fail(
		    request, SERVER_NOT_FOUND, "there is no user '%.80s'; enrol with: reeve user add", name);
		return;
	}
	struct public_key_line *line = malloc(sizeof(*line));
	const char *wrong =
	    line == NULL ? "did not fit into memory" : public_key_line_parse(text, strlen(text), line);
	if (wrong != NULL)
		request_fail(request, SERVER_BAD_INPUT, "the key %s", wrong);
	else
		certify_user(request, &user, line, ttl, &wishes);
	free(line);
	user_free(&user);
}

const struct method user_methods[] = {
    {"user.add", ROLE_ADMIN, user_add},
    {"user.ls", ROLE_ADMIN, user_ls},
    {"user.change", ROLE_ADMIN, user_change},
    {"user.rm", ROLE_ADMIN, user_rm},
    {"user.cert", ROLE_ADMIN, user_cert},
    {NULL, ROLE_NONE, NULL},
};
