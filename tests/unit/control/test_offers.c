/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit log says of the keys that a client offered, refused or let in. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/sessions/offers.h"
#include "tests/unit/control/control_steps.h"

static struct mint_key stranger, laptop, other_ca;

static void open_offers(void)
{
	open_lab();
	mint_key(&stranger);
	mint_key(&laptop);
	mint_key(&other_ca);
	add_user("alice", "root", "sre", &alice);
}

TestSuite(offers, .init = open_offers, .fini = close_lab, .timeout = 300);

/* The last line of the audit log with this event, parsed; the caller's. */
static json_t *last(const char *event)
{
	char path[128], line[32768];
	json_t *found = NULL;

	snprintf(path, sizeof(path), "%s/state/audit.jsonl", lab.dir);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		json_t *object = json_loads(line, 0, NULL);
		cr_assert_not_null(object, "%s", line);
		if (strcmp(json_string_value(json_object_get(object, "event")), event) == 0) {
			json_decref(found);
			found = json_incref(object);
		}
		json_decref(object);
	}
	fclose(file);
	cr_assert_not_null(found, "no event %s", event);
	return found;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "(none)" : text;
}

static const char *fingerprint_of(struct wire_span blob)
{
	static char text[PUBLIC_KEY_FINGERPRINT_SIZE];

	public_key_fingerprint(blob, text);
	return text;
}

static void begin_login(uint64_t flow)
{
	cr_assert_str_eq(begin(flow).error, "");
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
}

static struct wire_span certificate(
    const struct mint_key *ca, const char *key_id, uint64_t serial, int valid_s)
{
	static uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	uint64_t now = (uint64_t)time(NULL);
	const struct mint_certificate c = {.serial = serial,
	    .type = 1,
	    .key_id = key_id,
	    .principals = {"root"},
	    .valid_after = now - 600,
	    .valid_before = now + (uint64_t)valid_s};

	return (struct wire_span){blob, mint_certificate(&c, &laptop, ca, blob)};
}

static void fail_login(uint64_t flow, const char *detail)
{
	LAB_SEND(WORKER, SES_EVENT, ses_event, 0, .flow = flow, .event = wire_span_of("auth"),
	    .detail = wire_span_of(detail));
	end_session(flow, "auth_failed");
}

static void untaken(uint64_t flow, struct wire_span blob)
{
	struct rpc_message message;
	struct rpc_ses_who_reply reply;

	LAB_SEND(WORKER, SES_WHO, ses_who, 6, .flow = flow, .login = wire_span_of("root"), .public_key = blob,
	    .method = RPC_WHO_UNTAKEN);
	lab_await(&lab, WORKER, RPC_SES_WHO_REPLY, &message);
	cr_assert(rpc_get_ses_who_reply(message.body, &reply));
	cr_expect(reply.accepted == 0 && reply.message.len == 0);
}

