/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/format/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the well-formed character at `at` (RFC 3629 section 4; a NUL ends every wrong one), 0: none. */
static size_t character(const uint8_t *at)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t more;

	if (at[0] < 0x80)
		return 1;
	if (at[0] >= 0xc2 && at[0] <= 0xdf)
		more = 1;
	else if (at[0] >= 0xe0 && at[0] <= 0xef)
		more = 2;
	else if (at[0] >= 0xf0 && at[0] <= 0xf4)
		more = 3;
	else
		return 0;
	/* Overlong forms, surrogates and what lies above U+10FFFF: told by the second byte. */
	if (at[0] == 0xe0)
		low = 0xa0;
	else if (at[0] == 0xed)
		high = 0x9f;
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i <= more; i++)
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	return more + 1;
}

void utf8_clean(const char *text, char *clean, size_t size)
{
	static const char replacement[] = "\xef\xbf\xbd";
	const uint8_t *at = (const uint8_t *)text;
	size_t used = 0;

	while (*at != 0) {
		size_t len = character(at);
		const void *from = len > 0 ? (const void *)at : replacement;
		size_t put = len > 0 ? len : sizeof(replacement) - 1;
		if (used + put >= size)
			break;
		memcpy(clean + used, from, put);
		used += put;
		at += len > 0 ? len : 1;
	}
	clean[used] = '\0';
}

size_t utf8_cut(const char *text, size_t len)
{
	while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}
