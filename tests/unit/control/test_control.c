/* SPDX-License-Identifier: Apache-2.0 */
/* The real reeve-control among processes that this test plays. */
#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/peers/peers.h"
#include "control/sessions/sessions.h"
#include "tests/unit/control/control_steps.h"

TestSuite(control, .init = open_lab, .fini = close_lab, .timeout = 300);

/* -- start -------------------------------------------------------------------------------------------------
 */

Test(control, start_pushes_the_policy)
{
	lab_settle(&lab);
	cr_assert_eq(lab.policies, 1);
	cr_expect_eq(lab.policy_generation, 1);
	struct wire in = wire_over(lab.policy_blob, lab.policy_size);
	struct rpc_policy_match match;
	cr_expect_eq(wire_u32(&in), RPC_POLICY_VERSION);
	cr_expect_eq(wire_u64(&in), 1);
	cr_expect_eq(wire_u8(&in), RPC_ACTION_ALLOW);
	(void)wire_u8(&in);
	cr_expect_eq(wire_u32(&in), 8);
	cr_expect(wire_span_is(wire_string(&in), "no-telnet"));
	cr_expect_eq(wire_u8(&in), RPC_ACTION_BLOCK);
	wire_skip(&in, 5);
	cr_expect_eq(wire_u32(&in), 1);
	cr_expect(rpc_get_policy_match(&in, &match) && match.dport_lo == 23 && match.protocol == 6 &&
	          match.link == 255);
	cr_expect(wire_span_is(wire_string(&in), "prod-ssh"));
	wire_skip(&in, 6);
	cr_expect_eq(wire_u32(&in), 2, "an IPv4 and an IPv6 network make two matches");
	cr_expect(rpc_get_policy_match(&in, &match) && match.family == 4 && match.dst_plen == 24);
	cr_expect(rpc_get_policy_match(&in, &match) && match.family == 6 && match.dst_plen == 64);
	cr_expect(wire_span_is(wire_string(&in), "strict-ssh"));
}

Test(control, a_restarted_dataplane_gets_the_policy_at_once)
{
	lab_settle(&lab);
	lab_attach(&lab, &lab.dataplane, RPC_DATAPLANE, 0);
	lab_settle(&lab);
	cr_assert_eq(lab.policies, 2);
	cr_expect_eq(lab.policy_generation, 1);
}

Test(control, privileges_are_given_up)
{
	char path[64], line[256];
	unsigned found = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", lab.pid);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		found += strcmp(line, "CapEff:\t0000000000000000\n") == 0 ||
		         strcmp(line, "NoNewPrivs:\t1\n") == 0 || strcmp(line, "Seccomp:\t2\n") == 0;
	fclose(file);
	cr_expect_eq(found, 3,
	    "expected no capabilities, no_new_privs and a seccomp filter; %u of them are there", found);
}

Test(control_start, a_bad_policy_file_ends_the_start, .timeout = 300)
{
	lab_open(&lab);
	FILE *file = fopen(lab.policy, "w");
	fputs("default: maybe\n", file);
	fclose(file);
	int status = lab_start_fails(&lab);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x", status);
	lab_close(&lab);
}

/* -- decisions ---------------------------------------------------------------------------------------------
 */

Test(control, host_keys)
{
	json_t *response;

	begin(1);
	cr_expect_eq(target_of(1, &origin).verdict, RPC_TARGET_FIRST_USE);
	struct begun again = begin(2);
	cr_expect_str_eq(again.algorithms, "ssh-ed25519");
	cr_expect_eq(target_of(2, &origin).verdict, RPC_TARGET_KNOWN);
	begin(3);
	struct target changed = target_of(3, &other_origin);
	cr_expect_eq(changed.verdict, RPC_TARGET_CHANGED);
	cr_expect_str_eq(changed.target_id, "");
	cr_expect_eq(changed.host_public_len, 0);
	cr_expect(strstr(changed.message, "the host key of 198.51.100.2 has changed (was SHA256:") != NULL &&
	              strstr(changed.message, "reeve target forget 198.51.100.2") != NULL,
	    "got %s", changed.message);
	cr_expect(sign(3).error.len > 0, "nothing is signed for a session whose origin was refused");
	cr_expect_not(who_is(3, mint_blob(&alice), "root", 1).accepted);
	/* A key that changes during a live session (a rekey) stops it too. */
	cr_expect_eq(target_of(2, &other_origin).verdict, RPC_TARGET_CHANGED);
	cr_expect(sign(2).error.len > 0);
	cr_expect_eq(
	    lab_error(&lab, "target.forget", json_pack("{s:s}", "address", "198.51.100.9"), NULL), 3);
	json_decref(json_incref(
	    lab_result(&lab, "target.forget", json_pack("{s:s}", "address", "198.51.100.2"), &response)));
	json_decref(response);
	begin(4);
	cr_expect_eq(target_of(4, &other_origin).verdict, RPC_TARGET_FIRST_USE);
	json_t *targets = json_object_get(lab_result(&lab, "targets.ls", NULL, &response), "targets");
	cr_assert_eq(json_array_size(targets), 1);
	cr_expect_str_eq(
	    json_string_value(json_array_get(json_object_get(json_array_get(targets, 0), "addresses"), 0)),
	    "198.51.100.2");
	json_decref(response);
	/* host_keys: strict takes what an administrator has pinned, and nothing else. */
	begin_rule(5, 2, 1, 2222);
	struct target strict = target_of(5, &origin);
	cr_expect_eq(strict.verdict, RPC_TARGET_REFUSED);
	cr_expect(strstr(strict.message, "is not known") != NULL, "got %s", strict.message);
	char *line = mint_line(&origin, "");
	lab_result(&lab, "target.add",
	    json_pack("{s:s, s:s}", "address", "[198.51.100.2]:2222", "host_key", line), &response);
	json_decref(response);
	free(line);
	begin_rule(6, 2, 1, 2222);
	cr_expect_eq(target_of(6, &origin).verdict, RPC_TARGET_KNOWN);
	cr_expect(audited("host_key.changed", "SHA256:"));
	/* A key of no known kind. */
	struct mint_key odd = origin;
	odd.blob[5] = 'x';
	begin(7);
	cr_expect_eq(target_of(7, &odd).verdict, RPC_TARGET_REFUSED);
}

