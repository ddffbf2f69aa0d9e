/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of certificate authorities and of users: Ed25519 (RFC 8709) by libsodium, which takes half the
 * time of OpenSSL and refuses keys of small order; ECDSA (RFC 5656) and RSA with SHA-2 (RFC 8332) by OpenSSL.
 */
#include "control/certificate/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <sodium.h>
#include <string.h>

static EVP_PKEY *from_params(const char *algorithm, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
	EVP_PKEY *key = NULL;

	if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) <= 0 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *ecdsa_key(const struct public_key *key)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	/* OpenSSL checks that the point lies on the curve. */
	if (build != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, key->type->group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, key->point.at, key->point.len) ==
	        1)
		pkey = from_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	return pkey;
}

static EVP_PKEY *rsa_key(const struct public_key *key)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn(key->modulus.at, (int)key->modulus.len, NULL);
	BIGNUM *e = BN_bin2bn(key->exponent.at, (int)key->exponent.len, NULL);
	EVP_PKEY *pkey = NULL;

	if (build != NULL && n != NULL && e != NULL &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		pkey = from_params("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	return pkey;
}

static bool digest_verify(EVP_PKEY *pkey, const EVP_MD *digest, struct wire_span message,
    const uint8_t *signature, size_t signature_len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = pkey != NULL && context != NULL &&
	            EVP_DigestVerifyInit(context, NULL, digest, NULL, pkey) == 1 &&
	            EVP_DigestVerify(context, signature, signature_len, message.at, message.len) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	return good;
}

static bool verify_ed25519(const struct public_key *key, struct wire_span message, struct wire_span algorithm,
    struct wire_span bytes)
{
	return wire_span_is(algorithm, key->type->name) && bytes.len == crypto_sign_BYTES &&
	       key->point.len == crypto_sign_PUBLICKEYBYTES &&
	       crypto_sign_verify_detached(bytes.at, message.at, message.len, key->point.at) == 0;
}

/* RFC 5656 section 3.1.2: mpint r, mpint s; OpenSSL wants them in DER. */
static uint8_t *ecdsa_der(struct wire_span bytes, int *len)
{
	struct wire in = wire_over(bytes.at, bytes.len);
	struct wire_span r = wire_string(&in), s = wire_string(&in);
	uint8_t *der = NULL;

	if (!wire_done(&in) || r.len == 0 || r.len > 67 || s.len == 0 || s.len > 67 ||
	    (r.at[0] & 0x80) != 0 || (s.at[0] & 0x80) != 0)
		return NULL;
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *bn_r = BN_bin2bn(r.at, (int)r.len, NULL), *bn_s = BN_bin2bn(s.at, (int)s.len, NULL);
	if (pair != NULL && bn_r != NULL && bn_s != NULL && ECDSA_SIG_set0(pair, bn_r, bn_s) == 1) {
		*len = i2d_ECDSA_SIG(pair, &der);
	} else {
		BN_free(bn_r);
		BN_free(bn_s);
	}
	ECDSA_SIG_free(pair);
	return der;
}

static bool verify_ecdsa(const struct public_key *key, struct wire_span message, struct wire_span algorithm,
    struct wire_span bytes)
{
	const EVP_MD *digest = strcmp(key->type->curve, "nistp256") == 0   ? EVP_sha256()
	                       : strcmp(key->type->curve, "nistp384") == 0 ? EVP_sha384()
	                                                                   : EVP_sha512();
	int len = 0;

	if (!wire_span_is(algorithm, key->type->name))
		return false;
	uint8_t *der = ecdsa_der(bytes, &len);
	bool good =
	    der != NULL && len > 0 && digest_verify(ecdsa_key(key), digest, message, der, (size_t)len);
	OPENSSL_free(der);
	return good;
}

static bool verify_rsa(const struct public_key *key, struct wire_span message, struct wire_span algorithm,
    struct wire_span bytes)
{
	const EVP_MD *digest = wire_span_is(algorithm, "rsa-sha2-256")   ? EVP_sha256()
	                       : wire_span_is(algorithm, "rsa-sha2-512") ? EVP_sha512()
	                                                                 : NULL;

	/* "ssh-rsa" as a signature algorithm is SHA-1, and refused. */
	return digest != NULL && digest_verify(rsa_key(key), digest, message, bytes.at, bytes.len);
}

/* PROTOCOL.u2f: the token signs the hash of its application, what it noticed (somebody touched it), how often
 * it has signed, and the hash of the message. */
static bool verify_sk(const struct public_key *key, struct wire_span message, struct wire_span algorithm,
    struct wire_span bytes, struct wire *in, uint8_t wanted)
{
	uint8_t flags = wire_u8(in), room[2 * crypto_hash_sha256_BYTES + 5];
	uint32_t counter = wire_u32(in);
	struct wire_out out = wire_into(room, sizeof(room));
	uint8_t hash[crypto_hash_sha256_BYTES];

	if (!wire_done(in) || (flags & wanted) != wanted)
		return false;
	crypto_hash_sha256(hash, key->application.at, key->application.len);
	wire_put_bytes(&out, hash, sizeof(hash));
	wire_put_u8(&out, flags);
	wire_put_u32(&out, counter);
	crypto_hash_sha256(hash, message.at, message.len);
	wire_put_bytes(&out, hash, sizeof(hash));
	struct wire_span signed_bytes = {room, wire_written(&out)};
	return key->type->kind == PUBLIC_KEY_SK_ED25519 ? verify_ed25519(key, signed_bytes, algorithm, bytes)
	                                                : verify_ecdsa(key, signed_bytes, algorithm, bytes);
}

bool public_key_verify_legacy(
    const struct public_key *key, struct wire_span message, struct wire_span signature)
{
	struct wire in = wire_over(signature.at, signature.len);
	struct wire_span algorithm = wire_string(&in), bytes = wire_string(&in);

	return wire_done(&in) && key->type->kind == PUBLIC_KEY_RSA && wire_span_is(algorithm, "ssh-rsa") &&
	       digest_verify(rsa_key(key), EVP_sha1(), message, bytes.at, bytes.len);
}

bool public_key_verify(
    const struct public_key *key, struct wire_span message, struct wire_span signature, uint8_t sk_flags)
{
	struct wire in = wire_over(signature.at, signature.len);
	struct wire_span algorithm = wire_string(&in), bytes = wire_string(&in);

	if (key->type->kind == PUBLIC_KEY_SK_ED25519 || key->type->kind == PUBLIC_KEY_SK_ECDSA)
		return verify_sk(key, message, algorithm, bytes, &in, sk_flags);
	if (!wire_done(&in))
		return false;
	switch (key->type->kind) {
	case PUBLIC_KEY_ED25519:
		return verify_ed25519(key, message, algorithm, bytes);
	case PUBLIC_KEY_ECDSA:
		return verify_ecdsa(key, message, algorithm, bytes);
	case PUBLIC_KEY_RSA:
		return verify_rsa(key, message, algorithm, bytes);
	case PUBLIC_KEY_SK_ED25519:
	case PUBLIC_KEY_SK_ECDSA:
		break; /* read above, where more follows the signature */
	}
	return false;
}
