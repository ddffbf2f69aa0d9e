/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's event loop; see sshterm.c for what a turn is. */
#include "sshterm/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "sshterm/long_computation.h"

/* How long a loop without work spins before it sleeps: a wake-up by eventfd costs about this much. */
#define SPIN_US 5
/* Links are asked at least this often while the slab channels keep the loop busy. */
#define LINKS_EVERY_US 200
#define SLEEP_MAX_MS 1000

static uint64_t turn_us;

uint64_t worker_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	turn_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	return turn_us;
}

uint64_t worker_now_us(void)
{
	return turn_us;
}

struct record_channel *worker_record_channel(struct worker *worker)
{
	return worker->record;
}

int worker_init(struct worker *worker, const struct rpc_sup_config_sshterm *config)
{
	uint32_t limit = config->sessions;

	worker->index = config->worker;
	worker->lcores = config->lcores;
	worker->idle_poll = config->idle != 0;
	worker->login_grace_s = config->login_grace_s > 0 ? config->login_grace_s : 120;
	worker->recorder_patience_us =
	    (config->recorder_patience_s > 0 ? config->recorder_patience_s : 5) * UINT64_C(1000000);
	worker->bell = -1;
	if (config->lcores > WORKER_LCORES_MAX)
		return -EINVAL;
	if (limit == 0 || limit > WORKER_SESSIONS_MAX)
		limit = WORKER_SESSIONS_MAX;
	for (uint32_t i = 0; i < WORKER_LCORES_MAX; i++)
		worker->channels[i] = (struct flow_channel){.worker = worker, .lcore = i};
	control_init(worker);
	worker_clock();
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll < 0)
		return -errno;
	int error = sessions_init(&worker->sessions, limit);
	if (error != 0)
		return error;
	worker->record = record_channel_create(worker);
	return worker->record == NULL ? -ENOMEM : 0;
}

void worker_free(struct worker *worker)
{
	/* Before anything that a computation under way may refer to. */
	long_computations_stop(worker);
	for (uint32_t i = 0; i < WORKER_LCORES_MAX; i++)
		flow_channel_drop(&worker->channels[i], "worker_lost");
	control_free(worker);
	record_channel_destroy(worker->record);
	sessions_free(&worker->sessions);
	if (worker->bell >= 0)
		close(worker->bell);
	if (worker->epoll >= 0)
		close(worker->epoll);
}

int worker_watch(struct worker *worker, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	/* A closed descriptor leaves by itself; nothing else refers to these. */
	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST ? -errno : 0;
}

static bool channels_poll(struct worker *worker)
{
	bool any = false;

	for (uint32_t i = 0; i < worker->lcores; i++) {
		struct flow_channel *channel = &worker->channels[i];
		any |= flow_channel_poll(channel);
		if (flow_channel_corrupt(channel)) {
			rpc_log(RPC_LOG_ERROR,
			    "lcore %u broke its slab channel: dropped, its sessions end here", i);
			flow_channel_drop(channel, "dataplane_lost");
		}
	}
	return any;
}

bool worker_turn(struct worker *worker)
{
	uint64_t now = worker_clock();
	bool any = channels_poll(worker);

	any |= record_channel_poll(worker->record, now);
	any |= long_computations_poll(worker);
	sessions_expire(worker, now);
	any |= sessions_run(worker);
	for (uint32_t i = 0; i < worker->lcores; i++)
		flow_channel_settle(&worker->channels[i]);
	return any;
}

static void set_asleep(struct worker *worker, bool asleep)
{
	for (uint32_t i = 0; i < worker->lcores; i++)
		flow_channel_asleep(&worker->channels[i], asleep);
	record_channel_asleep(worker->record, asleep);
}

static bool anything_ready(const struct worker *worker)
{
	for (uint32_t i = 0; i < worker->lcores; i++)
		if (flow_channel_ready(&worker->channels[i]))
			return true;
	return worker->sessions.ready_first != NULL || record_channel_ready(worker->record) ||
	       (worker->helper != NULL && computing_ready(worker->helper));
}

static int sleep_ms(const struct worker *worker)
{
	uint64_t until = sessions_next_deadline(worker);
	uint64_t record = record_channel_deadline(worker->record);
	uint64_t now = worker_now_us();

	if (record < until)
		until = record;
	if (worker->stopping && worker->stop_at_us < until)
		until = worker->stop_at_us;
	if (worker->control.up && worker->control.kept_first != NULL)
		return 1; /* its socket was full */
	if (until <= now)
		return 0;
	/* Rounded up: a wake-up a moment early would spin. */
	uint64_t ms = (until - now + 999) / 1000;
	return ms > SLEEP_MAX_MS ? SLEEP_MAX_MS : (int)ms;
}

