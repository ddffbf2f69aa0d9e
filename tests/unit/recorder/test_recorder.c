/* SPDX-License-Identifier: Apache-2.0 */
/* reeve-recorder as its workers and control see it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/recorder/harness.h"

#define FILE_MAX (8u << 20)

static struct harness h;
static uint8_t file[FILE_MAX], plain[FILE_MAX], expected[FILE_MAX];
static size_t plain_len, expected_len;
static struct format_header header;
static struct slab_desc desc;

static void begin(void)
{
	harness_begin(&h);
	harness_attach(&h, 0, 64);
	expected_len = 0;
}

static void end(void)
{
	harness_end(&h);
}

TestSuite(recorder, .init = begin, .fini = end, .timeout = 300);

static struct worker *worker(void)
{
	return &h.workers[0];
}

static void open_program(struct recording *recording, uint64_t flow, bool strict)
{
	recording_make(recording, flow, strict);
	give_open(worker(), recording, false);
	cr_assert_eq(returned(worker(), &desc), 0, "the program was not opened");
}

/* Seals block `number` with `len` random bytes, which `expected` gets too, and gives it. */
static void give_block(struct recording *recording, uint64_t number, size_t len)
{
	static uint8_t sealed[FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE];

	randombytes_buf(expected + expected_len, len);
	size_t size = recording_seal(recording, number, expected + expected_len, len, sealed);
	expected_len += len;
	give(worker(), SLAB_REC_BLOCK, recording->flow, number, sealed, size);
}

static void write_blocks(struct recording *recording, uint64_t from, unsigned count, size_t len)
{
	for (unsigned i = 0; i < count; i++)
		give_block(recording, from + i, len);
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(
		    returned(worker(), &desc), 0, "block %llu was refused", (unsigned long long)desc.arg);
}

static void close_program(struct recording *recording, uint64_t blocks)
{
	give_close(worker(), recording, blocks);
	cr_assert_eq(returned(worker(), &desc), 0, "the close failed");
	cr_assert_eq(desc.type, SLAB_REC_CLOSE);
}

/* The file must open with `blocks` blocks and hold just what was given. */
static void expect_file(const struct recording *recording, int blocks)
{
	char path[160];

	path_of(&h, recording, ".sshlog", path);
	size_t len = load(path, file, sizeof(file));
	int got = decrypt(recording, file, len, &header, plain, &plain_len);
	cr_assert_eq(got, blocks, "expected %d blocks, got %d", blocks, got);
	cr_assert_eq(plain_len, expected_len, "expected %zu bytes, got %zu", expected_len, plain_len);
	cr_expect_arr_eq(plain, expected, plain_len);
}

static const char *session_log(void)
{
	static char text[1u << 20];
	char path[160];

	snprintf(path, sizeof(path), "%s/session-log.jsonl", h.directory);
	text[load(path, (uint8_t *)text, sizeof(text) - 1)] = '\0';
	return text;
}

static void expect_in(const char *what, const char *text, const char *wanted)
{
	cr_expect_not_null(strstr(text, wanted), "%s: expected %s in\n%s", what, wanted, text);
}

Test(recorder, a_program_from_open_to_close)
{
	struct recording r;
	char path[160], record[256];
	struct stat st;

	open_program(&r, 7, false);
	write_blocks(&r, 0, 3, 5000);
	close_program(&r, 3);
	expect_file(&r, 3);
	cr_expect(header.has_exit && header.has_status && header.status == 3);
	cr_expect_str_eq(header.close_reason, "closed");
	cr_expect_str_eq(header.program_id, r.program_id);
	cr_expect_eq(header.data_size, 3 * (5000 + FORMAT_RECORD_OVERHEAD), "got %llu",
	    (unsigned long long)header.data_size);
	path_of(&h, &r, ".sshlog", path);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	path_of(&h, &r, ".json", path);
	plain[load(path, plain, sizeof(plain) - 1)] = '\0';
	expect_in("sidecar", (char *)plain, "\"first_header\": {\n  \"encapsulated_key\"");
	expect_in("sidecar", (char *)plain, "\"exit_data\": null");
	expect_in("sidecar", (char *)plain, "\"status\": 3");
	snprintf(record, sizeof(record), "\"ProgramID\":\"%s\"", r.program_id);
	expect_in("session log", session_log(), record);
	expect_in("session log", session_log(), "\"Payload\":\"\"");
	expect_in("session log", session_log(), "\"Error\":\"\"");
	expect_in("session log", session_log(), "\"close_reason\":\"closed\"}\n");
	expect_in("list", list_of(&h, "{\"user\":\"ann@example.net\"}"), record);
	expect_in("list", list_of(&h, "{}"), "\"blocks\":3");
	ssize_t got = read_recording(&h, r.program_id, plain, sizeof(plain));
	cr_expect_eq(got, st.st_size);
	cr_expect_arr_eq(plain, file, (size_t)got);
	cr_expect_eq(stat_of(&h, "programs_open"), 0);
}

