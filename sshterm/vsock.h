/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock: a virtual socket is one leg's byte stream between the dataplane's slabs and libssh.
 *
 * Theory of operation. Received slabs are read where they lie: flow_channel.c queues them here, the session's
 * fiber runs in the same turn of the worker's loop, and what it left is copied out at the end of the turn
 * (vsock_settle), so that no slab of the shared pool is ever held by a session that does not read. Received
 * bytes are bounded by the flow's receive_max, which the dataplane may not exceed before it is told CONSUMED.
 * Sent bytes gather in one open slab, which is put when it is full or at the end of the turn; how many slabs
 * of a leg may be out the dataplane says (vsock_credit: it follows the path's bandwidth-delay product), as
 * far as the slabs of the channel go round.
 *
 * libssh sees a descriptor (FIRST..LAST below) and calls vsock_poll and kin, to which its source is renamed
 * at build (libssh/vsock_rename.h). Those calls wait by yielding the session's fiber. Facts they are built
 * on: libssh takes EAGAIN of send as fatal, so a full leg's send takes 0 bytes; it only reads after POLLIN,
 * or to learn the error after POLLERR; its key exchange as a server has no timer, so deadlines are kept in
 * vsock_poll.
 */
#ifndef SSHTERM_VSOCK_H
#define SSHTERM_VSOCK_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "sshterm/session.h"

#define VSOCK_FD_FIRST 1024 /* below: real descriptors */
#define VSOCK_FD_LAST 65535 /* libssh's SSH_OPTIONS_FD keeps 16 bits */

struct flow_channel;

struct vsock_counters {
	uint64_t bytes_in, bytes_out;
};

/* NULL: no memory or no descriptor left. `channel` may go away before the socket (vsock_abandon). */
struct vsock *vsock_create(struct session *session, enum leg leg, struct flow_channel *channel);
/* Gives back everything; the descriptor may be used again from now on. */
void vsock_destroy(struct vsock *sock);
int vsock_fd(const struct vsock *sock);
struct vsock_counters vsock_counters(const struct vsock *sock);

/* -- from the channel -- */
/* `len` bytes in a slab of the channel, which is the socket's until it is consumed or the turn ends. False:
 * more than the credit allows; nothing was taken. */
bool vsock_deliver(struct vsock *sock, uint32_t slab, const uint8_t *bytes, uint32_t len);
void vsock_peer_fin(struct vsock *sock);
void vsock_peer_reset(struct vsock *sock, int error);
/* From now on so many slabs may be out; more that are already come back in time. */
void vsock_credit(struct vsock *sock, uint32_t slabs);
/* The channel is gone, and every slab with it. */
void vsock_abandon(struct vsock *sock, int error);
/* A slab of `len` bytes came back: its bytes are ACKed. Wakes the session where that was waited for. */
void vsock_returned(struct vsock *sock, uint32_t len);

/* -- at the end of a turn, for all sockets that something was done to (flow_channel.c) -- */
/* Puts the open slab, FIN and CONSUMED; copies received slabs out and returns them. False: the channel's ring
 * is full, try next turn. */
bool vsock_settle(struct vsock *sock);
struct vsock *vsock_dirty_next(struct vsock *sock, struct vsock *next);
/* Slabs came back: wakes the sessions of those that found none, and empties the list. */
void vsock_feed_starving(struct vsock **starving);

/* Everything written is ACKed, or never will be. False: the session is woken when more is. */
bool vsock_drained(struct vsock *sock);

/* -- what libssh calls -- */
int vsock_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
ssize_t vsock_recv(int fd, void *buffer, size_t len, int flags);
ssize_t vsock_send(int fd, const void *buffer, size_t len, int flags);
ssize_t vsock_read(int fd, void *buffer, size_t len);
ssize_t vsock_write_fd(int fd, const void *buffer, size_t len);
int vsock_close(int fd);
int vsock_fcntl(int fd, int command, ...);
int vsock_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int vsock_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int vsock_connect(int fd, const struct sockaddr *address, socklen_t len);

#endif
