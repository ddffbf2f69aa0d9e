/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/control_rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/sessions.h"
#include "sshterm/worker.h"

#define RETRY_US 2000
#define KEPT_BODY_MAX 8192

struct control_call {
	struct control_call *next;
	struct session *session;
	uint32_t id;
	uint32_t generation; /* of the link it was asked over, 0: not asked */
	uint16_t reply_type;
	bool done;
	int error;
	struct control_reply *reply;
};

/* A message without a reply that waits for a link. */
struct control_kept {
	struct control_kept *next;
	uint16_t type;
	size_t len;
	uint8_t body[];
};

void control_init(struct worker *worker)
{
	worker->control = (struct control){.link = {.fd = -1}};
}

/* -- calls -- */

static struct control_call **call_bucket(struct control *control, uint32_t id)
{
	return &control->calls[id % CONTROL_CALL_BUCKETS];
}

static void call_forget(struct control *control, struct control_call *call)
{
	if (call->id == 0)
		return;
	for (struct control_call **at = call_bucket(control, call->id); *at != NULL; at = &(*at)->next)
		if (*at == call) {
			*at = call->next;
			break;
		}
	call->id = 0;
}

static int call_ask(
    struct control *control, struct control_call *call, uint16_t type, rpc_put_fn put, const void *body)
{
	uint32_t id = rpc_next_id(&control->link);
	int error = rpc_send_body(&control->link, type, 0, id, put, body, NULL, 0);

	if (error != 0)
		return error;
	call_forget(control, call);
	call->id = id;
	call->generation = control->generation;
	call->next = *call_bucket(control, id);
	*call_bucket(control, id) = call;
	return 0;
}

static bool session_is_over(const struct session *session)
{
	return session->kill_reason[0] != '\0' || session->lost != NULL || session->gone;
}

/* How long for a control that is away, and for the answer of one that is there. */
struct patience {
	uint64_t away_us, reply_us;
};

static int call_within(struct session *session, const struct patience *patience, uint16_t type,
    uint16_t reply_type, rpc_put_fn put, const void *body, struct control_reply *reply)
{
	struct control *control = &session->worker->control;
	struct control_call call = {.session = session, .reply_type = reply_type, .reply = reply};
	uint64_t away_since = worker_now_us();
	uint64_t asked_at = 0;

	*reply = (struct control_reply){0};
	while (!call.done) {
		uint64_t now = worker_now_us();
		uint64_t until;
		bool asked = control->up && call.generation == control->generation;
		if (session_is_over(session)) {
			call.error = -ECANCELED;
			break;
		}
		if (control->up && !asked) {
			int error = call_ask(control, &call, type, put, body);
			if (error == -EMSGSIZE) {
				call.error = error;
				break;
			}
			asked = error == 0;
			if (asked)
				asked_at = now;
		} else if (!control->up && call.generation != 0) {
			/* It died with our question: ask the next one. */
			call_forget(control, &call);
			call.generation = 0;
			away_since = now;
		}
		until = asked ? asked_at + patience->reply_us : away_since + patience->away_us;
		if (now >= until) {
			call.error = -ETIMEDOUT;
			break;
		}
		/* A full socket: look again soon. */
		session_wait(session, !asked && control->up ? now + RETRY_US : until);
	}
	call_forget(control, &call);
	if (call.error != 0)
		control_reply_free(reply);
	/* What woke the session for this loop may have been for whoever waits next. */
	session_wake(session);
	return call.error;
}

int control_call(struct session *session, uint16_t type, uint16_t reply_type, rpc_put_fn put,
    const void *body, struct control_reply *reply)
{
	bool live = session->login_deadline_us == UINT64_MAX;
	const struct patience patience = {live ? CONTROL_AWAY_LIVE_US : CONTROL_AWAY_US, CONTROL_REPLY_US};

	return call_within(session, &patience, type, reply_type, put, body, reply);
}

int control_ask(struct session *session, uint64_t until_us, uint16_t type, uint16_t reply_type,
    rpc_put_fn put, const void *body, struct control_reply *reply)
{
	uint64_t now = worker_now_us();
	const struct patience patience = {0, until_us > now ? until_us - now : 0};

	*reply = (struct control_reply){0};
	if (patience.reply_us == 0)
		return -ETIMEDOUT;
	return call_within(session, &patience, type, reply_type, put, body, reply);
}

void control_reply_free(struct control_reply *reply)
{
	free(reply->bytes);
	*reply = (struct control_reply){0};
}

