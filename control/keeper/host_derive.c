/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From seed, target and type to a private key. The rules here are for ever: another result is another key,
 * and a warning on every client's screen.
 *
 *   ed25519   seed' = BLAKE2b-256(key = seed; "portreeve host key 1" NUL target id) is the key's seed
 *   others    key' = BLAKE2b-256(key = seed; "portreeve host key 2" NUL type NUL target id) keys ChaCha20
 *             (nonce 0), whose stream is read from its start:
 *   ecdsa     d = 1 + (a big-endian number of order's bytes + 16) mod (order - 1): its bias is below 2^-128
 *   rsa       p, q: 192 bytes each, big-endian, the two highest bits and the lowest set; then the first prime
 *             from there upwards (in steps of 2) for which p - 1 is no multiple of 65537
 *
 * That primes are searched upwards, and not drawn anew, makes primes behind long gaps likelier; that is known
 * not to help anyone who would factor the product.
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <sodium.h>
#include <string.h>

#include "control/keeper/host_keys.h"
#include "control/keeper/private_key.h"

#define CONTEXT_ED25519 "portreeve host key 1"
#define CONTEXT_OTHERS "portreeve host key 2"
#define PRIME_SIZE 192 /* bytes: RSA of 3072 bits */
#define EXPONENT 65537
#define SIEVE_PRIMES 2048
#define SIEVE_LIMIT 17900 /* the 2048th odd prime is below */
#define SEARCH_MAX 200000 /* steps; the longest gap that one meets is a tenth of it */

/* -- streams -- */

struct stream {
	uint8_t key[crypto_stream_chacha20_KEYBYTES];
	uint64_t block;
};

static void keyed(const uint8_t seed[KEEPER_SEED_SIZE], const char *context, size_t context_size,
    struct wire_span type, const char *target_id, uint8_t derived[KEEPER_SEED_SIZE])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, seed, KEEPER_SEED_SIZE, KEEPER_SEED_SIZE);
	crypto_generichash_update(&state, (const uint8_t *)context, context_size);
	if (type.len > 0) {
		crypto_generichash_update(&state, type.at, type.len);
		crypto_generichash_update(&state, (const uint8_t *)"", 1);
	}
	crypto_generichash_update(&state, (const uint8_t *)target_id, strlen(target_id));
	crypto_generichash_final(&state, derived, KEEPER_SEED_SIZE);
	sodium_memzero(&state, sizeof(state));
}

/* The next `len` bytes, of whole blocks: the rest of the last one is not used. */
static void stream_read(struct stream *stream, uint8_t *bytes, size_t len)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	memset(bytes, 0, len);
	crypto_stream_chacha20_xor_ic(bytes, bytes, len, nonce, stream->block, stream->key);
	stream->block += (len + 63) / 64;
}

static void put_number(struct wire_out *out, const BIGNUM *number)
{
	uint8_t bytes[2 * PRIME_SIZE];

	if (BN_num_bytes(number) <= (int)sizeof(bytes))
		blob_put_mpint(out, bytes, (size_t)BN_bn2bin(number, bytes));
	else
		out->failed = true;
	sodium_memzero(bytes, sizeof(bytes));
}

/* -- ECDSA -- */

static bool scalar(struct stream *stream, const EC_GROUP *group, BIGNUM *d, BN_CTX *context)
{
	uint8_t bytes[66 + 16];
	BIGNUM *less = BN_dup(EC_GROUP_get0_order(group));
	size_t len = (size_t)BN_num_bytes(EC_GROUP_get0_order(group)) + 16;

	stream_read(stream, bytes, len);
	bool good = less != NULL && BN_sub_word(less, 1) == 1 && BN_bin2bn(bytes, (int)len, d) != NULL &&
	            BN_mod(d, d, less, context) == 1 && BN_add_word(d, 1) == 1;
	BN_free(less);
	sodium_memzero(bytes, sizeof(bytes));
	return good;
}

