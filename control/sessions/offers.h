/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offers: the keys and certificates that a client has offered, for the audit log.
 *
 * A refused login would else leave no trace of what it was tried with. That a client named a key is a
 * worker's word, and says nothing of whether it holds it: only of a key whose signature control has verified
 * it is said that it was proven. What a certificate says of itself is its CA's word only where a CA that
 * counts has signed it.
 */
#ifndef CONTROL_SESSIONS_OFFERS_H
#define CONTROL_SESSIONS_OFFERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define OFFERS_MAX 16       /* kept of one connection; further ones are counted */
#define OFFERS_TEXT_MAX 161 /* bytes of a key id, login or reason, with the NUL; longer ones are cut */

struct offers {
	json_t *list;  /* NULL: none */
	uint32_t more; /* that are not in it */
};

/* What came of one. */
struct offer_outcome {
	const char *refused; /* why; NULL: it was not */
	bool attested;       /* a certificate: signed by a CA that counts here */
	bool proven;
};

/* One that is there already (the same key or certificate, for the same login) has a new outcome, but stays
 * proven and attested once it was. */
void offers_note(struct offers *offers, struct wire_span blob, struct wire_span login,
    const struct offer_outcome *outcome);
/* Takes one out, of which something else will tell. */
void offers_drop(struct offers *offers, struct wire_span blob, struct wire_span login);
/* Puts them into an event's detail, as `offered` and, where some were left out, `offered_more`; what stood
 * there under these names goes. */
void offers_put(const struct offers *offers, json_t *detail);
void offers_free(struct offers *offers);

/* A new object: type and fingerprint of a key; of a certificate its key's, and key_id, serial, ca
 * (fingerprint). NULL without memory. */
json_t *offers_key(struct wire_span blob);

#endif
