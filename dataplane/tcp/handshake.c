/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes pass end to end, so that a closed, filtered or absent origin looks to the client exactly as it
 * would without the box: we keep no LISTEN state and make no sequence numbers. We only note what both ends
 * say, and take out what we will not speak. Nothing with payload passes before adoption.
 */
#include "dataplane/tcp/flow.h"

#include <string.h>

static void note_syn(
    struct syn_note *note, const struct frame *frame, const struct tcp_options *options, uint64_t now_us)
{
	*note = (struct syn_note){
	    .isn = frame->seq,
	    .window = frame->tcp_window,
	    .mss = options->mss_present ? options->mss : 0,
	    .wscale = options->wscale,
	    .wscale_present = options->wscale_present,
	    .sack_permitted = options->sack_permitted,
	    .timestamps = options->timestamps,
	    .tsval = options->tsval,
	    .at_us = now_us,
	};
}

static void syn_options(struct tcp_options *options, const struct frame *frame)
{
	options_parse(options, frame->bytes + frame->l4_offset + 20, frame->tcp_header_len - 20u);
}

/* Of the largest segment that comes in by any port. */
static uint16_t mss_most(const struct tcp_shard *shard, const struct frame *frame)
{
	return (uint16_t)(shard->config.mtu - (frame->family == 4 ? 40u : 60u));
}

/* Notes a SYN of the client, edits it, lets it go on. */
static enum tcp_verdict client_syn(struct tcp_shard *shard, struct tcp_flow *flow, const struct frame *frame,
    const struct tcp_options *options, uint8_t *bytes, uint32_t *len, uint64_t now_us)
{
	flow->state = FLOW_SYN;
	note_syn(&flow->syn[SLAB_LEG_CLIENT], frame, options, now_us);
	leg_look_like(&flow->look[SLAB_LEG_ORIGIN], frame);
	options_edit_syn(frame, bytes, mss_most(shard, frame));
	options_cut_payload(frame, bytes, len);
	timer_append(&shard->handshakes, &flow->timer, now_us + (uint64_t)shard->config.handshake_ms * 1000);
	return TCP_FORWARD;
}

/* In a full table the oldest handshake gives way once it hangs: whoever sends SYNs from addresses that are
 * not theirs must send a table's worth every few seconds to keep others out. */
static bool forget_hanging(struct tcp_shard *shard, uint64_t now_us)
{
	uint64_t due = timer_list_next(&shard->handshakes);

	if (due == NEVER || due + HANDSHAKE_HANGS_US > now_us + (uint64_t)shard->config.handshake_ms * 1000)
		return false;
	flow_forget(shard, flow_of_timer(shard->handshakes.next));
	return true;
}

/* Then the one that has been over longest, of those whose worker knows, and of those forwarded that seem to
 * be: opening and closing fast keeps nobody out. */
static bool forget_closed(struct tcp_shard *shard)
{
	struct timer *at = shard->time_waits.next;

	for (unsigned n = 0; n < TIME_WAITS_LOOKED_AT && at != &shard->time_waits; n++, at = at->next) {
		struct tcp_flow *flow = flow_of_timer(at);
		if (flow->flags & (FLOW_HAS_WORKER | FLOW_WAITING))
			continue;
		shard->counters.time_wait_cut++;
		flow_forget(shard, flow);
		return true;
	}
	if (shard->ended.next == &shard->ended)
		return false;
	shard->counters.time_wait_cut++;
	flow_forget(shard, flow_of_timer(shard->ended.next));
	return true;
}

static struct tcp_flow *flow_admit(struct tcp_shard *shard, const struct flow_key *key, uint64_t now_us)
{
	struct tcp_flow *flow = flow_new(shard, key);

	if (flow == NULL && (forget_hanging(shard, now_us) || forget_closed(shard)))
		flow = flow_new(shard, key);
	if (flow == NULL)
		shard->counters.table_full++;
	return flow;
}

