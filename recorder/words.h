/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What workers say in JSON (SLAB_REC_OPEN, SLAB_REC_CLOSE; see the end of format.h), checked. A worker may
 * have been taken over: each type is looked at, ids are UUIDs or nothing, sizes are bounded.
 */
#ifndef RECORDER_WORDS_H
#define RECORDER_WORDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/directory.h"
#include "recorder/format/format.h"

#define LOG_LINE_MAX (16 * 1024) /* bytes of a session-log object as text */

struct open_words {
	char program_id[UUID_SIZE];
	char session_id[UUID_SIZE];
	bool record;
	bool strict;
	bool resume;
	struct format_header header;
	json_t *log; /* an object; owned */
};

struct close_words {
	struct format_header header;
	uint64_t blocks;
	json_t *log; /* an object, or NULL where there is none of a fit size; owned */
};

/* 0, -EBADMSG with *why told, or -ENOMEM. On success the caller frees ->log with json_decref. */
int open_words_read(const char *json, size_t len, struct open_words *words, const char **why);
int close_words_read(const char *json, size_t len, struct close_words *words, const char **why);

/* -- session-log objects (Cloudflare's ssh_logs field names, ours in snake_case) -- */
/* RFC 3339, UTC, seconds. */
void datetime(uint64_t unix_seconds, char text[21]);
/* Puts in what the recorder alone knows, and what the worker left out; Payload is always empty. */
void log_finish(json_t *log, const char *program_id, const char *session_id, uint64_t now,
    const char *close_reason, const char *error);
/* One line without its newline, malloc'ed; NULL where it is longer than LOG_LINE_MAX. */
char *log_text(const json_t *log);

#endif
