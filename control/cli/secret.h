/* SPDX-License-Identifier: Apache-2.0 */
/* secret: what people type and what their key files hold, on its way to the keeper: in locked memory, then
 * sealed. */
#ifndef CONTROL_CLI_SECRET_H
#define CONTROL_CLI_SECRET_H

#include <jansson.h>

#include "config/wire/wire.h"

#define SECRET_LINE_MAX 1024 /* bytes of a password or passphrase */

/* Bytes in libsodium's memory; secret_free wipes them. at NULL: none. */
struct secret {
	uint8_t *at;
	size_t len;
};
void secret_free(struct secret *secret);

/* Asks at the terminal, without echo. False after a message: there is none, or nothing was typed. */
bool secret_ask(const char *prompt, struct secret *line);
/* The first line of standard input. False after a message. */
bool secret_from_stdin(struct secret *line);
/* The private fields (control/keeper/private_key.h) of a key file; asks for its passphrase where it has one.
 * False after a message. */
bool secret_from_key_file(const char *path, struct secret *fields);

/* Seals bytes to the keeper's key, which control is asked for. Base64 as a JSON string; NULL after a message.
 */
json_t *secret_seal(const char *socket_path, const struct wire_out *plain);

#endif
