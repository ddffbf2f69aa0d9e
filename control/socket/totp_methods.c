/* SPDX-License-Identifier: Apache-2.0 */
/* user.totp, user.totp_remove: second factors. The secret goes from the keeper to who asks, sealed to their
 * key. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

#define SEALED_MAX 256

/* False: answered. */
static bool find_user(struct request *request, const char *name, struct user *user)
{
	if (users_find(&request->control->db, name, user))
		return true;
	request_fail(request, SERVER_NOT_FOUND, "there is no user '%.80s'; enrol with: reeve user add", name);
	return false;
}

/* What the audit log is told of it, with whom it was done; to be called once, before the answer. */
static void conclude(struct request *request, bool done, const char *event)
{
	char *name = request->context;

	request->context = NULL;
	if (done)
		request_audit(request, event, json_pack("{s:s?}", "name", name));
	free(name);
}

static void enrolled(void *context, void *argument, int error, struct wire_span body)
{
	struct request *request = argument;
	struct rpc_key_totp_enrol_reply reply = {0};
	char sealed[sodium_base64_ENCODED_LEN(SEALED_MAX, sodium_base64_VARIANT_ORIGINAL)];

	(void)context;
	bool done = error == 0 && rpc_get_key_totp_enrol_reply(body, &reply) && reply.error.len == 0 &&
	            reply.sealed.len <= SEALED_MAX;
	conclude(request, done, "user.totp");
	if (keeper_failed(request, error))
		return;
	if (!done) {
		request_fail(request,
		    wire_span_is(reply.error, "there is one already") ? SERVER_CONFLICT : SERVER_UNAVAILABLE,
		    "no second factor was made: %.*s (reeve user totp NAME --remove)",
		    (int)(reply.error.len > 400 ? 400 : reply.error.len),
		    reply.error.len > 0 ? (const char *)reply.error.at : "");
		return;
	}
	sodium_bin2base64(
	    sealed, sizeof(sealed), reply.sealed.at, reply.sealed.len, sodium_base64_VARIANT_ORIGINAL);
	request_result(request, json_pack("{s:s}", "sealed", sealed));
}

static void user_totp(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"name", "box_key", NULL};
	const char *name = NULL, *text = NULL;
	uint8_t box_key[crypto_box_PUBLICKEYBYTES];
	size_t len = 0;
	struct user user;

	if (!params_only(request, params, keys) || !params_string(request, params, "name", true, &name) ||
	    !params_string(request, params, "box_key", true, &text))
		return;
	if (sodium_base642bin(box_key, sizeof(box_key), text, strlen(text), NULL, &len, NULL,
	        sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    len != sizeof(box_key)) {
		request_fail(
		    request, SERVER_BAD_INPUT, "box_key is no X25519 key: expected 32 bytes in base64");
		return;
	}
	if (!find_user(request, name, &user))
		return;
	request->context = strdup(name);
	struct call_options options =
	    ask_keeper(request, RPC_KEY_TOTP_ENROL, RPC_KEY_TOTP_ENROL_REPLY, enrolled);
	CALL(&options, key_totp_enrol, .user = wire_span_of(user.user_id),
	    .box_key = {box_key, sizeof(box_key)});
	user_free(&user);
}

static void removed(void *context, void *argument, int error, struct wire_span body)
{
	struct request *request = argument;
	struct rpc_key_totp_remove_reply reply = {0};

	(void)context;
	bool done = error == 0 && rpc_get_key_totp_remove_reply(body, &reply) && reply.error.len == 0;
	conclude(request, done, "user.totp_remove");
	if (keeper_failed(request, error))
		return;
	if (!done) {
		bool none = wire_span_is(reply.error, "there is none");
		request_fail(request, none ? SERVER_NOT_FOUND : SERVER_UNAVAILABLE,
		    none ? "the user has no second factor"
		         : "the second factor could not be removed; see the log");
		return;
	}
	request_result(request, json_object());
}

static void user_totp_remove(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"name", NULL};
	const char *name = NULL;
	struct user user;

	if (!params_only(request, params, keys) || !params_string(request, params, "name", true, &name) ||
	    !find_user(request, name, &user))
		return;
	request->context = strdup(name);
	struct call_options options =
	    ask_keeper(request, RPC_KEY_TOTP_REMOVE, RPC_KEY_TOTP_REMOVE_REPLY, removed);
	CALL(&options, key_totp_remove, .user = wire_span_of(user.user_id));
	user_free(&user);
}

static void forgotten(void *context, void *argument, int error, struct wire_span body)
{
	(void)context;
	(void)argument;
	(void)body;
	if (error != 0)
		rpc_log(RPC_LOG_WARNING,
		    "a removed user's second factor may still lie with the keeper, for nobody");
}

void totp_forget(struct control *control, const char *user_id)
{
	struct call_options options =
	    keeper_call(control, RPC_KEY_TOTP_REMOVE, RPC_KEY_TOTP_REMOVE_REPLY, forgotten, NULL);

	CALL(&options, key_totp_remove, .user = wire_span_of(user_id));
}

const struct method totp_methods[] = {
    {"user.totp", ROLE_ADMIN, user_totp},
    {"user.totp_remove", ROLE_ADMIN, user_totp_remove},
    {NULL, ROLE_NONE, NULL},
};
