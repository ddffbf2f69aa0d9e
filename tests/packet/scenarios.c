/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * Scenarios: what goes into the endpoint and what must come out, under virtual time. Each is a text:
 *
 *   setup [v6] [vlan N [N]] [isn-client N] [isn-origin N] [clock N] [no-sack] [no-timestamps] [no-scale]
 *     [extended] [mtu N] [credit N] [slabs N] [reorder N] [retries N] [keepalive MS] [fin-wait MS]
 *     [window-max N] [memory N] [handshake MS] [flows N] [mss N] [window N] [congestion cubic|newreno] [midstream reset|pass|drop]
 *     [sent N] [alone|offloads]
 *                       the first line; all optional. clock: the peers' TSval at the start. extended: IPv4
 *                       options or IPv6 extension headers in all frames of the peers. sent: records of segments,
 *                       of which two a flow are kept back. alone, offloads: run only without, with them
 *   adopt               handshake and first ACK, answered as it must be
 *   client FLAGS SEQ+LEN ACK …   a segment of the client; `origin` likewise. FLAGS of S A F R P U E C.
 *                       … win N (unscaled field), ts VAL, echo N (of our last TSval, less N), sack A-B [A-B …],
 *                       bad (checksum), wrong-side, port N, ttl N, opts HEX,
 *                       ecn N, urg N, priority N (a tag of VLAN 0), fragments BYTES [backwards | overlapping | but-last]
 *   to-client FLAGS SEQ+LEN ACK …   the next frame that leaves towards the client (`to-origin`) is this
 *                       … win N, sack A-B [A-B …], nosack, opts-len N, opts HEX, ts N, ecr N. Its TSval never goes back.
 *   quiet               nothing else has left
 *   wait MS             time passes;   turn: none, but timers and output have their turn
 *   repeat N … again    so many times the lines between;   on SIDE N: from here on all numbers of what SIDE sends,
 *                       or we in its name, count from N bytes further on
 *   write LEG N | finish LEG | reset LEG|both | consume LEG N     what the worker does (total for consume)
 *   got LEG N | told LEG fin|reset|nothing | gone | live          what the worker knows
 *   full | ready | room N   its channel has no room | has again | has for N bytes
 *   lost                it dies;   foul consumed|leg|data|word|other: it breaks the rules
 *   late                it speaks of the connection that had these ports before
 *   looks LEG TTL       frames towards the leg's peer have this TTL from now on
 *   may-fragment SIDE   routers may from now on cut what goes to this peer: before, never;   never-fragment SIDE
 *   jump MS             the lcore is held up: time passes and no timer is looked at
 *   no-worker | no-buffers | buffers
 *   icmp SIDE SEQ MTU   "too big", quoting our segment at SEQ, a full one; must be consumed
 *                       … len N (payload of that segment), quoted N (bytes of its TCP), bad, wrong-side
 *   frames SIDE N[-N]   so many have left towards it
 *   cwnd LEG N          of a leg, in bytes
 *   count NAME N        a counter is N;   count NAME N+: at least
 *
 * SEQ and ACK are counted from the sender's (receiver's) initial sequence number; the first byte is 1. The
 * client is inside. `scenarios NAME` runs one, `scenarios -1` ends with the first that fails.
 */
/* clang-format on */
#include "control/rpc/rpc.h"
#include "tests/packet/box.h"
#include "tests/packet/fragments.h"
#include "tests/packet/scenario.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
	struct box box;
	const char *name;
	unsigned line;
	bool failed;
	struct box_segment shape; /* family and tags */
	uint32_t isn[2];
	uint32_t on[2]; /* what the texts count from, behind it */
	uint32_t base;  /* TSval of the peers at the start */
	struct fragments *fragments;
	bool offloads;
	enum { IN_EITHER_WAY, ALONE_ONLY, OFFLOADS_ONLY } way;
	const char *repeat; /* where the lines to be repeated begin */
	long repeats;
	unsigned repeat_line;
	bool sack, timestamps, scale;
	uint16_t mss, window;
	bool clock_seen[2];
	uint32_t clock[2]; /* the last TSval towards each */
	uint8_t ttl[2];    /* that frames towards each shall have */
	bool may_fragment[2];
	char words[24][64];
	unsigned count, at;
};

