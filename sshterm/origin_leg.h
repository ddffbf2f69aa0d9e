/* SPDX-License-Identifier: Apache-2.0 */
/* origin_leg: the origin's side of a session, from its first byte to our login there. */
#ifndef SSHTERM_ORIGIN_LEG_H
#define SSHTERM_ORIGIN_LEG_H

#include <stddef.h>
#include <stdint.h>

#include "sshterm/login.h"
#include "sshterm/session.h"

struct leg_failure;

/* Each returns 0, or -1 with *failure filled in. */
/* Key exchange as the origin's client. Both are comma separated and may be empty, as algorithms.h takes them.
 */
struct origin_leg_terms {
	const char *host_key_algs; /* preferred */
	const char *legacy;
};
int origin_leg_connect(
    struct session *session, const struct origin_leg_terms *terms, struct leg_failure *failure);
/* Why the leg is over; `answers` may be NULL where nothing listens yet. */
void origin_leg_fail(
    struct session *session, const struct inside_answers *answers, struct leg_failure *failure);

/* Ways to log in as session->login; never ORIGIN_LATER. Nothing (which tells what can continue), and a fresh
 * key with a certificate for it. */
enum origin_verdict origin_leg_none(
    struct session *session, struct inside_answers *answers, struct leg_failure *failure);
enum origin_verdict origin_leg_certificate(
    struct session *session, struct inside_answers *answers, struct leg_failure *failure);

/* The origin's host key blob after the key exchange, malloc'ed; NULL: none. */
uint8_t *origin_leg_host_key(struct session *session, size_t *len);

#endif
