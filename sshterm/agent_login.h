/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_login: a session whose login at the origin is made with the client's forwarded agent.
 *
 * The other ways in are done before the client is let in; this one is prepared there, and done by the bridge
 * (agent_first.h) once the client is. It is the last way of a rule: after it nobody can be asked for a
 * password any more.
 */
#ifndef SSHTERM_AGENT_LOGIN_H
#define SSHTERM_AGENT_LOGIN_H

#include "sshterm/login.h"

/* Keeps what the login will need. ORIGIN_LATER, or ORIGIN_OVER with *failure filled in. */
enum origin_verdict agent_login_prepare(struct login *login, struct leg_failure *failure);
/* The client was let in: hands the login to the bridge, where one was prepared. 0, or -1 with *failure filled
 * in. */
int agent_login_begin(struct session *session, struct leg_failure *failure);
/* The session is over, or the client was never let in; before its libssh sessions are freed. */
void agent_login_free(struct session *session);

#endif