static void fail(struct run *r, const char *format, ...)
{
	va_list args;

	if (r->failed)
		return;
	r->failed = true;
	printf("%s%s, line %u: ", r->name, r->offloads ? " (offloads)" : "", r->line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static const char *word(struct run *r)
{
	return r->at < r->count ? r->words[r->at++] : "";
}

/* The sequence number of a side that the texts call 0. */
static uint32_t zero(const struct run *r, unsigned side)
{
	return r->isn[side] + r->on[side];
}

static bool next_is(struct run *r, const char *text)
{
	if (r->at >= r->count || strcmp(r->words[r->at], text) != 0)
		return false;
	r->at++;
	return true;
}

static long number(struct run *r)
{
	const char *text = word(r);
	char *end;
	long value = strtol(text, &end, 0);

	if (*text == 0 || (*end != 0 && *end != '+'))
		fail(r, "a number was expected, not '%s'", text);
	return value;
}

static uint8_t flags_of(struct run *r, const char *text)
{
	static const char NAMES[] = "FSRPAUEC";
	uint8_t flags = 0;

	for (; *text != 0; text++) {
		const char *at = strchr(NAMES, *text);
		if (at == NULL)
			fail(r, "no such flag: %c", *text);
		else
			flags |= (uint8_t)(1 << (at - NAMES));
	}
	return flags;
}

static void flags_text(uint8_t flags, char text[9])
{
	static const char NAMES[] = "FSRPAUEC";

	for (unsigned i = 0; i < 8; i++)
		if (flags >> i & 1)
			*text++ = NAMES[i];
	*text = 0;
}

/* Returns when the next timer is due. */
static uint64_t turn(struct run *r)
{
	uint64_t due = box_turn(&r->box);
	const char *wrong = box_invariant(&r->box);

	if (r->box.wrong_bytes)
		fail(r, "the worker got wrong bytes, or a word twice");
	if (wrong != NULL)
		fail(r, "%s", wrong);
	return due;
}

/* -- segments in -- */

static void put_u32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24), at[1] = (uint8_t)(v >> 16), at[2] = (uint8_t)(v >> 8), at[3] = (uint8_t)v;
}

static void add_options(struct run *r, struct box_segment *s, bool syn, unsigned from)
{
	uint8_t *at = s->options;

	if (syn) {
		memcpy(at, (uint8_t[]){2, 4, (uint8_t)(r->mss >> 8), (uint8_t)r->mss}, 4), at += 4;
		if (r->scale)
			memcpy(at, (uint8_t[]){1, 3, 3, 7}, 4), at += 4;
		if (r->sack)
			memcpy(at, (uint8_t[]){1, 1, 4, 2}, 4), at += 4;
	}
	if (r->timestamps) {
		memcpy(at, (uint8_t[]){1, 1, 8, 10}, 4);
		put_u32(at + 4, r->base + (from ? 5000 : 0) + (uint32_t)(r->box.now_us / 1000));
		put_u32(at + 8, 0);
		at += 12;
	}
	s->options_len = (uint32_t)(at - s->options);
}

static void give(struct run *r, unsigned from)
{
	struct box_segment s = r->shape;
	uint8_t bytes[BOX_FRAME_MAX];
	long seq, len = 0;
	uint32_t fragments = 0;
	enum fragments_order order = FRAGMENTS_IN_ORDER;
	bool wrong_side = false;

	s.from_client = from == 0;
	s.flags = flags_of(r, word(r));
	const char *span = word(r), *plus = strchr(span, '+');
	seq = strtol(span, NULL, 0);
	if (plus != NULL)
		len = strtol(plus + 1, NULL, 0);
	s.seq = zero(r, from) + (uint32_t)seq;
	s.ack = zero(r, !from) + (uint32_t)number(r);
	if (!(s.flags & TCP_ACK))
		s.ack = 0;
	s.len = (uint32_t)len;
	s.offset = (uint64_t)(seq - 1) + r->on[from];
	s.window = r->window;
	add_options(r, &s, s.flags & TCP_SYN, from);
	while (r->at < r->count) {
		if (next_is(r, "win")) {
			s.window = (uint16_t)number(r);
		} else if (next_is(r, "ts")) {
			put_u32(s.options + s.options_len - 8, (uint32_t)number(r));
		} else if (next_is(r, "ttl")) {
			s.ttl = (uint8_t)number(r);
		} else if (next_is(r, "port")) {
			s.port = (uint16_t)number(r);
		} else if (next_is(r, "priority")) {
			s.vlan_tags = 1;
			s.vlan[0] = (uint16_t)(number(r) << 13);
		} else if (next_is(r, "urg")) {
			s.urgent = (uint16_t)number(r);
		} else if (next_is(r, "bad")) {
			s.bad_checksum = true;
		} else if (next_is(r, "ecn")) {
			s.ecn = (uint8_t)number(r);
		} else if (next_is(r, "fragments")) {
			fragments = (uint32_t)number(r);
		} else if (next_is(r, "backwards")) {
			order = FRAGMENTS_BACKWARDS;
		} else if (next_is(r, "overlapping")) {
			order = FRAGMENTS_OVERLAPPING;
		} else if (next_is(r, "but-last")) {
			order = FRAGMENTS_BUT_LAST;
		} else if (next_is(r, "wrong-side")) {
			wrong_side = true;
		} else if (next_is(r, "opts")) {
			const char *hex = word(r);
			unsigned byte;
			for (s.options_len = 0; sscanf(hex, "%2x", &byte) == 1; hex += 2)
				s.options[s.options_len++] = (uint8_t)byte;
		} else if (next_is(r, "sack")) {
			uint8_t *at = s.options + s.options_len;
			uint32_t n = 4;
			for (long a, b;
			     r->at < r->count && n < 28 && sscanf(r->words[r->at], "%ld-%ld", &a, &b) == 2;
			     r->at++, n += 8) {
				put_u32(at + n, zero(r, !from) + (uint32_t)a);
				put_u32(at + n + 4, zero(r, !from) + (uint32_t)b);
			}
			memcpy(at, (uint8_t[]){1, 1, 5, (uint8_t)(n - 2)}, 4);
			s.options_len += n;
		} else if (next_is(r, "echo")) {
			put_u32(s.options + s.options_len - 4, r->clock[from] - (uint32_t)number(r));
		} else {
			fail(r, "what is '%s'?", word(r));
		}
	}
	uint32_t n = box_build(bytes, &s);
	enum tcp_port_side side = (from == 1) != wrong_side ? TCP_OUTSIDE : TCP_INSIDE;
	if (fragments > 0)
		fragments_give(r->fragments, &r->box, side, bytes, n, fragments, order);
	else
		box_give(&r->box, side, bytes, n);
}

