/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sessions/tally.h"

#include <stdlib.h>
#include <string.h>

static struct tally **bucket(struct tallies *tallies, const uint8_t key[crypto_generichash_BYTES])
{
	return &tallies->buckets[(key[0] | (unsigned)key[1] << 8) % TALLY_BUCKETS];
}

static void key_of(struct tallies *tallies, enum tally_kind kind, const char *rule, const char *whose,
    uint8_t key[crypto_generichash_BYTES])
{
	crypto_generichash_state state;
	const uint8_t first = (uint8_t)kind;

	if (!tallies->seeded) {
		randombytes_buf(tallies->secret, sizeof(tallies->secret));
		tallies->seeded = 1;
	}
	crypto_generichash_init(&state, tallies->secret, sizeof(tallies->secret), crypto_generichash_BYTES);
	crypto_generichash_update(&state, &first, 1);
	crypto_generichash_update(&state, (const uint8_t *)rule, strlen(rule) + 1);
	crypto_generichash_update(&state, (const uint8_t *)whose, strlen(whose));
	crypto_generichash_final(&state, key, crypto_generichash_BYTES);
}

static struct tally *find(struct tallies *tallies, const uint8_t key[crypto_generichash_BYTES])
{
	struct tally *tally = *bucket(tallies, key);

	while (tally != NULL && memcmp(tally->key, key, crypto_generichash_BYTES) != 0)
		tally = tally->next;
	return tally;
}

uint32_t tally_count(struct tallies *tallies, enum tally_kind kind, const char *rule, const char *whose)
{
	uint8_t key[crypto_generichash_BYTES];

	key_of(tallies, kind, rule, whose, key);
	const struct tally *tally = find(tallies, key);
	return tally == NULL ? 0 : tally->count;
}

struct tally *tally_enter(struct tallies *tallies, enum tally_kind kind, const char *rule, const char *whose)
{
	uint8_t key[crypto_generichash_BYTES];

	key_of(tallies, kind, rule, whose, key);
	struct tally *tally = find(tallies, key);
	if (tally == NULL) {
		struct tally **head = bucket(tallies, key);
		tally = calloc(1, sizeof(*tally));
		if (tally == NULL)
			return NULL;
		memcpy(tally->key, key, sizeof(key));
		tally->next = *head;
		*head = tally;
	}
	tally->count++;
	return tally;
}

void tally_leave(struct tallies *tallies, struct tally *tally)
{
	if (tally == NULL || --tally->count > 0)
		return;
	struct tally **at = bucket(tallies, tally->key);
	while (*at != tally)
		at = &(*at)->next;
	*at = tally->next;
	free(tally);
}
