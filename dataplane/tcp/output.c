/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending: what is lost first, then new data as far as both windows allow (RFC 9293 3.8.6, RFC 5681), then
 * the ACK that is owed if nothing carried it. Nagle is off: the worker batches.
 */
#include "dataplane/tcp/flow.h"

#include <errno.h>

enum { IP_TCP_HEADERS_MAX = 40 + 60, TSO_MSS_MIN = 256 /* what ports can cut into at least */ };
enum {
	BACKOFF_SHIFT_MAX = 10, /* beyond RTO_MAX_US, whatever the RTO */
	KEEPALIVE_INTERVAL_MIN_US = 1000000,
	KEEPALIVE_INTERVAL_MAX_US = 75000000, /* as everybody's */
	BURST_SEGMENTS = 64, /* of a leg in one flush: then it is the others' turn, and the port's to send */
	PACE_AHEAD_US = 2 * WHEEL_SLOT_US, /* what may go before its time: the wheel is no finer */
	PACE_SEGMENTS = 4,                 /* in one frame, where ports cut frames into segments */
};

/* -- the worker's slabs -- */

bool leg_slab_append(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t slab, const uint8_t *bytes, uint32_t len)
{
	struct send_slab *slabs = shard->workers[leg_flow(leg)->worker].slabs;

	if (slab >= SLAB_COUNT_MAX || leg->slabs >= leg->slabs_most)
		return false;
	slabs[slab] = (struct send_slab){.bytes = bytes, .len = len, .next = NONE};
	if (leg->slab_head == NONE) {
		leg->slab_head = slab;
		leg->head_seq = leg->snd_end;
	} else {
		slabs[leg->slab_tail].next = slab;
	}
	if (leg->slab_cursor == NONE) {
		leg->slab_cursor = slab;
		leg->cursor_seq = leg->snd_end;
	}
	leg->slab_tail = slab;
	leg->slabs++;
	leg->snd_end += len;
	return true;
}

void leg_slabs_release(struct tcp_shard *shard, struct tcp_leg *leg, bool all)
{
	struct tcp_flow *flow = leg_flow(leg);
	struct send_slab *slabs = flow->worker < 0 ? NULL : shard->workers[flow->worker].slabs;

	while (slabs != NULL && leg->slab_head != NONE) {
		uint32_t slab = leg->slab_head, end = leg->head_seq + slabs[slab].len;
		if (!all && SEQ_GT(end, leg->snd_una))
			return;
		leg->slab_head = slabs[slab].next;
		leg->head_seq = end;
		leg->slabs--;
		if (leg->slab_cursor == slab) {
			leg->slab_cursor = leg->slab_head;
			leg->cursor_seq = end;
		}
		shard->hooks.slab_done(shard->hooks.worker_context, flow->worker, slab);
	}
}

/* -- the window that we offer -- */

/* The right edge that the worker's credit allows now. */
static uint32_t right_edge(const struct tcp_leg *leg)
{
	return leg->dlv_nxt - (uint32_t)(leg->delivered - leg->consumed) + leg->credit;
}

static uint32_t peer_full_segment(const struct tcp_leg *leg)
{
	return leg->peer_mss_seen > MSS_DEFAULT_IPV4 ? leg->peer_mss_seen : MSS_DEFAULT_IPV4;
}

uint16_t leg_window(struct tcp_leg *leg)
{
	uint32_t right = right_edge(leg);
	uint32_t step = peer_full_segment(leg) < leg->credit / 2 ? peer_full_segment(leg) : leg->credit / 2;

	/* The edge never moves left, and right only by steps worth a segment (RFC 9293 3.8.6.2.2). */
	if (SEQ_GEQ(right, leg->rcv_adv + step))
		leg->rcv_adv = right;
	if (SEQ_LEQ(leg->rcv_adv, leg->rcv_nxt))
		return 0;
	uint32_t window = (leg->rcv_adv - leg->rcv_nxt) >> leg->rcv_wscale;
	return window > UINT16_MAX ? UINT16_MAX : (uint16_t)window;
}

