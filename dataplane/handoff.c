/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handoff: bytes of many flows packed into slabs for a few workers.
 *
 * Each worker has one open slab; bytes of the same flow and leg are appended to it, another flow's word
 * closes it. A burst thus costs a descriptor a flow, not a segment, and one bell at most. Slabs are shared by
 * the flows of a lane, so each leg is held to a share: what the worker has of it, against what is free (the
 * more is out, the less each may take, but always one). A session whose worker never reads cannot take the
 * others' slabs.
 */
#include "dataplane/handoff.h"

#include "control/rpc/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTORS_A_POLL = 256, SHARE_OF_FREE = 8 };

/* Slabs of a flow that its worker holds, by leg; of one incarnation. */
struct flow_slabs {
	uint32_t incarnation;
	uint32_t out[2];
};

struct open_slab {
	uint32_t slab; /* SLAB_NONE: none is open */
	uint32_t used;
	uint8_t *bytes;
	uint64_t flow;
	uint8_t leg;
};

struct worker {
	struct slab_producer *to;
	struct slab_consumer *from;
	uint32_t epoch;
	uint32_t flows;
	unsigned waits; /* what something waits for: enum slab_wait */
	struct open_slab open;
};

struct handoff {
	uint32_t workers, flows;
	struct worker *worker;
	struct flow_slabs *flow_slabs;
	struct handoff_counters counters;
};

static bool worker_up(const struct worker *worker)
{
	return worker->to != NULL && worker->from != NULL;
}

struct handoff *handoff_create(uint32_t workers, uint32_t flows)
{
	struct handoff *handoff = calloc(1, sizeof(*handoff));

	if (handoff == NULL)
		return NULL;
	handoff->workers = workers;
	handoff->flows = flows;
	handoff->worker = calloc(workers, sizeof(*handoff->worker));
	handoff->flow_slabs = calloc(flows, sizeof(*handoff->flow_slabs));
	if (handoff->worker == NULL || handoff->flow_slabs == NULL) {
		handoff_destroy(handoff);
		return NULL;
	}
	for (uint32_t i = 0; i < workers; i++)
		handoff->worker[i].open.slab = SLAB_NONE;
	return handoff;
}

static void worker_close(struct worker *worker)
{
	slab_producer_close(worker->to);
	if (worker->from != NULL)
		slab_consumer_close(worker->from);
	*worker = (struct worker){.open = {.slab = SLAB_NONE}};
}

void handoff_destroy(struct handoff *handoff)
{
	if (handoff == NULL)
		return;
	for (uint32_t i = 0; handoff->worker != NULL && i < handoff->workers; i++)
		worker_close(&handoff->worker[i]);
	free(handoff->worker);
	free(handoff->flow_slabs);
	free(handoff);
}

const struct handoff_counters *handoff_counters(const struct handoff *handoff)
{
	return &handoff->counters;
}

bool handoff_any_up(const struct handoff *handoff)
{
	return handoff->counters.workers_up > 0;
}

/* -- attaching -- */

void handoff_detach(struct handoff *handoff, struct tcp_shard *shard, uint32_t worker, uint64_t now_us)
{
	if (worker >= handoff->workers)
		return;
	if (worker_up(&handoff->worker[worker])) {
		handoff->counters.workers_up--;
		handoff->counters.workers_lost++;
		/* Before the memory goes: afterwards no flow looks into its slabs. */
		tcp_worker_lost(shard, (int)worker, now_us);
	}
	worker_close(&handoff->worker[worker]);
}

int handoff_attach(struct handoff *handoff, struct tcp_shard *shard, uint32_t worker, enum handoff_lane lane,
    int memfd, int bell, uint32_t epoch, uint64_t now_us)
{
	if (worker >= handoff->workers) {
		close(memfd);
		if (bell >= 0)
			close(bell);
		return -EINVAL;
	}
	struct worker *end = &handoff->worker[worker];
	bool have = lane == HANDOFF_TO_WORKER ? end->to != NULL : end->from != NULL;
	if (have || ((end->to != NULL || end->from != NULL) && end->epoch != epoch))
		handoff_detach(handoff, shard, worker, now_us);
	int error = lane == HANDOFF_TO_WORKER ? slab_producer_open(&end->to, memfd, bell)
	                                      : slab_consumer_open(&end->from, memfd, bell);
	if (error != 0)
		return error;
	end->epoch = epoch;
	if (worker_up(end))
		handoff->counters.workers_up++;
	return 0;
}

/* -- hooks: to the workers -- */

/* Puts the open slab. False: the ring is full, it stays open. */
static bool close_open_slab(struct handoff *handoff, struct worker *worker)
{
	struct open_slab *open = &worker->open;

	if (open->slab == SLAB_NONE)
		return true;
	struct slab_desc desc = {.slab = open->slab,
	    .len = open->used,
	    .type = SLAB_FLOW_DATA,
	    .aux = open->leg,
	    .flow = open->flow};
	if (!slab_put(worker->to, &desc)) {
		worker->waits |= SLAB_WAIT_ROOM;
		return false;
	}
	handoff->counters.slabs_out++;
	open->slab = SLAB_NONE;
	return true;
}

