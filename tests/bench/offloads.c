/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bulk segment costs the TCP shard when a port checks, sums or cuts, and when librte_gro and
 * librte_gso do the like in software: bursts of 32 consecutive segments of 1,448 bytes of one flow, which is
 * the best that can happen to both.
 *
 *   offloads [ROUNDS]        nanoseconds a segment, the least of several rounds
 */
#include <inttypes.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_gro.h>
#include <rte_gso.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/packet/box.h"

#define BURST 32
#define PAYLOAD 1448
#define SAMPLES 40 /* the least of them counts: others use this machine, too */
#define SCRATCH 65536
#define ROOM 2176
#define LARGE 16384
#define RTT_US 2000

enum in_way { IN_SOFTWARE, IN_CHECKED, IN_GRO, IN_GRO_IN_VAIN /* PSH on each: nothing is merged */ };
enum out_way { OUT_SOFTWARE, OUT_SUMMED, OUT_CUT, OUT_GSO };

struct bench {
	struct tcp_shard *shard;
	struct rte_mempool *small, *large, *indirect;
	struct rte_gso_ctx gso;
	bool by_gso;
	uint64_t now_us, flow, got, segments;
	uint32_t sent, received; /* payload bytes of client and origin so far */
	uint8_t sink[LARGE], slab[BURST * PAYLOAD], scratch[SCRATCH];
};

/* -- hooks -- */

