/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that cannot go to the worker yet: out of order, or in order while the worker's channel is full. They
 * lie in chunks of one pool, a sorted list a leg, without overlaps: what came first stays, so a peer cannot
 * change its mind about bytes by sending them again. A leg is charged whole chunks, however little it puts
 * into each.
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
	for (uint32_t i = 0; i < count; i++)
		shard->chunks[i].next = i + 1 < count ? i + 1 : NONE;
	shard->free_chunk = 0;
	shard->chunk_limit = shard->config.reorder_bytes / CHUNK_BYTES + 2;
	return true;
}

/* Appends to the chunk `at` what still fits in it. */
static uint32_t chunk_extend(struct chunk *at, const uint8_t *bytes, uint32_t len)
{
	uint32_t part = CHUNK_BYTES - at->len < len ? CHUNK_BYTES - at->len : len;

	memcpy(at->data + at->len, bytes, part);
	at->len += part;
	return part;
}

/* Puts bytes that touch no other chunk behind `before` (NONE: first). */
static bool chunk_fill(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t before, uint32_t seq,
    const uint8_t *at, uint32_t len)
{
	if (before != NONE && shard->chunks[before].seq + shard->chunks[before].len == seq) {
		uint32_t part = chunk_extend(&shard->chunks[before], at, len);
		seq += part, at += part, len -= part;
	}
	while (len > 0) {
		uint32_t fresh = shard->free_chunk;
		if (fresh == NONE || leg->chunks >= shard->chunk_limit)
			return false;
		struct chunk *chunk = &shard->chunks[fresh];
		shard->free_chunk = chunk->next;
		leg->chunks++;
		chunk->seq = seq;
		chunk->len = 0;
		chunk->next = before == NONE ? leg->chunk_head : shard->chunks[before].next;
		if (before == NONE)
			leg->chunk_head = fresh;
		else
			shard->chunks[before].next = fresh;
		if (chunk->next == NONE)
			leg->chunk_tail = fresh;
		uint32_t part = chunk_extend(chunk, at, len);
		seq += part, at += part, len -= part;
		before = fresh;
	}
	return true;
}

bool chunks_insert(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, const uint8_t *at, uint32_t len)
{
	uint32_t before = NONE, next = leg->chunk_head;
	uint32_t end = seq + len;

	/* The common case: behind everything. */
	if (next != NONE &&
	    SEQ_GEQ(seq, shard->chunks[leg->chunk_tail].seq + shard->chunks[leg->chunk_tail].len)) {
		before = leg->chunk_tail;
		next = NONE;
	}
	while (SEQ_LT(seq, end)) {
		/* Skip what lies wholly before. */
		while (next != NONE && SEQ_LEQ(shard->chunks[next].seq + shard->chunks[next].len, seq)) {
			before = next;
			next = shard->chunks[next].next;
		}
		uint32_t until =
		    next != NONE && SEQ_LT(shard->chunks[next].seq, end) ? shard->chunks[next].seq : end;
		if (SEQ_LT(seq, until) && !chunk_fill(shard, leg, before, seq, at, until - seq))
			return false;
		if (until == end)
			return true;
		/* Step over the bytes that we have. */
		uint32_t have = shard->chunks[next].seq + shard->chunks[next].len;
		at += have - seq;
		seq = have;
	}
	return true;
}

uint32_t chunks_contiguous(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t seq)
{
	for (uint32_t i = leg->chunk_head; i != NONE; i = shard->chunks[i].next) {
		const struct chunk *chunk = &shard->chunks[i];
		if (SEQ_GT(chunk->seq, seq))
			break;
		if (SEQ_GT(chunk->seq + chunk->len, seq))
			seq = chunk->seq + chunk->len;
	}
	return seq;
}

void chunks_drop_first(struct tcp_shard *shard, struct tcp_leg *leg)
{
	uint32_t first = leg->chunk_head;

	leg->chunk_head = shard->chunks[first].next;
	if (leg->chunk_head == NONE)
		leg->chunk_tail = NONE;
	leg->chunks--;
	shard->chunks[first].next = shard->free_chunk;
	shard->free_chunk = first;
}

void chunks_release(struct tcp_shard *shard, struct tcp_leg *leg)
{
	while (leg->chunk_head != NONE)
		chunks_drop_first(shard, leg);
}

/* The block beyond rcv_nxt that begins at or behind chunk `*at`, which moves behind it. False: no more. */
static bool block_next(
    const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t *at, uint32_t block[2])
{
	const struct chunk *chunks = shard->chunks;
	uint32_t i = *at;

	while (i != NONE && SEQ_LEQ(chunks[i].seq + chunks[i].len, leg->rcv_nxt))
		i = chunks[i].next;
	if (i == NONE)
		return false;
	block[0] = chunks[i].seq;
	for (block[1] = block[0]; i != NONE && chunks[i].seq == block[1]; i = chunks[i].next)
		block[1] += chunks[i].len;
	*at = i;
	return true;
}

static bool block_known(uint32_t blocks[][2], unsigned n, uint32_t start)
{
	for (unsigned i = 0; i < n; i++)
		if (blocks[i][0] == start)
			return true;
	return false;
}

/* RFC 2018 section 4: the block of the latest segment first, then those reported before it, so that each is
 * told several times; then any. */
unsigned chunks_sack_blocks(
    const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t blocks[][2], unsigned max)
{
	uint32_t block[2];
	unsigned n = 0;

	if (leg->chunk_head == NONE)
		return 0;
	for (unsigned r = 0; r < 3 && n < max; r++) {
		uint32_t at = leg->chunk_head;
		while (block_next(shard, leg, &at, block)) {
			bool holds = SEQ_LEQ(block[0], leg->recent[r]) && SEQ_GT(block[1], leg->recent[r]);
			if (holds && !block_known(blocks, n, block[0])) {
				blocks[n][0] = block[0];
				blocks[n++][1] = block[1];
			}
		}
	}
	uint32_t at = leg->chunk_head;
	while (n < max && block_next(shard, leg, &at, block)) {
		if (!block_known(blocks, n, block[0])) {
			blocks[n][0] = block[0];
			blocks[n++][1] = block[1];
		}
	}
	return n;
}
