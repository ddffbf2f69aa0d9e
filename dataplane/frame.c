/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One walk over a frame: Ethernet, up to two VLAN tags, IPv4 or IPv6, then TCP, UDP or ICMP.
 *
 * Every byte may be hostile. The cursor hands out one header at a time, whole or not at all, and a header's
 * fields are read only from such a span. Once the IP length is known the cursor is cut to it: what follows is
 * Ethernet padding and says nothing.
 */
#include "dataplane/frame.h"

#include <arpa/inet.h>
#include <string.h>

#include "config/wire/wire.h"

#define ETHERNET_LEN 14
#define VLAN_TAG_LEN 4
#define IPV4_LEN 20
#define IPV6_LEN 40
#define TCP_LEN 20
#define UDP_LEN 8
#define ICMP_LEN 4
#define FRAGMENT_END_MAX 65535u /* the largest datagram that fragments may add up to (RFC 791 3.2) */
/* RFC 8504 section 5.3 lets a node limit the chain; nothing legitimate comes near. */
#define EXTENSION_HEADERS_MAX 8

enum {
	ETHER_IPV4 = 0x0800,
	ETHER_IPV6 = 0x86dd,
	ETHER_VLAN = 0x8100,
	ETHER_QINQ = 0x88a8,
	ETHER_QINQ_OLD = 0x9100
};

enum {
	PROTO_HOP_BY_HOP = 0,
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_DCCP = 33,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_ICMPV6 = 58,
	PROTO_DESTINATION = 60,
	PROTO_SCTP = 132,
	PROTO_MOBILITY = 135,
	PROTO_UDP_LITE = 136,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

enum { ICMP_UNREACHABLE = 3, ICMP_FRAGMENTATION_NEEDED = 4, ICMP6_PACKET_TOO_BIG = 2 };

static uint16_t be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)be16(at) << 16 | be16(at + 2);
}

static void malformed(struct frame *f, enum frame_malformation why)
{
	f->kind = FRAME_MALFORMED;
	f->malformation = why;
}

static void read_tcp(struct frame *f, struct wire *w)
{
	size_t there = wire_left(w);
	struct wire_span h = wire_bytes(w, TCP_LEN);

	if (h.len == 0) {
		malformed(f, FRAME_BAD_TCP_SHORT);
		return;
	}
	f->sport = be16(h.at);
	f->dport = be16(h.at + 2);
	f->seq = be32(h.at + 4);
	f->ack = be32(h.at + 8);
	f->tcp_header_len = (uint16_t)((h.at[12] >> 4) * 4);
	f->tcp_flags = h.at[13];
	f->tcp_window = be16(h.at + 14);
	f->tcp_urgent = be16(h.at + 18);
	if (f->tcp_header_len < TCP_LEN || f->tcp_header_len > there) {
		malformed(f, FRAME_BAD_TCP_HEADER_LENGTH);
		return;
	}
	f->payload_offset = (uint16_t)(f->l4_offset + f->tcp_header_len);
	f->payload_len = (uint32_t)(there - f->tcp_header_len);
	f->kind = FRAME_TCP;
}

static void read_udp(struct frame *f, struct wire *w)
{
	size_t there = wire_left(w);
	struct wire_span h = wire_bytes(w, UDP_LEN);

	if (h.len == 0) {
		malformed(f, FRAME_BAD_UDP_SHORT);
		return;
	}
	f->sport = be16(h.at);
	f->dport = be16(h.at + 2);
	/* Shorter than the IP payload is legal (RFC 9868: options in the surplus), longer is not. */
	uint16_t length = be16(h.at + 4);
	if (length < UDP_LEN || length > there) {
		malformed(f, FRAME_BAD_UDP_LENGTH);
		return;
	}
	f->payload_offset = (uint16_t)(f->l4_offset + UDP_LEN);
	f->payload_len = (uint32_t)(there - UDP_LEN);
	f->kind = FRAME_UDP;
}

