/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-random numbers that one seed repeats (xorshift). */
#ifndef TESTS_PACKET_SEEDED_H
#define TESTS_PACKET_SEEDED_H

#include <stdint.h>

struct seeded {
	uint64_t state;
};

/* 0 .. below - 1; 0 where below is 0. */
static inline uint32_t seeded_below(struct seeded *s, uint32_t below)
{
	s->state ^= s->state << 13;
	s->state ^= s->state >> 7;
	s->state ^= s->state << 17;
	return below == 0 ? 0 : (uint32_t)((s->state >> 11) % below);
}

static inline struct seeded seeded_from(uint64_t seed)
{
	struct seeded s = {seed * 0x9e3779b97f4a7c15ull + 1};

	for (unsigned i = 0; i < 10; i++)
		seeded_below(&s, 1);
	return s;
}

#endif
