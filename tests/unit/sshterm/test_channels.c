/* SPDX-License-Identifier: Apache-2.0 */
/* The channel table over payloads, as a trace: what it reports and answers, line by line. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "sshterm/channels.h"
#include "tests/unit/sshterm/packet_text.h"

#define C 0u
#define O 1u
#define ALL (~0u)

static struct {
	struct channels table;
	char trace[65536];
	unsigned programs;
} bench;

static void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void trace(const char *format, ...)
{
	size_t len = strlen(bench.trace);
	va_list values;

	va_start(values, format);
	vsnprintf(bench.trace + len, sizeof(bench.trace) - len, format, values);
	va_end(values);
}

/* A program is its number. */
static struct program *number(unsigned n)
{
	return (struct program *)(uintptr_t)n;
}

static unsigned of(struct program *program)
{
	return (unsigned)(uintptr_t)program;
}

static struct program *on_start(void *context, const struct channel_program *facts)
{
	(void)context;
	trace("start %u %s '%.*s'%s%s%s%s%s;", ++bench.programs, facts->type, (int)facts->command.len,
	    facts->command.len > 0 ? (const char *)facts->command.at : "", facts->pty != NULL ? " pty " : "",
	    facts->pty != NULL ? facts->pty->term : "", facts->content ? "" : " counted",
	    facts->destination[0] ? " to " : "", facts->destination);
	return number(bench.programs);
}

static void on_data(
    void *context, struct program *program, channel_leg from, uint32_t code, struct wire_span data)
{
	(void)context;
	trace("data %u %c%u '%.*s';", of(program), from == C ? 'c' : 'o', code, (int)data.len, data.at);
}

static void on_resize(void *context, struct program *program, uint32_t width, uint32_t height)
{
	(void)context;
	trace("resize %u %ux%u;", of(program), width, height);
}

static void on_exit_data(void *context, struct program *program, const struct channel_exit *how)
{
	(void)context;
	trace("exit %u %d %u %s %d %s;", of(program), how->has_status, how->status, how->signal,
	    how->core_dumped, how->error_msg);
}

static void on_no_pty(void *context, struct program *program)
{
	(void)context;
	trace("nopty %u;", of(program));
}

static void on_end(void *context, struct program *program, const char *reason)
{
	(void)context;
	trace("end %u %s;", of(program), reason);
}

static void on_forward(void *context, const char *request, const char *place)
{
	(void)context;
	trace("forward %s %s;", request, place);
}

static void on_refused(void *context, channel_leg from, struct wire_span name, const char *text)
{
	(void)context;
	(void)text;
	trace("refused %c %.*s;", from == C ? 'c' : 'o', (int)name.len, name.at);
}

static void on_answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);
	unsigned type = wire_u8(&in);

	(void)context;
	trace("answer %c %u", to == C ? 'c' : 'o', type);
	if (type != CONN_REQUEST_FAILURE)
		trace(" %u", wire_u32(&in));
	trace(";");
}

/* The box has one key. */
static size_t on_prove(void *context, struct wire_span keys, uint8_t **payload)
{
	struct wire in = wire_over(keys.at, keys.len);
	static uint8_t answers;

	(void)context;
	if (!wire_span_is(wire_string(&in), "key") || !wire_done(&in))
		return 0;
	*payload = malloc(5);
	memcpy(*payload, (uint8_t[]){CONN_REQUEST_SUCCESS, 0, 0, 0, ++answers}, 5);
	return 5;
}

static const struct channel_ops ops = {.program_start = on_start,
    .program_data = on_data,
    .program_resize = on_resize,
    .program_exit = on_exit_data,
    .program_no_pty = on_no_pty,
    .program_end = on_end,
    .forward_requested = on_forward,
    .refused = on_refused,
    .prove_host_keys = on_prove,
    .answer = on_answer};

static void begin(uint32_t permits)
{
	memset(&bench, 0, sizeof(bench));
	channels_init(&bench.table, permits, &ops, NULL);
}

