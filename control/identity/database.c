/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/database.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/rpc/rpc.h"

static const char schema_1[] =
    "CREATE TABLE users(name TEXT PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, email TEXT NOT NULL,"
    " created_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE user_words(name TEXT NOT NULL REFERENCES users ON DELETE CASCADE, kind TEXT NOT NULL,"
    " place INTEGER NOT NULL, word TEXT NOT NULL, PRIMARY KEY(name, kind, place)) WITHOUT ROWID;"
    "CREATE TABLE user_keys(blob BLOB PRIMARY KEY, name TEXT NOT NULL REFERENCES users ON DELETE CASCADE,"
    " comment TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX user_keys_name ON user_keys(name);"
    /* Serials are never used twice: a removed user's certificates stay dead when the name comes back. */
    "CREATE TABLE certificates(serial INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL,"
    " key_id TEXT NOT NULL, fingerprint TEXT NOT NULL, issued_at INTEGER NOT NULL,"
    " valid_before INTEGER NOT NULL);"
    "CREATE TABLE targets(target_id TEXT PRIMARY KEY, host_key BLOB NOT NULL UNIQUE, first_seen INTEGER NOT "
    "NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE target_addresses(address TEXT PRIMARY KEY, target_id TEXT NOT NULL REFERENCES targets"
    " ON DELETE CASCADE, first_seen INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX target_addresses_target ON target_addresses(target_id);"
    "CREATE TABLE policies(generation INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL,"
    " applied_at INTEGER);"
    "CREATE TABLE sessions(session_id TEXT PRIMARY KEY, user TEXT NOT NULL DEFAULT '', login TEXT NOT NULL "
    "DEFAULT '',"
    " client TEXT NOT NULL, server TEXT NOT NULL, target_id TEXT NOT NULL DEFAULT '', rule TEXT NOT NULL,"
    " rule_index INTEGER NOT NULL, generation INTEGER NOT NULL, worker INTEGER NOT NULL, flow INTEGER NOT "
    "NULL,"
    " started_at INTEGER NOT NULL, granted INTEGER NOT NULL DEFAULT 0, permits INTEGER NOT NULL DEFAULT 0,"
    " force_command TEXT NOT NULL DEFAULT '', finished_at INTEGER, close_reason TEXT NOT NULL DEFAULT '',"
    " bytes_from_client INTEGER NOT NULL DEFAULT 0, bytes_from_origin INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX sessions_started ON sessions(started_at);"
    "CREATE INDEX sessions_live ON sessions(worker) WHERE finished_at IS NULL;"
    "CREATE TABLE programs(program_id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions"
    " ON DELETE CASCADE, type TEXT NOT NULL, command TEXT NOT NULL, started_at INTEGER NOT NULL,"
    " finished_at INTEGER, recorded INTEGER NOT NULL, blocks INTEGER NOT NULL DEFAULT 0,"
    " lost_records INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX programs_session ON programs(session_id);"
    "CREATE TABLE events(session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE, at INTEGER NOT NULL,"
    " event TEXT NOT NULL, detail TEXT NOT NULL);"
    "CREATE INDEX events_session ON events(session_id);"
    "CREATE TABLE evidence(program_id TEXT NOT NULL REFERENCES programs ON DELETE CASCADE, kind TEXT NOT "
    "NULL,"
    " text TEXT NOT NULL, signature BLOB NOT NULL, public_key BLOB NOT NULL, signed_at INTEGER NOT NULL,"
    " PRIMARY KEY(program_id, kind)) WITHOUT ROWID;";

/* The exchange hash that a session has as its identifier (RFC 4253 section 7.2): no two have the same. */
static const char schema_2[] =
    "ALTER TABLE sessions ADD COLUMN identifier BLOB;"
    "CREATE INDEX sessions_identifier ON sessions(identifier) WHERE identifier NOT NULL;";

/* Forwardings are programs with ends and byte counts. */
static const char schema_3[] =
    "ALTER TABLE programs ADD COLUMN destination TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE programs ADD COLUMN originator TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE programs ADD COLUMN bytes_from_client INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE programs ADD COLUMN bytes_from_origin INTEGER NOT NULL DEFAULT 0;";

/* Addresses that somebody else's word (a VPN's, an access switch's) gave to users for a time. */
static const char schema_4[] =
    "CREATE TABLE bindings(address TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users(user_id)"
    " ON DELETE CASCADE, bound_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, bound_by INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE INDEX bindings_user ON bindings(user_id);"
    "CREATE INDEX bindings_expiry ON bindings(expires_at);"
    "ALTER TABLE sessions ADD COLUMN identity INTEGER NOT NULL DEFAULT 0;";

