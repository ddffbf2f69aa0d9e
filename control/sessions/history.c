/* SPDX-License-Identifier: Apache-2.0 */
/* What stays of sessions: rows in control.db for `sessions` and `session show`, lines in audit.jsonl. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"

#define HISTORY_DAYS 90
#define HISTORY_SESSIONS_MAX 200000
#define HISTORY_REFUSED_MAX 50000 /* of those whom nobody let in */

void session_endpoint(const uint8_t *addr, uint8_t len, uint16_t port, char text[64])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	inet_ntop(len == 4 ? AF_INET : AF_INET6, addr, ip, sizeof(ip));
	snprintf(text, 64, len == 4 ? "%s:%u" : "[%s]:%u", ip, port);
}

void session_text(struct wire_span span, char *text, size_t size)
{
	size_t len = span.len < size ? span.len : size - 1;

	for (size_t i = 0; i < len; i++)
		text[i] = span.at[i] >= 0x20 && span.at[i] != 0x7f ? (char)span.at[i] : ' ';
	text[len] = '\0';
	/* Not valid UTF-8 (or cut within a character): jansson would refuse it. */
	json_t *probe = json_string(text);
	if (probe == NULL)
		for (size_t i = 0; i < len; i++)
			if ((text[i] & 0x80) != 0)
				text[i] = '?';
	json_decref(probe);
}

/* -- events -----------------------------------------------------------------------------------------------
 */

/* Who was not let in leaves the name that they wanted to be. */
static const char *login_of(const struct session *session)
{
	return session->login[0] != '\0' ? session->login : session->asked_login;
}

static json_t *event_base(const struct session *session)
{
	char client[64], server[64];

	session_endpoint(session->client_addr, session->addr_len, session->client_port, client);
	session_endpoint(session->server_addr, session->addr_len, session->server_port, server);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "sid", session->session_id, "user",
	    session->user, "login", login_of(session), "addr.remote", client, "addr.local", server,
	    "server_id", session->target_id, "rule", session->rule_name);
}

/* The audit log is kept by size: what strangers do before they are let in, and what one session (or a worker
 * in its name) tells, is bounded, so that it cannot push out what was written before. */
static bool may_audit(struct control *control, struct session *session, size_t detail_bytes)
{
	struct sessions *sessions = &control->sessions;
	int64_t now = time(NULL);

	if (session->granted)
		return session->audited++ < SESSION_AUDIT_MAX;
	if (now != sessions->strangers_at) {
		int64_t more = (now - sessions->strangers_at) * STRANGERS_AUDIT_PER_S;
		bool full = more < 0 || more > STRANGERS_AUDIT_BURST - sessions->strangers_room;
		sessions->strangers_room = full ? STRANGERS_AUDIT_BURST : sessions->strangers_room + more;
		sessions->strangers_at = now;
	}
	if (sessions->strangers_room == 0) {
		if (sessions->unaudited++ % STRANGERS_AUDIT_BURST == 0)
			rpc_log(RPC_LOG_WARNING,
			    "more connections fail than the audit log takes: %u in all are only counted",
			    (unsigned)sessions->unaudited);
		return false;
	}
	int64_t lines = 1 + (int64_t)(detail_bytes / STRANGERS_AUDIT_LINE);
	sessions->strangers_room -= lines < sessions->strangers_room ? lines : sessions->strangers_room;
	return true;
}

void session_event(struct control *control, struct session *session, const char *event, json_t *detail)
{
	char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);
	bool audited = may_audit(control, session, text == NULL ? 0 : strlen(text));

	if (session->events < SESSION_EVENTS_MAX) {
		(void)database_run(&control->db,
		    "INSERT INTO events(session_id, at, event, detail) VALUES(?, ?, ?, ?)", "titt",
		    session->session_id, (int64_t)time(NULL), event, text == NULL ? "{}" : text);
		session->events++;
	}
	free(text);
	if (!audited) {
		json_decref(detail);
		return;
	}
	json_t *fields = event_base(session);
	if (detail != NULL)
		(void)json_object_update_missing(fields, detail);
	json_decref(detail);
	audit_write(&control->audit, event, fields);
}

/* -- rows -------------------------------------------------------------------------------------------------
 */

/* What RESUME is believed by stands in the database before the worker is answered: else a session that was
 * being logged in when this process died would be known to its successor as it was a moment before, or not at
 * all. The rest can wait for the batch. */