/* Issues a certificate for alice by the socket and returns its serial. */
static uint64_t issue(const struct mint_key *key)
{
	json_t *response;
	char *line = mint_line(key, "laptop");
	json_t *result = lab_result(&lab, "user.cert",
	    json_pack("{s:s, s:s, s:i}", "name", "alice", "key", line, "ttl_s", 3600), &response);
	uint64_t serial = (uint64_t)json_integer_value(json_object_get(result, "serial"));

	cr_expect(strncmp(json_string_value(json_object_get(result, "certificate")),
	              "ssh-ed25519-cert-v01@openssh.com AAAA", 37) == 0);
	cr_expect_str_eq(json_string_value(json_object_get(result, "key_id")), "alice");
	json_decref(response);
	free(line);
	return serial;
}

static json_int_t counter(const char *name)
{
	json_t *response;
	json_t *result = lab_result(&lab, "stats", json_object(), &response);
	json_int_t value = json_integer_value(json_object_get(json_object_get(result, "control"), name));

	json_decref(response);
	return value;
}

static bool shows(uint64_t flow, struct wire_span key, const char *login, const uint8_t *request, size_t len)
{
	return who_shows(flow, key, login, (struct wire_span){request, len}).accepted;
}

Test(control, a_worker_cannot_say_that_a_key_was_proven)
{
	static uint8_t request[1024], bad[1024];
	struct mint_key mallory;
	struct wire_span none = {0}, key = mint_blob(&alice);

	mint_key(&mallory);
	add_user("alice", "root", "sre", &alice);
	begin(1);
	cr_assert(target_of(1, &origin).verdict <= RPC_TARGET_FIRST_USE);
	size_t len = mint_request(&alice, identifier_of(1), "root", key, none, request, sizeof(request));
	cr_expect_not(shows(1, key, "root", request, len), "no exchange hash was signed yet");
	cr_assert_eq(sign(1).error.len, 0);

	/* Each byte of the request counts, and each byte that is missing or too many. */
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, request, len);
		bad[i] ^= 0x40;
		cr_expect_not(shows(1, key, "root", bad, len), "byte %zu changed", i);
		cr_expect_not(i > 0 && shows(1, key, "root", request, i), "cut to %zu bytes", i);
	}
	memcpy(bad, request, len);
	bad[len] = 0;
	cr_expect_not(shows(1, key, "root", bad, len + 1), "a byte too many");
	cr_expect_not(shows(1, key, "toor", request, len), "signed for another login");
	size_t bad_len = mint_request(&mallory, identifier_of(1), "root", key, none, bad, sizeof(bad));
	cr_expect_not(shows(1, key, "root", bad, bad_len), "signed by another key");
	bad_len =
	    mint_request(&mallory, identifier_of(1), "root", mint_blob(&mallory), none, bad, sizeof(bad));
	cr_expect_not(shows(1, key, "root", bad, bad_len), "a proof of another key");
	bad_len = mint_request(&alice, identifier_of(2), "root", key, none, bad, sizeof(bad));
	cr_expect_not(shows(1, key, "root", bad, bad_len), "signed in another session");
	cr_expect_not(may(1, "root").allowed);

	/* What names a host key names this session's. */
	bad_len = mint_request(&alice, identifier_of(1), "root", key, mint_blob(&origin), bad, sizeof(bad));
	cr_expect_not(shows(1, key, "root", bad, bad_len), "bound to another host key");
	bad_len = mint_request(
	    &alice, identifier_of(1), "root", key, mint_blob(&lab.cas[RPC_CA_HOST]), bad, sizeof(bad));
	cr_expect(shows(1, key, "root", bad, bad_len), "bound to this one");
	cr_expect(shows(1, key, "root", request, len));
	cr_expect(may(1, "root").allowed);
	cr_expect_eq(counter("keys_unproven"), 2 * (json_int_t)len + 6, "each is counted");
}

