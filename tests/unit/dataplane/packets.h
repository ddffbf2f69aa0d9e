/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for tests, put together field by field into a buffer; checksums are filled in at the end. */
#ifndef TESTS_UNIT_DATAPLANE_PACKETS_H
#define TESTS_UNIT_DATAPLANE_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX 9216

struct packet {
	uint8_t bytes[PACKET_MAX];
	uint32_t len;
	uint32_t l3, l4; /* offsets */
	uint8_t upper;   /* protocol of l4 */
	uint8_t family;
	uint32_t next_header; /* offset of the field that names what comes next (IPv6) */
};

/* Each appends a header; `vlan` may be called up to three times before the IP header. */
void packet_ethernet(struct packet *p);
void packet_vlan(struct packet *p, uint16_t tpid, uint16_t id);
/* Sets the EtherType of a frame that is not IP and appends `len` bytes of `fill`. */
void packet_other(struct packet *p, uint16_t ether_type, uint32_t len, uint8_t fill);
void packet_ipv4(struct packet *p, const char *src, const char *dst, uint32_t option_len);
void packet_ipv6(struct packet *p, const char *src, const char *dst);
/* Fragment fields of the IPv4 header; offset in bytes. */
void packet_ipv4_fragment(struct packet *p, uint16_t id, uint16_t offset, bool more);
/* IPv6 extension headers: `units` of 8 bytes beyond the first 8 (AH: the same length, counted its way). */
void packet_extension(struct packet *p, uint8_t protocol, uint8_t units);
void packet_ipv6_fragment(struct packet *p, uint32_t id, uint16_t offset, bool more);
void packet_tcp(struct packet *p, uint16_t sport, uint16_t dport, uint8_t flags, uint32_t option_len);
void packet_udp(struct packet *p, uint16_t sport, uint16_t dport);
void packet_icmp(struct packet *p, uint8_t type, uint8_t code);
/* Names an upper protocol of which nothing follows but payload. */
void packet_upper(struct packet *p, uint8_t protocol);
void packet_payload(struct packet *p, uint32_t len, uint8_t fill);
/* IP lengths, UDP length, checksums of IPv4, TCP, UDP and ICMP; then `padding` bytes of Ethernet padding. */
void packet_finish(struct packet *p, uint32_t padding);

#endif
