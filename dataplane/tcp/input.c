/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment of an adopted flow, in the order of RFC 9293 3.10.7.4: timestamps (PAWS), sequence, RST, SYN,
 * ACK, text, FIN. Everything in it is foreign. Blind attackers are answered as RFC 5961 says: an RST counts
 * only at exactly rcv_nxt, a SYN never, an ACK only for what may have been sent; doubt costs them a
 * rate-limited ACK.
 */
#include "dataplane/tcp/flow.h"

#include <errno.h>
#include <string.h>

/* How long TS.Recent is worth comparing with (RFC 7323 5.5): half the clock of a peer that ticks each
 * microsecond; the RFC's 24 days are for the slowest clock allowed, and no segment lives that long. */
#define PAWS_VALID_US 2147000000ull

static void parse_options(struct tcp_options *options, const struct frame *frame)
{
	const uint8_t *at = frame->bytes + frame->l4_offset + 20;
	uint32_t len = frame->tcp_header_len - 20u, word;

	/* Timestamps alone, in everybody's layout (RFC 7323 appendix A): no walk. */
	if (len == 12 && memcmp(at, "\x01\x01\x08\x0a", 4) == 0) {
		memset(options, 0, offsetof(struct tcp_options, sack));
		options->timestamps = true;
		memcpy(&word, at + 4, 4);
		options->tsval = __builtin_bswap32(word);
		memcpy(&word, at + 8, 4);
		options->tsecr = __builtin_bswap32(word);
		return;
	}
	options_parse(options, at, len);
}

/* False: an old duplicate by its timestamp. */
static bool paws_ok(const struct tcp_leg *leg, const struct tcp_options *options, uint64_t now_us)
{
	if (!(leg->flags & LEG_TIMESTAMPS) || !options->timestamps)
		return true;
	return SEQ_GEQ(options->tsval, leg->ts_recent) || now_us - leg->ts_recent_us > PAWS_VALID_US;
}

static void ack_now(struct tcp_shard *shard, struct tcp_leg *leg)
{
	leg->flags |= LEG_ACK_NOW;
	leg_mark_dirty(shard, leg);
}

static bool ack_acceptable(const struct tcp_leg *leg, uint32_t ack)
{
	return SEQ_LEQ(ack, leg->snd_nxt) && SEQ_GEQ(ack, leg->snd_una - leg->snd_wnd_max);
}

static void note_timestamp(
    struct tcp_leg *leg, const struct frame *frame, const struct tcp_options *options, uint64_t now_us)
{
	if ((leg->flags & LEG_TIMESTAMPS) && options->timestamps && paws_ok(leg, options, now_us) &&
	    SEQ_LEQ(frame->seq, leg->last_ack_sent)) {
		leg->ts_recent = options->tsval;
		leg->ts_recent_us = now_us;
	}
}

static void unacceptable(struct tcp_shard *shard, struct tcp_leg *leg, const struct frame *frame,
    const struct tcp_options *options, uint64_t now_us)
{
	shard->counters.out_of_window++;
	if (frame->tcp_flags & TCP_RST)
		return;
	if (frame->payload_len > 0 && SEQ_LT(frame->seq, leg->rcv_nxt)) {
		/* A retransmission of what we have: our ACK was lost. The echo is of this copy, or its sender
		 * would measure the time since the first. */
		if (leg->rcv_nxt - frame->seq <= leg->credit && ack_acceptable(leg, frame->ack))
			note_timestamp(leg, frame, options, now_us);
		leg->dsack_start = frame->seq;
		leg->dsack_end = frame->seq + frame->payload_len;
		leg->flags |= LEG_DSACK;
		ack_now(shard, leg);
	} else if (frame->tcp_flags & TCP_FIN) {
		ack_now(shard, leg);
	} else if (frame->seq == leg->rcv_nxt - 1) {
		/* A keepalive or window probe; not so often that two who disagree by one could make a war of
		 * ACKs. */
		uint32_t now_ms = (uint32_t)(now_us / 1000);
		if (now_ms - leg->probed_ms >= PROBE_ANSWER_MS) {
			leg->probed_ms = now_ms;
			ack_now(shard, leg);
		}
	} else {
		leg_challenge(shard, leg, now_us);
	}
}

