/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ACK, or its absence, means for what is in flight.
 *
 * RACK (sack.c) says what is lost. The first loss begins an episode (LEG_RECOVERY until snd_una reaches
 * `recover`): congestion control chooses ssthresh, and proportional rate reduction (PRR, RFC 6937 with the
 * conservative bound of its revision) brings cwnd down to it as ACKs come, neither stopping nor bursting. A
 * flight whose ACKs stop coming is probed after two round trips (TLP, RFC 8985 section 7), which turns the
 * loss of a tail into fast recovery; only then does the RTO (RFC 6298) take all for lost (LEG_LOSS).
 *
 * An episode that was a mistake is undone: when the first ACK echoes a timestamp from before the first
 * retransmission (Eifel, RFC 3522, 4015), or the peer reports each retransmission as a duplicate (RFC 3708).
 */
#include "dataplane/tcp/flow.h"

#include <errno.h>

enum {
	PROBE_INITIAL_US = 1000000,  /* RFC 8985 7.2: no RTT known */
	ACK_DELAY_MAX_US = 200000,   /* how long a peer may keep the ACK of a lone segment back */
	RENEGED_WAIT_MIN_US = 10000, /* ACKs may overtake each other */
};

/* -- undo -- */

static void undo_prepare(struct tcp_leg *leg)
{
	leg->flags |= LEG_UNDO;
	leg->undo_cwnd = leg->cwnd;
	leg->undo_ssthresh = leg->ssthresh;
	leg->undo_from = leg->snd_una;
	leg->undo_retransmits = 0;
	leg->undo_model = leg->model;
}

void recovery_retransmitted(struct tcp_leg *leg, uint32_t bytes, uint64_t now_us)
{
	leg->prr_out += bytes;
	if (!(leg->flags & LEG_UNDO) || leg->undo_retransmits == UINT16_MAX)
		return;
	if (leg->undo_retransmits++ == 0)
		leg->undo_stamp = leg_timestamp(leg, now_us);
}

static bool was_spurious(struct tcp_leg *leg, const struct ack *ack)
{
	if (!(leg->flags & LEG_UNDO) || leg->undo_retransmits == 0)
		return false;
	if (ack->twice && SEQ_GEQ(ack->twice_start, leg->undo_from) &&
	    SEQ_LEQ(ack->twice_end, leg->recover) && --leg->undo_retransmits == 0)
		return true;
	/* Of several retransmissions in fast recovery the others may have been needed. */
	return ack->advances && ack->echo != 0 && SEQ_LT(ack->echo, leg->undo_stamp) &&
	       (leg->flags & (LEG_RECOVERY | LEG_LOSS)) &&
	       ((leg->flags & LEG_LOSS) || leg->undo_retransmits == 1 || SEQ_GEQ(leg->snd_una, leg->recover));
}

static void undo(struct tcp_shard *shard, struct tcp_leg *leg)
{
	shard->counters.spurious_recoveries++;
	/* Later segments arrived first; a time-out says nothing of the kind. */
	if (!(leg->flags & LEG_LOSS))
		leg->flags |= LEG_REORDERING;
	if (leg->cwnd < leg->undo_cwnd)
		leg->cwnd = leg->undo_cwnd;
	if (leg->ssthresh < leg->undo_ssthresh)
		leg->ssthresh = leg->undo_ssthresh;
	leg->model = leg->undo_model;
	leg->flags &= ~(uint32_t)(LEG_UNDO | LEG_RECOVERY | LEG_LOSS);
	leg->backoff = 0;
	leg->acked_in_round = 0;
	sent_none_lost(shard, leg);
}

/* -- fast recovery -- */

static void enter(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t delivered, uint64_t now_us)
{
	shard->counters.fast_recoveries++;
	undo_prepare(leg);
	leg->flags |= LEG_RECOVERY;
	leg->recover = leg->snd_nxt;
	/* RFC 6937's RecoverFS: what recovery will see delivered */
	leg->recover_flight = leg->snd_nxt - leg->snd_una - leg->sacked_bytes + delivered;
	leg->prr_delivered = leg->prr_out = 0;
	shard->congestion->lost(leg, leg->snd_nxt - leg->snd_una, false, now_us);
	/* Found by the timer: one segment goes out, ACKs bring the rest. */
	leg->cwnd = sent_pipe(leg) + leg->mss;
}

