/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/private_key.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/keeper/keeper.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384
#define RSA_EXPONENT 65537
#define SECURE_HEAP (1u << 20) /* bytes: dozens of RSA keys of 4096 bits */
#define SECURE_HEAP_LEAST 32

struct kind {
	enum private_key_type type;
	const char *name;
	const char *curve, *group; /* ECDSA: SSH's name and OpenSSL's */
	size_t coordinate;         /* bytes */
};

static const struct kind kinds[] = {
    {PRIVATE_KEY_ED25519, "ssh-ed25519", NULL, NULL, 0},
    {PRIVATE_KEY_ECDSA_P256, "ecdsa-sha2-nistp256", "nistp256", "P-256", 32},
    {PRIVATE_KEY_ECDSA_P384, "ecdsa-sha2-nistp384", "nistp384", "P-384", 48},
    {PRIVATE_KEY_ECDSA_P521, "ecdsa-sha2-nistp521", "nistp521", "P-521", 66},
    {PRIVATE_KEY_RSA, "ssh-rsa", NULL, NULL, 0},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct private_key {
	const struct kind *kind;
	uint8_t *fields; /* sodium_malloc, read-only */
	size_t fields_len;
	uint8_t *blob;
	size_t blob_len;
	EVP_PKEY *pkey; /* NULL: ed25519 */
};

int private_key_start(void)
{
	if (sodium_init() < 0 || OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return -ENOSYS;
	/* 2: it could not be locked; sodium's memory has the same limit and is as good. */
	if (!CRYPTO_secure_malloc_initialized() &&
	    CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_HEAP_LEAST) == 0)
		return -ENOMEM;
	/* What OpenSSL loads when it is first used, it loads now: files cannot be opened later. */
	uint8_t room[PRIVATE_KEY_SIGNATURE_MAX];
	struct wire_out out = wire_into(room, sizeof(room));
	struct private_key *key = private_key_generate(PRIVATE_KEY_ECDSA_P256, 0);
	bool good = key != NULL && private_key_sign(key, wire_span_of(""), wire_span_of("first"), &out);
	private_key_free(key);
	return good ? 0 : -ENOSYS;
}

/* -- fields -----------------------------------------------------------------------------------------------
 */

static const struct kind *kind_of_type(enum private_key_type type)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

/* Takes the fields into locked memory. */
static struct private_key *with_fields(const struct kind *kind, struct wire_span fields)
{
	struct private_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return NULL;
	key->kind = kind;
	key->fields = sodium_malloc(fields.len);
	key->blob = malloc(PRIVATE_KEY_BLOB_MAX);
	if (key->fields == NULL || key->blob == NULL) {
		private_key_free(key);
		return NULL;
	}
	memcpy(key->fields, fields.at, fields.len);
	key->fields_len = fields.len;
	return key;
}

void private_key_free(struct private_key *key)
{
	if (key == NULL)
		return;
	sodium_free(key->fields); /* wipes */
	EVP_PKEY_free(key->pkey); /* so does the secure heap */
	free(key->blob);
	free(key);
}

/* A positive mpint's magnitude. */
static struct wire_span magnitude(struct wire *in)
{
	struct wire_span number = wire_string(in);

	while (number.len > 0 && number.at[0] == 0) {
		number.at++;
		number.len--;
	}
	if (number.len == 0 || number.len > RSA_BITS_MAX / 8)
		in->failed = true;
	return in->failed ? (struct wire_span){0} : number;
}

static BIGNUM *secret_number(struct wire_span magnitude)
{
	BIGNUM *bn = BN_secure_new();

	if (bn != NULL && BN_bin2bn(magnitude.at, (int)magnitude.len, bn) == NULL) {
		BN_clear_free(bn);
		bn = NULL;
	}
	if (bn != NULL)
		BN_set_flags(bn, BN_FLG_CONSTTIME);
	return bn;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (params != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
	    EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	return pkey;
}

/* Do the halves belong together? What the one signs, the other must confirm. */
static bool is_pair(EVP_PKEY *pkey)
{
	static const uint8_t text[] = "a pair";
	uint8_t signature[RSA_BITS_MAX / 8];
	size_t len = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	bool good = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
	            EVP_DigestSign(context, signature, &len, text, sizeof(text)) == 1 &&
	            EVP_MD_CTX_reset(context) == 1 &&
	            EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
	            EVP_DigestVerify(context, signature, len, text, sizeof(text)) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

/* -- ed25519 ----------------------------------------------------------------------------------------------
 */

static bool read_ed25519(struct private_key *key, struct wire *in)
{
	struct wire_out blob = wire_into(key->blob, PRIVATE_KEY_BLOB_MAX);
	uint8_t derived[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	struct wire_span public = wire_string(in), both = wire_string(in);

	if (!wire_done(in) || public.len != sizeof(derived) || both.len != sizeof(secret))
		return false;
	crypto_sign_seed_keypair(derived, secret, both.at);
	bool good = sodium_memcmp(derived, public.at, sizeof(derived)) == 0 &&
	            sodium_memcmp(secret, both.at, sizeof(secret)) == 0;
	sodium_memzero(secret, sizeof(secret));
	blob_put_public(&blob, derived);
	key->blob_len = wire_written(&blob);
	return good;
}

static bool sign_ed25519(const struct private_key *key, struct wire_span data, struct wire_out *out)
{
	struct wire in = wire_over(key->fields, key->fields_len);
	uint8_t signature[crypto_sign_BYTES];

	(void)wire_string(&in);
	(void)wire_string(&in);
	struct wire_span secret = wire_string(&in);
	crypto_sign_detached(signature, NULL, data.at, data.len, secret.at);
	wire_put_string(out, signature, sizeof(signature));
	return !out->failed;
}

/* -- ECDSA (RFC 5656) -------------------------------------------------------------------------------------
 */

static bool read_ecdsa(struct private_key *key, struct wire *in)
{
	const struct kind *kind = key->kind;
	struct wire_out blob = wire_into(key->blob, PRIVATE_KEY_BLOB_MAX);
	struct wire_span curve = wire_string(in), point = wire_string(in), d = magnitude(in);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *secret = NULL;

	if (builder != NULL && wire_done(in) && wire_span_is(curve, kind->curve) &&
	    point.len == 1 + 2 * kind->coordinate && point.at[0] == 4 &&
	    (secret = secret_number(d)) != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, kind->group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.at, point.len) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1)
		key->pkey = from_params("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	BN_clear_free(secret);
	wire_put_cstring(&blob, kind->name);
	wire_put_cstring(&blob, kind->curve);
	wire_put_string(&blob, point.at, point.len);
	key->blob_len = wire_written(&blob);
	return key->pkey != NULL && !blob.failed;
}

static bool generate_ecdsa(EVP_PKEY *pkey, const struct kind *kind, struct wire_out *fields)
{
	uint8_t point[1 + 2 * 66], number[66];
	size_t len = 0;
	BIGNUM *d = NULL;

	bool good =
	    EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) == 1 &&
	    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
	    BN_num_bytes(d) <= (int)sizeof(number);
	wire_put_cstring(fields, kind->curve);
	wire_put_string(fields, point, len);
	if (good)
		blob_put_mpint(fields, number, (size_t)BN_bn2bin(d, number));
	BN_clear_free(d);
	sodium_memzero(number, sizeof(number));
	return good;
}

/* OpenSSL's DER as SSH's two mpints. */
static bool put_ecdsa(struct wire_out *out, const uint8_t *der, size_t len)
{
	const uint8_t *at = der;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
	uint8_t room[2 * (4 + 67)], number[66];
	struct wire_out inner = wire_into(room, sizeof(room));

	if (pair == NULL)
		return false;
	blob_put_mpint(&inner, number, (size_t)BN_bn2bin(ECDSA_SIG_get0_r(pair), number));
	blob_put_mpint(&inner, number, (size_t)BN_bn2bin(ECDSA_SIG_get0_s(pair), number));
	ECDSA_SIG_free(pair);
	wire_put_string(out, room, wire_written(&inner));
	return !inner.failed && !out->failed;
}

/* -- RSA (RFC 8332) ---------------------------------------------------------------------------------------
 */

struct rsa_numbers {
	BIGNUM *n, *e, *d, *iqmp, *p, *q, *dp, *dq;
};

static void forget_numbers(struct rsa_numbers *rsa)
{
	BIGNUM *all[] = {rsa->n, rsa->e, rsa->d, rsa->iqmp, rsa->p, rsa->q, rsa->dp, rsa->dq};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		BN_clear_free(all[i]);
}

/* dp = d mod (p - 1), dq = d mod (q - 1): key files leave them out. False also where iqmp is not q's inverse
 * modulo p: OpenSSL would sign around it, slowly. */
static bool derive_exponents(struct rsa_numbers *rsa)
{
	BN_CTX *context = BN_CTX_secure_new();
	BIGNUM *work = BN_secure_new();

	rsa->dp = BN_secure_new();
	rsa->dq = BN_secure_new();
	bool good = context != NULL && work != NULL && rsa->dp != NULL && rsa->dq != NULL &&
	            BN_mod_mul(work, rsa->iqmp, rsa->q, rsa->p, context) == 1 && BN_is_one(work) &&
	            BN_sub(work, rsa->p, BN_value_one()) == 1 &&
	            BN_mod(rsa->dp, rsa->d, work, context) == 1 &&
	            BN_sub(work, rsa->q, BN_value_one()) == 1 && BN_mod(rsa->dq, rsa->d, work, context) == 1;
	BN_clear_free(work);
	BN_CTX_free(context);
	return good;
}

static EVP_PKEY *rsa_pkey(const struct rsa_numbers *rsa)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (builder != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, rsa->n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, rsa->e) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_D, rsa->d) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR1, rsa->p) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR2, rsa->q) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT1, rsa->dp) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT2, rsa->dq) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, rsa->iqmp) == 1)
		pkey = from_params("RSA", builder);
	OSSL_PARAM_BLD_free(builder);
	return pkey;
}

