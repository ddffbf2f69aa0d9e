/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor: what is there is read, what is not sets the sticky error and moves nothing. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "config/wire/wire.h"

Test(wire, numbers_are_big_endian)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	struct wire w = wire_over(bytes, sizeof(bytes));
	cr_expect_eq(wire_u8(&w), 0x01);
	cr_expect_eq(wire_u16(&w), 0x0203);
	cr_expect_eq(wire_u32(&w), 0x04050607);
	cr_expect_eq(wire_u64(&w), 0x08090a0b0c0d0e0full);
	cr_expect(wire_done(&w));
	cr_expect_eq(wire_u8(&w), 0);
	cr_expect(w.failed);
	cr_expect_not(wire_done(&w));
}

/* Reads of every kind over a buffer cut at each byte: never a byte more than there is. */
Test(wire, truncation_at_each_byte)
{
	static const uint8_t whole[] = {
	    9, 0, 8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 2, 'h', 'i', 5, 5, 5};
	for (size_t len = 0; len <= sizeof(whole); len++) {
		/* In memory of exactly that size, so that a sanitizer sees a read beyond it. */
		uint8_t *copy = malloc(len > 0 ? len : 1);
		memcpy(copy, whole, len);
		struct wire w = wire_over(copy, len);
		uint8_t a = wire_u8(&w);
		uint16_t b = wire_u16(&w);
		uint32_t c = wire_u32(&w);
		uint64_t d = wire_u64(&w);
		struct wire_span s = wire_string(&w);
		wire_skip(&w, 3);
		cr_expect_eq(wire_done(&w), len == sizeof(whole), "length %zu", len);
		cr_expect_eq(a, len >= 1 ? 9 : 0);
		cr_expect_eq(b, len >= 3 ? 8 : 0);
		cr_expect_eq(c, len >= 7 ? 7u : 0u);
		cr_expect_eq(d, len >= 15 ? 6u : 0u);
		cr_expect_eq(s.len, len >= 21 ? 2u : 0u, "length %zu", len);
		if (len < sizeof(whole)) {
			cr_expect(w.failed, "length %zu", len);
			cr_expect_eq(wire_left(&w), 0);
		}
		free(copy);
	}
}

Test(wire, the_error_is_sticky)
{
	static const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct wire w = wire_over(bytes, 8);
	cr_expect_eq(wire_bytes(&w, 9).len, 0);
	cr_expect(w.failed);
	cr_expect_eq(wire_u8(&w), 0, "a read after the error must give nothing");
	cr_expect_eq(wire_bytes(&w, SIZE_MAX).len, 0);
	cr_expect(w.at == bytes, "the cursor moved");
}

static const struct {
	uint8_t bytes[8];
	size_t len;
	bool good;
	size_t string;
} strings[] = {
    {{0, 0, 0, 0}, 4, true, 0},
    {{0, 0, 0, 1, 'x'}, 5, true, 1},
    {{0, 0, 0, 2, 'x'}, 5, false, 0},
    {{0xff, 0xff, 0xff, 0xff, 'x'}, 5, false, 0},
    {{0x80, 0, 0, 0, 'x'}, 5, false, 0},
    {{0, 0x10, 0, 1, 'x'}, 5, false, 0}, /* WIRE_STRING_MAX + 1 */
    {{0, 0, 0}, 3, false, 0},
};

Test(wire, string_lengths)
{
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		struct wire w = wire_over(strings[i].bytes, strings[i].len);
		struct wire_span s = wire_string(&w);
		cr_expect_eq(!w.failed, strings[i].good, "case %zu", i);
		cr_expect_eq(s.len, strings[i].string, "case %zu", i);
	}
	/* The longest is accepted, one byte more is not, even where the bytes are there. */
	uint8_t *big = calloc(1, WIRE_STRING_MAX + 5);
	struct wire_out out = wire_into(big, 4);
	wire_put_u32(&out, WIRE_STRING_MAX);
	struct wire w = wire_over(big, WIRE_STRING_MAX + 5);
	cr_expect_eq(wire_string(&w).len, WIRE_STRING_MAX);
	out = wire_into(big, 4);
	wire_put_u32(&out, WIRE_STRING_MAX + 1);
	w = wire_over(big, WIRE_STRING_MAX + 5);
	cr_expect_eq(wire_string(&w).len, 0);
	cr_expect(w.failed);
	free(big);
}

