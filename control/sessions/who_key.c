/* SPDX-License-Identifier: Apache-2.0 */
/* Who is it, by an enrolled key or a certificate? */
#include "control/sessions/who.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/rpc/legacy.h"
#include "control/sessions/proof.h"

#define WHO_KEY_MAX 16384 /* bytes of a certificate: an RSA one of 16,384 bits has less than half */

/* Answers no. `why`: for the audit log; `told`: for the user, "" where nothing is told. */
static void refuse_key(struct control *control, struct session *session, uint32_t id,
    const struct rpc_ses_who *who, bool attested, const char *told, const char *why)
{
	offers_note(&session->offered, who->public_key, who->login,
	    &(struct offer_outcome){.refused = why, .attested = attested});
	who_refuse(control, session, id, told);
}

void who_note_untaken(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	refuse_key(control, session, id, who, false, "",
	    "not judged: its signature is wrong, its type or algorithm is not taken here, or a password was "
	    "begun with");
}

static bool has_proven(const struct session *session, const struct rpc_ses_who *who,
    const struct public_key *key, const struct certificate_facts *facts)
{
	struct proof_claim claim = {
	    .session_identifier = {session->identifier, session->identifier_len},
	    .login = who->login,
	    .key_blob = who->public_key,
	    .key = key,
	    .sk_flags = facts != NULL ? facts->sk_flags : PUBLIC_KEY_TOUCHED,
	    .sha1 = session->rule != NULL && (session->rule->ssh->legacy_client & legacy_bit("ssh-rsa")) != 0,
	    .shown = &session->shown,
	};

	return proof_holds(who->proof, &claim);
}

/* The key is `user`'s. Only a proven one changes the session. */
static void accept_user(struct control *control, struct session *session, uint32_t id,
    const struct rpc_ses_who *who, const struct public_key *key, const struct user *user,
    const struct certificate_facts *facts)
{
	struct offer_outcome outcome = {.attested = facts != NULL, .proven = who->proof.len > 0};

	if (who->proof.len == 0) {
		offers_note(&session->offered, who->public_key, who->login, &outcome);
		PEER_REPLY(&control->peers.workers[session->worker], id, SES_WHO_REPLY, ses_who_reply,
		    .accepted = 1, .user = wire_span_of(user->name));
		return;
	}
	if (!has_proven(session, who, key, facts)) {
		rpc_log(RPC_LOG_WARNING,
		    "session %s: worker %u says that a key of %s was proven, and cannot show it",
		    session->session_id, session->worker, user->name);
		control->sessions.unproven++;
		refuse_key(control, session, id, who, facts != NULL, "", "its signature does not hold");
		return;
	}
	char *forced = NULL;
	if (facts != NULL && facts->force_command[0] != '\0' &&
	    (forced = strdup(facts->force_command)) == NULL) { /* without it anything would be allowed */
		refuse_key(
		    control, session, id, who, true, "", "control has no memory for its forced command");
		return;
	}
	who_settle(session, user, who->login, facts != NULL ? RPC_IDENTITY_CERTIFICATE : RPC_IDENTITY_KEY);
	json_t *told = offers_key(who->public_key);
	snprintf(session->key_fingerprint, sizeof(session->key_fingerprint), "%s",
	    json_string_value(json_object_get(told, "fingerprint")));
	session_keep_key(session, who->public_key);
	if (facts != NULL) {
		session->force_command = forced;
		session->key_permits = facts->permits;
	}
	json_t *detail =
	    json_pack("{s:b, s:s}", "success", 1, "method", facts != NULL ? "certificate" : "publickey");
	(void)json_object_update(detail, told);
	json_decref(told);
	offers_drop(&session->offered, who->public_key, who->login); /* of it the event itself tells */
	who_accept(control, session, id, detail);
	offers_note(&session->offered, who->public_key, who->login, &outcome);
}

/* Is it revoked? True: it is refused; the key is of somebody known, so it can be told. */
static bool refuse_revoked(struct control *control, struct session *session, uint32_t id,
    const struct rpc_ses_who *who, bool attested)
{
	char why[320];

	if (revocations_check(&control->revocations, who->public_key, why, sizeof(why)))
		return false;
	refuse_key(control, session, id, who, attested, why, why);
	return true;
}

