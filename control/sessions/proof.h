/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof: that the holder of a key asked to log in, in this session and no other.
 *
 * A worker may be taken over, so its word that a signature was right is worth nothing. What is worth
 * something is the client's USERAUTH_REQUEST itself (RFC 4252 section 7): its signature covers the session
 * identifier, which is the exchange hash of the first key exchange, and that one control has had signed by
 * the session's host key, once.
 */
#ifndef CONTROL_SESSIONS_PROOF_H
#define CONTROL_SESSIONS_PROOF_H

#include <stdbool.h>

#include "control/certificate/public_key.h"

/* Bytes of a request: a certificate and an RSA signature of 16,384 bits have less. */
#define PROOF_MAX 24576

/* SHA-256 of what the session's client is shown: its host key and, where there is one, the certificate. */
struct proof_host_keys {
	uint8_t count; /* 0: not known any more */
	uint8_t digest[2][32];
};

struct proof_claim {
	struct wire_span session_identifier;
	struct wire_span login;
	struct wire_span key_blob;    /* as it was asked about: plain, or a certificate */
	const struct public_key *key; /* that it holds */
	uint8_t sk_flags;             /* what a security key must have noticed */
	bool sha1;                    /* the rule lets clients sign by "ssh-rsa" */
	const struct proof_host_keys *shown;
};

/* Does the request (its payload behind the message number) prove the claim? It is a stranger's, wholly. */
bool proof_holds(struct wire_span request, const struct proof_claim *claim);

#endif