static void settle(struct control *control)
{
	database_batch_settle(&control->db);
}

void history_begin(struct control *control, const struct session *session)
{
	char client[64], server[64];

	session_endpoint(session->client_addr, session->addr_len, session->client_port, client);
	session_endpoint(session->server_addr, session->addr_len, session->server_port, server);
	(void)database_run(&control->db,
	    "INSERT OR IGNORE INTO sessions(session_id, client, server, rule, rule_index, generation, "
	    "worker, flow,"
	    " started_at) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    "ttttiiiii", session->session_id, client, server, session->rule_name,
	    (int64_t)(session->rule == NULL ? -1 : session->rule - session->policy->rules),
	    (int64_t)(session->policy == NULL ? 0 : session->policy->generation), (int64_t)session->worker,
	    (int64_t)session->flow, session->started_at);
	settle(control);
}

bool history_identify(struct control *control, const struct session *session)
{
	struct wire_span identifier = {session->identifier, session->identifier_len};
	sqlite3_stmt *row = database_query(&control->db,
	    "SELECT session_id FROM sessions WHERE identifier = ? AND session_id <> ?", "bt", identifier,
	    session->session_id);

	if (database_row(row)) {
		database_stop(row);
		return false;
	}
	(void)database_run(&control->db, "UPDATE sessions SET identifier = ? WHERE session_id = ?", "bt",
	    identifier, session->session_id);
	settle(control);
	return true;
}

void history_update(struct control *control, const struct session *session)
{
	(void)database_run(&control->db,
	    "UPDATE sessions SET user = ?, user_id = ?, login = ?, target_id = ?, granted = ?, permits = ?,"
	    " force_command = ?, identity = ?, came_with = ?, host_seed = ?, to_origin = ?, factor_shown = ?"
	    " WHERE session_id = ?",
	    "ttttiitibbiit", session->user, session->user_id, session->login, session->target_id,
	    (int64_t)session->granted, (int64_t)(session->granted ? session->permits : session->key_permits),
	    session->force_command == NULL ? "" : session->force_command, (int64_t)session->identity,
	    (struct wire_span){session->came_with, session->came_with_len}, session_seed(session),
	    (int64_t)session->to_origin, (int64_t)session->factor_shown, session->session_id);
	settle(control);
}

void history_end(struct control *control, const struct session *session, const char *reason,
    uint64_t bytes_from_client, uint64_t bytes_from_origin)
{
	int64_t now = time(NULL);

	(void)database_run(&control->db,
	    "UPDATE sessions SET finished_at = ?, close_reason = ?, login = ?, bytes_from_client = ?,"
	    " bytes_from_origin = ?, came_with = NULL WHERE session_id = ?",
	    "ittiit", now, reason, login_of(session), (int64_t)bytes_from_client, (int64_t)bytes_from_origin,
	    session->session_id);
	/* Programs whose end nobody told any more. */
	(void)database_run(&control->db,
	    "UPDATE programs SET finished_at = ?, error = ? WHERE session_id = ? AND finished_at IS NULL",
	    "itt", now, reason, session->session_id);
}

bool history_program(
    struct control *control, const struct session *session, const struct history_program *program)
{
	return database_run(&control->db,
	           "INSERT OR IGNORE INTO programs(program_id, session_id, type, command, destination, "
	           "originator, started_at, recorded)"
	           " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
	           "ttttttii", program->id, session->session_id, program->type, program->command,
	           program->destination, program->originator, program->started_at,
	           (int64_t)program->recorded) &&
	       database_changes(&control->db) > 0;
}

void history_program_broken(struct control *control, uint32_t worker, uint64_t flow, const char *program_id)
{
	(void)database_run(&control->db,
	    "UPDATE programs SET error = 'recording_failed'"
	    " WHERE program_id = ? AND finished_at IS NOT NULL AND recorded AND error = ''"
	    " AND EXISTS (SELECT 1 FROM sessions WHERE sessions.session_id = programs.session_id"
	    " AND worker = ? AND flow = ?)",
	    "tii", program_id, (int64_t)worker, (int64_t)flow);
}