static struct flow_slabs *slabs_of(struct handoff *handoff, uint64_t flow)
{
	struct flow_slabs *slabs = &handoff->flow_slabs[(uint32_t)flow % handoff->flows];

	if (slabs->incarnation != (uint32_t)(flow >> 32))
		*slabs = (struct flow_slabs){.incarnation = (uint32_t)(flow >> 32)};
	return slabs;
}

static bool open_slab(struct handoff *handoff, struct worker *worker, uint64_t flow, uint8_t leg)
{
	struct flow_slabs *slabs = slabs_of(handoff, flow);
	uint32_t share = slab_free_count(worker->to) / SHARE_OF_FREE;

	if (!close_open_slab(handoff, worker))
		return false;
	if (slabs->out[leg] > share) {
		worker->waits |= SLAB_WAIT_SLABS;
		handoff->counters.no_slab++;
		return false;
	}
	worker->open = (struct open_slab){.flow = flow, .leg = leg};
	worker->open.slab = slab_take(worker->to, &worker->open.bytes);
	if (worker->open.slab == SLAB_NONE) {
		worker->waits |= SLAB_WAIT_SLABS;
		handoff->counters.no_slab++;
		return false;
	}
	slabs->out[leg]++;
	return true;
}

static uint32_t hook_data(
    void *context, int number, uint64_t flow, uint8_t leg, const uint8_t *at, uint32_t len)
{
	struct handoff *handoff = context;
	struct worker *worker = &handoff->worker[number];
	struct open_slab *open = &worker->open;
	uint32_t taken = 0;

	if (worker->to == NULL)
		return 0;
	uint32_t size = slab_size(worker->to);
	while (taken < len) {
		bool fits =
		    open->slab != SLAB_NONE && open->flow == flow && open->leg == leg && open->used < size;
		if (!fits && !open_slab(handoff, worker, flow, leg))
			break;
		uint32_t part = size - open->used < len - taken ? size - open->used : len - taken;
		memcpy(open->bytes + open->used, at + taken, part);
		open->used += part;
		taken += part;
	}
	return taken;
}

/* A word without a slab, behind the bytes before it. */
static bool say(struct handoff *handoff, int number, const struct slab_desc *desc)
{
	struct worker *worker = &handoff->worker[number];

	if (worker->to == NULL || !close_open_slab(handoff, worker))
		return false;
	if (slab_put(worker->to, desc))
		return true;
	worker->waits |= SLAB_WAIT_ROOM;
	return false;
}

static bool hook_fin(void *context, int number, uint64_t flow, uint8_t leg)
{
	return say(context, number,
	    &(struct slab_desc){.slab = SLAB_NONE, .type = SLAB_FLOW_FIN, .aux = leg, .flow = flow});
}

static bool hook_reset(void *context, int number, uint64_t flow, uint8_t leg, int error)
{
	return say(context, number,
	    &(struct slab_desc){.slab = SLAB_NONE,
	        .type = SLAB_FLOW_RESET,
	        .aux = leg,
	        .flow = flow,
	        .arg = (uint64_t)error});
}

static bool hook_credit(void *context, int number, uint64_t flow, uint8_t leg, uint32_t slabs)
{
	return say(context, number,
	    &(struct slab_desc){
	        .slab = SLAB_NONE, .type = SLAB_FLOW_CREDIT, .aux = leg, .flow = flow, .arg = slabs});
}

static bool hook_gone(void *context, int number, uint64_t flow)
{
	struct handoff *handoff = context;

	if (!say(handoff, number,
	        &(struct slab_desc){.slab = SLAB_NONE, .type = SLAB_FLOW_GONE, .flow = flow}))
		return false;
	handoff->worker[number].flows--;
	return true;
}

static bool open_at(
    struct handoff *handoff, struct worker *worker, uint64_t flow, const struct slab_flow *about)
{
	uint8_t *bytes;

	if (!close_open_slab(handoff, worker))
		return false;
	uint32_t slab = slab_take(worker->to, &bytes);
	if (slab == SLAB_NONE)
		return false;
	memcpy(bytes, about, sizeof(*about));
	struct slab_desc desc = {.slab = slab, .len = sizeof(*about), .type = SLAB_FLOW_OPEN, .flow = flow};
	if (!slab_put(worker->to, &desc)) {
		slab_untake(worker->to, slab);
		return false;
	}
	worker->flows++;
	handoff->counters.flows_opened++;
	return true;
}

