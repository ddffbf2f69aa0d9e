/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client speaks by c(…), the origin by o(…), its authentication by answer(…); whatever comes out is
 * written down in `said`, a word a message: "C" to the client, "U" a USERAUTH_REQUEST to the origin, "R"
 * relayed, "L" looked at only; then the message number and what matters of it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "packet_text.h"
#include "sshterm/agent_first.h"
#include "sshterm/agent_hold.h"
#include "sshterm/agent_protocol.h"
#include "sshterm/refusals.h"

#define PEER 3u      /* the client's number of its first channel */
#define AT_CLIENT 9u /* and of the agent's */
#define AT_ORIGIN 70u

static struct agent_first *agent;
static uint64_t now;
static char said[4096], failure[512], failure_reason[64], let_in_with[256];
static uint8_t last_request[8192]; /* to the origin */
static size_t last_request_len;
static uint8_t last_to_agent[8192];
static size_t last_to_agent_len;

static void note(const char *format, ...)
{
	va_list args;
	size_t used = strlen(said);

	va_start(args, format);
	vsnprintf(said + used, sizeof(said) - used, format, args);
	va_end(args);
}

static void describe(char who, const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);
	uint8_t type = wire_u8(&in);

	note("%c%u", who, type);
	if (type == CONN_OPEN || type == CONN_GLOBAL_REQUEST) {
		struct wire_span name = wire_string(&in);
		note("(%.*s)", (int)name.len, (const char *)name.at);
	} else if (type == CONN_REQUEST) {
		uint32_t number = wire_u32(&in);
		struct wire_span name = wire_string(&in);
		note("(%x %.*s%s)", number, (int)name.len, (const char *)name.at, wire_u8(&in) ? "?" : "");
	} else if (type == CONN_DATA) {
		uint32_t number = wire_u32(&in);
		note("(%x %zu)", number, wire_string(&in).len);
	} else if (type >= CONN_OPEN_CONFIRMATION && type <= CONN_FAILURE) {
		note("(%x", wire_u32(&in));
		if (type == CONN_OPEN_CONFIRMATION || type == CONN_WINDOW_ADJUST)
			note(" %x", wire_u32(&in));
		if (type == CONN_OPEN_CONFIRMATION)
			note(" %u", wire_u32(&in));
		note(")");
	}
	note(" ");
}

static void to_client(void *context, const uint8_t *payload, size_t len)
{
	(void)context;
	describe('C', payload, len);
	if (payload[0] == CONN_DATA) {
		struct wire in = wire_over(payload, len);
		wire_skip(&in, 5);
		struct wire_span piece = wire_string(&in);
		memcpy(last_to_agent + last_to_agent_len, piece.at, piece.len);
		last_to_agent_len += piece.len;
	}
}

static void to_origin(void *context, const uint8_t *payload, size_t len, bool proof)
{
	(void)context;
	cr_assert_eq(payload[0], 50);
	note(proof ? "U! " : "U? ");
	memcpy(last_request, payload, len);
	last_request_len = len;
}

static void relay(void *context, const uint8_t *payload, size_t len, uint32_t sequence)
{
	(void)context;
	(void)sequence;
	describe('R', payload, len);
}

static void look(void *context, const uint8_t *payload, size_t len)
{
	(void)context;
	describe('L', payload, len);
}

static void logged_in(void *context, const char *fingerprint, const struct agent_key *key)
{
	(void)context;
	snprintf(let_in_with, sizeof(let_in_with), "%s %s", key->algorithm, fingerprint);
}

static void failed(void *context, const char *reason, const char *text)
{
	(void)context;
	cr_assert_eq(failure[0], '\0', "it fails once");
	snprintf(failure, sizeof(failure), "%s", text);
	snprintf(failure_reason, sizeof(failure_reason), "%s", reason);
}

static const struct agent_first_ops ops = {.to_client = to_client,
    .to_origin = to_origin,
    .relay = relay,
    .look = look,
    .logged_in = logged_in,
    .failed = failed};

