/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revocations: the key revocation list that is in force, kept in control.db.
 *
 * One that is there and cannot be read revokes everything: no key or certificate is good until an
 * administrator loads another one or clears it. A new list takes the place of the old one only when it can be
 * read.
 */
#ifndef CONTROL_IDENTITY_REVOCATIONS_H
#define CONTROL_IDENTITY_REVOCATIONS_H

#include "control/certificate/krl.h"
#include "control/identity/database.h"

enum revocations_state { REVOCATIONS_NONE = 0, REVOCATIONS_GOOD, REVOCATIONS_DAMAGED };

struct revocations {
	enum revocations_state state;
	uint8_t *bytes; /* GOOD only */
	struct krl krl;
	int64_t loaded_at; /* unix seconds */
};

/* Reads what is in force. What cannot be read is logged. */
void revocations_open(struct revocations *revocations, struct database *db);
void revocations_close(struct revocations *revocations);
/* Puts a list in force, flushed to the disk. NULL, or why not (then nothing has changed). */
const char *revocations_load(
    struct revocations *revocations, struct database *db, struct wire_span bytes, int64_t now);
/* False where the database did not take it. */
bool revocations_clear(struct revocations *revocations, struct database *db);
/* May the key or certificate be used, as far as this goes? Else `why` is for the user. */
bool revocations_check(const struct revocations *revocations, struct wire_span blob, char *why, size_t size);

#endif