/* RST and SYN; true where the segment is done with. */
static bool reset_or_syn(
    struct tcp_shard *shard, struct tcp_leg *leg, const struct frame *frame, uint64_t now_us)
{
	if (frame->tcp_flags & TCP_RST) {
		if (frame->seq != leg->rcv_nxt) {
			leg_challenge(shard, leg, now_us);
			return true;
		}
		/* It has our FIN, we have its: it may be gone, and answer a stray so, while what it sent is
		 * still on its way to the other side (RFC 1337: an RST ends no TIME_WAIT). */
		if ((leg->flags & LEG_FIN_ACKED) && (leg->flags & LEG_FIN_RECEIVED))
			return true;
		shard->counters.resets_in++;
		leg_reset(shard, leg, false, now_us);
		flow_reset(shard, leg_flow(leg), leg->id, ECONNRESET, 1u << leg_other(leg)->id, now_us);
		return true;
	}
	if (frame->tcp_flags & TCP_SYN) {
		leg_challenge(shard, leg, now_us);
		return true;
	}
	return !(frame->tcp_flags & TCP_ACK);
}

static void take_window(struct tcp_leg *leg, const struct frame *frame)
{
	/* RFC 9293's rule alone would take a retransmission's ACK but not its window: the window of before,
	 * counted from there, reaches further than the peer ever said. */
	if (SEQ_LT(leg->snd_una, frame->ack) || SEQ_LT(leg->snd_wl1, frame->seq) ||
	    (leg->snd_wl1 == frame->seq && SEQ_LEQ(leg->snd_wl2, frame->ack))) {
		leg->snd_wnd = (uint32_t)frame->tcp_window << leg->snd_wscale;
		leg->snd_wl1 = frame->seq;
		leg->snd_wl2 = frame->ack;
		if (leg->snd_wnd > leg->snd_wnd_max)
			leg->snd_wnd_max = leg->snd_wnd;
	}
}

static void advance_una(struct tcp_shard *shard, struct tcp_leg *leg, struct ack *ack)
{
	sent_acked(shard, leg, ack);
	leg->snd_una = ack->number;
	leg_slabs_release(shard, leg, false);
	if ((leg->flags & LEG_RAISE_OUT) && SEQ_GEQ(leg->snd_una, leg->raise_end))
		leg_raised(shard, leg);
	if ((leg->flags & LEG_FIN_SENT) && leg->snd_una == leg->snd_nxt)
		leg->flags |= LEG_FIN_ACKED;
	/* Karn: a retransmitted segment gives no sample, but for an echoed timestamp. */
	if (ack->rtt_us == 0 && ack->echo != 0) {
		uint32_t ticks = leg_timestamp(leg, ack->now_us) - ack->echo;
		if (ticks < RTO_MAX_US / TIMESTAMP_TICK_US)
			ack->rtt_us = ticks == 0 ? TIMESTAMP_TICK_US : ticks * TIMESTAMP_TICK_US;
	}
	if (ack->rtt_us != 0) {
		rtt_sample(leg, ack->rtt_us);
		congestion_rtt(leg, ack->rtt_us);
		leg->backoff = 0;
	} else if (leg->backoff > 1) {
		/* Something arrived, we cannot tell which copy: the path is alive, the full backoff is over.
		 * Without this a lossy path without timestamps waits RTO_MAX for each further loss. */
		leg->backoff = 1;
	}
	leg_restart_rto(leg, ack->now_us);
	leg->flags |= LEG_PROBE_ARM;
}

/* Bytes that this ACK shows to have arrived. Without SACK a duplicate stands for a segment, of which the ACK
 * that fills the hole must not tell once more. */
static uint32_t delivered_bytes(struct tcp_leg *leg, const struct ack *ack, uint32_t acked, uint32_t sacked)
{
	if (leg->flags & LEG_SACK)
		return acked + leg->sacked_bytes - sacked;
	if (!ack->advances)
		return ack->duplicate ? leg->mss : 0;
	uint32_t told = (uint32_t)leg->dup_acks * leg->mss;
	return acked > told ? acked - told : 0;
}

