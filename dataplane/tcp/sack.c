/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scoreboard: one record for each transmitted segment that is not cumulatively acknowledged, in order of
 * sequence, with the time of its last transmission. From it come the RTT, the SACKed bytes, and RACK's
 * verdict (RFC 8985 section 6.2): a segment is lost when one sent sufficiently later has arrived.
 *
 * Those in flight, neither SACKed nor lost, are in a second list, in order of their last transmission: RACK
 * looks at its oldest only. Neighbours that are SACKed become one record, so that a list is as long as there
 * are holes, however large the window is.
 *
 * What an ACK costs is bounded, whatever it says: a SACK block is looked up (sent_index.c), O(log n), and
 * each further step of it SACKs a record or joins two, which happens once a record; an ACK marks at most
 * LOST_A_TIME records lost, and what a retransmission or an undo goes through was marked before.
 */
#include "dataplane/tcp/flow.h"

enum {
	REO_PERSIST = 16,
	REO_MULT_MAX = 254,
	REO_WINDOW_MIN_US = 1000,
	LOST_A_TIME = 64, /* the next ACK goes on, or the timer */
	SENT_OWN = 16,
	SENT_LEFT = 8,
};

/* A leg may have SENT_OWN records, and beyond that one for each SENT_LEFT that it leaves to others (a dynamic
 * threshold, as that of windows): k greedy legs end up with a share of 1 in k + SENT_LEFT each, and k that
 * came one after the other and acknowledge nothing leave (1 - 1 / (SENT_LEFT + 1))^k to who comes next. One
 * alone has enough for 6 MB of 1,448 bytes each. Who has its share waits for its own ACKs. The last records,
 * one for each leg, are for those that have nothing in flight. */
bool sent_room(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t n)
{
	uint32_t left = shard->sent_spare > shard->sent_kept ? shard->sent_spare - shard->sent_kept : 0;
	uint32_t count = leg->sent_count + n;

	if (leg->sent_head == NONE && n == 1)
		return shard->sent_spare > 0;
	return left >= n && (count <= SENT_OWN || count <= (left - n) / SENT_LEFT);
}

static struct sent_segment *record_take(
    struct tcp_shard *shard, struct tcp_leg *leg, bool permitted, uint32_t *index)
{
	*index = permitted ? shard->free_sent : NONE;
	if (*index == NONE) {
		shard->counters.no_segment++;
		return NULL;
	}
	struct sent_segment *record = &shard->sent[*index];
	shard->free_sent = record->next;
	shard->sent_spare--;
	leg->sent_count++;
	return record;
}

/* -- the list by time -- */

static void flight_append(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index)
{
	struct sent_segment *record = &shard->sent[index];

	record->older = leg->flight_newest;
	record->newer = NONE;
	if (leg->flight_newest == NONE)
		leg->flight_oldest = index;
	else
		shard->sent[leg->flight_newest].newer = index;
	leg->flight_newest = index;
}

static void flight_remove(struct tcp_shard *shard, struct tcp_leg *leg, const struct sent_segment *record)
{
	if (record->older == NONE)
		leg->flight_oldest = record->newer;
	else
		shard->sent[record->older].newer = record->newer;
	if (record->newer == NONE)
		leg->flight_newest = record->older;
	else
		shard->sent[record->newer].older = record->older;
}

static bool in_flight(const struct sent_segment *record)
{
	return !(record->flags & (SENT_SACKED | SENT_LOST));
}

/* -- records -- */

struct sent_segment *sent_append(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, uint32_t len, uint32_t flags, uint64_t now_us)
{
	uint32_t index;
	struct sent_segment *record = record_take(shard, leg, sent_room(shard, leg, 1), &index);

	if (record == NULL)
		return NULL;
	*record =
	    (struct sent_segment){.sent_us = now_us, .next = NONE, .seq = seq, .len = len, .flags = flags};
	if (leg->sent_head == NONE)
		leg->sent_head = index;
	else
		shard->sent[leg->sent_tail].next = index;
	leg->sent_tail = index;
	sent_index_add(shard, leg, index);
	flight_append(shard, leg, index);
	return record;
}

bool sent_split(struct tcp_shard *shard, struct tcp_leg *leg, struct sent_segment *segment, uint32_t len)
{
	uint32_t number = (uint32_t)(segment - shard->sent), index;
	/* The first and the last may be in pieces whatever is left: nothing goes on before they do. */
	bool permitted = number == leg->sent_head || number == leg->sent_tail || sent_room(shard, leg, 1);
	struct sent_segment *rest = record_take(shard, leg, permitted, &index);

	if (rest == NULL)
		return false;
	*rest = *segment;
	rest->seq += len;
	rest->len -= len;
	segment->len = len;
	segment->flags &= ~(uint32_t)SENT_FIN; /* the FIN is the last number */
	segment->next = index;
	sent_index_add(shard, leg, index);
	if (rest->next == NONE)
		leg->sent_tail = index;
	if (in_flight(segment)) { /* right behind it: sent at the same time */
		rest->older = number;
		segment->newer = index;
		if (rest->newer == NONE)
			leg->flight_newest = index;
		else
			shard->sent[rest->newer].older = index;
	}
	return true;
}