bool history_program_end(struct control *control, const struct session *session, const char *program_id,
    const struct rpc_ses_program_end *end, const char *error)
{
	return database_run(&control->db,
	           "UPDATE programs SET finished_at = ?, blocks = ?, lost_records = ?, bytes_from_client = ?,"
	           " bytes_from_origin = ?, error = ?"
	           " WHERE program_id = ? AND session_id = ? AND finished_at IS NULL",
	           "iiiiittt", (int64_t)time(NULL), (int64_t)end->blocks, (int64_t)end->lost_records,
	           (int64_t)end->bytes_from_client, (int64_t)end->bytes_from_origin, error, program_id,
	           session->session_id) &&
	       database_changes(&control->db) > 0;
}

void history_prune(struct control *control)
{
	(void)database_run(&control->db,
	    "DELETE FROM sessions WHERE finished_at IS NOT NULL AND finished_at < ?", "i",
	    (int64_t)time(NULL) - (int64_t)HISTORY_DAYS * 86400);
	/* Each kind by itself: whoever can connect without being let in must not push out those who were. */
	for (int64_t granted = 0; granted < 2; granted++)
		(void)database_run(&control->db,
		    "DELETE FROM sessions WHERE finished_at IS NOT NULL AND granted = ? AND started_at <"
		    " (SELECT started_at FROM sessions WHERE granted = ? ORDER BY started_at DESC LIMIT 1 "
		    "OFFSET "
		    "?)",
		    "iii", granted, granted, (int64_t)(granted ? HISTORY_SESSIONS_MAX : HISTORY_REFUSED_MAX));
}

/* -- for the socket ---------------------------------------------------------------------------------------
 */

#define SESSION_COLUMNS                                                                                      \
	"session_id, user, login, client, server, target_id, rule, started_at, finished_at, close_reason,"   \
	" bytes_from_client, bytes_from_origin, granted, generation,"                                        \
	" (SELECT count(*) FROM programs WHERE programs.session_id = sessions.session_id)"

static json_t *time_or_null(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL
	           ? json_null()
	           : json_integer(sqlite3_column_int64(row, column));
}

static json_t *session_json(sqlite3_stmt *row)
{
	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:s, s:I, s:I, s:I, s:b, s:I}",
	    "session_id", database_text(row, 0), "live", sqlite3_column_type(row, 8) == SQLITE_NULL, "user",
	    database_text(row, 1), "login", database_text(row, 2), "client", database_text(row, 3), "server",
	    database_text(row, 4), "target_id", database_text(row, 5), "rule", database_text(row, 6),
	    "started_at", (json_int_t)sqlite3_column_int64(row, 7), "finished_at", time_or_null(row, 8),
	    "close_reason", database_text(row, 9), "bytes_from_client",
	    (json_int_t)sqlite3_column_int64(row, 10), "bytes_from_origin",
	    (json_int_t)sqlite3_column_int64(row, 11), "programs", (json_int_t)sqlite3_column_int64(row, 14),
	    "granted", sqlite3_column_int(row, 12), "generation", (json_int_t)sqlite3_column_int64(row, 13));
}

json_t *history_list(struct control *control, bool live_only, int64_t limit, int64_t offset)
{
	sqlite3_stmt *row = live_only
	                        ? database_query(&control->db,
	                              "SELECT " SESSION_COLUMNS " FROM sessions WHERE finished_at IS NULL"
	                              " ORDER BY started_at DESC, rowid DESC LIMIT ? OFFSET ?",
	                              "ii", limit, offset)
	                        : database_query(&control->db,
	                              "SELECT " SESSION_COLUMNS
	                              " FROM sessions ORDER BY started_at DESC, rowid DESC LIMIT ? OFFSET ?",
	                              "ii", limit, offset);
	json_t *list = json_array();

	while (database_row(row))
		json_array_append_new(list, session_json(row));
	return list;
}

static json_t *program_json(sqlite3_stmt *row)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:b, s:I, s:I, s:I, s:I, s:s, s:I}",
	    "program_id", database_text(row, 0), "type", database_text(row, 1), "command",
	    database_text(row, 2), "destination", database_text(row, 3), "originator", database_text(row, 4),
	    "started_at", (json_int_t)sqlite3_column_int64(row, 5), "finished_at", time_or_null(row, 6),
	    "recorded", sqlite3_column_int(row, 7), "bytes_from_client",
	    (json_int_t)sqlite3_column_int64(row, 8), "bytes_from_origin",
	    (json_int_t)sqlite3_column_int64(row, 9), "blocks", (json_int_t)sqlite3_column_int64(row, 10),
	    "lost_records", (json_int_t)sqlite3_column_int64(row, 11), "error", database_text(row, 12),
	    "evidence", (json_int_t)sqlite3_column_int64(row, 13));
}

