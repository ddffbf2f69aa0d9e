/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors that quote our segments. The peers whose addresses we use did not send those segments and must
 * not see the errors. Only "too big" is obeyed, and only where it quotes a sequence number that is in flight
 * (RFC 5927 section 4.1) of a packet that was larger than what it says fits: everything else is a soft error
 * that time-outs settle (RFC 5461).
 */
#include "dataplane/tcp/flow.h"

enum { QUOTED_TO_SEQUENCE = 8 }; /* bytes of the TCP header that reach behind the sequence number */

/* May the router have seen that segment of ours? */
static bool in_flight(const struct tcp_leg *leg, const struct frame *quoted)
{
	return quoted->payload_len >= QUOTED_TO_SEQUENCE && SEQ_GEQ(quoted->seq, leg->snd_una) &&
	       SEQ_LT(quoted->seq, leg->snd_nxt);
}

bool tcp_icmp(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame,
    uint64_t now_us)
{
	struct frame quoted;
	struct flow_key key;
	uint32_t mtu;

	if (!frame_quoted(frame, &quoted) || quoted.protocol != FRAME_PROTOCOL_TCP ||
	    quoted.fragment_offset != 0)
		return false;
	bool low = flow_key_of(&key, link, &quoted);
	struct tcp_flow *flow = flow_find(shard, &key);
	if (flow == NULL || (flow->state != FLOW_ADOPTED && flow->state != FLOW_TIME_WAIT))
		return false;
	/* What was sent *by* the client's address went to the origin: it is a segment of the origin leg. */
	bool by_client = low == ((flow->flags & FLOW_CLIENT_LOW) != 0);
	struct tcp_leg *leg = &flow->leg[by_client ? SLAB_LEG_ORIGIN : SLAB_LEG_CLIENT];
	if (from != leg_side(flow, leg->id)) {
		shard->counters.wrong_side++;
		return true;
	}
	if (!frame_checksum_ok(frame)) {
		shard->counters.bad_checksum++;
		return true;
	}
	shard->counters.icmp_consumed++;
	if (frame_too_big(frame, &mtu) && flow->state == FLOW_ADOPTED && in_flight(leg, &quoted) &&
	    !flow_orphaned(shard, flow, now_us))
		leg_too_big(shard, leg, quoted.ip_len, mtu, now_us);
	return true;
}
