/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets on their way to the keeper: `reeve` seals them (libsodium's crypto_box_seal: X25519,
 * XSalsa20-Poly1305, a fresh key of the sender each) to a key that is derived from the seal seed. Control
 * hands on what it cannot read.
 */
#include "control/keeper/keeper.h"

#include <sodium.h>

#define SEAL_CONTEXT "portreeve seal 1"

static bool seal_keypair(const struct keyring *keyring, uint8_t public_key[crypto_box_PUBLICKEYBYTES],
    uint8_t secret_key[crypto_box_SECRETKEYBYTES])
{
	uint8_t derived[crypto_box_SEEDBYTES];

	if (!keyring_has(keyring, KEYRING_SEAL))
		return false;
	crypto_generichash(derived, sizeof(derived), (const uint8_t *)SEAL_CONTEXT, sizeof(SEAL_CONTEXT),
	    keyring->seeds[KEYRING_SEAL], KEEPER_SEED_SIZE);
	crypto_box_seed_keypair(public_key, secret_key, derived);
	sodium_memzero(derived, sizeof(derived));
	return true;
}

bool seal_public(const struct keyring *keyring, uint8_t public_key[SEAL_PUBLIC_SIZE])
{
	uint8_t secret_key[crypto_box_SECRETKEYBYTES];
	bool there = seal_keypair(keyring, public_key, secret_key);

	sodium_memzero(secret_key, sizeof(secret_key));
	return there;
}

uint8_t *seal_open(const struct keyring *keyring, struct wire_span sealed, size_t *len)
{
	uint8_t public_key[crypto_box_PUBLICKEYBYTES], secret_key[crypto_box_SECRETKEYBYTES];
	uint8_t *plain = NULL;

	if (sealed.len < crypto_box_SEALBYTES || sealed.len > crypto_box_SEALBYTES + SEAL_PLAIN_MAX ||
	    !seal_keypair(keyring, public_key, secret_key))
		return NULL;
	*len = sealed.len - crypto_box_SEALBYTES;
	/* Never of no bytes, so that NULL is failure alone. */
	plain = sodium_malloc(*len + 1);
	if (plain != NULL &&
	    crypto_box_seal_open(plain, sealed.at, sealed.len, public_key, secret_key) != 0) {
		sodium_free(plain);
		plain = NULL;
	}
	sodium_memzero(secret_key, sizeof(secret_key));
	return plain;
}
