/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box: a TCP shard in memory, its clock in the test's hand. Frames that it sends go into a queue a side;
 * what it tells its worker is noted and checked. Streams have a known byte at each offset.
 */
#ifndef TESTS_PACKET_BOX_H
#define TESTS_PACKET_BOX_H

#include "dataplane/tcp/tcp.h"

#define BOX_FRAME_MAX 9300
#define BOX_SLABS 512
#define BOX_SLAB_BYTES 4096

struct box_frame {
	struct box_frame *next;
	uint32_t len;
	uint8_t bytes[BOX_FRAME_MAX];
};
struct box_queue {
	struct box_frame *head, *tail;
	unsigned count;
};

/* What the worker was told of a leg. */
struct box_leg {
	uint64_t got;      /* bytes */
	uint64_t consumed; /* and told so */
	uint64_t written;
	bool fin, reset, finished;
	int error;
};

struct box {
	struct tcp_shard *shard;
	struct tcp_config config;
	uint64_t now_us;
	struct box_queue out[2]; /* by enum tcp_port_side */
	uint64_t flow;           /* the last one opened */
	unsigned opened, gone;
	bool no_worker, full; /* nobody up; the channel has no room */
	bool no_buffers;
	bool wrong_bytes; /* a stream was not as it should be */
	bool relay;       /* the worker writes each leg's bytes to the other */
	struct box_leg leg[2];
	uint8_t slab[BOX_SLABS][BOX_SLAB_BYTES];
	uint32_t free_slabs[BOX_SLABS], free_count;
};

/* The byte at `offset` of the stream that comes from (in) or goes to (out) the peer of a leg. */
static inline uint8_t box_byte(unsigned leg, bool out, uint64_t offset)
{
	return (uint8_t)((offset * 131 + (offset >> 8) * 17) ^ (leg * 0x55) ^ (out ? 0xa0 : 0));
}

/* What a test says of a segment; sequence numbers absolute. */
struct box_segment {
	uint8_t family;
	uint8_t vlan_tags;
	uint16_t vlan[2];
	bool from_client;
	uint16_t port; /* the client's; 0: 40000 */
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint8_t options[40];
	uint32_t options_len;
	uint32_t len;
	uint64_t offset; /* of the payload in its stream */
	bool bad_checksum;
};
/* Builds a frame as the peers of the tests send it: 198.51.100.1:40000 or 2001:db8::1, origin port 22. */
uint32_t box_build(uint8_t *bytes, const struct box_segment *segment);

void box_open(struct box *box, const struct tcp_config *config);
void box_close(struct box *box);
/* Gives the box a frame as the lcore does; forwarded ones come out of the other side's queue. */
enum tcp_verdict box_give(struct box *box, enum tcp_port_side from, const uint8_t *bytes, uint32_t len);
struct box_frame *box_take(struct box *box, enum tcp_port_side side);
/* tcp_tick and tcp_flush at now_us; the time of what is next. */
uint64_t box_turn(struct box *box);
/* The worker writes `len` bytes of its stream to a leg; returns how many found a slab. */
uint64_t box_write(struct box *box, unsigned leg, uint64_t len);
bool box_say(struct box *box, uint16_t type, unsigned leg, uint64_t arg);
void box_ready(struct box *box);

#endif
