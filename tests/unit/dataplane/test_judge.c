/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "control/rpc/rpc.h"
#include "dataplane/judge.h"

enum { ALLOW, BLOCK, AUDIT, AUDIT_CUT, DEFAULT };

static struct policy_rule rules[] = {
    [ALLOW] = {.action = RPC_ACTION_ALLOW},
    [BLOCK] = {.action = RPC_ACTION_BLOCK},
    [AUDIT] = {.action = RPC_ACTION_AUDIT_SSH, .policy_change = RPC_POLICY_CHANGE_KEEP},
    [AUDIT_CUT] = {.action = RPC_ACTION_AUDIT_SSH, .policy_change = RPC_POLICY_CHANGE_RESET},
    [DEFAULT] = {.action = RPC_ACTION_BLOCK},
};

#define LOW DECISION_LOW_BEGAN

/* sender_low is true throughout: LOW in `known` says that this frame's sender began the flow. */
static const struct {
	const char *what;
	uint8_t tcp_flags;
	uint32_t as_is, reversed;
	struct decision known;
	struct judged expected;
} table[] = {
    {"a SYN is judged as it is", TCP_SYN, DEFAULT, ALLOW, {0}, {JUDGE_BLOCK, DEFAULT, true, false}},
    {"even where the flow is known the other way", TCP_SYN, ALLOW, BLOCK, {.verdict = DECISION_BLOCK},
        {JUDGE_PASS, ALLOW, true, false}},
    {"an answer to what is allowed", TCP_ACK, DEFAULT, ALLOW, {0}, {JUDGE_PASS, ALLOW, false, false}},
    {"the earlier rule of both", TCP_ACK, BLOCK, ALLOW, {0}, {JUDGE_PASS, ALLOW, false, false}},
    {"the same rule both ways", TCP_ACK, BLOCK, BLOCK, {0}, {JUDGE_BLOCK, BLOCK, true, false}},
    {"known: who began it decides", TCP_ACK, ALLOW, BLOCK, {.verdict = DECISION_PASS},
        {JUDGE_BLOCK, BLOCK, false, false}},
    {"known: begun by the sender", TCP_ACK, BLOCK, ALLOW, {.verdict = DECISION_PASS, .flags = LOW},
        {JUDGE_BLOCK, BLOCK, true, false}},
    {"a SYN to audit", TCP_SYN, AUDIT, DEFAULT, {0}, {JUDGE_AUDIT, AUDIT, true, false}},
    {"a SYN to audit over a flow that was forwarded", TCP_SYN, AUDIT, DEFAULT,
        {.verdict = DECISION_PASS, .flags = LOW}, {JUDGE_AUDIT, AUDIT, true, false}},
    {"midstream", TCP_ACK, DEFAULT, AUDIT, {0}, {JUDGE_AUDIT, AUDIT, false, false}},
    {"forwarded before: kept", TCP_ACK, AUDIT, DEFAULT, {.verdict = DECISION_PASS, .flags = LOW},
        {JUDGE_PASS, AUDIT, true, true}},
    {"forwarded before: reset", TCP_ACK, AUDIT_CUT, DEFAULT, {.verdict = DECISION_PASS, .flags = LOW},
        {JUDGE_CUT, AUDIT_CUT, true, false}},
    {"kept, then under a rule that resets", TCP_ACK, AUDIT_CUT, DEFAULT,
        {.verdict = DECISION_PASS, .flags = LOW | DECISION_KEPT}, {JUDGE_CUT, AUDIT_CUT, true, false}},
    {"a SYN-ACK is no part of a kept flow", TCP_SYN | TCP_ACK, DEFAULT, AUDIT, {.verdict = DECISION_PASS},
        {JUDGE_AUDIT, AUDIT, false, false}},
    {"audited before", TCP_ACK, AUDIT, DEFAULT, {.verdict = DECISION_AUDIT, .flags = LOW},
        {JUDGE_AUDIT, AUDIT, true, false}},
};

Test(judge, table)
{
	const struct policy policy = {.rule_count = DEFAULT, .rules = rules};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct frame f = {.kind = FRAME_TCP, .tcp_flags = table[i].tcp_flags};
		struct judged got =
		    judge(&policy, &f, table[i].as_is, table[i].reversed, &table[i].known, true);
		const struct judged *e = &table[i].expected;
		cr_assert(got.judgement == e->judgement && got.rule == e->rule && got.as_sent == e->as_sent &&
		              got.kept == e->kept,
		    "%s: expected judgement %d rule %u as_sent %d kept %d, got %d %u %d %d", table[i].what,
		    e->judgement, e->rule, e->as_sent, e->kept, got.judgement, got.rule, got.as_sent,
		    got.kept);
	}
}

Test(judge, begins)
{
	static const struct {
		enum frame_kind kind;
		uint8_t flags;
		bool expected;
	} rows[] = {{FRAME_TCP, TCP_SYN, true}, {FRAME_TCP, TCP_SYN | TCP_ECE | TCP_CWR, true},
	    {FRAME_TCP, TCP_SYN | TCP_ACK, false}, {FRAME_TCP, TCP_SYN | TCP_RST, false},
	    {FRAME_TCP, TCP_ACK, false}, {FRAME_UDP, TCP_SYN, false}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct frame f = {.kind = rows[i].kind, .tcp_flags = rows[i].flags};
		cr_assert_eq(judge_begins(&f), rows[i].expected, "row %zu", i);
	}
}
