/* SPDX-License-Identifier: Apache-2.0 */
/* The scoreboard and its index against plain walks along the list. */
#include "dataplane/tcp/flow.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { RECORDS = 40000, MANY = 3000, LEN = 100, STEPS = 20000, DEPTH_MOST = 60 };

static struct sent_segment records[RECORDS];
static struct tcp_shard shard;
static struct tcp_leg leg;

static void begin(void)
{
	shard = (struct tcp_shard){.sent = records, .sent_spare = RECORDS, .config.seed = {7, 11}};
	for (uint32_t i = 0; i < RECORDS; i++)
		records[i].next = i + 1 < RECORDS ? i + 1 : NONE;
	/* The numbers wrap on the way. */
	leg = (struct tcp_leg){.flags = LEG_SACK, .mss = LEN, .snd_una = UINT32_MAX - 500 * LEN};
	leg.snd_nxt = leg.snd_una;
	sent_begin(&leg);
}

static void send_one(uint64_t now_us)
{
	if (sent_append(&shard, &leg, leg.snd_nxt, LEN, 0, now_us) != NULL)
		leg.snd_nxt += LEN;
}

static void send_many(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		send_one(1000 + i);
}

/* The record at `place` of the list. */
static uint32_t at(unsigned place)
{
	uint32_t i = leg.sent_head;

	while (place-- > 0)
		i = records[i].next;
	return i;
}

static void sack(uint32_t start, uint32_t end, uint64_t now_us)
{
	struct tcp_options options = {.sack_count = 1, .sack = {{start, end}}};
	struct ack ack = {.now_us = now_us, .number = leg.snd_una};

	sent_sacked(&shard, &leg, &options, &ack);
}

static void acknowledge(uint32_t number)
{
	struct ack ack = {.now_us = 1000000, .number = number};

	sent_acked(&shard, &leg, &ack);
	leg.snd_una = number;
}

static void index_is_the_list(void)
{
	uint32_t seq = leg.snd_una + (uint32_t)rand() % (leg.snd_nxt - leg.snd_una + 10), before = NONE;
	uint32_t lost = NONE, i = leg.sent_head, found;

	for (; i != NONE && SEQ_LT(records[i].seq, seq); i = records[i].next)
		before = i;
	uint32_t walked = i;
	for (i = leg.sent_head; i != NONE && lost == NONE; i = records[i].next)
		lost = records[i].flags & SENT_LOST ? i : NONE;
	cr_assert_eq(sent_index_from(&shard, &leg, seq, &found), walked);
	cr_assert_eq(found, before);
	cr_assert_eq(sent_first_lost(&shard, &leg), lost);
}

Test(sent_index, as_the_list_whatever_happens)
{
	begin();
	srand(1);
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t out = leg.snd_nxt - leg.snd_una, start = leg.snd_una;
		switch (rand() % 8) {
		case 0: /* anything is SACKed */
			start += out > 0 ? (uint32_t)rand() % out / LEN * LEN : 0;
			sack(start, start + (1 + (uint32_t)rand() % 5) * LEN, 1000000);
			break;
		case 1: /* in pieces */
			if (out > 0) {
				uint32_t before, i = sent_index_from(
				                     &shard, &leg, start + (uint32_t)rand() % out, &before);
				if (i != NONE && records[i].len > 1 && !(records[i].flags & SENT_SACKED))
					sent_split(&shard, &leg, &records[i], records[i].len / 2);
			}
			break;
		case 2: /* the lost ones are sent again, half of the time */
			for (uint32_t i; rand() % 2 && (i = sent_first_lost(&shard, &leg)) != NONE;)
				sent_again(&shard, &leg, &records[i], 1000 + step);
			break;
		case 3:
			if (rand() % 20 == 0)
				sent_timed_out(&shard, &leg, 1000 + step);
			else if (rand() % 20 == 0)
				sent_none_lost(&shard, &leg);
			break;
		case 4:
			if (out > 0 && rand() % 4 == 0)
				acknowledge(leg.snd_una + (uint32_t)rand() % (out / 4 + 1));
			break;
		default:
			send_one(1000 + step);
		}
		index_is_the_list();
	}
	acknowledge(leg.snd_nxt);
	cr_assert_eq(leg.sent_root, NONE);
	cr_assert_eq(shard.sent_spare, RECORDS);
}

static unsigned depth(uint32_t root)
{
	if (root == NONE)
		return 0;
	unsigned left = depth(records[root].left), right = depth(records[root].right);
	return 1 + (left > right ? left : right);
}

Test(sent_index, is_no_list)
{
	begin();
	send_many(MANY);
	cr_assert_eq(leg.sent_count, MANY);
	cr_assert_leq(depth(leg.sent_root), DEPTH_MOST, "%u deep", depth(leg.sent_root));
	sent_larger_lost(&shard, &leg, 0);
	/* One in three is gone: what is left is no deeper. */
	for (uint32_t place = 0; place < MANY; place += 3)
		sack(leg.snd_una + place * LEN, leg.snd_una + (place + 2) * LEN, 1000000);
	cr_assert_leq(depth(leg.sent_root), DEPTH_MOST, "%u deep", depth(leg.sent_root));
}

static void flight_in_order_of_time(unsigned expected)
{
	unsigned n = 0;

	for (uint32_t i = leg.flight_oldest, older = NONE; i != NONE; older = i, i = records[i].newer, n++) {
		cr_assert_eq(records[i].older, older);
		cr_assert(older == NONE || records[older].sent_us <= records[i].sent_us);
		cr_assert(records[i].newer != NONE || leg.flight_newest == i);
	}
	cr_assert_eq(n, expected);
}

/* Every second one was sent again; all is lost; and it was a mistake. */
Test(sent, an_undone_loss_is_in_order_of_time)
{
	begin();
	send_many(100);
	for (unsigned i = 1; i < 100; i += 2)
		sent_again(&shard, &leg, &records[at(i)], 5000 - i);
	sent_larger_lost(&shard, &leg, 0);
	cr_assert_eq(leg.lost_bytes, 100 * LEN);
	send_many(10);
	sent_none_lost(&shard, &leg);
	cr_assert_eq(leg.lost_bytes, 0);
	flight_in_order_of_time(110);
}

/* However much is lost at once, an ACK does a bounded part of it, and the timer or the next ACK goes on. */
Test(sent, much_is_lost_a_part_at_a_time)
{
	const uint64_t now_us = 1000000;
	unsigned calls = 0;

	begin();
	send_many(1000);
	leg.srtt_us = leg.min_rtt_us = 1000;
	sack(leg.snd_nxt - LEN, leg.snd_nxt, now_us);
	for (uint32_t before = 0; leg.lost_bytes < 999 * LEN; before = leg.lost_bytes, calls++) {
		uint32_t lost = sent_detect_losses(&shard, &leg, now_us + 1000000);
		cr_assert_eq(lost, leg.lost_bytes - before);
		cr_assert(lost > 0 && lost <= 100 * LEN);
		cr_assert(leg.lost_bytes == 999 * LEN || leg.reorder_due == now_us + 1000000);
	}
	cr_assert_gt(calls, 9);
}
