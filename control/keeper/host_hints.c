/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file: 8 bytes "reevehnt", u8 version (1), 24 bytes nonce, then sealed by XChaCha20-Poly1305, with what
 * stands before as additional data: for each key, oldest first, 16 bytes name, 8 bytes seed id, u32 p, u32 q.
 */
#include "control/keeper/host_hints.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "host-rsa.hints"
#define MAGIC "reevehnt"
#define VERSION 1
#define KEY_CONTEXT "portreeve host hints 1"
#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE crypto_aead_xchacha20poly1305_ietf_ABYTES
#define KEY_SIZE crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define HEAD_SIZE (8 + 1)
#define ENTRY_SIZE (HOST_KEY_NAME_SIZE + HOST_SEED_ID_SIZE + 4 + 4)
#define FILE_MAX (HEAD_SIZE + NONCE_SIZE + HOST_HINTS_MAX * ENTRY_SIZE + TAG_SIZE)

struct entry {
	uint8_t name[HOST_KEY_NAME_SIZE], seed_id[HOST_SEED_ID_SIZE];
	struct host_hint hint;
	uint64_t used;
};

struct host_hints {
	const struct keyring *keyring;
	unsigned count, unsaved, aged; /* aged: were asked for since the file was written */
	uint64_t uses, driven_out;
	struct entry entries[HOST_HINTS_MAX];
};

static bool file_key(const struct host_hints *hints, uint8_t key[KEY_SIZE])
{
	if (!keyring_has(hints->keyring, KEYRING_SEAL))
		return false;
	crypto_generichash(key, KEY_SIZE, (const uint8_t *)KEY_CONTEXT, sizeof(KEY_CONTEXT),
	    hints->keyring->seeds[KEYRING_SEAL], KEEPER_SEED_SIZE);
	return true;
}

/* -- reading -- */

static void take_entries(struct host_hints *hints, struct wire in)
{
	while (wire_left(&in) > 0) {
		struct entry *entry = &hints->entries[hints->count];
		struct wire_span name = wire_bytes(&in, sizeof(entry->name));
		struct wire_span seed_id = wire_bytes(&in, sizeof(entry->seed_id));
		entry->hint.p = wire_u32(&in);
		entry->hint.q = wire_u32(&in);
		if (in.failed)
			return;
		memcpy(entry->name, name.at, name.len);
		memcpy(entry->seed_id, seed_id.at, seed_id.len);
		entry->used = ++hints->uses;
		hints->count++;
	}
}

/* `plain` has room for all that a file may hold. */
static int open_file(struct host_hints *hints, const uint8_t *bytes, size_t len, uint8_t *plain)
{
	uint8_t key[KEY_SIZE];
	struct wire in = wire_over(bytes, len);
	unsigned long long plain_len = 0;
	struct wire_span magic = wire_bytes(&in, 8);
	uint8_t version = wire_u8(&in);
	struct wire_span nonce = wire_bytes(&in, NONCE_SIZE), sealed = wire_bytes(&in, wire_left(&in));

	if (!wire_done(&in) || !wire_span_is(magic, MAGIC) || version != VERSION || sealed.len < TAG_SIZE ||
	    !file_key(hints, key))
		return -EBADMSG;
	bool good = crypto_aead_xchacha20poly1305_ietf_decrypt(
	                plain, &plain_len, NULL, sealed.at, sealed.len, bytes, HEAD_SIZE, nonce.at, key) == 0;
	sodium_memzero(key, sizeof(key));
	if (!good || plain_len % ENTRY_SIZE != 0)
		return -EBADMSG;
	take_entries(hints, wire_over(plain, (size_t)plain_len));
	return 0;
}

static void load(struct host_hints *hints)
{
	uint8_t *bytes = malloc(FILE_MAX + 1), *plain = malloc(FILE_MAX);
	size_t len = 0;
	int error = bytes == NULL || plain == NULL
	                ? -ENOMEM
	                : keyfile_load(hints->keyring->directory, FILE_NAME, bytes, FILE_MAX + 1, &len);

	if (error == 0)
		error = open_file(hints, bytes, len, plain);
	if (plain != NULL)
		sodium_memzero(plain, FILE_MAX);
	free(plain);
	free(bytes);
	if (error != 0 && error != -ENOENT)
		rpc_log(RPC_LOG_WARNING,
		    "keeper/" FILE_NAME
		    " cannot be read (%s): RSA host keys are searched for again as they are "
		    "asked for",
		    error == -EBADMSG ? "it is damaged" : strerror(-error));
}

struct host_hints *host_hints_open(const struct keyring *keyring)
{
	struct host_hints *hints = calloc(1, sizeof(*hints));

	if (hints == NULL)
		return NULL;
	hints->keyring = keyring;
	load(hints);
	return hints;
}

void host_hints_close(struct host_hints *hints)
{
	free(hints);
}

/* -- writing -- */

