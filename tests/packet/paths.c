/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/packet/paths.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/flow.h"

#define WSCALE 7
#define CLIENT_ISN 1000u
#define ORIGIN_ISN 5000u
#define FIRST_PORT 40000u
#define TURN_US 200 /* a worker looks so often */
#define CONSUMED_STEP 8192u

static uint8_t slab_bytes[8192];

/* -- hooks -- */

static uint8_t frame_room[BOX_BUFFER_MAX];

static uint8_t *frame_alloc(void *context, uint32_t len, void **handle)
{
	(void)context;
	*handle = frame_room;
	return len <= sizeof(frame_room) ? frame_room : NULL;
}

static void pipe_push(struct paths_pipe *pipe, const struct paths_packet *packet)
{
	if (pipe->count == pipe->size) {
		uint32_t size = pipe->size == 0 ? 64 : 2 * pipe->size;
		struct paths_packet *ring = calloc(size, sizeof(*ring));
		for (uint32_t i = 0; i < pipe->count; i++)
			ring[i] = pipe->ring[(pipe->head + i) % pipe->size];
		free(pipe->ring);
		*pipe = (struct paths_pipe){.ring = ring, .size = size, .count = pipe->count};
	}
	pipe->ring[(pipe->head + pipe->count++) % pipe->size] = *packet;
}

static struct paths_packet *pipe_due(struct paths_pipe *pipe, uint64_t now_us)
{
	if (pipe->count == 0 || pipe->ring[pipe->head].at_us > now_us)
		return NULL;
	struct paths_packet *packet = &pipe->ring[pipe->head];
	pipe->head = (pipe->head + 1) % pipe->size;
	pipe->count--;
	return packet;
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24), at[1] = (uint8_t)(v >> 16), at[2] = (uint8_t)(v >> 8), at[3] = (uint8_t)v;
}

static void frame_send(void *context, uint8_t link, enum tcp_port_side side, void *handle, uint32_t len)
{
	struct paths *paths = context;
	struct frame f;

	(void)link;
	frame_parse(&f, handle, len);
	uint32_t number = f.dport - FIRST_PORT;
	if (side == TCP_OUTSIDE)
		number = f.sport - FIRST_PORT;
	if (number >= paths->clients)
		return;
	struct paths_client *client = &paths->client[number];
	if (side == TCP_OUTSIDE) {
		client->origin_asked = SEQ_LEQ(f.seq, CLIENT_ISN); /* a keepalive probe */
		return;
	}
	const uint8_t *options = f.bytes + f.l4_offset + 20;
	bool stamped = f.tcp_header_len >= 32 && memcmp(options, "\x01\x01\x08\x0a", 4) == 0;
	pipe_push(&client->to_client, &(struct paths_packet){.at_us = paths->now_us + client->delay_us,
	                                  .seq = f.seq,
	                                  .ack = f.ack,
	                                  .len = f.payload_len,
	                                  .window = (uint32_t)f.tcp_window << WSCALE,
	                                  .tsval = stamped ? get_u32(options + 4) : 0,
	                                  .flags = f.tcp_flags});
}

static int worker_open(void *context, uint64_t flow, const struct slab_flow *about)
{
	struct paths *paths = context;
	uint32_t number = about->client_port - FIRST_PORT;

	if (number >= paths->clients)
		return 0;
	paths->client[number].flow = flow;
	paths->client[number].slabs_told = paths->client[number].slabs_most = about->send_credit;
	return paths->client[number].worker;
}

static struct paths_client *client_of(struct paths *paths, uint64_t flow)
{
	for (unsigned i = 0; i < paths->clients; i++)
		if (paths->client[i].flow == flow)
			return &paths->client[i];
	return NULL;
}

static uint32_t worker_data(
    void *context, int worker, uint64_t flow, uint8_t leg, const uint8_t *at, uint32_t len)
{
	struct paths *paths = context;
	struct paths_client *client = client_of(paths, flow);

	if (paths->full[worker] || client == NULL || leg != SLAB_LEG_CLIENT)
		return 0;
	for (uint32_t i = 0; i < len; i++)
		if (at[i] != box_byte(0, false, client->got + i))
			abort();
	client->got += len;
	return len;
}

static bool worker_fin(void *context, int worker, uint64_t flow, uint8_t leg)
{
	(void)context;
	(void)worker;
	(void)flow;
	(void)leg;
	return true;
}

