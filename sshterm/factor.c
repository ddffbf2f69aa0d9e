/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second factor at the box: one question of ours (RFC 4256), by stock clients shown like any other.
 *
 * Who has proven a key is told of partial success and asked then, and so is who has given the origin a
 * password. A dialogue goes on with it.
 */
#include <errno.h>
#include <stdio.h>

#include "sshterm/control_rpc.h"
#include "sshterm/legs.h"
#include "sshterm/login.h"
#include "sshterm/worker.h"

int factor_question(struct login *login, const char *prompt, struct userauth_request *answer,
    struct wire_span *code, struct leg_failure *failure)
{
	uint8_t payload[256];
	struct wire_out out = wire_into(payload, sizeof(payload));

	wire_put_cstring(&out, ""); /* name, instruction, language */
	wire_put_cstring(&out, "");
	wire_put_cstring(&out, "");
	wire_put_u32(&out, 1);
	wire_put_cstring(&out, prompt);
	wire_put_u8(&out, 0 /* no echo */);
	if (inside_send(login->session->ssh[LEG_CLIENT], USERAUTH_QUESTION,
	        (struct wire_span){payload, wire_written(&out)}) != 0) {
		leg_fail(failure, "client_closed", "%s", "");
		return -1;
	}
	int answered = userauth_response(&login->auth, answer, failure);
	*code = answered > 0
	            ? userauth_only_answer((struct wire_span){answer->packet.bytes, answer->packet.len})
	            : (struct wire_span){0};
	return answered;
}

/* 1: right, 0: wrong, -1: cannot tell. */
static int check(struct login *login, struct wire_span code, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct control_reply reply;
	struct rpc_ses_factor_reply answer;
	char text[SESSION_TEXT_MAX];
	int right = -1;

	if (code.len == 0)
		return 0;
	int error =
	    CONTROL_CALL(session, SES_FACTOR, ses_factor, &reply, .flow = session->flow_id, .code = code);
	if (error != 0 || !rpc_get_ses_factor_reply(reply.body, &answer)) {
		leg_fail_control(failure, error != 0 ? error : -EPROTO);
	} else {
		right = answer.accepted != 0;
		if (!right && wire_span_copy(answer.message, text, sizeof(text)))
			userauth_tell(&login->auth, text);
	}
	control_reply_free(&reply);
	return right;
}

/* Who has no second factor, or is locked out, is told so in place of the question: by now they have shown who
 * they are. 0, or -1 with *failure filled in. */
static int look(struct login *login, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct control_reply reply;
	struct rpc_ses_factor_reply answer;

	int error = CONTROL_CALL(session, SES_FACTOR, ses_factor, &reply, .flow = session->flow_id);
	if (error == 0 && (!rpc_get_ses_factor_reply(reply.body, &answer) || answer.accepted != 0))
		error = -EPROTO;
	if (error != 0)
		leg_fail_control(failure, error);
	else if (answer.message.len > 0)
		leg_fail(failure, "denied", "%.*s", (int)answer.message.len, (const char *)answer.message.at);
	control_reply_free(&reply);
	return failure->close_reason == NULL ? 0 : -1;
}

/* One dialogue. 1: passed, 0: not, and the request is answered; -1: over. */
static int one_dialogue(struct login *login, struct leg_failure *failure)
{
	struct userauth_request answer = {0};
	struct wire_span code;
	int right = factor_question(login, FACTOR_PROMPT, &answer, &code, failure);

	if (right == 0) /* it has turned to something else, which RFC 4256 section 3.1 allows */
		return 0;
	if (right > 0)
		right = check(login, code, failure);
	userauth_request_free(&answer);
	return right == 0 ? userauth_refuse(&login->auth, failure) : right;
}

/* Waits for a keyboard-interactive request. */
static int next_dialogue(struct login *login, struct leg_failure *failure)
{
	for (;;) {
		userauth_request_free(&login->pending);
		if (userauth_next(&login->auth, &login->pending, failure) != 0)
			return -1;
		if (login->pending.method == USERAUTH_KEYBOARD)
			return 0;
		int rc = login->pending.method == USERAUTH_NONE ? userauth_pass_over(&login->auth, failure)
		                                                : userauth_refuse(&login->auth, failure);
		if (rc != 0)
			return -1;
	}
}

int factor_ask(struct login *login, struct leg_failure *failure)
{
	int passed = 0;

	if (login->second_factor == RPC_FACTOR_NONE)
		return 0;
	if (look(login, failure) != 0)
		return -1;
	userauth_offer(&login->auth, false, true, false);
	if (login->pending.method != USERAUTH_KEYBOARD &&
	    (userauth_continue(&login->auth, failure) != 0 || next_dialogue(login, failure) != 0))
		return -1;
	while ((passed = one_dialogue(login, failure)) == 0)
		if (next_dialogue(login, failure) != 0)
			return -1;
	login->second_factor = RPC_FACTOR_NONE;
	login->proven = true;
	login->fresh = true; /* the dialogue may go on with the origin's questions */
	return passed > 0 ? 0 : -1;
}
