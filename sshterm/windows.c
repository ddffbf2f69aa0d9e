/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/windows.h"

static uint32_t at_most(int64_t bytes, uint32_t most)
{
	if (bytes <= 0)
		return 0;
	return bytes < most ? (uint32_t)bytes : most;
}

/* What is the sender's and was not given to it; less than 0 where it has more, because it was lent. */
static int64_t owed(const struct window *window)
{
	return (int64_t)(window->granted + window->dropped - window->inserted - window->given);
}

/* A window that a message can name is at most 2^32 - 1: what is left waits for the next grant. */
uint32_t window_give(struct window *window)
{
	uint32_t lendable = window->held < WINDOW_LENT_MAX ? window->held : WINDOW_LENT_MAX;
	int64_t paid = owed(window) - window->reserved, lent = paid + lendable;
	uint32_t bytes = at_most(paid, UINT32_MAX);

	if (lendable > 0 && lent > 0 && (uint64_t)lent >= window->given - window->taken)
		bytes = at_most(lent, UINT32_MAX);
	window->given += bytes;
	return bytes;
}

uint32_t window_grant(struct window *window, uint32_t bytes)
{
	window->granted += bytes;
	return window_give(window);
}

void window_reserve(struct window *window, uint32_t bytes)
{
	window->reserved += bytes;
}

uint32_t window_release(struct window *window)
{
	window->reserved = 0;
	return window_give(window);
}

/* What the receiver takes beyond what the sender may send. Of the sender's bytes those withheld wait. */
uint32_t window_room(const struct window *window)
{
	return at_most(owed(window) + window->held + window->pending, window->reserved);
}

void window_insert(struct window *window, uint32_t bytes)
{
	window->inserted += bytes;
	window->reserved -= bytes;
}

void window_take(struct window *window, uint32_t bytes)
{
	window->taken += bytes;
	window->held += bytes;
	if (window->given < window->taken)
		window->given = window->taken;
}

void window_pass(struct window *window, uint32_t bytes)
{
	window->held -= bytes;
	window->pending += bytes;
}

void window_replace(struct window *window, uint32_t bytes, uint32_t instead)
{
	window->held -= bytes;
	window->dropped += bytes;
	window->inserted += instead;
	window->pending += instead;
}

uint32_t window_outgo(const struct window *window)
{
	uint64_t sent = window->taken + window->inserted - window->dropped - window->held - window->pending;

	return at_most((int64_t)(window->granted - sent) - window->reserved, window->pending);
}

void window_sent(struct window *window, uint32_t bytes)
{
	window->pending -= bytes;
}
