/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/known_memo.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_KEPT 4096

struct kept {
	char *name;      /* NULL: nothing */
	uint32_t *lines; /* those of the name */
	size_t count;
};

struct known_memo {
	struct kept kept[NAMES_KEPT]; /* a name has one place, from which it drives another */
	uint32_t *hashed;             /* the lines that are */
	size_t hashed_count;
	uint8_t *looked; /* for each line: is it of the names that are looked for? */
};

static void drop(struct kept *kept)
{
	free(kept->name);
	free(kept->lines);
	kept->name = NULL;
	kept->lines = NULL;
	kept->count = 0;
}

void known_memo_destroy(struct known_memo *memo)
{
	if (memo == NULL)
		return;
	for (size_t i = 0; i < NAMES_KEPT; i++)
		drop(&memo->kept[i]);
	free(memo->hashed);
	free(memo->looked);
	free(memo);
}

bool known_memo_create(struct known_hosts *known)
{
	size_t count = 0;

	known_memo_destroy(known->memo);
	known->memo = NULL;
	for (size_t i = 0; i < known->count; i++)
		count += known_line_hashed(&known->lines[i]);
	if (count == 0)
		return true;
	struct known_memo *memo = calloc(1, sizeof(*memo));
	if (memo == NULL)
		return false;
	memo->hashed = calloc(count, sizeof(*memo->hashed));
	memo->looked = calloc(known->count, 1);
	if (memo->hashed == NULL || memo->looked == NULL) {
		known_memo_destroy(memo);
		return false;
	}
	for (size_t i = 0; i < known->count; i++)
		if (known_line_hashed(&known->lines[i]))
			memo->hashed[memo->hashed_count++] = (uint32_t)i;
	known->memo = memo;
	return true;
}

/* FNV-1a: who makes names meet in one place only has them hashed anew, as without this. */
static struct kept *place_of(struct known_memo *memo, const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return &memo->kept[hash % NAMES_KEPT];
}

/* Looks through all hashed lines and keeps what it finds, as far as there is memory. */
static void search(const struct known_hosts *known, const char *name, struct kept *kept)
{
	struct known_memo *memo = known->memo;
	struct words one = {.at = (char *[]){(char *)name}, .count = 1};

	drop(kept);
	kept->name = strdup(name);
	for (size_t i = 0; i < memo->hashed_count; i++) {
		if (!known_line_matches(&known->lines[memo->hashed[i]], &one))
			continue;
		memo->looked[memo->hashed[i]] = 1;
		uint32_t *lines =
		    kept->name == NULL ? NULL : realloc(kept->lines, (kept->count + 1) * sizeof(*lines));
		if (lines == NULL) {
			drop(kept);
			continue;
		}
		kept->lines = lines;
		kept->lines[kept->count++] = memo->hashed[i];
	}
}

void known_memo_look(const struct known_hosts *known, const struct words *names)
{
	struct known_memo *memo = known->memo;

	if (memo == NULL)
		return;
	memset(memo->looked, 0, known->count);
	for (size_t i = 0; i < names->count; i++) {
		struct kept *kept = place_of(memo, names->at[i]);
		if (kept->name == NULL || strcmp(kept->name, names->at[i]) != 0) {
			search(known, names->at[i], kept);
			continue;
		}
		for (size_t line = 0; line < kept->count; line++)
			memo->looked[kept->lines[line]] = 1;
	}
}

bool known_memo_matches(const struct known_hosts *known, size_t line, const struct words *names)
{
	if (known->memo != NULL && known_line_hashed(&known->lines[line]))
		return known->memo->looked[line] != 0;
	return known_line_matches(&known->lines[line], names);
}
