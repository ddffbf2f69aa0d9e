/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssh_key: private key files as ssh-keygen writes them (OpenSSH's PROTOCOL.key), taken apart.
 *
 * The envelope says how the private part is encrypted; once that is open, openssh_key_fields() finds in it
 * what the keeper takes: string type and the private fields, without check numbers, comment and padding.
 */
#ifndef CONTROL_CLI_OPENSSH_KEY_H
#define CONTROL_CLI_OPENSSH_KEY_H

#include "config/wire/wire.h"

#define OPENSSH_KEY_FILE_MAX (64 * 1024)
#define OPENSSH_KEY_ROUNDS_MAX 4096 /* of bcrypt; ssh-keygen's default is 16 or 24 */

struct openssh_key {
	char cipher[32]; /* "none": not encrypted */
	struct wire_span salt;
	uint32_t rounds;
	struct wire_span public_key; /* blob */
	struct wire_span private_part;
};

/* Decodes the text of a file into `room` (its size: that of the text does), where the spans point. NULL, or
 * what is wrong with the file, which follows on its name. */
const char *openssh_key_open(const char *text, size_t len, uint8_t *room, struct openssh_key *key);
/* The private fields in a decrypted private part. Length 0: it is not one (the passphrase was wrong, or it is
 * damaged), or a key of a type that cannot be used (sk-, dsa). */
struct wire_span openssh_key_fields(struct wire_span plain);

#endif