static void record_free(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index)
{
	shard->sent[index].next = shard->free_sent;
	shard->free_sent = index;
	shard->sent_spare++;
	leg->sent_count--;
}

static void drop_head(struct tcp_shard *shard, struct tcp_leg *leg)
{
	uint32_t index = leg->sent_head;
	struct sent_segment *head = &shard->sent[index];

	if (in_flight(head))
		flight_remove(shard, leg, head);
	sent_index_remove(shard, leg, index);
	leg->sent_head = head->next;
	if (leg->sent_head == NONE)
		leg->sent_tail = NONE;
	record_free(shard, leg, index);
}

void sent_begin(struct tcp_leg *leg)
{
	leg->sent_head = leg->sent_tail = leg->sent_root = NONE;
	leg->flight_oldest = leg->flight_newest = NONE;
	leg->reo_mult = 1;
}

void sent_release(struct tcp_shard *shard, struct tcp_leg *leg)
{
	while (leg->sent_head != NONE)
		drop_head(shard, leg);
	leg->sacked_bytes = leg->lost_bytes = 0;
}

void sent_again(struct tcp_shard *shard, struct tcp_leg *leg, struct sent_segment *record, uint64_t now_us)
{
	if (record->flags & SENT_LOST)
		leg->lost_bytes -= record->len;
	else
		flight_remove(shard, leg, record);
	record->flags = (record->flags & ~(uint32_t)SENT_LOST) | SENT_AGAIN;
	record->sent_us = now_us;
	flight_append(shard, leg, (uint32_t)(record - shard->sent));
}

/* -- what arrived -- */

/* An ACK that came too early for the retransmission, or that echoes a clock from before it, is for the
 * original (RFC 8985 6.2 step 2). */
static bool of_the_original(
    const struct tcp_leg *leg, const struct sent_segment *record, const struct ack *ack, uint32_t rtt)
{
	if (!(record->flags & SENT_AGAIN))
		return false;
	return rtt < leg->min_rtt_us ||
	       (ack->echo != 0 && SEQ_LT(ack->echo, leg_timestamp(leg, record->sent_us)));
}

/* What RACK keeps of a delivery: the latest sent segment that is known to have arrived. */
static void rack_delivered(struct tcp_leg *leg, const struct sent_segment *record, const struct ack *ack)
{
	uint32_t rtt = (uint32_t)(ack->now_us - record->sent_us);
	uint32_t end = record->seq + record->len;

	bool original = of_the_original(leg, record, ack, rtt);
	if ((original || !(record->flags & SENT_AGAIN)) && SEQ_LT(end, leg->fack))
		leg->flags |= LEG_REORDERING;
	if (SEQ_GT(end, leg->fack))
		leg->fack = end;
	if (original)
		return;
	if (record->sent_us > leg->rack_sent_us ||
	    (record->sent_us == leg->rack_sent_us && SEQ_GT(end, leg->rack_end))) {
		leg->rack_sent_us = record->sent_us;
		leg->rack_end = end;
		leg->rack_rtt_us = rtt;
	}
}

/* Of all that an ACK delivers only the latest sent can have brought it: the rest may have arrived long ago,
 * and its own ACK been lost. Karn: of what was sent twice nobody knows which copy it was. */
static void note_rtt(struct ack *ack, const struct sent_segment *record)
{
	uint32_t rtt = (uint32_t)(ack->now_us - record->sent_us);

	if (record->sent_us < ack->newest_us || (record->sent_us == ack->newest_us && ack->rtt_us != 0))
		return;
	ack->newest_us = record->sent_us;
	ack->rtt_us = record->flags & SENT_AGAIN ? 0 : rtt == 0 ? 1 : rtt;
}

static void uncount(struct tcp_leg *leg, const struct sent_segment *record, uint32_t bytes)
{
	if (record->flags & SENT_SACKED)
		leg->sacked_bytes -= bytes;
	else if (record->flags & SENT_LOST)
		leg->lost_bytes -= bytes;
}

void sent_acked(struct tcp_shard *shard, struct tcp_leg *leg, struct ack *ack)
{
	if (SEQ_LT(leg->fack, leg->snd_una))
		leg->fack = leg->snd_una;
	while (leg->sent_head != NONE) {
		struct sent_segment *head = &shard->sent[leg->sent_head];
		if (SEQ_GT(head->seq + head->len, ack->number)) {
			if (SEQ_LT(head->seq, ack->number)) {
				uint32_t part = ack->number - head->seq;
				uncount(leg, head, part);
				head->seq += part;
				head->len -= part;
			}
			break;
		}
		if (!(head->flags & SENT_SACKED)) {
			note_rtt(ack, head);
			rack_delivered(leg, head, ack);
		}
		uncount(leg, head, head->len);
		drop_head(shard, leg);
	}
}

