/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of things in a session.
 *
 * The origin's key exchange runs first: its host key says which machine this is, and a changed one stops
 * everything before any secret is sent. Then the client's, with the host key that belongs to that machine.
 * Then: who is it, may they, our own login at the origin, and only then USERAUTH_SUCCESS to the client, so
 * that what goes wrong until then is told before a login seems to have succeeded.
 */
#include "sshterm/legs.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/legacy.h"
#include "sshterm/agent_login.h"
#include "sshterm/client_leg.h"
#include "sshterm/control_rpc.h"
#include "sshterm/fiber.h"
#include "sshterm/host_key.h"
#include "sshterm/libssh_extensions.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/login.h"
#include "sshterm/origin_leg.h"
#include "sshterm/own_words.h"
#include "sshterm/session_log.h"
#include "sshterm/vsock.h"
#include "sshterm/worker.h"

#define AUTH_ATTEMPTS_DEFAULT 6
#define FAREWELL_US 2000000 /* for a client to take the last words in */
#define LINGER_US 5000000   /* for both peers to end their side, before they are reset */

int legs_start(void)
{
	ssh_set_log_level(SSH_LOG_NOLOG);
	return client_leg_start();
}

void legs_stop(void)
{
	client_leg_stop();
	ssh_finalize();
}

/* -- failures -- */

void leg_fail(struct leg_failure *failure, const char *close_reason, const char *format, ...)
{
	va_list args;

	if (failure->close_reason != NULL)
		return;
	failure->close_reason = close_reason;
	va_start(args, format);
	vsnprintf(failure->text, sizeof(failure->text), format, args);
	va_end(args);
	/* It may quote what the other side said. To its reader it is ours: one line, that moves no cursor. */
	for (unsigned char *c = (unsigned char *)failure->text; *c != '\0'; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;
		if (c1)
			*c++ = '?';
		if (c1 || *c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

void leg_fail_control(struct leg_failure *failure, int error)
{
	if (error == -ECANCELED) /* the session was over before the answer came; it has its own reason */
		leg_fail(failure, "killed", "%s", "");
	else if (error == -ETIMEDOUT)
		leg_fail(failure, "control_unavailable",
		    "the appliance cannot decide about new sessions at the moment; try again in a few "
		    "seconds");
	else
		leg_fail(
		    failure, "error", "the appliance could not settle this session (%s)", strerror(-error));
}

int leg_set_algorithms(ssh_session ssh, const struct algorithms *algorithms)
{
	int bad = 0;

	bad |= ssh_options_set(ssh, SSH_OPTIONS_KEY_EXCHANGE, algorithms->kex);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_HOSTKEYS, algorithms->host_keys);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_CIPHERS_C_S, algorithms->ciphers);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_CIPHERS_S_C, algorithms->ciphers);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_HMAC_C_S, algorithms->macs);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_HMAC_S_C, algorithms->macs);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_RSA_MIN_SIZE, &algorithms->rsa_bits_min);
	return bad < 0 ? -1 : 0;
}

/* -- what control settles -- */

static struct wire_span address_span(const struct session *session, const uint8_t *address)
{
	return (struct wire_span){address, session->flow.family == 4 ? 4 : 16};
}

struct beginning {
	char host_key_algs[LEGACY_LIST_MAX];
	char client_legacy[LEGACY_LIST_MAX], origin_legacy[LEGACY_LIST_MAX];
	char notice[CLIENT_BANNER_MAX];
	unsigned attempts;
	uint32_t identities; /* enum rpc_identity */
};

