/* SPDX-License-Identifier: Apache-2.0 */
/* Which blocks reeve-recorder lets gather before it writes them: those that nobody waits for; and how soon it
 * flushes what it wrote. */
#include <criterion/criterion.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/recorder/harness.h"

static struct harness h;
static struct slab_desc desc;

static void begin(void)
{
	harness_begin(&h);
	harness_attach(&h, 0, 64);
}

static void end(void)
{
	harness_end(&h);
}

TestSuite(gathering, .init = begin, .fini = end, .timeout = 300);

static void open_program(struct recording *recording, uint64_t flow, bool strict)
{
	recording_make(recording, flow, strict);
	give_open(&h.workers[0], recording, false);
	cr_assert_eq(returned(&h.workers[0], &desc), 0, "the program was not opened");
}

static void close_program(struct recording *recording, uint64_t blocks)
{
	give_close(&h.workers[0], recording, blocks);
	cr_assert_eq(returned(&h.workers[0], &desc), 0, "the close failed");
}

/* One after the other, each when the one before it was acknowledged. */
static void write_blocks(struct recording *recording, uint64_t from, unsigned count, size_t len)
{
	static uint8_t data[FORMAT_BLOCK_MAX], sealed[FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE];

	for (uint64_t number = from; number < from + count; number++) {
		size_t size = recording_seal(recording, number, data, len, sealed);
		give(&h.workers[0], SLAB_REC_BLOCK, recording->flow, number, sealed, size);
		cr_assert_eq(returned(&h.workers[0], &desc), 0, "a block was refused");
	}
}

Test(gathering, is_for_full_blocks_where_nothing_is_strict)
{
	struct recording bulk, strict;

	open_program(&bulk, 7, false);
	write_blocks(&bulk, 0, 4, 5000);
	cr_expect_eq(stat_of(&h, "gathers"), 0, "small blocks");
	open_program(&strict, 8, true);
	write_blocks(&bulk, 4, 4, 60000);
	cr_expect_eq(stat_of(&h, "gathers"), 0, "beside a strict program");
	close_program(&strict, 0);
	write_blocks(&bulk, 8, 4, 60000);
	wait_stat(&h, "gathers", 1, WAIT_MS);
	close_program(&bulk, 12);
}

/* Writes block `number` and waits until it is flushed; returns the milliseconds that took. */
static int64_t flush_ms(struct recording *recording, uint64_t number)
{
	struct timespec from, to;
	uint64_t before = stat_of(&h, "flushes");

	clock_gettime(CLOCK_MONOTONIC, &from);
	write_blocks(recording, number, 1, 100);
	wait_stat(&h, "flushes", before + 1, WAIT_MS);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
}

Test(gathering, best_effort_is_flushed_within_a_second)
{
	struct recording recording;
	uint64_t number = 0;
	int64_t took_ms = 0;

	open_program(&recording, 1, false);
	/* The disk may have much else to do, but not each time. */
	for (unsigned good = 0; good < 2 && number < 10; number++) {
		took_ms = flush_ms(&recording, number);
		good += took_ms < 1000;
		cr_expect_eq(stat_of(&h, "flushed_acknowledged"), 0);
	}
	cr_expect_lt(took_ms, 1000, "the last of %u blocks was flushed after %lld ms", (unsigned)number,
	    (long long)took_ms);
	uint64_t before = stat_of(&h, "flushes");
	usleep(700000);
	cr_expect_eq(stat_of(&h, "flushes"), before, "an idle program is flushed again and again");
}