/* Asks the links; waits for them and for the bell up to `timeout_ms`. -errno when the supervisor is gone. */
static int links_turn(struct worker *worker, int timeout_ms)
{
	struct epoll_event events[4];
	uint64_t rung;
	int error = 0;
	int ready = epoll_wait(worker->epoll, events, 4, timeout_ms);

	for (int i = 0; i < ready && error == 0; i++) {
		if (events[i].data.fd == worker->supervisor.fd)
			error = supervision_receive(worker);
		else if (worker->helper != NULL && events[i].data.fd == computing_fd(worker->helper))
			computing_heard(worker->helper);
		else if (events[i].data.fd != worker->bell)
			(void)control_poll(worker);
		else if (read(worker->bell, &rung, sizeof(rung)) < 0 && errno != EAGAIN)
			error = -errno;
	}
	control_flush(worker);
	return error;
}

static int doze(struct worker *worker)
{
	int error;

	set_asleep(worker, true);
	worker_clock();
	error = links_turn(worker, anything_ready(worker) ? 0 : sleep_ms(worker));
	set_asleep(worker, false);
	return error;
}

/* A worker that spins leaves its core to the helper while that has something to do: what arrives wakes it. */
static bool may_doze(const struct worker *worker)
{
	return !worker->idle_poll || (worker->helper != NULL && computing_busy(worker->helper));
}

static bool stop_settled(struct worker *worker)
{
	if (!worker->stopping)
		return false;
	if (worker_now_us() >= worker->stop_at_us) {
		rpc_log(RPC_LOG_WARNING, "stopping with %u sessions or their recordings unfinished",
		    worker->sessions.live);
		return true;
	}
	return worker->sessions.live == 0 && record_channel_settled(worker->record) &&
	       control_settled(worker);
}

int worker_loop(struct worker *worker)
{
	uint64_t worked_us = worker_clock();
	uint64_t links_us = 0;
	int error = 0;

	while (error == 0 && !stop_settled(worker)) {
		if (worker_turn(worker)) {
			worked_us = worker_now_us();
			if (worked_us - links_us < LINKS_EVERY_US)
				continue;
		} else if (may_doze(worker) && worker_now_us() - worked_us > SPIN_US) {
			error = doze(worker);
			links_us = worker_clock(); /* they were just asked */
			continue;
		}
		links_us = worker_now_us();
		error = links_turn(worker, 0);
	}
	return error;
}

size_t worker_stats(const struct worker *worker, char *text, size_t size)
{
	const struct worker_counters *c = &worker->counters;
	uint64_t strays = 0;

	for (uint32_t i = 0; i < worker->lcores; i++)
		strays += worker->channels[i].strays;
	int len = snprintf(text, size,
	    "sessions_live %u\nsessions_total %llu\nsessions_refused %llu\nsessions_logged_in %llu\n"
	    "sessions_refused_of_one_source %llu\nnot_ssh %llu\nauth_failures %llu\nlogin_timeouts "
	    "%llu\ndenied %llu\norigin_failures %llu\n"
	    "dataplane_lost %llu\nkilled %llu\nbytes_from_client %llu\nbytes_from_origin %llu\n"
	    "slab_waits %llu\nlong_computations %llu\nstray_descriptors %llu\ncontrol_messages_dropped "
	    "%llu\n",
	    worker->sessions.live, (unsigned long long)c->sessions_total, (unsigned long long)c->refused,
	    (unsigned long long)c->logged_in, (unsigned long long)c->refused_source,
	    (unsigned long long)c->not_ssh, (unsigned long long)c->auth_failures,
	    (unsigned long long)c->login_timeouts, (unsigned long long)c->denied,
	    (unsigned long long)c->origin_failures, (unsigned long long)c->lost,
	    (unsigned long long)c->killed, (unsigned long long)c->bytes_from_client,
	    (unsigned long long)c->bytes_from_origin, (unsigned long long)c->slab_waits,
	    (unsigned long long)c->long_computations, (unsigned long long)strays,
	    (unsigned long long)worker->control.kept_dropped);
	if (len < 0 || (size_t)len >= size)
		return 0;
	return (size_t)len + record_channel_stats(worker->record, text + len, size - (size_t)len);
}
