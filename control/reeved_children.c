/* SPDX-License-Identifier: Apache-2.0 */
/* The life of each child: spawned, connected, ready, dead, started again; and how all of them stop. */
#include "control/reeved.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Orderly stop: sessions are told and recordings finished while everything that they need still runs. */
static const enum rpc_role stop_order[] = {RPC_SSHTERM, RPC_RECORDER, RPC_CONTROL, RPC_KEEPER, RPC_DATAPLANE};
#define STOP_STAGES (sizeof(stop_order) / sizeof(stop_order[0]))

void child_name(const struct child *child, char *name, size_t size)
{
	if (child->role == RPC_SSHTERM)
		snprintf(name, size, "reeve-%s[%u]", rpc_role_name(child->role), child->index);
	else
		snprintf(name, size, "reeve-%s", rpc_role_name(child->role));
}

static void add_child(struct reeved *reeved, enum rpc_role role, uint32_t index)
{
	reeved->children[reeved->child_count++] =
	    (struct child){.role = role, .index = index, .pidfd = -1, .link = {.fd = -1}};
}

void children_create(struct reeved *reeved)
{
	add_child(reeved, RPC_KEEPER, 0);
	add_child(reeved, RPC_CONTROL, 0);
	add_child(reeved, RPC_RECORDER, 0);
	for (uint32_t i = 0; i < reeved->settings.worker_count; i++)
		add_child(reeved, RPC_SSHTERM, i);
	add_child(reeved, RPC_DATAPLANE, 0);
}

/* Running, and worth being told anything. */
static bool reachable(const struct child *child)
{
	return child->state != CHILD_DOWN && !child->condemned && child->link.fd >= 0;
}

/* SIGKILL for a child that broke the protocol or does not answer; its exit is handled when it comes. */
static void condemn(struct child *child, const char *why)
{
	char name[32];

	if (child->state == CHILD_DOWN || child->condemned)
		return;
	child_name(child, name, sizeof(name));
	rpc_log(RPC_LOG_ERROR, "%s (pid %d) %s; killing it", name, child->pid, why);
	child->condemned = true;
	kill(child->pid, SIGKILL);
}

static void condemn_for(struct child *child, int error)
{
	condemn(child, error == -EAGAIN ? "does not read what reeved tells it" : "cannot be told anything");
}

/* Tells a running child that `peer` is up or down. A dead link shows by its end; a full one is a fault. */
static void tell_peer(struct child *child, const struct child *peer, bool up)
{
	if (child == peer || !reachable(child))
		return;
	int error = RPC_SEND(&child->link, SUP_PEER, sup_peer, 0, 0, .role = (uint8_t)peer->role,
	    .index = peer->index, .up = up ? 1 : 0);
	if (error == -EAGAIN)
		condemn_for(child, error);
}

static void tell_all(struct reeved *reeved, const struct child *peer, bool up)
{
	for (unsigned i = 0; i < reeved->child_count; i++)
		tell_peer(&reeved->children[i], peer, up);
}

/* -- starting -- */

static bool spawn_child(struct reeved *reeved, struct child *child)
{
	char path[SETTINGS_PATH_MAX], name[32];
	int fds[2];
	int error = spawn_executable(reeved->libexec, child->role, path) ? rpc_pair(fds) : -ENOENT;

	child_name(child, name, sizeof(name));
	if (error == -ENOENT)
		rpc_log(RPC_LOG_ERROR, "%s cannot be started: there is no executable %s", name, path);
	if (error != 0)
		return false;
	int cpu = child->role == RPC_SSHTERM ? (int)reeved->settings.cores[child->index] : -1;
	pid_t pid = spawn(path, child->role, child->index, fds[1], cpu);
	close(fds[1]);
	int pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
	if (pidfd < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0 ||
	    rpc_link_open(&child->link, fds[0], child->role, child->index, reeved->epoch) != 0) {
		rpc_log(RPC_LOG_ERROR, "%s cannot be started: %s", name, strerror(pid < 0 ? -pid : errno));
		if (child->link.fd < 0 && pidfd < 0)
			close(fds[0]);
		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		return false;
	}
	child->pid = pid;
	child->pidfd = pidfd;
	child->condemned = false;
	child->linger_us = 0;
	child->started_us = reeved_now_us();
	child->state = CHILD_STARTING;
	rpc_log(RPC_LOG_INFO, "%s started, pid %d", name, pid);
	return true;
}

