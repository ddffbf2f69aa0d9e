/* SPDX-License-Identifier: Apache-2.0 */
/* held_queue: packets of the bridge that wait, in their order; a queue holds on to what they are recorded in.
 */
#ifndef SSHTERM_HELD_QUEUE_H
#define SSHTERM_HELD_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recording;

/* A packet that waits: for its record (strict), for bridge_run (early), or for the packet before it
 * (answers). */
struct held {
	struct held *next;
	struct recording *recording; /* NULL: waits only for those before it */
	uint64_t mark;
	uint64_t since_us;
	uint32_t sequence; /* as received on the other leg */
	bool relayed;      /* else the box's own: nobody can say UNIMPLEMENTED to it */
	uint32_t len;
	uint8_t payload[];
};

struct held_queue {
	struct held *first, *last;
	size_t bytes;
};

/* Puts a copy of the payload behind the others, with what else `like` says of it. False: no memory. */
bool queue_put(struct held_queue *queue, const uint8_t *payload, size_t len, const struct held *like);
/* Drops the first, which must be there; or all. */
void queue_drop(struct held_queue *queue);
void queue_clear(struct held_queue *queue);

#endif