bool leg_window_opened(const struct tcp_leg *leg)
{
	uint32_t right = right_edge(leg), step = peer_full_segment(leg);

	if (SEQ_LEQ(right, leg->rcv_adv) || (leg->flags & LEG_FIN_RECEIVED))
		return false;
	uint32_t opens = right - leg->rcv_adv;
	uint32_t left = SEQ_GT(leg->rcv_adv, leg->rcv_nxt) ? leg->rcv_adv - leg->rcv_nxt : 0;
	if (step > leg->credit / 2)
		step = leg->credit / 2;
	return opens >= leg->credit / 4 || (opens >= step && left < 2 * step);
}

/* -- sending -- */

void leg_mark_dirty(struct tcp_shard *shard, struct tcp_leg *leg)
{
	if (leg->flags & LEG_DIRTY)
		return;
	uint32_t number = flow_index(shard, leg_flow(leg)) * 2 + leg->id;
	leg->flags |= LEG_DIRTY;
	leg->dirty_next = NONE;
	if (shard->dirty_tail == NONE) {
		shard->dirty_head = number;
	} else {
		uint32_t tail = shard->dirty_tail;
		shard->flows[tail / 2].leg[tail % 2].dirty_next = number;
	}
	shard->dirty_tail = number;
}

void leg_challenge(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	if (leg->challenge_us != 0 && now_us - leg->challenge_us < CHALLENGE_INTERVAL_US)
		return;
	leg->challenge_us = now_us;
	shard->counters.challenge_acks++;
	leg->flags |= LEG_ACK_NOW;
	leg_mark_dirty(shard, leg);
}

void leg_restart_rto(struct tcp_leg *leg, uint64_t now_us)
{
	uint64_t rto = (uint64_t)leg->rto_us
	               << (leg->backoff < BACKOFF_SHIFT_MAX ? leg->backoff : BACKOFF_SHIFT_MAX);

	leg->rto_due = now_us + (rto < RTO_MAX_US ? rto : RTO_MAX_US);
}

void leg_begin_rto(struct tcp_leg *leg, uint64_t now_us)
{
	leg->backoff = 0;
	leg_restart_rto(leg, now_us);
}

static uint8_t data_flags(const struct tcp_leg *leg, uint32_t end, bool fin)
{
	return (uint8_t)(TCP_ACK | (end == leg->snd_end ? TCP_PSH : 0) | (fin ? TCP_FIN : 0));
}

/* -- pacing: as Linux does, at twice the rate of slow start or 1.2 times that of congestion avoidance, but
 *    only where that is more than the wheel's grain (a short path takes its bursts from the ACKs), and where
 *    the window is larger than any path is expected to take at once -- */

static bool is_paced(const struct tcp_leg *leg)
{
	return leg->srtt_us > PACE_AHEAD_US && leg->cwnd > 2 * congestion_initial_window(leg);
}

static uint64_t pace_of(const struct tcp_leg *leg, uint32_t bytes)
{
	uint64_t us = (uint64_t)bytes * leg->srtt_us / leg->cwnd;

	return leg->cwnd < leg->ssthresh / 2 ? us / 2 : us * 5 / 6;
}

static bool pace_permits(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	if (!is_paced(leg) || leg->paced_us <= now_us + PACE_AHEAD_US || leg->sent_head == NONE)
		return true;
	if (leg->paced_us <= now_us + pace_of(leg, congestion_initial_window(leg)))
		return true;
	leg->flags |= LEG_PACED;
	shard->counters.bursts_held++;
	return false;
}

static void pace_sent(struct tcp_leg *leg, uint32_t bytes, uint64_t now_us)
{
	if (is_paced(leg))
		leg->paced_us = (leg->paced_us > now_us ? leg->paced_us : now_us) + pace_of(leg, bytes);
}