/* Spawns and tells it its settings and bells. */
static bool begin(struct reeved *reeved, struct child *child)
{
	child->epoch = reeved->epoch;
	if (channels_make_bells(reeved, child) != 0 || !spawn_child(reeved, child)) {
		channels_close_bells(child);
		return false;
	}
	int error = configure(reeved, child);
	if (error == 0)
		error = channels_send_bells(child);
	if (error != 0)
		condemn_for(child, error);
	return true;
}

static void connect_pair(struct reeved *reeved, struct child *a, struct child *b)
{
	struct child *at_fault;

	if (!reachable(a) || !reachable(b))
		return;
	int error = channels_attach(reeved, a, b, reeved->epoch, &at_fault);
	if (error != 0 && at_fault != NULL)
		condemn_for(at_fault, error);
	else if (error != 0)
		rpc_log(RPC_LOG_ERROR, "no channel between two processes: %s", strerror(-error));
}

static void release(struct child *child)
{
	int error = RPC_SEND(&child->link, SUP_START, sup_start, 0, 0, 0);

	if (error != 0)
		condemn_for(child, error);
}

bool children_start_all(struct reeved *reeved)
{
	reeved->epoch++;
	for (unsigned i = 0; i < reeved->child_count; i++)
		if (!begin(reeved, &reeved->children[i]))
			return false;
	for (unsigned i = 0; i < reeved->child_count; i++)
		for (unsigned j = i + 1; j < reeved->child_count; j++)
			connect_pair(reeved, &reeved->children[i], &reeved->children[j]);
	for (unsigned i = 0; i < reeved->child_count; i++)
		release(&reeved->children[i]);
	return true;
}

static void restart(struct reeved *reeved, struct child *child)
{
	reeved->epoch++;
	if (!begin(reeved, child)) {
		child->restart_us = reeved_now_us() + RESTART_SPACING_US;
		return;
	}
	for (unsigned i = 0; i < reeved->child_count; i++)
		if (&reeved->children[i] != child)
			connect_pair(reeved, child, &reeved->children[i]);
	for (unsigned i = 0; i < reeved->child_count; i++)
		if (reeved->children[i].state == CHILD_UP)
			tell_peer(child, &reeved->children[i], true);
	release(child);
}

/* -- readiness -- */

static void announce_when_all_up(struct reeved *reeved)
{
	for (unsigned i = 0; i < reeved->child_count; i++)
		if (reeved->children[i].state != CHILD_UP)
			return;
	if (reeved->phase != REEVED_STARTING)
		return;
	reeved->phase = REEVED_SERVING;
	rpc_log(RPC_LOG_NOTICE, "ready: %u link%s, %u lcore%s, %u worker%s; control socket %s",
	    PLURAL(reeved->settings.link_count), PLURAL(reeved->settings.lcore_count),
	    PLURAL(reeved->settings.worker_count), reeved->settings.socket);
	notify("READY=1");
}

static int on_ready(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct reeved *reeved = context;
	struct rpc_sup_ready body;
	char name[32];

	if (!rpc_get_sup_ready(message->body, &body))
		return -EPROTO;
	for (unsigned i = 0; i < reeved->child_count; i++) {
		struct child *child = &reeved->children[i];
		if (&child->link != link)
			continue;
		child_name(child, name, sizeof(name));
		rpc_log(RPC_LOG_INFO, "%s is ready after %llu ms", name,
		    (unsigned long long)(reeved_now_us() - child->started_us) / 1000);
		child->state = CHILD_UP;
		child->was_up = true;
		tell_all(reeved, child, true);
	}
	announce_when_all_up(reeved);
	return 0;
}

/* A worker that is in no state to keep the rules is in no state to serve: without the link or channel that it
 * lost it would only hold its sessions. What is said of an earlier run is over. */
static int on_blame(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct reeved *reeved = context;
	struct rpc_sup_blame body;
	char why[64];

	if (!rpc_get_sup_blame(message->body, &body))
		return -EPROTO;
	snprintf(why, sizeof(why), "broke the rules towards %s", rpc_role_name(link->peer));
	for (unsigned i = 0; i < reeved->child_count; i++) {
		struct child *child = &reeved->children[i];
		if (child->role == RPC_SSHTERM && child->index == body.worker && body.epoch >= child->epoch)
			condemn(child, why);
	}
	return 0;
}

static const struct rpc_handler handlers[] = {
    {RPC_SUP_BLAME, RPC_FROM(RPC_CONTROL) | RPC_FROM(RPC_DATAPLANE) | RPC_FROM(RPC_RECORDER),
        1u << CHILD_STARTING | 1u << CHILD_UP, on_blame},
    {RPC_SUP_READY,
        RPC_FROM(RPC_CONTROL) | RPC_FROM(RPC_KEEPER) | RPC_FROM(RPC_DATAPLANE) | RPC_FROM(RPC_SSHTERM) |
            RPC_FROM(RPC_RECORDER),
        1u << CHILD_STARTING, on_ready},
};

