/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reeved: the supervisor.
 *
 * Theory of operation. reeved reads its own settings and nothing else: it parses no packet, no policy, no
 * message of a stranger. It checks what can be known beforehand, makes the kernel silent on the ports, starts
 * the other programs (executed, not merely forked, each with an environment of two lines and no descriptor
 * but its link to reeved), makes the links, slab channels and bells between them, and hands the ends out.
 * Then it waits: for READY, for deaths, for signals.
 *
 *   start   every child: spawn, SUP_CONFIG_*, SUP_ATTACH_BELL; then every pair: SUP_ATTACH_RPC and _SLAB;
 *           then SUP_START; the child answers SUP_READY, and SUP_PEER tells the others.
 *   death   seen by its pidfd (for the dataplane, by the end of its link, which comes earlier): SUP_PEER
 * down, a new process at once, fresh channels with a higher epoch to it and to the survivors. Who dies again
 * and again within seconds is started once a second. stop    SIGTERM or SIGINT: SUP_STOP by stages, sessions
 * first, so that each finds what it needs to finish: workers, recorder, control, keeper, dataplane. Who does
 * not go is killed. A second signal kills all. own end children are told by PR_SET_PDEATHSIG, and by the end
 * of their link where a change of uid cleared it.
 *
 * One thread, one poll loop, no allocation after start but for a child's receive buffer.
 */
#include "control/reeved.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define POLLED_MAX (1 + 2 * CHILDREN_MAX + LEAVING_MAX)

uint64_t reeved_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static const char help[] =
    "reeved - the supervisor of Portreeve, an inline SSH-auditing appliance\n"
    "\n"
    "usage: reeved -c FILE            run in the foreground until SIGTERM\n"
    "       reeved -c FILE --check    read FILE, say OK or what is wrong with it, and end\n"
    "\n"
    "  -c, --config FILE    settings (YAML; config/examples/reeved.yaml explains each)\n"
    "      --check          only check the settings; needs no rights\n"
    "      --libexec DIR    where reeve-dataplane, reeve-sshterm, reeve-recorder, reeve-control and\n"
    "                       reeve-keeper are (default: beside reeved, as built or as installed)\n"
    "  -V, --version        print the version\n"
    "  -h, --help           print this\n"
    "\n"
    "When everything is up, one line beginning 'reeved: notice: ready' is logged to standard error, and the\n"
    "service manager is told (NOTIFY_SOCKET). SIGTERM and SIGINT stop in order: sessions are told, "
    "recordings\n"
    "finished; a second one stops at once. PORTREEVE_LOG=error|warning|notice|info|debug sets how much is\n"
    "logged. A policy is replaced by `reeve policy apply`, not by a signal.\n"
    "\n"
    "Exit status: 0 stopped in order or settings OK, 1 could not run, 2 wrong usage or settings.\n";

struct arguments {
	const char *config;
	const char *libexec;
	bool check;
};

/* 0: go on; else exit with (status - 1). */
static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, 'k'}, {"libexec", required_argument, NULL, 'l'},
	    {"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			arguments->config = optarg;
			break;
		case 'k':
			arguments->check = true;
			break;
		case 'l':
			arguments->libexec = optarg;
			break;
		case 'V':
			printf("reeved (Portreeve) %s\n", REEVED_VERSION);
			return 1;
		case 'h':
			fputs(help, stdout);
			return 1;
		default:
			fputs("reeved: `reeved --help` says how it is used\n", stderr);
			return 3;
		}
	}
	if (arguments->config == NULL || optind != argc) {
		fputs("reeved: expected -c FILE and nothing else; `reeved --help` says how it is used\n",
		    stderr);
		return 3;
	}
	return 0;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_signal(struct reeved *reeved, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			rpc_log(RPC_LOG_NOTICE,
			    "SIGHUP changes nothing: a policy is replaced by `reeve policy apply`, "
			    "settings by a restart");
		} else if (reeved->phase >= REEVED_STOPPING) {
			rpc_log(RPC_LOG_NOTICE, "a second signal: stopping at once");
			children_kill(reeved);
		} else {
			rpc_log(RPC_LOG_NOTICE, "stopping");
			children_stop(reeved);
		}
	}
}

