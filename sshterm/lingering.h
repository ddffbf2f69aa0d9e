/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lingering: how long a session goes on once one of its peers is done.
 *
 * What the one had said is still to be taken by the other, who may be slow, or be stopped for a while:
 * between the two alone, its kernel would keep it for as long. So it gets LINGERING_US, and all of them anew
 * whenever bytes have moved. Nothing is kept for longer than for a peer that takes nothing for so long; what
 * is kept is bounded as it is while both go on.
 */
#ifndef SSHTERM_LINGERING_H
#define SSHTERM_LINGERING_H

#include <stdbool.h>
#include <stdint.h>

#define LINGERING_US 60000000

/* All zeros: both go on. */
struct lingering {
	bool began;
	uint64_t moved;    /* bytes that had moved when it was looked at last */
	uint64_t moved_us; /* when that changed (CLOCK_MONOTONIC) */
};

/* Looks again. `moved`: a number that is another whenever any peer has taken or sent something. True: nobody
 * has for LINGERING_US. */
bool lingering_is_over(struct lingering *lingering, uint64_t moved, uint64_t now_us);
/* When it is to be looked at again; UINT64_MAX: never. */
uint64_t lingering_deadline(const struct lingering *lingering);

#endif
