/* SPDX-License-Identifier: Apache-2.0 */
/* The three decisions: is this the right origin, who is it, may they. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "control/sessions/proof.h"

#define PERMIT_OPENSSH                                                                                       \
	(RPC_PERMIT_PTY | RPC_PERMIT_PORT_FORWARDING | RPC_PERMIT_AGENT_FORWARDING |                         \
	    RPC_PERMIT_X11_FORWARDING | RPC_PERMIT_USER_RC)

#define WHO_KEY_MAX 16384 /* bytes of a certificate: an RSA one of 16,384 bits has less than half */

/* -- TARGET -----------------------------------------------------------------------------------------------
 */

static void answer_target(struct peer *worker, uint32_t id, uint8_t verdict, const char *message,
    const char *target_id, struct wire_span host_public)
{
	PEER_REPLY(worker, id, SES_TARGET_REPLY, ses_target_reply, .verdict = verdict,
	    .message = wire_span_of(message), .target_id = wire_span_of(target_id),
	    .host_public = host_public);
}

static void show_host_key(struct session *session, struct peer *worker,
    const struct keeper_question *question, struct wire_span public_key)
{
	session->host_public_len = 0;
	if (public_key.len <= sizeof(session->host_public)) {
		memcpy(session->host_public, public_key.at, public_key.len);
		session->host_public_len = (uint8_t)public_key.len;
	}
	answer_target(worker, question->request_id, question->verdict, "", session->target_id, public_key);
}

static void host_key_there(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_host_reply reply;

	if (session != NULL) {
		struct peer *worker = &control->peers.workers[session->worker];
		if (error != 0 || !rpc_get_key_host_reply(body, &reply))
			answer_target(worker, question->request_id, RPC_TARGET_REFUSED, keeper_failure(error),
			    "", (struct wire_span){0});
		else if (reply.error.len > 0)
			answer_target(worker, question->request_id, RPC_TARGET_REFUSED, keeper_failure(0), "",
			    (struct wire_span){0});
		else
			show_host_key(session, worker, question, reply.public_key);
	}
	keeper_question_free(question);
}

/* The origin is accepted: the keeper hears that the session lives, and says which key the client leg shows.
 */
static void accept_target(
    struct control *control, struct session *session, uint32_t request_id, uint8_t verdict)
{
	struct peer *keeper = &control->peers.keeper;
	struct keeper_question *question =
	    keeper_question(control, session, request_id, (struct wire_span){0});

	if (question == NULL) {
		answer_target(&control->peers.workers[session->worker], request_id, RPC_TARGET_REFUSED,
		    keeper_failure(-ENOMEM), "", (struct wire_span){0});
		return;
	}
	question->verdict = verdict;
	history_update(control, session);
	if (peer_up(keeper)) /* else it hears of it when it comes, before it is asked */
		PEER_SEND(keeper, KEY_SESSION, key_session, 0, 0,
		    .session_id = wire_span_of(session->session_id),
		    .target_id = wire_span_of(session->target_id), .live = 1);
	struct call_options options = {.peer = keeper,
	    .type = RPC_KEY_HOST,
	    .reply_type = RPC_KEY_HOST_REPLY,
	    .timeout_ms = KEEPER_TIMEOUT_MS,
	    .wait = true,
	    .fd = -1,
	    .done = host_key_there,
	    .argument = question};
	CALL(&options, key_host, .target_id = wire_span_of(session->target_id));
}

static void refuse_target(struct control *control, struct session *session, uint32_t request_id,
    uint8_t verdict, const char *event, const char *message)
{
	rpc_log(RPC_LOG_WARNING, "session %s to %s: %s", session->session_id, session->address, message);
	snprintf(session->refusal, sizeof(session->refusal), "%s", message);
	session_event(control, session, event,
	    json_pack("{s:s, s:s}", "address", session->address, "message", message));
	answer_target(&control->peers.workers[session->worker], request_id, verdict, message, "",
	    (struct wire_span){0});
}

