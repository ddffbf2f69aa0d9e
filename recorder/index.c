/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/index.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "recorder/owed.h"

#define PATH_SIZE 4096

enum statement { BEGIN, COMMIT, INSERT, FINISH, FIND, OPEN_ONES, STATEMENTS };

struct index {
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENTS];
	bool in_transaction;
	struct owed owed;
};

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;"
    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
    "CREATE TABLE IF NOT EXISTS programs("
    " program_id TEXT PRIMARY KEY, session_id TEXT NOT NULL, day TEXT NOT NULL,"
    " worker INTEGER NOT NULL, recorded INTEGER NOT NULL, strict INTEGER NOT NULL,"
    " open INTEGER NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL,"
    " blocks INTEGER NOT NULL, file_size INTEGER NOT NULL, close_reason TEXT NOT NULL,"
    " user_id TEXT, user_email TEXT, username TEXT, log TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS by_session ON programs(session_id);"
    "CREATE INDEX IF NOT EXISTS by_start ON programs(started_at);"
    "CREATE INDEX IF NOT EXISTS by_open ON programs(open) WHERE open = 1;";

#define COLUMNS                                                                                              \
	"program_id, session_id, day, worker, recorded, strict, open, started_at, finished_at, blocks,"      \
	" file_size, close_reason, log"

/* Who it was is kept in columns of its own so that a list can ask for it. */
#define USER_OF(parameter)                                                                                   \
	"json_extract(" parameter ", '$.UserID'), json_extract(" parameter ", '$.UserEmail'),"               \
	" json_extract(" parameter ", '$.Username')"

#define ENTER                                                                                                \
	"INSERT INTO programs(" COLUMNS ", user_id, user_email, username)"                                   \
	" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, " USER_OF("?13") ")"

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [INSERT] = ENTER,
    /* Also where its first row never came to the disk. */
    [FINISH] = ENTER " ON CONFLICT(program_id) DO UPDATE SET open = excluded.open,"
                     " finished_at = excluded.finished_at, blocks = excluded.blocks,"
                     " file_size = excluded.file_size, close_reason = excluded.close_reason,"
                     " log = excluded.log, user_id = excluded.user_id, user_email = excluded.user_email,"
                     " username = excluded.username",
    [FIND] = "SELECT " COLUMNS " FROM programs WHERE program_id = ?1",
    [OPEN_ONES] = "SELECT " COLUMNS " FROM programs WHERE open = 1",
};

static int failed(struct index *index, const char *what)
{
	rpc_log(RPC_LOG_ERROR, "index.db: %s: %s", what, sqlite3_errmsg(index->db));
	return -EIO;
}

static int prepare_all(struct index *index)
{
	for (unsigned i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(index->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
		        &index->prepared[i], NULL) != SQLITE_OK)
			return failed(index, "its tables are not those of this version");
	return 0;
}

/* Makes the file itself, so that it is never readable for others; SQLite gives -wal and -shm its mode. */
static int make_file(const char *path, bool *made)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	*made = fd >= 0;
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	close(fd);
	return 0;
}

