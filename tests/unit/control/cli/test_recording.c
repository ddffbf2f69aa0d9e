/* SPDX-License-Identifier: Apache-2.0 */
/* The auditor's side: recordings as the box writes them, cut off, changed, and for somebody else's key. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "control/cli/command.h"
#include "control/cli/recording.h"
#include "control/cli/zip_export.h"

/* The tool's own, from reeve.c, which has main(). */
static char complaint[1024];

int complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(complaint, sizeof(complaint), format, arguments);
	va_end(arguments);
	return EXIT_FAILED;
}

struct made {
	char directory[64];
	char path[128];
	uint8_t secret[FORMAT_KEY_SIZE];
	uint8_t public[FORMAT_KEY_SIZE];
	size_t size;
};

struct line {
	uint8_t source;
	uint32_t code;
	uint64_t time_us;
	const char *data;
};

static const struct line session[] = {
    {FORMAT_FROM_ORIGIN, FORMAT_DATA, 1000, "$ "},
    {FORMAT_FROM_CLIENT, FORMAT_DATA, 500000, "ls\r"},
    {FORMAT_FROM_CLIENT, FORMAT_RESIZE | 100u << 12 | 30u, 600000, ""},
    {FORMAT_FROM_ORIGIN, FORMAT_DATA, 1501000, "a b\r\n"},
    {FORMAT_FROM_ORIGIN, FORMAT_STDERR, 1601000, "oops\r\n"},
};
#define LINES (sizeof(session) / sizeof(session[0]))

static void put(int fd, const void *bytes, size_t len)
{
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
}

