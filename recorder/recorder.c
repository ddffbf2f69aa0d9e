/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reeve-recorder: ciphertext from the workers to the disk.
 *
 * Theory of operation. Each worker has a slab channel to here. What it records is a *program*: an open,
 * sealed blocks numbered from 0, a close, each in a slab whose return is the acknowledgement. One thread does
 * all:
 *
 *   worker ── slab channel ──> channel.c ── open ──> opening.c   file, first header, sidecar, index row
 *                                 │ blocks ────────> writing.c   io_uring writes out of the slabs, flushes
 *                                 │ close ─────────> closing.c   last header, sidecar, index, session log
 *      control ── RPC ──> answers.c (lists, bytes, counters)
 *
 * A turn of the loop reads what the channels have, asks the disk for what can be asked (storage.c: one system
 * call for all writes and flushes of the turn, so strict programs share their flushes' journal commits),
 * takes completions, commits the index and publishes acknowledgements; a turn without work sleeps in poll on
 * the bell that workers ring, the ring's descriptor and the RPC links. In the middle of a bulk transfer that
 * would be two wake-ups and a write for each block: there it first sleeps on the RPC links alone, GATHER_MS,
 * and what gathered is one write. Not where strict programs are open: packets wait for them.
 *
 * Acknowledgements. best_effort: a block is written (and flushed within FLUSH_AFTER_MS); strict: it is
 * flushed. An open says how many whole blocks the file holds. A block that the file has is acknowledged, one
 * that would leave a gap is refused: a file never has a hole, and is readable to its last whole block always.
 *
 * Deaths. A worker's (its channel is replaced, or the supervisor says so): its channel is read to the end,
 * then its programs are finished as `worker_lost`. Ours: the next recorder finds in the index what was open;
 * workers have RESUME_WITHIN_MS to open it again with `resume`, get the count of whole blocks that the file
 * was cut to, and send the rest again out of their slabs; what nobody resumes is finished as `recorder_lost`.
 * What is still open when we have to stop is finished as `stopped`. exit_data is null in each of these.
 *
 * On disk: see directory.h. The truth about a recording is its file and sidecar; the index can be made from
 * sidecars again (rebuild.c does that when index.db is missing or no database).
 *
 * Trust. Workers may be taken over: ids are UUIDs or refused, paths are made of them alone, JSON is copied
 * out of the slab before it is read, a worker reaches only programs that it opened itself, and everything
 * that it can make us keep is bounded (its share of PROGRAMS_MAX, slabs of its channel, LOG_LINE_MAX). We
 * never see plaintext or keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "recorder/answers.h"
#include "recorder/confine.h"
#include "recorder/program.h"
#include "recorder/rebuild.h"
#include "recorder/session_log.h"

#define DIRECTORY_PATH_MAX 3072
#define SPARE_FILES 128       /* of the limit of open files: what is no recording */
#define TURNS_WITHOUT_POLL 16 /* busy, so many turns go by before RPC is looked at */
#define STOP_WITHIN_MS 5000   /* behind the grace: for the disk to finish */
#define GATHER_MS 1
#define INDEX_RETRY_MS 1000
#define REFUSED_MS 2 /* after which a kernel without memory is asked again */
#define RPC_LINKS 2  /* the first of what is slept on */

enum state { CONFIGURING = 1, STARTING = 2, SERVING = 4, STOPPING = 8 };

static struct process {
	struct recorder recorder;
	struct rpc_link supervisor;
	struct rpc_link control;
	enum state state;
	int bell;
	bool settled;            /* while stopping: the grace is over */
	uint64_t stop_at;        /* ms: end of the grace */
	uint64_t index_retry_at; /* ms: when what the index's disk did not take is tried again */
} process;

static void read_clocks(struct recorder *recorder)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	recorder->now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	recorder->now_unix = (uint64_t)time(NULL);
}

static void stop(uint64_t grace_ms)
{
	process.state = STOPPING;
	process.stop_at = process.recorder.now + grace_ms;
}

/* -- what the supervisor says -- */

static int open_storage(struct recorder *recorder, const char *path)
{
	bool made = false;
	int error = directory_open(&recorder->directory, path);

	if (error == 0)
		error = index_open(&recorder->index, path, &made);
	if (error == -EBADMSG)
		error = rebuild_aside(&recorder->directory, path, &recorder->index, &made);
	if (error == 0 && made)
		error = rebuild_index(&recorder->directory, recorder->index);
	if (error == 0) {
		recorder->log_fd = session_log_open(&recorder->directory);
		error = recorder->log_fd < 0 ? recorder->log_fd : programs_recover(recorder);
	}
	return error;
}

