/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a leg may have on its way: in towards the worker (the window that we offer) and out from it (the
 * slabs that it may fill before they are ACKed). Both begin small and follow the bandwidth-delay product.
 *
 * In. The worker says what it consumed; once a round-trip time that is compared with the window. A window of
 * twice what is consumed in a round-trip time never holds the peer up; in a slow start the next round brings
 * twice this one, and before that is measured the peer sends twice as much again: four times, and half of
 * that more, as our rounds are not the peer's and the first ones too short to be measured well. A peer whose
 * bytes are not consumed gets nothing more, so what lies about is bounded by what was just earned. The window
 * never exceeds what the other end's SYN lets us announce (RFC 7323 2.2), nor receive_window_max.
 *
 * Every leg has receive_credit bytes for its own. What is beyond comes out of receive_memory, one sum for all
 * legs of the lcore: a leg may be promised as much as would still be free afterwards (a dynamic threshold:
 * k greedy legs end up with a share of 1 in k + 1 each, and there is one left for who comes next). Where that
 * is less than a leg has, its window shrinks as windows may: the right edge stays where it is until the bytes
 * before it have come. A long silent leg gives its growth up, though its window is still open: what it could
 * send at once is promised twice then. So receive_memory is also a bound on bytes that are there, and what
 * comes beyond it is dropped (memory_dropped), which its peer sends again: the last resort.
 *
 * Bytes that are there are counted as what they cost: chunks whole.
 *
 * Out. A sender wants cwnd in the network and as much ready behind it (so that cwnd is what limits it). The
 * worker is told how many slabs that is where it changed by a quarter and more; what is out already may be
 * more than it was told last, never more than it was ever told. The slabs are the worker's own: how its legs
 * share them when they are scarce is decided where that is known, in the worker (sshterm/vsock.c).
 */
#include "dataplane/tcp/flow.h"

enum { RTT_MOST_US = 10000000 };

/* -- memory -- */

static uint32_t beyond(uint64_t bytes, uint32_t own)
{
	return bytes > own ? (uint32_t)(bytes - own) : 0;
}

static uint64_t bytes_there(const struct tcp_leg *leg)
{
	return leg->delivered - leg->consumed + (uint64_t)leg->chunks * CHUNK_BYTES;
}

static void charge(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t charged, uint32_t held)
{
	shard->counters.receive_charged += (uint64_t)charged - leg->charged;
	shard->counters.receive_held += (uint64_t)held - leg->held;
	leg->charged = charged;
	leg->held = held;
}

void window_account(struct tcp_shard *shard, struct tcp_leg *leg)
{
	uint32_t own = shard->config.receive_credit;
	uint32_t held = beyond(bytes_there(leg), own), promised = beyond(leg->credit, own);

	charge(shard, leg, held > promised ? held : promised, held);
}

void window_end(struct tcp_shard *shard, struct tcp_leg *leg)
{
	charge(shard, leg, 0, 0);
}

uint32_t window_keeps(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t len)
{
	uint64_t there = bytes_there(leg), own = shard->config.receive_credit;
	uint64_t room = there < own ? own - there : 0, held = shard->counters.receive_held;

	if (held < shard->config.receive_memory)
		room += shard->config.receive_memory - held;
	return room < len ? (uint32_t)room : len;
}

/* -- in -- */

/* The window that memory allows the leg: its own, and half of what the others leave. */
static uint64_t window_share(const struct tcp_shard *shard, const struct tcp_leg *leg)
{
	uint64_t others = shard->counters.receive_charged - leg->charged;
	uint64_t left = others < shard->config.receive_memory ? shard->config.receive_memory - others : 0;
	uint64_t chunks = (uint64_t)(shard->free_chunks + leg->chunks) * CHUNK_BYTES;

	return shard->config.receive_credit + (left < chunks ? left : chunks) / 2;
}

static uint32_t window_most(const struct tcp_shard *shard, const struct tcp_leg *leg)
{
	uint32_t scaled = (uint32_t)UINT16_MAX << leg->rcv_wscale;

	return scaled < shard->config.receive_window_max ? scaled : shard->config.receive_window_max;
}

