/* SPDX-License-Identifier: Apache-2.0 */
/* words: a short, owned list of names (logins, groups, users). Bounded; order is kept, doubles are not. */
#ifndef CONTROL_IDENTITY_WORDS_H
#define CONTROL_IDENTITY_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/wire/wire.h"

#define WORDS_MAX 1024
#define WORD_SIZE 64 /* bytes of a user's, login's or group's name, with the NUL */

struct words {
	char **at;
	size_t count;
};

/* Adds a copy; one that is there already is not added again. False without memory or beyond WORDS_MAX. */
bool words_add(struct words *words, const char *word);
bool words_have(const struct words *words, const char *word);
/* Have both lists a word in common? */
bool words_meet(const struct words *a, const struct words *b);
void words_free(struct words *words);

/* Is this a name that a user, login or group may have: 1 to 63 characters out of letters, digits and . _ @ +
 * - \ $, no '-' first? (Names reach log lines, file names and the origin's sshd.) */
bool word_is_name(const char *word);
/* Does a pattern of ssh_config(5) ('*', '?', no regard to case) match the whole name? Linear but for its last
 * '*'. */
bool word_fits(struct wire_span pattern, const char *name);

#endif