Test(control, an_exchange_hash_is_of_one_session_for_ever)
{
	static uint8_t request[1024];
	struct wire_span none = {0}, key = mint_blob(&alice);
	uint8_t first[32];

	add_user("alice", "root", "sre", &alice);
	granted_session(1);
	memcpy(first, identifier_of(1).at, 32);
	size_t len = mint_request(&alice, identifier_of(1), "root", key, none, request, sizeof(request));
	LAB_SEND(WORKER, SES_END, ses_end, 0, .flow = 1, .reason = wire_span_of("closed"));
	for (uint64_t flow = 2; flow < 4; flow++) {
		begin(flow);
		cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
		memcpy((uint8_t *)identifier_of(flow).at, first, 32);
		cr_expect(sign(flow).error.len > 0, "what was signed for a session is signed for another");
		cr_expect_not(shows(flow, key, "root", request, len), "a proof is shown again");
		if (flow == 2) { /* nor does it forget with its memory */
			lab_settle_on_disk(&lab);
			lab_kill(&lab);
			lab_start(&lab);
		}
	}
	/* A session exchanges keys again without becoming another. */
	begin(5);
	cr_assert(target_of(5, &origin).verdict <= RPC_TARGET_FIRST_USE);
	cr_assert_eq(sign(5).error.len, 0);
	len = mint_request(&alice, identifier_of(5), "root", key, none, request, sizeof(request));
	randombytes_buf((uint8_t *)identifier_of(5).at, 32);
	cr_expect_eq(sign(5).error.len, 0);
	cr_expect(shows(5, key, "root", request, len));
}

static void each_fault_is_told(const struct mint_certificate *good, const struct mint_key *laptop)
{
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	uint64_t now = (uint64_t)time(NULL);
	struct mint_certificate c[9];
	for (size_t i = 0; i < 9; i++)
		c[i] = *good;
	c[1].serial = good->serial + 100; /* never issued */
	c[2].key_id = "bob";
	c[3].principals[1] = NULL; /* alice alone; root is asked for */
	c[4].valid_before = now - 1;
	c[5].valid_after = now + 600;
	c[6].critical[0] = (struct mint_option){"source-address", "203.0.113.0/24", false};
	c[7].spoil_signature = true;
	c[8].critical[0] = (struct mint_option){"force-command", "uptime", false};
	static const struct {
		uint8_t accepted;
		const char *message;
	} expected[] = {{1, ""}, {0, "portreeve: your certificate is not valid any more"},
	    {0, "portreeve: your certificate is not valid any more"},
	    {0, "portreeve: your certificate is not for the login"},
	    {0, "portreeve: your certificate expired at 2"},
	    {0, "portreeve: your certificate is not valid before 2"},
	    {0, "portreeve: your certificate may not be used from the address"}, {0, ""}, {1, ""}};
	for (size_t i = 0; i < 9; i++) {
		struct who who = who_is(1,
		    (struct wire_span){blob, mint_certificate(&c[i], laptop, &lab.cas[RPC_CA_CLIENT], blob)},
		    "root", 0);
		cr_expect_eq(who.accepted, expected[i].accepted, "case %zu: accepted %u (%s)", i,
		    who.accepted, who.message);
		cr_expect(strncmp(who.message, expected[i].message, strlen(expected[i].message)) == 0 &&
		              (expected[i].message[0] != '\0' || who.message[0] == '\0'),
		    "case %zu: expected \"%s…\", got \"%s\"", i, expected[i].message, who.message);
	}
}

static void forced_command_goes_on(const struct mint_certificate *good, const struct mint_key *laptop)
{
	struct mint_certificate forcing = *good;
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];

	forcing.critical[0] = (struct mint_option){"force-command", "uptime", false};
	/* The forced command reaches the origin's certificate, which is the only way there then; what the
	 * certificate's extensions allow reaches the grant. */
	size_t len = mint_certificate(&forcing, laptop, &lab.cas[RPC_CA_CLIENT], blob);
	/* What was signed for the plain key does not show its certificate, which may force a command. */
	static uint8_t request[1024];
	size_t plain = mint_request(laptop, identifier_of(1), "root", mint_blob(laptop),
	    (struct wire_span){0}, request, sizeof(request));
	cr_assert_eq(sign(1).error.len, 0);
	cr_expect_not(shows(1, (struct wire_span){blob, len}, "root", request, plain));
	/* That its signature was found good once is said of these bytes alone. */
	cr_expect(who_is(1, (struct wire_span){blob, len}, "root", 0).accepted);
	blob[60] ^= 1;
	cr_expect_not(who_is(1, (struct wire_span){blob, len}, "root", 0).accepted);
	blob[60] ^= 1;
	cr_expect(who_is(1, (struct wire_span){blob, len}, "root", 1).accepted);
	struct may answer = may(1, "root");
	cr_assert(answer.allowed, "%s", answer.message);
	cr_expect_eq(answer.permits, RPC_PERMIT_PTY);
	cr_expect(answer.origin_auth_count == 1 && answer.origin_auth[0] == RPC_ORIGIN_CERTIFICATE);
	cert(1, laptop);
	cr_expect_str_eq(lab.certify.force_command, "uptime");
}

