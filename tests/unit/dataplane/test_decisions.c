/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dataplane/decisions.h"
#include "dataplane/glance.h"
#include "tests/unit/dataplane/packets.h"

static const uint64_t secret[2] = {0x123456789abcdef1, 0xfedcba9876543211};

static struct frame flow(uint8_t family, uint32_t n, bool answer)
{
	struct frame f = {.family = family, .kind = FRAME_TCP, .protocol = 6, .vlan_tags = 1, .vlan = {5}};
	uint8_t *client = answer ? f.dst : f.src, *server = answer ? f.src : f.dst;

	client[0] = 10;
	client[2] = (uint8_t)(n >> 8);
	client[3] = (uint8_t)n;
	server[0] = 9;
	server[family == 6 ? 15 : 3] = 1;
	*(answer ? &f.dport : &f.sport) = (uint16_t)(40000 + n);
	*(answer ? &f.sport : &f.dport) = 22;
	return f;
}

Test(decisions, both_directions_have_one_key)
{
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct frame there = flow(family, 1, false), back = flow(family, 1, true);
		struct decision_key a, b;
		decision_key(&a, 3, &there);
		decision_key(&b, 3, &back);
		size_t words = family == 4 ? DECISION_WORDS4 : DECISION_WORDS6;
		cr_assert_arr_eq(a.word, b.word, words * sizeof(uint64_t), "IPv%u", family);
		cr_assert_neq(a.low_sent, b.low_sent);
	}
}

/* Every part of a flow's name makes another flow. */
Test(decisions, each_field_counts)
{
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct frame base = flow(family, 1, false);
		struct decision_key k0, k;
		size_t bytes = (family == 4 ? DECISION_WORDS4 : DECISION_WORDS6) * sizeof(uint64_t);
		decision_key(&k0, 0, &base);
		for (int field = 0; field < 7; field++) {
			struct frame f = base;
			uint8_t link = 0;
			switch (field) {
			case 0:
				f.src[3] ^= 1;
				break;
			case 1:
				f.dst[family == 6 ? 14 : 2] ^= 1;
				break;
			case 2:
				f.sport ^= 1;
				break;
			case 3:
				f.dport ^= 1;
				break;
			case 4:
				f.protocol = 17;
				break;
			case 5:
				f.vlan[0] ^= 1;
				break;
			default:
				link = 1;
			}
			decision_key(&k, link, &f);
			cr_assert(memcmp(k.word, k0.word, bytes) != 0, "IPv%u field %d does not count",
			    family, field);
		}
	}
}

Test(decisions, put_find_replace_expire)
{
	struct decisions table;

	cr_assert_eq(decisions_open(&table, 64, 64, secret), 0);
	for (uint8_t family = 4; family <= 6; family += 2) {
		uint32_t found = 0;
		for (uint32_t n = 0; n < 1000; n++) {
			struct frame f = flow(family, n, false);
			struct decision_key key;
			struct decision d = {
			    .rule = n, .seen_s = n, .verdict = DECISION_PASS, .flags = DECISION_TCP};
			decision_key(&key, 0, &f);
			cr_assert_eq(decisions_find(&table, family, &key, n).verdict, DECISION_NONE);
			decisions_put(&table, family, &key, &d);
			cr_assert_eq(decisions_find(&table, family, &key, n).rule, n, "just put");
			cr_assert_eq(
			    decisions_find(&table, family, &key, n + DECISION_TCP_IDLE_S + 1).verdict,
			    DECISION_NONE, "idle");
		}
		for (uint32_t n = 0; n < 1000; n++) {
			struct frame f = flow(family, n, false);
			struct decision_key key;
			decision_key(&key, 0, &f);
			struct decision d = decisions_find(&table, family, &key, 1000);
			found += d.verdict != DECISION_NONE;
			cr_assert(d.verdict == DECISION_NONE || d.rule == n, "flow %u has the decision of %u",
			    n, d.rule);
		}
		cr_assert(found > 32 && found <= 64, "IPv%u: %u of 64 entries in use", family, found);
	}
	cr_assert_leq(table.entries, 128);
	cr_assert_eq(table.entries + table.replaced, 2000);
	decisions_close(&table);
}

Test(decisions, other_than_tcp_is_forgotten_sooner)
{
	const struct decision udp = {.seen_s = 100, .verdict = DECISION_PASS};
	const struct decision tcp = {.seen_s = 100, .verdict = DECISION_PASS, .flags = DECISION_TCP};

	cr_assert_not(decision_idle(&udp, 100 + DECISION_IDLE_S));
	cr_assert(decision_idle(&udp, 101 + DECISION_IDLE_S));
	cr_assert_not(decision_idle(&tcp, 101 + DECISION_IDLE_S));
	cr_assert(decision_idle(&tcp, 101 + DECISION_TCP_IDLE_S));
}

/* -- glance says what frame_parse says ------------------------------------------------------------- */

static void expect_agreement(const uint8_t *bytes, uint32_t len, unsigned *taken)
{
	struct glance g;
	struct frame f;
	struct decision_key key;

	if (!glance4(&g, bytes, len, 2))
		return;
	++*taken;
	frame_parse(&f, bytes, len);
	cr_assert(f.kind == FRAME_TCP || f.kind == FRAME_UDP, "glance takes a %s frame (%s)",
	    frame_kind_name(f.kind), frame_malformation_text(f.malformation));
	cr_assert(f.kind != FRAME_TCP || (f.tcp_flags & TCP_SYN) == 0, "a SYN is not for the fast path");
	decision_key(&key, 2, &f);
	cr_assert(g.low == key.word[0] && g.high == key.word[1] && g.low_sent == key.low_sent, "another key");
}

Test(glance, agrees_with_frame_parse)
{
	unsigned taken = 0, tried = 0;

	for (int shape = 0; shape < 8; shape++) {
		struct packet p;
		packet_ethernet(&p);
		if ((shape & 1) != 0)
			packet_vlan(&p, 0x8100, 100);
		packet_ipv4(&p, "198.51.100.200", "198.51.100.2", 0);
		if ((shape & 2) != 0)
			packet_udp(&p, 5353, 53);
		else
			packet_tcp(&p, 50000, 443, TCP_ACK, (shape & 4) != 0 ? 12 : 0);
		packet_payload(&p, 6, 0x55);
		packet_finish(&p, 4);
		expect_agreement(p.bytes, p.len, &taken);
		/* Every header byte through all its values, and cut at each length. */
		for (uint32_t at = 12; at < p.len; at++) {
			for (unsigned value = 0; value < 256; value++, tried++) {
				struct packet q = p;
				q.bytes[at] = (uint8_t)value;
				expect_agreement(q.bytes, q.len, &taken);
			}
		}
		for (uint32_t len = 0; len <= p.len; len++) {
			uint8_t *copy = malloc(len > 0 ? len : 1);
			memcpy(copy, p.bytes, len);
			expect_agreement(copy, len, &taken);
			free(copy);
		}
	}
	cr_assert(taken > tried / 4, "glance takes only %u of %u", taken, tried);
}