/* Sends a payload; what happened must be `expected` ("pass ", "stay " or "bad " and the trace). */
static void sends(unsigned line, channel_leg from, const char *expected, const char *fields, ...)
{
	uint8_t payload[4096];
	char got[sizeof(bench.trace) + 8];
	va_list values;

	va_start(values, fields);
	size_t len = packet_va(payload, fields, values);
	va_end(values);
	bench.trace[0] = '\0';
	enum channels_verdict verdict = channels_packet(&bench.table, from, payload, len);
	snprintf(got, sizeof(got), "%s %s",
	    verdict == CHANNELS_PASS   ? "pass"
	    : verdict == CHANNELS_STAY ? "stay"
	                               : "bad",
	    bench.trace);
	cr_expect_str_eq(got, expected, "line %u: expected '%s', got '%s'", line, expected, got);
}
#define SENDS(from, expected, ...) sends(__LINE__, (from), (expected), __VA_ARGS__)

static void finish(const char *expected)
{
	bench.trace[0] = '\0';
	channels_end(&bench.table, "over");
	cr_expect_str_eq(bench.trace, expected, "expected '%s', got '%s'", expected, bench.trace);
	cr_expect_eq(bench.table.count, 0, "expected no channels, got %u", bench.table.count);
}

static void open_session(uint32_t client_number, uint32_t origin_number)
{
	SENDS(C, "pass ", "bsuuu", CONN_OPEN, "session", client_number, 100000u, 32768u);
	SENDS(O, "pass ", "buuuu", CONN_OPEN_CONFIRMATION, client_number, origin_number, 0u, 32768u);
}

Test(channels, exec)
{
	begin(ALL);
	open_session(0, 7);
	SENDS(C, "pass ", "bsb", CONN_GLOBAL_REQUEST, "no-more-sessions@openssh.com", 0);
	SENDS(C, "pass ", "busbss", CONN_REQUEST, 7u, "env", 0, "LANG", "C");
	SENDS(C, "pass start 1 exec 'ls';", "busbs", CONN_REQUEST, 7u, "exec", 1, "ls");
	SENDS(O, "pass ", "bu", CONN_SUCCESS, 0u);
	SENDS(O, "pass data 1 o0 'abc';", "bus", CONN_DATA, 0u, "abc");
	SENDS(O, "pass data 1 o1 'err';", "buus", CONN_EXTENDED_DATA, 0u, 1u, "err");
	SENDS(C, "pass data 1 c0 'in';", "bus", CONN_DATA, 7u, "in");
	SENDS(C, "pass ", "bus", CONN_DATA, 7u, ""); /* empty data is nothing to record */
	SENDS(C, "pass ", "buu", CONN_WINDOW_ADJUST, 7u, 1000u);
	SENDS(O, "pass exit 1 1 3  0 ;", "busbu", CONN_REQUEST, 0u, "exit-status", 0, 3u);
	SENDS(O, "pass ", "bu", CONN_EOF, 0u);
	SENDS(O, "pass ", "bu", CONN_CLOSE, 0u);
	SENDS(C, "pass end 1 closed;", "bu", CONN_CLOSE, 7u);
	cr_expect_eq(
	    bench.table.bytes[C], 2, "expected 2, got %llu", (unsigned long long)bench.table.bytes[C]);
	cr_expect_eq(
	    bench.table.bytes[O], 6, "expected 6, got %llu", (unsigned long long)bench.table.bytes[O]);
	finish("");
}

Test(channels, shell_with_a_terminal)
{
	static const uint8_t modes[] = {53, 0, 0, 0, 1, 128, 0, 0, 0x96, 0, 0};

	begin(ALL);
	open_session(3, 4);
	SENDS(C, "pass ", "busbsuuuud", CONN_REQUEST, 4u, "pty-req", 1, "xterm", 80u, 24u, 0u, 0u, modes,
	    sizeof(modes));
	SENDS(C, "pass start 1 shell '' pty xterm;", "busb", CONN_REQUEST, 4u, "shell", 1);
	SENDS(
	    C, "pass resize 1 100x50;", "busbuuuu", CONN_REQUEST, 4u, "window-change", 0, 100u, 50u, 0u, 0u);
	SENDS(O, "pass nopty 1;", "bu", CONN_FAILURE, 3u);
	SENDS(O, "pass ", "bu", CONN_SUCCESS, 3u);
	SENDS(O, "pass exit 1 0 0 TERM 1 gone;", "busbsbss", CONN_REQUEST, 3u, "exit-signal", 0, "TERM", 1,
	    "gone", "");
	finish("end 1 over;");
}