Test(offers, a_refused_login_says_which_keys)
{
	begin_login(1);
	cr_expect_not(who_is(1, mint_blob(&stranger), "root", 0).accepted);
	cr_expect_not(
	    who_is(1, certificate(&other_ca, "a\x1b[31m\xff", UINT64_MAX, 600), "root", 0).accepted);
	cr_expect_not(who_is(1, certificate(&lab.cas[RPC_CA_CLIENT], "alice", 7, -5), "root", 0).accepted);
	cr_expect_not(who_is(1, mint_blob(&stranger), "root", 0).accepted, "the same once more");
	fail_login(1, "{\"success\":false,\"reason\":\"auth_failed\",\"offered\":[\"not said by a worker\"],"
	              "\"offered_more\":9}");
	json_t *event = last("auth"), *offered = json_object_get(event, "offered");
	cr_assert_eq(json_array_size(offered), 3);
	cr_expect_str_eq(text_of(event, "login"), "root", "who they wanted to be");
	cr_expect_null(json_object_get(event, "offered_more"));

	const json_t *key = json_array_get(offered, 0);
	cr_expect_str_eq(text_of(key, "type"), "ssh-ed25519");
	cr_expect_str_eq(text_of(key, "fingerprint"), fingerprint_of(mint_blob(&stranger)));
	cr_expect_str_eq(text_of(key, "login"), "root");
	cr_expect_str_eq(text_of(key, "refused"), "nobody is enrolled with it");
	cr_expect(json_is_false(json_object_get(key, "proven")));
	cr_expect_null(json_object_get(key, "ca_trusted"), "it is no certificate");

	const json_t *strange = json_array_get(offered, 1);
	cr_expect_str_eq(text_of(strange, "type"), "ssh-ed25519-cert-v01@openssh.com");
	cr_expect_str_eq(text_of(strange, "fingerprint"), fingerprint_of(mint_blob(&laptop)), "the key's");
	cr_expect_str_eq(text_of(strange, "key_id"), "a [31m?");
	cr_expect_str_eq(text_of(strange, "serial"), "18446744073709551615");
	cr_expect_str_eq(text_of(strange, "ca"), fingerprint_of(mint_blob(&other_ca)));
	cr_expect(json_is_false(json_object_get(strange, "ca_trusted")));
	cr_expect_str_eq(text_of(strange, "refused"), "its CA does not count here");

	const json_t *old = json_array_get(offered, 2);
	cr_expect_str_eq(text_of(old, "key_id"), "alice");
	cr_expect_eq(json_integer_value(json_object_get(old, "serial")), 7);
	cr_expect(json_is_true(json_object_get(old, "ca_trusted")));
	cr_expect(strstr(text_of(old, "refused"), "expired at 20") != NULL, "%s", text_of(old, "refused"));
	json_decref(event);
}

/* Also where the worker died before it could say anything. */
Test(offers, a_lost_login_says_it_too)
{
	begin_login(1);
	untaken(1, (struct wire_span){(const uint8_t *)"\0\0\0\7ssh-dss....", 15});
	untaken(1, (struct wire_span){(const uint8_t *)"\xff", 1});
	rpc_link_close(WORKER);
	lab_settle(&lab);
	json_t *event = last("auth"), *offered = json_object_get(event, "offered");
	cr_assert_eq(json_array_size(offered), 2);
	cr_expect_str_eq(text_of(json_array_get(offered, 0), "type"), "ssh-dss");
	cr_expect(strstr(text_of(json_array_get(offered, 0), "refused"), "not judged: ") != NULL);
	cr_expect_str_eq(text_of(json_array_get(offered, 1), "type"), "unknown");
	cr_expect_str_eq(text_of(event, "login"), "root");
	json_decref(event);
}

Test(offers, no_more_than_so_many_are_kept)
{
	struct mint_key keys[OFFERS_MAX + 3];

	begin_login(1);
	for (unsigned i = 0; i < OFFERS_MAX + 3; i++) {
		mint_key(&keys[i]);
		cr_expect_not(who_is(1, mint_blob(&keys[i]), "root", 0).accepted);
	}
	cr_expect_not(who_is(1, mint_blob(&keys[0]), "root", 0).accepted);
	end_session(1, "gave_up");
	json_t *event = last("auth"), *offered = json_object_get(event, "offered");
	cr_assert_eq(json_array_size(offered), OFFERS_MAX);
	cr_expect_str_eq(text_of(json_array_get(offered, OFFERS_MAX - 1), "fingerprint"),
	    fingerprint_of(mint_blob(&keys[OFFERS_MAX - 1])));
	cr_expect_eq(json_integer_value(json_object_get(event, "offered_more")), 3);
	json_decref(event);
}