static int on_config(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct recorder *recorder = context;
	struct rpc_sup_config_recorder config;
	char path[DIRECTORY_PATH_MAX];

	(void)link;
	if (!rpc_get_sup_config_recorder(message->body, &config) ||
	    !wire_span_copy(config.directory, path, sizeof(path)) || path[0] == '\0')
		return -EPROTO;
	unsigned long files = confine_raise_files(PROGRAMS_MAX + SPARE_FILES);
	recorder->programs_limit = files > SPARE_FILES ? (uint32_t)(files - SPARE_FILES) : 1;
	if (recorder->programs_limit > PROGRAMS_MAX)
		recorder->programs_limit = PROGRAMS_MAX;
	recorder->programs_share = recorder->programs_limit / (config.workers > 0 ? config.workers : 1);
	if (recorder->programs_share == 0)
		recorder->programs_share = 1;
	int error = open_storage(recorder, path);
	if (error != 0) {
		rpc_log(RPC_LOG_ERROR,
		    "%s: recordings cannot be kept there: %s. It must be a directory that this "
		    "user may write.",
		    path, strerror(-error));
		return error;
	}
	error = storage_open(&recorder->storage);
	if (error != 0) {
		rpc_log(RPC_LOG_ERROR,
		    "io_uring: %s. The kernel must have it (kernel.io_uring_disabled = 0 or 1).",
		    strerror(-error));
		return error;
	}
	process.state = STARTING;
	return 0;
}

static int on_start(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct recorder *recorder = context;

	(void)message;
	int error = confine(recorder->directory.root);
	if (error != 0) {
		rpc_log(RPC_LOG_ERROR, "cannot be confined: %s", strerror(-error));
		return error;
	}
	process.state = SERVING;
	return RPC_SEND(link, SUP_READY, sup_ready, 0, 0, .reserved = 0);
}

static int unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

static int take_fd(struct rpc_message *message, unsigned which)
{
	int fd = which < message->fd_count ? message->fds[which] : -1;

	if (fd >= 0)
		message->fds[which] = -1;
	return fd;
}

static int on_bell(void *context, struct rpc_link *link, struct rpc_message *message)
{
	(void)context;
	(void)link;
	int fd = take_fd(message, 0);
	if (fd < 0 || unblock(fd) != 0)
		return -EPROTO;
	if (process.bell >= 0)
		close(process.bell);
	process.bell = fd;
	return 0;
}

static int on_attach_rpc(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct rpc_sup_attach_rpc attach;

	(void)context;
	(void)link;
	if (!rpc_get_sup_attach_rpc(message->body, &attach) || attach.role != RPC_CONTROL)
		return -EPROTO;
	int fd = take_fd(message, 0);
	if (fd < 0 || unblock(fd) != 0)
		return -EPROTO;
	rpc_link_close(&process.control);
	return rpc_link_open(&process.control, fd, RPC_CONTROL, attach.index, attach.epoch);
}

static int on_attach_slab(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct rpc_sup_attach_slab attach;

	(void)link;
	if (!rpc_get_sup_attach_slab(message->body, &attach) || attach.lane != RPC_LANE_TO_RECORDER ||
	    attach.side != RPC_SIDE_CONSUMER || attach.role != RPC_SSHTERM || message->fds[0] < 0)
		return -EPROTO;
	int memfd = take_fd(message, 0);
	int error = channel_attach(context, attach.index, attach.epoch, memfd, take_fd(message, 1));
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "worker %u: its slab channel cannot be opened: %s", attach.index,
		    strerror(-error));
	return error == -EPROTO ? 0 : error;
}

static int on_peer(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct rpc_sup_peer peer;

	(void)link;
	if (!rpc_get_sup_peer(message->body, &peer))
		return -EPROTO;
	if (peer.role == RPC_SSHTERM && !peer.up) {
		worker_lost(context, peer.index);
		orphans_settle(context, orphan_of_worker, peer.index, "worker_lost");
	}
	return 0;
}

static int on_stop(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct rpc_sup_stop request;

	(void)context;
	(void)link;
	if (!rpc_get_sup_stop(message->body, &request))
		return -EPROTO;
	stop(request.grace_ms);
	return 0;
}