/* Nothing is pinned at the address. */
static void first_use(struct control *control, struct session *session, uint32_t request_id,
    struct wire_span host_key, const char *target_id)
{
	char message[512];

	if (session->rule->ssh->host_keys_strict) {
		snprintf(message, sizeof(message),
		    "portreeve: the host key of %s (%s) is not known, and this rule accepts known ones only; "
		    "an administrator "
		    "can pin it with: reeve target add %s --key FILE.pub",
		    session->address, target_id, session->address);
		refuse_target(control, session, request_id, RPC_TARGET_REFUSED, "host_key.unknown", message);
		return;
	}
	if (!targets_pin(&control->db, session->address, host_key)) {
		refuse_target(control, session, request_id, RPC_TARGET_REFUSED, "host_key.unknown",
		    "portreeve: the host key could not be stored; please tell the administrator of this "
		    "gateway");
		return;
	}
	snprintf(session->target_id, sizeof(session->target_id), "%s", target_id);
	rpc_log(RPC_LOG_NOTICE, "first use of %s: its host key %s is pinned", session->address, target_id);
	session_event(control, session, "host_key.first_use",
	    json_pack("{s:s, s:s}", "address", session->address, "fingerprint", target_id));
	accept_target(control, session, request_id, RPC_TARGET_FIRST_USE);
}

static void judge_target(
    struct control *control, struct session *session, uint32_t request_id, struct wire_span host_key)
{
	char target_id[PUBLIC_KEY_FINGERPRINT_SIZE], pinned[PUBLIC_KEY_FINGERPRINT_SIZE], message[512];

	switch (targets_check(&control->db, session->address, host_key, target_id, pinned)) {
	case TARGETS_KNOWN:
		snprintf(session->target_id, sizeof(session->target_id), "%s", target_id);
		accept_target(control, session, request_id, RPC_TARGET_KNOWN);
		return;
	case TARGETS_UNKNOWN:
		first_use(control, session, request_id, host_key, target_id);
		return;
	case TARGETS_CHANGED:
		session->target_id[0] =
		    '\0'; /* whatever was accepted before: nothing is signed from here on */
		snprintf(message, sizeof(message),
		    "portreeve: the host key of %s has changed (was %s, is %s): the session is stopped "
		    "before any secret is "
		    "sent; an administrator can accept it with: reeve target forget %s",
		    session->address, pinned, target_id, session->address);
		refuse_target(control, session, request_id, RPC_TARGET_CHANGED, "host_key.changed", message);
		return;
	case TARGETS_FAILED:
		refuse_target(control, session, request_id, RPC_TARGET_REFUSED, "host_key.unknown",
		    "portreeve: known host keys cannot be read; please tell the administrator of this "
		    "gateway");
		return;
	}
}

int session_on_target(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_target target;
	struct public_key key;

	if (!rpc_get_ses_target(message->body, &target))
		return -EPROTO;
	struct session *session = session_find(control, link->index, target.flow);
	if (session == NULL || session->rule == NULL) {
		answer_target(&control->peers.workers[link->index], message->id, RPC_TARGET_REFUSED,
		    "portreeve: this session is not known any more; please connect again", "",
		    (struct wire_span){0});
		return 0;
	}
	if (!public_key_parse(target.host_key, &key))
		refuse_target(control, session, message->id, RPC_TARGET_REFUSED, "host_key.unknown",
		    "portreeve: the origin's host key is of a kind that is not supported here");
	else
		judge_target(control, session, message->id, target.host_key);
	return 0;
}

/* -- WHO --------------------------------------------------------------------------------------------------
 */

static void answer_who(
    struct control *control, const struct session *session, uint32_t id, bool accepted, const char *message)
{
	PEER_REPLY(&control->peers.workers[session->worker], id, SES_WHO_REPLY, ses_who_reply,
	    .accepted = accepted, .user = wire_span_of(accepted ? session->user : ""),
	    .message = wire_span_of(message));
}

