/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a segment costs in the TCP shard alone: no port, no worker process. Data in (1,448 bytes of a random
 * flow, two in a row, parsed, checked, handed over, ACKed), data out (a slab of 1,448 bytes sent, and its ACK
 * taken), an idle tick, and a retransmission timer that comes due among as many others as there are flows.
 *
 *   tcp_shard [FLOWS…]                         nanoseconds at 1,000 and 100,000 flows, bytes a flow
 *   tcp_shard --count in|out|tick|timer FLOWS  for callgrind (instructions_flat): does it about 10,000 times
 *                                              and prints "NUMBER WHAT", what was done inside measured_*()
 *   tcp_shard --count ack|sack RECORDS         the same of a flow with so many segments of 48 bytes under
 * way, whose peer sends ACKs that say nothing new: bare ones, or with four SACK blocks of a byte each, at
 * other places each time
 *
 * Two segments in a row, because the ACK is for both: with more flows than segments each would be some
 * flow's first and only one, and its ACK a timer's; that would compare loads, not table sizes.
 */
#include "dataplane/tcp/flow.h"
#include "tests/packet/box.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Valgrind runs what is not counted ten times as fast where it is not told to look (--instr-atstart=no). */
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#endif

#define BATCH 32
#define PAYLOAD 1448
#define FRAME_ROOM 1600
#define COUNT_BATCHES 300
#define TIMERS_MOST 60000 /* a slab each */
#define TIMERS_TO_COUNT 2000

struct flow {
	uint64_t id;
	uint32_t sent, received; /* payload bytes each way so far */
	uint64_t consumed;
};

struct bench {
	struct tcp_shard *shard;
	struct flow *flow;
	uint32_t flows, opened;
	bool warming; /* what is done is not measured */
	uint64_t now_us, frames_out, bytes_in;
	uint8_t out[FRAME_ROOM], in[BATCH][FRAME_ROOM], slab[PAYLOAD];
	uint32_t len[BATCH];
};

static uint8_t *frame_alloc(void *context, uint32_t len, void **handle)
{
	struct bench *b = context;

	(void)len;
	return *handle = b->out;
}

static void frame_send(void *context, uint8_t link, enum tcp_port_side side, void *handle, uint32_t len)
{
	struct bench *b = context;

	(void)link;
	(void)side;
	(void)handle;
	(void)len;
	b->frames_out++;
}

static int worker_open(void *context, uint64_t flow, const struct slab_flow *about)
{
	struct bench *b = context;

	(void)about;
	b->flow[b->opened++].id = flow;
	return 0;
}

static uint32_t worker_data(
    void *context, int worker, uint64_t flow, uint8_t leg, const uint8_t *at, uint32_t len)
{
	struct bench *b = context;

	(void)worker;
	(void)flow;
	(void)leg;
	memcpy(
	    b->out, at, len < sizeof(b->out) ? len : sizeof(b->out)); /* as the handoff copies into a slab */
	b->bytes_in += len;
	return len;
}

static bool worker_word(void *context, int worker, uint64_t flow, uint8_t leg)
{
	(void)context;
	(void)worker;
	(void)flow;
	(void)leg;
	return true;
}

static bool worker_reset(void *context, int worker, uint64_t flow, uint8_t leg, int error)
{
	(void)error;
	return worker_word(context, worker, flow, leg);
}

static bool worker_gone(void *context, int worker, uint64_t flow)
{
	return worker_word(context, worker, flow, 0);
}

static bool worker_credit(void *context, int worker, uint64_t flow, uint8_t leg, uint32_t slabs)
{
	(void)slabs;
	return worker_word(context, worker, flow, leg);
}

static void slab_done(void *context, int worker, uint32_t slab)
{
	(void)context;
	(void)worker;
	(void)slab;
}

/* -- frames of flow `n`: the client's address says which -- */

