/* SPDX-License-Identifier: Apache-2.0 */
/* The real reeve-control at its socket: policies, methods, roles, users, recordings. */
#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/control/control_steps.h"

TestSuite(control_socket, .init = open_lab, .fini = close_lab, .timeout = 300);

/* -- policies ----------------------------------------------------------------------------------------------
 */

static const char second_policy[] = "default: block\nrules:\n  - {name: lab-ssh, action: audit_ssh, match: "
                                    "{dst_port: 22}, ssh: {users: {names: [alice]},"
                                    " logins: [root], command_logging: false}}\n";

Test(control_socket, policies_are_checked_applied_and_shown)
{
	json_t *response;
	char *message;

	add_user("alice", "root", "sre", &alice);
	json_t *result =
	    lab_result(&lab, "policy.check", json_pack("{s:s}", "text", second_policy), &response);
	cr_expect_eq(json_integer_value(json_object_get(result, "rules")), 1);
	cr_expect_str_eq(json_string_value(json_object_get(result, "default")), "block");
	json_decref(response);
	response = lab_call(&lab, "policy.apply",
	    json_pack("{s:s, s:s}", "text", "default: allow\nrules:\n  - {name: x, action: alow}\n", "name",
	        "/etc/p.yaml"));
	json_t *error = json_object_get(response, "error");
	cr_expect_eq(json_integer_value(json_object_get(error, "code")), 2);
	cr_expect(strncmp(json_string_value(json_object_get(error, "message")), "/etc/p.yaml:3:", 14) == 0,
	    "got %s", json_string_value(json_object_get(error, "message")));
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(error, "data"), "line")), 3);
	json_decref(response);
	lab.dataplane_refuses = "too many categories";
	cr_expect_eq(lab_error(&lab, "policy.apply", json_pack("{s:s}", "text", second_policy), &message), 2);
	cr_expect(strstr(message, "too many categories") != NULL, "got %s", message);
	free(message);
	lab.dataplane_refuses = NULL;
	lab_settle(&lab);
	cr_expect_eq(lab.policy_generation, 1, "what was in force is pushed again");
	result = lab_result(&lab, "policy.apply", json_pack("{s:s}", "text", second_policy), &response);
	uint64_t generation = (uint64_t)json_integer_value(json_object_get(result, "generation"));
	cr_expect_eq(generation, 3);
	cr_expect_eq(lab.policy_generation, 3);
	json_decref(response);
	result = lab_result(&lab, "policy.show", NULL, &response);
	cr_expect_str_eq(json_string_value(json_object_get(result, "text")), second_policy);
	cr_expect(json_is_true(json_object_get(result, "in_dataplane")));
	json_decref(response);
	/* Connections taken under the old generation keep its rule; the new one has its own. */
	cr_expect_str_eq(begin_rule(1, 1, 1, 22).rule, "prod-ssh");
	cr_expect_str_eq(begin_rule(2, 0, 3, 22).rule, "lab-ssh");
	target_of(2, &origin);
	who_is(2, mint_blob(&alice), "root", 1);
	struct may answer = may(2, "root");
	cr_expect(answer.allowed && answer.recording == RPC_RECORDING_NONE);
	/* Without a dataplane nothing changes. */
	rpc_link_close(&lab.dataplane);
	cr_expect_eq(lab_error(&lab, "policy.apply", json_pack("{s:s}", "text", lab_policy), NULL), 4);
	lab_kill(&lab);
	lab_start(&lab);
	lab_settle(&lab);
	cr_expect_eq(lab.policy_generation, 3, "the last one in force is in force after a restart");
	cr_expect_str_eq(
	    begin_rule(1, 1, 1, 22).rule, "prod-ssh", "old generations are known after a restart");
}