static void refuse_user(struct control *control, struct session *session, uint32_t id, const char *message)
{
	char text[640];

	if (message[0] == '\0') {
		if (session->refusal[0] == '\0')
			snprintf(session->refusal, sizeof(session->refusal), "no known key was offered");
		answer_who(control, session, id, false, "");
		return;
	}
	snprintf(text, sizeof(text), "portreeve: %s", message);
	snprintf(session->refusal, sizeof(session->refusal), "%s", message);
	answer_who(control, session, id, false, text);
}

static bool has_proven(
    const struct session *session, const struct rpc_ses_who *who, const struct public_key *key)
{
	struct proof_claim claim = {
	    .session_identifier = {session->identifier, session->identifier_len},
	    .login = who->login,
	    .key_blob = who->public_key,
	    .key = key,
	    .host_public = {session->host_public, session->host_public_len},
	};

	return proof_holds(who->proof, &claim);
}

/* The key is `user`'s. Only a proven one changes the session. */
static void accept_user(struct control *control, struct session *session, uint32_t id,
    const struct rpc_ses_who *who, const struct public_key *key, const struct user *user,
    const struct certificate_facts *facts)
{
	if (who->proof.len == 0) {
		PEER_REPLY(&control->peers.workers[session->worker], id, SES_WHO_REPLY, ses_who_reply,
		    .accepted = 1, .user = wire_span_of(user->name));
		return;
	}
	if (!has_proven(session, who, key)) {
		rpc_log(RPC_LOG_WARNING,
		    "session %s: worker %u says that a key of %s was proven, and cannot show it",
		    session->session_id, session->worker, user->name);
		control->sessions.unproven++;
		refuse_user(control, session, id, "");
		return;
	}
	snprintf(session->user, sizeof(session->user), "%s", user->name);
	snprintf(session->user_id, sizeof(session->user_id), "%s", user->user_id);
	snprintf(session->email, sizeof(session->email), "%s", user->email);
	(void)wire_span_copy(who->login, session->login, sizeof(session->login));
	public_key_fingerprint(who->public_key, session->key_fingerprint);
	free(session->force_command);
	session->force_command =
	    facts != NULL && facts->force_command[0] != '\0' ? strdup(facts->force_command) : NULL;
	session->key_permits = facts != NULL ? facts->permits : PERMIT_OPENSSH;
	session->refusal[0] = '\0';
	history_update(control, session);
	session_event(control, session, "auth",
	    json_pack("{s:b, s:s, s:s}", "success", 1, "method", facts != NULL ? "certificate" : "publickey",
	        "fingerprint", session->key_fingerprint));
	answer_who(control, session, id, true, "");
}

static void judge_plain(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	struct public_key key;
	struct user user;

	if (!public_key_parse(who->public_key, &key) ||
	    !users_find_by_key(&control->db, who->public_key, &user)) {
		refuse_user(control, session, id, "");
		return;
	}
	accept_user(control, session, id, who, &key, &user, NULL);
	user_free(&user);
}

/* The certificate is good; whose is it, and for this login? */
static void judge_holder(struct control *control, struct session *session, uint32_t id,
    const struct rpc_ses_who *who, const struct certificate *certificate,
    const struct certificate_facts *facts)
{
	char login[WORD_SIZE], message[384];
	struct user user;

	if (!users_find_by_certificate(&control->db, certificate->serial, facts->key_id, &user)) {
		refuse_user(control, session, id,
		    "your certificate is not valid any more: its user was removed, or it was not issued "
		    "here; ask for a new one");
		return;
	}
	if (!wire_span_copy(who->login, login, sizeof(login)) || !certificate_names(certificate, login)) {
		snprintf(message, sizeof(message),
		    "your certificate is not for the login name that you asked for (%.*s)",
		    (int)(who->login.len > WORD_SIZE ? WORD_SIZE : who->login.len),
		    (const char *)who->login.at);
		refuse_user(control, session, id, message);
	} else {
		accept_user(control, session, id, who, &certificate->key, &user, facts);
	}
	user_free(&user);
}