static void start_with(uint32_t permits)
{
	static const struct wire_span session_id = {(const uint8_t *)"session id", 10};
	struct agent_login_facts facts = {.host = "192.0.2.1",
	    .wish = {.login = "alice", .now_s = 1000},
	    .session_id = session_id,
	    .permits = permits,
	    .tries = AGENT_TRIES_MAX,
	    .deadline_us = 60000000};

	now = 1000;
	agent = agent_first_create(&facts, &ops, NULL, now);
	cr_assert_not_null(agent);
}

static void start(void)
{
	start_with(~0u);
}

static void stop(void)
{
	agent_first_free(agent);
}

/* -- what the peers say -- */

static bool said_by(unsigned leg, const char *fields, va_list values)
{
	uint8_t payload[4096];
	size_t len = packet_va(payload, fields, values);
	/* Its own memory, so that a sanitizer sees reads beyond. */
	uint8_t *exact = malloc(len);

	memcpy(exact, payload, len);
	bool taken = agent_first_packet(agent, leg, exact, len, 1, now);
	free(exact);
	return taken;
}

static bool c(const char *fields, ...)
{
	va_list values;

	va_start(values, fields);
	bool taken = said_by(0, fields, values);
	va_end(values);
	return taken;
}

static bool o(const char *fields, ...)
{
	va_list values;

	va_start(values, fields);
	bool taken = said_by(1, fields, values);
	va_end(values);
	return taken;
}

#define EXPECT_SAID(expected)                                                                                \
	do {                                                                                                 \
		cr_expect_str_eq(said, expected);                                                            \
		said[0] = '\0';                                                                              \
	} while (0)

static void c_open(const char *type, uint32_t number)
{
	c("bsuuu", CONN_OPEN, type, number, 0x100000u, 0x8000u);
}

static void c_request(const char *name, bool want_reply)
{
	c("busbs", CONN_REQUEST, AGENT_SESSION_NUMBER, name, want_reply, "more");
}

/* A message to the box's agent channel, from the agent. */
static void agent_says(const uint8_t *body, size_t len)
{
	uint8_t whole[4096];
	struct wire_out out = wire_into(whole, sizeof(whole));

	wire_put_string(&out, body, len);
	c("bud", CONN_DATA, AGENT_CHANNEL_NUMBER, whole, wire_written(&out));
}

static void agent_lists(unsigned count)
{
	uint8_t body[4096];
	struct wire_out out = wire_into(body, sizeof(body));

	wire_put_u8(&out, AGENT_IDENTITIES_ANSWER);
	wire_put_u32(&out, count);
	for (unsigned i = 0; i < count; i++) {
		char seed[2] = {(char)('a' + i)};

		wire_put_u32(&out, 4 + 11 + 4 + 1);
		wire_put_cstring(&out, "ssh-ed25519");
		wire_put_cstring(&out, seed);
		wire_put_cstring(&out, "comment");
	}
	agent_says(body, wire_written(&out));
}

static void agent_signs(void)
{
	uint8_t signature[64], body[128];
	struct wire_out made = wire_into(signature, sizeof(signature));
	struct wire_out out = wire_into(body, sizeof(body));

	wire_put_cstring(&made, "ssh-ed25519");
	wire_put_cstring(&made, "signature");
	wire_put_u8(&out, AGENT_SIGN_RESPONSE);
	wire_put_string(&out, signature, wire_written(&made));
	agent_says(body, wire_written(&out));
}

static void agent_refuses(void)
{
	agent_says((const uint8_t[]){AGENT_FAILURE}, 1);
}

static void answer(enum agent_origin_answer what, const char *methods)
{
	agent_first_answered(agent, what, wire_span_of(methods));
}

static void to_list(unsigned keys)
{
	c_open("session", PEER);
	c_request("auth-agent-req@openssh.com", false);
	c("buuuu", CONN_OPEN_CONFIRMATION, AGENT_CHANNEL_NUMBER, AT_CLIENT, 0x10000u, 0x8000u);
	agent_lists(keys);
}

static void to_login(void)
{
	to_list(1);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	answer(AGENT_ORIGIN_LET_IN, "");
}

