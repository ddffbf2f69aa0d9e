/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scoreboard: one record for each transmitted segment that is not cumulatively acknowledged, in order of
 * sequence, with the time of its last transmission. From it come the RTT, the SACKed bytes, and RACK's
 * verdict (RFC 8985 section 6.2): a segment is lost when one sent sufficiently later has arrived.
 */
#include "dataplane/tcp/flow.h"

static struct sent_segment *record_take(struct tcp_shard *shard, uint32_t *index)
{
	*index = shard->free_sent;
	if (*index == NONE)
		return NULL;
	struct sent_segment *record = &shard->sent[*index];
	shard->free_sent = record->next;
	return record;
}

struct sent_segment *sent_append(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, uint32_t len, uint32_t flags, uint64_t now_us)
{
	uint32_t index;
	struct sent_segment *record = record_take(shard, &index);

	if (record == NULL) {
		shard->counters.no_segment++;
		return NULL;
	}
	*record =
	    (struct sent_segment){.sent_us = now_us, .next = NONE, .seq = seq, .len = len, .flags = flags};
	if (leg->sent_head == NONE)
		leg->sent_head = index;
	else
		shard->sent[leg->sent_tail].next = index;
	leg->sent_tail = index;
	return record;
}

bool sent_split(struct tcp_shard *shard, struct tcp_leg *leg, struct sent_segment *segment, uint32_t len)
{
	uint32_t index;
	struct sent_segment *rest = record_take(shard, &index);

	if (rest == NULL) {
		shard->counters.no_segment++;
		return false;
	}
	*rest = *segment;
	rest->seq += len;
	rest->len -= len;
	segment->len = len;
	segment->flags &= ~(uint32_t)SENT_FIN; /* the FIN is the last number */
	segment->next = index;
	if (rest->next == NONE)
		leg->sent_tail = index;
	return true;
}

static void drop_head(struct tcp_shard *shard, struct tcp_leg *leg)
{
	struct sent_segment *head = &shard->sent[leg->sent_head];
	uint32_t next = head->next;

	head->next = shard->free_sent;
	shard->free_sent = leg->sent_head;
	leg->sent_head = next;
	if (next == NONE)
		leg->sent_tail = NONE;
}

void sent_release(struct tcp_shard *shard, struct tcp_leg *leg)
{
	while (leg->sent_head != NONE)
		drop_head(shard, leg);
	leg->sacked_bytes = leg->lost_bytes = 0;
}

/* What RACK keeps of a delivery: the latest sent segment that is known to have arrived. */
static void rack_delivered(struct tcp_leg *leg, const struct sent_segment *record, uint64_t now_us)
{
	uint32_t rtt = (uint32_t)(now_us - record->sent_us);
	uint32_t end = record->seq + record->len;

	/* An ACK too early for the retransmission is for the original. */
	if ((record->flags & SENT_AGAIN) && rtt < leg->min_rtt_us)
		return;
	if (record->sent_us > leg->rack_sent_us ||
	    (record->sent_us == leg->rack_sent_us && SEQ_GT(end, leg->rack_end))) {
		leg->rack_sent_us = record->sent_us;
		leg->rack_end = end;
		leg->rack_rtt_us = rtt;
	}
	if (!(record->flags & SENT_AGAIN) && SEQ_LT(end, leg->fack))
		leg->flags |= LEG_REORDERING;
	if (SEQ_GT(end, leg->fack))
		leg->fack = end;
}

static void uncount(struct tcp_leg *leg, const struct sent_segment *record, uint32_t bytes)
{
	if (record->flags & SENT_SACKED)
		leg->sacked_bytes -= bytes;
	else if (record->flags & SENT_LOST)
		leg->lost_bytes -= bytes;
}

uint32_t sent_acked(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t ack, uint64_t now_us)
{
	uint32_t rtt = 0;
	bool again = false;

	if (SEQ_LT(leg->fack, leg->snd_una))
		leg->fack = leg->snd_una;
	while (leg->sent_head != NONE) {
		struct sent_segment *head = &shard->sent[leg->sent_head];
		if (SEQ_GT(head->seq + head->len, ack)) {
			if (SEQ_LT(head->seq, ack)) {
				uint32_t part = ack - head->seq;
				uncount(leg, head, part);
				head->seq += part;
				head->len -= part;
			}
			break;
		}
		again = again || (head->flags & SENT_AGAIN);
		if (!(head->flags & (SENT_SACKED | SENT_AGAIN))) {
			rtt = (uint32_t)(now_us - head->sent_us);
			if (rtt == 0)
				rtt = 1;
		}
		if (!(head->flags & SENT_SACKED))
			rack_delivered(leg, head, now_us);
		uncount(leg, head, head->len);
		drop_head(shard, leg);
	}
	/* What waited behind a hole was not that long on its way. */
	return again ? 0 : rtt;
}

