/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two boxes with a bad link between them: client - box - link - box - origin. What the link does, how many
 * connections there are, how they end, when workers stall or die: all by the seed. What was closed in order
 * must have arrived whole, once and in order; what was reset must be over at both ends; and both boxes must
 * be empty afterwards.
 *
 *   lossy [FIRST [LAST]]    runs these seeds (default 1 500); LOSSY_TRACE=1 prints each frame
 *   lossy each              a short exchange on a good link but for each frame lost, each pair of frames
 * lost, each frame duplicated, overtaken, late, cut
 */
#include "tests/packet/link.h"
#include "tests/packet/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_LIMIT_US (3600ull * 1000000)

enum { CONNS_MAX = 3, WORKERS_MAX = 3, STALLS_MAX = 12, INVARIANT_EVERY = 8 };

/* How a connection ends. All but IN_ORDER and BYSTANDER end it by force, if they come in time. */
enum ending {
	IN_ORDER,
	CLIENT_ABORTS,
	ORIGIN_ABORTS,
	WORKER_RESETS,
	WORKER_RESETS_ONE,
	WORKER_DIES,
	BYSTANDER,
	ENDINGS
};

/* A worker that stops for a while. */
struct stalls {
	unsigned left;
	bool on;
	uint64_t at;
};

struct world {
	struct seeded random;
	struct link link;
	struct box *box[2];
	struct peer peer[CONNS_MAX][2]; /* 0 client, 1 origin */
	unsigned conns;
	uint64_t now_us;
	enum ending ending; /* of connection 0 */
	unsigned end_box;   /* whose worker does it */
	uint64_t end_at;    /* bytes that the worker has had by then */
	bool forced;        /* it came to it */
	struct stalls stalls[2];
	uint64_t turns;
	const char *wrong;
	bool trace;
};

static uint32_t rnd(struct world *w, uint32_t below)
{
	return seeded_below(&w->random, below);
}

/* -- the workers -- */

static bool by_worker(const struct world *w)
{
	return w->ending >= WORKER_RESETS;
}

static void end_by_worker(struct world *w)
{
	struct box *box = w->box[w->end_box];
	struct box_conn *conn = &box->conn[0];
	unsigned leg = (unsigned)(w->end_at % 2);

	if (w->forced || !by_worker(w) || conn->opened == 0 || conn->gone > 0 ||
	    conn->leg[0].got + conn->leg[1].got < w->end_at)
		return;
	w->forced = true;
	switch (w->ending) {
	case WORKER_RESETS:
		box_conn_say(box, conn, SLAB_LEG_RESET, SLAB_LEG_BOTH, 0);
		break;
	case WORKER_RESETS_ONE:
		box_conn_say(box, conn, SLAB_LEG_RESET, leg, 0);
		if (conn->gone == 0 && !conn->leg[!leg].finished)
			conn->leg[!leg].finished = box_conn_say(box, conn, SLAB_LEG_FIN, !leg, 0);
		break;
	case WORKER_DIES:
		box_lose(box, conn->worker);
		break;
	default:
		box_lose(box, WORKERS_MAX - 1); /* it has no flow */
	}
}

static uint64_t stall_turn(struct world *w, unsigned i)
{
	struct stalls *s = &w->stalls[i];
	struct box *box = w->box[i];

	if (s->left == 0 || w->now_us < s->at)
		return s->left == 0 ? PEER_NEVER : s->at;
	s->on = !s->on;
	s->at = w->now_us + 1000ull * (1 + rnd(w, s->on ? 400 : 3000));
	if (!s->on) {
		box->paused = box->no_buffers = false;
		box->room = UINT32_MAX;
		box_ready(box);
		s->left--;
		return s->left == 0 ? PEER_NEVER : s->at;
	}
	switch (rnd(w, 4)) {
	case 0:
		box->paused = true;
		break;
	case 1:
		box->full = true;
		break;
	case 2:
		box->room = rnd(w, 5000);
		break;
	default: /* an RST that found no buffer may never come: its receiver has no timer for that */
		box->no_buffers = w->ending == IN_ORDER || w->ending == BYSTANDER;
	}
	return s->at;
}

