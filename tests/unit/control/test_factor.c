/* SPDX-License-Identifier: Apache-2.0 */
/* A second factor by rule: nobody gets on without it, whatever tells who they are. */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/control/control_steps.h"

#define ANY_SSH 3 /* the rules, by their places */
#define TOTP_SSH 5

TestSuite(factor, .init = open_lab, .fini = close_lab, .timeout = 300);

struct factor {
	uint8_t accepted;
	char message[256];
};

static struct factor code(uint64_t flow, const char *typed)
{
	struct rpc_message message;
	struct rpc_ses_factor_reply reply;
	struct factor factor;

	LAB_SEND(WORKER, SES_FACTOR, ses_factor, 12, .flow = flow, .code = wire_span_of(typed));
	lab_await(&lab, WORKER, RPC_SES_FACTOR_REPLY, &message);
	cr_assert(rpc_get_ses_factor_reply(message.body, &reply));
	factor.accepted = reply.accepted;
	copy(reply.message, factor.message, sizeof(factor.message));
	return factor;
}

static void begin_totp(uint64_t flow)
{
	cr_assert_str_eq(begin_rule(flow, TOTP_SSH, 1, 2202).error, "");
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
}

Test(factor, nobody_gets_on_without_it)
{
	add_user("alice", "root", "sre", &alice);
	begin_totp(1);
	cr_expect_not(code(1, "123456").accepted, "nobody has said who it is");
	cr_expect(strstr(lab.keeper_heard, "CODE") == NULL, "the keeper was asked for nobody");
	struct who who = who_is(1, mint_blob(&alice), "root", 1);
	cr_assert(who.accepted);
	cr_expect_eq(who.second_factor, RPC_FACTOR_TOTP);
	struct may without = may(1, "root");
	cr_expect(!without.allowed && strstr(without.message, "wants a second factor") != NULL, "got %s",
	    without.message);
	static const struct {
		enum rpc_totp verdict;
		const char *message;
	} wrong[] = {{RPC_TOTP_WRONG, "portreeve: that code is not right"},
	    {RPC_TOTP_USED, "portreeve: that code was used already"},
	    {RPC_TOTP_LOCKED, "portreeve: too many wrong codes; try again in 2 minutes"},
	    {RPC_TOTP_NONE, "portreeve: a second factor is needed here, and you have none"},
	    {RPC_TOTP_FAILED, "portreeve: your second factor cannot be checked now"}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		lab.totp_verdict = (uint8_t)wrong[i].verdict;
		struct factor factor = code(1, "123456");
		cr_expect(!factor.accepted &&
		              strncmp(factor.message, wrong[i].message, strlen(wrong[i].message)) == 0,
		    "%zu: got %s", i, factor.message);
		cr_expect_not(may(1, "root").allowed);
	}
	cr_expect(audited("auth", "\"method\":\"totp\""));
	lab.totp_verdict = RPC_TOTP_GOOD;
	cr_expect(code(1, "123456").accepted);
	cr_expect(may(1, "root").allowed);
	cr_expect_eq(begin(2).identities, RPC_IDENTITY_CERTIFICATE | RPC_IDENTITY_KEY);
	target_of(2, &origin);
	cr_expect_eq(who_is(2, mint_blob(&alice), "root", 1).second_factor, RPC_FACTOR_NONE);
	cr_expect_not(code(2, "123456").accepted, "a rule that wants none takes none");
}

/* People type for a while, and control may be replaced meanwhile. */
static void restart_within(uint64_t flow, const char *id, uint16_t port)
{
	lab_kill(&lab);
	lab_start(&lab);
	LAB_SEND(WORKER, SES_RESUME, ses_resume, 0, .flow = flow, .session_id = wire_span_of(id),
	    .client_addr = CLIENT, .client_port = 40000, .server_addr = SERVER, .server_port = port,
	    .generation = 1);
}

Test(factor, what_was_typed_counts_after_a_restart)
{
	add_user("alice", "root", "sre", &alice);
	struct begun begun = begin_rule(1, TOTP_SSH, 1, 2202);
	target_of(1, &origin);
	sign(1);
	cr_assert(who_is(1, mint_blob(&alice), "root", 1).accepted);
	restart_within(1, begun.session_id, 2202);
	cr_expect_not(may(1, "root").allowed, "no code was shown yet");
	cr_expect(code(1, "123456").accepted);
	restart_within(1, begun.session_id, 2202);
	cr_expect(may(1, "root").allowed);
}