static bool worker_reset(void *context, int worker, uint64_t flow, uint8_t leg, int error)
{
	struct paths_client *client = client_of(context, flow);

	(void)error;
	if (client != NULL)
		client->reset = true;
	return worker_fin(context, worker, flow, leg);
}

static bool worker_gone(void *context, int worker, uint64_t flow)
{
	struct paths_client *client = client_of(context, flow);

	(void)worker;
	if (client != NULL)
		client->gone = true;
	return true;
}

static bool worker_credit(void *context, int worker, uint64_t flow, uint8_t leg, uint32_t slabs)
{
	struct paths_client *client = client_of(context, flow);

	(void)worker;
	if (client != NULL && leg == SLAB_LEG_CLIENT) {
		client->slabs_told = slabs;
		if (slabs > client->slabs_most)
			client->slabs_most = slabs;
	}
	return true;
}

static void slab_done(void *context, int worker, uint32_t slab)
{
	struct paths *paths = context;

	paths->client[paths->slab_client[worker][slab]].slabs_out--;
	paths->free_slabs[worker][paths->free_count[worker]++] = slab;
}

void paths_config(struct tcp_config *config)
{
	tcp_config_defaults(config);
	config->flows = PATHS_MAX + 1;
	config->workers = PATHS_WORKERS;
	config->sent_segments = 65536;
}

void paths_open(struct paths *paths, const struct tcp_config *config)
{
	struct tcp_hooks hooks = {
	    .context = paths,
	    .frame_alloc = frame_alloc,
	    .frame_send = frame_send,
	    .worker_context = paths,
	    .worker_open = worker_open,
	    .worker_data = worker_data,
	    .worker_fin = worker_fin,
	    .worker_reset = worker_reset,
	    .worker_gone = worker_gone,
	    .worker_credit = worker_credit,
	    .slab_done = slab_done,
	};

	memset(paths, 0, sizeof(*paths));
	paths->config = *config;
	paths->now_us = 1000000;
	paths->timestamps = true;
	for (unsigned w = 0; w < PATHS_WORKERS; w++)
		for (uint32_t i = 0; i < PATHS_SLABS; i++)
			paths->free_slabs[w][paths->free_count[w]++] = i;
	paths->shard = tcp_shard_create(config, &hooks);
	if (paths->shard == NULL)
		abort();
}

void paths_close(struct paths *paths)
{
	for (unsigned i = 0; i < paths->clients; i++) {
		free(paths->client[i].to_box.ring);
		free(paths->client[i].to_client.ring);
	}
	tcp_shard_destroy(paths->shard);
}

/* -- frames -- */

static void give(struct paths *paths, struct box_segment *s, uint32_t tsecr)
{
	uint8_t bytes[BOX_FRAME_MAX], *at = s->options;
	struct frame frame;

	s->family = 4;
	if (s->flags & TCP_SYN)
		memcpy(at, (uint8_t[]){2, 4, 5, 180, 1, 3, 3, WSCALE, 1, 1, 4, 2}, 12), at += 12;
	if (paths->timestamps) {
		memcpy(at, (uint8_t[]){1, 1, 8, 10}, 4);
		put_u32(at + 4, (uint32_t)(paths->now_us / 1000));
		put_u32(at + 8, tsecr);
		at += 12;
	}
	s->options_len = (uint32_t)(at - s->options);
	uint32_t len = box_build(bytes, s);
	enum tcp_port_side from = s->from_client ? TCP_INSIDE : TCP_OUTSIDE;
	frame_parse(&frame, bytes, len);
	enum tcp_verdict verdict = tcp_input(paths->shard, 0, from, &frame, bytes, &len, paths->now_us);
	if (verdict == TCP_UNKNOWN && s->flags == TCP_SYN)
		tcp_syn(paths->shard, 0, from, &frame, bytes, &len,
		    &(struct tcp_rule){.rule = 1, .generation = 1}, paths->now_us);
}

static void shake(struct paths *paths, struct box_segment s, uint64_t delay_us, bool ack)
{
	s.from_client = true;
	s.window = 64240;
	s.seq = CLIENT_ISN;
	s.flags = TCP_SYN;
	give(paths, &s, 0);
	if (!ack)
		return;
	paths->now_us += 1000;
	struct box_segment answer = s;
	answer.from_client = false;
	answer.seq = ORIGIN_ISN;
	answer.ack = CLIENT_ISN + 1;
	answer.flags = TCP_SYN | TCP_ACK;
	give(paths, &answer, 0);
	paths->now_us += 2 * delay_us;
	s.seq = CLIENT_ISN + 1;
	s.ack = ORIGIN_ISN + 1;
	s.flags = TCP_ACK;
	give(paths, &s, 0);
}

