/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff: one lcore's end of the slab channels to the SSH workers.
 *
 * A worker has two lanes with each lcore: the lcore is the producer of one (in-order bytes of the peers) and
 * the consumer of the other (bytes for the peers). The handoff chooses a worker for each new flow, packs
 * bytes into slabs, gives slabs back, and tells the TCP shard of the same lcore what the workers said.
 * Everything here runs on that lcore's thread.
 */
#ifndef DATAPLANE_HANDOFF_H
#define DATAPLANE_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/tcp/tcp.h"

struct handoff;

enum handoff_lane { HANDOFF_TO_WORKER, HANDOFF_FROM_WORKER };

/* `workers`: numbers 0 .. workers - 1. `flows`: as tcp_config's. NULL: no memory. */
struct handoff *handoff_create(uint32_t workers, uint32_t flows);
void handoff_destroy(struct handoff *handoff);
/* Fills in worker_context and the worker_* and slab_* functions. */
void handoff_hooks(struct handoff *handoff, struct tcp_hooks *hooks);

/* A lane from RPC_SUP_ATTACH_SLAB; takes both descriptors over (`bell` may be -1). A lane of a newer epoch
 * replaces the worker: its flows are reset first. The worker is up once both lanes are there with one epoch.
 * 0, or -errno (-EPROTO: not a channel; -EINVAL: no such worker). */
int handoff_attach(struct handoff *handoff, struct tcp_shard *shard, uint32_t worker, enum handoff_lane lane,
    int memfd, int bell, uint32_t epoch, uint64_t now_us);
/* The worker is down (RPC_SUP_PEER up = 0): its flows are reset on both sides, its channels dropped. */
void handoff_detach(struct handoff *handoff, struct tcp_shard *shard, uint32_t worker, uint64_t now_us);
/* Is any worker up that could take a new flow? */
bool handoff_any_up(const struct handoff *handoff);

/* Takes what the workers sent and what they returned, bounded a call. Returns how much there was (0: idle).
 */
uint32_t handoff_poll(struct handoff *handoff, struct tcp_shard *shard, uint64_t now_us);
/* Shows the workers what was put since the last call and rings sleepers; once a burst, after tcp_flush. */
void handoff_flush(struct handoff *handoff);

/* Raises or lowers the asleep flags of all lanes. After raising, ask handoff_ready once more, then sleep. */
void handoff_asleep(struct handoff *handoff, bool asleep);
bool handoff_ready(const struct handoff *handoff);

#define HANDOFF_COUNTERS(F)                                                                                  \
	F(workers_up, "workers that can take flows, now")                                                    \
	F(flows_opened, "flows given to workers")                                                            \
	F(workers_lost, "workers lost")                                                                      \
	F(corrupt, "channels dropped because the worker's end broke their rules")                            \
	F(violations, "descriptors refused")                                                                 \
	F(slabs_out, "slabs filled for workers")                                                             \
	F(slabs_in, "slabs taken from workers")                                                              \
	F(no_slab, "times that bytes waited for a slab")
struct handoff_counters {
#define HANDOFF_COUNTER_FIELD(name, text) uint64_t name;
	HANDOFF_COUNTERS(HANDOFF_COUNTER_FIELD)
};
const struct handoff_counters *handoff_counters(const struct handoff *handoff);

#endif
