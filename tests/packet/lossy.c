/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two boxes with a bad link between them: client - box - link - box - origin. The link loses, reorders,
 * duplicates, delays and corrupts as its seed says; both ends send and close. Everything must arrive, once
 * and in order, and both boxes must be empty afterwards.
 *
 *   lossy [FIRST [LAST]]    runs these seeds (default 1 500); LOSSY_TRACE=1 prints each frame of the link
 *   lossy each              a short exchange without any of this, but for each frame, and each pair, lost in
 * turn
 */
#include "tests/packet/box.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEQ_LT(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)) < 0)
#define TIME_LIMIT_US (3600ull * 1000000)

static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return below == 0 ? 0 : (uint32_t)((random_state >> 11) % below);
}

/* -- a model of a peer: a small TCP on a perfect link -- */

enum peer_state { PEER_CLOSED, PEER_SYN_SENT, PEER_SYN_RECEIVED, PEER_OPEN, PEER_RESET };

struct peer {
	bool client;
	enum peer_state state;
	uint32_t iss, irs;
	uint32_t snd_una, snd_nxt, snd_max, rcv_nxt, snd_edge;
	uint64_t to_send, received, acked;
	bool fin_sent, fin_acked, fin_received, ack_owed, stalled;
	uint64_t retry_us, stall_us, resend_us;
	uint32_t resend_una;
	bool sack, timestamps, scale;
	uint8_t peer_shift;
	uint16_t mss;
	uint32_t window;
	uint32_t last_ts;
};

struct world {
	struct box *box[2];
	struct peer peer[2]; /* 0 client, 1 origin */
	uint64_t now_us;
	uint8_t family, vlan_tags;
	unsigned loss, reorder, duplicate, corrupt; /* in 1/1000 */
	uint64_t delay_us, jitter_us;
	struct transit *transit;
	const char *wrong;
	bool trace;
	uint64_t frames;
	uint64_t drop[2]; /* numbers of frames that are lost, from 1 */
};

/* Frames on the bad link. */
struct transit {
	struct transit *next;
	uint64_t due;
	unsigned to; /* which box */
	struct box_frame *frame;
};

static uint32_t put_options(const struct world *w, struct peer *p, bool syn, uint8_t *at)
{
	uint32_t n = 0;
	uint32_t ts = (uint32_t)(w->now_us / 1000) + p->iss;

	if (syn) {
		memcpy(at, (uint8_t[]){2, 4, p->mss >> 8, p->mss & 0xff}, 4);
		n = 4;
		if (p->scale)
			memcpy(at + n, (uint8_t[]){1, 3, 3, 5}, 4), n += 4;
		if (p->sack)
			memcpy(at + n, (uint8_t[]){1, 1, 4, 2}, 4), n += 4;
	}
	if (p->timestamps) {
		memcpy(at + n,
		    (uint8_t[]){1, 1, 8, 10, ts >> 24, ts >> 16 & 0xff, ts >> 8 & 0xff, ts & 0xff,
		        p->last_ts >> 24, p->last_ts >> 16 & 0xff, p->last_ts >> 8 & 0xff, p->last_ts & 0xff},
		    12);
		n += 12;
	}
	return n;
}

static void peer_send(struct world *w, struct peer *p, uint8_t flags, uint32_t seq, uint32_t len)
{
	uint8_t bytes[BOX_FRAME_MAX];
	struct box_segment s = {
	    .family = w->family,
	    .vlan_tags = w->vlan_tags,
	    .vlan = {7, 8},
	    .from_client = p->client,
	    .seq = seq,
	    .ack = p->rcv_nxt,
	    .flags = flags,
	    .window = (uint16_t)(flags & TCP_SYN || !p->scale ? (p->window > 65535 ? 65535 : p->window)
	                                                      : p->window >> 5),
	    .len = len,
	    .offset = seq - p->iss - 1,
	};
	if (p->stalled)
		s.window = 0;
	s.options_len = put_options(w, p, flags & TCP_SYN, s.options);
	uint32_t n = box_build(bytes, &s);
	box_give(w->box[!p->client], p->client ? TCP_INSIDE : TCP_OUTSIDE, bytes, n);
}

