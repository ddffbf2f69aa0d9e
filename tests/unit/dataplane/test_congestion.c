/* SPDX-License-Identifier: Apache-2.0 */
/* Congestion control: CUBIC's integers against the formulae of RFC 9438 in floating point, HyStart++,
 * NewReno.
 */
#include "dataplane/tcp/flow.h"

#include <criterion/criterion.h>
#include <math.h>

enum { MSS = 1448 };

static struct tcp_leg leg_new(void)
{
	struct tcp_leg leg = {.mss = MSS, .flags = LEG_CWND_LIMITED, .rto_us = 200000};

	congestion_init(&leg);
	return leg;
}

/* In flight is what cwnd allows. */
static void fill(struct tcp_leg *leg)
{
	leg->snd_nxt = leg->snd_una + leg->cwnd;
}

static void fall(struct tcp_leg *leg, const struct congestion *cc, bool timed_out, uint64_t now_us)
{
	fill(leg);
	cc->lost(leg, leg->snd_nxt - leg->snd_una, timed_out, now_us);
	leg->cwnd = timed_out ? leg->mss : leg->ssthresh;
}

Test(cubic, root)
{
	for (uint64_t r = 0; r < 2642246; r += r < 2000 ? 1 : 997) {
		uint64_t cube = r * r * r;
		cr_assert_eq(cubic_root(cube), r);
		if (r > 1)
			cr_assert_eq(cubic_root(cube - 1), r - 1);
	}
	cr_expect_eq(cubic_root(UINT64_MAX), 2642245);
}

Test(cubic, curve)
{
	static const uint32_t MSSES[] = {48, 536, 1448, 8948, 65000};

	for (unsigned m = 0; m < 5; m++)
		for (uint32_t segments = 2; segments < 70000; segments = segments * 3 + 1)
			for (uint32_t t = 0; t < 200000; t = t * 2 + 7) {
				uint32_t mss = MSSES[m];
				struct cubic c = {.w_max = (uint32_t)fmin((double)segments * mss, CWND_MAX)};
				double w_max = (double)c.w_max / mss;
				uint32_t from = c.w_max / 10 * 7;
				double k = cbrt((w_max - (double)from / mss) / 0.4);
				c.k_ms = cubic_root((uint64_t)(c.w_max - from) * 2500000000 / mss);
				cr_assert(fabs(c.k_ms - k * 1000) < 2, "K %u, not %f", c.k_ms, k * 1000);
				double off = (double)t / 1000 - (double)c.k_ms / 1000;
				double want = (0.4 * off * off * off + w_max) * mss;
				want = want < 0 ? 0 : want > CWND_MAX ? CWND_MAX : want;
				double have = cubic_window(&c, mss, t);
				cr_assert(fabs(have - want) <= 2 + want / 1000,
				    "MSS %u W_max %f at %u ms: %f, not %f", mss, w_max, t, have, want);
			}
}

/* RFC 9438 in floating point: windows in segments, times in seconds. */
struct reference {
	double cwnd, w_max, cwnd_prior, k, epoch, w_est;
	bool in_epoch;
};

/* `fast`: before it was back at W_max; a tie is for the integers to decide. */
static void reference_lost(struct reference *r, bool fast)
{
	r->cwnd_prior = r->cwnd;
	r->w_max = fast ? r->cwnd * (1 + 0.7) / 2 : r->cwnd;
	r->cwnd = fmax(r->cwnd * 0.7, 2);
	r->in_epoch = false;
}

static void reference_acked(struct reference *r, double segments, double now, double srtt)
{
	if (!r->in_epoch) {
		r->in_epoch = true;
		r->epoch = now;
		r->w_est = r->cwnd;
		r->k = r->cwnd < r->w_max ? cbrt((r->w_max - r->cwnd) / 0.4) : 0;
		if (r->cwnd >= r->w_max)
			r->w_max = r->cwnd;
	}
	double t = now - r->epoch, alpha = r->w_est < r->cwnd_prior ? 3 * 0.3 / 1.7 : 1;
	r->w_est += alpha * segments / r->cwnd;
	if (0.4 * pow(t - r->k, 3) + r->w_max < r->w_est) {
		r->cwnd = fmax(r->cwnd, r->w_est);
		return;
	}
	double target = 0.4 * pow(t + srtt - r->k, 3) + r->w_max;
	target = fmin(fmax(target, r->cwnd), 1.5 * r->cwnd);
	r->cwnd += (target - r->cwnd) / r->cwnd * segments;
}