Test(recorder, it_runs_confined)
{
	char path[64], status[8192];

	snprintf(path, sizeof(path), "/proc/%d/status", h.pid);
	status[load(path, (uint8_t *)status, sizeof(status) - 1)] = '\0';
	expect_in("status", status, "NoNewPrivs:\t1\n");
	expect_in("status", status, "Seccomp:\t2\n");
	expect_in("status", status, "CapPrm:\t0000000000000000\n");
	expect_in("status", status, "CapEff:\t0000000000000000\n");
}

Test(recorder, a_file_can_be_opened_at_every_moment)
{
	struct recording r;

	open_program(&r, 1, false);
	expect_file(&r, 0);
	cr_expect_not(header.has_exit);
	for (uint64_t n = 0; n < 5; n++) {
		write_blocks(&r, n, 1, 100 + 10000 * n);
		expect_file(&r, (int)n + 1);
		ssize_t got = read_recording(&h, r.program_id, plain, sizeof(plain));
		cr_expect_eq(decrypt(&r, plain, (size_t)got, &header, file, &plain_len), (int)n + 1);
		expect_in("live row", list_of(&h, "{}"), "\"live\":true");
	}
}

Test(recorder, strict_is_acknowledged_when_flushed)
{
	struct recording r;

	open_program(&r, 1, true);
	for (uint64_t n = 0; n < 10; n++) {
		write_blocks(&r, n, 1, 1000);
		cr_expect_eq(stat_of(&h, "flushed_acknowledged"), n + 1);
		cr_expect_geq(stat_of(&h, "flushes"), n + 1);
	}
	write_blocks(&r, 10, 40, 60000);
	cr_expect_eq(stat_of(&h, "flushed_acknowledged"), 50);
	close_program(&r, 50);
	expect_file(&r, 50);
}

static void kill_in_the_middle(bool strict)
{
	static uint8_t sealed[40][FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE];
	size_t sizes[40];
	struct recording r;
	uint64_t status, acknowledged = 0;
	char path[160];

	open_program(&r, 1, strict);
	for (unsigned n = 0; n < 40; n++) {
		randombytes_buf(expected + expected_len, 50000);
		sizes[n] = recording_seal(&r, n, expected + expected_len, 50000, sealed[n]);
		expected_len += 50000;
		give(worker(), SLAB_REC_BLOCK, r.flow, n, sealed[n], sizes[n]);
	}
	while (acknowledged < 5 && returned_within(worker(), WAIT_MS, &desc, &status))
		acknowledged += status == 0;
	harness_kill(&h);
	path_of(&h, &r, ".sshlog", path);
	int fd = open(path, O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, "\0\0\1\0half a block", 16), 16);
	close(fd);
	harness_spawn(&h);
	harness_attach(&h, 0, 64);
	give_open(worker(), &r, true);
	uint64_t held = returned(worker(), &desc);
	cr_assert_geq(held, acknowledged, "acknowledged %llu blocks, kept %llu",
	    (unsigned long long)acknowledged, (unsigned long long)held);
	cr_assert_leq(held, 40);
	cr_expect_geq(stat_of(&h, "bytes_cut"), 16);
	/* One that it has is sent too: a worker may not have heard of every acknowledgement. */
	for (uint64_t n = held > 0 ? held - 1 : 0; n < 40; n++)
		give(worker(), SLAB_REC_BLOCK, r.flow, n, sealed[n], sizes[n]);
	for (uint64_t n = held > 0 ? held - 1 : 0; n < 40; n++)
		cr_assert_eq(returned(worker(), &desc), 0);
	cr_expect_eq(stat_of(&h, "blocks_resent"), held > 0);
	close_program(&r, 40);
	expect_file(&r, 40);
	cr_expect_eq(stat_of(&h, "programs_resumed"), 1);
}

Test(recorder, killed_in_the_middle_and_resumed_best_effort)
{
	kill_in_the_middle(false);
}

Test(recorder, killed_in_the_middle_and_resumed_strict)
{
	kill_in_the_middle(true);
}

