/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What windows, buffers and memory do over time: they follow the bandwidth-delay product, share what is
 * scarce, and bound what anybody can cost. Virtual time (paths.h); figures are of the clients. `memory NAME`
 * runs one.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/flow.h"
#include "tests/packet/paths.h"

#define MB (1024u * 1024u)
#define SECOND 1000000u

static struct paths world;
static bool failed;

__attribute__((format(printf, 2, 3))) static void check(bool good, const char *format, ...)
{
	va_list args;

	if (good)
		return;
	failed = true;
	va_start(args, format);
	printf("  ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

static void nothing_dropped(void)
{
	const struct tcp_counters *c = tcp_counters(world.shard);

	check(c->memory_dropped + c->reorder_dropped + c->out_of_window == 0,
	    "dropped: %" PRIu64 " for want of memory, %" PRIu64 " out of order, %" PRIu64 " out of window",
	    c->memory_dropped, c->reorder_dropped, c->out_of_window);
	check(c->retransmits == 0, "%" PRIu64 " retransmissions on a path without loss", c->retransmits);
}

/* Bytes a second that the worker got of each client in the time from now on. */
static void rates(uint64_t us, uint64_t rate[PATHS_MAX])
{
	uint64_t before[PATHS_MAX];

	for (unsigned i = 0; i < world.clients; i++)
		before[i] = world.client[i].got;
	paths_run(&world, us);
	for (unsigned i = 0; i < world.clients; i++)
		rate[i] = (world.client[i].got - before[i]) * SECOND / us;
}

/* A client that could send `cwnd_max` bytes a round trip. */
static struct paths_client *bulk(uint64_t delay_us, uint32_t cwnd_max, int worker)
{
	struct paths_client *client = paths_client(&world, delay_us, worker);

	client->cwnd_max = cwnd_max;
	paths_send(&world, client, UINT32_MAX);
	return client;
}

static void start(void)
{
	struct tcp_config config;

	paths_config(&config);
	paths_open(&world, &config);
}

static void start_with_memory(uint64_t bytes)
{
	struct tcp_config config;

	paths_config(&config);
	config.receive_memory = config.reorder_total = bytes;
	paths_open(&world, &config);
}

/* -- growth -- */

static void one_path(bool timestamps, uint64_t delay_us, uint32_t bdp, uint32_t least, uint32_t most)
{
	uint64_t rate[PATHS_MAX], round_us = 2 * delay_us;

	start();
	world.timestamps = timestamps;
	struct paths_client *client = bulk(delay_us, bdp, 0);
	uint32_t rounds = 1;
	for (uint32_t flight = 10 * PATHS_MSS; flight < bdp; flight *= 2)
		rounds++;
	/* The slow start was never held up: each round brought twice the one before. */
	paths_run(&world, (rounds - 1) * round_us + round_us / 2);
	uint64_t unhindered = 10ull * PATHS_MSS * ((1u << (rounds - 1)) - 1);
	check(client->got >= unhindered, "%" PRIu64 " bytes came in the slow start, unhindered %" PRIu64,
	    client->got, unhindered);
	rates(round_us > 200000 ? 2 * round_us : 400000, rate);
	uint64_t ideal = (uint64_t)bdp * SECOND / round_us;
	check(rate[0] >= ideal / 20 * 17, "after a slow start of %u rounds: %" PRIu64 " bytes/s of %" PRIu64,
	    rounds, rate[0], ideal);
	rates(20 * round_us, rate);
	check(rate[0] >= ideal / 20 * 19, "%" PRIu64 " bytes/s of %" PRIu64, rate[0], ideal);
	uint32_t window = paths_leg(&world, client)->credit;
	check(window >= least && window <= most, "a window of %u bytes, expected %u to %u", window, least,
	    most);
	nothing_dropped();
}

static void follows_long_path(void)
{
	one_path(true, 50000, 2 * MB, 2 * MB, 6 * MB);
}

static void follows_without_timestamps(void)
{
	one_path(false, 50000, 2 * MB, 2 * MB, 6 * MB);
}

static void reaches_the_maximum(void)
{
	one_path(true, 100000, 6 * MB - 64 * 1024, 6 * MB, 6 * MB);
}

static void follows_no_further(void)
{
	one_path(true, 50000, MB / 4, MB / 2, 6 * (MB / 4));
}

static void stays_small_on_short_path(void)
{
	one_path(true, 1000, 32 * 1024, 64 * 1024, 384 * 1024);
}

/* What came of a client whose link takes 20 MB/s, 100 ms away, in its slow start. */
static uint64_t slow_start(const struct tcp_config *config)
{
	paths_open(&world, config);
	struct paths_client *client = bulk(50000, 2 * MB, 0);
	client->link_bytes_s = 20 * MB;
	/* Six rounds of 100 ms: 10, 20 … 320 segments; the box sees none of them begin or end. */
	paths_run(&world, 6 * SECOND / 10 + 50000);
	return client->got;
}

/* Rounds of a real sender are no bursts: what is measured is in part of the round before, and the next is
 * twice as large as its end. */
static void slow_start_is_not_held_up(void)
{
	struct tcp_config config;

	paths_config(&config);
	config.receive_credit = config.receive_window_max;
	uint64_t unhindered = slow_start(&config);
	paths_close(&world);
	paths_config(&config);
	uint64_t got = slow_start(&config);
	check(unhindered >= 600 * PATHS_MSS, "a test that sends nothing: %" PRIu64, unhindered);
	check(got >= unhindered / 100 * 98, "%" PRIu64 " bytes came in the slow start, unhindered %" PRIu64,
	    got, unhindered);
}

/* The handshake's round trip is not the path's for ever. */
static void path_gets_longer(bool timestamps)
{
	uint64_t rate[PATHS_MAX];

	start();
	world.timestamps = timestamps;
	struct paths_client *client = bulk(1000, 2 * MB, 0);
	if (!timestamps) { /* then the round trip is known by what is sent */
		client->writes = true;
		client->window = 65536;
	}
	client->delay_us = 50000;
	paths_run(&world, 5 * SECOND);
	rates(SECOND, rate);
	check(rate[0] >= 19 * MB, "%" PRIu64 " bytes/s of 2 MB each 100 ms", rate[0]);
	uint32_t window = paths_leg(&world, client)->credit;
	check(window >= 2 * MB && window <= 6 * MB, "a window of %u bytes", window);
	nothing_dropped();
}

static void longer_with_timestamps(void)
{
	path_gets_longer(true);
}

static void longer_without_timestamps(void)
{
	path_gets_longer(false);
}

/* A lone small segment echoes what it heard last, however long ago; an echo may be forged. */
static void no_round_trips(void)
{
	start();
	struct paths_client *client = paths_client(&world, 1000, 0);
	const struct tcp_leg *leg = paths_leg(&world, client);
	paths_send(&world, client, 20 * PATHS_MSS);
	paths_run(&world, SECOND);
	uint32_t rtt = leg->rcv_rtt_us;
	check(rtt > 0 && rtt < 10000, "a round trip of %u us", rtt);
	for (unsigned i = 0; i < 100; i++) {
		paths_send(&world, client, 100);
		paths_run(&world, 300000);
	}
	check(leg->rcv_rtt_us == rtt, "small segments make the round trip %u us", leg->rcv_rtt_us);
	for (uint32_t i = 0; i < 20; i++, client->nxt += PATHS_MSS) {
		client->tsecr -= 15000;
		paths_segment(&world, client, client->nxt - 1001, PATHS_MSS);
	}
	check(leg->rcv_rtt_us == rtt, "forged echoes make the round trip %u us", leg->rcv_rtt_us);
	nothing_dropped();
}

/* A worker that reads seldom does not make the path long: what counts is what came in a round trip. */
static void read_seldom(void)
{
	start();
	struct paths_client *client = bulk(1000, 2 * MB, 0);
	for (unsigned i = 0; i < 40; i++) {
		client->stalled = true;
		paths_run(&world, 50000);
		client->stalled = false;
		paths_run(&world, 500);
	}
	uint32_t window = paths_leg(&world, client)->credit;
	check(client->got > 2 * MB, "a test that sends nothing: %" PRIu64, client->got);
	check(window == 65536, "a window of %u bytes for 64 KiB each 50 ms on a path of 2 ms", window);
	nothing_dropped();
}

static void not_for_the_unread(void)
{
	start();
	struct paths_client *client = bulk(50000, 4 * MB, 0);
	client->stalled = true;
	paths_run(&world, 3 * SECOND);
	check(client->got <= 65536 && client->got > 60000, "%" PRIu64 " bytes with a worker that never read",
	    client->got);
	client->stalled = false;
	paths_run(&world, 3 * SECOND);
	check(client->got > 40 * MB, "%" PRIu64 " bytes once it reads", client->got);
	nothing_dropped();
}

static void scale_bounds(void)
{
	start();
	struct paths_client *client = bulk(50000, 4 * MB, 0);
	struct tcp_leg *leg = paths_leg(&world, client);
	leg->rcv_wscale = 4; /* as if the origin's SYN had said so: the client takes windows at 7 */
	paths_run(&world, 2 * SECOND);
	check(leg->credit <= 65535u << 4, "a window of %u cannot be said with scale 4", leg->credit);
}

/* What is promised could all come out of order. */
static void chunks_bound(void)
{
	struct tcp_config config;

	paths_config(&config);
	config.reorder_total = 2 * MB;
	paths_open(&world, &config);
	struct paths_client *client = bulk(50000, 4 * MB, 0);
	paths_run(&world, 2 * SECOND);
	uint32_t window = paths_leg(&world, client)->credit;
	check(window > MB && window <= MB + 65536, "a window of %u bytes with 2 MB of chunks", window);
	nothing_dropped();
}

/* -- scarce memory -- */

static uint64_t least_of(const uint64_t *rate, unsigned from, unsigned to)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = from; i < to; i++)
		least = rate[i] < least ? rate[i] : least;
	return least;
}

