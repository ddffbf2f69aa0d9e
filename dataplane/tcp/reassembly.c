/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that cannot go to the worker yet: out of order, or in order while the worker's channel is full. They
 * lie in chunks of one pool, a sorted list a leg, without overlaps: what came first stays, so a peer cannot
 * change its mind about bytes by sending them again.
 *
 * Chunks whose bytes follow each other form a run; the first of a run knows its last, so that a walk costs a
 * step a run, not a step a chunk: a window of 6 MB behind one lost segment is one run of 4,000 chunks. A peer
 * that leaves holes on purpose makes runs of a byte each; it gets RUNS_MAX of them. And a leg is charged
 * whole chunks, however little it puts into each: the chunks that it may have follow its window, and where
 * all are taken chunk_shares.c says who has to give some back.
 */
#include "dataplane/tcp/flow.h"

#include <stdlib.h>
#include <string.h>

bool chunks_init(struct tcp_shard *shard)
{
	uint64_t total = shard->config.reorder_total / CHUNK_BYTES;
	uint32_t count = total < 64 ? 64 : total > NONE - 1 ? NONE - 1 : (uint32_t)total;

	shard->chunks = calloc(count, sizeof(*shard->chunks));
	if (shard->chunks == NULL)
		return false;
	/* Zeroed pages cost nothing until they are used: those never used are known by their number only. */
	shard->free_chunk = NONE;
	shard->fresh_chunk = 0;
	shard->free_chunks = shard->chunk_count = count;
	chunk_shares_init(shard);
	return true;
}

uint32_t chunks_allowed(const struct tcp_shard *shard, const struct tcp_leg *leg)
{
	uint32_t most = shard->config.reorder_bytes, fair = 2 * leg->credit;

	return (most < fair ? most : fair) / CHUNK_BYTES + 2;
}

static uint32_t chunk_end(const struct chunk *chunk)
{
	return chunk->seq + chunk->len;
}

/* Where the run ends that begins with chunk `head`. */
static uint32_t run_end(const struct tcp_shard *shard, uint32_t head)
{
	return chunk_end(&shard->chunks[shard->chunks[head].run_last]);
}

/* The first chunk of the run behind it; NONE. */
static uint32_t run_next(const struct tcp_shard *shard, uint32_t head)
{
	return shard->chunks[shard->chunks[head].run_last].next;
}

/* Appends to the chunk `at` what still fits in it. */
static uint32_t chunk_extend(struct chunk *at, const uint8_t *bytes, uint32_t len)
{
	uint32_t part = CHUNK_BYTES - at->len < len ? CHUNK_BYTES - at->len : len;

	memcpy(at->data + at->len, bytes, part);
	at->len += part;
	return part;
}

/* An empty chunk behind the chunk `before` (NONE: first). NONE: no memory, or not for this leg. */
static uint32_t chunk_new(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t before, uint32_t seq)
{
	if (leg->chunks >= chunks_allowed(shard, leg) || !chunk_shares_permit(shard, leg))
		return NONE;
	uint32_t fresh = shard->free_chunk;
	if (fresh == NONE)
		fresh = shard->fresh_chunk++;
	else
		shard->free_chunk = shard->chunks[fresh].next;
	struct chunk *chunk = &shard->chunks[fresh];
	shard->free_chunks--;
	leg->chunks++;
	chunk_shares_account(shard, leg);
	chunk->seq = seq;
	chunk->len = 0;
	chunk->next = before == NONE ? leg->chunk_head : shard->chunks[before].next;
	if (before == NONE)
		leg->chunk_head = fresh;
	else
		shard->chunks[before].next = fresh;
	if (chunk->next == NONE)
		leg->chunk_tail = fresh;
	return fresh;
}

/* Puts bytes that touch no other chunk behind the run `before` (its first chunk; NONE: first of all), into it
 * where they follow it. Returns the run that they are in; NONE: (partly) no memory. */
static uint32_t run_fill(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t before, uint32_t seq,
    const uint8_t *at, uint32_t len)
{
	struct chunk *chunks = shard->chunks;
	uint32_t run = NONE, last = before == NONE ? NONE : chunks[before].run_last;

	if (before != NONE && chunk_end(&chunks[last]) == seq) {
		run = before;
		uint32_t part = chunk_extend(&chunks[last], at, len);
		seq += part, at += part, len -= part;
	} else if (leg->runs >= RUNS_MAX) {
		return NONE;
	}
	while (len > 0) {
		uint32_t fresh = chunk_new(shard, leg, last, seq);
		if (fresh == NONE)
			return NONE;
		leg->runs += run == NONE;
		run = run == NONE ? fresh : run;
		chunks[run].run_last = last = fresh;
		if (chunks[fresh].next == NONE)
			leg->run_tail = run;
		uint32_t part = chunk_extend(&chunks[fresh], at, len);
		seq += part, at += part, len -= part;
	}
	return run;
}

/* The runs `run` and the next one have met. */
static void runs_join(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t run, uint32_t next)
{
	shard->chunks[run].run_last = shard->chunks[next].run_last;
	if (leg->run_tail == next)
		leg->run_tail = run;
	leg->runs--;
}

