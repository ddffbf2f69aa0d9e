/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glance: the flow of an everyday frame in a handful of loads, for the fast path.
 *
 * IPv4 without options, whole, TCP or UDP, at most one tag, lengths that agree, no SYN: all others are left
 * to frame_parse. Where glance says yes, frame_parse says the same of the frame (a test holds them together).
 */
#ifndef DATAPLANE_GLANCE_H
#define DATAPLANE_GLANCE_H

#include "dataplane/decisions.h"

/* One bounds check for all: the largest offset read is a tagged frame's last byte of the TCP flags. */
#define GLANCE_MIN (14 + 4 + 20 + 20)

struct glance {
	uint64_t low, high; /* the flow's key (decisions.h) */
	bool low_sent;
};

static inline uint16_t glance16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* An address and a port, six bytes apart from each other, as one end of a flow. */
static inline uint64_t glance_end(const uint8_t *address, const uint8_t *port)
{
	uint32_t a;

	memcpy(&a, address, sizeof(a));
	return (uint64_t)__builtin_bswap32(a) << 16 | glance16(port);
}

static inline bool glance4(struct glance *g, const uint8_t *bytes, uint32_t len, uint8_t link)
{
	uint16_t type, vlan = 0;
	const uint8_t *ip = bytes + 14;

	if (len < GLANCE_MIN)
		return false;
	type = glance16(bytes + 12);
	if (type == 0x8100) {
		vlan = glance16(bytes + 14) & 0x0fff;
		type = glance16(bytes + 16);
		ip += 4;
	}
	uint32_t total = glance16(ip + 2);
	if (type != 0x0800 || ip[0] != 0x45 || (glance16(ip + 6) & 0x3fff) != 0 ||
	    total + (uint32_t)(ip - bytes) > len)
		return false;
	const uint8_t *l4 = ip + 20;
	if (ip[9] == 17) {
		uint32_t udp = glance16(l4 + 4);
		if (total < 28 || udp < 8 || udp + 20 > total)
			return false;
	} else if (ip[9] == 6) {
		uint32_t header = (l4[12] >> 4) * 4u;
		if (total < 40 || header < 20 || header + 20 > total || (l4[13] & TCP_SYN) != 0)
			return false;
	} else {
		return false;
	}
	decision_key4(&g->low, &g->high, &g->low_sent, glance_end(ip + 12, l4), glance_end(ip + 16, l4 + 2),
	    ip[9], link, vlan);
	return true;
}

#endif