static int hook_open(void *context, uint64_t flow, const struct slab_flow *about)
{
	struct handoff *handoff = context;
	uint32_t best = handoff->workers;

	for (uint32_t i = 0; i < handoff->workers; i++)
		if (worker_up(&handoff->worker[i]) && slab_size(handoff->worker[i].to) >= sizeof(*about) &&
		    (best == handoff->workers || handoff->worker[i].flows < handoff->worker[best].flows))
			best = i;
	if (best == handoff->workers || !open_at(handoff, &handoff->worker[best], flow, about))
		return -1;
	return (int)best;
}

static void hook_slab_done(void *context, int number, uint32_t slab)
{
	struct handoff *handoff = context;

	if (handoff->worker[number].from != NULL)
		slab_return(handoff->worker[number].from, slab, 0);
}

void handoff_hooks(struct handoff *handoff, struct tcp_hooks *hooks)
{
	hooks->worker_context = handoff;
	hooks->worker_open = hook_open;
	hooks->worker_data = hook_data;
	hooks->worker_fin = hook_fin;
	hooks->worker_reset = hook_reset;
	hooks->worker_gone = hook_gone;
	hooks->worker_credit = hook_credit;
	hooks->slab_done = hook_slab_done;
}

/* -- polling: from the workers -- */

static uint32_t take_back(struct handoff *handoff, struct worker *worker)
{
	struct slab_desc desc;
	uint64_t status;
	uint32_t n = 0;

	for (; n < DESCRIPTORS_A_POLL && slab_reclaim(worker->to, &desc, &status, false); n++) {
		struct flow_slabs *slabs = &handoff->flow_slabs[(uint32_t)desc.flow % handoff->flows];
		if (desc.type == SLAB_FLOW_DATA && desc.aux < 2 &&
		    slabs->incarnation == (uint32_t)(desc.flow >> 32) && slabs->out[desc.aux] > 0)
			slabs->out[desc.aux]--;
	}
	return n;
}

static uint32_t take_in(struct handoff *handoff, struct tcp_shard *shard, uint32_t number, uint64_t now_us)
{
	struct worker *worker = &handoff->worker[number];
	struct slab_desc desc;
	const uint8_t *bytes;
	uint32_t n = 0;

	for (; n < DESCRIPTORS_A_POLL && slab_get(worker->from, &desc, &bytes); n++) {
		handoff->counters.slabs_in += desc.slab != SLAB_NONE;
		if (!tcp_from_worker(shard, (int)number, &desc, bytes, now_us))
			handoff->counters.violations++;
	}
	return n;
}

uint32_t handoff_poll(struct handoff *handoff, struct tcp_shard *shard, uint64_t now_us)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < handoff->workers; i++) {
		struct worker *worker = &handoff->worker[i];
		if (!worker_up(worker))
			continue;
		uint32_t back = take_back(handoff, worker);
		n += back + take_in(handoff, shard, i, now_us);
		if (slab_producer_corrupt(worker->to) || slab_consumer_corrupt(worker->from)) {
			rpc_log(RPC_LOG_ERROR,
			    "worker %u wrote nonsense into its channel: its sessions are reset, the channel "
			    "dropped",
			    i);
			handoff->counters.corrupt++;
			rpc_blame(i, worker->epoch);
			handoff_detach(handoff, shard, i, now_us);
		} else if (worker->waits != 0) {
			unsigned waited = worker->waits;
			worker->waits = 0; /* raised again by whoever still finds none */
			enum tcp_turn turn = tcp_worker_ready(shard, (int)i, now_us);
			if (turn != TCP_TURN_ALL)
				worker->waits |= waited; /* what the others wait for */
			/* Where none got through, the worker's bell is waited for: with a worker that takes
			 * nothing this is no work. But one that holds all that its flow may have is no reason
			 * for others to wait. */
			n += turn == TCP_TURN_SOME;
		}
	}
	return n;
}

void handoff_flush(struct handoff *handoff)
{
	for (uint32_t i = 0; i < handoff->workers; i++) {
		struct worker *worker = &handoff->worker[i];
		if (!worker_up(worker))
			continue;
		close_open_slab(handoff, worker);
		slab_publish(worker->to);
		slab_consumer_publish(worker->from);
	}
}

void handoff_asleep(struct handoff *handoff, bool asleep)
{
	for (uint32_t i = 0; i < handoff->workers; i++) {
		if (!worker_up(&handoff->worker[i]))
			continue;
		/* Returned slabs and room are worth a wake-up only where something waits for them. */
		slab_producer_asleep(handoff->worker[i].to, asleep ? handoff->worker[i].waits : 0);
		slab_consumer_asleep(handoff->worker[i].from, asleep);
	}
}

bool handoff_ready(const struct handoff *handoff)
{
	for (uint32_t i = 0; i < handoff->workers; i++) {
		const struct worker *worker = &handoff->worker[i];
		if (worker_up(worker) &&
		    (slab_producer_ready(worker->to) || slab_consumer_ready(worker->from)))
			return true;
	}
	return false;
}
