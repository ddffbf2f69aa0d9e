/* SPDX-License-Identifier: Apache-2.0 */
/* Is the code right that the user typed as a second factor? The keeper knows; control sees no secret. */
#include <errno.h>
#include <stdio.h>

#include "control/control.h"

static void answer(struct control *control, const struct session *session, uint32_t id, const char *message)
{
	PEER_REPLY(&control->peers.workers[session->worker], id, SES_FACTOR_REPLY, ses_factor_reply,
	    .accepted = message[0] == '\0', .message = wire_span_of(message));
}

static void refuse(struct control *control, struct session *session, uint32_t id, const char *message)
{
	snprintf(session->refusal, sizeof(session->refusal), "%s", message);
	session_event(control, session, "auth",
	    json_pack("{s:b, s:s, s:s}", "success", 0, "method", "totp", "error", message));
	answer(control, session, id, message);
}

/* What to tell the user; "": it was right. */
static void tell(const struct rpc_key_totp_check_reply *reply, char *text, size_t size)
{
	switch ((enum rpc_totp)reply->verdict) {
	case RPC_TOTP_GOOD:
		text[0] = '\0';
		return;
	case RPC_TOTP_WRONG:
		snprintf(text, size, "portreeve: that code is not right");
		return;
	case RPC_TOTP_USED:
		snprintf(text, size, "portreeve: that code was used already; wait for the next one");
		return;
	case RPC_TOTP_LOCKED:
		snprintf(text, size, "portreeve: too many wrong codes; try again in %u minutes",
		    (reply->wait_s + 59) / 60);
		return;
	case RPC_TOTP_NONE:
		snprintf(text, size,
		    "portreeve: a second factor is needed here, and you have none yet; ask the administrator "
		    "of "
		    "this gateway (reeve user totp)");
		return;
	case RPC_TOTP_FAILED:
		break;
	}
	snprintf(text, size,
	    "portreeve: your second factor cannot be checked now; please tell the administrator of "
	    "this gateway");
}

/* No code was asked about, but whether one can be right: who has none is told before any is typed. */
static void looked(struct control *control, struct session *session, uint32_t id,
    const struct rpc_key_totp_check_reply *reply)
{
	char text[256];

	tell(reply, text, sizeof(text));
	if (reply->verdict == RPC_TOTP_GOOD || reply->verdict == RPC_TOTP_WRONG ||
	    reply->verdict == RPC_TOTP_USED)
		PEER_REPLY(&control->peers.workers[session->worker], id, SES_FACTOR_REPLY, ses_factor_reply,
		    .accepted = 0);
	else
		refuse(control, session, id, text);
}

static void checked(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_totp_check_reply reply;
	char text[256];

	/* WHO may have been asked again meanwhile: what was right was so for that user. */
	bool same = session != NULL && wire_span_is(question->saved, session->user_id);
	if (same && (error != 0 || !rpc_get_key_totp_check_reply(body, &reply))) {
		answer(control, session, question->request_id, keeper_failure(error));
	} else if (same && question->looks) {
		looked(control, session, question->request_id, &reply);
	} else if (same) {
		tell(&reply, text, sizeof(text));
		if (text[0] != '\0') {
			refuse(control, session, question->request_id, text);
		} else {
			session->factor_shown = true;
			history_update(control, session);
			session->refusal[0] = '\0';
			session_event(control, session, "auth",
			    json_pack("{s:b, s:s}", "success", 1, "method", "totp"));
			if (session->by_origin)
				session_start_by_origin(control, session);
			answer(control, session, question->request_id, "");
		}
	} else if (session != NULL) {
		answer(control, session, question->request_id, "portreeve: not authenticated");
	}
	keeper_question_free(question);
}

int session_on_factor(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_factor factor;

	if (!rpc_get_ses_factor(message->body, &factor))
		return -EPROTO;
	struct session *session = session_find(control, link->index, factor.flow);
	/* Whom the origin judges is judged by it first. */
	if (session == NULL || session->rule == NULL || session->user_id[0] == '\0' || session->granted ||
	    (session->identity == RPC_IDENTITY_ORIGIN && !session->by_origin) ||
	    session->rule->ssh->second_factor != RPC_FACTOR_TOTP) {
		PEER_REPLY(&control->peers.workers[link->index], message->id, SES_FACTOR_REPLY,
		    ses_factor_reply, .message = wire_span_of("portreeve: not authenticated"));
		return 0;
	}
	/* Once is enough: the keeper is asked no more than the codes' number would have it. */
	bool looks = factor.code.len == 0;
	if (looks && session->factor_looked) {
		PEER_REPLY(&control->peers.workers[link->index], message->id, SES_FACTOR_REPLY,
		    ses_factor_reply, .accepted = 0);
		return 0;
	}
	session->factor_looked = session->factor_looked || looks;
	/* The keeper counts a user's; this keeps one connection from being all of them. */
	if (!looks && session->factors_asked++ >= SESSION_FACTORS_MAX) {
		refuse(control, session, message->id, "portreeve: too many codes; please connect again");
		return 0;
	}
	struct keeper_question *question =
	    keeper_question(control, session, message->id, wire_span_of(session->user_id));
	if (question == NULL) {
		answer(control, session, message->id, keeper_failure(-ENOMEM));
		return 0;
	}
	question->looks = looks;
	struct call_options options =
	    keeper_call(control, RPC_KEY_TOTP_CHECK, RPC_KEY_TOTP_CHECK_REPLY, checked, question);
	CALL(&options, key_totp_check, .user = wire_span_of(session->user_id), .code = factor.code);
	return 0;
}
