/* SPDX-License-Identifier: Apache-2.0 */
/* What a full disk leaves behind: an index that has to be made up for, and workers that did not know yet. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
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

TestSuite(full_disk, .init = begin, .fini = end, .timeout = 300);

static struct worker *worker(void)
{
	return &h.workers[0];
}

/* A program that only the index knows, with a row of its own kilobyte. */
static uint64_t open_unrecorded(struct recording *recording, uint64_t flow)
{
	char json[2048];

	recording_make(recording, flow, false);
	snprintf(json, sizeof(json),
	    "{\"program_id\":\"%s\",\"session_id\":\"%s\",\"record\":false,\"header\":{\"started_at\":5},"
	    "\"log\":{\"Command\":\"%01000d\"}}",
	    recording->program_id, recording->session_id, 1);
	give(worker(), SLAB_REC_OPEN, flow, 0, json, strlen(json));
	return returned(worker(), &desc);
}

static bool is_listed_as(const struct recording *recording, const char *what)
{
	char filter[80];

	snprintf(filter, sizeof(filter), "{\"program\":\"%s\"}", recording->program_id);
	return strstr(list_of(&h, filter), what) != NULL;
}

#define CLOSED_WHILE_FULL 5

/* What the index could not take while its disk was full stands there as soon as it has room: programs that
 * ended meanwhile are over, and those that began are there. */
Test(full_disk, the_index_is_made_up_for)
{
	struct recording programs[CLOSED_WHILE_FULL + 1];
	struct recording *during = &programs[CLOSED_WHILE_FULL];
	char path[160];

	cr_assert_eq(harness_stop(&h, 0), 0);
	if (mount("tmpfs", h.directory, "tmpfs", 0, "size=1m") != 0)
		cr_skip_test("no tmpfs can be mounted here");
	harness_spawn(&h);
	harness_attach(&h, 0, 64);
	for (unsigned i = 0; i < CLOSED_WHILE_FULL; i++)
		cr_assert_eq(open_unrecorded(&programs[i], i), 0);
	snprintf(path, sizeof(path), "%s/ballast", h.directory);
	int ballast = open(path, O_CREAT | O_WRONLY, 0600);
	off_t size = 0;
	while (posix_fallocate(ballast, size, 4096) == 0)
		size += 4096;
	cr_assert_eq(open_unrecorded(during, CLOSED_WHILE_FULL), 0, "its row is not asked of the disk yet");
	for (unsigned i = 0; i <= CLOSED_WHILE_FULL; i++) {
		give_close(worker(), &programs[i], 0);
		(void)returned(worker(), &desc); /* failed: the session log has no room either */
	}
	cr_assert_gt(stat_of(&h, "index_errors"), 0, "the disk is not full");
	cr_assert_eq(stat_of(&h, "programs_closed"), CLOSED_WHILE_FULL + 1);
	cr_assert(is_listed_as(&programs[CLOSED_WHILE_FULL - 1], "\"live\":true"), "nothing was lost");
	cr_assert_eq(ftruncate(ballast, 0), 0);
	close(ballast);
	for (unsigned i = 0; i <= CLOSED_WHILE_FULL; i++)
		for (int tries = 0; !is_listed_as(&programs[i], "\"live\":false"); tries++) {
			cr_assert_lt(tries, WAIT_MS / 50, "%u is not listed as over", i);
			usleep(50000);
		}
	cr_assert_eq(harness_stop(&h, 0), 0);
	cr_expect_eq(umount(h.directory), 0);
}

/* A worker goes on for a while before it reads that an open failed: that is no fault of its own. */
Test(full_disk, a_refused_open_is_no_breach)
{
	struct recording first, again;
	uint8_t block[64] = {0};

	recording_make(&first, 1, false);
	give_open(worker(), &first, false);
	cr_assert_eq(returned(worker(), &desc), 0);
	again = first; /* its id is in use */
	for (again.flow = 2; again.flow < 5; again.flow++) {
		give_open(worker(), &again, false);
		cr_assert_eq(returned(worker(), &desc), SLAB_STATUS_FAILED);
	}
	for (again.flow = 2; again.flow < 5; again.flow++) {
		give(worker(), SLAB_REC_BLOCK, again.flow, 0, block, sizeof(block));
		cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED);
		give_close(worker(), &again, 1);
		cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED);
	}
	cr_expect_eq(stat_of(&h, "protocol_errors"), 0);
	cr_expect_eq(stat_of(&h, "blocks_refused"), 3);
	/* Closed, it is a handle that is not open, as any other. */
	give(worker(), SLAB_REC_BLOCK, 3, 1, block, sizeof(block));
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED);
	cr_expect_eq(stat_of(&h, "protocol_errors"), 1);
	give_close(worker(), &first, 0);
	cr_expect_eq(returned(worker(), &desc), 0, "the one that was open before is disturbed");
}

/* A worker's last words may be such as SQLite does not read: its program is over all the same, and nothing of
 * them is tried for ever. */
Test(full_disk, words_that_no_disk_takes)
{
	struct recording recording;
	static char json[8192];
	size_t len;

	cr_assert_eq(open_unrecorded(&recording, 1), 0);
	len = (size_t)snprintf(
	    json, sizeof(json), "{\"blocks\":0,\"header\":{\"started_at\":5},\"log\":{\"x\":");
	memset(json + len, '[', 2030);
	memset(json + len + 2030, ']', 2030);
	len += 2 * 2030;
	len += (size_t)snprintf(json + len, sizeof(json) - len, "}}");
	give(worker(), SLAB_REC_CLOSE, 1, 0, json, len);
	(void)returned(worker(), &desc);
	cr_expect(is_listed_as(&recording, "\"live\":false"));
	cr_expect_eq(stat_of(&h, "index_errors"), 0);
}
