/* SPDX-License-Identifier: Apache-2.0 */
/* May they? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"

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
	    .force_command = wire_span_of(session->force_command == NULL ? "" : session->force_command),
	    .origin_auth = {ssh->origin_auth, ssh->origin_auth_count});
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
