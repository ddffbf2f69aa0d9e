/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks to the disk, and acknowledgements back.
 *
 * A program has one write in flight at most, of up to WRITE_BATCH blocks straight out of the worker's slabs:
 * so blocks are written in order, a file has no holes, and what came while one write ran goes with the next.
 * A write that failed is cut off again and its blocks are refused; the worker may send them once more when
 * the disk has room. A flush that failed can not be repeated (the kernel forgets what it could not write):
 * such a file takes nothing more.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "recorder/program.h"

#define LENGTH_SIZE 4

void program_complain(struct program *program, const char *what, int error)
{
	rpc_log(program->told ? RPC_LOG_DEBUG : RPC_LOG_ERROR, "%s/%s.sshlog: %s: %s", program->row.day,
	    program->row.program_id, what, strerror(error));
	program->told = true;
}

bool program_closing(const struct program *program)
{
	return program->state >= PROGRAM_DRAINING;
}

/* -- taking -- */

void program_block(
    struct recorder *recorder, struct program *program, uint32_t slab, uint64_t number, uint32_t len)
{
	struct channel *channel = program->channel;
	uint64_t safe = program->row.strict ? program->flushed : program->written;

	if (!program->row.recorded || program->broken || len <= FORMAT_TAG_SIZE ||
	    len > FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE) {
		recorder->counters.blocks_refused++;
		held_return(channel, slab, SLAB_STATUS_FAILED);
	} else if (number > program->accepted) {
		if (recorder->counters.blocks_out_of_order++ < 20)
			rpc_log(RPC_LOG_WARNING, "%s: block %llu came where %llu was due",
			    program->row.program_id, (unsigned long long)number,
			    (unsigned long long)program->accepted);
		held_return(channel, slab, SLAB_STATUS_FAILED);
	} else if (number < safe) {
		recorder->counters.blocks_resent++;
		held_return(channel, slab, 0);
	} else if (number < program->accepted) {
		/* Sent again before it was answered, or, after a resume, before it was flushed: waits for the
		 * flush that will cover it, never for a second place in the file. */
		recorder->counters.blocks_resent++;
		held_put(channel, &program->unflushed, slab);
		program->flush_now = true;
		program_ready(recorder, program);
	} else {
		program->accepted++;
		recorder->streamed += len > FORMAT_BLOCK_MAX / 2;
		held_put(channel, &program->queued, slab);
		program_dirty(recorder, program);
		program_ready(recorder, program);
	}
}

/* -- writing -- */

static void write_done(struct io *io, int result);

static void start_write(struct recorder *recorder, struct program *program)
{
	struct channel *channel = program->channel;
	unsigned parts = 0;

	while (program->writing.count < WRITE_BATCH && program->queued.count > 0)
		held_put(channel, &program->writing, held_take(channel, &program->queued));
	uint32_t slab = program->writing.head;
	for (uint32_t i = 0; i < program->writing.count; i++) {
		const struct held *held = &channel->held[slab];
		struct wire_out length = wire_into(program->lengths[i], LENGTH_SIZE);
		wire_put_u32(&length, held->len);
		program->parts[parts++] = (struct iovec){program->lengths[i], LENGTH_SIZE};
		program->parts[parts++] = (struct iovec){(void *)(uintptr_t)held->bytes, held->len};
		slab = held->next;
	}
	program->in_write = true;
	program->write_io = (struct io){write_done, program};
	recorder->counters.writes++;
	storage_write(
	    &recorder->storage, &program->write_io, program->fd, program->parts, parts, program->size);
}

static uint64_t bytes_of_write(const struct program *program)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < 2 * program->writing.count; i++)
		bytes += program->parts[i].iov_len;
	return bytes;
}

/* Answers what waits for a flush: blocks that are safe now, and those that never will be, because the file
 * is broken or was cut before them. */
void program_answer(struct recorder *recorder, struct program *program)
{
	struct channel *channel = program->channel;

	for (uint32_t left = program->unflushed.count; left > 0; left--) {
		uint32_t slab = held_take(channel, &program->unflushed);
		uint64_t number = channel->held[slab].number;
		if (program->broken || number >= program->accepted) {
			recorder->counters.blocks_refused++;
			held_return(channel, slab, SLAB_STATUS_FAILED);
		} else if (number < program->flushed) {
			recorder->counters.flushed_acknowledged++;
			held_return(channel, slab, 0);
		} else {
			held_put(channel, &program->unflushed, slab);
		}
	}
	if (program->unflushed.count > 0)
		program->flush_now = true;
}

