/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy as rte_acl tries, and questions to them.
 *
 * rte_acl reads a key as one byte and then groups of four: protocol | source | destination | both ports |
 * VLAN, link, has_ports. The wider IPv6 key has four groups for each address. A rule's number travels as
 * userdata + 1 (0 is rte_acl's "nothing matched"), its place in the order as priority.
 */
#include "dataplane/classify.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_acl.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS4 8
#define FIELDS6 14
#define BATCH 64

RTE_ACL_RULE_DEF(acl_rule6, FIELDS6);
_Static_assert(FIELDS4 <= FIELDS6, "one rule buffer for both");

#define FIELD(kind, bytes, index, group, at)                                                                 \
	{                                                                                                    \
		.type = RTE_ACL_FIELD_TYPE_##kind, .size = (bytes), .field_index = (index),                  \
		.input_index = (group), .offset = (at)                                                       \
	}
#define TAIL(key, index, group)                                                                              \
	FIELD(RANGE, 2, (index), (group), offsetof(struct key, sport)),                                      \
	    FIELD(RANGE, 2, (index) + 1, (group), offsetof(struct key, dport)),                              \
	    FIELD(RANGE, 2, (index) + 2, (group) + 1, offsetof(struct key, vlan)),                           \
	    FIELD(BITMASK, 1, (index) + 3, (group) + 1, offsetof(struct key, link)),                         \
	    FIELD(BITMASK, 1, (index) + 4, (group) + 1, offsetof(struct key, has_ports))

static const struct rte_acl_field_def fields4[FIELDS4] = {
    FIELD(BITMASK, 1, 0, 0, offsetof(struct policy_key4, protocol)),
    FIELD(MASK, 4, 1, 1, offsetof(struct policy_key4, src)),
    FIELD(MASK, 4, 2, 2, offsetof(struct policy_key4, dst)),
    TAIL(policy_key4, 3, 3),
};

static const struct rte_acl_field_def fields6[FIELDS6] = {
    FIELD(BITMASK, 1, 0, 0, offsetof(struct policy_key6, protocol)),
    FIELD(MASK, 4, 1, 1, offsetof(struct policy_key6, src)),
    FIELD(MASK, 4, 2, 2, offsetof(struct policy_key6, src) + 4),
    FIELD(MASK, 4, 3, 3, offsetof(struct policy_key6, src) + 8),
    FIELD(MASK, 4, 4, 4, offsetof(struct policy_key6, src) + 12),
    FIELD(MASK, 4, 5, 5, offsetof(struct policy_key6, dst)),
    FIELD(MASK, 4, 6, 6, offsetof(struct policy_key6, dst) + 4),
    FIELD(MASK, 4, 7, 7, offsetof(struct policy_key6, dst) + 8),
    FIELD(MASK, 4, 8, 8, offsetof(struct policy_key6, dst) + 12),
    TAIL(policy_key6, 9, 9),
};

bool classify_add(struct classify *tries, uint32_t rule, bool audit, const struct rpc_policy_match *match)
{
	if (tries->count == POLICY_MATCHES_MAX)
		return false;
	if (tries->count == tries->room) {
		uint32_t room = tries->room == 0 ? 64 : tries->room * 2;
		struct classify_match *more = realloc(tries->matches, room * sizeof(*more));
		if (more == NULL)
			return false;
		tries->matches = more;
		tries->room = room;
	}
	tries->matches[tries->count++] = (struct classify_match){rule, audit, *match};
	return true;
}

void classify_clear(struct classify *tries)
{
	free(tries->matches);
	*tries = (struct classify){0};
}

static uint32_t host32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* An address of `groups` 4-byte fields under a prefix of `plen` bits. */
static void put_address(struct rte_acl_field *field, const uint8_t *address, unsigned plen, unsigned groups)
{
	for (unsigned g = 0; g < groups; g++) {
		unsigned bits = plen > 32 * g ? plen - 32 * g : 0;
		field[g].value.u32 = host32(address + 4 * g);
		field[g].mask_range.u32 = bits > 32 ? 32 : bits;
	}
}

static void put_range(struct rte_acl_field *field, uint16_t lo, uint16_t hi)
{
	field->value.u16 = lo;
	field->mask_range.u16 = hi;
}

static bool about_ports(const struct rpc_policy_match *m)
{
	return m->sport_lo != 0 || m->sport_hi != 65535 || m->dport_lo != 0 || m->dport_hi != 65535;
}

static void put_tail(struct rte_acl_field *field, const struct rpc_policy_match *m, bool ports)
{
	bool wanted = ports && about_ports(m);

	put_range(&field[0], wanted ? m->sport_lo : 0, wanted ? m->sport_hi : 65535);
	put_range(&field[1], wanted ? m->dport_lo : 0, wanted ? m->dport_hi : 65535);
	put_range(&field[2], m->vlan_lo, m->vlan_hi);
	field[3].value.u8 = m->link == 255 ? 0 : m->link;
	field[3].mask_range.u8 = m->link == 255 ? 0 : 255;
	field[4].value.u8 = wanted;
	field[4].mask_range.u8 = wanted ? 1 : 0;
}

struct trie {
	struct rte_acl_ctx *ctx;
	uint8_t family;
	bool pairs; /* audit_ssh rules by addresses alone */
};

/* Is this match in this trie? */
static bool belongs(const struct trie *trie, const struct classify_match *m)
{
	if (m->match.family != 0 && m->match.family != trie->family)
		return false;
	if (m->audit && m->match.protocol != 0 && m->match.protocol != IPPROTO_TCP)
		return false;
	return m->audit || !trie->pairs;
}

static int add_match(struct trie *trie, const struct classify_match *m)
{
	struct acl_rule6 rule = {.data = {.category_mask = 1,
	                             .priority = (int32_t)(RTE_ACL_MAX_PRIORITY - m->rule),
	                             .userdata = m->rule + 1}};
	unsigned groups = trie->family == 4 ? 1 : 4;
	uint8_t protocol = m->audit ? IPPROTO_TCP : m->match.protocol;

	rule.field[0].value.u8 = protocol;
	rule.field[0].mask_range.u8 = protocol == 0 ? 0 : 255;
	put_address(&rule.field[1], m->match.src, m->match.src_plen, groups);
	put_address(&rule.field[1 + groups], m->match.dst, m->match.dst_plen, groups);
	put_tail(&rule.field[1 + 2 * groups], &m->match, !trie->pairs);
	return rte_acl_add_rules(trie->ctx, (const struct rte_acl_rule *)&rule, 1);
}

static int build_trie(struct trie *trie)
{
	bool four = trie->family == 4;
	struct rte_acl_config config = {.num_categories = 1, .num_fields = four ? FIELDS4 : FIELDS6};

	memcpy(config.defs, four ? fields4 : fields6, four ? sizeof(fields4) : sizeof(fields6));
	return rte_acl_build(trie->ctx, &config);
}

/* Leaves trie->ctx NULL where nothing belongs there. 0 or -errno. */
static int make_trie(struct trie *trie, const struct classify *tries)
{
	static atomic_uint serial; /* rte_acl wants a name of its own for each */
	char name[RTE_ACL_NAMESIZE];
	uint32_t count = 0;

	for (uint32_t i = 0; i < tries->count; i++)
		count += belongs(trie, &tries->matches[i]);
	if (count == 0)
		return 0;
	snprintf(name, sizeof(name), "policy%u", atomic_fetch_add(&serial, 1));
	struct rte_acl_param param = {.name = name,
	    .socket_id = SOCKET_ID_ANY,
	    .rule_size = RTE_ACL_RULE_SZ(trie->family == 4 ? FIELDS4 : FIELDS6),
	    .max_rule_num = count};
	trie->ctx = rte_acl_create(&param);
	if (trie->ctx == NULL)
		return -rte_errno;
	for (uint32_t i = 0; i < tries->count; i++) {
		int error = belongs(trie, &tries->matches[i]) ? add_match(trie, &tries->matches[i]) : 0;
		if (error != 0)
			return error;
	}
	return build_trie(trie);
}

bool classify_build(const struct classify *tries, struct policy *policy, char *error, size_t error_size)
{
	struct trie made[] = {{NULL, 4, false}, {NULL, 6, false}, {NULL, 4, true}, {NULL, 6, true}};
	int status = 0;

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]) && status == 0; i++)
		status = make_trie(&made[i], tries);
	policy->rules4 = made[0].ctx;
	policy->rules6 = made[1].ctx;
	policy->pairs4 = made[2].ctx;
	policy->pairs6 = made[3].ctx;
	if (status != 0)
		snprintf(error, error_size,
		    "the dataplane cannot build a policy of %u matches: %s (more memory: -m in "
		    "dataplane.eal)",
		    tries->count, strerror(-status));
	return status == 0;
}

