/* SPDX-License-Identifier: Apache-2.0 */
/* Records, events and blocks: layout, limits, and what a liar may write. */
#include <criterion/criterion.h>
#include <string.h>

#include "recorder/format/format.h"
#include "tests/unit/recorder/hex.h"

static bool put(struct wire_out *out, uint8_t source, uint32_t code, uint64_t time, const char *data)
{
	struct format_record record = {source, code, time, wire_span_of(data)};

	return format_put_record(out, &record);
}

Test(records, layout)
{
	uint8_t bytes[64];
	struct wire_out out = wire_into(bytes, sizeof(bytes));

	cr_assert(put(&out, FORMAT_FROM_ORIGIN, FORMAT_STDERR, 0x0102030405060708, "a\n"));
	expect_hex("record", bytes, wire_written(&out), "0000000f01000000010102030405060708610a");
}

Test(records, what_is_no_record_is_not_written)
{
	static const struct {
		uint8_t source;
		uint32_t code;
		const char *data;
		bool good;
	} cases[] = {
	    {0, FORMAT_DATA, "x", true},
	    {1, FORMAT_DATA, "x", true},
	    {1, FORMAT_STDERR, "x", true},
	    {0, FORMAT_RESIZE, "", true},
	    {0, FORMAT_GAP, "", true},
	    {0, FORMAT_DATA, "", false},
	    {1, FORMAT_STDERR, "", false},
	    {2, FORMAT_DATA, "x", false},
	    {0, FORMAT_RESIZE, "x", false},
	    {1, FORMAT_RESIZE, "", false},
	};
	uint8_t bytes[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_out out = wire_into(bytes, sizeof(bytes));
		bool got = put(&out, cases[i].source, cases[i].code, 1, cases[i].data);
		cr_expect_eq(got, cases[i].good, "case %zu: got %d", i, got);
		cr_expect_eq(
		    wire_written(&out) > 0, cases[i].good, "case %zu: wrote %zu", i, wire_written(&out));
	}
}

Test(records, one_that_does_not_fit_leaves_the_block_as_it_was)
{
	uint8_t bytes[FORMAT_RECORD_OVERHEAD + 3 + FORMAT_RECORD_OVERHEAD + 2];
	struct wire_out out = wire_into(bytes, sizeof(bytes));

	cr_assert(put(&out, 0, 0, 1, "abc"));
	cr_expect_not(put(&out, 0, 0, 2, "abc"));
	cr_expect_eq(wire_written(&out), FORMAT_RECORD_OVERHEAD + 3);
	cr_expect_not(out.failed);
	cr_expect(put(&out, 0, 0, 2, "ab"), "one byte less fits");
}

Test(records, read_back)
{
	uint8_t bytes[128];
	struct wire_out out = wire_into(bytes, sizeof(bytes));
	struct format_record record;

	put(&out, 0, 0, 1000, "ls");
	put(&out, 0, format_resize(80, 24), 1500, "");
	put(&out, 1, 1, 2000, "a\n");
	struct wire in = wire_over(bytes, wire_written(&out));
	cr_assert(format_get_record(&in, &record));
	cr_expect(record.source == 0 && record.code == 0 && record.time_us == 1000 &&
	          wire_span_is(record.data, "ls"));
	cr_assert(format_get_record(&in, &record));
	cr_expect(record.code == format_resize(80, 24) && record.data.len == 0);
	cr_assert(format_get_record(&in, &record));
	cr_expect(record.source == 1 && record.code == 1 && record.time_us == 2000 &&
	          wire_span_is(record.data, "a\n"));
	cr_expect_not(format_get_record(&in, &record));
	cr_expect(wire_done(&in));
}

Test(records, malformed)
{
	static const char *const cases[] = {
	    "00",
	    "0000000d",
	    "0000000c000000000000000000000001",
	    "0000000000000000000000000000000000",
	    "0000000e00000000000000000000000001",
	    "ffffffff00000000000000000000000001ff",
	    "0000000e0200000000000000000000000161",
	};
	uint8_t bytes[64];
	struct format_record record;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire in = wire_over(bytes, unhex(cases[i], bytes, sizeof(bytes)));
		cr_expect_not(format_get_record(&in, &record), "%s was taken", cases[i]);
		cr_expect(in.failed, "%s passed for the end", cases[i]);
	}
}

Test(records, events)
{
	uint32_t a, b;

	cr_expect_eq(format_resize(80, 24), 0x81050018u);
	cr_expect_eq(format_resize(70000, 5000), 0x81ffffffu);
	cr_expect_eq(format_gap(7), 0x82000007u);
	cr_expect_eq(format_gap(1ull << 40), 0x82ffffffu);
	cr_expect(format_is_resize(format_resize(132, 43), &a, &b));
	cr_expect(a == 132 && b == 43, "got %u x %u", a, b);
	cr_expect_not(format_is_resize(FORMAT_GAP, &a, &b));
	cr_expect(format_is_gap(format_gap(9), &a) && a == 9);
	cr_expect_not(format_is_gap(FORMAT_RESIZE, &a));
	cr_expect_not(format_is_gap(FORMAT_STDERR, &a));
}

Test(blocks, walk)
{
	static const struct {
		const char *file;
		unsigned whole;
		bool failed;
	} cases[] = {
	    {"", 0, false},
	    {"0000001100000000000000000000000000000000ff", 1, false},
	    {"0000001100000000000000000000000000000000ff0000001100000000000000000000000000000000ff", 2,
	        false},
	    {"0000001100000000000000000000000000000000ff00", 1, true},
	    {"0000001100000000000000000000000000000000ff000000", 1, true},
	    {"0000001100000000000000000000000000000000", 0, true},
	    {"0000001000000000000000000000000000000000ff", 0, true}, /* empty plaintext */
	    {"00000000", 0, true},
	    {"0010000100", 0, true},
	    {"ffffffff00", 0, true},
	};
	uint8_t bytes[128];
	struct wire_span sealed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire in = wire_over(bytes, unhex(cases[i].file, bytes, sizeof(bytes)));
		unsigned whole = 0;
		while (format_get_block(&in, &sealed)) {
			cr_expect_eq(sealed.len, 17);
			whole++;
		}
		cr_expect(whole == cases[i].whole && in.failed == cases[i].failed,
		    "%s: expected %u blocks, failed %d; got %u, %d", cases[i].file, cases[i].whole,
		    cases[i].failed, whole, in.failed);
	}
}
