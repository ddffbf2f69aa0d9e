/* SPDX-License-Identifier: Apache-2.0 */
/* client_leg: the client's side of a session, from its first byte to USERAUTH_SUCCESS. */
#ifndef SSHTERM_CLIENT_LEG_H
#define SSHTERM_CLIENT_LEG_H

#include "config/wire/wire.h"
#include "sshterm/session.h"

struct inside_banners;
struct leg_failure;

/* What all client legs share. 0 or -errno. */
int client_leg_start(void);
void client_leg_stop(void);

/* Each returns 0, or -1 with *failure filled in. */
/* Does the client speak SSH? Waits a moment for its first bytes; 0 also where it says nothing yet. */
int client_leg_look(struct session *session, struct leg_failure *failure);
/* Key exchange as the client's server. */
struct client_leg_terms {
	struct wire_span host_public; /* blob of the ssh-ed25519 host key */
	const char *legacy;           /* as algorithms.h takes it */
};
int client_leg_accept(
    struct session *session, const struct client_leg_terms *terms, struct leg_failure *failure);
/* Who is it, and as whom: fills in session->user and session->login; USERAUTH_SUCCESS is still owed. At most
 * `attempts` refusals. */
int client_leg_authenticate(struct session *session, unsigned attempts, struct leg_failure *failure);
/* Gives it, after the origin's own banner. */
int client_leg_admit(struct session *session, const struct inside_banners *banners);

/* Tells a client whose leg has no key exchange yet: identification string and a DISCONNECT in the clear. */
void client_leg_refuse_early(struct session *session, const char *text);
/* Tells one that has: a banner, and a DISCONNECT with the same text. */
void client_leg_refuse(struct session *session, const char *text);

#endif
