/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of known_hosts files, and certificates of hosts wrong in one way each. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/certificate/host_certificate.h"
#include "control/identity/known_memo.h"
#include "control/sessions/origin_key.h"
#include "tests/unit/control/folder.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"

static struct words names(const char *one, const char *two)
{
	struct words list = {0};

	cr_assert(words_add(&list, one) && (two == NULL || words_add(&list, two)));
	return list;
}

static bool matches(const char *patterns, const char *one, const char *two)
{
	char text[512];
	struct known_line line;
	struct words list = names(one, two);

	snprintf(text, sizeof(text), "%s " KEY, patterns);
	cr_assert_null(known_line_parse(text, strlen(text), &line), "%s", text);
	bool result = known_line_matches(&line, &list);
	known_line_free(&line);
	words_free(&list);
	return result;
}

Test(known_hosts, patterns)
{
	cr_expect(matches("web1", "web1", NULL));
	cr_expect(matches("WEB1", "web1", NULL));
	cr_expect_not(matches("web1", "web11", NULL));
	cr_expect_not(matches("web11", "web1", NULL));
	cr_expect(matches("db,web1", "web1", NULL));
	cr_expect(matches("web?", "web1", NULL));
	cr_expect_not(matches("web?", "web", NULL));
	cr_expect(matches("*", "2001:db8::2", NULL));
	cr_expect(matches("*.example.com", "a.b.example.com", NULL));
	cr_expect_not(matches("*.example.com", "example.com", NULL));
	cr_expect(matches("a*b*c", "aXbbXc", NULL));
	cr_expect_not(matches("a*b*c", "aXbbXcd", NULL));
	cr_expect(matches("[web1]:2222", "[web1]:2222", NULL));
	cr_expect_not(matches("[web1]:2222", "web1", NULL));
	cr_expect(matches("web1", "198.51.100.2", "web1"));
	/* Who is negated by one name is not let in by another. */
	cr_expect_not(matches("!web1,*", "web1", NULL));
	cr_expect_not(matches("*,!web1", "198.51.100.2", "web1"));
	cr_expect(matches("!web2,*", "web1", NULL));
	/* A pattern made to cost time. */
	char stars[200], long_name[250];
	for (int i = 0; i < 99; i++)
		memcpy(stars + 2 * i, "*a", 2);
	memcpy(stars + 198, "b", 2);
	memset(long_name, 'a', 249);
	long_name[249] = '\0';
	cr_expect_not(matches(stars, long_name, NULL));
}

Test(known_hosts, hashed_names)
{
	/* ssh-keygen -H of "web1". */
	const char *hashed = "|1|UHaxf9isWQHSc9q491ev8wpgqYY=|x8PhKY8E9pxyLkrDywjQLrYbvzY=";

	cr_expect(matches(hashed, "web1", NULL));
	cr_expect(matches(hashed, "198.51.100.2", "web1"));
	cr_expect_not(matches(hashed, "web2", NULL));
	cr_expect_not(matches("|1|", "web1", NULL));
	cr_expect_not(matches("|1|AAAA|AAAA", "web1", NULL));
	cr_expect_not(matches("|2|AAAA|AAAA", "web1", NULL));
}

/* Thousands of hashed lines are hashed once for a name, not at each connection. */
static int64_t test_ms = 1;
static int64_t now_ms(void)
{
	return test_ms;
}

/* Ever new names, as strangers can ask for: a bounded number of them, and nobody who was here before pays. */
static void ask_for_strangers(
    const struct known_hosts *known, struct wire_span blob, const struct words *here)
{
	char name[32], last[32] = "";
	unsigned answered = 0;

	for (unsigned i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "2001:db8::%x", i);
		struct words stranger = names(name, NULL);
		enum known_verdict verdict = known_hosts_check(known, &stranger, blob);
		cr_assert(verdict == KNOWN_NONE || verdict == KNOWN_BUSY, "%s", name);
		answered += verdict == KNOWN_NONE;
		if (verdict == KNOWN_NONE)
			memcpy(last, name, sizeof(last));
		words_free(&stranger);
	}
	cr_expect_leq(answered, KNOWN_MEMO_BURST / 20000 + 1, "%u were searched for", answered);
	cr_expect_geq(answered, KNOWN_MEMO_BURST / 20000 - 10, "%u were searched for", answered);
	cr_expect_eq(known_hosts_check(known, here, blob), KNOWN_HERE);
	/* Of the others, each may have lost its place to a later one. */
	struct words kept = names(last, NULL), late = names("2001:db8::ffff", NULL);
	char algorithms[64] = "";
	cr_expect_eq(
	    known_hosts_check(known, &kept, blob), KNOWN_NONE, "what it is not is forgotten at once");
	cr_expect_not(known_hosts_algorithms(known, &late, &late, algorithms, sizeof(algorithms)));
	test_ms += 25; /* for one name, and not for two */
	cr_expect(known_hosts_algorithms(known, &late, &late, algorithms, sizeof(algorithms)));
	cr_expect_str_eq(algorithms, "");
	words_free(&late);
	late = names("2001:db8::fffe", NULL);
	cr_expect_eq(known_hosts_check(known, &late, blob), KNOWN_BUSY);
	words_free(&late);
	words_free(&kept);
}

