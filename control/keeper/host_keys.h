/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_keys: the host keys that clients are shown, one of each type for each target.
 *
 * Theory of operation. No host key is stored: each is derived from the host seed, the target's id and the
 * type, so it is the same for the same target for ever, and whoever has the seed's copy has them all. What is
 * derived is kept in memory. An RSA key takes a third of a second to find: where its primes lie is kept in
 * memory and on disk for many more (host_hints.h), and they are searched for by a process of their own
 * (searcher.h), so that nobody waits who does not ask for that key. Rotation: `rotate` makes a next seed,
 * whose public keys can be handed out beforehand; `commit` makes it the current one. Sessions that live at
 * that moment go on with the keys that they began with: the former seed is kept until none of them is left,
 * or the next commit, or PREVIOUS_MAX_S.
 */
#ifndef CONTROL_KEEPER_HOST_KEYS_H
#define CONTROL_KEEPER_HOST_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "control/keeper/keeper.h"

#define PREVIOUS_MAX_S (30u * 24u * 3600u)
#define HOST_KEY_NAME_SIZE 16
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
/* The same, but the next one, too: its keys are handed out, and prove themselves, before they sign. */
bool host_keys_any_by_id(
    const struct host_keys *keys, const uint8_t id[HOST_SEED_ID_SIZE], enum host_seed *seed);
/* Seconds since it was the current one. */
uint64_t host_keys_previous_age(const struct host_keys *keys, uint64_t now_s);
void host_keys_forget_previous(struct host_keys *keys);

/* Appends the public key blob. type: "ssh-ed25519", "ecdsa-sha2-nistp256", …384, …521 or "ssh-rsa". False:
 * there is no such seed or type, or the target has no id. */
bool host_keys_public(struct host_keys *keys, enum host_seed seed, const char *target_id,
    struct wire_span type, struct wire_out *out);
/* The type of the key that signs by a host key algorithm (RFC 8332 section 3). */
struct wire_span host_keys_type(struct wire_span algorithm);
/* Appends a signature blob. algorithm: a host key algorithm's name (not a certificate's). */
bool host_keys_sign(struct host_keys *keys, enum host_seed seed, const char *target_id,
    struct wire_span algorithm, struct wire_span bytes, struct wire_out *out);

/* Must an RSA key be searched for first, which takes a third of a second? What is missing then: */
struct host_search {
	uint8_t name[HOST_KEY_NAME_SIZE]; /* of the key: of seed, target and type */
	uint8_t seed_id[HOST_SEED_ID_SIZE];
	uint8_t derived[KEEPER_SEED_SIZE]; /* secret: what that one key is made of */
};
bool host_keys_must_search(struct host_keys *keys, enum host_seed seed, const char *target_id,
    struct wire_span type, struct host_search *search);
/* It was found elsewhere. */
struct host_hint;
void host_keys_learn(struct host_keys *keys, const struct host_search *search, const struct host_hint *hint);
/* What was found lies on disk only once it is saved: how many do not yet. Logs where it cannot. */
unsigned host_keys_unsaved(const struct host_keys *keys);
void host_keys_save(struct host_keys *keys);
/* Keys that were searched for in this process. */
uint64_t host_keys_searched(const struct host_keys *keys);
/* Private keys that are kept in memory: those of a seed go with it. */
unsigned host_keys_in_memory(const struct host_keys *keys);

/* -- host_derive.c -- */
struct private_key;
/* How far an RSA key's primes are from where the search for them began. */
struct host_hint {
	uint32_t p, q;
};
/* What an RSA key is made of: nothing that would tell of others. */
void host_derive_rsa(
    const uint8_t seed[KEEPER_SEED_SIZE], const char *target_id, uint8_t derived[KEEPER_SEED_SIZE]);
/* Searches for its primes. False: no memory. */
bool host_search(const uint8_t derived[KEEPER_SEED_SIZE], struct host_hint *hint);
/* Derives one key. hint: of an RSA key. NULL: no memory, or no such type. */
struct private_key *host_derive(const uint8_t seed[KEEPER_SEED_SIZE], const char *target_id,
    struct wire_span type, const struct host_hint *hint);

#endif
