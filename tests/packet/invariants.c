/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of a shard's memory whatever came in: nothing of the pools is lost or owned twice, each list
 * is in order, and each sum that a leg keeps is the sum of its parts. Looks into the endpoint's own
 * structures.
 */
#include "dataplane/tcp/flow.h"
#include "tests/packet/box.h"

#if defined(__clang__) /* a fuzzer shall be led by what it tests, and not pay for this */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#endif

uint32_t box_cwnd(const struct box *box, unsigned leg)
{
	return box->shard->flows[(uint32_t)box->flow].leg[leg].cwnd;
}

void box_pools(const struct box *box, uint32_t *sent, uint32_t *chunks)
{
	const struct tcp_shard *shard = box->shard;

	*sent = *chunks = 0;
	for (uint32_t i = shard->free_sent; i != NONE; i = shard->sent[i].next)
		++*sent;
	for (uint32_t i = shard->free_chunk; i != NONE; i = shard->chunks[i].next)
		++*chunks;
	*chunks += shard->chunk_count - shard->fresh_chunk;
}

static bool indexed(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t index)
{
	const struct sent_segment *record = &shard->sent[index];
	bool lost = record->flags & SENT_LOST;

	for (uint32_t i = leg->sent_root; i != NONE;
	     i = SEQ_LT(record->seq, shard->sent[i].seq) ? shard->sent[i].left : shard->sent[i].right) {
		if (lost && !(shard->sent[i].flags & SENT_LOST_BELOW))
			return false;
		if (i == index)
			return true;
	}
	return false;
}

static uint32_t index_nodes(const struct tcp_shard *shard, uint32_t root)
{
	return root == NONE ? 0
	                    : 1 + index_nodes(shard, shard->sent[root].left) +
	                          index_nodes(shard, shard->sent[root].right);
}

static const char *sent_whole(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t *count)
{
	uint32_t seq = leg->snd_una, sacked = 0, lost = 0, last = NONE, flying = 0, before = *count;

	for (uint32_t i = leg->sent_head; i != NONE; last = i, i = shard->sent[i].next, ++*count) {
		const struct sent_segment *record = &shard->sent[i];
		if (record->seq != seq || record->len == 0)
			return "records of what was sent do not follow each other";
		if ((record->flags & (SENT_SACKED | SENT_LOST)) == (SENT_SACKED | SENT_LOST))
			return "a record is both SACKed and lost";
		if ((record->flags & SENT_FIN) && record->next != NONE)
			return "the FIN is not the last record";
		if (!indexed(shard, leg, i))
			return "a record is not where the index looks for it, or no way leads to a lost one";
		flying += !(record->flags & (SENT_SACKED | SENT_LOST));
		sacked += record->flags & SENT_SACKED ? record->len : 0;
		lost += record->flags & SENT_LOST ? record->len : 0;
		seq += record->len;
	}
	if (leg->sent_tail != last)
		return "sent_tail is not the last record";
	if (seq != leg->snd_nxt)
		return "the records do not end at snd_nxt";
	if (leg->sent_count != *count - before)
		return "sent_count is not the number of records";
	if (index_nodes(shard, leg->sent_root) != *count - before)
		return "the index has other records than the list";
	last = NONE;
	for (uint32_t i = leg->flight_oldest; i != NONE && flying > 0;
	     last = i, i = shard->sent[i].newer, flying--) {
		const struct sent_segment *record = &shard->sent[i];
		if (record->older != last || (record->flags & (SENT_SACKED | SENT_LOST)))
			return "the list of what is in flight is broken";
		if (last != NONE && record->sent_us < shard->sent[last].sent_us)
			return "what is in flight is not in order of time";
	}
	if (flying > 0 || leg->flight_newest != last)
		return "not all that is in flight is in its list";
	return sacked != leg->sacked_bytes ? "sacked_bytes is not the sum of the records"
	       : lost != leg->lost_bytes   ? "lost_bytes is not the sum of the records"
	                                   : NULL;
}

