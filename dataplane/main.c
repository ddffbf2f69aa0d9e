/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reeve-dataplane: the process on the wire.
 *
 * Theory of operation. Links are pairs of Ethernet ports; what comes in by one goes out by the other, in
 * order and unchanged, unless the policy says otherwise. Each lcore polls its own queue of each port and runs
 * a frame to its end: look, ask the policy, settle (inspect.c). Allowed and blocked flows keep no state that
 * anything depends on; the decision table only saves asking (decisions.h). TCP that an audit_ssh rule
 * concerns goes to the lcore that owns the flow (handover.c), whose endpoint (tcp/) follows the handshake,
 * takes the connection over and exchanges bytes with an SSH worker by slab channels (handoff.c). No lcore
 * ever waits: the control thread (control_rpc.c) talks to supervisor and control, builds policies (policy.c,
 * classify.c) and publishes them by one pointer.
 *
 * What is never here: keys and plaintext. What is hostile here: every frame (frame.c), and every byte that a
 * worker can write (slab/, handoff.c).
 *
 * Start, in this order, as each step needs what the next one gives up:
 *   1. configuration from the supervisor (descriptor 3);
 *   2. the network namespace that holds the ports;
 *   3. capabilities that no driver needs are dropped, before the EAL makes threads that would keep them;
 *   4. EAL with a file prefix of its own (the files of a killed predecessor are not free for two seconds);
 *   5. mbufs, ports, lcores: all memory of the data path is taken now;
 *   6. slab channels and bells, until SUP_START; SUP_READY says that the ports are up;
 *   7. the control thread, the other lcores, system calls confined, and the main lcore's own loop.
 * Frames move once the first policy is here: a box that does not know what to block or to audit passes
 * nothing, and the first frames wait in the ports' rings meanwhile.
 *
 * End: SUP_STOP, or the supervisor's end of the line closed. The ports are stopped and closed, which takes
 * af_xdp's program off the interface.
 */
#include <errno.h>
#include <fcntl.h>
#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "dataplane/confine.h"
#include "dataplane/control_rpc.h"
#include "dataplane/lcore.h"
#include "dataplane/library_log.h"
#include "dataplane/settings.h"
#include "dataplane/xdp.h"

#define INTERRUPTS_WITHIN_MS 2000
#define DECISIONS4 (1u << 19) /* 16 MB an lcore */
#define DECISIONS6 (1u << 16) /* 4 MB */

static struct settings settings;
static struct dataplane dataplane;
static struct control_rpc control;

static bool failed(const char *what, int error)
{
	rpc_log(RPC_LOG_ERROR, "%s: %s", what, strerror(error < 0 ? -error : error));
	return false;
}

