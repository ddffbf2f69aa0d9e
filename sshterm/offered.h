/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offered: what an origin let us ask a client for, when it was last asked about a login that somebody has.
 *
 * Somebody whose login is nobody's is offered the same: the origin does not hear of them, and what it would
 * say to them must not be told from what it says to others. A worker remembers the latest targets, by rule;
 * of one that it does not remember, both are offered.
 */
#ifndef SSHTERM_OFFERED_H
#define SSHTERM_OFFERED_H

#include <stdbool.h>

struct session;

#define OFFERED_TARGETS 64

struct offered_ways {
	bool keyboard, password;
};

struct offered {
	struct {
		char rule_name[64], target_id[80]; /* empty: none */
		struct offered_ways ways;
	} targets[OFFERED_TARGETS];
	unsigned next;
};

/* To a session's target under its rule; in the worker's memory. */
void offered_note(const struct session *session, struct offered_ways ways);
struct offered_ways offered_last(const struct session *session);

#endif
