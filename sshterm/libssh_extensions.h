/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libssh_extensions: what an origin says of itself right after its keys (EXT_INFO, RFC 8308).
 *
 * libssh keeps of server-sig-algs only what concerns RSA. What this relies on in libssh (0.12):
 *  - ssh_packet_set_callbacks makes the list of callbacks where there is none yet, and ssh_connect appends
 *    its own behind: those that were there before see the first packet.
 *  - a callback that returns SSH_PACKET_NOT_USED leaves the packet to libssh.
 *  - current_crypto->session_id is the exchange hash of the first key exchange, also after others.
 */
#ifndef SSHTERM_LIBSSH_EXTENSIONS_H
#define SSHTERM_LIBSSH_EXTENSIONS_H

#include <libssh/libssh.h>

#include "config/wire/wire.h"

#define INSIDE_SIGNATURE_ALGS_MAX 1024

struct inside_extensions;

/* Begins to listen; to be called before ssh_connect. NULL: no memory. */
struct inside_extensions *inside_extensions_start(ssh_session origin);
/* server-sig-algs: the signature algorithms that it verifies, comma separated; NULL: it did not say. */
const char *inside_signature_algs(const struct inside_extensions *extensions);
/* The session identifier of a connection (RFC 4253 section 7.2), while it lasts; length 0: no keys yet. */
struct wire_span inside_session_id(ssh_session ssh);
/* Stops listening, before ssh_free; may be NULL. */
void inside_extensions_stop(ssh_session origin, struct inside_extensions *extensions);

#endif
