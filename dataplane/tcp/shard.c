/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 * ===================
 *
 * Goals. A client and an origin shake hands through the box; then each goes on with *us* under the other's
 * address and port, and cannot tell. Two independent legs, each a TCP endpoint (RFC 9293), joined only by the
 * SSH worker, which takes in-order bytes of one leg and gives bytes to the other. A peer may be hostile, a
 * worker taken over: what either can cost is bounded in memory and time at start. No allocation, no system
 * call and no DPDK on this path: frames, clock and worker come through tcp_input() and the hooks, so tests
 * run it under virtual time.
 *
 * Storage (flow.h). `flows` entries, chained from hash buckets (flow_table.c); an entry is a handshake's
 * notes first and two struct tcp_leg later. Shared by all legs are three pools: `sent` (records of
 * unacknowledged segments, sack.c), `chunks` (bytes that cannot go to the worker yet, reassembly.c), and, per
 * worker, the list links of its slabs (output.c): the bytes to be sent stay in the worker's slabs until they
 * are ACKed, so the retransmission store costs no copy. How much of each a leg may have is window.c's
 * business.
 *
 * Life. FLOW_SYN and FLOW_SYN_ACK while the handshake passes (handshake.c); FLOW_ADOPTED from the first
 * client segment that acknowledges the SYN-ACK (adopt.c); FLOW_TIME_WAIT when both legs are over (close.c);
 * free. A leg has no states of its own beyond flags for events that happened: LEG_FIN_SENT, LEG_FIN_ACKED,
 * LEG_FIN_RECEIVED … in whatever order they come. LEG_RESET ends a leg at once. FLOW_PASS is a flow that is
 * only remembered as forwarded.
 *
 * Bytes in. input.c checks a segment and moves rcv_nxt. What is in order goes straight out of the frame to
 * worker_data(), or waits in chunks while the worker's channel or credit is full: dlv_nxt is what the worker
 * has, dlv_nxt <= rcv_nxt <= rcv_adv. The window ends at (bytes consumed by the worker) + credit and its
 * right edge rcv_adv never moves left. A flow whose word to the worker found no room is in its worker's
 * waiting list and is served by tcp_worker_ready().
 *
 * Bytes out. tcp_from_worker() appends slabs behind snd_end; output.c cuts segments at snd_nxt, across slab
 * boundaries, as far as snd_una + snd_wnd and cwnd allow; each has a record with the time it was sent. An ACK
 * drops records and slabs below snd_una. SACK and RACK mark records lost (sack.c); recovery.c decides what
 * follows from that, and cubic.c or newreno.c how large the window may be. On paths longer than the wheel's
 * grain what cwnd allows is paced; a leg sends at most BURST_SEGMENTS a flush, then it is the next one's
 * turn. path_mtu.c says how long a segment may be; where ports cut frames (config.offloads), consecutive full
 * segments leave as one frame, their records are the same.
 *
 * What is to be sent is sent by tcp_flush(), once a burst, from a list of "dirty" legs: bytes and their ACK,
 * or several ACKs, become one segment. Out-of-order segments are answered at once.
 *
 * Ageing (timers.c). Constant time-outs are FIFO lists: handshake, TIME_WAIT, FIN_WAIT, delayed ACK, idle.
 * One wheel timer a leg is the first of RTO, tail loss probe, RACK's reordering timer and pacing, or persist,
 * or keepalive probes, whichever it waits for. The `idle` list is lazy: a leg is looked at once in
 * idle_keepalive_ms and put back if it was heard of, so it is probed after one to two of those. Cost a packet
 * and a tick does not depend on the number of flows.
 *
 * A lost worker invalidates its slabs at once: worker_flows.epoch moves, and a flow of an older epoch is
 * reset by whatever meets it first (flow_orphaned()), at the latest by a sweep of ORPHAN_SLICE entries a
 * tick.
 */
#include "dataplane/tcp/flow.h"

#include <stdlib.h>
#include <string.h>

enum { ORPHAN_SLICE = 512, TIMERS_A_TICK = 4096 };

