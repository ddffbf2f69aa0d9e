/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault: passwords and private keys for origins that trust no CA, one for each target and login.
 *
 * Theory of operation. A target is named by its host key's fingerprint, so a secret goes to the machine that
 * holds that host key, whatever address it is met at, and to no other. Secrets lie in one file, each
 * encrypted and bound to its target and login (XChaCha20-Poly1305 with these as additional data), under a key
 * that is derived from the seal seed; in memory, too, they are decrypted only while they are used. The file's
 * names are in the clear.
 *
 * A file is "reevevlt", u8 version (1), u32 count, entries (each a string: string target, string login, u8
 * kind (enum rpc_secret), u64 put at, string public key blob or empty, string nonce, string ciphertext), and
 * 32 bytes of keyed BLAKE2b over all before it. It is replaced as a whole. One that is damaged is left as it
 * is, and the vault is closed: sessions that do not need it go on.
 */
#ifndef CONTROL_KEEPER_VAULT_H
#define CONTROL_KEEPER_VAULT_H

#include "control/keeper/keeper.h"

#define VAULT_ENTRIES_MAX 4096u
#define VAULT_FILE_MAX (16u << 20) /* bytes */
#define VAULT_LOGIN_MAX 256
#define VAULT_PASSWORD_MAX 1024

struct vault;

/* What is in one entry, but its secret. Pointers are valid until the vault changes. */
struct vault_row {
	const char *target, *login;
	enum rpc_secret kind;
	uint64_t put_at;       /* unix seconds */
	struct wire_span blob; /* of a key: the public one */
};

/* Reads the vault's file, if there is one. NULL without memory. `keyring` must outlive it. */
struct vault *vault_open(const struct keyring *keyring);
void vault_close(struct vault *vault);
/* Its file is damaged: nothing is taken or put. */
bool vault_is_damaged(const struct vault *vault);
uint32_t vault_count(const struct vault *vault);
struct vault_row vault_row(const struct vault *vault, uint32_t place);
/* Its place, or -1. */
int64_t vault_find(const struct vault *vault, const char *target, const char *login);
/* Puts a password, or private fields (private_key.h), in the place of what was there. 0; -EINVAL: no such
 * secret can be; -ENOSPC: full; -EBADMSG: damaged; -errno. */
int vault_put(struct vault *vault, const char *target, const char *login, enum rpc_secret kind,
    struct wire_span secret, uint64_t now_s);
/* 0, -ENOENT, -EBADMSG, -errno. */
int vault_remove(struct vault *vault, const char *target, const char *login);
/* The secret, decrypted: sodium_malloc'ed, sodium_free. NULL: it cannot be. */
uint8_t *vault_reveal(const struct vault *vault, uint32_t place, size_t *len);

#endif
