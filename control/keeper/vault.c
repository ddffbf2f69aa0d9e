/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/vault.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define VAULT_FILE "vault"
#define MAGIC "reevevlt"
#define VERSION 1
#define SUM_SIZE 32
#define KEY_CONTEXT "portreeve vault 1"
#define SUM_CONTEXT "portreeve vault file 1"
#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE crypto_aead_xchacha20poly1305_ietf_ABYTES
#define KEY_SIZE crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define BOUND_MAX (KEEPER_TARGET_ID_MAX + VAULT_LOGIN_MAX + PRIVATE_KEY_BLOB_MAX + 64)

struct entry {
	char *target, *login;
	enum rpc_secret kind;
	uint64_t put_at;
	uint8_t *blob;
	size_t blob_len;
	uint8_t nonce[NONCE_SIZE];
	uint8_t *sealed; /* ciphertext and tag */
	size_t sealed_len;
};

struct vault {
	const struct keyring *keyring;
	bool damaged;
	uint32_t count;
	struct entry entries[VAULT_ENTRIES_MAX];
};

/* -- cryptography -----------------------------------------------------------------------------------------
 */

static bool derive(const struct keyring *keyring, const char *context, uint8_t key[KEY_SIZE])
{
	if (!keyring_has(keyring, KEYRING_SEAL))
		return false;
	crypto_generichash(key, KEY_SIZE, (const uint8_t *)context, strlen(context) + 1,
	    keyring->seeds[KEYRING_SEAL], KEEPER_SEED_SIZE);
	return true;
}

/* What a secret is bound to: moved to another entry it opens no more. */
static struct wire_span bound(const struct entry *entry, uint8_t room[BOUND_MAX])
{
	struct wire_out out = wire_into(room, BOUND_MAX);

	wire_put_cstring(&out, entry->target);
	wire_put_cstring(&out, entry->login);
	wire_put_u8(&out, (uint8_t)entry->kind);
	wire_put_string(&out, entry->blob, entry->blob_len);
	return (struct wire_span){room, out.failed ? 0 : wire_written(&out)};
}

static bool encrypt(const struct vault *vault, struct entry *entry, struct wire_span secret)
{
	uint8_t key[KEY_SIZE], room[BOUND_MAX];
	struct wire_span to = bound(entry, room);
	unsigned long long len = 0;

	entry->sealed = malloc(secret.len + TAG_SIZE);
	if (entry->sealed == NULL || to.len == 0 || !derive(vault->keyring, KEY_CONTEXT, key))
		return false;
	randombytes_buf(entry->nonce, NONCE_SIZE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
	    entry->sealed, &len, secret.at, secret.len, to.at, to.len, NULL, entry->nonce, key);
	entry->sealed_len = (size_t)len;
	sodium_memzero(key, sizeof(key));
	return true;
}

uint8_t *vault_reveal(const struct vault *vault, uint32_t place, size_t *len)
{
	uint8_t key[KEY_SIZE], room[BOUND_MAX];

	if (place >= vault_count(vault))
		return NULL;
	const struct entry *entry = &vault->entries[place];
	struct wire_span to = bound(entry, room);
	if (to.len == 0 || !derive(vault->keyring, KEY_CONTEXT, key))
		return NULL;
	uint8_t *plain = sodium_malloc(entry->sealed_len);
	unsigned long long plain_len = 0;
	if (plain != NULL && crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &plain_len, NULL,
	                         entry->sealed, entry->sealed_len, to.at, to.len, entry->nonce, key) != 0) {
		sodium_free(plain);
		plain = NULL;
	}
	sodium_memzero(key, sizeof(key));
	*len = (size_t)plain_len;
	return plain;
}

/* -- entries ----------------------------------------------------------------------------------------------
 */

static void entry_free(struct entry *entry)
{
	free(entry->target);
	free(entry->login);
	free(entry->blob);
	free(entry->sealed);
	*entry = (struct entry){0};
}

static uint8_t *copy_of(struct wire_span bytes)
{
	uint8_t *copy = malloc(bytes.len + 1);

	if (copy != NULL && bytes.len > 0)
		memcpy(copy, bytes.at, bytes.len);
	return copy;
}

/* A word as C text, none of its bytes a NUL. */
static char *word_of(struct wire_span bytes, size_t max)
{
	char *word = bytes.len == 0 || bytes.len >= max ? NULL : malloc(bytes.len + 1);

	if (word != NULL && !wire_span_copy(bytes, word, bytes.len + 1)) {
		free(word);
		word = NULL;
	}
	return word;
}

/* -- the file ---------------------------------------------------------------------------------------------
 */

