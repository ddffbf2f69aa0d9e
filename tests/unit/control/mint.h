/* SPDX-License-Identifier: Apache-2.0 */
/* mint: keys and OpenSSH certificates made to order, good and bad, for tests. */
#ifndef TESTS_UNIT_CONTROL_MINT_H
#define TESTS_UNIT_CONTROL_MINT_H

#include <stdint.h>

#include "control/certificate/public_key.h"

struct mint_key {
	uint8_t secret[64]; /* Ed25519, as libsodium keeps it */
	uint8_t blob[51];   /* string "ssh-ed25519", string point */
};

void mint_key(struct mint_key *key);
static inline struct wire_span mint_blob(const struct mint_key *key)
{
	return (struct wire_span){key->blob, sizeof(key->blob)};
}
/* "ssh-ed25519 AAAA… comment", malloc'ed */
char *mint_line(const struct mint_key *key, const char *comment);

/* A key that mint_key() made in this process, by the blob (or a certificate over it). NULL: none. */
const struct mint_key *mint_find(struct wire_span blob);
/* A USERAUTH_REQUEST (payload behind the message number) signed by the key over the session identifier.
 * `host_key`: empty, or what method publickey-hostbound-v00@openssh.com names. Returns its length. */
size_t mint_request(const struct mint_key *key, struct wire_span identifier, const char *login,
    struct wire_span blob, struct wire_span host_key, uint8_t *request, size_t size);

struct mint_option {
	const char *name, *value; /* NULL value: empty data, as extensions have it */
	bool raw;                 /* value goes in without the inner string */
};
struct mint_certificate {
	uint64_t serial;
	uint32_t type;
	const char *key_id;
	const char *principals[4]; /* ends with NULL */
	uint64_t valid_after, valid_before;
	struct mint_option critical[4], extensions[8]; /* end with a NULL name */
	bool spoil_signature;
	bool sk; /* over a security key, application "ssh:" */
};
/* What security keys say that they have noticed, when mint_request() has them sign. */
extern uint8_t mint_sk_flags;
/* Signs the certificate over `key` by `ca`; returns its length in `blob`. */
size_t mint_certificate(const struct mint_certificate *certificate, const struct mint_key *key,
    const struct mint_key *ca, uint8_t blob[PUBLIC_KEY_BLOB_MAX]);

#endif
