/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What congestion control algorithms share: the initial window, slow start with HyStart++ (RFC 9406), and the
 * decay of a window that was not used. An algorithm is a table of what happens to cwnd and ssthresh at each
 * event; which segments are lost is not its business (sack.c), nor how cwnd gets down to ssthresh
 * (recovery.c).
 */
#include "dataplane/tcp/flow.h"

enum {
	AFTER_TIMEOUT_SEGMENTS = 2, /* RFC 3465 2.3: it may acknowledge what arrived long ago */
	RTT_SAMPLES = 8,
	RTT_THRESH_MIN_US = 4000,
	RTT_THRESH_MAX_US = 16000,
	RTT_DIVISOR = 8,
	CSS_GROWTH_DIVISOR = 4,
	CSS_ROUNDS = 5,
};

const struct congestion *const congestion_algorithms[TCP_CONGESTIONS] = {
    [TCP_CUBIC] = &congestion_cubic,
    [TCP_NEWRENO] = &congestion_newreno,
};

const char *tcp_congestion_name(enum tcp_congestion congestion)
{
	return congestion_algorithms[congestion]->name;
}

enum tcp_congestion tcp_congestion_of(const struct tcp_shard *shard)
{
	return shard->config.congestion;
}

/* RFC 6928 */
uint32_t congestion_initial_window(const struct tcp_leg *leg)
{
	uint32_t ten = 10u * leg->mss, floor = 2u * leg->mss > 14600 ? 2u * leg->mss : 14600;

	return ten < floor ? ten : floor;
}

void congestion_init(struct tcp_leg *leg)
{
	leg->cwnd = congestion_initial_window(leg);
	leg->ssthresh = UINT32_MAX;
	leg->hystart = (struct hystart){.round_end = leg->snd_nxt};
}

/* -- HyStart++: leaves the first slow start when the round-trip time of a whole round has grown, before the
 *    queue of the bottleneck overflows. Conservative slow start (CSS) in between, as it may have been jitter.
 *    A round is a flight of data. -- */

static void round_begins(struct tcp_leg *leg)
{
	struct hystart *h = &leg->hystart;

	h->last_rtt_us = h->round_rtt_us;
	h->round_rtt_us = 0;
	h->samples = 0;
	h->round_end = leg->snd_nxt;
	if (h->css_rtt_us != 0 && ++h->css_rounds >= CSS_ROUNDS) {
		leg->ssthresh = leg->cwnd;
		leg->cubic = (struct cubic){0};
	}
}

void congestion_rtt(struct tcp_leg *leg, uint32_t rtt_us)
{
	struct hystart *h = &leg->hystart;

	if (leg->ssthresh != UINT32_MAX)
		return;
	if (h->round_rtt_us == 0 || rtt_us < h->round_rtt_us)
		h->round_rtt_us = rtt_us;
	if (h->samples < RTT_SAMPLES)
		h->samples++;
	if (h->samples == RTT_SAMPLES && h->css_rtt_us != 0) {
		if (h->round_rtt_us < h->css_rtt_us) /* it was jitter */
			h->css_rtt_us = 0;
	} else if (h->samples == RTT_SAMPLES && h->last_rtt_us != 0) {
		uint32_t thresh = h->last_rtt_us / RTT_DIVISOR;
		thresh = thresh < RTT_THRESH_MIN_US ? RTT_THRESH_MIN_US : thresh;
		thresh = thresh > RTT_THRESH_MAX_US ? RTT_THRESH_MAX_US : thresh;
		if (h->round_rtt_us >= h->last_rtt_us + thresh) {
			h->css_rtt_us = h->round_rtt_us;
			h->css_rounds = 0;
		}
	}
	if (SEQ_GEQ(leg->snd_una, h->round_end))
		round_begins(leg);
}

uint32_t congestion_slow_start(struct tcp_leg *leg, uint32_t bytes)
{
	bool first = leg->ssthresh == UINT32_MAX;
	uint32_t grow = bytes, room = leg->ssthresh - leg->cwnd;

	/* RFC 9406 4.3 sets no other limit where what follows is paced. */
	if ((leg->flags & LEG_LOSS) && grow > AFTER_TIMEOUT_SEGMENTS * (uint32_t)leg->mss)
		grow = AFTER_TIMEOUT_SEGMENTS * (uint32_t)leg->mss;

	if (first && leg->hystart.css_rtt_us != 0)
		grow /= CSS_GROWTH_DIVISOR;
	if (leg->cwnd + grow > CWND_MAX)
		grow = CWND_MAX - leg->cwnd;
	if (grow <= room) {
		leg->cwnd += grow;
		return 0;
	}
	leg->cwnd = leg->ssthresh;
	return bytes > room ? bytes - room : 0;
}

/* RFC 2861: for each RTO without a segment the window says less about the path. Not below the window that
 * would be a new connection's (RFC 5681 4.1); ssthresh remembers most of it. */
void congestion_decay(struct tcp_leg *leg, uint64_t idle_us)
{
	uint32_t restart = congestion_initial_window(leg), three_quarters = leg->cwnd / 4 * 3;

	if (leg->cwnd <= restart)
		return;
	if (leg->ssthresh != UINT32_MAX && leg->ssthresh < three_quarters)
		leg->ssthresh = three_quarters;
	for (; idle_us > leg->rto_us && leg->cwnd > restart; idle_us -= leg->rto_us)
		leg->cwnd /= 2;
	if (leg->cwnd < restart)
		leg->cwnd = restart;
}
