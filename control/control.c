/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reeve-control: policy, identities, sessions, and the socket that administrators speak to.
 *
 * Theory of operation. One thread, one epoll. On it are the links to the other processes (control/peers), the
 * control socket and its clients (control/socket). Nothing here waits: what needs an answer from another
 * process is a call with a callback and a deadline, and meanwhile everything else goes on, because a hundred
 * workers' fibers may be waiting for a hundred other answers.
 *
 *   policy.yaml ─ control/policy ─ sealed memfd ──────────────▶ dataplane
 *   workers ─── BEGIN TARGET WHO MAY CERT SIGN ─ control/sessions ─ KEY_* ─▶ keeper
 *                                                │  control/certificate: is it a good certificate?
 *                                                │  control/identity: users, targets, history (control.db)
 *   reeve ────── JSON-RPC ─ control/socket ──────┘                 ─ REC_* ─▶ recorder
 *
 * What this process has: identities, policies, the history of sessions, and the power to approve. What it
 * never has: a private key (the keeper's) or a session's plaintext (the workers'). It is the one process that
 * parses what administrators send and what workers claim, so all of that is foreign: bounded, checked, and
 * answered with an error.
 *
 * It may be killed at any time. Wire and live sessions go on without it; on return it reads what was in force
 * from control.db, workers tell again which sessions they have (RESUME), the keeper hears of them again, and
 * the dataplane gets the policy again when its link is attached.
 *
 * Start: configuration (SUP_CONFIG_CONTROL), links (SUP_ATTACH_RPC), SUP_START: state is opened, the policy
 * read, the socket bound, privileges given up, SUP_READY said. What cannot be opened ends the process with a
 * message.
 */
#include "control/control.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/confine.h"
#include "control/identity/bindings.h"

#define EVENTS_PER_TURN 64
#define TICK_MS 1000
#define UNCLAIMED_AFTER_MS 30000 /* workers have told of their sessions long before */
#define PRUNE_EVERY_S 3600

static _Noreturn void die(const char *text)
{
	rpc_log(RPC_LOG_ERROR, "%s", text);
	exit(1);
}

/* -- what the keeper said ---------------------------------------------------------------------------------
 */

static void client_ca_told(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct rpc_key_ca_reply reply;

	(void)argument;
	if (error == 0 && rpc_get_key_ca_reply(body, &reply))
		client_cas_take(&control->client_cas, reply.keys);
}

static void host_ca_told(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct rpc_key_ca_reply reply;

	(void)argument;
	if (error == 0 && rpc_get_key_ca_reply(body, &reply))
		control->has_host_ca = reply.keys.len > 0;
}

static void user_ca_told(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct rpc_key_ca_reply reply;

	(void)argument;
	if (error == 0 && rpc_get_key_ca_reply(body, &reply))
		control->no_user_ca = reply.keys.len == 0;
}

static void keeper_up(struct control *control)
{
	struct peer *keeper = &control->peers.keeper;
	struct call_options options = {.peer = keeper,
	    .type = RPC_KEY_CA,
	    .reply_type = RPC_KEY_CA_REPLY,
	    .timeout_ms = KEEPER_TIMEOUT_MS,
	    .away_ms = KEEPER_AWAY_MS,
	    .fd = -1,
	    .done = client_ca_told};

	/* Live sessions first: it signs for nothing else, and calls that waited are about them. */
	sessions_tell_keeper(control);
	control->host_seed_known = control->next_seed_known = false;
	control->client_cas.count = 0; /* it may have another state directory than the one before */
	CALL(&options, key_ca, .ca = RPC_CA_CLIENT, .action = RPC_CA_SHOW);
	options.done = host_ca_told;
	CALL(&options, key_ca, .ca = RPC_CA_HOST, .action = RPC_CA_SHOW);
	options.done = user_ca_told;
	CALL(&options, key_ca, .ca = RPC_CA_USER, .action = RPC_CA_SHOW);
	peer_flush_calls(keeper);
}

/* -- the supervisor's messages ----------------------------------------------------------------------------
 */

static bool take_uids(struct wire_span span, uid_t *uids, uint32_t *count)
{
	struct wire in = wire_over(span.at, span.len);

	for (*count = 0; wire_left(&in) > 0 && *count < CONTROL_UIDS_MAX;)
		uids[(*count)++] = wire_u32(&in);
	return wire_done(&in);
}

static bool take_links(struct wire_span span, struct words *links)
{
	struct wire in = wire_over(span.at, span.len);
	char name[256];

	while (wire_left(&in) > 0)
		if (!wire_span_copy(wire_string(&in), name, sizeof(name)) || in.failed ||
		    !words_add(links, name))
			return false;
	return true;
}

static int on_config(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct control_config *config = &control->config;
	struct rpc_sup_config_control body;

	(void)link;
	if (control->configured || !rpc_get_sup_config_control(message->body, &body) ||
	    !wire_span_copy(body.socket, config->socket, sizeof(config->socket)) ||
	    !wire_span_copy(body.state, config->state, sizeof(config->state) - 64) ||
	    !wire_span_copy(body.policy, config->policy, sizeof(config->policy)) ||
	    body.recipients.len % 32 != 0 || body.recipients.len > sizeof(config->recipients) ||
	    !take_uids(body.admins, config->admins, &config->admin_count) ||
	    !take_uids(body.auditors, config->auditors, &config->auditor_count) ||
	    !take_uids(body.reporters, config->reporters, &config->reporter_count) ||
	    !take_links(body.links, &control->context.links) || body.workers > PEER_WORKERS_MAX)
		return -EPROTO;
	if (body.recipients.len > 0)
		memcpy(config->recipients, body.recipients.at, body.recipients.len);
	config->recipient_count = control->context.recipient_count = (uint32_t)(body.recipients.len / 32);
	config->workers = body.workers;
	config->owner = body.owner;
	int error = peers_open(&control->peers, body.workers);
	control->configured = error == 0;
	return error;
}

/* A link was attached, or start has come: the peer hears what it must hear first. */
static void peer_is_up(struct control *control, struct peer *peer)
{
	if (!control->started || !peer_up(peer))
		return;
	if (peer == &control->peers.keeper)
		keeper_up(control);
	else if (peer == &control->peers.dataplane)
		policies_dataplane_up(control);
	else
		peer_flush_calls(peer);
}

static int on_attach(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_sup_attach_rpc body;

	(void)link;
	if (!rpc_get_sup_attach_rpc(message->body, &body) || message->fd_count != 1)
		return -EPROTO;
	struct peer *peer = peers_find(&control->peers, body.role, body.index);
	if (peer == NULL)
		return -EPROTO;
	int fd = message->fds[0];
	message->fd_count = 0; /* ours now */
	int error = peer_attach(peer, fd, (enum rpc_role)body.role, body.index, body.epoch);
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "the link to %s[%u] could not be opened: %s",
		    rpc_role_name((enum rpc_role)body.role), body.index, strerror(-error));
	peer_is_up(control, peer);
	return 0;
}

static int on_peer(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_sup_peer body;

	(void)link;
	if (!rpc_get_sup_peer(message->body, &body))
		return -EPROTO;
	struct peer *peer = peers_find(&control->peers, body.role, body.index);
	if (peer != NULL && body.up == 0)
		peer_drop(peer);
	return 0;
}

static void state_path(const struct control *control, const char *name, char *path)
{
	snprintf(path, CONTROL_PATH_MAX, "%.*s/%s", CONTROL_PATH_MAX - 64, control->config.state, name);
}

static void open_state(struct control *control)
{
	char path[CONTROL_PATH_MAX], text[CONTROL_PATH_MAX + 256], why[512];
	struct policy_fault fault;

	if (mkdir(control->config.state, 0750) != 0 && errno != EEXIST) {
		snprintf(text, sizeof(text), "cannot make the state directory %s: %s", control->config.state,
		    strerror(errno));
		die(text);
	}
	state_path(control, "control.db", path);
	if (!database_open(&control->db, path, why, sizeof(why))) {
		snprintf(text, sizeof(text), "cannot open the database: %s", why);
		die(text);
	}
	if (!known_hosts_load(&control->known, &control->db))
		die("the imported known_hosts cannot be read from the database");
	revocations_open(&control->revocations, &control->db);
	state_path(control, "audit.jsonl", path);
	int error = audit_open(&control->audit, path, AUDIT_FILE_MAX);
	if (error != 0) {
		snprintf(text, sizeof(text), "cannot open %s: %s", path, strerror(-error));
		die(text);
	}
	if (!policies_open(control, &fault)) {
		snprintf(text, sizeof(text), "no policy can be put in force: %s", fault.text);
		die(text);
	}
}

static void open_socket(struct control *control)
{
	const struct control_config *config = &control->config;
	char text[512];
	int error = server_open(&control->server, control, config->socket,
	    config->admin_count + config->auditor_count + config->reporter_count > 0);

	if (error == 0)
		return;
	snprintf(text, sizeof(text), "cannot listen at %s: %s", config->socket,
	    error == -EADDRINUSE ? "another process does; is reeved running twice?" : strerror(-error));
	die(text);
}

static int on_start(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct peers *peers = &control->peers;

	(void)message;
	if (!control->configured || control->started)
		return -EPROTO;
	open_state(control);
	open_socket(control);
	int error = confine();
	if (error != 0) {
		rpc_log(RPC_LOG_ERROR, "cannot give up privileges: %s", strerror(-error));
		exit(1);
	}
	control->started = true;
	control->started_at_ms = peers_now_ms();
	peers_serve(peers);
	peer_is_up(control, &peers->keeper);
	peer_is_up(control, &peers->dataplane);
	peer_is_up(control, &peers->recorder);
	for (uint32_t i = 0; i < peers->worker_count; i++)
		peer_is_up(control, &peers->workers[i]);
	return RPC_SEND(link, SUP_READY, sup_ready, 0, 0, .reserved = 0);
}

static int on_stop(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;

	(void)link;
	(void)message;
	control->stopping = true;
	return 0;
}

/* -- who may say what -------------------------------------------------------------------------------------
 */

enum { STATE_STARTING = 1 << 0, STATE_RUNNING = 1 << 1 };

static const struct rpc_handler handlers[] = {
    {RPC_SUP_CONFIG_CONTROL, RPC_FROM(RPC_SUPERVISOR), STATE_STARTING, on_config},
    {RPC_SUP_ATTACH_RPC, RPC_FROM(RPC_SUPERVISOR), ~0u, on_attach},
    {RPC_SUP_PEER, RPC_FROM(RPC_SUPERVISOR), ~0u, on_peer},
    {RPC_SUP_START, RPC_FROM(RPC_SUPERVISOR), STATE_STARTING, on_start},
    {RPC_SUP_STOP, RPC_FROM(RPC_SUPERVISOR), ~0u, on_stop},
    {RPC_SES_BEGIN, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_begin},
    {RPC_SES_TARGET, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_target},
    {RPC_SES_HOST_KEY, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_host_key},
    {RPC_SES_HOST_KEYS, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_host_keys},
    {RPC_SES_HOST_PROVE, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_host_prove},
    {RPC_SES_WHO, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_who},
    {RPC_SES_FACTOR, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_factor},
    {RPC_SES_MAY, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_may},
    {RPC_SES_CERT, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_cert},
    {RPC_SES_SIGN, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_sign},
    {RPC_SES_SECRET, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_secret},
    {RPC_SES_SECRET_SIGN, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_secret_sign},
    {RPC_SES_PROGRAM, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_program},
    {RPC_SES_PROGRAM_END, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_program_end},
    {RPC_SES_EVENT, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_event},
    {RPC_SES_END, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_end},
    {RPC_SES_RESUME, RPC_FROM(RPC_SSHTERM), STATE_RUNNING, session_on_resume},
};

static int on_message(void *context, struct peer *peer, struct rpc_message *message)
{
	struct control *control = context;

	return rpc_dispatch(handlers, sizeof(handlers) / sizeof(handlers[0]),
	    control->started ? STATE_RUNNING : STATE_STARTING, control, &peer->link, message);
}

static void on_lost(void *context, struct peer *peer)
{
	struct control *control = context;

	if (peer == &control->peers.supervisor) {
		/* Its children stop with it. */
		control->stopping = true;
		return;
	}
	if (peer == &control->peers.dataplane)
		control->policies.dataplane_generation = 0;
	for (uint32_t i = 0; i < control->peers.worker_count; i++)
		if (peer == &control->peers.workers[i] && control->started)
			sessions_worker_lost(control, i);
}

/* -- the loop ---------------------------------------------------------------------------------------------
 */

static void housekeeping(struct control *control, int64_t now, int64_t *next_tick)
{
	static bool settled;
	static int64_t next_prune;

	if (now < *next_tick)
		return;
	*next_tick = now + TICK_MS;
	if (!control->started)
		return;
	server_tick(&control->server);
	if (!settled && now - control->started_at_ms > UNCLAIMED_AFTER_MS) {
		settled = true;
		sessions_settle_unclaimed(control);
	}
	if (time(NULL) >= next_prune) {
		next_prune = time(NULL) + PRUNE_EVERY_S;
		history_prune(control);
		bindings_prune(&control->db, time(NULL));
	}
}

static void turn(struct control *control, int64_t *next_tick)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int call_ms = calls_expire(&control->peers);
	int tick_ms = (int)(*next_tick - peers_now_ms());
	int timeout = tick_ms < 0 ? 0 : tick_ms;
	int settle_ms = database_batch_turn(&control->db, peers_now_ms());

	if (call_ms >= 0 && call_ms < timeout)
		timeout = call_ms;
	if (settle_ms >= 0 && settle_ms < timeout)
		timeout = settle_ms;
	int count = epoll_wait(control->epoll, events, EVENTS_PER_TURN, timeout);
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;
		watch->ready(watch->context, events[i].events);
	}
	if (control->started)
		server_sweep(&control->server);
	housekeeping(control, peers_now_ms(), next_tick);
}