static void take_reply(struct control *control, const struct rpc_message *message)
{
	struct control_call *call = *call_bucket(control, message->id);

	while (call != NULL && call->id != message->id)
		call = call->next;
	if (call == NULL)
		return; /* of a session that did not wait so long */
	call->done = true;
	if (message->type != call->reply_type) {
		call->error = -EPROTO;
	} else {
		call->reply->bytes = malloc(message->body.len + 1);
		if (call->reply->bytes == NULL) {
			call->error = -ENOMEM;
		} else {
			memcpy(call->reply->bytes, message->body.at, message->body.len);
			call->reply->body = (struct wire_span){call->reply->bytes, message->body.len};
		}
	}
	session_wake(call->session);
}

/* -- what is told without waiting -- */

static void keep(struct control *control, uint16_t type, const uint8_t *body, size_t len)
{
	struct control_kept *kept =
	    control->kept_count < CONTROL_KEPT_MAX ? malloc(sizeof(*kept) + len) : NULL;

	if (kept == NULL) {
		if (control->kept_dropped++ == 0)
			rpc_log(RPC_LOG_WARNING,
			    "control is away for too long: messages about sessions are dropped");
		return;
	}
	kept->next = NULL;
	kept->type = type;
	kept->len = len;
	memcpy(kept->body, body, len);
	if (control->kept_last != NULL)
		control->kept_last->next = kept;
	else
		control->kept_first = kept;
	control->kept_last = kept;
	control->kept_count++;
}

void control_flush(struct worker *worker)
{
	struct control *control = &worker->control;

	while (control->up && control->kept_first != NULL) {
		struct control_kept *kept = control->kept_first;
		struct wire_out out = wire_into(kept->body, kept->len);
		out.at = out.end;
		int error =
		    rpc_send(&control->link, kept->type, 0, rpc_next_id(&control->link), &out, NULL, 0);
		if (error == -EAGAIN || error == -EPIPE)
			return;
		control->kept_first = kept->next;
		if (control->kept_first == NULL)
			control->kept_last = NULL;
		control->kept_count--;
		free(kept);
	}
}

static void tell(struct worker *worker, uint16_t type, rpc_put_fn put, const void *body)
{
	static uint8_t room[KEPT_BODY_MAX];
	struct control *control = &worker->control;

	if (control->up && control->kept_first == NULL) {
		int error =
		    rpc_send_body(&control->link, type, 0, rpc_next_id(&control->link), put, body, NULL, 0);
		if (error != -EAGAIN && error != -EPIPE)
			return;
	}
	struct wire_out out = wire_into(room, sizeof(room));
	put(&out, body);
	if (out.failed)
		rpc_log(RPC_LOG_WARNING, "%s of more than %d bytes is not kept for control",
		    rpc_type_name(type), KEPT_BODY_MAX);
	else
		keep(control, type, room, wire_written(&out));
}

static struct wire_span address_span(const struct session *session, const uint8_t *address)
{
	return (struct wire_span){address, session->flow.family == 4 ? 4 : 16};
}

static void tell_resume(struct session *session)
{
	struct rpc_ses_resume resume = {
	    .flow = session->flow_id,
	    .session_id = wire_span_of(session->session_id),
	    .client_addr = address_span(session, session->flow.client_addr),
	    .client_port = session->flow.client_port,
	    .server_addr = address_span(session, session->flow.server_addr),
	    .server_port = session->flow.server_port,
	    .link = session->flow.link,
	    .vlan = session->flow.vlan,
	    .rule = session->flow.rule,
	    .generation = session->flow.generation,
	    .rule_name = wire_span_of(session->rule_name),
	    .target_id = wire_span_of(session->target_id),
	    .user = wire_span_of(session->user),
	    .login = wire_span_of(session->login),
	    .started_at = session->started_at_us / 1000000,
	};

	tell(session->worker, RPC_SES_RESUME, rpc_put_ses_resume, &resume);
}

void session_tell(struct session *session, uint16_t type, rpc_put_fn put, const void *body)
{
	struct control *control = &session->worker->control;

	/* Control's successor does not know this session unless it hears of it before anything else. */
	if (!control->up && session->session_id[0] != '\0' &&
	    session->resumed_epoch != control->generation + 1) {
		session->resumed_epoch = control->generation + 1;
		tell_resume(session);
	}
	tell(session->worker, type, put, body);
}