/* The same of a password that the origin asks for: who it lets in is let in here. */
Test(factor, an_origin_that_is_asked_is_believed_after_a_restart)
{
	add_user("alice", "alice", "sre", &alice);
	struct begun begun = begin_rule(1, ANY_SSH, 1, 2200);
	target_of(1, &origin);
	cr_assert(who_by(1, RPC_WHO_ORIGIN, "alice").accepted);
	cr_assert(may(1, "alice").allowed);
	restart_within(1, begun.session_id, 2200);
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"password\"}"));
	lab_settle(&lab);
	cr_expect(audited("session.start", "\"user\":\"alice\""));
}

/* But not where the policy of its time is not known any more: nobody could tell what they may. */
Test(factor, an_origin_is_not_believed_without_the_rule)
{
	sqlite3 *db;
	char path[128];

	add_user("alice", "alice", "sre", &alice);
	struct begun begun = begin_rule(1, ANY_SSH, 1, 2200);
	target_of(1, &origin);
	cr_assert(who_by(1, RPC_WHO_ORIGIN, "alice").accepted);
	cr_assert(may(1, "alice").allowed);
	lab_kill(&lab);
	snprintf(path, sizeof(path), "%s/state/control.db", lab.dir);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "UPDATE sessions SET generation = 999", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	restart_within(1, begun.session_id, 2200);
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"password\"}"));
	lab_settle(&lab);
	cr_expect_not(audited("session.start", "\"user\":\"alice\""));
}

/* Without a code: whether one can be right is told before it is typed; to who has shown nothing, nothing. */
Test(factor, who_has_none_is_told_at_once)
{
	add_user("alice", "root", "sre", &alice);
	begin_totp(1);
	cr_expect_str_eq(code(1, "").message, "portreeve: not authenticated");
	cr_assert(who_is(1, mint_blob(&alice), "root", 0).accepted);
	lab.totp_verdict = RPC_TOTP_NONE;
	cr_expect_str_eq(code(1, "").message, "portreeve: not authenticated", "a key that is only offered");
	cr_assert(who_is(1, mint_blob(&alice), "root", 1).accepted);
	struct factor factor = code(1, "");
	cr_expect(!factor.accepted && strstr(factor.message, "you have none yet") != NULL, "got %s",
	    factor.message);
	cr_expect(audited("auth", "you have none yet"));
	begin_totp(2);
	cr_assert(who_is(2, mint_blob(&alice), "root", 1).accepted);
	lab.totp_verdict = RPC_TOTP_WRONG;
	factor = code(2, "");
	cr_expect(!factor.accepted && factor.message[0] == '\0', "got %s", factor.message);
	cr_expect_not(audited("auth", "that code is not right"));
	cr_expect_not(may(2, "root").allowed, "there is one, and it was not shown");
	/* It is no code, whatever a keeper should say. */
	begin_totp(3);
	cr_assert(who_is(3, mint_blob(&alice), "root", 1).accepted);
	lab.totp_verdict = RPC_TOTP_GOOD;
	cr_expect_not(code(3, "").accepted);
	cr_expect_not(may(3, "root").allowed);
	/* Nor does it cost one, and the keeper is asked so once. */
	lab.keeper_heard[0] = '\0';
	for (int i = 0; i < 20; i++)
		cr_expect_not(code(3, "").accepted);
	cr_expect(strstr(lab.keeper_heard, "CODE") == NULL, "got %s", lab.keeper_heard);
	cr_expect(code(3, "123456").accepted);
}

/* What one user showed is not another's. */
Test(factor, it_goes_with_the_user)
{
	add_user("alice", "root", "sre", &alice);
	add_user("bob", "root", "sre", &other_origin);
	begin_totp(1);
	cr_assert(who_is(1, mint_blob(&alice), "root", 1).accepted && code(1, "123456").accepted);
	cr_assert(who_is(1, mint_blob(&other_origin), "root", 1).accepted);
	cr_expect_not(may(1, "root").allowed, "bob with alice's code");
}

Test(factor, of_every_identity)
{
	json_t *response;

	add_user("alice", "root", "sre", &alice);
	lab_result(&lab, "identity.bind", json_pack("{s:s, s:s}", "address", "198.51.100.1", "user", "alice"),
	    &response);
	json_decref(response);
	begin_totp(1);
	cr_expect_eq(who_by(1, RPC_WHO_ADDRESS, "root").second_factor, RPC_FACTOR_TOTP);
	cr_expect_not(may(1, "root").allowed);
	begin_totp(2);
	cr_expect_eq(who_by(2, RPC_WHO_ORIGIN, "alice").second_factor, RPC_FACTOR_TOTP);
	cr_expect(may(2, "alice").allowed, "theirs comes once the origin has judged them");
	cr_expect_not(audited("session.start", "alice"));
}

