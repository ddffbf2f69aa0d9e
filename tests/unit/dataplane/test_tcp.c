/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of dataplane/tcp/ that scenarios cannot turn every way: options, timers, the table, reassembly, RTT.
 */
#include "dataplane/tcp/flow.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* -- options -- */

Test(tcp_options, hostile_and_common)
{
	static const struct {
		const char *name;
		uint8_t bytes[40];
		uint32_t len;
		bool mss, wscale, sack, timestamps, authenticated;
		uint8_t shift, blocks;
	} T[] = {
	    {"none", {0}, 0, 0, 0, 0, 0, 0, 0, 0},
	    {"Linux SYN", {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7}, 20, 1, 1, 1, 1, 0,
	        7, 0},
	    {"scale over 14", {3, 3, 200, 0}, 4, 0, 1, 0, 0, 0, 14, 0},
	    {"length 0", {2, 0, 2, 4, 5, 180}, 6, 0, 0, 0, 0, 0, 0, 0},
	    {"length 1", {8, 1, 2, 4, 5, 180}, 6, 0, 0, 0, 0, 0, 0, 0},
	    {"beyond the end", {2, 4, 5}, 3, 0, 0, 0, 0, 0, 0, 0},
	    {"kind at the very end", {1, 1, 2}, 3, 0, 0, 0, 0, 0, 0, 0},
	    {"MSS of a wrong length", {2, 3, 5, 0}, 4, 0, 0, 0, 0, 0, 0, 0},
	    {"after the end", {0, 2, 4, 5, 180}, 5, 0, 0, 0, 0, 0, 0, 0},
	    {"MD5", {19, 18}, 18, 0, 0, 0, 0, 1, 0, 0},
	    {"AO", {29, 4, 1, 1}, 4, 0, 0, 0, 0, 1, 0, 0},
	    {"two SACK blocks", {5, 18}, 18, 0, 0, 0, 0, 0, 0, 2},
	    {"SACK of an odd length", {5, 17}, 17, 0, 0, 0, 0, 0, 0, 0},
	    {"five SACK blocks", {5, 42}, 40, 0, 0, 0, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(T) / sizeof(*T); i++) {
		struct tcp_options o;
		uint8_t *copy = malloc(T[i].len + 1); /* exact, so that ASan sees an overrun */
		memcpy(copy, T[i].bytes, T[i].len);
		options_parse(&o, copy, T[i].len);
		free(copy);
		cr_expect(o.mss_present == T[i].mss && o.wscale_present == T[i].wscale &&
		              o.sack_permitted == T[i].sack && o.timestamps == T[i].timestamps &&
		              o.authenticated == T[i].authenticated && o.wscale == T[i].shift &&
		              o.sack_count == T[i].blocks,
		    "%s: got mss %d wscale %d/%u sack %d ts %d auth %d blocks %u", T[i].name, o.mss_present,
		    o.wscale_present, o.wscale, o.sack_permitted, o.timestamps, o.authenticated,
		    o.sack_count);
	}
}

/* A SYN over IPv4 with these options and payload, its checksums right. */
static uint32_t syn(
    uint8_t *bytes, const uint8_t *options, uint32_t options_len, uint32_t payload, uint8_t flags)
{
	uint32_t tcp_len = 20 + options_len + payload, sum = 6 + tcp_len;

	memset(bytes, 0, 14 + 20 + tcp_len);
	bytes[12] = 8;
	uint8_t *ip = bytes + 14, *tcp = ip + 20;
	memcpy(ip,
	    (uint8_t[]){
	        0x45, 0, 0, (uint8_t)(20 + tcp_len), 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2},
	    20);
	memcpy(tcp, (uint8_t[]){0x9c, 0x40, 0, 22, 1, 2, 3, 4, 0, 0, 0, 0}, 12);
	tcp[12] = (uint8_t)((20 + options_len) / 4 << 4) | 1;
	tcp[13] = flags;
	tcp[14] = 0xfa;
	memcpy(tcp + 20, options, options_len);
	for (uint32_t i = 0; i < payload; i++)
		tcp[20 + options_len + i] = (uint8_t)(i * 7 + 1);
	for (uint32_t i = 0; i < tcp_len; i++)
		sum += i % 2 ? tcp[i] : (uint32_t)tcp[i] << 8;
	for (uint32_t i = 12; i < 20; i++)
		sum += i % 2 ? ip[i] : (uint32_t)ip[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	tcp[16] = (uint8_t)(~sum >> 8);
	tcp[17] = (uint8_t)~sum;
	sum = 0;
	for (uint32_t i = 0; i < 20; i++)
		sum += i % 2 ? ip[i] : (uint32_t)ip[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
	return 34 + tcp_len;
}

Test(tcp_options, what_stays_in_a_syn)
{
	static const struct {
		const char *name;
		uint8_t before[20], after[20];
	} T[] = {
	    {"all ours", {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7},
	        {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7}},
	    {"TFO cookie", {2, 4, 5, 180, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 4, 2},
	        {2, 4, 5, 180, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 2}},
	    {"MPTCP", {30, 12, 0, 129, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 5, 180},
	        {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 5, 180}},
	    {"an experiment", {254, 6, 0xe2, 0xd4, 0xc3, 0xd9, 4, 2}, {1, 1, 1, 1, 1, 1, 4, 2}},
	    {"length 0", {4, 2, 77, 0, 5, 5, 5, 5},
	        {4, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	    {"an MSS wider than our link", {2, 4, 35, 0, 4, 2}, {2, 4, 5, 180, 4, 2}},
	    {"at an odd place", {1, 2, 4, 5, 181, 4, 2}, {1, 2, 4, 5, 180, 4, 2}},
	    {"behind the end", {4, 2, 0, 34, 2, 9, 9, 9}, {4, 2}},
	};

	for (size_t i = 0; i < sizeof(T) / sizeof(*T); i++)
		for (uint32_t payload = 0; payload < 4; payload++) {
			uint8_t bytes[256];
			struct frame frame;
			uint32_t len = syn(bytes, T[i].before, 20, payload, TCP_SYN | TCP_ECE | TCP_CWR);
			frame_parse(&frame, bytes, len);
			cr_assert(
			    frame.kind == FRAME_TCP && frame_checksum_ok(&frame), "the test's own frame");
			cr_expect(options_edit_syn(&frame, bytes, 1460)); /* ECN at least */
			options_cut_payload(&frame, bytes, &len);
			cr_expect_eq(len, 34u + 40u, "%s: length %u", T[i].name, len);
			frame_parse(&frame, bytes, len);
			cr_expect(frame.kind == FRAME_TCP && frame_checksum_ok(&frame),
			    "%s, payload %u: checksum or lengths are wrong", T[i].name, payload);
			cr_expect_eq(frame.tcp_flags, TCP_SYN);
			cr_expect_eq(bytes[34 + 12] & 15, 0);
			cr_expect_eq(memcmp(bytes + 54, T[i].after, 20), 0, "%s: options differ", T[i].name);
		}
}

/* -- timers -- */

Test(tcp_timers, a_wheel_is_never_early_and_at_most_two_slots_late)
{
	static struct timer_wheel wheel;
	static struct timer node[500];
	uint64_t due[500], now = 12345678, fired = 0;

	srand(7);
	wheel_init(&wheel, now);
	for (unsigned i = 0; i < 500; i++) {
		due[i] = now + (uint64_t)rand() % (i < 400 ? 3000000 : 60000000);
		wheel_arm(&wheel, &node[i], due[i]);
	}
	for (unsigned i = 0; i < 100; i++) { /* put off, and brought forward */
		due[i] = i % 2 ? due[i] + 5000000 : now + (uint64_t)rand() % 1000000;
		wheel_arm(&wheel, &node[i], due[i]);
	}
	for (; now < 100000000; now += 1000) {
		struct timer *t;
		uint64_t next = wheel_next(&wheel);
		while ((t = wheel_expired(&wheel, now)) != NULL) {
			uint64_t at = due[t - node];
			cr_expect(now >= at && now <= at + 2 * WHEEL_SLOT_US, "due %lu, fired %lu", at, now);
			cr_expect(next <= now, "next said %lu", next);
			due[t - node] = 0;
			fired++;
		}
	}
	cr_expect_eq(fired, 500u);
	cr_expect_eq(wheel_next(&wheel), NEVER);
}

Test(tcp_timers, a_wheel_after_a_long_silence)
{
	static struct timer_wheel wheel;
	struct timer a = {0}, b = {0};

	wheel_init(&wheel, 0);
	wheel_arm(&wheel, &a, 1000);
	wheel_arm(&wheel, &b, 50000000);
	struct timer *first = wheel_expired(&wheel, 3600000000ull),
	             *second = wheel_expired(&wheel, 3600000000ull);
	cr_expect((first == &a && second == &b) || (first == &b && second == &a));
	cr_expect_eq(wheel_expired(&wheel, 3600000000ull), NULL);
}

Test(tcp_timers, lists_are_in_order)
{
	struct timer list, a = {0}, b = {0};

	timer_list_init(&list);
	cr_expect_eq(timer_list_next(&list), NEVER);
	timer_append(&list, &a, 10);
	timer_append(&list, &b, 20);
	timer_append(&list, &a, 30); /* again: to the end */
	cr_expect_eq(timer_list_next(&list), 20u);
	cr_expect_eq(timer_expired(&list, 19), NULL);
	cr_expect_eq(timer_expired(&list, 30), &b);
	timer_unlink(&a);
	timer_unlink(&a);
	cr_expect_eq(timer_expired(&list, 30), NULL);
}

/* -- the table -- */

static struct tcp_shard *open_shard(uint32_t flows)
{
	struct tcp_config config;
	struct tcp_hooks hooks = {0};

	tcp_config_defaults(&config);
	config.flows = flows;
	config.reorder_total = 256 * 1024;
	config.reorder_bytes = 64 * 1024;
	config.seed[0] = 1;
	return tcp_shard_create(&config, &hooks);
}

Test(tcp_table, both_orientations_are_one_flow)
{
	struct frame there = {
	    .family = 4, .src = {10, 0, 0, 1}, .dst = {10, 0, 0, 2}, .sport = 40000, .dport = 22};
	struct frame back = {
	    .family = 4, .src = {10, 0, 0, 2}, .dst = {10, 0, 0, 1}, .sport = 22, .dport = 40000};
	struct flow_key a, b;

	cr_expect(flow_key_of(&a, 0, &there));
	cr_expect_not(flow_key_of(&b, 0, &back));
	cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0);
	flow_key_of(&b, 1, &there);
	cr_expect_neq(memcmp(&a, &b, sizeof(a)), 0, "links are apart");
	there.vlan_tags = 1;
	there.vlan[0] = 5;
	flow_key_of(&b, 0, &there);
	cr_expect_neq(memcmp(&a, &b, sizeof(a)), 0, "VLANs are apart");
}

Test(tcp_table, full_and_empty_again)
{
	struct tcp_shard *shard = open_shard(100);
	struct tcp_flow *flow[100];
	struct flow_key key = {.family = 4};

	for (int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < 100; i++) {
			key.low_port = i;
			flow[i] = flow_new(shard, &key);
			cr_assert_not_null(flow[i]);
		}
		key.low_port = 1000;
		cr_expect_null(flow_new(shard, &key));
		for (uint16_t i = 0; i < 100; i++) {
			key.low_port = i;
			cr_expect_eq(flow_find(shard, &key), flow[i]);
		}
		for (uint16_t i = 0; i < 100; i++)
			flow_free(shard, flow[(i * 37 + round) % 100]);
		cr_expect_eq(tcp_counters(shard)->flows, 0u);
		cr_expect_null(flow_find(shard, &key));
	}
	tcp_shard_destroy(shard);
}

/* -- reassembly: against an array -- */

Test(tcp_reassembly, like_an_array)
{
	struct tcp_shard *shard = open_shard(2);
	static uint8_t have[20000], bytes[3000];
	struct tcp_leg leg = {.rcv_nxt = 0xfffff000, .chunk_head = NONE, .chunk_tail = NONE};

	srand(3);
	for (unsigned round = 0; round < 2000; round++) {
		uint32_t at = (uint32_t)rand() % 17000, len = 1 + (uint32_t)rand() % (round % 3 ? 100 : 3000);
		memset(bytes, (int)(round % 255) + 1, len);
		if (!chunks_insert(shard, &leg, leg.rcv_nxt + at, bytes, len)) {
			chunks_release(shard, &leg);
			memset(have, 0, sizeof(have));
			continue;
		}
		for (uint32_t i = at; i < at + len; i++)
			have[i] = have[i] ? have[i] : (uint8_t)(round % 255 + 1); /* what came first stays */
		uint32_t end = 0, i = leg.chunk_head, expected_end = 0;
		for (; i != NONE; i = shard->chunks[i].next) {
			uint32_t from = shard->chunks[i].seq - leg.rcv_nxt;
			cr_assert(from >= end, "overlap at %u", from);
			for (uint32_t k = end; k < from; k++)
				cr_assert_eq(have[k], 0, "byte %u is missing", k);
			cr_assert_eq(memcmp(have + from, shard->chunks[i].data, shard->chunks[i].len), 0,
			    "bytes at %u", from);
			end = from + shard->chunks[i].len;
		}
		while (have[expected_end] != 0)
			expected_end++;
		cr_assert_eq(chunks_contiguous(shard, &leg, leg.rcv_nxt) - leg.rcv_nxt, expected_end);
	}
	chunks_release(shard, &leg);
	cr_expect_eq(leg.chunks, 0u);
	tcp_shard_destroy(shard);
}

/* -- RTT (RFC 6298) -- */

Test(tcp_rtt, floor_and_variance)
{
	struct tcp_leg leg = {.rto_us = RTO_INITIAL_US};

	rtt_sample(&leg, 10000);
	cr_expect_eq(leg.rto_us, RTO_MIN_US);
	rtt_sample(&leg, 2000000);
	cr_expect(leg.rto_us > 1000000 && leg.rto_us < 4000000, "RTO %u", leg.rto_us);
	for (unsigned i = 0; i < 100; i++)
		rtt_sample(&leg, 300000);
	cr_expect(leg.rto_us >= 300000 && leg.rto_us < 320000, "RTO %u", leg.rto_us);
	rtt_sample(&leg, UINT32_MAX / 2);
	cr_expect(leg.rto_us <= RTO_MAX_US);
}