static void peer_options(struct peer *p, const struct frame *f)
{
	const uint8_t *at = f->bytes + f->l4_offset + 20, *end = f->bytes + f->l4_offset + f->tcp_header_len;
	bool mss = false, sack = false, timestamps = false, scale = false;

	while (at < end && *at != 0) {
		if (*at == 1) {
			at++;
			continue;
		}
		if (*at == 2)
			mss = true,
			p->mss = p->mss < (at[2] << 8 | at[3]) ? p->mss : (uint16_t)(at[2] << 8 | at[3]);
		if (*at == 3)
			scale = true, p->peer_shift = at[2];
		if (*at == 4)
			sack = true;
		if (*at == 8)
			timestamps = true,
			p->last_ts = (uint32_t)at[2] << 24 | at[3] << 16 | at[4] << 8 | at[5];
		at += at[1];
	}
	(void)mss;
	if (f->tcp_flags & TCP_SYN) {
		p->sack = p->sack && sack;
		p->timestamps = p->timestamps && timestamps;
		p->scale = p->scale && scale;
		if (!p->scale)
			p->peer_shift = 0;
	}
}

static void peer_open(struct world *w, struct peer *p, const struct frame *f)
{
	if (!(f->tcp_flags & TCP_SYN))
		return;
	p->irs = f->seq;
	p->rcv_nxt = f->seq + 1;
	p->snd_edge = p->iss + 1 + f->tcp_window;
	if (p->client && (f->tcp_flags & TCP_ACK) && f->ack == p->iss + 1) {
		p->state = PEER_OPEN;
		p->snd_una = p->snd_nxt = p->snd_max = p->iss + 1;
		peer_options(p, f);
		p->ack_owed = true;
	} else if (!p->client && !(f->tcp_flags & TCP_ACK)) {
		if (p->state == PEER_CLOSED)
			peer_options(p, f);
		p->state = PEER_SYN_RECEIVED;
		peer_send(w, p, TCP_SYN | TCP_ACK, p->iss, 0);
		p->retry_us = w->now_us + 1000000;
	}
}

static void peer_text(struct world *w, struct peer *p, const struct frame *f)
{
	uint32_t skip = p->rcv_nxt - f->seq;
	const uint8_t *at = f->bytes + f->payload_offset;

	if (f->payload_len > 0 || (f->tcp_flags & TCP_FIN) || SEQ_LT(f->seq, p->rcv_nxt))
		p->ack_owed = true;
	if (SEQ_LT(p->rcv_nxt, f->seq)) {
		w->wrong = "a segment out of order on a perfect link";
		return;
	}
	if (skip <= f->payload_len) {
		for (uint32_t i = skip; i < f->payload_len; i++, p->received++)
			if (at[i] != box_byte(p->client ? 1 : 0, false, p->received))
				w->wrong = "a wrong byte arrived";
		p->rcv_nxt += f->payload_len - skip;
		if ((f->tcp_flags & TCP_FIN) && !p->fin_received) {
			p->fin_received = true;
			p->rcv_nxt++;
		}
	}
}

