/* SPDX-License-Identifier: Apache-2.0 */
#include "control/peers/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control/peers/calls.h"

#define MESSAGES_PER_TURN 64 /* of one link before the others get their turn */

struct outgoing {
	struct outgoing *next;
	uint16_t type, flags;
	uint32_t id;
	int fd;
	size_t len;
	uint8_t body[];
};

int64_t peers_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void peer_ready(void *context, uint32_t events);

static void peer_init(struct peers *peers, struct peer *peer)
{
	*peer = (struct peer){.peers = peers, .link = {.fd = -1}};
	peer->watch = (struct watch){peer_ready, peer};
}

void peers_prepare(struct peers *peers, int epoll)
{
	peers->epoll = epoll;
	peer_init(peers, &peers->supervisor);
	peer_init(peers, &peers->keeper);
	peer_init(peers, &peers->dataplane);
	peer_init(peers, &peers->recorder);
}

int peers_open(struct peers *peers, uint32_t workers)
{
	if (workers > PEER_WORKERS_MAX)
		return -EINVAL;
	peers->workers = calloc(workers + 1, sizeof(*peers->workers));
	if (peers->workers == NULL)
		return -ENOMEM;
	peers->worker_count = workers;
	for (uint32_t i = 0; i < workers; i++)
		peer_init(peers, &peers->workers[i]);
	return 0;
}

static void clear_queue(struct peer *peer)
{
	while (peer->first != NULL) {
		struct outgoing *next = peer->first->next;
		if (peer->first->fd >= 0)
			close(peer->first->fd);
		free(peer->first);
		peer->first = next;
	}
	peer->last = NULL;
	peer->queued = 0;
}

static void shut(struct peer *peer)
{
	if (peer->link.fd >= 0)
		(void)epoll_ctl(peer->peers->epoll, EPOLL_CTL_DEL, peer->link.fd, NULL);
	rpc_link_close(&peer->link);
	clear_queue(peer);
	peer->writable_wanted = false;
}

void peers_close(struct peers *peers)
{
	calls_abandon(peers);
	shut(&peers->supervisor);
	shut(&peers->keeper);
	shut(&peers->dataplane);
	shut(&peers->recorder);
	for (uint32_t i = 0; i < peers->worker_count; i++)
		shut(&peers->workers[i]);
	free(peers->workers);
	peers->workers = NULL;
	peers->worker_count = 0;
}

struct peer *peers_find(struct peers *peers, uint8_t role, uint32_t index)
{
	switch (role) {
	case RPC_KEEPER:
		return index == 0 ? &peers->keeper : NULL;
	case RPC_DATAPLANE:
		return index == 0 ? &peers->dataplane : NULL;
	case RPC_RECORDER:
		return index == 0 ? &peers->recorder : NULL;
	case RPC_SSHTERM:
		return index < peers->worker_count ? &peers->workers[index] : NULL;
	default:
		return NULL;
	}
}

bool peer_up(const struct peer *peer)
{
	return peer->link.fd >= 0;
}

static uint32_t interest(const struct peer *peer)
{
	bool heard = peer->peers->serving || peer == &peer->peers->supervisor;

	return (heard ? EPOLLIN : 0u) | (peer->writable_wanted ? EPOLLOUT : 0u);
}

