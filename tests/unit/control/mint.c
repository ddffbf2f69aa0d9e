/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/control/mint.h"

#include <sodium.h>
#include <string.h>

static struct mint_key made[64];
static unsigned made_count;

void mint_key(struct mint_key *key)
{
	uint8_t public[32];
	struct wire_out out = wire_into(key->blob, sizeof(key->blob));

	crypto_sign_keypair(public, key->secret);
	wire_put_cstring(&out, "ssh-ed25519");
	wire_put_string(&out, public, sizeof(public));
	made[made_count++ % 64] = *key;
}

const struct mint_key *mint_find(struct wire_span blob)
{
	const struct mint_key *found = NULL;
	const uint8_t *first = blob.at + blob.len;

	/* A certificate has its CA's key in it, too, behind its own. */
	for (unsigned i = 0; i < 64; i++) {
		const uint8_t *at = memmem(blob.at, blob.len, made[i].blob + 19, 32);
		if (at != NULL && at < first) {
			first = at;
			found = &made[i];
		}
	}
	return found;
}

uint8_t mint_sk_flags = 1;

/* PROTOCOL.u2f: what the token signs in the place of the message. */
static size_t sk_text(const uint8_t *message, size_t len, uint8_t text[69])
{
	struct wire_out out = wire_into(text, 69);
	uint8_t hash[32];

	crypto_hash_sha256(hash, (const uint8_t *)"ssh:", 4);
	wire_put_bytes(&out, hash, sizeof(hash));
	wire_put_u8(&out, mint_sk_flags);
	wire_put_u32(&out, 7);
	crypto_hash_sha256(hash, message, len);
	wire_put_bytes(&out, hash, sizeof(hash));
	return wire_written(&out);
}

size_t mint_request(const struct mint_key *key, struct wire_span identifier, const char *login,
    struct wire_span blob, struct wire_span host_key, uint8_t *request, size_t size)
{
	uint8_t room[PUBLIC_KEY_BLOB_MAX + 1024], signature[64], signature_blob[104];
	struct wire_out out = wire_into(request, size), text = wire_into(room, sizeof(room));
	struct wire_out sig = wire_into(signature_blob, sizeof(signature_blob));
	struct wire in = wire_over(blob.at, blob.len);
	struct wire_span algorithm = wire_string(&in);

	wire_put_cstring(&out, login);
	wire_put_cstring(&out, "ssh-connection");
	wire_put_cstring(&out, host_key.len > 0 ? "publickey-hostbound-v00@openssh.com" : "publickey");
	wire_put_u8(&out, 1);
	wire_put_string(&out, algorithm.at, algorithm.len);
	wire_put_string(&out, blob.at, blob.len);
	if (host_key.len > 0)
		wire_put_string(&out, host_key.at, host_key.len);
	wire_put_string(&text, identifier.at, identifier.len);
	wire_put_u8(&text, 50);
	wire_put_bytes(&text, request, wire_written(&out));
	bool sk = algorithm.len > 3 && memcmp(algorithm.at, "sk-", 3) == 0;
	uint8_t hashed[69];
	size_t hashed_len = sk ? sk_text(room, wire_written(&text), hashed) : 0;
	crypto_sign_detached(
	    signature, NULL, sk ? hashed : room, sk ? hashed_len : wire_written(&text), key->secret);
	wire_put_cstring(&sig, sk ? "sk-ssh-ed25519@openssh.com" : "ssh-ed25519");
	wire_put_string(&sig, signature, sizeof(signature));
	if (sk) {
		wire_put_u8(&sig, mint_sk_flags);
		wire_put_u32(&sig, 7);
	}
	wire_put_string(&out, signature_blob, wire_written(&sig));
	return wire_written(&out);
}

char *mint_line(const struct mint_key *key, const char *comment)
{
	return public_key_line_print(mint_blob(key), comment);
}

static void put_options(struct wire_out *out, const struct mint_option *options)
{
	uint8_t room[16384], inner[8448];
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
	wire_put_cstring(
	    &out, c->sk ? "sk-ssh-ed25519-cert-v01@openssh.com" : "ssh-ed25519-cert-v01@openssh.com");
	wire_put_string(&out, nonce, sizeof(nonce));
	wire_put_string(&out, key->blob + 19, 32);
	if (c->sk)
		wire_put_cstring(&out, "ssh:");
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