static void peer_receive(struct world *w, struct peer *p, const struct box_frame *frame)
{
	struct frame f;

	frame_parse(&f, frame->bytes, frame->len);
	if (f.kind != FRAME_TCP || f.vlan_tags != w->vlan_tags) {
		w->wrong = "a frame that is no segment, or of another VLAN";
		return;
	}
	if (!frame_checksum_ok(&f)) /* of the handshake, which passes end to end */
		return;
	if (f.tcp_flags & TCP_RST) {
		w->wrong = "a reset";
		p->state = PEER_RESET;
		return;
	}
	if (p->state != PEER_OPEN && p->state != PEER_SYN_RECEIVED) {
		peer_open(w, p, &f);
		return;
	}
	if (f.tcp_flags & TCP_SYN) {
		if (p->client)
			p->ack_owed = true;
		else
			peer_send(w, p, TCP_SYN | TCP_ACK, p->iss, 0);
		return;
	}
	if (p->state == PEER_SYN_RECEIVED && f.ack == p->iss + 1) {
		p->state = PEER_OPEN;
		p->snd_una = p->snd_nxt = p->snd_max = p->iss + 1;
	}
	peer_options(p, &f);
	if (SEQ_LT(p->snd_una, f.ack)) {
		if (SEQ_LT(p->snd_max, f.ack))
			w->wrong = "an ACK of what was not sent";
		if (SEQ_LT(p->snd_nxt, f.ack))
			p->snd_nxt = f.ack;
		p->snd_una = f.ack;
	}
	uint32_t edge = f.ack + ((uint32_t)f.tcp_window << p->peer_shift);
	/* Rounding by the scale may take back less than one unit (RFC 7323 2.4). */
	if (SEQ_LT(edge + (1u << p->peer_shift) - 1, p->snd_edge) && f.ack == p->snd_una)
		w->wrong = "the window's right edge moved left";
	if (SEQ_LT(p->snd_edge, edge))
		p->snd_edge = edge;
	if (p->snd_una == p->iss + (uint32_t)p->to_send + 2)
		p->fin_sent = p->fin_acked = true;
	peer_text(w, p, &f);
}

static void peer_turn(struct world *w, struct peer *p)
{
	if (p->state == PEER_SYN_SENT || p->state == PEER_SYN_RECEIVED) {
		if (w->now_us >= p->retry_us) {
			peer_send(w, p, p->client ? TCP_SYN : TCP_SYN | TCP_ACK, p->iss, 0);
			p->retry_us = w->now_us + 1000000;
		}
		return;
	}
	if (p->state != PEER_OPEN)
		return;
	/* A reader that stops for a while. */
	if (p->stalled && w->now_us >= p->stall_us) {
		p->stalled = false;
		p->ack_owed = true;
	} else if (!p->stalled && p->ack_owed && rnd(400) == 0) {
		p->stalled = true;
		p->stall_us = w->now_us + 1000 * (1 + rnd(3000));
	}
	/* The box may have had no memory for what came; go back to what it acknowledged. */
	if (p->snd_una != p->resend_una || p->snd_una == p->snd_nxt) {
		p->resend_una = p->snd_una;
		p->resend_us = w->now_us + 300000;
	} else if (w->now_us >= p->resend_us) {
		p->snd_nxt = p->snd_una;
		p->fin_sent = false;
		p->resend_us = w->now_us + 300000;
	}
	for (unsigned burst = 0; burst < 8; burst++) {
		uint64_t offset = p->snd_nxt - p->iss - 1;
		uint32_t room = SEQ_LT(p->snd_nxt, p->snd_edge) ? p->snd_edge - p->snd_nxt : 0;
		uint32_t n = 1 + rnd(10) < 3 ? 1 + rnd(p->mss) : p->mss;
		if (p->fin_sent)
			break;
		n = n < p->to_send - offset ? n : (uint32_t)(p->to_send - offset);
		n = n < room ? n : room;
		bool fin = offset + n == p->to_send && room > n;
		if (n == 0 && !fin)
			break;
		peer_send(w, p, TCP_ACK | (fin ? TCP_FIN : 0), p->snd_nxt, n);
		p->snd_nxt += n + fin;
		p->fin_sent = fin;
		if (SEQ_LT(p->snd_max, p->snd_nxt))
			p->snd_max = p->snd_nxt;
		p->ack_owed = false;
	}
	if (p->ack_owed)
		peer_send(w, p, TCP_ACK, p->snd_nxt, 0);
	p->ack_owed = false;
}

/* -- the bad link -- */