static int begin(struct session *session, struct beginning *beginning, struct leg_failure *failure)
{
	const struct slab_flow *flow = &session->flow;
	struct control_reply reply;
	struct rpc_ses_begin_reply answer;

	int error = CONTROL_CALL(session, SES_BEGIN, ses_begin, &reply, .flow = session->flow_id,
	    .client_addr = address_span(session, flow->client_addr), .client_port = flow->client_port,
	    .server_addr = address_span(session, flow->server_addr), .server_port = flow->server_port,
	    .link = flow->link, .vlan = flow->vlan, .rule = flow->rule, .generation = flow->generation);
	if (error == 0 && !rpc_get_ses_begin_reply(reply.body, &answer))
		error = -EPROTO;
	if (error != 0) {
		leg_fail_control(failure, error);
	} else if (answer.error.len > 0) {
		leg_fail(failure, "refused", "%.*s", (int)answer.error.len, (const char *)answer.error.at);
	} else if (!wire_span_copy(answer.session_id, session->session_id, sizeof(session->session_id))) {
		leg_fail_control(failure, -EPROTO);
	} else {
		session->resumed_epoch = session->worker->control.generation;
		(void)wire_span_copy(answer.rule_name, session->rule_name, sizeof(session->rule_name));
		(void)wire_span_copy(
		    answer.host_key_algs, beginning->host_key_algs, sizeof(beginning->host_key_algs));
		(void)wire_span_copy(
		    answer.client_legacy, beginning->client_legacy, sizeof(beginning->client_legacy));
		(void)wire_span_copy(
		    answer.origin_legacy, beginning->origin_legacy, sizeof(beginning->origin_legacy));
		beginning->attempts = answer.auth_attempts > 0 ? answer.auth_attempts : AUTH_ATTEMPTS_DEFAULT;
		(void)wire_span_copy(answer.notice, beginning->notice, sizeof(beginning->notice));
		beginning->identities = answer.identities;
		if (answer.login_grace_s > 0)
			session->login_deadline_us =
			    worker_now_us() + (uint64_t)answer.login_grace_s * 1000000;
	}
	control_reply_free(&reply);
	return failure->close_reason == NULL ? 0 : -1;
}

/* Which machine is it, and what does the client see of it? */
static int target(struct session *session, struct leg_failure *failure)
{
	struct control_reply reply = {0};
	struct rpc_ses_target_reply answer;
	size_t len = 0;
	uint8_t *key = origin_leg_host_key(session, &len);

	if (key == NULL) {
		leg_fail(failure, "error", "the origin's host key could not be read");
		return -1;
	}
	int error = CONTROL_CALL(session, SES_TARGET, ses_target, &reply, .flow = session->flow_id,
	    .host_key = (struct wire_span){key, len});
	free(key);
	if (error == 0 && !rpc_get_ses_target_reply(reply.body, &answer))
		error = -EPROTO;
	if (error != 0)
		leg_fail_control(failure, error);
	else if (answer.verdict == RPC_TARGET_CHANGED || answer.verdict == RPC_TARGET_REFUSED)
		leg_fail(failure,
		    answer.verdict == RPC_TARGET_CHANGED ? "host_key_changed" : "host_key_refused", "%.*s",
		    (int)answer.message.len, (const char *)answer.message.at);
	else if (!wire_span_copy(answer.target_id, session->target_id, sizeof(session->target_id)))
		leg_fail_control(failure, -EPROTO);
	else if (host_key_set(session, answer.host_public, answer.host_certificate) != 0)
		leg_fail(failure, "error", "the appliance has no host key for this target");
	control_reply_free(&reply);
	return failure->close_reason == NULL ? 0 : -1;
}

/* -- the order -- */

static int prepare_bridge(struct session *session, enum leg leg, struct leg_failure *failure)
{
	if (bridge_prepare(session, leg) == 0)
		return 0;
	leg_fail(failure, "error", "the appliance has no memory for another session");
	return -1;
}

static int both_keys(struct session *session, const struct beginning *beginning,
    struct inside_requests *requests, struct leg_failure *failure)
{
	const struct origin_leg_terms origin = {beginning->host_key_algs, beginning->origin_legacy};

	if (client_leg_look(session, failure) != 0 || origin_leg_connect(session, &origin, failure) != 0 ||
	    prepare_bridge(session, LEG_ORIGIN, failure) != 0)
		return -1;
	if (target(session, failure) != 0 ||
	    client_leg_accept(session, beginning->client_legacy, requests, failure) != 0)
		return -1;
	return prepare_bridge(session, LEG_CLIENT, failure);
}

/* USERAUTH_SUCCESS: the origin has let us in, or will once the client has forwarded its agent. */
static int admit(struct session *session, struct leg_failure *failure)
{
	if (client_leg_admit(session) == 0)
		return 0;
	leg_fail(failure, "client_closed", "%s", "");
	return -1;
}

static int steps(struct login *login, struct leg_failure *failure)
{
	int result;

	if (identify(login, failure) != 0)
		return -1;
	/* Who has shown nothing but a login is judged by the origin first: else any stranger could use up the
	 * codes of that login's user. */
	if (login->known_by == RPC_WHO_ORIGIN)
		result = origin_login(login, failure) == ORIGIN_OVER || factor_ask(login, failure) != 0;
	else
		result = factor_ask(login, failure) != 0 || may_ask(login, failure) != 0 ||
		         origin_login(login, failure) == ORIGIN_OVER;
	return result == 0 ? admit(login->session, failure) : -1;
}

