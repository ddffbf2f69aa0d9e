/* SPDX-License-Identifier: Apache-2.0 */
/* classify: matches gathered rule by rule, then built into the tries of a policy. */
#ifndef DATAPLANE_CLASSIFY_H
#define DATAPLANE_CLASSIFY_H

#include "control/rpc/rpc.h"
#include "dataplane/policy.h"

struct classify_match {
	uint32_t rule;
	bool audit;
	struct rpc_policy_match match;
};

struct classify {
	struct classify_match *matches;
	uint32_t count, room;
};

/* False: no memory, or more than POLICY_MATCHES_MAX. */
bool classify_add(struct classify *tries, uint32_t rule, bool audit, const struct rpc_policy_match *match);
/* Builds rules4, rules6, pairs4, pairs6 of `policy`. False: `error` says why. */
bool classify_build(const struct classify *tries, struct policy *policy, char *error, size_t error_size);
void classify_clear(struct classify *tries);
void classify_free(struct policy *policy);

#endif
