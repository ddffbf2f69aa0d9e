/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: an Ethernet header and tags as the other peer's frames bear them, IP, TCP, options, payload copied
 * out of the worker's slabs and summed on the way. The worker may rewrite a slab at any time, so the sum is
 * taken over the copy: whatever the worker does, what leaves is a well-formed segment.
 */
#include "dataplane/tcp/flow.h"

#include <string.h>

enum { IPV4_HEADER = 20, IPV6_HEADER = 40, TCP_HEADER = 20, TIMESTAMPS_SPACE = 12, REFUSE_TTL = 64 };
enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd, IPPROTO_TCP_NUMBER = 6 };

static inline void put_u16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void put_u32(uint8_t *at, uint32_t v)
{
	put_u16(at, v >> 16);
	put_u16(at + 2, v);
}

static uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Half the largest window (RFC 7323 section 2.3) back: nobody expects a segment from there. */
#define OUTSIDE_ANY_WINDOW (1u << 30)

static void put_checksum(uint8_t *at, uint64_t sum)
{
	uint16_t folded = sum_fold(sum);

	memcpy(at, &folded, 2);
}

/* What a segment's headers say, of a leg or of none (tcp_refuse). */
struct headers {
	const uint8_t *l2;
	uint8_t l2_len, family, ttl, dscp;
	bool may_fragment;
	uint16_t ip_id;
	uint32_t flow_label;
	const uint8_t *src, *dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint32_t options_len, payload_len;
	bool unfinished;      /* the port puts in the checksum … */
	uint16_t segment_len; /* … and cuts the payload into pieces of so many bytes, where not 0 */
};

static uint32_t headers_len(const struct headers *h)
{
	return h->l2_len + (h->family == 4 ? IPV4_HEADER : IPV6_HEADER) + TCP_HEADER + h->options_len;
}

static uint64_t write_ipv4(const struct headers *h, uint8_t *ip, uint32_t tcp_len)
{
	uint8_t pseudo[12];

	ip[0] = 0x45;
	ip[1] = h->dscp;
	put_u16(ip + 2, IPV4_HEADER + tcp_len);
	put_u16(ip + 4, h->ip_id);
	put_u16(ip + 6, h->may_fragment ? 0 : 0x4000); /* DF: the path MTU is found, not fragmented for */
	ip[8] = h->ttl;
	ip[9] = IPPROTO_TCP_NUMBER;
	put_u16(ip + 10, 0);
	memcpy(ip + 12, h->src, 4);
	memcpy(ip + 16, h->dst, 4);
	put_checksum(ip + 10, frame_sum(0, ip, IPV4_HEADER));
	memcpy(pseudo, ip + 12, 8);
	put_u16(pseudo + 8, IPPROTO_TCP_NUMBER);
	put_u16(pseudo + 10, h->segment_len == 0 ? tcp_len : 0);
	return frame_sum(0, pseudo, sizeof(pseudo));
}

static uint64_t write_ipv6(const struct headers *h, uint8_t *ip, uint32_t tcp_len)
{
	uint8_t pseudo[4];

	put_u32(ip, 6u << 28 | (uint32_t)h->dscp << 20 | (h->flow_label & 0xfffff));
	put_u16(ip + 4, tcp_len);
	ip[6] = IPPROTO_TCP_NUMBER;
	ip[7] = h->ttl;
	memcpy(ip + 8, h->src, 16);
	memcpy(ip + 24, h->dst, 16);
	put_u16(pseudo, IPPROTO_TCP_NUMBER);
	put_u16(pseudo + 2, h->segment_len == 0 ? tcp_len : 0);
	return frame_sum(frame_sum(0, ip + 8, 32), pseudo, sizeof(pseudo));
}

/* All headers but the options; payload and options are in place. Then the checksum, or what a port that sums
 * expects in its place: the pseudo-header's sum, without a length where it cuts, as that is each segment's.
 */
