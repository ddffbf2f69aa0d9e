/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/programs.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sshterm/session_log.h"
#include "sshterm/transfer.h"

#define COMMAND_MAX 2048

#define RESIZE_TOLD_US 1000000

struct program {
	struct program *next, **link; /* live: *link is what points here */
	char id[40];
	char type[CHANNEL_TYPE_MAX];
	char *command; /* only where the rule lets it be logged */
	char *destination, *originator;
	struct transfer transfer;
	struct channel_pty *pty;
	uint64_t started_us, finished_us; /* CLOCK_REALTIME */
	uint64_t close_at_us;             /* CLOCK_MONOTONIC */
	uint64_t resize_told_us;          /* CLOCK_MONOTONIC; 0: never */
	uint64_t bytes[2];
	struct channel_exit exit;
	bool has_exit;
	const char *close_reason;
	struct recording *recording; /* NULL: could not be had */
};

static uint64_t wall_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A random UUID (RFC 9562 section 5.4). */
static void make_id(char out[40])
{
	uint8_t b[16];

	randombytes_buf(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
	    b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static char *log_of(
    const struct programs *programs, const struct program *program, uint64_t session_finished_us)
{
	const struct recording *recording = program->recording;

	return session_log_json(
	    programs->session, &(struct session_log_program){
	                           .program_id = program->id,
	                           .type = program->type,
	                           .command = program->command,
	                           .pty = program->pty,
	                           .destination = program->destination == NULL ? "" : program->destination,
	                           .originator = program->originator == NULL ? "" : program->originator,
	                           .recorded = recording != NULL && recording->content,
	                           .started_us = program->started_us,
	                           .finished_us = program->finished_us,
	                           .session_finished_us = session_finished_us,
	                           .bytes = {program->bytes[0], program->bytes[1]},
	                           .lost_records = recording == NULL ? 0 : recording->header.lost_records,
	                           .exit = program->has_exit ? &program->exit : NULL,
	                           .error = program->exit.error_msg,
	                           .close_reason = program->close_reason == NULL ? "" : program->close_reason,
	                       });
}

/* -- telling control -- */

static void tell_event(struct session *session, const char *event, json_t *detail)
{
	char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);

	/* What cannot be said of it (memory is out) does not take the event with it. */
	session_event(session, event, text == NULL ? "{}" : text);
	free(text);
	json_decref(detail);
}

static void set_clean(json_t *object, const char *key, const char *text)
{
	char clean[COMMAND_MAX];

	session_log_text(clean, sizeof(clean), (const uint8_t *)text, strlen(text));
	json_object_set_new(object, key, json_string(clean));
}

/* Teleport's name of the event with which a program of this type begins, or NULL. */
static const char *event_of(const char *type)
{
	static const struct {
		const char *type, *event;
	} events[] = {{"exec", "exec"}, {"subsystem", "subsystem"}, {"direct-tcpip", "port"},
	    {"forwarded-tcpip", "port"}, {"direct-streamlocal@openssh.com", "port"},
	    {"forwarded-streamlocal@openssh.com", "port"}, {"x11", "x11-forward"}};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strcmp(events[i].type, type) == 0)
			return events[i].event;
	}
	return NULL;
}

static void tell_start(struct programs *programs, const struct program *program)
{
	const struct recording *recording = program->recording;
	bool content = recording != NULL && recording->content;
	const char *event =
	    program->transfer.event != NULL ? program->transfer.event : event_of(program->type);

	session_program(programs->session,
	    &(struct rpc_ses_program){
	        .program_id = wire_span_of(program->id),
	        .type = wire_span_of(program->type),
	        .command = wire_span_of(program->command == NULL ? "" : program->command),
	        .encapsulated_key = {.at = content ? recording->header.encapsulated : NULL,
	            .len = content ? FORMAT_KEY_SIZE : 0},
	        .started_at = program->started_us / 1000000,
	        .destination = wire_span_of(program->destination == NULL ? "" : program->destination),
	        .originator = wire_span_of(program->originator == NULL ? "" : program->originator),
	    });
	if (event == NULL)
		return;
	json_t *detail = json_pack("{s:s, s:s}", "program_id", program->id, "type", program->type);
	if (program->transfer.action != NULL)
		json_object_set_new(detail, "action", json_string(program->transfer.action));
	if (program->command != NULL)
		set_clean(detail, "command", program->command);
	if (program->destination != NULL)
		set_clean(detail, "addr", program->destination);
	tell_event(programs->session, event, detail);
}

