/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adoption: what was noted of a handshake that passed end to end becomes two TCP endpoints. Towards each peer
 * we go on as the other one began: its initial sequence number, window scale, first window, MSS, timestamps.
 */
#include "dataplane/tcp/flow.h"

#include <errno.h>
#include <string.h>

static uint16_t leg_mss(const struct tcp_shard *shard, const struct tcp_flow *flow, const struct tcp_leg *leg,
    const struct syn_note *peer)
{
	uint32_t announced = peer->mss != 0          ? peer->mss
	                     : flow->key.family == 4 ? (uint32_t)MSS_DEFAULT_IPV4
	                                             : (uint32_t)MSS_DEFAULT_IPV6;
	uint32_t headers = leg_header_len(flow, leg);
	uint32_t link = shard->config.mtu > headers + MSS_MIN ? shard->config.mtu - headers : MSS_MIN;

	/* The MSS option counts no options (RFC 6691). */
	announced -= leg->flags & LEG_TIMESTAMPS && announced > 12 + MSS_MIN ? 12 : 0;
	if (announced < MSS_MIN)
		announced = MSS_MIN;
	return (uint16_t)(announced < link ? announced : link);
}

static void leg_begin(struct tcp_shard *shard, struct tcp_flow *flow, struct tcp_leg *leg,
    const struct syn_note *peer, const struct syn_note *other, uint64_t now_us)
{
	if (peer->sack_permitted && other->sack_permitted)
		leg->flags |= LEG_SACK;
	if (peer->timestamps && other->timestamps)
		leg->flags |= LEG_TIMESTAMPS;
	if (peer->wscale_present && other->wscale_present) {
		leg->snd_wscale = peer->wscale;
		leg->rcv_wscale = other->wscale;
	}
	leg->rcv_nxt = leg->dlv_nxt = leg->last_ack_sent = peer->isn + 1;
	leg->rcv_adv = leg->rcv_nxt + other->window; /* windows of SYNs are not scaled (RFC 7323 2.2) */
	leg->snd_una = leg->snd_nxt = leg->snd_end = leg->fack = other->isn + 1;
	leg->recover = leg->snd_una - 1; /* the SYN */
	leg->snd_wnd = leg->snd_wnd_max = peer->window;
	leg->snd_wl1 = peer->isn;
	leg->snd_wl2 = leg->snd_una;
	leg->ts_base = other->tsval;
	leg->ts_zero_us = other->at_us;
	leg->ts_recent = peer->tsval;
	leg->ts_recent_us = peer->at_us;
	leg->last_heard_us = now_us;
	leg->peer_mss_seen = leg->peer_full = MSS_DEFAULT_IPV4;
	leg->mss = leg->mss_most = leg_mss(shard, flow, leg, peer);
	leg->ip_id =
	    (uint16_t)(peer->isn >> 16 ^
	               other->isn); /* no secret: DF is set (RFC 6864), but on paths that nobody has */
	sent_begin(leg);
	leg->slab_head = leg->slab_tail = leg->slab_cursor = NONE;
	leg->chunk_head = leg->chunk_tail = leg->run_tail = NONE;
	leg->dirty_next = NONE;
	leg->rto_us = RTO_INITIAL_US;
	leg->rto_due = leg->reorder_due = leg->probe_due = leg->raise_due = NEVER;
	congestion_init(leg);
	if (shard->config.idle_keepalive_ms != 0)
		timer_append(
		    &shard->idles, &leg->idle, now_us + (uint64_t)shard->config.idle_keepalive_ms * 1000);
}

static void about_flow(const struct tcp_shard *shard, const struct tcp_flow *flow, struct slab_flow *about)
{
	bool low = flow->flags & FLOW_CLIENT_LOW;

	*about = (struct slab_flow){
	    .family = flow->key.family,
	    .link = flow->key.link,
	    .vlan = flow->key.vlan[0],
	    .client_port = low ? flow->key.low_port : flow->key.high_port,
	    .server_port = low ? flow->key.high_port : flow->key.low_port,
	    .rule = flow->rule.rule,
	    .receive_credit = shard->config.receive_credit,
	    .receive_max = shard->config.receive_window_max,
	    .send_credit = shard->config.send_credit,
	    .generation = flow->rule.generation,
	};
	memcpy(about->client_addr, low ? flow->key.low : flow->key.high, sizeof(about->client_addr));
	memcpy(about->server_addr, low ? flow->key.high : flow->key.low, sizeof(about->server_addr));
}

bool flow_adopt(struct tcp_shard *shard, struct tcp_flow *flow, const struct frame *frame,
    const struct tcp_options *options, uint64_t now_us)
{
	struct syn_note client = flow->syn[SLAB_LEG_CLIENT], origin = flow->syn[SLAB_LEG_ORIGIN];
	struct tcp_look look[2] = {flow->look[SLAB_LEG_CLIENT], flow->look[SLAB_LEG_ORIGIN]};
	/* SYN to SYN-ACK, SYN-ACK to ACK: the path behind each port. */
	uint32_t rtt_us[2] = {(uint32_t)(now_us - origin.at_us), (uint32_t)(origin.at_us - client.at_us)};
	struct slab_flow about;

	/* The client's clock as it is now, not as it was at its SYN. */
	if (client.timestamps && options->timestamps && SEQ_GEQ(options->tsval, client.tsval)) {
		client.tsval = options->tsval;
		client.at_us = now_us;
	}
	timer_unlink(&flow->timer);
	memset(flow->leg, 0, sizeof(flow->leg));
	flow->state = FLOW_ADOPTED;
	shard->counters.legs_established++;
	for (uint8_t id = 0; id < 2; id++) {
		flow->leg[id].id = id;
		flow->leg[id].look = look[id];
		leg_begin(shard, flow, &flow->leg[id], id == SLAB_LEG_CLIENT ? &client : &origin,
		    id == SLAB_LEG_CLIENT ? &origin : &client, now_us);
		window_begin(shard, &flow->leg[id], rtt_us[id], now_us);
	}
	leg_look_like(&flow->leg[SLAB_LEG_ORIGIN].look, frame);
	about_flow(shard, flow, &about);
	int worker = shard->hooks.worker_open(shard->hooks.worker_context, flow_id(shard, flow), &about);
	if (worker < 0 || (uint32_t)worker >= shard->config.workers) {
		shard->counters.worker_none++;
		flow_reset(shard, flow, SLAB_LEG_CLIENT, ECONNREFUSED, 3, now_us);
		return false;
	}
	flow->worker = (int16_t)worker;
	flow->worker_epoch = shard->workers[worker].epoch;
	flow->flags |= FLOW_HAS_WORKER;
	shard->counters.adopted++;
	/* The handshake's last ACK is ours to send: the client's segment does not go on. */
	flow->leg[SLAB_LEG_ORIGIN].flags |= LEG_ACK_NOW;
	leg_mark_dirty(shard, &flow->leg[SLAB_LEG_ORIGIN]);
	return true;
}