enum tcp_verdict tcp_syn(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from,
    const struct frame *frame, uint8_t *bytes, uint32_t *len, const struct tcp_rule *rule, uint64_t now_us)
{
	struct tcp_options options;
	struct flow_key key;
	bool low = flow_key_of(&key, link, frame);

	/* Its receiver would drop it; noted, it would mislead us. */
	if (!frame_checksum_ok(frame)) {
		shard->counters.bad_checksum++;
		return TCP_DROP;
	}
	syn_options(&options, frame);
	if (options.authenticated) {
		shard->counters.unsupported++;
		if (rule->on_unsupported != 0)
			return tcp_pass(shard, link, from, frame, now_us) ? TCP_FORWARD : TCP_DROP;
		tcp_refuse(shard, link, from, frame);
		return TCP_DROP;
	}
	struct tcp_flow *flow = flow_admit(shard, &key, now_us);
	if (flow == NULL)
		return TCP_DROP;
	flow->flags = low ? FLOW_CLIENT_LOW : 0;
	flow->client_side = (uint8_t)from;
	flow->rule = *rule;
	shard->counters.syn_tracked++;
	return client_syn(shard, flow, frame, &options, bytes, len, now_us);
}

/* An RST that its receiver will believe ends the story; others pass and change nothing. */
static enum tcp_verdict handshake_reset(
    struct tcp_shard *shard, struct tcp_flow *flow, uint8_t from_leg, const struct frame *frame)
{
	const struct syn_note *client = &flow->syn[SLAB_LEG_CLIENT], *origin = &flow->syn[SLAB_LEG_ORIGIN];
	bool believed;

	if (from_leg == SLAB_LEG_CLIENT)
		believed = frame->seq == client->isn + 1 || frame->seq == client->isn;
	else if (flow->state == FLOW_SYN)
		believed = (frame->tcp_flags & TCP_ACK) && frame->ack == client->isn + 1;
	else
		believed = frame->seq == origin->isn + 1;
	if (believed) {
		shard->counters.resets_in++;
		flow_forget(shard, flow);
	}
	return TCP_FORWARD;
}

