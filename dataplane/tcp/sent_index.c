/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in the scoreboard (sack.c) a sequence number is. A peer chooses which ones its SACK blocks name, and
 * how small our segments are: a walk along the list would cost it a frame of 98 bytes, and us 4,000 to 60,000
 * steps. So the records of a leg are a treap as well, ordered by sequence number, its heap by a keyed mix of
 * the record's number, which no peer knows: whatever it sends, a look, an insertion and a removal cost O(log
 * n) steps expected, some 2 ln n.
 *
 * SENT_LOST_BELOW leads to what is lost: it is set in every node above a lost record, and cleared lazily, by
 * the search that finds nothing there.
 */
#include "dataplane/tcp/flow.h"

/* The heap's order: a bijection, so no two records have the same. */
static uint32_t rank(const struct tcp_shard *shard, uint32_t index)
{
	uint32_t mixed = (index ^ (uint32_t)shard->config.seed[0]) * 0x85ebca6bu;

	mixed = (mixed ^ mixed >> 13 ^ (uint32_t)shard->config.seed[1]) * 0xc2b2ae35u;
	return mixed ^ mixed >> 16;
}

/* The link to follow for `seq`. */
static uint32_t *towards(struct sent_segment *node, uint32_t seq)
{
	return SEQ_LT(seq, node->seq) ? &node->left : &node->right;
}

static uint32_t lost_below(const struct tcp_shard *shard, uint32_t index)
{
	return index == NONE ? 0 : shard->sent[index].flags & SENT_LOST_BELOW;
}

void sent_index_add(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index)
{
	struct sent_segment *record = &shard->sent[index];
	uint32_t *at = &leg->sent_root, *before = &record->left, *behind = &record->right;
	uint32_t mine = rank(shard, index), lost = record->flags & SENT_LOST ? SENT_LOST_BELOW : 0;

	while (*at != NONE && rank(shard, *at) > mine) {
		struct sent_segment *node = &shard->sent[*at];
		node->flags |= lost;
		at = towards(node, record->seq);
	}
	/* What is below becomes two: before the record and behind it. */
	uint32_t rest = *at;
	record->flags = (record->flags & ~(uint32_t)SENT_LOST_BELOW) | lost | lost_below(shard, rest);
	*at = index;
	while (rest != NONE) {
		struct sent_segment *node = &shard->sent[rest];
		if (SEQ_LT(node->seq, record->seq)) {
			*before = rest;
			before = &node->right;
			rest = node->right;
		} else {
			*behind = rest;
			behind = &node->left;
			rest = node->left;
		}
	}
	*before = *behind = NONE;
}

void sent_index_remove(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index)
{
	const struct sent_segment *record = &shard->sent[index];
	uint32_t *at = &leg->sent_root, a = record->left, b = record->right;

	while (*at != index) {
		struct sent_segment *node = &shard->sent[*at];
		at = towards(node, record->seq);
	}
	while (a != NONE && b != NONE) {
		if (rank(shard, a) > rank(shard, b)) {
			*at = a;
			shard->sent[a].flags |= lost_below(shard, b);
			at = &shard->sent[a].right;
			a = *at;
		} else {
			*at = b;
			shard->sent[b].flags |= lost_below(shard, a);
			at = &shard->sent[b].left;
			b = *at;
		}
	}
	*at = a != NONE ? a : b;
}

uint32_t sent_index_from(
    const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t seq, uint32_t *before)
{
	uint32_t found = NONE;

	*before = NONE;
	for (uint32_t i = leg->sent_root; i != NONE;) {
		const struct sent_segment *node = &shard->sent[i];
		if (SEQ_GEQ(node->seq, seq)) {
			found = i;
			i = node->left;
		} else {
			*before = i;
			i = node->right;
		}
	}
	return found;
}

void sent_index_lost(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index)
{
	for (uint32_t i = leg->sent_root;; i = *towards(&shard->sent[i], shard->sent[index].seq)) {
		shard->sent[i].flags |= SENT_LOST_BELOW;
		if (i == index)
			return;
	}
}

uint32_t sent_first_lost(struct tcp_shard *shard, struct tcp_leg *leg)
{
	uint32_t i = leg->sent_root;

	while (lost_below(shard, i)) {
		struct sent_segment *node = &shard->sent[i];
		if (lost_below(shard, node->left)) {
			i = node->left;
		} else if (node->flags & SENT_LOST) {
			return i;
		} else if (lost_below(shard, node->right)) {
			i = node->right;
		} else { /* not any more: each of these was set by a record that was lost */
			node->flags &= ~(uint32_t)SENT_LOST_BELOW;
			i = leg->sent_root;
		}
	}
	return NONE;
}
