/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the vault gives anything: a session that was granted, by a rule that names the vault, to somebody who
 * has proven who they are. And a client CA's old key: trusted until its time is over. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/sessions/sessions.h"
#include "tests/unit/control/control_steps.h"

#define WITH_VAULT 0 /* the rules, by their places */
#define WITHOUT 1
#define WITH_SHA1 2
#define BY_CERTIFICATE 3

TestSuite(secret, .init = open_lab, .fini = close_lab, .timeout = 300);

static void apply_policy(void)
{
	static const char text[] =
	    "default: allow\nrules:\n"
	    "- {name: v, action: audit_ssh, match: {dst_port: 2300}, ssh: {users: {groups: [sre]}, logins: "
	    "[root], "
	    "identities: [key, origin], origin_auth: [vault, certificate, password], "
	    "command_logging: false}}\n"
	    "- {name: c, action: audit_ssh, match: {dst_port: 2301}, ssh: {users: {groups: [sre]}, logins: "
	    "[root], "
	    "identities: [key], origin_auth: [certificate], command_logging: false}}\n"
	    "- {name: o, action: audit_ssh, match: {dst_port: 2302}, ssh: {users: {groups: [sre]}, logins: "
	    "[root], "
	    "identities: [key], origin_auth: [vault], command_logging: false, legacy: {origin: "
	    "[ssh-rsa]}}}\n"
	    "- {name: f, action: audit_ssh, match: {dst_port: 2303}, ssh: {users: {groups: [sre]}, logins: "
	    "[root], "
	    "identities: [certificate], origin_auth: [vault, certificate], command_logging: false}}\n";
	json_t *response;

	cr_assert(lab_result(&lab, "policy.apply", json_pack("{s:s}", "text", text), &response) != NULL);
	json_decref(response);
}

/* What the worker is answered; the keeper of this lab has a password for everybody. */
static bool secret_given(uint64_t flow)
{
	struct rpc_message message;
	struct rpc_ses_secret_reply reply;
	static const uint8_t box_key[32] = {1};

	LAB_SEND(WORKER, SES_SECRET, ses_secret, 21, .flow = flow, .box_key = {box_key, 32});
	lab_await(&lab, WORKER, RPC_SES_SECRET_REPLY, &message);
	cr_assert(rpc_get_ses_secret_reply(message.body, &reply));
	cr_expect_eq(reply.error.len == 0, reply.kind == RPC_SECRET_PASSWORD && reply.sealed.len > 0);
	return reply.error.len == 0;
}

static bool secret_signed_by(uint64_t flow, const char *algorithm)
{
	struct rpc_message message;
	struct rpc_ses_secret_sign_reply reply;

	LAB_SEND(WORKER, SES_SECRET_SIGN, ses_secret_sign, 22, .flow = flow,
	    .algorithm = wire_span_of(algorithm), .data = wire_span_of("data"));
	lab_await(&lab, WORKER, RPC_SES_SECRET_SIGN_REPLY, &message);
	cr_assert(rpc_get_ses_secret_sign_reply(message.body, &reply));
	cr_expect_eq(reply.error.len == 0, reply.signature.len > 0);
	return reply.error.len == 0;
}

static bool secret_signed(uint64_t flow)
{
	return secret_signed_by(flow, "");
}

static void begin_at(uint64_t flow, uint32_t rule, uint16_t port)
{
	cr_assert_str_eq(begin_rule(flow, rule, 2, port).error, "");
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
}

Test(secret, for_granted_sessions_of_rules_that_name_the_vault)
{
	add_user("alice", "root", "sre", &alice);
	apply_policy();
	cr_expect_not(secret_given(77), "a session that is none");
	begin_at(1, WITH_VAULT, 2300);
	cr_expect_not(secret_given(1), "before anybody has proven anything");
	cr_assert_eq(sign(1).error.len, 0);
	cr_assert(who_is(1, mint_blob(&alice), "root", 1).accepted);
	cr_expect_not(secret_given(1), "before the rule was asked");
	cr_expect_not(secret_signed(1));
	cr_assert(may(1, "root").allowed);
	lab.keeper_heard[0] = '\0';
	cr_expect(secret_given(1));
	cr_expect(strstr(lab.keeper_heard, "SECRET root") != NULL, "got %s", lab.keeper_heard);
	cr_expect(secret_signed(1));
	cr_expect(audited("vault.use", "\"kind\":\"password\""));
	unsigned given = 2;
	while (given < 20 && secret_given(1))
		given++;
	cr_expect_eq(given, SESSION_SECRETS_MAX, "a session may ask without end");

	begin_at(2, WITHOUT, 2301);
	cr_assert_eq(sign(2).error.len, 0);
	cr_assert(who_is(2, mint_blob(&alice), "root", 1).accepted);
	cr_assert(may(2, "root").allowed);
	cr_expect_not(secret_given(2), "the rule does not name the vault");
	cr_expect_not(secret_signed(2));
}