static void judge_certificate(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	struct certificate certificate;
	struct certificate_facts facts;
	struct wire_span client = {session->client_addr, session->addr_len};
	uint8_t hash[crypto_hash_sha256_BYTES];
	char why[256] = "";

	if (!certificate_parse(who->public_key, &certificate)) {
		refuse_user(control, session, id, "");
		return;
	}
	crypto_hash_sha256(hash, who->public_key.at, who->public_key.len);
	enum certificate_verdict verdict = certificate_judge(&certificate,
	    (struct wire_span){control->client_ca, control->client_ca_len},
	    memcmp(hash, session->intact, sizeof(hash)) == 0, time(NULL), client, &facts, why, sizeof(why));
	if (verdict != CERTIFICATE_STRANGE)
		memcpy(session->intact, hash, sizeof(hash));
	switch (verdict) {
	case CERTIFICATE_GOOD:
		judge_holder(control, session, id, who, &certificate, &facts);
		return;
	case CERTIFICATE_STRANGE:
		refuse_user(control, session, id, "");
		return;
	case CERTIFICATE_REFUSED:
		refuse_user(control, session, id, why);
		return;
	}
}

/* The keeper said which key the client CA has: now the certificate that waited can be judged. */
static void client_ca_there(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_ca_reply reply;
	struct rpc_ses_who who;

	if (error == 0 && rpc_get_key_ca_reply(body, &reply) && reply.public_line.len > 0)
		control_take_client_ca(control, reply.public_line);
	if (session != NULL && rpc_get_ses_who(question->saved, &who)) {
		if (error != 0)
			refuse_user(control, session, question->request_id,
			    keeper_failure(error) + strlen("portreeve: "));
		else
			judge_certificate(control, session, question->request_id, &who);
	}
	keeper_question_free(question);
}

static void ask_client_ca(struct control *control, struct session *session, struct rpc_message *message)
{
	struct keeper_question *question = keeper_question(control, session, message->id, message->body);

	if (question == NULL) {
		refuse_user(control, session, message->id, "");
		return;
	}
	struct call_options options = {.peer = &control->peers.keeper,
	    .type = RPC_KEY_CA,
	    .reply_type = RPC_KEY_CA_REPLY,
	    .timeout_ms = KEEPER_TIMEOUT_MS,
	    .wait = true,
	    .fd = -1,
	    .done = client_ca_there,
	    .argument = question};
	CALL(&options, key_ca, .ca = RPC_CA_CLIENT, .create = 0);
}

/* A login that is text: of another one nothing could be told later. */
static bool login_is_text(struct wire_span login)
{
	char text[WORD_SIZE];

	session_text(login, text, sizeof(text));
	return login.len < WORD_SIZE && wire_span_is(login, text);
}

int session_on_who(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_who who;

	if (!rpc_get_ses_who(message->body, &who))
		return -EPROTO;
	struct session *session = session_find(control, link->index, who.flow);
	/* The origin comes first, and nobody changes who they are once they are in. */
	if (session == NULL || session->rule == NULL || session->target_id[0] == '\0' || session->granted ||
	    who.public_key.len > WHO_KEY_MAX || who.proof.len > PROOF_MAX || !login_is_text(who.login)) {
		PEER_REPLY(&control->peers.workers[link->index], message->id, SES_WHO_REPLY, ses_who_reply,
		    .accepted = 0);
		return 0;
	}
	(void)wire_span_copy(who.login, session->asked_login, sizeof(session->asked_login));
	if (!certificate_is(who.public_key))
		judge_plain(control, session, message->id, &who);
	else if (control->client_ca_len == 0)
		ask_client_ca(control, session, message);
	else
		judge_certificate(control, session, message->id, &who);
	return 0;
}