Test(recorder, resume_is_for_the_worker_and_key_that_began)
{
	struct recording r, other;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 2, 100);
	harness_kill(&h);
	harness_spawn(&h);
	harness_attach(&h, 0, 64);
	harness_attach(&h, 1, 64);
	give_open(&h.workers[1], &r, true);
	cr_expect_eq(returned(&h.workers[1], &desc), SLAB_STATUS_FAILED, "another worker took it");
	recording_make(&other, 1, false);
	strcpy(other.program_id, r.program_id);
	give_open(worker(), &other, true);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "another session took it");
	strcpy(other.session_id, r.session_id);
	give_open(worker(), &other, true);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "another key was taken");
	give_open(worker(), &r, false);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "begun twice");
	give_open(worker(), &r, true);
	cr_expect_eq(returned(worker(), &desc), 2);
	write_blocks(&r, 2, 1, 100);
	expect_file(&r, 3);
	/* A resume of what this recorder never heard of begins it. */
	recording_make(&other, 9, false);
	give_open(worker(), &other, true);
	cr_expect_eq(returned(worker(), &desc), 0);
}

/* What a recorder that died a moment earlier would have left. */
static void edit_index(const char *sql)
{
	char path[160];
	sqlite3 *db = NULL;

	snprintf(path, sizeof(path), "%s/index.db", h.directory);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static unsigned count_in(const char *text, const char *wanted)
{
	unsigned count = 0;

	while ((text = strstr(text, wanted)) != NULL) {
		text += strlen(wanted);
		count++;
	}
	return count;
}

/* The close was done, but the worker did not hear of it: it opens and closes once more. */
Test(recorder, a_close_that_was_done_is_answered_again)
{
	struct recording r;
	uint8_t sealed[64] = {0};

	open_program(&r, 1, false);
	write_blocks(&r, 0, 2, 100);
	close_program(&r, 2);
	harness_kill(&h);
	harness_spawn(&h);
	harness_attach(&h, 0, 64);
	give_open(worker(), &r, true);
	cr_assert_eq(returned(worker(), &desc), 2);
	give(worker(), SLAB_REC_BLOCK, 1, 1, sealed, sizeof(sealed));
	cr_expect_eq(returned(worker(), &desc), 0, "a block that is there was refused");
	give(worker(), SLAB_REC_BLOCK, 1, 2, sealed, sizeof(sealed));
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "a finished file took a block");
	close_program(&r, 2);
	expect_file(&r, 2);
	cr_expect_eq(count_in(session_log(), r.program_id), 1, "got %s", session_log());
	cr_expect_eq(stat_of(&h, "programs_open"), 0);
	/* And when the worker dies before it closes again, nothing changes. */
	give_open(worker(), &r, true);
	cr_assert_eq(returned(worker(), &desc), 2);
	harness_attach(&h, 0, 64);
	while (stat_of(&h, "programs_open") > 0)
		usleep(1000);
	expect_file(&r, 2);
	cr_expect_str_eq(header.close_reason, "closed");
}

/* The last recorder died when header and sidecar were written, and the index was not. */
Test(recorder, an_end_that_was_written_is_not_overwritten)
{
	struct recording r;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 2, 100);
	close_program(&r, 2);
	harness_kill(&h);
	edit_index("UPDATE programs SET open = 1");
	harness_spawn(&h);
	cr_expect_eq(harness_stop(&h, 0), 0);
	harness_spawn(&h);
	expect_file(&r, 2);
	cr_expect_str_eq(header.close_reason, "closed");
	cr_expect(header.has_exit && header.status == 3);
	expect_in("list", list_of(&h, "{}"), "\"close_reason\":\"closed\"");
}

/* The last recorder died between making the file and entering it into the index. */
Test(recorder, a_file_that_the_index_does_not_know_is_taken_up)
{
	struct recording r, liar;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 2, 100);
	harness_kill(&h);
	edit_index("DELETE FROM programs");
	harness_spawn(&h);
	harness_attach(&h, 0, 64);
	recording_make(&liar, 2, false);
	strcpy(liar.program_id, r.program_id);
	give_open(worker(), &liar, true);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "another key was taken");
	give_open(worker(), &r, true);
	cr_expect_eq(returned(worker(), &desc), 2);
	write_blocks(&r, 2, 1, 100);
	close_program(&r, 3);
	expect_file(&r, 3);
}