static void process_ack(struct tcp_shard *shard, struct tcp_leg *leg, const struct frame *frame,
    const struct tcp_options *options, uint64_t now_us)
{
	uint32_t old_window = leg->snd_wnd, acked = frame->ack - leg->snd_una, sacked = leg->sacked_bytes;
	struct ack ack = {.now_us = now_us, .number = frame->ack, .advances = acked > 0};

	if (SEQ_LT(frame->ack, leg->snd_una))
		return;
	if ((leg->flags & LEG_TIMESTAMPS) && options->timestamps)
		ack.echo = options->tsecr;
	take_window(leg, frame);
	ack.duplicate = acked == 0 && frame->payload_len == 0 && leg->snd_wnd == old_window &&
	                !(frame->tcp_flags & TCP_FIN); /* RFC 5681 section 2 */
	if (options->sack_count > 0 && (leg->flags & LEG_SACK))
		sent_sacked(shard, leg, options, &ack);
	if (acked > 0)
		advance_una(shard, leg, &ack);
	uint32_t delivered = delivered_bytes(leg, &ack, acked, sacked);
	if (acked > 0)
		leg->dup_acks = 0;
	else if (ack.duplicate && leg->sent_head != NONE && leg->dup_acks < UINT16_MAX)
		leg->dup_acks++;
	recovery_acked(shard, leg, &ack, delivered);
	/* What was refused for want of room goes again soon; it was asked for in vain, not lost, so far. */
	if (old_window == 0 && leg->snd_wnd > 0 && leg->sent_head != NONE)
		leg_begin_rto(leg, now_us);
	if (acked > 0 || leg->lost_bytes > 0 || leg->snd_nxt != leg->snd_end ||
	    leg->timer_kind != LEG_TIMER_NONE)
		leg_mark_dirty(shard, leg);
	if (leg->timer_kind == LEG_TIMER_PERSIST && leg->snd_wnd != old_window) {
		leg->timer_kind = LEG_TIMER_NONE;   /* it opened; closed again, it starts anew */
		leg->backoff = leg->unanswered = 0; /* the probes' */
	}
}

/* In-order bytes: straight from the frame to the worker if nothing is before or among them. */
static void receive_in_order(struct tcp_shard *shard, struct tcp_leg *leg, const uint8_t *at, uint32_t len)
{
	uint32_t seq = leg->rcv_nxt;
	bool gap_filled = leg->chunk_head != NONE;

	if (leg->dlv_nxt == seq) {
		/* Up to the first byte that is kept: those stay as they came. */
		uint32_t direct = len;
		if (gap_filled && SEQ_LT(shard->chunks[leg->chunk_head].seq, seq + len))
			direct = shard->chunks[leg->chunk_head].seq - seq;
		uint32_t taken = leg_deliver(shard, leg, at, direct);
		seq += taken, at += taken, len -= taken;
		leg->rcv_nxt = seq;
	}
	if (len > 0 && !chunks_insert(shard, leg, seq, at, len))
		shard->counters.reorder_dropped++;
	if (leg->chunk_head != NONE)
		leg->rcv_nxt = chunks_contiguous(shard, leg, leg->rcv_nxt);
	if (gap_filled || leg->rcv_nxt - leg->last_ack_sent >= 2u * leg->peer_full)
		leg->flags |= LEG_ACK_NOW;
	else
		leg->flags |= LEG_ACK_DELAYED;
}

static void receive_out_of_order(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq,
    const uint8_t *at, uint32_t len, uint64_t now_us)
{
	if (chunks_insert(shard, leg, seq, at, len))
		shard->counters.reordered++;
	else
		shard->counters.reorder_dropped++;
	leg->recent[2] = leg->recent[1];
	leg->recent[1] = leg->recent[0];
	leg->recent[0] = seq;
	/* Each one is answered at once: the sender counts duplicates (RFC 5681 4.2). */
	if (!segment_send(shard, leg, leg->snd_nxt, TCP_ACK, 0, now_us))
		ack_now(shard, leg); /* no buffer */
}

/* What the peer calls a full segment: the longest so far; or, as its path MTU may have fallen, two of one
 * length in a row, the first of which ended nothing. */
static void note_full_segment(struct tcp_leg *leg, const struct frame *frame)
{
	uint16_t len = frame->payload_len > UINT16_MAX ? UINT16_MAX : (uint16_t)frame->payload_len;
	bool ends = frame->tcp_flags & (TCP_PSH | TCP_FIN | TCP_URG);

	if (len > leg->peer_mss_seen)
		leg->peer_mss_seen = len;
	if (len > leg->peer_full || (len >= MSS_MIN && len == leg->peer_len_seen))
		leg->peer_full = len;
	leg->peer_len_seen = ends ? 0 : len;
}

static void receive_payload(struct tcp_shard *shard, struct tcp_leg *leg, const struct frame *frame,
    const struct tcp_options *options, uint64_t now_us)
{
	uint32_t seq = frame->seq, len = frame->payload_len;
	const uint8_t *at = frame->bytes + frame->payload_offset;

	note_full_segment(leg, frame);
	if (SEQ_LT(seq, leg->rcv_nxt)) {
		uint32_t known = leg->rcv_nxt - seq < len ? leg->rcv_nxt - seq : len;
		leg->dsack_start = seq;
		leg->dsack_end = seq + known;
		leg->flags |= LEG_DSACK | LEG_ACK_NOW;
		seq += known, at += known, len -= known;
	}
	uint32_t edge =
	    leg->flags & LEG_FIN_SEEN && SEQ_LT(leg->fin_seq, leg->rcv_adv) ? leg->fin_seq : leg->rcv_adv;
	if (len > 0 && SEQ_GT(seq + len, edge)) {
		len = SEQ_LT(seq, edge) ? edge - seq : 0;
		shard->counters.out_of_window++;
		leg->flags |= LEG_ACK_NOW;
	}
	uint32_t kept = window_keeps(shard, leg, len);
	if (kept < len) {
		shard->counters.memory_dropped++;
		leg->flags |= LEG_ACK_NOW;
		len = kept;
	}
	if (len == 0)
		return;
	window_rtt(leg, options, frame->payload_len, now_us);
	if (seq == leg->rcv_nxt)
		receive_in_order(shard, leg, at, len);
	else
		receive_out_of_order(shard, leg, seq, at, len, now_us);
	window_account(shard, leg);
}

