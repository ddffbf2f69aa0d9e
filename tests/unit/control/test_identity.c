/* SPDX-License-Identifier: Apache-2.0 */
/* Users, targets, the database and the audit log, each by itself. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/identity/host_keys.h"
#include "control/identity/targets.h"
#include "control/identity/users.h"
#include "control/sessions/audit.h"
#include "tests/unit/control/mint.h"

static char directory[64], path[96];
static struct database db;

static void open_database(void)
{
	char error[256];

	cr_assert(sodium_init() >= 0);
	strcpy(directory, "/tmp/reeve-identity-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/control.db", directory);
	cr_assert(database_open(&db, path, error, sizeof(error)), "%s", error);
}

static void close_database(void)
{
	char command[128];

	database_close(&db);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(identity, .init = open_database, .fini = close_database);

Test(identity, words)
{
	static const struct {
		const char *word;
		bool name;
	} cases[] = {{"alice", true}, {"DOM\\alice", true}, {"a.b_c@d+e-f$", true}, {"", false},
	    {"-a", false}, {"a b", false}, {"a\n", false}, {"{user}", false}, {"a,b", false},
	    {"\xc3\xa9", false}, {"123456789012345678901234567890123456789012345678901234567890123", true},
	    {"1234567890123456789012345678901234567890123456789012345678901234", false}};
	struct words a = {0}, b = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(word_is_name(cases[i].word), cases[i].name, "\"%s\"", cases[i].word);
	cr_expect(words_add(&a, "x") && words_add(&a, "y") && words_add(&a, "x"));
	cr_expect_eq(a.count, 2);
	cr_expect(words_have(&a, "y") && !words_have(&a, "z"));
	cr_expect_not(words_meet(&a, &b));
	cr_expect(words_add(&b, "y") && words_meet(&a, &b));
	words_free(&a);
	words_free(&b);
	char word[16];
	for (unsigned i = 0; i < WORDS_MAX; i++) {
		snprintf(word, sizeof(word), "w%u", i);
		cr_assert(words_add(&a, word));
	}
	cr_expect_not(words_add(&a, "one-more"));
	words_free(&a);
}

static void make_user(struct user *user, const char *name)
{
	*user = (struct user){0};
	snprintf(user->name, sizeof(user->name), "%s", name);
	words_add(&user->logins, name);
	words_add(&user->logins, "root");
	words_add(&user->groups, "sre");
}

static void line_of(const struct mint_key *key, struct public_key_line *line)
{
	char *text = mint_line(key, "c");

	cr_assert_null(public_key_line_parse(text, strlen(text), line));
	free(text);
}

/* Two users, not yet in the database, and two keys. */
static void make_two(
    struct user *alice, struct user *bob, struct mint_key keys[2], struct public_key_line lines[2])
{
	for (int i = 0; i < 2; i++) {
		mint_key(&keys[i]);
		line_of(&keys[i], &lines[i]);
	}
	make_user(alice, "alice");
	make_user(bob, "bob");
}

