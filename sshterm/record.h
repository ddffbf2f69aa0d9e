/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: one program's recording, from its data to sealed blocks.
 *
 * Theory of operation. Records (recorder/format/format.h) are collected in a batch, a buffer that exists only
 * while something is in it. A batch closes when the next record does not fit (64 KiB), 200 ms after its first
 * record, or, where a packet waits for it (`strict`), as soon as the last batch is 5 ms old. Closing seals it
 * straight into a slab of the channel to the recorder (record_channel.c). Block n is sealed with sequence
 * number n, so that a block, once sealed, is never given up: it stays in its slab, in this process's hands,
 * until the recorder says that it has it. Where no slab is to be had the batch stays as it is, and a
 * session whose recorder is merely slower than it is slowed down to it (recording_is_pressed); when the batch
 * is full too, records are discarded *before* sealing, counted, and the next block opens with a gap record.
 *
 * `strict` recordings never discard: without a slab they seal into memory of their own. That is bounded
 * because packets wait for their records, and the bridge stops reading when enough of them wait.
 *
 * Invariants: no data leaves a batch but sealed; batches and contexts are wiped; times never go back; whole
 * records within a block; no empty record and no empty block; the chain (SHA-256 over the sealed blocks)
 * covers exactly what was sealed, in order, and is final when recording_close() returns.
 */
#ifndef SSHTERM_RECORD_H
#define SSHTERM_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/format/format.h"
#include "sshterm/session.h"

#define RECORD_BATCH_US 200000
#define RECORD_COMMIT_US 5000 /* strict: least time between two batches' ends */
#define RECORD_PRESSED_US                                                                                    \
	250000 /* best effort: how long a recorder that does not answer may slow a session */
#define RECORD_CHAIN_SIZE 32

struct recording;

/* One sealed block (or, without a recording's bytes, a message) on its way to the recorder. */
struct sealed_block {
	struct sealed_block *next;
	uint64_t number;
	uint32_t len;
	uint32_t slab;          /* SLAB_NONE: in `heap` */
	struct slab_pool *pool; /* whose slab it is */
	uint8_t *heap;
	bool given; /* to the recorder that is attached now */
	bool acknowledged;
};

/* How far the recorder that is attached now knows of a recording. */
enum recording_stage {
	RECORDING_UNTOLD = 0, /* open not sent */
	RECORDING_OPENING,    /* sent, not answered */
	RECORDING_OPEN,
	RECORDING_CLOSING, /* close sent, not answered */
	RECORDING_DONE,    /* answered: goes when nobody holds it */
};

/* A place in one of the channel's lists. */
struct recording_link {
	struct recording_link *before, *after;
	struct recording *of; /* NULL: not in the list */
};

struct recording {
	struct record_channel *channel;
	struct session *session; /* to wake; NULL once the session is over */
	uint64_t session_flow;   /* which session it was */
	bool content;            /* false: known to log and index alone */
	bool strict;
	bool failed;      /* the recorder could not store it: nothing more is sealed */
	bool told;        /* some recorder has heard of it: open is a resumption from now on */
	bool pressed;     /* the session waits for its slabs to come back */
	bool closed;      /* the program is over; waits for the recorder's acknowledgements */
	unsigned holders; /* held packets that refer to it */
	enum recording_stage stage;
	uint64_t handle; /* `flow` on the channel */

	struct format_header header;
	char *log; /* JSON, the session-log object as it is now */
	struct format_context context;
	uint8_t chain[RECORD_CHAIN_SIZE];
	uint64_t started_us, last_us; /* CLOCK_MONOTONIC */

	uint8_t *batch; /* NULL: nothing in it */
	uint32_t batch_len;
	uint64_t due_us;      /* when it is to be closed */
	uint64_t commit_us;   /* when the last one was closed */
	uint64_t next_block;  /* number of the batch that is open */
	uint64_t lost_before; /* records discarded since the last block */
	uint32_t largest;     /* the most data that was written at once: the next packet may hold as much */

	struct sealed_block *first, *last; /* not yet acknowledged, in order */
	struct sealed_block *ungiven;      /* the first of them that the recorder has not been given */
	uint64_t acknowledged;             /* blocks 0 .. acknowledged-1 */
	uint32_t unacknowledged;

