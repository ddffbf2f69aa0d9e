/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reeve-sshterm: an SSH worker, one process a worker core.
 *
 * Theory of operation. The dataplane takes TCP connections over and hands their bytes to a worker through
 * slab channels (flow_channel.c). A worker makes each of them a session (sessions.c): straight-line code in a
 * fiber (fiber.c) that talks SSH to both sides through libssh, whose sockets are virtual (vsock.c):
 *
 *   legs.c         the order of things: origin's key exchange, client's key exchange, who, may, origin's
 * login origin_leg.c   we as the client of the origin, with a certificate minted for this session
 *   client_leg.c   we as the server of the client, with a host key whose private half is in the keeper
 *   bridge.c       from then on: packets of the connection protocol, from one leg to the other
 *
 * What must be asked or told goes to control over one link (control_rpc.c); what is recorded goes, sealed, to
 * the recorder (record_channel.c). libssh's insides are touched in libssh_inside.c alone.
 *
 * A turn of the loop (worker.c): take descriptors in from each lcore and wake the sessions they are for; take
 * acknowledgements of the recorder; wake those whose deadline came; run every ready fiber until it waits;
 * copy out what they left unread and put what they wrote; publish once. Only when a turn finds nothing, and
 * 5 microseconds later still nothing, does the worker raise its asleep flags, look once more, and sleep on
 * its bell and links. So a busy worker makes no system call per packet, and an idle one costs nothing.
 *
 * What would hold all sessions up, a key exchange of old or dear kind or an RSA signature, is computed by the
 * worker's only other thread (computing_thread.c), one after the other, while the session's fiber waits
 * (long_computation.c); its word that it is done is one more thing that a turn looks at.
 *
 * Bounds: received bytes a leg by the dataplane's credit, sent ones by slab credit, sessions by the
 * configuration, stacks by a guard page, time before login by login grace time. No locks: the two threads
 * share one job at a time.
 *
 * What is trusted: nothing of what arrives on a leg; of the dataplane, only what slab.c and the credit allow
 * it; of control, its decisions. A worker that is taken over has the plaintext of its own sessions and may
 * ask control to sign for them, and nothing else (confine.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/confine.h"
#include "sshterm/fiber.h"
#include "sshterm/legs.h"
#include "sshterm/long_computation.h"
#include "sshterm/worker.h"

/* The first message must be the configuration; it comes before anything else may. */
static int receive_config(struct rpc_link *link, struct rpc_sup_config_sshterm *config)
{
	struct rpc_message message;
	int got = rpc_receive(link, &message);

	if (got <= 0)
		return got < 0 ? got : -EPROTO;
	rpc_message_close_fds(&message);
	if (message.type != RPC_SUP_CONFIG_SSHTERM || !rpc_get_sup_config_sshterm(message.body, config))
		return -EPROTO;
	return 0;
}

static void pin_to_core(uint32_t core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (core < CPU_SETSIZE)
		CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		rpc_log(RPC_LOG_WARNING, "cannot run on core %u alone: %s", core, strerror(errno));
}

/* What libraries read from files or ask of the kernel, they do here, before the doors close. */
static int libraries_start(void)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || sodium_init() < 0 ||
	    ssh_init() != SSH_OK)
		return -EINVAL;
	return legs_start();
}

/* The helper has no more rights than the worker: it is started by nobody, and gets the same filter. */
static int start_helper_and_close_doors(struct worker *worker)
{
	int error = long_computations_start(worker);

	if (error != 0) {
		rpc_log(RPC_LOG_ERROR, "cannot start the thread for long computations: %s", strerror(-error));
		return error;
	}
	return confine_calls();
}

static int start(struct worker *worker)
{
	struct rpc_sup_config_sshterm config;
	int error = receive_config(&worker->supervisor, &config);

	if (error != 0) {
		rpc_log(RPC_LOG_ERROR, "no configuration from the supervisor: %s", strerror(-error));
		return error;
	}
	pin_to_core(config.core);
	error = libraries_start();
	if (error != 0) {
		rpc_log(RPC_LOG_ERROR, "a library did not start");
		return error;
	}
	error = worker_init(worker, &config);
	if (error != 0) {
		rpc_log(RPC_LOG_ERROR, "cannot take the memory for %u sessions over %u lcores: %s",
		    config.sessions, config.lcores, strerror(-error));
		return error;
	}
	(void)fcntl(worker->supervisor.fd, F_SETFL, O_NONBLOCK);
	error = worker_watch(worker, worker->supervisor.fd);
	if (error == 0)
		error = confine_identity();
	return error != 0 ? error : start_helper_and_close_doors(worker);
}

int main(int argc, char **argv)
{
	/* Large, and alive for as long as the process: sessions point to it. */
	static struct worker worker;
	uint32_t index = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;

	int error = rpc_child_start(RPC_SSHTERM, index, &worker.supervisor);
	if (error != 0) {
		if (error != -ENOTSOCK)
			rpc_log(RPC_LOG_ERROR, "cannot start: %s", strerror(-error));
		return 1;
	}
	if (start(&worker) != 0)
		return 1;
	error = worker_loop(&worker);
	if (error != 0)
		rpc_log(RPC_LOG_WARNING, "the supervisor is gone: %s", strerror(-error));
	worker_free(&worker);
	legs_stop();
	fiber_pool_drain();
	return error == 0 ? 0 : 1;
}