static const struct rpc_handler handlers[] = {
    {RPC_SUP_CONFIG_RECORDER, RPC_FROM(RPC_SUPERVISOR), CONFIGURING, on_config},
    {RPC_SUP_ATTACH_BELL, RPC_FROM(RPC_SUPERVISOR), ~0u, on_bell},
    {RPC_SUP_ATTACH_RPC, RPC_FROM(RPC_SUPERVISOR), STARTING | SERVING | STOPPING, on_attach_rpc},
    {RPC_SUP_ATTACH_SLAB, RPC_FROM(RPC_SUPERVISOR), STARTING | SERVING | STOPPING, on_attach_slab},
    {RPC_SUP_PEER, RPC_FROM(RPC_SUPERVISOR), ~0u, on_peer},
    {RPC_SUP_START, RPC_FROM(RPC_SUPERVISOR), STARTING, on_start},
    {RPC_SUP_STOP, RPC_FROM(RPC_SUPERVISOR), ~0u, on_stop},
    {RPC_STATS, RPC_FROM(RPC_CONTROL), SERVING | STOPPING, answer_stats},
    {RPC_REC_LIST, RPC_FROM(RPC_CONTROL), SERVING | STOPPING, answer_list},
    {RPC_REC_READ, RPC_FROM(RPC_CONTROL), SERVING | STOPPING, answer_read},
};

/* Takes what has come on a link. 0, or the -errno that ends it. */
static int receive_all(struct rpc_link *link)
{
	struct rpc_message message;
	int got = 0;

	while (link->fd >= 0 && (got = rpc_receive(link, &message)) > 0) {
		int error = rpc_dispatch(handlers, sizeof(handlers) / sizeof(handlers[0]), process.state,
		    &process.recorder, link, &message);
		if (error == 0)
			continue;
		rpc_log(RPC_LOG_ERROR, "%s from %s was not taken: %s", rpc_type_name(message.type),
		    rpc_role_name(link->peer), strerror(-error));
		return error;
	}
	return got;
}

/* -- the loop -- */

/* True where something was done. */
static bool turn(struct recorder *recorder)
{
	struct program *program;
	bool busy = channels_read(recorder);

	(void)programs_flush_due(recorder);
	orphans_settle(recorder, orphan_overdue, recorder->now, "recorder_lost");
	while ((program = TAILQ_FIRST(&recorder->ready)) != NULL && program_step(recorder, program))
		busy = true;
	session_log_step(recorder);
	int error = storage_submit(&recorder->storage);
	if (error != 0 && error != recorder->submit_error)
		rpc_log(RPC_LOG_ERROR, "io_uring: %s", strerror(-error));
	recorder->submit_error = error;
	busy |= storage_reap(&recorder->storage) > 0;
	if (index_commit(recorder->index) != 0)
		recorder->counters.index_errors++;
	if (recorder->now >= process.index_retry_at) {
		index_retry(recorder->index);
		process.index_retry_at = recorder->now + INDEX_RETRY_MS;
	}
	channels_publish(recorder);
	channels_release(recorder);
	return busy;
}

static int sleep_for(struct recorder *recorder)
{
	int timeout = programs_flush_due(recorder);

	/* What came due between turns is ready now. */
	if (TAILQ_FIRST(&recorder->ready) != NULL && storage_room(&recorder->storage) == STORAGE_DEPTH)
		return 0;
	/* The kernel had no memory for what it was asked: nothing but time tells when it has. */
	if (storage_waits(&recorder->storage))
		return REFUSED_MS;
	if ((recorder->orphans > 0 || process.state == STOPPING) && (timeout < 0 || timeout > 50))
		timeout = 50;
	if (index_owes(recorder->index) && (timeout < 0 || timeout > INDEX_RETRY_MS))
		timeout = INDEX_RETRY_MS;
	return timeout;
}

/* Looks at the descriptors, sleeping on them where there is nothing to do. 0, or -errno of the supervisor's
 * link. */