Test(control_socket, ten_thousand_rules_within_a_second)
{
	char *text = malloc(2 << 20), *at = text;
	struct timespec from, to;
	json_t *response;

	at += sprintf(at, "default: allow\nrules:\n");
	for (unsigned i = 0; i < 10000; i++)
		at += sprintf(at,
		    "  - {name: rule-%u, action: block, match: {protocol: tcp, dst_ip: 10.%u.%u.0/24, "
		    "dst_port: %u}}\n",
		    i, i / 256, i % 256, 1 + i);
	/* The machine may have something else to do once, or twice, but not each time. */
	double took = TEN_THOUSAND_RULES_S;
	for (unsigned tries = 0; tries < 10 && took >= TEN_THOUSAND_RULES_S; tries++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		json_t *result =
		    lab_result(&lab, "policy.apply", json_pack("{s:s}", "text", text), &response);
		clock_gettime(CLOCK_MONOTONIC, &to);
		cr_expect_eq(json_integer_value(json_object_get(result, "rules")), 10000);
		json_decref(response);
		took = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	}
	free(text);
	cr_expect(took < TEN_THOUSAND_RULES_S, "10,000 rules took %.2f s", took);
}

/* -- the socket --------------------------------------------------------------------------------------------
 */

Test(control_socket, json_rpc)
{
	static const struct {
		const char *line, *expected; /* a part of the answer */
	} cases[] = {
	    {"{", "\"code\":-32700"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"stats\",\"method\":\"stats\",\"id\":1}", "\"code\":-32700"},
	    {"\"hello\"", "\"code\":-32600"},
	    {"7", "\"code\":-32600"},
	    {"[]", "\"code\":-32600"},
	    {"[1]", "[{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600"},
	    {"{\"jsonrpc\":\"1.0\",\"method\":\"stats\",\"id\":1}", "\"code\":-32600"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":7,\"id\":1}", "\"code\":-32600"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"nonesuch\",\"id\":\"x\"}",
	        "\"code\":-32601,\"message\":\"there is no method"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"policy.check\",\"id\":1}", "\"code\":-32602"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"policy.check\",\"params\":{\"text\":1},\"id\":1}",
	        "\"code\":-32602"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"policy.check\",\"params\":{\"txt\":\"\"},\"id\":1}",
	        "no parameter 'txt'"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"policy.check\",\"params\":[\"x\"],\"id\":1}",
	        "\"code\":-32600"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"sessions.ls\",\"id\":null}", "\"id\":null"},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"sessions.ls\",\"params\":{\"limit\":0},\"id\":1}",
	        "\"code\":-32602"},
	    /* The notification in the batch is not answered, the others are. */
	    {"[{\"jsonrpc\":\"2.0\",\"method\":\"user.ls\"},{\"jsonrpc\":\"2.0\",\"method\":\"user.ls\","
	     "\"id\":5},"
	     "{\"jsonrpc\":\"2.0\",\"method\":\"stats\",\"id\":6}]",
	        "[{\"jsonrpc\":\"2.0\",\"result\":{\"users\":[]},\"id\":5},{\"jsonrpc\":\"2.0\",\"result\":{"
	        "\"dataplane\":"},
	};
	int fd = lab_connect(&lab);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lab_send_text(fd, cases[i].line, strlen(cases[i].line));
		lab_send_text(fd, "\n", 1);
		json_t *answer = lab_read_json(&lab, fd);
		char *text = json_dumps(answer, JSON_COMPACT);
		cr_expect(text != NULL && strstr(text, cases[i].expected) != NULL, "%s\nexpected %s\ngot %s",
		    cases[i].line, cases[i].expected, text);
		free(text);
		json_decref(answer);
	}
	close(fd);
}

static const char show[] = "{\"jsonrpc\":\"2.0\",\"method\":\"policy.show\",\"id\":1}\n";

Test(control_socket, many_requests_at_once)
{
	int fd = lab_connect(&lab);

	for (int i = 0; i < 200; i++)
		lab_send_text(fd, show, strlen(show));
	lab_send_text(fd, "{\"jsonrpc\"", 10); /* an unfinished line before the end */
	for (int i = 0; i < 200; i++) {
		json_t *answer = lab_read_json(&lab, fd);
		cr_assert_not_null(json_object_get(answer, "result"), "answer %d", i);
		json_decref(answer);
	}
	close(fd);
}