/* One record a block, so that each block's border is met. */
static void make_recording(struct made *made, bool pty, bool exited)
{
	struct format_context context;
	struct format_header header = {.started_at = 1700000000, .has_pty = pty, .width = 80, .height = 24};
	uint8_t first[FORMAT_HEADER_SIZE];

	cr_assert_geq(sodium_init(), 0);
	strcpy(made->directory, "/tmp/reeve-test-XXXXXX");
	cr_assert_not_null(mkdtemp(made->directory));
	snprintf(made->path, sizeof(made->path), "%s/log", made->directory);
	cr_assert_eq(format_keypair(made->secret, made->public), 0);
	cr_assert_eq(format_seal_setup(&context, made->public, header.encapsulated), 0);
	strcpy(header.term, "xterm");
	header.has_exit = exited;
	header.exit_timestamp = 1700000002;
	header.has_status = true;
	header.status = 7;
	cr_assert_eq(format_header_encode(&header, first), 0);
	int fd = open(made->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	put(fd, first, sizeof(first));
	made->size = sizeof(first);
	for (size_t i = 0; i < LINES; i++) {
		uint8_t plain[256], sealed[256 + FORMAT_TAG_SIZE + 4];
		struct wire_out out = wire_into(plain, sizeof(plain));
		struct format_record record = {
		    session[i].source, session[i].code, session[i].time_us, wire_span_of(session[i].data)};
		cr_assert(format_put_record(&out, &record));
		size_t len = wire_written(&out);
		struct wire_out block = wire_into(sealed, sizeof(sealed));
		wire_put_u32(&block, (uint32_t)(len + FORMAT_TAG_SIZE));
		cr_assert_eq(format_seal(&context, plain, len, sealed + 4), 0);
		put(fd, sealed, 4 + len + FORMAT_TAG_SIZE);
		made->size += 4 + len + FORMAT_TAG_SIZE;
	}
	close(fd);
	format_context_wipe(&context);
}

static void remove_recording(struct made *made)
{
	char zip[160];

	snprintf(zip, sizeof(zip), "%s.zip", made->path);
	unlink(zip);
	unlink(made->path);
	cr_assert_eq(rmdir(made->directory), 0, "something was left behind in %s", made->directory);
}

/* What the box does at a program's end: the last header in the first one's place. */
static void close_recording(const struct made *made, uint64_t data_size)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header header;
	size_t consumed;
	int fd = open(made->path, O_RDWR);

	cr_assert_eq(pread(fd, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	cr_assert_eq(format_header_decode(bytes, sizeof(bytes), &header, &consumed), 0);
	strcpy(header.close_reason, "closed");
	header.data_size = data_size;
	cr_assert_eq(format_header_encode(&header, bytes), 0);
	cr_assert_eq(pwrite(fd, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	close(fd);
}

/* Bytes of all records: the file's without its header, and each block's length and tag. */
static uint64_t data_size_of(const struct made *made)
{
	return made->size - FORMAT_HEADER_SIZE - LINES * (4 + FORMAT_TAG_SIZE);
}

/* Reads to the end and says whether all is there that the header tells of. */
static bool read_is_whole(const struct made *made)
{
	struct recording_source *source = recording_file(made->path);
	struct recording *recording = recording_open(source, "test", made->secret);
	struct format_record record;
	int got;

	cr_assert_not_null(recording);
	while ((got = recording_next(recording, &record)) > 0)
		cr_expect_not(recording_is_whole(recording), "whole before its end");
	cr_expect_eq(got, 0);
	cr_expect_eq(recording_next(recording, &record), 0, "behind the end there is no end");
	bool whole = recording_is_whole(recording);
	recording_close(recording);
	recording_source_close(source);
	return whole;
}

/* Reads all records; how many there were, or -1 - how many before damage. */
static int count_records(struct made *made, const uint8_t key[FORMAT_KEY_SIZE])
{
	struct recording_source *source = recording_file(made->path);
	struct recording *recording = recording_open(source, "test", key);
	struct format_record record;
	int count = 0, got = -1;

	while (recording != NULL && (got = recording_next(recording, &record)) > 0) {
		cr_expect_eq(record.code, session[count].code);
		cr_expect_eq(record.time_us, session[count].time_us);
		cr_expect(wire_span_is(record.data, session[count].data));
		count++;
	}
	recording_close(recording);
	recording_source_close(source);
	return got < 0 ? -1 - count : count;
}

Test(recording, whole)
{
	struct made made;

	make_recording(&made, true, true);
	cr_expect_eq(count_records(&made, made.secret), LINES);
	remove_recording(&made);
}

Test(recording, cut_at_each_byte_reads_to_the_last_whole_block)
{
	struct made made;
	int last = (int)LINES;

	make_recording(&made, false, false);
	for (size_t size = made.size; size > FORMAT_HEADER_SIZE; size--) {
		cr_assert_eq(truncate(made.path, (off_t)size), 0);
		int count = count_records(&made, made.secret);
		cr_assert_geq(count, 0, "cut to %zu bytes: said to be damaged", size);
		cr_assert_leq(count, last);
		last = count;
	}
	cr_expect_eq(last, 0);
	cr_assert_eq(truncate(made.path, FORMAT_HEADER_SIZE - 1), 0);
	cr_expect_lt(count_records(&made, made.secret), 0);
	remove_recording(&made);
}

Test(recording, a_closed_one_that_was_cut_is_told_at_each_byte)
{
	struct made made;

	make_recording(&made, false, true);
	close_recording(&made, data_size_of(&made));
	cr_expect(read_is_whole(&made));
	cr_expect_str_empty(complaint);
	for (size_t size = made.size - 1; size >= FORMAT_HEADER_SIZE; size--) {
		cr_assert_eq(truncate(made.path, (off_t)size), 0);
		complaint[0] = '\0';
		cr_expect_not(read_is_whole(&made), "cut to %zu bytes: not told", size);
		cr_expect_not_null(strstr(complaint, "are missing"), "cut to %zu: %s", size, complaint);
	}
	remove_recording(&made);
}

Test(recording, a_closed_one_that_holds_more_is_told)
{
	struct made made;

	make_recording(&made, false, true);
	close_recording(&made, data_size_of(&made) - 1);
	cr_expect_not(read_is_whole(&made));
	cr_expect_not_null(strstr(complaint, "holds more"), "%s", complaint);
	/* A few bytes behind the last block, which are no block. */
	close_recording(&made, data_size_of(&made));
	complaint[0] = '\0';
	cr_assert_eq(truncate(made.path, (off_t)made.size + 3), 0);
	cr_expect_not(read_is_whole(&made));
	cr_expect_not_null(strstr(complaint, "holds more"), "%s", complaint);
	remove_recording(&made);
}

Test(recording, one_that_was_never_closed_is_whole_wherever_it_ends)
{
	struct made made;

	make_recording(&made, false, false);
	cr_expect(read_is_whole(&made));
	cr_assert_eq(truncate(made.path, (off_t)made.size - 1), 0);
	cr_expect(read_is_whole(&made));
	cr_expect_str_empty(complaint);
	remove_recording(&made);
}

Test(recording, any_changed_byte_is_found)
{
	struct made made;
	uint8_t byte;

	make_recording(&made, false, false);
	int fd = open(made.path, O_RDWR);
	for (off_t at = FORMAT_HEADER_SIZE; at < (off_t)made.size; at++) {
		cr_assert_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
		cr_expect_neq(
		    count_records(&made, made.secret), (int)LINES, "byte %lld changed unseen", (long long)at);
		byte ^= 0x10;
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
	remove_recording(&made);
}

Test(recording, another_key_opens_nothing)
{
	struct made made;
	uint8_t secret[FORMAT_KEY_SIZE], public[FORMAT_KEY_SIZE];

	make_recording(&made, false, false);
	cr_assert_eq(format_keypair(secret, public), 0);
	cr_expect_eq(count_records(&made, secret), -1);
	remove_recording(&made);
}

static void expect_entry(zip_t *zip, const char *name, const char *expected)
{
	char text[1024] = "";
	zip_stat_t st;
	zip_file_t *file = zip_fopen(zip, name, 0);

	cr_assert_not_null(file, "no entry %s", name);
	cr_assert_eq(zip_stat(zip, name, 0, &st), 0);
	cr_expect_eq(st.comp_method, ZIP_CM_STORE, "%s is compressed", name);
	zip_int64_t len = zip_fread(file, text, sizeof(text) - 1);
	cr_assert_geq(len, 0);
	text[len] = '\0';
	cr_expect_str_eq(text, expected, "%s: expected <%s>, got <%s>", name, expected, text);
	zip_fclose(file);
}

static zip_t *export(struct made *made)
{
	char path[160];
	struct recording_source *source = recording_file(made->path);
	struct recording *recording = recording_open(source, "test", made->secret);
	int error;

	snprintf(path, sizeof(path), "%s.zip", made->path);
	cr_assert_not_null(recording);
	cr_assert_eq(zip_export(recording, path), 0);
	recording_close(recording);
	recording_source_close(source);
	zip_t *zip = zip_open(path, ZIP_RDONLY, &error);
	cr_assert_not_null(zip);
	return zip;
}

Test(zip_export, terminal_session)
{
	struct made made;

	make_recording(&made, true, true);
	zip_t *zip = export(&made);
	expect_entry(zip, "term_data.txt",
	    "Session started on 2023-11-14 22:13:20+00 [TERM=\"xterm\" COLUMNS=\"80\" LINES=\"24\"]\n"
	    "$ a b\r\noops\r\n"
	    "\nScript done on 2023-11-14 22:13:22+00 [COMMAND_EXIT_CODE=\"7\"]\n");
	expect_entry(zip, "term_times.txt", "0.001000 2\n1.500000 5\n0.100000 6\n");
	zip_discard(zip);
	remove_recording(&made);
}

Test(zip_export, terminal_session_without_an_end)
{
	struct made made;

	make_recording(&made, true, false);
	zip_t *zip = export(&made);
	expect_entry(zip, "term_data.txt",
	    "Session started on 2023-11-14 22:13:20+00 [TERM=\"xterm\" COLUMNS=\"80\" LINES=\"24\"]\n"
	    "$ a b\r\noops\r\n"
	    "\nSession has no termination data\n");
	zip_discard(zip);
	remove_recording(&made);
}

Test(zip_export, other_programs)
{
	struct made made;

	make_recording(&made, false, true);
	zip_t *zip = export(&made);
	expect_entry(zip, "data_from_client.txt", "ls\r");
	expect_entry(zip, "data_from_server.txt", "$ a b\r\noops\r\n");
	zip_discard(zip);
	remove_recording(&made);
}