int index_open(struct index **out, const char *path, bool *made)
{
	char file[PATH_SIZE];
	struct index *index = calloc(1, sizeof(*index));

	if (index == NULL)
		return -ENOMEM;
	owed_init(&index->owed);
	if (snprintf(file, sizeof(file), "%s/index.db", path) >= (int)sizeof(file)) {
		free(index);
		return -ENAMETOOLONG;
	}
	int error = make_file(file, made);
	if (error == 0 &&
	    sqlite3_open_v2(file, &index->db,
	        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK)
		error = failed(index, "cannot be opened");
	if (error == 0) {
		(void)sqlite3_busy_timeout(index->db, 1000);
		if (sqlite3_exec(index->db, schema, NULL, NULL, NULL) != SQLITE_OK) {
			int code = sqlite3_errcode(index->db);
			failed(index, "cannot be used");
			error = code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? -EBADMSG : -EIO;
		}
	}
	if (error == 0 && prepare_all(index) != 0)
		error = -EBADMSG;
	if (error != 0) {
		index_close(index);
		return error;
	}
	*out = index;
	return 0;
}

void index_close(struct index *index)
{
	if (index == NULL)
		return;
	(void)index_commit(index);
	index_retry(index);
	owed_clear(&index->owed);
	for (unsigned i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(index->prepared[i]);
	sqlite3_close(index->db);
	free(index);
}

/* One without parameters or rows. */
static bool step(struct index *index, enum statement which)
{
	bool done = sqlite3_step(index->prepared[which]) == SQLITE_DONE;

	sqlite3_reset(index->prepared[which]);
	return done;
}

static int begin(struct index *index)
{
	if (index->in_transaction)
		return 0;
	if (!step(index, BEGIN))
		return failed(index, "no transaction");
	index->in_transaction = true;
	return 0;
}

/* What the last transaction changed is kept, to be made again. */
static int transaction_lost(struct index *index)
{
	bool first = index->owed.count == 0;

	rpc_log(first ? RPC_LOG_ERROR : RPC_LOG_DEBUG,
	    "index.db cannot be written: %s; what changed is kept, and tried again",
	    sqlite3_errmsg(index->db));
	/* SQLite may have rolled back by itself already. */
	if (sqlite3_get_autocommit(index->db) == 0)
		(void)sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
	return -EIO;
}

int index_commit(struct index *index)
{
	if (!index->in_transaction)
		return 0;
	index->in_transaction = false;
	if (step(index, COMMIT)) {
		owed_kept(&index->owed);
		return 0;
	}
	int error = transaction_lost(index);
	owed_lost(&index->owed);
	return error;
}

static void bind_row(sqlite3_stmt *s, const struct index_row *row, const char *log)
{
	sqlite3_bind_text(s, 1, row->program_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, row->session_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, row->day, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, row->worker);
	sqlite3_bind_int(s, 5, row->recorded);
	sqlite3_bind_int(s, 6, row->strict);
	sqlite3_bind_int(s, 7, row->open);
	sqlite3_bind_int64(s, 8, (sqlite3_int64)row->started_at);
	sqlite3_bind_int64(s, 9, (sqlite3_int64)row->finished_at);
	sqlite3_bind_int64(s, 10, (sqlite3_int64)row->blocks);
	sqlite3_bind_int64(s, 11, (sqlite3_int64)row->file_size);
	sqlite3_bind_text(s, 12, row->close_reason, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 13, log, -1, SQLITE_STATIC);
}

/* SQLITE_DONE, or why not. */
static int enter(struct index *index, enum statement which, const struct index_row *row, const char *log)
{
	sqlite3_stmt *s = index->prepared[which];

	bind_row(s, row, log);
	int code = sqlite3_step(s);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return code;
}

/* Would no disk take it? Such as JSON that is nested deeper than SQLite reads, which may be a worker's words.
 */
static bool is_hopeless(int code)
{
	return code == SQLITE_ERROR || code == SQLITE_CONSTRAINT || code == SQLITE_TOOBIG;
}

int index_insert(struct index *index, const struct index_row *row, const char *log)
{
	int error = begin(index);

	if (error != 0)
		return error;
	if (enter(index, INSERT, row, log) != SQLITE_DONE)
		return failed(index, "a program was not entered");
	owed_note(&index->owed, false, row, log);
	return 0;
}

int index_finish(struct index *index, const struct index_row *row, const char *log)
{
	int error = begin(index);
	int code = error == 0 ? enter(index, FINISH, row, log) : SQLITE_DONE;

	if (is_hopeless(code)) {
		(void)failed(index, "a program is finished without its words");
		log = "{}";
		code = enter(index, FINISH, row, log);
	}
	owed_note(&index->owed, true, row, log);
	if (code != SQLITE_DONE)
		error = failed(index, "a program was not finished");
	/* Not in the transaction, or there is none: alone it is lost, whatever becomes of the others. */
	if (error != 0)
		owed_lost(&index->owed);
	return error;
}

bool index_owes(const struct index *index)
{
	return index->owed.count > 0;
}

/* All lost changes once more, in their order. A program that came to the disk meanwhile is not entered; one
 * change that cannot be made does not keep back the others. */
static bool make_again(struct index *index)
{
	const struct owed_change *change;

	if (!step(index, BEGIN))
		return false;
	STAILQ_FOREACH(change, &index->owed.lost, link)
	{
		int code = enter(index, change->finish ? FINISH : INSERT, &change->row, change->log);
		if (code != SQLITE_DONE && !is_hopeless(code))
			return false;
	}
	return step(index, COMMIT);
}

void index_retry(struct index *index)
{
	if (!index_owes(index) || index->in_transaction)
		return;
	if (!make_again(index)) {
		(void)transaction_lost(index);
		return;
	}
	rpc_log(RPC_LOG_NOTICE,
	    "index.db can be written again: %u changes made up for, %u were too many to keep",
	    index->owed.count, index->owed.dropped);
	owed_clear(&index->owed);
}

static void column_text(sqlite3_stmt *s, int column, char *text, size_t size)
{
	const char *value = (const char *)sqlite3_column_text(s, column);

	snprintf(text, size, "%s", value == NULL ? "" : value);
}

static void read_row(sqlite3_stmt *s, struct index_row *row)
{
	column_text(s, 0, row->program_id, sizeof(row->program_id));
	column_text(s, 1, row->session_id, sizeof(row->session_id));
	column_text(s, 2, row->day, sizeof(row->day));
	row->worker = (uint32_t)sqlite3_column_int64(s, 3);
	row->recorded = sqlite3_column_int(s, 4) != 0;
	row->strict = sqlite3_column_int(s, 5) != 0;
	row->open = sqlite3_column_int(s, 6) != 0;
	row->started_at = (uint64_t)sqlite3_column_int64(s, 7);
	row->finished_at = (uint64_t)sqlite3_column_int64(s, 8);
	row->blocks = (uint64_t)sqlite3_column_int64(s, 9);
	row->file_size = (uint64_t)sqlite3_column_int64(s, 10);
	column_text(s, 11, row->close_reason, sizeof(row->close_reason));
}

int index_find(struct index *index, const char *program_id, struct index_row *row, char **log)
{
	sqlite3_stmt *s = index->prepared[FIND];

	sqlite3_bind_text(s, 1, program_id, -1, SQLITE_STATIC);
	int step = sqlite3_step(s);
	if (step == SQLITE_ROW) {
		read_row(s, row);
		if (log != NULL)
			*log = strdup((const char *)sqlite3_column_text(s, 12));
	} else if (step != SQLITE_DONE) {
		(void)failed(index, "a program cannot be looked up");
	}
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return step == SQLITE_ROW ? 1 : step == SQLITE_DONE ? 0 : -EIO;
}

int index_each_open(
    struct index *index, bool (*found)(void *context, const struct index_row *row), void *context)
{
	sqlite3_stmt *s = index->prepared[OPEN_ONES];
	struct index_row row;
	int step;

	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		read_row(s, &row);
		if (!found(context, &row))
			break;
	}
	sqlite3_reset(s);
	return step == SQLITE_ROW || step == SQLITE_DONE ? 0
	                                                 : failed(index, "open programs cannot be listed");
}

/* -- lists -- */

struct filter {
	const char *session, *program, *user; /* NULL: any */
	json_int_t after, limit;
};

static const char *read_filter(const json_t *object, struct filter *filter)
{
	static const char *const texts_of[] = {"session", "program", "user"};
	const char **const into[] = {&filter->session, &filter->program, &filter->user};
	size_t known = 0;

	*filter = (struct filter){.limit = INDEX_LIST_MAX};
	for (unsigned i = 0; i < 3; i++) {
		json_t *value = json_object_get(object, texts_of[i]);
		known += value != NULL;
		if (value != NULL && !json_is_string(value))
			return "filter: session, program and user are strings";
		*into[i] = json_string_value(value);
	}
	json_t *after = json_object_get(object, "after"), *limit = json_object_get(object, "limit");
	known += (size_t)(after != NULL) + (size_t)(limit != NULL);
	if ((after != NULL && !json_is_integer(after)) || (limit != NULL && !json_is_integer(limit)))
		return "filter: after (unix seconds) and limit are whole numbers";
	filter->after = json_integer_value(after);
	if (limit != NULL && json_integer_value(limit) < INDEX_LIST_MAX)
		filter->limit = json_integer_value(limit);
	if (filter->limit < 1)
		return "filter: limit is at least 1";
	return known == json_object_size(object)
	           ? NULL
	           : "filter: known keys are session, program, user, after, limit";
}

/* Ids are matched by prefix ('g' sorts behind every hex digit and '-'). One row more than asked for is read,
 * to tell whether there is more. */
static sqlite3_stmt *list_statement(struct index *index, const struct filter *filter, uint32_t offset)
{
	char sql[1024];
	sqlite3_stmt *s = NULL;

	snprintf(sql, sizeof(sql),
	    "SELECT " COLUMNS
	    " FROM programs WHERE started_at >= ?4%s%s%s ORDER BY started_at DESC, rowid DESC"
	    " LIMIT ?5 OFFSET ?6",
	    filter->session == NULL ? "" : " AND session_id BETWEEN ?1 AND ?1 || 'g'",
	    filter->program == NULL ? "" : " AND program_id BETWEEN ?2 AND ?2 || 'g'",
	    filter->user == NULL ? "" : " AND ?3 IN (user_id, user_email, username)");
	if (sqlite3_prepare_v2(index->db, sql, -1, &s, NULL) != SQLITE_OK) {
		(void)failed(index, "cannot be listed");
		return NULL;
	}
	if (filter->session != NULL)
		sqlite3_bind_text(s, 1, filter->session, -1, SQLITE_STATIC);
	if (filter->program != NULL)
		sqlite3_bind_text(s, 2, filter->program, -1, SQLITE_STATIC);
	if (filter->user != NULL)
		sqlite3_bind_text(s, 3, filter->user, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, filter->after);
	sqlite3_bind_int64(s, 5, filter->limit + 1);
	sqlite3_bind_int64(s, 6, offset);
	return s;
}

/* A row as the session-log object with the recorder's own columns. */
static char *row_text(sqlite3_stmt *s, index_live_fn live, void *context)
{
	struct index_row row;
	const char *log = (const char *)sqlite3_column_text(s, 12);
	json_t *object = json_loads(log == NULL ? "{}" : log, 0, NULL);

	read_row(s, &row);
	if (row.open)
		live(context, row.program_id, &row.blocks, &row.file_size);
	if (object == NULL)
		object = json_object();
	(void)json_object_set_new(object, "ProgramID", json_string(row.program_id));
	(void)json_object_set_new(object, "SessionID", json_string(row.session_id));
	(void)json_object_set_new(object, "live", json_boolean(row.open));
	(void)json_object_set_new(object, "recorded", json_boolean(row.recorded));
	(void)json_object_set_new(object, "strict", json_boolean(row.strict));
	(void)json_object_set_new(object, "started_at", json_integer((json_int_t)row.started_at));
	(void)json_object_set_new(
	    object, "finished_at", row.open ? json_null() : json_integer((json_int_t)row.finished_at));
	(void)json_object_set_new(object, "blocks", json_integer((json_int_t)row.blocks));
	(void)json_object_set_new(object, "file_size", json_integer((json_int_t)row.file_size));
	(void)json_object_set_new(object, "close_reason", json_string(row.close_reason));
	char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(object);
	return text;
}

/* Joins rows into `array` (of `room` bytes with its NUL) until they, the limit or the room end. */
static bool join_rows(
    sqlite3_stmt *s, const struct filter *filter, char *array, size_t room, index_live_fn live, void *context)
{
	size_t used = 0;
	json_int_t count = 0;
	bool more = false;

	array[used++] = '[';
	while (sqlite3_step(s) == SQLITE_ROW) {
		more = count == filter->limit;
		char *text = more ? NULL : row_text(s, live, context);
		size_t len = text == NULL ? 0 : strlen(text);
		more = more || used + len + 3 > room;
		if (!more && len > 0) {
			if (count++ > 0)
				array[used++] = ',';
			memcpy(array + used, text, len);
			used += len;
		}
		free(text);
		if (more)
			break;
	}
	array[used++] = ']';
	array[used] = '\0';
	return more;
}

const char *index_list(struct index *index, struct wire_span filter_text, uint32_t offset, size_t room,
    index_live_fn live, void *context, char **rows, bool *more)
{
	struct filter filter;
	json_t *object = filter_text.len == 0
	                     ? json_object()
	                     : json_loadb((const char *)filter_text.at, filter_text.len, 0, NULL);
	const char *fault =
	    json_is_object(object) ? read_filter(object, &filter) : "filter: it is no JSON object";

	*rows = NULL;
	if (fault == NULL) {
		sqlite3_stmt *s = list_statement(index, &filter, offset);
		*rows = s == NULL ? NULL : malloc(room);
		if (*rows == NULL)
			fault = "the index cannot be read";
		else
			*more = join_rows(s, &filter, *rows, room, live, context);
		sqlite3_finalize(s);
	}
	json_decref(object);
	return fault;
}
