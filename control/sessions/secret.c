/* SPDX-License-Identifier: Apache-2.0 */
/* What the vault has for a session's login at its origin. Control hands on what it cannot read: a password
 * comes sealed to the worker's key, and a private key stays in the keeper. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "control/control.h"

/* NULL, or why this session gets nothing of the vault: it may stand in `text`. */
static const char *may_have_secrets(
    struct control *control, const struct session *session, char *text, size_t size)
{
	if (session == NULL)
		return "portreeve: no such session";
	if (!session_may_get(control, session, RPC_ORIGIN_VAULT, text, size))
		return text;
	if (session->secrets >= SESSION_SECRETS_MAX)
		return "portreeve: no further secret for this session";
	return NULL;
}

/* What the person at the client is told; the keeper's own words go to the log. */
static const char *refusal(const struct session *session, uint8_t problem, struct wire_span error)
{
	rpc_log(problem == RPC_PROBLEM_NOT_FOUND ? RPC_LOG_NOTICE : RPC_LOG_ERROR,
	    "session %s: nothing from the vault for login %s at %s (%s): %.*s", session->session_id,
	    session->login, session->address, session->target_id, (int)(error.len > 200 ? 200 : error.len),
	    error.len > 0 ? (const char *)error.at : "");
	return problem == RPC_PROBLEM_NOT_FOUND
	           ? "portreeve: the vault holds no secret for this login at this host; please tell the "
	             "administrator of this gateway (reeve vault put)"
	           : "portreeve: the key service of this gateway refused; please tell its administrator";
}

/* -- SECRET -- */

static void answer_secret(struct peer *worker, uint32_t id, const char *error, uint8_t kind,
    struct wire_span sealed, struct wire_span public_key)
{
	PEER_REPLY(worker, id, SES_SECRET_REPLY, ses_secret_reply, .error = wire_span_of(error), .kind = kind,
	    .sealed = sealed, .public_key = public_key);
}

static void secret_given(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_secret_reply reply;
	const char *why = "";

	if (session != NULL) {
		if (error != 0 || !rpc_get_key_secret_reply(body, &reply)) {
			reply = (struct rpc_key_secret_reply){0};
			why = keeper_failure(error);
		} else if (reply.problem != RPC_PROBLEM_NONE) {
			why = refusal(session, reply.problem, reply.error);
		} else {
			session_event(control, session, "vault.use",
			    json_pack("{s:s}", "kind", reply.kind == RPC_SECRET_KEY ? "key" : "password"));
		}
		answer_secret(&control->peers.workers[session->worker], question->request_id, why, reply.kind,
		    reply.sealed, reply.public_key);
	}
	keeper_question_free(question);
}

int session_on_secret(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_secret secret;
	char text[512];

	if (!rpc_get_ses_secret(message->body, &secret) || secret.box_key.len != crypto_box_PUBLICKEYBYTES)
		return -EPROTO;
	struct session *session = session_find(control, link->index, secret.flow);
	const char *why = may_have_secrets(control, session, text, sizeof(text));
	struct call_options options =
	    keeper_call(control, RPC_KEY_SECRET, RPC_KEY_SECRET_REPLY, secret_given, NULL);
	if (why == NULL) {
		options.argument = keeper_question(control, session, message->id, (struct wire_span){0});
		why = options.argument == NULL ? keeper_failure(-ENOMEM) : NULL;
	}
	if (why != NULL) {
		answer_secret(&control->peers.workers[link->index], message->id, why, 0,
		    (struct wire_span){0}, (struct wire_span){0});
		return 0;
	}
	session->secrets++;
	CALL(&options, key_secret, .session_id = wire_span_of(session->session_id),
	    .login = wire_span_of(session->login), .box_key = secret.box_key);
	return 0;
}

/* -- SECRET_SIGN -- */

/* SHA-1 is the rule's to allow, whatever the worker says of the origin. */
static bool may_use(const struct session *session, struct wire_span algorithm)
{
	return !wire_span_is(algorithm, "ssh-rsa") ||
	       (session->rule->ssh->legacy_origin & legacy_bit("ssh-rsa")) != 0;
}

static void answer_signature(struct peer *worker, uint32_t id, const char *error, struct wire_span signature)
{
	PEER_REPLY(worker, id, SES_SECRET_SIGN_REPLY, ses_secret_sign_reply, .error = wire_span_of(error),
	    .signature = signature);
}

static void secret_signed(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_secret_sign_reply reply;
	const char *why = "";

	if (session != NULL) {
		if (error != 0 || !rpc_get_key_secret_sign_reply(body, &reply)) {
			reply = (struct rpc_key_secret_sign_reply){0};
			why = keeper_failure(error);
		} else if (reply.problem != RPC_PROBLEM_NONE) {
			why = refusal(session, reply.problem, reply.error);
		}
		answer_signature(
		    &control->peers.workers[session->worker], question->request_id, why, reply.signature);
	}
	keeper_question_free(question);
}

int session_on_secret_sign(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_secret_sign sign;
	char text[512];

	if (!rpc_get_ses_secret_sign(message->body, &sign) || sign.data.len > SECRET_DATA_MAX)
		return -EPROTO;
	struct session *session = session_find(control, link->index, sign.flow);
	const char *why = may_have_secrets(control, session, text, sizeof(text));
	if (why == NULL && !may_use(session, sign.algorithm))
		why = "portreeve: the rule does not allow this algorithm";
	struct call_options options =
	    keeper_call(control, RPC_KEY_SECRET_SIGN, RPC_KEY_SECRET_SIGN_REPLY, secret_signed, NULL);
	if (why == NULL) {
		options.argument = keeper_question(control, session, message->id, (struct wire_span){0});
		why = options.argument == NULL ? keeper_failure(-ENOMEM) : NULL;
	}
	if (why != NULL) {
		answer_signature(
		    &control->peers.workers[link->index], message->id, why, (struct wire_span){0});
		return 0;
	}
	session->secrets++;
	CALL(&options, key_secret_sign, .session_id = wire_span_of(session->session_id),
	    .login = wire_span_of(session->login), .algorithm = sign.algorithm, .data = sign.data);
	return 0;
}
