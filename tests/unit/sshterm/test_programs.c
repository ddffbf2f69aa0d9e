/* SPDX-License-Identifier: Apache-2.0 */
/* What control, the log and a recorder are told of programs; nothing here moves unless the test says so. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sshterm/programs.h"

static struct {
	uint64_t now;
	struct record_channel *channel;
	struct slab_consumer *recorder;
	struct session session;
	struct programs programs;
	char told[65536];
	json_t *open, *close;
	unsigned answers;
} bench;

uint64_t worker_now_us(void)
{
	return bench.now;
}

void session_wake(struct session *session)
{
	(void)session;
}

struct record_channel *worker_record_channel(struct worker *worker)
{
	(void)worker;
	return bench.channel;
}

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
	size_t len = strlen(bench.told);
	va_list values;

	va_start(values, format);
	vsnprintf(bench.told + len, sizeof(bench.told) - len, format, values);
	va_end(values);
}

size_t host_proofs(struct session *session, struct wire_span keys, uint8_t **payload)
{
	(void)session;
	(void)keys;
	(void)payload;
	return 0;
}

void session_event(struct session *session, const char *event, const char *detail_json)
{
	json_t *detail = json_loads(detail_json, 0, NULL);

	(void)session;
	cr_assert_not_null(detail, "not JSON: %s", detail_json);
	const char *action = json_string_value(json_object_get(detail, "action"));
	tell("event %s%s%s %s;", event, action == NULL ? "" : " ", action == NULL ? "" : action,
	    json_string_value(json_object_get(detail, "command"))
	        ?: (json_string_value(json_object_get(detail, "text"))
	                   ?: (json_string_value(json_object_get(detail, "reason")) ?: "-")));
	json_decref(detail);
}

void session_program(struct session *session, const struct rpc_ses_program *program)
{
	(void)session;
	tell("program %.*s '%.*s' key %zu;", (int)program->type.len, program->type.at,
	    (int)program->command.len, program->command.at, program->encapsulated_key.len);
}

void worker_program_broken(struct worker *worker, uint64_t flow, const char *program_id)
{
	(void)worker;
	(void)flow;
	(void)program_id;
}

void session_program_end(struct session *session, const struct rpc_ses_program_end *end)
{
	(void)session;
	tell("end chain %zu blocks %llu '%.*s';", end->chain.len, (unsigned long long)end->blocks,
	    (int)end->error.len, end->error.at);
}

static void on_answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	(void)context;
	(void)payload;
	bench.answers += to == LEG_CLIENT && len > 0;
}

static void begin(uint32_t permits, enum rpc_recording recording, unsigned recipients)
{
	struct slab_producer *end;
	uint8_t secret[32];
	int memfd = slab_create(16, 66 * 1024, 1);

	memset(&bench, 0, sizeof(bench));
	bench.now = 1000000;
	bench.channel = record_channel_create(NULL);
	cr_assert_eq(slab_producer_open(&end, dup(memfd), -1), 0);
	cr_assert_eq(slab_consumer_open(&bench.recorder, memfd, -1), 0);
	record_channel_attach(bench.channel, end);
	bench.session.flow.family = 4;
	bench.session.grant.permits = permits;
	bench.session.grant.recording = recording;
	bench.session.grant.recipient_count = recipients;
	format_keypair(secret, bench.session.grant.recipients[0]);
	programs_init(&bench.programs, &bench.session, on_answer, NULL);
}

static void recorder_takes(void)
{
	struct slab_desc desc;
	const uint8_t *bytes;

	while (slab_get(bench.recorder, &desc, &bytes)) {
		if (desc.type == SLAB_REC_OPEN || desc.type == SLAB_REC_CLOSE) {
			json_t **kept = desc.type == SLAB_REC_OPEN ? &bench.open : &bench.close;

			json_decref(*kept);
			*kept = json_loadb((const char *)bytes, desc.len, 0, NULL);
		}
		slab_return(bench.recorder, desc.slab, 0);
	}
	slab_consumer_publish(bench.recorder);
	while (record_channel_poll(bench.channel, bench.now))
		;
}

static const char *logged(const json_t *message, const char *key)
{
	return json_string_value(json_object_get(json_object_get(message, "log"), key));
}

static void finish(void)
{
	programs_finish(&bench.programs);
	recorder_takes();
	record_channel_poll(bench.channel, bench.now);
	cr_expect(record_channel_settled(bench.channel), "every way out closes all recordings");
	record_channel_destroy(bench.channel);
	slab_consumer_close(bench.recorder);
	json_decref(bench.open);
	json_decref(bench.close);
}

static struct program *start(const char *type, const char *command, bool content)
{
	return programs_ops.program_start(&bench.programs, &(struct channel_program){.type = type,
	                                                       .command = wire_span_of(command),
	                                                       .content = content,
	                                                       .destination = "",
	                                                       .originator = ""});
}

static void expect_told(const char *expected)
{
	cr_expect_str_eq(bench.told, expected, "expected '%s', got '%s'", expected, bench.told);
	bench.told[0] = '\0';
}

Test(programs, transfers_are_told_apart)
{
	static const struct {
		const char *type, *command, *expected;
	} cases[] = {
	    {"subsystem", "sftp", "sftp"},
	    {"subsystem", "netconf", "subsystem"},
	    {"exec", "/usr/lib/openssh/sftp-server -e", "sftp"},
	    {"exec", "sftp-server", "sftp"},
	    {"exec", "scp -t .", "scp upload"},
	    {"exec", "scp -v -r -p -d -t -- /tmp/a b", "scp upload"},
	    {"exec", "/usr/bin/scp  -pf 'a b'", "scp download"},
	    {"exec", "scp -f *.log", "scp download"},
	    /* A copy from the origin to elsewhere is a command like another. */
	    {"exec", "scp -r x other:", "exec"},
	    {"exec", "scp x -t", "exec"},
	    {"exec", "scp", "exec"},
	    {"exec", "", "exec"},
	    {"exec", "scpx -t .", "exec"},
	    {"exec", "echo scp -t", "exec"},
	    /* What hides another program behind a transfer is none. */
	    {"exec", "scp -f x; id", "exec"},
	    {"exec", "scp -f $(id)", "exec"},
	    {"exec", "scp -f `id`", "exec"},
	    {"exec", "scp -f x\nid", "exec"},
	    {"exec", "sftp-server && id", "exec"},
	    {"exec", "sftp-server >x", "exec"},
	    {"exec", "id|sftp-server", "exec"},
	};
	char expected[128];

	begin(0, RPC_RECORDING_NONE, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool shown = strcmp(cases[i].type, "subsystem") == 0;
		(void)start(cases[i].type, cases[i].command, true);
		snprintf(expected, sizeof(expected), "program %s '%s' key 0;event %s %s;", cases[i].type,
		    shown ? cases[i].command : "", cases[i].expected, shown ? cases[i].command : "-");
		expect_told(expected);
	}
}

