/* SPDX-License-Identifier: Apache-2.0 */
/* How sessions begin, end, are lost, are killed, and survive a restart of this process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "control/sessions/origin_key.h"

const char session_busy[] =
    "portreeve: too many connections to new addresses at once; please try again in a moment";

static bool copy_addresses(struct session *session, struct wire_span client, struct wire_span server)
{
	if ((client.len != 4 && client.len != 16) || server.len != client.len)
		return false;
	session->addr_len = (uint8_t)client.len;
	memcpy(session->client_addr, client.at, client.len);
	memcpy(session->server_addr, server.at, server.len);
	return true;
}

/* The rule as it was when the connection was taken. */
static void find_rule(struct control *control, struct session *session, uint64_t generation, uint32_t index)
{
	struct policy *policy = policies_generation(control, generation);

	if (policy == NULL)
		return;
	if (index >= policy->rule_count || policy->rules[index].action != RPC_ACTION_AUDIT_SSH) {
		policy_release(policy);
		return;
	}
	session->policy = policy;
	session->rule = &policy->rules[index];
	snprintf(session->rule_name, sizeof(session->rule_name), "%s", session->rule->name);
}

static void refuse_begin(struct control *control, struct peer *worker, uint32_t id, const char *why)
{
	control->sessions.refused++;
	PEER_REPLY(worker, id, SES_BEGIN_REPLY, ses_begin_reply, .error = wire_span_of(why));
}

static bool too_many_from_source(const struct session *session)
{
	uint32_t limit = session->rule->ssh->sessions_per_source;

	return limit > 0 && session->by_source != NULL && session->by_source->count > limit;
}

int session_on_begin(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct peer *worker = &control->peers.workers[link->index];
	struct rpc_ses_begin begin;
	char algorithms[LEGACY_LIST_MAX], client_legacy[LEGACY_LIST_MAX], origin_legacy[LEGACY_LIST_MAX];

	if (!rpc_get_ses_begin(message->body, &begin))
		return -EPROTO;
	struct session *session = session_find(control, link->index, begin.flow);
	if (session != NULL) /* the worker forgot to say that the one before is over */
		session_end(control, session, "lost", 0, 0);
	session = session_create(control, link->index, begin.flow);
	if (session == NULL) {
		refuse_begin(control, worker, message->id, "portreeve: too many sessions; try again later");
		return 0;
	}
	if (!copy_addresses(session, begin.client_addr, begin.server_addr)) {
		session_forget(control, session);
		return -EPROTO;
	}
	find_rule(control, session, begin.generation, begin.rule);
	if (session->rule == NULL) {
		session_forget(control, session);
		refuse_begin(control, worker, message->id,
		    "portreeve: the policy has changed since this connection was made; please connect again");
		return 0;
	}
	session->vlan = begin.vlan;
	session_count_source(control, session);
	if (too_many_from_source(session)) {
		bool four = session->addr_len == 4;
		control->sessions.limited_by_source++;
		session_forget(control, session);
		refuse_begin(control, worker, message->id,
		    four ? "portreeve: too many connections from your address at once; end "
		           "one of them, or try "
		           "again later"
		         : "portreeve: too many connections from your network (its IPv6 "
		           "/64) at once; end one of "
		           "them, or try again later");
		return 0;
	}
	session->client_port = begin.client_port;
	session->server_port = begin.server_port;
	session->link = begin.link;
	session->started_at = time(NULL);
	uuid_make(session->session_id);
	target_address(begin.server_addr, begin.server_port, begin.vlan, session->address);
	if (!origin_key_algorithms(&control->db, &control->known, session->address,
	        session->rule->ssh->host_keys, algorithms, sizeof(algorithms))) {
		control->sessions.unlooked++;
		session_forget(control, session);
		refuse_begin(control, worker, message->id, session_busy);
		return 0;
	}
	legacy_list(session->rule->ssh->legacy_client, client_legacy);
	legacy_list(session->rule->ssh->legacy_origin, origin_legacy);
	history_begin(control, session);
	control->sessions.begun++;
	PEER_REPLY(worker, message->id, SES_BEGIN_REPLY, ses_begin_reply,
	    .session_id = wire_span_of(session->session_id), .rule_name = wire_span_of(session->rule_name),
	    .host_key_algs = wire_span_of(algorithms), .login_grace_s = session->rule->ssh->login_grace_s,
	    .auth_attempts = session->rule->ssh->auth_attempts, .identities = session->rule->ssh->identities,
	    .client_legacy = wire_span_of(client_legacy), .origin_legacy = wire_span_of(origin_legacy),
	    .notice = wire_span_of(session->rule->ssh->notice == NULL ? "" : session->rule->ssh->notice));
	return 0;
}

