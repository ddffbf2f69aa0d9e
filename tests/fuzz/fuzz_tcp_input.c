/* SPDX-License-Identifier: Apache-2.0 */
/* sources: tests/packet/box.c tests/packet/nic.c tests/packet/invariants.c dataplane/frame.c
 * dataplane/tcp/*.c; deps: slab wire */
/*
 * A live adopted connection, then whatever the input says: arbitrary frames, segments near the numbers that
 * matter, ICMP errors, words and moods of the worker, time. Nothing may crash; after each step the shard's
 * memory must be whole (box_invariant); no byte may be wrong, on its way in or out; and when all is over,
 * every flow, record, chunk and slab must be back.
 *
 * The shard is made once a configuration and used again: it is empty when a run ends, or the run has failed.
 *
 * Input: u8 configuration (enum start), then records of {u8 what, u8 len, len bytes}.
 */
#include "dataplane/tcp/flow.h"
#include "tests/packet/box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum start {
	START_V6 = 1,
	START_POOR = 2, /* little credit, few records and chunks */
	START_OFFLOADS = 4,
	START_TAGGED = 8,
	START_RAW = 16,   /* no connection yet; the bytes of streams are not known */
	START_PLAIN = 32, /* neither SACK nor timestamps nor scale */
	START_WRAP = 64,  /* numbers wrap soon */
	START_NEWRENO = 128,
	BOXES = 8
};

struct run {
	struct box *box;
	uint8_t start;
	uint32_t isn[2];
};

#if defined(__clang__) /* a fuzzer shall be led by what it tests, and not pay for this */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#endif

static void broken(const char *what)
{
	fprintf(stderr, "tcp_input: %s\n", what);
	abort();
}

static uint32_t seq_of(const struct run *r, unsigned from)
{
	return r->isn[from] + 1;
}

/* The flow of connection 0 where it is adopted. */
static struct tcp_flow *flow_now(const struct run *r)
{
	const struct box_conn *conn = &r->box->conn[0];
	struct tcp_flow *flow = &r->box->shard->flows[(uint32_t)conn->flow];

	return conn->opened > 0 && flow_id(r->box->shard, flow) == conn->flow && flow->state == FLOW_ADOPTED
	           ? flow
	           : NULL;
}

/* -- what leaves -- */

static void check_frame(const struct run *r, unsigned side, const struct box_frame *frame)
{
	const struct tcp_flow *flow = flow_now(r);
	struct flow_key key;
	struct frame f;

	frame_parse(&f, frame->bytes, frame->len);
	/* Forwarded frames may be anything; those of an adopted flow are ours. */
	if (f.kind != FRAME_TCP || flow == NULL)
		return;
	flow_key_of(&key, 0, &f);
	if (memcmp(&key, &flow->key, sizeof(key)) != 0)
		return;
	if (!frame_checksum_ok(&f) || f.len != f.l2_len + f.ip_len)
		broken("a segment with a wrong checksum or length left");
	if ((f.tcp_flags & (TCP_SYN | TCP_RST)) || (r->start & START_RAW) || r->box->conn[0].opened != 1)
		return;
	const struct tcp_leg *leg = &flow->leg[side];
	if (SEQ_GT(f.seq + f.payload_len, leg->snd_end + 1))
		broken("a segment beyond what the worker gave left");
	for (uint32_t i = 0; i < f.payload_len; i++)
		if (f.bytes[f.payload_offset + i] != box_byte(side, true, f.seq - seq_of(r, !side) + i))
			broken("a wrong byte left");
}

static void check(const struct run *r)
{
	struct box_frame *frame;

	for (unsigned side = 0; side < 2; side++)
		while ((frame = box_take(r->box, side)) != NULL) {
			check_frame(r, side, frame);
			free(frame);
		}
	const char *wrong = box_invariant(r->box);
	if (wrong != NULL)
		broken(wrong);
	if (r->box->wrong_bytes)
		broken("the worker was told something wrong");
}

/* -- segments -- */

static void put_u32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24), at[1] = (uint8_t)(v >> 16), at[2] = (uint8_t)(v >> 8), at[3] = (uint8_t)v;
}

static struct box_segment shape(const struct run *r, bool from_client)
{
	return (struct box_segment){.family = r->start & START_V6 ? 6 : 4,
	    .vlan_tags = r->start & START_TAGGED ? 2 : 0,
	    .vlan = {7, 8},
	    .from_client = from_client,
	    .window = 1000};
}

static void give(const struct run *r, struct box_segment *s, bool wrong_side)
{
	uint8_t bytes[BOX_FRAME_MAX];
	uint32_t n = box_build(bytes, s);

	box_give(r->box, s->from_client != wrong_side ? TCP_INSIDE : TCP_OUTSIDE, bytes, n);
}