static void close_all(struct control *control)
{
	if (control->started)
		server_close(&control->server);
	/* Before the database: callbacks still write there. */
	peers_close(&control->peers);
	sessions_close(control);
	policies_close(control);
	audit_close(&control->audit);
	known_hosts_free(&control->known);
	revocations_close(&control->revocations);
	database_close(&control->db);
	words_free(&control->context.links);
	close(control->epoll);
}

int main(void)
{
	static struct control control = {.audit = {.fd = -1}, .server = {.fd = -1}};
	struct rpc_link supervisor;
	int64_t next_tick = 0;

	umask(0027); /* who was where is nobody's business but the box's */
	int error = rpc_child_start(RPC_CONTROL, 0, &supervisor);
	if (error == -ENOTSOCK)
		return EXIT_FAILURE;
	if (error != 0 || sodium_init() < 0)
		die("cannot start: the system grants no limits or no randomness");
	control.epoll = epoll_create1(EPOLL_CLOEXEC);
	control.peers.message = on_message;
	control.peers.lost = on_lost;
	control.peers.context = &control;
	peers_prepare(&control.peers, control.epoll);
	if (control.epoll < 0 || peer_adopt(&control.peers.supervisor, &supervisor) != 0)
		die("cannot start: no epoll");
	while (!control.stopping)
		turn(&control, &next_tick);
	close_all(&control);
	return 0;
}