/* -- death -- */

static void describe_exit(const siginfo_t *info, char *text, size_t size)
{
	if (info->si_code == CLD_EXITED)
		snprintf(text, size, "exited with status %d", info->si_status);
	else
		snprintf(text, size, "was killed by signal %d (%s)", info->si_status,
		    sigabbrev_np(info->si_status) != NULL ? sigabbrev_np(info->si_status) : "?");
}

/* At once the first times; a child that keeps dying is started once a second. */
static void plan_restart(struct child *child)
{
	uint64_t now = reeved_now_us();

	child->quick_deaths = now - child->started_us < STEADY_US ? child->quick_deaths + 1 : 0;
	child->restart_us = child->quick_deaths <= RESTARTS_AT_ONCE ? now : now + RESTART_SPACING_US;
}

static void forget_run(struct child *child)
{
	rpc_link_close(&child->link);
	channels_close_bells(child);
	child->state = CHILD_DOWN;
	child->pid = 0;
	child->pidfd = -1;
}

/* A child that never came up because of what it was given (arguments, ports) will not by trying again. */
static bool hopeless(const struct reeved *reeved, const struct child *child, bool by_signal)
{
	return reeved->phase == REEVED_STARTING && !child->was_up &&
	       (!by_signal || child->quick_deaths >= RESTARTS_AT_ONCE);
}

static void after_death(struct reeved *reeved, struct child *child, bool by_signal, const char *how)
{
	char name[32];
	bool stopping = reeved->phase >= REEVED_STOPPING;
	pid_t pid = child->pid;

	child_name(child, name, sizeof(name));
	forget_run(child);
	tell_all(reeved, child, false);
	if (stopping) {
		rpc_log(RPC_LOG_INFO, "%s (pid %d) %s", name, pid, how);
		return;
	}
	if (hopeless(reeved, child, by_signal)) {
		rpc_log(RPC_LOG_ERROR,
		    "%s (pid %d) %s before it was ready: giving up; its own message stands above", name, pid,
		    how);
		reeved->failed = true;
		children_stop(reeved);
		return;
	}
	plan_restart(child);
	rpc_log(RPC_LOG_WARNING, "%s (pid %d) %s; starting it again%s", name, pid, how,
	    child->quick_deaths <= RESTARTS_AT_ONCE ? "" : " in a second");
}

void child_exit_event(struct reeved *reeved, struct child *child)
{
	siginfo_t info = {0};
	char how[64];

	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
		return;
	close(child->pidfd);
	if (child->role == RPC_DATAPLANE)
		leftovers_remove(child->pid, child->generation);
	describe_exit(&info, how, sizeof(how));
	after_death(reeved, child, info.si_code != CLD_EXITED, how);
}

/* A killed DPDK process takes up to two seconds to give its memory and sockets back. Its links end long
 * before; the successor has its own file prefix and need not wait. */
static void leave(struct reeved *reeved, struct child *child)
{
	if (reeved->leaving_count == LEAVING_MAX)
		return; /* its exit event will do */
	struct leaving *leaving = &reeved->leaving[reeved->leaving_count++];
	*leaving =
	    (struct leaving){.pid = child->pid, .pidfd = child->pidfd, .generation = child->generation};
	child_name(child, leaving->name, sizeof(leaving->name));
	kill(child->pid, SIGKILL);
	after_death(reeved, child, true, "closed its link");
}