Test(known_hosts, hashed_names_are_kept, .timeout = 300)
{
	struct known_hosts known = {.now_ms = now_ms};
	struct words web = names("web1", NULL), other = names("198.51.100.2", "web2"), list;
	char path[FOLDER_PATH_SIZE], file[FOLDER_PATH_SIZE + 16], error[256], *text = calloc(1, 20000 * 160),
	                                                                      *at = text;
	struct known_import result;
	struct database db;
	struct public_key_line key;
	char algorithms[512];

	cr_assert_not_null(text);
	folder_make(path, "known");
	snprintf(file, sizeof(file), "%s/control.db", path);
	cr_assert(database_open(&db, file, error, sizeof(error)), "%s", error);
	at += sprintf(at, "|1|UHaxf9isWQHSc9q491ev8wpgqYY=|x8PhKY8E9pxyLkrDywjQLrYbvzY= " KEY "\n");
	for (unsigned i = 1; i < 19999; i++)
		at += sprintf(at, "|1|UHaxf9isWQHSc9q491e%07u0=|x8PhKY8E9pxyLkrDywjQLrYbvzY= " KEY "\n", i);
	sprintf(at, "plain1 " KEY "\n");
	cr_assert(known_hosts_import(&known, &db, text, false, &result), "%s", result.wrong);
	cr_assert_null(public_key_line_parse(KEY, strlen(KEY), &key));
	struct wire_span blob = {key.blob, key.blob_len};
	for (unsigned i = 0; i < 2000; i++) {
		cr_assert_eq(known_hosts_check(&known, &web, blob), KNOWN_HERE);
		cr_assert_eq(known_hosts_check(&known, &web, wire_span_of("another")), KNOWN_OTHER);
		cr_assert_eq(known_hosts_check(&known, &other, blob), KNOWN_NONE);
	}
	algorithms[0] = '\0';
	known_hosts_algorithms(&known, &web, &web, algorithms, sizeof(algorithms));
	cr_expect_str_eq(algorithms, "ssh-ed25519");
	list = names("plain1", NULL);
	cr_expect_eq(known_hosts_check(&known, &list, blob), KNOWN_HERE);
	ask_for_strangers(&known, blob, &web);
	/* Other lines, other answers. */
	cr_assert(known_hosts_import(&known, &db, "web2 " KEY, true, &result));
	cr_expect_eq(known_hosts_check(&known, &web, blob), KNOWN_NONE);
	cr_expect_eq(known_hosts_check(&known, &other, blob), KNOWN_HERE);
	words_free(&list);
	words_free(&web);
	words_free(&other);
	known_hosts_free(&known);
	database_close(&db);
	free(text);
	folder_remove(path);
}

/* While strangers use up what may be looked for, what is pinned is neither refused nor asked for otherwise.
 */