/* -- segments -- */

static bool retransmit(
    struct tcp_shard *shard, struct tcp_leg *leg, struct sent_segment *record, uint64_t now_us)
{
	bool fin = record->flags & SENT_FIN;
	uint32_t payload = record->len - fin;

	if (!segment_send(
	        shard, leg, record->seq, data_flags(leg, record->seq + payload, fin), payload, now_us))
		return false;
	if ((leg->flags & LEG_RAISE_OUT) && SEQ_LT(record->seq, leg->raise_end) &&
	    SEQ_GT(record->seq + record->len, leg->raise_end - leg->mss_most))
		leg_not_raised(leg, now_us);
	sent_again(shard, leg, record, now_us);
	recovery_retransmitted(leg, record->len, now_us);
	/* snd_una waits for this one: a round trip from now. */
	if (record == &shard->sent[leg->sent_head])
		leg_restart_rto(leg, now_us);
	leg->last_send_us = now_us;
	shard->counters.retransmits++;
	return true;
}

static void retransmit_lost(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	uint32_t i;

	while (leg->lost_bytes > 0 && (i = sent_first_lost(shard, leg)) != NONE) {
		struct sent_segment *record = &shard->sent[i];
		/* The first goes whatever cwnd and the window say: it is the fast retransmit, and the probe.
		 */
		bool first = i == leg->sent_head;
		if (record->len > leg->mss + (record->flags & SENT_FIN ? 1u : 0u) &&
		    !sent_split(shard, leg, record, leg->mss))
			return;
		if (!first && sent_pipe(leg) + record->len > leg->cwnd) {
			leg->flags |= LEG_CWND_LIMITED;
			return;
		}
		if ((!first && SEQ_GT(record->seq + record->len, leg->snd_una + leg->snd_wnd)) ||
		    !retransmit(shard, leg, record, now_us))
			return;
	}
}

/* Where ports cut frames into segments: as many full ones as may go now, in one frame. */
static uint32_t super_segment(
    const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t most, uint32_t pipe)
{
	uint32_t by_cwnd = leg->cwnd > pipe ? leg->cwnd - pipe : 0;
	uint32_t fitting = (shard->config.offloads.frame_max - L2_MAX - IP_TCP_HEADERS_MAX) / leg->mss;
	uint32_t segments = (most < by_cwnd ? most : by_cwnd) / leg->mss;

	/* Where segments are paced they go in small lots. */
	if (is_paced(leg) && fitting > PACE_SEGMENTS)
		fitting = PACE_SEGMENTS;

	if (segments > fitting)
		segments = fitting;
	return segments > 1 ? segments * leg->mss : leg->mss;
}

/* How much new data may go now in one frame: *fin where the FIN goes with it. False: nothing. A probe is one
 * segment and minds the peer's window only. */
static bool next_segment(
    const struct tcp_shard *shard, struct tcp_leg *leg, bool probe, uint32_t *payload, bool *fin)
{
	uint32_t left = leg->flags & LEG_FIN_SENT ? 0 : leg->snd_end - leg->snd_nxt;
	bool fin_left = (leg->flags & (LEG_FIN_QUEUED | LEG_FIN_SENT)) == LEG_FIN_QUEUED;
	uint32_t edge = leg->snd_una + leg->snd_wnd;
	uint32_t room = SEQ_GT(edge, leg->snd_nxt) ? edge - leg->snd_nxt : 0;
	uint32_t n = left < leg->mss ? left : leg->mss;

	if ((left == 0 && !fin_left) || room == 0)
		return false;
	if (n > room) {
		/* Sender's silly window avoidance (RFC 9293 3.8.6.2.1). */
		if (room < leg->snd_wnd_max / 2 && !(leg->flags & LEG_OVERRIDE))
			return false;
		n = room;
	}
	uint32_t pipe = sent_pipe(leg);
	if (pipe > 0 && n > 0 && pipe + n > leg->cwnd && !probe) {
		leg->flags |= LEG_CWND_LIMITED;
		return false;
	}
	if (!probe && n == leg->mss && n >= TSO_MSS_MIN && shard->config.offloads.frame_max > 0)
		n = super_segment(shard, leg, left < room ? left : room, pipe);
	*fin = fin_left && n == left && room > n;
	*payload = n;
	return n > 0 || *fin;
}

