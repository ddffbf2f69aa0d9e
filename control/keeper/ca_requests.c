/* SPDX-License-Identifier: Apache-2.0 */
/* What control may ask about the CAs: make them, change their keys, show them, sign for hosts. */
#include "control/keeper/pkcs11.h"
#include "control/keeper/sealed.h"
#include "control/keeper/token.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ca_name(uint8_t ca)
{
	static const char *const names[] = {
	    [RPC_CA_USER] = "user", [RPC_CA_CLIENT] = "client", [RPC_CA_HOST] = "host"};

	return ca < sizeof(names) / sizeof(names[0]) ? names[ca] : NULL;
}

/* -- steps ------------------------------------------------------------------------------------------------
 */

struct answer {
	enum rpc_problem problem;
	char error[KEEPER_ERROR_MAX];
};

static void fail(struct answer *answer, enum rpc_problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(struct answer *answer, enum rpc_problem problem, const char *format, ...)
{
	va_list args;

	answer->problem = problem;
	va_start(args, format);
	vsnprintf(answer->error, sizeof(answer->error), format, args);
	va_end(args);
}

static void fail_storing(struct answer *answer, const char *ca, int error)
{
	fail(answer, RPC_PROBLEM_UNAVAILABLE, "the %s CA could not be stored: %s", ca, strerror(-error));
}

static struct private_key *generate(uint8_t algorithm)
{
	switch (algorithm) {
	case RPC_CA_ED25519:
		return private_key_generate(PRIVATE_KEY_ED25519, 0);
	case RPC_CA_ECDSA_P256:
		return private_key_generate(PRIVATE_KEY_ECDSA_P256, 0);
	default:
		return private_key_generate(PRIVATE_KEY_RSA, algorithm == RPC_CA_RSA_3072 ? 3072 : 4096);
	}
}

/* A key that an admin brings, sealed for this CA of this keeper. */
static struct private_key *unseal(const struct keeper *keeper, const struct rpc_key_ca *body)
{
	struct private_key *key = NULL;
	size_t len = 0;
	uint8_t *plain = seal_open(&keeper->keyring, body->sealed, &len);

	if (plain == NULL)
		return NULL;
	struct wire in = wire_over(plain, len);
	struct wire_span purpose = wire_string(&in);
	uint8_t ca = wire_u8(&in);
	struct wire_span fields = wire_string(&in);
	if (wire_done(&in) && wire_span_is(purpose, SEALED_CA_KEY) && ca == body->ca)
		key = private_key_read(fields);
	sodium_free(plain);
	return key;
}

/* A key that is in a token, or is made there. False: answered. */
static bool obtain_in_token(
    const struct keeper *keeper, const struct rpc_key_ca *body, struct ca_key *key, struct answer *answer)
{
	static uint8_t room[PRIVATE_KEY_BLOB_MAX];
	struct wire_out blob = wire_into(room, sizeof(room));
	enum token_what what = body->action == RPC_CA_IMPORT ? TOKEN_FIND : TOKEN_GENERATE;
	struct pkcs11_name name;
	const char *wrong;

	if (body->token.len >= CA_TOKEN_URI_MAX || !pkcs11_name_read(body->token, &name, &wrong)) {
		fail(answer, RPC_PROBLEM_BAD_INPUT, "%s",
		    body->token.len >= CA_TOKEN_URI_MAX ? "the URI is too long" : wrong);
		return false;
	}
	key->token_uri = calloc(1, body->token.len + 1);
	if (key->token_uri == NULL || !wire_span_copy(body->token, key->token_uri, body->token.len + 1)) {
		fail(answer, RPC_PROBLEM_UNAVAILABLE, "out of memory");
		return false;
	}
	answer->problem = RPC_PROBLEM_UNAVAILABLE;
	if (!token_key(keeper->keyring.token, what, key->token_uri, body->algorithm, &blob, answer->error))
		return false;
	answer->problem = RPC_PROBLEM_NONE;
	return ca_key_set_blob(key, (struct wire_span){room, wire_written(&blob)}) ||
	       (fail(answer, RPC_PROBLEM_UNAVAILABLE, "out of memory"), false);
}

/* False: answered. */
static bool obtain_key(
    const struct keeper *keeper, const struct rpc_key_ca *body, struct ca_key *key, struct answer *answer)
{
	if (body->token.len > 0)
		return obtain_in_token(keeper, body, key, answer);
	key->private = body->action == RPC_CA_IMPORT ? unseal(keeper, body) : generate(body->algorithm);
	if (key->private != NULL && ca_key_set_blob(key, private_key_blob(key->private)))
		return true;
	if (body->action == RPC_CA_IMPORT)
		fail(answer, RPC_PROBLEM_BAD_INPUT,
		    "this is no key that a CA can have: expected an ed25519, ecdsa or rsa key (from 2048 "
		    "bits) "
		    "whose halves belong together");
	else
		fail(answer, RPC_PROBLEM_UNAVAILABLE, "no key could be made: out of memory or randomness");
	return false;
}

static void add_key(struct keeper *keeper, const struct rpc_key_ca *body, struct answer *answer)
{
	struct ca *ca = keyring_ca(&keeper->keyring, body->ca);
	struct ca_file file = keyring_ca_file(&keeper->keyring, body->ca, keeper->now_s());
	const char *name = ca_name(body->ca);
	struct ca_key key = {0};

	if (body->action == RPC_CA_CREATE && ca->count > 0)
		fail(answer, RPC_PROBLEM_CONFLICT,
		    "there is a %s CA already; `reeve ca rotate --type %s` makes its next key", name, name);
	else if (body->action == RPC_CA_ROTATE && ca->count == 0)
		fail(answer, RPC_PROBLEM_NOT_FOUND, "there is no %s CA yet (reeve ca create --type %s)", name,
		    name);
	else if (ca_next(ca) != NULL)
		fail(answer, RPC_PROBLEM_CONFLICT,
		    "the %s CA has a next key already: `reeve ca rotate --commit --type %s` begins to sign "
		    "with "
		    "it, --abandon drops it",
		    name, name);
	if (answer->problem != RPC_PROBLEM_NONE || !obtain_key(keeper, body, &key, answer)) {
		ca_key_free(&key);
		return;
	}
	int error = ca_add(ca, &file, &key);
	if (error == -EALREADY)
		fail(answer, RPC_PROBLEM_CONFLICT, "the %s CA has this key already", name);
	else if (error == -ENOSPC)
		fail(answer, RPC_PROBLEM_CONFLICT,
		    "the %s CA has too many old keys: end them first (reeve ca rotate --retire --type %s)",
		    name, name);
	else if (error != 0)
		fail_storing(answer, name, error);
	ca_key_free(&key);
}

/* Steps of what is there. */
static void step(struct keeper *keeper, const struct rpc_key_ca *body, struct answer *answer)
{
	struct ca *ca = keyring_ca(&keeper->keyring, body->ca);
	struct ca_file file = keyring_ca_file(&keeper->keyring, body->ca, keeper->now_s());
	const char *name = ca_name(body->ca), *missing = "has no old key";
	int error = 0;

	if (ca->count == 0) {
		fail(answer, RPC_PROBLEM_NOT_FOUND, "there is no %s CA yet (reeve ca create --type %s)", name,
		    name);
		return;
	}
	switch (body->action) {
	case RPC_CA_COMMIT:
		error = ca_commit(ca, &file, body->retire_at);
		missing = "has no next key (reeve ca rotate makes one)";
		break;
	case RPC_CA_UNDO:
		error = ca_undo(ca, &file);
		missing = "has no old key to go back to";
		break;
	case RPC_CA_RETIRE:
		error = ca_retire(ca, &file);
		break;
	case RPC_CA_ABANDON:
		error = ca_abandon(ca, &file);
		missing = "has no next key";
		break;
	default:
		break;
	}
	if (error == -ENOENT)
		fail(answer, RPC_PROBLEM_NOT_FOUND, "the %s CA %s", name, missing);
	else if (error == -EEXIST)
		fail(answer, RPC_PROBLEM_CONFLICT,
		    "the %s CA has a next key: drop it first (reeve ca rotate --abandon --type %s)", name,
		    name);
	else if (error != 0)
		fail_storing(answer, name, error);
}

/* -- what is shown ----------------------------------------------------------------------------------------
 */

static void put_key(struct wire_out *out, const struct ca_key *key)
{
	static uint8_t room[PRIVATE_KEY_BLOB_MAX + CA_TOKEN_URI_MAX + 64];
	struct wire_out one = wire_into(room, sizeof(room));

	wire_put_u8(&one, (uint8_t)key->state);
	wire_put_u64(&one, key->created_at);
	wire_put_u64(&one, key->retire_at);
	wire_put_string(&one, key->blob, key->blob_len);
	wire_put_cstring(&one, key->token_uri == NULL ? "" : key->token_uri);
	wire_put_string(out, room, wire_written(&one));
}

static void put_keys(struct wire_out *out, const struct ca *ca)
{
	for (unsigned state = RPC_CA_NEXT; state <= RPC_CA_OLD; state++)
		for (unsigned i = ca->count; i-- > 0;)
			if (ca->keys[i].state == state)
				put_key(out, &ca->keys[i]);
}

int on_ca(void *context, struct rpc_link *link, struct rpc_message *message)
{
	static uint8_t room[CA_KEYS_MAX * (PRIVATE_KEY_BLOB_MAX + CA_TOKEN_URI_MAX + 64)];
	struct keeper *keeper = context;
	struct rpc_key_ca body;
	struct answer answer = {RPC_PROBLEM_NONE, ""};
	struct wire_out keys = wire_into(room, sizeof(room));

	if (!rpc_get_key_ca(message->body, &body) || ca_name(body.ca) == NULL ||
	    body.action > RPC_CA_ABANDON || body.algorithm > RPC_CA_RSA_4096)
		return -EPROTO;
	struct ca *ca = keyring_ca(&keeper->keyring, body.ca);
	struct ca_file file = keyring_ca_file(&keeper->keyring, body.ca, keeper->now_s());
	int error = ca_expire(ca, &file);
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "an old key of the %s CA could not be retired: %s", ca_name(body.ca),
		    strerror(-error));
	if (body.action >= RPC_CA_COMMIT)
		step(keeper, &body, &answer);
	else if (body.action != RPC_CA_SHOW)
		add_key(keeper, &body, &answer);
	put_keys(&keys, ca);
	if (body.action != RPC_CA_SHOW && answer.problem == RPC_PROBLEM_NONE)
		rpc_log(RPC_LOG_NOTICE, "the keys of the %s CA were changed; it has %u", ca_name(body.ca),
		    ca->count);
	return RPC_SEND(link, KEY_CA_REPLY, key_ca_reply, RPC_FLAG_REPLY, message->id,
	    .problem = (uint8_t)answer.problem, .error = wire_span_of(answer.error),
	    .keys = {room, wire_written(&keys)});
}