Test(control_socket, a_line_without_end)
{
	int fd = lab_connect(&lab);
	char *junk = malloc(1 << 20);
	memset(junk, 'x', 1 << 20);
	for (int i = 0; i < 17; i++)
		if (send(fd, junk, 1 << 20, MSG_NOSIGNAL) <= 0)
			break;
	free(junk);
	json_t *answer = lab_read_json(&lab, fd);
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(answer, "error"), "code")), -32600);
	json_decref(answer);
	cr_expect_null(lab_read_json(&lab, fd), "the connection ends after that");
	close(fd);
}

Test(control_socket, who_never_reads_disturbs_nobody)
{
	int fd = lab_connect(&lab);

	for (int i = 0; i < 100; i++)
		if (send(fd, show, strlen(show), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	cr_expect_eq(lab_error(&lab, "user.ls", NULL, NULL), 0);
	close(fd);
}

Test(control_socket, roles)
{
	if (getuid() != 0)
		cr_skip_test("needs root to become somebody else");
	/* The socket is for its owner; somebody else gets no further than the file's mode, or the role. */
	struct stat stat_buffer;
	cr_assert_eq(stat(lab.socket, &stat_buffer), 0);
	cr_expect_eq(stat_buffer.st_mode & 0777, 0660);
	cr_assert_eq(chmod(lab.socket, 0666), 0);
	cr_assert_eq(chmod(lab.dir, 0755), 0);
	pid_t child = fork();
	if (child == 0) {
		static const char ask[] = "{\"jsonrpc\":\"2.0\",\"method\":\"stats\",\"id\":1}\n";
		char answer[512] = "";
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(2);
		int fd = lab_connect(&lab);
		lab_send_text(fd, ask, strlen(ask));
		ssize_t got = recv(fd, answer, sizeof(answer) - 1, 0);
		_exit(got > 0 && strstr(answer, "\"code\":1,") != NULL ? 0 : 1);
	}
	int status = 0;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

/* Anybody may connect where auditors are configured; nobody can keep the others out by doing so. */
Test(control_socket, strangers_do_not_take_all_places)
{
	int pipes[2];
	char byte;
	json_t *response;

	if (getuid() != 0)
		cr_skip_test("needs root to become somebody else");
	cr_assert_eq(chmod(lab.socket, 0666), 0);
	cr_assert_eq(chmod(lab.dir, 0755), 0);
	cr_assert_eq(pipe(pipes), 0);
	pid_t child = fork();
	if (child == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(2);
		for (int i = 0; i < 300; i++)
			(void)lab_connect(&lab);
		(void)!write(pipes[1], "x", 1);
		pause();
	}
	cr_assert_eq(read(pipes[0], &byte, 1), 1);
	lab_result(&lab, "stats", json_object(), &response);
	json_decref(response);
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

Test(control_socket, users_and_cas)
{
	json_t *response;
	char *message, *line = mint_line(&alice, "alice@laptop");

	json_t *user = lab_result(&lab, "user.add",
	    json_pack("{s:s, s:[s,s], s:[s], s:[s]}", "name", "alice", "logins", "alice", "root", "groups",
	        "sre", "keys", line),
	    &response);
	cr_expect_str_eq(json_string_value(json_object_get(user, "name")), "alice");
	json_t *key = json_array_get(json_object_get(user, "keys"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(key, "type")), "ssh-ed25519");
	cr_expect_str_eq(json_string_value(json_object_get(key, "comment")), "alice@laptop");
	json_decref(response);
	cr_expect_eq(lab_error(&lab, "user.add", json_pack("{s:s}", "name", "alice"), NULL), 5);
	cr_expect_eq(
	    lab_error(&lab, "user.add", json_pack("{s:s, s:[s]}", "name", "bob", "keys", line), &message), 5);
	cr_expect(strstr(message, "'alice'") != NULL, "got %s", message);
	free(message);
	cr_expect_eq(lab_error(&lab, "user.add", json_pack("{s:s}", "name", "bob smith"), NULL), 2);
	cr_expect_eq(
	    lab_error(&lab, "user.add", json_pack("{s:s, s:[s]}", "name", "bob", "logins", "a b"), NULL), 2);
	cr_expect_eq(lab_error(&lab, "user.add",
	                 json_pack("{s:s, s:[s]}", "name", "bob", "keys", "ssh-ed25519 AAAA"), &message),
	    2);
	cr_expect(strstr(message, "key 1 is damaged") != NULL, "got %s", message);
	free(message);
	cr_expect_eq(lab_error(&lab, "user.rm", json_pack("{s:s}", "name", "bob"), NULL), 3);
	cr_expect_eq(
	    lab_error(&lab, "user.cert", json_pack("{s:s, s:s}", "name", "bob", "key", line), NULL), 3);
	cr_expect_eq(lab_error(&lab, "user.cert",
	                 json_pack("{s:s, s:s, s:i}", "name", "alice", "key", line, "ttl_s", 1), NULL),
	    -32602);
	cr_expect_eq(
	    lab_error(&lab, "user.cert", json_pack("{s:s, s:s}", "name", "alice", "key", "nonsense"), NULL),
	    2);
	cr_expect_eq(lab_error(&lab, "ca.create", json_pack("{s:s}", "type", "user"), NULL), 5);
	cr_expect_eq(lab_error(&lab, "ca.create", json_pack("{s:s}", "type", "root"), NULL), 2);
	cr_expect_eq(lab_error(&lab, "ca.show", json_pack("{s:s}", "type", "host"), NULL), 3);
	cr_expect_eq(
	    lab_error(&lab, "ca.sign_host", json_pack("{s:s, s:[]}", "key", line, "names"), NULL), 2);
	cr_expect_eq(
	    lab_error(&lab, "ca.sign_host", json_pack("{s:s, s:[s]}", "key", line, "names", "a b"), NULL), 2);
	cr_expect_eq(
	    lab_error(&lab, "ca.sign_host", json_pack("{s:s, s:[s]}", "key", line, "names", "web1:22"), NULL),
	    2);
	cr_expect_eq(
	    lab_error(&lab, "ca.sign_host", json_pack("{s:s, s:[s]}", "key", "x", "names", "a"), NULL), 2);
	cr_expect_eq(lab_error(&lab, "ca.sign_host",
	                 json_pack("{s:s, s:[s], s:i}", "key", line, "names", "a", "ttl_s", 59), NULL),
	    -32602);
	json_t *ca = lab_result(&lab, "ca.show", json_pack("{s:s}", "type", "client"), &response);
	cr_expect(strncmp(json_string_value(json_object_get(ca, "public_key")), "ssh-ed25519 AAAA", 16) == 0);
	cr_expect(strncmp(json_string_value(json_object_get(ca, "fingerprint")), "SHA256:", 7) == 0);
	json_decref(response);
	free(line);
}

/* ssh looks for what it was told in small letters, and for addresses as inet_ntop() writes them. */
Test(control_socket, host_names_as_clients_look_for_them)
{
	static const char *const wanted[] = {
	    "web1.example.com", "198.51.100.7", "2001:db8::2", "*.example.com", "2001:db8::*"};
	json_t *response;
	char *line = mint_line(&alice, "host"), name[256];

	lab.host_certificate = 64;
	lab_result(&lab, "ca.sign_host",
	    json_pack("{s:s, s:[s,s,s,s,s]}", "key", line, "names", "Web1.Example.COM", "198.51.100.7",
	        "2001:DB8:0:0::2", "*.Example.com", "2001:DB8::*"),
	    &response);
	json_decref(response);
	struct wire in = wire_over(lab.host_principals, lab.host_principals_len);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		cr_expect(wire_span_copy(wire_string(&in), name, sizeof(name)));
		cr_expect_str_eq(name, wanted[i]);
	}
	cr_expect(wire_done(&in));
	free(line);
}

Test(control_socket, recordings_and_stats)
{
	static const char id[] = "0b7cdd0e-1111-4222-8333-123456789abc";
	struct rpc_message message;
	json_t *response;

	add_user("alice", "root", "sre", &alice);
	granted_session(1);
	LAB_SEND(WORKER, SES_PROGRAM, ses_program, 0, .flow = 1, .program_id = wire_span_of(id),
	    .type = wire_span_of("shell"), .started_at = 1);
	lab_settle(&lab);
	int fd = lab_connect(&lab);
	const char read[] = "{\"jsonrpc\":\"2.0\",\"method\":\"recording.read\",\"params\":{\"program\":"
	                    "\"0b7cdd0e\",\"offset\":"
	                    "4096,\"length\":100},\"id\":1}\n";
	lab_send_text(fd, read, strlen(read));
	struct rpc_rec_read asked;
	lab_await(&lab, &lab.recorder, RPC_REC_READ, &message);
	cr_assert(rpc_get_rec_read(message.body, &asked));
	cr_expect(wire_span_is(asked.program_id, id) && asked.offset == 4096 && asked.length == 100);
	cr_assert_eq(RPC_SEND(&lab.recorder, REC_READ_REPLY, rec_read_reply, RPC_FLAG_REPLY, message.id,
	                 .data = wire_span_of("sealed"), .size = 5000),
	    0);
	json_t *answer = lab_read_json(&lab, fd);
	json_t *result = json_object_get(answer, "result");
	cr_expect_str_eq(json_string_value(json_object_get(result, "data")), "c2VhbGVk");
	cr_expect_eq(json_integer_value(json_object_get(result, "size")), 5000);
	json_decref(answer);
	cr_expect(audited("session.recording.access", id));
	const char list[] = "{\"jsonrpc\":\"2.0\",\"method\":\"recordings.ls\",\"params\":{\"user\":"
	                    "\"alice\",\"limit\":3},\"id\":2}\n";
	lab_send_text(fd, list, strlen(list));
	struct rpc_rec_list listed;
	lab_await(&lab, &lab.recorder, RPC_REC_LIST, &message);
	cr_assert(rpc_get_rec_list(message.body, &listed));
	cr_expect(wire_span_is(listed.filter, "{\"user\":\"alice\",\"limit\":3}"), "got %.*s",
	    (int)listed.filter.len, (const char *)listed.filter.at);
	cr_assert_eq(RPC_SEND(&lab.recorder, REC_LIST_REPLY, rec_list_reply, RPC_FLAG_REPLY, message.id,
	                 .rows = wire_span_of("[{\"ProgramID\":\"x\"}]"), .more = 1),
	    0);
	answer = lab_read_json(&lab, fd);
	result = json_object_get(answer, "result");
	cr_expect_eq(json_array_size(json_object_get(result, "recordings")), 1);
	cr_expect(json_is_true(json_object_get(result, "more")));
	json_decref(answer);
	cr_expect_eq(lab_error(&lab, "recording.read", json_pack("{s:s}", "program", "ffffffff"), NULL), 3);
	cr_expect_eq(lab_error(&lab, "recording.read",
	                 json_pack("{s:s, s:i}", "program", "ffffffff", "number", 1), NULL),
	    3);
	/* Counters of those who answer; null for those who do not. */
	rpc_link_close(&lab.recorder);
	lab_settle(&lab);
	result = lab_result(&lab, "stats", NULL, &response);
	cr_expect_eq(
	    json_integer_value(json_object_get(json_object_get(result, "dataplane"), "rx_packets")), 12);
	cr_expect(json_is_null(json_object_get(result, "sshterm[0]")));
	cr_expect(json_is_null(json_object_get(result, "recorder")));
	cr_expect_eq(
	    json_integer_value(json_object_get(json_object_get(result, "control"), "sessions_live")), 1);
	json_decref(response);
	cr_expect_eq(lab_error(&lab, "recordings.ls", NULL, NULL), 4);
	close(fd);
}