static void origin_confirms(uint32_t window, uint32_t packet)
{
	cr_expect(o("buuuu", CONN_OPEN_CONFIRMATION, PEER, AT_ORIGIN, window, packet));
}

TestSuite(agent_first, .init = start, .fini = stop);

/* -- the way that it mostly goes -- */

Test(agent_first, a_session_with_an_agent_is_held_and_replayed)
{
	c_open("session", PEER);
	EXPECT_SAID("C91(3 7ffffff0 0) ");
	c_request("auth-agent-req@openssh.com", false);
	EXPECT_SAID("C90(auth-agent@openssh.com) ");
	c_request("pty-req", true);
	c_request("shell", true);
	c("buuuu", CONN_OPEN_CONFIRMATION, AGENT_CHANNEL_NUMBER, AT_CLIENT, 0x10000u, 0x8000u);
	EXPECT_SAID("C94(9 5) ");
	agent_lists(1);
	EXPECT_SAID("C93(9 2c) U? ");
	last_to_agent_len = 0;
	answer(AGENT_ORIGIN_WOULD_DO, "");
	cr_expect_str_eq(strncmp(said, "C94(9 ", 6) == 0 ? "asked" : said, "asked");
	said[0] = '\0';
	agent_signs();
	EXPECT_SAID("C93(9 25) U! ");
	cr_expect(agent_first_waits(agent));
	answer(AGENT_ORIGIN_LET_IN, "");
	EXPECT_SAID("C97(9) R90(session) ");
	cr_expect_not(agent_first_waits(agent));
	cr_expect(strncmp(let_in_with, "ssh-ed25519 SHA256:", 19) == 0);
	c_request("window-change", false);
	EXPECT_SAID("");
	origin_confirms(2000, 0x8000);
	EXPECT_SAID("L91(3 46 2000) C93(3 7d0) R98(46 auth-agent-req@openssh.com) R98(46 pty-req?) "
	            "R98(46 shell?) R98(46 window-change) ");
	c("bud", CONN_DATA, AGENT_SESSION_NUMBER, "data", (size_t)4);
	EXPECT_SAID("R94(46 4) ");
	cr_expect_not(o("bu", CONN_SUCCESS, PEER), "the origin's go on as they are");
	cr_expect_str_empty(failure);
}

Test(agent_first, what_is_signed_is_the_request_with_the_session_identifier)
{
	uint8_t data[512], expected[512];

	to_list(1);
	last_to_agent_len = 0;
	answer(AGENT_ORIGIN_WOULD_DO, "");
	struct wire in = wire_over(last_to_agent, last_to_agent_len);
	wire_skip(&in, 4);
	cr_assert_eq(wire_u8(&in), AGENT_SIGN_REQUEST);
	(void)wire_string(&in);
	struct wire_span asked = wire_string(&in);
	cr_assert_eq(wire_u32(&in), 0, "no flags for this type");
	cr_assert(wire_done(&in));
	cr_assert_lt(asked.len, sizeof(data));
	memcpy(data, asked.at, asked.len);
	size_t data_len = asked.len;
	agent_signs();
	/* What the origin gets is the same behind the session identifier, and then the signature. */
	struct wire_out out = wire_into(expected, sizeof(expected));
	wire_put_cstring(&out, "session id");
	wire_put_bytes(&out, last_request, data_len - 14);
	cr_assert_eq(wire_written(&out), data_len);
	cr_expect(memcmp(data, expected, data_len) == 0);
	struct wire rest = wire_over(last_request + data_len - 14, last_request_len - (data_len - 14));
	struct wire_span signature = wire_string(&rest);
	cr_expect(wire_done(&rest));
	cr_expect_eq(signature.len, 4u + 11 + 4 + 9);
	cr_expect(
	    memcmp(last_request + 1, "\0\0\0\5alice\0\0\0\16ssh-connection\0\0\0\11publickey\1", 42) == 0);
}

/* -- clients without an agent -- */