static void let_in_by_origin(uint64_t flow)
{
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = flow, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"password\"}"));
}

static unsigned granted_sessions(void)
{
	json_t *response;
	json_t *result = lab_result(&lab, "sessions.ls", json_object(), &response);
	unsigned count = 0;
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(result, "sessions"), i, row)
	{
		count += json_is_true(json_object_get(row, "granted"));
	}
	json_decref(response);
	return count;
}

/* Whom the origin has let in begins a session with the right code, and not before. */
Test(factor, a_session_begins_with_the_code)
{
	struct rpc_message message;
	struct rpc_ses_kill kill;

	add_user("alice", "alice", "sre", &alice);
	begin_totp(1);
	cr_assert(who_by(1, RPC_WHO_ORIGIN, "alice").accepted);
	cr_expect_str_eq(code(1, "123456").message, "portreeve: not authenticated", "the origin comes first");
	cr_assert(may(1, "alice").allowed);
	cr_expect_str_eq(code(1, "123456").message, "portreeve: not authenticated", "and is to let them in");
	let_in_by_origin(1);
	lab.totp_verdict = RPC_TOTP_WRONG;
	cr_expect_str_eq(code(1, "000000").message, "portreeve: that code is not right");
	let_in_by_origin(1); /* saying it twice gives nothing more */
	LAB_SEND(WORKER, SES_END, ses_end, 0, .flow = 1, .reason = wire_span_of("gave_up"));
	lab_settle(&lab);
	cr_expect(audited("auth", "\"method\":\"password\""));
	cr_expect(audited("client.disconnect", "gave_up"));
	cr_expect_not(audited("session.start", "alice"), "nobody was let in");
	cr_expect_not(audited("session.end", "alice"));
	cr_expect_eq(granted_sessions(), 0);

	lab.totp_verdict = RPC_TOTP_GOOD;
	for (uint64_t flow = 2; flow <= 3; flow++) {
		begin_totp(flow);
		cr_assert(who_by(flow, RPC_WHO_ORIGIN, "alice").accepted);
		cr_assert(may(flow, "alice").allowed, "what was refused counts for no limit");
		let_in_by_origin(flow);
	}
	lab_settle(&lab);
	cr_expect_not(audited("session.start", "alice"));
	cr_expect(code(2, "123456").accepted);
	cr_expect(audited("session.start", "\"user\":\"alice\""));
	cr_expect_eq(granted_sessions(), 1);
	cr_expect_not(code(2, "123456").accepted, "once is enough");
	LAB_SEND(WORKER, SES_FACTOR, ses_factor, 12, .flow = 3, .code = wire_span_of("123456"));
	lab_await(&lab, WORKER, RPC_SES_KILL, &message);
	cr_assert(rpc_get_ses_kill(message.body, &kill));
	cr_expect(kill.flow == 3 && wire_span_is(kill.reason, "portreeve: too many sessions at once"),
	    "the rule has one at once");
}

/* Logs alice in by the origin up to what the worker tells first, and has control started anew. */
static void restart_at_the_origin(uint32_t rule, uint16_t port)
{
	add_user("alice", "alice", "sre", &alice);
	struct begun begun = begin_rule(1, rule, 1, port);
	target_of(1, &origin);
	cr_assert(who_by(1, RPC_WHO_ORIGIN, "alice").accepted && may(1, "alice").allowed);
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("origin.auth"),
	    .detail = wire_span_of("{\"success\":true,\"partial\":false,\"method\":\"password\"}"));
	lab_settle_on_disk(&lab);
	lab_kill(&lab);
	lab_start(&lab);
	LAB_SEND(WORKER, SES_RESUME, ses_resume, 0, .flow = 1, .session_id = wire_span_of(begun.session_id),
	    .client_addr = CLIENT, .client_port = 40000, .server_addr = SERVER, .server_port = port,
	    .rule = rule, .generation = 1, .user = wire_span_of("alice"), .login = wire_span_of("alice"));
}

