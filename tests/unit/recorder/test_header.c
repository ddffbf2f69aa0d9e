/* SPDX-License-Identifier: Apache-2.0 */
/* Headers: their size, what never changes, what is cut, and what a liar may write. */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/format/format.h"
#include "tests/unit/recorder/hex.h"

static struct format_header plain_header(void)
{
	struct format_header header = {.started_at = 1700000000};

	memset(header.encapsulated, 0x5a, FORMAT_KEY_SIZE);
	return header;
}

static struct format_header full_header(void)
{
	struct format_header header = plain_header();

	header.data_size = 12345;
	header.has_pty = true;
	strcpy(header.term, "xterm-256color");
	header.width = 132;
	header.height = 43;
	header.mode_count = 3;
	header.modes[0] = (struct format_mode){53, 1};
	header.modes[1] = (struct format_mode){129, 38400};
	header.modes[2] = (struct format_mode){200, UINT32_MAX}; /* no name */
	header.has_exit = true;
	header.exit_timestamp = 1700000100;
	header.has_status = true;
	header.status = 7;
	strcpy(header.error_msg, "worker lost");
	strcpy(header.session_id, "0b0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a11");
	strcpy(header.program_id, "7f0e6a3c-3c3b-4f2e-9d5e-2f5a1c9f0a22");
	strcpy(header.close_reason, "closed");
	header.lost_records = 3;
	return header;
}

/* Fills every string with `byte` and every list to its limit. */
static struct format_header greedy_header(char byte)
{
	struct format_header header = full_header();

	memset(header.term, byte, sizeof(header.term) - 1);
	memset(header.error_msg, byte, sizeof(header.error_msg) - 1);
	memset(header.signal, byte, sizeof(header.signal) - 1);
	memset(header.close_reason, byte, sizeof(header.close_reason) - 1);
	header.mode_count = FORMAT_MODES_MAX;
	for (unsigned i = 0; i < FORMAT_MODES_MAX; i++)
		header.modes[i] = (struct format_mode){129, UINT32_MAX};
	header.wrapped_count = FORMAT_RECIPIENTS_MAX - 1;
	memset(header.wrapped, 0x77, sizeof(header.wrapped));
	return header;
}

Test(header, a_full_one_is_read_back_as_it_was)
{
	struct format_header header = full_header(), got;
	uint8_t file[FORMAT_HEADER_SIZE];
	size_t consumed = 0;

	header.wrapped_count = 2;
	randombytes_buf(header.wrapped, 2 * sizeof(header.wrapped[0]));
	cr_assert_eq(format_header_encode(&header, file), 0);
	cr_assert_eq(format_header_decode(file, sizeof(file), &got, &consumed), 0);
	cr_expect_eq(consumed, FORMAT_HEADER_SIZE);
	cr_expect_arr_eq(got.wrapped, header.wrapped, sizeof(header.wrapped));
	cr_expect_arr_eq(got.encapsulated, header.encapsulated, FORMAT_KEY_SIZE);
	cr_expect(
	    got.started_at == 1700000000 && got.data_size == 12345 && got.width == 132 && got.height == 43);
	cr_expect_str_eq(got.term, "xterm-256color");
	cr_assert_eq(got.mode_count, 3);
	cr_expect(got.modes[1].opcode == 129 && got.modes[1].value == 38400);
	cr_expect(got.modes[2].opcode == 200 && got.modes[2].value == UINT32_MAX);
	cr_expect(got.has_exit && got.has_status && got.status == 7 && got.exit_timestamp == 1700000100);
	cr_expect_str_eq(got.signal, "");
	cr_expect_str_eq(got.error_msg, "worker lost");
	cr_expect_str_eq(got.session_id, header.session_id);
	cr_expect_str_eq(got.program_id, header.program_id);
	cr_expect_str_eq(got.close_reason, "closed");
	cr_expect_eq(got.lost_records, 3);
}

/* The names and types that ssh-log-cli's serde structs ask for. */
Test(header, json_is_what_ssh_log_cli_reads)
{
	struct format_header header = plain_header();
	char *json = format_header_json(&header);

	cr_expect_str_eq(json,
	    "{\"encapsulated_key\":\"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\","
	    "\"started_at\":1700000000,\"data_size\":0,\"pty\":null,\"exit_data\":null}");
	free(json);
	header = full_header();
	json = format_header_json(&header);
	cr_expect_not_null(
	    strstr(json, "\"pty\":{\"term\":\"xterm-256color\",\"width\":132,\"height\":43,"
	                 "\"modes\":[[\"ECHO\",1],[\"TTY_OP_OSPEED\",38400],[\"200\",4294967295]]}"),
	    "%s", json);
	cr_expect_not_null(
	    strstr(json, "\"exit_data\":{\"timestamp\":1700000100,\"status\":7,\"signal\":null,"
	                 "\"core_dumped\":false,\"error_msg\":\"worker lost\"}"),
	    "%s", json);
	free(json);
	memset(header.encapsulated, 0, FORMAT_KEY_SIZE);
	json = format_header_json(&header);
	cr_expect_null(strstr(json, "encapsulated_key"), "%s", json);
	free(json);
}