static void receive_fin(struct tcp_leg *leg, const struct frame *frame)
{
	uint32_t fin_seq = frame->seq + frame->payload_len;

	if ((frame->tcp_flags & TCP_FIN) && !(leg->flags & LEG_FIN_SEEN) && SEQ_LEQ(fin_seq, leg->rcv_adv) &&
	    SEQ_GEQ(fin_seq, leg->rcv_nxt)) {
		leg->fin_seq = fin_seq;
		leg->flags |= LEG_FIN_SEEN;
	}
	if ((leg->flags & (LEG_FIN_SEEN | LEG_FIN_RECEIVED)) == LEG_FIN_SEEN &&
	    leg->rcv_nxt == leg->fin_seq) {
		leg->rcv_nxt++;
		leg->flags |= LEG_FIN_RECEIVED | LEG_ACK_NOW;
	} else if (frame->tcp_flags & TCP_FIN) {
		leg->flags |= LEG_ACK_NOW; /* out of order: the sender hears of the hole before it */
	}
}

void leg_input(struct tcp_shard *shard, struct tcp_leg *leg, const struct frame *frame, uint64_t now_us)
{
	struct tcp_flow *flow = leg_flow(leg);
	struct tcp_options options;
	uint32_t end = frame->seq + frame->payload_len + ((frame->tcp_flags & TCP_FIN) != 0);

	if (!frame_checksum_ok(frame)) {
		shard->counters.bad_checksum++;
		return;
	}
	if (leg->flags & LEG_RESET) { /* the other leg goes on; this one is as closed */
		time_wait_input(shard, flow, leg, frame, now_us);
		return;
	}
	parse_options(&options, frame);
	/* The origin repeats its SYN-ACK until it has our ACK, which may have been lost. */
	if ((frame->tcp_flags & TCP_SYN) && frame->seq + 1 == leg->rcv_nxt && leg->id == SLAB_LEG_ORIGIN &&
	    leg->delivered == 0 && (frame->tcp_flags & TCP_ACK)) {
		ack_now(shard, leg);
		return;
	}
	if (!(frame->tcp_flags & TCP_RST) && !paws_ok(leg, &options, now_us)) {
		shard->counters.paws_dropped++;
		/* Two ends that each find the other old must not answer each other's ACKs for ever. */
		if (frame->payload_len > 0 || (frame->tcp_flags & TCP_FIN))
			ack_now(shard, leg);
		else
			leg_challenge(shard, leg, now_us);
		return;
	}
	if (SEQ_LT(end, leg->rcv_nxt) || SEQ_GT(frame->seq, leg->rcv_adv)) {
		if (frame->tcp_flags & TCP_SYN)
			leg_challenge(shard, leg, now_us);
		else
			unacceptable(shard, leg, frame, &options, now_us);
		return;
	}
	if (reset_or_syn(shard, leg, frame, now_us))
		return;
	if (!ack_acceptable(leg, frame->ack)) {
		leg_challenge(shard, leg, now_us);
		return;
	}
	leg->last_heard_us = now_us;
	leg->unanswered = 0;
	leg_look_like(&leg_other(leg)->look, frame);
	note_timestamp(leg, frame, &options, now_us);
	process_ack(shard, leg, frame, &options, now_us);
	if (frame->payload_len == 0 && !(frame->tcp_flags & TCP_FIN)) {
		if (leg->flags & LEG_FIN_ACKED)
			flow_check_over(shard, flow, now_us);
		return;
	}
	if (leg->flags & LEG_FIN_RECEIVED) { /* text or FIN after FIN: known, or nonsense */
		ack_now(shard, leg);
	} else {
		receive_payload(shard, leg, frame, &options, now_us);
		receive_fin(leg, frame);
		leg_mark_dirty(shard, leg);
	}
	if (leg->dlv_nxt != leg->rcv_nxt)
		flow_settle(shard, flow, now_us);
	flow_check_over(shard, flow, now_us);
}