static const char *chunks_whole(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t *count)
{
	uint32_t n = 0, last = NONE, run = NONE, runs = 0;

	for (uint32_t i = leg->chunk_head; i != NONE; last = i, i = shard->chunks[i].next, n++) {
		const struct chunk *chunk = &shard->chunks[i];
		if (chunk->len == 0 || chunk->len > CHUNK_BYTES)
			return "a chunk of no or too many bytes";
		if (last != NONE && SEQ_LT(chunk->seq, shard->chunks[last].seq + shard->chunks[last].len))
			return "chunks overlap";
		if (SEQ_LEQ(chunk->seq + chunk->len, leg->dlv_nxt))
			return "a chunk of what was delivered";
		if (last == NONE || chunk->seq != shard->chunks[last].seq + shard->chunks[last].len) {
			if (last != NONE && shard->chunks[run].run_last != last)
				return "a run does not end where its first chunk says";
			run = i;
			runs++;
		}
	}
	if (run != NONE && shard->chunks[run].run_last != last)
		return "the last run does not end where its first chunk says";
	if (runs != leg->runs || run != leg->run_tail)
		return "runs is not the number of runs, or run_tail not the last";
	*count += n;
	if (leg->chunk_tail != last)
		return "chunk_tail is not the last chunk";
	if (n != leg->chunks)
		return "chunks is not the number of chunks";
	uint32_t own = shard->config.receive_credit;
	uint32_t promised = leg->credit > own ? (leg->credit - own) / CHUNK_BYTES : 0;
	if (leg->unearned_chunks != (n > promised ? n - promised : 0))
		return "unearned_chunks is not what is beyond the window's charge";
	return n > shard->config.reorder_bytes / CHUNK_BYTES + 2 ? "more chunks than a leg may have" : NULL;
}

static const char *slabs_whole(const struct tcp_shard *shard, const struct tcp_leg *leg, int worker)
{
	uint32_t n = 0, seq = leg->head_seq;
	bool cursor = leg->slab_cursor == NONE;

	for (uint32_t i = leg->slab_head; i != NONE; i = shard->workers[worker].slabs[i].next, n++) {
		if (i == leg->slab_cursor) {
			cursor = true;
			if (leg->cursor_seq != seq)
				return "cursor_seq is not the cursor's";
		}
		seq += shard->workers[worker].slabs[i].len;
		if (SEQ_LEQ(seq, leg->snd_una))
			return "a slab that is acknowledged was not given back";
	}
	if (!cursor)
		return "slab_cursor is none of the leg's slabs";
	if (n > 0 ? seq != leg->snd_end : SEQ_LT(leg->snd_una, leg->snd_end))
		return "the slabs do not end at snd_end";
	return n != leg->slabs       ? "slabs is not the number of slabs"
	       : n > leg->slabs_most ? "more slabs than a leg may have"
	                             : NULL;
}

static const char *sequence_whole(const struct tcp_leg *leg, uint32_t window_max)
{
	if (SEQ_GT(leg->snd_una, leg->snd_nxt))
		return "snd_una is beyond snd_nxt";
	if (leg->flags & LEG_FIN_SENT ? leg->snd_nxt != leg->snd_end + 1 : SEQ_GT(leg->snd_nxt, leg->snd_end))
		return "snd_nxt is not within what the worker gave";
	if (SEQ_GT(leg->dlv_nxt, leg->rcv_nxt) || SEQ_GT(leg->rcv_nxt, leg->rcv_adv + 1))
		return "dlv_nxt <= rcv_nxt <= rcv_adv does not hold";
	if (leg->consumed > leg->delivered || leg->delivered - leg->consumed > window_max)
		return "more with the worker than any window";
	if ((leg->flags & LEG_FIN_ACKED) && leg->snd_una != leg->snd_end + 1)
		return "our FIN is not acknowledged";
	return leg->cwnd == 0 || leg->mss < MSS_MIN ? "no cwnd or MSS" : NULL;
}

