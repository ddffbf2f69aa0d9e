/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/session_log.h"

static struct session session = {
    .flow = {.family = 4,
        .client_port = 40000,
        .server_port = 22,
        .client_addr = {198, 51, 100, 1},
        .server_addr = {198, 51, 100, 2}},
    .started_at_us = 1700000000000000,
    .session_id = "s-1",
    .rule_name = "prod",
    .target_id = "t-1",
    .user = "alice",
    .login = "root",
    .grant = {.user_id = "u1", .user_email = "alice@example.com", .account_id = "acme"},
};

static json_t *make(const struct session_log_program *program)
{
	char *text = session_log_json(&session, program);
	json_t *object = text == NULL ? NULL : json_loads(text, 0, NULL);

	cr_assert_not_null(object, "not JSON: %s", text);
	cr_assert_null(strchr(text, '\n'), "one line");
	free(text);
	return object;
}

static void expect(const json_t *object, const char *key, const char *value)
{
	const char *got = json_string_value(json_object_get(object, key));

	cr_expect_not_null(got, "%s is missing", key);
	if (got != NULL)
		cr_expect_str_eq(got, value, "%s: expected '%s', got '%s'", key, value, got);
}

Test(session_log, every_field_is_there)
{
	static const char *const keys[] = {"AccountID", "ClientAddress", "Datetime", "Error", "PTY",
	    "Payload", "ProgramFinishDatetime", "ProgramID", "ProgramStartDatetime", "ProgramType",
	    "ServerAddress", "SessionFinishDatetime", "SessionID", "SessionStartDatetime", "TargetID",
	    "UserEmail", "UserID", "Username"};
	json_t *object = make(&(struct session_log_program){.program_id = "p-1",
	    .type = "shell",
	    .destination = "",
	    .originator = "",
	    .started_us = 1700000001250000,
	    .error = "",
	    .close_reason = ""});

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		cr_expect(json_is_string(json_object_get(object, keys[i])), "%s is not a string", keys[i]);
	expect(object, "AccountID", "acme");
	expect(object, "ClientAddress", "198.51.100.1");
	expect(object, "ServerAddress", "198.51.100.2");
	expect(object, "ProgramStartDatetime", "2023-11-14T22:13:21.250Z");
	expect(object, "ProgramFinishDatetime", "");
	expect(object, "SessionFinishDatetime", "");
	expect(object, "SessionStartDatetime", "2023-11-14T22:13:20.000Z");
	expect(object, "Payload", "");
	expect(object, "PTY", "");
	expect(object, "Username", "root");
	expect(object, "user", "alice");
	cr_expect_null(json_object_get(object, "command"));
	cr_expect_null(json_object_get(object, "exit_status"));
	json_decref(object);
}

Test(session_log, ended_program)
{
	struct channel_pty pty = {.term = "vt100", .width = 80, .height = 24};
	struct channel_exit how = {.has_status = true, .status = 3};
	json_t *object = make(&(struct session_log_program){.program_id = "p-1",
	    .type = "exec",
	    .command = "ls \xff \"x\"",
	    .pty = &pty,
	    .destination = "h:1",
	    .originator = "",
	    .recorded = true,
	    .started_us = 1,
	    .finished_us = 1700000002000000,
	    .session_finished_us = 1700000003000000,
	    .bytes = {5, 6},
	    .lost_records = 7,
	    .exit = &how,
	    .error = "bad",
	    .close_reason = "closed"});

	expect(object, "PTY", "vt100 80x24");
	expect(object, "command", "ls ? \"x\"");
	expect(object, "Error", "bad");
	expect(object, "SessionFinishDatetime", "2023-11-14T22:13:23.000Z");
	expect(object, "destination", "h:1");
	cr_expect_eq(json_integer_value(json_object_get(object, "exit_status")), 3);
	cr_expect_eq(json_integer_value(json_object_get(object, "bytes_from_client")), 5);
	cr_expect_eq(json_integer_value(json_object_get(object, "bytes_from_origin")), 6);
	cr_expect_eq(json_integer_value(json_object_get(object, "lost_records")), 7);
	json_decref(object);
}

Test(session_log, text)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"plain", "plain"},
	    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
	    {"\xc0\xaf", "??"},           /* overlong */
	    {"\xed\xa0\x80", "???"},      /* a surrogate */
	    {"\xf4\x90\x80\x80", "????"}, /* beyond Unicode */
	    {"a\xe2\x82", "a??"},         /* cut */
	    {"\x80z", "?z"},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		session_log_text(out, sizeof(out), (const uint8_t *)cases[i].in, strlen(cases[i].in));
		cr_expect_str_eq(
		    out, cases[i].out, "case %zu: expected '%s', got '%s'", i, cases[i].out, out);
	}
	session_log_text(out, 4, (const uint8_t *)"\xe2\x82\xac\xe2\x82\xac", 6);
	cr_expect_str_eq(out, "\xe2\x82\xac", "cut at a whole character");
	session_log_text(out, sizeof(out), (const uint8_t *)"a\0b", 3);
	cr_expect_str_eq(out, "a?b", "a NUL cannot be");
}