static void granted_at(uint64_t flow, uint32_t rule, uint16_t port)
{
	begin_at(flow, rule, port);
	cr_assert_eq(sign(flow).error.len, 0);
	cr_assert(who_is(flow, mint_blob(&alice), "root", 1).accepted);
	cr_assert(may(flow, "root").allowed);
}

Test(secret, no_sha1_where_the_rule_allows_none)
{
	add_user("alice", "root", "sre", &alice);
	apply_policy();
	granted_at(1, WITH_VAULT, 2300);
	cr_expect_not(secret_signed_by(1, "ssh-rsa"));
	cr_expect(secret_signed_by(1, "rsa-sha2-512"));
	cr_expect(secret_signed_by(1, "ssh-ed25519"));
	granted_at(2, WITH_SHA1, 2302);
	cr_expect(secret_signed_by(2, "ssh-rsa"));
}

/* A worker that was taken over would ask. */
Test(secret, no_certificate_where_the_rule_has_none)
{
	add_user("alice", "root", "sre", &alice);
	apply_policy();
	granted_at(1, WITH_SHA1, 2302);
	cr_expect(cert(1, &alice).error.len > 0);
	granted_at(2, WITH_VAULT, 2300);
	cr_expect_eq(cert(2, &alice).error.len, 0);
}

/* How often the keeper heard that a session lives (1) or is over (0). */
static unsigned keeper_heard(const char *session_id, int live)
{
	char wanted[96];
	unsigned count = 0;

	snprintf(wanted, sizeof(wanted), "SESSION %s %d;", session_id, live);
	for (const char *at = lab.keeper_heard; (at = strstr(at, wanted)) != NULL; at++)
		count++;
	return count;
}

Test(secret, not_once_the_origin_has_changed)
{
	add_user("alice", "root", "sre", &alice);
	apply_policy();
	struct begun begun = begin_rule(1, WITH_VAULT, 2, 2300);
	target_of(1, &origin);
	cr_assert_eq(sign(1).error.len, 0);
	cr_assert(who_is(1, mint_blob(&alice), "root", 1).accepted);
	cr_assert(may(1, "root").allowed);
	cr_assert(secret_given(1) && secret_signed(1));
	cr_assert_eq(cert(1, &alice).error.len, 0);
	cr_assert(keeper_heard(begun.session_id, 1) == 1 && keeper_heard(begun.session_id, 0) == 0);

	cr_expect_eq(target_of(1, &other_origin).verdict, RPC_TARGET_CHANGED);
	lab_settle(&lab);
	cr_expect_eq(
	    keeper_heard(begun.session_id, 0), 1, "else the keeper holds it for ever: %s", lab.keeper_heard);
	cr_expect(sign(1).error.len > 0);
	cr_expect_not(secret_given(1));
	cr_expect_not(secret_signed(1));
	cr_expect(cert(1, &alice).error.len > 0);
	end_session(1, "closed");
	cr_expect_eq(keeper_heard(begun.session_id, 0), 1, "it is told once");
}

Test(secret, not_for_whom_only_the_origin_knows)
{
	add_user("root", "root", "sre", &alice);
	apply_policy();
	begin_at(1, WITH_VAULT, 2300);
	cr_assert(who_by(1, RPC_WHO_ORIGIN, "root").accepted);
	struct may answer = may(1, "root");
	cr_assert(answer.allowed, "%s", answer.message);
	cr_expect(answer.origin_auth_count == 1 && answer.origin_auth[0] == RPC_ORIGIN_PASSWORD);
	cr_expect_not(secret_given(1));
	cr_expect_not(secret_signed(1));
	/* Nor once the origin has let them in: then a worker that was taken over would ask. */
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"password\"}"));
	lab_settle(&lab);
	cr_assert(audited("session.start", "\"user\":\"root\""));
	cr_expect_not(secret_given(1));
	cr_expect_not(secret_signed(1));
}

/* A certificate of our client CA's for alice as root, as `reeve user cert` issues it. */
static struct mint_certificate issued_for(const struct mint_key *laptop)
{
	json_t *response;
	uint64_t now = (uint64_t)time(NULL);
	char *line = mint_line(laptop, "laptop");
	const json_t *issued =
	    lab_result(&lab, "user.cert", json_pack("{s:s, s:s}", "name", "alice", "key", line), &response);
	const struct mint_certificate certificate = {
	    .serial = (uint64_t)json_integer_value(json_object_get(issued, "serial")),
	    .type = 1,
	    .key_id = "alice",
	    .principals = {"root"},
	    .valid_after = now - 60,
	    .valid_before = now + 600};

