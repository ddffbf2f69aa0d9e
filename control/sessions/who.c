/* SPDX-License-Identifier: Apache-2.0 */
/* Who is it? */
#include "control/sessions/who.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/sessions/proof.h"

#define PERMIT_OPENSSH                                                                                       \
	(RPC_PERMIT_PTY | RPC_PERMIT_PORT_FORWARDING | RPC_PERMIT_AGENT_FORWARDING |                         \
	    RPC_PERMIT_X11_FORWARDING | RPC_PERMIT_USER_RC)

void who_accept(struct control *control, struct session *session, uint32_t id, json_t *detail)
{
	history_update(control, session);
	if (detail != NULL) {
		offers_put(&session->offered, detail);
		session_event(control, session, "auth", detail);
	}
	PEER_REPLY(&control->peers.workers[session->worker], id, SES_WHO_REPLY, ses_who_reply, .accepted = 1,
	    .user = wire_span_of(session->user), .second_factor = session->rule->ssh->second_factor);
}

void who_refuse(struct control *control, struct session *session, uint32_t id, const char *message)
{
	char text[640] = "";

	if (message[0] != '\0') {
		snprintf(text, sizeof(text), "portreeve: %s", message);
		/* It may quote a certificate, or have been cut within a letter. */
		session_text(wire_span_of(message), session->refusal, sizeof(session->refusal));
	} else if (session->refusal[0] == '\0') {
		snprintf(session->refusal, sizeof(session->refusal), "no known key was offered");
	}
	/* Who is nobody is asked for as much as somebody. */
	PEER_REPLY(&control->peers.workers[session->worker], id, SES_WHO_REPLY, ses_who_reply, .accepted = 0,
	    .message = wire_span_of(text));
}

void who_settle(
    struct session *session, const struct user *user, struct wire_span login, enum rpc_identity identity)
{
	snprintf(session->user, sizeof(session->user), "%s", user->name);
	snprintf(session->user_id, sizeof(session->user_id), "%s", user->user_id);
	snprintf(session->email, sizeof(session->email), "%s", user->email);
	(void)wire_span_copy(login, session->login, sizeof(session->login));
	session->identity = identity;
	session->to_origin = session->by_origin = session->factor_shown = false;
	session->key_fingerprint[0] = '\0';
	session_keep_key(session, (struct wire_span){0});
	free(session->force_command);
	session->force_command = NULL;
	session->key_permits = PERMIT_OPENSSH;
	session->refusal[0] = '\0';
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
		return who->proof.len <= PROOF_MAX;
	case RPC_WHO_UNTAKEN:
		return who->proof.len == 0;
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
		who_judge_key(control, session, message, &who);
		break;
	case RPC_WHO_UNTAKEN:
		who_note_untaken(control, session, message->id, &who);
		break;
	case RPC_WHO_ADDRESS:
		who_judge_address(control, session, message->id, &who);
		break;
	case RPC_WHO_ORIGIN:
		who_judge_unproven(control, session, message->id, &who);
		break;
	}
	return 0;
}
