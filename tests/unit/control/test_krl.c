/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation lists as ssh-keygen makes them: the same verdicts as its own, each way to be damaged, and in
 * force. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/certificate/krl.h"
#include "tests/unit/control/control_steps.h"
#include "tests/unit/control/folder.h"

static char directory[FOLDER_PATH_SIZE];

/* A shell command in the test's directory; its exit status. */
static int shell(const char *format, ...)
{
	char command[4096], line[4200];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(line, sizeof(line), "cd %s && { %s; } >/dev/null 2>&1", directory, command);
	return WEXITSTATUS(system(line));
}

static void make_directory(void)
{
	cr_assert(sodium_init() >= 0);
	folder_make(directory, "krl");
}

static void remove_directory(void)
{
	folder_remove(directory);
}

static size_t read_bytes(const char *name, uint8_t *bytes, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	size_t len = fread(bytes, 1, size, file);
	fclose(file);
	return len;
}

/* The blob in a .pub file, a certificate's or a key's. */
static size_t blob_of(const char *name, uint8_t *blob, size_t size)
{
	char text[16384], *base64;
	size_t len = read_bytes(name, (uint8_t *)text, sizeof(text) - 1), blob_len = 0;

	text[len] = '\0';
	base64 = strchr(text, ' ') + 1;
	base64[strcspn(base64, " \n")] = '\0';
	cr_assert_eq(sodium_base642bin(blob, size, base64, strlen(base64), NULL, &blob_len, NULL,
	                 sodium_base64_VARIANT_ORIGINAL),
	    0);
	return blob_len;
}

static enum krl_verdict verdict(const char *list, const char *key)
{
	static uint8_t bytes[1 << 20];
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	struct krl krl;
	size_t len = read_bytes(list, bytes, sizeof(bytes));
	const char *wrong = krl_parse((struct wire_span){bytes, len}, &krl);

	cr_assert_null(wrong, "%s %s", list, wrong);
	return krl_check(&krl, (struct wire_span){blob, blob_of(key, blob, sizeof(blob))});
}

TestSuite(krl, .init = make_directory, .fini = remove_directory, .timeout = 300);

/* Certificates NAME-SERIAL of key `ed` by two CAs. */
static const char *const serials[] = {"0", "1", "5", "10", "15", "20", "21", "100", "101", "104",
    "4294967296", "4294967297", "5000000000", "18446744073709551615"};

static void make_lists(void)
{
	static const struct {
		const char *name, *spec;
		bool of_ca;
	} lists[] = {
	    {"serials", "serial: 5\\nserial: 10-20\\nserial: 100\\nserial: 102\\nserial: 104\\n", true},
	    {"range", "serial: 1-4294967296\\n", true},
	    {"last", "serial: 18446744073709551615\\n", true},
	    {"sparse", "serial: 5\\nserial: 5000000000\\nserial: 18000000000000000000\\n", true},
	    {"ids", "id: alice\\nid: carol\\n", true},
	    {"wildcard", "serial: 10-20\\nid: carol\\n", false},
	    {"empty", "", false},
	};

	cr_assert_eq(shell("ssh-keygen -q -t ed25519 -N '' -f ca; ssh-keygen -q -t ecdsa -N '' -f ca2; for t "
	                   "in ed:ed25519 "
	                   "ec:ecdsa rsa:rsa other:ed25519; do ssh-keygen -q -t ${t#*:} -N '' -f ${t%%:*} || "
	                   "exit 1; done"),
	    0);
	for (size_t s = 0; s < sizeof(serials) / sizeof(serials[0]); s++)
		cr_assert_eq(shell("for c in ca ca2; do ssh-keygen -q -s $c -I bob -n x -z %s ed.pub && mv "
		                   "ed-cert.pub c-$c-%s.pub || exit 1; done",
		                 serials[s], serials[s]),
		    0);
	cr_assert_eq(
	    shell("ssh-keygen -q -s ca -I alice -n x -z 77 ed.pub && mv ed-cert.pub c-ca-alice.pub"), 0);
	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
		cr_assert_eq(shell("printf '%s' >spec; ssh-keygen -k -f %s -s %s spec", lists[l].spec,
		                 lists[l].name, lists[l].of_ca ? "ca.pub" : "none"),
		    0, "%s", lists[l].name);
	cr_assert_eq(shell("{ printf 'key: '; cat ed.pub; printf 'sha1: '; cat ec.pub; printf 'sha256: '; "
	                   "cat rsa.pub; } >spec && "
	                   "ssh-keygen -k -f explicit spec && ssh-keygen -k -f certs c-ca-15.pub && "
	                   "ssh-keygen -k -f cas ca2.pub && "
	                   "cp explicit both && ssh-keygen -k -u -s ca -f both c-ca-5.pub"),
	    0);
}