/* -- segments out -- */

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static unsigned read_options(const struct frame *f, uint32_t blocks[4][2], uint32_t ts[2])
{
	const uint8_t *at = f->bytes + f->l4_offset + 20, *end = f->bytes + f->l4_offset + f->tcp_header_len;
	unsigned n = 0;

	ts[0] = ts[1] = 0;
	while (at < end && *at != 0) {
		if (*at == 1) {
			at++;
			continue;
		}
		if (*at == 8)
			for (unsigned k = 0; k < 2; k++)
				ts[k] = get_u32(at + 2 + 4 * k);
		for (unsigned i = 0; *at == 5 && i < (at[1] - 2u) / 8; i++, n++)
			for (unsigned k = 0; k < 2; k++)
				blocks[n][k] = get_u32(at + 2 + 8 * i + 4 * k);
		at += at[1];
	}
	return n;
}

static void check_look(struct run *r, const struct frame *f, unsigned to)
{
	if (f->kind != FRAME_TCP || !frame_checksum_ok(f))
		fail(r, "the frame is no segment (%s) or its checksum is wrong", frame_kind_name(f->kind));
	if (f->len != f->l2_len + f->ip_len)
		fail(r, "the frame is %u bytes, its datagram ends at %u", f->len, f->l2_len + f->ip_len);
	if (f->bytes[5] != (to == 0 ? 1 : 2) || f->bytes[11] != (to == 0 ? 2 : 1))
		fail(r, "MACs are not the peer's");
	if (f->vlan_tags != r->shape.vlan_tags || memcmp(f->vlan, r->shape.vlan, 2 * f->vlan_tags) != 0)
		fail(r, "VLAN tags are not the flow's");
	if (f->tcp_flags & TCP_RST && f->ttl == 64) /* of no flow: there is nothing to look like */
		return;
	if (f->ttl != r->ttl[to])
		fail(r, "TTL %u is not the other peer's", f->ttl);
	if (f->tcp_flags & TCP_SYN) /* the peer's own, passed on */
		return;
	if (f->dscp_ecn != 0x20)
		fail(r, "DSCP and ECN are %02x, expected 20", f->dscp_ecn);
	if (f->family == 4 && !(f->bytes[f->l2_len + 6] & 0x40) != r->may_fragment[to])
		fail(r, "DF is %s", r->may_fragment[to] ? "set" : "not set");
	if (f->tcp_urgent != 0 || f->ip_options)
		fail(r, "an urgent pointer or IP options of the other peer's");
}

static void check_payload(struct run *r, const struct frame *f, unsigned to)
{
	for (uint32_t i = 0; i < f->payload_len; i++)
		if (f->bytes[f->payload_offset + i] != box_byte(to, true, f->seq - r->isn[!to] - 1 + i)) {
			fail(r, "payload differs at byte %u", i);
			return;
		}
}