void tcp_config_defaults(struct tcp_config *config)
{
	*config = (struct tcp_config){
	    .flows = 4096,
	    .workers = 1,
	    .receive_credit = 64 * 1024,
	    .receive_window_max = 6 << 20,
	    .receive_memory = 256ull << 20,
	    .send_credit = 32,
	    .send_slabs_max = (6 << 20) / 8192,
	    .slab_bytes = 8192,
	    .reorder_bytes = 6 << 20,
	    .reorder_total = 256ull << 20,
	    .mtu = 1500,
	    .handshake_ms = 60000,
	    .time_wait_ms = 60000,
	    .fin_wait_ms = 60000,
	    .idle_keepalive_ms = 7200000, /* RFC 9293 3.8.4 */
	    .retransmit_limit = 15,       /* some 15 minutes */
	    .congestion = TCP_CUBIC,
	};
}

static bool sent_init(struct tcp_shard *shard)
{
	uint32_t count = shard->config.sent_segments;

	if (count == 0)
		count = 65536 + 2 * shard->config.flows;
	shard->sent = calloc(count, sizeof(*shard->sent));
	if (shard->sent == NULL)
		return false;
	for (uint32_t i = 0; i < count; i++)
		shard->sent[i].next = i + 1 < count ? i + 1 : NONE;
	shard->free_sent = 0;
	shard->sent_spare = count;
	shard->sent_kept = count > 2 * shard->config.flows ? 2 * shard->config.flows : 0;
	return true;
}

static bool workers_init(struct tcp_shard *shard)
{
	shard->workers = calloc(shard->config.workers, sizeof(*shard->workers));
	if (shard->workers == NULL)
		return false;
	for (uint32_t i = 0; i < shard->config.workers; i++) {
		shard->workers[i].wait_head = shard->workers[i].wait_tail = NONE;
		/* Large and zeroed: pages come as slab numbers are used. */
		shard->workers[i].slabs = calloc(SLAB_COUNT_MAX, sizeof(*shard->workers[i].slabs));
		if (shard->workers[i].slabs == NULL)
			return false;
	}
	return true;
}

struct tcp_shard *tcp_shard_create(const struct tcp_config *config, const struct tcp_hooks *hooks)
{
	struct tcp_shard *shard = calloc(1, sizeof(*shard));

