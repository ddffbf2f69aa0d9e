/* SPDX-License-Identifier: Apache-2.0 */
/*
 * public_key: SSH public keys as blobs (RFC 4253 section 6.6) and as the lines that people paste.
 *
 * Blobs come from clients, origins and administrators: all of them are foreign. A plain key is accepted where
 * its type is known, its parts are all there and nothing follows, and its size is not weak (RSA from 2048
 * bits).
 */
#ifndef CONTROL_CERTIFICATE_PUBLIC_KEY_H
#define CONTROL_CERTIFICATE_PUBLIC_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define PUBLIC_KEY_BLOB_MAX 20480      /* bytes of a blob, certificates with long options included */
#define PUBLIC_KEY_FINGERPRINT_SIZE 52 /* "SHA256:" and 43 characters of base64, with the NUL */
#define PUBLIC_KEY_RSA_BITS_MIN 2048
#define PUBLIC_KEY_RSA_BITS_LEGACY 1024
#define PUBLIC_KEY_RSA_BITS_MAX 16384

enum public_key_kind {
	PUBLIC_KEY_ED25519 = 1,
	PUBLIC_KEY_ECDSA,
	PUBLIC_KEY_RSA,
	PUBLIC_KEY_SK_ED25519, /* PROTOCOL.u2f */
	PUBLIC_KEY_SK_ECDSA,
};

struct public_key_type {
	const char *name;             /* "ssh-ed25519" */
	const char *certificate_name; /* "ssh-ed25519-cert-v01@openssh.com" */
	enum public_key_kind kind;
	const char *curve; /* ECDSA: "nistp256", else NULL */
	const char *group; /* ECDSA: OpenSSL's name of the curve, else NULL */
};

/* The type of that name; *certificate tells whether it was the certificate's name. NULL: unknown. */
const struct public_key_type *public_key_type_of(struct wire_span name, bool *certificate);

/* The key's own parts, as they stand after the type name (and the nonce of a certificate). */
struct public_key {
	const struct public_key_type *type;
	struct wire_span point;       /* Ed25519: 32 bytes; ECDSA: the uncompressed point */
	struct wire_span modulus;     /* RSA, without leading zeros */
	struct wire_span exponent;    /* RSA, without leading zeros */
	struct wire_span application; /* security keys */
};

/* Reads the parts of a key of `type` from `in`. False where they are short, malformed or weak. */
bool public_key_parts(struct wire *in, const struct public_key_type *type, struct public_key *key);
/* Reads a whole plain key blob. False where it is no key that this version accepts (certificates included).
 */
bool public_key_parse(struct wire_span blob, struct public_key *key);

/* The same for host keys of old origins: RSA from 1024 bits. Whether that is good enough is the caller's to
 * say. */
bool public_key_parse_legacy(struct wire_span blob, struct public_key *key);

/* "SHA256:…" of a blob, as OpenSSH prints it. */
void public_key_fingerprint(struct wire_span blob, char text[PUBLIC_KEY_FINGERPRINT_SIZE]);

/* The next word of a line of keys, which goes on at *at; empty at its end. */
struct wire_span public_key_word(const char **at, const char *end);

/* A line "ssh-ed25519 AAAA… comment" of a .pub file. */
struct public_key_line {
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	size_t blob_len;
	struct public_key key; /* spans point into `blob` */
	char comment[128];     /* cut to fit */
};
/* NULL, or what is wrong with the line (a static text that follows on "the key …: "). White space around the
 * line is accepted, options before the type are not, nor are certificates. */
const char *public_key_line_parse(const char *text, size_t len, struct public_key_line *line);
/* "ssh-ed25519 AAAA…" and, where it is not empty, " comment"; malloc'ed, NULL without memory. */
char *public_key_line_print(struct wire_span blob, const char *comment);

/* What a security key (PROTOCOL.u2f) must have noticed when it signed; nothing is asked of other keys. */
#define PUBLIC_KEY_TOUCHED 0x01  /* somebody touched it */
#define PUBLIC_KEY_VERIFIED 0x04 /* and it knew them, by PIN or fingerprint */

/* Is `signature` (a signature blob: string algorithm, string bytes, and what security keys add) by `key` over
 * `message`? Never one by SHA-1 ("ssh-rsa" as the algorithm). */
bool public_key_verify(
    const struct public_key *key, struct wire_span message, struct wire_span signature, uint8_t sk_flags);
/* The same of an RSA key's signature by SHA-1, and of nothing else: for those whom a rule allows it. */
bool public_key_verify_legacy(
    const struct public_key *key, struct wire_span message, struct wire_span signature);

#endif