/* -- the world -- */

static void near(struct world *w, unsigned side, const struct box_frame *frame)
{
	for (unsigned c = 0; c < w->conns; c++)
		if (peer_receive(&w->peer[c][side], frame))
			return;
}

/* Box 0 is next to the client: its inside is the client, its outside the link. Box 1 the other way. */
static bool carry(struct world *w)
{
	struct box_frame *frame;
	bool any = false;

	while ((frame = box_take(w->box[0], TCP_OUTSIDE)) != NULL)
		link_send(&w->link, 1, frame, w->now_us), any = true;
	while ((frame = box_take(w->box[1], TCP_INSIDE)) != NULL)
		link_send(&w->link, 0, frame, w->now_us), any = true;
	for (unsigned i = 0; i < 2; i++)
		while ((frame = box_take(w->box[i], i == 0 ? TCP_INSIDE : TCP_OUTSIDE)) != NULL) {
			near(w, i, frame);
			free(frame);
			any = true;
		}
	return any;
}

/* May this connection end otherwise than in order? */
static bool may_break(const struct world *w, unsigned c)
{
	if (w->ending == WORKER_DIES) /* and with it all the connections it has */
		return c == 0 || w->box[w->end_box]->conn[c].worker == w->box[w->end_box]->conn[0].worker ||
		       w->box[w->end_box]->conn[c].lost;
	return c == 0 && w->ending != IN_ORDER && w->ending != BYSTANDER;
}

static bool finished(const struct world *w)
{
	for (unsigned c = 0; c < w->conns; c++)
		for (unsigned i = 0; i < 2; i++)
			if (!peer_finished(&w->peer[c][i]) || tcp_counters(w->box[i]->shard)->flows != 0)
				return false;
	return w->link.head == NULL;
}

static void setup_link(struct world *w)
{
	struct link *l = &w->link;

	l->random = &w->random;
	l->trace = w->trace;
	l->loss = (unsigned[]){0, 10, 50, 100, 200}[rnd(w, 5)];
	l->reorder = (unsigned[]){0, 30, 300}[rnd(w, 3)];
	l->duplicate = (unsigned[]){0, 10, 100}[rnd(w, 3)];
	l->corrupt = (unsigned[]){0, 10, 50}[rnd(w, 3)];
	l->cut = (unsigned[]){0, 0, 20}[rnd(w, 3)];
	l->delay_us = 100 + rnd(w, 40000);
	l->jitter_us = rnd(w, 20000);
	if (rnd(w, 3) == 0) {
		l->rate = 100 + rnd(w, 5000);
		l->queue = 10000 + rnd(w, 100000);
	}
}

static void setup_mtu(struct world *w, uint8_t family)
{
	uint32_t least = family == 4 ? 576 : 1280;

	if (rnd(w, 3) != 0)
		return;
	w->link.mtu = least + rnd(w, 1500 - least);
	w->link.mtu_from = rnd(w, 100);
	w->link.black_hole = rnd(w, 3) == 0;
}

