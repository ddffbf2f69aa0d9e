/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow table: a fixed number of entries taken at start, chained from twice as many buckets. Peers choose
 * addresses and ports, so buckets are picked by SipHash-1-3 under a secret key: nobody can aim at one chain.
 */
#include "dataplane/tcp/flow.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static inline uint64_t rotl(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

#define SIP_ROUND(v)                                                                                         \
	do {                                                                                                 \
		(v)[0] += (v)[1], (v)[1] = rotl((v)[1], 13), (v)[1] ^= (v)[0], (v)[0] = rotl((v)[0], 32);    \
		(v)[2] += (v)[3], (v)[3] = rotl((v)[3], 16), (v)[3] ^= (v)[2];                               \
		(v)[0] += (v)[3], (v)[3] = rotl((v)[3], 21), (v)[3] ^= (v)[0];                               \
		(v)[2] += (v)[1], (v)[1] = rotl((v)[1], 17), (v)[1] ^= (v)[2], (v)[2] = rotl((v)[2], 32);    \
	} while (0)

uint64_t flow_hash(const uint64_t seed[2], const struct flow_key *key)
{
	uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575ull, seed[1] ^ 0x646f72616e646f6dull,
	    seed[0] ^ 0x6c7967656e657261ull, seed[1] ^ 0x7465646279746573ull};
	uint64_t words[sizeof(*key) / 8];

	memcpy(words, key, sizeof(words));
	for (unsigned i = 0; i < sizeof(*key) / 8; i++) {
		v[3] ^= words[i];
		SIP_ROUND(v);
		v[0] ^= words[i];
	}
	uint64_t last = (uint64_t)sizeof(*key) << 56;
	v[3] ^= last;
	SIP_ROUND(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	SIP_ROUND(v);
	SIP_ROUND(v);
	SIP_ROUND(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

bool flow_key_of(struct flow_key *key, uint8_t link, const struct frame *frame)
{
	int order = memcmp(frame->src, frame->dst, sizeof(frame->src));
	bool low = order < 0 || (order == 0 && frame->sport <= frame->dport);

	*key = (struct flow_key){.link = link, .family = frame->family, .vlan_tags = frame->vlan_tags};
	memcpy(key->low, low ? frame->src : frame->dst, sizeof(key->low));
	memcpy(key->high, low ? frame->dst : frame->src, sizeof(key->high));
	key->low_port = low ? frame->sport : frame->dport;
	key->high_port = low ? frame->dport : frame->sport;
	for (unsigned i = 0; i < frame->vlan_tags && i < FRAME_VLAN_TAGS_MAX; i++)
		key->vlan[i] = frame->vlan[i];
	return low;
}

/* Zeroed, in huge pages where the system has them: packets of many flows miss the TLB less. */
static void *table_take(size_t bytes)
{
	void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (table == MAP_FAILED)
		return NULL;
	(void)madvise(table, bytes, MADV_HUGEPAGE);
	return table;
}

void flow_table_free(struct tcp_shard *shard)
{
	if (shard->flows != NULL)
		munmap(shard->flows, shard->config.flows * sizeof(*shard->flows));
	free(shard->buckets);
}

bool flow_table_init(struct tcp_shard *shard)
{
	uint32_t buckets = 64, flows = shard->config.flows;

	while (buckets < 2 * flows)
		buckets *= 2;
	shard->flows = table_take(flows * sizeof(*shard->flows));
	shard->buckets = malloc(buckets * sizeof(*shard->buckets));
	if (shard->flows == NULL || shard->buckets == NULL)
		return false;
	memset(shard->buckets, 0xff, buckets * sizeof(*shard->buckets)); /* NONE */
	shard->bucket_mask = buckets - 1;
	for (uint32_t i = 0; i < flows; i++)
		shard->flows[i].hash_next = i + 1 < flows ? i + 1 : NONE;
	shard->free_flow = 0;
	return true;
}

static uint32_t *bucket_of(const struct tcp_shard *shard, const struct flow_key *key)
{
	return &shard->buckets[flow_hash(shard->config.seed, key) & shard->bucket_mask];
}

struct tcp_flow *flow_find(const struct tcp_shard *shard, const struct flow_key *key)
{
	for (uint32_t i = *bucket_of(shard, key); i != NONE; i = shard->flows[i].hash_next)
		if (memcmp(&shard->flows[i].key, key, sizeof(*key)) == 0)
			return &shard->flows[i];
	return NULL;
}

struct tcp_flow *flow_new(struct tcp_shard *shard, const struct flow_key *key)
{
	if (shard->free_flow == NONE)
		return NULL;
	struct tcp_flow *flow = &shard->flows[shard->free_flow];
	uint32_t *bucket = bucket_of(shard, key);
	uint32_t incarnation = flow->incarnation + 1;

	shard->free_flow = flow->hash_next;
	memset(flow, 0, sizeof(*flow));
	flow->incarnation = incarnation;
	flow->key = *key;
	flow->worker = -1;
	flow->wait_next = NONE;
	flow->hash_next = *bucket;
	*bucket = flow_index(shard, flow);
	shard->counters.flows++;
	return flow;
}

void flow_free(struct tcp_shard *shard, struct tcp_flow *flow)
{
	uint32_t index = flow_index(shard, flow);
	uint32_t *at = bucket_of(shard, &flow->key);

	while (*at != index)
		at = &shard->flows[*at].hash_next;
	*at = flow->hash_next;
	flow->state = FLOW_FREE;
	flow->hash_next = shard->free_flow;
	shard->free_flow = index;
	shard->counters.flows--;
}