Test(control, certificates)
{
	struct mint_key laptop, stranger_ca;
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	uint64_t now = (uint64_t)time(NULL);

	mint_key(&laptop);
	mint_key(&stranger_ca);
	add_user("alice", "root", "sre", &alice);
	uint64_t serial = issue(&laptop);
	cr_expect_eq(lab.certify.body.ca, RPC_CA_CLIENT);
	struct wire in = wire_over(lab.certify.principals, lab.certify.principals_len);
	cr_expect(wire_span_is(wire_string(&in), "alice") && wire_span_is(wire_string(&in), "root") &&
	          wire_done(&in));

	const struct mint_certificate good = {.serial = serial,
	    .type = 1,
	    .key_id = "alice",
	    .principals = {"alice", "root"},
	    .valid_after = now - 60,
	    .valid_before = now + 3600,
	    .extensions = {{"permit-pty", NULL, false}, {"permit-port-forwarding", NULL, false}}};
	begin(1);
	target_of(1, &origin);
	each_fault_is_told(&good, &laptop);
	cr_expect_not(who_is(
	    1, (struct wire_span){blob, mint_certificate(&good, &laptop, &stranger_ca, blob)}, "root", 0)
	                  .accepted);
	forced_command_goes_on(&good, &laptop);
	/* A removed user's certificates are worthless, also when the name comes back. */
	json_t *response;
	lab_result(&lab, "user.rm", json_pack("{s:s}", "name", "alice"), &response);
	json_decref(response);
	add_user("alice", "root", "sre", &alice);
	begin(2);
	target_of(2, &origin);
	size_t len = mint_certificate(&good, &laptop, &lab.cas[RPC_CA_CLIENT], blob);
	cr_expect_not(who_is(2, (struct wire_span){blob, len}, "root", 1).accepted);
}

Test(control, default_deny)
{
	struct mint_key bob, carol, dave, unknown;

	mint_key(&bob);
	mint_key(&carol);
	mint_key(&dave);
	mint_key(&unknown);
	add_user("alice", "oracle", "sre", &alice);
	add_user("bob", "root", "web", &bob);
	add_user("carol", "root", "web", &carol);
	static const struct {
		int who;
		const char *login;
		uint8_t allowed;
		const char *message;
	} cases[] = {
	    {0, "alice", 1, ""},
	    {0, "oracle", 0, "portreeve: login 'oracle' is not allowed to you on 198.51.100.2"},
	    {0, "root", 0, "portreeve: alice is not enrolled for the login name 'root'"},
	    {1, "root", 0,
	        "portreeve: bob may not connect to 198.51.100.2: rule 'prod-ssh' does not list you"},
	    {2, "root", 1, ""},
	    {2, "carol", 1, ""},
	};
	const struct mint_key *keys[] = {&alice, &bob, &carol};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t flow = 10 + i;
		begin(flow);
		target_of(flow, &origin);
		cr_assert(who_is(flow, mint_blob(keys[cases[i].who]), cases[i].login, 1).accepted);
		struct may answer = may(flow, cases[i].login);
		cr_expect_eq(answer.allowed, cases[i].allowed, "case %zu: allowed %u", i, answer.allowed);
		cr_expect(strncmp(answer.message, cases[i].message, strlen(cases[i].message)) == 0,
		    "case %zu: expected \"%s…\", got \"%s\"", i, cases[i].message, answer.message);
		if (!answer.allowed)
			cr_expect(cert(flow, &unknown).error.len > 0,
			    "case %zu: a certificate without permission", i);
	}
	/* A stranger learns nothing. */
	begin(30);
	target_of(30, &origin);
	struct who who = who_is(30, mint_blob(&unknown), "root", 1);
	cr_expect_not(who.accepted);
	cr_expect_str_eq(who.message, "");
	cr_expect_not(may(30, "root").allowed);
	/* The list shows whom a stranger wanted to be, and no user. */
	begin(31);
	target_of(31, &origin);
	cr_expect_not(who_is(31, mint_blob(&unknown), "toor", 1).accepted);
	end_session(31, "auth_failed");
	json_t *response, *newest = json_array_get(session_list(false, &response), 0);
	cr_expect_str_eq(json_string_value(json_object_get(newest, "login")), "toor");
	cr_expect_str_eq(json_string_value(json_object_get(newest, "user")), "");
	json_decref(response);
	/* The login of MAY must be the one that WHO was asked about. */
	cr_expect(who_is(30, mint_blob(&carol), "root", 1).accepted);
	cr_expect_not(may(30, "carol").allowed);
	end_session(30, "refused");
	cr_expect(audited("client.disconnect", "refused"));
}

