/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that are bound to users, from the socket to the session; and who is known by the origin alone. */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/identity/bindings.h"
#include "tests/unit/control/control_steps.h"

/* Rules, by their places: */
#define ANY_SSH 3     /* takes addresses and the origin's word */
#define ADDRESS_SSH 6 /* addresses alone */
#define SHARED_SSH 7  /* keys and addresses */

TestSuite(bindings, .init = open_lab, .fini = close_lab, .timeout = 300);

static int bind_to(const char *address, const char *user, json_t **response)
{
	*response = lab_call(&lab, "identity.bind",
	    json_pack("{s:s, s:s, s:i}", "address", address, "user", user, "ttl_s", 600));
	return (int)json_integer_value(json_object_get(json_object_get(*response, "error"), "code"));
}

static void must_bind(const char *address, const char *user)
{
	json_t *response;

	cr_assert_eq(bind_to(address, user, &response), 0);
	json_decref(response);
}

static void begin_any(uint64_t flow)
{
	struct begun begun = begin_rule(flow, ANY_SSH, 1, 2200);

	cr_assert_str_eq(begun.error, "");
	cr_expect_eq(begun.identities, RPC_IDENTITY_ADDRESS | RPC_IDENTITY_ORIGIN);
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
}

/* As time does it. */
static void let_expire(void)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/state/control.db", lab.dir);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	cr_assert_eq(
	    sqlite3_exec(db, "UPDATE bindings SET expires_at = unixepoch()", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

Test(bindings, a_bound_address_needs_no_key)
{
	add_user("alice", "root", "sre", &alice);
	begin_any(1);
	struct who who = who_by(1, RPC_WHO_ADDRESS, "root");
	cr_expect_not(who.accepted);
	cr_expect_str_eq(who.message, "", "a stranger learns nothing where there are other ways");
	must_bind("198.51.100.1", "alice");
	who = who_by(1, RPC_WHO_ADDRESS, "root");
	cr_expect(who.accepted);
	cr_expect_str_eq(who.user, "alice");
	cr_expect_not(may(1, "alice").allowed, "WHO was asked for another login");
	struct may answer = may(1, "root");
	cr_assert(answer.allowed, "%s", answer.message);
	cr_expect(answer.origin_auth_count == 2 && answer.origin_auth[0] == RPC_ORIGIN_CERTIFICATE);
	struct mint_key fresh;
	mint_key(&fresh);
	cr_expect_eq(cert(1, &fresh).error.len, 0);
	cr_expect(audited("auth", "\"method\":\"address\""));
	cr_expect(audited("session.start", "\"user\":\"alice\""));
	cr_expect(audited("identity.bind", "\"expires_at\""));
}

static void begin_at(uint64_t flow, uint32_t rule, uint16_t port)
{
	cr_assert_str_eq(begin_rule(flow, rule, 1, port).error, "");
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
}

/* The login is for the rule and the user's enrolment to allow, as ever. */
Test(bindings, where_the_address_is_the_only_way_its_user_is_told)
{
	add_user("alice", "root", "sre", &alice);
	must_bind("198.51.100.1", "alice");
	begin_at(1, ADDRESS_SSH, 2203);
	cr_expect(who_by(1, RPC_WHO_ADDRESS, "postgres").accepted);
	cr_expect(strstr(may(1, "postgres").message, "login 'postgres' is not allowed to you") != NULL);
}

/* A terminal server, NAT: others are there, too. */
Test(bindings, an_address_keeps_nobody_from_the_other_ways)
{
	add_user("alice", "root", "sre", &alice);
	add_user("bob", "bob", "sre", &other_origin);
	must_bind("198.51.100.1", "alice");
	begin_at(1, SHARED_SSH, 2204);
	struct who who = who_by(1, RPC_WHO_ADDRESS, "bob");
	cr_expect_not(who.accepted);
	cr_expect_str_eq(who.message, "", "whose address it is learns nobody");
	cr_expect_str_eq(who.user, "");
	cr_expect_not(may(1, "bob").allowed);
	cr_expect(audited("auth", "\"bound_to\":\"alice\",\"error\":\"portreeve: login 'bob' is not"));
	cr_expect(who_is(1, mint_blob(&other_origin), "bob", 1).accepted);
	cr_expect(may(1, "bob").allowed);
	cr_expect(audited("session.start", "\"user\":\"bob\""));
	/* Where the login fits, the address comes first. */
	begin_at(2, SHARED_SSH, 2204);
	cr_expect_str_eq(who_by(2, RPC_WHO_ADDRESS, "root").user, "alice");
	cr_expect(may(2, "root").allowed);
	/* The rule would let him be root, but he is not enrolled for that. */
	must_bind("198.51.100.1", "bob");
	begin_at(3, SHARED_SSH, 2204);
	cr_expect_not(who_by(3, RPC_WHO_ADDRESS, "root").accepted);
	cr_expect(who_is(3, mint_blob(&alice), "root", 1).accepted);
}

Test(bindings, nor_from_the_origins_word)
{
	add_user("alice", "root", "sre", &alice);
	add_user("bob", "bob", "sre", &other_origin);
	add_user("olga", "root", "ops", &origin);
	must_bind("198.51.100.1", "alice");
	begin_any(1);
	struct who who = who_by(1, RPC_WHO_ADDRESS, "bob");
	cr_expect(!who.accepted && who.message[0] == '\0', "got %s", who.message);
	cr_expect_str_eq(who_by(1, RPC_WHO_ORIGIN, "bob").user, "bob");
	cr_expect(may(1, "bob").allowed);
	/* Of a user whom the rule does not name. */
	must_bind("198.51.100.1", "olga");
	begin_any(2);
	who = who_by(2, RPC_WHO_ADDRESS, "root");
	cr_expect(!who.accepted && who.message[0] == '\0', "got %s", who.message);
	cr_expect(audited("auth", "\"bound_to\":\"olga\""));
}

static size_t lines_with(const char *text)
{
	char path[128], line[4096];
	size_t count = 0;

	snprintf(path, sizeof(path), "%s/state/audit.jsonl", lab.dir);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		count += strstr(line, text) != NULL;
	fclose(file);
	return count;
}

Test(bindings, asking_again_fills_no_log)
{
	add_user("alice", "root", "sre", &alice);
	must_bind("198.51.100.1", "alice");
	begin_at(1, SHARED_SSH, 2204);
	for (int i = 0; i < 20; i++)
		cr_expect_not(who_by(1, RPC_WHO_ADDRESS, "bob").accepted);
	cr_expect_not(who_by(1, RPC_WHO_ADDRESS, "postgres").accepted);
	lab_settle(&lab);
	cr_expect_eq(lines_with("\"bound_to\":\"alice\""), 2);
}

Test(bindings, a_rule_must_take_addresses)
{
	add_user("alice", "root", "sre", &alice);
	must_bind("198.51.100.1", "alice");
	cr_expect_eq(begin(1).identities, RPC_IDENTITY_CERTIFICATE | RPC_IDENTITY_KEY);
	target_of(1, &origin);
	cr_expect_not(who_by(1, RPC_WHO_ADDRESS, "root").accepted);
	cr_expect_not(who_by(1, RPC_WHO_ORIGIN, "root").accepted);
	/* And one that takes addresses takes no key by itself. */
	begin_any(2);
	cr_expect_not(who_is(2, mint_blob(&alice), "root", 1).accepted);
	cr_expect_not(may(2, "root").allowed);
}

Test(bindings, an_expired_one_is_told)
{
	add_user("alice", "root", "sre", &alice);
	must_bind("198.51.100.1", "alice");
	let_expire();
	begin_any(1);
	struct who who = who_by(1, RPC_WHO_ADDRESS, "root");
	cr_expect_not(who.accepted);
	cr_expect(strstr(who.message, "your address 198.51.100.1 was signed in until 20") != NULL &&
	              strstr(who.message, "alice") == NULL,
	    "got %s", who.message);
	cr_expect_not(may(1, "root").allowed);
	must_bind("198.51.100.1", "alice"); /* renewed */
	cr_expect(who_by(1, RPC_WHO_ADDRESS, "root").accepted);
}

Test(bindings, they_survive_a_restart_and_go_with_the_user)
{
	json_t *response;

	add_user("alice", "root", "sre", &alice);
	must_bind("198.51.100.1", "alice");
	lab_kill(&lab);
	lab_start(&lab);
	begin_any(1);
	cr_expect(who_by(1, RPC_WHO_ADDRESS, "root").accepted);
	lab_result(&lab, "user.rm", json_pack("{s:s}", "name", "alice"), &response);
	json_decref(response);
	begin_any(2);
	cr_expect_not(who_by(2, RPC_WHO_ADDRESS, "root").accepted);
	cr_expect_not(may(1, "root").allowed, "the user was removed between WHO and MAY");
	json_t *list = json_object_get(lab_result(&lab, "identity.ls", NULL, &response), "bindings");
	cr_expect_eq(json_array_size(list), 0);
	json_decref(response);
}

Test(bindings, unbinding_ends_what_came_in_by_it_where_asked)
{
	json_t *response;
	struct rpc_message message;
	struct rpc_ses_kill kill;

	add_user("alice", "root", "sre", &alice);
	must_bind("198.51.100.1", "alice");
	begin_any(1);
	cr_assert(who_by(1, RPC_WHO_ADDRESS, "root").accepted && may(1, "root").allowed);
	granted_session(2); /* hers too, by her key */
	json_t *result = lab_result(&lab, "identity.unbind",
	    json_pack("{s:s, s:b}", "address", "198.51.100.1", "kill", 1), &response);
	cr_expect_eq(json_integer_value(json_object_get(result, "killed")), 1);
	json_decref(response);
	lab_await(&lab, WORKER, RPC_SES_KILL, &message);
	cr_assert(rpc_get_ses_kill(message.body, &kill));
	cr_expect_eq(kill.flow, 1);
	begin_any(3);
	cr_expect_not(who_by(3, RPC_WHO_ADDRESS, "root").accepted);
	cr_expect_eq(
	    lab_error(&lab, "identity.unbind", json_pack("{s:s}", "address", "198.51.100.1"), NULL), 3);
}

Test(bindings, batches_are_whole_or_nothing)
{
	json_t *response;
	char *message;

	add_user("alice", "root", "sre", &alice);
	add_user("bob", "root", "sre", &other_origin);
	must_bind("2001:db8::1", "alice");
	json_t *result = lab_result(&lab, "identity.bind",
	    json_pack("{s:[{s:s,s:s}, {s:s,s:s,s:i}, {s:s,s:s}]}", "bindings", "address", "2001:db8::1",
	        "user", "bob", "address", "::ffff:198.51.100.7", "user", "alice", "ttl_s", 10, "address",
	        "198.51.100.8%vlan7", "user", "alice"),
	    &response);
	json_t *rows = json_object_get(result, "bindings");
	cr_assert_eq(json_array_size(rows), 3);
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "replaced")), "alice");
	cr_expect_str_eq(
	    json_string_value(json_object_get(json_array_get(rows, 1), "address")), "198.51.100.7");
	json_decref(response);
	cr_expect_eq(lab_error(&lab, "identity.bind",
	                 json_pack("{s:[{s:s,s:s}, {s:s,s:s}]}", "bindings", "address", "198.51.100.9",
	                     "user", "alice", "address", "198.51.100.10", "user", "nobody"),
	                 &message),
	    3);
	cr_expect(strstr(message, "nothing was bound") != NULL, "got %s", message);
	free(message);
	json_t *list = json_object_get(
	    lab_result(&lab, "identity.ls", json_pack("{s:s}", "user", "alice"), &response), "bindings");
	cr_expect_eq(json_array_size(list), 2, "198.51.100.9 was bound by a batch that failed");
	json_decref(response);
	cr_expect_eq(lab_error(&lab, "identity.bind",
	                 json_pack("{s:[{s:s,s:s}], s:i}", "bindings", "address", "198.51.100.9", "user",
	                     "alice", "ttl_s", 60),
	                 NULL),
	    -32602, "whose ttl_s?");
	cr_expect_eq(lab_error(&lab, "identity.bind",
	                 json_pack("{s:[{s:s,s:s,s:b}]}", "bindings", "address", "198.51.100.9", "user",
	                     "alice", "kill", 1),
	                 NULL),
	    -32602, "kill is for all");
	static const char *const bad[] = {"198.51.100.0/24", "198.51.100", "0.0.0.0", "224.0.0.1",
	    "::", "ff02::1", "::ffff:0.0.0.0", "host", ""};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(bind_to(bad[i], "alice", &response), 2, "%s", bad[i]);
		json_decref(response);
	}
	cr_expect_eq(
	    lab_error(&lab, "identity.bind",
	        json_pack("{s:s,s:s,s:i}", "address", "198.51.100.1", "user", "alice", "ttl_s", 9), NULL),
	    -32602);
}