static void write_failed(struct recorder *recorder, struct program *program, int error)
{
	uint32_t lost = program->writing.count + program->queued.count;

	program_complain(program, "a block cannot be written", error);
	recorder->counters.write_errors++;
	held_return_all(program->channel, &program->writing, SLAB_STATUS_FAILED);
	held_return_all(program->channel, &program->queued, SLAB_STATUS_FAILED);
	program->accepted = program->written;
	recorder->counters.blocks_refused += lost;
	if (ftruncate(program->fd, (off_t)program->size) != 0) {
		program_complain(program, "half a block cannot be cut off", errno);
		program->broken = true;
	}
	program_answer(recorder, program);
}

static void write_succeeded(struct recorder *recorder, struct program *program, uint64_t bytes)
{
	struct channel *channel = program->channel;

	program->size += bytes;
	program->written += program->writing.count;
	recorder->counters.blocks_written += program->writing.count;
	recorder->counters.bytes_written += bytes;
	program->told = false;
	if (program->unflushed.count > 0)
		program->flush_now = true;
	if (program->row.strict) {
		while (program->writing.count > 0)
			held_put(channel, &program->unflushed, held_take(channel, &program->writing));
		program->flush_now = true;
	} else {
		held_return_all(channel, &program->writing, 0);
	}
}

static void write_done(struct io *io, int result)
{
	struct program *program = io->owner;
	struct recorder *recorder = program->owner;
	uint64_t wanted = bytes_of_write(program);

	if (result >= 0 && (uint64_t)result < wanted && !program->rewrite) {
		/* Short, as before a full disk: the same bytes once more, which then tells why. */
		program->rewrite = true;
		storage_write(&recorder->storage, &program->write_io, program->fd, program->parts,
		    2 * program->writing.count, program->size);
		return;
	}
	program->in_write = program->rewrite = false;
	if (result >= 0 && (uint64_t)result == wanted)
		write_succeeded(recorder, program, wanted);
	else
		write_failed(recorder, program, result < 0 ? -result : ENOSPC);
	program_ready(recorder, program);
}

/* -- flushing -- */

static void flush_done(struct io *io, int result)
{
	struct program *program = io->owner;
	struct recorder *recorder = program->owner;

	if (result < 0 && !program->flush_failed) {
		program->flush_failed = true;
		recorder->counters.flush_errors++;
		program_complain(program, "it cannot be flushed", -result);
	}
	if (--program->in_flush > 0)
		return;
	if (program->flush_failed)
		program->broken = true;
	else
		program->flushed = program->flushing_to;
	if (program->channel != NULL)
		program_answer(recorder, program);
	program_ready(recorder, program);
}

static void start_flush(struct recorder *recorder, struct program *program)
{
	program->flush_now = false;
	program->flush_failed = false;
	program->flushing_to = program->written;
	if (program->is_dirty) {
		TAILQ_REMOVE(&recorder->dirty, program, dirty);
		program->is_dirty = false;
	}
	/* What is still on its way to the file is for the next flush. */
	if (program->accepted > program->written)
		program_dirty(recorder, program);
	program->in_flush = 1;
	program->flush_io = program->second_io = (struct io){flush_done, program};
	recorder->counters.flushes++;
	storage_flush(&recorder->storage, &program->flush_io, program->fd);
	if (program->new_name && strcmp(program->row.day, recorder->directory.day) == 0) {
		program->in_flush++;
		storage_flush(&recorder->storage, &program->second_io, recorder->directory.day_fd);
	}
	program->new_name = false;
}

int programs_flush_due(struct recorder *recorder)
{
	struct program *program;

	while ((program = TAILQ_FIRST(&recorder->dirty)) != NULL) {
		uint64_t due = program->dirty_since + FLUSH_AFTER_MS;
		if (due > recorder->now)
			return (int)(due - recorder->now);
		TAILQ_REMOVE(&recorder->dirty, program, dirty);
		program->is_dirty = false;
		program->flush_now = true;
		program_ready(recorder, program);
	}
	return -1;
}

bool program_step(struct recorder *recorder, struct program *program)
{
	/* At most a write and a flush of two requests are asked for below. */
	if (storage_room(&recorder->storage) < 4)
		return false;
	program->is_ready = false;
	TAILQ_REMOVE(&recorder->ready, program, ready);
	if (program->fd >= 0 && !program->in_write && program->queued.count > 0 && !program->broken)
		start_write(recorder, program);
	if (program->broken && program->channel != NULL && !program->in_write) {
		held_return_all(program->channel, &program->queued, SLAB_STATUS_FAILED);
		program->accepted = program->written;
	}
	bool closing = program_closing(program);
	if (program->flush_now && !closing && !program->in_flush && program->fd >= 0)
		start_flush(recorder, program);
	if (closing)
		program_close_step(recorder, program);
	return true;
}