static uint64_t most_of(const uint64_t *rate, unsigned from, unsigned to)
{
	uint64_t most = 0;

	for (unsigned i = from; i < to; i++)
		most = rate[i] > most ? rate[i] : most;
	return most;
}

static void scarce_is_shared(void)
{
	uint64_t rate[PATHS_MAX];
	const struct tcp_counters *c;

	start_with_memory(13 * MB);
	c = tcp_counters(world.shard);
	struct paths_client *first = bulk(25000, 8 * MB, 0);
	paths_run(&world, SECOND);
	uint32_t alone = paths_leg(&world, first)->credit;
	check(alone >= 6 * MB, "the first alone has a window of %u bytes", alone);
	for (unsigned i = 1; i < 12; i++)
		bulk(25000, 8 * MB, 0);
	for (unsigned i = 0; i < 20; i++) {
		paths_client(&world, 25000, 0);
		world.client[12 + i].cwnd_max = 20000;
		world.client[12 + i].to_send = 0;
	}
	for (unsigned i = 0; i < 20; i++) {
		paths_run(&world, SECOND / 10);
		for (unsigned k = 12; k < 32; k++)
			paths_send(&world, &world.client[k], 10000);
		check(c->receive_charged <= 13 * MB, "%" PRIu64 " bytes promised", c->receive_charged);
	}
	for (unsigned k = 12; k < 32; k++)
		world.client[k].to_send = 0;
	rates(SECOND, rate);
	check(least_of(rate, 0, 12) * 2 > most_of(rate, 0, 12),
	    "greedy ones get %" PRIu64 " to %" PRIu64 " bytes/s", least_of(rate, 0, 12),
	    most_of(rate, 0, 12));
	check(paths_leg(&world, first)->credit < alone / 3, "the first's window shrank from %u to %u only",
	    alone, paths_leg(&world, first)->credit);
	for (unsigned k = 12; k < 32; k++)
		check(world.client[k].una - 1001 > 190000, "a small one was held up: %u bytes of 200000",
		    world.client[k].una - 1001);
	check(c->window_limited > 0, "no window was limited");
	nothing_dropped();
}

