/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box: a TCP shard in memory, its clock in the test's hand. Frames that it sends go into a queue a side;
 * what it tells its worker is noted and checked. Streams have a known byte at each offset.
 */
#ifndef TESTS_PACKET_BOX_H
#define TESTS_PACKET_BOX_H

#include "dataplane/tcp/tcp.h"

#define BOX_FRAME_MAX 9300
#define BOX_BUFFER_MAX 16384 /* of a frame that the box's port cuts (config.offloads) */
#define BOX_SLABS 512
#define BOX_CONNS 4
#define BOX_SLAB_BYTES 4096

/* Allocated to its exact length, so that the sanitizers see what is read behind a frame. */
struct box_frame {
	struct box_frame *next;
	uint32_t len;
	uint8_t bytes[];
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
	uint32_t slabs; /* that it may have out, where it was told */
	bool fin, reset, finished;
	int error;
};

/* One connection: the client's port is 40000 + its number. */
struct box_conn {
	uint64_t flow;
	uint64_t earlier; /* the one that had these ports before */
	unsigned opened, gone;
	int worker;
	bool lost; /* its worker died */
	struct box_leg leg[2];
};

struct box {
	struct tcp_shard *shard;
	struct tcp_config config;
	uint64_t now_us;
	struct box_queue out[2]; /* by enum tcp_port_side */
	union {
		struct box_conn conn[BOX_CONNS];
		struct { /* the first one's, for tests that have no other */
			uint64_t flow, earlier;
			unsigned opened, gone;
			int worker;
			bool lost;
			struct box_leg leg[2];
		};
	};
	int next_worker;      /* takes the next flow */
	bool no_worker, full; /* nobody up; the channels have no room */
	uint32_t room;        /* bytes that worker_data takes before the channel is full; starts unlimited */
	bool no_buffers;
	const void *unfinished; /* the frame that comes next is to be finished like this (nic.h) */
	struct tcp_unfinished finish;
	bool unchecked;       /* the peers' streams may hold anything */
	bool unchecked_later; /* so may those of a connection that came after another of its ports */
	bool wrong_bytes;     /* a stream was not as it should be, or a word came twice */
	bool relay;           /* the worker writes each leg's bytes to the other */
	bool paused;          /* but not now */
	uint8_t midstream;    /* enum rpc_midstream of what has no flow: reset, pass, drop */
	uint32_t pool_sent, pool_chunks; /* records and chunks that the shard has in all */
	uint32_t free_slabs[BOX_SLABS], free_count;
	int slab_worker[BOX_SLABS]; /* who has it; -1: nobody */
	uint8_t slab[BOX_SLABS][BOX_SLAB_BYTES];
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
	uint16_t window, urgent;
	uint8_t ttl; /* 0: the sender's usual one, 63 or 57 */
	uint8_t options[40];
	uint32_t options_len;
	uint32_t len;
	uint64_t offset; /* of the payload in its stream */
	bool bad_checksum;
	bool extended; /* IPv4 options; IPv6 hop-by-hop, routing and destination options */
	uint8_t ecn;   /* of the IP header */
};
/* One's complement sum of 16-bit words, written apart from the endpoint's. */
uint32_t box_sum(uint32_t sum, const uint8_t *at, uint32_t len);
/* Builds a frame as the peers of the tests send it: 198.51.100.1:40000 or 2001:db8::1, origin port 22. */
uint32_t box_build(uint8_t *bytes, const struct box_segment *segment);

void box_open(struct box *box, const struct tcp_config *config);
void box_close(struct box *box);
/* Gives the box a frame as the lcore does; forwarded ones come out of the other side's queue. */
enum tcp_verdict box_give(struct box *box, enum tcp_port_side from, const uint8_t *bytes, uint32_t len);
struct box_frame *box_take(struct box *box, enum tcp_port_side side);
struct box_frame *box_frame_new(const uint8_t *bytes, uint32_t len);
/* An ICMP "too big" of a router about the frame `about` (Ethernet, IPv4 or IPv6): its length in `bytes`. */
uint32_t box_build_too_big(uint8_t *bytes, const uint8_t *about, uint32_t len, uint32_t mtu);
/* The same, of a router that quotes `quoted_tcp` bytes of the segment. */
uint32_t box_build_quote(
    uint8_t *bytes, const uint8_t *about, uint32_t len, uint32_t mtu, uint32_t quoted_tcp);
/* tcp_tick and tcp_flush at now_us; the time of what is next. */
uint64_t box_turn(struct box *box);
/* The worker writes `len` bytes of its stream to a leg; returns how many found a slab. */
uint64_t box_write(struct box *box, unsigned leg, uint64_t len);
uint64_t box_conn_write(struct box *box, struct box_conn *conn, unsigned leg, uint64_t len);
bool box_say(struct box *box, uint16_t type, unsigned leg, uint64_t arg);
bool box_conn_say(struct box *box, struct box_conn *conn, uint16_t type, unsigned leg, uint64_t arg);
/* The worker dies; its slabs are whole again. */
void box_lose(struct box *box, int worker);
void box_ready(struct box *box);
/* invariants.c: what must hold of the shard's memory after each box_turn. NULL, or what does not. */
const char *box_invariant(const struct box *box);
/* The congestion window of a leg of the last flow opened, bytes. */
uint32_t box_cwnd(const struct box *box, unsigned leg);
/* How many records and chunks no flow has. */
void box_pools(const struct box *box, uint32_t *sent, uint32_t *chunks);

#endif
