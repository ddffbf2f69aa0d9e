/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge_agent: what a bridge does first where the login at the origin needs the client's agent:
 * agent_first.h between the two legs, and the login's hooks (session.h, bridge_login_first).
 */
#ifndef SSHTERM_BRIDGE_AGENT_H
#define SSHTERM_BRIDGE_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sshterm/agent_first.h"

/* What the login needs of the origin's leg. */
struct bridge_login {
	/* Sends a USERAUTH_REQUEST. 0 or -1. */
	int (*send_request)(void *context, const uint8_t *payload, size_t len);
	/* Takes the answer to it. False: it is not there yet. */
	bool (*take_answer)(void *context, enum agent_origin_answer *answer, struct wire_span *methods);
	/* As in struct agent_first_ops. */
	void (*logged_in)(void *context, const char *fingerprint, const struct agent_key *key);
	void (*failed)(void *context, const char *reason, const char *text);
};

/* What it needs of the bridge; as in struct agent_first_ops. */
struct bridge_doors {
	void (*to_client)(void *bridge, const uint8_t *payload, size_t len);
	void (*relay)(void *bridge, const uint8_t *payload, size_t len, uint32_t sequence);
	void (*look)(void *bridge, const uint8_t *payload, size_t len);
	/* Ends the session; the client is told `text`. */
	void (*end)(void *bridge, const char *reason, const char *text);
};

struct bridge_agent;

/* Everything that is handed over outlives it. NULL: no memory. */
struct bridge_agent *bridge_agent_create(const struct bridge_login *login,
    const struct agent_login_facts *facts, void *context, const struct bridge_doors *doors, void *bridge);
/* All of these take NULL for a session without such a login. */
void bridge_agent_free(struct bridge_agent *agent);
/* A message 80..127 from a leg. True: it was taken. */
bool bridge_agent_packet(
    struct bridge_agent *agent, unsigned from, const uint8_t *payload, size_t len, uint32_t sequence);
/* The origin's DISCONNECT, or its end (length 0). True: it had not let us in yet, and the session is over. */
bool bridge_agent_origin_left(struct bridge_agent *agent, const uint8_t *payload, size_t len);
/* Takes the origin's answers, and looks at the time. */
void bridge_agent_turn(struct bridge_agent *agent);
/* Has the origin not let us in yet? */
bool bridge_agent_waits(const struct bridge_agent *agent);
uint64_t bridge_agent_deadline(const struct bridge_agent *agent);

#endif