static int wait_and_receive(struct recorder *recorder, bool busy)
{
	struct pollfd fds[] = {
	    {.fd = process.supervisor.fd, .events = POLLIN},
	    {.fd = process.control.fd, .events = POLLIN},
	    {.fd = process.bell, .events = POLLIN},
	    {.fd = storage_fd(&recorder->storage), .events = POLLIN},
	};
	int timeout = busy ? 0 : sleep_for(recorder);
	bool gather = timeout != 0 && recorder->streamed > 0 && recorder->strict_open == 0;
	uint64_t rung;

	if (gather)
		timeout = GATHER_MS;
	else if (timeout != 0 && channels_asleep(recorder, true))
		timeout = 0;
	if (timeout != 0)
		recorder->streamed = 0;
	recorder->counters.gathers += gather;
	recorder->counters.sleeps += timeout != 0 && !gather;
	int got = poll(fds, gather ? RPC_LINKS : sizeof(fds) / sizeof(fds[0]), timeout);
	channels_asleep(recorder, false);
	read_clocks(recorder);
	if (got <= 0)
		return 0;
	if (fds[2].revents != 0) {
		ssize_t len = read(process.bell, &rung, sizeof(rung));
		(void)len;
	}
	if (fds[1].revents != 0 && receive_all(&process.control) < 0)
		rpc_link_close(&process.control);
	return fds[0].revents != 0 ? receive_all(&process.supervisor) : 0;
}

static bool any_program(const struct program *program, uint64_t unused)
{
	(void)program;
	(void)unused;
	return true;
}

static void settle_all(struct recorder *recorder)
{
	struct program *program, *next;

	for (program = TAILQ_FIRST(&recorder->programs); program != NULL; program = next) {
		next = TAILQ_NEXT(program, all);
		program_settle(recorder, program, "stopped");
	}
	process.settled = true;
}

/* While stopping: true when all is finished, or the disk does not finish. */
static bool stopped(struct recorder *recorder)
{
	orphans_settle(recorder, any_program, 0, "recorder_lost");
	if (recorder->programs_open == 0 && recorder->storage.in_flight == 0)
		return true;
	if (!process.settled && recorder->now >= process.stop_at)
		settle_all(recorder);
	return recorder->now >= process.stop_at + STOP_WITHIN_MS;
}

static void serve(struct recorder *recorder)
{
	unsigned turns = 0;

	while (process.state != STOPPING || !stopped(recorder)) {
		bool busy = turn(recorder);
		if (busy && ++turns % TURNS_WITHOUT_POLL != 0)
			continue;
		int error = wait_and_receive(recorder, busy);
		if (error < 0) {
			/* Without a supervisor nobody can attach or restart anything. */
			rpc_link_close(&process.supervisor);
			if (process.state != STOPPING)
				stop(0);
		}
	}
}

/* Until SUP_START: blocking, as nothing else can happen. 0, or -errno. */
static int start(void)
{
	struct rpc_message message;
	int error = 0;

	while (error == 0 && (process.state == CONFIGURING || process.state == STARTING)) {
		error = rpc_receive(&process.supervisor, &message);
		if (error > 0) {
			error = rpc_dispatch(handlers, sizeof(handlers) / sizeof(handlers[0]), process.state,
			    &process.recorder, &process.supervisor, &message);
			if (error != 0)
				rpc_log(RPC_LOG_ERROR, "%s was not taken: %s", rpc_type_name(message.type),
				    strerror(-error));
		}
	}
	return error;
}

static void prepare(struct recorder *recorder)
{
	TAILQ_INIT(&recorder->channels);
	TAILQ_INIT(&recorder->programs);
	TAILQ_INIT(&recorder->ready);
	TAILQ_INIT(&recorder->dirty);
	TAILQ_INIT(&recorder->logging);
	recorder->log_fd = -1;
	read_clocks(recorder);
	process.control.fd = process.bell = -1;
	process.state = CONFIGURING;
}

int main(void)
{
	struct recorder *recorder = &process.recorder;

	int error = rpc_child_start(RPC_RECORDER, 0, &process.supervisor);
	if (error == -ENOTSOCK)
		return EXIT_FAILURE;
	if (error != 0 || sodium_init() < 0) {
		rpc_log(RPC_LOG_ERROR, "cannot start: %s", error != 0 ? strerror(-error) : "no randomness");
		return EXIT_FAILURE;
	}
	prepare(recorder);
	error = start();
	if (error != 0)
		return EXIT_FAILURE;
	if (process.state == SERVING && unblock(process.supervisor.fd) == 0)
		serve(recorder);
	bool unfinished = recorder->programs_open > 0;
	if (unfinished)
		rpc_log(RPC_LOG_ERROR,
		    "%u recordings could not be finished in time; the next start finishes them",
		    recorder->programs_open);
	index_close(recorder->index);
	return unfinished ? EXIT_FAILURE : EXIT_SUCCESS;
}
