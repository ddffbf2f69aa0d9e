/* SPDX-License-Identifier: Apache-2.0 */
/* NewReno's window (RFC 5681, 6582): a segment a round trip more, half after a loss. */
#include "dataplane/tcp/flow.h"

static void newreno_acked(struct tcp_leg *leg, uint32_t bytes, uint64_t now_us)
{
	(void)now_us;
	/* A window that was not used proves nothing (RFC 7661). */
	if (!(leg->flags & LEG_CWND_LIMITED))
		return;
	if (leg->cwnd < leg->ssthresh && (bytes = congestion_slow_start(leg, bytes)) == 0)
		return;
	leg->acked_in_round += bytes;
	if (leg->acked_in_round >= leg->cwnd) {
		leg->acked_in_round -= leg->cwnd;
		if (leg->cwnd < CWND_MAX)
			leg->cwnd += leg->mss;
	}
}

static void newreno_lost(struct tcp_leg *leg, uint32_t flight, bool timed_out, uint64_t now_us)
{
	/* Not of a window that was not used; and what limited transmit sent beyond it does not count
	 * (RFC 5681 3.1, 3.2). */
	uint32_t half = (flight < leg->cwnd ? flight : leg->cwnd) / 2;

	(void)timed_out;
	(void)now_us;
	leg->ssthresh = half > 2u * leg->mss ? half : 2u * leg->mss;
	leg->acked_in_round = 0;
}

static void newreno_idled(struct tcp_leg *leg, uint64_t idle_us)
{
	congestion_decay(leg, idle_us);
}

const struct congestion congestion_newreno = {
    .name = "newreno",
    .acked = newreno_acked,
    .lost = newreno_lost,
    .idled = newreno_idled,
};