static void stalled_cost_what_was_promised(void)
{
	const struct tcp_counters *c;
	const unsigned n = 24;

	start_with_memory(13 * MB);
	c = tcp_counters(world.shard);
	for (unsigned i = 0; i < n; i++)
		bulk(50000, 8 * MB, 0);
	paths_run(&world, 3 * SECOND);
	for (unsigned i = 0; i < n; i++)
		world.client[i].stalled = true;
	paths_run(&world, 3 * SECOND);
	check(world.there_most <= 13 * MB + n * 65536, "%" PRIu64 " bytes with workers", world.there_most);
	check(world.there_most >= 5 * MB, "a test that fills nothing: %" PRIu64, world.there_most);
	check(c->receive_held <= 13 * MB, "%" PRIu64 " bytes held", c->receive_held);
	nothing_dropped();
	for (unsigned i = 0; i < n; i++)
		world.client[i].stalled = false;
	uint64_t rate[PATHS_MAX];
	paths_run(&world, SECOND);
	rates(SECOND, rate);
	check(least_of(rate, 0, n) > 2 * MB, "after the stall the slowest gets %" PRIu64 " bytes/s",
	    least_of(rate, 0, n));
	nothing_dropped();
}

/* Windows of the long silent are given up, and still open: memory is a bound all the same. */
static void silent_give_up_their_growth(void)
{
	struct tcp_config config;

	paths_config(&config);
	config.receive_memory = config.reorder_total = 13 * MB;
	config.idle_keepalive_ms = 10000;
	paths_open(&world, &config);
	const struct tcp_counters *c = tcp_counters(world.shard);
	for (unsigned i = 0; i < 6; i++) {
		struct paths_client *client = bulk(50000, 8 * MB, 0);
		paths_run(&world, 2 * SECOND);
		client->to_send = 0;
		paths_run(&world, 25 * SECOND);
		check(paths_leg(&world, client)->charged == 0, "the silent client %u is charged %u", i,
		    paths_leg(&world, client)->charged);
		check(client->edge - client->nxt > 4 * MB, "its window is closed: %u",
		    client->edge - client->nxt);
	}
	for (unsigned i = 0; i < 6; i++) {
		world.client[i].stalled = true;
		world.client[i].cwnd = 8 * MB;
		paths_send(&world, &world.client[i], 8 * MB);
	}
	paths_run(&world, 2 * SECOND);
	check(world.there_most > 12 * MB, "a test that fills nothing");
	check(c->receive_held <= 13 * MB, "%" PRIu64 " bytes held", c->receive_held);
	check(c->memory_dropped > 0, "nothing was dropped, so nothing was tested");
	/* A leg's own is its own. */
	struct paths_client *late = paths_client(&world, 1000, 0);
	late->stalled = true;
	paths_send(&world, late, 50 * PATHS_MSS);
	paths_run(&world, SECOND);
	check(late->got > 40 * PATHS_MSS && c->receive_held <= 13 * MB,
	    "the next one got %" PRIu64 " bytes through, %" PRIu64 " bytes held", late->got, c->receive_held);
}