Test(programs, command_lines_need_leave)
{
	begin(~0u, RPC_RECORDING_BEST_EFFORT, 1);
	(void)start("exec", "ls", true);
	expect_told("program exec 'ls' key 32;event exec ls;");
	bench.session.grant.permits &= ~(uint32_t)RPC_PERMIT_LOG_EXEC;
	struct program *program = start("exec", "secret", true);
	expect_told("program exec '' key 32;event exec -;");
	(void)start("subsystem", "sftp", true);
	expect_told("program subsystem 'sftp' key 32;event sftp sftp;");
	recorder_takes();
	cr_expect_str_eq(logged(bench.open, "command"), "sftp");
	(void)start("exec", "scp -t secret", true);
	expect_told("program exec '' key 32;event scp upload -;");
	programs_ops.program_end(&bench.programs, program, "closed");
	bench.now += PROGRAM_LINGER_US;
	programs_reap(&bench.programs, bench.now);
	recorder_takes();
	cr_expect_null(logged(bench.close, "command"));
	cr_expect_str_eq(logged(bench.close, "Payload"), "");
	while (bench.programs.live != NULL)
		programs_ops.program_end(&bench.programs, bench.programs.live, "closed");
	finish();
}

Test(programs, an_ended_one_lingers_for_the_session)
{
	begin(~0u, RPC_RECORDING_BEST_EFFORT, 1);
	struct program *first = start("shell", "", true), *second = start("shell", "", true);
	recorder_takes();
	programs_ops.program_data(&bench.programs, first, LEG_CLIENT, 0, wire_span_of("abc"));
	programs_ops.program_end(&bench.programs, first, "closed");
	cr_expect_eq(programs_deadline(&bench.programs), bench.now + PROGRAM_LINGER_US);
	programs_reap(&bench.programs, bench.now + PROGRAM_LINGER_US - 1);
	recorder_takes();
	cr_expect_null(bench.close, "not yet");
	bench.now += PROGRAM_LINGER_US;
	programs_reap(&bench.programs, bench.now);
	recorder_takes();
	cr_assert_not_null(bench.close);
	cr_expect_str_eq(logged(bench.close, "SessionFinishDatetime"), "", "the session goes on");
	cr_expect_str_neq(logged(bench.close, "ProgramFinishDatetime"), "");
	cr_expect_eq(programs_deadline(&bench.programs), UINT64_MAX);
	programs_ops.program_end(&bench.programs, second, "closed");
	programs_finish(&bench.programs);
	recorder_takes();
	cr_expect_str_neq(logged(bench.close, "SessionFinishDatetime"), "", "now it is over");
	expect_told("program shell '' key 32;program shell '' key 32;end chain 32 blocks 1 '';"
	            "end chain 32 blocks 0 '';");
	finish();
}

