/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/targets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void target_address(struct wire_span addr, uint16_t port, uint16_t vlan, char text[TARGET_ADDRESS_SIZE])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (addr.len == 4 || addr.len == 16)
		inet_ntop(addr.len == 4 ? AF_INET : AF_INET6, addr.at, ip, sizeof(ip));
	int len = port == 22 ? snprintf(text, TARGET_ADDRESS_SIZE, "%s", ip)
	                     : snprintf(text, TARGET_ADDRESS_SIZE, "[%s]:%u", ip, port);
	if (vlan != 0)
		snprintf(text + len, TARGET_ADDRESS_SIZE - (size_t)len, "%%vlan%u", vlan);
}

/* A number at the end of the text, up to `max`. */
static bool number_at_end(const char *text, unsigned long max, uint16_t *value)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	*value = (uint16_t)number;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && number > 0 && number <= max;
}

/* What somebody typed, in parts. */
struct typed_address {
	uint8_t addr[16];
	size_t addr_len;
	uint16_t port, vlan; /* port: 0, none was said */
};

static bool typed_address_read(const char *typed, struct typed_address *parts)
{
	char copy[TARGET_ADDRESS_SIZE], *ip = copy, *vlan_at, *close;

	*parts = (struct typed_address){0};
	if ((size_t)snprintf(copy, sizeof(copy), "%s", typed) >= sizeof(copy))
		return false;
	vlan_at = strstr(copy, "%vlan");
	if (vlan_at != NULL) {
		*vlan_at = '\0';
		if (!number_at_end(vlan_at + 5, 4095, &parts->vlan))
			return false;
	}
	if (copy[0] == '[') {
		close = strchr(copy, ']');
		if (close == NULL || close[1] != ':' || !number_at_end(close + 2, 65535, &parts->port))
			return false;
		*close = '\0';
		ip++;
	}
	bool v4 = inet_pton(AF_INET, ip, parts->addr) == 1;
	parts->addr_len = v4 ? 4 : 16;
	return v4 || inet_pton(AF_INET6, ip, parts->addr) == 1;
}

bool target_address_read(const char *typed, char text[TARGET_ADDRESS_SIZE])
{
	struct typed_address parts;

	if (!typed_address_read(typed, &parts))
		return false;
	target_address((struct wire_span){parts.addr, parts.addr_len}, parts.port == 0 ? 22 : parts.port,
	    parts.vlan, text);
	return true;
}

bool target_place_read(const char *typed, char text[TARGET_ADDRESS_SIZE])
{
	struct typed_address parts;
	char ip[INET6_ADDRSTRLEN] = "?", vlan[16] = "";

	if (!target_address_read(typed, text) || !typed_address_read(typed, &parts))
		return false;
	if (parts.port != 22)
		return true;
	inet_ntop(parts.addr_len == 4 ? AF_INET : AF_INET6, parts.addr, ip, sizeof(ip));
	if (parts.vlan != 0)
		snprintf(vlan, sizeof(vlan), "%%vlan%u", parts.vlan);
	snprintf(text, TARGET_ADDRESS_SIZE, "[%s]:22%s", ip, vlan);
	return true;
}

/* An address ("198.51.100.2%vlan7", "[198.51.100.2]:2222") has the names of two places: its own, and this
 * one: of its host at every port, or, where no port in it means 22, of port 22. */
#define BEFORE(a, mark) "substr(" a ", 1, instr(" a " || '" mark "', '" mark "') - 1)"
#define NETWORK(a) "substr(" a ", instr(" a " || '%', '%'))"
#define OTHER_PLACE(a)                                                                                       \
	"CASE substr(" a ", 1, 1) WHEN '[' THEN substr(" BEFORE(a, "]") ", 2) || " NETWORK(                  \
	    a) " ELSE '[' || " BEFORE(a, "%") " || ']:22' || " NETWORK(a) " END"
/* After FROM: addresses with their targets and names. */
#define NAMED_ADDRESSES                                                                                      \
	"target_addresses AS met JOIN target_names AS given ON given.address IN (met.address, " OTHER_PLACE( \
	    "met.address") ")"

enum targets_result targets_check(struct database *db, const char *address, struct wire_span host_key,
    char target_id[PUBLIC_KEY_FINGERPRINT_SIZE], char pinned[PUBLIC_KEY_FINGERPRINT_SIZE], bool *by_admin)
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT host_key, by_admin FROM targets JOIN target_addresses USING(target_id) WHERE address = ?",
	    "t", address);

	public_key_fingerprint(host_key, target_id);
	pinned[0] = '\0';
	*by_admin = false;
	if (row == NULL)
		return TARGETS_FAILED;
	if (!database_row(row))
		return sqlite3_errcode(db->handle) == SQLITE_OK || sqlite3_errcode(db->handle) == SQLITE_DONE
		           ? TARGETS_UNKNOWN
		           : TARGETS_FAILED;
	struct wire_span expected = database_blob(row, 0);
	bool same = wire_span_same(expected, host_key);
	if (!same)
		public_key_fingerprint(expected, pinned);
	*by_admin = sqlite3_column_int(row, 1) != 0;
	database_stop(row);
	return same ? TARGETS_KNOWN : TARGETS_CHANGED;
}