static void check_options(struct run *r, const struct frame *f, const char *hex)
{
	const uint8_t *at = f->bytes + f->l4_offset + 20;
	char have[81] = "";

	for (uint32_t i = 0; i < f->tcp_header_len - 20u; i++)
		snprintf(have + 2 * i, sizeof(have) - 2 * i, "%02x", at[i]);
	if (strcmp(hex, have) != 0)
		fail(r, "expected the options %s, got %s", hex, have);
}

static void check_clock(struct run *r, unsigned to, bool syn, uint32_t tsval)
{
	if (tsval == 0) /* without the option: of no flow */
		return;
	if (syn) { /* the peer's own; one may overtake another */
		if (!r->clock_seen[to] || (int32_t)(tsval - r->clock[to]) > 0)
			r->clock[to] = tsval;
		r->clock_seen[to] = true;
		return;
	}
	if (r->clock_seen[to] && (int32_t)(tsval - r->clock[to]) < 0)
		fail(r, "TSval goes back from %u to %u", r->clock[to], tsval);
	r->clock_seen[to] = true;
	r->clock[to] = tsval;
}

static void expect(struct run *r, unsigned to)
{
	struct box_frame *frame = box_take(&r->box, to == 0 ? TCP_INSIDE : TCP_OUTSIDE);
	struct frame f;
	char want[9], have[9];
	uint32_t blocks[4][2], ts[2];

	if (frame == NULL) {
		turn(r);
		frame = box_take(&r->box, to == 0 ? TCP_INSIDE : TCP_OUTSIDE);
	}
	if (frame == NULL) {
		fail(r, "nothing left towards the %s", to ? "origin" : "client");
		return;
	}
	frame_parse(&f, frame->bytes, frame->len);
	check_look(r, &f, to);
	uint8_t flags = flags_of(r, word(r));
	const char *span = word(r), *plus = strchr(span, '+');
	uint32_t seq = (uint32_t)strtol(span, NULL, 0), len = plus ? (uint32_t)strtol(plus + 1, NULL, 0) : 0;
	uint32_t ack = (uint32_t)number(r);
	flags_text(flags, want);
	flags_text(f.tcp_flags & (uint8_t) ~(flags & TCP_PSH ? 0 : TCP_PSH), have);
	uint32_t f_ack = f.tcp_flags & TCP_ACK ? f.ack - zero(r, to) : 0;
	if (strcmp(want, have) != 0 || f.seq - zero(r, !to) != seq || f.payload_len != len || f_ack != ack)
		fail(r, "expected %s %u+%u %u, got %s %u+%u %u", want, seq, len, ack, have,
		    f.seq - zero(r, !to), f.payload_len, f_ack);
	unsigned n = read_options(&f, blocks, ts);
	if (r->timestamps && !(f.tcp_flags & TCP_RST))
		check_clock(r, to, f.tcp_flags & TCP_SYN, ts[0]);
	if (!(flags & TCP_SYN))
		check_payload(r, &f, to);
	while (!r->failed && r->at < r->count) {
		if (next_is(r, "win")) {
			long win = number(r);
			if (f.tcp_window != win)
				fail(r, "expected window %ld, got %u", win, f.tcp_window);
		} else if (next_is(r, "ts") || next_is(r, "ecr")) {
			bool echo = strcmp(r->words[r->at - 1], "ecr") == 0;
			uint32_t want_ts = (uint32_t)number(r);
			if (ts[echo] != want_ts)
				fail(
				    r, "expected %s %u, got %u", echo ? "TSecr" : "TSval", want_ts, ts[echo]);
		} else if (next_is(r, "nosack")) {
			if (n != 0)
				fail(r, "unexpected SACK");
		} else if (next_is(r, "opts")) {
			check_options(r, &f, word(r));
		} else if (next_is(r, "opts-len")) {
			long bytes = number(r);
			if (f.tcp_header_len != 20 + bytes)
				fail(
				    r, "expected %ld bytes of options, got %u", bytes, f.tcp_header_len - 20);
		} else if (next_is(r, "sack")) {
			unsigned i = 0;
			for (long a, b; r->at < r->count && sscanf(r->words[r->at], "%ld-%ld", &a, &b) == 2;
			     r->at++, i++)
				if (i >= n || blocks[i][0] - zero(r, to) != (uint32_t)a ||
				    blocks[i][1] - zero(r, to) != (uint32_t)b)
					fail(r, "expected SACK %ld-%ld, got %u-%u of %u", a, b,
					    i < n ? blocks[i][0] - zero(r, to) : 0,
					    i < n ? blocks[i][1] - zero(r, to) : 0, n);
			if (i != n)
				fail(r, "expected %u SACK blocks, got %u", i, n);
		} else {
			fail(r, "what is '%s'?", word(r));
		}
	}
	free(frame);
}