Test(agent_first, a_program_without_agent_forwarding_is_told)
{
	c_open("session", PEER);
	c_request("pty-req", true);
	c_request("shell", true);
	EXPECT_SAID("C91(3 7ffffff0 0) ");
	cr_expect_not_null(strstr(failure, "connect with ssh -A"));
	cr_expect_not_null(strstr(failure, "192.0.2.1"));
	cr_expect_str_eq(failure_reason, "no_agent");
	c_request("shell", true);
	cr_expect_str_empty(strstr(said, "C90") ? "an agent was asked unasked" : "");
}

Test(agent_first, no_session_at_all_is_told_after_a_time)
{
	cr_expect_eq(agent_first_deadline(agent), now + AGENT_WAIT_US);
	now += AGENT_WAIT_US - 1;
	agent_first_turn(agent, now);
	cr_expect_str_empty(failure);
	now++;
	agent_first_turn(agent, now);
	cr_expect_not_null(strstr(failure, "ssh -N and -W open none"));
	EXPECT_SAID("");
	cr_expect_eq(agent_first_deadline(agent), UINT64_MAX, "no timer goes on");
}

Test(agent_first, another_channel_waits_and_is_refused_after_a_time)
{
	c_open("direct-tcpip", 5);
	EXPECT_SAID("");
	now += AGENT_WAIT_US;
	agent_first_turn(agent, now);
	EXPECT_SAID("C92(5) ");
	cr_expect_not_null(strstr(failure, "ssh -N and -W open none"));
}

Test(agent_first, an_agent_that_the_client_does_not_show)
{
	c_open("session", PEER);
	c_request("auth-agent-req@openssh.com", false);
	said[0] = '\0';
	for (unsigned i = 1; i < AGENT_OPENS_MAX; i++) {
		c("buuss", CONN_OPEN_FAILURE, AGENT_CHANNEL_NUMBER, 1u, "no", "");
		cr_expect(strncmp(said, "C90(", 4) == 0, "not asked again: %s", said);
		said[0] = '\0';
	}
	cr_expect_str_eq(failure, "");
	c("buuss", CONN_OPEN_FAILURE, AGENT_CHANNEL_NUMBER, 1u, "no", "");
	EXPECT_SAID("");
	cr_expect_str_eq(failure_reason, "agent_failed");
}

Test(agent_first, a_client_that_is_not_ready_for_its_agents_channel)
{
	c_open("session", PEER);
	c_request("auth-agent-req@openssh.com", false);
	c("buuss", CONN_OPEN_FAILURE, AGENT_CHANNEL_NUMBER, 1u, "no", "");
	said[0] = '\0';
	c("buuuu", CONN_OPEN_CONFIRMATION, AGENT_CHANNEL_NUMBER, AT_CLIENT, 0x100000u, 0x8000u);
	cr_expect(strncmp(said, "C94(", 4) == 0, "the agent is not asked for its keys: %s", said);
	cr_expect_str_eq(failure, "");
}

/* -- the order of things -- */

Test(agent_first, global_requests_and_channels_go_on_in_order)
{
	c("bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward", 1, "", 80u);
	to_list(1);
	c_open("direct-tcpip", 5);
	c_open("session", 6);
	c_request("exec", true);
	c("bsbsu", CONN_GLOBAL_REQUEST, "cancel-tcpip-forward", 1, "", 80u);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	said[0] = '\0';
	answer(AGENT_ORIGIN_LET_IN, "");
	EXPECT_SAID("C97(9) R80(tcpip-forward) R90(session) ");
	cr_expect_not(o("b", CONN_REQUEST_SUCCESS));
	origin_confirms(0, 0x8000);
	EXPECT_SAID("L91(3 46 0) R98(46 auth-agent-req@openssh.com) R90(direct-tcpip) R90(session) "
	            "R98(46 exec?) R80(cancel-tcpip-forward) ");
	cr_expect_not(c("bsuuu", CONN_OPEN, "session", 7u, 1u, 1u), "then everything passes");
}