Test(channels, a_program_request_that_fails_ends_its_program)
{
	begin(ALL);
	open_session(0, 0);
	SENDS(C, "pass ", "busbss", CONN_REQUEST, 0u, "env", 1, "A", "b");
	SENDS(C, "pass start 1 subsystem 'nope';", "busbs", CONN_REQUEST, 0u, "subsystem", 1, "nope");
	SENDS(O, "pass ", "bu", CONN_SUCCESS, 0u);
	SENDS(O, "pass end 1 refused_by_origin;", "bu", CONN_FAILURE, 0u);
	SENDS(C, "pass start 2 exec 'x';", "busbs", CONN_REQUEST, 0u, "exec", 0, "x");
	SENDS(C, "pass ", "busbs", CONN_REQUEST, 0u, "exec", 1, "again"); /* the first goes on */
	SENDS(O, "pass ", "bu", CONN_FAILURE, 0u);
	finish("end 2 over;");
}

Test(channels, data_before_any_request_is_recorded)
{
	begin(ALL);
	open_session(0, 0);
	SENDS(C, "pass start 1 session '';data 1 c0 'x';", "bus", CONN_DATA, 0u, "x");
	finish("end 1 over;");
}

Test(channels, forwardings)
{
	begin(ALL);
	SENDS(C, "pass forward tcpip-forward 0.0.0.0:8080;", "bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward", 1,
	    "0.0.0.0", 8080u);
	SENDS(O, "pass ", "bu", CONN_REQUEST_SUCCESS, 8080u);
	SENDS(C, "pass start 1 direct-tcpip '' counted to [::1]:80;", "bsuuususu", CONN_OPEN, "direct-tcpip",
	    1u, 9u, 9u, "::1", 80u, "me", 5u);
	SENDS(O, "pass ", "buuuu", CONN_OPEN_CONFIRMATION, 1u, 1u, 9u, 9u);
	SENDS(O, "pass start 2 forwarded-tcpip '' counted to h:8080;", "bsuuususu", CONN_OPEN,
	    "forwarded-tcpip", 2u, 9u, 9u, "h", 8080u, "x", 5u);
	SENDS(C, "pass end 2 open_failed;", "buuss", CONN_OPEN_FAILURE, 2u, 2u, "no", "");
	SENDS(O, "pass data 1 o0 'y';", "bus", CONN_DATA, 1u, "y");
	SENDS(C, "pass start 3 never-heard@of '';", "bsuuus", CONN_OPEN, "never-heard@of", 3u, 9u, 9u, "z");
	finish("end 1 over;end 3 over;"); /* in the order of the buckets */
}

Test(channels, refusals_wait_their_turn)
{
	begin(0);
	/* Global: relayed, ours, ours (no reply wanted), relayed, ours. */
	SENDS(C, "pass ", "bsb", CONN_GLOBAL_REQUEST, "keepalive@openssh.com", 1);
	SENDS(C, "stay refused c tcpip-forward;", "bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward", 1, "", 1u);
	SENDS(C, "stay refused c tcpip-forward;", "bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward", 0, "", 1u);
	SENDS(C, "pass ", "bsb", CONN_GLOBAL_REQUEST, "keepalive@openssh.com", 1);
	SENDS(C, "stay refused c streamlocal-forward@openssh.com;", "bsbs", CONN_GLOBAL_REQUEST,
	    "streamlocal-forward@openssh.com", 1, "/s");
	SENDS(O, "pass answer c 82;", "b", CONN_REQUEST_FAILURE);
	SENDS(O, "pass answer c 82;", "b", CONN_REQUEST_FAILURE);
	/* Opens need no turn. */
	SENDS(C, "stay refused c direct-tcpip;answer c 92 9;", "bsuuususu", CONN_OPEN, "direct-tcpip", 9u, 1u,
	    1u, "h", 1u, "o", 1u);
	SENDS(O, "stay refused o x11;answer o 92 5;", "bsuuusu", CONN_OPEN, "x11", 5u, 1u, 1u, "h", 1u);
	SENDS(O, "stay refused o auth-agent@openssh.com;answer o 92 6;", "bsuuu", CONN_OPEN,
	    "auth-agent@openssh.com", 6u, 1u, 1u);
	/* Channel requests. */
	open_session(0, 8);
	SENDS(C, "stay refused c pty-req;answer c 100 0;", "busbsuuuus", CONN_REQUEST, 8u, "pty-req", 1, "x",
	    1u, 1u, 0u, 0u, "");
	SENDS(C, "pass ", "busbss", CONN_REQUEST, 8u, "env", 1, "A", "b");
	SENDS(C, "stay refused c x11-req;", "busb", CONN_REQUEST, 8u, "x11-req", 1);
	SENDS(C, "stay refused c auth-agent-req@openssh.com;", "busb", CONN_REQUEST, 8u,
	    "auth-agent-req@openssh.com", 0);
	SENDS(C, "pass start 1 shell '';", "busb", CONN_REQUEST, 8u, "shell", 1);
	SENDS(O, "pass answer c 100 0;", "bu", CONN_SUCCESS, 0u);
	SENDS(O, "pass ", "bu", CONN_SUCCESS, 0u);
	finish("end 1 over;");
}

