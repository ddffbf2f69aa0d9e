/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path MTU (RFC 1191, 8201): a leg's segments get smaller when a router says that they are too big, or when
 * nothing says so and the full ones vanish all the same (a black hole: RFC 2923 2.1, RFC 4821 7.7).
 *
 * A path may widen again (RFC 1191 6.3), and an outage looks like a black hole. So one segment of full size
 * is tried amid smaller ones, where enough is under way for its loss to be noticed by what comes behind it
 * and repaired in pieces: soon after a black hole, which may have been none, every ten minutes otherwise.
 * Arrives it, all are of that size again.
 *
 * A forged message can at worst bring the segments down to the least that every path is to carry; it never
 * makes them larger, and what it may do at all icmp.c has checked.
 */
#include "dataplane/tcp/flow.h"

#define RAISE_SOON_US 10000000ull
#define RAISE_LATER_US 600000000ull /* RFC 1191 6.3 */

enum {
	MTU_LEAST_IPV4 = 552,    /* what Linux takes for the least, too; RFC 791's 68 is nobody's path */
	MTU_LEAST_IPV6 = 1280,   /* RFC 8200 section 5 */
	BLACK_HOLE_TIMEOUTS = 3, /* in a row, before size is suspected; and at each one after */
	RAISE_BEHIND = DUP_THRESHOLD + 1, /* segments that are to follow what is tried */
};

/* MTUs of common links, for routers too old to say theirs (RFC 1191 section 7.1). */
static const uint16_t PLATEAUS[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 0};
/* Segments of 1460, 1024 and 536 bytes, and of 1440 and 1220. */
static const uint16_t BLACK_HOLE_STEPS_IPV4[] = {1500, 1064, 576, 0};
static const uint16_t BLACK_HOLE_STEPS_IPV6[] = {1500, 1280, 0};

/* The first of a falling list below `mtu`; 0: none. */
static uint32_t next_below(const uint16_t *steps, uint32_t mtu)
{
	while (*steps != 0 && *steps >= mtu)
		steps++;
	return *steps;
}

static uint32_t leg_mtu(struct tcp_leg *leg)
{
	return leg->mss + leg_header_len(leg_flow(leg), leg);
}

static void lower_mtu(struct tcp_leg *leg, uint32_t mtu, uint64_t raise_due)
{
	uint32_t headers = leg_header_len(leg_flow(leg), leg);

	leg->mss = (uint16_t)(mtu > headers + MSS_MIN ? mtu - headers : MSS_MIN);
	leg->raise_due = raise_due;
	leg->flags &= ~(uint32_t)LEG_RAISE_OUT;
}

void leg_too_big(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t datagram, uint32_t mtu, uint64_t now_us)
{
	bool ipv4 = leg_flow(leg)->key.family == 4;

	/* No IPv6 link is that small: a lie, or nonsense (RFC 8201 section 4). */
	if (!ipv4 && mtu < MTU_LEAST_IPV6)
		return;
	if (mtu == 0)
		mtu = next_below(PLATEAUS, datagram);
	if (ipv4 && mtu < MTU_LEAST_IPV4) {
		if (datagram >= MTU_LEAST_IPV4) /* smaller pieces are the routers' to make */
			leg->flags |= LEG_MAY_FRAGMENT;
		mtu = MTU_LEAST_IPV4;
	}
	/* What fits was not too big; what we do not send any more says nothing new. */
	if (mtu >= datagram || mtu >= leg_mtu(leg))
		return;
	lower_mtu(leg, mtu, now_us + RAISE_LATER_US);
	shard->counters.path_mtu_lowered++;
	/* What is too large never arrived; sending it again in pieces is not congestion. */
	sent_larger_lost(shard, leg, leg->mss);
	leg_mark_dirty(shard, leg);
}

void leg_black_hole(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	const uint16_t *steps =
	    leg_flow(leg)->key.family == 4 ? BLACK_HOLE_STEPS_IPV4 : BLACK_HOLE_STEPS_IPV6;

	if (leg->backoff + 1 < BLACK_HOLE_TIMEOUTS || leg->sent_head == NONE)
		return;
	/* What is lost may be less than a full segment, and still more than the path carries. */
	const struct sent_segment *head = &shard->sent[leg->sent_head];
	uint32_t lost = head->len - (head->flags & SENT_FIN ? 1 : 0) + leg_header_len(leg_flow(leg), leg);
	uint32_t mtu = next_below(steps, lost < leg_mtu(leg) ? lost : leg_mtu(leg));
	if (mtu == 0) /* small enough for every path: it is not for its size */
		return;
	lower_mtu(leg, mtu, now_us + RAISE_SOON_US);
	shard->counters.black_holes++;
}

bool leg_may_raise(const struct tcp_leg *leg, uint32_t left, uint32_t room, uint64_t now_us)
{
	uint32_t all = leg->mss_most + RAISE_BEHIND * (uint32_t)leg->mss;

	return now_us >= leg->raise_due && left >= all && room >= all &&
	       !(leg->flags & (LEG_RECOVERY | LEG_LOSS | LEG_RAISE_OUT)) && sent_pipe(leg) + all <= leg->cwnd;
}

void leg_raised(struct tcp_shard *shard, struct tcp_leg *leg)
{
	leg->mss = leg->mss_most;
	leg->raise_due = NEVER;
	leg->flags &= ~(uint32_t)(LEG_RAISE_OUT | LEG_MAY_FRAGMENT);
	shard->counters.path_mtu_raised++;
}

void leg_not_raised(struct tcp_leg *leg, uint64_t now_us)
{
	leg->raise_due = now_us + RAISE_LATER_US;
	leg->flags &= ~(uint32_t)LEG_RAISE_OUT;
}
