/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/packet/peer.h"

#include <string.h>

#define SEQ_LT(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)) < 0)

enum { SHIFT = 5, RETRY_US = 1000000, RESEND_US = 300000, BURST = 8, OUTSIDE = 1 << 29 };

static void put_u32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24), at[1] = (uint8_t)(v >> 16), at[2] = (uint8_t)(v >> 8), at[3] = (uint8_t)v;
}

static uint32_t put_options(const struct peer *p, bool syn, uint8_t *at)
{
	uint32_t n = 0;

	if (syn) {
		memcpy(at, (uint8_t[]){2, 4, (uint8_t)(p->mss >> 8), (uint8_t)p->mss}, 4);
		n = 4;
		if (p->scale)
			memcpy(at + n, (uint8_t[]){1, 3, 3, SHIFT}, 4), n += 4;
		if (p->sack)
			memcpy(at + n, (uint8_t[]){1, 1, 4, 2}, 4), n += 4;
	}
	if (p->timestamps) {
		memcpy(at + n, (uint8_t[]){1, 1, 8, 10}, 4);
		put_u32(at + n + 4, (uint32_t)(p->box->now_us / 1000) + p->iss);
		put_u32(at + n + 8, p->last_ts);
		n += 12;
	}
	return n;
}

static void peer_send(struct peer *p, uint8_t flags, uint32_t seq, uint32_t len)
{
	uint8_t bytes[BOX_FRAME_MAX];
	uint32_t offered = p->stalled ? 0 : p->window;
	struct box_segment s = {
	    .family = p->family,
	    .vlan_tags = p->vlan_tags,
	    .vlan = {7, 8},
	    .from_client = p->client,
	    .port = p->port,
	    .seq = seq,
	    .ack = flags & TCP_ACK ? p->rcv_nxt : 0,
	    .flags = flags,
	    .len = len,
	    .offset = seq - p->iss - 1,
	};
	if (flags & TCP_SYN || !p->scale)
		s.window = (uint16_t)(offered > 65535 ? 65535 : offered);
	else
		s.window = (uint16_t)(offered >> SHIFT);
	uint32_t edge = p->rcv_nxt + ((uint32_t)s.window << (flags & TCP_SYN || !p->scale ? 0 : SHIFT));
	if (SEQ_LT(p->rcv_edge, edge))
		p->rcv_edge = edge;
	s.options_len = flags & TCP_RST ? 0 : put_options(p, flags & TCP_SYN, s.options);
	uint32_t n = box_build(bytes, &s);
	box_give(p->box, p->client ? TCP_INSIDE : TCP_OUTSIDE, bytes, n);
}

static void take_timestamp(struct peer *p, const uint8_t *at)
{
	uint32_t ts = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];

	if (p->ts_seen && SEQ_LT(ts, p->last_ts))
		p->wrong = "TSval went back";
	p->last_ts = ts;
	p->ts_seen = true;
}

static void take_options(struct peer *p, const struct frame *f)
{
	const uint8_t *at = f->bytes + f->l4_offset + 20, *end = f->bytes + f->l4_offset + f->tcp_header_len;
	bool sack = false, timestamps = false, scale = false;

	if (p->announced == 0)
		p->announced = p->mss;
	while (at < end && *at != 0) {
		if (*at == 1) {
			at++;
			continue;
		}
		if (*at == 2 && p->mss > (at[2] << 8 | at[3]))
			p->mss = (uint16_t)(at[2] << 8 | at[3]);
		if (*at == 3)
			scale = true, p->peer_shift = at[2];
		if (*at == 4)
			sack = true;
		if (*at == 8 && p->timestamps) {
			timestamps = true;
			take_timestamp(p, at + 2);
		}
		if (*at == 5 && !p->sack)
			p->wrong = "SACK that was not agreed on";
		at += at[1];
	}
	if (f->tcp_flags & TCP_SYN) {
		p->sack = p->sack && sack;
		p->timestamps = p->timestamps && timestamps;
		p->scale = p->scale && scale;
		if (!p->scale)
			p->peer_shift = 0;
	} else if (p->timestamps != timestamps && !(f->tcp_flags & TCP_RST)) {
		p->wrong = "timestamps were agreed on and are missing";
	}
}

static void begin(struct peer *p)
{
	p->state = PEER_OPEN;
	p->snd_una = p->snd_nxt = p->snd_max = p->resend_una = p->iss + 1;
}