static void write_headers(const struct headers *h, uint8_t *bytes)
{
	uint32_t tcp_len = TCP_HEADER + h->options_len + h->payload_len;
	uint8_t *ip = bytes + h->l2_len;
	uint8_t *tcp = ip + (h->family == 4 ? IPV4_HEADER : IPV6_HEADER);

	memcpy(bytes, h->l2, h->l2_len);
	uint64_t sum = h->family == 4 ? write_ipv4(h, ip, tcp_len) : write_ipv6(h, ip, tcp_len);
	put_u16(tcp, h->sport);
	put_u16(tcp + 2, h->dport);
	put_u32(tcp + 4, h->seq);
	put_u32(tcp + 8, h->ack);
	tcp[12] = (uint8_t)((TCP_HEADER + h->options_len) / 4 << 4);
	tcp[13] = h->flags;
	put_u16(tcp + 14, h->window);
	put_u32(tcp + 16, 0); /* checksum, urgent pointer */
	if (!h->unfinished) {
		put_checksum(tcp + 16, frame_sum(sum, tcp, tcp_len));
		return;
	}
	uint16_t folded = (uint16_t)~sum_fold(sum);
	memcpy(tcp + 16, &folded, sizeof(folded));
}

/* Apart, so that a box whose ports finish nothing has no more than a look. */
__attribute__((noinline)) static void say_unfinished(
    struct tcp_shard *shard, const struct headers *h, void *handle)
{
	const struct tcp_unfinished what = {
	    .family = h->family,
	    .l2_len = h->l2_len,
	    .l3_len = h->family == 4 ? IPV4_HEADER : IPV6_HEADER,
	    .l4_len = (uint8_t)(TCP_HEADER + h->options_len),
	    .segment_len = h->segment_len,
	};

	shard->hooks.frame_unfinished(shard->hooks.context, handle, &what);
}

static inline void send_frame(struct tcp_shard *shard, uint8_t link, enum tcp_port_side side,
    const struct headers *h, void *handle, uint32_t len)
{
	if (h->unfinished)
		say_unfinished(shard, h, handle);
	shard->hooks.frame_send(shard->hooks.context, link, side, handle, len);
}

/* Copies [seq, seq + len) out of the slabs. The slab of new data is found at once by the cursor. */
static void copy_payload(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, uint8_t *to, uint32_t len)
{
	struct send_slab *slabs = shard->workers[leg_flow(leg)->worker].slabs;
	bool from_cursor = leg->slab_cursor != NONE && SEQ_GEQ(seq, leg->cursor_seq);
	uint32_t slab = from_cursor ? leg->slab_cursor : leg->slab_head;
	uint32_t slab_seq = from_cursor ? leg->cursor_seq : leg->head_seq;

	while (slab != NONE && len > 0) {
		uint32_t skip = seq - slab_seq;
		if (skip < slabs[slab].len) {
			uint32_t part = slabs[slab].len - skip;
			if (part > len)
				part = len;
			memcpy(to, slabs[slab].bytes + skip, part);
			to += part, seq += part, len -= part;
			if (len == 0)
				break;
		}
		slab_seq += slabs[slab].len;
		slab = slabs[slab].next;
	}
	if (slab != NONE && (leg->slab_cursor == NONE || SEQ_GT(slab_seq, leg->cursor_seq))) {
		leg->slab_cursor = slab;
		leg->cursor_seq = slab_seq;
	}
}