static bool put_ecdsa(struct wire_out *out, struct stream *stream, int nid, const char *curve)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
	EC_POINT *point = group == NULL ? NULL : EC_POINT_new(group);
	BN_CTX *context = BN_CTX_secure_new();
	BIGNUM *d = BN_secure_new();
	uint8_t bytes[1 + 2 * 66];
	size_t len = 0;

	if (point != NULL && context != NULL && d != NULL && scalar(stream, group, d, context) &&
	    EC_POINT_mul(group, point, d, NULL, NULL, context) == 1)
		len = EC_POINT_point2oct(
		    group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof(bytes), context);
	if (len > 0) {
		wire_put_cstring(out, curve);
		wire_put_string(out, bytes, len);
		put_number(out, d);
	}
	BN_clear_free(d);
	BN_CTX_free(context);
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return len > 0 && !out->failed;
}

/* -- RSA -- */

/* The odd primes below SIEVE_LIMIT, by Eratosthenes' sieve. */
static unsigned small_primes(uint16_t primes[SIEVE_PRIMES])
{
	uint8_t composite[SIEVE_LIMIT] = {0};
	unsigned count = 0;

	for (unsigned n = 3; n < SIEVE_LIMIT && count < SIEVE_PRIMES; n += 2) {
		if (composite[n])
			continue;
		primes[count++] = (uint16_t)n;
		for (unsigned multiple = n * n; multiple < SIEVE_LIMIT; multiple += 2 * n)
			composite[multiple] = 1;
	}
	return count;
}

static bool has_small_factor(
    const uint16_t *primes, const uint16_t *rests, unsigned count, unsigned long distance)
{
	for (unsigned i = 0; i < count; i++)
		if ((rests[i] + distance) % primes[i] == 0)
			return true;
	return false;
}

/* From an odd number to the first prime that is fit for RSA; *found: how far it was. */
static bool search(BIGNUM *p, uint32_t *found, BN_CTX *context)
{
	uint16_t primes[SIEVE_PRIMES], rests[SIEVE_PRIMES];
	unsigned count = small_primes(primes);
	unsigned long at = 0;

	for (unsigned i = 0; i < count; i++)
		rests[i] = (uint16_t)BN_mod_word(p, primes[i]);
	for (unsigned long distance = 0; distance < SEARCH_MAX; distance += 2) {
		if (has_small_factor(primes, rests, count, distance))
			continue;
		if (BN_add_word(p, distance - at) != 1)
			return false;
		at = distance;
		int prime = BN_mod_word(p, EXPONENT) == 1 ? 0 : BN_check_prime(p, context, NULL);
		*found = (uint32_t)distance;
		if (prime != 0)
			return prime == 1;
	}
	return false;
}

/* The number at which the search begins. */
static bool draw_start(struct stream *stream, BIGNUM *p)
{
	uint8_t bytes[PRIME_SIZE];

	stream_read(stream, bytes, sizeof(bytes));
	bytes[0] |= 0xc0; /* so that the product of two has all its bits */
	bytes[PRIME_SIZE - 1] |= 1;
	bool good = BN_bin2bn(bytes, sizeof(bytes), p) != NULL;
	sodium_memzero(bytes, sizeof(bytes));
	return good;
}

enum { P, Q, N, E, D, IQMP, P1, Q1, NUMBERS };

/* n, d and the coefficient from p and q: d is the inverse of e modulo (p - 1)(q - 1). */
static bool complete(BIGNUM *const number[NUMBERS], BN_CTX *context)
{
	return BN_cmp(number[P], number[Q]) != 0 && BN_mul(number[N], number[P], number[Q], context) == 1 &&
	       BN_set_word(number[E], EXPONENT) == 1 && BN_sub(number[P1], number[P], BN_value_one()) == 1 &&
	       BN_sub(number[Q1], number[Q], BN_value_one()) == 1 &&
	       BN_mul(number[P1], number[P1], number[Q1], context) == 1 &&
	       BN_mod_inverse(number[D], number[E], number[P1], context) != NULL &&
	       BN_mod_inverse(number[IQMP], number[Q], number[P], context) != NULL;
}

