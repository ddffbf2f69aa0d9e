/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null_sshterm: a worker that speaks no SSH. In reeve-sshterm's place (reeved --libexec DIR, with DIR's
 * reeve-sshterm a link to it) it turns the bytes of every adopted connection round (turn.h), so that any TCP
 * stream passes through two of the box's endpoints: what is measured and tested then is the dataplane.
 *
 * Built twice, because reeved gives its children neither arguments nor environment of ours:
 * null_sshterm_relay and null_sshterm_echo. To the supervisor it is a worker like any other: configuration,
 * bell, links and channels, start, ready; what concerns sessions and recordings is left unused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "tests/lab/null_worker/turn.h"

#define LANES_MAX 64
#define SPIN_US 5          /* how long a loop without work spins before it sleeps */
#define LINKS_EVERY_US 200 /* links are asked at least this often while the channels keep the loop busy */
#define SLEEP_MAX_MS 1000

struct null_worker {
	struct rpc_link supervisor, control;
	struct turn_lane lanes[LANES_MAX];
	uint32_t lane_count;
	bool idle_poll;
	bool stopping;
	uint64_t stop_at_us;
	int bell, epoll;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int watch(struct null_worker *worker, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST ? -errno : 0;
}

/* -- control asks for figures; everything else it says is about sessions -- */

static int take_stats(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct null_worker *worker = context;
	uint64_t live = 0, total = 0, bytes = 0, strays = 0;
	char text[256];

	for (uint32_t i = 0; i < worker->lane_count; i++) {
		live += worker->lanes[i].live;
		total += worker->lanes[i].total;
		bytes += worker->lanes[i].bytes;
		strays += worker->lanes[i].strays;
	}
	int len = snprintf(text, sizeof(text),
	    "null_flows_live %llu\nnull_flows_total %llu\nnull_bytes %llu\nnull_strays %llu\n",
	    (unsigned long long)live, (unsigned long long)total, (unsigned long long)bytes,
	    (unsigned long long)strays);
	(void)RPC_SEND(link, STATS_REPLY, stats_reply, RPC_FLAG_REPLY, message->id,
	    .text = {(const uint8_t *)text, (size_t)len});
	return 0;
}

static const struct rpc_handler control_table[] = {{RPC_STATS, RPC_FROM(RPC_CONTROL), ~0u, take_stats}};

static void control_detach(struct null_worker *worker)
{
	if (worker->control.fd >= 0)
		rpc_link_close(&worker->control);
	worker->control.fd = -1;
}

static void control_receive(struct null_worker *worker)
{
	struct rpc_message message;
	int got = 0;

	while (worker->control.fd >= 0 && (got = rpc_receive(&worker->control, &message)) > 0)
		if (rpc_dispatch(control_table, 1, ~0u, worker, &worker->control, &message) != 0)
			got = -EPROTO;
	if (got < 0)
		control_detach(worker);
}

/* -- what the supervisor says -- */

/* Takes a descriptor out of the message; it is the caller's from now on. -1: none there. */
static int take_fd(struct rpc_message *message, unsigned i)
{
	if (i >= message->fd_count)
		return -1;
	int fd = message->fds[i];
	message->fds[i] = -1;
	return fd;
}

static int attach_bell(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct null_worker *worker = context;
	int fd = take_fd(message, 0);

	(void)link;
	if (fd < 0)
		return -EPROTO;
	if (worker->bell >= 0)
		close(worker->bell);
	worker->bell = fd;
	return watch(worker, fd);
}

static int attach_rpc(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct null_worker *worker = context;
	struct rpc_sup_attach_rpc body;
	int fd;

	(void)link;
	if (!rpc_get_sup_attach_rpc(message->body, &body) || (fd = take_fd(message, 0)) < 0)
		return -EPROTO;
	control_detach(worker);
	int error = rpc_link_open(&worker->control, fd, RPC_CONTROL, 0, body.epoch);
	return error != 0 ? error : watch(worker, fd);
}

static int attach_slab(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct null_worker *worker = context;
	struct rpc_sup_attach_slab body;
	int memfd, bell;

	(void)link;
	if (!rpc_get_sup_attach_slab(message->body, &body) || (memfd = take_fd(message, 0)) < 0)
		return -EPROTO;
	bell = take_fd(message, 1);
	if (body.role != RPC_DATAPLANE || body.lcore >= worker->lane_count) {
		/* The recorder's: there is nothing to record. */
		close(memfd);
		if (bell >= 0)
			close(bell);
		return 0;
	}
	struct turn_lane *lane = &worker->lanes[body.lcore];
	bool inward = body.lane == RPC_LANE_TO_WORKER;
	if (body.epoch != lane->epoch || (inward ? lane->in != NULL : lane->out != NULL))
		turn_drop(lane);
	lane->epoch = body.epoch;
	return inward ? slab_consumer_open(&lane->in, memfd, bell)
	              : slab_producer_open(&lane->out, memfd, bell);
}

static int peer(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct null_worker *worker = context;
	struct rpc_sup_peer body;

	(void)link;
	if (!rpc_get_sup_peer(message->body, &body))
		return -EPROTO;
	if (!body.up && body.role == RPC_DATAPLANE)
		for (uint32_t i = 0; i < worker->lane_count; i++)
			turn_drop(&worker->lanes[i]);
	if (!body.up && body.role == RPC_CONTROL)
		control_detach(worker);
	return 0;
}

static int start(void *context, struct rpc_link *link, struct rpc_message *message)
{
	(void)context;
	return RPC_SEND(link, SUP_READY, sup_ready, RPC_FLAG_REPLY, message->id, .reserved = 0);
}

static int stop(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct null_worker *worker = context;
	struct rpc_sup_stop body;

	(void)link;
	if (!rpc_get_sup_stop(message->body, &body))
		return -EPROTO;
	if (worker->stopping)
		return 0;
	worker->stopping = true;
	worker->stop_at_us = now_us() + (uint64_t)body.grace_ms * 1000;
	for (uint32_t i = 0; i < worker->lane_count; i++)
		turn_reset_all(&worker->lanes[i]);
	return 0;
}

static const struct rpc_handler supervisor_table[] = {
    {RPC_SUP_ATTACH_BELL, RPC_FROM(RPC_SUPERVISOR), ~0u, attach_bell},
    {RPC_SUP_ATTACH_RPC, RPC_FROM(RPC_SUPERVISOR), ~0u, attach_rpc},
    {RPC_SUP_ATTACH_SLAB, RPC_FROM(RPC_SUPERVISOR), ~0u, attach_slab},
    {RPC_SUP_PEER, RPC_FROM(RPC_SUPERVISOR), ~0u, peer},
    {RPC_SUP_START, RPC_FROM(RPC_SUPERVISOR), ~0u, start},
    {RPC_SUP_STOP, RPC_FROM(RPC_SUPERVISOR), ~0u, stop},
};

static int supervisor_receive(struct null_worker *worker)
{
	struct rpc_message message;
	int got;

	while ((got = rpc_receive(&worker->supervisor, &message)) > 0) {
		int error =
		    rpc_dispatch(supervisor_table, sizeof(supervisor_table) / sizeof(supervisor_table[0]),
		        ~0u, worker, &worker->supervisor, &message);
		if (error != 0)
			return error;
	}
	return got;
}

/* -- the loop -- */

static bool turn(struct null_worker *worker)
{
	bool any = false;

	for (uint32_t i = 0; i < worker->lane_count; i++) {
		any |= turn_poll(&worker->lanes[i]);
		if (turn_corrupt(&worker->lanes[i])) {
			rpc_log(RPC_LOG_ERROR, "lcore %u broke its slab channel: dropped", i);
			turn_drop(&worker->lanes[i]);
		}
		turn_settle(&worker->lanes[i]);
	}
	return any;
}

/* Asks the links; waits for them and for the bell up to `timeout_ms`. -errno: the supervisor is gone. */
static int links_turn(struct null_worker *worker, int timeout_ms)
{
	struct epoll_event events[3];
	uint64_t rung;
	int error = 0, ready = epoll_wait(worker->epoll, events, 3, timeout_ms);

	for (int i = 0; i < ready && error == 0; i++) {
		if (events[i].data.fd == worker->supervisor.fd)
			error = supervisor_receive(worker);
		else if (events[i].data.fd != worker->bell)
			control_receive(worker);
		else if (read(worker->bell, &rung, sizeof(rung)) < 0 && errno != EAGAIN)
			error = -errno;
	}
	return error;
}

static int doze(struct null_worker *worker)
{
	bool ready = false;

	for (uint32_t i = 0; i < worker->lane_count; i++)
		turn_asleep(&worker->lanes[i], true);
	for (uint32_t i = 0; i < worker->lane_count; i++)
		ready |= turn_ready(&worker->lanes[i]);
	int error = links_turn(worker, ready ? 0 : worker->stopping ? 10 : SLEEP_MAX_MS);
	for (uint32_t i = 0; i < worker->lane_count; i++)
		turn_asleep(&worker->lanes[i], false);
	return error;
}

static bool stopped(const struct null_worker *worker)
{
	uint64_t live = 0;

	for (uint32_t i = 0; i < worker->lane_count; i++)
		live += worker->lanes[i].live;
	return worker->stopping && (live == 0 || now_us() >= worker->stop_at_us);
}

static int loop(struct null_worker *worker)
{
	uint64_t worked_us = now_us(), links_us = 0;
	int error = 0;

	while (error == 0 && !stopped(worker)) {
		bool any = turn(worker);
		uint64_t now = now_us();
		if (any)
			worked_us = now;
		if (any && now - links_us < LINKS_EVERY_US)
			continue;
		if (!any && !worker->idle_poll && now - worked_us > SPIN_US)
			error = doze(worker);
		else
			error = links_turn(worker, 0);
		links_us = now_us();
	}
	return error;
}

static int configure(struct null_worker *worker)
{
	struct rpc_sup_config_sshterm config;
	struct rpc_message message;

	if (rpc_receive(&worker->supervisor, &message) <= 0 || message.type != RPC_SUP_CONFIG_SSHTERM ||
	    !rpc_get_sup_config_sshterm(message.body, &config) || config.lcores > LANES_MAX)
		return -EPROTO;
	worker->lane_count = config.lcores;
	worker->idle_poll = config.idle != 0;
	worker->bell = worker->control.fd = -1;
	for (uint32_t i = 0; i < LANES_MAX; i++)
		worker->lanes[i].mode = NULL_WORKER_MODE;
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	return worker->epoll < 0 ? -errno : watch(worker, worker->supervisor.fd);
}

int main(int argc, char **argv)
{
	static struct null_worker worker;
	uint32_t index = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;

	if (rpc_child_start(RPC_SSHTERM, index, &worker.supervisor) != 0) {
		fprintf(stderr, "null_sshterm is started by reeved, not by hand\n");
		return 2;
	}
	int error = configure(&worker);
	if (error != 0) {
		rpc_log(RPC_LOG_ERROR, "no configuration from the supervisor: %s", strerror(-error));
		return 1;
	}
	rpc_log(RPC_LOG_NOTICE, "turns bytes round, no SSH");
	error = loop(&worker);
	if (error != 0)
		rpc_log(RPC_LOG_WARNING, "the supervisor is gone: %s", strerror(-error));
	for (uint32_t i = 0; i < worker.lane_count; i++)
		turn_drop(&worker.lanes[i]);
	return error == 0 ? 0 : 1;
}