Test(recorder, blocks_have_their_numbers)
{
	struct recording r;
	uint8_t sealed[3][200];
	size_t len[3];

	open_program(&r, 1, false);
	for (unsigned n = 0; n < 3; n++) {
		randombytes_buf(expected + expected_len, 100);
		len[n] = recording_seal(&r, n, expected + expected_len, 100, sealed[n]);
		expected_len += 100;
	}
	static const struct {
		unsigned number;
		bool good;
	} steps[] = {
	    {1, false}, {0, true}, {0, true}, {2, false}, {1, true}, {0, true}, {1, true}, {2, true}};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		unsigned n = steps[i].number;
		give(worker(), SLAB_REC_BLOCK, 1, n, sealed[n], len[n]);
		uint64_t status = returned(worker(), &desc);
		cr_expect_eq(status == 0, steps[i].good, "step %zu, block %u: got %llx", i, n,
		    (unsigned long long)status);
	}
	cr_expect_eq(stat_of(&h, "blocks_out_of_order"), 2);
	cr_expect_eq(stat_of(&h, "blocks_resent"), 3);
	cr_expect_eq(stat_of(&h, "blocks_written"), 3);
	close_program(&r, 3);
	expect_file(&r, 3);
}

static void refused(uint16_t type, uint64_t flow, const char *json)
{
	give(worker(), type, flow, 0, json, strlen(json));
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "taken: %s", json);
}

#define ID "0b0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a11"
#define KEY "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
#define HEADER "\"header\":{\"started_at\":1,\"encapsulated_key\":\"" KEY "\"}"

Test(recorder, hostile_words_are_refused_and_counted)
{
	static const char *const opens[] = {
	    "",
	    "{",
	    "[]",
	    "null",
	    "{}",
	    "{\"program_id\":\"../../../../etc/passwd\",\"session_id\":\"" ID "\"," HEADER ",\"log\":{}}",
	    "{\"program_id\":\"0b0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a1/\",\"session_id\":\"" ID "\"," HEADER
	    ",\"log\":{}}",
	    "{\"program_id\":\"0B0E6A3C-3C3B-4F2E-9D5E-2F5A1C9F0A11\",\"session_id\":\"" ID "\"," HEADER
	    ",\"log\":{}}",
	    "{\"program_id\":7,\"session_id\":\"" ID "\"," HEADER ",\"log\":{}}",
	    "{\"program_id\":\"" ID "\",\"session_id\":\"x\"," HEADER ",\"log\":{}}",
	    "{\"program_id\":\"" ID "\",\"session_id\":\"" ID "\",\"log\":{}}",
	    "{\"program_id\":\"" ID "\",\"session_id\":\"" ID
	    "\",\"header\":{\"started_at\":\"x\"},\"log\":{}}",
	    "{\"program_id\":\"" ID "\",\"session_id\":\"" ID "\",\"header\":{\"started_at\":1},\"log\":{}}",
	    "{\"program_id\":\"" ID "\",\"session_id\":\"" ID "\"," HEADER "}",
	    "{\"program_id\":\"" ID "\",\"session_id\":\"" ID "\"," HEADER ",\"log\":[]}",
	    "{\"program_id\":\"" ID "\",\"session_id\":\"" ID "\"," HEADER ",\"log\":{},\"strict\":\"yes\"}",
	    "{\"program_id\":\"" ID "\",\"program_id\":\"" ID "\",\"session_id\":\"" ID "\"," HEADER
	    ",\"log\":{}}",
	};
	struct recording r;
	uint8_t junk[64] = {0};

	for (size_t i = 0; i < sizeof(opens) / sizeof(opens[0]); i++)
		refused(SLAB_REC_OPEN, 100 + i, opens[i]);
	char *big = malloc(60000);
	snprintf(big, 60000,
	    "{\"program_id\":\"" ID "\",\"session_id\":\"" ID "\"," HEADER ",\"log\":{\"x\":\"%020000d\"}}",
	    1);
	refused(SLAB_REC_OPEN, 1, big);
	free(big);
	refused(SLAB_REC_BLOCK, 55, "no such handle, but long enough for a block");
	refused(SLAB_REC_CLOSE, 55, "{}");
	refused(99, 55, "what is this?");
	open_program(&r, 1, false);
	give_open(worker(), &r, false);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "a handle was opened twice");
	refused(SLAB_REC_CLOSE, 1, "{\"header\":{}}");
	refused(SLAB_REC_CLOSE, 1, "{\"header\":{\"started_at\":1},\"blocks\":-1}");
	refused(99, 1, "what is this?");
	give(worker(), SLAB_REC_BLOCK, 1, 0, junk, 16);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "an empty block was taken");
	static uint8_t large[FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE + 1];
	give(worker(), SLAB_REC_BLOCK, 1, 0, large, sizeof(large));
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "a block that is too large was taken");
	struct slab_desc none = {.slab = SLAB_NONE, .type = SLAB_REC_BLOCK, .flow = 1};
	cr_assert(slab_put(worker()->end, &none));
	slab_publish(worker()->end);
	write_blocks(&r, 0, 1, 100);
	close_program(&r, 1);
	expect_file(&r, 1);
	cr_expect_geq(stat_of(&h, "protocol_errors"), 20);
	cr_expect_eq(stat_of(&h, "programs_opened"), 1);
}

