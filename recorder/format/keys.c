/* SPDX-License-Identifier: Apache-2.0 */
/* Key files: base64 of the 32 raw bytes, 44 characters; ssh-log-cli's and ours are the same. */
#include "recorder/format/format.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define KEY_TEXT_SIZE 44

_Static_assert(FORMAT_KEY_SIZE == crypto_scalarmult_BYTES, "keys are X25519's");

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

int format_key_decode(const char *text, size_t len, uint8_t key[FORMAT_KEY_SIZE])
{
	size_t got = 0;

	while (len > 0 && is_space(text[0])) {
		text++;
		len--;
	}
	while (len > 0 && is_space(text[len - 1]))
		len--;
	if (len != KEY_TEXT_SIZE ||
	    sodium_base642bin(
	        key, FORMAT_KEY_SIZE, text, len, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    got != FORMAT_KEY_SIZE) {
		sodium_memzero(key, FORMAT_KEY_SIZE);
		return -EINVAL;
	}
	return 0;
}

void format_key_encode(const uint8_t key[FORMAT_KEY_SIZE], char text[45])
{
	sodium_bin2base64(text, KEY_TEXT_SIZE + 1, key, FORMAT_KEY_SIZE, sodium_base64_VARIANT_ORIGINAL);
}

int format_keypair(uint8_t secret[FORMAT_KEY_SIZE], uint8_t public[FORMAT_KEY_SIZE])
{
	if (sodium_init() < 0)
		return -EINVAL;
	randombytes_buf(secret, FORMAT_KEY_SIZE);
	return crypto_scalarmult_base(public, secret) == 0 ? 0 : -EINVAL;
}
