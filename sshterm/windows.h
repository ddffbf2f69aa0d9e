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
 * granted like any other. Nothing here knows of messages: callers send what is returned.
 */
#ifndef SSHTERM_WINDOWS_H
#define SSHTERM_WINDOWS_H

#include <stdint.h>

/* One direction of one channel, in bytes since it was opened. All zeros: nothing granted yet. */
struct window {
	uint64_t granted;  /* by the receiver */
	uint64_t given;    /* of these, to the sender */
	uint64_t inserted; /* of these, used by the box */
	uint32_t reserved; /* still to be inserted */
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

#endif
