/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/decisions.h"

#include <errno.h>
#include <stdlib.h>

#define CACHE_LINE 64
#define FLOWS_MIN 64

static uint64_t buckets_for(uint32_t flows)
{
	uint64_t buckets = 1;

	while (buckets * DECISION_WAYS < (flows < FLOWS_MIN ? FLOWS_MIN : flows))
		buckets *= 2;
	return buckets;
}

static void *take(size_t bytes)
{
	void *at = aligned_alloc(CACHE_LINE, bytes);

	if (at != NULL)
		memset(at, 0, bytes); /* touched now: no page fault on the wire's time */
	return at;
}

int decisions_open(struct decisions *table, uint32_t flows4, uint32_t flows6, const uint64_t secret[2])
{
	uint64_t buckets4 = buckets_for(flows4), buckets6 = buckets_for(flows6);

	*table = (struct decisions){
	    .mask4 = buckets4 - 1, .mask6 = buckets6 - 1, .secret = {secret[0], secret[1]}};
	table->four = take(buckets4 * DECISION_WAYS * sizeof(*table->four));
	table->six = take(buckets6 * DECISION_WAYS * sizeof(*table->six));
	if (table->four == NULL || table->six == NULL) {
		decisions_close(table);
		return -ENOMEM;
	}
	return 0;
}

void decisions_close(struct decisions *table)
{
	free(table->four);
	free(table->six);
	table->four = NULL;
	table->six = NULL;
}

static uint64_t end4(const uint8_t *address, uint16_t port)
{
	return (uint64_t)address[0] << 40 | (uint64_t)address[1] << 32 | (uint64_t)address[2] << 24 |
	       (uint64_t)address[3] << 16 | port;
}

static void key6(struct decision_key *key, uint8_t link, const struct frame *f)
{
	int order = memcmp(f->src, f->dst, 16);

	key->low_sent = order != 0 ? order < 0 : f->sport <= f->dport;
	memcpy(&key->word[0], key->low_sent ? f->src : f->dst, 16);
	memcpy(&key->word[2], key->low_sent ? f->dst : f->src, 16);
	uint64_t ports =
	    key->low_sent ? (uint64_t)f->sport << 16 | f->dport : (uint64_t)f->dport << 16 | f->sport;
	uint64_t vlan = f->vlan_tags > 0 ? f->vlan[0] : 0;
	key->word[4] = (uint64_t)f->protocol << 56 | (uint64_t)link << 48 | vlan << 32 | ports;
}

void decision_key(struct decision_key *key, uint8_t link, const struct frame *f)
{
	if (f->family == 6)
		key6(key, link, f);
	else
		decision_key4(&key->word[0], &key->word[1], &key->low_sent, end4(f->src, f->sport),
		    end4(f->dst, f->dport), f->protocol, link, f->vlan_tags > 0 ? f->vlan[0] : 0);
}

static struct decision_entry6 *bucket6(const struct decisions *table, const uint64_t *word)
{
	uint64_t hash = decision_mix(word[0] ^ table->secret[0], word[1] ^ table->secret[1]);

	hash = decision_mix(hash ^ word[2] ^ table->secret[0], word[3] ^ table->secret[1]);
	hash = decision_mix(hash ^ table->secret[0], word[4] ^ table->secret[1]);
	return table->six + (hash & table->mask6) * DECISION_WAYS;
}

static struct decision *find(const struct decisions *table, uint8_t family, const struct decision_key *key)
{
	if (family == 4)
		return decision_in_bucket4(
		    decision_bucket4(table, decision_hash4(table, key->word[0], key->word[1])), key->word[0],
		    key->word[1]);
	struct decision_entry6 *bucket = bucket6(table, key->word);
	for (unsigned i = 0; i < DECISION_WAYS; i++)
		if (memcmp(bucket[i].key, key->word, sizeof(key->word)) == 0)
			return &bucket[i].decision;
	return NULL;
}

struct decision decisions_find(
    const struct decisions *table, uint8_t family, const struct decision_key *key, uint32_t now_s)
{
	const struct decision *found = find(table, family, key);

	if (found == NULL || decision_idle(found, now_s))
		return (struct decision){0};
	return *found;
}

/* The way to write over: a free one, else the one unseen for longest. `stride`: bytes from entry to entry. */
static unsigned room_in(const struct decision *first, size_t stride)
{
	const struct decision *oldest = first;
	unsigned way = 0;

	for (unsigned i = 0; i < DECISION_WAYS; i++) {
		const struct decision *d = (const struct decision *)((const uint8_t *)first + i * stride);
		if (d->verdict == DECISION_NONE)
			return i;
		if ((int32_t)(d->seen_s - oldest->seen_s) < 0) {
			oldest = d;
			way = i;
		}
	}
	return way;
}

/* Gives an entry of the bucket to the key. */
static struct decision *claim(struct decisions *table, uint8_t family, const uint64_t *word)
{
	if (family == 4) {
		struct decision_entry4 *four =
		    decision_bucket4(table, decision_hash4(table, word[0], word[1]));
		four += room_in(&four->decision, sizeof(*four));
		memcpy(four->key, word, sizeof(four->key));
		return &four->decision;
	}
	struct decision_entry6 *six = bucket6(table, word);
	six += room_in(&six->decision, sizeof(*six));
	memcpy(six->key, word, sizeof(six->key));
	return &six->decision;
}

void decisions_put(
    struct decisions *table, uint8_t family, const struct decision_key *key, const struct decision *decision)
{
	struct decision *at = find(table, family, key);

	if (at == NULL) {
		at = claim(table, family, key->word);
		if (at->verdict == DECISION_NONE)
			table->entries++;
		else
			table->replaced++;
	}
	*at = *decision;
}
