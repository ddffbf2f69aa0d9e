/* SPDX-License-Identifier: Apache-2.0 */
/* A session from its first question to what is remembered of it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/control/control_steps.h"

TestSuite(whole_session, .init = open_lab, .fini = close_lab, .timeout = 300);

/* Some of those that are control's to write. */
static const char *const forged[] = {"vault.put", "vault.use", "known_hosts.import", "host_cert.create",
    "session.kill", "user.add", "target.forget", "sftp.more", "unheard-of"};

static struct begun let_alice_in(void)
{
	char expected[256];
	struct begun begun = begin(1);
	cr_expect_str_eq(begun.error, "");
	cr_expect_str_eq(begun.rule, "prod-ssh");
	cr_expect_eq(strlen(begun.session_id), 36);
	cr_expect_str_eq(begun.algorithms, "");
	cr_expect_eq(begun.grace, 60);
	cr_expect_eq(begun.attempts, 4);
	struct target target = target_of(1, &origin);
	cr_expect_eq(target.verdict, RPC_TARGET_FIRST_USE);
	cr_expect_eq(target.host_public_len, 51);
	cr_expect(strncmp(target.target_id, "SHA256:", 7) == 0);
	snprintf(expected, sizeof(expected), "HOST %s 0;SESSION %s 1;", target.target_id, begun.session_id);
	cr_expect_str_eq(lab.keeper_heard, expected, "the keeper must hear of the session, and once");
	cr_expect_eq(sign(1).signature.len, 32);
	cr_expect(who_is(1, mint_blob(&alice), "root", 0).accepted);
	cr_expect_not(may(1, "root").allowed, "an offered key proves nothing");
	struct who who = who_is(1, mint_blob(&alice), "root", 1);
	cr_expect(who.accepted);
	cr_expect_str_eq(who.user, "alice");
	struct may answer = may(1, "root");
	cr_assert(answer.allowed, "%s", answer.message);
	cr_expect_eq(answer.permits, RPC_PERMIT_PTY | RPC_PERMIT_AGENT_FORWARDING);
	cr_expect_eq(answer.recording, RPC_RECORDING_BEST_EFFORT);
	cr_expect_eq(answer.recipients, 32);
	cr_expect_eq(strlen(answer.user_id), 36);
	return begun;
}

static void certificate_for_the_origin(const struct begun *begun)
{
	struct mint_key fresh;
	char expected[256];

	mint_key(&fresh);
	uint64_t before = (uint64_t)time(NULL);
	struct rpc_ses_cert_reply reply = cert(1, &fresh);
	uint64_t after = (uint64_t)time(NULL);
	cr_expect_eq(reply.error.len, 0);
	cr_expect(reply.certificate.len > 100);
	struct wire in = wire_over(lab.certify.principals, lab.certify.principals_len);
	cr_expect(
	    wire_span_is(wire_string(&in), "root") && wire_done(&in), "the login alone is the principal");
	cr_expect_str_eq(lab.certify.session_id, begun->session_id);
	cr_expect_str_eq(lab.certify.source_address, "198.51.100.1/32");
	snprintf(expected, sizeof(expected), "portreeve:%s:alice", begun->session_id);
	cr_expect_str_eq(lab.certify.key_id, expected);
	cr_expect_eq(lab.certify.body.ca, RPC_CA_USER);
	cr_expect_eq(lab.certify.body.permits, RPC_PERMIT_PTY | RPC_PERMIT_AGENT_FORWARDING);
	cr_expect(lab.certify.body.valid_after + 60 >= before && lab.certify.body.valid_after + 60 <= after);
	cr_expect_eq(lab.certify.body.valid_before, lab.certify.body.valid_after + 60 + 150);
	cr_expect_eq(memcmp(lab.certify.public_key, fresh.blob, sizeof(fresh.blob)), 0);
}

static void alice_is_listed(void)
{
	json_t *response;
	json_t *list = session_list(true, &response);
	cr_assert_eq(json_array_size(list), 1);
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "user")), "alice");
	cr_expect_str_eq(
	    json_string_value(json_object_get(json_array_get(list, 0), "server")), "198.51.100.2:22");
	json_decref(response);
}

static const char program[] = "0b7cdd0e-1111-4222-8333-123456789abc";