/* Avoidance at `rtt_ms` from `start` segments on, an ACK for two segments, losses where the seed says. */
static void avoid(double start, unsigned rtt_ms, unsigned losses, uint64_t seed)
{
	struct tcp_leg leg = leg_new();
	double now = 10;

	leg.srtt_us = rtt_ms * 1000;
	leg.cwnd = (uint32_t)(start * MSS);
	struct reference r = {.cwnd = (double)leg.cwnd / MSS};
	for (unsigned n = 0; n < losses; n++) {
		bool fast = leg.ssthresh != UINT32_MAX && leg.cwnd < leg.cubic.w_max;
		cr_assert(fast == (r.cwnd < r.w_max) || fabs(r.cwnd - r.w_max) < 0.1);
		reference_lost(&r, fast);
		fall(&leg, &congestion_cubic, false, (uint64_t)(now * 1e6));
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		double until = now + (double)(seed >> 40) / (1 << 24) * 20;
		while (now < until) {
			now += (double)rtt_ms / 1000 / (r.cwnd / 2);
			congestion_cubic.acked(&leg, 2 * MSS, (uint64_t)(now * 1e6));
			reference_acked(&r, 2, now, (double)rtt_ms / 1000);
			double have = (double)leg.cwnd / MSS;
			cr_assert(fabs(have - r.cwnd) < 0.05 + r.cwnd * 0.01,
			    "RTT %u, loss %u, %.3f s into it: cwnd %f, not %f", rtt_ms, n, now - r.epoch,
			    have, r.cwnd);
		}
	}
}

Test(cubic, like_the_formulae)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		avoid(12, 20, 10, seed);   /* where Reno is faster */
		avoid(200, 20, 10, seed);  /* concave */
		avoid(1000, 100, 6, seed); /* concave and convex */
		avoid(4000, 200, 4, seed);
		avoid(6, 3000, 4, seed); /* so slow a path that half a window is the limit */
	}
}

Test(cubic, time_out)
{
	struct tcp_leg leg = leg_new();

	leg.cwnd = 100 * MSS;
	leg.ssthresh = 90 * MSS;
	leg.cubic = (struct cubic){.w_max = 120 * MSS, .in_epoch = true};
	fall(&leg, &congestion_cubic, true, 1000000);
	cr_expect_eq(leg.ssthresh / MSS, 70u, "ssthresh %u", leg.ssthresh / MSS);
	cr_expect_eq(leg.cubic.w_max, 0u, "section 4.8: from the window that the epoch begins with");
	leg.cwnd = leg.ssthresh;
	congestion_cubic.acked(&leg, MSS, 2000000);
	cr_expect_eq(leg.cubic.w_max, leg.ssthresh);
	cr_expect_eq(leg.cubic.k_ms, 0u);
}

Test(cubic, fast_convergence)
{
	struct tcp_leg leg = leg_new();

	leg.ssthresh = 1;
	leg.cubic.w_max = 200 * MSS;
	leg.cwnd = 100 * MSS;
	fall(&leg, &congestion_cubic, false, 0);
	cr_expect(abs((int)(leg.cubic.w_max / MSS) - 85) <= 1, "W_max %u", leg.cubic.w_max / MSS);
	leg.cwnd = 100 * MSS;
	fall(&leg, &congestion_cubic, false, 0);
	cr_expect_eq(leg.cubic.w_max, 100u * MSS);
}

/* Section 5.8: the curve stands still while the application has nothing to send. */
Test(cubic, unused_window_does_not_grow)
{
	struct tcp_leg leg = leg_new(), same = leg_new();
	uint64_t now = 1000000;

	leg.cwnd = same.cwnd = 200 * MSS;
	leg.srtt_us = same.srtt_us = 50000;
	fall(&leg, &congestion_cubic, false, now);
	fall(&same, &congestion_cubic, false, now);
	for (unsigned i = 0; i < 1000; i++, now += 1000) {
		congestion_cubic.acked(&leg, MSS, now);
		congestion_cubic.acked(&same, MSS, now);
	}
	uint32_t before = leg.cwnd;
	leg.flags &= ~(uint32_t)LEG_CWND_LIMITED;
	for (unsigned i = 0; i < 20; i++)
		congestion_cubic.acked(&leg, MSS, now + i * 1000000);
	cr_expect_eq(leg.cwnd, before);
	leg.flags |= LEG_CWND_LIMITED;
	for (unsigned i = 0; i < 1000; i++, now += 1000) {
		congestion_cubic.acked(&leg, MSS, now + 20000000);
		congestion_cubic.acked(&same, MSS, now);
	}
	cr_expect(abs((int)leg.cwnd - (int)same.cwnd) < MSS, "cwnd %u, and %u of one that was always busy",
	    leg.cwnd, same.cwnd);
}

Test(newreno, a_segment_a_round_trip)
{
	struct tcp_leg leg = leg_new();

	leg.cwnd = 40 * MSS;
	fall(&leg, &congestion_newreno, false, 0);
	cr_expect_eq(leg.ssthresh, 20u * MSS);
	for (unsigned round = 0; round < 10; round++)
		for (uint32_t acked = 0, all = leg.cwnd; acked < all; acked += 2 * MSS)
			congestion_newreno.acked(&leg, all - acked < 2 * MSS ? all - acked : 2 * MSS, 0);
	cr_expect_eq(leg.cwnd, 30u * MSS, "cwnd %u", leg.cwnd / MSS);
	leg.flags &= ~(uint32_t)LEG_CWND_LIMITED;
	congestion_newreno.acked(&leg, 1 << 20, 0);
	cr_expect_eq(leg.cwnd, 30u * MSS, "a window that is not used does not grow");
}

