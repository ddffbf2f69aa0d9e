/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer: a model of a TCP beside a box, on a perfect link: it sends its stream and a FIN, or an RST, reads
 * with pauses, and is strict about what it gets: bytes, order, windows, acknowledgements, timestamps.
 */
#ifndef TESTS_PACKET_PEER_H
#define TESTS_PACKET_PEER_H

#include "tests/packet/box.h"
#include "tests/packet/seeded.h"

#define PEER_NEVER UINT64_MAX

enum peer_state { PEER_CLOSED, PEER_SYN_SENT, PEER_SYN_RECEIVED, PEER_OPEN, PEER_RESET };

struct peer {
	/* set by the test */
	struct box *box;
	struct seeded *random;
	bool client;
	uint8_t family, vlan_tags;
	uint16_t port; /* the client's */
	uint32_t iss;
	uint64_t to_send;
	bool sack, timestamps, scale;
	uint16_t mss;
	uint32_t window;
	uint64_t abort_at; /* sends an RST once it has sent or received so many bytes; PEER_NEVER */

	/* its own */
	enum peer_state state;
	const char *wrong; /* what the box did wrong */
	bool was_reset;    /* by the other side */
	uint32_t irs;
	uint32_t snd_una, snd_nxt, snd_max, rcv_nxt, snd_edge, rcv_edge;
	uint64_t received;
	bool fin_sent, fin_acked, fin_received, ack_owed, stalled;
	uint64_t retry_us, stall_us, resend_us;
	uint32_t resend_una;
	uint8_t peer_shift;
	uint16_t announced; /* the MSS that the other side was told */
	uint32_t last_ts;
	bool ts_seen;
};

/* A frame that the box sent to this peer's side. False: it is not this peer's (another port, or damaged). */
bool peer_receive(struct peer *p, const struct box_frame *frame);
/* Sends what it may send at box->now_us. Returns when it wants the next turn: PEER_NEVER, or a time. */
uint64_t peer_turn(struct peer *p);
/* Sent all, received a FIN, and all is acknowledged; or reset. */
bool peer_finished(const struct peer *p);

#endif