/* Who is waited for, in the order of the poll array. */
struct polled {
	struct pollfd fds[POLLED_MAX];
	unsigned count;
};

static void poll_add(struct polled *polled, int fd)
{
	polled->fds[polled->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void wait_for_events(struct reeved *reeved, struct polled *polled, int signals, uint64_t until_us)
{
	uint64_t now = reeved_now_us();
	uint64_t wait_us = until_us > now ? until_us - now : 0;
	int timeout_ms = until_us == UINT64_MAX || wait_us > 60000000 ? 60000 : (int)(wait_us / 1000 + 1);

	polled->count = 0;
	poll_add(polled, signals);
	for (unsigned i = 0; i < reeved->child_count; i++) {
		/* poll skips negative descriptors: a child that is down, a link that ended. */
		poll_add(polled, reeved->children[i].link.fd);
		poll_add(polled, reeved->children[i].pidfd);
	}
	for (unsigned i = 0; i < reeved->leaving_count; i++)
		poll_add(polled, reeved->leaving[i].pidfd);
	if (wait_us == 0 && until_us != UINT64_MAX)
		timeout_ms = 0;
	if (poll(polled->fds, polled->count, timeout_ms) <= 0)
		for (unsigned i = 0; i < polled->count; i++)
			polled->fds[i].revents = 0;
}

static void handle_events(struct reeved *reeved, const struct polled *polled)
{
	const struct pollfd *leaving = &polled->fds[1 + 2 * reeved->child_count];
	unsigned leaving_count = polled->count - 1 - 2 * reeved->child_count;

	/* From the end: an event takes its entry out of the list and puts the last one in its place. */
	for (unsigned i = leaving_count; i-- > 0;)
		if (leaving[i].revents != 0)
			leaving_exit_event(reeved, &reeved->leaving[i]);
	for (unsigned i = 0; i < reeved->child_count; i++) {
		struct child *child = &reeved->children[i];
		const struct pollfd *link = &polled->fds[1 + 2 * i], *process = &polled->fds[2 + 2 * i];
		if (link->revents != 0 && child->link.fd == link->fd)
			child_link_event(reeved, child);
		if (process->revents != 0 && child->pidfd == process->fd)
			child_exit_event(reeved, child);
	}
	if (polled->fds[0].revents != 0)
		take_signal(reeved, polled->fds[0].fd);
}

static void serve(struct reeved *reeved, int signals)
{
	static struct polled polled;

	while (reeved->phase != REEVED_GONE) {
		uint64_t next = children_tick(reeved, reeved_now_us());
		if (reeved->phase == REEVED_GONE)
			break;
		wait_for_events(reeved, &polled, signals, next);
		handle_events(reeved, &polled);
	}
}

static int run(struct reeved *reeved)
{
	int signals = open_signals();

	if (signals < 0 || !check_machine(reeved) || !check_directories(reeved) || !check_lock(reeved))
		return 1;
	if (!ports_prepare(reeved)) {
		check_unlock(reeved);
		return 1;
	}
	children_create(reeved);
	if (!children_start_all(reeved)) {
		reeved->failed = true;
		children_stop(reeved);
		children_kill(reeved);
	}
	serve(reeved, signals);
	ports_release(reeved);
	check_unlock(reeved);
	rpc_log(RPC_LOG_NOTICE, "stopped");
	return reeved->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct reeved reeved;
	struct arguments arguments = {0};
	char error[YAML_MESSAGE_MAX];
	int early = read_arguments(argc, argv, &arguments);

	if (early != 0)
		return early - 1;
	rpc_child_start(RPC_SUPERVISOR, 0, NULL);
	if (!settings_read(&reeved.settings, arguments.config, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return 2;
	}
	if (arguments.check) {
		printf("OK: %u link%s, %u lcore%s, %u worker%s\n", PLURAL(reeved.settings.link_count),
		    PLURAL(reeved.settings.lcore_count), PLURAL(reeved.settings.worker_count));
		return 0;
	}
	if (arguments.libexec != NULL)
		snprintf(reeved.libexec, sizeof(reeved.libexec), "%s", arguments.libexec);
	return run(&reeved);
}
