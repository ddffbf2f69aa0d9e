/* SPDX-License-Identifier: Apache-2.0 */
/* client_leg: the client's side of a session, from its first byte to USERAUTH_SUCCESS. */
#ifndef SSHTERM_CLIENT_LEG_H
#define SSHTERM_CLIENT_LEG_H

#include "config/wire/wire.h"
#include "sshterm/session.h"

struct leg_failure;
struct inside_requests;

/* What all client legs share. 0 or -errno. */
int client_leg_start(void);
void client_leg_stop(void);

/* Each returns 0, or -1 with *failure filled in. */
/* Does the client speak SSH? Waits a moment for its first bytes; 0 also where it says nothing yet. */
int client_leg_look(struct session *session, struct leg_failure *failure);
/* Key exchange as the client's server, with the session's host key (host_key_set). legacy: as algorithms.h
 * takes it. requests: listens from then on. */
int client_leg_accept(struct session *session, const char *legacy, struct inside_requests *requests,
    struct leg_failure *failure);
/* A text of ours for the person at the client, before login (USERAUTH_BANNER). */
#define CLIENT_BANNER_MAX 2304
void client_leg_banner(struct session *session, const char *text);
/* USERAUTH_SUCCESS. 0 or -1. */
int client_leg_admit(struct session *session);
/* Why the leg is over. */
void client_leg_fail(struct session *session, struct leg_failure *failure);

/* Tells a client whose leg has no key exchange yet: identification string and a DISCONNECT in the clear.
 * `reason` (RFC 4253 section 11.1) as the origin gave one, else 0. */
void client_leg_refuse_early(struct session *session, uint32_t reason, const char *text);
/* The same where the identification string was sent already. */
void client_leg_refuse_plainly(struct session *session, uint32_t reason, const char *text);
/* Tells one that has: a banner, and a DISCONNECT with the same text. */
void client_leg_refuse(struct session *session, uint32_t reason, const char *text);

#endif