/* Each list asked about each key: as ssh-keygen -Q answers. */
Test(krl, verdicts_as_ssh_keygen)
{
	static const char *const keys[] = {"ed", "ec", "rsa", "other"};
	unsigned revoked = 0, asked = 0;

	make_lists();
	static const char *const all[] = {"serials", "range", "last", "sparse", "ids", "wildcard", "empty",
	    "explicit", "certs", "cas", "both"};
	for (size_t l = 0; l < sizeof(all) / sizeof(all[0]); l++) {
		char name[128];
		for (size_t k = 0; k < 4 + 2 * sizeof(serials) / sizeof(serials[0]) + 1; k++) {
			size_t s = (k - 4) / 2;
			if (k < 4)
				snprintf(name, sizeof(name), "%s.pub", keys[k]);
			else if (s < sizeof(serials) / sizeof(serials[0]))
				snprintf(
				    name, sizeof(name), "c-%s-%s.pub", k % 2 == 0 ? "ca" : "ca2", serials[s]);
			else
				snprintf(name, sizeof(name), "c-ca-alice.pub");
			bool theirs = shell("ssh-keygen -Q -f %s %s", all[l], name) != 0;
			enum krl_verdict ours = verdict(all[l], name);
			cr_expect_eq(ours != KRL_FINE, theirs, "%s: ssh-keygen says %s of %s, we %s", all[l],
			    theirs ? "revoked" : "fine", name, krl_verdict_text(ours));
			revoked += theirs;
			asked++;
		}
	}
	cr_expect(revoked > 40 && asked - revoked > 100, "%u of %u: the lists are not what was meant",
	    revoked, asked);
	cr_expect_eq(verdict("cas", "c-ca2-1.pub"), KRL_CA);
	cr_expect_eq(verdict("ids", "c-ca-alice.pub"), KRL_KEY_ID);
	cr_expect_eq(verdict("serials", "c-ca-15.pub"), KRL_SERIAL);
	cr_expect_eq(verdict("explicit", "c-ca-15.pub"), KRL_KEY);
}

/* -- damage ------------------------------------------------------------------------------------------------
 */

static uint8_t room[4096];

static struct wire_out header(void)
{
	struct wire_out out = wire_into(room, sizeof(room));

	wire_put_bytes(&out, "SSHKRL\n\0", 8);
	wire_put_u32(&out, 1);
	wire_put_u64(&out, 3);
	wire_put_u64(&out, 1000);
	wire_put_u64(&out, 0);
	wire_put_cstring(&out, "");
	wire_put_cstring(&out, "made\x1bhere");
	return out;
}

static const char *parsed(const struct wire_out *out, struct krl *krl)
{
	return krl_parse((struct wire_span){room, wire_written(out)}, krl);
}

/* One section of certificates of every CA, with one section in it. */
static const char *certificates(uint8_t type, const void *data, size_t len, struct krl *krl)
{
	uint8_t inner[512];
	struct wire_out out = header(), section = wire_into(inner, sizeof(inner));

	wire_put_cstring(&section, "");
	wire_put_cstring(&section, "");
	wire_put_u8(&section, type);
	wire_put_string(&section, data, len);
	wire_put_u8(&out, 1);
	wire_put_string(&out, inner, wire_written(&section));
	return parsed(&out, krl);
}