static void add_timestamps(struct box_segment *s, uint32_t tsval, uint32_t tsecr)
{
	uint8_t *at = s->options + s->options_len;

	memcpy(at, (uint8_t[]){1, 1, 8, 10}, 4);
	put_u32(at + 4, tsval);
	put_u32(at + 8, tsecr);
	s->options_len += 12;
}

static void handshake(struct run *r, uint16_t port, uint8_t scale, uint8_t steps)
{
	static const uint8_t FLAGS[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};

	for (unsigned i = 0; i < 3; i++) {
		struct box_segment s = shape(r, i != 1);
		if (!(steps >> i & 1))
			continue;
		s.port = port;
		s.flags = FLAGS[i];
		s.seq = i == 1 ? r->isn[1] : r->isn[0] + (i == 2);
		s.ack = i == 0 ? 0 : i == 1 ? r->isn[0] + 1 : r->isn[1] + 1;
		memcpy(s.options, (uint8_t[]){2, 4, 5, 180, 1, 3, 3, scale, 1, 1, 4, 2}, 12);
		s.options_len = i == 2 ? 0 : r->start & START_PLAIN ? 4 : 12;
		if (!(r->start & START_PLAIN))
			add_timestamps(&s, 1000, 0);
		give(r, &s, false);
	}
}

/* A distance from a number that matters: small ones, and far ones. */
static uint32_t near(uint8_t v)
{
	int32_t low = (int8_t)(v << 2) / 4; /* 6 bits, signed */

	return (uint32_t)low << (unsigned[]){0, 5, 10, 26}[v >> 6];
}

static uint8_t byte(const uint8_t *at, uint32_t len, uint32_t i)
{
	return i < len ? at[i] : 0;
}

static void add_sack(const struct tcp_leg *leg, struct box_segment *s, const uint8_t *at, uint32_t len)
{
	uint8_t *to = s->options + s->options_len;
	unsigned n = s->options_len > 0 ? 3 : 4;
	uint32_t flight = leg->snd_nxt - leg->snd_una;

	if (len / 2 < n)
		n = len / 2;
	if (n == 0)
		return;
	memcpy(to, (uint8_t[]){1, 1, 5, (uint8_t)(2 + 8 * n)}, 4);
	for (unsigned i = 0; i < n; i++) {
		/* Mostly at the edges of segments; else anywhere, and below or beyond. */
		uint32_t unit = at[2 * i] & 0x80 ? 1 + flight / 64 : leg->mss;
		uint32_t start = leg->snd_una + (uint32_t)((int8_t)(at[2 * i] << 1) / 2) * unit;
		put_u32(to + 4 + 8 * i, start);
		put_u32(to + 8 + 8 * i, start + at[2 * i + 1] * unit);
	}
	s->options_len += 4 + 8 * n;
}

/* {from and whims, flags, window, length, near seq, near ack, near TSval, near TSecr, SACK blocks …} */
static void segment(const struct run *r, const uint8_t *at, uint32_t len)
{
	struct tcp_flow *flow = flow_now(r);
	uint8_t whims = byte(at, len, 0);
	unsigned from = whims & 1;
	struct box_segment s = shape(r, from == 0);
	const struct tcp_leg *leg = flow != NULL ? &flow->leg[from] : NULL;
	uint64_t now_us = r->box->now_us;

	s.flags = whims & 2 ? byte(at, len, 1) : TCP_ACK | (byte(at, len, 1) & (TCP_FIN | TCP_PSH | TCP_URG));
	s.window = (uint16_t)(byte(at, len, 2) << (whims & 4 ? 0 : 6));
	s.len = (uint32_t)byte(at, len, 3) * (whims & 8 ? 34u : 1u);
	s.seq = (leg != NULL ? leg->rcv_nxt : seq_of(r, from)) + near(byte(at, len, 4));
	s.ack = (leg != NULL ? leg->snd_nxt : seq_of(r, !from)) + near(byte(at, len, 5));
	if (leg != NULL && byte(at, len, 5) == 0x20) /* one segment of what is out */
		s.ack = leg->sent_head == NONE ? leg->snd_una
		                               : r->box->shard->sent[leg->sent_head].seq +
		                                     r->box->shard->sent[leg->sent_head].len;
	if (leg != NULL && byte(at, len, 5) == 0x3f)
		s.ack = leg->snd_una;
	s.bad_checksum = byte(at, len, 1) == 0xff;
	s.offset = s.seq - seq_of(r, from);
	if (leg != NULL && (leg->flags & LEG_TIMESTAMPS) && !(whims & 16))
		add_timestamps(&s, leg->ts_recent + near(byte(at, len, 6)),
		    leg_timestamp(leg, now_us) + near(byte(at, len, 7)));
	if (leg != NULL && len > 8)
		add_sack(leg, &s, at + 8, len - 8);
	give(r, &s, (whims & 96) == 96);
}

