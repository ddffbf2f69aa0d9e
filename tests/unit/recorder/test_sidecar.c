/* SPDX-License-Identifier: Apache-2.0 */
/* The sidecars that reeve-recorder writes: the last one over the first, and what becomes of one that was
 * torn. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/recorder/harness.h"

static struct harness h;
static uint8_t plain[1u << 16];
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

TestSuite(sidecar, .init = begin, .fini = end, .timeout = 300);

static void open_program(struct recording *recording)
{
	recording_make(recording, 7, false);
	give_open(&h.workers[0], recording, false);
	cr_assert_eq(returned(&h.workers[0], &desc), 0, "the program was not opened");
}

static void write_blocks(struct recording *recording, unsigned count)
{
	uint8_t sealed[256];

	for (unsigned number = 0; number < count; number++) {
		size_t size = recording_seal(recording, number, "words", 5, sealed);
		give(&h.workers[0], SLAB_REC_BLOCK, recording->flow, number, sealed, size);
		cr_assert_eq(returned(&h.workers[0], &desc), 0, "a block was refused");
	}
}

static void expect_in(const char *what, const char *wanted)
{
	cr_expect_not_null(strstr((char *)plain, wanted), "%s: expected %s in\n%s", what, wanted, plain);
}

/* Its text comes into `plain`; nothing else is left beside it. */
static struct stat sidecar(const struct recording *recording)
{
	struct stat st;
	char path[160];

	path_of(&h, recording, ".json", path);
	cr_assert_eq(stat(path, &st), 0);
	plain[load(path, plain, sizeof(plain) - 1)] = '\0';
	strcat(path, ".new");
	cr_expect_neq(access(path, F_OK), 0, "%s", path);
	return st;
}

Test(sidecar, the_last_is_written_over_the_first)
{
	struct recording r;

	open_program(&r);
	struct stat first = sidecar(&r);
	expect_in("first sidecar", "\"open\": true");
	write_blocks(&r, 1);
	give_close(&h.workers[0], &r, 1);
	cr_assert_eq(returned(&h.workers[0], &desc), 0, "the close failed");
	struct stat last = sidecar(&r);
	expect_in("last sidecar", "\"open\": false");
	cr_expect_eq(first.st_size, 4096, "got %lld", (long long)first.st_size);
	cr_expect_eq(last.st_size, 4096, "got %lld", (long long)last.st_size);
	cr_expect_eq(first.st_ino, last.st_ino, "no file was freed");
}

Test(sidecar, one_longer_than_a_page_is_replaced)
{
	struct recording r;
	static char command[5000];

	open_program(&r);
	struct stat first = sidecar(&r);
	memset(command, 'x', sizeof(command) - 1);
	give_close_of(&h.workers[0], &r, 0, command);
	cr_assert_eq(returned(&h.workers[0], &desc), 0, "the close failed");
	struct stat last = sidecar(&r);
	cr_expect_gt(last.st_size, 4096, "got %lld", (long long)last.st_size);
	cr_expect_neq(first.st_ino, last.st_ino);
	expect_in("last sidecar", command);
	expect_in("last sidecar", "\"first_header\": {\n  \"encapsulated_key\"");
}

static void open_again_in_the_index(void)
{
	char path[160];
	sqlite3 *db = NULL;

	snprintf(path, sizeof(path), "%s/index.db", h.directory);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "UPDATE programs SET open = 1", NULL, NULL, NULL), SQLITE_OK, "%s",
	    sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void expect_blocks(const struct recording *recording, int blocks)
{
	struct format_header header;
	char path[160];
	uint8_t text[256];
	size_t len;

	path_of(&h, recording, ".sshlog", path);
	size_t size = load(path, plain, sizeof(plain));
	int got = decrypt(recording, plain, size, &header, text, &len);
	cr_expect_eq(got, blocks, "expected %d blocks, got %d", blocks, got);
}

/* Half of the first one, half of the last one, as a power failure may leave it: then the recording's header
 * is the first one, whole, and its program open. */
Test(sidecar, a_torn_one_is_made_again)
{
	struct recording r;
	char path[160];

	open_program(&r);
	write_blocks(&r, 2);
	harness_kill(&h);
	path_of(&h, &r, ".json", path);
	int fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "false, \"started_at\": 17", 23, 512), 23);
	close(fd);
	harness_spawn(&h);
	cr_expect_eq(harness_stop(&h, 0), 0);
	struct stat last = sidecar(&r);
	cr_expect_eq(last.st_size, 4096);
	expect_in("sidecar", "\"first_header\": {\n  \"encapsulated_key\"");
	expect_in("sidecar", "\"close_reason\": \"recorder_lost\"");
	/* Enough to put a torn header back. */
	path_of(&h, &r, ".sshlog", path);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "!torn!", 6, 100), 6);
	close(fd);
	open_again_in_the_index();
	harness_spawn(&h);
	cr_expect_eq(harness_stop(&h, 0), 0);
	harness_spawn(&h);
	expect_blocks(&r, 2);
}