static void one_program(void)
{
	uint8_t encapsulated[32] = {3}, chain[32] = {4};

	LAB_SEND(WORKER, SES_PROGRAM, ses_program, 0, .flow = 1, .program_id = wire_span_of(program),
	    .type = wire_span_of("exec"), .command = wire_span_of("cat /etc/passwd"),
	    .encapsulated_key = {encapsulated, 32}, .started_at = (uint64_t)time(NULL),
	    .destination = wire_span_of("db\033.example:5432"), .originator = wire_span_of("[::1]:40000"));
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("exec"),
	    .detail = wire_span_of("{\"program_id\":\"x\",\"command\":\"cat /etc/passwd\"}"));
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("session.start"),
	    .detail = wire_span_of("{\"user\":\"mallory\"}"));
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
		LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of(forged[i]),
		    .detail = wire_span_of("{\"kind\":\"mallory\"}"));
	LAB_SEND(WORKER, SES_PROGRAM_END, ses_program_end, 0, .flow = 1, .program_id = wire_span_of(program),
	    .chain = {chain, 32}, .blocks = 5, .lost_records = 2, .bytes_from_client = 11,
	    .bytes_from_origin = 12);
	lab_settle(&lab);
	cr_expect(strstr(lab.evidence[0], "portreeve-evidence-v1 begin\n") != NULL &&
	              strstr(lab.evidence[0], "\nencapsulated 0300") != NULL,
	    "got %s", lab.evidence[0]);
	cr_expect(strstr(lab.evidence[1], "portreeve-evidence-v1 end\n") != NULL &&
	              strstr(lab.evidence[1], "\nchain 0400") != NULL &&
	              strstr(lab.evidence[1], "\nblocks 5\nlost 2\n"),
	    "got %s", lab.evidence[1]);
}

static void session_is_remembered(struct begun *begun)
{
	json_t *response;

	begun->session_id[10] = '\0'; /* a prefix will do */
	json_t *shown =
	    lab_result(&lab, "session.show", json_pack("{s:s}", "id", begun->session_id), &response);
	cr_expect(json_is_false(json_object_get(shown, "live")));
	cr_expect_str_eq(json_string_value(json_object_get(shown, "close_reason")), "closed");
	cr_expect_eq(json_integer_value(json_object_get(shown, "bytes_from_origin")), 2000);
	json_t *row = json_array_get(json_object_get(shown, "programs"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(row, "type")), "exec");
	cr_expect_str_eq(json_string_value(json_object_get(row, "command")), "", "log_exec is false");
	cr_expect_str_eq(json_string_value(json_object_get(row, "destination")), "db .example:5432");
	cr_expect_str_eq(json_string_value(json_object_get(row, "originator")), "[::1]:40000");
	cr_expect_eq(json_integer_value(json_object_get(row, "bytes_from_client")), 11);
	cr_expect_eq(json_integer_value(json_object_get(row, "bytes_from_origin")), 12);
	cr_expect_eq(json_integer_value(json_object_get(row, "blocks")), 5);
	cr_expect_eq(json_integer_value(json_object_get(row, "evidence")), 2);
	json_decref(response);
}

static void expect_error_of_program(const struct begun *begun, const char *expected)
{
	json_t *response;

	lab_settle(&lab);
	json_t *shown =
	    lab_result(&lab, "session.show", json_pack("{s:s}", "id", begun->session_id), &response);
	json_t *row = json_array_get(json_object_get(shown, "programs"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(row, "error")), expected);
	cr_expect_eq(json_integer_value(json_object_get(row, "blocks")), 5);
	json_decref(response);
}

/* The recorder's answer may come when the session is over. Who does not have the session may not say it. */
static void recording_turns_out_broken(const struct begun *begun)
{
	LAB_SEND(&lab.workers[1], SES_PROGRAM_END, ses_program_end, 0, .flow = 1,
	    .program_id = wire_span_of(program), .error = wire_span_of("recording_failed"));
	LAB_SEND(WORKER, SES_PROGRAM_END, ses_program_end, 0, .flow = 2, .program_id = wire_span_of(program),
	    .error = wire_span_of("recording_failed"));
	LAB_SEND(WORKER, SES_PROGRAM_END, ses_program_end, 0, .flow = 1, .program_id = wire_span_of(program),
	    .error = wire_span_of("mallory"));
	expect_error_of_program(begun, "");
	LAB_SEND(WORKER, SES_PROGRAM_END, ses_program_end, 0, .flow = 1, .program_id = wire_span_of(program),
	    .error = wire_span_of("recording_failed"));
	expect_error_of_program(begun, "recording_failed");
}

static void audit_tells_it(void)
{
	cr_expect(audited("session.start", "\"user\":\"alice\""));
	cr_expect_not(audited("session.start", "mallory"), "a worker made up an event that is control's");
	cr_expect(audited("session.end", "\"close_reason\":\"closed\""));
	cr_expect(audited("exec", "\"program_id\":\"x\""));
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
		cr_expect_not(audited(forged[i], "mallory"), "%s", forged[i]);
	cr_expect_not(audited("exec", "passwd"), "the command line stands in the log without log_exec");
	cr_expect(audited("host_key.first_use", "198.51.100.2"));
	cr_expect(strstr(lab.keeper_heard, " 0;") != NULL);
}

Test(whole_session, is_decided_certified_and_remembered)
{
	add_user("alice", "root", "sre", &alice);
	struct begun begun = let_alice_in();
	certificate_for_the_origin(&begun);
	alice_is_listed();
	one_program();
	end_session(1, "closed");
	session_is_remembered(&begun);
	recording_turns_out_broken(&begun);
	audit_tells_it();
}