/* A client that says good-bye says it to the origin. */
static void hand_on_farewell(const struct login *login)
{
	struct session *session = login->session;
	const char *text = inside_peer_text(session->ssh[LEG_CLIENT]);

	if (text != NULL && login->auth.requests.reason != 0)
		inside_disconnect(session->ssh[LEG_ORIGIN], login->auth.requests.reason, text);
}

static int authenticate(struct login *login, const struct beginning *beginning, struct leg_failure *failure)
{
	struct session *session = login->session;
	int result = -1;

	login->identities = beginning->identities;
	login->origin_legacy = beginning->origin_legacy;
	userauth_start(&login->auth, session, &login->answers, beginning->attempts, beginning->notice);
	if (inside_answers_start(session->ssh[LEG_ORIGIN], &login->answers) != 0)
		leg_fail(failure, "error", "the appliance has no memory for another session");
	else
		result = steps(login, failure);
	/* A client that has no further key or answer just goes: nobody had refused it for good. */
	if (result != 0 && login->auth.failures > 0 && failure->close_reason != NULL &&
	    strcmp(failure->close_reason, "client_closed") == 0)
		*failure = (struct leg_failure){.close_reason = "gave_up"};
	failure->client_reason = login->auth.requests.reason;
	hand_on_farewell(login);
	userauth_request_free(&login->pending);
	inside_answers_stop(session->ssh[LEG_ORIGIN], &login->answers);
	return result;
}

/* What only a login is interested in. */
static void forget_login(struct session *session)
{
	inside_extensions_stop(session->ssh[LEG_ORIGIN], session->extensions);
	session->extensions = NULL;
}

/* From the first byte to USERAUTH_SUCCESS. */
static int let_in(struct session *session, struct leg_failure *failure)
{
	struct beginning beginning = {0};
	struct login login = {.session = session};
	int result = -1;

	if (begin(session, &beginning, failure) == 0 &&
	    both_keys(session, &beginning, &login.auth.requests, failure) == 0) {
		/* Key exchange has touched ten times the stack of what follows. */
		fiber_trim_stack();
		result = authenticate(&login, &beginning, failure);
	}
	inside_requests_stop(session->ssh[LEG_CLIENT], &login.auth.requests);
	return result;
}

static int login(struct session *session, struct leg_failure *failure)
{
	if (let_in(session, failure) != 0)
		return -1;
	forget_login(session);
	ssh_set_blocking(session->ssh[LEG_CLIENT], 0);
	ssh_set_blocking(session->ssh[LEG_ORIGIN], 0);
	session->login_deadline_us = UINT64_MAX;
	session_admitted(session);
	return agent_login_begin(session, failure);
}

/* -- the end -- */

/* Deadline, kill and loss make every call fail in its own way; what was behind it is the reason. */
static void name_cause(struct session *session, struct leg_failure *failure)
{
	if (session->kill_reason[0] != '\0') {
		failure->close_reason = session->close_reason;
		snprintf(failure->text, sizeof(failure->text), "%s", session->kill_reason);
	} else if (session->lost != NULL) {
		failure->close_reason = session->lost;
		failure->text[0] = '\0';
	} else if (worker_now_us() >= session->login_deadline_us) {
		session->worker->counters.login_timeouts++;
		failure->close_reason = "login_timeout";
		snprintf(failure->text, sizeof(failure->text), "login took too long");
	}
}

static void count_failure(struct worker_counters *counters, const char *reason)
{
	counters->not_ssh += strcmp(reason, "not_ssh") == 0;
	counters->origin_failures += strcmp(reason, "origin_failed") == 0;
}

static void report_failure(struct session *session, const struct leg_failure *failure)
{
	char message[sizeof(failure->text)];
	char *text = NULL;

	/* It may quote a stranger. */
	session_log_text(message, sizeof(message), (const uint8_t *)failure->text, strlen(failure->text));
	json_t *detail =
	    json_pack("{s:b,s:s,s:s}", "success", 0, "reason", failure->close_reason, "message", message);
	if (failure->client_reason != 0)
		(void)json_object_set_new(detail, "disconnect", json_integer(failure->client_reason));
	if (detail != NULL)
		text = json_dumps(detail, JSON_COMPACT);
	if (session->session_id[0] != '\0')
		session_event(session, "auth", text == NULL ? "{\"success\":false}" : text);
	json_decref(detail);
	free(text);
	count_failure(&session->worker->counters, failure->close_reason);
	rpc_log(RPC_LOG_INFO, "session %s: not logged in: %s%s%s", session->session_id, failure->close_reason,
	    message[0] != '\0' ? ": " : "", message);
}