/* Joins `record` to its predecessor where both are SACKed; returns the one that is left. */
static uint32_t join(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t before, uint32_t index)
{
	struct sent_segment *record = &shard->sent[index];

	if (before == NONE || !(shard->sent[before].flags & record->flags & SENT_SACKED))
		return index;
	shard->sent[before].len += record->len;
	shard->sent[before].flags |= record->flags;
	shard->sent[before].next = record->next;
	if (leg->sent_tail == index)
		leg->sent_tail = before;
	sent_index_remove(shard, leg, index);
	record_free(shard, leg, index);
	return before;
}

static void sack_block(
    struct tcp_shard *shard, struct tcp_leg *leg, struct ack *ack, uint32_t start, uint32_t end)
{
	uint32_t before, i = sent_index_from(shard, leg, start, &before);

	for (; i != NONE && SEQ_LEQ(shard->sent[i].seq, end); i = shard->sent[i].next) {
		struct sent_segment *record = &shard->sent[i];
		if (!(record->flags & SENT_SACKED) && SEQ_LEQ(record->seq + record->len, end)) {
			rack_delivered(leg, record, ack);
			note_rtt(ack, record);
			if (record->flags & SENT_LOST)
				leg->lost_bytes -= record->len;
			else
				flight_remove(shard, leg, record);
			record->flags = (record->flags & ~(uint32_t)SENT_LOST) | SENT_SACKED;
			leg->sacked_bytes += record->len;
		}
		before = i = join(shard, leg, before, i);
	}
}

void sent_sacked(
    struct tcp_shard *shard, struct tcp_leg *leg, const struct tcp_options *options, struct ack *ack)
{
	for (unsigned b = 0; b < options->sack_count; b++) {
		uint32_t start = options->sack[b].start, end = options->sack[b].end;
		/* Foreign numbers: only what is outstanding counts. */
		if (SEQ_GEQ(start, end) || SEQ_GT(end, leg->snd_nxt))
			continue;
		/* RFC 2883: the first block, below the ACK or within the second, is what came twice. */
		if (b == 0 && (SEQ_LEQ(end, ack->number) ||
		                  (options->sack_count > 1 && SEQ_GEQ(start, options->sack[1].start) &&
		                      SEQ_LEQ(end, options->sack[1].end)))) {
			ack->twice = true;
			ack->twice_start = start;
			ack->twice_end = end;
			continue;
		}
		if (SEQ_GEQ(start, ack->number))
			sack_block(shard, leg, ack, start, end);
	}
}

/* -- RACK: what is lost -- */

static void mark_lost(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index)
{
	struct sent_segment *record = &shard->sent[index];

	flight_remove(shard, leg, record);
	record->flags |= SENT_LOST;
	leg->lost_bytes += record->len;
	sent_index_lost(shard, leg, index);
}

void sent_note_duplicate(struct tcp_leg *leg, const struct ack *ack)
{
	/* Once a round trip: our window was too small for how this path reorders (RFC 8985 6.2 step 4). */
	if ((leg->flags & LEG_REO_ROUND) && SEQ_GEQ(leg->snd_una, leg->reo_round))
		leg->flags &= ~(uint32_t)LEG_REO_ROUND;
	if (!ack->twice || (leg->flags & LEG_REO_ROUND))
		return;
	leg->flags |= LEG_REO_ROUND;
	leg->reo_round = leg->snd_nxt;
	if (leg->reo_mult < REO_MULT_MAX)
		leg->reo_mult++;
	leg->reo_persist = REO_PERSIST;
}

void sent_recovered(struct tcp_leg *leg)
{
	if (leg->reo_persist > 0 && --leg->reo_persist == 0)
		leg->reo_mult = 1;
}

/* How much later than its successor a segment may arrive before it counts as lost. */
static uint32_t reordering_window(const struct tcp_leg *leg)
{
	bool three = leg->sacked_bytes >= DUP_THRESHOLD * (uint32_t)leg->mss;

	if (!(leg->flags & LEG_REORDERING) && (three || (leg->flags & (LEG_RECOVERY | LEG_LOSS))))
		return 0;
	uint64_t window =
	    (uint64_t)(leg->srtt_us != 0 ? leg->min_rtt_us : leg->rack_rtt_us) / 4 * leg->reo_mult;
	if (window < REO_WINDOW_MIN_US)
		window = REO_WINDOW_MIN_US;
	return leg->srtt_us == 0 || window < leg->srtt_us ? (uint32_t)window : leg->srtt_us;
}