/* Whatever the options are. */
static void odd_options(const struct run *r, const uint8_t *at, uint32_t len)
{
	struct tcp_flow *flow = flow_now(r);
	struct box_segment s = shape(r, (byte(at, len, 0) & 1) == 0);
	unsigned from = byte(at, len, 0) & 1;

	s.flags = byte(at, len, 1);
	s.port = (uint16_t)(40000 + (byte(at, len, 0) >> 1 & 3));
	s.seq = flow != NULL ? flow->leg[from].rcv_nxt : r->isn[from];
	s.ack = flow != NULL ? flow->leg[from].snd_nxt : seq_of(r, !from);
	for (uint32_t i = 2; i < len && s.options_len < sizeof(s.options); i++)
		s.options[s.options_len++] = at[i];
	while (s.options_len % 4 != 0)
		s.options[s.options_len++] = 1;
	give(r, &s, false);
}

/* {leg, MTU, MTU, near seq} */
static void too_big(const struct run *r, const uint8_t *at, uint32_t len)
{
	struct tcp_flow *flow = flow_now(r);
	unsigned leg = byte(at, len, 0) & 1;
	uint8_t quoted[BOX_FRAME_MAX], bytes[BOX_FRAME_MAX];
	struct box_segment s = shape(r, leg == SLAB_LEG_ORIGIN);

	s.flags = TCP_ACK;
	s.seq = (flow != NULL ? flow->leg[leg].snd_una : seq_of(r, !leg)) + near(byte(at, len, 3));
	s.len = byte(at, len, 0) & 2 && flow != NULL ? flow->leg[leg].mss : byte(at, len, 4);
	uint32_t n = box_build(quoted, &s);
	n = box_build_quote(bytes, quoted, n, (uint32_t)byte(at, len, 1) << 8 | byte(at, len, 2), 8);
	box_give(r->box, leg == SLAB_LEG_ORIGIN ? TCP_OUTSIDE : TCP_INSIDE, bytes, n);
}

/* -- the worker -- */

static void worker(const struct run *r, const uint8_t *at, uint32_t len)
{
	struct box *box = r->box;
	unsigned leg = byte(at, len, 1) & 1;
	struct box_leg *to = &box->conn[0].leg[leg];
	uint64_t some = to->consumed + (to->got - to->consumed) * byte(at, len, 2) / 255;

	switch (byte(at, len, 0) % 16) {
	case 0:
	case 1:
	case 2:
		if (!to->finished && !box->conn[0].lost)
			box_write(box, leg, (uint64_t)byte(at, len, 2) * (byte(at, len, 3) & 1 ? 256 : 1));
		break;
	case 3:
	case 4:
		box_say(box, SLAB_LEG_CONSUMED, leg, some);
		break;
	case 5:
		to->finished = box_say(box, SLAB_LEG_FIN, leg, 0);
		break;
	case 6:
		box->full = true;
		break;
	case 7:
		box->room = byte(at, len, 2) * 8u;
		break;
	case 8:
		box->room = UINT32_MAX;
		box_ready(box);
		break;
	case 9:
		box->no_buffers = byte(at, len, 1) & 1;
		break;
	case 10:
		box_say(box, SLAB_LEG_RESET, byte(at, len, 1) % 3, 0);
		break;
	case 11:
		box_lose(box, byte(at, len, 1) & 1);
		break;
	case 12:
		box->next_worker = byte(at, len, 1) & 1;
		box->no_worker = byte(at, len, 1) & 2;
		break;
	case 13:
		box->midstream = byte(at, len, 1) % 3;
		break;
	case 14: /* the word of another's worker, or about what was before */
		box_conn_say(box,
		    &(struct box_conn){.flow = box->conn[0].flow - (byte(at, len, 2) & 1), .worker = leg},
		    byte(at, len, 3), SLAB_LEG_CLIENT, byte(at, len, 4));
		break;
	default:
		box_say(box, byte(at, len, 1), byte(at, len, 2), byte(at, len, 3));
	}
}

/* -- a run -- */

static struct box *box_for(uint8_t start)
{
	static struct box *boxes[BOXES];
	struct box **box = &boxes[(start >> 1 & 3) | (start & START_NEWRENO ? 4 : 0)];
	struct tcp_config config;

