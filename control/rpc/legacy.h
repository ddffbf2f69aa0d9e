/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legacy: algorithms of old SSH programs, which a rule allows by name and nothing else does. Control reads
 * the names from policies, workers put what they stand for at the end of what a leg offers.
 */
#ifndef CONTROL_RPC_LEGACY_H
#define CONTROL_RPC_LEGACY_H

#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

enum legacy_kind {
	LEGACY_KEX = 1,
	LEGACY_HOST_KEY, /* of the server, and of what a client signs with it */
	LEGACY_CIPHER,
	LEGACY_MAC,
	LEGACY_SIZE, /* no algorithm: keys of this size */
};
#define LEGACY_CLIENT 1u /* on the leg to the client */
#define LEGACY_ORIGIN 2u /* on the leg to the origin */

struct legacy_algorithm {
	const char *name; /* as in SSH, or as policies call it (LEGACY_SIZE) */
	enum legacy_kind kind;
	uint8_t legs; /* on which it may be had and is not offered anyway */
};

#define LEGACY_RSA_1024 "rsa-1024"
#define LEGACY_LIST_MAX 512 /* bytes of all names with commas and NUL */

extern const struct legacy_algorithm legacy_algorithms[];
extern const size_t legacy_count;

/* The names of a set (bit i: legacy_algorithms[i]), comma separated. */
void legacy_list(uint32_t set, char list[LEGACY_LIST_MAX]);
/* The set of one name that there is. */
uint32_t legacy_bit(const char *name);
/* NULL: no such name. */
const struct legacy_algorithm *legacy_find(struct wire_span name);

#endif