Test(identity, a_changed_user_is_the_same_user)
{
	static struct public_key_line lines[2];
	struct mint_key keys[2];
	struct user alice, bob, found;
	struct words groups = {0};
	char taken[WORD_SIZE];

	make_two(&alice, &bob, keys, lines);
	cr_assert_eq(users_add(&db, &alice, lines, 1, taken), USERS_OK);
	cr_assert_eq(users_add(&db, &bob, NULL, 0, taken), USERS_OK);
	uint64_t serial = users_new_serial(&db, &alice, mint_blob(&keys[0]), 1);

	cr_assert(words_add(&groups, "dba"));
	cr_expect_eq(users_change(&db, "alice", NULL, &groups, NULL, 0, taken), USERS_OK);
	cr_assert(users_find_by_key(&db, mint_blob(&keys[0]), &found), "a key that was not spoken of stays");
	cr_expect(words_have(&found.groups, "dba"));
	cr_expect_not(words_have(&found.groups, "sre"));
	cr_expect(words_have(&found.logins, "root"), "so do logins");
	cr_expect_str_eq(found.user_id, alice.user_id);
	user_free(&found);

	/* Her own key among the new ones is no other's; a key of hers is not for bob. */
	cr_expect_eq(users_change(&db, "alice", NULL, NULL, lines, 2, taken), USERS_OK);
	cr_expect_eq(users_change(&db, "bob", NULL, &groups, &lines[1], 1, taken), USERS_KEY_TAKEN);
	cr_expect_str_eq(taken, "alice");
	cr_assert(users_find(&db, "bob", &found));
	cr_expect_not(words_have(&found.groups, "dba"), "nothing of a change that was refused is done");
	user_free(&found);
	cr_expect_eq(users_change(&db, "alice", NULL, NULL, &lines[1], 1, taken), USERS_OK);
	cr_expect_not(users_find_by_key(&db, mint_blob(&keys[0]), &found));
	cr_expect_eq(users_change(&db, "alice", NULL, NULL, lines, 0, taken), USERS_OK);
	cr_expect_not(users_find_by_key(&db, mint_blob(&keys[1]), &found), "no key at all");
	cr_assert(users_find_by_certificate(&db, serial, "alice", &found), "certificates are hers as before");
	user_free(&found);
	words_free(&groups);
	user_free(&alice);
	user_free(&bob);
}

Test(identity, users)
{
	static struct public_key_line lines[2];
	struct mint_key keys[2];
	struct user alice, bob, found;
	char taken[WORD_SIZE];

	make_two(&alice, &bob, keys, lines);
	cr_expect_eq(users_add(&db, &alice, lines, 2, taken), USERS_OK);
	cr_expect_eq(users_add(&db, &alice, NULL, 0, taken), USERS_EXISTS);
	cr_expect_eq(users_add(&db, &bob, &lines[1], 1, taken), USERS_KEY_TAKEN);
	cr_expect_str_eq(taken, "alice");
	cr_expect_not(users_find(&db, "bob", &found), "nothing of a refused user stays");
	cr_assert(users_find_by_key(&db, mint_blob(&keys[1]), &found));
	cr_expect_str_eq(found.name, "alice");
	cr_expect_str_eq(found.user_id, alice.user_id);
	cr_expect(words_have(&found.logins, "root") && words_have(&found.groups, "sre"));
	cr_expect_str_eq(found.logins.at[0], "alice");
	user_free(&found);
	uint64_t first = users_new_serial(&db, &alice, mint_blob(&keys[0]), 1);
	cr_expect(first > 0);
	cr_assert(users_find_by_certificate(&db, first, "alice", &found));
	user_free(&found);
	cr_expect_not(users_find_by_certificate(&db, first, "bob", &found));
	cr_expect_not(users_find_by_certificate(&db, first + 1, "alice", &found));
	cr_expect_not(users_find_by_certificate(&db, UINT64_MAX, "alice", &found));
	cr_expect(users_remove(&db, "alice"));
	cr_expect_not(users_remove(&db, "alice"));
	cr_expect_not(users_find_by_key(&db, mint_blob(&keys[0]), &found));
	cr_expect_eq(users_add(&db, &alice, lines, 2, taken), USERS_OK);
	cr_expect_not(
	    users_find_by_certificate(&db, first, "alice", &found), "an old certificate of a removed user");
	cr_expect(
	    users_new_serial(&db, &alice, mint_blob(&keys[0]), 1) > first, "serials are not used twice");
	json_t *all = users_json(&db);
	cr_expect_eq(json_array_size(all), 1);
	cr_expect_eq(json_array_size(json_object_get(json_array_get(all, 0), "keys")), 2);
	json_decref(all);
	user_free(&alice);
	user_free(&bob);
}

static const struct {
	const char *addr;
	size_t len;
	uint16_t port, vlan;
	const char *text;
} address_cases[] = {
    {"\xc6\x33\x64\x02", 4, 22, 0, "198.51.100.2"},
    {"\xc6\x33\x64\x02", 4, 2222, 0, "[198.51.100.2]:2222"},
    {"\xc6\x33\x64\x02", 4, 22, 7, "198.51.100.2%vlan7"},
    {"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02", 16, 22, 0, "2001:db8::2"},
    {"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02", 16, 2222, 4095, "[2001:db8::2]:2222%vlan4095"},
};