static void quiet(struct run *r)
{
	turn(r);
	for (unsigned side = 0; side < 2; side++) {
		struct box_frame *frame = box_take(&r->box, side);
		if (frame == NULL)
			continue;
		struct frame f;
		char have[9];
		frame_parse(&f, frame->bytes, frame->len);
		flags_text(f.tcp_flags, have);
		fail(r, "a segment left towards the %s: %s %u+%u %u win %u", side ? "origin" : "client", have,
		    f.seq - zero(r, !side), f.payload_len, f.ack - zero(r, side), f.tcp_window);
		free(frame);
	}
}

/* -- the rest -- */

static void setup(struct run *r)
{
	struct tcp_config config;
	const char *midstream = "reset";

	tcp_config_defaults(&config);
	config.flows = 8;
	config.workers = 2;
	config.reorder_total = 1 << 20;
	config.receive_credit = config.receive_window_max = config.reorder_bytes = 256 * 1024;
	config.send_credit = config.send_slabs_max = 64;
	config.time_wait_ms = 1000;
	r->shape.family = 4;
	r->ttl[0] = 57;
	r->ttl[1] = 63;
	r->isn[0] = 1000000;
	r->isn[1] = 2000000;
	r->base = 77000;
	r->sack = r->timestamps = r->scale = true;
	r->mss = 1460;
	r->window = 512;
	while (r->at < r->count) {
		const char *key = word(r);
		if (strcmp(key, "v6") == 0)
			r->shape.family = 6;
		else if (strcmp(key, "vlan") == 0)
			while (r->at < r->count && isdigit((unsigned char)r->words[r->at][0]))
				r->shape.vlan[r->shape.vlan_tags++] = (uint16_t)number(r);
		else if (strcmp(key, "extended") == 0)
			r->shape.extended = true;
		else if (strcmp(key, "mtu") == 0)
			config.mtu = (uint16_t)number(r);
		else if (strcmp(key, "congestion") == 0)
			config.congestion = strcmp(word(r), "newreno") == 0 ? TCP_NEWRENO : TCP_CUBIC;
		else if (strcmp(key, "isn-client") == 0)
			r->isn[0] = (uint32_t)number(r);
		else if (strcmp(key, "isn-origin") == 0)
			r->isn[1] = (uint32_t)number(r);
		else if (strcmp(key, "clock") == 0)
			r->base = (uint32_t)number(r);
		else if (strcmp(key, "midstream") == 0)
			midstream = word(r);
		else if (strcmp(key, "no-sack") == 0)
			r->sack = false;
		else if (strcmp(key, "no-timestamps") == 0)
			r->timestamps = false;
		else if (strcmp(key, "no-scale") == 0)
			r->scale = false;
		else if (strcmp(key, "credit") == 0)
			config.receive_credit = config.receive_window_max = (uint32_t)number(r);
		else if (strcmp(key, "window-max") == 0)
			config.receive_window_max = (uint32_t)number(r);
		else if (strcmp(key, "memory") == 0)
			config.receive_memory = (uint64_t)number(r);
		else if (strcmp(key, "slabs") == 0)
			config.send_credit = config.send_slabs_max = (uint32_t)number(r);
		else if (strcmp(key, "reorder") == 0)
			config.reorder_bytes = (uint32_t)number(r);
		else if (strcmp(key, "retries") == 0)
			config.retransmit_limit = (uint32_t)number(r);
		else if (strcmp(key, "keepalive") == 0)
			config.idle_keepalive_ms = (uint32_t)number(r);
		else if (strcmp(key, "fin-wait") == 0)
			config.fin_wait_ms = (uint32_t)number(r);
		else if (strcmp(key, "handshake") == 0)
			config.handshake_ms = (uint32_t)number(r);
		else if (strcmp(key, "flows") == 0)
			config.flows = (uint32_t)number(r);
		else if (strcmp(key, "mss") == 0)
			r->mss = (uint16_t)number(r);
		else if (strcmp(key, "window") == 0)
			r->window = (uint16_t)number(r);
		else if (strcmp(key, "sent") == 0)
			config.sent_segments = (uint32_t)number(r);
		else if (strcmp(key, "alone") == 0)
			r->way = ALONE_ONLY;
		else if (strcmp(key, "offloads") == 0)
			r->way = OFFLOADS_ONLY;
		else
			fail(r, "what is '%s'?", key);
	}
	if (r->offloads)
		config.offloads = (struct tcp_offloads){.checksum = true, .frame_max = BOX_BUFFER_MAX};
	box_open(&r->box, &config);
	r->box.midstream = strcmp(midstream, "pass") == 0   ? RPC_MIDSTREAM_PASS
	                   : strcmp(midstream, "drop") == 0 ? RPC_MIDSTREAM_DROP
	                                                    : RPC_MIDSTREAM_RESET;
	r->fragments = fragments_open();
}