void window_begin(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t rtt_us, uint64_t now_us)
{
	leg->credit = shard->config.receive_credit;
	leg->rcv_rtt_us = rtt_us < RTT_MOST_US ? rtt_us : RTT_MOST_US;
	leg->round_us = (uint32_t)now_us;
	leg->slabs_told = leg->slabs_most = shard->config.send_credit;
}

void window_rtt(struct tcp_leg *leg, const struct tcp_options *options, uint32_t len, uint64_t now_us)
{
	if (!(leg->flags & LEG_TIMESTAMPS) || !options->timestamps || options->tsecr == leg->rcv_tsecr ||
	    len < leg->peer_mss_seen)
		return;
	/* The first to echo this TSval: between them lies a round trip, unless the peer had nothing to send;
	 * such a sample is one among many. */
	leg->rcv_tsecr = options->tsecr;
	uint32_t ticks = leg_timestamp(leg, now_us) - options->tsecr;
	if (ticks >= RTT_MOST_US / TIMESTAMP_TICK_US)
		return;
	uint32_t sample = ticks * TIMESTAMP_TICK_US;
	leg->rcv_rtt_us += sample / 8 - leg->rcv_rtt_us / 8;
}

static uint32_t round_trip(const struct tcp_leg *leg)
{
	uint32_t rtt = leg->rcv_rtt_us;

	if (!(leg->flags & LEG_TIMESTAMPS) && leg->srtt_us != 0)
		rtt = leg->srtt_us;
	return rtt > TIMESTAMP_TICK_US ? rtt : TIMESTAMP_TICK_US;
}

static void window_set(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t want)
{
	uint64_t most = window_most(shard, leg), share = window_share(shard, leg);
	uint32_t had = leg->credit;

	want = want < most ? want : most;
	want = want < had ? had : want;
	if (want > share) {
		want = share;
		shard->counters.window_limited++;
	}
	leg->credit = (uint32_t)want;
	chunk_shares_account(shard, leg);
	shard->counters.window_grown += leg->credit > had;
}

void window_consumed(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us)
{
	uint32_t rtt = round_trip(leg), took = (uint32_t)now_us - leg->round_us;

	if (took >= rtt) {
		uint64_t bytes = (uint64_t)((uint32_t)leg->consumed - leg->round_consumed) * rtt / took;
		uint64_t more = bytes > leg->round_bytes ? bytes - leg->round_bytes : 0;
		leg->round_us = (uint32_t)now_us;
		leg->round_consumed = (uint32_t)leg->consumed;
		leg->round_bytes = (uint32_t)bytes;
		window_set(shard, leg, 2 * bytes + 8 * more);
	}
	window_account(shard, leg);
}

void window_rest(struct tcp_shard *shard, struct tcp_leg *leg)
{
	leg->credit = shard->config.receive_credit;
	leg->round_bytes = 0;
	chunk_shares_account(shard, leg);
	window_account(shard, leg);
}

/* -- out -- */

void window_grant(struct tcp_shard *shard, struct tcp_leg *leg)
{
	const struct tcp_config *config = &shard->config;
	struct tcp_flow *flow = leg_flow(leg);
	uint64_t slabs = 2ull * leg->cwnd / config->slab_bytes + 1;

	if (slabs < config->send_credit)
		slabs = config->send_credit;
	if (slabs > config->send_slabs_max)
		slabs = config->send_slabs_max;
	if ((slabs <= leg->slabs_told + leg->slabs_told / 4 && slabs >= leg->slabs_told / 2) ||
	    !(flow->flags & FLOW_HAS_WORKER))
		return;
	/* No room in the channel: the next output asks again. */
	if (!shard->hooks.worker_credit(
	        shard->hooks.worker_context, flow->worker, flow_id(shard, flow), leg->id, (uint32_t)slabs))
		return;
	shard->counters.send_grown += slabs > leg->slabs_told;
	leg->slabs_told = (uint32_t)slabs;
	if (leg->slabs_told > leg->slabs_most)
		leg->slabs_most = leg->slabs_told;
}