Test(control, what_comes_out_of_order_gets_nothing)
{
	struct mint_key fresh;

	mint_key(&fresh);
	cr_expect(sign(99).error.len > 0);
	cr_expect(cert(99, &fresh).error.len > 0);
	cr_expect_not(who_is(99, mint_blob(&alice), "root", 1).accepted);
	cr_expect_not(may(99, "root").allowed);
	cr_expect_eq(target_of(99, &origin).verdict, RPC_TARGET_REFUSED);
	add_user("alice", "root", "sre", &alice);
	begin(1);
	cr_expect_not(
	    who_is(1, mint_blob(&alice), "root", 1).accepted, "before the origin is known nobody is anybody");
	cr_expect(sign(1).error.len > 0);
	cr_expect_not(may(1, "root").allowed);
	target_of(1, &origin);
	cr_expect(cert(1, &fresh).error.len > 0);
	cr_expect(who_is(1, mint_blob(&alice), "root", 1).accepted);
	cr_expect(cert(1, &fresh).error.len > 0);
	cr_expect(may(1, "root").allowed);
	cr_expect_not(
	    who_is(1, mint_blob(&alice), "root", 1).accepted, "nobody changes who they are once they are in");
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(cert(1, &fresh).error.len, 0);
	cr_expect(cert(1, &fresh).error.len > 0, "certificates for one session are few");
	/* Rules that are none, generations that never were. */
	cr_expect(strstr(begin_rule(2, 0, 1, 22).error, "connect again") != NULL);
	cr_expect(strstr(begin_rule(3, 9, 1, 22).error, "connect again") != NULL);
	cr_expect(strstr(begin_rule(4, 1, 9, 22).error, "connect again") != NULL);
}

Test(control, a_worker_that_breaks_the_rules_loses_its_link)
{
	LAB_SEND(&lab.workers[1], SES_SIGN, ses_sign, 1, .flow = 1, .hash = {client_addr, 4});
	cr_expect(lab_hung_up(&lab, &lab.workers[1]), "a hash of 4 bytes");
	lab_attach(&lab, &lab.workers[1], RPC_SSHTERM, 1);
	LAB_SEND(&lab.workers[1], SUP_PEER, sup_peer, 1, .role = RPC_SSHTERM, .index = 0, .up = 0);
	cr_expect(lab_hung_up(&lab, &lab.workers[1]), "a message that is the supervisor's");
	lab_attach(&lab, &lab.workers[1], RPC_SSHTERM, 1);
	cr_assert_eq(rpc_send(&lab.workers[1], RPC_SES_WHO, 0, 1, NULL, NULL, 0), 0);
	cr_expect(lab_hung_up(&lab, &lab.workers[1]), "a message without its body");
	/* The other one works on. */
	cr_expect_str_eq(begin(1).error, "");
}

/* -- failures ----------------------------------------------------------------------------------------------
 */

Test(control, kill_and_loss)
{
	struct rpc_message message;
	struct rpc_ses_kill kill;
	json_t *response;

	add_user("alice", "root", "sre", &alice);
	granted_session(1);
	granted_session(2);
	json_t *list = session_list(true, &response);
	cr_assert_eq(json_array_size(list), 2);
	char id[64];
	copy(wire_span_of(json_string_value(json_object_get(json_array_get(list, 0), "session_id"))), id,
	    sizeof(id));
	json_decref(response);
	lab_result(
	    &lab, "session.kill", json_pack("{s:s, s:s}", "id", id, "reason", "lunch\nbreak"), &response);
	json_decref(response);
	lab_await(&lab, WORKER, RPC_SES_KILL, &message);
	cr_assert(rpc_get_ses_kill(message.body, &kill));
	cr_expect(kill.flow == 2 && wire_span_is(kill.reason, "lunch break"), "flow %llu",
	    (unsigned long long)kill.flow);
	end_session(2, "closed");
	json_t *shown = lab_result(&lab, "session.show", json_pack("{s:s}", "id", id), &response);
	cr_expect_str_eq(json_string_value(json_object_get(shown, "close_reason")), "killed");
	json_decref(response);
	cr_expect_eq(lab_error(&lab, "session.kill", json_pack("{s:s}", "id", id), NULL), 3);
	cr_expect_eq(lab_error(&lab, "session.kill", json_pack("{s:s}", "id", "ffffff"), NULL), 3);
	/* The worker dies: its other session is lost. */
	rpc_link_close(WORKER);
	lab_settle(&lab);
	cr_expect_eq(json_array_size(session_list(true, &response)), 0);
	json_decref(response);
	list = session_list(false, &response);
	cr_assert_eq(json_array_size(list), 2);
	cr_expect_str_eq(
	    json_string_value(json_object_get(json_array_get(list, 1), "close_reason")), "worker_lost");
	json_decref(response);
	cr_expect(audited("session.end", "worker_lost"));
}

/* -- shares ------------------------------------------------------------------------------------------------
 */