	json_decref(response);
	free(line);
	return certificate;
}

static struct may let_in_by(
    uint64_t flow, const struct mint_certificate *certificate, const struct mint_key *laptop)
{
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];

	begin_at(flow, BY_CERTIFICATE, 2303);
	cr_assert_eq(sign(flow).error.len, 0);
	cr_assert(who_is(flow,
	    (struct wire_span){blob, mint_certificate(certificate, laptop, &lab.cas[RPC_CA_CLIENT], blob)},
	    "root", 1)
	              .accepted);
	struct may answer = may(flow, "root");
	cr_assert(answer.allowed, "%s", answer.message);
	return answer;
}

/* What the vault has would get them a shell there: the origin knows nothing of the command. */
Test(secret, not_for_whom_a_certificate_forces_a_command)
{
	struct mint_key laptop;

	mint_key(&laptop);
	add_user("alice", "root", "sre", &alice);
	apply_policy();
	struct mint_certificate certificate = issued_for(&laptop);
	cr_expect_eq(let_in_by(1, &certificate, &laptop).origin_auth_count, 2);
	cr_expect(secret_given(1) && secret_signed(1), "without a forced command");

	certificate.critical[0] = (struct mint_option){"force-command", "uptime", false};
	struct may answer = let_in_by(2, &certificate, &laptop);
	cr_expect(answer.origin_auth_count == 1 && answer.origin_auth[0] == RPC_ORIGIN_CERTIFICATE);
	/* Nor for a worker that asks all the same. */
	lab.keeper_heard[0] = '\0';
	cr_expect_not(secret_given(2));
	cr_expect_not(secret_signed(2));
	cr_expect(strstr(lab.keeper_heard, "SECRET") == NULL, "got %s", lab.keeper_heard);
	cr_expect_eq(cert(2, &laptop).error.len, 0, "what keeps to it is theirs");
}

/* Has control the keeper tell it anew which keys the client CA has. */
static void tell_client_cas(uint64_t old_until)
{
	json_t *response;

	lab.old_client_ca = true;
	lab.old_client_ca_until = old_until;
	cr_assert(lab_result(&lab, "ca.show", json_pack("{s:s}", "type", "client"), &response) != NULL);
	json_decref(response);
}

Test(secret, an_old_key_of_the_client_ca_counts_until_its_time_is_over)
{
	struct mint_key laptop;
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	uint64_t now = (uint64_t)time(NULL);

	mint_key(&laptop);
	mint_key(&lab.cas[0]);
	add_user("alice", "root", "sre", &alice);
	const struct mint_certificate certificate = issued_for(&laptop);
	struct wire_span by_old = {blob, mint_certificate(&certificate, &laptop, &lab.cas[0], blob)};
	begin(1);
	target_of(1, &origin);
	cr_expect_not(who_is(1, by_old, "root", 0).accepted, "nobody trusts it yet");
	tell_client_cas(0);
	cr_expect(who_is(1, by_old, "root", 0).accepted, "old, not retired");
	tell_client_cas(now + 600);
	cr_expect(who_is(1, by_old, "root", 0).accepted, "old, its time not over");
	tell_client_cas(now - 1);
	cr_expect_not(who_is(1, by_old, "root", 0).accepted, "its time is over");
}

/* A step that the keeper did later than it was waited for, or had done before: what it retired is not trusted
 * on, whatever the administrator was told. */
Test(secret, a_retired_key_of_the_client_ca_counts_no_more_whatever_became_of_the_step)
{
	struct mint_key laptop;
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];

	mint_key(&laptop);
	mint_key(&lab.cas[0]);
	add_user("alice", "root", "sre", &alice);
	const struct mint_certificate certificate = issued_for(&laptop);
	struct wire_span by_old = {blob, mint_certificate(&certificate, &laptop, &lab.cas[0], blob)};
	begin(1);
	target_of(1, &origin);
	tell_client_cas(0);
	cr_expect(who_is(1, by_old, "root", 0).accepted, "old, not retired");
	lab.old_client_ca = false;
	cr_expect_eq(lab_error(&lab, "ca.create", json_pack("{s:s}", "type", "client"), NULL), 5);
	cr_expect_not(
	    who_is(1, by_old, "root", 0).accepted, "the keeper's refusal says which keys there are");

	tell_client_cas(0);
	cr_expect(who_is(1, by_old, "root", 0).accepted);
	lab.keeper_silent = true;
	cr_expect_eq(lab_error(&lab, "ca.show", json_pack("{s:s}", "type", "client"), NULL), 4);
	lab.keeper_silent = lab.old_client_ca = false;
	cr_expect_not(who_is(1, by_old, "root", 0).accepted, "it did not answer, and did it");
}