Test(identity, target_addresses)
{
	for (size_t i = 0; i < sizeof(address_cases) / sizeof(address_cases[0]); i++) {
		char text[TARGET_ADDRESS_SIZE];
		target_address(
		    (struct wire_span){(const uint8_t *)address_cases[i].addr, address_cases[i].len},
		    address_cases[i].port, address_cases[i].vlan, text);
		cr_expect_str_eq(
		    text, address_cases[i].text, "expected %s, got %s", address_cases[i].text, text);
	}
}

static const struct {
	const char *typed, *text; /* NULL: refused */
} typed_cases[] = {
    {"198.51.100.2", "198.51.100.2"},
    {"[198.51.100.2]:22", "198.51.100.2"},
    {"[198.51.100.2]:2222", "[198.51.100.2]:2222"},
    {"2001:DB8:0::2", "2001:db8::2"},
    {"[2001:db8::2]:2222%vlan7", "[2001:db8::2]:2222%vlan7"},
    {"198.51.100.2%vlan4095", "198.51.100.2%vlan4095"},
    {"", NULL},
    {"origin", NULL},
    {"198.51.100.2:22", NULL},
    {"[198.51.100.2]", NULL},
    {"[198.51.100.2]:0", NULL},
    {"[198.51.100.2]:65536", NULL},
    {"[198.51.100.2]:22x", NULL},
    {"198.51.100.2%vlan0", NULL},
    {"198.51.100.2%vlan4096", NULL},
    {"198.51.100.2%vlan-1", NULL},
    {"1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111", NULL},
};

Test(identity, target_addresses_that_somebody_typed)
{
	for (size_t i = 0; i < sizeof(typed_cases) / sizeof(typed_cases[0]); i++) {
		char text[TARGET_ADDRESS_SIZE] = "";
		bool good = target_address_read(typed_cases[i].typed, text);
		cr_expect_eq(good, typed_cases[i].text != NULL, "\"%s\"", typed_cases[i].typed);
		if (good && typed_cases[i].text != NULL)
			cr_expect_str_eq(
			    text, typed_cases[i].text, "expected %s, got %s", typed_cases[i].text, text);
	}
}

Test(identity, targets)
{
	struct mint_key one, two;
	char id[PUBLIC_KEY_FINGERPRINT_SIZE], pinned[PUBLIC_KEY_FINGERPRINT_SIZE], algorithms[64];
	bool by_admin;

	mint_key(&one);
	mint_key(&two);
	cr_expect_eq(targets_check(&db, "a", mint_blob(&one), id, pinned, &by_admin), TARGETS_UNKNOWN);
	cr_expect(targets_pin(&db, "a", mint_blob(&one), false));
	cr_expect_eq(targets_check(&db, "a", mint_blob(&one), id, pinned, &by_admin), TARGETS_KNOWN);
	cr_expect_eq(targets_check(&db, "a", mint_blob(&two), id, pinned, &by_admin), TARGETS_CHANGED);
	cr_expect_str_neq(id, pinned);
	/* One machine at two addresses is one target. */
	cr_expect(targets_pin(&db, "b", mint_blob(&one), false));
	json_t *all = targets_json(&db);
	cr_expect_eq(json_array_size(all), 1);
	cr_expect_eq(json_array_size(json_object_get(json_array_get(all, 0), "addresses")), 2);
	json_decref(all);
	targets_algorithms(&db, "a", algorithms, sizeof(algorithms));
	cr_expect_str_eq(algorithms, "ssh-ed25519");
	targets_algorithms(&db, "z", algorithms, sizeof(algorithms));
	cr_expect_str_eq(algorithms, "");
	cr_expect_eq(targets_forget(&db, "b"), 1);
	cr_expect_eq(targets_check(&db, "a", mint_blob(&one), id, pinned, &by_admin), TARGETS_KNOWN);
	cr_expect_eq(targets_forget(&db, id), 1);
	cr_expect_eq(targets_forget(&db, id), 0);
	cr_expect_eq(targets_check(&db, "a", mint_blob(&two), id, pinned, &by_admin), TARGETS_UNKNOWN);
	all = targets_json(&db);
	cr_expect_eq(json_array_size(all), 0, "a target without addresses is forgotten");
	json_decref(all);
}