void session_event(struct session *session, const char *event, const char *detail_json)
{
	struct rpc_ses_event body = {
	    .flow = session->flow_id,
	    .event = wire_span_of(event),
	    .detail = wire_span_of(detail_json),
	};

	session_tell(session, RPC_SES_EVENT, rpc_put_ses_event, &body);
}

void session_program(struct session *session, const struct rpc_ses_program *program)
{
	struct rpc_ses_program body = *program;

	body.flow = session->flow_id;
	session_tell(session, RPC_SES_PROGRAM, rpc_put_ses_program, &body);
}

void session_program_end(struct session *session, const struct rpc_ses_program_end *end)
{
	struct rpc_ses_program_end body = *end;

	body.flow = session->flow_id;
	session_tell(session, RPC_SES_PROGRAM_END, rpc_put_ses_program_end, &body);
}

void worker_program_broken(struct worker *worker, uint64_t flow, const char *program_id)
{
	struct rpc_ses_program_end body = {
	    .flow = flow,
	    .program_id = wire_span_of(program_id),
	    .error = wire_span_of("recording_failed"),
	};

	tell(worker, RPC_SES_PROGRAM_END, rpc_put_ses_program_end, &body);
}

/* -- the link -- */

static int take_kill(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct worker *worker = context;
	struct rpc_ses_kill body;
	char text[SESSION_TEXT_MAX];

	(void)link;
	if (!rpc_get_ses_kill(message->body, &body))
		return -EPROTO;
	struct session *session = session_find_id(worker, body.flow);
	if (session == NULL)
		return 0; /* it ended while control spoke */
	if (!wire_span_copy(body.reason, text, sizeof(text)))
		text[0] = '\0';
	session_kill(session, text, "killed");
	return 0;
}

static int take_stats(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct worker *worker = context;
	char text[8192];
	size_t len = worker_stats(worker, text, sizeof(text));
	struct wire_span span = {(const uint8_t *)text, len};

	(void)RPC_SEND(link, STATS_REPLY, stats_reply, RPC_FLAG_REPLY, message->id, .text = span);
	return 0;
}

static const struct rpc_handler control_table[] = {
    {RPC_SES_KILL, RPC_FROM(RPC_CONTROL), ~0u, take_kill},
    {RPC_STATS, RPC_FROM(RPC_CONTROL), ~0u, take_stats},
};

bool control_poll(struct worker *worker)
{
	struct control *control = &worker->control;
	struct rpc_message message;
	bool any = false;
	int got;

	while (control->up && (got = rpc_receive(&control->link, &message)) != 0) {
		any = true;
		if (got > 0 && (message.flags & RPC_FLAG_REPLY) != 0) {
			take_reply(control, &message);
			rpc_message_close_fds(&message);
		} else if (got < 0 ||
		           rpc_dispatch(control_table, sizeof(control_table) / sizeof(control_table[0]), ~0u,
		               worker, &control->link, &message) != 0) {
			control_detach(worker);
		}
	}
	return any;
}

static void wake_callers(struct control *control)
{
	for (unsigned i = 0; i < CONTROL_CALL_BUCKETS; i++)
		for (struct control_call *call = control->calls[i]; call != NULL; call = call->next)
			session_wake(call->session);
}

void control_attach(struct worker *worker, int fd, uint32_t epoch)
{
	struct control *control = &worker->control;

	control_detach(worker);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (rpc_link_open(&control->link, fd, RPC_CONTROL, 0, epoch) != 0) {
		rpc_log(RPC_LOG_ERROR, "no memory for the link to control");
		return;
	}
	control->up = true;
	control->generation++;
	for (struct session *session = worker->sessions.all; session != NULL; session = session->next) {
		if (session->session_id[0] != '\0' && session->resumed_epoch != control->generation) {
			session->resumed_epoch = control->generation;
			tell_resume(session);
		}
		session_wake(session); /* those who wait for control ask now */
	}
	control_flush(worker);
	(void)worker_watch(worker, fd);
}

void control_detach(struct worker *worker)
{
	struct control *control = &worker->control;

	if (!control->up)
		return;
	control->up = false;
	rpc_link_close(&control->link);
	wake_callers(control);
}

bool control_settled(const struct worker *worker)
{
	return worker->control.kept_first == NULL || !worker->control.up;
}

void control_free(struct worker *worker)
{
	struct control *control = &worker->control;

	control_detach(worker);
	while (control->kept_first != NULL) {
		struct control_kept *kept = control->kept_first;
		control->kept_first = kept->next;
		free(kept);
	}
	control->kept_last = NULL;
}
