/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally: how many sessions are live under a rule from one source, and of one user.
 *
 * A rule is its name: a limit goes on counting over new policies, and over a restart of this process, in
 * which workers tell again what they have. Strangers choose addresses and workers choose numbers, so the
 * places in the table are by a keyed hash.
 */
#ifndef CONTROL_SESSIONS_TALLY_H
#define CONTROL_SESSIONS_TALLY_H

#include <sodium.h>
#include <stdint.h>

#define TALLY_BUCKETS 4096

struct tally {
	struct tally *next;
	uint8_t key[crypto_generichash_BYTES]; /* of kind, rule and whose */
	uint32_t count;
};

struct tallies {
	struct tally *buckets[TALLY_BUCKETS];
	uint8_t secret[crypto_generichash_KEYBYTES];
	int seeded;
};

enum tally_kind { TALLY_SOURCE = 1, TALLY_USER };

/* Counts one more; to be given back with tally_leave. NULL without memory. */
struct tally *tally_enter(struct tallies *tallies, enum tally_kind kind, const char *rule, const char *whose);
/* How many there are. */
uint32_t tally_count(struct tallies *tallies, enum tally_kind kind, const char *rule, const char *whose);
void tally_leave(struct tallies *tallies, struct tally *tally); /* may be NULL */

#endif