/* What the leg is charged with: the greater of its window's growth and of what is there beyond its own. */
static const char *charge_whole(const struct tcp_shard *shard, const struct tcp_leg *leg, uint64_t sum[2])
{
	uint64_t there = leg->delivered - leg->consumed + (uint64_t)leg->chunks * CHUNK_BYTES;
	uint64_t own = shard->config.receive_credit;
	uint64_t held = there > own ? there - own : 0, grown = leg->credit > own ? leg->credit - own : 0;

	sum[0] += leg->charged;
	sum[1] += leg->held;
	return leg->held != held || leg->charged != (held > grown ? held : grown)
	           ? "a leg is not charged with what it has"
	           : NULL;
}

/* After output: what waits for the peer has a timer. */
static const char *timer_whole(const struct tcp_leg *leg)
{
	bool waits =
	    leg->sent_head != NONE ||
	    (!(leg->flags & LEG_FIN_SENT) && (leg->snd_nxt != leg->snd_end || (leg->flags & LEG_FIN_QUEUED)));

	if (leg->flags & (LEG_DIRTY | LEG_ACK_NOW))
		return NULL; /* no buffer: it is tried again */
	if (waits && (leg->timer.next == NULL || leg->timer_kind == LEG_TIMER_NONE))
		return "something is to be sent and no timer runs";
	if ((leg->flags & LEG_ACK_DELAYED) && leg->delayed_ack.next == NULL)
		return "an ACK is owed and no timer runs";
	return NULL;
}

static const char *leg_whole(const struct tcp_shard *shard, const struct tcp_leg *leg,
    const struct tcp_flow *flow, uint32_t *sent, uint32_t *chunks, uint64_t charges[2])
{
	const char *wrong = NULL;

	if ((leg->flags & LEG_RESET) || flow->state == FLOW_TIME_WAIT) {
		bool holds = leg->sent_head != NONE || leg->chunk_head != NONE || leg->slab_head != NONE ||
		             leg->charged != 0 || leg->held != 0;
		return holds || leg->timer.next != NULL || leg->idle.next != NULL
		           ? "a leg that is over holds something"
		           : NULL;
	}
	if ((wrong = sequence_whole(leg, shard->config.receive_window_max)) == NULL &&
	    (wrong = sent_whole(shard, leg, sent)) == NULL &&
	    (wrong = chunks_whole(shard, leg, chunks)) == NULL &&
	    (wrong = charge_whole(shard, leg, charges)) == NULL && (wrong = timer_whole(leg)) == NULL)
		/* A lost worker's slabs are not looked at. */
		if (shard->workers[flow->worker].epoch == flow->worker_epoch)
			wrong = slabs_whole(shard, leg, flow->worker);
	return wrong;
}

/* Flows that have something to tell a worker are in its list, once. */
static const char *waiting_whole(const struct tcp_shard *shard)
{
	uint32_t flagged = 0, listed = 0;

	for (uint32_t i = 0; i < shard->config.flows; i++)
		flagged += shard->flows[i].state != FLOW_FREE && (shard->flows[i].flags & FLOW_WAITING) != 0;
	for (uint32_t w = 0; w < shard->config.workers; w++) {
		uint32_t last = NONE;
		for (uint32_t i = shard->workers[w].wait_head; i != NONE && listed <= flagged;
		     last = i, i = shard->flows[i].wait_next, listed++)
			if (!(shard->flows[i].flags & FLOW_WAITING) || shard->flows[i].worker != (int)w)
				return "a flow is in a list of those that wait, and does not";
		if (last != shard->workers[w].wait_tail)
			return "wait_tail is not the last that waits";
	}
	return listed != flagged ? "a flow that waits is not in the list, or twice" : NULL;
}

