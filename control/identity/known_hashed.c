/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/known_hashed.h"

#include <sodium.h>
#include <string.h>

#define MAGIC "|1|"
#define BLOCK                                                                                                \
	64 /* bytes, of SHA-1; the salt of a longer key would be hashed first, and nobody makes such         \
	    */

bool known_hashed_is(const char *text)
{
	return strncmp(text, MAGIC, strlen(MAGIC)) == 0;
}

static void begin(SHA_CTX *state, const uint8_t *salt, size_t len, uint8_t pad)
{
	uint8_t block[BLOCK];

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < len; i++)
		block[i] ^= salt[i];
	SHA1_Init(state);
	SHA1_Update(state, block, sizeof(block));
}

bool known_hashed_read(struct known_hashed *hashed, const char *text)
{
	const char *salt_text = text + strlen(MAGIC), *bar = strchr(salt_text, '|');
	uint8_t salt[BLOCK];
	size_t salt_len, hash_len;

	if (bar == NULL ||
	    sodium_base642bin(salt, sizeof(salt), salt_text, (size_t)(bar - salt_text), NULL, &salt_len, NULL,
	        sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    sodium_base642bin(hashed->expected, sizeof(hashed->expected), bar + 1, strlen(bar + 1), NULL,
	        &hash_len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    hash_len != sizeof(hashed->expected))
		return false;
	begin(&hashed->inner, salt, salt_len, 0x36);
	begin(&hashed->outer, salt, salt_len, 0x5c);
	return true;
}

bool known_hashed_matches(const struct known_hashed *hashed, const char *name)
{
	SHA_CTX inner = hashed->inner, outer = hashed->outer;
	uint8_t hash[SHA_DIGEST_LENGTH];

	SHA1_Update(&inner, name, strlen(name));
	SHA1_Final(hash, &inner);
	SHA1_Update(&outer, hash, sizeof(hash));
	SHA1_Final(hash, &outer);
	return memcmp(hash, hashed->expected, sizeof(hash)) == 0;
}
