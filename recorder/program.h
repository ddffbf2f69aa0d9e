/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program: what a worker records under one handle, from SLAB_REC_OPEN to its line in the session log. The
 * folder's state lies in `struct recorder`; recorder.c tells how it all goes together.
 */
#ifndef RECORDER_PROGRAM_H
#define RECORDER_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/slab/slab.h"
#include "recorder/counters.h"
#include "recorder/directory.h"
#include "recorder/index.h"
#include "recorder/storage.h"
#include "recorder/words.h"

#define PROGRAMS_MAX 32768     /* open at once; fewer where the limit of open files is lower */
#define WRITE_BATCH 16         /* blocks of one write request */
#define FLUSH_AFTER_MS 500     /* best_effort: a block is flushed within a second of its first byte */
#define RESUME_WITHIN_MS 10000 /* after a restart of the recorder */
#define TABLE_BUCKETS 16384
#define REFUSED_KEPT 1024

/* A slab that a worker gave and that was not returned yet; one a slab number, so nothing is allocated. */
struct held {
	const uint8_t *bytes;
	uint64_t number; /* of the block */
	uint32_t len;
	uint32_t next; /* slab number, or SLAB_NONE */
};

struct held_queue {
	uint32_t head, tail; /* SLAB_NONE: empty */
	uint32_t count;
};

/* The consuming end of one worker's slab channel. */
struct channel {
	TAILQ_ENTRY(channel) link;
	struct slab_consumer *end;
	struct held *held;
	uint32_t held_count;
	uint32_t worker;
	uint32_t epoch;
	uint32_t programs; /* that it has open */
	/* Handles whose open failed: the worker goes on until it reads that. Of more than these, the oldest
	 * are forgotten. */
	uint64_t refused[REFUSED_KEPT];
	uint32_t refused_count, refused_next;
	bool leaving; /* nothing more will come: what is left is read, written, settled, then it is freed */
};
TAILQ_HEAD(channel_list, channel);

enum program_state {
	PROGRAM_OPEN,     /* blocks may come */
	PROGRAM_ORPHAN,   /* found open at start: its worker may take it up again until `deadline` */
	PROGRAM_DRAINING, /* closing, and so are all below: what was accepted is being written */
	PROGRAM_FLUSHING, /* data and sidecar are being flushed */
	PROGRAM_HEADING,  /* the last header is being written */
	PROGRAM_SEALING,  /* ... and flushed */
	PROGRAM_LOGGING,  /* its session-log line is being flushed */
	PROGRAM_FINISHED, /* was finished by the last recorder, whose answer its worker did not get */
};

/* What a program needs only while it ends. */
struct ending {
	struct format_header header;
	uint8_t bytes[FORMAT_HEADER_SIZE];
	bool encoded;      /* `bytes` are the header */
	json_t *log;       /* the session-log object; NULL: what the index has */
	const char *error; /* for the session log's Error; NULL: as the worker said */
	uint64_t *counter; /* of programs that end so */
};

struct recorder;
struct program {
	struct recorder *owner;
	/* Who it is. */
	struct index_row row;
	uint64_t flow;           /* the worker's handle, meaningful with `channel` */
	struct channel *channel; /* NULL: no worker speaks for it */
	enum program_state state;
	uint8_t encapsulated[FORMAT_KEY_SIZE];
	uint64_t header_time; /* started_at of the header: like the key, it may not change */

	/* Where the file is. Blocks are counted from 0: accepted >= written >= flushed. */
	int fd;            /* -1: not open */
	uint64_t size;     /* bytes of header and written blocks */
	uint64_t accepted; /* the next block that is taken */
	uint64_t written;
	uint64_t flushed;
	uint64_t flushing_to; /* `written` when the running flush was asked for */
	uint64_t dirty_since; /* ms; when the oldest unflushed byte came, 0: none */
	bool broken;          /* a flush failed: nothing more can be vouched for */
	bool told;            /* a fault of its file was logged */
	bool rewrite;         /* the running write is the second try of the same bytes */
	bool new_name;        /* its name in the directory was not flushed yet */
	bool flush_now;

	/* What is under way. */
	struct held_queue queued;    /* accepted, not yet asked to be written */
	struct held_queue writing;   /* blocks of the running write */
	struct held_queue unflushed; /* strict: written, to be acknowledged when flushed */
	bool in_write;
	unsigned in_flush; /* requests of the running flush: file, and directory or sidecar */
	bool flush_failed;
	struct io write_io, flush_io, second_io;
	struct iovec parts[2 * WRITE_BATCH];
	uint8_t lengths[WRITE_BATCH][4];

	/* What is left to do at its end. */
	uint32_t close_slab; /* acknowledged last; SLAB_NONE: nobody asked */
	struct ending *ending;
	int sidecar_fd;
	uint64_t log_ticket; /* the flush of the session log that covers its line */

	uint64_t deadline; /* ms, of an orphan */
	bool is_ready, is_dirty;
	TAILQ_ENTRY(program) all, ready, dirty, logging;
	struct program *next_by_id, *next_by_flow;
};
TAILQ_HEAD(program_list, program);