static int watch_link(struct peer *peer)
{
	struct epoll_event event = {.events = interest(peer), .data.ptr = &peer->watch};
	int flags = fcntl(peer->link.fd, F_GETFL);

	if (flags < 0 || fcntl(peer->link.fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    epoll_ctl(peer->peers->epoll, EPOLL_CTL_ADD, peer->link.fd, &event) != 0)
		return -errno;
	peer->incarnation++;
	return 0;
}

int peer_attach(struct peer *peer, int fd, enum rpc_role role, uint32_t index, uint32_t epoch)
{
	if (peer_up(peer))
		peer_drop(peer);
	int error = rpc_link_open(&peer->link, fd, role, index, epoch);
	if (error == 0)
		error = watch_link(peer);
	if (error != 0)
		shut(peer);
	return error;
}

int peer_adopt(struct peer *peer, const struct rpc_link *link)
{
	peer->link = *link;
	return watch_link(peer);
}

void peer_drop(struct peer *peer)
{
	if (!peer_up(peer))
		return;
	shut(peer);
	calls_link_lost(peer);
	peer->peers->lost(peer->peers->context, peer);
}

static void watch_again(struct peer *peer)
{
	struct epoll_event event = {.events = interest(peer), .data.ptr = &peer->watch};

	if (peer_up(peer))
		(void)epoll_ctl(peer->peers->epoll, EPOLL_CTL_MOD, peer->link.fd, &event);
}

static void want_writable(struct peer *peer, bool wanted)
{
	if (peer->writable_wanted == wanted)
		return;
	peer->writable_wanted = wanted;
	watch_again(peer);
}

void peers_serve(struct peers *peers)
{
	peers->serving = true;
	watch_again(&peers->keeper);
	watch_again(&peers->dataplane);
	watch_again(&peers->recorder);
	for (uint32_t i = 0; i < peers->worker_count; i++)
		watch_again(&peers->workers[i]);
}

/* 0, -EAGAIN, or what is wrong with the link. */
static int send_now(
    struct peer *peer, uint16_t type, uint16_t flags, uint32_t id, const uint8_t *body, size_t len, int fd)
{
	struct wire_out out = {.start = (uint8_t *)(uintptr_t)body};

	out.at = out.end = out.start + len;
	return rpc_send(
	    &peer->link, type, flags, id, len > 0 ? &out : NULL, fd >= 0 ? &fd : NULL, fd >= 0 ? 1 : 0);
}

static bool enqueue(
    struct peer *peer, uint16_t type, uint16_t flags, uint32_t id, const uint8_t *body, size_t len, int fd)
{
	struct outgoing *out = peer->queued + len > PEER_QUEUE_MAX ? NULL : malloc(sizeof(*out) + len);

	if (out == NULL) {
		rpc_log(RPC_LOG_ERROR, "%s[%u] does not read what it is sent: its link is dropped",
		    rpc_role_name(peer->link.peer), peer->link.index);
		return false;
	}
	*out = (struct outgoing){.type = type, .flags = flags, .id = id, .len = len, .fd = -1};
	if (fd >= 0)
		out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (len > 0)
		memcpy(out->body, body, len);
	if (peer->last != NULL)
		peer->last->next = out;
	else
		peer->first = out;
	peer->last = out;
	peer->queued += sizeof(*out) + len;
	want_writable(peer, true);
	return true;
}

bool peer_send_bytes(
    struct peer *peer, uint16_t type, uint16_t flags, uint32_t id, const uint8_t *body, size_t len, int fd)
{
	if (!peer_up(peer))
		return false;
	int error = peer->first != NULL ? -EAGAIN : send_now(peer, type, flags, id, body, len, fd);
	if (error == 0)
		return true;
	if (error == -EAGAIN && enqueue(peer, type, flags, id, body, len, fd))
		return true;
	if (error != -EAGAIN)
		rpc_log(RPC_LOG_WARNING, "sending %s to %s[%u]: %s", rpc_type_name(type),
		    rpc_role_name(peer->link.peer), peer->link.index, strerror(-error));
	if (peer->link.peer == RPC_SSHTERM && error == -EAGAIN)
		rpc_blame(peer->link.index, peer->link.epoch);
	/* Not dropped here: callers hold sessions that `lost` would free. The reader sees the hang-up next
	 * turn. */
	(void)shutdown(peer->link.fd, SHUT_RDWR);
	return false;
}

bool peer_send(
    struct peer *peer, uint16_t type, uint16_t flags, uint32_t id, rpc_put_fn put, const void *body)
{
	static uint8_t room[RPC_MESSAGE_MAX - 8];
	struct wire_out out = wire_into(room, sizeof(room));

	put(&out, body);
	if (out.failed) {
		rpc_log(RPC_LOG_ERROR, "a message %s to %s is too long and was not sent", rpc_type_name(type),
		    rpc_role_name(peer->link.peer));
		return false;
	}
	return peer_send_bytes(peer, type, flags, id, room, wire_written(&out), -1);
}

/* Sends what waits. 0, or < 0 where the link is broken. */
static int drain(struct peer *peer)
{
	while (peer->first != NULL) {
		struct outgoing *out = peer->first;
		int error = send_now(peer, out->type, out->flags, out->id, out->body, out->len, out->fd);
		if (error == -EAGAIN)
			return 0;
		if (error != 0)
			return error;
		peer->first = out->next;
		if (peer->first == NULL)
			peer->last = NULL;
		peer->queued -= sizeof(*out) + out->len;
		if (out->fd >= 0)
			close(out->fd);
		free(out);
	}
	want_writable(peer, false);
	return 0;
}

static int take_message(struct peer *peer, struct rpc_message *message)
{
	struct peers *peers = peer->peers;

	if ((message->flags & RPC_FLAG_REPLY) != 0) {
		int error = calls_reply(peer, message);
		rpc_message_close_fds(message);
		return error;
	}
	int error = peers->message(peers->context, peer, message);
	rpc_message_close_fds(message);
	return error;
}

static void peer_ready(void *context, uint32_t events)
{
	struct peer *peer = context;
	uint64_t incarnation = peer->incarnation;
	int error = 0;

	if ((events & EPOLLOUT) != 0)
		error = drain(peer);
	/* Before we serve, only a hang-up is reported of the others. */
	if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (interest(peer) & EPOLLIN) == 0)
		error = -ECONNRESET;
	for (int i = 0; error >= 0 && i < MESSAGES_PER_TURN; i++) {
		struct rpc_message message;
		int got = rpc_receive(&peer->link, &message);
		if (got == 0)
			return;
		error = got < 0 ? got : take_message(peer, &message);
		/* A handler may have replaced or dropped this very link. */
		if (peer->incarnation != incarnation || !peer_up(peer))
			return;
		if (error == -EPROTO)
			rpc_log(RPC_LOG_ERROR,
			    "%s[%u] sent %s, which is malformed or not allowed: its link is dropped",
			    rpc_role_name(peer->link.peer), peer->link.index,
			    got < 0 ? "bytes" : rpc_type_name(message.type));
	}
	/* Without a link nobody would end a worker that goes on by itself. One that just died is not blamed.
	 */
	if (error < 0 && error != -ECONNRESET && peer->link.peer == RPC_SSHTERM)
		rpc_blame(peer->link.index, peer->link.epoch);
	if (error < 0)
		peer_drop(peer);
}