bool chunks_insert(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, const uint8_t *at, uint32_t len)
{
	const struct chunk *chunks = shard->chunks;
	uint32_t before = NONE, next = leg->chunk_head, end = seq + len;

	/* The common case: in or behind the last run. */
	if (next != NONE && SEQ_GEQ(seq, chunks[leg->run_tail].seq)) {
		before = leg->run_tail;
		next = NONE;
		if (SEQ_LT(seq, run_end(shard, before))) {
			uint32_t known = run_end(shard, before) - seq;
			known = known < len ? known : len;
			seq += known, at += known;
		}
	}
	while (SEQ_LT(seq, end)) {
		/* Skip what lies wholly before. */
		while (next != NONE && SEQ_LEQ(run_end(shard, next), seq)) {
			before = next;
			next = run_next(shard, next);
		}
		uint32_t until = next != NONE && SEQ_LT(chunks[next].seq, end) ? chunks[next].seq : end;
		if (SEQ_LT(seq, until)) {
			before = run_fill(shard, leg, before, seq, at, until - seq);
			if (before == NONE)
				return false;
			at += until - seq;
			seq = until;
		}
		if (next == NONE || SEQ_GT(chunks[next].seq, seq))
			return true;
		/* Step over the bytes that we have; behind a filled gap they join what is before. */
		uint32_t have = run_end(shard, next), behind = run_next(shard, next);
		if (before != NONE && run_end(shard, before) == chunks[next].seq)
			runs_join(shard, leg, before, next);
		else
			before = next;
		if (SEQ_GEQ(have, end))
			return true;
		at += have - seq;
		seq = have;
		next = behind;
	}
	return true;
}

uint32_t chunks_contiguous(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t seq)
{
	for (uint32_t i = leg->chunk_head; i != NONE; i = run_next(shard, i)) {
		if (SEQ_GT(shard->chunks[i].seq, seq))
			break;
		if (SEQ_GT(run_end(shard, i), seq))
			seq = run_end(shard, i);
	}
	return seq;
}

static void chunk_free(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index)
{
	leg->chunks--;
	shard->chunks[index].next = shard->free_chunk;
	shard->free_chunk = index;
	shard->free_chunks++;
}

void chunks_drop_first(struct tcp_shard *shard, struct tcp_leg *leg)
{
	struct chunk *chunks = shard->chunks;
	uint32_t first = leg->chunk_head, next = chunks[first].next;

	if (chunks[first].run_last == first) {
		leg->runs--;
	} else {
		chunks[next].run_last = chunks[first].run_last;
		if (leg->run_tail == first)
			leg->run_tail = next;
	}
	leg->chunk_head = next;
	if (next == NONE)
		leg->chunk_tail = leg->run_tail = NONE;
	chunk_free(shard, leg, first);
	chunk_shares_account(shard, leg);
}

uint32_t chunks_cut(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t keep)
{
	struct chunk *chunks = shard->chunks;
	uint32_t kept = 0, runs = 0, run = NONE, last = NONE, i = leg->chunk_head, cut = 0;

	for (; i != NONE && (kept < keep || SEQ_LT(chunks[i].seq, leg->rcv_nxt)); i = chunks[i].next) {
		if (last == NONE || chunk_end(&chunks[last]) != chunks[i].seq) {
			run = i;
			runs++;
		}
		last = i;
		kept++;
	}
	if (i == NONE)
		return 0;
	leg->chunk_tail = last;
	leg->run_tail = run;
	leg->runs = runs;
	if (last == NONE) {
		leg->chunk_head = NONE;
	} else {
		chunks[last].next = NONE;
		chunks[run].run_last = last;
	}
	for (uint32_t next; i != NONE; i = next, cut++) {
		next = chunks[i].next;
		chunk_free(shard, leg, i);
	}
	chunk_shares_account(shard, leg);
	return cut;
}

void chunks_release(struct tcp_shard *shard, struct tcp_leg *leg)
{
	while (leg->chunk_head != NONE)
		chunks_drop_first(shard, leg);
}

/* Which of the latest segments lies in [start, end): 0 the very latest; RECENT_MAX: none. */
static unsigned block_age(const struct tcp_leg *leg, uint32_t start, uint32_t end)
{
	unsigned age = 0;

	while (age < RECENT_MAX && (SEQ_LT(leg->recent[age], start) || SEQ_GEQ(leg->recent[age], end)))
		age++;
	return age;
}

/* RFC 2018 section 4: the block of the latest segment first, then those reported before it, so that each is
 * told several times; then any. */
unsigned chunks_sack_blocks(
    const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t blocks[][2], unsigned max)
{
	uint32_t latest[RECENT_MAX] = {NONE, NONE, NONE}, any[SACK_BLOCKS_MAX];
	unsigned n = 0, others = 0;

	for (uint32_t i = leg->chunk_head; i != NONE; i = run_next(shard, i)) {
		uint32_t start = shard->chunks[i].seq, end = run_end(shard, i);
		if (SEQ_LEQ(end, leg->rcv_nxt)) /* waits for the worker */
			continue;
		unsigned age = block_age(leg, start, end);
		if (age < RECENT_MAX)
			latest[age] = i;
		else if (others < SACK_BLOCKS_MAX)
			any[others++] = i;
	}
	for (unsigned i = 0; i < RECENT_MAX + others && n < max; i++) {
		uint32_t run = i < RECENT_MAX ? latest[i] : any[i - RECENT_MAX];
		if (run == NONE)
			continue;
		blocks[n][0] = shard->chunks[run].seq;
		blocks[n++][1] = run_end(shard, run);
	}
	return n;
}