void leaving_exit_event(struct reeved *reeved, struct leaving *leaving)
{
	siginfo_t info = {0};
	char how[64];

	if (waitid(P_PIDFD, (id_t)leaving->pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
		return;
	close(leaving->pidfd);
	leftovers_remove(leaving->pid, leaving->generation);
	describe_exit(&info, how, sizeof(how));
	rpc_log(RPC_LOG_INFO, "%s (pid %d) is gone: it %s", leaving->name, leaving->pid, how);
	*leaving = reeved->leaving[--reeved->leaving_count];
}

void child_link_event(struct reeved *reeved, struct child *child)
{
	struct rpc_message message;
	int got = rpc_receive(&child->link, &message);

	if (got == 0)
		return;
	if (got > 0) {
		if (child->condemned) {
			rpc_message_close_fds(&message);
			return;
		}
		if (rpc_dispatch(handlers, sizeof(handlers) / sizeof(handlers[0]), 1u << child->state, reeved,
		        &child->link, &message) != 0)
			condemn(child, "sent what it may not send");
		return;
	}
	/* The end of the link: the process is dying (its exit event follows) or is no use any more. */
	child_exit_event(reeved, child);
	if (child->state == CHILD_DOWN)
		return;
	if (child->role == RPC_DATAPLANE && reeved->phase == REEVED_SERVING) {
		leave(reeved, child);
		return;
	}
	/* It may be on its way out and tidy up behind itself. */
	rpc_link_close(&child->link);
	child->linger_us = reeved_now_us() + LINGER_US;
}

/* -- stopping -- */

static unsigned running(const struct reeved *reeved, enum rpc_role role)
{
	unsigned count = 0;

	for (unsigned i = 0; i < reeved->child_count; i++)
		count += reeved->children[i].role == role && reeved->children[i].state != CHILD_DOWN;
	return count;
}

static void stop_stage(struct reeved *reeved)
{
	enum rpc_role role = stop_order[reeved->stop_stage];
	uint32_t grace_ms = reeved->stop_stage == 0 ? reeved->settings.stop_grace_ms : STOP_STAGE_US / 1000;

	reeved->stop_deadline_us = reeved_now_us() + (uint64_t)grace_ms * 1000;
	for (unsigned i = 0; i < reeved->child_count; i++) {
		struct child *child = &reeved->children[i];
		if (child->role != role || !reachable(child))
			continue;
		int error = RPC_SEND(&child->link, SUP_STOP, sup_stop, 0, 0, .grace_ms = grace_ms);
		if (error != 0)
			condemn_for(child, error);
	}
}

void children_stop(struct reeved *reeved)
{
	if (reeved->phase >= REEVED_STOPPING)
		return;
	notify("STOPPING=1");
	reeved->phase = REEVED_STOPPING;
	reeved->stop_stage = 0;
	stop_stage(reeved);
}

void children_kill(struct reeved *reeved)
{
	for (unsigned i = 0; i < reeved->child_count; i++)
		if (reeved->children[i].state != CHILD_DOWN) {
			reeved->children[i].condemned = true;
			kill(reeved->children[i].pid, SIGKILL);
		}
}

/* Whose link ended and who yet does not exit is of no use to anybody. */
static uint64_t check_lingering(struct reeved *reeved, uint64_t now_us)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < reeved->child_count; i++) {
		struct child *child = &reeved->children[i];
		if (child->state == CHILD_DOWN || child->linger_us == 0 || child->condemned)
			continue;
		if (now_us >= child->linger_us)
			condemn(child, "closed its link and did not exit");
		else if (child->linger_us < next)
			next = child->linger_us;
	}
	return next;
}

static void stop_advance(struct reeved *reeved, uint64_t now_us)
{
	while (reeved->stop_stage < STOP_STAGES && running(reeved, stop_order[reeved->stop_stage]) == 0)
		if (++reeved->stop_stage < STOP_STAGES)
			stop_stage(reeved);
	if (reeved->stop_stage == STOP_STAGES) {
		if (reeved->leaving_count == 0)
			reeved->phase = REEVED_GONE;
		return;
	}
	for (unsigned i = 0; now_us >= reeved->stop_deadline_us && i < reeved->child_count; i++)
		if (reeved->children[i].role == stop_order[reeved->stop_stage])
			condemn(&reeved->children[i], "did not stop in time");
}

uint64_t children_tick(struct reeved *reeved, uint64_t now_us)
{
	uint64_t next = check_lingering(reeved, now_us);

	if (reeved->phase == REEVED_STOPPING) {
		stop_advance(reeved, now_us);
		uint64_t stage =
		    reeved->stop_deadline_us > now_us ? reeved->stop_deadline_us : now_us + 1000000;
		return stage < next ? stage : next;
	}
	for (unsigned i = 0; i < reeved->child_count; i++) {
		struct child *child = &reeved->children[i];
		uint64_t due = UINT64_MAX;
		if (child->state == CHILD_DOWN && child->restart_us <= now_us)
			restart(reeved, child);
		if (child->state == CHILD_STARTING && now_us >= child->started_us + READY_TIMEOUT_US)
			condemn(child, "did not become ready in 30 s");
		if (child->state == CHILD_DOWN)
			due = child->restart_us;
		else if (child->state == CHILD_STARTING && !child->condemned)
			due = child->started_us + READY_TIMEOUT_US;
		next = due < next ? due : next;
	}
	return next;
}
