/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths: a TCP shard and many clients, each behind a path of its own length that loses nothing, under virtual
 * time. A client sends as fast as its congestion window (doubling each round trip up to `cwnd_max`) and the
 * box's window let it, at the rate of its link; it acknowledges what it gets at once. Origins only shake
 * hands and live. Workers consume at once, or not at all, and fill the slabs that they may have out.
 */
#ifndef TESTS_PACKET_PATHS_H
#define TESTS_PACKET_PATHS_H

#include "tests/packet/box.h"

#define PATHS_MAX 64
#define PATHS_WORKERS 2
#define PATHS_SLABS 4096
#define PATHS_MSS 1448

struct paths_packet {
	uint64_t at_us; /* arrives */
	uint32_t seq, ack, len, window, tsval, tsecr;
	uint8_t flags;
};
/* What is on its way in one direction. */
struct paths_pipe {
	struct paths_packet *ring;
	uint32_t size, head, count;
};

struct paths_client {
	uint64_t flow;
	int worker;
	uint64_t delay_us; /* one way; may change on the way */
	uint64_t link_bytes_s,
	    link_free_ns; /* its link takes so many bytes a second, 0: any; and is free then */
	struct paths_pipe to_box, to_client;
	/* sending */
	uint32_t nxt, una, edge;
	uint32_t cwnd, cwnd_max;
	uint64_t to_send; /* bytes; 0: silent */
	/* receiving */
	uint32_t rcv_nxt, window; /* what it offers, bytes */
	uint32_t tsecr;
	bool mute;         /* acknowledges nothing */
	bool origin_asked; /* its origin is to answer a keepalive probe */
	/* its worker's side */
	uint64_t got, consumed;
	bool stalled;                               /* does not consume */
	bool writes;                                /* bytes for the client without end */
	uint32_t slabs_told, slabs_most, slabs_out; /* slabs_most: of all that it was told */
	bool reset, gone;
};

struct paths {
	struct tcp_shard *shard;
	struct tcp_config config;
	uint64_t now_us, due_us;
	bool timestamps;
	unsigned clients;
	struct paths_client client[PATHS_MAX];
	bool full[PATHS_WORKERS]; /* this worker's channel takes nothing */
	uint64_t there_most;      /* bytes with the workers at once */
	uint32_t free_slabs[PATHS_WORKERS][PATHS_SLABS], free_count[PATHS_WORKERS];
	uint32_t slab_client[PATHS_WORKERS][PATHS_SLABS];
};

void paths_config(struct tcp_config *config);
void paths_open(struct paths *paths, const struct tcp_config *config);
void paths_close(struct paths *paths);
/* Shakes hands through the box; its flow goes to `worker`. */
struct paths_client *paths_client(struct paths *paths, uint64_t delay_us, int worker);
/* A segment of a client at this moment, whatever its state: bytes [offset, offset + len) of its stream. */
void paths_segment(struct paths *paths, struct paths_client *client, uint32_t offset, uint32_t len);
/* The handshake of client `number` of any number, and nothing more; `ack`: up to its end. */
void paths_handshake(struct paths *paths, uint32_t number, bool ack);
/* The client begins to send, or to send more. */
void paths_send(struct paths *paths, struct paths_client *client, uint64_t bytes);
/* A slab of the worker's, beyond what it may have out. False: it broke the rules. */
bool paths_put(struct paths *paths, struct paths_client *client);
void paths_run(struct paths *paths, uint64_t us);
/* The endpoint's leg towards the client. */
struct tcp_leg *paths_leg(struct paths *paths, const struct paths_client *client);

#endif
