/* SPDX-License-Identifier: Apache-2.0 */
/* What told who somebody is may be taken back while they log in: a user removed, a key or certificate
 * revoked, a key enrolled no more, an address unbound. It is looked at again with MAY, and with all that is
 * asked of the keeper for the origin, which ends once the origin has let the session in. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/control/control_steps.h"

TestSuite(taken_back, .init = open_lab, .fini = close_lab, .timeout = 300);

static void call(const char *method, json_t *params)
{
	json_t *response;

	lab_result(&lab, method, params, &response);
	json_decref(response);
}

static void apply_policy(void)
{
	static const char text[] =
	    "default: allow\nrules:\n"
	    "- {name: v, action: audit_ssh, match: {dst_port: 2300}, ssh: {users: {groups: [sre]}, logins: "
	    "[root], identities: [certificate, key, address], origin_auth: [vault, certificate, agent], "
	    "command_logging: false}}\n";

	call("policy.apply", json_pack("{s:s}", "text", text));
}

/* A list that revokes this key alone, put in force. */
static void revoke(struct wire_span blob)
{
	uint8_t list[512], inner[128];
	char text[1024];
	struct wire_out out = wire_into(list, sizeof(list)), section = wire_into(inner, sizeof(inner));

	wire_put_string(&section, blob.at, blob.len);
	wire_put_bytes(&out, "SSHKRL\n\0", 8);
	wire_put_u32(&out, 1);
	wire_put_u64(&out, 3);
	wire_put_u64(&out, 1000);
	wire_put_u64(&out, 0);
	wire_put_cstring(&out, "");
	wire_put_cstring(&out, "");
	wire_put_u8(&out, 2); /* KRL_SECTION_EXPLICIT_KEY */
	wire_put_string(&out, inner, wire_written(&section));
	sodium_bin2base64(text, sizeof(text), list, wire_written(&out), sodium_base64_VARIANT_ORIGINAL);
	call("krl.load", json_pack("{s:s}", "krl", text));
}

static void bind(void)
{
	call("identity.bind", json_pack("{s:s, s:s}", "address", "198.51.100.1", "user", "alice"));
}

static void unbind(void)
{
	call("identity.unbind", json_pack("{s:s}", "address", "198.51.100.1"));
}

static void remove_user(void)
{
	call("user.rm", json_pack("{s:s}", "name", "alice"));
}

static void revoke_key(void)
{
	revoke(mint_blob(&alice));
}

static void take_keys(void)
{
	call("user.change", json_pack("{s:s, s:[]}", "name", "alice", "keys"));
}

/* The same name, somebody else. */
static void enrol_anew(void)
{
	remove_user();
	add_user("alice", "root", "sre", &alice);
}

static void give_to_bob(void)
{
	call("identity.bind", json_pack("{s:s, s:s}", "address", "198.51.100.1", "user", "bob"));
}

/* Their worker is told, and goes on asking. */
static void kill_it(void)
{
	struct rpc_message message;
	json_t *response;
	const json_t *listed =
	    lab_result(&lab, "sessions.ls", json_pack("{s:b, s:i}", "live", 1, "limit", 1), &response);
	const json_t *newest = json_array_get(json_object_get(listed, "sessions"), 0);
	json_t *id = json_copy(json_object_get(newest, "session_id"));

	json_decref(response);
	call("session.kill", json_pack("{s:o}", "id", id));
	lab_await(&lab, WORKER, RPC_SES_KILL, &message);
}

static const struct taking {
	void (*take)(void);
	bool by_address;
	const char *told;
} takings[] = {{remove_user, false, "was removed"}, {enrol_anew, false, "was removed"},
    {revoke_key, false, "your key is revoked"}, {take_keys, false, "your key is not enrolled any more"},
    {unbind, true, "is not signed in any more"}, {give_to_bob, true, "is not signed in any more"},
    {kill_it, false, "the session was ended"}};