static json_t *programs_json(struct control *control, const char *session_id)
{
	sqlite3_stmt *row = database_query(&control->db,
	    "SELECT program_id, type, command, destination, originator, started_at, finished_at, recorded,"
	    " bytes_from_client, bytes_from_origin, blocks, lost_records, error,"
	    " (SELECT count(*) FROM evidence WHERE evidence.program_id = programs.program_id)"
	    " FROM programs WHERE session_id = ? ORDER BY rowid",
	    "t", session_id);
	json_t *list = json_array();

	while (database_row(row))
		json_array_append_new(list, program_json(row));
	return list;
}

static json_t *events_json(struct control *control, const char *session_id)
{
	sqlite3_stmt *row = database_query(&control->db,
	    "SELECT at, event, detail FROM events WHERE session_id = ? ORDER BY rowid", "t", session_id);
	json_t *list = json_array();

	while (database_row(row)) {
		json_t *detail = json_loads(database_text(row, 2), 0, NULL);
		json_array_append_new(list,
		    json_pack("{s:I, s:s, s:o}", "time", (json_int_t)sqlite3_column_int64(row, 0), "event",
		        database_text(row, 1), "detail", detail == NULL ? json_object() : detail));
	}
	return list;
}

json_t *history_show(struct control *control, const char *session_id)
{
	sqlite3_stmt *row = database_query(
	    &control->db, "SELECT " SESSION_COLUMNS " FROM sessions WHERE session_id = ?", "t", session_id);

	if (!database_row(row))
		return NULL;
	json_t *object = session_json(row);
	database_stop(row);
	/* The count makes way for the list. */
	(void)json_object_set_new(object, "programs", programs_json(control, session_id));
	(void)json_object_set_new(object, "events", events_json(control, session_id));
	return object;
}

/* `row` selects ids that begin with the prefix, two at most. */
static enum history_match one_of(sqlite3_stmt *row, const char *prefix, char id[SESSION_ID_SIZE])
{
	unsigned found = 0;

	while (database_row(row)) {
		snprintf(id, SESSION_ID_SIZE, "%s", database_text(row, 0));
		found++;
		if (strcmp(id, prefix) == 0) {
			database_stop(row);
			return HISTORY_ONE;
		}
	}
	return found == 0 ? HISTORY_NONE : found == 1 ? HISTORY_ONE : HISTORY_SEVERAL;
}

/* The least text that is greater than all that begin with the prefix: '~' is behind all characters of an id.
 */
static bool prefix_end(const char *prefix, char end[SESSION_ID_SIZE + 1])
{
	size_t len = strlen(prefix);

	if (len < SESSION_ID_PREFIX_MIN || len >= SESSION_ID_SIZE)
		return false;
	memcpy(end, prefix, len);
	end[len] = '~';
	end[len + 1] = '\0';
	return true;
}

enum history_match history_find_session(struct control *control, const char *prefix, char id[SESSION_ID_SIZE])
{
	char end[SESSION_ID_SIZE + 1];

	if (!prefix_end(prefix, end))
		return HISTORY_NONE;
	return one_of(database_query(&control->db,
	                  "SELECT session_id FROM sessions WHERE session_id >= ? AND session_id < ? LIMIT 2",
	                  "tt", prefix, end),
	    prefix, id);
}

enum history_match history_find_program(struct control *control, const char *prefix, char id[SESSION_ID_SIZE])
{
	char end[SESSION_ID_SIZE + 1];

	if (!prefix_end(prefix, end))
		return HISTORY_NONE;
	return one_of(database_query(&control->db,
	                  "SELECT program_id FROM programs WHERE program_id >= ? AND program_id < ? LIMIT 2",
	                  "tt", prefix, end),
	    prefix, id);
}

bool history_program_number(
    struct control *control, const char *session_id, int64_t number, char id[SESSION_ID_SIZE])
{
	sqlite3_stmt *row = database_query(&control->db,
	    "SELECT program_id FROM programs WHERE session_id = ? ORDER BY rowid LIMIT 1 OFFSET ?", "ti",
	    session_id, number - 1);

	if (number < 1 || !database_row(row))
		return false;
	snprintf(id, SESSION_ID_SIZE, "%s", database_text(row, 0));
	database_stop(row);
	return true;
}
