/* SPDX-License-Identifier: Apache-2.0 */
/*
 * totp: second factors by time (RFC 6238: HMAC-SHA-1, 6 digits, 30 seconds, as every authenticator app has
 * it).
 *
 * One file a user, named by a hash of the user's id and replaced as a whole: the secret (encrypted to the
 * seal seed, bound to the user), the last step of time for which a code was good, and the wrong codes of
 * late. So a code is good once and wrong ones stay counted, also when this process is restarted.
 */
#ifndef CONTROL_KEEPER_TOTP_H
#define CONTROL_KEEPER_TOTP_H

#include "control/keeper/keeper.h"

#define TOTP_SECRET_SIZE 20 /* RFC 4226 section 4, R6: 160 bits */
#define TOTP_DIGITS 6
#define TOTP_TEXT_SIZE 12 /* bytes of a code as text, more than it needs */
#define TOTP_STEP_S 30
#define TOTP_WINDOW 1    /* steps by which clocks may differ, to either side */
#define TOTP_WRONG_MAX 5 /* within TOTP_LOCK_S: then no code is looked at for as long */
#define TOTP_LOCK_S 900
#define TOTP_USER_MAX 64 /* bytes of a user's id, with its NUL */

/* The code of a step (RFC 4226 section 5.3), `digits` 6 to 8, as text. False: OpenSSL failed. */
bool totp_code(const uint8_t *secret, size_t len, uint64_t step, unsigned digits, char code[TOTP_TEXT_SIZE]);

/* Makes a secret for a user who has none: 0, -EEXIST, -errno. `secret` is the caller's to wipe. */
int totp_enrol(const struct keyring *keyring, const char *user, uint8_t secret[TOTP_SECRET_SIZE]);
/* 0, -ENOENT, -errno. */
int totp_remove(const struct keyring *keyring, const char *user);
/* *wait_s: how long a locked user has to wait. What cannot be stored is not good: RPC_TOTP_FAILED. */
enum rpc_totp totp_check(const struct keyring *keyring, const char *user, struct wire_span typed,
    uint64_t now_s, uint32_t *wait_s);

/* -- totp_requests.c -- */
int on_totp_enrol(void *context, struct rpc_link *link, struct rpc_message *message);
int on_totp_check(void *context, struct rpc_link *link, struct rpc_message *message);
int on_totp_remove(void *context, struct rpc_link *link, struct rpc_message *message);

#endif