void classify_free(struct policy *policy)
{
	rte_acl_free(policy->rules4);
	rte_acl_free(policy->rules6);
	rte_acl_free(policy->pairs4);
	rte_acl_free(policy->pairs6);
}

static bool ports_known(const struct frame *f)
{
	switch (f->kind) {
	case FRAME_TCP:
	case FRAME_UDP:
		return true;
	case FRAME_FRAGMENT:
		return f->fragment_offset == 0 && (f->sport | f->dport) != 0;
	case FRAME_IP: /* SCTP, DCCP, UDP-Lite */
		return (f->sport | f->dport) != 0;
	default:
		return false;
	}
}

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

#define FILL_KEY(key, link_number, f, reverse, width)                                                        \
	do {                                                                                                 \
		memset((key), 0, sizeof(*(key)));                                                            \
		(key)->protocol = (f)->protocol;                                                             \
		memcpy((key)->src, (reverse) ? (f)->dst : (f)->src, (width));                                \
		memcpy((key)->dst, (reverse) ? (f)->src : (f)->dst, (width));                                \
		put16((key)->sport, (reverse) ? (f)->dport : (f)->sport);                                    \
		put16((key)->dport, (reverse) ? (f)->sport : (f)->dport);                                    \
		put16((key)->vlan, (f)->vlan_tags > 0 ? (f)->vlan[0] : 0);                                   \
		(key)->link = (link_number);                                                                 \
		(key)->has_ports = ports_known(f);                                                           \
	} while (0)

