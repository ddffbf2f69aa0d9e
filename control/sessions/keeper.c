/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions need signed: exchange hashes of the client leg, certificates for the origin. */
#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"

#define BACKDATE_S 60 /* for origins whose clock is behind ours */

struct keeper_question *keeper_question(
    struct control *control, const struct session *session, uint32_t request_id, struct wire_span body)
{
	uint32_t share = CALLS_MAX / 2 / (control->peers.worker_count + 1);
	uint32_t *questions = &control->sessions.questions[session->worker];
	/* A worker that asks without end must not fill the table that all ask through. */
	struct keeper_question *question =
	    *questions >= share ? NULL : calloc(1, sizeof(*question) + body.len);

	if (question == NULL)
		return NULL;
	++*questions;
	*question = (struct keeper_question){.control = control,
	    .serial = session->serial,
	    .worker = session->worker,
	    .request_id = request_id,
	    .saved.len = body.len};
	memcpy(question->target_id, session->target_id, sizeof(question->target_id));
	if (body.len > 0) {
		question->saved.at = (const uint8_t *)(question + 1);
		memcpy(question + 1, body.at, body.len);
	}
	return question;
}

void keeper_question_free(struct keeper_question *question)
{
	question->control->sessions.questions[question->worker]--;
	free(question);
}

struct call_options keeper_call(
    struct control *control, uint16_t type, uint16_t reply_type, call_done done, void *argument)
{
	return (struct call_options){.peer = &control->peers.keeper,
	    .type = type,
	    .reply_type = reply_type,
	    .timeout_ms = KEEPER_TIMEOUT_MS,
	    .away_ms = KEEPER_AWAY_MS,
	    .wait = true,
	    .fd = -1,
	    .done = done,
	    .argument = argument};
}

const char *keeper_failure(int error)
{
	if (error == -ESTALE)
		return "portreeve: the host key that this connection began with is given up; please connect "
		       "again";
	return error == -ETIMEDOUT || error == -EPIPE
	           ? "portreeve: the key service of this gateway does not answer; please try again in a "
	             "moment"
	           : "portreeve: an internal error of this gateway; please try again";
}

/* The keeper's own words go to the log, not to the client. */
static const char *keeper_refused(const char *what, const struct session *session, struct wire_span error)
{
	rpc_log(RPC_LOG_ERROR, "session %s: the keeper refused to sign %s: %.*s", session->session_id, what,
	    (int)(error.len > 200 ? 200 : error.len), error.len > 0 ? (const char *)error.at : "");
	return "portreeve: the key service of this gateway refused; please tell its administrator";
}

/* -- SIGN -------------------------------------------------------------------------------------------------
 */

static void answer_sign(struct peer *worker, uint32_t id, const char *error, struct wire_span signature)
{
	PEER_REPLY(
	    worker, id, SES_SIGN_REPLY, ses_sign_reply, .error = wire_span_of(error), .signature = signature);
}

static void signed_hash(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_host_sign_reply reply;
	const char *why = "";

	if (session != NULL) {
		if (error != 0 || !rpc_get_key_host_sign_reply(body, &reply)) {
			reply = (struct rpc_key_host_sign_reply){0};
			why = keeper_failure(error);
		} else if (reply.error.len > 0) {
			why = keeper_refused("an exchange hash", session, reply.error);
		}
		answer_sign(
		    &control->peers.workers[session->worker], question->request_id, why, reply.signature);
	}
	keeper_question_free(question);
}

/* The first exchange hash is the session's identifier: whoever proves a key signs it. Were one signed for two
 * sessions, a worker could keep what somebody signed in the first and show it in the second. */
static bool identify(struct control *control, struct session *session, struct wire_span hash)
{
	memcpy(session->identifier, hash.at, hash.len);
	session->identifier_len = (uint8_t)hash.len;
	if (history_identify(control, session))
		return true;
	session->identifier_len = 0;
	rpc_log(RPC_LOG_WARNING,
	    "session %s: worker %u asks for a signature over another session's exchange hash",
	    session->session_id, session->worker);
	return false;
}

int session_on_sign(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct peer *worker = &control->peers.workers[link->index];
	struct rpc_ses_sign sign;

	if (!rpc_get_ses_sign(message->body, &sign) || sign.hash.len < 20 || sign.hash.len > 64)
		return -EPROTO;
	struct session *session = session_find(control, link->index, sign.flow);
	struct wire_span algorithm = sign.algorithm.len > 0 ? sign.algorithm : wire_span_of("ssh-ed25519");
	if (session == NULL || session->target_id[0] == '\0' || !session_may_sign_by(session, algorithm)) {
		answer_sign(worker, message->id, "portreeve: no such session", (struct wire_span){0});
		return 0;
	}
	if (session->identifier_len == 0 && !identify(control, session, sign.hash)) {
		answer_sign(worker, message->id, "portreeve: this exchange hash was signed before",
		    (struct wire_span){0});
		return 0;
	}
	struct call_options options = keeper_call(control, RPC_KEY_HOST_SIGN, RPC_KEY_HOST_SIGN_REPLY,
	    signed_hash, keeper_question(control, session, message->id, (struct wire_span){0}));
	if (options.argument == NULL)
		answer_sign(worker, message->id, keeper_failure(-ENOMEM), (struct wire_span){0});
	else
		CALL(&options, key_host_sign, .session_id = wire_span_of(session->session_id),
		    .hash = sign.hash, .algorithm = algorithm);
	return 0;
}