static enum tcp_verdict from_client(struct tcp_shard *shard, struct tcp_flow *flow, const struct frame *frame,
    uint8_t *bytes, uint32_t *len, uint64_t now_us)
{
	const struct syn_note *client = &flow->syn[SLAB_LEG_CLIENT], *origin = &flow->syn[SLAB_LEG_ORIGIN];
	struct tcp_options options;

	syn_options(&options, frame);
	if ((frame->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		if (frame->seq != client->isn) /* another attempt from the same port */
			return client_syn(shard, flow, frame, &options, bytes, len, now_us);
		/* Which of them the origin answers is not ours to know. */
		if (options.mss_present && options.mss < flow->syn[SLAB_LEG_CLIENT].mss)
			flow->syn[SLAB_LEG_CLIENT].mss = options.mss;
		options_edit_syn(frame, bytes, mss_most(shard, frame));
		options_cut_payload(frame, bytes, len);
		return TCP_FORWARD;
	}
	if (flow->state == FLOW_SYN_ACK && (frame->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK &&
	    frame->ack == origin->isn + 1 && SEQ_GEQ(frame->seq, client->isn + 1) &&
	    SEQ_LEQ(frame->seq, client->isn + 1 + origin->window)) {
		if (flow_adopt(shard, flow, frame, &options, now_us))
			leg_input(shard, &flow->leg[SLAB_LEG_CLIENT], frame, now_us);
		return TCP_CONSUMED;
	}
	/* It acknowledges a SYN-ACK that went another way: we missed the beginning, and what the rule says of
	 * flows met in mid-life is for the caller to find out. */
	if (flow->state == FLOW_SYN && (frame->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK &&
	    frame->seq == client->isn + 1) {
		flow_forget(shard, flow);
		return TCP_UNKNOWN;
	}
	return frame->payload_len == 0 ? TCP_FORWARD : TCP_DROP;
}

static enum tcp_verdict from_origin(struct tcp_shard *shard, struct tcp_flow *flow, const struct frame *frame,
    uint8_t *bytes, uint32_t *len, uint64_t now_us)
{
	const struct syn_note *client = &flow->syn[SLAB_LEG_CLIENT];
	struct tcp_options options;

	if (!(frame->tcp_flags & TCP_SYN))
		return frame->payload_len == 0 ? TCP_FORWARD : TCP_DROP;
	if (!(frame->tcp_flags & TCP_ACK)) /* a simultaneous open is no client's connection to an origin */
		return TCP_DROP;
	if (frame->ack == client->isn + 1) {
		struct syn_note *origin = &flow->syn[SLAB_LEG_ORIGIN], earlier = *origin;
		syn_options(&options, frame);
		note_syn(origin, frame, &options, now_us);
		/* Overtaken by its own repetition: our clock goes on from the latest that the client saw. */
		if (flow->state == FLOW_SYN_ACK && earlier.isn == origin->isn && earlier.timestamps &&
		    SEQ_LT(origin->tsval, earlier.tsval)) {
			origin->tsval = earlier.tsval;
			origin->at_us = earlier.at_us;
		}
		leg_look_like(&flow->look[SLAB_LEG_CLIENT], frame);
		flow->state = FLOW_SYN_ACK;
	}
	options_edit_syn(frame, bytes, mss_most(shard, frame));
	options_cut_payload(frame, bytes, len);
	return TCP_FORWARD;
}

enum tcp_verdict handshake_input(struct tcp_shard *shard, struct tcp_flow *flow, uint8_t from_leg,
    const struct frame *frame, uint8_t *bytes, uint32_t *len, uint64_t now_us)
{
	if (!frame_checksum_ok(frame)) {
		shard->counters.bad_checksum++;
		return TCP_DROP;
	}
	if (frame->tcp_flags & TCP_RST)
		return handshake_reset(shard, flow, from_leg, frame);
	if (from_leg == SLAB_LEG_CLIENT)
		return from_client(shard, flow, frame, bytes, len, now_us);
	return from_origin(shard, flow, frame, bytes, len, now_us);
}

/* -- flows that are only remembered as forwarded -- */

bool tcp_pass(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame,
    uint64_t now_us)
{
	struct flow_key key;
	bool low = flow_key_of(&key, link, frame);
	struct tcp_flow *flow = flow_find(shard, &key);

	if (flow != NULL)
		return flow->state == FLOW_PASS;
	flow = flow_admit(shard, &key, now_us);
	if (flow == NULL)
		return false;
	flow->state = FLOW_PASS;
	flow->flags = low ? FLOW_CLIENT_LOW : 0;
	flow->client_side = (uint8_t)from;
	flow->last_seen_us = now_us;
	flow->half = true;
	shard->counters.passed++;
	timer_append(&shard->handshakes, &flow->timer, now_us + (uint64_t)shard->config.handshake_ms * 1000);
	return true;
}

/* By its looks: no sequence number is followed, and a FIN or RST may be anybody's. So it only is the first to
 * give way in a full table. */
static bool pass_is_over(const struct tcp_flow *flow)
{
	const uint8_t both = PASS_FIN_CLIENT | PASS_FIN_ORIGIN;

	return (flow->ends & PASS_RESET) || (flow->ends & both) == both;
}

enum tcp_verdict pass_input(struct tcp_shard *shard, struct tcp_flow *flow, enum tcp_port_side from,
    const struct frame *frame, uint64_t now_us)
{
	bool was_half = flow->half, was_over = pass_is_over(flow);
	uint8_t fin = from == flow->client_side ? PASS_FIN_CLIENT : PASS_FIN_ORIGIN;

	/* A new connection under the same ports is the policy's to judge. */
	if ((frame->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		if (now_us == flow->last_seen_us)
			return TCP_FORWARD;
		flow_forget(shard, flow);
		return TCP_UNKNOWN;
	}
	flow->last_seen_us = now_us;
	flow->half = false;
	if (frame->tcp_flags & TCP_RST)
		flow->ends |= PASS_RESET;
	else
		flow->ends &= (uint8_t)~PASS_RESET;
	if (frame->tcp_flags & TCP_FIN)
		flow->ends |= fin;
	else if (frame->payload_len > 0)
		flow->ends &= (uint8_t)~fin;
	if (pass_is_over(flow) && !was_over)
		timer_append(&shard->ended, &flow->timer, now_us + PASS_IDLE_US);
	else if (!pass_is_over(flow) && (was_over || was_half))
		timer_append(&shard->passes, &flow->timer, now_us + PASS_IDLE_US);
	return TCP_FORWARD;
}
