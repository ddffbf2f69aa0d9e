/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_rpc: the thread that talks to supervisor and control, so that no lcore ever waits for anybody.
 *
 * It builds policies, publishes them, waits until no lcore can hold the old one, and frees it; it passes slab
 * channels on to the lcores' letter boxes, keeps the marks of who is up, and answers for counters.
 */
#ifndef DATAPLANE_CONTROL_RPC_H
#define DATAPLANE_CONTROL_RPC_H

#include "control/rpc/rpc.h"
#include "dataplane/lcore.h"

struct control_rpc {
	struct rpc_link supervisor, control;
	struct dataplane *dataplane;
	uint32_t state;
	struct policy *policy; /* in force */
};

/* Before start: waits for the configuration. False: the supervisor went away or broke the protocol. */
bool control_rpc_wait_config(struct control_rpc *c, struct rpc_sup_config_dataplane *config);
/* After the ports are up: handles messages until SUP_START, answers SUP_READY. False: as above, or SUP_STOP.
 */
bool control_rpc_wait_start(struct control_rpc *c);
/* The thread's body; sets dataplane->stop and wakes the lcores at SUP_STOP or when the supervisor is gone. */
void *control_rpc_run(void *control_rpc);

#endif