Test(header, first_base64_characters_never_change)
{
	/* {"encapsulated_key":"<64>","started_at":1700000000, is 110 bytes: 36 whole groups of base64. */
	const size_t same = 4 + 36 * 4;
	struct format_header header = plain_header();
	uint8_t first[FORMAT_HEADER_SIZE], last[FORMAT_HEADER_SIZE];

	cr_assert_eq(format_header_encode(&header, first), 0);
	header = greedy_header('x');
	cr_assert_eq(format_header_encode(&header, last), 0);
	cr_expect_arr_eq(first, last, same);
	cr_expect_arr_neq(first, last, FORMAT_HEADER_SIZE);
}

Test(header, always_fits_and_keeps_what_matters)
{
	/* Control characters grow sixfold in JSON, wrong UTF-8 threefold. */
	static const char bytes[] = {'x', '\x01', '\xff', '"', '\\', '\xc3'};

	for (size_t i = 0; i < sizeof(bytes); i++) {
		struct format_header header = greedy_header(bytes[i]), got;
		uint8_t file[FORMAT_HEADER_SIZE];
		size_t consumed;
		cr_assert_eq(format_header_encode(&header, file), 0, "byte %02x", (uint8_t)bytes[i]);
		cr_assert_eq(format_header_decode(file, sizeof(file), &got, &consumed), 0, "byte %02x",
		    (uint8_t)bytes[i]);
		cr_expect_eq(consumed, FORMAT_HEADER_SIZE);
		cr_expect_eq(got.wrapped_count, FORMAT_RECIPIENTS_MAX - 1);
		cr_expect_arr_eq(got.wrapped, header.wrapped, sizeof(header.wrapped));
		cr_expect_str_eq(got.program_id, header.program_id);
		cr_expect(got.has_exit && got.status == 7);
		cr_expect_lt(got.mode_count, FORMAT_MODES_MAX + 1);
	}
}

Test(header, a_long_error_alone_is_kept_whole)
{
	struct format_header header = full_header(), got;
	uint8_t file[FORMAT_HEADER_SIZE];
	size_t consumed;

	memset(header.error_msg, 'e', sizeof(header.error_msg) - 1);
	cr_assert_eq(format_header_encode(&header, file), 0);
	cr_assert_eq(format_header_decode(file, sizeof(file), &got, &consumed), 0);
	cr_expect_str_eq(got.error_msg, header.error_msg);
	cr_expect_eq(got.mode_count, 3);
}

Test(header, wrong_utf8_is_replaced)
{
#define R "\xef\xbf\xbd"
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"vt100", "vt100"}, {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}, {"a\xff", "a" R}, {"\xc3", R}, {"\xc3(", R "("},
	    {"\xc0\xaf", R R},                      /* overlong */
	    {"\xe0\x80\xaf", R R R},                /* overlong */
	    {"\xed\xa0\x80", R R R},                /* surrogate */
	    {"\xf4\x90\x80\x80", R R R R},          /* above U+10FFFF */
	    {"\xf0\x9f\x98", R R R},                /* cut */
	    {"\xe2\x82\xac\x80", "\xe2\x82\xac" R}, /* lone continuation */
	};
	uint8_t file[FORMAT_HEADER_SIZE];
	size_t consumed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct format_header header = full_header(), got;
		strcpy(header.term, cases[i].in);
		cr_assert_eq(format_header_encode(&header, file), 0);
		cr_assert_eq(format_header_decode(file, sizeof(file), &got, &consumed), 0, "case %zu", i);
		cr_expect_str_eq(
		    got.term, cases[i].out, "case %zu: expected %s, got %s", i, cases[i].out, got.term);
	}
#undef R
}

Test(header, without_a_key_there_is_no_file)
{
	struct format_header header = {.started_at = 1};
	uint8_t file[FORMAT_HEADER_SIZE];

	cr_expect_eq(format_header_encode(&header, file), -EINVAL);
}

