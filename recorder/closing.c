/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a recording ends: what was accepted is written; data and a new sidecar are flushed; the last header is
 * written over the first in one write, and flushed; the index row is finished and the session-log line
 * appended; and when that line is flushed too, whoever asked is answered. Each step is asked of the disk when
 * the one before it is done, so that at every moment the file can be opened with one header or the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "recorder/program.h"
#include "recorder/session_log.h"
#include "recorder/sidecar.h"

#define BLOCK_OVERHEAD (4 + FORMAT_TAG_SIZE)

static bool begin_ending(struct recorder *recorder, struct program *program)
{
	program->ending = calloc(1, sizeof(*program->ending));
	if (program->ending == NULL)
		return false;
	program->state = PROGRAM_DRAINING;
	program_ready(recorder, program);
	return true;
}

bool program_close(
    struct recorder *recorder, struct program *program, uint32_t slab, const char *json, size_t len)
{
	struct close_words words;
	const char *why;

	if (close_words_read(json, len, &words, &why) != 0) {
		recorder->counters.protocol_errors++;
		rpc_log(RPC_LOG_WARNING, "%s: its close is not understood: %s", program->row.program_id, why);
		json_decref(words.log);
		return false;
	}
	if (!begin_ending(recorder, program)) {
		json_decref(words.log);
		return false;
	}
	if (program->row.recorded && words.blocks != program->accepted)
		rpc_log(RPC_LOG_WARNING, "%s: its worker sealed %llu blocks, the file has %llu",
		    program->row.program_id, (unsigned long long)words.blocks,
		    (unsigned long long)program->accepted);
	program->close_slab = slab;
	program->ending->header = words.header;
	program->ending->log = words.log;
	program->ending->counter = &recorder->counters.programs_closed;
	if (words.header.close_reason[0] == '\0')
		strcpy(program->ending->header.close_reason, "closed");
	return true;
}

static uint64_t *counter_of(struct recorder *recorder, const char *reason)
{
	if (strcmp(reason, "worker_lost") == 0)
		return &recorder->counters.programs_worker_lost;
	if (strcmp(reason, "recorder_lost") == 0)
		return &recorder->counters.programs_recorder_lost;
	return &recorder->counters.programs_stopped;
}

/* The end that an orphan's worker had told already: its last header is in the file, the last recorder died
 * before the index knew. */
static bool ended_before(
    struct recorder *recorder, struct program *program, const struct format_header *header)
{
	struct index_row row = program->row;
	char *log = NULL;

	if (header->close_reason[0] == '\0')
		return false;
	program->ending->header = *header;
	program->ending->counter = &recorder->counters.programs_closed;
	if (sidecar_row(&recorder->directory, &row, &log) == 0)
		program->ending->log = json_loads(log, 0, NULL);
	free(log);
	return true;
}

static void settle(struct recorder *recorder, struct program *program, const char *reason)
{
	bool orphan = program->state == PROGRAM_ORPHAN;
	struct format_header header = {0};
	int error = 0;

	if (program->row.recorded)
		error = orphan ? program_reopen(recorder, program, &header)
		               : program_header(recorder, program, &header);
	if (!begin_ending(recorder, program)) {
		rpc_log(RPC_LOG_ERROR, "%s: out of memory, left open", program->row.program_id);
		return;
	}
	if (orphan)
		recorder->orphans--;
	if (error != 0) {
		program_complain(program, "it cannot be finished", -error);
		program->broken = true;
		if (program->fd >= 0)
			close(program->fd);
		program->fd = -1;
	}
	if (orphan && ended_before(recorder, program, &header))
		return;
	header.has_exit = false;
	snprintf(header.close_reason, sizeof(header.close_reason), "%s", reason);
	program->ending->header = header;
	program->ending->error = reason;
	program->ending->counter = counter_of(recorder, reason);
	rpc_log(RPC_LOG_NOTICE, "program %s of session %s: %s", program->row.program_id,
	    program->row.session_id, reason);
}

