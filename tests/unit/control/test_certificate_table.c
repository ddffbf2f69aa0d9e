/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates, each wrong in one way, shown to the real reeve-control as a worker shows them: what it says,
 * and that a user who is told no has no session. Those of a CA that the rule trusts beside the box's own, and
 * those of security keys, are among them.
 */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/control/control_steps.h"

static struct mint_key corporate, partner, stranger, laptop;

static void apply_policy(void)
{
	char text[2048], *first = mint_line(&corporate, "corporate"), *second = mint_line(&partner, "");
	json_t *response;

	snprintf(text, sizeof(text),
	    "default: allow\nrules:\n  - name: certs\n    action: audit_ssh\n    match: {dst_port: 22}\n    "
	    "ssh:\n"
	    "      users: {groups: [sre]}\n      logins: [root, \"{user}\"]\n      trusted_cas:\n"
	    "        - {key: \"%s\"}\n        - {key: \"%s\", user: principal}\n"
	    "  - name: gear\n    action: audit_ssh\n    match: {dst_port: 2222}\n    ssh: {users: {groups: "
	    "[sre]}, "
	    "logins: [root], origin_auth: [vault], trusted_cas: [{key: \"%s\"}]}\n"
	    "  - name: mixed\n    action: audit_ssh\n    match: {dst_port: 2223}\n    ssh: {users: {groups: "
	    "[sre]}, "
	    "logins: [root], origin_auth: [password, certificate, vault], trusted_cas: [{key: \"%s\"}]}\n",
	    first, second, first, first);
	free(first);
	free(second);
	lab_result(&lab, "policy.apply", json_pack("{s:s}", "text", text), &response);
	json_decref(response);
}

static void open_table(void)
{
	open_lab();
	mint_key(&corporate);
	mint_key(&partner);
	mint_key(&stranger);
	mint_key(&laptop);
	add_user("alice", "root", "sre", &alice);
	add_user("bob", "root", "sre", &other_origin);
	apply_policy();
}

TestSuite(certificate_table, .init = open_table, .fini = close_lab, .timeout = 300);

/* Offers, then proves it, on a flow of its own; what was said to the proof, or to the offer where that
 * failed. */
static struct who shows(uint64_t flow, struct wire_span blob, const char *login)
{
	cr_assert_str_eq(begin_rule(flow, 0, 2, 22).error, "");
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
	struct who who = who_is(flow, blob, login, 0);
	return who.accepted ? who_is(flow, blob, login, 1) : who;
}

struct row {
	const char *what;
	const struct mint_key *ca;
	struct mint_certificate certificate; /* times are relative to now */
	const char *login;
	const char *user;    /* who it is; NULL: refused */
	const char *message; /* how what is told begins, behind "portreeve: " */
	uint8_t sk_flags;    /* of a security key's signature */
};

/* A row says only what it has otherwise. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define GOOD                                                                                                 \
	.serial = 1, .type = 1, .key_id = "alice", .principals = {"root", "alice"}, .valid_after = 60,       \
	.valid_before = 600

static void check(const struct row *rows, size_t count)
{
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	uint64_t now = (uint64_t)time(NULL);

	for (size_t i = 0; i < count; i++) {
		struct mint_certificate c = rows[i].certificate;
		c.valid_after = now - c.valid_after;
		c.valid_before = now + c.valid_before;
		mint_sk_flags = rows[i].sk_flags;
		struct wire_span shown = {blob, mint_certificate(&c, &laptop, rows[i].ca, blob)};
		struct who who = shows(100 + i, shown, rows[i].login);
		cr_expect_eq(who.accepted, rows[i].user != NULL, "%s: %s", rows[i].what, who.message);
		if (rows[i].user != NULL)
			cr_expect_str_eq(who.user, rows[i].user, "%s: it is %s", rows[i].what, who.user);
		else
			cr_expect_not(may(100 + i, rows[i].login).allowed, "%s: got in", rows[i].what);
		const char *told =
		    strncmp(who.message, "portreeve: ", 11) == 0 ? who.message + 11 : who.message;
		cr_expect(rows[i].message[0] == '\0'
		              ? told[0] == '\0'
		              : strncmp(told, rows[i].message, strlen(rows[i].message)) == 0,
		    "%s: expected \"%s\", got \"%s\"", rows[i].what, rows[i].message, told);
		end_session(100 + i, "closed");
	}
}

/* So many of them; each call's are its own. */
static const char *bytes(char byte, size_t len)
{
	static char room[8][8200];
	static unsigned next;
	char *text = room[next++ % 8];

	memset(text, byte, len);
	text[len] = '\0';
	return text;
}

