/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_first: a login at the origin with the keys of the client's agent, which is made after the client was
 * let in.
 *
 * Theory of operation. An agent can only be asked once its client is logged in and has requested agent
 * forwarding, on a session channel. So USERAUTH_SUCCESS goes to the client first. Its first session channel
 * is confirmed by the box, with a number of the box's (AGENT_SESSION_NUMBER) and a window of 0, so that
 * requests may follow and data may not. Everything that the client sends is held, in order
 * (agent_hold.h). auth-agent-req opens the box's own channel to the agent (agent_channel.h), whose keys are
 * offered to the origin (agent_keys.h, agent_offer.h). Once the origin has let us in, what was held is
 * relayed as if it came now; the origin's confirmation of that first channel stays here, and the client gets
 * the window that it brought. From then on client messages for AGENT_SESSION_NUMBER get the origin's number,
 * and are cut where the origin takes smaller packets than the box promised; nothing else is translated.
 *
 * A client that never asks for agent forwarding (no -A, or no session at all: -N, -W) is told so: when it
 * starts a program without, or after AGENT_WAIT_US. An agent channel is never opened unasked: to a user it
 * would look like a break-in.
 *
 * While it waits: keepalive@openssh.com is answered unless an earlier global request is held, whose answer
 * would be mistaken for it (then the client gets SSH_MSG_IGNORE as a sign of life). A client that waits for
 * the answer to its pty-req, env or x11-req before it goes on to auth-agent-req gets that answer after
 * AGENT_PATIENCE_US, and the origin is not asked for one. A first channel that is closed again is forgotten
 * with all its requests, and the next one is the first.
 *
 * Nothing here knows of libssh, fibers or time: bytes, answers and the hour are handed in.
 */
#ifndef SSHTERM_AGENT_FIRST_H
#define SSHTERM_AGENT_FIRST_H

#include <stdbool.h>
#include <stdint.h>

#include "sshterm/agent_offer.h"

#define AGENT_SESSION_NUMBER 0x7ffffff0u
#define AGENT_CHANNEL_NUMBER 0x7ffffff1u
#define AGENT_SESSION_PACKET 32768u
#define AGENT_WAIT_US 10000000ull   /* for the client to open a session and ask for agent forwarding */
#define AGENT_PATIENCE_US 500000ull /* for it to send more before it has an answer */

struct agent_first_ops {
	/* The box's own message to the client. */
	void (*to_client)(void *context, const uint8_t *payload, size_t len);
	/* A USERAUTH_REQUEST to the origin; `proof`: signed. */
	void (*to_origin)(void *context, const uint8_t *payload, size_t len, bool proof);
	/* What the client had sent (`sequence`: its packet's), to be looked at and sent on now. */
	void (*relay)(void *context, const uint8_t *payload, size_t len, uint32_t sequence);
	/* A message of the origin's, to be looked at and not sent on. */
	void (*look)(void *context, const uint8_t *payload, size_t len);
	/* The origin has let us in with this key. */
	void (*logged_in)(void *context, const char *fingerprint, const struct agent_key *key);
	/* It cannot be done: the session is to be ended. `reason` is a static string. Once, and last. */
	void (*failed)(void *context, const char *reason, const char *text);
};

struct agent_first;

/* NULL: no memory. */
struct agent_first *agent_first_create(
    const struct agent_login_facts *facts, const struct agent_first_ops *ops, void *context, uint64_t now_us);
void agent_first_free(struct agent_first *agent);

/* A message 80..127 that came from a leg (0 client, 1 origin). True: it was taken; false: it goes on as it
 * is. */
bool agent_first_packet(struct agent_first *agent, unsigned from, const uint8_t *payload, size_t len,
    uint32_t sequence, uint64_t now_us);
/* The origin answered. `methods`: what it would take next; valid during the call. */
void agent_first_answered(
    struct agent_first *agent, enum agent_origin_answer answer, struct wire_span methods);
/* The origin is gone before it let us in; `text`: what it said, "" nothing. */
void agent_first_origin_gone(struct agent_first *agent, const char *text);
/* Timers. */
void agent_first_turn(struct agent_first *agent, uint64_t now_us);
uint64_t agent_first_deadline(const struct agent_first *agent);
/* Is the origin still to let us in? */
bool agent_first_waits(const struct agent_first *agent);

#endif
