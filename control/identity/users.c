/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/users.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void uuid_make(char text[40])
{
	uint8_t b[16];

	randombytes_buf(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(text, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
	    b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static bool add_words(struct database *db, const char *name, const char *kind, const struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		if (!database_run(db, "INSERT INTO user_words(name, kind, place, word) VALUES(?, ?, ?, ?)",
		        "ttit", name, kind, (int64_t)i, words->at[i]))
			return false;
	return true;
}

static bool key_owner(struct database *db, struct wire_span blob, char owner[WORD_SIZE])
{
	sqlite3_stmt *row = database_query(db, "SELECT name FROM user_keys WHERE blob = ?", "b", blob);

	if (!database_row(row))
		return false;
	snprintf(owner, WORD_SIZE, "%s", database_text(row, 0));
	database_stop(row);
	return true;
}

static bool add_keys(
    struct database *db, const char *name, const struct public_key_line *keys, size_t key_count)
{
	for (size_t i = 0; i < key_count; i++)
		if (!database_run(db, "INSERT OR IGNORE INTO user_keys(blob, name, comment) VALUES(?, ?, ?)",
		        "btt", (struct wire_span){keys[i].blob, keys[i].blob_len}, name, keys[i].comment))
			return false;
	return true;
}

static bool insert_user(
    struct database *db, const struct user *user, const struct public_key_line *keys, size_t key_count)
{
	return database_run(db, "INSERT INTO users(name, user_id, email, created_at) VALUES(?, ?, ?, ?)",
	           "ttti", user->name, user->user_id, user->email, user->created_at) &&
	       add_words(db, user->name, "login", &user->logins) &&
	       add_words(db, user->name, "group", &user->groups) && add_keys(db, user->name, keys, key_count);
}

enum users_result users_add(struct database *db, struct user *user, const struct public_key_line *keys,
    size_t key_count, char taken_by[WORD_SIZE])
{
	struct user there;

	if (users_find(db, user->name, &there)) {
		user_free(&there);
		return USERS_EXISTS;
	}
	for (size_t i = 0; i < key_count; i++)
		if (key_owner(db, (struct wire_span){keys[i].blob, keys[i].blob_len}, taken_by))
			return USERS_KEY_TAKEN;
	uuid_make(user->user_id);
	user->created_at = time(NULL);
	database_durable(db, true);
	bool good = database_begin(db) && database_end(db, insert_user(db, user, keys, key_count));
	database_durable(db, false);
	return good ? USERS_OK : USERS_FAILED;
}

static bool replace_words(struct database *db, const char *name, const char *kind, const struct words *words)
{
	return words == NULL ||
	       (database_run(db, "DELETE FROM user_words WHERE name = ? AND kind = ?", "tt", name, kind) &&
	           add_words(db, name, kind, words));
}

enum users_result users_change(struct database *db, const char *name, const struct words *logins,
    const struct words *groups, const struct public_key_line *keys, size_t key_count,
    char taken_by[WORD_SIZE])
{
	for (size_t i = 0; keys != NULL && i < key_count; i++)
		if (key_owner(db, (struct wire_span){keys[i].blob, keys[i].blob_len}, taken_by) &&
		    strcmp(taken_by, name) != 0)
			return USERS_KEY_TAKEN;
	database_durable(db, true);
	bool good =
	    database_begin(db) &&
	    database_end(db,
	        replace_words(db, name, "login", logins) && replace_words(db, name, "group", groups) &&
	            (keys == NULL || (database_run(db, "DELETE FROM user_keys WHERE name = ?", "t", name) &&
	                                 add_keys(db, name, keys, key_count))));
	database_durable(db, false);
	return good ? USERS_OK : USERS_FAILED;
}

bool users_remove(struct database *db, const char *name)
{
	database_durable(db, true);
	bool good =
	    database_run(db, "DELETE FROM users WHERE name = ?", "t", name) && database_changes(db) > 0;
	database_durable(db, false);
	return good;
}

static bool load_words(struct database *db, const char *name, const char *kind, struct words *words)
{
	sqlite3_stmt *row = database_query(
	    db, "SELECT word FROM user_words WHERE name = ? AND kind = ? ORDER BY place", "tt", name, kind);
	bool good = row != NULL;

	while (database_row(row))
		good = words_add(words, database_text(row, 0)) && good;
	return good;
}

/* Takes the user in the row (name, user_id, email, created_at), if there is one. */
static bool take_user(struct database *db, sqlite3_stmt *row, struct user *user)
{
	*user = (struct user){0};
	if (!database_row(row))
		return false;
	snprintf(user->name, sizeof(user->name), "%s", database_text(row, 0));
	snprintf(user->user_id, sizeof(user->user_id), "%s", database_text(row, 1));
	snprintf(user->email, sizeof(user->email), "%s", database_text(row, 2));
	user->created_at = sqlite3_column_int64(row, 3);
	database_stop(row);
	if (load_words(db, user->name, "login", &user->logins) &&
	    load_words(db, user->name, "group", &user->groups))
		return true;
	user_free(user);
	return false;
}

bool users_find(struct database *db, const char *name, struct user *user)
{
	return take_user(db,
	    database_query(
	        db, "SELECT name, user_id, email, created_at FROM users WHERE name = ?", "t", name),
	    user);
}

bool users_find_by_key(struct database *db, struct wire_span blob, struct user *user)
{
	return take_user(db,
	    database_query(db,
	        "SELECT name, user_id, email, created_at FROM users JOIN user_keys USING(name) WHERE blob = "
	        "?",
	        "b", blob),
	    user);
}

bool users_find_by_certificate(struct database *db, uint64_t serial, const char *key_id, struct user *user)
{
	if (serial > INT64_MAX)
		return false;
	return take_user(db,
	    database_query(db,
	        "SELECT name, users.user_id, email, created_at FROM users JOIN certificates USING(user_id)"
	        " WHERE serial = ? AND key_id = ?",
	        "it", (int64_t)serial, key_id),
	    user);
}

void user_free(struct user *user)
{
	words_free(&user->logins);
	words_free(&user->groups);
}

uint64_t users_new_serial(
    struct database *db, const struct user *user, struct wire_span key, int64_t valid_before)
{
	char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];

	public_key_fingerprint(key, fingerprint);
	database_durable(db, true);
	bool good = database_run(db,
	    "INSERT INTO certificates(user_id, key_id, fingerprint, issued_at, valid_before) VALUES(?, ?, ?, "
	    "?, ?)",
	    "tttii", user->user_id, user->name, fingerprint, (int64_t)time(NULL), valid_before);
	database_durable(db, false);
	return good ? (uint64_t)sqlite3_last_insert_rowid(db->handle) : 0;
}

static json_t *words_json(const struct words *words)
{
	json_t *list = json_array();

	for (size_t i = 0; i < words->count; i++)
		json_array_append_new(list, json_string(words->at[i]));
	return list;
}

static json_t *keys_json(struct database *db, const char *name)
{
	sqlite3_stmt *row =
	    database_query(db, "SELECT blob, comment FROM user_keys WHERE name = ?", "t", name);
	json_t *list = json_array();

	while (database_row(row)) {
		struct public_key key;
		char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];
		struct wire_span blob = database_blob(row, 0);
		public_key_fingerprint(blob, fingerprint);
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s}", "type",
		              public_key_parse(blob, &key) ? key.type->name : "unknown", "fingerprint",
		              fingerprint, "comment", database_text(row, 1)));
	}
	return list;
}

json_t *user_json(struct database *db, const struct user *user)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:I}", "name", user->name, "user_id", user->user_id,
	    "email", user->email, "logins", words_json(&user->logins), "groups", words_json(&user->groups),
	    "keys", keys_json(db, user->name), "created_at", (json_int_t)user->created_at);
}

json_t *users_json(struct database *db)
{
	sqlite3_stmt *row = database_query(db, "SELECT name FROM users ORDER BY name", "");
	json_t *list = json_array();

	while (database_row(row)) {
		struct user user;
		char name[WORD_SIZE];
		snprintf(name, sizeof(name), "%s", database_text(row, 0));
		if (users_find(db, name, &user)) {
			json_array_append_new(list, user_json(db, &user));
			user_free(&user);
		}
	}
	return list;
}