static int64_t fresh_until(const char *target_id)
{
	struct host_key_row row;

	cr_assert(host_keys_find(&db, wire_span_of("seed one"), target_id, "ssh-ed25519", &row));
	return row.fresh_until;
}

/* A certificate of the target that nobody would make anew. */
static void certified(const char *target_id, const struct mint_key *key)
{
	cr_assert(host_keys_store(&db, wire_span_of("seed one"), target_id, "ssh-ed25519", mint_blob(key)) &&
	          host_keys_store_certificate(&db, wire_span_of("seed one"), target_id, "ssh-ed25519",
	              wire_span_of("certificate"), INT64_MAX));
}

Test(identity, who_loses_an_address_is_certified_anew)
{
	struct mint_key one, two;
	char id[PUBLIC_KEY_FINGERPRINT_SIZE];

	mint_key(&one);
	mint_key(&two);
	public_key_fingerprint(mint_blob(&one), id);
	cr_assert(targets_pin(&db, "192.0.2.1", mint_blob(&one), false) &&
	          targets_pin(&db, "192.0.2.2", mint_blob(&one), false) &&
	          targets_pin(&db, "192.0.2.3", mint_blob(&one), false));
	certified(id, &one);
	cr_assert_eq(targets_forget(&db, "192.0.2.2"), 1);
	cr_expect_eq(fresh_until(id), 0, "forgotten, its certificate still says the address");
	certified(id, &one);
	cr_assert(targets_pin(&db, "192.0.2.3", mint_blob(&two), true));
	cr_expect_eq(fresh_until(id), 0, "another has the address now");
}

Test(identity, names_of_a_target_begin_with_those_of_an_address)
{
	struct mint_key key;
	char id[PUBLIC_KEY_FINGERPRINT_SIZE], address[TARGET_ADDRESS_SIZE];
	struct words names = {0};

	mint_key(&key);
	public_key_fingerprint(mint_blob(&key), id);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(address, sizeof(address), "192.0.%u.%u", i / 200, i % 200);
		cr_assert(targets_pin(&db, address, mint_blob(&key), false));
	}
	cr_assert(targets_pin(&db, "[198.51.100.9]:2222", mint_blob(&key), false));
	cr_assert(targets_name(&db, "[198.51.100.9]:2222", "victim"));
	cr_assert(targets_name(&db, "192.0.0.1", "other"));
	targets_names(&db, id, "[198.51.100.9]:2222", 256, &names);
	cr_assert_eq(names.count, 256);
	cr_expect_str_eq(names.at[0], "198.51.100.9");
	cr_expect_str_eq(names.at[1], "victim");
	words_free(&names);
	targets_names(&db, id, "[198.51.100.9]:2222", 1000, &names);
	cr_expect_eq(names.count, 303);
	cr_expect(words_have(&names, "other"));
	words_free(&names);
}