#define TAKINGS (sizeof(takings) / sizeof(takings[0]))

static void enrol(void)
{
	if (lab_error(&lab, "krl.clear", json_object(), NULL) == 0)
		lab_settle(&lab);
	(void)lab_error(&lab, "user.rm", json_pack("{s:s}", "name", "alice"), NULL);
	add_user("alice", "root", "sre", &alice);
	bind();
}

/* Who it is, as the taking has it. */
static void come(uint64_t flow, const struct taking *taking)
{
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
	cr_assert_eq(sign(flow).error.len, 0);
	cr_assert(taking->by_address ? who_by(flow, RPC_WHO_ADDRESS, "root").accepted
	                             : who_is(flow, mint_blob(&alice), "root", 1).accepted);
}

static void show_code(uint64_t flow)
{
	struct rpc_message message;
	struct rpc_ses_factor_reply reply;

	LAB_SEND(WORKER, SES_FACTOR, ses_factor, 12, .flow = flow, .code = wire_span_of("123456"));
	lab_await(&lab, WORKER, RPC_SES_FACTOR_REPLY, &message);
	cr_assert(rpc_get_ses_factor_reply(message.body, &reply));
	cr_assert(reply.accepted);
}

Test(taken_back, while_a_code_is_typed)
{
	add_user("bob", "root", "sre", &other_origin);
	for (size_t i = 0; i < TAKINGS; i++) {
		uint64_t flow = i + 1;
		enrol();
		cr_assert_str_eq(begin_rule(flow, 5, 1, 2202).error, "");
		come(flow, &takings[i]);
		takings[i].take();
		show_code(flow);
		struct may answer = may(flow, "root");
		cr_expect(!answer.allowed && strstr(answer.message, takings[i].told) != NULL,
		    "taking %zu: got '%s'", i, answer.message);
	}
	enrol();
	cr_assert_str_eq(begin_rule(50, 5, 1, 2202).error, "");
	come(50, &takings[0]);
	show_code(50);
	cr_expect(may(50, "root").allowed, "nothing was taken back");
}

/* The error that the worker is answered; the keeper of this lab has a password and a key for everybody. */
static const char *secret(uint64_t flow)
{
	static char error[256];
	struct rpc_message message;
	struct rpc_ses_secret_reply reply;
	static const uint8_t box_key[32] = {1};

	LAB_SEND(WORKER, SES_SECRET, ses_secret, 21, .flow = flow, .box_key = {box_key, 32});
	lab_await(&lab, WORKER, RPC_SES_SECRET_REPLY, &message);
	cr_assert(rpc_get_ses_secret_reply(message.body, &reply));
	copy(reply.error, error, sizeof(error));
	return error;
}

static const char *secret_sign(uint64_t flow)
{
	static char error[256];
	struct rpc_message message;
	struct rpc_ses_secret_sign_reply reply;

	LAB_SEND(WORKER, SES_SECRET_SIGN, ses_secret_sign, 22, .flow = flow, .data = wire_span_of("data"));
	lab_await(&lab, WORKER, RPC_SES_SECRET_SIGN_REPLY, &message);
	cr_assert(rpc_get_ses_secret_sign_reply(message.body, &reply));
	copy(reply.error, error, sizeof(error));
	return error;
}

static const char *certificate(uint64_t flow)
{
	static char error[256];

	copy(cert(flow, &alice).error, error, sizeof(error));
	return error;
}

static const char *(*const gifts[])(uint64_t flow) = {certificate, secret, secret_sign};
#define GIFTS (sizeof(gifts) / sizeof(gifts[0]))