Test(header, json_from_others)
{
	static const struct {
		const char *json;
		bool good;
	} cases[] = {
	    {"{\"started_at\":5}", true},
	    {"{\"started_at\":5,\"pty\":null,\"exit_data\":null,\"unknown\":[1,{}]}", true},
	    {"{\"started_at\":5,\"pty\":{\"term\":null,\"width\":1,\"height\":2,\"modes\":[[\"ECHO\",0],[\"?"
	     "\",1],3,[]]}}",
	        true},
	    {"{\"started_at\":5,\"exit_data\":{\"timestamp\":1,\"status\":null,\"signal\":\"KILL\",\"error_"
	     "msg\":null}}",
	        true},
	    {"", false},
	    {"null", false},
	    {"[]", false},
	    {"{}", false},
	    {"{\"started_at\":-1}", false},
	    {"{\"started_at\":1.5}", false},
	    {"{\"started_at\":\"5\"}", false},
	    {"{\"started_at\":99999999999999999999}", false},
	    {"{\"started_at\":5,\"data_size\":\"x\"}", false},
	    {"{\"started_at\":5,\"encapsulated_key\":5}", false},
	    {"{\"started_at\":5,\"encapsulated_key\":\"5a\"}", false},
	    {"{\"started_at\":5,\"encapsulated_key\":"
	     "\"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5azz\"}",
	        false},
	    {"{\"started_at\":5,\"pty\":7}", false},
	    {"{\"started_at\":5,\"pty\":{\"width\":4294967296}}", false},
	    {"{\"started_at\":5,\"pty\":{\"modes\":{}}}", false},
	    {"{\"started_at\":5,\"exit_data\":[]}", false},
	    {"{\"started_at\":5,\"exit_data\":{\"signal\":9}}", false},
	    {"{\"started_at\":5,\"recipients\":[{}]}", false},
	    {"{\"started_at\":5,\"recipients\":[1,2,3,4,5,6,7,8]}", false},
	    {"{\"started_at\":5", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct format_header header;
		int got = format_header_from_json(cases[i].json, strlen(cases[i].json), &header);
		cr_expect_eq(got, cases[i].good ? 0 : -EBADMSG, "%s: got %d", cases[i].json, got);
	}
}

Test(header, long_strings_of_others_are_cut_at_a_character)
{
	struct format_header header;
	char json[1024] = "{\"started_at\":5,\"exit_data\":{\"timestamp\":1,\"signal\":\"";

	for (unsigned i = 0; i < 20; i++)
		strcat(json, "\xc3\xbc");
	strcat(json, "\"}}");
	cr_assert_eq(format_header_from_json(json, strlen(json), &header), 0);
	cr_expect_eq(strlen(header.signal), 30, "got %zu bytes", strlen(header.signal));
}

Test(header, files_of_liars)
{
	struct format_header header = plain_header(), got;
	uint8_t file[FORMAT_HEADER_SIZE];
	size_t consumed;

	cr_assert_eq(format_header_encode(&header, file), 0);
	for (size_t len = 0; len < sizeof(file); len += len < 200 ? 1 : 97)
		cr_expect_eq(format_header_decode(file, len, &got, &consumed), -EBADMSG, "cut to %zu", len);
	file[0] = 0xff;
	cr_expect_eq(format_header_decode(file, sizeof(file), &got, &consumed), -EBADMSG, "4 GB header");
	file[0] = 0;
	file[100] = '!';
	cr_expect_eq(format_header_decode(file, sizeof(file), &got, &consumed), -EBADMSG, "not base64");
	memset(file, 0, sizeof(file));
	cr_expect_eq(format_header_decode(file, sizeof(file), &got, &consumed), -EBADMSG, "zeros");
}

Test(header, modes_have_the_names_of_rfc_4254)
{
	cr_expect_str_eq(format_mode_name(1), "VINTR");
	cr_expect_str_eq(format_mode_name(42), "IUTF8");
	cr_expect_str_eq(format_mode_name(53), "ECHO");
	cr_expect_str_eq(format_mode_name(93), "PARODD");
	cr_expect_null(format_mode_name(0));
	cr_expect_null(format_mode_name(19));
	cr_expect_null(format_mode_name(255));
	for (unsigned opcode = 1; opcode < 256; opcode++) {
		char number[4];
		const char *name = format_mode_name((uint8_t)opcode);
		snprintf(number, sizeof(number), "%u", opcode);
		cr_expect_eq(format_mode_opcode(name != NULL ? name : number), opcode, "opcode %u", opcode);
	}
	cr_expect_eq(format_mode_opcode("256"), 0);
	cr_expect_eq(format_mode_opcode(""), 0);
	cr_expect_eq(format_mode_opcode("1x"), 0);
	cr_expect_eq(format_mode_opcode("echo"), 0);
}