static void peer_handshake(struct peer *p, const struct frame *f)
{
	if (!(f->tcp_flags & TCP_SYN))
		return;
	if (p->client && (f->tcp_flags & TCP_ACK) && f->ack == p->iss + 1) {
		take_options(p, f);
		begin(p);
		p->ack_owed = true;
	} else if (!p->client && !(f->tcp_flags & TCP_ACK)) {
		if (p->state == PEER_CLOSED)
			take_options(p, f);
		p->state = PEER_SYN_RECEIVED;
		p->retry_us = p->box->now_us + RETRY_US;
	} else {
		return;
	}
	p->irs = f->seq;
	p->rcv_nxt = p->rcv_edge = f->seq + 1;
	p->snd_edge = p->iss + 1 + f->tcp_window;
	if (!p->client)
		peer_send(p, TCP_SYN | TCP_ACK, p->iss, 0);
}

static void take_ack(struct peer *p, const struct frame *f)
{
	if (SEQ_LT(p->snd_una, f->ack)) {
		if (SEQ_LT(p->snd_max, f->ack))
			p->wrong = "an ACK of what was not sent";
		if (SEQ_LT(p->snd_nxt, f->ack))
			p->snd_nxt = f->ack;
		p->snd_una = f->ack;
	}
	uint32_t edge = f->ack + ((uint32_t)f->tcp_window << p->peer_shift);
	/* Rounding by the scale may take back less than one unit (RFC 7323 2.4). */
	if (SEQ_LT(edge + (1u << p->peer_shift) - 1, p->snd_edge) && f->ack == p->snd_una)
		p->wrong = "the window's right edge moved left";
	if (SEQ_LT(p->snd_edge, edge))
		p->snd_edge = edge;
	if (p->snd_una == p->iss + (uint32_t)p->to_send + 2)
		p->fin_sent = p->fin_acked = true;
}

static void take_text(struct peer *p, const struct frame *f)
{
	uint32_t skip = p->rcv_nxt - f->seq, end = f->seq + f->payload_len;
	const uint8_t *at = f->bytes + f->payload_offset;

	if (f->payload_len > 0 || (f->tcp_flags & TCP_FIN) || SEQ_LT(f->seq, p->rcv_nxt))
		p->ack_owed = true;
	if (f->payload_len > 0 && SEQ_LT(p->rcv_edge, end))
		p->wrong = "bytes beyond the window";
	if (f->payload_len > 0 && f->payload_len > p->announced)
		p->wrong = "a segment larger than the MSS";
	if (SEQ_LT(p->rcv_nxt, f->seq)) {
		p->wrong = "a segment out of order on a perfect link";
		return;
	}
	if (skip > f->payload_len)
		return;
	for (uint32_t i = skip; i < f->payload_len; i++, p->received++)
		if (at[i] != box_byte(p->client ? 1 : 0, false, p->received))
			p->wrong = "a wrong byte arrived";
	if (p->fin_received && skip < f->payload_len)
		p->wrong = "bytes behind the FIN";
	p->rcv_nxt += f->payload_len - skip;
	if ((f->tcp_flags & TCP_FIN) && !p->fin_received) {
		p->fin_received = true;
		p->rcv_nxt++;
	}
}

static void peer_established(struct peer *p, const struct frame *f)
{
	if (f->tcp_flags & TCP_SYN) {
		if (p->client)
			p->ack_owed = true;
		else
			peer_send(p, TCP_SYN | TCP_ACK, p->iss, 0);
		return;
	}
	if (p->state == PEER_SYN_RECEIVED) {
		if (!(f->tcp_flags & TCP_ACK) || f->ack - p->iss - 1 != 0)
			return;
		begin(p);
	}
	/* A box that lost the connection asks where we stand, with a number from outside any window. */
	if (SEQ_LT(f->seq, p->rcv_nxt - OUTSIDE)) {
		p->ack_owed = true;
		return;
	}
	take_options(p, f);
	take_ack(p, f);
	take_text(p, f);
}

static bool addressed(const struct peer *p, const struct frame *f)
{
	uint8_t bytes[BOX_FRAME_MAX];
	struct box_segment own = {.family = p->family, .from_client = p->client};
	struct frame mine;

	frame_parse(&mine, bytes, box_build(bytes, &own));
	return f->family == p->family && memcmp(f->src, mine.dst, sizeof(f->src)) == 0 &&
	       memcmp(f->dst, mine.src, sizeof(f->dst)) == 0;
}