Test(wire, nothing_at_all)
{
	struct wire w = wire_over(NULL, 0);
	cr_expect(wire_done(&w));
	cr_expect_eq(wire_left(&w), 0);
	cr_expect_eq(wire_bytes(&w, 0).len, 0);
	cr_expect_not(w.failed);
	struct wire_out o = wire_into(NULL, 0);
	wire_put_bytes(&o, NULL, 0);
	cr_expect_not(o.failed);
	wire_put_u8(&o, 1);
	cr_expect(o.failed);
	cr_expect_eq(wire_written(&o), 0);
}

Test(wire, what_is_written_is_read)
{
	uint8_t bytes[64];
	struct wire_out o = wire_into(bytes, sizeof(bytes));
	wire_put_u8(&o, 0xfe);
	wire_put_u16(&o, 0xfedc);
	wire_put_u32(&o, 0xfedcba98);
	wire_put_u64(&o, 0xfedcba9876543210ull);
	wire_put_cstring(&o, "text");
	wire_put_string(&o, "a\0b", 3);
	cr_assert_not(o.failed);
	struct wire w = wire_over(bytes, wire_written(&o));
	cr_expect_eq(wire_u8(&w), 0xfe);
	cr_expect_eq(wire_u16(&w), 0xfedc);
	cr_expect_eq(wire_u32(&w), 0xfedcba98);
	cr_expect_eq(wire_u64(&w), 0xfedcba9876543210ull);
	cr_expect(wire_span_is(wire_string(&w), "text"));
	struct wire_span nul = wire_string(&w);
	cr_expect_eq(nul.len, 3);
	cr_expect(wire_done(&w));
	char copy[8];
	cr_expect_not(wire_span_copy(nul, copy, sizeof(copy)), "a NUL inside was copied into a C string");
	cr_expect_str_eq(copy, "");
}

Test(wire, a_full_writer_leaves_out_and_says_so)
{
	uint8_t bytes[6];
	for (size_t room = 0; room <= sizeof(bytes); room++) {
		memset(bytes, 0xaa, sizeof(bytes));
		struct wire_out o = wire_into(bytes, room);
		wire_put_u32(&o, 0);
		wire_put_u16(&o, 0);
		cr_expect_eq(o.failed, room < 6, "room %zu", room);
		cr_expect_eq(wire_written(&o), room < 4 ? 0 : room < 6 ? 4 : 6);
		for (size_t i = wire_written(&o); i < sizeof(bytes); i++)
			cr_expect_eq(bytes[i], 0xaa, "room %zu: byte %zu was written", room, i);
		wire_put_u8(&o, 1);
		cr_expect(o.failed);
	}
}

Test(wire, spans)
{
	char copy[5];
	cr_expect(wire_span_is(wire_span_of(""), ""));
	cr_expect(wire_span_is((struct wire_span){NULL, 0}, ""));
	cr_expect_not(wire_span_is(wire_span_of("abc"), "abcd"));
	cr_expect_not(wire_span_is(wire_span_of("abcd"), "abc"));
	cr_expect_not(wire_span_is(wire_span_of("abx"), "abc"));
	cr_expect(wire_span_same(
	    (struct wire_span){(const uint8_t *)"a\0b", 3}, (struct wire_span){(const uint8_t *)"a\0b", 3}));
	cr_expect_not(wire_span_same(
	    (struct wire_span){(const uint8_t *)"a\0b", 3}, (struct wire_span){(const uint8_t *)"a\0c", 3}));
	cr_expect(wire_span_copy(wire_span_of("abcd"), copy, sizeof(copy)));
	cr_expect_str_eq(copy, "abcd");
	cr_expect_not(wire_span_copy(wire_span_of("abcde"), copy, sizeof(copy)));
	cr_expect_str_eq(copy, "");
	cr_expect_not(wire_span_copy(wire_span_of("a"), copy, 0));
	cr_expect(wire_span_copy((struct wire_span){NULL, 0}, copy, 1));
}
