/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/host_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/keeper/host_hints.h"
#include "control/keeper/private_key.h"

#define CURRENT_FILE "host.seed" /* the keyring's own name of it */
#define NEXT_FILE "host-next.seed"
#define PREVIOUS_FILE "host-previous.seed"
#define WAYS 8u
#define CACHED 1024u    /* keys, but RSA's */
#define CACHED_RSA 256u /* of those: OpenSSL's secure heap is small */
#define NAME_SIZE HOST_KEY_NAME_SIZE
#define ID_CONTEXT "portreeve host seed id"

struct cached {
	uint8_t name[NAME_SIZE]; /* of seed, type and target */
	uint8_t seed_id[HOST_SEED_ID_SIZE];
	struct private_key *key; /* NULL: free */
	uint64_t used;
};

struct host_keys {
	int directory;
	uint8_t *seeds[HOST_SEEDS]; /* locked, read-only; NULL: there is none */
	uint64_t previous_since;    /* unix seconds */
	struct cached cache[CACHED], rsa[CACHED_RSA];
	uint64_t uses, searched;
	struct host_hints *hints;
};

static uint8_t *locked_seed(void)
{
	return sodium_malloc(KEEPER_SEED_SIZE);
}

/* -- seeds -- */

static int read_next(struct host_keys *keys)
{
	uint8_t *seed = locked_seed();
	int error =
	    seed == NULL ? -ENOMEM : keyfile_read(keys->directory, NEXT_FILE, KEYRING_HOST_SEED, seed);

	if (error == 0) {
		sodium_mprotect_readonly(seed);
		keys->seeds[HOST_SEED_NEXT] = seed;
		return 0;
	}
	sodium_free(seed);
	if (error == -ENOENT)
		return 0;
	rpc_log(RPC_LOG_ERROR,
	    "the next host-key seed in keeper/" NEXT_FILE
	    " cannot be read (%s): put back a copy of the file, or "
	    "move it away to begin the rotation anew",
	    strerror(-error));
	return error;
}

/* It is needed by few and for a while: a damaged one is no reason not to start. */
static void read_previous(struct host_keys *keys)
{
	uint8_t *seed = locked_seed();
	int error = seed == NULL ? -ENOMEM
	                         : keyfile_read_dated(keys->directory, PREVIOUS_FILE, KEYRING_HOST_SEED, seed,
	                               &keys->previous_since);

	if (error == 0) {
		sodium_mprotect_readonly(seed);
		keys->seeds[HOST_SEED_PREVIOUS] = seed;
		/* A commit that was cut short had written it and no more. */
		if (sodium_memcmp(seed, keys->seeds[HOST_SEED_CURRENT], KEEPER_SEED_SIZE) == 0)
			host_keys_forget_previous(keys);
		return;
	}
	sodium_free(seed);
	if (error != -ENOENT)
		rpc_log(RPC_LOG_ERROR,
		    "the former host-key seed in keeper/" PREVIOUS_FILE
		    " cannot be read (%s): sessions of before the last `reeve host-key commit` end when they "
		    "exchange keys anew",
		    strerror(-error));
}

struct host_keys *host_keys_open(const struct keyring *keyring)
{
	struct host_keys *keys = calloc(1, sizeof(*keys));
	uint8_t *seed = locked_seed();

	if (keys == NULL || seed == NULL) {
		rpc_log(RPC_LOG_ERROR, "not enough locked memory for the host keys");
		free(keys);
		sodium_free(seed);
		return NULL;
	}
	keys->directory = keyring->directory;
	memcpy(seed, keyring->seeds[KEYRING_HOST_SEED], KEEPER_SEED_SIZE);
	sodium_mprotect_readonly(seed);
	keys->seeds[HOST_SEED_CURRENT] = seed;
	if (read_next(keys) != 0) {
		host_keys_close(keys);
		return NULL;
	}
	keys->hints = host_hints_open(keyring);
	if (keys->hints == NULL) {
		host_keys_close(keys);
		return NULL;
	}
	read_previous(keys);
	return keys;
}

