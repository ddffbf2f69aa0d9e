/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reeve-keeper: the long-lived private keys, and nothing else.
 *
 * Theory of operation. Keys lie in one directory (keyfile.c) and, once read, in locked memory (keyring.c):
 * three CAs, never one, so that what one signs is worth nothing to who trusts another (ca.h: each has several
 * keys while one follows another); the seed of all host keys that clients see; the key that signs evidence;
 * the key that secrets on their way here are sealed to.
 *
 *   user CA     origin-facing: minutes-long certificates, for sessions that are live now
 *   client CA   what `reeve user cert` issues; only the box trusts it
 *   host CA     host certificates
 *   host seed   host keys of all types for each target, derived: the same under each of its names
 * (host_keys.h) evidence    signs what control says about finished programs, so that the recorder cannot
 * forge seal        opens what `reeve` seals for the keeper and control only hands on; encrypts the vault
 * (vault.h)
 *
 * The keeper speaks with control alone. What control may ask is a table (requests.c); what it gets for asking
 * is bounded by the keeper's own rules, for control parses strangers' JSON and may be taken over: no user
 * certificate without a live session or longer than ten minutes, no client certificate longer than 30 days,
 * no host-key signature but over something of an exchange hash's length for the target of a live session.
 * Which sessions live is control's word; it is forgotten when control is replaced, and the next one says it
 * again.
 *
 * Invariants: no key leaves the process or is logged; a seed is never replaced, but the host seed by its
 * announced successor, and a CA's file only as a whole, both by an admin's step; nothing is asked of the
 * network; after confine() only files below the one directory can be opened (confine.c). One thread, and
 * nothing in it takes long: RSA host keys are searched for by a process of their own, and who asked for one
 * waits (host_wait.h).
 */
#include "control/keeper/keeper.h"
#include "control/keeper/host_keys.h"
#include "control/keeper/host_wait.h"
#include "control/keeper/private_key.h"
#include "control/keeper/searcher.h"
#include "control/keeper/token.h"
#include "control/keeper/vault.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAVE_AFTER_MS 200
#define UNSAVED_MAX 64u

enum state { STATE_NEW = 1 << 0, STATE_CONFIGURED = 1 << 1, STATE_SERVING = 1 << 2 };

struct process {
	struct keeper keeper;
	struct token token;
	struct rpc_link supervisor;
	struct rpc_link control;
	uint32_t state;
	bool stop;
};

static uint64_t unix_now(void)
{
	return (uint64_t)time(NULL);
}

static int on_config(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct process *process = context;
	struct rpc_sup_config_keeper body;

	(void)link;
	if (!rpc_get_sup_config_keeper(message->body, &body) || message->fd_count != 1)
		return -EPROTO;
	int directory = message->fds[0];
	message->fds[0] = -1; /* kept for as long as the process lives */
	struct token_settings settings = {.environment = body.pkcs11_environment};
	if (!wire_span_copy(body.pkcs11_module, settings.module, sizeof(settings.module)) ||
	    !wire_span_copy(body.pkcs11_pin_file, settings.pin_file, sizeof(settings.pin_file)))
		return -EPROTO;
	int error = token_start(&process->token, &settings);
	int searcher = error == 0 ? searcher_start() : -1;
	if (error == 0 && searcher < 0)
		error = searcher;
	if (error == 0)
		error = private_key_start();
	if (error == 0)
		error = keyring_open(&process->keeper.keyring, directory);
	if (error != 0)
		return error;
	process->keeper.keyring.token = &process->token;
	process->keeper.live = live_create(KEEPER_SESSIONS_MAX);
	process->keeper.host_keys = host_keys_open(&process->keeper.keyring);
	process->keeper.host_wait = host_wait_create(searcher);
	process->keeper.vault = vault_open(&process->keeper.keyring);
	if (process->keeper.live == NULL || process->keeper.host_wait == NULL ||
	    process->keeper.host_keys == NULL || process->keeper.vault == NULL)
		return -ENOMEM;
	process->state = STATE_CONFIGURED;
	return confine(directory);
}

static int on_attach(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct process *process = context;
	struct rpc_sup_attach_rpc body;

	(void)link;
	if (!rpc_get_sup_attach_rpc(message->body, &body) || body.role != RPC_CONTROL ||
	    message->fd_count != 1)
		return -EPROTO;
	rpc_link_close(&process->control);
	/* The former control's word ends with it: a session that ended meanwhile must not stay live here. */
	live_clear(process->keeper.live);
	host_wait_forget(process->keeper.host_wait);
	process->keeper.look_at_previous_at = process->keeper.now_s() + PREVIOUS_NEEDED_S;
	int fd = message->fds[0];
	message->fds[0] = -1;
	return rpc_link_open(&process->control, fd, RPC_CONTROL, body.index, body.epoch);
}

static int on_peer(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct rpc_sup_peer body;

	(void)context;
	(void)link;
	return rpc_get_sup_peer(message->body, &body) ? 0 : -EPROTO;
}

static int on_start(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct process *process = context;

	(void)message;
	process->state = STATE_SERVING;
	return RPC_SEND(link, SUP_READY, sup_ready, 0, 0, 0);
}