static void leave(struct tcp_leg *leg)
{
	if (leg->flags & LEG_RECOVERY)
		leg->cwnd = leg->ssthresh; /* where PRR was on its way to */
	leg->flags &= ~(uint32_t)(LEG_RECOVERY | LEG_LOSS);
	sent_recovered(leg);
}

/* `safe`: the ACK moved snd_una and showed no further loss. */
static void reduce_proportionally(struct tcp_leg *leg, uint32_t delivered, bool safe)
{
	uint32_t pipe = sent_pipe(leg), send = 0;

	if (delivered == 0)
		return;
	leg->prr_delivered += delivered;
	if (pipe > leg->ssthresh) {
		uint32_t flight = leg->recover_flight > 0 ? leg->recover_flight : 1;
		uint64_t due = ((uint64_t)leg->prr_delivered * leg->ssthresh + flight - 1) / flight;
		send = due > leg->prr_out ? (uint32_t)(due - leg->prr_out) : 0;
	} else {
		send = leg->prr_delivered > leg->prr_out ? leg->prr_delivered - leg->prr_out : 0;
		if (send < delivered)
			send = delivered;
		if (safe)
			send += leg->mss;
		if (send > leg->ssthresh - pipe)
			send = leg->ssthresh - pipe;
	}
	leg->cwnd = pipe + send;
	if (leg->cwnd < leg->mss)
		leg->cwnd = leg->mss;
}

static uint32_t find_losses(struct tcp_shard *shard, struct tcp_leg *leg, const struct ack *ack)
{
	bool recovering = leg->flags & (LEG_RECOVERY | LEG_LOSS);
	uint32_t before = leg->lost_bytes;

	leg->reorder_due = NEVER;
	if (leg->sent_head == NONE)
		return 0;
	if (leg->flags & LEG_SACK) {
		if (leg->sacked_bytes > 0 || recovering)
			sent_detect_losses(shard, leg, ack->now_us);
	} else if (leg->flags & LEG_RECOVERY) {
		if (ack->advances) /* a partial ACK points at the next hole (RFC 6582) */
			sent_head_lost(shard, leg);
	} else if (leg->dup_acks == DUP_THRESHOLD && !recovering && leg->snd_una != leg->recover) {
		/* At `recover` they may be answers to what a time-out sent in vain (RFC 6582 3.2). */
		sent_head_lost(shard, leg);
	}
	return leg->lost_bytes > before ? leg->lost_bytes - before : 0;
}

/* -- tail loss probe -- */

void recovery_schedule_probe(struct tcp_leg *leg, uint64_t now_us)
{
	leg->probe_due = NEVER;
	if (!(leg->flags & LEG_SACK) || (leg->flags & (LEG_RECOVERY | LEG_LOSS | LEG_PROBED)) ||
	    leg->sacked_bytes > 0 || leg->sent_head == NONE)
		return;
	uint64_t wait = leg->srtt_us == 0 ? PROBE_INITIAL_US : 2ull * leg->srtt_us;
	if (leg->sent_head == leg->sent_tail && leg->srtt_us != 0)
		wait += ACK_DELAY_MAX_US;
	leg->probe_due = now_us + wait < leg->rto_due ? now_us + wait : leg->rto_due;
}

void recovery_probed(struct tcp_shard *shard, struct tcp_leg *leg, bool again, uint64_t now_us)
{
	shard->counters.tail_probes++;
	leg->flags = (leg->flags & ~(uint32_t)LEG_PROBED_AGAIN) | LEG_PROBED | (again ? LEG_PROBED_AGAIN : 0);
	leg->probe_end = leg->snd_nxt;
	leg->probe_due = NEVER;
	leg_restart_rto(leg, now_us);
}