static bool read_rsa(struct private_key *key, struct wire *in)
{
	struct wire_out blob = wire_into(key->blob, PRIVATE_KEY_BLOB_MAX);
	struct wire_span n = magnitude(in), e = magnitude(in), d = magnitude(in), iqmp = magnitude(in),
	                 p = magnitude(in), q = magnitude(in);

	if (!wire_done(in) || n.len < RSA_BITS_MIN / 8 || e.len > 8)
		return false;
	struct rsa_numbers rsa = {.n = BN_bin2bn(n.at, (int)n.len, NULL),
	    .e = BN_bin2bn(e.at, (int)e.len, NULL),
	    .d = secret_number(d),
	    .iqmp = secret_number(iqmp),
	    .p = secret_number(p),
	    .q = secret_number(q)};
	if (rsa.n != NULL && rsa.e != NULL && rsa.d != NULL && rsa.iqmp != NULL && rsa.p != NULL &&
	    rsa.q != NULL && BN_num_bits(rsa.n) >= RSA_BITS_MIN && BN_is_odd(rsa.n) && BN_is_odd(rsa.e) &&
	    BN_is_odd(rsa.p) && BN_is_odd(rsa.q) && derive_exponents(&rsa))
		key->pkey = rsa_pkey(&rsa);
	forget_numbers(&rsa);
	wire_put_cstring(&blob, key->kind->name);
	blob_put_mpint(&blob, e.at, e.len);
	blob_put_mpint(&blob, n.at, n.len);
	key->blob_len = wire_written(&blob);
	return key->pkey != NULL && !blob.failed;
}

