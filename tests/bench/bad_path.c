/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * What our TCP makes of a bad path, in virtual time: two endpoints, one stream, a link that loses, reorders, has a
 * rate and a queue, as seeded. Beside the bytes a second stands what the response functions promise: the larger of
 * Reno's (1.22 segments a round trip over the square root of the loss) and CUBIC's (RFC 9438 5.2).
 *
 *   bad_path [OPTION…]      one row of these: loss=PERMILLE rtt=MS reorder=PERMILLE jitter=MS rate=MBIT queue=FRAMES
 *                           seconds=N seed=N cc=cubic|newreno timestamps=0|1 sack=0|1; trace=1: cwnd, 10 ms apart
 *   bad_path --check LEAST  the table, for each algorithm; fails where a row is below LEAST of what is promised
 */
/* clang-format on */
#include "dataplane/tcp/flow.h"
#include "tests/packet/box.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MSS = 1448, ISN_CLIENT = 1000, ISN_ORIGIN = 5000 };

struct path {
	double loss, reorder; /* probability */
	uint64_t rtt_us, jitter_us;
	double rate; /* bytes a microsecond; 0: unlimited */
	unsigned queue, seconds, seed;
	enum tcp_congestion congestion;
	bool timestamps, sack, trace;
};

struct transit {
	struct transit *next;
	uint64_t due;
	unsigned to;
	struct box_frame *frame;
};

struct world {
	const struct path *path;
	struct box *box[2]; /* sender, receiver */
	uint64_t now_us, random;
	double link_free_us[2]; /* when the link has sent what it has, by receiver */
	struct transit *first, *last_in_order[2];
	uint64_t dropped;
};

static double chance(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (double)(w->random >> 11) / (double)(1ull << 53);
}

static void insert(struct world *w, struct transit *t)
{
	struct transit **at = &w->first;

	/* Most go to the end: look from the last that was put there. */
	if (w->last_in_order[t->to] != NULL && w->last_in_order[t->to]->due <= t->due)
		at = &w->last_in_order[t->to]->next;
	while (*at != NULL && (*at)->due <= t->due)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
}

static void link_send(struct world *w, unsigned to, struct box_frame *frame)
{
	const struct path *p = w->path;
	double sent = w->link_free_us[to] > (double)w->now_us ? w->link_free_us[to] : (double)w->now_us;

	bool full = p->rate > 0 && sent - (double)w->now_us > p->queue * 1514 / p->rate;
	if (full || (to == 1 && chance(w) < p->loss)) {
		w->dropped++;
		free(frame);
		return;
	}
	if (p->rate > 0)
		w->link_free_us[to] = sent += frame->len / p->rate;
	struct transit *t = calloc(1, sizeof(*t));
	*t = (struct transit){.due = (uint64_t)sent + p->rtt_us / 2, .to = to, .frame = frame};
	bool late = to == 1 && chance(w) < p->reorder;
	if (late)
		t->due += (uint64_t)(chance(w) * (double)p->jitter_us);
	insert(w, t);
	if (!late)
		w->last_in_order[to] = t;
}

static void link_deliver(struct world *w)
{
	while (w->first != NULL && w->first->due <= w->now_us) {
		struct transit *t = w->first;
		w->first = t->next;
		for (unsigned i = 0; i < 2; i++)
			if (w->last_in_order[i] == t)
				w->last_in_order[i] = NULL;
		box_give(
		    w->box[t->to], t->to == 1 ? TCP_INSIDE : TCP_OUTSIDE, t->frame->bytes, t->frame->len);
		free(t->frame);
		free(t);
	}
}

