/* SPDX-License-Identifier: Apache-2.0 */
/* Policies built into rte_acl tries, held against a matcher that walks the rules one by one. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "dataplane/policy.h"
#include "tests/unit/dataplane/packets.h"

#define RULES 300
#define FRAMES 4000
#define BLOB (RULES * 256 + 64)

static void start_eal(void)
{
	static char *argv[] = {"test_policy", "--no-huge", "--no-shconf", "-m", "128", "--no-pci",
	    "--no-telemetry", "-l", "0", "--file-prefix=test_policy", "--log-level=error", NULL};

	cr_assert_geq(rte_eal_init(11, argv), 0, "the EAL does not start");
}

struct rule {
	const char *name;
	uint8_t action;
	struct rpc_policy_match match;
};

static struct rpc_policy_match any(void)
{
	return (struct rpc_policy_match){.link = 255, .vlan_hi = 4095, .sport_hi = 65535, .dport_hi = 65535};
}

static size_t encode(uint8_t *blob, size_t size, const struct rule *rules, uint32_t count, uint8_t fallback)
{
	struct wire_out out = wire_into(blob, size);

	wire_put_u32(&out, RPC_POLICY_VERSION);
	wire_put_u64(&out, 7);
	wire_put_u8(&out, fallback);
	wire_put_u8(&out, RPC_BLOCK_DROP);
	wire_put_u32(&out, count);
	for (uint32_t i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof(name), "r%u", i);
		wire_put_cstring(&out, rules[i].name != NULL ? rules[i].name : name);
		wire_put_u8(&out, rules[i].action);
		for (int k = 0; k < 5; k++)
			wire_put_u8(&out, 0);
		wire_put_u32(&out, 1);
		rpc_put_policy_match(&out, &rules[i].match);
	}
	cr_assert_not(out.failed);
	return wire_written(&out);
}

static struct policy *make(const struct rule *rules, uint32_t count, uint8_t fallback)
{
	uint8_t *blob = malloc(BLOB);
	char error[256] = "";
	struct policy *policy =
	    policy_create(blob, encode(blob, BLOB, rules, count, fallback), 2, error, sizeof(error));

	free(blob);
	cr_assert_not_null(policy, "%s", error);
	return policy;
}

static uint32_t ask(const struct policy *policy, uint8_t link, const struct frame *f, bool reverse)
{
	struct policy_key4 four;
	struct policy_key6 six;
	uint32_t rule;

	if (f->family == 4) {
		policy_key4(&four, link, f, reverse);
		policy_ask4(policy, &four, 1, &rule);
	} else {
		policy_key6(&six, link, f, reverse);
		policy_ask6(policy, &six, 1, &rule);
	}
	return rule;
}

/* -- the naive matcher ---------------------------------------------------------------------------- */

static bool in_prefix(const uint8_t *address, const uint8_t *prefix, unsigned plen)
{
	for (unsigned bit = 0; bit < plen; bit++)
		if (((address[bit / 8] ^ prefix[bit / 8]) >> (7 - bit % 8) & 1) != 0)
			return false;
	return true;
}

static bool matches(const struct rule *r, uint8_t link, const struct frame *f, bool reverse)
{
	const struct rpc_policy_match *m = &r->match;
	const uint8_t *src = reverse ? f->dst : f->src, *dst = reverse ? f->src : f->dst;
	uint16_t sport = reverse ? f->dport : f->sport, dport = reverse ? f->sport : f->dport;
	uint16_t vlan = f->vlan_tags > 0 ? f->vlan[0] : 0;
	bool ports = f->kind == FRAME_TCP || f->kind == FRAME_UDP;
	bool wants_ports = m->sport_lo > 0 || m->sport_hi < 65535 || m->dport_lo > 0 || m->dport_hi < 65535;

	if (r->action == RPC_ACTION_AUDIT_SSH && f->protocol != 6)
		return false;
	if (m->family != 0 && m->family != f->family)
		return false;
	if (m->protocol != 0 && m->protocol != f->protocol)
		return false;
	if (m->link != 255 && m->link != link)
		return false;
	if (vlan < m->vlan_lo || vlan > m->vlan_hi)
		return false;
	if (wants_ports && (!ports || sport < m->sport_lo || sport > m->sport_hi || dport < m->dport_lo ||
	                       dport > m->dport_hi))
		return false;
	return in_prefix(src, m->src, m->src_plen) && in_prefix(dst, m->dst, m->dst_plen);
}

static uint32_t naive(
    const struct rule *rules, uint32_t count, uint8_t link, const struct frame *f, bool reverse)
{
	for (uint32_t i = 0; i < count; i++)
		if (matches(&rules[i], link, f, reverse))
			return i;
	return count;
}