/* -- CERT -------------------------------------------------------------------------------------------------
 */

static void answer_cert(struct peer *worker, uint32_t id, const char *error, struct wire_span certificate)
{
	PEER_REPLY(worker, id, SES_CERT_REPLY, ses_cert_reply, .error = wire_span_of(error),
	    .certificate = certificate);
}

static void certified(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_certify_reply reply;
	const char *why = "";

	if (session != NULL) {
		if (error != 0 || !rpc_get_key_certify_reply(body, &reply)) {
			reply = (struct rpc_key_certify_reply){0};
			why = keeper_failure(error);
		} else if (reply.error.len > 0) {
			why = keeper_refused("a certificate", session, reply.error);
		}
		answer_cert(
		    &control->peers.workers[session->worker], question->request_id, why, reply.certificate);
	}
	keeper_question_free(question);
}

/* NULL, or why there is no certificate: it may stand in `text`. */
static const char *may_certify(struct control *control, const struct session *session,
    struct wire_span public_key, char *text, size_t size)
{
	struct public_key key;

	if (session == NULL)
		return "portreeve: no such session";
	if (!session_may_get(control, session, RPC_ORIGIN_CERTIFICATE, text, size))
		return text;
	if (session->certificates >= SESSION_CERTIFICATES_MAX)
		return "portreeve: no further certificate for this session";
	if (!public_key_parse(public_key, &key) || key.type->kind != PUBLIC_KEY_ED25519)
		return "portreeve: expected an ssh-ed25519 key";
	return NULL;
}

/* As a certificate's source-address has it. */
static void source_address(const struct session *session, char text[INET6_ADDRSTRLEN + 4])
{
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(session->addr_len == 4 ? AF_INET : AF_INET6, session->client_addr, ip, sizeof(ip));
	snprintf(text, INET6_ADDRSTRLEN + 4, "%s/%u", ip, session->addr_len * 8u);
}

static void certify(struct control *control, struct session *session, struct keeper_question *question,
    struct wire_span public_key)
{
	uint8_t principals[WORD_SIZE + 4];
	struct wire_out out = wire_into(principals, sizeof(principals));
	char key_id[256], client[INET6_ADDRSTRLEN + 4];
	int64_t now = time(NULL);
	uint64_t serial;

	wire_put_cstring(&out, session->login);
	snprintf(key_id, sizeof(key_id), "portreeve:%s:%s", session->session_id, session->user);
	/* The box is transparent: the origin sees the client's own address. */
	source_address(session, client);
	randombytes_buf(&serial, sizeof(serial));
	struct call_options options =
	    keeper_call(control, RPC_KEY_CERTIFY, RPC_KEY_CERTIFY_REPLY, certified, question);
	CALL(&options, key_certify, .ca = RPC_CA_USER, .session_id = wire_span_of(session->session_id),
	    .public_key = public_key, .key_id = wire_span_of(key_id),
	    .principals = {principals, wire_written(&out)}, .valid_after = (uint64_t)(now - BACKDATE_S),
	    .valid_before = (uint64_t)now + session->rule->ssh->certificate_ttl_s,
	    .source_address = wire_span_of(client),
	    .force_command = wire_span_of(session->force_command == NULL ? "" : session->force_command),
	    .permits = session->permits & ~(uint32_t)RPC_PERMIT_LOG_EXEC, .serial = serial >> 1);
}

int session_on_cert(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct peer *worker = &control->peers.workers[link->index];
	struct rpc_ses_cert cert;
	char text[512];

	if (!rpc_get_ses_cert(message->body, &cert))
		return -EPROTO;
	struct session *session = session_find(control, link->index, cert.flow);
	const char *why = may_certify(control, session, cert.public_key, text, sizeof(text));
	struct keeper_question *question =
	    why != NULL ? NULL : keeper_question(control, session, message->id, (struct wire_span){0});
	if (question == NULL) {
		answer_cert(
		    worker, message->id, why != NULL ? why : keeper_failure(-ENOMEM), (struct wire_span){0});
		return 0;
	}
	session->certificates++;
	certify(control, session, question, cert.public_key);
	return 0;
}
