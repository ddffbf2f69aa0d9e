/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault_login: our login at an origin that trusts no CA, with what the keeper's vault holds for it.
 *
 * A password comes sealed to a key that lives as long as the question, is sent once or twice (as a password,
 * or as the answer to the one question that an origin asks in its place) and wiped. A private key never
 * comes: the keeper signs the login request.
 */
#ifndef SSHTERM_VAULT_LOGIN_H
#define SSHTERM_VAULT_LOGIN_H

#include "sshterm/login.h"

/* ORIGIN_DENIED leaves in login->vault_said why it was of no use, for the person at the client. */
enum origin_verdict vault_login(struct login *login, struct leg_failure *failure);

#endif
