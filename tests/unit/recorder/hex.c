/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/recorder/hex.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

size_t unhex(const char *hex, uint8_t *bytes, size_t size)
{
	size_t len = 0;

	cr_assert_eq(sodium_hex2bin(bytes, size, hex, strlen(hex), NULL, &len, NULL), 0, "bad hex: %s", hex);
	cr_assert_eq(len, strlen(hex) / 2, "hex does not fit: %s", hex);
	return len;
}

void expect_hex(const char *what, const uint8_t *bytes, size_t len, const char *hex)
{
	char got[1024] = "";

	cr_assert_lt(len, sizeof(got) / 2);
	sodium_bin2hex(got, sizeof(got), bytes, len);
	cr_expect_str_eq(got, hex, "%s\n  expected %s\n  got      %s", what, hex, got);
}
