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
	} at[CLIENT_CAS_MAX];
	unsigned count;
};

/* Takes what the keeper said ("ssh-ed25519 AAAA… comment") in the place of all before. */
void client_cas_take(struct client_cas *cas, struct wire_span public_line);
/* The one whose key blob this is; length 0: none of them. */
struct wire_span client_cas_find(const struct client_cas *cas, struct wire_span blob);

#endif