/* -- small segments -- */

static void one_byte_in_order(void)
{
	start();
	struct paths_client *client = paths_client(&world, 1000, 0);
	world.full[0] = true;
	for (uint32_t i = 0; i < 60000; i++)
		paths_segment(&world, client, i, 1);
	struct tcp_leg *leg = paths_leg(&world, client);
	check(leg->chunks <= 60000 / CHUNK_BYTES + 1 && leg->runs == 1,
	    "60000 bytes one at a time in %u chunks, %u runs", leg->chunks, leg->runs);
	check(leg->rcv_nxt - leg->dlv_nxt == 60000, "%u of 60000 kept", leg->rcv_nxt - leg->dlv_nxt);
	world.full[0] = false;
	paths_run(&world, SECOND);
	check(client->got == 60000, "%" PRIu64 " of 60000 came", client->got);
	nothing_dropped();
}

static void one_byte_out_of_order(bool backwards)
{
	start();
	struct paths_client *client = paths_client(&world, 1000, 0), *other = bulk(1000, 200000, 0);
	uint32_t free_chunks = world.shard->free_chunks;
	for (uint32_t i = 1; i < 30000; i++)
		paths_segment(&world, client, backwards ? 60000 - 2 * i : 2 * i, 1);
	struct tcp_leg *leg = paths_leg(&world, client);
	uint32_t most = 2 * 65536 / CHUNK_BYTES + 2;
	check(leg->chunks <= most && leg->runs <= most, "holes cost %u chunks, %u may be", leg->chunks, most);
	check(world.shard->free_chunks >= free_chunks - most, "%u chunks are gone",
	    free_chunks - world.shard->free_chunks);
	check(tcp_counters(world.shard)->reorder_dropped > 29000, "what is beyond is dropped and counted");
	paths_run(&world, SECOND);
	check(other->got > 50 * MB, "another got %" PRIu64 " bytes in a second", other->got);
	/* What it was kept for: the holes are filled and all of it is right (worker_data looks). */
	for (uint32_t i = 0; i < 60000; i += 1000)
		paths_segment(&world, client, i, 1000);
	paths_run(&world, SECOND / 10);
	check(client->got == 60000 && leg->chunks == 0 && leg->runs == 0,
	    "%" PRIu64 " of 60000, %u chunks left", client->got, leg->chunks);
}

