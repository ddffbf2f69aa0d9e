/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_keys: what the keeper has said of the host keys that clients are shown, and their certificates: so
 * that nobody asks it for each connection, and an RSA key is searched for once.
 */
#ifndef CONTROL_IDENTITY_HOST_KEYS_H
#define CONTROL_IDENTITY_HOST_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "control/identity/database.h"

#define HOST_KEYS_TYPE_SIZE 32
#define HOST_KEYS_PUBLIC_MAX 600
#define HOST_KEYS_CERTIFICATE_MAX 20480 /* fits a key exchange (RFC 4253 section 6.1) */

struct host_key_row {
	uint8_t public_key[HOST_KEYS_PUBLIC_MAX];
	size_t public_len;
	uint8_t certificate[HOST_KEYS_CERTIFICATE_MAX];
	size_t certificate_len; /* 0: none */
	int64_t fresh_until;    /* unix seconds: when a certificate is to be asked for anew */
};

/* The key of a target and type under a seed (8 bytes, as the keeper calls it). False: not known. */
bool host_keys_find(struct database *db, struct wire_span seed, const char *target_id, const char *type,
    struct host_key_row *row);
bool host_keys_store(struct database *db, struct wire_span seed, const char *target_id, const char *type,
    struct wire_span public_key);
/* certificate: empty where there is no host CA. */
bool host_keys_store_certificate(struct database *db, struct wire_span seed, const char *target_id,
    const char *type, struct wire_span certificate, int64_t fresh_until);
/* Appends the public keys that are known of a target under a seed, of any type, each a string. */
void host_keys_put_known(
    struct database *db, struct wire_span seed, const char *target_id, struct wire_out *out);
/* Of which type is that key? False: it is not known as one of theirs. */
bool host_keys_whose(struct database *db, struct wire_span seed, const char *target_id,
    struct wire_span public_key, char type[HOST_KEYS_TYPE_SIZE]);
/* The host CA, or the names of a target (NULL: of any), have changed. */
void host_keys_recertify(struct database *db, const char *target_id);

/* Forgets the keys of all seeds but two. */
void host_keys_forget_others(struct database *db, struct wire_span seed, struct wire_span other);

/* "rsa-sha2-512-cert-v01@openssh.com": *type "ssh-rsa", *certificate true. False: not an algorithm of ours.
 */
bool host_keys_algorithm(struct wire_span algorithm, const char **type, bool *certificate);

#endif