/* Somebody looks for their telephone meanwhile. */
Test(factor, the_origins_word_outlives_control)
{
	restart_at_the_origin(TOTP_SSH, 2202);
	lab.totp_verdict = RPC_TOTP_GOOD;
	struct factor factor = code(1, "123456");
	cr_expect(factor.accepted, "got %s", factor.message);
	cr_expect_eq(granted_sessions(), 1);
}

/* As soon as it was heard. */
Test(factor, the_origins_word_does_not_wait_for_the_disk)
{
	add_user("alice", "alice", "sre", &alice);
	struct begun begun = begin_rule(1, TOTP_SSH, 1, 2202);
	target_of(1, &origin);
	cr_assert(who_by(1, RPC_WHO_ORIGIN, "alice").accepted && may(1, "alice").allowed);
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("origin.auth"),
	    .detail = wire_span_of("{\"success\":true,\"partial\":false,\"method\":\"password\"}"));
	let_in_by_origin(1);
	lab_settle(&lab);
	restart_within(1, begun.session_id, 2202);
	lab.totp_verdict = RPC_TOTP_GOOD;
	cr_expect(code(1, "123456").accepted);
}

/* But what a worker says before the rule was asked is no word of an origin that somebody may go to. */
Test(factor, nothing_is_the_origins_word_before_may)
{
	add_user("alice", "alice", "sre", &alice);
	struct begun begun = begin_rule(1, TOTP_SSH, 1, 2202);
	target_of(1, &origin);
	cr_assert(who_by(1, RPC_WHO_ORIGIN, "alice").accepted);
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("origin.auth"),
	    .detail = wire_span_of("{\"success\":true,\"partial\":false,\"method\":\"password\"}"));
	lab_settle_on_disk(&lab);
	restart_within(1, begun.session_id, 2202);
	lab.totp_verdict = RPC_TOTP_GOOD;
	cr_expect_not(code(1, "123456").accepted);
	cr_expect_eq(granted_sessions(), 0);
}

/* Where the rule wants no code. */
Test(factor, the_workers_word_may_come_after_a_restart)
{
	restart_at_the_origin(3, 2200);
	cr_expect_eq(granted_sessions(), 0);
	let_in_by_origin(1);
	lab_settle(&lab);
	cr_expect_eq(granted_sessions(), 1);
}

Test(factor, one_connection_does_not_guess_on)
{
	add_user("alice", "root", "sre", &alice);
	begin_totp(1);
	cr_assert(who_is(1, mint_blob(&alice), "root", 1).accepted);
	lab.totp_verdict = RPC_TOTP_WRONG;
	for (int i = 0; i < 6; i++)
		cr_expect_str_eq(code(1, "000000").message, "portreeve: that code is not right");
	lab.totp_verdict = RPC_TOTP_GOOD;
	cr_expect_str_eq(code(1, "123456").message, "portreeve: too many codes; please connect again");
	cr_expect_not(may(1, "root").allowed);
}

Test(factor, at_the_socket)
{
	json_t *response;
	char *message;
	const char *box_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

	add_user("alice", "root", "sre", &alice);
	json_t *result = lab_result(
	    &lab, "user.totp", json_pack("{s:s, s:s}", "name", "alice", "box_key", box_key), &response);
	cr_expect_str_eq(
	    json_string_value(json_object_get(result, "sealed")), box_key, "it is handed on as it came");
	json_decref(response);
	cr_expect(audited("user.totp", "\"name\":\"alice\""));
	lab.totp_error = "there is one already";
	cr_expect_eq(lab_error(&lab, "user.totp",
	                 json_pack("{s:s, s:s}", "name", "alice", "box_key", box_key), &message),
	    5);
	free(message);
	lab.totp_error = "there is none";
	cr_expect_eq(lab_error(&lab, "user.totp_remove", json_pack("{s:s}", "name", "alice"), NULL), 3);
	cr_expect_eq(
	    lab_error(&lab, "user.totp", json_pack("{s:s, s:s}", "name", "nobody", "box_key", box_key), NULL),
	    3);
	cr_expect_eq(
	    lab_error(&lab, "user.totp", json_pack("{s:s, s:s}", "name", "alice", "box_key", "AAAA"), NULL),
	    2);
	lab.totp_error = "";
	/* It goes with the user. */
	lab.keeper_heard[0] = '\0';
	lab_result(&lab, "user.rm", json_pack("{s:s}", "name", "alice"), &response);
	json_decref(response);
	lab_settle(&lab);
	cr_expect(strstr(lab.keeper_heard, "FORGET") != NULL, "got %s", lab.keeper_heard);
}