Test(bindings, a_vlan_is_another_network)
{
	add_user("alice", "root", "sre", &alice);
	must_bind("198.51.100.1%vlan7", "alice");
	begin_any(1);
	cr_expect_not(who_by(1, RPC_WHO_ADDRESS, "root").accepted, "bound in VLAN 7, and comes untagged");
}

/* Calls as another uid; its error's code, 0: it went well. */
static int as_reporter(const char *line)
{
	cr_assert_eq(chmod(lab.dir, 0755), 0);
	pid_t child = fork();
	if (child == 0) {
		char answer[4096] = "";
		if (setgid(65534) != 0 || setuid(LAB_REPORTER) != 0)
			_exit(99);
		int fd = lab_connect(&lab);
		lab_send_text(fd, line, strlen(line));
		(void)!recv(fd, answer, sizeof(answer) - 1, 0);
		const char *code = strstr(answer, "\"code\":");
		_exit(code != NULL ? abs(atoi(code + 7)) : strstr(answer, "\"result\"") != NULL ? 0 : 98);
	}
	int status = 0;
	cr_assert_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

static void open_with_reporter(void)
{
	lab_open(&lab);
	mint_key(&alice);
	lab.reporter = true;
	lab_start(&lab);
}

Test(bindings_reporter, may_do_that_alone, .init = open_with_reporter, .fini = close_lab, .timeout = 300)
{
	if (getuid() != 0)
		cr_skip_test("needs root to become somebody else");
	add_user("alice", "root", "sre", &alice);
	cr_expect_eq(as_reporter("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"identity.bind\",\"params\":"
	                         "{\"address\":\"198.51.100.1\",\"user\":\"alice\"}}\n"),
	    0);
	cr_expect_eq(as_reporter("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"identity.ls\"}\n"), 0);
	cr_expect_eq(as_reporter("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"user.ls\"}\n"), 1);
	cr_expect_eq(as_reporter("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sessions.ls\"}\n"), 1);
	cr_expect_eq(as_reporter("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"policy.apply\"}\n"), 1);
	cr_expect(audited("identity.bind", "\"role\":\"identity reporter\""));
}

/* -- known by the origin alone -----------------------------------------------------------------------------
 */

Test(bindings, whom_only_the_origin_knows_gets_nothing_signed)
{
	struct mint_key fresh;

	mint_key(&fresh);
	add_user("alice", "root", "sre", &alice);
	begin_any(1);
	cr_expect_not(who_by(1, RPC_WHO_ORIGIN, "mallory").accepted, "nobody of that name is enrolled");
	cr_expect_not(may(1, "mallory").allowed);
	struct who who = who_by(1, RPC_WHO_ORIGIN, "alice");
	cr_expect(who.accepted);
	cr_expect_str_eq(who.user, "alice");
	struct may answer = may(1, "alice");
	cr_assert(answer.allowed, "%s", answer.message);
	cr_expect(answer.origin_auth_count == 1 && answer.origin_auth[0] == RPC_ORIGIN_PASSWORD,
	    "the box has nothing of its own to show for somebody unproven");
	cr_expect(cert(1, &fresh).error.len > 0);
	cr_expect_not(audited("auth", "\"success\":true"));
	cr_expect_not(audited("session.start", "alice"), "the origin has not let anybody in yet");
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"publickey\"}"));
	lab_settle(&lab);
	cr_expect_not(audited("session.start", "alice"), "a worker cannot say that of a key");
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"password\"}"));
	lab_settle(&lab);
	cr_expect(audited("auth", "\"method\":\"password\""));
	cr_expect(audited("session.start", "\"user\":\"alice\""));
	cr_expect(cert(1, &fresh).error.len > 0, "nor later");
}