Test(channels, an_agent_for_the_box_is_granted_in_turn_and_goes_no_further)
{
	begin(0);
	channels_answer_agent_requests(&bench.table);
	open_session(0, 8);
	SENDS(C, "stay answer c 99 0;", "busb", CONN_REQUEST, 8u, "auth-agent-req@openssh.com", 1);
	SENDS(C, "pass ", "busbss", CONN_REQUEST, 8u, "env", 1, "A", "b");
	SENDS(C, "stay ", "busb", CONN_REQUEST, 8u, "auth-agent-req@openssh.com", 1);
	SENDS(C, "stay ", "busb", CONN_REQUEST, 8u, "auth-agent-req", 0);
	SENDS(C, "stay refused c x11-req;", "busb", CONN_REQUEST, 8u, "x11-req", 1);
	SENDS(O, "pass answer c 99 0;answer c 100 0;", "bu", CONN_SUCCESS, 0u);
	SENDS(O, "stay refused o auth-agent@openssh.com;answer o 92 6;", "bsuuu", CONN_OPEN,
	    "auth-agent@openssh.com", 6u, 1u, 1u);
	finish("");
	/* Where programs may have it, they get it. */
	begin(RPC_PERMIT_AGENT_FORWARDING);
	channels_answer_agent_requests(&bench.table);
	open_session(0, 8);
	SENDS(C, "pass ", "busb", CONN_REQUEST, 8u, "auth-agent-req@openssh.com", 1);
	finish("");
}