static bool enter_netns(const char *name)
{
	char path[128];

	if (name[0] == '\0')
		return true;
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
		rpc_log(RPC_LOG_ERROR, "network namespace %s: %s (dataplane.netns; `ip netns` lists them)",
		    path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	return true;
}

static bool start_eal(void)
{
	static struct eal_arguments arguments;

	library_log_take();
	settings_eal_arguments(&settings, (long)getpid(), &arguments);
	if (rte_eal_init(arguments.argc, arguments.argv) >= 0)
		return true;
	rpc_log(RPC_LOG_ERROR, "EAL does not start: %s (its own lines above say more; dataplane.eal)",
	    rte_strerror(rte_errno));
	return false;
}

static bool make_rcu(void)
{
	size_t size = rte_rcu_qsbr_get_memsize(dataplane.lcore_count);

	dataplane.rcu = rte_zmalloc("rcu", size, RTE_CACHE_LINE_SIZE);
	return dataplane.rcu != NULL && rte_rcu_qsbr_init(dataplane.rcu, dataplane.lcore_count) == 0;
}

static bool make_lcores(void)
{
	const struct lcore_config config = {
	    .flows = (settings.flows + dataplane.lcore_count - 1) / dataplane.lcore_count,
	    .workers = settings.workers,
	    .windows = settings.windows,
	    .congestion = settings.congestion,
	    .keepalive_ms = settings.keepalive_ms,
	    .decisions4 = DECISIONS4,
	    .decisions6 = DECISIONS6,
	};

	if (!make_rcu())
		return failed("memory for the lcores", ENOMEM);
	for (unsigned i = 0; i < dataplane.lcore_count; i++) {
		dataplane.lcore[i] = lcore_create(&dataplane, i, &config);
		if (dataplane.lcore[i] == NULL)
			return false;
	}
	return true;
}

static bool start_wire(void)
{
	const struct ports_config config = {
	    .lcores = (uint16_t)settings.lcore_count,
	    .mtu = settings.mtu,
	    .mbufs = settings.mbufs,
	    .rx_descriptors = (uint16_t)settings.rx_descriptors,
	    .tx_descriptors = (uint16_t)settings.tx_descriptors,
	};

	dataplane.lcore_count = settings.lcore_count;
	dataplane.poll = settings.poll;
	dataplane.ports = settings.ports;
	return ports_start(&dataplane.ports, &config) && make_lcores();
}

/* Before the start what a killed predecessor left, at the end our own. */
static void clear_interfaces(void)
{
	for (unsigned i = 0; i < settings.ports.count; i++) {
		int error = xdp_detach(settings.ports.port[i].device);
		if (error != 0)
			rpc_log(RPC_LOG_WARNING,
			    "taking the XDP program off port \"%s\": %s (`ip link set … xdp off`)",
			    settings.ports.port[i].device, strerror(-error));
	}
}

static int lcore_main(void *lcore)
{
	int error = confine_thread();

	if (error != 0)
		failed("capabilities of an lcore", error);
	return lcore_run(lcore);
}

/* The EAL's own thread for interrupts and alarms is as old as the EAL: it still has what a start needs, in
 * memory that a taken-over lcore can write. Alarms run in it. */
static void interrupts_main(void *done)
{
	int error = confine_thread();

	atomic_store((_Atomic int *)done, error == 0 ? 1 : error);
}

static int confine_interrupts(void)
{
	static _Atomic int done; /* 1, or -errno */
	int error = rte_eal_alarm_set(1, interrupts_main, &done);

	for (unsigned ms = 0; error == 0 && atomic_load(&done) == 0; ms++) {
		if (ms == INTERRUPTS_WITHIN_MS)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return error != 0 ? error : atomic_load(&done) == 1 ? 0 : atomic_load(&done);
}

/* The lcores are in the order of the configuration; the EAL knows them by CPU. */
static bool launch_lcores(void)
{
	for (unsigned i = 1; i < dataplane.lcore_count; i++)
		if (rte_eal_remote_launch(lcore_main, dataplane.lcore[i], settings.lcore[i]) != 0)
			return failed("an lcore does not start", EBUSY);
	return true;
}

/* The control thread may run on any CPU but is nobody's lcore: a policy is built beside the wire, not on it.
 */
static bool start_control_thread(pthread_t *thread, const cpu_set_t *anywhere)
{
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);

	if (error == 0)
		error = pthread_attr_setaffinity_np(&attributes, sizeof(*anywhere), anywhere);
	if (error == 0)
		error = pthread_create(thread, &attributes, control_rpc_run, &control);
	pthread_attr_destroy(&attributes);
	return error == 0 || failed("the control thread does not start", error);
}

static bool run(const cpu_set_t *anywhere)
{
	pthread_t thread;
	int error = confine_interrupts();

	if (error == 0)
		error = confine_thread();
	if (error != 0)
		return failed("giving up capabilities", error);
	if (!start_control_thread(&thread, anywhere) || !launch_lcores())
		return false;
	error = confine_calls();
	if (error != 0)
		return failed("confining system calls", error);
	lcore_run(dataplane.lcore[0]);
	rte_eal_mp_wait_lcore();
	pthread_join(thread, NULL);
	return true;
}

static bool configure(void)
{
	struct rpc_sup_config_dataplane config;
	char error[256];

	if (!control_rpc_wait_config(&control, &config)) {
		rpc_log(
		    RPC_LOG_ERROR, "no configuration came: this program is started by reeved, not by hand");
		return false;
	}
	if (settings_read(&settings, &config, error, sizeof(error)))
		return true;
	rpc_log(RPC_LOG_ERROR, "%s", error);
	return false;
}

int main(void)
{
	cpu_set_t anywhere;
	int error;
	bool good;

	control =
	    (struct control_rpc){.dataplane = &dataplane, .control = {.fd = -1}, .supervisor = {.fd = -1}};
	error = rpc_child_start(RPC_DATAPLANE, 0, &control.supervisor);
	if (error != 0 || sched_getaffinity(0, sizeof(anywhere), &anywhere) != 0)
		return EXIT_FAILURE;
	if (!configure() || !enter_netns(settings.netns))
		return EXIT_FAILURE;
	error = confine_process();
	if (error != 0) {
		failed("giving up capabilities", error);
		return EXIT_FAILURE;
	}
	clear_interfaces();
	if (!start_eal())
		return EXIT_FAILURE;
	good = start_wire();
	if (good && control_rpc_wait_start(&control))
		good = run(&anywhere);
	ports_stop(&dataplane.ports);
	clear_interfaces();
	(void)rte_eal_cleanup();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
