/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libssh's sntrup761, whose arithmetic one of our patches changes: results must stay those of the reference
 * implementation, for keys and ciphertexts that nobody made on purpose, too. The digest below is of what
 * libssh 0.12.2 gave for the same random bytes, unpatched.
 */
#include <criterion/criterion.h>
#include <libssh/sntrup761.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#define ROUNDS 20

static uint64_t state;

/* xorshift: the same bytes everywhere. */
static void random_bytes(void *context, size_t len, uint8_t *out)
{
	(void)context;
	for (size_t i = 0; i < len; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		out[i] = (uint8_t)state;
	}
}

/* Every third ciphertext has a wrong bit, every seventh is random. */
static bool spoil(unsigned round, uint8_t ciphertext[SNTRUP761_CIPHERTEXT_SIZE])
{
	if (round % 3 == 2)
		ciphertext[round % SNTRUP761_CIPHERTEXT_SIZE] ^= (uint8_t)(1u << (round % 8));
	if (round % 7 == 6)
		random_bytes(NULL, SNTRUP761_CIPHERTEXT_SIZE, ciphertext);
	return round % 3 == 2 || round % 7 == 6;
}

static void one_round(unsigned round, crypto_hash_sha512_state *digest)
{
	uint8_t public_key[SNTRUP761_PUBLICKEY_SIZE], secret_key[SNTRUP761_SECRETKEY_SIZE];
	uint8_t ciphertext[SNTRUP761_CIPHERTEXT_SIZE], sent[SNTRUP761_SIZE], got[SNTRUP761_SIZE];

	sntrup761_keypair(public_key, secret_key, NULL, random_bytes);
	sntrup761_enc(ciphertext, sent, public_key, NULL, random_bytes);
	bool spoilt = spoil(round, ciphertext);
	sntrup761_dec(got, ciphertext, secret_key);
	cr_assert_eq(memcmp(sent, got, sizeof(sent)) == 0, !spoilt, "round %u", round);
	crypto_hash_sha512_update(digest, public_key, sizeof(public_key));
	crypto_hash_sha512_update(digest, secret_key, sizeof(secret_key));
	crypto_hash_sha512_update(digest, ciphertext, sizeof(ciphertext));
	crypto_hash_sha512_update(digest, sent, sizeof(sent));
	crypto_hash_sha512_update(digest, got, sizeof(got));
	random_bytes(NULL, sizeof(public_key), public_key); /* a client's, who made no effort */
	sntrup761_enc(ciphertext, sent, public_key, NULL, random_bytes);
	crypto_hash_sha512_update(digest, ciphertext, sizeof(ciphertext));
	crypto_hash_sha512_update(digest, sent, sizeof(sent));
}

Test(sntrup761, gives_what_the_reference_gives)
{
	static const uint8_t expected[16] = {
	    0x2a, 0xde, 0x43, 0xe9, 0x7f, 0xdb, 0x98, 0xd3, 0xab, 0xf8, 0xee, 0xfc, 0xc6, 0x63, 0x6c, 0x5f};
	uint8_t digest[crypto_hash_sha512_BYTES];
	crypto_hash_sha512_state all;

	state = 88172645463325252u;
	crypto_hash_sha512_init(&all);
	for (unsigned round = 0; round < ROUNDS; round++)
		one_round(round, &all);
	crypto_hash_sha512_final(&all, digest);
	cr_assert_arr_eq(digest, expected, sizeof(expected));
}
