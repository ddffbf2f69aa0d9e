/* SPDX-License-Identifier: Apache-2.0 */
/*
 * windows: what a sender may send on a channel, where the box has a say in it (RFC 4254 section 5.2).
 *
 * A channel has one window each way. Its receiver grants (in OPEN or CONFIRMATION, then by WINDOW_ADJUST);
 * the sender may send what it was given. Without the box in between both are one number. The box may put
 * bytes of its own on a channel; these use up what the receiver granted, and the sender must not be given the
 * same bytes again: a receiver throws away what comes beyond its window. So what is to be put in is reserved
 * first, which holds it back from the sender, and is put in as far as there is window that nobody else was
 * given:
 *
 *     given ≤ granted - inserted - reserved (as soon as grants allow it), and always given ≤ granted -
 * inserted
 *
 * A receiver that grants again what it read of the box's bytes thereby pays the sender, who then has what the
 * receiver's own count says. A window that opens later than its channel (the box confirmed it, with 0) is
 * granted like any other.
 *
 * The box may also withhold what the sender sends: bytes are *held* until it is decided whether they go on,
 * are dropped or replaced, and what is to go on is *pending* until the receiver has room. The receiver cannot
 * grant again what it never saw, so the sender would be stuck in the middle of a line that is longer than the
 * window: it is lent what is held, at most WINDOW_LENT_MAX, whenever that at least doubles what it has left
 * (a message for each byte that somebody types would be the alternative). Later grants pay that back before
 * the sender gets any of them. What was dropped never used the receiver's window: the sender has it back.
 * What replaces it did, like all that the box puts in. With W, what the receiver still takes, and C, what the
 * sender still may send, both as the box knows them:
 *
 *     W - reserved - held - pending ≤ C, and where the sender is given something then
 *     C ≤ W - reserved - pending - (held beyond WINDOW_LENT_MAX)
 *
 * A sender that sends more than it was given has lent that to itself. The receiver gets it when it has room.
 *
 * Nothing here knows of messages: callers send what is returned.
 */
#ifndef SSHTERM_WINDOWS_H
#define SSHTERM_WINDOWS_H

#include <stdint.h>

#define WINDOW_LENT_MAX 65536u

/* One direction of one channel, in bytes since it was opened. All zeros: nothing granted yet. */
struct window {
	uint64_t granted;  /* by the receiver */
	uint64_t given;    /* of these, to the sender; or lent */
	uint64_t inserted; /* used, or to be used, by the box */
	uint64_t taken;    /* what the sender sent, where anything may be withheld */
	uint64_t dropped;  /* of these, what does not go on */
	uint32_t reserved; /* still to be inserted */
	uint32_t held;     /* of those taken, what nobody has decided on */
	uint32_t pending;  /* decided to go on, the box's own or the sender's; the receiver had no room */
};

/* The receiver grants `bytes`. Returns how many the sender is to be given now. */
uint32_t window_grant(struct window *window, uint32_t bytes);
/* Holds `bytes` of what will be granted back. What the sender has it keeps. */
void window_reserve(struct window *window, uint32_t bytes);
/* Nothing is to be inserted any more. Returns how many bytes the sender is to be given now. */
uint32_t window_release(struct window *window);
/* How many bytes may be inserted now: at most those reserved. */
uint32_t window_room(const struct window *window);
/* `bytes` (at most window_room()) were put in. */
void window_insert(struct window *window, uint32_t bytes);

/* -- for a direction in which data may be withheld: all of its data is taken -- */

/* `bytes` came from the sender; they are held. */
void window_take(struct window *window, uint32_t bytes);
/* Of those held (at most all), `bytes` are to go on. */
void window_pass(struct window *window, uint32_t bytes);
/* Of those held, `bytes` do not go on; `instead` of the box's are to go in their place. */
void window_replace(struct window *window, uint32_t bytes, uint32_t instead);
/* How many of those pending the receiver has room for, beside what is reserved. */
uint32_t window_outgo(const struct window *window);
/* `bytes` (at most window_outgo()) of those pending went to the receiver. */
void window_sent(struct window *window, uint32_t bytes);
/* How many bytes the sender is to be given now, after any of these. */
uint32_t window_give(struct window *window);

#endif