/* One flight, acknowledged in pairs, each with this RTT. */
static void round_of(struct tcp_leg *leg, uint32_t rtt_us)
{
	uint32_t end = leg->snd_una + leg->cwnd;

	leg->snd_nxt = end;
	while (SEQ_LT(leg->snd_una, end)) {
		uint32_t n = end - leg->snd_una < 2 * MSS ? end - leg->snd_una : 2 * MSS;
		leg->snd_una += n;
		leg->snd_nxt += 2 * n;
		congestion_rtt(leg, rtt_us);
		congestion_cubic.acked(leg, n, 0);
	}
}

Test(hystart, leaves_before_the_queue_is_full)
{
	struct tcp_leg leg = leg_new();
	uint32_t cwnd = leg.cwnd;

	for (unsigned i = 0; i < 4; i++, cwnd *= 2)
		round_of(&leg, 40000);
	cr_expect_eq(leg.cwnd, cwnd, "it doubles: %u", leg.cwnd / MSS);
	round_of(&leg, 46000); /* an eighth, and more */
	cr_expect_neq(leg.hystart.css_rtt_us, 0u);
	uint32_t at = leg.cwnd;
	round_of(&leg, 46000);
	cr_expect(leg.cwnd > at + at / 5 && leg.cwnd < at + at / 3, "a quarter as fast: %u after %u",
	    leg.cwnd / MSS, at / MSS);
	for (unsigned i = 0; i < 6; i++)
		round_of(&leg, 46000);
	cr_expect_neq(leg.ssthresh, UINT32_MAX, "it is over");
	cr_expect(leg.cwnd < at * 5);
}

/* RFC 9406 4.2: an eighth of the round trip, but 4 ms at least and 16 ms at most. */
static bool slows_down(uint32_t before_us, uint32_t after_us)
{
	struct tcp_leg leg = leg_new();

	round_of(&leg, before_us);
	round_of(&leg, before_us);
	round_of(&leg, after_us);
	return leg.hystart.css_rtt_us != 0;
}

Test(hystart, thresholds)
{
	cr_expect(!slows_down(40000, 44900) && slows_down(40000, 45000), "an eighth");
	cr_expect(!slows_down(10000, 13900) && slows_down(10000, 14000), "4 ms");
	cr_expect(!slows_down(400000, 415900) && slows_down(400000, 416000), "16 ms");
}

/* Section 5.8 once more: idle for more than an RTO. */
Test(cubic, idle_time_is_not_the_curves)
{
	struct tcp_leg leg = leg_new(), same = leg_new();
	uint64_t now = 1000000;

	/* Below the window that a new connection has: it does not decay. */
	leg.cwnd = same.cwnd = 10 * MSS;
	leg.srtt_us = same.srtt_us = 50000;
	fall(&leg, &congestion_cubic, false, now);
	fall(&same, &congestion_cubic, false, now);
	for (unsigned i = 0; i < 20; i++, now += 10000) {
		congestion_cubic.acked(&leg, MSS, now);
		congestion_cubic.acked(&same, MSS, now);
	}
	congestion_cubic.idled(&leg, 20000000);
	for (unsigned i = 0; i < 20; i++, now += 10000) {
		congestion_cubic.acked(&leg, MSS, now + 20000000);
		congestion_cubic.acked(&same, MSS, now);
	}
	cr_expect_eq(leg.cwnd, same.cwnd, "cwnd %u, and %u of one that was always busy", leg.cwnd, same.cwnd);
}

Test(hystart, jitter_is_forgiven)
{
	struct tcp_leg leg = leg_new();

	for (unsigned i = 0; i < 4; i++)
		round_of(&leg, 40000);
	round_of(&leg, 46000);
	cr_expect_neq(leg.hystart.css_rtt_us, 0u);
	round_of(&leg, 40000);
	cr_expect_eq(leg.hystart.css_rtt_us, 0u);
	uint32_t at = leg.cwnd;
	round_of(&leg, 41000);
	cr_expect_eq(leg.cwnd, 2 * at);
	cr_expect_eq(leg.ssthresh, UINT32_MAX);
}

Test(congestion, idle_halves_each_rto_but_not_below_the_initial_window)
{
	struct tcp_leg leg = leg_new();

	leg.ssthresh = 50 * MSS;
	leg.cwnd = 160 * MSS;
	congestion_decay(&leg, 450000); /* two RTOs of 200 ms */
	cr_expect_eq(leg.cwnd, 40u * MSS);
	cr_expect_eq(leg.ssthresh, 120u * MSS, "and grows back fast");
	congestion_decay(&leg, 1000ull * 1000000);
	cr_expect_eq(leg.cwnd, congestion_initial_window(&leg));
}
