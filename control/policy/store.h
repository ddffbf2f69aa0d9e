/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the policies that control has had in force, by generation.
 *
 * Theory of operation. Generations only grow, over restarts too. A new policy is written down before the
 * dataplane hears of it (connections that it hands to workers right away can be looked up), it is in force
 * once the dataplane says so, and only then does it become what a restart loads. Where the dataplane refuses
 * or dies, what was in force stays so, and is pushed again. Old generations are read back from the database
 * when a session refers to them. The configured file's policy, too, is remembered only once a dataplane has
 * it: a first start that comes to nothing (a port that is not there) reads the file again.
 */
#ifndef CONTROL_POLICY_STORE_H
#define CONTROL_POLICY_STORE_H

#include "control/policy/policy.h"

#define POLICIES_CACHED 8 /* parsed generations at hand, beside the one in force */
#define POLICIES_KEPT 64  /* generations kept in the database, beside those that sessions need */

struct control;

struct policies {
	struct policy *in_force;
	struct policy *cached[POLICIES_CACHED];
	unsigned next_cached;
	struct policy *applying;       /* pushed, not confirmed yet */
	bool from_file;                /* in_force is the file's, and no dataplane has confirmed it yet */
	uint64_t dataplane_generation; /* what the dataplane confirmed last; 0: nothing */
};

/* Loads what was in force, else (first start) the configured file. False: `fault` tells; nothing is in force.
 */
bool policies_open(struct control *control, struct policy_fault *fault);
void policies_close(struct control *control);

/* The policy of that generation, a reference for the caller; NULL where it is not known any more. */
struct policy *policies_generation(struct control *control, uint64_t generation);

enum policies_result {
	POLICIES_APPLIED = 0,
	POLICIES_BUSY,        /* another one is being applied */
	POLICIES_UNAVAILABLE, /* the dataplane is down or did not confirm */
	POLICIES_REFUSED,     /* the dataplane did not take it; `text` says why */
	POLICIES_FAILED,      /* could not be stored */
};
typedef void (*policies_done)(struct control *control, void *argument, enum policies_result result,
    const struct policy *policy, const char *text);
/* Puts a parsed policy (a reference is taken) into force. `done` is called once, perhaps at once. */
void policies_apply(struct control *control, struct policy *policy, policies_done done, void *argument);
/* A dataplane is (again) there: it gets what is in force. */
void policies_dataplane_up(struct control *control);

#endif