void program_settle(struct recorder *recorder, struct program *program, const char *reason)
{
	if (program->state == PROGRAM_FINISHED)
		program_free(recorder, program);
	else if (!program_closing(program))
		settle(recorder, program, reason);
}

/* -- what is written at the end -- */

/* The session-log line, malloc'ed. A worker's object that grew too long gives way to the first one. */
static char *line_of(struct recorder *recorder, struct program *program)
{
	struct ending *ending = program->ending;
	const char *error = ending->error != NULL ? ending->error
	                    : program->broken     ? "recording_failed"
	                                          : NULL;
	char *line;

	if (ending->log == NULL) {
		char *text = NULL;
		struct index_row row;
		if (index_find(recorder->index, program->row.program_id, &row, &text) == 1 && text != NULL)
			ending->log = json_loads(text, 0, NULL);
		free(text);
		if (ending->log == NULL)
			ending->log = json_object();
	}
	log_finish(ending->log, program->row.program_id, program->row.session_id, program->row.finished_at,
	    program->row.close_reason, error);
	line = log_text(ending->log);
	if (line == NULL) {
		/* The recorder's own few words made it too long. */
		json_object_clear(ending->log);
		log_finish(ending->log, program->row.program_id, program->row.session_id,
		    program->row.finished_at, program->row.close_reason, error);
		line = log_text(ending->log);
	}
	return line;
}

static void finish_row(struct recorder *recorder, struct program *program)
{
	struct index_row *row = &program->row;
	struct format_header *header = &program->ending->header;

	/* However well the session ended, its recording did not. */
	if (program->broken && strcmp(header->close_reason, "closed") == 0)
		strcpy(header->close_reason, "recording_failed");
	row->open = false;
	row->finished_at = recorder->now_unix;
	row->blocks = program->written;
	row->file_size = program->fd >= 0 ? program->size : row->file_size;
	memcpy(row->close_reason, header->close_reason, sizeof(row->close_reason));
}

/* The worker's last word, but for what the file itself says and what may not change. */
static int encode_header(struct program *program)
{
	struct format_header *header = &program->ending->header;

	memcpy(header->encapsulated, program->encapsulated, FORMAT_KEY_SIZE);
	header->started_at = program->header_time;
	header->data_size = program->size - FORMAT_HEADER_SIZE - program->written * BLOCK_OVERHEAD;
	memcpy(header->session_id, program->row.session_id, UUID_SIZE);
	memcpy(header->program_id, program->row.program_id, UUID_SIZE);
	return format_header_encode(header, program->ending->bytes);
}

static void finish_lines(struct recorder *recorder, struct program *program)
{
	char *line = line_of(recorder, program);
	int error = line == NULL ? -ENOMEM : session_log_append(recorder->log_fd, line);

	if (index_finish(recorder->index, &program->row, line == NULL ? "{}" : line) != 0)
		recorder->counters.index_errors++;
	free(line);
	if (error != 0) {
		recorder->counters.log_errors++;
		rpc_log(recorder->log_told ? RPC_LOG_DEBUG : RPC_LOG_ERROR,
		    "session-log.jsonl: a line is lost: %s", strerror(-error));
		recorder->log_told = true;
		program->broken = true;
	} else {
		recorder->counters.log_lines++;
		recorder->log_told = false;
	}
	++*program->ending->counter;
	program->state = PROGRAM_LOGGING;
	program->log_ticket = ++recorder->log_appended;
	TAILQ_INSERT_TAIL(&recorder->logging, program, logging);
}

/* -- the steps -- */

static void step_done(struct io *io, int result)
{
	struct program *program = io->owner;
	struct recorder *recorder = program->owner;

	if (result < 0 || (program->state == PROGRAM_HEADING && result != FORMAT_HEADER_SIZE)) {
		uint64_t *counter = program->state == PROGRAM_HEADING ? &recorder->counters.write_errors
		                                                      : &recorder->counters.flush_errors;
		++*counter;
		program_complain(program, "its end cannot be written", result < 0 ? -result : ENOSPC);
		program->broken = true;
	}
	if (--program->in_flush > 0)
		return;
	if (program->state == PROGRAM_FLUSHING) {
		program->flushed = program->written;
		if (program->channel != NULL)
			program_answer(recorder, program);
	}
	program_ready(recorder, program);
}

