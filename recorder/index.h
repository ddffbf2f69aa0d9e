/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.db: which programs there are, and which of them are open. SQLite with a write-ahead log; changes are
 * gathered into one transaction until index_commit. What it says can be had again from the sidecars.
 * Changes that the disk did not take are kept in memory until it does (owed.h).
 */
#ifndef RECORDER_INDEX_H
#define RECORDER_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "recorder/directory.h"

#define REASON_SIZE 64
#define INDEX_LIST_MAX 1000 /* rows of one list, at most */

struct index;

struct index_row {
	char program_id[UUID_SIZE];
	char session_id[UUID_SIZE];
	char day[DAY_SIZE];
	uint32_t worker;
	bool recorded;
	bool strict;
	bool open;
	uint64_t started_at; /* unix seconds, the recorder's clock */
	uint64_t finished_at;
	uint64_t blocks;
	uint64_t file_size;
	char close_reason[REASON_SIZE];
};

/* Opens or makes the index in the directory at `path`. *made tells of a new one. 0 or -errno (-EBADMSG: the
 * file is there and is no index). */
int index_open(struct index **out, const char *path, bool *made);
void index_close(struct index *index);
/* All return 0 or -EIO (told in the log). `log` is a session-log object as text. */
int index_insert(struct index *index, const struct index_row *row, const char *log);
int index_finish(struct index *index, const struct index_row *row, const char *log);
int index_commit(struct index *index);
/* A transaction that was lost is kept; index_retry makes it again, where the disk takes it now. */
bool index_owes(const struct index *index);
void index_retry(struct index *index);
/* 1 and the row (with *log, malloc'ed, where `log` is not NULL); 0: not there; -EIO. */
int index_find(struct index *index, const char *program_id, struct index_row *row, char **log);
/* Calls `found` for each open program; stops where it returns false. 0 or -EIO. */
int index_each_open(
    struct index *index, bool (*found)(void *context, const struct index_row *row), void *context);

/* Asks the caller for the counts of a program that is open now. */
typedef void (*index_live_fn)(void *context, const char *program_id, uint64_t *blocks, uint64_t *file_size);
/* Answers a list (rpc.h, REC_LIST): *rows is a malloc'ed JSON array of at most `room` bytes. NULL, or what is
 * wrong with the filter. */
const char *index_list(struct index *index, struct wire_span filter, uint32_t offset, size_t room,
    index_live_fn live, void *context, char **rows, bool *more);

#endif