void policy_key4(struct policy_key4 *key, uint8_t link, const struct frame *frame, bool reverse)
{
	FILL_KEY(key, link, frame, reverse, 4);
}

void policy_key6(struct policy_key6 *key, uint8_t link, const struct frame *frame, bool reverse)
{
	FILL_KEY(key, link, frame, reverse, 16);
}

/* `fallback` where nothing matched. */
static void ask(struct rte_acl_ctx *ctx, const uint8_t *keys, size_t stride, uint32_t count, uint32_t *rules,
    uint32_t fallback)
{
	const uint8_t *at[BATCH];

	for (uint32_t done = 0; done < count; done += BATCH) {
		uint32_t batch = count - done < BATCH ? count - done : BATCH;
		memset(rules + done, 0, batch * sizeof(*rules));
		for (uint32_t i = 0; i < batch; i++)
			at[i] = keys + (done + i) * stride;
		if (ctx != NULL)
			(void)rte_acl_classify(
			    ctx, at, rules + done, batch, 1); /* fails on bad arguments only */
		for (uint32_t i = 0; i < batch; i++)
			rules[done + i] = rules[done + i] == 0 ? fallback : rules[done + i] - 1;
	}
}

void policy_ask4(const struct policy *policy, const struct policy_key4 *keys, uint32_t count, uint32_t *rules)
{
	ask(policy->rules4, (const uint8_t *)keys, sizeof(*keys), count, rules, policy->rule_count);
}

void policy_ask6(const struct policy *policy, const struct policy_key6 *keys, uint32_t count, uint32_t *rules)
{
	ask(policy->rules6, (const uint8_t *)keys, sizeof(*keys), count, rules, policy->rule_count);
}

bool policy_audits_pair(const struct policy *policy, uint8_t link, const struct frame *frame)
{
	struct policy_key4 key4[2];
	struct policy_key6 key6[2];
	uint32_t rules[2];
	struct frame hidden;

	/* What a later fragment says is an extension header, not what follows that. */
	if (frame->kind == FRAME_FRAGMENT && frame->protocol != IPPROTO_TCP && frame_may_be_tcp(frame)) {
		hidden = *frame;
		hidden.protocol = IPPROTO_TCP;
		frame = &hidden;
	}
	if (frame->family == 4 && policy->pairs4 != NULL) {
		policy_key4(&key4[0], link, frame, false);
		policy_key4(&key4[1], link, frame, true);
		ask(policy->pairs4, (const uint8_t *)key4, sizeof(key4[0]), 2, rules, policy->rule_count);
	} else if (frame->family == 6 && policy->pairs6 != NULL) {
		policy_key6(&key6[0], link, frame, false);
		policy_key6(&key6[1], link, frame, true);
		ask(policy->pairs6, (const uint8_t *)key6, sizeof(key6[0]), 2, rules, policy->rule_count);
	} else {
		return false;
	}
	return rules[0] < policy->rule_count || rules[1] < policy->rule_count;
}
