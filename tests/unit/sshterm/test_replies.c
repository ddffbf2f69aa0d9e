/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "sshterm/replies.h"

/* 'r' a relayed request, 'o' one of ours, 'a' the peer answers, 'x' expect that ours is due now, '.' that it
 * is not. */
static void play(const char *script)
{
	struct replies replies = {0};
	enum reply_kind kind;

	for (size_t i = 0; script[i] != '\0'; i++) {
		switch (script[i]) {
		case 'r':
			cr_assert(replies_push(&replies, REPLY_RELAYED), "%s at %zu", script, i);
			break;
		case 'p':
			cr_assert(replies_push(&replies, REPLY_PROGRAM), "%s at %zu", script, i);
			break;
		case 'o':
			cr_assert(replies_push(&replies, REPLY_OURS), "%s at %zu", script, i);
			break;
		case 'a':
			cr_assert(
			    replies_pop(&replies, &kind), "%s at %zu: a relayed request waits", script, i);
			cr_assert_eq(
			    kind, REPLY_RELAYED, "%s at %zu: expected relayed, got %d", script, i, kind);
			break;
		case 'P':
			cr_assert(replies_pop(&replies, &kind), "%s at %zu", script, i);
			cr_assert_eq(
			    kind, REPLY_PROGRAM, "%s at %zu: expected program, got %d", script, i, kind);
			break;
		case 'n':
			cr_assert_not(replies_pop(&replies, &kind), "%s at %zu: nobody asked", script, i);
			break;
		case 'x':
			cr_assert(replies_pop_own(&replies, &kind) && kind == REPLY_OURS,
			    "%s at %zu: ours is due", script, i);
			break;
		case '.':
			cr_assert_not(
			    replies_pop_own(&replies, &kind), "%s at %zu: ours must wait", script, i);
			break;
		}
	}
	cr_assert(replies_empty(&replies), "%s: something is left", script);
	replies_free(&replies);
}

Test(replies, order)
{
	static const char *const scripts[] = {
	    "n.",                 /* an answer that nobody asked for */
	    "ra.n",               /* one relayed */
	    "ox.n",               /* one refused: at once */
	    "ro.ax.",             /* refused behind a relayed one: waits */
	    "rroo.a.axx.",        /* two of ours behind two */
	    "ror.axa.",           /* ours between two relayed ones */
	    "rpro.a.P.ax.",       /* kinds are kept apart */
	    "rorororo.axaxaxax.", /* alternating */
	};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		play(scripts[i]);
}

Test(replies, what_is_granted_waits_its_turn_too)
{
	struct replies replies = {0};
	enum reply_kind kind;

	cr_assert(replies_push(&replies, REPLY_PTY));
	cr_assert(replies_push(&replies, REPLY_OURS_GRANTED));
	cr_assert(replies_push(&replies, REPLY_OURS));
	cr_expect_not(replies_pop_own(&replies, &kind));
	cr_assert(replies_pop(&replies, &kind));
	cr_expect_not(replies_pop(&replies, &kind));
	cr_assert(replies_pop_own(&replies, &kind));
	cr_expect_eq(kind, REPLY_OURS_GRANTED);
	cr_assert(replies_pop_own(&replies, &kind));
	cr_expect_eq(kind, REPLY_OURS);
	cr_expect(replies_empty(&replies));
	replies_free(&replies);
}

Test(replies, a_million_of_one_kind_cost_one_entry)
{
	struct replies replies = {0};
	enum reply_kind kind;

	for (unsigned i = 0; i < 1000000; i++)
		cr_assert(replies_push(&replies, REPLY_RELAYED));
	cr_assert_eq(replies.used, 1, "expected 1 run, got %u", replies.used);
	for (unsigned i = 0; i < 1000000; i++)
		cr_assert(replies_pop(&replies, &kind));
	cr_assert(replies_empty(&replies));
	replies_free(&replies);
}

Test(replies, alternation_is_bounded)
{
	struct replies replies = {0};
	unsigned taken = 0;

	while (taken < 2 * REPLIES_RUNS_MAX && replies_push(&replies, taken % 2 ? REPLY_OURS : REPLY_RELAYED))
		taken++;
	cr_assert_eq(taken, REPLIES_RUNS_MAX, "expected %u, got %u", REPLIES_RUNS_MAX, taken);
	replies_free(&replies);
}
