/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/packet/fragments.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/reassemble.h"

#define IPV6_HEADER 40u
#define FRAGMENT_HEADER 8u
#define PROTOCOL_FRAGMENT 44
#define PIECES_MAX 256

struct fragments {
	struct reassembler *reassembler;
	uint32_t id;
};

static void release(void *context, void *handle)
{
	(void)context;
	free(handle);
}

struct fragments *fragments_open(void)
{
	struct fragments *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->reassembler = reassemble_create(release, NULL);
	if (f == NULL || f->reassembler == NULL)
		abort();
	return f;
}

void fragments_close(struct fragments *f)
{
	reassemble_destroy(f->reassembler);
	free(f);
}

static void put_u16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t cut_ipv4(
    uint8_t *ip, const struct frame *whole, uint32_t offset, uint32_t len, bool more, uint32_t id)
{
	memcpy(ip, whole->bytes + whole->l2_len, whole->l3_len);
	put_u16(ip + 2, whole->l3_len + len);
	put_u16(ip + 4, id);
	put_u16(ip + 6, (more ? 0x2000u : 0) | offset / 8);
	put_u16(ip + 10, 0);
	put_u16(ip + 10, ~box_sum(0, ip, whole->l3_len));
	return whole->l3_len;
}

/* Hop-by-hop and routing headers stay in front of each fragment (RFC 8200 4.5); for the tests' frames that is
 * the first 16 of their 24 bytes, and the destination options are the fragmentable part's. */
static uint32_t kept_of_ipv6(const struct frame *whole)
{
	return whole->l3_len > IPV6_HEADER ? whole->l3_len - 8u : IPV6_HEADER;
}

static uint32_t cut_ipv6(
    uint8_t *ip, const struct frame *whole, uint32_t offset, uint32_t len, bool more, uint32_t id)
{
	uint32_t kept = kept_of_ipv6(whole);
	uint8_t *next = kept > IPV6_HEADER ? ip + kept - 8 : ip + 6;

	memcpy(ip, whole->bytes + whole->l2_len, kept);
	put_u16(ip + 4, kept - IPV6_HEADER + FRAGMENT_HEADER + len);
	ip[kept] = *next;
	ip[kept + 1] = 0;
	*next = PROTOCOL_FRAGMENT;
	put_u16(ip + kept + 2, offset | more);
	put_u16(ip + kept + 4, id >> 16);
	put_u16(ip + kept + 6, id);
	return kept + FRAGMENT_HEADER;
}

uint32_t fragments_cut(
    uint8_t *out, const struct frame *whole, uint32_t offset, uint32_t len, bool more, uint32_t id)
{
	uint32_t from = whole->l2_len + (whole->family == 4 ? whole->l3_len : kept_of_ipv6(whole));
	uint32_t at = whole->l2_len;

	memcpy(out, whole->bytes, whole->l2_len);
	at += whole->family == 4 ? cut_ipv4(out + at, whole, offset, len, more, id)
	                         : cut_ipv6(out + at, whole, offset, len, more, id);
	memcpy(out + at, whole->bytes + from + offset, len);
	return at + len;
}

static void give_piece(
    struct fragments *f, struct box *box, enum tcp_port_side from, const uint8_t *bytes, uint32_t len)
{
	struct reassemble_whole whole;
	struct frame frame;
	uint8_t *copy = malloc(len);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, len);
	frame_parse(&frame, copy, len);
	if (frame.kind != FRAME_FRAGMENT) { /* an atomic fragment (RFC 6946) is a whole packet */
		box_give(box, from, copy, len);
		free(copy);
		return;
	}
	reassemble_expire(f->reassembler, box->now_us);
	switch (reassemble_add(f->reassembler, (uint8_t)from, &frame, copy, box->now_us, &whole)) {
	case REASSEMBLE_HELD:
		return;
	case REASSEMBLE_REFUSED:
		free(copy);
		return;
	case REASSEMBLE_WHOLE:
		box_give(box, from, whole.bytes, whole.len);
		for (unsigned i = 0; i < whole.handle_count; i++)
			free(whole.handles[i]);
	}
}

void fragments_give(struct fragments *f, struct box *box, enum tcp_port_side from, const uint8_t *bytes,
    uint32_t len, uint32_t size, enum fragments_order order)
{
	struct frame whole;
	uint8_t piece[BOX_FRAME_MAX];
	uint32_t offsets[PIECES_MAX], count = 0;

	frame_parse(&whole, bytes, len);
	uint32_t kept = whole.l2_len + (whole.family == 4 ? whole.l3_len : kept_of_ipv6(&whole));
	uint32_t all = len - kept;
	for (uint32_t at = 0; at < all && count < PIECES_MAX; at += size)
		offsets[count++] = at;
	f->id++;
	for (uint32_t i = 0; i + (order == FRAGMENTS_BUT_LAST) < count; i++) {
		uint32_t offset = offsets[order == FRAGMENTS_BACKWARDS ? count - 1 - i : i];
		uint32_t end = offset + size < all ? offset + size : all;
		if (order == FRAGMENTS_OVERLAPPING && i == 1)
			offset -= 8;
		uint32_t n = fragments_cut(piece, &whole, offset, end - offset, end < all, f->id);
		give_piece(f, box, from, piece, n);
	}
}
