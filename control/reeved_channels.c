/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies between children: RPC links, slab channels, bells.
 *
 * The supervisor makes them and keeps nothing but its own copy of the bells: a channel belongs to its two
 * ends. Every start of a child brings fresh channels and fresh bells, all with that start's epoch; a survivor
 * sees the higher epoch and drops what it had.
 */
#include "control/reeved.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/slab/slab.h"

/* Who talks to whom by RPC. */
static const struct {
	enum rpc_role a, b;
} rpc_pairs[] = {
    {RPC_CONTROL, RPC_KEEPER},
    {RPC_CONTROL, RPC_DATAPLANE},
    {RPC_CONTROL, RPC_SSHTERM},
    {RPC_CONTROL, RPC_RECORDER},
};

int channels_make_bells(const struct reeved *reeved, struct child *child)
{
	unsigned count = child->role == RPC_DATAPLANE ? reeved->settings.lcore_count
	                 : child->role == RPC_SSHTERM || child->role == RPC_RECORDER ? 1
	                                                                             : 0;

	for (child->bell_count = 0; child->bell_count < count; child->bell_count++) {
		int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (bell < 0)
			return -errno;
		child->bells[child->bell_count] = bell;
	}
	return 0;
}

void channels_close_bells(struct child *child)
{
	for (unsigned i = 0; i < child->bell_count; i++)
		close(child->bells[i]);
	child->bell_count = 0;
}

int channels_send_bells(struct child *child)
{
	int error = 0;

	for (unsigned i = 0; error == 0 && i < child->bell_count; i++)
		error = RPC_SEND_FDS(
		    &child->link, SUP_ATTACH_BELL, sup_attach_bell, 0, 0, &child->bells[i], 1, .lcore = i);
	return error;
}

static int attach_rpc(struct child *a, struct child *b, uint32_t epoch, struct child **at_fault)
{
	int fds[2];
	int error = rpc_pair(fds);

	if (error != 0)
		return error;
	*at_fault = a;
	error = RPC_SEND_FDS(&a->link, SUP_ATTACH_RPC, sup_attach_rpc, 0, 0, &fds[0], 1,
	    .role = (uint8_t)b->role, .index = b->index, .epoch = epoch);
	if (error == 0) {
		*at_fault = b;
		error = RPC_SEND_FDS(&b->link, SUP_ATTACH_RPC, sup_attach_rpc, 0, 0, &fds[1], 1,
		    .role = (uint8_t)a->role, .index = a->index, .epoch = epoch);
	}
	close(fds[0]);
	close(fds[1]);
	return error;
}

/* One end of a slab channel: the memory, and the bell of the other end. */
static int send_slab(struct child *to, const struct child *peer, int memfd, int peer_bell, uint32_t lcore,
    enum rpc_lane lane, enum rpc_side side, uint32_t epoch)
{
	int fds[2] = {memfd, peer_bell};

	return RPC_SEND_FDS(&to->link, SUP_ATTACH_SLAB, sup_attach_slab, 0, 0, fds, 2,
	    .role = (uint8_t)peer->role, .index = peer->index, .lcore = lcore, .lane = (uint8_t)lane,
	    .side = (uint8_t)side, .epoch = epoch);
}

struct slab_ends {
	struct child *producer, *consumer;
	int producer_bell, consumer_bell;
};

static int attach_slab(const struct slab_ends *ends, uint32_t count, uint32_t size, uint32_t lcore,
    enum rpc_lane lane, uint32_t epoch, struct child **at_fault)
{
	int memfd = slab_create(count, size, epoch);

	if (memfd < 0)
		return memfd;
	*at_fault = ends->producer;
	int error = send_slab(ends->producer, ends->consumer, memfd, ends->consumer_bell, lcore, lane,
	    RPC_SIDE_PRODUCER, epoch);
	if (error == 0) {
		*at_fault = ends->consumer;
		error = send_slab(ends->consumer, ends->producer, memfd, ends->producer_bell, lcore, lane,
		    RPC_SIDE_CONSUMER, epoch);
	}
	close(memfd);
	return error;
}

static int attach_flows(const struct reeved *reeved, struct child *dataplane, struct child *worker,
    uint32_t epoch, struct child **at_fault)
{
	uint32_t sent = reeved->settings.send_memory / FLOW_SLAB_SIZE;
	int error = 0;

	for (uint32_t lcore = 0; error == 0 && lcore < dataplane->bell_count; lcore++) {
		struct slab_ends down = {dataplane, worker, dataplane->bells[lcore], worker->bells[0]};
		struct slab_ends up = {worker, dataplane, worker->bells[0], dataplane->bells[lcore]};
		error = attach_slab(
		    &down, FLOW_SLAB_COUNT, FLOW_SLAB_SIZE, lcore, RPC_LANE_TO_WORKER, epoch, at_fault);
		if (error == 0)
			error = attach_slab(
			    &up, sent, FLOW_SLAB_SIZE, lcore, RPC_LANE_TO_DATAPLANE, epoch, at_fault);
	}
	return error;
}

static int attach_recordings(
    struct child *worker, struct child *recorder, uint32_t epoch, struct child **at_fault)
{
	struct slab_ends ends = {worker, recorder, worker->bells[0], recorder->bells[0]};

	return attach_slab(
	    &ends, RECORD_SLAB_COUNT, RECORD_SLAB_SIZE, 0, RPC_LANE_TO_RECORDER, epoch, at_fault);
}

static int attach_ordered(
    const struct reeved *reeved, struct child *a, struct child *b, uint32_t epoch, struct child **at_fault)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < sizeof(rpc_pairs) / sizeof(rpc_pairs[0]); i++)
		if (rpc_pairs[i].a == a->role && rpc_pairs[i].b == b->role)
			error = attach_rpc(a, b, epoch, at_fault);
	if (error == 0 && a->role == RPC_DATAPLANE && b->role == RPC_SSHTERM)
		error = attach_flows(reeved, a, b, epoch, at_fault);
	if (error == 0 && a->role == RPC_SSHTERM && b->role == RPC_RECORDER)
		error = attach_recordings(a, b, epoch, at_fault);
	return error;
}

int channels_attach(
    const struct reeved *reeved, struct child *a, struct child *b, uint32_t epoch, struct child **at_fault)
{
	*at_fault = NULL;
	int error = attach_ordered(reeved, a, b, epoch, at_fault);
	return error != 0 ? error : attach_ordered(reeved, b, a, epoch, at_fault);
}
