/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How legs and flows end. A leg is over when its FIN was acknowledged and the peer's was delivered, or by RST
 * of either side; a flow when both legs are. It then stays for a while (TIME_WAIT) and answers strays as its
 * peers expect, so that none is taken for the first segment of something new.
 */
#include "dataplane/tcp/flow.h"

#include <errno.h>

static void leg_let_go(struct tcp_shard *shard, struct tcp_leg *leg)
{
	timer_unlink(&leg->timer);
	timer_unlink(&leg->delayed_ack);
	timer_unlink(&leg->idle);
	leg->timer_kind = LEG_TIMER_NONE;
	chunks_release(shard, leg);
	window_end(shard, leg);
	sent_release(shard, leg);
	leg_slabs_release(shard, leg, true);
}

static bool leg_over(const struct tcp_leg *leg)
{
	uint32_t both = LEG_FIN_ACKED | LEG_FIN_DELIVERED;

	return (leg->flags & LEG_RESET) || (leg->flags & both) == both;
}

void leg_reset(struct tcp_shard *shard, struct tcp_leg *leg, bool send, uint64_t now_us)
{
	if (leg->flags & LEG_RESET)
		return;
	if (send) {
		shard->counters.resets_out++;
		segment_send(shard, leg, leg->snd_nxt, TCP_RST | TCP_ACK, 0, now_us);
	}
	leg->flags = (leg->flags | LEG_RESET) & ~(uint32_t)(LEG_ACK_NOW | LEG_ACK_DELAYED);
	leg_let_go(shard, leg);
}

static void time_wait(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us)
{
	timer_append(&shard->time_waits, &flow->timer, now_us + (uint64_t)shard->config.time_wait_ms * 1000);
}

/* The flow carries nothing any more. */
static void flow_rest(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us)
{
	flow->state = FLOW_TIME_WAIT;
	shard->counters.legs_established--;
	for (unsigned i = 0; i < 2; i++)
		leg_let_go(shard, &flow->leg[i]);
	time_wait(shard, flow, now_us);
}

static void flow_end(struct tcp_shard *shard, struct tcp_flow *flow, unsigned rst_mask, uint64_t now_us)
{
	if (flow->state != FLOW_ADOPTED)
		return;
	for (unsigned i = 0; i < 2; i++)
		if (!leg_over(&flow->leg[i]))
			leg_reset(shard, &flow->leg[i], rst_mask >> i & 1, now_us);
	flow_rest(shard, flow, now_us);
	flow->flags |= FLOW_TELL_GONE;
}

void flow_reset(struct tcp_shard *shard, struct tcp_flow *flow, uint8_t leg, int error, unsigned rst_mask,
    uint64_t now_us)
{
	if (flow->state != FLOW_ADOPTED)
		return;
	flow_end(shard, flow, rst_mask, now_us);
	if (error != 0) {
		flow->flags |= FLOW_TELL_RESET;
		flow->reset_leg = leg;
		flow->reset_error = (uint16_t)error;
	}
	flow_settle(shard, flow, now_us);
}

void leg_time_out(struct tcp_shard *shard, struct tcp_leg *leg, int error, uint64_t now_us)
{
	shard->counters.timeouts++;
	flow_reset(shard, leg_flow(leg), leg->id, error, 3, now_us);
}

static bool legs_both(const struct tcp_flow *flow, uint32_t any_of)
{
	return (flow->leg[0].flags & any_of) && (flow->leg[1].flags & any_of);
}

static void fin_wait(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us)
{
	timer_append(&shard->fin_waits, &flow->timer, now_us + (uint64_t)shard->config.fin_wait_ms * 1000);
}

void flow_check_over(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us)
{
	if (flow->state != FLOW_ADOPTED)
		return;
	if (leg_over(&flow->leg[0]) && leg_over(&flow->leg[1])) {
		flow_end(shard, flow, 0, now_us);
		flow_settle(shard, flow, now_us);
		return;
	}
	/* The worker closed both: a while for the peers to take what it wrote, then one for their FINs. */
	if (!(flow->flags & FLOW_CLOSING) && legs_both(flow, LEG_FIN_QUEUED | LEG_RESET)) {
		flow->flags |= FLOW_CLOSING;
		fin_wait(shard, flow, now_us);
	}
	if (!(flow->flags & FLOW_FIN_WAIT) && legs_both(flow, LEG_FIN_ACKED | LEG_RESET)) {
		flow->flags |= FLOW_FIN_WAIT;
		fin_wait(shard, flow, now_us);
	}
}

void flow_fin_wait_due(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us)
{
	/* A peer that still takes bytes is waited for; one that went away is for the retransmission limit. */
	for (unsigned i = 0; i < 2; i++)
		if (!(flow->leg[i].flags & (LEG_FIN_ACKED | LEG_RESET)) && flow->leg[i].snd_wnd > 0) {
			fin_wait(shard, flow, now_us);
			return;
		}
	shard->counters.timeouts++;
	flow_reset(shard, flow, SLAB_LEG_CLIENT, ETIMEDOUT, 3, now_us);
}

