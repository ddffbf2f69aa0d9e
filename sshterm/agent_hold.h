/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_hold: what a client sends before its login at the origin is done, in order, as it came.
 */
#ifndef SSHTERM_AGENT_HOLD_H
#define SSHTERM_AGENT_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define AGENT_HELD_MAX (512u * 1024)
#define AGENT_HELD_COST 64u /* beyond its bytes, for each packet */

struct agent_held {
	struct agent_held *next;
	uint64_t since_us;
	uint32_t sequence; /* of the packet it came in */
	uint32_t len;
	bool first;   /* belongs to the first session channel */
	bool opening; /* is the opening of it */
	uint8_t payload[];
};

/* All zeros holds nothing. */
struct agent_hold {
	struct agent_held *head, *tail;
	size_t bytes;       /* with their cost */
	unsigned questions; /* global requests that want a reply */
};

/* Copies a payload behind the others. NULL: there would be more than AGENT_HELD_MAX (*full), or no memory. */
struct agent_held *agent_hold_put(struct agent_hold *hold, const uint8_t *payload, size_t len,
    uint32_t sequence, uint64_t now_us, bool *full);
/* Takes the oldest out; the caller frees it. NULL: there is none. */
struct agent_held *agent_hold_take(struct agent_hold *hold);
/* Forgets what is held of the first channel, or all. */
void agent_hold_drop_first(struct agent_hold *hold);
void agent_hold_clear(struct agent_hold *hold);

/* A global request that wants a reply (RFC 4254 section 4)? Then *name is its name. */
bool agent_is_question(const uint8_t *payload, size_t len, struct wire_span *name);
/* A held channel request that wants a reply? Then *name is its name. */
bool agent_held_asks(const struct agent_held *held, struct wire_span *name);
/* It has had its reply: nobody else is to give one. */
void agent_held_answered(struct agent_held *held);

#endif