/* What the box shows of targets, and what is known of origins beyond what was met. */
static const char schema_5[] =
    "CREATE TABLE host_keys(seed BLOB NOT NULL, target_id TEXT NOT NULL, type TEXT NOT NULL, public_key BLOB "
    "NOT NULL, certificate BLOB NOT NULL, fresh_until INTEGER NOT NULL, PRIMARY KEY(seed, target_id, type)) "
    "WITHOUT ROWID;"
    "CREATE TABLE target_names(address TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY(address, name)) "
    "WITHOUT ROWID;"
    "CREATE TABLE known_hosts(line TEXT PRIMARY KEY, imported_at INTEGER NOT NULL) WITHOUT ROWID;"
    "ALTER TABLE target_addresses ADD COLUMN by_admin INTEGER NOT NULL DEFAULT 0;";

/* The revocation list, one or none; and what key a live session came with, to be asked about when one is
 * loaded. */
static const char schema_6[] =
    "CREATE TABLE krl(one INTEGER PRIMARY KEY CHECK(one = 1), bytes BLOB NOT NULL, sum BLOB NOT NULL,"
    " loaded_at INTEGER NOT NULL);"
    "ALTER TABLE sessions ADD COLUMN came_with BLOB;";

/* The seed of the host keys that a live session is shown, to its end. */
static const char schema_7[] = "ALTER TABLE sessions ADD COLUMN host_seed BLOB;";

/* How far a login has come that the origin judges, or that shows a second factor: people type meanwhile. */
static const char schema_8[] = "ALTER TABLE sessions ADD COLUMN to_origin INTEGER NOT NULL DEFAULT 0;"
                               "ALTER TABLE sessions ADD COLUMN factor_shown INTEGER NOT NULL DEFAULT 0;";

/* Whose a session is: the same name may be somebody else's by the time that it is looked at again. */
static const char schema_9[] = "ALTER TABLE sessions ADD COLUMN user_id TEXT NOT NULL DEFAULT '';"
                               "UPDATE sessions SET user_id = (SELECT user_id FROM users WHERE name = user)"
                               " WHERE finished_at IS NULL AND user IN (SELECT name FROM users);";

/* What makes of each version the next; a new file begins with the first. */
static const char *const schemas[] = {
    schema_1, schema_2, schema_3, schema_4, schema_5, schema_6, schema_7, schema_8, schema_9};
#define SCHEMA_VERSION ((int)(sizeof(schemas) / sizeof(schemas[0])))