static void recertify(struct database *db, const char *address);

bool targets_pin(struct database *db, const char *address, struct wire_span host_key, bool by_admin)
{
	char target_id[PUBLIC_KEY_FINGERPRINT_SIZE];
	int64_t now = time(NULL);

	public_key_fingerprint(host_key, target_id);
	if (!database_begin(db))
		return false;
	recertify(db, address); /* of who was there before */
	bool good =
	    database_run(db, "INSERT OR IGNORE INTO targets(target_id, host_key, first_seen) VALUES(?, ?, ?)",
	        "tbi", target_id, host_key, now) &&
	    database_run(db,
	        "INSERT OR REPLACE INTO target_addresses(address, target_id, first_seen, by_admin) VALUES(?, "
	        "?, "
	        "?, ?)",
	        "ttii", address, target_id, now, (int64_t)by_admin) &&
	    /* One that has lost its last address is no target any more. */
	    database_run(db,
	        "DELETE FROM targets WHERE target_id NOT IN (SELECT target_id FROM target_addresses)", "");
	recertify(db, address);
	return database_end(db, good);
}

int targets_forget(struct database *db, const char *target_or_address)
{
	int forgotten = 0;

	database_durable(db, true);
	if (database_begin(db)) {
		recertify(db,
		    target_or_address); /* who is left without the address must not go on being called so */
		bool good =
		    database_run(db, "DELETE FROM target_addresses WHERE address = ?1 OR target_id = ?1", "t",
		        target_or_address);
		forgotten = good ? database_changes(db) : 0;
		/* A target that is met nowhere any more is no target. */
		good =
		    good &&
		    database_run(db,
		        "DELETE FROM targets WHERE target_id NOT IN (SELECT target_id FROM target_addresses)",
		        "");
		if (!database_end(db, good))
			forgotten = 0;
	}
	database_durable(db, false);
	return forgotten;
}

bool targets_algorithms(struct database *db, const char *address, char *text, size_t size)
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT host_key, by_admin FROM targets JOIN target_addresses USING(target_id) WHERE address = ?",
	    "t", address);
	struct public_key key;

	text[0] = '\0';
	if (!database_row(row))
		return false;
	bool by_admin = sqlite3_column_int(row, 1) != 0;
	/* An RSA key signs with SHA-2 under names of its own (RFC 8332); by the old one only where a rule
	 * allows it. */
	if (public_key_parse_legacy(database_blob(row, 0), &key))
		snprintf(text, size, "%s",
		    key.type->kind == PUBLIC_KEY_RSA ? "rsa-sha2-512,rsa-sha2-256,ssh-rsa" : key.type->name);
	database_stop(row);
	return by_admin;
}

static json_t *texts_json(sqlite3_stmt *row)
{
	json_t *list = json_array();

	while (database_row(row))
		json_array_append_new(list, json_string(database_text(row, 0)));
	return list;
}

static json_t *addresses_json(struct database *db, const char *target_id)
{
	return texts_json(database_query(
	    db, "SELECT address FROM target_addresses WHERE target_id = ? ORDER BY address", "t", target_id));
}

/* What known_hosts files call it: "198.51.100.2", "[web1]:2222". */
static json_t *hosts_json(struct database *db, const char *target_id)
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT address, '' FROM target_addresses WHERE target_id = ?1 UNION ALL SELECT met.address, "
	    "name "
	    "FROM " NAMED_ADDRESSES " WHERE target_id = ?1 ORDER BY 1, 2",
	    "t", target_id);
	json_t *list = json_array();
	struct words seen = {0};

	while (database_row(row)) {
		const char *address = database_text(row, 0), *name = database_text(row, 1);
		const char *port = address[0] == '[' ? strchr(address, ']') + 1 : "";
		char host[TARGET_NAME_MAX + 16];
		size_t port_len = strcspn(port, "%");
		if (name[0] == '\0') /* the network has no say in what a host is called */
			snprintf(host, sizeof(host), "%.*s", (int)strcspn(address, "%"), address);
		else
			snprintf(
			    host, sizeof(host), port_len > 0 ? "[%s]%.*s" : "%s", name, (int)port_len, port);
		if (!words_have(&seen, host) && words_add(&seen, host))
			json_array_append_new(list, json_string(host));
	}
	words_free(&seen);
	return list;
}

static json_t *names_json(struct database *db, const char *target_id)
{
	return texts_json(database_query(db,
	    "SELECT DISTINCT name FROM " NAMED_ADDRESSES " WHERE target_id = ? ORDER BY name", "t",
	    target_id));
}

json_t *targets_json(struct database *db)
{
	sqlite3_stmt *row = database_query(
	    db, "SELECT target_id, host_key, first_seen FROM targets ORDER BY first_seen, target_id", "");
	json_t *list = json_array();

	while (database_row(row)) {
		struct public_key key;
		char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];
		struct wire_span blob = database_blob(row, 1);
		public_key_fingerprint(blob, fingerprint);
		json_array_append_new(list,
		    json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:I}", "target_id", database_text(row, 0),
		        "type", public_key_parse_legacy(blob, &key) ? key.type->name : "unknown",
		        "fingerprint", fingerprint, "addresses", addresses_json(db, database_text(row, 0)),
		        "names", names_json(db, database_text(row, 0)), "hosts",
		        hosts_json(db, database_text(row, 0)), "first_seen",
		        (json_int_t)sqlite3_column_int64(row, 2)));
	}
	return list;
}