/* A list of so many bytes, with the client's address at its end. */
static const char *addresses(size_t len)
{
	static char room[8][8200];
	static unsigned next;
	static const char last[] = "198.51.100.1";
	char *text = room[next++ % 8];
	size_t used = 0;

	while (len - used > 45)
		used += (size_t)sprintf(text + used, "203.0.113.0/24,");
	/* The one before the last takes what is left. */
	int left = (int)(len - used - strlen(last) - strlen("203.0.113.0/,"));
	sprintf(text + used, "203.0.113.0/%0*d,%s", left, 24, last);
	return text;
}

Test(certificate_table, of_a_trusted_ca)
{
	const struct row rows[] = {
	    {"good", &corporate, {GOOD}, "root", "alice", "", 1},
	    {"no serial was ever given out here", &corporate, {GOOD, .serial = 0}, "root", "alice", "", 1},
	    {"expired", &corporate, {GOOD, .valid_before = (uint64_t)-5}, "root", NULL,
	        "your certificate expired at 20", 1},
	    {"not yet valid", &corporate, {GOOD, .valid_after = (uint64_t)-300}, "root", NULL,
	        "your certificate is not valid before 20", 1},
	    {"wrong principal", &corporate, {GOOD, .principals = {"postgres"}}, "root", NULL,
	        "your certificate is not for the login name that you asked for (root)", 1},
	    {"no principals", &corporate, {GOOD, .principals = {NULL}}, "root", NULL,
	        "your certificate names no login", 1},
	    {"wrong CA", &stranger, {GOOD}, "root", NULL, "", 1},
	    {"another CA's name, its signature", &corporate, {GOOD, .spoil_signature = true}, "root", NULL,
	        "", 1},
	    {"a host's", &corporate, {GOOD, .type = 2}, "root", NULL,
	        "your certificate is not a user certificate", 1},
	    {"of no type", &corporate, {GOOD, .type = 0}, "root", NULL,
	        "your certificate is not a user certificate", 1},
	    {"nobody's key id", &corporate, {GOOD, .key_id = "mallory"}, "root", NULL,
	        "your certificate is of 'mallory', who is not enrolled here", 1},
	    {"no key id", &corporate, {GOOD, .key_id = ""}, "root", NULL,
	        "your certificate has no usable key id", 1},
	    {"unknown critical option", &corporate, {GOOD, .critical = {{"x@example.org", "1", false}}},
	        "root", NULL, "your certificate has a critical option that is not supported here", 1},
	    {"source-address elsewhere", &corporate,
	        {GOOD, .critical = {{"source-address", "203.0.113.0/24", false}}}, "root", NULL,
	        "your certificate may not be used from the address", 1},
	    {"source-address here", &corporate,
	        {GOOD, .critical = {{"source-address", "203.0.113.0/24,198.51.100.1", false}}}, "root",
	        "alice", "", 1},
	    {"malformed source-address", &corporate,
	        {GOOD, .critical = {{"source-address", "198.51.100.0/33", false}}}, "root", NULL,
	        "your certificate has a source-address that cannot be read", 1},
	    {"force-command", &corporate, {GOOD, .critical = {{"force-command", "uptime", false}}}, "root",
	        "alice", "", 1},
	    {"force-command twice", &corporate,
	        {GOOD, .critical = {{"force-command", "a", false}, {"force-command", "b", false}}}, "root",
	        NULL, "your certificate has a force-command that cannot be read", 1},
	    {"the longest force-command", &corporate,
	        {GOOD, .critical = {{"force-command", bytes('c', 8192), false}}}, "root", "alice", "", 1},
	    {"one byte more", &corporate, {GOOD, .critical = {{"force-command", bytes('c', 8193), false}}},
	        "root", NULL, "your certificate has a force-command of more than 8192 bytes", 1},
	    {"the longest source-address", &corporate,
	        {GOOD, .critical = {{"source-address", addresses(4096), false}}}, "root", "alice", "", 1},
	    {"one byte more", &corporate, {GOOD, .critical = {{"source-address", addresses(4097), false}}},
	        "root", NULL, "your certificate has a source-address of more than 4096 bytes", 1},
	    {"both at once", &corporate,
	        {GOOD, .critical = {{"force-command", bytes('c', 8192), false},
	                   {"source-address", addresses(4096), false}}},
	        "root", "alice", "", 1},
	    {"unknown extension", &corporate, {GOOD, .extensions = {{"x@example.org", "1", false}}}, "root",
	        "alice", "", 1},
	    {"by principal: it names one", &partner, {GOOD, .key_id = "whatever", .principals = {"alice"}},
	        "root", "alice", "", 1},
	    {"by principal: no key id", &partner, {GOOD, .key_id = "", .principals = {"alice"}}, "root",
	        "alice", "", 1},
	    {"by principal: a key id that is longer than any name", &partner,
	        {GOOD, .key_id = bytes('k', 300), .principals = {"alice"}}, "root", "alice", "", 1},
	    {"a key id that is longer than any name", &corporate, {GOOD, .key_id = bytes('k', 300)}, "root",
	        NULL, "your certificate has no usable key id", 1},
	    {"by principal: one of several is enrolled", &partner, {GOOD, .principals = {"eng", "bob", "x"}},
	        "root", "bob", "", 1},
	    {"by principal: two are", &partner, {GOOD, .principals = {"alice", "bob"}}, "root", NULL,
	        "your certificate names several users", 1},
	    {"by principal: the login says which", &partner, {GOOD, .principals = {"alice", "bob"}}, "bob",
	        "bob", "", 1},
	    {"by principal: none is", &partner, {GOOD, .principals = {"mallory"}}, "root", NULL,
	        "none of your certificate's principals is enrolled", 1},
	    {"the box's own CA's, of a serial that it never gave out", &lab.cas[RPC_CA_CLIENT], {GOOD},
	        "root", NULL, "your certificate is not valid any more", 1},
	};

	check(rows, sizeof(rows) / sizeof(rows[0]));
}