static void line_run(struct run *r, const char *line);

static void adopt(struct run *r)
{
	line_run(r, "client S 0 0 win 64240");
	line_run(r, "to-origin S 0 0");
	line_run(r, "origin SA 0 1 win 65160");
	line_run(r, "to-client SA 0 1");
	line_run(r, "client A 1 1");
	line_run(r, "to-origin A 1 1");
	line_run(r, "quiet");
}

static void pass_time(struct run *r, long ms)
{
	struct box *box = &r->box;
	uint64_t end = box->now_us + (uint64_t)ms * 1000;

	if (ms > INT32_MAX) /* what is later by half the clock cannot be told from what is earlier */
		r->clock_seen[0] = r->clock_seen[1] = false;
	while (box->now_us < end && !r->failed) {
		uint64_t due = turn(r);
		uint64_t next = due > box->now_us ? due : box->now_us + 250;
		box->now_us = next < end ? next : end;
	}
	turn(r);
}

static unsigned leg_word(struct run *r)
{
	const char *text = word(r);

	if (strcmp(text, "client") == 0)
		return SLAB_LEG_CLIENT;
	if (strcmp(text, "origin") == 0)
		return SLAB_LEG_ORIGIN;
	if (strcmp(text, "both") != 0)
		fail(r, "client, origin or both, not '%s'", text);
	return SLAB_LEG_BOTH;
}

static void count(struct run *r)
{
	static const struct {
		const char *name;
		size_t at;
	} FIELDS[] = {
#define COUNTER_AT(name, text) {#name, offsetof(struct tcp_counters, name)},
	    TCP_COUNTERS(COUNTER_AT)};
	const char *name = word(r), *value = word(r);

	for (unsigned i = 0; i < sizeof(FIELDS) / sizeof(*FIELDS); i++) {
		if (strcmp(FIELDS[i].name, name) != 0)
			continue;
		uint64_t have;
		memcpy(&have, (const char *)tcp_counters(r->box.shard) + FIELDS[i].at, sizeof(have));
		uint64_t want = strtoull(value, NULL, 0);
		if (strchr(value, '+') ? have < want : have != want)
			fail(r, "%s: expected %s, got %" PRIu64, name, value, have);
		return;
	}
	fail(r, "no counter %s", name);
}

static void frames(struct run *r)
{
	unsigned leg = leg_word(r), have = 0, least, most;
	int n = sscanf(word(r), "%u-%u", &least, &most);

	if (n < 2)
		most = least;

	turn(r);
	for (struct box_frame *f;
	     (f = box_take(&r->box, leg == SLAB_LEG_CLIENT ? TCP_INSIDE : TCP_OUTSIDE)) != NULL; have++)
		free(f);
	if (n < 1 || have < least || have > most)
		fail(r, "expected %u to %u frames, %u have left", least, most, have);
}

static void cwnd(struct run *r)
{
	unsigned leg = leg_word(r);
	long want = number(r), have = box_cwnd(&r->box, leg);

	if (have != want)
		fail(r, "expected a cwnd of %ld, it is %ld", want, have);
}

static void icmp(struct run *r)
{
	unsigned leg = leg_word(r);
	struct box_segment s = r->shape;
	uint8_t segment[BOX_FRAME_MAX], bytes[256];
	uint32_t quoted_bytes = 8;
	bool damaged = false, wrong_side = false;

	/* The quoted segment is ours: to the origin it bears the client's address. */
	s.from_client = leg == SLAB_LEG_ORIGIN;
	s.extended = false;
	s.seq = zero(r, leg == SLAB_LEG_ORIGIN ? 0 : 1) + (uint32_t)number(r);
	s.flags = TCP_ACK;
	s.len = r->mss;
	uint32_t mtu = (uint32_t)number(r);
	while (r->at < r->count) {
		if (next_is(r, "len"))
			s.len = (uint32_t)number(r);
		else if (next_is(r, "quoted"))
			quoted_bytes = (uint32_t)number(r);
		else if (next_is(r, "bad"))
			damaged = true;
		else if (next_is(r, "wrong-side"))
			wrong_side = true;
		else
			fail(r, "what is '%s'?", word(r));
	}
	uint32_t n = box_build(segment, &s);
	uint32_t len = box_build_quote(bytes, segment, n, mtu, quoted_bytes);
	if (damaged)
		bytes[len - 1] ^= 1;
	enum tcp_verdict v =
	    box_give(&r->box, (leg == SLAB_LEG_ORIGIN) != wrong_side ? TCP_OUTSIDE : TCP_INSIDE, bytes, len);
	if (v != TCP_CONSUMED)
		fail(r, "the ICMP error was not consumed");
}