/* The worker's last header may not change what the file was begun with. */
Test(recorder, a_close_cannot_change_key_or_ids)
{
	struct recording r, liar;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 1, 100);
	recording_make(&liar, 1, false);
	liar.header.started_at = 5;
	strcpy(liar.header.program_id, liar.program_id);
	close_program(&liar, 77);
	expect_file(&r, 1);
	cr_expect_str_eq(header.program_id, r.program_id);
	cr_expect_eq(header.started_at, 1700000000);
}

static void expect_lost(const struct recording *r, int blocks, const char *reason)
{
	char wanted[128];

	wait_stat(&h, "log_lines", 1, WAIT_MS);
	wait_stat(&h, "flushes", 3, WAIT_MS);
	while (stat_of(&h, "programs_open") > 0)
		usleep(5000);
	expect_file(r, blocks);
	cr_expect_not(header.has_exit);
	cr_expect_str_eq(header.close_reason, reason);
	snprintf(wanted, sizeof(wanted), "\"close_reason\":\"%s\"", reason);
	expect_in("list", list_of(&h, "{}"), wanted);
	expect_in("session log", session_log(), wanted);
	snprintf(wanted, sizeof(wanted), "\"Error\":\"%s\"", reason);
	expect_in("session log", session_log(), wanted);
	expect_in("session log", session_log(), "ann@example.net");
}

Test(recorder, a_worker_that_is_told_dead)
{
	struct recording r;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 2, 100);
	/* What it had published when it died is still written. */
	give_block(&r, 2, 100);
	cr_assert_eq(
	    RPC_SEND(&h.supervisor, SUP_PEER, sup_peer, 0, 0, .role = RPC_SSHTERM, .index = 0, .up = 0), 0);
	expect_lost(&r, 3, "worker_lost");
	cr_expect_eq(stat_of(&h, "programs_worker_lost"), 1);
}

Test(recorder, a_worker_that_is_replaced)
{
	struct recording r, next;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 2, 100);
	harness_attach(&h, 0, 64);
	expect_lost(&r, 2, "worker_lost");
	size_t before = expected_len;
	open_program(&next, 1, false);
	expected_len = 0;
	write_blocks(&next, 0, 1, 10);
	expect_file(&next, 1);
	expected_len = before;
}

Test(recorder, another_workers_programs_go_on)
{
	struct recording r;

	harness_attach(&h, 1, 64);
	open_program(&r, 1, false);
	cr_assert_eq(
	    RPC_SEND(&h.supervisor, SUP_PEER, sup_peer, 0, 0, .role = RPC_SSHTERM, .index = 1, .up = 0), 0);
	cr_assert_eq(
	    RPC_SEND(&h.supervisor, SUP_PEER, sup_peer, 0, 0, .role = RPC_DATAPLANE, .index = 0, .up = 0), 0);
	write_blocks(&r, 0, 3, 100);
	close_program(&r, 3);
	expect_file(&r, 3);
}

Test(recorder, what_nobody_resumes_is_recorder_lost)
{
	struct recording r;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 2, 100);
	harness_kill(&h);
	harness_spawn(&h);
	cr_expect_eq(stat_of(&h, "programs_open"), 1);
	cr_expect_eq(harness_stop(&h, 1000), 0);
	harness_spawn(&h);
	expect_file(&r, 2);
	cr_expect_str_eq(header.close_reason, "recorder_lost");
	expect_in("list", list_of(&h, "{}"), "\"close_reason\":\"recorder_lost\"");
	expect_in("session log", session_log(), "\"Error\":\"recorder_lost\"");
	harness_attach(&h, 0, 64);
	give_open(worker(), &r, true);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "a finished program was resumed");
}

Test(recorder, resume_comes_too_late)
{
	struct recording r;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 1, 100);
	harness_kill(&h);
	harness_spawn(&h);
	wait_stat(&h, "programs_recorder_lost", 1, WAIT_MS);
	expect_lost(&r, 1, "recorder_lost");
}

