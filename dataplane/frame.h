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
	FRAME_OTHER = 0,  /* not IP (ARP, LLDP, STP, …) */
	FRAME_IP,         /* IP, whole datagram, L4 other than below or no ports readable */
	FRAME_FRAGMENT,   /* IP fragment (first or later) */
	FRAME_TCP,        /* whole TCP segment, header complete */
	FRAME_UDP,
	FRAME_ICMP,       /* ICMP or ICMPv6 */
	FRAME_MALFORMED,  /* IP that contradicts itself or ends early */
};

struct frame {
	const uint8_t *bytes;
	uint32_t len; /* of the frame as received */
	enum frame_kind kind;
	uint8_t vlan_tags;
	uint16_t vlan[FRAME_VLAN_TAGS_MAX]; /* ids, outer first */
	uint16_t ether_type;                /* after the tags */
	uint16_t l2_len;                    /* Ethernet header and tags */
	uint8_t family;                     /* 4, 6, or 0 */
	uint8_t protocol;                   /* the upper-layer protocol, after extension headers */
	uint16_t l3_len;                    /* IP header, options and extension headers */
	uint32_t ip_len;                    /* the IP datagram's length by its header; padding excluded */
	uint8_t ttl, dscp_ecn;
	uint8_t src[16], dst[16]; /* network order; IPv4 in the first 4 bytes, the rest 0 */
	uint16_t sport, dport;    /* host order; 0 where there are none */
	bool ip_options;          /* IPv4 options or IPv6 extension headers are there */
	/* fragments */
	uint32_t fragment_id;
	uint16_t fragment_offset; /* bytes */
	bool fragment_more;
	/* TCP (kind == FRAME_TCP) */
	uint16_t l4_offset;      /* of the TCP/UDP/ICMP header */
	uint16_t tcp_header_len; /* with options, 20..60 */
	uint32_t seq, ack;
	uint8_t tcp_flags;
	uint16_t tcp_window;
	uint16_t tcp_urgent;
	uint16_t payload_offset;
	uint32_t payload_len;
};

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_URG = 0x20,
	TCP_ECE = 0x40, TCP_CWR = 0x80 };

/* Fills *frame from `len` bytes. Never fails: what it cannot read is FRAME_OTHER or FRAME_MALFORMED. */
void frame_parse(struct frame *frame, const uint8_t *bytes, uint32_t len);
/* True where the IPv4 header checksum and the TCP checksum (or IPv6 TCP's) are right. */
bool frame_checksum_ok(const struct frame *frame);

#endif