Test(krl, damaged)
{
	struct krl krl;
	static const uint8_t range[16] = {0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5};
	static const uint8_t zero[8] = {0};
	static const uint8_t bits[14] = {
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 2, 0x7f, 0xff};
	static const uint8_t id[6] = {0, 0, 0, 2, 'a', 0};
	static const uint8_t needed[] = {0, 0, 0, 1, 'x', 1, 0, 0, 0, 0},
	                     spare[] = {0, 0, 0, 1, 'x', 0, 0, 0, 0, 0};

	struct wire_out out = header();
	cr_expect_null(parsed(&out, &krl));
	cr_expect(krl.version == 3 && krl.generated == 1000);
	cr_expect_str_eq(krl.comment, "made?here");
	cr_expect_not_null(certificates(0x21, range, 16, &krl), "from 9 to 5");
	cr_expect_not_null(certificates(0x20, zero, 8, &krl), "serial 0");
	cr_expect_not_null(certificates(0x20, zero, 7, &krl), "half a serial");
	cr_expect_not_null(certificates(0x22, bits, sizeof(bits), &krl), "a bitmap beyond the last serial");
	cr_expect_not_null(certificates(0x23, id, sizeof(id), &krl), "a NUL in a key id");
	cr_expect_not_null(certificates(0x24, id, sizeof(id), &krl), "a kind that nobody knows");
	cr_expect_not_null(certificates(0x39, needed, sizeof(needed), &krl), "a critical extension");
	cr_expect_null(certificates(0x39, spare, sizeof(spare), &krl), "one that need not be known");
	out = header();
	wire_put_u8(&out, 3);
	wire_put_string(&out, "\0\0\0\x02hi", 6);
	cr_expect_not_null(parsed(&out, &krl), "a hash of 2 bytes");
	out = header();
	wire_put_u8(&out, 9);
	wire_put_cstring(&out, "");
	cr_expect_not_null(parsed(&out, &krl), "a section that nobody knows");
	out = header();
	wire_put_u8(&out, 4);
	wire_put_cstring(&out, "key");
	wire_put_cstring(&out, "signature");
	cr_expect_null(parsed(&out, &krl), "a signature is passed by");
	wire_put_u8(&out, 2);
	wire_put_cstring(&out, "");
	cr_expect_not_null(parsed(&out, &krl), "something behind the signature");
}

Test(krl, cut_anywhere)
{
	static uint8_t bytes[8192];
	struct krl krl;

	cr_assert_eq(shell("ssh-keygen -q -t ed25519 -N '' -f ca; ssh-keygen -q -t ed25519 -N '' -f k; "
	                   "printf 'serial: 5-9\\nid: x\\n' >spec; "
	                   "ssh-keygen -k -s ca.pub -f list spec; ssh-keygen -k -u -f list k.pub"),
	    0);
	size_t len = read_bytes("list", bytes, sizeof(bytes)), whole = 0;
	for (size_t i = 0; i < len; i++)
		whole += krl_parse((struct wire_span){bytes, i}, &krl) == NULL;
	/* A list may end behind its header, and behind each section. */
	cr_expect_leq(whole, 2, "%zu of its beginnings are lists", whole);
	cr_expect_null(krl_parse((struct wire_span){bytes, len}, &krl));
	cr_expect(krl.serials == 5 && krl.key_ids == 1 && krl.keys == 1);
}

/* -- in force ----------------------------------------------------------------------------------------------
 */

static void open_both(void)
{
	make_directory();
	open_lab();
}

static void close_both(void)
{
	close_lab();
	remove_directory();
}

TestSuite(krl_in_force, .init = open_both, .fini = close_both, .timeout = 300);