static void tell_client(struct session *session, const struct leg_failure *failure)
{
	ssh_session ssh = session->ssh[LEG_CLIENT];
	char words[OWN_WORDS_MAX];

	if (failure->text[0] == '\0')
		return;
	(void)own_words(failure->text, words);
	if (ssh == NULL)
		client_leg_refuse_early(session, failure->reason, words);
	else if (inside_has_keys(ssh))
		client_leg_refuse(session, failure->reason, words);
	else if (inside_closed_in_the_clear(ssh))
		client_leg_refuse_plainly(session, failure->reason, words);
	else
		inside_disconnect(ssh, failure->reason != 0 ? failure->reason : INSIDE_BY_APPLICATION, words);
}

/* The bridge ended by itself, or because it was told to: then both people hear why. */
static void tell_both(struct session *session)
{
	char words[OWN_WORDS_MAX];

	if (session->kill_reason[0] == '\0')
		return;
	(void)own_words(session->kill_reason, words);
	inside_disconnect(session->ssh[LEG_CLIENT], INSIDE_BY_APPLICATION, words);
	inside_disconnect(session->ssh[LEG_ORIGIN], INSIDE_BY_APPLICATION, words);
}

static void farewell(struct session *session)
{
	uint64_t until = worker_now_us() + FAREWELL_US;

	while (inside_flush(session->ssh[LEG_CLIENT]) + inside_flush(session->ssh[LEG_ORIGIN]) > 0 &&
	       !vsock_is_reset(session->sock[LEG_CLIENT]) && worker_now_us() < until)
		session_wait(session, until);
}

static void discard_received(struct vsock *sock)
{
	const uint8_t *at;
	uint32_t len;

	while ((len = vsock_peek(sock, &at)) > 0)
		vsock_consume(sock, len);
}

static bool leg_finished(struct vsock *sock)
{
	discard_received(sock);
	return vsock_is_reset(sock) || (vsock_drained(sock) && vsock_at_eof(sock));
}

/* FIN to both, then until both are done too; who is not within LINGER_US is reset. */
static void hang_up(struct session *session)
{
	struct vsock *client = session->sock[LEG_CLIENT], *origin = session->sock[LEG_ORIGIN];
	uint64_t until = worker_now_us() + LINGER_US;

	vsock_shutdown(client);
	vsock_shutdown(origin);
	while (!session->gone && session->lost == NULL && worker_now_us() < until) {
		bool finished = leg_finished(client);
		finished = leg_finished(origin) && finished;
		if (finished)
			return;
		session_wait(session, until);
	}
	if (!session->gone)
		(void)flow_channel_say(&session->worker->channels[session->lcore], session->channel_flow,
		    SLAB_LEG_RESET, SLAB_LEG_BOTH, 0);
}

static void end(struct session *session, const char *reason)
{
	struct worker_counters *counters = &session->worker->counters;
	struct rpc_ses_end body = {
	    .flow = session->flow_id,
	    .reason = wire_span_of(reason),
	    .bytes_from_client = session->bytes[LEG_CLIENT],
	    .bytes_from_origin = session->bytes[LEG_ORIGIN],
	};

	counters->bytes_from_client += session->bytes[LEG_CLIENT];
	counters->bytes_from_origin += session->bytes[LEG_ORIGIN];
	counters->lost += session->lost != NULL;
	counters->killed += session->kill_reason[0] != '\0';
	if (session->session_id[0] != '\0')
		session_tell(session, RPC_SES_END, rpc_put_ses_end, &body);
}

void session_run(struct session *session)
{
	struct leg_failure failure = {0};
	const char *reason;

	if (login(session, &failure) == 0) {
		session->worker->counters.logged_in++;
		fiber_trim_stack();
		reason = bridge_run(session);
		tell_both(session);
		if (session->kill_reason[0] != '\0')
			reason = session->close_reason;
		else if (session->lost != NULL)
			reason = session->lost;
	} else {
		name_cause(session, &failure);
		report_failure(session, &failure);
		tell_client(session, &failure);
		reason = failure.close_reason;
	}
	farewell(session);
	forget_login(session);
	agent_login_free(session);
	bridge_free(session);
	host_key_free(session);
	ssh_free(session->ssh[LEG_CLIENT]);
	ssh_free(session->ssh[LEG_ORIGIN]);
	session->ssh[LEG_CLIENT] = session->ssh[LEG_ORIGIN] = NULL;
	may_forget(session);
	end(session, reason);
	hang_up(session);
}