Test(agent_first, a_keepalive_is_answered_unless_something_waits_before_it)
{
	c("bsb", CONN_GLOBAL_REQUEST, "keepalive@openssh.com", 1);
	EXPECT_SAID("C82 ");
	c("bsb", CONN_GLOBAL_REQUEST, "no-more-sessions@openssh.com", 0);
	c("bsb", CONN_GLOBAL_REQUEST, "keepalive@openssh.com", 1);
	EXPECT_SAID("C82 ");
	c("bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward", 1, "", 80u);
	c("bsb", CONN_GLOBAL_REQUEST, "keepalive@openssh.com", 1);
	EXPECT_SAID("C2 ");
	to_login();
	said[0] = '\0';
	origin_confirms(1, 0x8000);
	EXPECT_SAID("L91(3 46 1) C93(3 1) R98(46 auth-agent-req@openssh.com) ");
}

Test(agent_first, a_client_that_awaits_its_terminal_gets_it)
{
	c_open("session", PEER);
	c_request("env", true);
	c_request("pty-req", true);
	said[0] = '\0';
	cr_expect_eq(agent_first_deadline(agent), now + AGENT_PATIENCE_US);
	now += AGENT_PATIENCE_US;
	agent_first_turn(agent, now);
	EXPECT_SAID("C99(3) C99(3) ");
	agent_first_turn(agent, now);
	EXPECT_SAID("");
	cr_expect_gt(agent_first_deadline(agent), now);
	c_request("auth-agent-req@openssh.com", true);
	c_request("shell", true);
	c("buuuu", CONN_OPEN_CONFIRMATION, AGENT_CHANNEL_NUMBER, AT_CLIENT, 0x10000u, 0x8000u);
	agent_lists(1);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	answer(AGENT_ORIGIN_LET_IN, "");
	said[0] = '\0';
	origin_confirms(0, 0x8000);
	EXPECT_SAID(
	    "L91(3 46 0) R98(46 env) R98(46 pty-req) R98(46 auth-agent-req@openssh.com?) R98(46 shell?) ");
}

Test(agent_first, an_answer_that_only_the_origin_knows_is_not_given)
{
	c_open("session", PEER);
	c_request("strange@example.com", true);
	c_request("pty-req", true);
	said[0] = '\0';
	cr_expect_eq(agent_first_deadline(agent), now + AGENT_WAIT_US);
	now += AGENT_PATIENCE_US;
	agent_first_turn(agent, now);
	EXPECT_SAID("");
}

Test(agent_first, a_refused_terminal_is_refused_early)
{
	stop();
	start_with(RPC_PERMIT_AGENT_FORWARDING);
	c_open("session", PEER);
	c_request("pty-req", true);
	said[0] = '\0';
	now += AGENT_PATIENCE_US;
	agent_first_turn(agent, now);
	EXPECT_SAID("C100(3) ");
}

/* -- channels that go away -- */

Test(agent_first, a_first_channel_that_is_closed_leaves_nothing)
{
	c_open("session", PEER);
	c_open("session", 4);
	c_request("env", false);
	c("bu", CONN_EOF, AGENT_SESSION_NUMBER);
	said[0] = '\0';
	c("bu", CONN_CLOSE, AGENT_SESSION_NUMBER);
	EXPECT_SAID("C97(3) C91(4 7ffffff0 0) ");
	c_request("auth-agent-req@openssh.com", false);
	c_request("exec", false);
	c("buuuu", CONN_OPEN_CONFIRMATION, AGENT_CHANNEL_NUMBER, AT_CLIENT, 0x10000u, 0x8000u);
	agent_lists(1);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	said[0] = '\0';
	answer(AGENT_ORIGIN_LET_IN, "");
	EXPECT_SAID("C97(9) R90(session) ");
	cr_expect(o("buuuu", CONN_OPEN_CONFIRMATION, 4u, AT_ORIGIN, 5u, 0x8000u));
	EXPECT_SAID("L91(4 46 5) C93(4 5) R98(46 auth-agent-req@openssh.com) R98(46 exec) ");
}

