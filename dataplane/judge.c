/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/judge.h"

#include "control/rpc/rpc.h"

static bool orientation(const struct frame *frame, uint32_t as_is, uint32_t reversed,
    const struct decision *known, bool sender_low)
{
	if (judge_begins(frame))
		return true;
	if (known->verdict != DECISION_NONE)
		return ((known->flags & DECISION_LOW_BEGAN) != 0) == sender_low;
	return as_is <= reversed;
}

struct judged judge(const struct policy *policy, const struct frame *frame, uint32_t as_is, uint32_t reversed,
    const struct decision *known, bool sender_low)
{
	struct judged out = {.as_sent = orientation(frame, as_is, reversed, known, sender_low)};

	out.rule = out.as_sent ? as_is : reversed;
	const struct policy_rule *rule = policy_rule(policy, out.rule);
	switch (rule->action) {
	case RPC_ACTION_BLOCK:
		out.judgement = JUDGE_BLOCK;
		return out;
	case RPC_ACTION_AUDIT_SSH:
		break;
	default:
		out.judgement = JUDGE_PASS;
		return out;
	}
	/* The box knows nothing of the sequence numbers of a flow that it merely forwarded: never adopted. */
	if (known->verdict == DECISION_PASS && (frame->tcp_flags & TCP_SYN) == 0) {
		out.kept = rule->policy_change == RPC_POLICY_CHANGE_KEEP;
		out.judgement = out.kept ? JUDGE_PASS : JUDGE_CUT;
		return out;
	}
	out.judgement = JUDGE_AUDIT;
	return out;
}
