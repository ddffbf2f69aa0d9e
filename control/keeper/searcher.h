/* SPDX-License-Identifier: Apache-2.0 */
/*
 * searcher: the process that searches for the primes of RSA host keys, so that the keeper does not: it
 * answers others meanwhile. Forked before a key is read, confined like the keeper but with no file at all,
 * and less urgent than whatever else runs. It is given what one key is made of, which tells nothing of
 * others, and says where that key's primes lie. When it ends, so does the keeper, and the supervisor starts
 * both anew.
 *
 * Question: 16 bytes name, 32 bytes of what the key is made of. Answer: 16 bytes name, u32 p, u32 q.
 */
#ifndef CONTROL_KEEPER_SEARCHER_H
#define CONTROL_KEEPER_SEARCHER_H

#include "control/keeper/host_keys.h"

/* Starts it; to be called before any key is read. Its descriptor, or -errno. */
int searcher_start(void);
/* False: it takes no question now. */
bool searcher_ask(int fd, const struct host_search *search);
/* 1: an answer. 0: none yet. -errno: it is gone. */
int searcher_take(int fd, uint8_t name[HOST_KEY_NAME_SIZE], struct host_hint *hint);

#endif