static int on_stop(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct process *process = context;

	(void)link;
	(void)message;
	process->stop = true;
	return 0;
}

static const struct rpc_handler handlers[] = {
    {RPC_SUP_CONFIG_KEEPER, RPC_FROM(RPC_SUPERVISOR), STATE_NEW, on_config},
    {RPC_SUP_ATTACH_RPC, RPC_FROM(RPC_SUPERVISOR), STATE_CONFIGURED | STATE_SERVING, on_attach},
    {RPC_SUP_START, RPC_FROM(RPC_SUPERVISOR), STATE_CONFIGURED, on_start},
    {RPC_SUP_PEER, RPC_FROM(RPC_SUPERVISOR), ~0u, on_peer},
    {RPC_SUP_STOP, RPC_FROM(RPC_SUPERVISOR), ~0u, on_stop},
};

/* Without a supervisor there is nobody to serve for. */
static int hear_supervisor(struct process *process)
{
	struct rpc_message message;
	int got = rpc_receive(&process->supervisor, &message);

	if (got <= 0)
		return got;
	return rpc_dispatch(handlers, sizeof(handlers) / sizeof(handlers[0]), process->state, process,
	    &process->supervisor, &message);
}

static void drop_control(struct process *process)
{
	rpc_link_close(&process->control);
	live_clear(process->keeper.live);
	host_wait_forget(process->keeper.host_wait);
}

static void hear_control(struct process *process)
{
	struct rpc_message message;
	int got = rpc_receive(&process->control, &message);

	if (got > 0)
		got = requests_take(&process->keeper, &process->control, &message);
	if (got >= 0)
		return;
	if (got == -EPROTO)
		rpc_log(RPC_LOG_ERROR, "control sent %s, which it may not or not so; its link is closed",
		    rpc_type_name(message.type));
	drop_control(process);
}

/* < 0: it is gone, and who replaces this process replaces it, too. */
static int hear_searcher(struct process *process)
{
	int got = host_wait_take(&process->keeper, &process->control);

	if (got == -ESRCH) {
		rpc_log(RPC_LOG_ERROR, "the process that searches for RSA host keys is gone");
		return got;
	}
	if (got < 0)
		drop_control(process);
	return 0;
}

/* Writing takes a moment, and is done when nobody waits, or when much would be lost. What becomes of the
 * former host seed is looked at also where no sessions come and go, but only while there is a control to say
 * which live. */
static int wait_for_something(struct process *process, struct pollfd fds[3])
{
	struct host_keys *keys = process->keeper.host_keys;
	unsigned unsaved = keys == NULL ? 0 : host_keys_unsaved(keys);
	int look_in_ms = process->control.fd < 0 ? -1 : host_seed_look_in_ms(&process->keeper);
	int ready = poll(fds, 3, unsaved > 0 ? SAVE_AFTER_MS : look_in_ms);

	if (ready < 0 && errno != EINTR)
		return -errno;
	if (ready == 0 && look_in_ms >= 0)
		host_seed_look(&process->keeper);
	if (unsaved >= UNSAVED_MAX || (ready == 0 && unsaved > 0))
		host_keys_save(keys);
	return 0;
}

static int serve(struct process *process)
{
	while (!process->stop) {
		struct host_wait *host_wait = process->keeper.host_wait;
		struct pollfd fds[3] = {{.fd = process->supervisor.fd, .events = POLLIN},
		    {.fd = process->control.fd, .events = POLLIN},
		    {.fd = host_wait == NULL ? -1 : host_wait_fd(host_wait), .events = POLLIN}};
		int waited = wait_for_something(process, fds);
		if (waited != 0)
			return waited;
		/* Control first: a stop must not overtake what was asked before it. */
		if (fds[1].revents != 0)
			hear_control(process);
		if (fds[2].revents != 0 && hear_searcher(process) != 0)
			return -EPIPE;
		if (fds[0].revents != 0) {
			int error = hear_supervisor(process);
			if (error < 0)
				return error;
		}
	}
	return 0;
}

#ifdef __SANITIZE_ADDRESS__
/* The leak check at exit reads /proc, where a confined process may not. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

int main(void)
{
	struct process process = {.keeper = {.now_s = unix_now}, .control = {.fd = -1}, .state = STATE_NEW};
	int error = rpc_child_start(RPC_KEEPER, 0, &process.supervisor);

	if (error == 0)
		error = serve(&process);
	if (error != 0 && error != -ECONNRESET && error != -ENOTSOCK)
		rpc_log(RPC_LOG_ERROR, "ends: %s", strerror(-error));
	if (process.keeper.host_keys != NULL && host_keys_unsaved(process.keeper.host_keys) > 0)
		host_keys_save(process.keeper.host_keys);
	host_wait_destroy(process.keeper.host_wait);
	host_keys_close(process.keeper.host_keys);
	vault_close(process.keeper.vault);
	keyring_close(&process.keeper.keyring);
	rpc_link_close(&process.control);
	rpc_link_close(&process.supervisor);
	live_destroy(process.keeper.live);
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
