/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/answers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATS_SIZE 4096
#define ROWS_SIZE (100 * 1024) /* of a list's reply; fits a message */

/* Control asks again for what it did not get; a link that is gone is found out by the main loop. */
static int sent(struct recorder *recorder, int error)
{
	if (error == -EAGAIN)
		recorder->counters.replies_dropped++;
	return 0;
}

int answer_stats(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct recorder *recorder = context;
	struct rpc_stats body;
	static char text[STATS_SIZE];

	if (!rpc_get_stats(message->body, &body))
		return -EPROTO;
	size_t len = counters_text(&recorder->counters, recorder->programs_open, text, sizeof(text));
	return sent(recorder, RPC_SEND(link, STATS_REPLY, stats_reply, RPC_FLAG_REPLY, message->id,
	                          .text = {(const uint8_t *)text, len}));
}

static void live_counts(void *context, const char *program_id, uint64_t *blocks, uint64_t *file_size)
{
	const struct program *program = program_by_id(context, program_id);

	if (program == NULL || program->fd < 0)
		return;
	*blocks = program->written;
	*file_size = program->size;
}

int answer_list(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct recorder *recorder = context;
	struct rpc_rec_list body;
	char *rows = NULL;
	bool more = false;

	if (!rpc_get_rec_list(message->body, &body))
		return -EPROTO;
	const char *fault = index_list(
	    recorder->index, body.filter, body.offset, ROWS_SIZE, live_counts, recorder, &rows, &more);
	int error = RPC_SEND(link, REC_LIST_REPLY, rec_list_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(fault == NULL ? "" : fault),
	    .rows = wire_span_of(rows == NULL ? "[]" : rows), .more = more);
	free(rows);
	return sent(recorder, error);
}

/* A program's file for reading, and how much of it is whole now. NULL, or why not. */
static const char *open_file(struct recorder *recorder, const char *program_id, int *fd, uint64_t *size)
{
	const struct program *program = program_by_id(recorder, program_id);
	struct index_row row;
	char place[PLACE_SIZE];
	struct stat st;

	int found = index_find(recorder->index, program_id, &row, NULL);
	if (found <= 0)
		return found == 0 ? "there is no such program (for one of a session: --program N)"
		                  : "the index cannot be read";
	if (!row.recorded)
		return "this program was not recorded, only logged";
	directory_place(place, row.day, row.program_id, ".sshlog");
	*fd = directory_openat(&recorder->directory, place, O_RDONLY);
	if (*fd < 0 || fstat(*fd, &st) != 0)
		return "its file is not there";
	/* Of a file that grows, whole blocks only. */
	*size = program != NULL && program->fd >= 0 ? program->size : (uint64_t)st.st_size;
	return NULL;
}

static const char *read_file(
    struct recorder *recorder, const struct rpc_rec_read *body, uint8_t *data, size_t *len, uint64_t *size)
{
	char program_id[UUID_SIZE];
	int fd = -1;

	if (!wire_span_copy(body->program_id, program_id, sizeof(program_id)) ||
	    strlen(program_id) != UUID_SIZE - 1 || !uuid_valid(program_id))
		return "a program id is a UUID in lower case";
	const char *fault = open_file(recorder, program_id, &fd, size);
	if (fault == NULL && body->offset < *size) {
		uint64_t left = *size - body->offset;
		size_t want = body->length < RPC_READ_MAX ? body->length : RPC_READ_MAX;
		ssize_t got = pread(fd, data, want < left ? want : (size_t)left, (off_t)body->offset);
		if (got < 0)
			fault = "its file cannot be read";
		else
			*len = (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	return fault;
}

int answer_read(void *context, struct rpc_link *link, struct rpc_message *message)
{
	static uint8_t data[RPC_READ_MAX];
	struct recorder *recorder = context;
	struct rpc_rec_read body;
	size_t len = 0;
	uint64_t size = 0;

	if (!rpc_get_rec_read(message->body, &body))
		return -EPROTO;
	const char *fault = read_file(recorder, &body, data, &len, &size);
	return sent(recorder,
	    RPC_SEND(link, REC_READ_REPLY, rec_read_reply, RPC_FLAG_REPLY, message->id,
	        .error = wire_span_of(fault == NULL ? "" : fault), .data = {data, len}, .size = size));
}
