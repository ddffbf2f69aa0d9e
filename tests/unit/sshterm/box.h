/* SPDX-License-Identifier: Apache-2.0 */
/* A worker without a process of its own, and the other ends of its channels, for tests in one thread. */
#ifndef TESTS_SSHTERM_BOX_H
#define TESTS_SSHTERM_BOX_H

#include "sshterm/vsock.h"
#include "sshterm/worker.h"

struct box {
	struct worker worker;
	struct slab_producer *to_worker; /* the dataplane's ends */
	struct slab_consumer *from_worker;
	int bell;                /* the worker's, that the dataplane rings when slabs come back */
	struct rpc_link control; /* control's end, when box_control was called */
};

/* What the fibers of sessions run: set before a flow is opened. */
extern void (*box_session)(struct session *session);

void box_start(struct box *box, uint32_t slabs, uint32_t slab_bytes);
void box_stop(struct box *box);
void box_control(struct box *box);
/* Opens a flow and returns its session after a turn. */
struct session *box_open(struct box *box, uint64_t flow, uint32_t receive_credit, uint32_t send_credit);
void box_data(struct box *box, uint64_t flow, uint32_t leg, const void *bytes, uint32_t len);
void box_say(struct box *box, uint64_t flow, uint16_t type, uint32_t leg);
/* Turns until nothing moves. */
void box_turn(struct box *box);
/* Next descriptor from the worker; its bytes are copied to `bytes` (slab returned if `give_back`). */
bool box_next(struct box *box, struct slab_desc *desc, void *bytes, bool give_back);

#endif