Test(bindings, a_worker_cannot_grant_a_session_of_another_kind)
{
	add_user("alice", "root", "sre", &alice);
	must_bind("198.51.100.1", "alice");
	begin_any(1);
	cr_assert(who_by(1, RPC_WHO_ADDRESS, "root").accepted);
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"password\"}"));
	begin_any(2);
	cr_assert(who_by(2, RPC_WHO_ORIGIN, "alice").accepted);
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 2, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"password\"}"));
	lab_settle(&lab);
	cr_expect_not(audited("session.start", "alice"), "MAY was not asked");
}

/* -- the table by itself -----------------------------------------------------------------------------------
 */

Test(bindings_table, a_binding_ends_at_its_second)
{
	struct database db;
	struct user user = {.name = "alice"};
	char error[256], other[WORD_SIZE];
	int64_t until;

	cr_assert(database_open(&db, ":memory:", error, sizeof(error)), "%s", error);
	cr_assert_eq(users_add(&db, &user, NULL, 0, other), USERS_OK);
	cr_assert(bindings_begin(&db));
	cr_expect_eq(bindings_add(&db, "192.0.2.1", "alice", 1000, 1600, 0, other), BINDINGS_OK);
	cr_expect_eq(bindings_add(&db, "192.0.2.1", "bob", 1000, 1600, 0, other), BINDINGS_NO_USER);
	cr_assert_eq(bindings_end(&db, 1000, true), BINDINGS_OK);
	struct user found;
	cr_expect_eq(bindings_find(&db, "192.0.2.1", 1599, &found, &until), BINDING_GOOD);
	user_free(&found);
	cr_expect_eq(bindings_find(&db, "192.0.2.1", 1600, &found, &until), BINDING_EXPIRED);
	cr_expect_eq(until, 1600);
	cr_expect_eq(bindings_find(&db, "192.0.2.2", 1000, &found, &until), BINDING_NONE);
	bindings_prune(&db, 1600 + BINDING_KEPT_S);
	cr_expect_eq(bindings_find(&db, "192.0.2.1", 1700, &found, &until), BINDING_EXPIRED);
	bindings_prune(&db, 1601 + BINDING_KEPT_S);
	cr_expect_eq(bindings_find(&db, "192.0.2.1", 1700, &found, &until), BINDING_NONE);
	/* What is rolled back never was. */
	cr_assert(bindings_begin(&db));
	cr_expect_eq(bindings_add(&db, "192.0.2.3", "alice", 1000, 1600, 0, other), BINDINGS_OK);
	cr_expect_eq(bindings_end(&db, 1000, false), BINDINGS_FAILED);
	cr_expect_eq(bindings_find(&db, "192.0.2.3", 1001, &found, &until), BINDING_NONE);
	user_free(&user);
	database_close(&db);
}
