/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9180 appendix A.2.1 over the pieces, then contexts, wrong inputs and wrapped contexts. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "recorder/format/hpke.h"
#include "tests/unit/recorder/hex.h"

#define SK_E "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600"
#define SK_R "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"
#define PK_R "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"
#define ENC "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
#define INFO "4f6465206f6e2061204772656369616e2055726e"
#define PLAIN "4265617574792069732074727574682c20747275746820626561757479"

static const struct {
	uint64_t sequence;
	const char *aad;
	const char *sealed;
} rfc[] = {
    {0, "436f756e742d30",
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"},
    {1, "436f756e742d31",
        "6b53c051e4199c518de79594e1c4ab18b96f081549d45ce015be002090bb119e85285337cc95ba5f59992dc98c"},
    {2, "436f756e742d32",
        "71146bd6795ccc9c49ce25dda112a48f202ad220559502cef1f34271e0cb4b02b4f10ecac6f48c32f878fae86b"},
};

static void rfc_context(struct format_context *context)
{
	uint8_t recipient[32], ephemeral[32], encapsulated[32], shared[32], info[32];
	struct wire_span bound = {info, unhex(INFO, info, sizeof(info))};

	unhex(PK_R, recipient, 32);
	unhex(SK_E, ephemeral, 32);
	cr_assert_eq(hpke_encap(recipient, ephemeral, encapsulated, shared), 0);
	expect_hex("enc", encapsulated, 32, ENC);
	expect_hex(
	    "shared_secret", shared, 32, "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7");
	hpke_key_schedule(context, shared, bound);
}

Test(hpke, key_schedule_of_rfc_9180)
{
	struct format_context context;
	uint8_t secret[32], encapsulated[32], shared[32];

	rfc_context(&context);
	expect_hex(
	    "key", context.key, 32, "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91");
	expect_hex("base_nonce", context.base_nonce, 12, "5c4d98150661b848853b547f");
	unhex(SK_R, secret, 32);
	unhex(ENC, encapsulated, 32);
	cr_assert_eq(hpke_decap(encapsulated, secret, shared), 0);
	expect_hex("decap", shared, 32, "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7");
}

Test(hpke, seal_and_open_of_rfc_9180)
{
	struct format_context sender, receiver;
	uint8_t plain[64], aad[16], out[80];
	size_t len = unhex(PLAIN, plain, sizeof(plain));

	rfc_context(&sender);
	rfc_context(&receiver);
	for (size_t i = 0; i < sizeof(rfc) / sizeof(rfc[0]); i++) {
		struct wire_span bound = {aad, unhex(rfc[i].aad, aad, sizeof(aad))};
		cr_assert_eq(sender.sequence, rfc[i].sequence);
		cr_assert_eq(hpke_seal(&sender, bound, plain, len, out), 0);
		expect_hex("sealed", out, len + FORMAT_TAG_SIZE, rfc[i].sealed);
		cr_assert_eq(hpke_open(&receiver, bound, out, len + FORMAT_TAG_SIZE, out), 0);
		expect_hex("opened", out, len, PLAIN);
	}
}

/* RFC 9180 section 7.1.4: a public key of small order gives an all-zero shared secret, and is refused. */
Test(hpke, refuses_keys_of_small_order)
{
	static const char *const keys[] = {
	    "0000000000000000000000000000000000000000000000000000000000000000",
	    "0100000000000000000000000000000000000000000000000000000000000000",
	    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	};
	struct format_context context;
	uint8_t key[32], encapsulated[32], secret[32];

	unhex(SK_R, secret, 32);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		unhex(keys[i], key, 32);
		cr_expect_eq(
		    format_seal_setup(&context, key, encapsulated), -EINVAL, "sealed to %s", keys[i]);
		cr_expect_eq(format_open_setup(&context, secret, key), -EINVAL, "opened from %s", keys[i]);
	}
}

static void pair(struct format_context *sender, struct format_context *receiver)
{
	uint8_t secret[32], public[32], encapsulated[32];

	cr_assert_eq(format_keypair(secret, public), 0);
	cr_assert_eq(format_seal_setup(sender, public, encapsulated), 0);
	cr_assert_eq(format_open_setup(receiver, secret, encapsulated), 0);
}

