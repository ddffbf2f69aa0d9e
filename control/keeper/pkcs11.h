/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkcs11: keys in a token (PKCS#11 2.40 and the Edwards curves of 3.0), by the functions of a vendor's
 * module.
 *
 * Runs in the token process alone (token.h): a module is foreign code, which may use threads, files, sockets,
 * and may crash. A key is named by a URI of RFC 7512 with `token` and `object` or `id`:
 * pkcs11:token=portreeve;object=user-ca
 */
#ifndef CONTROL_KEEPER_PKCS11_H
#define CONTROL_KEEPER_PKCS11_H

#include <stdbool.h>

#include "config/wire/wire.h"

#define PKCS11_ERROR_MAX 200
#define PKCS11_PIN_MAX 256
#define PKCS11_REFUSALS_MAX 8

/* What a URI names. Lengths 0: not named. */
struct pkcs11_name {
	char token[33];
	char object[128];
	uint8_t id[64];
	size_t id_len;
};
/* False: *wrong says what is expected. */
bool pkcs11_name_read(struct wire_span uri, struct pkcs11_name *name, const char **wrong);

/*
 * The tokens that did not take the PIN: a token counts wrong ones and locks, so none is asked twice. Where
 * more than fit in did not, none is. All zeros at first; in memory that outlives the process where the module
 * runs.
 */
struct pkcs11_refusals {
	uint32_t count;
	char tokens[PKCS11_REFUSALS_MAX][33];
};

struct pkcs11;
/* Loads the module. NULL: error says why. `pin`: C text, which stays the caller's, as `refusals` does. */
struct pkcs11 *pkcs11_open(
    const char *module, const char *pin, struct pkcs11_refusals *refusals, char error[PKCS11_ERROR_MAX]);
/* The public key blob (RFC 4253 section 6.6) of the key pair of that name. */
bool pkcs11_find(
    struct pkcs11 *p, const struct pkcs11_name *name, struct wire_out *blob, char error[PKCS11_ERROR_MAX]);
/* Makes one there that cannot be taken out again. algorithm: enum rpc_ca_algorithm. */
bool pkcs11_generate(struct pkcs11 *p, const struct pkcs11_name *name, uint8_t algorithm,
    struct wire_out *blob, char error[PKCS11_ERROR_MAX]);
/* Appends a signature blob over `data`, by the best algorithm of the key. */
bool pkcs11_sign(struct pkcs11 *p, const struct pkcs11_name *name, struct wire_span data,
    struct wire_out *signature, char error[PKCS11_ERROR_MAX]);

#endif