/* -- the end ----------------------------------------------------------------------------------------------
 */

void session_end(struct control *control, struct session *session, const char *reason,
    uint64_t bytes_from_client, uint64_t bytes_from_origin)
{
	if (session->granted) {
		session_event(control, session, "session.data",
		    json_pack("{s:I, s:I}", "tx", (json_int_t)bytes_from_client, "rx",
		        (json_int_t)bytes_from_origin));
		session_event(control, session, "session.end",
		    json_pack(
		        "{s:s, s:I}", "close_reason", reason, "programs", (json_int_t)session->programs));
	} else {
		/* Nobody was let in: why stands here, once a connection. */
		if (session->refusal[0] != '\0' && !session->failure_told) {
			json_t *detail = json_pack("{s:b, s:s}", "success", 0, "error", session->refusal);
			offers_put(&session->offered, detail);
			session_event(control, session, "auth", detail);
		}
		session_event(control, session, "client.disconnect", json_pack("{s:s}", "reason", reason));
	}
	history_end(control, session, reason, bytes_from_client, bytes_from_origin);
	session_forget_target(control, session);
	control->sessions.ended++;
	session_forget(control, session);
}

int session_on_end(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_end end;
	char reason[64] = "";

	if (!rpc_get_ses_end(message->body, &end))
		return -EPROTO;
	struct session *session = session_find(control, link->index, end.flow);
	if (session == NULL)
		return 0; /* lost already, or refused at its beginning */
	session_text(end.reason, reason, sizeof(reason));
	session_end(control, session, session->killed ? "killed" : reason, end.bytes_from_client,
	    end.bytes_from_origin);
	return 0;
}

void sessions_worker_lost(struct control *control, uint32_t worker)
{
	struct session *session = control->sessions.first;
	unsigned lost = 0;

	while (session != NULL) {
		struct session *next = session->next;
		if (session->worker == worker) {
			session_end(control, session, "worker_lost", 0, 0);
			control->sessions.lost++;
			lost++;
		}
		session = next;
	}
	if (lost > 0)
		rpc_log(RPC_LOG_WARNING, "worker %u is gone and %u sessions with it", worker, lost);
}

bool session_kill(struct control *control, struct session *session, const char *reason)
{
	struct peer *worker = &control->peers.workers[session->worker];
	bool told = PEER_SEND(
	    worker, SES_KILL, ses_kill, 0, 0, .flow = session->flow, .reason = wire_span_of(reason));

	session->killed = session->killed || told;
	return told;
}

/* -- restarts ---------------------------------------------------------------------------------------------
 */

struct wire_span session_seed(const struct session *session)
{
	return (struct wire_span){session->host_seed, session->has_seed ? sizeof(session->host_seed) : 0};
}

void session_tell_keeper(struct control *control, const struct session *session, bool live)
{
	struct peer *keeper = &control->peers.keeper;

	if (peer_up(keeper)) /* else it hears of all sessions when it comes, before it is asked */
		PEER_SEND(keeper, KEY_SESSION, key_session, 0, 0,
		    .session_id = wire_span_of(session->session_id),
		    .target_id = wire_span_of(session->target_id), .seed = session_seed(session),
		    .live = live);
}