/* seed_id: NULL, all of them. */
static void forget_set(struct cached *set, unsigned count, const uint8_t *seed_id)
{
	for (unsigned i = 0; i < count; i++) {
		if (set[i].key == NULL ||
		    (seed_id != NULL && memcmp(set[i].seed_id, seed_id, HOST_SEED_ID_SIZE) != 0))
			continue;
		private_key_free(set[i].key);
		set[i] = (struct cached){0};
	}
}

static void forget_keys(struct host_keys *keys, const uint8_t *seed_id)
{
	forget_set(keys->cache, CACHED, seed_id);
	forget_set(keys->rsa, CACHED_RSA, seed_id);
}

void host_keys_close(struct host_keys *keys)
{
	if (keys == NULL)
		return;
	forget_keys(keys, NULL);
	for (unsigned i = 0; i < HOST_SEEDS; i++)
		sodium_free(keys->seeds[i]);
	host_hints_close(keys->hints);
	free(keys);
}

bool host_keys_has(const struct host_keys *keys, enum host_seed seed)
{
	return keys->seeds[seed] != NULL;
}

void host_keys_seed_id(const struct host_keys *keys, enum host_seed seed, uint8_t id[HOST_SEED_ID_SIZE])
{
	uint8_t hash[crypto_generichash_BYTES];

	crypto_generichash(hash, sizeof(hash), (const uint8_t *)ID_CONTEXT, sizeof(ID_CONTEXT),
	    keys->seeds[seed], KEEPER_SEED_SIZE);
	memcpy(id, hash, HOST_SEED_ID_SIZE);
}

static bool is_seed(const struct host_keys *keys, enum host_seed seed, const uint8_t id[HOST_SEED_ID_SIZE])
{
	uint8_t own[HOST_SEED_ID_SIZE];

	if (!host_keys_has(keys, seed))
		return false;
	host_keys_seed_id(keys, seed, own);
	return memcmp(own, id, sizeof(own)) == 0;
}

/* What is kept of its keys goes with it, but where it is another one, too: a commit that was cut short. */
static void drop_seed(struct host_keys *keys, enum host_seed seed)
{
	uint8_t id[HOST_SEED_ID_SIZE];

	if (!host_keys_has(keys, seed))
		return;
	host_keys_seed_id(keys, seed, id);
	sodium_free(keys->seeds[seed]);
	keys->seeds[seed] = NULL;
	for (unsigned i = 0; i < HOST_SEEDS; i++)
		if (is_seed(keys, (enum host_seed)i, id))
			return;
	host_hints_forget(keys->hints, id);
	forget_keys(keys, id);
}

int host_keys_rotate(struct host_keys *keys)
{
	if (host_keys_has(keys, HOST_SEED_NEXT))
		return -EEXIST;
	uint8_t *seed = locked_seed();
	if (seed == NULL)
		return -ENOMEM;
	randombytes_buf(seed, KEEPER_SEED_SIZE);
	int error = keyfile_write(keys->directory, NEXT_FILE, KEYRING_HOST_SEED, seed);
	if (error != 0) {
		sodium_free(seed);
		return error;
	}
	sodium_mprotect_readonly(seed);
	keys->seeds[HOST_SEED_NEXT] = seed;
	rpc_log(RPC_LOG_NOTICE, "made the next host-key seed");
	return 0;
}

/* A commit has failed half-way: the file says again what it said. */
static void put_back_previous(const struct host_keys *keys)
{
	if (host_keys_has(keys, HOST_SEED_PREVIOUS))
		(void)keyfile_rewrite_dated(keys->directory, PREVIOUS_FILE, KEYRING_HOST_SEED,
		    keys->seeds[HOST_SEED_PREVIOUS], keys->previous_since);
	else
		(void)unlinkat(keys->directory, PREVIOUS_FILE, 0);
}

