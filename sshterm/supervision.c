/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor tells a worker: the ends of its channels, who is up, when to start and to stop. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sshterm/worker.h"

#define SHUTDOWN_TEXT "Portreeve: the appliance is shutting down"

/* Takes a descriptor out of the message; it is the caller's from now on. -1: none there. */
static int take_fd(struct rpc_message *message, unsigned i)
{
	if (i >= message->fd_count)
		return -1;
	int fd = message->fds[i];
	message->fds[i] = -1;
	return fd;
}

static int attach_bell(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct worker *worker = context;
	struct rpc_sup_attach_bell body;
	int fd;

	(void)link;
	if (!rpc_get_sup_attach_bell(message->body, &body) || (fd = take_fd(message, 0)) < 0)
		return -EPROTO;
	if (worker->bell >= 0)
		close(worker->bell);
	worker->bell = fd;
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return worker_watch(worker, fd);
}

static int attach_rpc(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct worker *worker = context;
	struct rpc_sup_attach_rpc body;
	int fd;

	(void)link;
	if (!rpc_get_sup_attach_rpc(message->body, &body) || body.role != RPC_CONTROL ||
	    (fd = take_fd(message, 0)) < 0)
		return -EPROTO;
	control_attach(worker, fd, body.epoch);
	rpc_log(RPC_LOG_DEBUG, "linked to control, epoch %u", body.epoch);
	return 0;
}

/* One end of an lcore's pair. The first end of a new epoch tells that the old dataplane is no more. */
static int attach_lane(struct worker *worker, const struct rpc_sup_attach_slab *body, int memfd, int bell)
{
	struct flow_channel *channel = body->lcore < worker->lcores ? &worker->channels[body->lcore] : NULL;
	bool inward = body->lane == RPC_LANE_TO_WORKER && body->side == RPC_SIDE_CONSUMER;
	bool outward = body->lane == RPC_LANE_TO_DATAPLANE && body->side == RPC_SIDE_PRODUCER;

	if (channel == NULL || (!inward && !outward)) {
		close(memfd);
		if (bell >= 0)
			close(bell);
		return -EPROTO;
	}
	if (body->epoch != channel->epoch || (inward && channel->in != NULL) ||
	    (outward && channel->out != NULL))
		flow_channel_drop(channel, "dataplane_lost");
	channel->epoch = body->epoch;
	return inward ? slab_consumer_open(&channel->in, memfd, bell)
	              : slab_producer_open(&channel->out, memfd, bell);
}

static int attach_recorder(struct worker *worker, int memfd, int bell)
{
	struct slab_producer *end = NULL;
	int error = slab_producer_open(&end, memfd, bell);

	if (error != 0)
		return error;
	if (record_channel_up(worker->record))
		record_channel_detach(worker->record);
	record_channel_attach(worker->record, end);
	return 0;
}

static int attach_slab(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct worker *worker = context;
	struct rpc_sup_attach_slab body;
	int memfd, bell;

	(void)link;
	if (!rpc_get_sup_attach_slab(message->body, &body) || (memfd = take_fd(message, 0)) < 0)
		return -EPROTO;
	bell = take_fd(message, 1);
	if (body.role == RPC_DATAPLANE)
		return attach_lane(worker, &body, memfd, bell);
	if (body.role == RPC_RECORDER && body.lane == RPC_LANE_TO_RECORDER && body.side == RPC_SIDE_PRODUCER)
		return attach_recorder(worker, memfd, bell);
	close(memfd);
	if (bell >= 0)
		close(bell);
	return -EPROTO;
}

static int peer(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct worker *worker = context;
	struct rpc_sup_peer body;

	(void)link;
	if (!rpc_get_sup_peer(message->body, &body))
		return -EPROTO;
	if (body.up)
		return 0; /* its ends come by themselves */
	switch (body.role) {
	case RPC_DATAPLANE:
		for (uint32_t i = 0; i < worker->lcores; i++)
			flow_channel_drop(&worker->channels[i], "dataplane_lost");
		break;
	case RPC_RECORDER:
		if (record_channel_up(worker->record))
			record_channel_detach(worker->record);
		break;
	case RPC_CONTROL:
		control_detach(worker);
		break;
	}
	return 0;
}

static int start(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct worker *worker = context;

	worker->started = true;
	return RPC_SEND(link, SUP_READY, sup_ready, RPC_FLAG_REPLY, message->id, .reserved = 0);
}

static int stop(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct worker *worker = context;
	struct rpc_sup_stop body;

	(void)link;
	if (!rpc_get_sup_stop(message->body, &body))
		return -EPROTO;
	if (worker->stopping)
		return 0;
	worker->stopping = true;
	worker->stop_at_us = worker_now_us() + (uint64_t)body.grace_ms * 1000;
	sessions_kill_all(worker, SHUTDOWN_TEXT, "shutdown");
	return 0;
}

static const struct rpc_handler supervisor_table[] = {
    {RPC_SUP_ATTACH_BELL, RPC_FROM(RPC_SUPERVISOR), ~0u, attach_bell},
    {RPC_SUP_ATTACH_RPC, RPC_FROM(RPC_SUPERVISOR), ~0u, attach_rpc},
    {RPC_SUP_ATTACH_SLAB, RPC_FROM(RPC_SUPERVISOR), ~0u, attach_slab},
    {RPC_SUP_PEER, RPC_FROM(RPC_SUPERVISOR), ~0u, peer},
    {RPC_SUP_START, RPC_FROM(RPC_SUPERVISOR), ~0u, start},
    {RPC_SUP_STOP, RPC_FROM(RPC_SUPERVISOR), ~0u, stop},
};

int supervision_receive(struct worker *worker)
{
	struct rpc_message message;
	int got;

	while ((got = rpc_receive(&worker->supervisor, &message)) > 0) {
		int error =
		    rpc_dispatch(supervisor_table, sizeof(supervisor_table) / sizeof(supervisor_table[0]),
		        ~0u, worker, &worker->supervisor, &message);
		if (error != 0) {
			rpc_log(RPC_LOG_ERROR, "message %s of the supervisor is not understood (%d)",
			    rpc_type_name(message.type), error);
			return error;
		}
	}
	return got;
}
