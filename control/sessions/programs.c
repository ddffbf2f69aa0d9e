/* SPDX-License-Identifier: Apache-2.0 */
/* What workers tell of programs (channels), and the keeper's signatures that make recordings hard to forge.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"

#define EVIDENCE_TEXT_MAX 1024
#define EVENT_DETAIL_MAX 8192

struct evidence {
	uint32_t worker;
	char program_id[SESSION_ID_SIZE];
	char kind[8]; /* "begin" or "end" */
	char text[EVIDENCE_TEXT_MAX];
};

/* -- evidence ---------------------------------------------------------------------------------------------
 */

static void evidence_signed(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct evidence *evidence = argument;
	struct rpc_key_evidence_reply reply;

	if (error != 0 || !rpc_get_key_evidence_reply(body, &reply) || reply.error.len > 0)
		rpc_log(RPC_LOG_ERROR, "program %s: no evidence of its %s: %s", evidence->program_id,
		    evidence->kind, error != 0 ? strerror(-error) : "the keeper refused");
	else
		(void)database_run(&control->db,
		    "INSERT OR REPLACE INTO evidence(program_id, kind, text, signature, public_key, "
		    "signed_at)"
		    " VALUES(?, ?, ?, ?, ?, ?)",
		    "tttbbi", evidence->program_id, evidence->kind, evidence->text, reply.signature,
		    reply.public_key, (int64_t)time(NULL));
	control->sessions.questions[evidence->worker]--;
	free(evidence);
}

/* NULL without memory, or where the worker has asked its share already. */
static struct evidence *evidence_of(struct control *control, const struct session *session)
{
	uint32_t share = CALLS_MAX / 2 / (control->peers.worker_count + 1);
	uint32_t *questions = &control->sessions.questions[session->worker];
	struct evidence *evidence = *questions >= share ? NULL : calloc(1, sizeof(*evidence));

	if (evidence == NULL)
		return NULL;
	++*questions;
	evidence->worker = session->worker;
	return evidence;
}

/* Takes `evidence` over. It may wait long: nobody stands and waits for it. */
static void sign_evidence(struct control *control, struct evidence *evidence)
{
	struct call_options options =
	    keeper_call(control, RPC_KEY_EVIDENCE, RPC_KEY_EVIDENCE_REPLY, evidence_signed, evidence);

	options.timeout_ms = EVIDENCE_TIMEOUT_MS;
	options.away_ms = 0; /* and waits all that time for a keeper that is away */
	CALL(&options, key_evidence, .text = wire_span_of(evidence->text));
}

static void hex(struct wire_span bytes, char *text)
{
	for (size_t i = 0; i < bytes.len; i++)
		sprintf(text + 2 * i, "%02x", bytes.at[i]);
	text[2 * bytes.len] = '\0';
}

/* The canonical text: one "name value" a line, in this order, each line ended. */
static void evidence_of_begin(struct control *control, const struct session *session, const char *program_id,
    const struct rpc_ses_program *program)
{
	struct evidence *evidence = evidence_of(control, session);
	char key[65];

	if (evidence == NULL)
		return;
	hex(program->encapsulated_key, key);
	snprintf(evidence->program_id, sizeof(evidence->program_id), "%s", program_id);
	strcpy(evidence->kind, "begin");
	snprintf(evidence->text, sizeof(evidence->text),
	    "portreeve-evidence-v1 begin\nsession %s\nprogram %s\nencapsulated %s\nstarted %llu\nuser "
	    "%s\nlogin %s\n"
	    "target %s\n",
	    session->session_id, program_id, key, (unsigned long long)program->started_at, session->user,
	    session->login, session->target_id);
	sign_evidence(control, evidence);
}

static void evidence_of_end(struct control *control, const struct session *session, const char *program_id,
    const struct rpc_ses_program_end *end)
{
	struct evidence *evidence = evidence_of(control, session);
	char chain[65];

	if (evidence == NULL)
		return;
	hex(end->chain, chain);
	snprintf(evidence->program_id, sizeof(evidence->program_id), "%s", program_id);
	strcpy(evidence->kind, "end");
	snprintf(evidence->text, sizeof(evidence->text),
	    "portreeve-evidence-v1 end\nsession %s\nprogram %s\nchain %s\nblocks %llu\nlost %llu\nfinished "
	    "%lld\n",
	    session->session_id, program_id, chain, (unsigned long long)end->blocks,
	    (unsigned long long)end->lost_records, (long long)time(NULL));
	sign_evidence(control, evidence);
}

/* -- PROGRAM ----------------------------------------------------------------------------------------------
 */

static bool take_id(struct wire_span span, char id[SESSION_ID_SIZE])
{
	return wire_span_copy(span, id, SESSION_ID_SIZE) && strlen(id) >= 8 &&
	       strspn(id, "0123456789abcdef-") == strlen(id);
}

/* The subsystem's name says what was run and is logged; an exec's command line only where the rule allows it.
 */
static bool may_log(const struct session *session, const char *type)
{
	return strcmp(type, "exec") != 0 || (session->permits & RPC_PERMIT_LOG_EXEC) != 0;
}

