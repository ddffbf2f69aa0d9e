/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/bindings.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void binding_address(struct wire_span addr, uint16_t vlan, char text[TARGET_ADDRESS_SIZE])
{
	if (addr.len == 16 && memcmp(addr.at, mapped, sizeof(mapped)) == 0)
		addr = (struct wire_span){addr.at + sizeof(mapped), 4};
	target_address(addr, 22, vlan, text);
}

/* Does it name one host? */
static bool is_host(const uint8_t *addr, size_t len)
{
	static const uint8_t none[16];

	if (len == 16 && memcmp(addr, mapped, sizeof(mapped)) == 0)
		return is_host(addr + sizeof(mapped), 4);
	if (memcmp(addr, none, len) == 0)
		return false;
	return len == 4 ? addr[0] < 224 : addr[0] != 0xff;
}

bool binding_address_read(const char *typed, char text[TARGET_ADDRESS_SIZE])
{
	char copy[TARGET_ADDRESS_SIZE], *end;
	unsigned long vlan = 0;
	uint8_t addr[16];

	if ((size_t)snprintf(copy, sizeof(copy), "%s", typed) >= sizeof(copy))
		return false;
	char *vlan_at = strstr(copy, "%vlan");
	if (vlan_at != NULL) {
		*vlan_at = '\0';
		vlan = strtoul(vlan_at + 5, &end, 10);
		if (vlan_at[5] < '0' || vlan_at[5] > '9' || *end != '\0' || vlan == 0 || vlan > 4095)
			return false;
	}
	size_t len = inet_pton(AF_INET, copy, addr) == 1 ? 4 : inet_pton(AF_INET6, copy, addr) == 1 ? 16 : 0;
	if (len == 0 || !is_host(addr, len))
		return false;
	binding_address((struct wire_span){addr, len}, (uint16_t)vlan, text);
	return true;
}

/* -- changes ----------------------------------------------------------------------------------------------
 */

bool bindings_begin(struct database *db)
{
	database_durable(db, true);
	if (database_begin(db))
		return true;
	database_durable(db, false);
	return false;
}

static int64_t how_many(struct database *db)
{
	sqlite3_stmt *row = database_query(db, "SELECT count(*) FROM bindings", "");
	int64_t count = database_row(row) ? sqlite3_column_int64(row, 0) : INT64_MAX;

	database_stop(row);
	return count;
}

enum bindings_result bindings_end(struct database *db, int64_t now, bool good)
{
	bool full = false;

	if (good && how_many(db) > BINDINGS_MAX) {
		/* Those that only explain are the first to go. */
		good = database_run(db, "DELETE FROM bindings WHERE expires_at <= ?", "i", now);
		full = good && how_many(db) > BINDINGS_MAX;
	}
	bool committed = database_end(db, good && !full);
	database_durable(db, false);
	return committed ? BINDINGS_OK : full ? BINDINGS_FULL : BINDINGS_FAILED;
}

/* Whose the address is now; "" where it is nobody's. */
static void holder(struct database *db, const char *address, int64_t now, char name[WORD_SIZE])
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT name FROM bindings JOIN users USING(user_id) WHERE address = ? AND expires_at > ?", "ti",
	    address, now);

	name[0] = '\0';
	if (!database_row(row))
		return;
	snprintf(name, WORD_SIZE, "%s", database_text(row, 0));
	database_stop(row);
}

enum bindings_result bindings_add(struct database *db, const char *address, const char *user, int64_t now,
    int64_t expires_at, int64_t uid, char replaced[WORD_SIZE])
{
	struct user enrolled;

	if (!users_find(db, user, &enrolled))
		return BINDINGS_NO_USER;
	user_free(&enrolled);
	holder(db, address, now, replaced);
	/* A renewal keeps the time from which on it was the user's. */
	if (!database_run(db,
	        "INSERT INTO bindings(address, user_id, bound_at, expires_at, bound_by) VALUES(?, ?, ?, ?, ?)"
	        " ON CONFLICT(address) DO UPDATE SET bound_at = CASE WHEN user_id = excluded.user_id AND"
	        " expires_at > excluded.bound_at THEN bound_at ELSE excluded.bound_at END,"
	        " user_id = excluded.user_id, expires_at = excluded.expires_at, bound_by = excluded.bound_by",
	        "ttiii", address, enrolled.user_id, now, expires_at, uid))
		return BINDINGS_FAILED;
	return replaced[0] != '\0' && strcmp(replaced, user) != 0 ? BINDINGS_REPLACED : BINDINGS_OK;
}

bool bindings_remove(struct database *db, const char *address, int64_t now, char user[WORD_SIZE])
{
	holder(db, address, now, user);
	if (user[0] == '\0')
		return false;
	database_durable(db, true);
	bool good = database_run(db, "DELETE FROM bindings WHERE address = ?", "t", address);
	database_durable(db, false);
	return good;
}

void bindings_prune(struct database *db, int64_t now)
{
	(void)database_run(db, "DELETE FROM bindings WHERE expires_at < ?", "i", now - BINDING_KEPT_S);
}

/* -- questions --------------------------------------------------------------------------------------------
 */

enum binding_state bindings_find(
    struct database *db, const char *address, int64_t now, struct user *user, int64_t *expires_at)
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT name, expires_at FROM bindings JOIN users USING(user_id) WHERE address = ?", "t",
	    address);
	char name[WORD_SIZE];

	if (!database_row(row))
		return BINDING_NONE;
	snprintf(name, sizeof(name), "%s", database_text(row, 0));
	*expires_at = sqlite3_column_int64(row, 1);
	database_stop(row);
	if (*expires_at <= now)
		return BINDING_EXPIRED;
	return users_find(db, name, user) ? BINDING_GOOD : BINDING_NONE;
}

json_t *bindings_json(struct database *db, int64_t now, const char *user)
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT address, name, bound_at, expires_at, bound_by FROM bindings JOIN users USING(user_id)"
	    " WHERE expires_at > ? AND (? IS NULL OR name = ?) ORDER BY address",
	    "itt", now, user, user);
	json_t *list = json_array();

	while (database_row(row))
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:I, s:I, s:I}", "address", database_text(row, 0), "user",
		              database_text(row, 1), "bound_at", (json_int_t)sqlite3_column_int64(row, 2),
		              "expires_at", (json_int_t)sqlite3_column_int64(row, 3), "bound_by",
		              (json_int_t)sqlite3_column_int64(row, 4)));
	return list;
}