static void one_byte_holes_forwards(void)
{
	one_byte_out_of_order(false);
}

static void one_byte_holes_backwards(void)
{
	one_byte_out_of_order(true);
}

/* A peer that earned a large window has no more runs than others: what a walk costs is bounded. */
static void runs_are_bounded(void)
{
	start();
	struct paths_client *client = bulk(50000, 6 * MB, 0);
	paths_run(&world, 2 * SECOND);
	client->to_send = 0;
	paths_run(&world, SECOND);
	struct tcp_leg *leg = paths_leg(&world, client);
	uint32_t at = client->nxt - 1001;
	for (uint32_t i = 1; i < 4000; i++)
		paths_segment(&world, client, at + 2 * i, 1);
	check(leg->runs == RUNS_MAX && leg->chunks == RUNS_MAX, "%u runs, %u chunks", leg->runs, leg->chunks);
	/* One lost segment and a window behind it is one run, whatever it holds. */
	start();
	client = bulk(50000, 6 * MB, 0);
	paths_run(&world, 2 * SECOND);
	client->to_send = 0;
	paths_run(&world, SECOND);
	leg = paths_leg(&world, client);
	at = client->nxt - 1001;
	for (uint32_t i = 1; i < 2000; i++)
		paths_segment(&world, client, at + i * PATHS_MSS, PATHS_MSS);
	check(leg->runs == 1 && leg->chunks <= 2000u * PATHS_MSS / CHUNK_BYTES + 1, "%u runs, %u chunks",
	    leg->runs, leg->chunks);
	paths_segment(&world, client, at, PATHS_MSS);
	client->nxt += 2000 * PATHS_MSS;
	paths_run(&world, SECOND / 10);
	check(client->got == at + 2000u * PATHS_MSS, "%" PRIu64 " bytes came of %u", client->got,
	    at + 2000u * PATHS_MSS);
}

static void all_is_whole(void)
{
	struct box box = {.shard = world.shard,
	    .pool_sent = world.config.sent_segments,
	    .pool_chunks = world.shard->chunk_count};
	const char *wrong = box_invariant(&box);

	check(wrong == NULL, "%s", wrong == NULL ? "" : wrong);
}

/* Others take all chunks that they may, each in pieces of `len` bytes behind a hole, and are strangers. */
static void strangers_take_chunks(unsigned strangers, uint32_t len)
{
	for (unsigned i = 0; i < strangers; i++) {
		struct paths_client *client = paths_client(&world, 1000, 1);
		for (uint32_t k = 0; 2 + k * (len == 1 ? 2 : len) + len <= 64240 && k < 90; k++)
			paths_segment(&world, client, 2 + k * (len == 1 ? 2 : len), len);
	}
}

/* What one of them had to give back its sender has still: once the hole is filled all of it comes. */
static void strangers_get_theirs(unsigned first, unsigned strangers)
{
	for (unsigned i = first; i < first + strangers; i++) {
		struct paths_client *client = &world.client[i];
		for (uint32_t at = 0; at < 60000; at += 1000)
			paths_segment(&world, client, at, 1000);
		check(client->got >= 60000, "stranger %u: %" PRIu64 " bytes of 60000 came", i, client->got);
	}
}

