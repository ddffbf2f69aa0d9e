/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/ca.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/keeper/ca_file.h"

static const struct ca_key *find(const struct ca *ca, enum rpc_ca_state state)
{
	/* Old keys stand in the order in which they became old. */
	for (unsigned i = ca->count; i-- > 0;)
		if (ca->keys[i].state == state)
			return &ca->keys[i];
	return NULL;
}

const struct ca_key *ca_current(const struct ca *ca)
{
	return find(ca, RPC_CA_CURRENT);
}

const struct ca_key *ca_next(const struct ca *ca)
{
	return find(ca, RPC_CA_NEXT);
}

bool ca_key_set_blob(struct ca_key *key, struct wire_span blob)
{
	key->blob = malloc(blob.len);
	if (key->blob == NULL)
		return false;
	memcpy(key->blob, blob.at, blob.len);
	key->blob_len = blob.len;
	return true;
}

void ca_key_free(struct ca_key *key)
{
	private_key_free(key->private);
	free(key->token_uri);
	free(key->blob);
	*key = (struct ca_key){0};
}

void ca_close(struct ca *ca)
{
	for (unsigned i = 0; i < ca->count; i++)
		ca_key_free(&ca->keys[i]);
	ca->count = 0;
}

/* -- steps: made on a copy that shares the keys, taken where it is in the file -- */

static unsigned place_of(const struct ca *ca, const struct ca_key *key)
{
	return (unsigned)(key - ca->keys);
}

static bool shares(const struct ca *ca, const struct ca_key *key)
{
	for (unsigned i = 0; i < ca->count; i++)
		if (ca->keys[i].blob == key->blob)
			return true;
	return false;
}

/* Writes `changed` and takes it; keys that are in `ca` alone are freed. */
static int take(struct ca *ca, const struct ca_file *file, const struct ca *changed)
{
	int error = ca_file_write(file, changed);

	if (error != 0)
		return error;
	for (unsigned i = 0; i < ca->count; i++)
		if (!shares(changed, &ca->keys[i]))
			ca_key_free(&ca->keys[i]);
	*ca = *changed;
	return 0;
}

static void remove_at(struct ca *ca, unsigned place)
{
	ca->count--;
	memmove(&ca->keys[place], &ca->keys[place + 1], (ca->count - place) * sizeof(ca->keys[0]));
}

int ca_add(struct ca *ca, const struct ca_file *file, struct ca_key *key)
{
	struct ca changed = *ca;

	if (ca_next(ca) != NULL)
		return -EEXIST;
	if (ca->count == CA_KEYS_MAX)
		return -ENOSPC;
	for (unsigned i = 0; i < ca->count; i++)
		if (ca->keys[i].blob_len == key->blob_len &&
		    memcmp(ca->keys[i].blob, key->blob, key->blob_len) == 0)
			return -EALREADY;
	key->state = ca->count == 0 ? RPC_CA_CURRENT : RPC_CA_NEXT;
	key->created_at = file->now_s;
	changed.keys[changed.count++] = *key;
	int error = take(ca, file, &changed);
	if (error == 0)
		*key = (struct ca_key){0};
	return error;
}

int ca_commit(struct ca *ca, const struct ca_file *file, uint64_t retire_at)
{
	const struct ca_key *next = ca_next(ca), *current = ca_current(ca);
	struct ca changed = *ca;

	if (next == NULL || current == NULL)
		return -ENOENT;
	/* The one that becomes old goes to the end, where the youngest old one is looked for. */
	struct ca_key former = *current;
	changed.keys[place_of(ca, next)].state = RPC_CA_CURRENT;
	remove_at(&changed, place_of(ca, current));
	former.state = RPC_CA_OLD;
	former.retire_at = retire_at;
	changed.keys[changed.count++] = former;
	return take(ca, file, &changed);
}

int ca_undo(struct ca *ca, const struct ca_file *file)
{
	const struct ca_key *old = find(ca, RPC_CA_OLD), *current = ca_current(ca);
	struct ca changed = *ca;

	if (old == NULL || current == NULL)
		return -ENOENT;
	if (ca_next(ca) != NULL)
		return -EEXIST;
	changed.keys[place_of(ca, old)].state = RPC_CA_CURRENT;
	changed.keys[place_of(ca, old)].retire_at = 0;
	changed.keys[place_of(ca, current)].state = RPC_CA_NEXT;
	return take(ca, file, &changed);
}

/* Drops the keys of `state` that retire at `until` or before; UINT64_MAX: all. */
static int drop(struct ca *ca, const struct ca_file *file, enum rpc_ca_state state, uint64_t until)
{
	struct ca changed = *ca;

	for (unsigned i = changed.count; i-- > 0;) {
		const struct ca_key *key = &changed.keys[i];
		bool due = until == UINT64_MAX || (key->retire_at != 0 && key->retire_at <= until);
		if (key->state == state && due)
			remove_at(&changed, i);
	}
	return changed.count == ca->count ? -ENOENT : take(ca, file, &changed);
}

int ca_retire(struct ca *ca, const struct ca_file *file)
{
	return drop(ca, file, RPC_CA_OLD, UINT64_MAX);
}

int ca_abandon(struct ca *ca, const struct ca_file *file)
{
	return drop(ca, file, RPC_CA_NEXT, UINT64_MAX);
}

int ca_expire(struct ca *ca, const struct ca_file *file)
{
	int error = drop(ca, file, RPC_CA_OLD, file->now_s);

	return error == -ENOENT ? 0 : error;
}