Test(control, one_worker_cannot_take_all_questions_to_the_keeper)
{
	struct rpc_message message;
	struct rpc_ses_sign_reply reply;
	struct rpc_link *other = &lab.workers[1];
	struct rpc_ses_begin_reply begun;
	const uint32_t share = CALLS_MAX / 2 / 3; /* of two workers, and room */

	begin(1);
	cr_assert(target_of(1, &origin).verdict <= RPC_TARGET_FIRST_USE);
	cr_assert_eq(sign(1).error.len, 0);
	cr_assert_eq(
	    RPC_SEND(other, SES_BEGIN, ses_begin, 0, 1, .flow = 1, .client_addr = CLIENT,
	        .client_port = 40000, .server_addr = SERVER, .server_port = 22, .rule = 1, .generation = 1),
	    0);
	lab_await(&lab, other, RPC_SES_BEGIN_REPLY, &message);
	cr_assert(rpc_get_ses_begin_reply(message.body, &begun) && begun.error.len == 0);
	cr_assert_eq(
	    RPC_SEND(other, SES_TARGET, ses_target, 0, 2, .flow = 1, .host_key = mint_blob(&origin)), 0);
	lab_await(&lab, other, RPC_SES_TARGET_REPLY, &message);

	/* The keeper does not answer; the first worker asks and asks. What is beyond its share is refused at
	 * once, and the other's question is taken all the same. */
	lab.keeper_silent = true;
	for (uint32_t i = 0; i < 2 * share; i++) {
		LAB_SEND(WORKER, SES_SIGN, ses_sign, 100 + i, .flow = 1, .hash = identifier_of(1));
		if (i % 64 == 63)
			lab_idle(&lab, 1); /* the keeper takes them, and says nothing */
	}
	do {
		lab_await(&lab, WORKER, RPC_SES_SIGN_REPLY, &message);
		cr_assert(rpc_get_ses_sign_reply(message.body, &reply));
		cr_assert_gt(reply.error.len, 0);
	} while (memmem(reply.error.at, reply.error.len, "does not answer", 15) != NULL);
	cr_expect_geq(
	    message.id, 100 + share, "question %u of a share of %u was refused", message.id - 100, share);
	uint8_t hash[32] = {7};
	cr_assert_eq(RPC_SEND(other, SES_SIGN, ses_sign, 0, 3, .flow = 1, .hash = {hash, 32}), 0);
	lab.keeper_silent = false;
	lab_await(&lab, other, RPC_SES_SIGN_REPLY, &message);
	cr_assert(rpc_get_ses_sign_reply(message.body, &reply));
	cr_expect_eq(reply.error.len, 0, "the other worker's question was not taken: %.*s",
	    (int)reply.error.len, (const char *)reply.error.at);
}

/* Lines of the audit log that hold the text. */
static unsigned audit_lines(const char *text)
{
	char path[128], line[8192];
	unsigned lines = 0;

	snprintf(path, sizeof(path), "%s/state/audit.jsonl", lab.dir);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	while (fgets(line, sizeof(line), file) != NULL)
		lines += strstr(line, text) != NULL;
	fclose(file);
	return lines;
}

Test(control, strangers_do_not_fill_the_audit_log, .timeout = 300)
{
	const unsigned strangers = STRANGERS_AUDIT_BURST + 3000;
	struct timespec began, ended;

	add_user("alice", "root", "sre", &alice);
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (unsigned i = 0; i < strangers; i++) {
		begin(1000);
		LAB_SEND(WORKER, SES_END, ses_end, 0, .flow = 1000, .reason = wire_span_of("not_ssh"));
	}
	begin(1); /* the last of them is over when this is answered */
	clock_gettime(CLOCK_MONOTONIC, &ended);
	unsigned seconds = (unsigned)(ended.tv_sec - began.tv_sec) + 1;
	unsigned lines = audit_lines("client.disconnect");
	cr_expect_geq(lines, STRANGERS_AUDIT_BURST);
	cr_expect_leq(lines, STRANGERS_AUDIT_BURST + seconds * STRANGERS_AUDIT_PER_S,
	    "%u lines of %u strangers in %u s", lines, strangers, seconds);
	cr_expect_lt(lines, strangers);
	/* Who was let in is told of all the same. */
	granted_session(2);
	LAB_SEND(WORKER, SES_END, ses_end, 0, .flow = 2, .reason = wire_span_of("closed"));
	begin(3);
	cr_expect_eq(audit_lines("session.start"), 1);
	cr_expect_eq(audit_lines("session.end"), 1);
}

/* It is kept by size, so a long line counts as what it takes. */
Test(control, strangers_do_not_fill_it_by_long_lines_either, .timeout = 300)
{
	const unsigned lines_each = 1 + 4000 / STRANGERS_AUDIT_LINE + 1; /* with its client.disconnect */
	const unsigned strangers = STRANGERS_AUDIT_BURST / lines_each + 500;
	char detail[4100];
	struct timespec began, ended;

	clock_gettime(CLOCK_MONOTONIC, &began);
	snprintf(detail, sizeof(detail), "{\"success\":false,\"message\":\"%04000d\"}", 0);
	for (unsigned i = 0; i < strangers; i++) {
		begin(1000);
		LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1000, .event = wire_span_of("auth"),
		    .detail = wire_span_of(detail));
		LAB_SEND(WORKER, SES_END, ses_end, 0, .flow = 1000, .reason = wire_span_of("auth_failed"));
	}
	begin(1);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	unsigned seconds = (unsigned)(ended.tv_sec - began.tv_sec) + 1;
	unsigned lines = audit_lines("\"event\":\"auth\"");
	cr_expect_gt(lines, 1000);
	cr_expect_leq(lines, (STRANGERS_AUDIT_BURST + seconds * STRANGERS_AUDIT_PER_S) / (lines_each - 1) + 1,
	    "%u long lines of %u strangers in %u s", lines, strangers, seconds);
	cr_expect_lt(lines, strangers);
}

