/* SPDX-License-Identifier: Apache-2.0 */
/* May they? */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "control/identity/bindings.h"

bool session_user_may(
    const struct session *session, const struct user *user, const char *login, char *why, size_t size)
{
	const struct policy_ssh *ssh = session->rule->ssh;

	if (!policy_ssh_user(ssh, user->name, &user->groups))
		snprintf(why, size,
		    "portreeve: %s may not connect to %s: rule '%s' does not list you; ask the administrator "
		    "of this gateway",
		    user->name, session->address, session->rule_name);
	else if (!policy_ssh_login(ssh, user->name, login))
		snprintf(why, size,
		    "portreeve: login '%s' is not allowed to you on %s (rule '%s', you are %s)", login,
		    session->address, session->rule_name, user->name);
	else if (!words_have(&user->logins, login))
		snprintf(
		    why, size, "portreeve: %s is not enrolled for the login name '%s'", user->name, login);
	else
		return true;
	return false;
}

/* Who is known by the origin alone brings what the origin asks for, and gets nothing of ours. A command that
 * a certificate forces is the origin's to run: only our certificate there, which inherits it, says so. */
static bool way_fits(const struct session *session, uint8_t way)
{
	if (session->force_command != NULL)
		return way == RPC_ORIGIN_CERTIFICATE;
	return session->identity != RPC_IDENTITY_ORIGIN || way == RPC_ORIGIN_PASSWORD ||
	       way == RPC_ORIGIN_KEYBOARD_INTERACTIVE;
}

/* Is the client's address still the user's? */
static bool is_bound(struct control *control, const struct session *session, char *why, size_t size)
{
	char address[TARGET_ADDRESS_SIZE];
	int64_t expires_at = 0;
	struct user user;
	bool same = false;

	binding_address((struct wire_span){session->client_addr, session->addr_len}, session->vlan, address);
	if (bindings_find(&control->db, address, time(NULL), &user, &expires_at) == BINDING_GOOD) {
		same = strcmp(user.user_id, session->user_id) == 0;
		user_free(&user);
	}
	if (!same)
		snprintf(why, size,
		    "portreeve: your address %s is not signed in any more; sign in again (VPN, network "
		    "access) "
		    "and retry",
		    address);
	return same;
}

/* Is the key still the user's? */
static bool is_enrolled(struct control *control, const struct session *session, char *why, size_t size)
{
	struct user user;
	bool same = false;

	if (users_find_by_key(
	        &control->db, (struct wire_span){session->came_with, session->came_with_len}, &user)) {
		same = strcmp(user.user_id, session->user_id) == 0;
		user_free(&user);
	}
	if (!same)
		snprintf(why, size,
		    "portreeve: your key is not enrolled any more; ask the administrator of this gateway");
	return same;
}

static bool is_unrevoked(struct control *control, const struct session *session, char *why, size_t size)
{
	char text[320] = "what you came with is not known any more";

	if (session->came_with != NULL &&
	    revocations_check(&control->revocations,
	        (struct wire_span){session->came_with, session->came_with_len}, text, sizeof(text)))
		return true;
	snprintf(why, size, "portreeve: %s", text);
	return false;
}

/* Does what told who they are (WHO) tell it still? A person types the code of a second factor, or touches a
 * key, for minutes: meanwhile an administrator may have taken it back. */
static bool still_told(struct control *control, const struct session *session, char *why, size_t size)
{
	switch ((enum rpc_identity)session->identity) {
	case RPC_IDENTITY_CERTIFICATE:
		return is_unrevoked(control, session, why, size);
	case RPC_IDENTITY_KEY:
		return is_unrevoked(control, session, why, size) && is_enrolled(control, session, why, size);
	case RPC_IDENTITY_ADDRESS:
		return is_bound(control, session, why, size);
	case RPC_IDENTITY_ORIGIN: /* the origin is yet to tell */
		return true;
	}
	snprintf(why, size, "portreeve: not authenticated");
	return false;
}

/* Whose session it is, as far as that still holds: not of one that is told to end. False: it does not, and
 * there is no user to be freed. */
static bool find_user(
    struct control *control, const struct session *session, struct user *user, char *why, size_t size)
{
	bool found = users_find(&control->db, session->user, user);

	if (session->killed) {
		snprintf(why, size, "portreeve: the session was ended");
	} else if (found && strcmp(user->user_id, session->user_id) == 0) {
		if (still_told(control, session, why, size))
			return true;
	} else {
		snprintf(why, size, "portreeve: user %s was removed", session->user);
	}
	if (found)
		user_free(user);
	return false;
}

bool session_may_get(
    struct control *control, const struct session *session, uint8_t way, char *why, size_t size)
{
	struct user user;