static size_t entry_size(const struct entry *entry)
{
	return strlen(entry->target) + strlen(entry->login) + entry->blob_len + entry->sealed_len +
	       NONCE_SIZE + 4 * 6 + 1 + 8;
}

static void put_entry(struct wire_out *out, const struct entry *entry)
{
	wire_put_u32(out, (uint32_t)(entry_size(entry) - 4));
	wire_put_cstring(out, entry->target);
	wire_put_cstring(out, entry->login);
	wire_put_u8(out, (uint8_t)entry->kind);
	wire_put_u64(out, entry->put_at);
	wire_put_string(out, entry->blob, entry->blob_len);
	wire_put_string(out, entry->nonce, NONCE_SIZE);
	wire_put_string(out, entry->sealed, entry->sealed_len);
}

static bool sum_of(const struct vault *vault, const uint8_t *bytes, size_t len, uint8_t sum[SUM_SIZE])
{
	uint8_t key[KEY_SIZE];

	if (!derive(vault->keyring, SUM_CONTEXT, key))
		return false;
	crypto_generichash(sum, SUM_SIZE, bytes, len, key, sizeof(key));
	sodium_memzero(key, sizeof(key));
	return true;
}

static int store(const struct vault *vault)
{
	size_t size = 8 + 1 + 4 + SUM_SIZE;
	uint8_t sum[SUM_SIZE];

	for (uint32_t i = 0; i < vault->count; i++)
		size += entry_size(&vault->entries[i]);
	uint8_t *room = size > VAULT_FILE_MAX ? NULL : malloc(size);
	if (room == NULL)
		return size > VAULT_FILE_MAX ? -ENOSPC : -ENOMEM;
	struct wire_out out = wire_into(room, size);
	wire_put_bytes(&out, MAGIC, 8);
	wire_put_u8(&out, VERSION);
	wire_put_u32(&out, vault->count);
	for (uint32_t i = 0; i < vault->count; i++)
		put_entry(&out, &vault->entries[i]);
	int error = sum_of(vault, room, wire_written(&out), sum) ? 0 : -ENOKEY;
	wire_put_bytes(&out, sum, sizeof(sum));
	if (error == 0)
		error = out.failed ? -EMSGSIZE
		                   : keyfile_replace(vault->keyring->directory, VAULT_FILE, room, size);
	free(room);
	return error;
}

static bool take_entry(struct wire_span bytes, struct entry *entry)
{
	struct wire in = wire_over(bytes.at, bytes.len);
	struct wire_span target = wire_string(&in), login = wire_string(&in);

	*entry = (struct entry){.kind = (enum rpc_secret)wire_u8(&in)};
	entry->put_at = wire_u64(&in);
	struct wire_span blob = wire_string(&in), nonce = wire_string(&in), sealed = wire_string(&in);
	if (!wire_done(&in) || nonce.len != NONCE_SIZE || sealed.len < TAG_SIZE ||
	    sealed.len > PRIVATE_KEY_FIELDS_MAX + TAG_SIZE || blob.len > PRIVATE_KEY_BLOB_MAX ||
	    (entry->kind != RPC_SECRET_PASSWORD && entry->kind != RPC_SECRET_KEY))
		return false;
	memcpy(entry->nonce, nonce.at, NONCE_SIZE);
	entry->target = word_of(target, KEEPER_TARGET_ID_MAX);
	entry->login = word_of(login, VAULT_LOGIN_MAX);
	entry->blob = copy_of(blob);
	entry->blob_len = blob.len;
	entry->sealed = copy_of(sealed);
	entry->sealed_len = sealed.len;
	return entry->target != NULL && entry->login != NULL && entry->blob != NULL && entry->sealed != NULL;
}

static bool decode(struct vault *vault, const uint8_t *bytes, size_t len)
{
	uint8_t sum[SUM_SIZE];

	if (len < SUM_SIZE || !sum_of(vault, bytes, len - SUM_SIZE, sum) ||
	    sodium_memcmp(sum, bytes + len - SUM_SIZE, SUM_SIZE) != 0)
		return false;
	struct wire in = wire_over(bytes, len - SUM_SIZE);
	struct wire_span magic = wire_bytes(&in, 8);
	uint8_t version = wire_u8(&in);
	uint32_t count = wire_u32(&in);
	if (in.failed || !wire_span_is(magic, MAGIC) || version != VERSION || count > VAULT_ENTRIES_MAX)
		return false;
	while (vault->count < count) {
		struct entry *entry = &vault->entries[vault->count];
		if (!take_entry(wire_string(&in), entry)) {
			entry_free(entry);
			return false;
		}
		vault->count++;
	}
	return wire_done(&in);
}

