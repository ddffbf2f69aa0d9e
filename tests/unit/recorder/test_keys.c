/* SPDX-License-Identifier: Apache-2.0 */
/* Key files: what is written and what is accepted. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "recorder/format/format.h"
#include "tests/unit/recorder/hex.h"

#define GOOD "QxDul9iMwfCIpVdsd6sM9cOseX89lROcbIS1QpxZZio="
#define GOOD_HEX "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"

Test(keys, decode)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
	    {GOOD, true},
	    {GOOD "\n", true},
	    {" \t\r\n" GOOD "\r\n \v\f", true},
	    {"", false},
	    {"\n", false},
	    {"=", false},
	    {"QxDul9iMwfCIpVdsd6sM9cOseX89lROcbIS1QpxZZio", false},
	    {"QxDul9iMwfCIpVdsd6sM9cOseX89lROcbIS1QpxZZi==", false},
	    {"QxDul9iMwfCIpVdsd6sM9cOseX89lROcbIS1QpxZZip=", false}, /* bits behind the last byte */
	    {"QxDul9iMwfCIpVdsd6sM9cOseX89lROcbIS1QpxZZioA", false}, /* 33 bytes */
	    {"QxDul9iMwfCIpVdsd6sM9cOseX89lROcbIS1QpxZ Zio=", false},
	    {"QxDul9iMwfCIpVdsd6sM9cOseX89lROcbIS1-pxZZio=", false}, /* the URL alphabet */
	    {GOOD "A", false},
	    {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzr", false},
	};
	uint8_t key[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int got = format_key_decode(cases[i].text, strlen(cases[i].text), key);
		cr_expect_eq(
		    got, cases[i].good ? 0 : -EINVAL, "case %zu (%s): got %d", i, cases[i].text, got);
		if (got == 0)
			expect_hex(cases[i].text, key, 32, GOOD_HEX);
		else
			cr_expect(sodium_is_zero(key, 32), "case %zu leaves half a key", i);
	}
}

Test(keys, encode)
{
	uint8_t key[32];
	char text[45];

	unhex(GOOD_HEX, key, 32);
	format_key_encode(key, text);
	cr_expect_str_eq(text, GOOD);
}

Test(keys, a_pair_belongs_together)
{
	uint8_t secret[32], public[32], again[32];

	cr_assert_eq(format_keypair(secret, public), 0);
	crypto_scalarmult_base(again, secret);
	cr_expect_arr_eq(again, public, 32);
	cr_assert_eq(format_keypair(again, public), 0);
	cr_expect_arr_neq(again, secret, 32);
}