int host_keys_commit(struct host_keys *keys)
{
	if (!host_keys_has(keys, HOST_SEED_NEXT))
		return -ENOENT;
	int error = keyfile_rewrite(
	    keys->directory, PREVIOUS_FILE, KEYRING_HOST_SEED, keys->seeds[HOST_SEED_CURRENT]);
	if (error != 0)
		return error;
	/* Replaced at once and by its successor. */
	if (renameat2(keys->directory, NEXT_FILE, keys->directory, CURRENT_FILE, 0) != 0) {
		error = -errno;
		put_back_previous(keys);
		return error;
	}
	keyfile_sync(keys->directory);
	keys->previous_since = (uint64_t)time(NULL);
	drop_seed(keys, HOST_SEED_PREVIOUS);
	keys->seeds[HOST_SEED_PREVIOUS] = keys->seeds[HOST_SEED_CURRENT];
	keys->seeds[HOST_SEED_CURRENT] = keys->seeds[HOST_SEED_NEXT];
	keys->seeds[HOST_SEED_NEXT] = NULL;
	rpc_log(RPC_LOG_NOTICE, "the next host-key seed is the current one now");
	return 0;
}

int host_keys_abandon(struct host_keys *keys)
{
	if (!host_keys_has(keys, HOST_SEED_NEXT))
		return -ENOENT;
	if (unlinkat(keys->directory, NEXT_FILE, 0) != 0)
		return -errno;
	keyfile_sync(keys->directory);
	drop_seed(keys, HOST_SEED_NEXT);
	rpc_log(RPC_LOG_NOTICE, "the next host-key seed is forgotten");
	return 0;
}

bool host_keys_by_id(const struct host_keys *keys, const uint8_t id[HOST_SEED_ID_SIZE], enum host_seed *seed)
{
	*seed = is_seed(keys, HOST_SEED_CURRENT, id) ? HOST_SEED_CURRENT : HOST_SEED_PREVIOUS;
	return is_seed(keys, *seed, id);
}

bool host_keys_any_by_id(
    const struct host_keys *keys, const uint8_t id[HOST_SEED_ID_SIZE], enum host_seed *seed)
{
	if (host_keys_by_id(keys, id, seed))
		return true;
	*seed = HOST_SEED_NEXT;
	return is_seed(keys, HOST_SEED_NEXT, id);
}

uint64_t host_keys_previous_age(const struct host_keys *keys, uint64_t now_s)
{
	return now_s > keys->previous_since ? now_s - keys->previous_since : 0;
}

void host_keys_forget_previous(struct host_keys *keys)
{
	if (unlinkat(keys->directory, PREVIOUS_FILE, 0) != 0 && errno != ENOENT)
		rpc_log(RPC_LOG_ERROR, "the former host-key seed cannot be removed: %s", strerror(errno));
	else
		keyfile_sync(keys->directory);
	drop_seed(keys, HOST_SEED_PREVIOUS);
	rpc_log(RPC_LOG_NOTICE, "the former host-key seed is forgotten");
}

/* -- keys -- */

static void name_of(
    const uint8_t *seed, const char *target_id, struct wire_span type, uint8_t name[NAME_SIZE])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, seed, KEEPER_SEED_SIZE, NAME_SIZE);
	crypto_generichash_update(&state, type.at, type.len);
	crypto_generichash_update(&state, (const uint8_t *)"", 1);
	crypto_generichash_update(&state, (const uint8_t *)target_id, strlen(target_id));
	crypto_generichash_final(&state, name, NAME_SIZE);
	sodium_memzero(&state, sizeof(state));
}

/* Where the key is, else where it may be put: of its places, the one unused longest. */
static struct cached *place_of(struct host_keys *keys, bool rsa, const uint8_t name[NAME_SIZE])
{
	unsigned sets = (rsa ? CACHED_RSA : CACHED) / WAYS;
	struct cached *set =
	    (rsa ? keys->rsa : keys->cache) + (name[0] | (unsigned)name[1] << 8) % sets * WAYS;
	struct cached *place = set;

	for (struct cached *at = set; at < set + WAYS; at++) {
		if (at->key != NULL && sodium_memcmp(at->name, name, NAME_SIZE) == 0)
			return at;
		if (place->key != NULL && (at->key == NULL || at->used < place->used))
			place = at;
	}
	return place;
}

static bool holds(const struct cached *place, const uint8_t name[NAME_SIZE])
{
	return place->key != NULL && sodium_memcmp(place->name, name, NAME_SIZE) == 0;
}

bool host_keys_must_search(struct host_keys *keys, enum host_seed seed, const char *target_id,
    struct wire_span type, struct host_search *search)
{
	struct host_hint hint;