Test(recorder, a_channel_that_breaks_its_rules)
{
	struct recording r;

	open_program(&r, 1, false);
	write_blocks(&r, 0, 1, 100);
	/* Behind the header's page lie two rings of a page each, then the slabs; filled_head has the header's
	 * second cache line. A producer that claims more than the ring holds is lying. */
	uint8_t *header_page = slab_producer_bytes(worker()->end, 0) - 3 * 4096;
	volatile uint32_t *filled_head = (volatile uint32_t *)(header_page + 64);
	*filled_head += 1000;
	uint64_t one = 1;
	cr_assert_eq(write(h.bell, &one, sizeof(one)), 8);
	wait_stat(&h, "channels_corrupt", 1, WAIT_MS);
	struct rpc_message message;
	struct rpc_sup_blame blame;
	cr_assert_eq(rpc_receive(&h.supervisor, &message), 1, "the supervisor was not told");
	cr_assert_eq(message.type, RPC_SUP_BLAME);
	cr_assert(rpc_get_sup_blame(message.body, &blame));
	cr_expect(blame.worker == 0 && blame.epoch == h.epoch, "expected 0, %u; got %u, %u", h.epoch,
	    blame.worker, blame.epoch);
	expect_lost(&r, 1, "worker_lost");
	harness_attach(&h, 0, 64);
	open_program(&r, 2, false);
}

Test(recorder, without_content_only_log_and_index)
{
	struct recording r;
	char json[1024];

	recording_make(&r, 3, false);
	snprintf(json, sizeof(json),
	    "{\"program_id\":\"%s\",\"session_id\":\"%s\",\"record\":false,\"header\":{\"started_at\":5},"
	    "\"log\":{}}",
	    r.program_id, r.session_id);
	give(worker(), SLAB_REC_OPEN, 3, 0, json, strlen(json));
	cr_assert_eq(returned(worker(), &desc), 0);
	give(worker(), SLAB_REC_BLOCK, 3, 0, json, 100);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "content was taken");
	static const char last[] = "{\"header\":{\"started_at\":5},\"log\":{\"ProgramType\":\"exec\"}}";
	give(worker(), SLAB_REC_CLOSE, 3, 0, last, sizeof(last) - 1);
	cr_assert_eq(returned(worker(), &desc), 0);
	expect_in("session log", session_log(), r.program_id);
	expect_in("session log", session_log(), "\"ProgramType\":\"exec\"");
	expect_in("list", list_of(&h, "{}"), "\"recorded\":false");
	cr_expect_eq(read_recording(&h, r.program_id, plain, sizeof(plain)), -1);
	char command[160];
	snprintf(command, sizeof(command), "find %s -name '*.sshlog' | grep -q .", h.directory);
	cr_expect_neq(system(command), 0, "a file was made");
}

Test(recorder, stop_waits_for_workers_and_settles_the_rest)
{
	struct recording r, left;

	open_program(&r, 1, false);
	open_program(&left, 2, false);
	write_blocks(&r, 0, 1, 100);
	cr_assert_eq(RPC_SEND(&h.supervisor, SUP_STOP, sup_stop, 0, 0, .grace_ms = 5000), 0);
	write_blocks(&r, 1, 1, 100);
	close_program(&r, 2);
	cr_expect_eq(harness_wait_exit(&h), 0);
	expect_file(&r, 2);
	cr_expect_str_eq(header.close_reason, "closed");
	expected_len = 0;
	expect_file(&left, 0);
	cr_expect_str_eq(header.close_reason, "stopped");
	expect_in("session log", session_log(), "\"Error\":\"stopped\"");
}

Test(recorder, without_a_supervisor_it_settles_and_ends)
{
	struct recording r;

	open_program(&r, 1, true);
	write_blocks(&r, 0, 1, 100);
	rpc_link_close(&h.supervisor);
	cr_expect_eq(harness_wait_exit(&h), 0);
	expect_file(&r, 1);
	cr_expect_str_eq(header.close_reason, "stopped");
}

Test(recorder, control_gets_errors_for_what_is_not_there)
{
	static const char *const filters[] = {
	    "[]", "x", "{\"limit\":0}", "{\"limit\":\"1\"}", "{\"user\":1}", "{\"sesion\":\"x\"}"};

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		cr_expect_eq(
		    strncmp(list_of(&h, filters[i]), "ERROR: filter", 13), 0, "%s was taken", filters[i]);
	cr_expect_str_eq(list_of(&h, "{}"), "[]");
	cr_expect_str_eq(list_of(&h, ""), "[]");
	cr_expect_eq(read_recording(&h, ID, plain, sizeof(plain)), -1);
	cr_expect_eq(read_recording(&h, "../../etc/passwd", plain, sizeof(plain)), -1);
}

