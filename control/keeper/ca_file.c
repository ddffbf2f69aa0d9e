/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/ca_file.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/keeper/keeper.h"

#define MAGIC "reevekey"
#define VERSION 2
#define SUM_SIZE 32
enum home { HOME_FILE = 0, HOME_TOKEN = 1 };

/* -- writing -- */

static void put_key(struct wire_out *out, const struct ca_key *key)
{
	wire_put_u8(out, (uint8_t)key->state);
	wire_put_u64(out, key->created_at);
	wire_put_u64(out, key->retire_at);
	if (key->private != NULL) {
		struct wire_span fields = private_key_fields(key->private);
		wire_put_u8(out, HOME_FILE);
		wire_put_string(out, fields.at, fields.len);
	} else {
		wire_put_u8(out, HOME_TOKEN);
		wire_put_cstring(out, key->token_uri);
		wire_put_string(out, key->blob, key->blob_len);
	}
}

int ca_file_write(const struct ca_file *file, const struct ca *ca)
{
	uint8_t *room = sodium_malloc(CA_FILE_MAX), *one = sodium_malloc(PRIVATE_KEY_FIELDS_MAX + 64);
	uint8_t sum[SUM_SIZE];
	struct wire_out out = wire_into(room, CA_FILE_MAX);
	int error = room == NULL || one == NULL ? -ENOMEM : 0;

	if (error == 0) {
		wire_put_bytes(&out, MAGIC, 8);
		wire_put_u8(&out, VERSION);
		wire_put_u8(&out, (uint8_t)file->kind);
		wire_put_u64(&out, file->now_s);
		wire_put_u32(&out, ca->count);
		for (unsigned i = 0; i < ca->count; i++) {
			struct wire_out key = wire_into(one, PRIVATE_KEY_FIELDS_MAX + 64);
			put_key(&key, &ca->keys[i]);
			out.failed = out.failed || key.failed;
			wire_put_string(&out, one, wire_written(&key));
		}
		crypto_generichash(sum, sizeof(sum), room, wire_written(&out), NULL, 0);
		wire_put_bytes(&out, sum, sizeof(sum));
		error = out.failed ? -EMSGSIZE
		                   : keyfile_replace(file->directory, file->name, room, wire_written(&out));
	}
	sodium_free(room);
	sodium_free(one);
	return error;
}

/* -- reading: what lies there is believed only as far as it makes sense -- */

static bool take_token(struct wire *in, struct ca_key *key)
{
	struct wire_span uri = wire_string(in), blob = wire_string(in);

	if (!wire_done(in) || uri.len == 0 || uri.len >= CA_TOKEN_URI_MAX || blob.len == 0 ||
	    blob.len > PRIVATE_KEY_BLOB_MAX)
		return false;
	key->token_uri = calloc(1, uri.len + 1);
	return key->token_uri != NULL && wire_span_copy(uri, key->token_uri, uri.len + 1) &&
	       ca_key_set_blob(key, blob);
}

static bool take_key(struct wire_span bytes, struct ca_key *key)
{
	struct wire in = wire_over(bytes.at, bytes.len);

	*key = (struct ca_key){.state = (enum rpc_ca_state)wire_u8(&in)};
	key->created_at = wire_u64(&in);
	key->retire_at = wire_u64(&in);
	uint8_t home = wire_u8(&in);
	bool good = key->state >= RPC_CA_NEXT && key->state <= RPC_CA_OLD && !in.failed;
	if (good && home == HOME_TOKEN) {
		good = take_token(&in, key);
	} else if (good && home == HOME_FILE) {
		struct wire_span fields = wire_string(&in);
		key->private = wire_done(&in) ? private_key_read(fields) : NULL;
		good = key->private != NULL && ca_key_set_blob(key, private_key_blob(key->private));
	} else {
		good = false;
	}
	if (!good)
		ca_key_free(key);
	return good;
}

/* One key signs, and at most one will. */
static bool makes_sense(const struct ca *ca)
{
	unsigned states[RPC_CA_OLD + 1] = {0};

	for (unsigned i = 0; i < ca->count; i++)
		states[ca->keys[i].state]++;
	return states[RPC_CA_CURRENT] == 1 && states[RPC_CA_NEXT] <= 1;
}

static int decode(struct ca *ca, const uint8_t *bytes, size_t len, unsigned kind)
{
	uint8_t sum[SUM_SIZE];

	if (len < SUM_SIZE)
		return -EBADMSG;
	crypto_generichash(sum, sizeof(sum), bytes, len - SUM_SIZE, NULL, 0);
	struct wire in = wire_over(bytes, len - SUM_SIZE);
	struct wire_span magic = wire_bytes(&in, 8);
	uint8_t version = wire_u8(&in), stored_kind = wire_u8(&in);
	(void)wire_u64(&in);
	uint32_t count = wire_u32(&in);
	if (in.failed || !wire_span_is(magic, MAGIC) || version != VERSION || stored_kind != kind ||
	    count == 0 || count > CA_KEYS_MAX || sodium_memcmp(bytes + len - SUM_SIZE, sum, SUM_SIZE) != 0)
		return -EBADMSG;
	while (ca->count < count && take_key(wire_string(&in), &ca->keys[ca->count]))
		ca->count++;
	if (ca->count == count && wire_done(&in) && makes_sense(ca))
		return 0;
	ca_close(ca);
	return -EBADMSG;
}

/* Version 1: a seed alone. */
static int load_seed(struct ca *ca, int directory, const char *file, unsigned kind)
{
	uint8_t *seed = sodium_malloc(KEEPER_SEED_SIZE);
	int error = seed == NULL ? -ENOMEM : keyfile_read(directory, file, (enum keyring_kind)kind, seed);

	if (error == 0) {
		struct ca_key *key = &ca->keys[0];
		*key = (struct ca_key){.state = RPC_CA_CURRENT, .private = private_key_of_seed(seed)};
		if (key->private == NULL || !ca_key_set_blob(key, private_key_blob(key->private))) {
			ca_key_free(key);
			error = -ENOMEM;
		} else {
			ca->count = 1;
		}
	}
	sodium_free(seed);
	return error;
}

int ca_load(struct ca *ca, int directory, const char *file, unsigned kind)
{
	uint8_t *room = sodium_malloc(CA_FILE_MAX);
	size_t len = 0;

	*ca = (struct ca){0};
	if (room == NULL)
		return -ENOMEM;
	int error = keyfile_load(directory, file, room, CA_FILE_MAX, &len);
	if (error == 0)
		error = len > 8 && room[8] == 1 ? load_seed(ca, directory, file, kind)
		                                : decode(ca, room, len, kind);
	sodium_free(room);
	return error;
}