Test(control, restart_amidst_sessions)
{
	json_t *response;
	struct mint_key fresh;

	mint_key(&fresh);
	add_user("alice", "root", "sre", &alice);
	granted_session(1);
	granted_session(2);
	json_t *list = session_list(true, &response);
	char id[64], target_id[64];
	copy(wire_span_of(json_string_value(json_object_get(json_array_get(list, 1), "session_id"))), id,
	    sizeof(id));
	copy(wire_span_of(json_string_value(json_object_get(json_array_get(list, 1), "target_id"))),
	    target_id, sizeof(target_id));
	json_decref(response);
	lab_settle_on_disk(&lab);
	lab_kill(&lab);
	lab.keeper_heard[0] = '\0';
	lab.policies = 0;
	lab_start(&lab);
	lab_settle(&lab);
	cr_expect_eq(lab.policies, 1);
	cr_expect_eq(lab.policy_generation, 1, "the policy in force survives, under its generation");
	/* The worker claims more than is true: what was decided counts. */
	LAB_SEND(WORKER, SES_RESUME, ses_resume, 0, .flow = 1, .session_id = wire_span_of(id),
	    .client_addr = CLIENT, .client_port = 40000, .server_addr = SERVER, .server_port = 22, .rule = 1,
	    .generation = 1, .rule_name = wire_span_of("prod-ssh"), .target_id = wire_span_of("SHA256:other"),
	    .user = wire_span_of("carol"), .login = wire_span_of("oracle"), .started_at = 5);
	LAB_SEND(WORKER, SES_RESUME, ses_resume, 0, .flow = 9,
	    .session_id = wire_span_of("aaaaaaaa-0000-4000-8000-000000000000"), .client_addr = CLIENT,
	    .server_addr = SERVER, .rule = 1, .generation = 1, .user = wire_span_of("alice"),
	    .login = wire_span_of("root"));
	lab_settle(&lab);
	json_t *shown = lab_result(&lab, "session.show", json_pack("{s:s}", "id", id), &response);
	cr_expect(json_is_true(json_object_get(shown, "live")));
	cr_expect_str_eq(json_string_value(json_object_get(shown, "user")), "alice");
	cr_expect_str_eq(json_string_value(json_object_get(shown, "target_id")), target_id);
	json_decref(response);
	char expected[128];
	snprintf(expected, sizeof(expected), "SESSION %s 1;", id);
	cr_expect(strstr(lab.keeper_heard, expected) != NULL, "the keeper heard %s", lab.keeper_heard);
	cr_expect_eq(cert(1, &fresh).error.len, 0);
	cr_expect(strstr(lab.certify.key_id, ":alice") != NULL);
	cr_expect(cert(9, &fresh).error.len > 0, "a session that nobody approved gets a certificate");
	cr_expect(sign(9).error.len > 0);
	end_session(1, "closed");
	cr_expect_str_eq(begin(1).error, "");
}

static void resume_as(struct rpc_link *link, uint64_t flow, const char *id, uint32_t rule)
{
	LAB_SEND(link, SES_RESUME, ses_resume, 0, .flow = flow, .session_id = wire_span_of(id),
	    .client_addr = CLIENT, .client_port = 40000, .server_addr = SERVER, .server_port = 2222,
	    .rule = rule, .generation = 1, .rule_name = wire_span_of("prod-ssh"));
}

/* A rule that pins nothing stays the session's rule, whatever the worker says after a restart. */
Test(control, a_resumed_session_keeps_its_rule)
{
	struct begun begun = begin_rule(3, 2, 1, 2222);

	cr_assert_str_eq(begun.rule, "strict-ssh");
	lab_settle_on_disk(&lab);
	lab_kill(&lab);
	lab_start(&lab);
	resume_as(WORKER, 3, begun.session_id, 1);
	cr_expect_eq(target_of(3, &origin).verdict, RPC_TARGET_REFUSED, "the worker chose another rule");
}

/* The id of a session is no key to it: not for another worker, not under another number, not when it is over.
 */
