/* SPDX-License-Identifier: Apache-2.0 */
/* How a recording begins, and how it is taken up again after a restart of the recorder. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "recorder/extent.h"
#include "recorder/program.h"
#include "recorder/sidecar.h"

static uint64_t refuse(struct recorder *recorder, const struct open_words *words, const char *why)
{
	/* A full disk refuses every program: the first ones tell. */
	if (recorder->counters.programs_refused++ < 20)
		rpc_log(RPC_LOG_ERROR, "program %s of session %s is not recorded: %s", words->program_id,
		    words->session_id, why);
	return SLAB_STATUS_FAILED;
}

/* The worker's word about its file holds for what is the recorder's to say, too: ids, and no end yet. */
static void first_header(const struct open_words *words, struct format_header *header)
{
	*header = words->header;
	header->has_exit = false;
	memcpy(header->session_id, words->session_id, UUID_SIZE);
	memcpy(header->program_id, words->program_id, UUID_SIZE);
}

/* Makes the file with its first header. A descriptor or -errno. */
static int make_file(
    struct recorder *recorder, const struct index_row *row, const struct format_header *header)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	char place[PLACE_SIZE];
	int error = format_header_encode(header, bytes);

	if (error != 0)
		return error;
	directory_place(place, row->day, row->program_id, ".sshlog");
	int fd = directory_openat(&recorder->directory, place, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	ssize_t written = pwrite(fd, bytes, sizeof(bytes), 0);
	if (written == (ssize_t)sizeof(bytes))
		return fd;
	error = written < 0 ? -errno : -ENOSPC;
	close(fd);
	(void)unlinkat(recorder->directory.root, place, 0);
	return error;
}

void program_dirty(struct recorder *recorder, struct program *program)
{
	if (program->is_dirty)
		return;
	program->dirty_since = recorder->now;
	program->is_dirty = true;
	TAILQ_INSERT_TAIL(&recorder->dirty, program, dirty);
}

static void remember_header(struct program *program, const struct format_header *header)
{
	memcpy(program->encapsulated, header->encapsulated, FORMAT_KEY_SIZE);
	program->header_time = header->started_at;
}

/* Opens the file for a worker that resumes: the count of its blocks becomes a promise. NULL, or why not. */
static const char *take_up(struct recorder *recorder, struct program *program, const struct open_words *words)
{
	struct format_header header;
	const char *fault = NULL;

	int error = program_reopen(recorder, program, &header);
	if (error != 0)
		return strerror(-error);
	if (memcmp(header.encapsulated, words->header.encapsulated, FORMAT_KEY_SIZE) != 0)
		fault = "it is resumed with another key";
	else if (words->strict && fdatasync(program->fd) != 0)
		fault = strerror(errno);
	if (fault != NULL) {
		close(program->fd);
		program->fd = -1;
		return fault;
	}
	if (words->strict)
		program->flushed = program->written;
	else
		program_dirty(recorder, program); /* what the last recorder wrote may not be flushed */
	return NULL;
}

static const char *begin_file(struct recorder *recorder, struct program *program,
    const struct open_words *words, const char *log, bool *made)
{
	struct format_header header;

	first_header(words, &header);
	int fd = make_file(recorder, &program->row, &header);
	/* The last recorder may have died before the index knew of it. */
	if (fd == -EEXIST && words->resume)
		return take_up(recorder, program, words);
	if (fd < 0)
		return fd == -EINVAL ? "its header has no encapsulated_key" : strerror(-fd);
	*made = true;
	program->fd = fd;
	program->size = program->row.file_size = FORMAT_HEADER_SIZE;
	program->new_name = true;
	program_dirty(recorder, program);
	remember_header(program, &header);
	return sidecar_begin(&recorder->directory, &program->row, &header, log) == 0
	           ? NULL
	           : "its sidecar cannot be written";
}

static void remove_files(struct recorder *recorder, const struct index_row *row)
{
	static const char *const suffixes[] = {".sshlog", ".json"};
	char place[PLACE_SIZE];

	for (unsigned i = 0; i < 2; i++) {
		directory_place(place, row->day, row->program_id, suffixes[i]);
		(void)unlinkat(recorder->directory.root, place, 0);
	}
}

