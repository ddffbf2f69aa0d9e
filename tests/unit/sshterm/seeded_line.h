/* SPDX-License-Identifier: Apache-2.0 */
/* For tests that play both peers by chance: the messages on their way between two, and numbers from a seed.
 */
#ifndef TESTS_UNIT_SSHTERM_SEEDED_LINE_H
#define TESTS_UNIT_SSHTERM_SEEDED_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define LINE 65536

/* First in, first out. All zeros: nothing is on its way. */
struct line {
	uint8_t bytes[LINE];
	size_t head, tail;
};

/* False: it is full. */
static inline bool line_put(struct line *line, const uint8_t *payload, size_t len)
{
	if (line->head == line->tail)
		line->head = line->tail = 0;
	struct wire_out out = wire_into(line->bytes + line->tail, LINE - line->tail);

	wire_put_string(&out, payload, len);
	if (out.failed)
		return false;
	line->tail += wire_written(&out);
	return true;
}

/* The payload lies in the line until the next is put. False: nothing is on its way. */
static inline bool line_take(struct line *line, struct wire_span *payload)
{
	struct wire in = wire_over(line->bytes + line->head, line->tail - line->head);

	if (line->head == line->tail)
		return false;
	*payload = wire_string(&in);
	line->head += payload->len + 4;
	return true;
}

/* The next number of the seed's, below `below`. */
static inline uint32_t seeded(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33) % below;
}

static inline uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#endif