	if (*box != NULL)
		return *box;
	tcp_config_defaults(&config);
	config.flows = 4;
	config.workers = 2;
	config.reorder_total = 65536;
	config.reorder_bytes = start & START_POOR ? 4096 : 32768;
	config.sent_segments = start & START_POOR ? 16 : 128;
	config.receive_credit = start & START_POOR ? 512 : 65536;
	config.send_credit = start & START_POOR ? 3 : 64;
	config.handshake_ms = 1000;
	config.time_wait_ms = 100;
	config.fin_wait_ms = 1000;
	config.idle_keepalive_ms = 20000;
	config.retransmit_limit = 5;
	config.congestion = start & START_NEWRENO ? TCP_NEWRENO : TCP_CUBIC;
	if (start & START_OFFLOADS)
		config.offloads = (struct tcp_offloads){.checksum = true, .frame_max = BOX_BUFFER_MAX};
	*box = calloc(1, sizeof(**box));
	box_open(*box, &config);
	return *box;
}

/* As it was made, but that the free lists are in another order. */
static void begin(struct box *box)
{
	struct tcp_shard *shard = box->shard;

	memset(box->conn, 0, sizeof(box->conn));
	memset(&shard->counters, 0, sizeof(shard->counters));
	memset(shard->wheel.occupied, 0, sizeof(shard->wheel.occupied));
	box->now_us = 1000000;
	shard->wheel.at = 0;
	box->room = UINT32_MAX;
	box->next_worker = 0;
	box->full = box->no_worker = box->no_buffers = box->wrong_bytes = false;
	box->midstream = 0;
}

/* Everything must come to an end by itself, once the worker has let go and time passes. */
static void end(const struct run *r)
{
	struct box *box = r->box;

	box->no_buffers = false;
	box->room = UINT32_MAX;
	box_ready(box);
	for (unsigned i = 0; i < BOX_CONNS; i++)
		if (box->conn[i].opened > 0 && !box->conn[i].lost)
			box_conn_say(box, &box->conn[i], SLAB_LEG_RESET, SLAB_LEG_BOTH, 0);
	for (unsigned turns = 0; turns < 64 && tcp_counters(box->shard)->flows > 0; turns++) {
		uint64_t due = box_turn(box);
		check(r);
		box->now_us = due != NEVER && due > box->now_us ? due : box->now_us + 1000;
	}
	check(r);
	if (tcp_counters(box->shard)->flows != 0)
		broken("a flow stays for ever");
	if (box->free_count != BOX_SLABS)
		broken("slabs were not given back");
}

#if defined(__clang__)
#pragma clang attribute pop
#endif

static void step(struct run *r, uint8_t what, const uint8_t *at, uint32_t len)
{
	switch (what % 8) {
	case 0:
		box_give(r->box, what & 8 ? TCP_OUTSIDE : TCP_INSIDE, at, len);
		break;
	case 1:
	case 2:
		segment(r, at, len);
		break;
	case 3:
		worker(r, at, len);
		break;
	case 4:
		r->box->now_us +=
		    1 + (uint64_t)byte(at, len, 0) * (const uint64_t[]){1, 100, 10000, 400000}[what >> 3 & 3];
		break;
	case 5:
		if (what & 8)
			too_big(r, at, len);
		else
			odd_options(r, at, len);
		break;
	case 6:
		handshake(r, (uint16_t)(40000 + (what >> 3 & 3)), byte(at, len, 0) & 15, byte(at, len, 1));
		break;
	default: /* both ends agree on what is out: an ordinary exchange */
		box_write(r->box, what >> 3 & 1, byte(at, len, 0) * 16u);
		tcp_flush(r->box->shard, r->box->now_us);
		segment(r, (const uint8_t[]){what >> 3 & 1, TCP_ACK, 255, 0, 0, 0}, 6);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct run r = {.box = box_for(data[0]), .start = data[0], .isn = {1000, 5000}};
	begin(r.box);
	r.box->unchecked = r.start & START_RAW;
	r.box->unchecked_later = true; /* whole frames of the input may open it, with numbers of their own */
	if (r.start & START_WRAP)
		r.isn[0] = 0u - 3000, r.isn[1] = 0u - 200;
	if (!(r.start & START_RAW))
		handshake(&r, 40000, 7, 7);
	box_turn(r.box);
	check(&r);
	for (size_t i = 1; i + 2 <= size;) {
		uint8_t what = data[i];
		uint32_t len = data[i + 1];
		i += 2;
		if (len > size - i)
			len = (uint32_t)(size - i);
		step(&r, what, data + i, len);
		i += len;
		box_turn(r.box);
		check(&r);
	}
	end(&r);
	return 0;
}