bool host_search(const uint8_t derived[KEEPER_SEED_SIZE], struct host_hint *hint)
{
	struct stream stream = {.block = 0};
	BN_CTX *context = BN_CTX_secure_new();
	BIGNUM *p = BN_secure_new(), *q = BN_secure_new();

	memcpy(stream.key, derived, sizeof(stream.key));
	bool good = context != NULL && p != NULL && q != NULL && draw_start(&stream, p) &&
	            draw_start(&stream, q) && search(p, &hint->p, context) && search(q, &hint->q, context);
	sodium_memzero(&stream, sizeof(stream));
	BN_clear_free(p);
	BN_clear_free(q);
	BN_CTX_free(context);
	return good;
}

static bool put_rsa(struct wire_out *out, struct stream *stream, const struct host_hint *hint)
{
	static const uint8_t order[] = {N, E, D, IQMP, P, Q};
	BN_CTX *context = BN_CTX_secure_new();
	BIGNUM *number[NUMBERS];
	bool good = context != NULL;

	for (unsigned i = 0; i < NUMBERS; i++) {
		number[i] = BN_secure_new();
		good = good && number[i] != NULL;
	}
	good = good && draw_start(stream, number[P]) && draw_start(stream, number[Q]) &&
	       BN_add_word(number[P], hint->p) == 1 && BN_add_word(number[Q], hint->q) == 1 &&
	       complete(number, context);
	for (unsigned i = 0; good && i < sizeof(order); i++)
		put_number(out, number[order[i]]);
	for (unsigned i = 0; i < NUMBERS; i++)
		BN_clear_free(number[i]);
	BN_CTX_free(context);
	return good && !out->failed;
}

/* -- all -- */

void host_derive_rsa(
    const uint8_t seed[KEEPER_SEED_SIZE], const char *target_id, uint8_t derived[KEEPER_SEED_SIZE])
{
	keyed(seed, CONTEXT_OTHERS, sizeof(CONTEXT_OTHERS), wire_span_of("ssh-rsa"), target_id, derived);
}

struct private_key *host_derive(const uint8_t seed[KEEPER_SEED_SIZE], const char *target_id,
    struct wire_span type, const struct host_hint *hint)
{
	static const struct {
		const char *type, *curve;
		int nid;
	} curves[] = {{"ecdsa-sha2-nistp256", "nistp256", NID_X9_62_prime256v1},
	    {"ecdsa-sha2-nistp384", "nistp384", NID_secp384r1},
	    {"ecdsa-sha2-nistp521", "nistp521", NID_secp521r1}};
	struct stream stream = {.block = 0};
	uint8_t room[2 * 1024];
	struct wire_out out = wire_into(room, sizeof(room));
	struct private_key *key = NULL;
	bool good = false;

	if (wire_span_is(type, "ssh-ed25519")) {
		keyed(seed, CONTEXT_ED25519, sizeof(CONTEXT_ED25519), (struct wire_span){0}, target_id,
		    stream.key);
		key = private_key_of_seed(stream.key);
		sodium_memzero(&stream, sizeof(stream));
		return key;
	}
	keyed(seed, CONTEXT_OTHERS, sizeof(CONTEXT_OTHERS), type, target_id, stream.key);
	wire_put_string(&out, type.at, type.len);
	if (wire_span_is(type, "ssh-rsa"))
		good = hint != NULL && put_rsa(&out, &stream, hint);
	for (size_t i = 0; i < 3; i++)
		if (wire_span_is(type, curves[i].type))
			good = put_ecdsa(&out, &stream, curves[i].nid, curves[i].curve);
	if (good)
		key = private_key_read((struct wire_span){room, wire_written(&out)});
	sodium_memzero(&stream, sizeof(stream));
	sodium_memzero(room, sizeof(room));
	return key;
}
