/* SPDX-License-Identifier: Apache-2.0 */
/* sources: tests/packet/box.c tests/packet/nic.c tests/packet/invariants.c dataplane/frame.c
 * dataplane/tcp/*.c; deps: slab wire */
/*
 * A live adopted connection, then whatever the input says: arbitrary frames, frames that are right but for a
 * few bytes, words of the worker, time. Nothing may crash, no worker byte may be wrong, and what leaves must
 * parse.
 *
 * Input: records of {u8 what, u8 len, len bytes}.
 */
#include "tests/packet/box.h"

#include <stdlib.h>
#include <string.h>

static void send_all(struct box *box)
{
	struct box_frame *frame;

	for (unsigned side = 0; side < 2; side++)
		while ((frame = box_take(box, side)) != NULL) {
			struct frame f;
			frame_parse(&f, frame->bytes, frame->len);
			/* Forwarded frames may be anything; those of ours are segments. */
			if (f.kind == FRAME_TCP && box->opened > 0 && tcp_knows(box->shard, 0, &f) &&
			    f.ttl != 0 && !frame_checksum_ok(&f))
				abort();
			free(frame);
		}
}

static void adopt(struct box *box, uint8_t family)
{
	static const uint8_t SYN_OPTIONS[] = {
	    2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 4, 2, 1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0};
	static const uint8_t OPTIONS[] = {1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0};
	static const uint8_t FLAGS[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};
	uint8_t bytes[BOX_FRAME_MAX];

	for (unsigned i = 0; i < 3; i++) {
		struct box_segment s = {
		    .family = family, .from_client = i != 1, .flags = FLAGS[i], .window = 1000};
		s.seq = i == 0 ? 1000 : i == 1 ? 5000 : 1001;
		s.ack = i == 0 ? 0 : i == 1 ? 1001 : 5001;
		s.options_len = i < 2 ? sizeof(SYN_OPTIONS) : sizeof(OPTIONS);
		memcpy(s.options, i < 2 ? SYN_OPTIONS : OPTIONS, s.options_len);
		uint32_t n = box_build(bytes, &s);
		box_give(box, i != 1 ? TCP_INSIDE : TCP_OUTSIDE, bytes, n);
	}
	box_turn(box);
	send_all(box);
}

/* A right segment with the fuzzer's numbers near those that matter. */
static void segment(struct box *box, uint8_t family, const uint8_t *at, uint32_t len)
{
	uint8_t v[12] = {0}, bytes[BOX_FRAME_MAX];

	memcpy(v, at, len < sizeof(v) ? len : sizeof(v));
	struct box_segment s = {
	    .family = family,
	    .from_client = v[0] & 1,
	    .flags = v[1],
	    .window = (uint16_t)(v[2] << 8),
	    .len = v[3] * (v[0] & 2 ? 8u : 1u),
	    .bad_checksum = v[0] == 0xff,
	};
	uint32_t mine = s.from_client ? 1001 : 5001, theirs = s.from_client ? 5001 : 1001;
	/* The stream's byte at an offset is fixed, so the worker's check holds whatever the segmentation. */
	s.offset = (uint64_t)(v[4] << 4 | v[5] >> 4);
	s.seq = mine + (uint32_t)s.offset;
	if (v[0] & 4 && s.len == 0)
		s.seq += (uint32_t)v[6] << 24;
	s.ack = theirs + (uint32_t)(v[7] << 5) - (v[0] & 8 ? 64 : 0);
	if (v[0] & 16) {
		s.options_len = 12;
		memcpy(s.options, (uint8_t[]){1, 1, 8, 10, 0, 0, v[8], 9, 0, 0, 0, v[9]}, 12);
	}
	if (v[0] & 32) {
		uint32_t a = theirs + (uint32_t)(v[10] << 4), b = a + (uint32_t)(v[11] << 4);
		memcpy(s.options + s.options_len,
		    (uint8_t[]){1, 1, 5, 10, (uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8),
		        (uint8_t)a, (uint8_t)(b >> 24), (uint8_t)(b >> 16), (uint8_t)(b >> 8), (uint8_t)b},
		    12);
		s.options_len += 12;
	}
	uint32_t n = box_build(bytes, &s);
	box_give(box, (s.from_client != 0) != ((v[0] & 64) != 0) ? TCP_INSIDE : TCP_OUTSIDE, bytes, n);
}

static void worker(struct box *box, const uint8_t *at, uint32_t len)
{
	uint8_t v[4] = {0};

	memcpy(v, at, len < sizeof(v) ? len : sizeof(v));
	if (v[0] % 8 == 0)
		box_write(box, v[1] & 1, v[2] * 64u);
	else if (v[0] % 8 == 1)
		box->full = true;
	else if (v[0] % 8 == 2)
		box_ready(box);
	else if (v[0] % 8 == 3)
		box_lose(box, 0);
	else if (v[0] % 8 == 4 && (v[1] & 1) <= 1)
		box_say(box, SLAB_LEG_CONSUMED, v[1] & 1, box->leg[v[1] & 1].got);
	else
		box_say(box, v[1], v[2], v[3]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_config config;
	static struct box box;

	if (size < 2)
		return 0;
	uint8_t family = data[0] & 1 ? 4 : 6;
	tcp_config_defaults(&config);
	config.flows = 4;
	config.reorder_total = 65536;
	config.reorder_bytes = 16384;
	config.sent_segments = 64;
	config.receive_credit = data[0] & 2 ? 512 : 65536;
	config.time_wait_ms = 100;
	if (data[0] & 4)
		config.offloads = (struct tcp_offloads){.checksum = true, .frame_max = BOX_BUFFER_MAX};
	box_open(&box, &config);
	adopt(&box, family);
	for (size_t i = 1; i + 2 <= size;) {
		uint8_t what = data[i];
		uint32_t len = data[i + 1];
		i += 2;
		if (len > size - i)
			len = (uint32_t)(size - i);
		if (what % 4 == 0)
			box_give(&box, what & 4 ? TCP_INSIDE : TCP_OUTSIDE, data + i, len);
		else if (what % 4 == 1)
			segment(&box, family, data + i, len);
		else if (what % 4 == 2)
			worker(&box, data + i, len);
		else
			box.now_us += len * (what & 4 ? 1000ull : 100000ull);
		i += what % 4 == 3 ? 0 : len;
		box_turn(&box);
		send_all(&box);
	}
	if (box.wrong_bytes && box.opened < 2)
		abort();
	box_close(&box);
	return 0;
}