/* The new program's file (if it has one) and its row. NULL, or why not; what was made is taken back. */
static const char *begin(struct recorder *recorder, struct program *program, const struct open_words *words)
{
	const char *fault = NULL;
	bool made = false;
	char *log = log_text(words->log);

	if (log == NULL)
		return "out of memory";
	if (words->record)
		fault = begin_file(recorder, program, words, log, &made);
	if (fault == NULL && index_insert(recorder->index, &program->row, log) != 0) {
		recorder->counters.index_errors++;
		fault = "the index does not take it (a program id that was used before?)";
	}
	free(log);
	if (fault != NULL && made)
		remove_files(recorder, &program->row);
	return fault;
}

static struct program *program_new_of(
    struct recorder *recorder, const struct channel *channel, const struct index_row *row)
{
	return channel->programs < recorder->programs_share ? program_new(recorder, row) : NULL;
}

static uint64_t open_new(
    struct recorder *recorder, struct channel *channel, uint64_t flow, const struct open_words *words)
{
	struct index_row row = {
	    .worker = channel->worker,
	    .recorded = words->record,
	    .strict = words->strict,
	    .open = true,
	    .started_at = recorder->now_unix,
	};
	if (directory_day(&recorder->directory, recorder->now_unix) != 0)
		return refuse(recorder, words, "today's directory cannot be made");
	memcpy(row.program_id, words->program_id, UUID_SIZE);
	memcpy(row.session_id, words->session_id, UUID_SIZE);
	memcpy(row.day, recorder->directory.day, DAY_SIZE);
	struct program *program = program_new_of(recorder, channel, &row);
	if (program == NULL)
		return refuse(recorder, words, "too many recordings are open");
	const char *fault = begin(recorder, program, words);
	if (fault != NULL) {
		program_free(recorder, program);
		return refuse(recorder, words, fault);
	}
	program->state = PROGRAM_OPEN;
	program_bind(recorder, program, channel, flow);
	recorder->counters.programs_opened++;
	return program->written;
}