static void read_icmp(struct frame *f, struct wire *w)
{
	if (wire_bytes(w, ICMP_LEN).len == 0) {
		malformed(f, FRAME_BAD_ICMP_SHORT);
		return;
	}
	f->payload_offset = (uint16_t)(f->l4_offset + ICMP_LEN);
	f->payload_len = (uint32_t)wire_left(w);
	f->kind = FRAME_ICMP;
}

/* The first four bytes of TCP, UDP, SCTP, DCCP and UDP-Lite alike: the ports. */
static void read_ports(struct frame *f, struct wire *w)
{
	struct wire_span ports = wire_bytes(w, 4);

	if (ports.len > 0) {
		f->sport = be16(ports.at);
		f->dport = be16(ports.at + 2);
	}
}

static bool has_ports(uint8_t protocol)
{
	return protocol == PROTO_TCP || protocol == PROTO_UDP || protocol == PROTO_SCTP ||
	       protocol == PROTO_DCCP || protocol == PROTO_UDP_LITE;
}

static void read_upper(struct frame *f, struct wire *w)
{
	f->l4_offset = (uint16_t)(f->l2_len + f->l3_len);
	if (f->protocol == PROTO_TCP) {
		read_tcp(f, w);
	} else if (f->protocol == PROTO_UDP) {
		read_udp(f, w);
	} else if (f->protocol == (f->family == 4 ? PROTO_ICMP : PROTO_ICMPV6)) {
		read_icmp(f, w);
	} else {
		f->kind = FRAME_IP;
		if (has_ports(f->protocol))
			read_ports(f, w);
	}
}

/*
 * A fragment's payload is its share of the fragmentable part: what follows the first `header` bytes of the IP
 * packet. A first fragment shows its ports, so that a rule that blocks a port stops the whole datagram:
 * without its first fragment it is never reassembled (RFC 1858).
 */
static void read_fragment(struct frame *f, struct wire *w, uint16_t header)
{
	uint32_t length = f->ip_len - header;

	f->kind = FRAME_FRAGMENT;
	f->l4_offset = (uint16_t)(f->l2_len + f->l3_len);
	f->l3_len = header;
	f->payload_offset = (uint16_t)(f->l2_len + header);
	f->payload_len = length;
	if (length == 0 || f->fragment_offset + length > FRAGMENT_END_MAX ||
	    (f->fragment_more && length % 8 != 0))
		malformed(f, FRAME_BAD_FRAGMENT);
	else if (f->fragment_offset == 0 && has_ports(f->protocol))
		read_ports(f, w);
}

/* Cuts the cursor to the `length` bytes that the IP header claims. False where the frame does not hold them.
 */
static bool cut_to(struct wire *w, size_t length)
{
	if (length > wire_left(w))
		return false;
	w->end = w->at + length;
	return true;
}

static void read_ipv4(struct frame *f, struct wire *w)
{
	struct wire_span h = wire_bytes(w, IPV4_LEN);

	if (h.len == 0) {
		malformed(f, FRAME_BAD_IP_SHORT);
		return;
	}
	unsigned header = (h.at[0] & 0x0f) * 4u;
	if (h.at[0] >> 4 != 4) {
		malformed(f, FRAME_BAD_IP_VERSION);
		return;
	}
	if (header < IPV4_LEN) {
		malformed(f, FRAME_BAD_IP_HEADER_LENGTH);
		return;
	}
	f->family = 4;
	f->l3_len = (uint16_t)header;
	f->ip_len = be16(h.at + 2);
	f->dscp_ecn = h.at[1];
	f->ttl = h.at[8];
	f->protocol = h.at[9];
	f->ip_options = header > IPV4_LEN;
	memcpy(f->src, h.at + 12, 4);
	memcpy(f->dst, h.at + 16, 4);
	f->fragment_id = be16(h.at + 4);
	f->fragment_next = f->protocol;
	f->fragment_more = (h.at[6] & 0x20) != 0;
	f->fragment_offset = (uint16_t)((be16(h.at + 6) & 0x1fff) * 8);
	if (f->ip_len < header || !cut_to(w, f->ip_len - IPV4_LEN)) {
		malformed(f, FRAME_BAD_IP_LENGTH);
		return;
	}
	wire_skip(w, header - IPV4_LEN);
	if (f->fragment_more || f->fragment_offset > 0)
		read_fragment(f, w, f->l3_len);
	else
		read_upper(f, w);
}