static void while_strangers_ask(struct database *db, const struct known_hosts *known, struct wire_span blob)
{
	struct origin_key key;
	struct words stranger = names("2001:db8::ffff", NULL);
	char list[512];
	enum policy_host_keys mode = POLICY_HOST_KEYS_KNOWN_HOSTS;

	cr_assert_eq(known_hosts_check(known, &stranger, blob), KNOWN_BUSY);
	words_free(&stranger);
	cr_expect(origin_key_algorithms(db, known, "198.51.100.1", mode, list, sizeof(list)));
	cr_expect_str_eq(list, "ssh-ed25519", "pinned by an administrator");
	cr_assert(origin_key_read(&key, blob, false));
	cr_expect_eq(origin_key_judge(&key, db, known, "198.51.100.1", mode, 0), ORIGIN_KNOWN);
	cr_expect(origin_key_algorithms(db, known, "198.51.100.2", mode, list, sizeof(list)));
	cr_expect_str_eq(list, "ssh-ed25519", "pinned when it was first met");
	cr_expect_eq(origin_key_judge(&key, db, known, "198.51.100.2", mode, 0), ORIGIN_BUSY);
	cr_expect_not(origin_key_algorithms(db, known, "198.51.100.3", mode, list, sizeof(list)));
	cr_expect(
	    origin_key_algorithms(db, known, "198.51.100.2", POLICY_HOST_KEYS_STRICT, list, sizeof(list)));
}

Test(known_hosts, strangers_keep_nobody_from_what_is_pinned)
{
	struct known_hosts known = {.now_ms = now_ms};
	char path[FOLDER_PATH_SIZE], file[FOLDER_PATH_SIZE + 16], error[256], list[512], *text, *at;
	struct known_import result;
	struct database db;
	struct public_key_line key;

	cr_assert_not_null(text = calloc(1, 2000 * 160));
	folder_make(path, "known");
	snprintf(file, sizeof(file), "%s/control.db", path);
	cr_assert(database_open(&db, file, error, sizeof(error)), "%s", error);
	at = text;
	for (unsigned i = 0; i < 2000; i++)
		at += sprintf(at, "|1|UHaxf9isWQHSc9q491e%07u0=|x8PhKY8E9pxyLkrDywjQLrYbvzY= " KEY "\n", i);
	cr_assert(known_hosts_import(&known, &db, text, false, &result), "%s", result.wrong);
	cr_assert_null(public_key_line_parse(KEY, strlen(KEY), &key));
	struct wire_span blob = {key.blob, key.blob_len};
	cr_assert(targets_pin(&db, "198.51.100.1", blob, true));
	cr_assert(targets_pin(&db, "198.51.100.2", blob, false));
	for (unsigned i = 0; i <= KNOWN_MEMO_BURST / 2000; i++) {
		snprintf(list, sizeof(list), "2001:db8::%x", i);
		struct words stranger = names(list, NULL);
		(void)known_hosts_check(&known, &stranger, blob);
		words_free(&stranger);
	}
	while_strangers_ask(&db, &known, blob);
	known_hosts_free(&known);
	database_close(&db);
	folder_remove(path);
	free(text);
}

/* What is asked for and what is judged go by the same lines: at port 2408 by those for "[198.51.100.2]:2408",
 * and where there are none by those for the address, which may then say yes, but not no. */
#define AT_2408 "[198.51.100.2]:2408"
#define ED25519_OTHER "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKa3tkDYsia+SZdHKy5mWquGmMnGoPilVRjkFjWzk/kV"
#define ECDSA                                                                                                \
	"ecdsa-sha2-nistp256 "                                                                               \
	"AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBG/grln/kvmgWhBGNZO2AIzHVZRk2MF3"               \
	"wOh3zuZNMIwGWG6JI/m6fkWDjJCVCHGP1oh5JjCu9r9FEjQACyiGwTg="

static void set_lines(struct known_hosts *known, struct database *db, const char *text)
{
	struct known_import result;

	cr_assert(known_hosts_import(known, db, text, true, &result), "%s", text);
}

static void goes_by(struct known_hosts *known, struct database *db, const char *lines, const char *asked,
    const char *shown, enum origin_verdict verdict)
{
	static const enum policy_host_keys mode = POLICY_HOST_KEYS_KNOWN_HOSTS;
	struct public_key_line line;
	struct origin_key key;
	char list[512];

	set_lines(known, db, lines);
	cr_assert(origin_key_algorithms(db, known, AT_2408, mode, list, sizeof(list)));
	cr_expect_str_eq(list, asked, "%s: %s", lines, list);
	cr_assert_null(public_key_line_parse(shown, strlen(shown), &line));
	cr_assert(origin_key_read(&key, (struct wire_span){line.blob, line.blob_len}, false));
	enum origin_verdict got = origin_key_judge(&key, db, known, AT_2408, mode, 0);
	cr_expect_eq(got, verdict, "%s: shown %s: got %d", lines, shown, (int)got);
}

