/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/keeper.h"

#include <sodium.h>
#include <stdio.h>

#define ED25519 "ssh-ed25519"

void blob_put_public(struct wire_out *out, const uint8_t public_key[KEEPER_PUBLIC_SIZE])
{
	wire_put_cstring(out, ED25519);
	wire_put_string(out, public_key, KEEPER_PUBLIC_SIZE);
}

void blob_put_signature(struct wire_out *out, const uint8_t signature[KEEPER_SIGNATURE_SIZE])
{
	wire_put_cstring(out, ED25519);
	wire_put_string(out, signature, KEEPER_SIGNATURE_SIZE);
}

bool blob_public_line(
    const uint8_t public_key[KEEPER_PUBLIC_SIZE], const char *comment, char *line, size_t size)
{
	uint8_t blob[64];
	char text[128];
	struct wire_out out = wire_into(blob, sizeof(blob));

	blob_put_public(&out, public_key);
	sodium_bin2base64(text, sizeof(text), blob, wire_written(&out), sodium_base64_VARIANT_ORIGINAL);
	return snprintf(line, size, ED25519 " %s %s", text, comment) < (int)size;
}