bool flow_orphaned(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us)
{
	if (!(flow->flags & FLOW_HAS_WORKER) || shard->workers[flow->worker].epoch == flow->worker_epoch)
		return false;
	/* Its slabs may be unmapped, their numbers another's: nothing of them is touched. */
	for (unsigned i = 0; i < 2; i++)
		flow->leg[i].slab_head = flow->leg[i].slab_tail = flow->leg[i].slab_cursor = NONE;
	flow->worker = -1;
	flow->flags &= (uint8_t) ~(FLOW_HAS_WORKER | FLOW_WAITING | FLOW_TELL_RESET | FLOW_TELL_GONE);
	if (flow->state == FLOW_ADOPTED) {
		shard->counters.worker_lost++;
		flow_end(shard, flow, 3, now_us);
	}
	return true;
}

static void dirty_remove(struct tcp_shard *shard, struct tcp_leg *leg)
{
	uint32_t number = flow_index(shard, leg_flow(leg)) * 2 + leg->id, before = NONE;

	for (uint32_t i = shard->dirty_head; i != NONE;
	     before = i, i = shard->flows[i / 2].leg[i % 2].dirty_next) {
		if (i != number)
			continue;
		if (before == NONE)
			shard->dirty_head = leg->dirty_next;
		else
			shard->flows[before / 2].leg[before % 2].dirty_next = leg->dirty_next;
		if (shard->dirty_tail == number)
			shard->dirty_tail = before;
		break;
	}
	leg->flags &= ~(uint32_t)LEG_DIRTY;
}

void flow_forget(struct tcp_shard *shard, struct tcp_flow *flow)
{
	timer_unlink(&flow->timer);
	if (flow->state == FLOW_ADOPTED || flow->state == FLOW_TIME_WAIT) {
		for (unsigned i = 0; i < 2; i++) {
			leg_let_go(shard, &flow->leg[i]);
			if (flow->leg[i].flags & LEG_DIRTY)
				dirty_remove(shard, &flow->leg[i]);
		}
	} else if (flow->state == FLOW_PASS) {
		shard->counters.passed--;
	}
	flow_free(shard, flow);
}

/* RFC 9293 3.10.7.4 and RFC 6191: a SYN that cannot be an old duplicate opens a new connection. */
static bool begins_anew(const struct tcp_flow *flow, const struct tcp_leg *leg, const struct frame *frame)
{
	struct tcp_options options;

	if ((frame->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN || leg->id != SLAB_LEG_CLIENT ||
	    (flow->flags & (FLOW_HAS_WORKER | FLOW_WAITING)))
		return false;
	if ((leg->flags & LEG_RESET) || SEQ_GT(frame->seq, leg->rcv_nxt))
		return true;
	options_parse(&options, frame->bytes + frame->l4_offset + 20, frame->tcp_header_len - 20u);
	return (leg->flags & LEG_TIMESTAMPS) && options.timestamps && SEQ_GT(options.tsval, leg->ts_recent);
}

bool time_wait_input(struct tcp_shard *shard, struct tcp_flow *flow, struct tcp_leg *leg,
    const struct frame *frame, uint64_t now_us)
{
	if ((frame->tcp_flags & TCP_RST) ||
	    !frame_checksum_ok(frame)) /* RFC 1337: an RST ends no TIME_WAIT */
		return false;
	if (begins_anew(flow, leg, frame))
		return true;
	if (leg->flags & LEG_RESET) {
		/* As CLOSED does; a challenge ACK gets the RST that it asks for, at the number it names. */
		if ((frame->tcp_flags & TCP_ACK) &&
		    (leg->challenge_us == 0 || now_us - leg->challenge_us >= CHALLENGE_INTERVAL_US ||
		        leg->unanswered < KEEPALIVE_PROBES)) {
			leg->challenge_us = now_us;
			leg->unanswered++;
			shard->counters.resets_out++;
			segment_send(shard, leg, frame->ack, TCP_RST, 0, now_us);
		}
	} else if (frame->payload_len > 0 || (frame->tcp_flags & (TCP_FIN | TCP_SYN)) ||
	           SEQ_LT(frame->seq, leg->rcv_nxt)) {
		/* Its FIN again, or data that we have: our last ACK was lost, and its next may be, too
		 * (RFC 9293 3.10.7.4). */
		if (flow->state == FLOW_TIME_WAIT && (frame->tcp_flags & TCP_FIN) &&
		    frame->seq + frame->payload_len + 1 == leg->rcv_nxt)
			time_wait(shard, flow, now_us);
		leg_challenge(shard, leg, now_us);
	}
	return false;
}