struct recorder {
	struct directory directory;
	struct storage storage;
	struct index *index;
	struct counters counters;
	int submit_error; /* the last of io_uring_submit(): said once */
	int log_fd;
	uint64_t now;      /* ms, monotonic; read once a turn */
	uint64_t now_unix; /* seconds */
	struct channel_list channels;
	struct program_list programs;
	struct program_list ready;   /* something may be asked of the disk */
	struct program_list dirty;   /* by dirty_since */
	struct program_list logging; /* by log_ticket */
	uint32_t programs_open;
	uint32_t programs_limit;
	uint32_t programs_share; /* of it, what one worker may have open: a taken-over one stops no other */
	uint32_t orphans;
	uint32_t strict_open; /* of them, those whose packets wait for what is written */
	uint32_t streamed;    /* full blocks that nobody waits for, since the last sleep */
	struct io log_io;
	bool in_log_flush;
	bool log_told;
	uint64_t log_appended, log_flushing_to, log_flushed;
	struct program *by_id[TABLE_BUCKETS];
	struct program *by_flow[TABLE_BUCKETS];
};

/* -- table.c -- */
struct program *program_by_id(const struct recorder *recorder, const char *program_id);
struct program *program_by_flow(
    const struct recorder *recorder, const struct channel *channel, uint64_t flow);
/* A program with nothing but its row, in the lists; NULL where no more may be open. */
struct program *program_new(struct recorder *recorder, const struct index_row *row);
/* Binds it to a worker's handle (channel not NULL), or unbinds it. */
void program_bind(struct recorder *recorder, struct program *program, struct channel *channel, uint64_t flow);
void program_free(struct recorder *recorder, struct program *program);
void program_ready(struct recorder *recorder, struct program *program);

/* -- opening.c -- */
/* Answers SLAB_REC_OPEN: whole blocks that the file holds, or SLAB_STATUS_FAILED. */
uint64_t program_open(
    struct recorder *recorder, struct channel *channel, uint64_t flow, const char *json, size_t len);
/* At start: what the index says is open becomes an orphan. 0 or -errno. */
int programs_recover(struct recorder *recorder);
/* Puts a program on the list of those that have something to flush. */
void program_dirty(struct recorder *recorder, struct program *program);
/* The header at the file's start; a torn one is put back from the sidecar. 0 or -errno. */
int program_header(struct recorder *recorder, struct program *program, struct format_header *header);
/* Opens an orphan's file, cut to whole blocks, and reads its header. 0 or -errno. */
int program_reopen(struct recorder *recorder, struct program *program, struct format_header *header);

/* Settles the orphans for which `which` holds. */
void orphans_settle(struct recorder *recorder, bool (*which)(const struct program *program, uint64_t value),
    uint64_t value, const char *reason);
bool orphan_of_worker(const struct program *program, uint64_t worker);
bool orphan_overdue(const struct program *program, uint64_t now);

/* -- writing.c -- */
/* Takes a block (its slab is held already), or returns the slab at once. */
void program_block(
    struct recorder *recorder, struct program *program, uint32_t slab, uint64_t number, uint32_t len);
/* Takes a program off the ready list and asks the disk for what it wants now. False where the storage has no
 * room: then it stays ready. */
bool program_step(struct recorder *recorder, struct program *program);
/* Flushes what is due; returns ms until the next is, or -1. */
int programs_flush_due(struct recorder *recorder);
/* Answers the blocks that wait for a flush, as far as that is decided. */
void program_answer(struct recorder *recorder, struct program *program);
/* Logs a fault of its file, once until a write succeeds. */
void program_complain(struct program *program, const char *what, int error);
bool program_closing(const struct program *program);

/* -- closing.c -- */
/* Takes SLAB_REC_CLOSE (slab held). False: not understood, to be returned as failed. */
bool program_close(
    struct recorder *recorder, struct program *program, uint32_t slab, const char *json, size_t len);
/* Finishes a program for which no worker speaks any more. `reason` is a literal, for header, index and log.
 */
void program_settle(struct recorder *recorder, struct program *program, const char *reason);
/* The steps behind PROGRAM_DRAINING; called by program_step with room for two requests. */
void program_close_step(struct recorder *recorder, struct program *program);
/* Flushes the session log and lets go of the programs whose lines are safe. */
void session_log_step(struct recorder *recorder);

/* -- channel.c -- */
int channel_attach(struct recorder *recorder, uint32_t worker, uint32_t epoch, int memfd, int bell);
/* The worker died: its channels are read to the end and its programs finished; orphans of it too. */
void worker_lost(struct recorder *recorder, uint32_t worker);
/* Reads descriptors; true where there were any. */
bool channels_read(struct recorder *recorder);
/* Frees the channels that are done with; settles what they leave behind. */
void channels_release(struct recorder *recorder);
void channels_publish(struct recorder *recorder);
/* Raises or lowers the asleep flags; true where, after raising, there is something to read after all. */
bool channels_asleep(struct recorder *recorder, bool asleep);

void held_put(struct channel *channel, struct held_queue *queue, uint32_t slab);
/* SLAB_NONE where it is empty. */
uint32_t held_take(struct channel *channel, struct held_queue *queue);
/* Returns a held slab to its worker. */
void held_return(struct channel *channel, uint32_t slab, uint64_t status);
void held_return_all(struct channel *channel, struct held_queue *queue, uint64_t status);

#endif