static void tell_end(struct programs *programs, const struct program *program)
{
	const struct recording *recording = program->recording;
	bool content = recording != NULL && recording->content;

	session_program_end(programs->session,
	    &(struct rpc_ses_program_end){
	        .program_id = wire_span_of(program->id),
	        .chain = {.at = content ? recording->chain : NULL, .len = content ? RECORD_CHAIN_SIZE : 0},
	        .blocks = content ? recording->next_block : 0,
	        .lost_records = recording == NULL ? 0 : recording->header.lost_records,
	        .error = wire_span_of(recording == NULL || recording->failed ? "recording_failed" : ""),
	        .bytes_from_client = program->bytes[LEG_CLIENT],
	        .bytes_from_origin = program->bytes[LEG_ORIGIN],
	    });
}

/* -- beginning -- */

static struct recording *start_recording(struct programs *programs, struct program *program, bool content)
{
	struct session *session = programs->session;
	const struct session_grant *grant = &session->grant;
	struct recording *recording = recording_open(worker_record_channel(session->worker), session,
	    &(struct recording_facts){
	        .program_id = program->id,
	        .session_id = session->session_id,
	        .content = content && grant->recording != RPC_RECORDING_NONE,
	        .strict = grant->recording == RPC_RECORDING_STRICT,
	        .recipients = grant->recipients,
	        .recipient_count = grant->recipient_count,
	        .started_at = program->started_us / 1000000,
	    },
	    log_of(programs, program, 0));

	if (recording == NULL || program->pty == NULL)
		return recording;
	struct format_header *header = &recording->header;
	header->has_pty = true;
	snprintf(header->term, sizeof(header->term), "%s", program->pty->term);
	header->width = program->pty->width;
	header->height = program->pty->height;
	memcpy(header->modes, program->pty->modes, sizeof(header->modes));
	header->mode_count = program->pty->mode_count;
	return recording;
}

static char *copy_place(const char *place)
{
	return place == NULL || place[0] == '\0' ? NULL : strdup(place);
}

static char *copy_command(struct wire_span command)
{
	char text[COMMAND_MAX];

	session_log_text(text, sizeof(text), command.at, command.len);
	return strdup(text);
}

/* What cannot be recorded must not run on: the bridge ends the session at its next turn. */
static void stop_session(struct session *session, const char *close_reason, const char *text)
{
	if (session->kill_reason[0] != '\0')
		return;
	session->close_reason = close_reason;
	snprintf(session->kill_reason, sizeof(session->kill_reason), "%s", text);
}

static struct program *program_start(void *context, const struct channel_program *facts)
{
	struct programs *programs = context;
	struct session *session = programs->session;
	struct program *program = calloc(1, sizeof(*program));

