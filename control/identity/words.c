/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/words.h"

#include <ctype.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

bool words_have(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->at[i], word) == 0)
			return true;
	return false;
}

bool words_add(struct words *words, const char *word)
{
	if (words_have(words, word))
		return true;
	if (words->count >= WORDS_MAX)
		return false;
	char *copy = strdup(word);
	char **at = copy == NULL ? NULL : realloc(words->at, (words->count + 1) * sizeof(*at));
	if (at == NULL) {
		free(copy);
		return false;
	}
	words->at = at;
	words->at[words->count++] = copy;
	return true;
}

bool words_meet(const struct words *a, const struct words *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (words_have(b, a->at[i]))
			return true;
	return false;
}

void words_free(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->at[i]);
	free(words->at);
	*words = (struct words){0};
}

bool word_is_name(const char *word)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+-\\$";
	size_t len = strlen(word);

	return len > 0 && len < WORD_SIZE && word[0] != '-' && strspn(word, good) == len;
}

bool word_fits(struct wire_span pattern, const char *name)
{
	size_t p = 0, star = SIZE_MAX;
	const char *after = NULL;

	while (*name != '\0') {
		uint8_t c = p < pattern.len ? pattern.at[p] : '\0';
		if (c == '*') {
			star = p++;
			after = name;
		} else if (c == '?' || (c != '\0' && tolower(c) == tolower((unsigned char)*name))) {
			p++;
			name++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			name = ++after;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.at[p] == '*')
		p++;
	return p == pattern.len;
}