Test(known_hosts, of_another_port_than_22)
{
	struct known_hosts known = {.now_ms = now_ms};
	char path[FOLDER_PATH_SIZE], file[FOLDER_PATH_SIZE + 16], error[256];
	struct database db;
	struct public_key_line line;

	folder_make(path, "known");
	snprintf(file, sizeof(file), "%s/control.db", path);
	cr_assert(database_open(&db, file, error, sizeof(error)), "%s", error);
	const char *both = "198.51.100.2 " ECDSA "\n" AT_2408 " " KEY;
	goes_by(&known, &db, both, "ssh-ed25519", KEY, ORIGIN_VOUCHED);
	goes_by(&known, &db, both, "ssh-ed25519", ECDSA, ORIGIN_CHANGED);
	/* Nothing is known of that port: the address's line may vouch, and that is all it does. */
	goes_by(&known, &db, "198.51.100.* " ECDSA, "ecdsa-sha2-nistp256", ECDSA, ORIGIN_VOUCHED);
	goes_by(&known, &db, "198.51.100.* " KEY, "ssh-ed25519", ED25519_OTHER, ORIGIN_UNKNOWN);
	goes_by(&known, &db, AT_2408 " " KEY, "ssh-ed25519", ED25519_OTHER, ORIGIN_CHANGED);
	goes_by(&known, &db, "* " KEY, "ssh-ed25519", ED25519_OTHER, ORIGIN_CHANGED);
	/* By a first use another type of key is pinned. */
	cr_assert_null(public_key_line_parse(KEY, strlen(KEY), &line));
	cr_assert(targets_pin(&db, AT_2408, (struct wire_span){line.blob, line.blob_len}, false));
	goes_by(&known, &db, "198.51.100.* " ECDSA, "ecdsa-sha2-nistp256", ECDSA, ORIGIN_VOUCHED);
	goes_by(&known, &db, "203.0.113.* " KEY, "ssh-ed25519", ECDSA, ORIGIN_UNKNOWN);
	goes_by(&known, &db, "203.0.113.* " KEY, "ssh-ed25519", ED25519_OTHER, ORIGIN_CHANGED);
	known_hosts_free(&known);
	database_close(&db);
	folder_remove(path);
}

Test(known_hosts, lines)
{
	static const struct {
		const char *text, *wrong; /* NULL: taken; "": passed over */
		enum known_marker marker;
	} cases[] = {
	    {"web1 " KEY, NULL, KNOWN_KEY},
	    {"web1 " KEY " a comment", NULL, KNOWN_KEY},
	    {"@cert-authority *.example.com " KEY, NULL, KNOWN_CA},
	    {"@revoked * " KEY, NULL, KNOWN_REVOKED},
	    {"", "", KNOWN_KEY},
	    {"   ", "", KNOWN_KEY},
	    {"# web1 " KEY, "", KNOWN_KEY},
	    {"web1 ssh-dss AAAAB3NzaC1kc3MAAACBAP", "", KNOWN_KEY},
	    {"web1 1024 65537 1234567", "", KNOWN_KEY},
	    {"@friend web1 " KEY, "begins with a marker", KNOWN_KEY},
	    {"web1", "is no line of a known_hosts file", KNOWN_KEY},
	    {"@revoked web1", "is no line of a known_hosts file", KNOWN_KEY},
	    {KEY, "says no host before its key", KNOWN_KEY},
	    {"@cert-authority " KEY, "says no host before its key", KNOWN_KEY},
	    {"web1 ssh-ed25519", "has no valid base64", KNOWN_KEY},
	    {"web1 ssh-ed25519 !!!!", "has no valid base64", KNOWN_KEY},
	    {"web1 ssh-ed25519 AAAA", "has a damaged key", KNOWN_KEY},
	    {"web1 ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
	        "says another key type", KNOWN_KEY},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct known_line line;
		const char *wrong = known_line_parse(cases[i].text, strlen(cases[i].text), &line);
		if (cases[i].wrong != NULL && cases[i].wrong[0] != '\0')
			cr_expect(wrong != NULL && strstr(wrong, cases[i].wrong) != NULL, "%s: got %s",
			    cases[i].text, wrong);
		else
			cr_expect(wrong == NULL && (line.patterns == NULL) == (cases[i].wrong != NULL),
			    "%s: got %s", cases[i].text, wrong);
		if (wrong == NULL && line.patterns != NULL)
			cr_expect_eq(line.marker, cases[i].marker, "%s", cases[i].text);
		known_line_free(&line);
	}
}