Test(agent_first, closed_while_the_agent_is_asked)
{
	to_list(1);
	c_request("exec", true);
	said[0] = '\0';
	c("bu", CONN_CLOSE, AGENT_SESSION_NUMBER);
	EXPECT_SAID("C97(3) ");
	c("bud", CONN_DATA, AGENT_SESSION_NUMBER, "late", (size_t)4);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	said[0] = '\0';
	answer(AGENT_ORIGIN_LET_IN, "");
	EXPECT_SAID("C97(9) ");
	cr_expect_not(c("bsuuu", CONN_OPEN, "session", PEER, 1u, 1u));
}

Test(agent_first, the_number_is_nobodys_once_the_client_has_closed)
{
	to_login();
	origin_confirms(0, 0x8000);
	said[0] = '\0';
	cr_expect_not(o("bu", CONN_CLOSE, PEER));
	cr_expect(c("bud", CONN_DATA, AGENT_SESSION_NUMBER, "late", (size_t)4));
	cr_expect(c("bu", CONN_CLOSE, AGENT_SESSION_NUMBER));
	EXPECT_SAID("R94(46 4) R97(46) ");
	cr_expect(c("bu", CONN_CLOSE, AGENT_SESSION_NUMBER));
	EXPECT_SAID("");
	cr_expect_not(o("bu", CONN_DATA, PEER), "the client's number may be another channel's now");
}

Test(agent_first, an_origin_that_refuses_the_session)
{
	to_list(1);
	c_request("exec", true);
	c_open("direct-tcpip", 5);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	answer(AGENT_ORIGIN_LET_IN, "");
	said[0] = '\0';
	cr_expect(o("buuss", CONN_OPEN_FAILURE, PEER, 1u, "no sessions\033[1m", ""));
	EXPECT_SAID("L92(3) C95(3) C97(3) R90(direct-tcpip) ");
	c("bu", CONN_CLOSE, AGENT_SESSION_NUMBER);
	EXPECT_SAID("");
	cr_expect_str_empty(failure);
}

Test(agent_first, a_number_of_the_boxs_cannot_be_the_origins)
{
	to_login();
	origin_confirms(0, 0x8000);
	o("bsuuu", CONN_OPEN, "forwarded-tcpip", AGENT_SESSION_NUMBER, 1u, 1u);
	cr_expect_str_eq(failure_reason, "protocol_error");
}

/* -- packets that the origin does not take -- */

Test(agent_first, data_are_cut_to_what_the_origin_takes)
{
	static char much[2500];

	to_login();
	origin_confirms(100000, 1000);
	said[0] = '\0';
	c("bud", CONN_DATA, AGENT_SESSION_NUMBER, much, sizeof(much));
	EXPECT_SAID("R94(46 1000) R94(46 1000) R94(46 500) ");
	c("bud", CONN_DATA, AGENT_SESSION_NUMBER, much, (size_t)1000);
	EXPECT_SAID("R94(46 1000) ");
	c("buud", CONN_EXTENDED_DATA, AGENT_SESSION_NUMBER, 1u, much, (size_t)1001);
	EXPECT_SAID("R95(46) R95(46) ");
}

/* -- keys -- */

Test(agent_first, refused_keys_are_counted)
{
	to_list(10);
	for (unsigned i = 0; i < AGENT_TRIES_MAX; i++) {
		cr_assert_str_empty(failure);
		answer(AGENT_ORIGIN_REFUSED, "publickey");
	}
	cr_expect_not_null(strstr(failure, "any of 5 keys"), "%s", failure);
	cr_expect_not_null(strstr(failure, "the agent has 10"), "%s", failure);
	cr_expect_str_eq(failure_reason, "origin_failed");
}

Test(agent_first, a_key_that_the_agent_does_not_sign_with_is_passed_over)
{
	to_list(2);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	said[0] = '\0';
	agent_refuses();
	EXPECT_SAID("C93(9 5) U? ");
	answer(AGENT_ORIGIN_REFUSED, "publickey");
	cr_expect_not_null(strstr(failure, "did not sign"), "%s", failure);
}

Test(agent_first, an_empty_agent)
{
	to_list(0);
	cr_expect_not_null(strstr(failure, "ssh-add -h"), "%s", failure);
}