/* A place that was named, an address, and whether that has the name. */
Test(identity, names_are_of_all_ports_or_of_one)
{
	static const struct {
		const char *named, *address;
		bool has;
	} cases[] = {
	    {"198.51.100.2", "198.51.100.2", true},
	    {"198.51.100.2", "[198.51.100.2]:2407", true},
	    {"198.51.100.2", "198.51.100.20", false},
	    {"198.51.100.2", "198.51.100.2%vlan7", false},
	    {"198.51.100.2", "[198.51.100.2]:2407%vlan7", false},
	    {"198.51.100.2%vlan7", "198.51.100.2%vlan7", true},
	    {"198.51.100.2%vlan7", "[198.51.100.2]:2407%vlan7", true},
	    {"198.51.100.2%vlan7", "[198.51.100.2]:2407", false},
	    {"[198.51.100.2]:2407", "[198.51.100.2]:2407", true},
	    {"[198.51.100.2]:2407", "198.51.100.2", false},
	    {"[198.51.100.2]:2407", "[198.51.100.2]:2408", false},
	    {"[198.51.100.2]:22", "198.51.100.2", true},
	    {"[198.51.100.2]:22", "[198.51.100.2]:2407", false},
	    {"[198.51.100.2]:22%vlan7", "198.51.100.2%vlan7", true},
	    {"[198.51.100.2]:22%vlan7", "198.51.100.2", false},
	    {"2001:DB8::2", "2001:db8::2", true},
	    {"2001:db8::2", "[2001:db8::2]:2407", true},
	    {"[2001:db8::2]:22", "2001:db8::2", true},
	    {"[2001:db8::2]:22", "[2001:db8::2]:2407", false},
	};
	struct mint_key key;
	char id[PUBLIC_KEY_FINGERPRINT_SIZE], place[TARGET_ADDRESS_SIZE];

	mint_key(&key);
	public_key_fingerprint(mint_blob(&key), id);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *named = cases[i].named, *address = cases[i].address;
		struct words at = {0}, of = {0};
		cr_assert(targets_pin(&db, address, mint_blob(&key), false));
		certified(id, &key);
		cr_assert(target_place_read(named, place), "%s", named);
		cr_assert(targets_name(&db, place, "web1"));
		targets_names_at(&db, address, &at);
		targets_names(&db, id, address, 16, &of);
		cr_expect_eq(words_have(&at, "web1"), cases[i].has, "%s: %s", named, address);
		cr_expect_eq(words_have(&of, "web1"), cases[i].has, "%s: %s", named, address);
		cr_expect_eq(fresh_until(id) == 0, cases[i].has, "%s: %s", named, address);
		certified(id, &key);
		cr_expect(targets_unname(&db, place, "web1"));
		cr_expect_eq(fresh_until(id) == 0, cases[i].has, "%s: %s", named, address);
		targets_forget(&db, address);
		words_free(&at);
		words_free(&of);
	}
}

Test(identity, names_are_counted_with_those_of_all_ports)
{
	cr_assert(targets_name(&db, "198.51.100.3", "a") && targets_name(&db, "198.51.100.3", "b"));
	cr_assert(
	    targets_name(&db, "[198.51.100.3]:2222", "c") && targets_name(&db, "[198.51.100.3]:22", "d") &&
	    targets_name(&db, "[198.51.100.3]:22", "e") && targets_name(&db, "[198.51.100.30]:22", "f"));
	cr_expect_eq(targets_name_count(&db, "198.51.100.3"), 4);
	cr_expect_eq(targets_name_count(&db, "[198.51.100.3]:2222"), 3);
	cr_expect_eq(targets_name_count(&db, "[198.51.100.3]:22"), 4);
	cr_expect_eq(targets_name_count(&db, "[198.51.100.3]:2223"), 2);
	cr_expect_eq(targets_name_count(&db, "198.51.100.4"), 0);
}

/* What known_hosts files call a target at another port. */
Test(identity, hosts_of_a_target)
{
	struct mint_key key;

	mint_key(&key);
	cr_assert(targets_pin(&db, "[198.51.100.5]:2407", mint_blob(&key), false));
	cr_assert(targets_name(&db, "198.51.100.5", "web1") &&
	          targets_name(&db, "[198.51.100.5]:2407", "web1") &&
	          targets_name(&db, "[198.51.100.5]:2408", "web2"));
	json_t *targets = targets_json(&db);
	char *hosts = json_dumps(json_object_get(json_array_get(targets, 0), "hosts"), JSON_COMPACT);
	cr_expect_str_eq(hosts, "[\"[198.51.100.5]:2407\",\"[web1]:2407\"]");
	free(hosts);
	json_decref(targets);
}