Test(control, a_session_is_taken_up_by_its_own_worker_only)
{
	struct rpc_message message;
	struct rpc_ses_kill kill;
	json_t *response;

	add_user("alice", "root", "sre", &alice);
	granted_session(1);
	json_t *list = session_list(true, &response);
	char id[64];
	copy(wire_span_of(json_string_value(json_object_get(json_array_get(list, 0), "session_id"))), id,
	    sizeof(id));
	json_decref(response);
	resume_as(&lab.workers[1], 7, id, 1);
	lab_await(&lab, &lab.workers[1], RPC_SES_KILL, &message);
	cr_assert(rpc_get_ses_kill(message.body, &kill));
	cr_expect_eq(kill.flow, 7);
	LAB_SEND(&lab.workers[1], SES_END, ses_end, 0, .flow = 7, .reason = wire_span_of("forged"));
	resume_as(WORKER, 8, id, 1);
	lab_await(&lab, WORKER, RPC_SES_KILL, &message);
	lab_settle(&lab);
	json_t *shown = lab_result(&lab, "session.show", json_pack("{s:s}", "id", id), &response);
	cr_expect(json_is_true(json_object_get(shown, "live")), "another worker ended it");
	json_decref(response);
	end_session(1, "closed");
	resume_as(WORKER, 1, id, 1);
	lab_await(&lab, WORKER, RPC_SES_KILL, &message);
	end_session(1, "forged");
	shown = lab_result(&lab, "session.show", json_pack("{s:s}", "id", id), &response);
	cr_expect_str_eq(json_string_value(json_object_get(shown, "close_reason")), "closed");
	json_decref(response);
}

/* Killed right after any of its answers, without the time to write anything more; its successor goes on. */
static void restart_within(uint64_t flow, const char *id)
{
	lab_kill(&lab);
	lab_start(&lab);
	resume_as(WORKER, flow, id, 1);
}

Test(control, a_login_goes_on_whenever_control_is_replaced)
{
	struct mint_key fresh;

	mint_key(&fresh);
	add_user("alice", "root", "sre", &alice);
	struct begun begun = begin(1);
	restart_within(1, begun.session_id);
	cr_assert(target_of(1, &origin).verdict <= RPC_TARGET_FIRST_USE);
	restart_within(1, begun.session_id);
	cr_expect_eq(sign(1).error.len, 0);
	restart_within(1, begun.session_id);
	cr_expect(
	    who_is(1, mint_blob(&alice), "root", 1).accepted, "its exchange hash is not known any more");
	restart_within(1, begun.session_id);
	cr_expect(may(1, "root").allowed);
	restart_within(1, begun.session_id);
	cr_expect_eq(cert(1, &fresh).error.len, 0);
	/* Nor may what was signed for it be signed for another. */
	begin(2);
	target_of(2, &origin);
	memcpy((uint8_t *)identifier_of(2).at, identifier_of(1).at, 32);
	cr_expect(sign(2).error.len > 0);
}

/* What is no text would take the object that quotes it along: a session must not hide from the list so. */
Test(control, a_session_cannot_hide_behind_bytes_that_are_no_text)
{
	json_t *response;

	add_user("alice", "root", "sre", &alice);
	begin(1);
	target_of(1, &origin);
	cr_expect_not(who_is(1, mint_blob(&alice), "ro\xffot", 1).accepted);
	cr_expect_not(who_is(1, mint_blob(&alice), "ro\x1b[2Jot", 1).accepted);
	end_session(1, "clo\xffsed\x1b");
	cr_expect_eq(json_array_size(session_list(false, &response)), 1);
	json_decref(response);
	cr_expect(audited("client.disconnect", "clo?sed "));
}

/* Nobody else would end a worker whose link was dropped. */
Test(control, a_worker_that_breaks_the_rules_is_blamed)
{
	struct rpc_message message;
	struct rpc_sup_blame blame;

	LAB_SEND(&lab.workers[1], KEY_CA, key_ca, 1, .ca = RPC_CA_USER);
	cr_expect(lab_hung_up(&lab, &lab.workers[1]));
	lab_await(&lab, &lab.supervisor, RPC_SUP_BLAME, &message);
	cr_assert(rpc_get_sup_blame(message.body, &blame));
	cr_expect_eq(blame.worker, 1);
	/* One that just went is not. */
	rpc_link_close(WORKER);
	cr_expect(lab_silent(&lab, &lab.supervisor, 200));
}

static void speak_early(void)
{
	LAB_SEND(WORKER, SES_BEGIN, ses_begin, 77, .flow = 50, .client_addr = CLIENT, .client_port = 40000,
	    .server_addr = SERVER, .server_port = 22, .rule = 1, .generation = 1);
	usleep(100000);
}

Test(control, workers_may_speak_before_the_start)
{
	struct rpc_message message;
	struct rpc_ses_begin_reply reply;

	lab_kill(&lab);
	lab.before_start = speak_early;
	lab_start(&lab);
	lab_await(&lab, WORKER, RPC_SES_BEGIN_REPLY, &message);
	cr_assert(rpc_get_ses_begin_reply(message.body, &reply));
	cr_expect_eq(reply.error.len, 0);
}

Test(control, an_event_that_is_too_long_is_cut_not_punished)
{
	static char detail[20000];

	add_user("alice", "root", "sre", &alice);
	granted_session(1);
	strcpy(detail, "{\"x\":\"");
	memset(detail + strlen(detail), 'y', 15000);
	strcat(detail, "\"}");
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("subsystem"),
	    .detail = wire_span_of(detail));
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("port"),
	    .detail = wire_span_of("not json"));
	lab_settle(&lab);
	cr_expect(audited("subsystem", "\"cut\":true"));
	cr_expect(audited("port", "\"user\":\"alice\""));
	cr_expect_str_eq(begin(2).error, "", "the link is still there");
}