Test(offers, who_is_let_in_leaves_those_before)
{
	begin_login(1);
	cr_expect_not(who_is(1, mint_blob(&stranger), "root", 0).accepted);
	cr_expect(who_is(1, mint_blob(&alice), "root", 0).accepted);
	cr_expect(who_is(1, mint_blob(&alice), "root", 1).accepted);
	json_t *event = last("auth"), *offered = json_object_get(event, "offered");
	cr_expect(json_is_true(json_object_get(event, "success")));
	cr_expect_str_eq(text_of(event, "fingerprint"), fingerprint_of(mint_blob(&alice)));
	cr_expect_str_eq(text_of(event, "type"), "ssh-ed25519");
	cr_assert_eq(json_array_size(offered), 1, "the one that did it is the event's own");
	cr_expect_str_eq(
	    text_of(json_array_get(offered, 0), "fingerprint"), fingerprint_of(mint_blob(&stranger)));
	json_decref(event);

	/* Known, and yet not let in: the key stands there, proven. */
	cr_expect_not(may(1, "postgres").allowed);
	fail_login(1, "{\"success\":false,\"reason\":\"denied\"}");
	event = last("auth");
	offered = json_object_get(event, "offered");
	cr_assert_eq(json_array_size(offered), 2);
	const json_t *own = json_array_get(offered, 1);
	cr_expect_str_eq(text_of(own, "fingerprint"), fingerprint_of(mint_blob(&alice)));
	cr_expect(json_is_true(json_object_get(own, "proven")));
	cr_expect_null(json_object_get(own, "refused"));
	json_decref(event);
}

/* The client, or a worker that was taken over, offers it once more and says less of it. */
Test(offers, what_was_proven_stays_so)
{
	struct wire_span expired = certificate(&lab.cas[RPC_CA_CLIENT], "alice", 7, -5);

	begin_login(1);
	cr_assert(who_is(1, mint_blob(&alice), "root", 1).accepted);
	cr_expect_not(who_is(1, expired, "root", 0).accepted);
	untaken(1, mint_blob(&alice));
	untaken(1, expired);
	fail_login(1, "{\"success\":false,\"reason\":\"denied\"}");
	json_t *event = last("auth"), *offered = json_object_get(event, "offered");
	cr_assert_eq(json_array_size(offered), 2);
	const json_t *key = json_array_get(offered, 0), *old = json_array_get(offered, 1);
	cr_expect(json_is_true(json_object_get(key, "proven")));
	cr_expect(strstr(text_of(key, "refused"), "not judged: ") != NULL, "what came of it last");
	cr_expect(json_is_true(json_object_get(old, "ca_trusted")));
	cr_expect(json_is_false(json_object_get(old, "proven")), "nobody has shown it");
	json_decref(event);
}

/* A worker's word that a key was proven is none. */
Test(offers, what_was_not_proven_is_not_said_to_be)
{
	begin_login(1);
	(void)sign(1);
	cr_expect_not(who_shows(1, mint_blob(&alice), "root", wire_span_of("no signature")).accepted);
	end_session(1, "auth_failed");
	json_t *event = last("auth");
	const json_t *key = json_array_get(json_object_get(event, "offered"), 0);
	cr_expect(json_is_false(json_object_get(key, "proven")));
	cr_expect_str_eq(text_of(key, "refused"), "its signature does not hold");
	json_decref(event);
}

Test(offers, of_a_certificate_that_lets_in_its_particulars_are_told)
{
	json_t *response;
	char text[512], *line = mint_line(&other_ca, "");

	snprintf(text, sizeof(text),
	    "default: allow\nrules:\n  - {name: c, action: audit_ssh, match: {dst_port: 22}, ssh: {users: "
	    "{groups: [sre]}, logins: [root], trusted_cas: [{key: \"%s\"}]}}\n",
	    line);
	free(line);
	lab_result(&lab, "policy.apply", json_pack("{s:s}", "text", text), &response);
	json_decref(response);
	cr_assert_str_eq(begin_rule(1, 0, 2, 22).error, "");
	cr_assert(target_of(1, &origin).verdict <= RPC_TARGET_FIRST_USE);
	cr_assert(who_is(1, certificate(&other_ca, "alice", 41, 600), "root", 1).accepted);
	json_t *event = last("auth");
	cr_expect_str_eq(text_of(event, "method"), "certificate");
	cr_expect_str_eq(text_of(event, "fingerprint"), fingerprint_of(mint_blob(&laptop)));
	cr_expect_str_eq(text_of(event, "key_id"), "alice");
	cr_expect_eq(json_integer_value(json_object_get(event, "serial")), 41);
	cr_expect_str_eq(text_of(event, "ca"), fingerprint_of(mint_blob(&other_ca)));
	json_decref(event);
}
