/* SPDX-License-Identifier: Apache-2.0 */
/* Who is it? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "control/identity/bindings.h"
#include "control/sessions/proof.h"

#define PERMIT_OPENSSH                                                                                       \
	(RPC_PERMIT_PTY | RPC_PERMIT_PORT_FORWARDING | RPC_PERMIT_AGENT_FORWARDING |                         \
	    RPC_PERMIT_X11_FORWARDING | RPC_PERMIT_USER_RC)

#define WHO_KEY_MAX 16384 /* bytes of a certificate: an RSA one of 16,384 bits has less than half */

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

/* The session is this user's from now on. */
static void settle_user(
    struct session *session, const struct user *user, struct wire_span login, enum rpc_identity identity)
{
	snprintf(session->user, sizeof(session->user), "%s", user->name);
	snprintf(session->user_id, sizeof(session->user_id), "%s", user->user_id);
	snprintf(session->email, sizeof(session->email), "%s", user->email);
	(void)wire_span_copy(login, session->login, sizeof(session->login));
	session->identity = identity;
	session->to_origin = false;
	session->key_fingerprint[0] = '\0';
	free(session->force_command);
	session->force_command = NULL;
	session->key_permits = PERMIT_OPENSSH;
	session->refusal[0] = '\0';
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
	settle_user(session, user, who->login, facts != NULL ? RPC_IDENTITY_CERTIFICATE : RPC_IDENTITY_KEY);
	public_key_fingerprint(who->public_key, session->key_fingerprint);
	if (facts != NULL) {
		session->force_command =
		    facts->force_command[0] != '\0' ? strdup(facts->force_command) : NULL;
		session->key_permits = facts->permits;
	}
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
	    client_cas_find(&control->client_cas, certificate.ca_blob, time(NULL)),
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

	if (error == 0 && rpc_get_key_ca_reply(body, &reply))
		client_cas_take(&control->client_cas, reply.keys);
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
	CALL(&options, key_ca, .ca = RPC_CA_CLIENT, .action = RPC_CA_SHOW);
}

/* -- without a key ----------------------------------------------------------------------------------------
 */

static void time_text(int64_t at, char text[32])
{
	audit_time(at, text);
	text[10] = ' ';
}

static void judge_address(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	char address[TARGET_ADDRESS_SIZE], until[32], message[256] = "";
	int64_t expires_at = 0;
	struct user user;

	binding_address((struct wire_span){session->client_addr, session->addr_len}, session->vlan, address);
	switch (bindings_find(&control->db, address, time(NULL), &user, &expires_at)) {
	case BINDING_GOOD:
		settle_user(session, &user, who->login, RPC_IDENTITY_ADDRESS);
		history_update(control, session);
		session_event(control, session, "auth",
		    json_pack("{s:b, s:s, s:s}", "success", 1, "method", "address", "address", address));
		answer_who(control, session, id, true, "");
		user_free(&user);
		return;
	case BINDING_EXPIRED:
		time_text(expires_at, until);
		snprintf(message, sizeof(message),
		    "your address %s was signed in until %s; sign in again (VPN, network access) and retry",
		    address, until);
		break;
	case BINDING_NONE:
		/* Where nothing else helps, it is no secret what would. */
		if (session->rule->ssh->identities == RPC_IDENTITY_ADDRESS)
			snprintf(message, sizeof(message),
			    "your address %s is not signed in; sign in first (VPN, network access) and retry",
			    address);
		break;
	}
	refuse_user(control, session, id, message);
}

/* The origin will say whether it is the one whom the login names; only who is enrolled is worth the question.
 */
static void judge_unproven(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	char login[WORD_SIZE];
	struct user user;

	if (!wire_span_copy(who->login, login, sizeof(login)) || !users_find(&control->db, login, &user)) {
		refuse_user(control, session, id, "");
		return;
	}
	settle_user(session, &user, who->login, RPC_IDENTITY_ORIGIN);
	history_update(control, session);
	answer_who(control, session, id, true, "");
	user_free(&user);
}

static void judge_key(struct control *control, struct session *session, struct rpc_message *message,
    const struct rpc_ses_who *who)
{
	bool certificate = certificate_is(who->public_key);
	uint32_t wanted = certificate ? RPC_IDENTITY_CERTIFICATE : RPC_IDENTITY_KEY;

	if ((session->rule->ssh->identities & wanted) == 0) {
		snprintf(session->refusal, sizeof(session->refusal), "the rule takes no %s",
		    certificate ? "certificates" : "enrolled keys");
		refuse_user(control, session, message->id, "");
	} else if (!certificate)
		judge_plain(control, session, message->id, who);
	else if (control->client_cas.count == 0)
		ask_client_ca(control, session, message);
	else
		judge_certificate(control, session, message->id, who);
}

/* A login that is text: of another one nothing could be told later. */
static bool login_is_text(struct wire_span login)
{
	char text[WORD_SIZE];

	session_text(login, text, sizeof(text));
	return login.len < WORD_SIZE && wire_span_is(login, text);
}

/* Is the question one that may be asked now, of this kind, by this rule? */
static bool may_ask(const struct session *session, const struct rpc_ses_who *who)
{
	/* The origin comes first, and nobody changes who they are once they are in. */
	if (session == NULL || session->rule == NULL || session->target_id[0] == '\0' || session->granted ||
	    !login_is_text(who->login))
		return false;
	uint32_t identities = session->rule->ssh->identities;
	switch (who->method) {
	case RPC_WHO_PUBLICKEY:
		return who->public_key.len <= WHO_KEY_MAX && who->proof.len <= PROOF_MAX;
	case RPC_WHO_ADDRESS:
		return (identities & RPC_IDENTITY_ADDRESS) != 0 && who->public_key.len + who->proof.len == 0;
	case RPC_WHO_ORIGIN:
		return (identities & RPC_IDENTITY_ORIGIN) != 0 && who->public_key.len + who->proof.len == 0;
	default:
		return false;
	}
}

int session_on_who(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_who who;

	if (!rpc_get_ses_who(message->body, &who))
		return -EPROTO;
	struct session *session = session_find(control, link->index, who.flow);
	if (!may_ask(session, &who)) {
		PEER_REPLY(&control->peers.workers[link->index], message->id, SES_WHO_REPLY, ses_who_reply,
		    .accepted = 0);
		return 0;
	}
	(void)wire_span_copy(who.login, session->asked_login, sizeof(session->asked_login));
	switch (who.method) {
	case RPC_WHO_PUBLICKEY:
		judge_key(control, session, message, &who);
		break;
	case RPC_WHO_ADDRESS:
		judge_address(control, session, message->id, &who);
		break;
	case RPC_WHO_ORIGIN:
		judge_unproven(control, session, message->id, &who);
		break;
	}
	return 0;
}