	struct recording_link all, waiting, due;
};

struct recording_facts {
	const char *program_id;
	const char *session_id;
	bool content, strict;
	const uint8_t (*recipients)[FORMAT_KEY_SIZE];
	unsigned recipient_count;
	uint64_t started_at; /* unix seconds */
};

/* Begins a recording and tells the recorder as soon as there is one. `log` is taken over (malloc'ed JSON).
 * The caller may fill in the terminal (header.has_pty …) at once and how it ended before closing. NULL: no
 * memory, or no recipient's key is usable. */
struct recording *recording_open(
    struct record_channel *channel, struct session *session, const struct recording_facts *facts, char *log);
/* Appends data, in as many records as needed. What has to be discarded is counted in header.lost_records. */
void recording_write(
    struct recording *recording, enum format_source source, uint32_t code, struct wire_span data);
/* Appends an event record (FORMAT_RESIZE | …). */
void recording_event(struct recording *recording, uint32_t code);
/* The recorder is up and answers, but slower than this program produces: another packet as large as the
 * largest so far, and half a block at least, would find no room in batch and slabs. The session should not be
 * read for now; it is woken when blocks are acknowledged. Never true for longer than RECORD_PRESSED_US after
 * the recorder's last answer: then records are discarded instead. */
bool recording_is_pressed(struct recording *recording);
/* How many blocks must be acknowledged for all that was written so far to be safe. */
uint64_t recording_mark(const struct recording *recording);
bool recording_is_safe(const struct recording *recording, uint64_t mark);
/* A packet waits for what was written last: closes the batch as soon as strict allows. */
void recording_urge(struct recording *recording);
/* Seals what is left: chain, block count and header are final. Takes over the final `log`. The recording
 * belongs to its channel from now on: it goes when the recorder has it all and nobody holds it. */
void recording_close(struct recording *recording, char *log);
/* A held packet refers to it (so that it is not freed), and no more. */
void recording_hold(struct recording *recording);
void recording_unhold(struct recording *recording);

/* -- between record.c and record_channel.c -- */
/* Closes the batch. False: no slab (the batch stays). `last`: there must be a block; memory is taken if need
 * be. */
bool recording_seal(struct recording *recording, bool last);
void recording_free(struct recording *recording);

/* A free slab for a block of `recording` (fair share, reserve kept), with its bytes; NULL: none now. */
struct sealed_block *record_channel_take(struct recording *recording, uint32_t len, uint8_t **bytes);
/* Are so many to be had now? As many as it can ever have at once are enough. */
bool record_channel_could_take(const struct recording *recording, uint32_t slabs);
/* When the recorder answered last (CLOCK_MONOTONIC); 0: it is not up. */
uint64_t record_channel_answered_us(const struct record_channel *channel);
/* A block in memory of its own, for the last of a recording that finds no slab. NULL: no memory. */
struct sealed_block *record_channel_take_heap(struct recording *recording, uint32_t len, uint8_t **bytes);
/* Queues the block (sealed now) behind the recording's others and gives it to the recorder if it can. */
void record_channel_give(struct recording *recording, struct sealed_block *block);
/* Gives what waits: open, blocks, close. */
void record_channel_push(struct recording *recording);
void record_channel_adopt(struct record_channel *channel, struct recording *recording);
/* Puts it on the list of batches that are due at recording->due_us, or off it. */
void record_channel_schedule(struct recording *recording);
void record_channel_unschedule(struct recording *recording);
/* Batch buffers of FORMAT_BLOCK_MAX bytes, kept for the next one; wiped by the giver. */
uint8_t *record_channel_buffer(struct record_channel *channel);
void record_channel_buffer_back(struct record_channel *channel, uint8_t *buffer);
/* The most plaintext that a block may hold. */
uint32_t record_channel_block_max(const struct record_channel *channel);
/* SHA-256 over `first` and `second` into chain (which may be one of them). */
void record_channel_chain(struct record_channel *channel, struct wire_span first, struct wire_span second,
    uint8_t chain[RECORD_CHAIN_SIZE]);
void record_channel_count_lost(struct record_channel *channel, uint64_t records);

#endif