/* A worker that has no flow speaks for one. */
static bool another_worker(struct box *box)
{
	struct box_conn as = {.flow = box->flow, .worker = box->worker + 1};

	return box_conn_say(box, &as, SLAB_LEG_RESET, SLAB_LEG_BOTH, 0);
}

/* The worker's words for the connection that had the same ports before; they came too late. */
static void late_words(struct run *r)
{
	struct box_conn as = {.flow = r->box.earlier, .worker = r->box.worker};

	if (!box_conn_say(&r->box, &as, SLAB_LEG_RESET, SLAB_LEG_BOTH, 0) ||
	    box_conn_write(&r->box, &as, SLAB_LEG_CLIENT, 100) != 100)
		fail(r, "late words of the worker are no violation");
}

static void worker_command(struct run *r, const char *command)
{
	struct box *box = &r->box;

	if (strcmp(command, "write") == 0) {
		unsigned leg = leg_word(r);
		long n = number(r);
		if (box_write(box, leg, (uint64_t)n) != (uint64_t)n)
			fail(r, "the worker found no room");
	} else if (strcmp(command, "finish") == 0) {
		box_say(box, SLAB_LEG_FIN, leg_word(r), 0);
	} else if (strcmp(command, "reset") == 0) {
		box_say(box, SLAB_LEG_RESET, leg_word(r), 0);
	} else if (strcmp(command, "consume") == 0) {
		unsigned leg = leg_word(r);
		box_say(box, SLAB_LEG_CONSUMED, leg, (uint64_t)number(r));
	} else if (strcmp(command, "late") == 0) {
		late_words(r);
	} else if (strcmp(command, "foul") == 0) {
		const char *how = word(r);
		bool ok = strcmp(how, "consumed") == 0 ? box_say(box, SLAB_LEG_CONSUMED, 0, 1ull << 40)
		          : strcmp(how, "leg") == 0    ? box_say(box, SLAB_LEG_FIN, 9, 0)
		          : strcmp(how, "data") == 0   ? box_write(box, 0, 1) == 1
		          : strcmp(how, "other") == 0  ? another_worker(box)
		                                       : box_say(box, 99, 0, 0);
		if (ok)
			fail(r, "the endpoint took it");
	} else {
		fail(r, "what is '%s'?", command);
	}
	tcp_flush(box->shard, box->now_us);
}

static bool worker_knows(struct run *r, const char *command)
{
	if (strcmp(command, "got") == 0) {
		unsigned leg = leg_word(r);
		uint64_t n = (uint64_t)number(r);
		if (r->box.leg[leg].got != n)
			fail(r, "the worker has %" PRIu64 " bytes, not %" PRIu64, r->box.leg[leg].got, n);
	} else if (strcmp(command, "told") == 0) {
		const struct box_leg *leg = &r->box.leg[leg_word(r)];
		const char *what = word(r);
		bool fin = strcmp(what, "fin") == 0, reset = strcmp(what, "reset") == 0;
		if (leg->fin != fin || leg->reset != reset)
			fail(r, "expected %s, the worker was told%s%s", what, leg->fin ? " fin" : "",
			    leg->reset ? " reset" : "");
	} else if (strcmp(command, "gone") == 0 || strcmp(command, "live") == 0) {
		if (r->box.gone != (command[0] == 'g'))
			fail(r, "the worker was told %u times that the flow is gone", r->box.gone);
	} else {
		return false;
	}
	return true;
}

static void count_on(struct run *r)
{
	unsigned side = leg_word(r);

	r->on[side & 1] += (uint32_t)number(r);
}

static void looks(struct run *r)
{
	unsigned leg = leg_word(r);

	r->ttl[leg & 1] = (uint8_t)number(r);
}

