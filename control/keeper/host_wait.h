/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_wait: what control asked of RSA host keys that are being searched for. It waits here, and nothing else
 * does: when the key is found, it is answered as if it had come then. How many keys may be searched for at
 * once, and how much may wait, is bounded; what is beyond is refused, and can be asked again.
 */
#ifndef CONTROL_KEEPER_HOST_WAIT_H
#define CONTROL_KEEPER_HOST_WAIT_H

#include "control/keeper/host_keys.h"

#define HOST_SEARCHES_MAX 8u /* a third of a second each: control waits for 5 s */
#define HOST_WAITING_MAX 256u

struct host_wait;
/* searcher: its descriptor, which is closed with it. NULL: no memory. */
struct host_wait *host_wait_create(int searcher);
void host_wait_destroy(struct host_wait *wait); /* NULL is nothing */

enum host_waiting { HOST_WAIT_NOT = 0, HOST_WAITS, HOST_WAIT_FULL };
/* Must the message wait for that key? It is kept if so. */
enum host_waiting host_wait_for(struct keeper *keeper, const struct rpc_message *message, enum host_seed seed,
    const char *target_id, struct wire_span type);
/* Takes what was found, and what waited for it: the same as requests_take; -ESRCH: the searcher is gone. */
int host_wait_take(struct keeper *keeper, struct rpc_link *control);
/* Who asked is gone. */
void host_wait_forget(struct host_wait *wait);
int host_wait_fd(const struct host_wait *wait);

#endif
