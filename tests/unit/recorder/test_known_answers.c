/* SPDX-License-Identifier: Apache-2.0 */
/* known-answers/: a recording made by an independent implementation, opened and made again, byte for byte. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/format/format.h"
#include "tests/unit/recorder/hex.h"

static size_t slurp(const char *name, uint8_t *bytes, size_t size)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", KNOWN_ANSWERS, name);
	FILE *file = fopen(path, "rb");
	cr_assert_not_null(file, "cannot open %s", path);
	size_t len = fread(bytes, 1, size, file);
	fclose(file);
	return len;
}

static void read_key(const char *name, uint8_t key[FORMAT_KEY_SIZE])
{
	uint8_t text[100];
	size_t len = slurp(name, text, sizeof(text));

	cr_assert_eq(format_key_decode((const char *)text, len, key), 0);
}

Test(known_answers, the_file_opens)
{
	uint8_t secret[32], file[512], plain[512];
	struct format_context context;
	struct format_header header;
	struct format_record record;
	struct wire_span sealed;
	size_t consumed, size = 0;

	read_key("sshkey", secret);
	size_t len = slurp("two-records.sshlog", file, sizeof(file));
	cr_assert_eq(len, 286);
	cr_assert_eq(format_header_decode(file, len, &header, &consumed), 0);
	cr_expect_eq(consumed, 208);
	cr_expect_eq(header.started_at, 1700000000);
	cr_expect_not(header.has_pty || header.has_exit);
	cr_assert_eq(format_open_setup(&context, secret, header.encapsulated), 0);
	expect_hex(
	    "key", context.key, 32, "730eba206f9e1cde731fb64208c927391370bfa583bcb2044f57ec8b13ddf746");
	expect_hex("base nonce", context.base_nonce, 12, "bdc23d1a0dc413511264f284");
	struct wire in = wire_over(file + consumed, len - consumed);
	while (format_get_block(&in, &sealed)) {
		cr_assert_eq(format_open(&context, sealed.at, sealed.len, plain + size), 0);
		size += sealed.len - FORMAT_TAG_SIZE;
	}
	cr_assert(wire_done(&in));
	in = wire_over(plain, size);
	cr_assert(format_get_record(&in, &record));
	cr_expect(record.source == 0 && record.code == 0 && record.time_us == 1000 &&
	          wire_span_is(record.data, "ls"));
	cr_assert(format_get_record(&in, &record));
	cr_expect(record.source == 1 && record.code == 0 && record.time_us == 2000 &&
	          wire_span_is(record.data, "a\n"));
	cr_expect_not(format_get_record(&in, &record));
	cr_expect(wire_done(&in));
}

/* The blocks of that file, sealed again from its ephemeral secret. */
Test(known_answers, the_file_is_made_again)
{
	uint8_t public[32], ephemeral[32], encapsulated[32], file[512], plain[128], out[160];
	struct format_context context;
	struct format_header header;
	size_t consumed;
	struct wire_span sealed;
	struct wire_out records = wire_into(plain, sizeof(plain));

	read_key("sshkey.pub", public);
	unhex("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600", ephemeral, 32);
	cr_assert_eq(format_seal_setup_with(&context, public, ephemeral, encapsulated), 0);
	size_t len = slurp("two-records.sshlog", file, sizeof(file));
	cr_assert_eq(format_header_decode(file, len, &header, &consumed), 0);
	cr_expect_arr_eq(encapsulated, header.encapsulated, 32);
	struct format_record ls = {0, 0, 1000, wire_span_of("ls")}, a = {1, 0, 2000, wire_span_of("a\n")};
	cr_assert(format_put_record(&records, &ls) && format_put_record(&records, &a));
	struct wire in = wire_over(file + consumed, len - consumed);
	size_t at = 0;
	while (format_get_block(&in, &sealed)) {
		size_t take = sealed.len - FORMAT_TAG_SIZE;
		cr_assert_leq(at + take, wire_written(&records));
		cr_assert_eq(format_seal(&context, plain + at, take, out), 0);
		cr_expect_arr_eq(
		    out, sealed.at, sealed.len, "block of %zu bytes at %zu differs", sealed.len, at);
		at += take;
	}
	cr_expect_eq(at, wire_written(&records));
}
