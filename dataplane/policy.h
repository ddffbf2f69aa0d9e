/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: the rules in force, decoded from what control compiled and built into rte_acl tries.
 *
 * A policy is made whole by the control thread, published to the lcores by one pointer, and freed once each
 * of them has passed a quiescent point; only the counters change while it is in force, each lcore its own.
 *
 * Four tries, as rules for IPv4 and IPv6 have keys of different width, and as fragments carry no ports:
 *  - rules4, rules6: everything; the first match wins, by rte_acl's priority;
 *  - pairs4, pairs6: audit_ssh rules by addresses, VLAN and link alone: which fragments must be reassembled.
 * audit_ssh is a word about TCP: for any other protocol such a rule is not there.
 */
#ifndef DATAPLANE_POLICY_H
#define DATAPLANE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/frame.h"

#define POLICY_NAME_MAX 64
#define POLICY_RULES_MAX 65536u
#define POLICY_MATCHES_MAX 262144u

struct rte_acl_ctx;

struct policy_rule {
	char name[POLICY_NAME_MAX];
	uint8_t action;        /* enum rpc_action */
	uint8_t block;         /* enum rpc_block */
	uint8_t unavailable;   /* enum rpc_unavailable */
	uint8_t midstream;     /* enum rpc_midstream */
	uint8_t policy_change; /* enum rpc_policy_change */
	uint8_t unsupported;   /* enum rpc_unsupported */
};

struct policy_hits {
	uint64_t packets, bytes;
};

struct policy {
	uint64_t generation;
	uint32_t rule_count;
	struct policy_rule *rules; /* rule_count, and one more that stands for the default */
	bool audits;               /* is there an audit_ssh rule? */
	bool older_audits;         /* sessions adopted under an older policy may live (set when published) */
	struct rte_acl_ctx *rules4, *rules6, *pairs4, *pairs6; /* NULL: no rule there */
	unsigned lcores;
	struct policy_hits **hits;     /* by lcore, rule_count + 1 each */
	struct policy_hits *inherited; /* what rules of the same name had counted before */
};

/* What a trie is asked: bytes as on the wire. `has_ports` is 0 for later fragments, ICMP and the like, so
 * that a rule about ports cannot match them. */
struct policy_key4 {
	uint8_t protocol, unused[3];
	uint8_t src[4], dst[4];
	uint8_t sport[2], dport[2];
	uint8_t vlan[2], link, has_ports;
};
struct policy_key6 {
	uint8_t protocol, unused[3];
	uint8_t src[16], dst[16];
	uint8_t sport[2], dport[2];
	uint8_t vlan[2], link, has_ports;
};

/* Decodes `size` bytes (rpc.h, "the compiled policy") and builds it for `lcores` lcores. On failure NULL, and
 * why in `error`, for the admin to read. */
struct policy *policy_create(const void *bytes, size_t size, unsigned lcores, char *error, size_t error_size);
void policy_free(struct policy *policy);
/* Carries the counters of rules that keep their names over from the policy that was in force before. */
void policy_inherit(struct policy *policy, const struct policy *before);

/* The key of a frame as it is (`reverse`: as an answer to it would be). The frame is IPv4 (IPv6). */
void policy_key4(struct policy_key4 *key, uint8_t link, const struct frame *frame, bool reverse);
void policy_key6(struct policy_key6 *key, uint8_t link, const struct frame *frame, bool reverse);
/* The first matching rule of each key, or rule_count for the default. */
void policy_ask4(
    const struct policy *policy, const struct policy_key4 *keys, uint32_t count, uint32_t *rules);
void policy_ask6(
    const struct policy *policy, const struct policy_key6 *keys, uint32_t count, uint32_t *rules);
/* May an audit_ssh rule concern the addresses of this fragment, in either orientation? */
bool policy_audits_pair(const struct policy *policy, uint8_t link, const struct frame *frame);

static inline const struct policy_rule *policy_rule(const struct policy *policy, uint32_t rule)
{
	return &policy->rules[rule];
}

#endif
