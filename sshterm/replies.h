/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replies: whose answer comes next.
 *
 * RFC 4254 sections 4 and 5.4: replies to requests carry no number, they come in the order of the requests. A
 * box that answers some requests itself must therefore let its own answers wait their turn. One FIFO stands
 * for the requests of one asker: the global ones of a leg, or those of one side of one channel. Each entry is
 * `relayed` (the other peer will answer) or `ours` (the box will, as soon as all before it were answered).
 */
#ifndef SSHTERM_REPLIES_H
#define SSHTERM_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a request was, as far as its answer tells us something. */
enum reply_kind {
	REPLY_RELAYED = 0,  /* the peer's answer passes and nothing else follows from it */
	REPLY_PTY,          /* relayed; a failure means that the program has no terminal */
	REPLY_PROGRAM,      /* relayed; a failure means that the program never started */
	REPLY_SHELL,        /* the same of a shell */
	REPLY_LATE_SHELL,   /* relayed; of a shell on a channel whose data had begun a program before */
	REPLY_LISTEN,       /* relayed; to a request to listen, or to listen no more */
	REPLY_OURS,         /* refused by the box */
	REPLY_OURS_GRANTED, /* granted by the box: what was asked for is for itself */
	REPLY_OURS_PROOFS,  /* answered by the box, with what its host keys signed */
};

/* Runs of equal entries: a peer that asks a million times without being answered costs one entry. What it
 * can make us hold by alternating is bounded here; RFC 4254 knows no such client. */
#define REPLIES_RUNS_MAX 4096

struct reply_run {
	uint32_t count;
	uint32_t kind;
};

/* All zeros is an empty FIFO. */
struct replies {
	struct reply_run *runs; /* a ring of `size`, a power of two */
	uint32_t size, head, used;
};

/* Notes a request that wants a reply. False where the asker holds REPLIES_RUNS_MAX runs or memory is out. */
bool replies_push(struct replies *replies, enum reply_kind kind);
/* The peer answered: takes the entry at the head into *kind. False where no relayed request was waiting. */
bool replies_pop(struct replies *replies, enum reply_kind *kind);
/* Takes one entry of ours if it is at the head: the box answers now, as *kind says. */
bool replies_pop_own(struct replies *replies, enum reply_kind *kind);
bool replies_empty(const struct replies *replies);
void replies_free(struct replies *replies);

#endif
