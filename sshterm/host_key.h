/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_key: the host key that the client is shown for the session's target.
 *
 * It is the keeper's: blobs and signatures come from control. The ssh-ed25519 key (and its certificate, where
 * there is a host CA) came with the target; keys of other types are asked for once a client has negotiated
 * one, which few do. All of it runs again at each key exchange.
 */
#ifndef SSHTERM_HOST_KEY_H
#define SSHTERM_HOST_KEY_H

#include <stdbool.h>

#include <libssh/libssh.h>

#include "config/wire/wire.h"
#include "sshterm/session.h"

struct host_key;

/* Copies both; certificate: empty where there is none. 0 or -ENOMEM. */
int host_key_set(struct session *session, struct wire_span public, struct wire_span certificate);
void host_key_free(struct session *session);
/* Is there a host CA, so that certificates can be shown? */
bool host_key_certified(const struct session *session);
/* The algorithm of the last key exchange, a certificate's as its key's; "": there was none. */
const char *host_key_algorithm(const struct session *session);
/* Has libssh ask for host keys and signatures here. 0 or -1. */
int host_key_install(struct session *session, ssh_session ssh);

#endif
