/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/keeper.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static const struct {
	const char *file, *what;
	bool made_at_start; /* the CAs are made only when an admin asks for them */
} kinds[KEYRING_KINDS] = {
    [KEYRING_USER_CA] = {"ca-user.key", "user CA", false},
    [KEYRING_CLIENT_CA] = {"ca-client.key", "client CA", false},
    [KEYRING_HOST_CA] = {"ca-host.key", "host CA", false},
    [KEYRING_HOST_SEED] = {"host.seed", "host-key seed", true},
    [KEYRING_EVIDENCE] = {"evidence.key", "evidence key", true},
};

/* Separates derived host keys from every other use that the seed could ever have. */
#define HOST_CONTEXT "portreeve host key 1"

static int load(struct keyring *keyring, enum keyring_kind kind)
{
	uint8_t *seed = sodium_malloc(KEEPER_SEED_SIZE);

	if (seed == NULL) {
		rpc_log(RPC_LOG_ERROR, "not enough locked memory for the %s", kinds[kind].what);
		return -ENOMEM;
	}
	int error = keyfile_read(keyring->directory, kinds[kind].file, kind, seed);
	if (error != 0) {
		sodium_free(seed);
		if (error == -EBADMSG)
			rpc_log(RPC_LOG_ERROR,
			    "the %s in keeper/%s is damaged: put back a copy of the file, or move it away "
			    "to begin with a new key",
			    kinds[kind].what, kinds[kind].file);
		else if (error == -EPERM)
			rpc_log(RPC_LOG_ERROR,
			    "the %s in keeper/%s is open to others than its owner: chmod 600, and "
			    "consider it known to them",
			    kinds[kind].what, kinds[kind].file);
		else if (error != -ENOENT)
			rpc_log(
			    RPC_LOG_ERROR, "cannot read keeper/%s: %s", kinds[kind].file, strerror(-error));
		return error;
	}
	sodium_mprotect_readonly(seed);
	keyring->seeds[kind] = seed;
	return 0;
}

int keyring_create(struct keyring *keyring, enum keyring_kind kind)
{
	if (keyring->seeds[kind] != NULL)
		return -EEXIST;
	uint8_t *seed = sodium_malloc(KEEPER_SEED_SIZE);
	if (seed == NULL)
		return -ENOMEM;
	randombytes_buf(seed, KEEPER_SEED_SIZE);
	int error = keyfile_write(keyring->directory, kinds[kind].file, kind, seed);
	if (error != 0) {
		sodium_free(seed);
		rpc_log(RPC_LOG_ERROR, "cannot write keeper/%s: %s", kinds[kind].file, strerror(-error));
		return error;
	}
	sodium_mprotect_readonly(seed);
	keyring->seeds[kind] = seed;
	rpc_log(RPC_LOG_NOTICE, "made the %s", kinds[kind].what);
	return 0;
}

int keyring_open(struct keyring *keyring, int directory)
{
	*keyring = (struct keyring){.directory = directory};
	if (sodium_init() < 0)
		return -ENOSYS;
	for (unsigned kind = KEYRING_USER_CA; kind < KEYRING_KINDS; kind++) {
		int error = load(keyring, (enum keyring_kind)kind);
		if (error == -ENOENT)
			error =
			    kinds[kind].made_at_start ? keyring_create(keyring, (enum keyring_kind)kind) : 0;
		if (error != 0) {
			keyring_close(keyring);
			return error;
		}
	}
	return 0;
}

void keyring_close(struct keyring *keyring)
{
	for (unsigned kind = 0; kind < KEYRING_KINDS; kind++) {
		if (keyring->seeds[kind] != NULL) {
			sodium_mprotect_readwrite(keyring->seeds[kind]);
			sodium_free(keyring->seeds[kind]); /* wipes */
		}
		keyring->seeds[kind] = NULL;
	}
}

bool keyring_has(const struct keyring *keyring, enum keyring_kind kind)
{
	return kind < KEYRING_KINDS && keyring->seeds[kind] != NULL;
}

static void sign_with_seed(const uint8_t *seed, const void *bytes, size_t len, uint8_t *signature)
{
	uint8_t public_key[KEEPER_PUBLIC_SIZE], secret[KEEPER_SECRET_SIZE];

	crypto_sign_seed_keypair(public_key, secret, seed);
	crypto_sign_detached(signature, NULL, bytes, len, secret);
	sodium_memzero(secret, sizeof(secret));
}

static void public_of_seed(const uint8_t *seed, uint8_t *public_key)
{
	uint8_t secret[KEEPER_SECRET_SIZE];

	crypto_sign_seed_keypair(public_key, secret, seed);
	sodium_memzero(secret, sizeof(secret));
}

bool keyring_sign(const struct keyring *keyring, enum keyring_kind kind, const void *bytes, size_t len,
    uint8_t signature[KEEPER_SIGNATURE_SIZE])
{
	if (!keyring_has(keyring, kind) || kind == KEYRING_HOST_SEED)
		return false;
	sign_with_seed(keyring->seeds[kind], bytes, len, signature);
	return true;
}

bool keyring_public(
    const struct keyring *keyring, enum keyring_kind kind, uint8_t public_key[KEEPER_PUBLIC_SIZE])
{
	if (!keyring_has(keyring, kind) || kind == KEYRING_HOST_SEED)
		return false;
	public_of_seed(keyring->seeds[kind], public_key);
	return true;
}

/* seed' = BLAKE2b(key = seed; context || NUL || target id), 32 bytes: a keyed hash is a PRF, so keys of
 * different targets tell nothing about each other or about the seed. */
static bool host_seed(const struct keyring *keyring, const char *target_id, uint8_t derived[KEEPER_SEED_SIZE])
{
	crypto_generichash_state state;

	if (!keyring_has(keyring, KEYRING_HOST_SEED) || target_id[0] == '\0')
		return false;
	crypto_generichash_init(
	    &state, keyring->seeds[KEYRING_HOST_SEED], KEEPER_SEED_SIZE, KEEPER_SEED_SIZE);
	crypto_generichash_update(&state, (const uint8_t *)HOST_CONTEXT, sizeof(HOST_CONTEXT));
	crypto_generichash_update(&state, (const uint8_t *)target_id, strlen(target_id));
	crypto_generichash_final(&state, derived, KEEPER_SEED_SIZE);
	sodium_memzero(&state, sizeof(state));
	return true;
}

bool keyring_host_public(
    const struct keyring *keyring, const char *target_id, uint8_t public_key[KEEPER_PUBLIC_SIZE])
{
	uint8_t derived[KEEPER_SEED_SIZE];

	if (!host_seed(keyring, target_id, derived))
		return false;
	public_of_seed(derived, public_key);
	sodium_memzero(derived, sizeof(derived));
	return true;
}

bool keyring_host_sign(const struct keyring *keyring, const char *target_id, const void *bytes, size_t len,
    uint8_t signature[KEEPER_SIGNATURE_SIZE])
{
	uint8_t derived[KEEPER_SEED_SIZE];

	if (!host_seed(keyring, target_id, derived))
		return false;
	sign_with_seed(derived, bytes, len, signature);
	sodium_memzero(derived, sizeof(derived));
	return true;
}
