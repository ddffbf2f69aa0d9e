/* SPDX-License-Identifier: Apache-2.0 */
/* Further recipients: the file's context, sealed for each of them (own encapsulation, sequence number 0). */
#include "recorder/format/format.h"

#include <sodium.h>
#include <string.h>

#define CONTEXT_KEY_SIZE sizeof(((struct format_context *)0)->key)
#define CONTEXT_NONCE_SIZE sizeof(((struct format_context *)0)->base_nonce)
_Static_assert(
    CONTEXT_KEY_SIZE + CONTEXT_NONCE_SIZE + FORMAT_TAG_SIZE == sizeof(((struct format_wrapped *)0)->sealed),
    "a wrapped context is key, base nonce and tag");

int format_wrap(const struct format_context *context, const uint8_t recipient[FORMAT_KEY_SIZE],
    struct format_wrapped *wrapped)
{
	struct format_context outer;
	uint8_t plain[CONTEXT_KEY_SIZE + CONTEXT_NONCE_SIZE];

	memcpy(wrapped->recipient, recipient, FORMAT_KEY_SIZE);
	int error = format_seal_setup(&outer, recipient, wrapped->encapsulated);
	if (error != 0)
		return error;
	memcpy(plain, context->key, CONTEXT_KEY_SIZE);
	memcpy(plain + CONTEXT_KEY_SIZE, context->base_nonce, CONTEXT_NONCE_SIZE);
	error = format_seal(&outer, plain, sizeof(plain), wrapped->sealed);
	sodium_memzero(plain, sizeof(plain));
	format_context_wipe(&outer);
	return error;
}

int format_unwrap(const struct format_wrapped *wrapped, const uint8_t secret[FORMAT_KEY_SIZE],
    struct format_context *context)
{
	struct format_context outer;
	uint8_t plain[CONTEXT_KEY_SIZE + CONTEXT_NONCE_SIZE];

	int error = format_open_setup(&outer, secret, wrapped->encapsulated);
	if (error != 0)
		return error;
	error = format_open(&outer, wrapped->sealed, sizeof(wrapped->sealed), plain);
	if (error == 0) {
		memcpy(context->key, plain, CONTEXT_KEY_SIZE);
		memcpy(context->base_nonce, plain + CONTEXT_KEY_SIZE, CONTEXT_NONCE_SIZE);
		context->sequence = 0;
	}
	sodium_memzero(plain, sizeof(plain));
	format_context_wipe(&outer);
	return error;
}