static void judge_plain(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	struct public_key key;
	struct user user;

	if (!public_key_parse(who->public_key, &key)) {
		refuse_key(control, session, id, who, false, "", "of a type or size that is not taken here");
		return;
	}
	if (!users_find_by_key(&control->db, who->public_key, &user)) {
		refuse_key(control, session, id, who, false, "", "nobody is enrolled with it");
		return;
	}
	if (!refuse_revoked(control, session, id, who, false))
		accept_user(control, session, id, who, &key, &user, NULL);
	user_free(&user);
}

/* -- certificates -----------------------------------------------------------------------------------------
 */

/* A CA whose certificates count here. */
struct counting_ca {
	struct wire_span blob;                   /* length 0: it does not count */
	const struct policy_trusted_ca *trusted; /* NULL: it is the box's own */
};

static struct counting_ca counting(
    const struct control *control, const struct session *session, struct wire_span blob)
{
	const struct policy_ssh *ssh = session->rule->ssh;

	for (uint32_t i = 0; i < ssh->trusted_ca_count; i++) {
		const struct policy_trusted_ca *ca = &ssh->trusted_cas[i];
		if (blob.len == ca->blob_len && memcmp(blob.at, ca->blob, blob.len) == 0)
			return (struct counting_ca){{ca->blob, ca->blob_len}, ca};
	}
	return (struct counting_ca){client_cas_find(&control->client_cas, blob, time(NULL)), NULL};
}

/* The enrolled user whom a principal names: one alone, or the one whose name is the login. False: `why` says
 * what is wrong. */
static bool named_by_principal(struct control *control, const struct certificate *certificate,
    struct wire_span login, struct user *user, char *why, size_t size)
{
	struct wire in = wire_over(certificate->principals.at, certificate->principals.len);
	char name[WORD_SIZE], only[WORD_SIZE] = "";
	unsigned found = 0;

	for (unsigned i = 0; wire_left(&in) > 0 && i < CERTIFICATE_PRINCIPALS_MAX; i++) {
		struct wire_span principal = wire_string(&in);
		if (in.failed || !wire_span_copy(principal, name, sizeof(name)) ||
		    !users_find(&control->db, name, user))
			continue;
		user_free(user);
		found = wire_span_is(login, name) ? 1 : found + 1;
		memcpy(only, name, sizeof(only));
		if (wire_span_is(login, name))
			break;
	}
	if (found == 1 && users_find(&control->db, only, user))
		return true;
	snprintf(why, size,
	    found == 0
	        ? "none of your certificate's principals is enrolled here; ask the administrator of this "
	          "gateway"
	        : "your certificate names several users; log in as one of them");
	return false;
}

/* The user whom a good certificate is for. False: `why` is for the client. */
static bool find_holder(struct control *control, const struct rpc_ses_who *who,
    const struct certificate *certificate, const struct certificate_facts *facts,
    const struct counting_ca *ca, struct user *user, char *why, size_t size)
{
	char login[WORD_SIZE];

	if (ca->trusted != NULL && ca->trusted->by_principal)
		return named_by_principal(control, certificate, who->login, user, why, size);
	if (facts->key_id[0] == '\0') {
		snprintf(why, size, "your certificate has no usable key id");
		return false;
	}
	bool found = ca->trusted != NULL
	                 ? users_find(&control->db, facts->key_id, user)
	                 : users_find_by_certificate(&control->db, certificate->serial, facts->key_id, user);
	if (!found && ca->trusted != NULL)
		snprintf(why, size,
		    "your certificate is of '%.100s', who is not enrolled here; ask the administrator of "
		    "this "
		    "gateway",
		    facts->key_id);
	else if (!found)
		snprintf(why, size,
		    "your certificate is not valid any more: its user was removed, or it was not issued "
		    "here; "
		    "ask for a new one");
	if (!found)
		return false;
	if (wire_span_copy(who->login, login, sizeof(login)) && certificate_names(certificate, login))
		return true;
	user_free(user);
	snprintf(why, size, "your certificate is not for the login name that you asked for (%.*s)",
	    (int)(who->login.len > WORD_SIZE ? WORD_SIZE : who->login.len), (const char *)who->login.at);
	return false;
}