Test(certificate_table, of_security_keys)
{
	const struct mint_option no_touch = {"no-touch-required", NULL, false},
	                         verify = {"verify-required", NULL, false};
	const struct row rows[] = {
	    {"touched", &corporate, {GOOD, .sk = true}, "root", "alice", "", 1},
	    {"not touched", &corporate, {GOOD, .sk = true}, "root", NULL, "", 0},
	    {"not touched, and need not be", &corporate, {GOOD, .sk = true, .extensions = {no_touch}}, "root",
	        "alice", "", 0},
	    {"known by PIN, and need not be", &corporate, {GOOD, .sk = true}, "root", "alice", "", 5},
	    {"touched, not known", &corporate, {GOOD, .sk = true, .critical = {verify}}, "root", NULL, "", 1},
	    {"known, not touched", &corporate, {GOOD, .sk = true, .critical = {verify}}, "root", NULL, "", 4},
	    {"touched and known", &corporate, {GOOD, .sk = true, .critical = {verify}}, "root", "alice", "",
	        5},
	    {"known, and no touch is asked", &corporate,
	        {GOOD, .sk = true, .critical = {verify}, .extensions = {no_touch}}, "root", "alice", "", 4},
	    {"verify-required with a value", &corporate,
	        {GOOD, .sk = true, .critical = {{"verify-required", "x", false}}}, "root", NULL,
	        "your certificate has a verify-required that cannot be read", 5},
	};

	check(rows, sizeof(rows) / sizeof(rows[0]));
	mint_sk_flags = 1;
}

static struct may may_by(uint64_t flow, uint32_t rule, const char *command)
{
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	uint64_t now = (uint64_t)time(NULL);
	struct mint_certificate c = {GOOD};

	c.valid_after = now - 60;
	c.valid_before = now + 600;
	if (command != NULL)
		c.critical[0] = (struct mint_option){"force-command", command, false};
	cr_assert_str_eq(begin_rule(flow, rule, 2, (uint16_t)(2221 + rule)).error, "");
	target_of(flow, &origin);
	cr_assert(
	    who_is(flow, (struct wire_span){blob, mint_certificate(&c, &laptop, &corporate, blob)}, "root", 1)
	        .accepted);
	return may(flow, "root");
}

/* A password or key of the vault's would let them do anything. */
Test(certificate_table, a_forced_command_goes_by_certificate_alone)
{
	cr_expect(may_by(1, 1, NULL).allowed);
	struct may answer = may_by(2, 1, "uptime");
	cr_expect(!answer.allowed && strstr(answer.message, "your certificate forces a command") != NULL,
	    "got %s", answer.message);
	cr_expect_eq(may_by(3, 2, NULL).origin_auth_count, 3);
	answer = may_by(4, 2, "uptime");
	cr_expect(answer.allowed && answer.origin_auth_count == 1 &&
	              answer.origin_auth[0] == RPC_ORIGIN_CERTIFICATE,
	    "got %s", answer.message);
}