Test(identity, database_files_that_are_none)
{
	char other[96], error[256];
	struct database second;

	snprintf(other, sizeof(other), "%s/junk.db", directory);
	FILE *file = fopen(other, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database ", file);
	fclose(file);
	cr_expect_not(database_open(&second, other, error, sizeof(error)));
	cr_expect(strstr(error, "junk.db: file is not a database") != NULL, "got %s", error);
	cr_expect_not(database_open(&second, "/nonexistent/control.db", error, sizeof(error)));
	/* A newer version's. */
	cr_expect(database_run(&db, "PRAGMA user_version = 99", ""));
	database_close(&db);
	cr_expect_not(database_open(&db, path, error, sizeof(error)));
	cr_expect(strstr(error, "newer version") != NULL, "got %s", error);
}

Test(identity, an_older_version_is_brought_up_to_date)
{
	char error[256];

	cr_assert(database_run(&db, "INSERT INTO users VALUES('alice', 'her id', '', 0)", "") &&
	          database_run(&db, "ALTER TABLE sessions DROP COLUMN user_id", "") &&
	          database_run(&db, "ALTER TABLE sessions DROP COLUMN host_seed", "") &&
	          database_run(&db, "ALTER TABLE sessions DROP COLUMN to_origin", "") &&
	          database_run(&db, "ALTER TABLE sessions DROP COLUMN factor_shown", "") &&
	          database_run(&db, "DROP INDEX sessions_identifier", "") &&
	          database_run(&db, "ALTER TABLE sessions DROP COLUMN identifier", "") &&
	          database_run(&db, "ALTER TABLE programs DROP COLUMN destination", "") &&
	          database_run(&db, "ALTER TABLE programs DROP COLUMN originator", "") &&
	          database_run(&db, "ALTER TABLE programs DROP COLUMN bytes_from_client", "") &&
	          database_run(&db, "ALTER TABLE programs DROP COLUMN bytes_from_origin", "") &&
	          database_run(&db, "DROP TABLE krl", "") &&
	          database_run(&db, "ALTER TABLE sessions DROP COLUMN came_with", "") &&
	          database_run(&db, "DROP TABLE bindings", "") &&
	          database_run(&db, "DROP TABLE host_keys", "") &&
	          database_run(&db, "DROP TABLE target_names", "") &&
	          database_run(&db, "DROP TABLE known_hosts", "") &&
	          database_run(&db, "ALTER TABLE target_addresses DROP COLUMN by_admin", "") &&
	          database_run(&db, "ALTER TABLE sessions DROP COLUMN identity", "") &&
	          database_run(&db,
	              "INSERT INTO sessions(session_id, client, server, rule, rule_index, generation, "
	              "worker, flow, started_at, user) VALUES('old', '', '', '', 0, 0, 0, 0, 0, 'alice'), "
	              "('nobody', '', '', '', 0, 0, 0, 1, 0, '')",
	              "") &&
	          database_run(&db, "PRAGMA user_version = 1", ""));
	database_close(&db);
	for (int i = 0; i < 2; i++) {
		cr_assert(database_open(&db, path, error, sizeof(error)), "%s", error);
		sqlite3_stmt *row =
		    database_query(&db, "SELECT identifier FROM sessions WHERE session_id = 'old'", "");
		cr_expect(database_row(row) && sqlite3_column_type(row, 0) == SQLITE_NULL);
		database_stop(row);
		row = database_query(&db, "SELECT user_id FROM sessions ORDER BY flow", "");
		cr_expect(database_row(row) && strcmp(database_text(row, 0), "her id") == 0);
		cr_expect(database_row(row) && strcmp(database_text(row, 0), "") == 0);
		database_stop(row);
		row = database_query(&db, "PRAGMA user_version", "");
		cr_expect(database_row(row) && sqlite3_column_int(row, 0) == 9);
		database_stop(row);
		if (i == 0)
			database_close(&db);
	}
}

Test(identity, a_transaction_that_fails_leaves_nothing)
{
	cr_assert(database_begin(&db));
	cr_expect(database_run(&db, "INSERT INTO policies(generation, name, text) VALUES(?, ?, ?)", "itt",
	    (int64_t)1, "n", "t"));
	cr_expect_not(database_end(&db, false));
	sqlite3_stmt *row = database_query(&db, "SELECT count(*) FROM policies", "");
	cr_assert(database_row(row));
	cr_expect_eq(sqlite3_column_int(row, 0), 0);
	database_stop(row);
	cr_expect_not(database_run(&db, "INSERT INTO nonesuch VALUES(1)", ""));
}

/* Rows of `events` as another connection sees them: committed ones alone. */
static int committed(void)
{
	sqlite3 *other;
	sqlite3_stmt *count;

	cr_assert_eq(sqlite3_open(path, &other), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(other, "SELECT count(*) FROM events", -1, &count, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_step(count), SQLITE_ROW);
	int rows = sqlite3_column_int(count, 0);
	sqlite3_finalize(count);
	sqlite3_close(other);
	return rows;
}

static bool write_event(void)
{
	return database_run(
	    &db, "INSERT INTO events(session_id, at, event, detail) VALUES('s', 1, 'e', '{}')", "");
}

Test(identity, history_gathers_until_it_is_time)
{
	cr_assert(database_run(&db,
	    "INSERT INTO sessions(session_id, client, server, rule, rule_index, generation, worker, flow, "
	    "started_at)"
	    " VALUES('s', '', '', '', 0, 0, 0, 0, 0)",
	    ""));
	cr_assert(write_event() && write_event());
	int64_t now = db.batch_since_ms; /* as it was then: this may be read much later */
	cr_expect_eq(committed(), 0);
	sqlite3_stmt *row = database_query(&db, "SELECT count(*) FROM events", "");
	cr_expect(
	    database_row(row) && sqlite3_column_int(row, 0) == 2, "what is gathered is read back at once");
	database_stop(row);
	int left = database_batch_turn(&db, now);
	cr_expect(left > 0 && left <= DATABASE_BATCH_MS, "%d", left);
	cr_expect_eq(committed(), 0);
	cr_expect_eq(database_batch_turn(&db, now + DATABASE_BATCH_MS), -1);
	cr_expect_eq(committed(), 2);

	/* What must outlive the process does not wait. */
	cr_assert(write_event());
	database_batch_settle(&db);
	cr_expect_eq(database_batch_turn(&db, now), -1);
	cr_expect_eq(committed(), 3);

	/* Neither does an administrator's change, nor what it comes behind; one that fails takes nothing with
	 * it. */
	cr_assert(write_event());
	database_durable(&db, true);
	cr_expect_eq(committed(), 4);
	cr_assert(write_event());
	cr_expect_eq(committed(), 5);
	database_durable(&db, false);
	cr_assert(write_event());
	cr_assert(database_begin(&db));
	cr_assert(write_event());
	cr_expect_not(database_end(&db, false));
	cr_expect_eq(committed(), 6);
	cr_assert(write_event());
	cr_expect_eq(committed(), 6);
	database_close(&db);
	cr_expect_eq(committed(), 7);
}

Test(identity, the_audit_log_is_rotated)
{
	struct audit audit;
	struct stat stat_buffer;
	char file[128];

	snprintf(path, sizeof(path), "%s/audit.jsonl", directory);
	cr_assert_eq(audit_open(&audit, path, 1000), 0);
	for (int i = 0; i < 200; i++)
		audit_write(&audit, "exec", json_pack("{s:i, s:s}", "n", i, "event", "made-up"));
	cr_expect_eq(audit.written, 200);
	audit_close(&audit);
	for (int i = 0; i <= AUDIT_FILES_KEPT; i++) {
		snprintf(file, sizeof(file), i == 0 ? "%s" : "%s.%d", path, i);
		cr_expect(stat(file, &stat_buffer) == 0 && stat_buffer.st_size <= 1000, "%s", file);
	}
	snprintf(file, sizeof(file), "%s.%d", path, AUDIT_FILES_KEPT + 1);
	cr_expect_neq(stat(file, &stat_buffer), 0);
	/* The newest line is in the newest file, whole, under the event's own name. */
	char line[512] = "", last[512] = "";
	FILE *in = fopen(path, "r");
	while (fgets(line, sizeof(line), in) != NULL)
		strcpy(last, line);
	fclose(in);
	json_t *object = json_loads(last, 0, NULL);
	cr_expect_eq(json_integer_value(json_object_get(object, "n")), 199);
	cr_expect_str_eq(json_string_value(json_object_get(object, "event")), "exec");
	json_decref(object);
	char at[32];
	audit_time(0, at);
	cr_expect_str_eq(at, "1970-01-01T00:00:00Z");
}
