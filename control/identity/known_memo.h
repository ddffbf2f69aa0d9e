/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_memo: which of the hashed lines are of which name. To know that costs an HMAC for each line, and
 * strangers have it asked at every connection; so it is kept by name until other lines are loaded, and what
 * is not known is searched for at a bounded rate.
 *
 * Names that have lines are kept all: there are no more of them than lines. Of those that have none some are;
 * a stranger who connects to ever new addresses drives these out, and uses up the rate, but takes no line
 * from anybody who was here before.
 */
#ifndef CONTROL_IDENTITY_KNOWN_MEMO_H
#define CONTROL_IDENTITY_KNOWN_MEMO_H

#include "control/identity/known_hosts.h"

/* Hashes: a quarter of a microsecond each. 20,000 lines (the most) make 500 names at once, then 50 a second.
 */
#define KNOWN_MEMO_PER_S 1000000
#define KNOWN_MEMO_BURST 10000000

/* Of the lines that are loaded now; none where no line is hashed. False: no memory. */
bool known_memo_create(struct known_hosts *known);
void known_memo_destroy(struct known_memo *memo);

/* Says for which names known_memo_matches will be asked next. False: not now, too much was searched for. */
bool known_memo_look(const struct known_hosts *known, const struct words *names);
/* As known_line_matches, of the line at that place. */
bool known_memo_matches(const struct known_hosts *known, size_t line, const struct words *names);

#endif