/* -- host certificates -- */

struct made {
	uint32_t kind;
	const char *principals[2];
	uint64_t after, before;
	const char *option;
	int damage; /* a byte of the signed ones to be turned; -1: none */
};

#define NOW 1800000000

static const char *judge(const struct made *made, const char *name)
{
	uint8_t room[2048], list[512], ca_public[32], ca_secret[64], signature[64], blob[128];
	struct wire_out out = wire_into(room, sizeof(room)), inner = wire_into(list, sizeof(list));
	struct certificate certificate;
	struct words called = names("198.51.100.2", name);

	cr_assert(sodium_init() >= 0);
	crypto_sign_keypair(ca_public, ca_secret);
	wire_put_cstring(&out, "ssh-ed25519-cert-v01@openssh.com");
	wire_put_string(&out, "nonce", 5);
	wire_put_string(&out, ca_public, 32);
	wire_put_u64(&out, 7);
	wire_put_u32(&out, made->kind);
	wire_put_cstring(&out, "host");
	for (int i = 0; i < 2; i++)
		if (made->principals[i] != NULL)
			wire_put_cstring(&inner, made->principals[i]);
	wire_put_string(&out, list, wire_written(&inner));
	wire_put_u64(&out, made->after);
	wire_put_u64(&out, made->before);
	inner = wire_into(list, sizeof(list));
	if (made->option != NULL) {
		wire_put_cstring(&inner, made->option);
		wire_put_string(&inner, "", 0);
	}
	wire_put_string(&out, list, wire_written(&inner));
	wire_put_string(&out, "", 0);
	wire_put_string(&out, "", 0);
	inner = wire_into(blob, sizeof(blob));
	wire_put_cstring(&inner, "ssh-ed25519");
	wire_put_string(&inner, ca_public, 32);
	wire_put_string(&out, blob, wire_written(&inner));
	crypto_sign_detached(signature, NULL, room, wire_written(&out), ca_secret);
	if (made->damage >= 0)
		signature[made->damage] ^= 1;
	inner = wire_into(blob, sizeof(blob));
	wire_put_cstring(&inner, "ssh-ed25519");
	wire_put_string(&inner, signature, 64);
	wire_put_string(&out, blob, wire_written(&inner));
	cr_assert(certificate_parse((struct wire_span){room, wire_written(&out)}, &certificate));
	const char *why = host_certificate_judge(&certificate, &called, NOW);
	words_free(&called);
	return why;
}

Test(host_certificate, good_and_wrong_in_one_way_each)
{
	const struct {
		const char *what;
		struct made made;
		const char *wrong;
	} cases[] = {
	    {"good", {2, {"web1"}, NOW - 1, NOW + 1, NULL, -1}, NULL},
	    {"the address", {2, {"db", "198.51.100.2"}, 0, UINT64_MAX, NULL, -1}, NULL},
	    {"a pattern", {2, {"web?"}, NOW, NOW + 1, NULL, -1}, NULL},
	    {"a pattern of all", {2, {"*"}, NOW, NOW + 1, NULL, -1}, NULL},
	    {"a user's", {1, {"web1"}, NOW - 1, NOW + 1, NULL, -1}, "is no host certificate"},
	    {"damaged", {2, {"web1"}, NOW - 1, NOW + 1, NULL, 3}, "is not intact"},
	    {"too early", {2, {"web1"}, NOW + 1, NOW + 2, NULL, -1}, "is not valid yet"},
	    {"too late", {2, {"web1"}, NOW - 2, NOW, NULL, -1}, "has expired"},
	    {"an option", {2, {"web1"}, NOW - 1, NOW + 1, "force-command", -1},
	        "has options that are not understood here"},
	    {"other names", {2, {"web2", "web"}, NOW - 1, NOW + 1, NULL, -1}, "is for other names"},
	    {"no names", {2, {NULL}, NOW - 1, NOW + 1, NULL, -1}, "is for other names"},
	    {"an empty name", {2, {""}, NOW - 1, NOW + 1, NULL, -1}, "is for other names"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *why = judge(&cases[i].made, "web1");
		cr_expect((why == NULL) == (cases[i].wrong == NULL) &&
		              (why == NULL || strcmp(why, cases[i].wrong) == 0),
		    "%s: got %s", cases[i].what, why);
	}
}