static const char *lists_whole(const struct tcp_shard *shard)
{
	const struct timer *lists[] = {&shard->handshakes, &shard->time_waits, &shard->fin_waits,
	    &shard->passes, &shard->idles, &shard->delayed_acks};

	for (unsigned i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		for (const struct timer *at = lists[i]; at->next != lists[i]; at = at->next)
			if (at->next == NULL || at->next->prev != at)
				return "a list of timers is broken";
	return NULL;
}

/* Each leg in the list of its level, once; those who hold what is acknowledged alone may be in none. */
static const char *takers_whole(const struct tcp_shard *shard)
{
	uint32_t listed = 0, flagged = 0, unearned = 0;

	for (uint32_t i = 0; i < shard->config.flows * 2; i++) {
		const struct tcp_flow *flow = &shard->flows[i / 2];
		if (flow->state != FLOW_ADOPTED && flow->state != FLOW_TIME_WAIT)
			continue;
		flagged += flow->leg[i % 2].taker_level > 0;
		unearned += flow->leg[i % 2].unearned_chunks;
	}
	for (unsigned level = 0; level < CHUNK_LEVELS; level++) {
		uint32_t last = NONE;
		for (uint32_t i = shard->takers[level].oldest; i != NONE && listed <= flagged; listed++) {
			const struct tcp_leg *leg = &shard->flows[i / 2].leg[i % 2];
			if (leg->taker_level != level || leg->taker_older != last ||
			    leg->unearned_chunks >> level != 0 || leg->unearned_chunks >> (level - 1) != 1)
				return "a leg is in a list of other takers of chunks";
			last = i;
			i = leg->taker_newer;
		}
		if (shard->takers[level].newest != last)
			return "a list of takers of chunks does not end at its newest";
	}
	return listed != flagged                    ? "a taker of chunks is in no list, or in two"
	       : unearned != shard->unearned_chunks ? "unearned_chunks is not the sum of the legs'"
	                                            : NULL;
}

const char *box_invariant(const struct box *box)
{
	const struct tcp_shard *shard = box->shard;
	uint32_t used = 0, adopted = 0, passed = 0, spare = 0, sent, chunks;
	uint64_t charges[2] = {0, 0};
	const char *wrong = NULL;

	box_pools(box, &sent, &chunks);
	if (sent != shard->sent_spare)
		return "sent_spare is not the number of spare records";
	wrong = lists_whole(shard);
	for (uint32_t i = 0; i < shard->config.flows && wrong == NULL; i++) {
		const struct tcp_flow *flow = &shard->flows[i];
		used += flow->state != FLOW_FREE;
		passed += flow->state == FLOW_PASS;
		adopted += flow->state == FLOW_ADOPTED;
		if (flow->state == FLOW_FREE)
			continue;
		if (flow->timer.next == NULL && flow->state != FLOW_ADOPTED)
			return "a flow that no timer ends";
		for (unsigned k = 0; k < 2 && wrong == NULL; k++)
			if (flow->state == FLOW_ADOPTED || flow->state == FLOW_TIME_WAIT)
				wrong = leg_whole(shard, &flow->leg[k], flow, &sent, &chunks, charges);
	}
	for (uint32_t i = shard->free_flow; i != NONE; i = shard->flows[i].hash_next)
		spare++;
	if (wrong != NULL)
		return wrong;
	if (spare + used != shard->config.flows || shard->counters.flows != used)
		return "flows are lost or counted wrong";
	if (shard->counters.legs_established != adopted || shard->counters.passed != passed)
		return "legs_established or passed is counted wrong";
	if (sent != box->pool_sent)
		return "records of what was sent are lost";
	if (chunks != box->pool_chunks)
		return "chunks are lost";
	if (charges[0] != shard->counters.receive_charged || charges[1] != shard->counters.receive_held)
		return "receive_charged or receive_held is not the sum of the legs'";
	/* One that had more to send than fits a burst has its turn in the next flush. */
	for (uint32_t i = shard->dirty_head; i != NONE; i = shard->flows[i / 2].leg[i % 2].dirty_next)
		if (shard->flows[i / 2].leg[i % 2].snd_nxt == shard->flows[i / 2].leg[i % 2].snd_end)
			return "a leg was left dirty";
	if ((wrong = takers_whole(shard)) != NULL)
		return wrong;
	return waiting_whole(shard);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
