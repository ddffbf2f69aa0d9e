/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/token.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *file, *what;
	bool made_at_start; /* the CAs are made only when an admin asks for them */
} kinds[KEYRING_KINDS] = {
    [KEYRING_USER_CA] = {"ca-user.key", "user CA", false},
    [KEYRING_CLIENT_CA] = {"ca-client.key", "client CA", false},
    [KEYRING_HOST_CA] = {"ca-host.key", "host CA", false},
    [KEYRING_HOST_SEED] = {"host.seed", "host-key seed", true},
    [KEYRING_EVIDENCE] = {"evidence.key", "evidence key", true},
    [KEYRING_SEAL] = {"seal.key", "seal key", true},
};

static bool is_ca(enum keyring_kind kind)
{
	return kind >= KEYRING_USER_CA && kind <= KEYRING_HOST_CA;
}

static void tell_load_failure(enum keyring_kind kind, int error)
{
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
	else if (error != 0 && error != -ENOENT)
		rpc_log(RPC_LOG_ERROR, "cannot read keeper/%s: %s", kinds[kind].file, strerror(-error));
}

static int load(struct keyring *keyring, enum keyring_kind kind)
{
	int error;

	if (is_ca(kind)) {
		error = ca_load(&keyring->cas[kind], keyring->directory, kinds[kind].file, kind);
	} else {
		uint8_t *seed = sodium_malloc(KEEPER_SEED_SIZE);
		error =
		    seed == NULL ? -ENOMEM : keyfile_read(keyring->directory, kinds[kind].file, kind, seed);
		if (error != 0) {
			sodium_free(seed);
		} else {
			sodium_mprotect_readonly(seed);
			keyring->seeds[kind] = seed;
		}
	}
	tell_load_failure(kind, error);
	return error;
}

static int create_ca(struct keyring *keyring, enum keyring_kind kind)
{
	struct ca_file file = keyring_ca_file(keyring, kind, (uint64_t)time(NULL));
	struct ca_key key = {.private = private_key_generate(PRIVATE_KEY_ED25519, 0)};
	int error =
	    key.private == NULL || !ca_key_set_blob(&key, private_key_blob(key.private)) ? -ENOMEM : 0;

	if (error == 0)
		error = ca_add(&keyring->cas[kind], &file, &key);
	ca_key_free(&key);
	return error;
}

static int create_seed(struct keyring *keyring, enum keyring_kind kind)
{
	uint8_t *seed = sodium_malloc(KEEPER_SEED_SIZE);

	if (seed == NULL)
		return -ENOMEM;
	randombytes_buf(seed, KEEPER_SEED_SIZE);
	int error = keyfile_write(keyring->directory, kinds[kind].file, kind, seed);
	if (error != 0) {
		sodium_free(seed);
		return error;
	}
	sodium_mprotect_readonly(seed);
	keyring->seeds[kind] = seed;
	return 0;
}

int keyring_create(struct keyring *keyring, enum keyring_kind kind)
{
	if (keyring_has(keyring, kind))
		return -EEXIST;
	int error = is_ca(kind) ? create_ca(keyring, kind) : create_seed(keyring, kind);
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "cannot write keeper/%s: %s", kinds[kind].file, strerror(-error));
	else
		rpc_log(RPC_LOG_NOTICE, "made the %s", kinds[kind].what);
	return error;
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
	for (unsigned kind = KEYRING_USER_CA; kind <= KEYRING_HOST_CA; kind++)
		ca_close(&keyring->cas[kind]);
}

bool keyring_has(const struct keyring *keyring, enum keyring_kind kind)
{
	return kind < KEYRING_KINDS &&
	       (is_ca(kind) ? keyring->cas[kind].count > 0 : keyring->seeds[kind] != NULL);
}

struct ca *keyring_ca(struct keyring *keyring, enum keyring_kind kind)
{
	return &keyring->cas[kind];
}

struct ca_file keyring_ca_file(const struct keyring *keyring, enum keyring_kind kind, uint64_t now_s)
{
	return (struct ca_file){
	    .directory = keyring->directory, .name = kinds[kind].file, .kind = kind, .now_s = now_s};
}

struct wire_span keyring_ca_blob(const struct keyring *keyring, enum keyring_kind kind)
{
	const struct ca_key *key = is_ca(kind) ? ca_current(&keyring->cas[kind]) : NULL;

	return key == NULL ? (struct wire_span){0} : (struct wire_span){key->blob, key->blob_len};
}

bool keyring_ca_sign(const struct keyring *keyring, enum keyring_kind kind, struct wire_span data,
    struct wire_out *out, char error[KEEPER_ERROR_MAX])
{
	const struct ca_key *key = is_ca(kind) ? ca_current(&keyring->cas[kind]) : NULL;

	if (key == NULL)
		snprintf(error, KEEPER_ERROR_MAX, "there is no such CA");
	else if (key->private == NULL)
		return token_sign(keyring->token, key->token_uri,
		    (struct wire_span){key->blob, key->blob_len}, data, out, error);
	else if (!private_key_sign(key->private, (struct wire_span){0}, data, out))
		snprintf(error, KEEPER_ERROR_MAX, "the CA's key could not sign");
	else
		return true;
	return false;
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
	if (kind != KEYRING_EVIDENCE || !keyring_has(keyring, kind))
		return false;
	sign_with_seed(keyring->seeds[kind], bytes, len, signature);
	return true;
}

bool keyring_public(
    const struct keyring *keyring, enum keyring_kind kind, uint8_t public_key[KEEPER_PUBLIC_SIZE])
{
	if (kind != KEYRING_EVIDENCE || !keyring_has(keyring, kind))
		return false;
	public_of_seed(keyring->seeds[kind], public_key);
	return true;
}