/* Revokes what the line of a specification says; the whole response. */
static json_t *load_list(const char *line, bool kill)
{
	static uint8_t bytes[8192];
	char path[256], text[12000];

	snprintf(path, sizeof(path), "%s/spec", directory);
	FILE *file = fopen(path, "w");
	fputs(line, file);
	fclose(file);
	cr_assert_eq(shell("rm -f list; ssh-keygen -k -s none -z 4 -f list spec"), 0);
	size_t len = read_bytes("list", bytes, sizeof(bytes));
	sodium_bin2base64(text, sizeof(text), bytes, len, sodium_base64_VARIANT_ORIGINAL);
	return lab_call(&lab, "krl.load", json_pack("{s:s, s:b}", "krl", text, "kill", kill));
}

static void revoke_key(const struct mint_key *key, bool kill, int killed)
{
	char line[512], *pub = mint_line(key, "x");

	snprintf(line, sizeof(line), "key: %s\n", pub);
	free(pub);
	json_t *response = load_list(line, kill);
	json_t *result = json_object_get(response, "result");
	cr_assert_not_null(
	    result, "%s", json_string_value(json_object_get(json_object_get(response, "error"), "message")));
	cr_expect_eq(json_integer_value(json_object_get(result, "killed")), killed);
	cr_expect_eq(json_integer_value(json_object_get(result, "version")), 4);
	cr_expect_eq(json_integer_value(json_object_get(result, "keys")), 1);
	json_decref(response);
}

static struct who try_key(uint64_t flow, const struct mint_key *key)
{
	begin(flow);
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
	return who_is(flow, mint_blob(key), "root", 0);
}

Test(krl_in_force, keys_and_live_sessions)
{
	struct rpc_message message;
	struct rpc_ses_kill kill;

	add_user("alice", "root", "sre", &alice);
	add_user("bob", "root", "sre", &other_origin);
	granted_session(1);
	cr_expect(try_key(2, &other_origin).accepted);
	revoke_key(&alice, false, 0);
	struct who who = try_key(3, &alice);
	cr_expect_not(who.accepted);
	cr_expect(strstr(who.message, "your key is revoked") != NULL, "got %s", who.message);
	cr_expect(try_key(4, &other_origin).accepted, "bob's is not");
	/* Over a restart: the list is in force, and a session that goes on is still known by its key. */
	json_t *response, *list = session_list(true, &response);
	char session_id[64] = "";
	size_t i;
	json_t *row;
	json_array_foreach(list, i, row)
	{
		if (json_is_true(json_object_get(row, "granted")))
			snprintf(session_id, sizeof(session_id), "%s",
			    json_string_value(json_object_get(row, "session_id")));
	}
	json_decref(response);
	lab_settle_on_disk(&lab);
	lab_kill(&lab);
	lab_start(&lab);
	cr_expect_not(try_key(5, &alice).accepted);
	LAB_SEND(WORKER, SES_RESUME, ses_resume, 0, .flow = 1, .session_id = wire_span_of(session_id),
	    .client_addr = CLIENT, .client_port = 40000, .server_addr = SERVER, .server_port = 22, .rule = 1,
	    .generation = 1);
	revoke_key(&alice, true, 1);
	lab_await(&lab, WORKER, RPC_SES_KILL, &message);
	cr_assert(rpc_get_ses_kill(message.body, &kill));
	cr_expect_eq(kill.flow, 1);
	lab_result(&lab, "krl.clear", NULL, &response);
	json_decref(response);
	cr_expect(try_key(6, &alice).accepted);
	cr_expect_eq(lab_error(&lab, "krl.clear", NULL, NULL), 3);
	cr_expect_eq(lab_error(&lab, "krl.show", NULL, NULL), 3);
	cr_expect(audited("krl.load", "\"version\":4") && audited("krl.clear", ""));
}