static uint8_t *frame_alloc(void *context, uint32_t len, void **handle)
{
	struct bench *b = context;
	struct rte_mbuf *m = rte_pktmbuf_alloc(len + RTE_PKTMBUF_HEADROOM > ROOM ? b->large : b->small);

	if (m == NULL)
		abort();
	*handle = m;
	return (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
}

static void frame_unfinished(void *context, void *handle, const struct tcp_unfinished *what)
{
	struct rte_mbuf *m = handle;

	(void)context;
	m->l2_len = what->l2_len, m->l3_len = what->l3_len, m->l4_len = what->l4_len;
	m->tso_segsz = what->segment_len;
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM |
	               (what->segment_len != 0 ? RTE_MBUF_F_TX_TCP_SEG : 0);
}

/* The sum over a chained segment that rte_gso made: what a port without checksums needs as well. */
static void sum_segment(struct bench *b, const struct rte_mbuf *m)
{
	uint64_t sum = 0;

	for (; m != NULL; m = m->next)
		sum = frame_sum(sum, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
	b->sink[0] ^= (uint8_t)sum;
}

static void frame_send(void *context, uint8_t link, enum tcp_port_side side, void *handle, uint32_t len)
{
	struct bench *b = context;
	struct rte_mbuf *m = handle, *out[BURST];

	(void)link, (void)side;
	if (len > 100)
		b->segments += m->tso_segsz == 0 ? 1 : (len - 66 + m->tso_segsz - 1) / m->tso_segsz;
	if (!b->by_gso || m->tso_segsz == 0) {
		rte_pktmbuf_free(m);
		return;
	}
	b->gso.gso_size = (uint16_t)(m->tso_segsz + m->l2_len + m->l3_len + m->l4_len);
	int count = rte_gso_segment(m, &b->gso, out, BURST);
	if (count < 1)
		abort();
	for (int i = 0; i < count; i++)
		sum_segment(b, out[i]);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free_bulk(out, (unsigned)count);
}

static int worker_open(void *context, uint64_t flow, const struct slab_flow *about)
{
	(void)about;
	((struct bench *)context)->flow = flow;
	return 0;
}

static uint32_t worker_data(
    void *context, int worker, uint64_t flow, uint8_t leg, const uint8_t *at, uint32_t len)
{
	struct bench *b = context;

	(void)worker, (void)flow, (void)leg;
	for (uint32_t done = 0; done < len; done += 4096) /* as the handoff copies into slabs */
		memcpy(b->sink, at + done, len - done < 4096 ? len - done : 4096);
	b->got += len;
	return len;
}

static bool word(void *context, int worker, uint64_t flow, uint8_t leg)
{
	(void)context, (void)worker, (void)flow, (void)leg;
	return true;
}

static bool word_reset(void *context, int worker, uint64_t flow, uint8_t leg, int error)
{
	(void)context, (void)worker, (void)flow, (void)leg, (void)error;
	abort();
}

static bool word_gone(void *context, int worker, uint64_t flow)
{
	(void)context, (void)worker, (void)flow;
	abort();
}

static bool word_credit(void *context, int worker, uint64_t flow, uint8_t leg, uint32_t slabs)
{
	(void)context, (void)worker, (void)flow, (void)leg, (void)slabs;
	return true;
}

static void slab_done(void *context, int worker, uint32_t slab)
{
	(void)context, (void)worker, (void)slab;
}

/* -- the peers -- */

static uint32_t build(struct bench *b, uint8_t *bytes, bool client, uint8_t flags, uint32_t payload)
{
	uint32_t ts = (uint32_t)(b->now_us / 1000);
	struct box_segment s = {.family = 4,
	    .from_client = client,
	    .flags = flags,
	    .seq = client ? 1000 + b->sent + !(flags & TCP_SYN) : 5000 + b->received + !(flags & TCP_SYN),
	    .ack = flags & TCP_ACK ? (client ? 5001 + b->received : 1001 + b->sent) : 0,
	    .window = 60000,
	    .len = payload};

	if (flags & TCP_SYN) {
		memcpy(s.options, (uint8_t[]){2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 4, 2}, 12);
		s.options_len = 12;
	}
	memcpy(s.options + s.options_len,
	    (uint8_t[]){1, 1, 8, 10, (uint8_t)(ts >> 24), (uint8_t)(ts >> 16), (uint8_t)(ts >> 8),
	        (uint8_t)ts, 0, 0, 0, 0},
	    12);
	s.options_len += 12;
	return box_build(bytes, &s);
}

static void give(struct bench *b, uint8_t *bytes, uint32_t len, bool client, bool checked)
{
	static const struct tcp_rule RULE = {.rule = 1};
	struct frame frame;
	enum tcp_port_side side = client ? TCP_INSIDE : TCP_OUTSIDE;

	frame_parse(&frame, bytes, len);
	frame.l4_checked = checked;
	if (tcp_input(b->shard, 0, side, &frame, bytes, &len, b->now_us) == TCP_UNKNOWN)
		tcp_syn(b->shard, 0, side, &frame, bytes, &len, &RULE, b->now_us);
}

static void give_built(struct bench *b, bool client, uint8_t flags)
{
	uint8_t bytes[256];

	give(b, bytes, build(b, bytes, client, flags, 0), client, false);
	tcp_flush(b->shard, b->now_us);
}

static void open_flow(struct bench *b, const struct tcp_offloads *offloads)
{
	struct tcp_hooks hooks = {.context = b,
	    .frame_alloc = frame_alloc,
	    .frame_unfinished = frame_unfinished,
	    .frame_send = frame_send,
	    .worker_context = b,
	    .worker_open = worker_open,
	    .worker_data = worker_data,
	    .worker_fin = word,
	    .worker_reset = word_reset,
	    .worker_gone = word_gone,
	    .worker_credit = word_credit,
	    .slab_done = slab_done};
	struct tcp_config config;

	tcp_config_defaults(&config);
	config.offloads = *offloads;
	config.slab_bytes = sizeof(b->slab);
	b->sent = b->received = 0;
	b->got = b->segments = 0;
	b->now_us = 1000000;
	b->shard = tcp_shard_create(&config, &hooks);
	if (b->shard == NULL)
		abort();
	give_built(b, true, TCP_SYN);
	give_built(b, false, TCP_SYN | TCP_ACK);
	give_built(b, true, TCP_ACK);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* -- in -- */

static void fill(struct bench *b, struct rte_mbuf *frames[BURST], enum in_way way)
{
	uint8_t flags = way == IN_GRO_IN_VAIN ? TCP_ACK | TCP_PSH : TCP_ACK;

	for (unsigned i = 0; i < BURST; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(b->small);
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(m, PAYLOAD + 66);
		if (build(b, at, true, flags, PAYLOAD) != PAYLOAD + 66)
			abort();
		m->l2_len = 14, m->l3_len = 20, m->l4_len = 32;
		m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP;
		m->ol_flags = way != IN_SOFTWARE ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0;
		frames[i] = m;
		b->sent += PAYLOAD;
	}
}

/* rte_gro changes the length only. */
static void checksum_anew(uint8_t *ip)
{
	struct rte_ipv4_hdr *header = (struct rte_ipv4_hdr *)ip;

	header->hdr_checksum = 0;
	header->hdr_checksum = rte_ipv4_cksum(header);
}

static void take_in(struct bench *b, struct rte_mbuf *frames[BURST], enum in_way way)
{
	struct rte_gro_param gro = {
	    .gro_types = RTE_GRO_TCP_IPV4, .max_flow_num = 4, .max_item_per_flow = BURST};
	unsigned count = BURST;

	if (way >= IN_GRO)
		count = rte_gro_reassemble_burst(frames, BURST, &gro);
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *m = frames[i];
		uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
		if (m->nb_segs > 1) { /* the endpoint reads one piece */
			(void)rte_pktmbuf_read(m, 0, m->pkt_len, b->scratch);
			at = b->scratch;
			checksum_anew(at + 14);
		}
		give(b, at, m->pkt_len, true, way != IN_SOFTWARE);
		rte_pktmbuf_free(m);
	}
	tcp_flush(b->shard, b->now_us);
}

static uint64_t sample_in(struct bench *b, enum in_way way, unsigned rounds)
{
	struct rte_mbuf *frames[BURST];
	uint64_t took = 0;

	for (unsigned r = 0; r < rounds; r++) {
		fill(b, frames, way);
		uint64_t start = now_ns();
		take_in(b, frames, way);
		took += now_ns() - start;
		if (b->got != b->sent)
			abort();
		tcp_from_worker(b->shard, 0,
		    &(struct slab_desc){
		        .slab = SLAB_NONE, .type = SLAB_LEG_CONSUMED, .flow = b->flow, .arg = b->got},
		    NULL, b->now_us);
		tcp_flush(b->shard, b->now_us); /* the window opens */
		b->now_us += RTT_US;
	}
	return took / rounds / BURST;
}

/* -- out -- */

/* All that was sent so far, by the client. */
static void acknowledge(struct bench *b)
{
	uint8_t bytes[256];

	b->received = (uint32_t)tcp_counters(b->shard)->bytes_out;
	give(b, bytes, build(b, bytes, true, TCP_ACK, 0), true, false);
}

static uint64_t sample_out(struct bench *b, unsigned rounds)
{
	uint64_t took = 0, segments = b->segments;

	for (unsigned r = 0; r < rounds; r++) {
		uint64_t want = b->segments + BURST;
		struct slab_desc desc = {
		    .slab = r % 64, .len = BURST * PAYLOAD, .type = SLAB_LEG_DATA, .flow = b->flow};
		uint64_t start = now_ns();
		if (!tcp_from_worker(b->shard, 0, &desc, b->slab, b->now_us))
			abort();
		tcp_flush(b->shard, b->now_us);
		took += now_ns() - start;
		/* What cwnd or pacing held back goes later; it is counted all the same. */
		for (unsigned tries = 0; b->segments < want; tries++) {
			if (tries == 10000)
				abort();
			b->now_us += RTT_US;
			acknowledge(b);
			start = now_ns();
			tcp_tick(b->shard, b->now_us);
			tcp_flush(b->shard, b->now_us);
			took += now_ns() - start;
		}
		b->now_us += RTT_US;
		acknowledge(b);
	}
	return took / (b->segments - segments);
}

static uint64_t least_in(struct bench *b, enum in_way way, unsigned rounds)
{
	uint64_t least = UINT64_MAX;

	open_flow(b, &(struct tcp_offloads){0});
	for (unsigned i = 0; i < SAMPLES; i++)
		least = RTE_MIN(least, sample_in(b, way, rounds));
	tcp_shard_destroy(b->shard);
	return least;
}

static uint64_t least_out(struct bench *b, enum out_way way, unsigned rounds)
{
	const struct tcp_offloads offloads = {
	    .checksum = way != OUT_SOFTWARE, .frame_max = way >= OUT_CUT ? 16000 : 0};
	uint64_t least = UINT64_MAX;

	b->by_gso = way == OUT_GSO;
	open_flow(b, &offloads);
	for (unsigned i = 0; i < SAMPLES; i++)
		least = RTE_MIN(least, sample_out(b, rounds));
	tcp_shard_destroy(b->shard);
	return least;
}

int main(int argc, char **argv)
{
	char *eal[] = {argv[0], "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m", "64",
	    "--file-prefix=offloads", "--log-level=lib.eal:error", NULL};
	static struct bench b;
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 50;

	if (rounds == 0 || rte_eal_init((int)RTE_DIM(eal) - 1, eal) < 0)
		return 1;
	b.small = rte_pktmbuf_pool_create("small", 2047, 128, 0, ROOM, SOCKET_ID_ANY);
	b.large = rte_pktmbuf_pool_create("large", 127, 16, 0, LARGE + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	b.indirect = rte_pktmbuf_pool_create("indirect", 2047, 128, 0, 0, SOCKET_ID_ANY);
	if (b.small == NULL || b.large == NULL || b.indirect == NULL)
		return 1;
	b.gso = (struct rte_gso_ctx){
	    .direct_pool = b.small, .indirect_pool = b.indirect, .gso_types = RTE_ETH_TX_OFFLOAD_TCP_TSO};
	uint64_t in[IN_GRO_IN_VAIN + 1], out[OUT_GSO + 1];
	for (unsigned way = 0; way <= IN_GRO_IN_VAIN; way++)
		in[way] = least_in(&b, (enum in_way)way, rounds);
	for (unsigned way = 0; way <= OUT_GSO; way++)
		out[way] = least_out(&b, (enum out_way)way, rounds);
	printf("in, ns a segment:  summed by us %" PRIu64 ", checked by the port %" PRIu64
	       ", and merged by rte_gro %" PRIu64 ", or not %" PRIu64 "\n",
	    in[IN_SOFTWARE], in[IN_CHECKED], in[IN_GRO], in[IN_GRO_IN_VAIN]);
	printf("out, ns a segment: summed by us %" PRIu64 ", summed by the port %" PRIu64
	       ", and cut by it %" PRIu64 "; cut by rte_gso and summed by us %" PRIu64 "\n",
	    out[OUT_SOFTWARE], out[OUT_SUMMED], out[OUT_CUT], out[OUT_GSO]);
	return 0;
}