	if (!session->granted || session->rule == NULL || session->target_id[0] == '\0' ||
	    session->identity == RPC_IDENTITY_ORIGIN)
		snprintf(why, size, "portreeve: nothing without permission");
	else if (session->at_origin)
		snprintf(why, size, "portreeve: the origin has let this session in already");
	else if (memchr(session->rule->ssh->origin_auth, way, session->rule->ssh->origin_auth_count) ==
	             NULL ||
	         !way_fits(session, way))
		snprintf(why, size, "portreeve: the rule has no such way into the origin for this session");
	else if (find_user(control, session, &user, why, size)) {
		user_free(&user);
		return true;
	}
	return false;
}

/* How the box may log in at the origin for this session. */
static uint32_t origin_auth_of(const struct session *session, uint8_t methods[RPC_ORIGIN_AUTHS_MAX])
{
	const struct policy_ssh *ssh = session->rule->ssh;
	uint32_t count = 0;

	for (uint32_t i = 0; i < ssh->origin_auth_count; i++)
		if (way_fits(session, ssh->origin_auth[i]))
			methods[count++] = ssh->origin_auth[i];
	return count;
}

/* NULL: they may. Else why not, for the user; the user has proven who they are, so it can be told. */
static const char *judge_may(
    struct control *control, const struct session *session, const char *login, char *why, size_t size)
{
	const struct policy_ssh *ssh = session->rule->ssh;
	struct user user;
	const char *verdict = why;
	uint8_t ways[RPC_ORIGIN_AUTHS_MAX];

	if (!find_user(control, session, &user, why, size))
		return why;
	if (!session_user_may(session, &user, login, why, size))
		verdict = why;
	else if (session->force_command != NULL && origin_auth_of(session, ways) == 0)
		snprintf(why, size,
		    "portreeve: your certificate forces a command, and rule '%s' has no way to log in that "
		    "keeps to it (origin_auth: certificate)",
		    session->rule_name);
	else if (ssh->recording != RPC_RECORDING_NONE && control->config.recipient_count == 0)
		snprintf(why, size,
		    "portreeve: sessions must be recorded here, but no auditor's key is configured; please "
		    "tell the "
		    "administrator of this gateway");
	else if (ssh->second_factor != RPC_FACTOR_NONE && !session->factor_shown &&
	         session->identity != RPC_IDENTITY_ORIGIN) /* theirs comes once the origin has judged them */
		snprintf(why, size, "portreeve: rule '%s' wants a second factor, which was not shown",
		    session->rule_name);
	else if (session_user_is_at_limit(control, session)) {
		control->sessions.limited_by_user++;
		snprintf(why, size,
		    "portreeve: you have %u sessions under rule '%s', and it allows no more at once; end one "
		    "first",
		    ssh->sessions_per_user, session->rule_name);
	} else
		verdict = NULL;
	user_free(&user);
	return verdict;
}

void session_start(struct control *control, struct session *session)
{
	/* Asked of our predecessor, too, whose answer the worker did not get? */
	bool again = session->granted;

	session->granted = true;
	offers_free(&session->offered);
	session_count_user(control, session);
	if (again)
		return;
	control->sessions.granted++;
	history_update(control, session);
	session_event(control, session, "session.start",
	    json_pack("{s:s, s:b}", "fingerprint", session->key_fingerprint, "recorded",
	        session->rule->ssh->recording != RPC_RECORDING_NONE));
}

void session_start_by_origin(struct control *control, struct session *session)
{
	char why[512] = "";
	struct user user;

	/* Since MAY the user may have been removed, or others have come in: a person types a password. */
	if (find_user(control, session, &user, why, sizeof(why))) {
		user_free(&user);
		if (session_user_is_at_limit(control, session))
			snprintf(why, sizeof(why), "portreeve: too many sessions at once");
	}
	/* As MAY had it: if it was our predecessor that was asked, this does not stand in the database. */
	session->permits = session->rule->ssh->permits & (session->key_permits | RPC_PERMIT_LOG_EXEC);
	session_start(control, session);
	if (why[0] != '\0')
		(void)session_kill(control, session, why);
}

static void grant(struct control *control, struct session *session, uint32_t id)
{
	const struct policy_ssh *ssh = session->rule->ssh;

	uint8_t methods[RPC_ORIGIN_AUTHS_MAX];
	uint32_t method_count = origin_auth_of(session, methods);

	session->permits = ssh->permits & (session->key_permits | RPC_PERMIT_LOG_EXEC);
	/* Who is known by nothing but what the origin will say has not begun a session yet. */
	session->to_origin = true;
	if (session->identity != RPC_IDENTITY_ORIGIN)
		session_start(control, session);
	else
		history_update(control, session);
	PEER_REPLY(&control->peers.workers[session->worker], id, SES_MAY_REPLY, ses_may_reply, .allowed = 1,
	    .permits = session->permits, .recording = (uint8_t)ssh->recording,
	    .recipients = {control->config.recipients, (size_t)control->config.recipient_count * 32},
	    .user_id = wire_span_of(session->user_id), .user_email = wire_span_of(session->email),
	    .origin_auth = {methods, method_count}, .forwards = {ssh->forwards, ssh->forwards_len},
	    .session_notice = wire_span_of(ssh->session_notice == NULL ? "" : ssh->session_notice));
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