	if (program == NULL) {
		stop_session(session, "out_of_memory", "the gateway is out of memory");
		return NULL;
	}
	make_id(program->id);
	snprintf(program->type, sizeof(program->type), "%s", facts->type);
	/* A subsystem's name is no content; a command line is, and needs the rule's leave. */
	if (facts->command.len > 0 &&
	    (strcmp(facts->type, "subsystem") == 0 || session->grant.permits & RPC_PERMIT_LOG_EXEC))
		program->command = copy_command(facts->command);
	program->transfer = transfer_of(program->type, facts->command);
	program->destination = copy_place(facts->destination);
	program->originator = copy_place(facts->originator);
	if (facts->pty != NULL) {
		program->pty = malloc(sizeof(*program->pty));
		if (program->pty != NULL)
			*program->pty = *facts->pty;
	}
	program->started_us = wall_clock_us();
	program->recording = start_recording(programs, program, facts->content);
	if (program->recording == NULL)
		stop_session(session, "recording_failed", "the session could not be recorded");
	else
		record_channel_push(program->recording);
	program->next = programs->live;
	program->link = &programs->live;
	if (program->next != NULL)
		program->next->link = &program->next;
	programs->live = program;
	programs->started++;
	tell_start(programs, program);
	return program;
}

/* -- while it runs -- */

static void program_data(
    void *context, struct program *program, channel_leg from, uint32_t code, struct wire_span data)
{
	struct programs *programs = context;

	program->bytes[from] += data.len;
	if (program->recording == NULL || !program->recording->content)
		return;
	/* Extended data types beyond stderr are nobody's yet; those in the range of our events would read as
	 * one. */
	recording_write(program->recording, from == LEG_CLIENT ? FORMAT_FROM_CLIENT : FORMAT_FROM_ORIGIN,
	    code >= FORMAT_EVENT ? FORMAT_EVENT - 1 : code, data);
	programs->touched = programs->busy = program->recording;
}

/* One who drags a corner makes hundreds of sizes, and a hostile client more: at most one event a second. */
static void tell_resize(struct session *session, struct program *program, uint32_t columns, uint32_t rows)
{
	uint64_t now = worker_now_us();

	if (program->resize_told_us != 0 && now - program->resize_told_us < RESIZE_TOLD_US)
		return;
	program->resize_told_us = now;
	tell_event(session, "resize",
	    json_pack(
	        "{s:s, s:i, s:i}", "program_id", program->id, "width", (int)columns, "height", (int)rows));
}

static void program_resize(void *context, struct program *program, uint32_t width, uint32_t height)
{
	struct programs *programs = context;
	uint32_t columns = width > 0xfff ? 0xfff : width, rows = height > 0xfff ? 0xfff : height;

	tell_resize(programs->session, program, columns, rows);
	if (program->recording == NULL || !program->recording->content)
		return;
	recording_event(program->recording, FORMAT_RESIZE | columns << 12 | rows);
	programs->touched = program->recording;
}

static void program_exit(void *context, struct program *program, const struct channel_exit *how)
{
	struct format_header *header = program->recording == NULL ? NULL : &program->recording->header;

	(void)context;
	program->exit = *how;
	program->has_exit = true;
	if (header == NULL)
		return;
	header->has_exit = true;
	header->exit_timestamp = wall_clock_us() / 1000000;
	header->has_status = how->has_status;
	header->status = how->status;
	header->core_dumped = how->core_dumped;
	session_log_text(
	    header->signal, sizeof(header->signal), (const uint8_t *)how->signal, strlen(how->signal));
	session_log_text(header->error_msg, sizeof(header->error_msg), (const uint8_t *)how->error_msg,
	    strlen(how->error_msg));
}

/* It stands in no recording, being nobody's output: the log has what the user was shown, and when. */
static void program_noticed(void *context, struct program *program, struct wire_span notice)
{
	struct programs *programs = context;
	char clean[CHANNEL_NOTICE_MAX + 1];

	session_log_text(clean, sizeof(clean), notice.at, notice.len);
	tell_event(programs->session, "notice",
	    json_pack("{s:s, s:s, s:s}", "program_id", program->id, "type", program->type, "text", clean));
}

static void program_no_pty(void *context, struct program *program)
{
	(void)context;
	free(program->pty);
	program->pty = NULL;
	if (program->recording != NULL)
		program->recording->header.has_pty = false;
}

