/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/windows.h"

/* What was granted, and neither used by the box nor given to the sender. */
static uint64_t spare(const struct window *window)
{
	return window->granted - window->inserted - window->given;
}

/* A window that a message can name is at most 2^32 - 1: what is left waits for the next grant. */
static uint32_t give(struct window *window)
{
	uint64_t left = spare(window);

	if (left <= window->reserved)
		return 0;
	left -= window->reserved;
	uint32_t bytes = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	window->given += bytes;
	return bytes;
}

uint32_t window_grant(struct window *window, uint32_t bytes)
{
	window->granted += bytes;
	return give(window);
}

void window_reserve(struct window *window, uint32_t bytes)
{
	window->reserved += bytes;
}

uint32_t window_release(struct window *window)
{
	window->reserved = 0;
	return give(window);
}

uint32_t window_room(const struct window *window)
{
	uint64_t left = spare(window);

	return left < window->reserved ? (uint32_t)left : window->reserved;
}

void window_insert(struct window *window, uint32_t bytes)
{
	window->inserted += bytes;
	window->reserved -= bytes;
}
