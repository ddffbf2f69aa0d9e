/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private_key: one private key of any type that SSH has, in locked memory: made, read, stored, used.
 *
 * Theory of operation. A key is kept as the private fields that OpenSSH writes into its key files
 * (PROTOCOL.key): string type, then ssh-ed25519            string public, string seed and public
 *   ecdsa-sha2-nistp*      string curve, string point, mpint d
 *   ssh-rsa                mpint n, e, d, iqmp, p, q
 * That one form is what is imported, what lies in a key file, and what is read back. Ed25519 is libsodium's;
 * the others are OpenSSL's, whose private numbers lie in its secure heap.
 */
#ifndef CONTROL_KEEPER_PRIVATE_KEY_H
#define CONTROL_KEEPER_PRIVATE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define PRIVATE_KEY_FIELDS_MAX 16384 /* bytes; RSA of 16,384 bits has 9.3 KB */
#define PRIVATE_KEY_BLOB_MAX 4096    /* of a public key */
#define PRIVATE_KEY_SIGNATURE_MAX 2304

enum private_key_type {
	PRIVATE_KEY_ED25519 = 1,
	PRIVATE_KEY_ECDSA_P256,
	PRIVATE_KEY_ECDSA_P384,
	PRIVATE_KEY_ECDSA_P521,
	PRIVATE_KEY_RSA,
};

struct private_key;

/* Readies OpenSSL: its secure heap, its algorithms, no configuration file. To be called once, before
 * confine(). 0 or -errno. */
int private_key_start(void);
/* A new key; rsa_bits: 2048 to 16384 for RSA, else not looked at. NULL: no memory or no randomness. */
struct private_key *private_key_generate(enum private_key_type type, unsigned rsa_bits);
/* Reads private fields, all of them and nothing behind. NULL: no key of a type above, torn, weak (RSA below
 * 2048 bits), or its halves do not belong together. */
struct private_key *private_key_read(struct wire_span fields);
/* Takes the seed of an ed25519 key. NULL without memory. */
struct private_key *private_key_of_seed(const uint8_t seed[32]);
/* Wipes and frees. NULL is nothing. */
void private_key_free(struct private_key *key);

enum private_key_type private_key_type(const struct private_key *key);
/* The private fields, as private_key_read() takes them. Valid as long as the key. */
struct wire_span private_key_fields(const struct private_key *key);
/* The public key blob (RFC 4253 section 6.6). Valid as long as the key. */
struct wire_span private_key_blob(const struct private_key *key);
/* Appends a signature blob over `data`. algorithm: a name of RFC 8332 for an RSA key ("rsa-sha2-256",
 * "rsa-sha2-512", "ssh-rsa"), else the key's type; empty: the best of the key. False: the key has no such
 * algorithm, or it failed. */
bool private_key_sign(
    const struct private_key *key, struct wire_span algorithm, struct wire_span data, struct wire_out *out);

#endif
