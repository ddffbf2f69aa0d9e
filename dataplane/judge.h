/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge: from what the tries said of a frame in both orientations, and what is known of its flow, to a
 * verdict. A pure function.
 *
 *  - A SYN begins a flow: the rule that matches it as it is decides.
 *  - Of a flow that is known, the rule that matches in the orientation in which it began decides.
 *  - Of anything else (a flow older than this process, or pushed out of the table; an answer that another
 * lcore received) nobody can tell who began it: the earlier of the rules that match in either orientation
 * decides, so that a block holds for both directions and an answer to what is allowed passes.
 */
#ifndef DATAPLANE_JUDGE_H
#define DATAPLANE_JUDGE_H

#include "dataplane/decisions.h"
#include "dataplane/policy.h"

enum judgement {
	JUDGE_PASS = DECISION_PASS,
	JUDGE_BLOCK = DECISION_BLOCK,
	JUDGE_AUDIT = DECISION_AUDIT,
	JUDGE_CUT, /* forwarded until now, and its new rule says on_policy_change: reset */
};

struct judged {
	enum judgement judgement;
	uint32_t rule;
	bool as_sent; /* the sender of this frame is the one who began the flow */
	bool kept;    /* the rule audits, but the flow was forwarded before: it stays so */
};

/* A segment that begins a connection. */
static inline bool judge_begins(const struct frame *frame)
{
	return frame->kind == FRAME_TCP && (frame->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* `as_is`, `reversed`: the rules matching in each orientation. `known`: verdict DECISION_NONE if nothing is;
 * its generation may be an older one. `sender_low`: the frame's sender is the lower end of the flow's key. */
struct judged judge(const struct policy *policy, const struct frame *frame, uint32_t as_is, uint32_t reversed,
    const struct decision *known, bool sender_low);

#endif