/* One record a segment on the wire, so that SACK and RACK see no difference; where they run out, the last
 * stands for the rest. */
static void note_sent(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t payload, bool fin, uint64_t now_us)
{
	uint32_t end = leg->snd_nxt + payload + fin;

	while (leg->snd_nxt != end) {
		uint32_t len = end - leg->snd_nxt;
		bool more = len > (uint32_t)leg->mss + fin && sent_room(shard, leg, 2);
		if (more)
			len = leg->mss;
		sent_append(shard, leg, leg->snd_nxt, len, fin && !more ? SENT_FIN : 0, now_us);
		leg->snd_nxt += len;
	}
}

/* Frames of several segments need a buffer of their own; where those have run out, one segment goes. */
static bool send_frame(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t *payload, bool *fin, uint64_t now_us)
{
	uint32_t seq = leg->snd_nxt;

	if (segment_send(shard, leg, seq, data_flags(leg, seq + *payload, *fin), *payload, now_us))
		return true;
	if (*payload <= leg->mss)
		return false;
	*payload = leg->mss;
	*fin = false;
	return segment_send(shard, leg, seq, data_flags(leg, seq + *payload, *fin), *payload, now_us);
}

static bool send_segments(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t *payload, bool fin, uint64_t now_us)
{
	if (!sent_room(shard, leg, 1)) {
		shard->counters.no_segment++;
		return false;
	}
	if (!send_frame(shard, leg, payload, &fin, now_us))
		return false;
	if (leg->sent_head == NONE)
		leg_restart_rto(leg, now_us);
	note_sent(shard, leg, *payload, fin, now_us);
	leg->prr_out += *payload;
	leg->last_send_us = now_us;
	leg->flags |= LEG_PROBE_ARM | (fin ? LEG_FIN_SENT : 0);
	shard->counters.bytes_out += *payload;
	pace_sent(leg, *payload, now_us);
	return true;
}

/* One segment of full size, amid smaller ones (path_mtu.c). */
static void try_full_size(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	uint32_t payload = leg->mss_most, edge = leg->snd_una + leg->snd_wnd;
	uint32_t room = SEQ_GT(edge, leg->snd_nxt) ? edge - leg->snd_nxt : 0;

	if (!leg_may_raise(leg, leg->snd_end - leg->snd_nxt, room, now_us))
		return;
	leg->flags |= LEG_RAISE;
	if (send_segments(shard, leg, &payload, false, now_us) && payload == leg->mss_most) {
		leg->flags |= LEG_RAISE_OUT;
		leg->raise_end = leg->snd_nxt;
	}
	leg->flags &= ~(uint32_t)LEG_RAISE;
}

static void send_new(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	uint32_t payload;
	bool fin;

	if (leg->sent_head == NONE && leg->last_send_us != 0 && now_us - leg->last_send_us > leg->rto_us)
		shard->congestion->idled(leg, now_us - leg->last_send_us);
	if (leg->raise_due != NEVER && !(leg->flags & LEG_FIN_SENT))
		try_full_size(shard, leg, now_us);
	for (uint32_t sent = 0; next_segment(shard, leg, false, &payload, &fin); sent += payload) {
		if (sent >= BURST_SEGMENTS * (uint32_t)leg->mss) {
			leg_mark_dirty(shard, leg);
			return;
		}
		if (!pace_permits(shard, leg, now_us))
			return;
		if (!send_segments(shard, leg, &payload, fin, now_us))
			break;
	}
	if (2 * sent_pipe(leg) < leg->cwnd)
		leg->flags &= ~(uint32_t)LEG_CWND_LIMITED;
}