int program_header(struct recorder *recorder, struct program *program, struct format_header *header)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	size_t consumed = 0;

	if (pread(program->fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
	    format_header_decode(bytes, sizeof(bytes), header, &consumed) == 0 &&
	    consumed == FORMAT_HEADER_SIZE)
		return 0;
	int error = sidecar_first_header(&recorder->directory, &program->row, header);
	if (error == 0)
		error = format_header_encode(header, bytes);
	if (error == 0 && pwrite(program->fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		error = -EIO;
	return error;
}

int program_reopen(struct recorder *recorder, struct program *program, struct format_header *header)
{
	char place[PLACE_SIZE];
	struct extent extent;
	uint64_t cut;

	directory_place(place, program->row.day, program->row.program_id, ".sshlog");
	program->fd = directory_openat(&recorder->directory, place, O_RDWR);
	if (program->fd < 0)
		return program->fd;
	int error = program_header(recorder, program, header);
	if (error == 0)
		error = extent_cut(program->fd, &extent, &cut);
	if (error != 0) {
		close(program->fd);
		program->fd = -1;
		return error;
	}
	recorder->counters.bytes_cut += cut;
	program->size = extent.size;
	program->accepted = program->written = extent.blocks;
	remember_header(program, header);
	return 0;
}

static uint64_t resume(struct recorder *recorder, struct channel *channel, uint64_t flow,
    const struct open_words *words, struct program *program)
{
	/* Only the worker that began a recording may go on with it, under the key that it began with. */
	if (program->state != PROGRAM_ORPHAN || program->row.worker != channel->worker ||
	    program->row.recorded != words->record || program->row.strict != words->strict ||
	    strcmp(program->row.session_id, words->session_id) != 0)
		return refuse(recorder, words, "it is not one that this worker may resume");
	const char *fault = words->record ? take_up(recorder, program, words) : NULL;
	if (fault != NULL)
		return refuse(recorder, words, fault);
	program->state = PROGRAM_OPEN;
	recorder->orphans--;
	program_bind(recorder, program, channel, flow);
	recorder->counters.programs_resumed++;
	return program->written;
}

/* True where the recorder, not the worker, said how it ended. */
static bool settled_without_worker(const char *reason)
{
	return strcmp(reason, "recorder_lost") == 0 || strcmp(reason, "worker_lost") == 0 ||
	       strcmp(reason, "stopped") == 0;
}

/* A worker whose close was done, but not answered before the last recorder died, opens the program again to
 * close it: it is told that all is there, and its close is answered without a second line in the log. */
static uint64_t open_finished(struct recorder *recorder, struct channel *channel, uint64_t flow,
    const struct open_words *words, const struct index_row *row)
{
	if (row->open || settled_without_worker(row->close_reason) || row->worker != channel->worker ||
	    row->recorded != words->record || strcmp(row->session_id, words->session_id) != 0)
		return refuse(recorder, words, "it was finished before");
	struct program *program = program_new_of(recorder, channel, row);
	if (program == NULL)
		return refuse(recorder, words, "too many recordings are open");
	const char *fault = row->recorded ? take_up(recorder, program, words) : NULL;
	if (fault != NULL) {
		program_free(recorder, program);
		return refuse(recorder, words, fault);
	}
	program->state = PROGRAM_FINISHED;
	program->flushed = program->written;
	program_bind(recorder, program, channel, flow);
	recorder->counters.programs_resumed++;
	return program->written;
}

uint64_t program_open(
    struct recorder *recorder, struct channel *channel, uint64_t flow, const char *json, size_t len)
{
	struct open_words words;
	const char *why;

	if (open_words_read(json, len, &words, &why) != 0) {
		recorder->counters.protocol_errors++;
		rpc_log(RPC_LOG_WARNING, "worker %u: a recording cannot begin: %s", channel->worker, why);
		json_decref(words.log);
		return SLAB_STATUS_FAILED;
	}
	struct program *program = program_by_id(recorder, words.program_id);
	struct index_row row;
	uint64_t status;
	if (program != NULL && words.resume)
		status = resume(recorder, channel, flow, &words, program);
	else if (program != NULL)
		status = refuse(recorder, &words, "its id is in use");
	else if (words.resume && index_find(recorder->index, words.program_id, &row, NULL) == 1)
		status = open_finished(recorder, channel, flow, &words, &row);
	else
		status = open_new(recorder, channel, flow, &words);
	json_decref(words.log);
	return status;
}

static bool recover_one(void *context, const struct index_row *row)
{
	struct recorder *recorder = context;
	struct program *program = program_new(recorder, row);

	if (program == NULL) {
		rpc_log(RPC_LOG_ERROR, "more programs were open than may be: raise the limit of open files");
		return false;
	}
	program->state = PROGRAM_ORPHAN;
	program->deadline = recorder->now + RESUME_WITHIN_MS;
	recorder->orphans++;
	return true;
}

int programs_recover(struct recorder *recorder)
{
	int error = index_each_open(recorder->index, recover_one, recorder);

	if (recorder->orphans > 0)
		rpc_log(RPC_LOG_NOTICE,
		    "%u programs were open when the last recorder ended; their workers have %u s",
		    recorder->orphans, RESUME_WITHIN_MS / 1000);
	return error;
}

void orphans_settle(struct recorder *recorder, bool (*which)(const struct program *program, uint64_t value),
    uint64_t value, const char *reason)
{
	struct program *program, *next;

	if (recorder->orphans == 0)
		return;
	for (program = TAILQ_FIRST(&recorder->programs); program != NULL; program = next) {
		next = TAILQ_NEXT(program, all);
		if (program->state == PROGRAM_ORPHAN && which(program, value))
			program_settle(recorder, program, reason);
	}
}

bool orphan_of_worker(const struct program *program, uint64_t worker)
{
	return program->row.worker == worker;
}

bool orphan_overdue(const struct program *program, uint64_t now)
{
	return program->deadline <= now;
}
