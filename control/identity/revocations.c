/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/revocations.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"

static void sum_of(struct wire_span bytes, uint8_t sum[crypto_hash_sha256_BYTES])
{
	crypto_hash_sha256(sum, bytes.at, bytes.len);
}

/* A copy, parsed. NULL, or what is wrong. */
static const char *prepare(struct wire_span bytes, int64_t loaded_at, struct revocations *fresh)
{
	*fresh = (struct revocations){.state = REVOCATIONS_GOOD, .loaded_at = loaded_at};
	fresh->bytes = malloc(bytes.len + 1);
	if (fresh->bytes == NULL)
		return "did not fit into memory";
	if (bytes.len > 0)
		memcpy(fresh->bytes, bytes.at, bytes.len);
	const char *wrong = krl_parse((struct wire_span){fresh->bytes, bytes.len}, &fresh->krl);
	if (wrong != NULL)
		revocations_close(fresh);
	return wrong;
}

void revocations_open(struct revocations *revocations, struct database *db)
{
	uint8_t sum[crypto_hash_sha256_BYTES];
	sqlite3_stmt *row = database_query(db, "SELECT bytes, sum, loaded_at FROM krl", "");

	*revocations = (struct revocations){0};
	if (!database_row(row)) {
		/* That it could not be asked is not that there is none. */
		int code = sqlite3_errcode(db->handle);
		if (row == NULL || (code != SQLITE_OK && code != SQLITE_DONE))
			revocations->state = REVOCATIONS_DAMAGED;
	} else {
		struct wire_span bytes = database_blob(row, 0), told = database_blob(row, 1);
		sum_of(bytes, sum);
		bool whole = told.len == sizeof(sum) && memcmp(told.at, sum, sizeof(sum)) == 0;
		if (!whole || prepare(bytes, sqlite3_column_int64(row, 2), revocations) != NULL)
			revocations->state = REVOCATIONS_DAMAGED;
		database_stop(row);
	}
	if (revocations->state == REVOCATIONS_DAMAGED)
		rpc_log(RPC_LOG_ERROR,
		    "the revocation list in control.db is damaged: no key or certificate is accepted until "
		    "another "
		    "one is loaded (reeve krl load FILE) or it is cleared (reeve krl clear)");
}

void revocations_close(struct revocations *revocations)
{
	free(revocations->bytes);
	*revocations = (struct revocations){0};
}

const char *revocations_load(
    struct revocations *revocations, struct database *db, struct wire_span bytes, int64_t now)
{
	uint8_t sum[crypto_hash_sha256_BYTES];
	struct revocations fresh;
	const char *wrong = prepare(bytes, now, &fresh);

	if (wrong != NULL)
		return wrong;
	sum_of(bytes, sum);
	database_durable(db, true);
	bool stored =
	    database_run(db, "INSERT OR REPLACE INTO krl(one, bytes, sum, loaded_at) VALUES(1, ?, ?, ?)",
	        "bbi", bytes, (struct wire_span){sum, sizeof(sum)}, now);
	database_durable(db, false);
	if (!stored) {
		revocations_close(&fresh);
		return "could not be stored; see the log";
	}
	revocations_close(revocations);
	*revocations = fresh;
	return NULL;
}

bool revocations_clear(struct revocations *revocations, struct database *db)
{
	database_durable(db, true);
	bool cleared = database_run(db, "DELETE FROM krl", "");
	database_durable(db, false);
	if (cleared)
		revocations_close(revocations);
	return cleared;
}

bool revocations_check(const struct revocations *revocations, struct wire_span blob, char *why, size_t size)
{
	if (revocations->state == REVOCATIONS_NONE)
		return true;
	if (revocations->state == REVOCATIONS_DAMAGED) {
		snprintf(why, size,
		    "this gateway cannot tell which keys are revoked; please tell its administrator");
		return false;
	}
	enum krl_verdict verdict = krl_check(&revocations->krl, blob);
	if (verdict == KRL_FINE)
		return true;
	if (certificate_is(blob))
		snprintf(why, size, "your certificate is revoked (%s is); ask for a new one",
		    krl_verdict_text(verdict));
	else
		snprintf(
		    why, size, "your key is revoked; ask the administrator of this gateway to enrol another");
	return false;
}
