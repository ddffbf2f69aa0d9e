/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/known_memo.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/identity/known_hashed.h"

#define BUCKETS 4096
#define NAMES_WITHOUT 4096

/* A name that has lines. */
struct found {
	struct found *next;
	uint32_t *lines;
	size_t count;
	char name[];
};

struct prepared {
	struct known_hashed hashed;
	uint32_t line;
};

struct known_memo {
	struct found *found[BUCKETS];
	char *without[NAMES_WITHOUT]; /* names that have none: each has one place, from which it drives
	                                 another */
	struct prepared *lines;
	size_t count;
	uint8_t *looked;                        /* for each line: is it of the names that are looked for? */
	uint8_t key[crypto_shorthash_KEYBYTES]; /* so that nobody chooses names that meet in one place */
	int64_t room, filled_at_ms;             /* hashes that may be made */
};

static void drop(struct found *found)
{
	free(found->lines);
	free(found);
}

void known_memo_destroy(struct known_memo *memo)
{
	if (memo == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (memo->found[i] != NULL) {
			struct found *next = memo->found[i]->next;
			drop(memo->found[i]);
			memo->found[i] = next;
		}
	for (size_t i = 0; i < NAMES_WITHOUT; i++)
		free(memo->without[i]);
	free(memo->lines);
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
	memo->lines = calloc(count, sizeof(*memo->lines));
	memo->looked = calloc(known->count, 1);
	if (memo->lines == NULL || memo->looked == NULL) {
		known_memo_destroy(memo);
		return false;
	}
	for (size_t i = 0; i < known->count; i++) {
		struct prepared *one = &memo->lines[memo->count];
		if (!known_line_hashed(&known->lines[i]) ||
		    !known_hashed_read(&one->hashed, known->lines[i].patterns))
			continue;
		one->line = (uint32_t)i;
		memo->count++;
	}
	randombytes_buf(memo->key, sizeof(memo->key));
	memo->room = KNOWN_MEMO_BURST;
	known->memo = memo;
	return true;
}

static uint64_t place_of(const struct known_memo *memo, const char *name)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t place;

	crypto_shorthash(hash, (const uint8_t *)name, strlen(name), memo->key);
	memcpy(&place, hash, sizeof(place));
	return place;
}

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* May all lines be hashed once more? */
static bool may_search(const struct known_hosts *known)
{
	struct known_memo *memo = known->memo;
	int64_t now = known->now_ms == NULL ? monotonic_ms() : known->now_ms();
	int64_t passed = now - memo->filled_at_ms;
	bool full = passed < 0 || passed >= KNOWN_MEMO_BURST / (KNOWN_MEMO_PER_S / 1000) ||
	            memo->room + passed * (KNOWN_MEMO_PER_S / 1000) > KNOWN_MEMO_BURST;

	memo->room = full ? KNOWN_MEMO_BURST : memo->room + passed * (KNOWN_MEMO_PER_S / 1000);
	memo->filled_at_ms = now;
	if (memo->room < (int64_t)memo->count)
		return false;
	memo->room -= (int64_t)memo->count;
	return true;
}

static void remember_without(struct known_memo *memo, uint64_t place, const char *name)
{
	char **kept = &memo->without[place % NAMES_WITHOUT];

	free(*kept);
	*kept = strdup(name);
}

/* Looks through all hashed lines and keeps what it finds, as far as there is memory. */
static void search(struct known_memo *memo, uint64_t place, const char *name)
{
	size_t size = strlen(name) + 1, count = 0;

	for (size_t i = 0; i < memo->count; i++)
		if (known_hashed_matches(&memo->lines[i].hashed, name)) {
			memo->looked[memo->lines[i].line] = 2;
			count++;
		}
	if (count == 0) {
		remember_without(memo, place, name);
		return;
	}
	struct found *found = malloc(sizeof(*found) + size);
	uint32_t *lines = calloc(count, sizeof(*lines));
	for (size_t i = 0, at = 0; i < memo->count; i++) {
		uint8_t *looked = &memo->looked[memo->lines[i].line];
		if (*looked == 2 && lines != NULL)
			lines[at++] = memo->lines[i].line;
		*looked = *looked != 0;
	}
	if (found == NULL || lines == NULL) {
		free(found);
		free(lines);
		return;
	}
	*found = (struct found){.next = memo->found[place % BUCKETS], .lines = lines, .count = count};
	memcpy(found->name, name, size);
	memo->found[place % BUCKETS] = found;
}

static bool look_for(const struct known_hosts *known, const char *name)
{
	struct known_memo *memo = known->memo;
	uint64_t place = place_of(memo, name);
	const char *without = memo->without[place % NAMES_WITHOUT];

	if (without != NULL && strcmp(without, name) == 0)
		return true;
	for (const struct found *found = memo->found[place % BUCKETS]; found != NULL; found = found->next) {
		if (strcmp(found->name, name) != 0)
			continue;
		for (size_t i = 0; i < found->count; i++)
			memo->looked[found->lines[i]] = 1;
		return true;
	}
	if (!may_search(known))
		return false;
	search(memo, place, name);
	return true;
}

bool known_memo_look(const struct known_hosts *known, const struct words *names)
{
	struct known_memo *memo = known->memo;

	if (memo == NULL)
		return true;
	memset(memo->looked, 0, known->count);
	for (size_t i = 0; i < names->count; i++)
		if (!look_for(known, names->at[i]))
			return false;
	return true;
}

bool known_memo_matches(const struct known_hosts *known, size_t line, const struct words *names)
{
	if (known->memo != NULL && known_line_hashed(&known->lines[line]))
		return known->memo->looked[line] != 0;
	return known_line_matches(&known->lines[line], names);
}
