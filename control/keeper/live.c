/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of fixed size, open addressing with linear probing, keyed SipHash so that whoever chooses
 * session ids cannot choose collisions. Deletion moves later entries back, so there are no tombstones.
 */
#include "control/keeper/keeper.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct live_entry {
	char session_id[KEEPER_SESSION_ID_MAX]; /* empty: free */
	char target_id[KEEPER_TARGET_ID_MAX];
	uint8_t seed[HOST_SEED_ID_SIZE]; /* by which host keys sign for it; all zero: none */
};

struct live {
	uint32_t capacity; /* most sessions; the table is twice that, a power of two */
	uint32_t mask;
	uint32_t count;
	uint8_t key[crypto_shorthash_KEYBYTES];
	struct live_entry entries[];
};

struct live *live_create(uint32_t capacity)
{
	uint32_t size = 2;

	while (size < 2 * capacity)
		size *= 2;
	struct live *live = calloc(1, sizeof(*live) + (size_t)size * sizeof(live->entries[0]));
	if (live == NULL)
		return NULL;
	live->capacity = capacity;
	live->mask = size - 1;
	randombytes_buf(live->key, sizeof(live->key));
	return live;
}

void live_destroy(struct live *live)
{
	free(live);
}

static uint32_t home(const struct live *live, const char *session_id)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t value;

	crypto_shorthash(hash, (const uint8_t *)session_id, strlen(session_id), live->key);
	memcpy(&value, hash, sizeof(value));
	return value & live->mask;
}

/* Where the session is, or the free place where it would be. */
static uint32_t find(const struct live *live, const char *session_id)
{
	uint32_t at = home(live, session_id);

	while (
	    live->entries[at].session_id[0] != '\0' && strcmp(live->entries[at].session_id, session_id) != 0)
		at = (at + 1) & live->mask;
	return at;
}

bool live_add(struct live *live, const char *session_id, const char *target_id)
{
	struct live_entry *entry = &live->entries[find(live, session_id)];

	if (session_id[0] == '\0' || strlen(session_id) >= sizeof(entry->session_id) ||
	    strlen(target_id) >= sizeof(entry->target_id))
		return false;
	if (entry->session_id[0] == '\0') {
		if (live->count == live->capacity)
			return false;
		live->count++;
		memset(entry->seed, 0, sizeof(entry->seed));
		memcpy(entry->session_id, session_id, strlen(session_id) + 1);
	}
	memcpy(entry->target_id, target_id, strlen(target_id) + 1);
	return true;
}

void live_remove(struct live *live, const char *session_id)
{
	uint32_t hole = find(live, session_id);

	if (live->entries[hole].session_id[0] == '\0')
		return;
	live->count--;
	for (uint32_t at = (hole + 1) & live->mask; live->entries[at].session_id[0] != '\0';
	     at = (at + 1) & live->mask) {
		/* It may move into the hole unless its home lies after the hole, up to where it is. */
		uint32_t from_home = (at - home(live, live->entries[at].session_id)) & live->mask;
		if (from_home < ((at - hole) & live->mask))
			continue;
		live->entries[hole] = live->entries[at];
		hole = at;
	}
	live->entries[hole].session_id[0] = '\0';
}

const char *live_target(const struct live *live, const char *session_id)
{
	const struct live_entry *entry = &live->entries[find(live, session_id)];

	return session_id[0] == '\0' || entry->session_id[0] == '\0' ? NULL : entry->target_id;
}

void live_clear(struct live *live)
{
	/* Only what is taken: the table is large, and pages that were never written stay unbacked. */
	for (uint32_t i = 0; live->count > 0 && i <= live->mask; i++)
		if (live->entries[i].session_id[0] != '\0')
			live->entries[i].session_id[0] = '\0';
	live->count = 0;
}

uint32_t live_count(const struct live *live)
{
	return live->count;
}

void live_set_seed(struct live *live, const char *session_id, const uint8_t seed[HOST_SEED_ID_SIZE])
{
	struct live_entry *entry = &live->entries[find(live, session_id)];

	if (session_id[0] != '\0' && entry->session_id[0] != '\0')
		memcpy(entry->seed, seed, HOST_SEED_ID_SIZE);
}

const uint8_t *live_seed(const struct live *live, const char *session_id)
{
	const struct live_entry *entry = &live->entries[find(live, session_id)];
	bool there = session_id[0] != '\0' && entry->session_id[0] != '\0';

	return there && !sodium_is_zero(entry->seed, HOST_SEED_ID_SIZE) ? entry->seed : NULL;
}

bool live_needs_seed(const struct live *live, const uint8_t seed[HOST_SEED_ID_SIZE])
{
	uint32_t left = live->count;

	for (uint32_t at = 0; left > 0 && at <= live->mask; at++) {
		if (live->entries[at].session_id[0] == '\0')
			continue;
		if (memcmp(live->entries[at].seed, seed, HOST_SEED_ID_SIZE) == 0)
			return true;
		left--;
	}
	return false;
}
