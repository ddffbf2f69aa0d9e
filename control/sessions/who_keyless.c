/* SPDX-License-Identifier: Apache-2.0 */
/* Who is it, where no key says so: the client's address, or the origin alone. */
#include "control/sessions/who.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/identity/bindings.h"

static void time_text(int64_t at, char text[32])
{
	audit_time(at, text);
	text[10] = ' ';
}

/* Several people may come from one address, and what a rule takes for identities are alternatives: where the
 * address's user may not have the login, and there are other ways, that address says nothing. Whose it is,
 * whoever comes from there does not learn; the audit log does, of each login once in a row. */
static bool pass_over(
    struct control *control, struct session *session, const struct user *user, const char *address)
{
	const char *login = session->asked_login;
	char why[512];

	if (session->rule->ssh->identities == RPC_IDENTITY_ADDRESS ||
	    session_user_may(session, user, login, why, sizeof(why)))
		return false;
	if (strcmp(session->passed_over, login) != 0)
		session_event(control, session, "auth",
		    json_pack("{s:b, s:s, s:s, s:s, s:s}", "success", 0, "method", "address", "address",
		        address, "bound_to", user->name, "error", why));
	snprintf(session->passed_over, sizeof(session->passed_over), "%s", login);
	return true;
}

void who_judge_address(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	char address[TARGET_ADDRESS_SIZE], until[32], message[256] = "";
	int64_t expires_at = 0;
	struct user user;

	binding_address((struct wire_span){session->client_addr, session->addr_len}, session->vlan, address);
	switch (bindings_find(&control->db, address, time(NULL), &user, &expires_at)) {
	case BINDING_GOOD:
		if (pass_over(control, session, &user, address)) {
			user_free(&user);
			break;
		}
		who_settle(session, &user, who->login, RPC_IDENTITY_ADDRESS);
		who_accept(control, session, id,
		    json_pack("{s:b, s:s, s:s}", "success", 1, "method", "address", "address", address));
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
	who_refuse(control, session, id, message);
}

/* The origin will say whether it is the one whom the login names; only who is enrolled is worth the question.
 */
void who_judge_unproven(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who)
{
	char login[WORD_SIZE];
	struct user user;

	if (!wire_span_copy(who->login, login, sizeof(login)) || !users_find(&control->db, login, &user)) {
		who_refuse(control, session, id, "");
		return;
	}
	who_settle(session, &user, who->login, RPC_IDENTITY_ORIGIN);
	who_accept(control, session, id, NULL);
	user_free(&user);
}
