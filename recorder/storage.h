/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes to the disk asynchronously: writes and flushes through one io_uring. The ring is restricted to
 * those two operations before it is enabled, as seccomp does not see what is asked of it.
 */
#ifndef RECORDER_STORAGE_H
#define RECORDER_STORAGE_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define STORAGE_DEPTH 256 /* requests in flight, at most */

/* A request; lives in its owner until `done` was called. result: bytes, 0 for a flush, or -errno. */
struct io {
	void (*done)(struct io *io, int result);
	void *owner;
};

struct storage {
	struct io_uring ring;
	unsigned in_flight;
};

/* 0 or -errno (-ENOSYS, -EPERM: this kernel or its administrator does not allow io_uring). */
int storage_open(struct storage *storage);
/* How many more requests may be made now. */
unsigned storage_room(const struct storage *storage);
/* Both ask for room to be there. `parts` and what they point to stay until done. */
void storage_write(struct storage *storage, struct io *io, int fd, const struct iovec *parts, unsigned count,
    uint64_t offset);
void storage_flush(struct storage *storage, struct io *io, int fd);
/* Hands the kernel what was asked for since: one system call for all of it. 0 or -errno. */
int storage_submit(struct storage *storage);
/* Did the kernel not take all of it (for want of memory)? Then storage_submit() is to be called again in a
 * while. */
bool storage_waits(const struct storage *storage);
/* Calls `done` for what has completed; returns how many. */
unsigned storage_reap(struct storage *storage);
/* For poll: readable when something has completed. */
int storage_fd(const struct storage *storage);

#endif
