/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding a compiled policy, and its life. The tries are classify.c's. */
#include "dataplane/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "dataplane/classify.h"

#define CACHE_LINE 64

static bool fail(char *error, size_t size, const char *text, uint32_t rule)
{
	snprintf(error, size, "policy for the dataplane: rule %u: %s", rule, text);
	return false;
}

static bool rule_possible(const struct policy_rule *rule)
{
	return rule->action >= RPC_ACTION_ALLOW && rule->action <= RPC_ACTION_AUDIT_SSH &&
	       rule->block <= RPC_BLOCK_ICMP && rule->unavailable <= RPC_UNAVAILABLE_ALLOW &&
	       rule->midstream <= RPC_MIDSTREAM_DROP && rule->policy_change <= RPC_POLICY_CHANGE_RESET &&
	       rule->unsupported <= RPC_UNSUPPORTED_PASS;
}

static bool read_rule(struct policy_rule *rule, struct wire *in)
{
	struct wire_span name = wire_string(in);

	rule->action = wire_u8(in);
	rule->block = wire_u8(in);
	rule->unavailable = wire_u8(in);
	rule->midstream = wire_u8(in);
	rule->policy_change = wire_u8(in);
	rule->unsupported = wire_u8(in);
	return !in->failed && wire_span_copy(name, rule->name, sizeof(rule->name)) && rule_possible(rule);
}

static bool read_rules(
    struct policy *policy, struct classify *tries, struct wire *in, char *error, size_t size)
{
	for (uint32_t i = 0; i < policy->rule_count; i++) {
		struct policy_rule *rule = &policy->rules[i];
		if (!read_rule(rule, in))
			return fail(error, size, "cannot be read", i);
		policy->audits |= rule->action == RPC_ACTION_AUDIT_SSH;
		uint32_t matches = wire_u32(in);
		for (uint32_t m = 0; m < matches; m++) {
			struct rpc_policy_match match;
			if (!rpc_get_policy_match(in, &match))
				return fail(error, size, "has a match that cannot be read", i);
			if (!classify_add(tries, i, rule->action == RPC_ACTION_AUDIT_SSH, &match))
				return fail(error, size, "one match too many", i);
		}
	}
	return wire_done(in) || fail(error, size, "more bytes than rules", policy->rule_count);
}

static bool take_memory(struct policy *policy)
{
	size_t hits = (policy->rule_count + 1) * sizeof(struct policy_hits);

	/* Whole cache lines, so that no two lcores count in the same one. */
	hits = (hits + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	policy->rules = calloc(policy->rule_count + 1, sizeof(*policy->rules));
	policy->inherited = calloc(policy->rule_count + 1, sizeof(*policy->inherited));
	policy->hits = calloc(policy->lcores, sizeof(*policy->hits));
	if (policy->rules == NULL || policy->inherited == NULL || policy->hits == NULL)
		return false;
	for (unsigned i = 0; i < policy->lcores; i++) {
		policy->hits[i] = aligned_alloc(CACHE_LINE, hits);
		if (policy->hits[i] == NULL)
			return false;
		memset(policy->hits[i], 0, hits);
	}
	return true;
}

static bool read_policy(struct policy *policy, struct wire *in, char *error, size_t size)
{
	if (wire_u32(in) != RPC_POLICY_VERSION) {
		snprintf(error, size, "policy for the dataplane: not version %u", RPC_POLICY_VERSION);
		return false;
	}
	policy->generation = wire_u64(in);
	struct policy_rule fallback = {.name = "default", .action = wire_u8(in), .block = wire_u8(in)};
	policy->rule_count = wire_u32(in);
	if (in->failed || policy->rule_count > POLICY_RULES_MAX || !rule_possible(&fallback) ||
	    fallback.action == RPC_ACTION_AUDIT_SSH) {
		snprintf(error, size, "policy for the dataplane: its head is impossible (at most %u rules)",
		    POLICY_RULES_MAX);
		return false;
	}
	if (!take_memory(policy)) {
		snprintf(error, size, "policy for the dataplane: no memory for %u rules", policy->rule_count);
		return false;
	}
	policy->rules[policy->rule_count] = fallback;
	return true;
}

struct policy *policy_create(const void *bytes, size_t size, unsigned lcores, char *error, size_t error_size)
{
	struct wire in = wire_over(bytes, size);
	struct policy *policy = calloc(1, sizeof(*policy));
	struct classify tries = {0};
	bool good = false;

	if (policy == NULL) {
		snprintf(error, error_size, "policy for the dataplane: no memory");
		return NULL;
	}
	policy->lcores = lcores;
	if (read_policy(policy, &in, error, error_size) && read_rules(policy, &tries, &in, error, error_size))
		good = classify_build(&tries, policy, error, error_size);
	classify_clear(&tries);
	if (!good) {
		policy_free(policy);
		return NULL;
	}
	return policy;
}

void policy_free(struct policy *policy)
{
	if (policy == NULL)
		return;
	classify_free(policy);
	for (unsigned i = 0; policy->hits != NULL && i < policy->lcores; i++)
		free(policy->hits[i]);
	free(policy->hits);
	free(policy->inherited);
	free(policy->rules);
	free(policy);
}

struct named {
	const char *name;
	uint32_t rule;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

void policy_inherit(struct policy *policy, const struct policy *before)
{
	struct named *names = calloc(before->rule_count + 1, sizeof(*names));

	if (names == NULL)
		return; /* the counters start again from nothing; the policy is in force all the same */
	for (uint32_t i = 0; i <= before->rule_count; i++)
		names[i] = (struct named){before->rules[i].name, i};
	qsort(names, before->rule_count + 1, sizeof(*names), by_name);
	for (uint32_t i = 0; i <= policy->rule_count; i++) {
		struct named wanted = {policy->rules[i].name, 0};
		const struct named *was =
		    bsearch(&wanted, names, before->rule_count + 1, sizeof(*names), by_name);
		if (was == NULL)
			continue;
		struct policy_hits sum = before->inherited[was->rule];
		for (unsigned l = 0; l < before->lcores; l++) {
			sum.packets += before->hits[l][was->rule].packets;
			sum.bytes += before->hits[l][was->rule].bytes;
		}
		policy->inherited[i] = sum;
	}
	free(names);
}