void leg_probe_tail(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	struct sent_segment *last = &shard->sent[leg->sent_tail];
	uint32_t payload;
	bool fin, again = !sent_room(shard, leg, 1) || !next_segment(shard, leg, true, &payload, &fin);

	if (!again) {
		if (!send_segments(shard, leg, &payload, fin, now_us))
			return;
	} else {
		uint32_t full = leg->mss + (last->flags & SENT_FIN ? 1u : 0u);
		if (last->len > full) {
			if (!sent_split(shard, leg, last, last->len - full))
				return;
			last = &shard->sent[leg->sent_tail];
		}
		if (!retransmit(shard, leg, last, now_us))
			return;
	}
	recovery_probed(shard, leg, again, now_us);
}

static bool something_waits(const struct tcp_leg *leg)
{
	return !(leg->flags & LEG_FIN_SENT) &&
	       (leg->snd_nxt != leg->snd_end || (leg->flags & LEG_FIN_QUEUED));
}

/* Of what a leg with data in flight may wait for. */
static uint64_t first_due(const struct tcp_leg *leg)
{
	uint64_t due = leg->rto_due < leg->reorder_due ? leg->rto_due : leg->reorder_due;

	if (leg->probe_due < due)
		due = leg->probe_due;
	if ((leg->flags & LEG_PACED) && leg->paced_us - PACE_AHEAD_US < due)
		due = leg->paced_us - PACE_AHEAD_US;
	return due;
}

void leg_arm(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	if (leg->flags & LEG_RESET) {
		leg->timer_kind = LEG_TIMER_NONE;
	} else if (leg->sent_head != NONE) {
		if (leg->timer_kind != LEG_TIMER_RTO && leg->timer_kind != LEG_TIMER_NONE) {
			leg->unanswered = 0;
			leg_begin_rto(leg, now_us);
		}
		leg->timer_kind = LEG_TIMER_RTO;
		if (leg->flags & LEG_PROBE_ARM)
			recovery_schedule_probe(leg, now_us);
		leg->flags &= ~(uint32_t)LEG_PROBE_ARM;
		wheel_arm(&shard->wheel, &leg->timer, first_due(leg));
	} else if (something_waits(leg)) {
		if (leg->timer_kind == LEG_TIMER_PERSIST)
			return;
		/* The window is closed (or memory was short): ask again after an RTO, then less and less. */
		leg->timer_kind = LEG_TIMER_PERSIST;
		leg->backoff = leg->unanswered = 0;
		wheel_arm(&shard->wheel, &leg->timer, now_us + leg->rto_us);
	} else if (leg->timer_kind != LEG_TIMER_KEEPALIVE) {
		leg->timer_kind = LEG_TIMER_NONE;
		leg->backoff = 0;
	}
}

void leg_output(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	if (leg->flags & LEG_RESET)
		return;
	if (leg_flow(leg)->state == FLOW_ADOPTED) {
		leg->flags &= ~(uint32_t)LEG_PACED;
		if (leg->lost_bytes > 0)
			retransmit_lost(shard, leg, now_us);
		if (something_waits(leg))
			send_new(shard, leg, now_us);
		window_grant(shard, leg);
	}
	if ((leg->flags & LEG_ACK_NOW) && !segment_send(shard, leg, leg->snd_nxt, TCP_ACK, 0, now_us))
		leg->flags |= LEG_ACK_DELAYED; /* no buffer: soon */
	if ((leg->flags & LEG_ACK_DELAYED) && leg->delayed_ack.next == NULL)
		timer_append(&shard->delayed_acks, &leg->delayed_ack, now_us + DELAYED_ACK_US);
	if (leg_flow(leg)->state == FLOW_ADOPTED)
		leg_arm(shard, leg, now_us);
}

