/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database: control's one SQLite file, `control.db` in the state directory.
 *
 * Theory of operation. WAL, one connection, one thread. Administrators' changes (users, policies, targets)
 * are flushed to the disk before they are answered (database_durable); the history of sessions is not worth
 * that, nor a transaction for each of the dozen things that a session leaves there: what is written outside
 * database_begin() gathers in one, the *batch*, which is settled when something in it must outlive this
 * process (database_batch_settle), or by the owner's loop DATABASE_BATCH_MS after it began. Everything reads
 * through this connection, so sees it at once. After a crash of this process the last of those milliseconds
 * may be missing, after a power cut some more. Statements are prepared once, named by the address of their
 * text (string literals).
 */
#ifndef CONTROL_IDENTITY_DATABASE_H
#define CONTROL_IDENTITY_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define DATABASE_STATEMENTS_MAX 160
#define DATABASE_BATCH_MS 100

struct database {
	sqlite3 *handle;
	unsigned statements;
	bool durable, transaction; /* between true and false, begin and end: nothing gathers */
	bool batch;
	int64_t batch_since_ms; /* CLOCK_MONOTONIC */
	struct {
		const char *sql;
		sqlite3_stmt *statement;
	} cache[DATABASE_STATEMENTS_MAX];
};

/* Opens (makes) the file and brings its tables up to date. False: `error` says why. */
bool database_open(struct database *db, const char *path, char *error, size_t size);
void database_close(struct database *db);

/* A statement ready to step, its parameters bound as `kinds` says: t (const char *, NULL is NULL), i
 * (int64_t), b (struct wire_span). Ask database_row until it is false. NULL on error (logged). */
sqlite3_stmt *database_query(struct database *db, const char *sql, const char *kinds, ...);
/* Steps: true where there is a row. At the end, or on error (logged), the statement is reset. */
bool database_row(sqlite3_stmt *statement);
/* Ends a query before its last row. */
void database_stop(sqlite3_stmt *statement);
/* Runs a statement that has no rows. False on error (logged). */
bool database_run(struct database *db, const char *sql, const char *kinds, ...);
/* Rows changed by the last database_run. */
int database_changes(struct database *db);

/* What was written outlives this process from now on (not a power cut: nothing is flushed, which makes it
 * some ten microseconds). */
void database_batch_settle(struct database *db);
/* Ends the batch where it is time. Returns in how many ms to ask again, -1: there is none. */
int database_batch_turn(struct database *db, int64_t now_ms);

/* Between true and false, commits are flushed to the disk; the batch is settled first. */
void database_durable(struct database *db, bool durable);
bool database_begin(struct database *db);
/* Commits where `good`, else rolls back. Returns whether it was committed. */
bool database_end(struct database *db, bool good);

/* Column as text; "" for NULL. Valid until the next step. */
const char *database_text(sqlite3_stmt *statement, int column);
struct wire_span database_blob(sqlite3_stmt *statement, int column);

#endif