static void trace(const struct world *w, unsigned to, const struct box_frame *frame, const char *what)
{
	struct frame f;

	if (!w->trace)
		return;
	frame_parse(&f, frame->bytes, frame->len);
	printf("%10.3f ms to %s: flags %02x seq %u+%u ack %u win %u opt %u %s\n", (double)w->now_us / 1000,
	    to ? "origin" : "client", f.tcp_flags, f.seq, f.payload_len, f.ack, f.tcp_window,
	    f.tcp_header_len - 20, what);
}

static void link_put(struct world *w, unsigned to, struct box_frame *frame)
{
	struct transit *t = malloc(sizeof(*t)), **at = &w->transit;

	*t = (struct transit){.due = w->now_us + w->delay_us, .to = to, .frame = frame};
	if (rnd(1000) < w->reorder)
		t->due += rnd((uint32_t)w->jitter_us + 1);
	while (*at != NULL && (*at)->due <= t->due)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
}

static void link_send(struct world *w, unsigned to, struct box_frame *frame)
{
	w->frames++;
	if (rnd(1000) < w->loss || w->frames == w->drop[0] || w->frames == w->drop[1]) {
		trace(w, to, frame, "LOST");
		free(frame);
		return;
	}
	if (rnd(1000) < w->duplicate) {
		link_put(w, to, box_frame_new(frame->bytes, frame->len));
	}
	if (rnd(1000) < w->corrupt) {
		frame->bytes[14 + 4 * w->vlan_tags + rnd(frame->len - 14 - 4 * w->vlan_tags)] ^=
		    (uint8_t)(1 << rnd(8));
		trace(w, to, frame, "CORRUPT");
	} else {
		trace(w, to, frame, "");
	}
	link_put(w, to, frame);
}

/* Corruption may make a frame that is none of ours any more: that one is lost on the way. */
static void link_deliver(struct world *w)
{
	while (w->transit != NULL && w->transit->due <= w->now_us) {
		struct transit *t = w->transit;
		struct frame f;
		w->transit = t->next;
		frame_parse(&f, t->frame->bytes, t->frame->len);
		if (f.kind == FRAME_TCP && frame_checksum_ok(&f))
			box_give(w->box[t->to], t->to == 1 ? TCP_INSIDE : TCP_OUTSIDE, t->frame->bytes,
			    t->frame->len);
		else if (f.kind == FRAME_TCP && tcp_knows(w->box[t->to]->shard, 0, &f))
			box_give(w->box[t->to], t->to == 1 ? TCP_INSIDE : TCP_OUTSIDE, t->frame->bytes,
			    t->frame->len);
		free(t->frame);
		free(t);
	}
}

/* Box 0 is next to the client: its inside is the client, its outside the link. Box 1 the other way. */
static bool carry(struct world *w)
{
	struct box_frame *frame;
	bool any = false;

	while ((frame = box_take(w->box[0], TCP_OUTSIDE)) != NULL)
		link_send(w, 1, frame), any = true;
	while ((frame = box_take(w->box[1], TCP_INSIDE)) != NULL)
		link_send(w, 0, frame), any = true;
	for (unsigned i = 0; i < 2; i++)
		while ((frame = box_take(w->box[i], i == 0 ? TCP_INSIDE : TCP_OUTSIDE)) != NULL) {
			trace(w, i, frame, "near");
			peer_receive(w, &w->peer[i], frame);
			free(frame);
			any = true;
		}
	return any;
}

static bool finished(const struct world *w)
{
	for (unsigned i = 0; i < 2; i++)
		if (!w->peer[i].fin_acked || !w->peer[i].fin_received || w->box[i]->gone != 1 ||
		    tcp_counters(w->box[i]->shard)->flows != 0)
			return false;
	return w->transit == NULL;
}