/* -- random rules and frames from a small world, so that they meet ---------------------------------- */

static uint32_t state = 1;

static uint32_t dice(uint32_t sides)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % sides;
}

static void roll_address(uint8_t *at, uint8_t family)
{
	memset(at, 0, 16);
	if (family == 4) {
		at[0] = 10;
		at[2] = (uint8_t)dice(4);
		at[3] = (uint8_t)dice(4);
	} else {
		at[0] = 0x20;
		at[1] = 1;
		at[7] = (uint8_t)dice(3);
		at[15] = (uint8_t)dice(4);
	}
}

static void roll_range(uint16_t *lo, uint16_t *hi)
{
	if (dice(2) == 0)
		return;
	*lo = (uint16_t)dice(12);
	*hi = (uint16_t)(*lo + dice(4));
}

static struct rule roll_rule(void)
{
	struct rule r = {.action = (uint8_t)(1 + dice(3)), .match = any()};
	struct rpc_policy_match *m = &r.match;
	static const uint8_t protocols[] = {0, 0, 6, 6, 17, 1, 58};

	m->family = (uint8_t[]){0, 4, 6}[dice(3)];
	m->protocol = protocols[dice(sizeof(protocols))];
	m->link = dice(4) == 0 ? (uint8_t)dice(2) : 255;
	if (dice(4) == 0)
		m->vlan_lo = m->vlan_hi = (uint16_t)dice(3);
	if (m->family != 0) {
		unsigned most = m->family == 4 ? 32 : 128;
		roll_address(m->src, m->family);
		roll_address(m->dst, m->family);
		m->src_plen = (uint8_t)(dice(3) == 0 ? 0 : dice(most + 1));
		m->dst_plen = (uint8_t)(dice(3) == 0 ? 0 : most - dice(10));
	}
	roll_range(&m->sport_lo, &m->sport_hi);
	roll_range(&m->dport_lo, &m->dport_hi);
	return r;
}

static void roll_frame(struct frame *f)
{
	static const enum frame_kind kinds[] = {FRAME_TCP, FRAME_UDP, FRAME_ICMP, FRAME_FRAGMENT};

	memset(f, 0, sizeof(*f));
	f->family = dice(2) == 0 ? 4 : 6;
	f->kind = kinds[dice(4)];
	f->protocol = f->kind == FRAME_UDP ? 17 : f->kind == FRAME_ICMP ? (f->family == 4 ? 1 : 58) : 6;
	roll_address(f->src, f->family);
	roll_address(f->dst, f->family);
	if (f->kind == FRAME_TCP || f->kind == FRAME_UDP) {
		f->sport = (uint16_t)dice(16);
		f->dport = (uint16_t)dice(16);
	} else if (f->kind == FRAME_FRAGMENT) {
		f->fragment_offset = 8;
	}
	f->vlan_tags = (uint8_t)dice(2);
	f->vlan[0] = (uint16_t)dice(3);
}

Test(policy, agrees_with_the_naive_matcher, .init = start_eal)
{
	static struct rule rules[RULES];

	for (uint32_t count = 1; count <= RULES; count = count * 3 + 1) {
		for (uint32_t i = 0; i < count; i++)
			rules[i] = roll_rule();
		struct policy *policy = make(rules, count, RPC_ACTION_ALLOW);
		cr_assert_eq(policy->rule_count, count);
		cr_assert_eq(policy->generation, 7);
		for (int n = 0; n < FRAMES; n++) {
			struct frame f;
			uint8_t link = (uint8_t)dice(2);
			roll_frame(&f);
			for (int reverse = 0; reverse < 2; reverse++) {
				uint32_t expected = naive(rules, count, link, &f, reverse != 0);
				uint32_t got = ask(policy, link, &f, reverse != 0);
				cr_assert_eq(got, expected,
				    "%u rules, %s IPv%u protocol %u ports %u %u vlan %u, %s: expected rule "
				    "%u, got %u",
				    count, frame_kind_name(f.kind), f.family, f.protocol, f.sport, f.dport,
				    f.vlan[0], reverse ? "reversed" : "as sent", expected, got);
			}
		}
		policy_free(policy);
	}
}