/* A handshake of the client beside the first box and the origin beside the second, without a loss. */
static void shake_hands(struct world *w)
{
	static const uint8_t SYN[] = {2, 4, 5, 180, 1, 3, 3, 8};
	struct box_segment s = {
	    .family = 4, .from_client = true, .flags = TCP_SYN, .seq = ISN_CLIENT, .window = 65535};
	uint8_t bytes[128];
	struct box_frame *frame;

	for (unsigned step = 0; step < 3; step++) {
		s.from_client = step != 1;
		s.flags = step == 0 ? TCP_SYN : step == 1 ? TCP_SYN | TCP_ACK : TCP_ACK;
		s.seq = step == 1 ? ISN_ORIGIN : ISN_CLIENT + (step > 0);
		s.ack = step == 0 ? 0 : step == 1 ? ISN_CLIENT + 1 : ISN_ORIGIN + 1;
		s.options_len = 0;
		if (step < 2) {
			memcpy(s.options, SYN, sizeof(SYN));
			s.options_len = sizeof(SYN);
			if (w->path->sack)
				memcpy(s.options + s.options_len, (uint8_t[]){1, 1, 4, 2}, 4),
				    s.options_len += 4;
		}
		if (w->path->timestamps) {
			memcpy(
			    s.options + s.options_len, (uint8_t[]){1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0}, 12);
			s.options_len += 12;
		}
		unsigned first = step == 1 ? 1 : 0;
		box_give(w->box[first], step == 1 ? TCP_OUTSIDE : TCP_INSIDE, bytes, box_build(bytes, &s));
		for (unsigned i = 0; i < 2; i++)
			box_turn(w->box[i]);
		while ((frame = box_take(w->box[first], step == 1 ? TCP_INSIDE : TCP_OUTSIDE)) != NULL) {
			box_give(
			    w->box[!first], step == 1 ? TCP_OUTSIDE : TCP_INSIDE, frame->bytes, frame->len);
			free(frame);
		}
		for (unsigned side = 0; side < 2; side++)
			while ((frame = box_take(w->box[!first], side)) != NULL)
				free(frame);
	}
	for (unsigned i = 0; i < 2; i++)
		box_turn(w->box[i]);
	if (w->box[0]->opened != 1 || w->box[1]->opened != 1)
		abort();
}

static void trace(const struct world *w)
{
	const struct tcp_leg *leg = &w->box[0]->shard->flows[(uint32_t)w->box[0]->flow].leg[SLAB_LEG_ORIGIN];

	printf("%9.3f cwnd %6.1f ssthresh %6.1f flight %6.1f srtt %5.1f%s%s\n", (double)w->now_us / 1e6,
	    (double)leg->cwnd / leg->mss, leg->ssthresh == UINT32_MAX ? -1 : (double)leg->ssthresh / leg->mss,
	    (double)(leg->snd_nxt - leg->snd_una) / leg->mss, leg->srtt_us / 1e3,
	    leg->flags & LEG_RECOVERY ? " recovery" : "", leg->flags & LEG_LOSS ? " loss" : "");
}

static void run(struct world *w)
{
	uint64_t end = w->now_us + w->path->seconds * 1000000ull, next_trace = w->now_us;

	while (w->now_us < end) {
		uint64_t next = w->now_us + 1000000;
		struct box_frame *frame;
		w->box[0]->now_us = w->box[1]->now_us = w->now_us;
		link_deliver(w);
		w->box[0]->relay = true; /* the bytes that the other one expects */
		box_write(w->box[0], SLAB_LEG_ORIGIN, 1 << 20);
		w->box[0]->relay = false;
		box_say(w->box[1], SLAB_LEG_CONSUMED, SLAB_LEG_CLIENT, w->box[1]->leg[SLAB_LEG_CLIENT].got);
		for (unsigned i = 0; i < 2; i++) {
			uint64_t due = box_turn(w->box[i]);
			next = due < next ? due : next;
		}
		while ((frame = box_take(w->box[0], TCP_OUTSIDE)) != NULL)
			link_send(w, 1, frame);
		while ((frame = box_take(w->box[1], TCP_INSIDE)) != NULL)
			link_send(w, 0, frame);
		if (w->path->trace && w->now_us >= next_trace) {
			trace(w);
			next_trace = w->now_us + 10000;
		}
		if (w->first != NULL && w->first->due < next)
			next = w->first->due;
		w->now_us = next > w->now_us ? next : w->now_us + 20;
	}
}

static double promised(const struct path *p)
{
	double rtt = (double)p->rtt_us / 1e6, reno = sqrt(1.5 / p->loss), cubic = 0;

	if (p->congestion == TCP_CUBIC)
		cubic = 1.054 * pow(rtt / p->loss, 0.75);
	return (reno > cubic ? reno : cubic) * MSS / rtt;
}

