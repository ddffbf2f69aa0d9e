/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/recorder/harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLAB_SIZE (FORMAT_BLOCK_MAX + 4096)

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* -- the process -- */

void harness_begin(struct harness *harness)
{
	*harness = (struct harness){.pid = -1, .bell = -1};
	cr_assert_geq(sodium_init(), 0);
	snprintf(harness->directory, sizeof(harness->directory), "/tmp/reeve-recorder-test-XXXXXX");
	cr_assert_not_null(mkdtemp(harness->directory));
	harness_spawn(harness);
}

static void child(int end, int other)
{
	close(other);
	if (end != RPC_SUPERVISOR_FD) {
		dup2(end, RPC_SUPERVISOR_FD);
		close(end);
	} else {
		fcntl(end, F_SETFD, 0);
	}
	/* The leak checker reads /proc at the end, which the confined recorder cannot. */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	execl(RECORDER_PATH, "reeve-recorder", (char *)NULL);
	_exit(127);
}

static void attach_control(struct harness *harness)
{
	int fds[2];

	cr_assert_eq(rpc_pair(fds), 0);
	cr_assert_eq(RPC_SEND_FDS(&harness->supervisor, SUP_ATTACH_RPC, sup_attach_rpc, 0, 0, &fds[1], 1,
	                 .role = RPC_CONTROL, .epoch = harness->epoch),
	    0);
	close(fds[1]);
	cr_assert_eq(rpc_link_open(&harness->control, fds[0], RPC_RECORDER, 0, harness->epoch), 0);
}

static void await_ready(struct harness *harness)
{
	struct pollfd pfd = {.fd = harness->supervisor.fd, .events = POLLIN};
	struct rpc_message message;

	cr_assert_eq(poll(&pfd, 1, WAIT_MS), 1, "the recorder is not ready");
	cr_assert_eq(rpc_receive(&harness->supervisor, &message), 1, "the recorder ended at its start");
	cr_assert_eq(message.type, RPC_SUP_READY);
}

void harness_spawn(struct harness *harness)
{
	int fds[2];

	harness->epoch++;
	cr_assert_eq(rpc_pair(fds), 0);
	harness->pid = fork();
	if (harness->pid == 0)
		child(fds[1], fds[0]);
	close(fds[1]);
	cr_assert_eq(rpc_link_open(&harness->supervisor, fds[0], RPC_RECORDER, 0, harness->epoch), 0);
	cr_assert_eq(RPC_SEND(&harness->supervisor, SUP_CONFIG_RECORDER, sup_config_recorder, 0, 0,
	                 .directory = wire_span_of(harness->directory),
	                 .workers = harness->told_workers == 0 ? WORKERS : harness->told_workers),
	    0);
	harness->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cr_assert_eq(RPC_SEND_FDS(&harness->supervisor, SUP_ATTACH_BELL, sup_attach_bell, 0, 0,
	                 &harness->bell, 1, .lcore = 0),
	    0);
	attach_control(harness);
	cr_assert_eq(RPC_SEND(&harness->supervisor, SUP_START, sup_start, 0, 0, .reserved = 0), 0);
	await_ready(harness);
}

void harness_attach(struct harness *harness, unsigned index, uint32_t slabs)
{
	struct worker *worker = &harness->workers[index];

	if (worker->end != NULL) {
		slab_producer_close(worker->end);
		close(worker->bell);
	}
	worker->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int memfd = slab_create(slabs, SLAB_SIZE, ++harness->epoch);
	cr_assert_geq(memfd, 0);
	int fds[2] = {memfd, worker->bell};
	cr_assert_eq(RPC_SEND_FDS(&harness->supervisor, SUP_ATTACH_SLAB, sup_attach_slab, 0, 0, fds, 2,
	                 .role = RPC_SSHTERM, .index = index, .lane = RPC_LANE_TO_RECORDER,
	                 .side = RPC_SIDE_CONSUMER, .epoch = harness->epoch),
	    0);
	cr_assert_eq(slab_producer_open(&worker->end, memfd, dup(harness->bell)), 0);
}