static void world_open(struct world *w, uint64_t seed)
{
	struct tcp_config config;

	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned i = 0; i < 10; i++)
		rnd(1);
	*w = (struct world){.now_us = 1000000, .family = rnd(2) ? 4 : 6, .vlan_tags = (uint8_t)rnd(3)};
	w->trace = getenv("LOSSY_TRACE") != NULL;
	w->loss = (unsigned[]){0, 10, 50, 100, 200}[rnd(5)];
	w->reorder = (unsigned[]){0, 30, 300}[rnd(3)];
	w->duplicate = (unsigned[]){0, 10, 100}[rnd(3)];
	w->corrupt = (unsigned[]){0, 10, 50}[rnd(3)];
	w->delay_us = 100 + rnd(40000);
	w->jitter_us = rnd(20000);
	tcp_config_defaults(&config);
	config.flows = 4;
	config.seed[0] = seed;
	config.mtu = rnd(2) ? 1500 : 9000;
	if (seed % 2 != 0) /* every other one with a port that sums and cuts */
		config.offloads =
		    (struct tcp_offloads){.checksum = true, .frame_max = seed % 4 == 1 ? BOX_BUFFER_MAX : 0};
	config.receive_credit = (uint32_t[]){4096, 65536, 262144}[rnd(3)];
	config.send_credit = 512;
	config.reorder_total = 1 << 20;
	config.reorder_bytes = rnd(2) ? 262144 : 16384;
	config.sent_segments = 600;
	config.retransmit_limit = 200;
	config.time_wait_ms = 60000;
	config.fin_wait_ms = 3000000;
	config.handshake_ms = 300000;
	config.idle_keepalive_ms = 100000;
	bool sack = rnd(3) != 0, timestamps = rnd(3) != 0, scale = rnd(3) != 0;
	for (unsigned i = 0; i < 2; i++) {
		w->box[i] = malloc(sizeof(*w->box[i]));
		box_open(w->box[i], &config);
		w->box[i]->relay = true;
		w->peer[i] = (struct peer){
		    .client = i == 0,
		    .iss = rnd(2) ? rnd(UINT32_MAX) : UINT32_MAX - rnd(100000),
		    .to_send = rnd(4) ? rnd(400000) : rnd(3),
		    .sack = sack,
		    .timestamps = timestamps,
		    .scale = scale,
		    .mss = (uint16_t)(rnd(2) ? 1460 : 200 + rnd(8700)),
		    .window = 2000 + rnd(60000) * (scale ? 8 : 1),
		};
	}
	w->peer[0].state = PEER_SYN_SENT;
}

static void world_close(struct world *w)
{
	for (struct transit *t; (t = w->transit) != NULL;) {
		w->transit = t->next;
		free(t->frame);
		free(t);
	}
	for (unsigned i = 0; i < 2; i++) {
		box_close(w->box[i]);
		free(w->box[i]);
	}
}

static void report(const struct world *w, uint64_t seed, const char *why)
{
	printf("seed %" PRIu64 ": %s at %.3f s (IPv%u, loss %u, reorder %u, dup %u, corrupt %u per mille)\n",
	    seed, why, (double)w->now_us / 1e6, w->family, w->loss, w->reorder, w->duplicate, w->corrupt);
	for (unsigned i = 0; i < 2; i++)
		printf("  %s: received %" PRIu64 " of %" PRIu64
		       ", state %d fin sent %d acked %d received %d; box: flows "
		       "%" PRIu64 " gone %u got %" PRIu64 "/%" PRIu64 " written %" PRIu64 "/%" PRIu64 "\n",
		    i ? "origin" : "client", w->peer[i].received, w->peer[!i].to_send, w->peer[i].state,
		    w->peer[i].fin_sent, w->peer[i].fin_acked, w->peer[i].fin_received,
		    tcp_counters(w->box[i]->shard)->flows, w->box[i]->gone, w->box[i]->leg[0].got,
		    w->box[i]->leg[1].got, w->box[i]->leg[0].written, w->box[i]->leg[1].written);
}