/* Returns goodput over what is promised (over the rate, where that is what limits). */
static double row(const struct path *p)
{
	struct world w = {.path = p, .now_us = 1000000, .random = p->seed * 0x9e3779b97f4a7c15ull + 1};
	struct tcp_config config;

	tcp_config_defaults(&config);
	config.flows = 2;
	config.send_credit = BOX_SLABS / 2;
	config.receive_credit = 4 << 20;
	config.reorder_bytes = 4 << 20;
	config.congestion = p->congestion;
	for (unsigned i = 0; i < 2; i++) {
		w.box[i] = malloc(sizeof(*w.box[i]));
		box_open(w.box[i], &config);
	}
	shake_hands(&w);
	run(&w);
	if (w.box[1]->wrong_bytes)
		abort();
	const struct tcp_counters *c = tcp_counters(w.box[0]->shard);
	double goodput = (double)w.box[1]->leg[SLAB_LEG_CLIENT].got / p->seconds;
	double limit = p->loss > 0 ? promised(p) : INFINITY;
	if (p->rate > 0 && p->rate * 1e6 * MSS / 1514 < limit)
		limit = p->rate * 1e6 * MSS / 1514;
	printf("%-7s loss %4.1f%% rtt %3.0f ms reorder %2.0f%%/%2.0f ms rate %4.0f: %8.0f KB/s, %4.2f of "
	       "promised; lost "
	       "%" PRIu64 " resent %" PRIu64 " recoveries %" PRIu64 " time-outs %" PRIu64 " probes %" PRIu64
	       " spurious %" PRIu64 " held %" PRIu64 "\n",
	    tcp_congestion_name(p->congestion), p->loss * 100, (double)p->rtt_us / 1e3, p->reorder * 100,
	    (double)p->jitter_us / 1e3, p->rate * 8, goodput / 1e3, goodput / limit, w.dropped,
	    c->retransmits, c->fast_recoveries, c->retransmit_timeouts, c->tail_probes,
	    c->spurious_recoveries, c->bursts_held);
	for (struct transit *t; (t = w.first) != NULL;) {
		w.first = t->next;
		free(t->frame);
		free(t);
	}
	for (unsigned i = 0; i < 2; i++) {
		box_close(w.box[i]);
		free(w.box[i]);
	}
	return goodput / limit;
}

static int check(double least)
{
	static const struct path TABLE[] = {
	    {.loss = 0.001, .rtt_us = 20000},
	    {.loss = 0.01, .rtt_us = 20000},
	    {.loss = 0.05, .rtt_us = 20000},
	    {.loss = 0.01, .rtt_us = 100000},
	    {.loss = 0.01, .rtt_us = 20000, .reorder = 0.02, .jitter_us = 5000},
	    {.rtt_us = 20000, .rate = 12.5, .queue = 100},
	    {.rtt_us = 100000, .rate = 6.25, .queue = 100},
	};
	int failed = 0;

	for (enum tcp_congestion cc = TCP_CUBIC; cc < TCP_CONGESTIONS; cc++)
		for (unsigned i = 0; i < sizeof(TABLE) / sizeof(*TABLE); i++) {
			struct path p = TABLE[i];
			p.congestion = cc;
			p.seconds = 60;
			p.seed = 1;
			p.timestamps = p.sack = true;
			if (row(&p) < least) {
				printf("  less than %.2f of what is promised\n", least);
				failed = 1;
			}
		}
	return failed;
}

int main(int argc, char **argv)
{
	struct path p = {
	    .rtt_us = 20000, .seconds = 60, .seed = 1, .timestamps = true, .sack = true, .queue = 100};

	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return check(atof(argv[2]));
	for (int i = 1; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		if (equals == NULL)
			return 2;
		size_t n = (size_t)(equals - argv[i]);
		double v = atof(equals + 1);
#define IS(name) (strncmp(argv[i], name "=", n + 1) == 0)
		if (IS("loss"))
			p.loss = v / 1000;
		else if (IS("reorder"))
			p.reorder = v / 1000;
		else if (IS("rtt"))
			p.rtt_us = (uint64_t)(v * 1000);
		else if (IS("jitter"))
			p.jitter_us = (uint64_t)(v * 1000);
		else if (IS("rate"))
			p.rate = v / 8;
		else if (IS("queue"))
			p.queue = (unsigned)v;
		else if (IS("seconds"))
			p.seconds = (unsigned)v;
		else if (IS("seed"))
			p.seed = (unsigned)v;
		else if (IS("timestamps"))
			p.timestamps = v != 0;
		else if (IS("sack"))
			p.sack = v != 0;
		else if (IS("trace"))
			p.trace = v != 0;
		else if (IS("cc"))
			p.congestion = strcmp(equals + 1, "newreno") == 0 ? TCP_NEWRENO : TCP_CUBIC;
		else
			return 2;
	}
	row(&p);
	return 0;
}
