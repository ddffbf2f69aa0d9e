/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors that quote our segments. The peers whose addresses we use did not send those segments and must
 * not see the errors. Only "too big" is obeyed, and only where it quotes a sequence number that is in flight
 * (RFC 5927 section 4.1): everything else is a soft error that time-outs settle (RFC 5461).
 */
#include "dataplane/tcp/flow.h"

#include "config/wire/wire.h"

#include <string.h>

enum {
	ICMP_UNREACHABLE = 3,
	ICMP_FRAGMENTATION_NEEDED = 4,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER_PROBLEM = 12
};
enum { ICMP6_ERROR_MAX = 127, ICMP6_PACKET_TOO_BIG = 2 };
enum { PROTOCOL_TCP = 6, MTU_MIN_IPV4 = 552, MTU_MIN_IPV6 = 1280 };

struct quote {
	struct frame frame; /* the addresses and ports of the segment that was quoted */
	uint32_t seq, mtu;
	bool too_big;
};

static bool quote_ipv4(struct wire *w, struct quote *quote)
{
	uint8_t version = wire_u8(w);

	wire_skip(w, 5);
	uint16_t fragment = wire_u16(w);
	wire_skip(w, 1);
	quote->frame.protocol = wire_u8(w);
	wire_skip(w, 2);
	struct wire_span src = wire_bytes(w, 4), dst = wire_bytes(w, 4);
	wire_skip(w, (version & 0x0f) > 5 ? ((version & 0x0fu) - 5) * 4 : 0);
	if (w->failed || version >> 4 != 4 || (fragment & 0x1fff) != 0)
		return false;
	memcpy(quote->frame.src, src.at, 4);
	memcpy(quote->frame.dst, dst.at, 4);
	return true;
}

static bool quote_ipv6(struct wire *w, struct quote *quote)
{
	uint8_t version = wire_u8(w);

	wire_skip(w, 5);
	quote->frame.protocol = wire_u8(w); /* our own segments bear no extension headers */
	wire_skip(w, 1);
	struct wire_span src = wire_bytes(w, 16), dst = wire_bytes(w, 16);
	if (w->failed || version >> 4 != 6)
		return false;
	memcpy(quote->frame.src, src.at, 16);
	memcpy(quote->frame.dst, dst.at, 16);
	return true;
}

static bool quote_read(const struct frame *frame, struct quote *quote)
{
	uint32_t end = frame->l2_len + frame->ip_len;

	memset(quote, 0, sizeof(*quote));
	if (end > frame->len || frame->l4_offset > end)
		return false;
	struct wire w = wire_over(frame->bytes + frame->l4_offset, end - frame->l4_offset);
	uint8_t type = wire_u8(&w), code = wire_u8(&w);
	wire_skip(&w, 2);
	quote->mtu = wire_u32(&w);
	if (frame->family == 4) {
		if (type != ICMP_UNREACHABLE && type != ICMP_TIME_EXCEEDED && type != ICMP_PARAMETER_PROBLEM)
			return false;
		quote->mtu &= 0xffff;
		quote->too_big = type == ICMP_UNREACHABLE && code == ICMP_FRAGMENTATION_NEEDED;
	} else {
		if (type > ICMP6_ERROR_MAX)
			return false;
		quote->too_big = type == ICMP6_PACKET_TOO_BIG;
	}
	if (frame->family == 4 ? !quote_ipv4(&w, quote) : !quote_ipv6(&w, quote))
		return false;
	quote->frame.family = frame->family;
	quote->frame.vlan_tags = frame->vlan_tags;
	memcpy(quote->frame.vlan, frame->vlan, sizeof(quote->frame.vlan));
	quote->frame.sport = wire_u16(&w);
	quote->frame.dport = wire_u16(&w);
	quote->seq = wire_u32(&w);
	return !w.failed && quote->frame.protocol == PROTOCOL_TCP;
}

bool tcp_icmp(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame,
    uint64_t now_us)
{
	struct quote quote;
	struct flow_key key;

	if (frame->kind != FRAME_ICMP || !quote_read(frame, &quote))
		return false;
	bool low = flow_key_of(&key, link, &quote.frame);
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
	shard->counters.icmp_consumed++;
	if (!quote.too_big || flow->state != FLOW_ADOPTED || flow_orphaned(shard, flow, now_us))
		return true;
	uint32_t floor = flow->key.family == 4 ? MTU_MIN_IPV4 : MTU_MIN_IPV6;
	if (SEQ_GEQ(quote.seq, leg->snd_una) && SEQ_LT(quote.seq, leg->snd_nxt))
		leg_path_mtu(shard, leg, quote.mtu > floor ? quote.mtu : floor, now_us);
	return true;
}