static void forward_requested(void *context, const char *request, const char *place)
{
	struct programs *programs = context;
	json_t *detail = json_pack("{s:s}", "type", request);

	set_clean(detail, "addr", place);
	tell_event(programs->session, "port", detail);
}

static void refused(void *context, channel_leg from, struct wire_span name, const char *text)
{
	struct programs *programs = context;
	char clean[CHANNEL_TYPE_MAX];
	json_t *detail;

	if (++programs->refusals > PROGRAM_REFUSALS_TOLD)
		return;
	session_log_text(clean, sizeof(clean), name.at, name.len);
	detail = json_pack("{s:s, s:s}", "type", clean, "asker", from == LEG_CLIENT ? "client" : "origin");
	set_clean(
	    detail, "reason", text); /* it names a place as it was asked for, and may be cut in a letter */
	tell_event(programs->session, "refused", detail);
}

static void answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	struct programs *programs = context;

	programs->answer(programs->answer_context, to, payload, len);
}

static size_t prove_host_keys(void *context, struct wire_span keys, uint8_t **payload)
{
	struct programs *programs = context;

	return host_proofs(programs->session, keys, payload);
}

/* -- ending -- */

static void program_end(void *context, struct program *program, const char *reason)
{
	struct programs *programs = context;

	program->close_reason = reason;
	program->finished_us = wall_clock_us();
	program->close_at_us = worker_now_us() + PROGRAM_LINGER_US;
	*program->link = program->next;
	if (program->next != NULL)
		program->next->link = program->link;
	program->next = NULL;
	program->link = NULL;
	*(programs->ended == NULL ? &programs->ended : &programs->ended_last->next) = program;
	programs->ended_last = program;
}

/* Takes the first of the ended ones out of the world. */
static void close_first(struct programs *programs, uint64_t session_finished_us)
{
	struct program *program = programs->ended;
	struct recording *recording = program->recording;

	programs->ended = program->next;
	if (programs->busy == recording)
		programs->busy = NULL;
	if (recording != NULL) {
		struct format_header *header = &recording->header;

		snprintf(header->close_reason, sizeof(header->close_reason), "%s",
		    recording->failed ? "recording_failed" : program->close_reason);
		recording_close(recording, log_of(programs, program, session_finished_us));
	}
	tell_end(programs, program);
	free(program->command);
	free(program->destination);
	free(program->originator);
	free(program->pty);
	free(program);
}

void programs_reap(struct programs *programs, uint64_t now_us)
{
	while (programs->ended != NULL && programs->ended->close_at_us <= now_us)
		close_first(programs, 0);
}

uint64_t programs_deadline(const struct programs *programs)
{
	return programs->ended == NULL ? UINT64_MAX : programs->ended->close_at_us;
}

void programs_finish(struct programs *programs)
{
	uint64_t now = wall_clock_us();

	while (programs->ended != NULL)
		close_first(programs, now);
}

bool programs_broken(const struct programs *programs)
{
	for (const struct program *at = programs->live; at != NULL; at = at->next) {
		if (at->recording != NULL && at->recording->failed)
			return true;
	}
	for (const struct program *at = programs->ended; at != NULL; at = at->next) {
		if (at->recording != NULL && at->recording->failed)
			return true;
	}
	return false;
}

void programs_init(struct programs *programs, struct session *session,
    void (*answer_to)(void *context, channel_leg to, const uint8_t *payload, size_t len),
    void *answer_context)
{
	*programs =
	    (struct programs){.session = session, .answer = answer_to, .answer_context = answer_context};
}

const struct channel_ops programs_ops = {
    .program_start = program_start,
    .program_data = program_data,
    .program_resize = program_resize,
    .program_exit = program_exit,
    .program_noticed = program_noticed,
    .program_no_pty = program_no_pty,
    .program_end = program_end,
    .forward_requested = forward_requested,
    .refused = refused,
    .prove_host_keys = prove_host_keys,
    .answer = answer,
};