bool peer_receive(struct peer *p, const struct box_frame *frame)
{
	struct frame f;

	frame_parse(&f, frame->bytes, frame->len);
	/* What was damaged before the box and is none of its segments any more goes on as it is. */
	if (!addressed(p, &f) || f.kind != FRAME_TCP || f.vlan_tags != p->vlan_tags ||
	    (p->client ? f.dport : f.sport) != p->port || (p->client ? f.sport : f.dport) != 22 ||
	    !frame_checksum_ok(&f))
		return false;
	if (p->state == PEER_RESET || (p->state == PEER_CLOSED && !(f.tcp_flags & TCP_SYN))) {
		if (!(f.tcp_flags & TCP_RST) && (f.tcp_flags & TCP_ACK))
			peer_send(p, TCP_RST, f.ack, 0);
	} else if (f.tcp_flags & TCP_RST) {
		/* RFC 5961: only the exact number counts. */
		bool opening = p->state != PEER_OPEN && p->state != PEER_SYN_RECEIVED;
		if (opening ? f.ack == p->iss + 1 : f.seq == p->rcv_nxt) {
			p->state = PEER_RESET;
			p->was_reset = true;
		} else if (!opening) {
			p->ack_owed = true;
		}
	} else if (p->state == PEER_OPEN || p->state == PEER_SYN_RECEIVED) {
		peer_established(p, &f);
	} else {
		peer_handshake(p, &f);
	}
	return true;
}

/* A reader that stops for a while. */
static void stall(struct peer *p)
{
	uint64_t now = p->box->now_us;

	if (p->stalled && now >= p->stall_us) {
		p->stalled = false;
		p->ack_owed = true;
	} else if (!p->stalled && p->ack_owed && seeded_below(p->random, 400) == 0) {
		p->stalled = true;
		p->stall_us = now + 1000ull * (1 + seeded_below(p->random, 3000));
	}
}

static void send_text(struct peer *p)
{
	for (unsigned burst = 0; burst < BURST; burst++) {
		uint64_t offset = p->snd_nxt - p->iss - 1;
		uint32_t room = SEQ_LT(p->snd_nxt, p->snd_edge) ? p->snd_edge - p->snd_nxt : 0;
		uint32_t full = p->mss - (p->timestamps ? 12u : 0u);
		uint32_t n = seeded_below(p->random, 10) < 2 ? 1 + seeded_below(p->random, full) : full;
		if (p->fin_sent)
			break;
		n = n < p->to_send - offset ? n : (uint32_t)(p->to_send - offset);
		n = n < room ? n : room;
		bool fin = offset + n == p->to_send && room > n;
		if (n == 0 && !fin)
			break;
		peer_send(p, TCP_ACK | (fin ? TCP_FIN : 0), p->snd_nxt, n);
		p->snd_nxt += n + fin;
		p->fin_sent = fin;
		if (SEQ_LT(p->snd_max, p->snd_nxt))
			p->snd_max = p->snd_nxt;
		p->ack_owed = false;
	}
}

static uint64_t opening_turn(struct peer *p)
{
	if (p->state != PEER_SYN_SENT && p->state != PEER_SYN_RECEIVED)
		return PEER_NEVER;
	if (p->box->now_us >= p->retry_us) {
		peer_send(p, p->client ? TCP_SYN : TCP_SYN | TCP_ACK, p->iss, 0);
		p->retry_us = p->box->now_us + RETRY_US;
	}
	return p->retry_us;
}

uint64_t peer_turn(struct peer *p)
{
	uint64_t now = p->box->now_us;

	if (p->state != PEER_OPEN)
		return opening_turn(p);
	if (!peer_finished(p) && (p->snd_max - p->iss - 1 >= p->abort_at || p->received >= p->abort_at)) {
		peer_send(p, TCP_RST | TCP_ACK, p->snd_nxt, 0);
		p->state = PEER_RESET;
		return PEER_NEVER;
	}
	stall(p);
	/* The box may have had no memory for what came; go back to what it acknowledged. */
	if (p->snd_una != p->resend_una || p->snd_una == p->snd_nxt) {
		p->resend_una = p->snd_una;
		p->resend_us = now + RESEND_US;
	} else if (now >= p->resend_us) {
		p->snd_nxt = p->snd_una;
		p->fin_sent = false;
		p->resend_us = now + RESEND_US;
	}
	send_text(p);
	if (p->ack_owed)
		peer_send(p, TCP_ACK, p->snd_nxt, 0);
	p->ack_owed = false;
	uint64_t next = p->stalled ? p->stall_us : PEER_NEVER;
	return p->snd_una != p->snd_nxt && p->resend_us < next ? p->resend_us : next;
}

bool peer_finished(const struct peer *p)
{
	return p->state == PEER_RESET || (p->fin_acked && p->fin_received);
}