struct paths_client *paths_client(struct paths *paths, uint64_t delay_us, int worker)
{
	struct paths_client *client = &paths->client[paths->clients++];

	*client = (struct paths_client){.worker = worker,
	    .delay_us = delay_us,
	    .nxt = CLIENT_ISN + 1,
	    .una = CLIENT_ISN + 1,
	    .edge = CLIENT_ISN + 1 + 64240,
	    .cwnd = 10 * PATHS_MSS,
	    .cwnd_max = UINT32_MAX / 4,
	    .rcv_nxt = ORIGIN_ISN + 1,
	    .window = 65535u << WSCALE};
	shake(
	    paths, (struct box_segment){.port = (uint16_t)(FIRST_PORT + paths->clients - 1)}, delay_us, true);
	return client;
}

void paths_handshake(struct paths *paths, uint32_t number, bool ack)
{
	shake(paths,
	    (struct box_segment){.port = (uint16_t)(1 + number % 30000),
	        .vlan_tags = 1,
	        .vlan = {(uint16_t)(1 + number / 30000)}},
	    500, ack);
}

static void origin_answers(struct paths *paths, struct paths_client *client)
{
	client->origin_asked = false;
	give(paths,
	    &(struct box_segment){.port = (uint16_t)(FIRST_PORT + (uint32_t)(client - paths->client)),
	        .flags = TCP_ACK,
	        .seq = ORIGIN_ISN + 1,
	        .ack = CLIENT_ISN + 1,
	        .window = 1000},
	    0);
}

static void segment_in(struct paths *paths, struct paths_client *client, const struct paths_packet *packet)
{
	give(paths,
	    &(struct box_segment){.from_client = true,
	        .port = (uint16_t)(FIRST_PORT + (uint32_t)(client - paths->client)),
	        .flags = TCP_ACK,
	        .seq = packet->seq,
	        .ack = packet->ack,
	        .len = packet->len,
	        .offset = packet->seq - CLIENT_ISN - 1,
	        .window = (uint16_t)(packet->window >> WSCALE)},
	    packet->tsecr);
}

void paths_segment(struct paths *paths, struct paths_client *client, uint32_t offset, uint32_t len)
{
	segment_in(paths, client,
	    &(struct paths_packet){.seq = CLIENT_ISN + 1 + offset,
	        .ack = client->rcv_nxt,
	        .len = len,
	        .window = client->window,
	        .tsecr = client->tsecr});
	paths->due_us = tcp_flush(paths->shard, paths->now_us);
}

/* -- clients -- */

/* When the client's link has sent `len` bytes more. */
static uint64_t link_sent_us(struct paths *paths, struct paths_client *client, uint32_t len)
{
	uint64_t now_ns = paths->now_us * 1000;

	if (client->link_bytes_s == 0 || len == 0)
		return paths->now_us;
	if (client->link_free_ns < now_ns)
		client->link_free_ns = now_ns;
	client->link_free_ns += (uint64_t)len * 1000000000 / client->link_bytes_s;
	return client->link_free_ns / 1000;
}

static void client_says(struct paths *paths, struct paths_client *client, uint32_t len)
{
	uint64_t sent_us = link_sent_us(paths, client, len);

	pipe_push(&client->to_box, &(struct paths_packet){.at_us = sent_us + client->delay_us,
	                               .seq = client->nxt,
	                               .ack = client->rcv_nxt,
	                               .len = len,
	                               .window = client->window,
	                               .tsecr = client->tsecr});
	client->nxt += len;
}

static void client_sends(struct paths *paths, struct paths_client *client)
{
	while (client->to_send > 0) {
		uint32_t len = client->to_send < PATHS_MSS ? (uint32_t)client->to_send : PATHS_MSS;
		if (client->nxt - client->una + len > client->cwnd || SEQ_GT(client->nxt + len, client->edge))
			return;
		client_says(paths, client, len);
		client->to_send -= len;
	}
}

void paths_send(struct paths *paths, struct paths_client *client, uint64_t bytes)
{
	client->to_send += bytes;
	client_sends(paths, client);
}