/* -- timers -- */

static void retransmission_timeout(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	/* What goes into a window that was taken back is a probe: a peer that answers those is not gone,
	 * however long (RFC 9293 3.8.6.1), and their size is not why they are refused. */
	bool shut = leg->snd_wnd == 0;

	if ((shut ? leg->unanswered : leg->backoff) >= shard->config.retransmit_limit) {
		leg_time_out(shard, leg, ETIMEDOUT, now_us);
		return;
	}
	leg->unanswered += leg->unanswered < UINT8_MAX;
	if (!shut)
		leg_black_hole(shard, leg, now_us);
	recovery_timed_out(shard, leg, now_us);
	leg_output(shard, leg, now_us);
}

/* A segment below the window, which any TCP answers with where it stands (RFC 9293 3.8.4, 3.10.7.4). */
static void probe(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	segment_send(shard, leg, leg->snd_una - 1, TCP_ACK, 0, now_us);
	leg->unanswered++;
}

static void persist_timeout(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	if (leg->unanswered >= shard->config.retransmit_limit) {
		leg_time_out(shard, leg, ETIMEDOUT, now_us);
		return;
	}
	leg->flags |= LEG_OVERRIDE;
	leg_output(shard, leg, now_us);
	leg->flags &= ~(uint32_t)LEG_OVERRIDE;
	if (leg->sent_head != NONE || (leg->flags & LEG_RESET))
		return;
	probe(shard, leg, now_us);
	if (leg->backoff < BACKOFF_SHIFT_MAX)
		leg->backoff++;
	uint64_t wait = (uint64_t)leg->rto_us << leg->backoff;
	wheel_arm(&shard->wheel, &leg->timer, now_us + (wait < PERSIST_MAX_US ? wait : PERSIST_MAX_US));
}

void leg_keepalive(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	uint64_t interval = (uint64_t)shard->config.idle_keepalive_ms * 1000 / KEEPALIVE_PROBES;

	if (leg->unanswered >= KEEPALIVE_PROBES) {
		leg_time_out(shard, leg, ETIMEDOUT, now_us);
		return;
	}
	probe(shard, leg, now_us);
	shard->counters.keepalives++;
	leg->timer_kind = LEG_TIMER_KEEPALIVE;
	if (interval < KEEPALIVE_INTERVAL_MIN_US)
		interval = KEEPALIVE_INTERVAL_MIN_US;
	wheel_arm(&shard->wheel, &leg->timer,
	    now_us + (interval < KEEPALIVE_INTERVAL_MAX_US ? interval : KEEPALIVE_INTERVAL_MAX_US));
}

static void flight_timeout(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	if (leg->sent_head == NONE)
		return;
	/* A probe that is due goes before the RTO, which then runs anew. */
	if (now_us >= leg->probe_due) {
		leg->probe_due = NEVER;
		leg_probe_tail(shard, leg, now_us);
	} else if (now_us >= leg->rto_due) {
		retransmission_timeout(shard, leg, now_us);
		return;
	}
	if (now_us >= leg->reorder_due)
		recovery_reordered(shard, leg, now_us);
	leg_output(shard, leg, now_us);
}

void leg_timer_fired(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	switch ((enum leg_timer)leg->timer_kind) {
	case LEG_TIMER_RTO:
		flight_timeout(shard, leg, now_us);
		break;
	case LEG_TIMER_PERSIST:
		persist_timeout(shard, leg, now_us);
		break;
	case LEG_TIMER_KEEPALIVE:
		/* Heard of since the probe: alive. */
		if (leg->unanswered == 0)
			leg->timer_kind = LEG_TIMER_NONE;
		else
			leg_keepalive(shard, leg, now_us);
		break;
	case LEG_TIMER_NONE:
		break;
	}
}