static int by_use(const void *a, const void *b)
{
	const struct entry *one = a, *other = b;

	return one->used < other->used ? -1 : one->used > other->used;
}

static void put_entries(const struct host_hints *hints, struct wire_out *out)
{
	for (unsigned i = 0; i < hints->count; i++) {
		const struct entry *entry = &hints->entries[i];
		wire_put_bytes(out, entry->name, sizeof(entry->name));
		wire_put_bytes(out, entry->seed_id, sizeof(entry->seed_id));
		wire_put_u32(out, entry->hint.p);
		wire_put_u32(out, entry->hint.q);
	}
}

static int seal_file(const struct host_hints *hints, uint8_t *bytes, uint8_t *plain)
{
	uint8_t key[KEY_SIZE], nonce[NONCE_SIZE];
	struct wire_out head = wire_into(bytes, HEAD_SIZE + NONCE_SIZE), body = wire_into(plain, FILE_MAX);
	unsigned long long sealed_len = 0;

	if (!file_key(hints, key))
		return -ENOKEY;
	randombytes_buf(nonce, sizeof(nonce));
	wire_put_bytes(&head, MAGIC, 8);
	wire_put_u8(&head, VERSION);
	wire_put_bytes(&head, nonce, sizeof(nonce));
	put_entries(hints, &body);
	crypto_aead_xchacha20poly1305_ietf_encrypt(bytes + HEAD_SIZE + NONCE_SIZE, &sealed_len, plain,
	    wire_written(&body), bytes, HEAD_SIZE, NULL, nonce, key);
	sodium_memzero(key, sizeof(key));
	return keyfile_replace(
	    hints->keyring->directory, FILE_NAME, bytes, HEAD_SIZE + NONCE_SIZE + (size_t)sealed_len);
}

void host_hints_save(struct host_hints *hints)
{
	uint8_t *bytes = malloc(FILE_MAX), *plain = malloc(FILE_MAX);

	hints->unsaved = 0;
	hints->aged = 0;
	/* By age, so that it is known after a restart. */
	qsort(hints->entries, hints->count, sizeof(hints->entries[0]), by_use);
	int error = bytes == NULL || plain == NULL ? -ENOMEM : seal_file(hints, bytes, plain);
	if (plain != NULL)
		sodium_memzero(plain, FILE_MAX);
	free(plain);
	free(bytes);
	if (error != 0)
		rpc_log(RPC_LOG_WARNING,
		    "keeper/" FILE_NAME
		    " cannot be written (%s): RSA host keys are searched for again after a "
		    "restart",
		    strerror(-error));
}

unsigned host_hints_unsaved(const struct host_hints *hints)
{
	return hints->unsaved;
}

/* -- the table: looked through as a whole, which is nothing beside a search -- */

bool host_hints_find(struct host_hints *hints, const uint8_t name[HOST_KEY_NAME_SIZE], struct host_hint *hint)
{
	for (unsigned i = 0; i < hints->count; i++) {
		if (memcmp(hints->entries[i].name, name, HOST_KEY_NAME_SIZE) != 0)
			continue;
		hints->entries[i].used = ++hints->uses;
		*hint = hints->entries[i].hint;
		if (++hints->aged % HOST_HINTS_AGED == 0)
			hints->unsaved++;
		return true;
	}
	return false;
}

static struct entry *oldest(struct host_hints *hints)
{
	struct entry *found = &hints->entries[0];

	for (unsigned i = 1; i < hints->count; i++)
		if (hints->entries[i].used < found->used)
			found = &hints->entries[i];
	if (hints->driven_out++ % 1000 == 0)
		rpc_log(RPC_LOG_WARNING,
		    "more RSA host keys are asked for than are kept (%u): %llu had to make room so far",
		    HOST_HINTS_MAX, (unsigned long long)hints->driven_out);
	return found;
}

void host_hints_put(struct host_hints *hints, const uint8_t name[HOST_KEY_NAME_SIZE],
    const uint8_t seed_id[HOST_SEED_ID_SIZE], const struct host_hint *hint)
{
	struct host_hint known;

	if (host_hints_find(hints, name, &known))
		return; /* it is the same for ever */
	struct entry *entry = hints->count < HOST_HINTS_MAX ? &hints->entries[hints->count++] : oldest(hints);
	*entry = (struct entry){.hint = *hint, .used = ++hints->uses};
	memcpy(entry->name, name, sizeof(entry->name));
	memcpy(entry->seed_id, seed_id, sizeof(entry->seed_id));
	hints->unsaved++;
}

void host_hints_forget(struct host_hints *hints, const uint8_t seed_id[HOST_SEED_ID_SIZE])
{
	unsigned kept = 0;

	for (unsigned i = 0; i < hints->count; i++)
		if (memcmp(hints->entries[i].seed_id, seed_id, HOST_SEED_ID_SIZE) != 0)
			hints->entries[kept++] = hints->entries[i];
	hints->unsaved += hints->count - kept;
	hints->count = kept;
}
