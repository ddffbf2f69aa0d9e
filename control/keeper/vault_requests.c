/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control may ask of the vault. A password goes to the worker of a live session only sealed to that
 * worker's key of the moment; a private key never leaves: what it signs must be a login request (RFC 4252
 * section 7) for the login that it was put there for, and for no other service or method.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "control/keeper/sealed.h"
#include "control/keeper/vault.h"

#define ROWS_MAX (96 * 1024)
#define SESSION_IDENTIFIER_MIN 20
#define SESSION_IDENTIFIER_MAX 64
#define USERAUTH_REQUEST 50

struct outcome {
	enum rpc_problem problem;
	const char *error;
};
static const struct outcome damaged = {
    RPC_PROBLEM_UNAVAILABLE, "the vault's file is damaged; the log of reeve-keeper says what to do"};

static struct outcome of_error(int error)
{
	switch (error) {
	case 0:
		return (struct outcome){RPC_PROBLEM_NONE, ""};
	case -EBADMSG:
		return damaged;
	case -ENOENT:
		return (struct outcome){
		    RPC_PROBLEM_NOT_FOUND, "the vault holds nothing for that target and login"};
	case -EINVAL:
		return (struct outcome){RPC_PROBLEM_BAD_INPUT,
		    "this is no secret that the vault takes: a password has 1 to 1024 bytes, a key is "
		    "ed25519, ecdsa "
		    "or rsa (from 2048 bits) and whole"};
	case -ENOSPC:
		return (struct outcome){RPC_PROBLEM_UNAVAILABLE, "the vault is full"};
	default:
		return (struct outcome){RPC_PROBLEM_UNAVAILABLE, strerror(-error)};
	}
}

/* -- what administrators do -------------------------------------------------------------------------------
 */

static struct outcome put(
    struct keeper *keeper, const char *target, const char *login, struct wire_span sealed)
{
	struct outcome outcome = {
	    RPC_PROBLEM_BAD_INPUT, "it was not sealed for this keeper, target and login"};
	size_t len = 0;
	uint8_t *plain = seal_open(&keeper->keyring, sealed, &len);

	if (plain == NULL)
		return outcome;
	struct wire in = wire_over(plain, len);
	struct wire_span purpose = wire_string(&in), for_target = wire_string(&in),
	                 for_login = wire_string(&in);
	uint8_t kind = wire_u8(&in);
	struct wire_span secret = wire_string(&in);
	(void)wire_string(&in); /* padding */
	/* Control says whose it is, and the seal says it, too: it cannot send a secret elsewhere. */
	if (wire_done(&in) && wire_span_is(purpose, SEALED_SECRET) && wire_span_is(for_target, target) &&
	    wire_span_is(for_login, login))
		outcome = of_error(
		    vault_put(keeper->vault, target, login, (enum rpc_secret)kind, secret, keeper->now_s()));
	sodium_free(plain);
	return outcome;
}

int on_vault_put(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_vault_put body;
	char target[KEEPER_TARGET_ID_MAX], login[VAULT_LOGIN_MAX];

	if (!rpc_get_key_vault_put(message->body, &body) ||
	    !wire_span_copy(body.target, target, sizeof(target)) ||
	    !wire_span_copy(body.login, login, sizeof(login)))
		return -EPROTO;
	bool replaced = vault_find(keeper->vault, target, login) >= 0;
	struct outcome outcome = put(keeper, target, login, body.sealed);
	return RPC_SEND(link, KEY_VAULT_PUT_REPLY, key_vault_put_reply, RPC_FLAG_REPLY, message->id,
	    .problem = (uint8_t)outcome.problem, .error = wire_span_of(outcome.error), .replaced = replaced);
}

static void put_row(struct wire_out *out, const struct vault_row *row)
{
	static uint8_t room[KEEPER_TARGET_ID_MAX + VAULT_LOGIN_MAX + PRIVATE_KEY_BLOB_MAX + 64];
	struct wire_out one = wire_into(room, sizeof(room));

	wire_put_cstring(&one, row->target);
	wire_put_cstring(&one, row->login);
	wire_put_u8(&one, (uint8_t)row->kind);
	wire_put_u64(&one, row->put_at);
	wire_put_string(&one, row->blob.at, row->blob.len);
	wire_put_string(out, room, wire_written(&one));
}

