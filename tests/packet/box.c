/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/packet/box.h"
#include "tests/packet/nic.h"

#include "control/rpc/rpc.h"
#include "dataplane/tcp/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__) /* a fuzzer shall be led by what it tests, and not pay for this */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#endif

static void put_u16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put_u32(uint8_t *at, uint32_t v)
{
	put_u16(at, v >> 16);
	put_u16(at + 2, v);
}

/* Written apart from the endpoint's own, so that both would have to be wrong alike. */
uint32_t box_sum(uint32_t sum, const uint8_t *at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static const uint8_t CLIENT_MAC[6] = {2, 0, 0, 0, 0, 1}, ORIGIN_MAC[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t CLIENT_V4[4] = {198, 51, 100, 1}, ORIGIN_V4[4] = {198, 51, 100, 2};

/* Router alert (RFC 2113) and padding. */
static const uint8_t IPV4_OPTIONS[8] = {148, 4, 0, 0, 1, 1, 1, 0};
/* Hop-by-hop, routing (nothing left to visit), destination: each padded to 8 bytes. */
static const uint8_t IPV6_EXTENSIONS[24] = {
    43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 253, 0, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0};

static uint32_t build_ip(uint8_t *ip, const struct box_segment *s, uint32_t tcp_len, uint32_t *pseudo)
{
	uint32_t at = s->family == 4 ? 12 : 8, size = s->family == 4 ? 4 : 16;
	uint32_t fixed = s->family == 4 ? 20 : 40;
	uint8_t ttl = s->ttl != 0 ? s->ttl : s->from_client ? 63 : 57;
	uint32_t more = !s->extended ? 0 : s->family == 4 ? sizeof(IPV4_OPTIONS) : sizeof(IPV6_EXTENSIONS);
	uint8_t addresses[2][16] = {{0x20, 1, 0xd, 0xb8, [15] = 1}, {0x20, 1, 0xd, 0xb8, [15] = 2}};

	if (s->family == 4) {
		memcpy(addresses[0], CLIENT_V4, 4);
		memcpy(addresses[1], ORIGIN_V4, 4);
		memset(ip, 0, 20);
		ip[0] = (uint8_t)(0x45 + more / 4);
		ip[1] = 0x20 | s->ecn;
		put_u16(ip + 2, 20 + more + tcp_len);
		ip[6] = 0x40;
		ip[8] = ttl;
		ip[9] = 6;
	} else {
		memset(ip, 0, 40);
		put_u32(ip, 0x62012345 | (uint32_t)s->ecn << 20);
		put_u16(ip + 4, more + tcp_len);
		ip[6] = more > 0 ? 0 : 6;
		ip[7] = ttl;
	}
	memcpy(ip + fixed, s->family == 4 ? IPV4_OPTIONS : IPV6_EXTENSIONS, more);
	memcpy(ip + at, addresses[s->from_client ? 0 : 1], size);
	memcpy(ip + at + size, addresses[s->from_client ? 1 : 0], size);
	*pseudo = box_sum(0, ip + at, 2 * size) + 6 + tcp_len;
	if (s->family == 4)
		put_u16(ip + 10, ~box_sum(0, ip, 20 + more));
	return fixed + more;
}

uint32_t box_build(uint8_t *bytes, const struct box_segment *s)
{
	uint32_t at = 12, tcp_len = 20 + s->options_len + s->len, pseudo;

	memcpy(bytes, s->from_client ? ORIGIN_MAC : CLIENT_MAC, 6);
	memcpy(bytes + 6, s->from_client ? CLIENT_MAC : ORIGIN_MAC, 6);
	for (unsigned i = 0; i < s->vlan_tags; i++, at += 4) {
		put_u16(bytes + at, i + 1 < s->vlan_tags ? 0x88a8 : 0x8100);
		put_u16(bytes + at + 2, s->vlan[i]);
	}
	put_u16(bytes + at, s->family == 4 ? 0x0800 : 0x86dd);
	at += 2;
	at += build_ip(bytes + at, s, tcp_len, &pseudo);
	uint8_t *tcp = bytes + at;
	memset(tcp, 0, 20);
	uint32_t port = s->port != 0 ? s->port : 40000;
	put_u16(tcp, s->from_client ? port : 22);
	put_u16(tcp + 2, s->from_client ? 22 : port);
	put_u32(tcp + 4, s->seq);
	put_u32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)((20 + s->options_len) / 4 << 4);
	tcp[13] = s->flags;
	put_u16(tcp + 14, s->window);
	put_u16(tcp + 18, s->urgent);
	memcpy(tcp + 20, s->options, s->options_len);
	for (uint32_t i = 0; i < s->len; i++)
		tcp[20 + s->options_len + i] = box_byte(s->from_client ? 0 : 1, false, s->offset + i);
	put_u16(tcp + 16, ~box_sum(pseudo, tcp, tcp_len) ^ (s->bad_checksum ? 0x0101 : 0));
	return at + tcp_len;
}

uint32_t box_build_quote(
    uint8_t *bytes, const uint8_t *about, uint32_t len, uint32_t mtu, uint32_t quoted_tcp)
{
	struct frame f;

	frame_parse(&f, about, len);
	uint32_t l2 = f.l2_len, header = f.family == 4 ? 20 : 40;
	uint32_t quoted = f.l3_len + quoted_tcp, total = header + 8 + quoted;
	memcpy(bytes, about, l2);
	uint8_t *ip = bytes + l2, *icmp = ip + header;
	memset(ip, 0, header + 8);
	if (f.family == 4) {
		ip[0] = 0x45;
		put_u16(ip + 2, total);
		ip[8] = 64;
		ip[9] = 1;
		memcpy(ip + 12, (const uint8_t[]){192, 0, 2, 9}, 4);
		memcpy(ip + 16, f.src, 4);
		put_u16(ip + 10, ~box_sum(0, ip, 20));
		icmp[0] = 3;
		icmp[1] = 4;
	} else {
		ip[0] = 0x60;
		put_u16(ip + 4, 8 + quoted);
		ip[6] = 58;
		ip[7] = 64;
		memcpy(ip + 8, (const uint8_t[16]){0x20, 1, 0xd, 0xb8, [15] = 9}, 16);
		memcpy(ip + 24, f.src, 16);
		icmp[0] = 2;
	}
	put_u32(icmp + 4, mtu);
	memcpy(icmp + 8, about + l2, quoted);
	uint32_t sum = f.family == 4 ? 0 : box_sum(0, ip + 8, 32) + 58 + 8 + quoted;
	put_u16(icmp + 2, ~box_sum(sum, icmp, 8 + quoted));
	return l2 + total;
}

uint32_t box_build_too_big(uint8_t *bytes, const uint8_t *about, uint32_t len, uint32_t mtu)
{
	return box_build_quote(bytes, about, len, mtu, 20);
}

/* -- hooks -- */

struct box_frame *box_frame_new(const uint8_t *bytes, uint32_t len)
{
	struct box_frame *frame = malloc(sizeof(*frame) + len);

	frame->len = len;
	if (bytes != NULL)
		memcpy(frame->bytes, bytes, len);
	return frame;
}

static uint8_t *frame_alloc(void *context, uint32_t len, void **handle)
{
	struct box *box = context;
	struct box_frame *frame = box->no_buffers || len > BOX_BUFFER_MAX ? NULL : box_frame_new(NULL, len);

	*handle = frame;
	return frame == NULL ? NULL : frame->bytes;
}

static void enqueue(struct box_queue *queue, struct box_frame *frame)
{
	frame->next = NULL;
	if (queue->head == NULL)
		queue->head = frame;
	else
		queue->tail->next = frame;
	queue->tail = frame;
	queue->count++;
}

static void frame_unfinished(void *context, void *handle, const struct tcp_unfinished *what)
{
	struct box *box = context;

	box->unfinished = handle;
	box->finish = *what;
}

static void send_finished(void *context, const uint8_t *bytes, uint32_t len)
{
	enqueue(context, box_frame_new(bytes, len));
}

static void frame_send(void *context, uint8_t link, enum tcp_port_side side, void *handle, uint32_t len)
{
	struct box *box = context;
	struct box_frame *frame = handle;

	if (link != 0 || len > frame->len)
		box->wrong_bytes = true;
	frame->len = len;
	if (!box->config.offloads.checksum) {
		enqueue(&box->out[side], frame);
		return;
	}
	/* The frame goes out as a port finishes it. */
	if (box->unfinished != frame ||
	    !nic_finish(frame->bytes, len, &box->finish, send_finished, &box->out[side]))
		box->wrong_bytes = true;
	box->unfinished = NULL;
	free(frame);
}

/* A flow of another key, and yet of this client port: a fuzzer's. */
static bool taken(const struct box *box, const struct box_conn *conn)
{
	const struct tcp_flow *flow = &box->shard->flows[(uint32_t)conn->flow];

	return conn->opened > 0 && flow_id(box->shard, flow) == conn->flow && flow->state != FLOW_FREE;
}

static int worker_open(void *context, uint64_t flow, const struct slab_flow *about)
{
	struct box *box = context;
	unsigned number = about->client_port - 40000u;

	if (box->no_worker)
		return -1;
	if (number >= BOX_CONNS || about->server_port != 22) {
		box->wrong_bytes = box->wrong_bytes || !box->unchecked;
		return -1;
	}
	struct box_conn *conn = &box->conn[number];
	if (taken(box, conn))
		return -1;
	*conn = (struct box_conn){.flow = flow,
	    .earlier = conn->flow,
	    .opened = conn->opened + 1,
	    .gone = conn->gone,
	    .worker = box->next_worker};
	return box->next_worker;
}

static struct box_conn *conn_of(struct box *box, int worker, uint64_t flow)
{
	for (unsigned i = 0; i < BOX_CONNS; i++)
		if (box->conn[i].opened > 0 && box->conn[i].flow == flow) {
			/* Nothing may be told after the end, or to another. */
			if (box->conn[i].worker != worker || box->conn[i].lost ||
			    box->conn[i].gone == box->conn[i].opened)
				box->wrong_bytes = true;
			return &box->conn[i];
		}
	box->wrong_bytes = true;
	return &box->conn[0];
}

static uint32_t worker_data(
    void *context, int worker, uint64_t flow, uint8_t leg, const uint8_t *at, uint32_t len)
{
	struct box *box = context;
	struct box_conn *conn = conn_of(box, worker, flow);
	struct box_leg *to = &conn->leg[leg];
	bool known = !box->unchecked && !(box->unchecked_later && conn->opened > 1);

	if (box->full || len == 0)
		return 0;
	if (to->fin || to->reset)
		box->wrong_bytes = true;
	if (box->room != UINT32_MAX) {
		len = len < box->room ? len : box->room;
		box->room -= len;
		box->full = box->room == 0;
	}
	for (uint32_t i = 0; i < len && known; i++)
		if (at[i] != box_byte(leg, false, to->got + i))
			box->wrong_bytes = true;
	to->got += len;
	if (to->got - to->consumed > box->config.receive_window_max)
		box->wrong_bytes = true;
	return len;
}

static bool worker_fin(void *context, int worker, uint64_t flow, uint8_t leg)
{
	struct box *box = context;
	struct box_leg *to = &conn_of(box, worker, flow)->leg[leg];

	if (box->full)
		return false;
	if (to->fin || to->reset)
		box->wrong_bytes = true; /* once only */
	return to->fin = true;
}

static bool worker_reset(void *context, int worker, uint64_t flow, uint8_t leg, int error)
{
	struct box *box = context;
	struct box_leg *to = &conn_of(box, worker, flow)->leg[leg];

	if (box->full)
		return false;
	if (to->reset)
		box->wrong_bytes = true;
	to->error = error;
	return to->reset = true;
}

static bool worker_gone(void *context, int worker, uint64_t flow)
{
	struct box *box = context;
	struct box_conn *conn = conn_of(box, worker, flow);

	if (box->full)
		return false;
	conn->gone++;
	return true;
}

static bool worker_credit(void *context, int worker, uint64_t flow, uint8_t leg, uint32_t slabs)
{
	struct box *box = context;
	struct box_leg *to = &conn_of(box, worker, flow)->leg[leg];

	if (box->full)
		return false;
	if (slabs < box->config.send_credit || slabs > box->config.send_slabs_max)
		box->wrong_bytes = true;
	to->slabs = slabs;
	return true;
}

static void slab_done(void *context, int worker, uint32_t slab)
{
	struct box *box = context;

	if (slab >= BOX_SLABS || box->slab_worker[slab] != worker)
		abort();
	/* What is given back must not be sent from again. */
	memset(box->slab[slab], 0xdd, BOX_SLAB_BYTES);
	box->slab_worker[slab] = -1;
	box->free_slabs[box->free_count++] = slab;
}

void box_open(struct box *box, const struct tcp_config *config)
{
	struct tcp_hooks hooks = {
	    .context = box,
	    .frame_alloc = frame_alloc,
	    .frame_unfinished = frame_unfinished,
	    .frame_send = frame_send,
	    .worker_context = box,
	    .worker_open = worker_open,
	    .worker_data = worker_data,
	    .worker_fin = worker_fin,
	    .worker_reset = worker_reset,
	    .worker_gone = worker_gone,
	    .worker_credit = worker_credit,
	    .slab_done = slab_done,
	};
	memset(box, 0, offsetof(struct box, slab));
	box->config = *config;
	box->now_us = 1000000;
	box->room = UINT32_MAX;
	for (uint32_t i = 0; i < BOX_SLABS; i++) {
		box->free_slabs[i] = BOX_SLABS - 1 - i;
		box->slab_worker[i] = -1;
	}
	box->free_count = BOX_SLABS;
	box->shard = tcp_shard_create(config, &hooks);
	if (box->shard == NULL)
		abort();
	box_pools(box, &box->pool_sent, &box->pool_chunks);
}

void box_close(struct box *box)
{
	for (unsigned side = 0; side < 2; side++)
		for (struct box_frame *frame; (frame = box_take(box, side)) != NULL;)
			free(frame);
	tcp_shard_destroy(box->shard);
}

/* As the dataplane does with what has no flow (the rule's `midstream`). */
static enum tcp_verdict midstream(struct box *box, enum tcp_port_side from, const struct frame *frame)
{
	switch (box->midstream) {
	case RPC_MIDSTREAM_PASS:
		return tcp_pass(box->shard, 0, from, frame, box->now_us) ? TCP_FORWARD : TCP_DROP;
	case RPC_MIDSTREAM_DROP:
		return TCP_DROP;
	default:
		tcp_refuse(box->shard, 0, from, frame);
		tcp_ask_other(box->shard, 0, from, frame);
		return TCP_DROP;
	}
}

/* What the box's rule matches; a fuzzer opens others, also from the origin's side. */
static bool audited(const struct frame *frame)
{
	return frame->dport == 22 && frame->sport - 40000u < BOX_CONNS;
}

enum tcp_verdict box_give(struct box *box, enum tcp_port_side from, const uint8_t *bytes, uint32_t len)
{
	struct box_frame *copy = box_frame_new(bytes, len);
	struct frame frame;

	frame_parse(&frame, copy->bytes, len);
	enum tcp_verdict verdict = TCP_FORWARD;
	if (frame.kind == FRAME_ICMP) {
		verdict = tcp_icmp(box->shard, 0, from, &frame, box->now_us) ? TCP_CONSUMED : TCP_FORWARD;
	} else if (frame.kind == FRAME_TCP) {
		verdict = tcp_input(box->shard, 0, from, &frame, copy->bytes, &copy->len, box->now_us);
		if (verdict == TCP_UNKNOWN && (frame.tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
		    !audited(&frame))
			verdict = TCP_FORWARD;
		else if (verdict == TCP_UNKNOWN && (frame.tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
			verdict = tcp_syn(box->shard, 0, from, &frame, copy->bytes, &copy->len,
			    &(struct tcp_rule){.rule = 1, .generation = 1}, box->now_us);
		else if (verdict == TCP_UNKNOWN)
			verdict = midstream(box, from, &frame);
	}
	if (verdict == TCP_FORWARD)
		enqueue(&box->out[!from], copy);
	else
		free(copy);
	return verdict;
}

struct box_frame *box_take(struct box *box, enum tcp_port_side side)
{
	struct box_queue *queue = &box->out[side];
	struct box_frame *frame = queue->head;

	if (frame != NULL) {
		queue->head = frame->next;
		queue->count--;
	}
	return frame;
}

static void relay(struct box *box, struct box_conn *conn)
{
	for (unsigned leg = 0; leg < 2 && conn->gone < conn->opened; leg++) {
		struct box_leg *from = &conn->leg[leg], *to = &conn->leg[!leg];
		uint64_t took = box_conn_write(box, conn, !leg, from->got - to->written);
		if (took > 0) {
			from->consumed += took;
			box_conn_say(box, conn, SLAB_LEG_CONSUMED, leg, from->consumed);
		}
		if (from->fin && to->written == from->got && !to->finished)
			to->finished = box_conn_say(box, conn, SLAB_LEG_FIN, !leg, 0);
	}
}

uint64_t box_turn(struct box *box)
{
	tcp_tick(box->shard, box->now_us);
	for (unsigned i = 0; box->relay && !box->paused && i < BOX_CONNS; i++)
		if (box->conn[i].gone < box->conn[i].opened && !box->conn[i].lost)
			relay(box, &box->conn[i]);
	return tcp_flush(box->shard, box->now_us);
}

bool box_conn_say(struct box *box, struct box_conn *conn, uint16_t type, unsigned leg, uint64_t arg)
{
	struct slab_desc desc = {.slab = SLAB_NONE, .type = type, .aux = leg, .flow = conn->flow, .arg = arg};

	if (type == SLAB_LEG_CONSUMED && leg < 2)
		conn->leg[leg].consumed = arg;
	return tcp_from_worker(box->shard, conn->worker, &desc, NULL, box->now_us);
}

bool box_say(struct box *box, uint16_t type, unsigned leg, uint64_t arg)
{
	return box_conn_say(box, &box->conn[0], type, leg, arg);
}

uint64_t box_conn_write(struct box *box, struct box_conn *conn, unsigned leg, uint64_t len)
{
	struct box_leg *to = &conn->leg[leg];
	uint64_t done = 0;

	while (done < len && box->free_count > BOX_SLABS / 2) {
		uint32_t slab = box->free_slabs[--box->free_count];
		uint32_t part = len - done < BOX_SLAB_BYTES ? (uint32_t)(len - done) : BOX_SLAB_BYTES;
		box->slab_worker[slab] = conn->worker;
		for (uint32_t i = 0; i < part; i++) /* a relay writes what the other leg's peer sent */
			box->slab[slab][i] = box_byte(box->relay ? !leg : leg, !box->relay, to->written + i);
		struct slab_desc desc = {
		    .slab = slab, .len = part, .type = SLAB_LEG_DATA, .aux = leg, .flow = conn->flow};
		if (!tcp_from_worker(box->shard, conn->worker, &desc, box->slab[slab], box->now_us))
			return done;
		to->written += part;
		done += part;
	}
	return done;
}

uint64_t box_write(struct box *box, unsigned leg, uint64_t len)
{
	return box_conn_write(box, &box->conn[0], leg, len);
}

void box_lose(struct box *box, int worker)
{
	tcp_worker_lost(box->shard, worker, box->now_us);
	for (unsigned i = 0; i < BOX_CONNS; i++)
		if (box->conn[i].opened > 0 && box->conn[i].worker == worker &&
		    box->conn[i].gone < box->conn[i].opened)
			box->conn[i].lost = true;
	for (uint32_t slab = 0; slab < BOX_SLABS; slab++)
		if (box->slab_worker[slab] == worker) {
			memset(box->slab[slab], 0xee, BOX_SLAB_BYTES);
			box->slab_worker[slab] = -1;
			box->free_slabs[box->free_count++] = slab;
		}
}

void box_ready(struct box *box)
{
	box->full = false;
	for (uint32_t i = 0; i < box->config.workers; i++)
		tcp_worker_ready(box->shard, (int)i, box->now_us);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
