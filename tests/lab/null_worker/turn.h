/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn: what the null worker does with the bytes of adopted connections.
 *
 * A lane is the worker's two ends with one dataplane lcore. In relay mode a leg's bytes go out by the other
 * leg, so that client and origin talk to each other through two real TCP endpoints of the box; in echo mode
 * they go back by the leg they came from. FIN follows the bytes before it (in echo mode to both legs: the
 * origin learns that the client has gone). An RST is handed over by the dataplane itself; here the flow only
 * becomes silent.
 *
 * Bytes for which no slab or no credit is left are copied out and kept; CONSUMED is said of bytes that have
 * gone into an outgoing slab, so what a slow reader leaves lying closes the window of the other side.
 */
#ifndef TESTS_LAB_NULL_WORKER_TURN_H
#define TESTS_LAB_NULL_WORKER_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/slab/slab.h"

enum turn_mode { TURN_RELAY, TURN_ECHO };

struct turn_flow;

struct turn_lane {
	enum turn_mode mode;
	uint32_t epoch;           /* of the dataplane at the other end */
	struct slab_consumer *in; /* both NULL, or (while they arrive) one of them */
	struct slab_producer *out;
	struct turn_flow **flows; /* by the low half of their id */
	uint32_t places;
	struct turn_flow *dirty;    /* to settle at the end of the turn */
	struct turn_flow *starving; /* found no slab in the pool: tried again when one comes back */
	uint64_t live, total;       /* flows */
	uint64_t bytes;             /* turned round */
	uint64_t strays;            /* descriptors for flows that are no more */
};

/* Takes slabs back and a burst of descriptors in. True where there was anything. */
bool turn_poll(struct turn_lane *lane);
/* The end of a turn: puts what was written, FIN and CONSUMED, and publishes both ends. */
void turn_settle(struct turn_lane *lane);
void turn_asleep(struct turn_lane *lane, bool asleep);
bool turn_ready(const struct turn_lane *lane);
/* The other end broke the rules of the shared memory. */
bool turn_corrupt(const struct turn_lane *lane);
/* Asks for an RST on both legs of every flow. */
void turn_reset_all(struct turn_lane *lane);
/* Forgets all flows and closes both ends. */
void turn_drop(struct turn_lane *lane);

#endif