int session_on_program(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_program program;
	char id[SESSION_ID_SIZE], type[64], command[1024] = "", destination[320], originator[320];

	if (!rpc_get_ses_program(message->body, &program) || !take_id(program.program_id, id) ||
	    (program.encapsulated_key.len != 0 && program.encapsulated_key.len != 32))
		return -EPROTO;
	struct session *session = session_find(control, link->index, program.flow);
	if (session == NULL || !session->granted || session->programs >= SESSION_PROGRAMS_MAX)
		return 0;
	session_text(program.type, type, sizeof(type));
	if (may_log(session, type))
		session_text(program.command, command, sizeof(command));
	bool recorded = program.encapsulated_key.len > 0;
	session_text(program.destination, destination, sizeof(destination));
	session_text(program.originator, originator, sizeof(originator));
	session->programs++;
	if (!history_program(control, session,
	        &(struct history_program){
	            .id = id,
	            .type = type,
	            .command = command,
	            .destination = destination,
	            .originator = originator,
	            .started_at = program.started_at > INT64_MAX ? 0 : (int64_t)program.started_at,
	            .recorded = recorded,
	        }))
		return 0;
	if (recorded)
		evidence_of_begin(control, session, id, &program);
	return 0;
}

int session_on_program_end(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_program_end end;
	char id[SESSION_ID_SIZE], error[256];

	if (!rpc_get_ses_program_end(message->body, &end) || !take_id(end.program_id, id) ||
	    (end.chain.len != 0 && end.chain.len != 32))
		return -EPROTO;
	struct session *session = session_find(control, link->index, end.flow);
	session_text(end.error, error, sizeof(error));
	if (session != NULL && session->granted && history_program_end(control, session, id, &end, error)) {
		if (end.chain.len == 32)
			evidence_of_end(control, session, id, &end);
	} else if (strcmp(error, "recording_failed") == 0) {
		/* What the recorder answered when the program, or its session as well, had ended already. */
		history_program_broken(control, link->index, end.flow, id);
	}
	return 0;
}

/* -- EVENT ------------------------------------------------------------------------------------------------
 */

/* What a worker may tell of its sessions; all other names in the log are control's own to write. */
static bool event_is_workers(const char *event)
{
	static const char *const workers[] = {"auth", "origin.auth", "exec", "subsystem", "port",
	    "x11-forward", "scp", "sftp", "resize", "refused", "notice"};

	for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++)
		if (strcmp(event, workers[i]) == 0)
			return true;
	return false;
}

/* The origin let somebody in whom nothing else told (identity ORIGIN): how, the worker says. Without the rule
 * (after RESUME) nobody can tell what they may. */
static bool let_in_by_origin(struct session *session, const json_t *detail)
{
	const char *method = json_string_value(json_object_get(detail, "method"));

	return session->identity == RPC_IDENTITY_ORIGIN && session->rule != NULL && session->to_origin &&
	       !session->granted && !session->by_origin && json_is_true(json_object_get(detail, "success")) &&
	       method != NULL &&
	       (strcmp(method, "password") == 0 || strcmp(method, "keyboard-interactive") == 0);
}

bool session_let_in_by(const json_t *detail)
{
	return json_is_true(json_object_get(detail, "success")) &&
	       !json_is_true(json_object_get(detail, "partial"));
}

/* What of a worker's event may stand in the log. False: nothing. */
static bool keep_detail(struct control *control, struct session *session, const char *event, json_t *detail)
{
	/* That somebody was let in is for control to say; that they were not, the worker knows best. */
	if (strcmp(event, "auth") == 0) {
		/* Which keys were offered is not what the worker says at the end. */
		offers_put(&session->offered, detail);
		if (let_in_by_origin(session, detail)) {
			session->by_origin = true;
			/* A second factor is theirs to show now, and begins it. RESUME goes by the worker's
			 * `origin.auth` of before. */
			if (session->rule->ssh->second_factor == RPC_FACTOR_NONE)
				session_start_by_origin(control, session);
			else
				database_batch_settle(&control->db);
			return true;
		}
		if (session->granted || !json_is_false(json_object_get(detail, "success")))
			return false;
		session->failure_told = true;
	}
	if (strcmp(event, "origin.auth") == 0 && session_let_in_by(detail))
		session->at_origin = true;
	/* A transfer may have been asked for by a command line, too. */
	const char *type = json_string_value(json_object_get(detail, "type"));
	bool of_subsystem = strcmp(event, "exec") != 0 && type != NULL && strcmp(type, "subsystem") == 0;
	if (!of_subsystem && !may_log(session, "exec"))
		(void)json_object_del(detail, "command");
	return true;
}

/* NULL: none. What is too long is not kept, but that it was there is. */
static json_t *read_detail(struct wire_span text)
{
	if (text.len > EVENT_DETAIL_MAX)
		return json_pack("{s:b, s:I}", "cut", 1, "bytes", (json_int_t)text.len);
	return text.len == 0 ? NULL : json_loadb((const char *)text.at, text.len, 0, NULL);
}

int session_on_event(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_event told;
	char event[64];

	if (!rpc_get_ses_event(message->body, &told) || !wire_span_copy(told.event, event, sizeof(event)) ||
	    event[0] == '\0' || strspn(event, "abcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(event))
		return -EPROTO;
	struct session *session = session_find(control, link->index, told.flow);
	if (session == NULL || !event_is_workers(event))
		return 0;
	json_t *detail = read_detail(told.detail);
	if (detail != NULL && !json_is_object(detail)) {
		json_decref(detail);
		return -EPROTO;
	}
	if (!keep_detail(control, session, event, detail)) {
		json_decref(detail);
		return 0;
	}
	session_event(control, session, event, detail);
	return 0;
}