/* "[2001:db8::2]:2222%vlan7" -> "2001:db8::2" */
static void bare_address(const char *address, char bare[TARGET_ADDRESS_SIZE])
{
	const char *start = address[0] == '[' ? address + 1 : address;

	snprintf(bare, TARGET_ADDRESS_SIZE, "%.*s", (int)strcspn(start, "]%"), start);
}

/* The first column of all rows, until there are `max`. */
static void gather(sqlite3_stmt *row, struct words *names, size_t max)
{
	char bare[TARGET_ADDRESS_SIZE];

	while (database_row(row)) {
		const char *text = database_text(row, 0);
		if (sqlite3_column_int(row, 1) != 0) {
			bare_address(text, bare);
			text = bare;
		}
		if (names->count >= max || (!words_add(names, text) && !words_have(names, text))) {
			database_stop(row);
			return;
		}
	}
}

void targets_names(
    struct database *db, const char *target_id, const char *first, size_t max, struct words *names)
{
	gather(database_query(db,
	           "SELECT address, 1 FROM target_addresses WHERE address = ?1 AND target_id = ?2", "tt",
	           first, target_id),
	    names, max);
	gather(database_query(db,
	           "SELECT name, 0 FROM " NAMED_ADDRESSES
	           " WHERE met.address = ?1 AND target_id = ?2 ORDER BY name",
	           "tt", first, target_id),
	    names, max);
	gather(
	    database_query(db, "SELECT address, 1 FROM target_addresses WHERE target_id = ? ORDER BY address",
	        "t", target_id),
	    names, max);
	gather(database_query(db,
	           "SELECT DISTINCT name, 0 FROM " NAMED_ADDRESSES " WHERE target_id = ? ORDER BY name", "t",
	           target_id),
	    names, max);
}

bool target_name_read(const char *typed, char name[TARGET_NAME_MAX + 1])
{
	size_t len = strlen(typed);

	if (len == 0 || len > TARGET_NAME_MAX || typed[0] == '-')
		return false;
	for (size_t i = 0; i <= len; i++) {
		name[i] = typed[i] >= 'A' && typed[i] <= 'Z' ? (char)(typed[i] + 32) : typed[i];
		if (i < len && strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", name[i]) == NULL)
			return false;
	}
	return true;
}

/* The certificates of whoever is at the address say other names from now on. */
static void recertify(struct database *db, const char *address)
{
	(void)database_run(db,
	    "UPDATE host_keys SET fresh_until = 0 WHERE target_id IN (SELECT target_id FROM target_addresses "
	    "WHERE "
	    "address = ?)",
	    "t", address);
}

/* The same of whoever is at the place: at one port, or at all of an address. */
static void recertify_place(struct database *db, const char *place)
{
	(void)database_run(db,
	    "UPDATE host_keys SET fresh_until = 0 WHERE target_id IN (SELECT target_id FROM target_addresses "
	    "WHERE address = ?1 OR " OTHER_PLACE("address") " = ?1)",
	    "t", place);
}

void targets_names_at(struct database *db, const char *address, struct words *names)
{
	gather(
	    database_query(db,
	        "SELECT name, 0 FROM target_names WHERE address IN (?1, " OTHER_PLACE("?1") ") ORDER BY name",
	        "t", address),
	    names, WORDS_MAX);
}

bool targets_name(struct database *db, const char *place, const char *name)
{
	bool good = database_run(
	    db, "INSERT OR IGNORE INTO target_names(address, name) VALUES(?, ?)", "tt", place, name);

	if (good && database_changes(db) > 0)
		recertify_place(db, place);
	return good;
}

bool targets_unname(struct database *db, const char *place, const char *name)
{
	if (!database_run(db, "DELETE FROM target_names WHERE address = ? AND name = ?", "tt", place, name) ||
	    database_changes(db) == 0)
		return false;
	recertify_place(db, place);
	return true;
}

/* Of a port: its own and those of every port. Of every port: these, and the most that one port has. */
unsigned targets_name_count(struct database *db, const char *place)
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT (SELECT count(*) FROM target_names WHERE address = ?1) + CASE substr(?1, 1, 1) WHEN '[' "
	    "THEN (SELECT count(*) FROM target_names WHERE address = " OTHER_PLACE(
	        "?1") ") "
	              "ELSE (SELECT coalesce(max(names), 0) FROM (SELECT count(*) AS names FROM target_names "
	              "WHERE "
	              "substr(address, 1, 1) = '[' AND " OTHER_PLACE(
	                  "address") " = ?1 GROUP BY address)) END",
	    "t", place);
	unsigned count = 0;

	if (database_row(row)) {
		count = (unsigned)sqlite3_column_int(row, 0);
		database_stop(row);
	}
	return count;
}