Test(hpke, lengths_from_one_byte_to_a_whole_block)
{
	static const size_t lengths[] = {
	    1, 15, 16, 17, 63, 64, 65, 4096, FORMAT_BLOCK_MAX - 1, FORMAT_BLOCK_MAX};
	static uint8_t plain[FORMAT_BLOCK_MAX + 1], sealed[FORMAT_BLOCK_MAX + 32], opened[FORMAT_BLOCK_MAX];
	struct format_context sender, receiver;

	pair(&sender, &receiver);
	randombytes_buf(plain, sizeof(plain));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t len = lengths[i];
		cr_assert_eq(format_seal(&sender, plain, len, sealed), 0, "seal %zu", len);
		cr_assert_eq(
		    format_open(&receiver, sealed, len + FORMAT_TAG_SIZE, opened), 0, "open %zu", len);
		cr_expect_arr_eq(opened, plain, len, "%zu bytes came back changed", len);
	}
	cr_expect_eq(format_seal(&sender, plain, 0, sealed), -EINVAL);
	cr_expect_eq(format_seal(&sender, plain, FORMAT_BLOCK_MAX + 1, sealed), -EINVAL);
	cr_expect_eq(sender.sequence, sizeof(lengths) / sizeof(lengths[0]), "a refused block took a number");
	sender.sequence = UINT64_MAX;
	cr_expect_eq(format_seal(&sender, plain, 1, sealed), -EOVERFLOW);
}

Test(hpke, two_contexts_interleave_on_one_cipher_object)
{
	struct format_context senders[2], receivers[2];
	uint8_t sealed[2][32], opened[16];

	pair(&senders[0], &receivers[0]);
	pair(&senders[1], &receivers[1]);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 2; i++)
			cr_assert_eq(
			    format_seal(&senders[i], (const uint8_t *)"interleaved!", 12, sealed[i]), 0);
		for (unsigned i = 0; i < 2; i++) {
			cr_assert_eq(format_open(&receivers[1 - i], sealed[1 - i], 28, opened), 0);
			cr_expect_arr_eq(opened, "interleaved!", 12);
		}
	}
}

Test(hpke, a_changed_byte_an_order_or_a_key_is_told)
{
	struct format_context sender, receiver, other_sender, other;
	uint8_t first[64], second[64], out[64];

	pair(&sender, &receiver);
	pair(&other_sender, &other);
	cr_assert_eq(format_seal(&sender, (const uint8_t *)"first", 5, first), 0);
	cr_assert_eq(format_seal(&sender, (const uint8_t *)"second", 6, second), 0);
	cr_expect_eq(format_open(&receiver, second, 22, out), -EBADMSG, "order");
	cr_expect_eq(format_open(&other, first, 21, out), -EBADMSG, "key");
	for (size_t i = 0; i < 21; i++) {
		first[i] ^= 0x40;
		memset(out, 0xaa, sizeof(out));
		cr_expect_eq(format_open(&receiver, first, 21, out), -EBADMSG, "byte %zu", i);
		cr_expect(sodium_is_zero(out, 5), "byte %zu: unverified plaintext was left", i);
		first[i] ^= 0x40;
	}
	for (size_t len = 0; len < 21; len++)
		cr_expect_eq(format_open(&receiver, first, len, out), -EBADMSG, "cut to %zu", len);
	cr_expect_eq(format_open(&receiver, first, 21, out), 0, "failures must not take a number");
	cr_expect_eq(format_open(&receiver, second, 22, out), 0);
}

Test(hpke, wiping_leaves_nothing)
{
	struct format_context sender, receiver;

	pair(&sender, &receiver);
	format_context_wipe(&sender);
	cr_expect(sodium_is_zero((const uint8_t *)&sender, sizeof(sender)));
}

Test(hpke, a_further_recipient_unwraps_the_context)
{
	struct format_context sender, receiver, unwrapped;
	struct format_wrapped wrapped;
	uint8_t secret[32], public[32], sealed[64], out[64];

	pair(&sender, &receiver);
	format_keypair(secret, public);
	cr_assert_eq(format_wrap(&sender, public, &wrapped), 0);
	cr_expect_arr_eq(wrapped.recipient, public, 32);
	cr_assert_eq(format_unwrap(&wrapped, secret, &unwrapped), 0);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(format_seal(&sender, (const uint8_t *)"shared", 6, sealed), 0);
		cr_assert_eq(format_open(&unwrapped, sealed, 22, out), 0);
		cr_expect_arr_eq(out, "shared", 6);
	}
	wrapped.sealed[3] ^= 1;
	cr_expect_eq(format_unwrap(&wrapped, secret, &unwrapped), -EBADMSG);
	memset(public, 0, sizeof(public));
	cr_expect_eq(format_wrap(&sender, public, &wrapped), -EINVAL);
	memset(wrapped.encapsulated, 0, sizeof(wrapped.encapsulated));
	cr_expect_eq(format_unwrap(&wrapped, secret, &unwrapped), -EINVAL);
}
