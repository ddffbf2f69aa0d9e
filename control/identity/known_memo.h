/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_memo: which of the hashed lines are of which name. To know that costs an HMAC for each line, and
 * strangers have it asked at every connection; so it is kept by name until other lines are loaded.
 */
#ifndef CONTROL_IDENTITY_KNOWN_MEMO_H
#define CONTROL_IDENTITY_KNOWN_MEMO_H

#include "control/identity/known_hosts.h"

/* Of the lines that are loaded now; none where no line is hashed. False: no memory. */
bool known_memo_create(struct known_hosts *known);
void known_memo_destroy(struct known_memo *memo);

/* Says for which names known_memo_matches will be asked next. */
void known_memo_look(const struct known_hosts *known, const struct words *names);
/* As known_line_matches, of the line at that place. */
bool known_memo_matches(const struct known_hosts *known, size_t line, const struct words *names);

#endif