Test(agent_first, an_origin_that_wants_more_than_keys)
{
	to_list(2);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	answer(AGENT_ORIGIN_PARTIAL, "keyboard-interactive,pass\033word");
	cr_expect_not_null(strstr(failure, "wants keyboard-interactive,pass?word as well"), "%s", failure);
}

Test(agent_first, an_origin_that_wants_two_keys)
{
	to_list(2);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	said[0] = '\0';
	answer(AGENT_ORIGIN_PARTIAL, "publickey");
	EXPECT_SAID("U? ");
	answer(AGENT_ORIGIN_WOULD_DO, "");
	agent_signs();
	answer(AGENT_ORIGIN_LET_IN, "");
	cr_expect_str_empty(failure);
	cr_expect_not(agent_first_waits(agent));
}

/* -- agents and origins that misbehave -- */

Test(agent_first, an_agent_that_goes_away)
{
	to_list(1);
	c("bu", CONN_CLOSE, AGENT_CHANNEL_NUMBER);
	cr_expect_not_null(strstr(failure, "went away"));
}

Test(agent_first, an_agent_that_has_no_more_to_say)
{
	to_list(1);
	c("bu", CONN_EOF, AGENT_CHANNEL_NUMBER);
	cr_expect_not_null(strstr(failure, "went away"));
}

Test(agent_first, an_agent_that_is_slow_has_the_time_of_a_login)
{
	to_list(1);
	answer(AGENT_ORIGIN_WOULD_DO, "");
	now = 59999999;
	agent_first_turn(agent, now);
	cr_expect_str_empty(failure);
	now++;
	agent_first_turn(agent, now);
	cr_expect_not_null(strstr(failure, "did not sign"), "%s", failure);
	cr_expect_str_eq(failure_reason, "login_timeout");
}

Test(agent_first, an_agent_that_speaks_unasked)
{
	to_list(1);
	agent_refuses();
	cr_expect_not_null(strstr(failure, "not one"), "%s", failure);
}

Test(agent_first, an_origin_that_goes)
{
	to_list(1);
	agent_first_origin_gone(agent, "Too many authentication failures\n");
	cr_expect_not_null(strstr(failure, "192.0.2.1 ended the connection during the login: Too many"));
	agent_first_origin_gone(agent, "again");
}

Test(agent_first, a_client_that_sends_too_much)
{
	static char much[4000];

	c_open("session", PEER);
	for (unsigned i = 0; i < AGENT_HELD_MAX / sizeof(much) && failure[0] == '\0'; i++)
		c("bud", CONN_DATA, AGENT_SESSION_NUMBER, much, sizeof(much));
	cr_expect_str_eq(failure_reason, "protocol_error");
}

Test(agent_first, small_packets_count_too)
{
	c_open("session", PEER);
	for (unsigned i = 0; i < AGENT_HELD_MAX / AGENT_HELD_COST && failure[0] == '\0'; i++)
		c("b", 127);
	cr_expect_str_eq(failure_reason, "protocol_error");
}

/* -- the agent's window -- */

Test(agent_first, a_request_goes_as_the_clients_window_allows)
{
	c_open("session", PEER);
	c_request("auth-agent-req", true);
	said[0] = '\0';
	c("buuuu", CONN_OPEN_CONFIRMATION, AGENT_CHANNEL_NUMBER, AT_CLIENT, 3u, 2u);
	EXPECT_SAID("C94(9 2) C94(9 1) ");
	c("buu", CONN_WINDOW_ADJUST, AGENT_CHANNEL_NUMBER, 100u);
	EXPECT_SAID("C94(9 2) ");
	c("busb", CONN_REQUEST, AGENT_CHANNEL_NUMBER, "strange", 1);
	EXPECT_SAID("C100(9) ");
	c("buu", CONN_WINDOW_ADJUST, AGENT_CHANNEL_NUMBER, 0xffffffffu);
	agent_lists(1);
	EXPECT_SAID("C93(9 2c) U? ");
}
