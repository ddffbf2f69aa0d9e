/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_channel: the worker's ends of the two slab channels with one dataplane lcore.
 *
 * In come SLAB_FLOW_* descriptors, which become sessions and their sockets' bytes; out go SLAB_LEG_*. The
 * dataplane does not trust the worker and the worker believes only what slab.c checked and what names a live
 * session: a descriptor for an unknown flow gives its slab back and is counted.
 */
#ifndef SSHTERM_FLOW_CHANNEL_H
#define SSHTERM_FLOW_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/slab/slab.h"

struct vsock;
struct session;
struct worker;

struct flow_channel {
	struct worker *worker;
	uint32_t lcore;
	uint32_t epoch;           /* of the dataplane that is at the other end */
	struct slab_consumer *in; /* NULL until its end has arrived */
	struct slab_producer *out;
	struct vsock *dirty;      /* sockets to settle at the end of the turn */
	bool full;                /* the last turn left some of them: no room in the ring */
	struct vsock *starving;   /* sockets that wanted a slab and found none: woken when slabs come back */
	uint32_t returns_awaited; /* sockets whose session waits for a slab of theirs to come back */
	uint64_t strays;          /* descriptors for flows that are no more */
};

/* Takes slabs back and up to a burst of descriptors in. True where there was anything. */
bool flow_channel_poll(struct flow_channel *channel);
/* Marks a socket for flow_channel_settle. */
void flow_channel_dirty(struct flow_channel *channel, struct vsock *sock);
/* Settles dirty sockets and publishes both ends. */
void flow_channel_settle(struct flow_channel *channel);
/* One descriptor without a slab. False: the ring is full. */
bool flow_channel_say(struct flow_channel *channel, uint64_t flow, uint16_t type, uint32_t leg, uint64_t arg);

void flow_channel_asleep(struct flow_channel *channel, bool asleep);
bool flow_channel_ready(const struct flow_channel *channel);
/* The other end broke the rules of the shared memory: the channel is of no use any more. */
bool flow_channel_corrupt(const struct flow_channel *channel);
/* Sessions over it are lost; both ends are closed and may be set anew. */
void flow_channel_drop(struct flow_channel *channel, const char *reason);

#endif
