/* SPDX-License-Identifier: Apache-2.0 */
/* What peers say while they authenticate. */
#include <criterion/criterion.h>

#include "sshterm/userauth_words.h"

static uint8_t bytes[1024];

static struct wire_out request(const char *service, const char *method)
{
	struct wire_out out = wire_into(bytes, sizeof(bytes));

	wire_put_cstring(&out, "alice");
	wire_put_cstring(&out, service);
	wire_put_cstring(&out, method);
	return out;
}

static struct wire_span span_of(const struct wire_out *out)
{
	return (struct wire_span){bytes, wire_written(out)};
}

Test(userauth_words, methods)
{
	static const struct {
		const char *service, *method;
		enum userauth_method is;
	} cases[] = {
	    {"ssh-connection", "none", USERAUTH_NONE},
	    {"ssh-connection", "password", USERAUTH_PASSWORD},
	    {"ssh-connection", "keyboard-interactive", USERAUTH_KEYBOARD},
	    {"ssh-connection", "publickey", USERAUTH_PUBLICKEY},
	    {"ssh-connection", "publickey-hostbound-v00@openssh.com", USERAUTH_PUBLICKEY},
	    {"ssh-connection", "gssapi-with-mic", USERAUTH_OTHER},
	    {"ssh-connection", "", USERAUTH_OTHER},
	    {"ssh-userauth", "password", USERAUTH_OTHER},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_out out = request(cases[i].service, cases[i].method);
		struct userauth_words words;
		cr_assert(userauth_words(span_of(&out), &words), "%s", cases[i].method);
		cr_expect_eq(words.method, cases[i].is, "%s", cases[i].method);
		cr_expect(wire_span_is(words.login, "alice"));
		cr_expect_eq(words.key.len, 0, "%s is not signed", cases[i].method);
		cr_expect_not(userauth_words((struct wire_span){bytes, wire_written(&out) - 1}, &words));
	}
}

Test(userauth_words, a_signed_request_names_its_key)
{
	for (uint8_t has_signature = 0; has_signature < 2; has_signature++) {
		struct wire_out out = request("ssh-connection", "publickey");
		struct userauth_words words;
		wire_put_u8(&out, has_signature);
		wire_put_cstring(&out, "ssh-ed25519");
		wire_put_cstring(&out, "the key");
		cr_assert(userauth_words(span_of(&out), &words));
		cr_expect(wire_span_is(words.offered, "the key"), "signed or not, it is offered");
		cr_expect_eq(wire_span_is(words.key, "the key"), has_signature == 1);
		/* Cut short it is still a request, of which nothing is proven. */
		cr_assert(userauth_words((struct wire_span){bytes, wire_written(&out) - 1}, &words));
		cr_expect_eq(words.offered.len, 0);
		cr_expect_eq(words.key.len, 0);
	}
}

static struct wire_span answer(uint32_t count, const char *text, size_t rest)
{
	struct wire_out out = wire_into(bytes, sizeof(bytes));

	wire_put_u32(&out, count);
	wire_put_cstring(&out, text);
	for (size_t i = 0; i < rest; i++)
		wire_put_u8(&out, 0);
	return userauth_only_answer(span_of(&out));
}

Test(userauth_words, one_answer)
{
	cr_expect(wire_span_is(answer(1, "123456", 0), "123456"));
	cr_expect_eq(answer(0, "123456", 0).len, 0, "as many answers as questions");
	cr_expect_eq(answer(2, "123456", 0).len, 0);
	cr_expect_eq(answer(1, "123456", 1).len, 0, "and nothing behind them");
	cr_expect_eq(
	    answer(1, "0123456789012345678901234567890123456789012345678901234567890123", 0).len, 64);
	cr_expect_eq(
	    answer(1, "01234567890123456789012345678901234567890123456789012345678901234", 0).len, 0);
}

Test(userauth_words, failures)
{
	char methods[USERAUTH_LIST_MAX], longest[USERAUTH_LIST_MAX + 1];
	struct wire_out out = wire_into(bytes, sizeof(bytes));
	bool partial;

	wire_put_cstring(&out, "publickey,keyboard-interactive");
	wire_put_u8(&out, 1);
	userauth_read_failure(span_of(&out), methods, &partial);
	cr_expect(partial);
	cr_expect_str_eq(methods, "publickey,keyboard-interactive");
	userauth_read_failure((struct wire_span){bytes, wire_written(&out) - 1}, methods, &partial);
	cr_expect_str_eq(methods, "", "half a message offers nothing");
	cr_expect_not(partial);
	memset(longest, 'a', sizeof(longest));
	out = wire_into(bytes, sizeof(bytes));
	wire_put_string(&out, longest, sizeof(longest));
	wire_put_u8(&out, 0);
	userauth_read_failure(span_of(&out), methods, &partial);
	cr_expect_str_eq(methods, "");
}

Test(userauth_words, lists)
{
	cr_expect(userauth_list_has("password", "password"));
	cr_expect(userauth_list_has("publickey,password", "password"));
	cr_expect(userauth_list_has(",,publickey,,password,", "password"));
	cr_expect_not(userauth_list_has("", "password"));
	cr_expect_not(userauth_list_has("password2,passwor,x-password", "password"));
	cr_expect_not(userauth_list_has("publickey,password", "publickey,password"));
}
