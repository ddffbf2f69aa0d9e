/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/vault_login.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sshterm/control_rpc.h"
#include "sshterm/legs.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/origin_leg.h"
#include "sshterm/worker.h"

#define PASSWORD_MAX 1024
#define REQUEST_MAX (PASSWORD_MAX + SESSION_TEXT_MAX + 128)
#define SIGNED_MAX 12288 /* a session identifier, a request with an RSA key of 16,384 bits, its signature */

static enum origin_verdict deny(struct login *login, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum origin_verdict deny(struct login *login, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(login->vault_said, sizeof(login->vault_said), format, args);
	va_end(args);
	return ORIGIN_DENIED;
}

/* What the vault has is for a method that the origin does not offer, not yet perhaps: another way of the rule
 * comes first then. */
static enum origin_verdict leave(struct login *login, const char *what)
{
	login->tried &= ~(1u << RPC_ORIGIN_VAULT);
	return deny(login, "the origin takes no %s for login '%s', and the vault has one (it takes: %s)",
	    what, login->session->login, login->answers.methods);
}

/* Asks the origin, and waits for its verdict or question (answers.question). */
static int ask(struct login *login, uint8_t type, const struct wire_out *payload, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct inside_packet packet = {.type = type, .bytes = payload->start, .len = wire_written(payload)};

	if (payload->failed || inside_answers_ask(session->ssh[LEG_ORIGIN], &login->answers, &packet) != 0) {
		origin_leg_fail(session, &login->answers, failure);
		return -1;
	}
	return origin_await(login, failure);
}

static enum origin_verdict verdict_of(const struct login *login)
{
	return login->answers.success ? ORIGIN_IN : login->answers.partial ? ORIGIN_PARTIAL : ORIGIN_DENIED;
}

/* -- a password ---------------------------------------------------------------------------------------------
 */

static void begin_request(struct wire_out *out, const struct login *login, const char *method)
{
	wire_put_cstring(out, login->session->login);
	wire_put_cstring(out, "ssh-connection");
	wire_put_cstring(out, method);
}

/* RFC 4252 section 8. A wish for a new password is a no: the vault's is what there is. */
static int try_password(
    struct login *login, struct wire_span password, uint8_t *room, struct leg_failure *failure)
{
	struct wire_out out = wire_into(room, REQUEST_MAX);

	begin_request(&out, login, "password");
	wire_put_u8(&out, 0);
	wire_put_string(&out, password.at, password.len);
	int rc = ask(login, USERAUTH_REQUEST, &out, failure);
	if (rc == 0 && login->answers.question.type != 0) {
		inside_packet_wipe(&login->answers.question);
		(void)deny(login, "the origin wants a new password for login '%s'", login->session->login);
	}
	return rc;
}

/* The origin's question: how many answers it wants; `secret`: it is one, not to be echoed. -1: malformed. */
static int64_t read_question(const struct inside_packet *question, bool *secret)
{
	struct wire in = wire_over(question->bytes, question->len);

	(void)wire_string(&in); /* name */
	(void)wire_string(&in); /* instruction */
	(void)wire_string(&in); /* language */
	uint32_t prompts = wire_u32(&in);
	(void)wire_string(&in);
	uint8_t echo = wire_u8(&in);
	*secret = prompts == 1 && echo == 0 && wire_done(&in);
	return prompts == 0 ? 0 : in.failed ? -1 : (int64_t)prompts;
}

/* RFC 4256: many an origin that takes passwords takes them only so. One hidden question is answered, once;
 * another one would be for something that the vault does not have. */
static int try_dialogue(
    struct login *login, struct wire_span password, uint8_t *room, struct leg_failure *failure)
{
	struct wire_out out = wire_into(room, REQUEST_MAX);
	bool answered = false, secret = false;

	begin_request(&out, login, "keyboard-interactive");
	wire_put_cstring(&out, "");
	wire_put_cstring(&out, "");
	int rc = ask(login, USERAUTH_REQUEST, &out, failure);
	for (unsigned rounds = 0; rc == 0 && login->answers.question.type != 0; rounds++) {
		int64_t prompts = read_question(&login->answers.question, &secret);
		inside_packet_wipe(&login->answers.question);
		if (rounds > 8 || prompts < 0 || (prompts > 0 && (!secret || answered))) {
			(void)deny(login, "the origin asks login '%s' for more than the vault's password",
			    login->session->login);
			return 0;
		}
		out = wire_into(room, REQUEST_MAX);
		wire_put_u32(&out, (uint32_t)prompts);
		if (prompts == 1)
			wire_put_string(&out, password.at, password.len);
		answered = answered || prompts == 1;
		rc = ask(login, USERAUTH_INFO_RESPONSE, &out, failure);
	}
	return rc;
}

static enum origin_verdict with_password(
    struct login *login, struct wire_span password, struct leg_failure *failure)
{
	const struct inside_answers *answers = &login->answers;
	bool by_dialogue = !inside_answers_offer(answers, "password");
	int rc = 0;

	if (by_dialogue && !inside_answers_offer(answers, "keyboard-interactive"))
		return leave(login, "password");
	uint8_t *room = sodium_malloc(REQUEST_MAX);
	if (room == NULL) {
		leg_fail(failure, "error", "the appliance has no memory for another session");
		return ORIGIN_OVER;
	}
	(void)deny(login,
	    "the origin did not accept the vault's password for login '%s'; ask the administrator "
	    "of this gateway to put the present one there (reeve vault put)",
	    login->session->login);
	if (!by_dialogue)
		rc = try_password(login, password, room, failure);
	/* Some gear offers both, and takes the password in a dialogue alone. Once: it counts what it refused.
	 */
	bool refused = answers->failure && !answers->partial;
	if (rc == 0 && (by_dialogue || refused) && inside_answers_offer(answers, "keyboard-interactive"))
		rc = try_dialogue(login, password, room, failure);
	sodium_free(room);
	return rc != 0 ? ORIGIN_OVER : verdict_of(login);
}

/* Opens what was sealed to our key of the moment. */
static enum origin_verdict unseal(struct login *login, struct wire_span sealed,
    const uint8_t public_key[crypto_box_PUBLICKEYBYTES], const uint8_t *secret_key,
    struct leg_failure *failure)
{
	size_t len = sealed.len < crypto_box_SEALBYTES ? 0 : sealed.len - crypto_box_SEALBYTES;
	uint8_t *plain = sodium_malloc(len + 1);
	enum origin_verdict verdict = ORIGIN_OVER;

	if (plain != NULL && len > 0 &&
	    crypto_box_seal_open(plain, sealed.at, sealed.len, public_key, secret_key) == 0) {
		struct wire in = wire_over(plain, len);
		struct wire_span password = wire_string(&in);
		if (!in.failed && password.len > 0 && password.len <= PASSWORD_MAX)
			verdict = with_password(login, password, failure);
	}
	if (verdict == ORIGIN_OVER && failure->close_reason == NULL)
		leg_fail(failure, "error", "what the vault gave cannot be read");
	sodium_free(plain);
	return verdict;
}

/* -- a key --------------------------------------------------------------------------------------------------
 */

/* The algorithm to sign by; empty: no key that we know. */
static const char *algorithm_of(ssh_session origin, struct wire_span blob)
{
	static const char *const names[] = {
	    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};
	struct wire in = wire_over(blob.at, blob.len);
	struct wire_span type = wire_string(&in);

	if (wire_span_is(type, "ssh-rsa"))
		return inside_rsa_algorithm(origin);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (wire_span_is(type, names[i]))
			return names[i];
	return "";
}

/* RFC 4252 section 7: the signature is over the session identifier and the request; then both are sent. */
static enum origin_verdict with_key(struct login *login, struct wire_span blob, struct leg_failure *failure)
{
	struct session *session = login->session;
	ssh_session origin = session->ssh[LEG_ORIGIN];
	struct wire_span identifier = inside_session_identifier(origin);
	const char *algorithm = algorithm_of(origin, blob);
	uint8_t room[SIGNED_MAX];
	struct wire_out out = wire_into(room, sizeof(room));
	struct control_reply reply;
	struct rpc_ses_secret_sign_reply answer;

	if (!inside_answers_offer(&login->answers, "publickey"))
		return leave(login, "key");
	wire_put_string(&out, identifier.at, identifier.len);
	wire_put_u8(&out, USERAUTH_REQUEST);
	uint8_t *request = out.at;
	begin_request(&out, login, "publickey");
	wire_put_u8(&out, 1);
	wire_put_cstring(&out, algorithm);
	wire_put_string(&out, blob.at, blob.len);
	int error = out.failed ? -EMSGSIZE
	                       : CONTROL_CALL(session, SES_SECRET_SIGN, ses_secret_sign, &reply,
	                             .flow = session->flow_id, .algorithm = wire_span_of(algorithm),
	                             .data = {room, wire_written(&out)});
	if (error != 0) {
		leg_fail_control(failure, error);
		return ORIGIN_OVER;
	}
	enum origin_verdict verdict = ORIGIN_OVER;
	if (!rpc_get_ses_secret_sign_reply(reply.body, &answer)) {
		leg_fail_control(failure, -EPROTO);
	} else if (answer.error.len > 0) {
		verdict = deny(login, "%.*s", (int)answer.error.len, (const char *)answer.error.at);
	} else {
		wire_put_string(&out, answer.signature.at, answer.signature.len);
		out.start = request;
		(void)deny(login,
		    "the origin did not accept the vault's key for login '%s'; its authorized keys must "
		    "hold it (reeve vault ls shows it)",
		    session->login);
		verdict = ask(login, USERAUTH_REQUEST, &out, failure) != 0 ? ORIGIN_OVER : verdict_of(login);
	}
	control_reply_free(&reply);
	return verdict;
}

/* -----------------------------------------------------------------------------------------------------------
 */

enum origin_verdict vault_login(struct login *login, struct leg_failure *failure)
{
	struct session *session = login->session;
	uint8_t public_key[crypto_box_PUBLICKEYBYTES];
	uint8_t *secret_key = sodium_malloc(crypto_box_SECRETKEYBYTES);
	enum origin_verdict verdict = ORIGIN_OVER;
	struct control_reply reply = {0};
	struct rpc_ses_secret_reply answer;

	if (secret_key == NULL) {
		leg_fail(failure, "error", "the appliance has no memory for another session");
		return ORIGIN_OVER;
	}
	crypto_box_keypair(public_key, secret_key);
	int error = CONTROL_CALL(session, SES_SECRET, ses_secret, &reply, .flow = session->flow_id,
	    .box_key = {public_key, sizeof(public_key)});
	if (error == 0 && !rpc_get_ses_secret_reply(reply.body, &answer))
		error = -EPROTO;
	if (error == 0 && answer.error.len == 0 &&
	    (answer.kind == RPC_SECRET_PASSWORD || answer.kind == RPC_SECRET_KEY))
		login->vault_kind = (enum rpc_secret)answer.kind;
	if (error != 0)
		leg_fail_control(failure, error);
	else if (answer.error.len > 0)
		verdict = deny(login, "%.*s", (int)answer.error.len, (const char *)answer.error.at);
	else if (answer.kind == RPC_SECRET_PASSWORD)
		verdict = unseal(login, answer.sealed, public_key, secret_key, failure);
	else if (answer.kind == RPC_SECRET_KEY)
		verdict = with_key(login, answer.public_key, failure);
	else
		leg_fail_control(failure, -EPROTO);
	control_reply_free(&reply);
	sodium_free(secret_key);
	return verdict;
}
