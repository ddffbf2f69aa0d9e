/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/host_keys.h"

#include <string.h>

#define CERTIFIED "-cert-v01@openssh.com"

bool host_keys_find(struct database *db, struct wire_span seed, const char *target_id, const char *type,
    struct host_key_row *row)
{
	sqlite3_stmt *found = database_query(db,
	    "SELECT public_key, certificate, fresh_until FROM host_keys WHERE seed = ? AND target_id = ? AND "
	    "type = ?",
	    "btt", seed, target_id, type);

	*row = (struct host_key_row){0};
	if (!database_row(found))
		return false;
	struct wire_span public = database_blob(found, 0), certificate = database_blob(found, 1);
	bool fits = public.len > 0 && public.len <= sizeof(row->public_key) &&
	            certificate.len <= sizeof(row->certificate);
	if (fits) {
		memcpy(row->public_key, public.at, public.len);
		row->public_len = public.len;
		if (certificate.len > 0)
			memcpy(row->certificate, certificate.at, certificate.len);
		row->certificate_len = certificate.len;
		row->fresh_until = sqlite3_column_int64(found, 2);
	}
	database_stop(found);
	return fits;
}

bool host_keys_store(struct database *db, struct wire_span seed, const char *target_id, const char *type,
    struct wire_span public_key)
{
	return public_key.len > 0 && public_key.len <= HOST_KEYS_PUBLIC_MAX &&
	       database_run(db,
	           "INSERT OR REPLACE INTO host_keys(seed, target_id, type, public_key, certificate, "
	           "fresh_until) "
	           "VALUES(?, ?, ?, ?, x'', 0)",
	           "bttb", seed, target_id, type, public_key);
}

bool host_keys_store_certificate(struct database *db, struct wire_span seed, const char *target_id,
    const char *type, struct wire_span certificate, int64_t fresh_until)
{
	return certificate.len <= HOST_KEYS_CERTIFICATE_MAX &&
	       database_run(db,
	           "UPDATE host_keys SET certificate = ?, fresh_until = ? WHERE seed = ? AND target_id = ? "
	           "AND "
	           "type = ?",
	           "bibtt", certificate, fresh_until, seed, target_id, type);
}

void host_keys_put_known(
    struct database *db, struct wire_span seed, const char *target_id, struct wire_out *out)
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT public_key FROM host_keys WHERE seed = ? AND target_id = ? ORDER BY type", "bt", seed,
	    target_id);

	while (database_row(row)) {
		struct wire_span public_key = database_blob(row, 0);
		wire_put_string(out, public_key.at, public_key.len);
	}
}

bool host_keys_whose(struct database *db, struct wire_span seed, const char *target_id,
    struct wire_span public_key, char type[HOST_KEYS_TYPE_SIZE])
{
	sqlite3_stmt *row = database_query(db,
	    "SELECT type FROM host_keys WHERE seed = ? AND target_id = ? AND public_key = ?", "btb", seed,
	    target_id, public_key);

	if (!database_row(row))
		return false;
	bool good = wire_span_copy(wire_span_of(database_text(row, 0)), type, HOST_KEYS_TYPE_SIZE);
	database_stop(row);
	return good;
}

void host_keys_recertify(struct database *db, const char *target_id)
{
	if (target_id == NULL)
		(void)database_run(db, "UPDATE host_keys SET fresh_until = 0", "");
	else
		(void)database_run(
		    db, "UPDATE host_keys SET fresh_until = 0 WHERE target_id = ?", "t", target_id);
}

void host_keys_forget_others(struct database *db, struct wire_span seed, struct wire_span other)
{
	(void)database_run(db, "DELETE FROM host_keys WHERE seed NOT IN (?, ?)", "bb", seed, other);
}

bool host_keys_algorithm(struct wire_span algorithm, const char **type, bool *certificate)
{
	static const struct {
		const char *algorithm, *type;
	} known[] = {{"ssh-ed25519", "ssh-ed25519"}, {"rsa-sha2-512", "ssh-rsa"}, {"rsa-sha2-256", "ssh-rsa"},
	    {"ssh-rsa", "ssh-rsa"}, {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
	    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"}, {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"}};
	const size_t suffix = sizeof(CERTIFIED) - 1;

	*certificate =
	    algorithm.len > suffix && memcmp(algorithm.at + algorithm.len - suffix, CERTIFIED, suffix) == 0;
	if (*certificate)
		algorithm.len -= suffix;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (wire_span_is(algorithm, known[i].algorithm)) {
			*type = known[i].type;
			return true;
		}
	return false;
}
