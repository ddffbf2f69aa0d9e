/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: what one Ethernet frame says, found by one bounds-checked walk over hostile bytes.
 *
 * A pure function over a buffer: no DPDK, no allocation, nothing written. Offsets are from the frame's first
 * byte. What cannot be understood is still a frame: it is forwarded by policy's default, never adopted.
 */
#ifndef DATAPLANE_FRAME_H
#define DATAPLANE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_VLAN_TAGS_MAX 2

enum frame_kind {
	FRAME_OTHER = 0, /* not IP (ARP, LLDP, STP, …) */
	FRAME_IP,        /* IP, whole datagram, L4 other than below or no ports readable */
	FRAME_FRAGMENT,  /* IP fragment (first or later) */
	FRAME_TCP,       /* whole TCP segment, header complete */
	FRAME_UDP,
	FRAME_ICMP,      /* ICMP or ICMPv6 */
	FRAME_MALFORMED, /* a frame that contradicts itself or ends early */
};

/* What is wrong with a FRAME_MALFORMED. F(name, text): FRAME_BAD_name, the counter malformed.name. */
#define FRAME_MALFORMATIONS(F)                                                                               \
	F(ETHERNET_SHORT, ethernet_short, "ends within the Ethernet header or a VLAN tag")                   \
	F(IP_SHORT, ip_short, "ends within the IP header")                                                   \
	F(IP_VERSION, ip_version, "IP version that contradicts the EtherType")                               \
	F(IP_HEADER_LENGTH, ip_header_length, "IPv4 header length under 20 bytes")                           \
	F(IP_LENGTH, ip_length, "IP length shorter than the header or longer than the frame")                \
	F(EXTENSIONS, extensions, "IPv6 extension headers that do not end in the packet, or too many")       \
	F(FRAGMENT, fragment, "fragment of an impossible offset or length")                                  \
	F(TCP_SHORT, tcp_short, "ends within the TCP header")                                                \
	F(TCP_HEADER_LENGTH, tcp_header_length, "TCP data offset under 20 bytes or beyond the packet")       \
	F(UDP_SHORT, udp_short, "ends within the UDP header")                                                \
	F(UDP_LENGTH, udp_length, "UDP length that contradicts the IP length")                               \
	F(ICMP_SHORT, icmp_short, "ends within the ICMP header")
enum frame_malformation {
	FRAME_BAD_NOTHING = 0,
#define FRAME_MALFORMATION_NAME(NAME, name, text) FRAME_BAD_##NAME,
	FRAME_MALFORMATIONS(FRAME_MALFORMATION_NAME) FRAME_MALFORMATION_COUNT
};

struct frame {
	const uint8_t *bytes;
	uint32_t len; /* of the frame as received */
	enum frame_kind kind;
	enum frame_malformation malformation; /* kind == FRAME_MALFORMED */
	uint8_t vlan_tags;
	uint16_t vlan[FRAME_VLAN_TAGS_MAX]; /* ids, outer first */
	uint16_t ether_type;                /* after the tags */
	uint16_t l2_len;                    /* Ethernet header and tags */
	uint8_t family;                     /* 4, 6, or 0 */
	uint8_t protocol;                   /* the upper-layer protocol, after extension headers */
	uint16_t l3_len; /* IP header, options, extension headers; of a fragment: to its fragment header */
	uint32_t ip_len; /* the IP datagram's length by its header; padding excluded */
	uint8_t ttl, dscp_ecn;
	uint8_t src[16], dst[16]; /* network order; IPv4 in the first 4 bytes, the rest 0 */
	uint16_t sport, dport;    /* host order; of a first fragment too; 0 where there are none */
	bool ip_options;          /* IPv4 options or IPv6 extension headers are there */
	/* fragments */
	uint32_t fragment_id;
	uint16_t fragment_offset; /* bytes */
	uint8_t fragment_next;    /* what its headers say is cut: a later one does not show what follows */
	bool fragment_more;
	/* TCP (kind == FRAME_TCP) */
	uint16_t l4_offset;      /* of the TCP/UDP/ICMP header */
	uint16_t tcp_header_len; /* with options, 20..60 */
	uint32_t seq, ack;
	uint8_t tcp_flags;
	uint16_t tcp_window;
	uint16_t tcp_urgent;
	uint16_t payload_offset; /* of a fragment: what follows l3_len, its share of the fragmentable part */
	uint32_t payload_len;
	bool
	    l4_checked; /* the NIC found the TCP checksum right: set by who has asked it, after frame_parse */
};

enum { FRAME_PROTOCOL_TCP = 6 };

enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80
};

/* Fills *frame from `len` bytes. Never fails: what it cannot read is FRAME_OTHER or FRAME_MALFORMED. */
void frame_parse(struct frame *frame, const uint8_t *bytes, uint32_t len);
/* Of an ICMP error: the packet that it quotes, as far as it is there (family, addresses, protocol, ports, the
 * length that its IP header claims; kind FRAME_IP). payload_len is how much of TCP, UDP, … is quoted: from 8
 * bytes on a TCP segment's `seq` is known, too. False where it is no error or quotes too little to name a
 * flow. */
bool frame_quoted(const struct frame *icmp, struct frame *quoted);
/* May this fragment be of a TCP segment? The same answer for all fragments of a datagram: of a later one that
 * begins with extension headers nobody knows. */
bool frame_may_be_tcp(const struct frame *fragment);
/* True for "fragmentation needed" (RFC 792, 1191) and "packet too big" (RFC 4443 3.2); *mtu is what the
 * router says, 0 where it is too old to say. */
bool frame_too_big(const struct frame *icmp, uint32_t *mtu);
/* One's complement sum of the words as they lie in memory, four bytes at a time: folded, it is that of 16-bit
 * words in the same order (RFC 1071 section 2), so byte order does not matter until it is stored. `sum`
 * carries on from an even number of bytes. */
uint64_t frame_sum(uint64_t sum, const uint8_t *at, size_t len);
/* True where the IPv4 header checksum is right and, of a FRAME_TCP or FRAME_ICMP, that of the segment or
 * message. False for what is not IP. */
bool frame_checksum_ok(const struct frame *frame);
/* One line of text for a log or a failing test; `kind` and `malformation` as words. */
const char *frame_kind_name(enum frame_kind kind);
const char *frame_malformation_text(enum frame_malformation malformation);

#endif