static void client_hears(struct paths *paths, struct paths_client *client, const struct paths_packet *packet)
{
	if (packet->flags & TCP_RST)
		return;
	if (packet->tsval != 0)
		client->tsecr = packet->tsval;
	if (SEQ_GT(packet->ack, client->una)) {
		uint64_t cwnd = (uint64_t)client->cwnd + (packet->ack - client->una);
		client->cwnd = cwnd < client->cwnd_max ? (uint32_t)cwnd : client->cwnd_max;
		client->una = packet->ack;
	}
	/* The right edge never moves left, but by what a scaled window cannot say. */
	if (SEQ_LT(packet->ack + packet->window + (1u << WSCALE), client->edge))
		abort();
	if (SEQ_GT(packet->ack + packet->window, client->edge))
		client->edge = packet->ack + packet->window;
	if ((packet->len > 0 || SEQ_LT(packet->seq, client->rcv_nxt)) && !client->mute) {
		if (packet->seq == client->rcv_nxt)
			client->rcv_nxt += packet->len;
		client_says(paths, client, 0);
	}
	client_sends(paths, client);
}

/* -- workers -- */

bool paths_put(struct paths *paths, struct paths_client *client)
{
	int w = client->worker;
	uint32_t slab = paths->free_slabs[w][--paths->free_count[w]];

	paths->slab_client[w][slab] = (uint32_t)(client - paths->client);
	client->slabs_out++;
	return tcp_from_worker(paths->shard, w,
	    &(struct slab_desc){.slab = slab,
	        .len = sizeof(slab_bytes),
	        .type = SLAB_LEG_DATA,
	        .aux = SLAB_LEG_CLIENT,
	        .flow = client->flow},
	    slab_bytes, paths->now_us);
}

static void worker_turn(struct paths *paths)
{
	uint64_t there = 0;

	for (unsigned i = 0; i < paths->clients; i++) {
		struct paths_client *client = &paths->client[i];
		there += client->got - client->consumed;
		if (!client->stalled && client->got - client->consumed >= CONSUMED_STEP) {
			client->consumed = client->got;
			tcp_from_worker(paths->shard, client->worker,
			    &(struct slab_desc){.slab = SLAB_NONE,
			        .type = SLAB_LEG_CONSUMED,
			        .aux = SLAB_LEG_CLIENT,
			        .flow = client->flow,
			        .arg = client->consumed},
			    NULL, paths->now_us);
		}
		while (client->writes && client->slabs_out < client->slabs_told &&
		       paths->free_count[client->worker] > 0)
			paths_put(paths, client);
	}
	if (there > paths->there_most)
		paths->there_most = there;
	for (int w = 0; w < PATHS_WORKERS; w++)
		if (!paths->full[w])
			tcp_worker_ready(paths->shard, w, paths->now_us);
}

/* -- time -- */

static uint64_t next_event(const struct paths *paths)
{
	uint64_t next = paths->due_us;

	for (unsigned i = 0; i < paths->clients; i++) {
		const struct paths_pipe *pipes[] = {&paths->client[i].to_box, &paths->client[i].to_client};
		for (unsigned k = 0; k < 2; k++)
			if (pipes[k]->count > 0 && pipes[k]->ring[pipes[k]->head].at_us < next)
				next = pipes[k]->ring[pipes[k]->head].at_us;
	}
	return next;
}

void paths_run(struct paths *paths, uint64_t us)
{
	uint64_t end = paths->now_us + us, turn = paths->now_us;

	paths->due_us = tcp_flush(paths->shard, paths->now_us);
	while (paths->now_us < end) {
		uint64_t next = next_event(paths);
		if (next > turn + TURN_US)
			next = turn + TURN_US;
		paths->now_us = next > end ? end : next > paths->now_us ? next : paths->now_us + 1;
		for (unsigned i = 0; i < paths->clients; i++) {
			struct paths_packet *packet;
			if (paths->client[i].origin_asked)
				origin_answers(paths, &paths->client[i]);
			while ((packet = pipe_due(&paths->client[i].to_box, paths->now_us)) != NULL)
				segment_in(paths, &paths->client[i], packet);
			while ((packet = pipe_due(&paths->client[i].to_client, paths->now_us)) != NULL)
				client_hears(paths, &paths->client[i], packet);
		}
		tcp_tick(paths->shard, paths->now_us);
		if (paths->now_us >= turn + TURN_US) {
			worker_turn(paths);
			turn = paths->now_us;
		}
		paths->due_us = tcp_flush(paths->shard, paths->now_us);
	}
}

struct tcp_leg *paths_leg(struct paths *paths, const struct paths_client *client)
{
	return &paths->shard->flows[(uint32_t)client->flow].leg[SLAB_LEG_CLIENT];
}