static void setup_config(struct world *w, struct tcp_config *config, uint64_t seed)
{
	tcp_config_defaults(config);
	config->flows = 16;
	config->workers = WORKERS_MAX;
	config->seed[0] = seed;
	config->mtu = rnd(w, 2) ? 1500 : 9000;
	if (seed % 2 != 0) /* every other one with a port that sums and cuts */
		config->offloads =
		    (struct tcp_offloads){.checksum = true, .frame_max = seed % 4 == 1 ? BOX_BUFFER_MAX : 0};
	config->receive_credit = (uint32_t[]){4096, 65536, 262144}[rnd(w, 3)];
	/* By the seed and not drawn, so that seeds mean what they meant. */
	config->receive_window_max = seed % 3 == 0 ? 1 << 20 : 262144;
	config->receive_memory = seed % 5 == 0 ? 1 << 18 : 1 << 26;
	config->send_credit = 512;
	config->reorder_total = 1 << 20;
	config->reorder_bytes = rnd(w, 2) ? 262144 : 16384;
	config->sent_segments = 600;
	config->retransmit_limit = 200;
	config->time_wait_ms = 60000;
	config->fin_wait_ms = 3000000;
	config->handshake_ms = 300000;
	/* Longer than the peer's back-off may be: eight probes in a row are lost on such paths, one time in a
	 * thousand.
	 */
	config->idle_keepalive_ms = 400000;
}

static void setup_peers(struct world *w)
{
	uint8_t family = rnd(w, 2) ? 4 : 6, tags = (uint8_t)rnd(w, 3);
	bool sack = rnd(w, 3) != 0, timestamps = rnd(w, 3) != 0, scale = rnd(w, 3) != 0;
	/* Most worlds are small: many of them say more than a few large ones. */
	uint32_t most = (uint32_t[]){3, 5000, 60000, 400000}[rnd(w, 4)] / w->conns;

	setup_mtu(w, family);
	for (unsigned c = 0; c < w->conns; c++)
		for (unsigned i = 0; i < 2; i++)
			w->peer[c][i] = (struct peer){
			    .box = w->box[i],
			    .random = &w->random,
			    .client = i == 0,
			    .state = i == 0 ? PEER_SYN_SENT : PEER_CLOSED,
			    .family = family,
			    .vlan_tags = tags,
			    .port = (uint16_t)(40000 + c),
			    .iss = rnd(w, 2) ? rnd(w, UINT32_MAX) : UINT32_MAX - rnd(w, 100000),
			    .to_send = rnd(w, most + 1),
			    .sack = sack,
			    .timestamps = timestamps,
			    .scale = scale,
			    .mss = (uint16_t)(rnd(w, 2) ? 1460 : 200 + rnd(w, 8700)),
			    .window = 2000 + rnd(w, 60000) * (scale ? 8 : 1),
			    .abort_at = PEER_NEVER,
			};
}

static void setup_ending(struct world *w)
{
	uint64_t all = w->peer[0][0].to_send + w->peer[0][1].to_send;

	w->ending = rnd(w, 2) ? IN_ORDER : (enum ending)rnd(w, ENDINGS);
	w->end_box = rnd(w, 2);
	w->end_at = rnd(w, (uint32_t)all + 1);
	if (w->ending == CLIENT_ABORTS || w->ending == ORIGIN_ABORTS)
		w->peer[0][w->ending == ORIGIN_ABORTS].abort_at = w->end_at;
	for (unsigned i = 0; i < 2; i++)
		if (rnd(w, 3) == 0)
			w->stalls[i] = (struct stalls){
			    .left = 1 + rnd(w, STALLS_MAX), .at = w->now_us + rnd(w, 2000000)};
}

static void world_open(struct world *w, uint64_t seed)
{
	struct tcp_config config;

	*w = (struct world){.random = seeded_from(seed), .now_us = 1000000};
	w->trace = getenv("LOSSY_TRACE") != NULL;
	w->conns = rnd(w, 3) ? 1 : 2 + rnd(w, CONNS_MAX - 1);
	setup_link(w);
	setup_config(w, &config, seed);
	for (unsigned i = 0; i < 2; i++) {
		w->box[i] = w->link.box[i] = malloc(sizeof(*w->box[i]));
		box_open(w->box[i], &config);
		w->box[i]->relay = true;
		w->box[i]->next_worker = (int)rnd(w, WORKERS_MAX - 1);
	}
	setup_peers(w);
	setup_ending(w);
}

static void world_close(struct world *w)
{
	link_close(&w->link);
	for (unsigned i = 0; i < 2; i++) {
		box_close(w->box[i]);
		free(w->box[i]);
	}
}

