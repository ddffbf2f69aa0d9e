/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_keys: the host keys that clients are shown, one of each type for each target.
 *
 * Theory of operation. No host key is stored: each is derived from the host seed, the target's id and the
 * type, so it is the same for the same target for ever, and whoever has the seed's copy has them all. What is
 * derived is kept in memory, for an RSA key takes a third of a second to find. Rotation: `rotate` makes a
 * next seed, whose public keys can be handed out beforehand; `commit` makes it the current one. Sessions that
 * live at that moment go on with the keys that they began with: the former seed is kept until none of them is
 * left, or the next commit, or PREVIOUS_MAX_S.
 */
#ifndef CONTROL_KEEPER_HOST_KEYS_H
#define CONTROL_KEEPER_HOST_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "control/keeper/keeper.h"

#define PREVIOUS_MAX_S (30u * 24u * 3600u)
#define HOST_KEY_BLOB_MAX 600      /* bytes of a public key: RSA has 407 */
#define HOST_KEY_SIGNATURE_MAX 512 /* RSA has 404 */

enum host_seed { HOST_SEED_CURRENT = 0, HOST_SEED_NEXT, HOST_SEED_PREVIOUS, HOST_SEEDS };

struct host_keys;

/* Takes the current seed from the keyring and reads the next and the previous one, if there are. NULL:
 * logged. */
struct host_keys *host_keys_open(const struct keyring *keyring);
void host_keys_close(struct host_keys *keys); /* NULL is nothing */

bool host_keys_has(const struct host_keys *keys, enum host_seed seed);
/* Tells seeds apart, and nothing about them. */
void host_keys_seed_id(const struct host_keys *keys, enum host_seed seed, uint8_t id[HOST_SEED_ID_SIZE]);
/* Makes the next seed: -EEXIST where there is one. */
int host_keys_rotate(struct host_keys *keys);
/* The next seed becomes the current one: -ENOENT where there is none. */
int host_keys_commit(struct host_keys *keys);
/* Forgets the next seed: -ENOENT where there is none. */
int host_keys_abandon(struct host_keys *keys);
/* Which seed is it, of those that keys sign by? False: neither the current one nor the previous. */
bool host_keys_by_id(const struct host_keys *keys, const uint8_t id[HOST_SEED_ID_SIZE], enum host_seed *seed);
/* Seconds since it was the current one. */
uint64_t host_keys_previous_age(const struct host_keys *keys, uint64_t now_s);
void host_keys_forget_previous(struct host_keys *keys);

/* Appends the public key blob. type: "ssh-ed25519", "ecdsa-sha2-nistp256", …384, …521 or "ssh-rsa". False:
 * there is no such seed or type, or the target has no id. */
bool host_keys_public(struct host_keys *keys, enum host_seed seed, const char *target_id,
    struct wire_span type, struct wire_out *out);
/* Appends a signature blob. algorithm: a host key algorithm's name (not a certificate's). */
bool host_keys_sign(struct host_keys *keys, enum host_seed seed, const char *target_id,
    struct wire_span algorithm, struct wire_span bytes, struct wire_out *out);

/* -- host_derive.c -- */
struct private_key;
/* Derives one key. NULL: no memory, or no such type. */
struct private_key *host_derive(
    const uint8_t seed[KEEPER_SEED_SIZE], const char *target_id, struct wire_span type);

#endif