static void bystander_has_its_chunks(uint32_t len)
{
	const unsigned strangers = 60, behind = 30;
	const struct tcp_counters *c;

	start_with_memory(60 * 40 * CHUNK_BYTES); /* less than they may have */
	c = tcp_counters(world.shard);
	strangers_take_chunks(strangers, len);
	uint32_t all = world.shard->chunk_count;
	check(world.shard->unearned_chunks > all / 3, "a test that uses nothing up: %u chunks",
	    world.shard->unearned_chunks);
	check(world.shard->free_chunks >= all / 2,
	    "strangers left %u chunks of %u for windows that were earned", world.shard->free_chunks, all);
	all_is_whole();
	struct paths_client *other = paths_client(&world, 1000, 0);
	uint64_t dropped = c->reorder_dropped;
	for (uint32_t i = 1; i <= behind; i++)
		paths_segment(&world, other, i * 700, 700);
	check(c->reorder_dropped == dropped, "%" PRIu64 " of %u segments behind a lost one were dropped",
	    c->reorder_dropped - dropped, behind);
	paths_segment(&world, other, 0, 700);
	check(other->got == (behind + 1) * 700, "%" PRIu64 " bytes came", other->got);
	strangers_get_theirs(0, strangers);
	check(world.shard->unearned_chunks <= 4 * strangers, "%u chunks are not given back",
	    world.shard->unearned_chunks);
	all_is_whole();
}

static void strangers_with_holes(void)
{
	bystander_has_its_chunks(1);
}

static void strangers_with_segments(void)
{
	bystander_has_its_chunks(1428);
}

/* Twice as many as the other: the shares of those who want all are within a factor of two. */
static void chunks_are_shared(void)
{
	uint32_t least = NONE, most = 0;

	start_with_memory(20 * 40 * CHUNK_BYTES);
	for (unsigned i = 0; i < 40; i++)
		paths_client(&world, 1000, 0);
	for (uint32_t at = 2; at < 60000; at += 1000)
		for (unsigned i = 0; i < 40; i++)
			paths_segment(&world, &world.client[i], at + i, 1);
	for (unsigned i = 0; i < 40; i++) {
		uint32_t chunks = paths_leg(&world, &world.client[i])->chunks;
		least = chunks < least ? chunks : least;
		most = chunks > most ? chunks : most;
	}
	check(least >= 4 && most <= 2 * least + 1, "%u to %u chunks each", least, most);
	all_is_whole();
	check(world.shard->unearned_chunks == world.shard->chunk_count / 2, "%u chunks of %u in use",
	    world.shard->unearned_chunks, world.shard->chunk_count);
}

/* What was acknowledged nobody sends again. */
static void acknowledged_is_not_taken(void)
{
	start_with_memory(20 * 40 * CHUNK_BYTES);
	world.full[0] = true;
	for (unsigned i = 0; i < 4; i++) {
		paths_client(&world, 1000, 0);
		for (uint32_t at = 0; at < 60000; at += 1000)
			paths_segment(&world, &world.client[i], at, 1000);
		/* And something behind a hole, which may go. */
		if (i % 2 == 0)
			paths_segment(&world, &world.client[i], 61000, 100);
	}
	strangers_take_chunks(40, 1);
	check(tcp_counters(world.shard)->reorder_taken_back > 0, "a test that takes nothing");
	for (unsigned i = 4; i < 44; i++)
		check(paths_leg(&world, &world.client[i])->chunks > 1, "stranger %u has %u chunks", i,
		    paths_leg(&world, &world.client[i])->chunks);
	all_is_whole();
	world.full[0] = false;
	paths_run(&world, SECOND);
	for (unsigned i = 0; i < 4; i++) {
		paths_segment(&world, &world.client[i], 60000, 1000);
		paths_segment(&world, &world.client[i], 61000, 100);
		check(world.client[i].got == 61100, "%" PRIu64 " bytes of 61100 came", world.client[i].got);
	}
}

/* -- silent connections -- */