	if (!wire_span_is(type, "ssh-rsa") || !host_keys_has(keys, seed) || target_id[0] == '\0')
		return false;
	name_of(keys->seeds[seed], target_id, type, search->name);
	if (holds(place_of(keys, true, search->name), search->name) ||
	    host_hints_find(keys->hints, search->name, &hint))
		return false;
	host_keys_seed_id(keys, seed, search->seed_id);
	host_derive_rsa(keys->seeds[seed], target_id, search->derived);
	return true;
}

void host_keys_learn(struct host_keys *keys, const struct host_search *search, const struct host_hint *hint)
{
	enum host_seed seed;

	keys->searched++;
	/* It may be forgotten by now. */
	if (host_keys_by_id(keys, search->seed_id, &seed) || is_seed(keys, HOST_SEED_NEXT, search->seed_id))
		host_hints_put(keys->hints, search->name, search->seed_id, hint);
}

unsigned host_keys_unsaved(const struct host_keys *keys)
{
	return host_hints_unsaved(keys->hints);
}

void host_keys_save(struct host_keys *keys)
{
	host_hints_save(keys->hints);
}

uint64_t host_keys_searched(const struct host_keys *keys)
{
	return keys->searched;
}

unsigned host_keys_in_memory(const struct host_keys *keys)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CACHED; i++)
		count += keys->cache[i].key != NULL;
	for (unsigned i = 0; i < CACHED_RSA; i++)
		count += keys->rsa[i].key != NULL;
	return count;
}

/* Where the primes of an RSA key lie; searched for where that is not known. */
static bool hint_of(
    struct host_keys *keys, enum host_seed seed, const char *target_id, struct host_hint *hint)
{
	struct host_search search;

	if (!host_keys_must_search(keys, seed, target_id, wire_span_of("ssh-rsa"), &search))
		return host_hints_find(keys->hints, search.name, hint);
	bool found = host_search(search.derived, hint);
	sodium_memzero(search.derived, sizeof(search.derived));
	if (found)
		host_keys_learn(keys, &search, hint);
	return found;
}

/* The key, derived where it is not kept. */
static const struct private_key *find(
    struct host_keys *keys, enum host_seed seed, const char *target_id, struct wire_span type)
{
	uint8_t name[NAME_SIZE];
	struct host_hint hint;

	if (!host_keys_has(keys, seed) || target_id[0] == '\0')
		return NULL;
	name_of(keys->seeds[seed], target_id, type, name);
	bool rsa = wire_span_is(type, "ssh-rsa");
	struct cached *place = place_of(keys, rsa, name);
	if (holds(place, name)) {
		place->used = ++keys->uses;
		if (rsa) /* kept in memory or not: it is in use, and its hint is no old one */
			(void)host_hints_find(keys->hints, name, &hint);
		return place->key;
	}
	if (rsa && !hint_of(keys, seed, target_id, &hint))
		return NULL;
	struct private_key *key = host_derive(keys->seeds[seed], target_id, type, rsa ? &hint : NULL);
	if (key == NULL)
		return NULL;
	private_key_free(place->key);
	*place = (struct cached){.key = key, .used = ++keys->uses};
	memcpy(place->name, name, NAME_SIZE);
	host_keys_seed_id(keys, seed, place->seed_id);
	return key;
}

bool host_keys_public(struct host_keys *keys, enum host_seed seed, const char *target_id,
    struct wire_span type, struct wire_out *out)
{
	const struct private_key *key = find(keys, seed, target_id, type);

	if (key == NULL)
		return false;
	struct wire_span blob = private_key_blob(key);
	wire_put_bytes(out, blob.at, blob.len);
	return !out->failed;
}

struct wire_span host_keys_type(struct wire_span algorithm)
{
	bool rsa = wire_span_is(algorithm, "rsa-sha2-256") || wire_span_is(algorithm, "rsa-sha2-512");

	return rsa ? wire_span_of("ssh-rsa") : algorithm;
}

bool host_keys_sign(struct host_keys *keys, enum host_seed seed, const char *target_id,
    struct wire_span algorithm, struct wire_span bytes, struct wire_out *out)
{
	const struct private_key *key = find(keys, seed, target_id, host_keys_type(algorithm));

	return key != NULL && private_key_sign(key, algorithm, bytes, out);
}