static bool generate_rsa(EVP_PKEY *pkey, struct wire_out *fields)
{
	static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E,
	    OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, OSSL_PKEY_PARAM_RSA_FACTOR1,
	    OSSL_PKEY_PARAM_RSA_FACTOR2};
	uint8_t number[RSA_BITS_MAX / 8];
	bool good = true;

	for (size_t i = 0; good && i < sizeof(names) / sizeof(names[0]); i++) {
		BIGNUM *bn = NULL;
		good = EVP_PKEY_get_bn_param(pkey, names[i], &bn) == 1 &&
		       BN_num_bytes(bn) <= (int)sizeof(number);
		if (good)
			blob_put_mpint(fields, number, (size_t)BN_bn2bin(bn, number));
		BN_clear_free(bn);
	}
	sodium_memzero(number, sizeof(number));
	return good;
}

/* -- any --------------------------------------------------------------------------------------------------
 */

struct private_key *private_key_read(struct wire_span fields)
{
	struct wire in = wire_over(fields.at, fields.len);
	struct wire_span name = wire_string(&in);
	const struct kind *kind = NULL;

	for (size_t i = 0; i < KINDS; i++)
		if (wire_span_is(name, kinds[i].name))
			kind = &kinds[i];
	if (kind == NULL || in.failed || fields.len > PRIVATE_KEY_FIELDS_MAX)
		return NULL;
	struct private_key *key = with_fields(kind, fields);
	if (key == NULL)
		return NULL;
	bool good = kind->type == PRIVATE_KEY_ED25519 ? read_ed25519(key, &in)
	            : kind->type == PRIVATE_KEY_RSA   ? read_rsa(key, &in)
	                                              : read_ecdsa(key, &in);
	ERR_clear_error();
	if (!good || (key->pkey != NULL && !is_pair(key->pkey))) {
		private_key_free(key);
		return NULL;
	}
	sodium_mprotect_readonly(key->fields);
	return key;
}

struct private_key *private_key_of_seed(const uint8_t seed[32])
{
	uint8_t room[4 + 16 + 4 + 32 + 4 + 64];
	uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	struct wire_out out = wire_into(room, sizeof(room));