static void flush_data(struct recorder *recorder, struct program *program)
{
	int error = encode_header(program);
	char *line = line_of(recorder, program);

	program->ending->encoded = error == 0;
	if (error == 0 && line != NULL)
		program->sidecar_fd =
		    sidecar_finish(&recorder->directory, &program->row, &program->ending->header, line);
	free(line);
	if (error != 0 || program->sidecar_fd < 0) {
		program_complain(program, "its sidecar or header cannot be made",
		    error != 0 ? -error : -program->sidecar_fd);
		program->broken = true;
	}
	program->state = PROGRAM_FLUSHING;
	program->flush_io = program->second_io = (struct io){step_done, program};
	program->in_flush = 1;
	recorder->counters.flushes++;
	storage_flush(&recorder->storage, &program->flush_io, program->fd);
	if (program->sidecar_fd >= 0) {
		program->in_flush++;
		recorder->counters.flushes++;
		storage_flush(&recorder->storage, &program->second_io, program->sidecar_fd);
	}
}

static void write_header(struct recorder *recorder, struct program *program)
{
	program->state = PROGRAM_HEADING;
	program->parts[0] = (struct iovec){program->ending->bytes, FORMAT_HEADER_SIZE};
	program->write_io = (struct io){step_done, program};
	program->in_flush = 1;
	recorder->counters.writes++;
	storage_write(&recorder->storage, &program->write_io, program->fd, program->parts, 1, 0);
}

static void flush_header(struct recorder *recorder, struct program *program)
{
	program->state = PROGRAM_SEALING;
	program->flush_io = (struct io){step_done, program};
	program->in_flush = 1;
	recorder->counters.flushes++;
	storage_flush(&recorder->storage, &program->flush_io, program->fd);
}

void program_close_step(struct recorder *recorder, struct program *program)
{
	if (program->in_write || program->in_flush > 0 || program->queued.count > 0)
		return;
	switch (program->state) {
	case PROGRAM_DRAINING:
		finish_row(recorder, program);
		if (program->fd >= 0)
			flush_data(recorder, program);
		else
			finish_lines(recorder, program);
		break;
	case PROGRAM_FLUSHING:
		/* A header that could not be made is not written: the first one still opens the file. */
		if (program->ending->encoded)
			write_header(recorder, program);
		else
			finish_lines(recorder, program);
		break;
	case PROGRAM_HEADING:
		flush_header(recorder, program);
		break;
	case PROGRAM_SEALING:
		finish_lines(recorder, program);
		break;
	default:
		break;
	}
}

/* -- the session log's own flush -- */

static void log_done(struct io *io, int result)
{
	struct recorder *recorder = io->owner;
	struct program *program;

	recorder->in_log_flush = false;
	recorder->log_flushed = recorder->log_flushing_to;
	if (result < 0) {
		recorder->counters.log_errors++;
		rpc_log(RPC_LOG_ERROR, "session-log.jsonl cannot be flushed: %s", strerror(-result));
	}
	while ((program = TAILQ_FIRST(&recorder->logging)) != NULL &&
	       program->log_ticket <= recorder->log_flushed) {
		TAILQ_REMOVE(&recorder->logging, program, logging);
		if (program->close_slab != SLAB_NONE)
			held_return(program->channel, program->close_slab,
			    program->broken || result < 0 ? SLAB_STATUS_FAILED : 0);
		program_free(recorder, program);
	}
}

void session_log_step(struct recorder *recorder)
{
	if (recorder->in_log_flush || recorder->log_flushed == recorder->log_appended ||
	    storage_room(&recorder->storage) == 0)
		return;
	recorder->in_log_flush = true;
	recorder->log_flushing_to = recorder->log_appended;
	recorder->log_io = (struct io){log_done, recorder};
	storage_flush(&recorder->storage, &recorder->log_io, recorder->log_fd);
}
