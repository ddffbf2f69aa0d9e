/* SPDX-License-Identifier: Apache-2.0 */
/* May they? Control has settled it; here it is kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/control_rpc.h"
#include "sshterm/legs.h"
#include "sshterm/login.h"
#include "sshterm/worker.h"

/* What is of no fixed size. */
static int take_long_grant(struct session_grant *grant, const struct rpc_ses_may_reply *answer)
{
	const struct wire_span forwards = answer->forwards, notice = answer->session_notice;

	if (!rpc_forwards_valid(forwards) || notice.len > SESSION_NOTICE_MAX)
		return -1;
	if (forwards.len > 0) {
		grant->forwards = malloc(forwards.len);
		if (grant->forwards == NULL)
			return -1;
		memcpy(grant->forwards, forwards.at, forwards.len);
		grant->forwards_len = forwards.len;
	}
	if (notice.len > 0 &&
	    asprintf(&grant->session_notice, "%.*s\r\n", (int)notice.len, (const char *)notice.at) < 0) {
		grant->session_notice = NULL;
		return -1;
	}
	return 0;
}

void may_forget(struct session *session)
{
	free(session->grant.forwards);
	free(session->grant.session_notice);
	session->grant = (struct session_grant){0};
}

static int take_grant(struct session_grant *grant, const struct rpc_ses_may_reply *answer)
{
	grant->permits = answer->permits;
	grant->recording = (enum rpc_recording)answer->recording;
	if (answer->recording > RPC_RECORDING_STRICT || answer->recipients.len % 32 != 0 ||
	    answer->recipients.len / 32 > SESSION_RECIPIENTS_MAX)
		return -1;
	grant->recipient_count = (unsigned)(answer->recipients.len / 32);
	if (answer->recipients.len > 0)
		memcpy(grant->recipients, answer->recipients.at, answer->recipients.len);
	return wire_span_copy(answer->user_id, grant->user_id, sizeof(grant->user_id)) &&
	               wire_span_copy(answer->user_email, grant->user_email, sizeof(grant->user_email)) &&
	               wire_span_copy(answer->account_id, grant->account_id, sizeof(grant->account_id)) &&
	               take_long_grant(grant, answer) == 0
	           ? 0
	           : -1;
}

static int take_ways(struct login *login, struct wire_span origin_auth)
{
	if (origin_auth.len > RPC_ORIGIN_AUTHS_MAX)
		return -1;
	login->origin_auth_count = (unsigned)origin_auth.len;
	for (unsigned i = 0; i < login->origin_auth_count; i++) {
		login->origin_auth[i] = origin_auth.at[i];
		if (origin_auth.at[i] < RPC_ORIGIN_CERTIFICATE || origin_auth.at[i] > RPC_ORIGIN_VAULT)
			return -1;
	}
	return 0;
}

int may_ask(struct login *login, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct control_reply reply;
	struct rpc_ses_may_reply answer;

	int error = CONTROL_CALL(session, SES_MAY, ses_may, &reply, .flow = session->flow_id,
	    .login = wire_span_of(session->login));
	if (error == 0 && !rpc_get_ses_may_reply(reply.body, &answer))
		error = -EPROTO;
	if (error != 0) {
		leg_fail_control(failure, error);
	} else if (!answer.allowed) {
		session->worker->counters.denied++;
		if (login->known_by == RPC_WHO_ORIGIN) /* nobody has proven to be that user yet */
			leg_fail(failure, "denied", "portreeve: permission denied");
		else
			leg_fail(failure, "denied", "%.*s", (int)answer.message.len,
			    (const char *)answer.message.at);
	} else if (take_grant(&session->grant, &answer) != 0 || take_ways(login, answer.origin_auth) != 0) {
		leg_fail_control(failure, -EPROTO);
	}
	control_reply_free(&reply);
	return failure->close_reason == NULL ? 0 : -1;
}