Test(programs, without_recording_there_is_no_key_and_no_chain)
{
	begin(~0u, RPC_RECORDING_NONE, 0);
	struct program *program = start("shell", "", true);
	programs_ops.program_data(&bench.programs, program, LEG_ORIGIN, 0, wire_span_of("content"));
	programs_ops.program_end(&bench.programs, program, "closed");
	programs_finish(&bench.programs);
	expect_told("program shell '' key 0;end chain 0 blocks 0 '';");
	recorder_takes();
	cr_expect(json_is_false(json_object_get(bench.open, "record")));
	cr_expect_eq(
	    json_integer_value(json_object_get(json_object_get(bench.close, "log"), "bytes_from_origin")), 7);
	finish();
}

Test(programs, a_notice_is_told_with_its_text)
{
	begin(~0u, RPC_RECORDING_NONE, 0);
	struct program *program = start("shell", "", true);
	programs_ops.program_noticed(&bench.programs, program, wire_span_of("this is kept\r\n"));
	programs_ops.program_end(&bench.programs, program, "closed");
	programs_finish(&bench.programs);
	expect_told("program shell '' key 0;event notice this is kept\r\n;end chain 0 blocks 0 '';");
	recorder_takes();
	finish();
}

/* What must be recorded and cannot be does not run on, and the session's end has a name. */
Test(programs, no_usable_recipient_ends_the_session)
{
	begin(~0u, RPC_RECORDING_STRICT, 0);
	struct program *program = start("shell", "", true);
	cr_assert_not_null(program);
	cr_expect_str_eq(bench.session.kill_reason, "the session could not be recorded");
	cr_assert_not_null(bench.session.close_reason);
	cr_expect_str_eq(bench.session.close_reason, "recording_failed");
	/* Whatever comes until then is harmless. */
	programs_ops.program_data(&bench.programs, program, LEG_CLIENT, 0, wire_span_of("x"));
	programs_ops.program_resize(&bench.programs, program, 1, 1);
	programs_ops.program_no_pty(&bench.programs, program);
	programs_ops.program_exit(&bench.programs, program, &(struct channel_exit){.has_status = true});
	programs_ops.program_end(&bench.programs, program, "closed");
	programs_finish(&bench.programs);
	expect_told("program shell '' key 0;event resize -;end chain 0 blocks 0 'recording_failed';");
	finish();
}

Test(programs, refusals_do_not_flood_control)
{
	begin(0, RPC_RECORDING_NONE, 0);
	for (unsigned i = 0; i < 10 * PROGRAM_REFUSALS_TOLD; i++)
		programs_ops.refused(&bench.programs, LEG_CLIENT, wire_span_of("\xff name"), "no");
	cr_expect_eq(strlen(bench.told), PROGRAM_REFUSALS_TOLD * strlen("event refused no;"));
	cr_expect_eq(bench.programs.refusals, 10 * PROGRAM_REFUSALS_TOLD);
	programs_ops.forward_requested(&bench.programs, "tcpip-forward", "[::]:1");
	programs_ops.answer(&bench.programs, LEG_CLIENT, (const uint8_t *)"R", 1);
	cr_expect_eq(bench.answers, 1);
	finish();
}

Test(programs, a_refusal_is_told_whatever_bytes_it_names)
{
	begin(0, RPC_RECORDING_NONE, 0);
	programs_ops.refused(
	    &bench.programs, LEG_CLIENT, wire_span_of("direct-tcpip"), "nothing to \xff\xfe:1 here");
	expect_told("event refused nothing to ??:1 here;");
	programs_ops.refused(&bench.programs, LEG_CLIENT, wire_span_of("direct-tcpip"), "nothing to \xc3");
	expect_told("event refused nothing to ?;");
	finish();
}