static bool execute(struct database *db, const char *sql)
{
	return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int schema_version(struct database *db)
{
	sqlite3_stmt *statement = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return version;
}

static bool bring_up_to_date(struct database *db, const char *path, char *error, size_t size)
{
	int version = schema_version(db);

	if (version > SCHEMA_VERSION) {
		snprintf(error, size,
		    "%s was written by a newer version of Portreeve (schema %d, this one knows %d)", path,
		    version, SCHEMA_VERSION);
		return false;
	}
	char set_version[48];

	snprintf(set_version, sizeof(set_version), "PRAGMA user_version=%d", SCHEMA_VERSION);
	bool good = version == SCHEMA_VERSION || (version >= 0 && execute(db, "BEGIN IMMEDIATE"));
	for (int i = version; good && i < SCHEMA_VERSION; i++)
		good = execute(db, schemas[i]);
	if (version != SCHEMA_VERSION)
		good = good && execute(db, set_version) && execute(db, "COMMIT");
	if (!good)
		snprintf(error, size, "%s: %s", path, sqlite3_errmsg(db->handle));
	return good;
}

bool database_open(struct database *db, const char *path, char *error, size_t size)
{
	*db = (struct database){0};
	if (sqlite3_open_v2(path, &db->handle,
	        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(db->handle, 1000) != SQLITE_OK || !execute(db, "PRAGMA journal_mode=WAL") ||
	    !execute(db, "PRAGMA synchronous=NORMAL") || !execute(db, "PRAGMA foreign_keys=ON") ||
	    /* Nothing needs temporary files, and the seccomp filter would not like them. */
	    !execute(db, "PRAGMA temp_store=MEMORY")) {
		snprintf(error, size, "%s: %s", path,
		    db->handle == NULL ? "no memory" : sqlite3_errmsg(db->handle));
		database_close(db);
		return false;
	}
	if (!bring_up_to_date(db, path, error, size)) {
		database_close(db);
		return false;
	}
	return true;
}

/* -- statements -- */

static void complain(sqlite3 *handle, const char *sql)
{
	rpc_log(RPC_LOG_ERROR, "control.db: %s (in \"%.60s\")", sqlite3_errmsg(handle), sql);
}

static sqlite3_stmt *prepared(struct database *db, const char *sql)
{
	for (unsigned i = 0; i < db->statements; i++)
		if (db->cache[i].sql == sql)
			return db->cache[i].statement;
	sqlite3_stmt *statement = NULL;
	if (db->statements == DATABASE_STATEMENTS_MAX ||
	    sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
	        SQLITE_OK) {
		complain(db->handle, sql);
		return NULL;
	}
	db->cache[db->statements].sql = sql;
	db->cache[db->statements++].statement = statement;
	return statement;
}

/* One without parameters or rows, which gathers nothing. */
static bool step(struct database *db, const char *sql)
{
	sqlite3_stmt *statement = prepared(db, sql);
	bool done = statement != NULL && sqlite3_step(statement) == SQLITE_DONE;

	if (statement != NULL)
		sqlite3_reset(statement);
	return done;
}

/* -- the batch -- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A write is about to come that belongs to no transaction of its caller's. Where no batch can begin it
 * commits by itself. */
static void gather(struct database *db)
{
	if (db->durable || db->transaction || db->batch || !step(db, "BEGIN IMMEDIATE"))
		return;
	db->batch = true;
	db->batch_since_ms = now_ms();
}

void database_batch_settle(struct database *db)
{
	if (!db->batch)
		return;
	db->batch = false;
	/* A full disk may have rolled it back already. */
	if (sqlite3_get_autocommit(db->handle) == 0 && !step(db, "COMMIT")) {
		rpc_log(RPC_LOG_ERROR, "control.db: %s: the last moments of the history are lost",
		    sqlite3_errmsg(db->handle));
		(void)execute(db, "ROLLBACK");
	}
}

int database_batch_turn(struct database *db, int64_t now)
{
	int64_t left = db->batch_since_ms + DATABASE_BATCH_MS - now;

	if (db->batch && left <= 0)
		database_batch_settle(db);
	return db->batch ? (int)left : -1;
}

void database_close(struct database *db)
{
	if (db->handle != NULL)
		database_batch_settle(db);
	for (unsigned i = 0; i < db->statements; i++)
		sqlite3_finalize(db->cache[i].statement);
	sqlite3_close(db->handle);
	*db = (struct database){0};
}

static bool bind(sqlite3_stmt *statement, const char *kinds, va_list args)
{
	int error = SQLITE_OK;

	for (int i = 0; kinds[i] != '\0' && error == SQLITE_OK; i++) {
		if (kinds[i] == 't') {
			error = sqlite3_bind_text(
			    statement, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
		} else if (kinds[i] == 'i') {
			error = sqlite3_bind_int64(statement, i + 1, va_arg(args, int64_t));
		} else {
			struct wire_span span = va_arg(args, struct wire_span);
			error = sqlite3_bind_blob(statement, i + 1, span.len > 0 ? (const void *)span.at : "",
			    (int)span.len, SQLITE_TRANSIENT);
		}
	}
	return error == SQLITE_OK;
}

static sqlite3_stmt *query(struct database *db, const char *sql, const char *kinds, va_list args)
{
	sqlite3_stmt *statement = prepared(db, sql);

	if (statement == NULL)
		return NULL;
	sqlite3_reset(statement);
	if (!bind(statement, kinds, args)) {
		complain(db->handle, sql);
		return NULL;
	}
	return statement;
}

sqlite3_stmt *database_query(struct database *db, const char *sql, const char *kinds, ...)
{
	va_list args;

	va_start(args, kinds);
	sqlite3_stmt *statement = query(db, sql, kinds, args);
	va_end(args);
	return statement;
}

bool database_row(sqlite3_stmt *statement)
{
	if (statement == NULL)
		return false;
	int result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		return true;
	if (result != SQLITE_DONE)
		complain(sqlite3_db_handle(statement), sqlite3_sql(statement));
	sqlite3_reset(statement);
	return false;
}

void database_stop(sqlite3_stmt *statement)
{
	if (statement != NULL)
		sqlite3_reset(statement);
}

bool database_run(struct database *db, const char *sql, const char *kinds, ...)
{
	va_list args;

	va_start(args, kinds);
	gather(db);
	sqlite3_stmt *statement = query(db, sql, kinds, args);
	va_end(args);
	if (statement == NULL)
		return false;
	int result = sqlite3_step(statement);
	if (result != SQLITE_DONE && result != SQLITE_ROW)
		complain(db->handle, sql);
	sqlite3_reset(statement);
	if (db->batch && sqlite3_get_autocommit(db->handle) != 0)
		db->batch = false; /* the error was such that all of it was rolled back */
	return result == SQLITE_DONE || result == SQLITE_ROW;
}

int database_changes(struct database *db)
{
	return sqlite3_changes(db->handle);
}

void database_durable(struct database *db, bool durable)
{
	database_batch_settle(db);
	db->durable = durable;
	(void)execute(db, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
}

bool database_begin(struct database *db)
{
	database_batch_settle(db);
	db->transaction = true;
	db->transaction = database_run(db, "BEGIN IMMEDIATE", "");
	return db->transaction;
}

bool database_end(struct database *db, bool good)
{
	bool committed = good && database_run(db, "COMMIT", "");

	if (!committed)
		(void)database_run(db, "ROLLBACK", "");
	db->transaction = false;
	return committed;
}

const char *database_text(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	return text == NULL ? "" : (const char *)text;
}

struct wire_span database_blob(sqlite3_stmt *statement, int column)
{
	const void *bytes = sqlite3_column_blob(statement, column);
	int len = sqlite3_column_bytes(statement, column);

	return (struct wire_span){.at = bytes, .len = bytes == NULL || len < 0 ? 0 : (size_t)len};
}
