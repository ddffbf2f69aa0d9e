/* SPDX-License-Identifier: Apache-2.0 */
/* client_cas: the keys of the client CA, whose user certificates the box believes: several while a new one
 * takes over from an old one. */
#ifndef CONTROL_SESSIONS_CLIENT_CAS_H
#define CONTROL_SESSIONS_CLIENT_CAS_H

#include "control/certificate/public_key.h"

#define CLIENT_CAS_MAX 8

struct client_cas {
	struct client_ca {
		uint8_t blob[PUBLIC_KEY_BLOB_MAX];
		size_t len;
		int64_t retire_at; /* unix seconds; 0: not by itself */
	} at[CLIENT_CAS_MAX];
	unsigned count;
};

/* Takes what the keeper said (KEY_CA_REPLY's keys) in the place of all before. */
void client_cas_take(struct client_cas *cas, struct wire_span keys);
/* The one whose key blob this is, if its time is not over; length 0: none of them. */
struct wire_span client_cas_find(const struct client_cas *cas, struct wire_span blob, int64_t now);

#endif