/* Timestamps in the layout that everybody's fast path expects (RFC 7323 appendix A), then SACK blocks. */
static uint32_t options_write(
    const struct tcp_shard *shard, struct tcp_leg *leg, uint8_t *to, bool sack, uint64_t now_us)
{
	uint32_t len = 0;

	if (leg->flags & LEG_TIMESTAMPS) {
		put_u32(to, 0x0101080a);
		put_u32(to + 4, leg_timestamp(leg, now_us));
		put_u32(to + 8, leg->ts_recent);
		len = TIMESTAMPS_SPACE;
	}
	if (!sack || !(leg->flags & LEG_SACK))
		return len;
	uint32_t blocks[SACK_BLOCKS_MAX][2];
	unsigned n = 0, max = len != 0 ? 3 : 4;
	if (leg->flags & LEG_DSACK) { /* RFC 2883: the duplicate comes first */
		blocks[n][0] = leg->dsack_start;
		blocks[n++][1] = leg->dsack_end;
		leg->flags &= ~(uint32_t)LEG_DSACK;
	}
	n += chunks_sack_blocks(shard, leg, blocks + n, max - n);
	if (n == 0)
		return len;
	put_u16(to + len, 0x0101);
	to[len + 2] = 5;
	to[len + 3] = (uint8_t)(2 + 8 * n);
	len += 4;
	for (unsigned i = 0; i < n; i++, len += 8) {
		put_u32(to + len, blocks[i][0]);
		put_u32(to + len + 4, blocks[i][1]);
	}
	return len;
}

static void addresses_of(const struct tcp_flow *flow, uint8_t leg, struct headers *h)
{
	/* To the client we are the origin, and the other way round. */
	bool to_low = (leg == SLAB_LEG_CLIENT) == ((flow->flags & FLOW_CLIENT_LOW) != 0);

	h->src = to_low ? flow->key.high : flow->key.low;
	h->dst = to_low ? flow->key.low : flow->key.high;
	h->sport = to_low ? flow->key.high_port : flow->key.low_port;
	h->dport = to_low ? flow->key.low_port : flow->key.high_port;
}

bool segment_send(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, uint8_t flags, uint32_t payload,
    uint64_t now_us)
{
	struct tcp_flow *flow = leg_flow(leg);
	uint8_t options[40];
	struct headers h = {
	    .l2 = leg->look.l2,
	    .l2_len = leg->look.l2_len,
	    .family = flow->key.family,
	    .ttl = leg->look.ttl,
	    .dscp = leg->look.dscp,
	    /* What is tried whole proves nothing in pieces. */
	    .may_fragment = (leg->flags & (LEG_MAY_FRAGMENT | LEG_RAISE)) == LEG_MAY_FRAGMENT,
	    .ip_id = leg->ip_id,
	    .flow_label = leg->look.flow_label,
	    .seq = seq,
	    .ack = leg->rcv_nxt,
	    .flags = flags,
	    .payload_len = payload,
	    .unfinished = shard->config.offloads.checksum,
	    .segment_len =
	        payload > leg->mss && shard->config.offloads.frame_max > 0 && !(leg->flags & LEG_RAISE)
	            ? leg->mss
	            : 0,
	};
	void *handle;

	addresses_of(flow, leg->id, &h);
	if (!(flags & TCP_RST))
		h.options_len = options_write(shard, leg, options, payload == 0, now_us);
	uint32_t header_len = headers_len(&h);
	uint8_t *bytes = shard->hooks.frame_alloc(shard->hooks.context, header_len + payload, &handle);
	if (bytes == NULL) {
		shard->counters.no_buffer++;
		return false;
	}
	h.window = leg_window(leg);
	memcpy(bytes + header_len - h.options_len, options, h.options_len);
	if (payload > 0)
		copy_payload(shard, leg, seq, bytes + header_len, payload);
	write_headers(&h, bytes);
	leg->ip_id += (uint16_t)(h.segment_len == 0 ? 1 : (payload + leg->mss - 1) / leg->mss);
	shard->counters.super_segments += h.segment_len != 0;
	/* Whatever goes out acknowledges all there is; ACKs that carry no SACK leave that for the next. */
	leg->last_ack_sent = leg->rcv_nxt;
	if (payload == 0 || leg->chunk_head == NONE)
		leg->flags &= ~(uint32_t)LEG_ACK_NOW;
	leg->flags &= ~(uint32_t)LEG_ACK_DELAYED;
	send_frame(shard, flow->key.link, leg_side(flow, leg->id), &h, handle, header_len + payload);
	return true;
}

