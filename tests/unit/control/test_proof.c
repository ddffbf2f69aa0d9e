/* SPDX-License-Identifier: Apache-2.0 */
/* proof: requests signed by RSA keys; what the algorithm may be is the rule's to say. */
#include <criterion/criterion.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "control/sessions/proof.h"

static const uint8_t identifier[32] = {1, 2, 3};
static const struct proof_host_keys any = {0};
static uint8_t blob[1024];
static struct wire_span key_blob;
static struct public_key key;
static EVP_PKEY *private_key;

static void put_number(struct wire_out *out, const char *name)
{
	uint8_t number[512];
	BIGNUM *bn = NULL;

	cr_assert(EVP_PKEY_get_bn_param(private_key, name, &bn));
	number[0] = 0;
	int len = BN_bn2bin(bn, number + 1);
	bool padded = (number[1] & 0x80) != 0;
	wire_put_string(out, number + !padded, (size_t)len + padded);
	BN_free(bn);
}

static void make_key(void)
{
	struct wire_out out = wire_into(blob, sizeof(blob));

	private_key = EVP_RSA_gen(2048);
	cr_assert_not_null(private_key);
	wire_put_cstring(&out, "ssh-rsa");
	put_number(&out, OSSL_PKEY_PARAM_RSA_E);
	put_number(&out, OSSL_PKEY_PARAM_RSA_N);
	cr_assert(public_key_parse((struct wire_span){blob, wire_written(&out)}, &key));
	key_blob = (struct wire_span){blob, wire_written(&out)};
}

static void free_key(void)
{
	EVP_PKEY_free(private_key);
}

/* A request by the key, signed with `digest`, whose signature says that it is by `algorithm`. */
static size_t request(const char *algorithm, const EVP_MD *digest, uint8_t *to, size_t size)
{
	uint8_t text[2048], bytes[512], signature[600];
	size_t bytes_len = sizeof(bytes);
	struct wire_out out = wire_into(to, size), signed_text = wire_into(text, sizeof(text)),
	                whole = wire_into(signature, sizeof(signature));
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	wire_put_cstring(&out, "root");
	wire_put_cstring(&out, "ssh-connection");
	wire_put_cstring(&out, "publickey");
	wire_put_u8(&out, 1);
	wire_put_cstring(&out, algorithm);
	wire_put_string(&out, key_blob.at, key_blob.len);
	wire_put_string(&signed_text, identifier, sizeof(identifier));
	wire_put_u8(&signed_text, 50);
	wire_put_bytes(&signed_text, to, wire_written(&out));
	cr_assert(EVP_DigestSignInit(context, NULL, digest, NULL, private_key) == 1);
	cr_assert(EVP_DigestSign(context, bytes, &bytes_len, text, wire_written(&signed_text)) == 1);
	EVP_MD_CTX_free(context);
	wire_put_cstring(&whole, algorithm);
	wire_put_string(&whole, bytes, bytes_len);
	wire_put_string(&out, signature, wire_written(&whole));
	return wire_written(&out);
}

static bool holds(const char *algorithm, const EVP_MD *digest, bool sha1)
{
	uint8_t bytes[2048];
	size_t len = request(algorithm, digest, bytes, sizeof(bytes));
	const struct proof_claim claim = {
	    .session_identifier = {identifier, sizeof(identifier)},
	    .login = wire_span_of("root"),
	    .key_blob = key_blob,
	    .key = &key,
	    .sha1 = sha1,
	    .shown = &any,
	};
	bool good = proof_holds((struct wire_span){bytes, len}, &claim);

	/* Its last byte is the signature's. */
	bytes[len - 1] ^= 1;
	cr_expect_not(proof_holds((struct wire_span){bytes, len}, &claim), "%s, changed", algorithm);
	return good;
}

Test(proof, sha1_is_the_rules_to_allow, .init = make_key, .fini = free_key)
{
	cr_expect(holds("ssh-rsa", EVP_sha1(), true));
	cr_expect_not(holds("ssh-rsa", EVP_sha1(), false), "SHA-1 where no rule has it");
}

Test(proof, better_signatures_hold_either_way, .init = make_key, .fini = free_key)
{
	for (int sha1 = 0; sha1 < 2; sha1++) {
		cr_expect(holds("rsa-sha2-256", EVP_sha256(), sha1));
		cr_expect(holds("rsa-sha2-512", EVP_sha512(), sha1));
		/* What it is by is what it says. */
		cr_expect_not(holds("rsa-sha2-512", EVP_sha1(), sha1));
		cr_expect_not(holds("ssh-rsa", EVP_sha256(), sha1));
	}
}
