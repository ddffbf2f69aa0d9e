/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decisions: what the policy said of a flow, so that rte_acl is asked once a flow and not once a packet.
 *
 * One table a family and lcore, taken at start: buckets of four entries, found by a keyed hash over the
 * flow's two ends in either order, the oldest of a bucket making room. Nothing depends on an entry being
 * there: what was pushed out is judged again, in both orientations. An entry adds what a single packet cannot
 * tell:
 *  - who began the flow, so that an answer is judged as an answer;
 *  - that it was forwarded already, so that a new policy's audit_ssh does not cut it (`on_policy_change`).
 * An entry counts for one policy generation. Adopted flows are not here but in tcp/.
 *
 * An attacker who fills buckets costs the flows beside his a rte_acl lookup each, no more.
 */
#ifndef DATAPLANE_DECISIONS_H
#define DATAPLANE_DECISIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/frame.h"

#define DECISION_WAYS 4
#define DECISION_IDLE_S 120      /* of flows other than TCP: after that who began it is forgotten */
#define DECISION_TCP_IDLE_S 7440 /* RFC 5382 REQ-5: two hours and four minutes */

enum decision_verdict { DECISION_NONE = 0, DECISION_PASS, DECISION_BLOCK, DECISION_AUDIT };
enum decision_flag {
	DECISION_LOW_BEGAN = 1, /* the lower end (by address, then port) sent the first packet */
	DECISION_TCP = 2,
	DECISION_KEPT = 4, /* `rule` audits, but the flow was forwarded before and goes on being so */
};

struct decision {
	uint32_t generation; /* of the policy, its lower 32 bits */
	uint32_t rule;
	uint32_t seen_s;
	uint8_t verdict, flags;
	uint16_t unused;
};

/* A flow's two ends, lower first, so that both directions have one key. Words beyond the family's are unused.
 */
#define DECISION_WORDS4 2
#define DECISION_WORDS6 5
struct decision_key {
	uint64_t word[DECISION_WORDS6];
	bool low_sent; /* the lower end sent this frame */
};

struct decision_entry4 {
	uint64_t key[DECISION_WORDS4];
	struct decision decision;
};
struct decision_entry6 {
	uint64_t key[DECISION_WORDS6];
	struct decision decision;
	uint64_t unused;
};
_Static_assert(sizeof(struct decision_entry4) == 32, "four make two cache lines");
_Static_assert(sizeof(struct decision_entry6) == 64, "one a cache line");

struct decisions {
	struct decision_entry4 *four;
	struct decision_entry6 *six;
	uint64_t mask4, mask6; /* buckets - 1 */
	uint64_t secret[2];
	uint64_t entries, replaced; /* counters */
};

/* `flows4`, `flows6`: entries, rounded up to powers of two (at least 64). 0 or -ENOMEM. */
int decisions_open(struct decisions *table, uint32_t flows4, uint32_t flows6, const uint64_t secret[2]);
void decisions_close(struct decisions *table);
/* The key of an IP frame that is not a fragment. */
void decision_key(struct decision_key *key, uint8_t link, const struct frame *frame);
/* A copy of the entry, verdict DECISION_NONE where there is none or it has been idle too long. */
struct decision decisions_find(
    const struct decisions *table, uint8_t family, const struct decision_key *key, uint32_t now_s);
/* Writes the entry, over an older one of the same key, an idle one, or the longest unseen of the bucket. */
void decisions_put(
    struct decisions *table, uint8_t family, const struct decision_key *key, const struct decision *decision);

static inline uint64_t decision_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t decision_hash4(const struct decisions *table, uint64_t low, uint64_t high)
{
	return decision_mix(low ^ table->secret[0], high ^ table->secret[1]);
}

/* The IPv4 flow between two ends (address << 16 | port, host order); swaps them into order. */
static inline void decision_key4(uint64_t *low, uint64_t *high, bool *low_sent, uint64_t sender,
    uint64_t receiver, uint8_t protocol, uint8_t link, uint16_t vlan)
{
	*low_sent = sender <= receiver;
	*low = (*low_sent ? sender : receiver) | (uint64_t)protocol << 56 | (uint64_t)link << 48;
	*high = (*low_sent ? receiver : sender) | (uint64_t)vlan << 48;
}

static inline struct decision_entry4 *decision_bucket4(const struct decisions *table, uint64_t hash)
{
	return table->four + (hash & table->mask4) * DECISION_WAYS;
}

/* The live entry itself, for the fast path; NULL where there is none. */
static inline struct decision *decision_in_bucket4(
    struct decision_entry4 *bucket, uint64_t low, uint64_t high)
{
	for (unsigned i = 0; i < DECISION_WAYS; i++)
		if (bucket[i].key[0] == low && bucket[i].key[1] == high)
			return &bucket[i].decision;
	return NULL;
}

static inline bool decision_idle(const struct decision *d, uint32_t now_s)
{
	return now_s - d->seen_s > ((d->flags & DECISION_TCP) != 0 ? DECISION_TCP_IDLE_S : DECISION_IDLE_S);
}

#endif