Test(recorder, lists_are_filtered_by_prefix_and_newest_first)
{
	struct recording r[5];
	char filter[128];

	for (unsigned i = 0; i < 5; i++)
		open_program(&r[i], i + 1, false);
	const char *all = list_of(&h, "{\"limit\":1000}");
	for (unsigned i = 0; i + 1 < 5; i++)
		cr_expect(
		    strstr(all, r[i].program_id) > strstr(all, r[i + 1].program_id), "%u is not older", i);
	snprintf(filter, sizeof(filter), "{\"program\":\"%.8s\"}", r[2].program_id);
	expect_in("by program", list_of(&h, filter), r[2].program_id);
	cr_expect_null(strstr(list_of(&h, filter), r[1].program_id));
	snprintf(filter, sizeof(filter), "{\"session\":\"%s\",\"user\":\"root\"}", r[3].session_id);
	expect_in("by session", list_of(&h, filter), r[3].program_id);
	cr_expect_str_eq(list_of(&h, "{\"user\":\"nobody\"}"), "[]");
	cr_expect_str_eq(list_of(&h, "{\"after\":9999999999}"), "[]");
	expect_in("limit", list_of(&h, "{\"limit\":1}"), r[4].program_id);
	cr_expect_null(strstr(list_of(&h, "{\"limit\":1}"), r[3].program_id));
}

Test(recorder, the_index_is_made_again_from_sidecars)
{
	struct recording r, going;
	char path[160];

	open_program(&r, 1, false);
	write_blocks(&r, 0, 2, 100);
	close_program(&r, 2);
	open_program(&going, 2, false);
	harness_kill(&h);
	snprintf(path, sizeof(path), "%s/index.db", h.directory);
	int fd = open(path, O_WRONLY | O_TRUNC);
	cr_assert_eq(write(fd, "this is no database, whatever its name says", 43), 43);
	close(fd);
	harness_spawn(&h);
	expect_in("list", list_of(&h, "{\"user\":\"root\"}"), r.program_id);
	expect_in("list", list_of(&h, "{}"), "\"blocks\":2");
	harness_attach(&h, 0, 64);
	give_open(worker(), &going, true);
	cr_expect_eq(returned(worker(), &desc), 0);
	cr_expect_eq(stat_of(&h, "programs_resumed"), 1);
}

Test(recorder, a_session_log_line_cut_by_a_crash_goes)
{
	struct recording r;
	char path[160];

	open_program(&r, 1, false);
	close_program(&r, 0);
	harness_kill(&h);
	snprintf(path, sizeof(path), "%s/session-log.jsonl", h.directory);
	int fd = open(path, O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, "{\"half", 6), 6);
	close(fd);
	harness_spawn(&h);
	const char *log = session_log();
	cr_expect_null(strstr(log, "half"));
	cr_expect_eq(log[strlen(log) - 1], '\n');
}

Test(recorder, many_programs_at_once)
{
	enum { MANY = 500 };
	static struct recording r[MANY];
	char bytes[] = "every one of them has a line of its own";
	uint8_t sealed[128];

	for (unsigned i = 0; i < MANY; i++)
		open_program(&r[i], i + 1, i % 2 == 0);
	for (unsigned i = 0; i < MANY; i++) {
		size_t len = recording_seal(&r[i], 1, bytes, sizeof(bytes), sealed);
		give(worker(), SLAB_REC_BLOCK, i + 1, 0, sealed, len);
		if (i % 50 == 49)
			for (unsigned j = 0; j < 50; j++)
				cr_assert_eq(returned(worker(), &desc), 0);
	}
	cr_expect_eq(stat_of(&h, "programs_open"), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		give_close(worker(), &r[i], 1);
		if (i % 50 == 49)
			for (unsigned j = 0; j < 50; j++)
				cr_assert_eq(returned(worker(), &desc), 0);
	}
	memcpy(expected, bytes, sizeof(bytes));
	expected_len = sizeof(bytes);
	for (unsigned i = 0; i < MANY; i += 99)
		expect_file(&r[i], 1);
	cr_expect_eq(stat_of(&h, "programs_open"), 0);
	cr_expect_eq(stat_of(&h, "log_lines"), MANY);
}