	if (shard == NULL)
		return NULL;
	shard->config = *config;
	if (shard->config.flows == 0 || shard->config.flows > NONE / 4 || shard->config.workers > INT16_MAX ||
	    (unsigned)shard->config.congestion >= TCP_CONGESTIONS ||
	    (shard->config.offloads.frame_max > 0 &&
	        (!shard->config.offloads.checksum ||
	            shard->config.offloads.frame_max < config->mtu + L2_MAX))) {
		free(shard);
		return NULL;
	}
	if (shard->config.workers == 0)
		shard->config.workers = 1;
	if (shard->config.receive_window_max < shard->config.receive_credit)
		shard->config.receive_window_max = shard->config.receive_credit;
	if (shard->config.send_slabs_max < shard->config.send_credit)
		shard->config.send_slabs_max = shard->config.send_credit;
	shard->hooks = *hooks;
	shard->congestion = congestion_algorithms[config->congestion];
	shard->dirty_head = shard->dirty_tail = NONE;
	struct timer *lists[] = {&shard->handshakes, &shard->time_waits, &shard->fin_waits, &shard->passes,
	    &shard->ended, &shard->idles, &shard->delayed_acks};
	for (unsigned i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		timer_list_init(lists[i]);
	wheel_init(&shard->wheel, 0);
	if (!flow_table_init(shard) || !chunks_init(shard) || !sent_init(shard) || !workers_init(shard)) {
		tcp_shard_destroy(shard);
		return NULL;
	}
	return shard;
}

void tcp_shard_destroy(struct tcp_shard *shard)
{
	if (shard == NULL)
		return;
	for (uint32_t i = 0; shard->workers != NULL && i < shard->config.workers; i++)
		free(shard->workers[i].slabs);
	free(shard->workers);
	free(shard->sent);
	free(shard->chunks);
	flow_table_free(shard);
	free(shard);
}

const struct tcp_counters *tcp_counters(const struct tcp_shard *shard)
{
	return &shard->counters;
}

uint32_t tcp_flow_bytes(void)
{
	return sizeof(struct tcp_flow);
}

uint32_t leg_timestamp(const struct tcp_leg *leg, uint64_t now_us)
{
	return leg->ts_base + (uint32_t)((now_us - leg->ts_zero_us) / TIMESTAMP_TICK_US);
}

bool tcp_knows(const struct tcp_shard *shard, uint8_t link, const struct frame *frame)
{
	struct flow_key key;

	flow_key_of(&key, link, frame);
	return flow_find(shard, &key) != NULL;
}

static enum tcp_verdict closed_input(struct tcp_shard *shard, struct tcp_flow *flow, struct tcp_leg *leg,
    const struct frame *frame, uint64_t now_us)
{
	if (!time_wait_input(shard, flow, leg, frame, now_us))
		return TCP_CONSUMED;
	flow_forget(shard, flow);
	return TCP_UNKNOWN;
}

enum tcp_verdict tcp_input(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from,
    const struct frame *frame, uint8_t *bytes, uint32_t *len, uint64_t now_us)
{
	struct flow_key key;

	if (frame->kind != FRAME_TCP)
		return TCP_UNKNOWN;
	bool low = flow_key_of(&key, link, frame);
	struct tcp_flow *flow = flow_find(shard, &key);
	if (flow == NULL)
		return TCP_UNKNOWN;
	if (flow->state == FLOW_PASS)
		return pass_input(shard, flow, from, frame, now_us);
	uint8_t id = low == ((flow->flags & FLOW_CLIENT_LOW) != 0) ? SLAB_LEG_CLIENT : SLAB_LEG_ORIGIN;
	if (from != leg_side(flow, id)) {
		shard->counters.wrong_side++;
		return TCP_DROP;
	}
	if (flow->state == FLOW_SYN || flow->state == FLOW_SYN_ACK)
		return handshake_input(shard, flow, id, frame, bytes, len, now_us);
	flow_orphaned(shard, flow, now_us);
	if (flow->state == FLOW_TIME_WAIT)
		return closed_input(shard, flow, &flow->leg[id], frame, now_us);
	leg_input(shard, &flow->leg[id], frame, now_us);
	return TCP_CONSUMED;
}

/* -- timers -- */

#define FROM_TIMER(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

static void idle_due(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	uint64_t idle_us = (uint64_t)shard->config.idle_keepalive_ms * 1000;

	timer_append(&shard->idles, &leg->idle, now_us + idle_us);
	/* With something in flight or held up the other timers find out. */
	if (leg->timer_kind == LEG_TIMER_NONE && now_us - leg->last_heard_us >= idle_us) {
		window_rest(shard, leg);
		leg_keepalive(shard, leg, now_us);
	}
}

static void time_wait_due(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us)
{
	/* Its worker must be told first. */
	if (flow->flags & FLOW_HAS_WORKER && !flow_orphaned(shard, flow, now_us))
		timer_append(
		    &shard->time_waits, &flow->timer, now_us + (uint64_t)shard->config.time_wait_ms * 1000);
	else
		flow_forget(shard, flow);
}

/* Of a list of forwarded flows, of which one may be over by its looks only. */
static void forget_idle(struct tcp_shard *shard, struct timer *list, uint64_t now_us)
{
	struct timer *due;

	for (unsigned n = 0; n < TIMERS_A_TICK && (due = timer_expired(list, now_us)) != NULL; n++) {
		struct tcp_flow *flow = flow_of_timer(due);
		if (now_us - flow->last_seen_us >= PASS_IDLE_US)
			flow_forget(shard, flow);
		else
			timer_append(list, due, now_us + PASS_IDLE_US);
	}
}

static void flow_timers(struct tcp_shard *shard, uint64_t now_us)
{
	struct timer *due;

	for (unsigned n = 0; n < TIMERS_A_TICK && (due = timer_expired(&shard->handshakes, now_us)) != NULL;
	     n++)
		flow_forget(shard, flow_of_timer(due));
	for (unsigned n = 0; n < TIMERS_A_TICK && (due = timer_expired(&shard->time_waits, now_us)) != NULL;
	     n++)
		time_wait_due(shard, flow_of_timer(due), now_us);
	for (unsigned n = 0; n < TIMERS_A_TICK && (due = timer_expired(&shard->fin_waits, now_us)) != NULL;
	     n++) {
		struct tcp_flow *flow = flow_of_timer(due);
		if (!flow_orphaned(shard, flow, now_us))
			flow_fin_wait_due(shard, flow, now_us);
	}
	forget_idle(shard, &shard->passes, now_us);
	forget_idle(shard, &shard->ended, now_us);
}

static void leg_timers(struct tcp_shard *shard, uint64_t now_us)
{
	struct timer *due;

	for (unsigned n = 0; n < TIMERS_A_TICK && (due = timer_expired(&shard->delayed_acks, now_us)) != NULL;
	     n++) {
		struct tcp_leg *leg = FROM_TIMER(due, struct tcp_leg, delayed_ack);
		if ((leg->flags & LEG_ACK_DELAYED) && !flow_orphaned(shard, leg_flow(leg), now_us)) {
			leg->flags |= LEG_ACK_NOW;
			leg_mark_dirty(shard, leg);
		}
	}
	for (unsigned n = 0; n < TIMERS_A_TICK && (due = timer_expired(&shard->idles, now_us)) != NULL; n++) {
		struct tcp_leg *leg = FROM_TIMER(due, struct tcp_leg, idle);
		if (!flow_orphaned(shard, leg_flow(leg), now_us))
			idle_due(shard, leg, now_us);
	}
	for (unsigned n = 0; n < TIMERS_A_TICK && (due = wheel_expired(&shard->wheel, now_us)) != NULL; n++) {
		struct tcp_leg *leg = FROM_TIMER(due, struct tcp_leg, timer);
		if (!flow_orphaned(shard, leg_flow(leg), now_us))
			leg_timer_fired(shard, leg, now_us);
	}
}

static void sweep_orphans(struct tcp_shard *shard, uint64_t now_us)
{
	for (unsigned n = 0; n < ORPHAN_SLICE && shard->orphans_left > 0; n++, shard->orphans_left--) {
		flow_orphaned(shard, &shard->flows[shard->orphan_cursor], now_us);
		shard->orphan_cursor = (shard->orphan_cursor + 1) % shard->config.flows;
	}
}

void tcp_tick(struct tcp_shard *shard, uint64_t now_us)
{
	flow_timers(shard, now_us);
	leg_timers(shard, now_us);
	if (shard->orphans_left > 0)
		sweep_orphans(shard, now_us);
}

/* -- sending -- */

static uint64_t next_due(const struct tcp_shard *shard, uint64_t now_us)
{
	const struct timer *lists[] = {&shard->handshakes, &shard->time_waits, &shard->fin_waits,
	    &shard->passes, &shard->ended, &shard->idles, &shard->delayed_acks};
	uint64_t next = wheel_next(&shard->wheel);

	if (shard->orphans_left > 0)
		return now_us;
	for (unsigned i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		uint64_t due = timer_list_next(lists[i]);
		next = due < next ? due : next;
	}
	return next;
}

uint64_t tcp_flush(struct tcp_shard *shard, uint64_t now_us)
{
	uint32_t last = shard->dirty_tail;

	/* Each once: one with more to send than fits a burst is dirty again, and has its turn next time. */
	for (bool more = shard->dirty_head != NONE; more;) {
		uint32_t number = shard->dirty_head;
		more = number != last;
		struct tcp_flow *flow = &shard->flows[number / 2];
		struct tcp_leg *leg = &flow->leg[number % 2];
		shard->dirty_head = leg->dirty_next;
		if (shard->dirty_head == NONE)
			shard->dirty_tail = NONE;
		leg->flags &= ~(uint32_t)LEG_DIRTY;
		if (!flow_orphaned(shard, flow, now_us))
			leg_output(shard, leg, now_us);
	}
	return shard->dirty_head != NONE ? now_us : next_due(shard, now_us);
}
