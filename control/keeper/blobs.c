/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/keeper.h"

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

void blob_put_mpint(struct wire_out *out, const uint8_t *magnitude, size_t len)
{
	while (len > 0 && magnitude[0] == 0) {
		magnitude++;
		len--;
	}
	bool padded = len > 0 && (magnitude[0] & 0x80) != 0;
	wire_put_u32(out, (uint32_t)(len + padded));
	if (padded)
		wire_put_u8(out, 0);
	wire_put_bytes(out, magnitude, len);
}