void sessions_tell_keeper(struct control *control)
{
	for (struct session *session = control->sessions.first; session != NULL; session = session->next)
		if (session->target_id[0] != '\0')
			session_tell_keeper(control, session, true);
}

/* Was its worker let in at the origin already? */
static bool was_at_origin(struct control *control, const struct session *session)
{
	sqlite3_stmt *row = database_query(&control->db,
	    "SELECT detail FROM events WHERE session_id = ? AND event = 'origin.auth'", "t",
	    session->session_id);
	bool in = false;

	while (database_row(row)) {
		json_t *detail = json_loads(database_text(row, 0), 0, NULL);
		in = in || session_let_in_by(detail);
		json_decref(detail);
	}
	return in;
}

/* What the database says of a session that a worker claims to go on with. False: it knows nothing of it as
 * this worker's, live, under this number. */
static bool restore(struct control *control, struct session *session)
{
	sqlite3_stmt *row = database_query(&control->db,
	    "SELECT user, login, target_id, granted, permits, force_command, rule, started_at, generation, "
	    "rule_index, identifier, identity, came_with, host_seed, to_origin, factor_shown, user_id "
	    "FROM sessions WHERE session_id = ? AND worker = ? AND flow = ? AND finished_at IS NULL",
	    "tii", session->session_id, (int64_t)session->worker, (int64_t)session->flow);
	struct user user;

	if (!database_row(row))
		return false;
	snprintf(session->user, sizeof(session->user), "%s", database_text(row, 0));
	snprintf(session->login, sizeof(session->login), "%s", database_text(row, 1));
	snprintf(session->target_id, sizeof(session->target_id), "%s", database_text(row, 2));
	session->granted = sqlite3_column_int(row, 3) != 0;
	session->permits = session->key_permits = (uint32_t)sqlite3_column_int64(row, 4);
	const char *forced = database_text(row, 5);
	if (forced[0] != '\0' && (session->force_command = strdup(forced)) == NULL) {
		database_stop(row);
		return false; /* without it anything would be allowed */
	}
	snprintf(session->rule_name, sizeof(session->rule_name), "%s", database_text(row, 6));
	session->started_at = sqlite3_column_int64(row, 7);
	uint64_t generation = (uint64_t)sqlite3_column_int64(row, 8);
	int64_t rule = sqlite3_column_int64(row, 9);
	session->identity = (uint32_t)sqlite3_column_int64(row, 11);
	session_keep_key(session, database_blob(row, 12));
	struct wire_span seed = database_blob(row, 13);
	session->has_seed = seed.len == sizeof(session->host_seed);
	if (session->has_seed)
		memcpy(session->host_seed, seed.at, seed.len);
	session->to_origin = sqlite3_column_int(row, 14) != 0;
	session->factor_shown = sqlite3_column_int(row, 15) != 0;
	snprintf(session->user_id, sizeof(session->user_id), "%s", database_text(row, 16));
	struct wire_span identifier = database_blob(row, 10);
	if (identifier.len > 0 && identifier.len <= sizeof(session->identifier)) {
		memcpy(session->identifier, identifier.at, identifier.len);
		session->identifier_len = (uint8_t)identifier.len;
	}
	database_stop(row);
	session->at_origin = was_at_origin(control, session);
	if (rule >= 0 && rule <= UINT32_MAX)
		find_rule(control, session, generation, (uint32_t)rule);
	/* Where no code is to follow, that it was let in is what its worker says next. */
	session->by_origin = session->at_origin && session->to_origin &&
	                     session->identity == RPC_IDENTITY_ORIGIN && session->rule != NULL &&
	                     session->rule->ssh->second_factor != RPC_FACTOR_NONE;
	if (users_find(&control->db, session->user, &user)) {
		if (strcmp(user.user_id, session->user_id) == 0) /* else the name is another's now */
			snprintf(session->email, sizeof(session->email), "%s", user.email);
		user_free(&user);
	}
	return true;
}