uint32_t sent_detect_losses(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	uint32_t lost = 0, window = reordering_window(leg);

	leg->reorder_due = NEVER;
	for (unsigned marked = 0; leg->flight_oldest != NONE; marked++) {
		struct sent_segment *record = &shard->sent[leg->flight_oldest];
		if (record->sent_us > leg->rack_sent_us ||
		    (record->sent_us == leg->rack_sent_us &&
		        SEQ_GEQ(record->seq + record->len, leg->rack_end)))
			break;
		uint64_t due = record->sent_us + leg->rack_rtt_us + window;
		if (due > now_us || marked == LOST_A_TIME) { /* those behind it are due later */
			leg->reorder_due = due > now_us ? due : now_us;
			break;
		}
		lost += record->len;
		mark_lost(shard, leg, leg->flight_oldest);
	}
	return lost;
}

void sent_timed_out(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	bool all = !(leg->flags & LEG_SACK) || leg->srtt_us == 0;
	uint32_t wait = leg->rack_rtt_us + reordering_window(leg);

	if (leg->sent_head == NONE)
		return;
	/* What was SACKed must be acknowledged once the holes before it are filled. If it is not, the peer
	 * has thrown it away again (RFC 2018 section 8): nothing that it said holds. */
	if (shard->sent[leg->sent_head].flags & SENT_SACKED) {
		shard->counters.sack_reneged++;
		leg->sacked_bytes = 0;
		all = true;
		for (uint32_t i = leg->sent_head; i != NONE; i = shard->sent[i].next) {
			if (!(shard->sent[i].flags & SENT_SACKED))
				continue;
			shard->sent[i].flags &= ~(uint32_t)SENT_SACKED;
			flight_append(shard, leg, i);
		}
	}
	/* RFC 8985 6.3: the first, and all that had time enough. */
	if (in_flight(&shard->sent[leg->sent_head]))
		mark_lost(shard, leg, leg->sent_head);
	while (
	    leg->flight_oldest != NONE && (all || shard->sent[leg->flight_oldest].sent_us + wait <= now_us))
		mark_lost(shard, leg, leg->flight_oldest);
}

void sent_head_lost(struct tcp_shard *shard, struct tcp_leg *leg)
{
	if (leg->sent_head != NONE && in_flight(&shard->sent[leg->sent_head]))
		mark_lost(shard, leg, leg->sent_head);
}

void sent_larger_lost(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t len)
{
	for (uint32_t i = leg->sent_head; i != NONE; i = shard->sent[i].next)
		if (shard->sent[i].len > len && in_flight(&shard->sent[i]))
			mark_lost(shard, leg, i);
}

/* Two chains, linked by `newer` and in order of their last transmission, become one. */
static uint32_t chains_merge(struct tcp_shard *shard, uint32_t a, uint32_t b)
{
	uint32_t first = NONE, *at = &first;

	while (a != NONE && b != NONE) {
		uint32_t *from = shard->sent[b].sent_us < shard->sent[a].sent_us ? &b : &a;
		*at = *from;
		at = &shard->sent[*from].newer;
		*from = *at;
	}
	*at = a != NONE ? a : b;
	return first;
}

/* All that is lost is taken out of the lost, as a chain in order of last transmission. A peer has a say in
 * when each was sent: merged by doubling lengths, it is n log n. */
static uint32_t lost_chain(struct tcp_shard *shard, struct tcp_leg *leg)
{
	uint32_t chains[32], merged = 0, chain = NONE, i;

	while (leg->lost_bytes > 0 && (i = sent_first_lost(shard, leg)) != NONE) {
		shard->sent[i].flags &= ~(uint32_t)SENT_LOST;
		leg->lost_bytes -= shard->sent[i].len;
		shard->sent[i].newer = NONE;
		unsigned level = 0;
		for (; merged >> level & 1; level++)
			i = chains_merge(shard, chains[level], i);
		chains[level] = i;
		merged++;
	}
	for (unsigned level = 0; level < 32; level++)
		if (merged >> level & 1)
			chain = chains_merge(shard, chains[level], chain);
	return chain;
}

void sent_none_lost(struct tcp_shard *shard, struct tcp_leg *leg)
{
	uint32_t lost = lost_chain(shard, leg), older = NONE, *at = &leg->flight_oldest;

	while (lost != NONE) {
		uint32_t i = *at;
		if (i == NONE || shard->sent[lost].sent_us < shard->sent[i].sent_us) {
			*at = lost;
			lost = shard->sent[*at].newer;
			shard->sent[*at].newer = i;
		}
		shard->sent[*at].older = older;
		older = *at;
		at = &shard->sent[older].newer;
	}
	if (*at == NONE)
		leg->flight_newest = older;
	else
		shard->sent[*at].older = older;
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