/* -- MAY --------------------------------------------------------------------------------------------------
 */

/* NULL: they may. Else why not, for the user; the user has proven who they are, so it can be told. */
static const char *judge_may(
    struct control *control, const struct session *session, const char *login, char *why, size_t size)
{
	const struct policy_ssh *ssh = session->rule->ssh;
	struct user user;
	const char *verdict = why;

	if (!users_find(&control->db, session->user, &user) || strcmp(user.user_id, session->user_id) != 0)
		snprintf(why, size, "portreeve: user %s was removed", session->user);
	else if (!policy_ssh_user(ssh, user.name, &user.groups))
		snprintf(why, size,
		    "portreeve: %s may not connect to %s: rule '%s' does not list you; ask the administrator "
		    "of this gateway",
		    user.name, session->address, session->rule_name);
	else if (!policy_ssh_login(ssh, user.name, login))
		snprintf(why, size, "portreeve: rule '%s' does not allow the login name '%s' for %s",
		    session->rule_name, login, user.name);
	else if (!words_have(&user.logins, login))
		snprintf(
		    why, size, "portreeve: %s is not enrolled for the login name '%s'", user.name, login);
	else if (ssh->recording != RPC_RECORDING_NONE && control->config.recipient_count == 0)
		snprintf(why, size,
		    "portreeve: sessions must be recorded here, but no auditor's key is configured; please "
		    "tell the "
		    "administrator of this gateway");
	else
		verdict = NULL;
	user_free(&user);
	return verdict;
}

static void grant(struct control *control, struct session *session, uint32_t id)
{
	const struct policy_ssh *ssh = session->rule->ssh;

	bool again =
	    session->granted; /* asked of our predecessor, too, whose answer the worker did not get */

	session->granted = true;
	session->permits = ssh->permits & (session->key_permits | RPC_PERMIT_LOG_EXEC);
	if (!again) {
		control->sessions.granted++;
		history_update(control, session);
		database_batch_must_settle(&control->db); /* RESUME is believed by what stands there */
		session_event(control, session, "session.start",
		    json_pack("{s:s, s:b}", "fingerprint", session->key_fingerprint, "recorded",
		        ssh->recording != RPC_RECORDING_NONE));
	}
	PEER_REPLY(&control->peers.workers[session->worker], id, SES_MAY_REPLY, ses_may_reply, .allowed = 1,
	    .permits = session->permits, .recording = (uint8_t)ssh->recording,
	    .recipients = {control->config.recipients, (size_t)control->config.recipient_count * 32},
	    .user_id = wire_span_of(session->user_id), .user_email = wire_span_of(session->email),
	    .force_command = wire_span_of(session->force_command == NULL ? "" : session->force_command));
}

int session_on_may(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct peer *worker = &control->peers.workers[link->index];
	struct rpc_ses_may may;
	char login[WORD_SIZE], text[512];
	const char *why = "portreeve: not authenticated";

	if (!rpc_get_ses_may(message->body, &may))
		return -EPROTO;
	struct session *session = session_find(control, link->index, may.flow);
	/* The login must be the one that WHO was asked about: a certificate was checked against that. */
	if (session != NULL && session->rule != NULL && session->user[0] != '\0' &&
	    wire_span_copy(may.login, login, sizeof(login)) && strcmp(login, session->login) == 0) {
		why = judge_may(control, session, login, text, sizeof(text));
		if (why == NULL) {
			grant(control, session, message->id);
			return 0;
		}
		control->sessions.refused++;
		snprintf(session->refusal, sizeof(session->refusal), "%s", why);
		rpc_log(RPC_LOG_NOTICE, "session %s: %s", session->session_id, why);
	}
	PEER_REPLY(
	    worker, message->id, SES_MAY_REPLY, ses_may_reply, .allowed = 0, .message = wire_span_of(why));
	return 0;
}
