/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_hints: where the primes of RSA host keys lie. To find them takes a third of a second for each key, and
 * a stranger may ask for those of many targets.
 *
 * Kept is how far they are from where the search began, so that the key is made anew from the seed in
 * some milliseconds: in memory, and, encrypted by a key that is derived from the seal key, in
 * keeper/host-rsa.hints. The file is written whole or not at all, and may be lost: what it held is searched
 * for again. It is authenticated, for with another number in it a key would be none that keeps anybody out.
 */
#ifndef CONTROL_KEEPER_HOST_HINTS_H
#define CONTROL_KEEPER_HOST_HINTS_H

#include "control/keeper/host_keys.h"

#define HOST_HINTS_MAX                                                                                       \
	16384u /* keys: half a megabyte. The one that was asked for longest ago makes room.                  \
	        */

#define HOST_HINTS_AGED 1024u /* uses after which the file is written anew, so that it has their order */

struct host_hints;

/* Reads the file; where it is damaged, says so and begins anew. NULL: no memory. */
struct host_hints *host_hints_open(const struct keyring *keyring);
void host_hints_close(struct host_hints *hints); /* NULL is nothing */
/* It counts as asked for now. */
bool host_hints_find(
    struct host_hints *hints, const uint8_t name[HOST_KEY_NAME_SIZE], struct host_hint *hint);
void host_hints_put(struct host_hints *hints, const uint8_t name[HOST_KEY_NAME_SIZE],
    const uint8_t seed_id[HOST_SEED_ID_SIZE], const struct host_hint *hint);
/* Forgets those of the seed's keys. */
void host_hints_forget(struct host_hints *hints, const uint8_t seed_id[HOST_SEED_ID_SIZE]);
/* Changes that the file does not have. */
unsigned host_hints_unsaved(const struct host_hints *hints);
/* What cannot be written is logged, and tried again after the next change. */
void host_hints_save(struct host_hints *hints);

#endif