void leg_look_like(struct tcp_look *look, const struct frame *frame)
{
	look->l2_len = (uint8_t)(frame->l2_len <= L2_MAX ? frame->l2_len : L2_MAX);
	memcpy(look->l2, frame->bytes, look->l2_len);
	look->ttl = frame->ttl;
	look->dscp = frame->dscp_ecn & 0xfc; /* ECN was negotiated away */
	if (frame->family == 6) {
		const uint8_t *ip = frame->bytes + frame->l2_len;
		look->flow_label = ((uint32_t)(ip[1] & 0x0f) << 16) | (uint32_t)ip[2] << 8 | ip[3];
	}
}

/* Sends a segment that belongs to no leg. */
static bool send_alone(struct tcp_shard *shard, uint8_t link, enum tcp_port_side side, struct headers *h)
{
	void *handle;
	uint8_t *bytes = shard->hooks.frame_alloc(shard->hooks.context, headers_len(h), &handle);

	if (bytes == NULL) {
		shard->counters.no_buffer++;
		return false;
	}
	h->unfinished = shard->config.offloads.checksum;
	write_headers(h, bytes);
	send_frame(shard, link, side, h, handle, headers_len(h));
	return true;
}

/* Is there anything to answer? An RST never is (RFC 9293 3.10.7.1), nor what was sent to a group address, nor
 * noise. */
static bool answerable(const struct frame *frame)
{
	return frame->kind == FRAME_TCP && (frame->tcp_flags & TCP_RST) == 0 && frame->l2_len >= 14 &&
	       frame->l2_len <= L2_MAX && (frame->bytes[0] & 1) == 0 && frame_checksum_ok(frame);
}

void tcp_refuse(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame)
{
	uint8_t l2[L2_MAX];

	if (!answerable(frame))
		return;
	/* There is no opposite frame to copy from: the answer goes back where the question came from. */
	memcpy(l2, frame->bytes, frame->l2_len);
	memcpy(l2, frame->bytes + 6, 6);
	memcpy(l2 + 6, frame->bytes, 6);
	struct headers h = {
	    .l2 = l2,
	    .l2_len = (uint8_t)frame->l2_len,
	    .family = frame->family,
	    .ttl = REFUSE_TTL,
	    .src = frame->dst,
	    .dst = frame->src,
	    .sport = frame->dport,
	    .dport = frame->sport,
	    .flags = TCP_RST,
	};
	if (frame->tcp_flags & TCP_ACK) {
		h.seq = frame->ack;
	} else {
		h.flags |= TCP_ACK;
		h.ack = frame->seq + frame->payload_len + ((frame->tcp_flags & TCP_SYN) != 0) +
		        ((frame->tcp_flags & TCP_FIN) != 0);
	}
	if (send_alone(shard, link, from, &h))
		shard->counters.resets_out++;
}

void tcp_ask_other(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame)
{
	/* A SYN-ACK is of no connection yet that could have been lost. */
	if (!answerable(frame) || (frame->tcp_flags & TCP_SYN))
		return;
	struct headers h = {
	    .l2 = frame->bytes,
	    .l2_len = (uint8_t)frame->l2_len,
	    .family = frame->family,
	    .ttl = frame->ttl,
	    .dscp = frame->dscp_ecn & 0xfc,
	    .src = frame->src,
	    .dst = frame->dst,
	    .sport = frame->sport,
	    .dport = frame->dport,
	    .seq = frame->seq - OUTSIDE_ANY_WINDOW,
	    .ack = frame->ack,
	    .flags = TCP_ACK,
	};
	(void)send_alone(shard, link, from == TCP_INSIDE ? TCP_OUTSIDE : TCP_INSIDE, &h);
}
