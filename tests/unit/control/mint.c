/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/control/mint.h"

#include <sodium.h>
#include <string.h>

void mint_key(struct mint_key *key)
{
	uint8_t public[32];
	struct wire_out out = wire_into(key->blob, sizeof(key->blob));

	crypto_sign_keypair(public, key->secret);
	wire_put_cstring(&out, "ssh-ed25519");
	wire_put_string(&out, public, sizeof(public));
}

char *mint_line(const struct mint_key *key, const char *comment)
{
	return public_key_line_print(mint_blob(key), comment);
}

static void put_options(struct wire_out *out, const struct mint_option *options)
{
	uint8_t room[2048], inner[1024];
	struct wire_out all = wire_into(room, sizeof(room));

	for (; options->name != NULL; options++) {
		struct wire_out data = wire_into(inner, sizeof(inner));
		if (options->value != NULL && options->raw)
			wire_put_bytes(&data, options->value, strlen(options->value));
		else if (options->value != NULL)
			wire_put_cstring(&data, options->value);
		wire_put_cstring(&all, options->name);
		wire_put_string(&all, inner, wire_written(&data));
	}
	wire_put_string(out, room, wire_written(&all));
}

static void put_principals(struct wire_out *out, const char *const *principals)
{
	uint8_t room[512];
	struct wire_out all = wire_into(room, sizeof(room));

	for (; *principals != NULL; principals++)
		wire_put_cstring(&all, *principals);
	wire_put_string(out, room, wire_written(&all));
}

size_t mint_certificate(const struct mint_certificate *c, const struct mint_key *key,
    const struct mint_key *ca, uint8_t blob[PUBLIC_KEY_BLOB_MAX])
{
	uint8_t nonce[32], signature[64], signature_blob[83];
	struct wire_out out = wire_into(blob, PUBLIC_KEY_BLOB_MAX);
	struct wire_out sig = wire_into(signature_blob, sizeof(signature_blob));

	randombytes_buf(nonce, sizeof(nonce));
	wire_put_cstring(&out, "ssh-ed25519-cert-v01@openssh.com");
	wire_put_string(&out, nonce, sizeof(nonce));
	wire_put_string(&out, key->blob + 19, 32);
	wire_put_u64(&out, c->serial);
	wire_put_u32(&out, c->type);
	wire_put_cstring(&out, c->key_id);
	put_principals(&out, c->principals);
	wire_put_u64(&out, c->valid_after);
	wire_put_u64(&out, c->valid_before);
	put_options(&out, c->critical);
	put_options(&out, c->extensions);
	wire_put_cstring(&out, "");
	wire_put_string(&out, ca->blob, sizeof(ca->blob));
	crypto_sign_detached(signature, NULL, blob, wire_written(&out), ca->secret);
	signature[5] ^= c->spoil_signature ? 1 : 0;
	wire_put_cstring(&sig, "ssh-ed25519");
	wire_put_string(&sig, signature, sizeof(signature));
	wire_put_string(&out, signature_blob, wire_written(&sig));
	return wire_written(&out);
}
