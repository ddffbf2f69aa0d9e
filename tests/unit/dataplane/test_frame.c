/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/frame.h"
#include "tests/unit/dataplane/packets.h"

#define A4 "198.51.100.1"
#define B4 "198.51.100.2"
#define A6 "2001:db8::1"
#define B6 "2001:db8::2"

static struct frame parsed(const struct packet *p)
{
	struct frame f;

	frame_parse(&f, p->bytes, p->len);
	return f;
}

static void expect_kind(const char *what, const struct frame *f, enum frame_kind kind)
{
	cr_assert_eq(f->kind, kind, "%s: expected %s, got %s (%s)", what, frame_kind_name(kind),
	    frame_kind_name(f->kind), frame_malformation_text(f->malformation));
}

static void expect_bad(const char *what, const struct packet *p, enum frame_malformation why)
{
	struct frame f = parsed(p);

	cr_assert_eq(f.malformation, why, "%s: expected '%s', got '%s' (%s)", what,
	    frame_malformation_text(why), frame_malformation_text(f.malformation), frame_kind_name(f.kind));
	cr_assert_eq(f.kind == FRAME_MALFORMED, why != FRAME_BAD_NOTHING, "%s: kind %s", what,
	    frame_kind_name(f.kind));
}

static struct packet tcp4(
    uint32_t tags, uint32_t ip_options, uint32_t tcp_options, uint32_t payload, uint32_t padding)
{
	struct packet p;

	packet_ethernet(&p);
	for (uint32_t i = 0; i < tags; i++)
		packet_vlan(&p, i + 1 < tags ? 0x88a8 : 0x8100, (uint16_t)(100 + i));
	packet_ipv4(&p, A4, B4, ip_options);
	packet_tcp(&p, 50000, 22, TCP_ACK | TCP_PSH, tcp_options);
	packet_payload(&p, payload, 'x');
	packet_finish(&p, padding);
	return p;
}

Test(frame, tcp_over_ipv4)
{
	for (uint32_t tags = 0; tags <= 2; tags++) {
		for (uint32_t options = 0; options <= 40; options += 20) {
			struct packet p = tcp4(tags, options, options, 11, 7);
			struct frame f = parsed(&p);
			expect_kind("tcp4", &f, FRAME_TCP);
			cr_assert_eq(f.vlan_tags, tags);
			cr_assert(
			    tags == 0 || f.vlan[0] == 100, "outer tag: expected 100, got %u", f.vlan[0]);
			cr_assert(tags < 2 || f.vlan[1] == 101, "inner tag: expected 101, got %u", f.vlan[1]);
			cr_assert_eq(f.ether_type, 0x0800);
			cr_assert_eq(f.l2_len, 14 + 4 * tags);
			cr_assert_eq(f.family, 4);
			cr_assert_eq(f.protocol, 6);
			cr_assert_eq(f.l3_len, 20 + options);
			cr_assert_eq(f.ip_len, 20 + options + 20 + options + 11);
			cr_assert_eq(f.ttl, 64);
			cr_assert_eq(f.dscp_ecn, 0x10);
			cr_assert_eq(f.ip_options, options > 0);
			cr_assert_eq(f.sport, 50000);
			cr_assert_eq(f.dport, 22);
			cr_assert_eq(f.seq, 0x01020304);
			cr_assert_eq(f.ack, 0x05060708);
			cr_assert_eq(f.tcp_flags, TCP_ACK | TCP_PSH);
			cr_assert_eq(f.tcp_window, 4096);
			cr_assert_eq(f.tcp_header_len, 20 + options);
			cr_assert_eq(f.l4_offset, f.l2_len + f.l3_len);
			cr_assert_eq(f.payload_offset, f.l4_offset + f.tcp_header_len);
			cr_assert_eq(f.payload_len, 11);
			cr_assert(frame_checksum_ok(&f), "tags %u options %u", tags, options);
		}
	}
}

Test(frame, addresses)
{
	struct packet p = tcp4(0, 0, 0, 0, 6);
	struct frame f = parsed(&p);
	uint8_t a[16] = {0}, b[16] = {0};

	inet_pton(AF_INET, A4, a);
	inet_pton(AF_INET, B4, b);
	cr_assert_arr_eq(f.src, a, 16);
	cr_assert_arr_eq(f.dst, b, 16);

	packet_ethernet(&p);
	packet_ipv6(&p, A6, B6);
	packet_udp(&p, 1, 2);
	packet_finish(&p, 0);
	f = parsed(&p);
	inet_pton(AF_INET6, A6, a);
	inet_pton(AF_INET6, B6, b);
	cr_assert_arr_eq(f.src, a, 16);
	cr_assert_arr_eq(f.dst, b, 16);
}

