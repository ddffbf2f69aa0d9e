/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that does not take what is to be written at once (refusing_ring.c) is asked again, soon, though
 * nothing else happens. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/recorder/harness.h"

static struct harness h;
static int mark[2];

static void begin(void)
{
	char fd[16];

	cr_assert_eq(pipe(mark), 0);
	cr_assert_eq(fcntl(mark[0], F_SETFL, O_NONBLOCK), 0);
	snprintf(fd, sizeof(fd), "%d", mark[1]);
	setenv("REFUSING_MARK", fd, 1);
	setenv("LD_PRELOAD", REFUSING_RING, 1);
	harness_begin(&h);
	unsetenv("LD_PRELOAD");
	harness_attach(&h, 0, 64);
}

static void end(void)
{
	harness_end(&h);
	close(mark[0]);
	close(mark[1]);
}

TestSuite(refusing_ring, .init = begin, .fini = end, .timeout = 300);

Test(refusing_ring, is_asked_again)
{
	static uint8_t data[1000], sealed[FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE];
	struct recording recording;
	struct slab_desc desc;
	char said;

	cr_assert_eq(read(mark[0], &said, 1), 1, "nothing is refused here");
	recording_make(&recording, 7, true);
	give_open(&h.workers[0], &recording, false);
	cr_assert_eq(returned(&h.workers[0], &desc), 0, "the program was not opened");
	for (uint64_t number = 0; number < 5; number++) {
		size_t len = recording_seal(&recording, number, data, sizeof(data), sealed);
		give(&h.workers[0], SLAB_REC_BLOCK, recording.flow, number, sealed, len);
		cr_assert_eq(returned(&h.workers[0], &desc), 0, "a block was refused");
	}
	give_close(&h.workers[0], &recording, 5);
	cr_assert_eq(returned(&h.workers[0], &desc), 0, "the close failed");
}
