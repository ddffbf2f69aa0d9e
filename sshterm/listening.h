/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listening: what one side had the other listen for (RFC 4254 section 7.1, OpenSSH's PROTOCOL section 2.4).
 *
 * An origin may open forwarded-… channels only for what its client has asked for and not cancelled: a client
 * that trusts what arrives on such a channel must not get one that it never wanted. What is compared is the
 * port, or the path: which of a machine's addresses was connected to each server words as it likes. A
 * listener whose port the origin chose may be announced under that port or, as AsyncSSH's server does it,
 * under the 0 that was asked for: an origin gains nothing by the latter that the port it told of would not
 * give it.
 *
 * Answers to global requests come in their order and name nothing, so what waits for one stands in a queue
 * here, too; whoever keeps the order (replies.h) says when an answer is for one of these.
 */
#ifndef SSHTERM_LISTENING_H
#define SSHTERM_LISTENING_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define LISTENING_MAX 256 /* requests and cancellations of a session that wait or hold */

struct listening_entry;
/* All zeros: nothing. */
struct listening {
	struct listening_entry *first;
	unsigned count;
};

/* A request to listen, or to listen no more. `path`: of a socket; else `place` is an address. False: there
 * are LISTENING_MAX, or no memory. */
struct listening_request {
	bool cancel;
	bool path;
	bool waits; /* for a reply */
	struct wire_span place;
	uint32_t port;
};
bool listening_ask(struct listening *listening, const struct listening_request *request);
/* The first one that waits was answered. `port`: the one that the listener chose; 0: it named none. */
void listening_answer(struct listening *listening, bool success, uint32_t port);
/* May somebody who was connected to there be announced? */
bool listening_has_port(const struct listening *listening, uint32_t port);
bool listening_has_path(const struct listening *listening, struct wire_span path);
void listening_free(struct listening *listening);

#endif
