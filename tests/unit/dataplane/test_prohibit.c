/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/prohibit.h"
#include "tests/unit/dataplane/packets.h"

static uint16_t sum(uint32_t s, const uint8_t *at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		s += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
	while (s >> 16 != 0)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static void make(struct packet *p, int family, bool tagged, uint32_t payload)
{
	packet_ethernet(p);
	if (tagged)
		packet_vlan(p, 0x8100, 9);
	if (family == 4)
		packet_ipv4(p, "198.51.100.1", "198.51.100.2", 0);
	else
		packet_ipv6(p, "2001:db8::1", "2001:db8::2");
	packet_udp(p, 1000, 7);
	packet_payload(p, payload, 'q');
	packet_finish(p, 0);
}

static void expect_answer(int family, bool tagged, uint32_t payload)
{
	struct packet p;
	struct frame f, answer;
	uint8_t out[PROHIBIT_MAX];

	make(&p, family, tagged, payload);
	frame_parse(&f, p.bytes, p.len);
	uint32_t len = prohibit_answer(out, &f);
	cr_assert_gt(len, 0, "IPv%d tagged %d payload %u: no answer", family, tagged, payload);
	frame_parse(&answer, out, len);
	cr_assert_eq(answer.kind, FRAME_ICMP, "got %s (%s)", frame_kind_name(answer.kind),
	    frame_malformation_text(answer.malformation));
	cr_assert_arr_eq(out, p.bytes + 6, 6);
	cr_assert_arr_eq(out + 6, p.bytes, 6);
	cr_assert_eq(answer.vlan_tags, tagged);
	cr_assert_arr_eq(answer.src, f.dst, 16);
	cr_assert_arr_eq(answer.dst, f.src, 16);
	cr_assert_leq(answer.ip_len, family == 4 ? 576 : 1280);
	const uint8_t *icmp = out + answer.l4_offset;
	cr_assert_eq(icmp[0], family == 4 ? 3 : 1);
	cr_assert_eq(icmp[1], family == 4 ? 13 : 1);
	uint32_t icmp_len = answer.ip_len - answer.l3_len;
	cr_assert_arr_eq(icmp + 8, p.bytes + f.l2_len, icmp_len - 8);
	uint32_t pseudo = family == 4 ? 0 : icmp_len + 58u + sum(sum(0, f.src, 16), f.dst, 16);
	cr_assert_eq(sum(pseudo, icmp, icmp_len), 0xffff, "ICMP checksum");
	cr_assert(frame_checksum_ok(&answer), "IP checksum");
	struct frame quoted;
	cr_assert(frame_quoted(&answer, &quoted));
	cr_assert(quoted.protocol == 17 && quoted.sport == 1000 && quoted.dport == 7, "quoted ports %u %u",
	    quoted.sport, quoted.dport);
	cr_assert_arr_eq(quoted.src, f.src, 16);
}

Test(prohibit, answers)
{
	for (int family = 4; family <= 6; family += 2)
		for (int tagged = 0; tagged < 2; tagged++)
			for (uint32_t payload = 0; payload <= 1400; payload += 1400)
				expect_answer(family, tagged != 0, payload);
}

Test(prohibit, odd_length)
{
	expect_answer(4, false, 5);
	expect_answer(6, true, 5);
}

static void expect_silence(const char *what, const struct packet *p)
{
	struct frame f;
	uint8_t out[PROHIBIT_MAX];

	frame_parse(&f, p->bytes, p->len);
	cr_assert_eq(prohibit_answer(out, &f), 0, "%s is answered", what);
}

Test(prohibit, nobody_to_answer)
{
	static const char *const sources[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"};
	static const uint8_t errors[] = {3, 4, 5, 11, 12};
	struct packet p;

	for (int i = 0; i < 4; i++) {
		packet_ethernet(&p);
		packet_ipv4(&p, sources[i], "198.51.100.2", 0);
		packet_udp(&p, 1, 2);
		packet_finish(&p, 0);
		expect_silence(sources[i], &p);
	}
	for (int i = 0; i < 5; i++) {
		packet_ethernet(&p);
		packet_ipv4(&p, "198.51.100.1", "198.51.100.2", 0);
		packet_icmp(&p, errors[i], 0);
		packet_payload(&p, 28, 0);
		packet_finish(&p, 0);
		expect_silence("an ICMP error", &p);
	}
	make(&p, 4, false, 16);
	p.bytes[0] |= 1;
	expect_silence("a broadcast", &p);
	make(&p, 4, false, 16);
	packet_ipv4_fragment(&p, 1, 8, false);
	expect_silence("a later fragment", &p);
	make(&p, 6, false, 16);
	p.bytes[p.l3 + 24] = 0xff;
	expect_silence("IPv6 multicast", &p);
	make(&p, 4, false, 16);
	p.bytes[p.l3] = 0x41;
	expect_silence("malformed", &p);
}

Test(prohibit, an_echo_request_is_answered)
{
	struct packet p;
	struct frame f;
	uint8_t out[PROHIBIT_MAX];

	packet_ethernet(&p);
	packet_ipv4(&p, "198.51.100.1", "198.51.100.2", 0);
	packet_icmp(&p, 8, 0);
	packet_finish(&p, 0);
	frame_parse(&f, p.bytes, p.len);
	cr_assert_gt(prohibit_answer(out, &f), 0);
}