static bool is_extension(uint8_t protocol)
{
	switch (protocol) {
	case PROTO_HOP_BY_HOP:
	case PROTO_ROUTING:
	case PROTO_FRAGMENT:
	case PROTO_AH:
	case PROTO_DESTINATION:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Walks one extension header (RFC 8200 section 4; AH counts in 4-byte units: RFC 4302 2.2). */
static bool skip_extension(struct frame *f, struct wire *w)
{
	struct wire_span h = wire_bytes(w, 8);

	if (h.len == 0)
		return false;
	size_t length = f->protocol == PROTO_AH ? (h.at[1] + 2u) * 4u : (h.at[1] + 1u) * 8u;
	if (f->protocol == PROTO_FRAGMENT) {
		length = 8;
		f->fragment_offset = be16(h.at + 2) & 0xfff8;
		f->fragment_more = (h.at[3] & 1) != 0;
		f->fragment_id = be32(h.at + 4);
		f->fragment_next = h.at[0];
	}
	if (length > 8)
		wire_skip(w, length - 8);
	f->protocol = h.at[0];
	f->l3_len = (uint16_t)(f->l3_len + length);
	return !w->failed;
}

/*
 * Leaves the cursor behind the last header before the upper layer, or behind a later fragment's header.
 * *fragmentable: length of the IP packet up to and with the fragment header; 0 without one. Two of them in
 * one packet are nobody's honest work.
 */
static bool skip_extensions(struct frame *f, struct wire *w, uint16_t *fragmentable)
{
	*fragmentable = 0;
	for (unsigned n = 0; is_extension(f->protocol); n++) {
		bool fragment = f->protocol == PROTO_FRAGMENT;
		if (n == EXTENSION_HEADERS_MAX || (fragment && *fragmentable > 0) || !skip_extension(f, w))
			return false;
		f->ip_options = true;
		if (fragment)
			*fragmentable = f->l3_len;
		if (fragment && f->fragment_offset > 0)
			break;
	}
	return true;
}

static void read_ipv6(struct frame *f, struct wire *w)
{
	struct wire_span h = wire_bytes(w, IPV6_LEN);
	uint16_t fragmentable;

	if (h.len == 0) {
		malformed(f, FRAME_BAD_IP_SHORT);
		return;
	}
	if (h.at[0] >> 4 != 6) {
		malformed(f, FRAME_BAD_IP_VERSION);
		return;
	}
	f->family = 6;
	f->l3_len = IPV6_LEN;
	f->ip_len = IPV6_LEN + (uint32_t)be16(h.at + 4);
	f->dscp_ecn = (uint8_t)(be16(h.at) >> 4);
	f->protocol = h.at[6];
	f->ttl = h.at[7];
	memcpy(f->src, h.at + 8, 16);
	memcpy(f->dst, h.at + 24, 16);
	if (!cut_to(w, f->ip_len - IPV6_LEN)) {
		malformed(f, FRAME_BAD_IP_LENGTH);
		return;
	}
	if (!skip_extensions(f, w, &fragmentable)) {
		malformed(f, FRAME_BAD_EXTENSIONS);
		return;
	}
	/* Offset 0 and no more: an atomic fragment, a whole packet (RFC 6946). */
	if (f->fragment_more || f->fragment_offset > 0)
		read_fragment(f, w, fragmentable);
	else
		read_upper(f, w);
}

/* A third tag leaves ether_type a VLAN's: the frame is FRAME_OTHER and passes as such. */
static bool read_tags(struct frame *f, struct wire *w)
{
	for (unsigned tags = 0;
	     tags < FRAME_VLAN_TAGS_MAX &&
	     (f->ether_type == ETHER_VLAN || f->ether_type == ETHER_QINQ || f->ether_type == ETHER_QINQ_OLD);
	     tags++) {
		struct wire_span tag = wire_bytes(w, VLAN_TAG_LEN);
		if (tag.len == 0)
			return false;
		uint16_t vid = be16(tag.at) & 0x0fff;
		/* 0 is no VLAN but a priority, which one direction may have alone (IEEE 802.1Q 6.9.1). */
		if (vid != 0)
			f->vlan[f->vlan_tags++] = vid;
		f->ether_type = be16(tag.at + 2);
		f->l2_len = (uint16_t)(f->l2_len + VLAN_TAG_LEN);
	}
	return true;
}

void frame_parse(struct frame *f, const uint8_t *bytes, uint32_t len)
{
	struct wire w = wire_over(bytes, len);
	struct wire_span ethernet = wire_bytes(&w, ETHERNET_LEN);

	*f = (struct frame){.bytes = bytes, .len = len, .kind = FRAME_OTHER};
	if (ethernet.len == 0) {
		malformed(f, FRAME_BAD_ETHERNET_SHORT);
		return;
	}
	f->l2_len = ETHERNET_LEN;
	f->ether_type = be16(ethernet.at + 12);
	if (!read_tags(f, &w))
		malformed(f, FRAME_BAD_ETHERNET_SHORT);
	else if (f->ether_type == ETHER_IPV4)
		read_ipv4(f, &w);
	else if (f->ether_type == ETHER_IPV6)
		read_ipv6(f, &w);
}

bool frame_may_be_tcp(const struct frame *f)
{
	return f->fragment_next == PROTO_TCP || (f->family == 6 && is_extension(f->fragment_next));
}

static bool is_error(const struct frame *f)
{
	uint8_t type;

	if (f->kind != FRAME_ICMP)
		return false;
	type = f->bytes[f->l4_offset];
	/* RFC 792, RFC 4443 section 2.1: ICMPv6 errors are the types below 128. */
	return f->family == 4 ? type == 3 || type == 4 || type == 5 || type == 11 || type == 12 : type < 128;
}

bool frame_quoted(const struct frame *icmp, struct frame *quoted)
{
	struct wire w = wire_over(icmp->bytes + icmp->payload_offset, icmp->payload_len);
	uint16_t fragmentable;

	*quoted = (struct frame){.kind = FRAME_IP, .family = icmp->family, .vlan_tags = icmp->vlan_tags};
	if (!is_error(icmp))
		return false;
	memcpy(quoted->vlan, icmp->vlan, sizeof(quoted->vlan));
	wire_skip(&w, 4); /* unused, MTU, pointer */
	struct wire_span ip = wire_bytes(&w, icmp->family == 4 ? IPV4_LEN : IPV6_LEN);
	if (ip.len == 0 || ip.at[0] >> 4 != icmp->family)
		return false;
	if (icmp->family == 4) {
		memcpy(quoted->src, ip.at + 12, 4);
		memcpy(quoted->dst, ip.at + 16, 4);
		quoted->protocol = ip.at[9];
		quoted->ip_len = be16(ip.at + 2);
		quoted->fragment_offset = (uint16_t)((be16(ip.at + 6) & 0x1fff) * 8);
		if ((ip.at[0] & 0x0f) * 4 < IPV4_LEN)
			return false;
		wire_skip(&w, (ip.at[0] & 0x0f) * 4u - IPV4_LEN);
	} else {
		memcpy(quoted->src, ip.at + 8, 16);
		memcpy(quoted->dst, ip.at + 24, 16);
		quoted->protocol = ip.at[6];
		quoted->ip_len = IPV6_LEN + (uint32_t)be16(ip.at + 4);
		if (!skip_extensions(quoted, &w, &fragmentable))
			return false;
	}
	if (w.failed)
		return false;
	if (quoted->fragment_offset == 0 && has_ports(quoted->protocol)) {
		quoted->payload_len = (uint32_t)wire_left(&w);
		read_ports(quoted, &w);
		struct wire_span seq = wire_bytes(&w, 4);
		quoted->seq = seq.len > 0 ? be32(seq.at) : 0;
	}
	return true;
}

bool frame_too_big(const struct frame *icmp, uint32_t *mtu)
{
	if (icmp->kind != FRAME_ICMP)
		return false;
	struct wire w = wire_over(icmp->bytes + icmp->l4_offset, icmp->payload_len + ICMP_LEN);
	uint8_t type = wire_u8(&w), code = wire_u8(&w);
	wire_skip(&w, 2);
	*mtu = wire_u32(&w);
	if (w.failed)
		return false;
	if (icmp->family == 6)
		return type == ICMP6_PACKET_TOO_BIG;
	*mtu &= 0xffff;
	return type == ICMP_UNREACHABLE && code == ICMP_FRAGMENTATION_NEEDED;
}

static inline __attribute__((always_inline)) uint64_t sum_words(uint64_t sum, const uint8_t *at, size_t len)
{
	uint32_t word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum += word;
	}
	word = 0;
	memcpy(&word, at, len);
	return sum + word;
}

#ifdef __x86_64__
#define WIDE_FROM 128 /* bytes from which a wider unit pays */

/* The same loop, compiled for eight words at once. */
__attribute__((target("avx2"))) static uint64_t sum_wide(uint64_t sum, const uint8_t *at, size_t len)
{
	return sum_words(sum, at, len);
}
#endif

uint64_t frame_sum(uint64_t sum, const uint8_t *at, size_t len)
{
#ifdef __x86_64__
	if (len >= WIDE_FROM && __builtin_cpu_supports("avx2"))
		return sum_wide(sum, at, len);
#endif
	return sum_words(sum, at, len);
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

bool frame_checksum_ok(const struct frame *f)
{
	size_t address = f->family == 4 ? 4 : 16;

	if (f->family == 0 || f->kind == FRAME_MALFORMED)
		return false;
	if (f->family == 4 && fold(frame_sum(0, f->bytes + f->l2_len, f->l3_len)) != 0xffff)
		return false;
	if ((f->kind != FRAME_TCP && f->kind != FRAME_ICMP) || f->l4_checked)
		return true;
	uint32_t header = f->kind == FRAME_TCP ? f->tcp_header_len : ICMP_LEN;
	uint32_t whole = header + f->payload_len;
	uint64_t sum = 0;
	if (f->kind == FRAME_TCP || f->family == 6) { /* ICMP's has no pseudo-header, ICMPv6's has */
		sum = htonl(whole + f->protocol);
		sum = frame_sum(sum, f->src, address);
		sum = frame_sum(sum, f->dst, address);
	}
	return fold(frame_sum(sum, f->bytes + f->l4_offset, whole)) == 0xffff;
}

const char *frame_kind_name(enum frame_kind kind)
{
	static const char *const names[] = {"other", "ip", "fragment", "tcp", "udp", "icmp", "malformed"};

	return (unsigned)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

const char *frame_malformation_text(enum frame_malformation malformation)
{
	static const char *const texts[] = {"nothing",
#define FRAME_MALFORMATION_TEXT(NAME, name, text) text,
	    FRAME_MALFORMATIONS(FRAME_MALFORMATION_TEXT)};

	return (unsigned)malformation < FRAME_MALFORMATION_COUNT ? texts[malformation] : "unknown";
}