/* RFC 1624: the checksum at `at` when the two words at `words` become those at `now`. */
static void change_checksum(uint8_t *at, const uint8_t *words, const uint8_t *now)
{
	uint32_t sum = (uint16_t) ~(at[0] << 8 | at[1]);

	for (int i = 0; i < 4; i += 2)
		sum += (uint16_t) ~(words[i] << 8 | words[i + 1]) + (uint32_t)(now[i] << 8 | now[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8), at[1] = (uint8_t)~sum;
}

static uint32_t build(struct bench *b, uint8_t *bytes, uint32_t n, bool from_client, uint8_t flags,
    uint32_t seq, uint32_t ack, uint32_t payload)
{
	struct box_segment s = {.family = 4,
	    .from_client = from_client,
	    .flags = flags,
	    .seq = seq,
	    .ack = ack,
	    .window = 60000,
	    .len = payload};
	uint32_t ts = (uint32_t)(b->now_us / 1000);

	if (flags & TCP_SYN) {
		memcpy(s.options, (uint8_t[]){2, 4, 5, 180, 1, 3, 3, 4, 1, 1, 4, 2}, 12);
		s.options_len = 12;
	}
	memcpy(s.options + s.options_len,
	    (uint8_t[]){1, 1, 8, 10, (uint8_t)(ts >> 24), (uint8_t)(ts >> 16), (uint8_t)(ts >> 8),
	        (uint8_t)ts, 0, 0, 0, 0},
	    12);
	s.options_len += 12;
	uint32_t len = box_build(bytes, &s);
	uint8_t *address = bytes + 14 + (from_client ? 12 : 16);
	const uint8_t now[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	change_checksum(bytes + 14 + 10, address, now);
	change_checksum(bytes + 34 + 16, address, now);
	memcpy(address, now, 4);
	return len;
}

static void give(struct bench *b, uint8_t *bytes, uint32_t len, bool from_client)
{
	static const struct tcp_rule RULE = {.rule = 1};
	struct frame frame;

	frame_parse(&frame, bytes, len);
	if (tcp_input(b->shard, 0, from_client ? TCP_INSIDE : TCP_OUTSIDE, &frame, bytes, &len, b->now_us) ==
	    TCP_UNKNOWN)
		tcp_syn(b->shard, 0, TCP_INSIDE, &frame, bytes, &len, &RULE, b->now_us);
}

static void open_flows(struct bench *b)
{
	uint8_t bytes[FRAME_ROOM];

	for (uint32_t n = 0; n < b->flows; n++) {
		give(b, bytes, build(b, bytes, n, true, TCP_SYN, 1000, 0, 0), true);
		give(b, bytes, build(b, bytes, n, false, TCP_SYN | TCP_ACK, 5000, 1001, 0), false);
		give(b, bytes, build(b, bytes, n, true, TCP_ACK, 1001, 5001, 0), true);
		if (n % 64 == 0)
			tcp_flush(b->shard, b->now_us);
		b->now_us += 20;
	}
	tcp_flush(b->shard, b->now_us);
	if (b->opened != b->flows)
		abort();
}

/* -- what is measured -- */

static void take_in(struct bench *b)
{
	for (unsigned i = 0; i < BATCH; i++)
		give(b, b->in[i], b->len[i], true);
	tcp_tick(b->shard, b->now_us);
	tcp_flush(b->shard, b->now_us);
}

static void send_out(struct bench *b, const struct slab_desc *desc)
{
	for (unsigned i = 0; i < BATCH; i++)
		tcp_from_worker(b->shard, 0, &desc[i], b->slab, b->now_us);
	tcp_flush(b->shard, b->now_us);
	for (unsigned i = 0; i < BATCH; i++)
		give(b, b->in[i], b->len[i], true);
	tcp_tick(b->shard, b->now_us);
	tcp_flush(b->shard, b->now_us);
}

__attribute__((noinline)) void measured_in(struct bench *b)
{
	take_in(b);
}

__attribute__((noinline)) void measured_out(struct bench *b, const struct slab_desc *desc)
{
	send_out(b, desc);
}

__attribute__((noinline)) void measured_acks(struct bench *b)
{
	take_in(b);
}

__attribute__((noinline)) void measured_timers(struct bench *b)
{
	tcp_tick(b->shard, b->now_us);
	tcp_flush(b->shard, b->now_us);
}

__attribute__((noinline)) void measured_tick(struct bench *b)
{
	tcp_tick(b->shard, b->now_us);
	tcp_flush(b->shard, b->now_us);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint32_t pick(struct bench *b)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13, state ^= state >> 7, state ^= state << 17;
	return (uint32_t)(state >> 20) % b->flows;
}

/* A segment of each of `chosen`, which the worker consumes. */
static uint64_t segments_in(struct bench *b, const uint32_t chosen[BATCH])
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct flow *f = &b->flow[chosen[i]];
		b->len[i] =
		    build(b, b->in[i], chosen[i], true, TCP_ACK, 1001 + f->sent, 5001 + f->received, PAYLOAD);
		f->sent += PAYLOAD;
	}
	uint64_t start = now_ns();
	if (b->warming)
		take_in(b);
	else
		measured_in(b);
	uint64_t took = now_ns() - start;
	for (unsigned i = 0; i < BATCH; i++) {
		struct flow *f = &b->flow[chosen[i]];
		tcp_from_worker(b->shard, 0,
		    &(struct slab_desc){
		        .slab = SLAB_NONE, .type = SLAB_LEG_CONSUMED, .flow = f->id, .arg = f->sent},
		    NULL, b->now_us);
	}
	return took;
}