Test(frame, ipv6_extension_headers)
{
	static const struct {
		const char *what;
		uint8_t chain[8];
		unsigned count;
	} table[] = {
	    {"none", {0}, 0},
	    {"hop-by-hop", {0}, 1},
	    {"destination", {60}, 1},
	    {"hop-by-hop, routing, destination", {0, 43, 60}, 3},
	    {"AH", {51}, 1},
	    {"mobility, HIP, shim6", {135, 139, 140}, 3},
	    {"eight", {0, 60, 60, 60, 60, 60, 60, 60}, 8},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (uint8_t units = 0; units <= 4; units += 2) {
			struct packet p;
			packet_ethernet(&p);
			packet_ipv6(&p, A6, B6);
			for (unsigned n = 0; n < table[i].count; n++)
				packet_extension(&p, table[i].chain[n], units);
			packet_tcp(&p, 1234, 22, TCP_SYN, 12);
			packet_payload(&p, 5, 'y');
			packet_finish(&p, 0);
			struct frame f = parsed(&p);
			expect_kind(table[i].what, &f, FRAME_TCP);
			cr_assert_eq(f.protocol, 6, "%s: protocol %u", table[i].what, f.protocol);
			cr_assert_eq(f.l3_len, 40 + table[i].count * (8u + units * 8u), "%s: l3_len %u",
			    table[i].what, f.l3_len);
			cr_assert_eq(f.dport, 22);
			cr_assert_eq(f.payload_len, 5);
			cr_assert_eq(f.ip_options, table[i].count > 0);
			cr_assert(frame_checksum_ok(&f), "%s: checksum", table[i].what);
		}
	}
}

Test(frame, too_many_extension_headers)
{
	struct packet p;

	packet_ethernet(&p);
	packet_ipv6(&p, A6, B6);
	for (unsigned n = 0; n < 9; n++)
		packet_extension(&p, 60, 0);
	packet_tcp(&p, 1, 2, TCP_SYN, 0);
	packet_finish(&p, 0);
	expect_bad("nine", &p, FRAME_BAD_EXTENSIONS);
}

Test(frame, upper_layers)
{
	static const struct {
		uint8_t family, protocol;
		enum frame_kind kind;
		uint16_t port;
	} table[] = {
	    {4, 47, FRAME_IP, 0},
	    {4, 50, FRAME_IP, 0},
	    {4, 58, FRAME_IP, 0},
	    {4, 132, FRAME_IP, 0x2121},
	    {4, 33, FRAME_IP, 0x2121},
	    {4, 136, FRAME_IP, 0x2121},
	    {6, 1, FRAME_IP, 0},
	    {6, 59, FRAME_IP, 0},
	    {6, 50, FRAME_IP, 0},
	    {6, 132, FRAME_IP, 0x2121},
	    {4, 1, FRAME_ICMP, 0},
	    {6, 58, FRAME_ICMP, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct packet p;
		packet_ethernet(&p);
		if (table[i].family == 4)
			packet_ipv4(&p, A4, B4, 0);
		else
			packet_ipv6(&p, A6, B6);
		packet_upper(&p, table[i].protocol);
		packet_payload(&p, 24, 0x21);
		packet_finish(&p, 0);
		struct frame f = parsed(&p);
		expect_kind("upper", &f, table[i].kind);
		cr_assert_eq(f.protocol, table[i].protocol);
		cr_assert_eq(f.dport, table[i].port, "protocol %u: expected port %u, got %u",
		    table[i].protocol, table[i].port, f.dport);
	}
}

Test(frame, not_ip)
{
	static const uint16_t types[] = {0x0806, 0x88cc, 0x0026, 0x8847, 0x8863, 0x8899};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct packet p;
		packet_ethernet(&p);
		packet_vlan(&p, 0x8100, 0xe000 | 7);
		packet_other(&p, types[i], 40, 0x45);
		struct frame f = parsed(&p);
		expect_kind("not ip", &f, FRAME_OTHER);
		cr_assert_eq(f.ether_type, types[i]);
		cr_assert_eq(f.vlan[0], 7, "priority bits are not the id: got %u", f.vlan[0]);
		cr_assert_not(frame_checksum_ok(&f));
	}
}