uint32_t sent_sacked(struct tcp_shard *shard, struct tcp_leg *leg, const struct tcp_options *options,
    uint32_t ack, uint64_t now_us)
{
	uint32_t fresh = 0;

	for (unsigned b = 0; b < options->sack_count; b++) {
		uint32_t start = options->sack[b].start, end = options->sack[b].end;
		/* Foreign numbers: only what is outstanding counts; a block below the ACK is a D-SACK. */
		if (SEQ_GEQ(start, end) || SEQ_LT(start, ack) || SEQ_GT(end, leg->snd_nxt))
			continue;
		for (uint32_t i = leg->sent_head; i != NONE; i = shard->sent[i].next) {
			struct sent_segment *record = &shard->sent[i];
			if (SEQ_GEQ(record->seq, end))
				break;
			if ((record->flags & SENT_SACKED) || SEQ_LT(record->seq, start) ||
			    SEQ_GT(record->seq + record->len, end))
				continue;
			rack_delivered(leg, record, now_us);
			if (record->flags & SENT_LOST)
				leg->lost_bytes -= record->len;
			record->flags = (record->flags & ~(uint32_t)SENT_LOST) | SENT_SACKED;
			leg->sacked_bytes += record->len;
			fresh += record->len;
		}
	}
	return fresh;
}

static void mark_lost(struct tcp_leg *leg, struct sent_segment *record)
{
	record->flags |= SENT_LOST;
	leg->lost_bytes += record->len;
}

/* How much later than its successor a segment may arrive before it counts as lost. */
static uint32_t reordering_window(const struct tcp_leg *leg)
{
	bool three = leg->sacked_bytes >= DUP_THRESHOLD * (uint32_t)leg->mss;

	if (!(leg->flags & LEG_REORDERING) && (three || (leg->flags & (LEG_RECOVERY | LEG_LOSS))))
		return 0;
	uint32_t window = (leg->srtt_us != 0 ? leg->min_rtt_us : leg->rack_rtt_us) / 4;
	if (window < 1000)
		window = 1000;
	return leg->srtt_us == 0 || window < leg->srtt_us ? window : leg->srtt_us;
}

uint32_t sent_detect_losses(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	uint32_t lost = 0, window = reordering_window(leg);

	leg->reorder_due = NEVER;
	for (uint32_t i = leg->sent_head; i != NONE; i = shard->sent[i].next) {
		struct sent_segment *record = &shard->sent[i];
		if (record->flags & (SENT_SACKED | SENT_LOST))
			continue;
		if (record->sent_us > leg->rack_sent_us ||
		    (record->sent_us == leg->rack_sent_us &&
		        SEQ_GEQ(record->seq + record->len, leg->rack_end))) {
			/* Records sent for the first time are in order of time, too: none older follows. */
			if (!(record->flags & SENT_AGAIN))
				break;
			continue;
		}
		uint64_t due = record->sent_us + leg->rack_rtt_us + window;
		if (due <= now_us) {
			mark_lost(leg, record);
			lost += record->len;
		} else if (due < leg->reorder_due) {
			leg->reorder_due = due;
		}
	}
	return lost;
}

void sent_all_lost(struct tcp_shard *shard, struct tcp_leg *leg)
{
	leg->sacked_bytes = leg->lost_bytes = 0;
	for (uint32_t i = leg->sent_head; i != NONE; i = shard->sent[i].next) {
		shard->sent[i].flags &= ~(uint32_t)SENT_SACKED;
		shard->sent[i].flags |= SENT_LOST;
		leg->lost_bytes += shard->sent[i].len;
	}
}

void sent_head_lost(struct tcp_shard *shard, struct tcp_leg *leg)
{
	if (leg->sent_head != NONE && !(shard->sent[leg->sent_head].flags & (SENT_LOST | SENT_SACKED)))
		mark_lost(leg, &shard->sent[leg->sent_head]);
}

uint32_t sent_pipe(const struct tcp_leg *leg)
{
	uint32_t out = leg->snd_nxt - leg->snd_una;
	uint32_t gone = leg->sacked_bytes + leg->lost_bytes;

	/* Without SACK each duplicate ACK says that one segment left the network. */
	if (!(leg->flags & LEG_SACK))
		gone += (uint32_t)leg->dup_acks * leg->mss;
	return out > gone ? out - gone : 0;
}