Test(taken_back, nothing_for_the_origin_then)
{
	add_user("bob", "root", "sre", &other_origin);
	apply_policy();
	for (size_t i = 0; i < TAKINGS; i++) {
		uint64_t flow = i + 1;
		enrol();
		cr_assert_str_eq(begin_rule(flow, 0, 2, 2300).error, "");
		come(flow, &takings[i]);
		cr_assert(may(flow, "root").allowed);
		for (size_t g = 0; g < GIFTS; g++)
			cr_expect_str_eq(gifts[g](flow), "", "taking %zu, gift %zu", i, g);
		takings[i].take();
		for (size_t g = 0; g < GIFTS; g++) {
			const char *error = gifts[g](flow);
			cr_expect(strstr(error, takings[i].told) != NULL, "taking %zu, gift %zu: got '%s'", i,
			    g, error);
		}
	}
}

static void told_of_origin(uint64_t flow, const char *detail)
{
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = flow, .event = wire_span_of("origin.auth"),
	    .detail = wire_span_of(detail));
	lab_settle(&lab);
}

/* Of the first flow, under apply_policy's rule. */
static void restart(const struct begun *begun)
{
	lab_settle_on_disk(&lab);
	lab_kill(&lab);
	lab_start(&lab);
	LAB_SEND(WORKER, SES_RESUME, ses_resume, 0, .flow = 1, .session_id = wire_span_of(begun->session_id),
	    .client_addr = CLIENT, .client_port = 40000, .server_addr = SERVER, .server_port = 2300,
	    .generation = 2, .rule_name = wire_span_of("v"));
}

Test(taken_back, nothing_more_once_the_origin_has_let_them_in)
{
	enrol();
	apply_policy();
	struct begun begun = begin_rule(1, 0, 2, 2300);
	come(1, &takings[0]);
	cr_assert(may(1, "root").allowed);
	told_of_origin(1, "{\"method\":\"certificate\",\"success\":false,\"partial\":false}");
	told_of_origin(1, "{\"method\":\"certificate\",\"success\":true,\"partial\":true}");
	for (size_t g = 0; g < GIFTS; g++)
		cr_expect_str_eq(gifts[g](1), "", "gift %zu: the origin wants more", g);
	told_of_origin(1, "{\"method\":\"vault\",\"success\":true,\"partial\":false}");
	for (size_t g = 0; g < GIFTS; g++)
		cr_expect(gifts[g](1)[0] != '\0', "gift %zu: nothing is left to be opened", g);

	/* Nor from control's successor. */
	restart(&begun);
	for (size_t g = 0; g < GIFTS; g++)
		cr_expect(strstr(gifts[g](1), "let this session in already") != NULL, "gift %zu", g);
}

/* A name is not a person: control's successor does not take one for the other. */
Test(taken_back, by_a_name_that_is_somebody_elses_now)
{
	enrol();
	apply_policy();
	struct begun begun = begin_rule(1, 0, 2, 2300);
	come(1, &takings[0]);
	cr_assert(may(1, "root").allowed);
	restart(&begun);
	for (size_t g = 0; g < GIFTS; g++)
		cr_expect_str_eq(gifts[g](1), "", "gift %zu: it is still alice", g);
	enrol_anew();
	restart(&begun);
	for (size_t g = 0; g < GIFTS; g++)
		cr_expect(strstr(gifts[g](1), "was removed") != NULL, "gift %zu", g);
}

/* Whom the origin judges was looked at before somebody typed a password there. */
Test(taken_back, while_the_origin_asks)
{
	struct rpc_message message;
	struct rpc_ses_kill kill;

	add_user("alice", "alice", "sre", &alice);
	begin_rule(1, 3, 1, 2200);
	target_of(1, &origin);
	cr_assert(who_by(1, RPC_WHO_ORIGIN, "alice").accepted && may(1, "alice").allowed);
	remove_user();
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = 1, .event = wire_span_of("auth"),
	    .detail = wire_span_of("{\"success\":true,\"method\":\"password\"}"));
	lab_await(&lab, WORKER, RPC_SES_KILL, &message);
	cr_assert(rpc_get_ses_kill(message.body, &kill));
	cr_expect(kill.flow == 1 && wire_span_is(kill.reason, "portreeve: user alice was removed"));
}
