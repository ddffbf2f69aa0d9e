/* SPDX-License-Identifier: Apache-2.0 */
/* sources: dataplane/reassemble.c dataplane/frame.c; deps: wire */
/*
 * Fragments of whatever kind, from two ports, while time passes: no handle is lost or given twice, what is
 * held stays within its bounds, and a whole is one whose bytes are those of its fragments, each once.
 *
 * Input: records of {u8 what, u8 len, len bytes}: arbitrary frames, or fragments that are right but for the
 * fuzzer's numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/reassemble.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A fragment as the owner knows it. */
struct piece {
	uint8_t bytes[512];
	uint32_t len;
	struct frame frame;
};

static unsigned held;

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void take_back(void *context, void *handle)
{
	struct piece *piece = handle;

	(void)context;
	must(held > 0);
	held--;
	free(piece);
}

/* Every byte of the fragments stands where its offset says, and nothing else is there. */
static void check_whole(const struct reassemble_whole *whole)
{
	uint32_t total = 0, header;
	const struct piece *first = NULL;

	for (unsigned i = 0; i < whole->handle_count; i++) {
		const struct piece *piece = whole->handles[i];
		total += piece->frame.payload_len;
		if (piece->frame.fragment_offset == 0)
			first = piece;
	}
	must(first != NULL && total < whole->len);
	header = whole->len - total;
	must(header == first->frame.l2_len + first->frame.l3_len - (first->frame.family == 6 ? 8u : 0u));
	for (unsigned i = 0; i < whole->handle_count; i++) {
		const struct frame *f = &((const struct piece *)whole->handles[i])->frame;
		must(f->fragment_offset + f->payload_len <= total);
		must(memcmp(whole->bytes + header + f->fragment_offset, f->bytes + f->payload_offset,
		         f->payload_len) == 0);
	}
	struct frame f;
	frame_parse(&f, whole->bytes, whole->len);
	must(f.kind != FRAME_FRAGMENT && f.family == first->frame.family);
	must(f.family != 4 || frame_checksum_ok(&(struct frame){.bytes = f.bytes,
	                          .family = 4,
	                          .kind = FRAME_IP,
	                          .l2_len = f.l2_len,
	                          .l3_len = first->frame.l3_len}));
}

static void give(struct reassembler *r, const uint8_t *bytes, uint32_t len, uint8_t port, uint64_t now_us)
{
	struct reassemble_whole whole;
	struct piece *piece = calloc(1, sizeof(*piece));

	must(piece != NULL && len <= sizeof(piece->bytes));
	memcpy(piece->bytes, bytes, len);
	piece->len = len;
	frame_parse(&piece->frame, piece->bytes, len);
	if (piece->frame.kind != FRAME_FRAGMENT) {
		free(piece);
		return;
	}
	held++;
	enum reassemble_result result = reassemble_add(r, port, &piece->frame, piece, now_us, &whole);
	must(held <= REASSEMBLE_DATAGRAMS * REASSEMBLE_FRAGMENTS + 1);
	if (result == REASSEMBLE_HELD)
		return;
	if (result == REASSEMBLE_REFUSED) {
		held--;
		free(piece);
		return;
	}
	check_whole(&whole);
	for (unsigned i = 0; i < whole.handle_count; i++) {
		held--;
		free(whole.handles[i]);
	}
}

/* A fragment between two addresses: v = {kind, offset / 8, len, id, more, filling, next header, options}. */
static void fragment(struct reassembler *r, const uint8_t v[8], uint64_t now_us)
{
	uint8_t b[512] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
	uint32_t at = 14, len = v[4] & 1 ? v[2] & 0xf8u : v[2], offset = v[1] % 64u * 8;
	bool six = v[0] & 1, extended = v[7] & 1;

	if (v[0] & 2) {
		memcpy(b + 12, "\x81\x00\x00\x0c", 4);
		at = 18;
	}
	memcpy(b + at - 2, six ? "\x86\xdd" : "\x08\x00", 2);
	uint8_t *ip = b + at;
	if (six) {
		uint32_t ext = extended ? 8 : 0, total = ext + 8 + len;
		ip[0] = 0x60;
		ip[4] = (uint8_t)(total >> 8), ip[5] = (uint8_t)total;
		ip[6] = extended ? 60 : 44;
		ip[7] = 64;
		ip[8] = ip[24] = 0x20;
		if (extended)
			ip[40] = 44;
		uint8_t *f = ip + 40 + ext;
		f[0] = v[6];
		f[2] = (uint8_t)(offset >> 8), f[3] = (uint8_t)(offset | (v[4] & 1));
		f[7] = v[3] & 3;
		at += 40 + total;
	} else {
		uint32_t header = extended ? 24 : 20, total = header + len;
		ip[0] = (uint8_t)(0x40 | header / 4);
		ip[2] = (uint8_t)(total >> 8), ip[3] = (uint8_t)total;
		ip[5] = v[3] & 3;
		ip[6] = (uint8_t)((v[4] & 1 ? 0x20 : 0) | offset / 8 >> 8), ip[7] = (uint8_t)(offset / 8);
		ip[8] = 64;
		ip[9] = v[6];
		if (extended)
			memset(ip + 20, 1, 4);
		at += total;
	}
	memset(b + at - len, v[5], len);
	give(r, b, at, v[0] >> 2 & 1, now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reassembler *r = reassemble_create(take_back, NULL);
	uint64_t now_us = 1;

	must(r != NULL);
	held = 0;
	for (size_t i = 0; i + 2 <= size;) {
		uint8_t what = data[i];
		uint32_t len = data[i + 1];
		i += 2;
		if (len > size - i)
			len = (uint32_t)(size - i);
		if (what % 4 == 0) {
			give(r, data + i, len, what >> 2 & 1, now_us);
		} else if (what % 4 == 3) {
			now_us += len * 20000ull;
			reassemble_expire(r, now_us);
			len = 0;
		} else {
			uint8_t v[8] = {0};
			memcpy(v, data + i, len < sizeof(v) ? len : sizeof(v));
			fragment(r, v, now_us);
		}
		i += len;
	}
	reassemble_destroy(r);
	must(held == 0);
	return 0;
}