/* There is a session of that id, be it another worker's or over. */
static bool is_another(struct control *control, const char *session_id)
{
	sqlite3_stmt *row =
	    database_query(&control->db, "SELECT 1 FROM sessions WHERE session_id = ?", "t", session_id);

	if (!database_row(row))
		return false;
	database_stop(row);
	return true;
}

static bool is_id(const char *text)
{
	return text[0] != '\0' && strspn(text, "0123456789abcdef-") == strlen(text);
}

/* The database was lost: the session is listed as the worker tells it, and gets nothing signed any more. */
static void believe(struct session *session, const struct rpc_ses_resume *resume)
{
	session_text(resume->rule_name, session->rule_name, sizeof(session->rule_name));
	session_text(resume->user, session->user, sizeof(session->user));
	session_text(resume->login, session->login, sizeof(session->login));
	session->started_at = resume->started_at > INT64_MAX ? 0 : (int64_t)resume->started_at;
}

/* What a worker goes on with is what it began here, or what nobody knows. Whose it is, under which rule it
 * runs and what it may stand in the database, not in the message. False: it is told to end it. */
static bool take_up(struct control *control, struct session *session, const struct rpc_ses_resume *resume)
{
	if (restore(control, session))
		return true;
	rpc_log(RPC_LOG_WARNING, "worker %u goes on with session %s, which control.db does not know as live",
	    session->worker, session->session_id);
	if (is_another(control, session->session_id)) {
		(void)session_kill(control, session, "portreeve: this session is over");
		return false;
	}
	believe(session, resume);
	history_begin(control, session);
	return true;
}

int session_on_resume(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_resume resume;

	if (!rpc_get_ses_resume(message->body, &resume))
		return -EPROTO;
	if (session_find(control, link->index, resume.flow) != NULL)
		return 0; /* told twice */
	struct session *session = session_create(control, link->index, resume.flow);
	if (session == NULL)
		return 0;
	if (!wire_span_copy(resume.session_id, session->session_id, sizeof(session->session_id)) ||
	    !is_id(session->session_id) || !copy_addresses(session, resume.client_addr, resume.server_addr)) {
		session_forget(control, session);
		return -EPROTO;
	}
	session->client_port = resume.client_port;
	session->server_port = resume.server_port;
	session->vlan = resume.vlan;
	session->link = resume.link;
	target_address(resume.server_addr, resume.server_port, resume.vlan, session->address);
	if (!take_up(control, session, &resume)) {
		session_forget(control, session);
		return 0;
	}
	session_count_source(control, session);
	if (session->granted)
		session_count_user(control, session);
	control->sessions.resumed++;
	if (session->target_id[0] != '\0')
		session_tell_keeper(control, session, true);
	return 0;
}

void sessions_settle_unclaimed(struct control *control)
{
	sqlite3_stmt *row = database_query(
	    &control->db, "SELECT session_id, worker, flow FROM sessions WHERE finished_at IS NULL", "");
	struct words unclaimed = {0};
	bool all = true, good = true;

	while (database_row(row))
		if (session_find(control, (uint32_t)sqlite3_column_int64(row, 1),
		        (uint64_t)sqlite3_column_int64(row, 2)) == NULL)
			all = words_add(&unclaimed, database_text(row, 0)) && all;
	for (size_t i = 0; i < unclaimed.count && good; i++)
		good = database_run(&control->db,
		    "UPDATE sessions SET finished_at = ?, close_reason = 'worker_lost', came_with = NULL "
		    "WHERE "
		    "session_id = ?",
		    "it", (int64_t)time(NULL), unclaimed.at[i]);
	if (unclaimed.count > 0)
		rpc_log(RPC_LOG_WARNING,
		    "%zu sessions of before the restart were not claimed by any worker: worker_lost",
		    unclaimed.count);
	bool again = !all && good && unclaimed.count > 0; /* more than a list holds */
	words_free(&unclaimed);
	if (again)
		sessions_settle_unclaimed(control);
}
