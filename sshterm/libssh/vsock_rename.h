/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Force-included into every source file of libssh, and into nothing else.
 *
 * libssh wants a descriptor for each session and calls the C library on it. Here those calls go to virtual
 * sockets instead (sshterm/vsock.c), whose bytes come from the dataplane and whose waiting parks a fiber.
 * The C library's headers come first, so that their own declarations (and the redirections to fcntl64 and
 * kin) keep their names; only what libssh itself writes afterwards is renamed. _FORTIFY_SOURCE would turn
 * poll() into __poll_chk() in passing, and slip by: it is off for libssh.
 */
#ifndef SSHTERM_LIBSSH_VSOCK_RENAME_H
#define SSHTERM_LIBSSH_VSOCK_RENAME_H

#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int vsock_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
ssize_t vsock_recv(int fd, void *buffer, size_t size, int flags);
ssize_t vsock_send(int fd, const void *buffer, size_t size, int flags);
ssize_t vsock_read(int fd, void *buffer, size_t size);
/* "write" is named vsock_write_fd: vsock_write() is the session's own way out (sshterm/session.h). */
ssize_t vsock_write_fd(int fd, const void *buffer, size_t size);
int vsock_close(int fd);
int vsock_fcntl(int fd, int command, ...);
int vsock_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int vsock_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int vsock_connect(int fd, const struct sockaddr *address, socklen_t len);

#define poll vsock_poll
#define recv vsock_recv
#define send vsock_send
#define read vsock_read
#define write vsock_write_fd
#define close vsock_close
#define fcntl vsock_fcntl
#define getsockopt vsock_getsockopt
#define setsockopt vsock_setsockopt
#define connect vsock_connect

#endif