Test(frame, a_priority_is_no_vlan)
{
	struct packet p;

	packet_ethernet(&p);
	packet_vlan(&p, 0x88a8, 0xa000);
	packet_vlan(&p, 0x8100, 7);
	packet_other(&p, 0x88cc, 40, 0x45);
	struct frame f = parsed(&p);
	cr_assert_eq(f.vlan_tags, 1);
	cr_assert_eq(f.vlan[0], 7, "of the tags the one of a VLAN: got %u", f.vlan[0]);
	cr_assert_eq(f.l2_len, 14 + 2 * 4);
}

Test(frame, three_tags_are_not_looked_behind)
{
	struct packet p = tcp4(3, 0, 0, 0, 0);
	struct frame f = parsed(&p);

	expect_kind("three tags", &f, FRAME_OTHER);
	cr_assert_eq(f.vlan_tags, 2);
}

Test(frame, fragments_ipv4)
{
	static const struct {
		const char *what;
		uint16_t offset;
		bool more;
		uint32_t payload;
		enum frame_malformation bad;
		uint16_t dport;
	} table[] = {
	    {"first", 0, true, 64, FRAME_BAD_NOTHING, 0x2121},
	    {"middle", 64, true, 64, FRAME_BAD_NOTHING, 0},
	    {"last", 128, false, 3, FRAME_BAD_NOTHING, 0},
	    {"empty", 8, true, 0, FRAME_BAD_FRAGMENT, 0},
	    {"not in eights", 8, true, 65, FRAME_BAD_FRAGMENT, 0},
	    {"beyond 65535", 65528, false, 64, FRAME_BAD_FRAGMENT, 0},
	    {"up to 65535", 65528, false, 7, FRAME_BAD_NOTHING, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (int family = 4; family <= 6; family += 2) {
			struct packet p;
			packet_ethernet(&p);
			if (family == 4) {
				packet_ipv4(&p, A4, B4, 0);
				packet_ipv4_fragment(&p, 77, table[i].offset, table[i].more);
			} else {
				packet_ipv6(&p, A6, B6);
				packet_ipv6_fragment(&p, 77, table[i].offset, table[i].more);
			}
			packet_upper(&p, 17);
			packet_payload(&p, table[i].payload, 0x21);
			packet_finish(&p, 0);
			if (table[i].payload >= 8) { /* packet_finish took it for a UDP header */
				memset(p.bytes + p.l4 + 4, 0x21, 4);
			}
			expect_bad(table[i].what, &p, table[i].bad);
			struct frame f = parsed(&p);
			cr_assert_eq(f.protocol, 17);
			cr_assert_eq(f.fragment_id, 77);
			if (table[i].bad != FRAME_BAD_NOTHING)
				continue;
			expect_kind(table[i].what, &f, FRAME_FRAGMENT);
			cr_assert_eq(f.fragment_offset, table[i].offset);
			cr_assert_eq(f.fragment_more, table[i].more);
			cr_assert_eq(f.payload_len, table[i].payload);
			cr_assert_eq(f.dport, table[i].dport, "%s: port %u", table[i].what, f.dport);
		}
	}
}

Test(frame, atomic_fragment_is_whole)
{
	struct packet p;

	packet_ethernet(&p);
	packet_ipv6(&p, A6, B6);
	packet_ipv6_fragment(&p, 5, 0, false);
	packet_tcp(&p, 1, 22, TCP_SYN, 0);
	packet_finish(&p, 0);
	struct frame f = parsed(&p);
	expect_kind("atomic", &f, FRAME_TCP);
	cr_assert(frame_checksum_ok(&f));
}

/* The later fragment's next header may be an extension header: it is payload, not a header to walk. */
Test(frame, later_fragment_is_not_walked)
{
	struct packet p;

	packet_ethernet(&p);
	packet_ipv6(&p, A6, B6);
	packet_ipv6_fragment(&p, 5, 64, true);
	packet_upper(&p, 60);
	packet_payload(&p, 16, 0xff);
	packet_finish(&p, 0);
	struct frame f = parsed(&p);
	expect_kind("later", &f, FRAME_FRAGMENT);
	cr_assert_eq(f.protocol, 60);
}

/* What a frame cut to each length must be: `from` is the first length at which it is `kind`/`bad`. */
struct cut {
	uint32_t from;
	enum frame_kind kind;
	enum frame_malformation bad;
};

static void expect_cuts(const char *what, const struct packet *p, const struct cut *cuts, size_t count)
{
	for (uint32_t len = 0; len <= p->len; len++) {
		const struct cut *want = &cuts[0];
		for (size_t i = 0; i < count; i++)
			if (len >= cuts[i].from)
				want = &cuts[i];
		/* A heap copy of exactly this size: the address sanitizer sees a read beyond it. */
		uint8_t *copy = malloc(len > 0 ? len : 1);
		memcpy(copy, p->bytes, len);
		struct frame f;
		frame_parse(&f, copy, len);
		cr_assert(f.kind == want->kind && f.malformation == want->bad,
		    "%s cut to %u: expected %s (%s), got %s (%s)", what, len, frame_kind_name(want->kind),
		    frame_malformation_text(want->bad), frame_kind_name(f.kind),
		    frame_malformation_text(f.malformation));
		cr_assert_eq(f.len, len);
		(void)frame_checksum_ok(&f);
		free(copy);
	}
}

/* Cut on the wire: the lengths in the headers still claim the whole. */
Test(frame, cut_at_each_byte)
{
	struct packet p = tcp4(2, 4, 8, 5, 0);
	const struct cut tagged[] = {{0, FRAME_MALFORMED, FRAME_BAD_ETHERNET_SHORT},
	    {22, FRAME_MALFORMED, FRAME_BAD_IP_SHORT}, {42, FRAME_MALFORMED, FRAME_BAD_IP_LENGTH},
	    {p.len, FRAME_TCP, FRAME_BAD_NOTHING}};
	expect_cuts("tcp over IPv4 in QinQ", &p, tagged, 4);

	packet_ethernet(&p);
	packet_ipv6(&p, A6, B6);
	packet_extension(&p, 0, 1);
	packet_udp(&p, 53, 53);
	packet_finish(&p, 0);
	const struct cut six[] = {{0, FRAME_MALFORMED, FRAME_BAD_ETHERNET_SHORT},
	    {14, FRAME_MALFORMED, FRAME_BAD_IP_SHORT}, {54, FRAME_MALFORMED, FRAME_BAD_IP_LENGTH},
	    {p.len, FRAME_UDP, FRAME_BAD_NOTHING}};
	expect_cuts("udp over IPv6", &p, six, 4);
}

/* Cut by its own sender: the IP length agrees with what is there, the upper headers do not. */
static void cut_honestly(struct packet *p, uint32_t len)
{
	uint8_t *ip = p->bytes + p->l3;
	uint32_t claim = len - p->l3 - (p->family == 6 ? 40 : 0);

	p->len = len;
	ip[p->family == 6 ? 4 : 2] = (uint8_t)(claim >> 8);
	ip[p->family == 6 ? 5 : 3] = (uint8_t)claim;
}

Test(frame, cut_with_matching_ip_length)
{
	for (int family = 4; family <= 6; family += 2) {
		for (int upper = 0; upper < 3; upper++) {
			static const uint32_t whole[] = {32, 8, 4};
			static const enum frame_malformation why[] = {
			    FRAME_BAD_TCP_SHORT, FRAME_BAD_UDP_SHORT, FRAME_BAD_ICMP_SHORT};
			struct packet p;
			packet_ethernet(&p);
			if (family == 4)
				packet_ipv4(&p, A4, B4, 0);
			else
				packet_ipv6(&p, A6, B6);
			if (upper == 0)
				packet_tcp(&p, 9, 22, TCP_ACK, 12);
			else if (upper == 1)
				packet_udp(&p, 9, 22);
			else
				packet_icmp(&p, 8, 0);
			packet_finish(&p, 0);
			for (uint32_t len = p.l4; len < p.l4 + whole[upper]; len++) {
				struct packet cut = p;
				cut_honestly(&cut, len);
				expect_bad("cut", &cut,
				    upper == 0 && len >= p.l4 + 20 ? FRAME_BAD_TCP_HEADER_LENGTH
				                                   : why[upper]);
			}
		}
	}
}

Test(frame, cut_extension_headers)
{
	struct packet p;

	packet_ethernet(&p);
	packet_ipv6(&p, A6, B6);
	packet_extension(&p, 0, 0);
	packet_ipv6_fragment(&p, 1, 0, true);
	packet_extension(&p, 51, 2);
	packet_tcp(&p, 9, 22, TCP_ACK, 0);
	packet_payload(&p, 4, 0);
	packet_finish(&p, 0);
	for (uint32_t len = p.l3 + 40; len < p.l4; len++) {
		struct packet cut = p;
		cut_honestly(&cut, len);
		expect_bad("extension", &cut, FRAME_BAD_EXTENSIONS);
	}
}

Test(frame, lengths_that_lie)
{
	static const struct {
		const char *what;
		uint32_t at; /* offset into the IP header */
		uint8_t value;
		enum frame_malformation bad;
	} table[] = {
	    {"version 6 in an IPv4 frame", 0, 0x65, FRAME_BAD_IP_VERSION},
	    {"version 0", 0, 0x05, FRAME_BAD_IP_VERSION},
	    {"IHL 0", 0, 0x40, FRAME_BAD_IP_HEADER_LENGTH},
	    {"IHL 4", 0, 0x44, FRAME_BAD_IP_HEADER_LENGTH},
	    {"IHL beyond the datagram", 0, 0x4f, FRAME_BAD_IP_LENGTH},
	    {"total length 0", 3, 0, FRAME_BAD_IP_LENGTH},
	    {"total length under the header", 3, 19, FRAME_BAD_IP_LENGTH},
	    {"total length one too many", 3, 53, FRAME_BAD_IP_LENGTH},
	    {"total length 64 KB", 2, 0xff, FRAME_BAD_IP_LENGTH},
	    {"TCP data offset 0", 32, 0x00, FRAME_BAD_TCP_HEADER_LENGTH},
	    {"TCP data offset 4", 32, 0x40, FRAME_BAD_TCP_HEADER_LENGTH},
	    {"TCP data offset beyond the packet", 32, 0xf0, FRAME_BAD_TCP_HEADER_LENGTH},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct packet p = tcp4(0, 0, 0, 12, 0);
		p.bytes[p.l3 + table[i].at] = table[i].value;
		expect_bad(table[i].what, &p, table[i].bad);
	}
}

Test(frame, udp_lengths)
{
	static const struct {
		uint16_t length;
		enum frame_malformation bad;
	} table[] = {{0, FRAME_BAD_UDP_LENGTH}, {7, FRAME_BAD_UDP_LENGTH}, {8, FRAME_BAD_NOTHING},
	    {20, FRAME_BAD_NOTHING}, {21, FRAME_BAD_UDP_LENGTH}, {65535, FRAME_BAD_UDP_LENGTH}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct packet p;
		packet_ethernet(&p);
		packet_ipv4(&p, A4, B4, 0);
		packet_udp(&p, 1, 2);
		packet_payload(&p, 12, 0);
		packet_finish(&p, 30); /* padding must not count */
		p.bytes[p.l4 + 4] = (uint8_t)(table[i].length >> 8);
		p.bytes[p.l4 + 5] = (uint8_t)table[i].length;
		expect_bad("udp length", &p, table[i].bad);
	}
}

/* Any one byte of header or payload changed shows in a checksum; the padding does not. */
Test(frame, checksum_sees_each_byte)
{
	for (int family = 4; family <= 6; family += 2) {
		struct packet p;
		packet_ethernet(&p);
		if (family == 4)
			packet_ipv4(&p, A4, B4, 4);
		else
			packet_ipv6(&p, A6, B6);
		packet_tcp(&p, 9, 22, TCP_ACK, 0);
		packet_payload(&p, 7, 'z');
		uint32_t end = p.len;
		packet_finish(&p, 3);
		for (uint32_t i = p.l3; i < p.len; i++) {
			struct packet hurt = p;
			hurt.bytes[i] ^= 0x01;
			struct frame f = parsed(&hurt);
			if (f.kind != FRAME_TCP)
				continue; /* it changed what the frame is */
			/* IPv6 has no header checksum: traffic class, flow label and hop limit are not
			 * covered. */
			bool covered = family == 4 ? i < end : i < end && i >= p.l3 + 4 && i != p.l3 + 7;
			cr_assert_eq(frame_checksum_ok(&f), !covered, "IPv%d byte %u: checksum %s", family,
			    i - p.l3, covered ? "did not notice" : "should not care");
		}
	}
}

/* An ICMP error quoting a TCP segment, cut at each byte: the flow is named once its ports are there. */
Test(frame, quoted)
{
	for (int family = 4; family <= 6; family += 2) {
		struct packet inner, p;
		struct frame f, quoted;
		packet_ethernet(&inner);
		if (family == 4)
			packet_ipv4(&inner, B4, A4, 8);
		else
			packet_ipv6(&inner, B6, A6);
		packet_tcp(&inner, 22, 40000, TCP_ACK, 0);
		packet_finish(&inner, 0);
		uint32_t all = inner.len - inner.l3, ports = inner.l4 - inner.l3 + 4;
		for (uint32_t len = 0; len <= all; len++) {
			packet_ethernet(&p);
			if (family == 4)
				packet_ipv4(&p, A4, B4, 0);
			else
				packet_ipv6(&p, A6, B6);
			packet_icmp(&p, family == 4 ? 3 : 1, 1);
			uint32_t at = p.len;
			packet_payload(&p, len, 0);
			memcpy(p.bytes + at, inner.bytes + inner.l3, len);
			packet_finish(&p, 0);
			f = parsed(&p);
			bool got = frame_quoted(&f, &quoted);
			bool headers = len >= inner.l4 - inner.l3;
			cr_assert_eq(got, headers, "IPv%d, %u bytes quoted: got %d", family, len, got);
			if (!got)
				continue;
			cr_assert_eq(quoted.protocol, 6);
			cr_assert_eq(quoted.sport, len >= ports ? 22 : 0);
			cr_assert_eq(quoted.dport, len >= ports ? 40000 : 0);
			cr_assert_arr_eq(quoted.src, f.dst, 16);
		}
		p.bytes[p.l4] = family == 4 ? 8 : 128; /* an echo request quotes nothing */
		f = parsed(&p);
		cr_assert_not(frame_quoted(&f, &quoted));
	}
}

Test(frame, two_fragment_headers)
{
	struct packet p;

	packet_ethernet(&p);
	packet_ipv6(&p, A6, B6);
	packet_ipv6_fragment(&p, 1, 0, false);
	packet_ipv6_fragment(&p, 2, 0, false);
	packet_tcp(&p, 1, 22, TCP_SYN, 0);
	packet_finish(&p, 0);
	expect_bad("two", &p, FRAME_BAD_EXTENSIONS);
}

/* Headers behind a first fragment's header are its payload, but its ports are found behind them. */
Test(frame, first_fragment_with_options)
{
	struct packet p;

	packet_ethernet(&p);
	packet_ipv6(&p, A6, B6);
	packet_ipv6_fragment(&p, 1, 0, true);
	packet_extension(&p, 60, 0);
	packet_tcp(&p, 1, 22, TCP_SYN, 0);
	packet_payload(&p, 4, 0);
	packet_finish(&p, 0);
	struct frame f = parsed(&p);
	expect_kind("first fragment", &f, FRAME_FRAGMENT);
	cr_assert_eq(f.dport, 22);
	cr_assert_eq(f.protocol, 6);
	cr_assert_eq(f.l3_len, 48);
	cr_assert_eq(f.payload_offset, 14 + 48);
	cr_assert_eq(f.payload_len, 8 + 24);
}

Test(frame, names)
{
	cr_assert_str_eq(frame_kind_name(FRAME_FRAGMENT), "fragment");
	cr_assert_str_eq(frame_kind_name((enum frame_kind)99), "unknown");
	cr_assert_str_eq(frame_malformation_text(FRAME_BAD_NOTHING), "nothing");
	cr_assert_str_eq(frame_malformation_text(FRAME_MALFORMATION_COUNT), "unknown");
}

/* By the book (RFC 1071): 16-bit words, the last byte padded. */
static uint64_t sum_by_words(const uint8_t *at, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? at[i] : (uint64_t)at[i] << 8;
	return sum;
}

static uint64_t folded(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Short and long ranges are summed by different code, from any address. */
Test(frame, sum_of_any_length_and_place)
{
	static uint8_t bytes[4096];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i < 2048 ? 0xff : i * 7 + i / 13);
	for (size_t len = 0; len <= 1600; len++) {
		for (size_t from = 1200; from < 1208; from++) {
			uint64_t got = folded(frame_sum(0x1fffe, bytes + from, len));
			uint64_t expected = folded(0x1fffe + sum_by_words(bytes + from, len));
			cr_assert_eq(got, expected, "%zu bytes from %zu: expected %llx, got %llx", len, from,
			    (unsigned long long)expected, (unsigned long long)got);
		}
	}
}
