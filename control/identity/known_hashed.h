/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_hashed: a hashed name of a known_hosts file ("|1|salt|hash": HMAC-SHA1 of the name, keyed with the
 * salt, RFC 2104), made ready to be compared with many names: what the salt contributes is computed once,
 * which leaves two blocks of SHA-1 for a name.
 */
#ifndef CONTROL_IDENTITY_KNOWN_HASHED_H
#define CONTROL_IDENTITY_KNOWN_HASHED_H

#define OPENSSL_SUPPRESS_DEPRECATED /* the new interface allocates at each hash, and costs ten times as much \
                                     */
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>

struct known_hashed {
	SHA_CTX inner, outer; /* after the padded key */
	uint8_t expected[SHA_DIGEST_LENGTH];
};

/* Is that how a name is hashed? */
bool known_hashed_is(const char *text);
/* False: the salt or the hash is none; nothing matches it. */
bool known_hashed_read(struct known_hashed *hashed, const char *text);
bool known_hashed_matches(const struct known_hashed *hashed, const char *name);

#endif
