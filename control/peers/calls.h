/* SPDX-License-Identifier: Apache-2.0 */
/* calls: between peers.c and calls.c only. */
#ifndef CONTROL_PEERS_CALLS_H
#define CONTROL_PEERS_CALLS_H

#include "control/peers/peers.h"

bool peer_send_bytes(
    struct peer *peer, uint16_t type, uint16_t flags, uint32_t id, const uint8_t *body, size_t len, int fd);
/* A reply came: finishes its call. 0, or -EPROTO where the reply is of another type than asked for. */
int calls_reply(struct peer *peer, struct rpc_message *message);
/* The link is gone: calls that wait stay, others fail. */
void calls_link_lost(struct peer *peer);
/* Ends all calls: each `done` hears -EPIPE. */
void calls_abandon(struct peers *peers);

#endif