static void silent_connections(void)
{
	struct tcp_config config;

	paths_config(&config);
	config.flows = 10000;
	config.handshake_ms = 30000;
	paths_open(&world, &config);
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	const struct tcp_counters *c = tcp_counters(world.shard);
	for (uint32_t i = 0; i < 100000; i++) {
		paths_handshake(&world, i, false);
		world.now_us += 10;
	}
	check(c->flows == 10000, "%" PRIu64 " flows of 10000", c->flows);
	check(c->table_full == 90000, "%" PRIu64 " SYNs dropped and counted, expected 90000", c->table_full);
	paths_run(&world, 40 * SECOND);
	check(c->flows == 0, "%" PRIu64 " handshakes that nobody went on with are still there", c->flows);
	/* Established and silent: 10 each of the table are let in, and cost their entry. */
	for (uint32_t i = 0; i < 9000; i++)
		paths_handshake(&world, i, true);
	check(c->legs_established == 9000, "%" PRIu64 " of 9000 established", c->legs_established);
	check(c->receive_charged == 0 && c->receive_held == 0, "silent ones are charged");
	check(world.shard->free_chunks == world.shard->chunk_count, "silent ones have chunks");
	size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
	check(after == before, "%zu bytes more", after - before);
}

/* -- sending -- */

static void buffer_follows_long_path(void)
{
	start();
	struct paths_client *client = paths_client(&world, 50000, 0);
	client->writes = true;
	client->window = 4 * MB;
	check(client->slabs_told == 32, "%u slabs to begin with", client->slabs_told);
	paths_run(&world, 4 * SECOND);
	uint32_t before = client->rcv_nxt;
	paths_run(&world, SECOND);
	uint32_t rate = client->rcv_nxt - before;
	check(rate > 36 * MB, "%u bytes/s of 4 MB each 100 ms", rate);
	check(
	    client->slabs_told >= 512 && client->slabs_told <= 768, "%u slabs of 8 KiB", client->slabs_told);
	check(tcp_counters(world.shard)->send_grown > 0, "no growth was counted");
	/* It goes silent: retransmission finds cwnd small, and so is the allowance. */
	client->mute = true;
	paths_run(&world, 5 * SECOND);
	check(client->slabs_told < 100, "%u slabs for a peer that is gone", client->slabs_told);
	check(client->slabs_out <= 768, "%u slabs out", client->slabs_out);
	check(!client->reset, "what was out before is no foul");
	/* Some of it arrives at last. Never more may be out than it was ever told, and that much still: the
	 * word of less may not have come yet. */
	client->mute = client->writes = false;
	for (unsigned i = 0; i < 3000 && client->slabs_out == client->slabs_most; i++)
		paths_run(&world, SECOND / 100);
	uint32_t out = client->slabs_out;
	check(out > client->slabs_told && out < client->slabs_most, "%u slabs out, %u told, %u at most", out,
	    client->slabs_told, client->slabs_most);
	while (out < 4 * client->slabs_most && paths_put(&world, client))
		out++;
	check(out == client->slabs_most, "%u slabs out, it was told of %u", out, client->slabs_most);
	check(tcp_counters(world.shard)->worker_violations == 1, "a worker may put what it likes");
}

static void never_reading_peer(void)
{
	start();
	struct paths_client *deaf = paths_client(&world, 1000, 0), *other = paths_client(&world, 1000, 0);
	deaf->window = 0;
	deaf->writes = other->writes = true;
	paths_send(&world, deaf, 100);
	paths_run(&world, 5 * SECOND);
	check(deaf->slabs_out <= 32, "a peer that never reads holds %u slabs", deaf->slabs_out);
	check(other->rcv_nxt > 50 * MB, "the other got %u bytes", other->rcv_nxt);
}

/* Who has its segments cut small and acknowledges none of them takes records, not the others' turn. */
static void records_are_shared(void)
{
	const unsigned hogs = 16;

	start();
	for (unsigned i = 0; i < hogs; i++) {
		struct paths_client *hog = paths_client(&world, 1000, 0);
		struct tcp_leg *leg = paths_leg(&world, hog);
		leg->mss = MSS_MIN; /* as its SYN had said, and as if it had acknowledged much */
		leg->cwnd = 600000;
		hog->mute = hog->writes = true;
		paths_run(&world, SECOND / 20);
	}
	uint32_t spare = world.shard->sent_spare, all = world.config.sent_segments;
	check(spare < all / 5, "a test that uses nothing up: %u records spare", spare);
	check(spare > all / 8, "they left %u records of %u", spare, all);
	struct paths_client *other = paths_client(&world, 1000, 1);
	other->writes = true;
	paths_run(&world, SECOND / 20);
	uint32_t flight = paths_leg(&world, other)->snd_nxt - paths_leg(&world, other)->snd_una;
	check(flight > 100 * PATHS_MSS, "a window of %u bytes beside those that take all", flight);
	uint32_t before = other->rcv_nxt;
	paths_run(&world, SECOND / 10);
	check(other->rcv_nxt - before > 10 * MB, "%u bytes in a tenth of a second", other->rcv_nxt - before);
	check(paths_leg(&world, &world.client[0])->sent_count > all / 10, "the first has %u records of %u",
	    paths_leg(&world, &world.client[0])->sent_count, all);
}