Test(channels, host_keys_stay_on_their_leg)
{
	begin(ALL);
	SENDS(O, "stay ", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-00@openssh.com", 0, "key");
	SENDS(O, "stay answer o 82;", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-00@openssh.com", 1, "key");
	SENDS(C, "stay answer c 82;", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 1,
	    "another");
	SENDS(C, "stay ", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 0, "key");
	SENDS(O, "stay answer o 82;", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 1, "key");
	finish("");
}

Test(channels, proofs_of_host_keys_wait_for_their_turn)
{
	begin(ALL);
	SENDS(
	    C, "stay answer c 81 1;", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 1, "key");
	SENDS(C, "pass ", "bsb", CONN_GLOBAL_REQUEST, "never-heard@of", 1);
	SENDS(C, "stay ", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 1, "key");
	SENDS(C, "stay ", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 1, "no");
	SENDS(C, "stay ", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 1, "key");
	SENDS(C, "pass ", "bsb", CONN_GLOBAL_REQUEST, "never-heard@of", 1);
	SENDS(C, "stay ", "bsbs", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 1, "key");
	SENDS(O, "pass answer c 81 2;answer c 82;answer c 81 3;", "b", CONN_REQUEST_FAILURE);
	/* What is owed when it ends is freed. */
	finish("");
}

Test(channels, what_nobody_has_heard_of_passes)
{
	begin(0);
	SENDS(C, "pass ", "bs", 83, "x");
	SENDS(O, "pass ", "b", 127);
	SENDS(O, "pass ", "bsb", CONN_GLOBAL_REQUEST, "never-heard@of", 1);
	SENDS(C, "pass ", "b", CONN_REQUEST_SUCCESS);
	SENDS(C, "pass ", "b", CONN_REQUEST_SUCCESS); /* one too many: the peer's business */
	SENDS(C, "pass ", "bus", CONN_DATA, 99u, "to nobody");
	SENDS(C, "pass ", "bu", CONN_CLOSE, 99u);
	SENDS(O, "pass ", "busb", CONN_REQUEST, 99u, "eow@openssh.com", 0);
	finish("");
}

Test(channels, contradictions_end_the_session)
{
	begin(ALL);
	SENDS(C, "pass ", "bsuuu", CONN_OPEN, "session", 1u, 1u, 1u);
	SENDS(C, "bad ", "bsuuu", CONN_OPEN, "session", 1u, 1u, 1u);       /* a number twice */
	SENDS(O, "bad ", "buuuu", CONN_OPEN_CONFIRMATION, 2u, 1u, 1u, 1u); /* never opened */
	SENDS(C, "bad ", "buuuu", CONN_OPEN_CONFIRMATION, 1u, 1u, 1u, 1u); /* by its opener */
	SENDS(O, "bad ", "bus", CONN_DATA, 1u, "early");                   /* before it is confirmed */
	SENDS(O, "bad ", "busb", CONN_REQUEST, 1u, "x11-req", 1);
	SENDS(O, "pass ", "buuuu", CONN_OPEN_CONFIRMATION, 1u, 1u, 1u, 1u);
	SENDS(O, "bad ", "buuuu", CONN_OPEN_CONFIRMATION, 1u, 2u, 1u, 1u); /* twice */
	SENDS(O, "bad ", "buuss", CONN_OPEN_FAILURE, 1u, 1u, "", "");
	SENDS(O, "bad ", "bsuuu", CONN_OPEN, "session", 1u, 1u, 1u); /* its own live number */
	finish("");
}

Test(channels, truncation_at_each_byte)
{
	uint8_t payload[] = {CONN_REQUEST, 0, 0, 0, 0, 0, 0, 0, 7, 'p', 't', 'y', '-', 'r', 'e', 'q', 1, 0, 0,
	    0, 1, 'x', 0, 0, 0, 80, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 53, 0, 0, 0, 1};

	for (size_t len = 1; len < sizeof(payload); len++) {
		begin(ALL);
		open_session(0, 0);
		/* A copy of exactly that length, for the sanitizer. */
		uint8_t *copy = malloc(len);
		memcpy(copy, payload, len);
		enum channels_verdict verdict = channels_packet(&bench.table, C, copy, len);
		cr_expect_eq(
		    verdict, CHANNELS_VIOLATION, "cut at %zu: expected a violation, got %d", len, verdict);
		free(copy);
		channels_end(&bench.table, "over");
	}
	begin(ALL);
	open_session(0, 0);
	cr_expect_eq(channels_packet(&bench.table, C, payload, sizeof(payload)), CHANNELS_PASS);
	channels_end(&bench.table, "over");
}

Test(channels, numbers_are_free_again_after_both_closed)
{
	begin(ALL);
	for (unsigned i = 0; i < 5000; i++) {
		open_session(i % 3, 0xfffffff0u + i % 5);
		SENDS(O, "pass ", "bu", CONN_CLOSE, i % 3);
		SENDS(C, "pass ", "bu", CONN_CLOSE, 0xfffffff0u + i % 5);
	}
	finish("");
}

Test(channels, too_many_are_refused)
{
	begin(ALL);
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		open_session(i, i * 64);
	SENDS(C, "stay answer c 92 1000000;", "bsuuu", CONN_OPEN, "session", 1000000u, 1u, 1u);
	finish("");
}

Test(channels, many_refused_requests_without_an_answer_are_bounded)
{
	uint8_t keepalive[64], forward[64];
	struct wire_out a = wire_into(keepalive, sizeof(keepalive)), b = wire_into(forward, sizeof(forward));
	enum channels_verdict verdict = CHANNELS_PASS;
	unsigned i;

	begin(0);
	wire_put_u8(&a, CONN_GLOBAL_REQUEST);
	wire_put_cstring(&a, "keepalive@openssh.com");
	wire_put_u8(&a, 1);
	wire_put_u8(&b, CONN_GLOBAL_REQUEST);
	wire_put_cstring(&b, "tcpip-forward");
	wire_put_u8(&b, 1);
	for (i = 0; i < 10000 && verdict != CHANNELS_VIOLATION; i++)
		verdict = i % 2 ? channels_packet(&bench.table, C, forward, wire_written(&b))
		                : channels_packet(&bench.table, C, keepalive, wire_written(&a));
	cr_expect_eq(verdict, CHANNELS_VIOLATION);
	cr_expect_eq(i, REPLIES_RUNS_MAX + 1, "expected %u, got %u", REPLIES_RUNS_MAX + 1, i);
	channels_end(&bench.table, "over");
}

Test(channels, an_origin_may_announce_what_was_asked_for_alone)
{
	begin(ALL);
	SENDS(O, "stay refused o forwarded-tcpip;answer o 92 5;", "bsuuususu", CONN_OPEN, "forwarded-tcpip",
	    5u, 1u, 1u, "localhost", 8000u, "o", 1u);
	SENDS(C, "pass forward tcpip-forward localhost:8000;", "bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward",
	    1, "localhost", 8000u);
	SENDS(C, "pass forward tcpip-forward [::1]:0;", "bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward", 1,
	    "::1", 0u);
	SENDS(O, "pass ", "b", CONN_REQUEST_SUCCESS);
	SENDS(O, "pass ", "bu", CONN_REQUEST_SUCCESS, 40001u);
	SENDS(O, "pass start 1 forwarded-tcpip '' counted to localhost:8000;", "bsuuususu", CONN_OPEN,
	    "forwarded-tcpip", 5u, 1u, 1u, "localhost", 8000u, "o", 1u);
	SENDS(O, "pass start 2 forwarded-tcpip '' counted to [::1]:40001;", "bsuuususu", CONN_OPEN,
	    "forwarded-tcpip", 6u, 1u, 1u, "::1", 40001u, "o", 1u);
	SENDS(O, "stay refused o forwarded-tcpip;answer o 92 7;", "bsuuususu", CONN_OPEN, "forwarded-tcpip",
	    7u, 1u, 1u, "::1", 40002u, "o", 1u);
	/* A socket; cancelled without waiting for a reply. */
	SENDS(O, "stay refused o forwarded-streamlocal@openssh.com;answer o 92 7;", "bsuuuss", CONN_OPEN,
	    "forwarded-streamlocal@openssh.com", 7u, 1u, 1u, "/tmp/s", "");
	SENDS(C, "pass forward streamlocal-forward /tmp/s;", "bsbs", CONN_GLOBAL_REQUEST,
	    "streamlocal-forward@openssh.com", 0, "/tmp/s");
	SENDS(O, "pass start 3 forwarded-streamlocal@openssh.com '' counted to /tmp/s;", "bsuuuss", CONN_OPEN,
	    "forwarded-streamlocal@openssh.com", 7u, 1u, 1u, "/tmp/s", "");
	SENDS(C, "pass ", "bsbs", CONN_GLOBAL_REQUEST, "cancel-streamlocal-forward@openssh.com", 0, "/tmp/s");
	SENDS(O, "stay refused o forwarded-streamlocal@openssh.com;answer o 92 8;", "bsuuuss", CONN_OPEN,
	    "forwarded-streamlocal@openssh.com", 8u, 1u, 1u, "/tmp/s", "");
	/* The client's agent and display. */
	SENDS(O, "stay refused o auth-agent@openssh.com;answer o 92 9;", "bsuuu", CONN_OPEN,
	    "auth-agent@openssh.com", 9u, 1u, 1u);
	SENDS(O, "stay refused o x11;answer o 92 9;", "bsuuusu", CONN_OPEN, "x11", 9u, 1u, 1u, "h", 1u);
	open_session(0, 100);
	SENDS(C, "pass ", "busb", CONN_REQUEST, 100u, "auth-agent-req@openssh.com", 0);
	SENDS(C, "pass ", "busbbssu", CONN_REQUEST, 100u, "x11-req", 0, 0, "MIT", "00", 0u);
	SENDS(O, "pass start 4 auth-agent@openssh.com '' counted;", "bsuuu", CONN_OPEN,
	    "auth-agent@openssh.com", 9u, 1u, 1u);
	SENDS(O, "pass start 5 x11 '' counted;", "bsuuusu", CONN_OPEN, "x11", 10u, 1u, 1u, "h", 1u);
	/* Under the 0 that was asked for, as AsyncSSH's server names it, until it is cancelled; a port that
	 * is cut off is no 0. */
	SENDS(O, "pass start 6 forwarded-tcpip '' counted to [::1]:0;", "bsuuususu", CONN_OPEN,
	    "forwarded-tcpip", 11u, 1u, 1u, "::1", 0u, "o", 1u);
	SENDS(O, "stay refused o forwarded-tcpip;answer o 92 12;", "bsuuus", CONN_OPEN, "forwarded-tcpip",
	    12u, 1u, 1u, "::1");
	SENDS(C, "pass ", "bsbsu", CONN_GLOBAL_REQUEST, "cancel-tcpip-forward", 0, "::1", 40001u);
	SENDS(O, "stay refused o forwarded-tcpip;answer o 92 12;", "bsuuususu", CONN_OPEN, "forwarded-tcpip",
	    12u, 1u, 1u, "::1", 0u, "o", 1u);
	channels_end(&bench.table, "over");
}

/* Rules of one entry a kind: hosts "ok.example:1-9" and paths "/ok/s". */
static struct wire_span short_rules(uint8_t room[512])
{
	struct wire_out out = wire_into(room, 512);

	for (unsigned kind = 0; kind < RPC_FORWARD_TUN; kind++)
		wire_put_u8(&out, RPC_FORWARD_LISTED);
	wire_put_u8(&out, RPC_FORWARD_NONE);
	wire_put_u16(&out, RPC_FORWARD_TUN);
	for (uint8_t kind = 0; kind < RPC_FORWARD_TUN; kind++) {
		bool path = kind >= RPC_FORWARD_UNIX_LOCAL;

		rpc_put_forward(&out, &(struct rpc_forward){.kind = kind,
		                          .form = path ? RPC_FORWARD_PATH : RPC_FORWARD_NAME,
		                          .pattern = wire_span_of(path ? "/ok/s" : "ok.example"),
		                          .port_lo = path ? 0 : 1,
		                          .port_hi = path ? 65535 : 9});
	}
	cr_assert(rpc_forwards_valid((struct wire_span){room, wire_written(&out)}));
	return (struct wire_span){room, wire_written(&out)};
}

Test(channels, destinations_by_the_rule)
{
	uint8_t room[512];

	begin(ALL);
	channels_set_forwards(&bench.table, short_rules(room));
	SENDS(C, "pass start 1 direct-tcpip '' counted to ok.example:1;", "bsuuususu", CONN_OPEN,
	    "direct-tcpip", 0u, 1u, 1u, "ok.example", 1u, "o", 1u);
	SENDS(C, "stay refused c direct-tcpip;answer c 92 1;", "bsuuususu", CONN_OPEN, "direct-tcpip", 1u, 1u,
	    1u, "ok.example", 10u, "o", 1u);
	SENDS(C, "stay refused c direct-tcpip;answer c 92 1;", "bsuuus", CONN_OPEN, "direct-tcpip", 1u, 1u,
	    1u, "ok.example");
	SENDS(C, "pass start 2 direct-streamlocal@openssh.com '' counted to /ok/s;", "bsuuussu", CONN_OPEN,
	    "direct-streamlocal@openssh.com", 1u, 1u, 1u, "/ok/s", "", 0u);
	SENDS(C, "stay refused c direct-streamlocal@openssh.com;answer c 92 2;", "bsuuussu", CONN_OPEN,
	    "direct-streamlocal@openssh.com", 2u, 1u, 1u, "/ok/../s", "", 0u);
	SENDS(C, "stay refused c tun@openssh.com;answer c 92 2;", "bsuuuuu", CONN_OPEN, "tun@openssh.com", 2u,
	    1u, 1u, 1u, 0x7fffffffu);
	SENDS(C, "pass forward tcpip-forward ok.example:9;", "bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward", 1,
	    "ok.example", 9u);
	SENDS(C, "stay refused c tcpip-forward;", "bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward", 1, "", 9u);
	SENDS(C, "stay refused c streamlocal-forward@openssh.com;", "bsbs", CONN_GLOBAL_REQUEST,
	    "streamlocal-forward@openssh.com", 1, "/no/s");
	SENDS(O, "pass answer c 82;answer c 82;", "b", CONN_REQUEST_SUCCESS);
	/* What the box refused, the origin may not announce. */
	SENDS(O, "stay refused o forwarded-tcpip;answer o 92 5;", "bsuuususu", CONN_OPEN, "forwarded-tcpip",
	    5u, 1u, 1u, "", 8u, "o", 1u);
	/* No list speaks of what an origin asks of its client. */
	SENDS(O, "stay refused o direct-tcpip;answer o 92 5;", "bsuuususu", CONN_OPEN, "direct-tcpip", 5u, 1u,
	    1u, "ok.example", 1u, "o", 1u);
	SENDS(O, "stay refused o tcpip-forward;answer o 82;", "bsbsu", CONN_GLOBAL_REQUEST, "tcpip-forward",
	    1, "ok.example", 1u);
	SENDS(C, "stay refused c forwarded-tcpip;answer c 92 7;", "bsuuususu", CONN_OPEN, "forwarded-tcpip",
	    7u, 1u, 1u, "ok.example", 1u, "o", 1u);
	channels_end(&bench.table, "over");
}

/* What goes on of a payload is it, with `value` (twice, if so) in place of what stands there. */
static void goes_on_as(unsigned line, channel_leg from, const uint8_t *payload, size_t len, size_t at,
    const uint32_t *values, size_t count)
{
	uint8_t expected[4096];
	struct wire_out out = wire_into(expected + at, 4 * count);

	memcpy(expected, payload, len);
	for (size_t i = 0; i < count; i++)
		wire_put_u32(&out, values[i]);
	enum channels_verdict verdict = channels_packet(&bench.table, from, payload, len);
	cr_assert_eq(verdict, memcmp(expected, payload, len) == 0 ? CHANNELS_PASS : CHANNELS_REWRITTEN,
	    "line %u: %s", line, verdict == CHANNELS_VIOLATION ? bench.table.violation : "the wrong verdict");
	if (verdict != CHANNELS_REWRITTEN)
		return;
	cr_expect_eq(bench.table.rewritten_len, len, "line %u: %zu bytes", line, bench.table.rewritten_len);
	cr_expect(memcmp(bench.table.rewritten, expected, len) == 0, "line %u: it is another message", line);
}

static size_t say(uint8_t out[4096], const char *fields, ...)
{
	va_list values;

	va_start(values, fields);
	size_t len = packet_va(out, fields, values);
	va_end(values);
	return len;
}

Test(channels, nobody_is_told_of_packets_larger_than_the_box_takes)
{
	static const uint32_t announced[][2] = {{0, 0}, {32768, 32768},
	    {CHANNEL_PACKET_MAX, CHANNEL_PACKET_MAX}, {CHANNEL_PACKET_MAX + 1, CHANNEL_PACKET_MAX},
	    {262144, CHANNEL_PACKET_MAX}, {100000000, CHANNEL_PACKET_MAX}, {~0u, CHANNEL_PACKET_MAX}};
	uint8_t payload[4096];
	char rest[3001]; /* of the opening: a path that no system takes */

	memset(rest, 'r', sizeof(rest) - 1);
	rest[sizeof(rest) - 1] = '\0';
	for (unsigned i = 0; i < sizeof(announced) / sizeof(*announced); i++) {
		begin(ALL);
		size_t len = say(payload, "bsuuu", CONN_OPEN, "session", 1u, ~0u, announced[i][0]);
		goes_on_as(__LINE__, C, payload, len, 20, &announced[i][1], 1);
		len = say(payload, "buuuus", CONN_OPEN_CONFIRMATION, 1u, 2u, 9u, announced[i][0], rest);
		goes_on_as(__LINE__, O, payload, len, 13, &announced[i][1], 1);
		len = say(payload, "bsuuusu", CONN_OPEN, "x@of", 3u, ~0u, announced[i][0], rest, 0u);
		goes_on_as(__LINE__, O, payload, len, 17, &announced[i][1], 1);
		len = say(payload, "buuuu", CONN_OPEN_CONFIRMATION, 3u, 4u, 9u, announced[i][0]);
		goes_on_as(__LINE__, C, payload, len, 13, &announced[i][1], 1);
		/* With a notice, part of the window is the box's. */
		channels_set_notice(&bench.table, (struct wire_span){(const uint8_t *)"told", 4});
		uint32_t both[] = {996, announced[i][1]};
		len = say(payload, "bsuuus", CONN_OPEN, "session", 5u, 1000u, announced[i][0], rest);
		goes_on_as(__LINE__, C, payload, len, 16, both, announced[i][0] == 0 ? 0 : 2);
		channels_end(&bench.table, "over");
	}
}

Test(channels, what_a_tunnel_and_a_strange_place_are_called)
{
	begin(ALL);
	SENDS(C, "pass start 1 tun@openssh.com '' counted to tun any, point-to-point;", "bsuuuuu", CONN_OPEN,
	    "tun@openssh.com", 0u, 1u, 1u, 1u, 0x7fffffffu);
	SENDS(C, "pass start 2 tun@openssh.com '' counted to tun 3, ethernet;", "bsuuuuu", CONN_OPEN,
	    "tun@openssh.com", 1u, 1u, 1u, 2u, 3u);
	SENDS(C, "pass start 3 direct-tcpip '' counted to a?b?:1;", "bsuuudusu", CONN_OPEN, "direct-tcpip",
	    2u, 1u, 1u, "a\0b\x1b", (size_t)4, 1u, "o", 1u);
	channels_end(&bench.table, "over");
}