static void judge_holder(struct control *control, struct session *session, uint32_t id,
    const struct rpc_ses_who *who, const struct certificate *certificate,
    const struct certificate_facts *facts, const struct counting_ca *ca)
{
	char why[512];
	struct user user;

	if (refuse_revoked(control, session, id, who, true))
		return;
	if (!find_holder(control, who, certificate, facts, ca, &user, why, sizeof(why))) {
		refuse_key(control, session, id, who, true, why, why);
		return;
	}
	accept_user(control, session, id, who, &certificate->key, &user, facts);
	user_free(&user);
}

static void judge_certificate(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	struct certificate certificate;
	struct certificate_facts facts;
	struct wire_span client = {session->client_addr, session->addr_len};
	uint8_t hash[crypto_hash_sha256_BYTES];
	char why[512] = "";

	if (!certificate_parse(who->public_key, &certificate)) {
		refuse_key(control, session, id, who, false, "", "it cannot be read");
		return;
	}
	crypto_hash_sha256(hash, who->public_key.at, who->public_key.len);
	struct counting_ca ca = counting(control, session, certificate.ca_blob);
	enum certificate_verdict verdict = certificate_judge(&certificate, ca.blob,
	    memcmp(hash, session->intact, sizeof(hash)) == 0, time(NULL), client, &facts, why, sizeof(why));
	if (verdict != CERTIFICATE_STRANGE)
		memcpy(session->intact, hash, sizeof(hash));
	switch (verdict) {
	case CERTIFICATE_GOOD:
		judge_holder(control, session, id, who, &certificate, &facts, &ca);
		return;
	case CERTIFICATE_STRANGE:
		refuse_key(control, session, id, who, false, "",
		    ca.blob.len == 0 ? "its CA does not count here" : "its CA did not sign it");
		return;
	case CERTIFICATE_REFUSED:
		refuse_key(control, session, id, who, true, why, why);
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
			refuse_key(control, session, question->request_id, &who, false,
			    keeper_failure(error) + strlen("portreeve: "),
			    keeper_failure(error) + strlen("portreeve: "));
		else
			judge_certificate(control, session, question->request_id, &who);
	}
	keeper_question_free(question);
}

static void ask_client_ca(struct control *control, struct session *session, struct rpc_message *message,
    const struct rpc_ses_who *who)
{
	struct keeper_question *question = keeper_question(control, session, message->id, message->body);

	if (question == NULL) {
		refuse_key(
		    control, session, message->id, who, false, "", "the client CA could not be asked after");
		return;
	}
	struct call_options options =
	    keeper_call(control, RPC_KEY_CA, RPC_KEY_CA_REPLY, client_ca_there, question);
	CALL(&options, key_ca, .ca = RPC_CA_CLIENT, .action = RPC_CA_SHOW);
}

/* Is it of a CA that the rule names? Then the box's own does not matter. */
static bool is_trusted(const struct control *control, const struct session *session, struct wire_span blob)
{
	struct certificate certificate;

	return certificate_parse(blob, &certificate) &&
	       counting(control, session, certificate.ca_blob).trusted != NULL;
}

void who_judge_key(struct control *control, struct session *session, struct rpc_message *message,
    const struct rpc_ses_who *who)
{
	bool certificate = certificate_is(who->public_key);
	uint32_t wanted = certificate ? RPC_IDENTITY_CERTIFICATE : RPC_IDENTITY_KEY;

	if (who->public_key.len > WHO_KEY_MAX) {
		refuse_key(control, session, message->id, who, false, "", "it is too long");
	} else if ((session->rule->ssh->identities & wanted) == 0) {
		snprintf(session->refusal, sizeof(session->refusal), "the rule takes no %s",
		    certificate ? "certificates" : "enrolled keys");
		refuse_key(control, session, message->id, who, false, "", session->refusal);
	} else if (!certificate)
		judge_plain(control, session, message->id, who);
	else if (control->client_cas.count == 0 && !is_trusted(control, session, who->public_key))
		ask_client_ca(control, session, message, who);
	else
		judge_certificate(control, session, message->id, who);
}