/* Runs a world to its end; false: something was wrong, and was printed. */
static bool world_run(struct world *w, uint64_t seed)
{
	bool ok = false;

	while (w->now_us < TIME_LIMIT_US) {
		uint64_t next = w->now_us + 60000000;
		link_deliver(w);
		for (unsigned i = 0; i < 2; i++)
			peer_turn(w, &w->peer[i]);
		for (unsigned i = 0; i < 2; i++) {
			w->box[i]->now_us = w->now_us;
			uint64_t due = box_turn(w->box[i]);
			next = due < next ? due : next;
			if (w->box[i]->wrong_bytes)
				w->wrong = "the worker got wrong bytes";
			const char *broken = box_invariant(w->box[i]);
			if (broken != NULL)
				w->wrong = broken;
		}
		bool moved = carry(w);
		if (w->wrong != NULL || (ok = finished(w)))
			break;
		for (unsigned i = 0; i < 2; i++) {
			const struct peer *p = &w->peer[i];
			if (p->ack_owed)
				moved = true;
			if (p->retry_us > w->now_us && p->state < PEER_OPEN && p->retry_us < next)
				next = p->retry_us;
			if (p->stalled && p->stall_us < next)
				next = p->stall_us;
			if (p->state == PEER_OPEN && p->snd_una != p->snd_nxt && p->resend_us < next)
				next = p->resend_us;
		}
		if (w->transit != NULL && w->transit->due < next)
			next = w->transit->due;
		w->now_us = moved || next <= w->now_us ? w->now_us + 50 : next;
	}
	if (ok && (w->peer[0].received != w->peer[1].to_send || w->peer[1].received != w->peer[0].to_send))
		w->wrong = "not all arrived";
	if (w->wrong != NULL || !ok)
		report(w, seed, w->wrong != NULL ? w->wrong : "not finished");
	ok = ok && w->wrong == NULL;
	for (unsigned i = 0; ok && i < 2; i++)
		if (w->box[i]->free_count != BOX_SLABS) {
			report(w, seed, "slabs were not given back");
			ok = false;
		}
	return ok;
}

static bool run(uint64_t seed)
{
	struct world w;

	world_open(&w, seed);
	bool ok = world_run(&w, seed);
	world_close(&w);
	return ok;
}

/* One exchange with frames `first` and `second` lost; how many frames the link carried in all. */
static bool run_without(unsigned variant, uint64_t first, uint64_t second, uint64_t *frames)
{
	struct world w;

	world_open(&w, 1 + variant);
	w.loss = w.reorder = w.duplicate = w.corrupt = 0;
	w.delay_us = 10000;
	w.drop[0] = first;
	w.drop[1] = second;
	for (unsigned i = 0; i < 2; i++) {
		w.peer[i].to_send = i == 0 ? 9000 : 5000;
		w.peer[i].mss = 1000;
		w.peer[i].sack = variant & 1;
		w.peer[i].timestamps = variant & 2;
		w.peer[i].scale = variant & 4;
	}
	bool ok = world_run(&w, variant);
	if (!ok)
		printf("  variant %u, without frames %" PRIu64 " and %" PRIu64 "\n", variant, first, second);
	*frames = w.frames;
	world_close(&w);
	return ok;
}

static int run_each(void)
{
	unsigned runs = 0, failed = 0;
	uint64_t frames, ignored;

	for (unsigned variant = 0; variant < 8; variant++) {
		failed += !run_without(variant, 0, 0, &frames);
		for (uint64_t first = 1; first <= frames; first++)
			for (uint64_t second = first; second <= frames + 2; second++, runs++)
				failed += !run_without(variant, first, second, &ignored);
	}
	printf("lossy each: %u exchanges, %u failed\n", runs, failed);
	return failed != 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "each") == 0)
		return run_each();
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? first : 500;
	unsigned failed = 0;

	for (uint64_t seed = first; seed <= last; seed++)
		failed += !run(seed);
	printf("lossy: seeds %" PRIu64 " to %" PRIu64 ", %u failed\n", first, last, failed);
	return failed != 0;
}
