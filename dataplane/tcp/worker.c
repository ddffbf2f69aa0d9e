/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between flows and their workers. A worker may be taken over by whoever it talks to: what it says is checked
 * against what its flow allows, and a flow whose worker breaks the rules is reset, alone.
 */
#include "dataplane/tcp/flow.h"

#include <errno.h>

enum { READY_FLOWS_MAX = 256 }; /* that are served a call */

/* -- to the worker -- */

/* A window that was promised may be filled: what bounds a leg here is what it can ever be promised. */
static uint32_t worker_room(const struct tcp_shard *shard, const struct tcp_leg *leg)
{
	uint64_t with_worker = leg->delivered - leg->consumed;
	uint32_t most = shard->config.receive_window_max;

	return with_worker < most ? most - (uint32_t)with_worker : 0;
}

uint32_t leg_deliver(struct tcp_shard *shard, struct tcp_leg *leg, const uint8_t *at, uint32_t len)
{
	struct tcp_flow *flow = leg_flow(leg);
	uint32_t room = worker_room(shard, leg);

	if (len > room)
		len = room;
	if (len == 0)
		return 0;
	uint32_t taken = shard->hooks.worker_data(
	    shard->hooks.worker_context, flow->worker, flow_id(shard, flow), leg->id, at, len);
	leg->delivered += taken;
	leg->dlv_nxt += taken;
	shard->counters.bytes_in += taken;
	return taken;
}

/* Kept bytes, then the FIN. False: the channel is full. */
static bool leg_settle(struct tcp_shard *shard, struct tcp_leg *leg)
{
	struct tcp_flow *flow = leg_flow(leg);
	uint32_t end = leg->flags & LEG_FIN_RECEIVED ? leg->fin_seq : leg->rcv_nxt;

	if (leg->flags & LEG_RESET)
		return true;
	while (SEQ_LT(leg->dlv_nxt, end)) {
		struct chunk *chunk = &shard->chunks[leg->chunk_head];
		uint32_t skip = leg->dlv_nxt - chunk->seq, left = chunk->len > skip ? chunk->len - skip : 0;
		if (left > end - leg->dlv_nxt)
			left = end - leg->dlv_nxt;
		uint32_t taken = left == 0 ? 0 : leg_deliver(shard, leg, chunk->data + skip, left);
		if (taken == left)
			chunks_drop_first(shard, leg);
		window_account(shard, leg);
		if (taken < left)
			return worker_room(shard, leg) == 0; /* CONSUMED comes back to this */
	}
	if ((leg->flags & (LEG_FIN_RECEIVED | LEG_FIN_DELIVERED)) == LEG_FIN_RECEIVED &&
	    leg->dlv_nxt == leg->fin_seq) {
		if (!shard->hooks.worker_fin(
		        shard->hooks.worker_context, flow->worker, flow_id(shard, flow), leg->id))
			return false;
		leg->flags |= LEG_FIN_DELIVERED;
	}
	return true;
}

static void flow_wait(struct tcp_shard *shard, struct tcp_flow *flow)
{
	struct worker_flows *worker = &shard->workers[flow->worker];
	uint32_t index = flow_index(shard, flow);

	if (flow->flags & FLOW_WAITING)
		return;
	flow->flags |= FLOW_WAITING;
	flow->wait_next = NONE;
	if (worker->wait_tail == NONE)
		worker->wait_head = index;
	else
		shard->flows[worker->wait_tail].wait_next = index;
	worker->wait_tail = index;
}

static bool flow_tell(struct tcp_shard *shard, struct tcp_flow *flow)
{
	const struct tcp_hooks *hooks = &shard->hooks;
	uint64_t id = flow_id(shard, flow);

	if (flow->flags & FLOW_TELL_RESET) {
		if (!hooks->worker_reset(
		        hooks->worker_context, flow->worker, id, flow->reset_leg, flow->reset_error))
			return false;
		flow->flags &= (uint8_t)~FLOW_TELL_RESET;
	}
	if (flow->flags & FLOW_TELL_GONE) {
		if (!hooks->worker_gone(hooks->worker_context, flow->worker, id))
			return false;
		flow->flags &= (uint8_t) ~(FLOW_TELL_GONE | FLOW_HAS_WORKER);
	}
	return true;
}

void flow_settle(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us)
{
	bool done = true;

	if (!(flow->flags & FLOW_HAS_WORKER))
		return;
	if (flow->state == FLOW_ADOPTED) {
		for (unsigned i = 0; i < 2; i++)
			done = leg_settle(shard, &flow->leg[i]) && done;
		flow_check_over(shard, flow, now_us); /* comes back here where it is */
	}
	if (flow->state == FLOW_TIME_WAIT)
		done = flow_tell(shard, flow);
	if (!done && (flow->flags & FLOW_HAS_WORKER))
		flow_wait(shard, flow);
}

enum tcp_turn tcp_worker_ready(struct tcp_shard *shard, int worker, uint64_t now_us)
{
	struct worker_flows *flows = &shard->workers[worker];
	uint32_t last = flows->wait_tail;
	bool through = false;

