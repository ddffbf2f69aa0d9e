/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTT estimation (RFC 6298) and congestion control. An algorithm is a table of what happens to cwnd and
 * ssthresh at each event; which segments are lost is not its business (sack.c).
 */
#include "dataplane/tcp/flow.h"

void rtt_sample(struct tcp_leg *leg, uint32_t rtt_us)
{
	if (leg->srtt_us == 0) {
		leg->srtt_us = rtt_us;
		leg->rttvar_us = rtt_us / 2;
		leg->min_rtt_us = rtt_us;
	} else {
		uint32_t off = leg->srtt_us > rtt_us ? leg->srtt_us - rtt_us : rtt_us - leg->srtt_us;
		leg->rttvar_us = leg->rttvar_us - leg->rttvar_us / 4 + off / 4;
		leg->srtt_us = leg->srtt_us - leg->srtt_us / 8 + rtt_us / 8;
	}
	if (leg->srtt_us == 0)
		leg->srtt_us = 1;
	if (rtt_us < leg->min_rtt_us)
		leg->min_rtt_us = rtt_us;
	uint64_t rto = leg->srtt_us + (4ull * leg->rttvar_us > 1000 ? 4ull * leg->rttvar_us : 1000);
	leg->rto_us = rto < RTO_MIN_US ? RTO_MIN_US : rto > RTO_MAX_US ? RTO_MAX_US : (uint32_t)rto;
}

/* -- NewReno (RFC 5681, 6582) -- */

/* RFC 6928 */
static uint32_t initial_window(const struct tcp_leg *leg)
{
	uint32_t ten = 10u * leg->mss, floor = 2u * leg->mss > 14600 ? 2u * leg->mss : 14600;

	return ten < floor ? ten : floor;
}

static void newreno_init(struct tcp_leg *leg)
{
	leg->cwnd = initial_window(leg);
	leg->ssthresh = UINT32_MAX;
}

static void newreno_acked(struct tcp_leg *leg, uint32_t bytes, uint64_t now_us)
{
	(void)now_us;
	/* A window that was not used proves nothing (RFC 7661). */
	if (!(leg->flags & LEG_CWND_LIMITED))
		return;
	if (leg->cwnd < leg->ssthresh) {
		/* After a time-out 2 segments an ACK at most (RFC 3465); else what was acknowledged. */
		uint32_t most = leg->flags & LEG_LOSS ? 2u * leg->mss : bytes;
		leg->cwnd += bytes < most ? bytes : most;
		return;
	}
	leg->acked_in_round += bytes;
	if (leg->acked_in_round >= leg->cwnd) {
		leg->acked_in_round -= leg->cwnd;
		leg->cwnd += leg->mss;
	}
}

static void halve(struct tcp_leg *leg)
{
	uint32_t flight = leg->snd_nxt - leg->snd_una, half = flight / 2;

	leg->ssthresh = half > 2u * leg->mss ? half : 2u * leg->mss;
	leg->acked_in_round = 0;
}

static void newreno_lost(struct tcp_leg *leg, uint64_t now_us)
{
	(void)now_us;
	halve(leg);
	leg->cwnd = leg->ssthresh;
}

static void newreno_recovered(struct tcp_leg *leg, uint64_t now_us)
{
	(void)now_us;
	leg->cwnd = leg->ssthresh;
}

static void newreno_timed_out(struct tcp_leg *leg, uint64_t now_us)
{
	(void)now_us;
	/* Only the first time-out of a loss halves: the flight does not shrink meanwhile (RFC 5681
	 * section 3.1). */
	if (leg->backoff == 0)
		halve(leg);
	leg->cwnd = leg->mss;
}

static void newreno_idled(struct tcp_leg *leg)
{
	uint32_t restart = initial_window(leg);

	if (leg->cwnd > restart)
		leg->cwnd = restart;
}

const struct congestion congestion_newreno = {
    .name = "newreno",
    .init = newreno_init,
    .acked = newreno_acked,
    .lost = newreno_lost,
    .recovered = newreno_recovered,
    .timed_out = newreno_timed_out,
    .idled = newreno_idled,
};
