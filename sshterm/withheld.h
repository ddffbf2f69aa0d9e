/* SPDX-License-Identifier: Apache-2.0 */
/*
 * withheld: what waits on its way to a channel's receiver, in the order in which it is to go there.
 *
 * Data that nobody has decided on, data that goes on but for which the receiver has no room yet, what the box
 * puts in the place of dropped data, and messages that came behind any of these. Only bytes and their order
 * are here; windows.h counts them.
 */
#ifndef SSHTERM_WITHHELD_H
#define SSHTERM_WITHHELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

/* A direction of a channel, with the cost of its entries: what is lent of a window (64 KB), the largest
 * packet behind that (256 KB), and what is copied of it while it is decided on. */
#define WITHHELD_MAX (384u * 1024)
#define WITHHELD_COST 64u

enum withheld_kind {
	WITHHELD_UNDECIDED, /* the sender's data */
	WITHHELD_DATA,      /* the sender's, decided to go on */
	WITHHELD_OWN,       /* the box's data */
	WITHHELD_MESSAGE,   /* a whole payload of another kind */
};

struct withheld_entry {
	struct withheld_entry *next;
	enum withheld_kind kind;
	uint32_t code; /* 0 data, else the extended data type */
	uint32_t len, room;
	uint32_t gone; /* bytes of it that went on; they still lie at its start */
	uint8_t *bytes;
};

/* All zeros: nothing waits. */
struct withheld {
	struct withheld_entry *first;
	size_t bytes; /* with their cost */
	bool ends;    /* the sender's EOF or CLOSE is among it */
};

/* Puts a copy behind everything else. False: it would be more than WITHHELD_MAX, or there is no memory. */
bool withheld_put(
    struct withheld *queue, enum withheld_kind kind, uint32_t code, const uint8_t *bytes, size_t len);
/* Decides on the oldest `bytes` (at least 1) of those undecided: they go on, or they go, and `instead` comes
 * in their place (empty: nothing does). False as above. */
bool withheld_pass(struct withheld *queue, uint32_t bytes);
bool withheld_replace(struct withheld *queue, uint32_t bytes, struct wire_span instead);
/* Takes `bytes` off the front of the first entry, which goes with its last. */
void withheld_took(struct withheld *queue, uint32_t bytes);
/* Takes the first entry out; it and its bytes are the caller's to free. */
struct withheld_entry *withheld_take(struct withheld *queue);
/* Forgets all data; messages stay. */
void withheld_drop_data(struct withheld *queue);
void withheld_clear(struct withheld *queue);

#endif