static uint64_t batch_in(struct bench *b)
{
	uint32_t chosen[BATCH];

	for (unsigned i = 0; i < BATCH; i += 2)
		chosen[i] = chosen[i + 1] = pick(b);
	return segments_in(b, chosen);
}

static uint64_t slabs_out(struct bench *b, const uint32_t chosen[BATCH])
{
	struct slab_desc desc[BATCH];

	for (unsigned i = 0; i < BATCH; i++) {
		uint32_t n = chosen[i];
		struct flow *f = &b->flow[n];
		desc[i] = (struct slab_desc){.slab = i, .len = PAYLOAD, .type = SLAB_LEG_DATA, .flow = f->id};
		f->received += PAYLOAD;
		b->len[i] = build(b, b->in[i], n, true, TCP_ACK, 1001 + f->sent, 5001 + f->received, 0);
	}
	uint64_t start = now_ns();
	if (b->warming)
		send_out(b, desc);
	else
		measured_out(b, desc);
	return now_ns() - start;
}

static uint64_t batch_out(struct bench *b)
{
	uint32_t chosen[BATCH];

	for (unsigned i = 0; i < BATCH; i++)
		chosen[i] = pick(b);
	return slabs_out(b, chosen);
}

static uint64_t batch_tick(struct bench *b)
{
	uint64_t start = now_ns();

	measured_tick(b);
	return now_ns() - start;
}

static uint64_t run(struct bench *b, uint64_t (*batch)(struct bench *), unsigned batches)
{
	uint64_t took = 0;

	for (unsigned i = 0; i < batches; i++) {
		took += batch(b);
		b->now_us += 50;
	}
	return took;
}

/* `records`: of segments under way; 0: as many as for so many flows. */
static struct bench *bench_open(uint32_t flows, uint32_t records)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct tcp_config config;
	struct tcp_hooks hooks = {.context = b,
	    .frame_alloc = frame_alloc,
	    .frame_send = frame_send,
	    .worker_context = b,
	    .worker_open = worker_open,
	    .worker_data = worker_data,
	    .worker_fin = worker_word,
	    .worker_reset = worker_reset,
	    .worker_gone = worker_gone,
	    .worker_credit = worker_credit,
	    .slab_done = slab_done};

	tcp_config_defaults(&config);
	config.flows = flows;
	config.sent_segments = records;
	b->flows = flows;
	b->flow = calloc(flows, sizeof(*b->flow));
	b->now_us = 1000000;
	b->shard = tcp_shard_create(&config, &hooks);
	if (b->shard == NULL)
		exit(1);
	open_flows(b);
	return b;
}