/* Did the probe repair a loss that nothing else showed (RFC 8985 7.4)? `again`: it was a retransmission. */
static void probe_acked(struct tcp_shard *shard, struct tcp_leg *leg, struct ack *ack, uint32_t delivered)
{
	bool of_probe = ack->twice && ack->twice_end == leg->probe_end && (leg->flags & LEG_PROBED_AGAIN);

	if (!(leg->flags & LEG_PROBED) || SEQ_LT(ack->number, leg->probe_end))
		return;
	if (of_probe) {
		ack->twice = false; /* says nothing about reordering */
	} else if ((leg->flags & LEG_PROBED_AGAIN) && SEQ_GT(ack->number, leg->probe_end)) {
		if (!(leg->flags & (LEG_RECOVERY | LEG_LOSS))) {
			leg->flags &= ~(uint32_t)LEG_UNDO;
			/* `delivered` was in flight until this ACK. */
			shard->congestion->lost(
			    leg, leg->snd_nxt - leg->snd_una + delivered, false, ack->now_us);
			if (leg->cwnd > leg->ssthresh)
				leg->cwnd = leg->ssthresh;
		}
	} else if ((leg->flags & LEG_PROBED_AGAIN) && (ack->advances || delivered > 0 || !ack->duplicate)) {
		return; /* wait: the next ACK tells whether both copies arrived */
	}
	leg->flags &= ~(uint32_t)(LEG_PROBED | LEG_PROBED_AGAIN);
}

/* -- an ACK -- */

void recovery_acked(struct tcp_shard *shard, struct tcp_leg *leg, struct ack *ack, uint32_t delivered)
{
	probe_acked(shard, leg, ack, delivered);
	if (leg->flags & LEG_SACK)
		sent_note_duplicate(leg, ack);
	if (was_spurious(leg, ack))
		undo(shard, leg);
	if ((leg->flags & (LEG_RECOVERY | LEG_LOSS)) && SEQ_GEQ(leg->snd_una, leg->recover))
		leave(leg);
	uint32_t lost = find_losses(shard, leg, ack);
	if (lost > 0 && !(leg->flags & (LEG_RECOVERY | LEG_LOSS)))
		enter(shard, leg, delivered, ack->now_us);
	if (leg->flags & LEG_RECOVERY)
		reduce_proportionally(leg, delivered, ack->advances && lost == 0);
	else if (ack->advances ||
	         ((leg->flags & LEG_REORDERING) && delivered > 0)) /* order says little there */
		shard->congestion->acked(leg, delivered, ack->now_us);
	if (leg->sacked_bytes > 0 || (leg->flags & (LEG_RECOVERY | LEG_LOSS)))
		leg->probe_due = NEVER; /* RACK has what it needs */
	/* SACKed and yet not acknowledged: the peer may have thrown it away (RFC 2018 section 8). */
	if (ack->advances && leg->sent_head != NONE && (shard->sent[leg->sent_head].flags & SENT_SACKED)) {
		uint64_t soon =
		    leg->srtt_us / 2 > RENEGED_WAIT_MIN_US ? leg->srtt_us / 2 : RENEGED_WAIT_MIN_US;
		if (leg->rto_due > ack->now_us + soon)
			leg->rto_due = ack->now_us + soon;
	}
}

/* -- timers -- */

void recovery_reordered(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	if (sent_detect_losses(shard, leg, now_us) > 0 && !(leg->flags & (LEG_RECOVERY | LEG_LOSS)))
		enter(shard, leg, 0, now_us);
	leg->probe_due = NEVER;
}

void recovery_timed_out(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	shard->counters.retransmit_timeouts++;
	/* Only the first time-out of a loss reduces: the flight does not shrink meanwhile (RFC 5681
	 * section 3.1). */
	if (leg->backoff == 0) {
		undo_prepare(leg);
		shard->congestion->lost(leg, leg->snd_nxt - leg->snd_una, true, now_us);
	}
	leg->cwnd = leg->mss; /* RFC 5681's loss window */
	if (leg->backoff < UINT8_MAX)
		leg->backoff++;
	leg->flags = (leg->flags & ~(uint32_t)(LEG_RECOVERY | LEG_PROBED | LEG_PROBED_AGAIN)) | LEG_LOSS |
	             LEG_CWND_LIMITED;
	leg->recover = leg->snd_nxt;
	leg->dup_acks = 0;
	leg->reorder_due = leg->probe_due = NEVER;
	sent_timed_out(shard, leg, now_us);
	leg_restart_rto(leg, now_us);
}
