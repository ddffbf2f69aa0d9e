/* SPDX-License-Identifier: Apache-2.0 */
/* What control may ask about second factors. It never sees a secret: that goes sealed to who enrols. */
#include "control/keeper/totp.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static const char *what(int error)
{
	return error == -EEXIST    ? "there is one already"
	       : error == -ENOENT  ? "there is none"
	       : error == -EBADMSG ? "its file is damaged; remove it and enrol anew"
	       : error == 0        ? ""
	                           : "it could not be stored";
}

static bool user_of(struct wire_span span, char user[TOTP_USER_MAX])
{
	return span.len > 0 && wire_span_copy(span, user, TOTP_USER_MAX);
}

int on_totp_enrol(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_totp_enrol body;
	uint8_t secret[TOTP_SECRET_SIZE], sealed[TOTP_SECRET_SIZE + crypto_box_SEALBYTES];
	char user[TOTP_USER_MAX];

	if (!rpc_get_key_totp_enrol(message->body, &body) || !user_of(body.user, user) ||
	    body.box_key.len != crypto_box_PUBLICKEYBYTES)
		return -EPROTO;
	int error = totp_enrol(&keeper->keyring, user, secret);
	/* A key that nothing can be sealed to: what nobody has seen is of no use to anybody. */
	if (error == 0 && crypto_box_seal(sealed, secret, sizeof(secret), body.box_key.at) != 0) {
		(void)totp_remove(&keeper->keyring, user);
		error = -EINVAL;
	}
	sodium_memzero(secret, sizeof(secret));
	return RPC_SEND(link, KEY_TOTP_ENROL_REPLY, key_totp_enrol_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(what(error)), .sealed = {sealed, error == 0 ? sizeof(sealed) : 0});
}

int on_totp_check(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_totp_check body;
	char user[TOTP_USER_MAX];
	uint32_t wait_s = 0;

	if (!rpc_get_key_totp_check(message->body, &body) || !user_of(body.user, user))
		return -EPROTO;
	enum rpc_totp verdict = totp_check(&keeper->keyring, user, body.code, keeper->now_s(), &wait_s);
	return RPC_SEND(link, KEY_TOTP_CHECK_REPLY, key_totp_check_reply, RPC_FLAG_REPLY, message->id,
	    .verdict = (uint8_t)verdict, .wait_s = wait_s);
}

int on_totp_remove(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_totp_remove body;
	char user[TOTP_USER_MAX];

	if (!rpc_get_key_totp_remove(message->body, &body) || !user_of(body.user, user))
		return -EPROTO;
	int error = totp_remove(&keeper->keyring, user);
	return RPC_SEND(link, KEY_TOTP_REMOVE_REPLY, key_totp_remove_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(what(error)));
}