static void forget(struct harness *harness)
{
	rpc_link_close(&harness->supervisor);
	rpc_link_close(&harness->control);
	for (unsigned i = 0; i < WORKERS; i++) {
		if (harness->workers[i].end == NULL)
			continue;
		slab_producer_close(harness->workers[i].end);
		close(harness->workers[i].bell);
		harness->workers[i] = (struct worker){0};
	}
	close(harness->bell);
	harness->pid = -1;
}

void harness_kill(struct harness *harness)
{
	kill(harness->pid, SIGKILL);
	waitpid(harness->pid, NULL, 0);
	forget(harness);
}

int harness_wait_exit(struct harness *harness)
{
	int status = 0;

	for (int waited = 0; waited < 3 * WAIT_MS; waited += 10) {
		if (waitpid(harness->pid, &status, WNOHANG) == harness->pid) {
			forget(harness);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		usleep(10000);
	}
	harness_kill(harness);
	return -1;
}

int harness_stop(struct harness *harness, uint32_t grace_ms)
{
	cr_assert_eq(RPC_SEND(&harness->supervisor, SUP_STOP, sup_stop, 0, 0, .grace_ms = grace_ms), 0);
	return harness_wait_exit(harness);
}

void harness_end(struct harness *harness)
{
	char command[128];

	if (harness->pid > 0) {
		int status = harness_stop(harness, 0);
		cr_expect_eq(status, 0, "the recorder ended with %d", status);
	}
	snprintf(command, sizeof(command), "rm -rf %s", harness->directory);
	cr_expect_eq(system(command), 0);
}

/* -- recordings -- */

static void make_uuid(char id[40])
{
	uint8_t random[16];
	char hex[33];

	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
	snprintf(id, 40, "%.8s-%.4s-4%.3s-8%.3s-%.12s", hex, hex + 8, hex + 12, hex + 15, hex + 18);
}

void recording_make(struct recording *recording, uint64_t flow, bool strict)
{
	*recording = (struct recording){.flow = flow, .strict = strict};
	make_uuid(recording->program_id);
	make_uuid(recording->session_id);
	cr_assert_eq(format_keypair(recording->secret, recording->public), 0);
	recording->header.started_at = 1700000000;
	cr_assert_eq(
	    format_seal_setup(&recording->context, recording->public, recording->header.encapsulated), 0);
}

size_t recording_seal(
    struct recording *recording, uint64_t time_us, const void *data, size_t len, uint8_t *sealed)
{
	static uint8_t plain[FORMAT_BLOCK_MAX];
	struct wire_out out = wire_into(plain, sizeof(plain));
	struct format_record record = {FORMAT_FROM_ORIGIN, FORMAT_DATA, time_us, {data, len}};

	cr_assert(format_put_record(&out, &record));
	cr_assert_eq(format_seal(&recording->context, plain, wire_written(&out), sealed), 0);
	return wire_written(&out) + FORMAT_TAG_SIZE;
}

void give(struct worker *worker, uint16_t type, uint64_t flow, uint64_t number, const void *bytes, size_t len)
{
	uint8_t *slab_bytes = NULL;
	uint32_t slab = slab_take(worker->end, &slab_bytes);

	cr_assert_neq(slab, SLAB_NONE, "no slab is free");
	memcpy(slab_bytes, bytes, len);
	struct slab_desc desc = {
	    .slab = slab, .len = (uint32_t)len, .type = type, .flow = flow, .arg = number};
	cr_assert(slab_put(worker->end, &desc));
	slab_publish(worker->end);
}

void give_open(struct worker *worker, const struct recording *recording, bool resume)
{
	char json[8192];
	char *header = format_header_json(&recording->header);
	int len = snprintf(json, sizeof(json),
	    "{\"program_id\":\"%s\",\"session_id\":\"%s\",\"strict\":%s,\"resume\":%s,\"header\":%s,"
	    "\"log\":{\"UserID\":\"u1\",\"UserEmail\":\"ann@example.net\",\"Username\":\"root\","
	    "\"ProgramType\":\"shell\"}}",
	    recording->program_id, recording->session_id, recording->strict ? "true" : "false",
	    resume ? "true" : "false", header);

	free(header);
	give(worker, SLAB_REC_OPEN, recording->flow, 0, json, (size_t)len);
}

void give_close(struct worker *worker, const struct recording *recording, uint64_t blocks)
{
	give_close_of(worker, recording, blocks, "ls");
}

void give_close_of(
    struct worker *worker, const struct recording *recording, uint64_t blocks, const char *command)
{
	char json[8192];
	struct format_header last = recording->header;

	last.has_exit = last.has_status = true;
	last.exit_timestamp = 1700000060;
	last.status = 3;
	char *header = format_header_json(&last);
	int len = snprintf(json, sizeof(json),
	    "{\"header\":%s,\"blocks\":%llu,\"log\":{\"UserID\":\"u1\",\"UserEmail\":\"ann@example.net\","
	    "\"Username\":\"root\",\"ProgramType\":\"shell\",\"Payload\":\"leak\",\"Error\":\"\",\"command\":"
	    "\"%s\"}}",
	    header, (unsigned long long)blocks, command);
	free(header);
	give(worker, SLAB_REC_CLOSE, recording->flow, 0, json, (size_t)len);
}

bool returned_within(struct worker *worker, int ms, struct slab_desc *desc, uint64_t *status)
{
	int64_t deadline = now_ms() + ms;
	uint64_t rung;

	for (;;) {
		if (slab_reclaim(worker->end, desc, status, false))
			return true;
		cr_assert_not(slab_producer_corrupt(worker->end), "the recorder broke the channel");
		if (now_ms() >= deadline)
			return false;
		slab_producer_asleep(worker->end, true);
		if (!slab_producer_ready(worker->end)) {
			struct pollfd pfd = {.fd = worker->bell, .events = POLLIN};
			(void)poll(&pfd, 1, (int)(deadline - now_ms()));
			ssize_t got = read(worker->bell, &rung, sizeof(rung));
			(void)got;
		}
		slab_producer_asleep(worker->end, false);
	}
}

uint64_t returned(struct worker *worker, struct slab_desc *desc)
{
	uint64_t status = 0;

	cr_assert(returned_within(worker, WAIT_MS, desc, &status), "no slab came back");
	return status;
}

/* -- control -- */

uint64_t stat_of(struct harness *harness, const char *name)
{
	uint8_t room[16];
	struct wire_out out = wire_into(room, sizeof(room));
	struct rpc_stats request = {0};
	struct rpc_stats_reply body;
	struct rpc_message reply;
	char text[4096], wanted[64];

	rpc_put_stats(&out, &request);
	cr_assert_eq(rpc_call(&harness->control, RPC_STATS, &out, WAIT_MS, &reply, NULL, NULL), 0);
	cr_assert(rpc_get_stats_reply(reply.body, &body));
	cr_assert(wire_span_copy(body.text, text, sizeof(text)));
	snprintf(wanted, sizeof(wanted), "%s ", name);
	const char *found = strncmp(text, wanted, strlen(wanted)) == 0 ? text : NULL;
	if (found == NULL) {
		snprintf(wanted, sizeof(wanted), "\n%s ", name);
		found = strstr(text, wanted);
	}
	cr_assert_not_null(found, "no counter %s in\n%s", name, text);
	return strtoull(found + strlen(wanted), NULL, 10);
}

void wait_stat(struct harness *harness, const char *name, uint64_t value, int ms)
{
	int64_t deadline = now_ms() + ms;

	while (stat_of(harness, name) < value && now_ms() < deadline)
		usleep(5000);
	uint64_t got = stat_of(harness, name);
	cr_assert_geq(got, value, "%s: expected %llu within %d ms, got %llu", name, (unsigned long long)value,
	    ms, (unsigned long long)got);
}

const char *list_of(struct harness *harness, const char *filter)
{
	static char text[RPC_MESSAGE_MAX];
	static uint8_t room[4096];
	struct wire_out out = wire_into(room, sizeof(room));
	struct rpc_rec_list request = {.filter = wire_span_of(filter)};
	struct rpc_rec_list_reply body;
	struct rpc_message reply;

	rpc_put_rec_list(&out, &request);
	cr_assert_eq(rpc_call(&harness->control, RPC_REC_LIST, &out, WAIT_MS, &reply, NULL, NULL), 0);
	cr_assert(rpc_get_rec_list_reply(reply.body, &body));
	if (body.error.len > 0)
		snprintf(text, sizeof(text), "ERROR: %.*s", (int)body.error.len, (const char *)body.error.at);
	else
		cr_assert(wire_span_copy(body.rows, text, sizeof(text)));
	return text;
}

ssize_t read_recording(struct harness *harness, const char *program_id, uint8_t *bytes, size_t size)
{
	uint8_t room[128];
	size_t got = 0;

	for (;;) {
		struct wire_out out = wire_into(room, sizeof(room));
		struct rpc_rec_read request = {wire_span_of(program_id), got, RPC_READ_MAX};
		struct rpc_rec_read_reply body;
		struct rpc_message reply;
		rpc_put_rec_read(&out, &request);
		cr_assert_eq(rpc_call(&harness->control, RPC_REC_READ, &out, WAIT_MS, &reply, NULL, NULL), 0);
		cr_assert(rpc_get_rec_read_reply(reply.body, &body));
		if (body.error.len > 0)
			return -1;
		if (body.data.len == 0)
			return (ssize_t)got;
		cr_assert_leq(got + body.data.len, size);
		memcpy(bytes + got, body.data.at, body.data.len);
		got += body.data.len;
	}
}

/* -- files -- */

void path_of(
    const struct harness *harness, const struct recording *recording, const char *suffix, char path[160])
{
	char command[256];

	snprintf(command, sizeof(command), "find %s -name '%s%s'", harness->directory, recording->program_id,
	    suffix);
	FILE *found = popen(command, "r");
	cr_assert_not_null(found);
	char *line = fgets(path, 160, found);
	pclose(found);
	cr_assert_not_null(line, "no file %s%s", recording->program_id, suffix);
	path[strcspn(path, "\n")] = '\0';
}

size_t load(const char *path, uint8_t *bytes, size_t size)
{
	FILE *file = fopen(path, "rb");

	cr_assert_not_null(file, "cannot open %s", path);
	size_t len = fread(bytes, 1, size, file);
	fclose(file);
	return len;
}

int decrypt(const struct recording *recording, const uint8_t *file, size_t len, struct format_header *header,
    uint8_t *out, size_t *out_len)
{
	static uint8_t plain[FORMAT_BLOCK_MAX];
	struct format_context context;
	struct format_record record;
	struct wire_span sealed;
	size_t consumed;
	int blocks = 0;

	*out_len = 0;
	if (format_header_decode(file, len, header, &consumed) != 0 || consumed != FORMAT_HEADER_SIZE ||
	    format_open_setup(&context, recording->secret, header->encapsulated) != 0)
		return -1;
	struct wire in = wire_over(file + consumed, len - consumed);
	while (format_get_block(&in, &sealed)) {
		if (format_open(&context, sealed.at, sealed.len, plain) != 0)
			return -1;
		struct wire records = wire_over(plain, sealed.len - FORMAT_TAG_SIZE);
		while (format_get_record(&records, &record)) {
			memcpy(out + *out_len, record.data.at, record.data.len);
			*out_len += record.data.len;
		}
		blocks++;
	}
	return wire_done(&in) ? blocks : -1;
}

bool harness_mount_liar(struct harness *harness, char disk[96])
{
	char command[1024];

	snprintf(disk, 96, "%s-disk", harness->directory);
	snprintf(command, sizeof(command),
	    "exec >/dev/null 2>&1; mkdir %s && mount -t tmpfs -o size=3m tmpfs %s && truncate -s 64M "
	    "%s/image &&"
	    " mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1,nodiscard %s/image && mount -o loop "
	    "%s/image %s",
	    disk, disk, disk, disk, disk, harness->directory);
	return system(command) == 0;
}

void harness_unmount_liar(struct harness *harness, const char *disk)
{
	char command[512];

	snprintf(command, sizeof(command), "exec 2>/dev/null; umount %s; umount %s; rmdir %s",
	    harness->directory, disk, disk);
	if (system(command) != 0)
		fprintf(stderr, "left behind: %s\n", disk);
}