Test(krl_in_force, certificates_and_their_ca)
{
	json_t *response;
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	struct mint_key laptop;
	char line[512];

	mint_key(&laptop);
	add_user("alice", "root", "sre", &alice);
	char *pub = mint_line(&laptop, "");
	json_t *result =
	    lab_result(&lab, "user.cert", json_pack("{s:s, s:s}", "name", "alice", "key", pub), &response);
	uint64_t serial = (uint64_t)json_integer_value(json_object_get(result, "serial"));
	json_decref(response);
	free(pub);
	const struct mint_certificate c = {.serial = serial,
	    .type = 1,
	    .key_id = "alice",
	    .principals = {"root"},
	    .valid_after = (uint64_t)time(NULL) - 60,
	    .valid_before = (uint64_t)time(NULL) + 600};
	struct wire_span shown = {blob, mint_certificate(&c, &laptop, &lab.cas[RPC_CA_CLIENT], blob)};
	const struct {
		const struct mint_key *key;
		const char *spec, *told;
	} rows[] = {{NULL, "serial: ", "your certificate is revoked (its serial number is)"},
	    {NULL, "id: alice\n", "your certificate is revoked (its key id is)"},
	    {&laptop, "", "your certificate is revoked (its key is)"},
	    {&lab.cas[RPC_CA_CLIENT], "", "your certificate is revoked (its CA is)"},
	    {NULL, "id: bob\n", ""}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].key != NULL) {
			pub = mint_line(rows[i].key, "x");
			snprintf(line, sizeof(line), "sha256: %s\n", pub);
			free(pub);
		} else {
			snprintf(line, sizeof(line), "%s%llu\n", rows[i].spec, (unsigned long long)serial);
			if (strncmp(line, "serial", 6) != 0)
				line[strlen(rows[i].spec)] = '\0';
		}
		response = load_list(line, false);
		cr_assert_not_null(json_object_get(response, "result"), "row %zu", i);
		json_decref(response);
		begin(10 + i);
		target_of(10 + i, &origin);
		struct who who = who_is(10 + i, shown, "root", 0);
		cr_expect_eq(who.accepted, rows[i].told[0] == '\0', "row %zu: %s", i, who.message);
		cr_expect(strstr(who.message, rows[i].told) != NULL, "row %zu: got %s", i, who.message);
	}
}

Test(krl_in_force, a_damaged_one_changes_nothing_and_one_in_the_database_stops_all)
{
	char path[128], *message;
	json_t *response;
	sqlite3 *db;

	add_user("alice", "root", "sre", &alice);
	add_user("bob", "root", "sre", &other_origin);
	revoke_key(&alice, false, 0);
	cr_expect_eq(lab_error(&lab, "krl.load", json_pack("{s:s}", "krl", "U1NIS1JMCgAAAAAB"), &message), 2);
	cr_expect(
	    strstr(message, "is cut or damaged; what was in force stays so") != NULL, "got %s", message);
	free(message);
	cr_expect_eq(lab_error(&lab, "krl.load", json_pack("{s:s}", "krl", ""), NULL), 2);
	cr_expect_eq(lab_error(&lab, "krl.load", json_pack("{s:s}", "krl", "!!"), NULL), 2);
	cr_expect_not(try_key(1, &alice).accepted);
	cr_expect(try_key(2, &other_origin).accepted);
	lab_kill(&lab);
	snprintf(path, sizeof(path), "%s/state/control.db", lab.dir);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(
	    sqlite3_exec(db, "UPDATE krl SET bytes = substr(bytes, 1, 44)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	lab_start(&lab);
	struct who who = try_key(3, &other_origin);
	cr_expect_not(who.accepted, "nobody can tell whether it is revoked");
	cr_expect(strstr(who.message, "cannot tell which keys are revoked") != NULL, "got %s", who.message);
	cr_expect_eq(lab_error(&lab, "krl.show", NULL, NULL), 4);
	lab_result(&lab, "krl.clear", NULL, &response);
	json_decref(response);
	cr_expect(try_key(4, &alice).accepted);
}