/* Batches longer than one call to rte_acl_classify give what single questions give. */
Test(policy, batches, .init = start_eal)
{
	struct rule rules[4];
	struct policy_key4 keys[150];
	uint32_t batch[150], one;

	for (int i = 0; i < 4; i++) {
		rules[i] = (struct rule){.action = RPC_ACTION_BLOCK, .match = any()};
		rules[i].match.dport_lo = (uint16_t)(i * 2 + 1);
		rules[i].match.dport_hi = (uint16_t)(i * 2 + 1);
	}
	struct policy *policy = make(rules, 4, RPC_ACTION_ALLOW);
	for (unsigned i = 0; i < 150; i++) {
		struct frame f = {.family = 4, .kind = FRAME_TCP, .protocol = 6, .dport = (uint16_t)(i % 10)};
		policy_key4(&keys[i], 0, &f, false);
	}
	policy_ask4(policy, keys, 150, batch);
	for (unsigned i = 0; i < 150; i++) {
		policy_ask4(policy, &keys[i], 1, &one);
		cr_assert_eq(batch[i], one, "key %u: expected %u, got %u", i, one, batch[i]);
	}
	policy_free(policy);
}

Test(policy, fragments_that_an_audit_may_concern, .init = start_eal)
{
	struct rule rules[2] = {
	    {.action = RPC_ACTION_BLOCK, .match = any()}, {.action = RPC_ACTION_AUDIT_SSH, .match = any()}};

	rules[0].match.protocol = 17;
	rules[1].match.family = 4;
	rules[1].match.dport_lo = rules[1].match.dport_hi = 22;
	rules[1].match.dst[0] = 10;
	rules[1].match.dst_plen = 8;
	struct policy *policy = make(rules, 2, RPC_ACTION_ALLOW);
	cr_assert(policy->audits);
	static const struct {
		uint8_t src, dst, protocol, family;
		bool expected;
	} table[] = {{192, 10, 6, 4, true}, {10, 192, 6, 4, true}, {192, 192, 6, 4, false},
	    {192, 10, 17, 4, false}, {10, 10, 6, 6, false}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct frame f = {.family = table[i].family,
		    .kind = FRAME_FRAGMENT,
		    .protocol = table[i].protocol,
		    .fragment_offset = 8,
		    .src = {table[i].src},
		    .dst = {table[i].dst}};
		cr_assert_eq(policy_audits_pair(policy, 0, &f), table[i].expected, "row %zu", i);
	}
	policy_free(policy);
}

Test(policy, without_rules, .init = start_eal)
{
	struct policy *policy = make(NULL, 0, RPC_ACTION_BLOCK);
	struct frame f = {.family = 4, .kind = FRAME_TCP, .protocol = 6};

	cr_assert_eq(ask(policy, 0, &f, false), 0);
	cr_assert_eq(policy_rule(policy, 0)->action, RPC_ACTION_BLOCK);
	cr_assert_not(policy_audits_pair(policy, 0, &f));
	policy_free(policy);
}

Test(policy, counters_follow_the_name, .init = start_eal)
{
	struct rule before[2] = {{"a", RPC_ACTION_ALLOW, any()}, {"b", RPC_ACTION_ALLOW, any()}};
	struct rule after[2] = {{"b", RPC_ACTION_BLOCK, any()}, {"c", RPC_ACTION_ALLOW, any()}};
	struct policy *one = make(before, 2, RPC_ACTION_ALLOW), *two = make(after, 2, RPC_ACTION_ALLOW);

	one->hits[0][1].packets = 3;
	one->hits[1][1].packets = 4;
	one->inherited[1].packets = 100;
	one->hits[0][2].bytes = 9; /* the default */
	policy_inherit(two, one);
	cr_assert_eq(two->inherited[0].packets, 107);
	cr_assert_eq(two->inherited[1].packets, 0);
	cr_assert_eq(two->inherited[2].bytes, 9);
	policy_free(one);
	policy_free(two);
}

/* Cut at each byte, and each byte changed: refused or taken, never a crash. */
Test(policy, hostile_bytes, .init = start_eal)
{
	struct rule rules[3];
	uint8_t blob[1024];
	char error[256];

	for (int i = 0; i < 3; i++)
		rules[i] = roll_rule();
	size_t size = encode(blob, sizeof(blob), rules, 3, RPC_ACTION_ALLOW);
	for (size_t len = 0; len < size; len++) {
		uint8_t *copy = malloc(len + 1);
		memcpy(copy, blob, len);
		error[0] = '\0';
		cr_assert_null(policy_create(copy, len, 1, error, sizeof(error)), "cut to %zu", len);
		cr_assert_neq(error[0], '\0');
		free(copy);
	}
	for (size_t at = 0; at < size; at++) {
		uint8_t was = blob[at];
		blob[at] = 0xff;
		policy_free(policy_create(blob, size, 1, error, sizeof(error)));
		blob[at] = was;
	}
	blob[size] = 0;
	cr_assert_null(policy_create(blob, size + 1, 1, error, sizeof(error)), "a byte too many");
}
