/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwards: which forwardings a rule allows, by destination.
 *
 * What control sent (struct rpc_forward) is kept as it came, and walked for each question. Only lists allow:
 * what matches no entry is refused, so a spelling that somebody else may read differently can only be refused
 * too. Hosts are taken as they are written and never resolved:
 *
 *  - an address in its usual spelling (dotted quad, RFC 4291 text) is an address; IPv4 in IPv6 is IPv4;
 *  - a name is letters, digits, '-' and '_' between single dots, compared without case and without the root's
 *    dot, and does not end in a number;
 *  - everything else ("0x7f.1", "127.1", "fe80::1%eth0", other bytes, NULs, nothing at all) is neither, and
 * only an entry for any host lets it pass. So is "" as an address to listen on, which means all of them.
 *
 * Paths of sockets must be absolute, with no empty, "." or ".." component and no NUL.
 */
#ifndef SSHTERM_FORWARDS_H
#define SSHTERM_FORWARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "control/rpc/rpc.h"

/* `rules`: SES_MAY_REPLY.forwards, valid (rpc_forwards_valid); empty: everything. */
enum rpc_forward_extent forwards_extent(struct wire_span rules, enum rpc_forward_kind kind);
/* May `kind` (LOCAL, REMOTE) go to, or listen at, host and port? */
bool forwards_allow_host(
    struct wire_span rules, enum rpc_forward_kind kind, struct wire_span host, uint32_t port);
/* May `kind` (UNIX_LOCAL, UNIX_REMOTE) use the socket at `path`? */
bool forwards_allow_path(struct wire_span rules, enum rpc_forward_kind kind, struct wire_span path);

#endif