/* What cannot stand in JSON would take the whole reason with it. */
Test(certificate_table, a_reason_that_is_cut_within_a_letter_is_audited)
{
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	uint64_t now = (uint64_t)time(NULL);
	struct mint_certificate c = {GOOD};
	char key_id[122] = "x";

	for (size_t i = 1; i + 2 < sizeof(key_id); i += 2)
		memcpy(key_id + i, "\xc3\xa9", 2);
	c.key_id = key_id;
	c.valid_after = now - 60;
	c.valid_before = now + 600;
	cr_expect_not(
	    shows(1, (struct wire_span){blob, mint_certificate(&c, &laptop, &corporate, blob)}, "root")
	        .accepted);
	end_session(1, "client_closed");
	lab_settle(&lab);
	cr_expect(audited("auth", "\"error\":\"your certificate is of 'x"));
}

/* Whole or nothing, wherever it is cut or changed. */
Test(certificate_table, cut_at_each_byte)
{
	uint8_t blob[PUBLIC_KEY_BLOB_MAX], bad[PUBLIC_KEY_BLOB_MAX];
	uint64_t now = (uint64_t)time(NULL);
	struct mint_certificate c = {GOOD};

	c.valid_after = now - 60;
	c.valid_before = now + 600;
	size_t len = mint_certificate(&c, &laptop, &corporate, blob);
	begin_rule(1, 0, 2, 22);
	target_of(1, &origin);
	cr_assert(who_is(1, (struct wire_span){blob, len}, "root", 0).accepted);
	for (size_t i = 0; i < len; i++) {
		struct who who = who_is(1, (struct wire_span){blob, i}, "root", 0);
		cr_expect(!who.accepted && who.message[0] == '\0', "cut to %zu bytes: %s", i, who.message);
		memcpy(bad, blob, len);
		bad[i] ^= 0x10;
		who = who_is(1, (struct wire_span){bad, len}, "root", 0);
		cr_expect(!who.accepted && who.message[0] == '\0', "byte %zu changed: %s", i, who.message);
	}
	blob[len] = 0;
	cr_expect_not(who_is(1, (struct wire_span){blob, len + 1}, "root", 0).accepted, "a byte too many");
}

/* A CA's key that is itself a certificate is no CA, also where its plain key is. */
Test(certificate_table, a_certificate_is_no_ca)
{
	uint8_t of_ca[PUBLIC_KEY_BLOB_MAX], blob[PUBLIC_KEY_BLOB_MAX], room[2 * PUBLIC_KEY_BLOB_MAX];
	struct mint_certificate c = {GOOD};
	uint64_t now = (uint64_t)time(NULL);
	uint8_t signature[64], signature_blob[83];

	c.valid_after = now - 60;
	c.valid_before = now + 600;
	size_t ca_len = mint_certificate(&c, &corporate, &corporate, of_ca);
	size_t len = mint_certificate(&c, &laptop, &corporate, blob);
	/* The CA's blob and the signature are the last two strings: 4 + 51 and 4 + 83 bytes. */
	struct wire_out out = wire_into(room, sizeof(room)),
	                sig = wire_into(signature_blob, sizeof(signature_blob));
	wire_put_bytes(&out, blob, len - 55 - 87);
	wire_put_string(&out, of_ca, ca_len);
	crypto_sign_detached(signature, NULL, room, wire_written(&out), corporate.secret);
	wire_put_cstring(&sig, "ssh-ed25519");
	wire_put_string(&sig, signature, sizeof(signature));
	wire_put_string(&out, signature_blob, wire_written(&sig));
	struct who who = shows(1, (struct wire_span){room, wire_written(&out)}, "root");
	cr_expect(!who.accepted && who.message[0] == '\0', "%s", who.message);
}

/* Without an answer of the keeper's, those of trusted CAs are judged all the same. */
Test(certificate_table, a_trusted_ca_needs_no_keeper)
{
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	struct mint_certificate c = {GOOD};
	uint64_t now = (uint64_t)time(NULL);

	c.valid_after = now - 60;
	c.valid_before = now + 600;
	size_t len = mint_certificate(&c, &laptop, &corporate, blob);
	begin_rule(1, 0, 2, 22);
	target_of(1, &origin);
	lab.ca_exists[RPC_CA_CLIENT] = false;
	lab_attach(&lab, &lab.keeper, RPC_KEEPER, 0);
	lab_settle(&lab);
	lab.keeper_silent = true;
	cr_expect(who_is(1, (struct wire_span){blob, len}, "root", 0).accepted);
	lab.keeper_silent = false;
}