static void report(const struct world *w, const char *how, uint64_t seed, const char *why)
{
	static const char *const NAMES[] = {"in order", "the client aborts", "the origin aborts",
	    "a worker resets", "a worker resets one leg", "a worker dies", "another worker dies"};
	const struct link *l = &w->link;

	printf("seed %" PRIu64
	       ": %s at %.3f s (IPv%u, %u connections, %s; loss %u, reorder %u, dup %u, corrupt %u, "
	       "cut %u per mille, %u bytes a ms, MTU %u%s)\n",
	    seed, why, (double)w->now_us / 1e6, w->peer[0][0].family, w->conns, NAMES[w->ending], l->loss,
	    l->reorder, l->duplicate, l->corrupt, l->cut, l->rate, l->mtu,
	    l->black_hole ? ", black hole" : "");
	for (unsigned c = 0; c < w->conns; c++)
		for (unsigned i = 0; i < 2; i++) {
			const struct peer *p = &w->peer[c][i];
			const struct box_conn *b = &w->box[i]->conn[c];
			printf("  %s %u: received %" PRIu64 " of %" PRIu64
			       ", state %d fin sent %d acked %d received %d; box: flows %" PRIu64
			       " opened %u gone %u got %" PRIu64 "/%" PRIu64 " written %" PRIu64 "/%" PRIu64
			       "\n",
			    i ? "origin" : "client", c, p->received, w->peer[c][!i].to_send, p->state,
			    p->fin_sent, p->fin_acked, p->fin_received, tcp_counters(w->box[i]->shard)->flows,
			    b->opened, b->gone, b->leg[0].got, b->leg[1].got, b->leg[0].written,
			    b->leg[1].written);
		}
	printf("  again: %s %" PRIu64 "\n", how, seed);
}

/* Reset before it was through. After: where the last ACK was lost for all of TIME_WAIT, FINs are answered so.
 */
static bool cut_off(const struct peer *p)
{
	return p->state == PEER_RESET && !(p->fin_acked && p->fin_received);
}

static void look(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		if (w->box[i]->wrong_bytes)
			w->wrong = "the worker got wrong bytes, or a word that is not its";
		const char *broken = w->turns % INVARIANT_EVERY == 0 ? box_invariant(w->box[i]) : NULL;
		if (broken != NULL)
			w->wrong = broken;
		for (unsigned c = 0; c < w->conns; c++) {
			if (w->peer[c][i].wrong != NULL)
				w->wrong = w->peer[c][i].wrong;
			if (cut_off(&w->peer[c][i]) && !may_break(w, c))
				w->wrong = "a reset";
		}
	}
}

/* Everything at now_us; returns when there is more to do. */
static uint64_t world_turn(struct world *w)
{
	uint64_t next = w->now_us + 60000000;
	bool moved = false;

	w->turns++;
	for (unsigned i = 0; i < 2; i++)
		w->box[i]->now_us = w->now_us;
	link_deliver(&w->link, w->now_us);
	for (unsigned c = 0; c < w->conns; c++)
		for (unsigned i = 0; i < 2; i++) {
			uint64_t due = peer_turn(&w->peer[c][i]);
			next = due < next ? due : next;
		}
	end_by_worker(w);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t due = stall_turn(w, i);
		next = due < next ? due : next;
		due = box_turn(w->box[i]);
		next = due < next ? due : next;
	}
	look(w);
	moved = carry(w);
	for (unsigned c = 0; c < w->conns; c++)
		for (unsigned i = 0; i < 2; i++)
			moved = moved || (w->peer[c][i].ack_owed && w->peer[c][i].state == PEER_OPEN);
	uint64_t due = link_deliver(&w->link, w->now_us);
	next = due < next ? due : next;
	return moved || next <= w->now_us ? w->now_us + 50 : next;
}