static void command_run(struct run *r)
{
	const char *command = word(r);

	if (strcmp(command, "adopt") == 0)
		adopt(r);
	else if (strcmp(command, "client") == 0 || strcmp(command, "origin") == 0)
		give(r, command[0] == 'o');
	else if (strcmp(command, "to-client") == 0 || strcmp(command, "to-origin") == 0)
		expect(r, command[3] == 'o');
	else if (strcmp(command, "quiet") == 0)
		quiet(r);
	else if (strcmp(command, "wait") == 0)
		pass_time(r, number(r));
	else if (strcmp(command, "turn") == 0)
		turn(r);
	else if (strcmp(command, "jump") == 0)
		r->box.now_us += (uint64_t)number(r) * 1000;
	else if (strcmp(command, "on") == 0)
		count_on(r);
	else if (strcmp(command, "looks") == 0)
		looks(r);
	else if (strcmp(command, "may-fragment") == 0)
		r->may_fragment[leg_word(r) & 1] = true;
	else if (strcmp(command, "never-fragment") == 0)
		r->may_fragment[leg_word(r) & 1] = false;
	else if (strcmp(command, "full") == 0)
		r->box.full = true;
	else if (strcmp(command, "room") == 0)
		r->box.room = (uint32_t)number(r);
	else if (strcmp(command, "ready") == 0)
		box_ready(&r->box);
	else if (strcmp(command, "lost") == 0)
		box_lose(&r->box, 0);
	else if (strcmp(command, "no-worker") == 0)
		r->box.no_worker = true;
	else if (strcmp(command, "no-buffers") == 0)
		r->box.no_buffers = true;
	else if (strcmp(command, "buffers") == 0)
		r->box.no_buffers = false;
	else if (strcmp(command, "icmp") == 0)
		icmp(r);
	else if (strcmp(command, "count") == 0)
		count(r);
	else if (strcmp(command, "frames") == 0)
		frames(r);
	else if (strcmp(command, "cwnd") == 0)
		cwnd(r);
	else if (!worker_knows(r, command))
		worker_command(r, command);
}

static void line_run(struct run *r, const char *line)
{
	const char *end = line + strcspn(line, "\n#");

	r->count = r->at = 0;
	while (line < end) {
		line += strspn(line, " \t");
		size_t n = strcspn(line, " \t\n#");
		if (n == 0)
			break;
		snprintf(r->words[r->count++], sizeof(r->words[0]), "%.*s", (int)n, line);
		line += n;
	}
	if (r->count > 0 && !r->failed)
		command_run(r);
}

/* `line` is one of `repeat` or `again`, which go on elsewhere than in the next: where. Else NULL. */
static const char *line_elsewhere(struct run *r, const char *line)
{
	const char *next = line + strcspn(line, "\n");

	if (strncmp(line, "repeat ", 7) == 0) {
		r->repeats = strtol(line + 7, NULL, 0);
		r->repeat = next;
		r->repeat_line = r->line;
		return next;
	}
	if (strncmp(line, "again", 5) != 0)
		return NULL;
	if (r->repeat == NULL || --r->repeats <= 0)
		return next;
	r->line = r->repeat_line;
	return r->repeat;
}

static bool scenario_run(const struct scenario *scenario, bool offloads)
{
	struct run *r = calloc(1, sizeof(*r));
	const char *line = scenario->text;

	r->name = scenario->name;
	r->offloads = offloads;
	if (strncmp(line, "setup", 5) == 0) {
		size_t n = strcspn(line, "\n");
		char first[256];
		snprintf(first, sizeof(first), "%.*s", (int)n - 5, line + 5);
		for (char *save, *w = strtok_r(first, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
			snprintf(r->words[r->count++], sizeof(r->words[0]), "%s", w);
		line += n;
	}
	setup(r);
	r->line = 1;
	if (r->way != IN_EITHER_WAY && (r->way == OFFLOADS_ONLY) != offloads)
		line = "";
	while (*line != 0 && !r->failed) {
		if (*line == '\n') {
			line++;
			r->line++;
		}
		const char *elsewhere = line_elsewhere(r, line);
		if (elsewhere == NULL)
			line_run(r, line);
		line = elsewhere != NULL ? elsewhere : line + strcspn(line, "\n");
	}
	bool ok = !r->failed;
	box_close(&r->box);
	fragments_close(r->fragments);
	free(r);
	return ok;
}

int main(int argc, char **argv)
{
	bool to_first = argc > 1 && strcmp(argv[1], "-1") == 0;
	unsigned run = 0, failed = 0;

	/* By the endpoint alone, then with a port that sums and cuts: nobody shall see a difference. */
	for (const struct scenario *const *table = SCENARIOS; *table != NULL; table++)
		for (const struct scenario *s = *table; s->name != NULL && !(to_first && failed > 0); s++) {
			if (argc > 1 && !to_first && strcmp(argv[1], s->name) != 0)
				continue;
			run += 2;
			failed += !scenario_run(s, false);
			failed += !scenario_run(s, true);
		}
	printf("scenarios: %u run, %u failed\n", run, failed);
	return failed != 0 || run == 0;
}
