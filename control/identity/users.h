/* SPDX-License-Identifier: Apache-2.0 */
/* users: who is enrolled, with which keys, logins and groups, and which certificates were issued to them. */
#ifndef CONTROL_IDENTITY_USERS_H
#define CONTROL_IDENTITY_USERS_H

#include <jansson.h>

#include "control/certificate/public_key.h"
#include "control/identity/database.h"
#include "control/identity/words.h"

#define USER_ID_SIZE 40
#define USER_EMAIL_SIZE 256
#define USER_KEYS_MAX 64

struct user {
	char name[WORD_SIZE];
	char user_id[USER_ID_SIZE]; /* UUID; another one when a removed name is enrolled again */
	char email[USER_EMAIL_SIZE];
	int64_t created_at;
	struct words logins, groups;
};

enum users_result {
	USERS_OK = 0,
	USERS_EXISTS,    /* the name is taken */
	USERS_KEY_TAKEN, /* a key is another user's */
	USERS_FAILED,    /* the database did not take it (logged) */
};

/* Enrols a user with checked fields; makes user_id and created_at. On USERS_KEY_TAKEN, `taken_by` is the
 * other's name. */
enum users_result users_add(struct database *db, struct user *user, const struct public_key_line *keys,
    size_t key_count, char taken_by[WORD_SIZE]);
/* Puts the lists that are not NULL in the place of those that an enrolled user has. It stays the same user:
 * id, certificates, second factor and bound addresses are as before. On KEY_TAKEN as above. */
enum users_result users_change(struct database *db, const char *name, const struct words *logins,
    const struct words *groups, const struct public_key_line *keys, size_t key_count,
    char taken_by[WORD_SIZE]);
/* Removes; the user's certificates are worthless from now on. False where there is no such user. */
bool users_remove(struct database *db, const char *name);

/* Loads a user; free with user_free. False where there is none. */
bool users_find(struct database *db, const char *name, struct user *user);
bool users_find_by_key(struct database *db, struct wire_span blob, struct user *user);
/* The user to whom the certificate with this serial and key id was issued, if enrolled still. */
bool users_find_by_certificate(struct database *db, uint64_t serial, const char *key_id, struct user *user);
void user_free(struct user *user);

/* A serial for a new certificate; 0 on failure. */
uint64_t users_new_serial(
    struct database *db, const struct user *user, struct wire_span key, int64_t valid_before);

/* {name, user_id, logins, groups, keys:[{type,fingerprint,comment}], created_at} */
json_t *user_json(struct database *db, const struct user *user);
/* All of them, by name. */
json_t *users_json(struct database *db);

/* A random UUID (RFC 9562, version 4). */
void uuid_make(char text[40]);

#endif