int on_vault_list(void *context, struct rpc_link *link, struct rpc_message *message)
{
	static uint8_t room[ROWS_MAX];
	struct keeper *keeper = context;
	struct rpc_key_vault_list body;
	struct wire_out rows = wire_into(room, sizeof(room));

	if (!rpc_get_key_vault_list(message->body, &body))
		return -EPROTO;
	uint32_t at = body.offset;
	size_t written = 0;
	for (; at < vault_count(keeper->vault); at++) {
		struct vault_row row = vault_row(keeper->vault, at);
		put_row(&rows, &row);
		if (rows.failed)
			break;
		written = wire_written(&rows);
	}
	struct outcome outcome = vault_is_damaged(keeper->vault) ? damaged : of_error(0);
	return RPC_SEND(link, KEY_VAULT_LIST_REPLY, key_vault_list_reply, RPC_FLAG_REPLY, message->id,
	    .problem = (uint8_t)outcome.problem, .error = wire_span_of(outcome.error),
	    .rows = {room, written}, .more = rows.failed);
}

int on_vault_remove(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_vault_remove body;
	char target[KEEPER_TARGET_ID_MAX], login[VAULT_LOGIN_MAX];

	if (!rpc_get_key_vault_remove(message->body, &body) ||
	    !wire_span_copy(body.target, target, sizeof(target)) ||
	    !wire_span_copy(body.login, login, sizeof(login)))
		return -EPROTO;
	struct outcome outcome = of_error(vault_remove(keeper->vault, target, login));
	return RPC_SEND(link, KEY_VAULT_REMOVE_REPLY, key_vault_remove_reply, RPC_FLAG_REPLY, message->id,
	    .problem = (uint8_t)outcome.problem, .error = wire_span_of(outcome.error));
}

/* -- what sessions use ------------------------------------------------------------------------------------
 */

/* The entry for a live session's target; -1: *outcome says why there is none. */
static int64_t entry_for(const struct keeper *keeper, struct wire_span session_id,
    struct wire_span login_span, struct outcome *outcome)
{
	char session[KEEPER_SESSION_ID_MAX], login[VAULT_LOGIN_MAX];
	const char *target = NULL;
	int64_t place = -1;

	if (wire_span_copy(session_id, session, sizeof(session)))
		target = live_target(keeper->live, session);
	if (target == NULL || target[0] == '\0')
		*outcome = (struct outcome){
		    RPC_PROBLEM_BAD_INPUT, "no live session: the vault gives for live sessions only"};
	else if (vault_is_damaged(keeper->vault))
		*outcome = damaged;
	else if (!wire_span_copy(login_span, login, sizeof(login)) ||
	         (place = vault_find(keeper->vault, target, login)) < 0)
		*outcome = of_error(-ENOENT);
	return place;
}

/* Seals a password to the worker's key. False: it cannot be. */
static bool seal_password(const struct keeper *keeper, uint32_t place, struct wire_span box_key,
    uint8_t *sealed, size_t size, size_t *sealed_len)
{
	size_t len = 0;
	uint8_t *password = vault_reveal(keeper->vault, place, &len);
	uint8_t *plain = password == NULL ? NULL : sodium_malloc(VAULT_PASSWORD_MAX + SEALED_PADDED_TO + 8);
	bool good = false;

	if (plain != NULL) {
		struct wire_out out = wire_into(plain, VAULT_PASSWORD_MAX + SEALED_PADDED_TO + 8);
		wire_put_string(&out, password, len);
		sealed_pad(&out);
		*sealed_len = wire_written(&out) + crypto_box_SEALBYTES;
		good = !out.failed && *sealed_len <= size &&
		       crypto_box_seal(sealed, plain, wire_written(&out), box_key.at) == 0;
	}
	sodium_free(password);
	sodium_free(plain);
	return good;
}