static void bench_close(struct bench *b)
{
	tcp_shard_destroy(b->shard);
	free(b->flow);
	free(b);
}

/* Each flow has done before what is to be measured: two segments in, or one out. */
static void warm(struct bench *b, uint64_t (*move)(struct bench *, const uint32_t *), uint32_t each)
{
	uint32_t chosen[BATCH];

	b->warming = true;
	for (uint32_t n = 0; n < b->flows; n += BATCH / each) {
		for (uint32_t i = 0; i < BATCH; i++)
			chosen[i] = (n + i / each) % b->flows;
		move(b, chosen);
		b->now_us += 50;
	}
	b->warming = false;
}

/* All flows have a segment under way that is never acknowledged, sent over a tenth of a second: the timers
 * come due in that order. */
static uint64_t count_timers(struct bench *b)
{
	uint32_t flows = b->flows < TIMERS_MOST ? b->flows : TIMERS_MOST;
	uint64_t before = tcp_counters(b->shard)->retransmits, fired = 0;

	for (uint32_t n = 0; n < flows; n++) {
		tcp_from_worker(b->shard, 0,
		    &(struct slab_desc){
		        .slab = n, .len = PAYLOAD, .type = SLAB_LEG_DATA, .flow = b->flow[n].id},
		    b->slab, b->now_us + (uint64_t)n * 100000 / flows);
		tcp_flush(b->shard, b->now_us + (uint64_t)n * 100000 / flows);
	}
	b->now_us += 100000;
	CALLGRIND_START_INSTRUMENTATION;
	for (uint32_t turn = 0; fired < TIMERS_TO_COUNT && turn < 1000000; turn++) {
		b->now_us += 1000;
		measured_timers(b);
		fired = tcp_counters(b->shard)->retransmits - before;
	}
	return fired;
}

/* A peer with segments of MSS_MIN and a window as large as it likes, who acknowledges nothing. */
static void put_under_way(struct bench *b, uint32_t records)
{
	struct tcp_leg *leg = &b->shard->flows[(uint32_t)b->flow[0].id].leg[SLAB_LEG_CLIENT];

	leg->mss = MSS_MIN;
	leg->cwnd = CWND_MAX;
	leg->snd_wnd = records * MSS_MIN;
	leg->slabs_most = records * MSS_MIN / PAYLOAD + 1;
	for (uint32_t slab = 0; slab < leg->slabs_most; slab++)
		tcp_from_worker(b->shard, 0,
		    &(struct slab_desc){
		        .slab = slab, .len = PAYLOAD, .type = SLAB_LEG_DATA, .flow = b->flow[0].id},
		    b->slab, b->now_us);
	for (uint32_t flush = 0; leg->snd_nxt - leg->snd_una < records * MSS_MIN; flush++) {
		if (flush == records)
			abort(); /* not all that were asked for */
		tcp_flush(b->shard, b->now_us);
	}
}

/* An ACK of nothing; four SACK blocks of a byte of records anywhere, which cover none of them. */
static uint32_t build_ack(uint8_t *bytes, bool sack, uint32_t records)
{
	struct box_segment s = {
	    .family = 4, .from_client = true, .flags = TCP_ACK, .seq = 1001, .ack = 5001, .window = 60000};
	static uint32_t at;

	if (sack) {
		memcpy(s.options, (uint8_t[]){1, 1, 5, 34}, 4);
		s.options_len = 36;
		for (unsigned i = 0; i < 4; i++) {
			at = (at + 648049) % records;
			const uint32_t edge[2] = {5001 + at * MSS_MIN + 1, 5001 + at * MSS_MIN + 2};
			for (unsigned k = 0; k < 8; k++)
				s.options[4 + 8 * i + k] = (uint8_t)(edge[k / 4] >> 8 * (3 - k % 4));
		}
	}
	uint32_t len = box_build(bytes, &s);
	uint8_t *address = bytes + 14 + 12;
	const uint8_t now[4] = {10, 0, 0, 0};
	change_checksum(bytes + 14 + 10, address, now);
	change_checksum(bytes + 34 + 16, address, now);
	memcpy(address, now, 4);
	return len;
}

