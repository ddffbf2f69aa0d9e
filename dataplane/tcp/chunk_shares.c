/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose the chunks are (reassembly.c) where they are scarce.
 *
 * A leg's window beyond receive_credit is charged (window.c): chunks for that are promised. Its first
 * receive_credit bytes are not, as no memory is enough for those of every connection at once; and a peer
 * takes a chunk for each byte that it sends out of order, before any login. So what a leg has beyond its
 * promise, `unearned`, is everybody's: half of all chunks at most. Where these are used up, or all are, who
 * has least goes first: a leg gets its chunk from one that has at least twice as many unearned ones, which
 * loses the later half of them. k greedy legs end up with shares that differ by a factor of two at most, and
 * there is one for who comes next.
 *
 * What is taken back was never acknowledged; where a SACK told of it the sender finds out (RFC 2018 section
 * 8). Bytes that wait for the worker are acknowledged, and stay.
 *
 * Legs are listed by the bit length of what they have unearned, so whom to take from is known at once. To
 * take walks what that leg keeps, at most a window's chunks.
 */
#include "dataplane/tcp/flow.h"

enum { TAKERS_ASKED = 8 /* for one frame, of those who may have nothing to give */ };

static unsigned level_of(uint32_t unearned)
{
	return unearned == 0 ? 0 : 32 - (unsigned)__builtin_clz(unearned);
}

static uint32_t leg_number(const struct tcp_shard *shard, struct tcp_leg *leg)
{
	return flow_index(shard, leg_flow(leg)) * 2 + leg->id;
}

static struct tcp_leg *leg_numbered(struct tcp_shard *shard, uint32_t number)
{
	return &shard->flows[number / 2].leg[number % 2];
}

static void unlist(struct tcp_shard *shard, struct tcp_leg *leg)
{
	struct chunk_takers *list = &shard->takers[leg->taker_level];

	if (leg->taker_level == 0)
		return;
	if (leg->taker_older == NONE)
		list->oldest = leg->taker_newer;
	else
		leg_numbered(shard, leg->taker_older)->taker_newer = leg->taker_newer;
	if (leg->taker_newer == NONE)
		list->newest = leg->taker_older;
	else
		leg_numbered(shard, leg->taker_newer)->taker_older = leg->taker_older;
	leg->taker_level = 0;
}

static void enlist(struct tcp_shard *shard, struct tcp_leg *leg, unsigned level)
{
	struct chunk_takers *list = &shard->takers[level];
	uint32_t number = leg_number(shard, leg);

	leg->taker_level = (uint8_t)level;
	if (level == 0)
		return;
	leg->taker_older = list->newest;
	leg->taker_newer = NONE;
	if (list->newest == NONE)
		list->oldest = number;
	else
		leg_numbered(shard, list->newest)->taker_newer = number;
	list->newest = number;
}

void chunk_shares_init(struct tcp_shard *shard)
{
	for (unsigned level = 0; level < CHUNK_LEVELS; level++)
		shard->takers[level] = (struct chunk_takers){NONE, NONE};
}

static uint32_t promised_chunks(const struct tcp_shard *shard, const struct tcp_leg *leg)
{
	uint32_t own = shard->config.receive_credit;

	return leg->credit > own ? (leg->credit - own) / CHUNK_BYTES : 0;
}

void chunk_shares_account(struct tcp_shard *shard, struct tcp_leg *leg)
{
	uint32_t promised = promised_chunks(shard, leg);
	uint32_t unearned = leg->chunks > promised ? leg->chunks - promised : 0;
	unsigned level = level_of(unearned);

	shard->unearned_chunks += unearned - leg->unearned_chunks;
	leg->unearned_chunks = unearned;
	if (level == leg->taker_level)
		return;
	unlist(shard, leg);
	enlist(shard, leg, level);
}

/* Takes chunks of somebody who has at least twice as many as `leg` would. False: nobody has. */
static bool take_from_greedier(struct tcp_shard *shard, const struct tcp_leg *leg)
{
	unsigned mine = level_of(leg->unearned_chunks + 1), asked = 0;

	for (unsigned level = CHUNK_LEVELS - 1; level > mine; level--) {
		while (shard->takers[level].oldest != NONE && asked++ < TAKERS_ASKED) {
			struct tcp_leg *taker = leg_numbered(shard, shard->takers[level].oldest);
			uint32_t keeps = taker->chunks - (taker->unearned_chunks + 1) / 2;
			uint32_t taken = chunks_cut(shard, taker, keeps);
			shard->counters.reorder_taken_back += taken;
			if (taken > 0) {
				window_account(shard, taker);
				return true;
			}
			unlist(shard, taker); /* all acknowledged: until it takes one more */
		}
	}
	return false;
}

bool chunk_shares_permit(struct tcp_shard *shard, struct tcp_leg *leg)
{
	bool unearned = leg->chunks >= promised_chunks(shard, leg);

	if (shard->free_chunks > 0 && (!unearned || shard->unearned_chunks < shard->chunk_count / 2))
		return true;
	return take_from_greedier(shard, leg) && shard->free_chunks > 0;
}
