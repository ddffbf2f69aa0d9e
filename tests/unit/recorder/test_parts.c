/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's smaller parts by themselves: ids, places, extents, words, counters. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/confine.h"
#include "recorder/counters.h"
#include "recorder/extent.h"
#include "recorder/session_log.h"
#include "recorder/words.h"
#include "tests/unit/recorder/hex.h"

Test(parts, uuids)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
	    {"0b0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a11", true},
	    {"00000000-0000-0000-0000-000000000000", true},
	    {"", false},
	    {"0b0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a1", false},
	    {"0b0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a111", false},
	    {"0B0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a11", false},
	    {"0b0e6a3c_3c3b-4f2e-9d5e-2f5a1c9f0a11", false},
	    {"0b0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a1g", false},
	    {"../../../../../../../../../etc/passw", false},
	    {"------------------------------------", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(uuid_valid(cases[i].text), cases[i].good, "%s", cases[i].text);
}

Test(parts, the_directory_is_the_only_one)
{
	char root[] = "/tmp/reeve-recorder-dir-XXXXXX", command[64], outside[128];
	struct directory directory;
	struct stat st;

	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(directory_open(&directory, root), 0);
	cr_assert_eq(directory_day(&directory, 1700000000), 0);
	cr_expect_str_eq(directory.day, "2023/11/14");
	cr_assert_eq(fstat(directory.day_fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	int day_fd = directory.day_fd;
	cr_assert_eq(directory_day(&directory, 1700000001), 0);
	cr_expect_eq(directory.day_fd, day_fd, "the same day was opened again");
	cr_assert_eq(directory_day(&directory, 1700000000 + 86400), 0);
	cr_expect_str_eq(directory.day, "2023/11/15");
	int fd = directory_openat(&directory, "2023/11/15/x", O_RDWR | O_CREAT);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	close(fd);
	snprintf(outside, sizeof(outside), "%s/2023/11/15/link", root);
	cr_assert_eq(symlink("/etc/passwd", outside), 0);
	cr_expect_lt(directory_openat(&directory, "2023/11/15/link", O_RDONLY), 0, "a link was followed");
	snprintf(outside, sizeof(outside), "%s/up", root);
	cr_assert_eq(symlink("/etc", outside), 0);
	cr_expect_lt(
	    directory_openat(&directory, "up/passwd", O_RDONLY), 0, "a link to a directory was followed");
	cr_expect_lt(directory_openat(&directory, "../../etc/passwd", O_RDONLY), 0, "'..' led out");
	cr_expect_lt(directory_openat(&directory, "/etc/passwd", O_RDONLY), 0, "an absolute path was taken");
	cr_assert_eq(directory_day(&directory, 253402300800ull), -ERANGE, "the year 10000");
	directory_close(&directory);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	cr_expect_eq(system(command), 0);
	cr_expect_eq(directory_open(&directory, "/proc/nowhere/recordings"), -ENOENT);
}

/* Files as crashes leave them: a header, then what `tail` says. */
Test(parts, extents)
{
#define BLOCK "0000001100000000000000000000000000000000ff"
	static const struct {
		const char *tail;
		unsigned blocks;
		unsigned cut;
	} cases[] = {
	    {"", 0, 0},
	    {BLOCK, 1, 0},
	    {BLOCK BLOCK, 2, 0},
	    {BLOCK "00", 1, 1},
	    {BLOCK "00000011", 1, 4},
	    {BLOCK "00000011aabb", 1, 6},
	    {BLOCK "00000000000000000000", 1, 10}, /* a hole that was never written */
	    {"00000010ffffffffffffffffffffffffffffffff", 0, 20},
	    {"00010011ff", 0, 5}, /* larger than any block of ours */
	    {"ffffffff", 0, 4},
	    {"00" BLOCK, 0, 22},
	};
#undef BLOCK
	static const uint8_t zeros[FORMAT_HEADER_SIZE];
	static const uint8_t length[] = {0, 0, 0x0f, 0xfc};
	char path[] = "/tmp/reeve-recorder-extent-XXXXXX";
	uint8_t tail[128];
	struct extent extent;
	uint64_t cut;
	int fd = mkstemp(path);

	unlink(path);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = unhex(cases[i].tail, tail, sizeof(tail));
		cr_assert_eq(ftruncate(fd, 0), 0);
		cr_assert_eq(pwrite(fd, zeros, sizeof(zeros), 0), FORMAT_HEADER_SIZE);
		cr_assert_eq(pwrite(fd, length, 4, 0), 4);
		cr_assert_eq(pwrite(fd, tail, len, FORMAT_HEADER_SIZE), (ssize_t)len);
		cr_assert_eq(extent_cut(fd, &extent, &cut), 0);
		cr_expect(extent.blocks == cases[i].blocks && cut == cases[i].cut,
		    "%s: expected %u blocks, %u cut; got %llu, %llu", cases[i].tail, cases[i].blocks,
		    cases[i].cut, (unsigned long long)extent.blocks, (unsigned long long)cut);
		cr_expect_eq(lseek(fd, 0, SEEK_END), (off_t)extent.size);
	}
	cr_assert_eq(ftruncate(fd, FORMAT_HEADER_SIZE - 1), 0);
	cr_expect_eq(extent_measure(fd, &extent), -EBADMSG);
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_expect_eq(extent_measure(fd, &extent), -EBADMSG);
	cr_assert_eq(ftruncate(fd, 2 * FORMAT_HEADER_SIZE), 0);
	cr_expect_eq(extent_measure(fd, &extent), -EBADMSG, "zeros are no header");
	close(fd);
}

Test(parts, log_objects)
{
	json_t *log =
	    json_loads("{\"Payload\":\"secret\",\"ProgramID\":\"x\",\"Datetime\":\"kept\"}", 0, NULL);

	log_finish(log, "p", "s", 1700000000, "closed", NULL);
	char *text = log_text(log);
	cr_expect_str_eq(text,
	    "{\"Payload\":\"\",\"ProgramID\":\"p\",\"Datetime\":\"kept\","
	    "\"ProgramFinishDatetime\":\"2023-11-14T22:13:20Z\",\"SessionID\":\"s\",\"Error\":\"\","
	    "\"close_reason\":\"closed\"}");
	free(text);
	log_finish(log, "p", "s", 1700000000, "worker_lost", "worker_lost");
	cr_expect_str_eq(json_string_value(json_object_get(log, "Error")), "worker_lost");
	char *big = malloc(LOG_LINE_MAX + 1);
	memset(big, 'x', LOG_LINE_MAX);
	big[LOG_LINE_MAX] = '\0';
	json_object_set_new(log, "big", json_string(big));
	free(big);
	cr_expect_null(log_text(log), "a line of more than LOG_LINE_MAX");
	json_decref(log);
}

Test(parts, session_log_lines_are_whole)
{
	char root[] = "/tmp/reeve-recorder-log-XXXXXX", command[64], got[64] = "";
	struct directory directory;

	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(directory_open(&directory, root), 0);
	int fd = session_log_open(&directory);
	cr_assert_geq(fd, 0);
	cr_assert_eq(session_log_append(fd, "{\"a\":1}"), 0);
	cr_assert_eq(write(fd, "{\"to", 4), 4);
	close(fd);
	fd = session_log_open(&directory);
	cr_assert_geq(fd, 0);
	cr_assert_eq(session_log_append(fd, "{\"b\":2}"), 0);
	cr_assert_gt(pread(fd, got, sizeof(got) - 1, 0), 0);
	cr_expect_str_eq(got, "{\"a\":1}\n{\"b\":2}\n");
	close(fd);
	directory_close(&directory);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	cr_expect_eq(system(command), 0);
}

Test(parts, counters_as_text)
{
	struct counters counters = {.blocks_written = 5, .sleeps = 9};
	char text[4096];

	size_t len = counters_text(&counters, 2, text, sizeof(text));
	cr_assert_gt(len, 0);
	cr_expect_eq(strncmp(text, "programs_open 2\nprograms_opened 0\n", 34), 0, "got %s", text);
	cr_expect_not_null(strstr(text, "\nblocks_written 5\n"));
	cr_expect_eq(counters_text(&counters, 2, text, 40), 0);
}

/* Runs `act` in a child that is confined to `directory`; its exit status, or minus the signal that killed it.
 */
static int confined(const struct directory *directory, int (*act)(const struct directory *directory))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(confine(directory->root) != 0 ? 99 : act(directory));
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int make_socket(const struct directory *directory)
{
	(void)directory;
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 1 : 2;
}

static int run_program(const struct directory *directory)
{
	(void)directory;
	return execl("/bin/true", "true", (char *)NULL);
}

static int read_elsewhere(const struct directory *directory)
{
	(void)directory;
	return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 1;
}

static int write_within(const struct directory *directory)
{
	int fd = directory_openat(directory, "x", O_RDWR | O_CREAT);

	return fd >= 0 && write(fd, "x", 1) == 1 && fdatasync(fd) == 0 ? 0 : 1;
}

Test(parts, confinement)
{
	char root[] = "/tmp/reeve-recorder-confine-XXXXXX", command[64];
	struct directory directory;

	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(directory_open(&directory, root), 0);
	cr_expect_eq(confined(&directory, write_within), 0);
	cr_expect_eq(confined(&directory, read_elsewhere), 0, "a file outside was opened");
	cr_expect_eq(confined(&directory, make_socket), -SIGSYS, "a socket was made");
	cr_expect_eq(confined(&directory, run_program), -SIGSYS, "a program was run");
	directory_close(&directory);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	cr_expect_eq(system(command), 0);
}
