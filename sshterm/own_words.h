/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_words: what the box says to people begins with its name, so that nobody takes it for what client,
 * origin or agent say.
 */
#ifndef SSHTERM_OWN_WORDS_H
#define SSHTERM_OWN_WORDS_H

#include <stdio.h>
#include <strings.h>

#include "sshterm/session.h"

#define OWN_WORDS_NAME "portreeve: "
#define OWN_WORDS_MAX (sizeof(OWN_WORDS_NAME) + 2 * SESSION_TEXT_MAX)

/* The same text with the name before it, where it is not there already; cut to fit. Returns `words`. */
static inline const char *own_words(const char *text, char words[OWN_WORDS_MAX])
{
	bool named = strncasecmp(text, OWN_WORDS_NAME, sizeof(OWN_WORDS_NAME) - 1) == 0;

	snprintf(words, OWN_WORDS_MAX, "%s%s", named ? "" : OWN_WORDS_NAME, text);
	return words;
}

#endif