/* Of so many workers each has a share of one, whatever the limit of open files. */
Test(recorder, a_worker_has_its_share_of_programs)
{
	struct recording first, second, other;

	cr_assert_eq(harness_stop(&h, 0), 0);
	h.told_workers = 32768;
	harness_spawn(&h);
	harness_attach(&h, 0, 64);
	harness_attach(&h, 1, 64);
	open_program(&first, 1, false);
	recording_make(&second, 2, false);
	give_open(worker(), &second, false);
	cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED, "more than its share");
	recording_make(&other, 1, false);
	give_open(&h.workers[1], &other, false);
	cr_expect_eq(returned(&h.workers[1], &desc), 0, "another worker is kept out");
	close_program(&first, 0);
	give_open(worker(), &second, false);
	cr_expect_eq(returned(worker(), &desc), 0, "what it closed is not given back");
}

/* On a disk of 1 MiB: what fits is kept whole, what does not is refused, and room makes it go on. */
Test(recorder, a_full_disk)
{
	struct recording r;
	char path[160];
	uint64_t number = 0, status = 0;
	static uint8_t sealed[FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE];

	cr_assert_eq(harness_stop(&h, 0), 0);
	if (mount("tmpfs", h.directory, "tmpfs", 0, "size=1m") != 0)
		cr_skip_test("no tmpfs can be mounted here");
	harness_spawn(&h);
	harness_attach(&h, 0, 64);
	open_program(&r, 1, false);
	snprintf(path, sizeof(path), "%s/ballast", h.directory);
	int ballast = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert_eq(ftruncate(ballast, 0), 0);
	cr_assert_eq(posix_fallocate(ballast, 0, 256 * 1024), 0);
	while (status == 0 && number < 100) {
		randombytes_buf(expected + expected_len, 50000);
		size_t len = recording_seal(&r, number, expected + expected_len, 50000, sealed);
		give(worker(), SLAB_REC_BLOCK, 1, number, sealed, len);
		status = returned(worker(), &desc);
		if (status == 0)
			expected_len += 50000, number++;
	}
	cr_assert_eq(status, SLAB_STATUS_FAILED);
	cr_assert_gt(number, 2);
	expect_file(&r, (int)number);
	cr_expect_eq(stat_of(&h, "write_errors"), 1);
	/* The refused block, once more: the worker kept it. */
	cr_assert_eq(ftruncate(ballast, 0), 0);
	close(ballast);
	size_t len = FORMAT_RECORD_OVERHEAD + 50000 + FORMAT_TAG_SIZE;
	give(worker(), SLAB_REC_BLOCK, 1, number, sealed, len);
	cr_assert_eq(returned(worker(), &desc), 0, "there is room, and it is refused");
	expected_len += 50000;
	close_program(&r, number + 1);
	expect_file(&r, (int)number + 1);
	cr_assert_eq(harness_stop(&h, 0), 0);
	cr_expect_eq(umount(h.directory), 0);
}

Test(recorder, what_cannot_be_flushed_is_not_acknowledged)
{
	struct recording r;
	char disk[96];
	uint64_t number = 0, status = 0;

	cr_assert_eq(harness_stop(&h, 0), 0);
	if (!harness_mount_liar(&h, disk)) {
		harness_unmount_liar(&h, disk);
		cr_skip_test("no loop device with ext4 can be mounted here");
	}
	harness_spawn(&h);
	harness_attach(&h, 0, 64);
	open_program(&r, 1, true);
	while (status == 0 && number < 200) {
		give_block(&r, number, 60000);
		status = returned(worker(), &desc);
		number += status == 0;
	}
	cr_assert_eq(
	    status, SLAB_STATUS_FAILED, "200 blocks were acknowledged, and the disk has room for 45");
	cr_expect_gt(number, 2);
	cr_expect_eq(stat_of(&h, "flush_errors"), 1);
	cr_expect_eq(stat_of(&h, "flushed_acknowledged"), number);
	/* The kernel has forgotten what it could not write: the file takes nothing more, and says so. */
	for (uint64_t again = number; again < number + 2; again++) {
		give_block(&r, again, 1000);
		cr_expect_eq(returned(worker(), &desc), SLAB_STATUS_FAILED);
	}
	cr_expect_eq(stat_of(&h, "flushed_acknowledged"), number);
	give_close(worker(), &r, number);
	(void)returned(worker(), &desc); /* whether its header still finds room is the disk's matter */
	expect_in("list", list_of(&h, "{}"), "\"close_reason\":\"recording_failed\"");
	harness_kill(&h);
	harness_unmount_liar(&h, disk);
}