int on_secret(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_secret body;
	struct outcome outcome = {RPC_PROBLEM_NONE, ""};
	uint8_t sealed[VAULT_PASSWORD_MAX + SEALED_PADDED_TO + 8 + crypto_box_SEALBYTES];
	struct vault_row row = {0};
	size_t sealed_len = 0;

	if (!rpc_get_key_secret(message->body, &body) || body.box_key.len != crypto_box_PUBLICKEYBYTES)
		return -EPROTO;
	int64_t place = entry_for(keeper, body.session_id, body.login, &outcome);
	if (place >= 0) {
		row = vault_row(keeper->vault, (uint32_t)place);
		if (row.kind == RPC_SECRET_PASSWORD && !seal_password(keeper, (uint32_t)place, body.box_key,
		                                           sealed, sizeof(sealed), &sealed_len)) {
			outcome = (struct outcome){RPC_PROBLEM_UNAVAILABLE, "the secret cannot be opened"};
			row = (struct vault_row){0};
			sealed_len = 0;
		}
	}
	return RPC_SEND(link, KEY_SECRET_REPLY, key_secret_reply, RPC_FLAG_REPLY, message->id,
	    .problem = (uint8_t)outcome.problem, .error = wire_span_of(outcome.error),
	    .kind = (uint8_t)row.kind, .sealed = {sealed, sealed_len}, .public_key = row.blob);
}

/* Is this what a client signs to log in as `login` with this very key, and nothing else? */
static bool is_login_request(
    struct wire_span data, struct wire_span login, struct wire_span algorithm, struct wire_span blob)
{
	struct wire in = wire_over(data.at, data.len);
	struct wire_span identifier = wire_string(&in);
	uint8_t type = wire_u8(&in);
	struct wire_span user = wire_string(&in), service = wire_string(&in), method = wire_string(&in);
	uint8_t has_signature = wire_u8(&in);
	struct wire_span named = wire_string(&in), key = wire_string(&in);

	return wire_done(&in) && identifier.len >= SESSION_IDENTIFIER_MIN &&
	       identifier.len <= SESSION_IDENTIFIER_MAX && type == USERAUTH_REQUEST &&
	       wire_span_same(user, login) && wire_span_is(service, "ssh-connection") &&
	       wire_span_is(method, "publickey") && has_signature == 1 && wire_span_same(named, algorithm) &&
	       wire_span_same(key, blob);
}

/* Signs with the key at `place`. False: it could not. */
static bool sign(
    const struct keeper *keeper, uint32_t place, const struct rpc_key_secret_sign *body, struct wire_out *out)
{
	size_t len = 0;
	uint8_t *fields = vault_reveal(keeper->vault, place, &len);
	struct private_key *key = fields == NULL ? NULL : private_key_read((struct wire_span){fields, len});
	bool good = key != NULL && private_key_sign(key, body->algorithm, body->data, out);

	private_key_free(key);
	sodium_free(fields);
	return good;
}

int on_secret_sign(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_secret_sign body;
	struct outcome outcome = {RPC_PROBLEM_NONE, ""};
	uint8_t room[PRIVATE_KEY_SIGNATURE_MAX];
	struct wire_out out = wire_into(room, sizeof(room));

	if (!rpc_get_key_secret_sign(message->body, &body))
		return -EPROTO;
	int64_t place = entry_for(keeper, body.session_id, body.login, &outcome);
	struct vault_row row = place < 0 ? (struct vault_row){0} : vault_row(keeper->vault, (uint32_t)place);
	if (place >= 0 && row.kind != RPC_SECRET_KEY)
		outcome = (struct outcome){RPC_PROBLEM_BAD_INPUT, "what the vault holds there is no key"};
	else if (place >= 0 && !is_login_request(body.data, body.login, body.algorithm, row.blob))
		outcome = (struct outcome){RPC_PROBLEM_BAD_INPUT,
		    "a vaulted key signs logins by itself alone, as the session's login"};
	else if (place >= 0 && !sign(keeper, (uint32_t)place, &body, &out))
		outcome = (struct outcome){RPC_PROBLEM_UNAVAILABLE, "the key could not sign"};
	if (outcome.problem != RPC_PROBLEM_NONE) {
		rpc_log(RPC_LOG_WARNING, "refused to sign with a vaulted key: %s", outcome.error);
		out = wire_into(room, sizeof(room));
	}
	return RPC_SEND(link, KEY_SECRET_SIGN_REPLY, key_secret_sign_reply, RPC_FLAG_REPLY, message->id,
	    .problem = (uint8_t)outcome.problem, .error = wire_span_of(outcome.error),
	    .signature = {room, wire_written(&out)});
}