/* -- workers -- */

static void workers_apart(void)
{
	uint64_t rate[PATHS_MAX];

	start_with_memory(13 * MB);
	for (unsigned i = 0; i < 8; i++)
		bulk(10000, MB / 2, (int)(i % 2));
	paths_run(&world, SECOND);
	world.full[1] = true;
	paths_run(&world, SECOND / 2);
	rates(SECOND, rate);
	for (unsigned i = 0; i < 8; i++)
		if (i % 2 == 0)
			check(rate[i] > 22 * MB, "client %u of the other worker gets %" PRIu64 " bytes/s", i,
			    rate[i]);
		else
			check(rate[i] == 0, "a worker without room got %" PRIu64, rate[i]);
	nothing_dropped();
	world.full[1] = false;
	paths_run(&world, SECOND / 2);
	rates(SECOND, rate);
	check(least_of(rate, 0, 8) > 22 * MB, "with room again: %" PRIu64, least_of(rate, 0, 8));
	nothing_dropped();
	/* The one dies: its flows are charged no more. */
	tcp_worker_lost(world.shard, 1, world.now_us);
	paths_run(&world, SECOND);
	for (unsigned i = 1; i < 8; i += 2)
		check(paths_leg(&world, &world.client[i])->charged == 0, "a lost worker's flow is charged");
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
    {"the window follows a long path", follows_long_path},
    {"and without timestamps", follows_without_timestamps},
    {"a slow start that is no burst", slow_start_is_not_held_up},
    {"a path that gets longer", longer_with_timestamps},
    {"a path that gets longer, without timestamps", longer_without_timestamps},
    {"what says nothing of the round trip", no_round_trips},
    {"a worker that reads seldom", read_seldom},
    {"up to the maximum", reaches_the_maximum},
    {"and no further than a slow start needs", follows_no_further},
    {"a short path needs no more", stays_small_on_short_path},
    {"what is not read is not more", not_for_the_unread},
    {"the peer's window scale bounds it", scale_bounds},
    {"chunks bound it", chunks_bound},
    {"scarce memory is shared, windows shrink, nothing is dropped", scarce_is_shared},
    {"workers that stall cost what was promised", stalled_cost_what_was_promised},
    {"long silent legs give their growth up", silent_give_up_their_growth},
    {"one byte at a time", one_byte_in_order},
    {"one byte and a hole", one_byte_holes_forwards},
    {"one byte and a hole, backwards", one_byte_holes_backwards},
    {"separate stretches are bounded", runs_are_bounded},
    {"a byte and a hole, of many strangers: another's loss has room", strangers_with_holes},
    {"segments and a hole, of many strangers: another's loss has room", strangers_with_segments},
    {"chunks are shared", chunks_are_shared},
    {"what is acknowledged is not taken back", acknowledged_is_not_taken},
    {"100,000 silent connections", silent_connections},
    {"the send buffer follows a long path, and back", buffer_follows_long_path},
    {"a peer that never reads", never_reading_peer},
    {"records of what was sent are shared", records_are_shared},
    {"two workers", workers_apart},
};

int main(int argc, char **argv)
{
	bool to_first = argc > 1 && strcmp(argv[1], "-1") == 0; /* ends with the first that fails */
	unsigned wrong = 0, run = 0;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases) && !(to_first && wrong > 0); i++) {
		if (argc > 1 && !to_first && strstr(cases[i].name, argv[1]) == NULL)
			continue;
		failed = false;
		cases[i].run();
		paths_close(&world);
		run++;
		wrong += failed;
		if (failed)
			printf("FAILED: %s\n", cases[i].name);
	}
	printf("memory: %u run, %u failed\n", run, wrong);
	return wrong > 0 || run == 0;
}
