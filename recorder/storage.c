/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/storage.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction allowed[2];

	memset(allowed, 0, sizeof(allowed));
	allowed[0].opcode = allowed[1].opcode = IORING_RESTRICTION_SQE_OP;
	allowed[0].sqe_op = IORING_OP_WRITEV;
	allowed[1].sqe_op = IORING_OP_FSYNC;
	/* Debian 12's shared liburing declares the wrappers of these two and does not export them. */
	if (syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed, 2) != 0 ||
	    syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0)
		return -errno;
	return 0;
}

int storage_open(struct storage *storage)
{
	*storage = (struct storage){0};
	int error = io_uring_queue_init(STORAGE_DEPTH, &storage->ring, IORING_SETUP_R_DISABLED);
	if (error != 0)
		return error;
	error = restrict_ring(&storage->ring);
	if (error != 0)
		io_uring_queue_exit(&storage->ring);
	return error;
}

unsigned storage_room(const struct storage *storage)
{
	return STORAGE_DEPTH - storage->in_flight;
}

/* A submission entry is there: the queue has STORAGE_DEPTH, and no more are in flight. */
static struct io_uring_sqe *entry(struct storage *storage)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&storage->ring);

	storage->in_flight++;
	return sqe;
}

void storage_write(struct storage *storage, struct io *io, int fd, const struct iovec *parts, unsigned count,
    uint64_t offset)
{
	struct io_uring_sqe *sqe = entry(storage);

	io_uring_prep_writev(sqe, fd, parts, count, offset);
	io_uring_sqe_set_data(sqe, io);
}

void storage_flush(struct storage *storage, struct io *io, int fd)
{
	struct io_uring_sqe *sqe = entry(storage);

	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, io);
}

int storage_submit(struct storage *storage)
{
	while (io_uring_sq_ready(&storage->ring) > 0) {
		int submitted = io_uring_submit(&storage->ring);
		if (submitted == -EINTR)
			continue;
		if (submitted == -EAGAIN || submitted == -EBUSY)
			return 0; /* storage_waits() is true: it is to be asked again */
		if (submitted < 0)
			return submitted;
	}
	return 0;
}

bool storage_waits(const struct storage *storage)
{
	return io_uring_sq_ready(&storage->ring) > 0;
}

unsigned storage_reap(struct storage *storage)
{
	struct io_uring_cqe *cqe;
	unsigned reaped = 0;

	while (io_uring_peek_cqe(&storage->ring, &cqe) == 0) {
		struct io *io = io_uring_cqe_get_data(cqe);
		int result = cqe->res;
		io_uring_cqe_seen(&storage->ring, cqe);
		storage->in_flight--;
		reaped++;
		io->done(io, result);
	}
	return reaped;
}

int storage_fd(const struct storage *storage)
{
	return storage->ring.ring_fd;
}