int on_seal(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_seal body;
	uint8_t public_key[SEAL_PUBLIC_SIZE];

	if (!rpc_get_key_seal(message->body, &body) || !seal_public(&keeper->keyring, public_key))
		return -EPROTO;
	return RPC_SEND(link, KEY_SEAL_REPLY, key_seal_reply, RPC_FLAG_REPLY, message->id,
	    .public_key = {public_key, sizeof(public_key)});
}

/* -- certificates of origins' host keys -- */

/* A name that fits every host would make one origin's key good for all of them. */
static bool fits_all(struct wire_span principals)
{
	struct wire in = wire_over(principals.at, principals.len);

	while (wire_left(&in) > 0) {
		struct wire_span name = wire_string(&in);
		size_t wild = 0;
		for (size_t i = 0; i < name.len; i++)
			wild += name.at[i] == '*' || name.at[i] == '?' || name.at[i] == '.';
		if (wild == name.len)
			return true;
	}
	return false;
}

static void judge_host(
    const struct keeper *keeper, const struct rpc_key_certify_host *body, char error[KEEPER_ERROR_MAX])
{
	if (!keyring_has(&keeper->keyring, KEYRING_HOST_CA))
		snprintf(error, KEEPER_ERROR_MAX, "there is no host CA yet (reeve ca create --type host)");
	else if (certificate_timely(
	             body->valid_after, body->valid_before, keeper->now_s(), KEEPER_HOST_VALIDITY_S, error) &&
	         fits_all(body->principals))
		snprintf(error, KEEPER_ERROR_MAX, "one of the names would fit every host");
}

int on_certify_host(void *context, struct rpc_link *link, struct rpc_message *message)
{
	static uint8_t room[KEEPER_CERTIFICATE_MAX];
	struct keeper *keeper = context;
	struct rpc_key_certify_host body;
	char error[KEEPER_ERROR_MAX] = "";
	struct wire_out out = wire_into(room, sizeof(room));

	if (!rpc_get_key_certify_host(message->body, &body))
		return -EPROTO;
	struct certificate certificate = {
	    .public_key = body.public_key,
	    .serial = body.serial,
	    .key_id = body.key_id,
	    .principals = body.principals,
	    .valid_after = body.valid_after,
	    .valid_before = body.valid_before,
	};
	judge_host(keeper, &body, error);
	if (error[0] != '\0' || !certificate_make_host(&keeper->keyring, &certificate, &out, error)) {
		rpc_log(RPC_LOG_WARNING, "refused a host certificate: %s", error);
		out = wire_into(room, sizeof(room));
	}
	return RPC_SEND(link, KEY_CERTIFY_HOST_REPLY, key_certify_host_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(error), .certificate = {room, wire_written(&out)});
}