static const char *verdict(const struct world *w)
{
	for (unsigned c = 0; c < w->conns; c++) {
		const struct peer *p = w->peer[c];
		bool reset = cut_off(&p[0]) || cut_off(&p[1]);
		if (reset || w->forced) {
			if (!may_break(w, c) && reset)
				return "a reset";
			if (may_break(w, c))
				continue;
		}
		if (p[0].received != p[1].to_send || p[1].received != p[0].to_send)
			return "not all arrived";
		if (w->box[0]->conn[c].gone != 1 || w->box[1]->conn[c].gone != 1)
			return "a worker was not told of the end";
	}
	for (unsigned i = 0; i < 2; i++) {
		if (w->box[i]->free_count != BOX_SLABS)
			return "slabs were not given back";
		const char *broken = box_invariant(w->box[i]);
		if (broken != NULL)
			return broken;
	}
	return NULL;
}

/* Runs a world to its end; false: something was wrong, and was printed. */
static bool world_run(struct world *w, const char *how, uint64_t seed)
{
	bool over = false;

	while (w->now_us < TIME_LIMIT_US && w->wrong == NULL && !(over = finished(w)))
		w->now_us = world_turn(w);
	const char *why = w->wrong != NULL ? w->wrong : over ? verdict(w) : "not finished";
	if (why != NULL)
		report(w, how, seed, why);
	return why == NULL;
}

static bool run(uint64_t seed)
{
	struct world w;

	world_open(&w, seed);
	bool ok = world_run(&w, "lossy", seed);
	world_close(&w);
	return ok;
}

/* -- each frame -- */

struct touch {
	uint64_t frame;
	enum link_action what;
};

/* One exchange with two frames touched; how many frames the link carried in all. */
static bool run_touched(unsigned variant, struct touch first, struct touch second, uint64_t *frames)
{
	struct world w;

	world_open(&w, 1 + variant);
	struct link *l = &w.link;
	l->loss = l->reorder = l->duplicate = l->corrupt = l->cut = l->rate = l->mtu = 0;
	l->delay_us = 10000;
	l->act[0].frame = first.frame;
	l->act[0].what = first.what;
	l->act[1].frame = second.frame;
	l->act[1].what = second.what;
	w.conns = 1;
	w.ending = IN_ORDER;
	for (unsigned i = 0; i < 2; i++) {
		w.stalls[i].left = 0;
		w.peer[0][i].to_send = i == 0 ? 9000 : 5000;
		w.peer[0][i].abort_at = PEER_NEVER;
		w.peer[0][i].mss = 1000;
		w.peer[0][i].sack = variant & 1;
		w.peer[0][i].timestamps = variant & 2;
		w.peer[0][i].scale = variant & 4;
	}
	bool ok = world_run(&w, "lossy each: variant", variant);
	if (!ok)
		printf("  frame %" PRIu64 " action %d, frame %" PRIu64 " action %d\n", first.frame,
		    first.what, second.frame, second.what);
	*frames = w.link.frames;
	world_close(&w);
	return ok;
}

static int run_each(void)
{
	unsigned runs = 0, failed = 0;
	uint64_t frames, ignored;

	for (unsigned variant = 0; variant < 8; variant++) {
		failed += !run_touched(variant, (struct touch){0}, (struct touch){0}, &frames);
		for (uint64_t first = 1; first <= frames; first++) {
			for (uint64_t second = first; second <= frames + 2; second++, runs++)
				failed += !run_touched(variant, (struct touch){first, LINK_LOSE},
				    (struct touch){second, LINK_LOSE}, &ignored);
			for (enum link_action what = LINK_DUPLICATE; what <= LINK_CUT; what++)
				for (uint64_t second = 0; second <= 4; second++, runs++)
					failed += !run_touched(variant, (struct touch){first, what},
					    (struct touch){second == 0 ? 0 : first + second, LINK_LOSE},
					    &ignored);
		}
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
