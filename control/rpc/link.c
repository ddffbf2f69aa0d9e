/* SPDX-License-Identifier: Apache-2.0 */
/* Links: datagrams with descriptors over SOCK_SEQPACKET socketpairs, and the dispatch table. */
#include "control/rpc/rpc.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HEADER_SIZE 8

int rpc_link_open(struct rpc_link *link, int fd, enum rpc_role peer, uint32_t index, uint32_t epoch)
{
	*link = (struct rpc_link){.fd = fd, .peer = peer, .index = index, .epoch = epoch, .next_id = 1};
	link->buffer = malloc(RPC_MESSAGE_MAX);
	if (link->buffer == NULL) {
		close(fd);
		link->fd = -1;
		return -ENOMEM;
	}
	return 0;
}

void rpc_link_close(struct rpc_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	free(link->buffer);
	link->buffer = NULL;
}

int rpc_pair(int fds[2])
{
	int size = 4 * RPC_MESSAGE_MAX;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
			(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

static void put_fds(struct msghdr *header, char *room, const int *fds, unsigned fd_count)
{
	header->msg_control = room;
	header->msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
}

int rpc_send(struct rpc_link *link, uint16_t type, uint16_t flags, uint32_t id, const struct wire_out *out,
    const int *fds, unsigned fd_count)
{
	uint8_t head[HEADER_SIZE];
	struct wire_out header = wire_into(head, sizeof(head));
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * RPC_FDS_MAX)] = {0};
	size_t body = out == NULL ? 0 : wire_written(out);

	if (link->fd < 0)
		return -EPIPE;
	if ((out != NULL && out->failed) || body > RPC_MESSAGE_MAX - HEADER_SIZE || fd_count > RPC_FDS_MAX)
		return -EMSGSIZE;
	wire_put_u16(&header, type);
	wire_put_u16(&header, flags);
	wire_put_u32(&header, id);
	struct iovec parts[2] = {{head, HEADER_SIZE}, {out == NULL ? NULL : out->start, body}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = body > 0 ? 2 : 1};
	if (fd_count > 0)
		put_fds(&message, control, fds, fd_count);
	for (;;) {
		if (sendmsg(link->fd, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		/* A peer that left with messages unread shows as a reset: gone is gone. */
		if (errno == ECONNRESET)
			return -EPIPE;
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	}
}

int rpc_send_body(struct rpc_link *link, uint16_t type, uint16_t flags, uint32_t id, rpc_put_fn put,
    const void *body, const int *fds, unsigned fd_count)
{
	/* Most messages are small; a worker has 10,000 fibers but one thread, so one buffer a thread will do.
	 */
	static _Thread_local uint8_t room[RPC_MESSAGE_MAX];
	struct wire_out out = wire_into(room, RPC_MESSAGE_MAX - HEADER_SIZE);

	put(&out, body);
	return rpc_send(link, type, flags, id, &out, fds, fd_count);
}

static void take_fds(struct msghdr *header, struct rpc_message *message)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg != NULL; cmsg = CMSG_NXTHDR(header, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (message->fd_count < RPC_FDS_MAX)
				message->fds[message->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

int rpc_receive(struct rpc_link *link, struct rpc_message *message)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * RPC_FDS_MAX)];
	struct iovec part = {link->buffer, RPC_MESSAGE_MAX};
	struct msghdr header = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t got;

	*message = (struct rpc_message){.fds = {-1, -1, -1, -1}};
	if (link->fd < 0)
		return -ECONNRESET;
	do
		got = recvmsg(link->fd, &header, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	/* Before anything else: even an empty datagram may bring descriptors, and they would stay open. */
	take_fds(&header, message);
	if (got == 0) {
		rpc_message_close_fds(message);
		return -ECONNRESET;
	}
	struct wire in = wire_over(link->buffer, (size_t)got);
	message->type = wire_u16(&in);
	message->flags = wire_u16(&in);
	message->id = wire_u32(&in);
	message->body = wire_bytes(&in, wire_left(&in));
	if (in.failed || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		rpc_message_close_fds(message);
		return -EPROTO;
	}
	return 1;
}

uint32_t rpc_next_id(struct rpc_link *link)
{
	uint32_t id = link->next_id++;

	if (link->next_id == 0)
		link->next_id = 1;
	return id;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int rpc_call(struct rpc_link *link, uint16_t type, const struct wire_out *out, int timeout_ms,
    struct rpc_message *reply, void (*other)(void *context, struct rpc_message *message), void *context)
{
	uint32_t id = rpc_next_id(link);
	int64_t deadline = now_ms() + timeout_ms;
	int error = rpc_send(link, type, 0, id, out, NULL, 0);

	while (error == 0) {
		int64_t left = deadline - now_ms();
		struct pollfd pfd = {.fd = link->fd, .events = POLLIN};
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
		if (pfd.revents == 0)
			continue;
		int got = rpc_receive(link, reply);
		if (got < 0)
			return got;
		if (got == 0)
			continue;
		if ((reply->flags & RPC_FLAG_REPLY) != 0 && reply->id == id)
			return 0;
		if (other == NULL) {
			rpc_message_close_fds(reply);
			/* A late answer to a call that timed out before is nobody's fault. */
			if ((reply->flags & RPC_FLAG_REPLY) == 0)
				return -EPROTO;
		} else {
			other(context, reply);
		}
	}
	return error;
}

void rpc_message_close_fds(struct rpc_message *message)
{
	for (unsigned i = 0; i < message->fd_count; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	message->fd_count = 0;
}

int rpc_dispatch(const struct rpc_handler *table, size_t entries, uint32_t state, void *context,
    struct rpc_link *link, struct rpc_message *message)
{
	int error = -EPROTO;

	for (size_t i = 0; i < entries; i++) {
		if (table[i].type != message->type)
			continue;
		if ((table[i].from & RPC_FROM(link->peer)) != 0 && (table[i].states & state) != 0)
			error = table[i].handle(context, link, message);
		break;
	}
	rpc_message_close_fds(message);
	return error;
}
