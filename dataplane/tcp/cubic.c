/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUBIC (RFC 9438), in integers: windows in bytes, times in milliseconds.
 *
 * An epoch is a stage of congestion avoidance. In it the window follows W_cubic(t) = C (t - K)^3 + W_max,
 * concave up to where the last loss was (W_max, reached at K) and convex beyond it; or W_est, what Reno with
 * the same average would have by now, where that is more (section 4.3). t is the time that the window was in
 * use: while the sender has nothing to send the curve stands still (section 5.8).
 */
#include "dataplane/tcp/flow.h"

enum {
	BETA_NUMERATOR = 7, /* 0.7 */
	BETA_DENOMINATOR = 10,
	ALPHA_NUMERATOR = 9, /* 3 (1 - beta) / (1 + beta) = 9/17 */
	ALPHA_DENOMINATOR = 17,
	OFFSET_MAX_MS = 1 << 20, /* its cube fits in 60 bits; such a window is no limit any more */
};

static uint32_t ms(uint64_t us)
{
	return (uint32_t)(us / 1000);
}

uint32_t cubic_root(uint64_t n)
{
	uint64_t root = 0;

	for (int bit = 21; bit >= 0; bit--) { /* the root of 2^64 is below 2^22 */
		uint64_t next = root | 1ull << bit;
		if (next <= 2642245 && next * next * next <= n)
			root = next;
	}
	return (uint32_t)root;
}

uint32_t cubic_window(const struct cubic *c, uint32_t mss, uint32_t t_ms)
{
	bool before = t_ms < c->k_ms;
	uint64_t offset = before ? c->k_ms - t_ms : t_ms - c->k_ms;

	if (offset > OFFSET_MAX_MS)
		offset = OFFSET_MAX_MS;
	/* C = 0.4 segments/s^3: mss * 0.4 * (offset / 1000)^3, in steps that neither overflow nor vanish */
	uint64_t change = offset * offset * offset / 2500 * mss / 1000000;
	if (before)
		return change < c->w_max ? c->w_max - (uint32_t)change : 0;
	return change < CWND_MAX - c->w_max ? c->w_max + (uint32_t)change : CWND_MAX;
}

static void epoch_begins(struct tcp_leg *leg, uint32_t now_ms)
{
	struct cubic *c = &leg->cubic;

	c->epoch_ms = now_ms;
	c->in_epoch = true;
	c->w_est = leg->cwnd;
	c->est_credit = leg->acked_in_round = 0;
	if (leg->cwnd < c->w_max) { /* K = cbrt((W_max - cwnd_epoch) / C), windows in segments */
		c->k_ms = cubic_root((uint64_t)(c->w_max - leg->cwnd) * 2500000000 / leg->mss);
	} else {
		c->k_ms = 0;
		c->w_max = leg->cwnd;
	}
}

/* W_est += alpha * acked / cwnd, in segments; alpha is 1 once the window of before the loss is reached. */
static void reno_friendly(struct tcp_leg *leg, uint32_t bytes)
{
	struct cubic *c = &leg->cubic;
	uint64_t more = (uint64_t)bytes * leg->mss;

	if (c->w_est < c->cwnd_prior)
		more = more * ALPHA_NUMERATOR / ALPHA_DENOMINATOR;
	more += c->est_credit;
	uint64_t grow = more / leg->cwnd;
	c->est_credit = (uint32_t)(more % leg->cwnd);
	c->w_est = grow < CWND_MAX - c->w_est ? c->w_est + (uint32_t)grow : CWND_MAX;
}

static void avoid_congestion(struct tcp_leg *leg, uint32_t bytes, uint32_t now_ms)
{
	struct cubic *c = &leg->cubic;

	if (!c->in_epoch)
		epoch_begins(leg, now_ms);
	uint32_t t = now_ms - c->epoch_ms;
	reno_friendly(leg, bytes);
	if (cubic_window(c, leg->mss, t) < c->w_est) {
		if (leg->cwnd < c->w_est)
			leg->cwnd = c->w_est;
		return;
	}
	/* In a round trip to where the curve will be then, but by half of the window at most. */
	uint32_t target = cubic_window(c, leg->mss, t + leg->srtt_us / 1000);
	if (target > leg->cwnd + leg->cwnd / 2)
		target = leg->cwnd + leg->cwnd / 2;
	if (target <= leg->cwnd)
		return;
	uint64_t more = (uint64_t)(target - leg->cwnd) * bytes + leg->acked_in_round;
	uint32_t grow = (uint32_t)(more / leg->cwnd);
	leg->acked_in_round = (uint32_t)(more % leg->cwnd);
	leg->cwnd = grow < CWND_MAX - leg->cwnd ? leg->cwnd + grow : CWND_MAX;
}

static void cubic_acked(struct tcp_leg *leg, uint32_t bytes, uint64_t now_us)
{
	struct cubic *c = &leg->cubic;

	if (!(leg->flags & LEG_CWND_LIMITED)) {
		if (leg->ssthresh != UINT32_MAX && !c->paused) {
			c->paused = true;
			c->paused_ms = ms(now_us);
		}
		return;
	}
	if (leg->cwnd < leg->ssthresh && (bytes = congestion_slow_start(leg, bytes)) == 0)
		return;
	uint32_t now_ms = ms(now_us);
	if (c->paused) {
		c->paused = false;
		c->epoch_ms += now_ms - c->paused_ms;
	}
	avoid_congestion(leg, bytes, now_ms);
}

static void cubic_lost(struct tcp_leg *leg, uint32_t flight, bool timed_out, uint64_t now_us)
{
	/* Of cwnd, which does not grow unused, not of what happens to be in flight (section 4.6). */
	uint32_t down = leg->cwnd / BETA_DENOMINATOR * BETA_NUMERATOR;
	uint32_t w_max = leg->ssthresh == UINT32_MAX ? 0 : leg->cubic.w_max;

	(void)flight;
	(void)now_us;
	/* A flow that lost before it was back where it had been leaves room to others (section 4.7). After a
	 * time-out the next epoch takes its W_max from the window that it begins with (section 4.8). */
	if (timed_out)
		w_max = 0;
	else if (leg->cwnd < w_max)
		w_max = leg->cwnd / (2 * BETA_DENOMINATOR) * (BETA_DENOMINATOR + BETA_NUMERATOR);
	else
		w_max = leg->cwnd;
	leg->cubic = (struct cubic){.cwnd_prior = leg->cwnd, .w_max = w_max};
	leg->ssthresh = down > 2u * leg->mss ? down : 2u * leg->mss;
	leg->acked_in_round = 0;
}

static void cubic_idled(struct tcp_leg *leg, uint64_t idle_us)
{
	struct cubic *c = &leg->cubic;

	congestion_decay(leg, idle_us);
	if (leg->ssthresh != UINT32_MAX && !c->paused)
		c->epoch_ms += ms(idle_us);
}

const struct congestion congestion_cubic = {
    .name = "cubic",
    .acked = cubic_acked,
    .lost = cubic_lost,
    .idled = cubic_idled,
};
