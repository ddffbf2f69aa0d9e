/* SPDX-License-Identifier: Apache-2.0 */
/* Is this the right origin? And which host key does the client see for it? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"

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

	if (session->rule->ssh->host_keys == POLICY_HOST_KEYS_STRICT) {
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
	bool small = (session->rule->ssh->legacy_origin & legacy_bit(LEGACY_RSA_1024)) != 0;
	if (!(small ? public_key_parse_legacy : public_key_parse)(target.host_key, &key))
		refuse_target(control, session, message->id, RPC_TARGET_REFUSED, "host_key.unknown",
		    "portreeve: the origin's host key is of a kind that is not supported here");
	else
		judge_target(control, session, message->id, target.host_key);
	return 0;
}
