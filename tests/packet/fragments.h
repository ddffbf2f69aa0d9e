/* SPDX-License-Identifier: Apache-2.0 */
/* fragments: a frame in pieces, put together by the dataplane's own reassembly, as its lcore does it. */
#ifndef TESTS_PACKET_FRAGMENTS_H
#define TESTS_PACKET_FRAGMENTS_H

#include "tests/packet/box.h"

enum fragments_order {
	FRAGMENTS_IN_ORDER,
	FRAGMENTS_BACKWARDS,
	FRAGMENTS_OVERLAPPING, /* the second comes 8 bytes early, over the first */
	FRAGMENTS_BUT_LAST,    /* the last never comes */
};

struct fragments;

struct fragments *fragments_open(void);
void fragments_close(struct fragments *fragments);
/* Cuts the IP datagram in `bytes` into fragments of `size` bytes (a multiple of 8), the VLAN tags on each,
 * and gives the box what becomes of them. */
void fragments_give(struct fragments *fragments, struct box *box, enum tcp_port_side from,
    const uint8_t *bytes, uint32_t len, uint32_t size, enum fragments_order order);
/* Writes the fragment that carries [offset, offset + len) of the datagram's `upper` bytes; returns its
 * length.
 */
uint32_t fragments_cut(
    uint8_t *out, const struct frame *whole, uint32_t offset, uint32_t len, bool more, uint32_t id);

#endif