	/* Each that waits now once; those that must wait again go to the end. */
	for (unsigned n = 0; flows->wait_head != NONE && n < READY_FLOWS_MAX; n++) {
		uint32_t index = flows->wait_head;
		struct tcp_flow *flow = &shard->flows[index];
		flows->wait_head = flow->wait_next;
		if (flows->wait_head == NONE)
			flows->wait_tail = NONE;
		flow->flags &= (uint8_t)~FLOW_WAITING;
		flow_settle(shard, flow, now_us);
		if (index == last)
			return TCP_TURN_ALL;
		through = through || !(flow->flags & FLOW_WAITING);
	}
	return flows->wait_head == NONE ? TCP_TURN_ALL : through ? TCP_TURN_SOME : TCP_TURN_STUCK;
}

void tcp_worker_lost(struct tcp_shard *shard, int worker, uint64_t now_us)
{
	struct worker_flows *flows = &shard->workers[worker];

	(void)now_us;
	flows->epoch++;
	flows->wait_head = flows->wait_tail = NONE;
	/* Whatever meets one of its flows from now on resets it; the sweep in tcp_tick meets them all. */
	shard->orphans_left = shard->config.flows;
}

/* -- from the worker -- */

static struct tcp_flow *flow_of_worker(struct tcp_shard *shard, int worker, uint64_t id, bool *foreign)
{
	uint32_t index = (uint32_t)id;

	*foreign = false;
	if (index >= shard->config.flows)
		return NULL;
	struct tcp_flow *flow = &shard->flows[index];
	if (flow->incarnation != (uint32_t)(id >> 32) || flow->state != FLOW_ADOPTED)
		return NULL;
	if (flow->worker != worker || flow->worker_epoch != shard->workers[worker].epoch) {
		*foreign = true;
		return NULL;
	}
	return flow;
}

/* Takes the slab over where it answers true and *kept. */
static bool worker_data(struct tcp_shard *shard, struct tcp_leg *leg, const struct slab_desc *desc,
    const uint8_t *bytes, bool *kept)
{
	*kept = false;
	if (leg->flags & LEG_FIN_QUEUED || bytes == NULL)
		return false;
	if (desc->len == 0 || (leg->flags & LEG_RESET))
		return true;
	*kept = leg_slab_append(shard, leg, desc->slab, bytes, desc->len);
	if (*kept)
		leg_mark_dirty(shard, leg);
	return *kept;
}

static bool worker_consumed(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t total, uint64_t now_us)
{
	if (total < leg->consumed || total > leg->delivered)
		return false;
	leg->consumed = total;
	if (leg->flags & LEG_RESET)
		return true;
	if (leg->dlv_nxt != leg->rcv_nxt)
		flow_settle(shard, leg_flow(leg), now_us);
	if (leg_flow(leg)->state == FLOW_ADOPTED && !(leg->flags & LEG_RESET))
		window_consumed(shard, leg, now_us);
	if (leg_flow(leg)->state == FLOW_ADOPTED && leg_window_opened(leg)) {
		leg->flags |= LEG_ACK_NOW;
		leg_mark_dirty(shard, leg);
	}
	return true;
}

static bool worker_reset(struct tcp_shard *shard, struct tcp_flow *flow, uint32_t which, uint64_t now_us)
{
	if (which == SLAB_LEG_BOTH) {
		flow_reset(shard, flow, 0, 0, 3, now_us);
	} else {
		leg_reset(shard, &flow->leg[which], true, now_us);
		flow_check_over(shard, flow, now_us);
	}
	return true;
}

static bool worker_says(struct tcp_shard *shard, struct tcp_flow *flow, const struct slab_desc *desc,
    const uint8_t *bytes, bool *kept, uint64_t now_us)
{
	if (desc->aux > (desc->type == SLAB_LEG_RESET ? (uint32_t)SLAB_LEG_BOTH : (uint32_t)SLAB_LEG_ORIGIN))
		return false;
	switch (desc->type) {
	case SLAB_LEG_DATA:
		return worker_data(shard, &flow->leg[desc->aux], desc, bytes, kept);
	case SLAB_LEG_FIN:
		flow->leg[desc->aux].flags |= LEG_FIN_QUEUED;
		leg_mark_dirty(shard, &flow->leg[desc->aux]);
		flow_check_over(shard, flow, now_us);
		return true;
	case SLAB_LEG_RESET:
		return worker_reset(shard, flow, desc->aux, now_us);
	case SLAB_LEG_CONSUMED:
		return worker_consumed(shard, &flow->leg[desc->aux], desc->arg, now_us);
	default:
		return false;
	}
}

bool tcp_from_worker(
    struct tcp_shard *shard, int worker, const struct slab_desc *desc, const uint8_t *bytes, uint64_t now_us)
{
	bool foreign, kept = false, ok = true;
	struct tcp_flow *flow = flow_of_worker(shard, worker, desc->flow, &foreign);

	if (flow != NULL)
		ok = worker_says(shard, flow, desc, bytes, &kept, now_us);
	/* Of a flow that is over: the worker could not know yet. */
	if (desc->slab != SLAB_NONE && !kept)
		shard->hooks.slab_done(shard->hooks.worker_context, worker, desc->slab);
	if (!ok) {
		shard->counters.worker_violations++;
		flow_reset(shard, flow, SLAB_LEG_CLIENT, EPROTO, 3, now_us);
	}
	if (foreign)
		shard->counters.worker_violations++;
	return ok && !foreign;
}