struct vault *vault_open(const struct keyring *keyring)
{
	struct vault *vault = calloc(1, sizeof(*vault));
	uint8_t *room = malloc(VAULT_FILE_MAX + 1);
	size_t len = 0;

	if (vault == NULL || room == NULL) {
		free(vault);
		free(room);
		return NULL;
	}
	vault->keyring = keyring;
	int error = keyfile_load(keyring->directory, VAULT_FILE, room, VAULT_FILE_MAX + 1, &len);
	if ((error != 0 && error != -ENOENT) || (error == 0 && !decode(vault, room, len))) {
		vault->damaged = true;
		rpc_log(RPC_LOG_ERROR,
		    "keeper/" VAULT_FILE
		    " cannot be read%s: put back a copy of the file (and of seal.key), or move "
		    "it away to begin with an empty vault; until then nothing is taken from it",
		    error == -EPERM ? ", for it is open to others than its owner" : "");
	}
	free(room);
	return vault;
}

void vault_close(struct vault *vault)
{
	if (vault == NULL)
		return;
	for (uint32_t i = 0; i < vault->count; i++)
		entry_free(&vault->entries[i]);
	free(vault);
}

/* -- what is in it ----------------------------------------------------------------------------------------
 */

bool vault_is_damaged(const struct vault *vault)
{
	return vault->damaged;
}

uint32_t vault_count(const struct vault *vault)
{
	return vault->damaged ? 0 : vault->count;
}

struct vault_row vault_row(const struct vault *vault, uint32_t place)
{
	const struct entry *entry = &vault->entries[place];

	return (struct vault_row){.target = entry->target,
	    .login = entry->login,
	    .kind = entry->kind,
	    .put_at = entry->put_at,
	    .blob = {entry->blob, entry->blob_len}};
}

int64_t vault_find(const struct vault *vault, const char *target, const char *login)
{
	for (uint32_t i = 0; i < vault_count(vault); i++)
		if (strcmp(vault->entries[i].target, target) == 0 &&
		    strcmp(vault->entries[i].login, login) == 0)
			return i;
	return -1;
}

/* A password that a packet can carry; a key's public half. */
static bool judge_secret(struct entry *entry, struct wire_span secret)
{
	if (entry->kind == RPC_SECRET_PASSWORD)
		return secret.len > 0 && secret.len <= VAULT_PASSWORD_MAX &&
		       memchr(secret.at, '\0', secret.len) == NULL;
	struct private_key *key = entry->kind == RPC_SECRET_KEY ? private_key_read(secret) : NULL;
	if (key == NULL)
		return false;
	free(entry->blob);
	entry->blob = copy_of(private_key_blob(key));
	entry->blob_len = private_key_blob(key).len;
	private_key_free(key);
	return entry->blob != NULL;
}

int vault_put(struct vault *vault, const char *target, const char *login, enum rpc_secret kind,
    struct wire_span secret, uint64_t now_s)
{
	int64_t place = vault_find(vault, target, login);
	struct entry entry = {.kind = kind,
	    .put_at = now_s,
	    .target = word_of(wire_span_of(target), KEEPER_TARGET_ID_MAX),
	    .login = word_of(wire_span_of(login), VAULT_LOGIN_MAX),
	    .blob = calloc(1, 1)};
	int error = 0;

	if (vault->damaged)
		error = -EBADMSG;
	else if (place < 0 && vault->count == VAULT_ENTRIES_MAX)
		error = -ENOSPC;
	else if (entry.target == NULL || entry.login == NULL || entry.blob == NULL ||
	         !judge_secret(&entry, secret))
		error = -EINVAL;
	else if (!encrypt(vault, &entry, secret))
		error = -ENOMEM;
	if (error == 0) {
		struct entry *at = &vault->entries[place < 0 ? vault->count : place], before = *at;
		*at = entry;
		vault->count += place < 0;
		error = store(vault);
		if (error != 0)
			*at = before;
		vault->count -= place < 0 && error != 0;
		entry = error == 0 ? before : entry;
	}
	entry_free(&entry);
	return error;
}

int vault_remove(struct vault *vault, const char *target, const char *login)
{
	int64_t place = vault_find(vault, target, login);

	if (vault->damaged)
		return -EBADMSG;
	if (place < 0)
		return -ENOENT;
	struct entry removed = vault->entries[place], last = vault->entries[vault->count - 1];
	vault->entries[place] = last;
	vault->count--;
	int error = store(vault);
	if (error != 0) {
		vault->entries[place] = removed;
		vault->entries[vault->count++] = last;
		return error;
	}
	vault->entries[vault->count] = (struct entry){0};
	entry_free(&removed);
	return 0;
}