static int count_acks(bool sack, uint32_t records)
{
	struct bench *b = bench_open(1, 10 * records); /* of which a leg gets a share */

	put_under_way(b, records);
	CALLGRIND_START_INSTRUMENTATION;
	for (unsigned n = 0; n < COUNT_BATCHES; n++) {
		for (unsigned i = 0; i < BATCH; i++)
			b->len[i] = build_ack(b->in[i], sack, records);
		measured_acks(b);
	}
	const struct tcp_counters *c = tcp_counters(b->shard);
	bool taken = c->bad_checksum + c->out_of_window + c->retransmits == 0;
	printf("%d segments\n", COUNT_BATCHES * BATCH);
	bench_close(b);
	return taken ? 0 : 1;
}

static int count_one(const char *what, uint32_t flows)
{
	if (strcmp(what, "ack") == 0 || strcmp(what, "sack") == 0)
		return count_acks(strcmp(what, "sack") == 0, flows);
	struct bench *b = bench_open(flows, 0);
	uint64_t count = (uint64_t)COUNT_BATCHES * BATCH;
	const char *of = "segments";

	if (strcmp(what, "in") == 0) {
		warm(b, segments_in, 2);
		CALLGRIND_START_INSTRUMENTATION;
		run(b, batch_in, COUNT_BATCHES);
	} else if (strcmp(what, "out") == 0) {
		warm(b, slabs_out, 1);
		CALLGRIND_START_INSTRUMENTATION;
		run(b, batch_out, COUNT_BATCHES);
	} else if (strcmp(what, "tick") == 0) {
		CALLGRIND_START_INSTRUMENTATION;
		run(b, batch_tick, COUNT_BATCHES);
		count = COUNT_BATCHES, of = "ticks";
	} else if (strcmp(what, "timer") == 0) {
		warm(b, slabs_out, 1);
		count = count_timers(b), of = "timers";
	} else {
		fprintf(stderr, "tcp_shard: '%s': expected in, out, tick, timer, ack or sack\n", what);
		return 2;
	}
	printf("%" PRIu64 " %s\n", count, of);
	bench_close(b);
	return count == 0;
}

int main(int argc, char **argv)
{
	static const uint32_t DEFAULTS[] = {1000, 100000};

	if (argc == 4 && strcmp(argv[1], "--count") == 0)
		return count_one(argv[2], (uint32_t)atoi(argv[3]));
	printf("%u bytes a flow (both legs) in the table\n", tcp_flow_bytes());
	for (int i = 0; i < (argc > 1 ? argc - 1 : 2); i++) {
		struct bench *b = bench_open(argc > 1 ? (uint32_t)atoi(argv[i + 1]) : DEFAULTS[i], 0);
		unsigned batches = 20000;
		run(b, batch_in, 1000);
		uint64_t in = run(b, batch_in, batches), out = run(b, batch_out, batches),
		         tick = run(b, batch_tick, batches);
		printf("%7u flows: data in %.0f ns a segment, data out %.0f ns a segment with its ACK, tick "
		       "%.0f ns\n",
		    b->flows, (double)in / batches / BATCH, (double)out / batches / BATCH,
		    (double)tick / batches);
		const struct tcp_counters *c = tcp_counters(b->shard);
		if (c->out_of_window + c->retransmits + c->bad_checksum + c->worker_violations > 0)
			printf("  not clean: %" PRIu64 " out of window, %" PRIu64 " retransmits, %" PRIu64
			       " bad, %" PRIu64 " violations\n",
			    c->out_of_window, c->retransmits, c->bad_checksum, c->worker_violations);
		bench_close(b);
	}
	return 0;
}