	crypto_sign_seed_keypair(public, secret, seed);
	wire_put_cstring(&out, "ssh-ed25519");
	wire_put_string(&out, public, sizeof(public));
	wire_put_string(&out, secret, sizeof(secret));
	struct private_key *key = private_key_read((struct wire_span){room, wire_written(&out)});
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(room, sizeof(room));
	return key;
}

static struct private_key *generate_by_openssl(const struct kind *kind, unsigned rsa_bits)
{
	EVP_PKEY *pkey = kind->type == PRIVATE_KEY_RSA
	                     ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)rsa_bits)
	                     : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind->group);
	uint8_t *room = sodium_malloc(PRIVATE_KEY_FIELDS_MAX);
	struct private_key *key = NULL;

	if (pkey != NULL && room != NULL) {
		struct wire_out out = wire_into(room, PRIVATE_KEY_FIELDS_MAX);
		wire_put_cstring(&out, kind->name);
		if ((kind->type == PRIVATE_KEY_RSA ? generate_rsa(pkey, &out)
		                                   : generate_ecdsa(pkey, kind, &out)) &&
		    !out.failed)
			key = private_key_read((struct wire_span){room, wire_written(&out)});
	}
	sodium_free(room);
	EVP_PKEY_free(pkey);
	return key;
}

struct private_key *private_key_generate(enum private_key_type type, unsigned rsa_bits)
{
	const struct kind *kind = kind_of_type(type);
	uint8_t seed[crypto_sign_SEEDBYTES];

	if (kind == NULL || (type == PRIVATE_KEY_RSA && (rsa_bits < RSA_BITS_MIN || rsa_bits > RSA_BITS_MAX)))
		return NULL;
	if (type != PRIVATE_KEY_ED25519)
		return generate_by_openssl(kind, rsa_bits);
	randombytes_buf(seed, sizeof(seed));
	struct private_key *key = private_key_of_seed(seed);
	sodium_memzero(seed, sizeof(seed));
	return key;
}

enum private_key_type private_key_type(const struct private_key *key)
{
	return key->kind->type;
}

struct wire_span private_key_fields(const struct private_key *key)
{
	return (struct wire_span){key->fields, key->fields_len};
}

struct wire_span private_key_blob(const struct private_key *key)
{
	return (struct wire_span){key->blob, key->blob_len};
}

/* The digest of an algorithm that the key has; NULL: it has no such. *name: the algorithm's. */
static const EVP_MD *digest_of(const struct kind *kind, struct wire_span algorithm, const char **name)
{
	*name = kind->name;
	if (kind->type == PRIVATE_KEY_RSA) {
		if (wire_span_is(algorithm, "rsa-sha2-256"))
			return *name = "rsa-sha2-256", EVP_sha256();
		if (wire_span_is(algorithm, "ssh-rsa"))
			return EVP_sha1();
		*name = "rsa-sha2-512";
		return algorithm.len == 0 || wire_span_is(algorithm, *name) ? EVP_sha512() : NULL;
	}
	if (algorithm.len > 0 && !wire_span_is(algorithm, kind->name))
		return NULL;
	return kind->coordinate == 32 ? EVP_sha256() : kind->coordinate == 48 ? EVP_sha384() : EVP_sha512();
}

bool private_key_sign(
    const struct private_key *key, struct wire_span algorithm, struct wire_span data, struct wire_out *out)
{
	uint8_t inner_room[PRIVATE_KEY_SIGNATURE_MAX], raw[RSA_BITS_MAX / 8];
	struct wire_out inner = wire_into(inner_room, sizeof(inner_room));
	size_t len = sizeof(raw);
	const char *name;
	const EVP_MD *digest = digest_of(key->kind, algorithm, &name);
	bool good;

	if (digest == NULL)
		return false;
	wire_put_cstring(&inner, name);
	if (key->pkey == NULL) {
		good = sign_ed25519(key, data, &inner);
	} else {
		EVP_MD_CTX *context = EVP_MD_CTX_new();
		good = context != NULL && EVP_DigestSignInit(context, NULL, digest, NULL, key->pkey) == 1 &&
		       EVP_DigestSign(context, raw, &len, data.at, data.len) == 1;
		EVP_MD_CTX_free(context);
		if (good && key->kind->type == PRIVATE_KEY_RSA)
			wire_put_string(&inner, raw, len);
		else
			good = good && put_ecdsa(&inner, raw, len);
		ERR_clear_error();
	}
	wire_put_bytes(out, inner_room, wire_written(&inner));
	return good && !inner.failed && !out->failed;
}
