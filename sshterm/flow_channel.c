/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/flow_channel.h"

#include <errno.h>
#include <string.h>

#include "sshterm/sessions.h"
#include "sshterm/vsock.h"
#include "sshterm/worker.h"

/* Descriptors taken in one turn: enough for a burst, few enough that a flood on one lcore does not starve
 * the sessions of another. */
#define TURN_BURST 256

bool flow_channel_say(struct flow_channel *channel, uint64_t flow, uint16_t type, uint32_t leg, uint64_t arg)
{
	struct slab_desc desc = {.slab = SLAB_NONE, .type = type, .aux = leg, .flow = flow, .arg = arg};

	return channel->out != NULL && slab_put(channel->out, &desc);
}

static void take_open(struct flow_channel *channel, const struct slab_desc *desc, const uint8_t *bytes)
{
	struct slab_flow flow;

	if (bytes == NULL || desc->len < sizeof(flow))
		return;
	memcpy(&flow, bytes, sizeof(flow));
	if (session_open(channel, desc->flow, &flow) == NULL) {
		channel->worker->counters.refused++;
		(void)flow_channel_say(channel, desc->flow, SLAB_LEG_RESET, SLAB_LEG_BOTH, 0);
	}
}

static void take_data(
    struct flow_channel *channel, struct session *session, const struct slab_desc *desc, const uint8_t *bytes)
{
	if (desc->aux <= SLAB_LEG_ORIGIN && bytes != NULL && desc->len > 0) {
		if (vsock_deliver(session->sock[desc->aux], desc->slab, bytes, desc->len))
			return;
		/* A hole in the stream: nothing after it may be believed. */
		if (!vsock_is_reset(session->sock[desc->aux])) {
			rpc_log(RPC_LOG_WARNING,
			    "session %s: lcore %u sent more than its credit, session ended",
			    session->session_id, channel->lcore);
			session_lose(session, "error");
		}
	}
	if (bytes != NULL)
		slab_return(channel->in, desc->slab, 0);
}

static void take_signal(struct session *session, const struct slab_desc *desc)
{
	switch (desc->type) {
	case SLAB_FLOW_FIN:
		if (desc->aux <= SLAB_LEG_ORIGIN)
			vsock_peer_fin(session->sock[desc->aux]);
		break;
	case SLAB_FLOW_RESET:
		if (!vsock_is_reset(session->sock[LEG_CLIENT]))
			session->reset_by = desc->aux == SLAB_LEG_ORIGIN ? LEG_ORIGIN : LEG_CLIENT;
		vsock_peer_reset(session->sock[LEG_CLIENT], (int)(desc->arg & 0xfff));
		vsock_peer_reset(session->sock[LEG_ORIGIN], (int)(desc->arg & 0xfff));
		break;
	case SLAB_FLOW_CREDIT:
		if (desc->aux <= SLAB_LEG_ORIGIN)
			vsock_credit(session->sock[desc->aux],
			    desc->arg < SLAB_COUNT_MAX ? (uint32_t)desc->arg : SLAB_COUNT_MAX);
		break;
	case SLAB_FLOW_GONE:
		session_gone(session);
		break;
	}
}

static void take(struct flow_channel *channel, const struct slab_desc *desc, const uint8_t *bytes)
{
	struct session *session = session_find(channel->worker, channel->lcore, desc->flow);

	if (desc->type == SLAB_FLOW_OPEN && session == NULL) {
		take_open(channel, desc, bytes);
	} else if (session == NULL) {
		channel->strays += desc->type != SLAB_FLOW_GONE;
	} else if (desc->type == SLAB_FLOW_DATA) {
		take_data(channel, session, desc, bytes);
		return;
	} else {
		take_signal(session, desc);
	}
	if (bytes != NULL)
		slab_return(channel->in, desc->slab, 0);
}

static bool reclaim(struct flow_channel *channel)
{
	struct slab_desc desc;
	uint64_t status;
	bool any = false;

	while (slab_reclaim(channel->out, &desc, &status, false)) {
		struct session *session = session_find(channel->worker, channel->lcore, desc.flow);
		any = true;
		if (session != NULL && desc.aux <= SLAB_LEG_ORIGIN)
			vsock_returned(session->sock[desc.aux], desc.len);
	}
	if (any)
		vsock_feed_starving(&channel->starving);
	return any;
}

bool flow_channel_poll(struct flow_channel *channel)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	bool any = false;

	if (channel->in == NULL || channel->out == NULL)
		return false;
	any = reclaim(channel);
	for (int i = 0; i < TURN_BURST && slab_get(channel->in, &desc, &bytes); i++) {
		take(channel, &desc, bytes);
		any = true;
	}
	return any;
}

void flow_channel_dirty(struct flow_channel *channel, struct vsock *sock)
{
	vsock_dirty_next(sock, channel->dirty);
	channel->dirty = sock;
}

void flow_channel_settle(struct flow_channel *channel)
{
	struct vsock *sock = channel->dirty;
	struct vsock *kept = NULL;

	if (channel->in == NULL || channel->out == NULL)
		return;
	while (sock != NULL) {
		struct vsock *next = vsock_dirty_next(sock, NULL);
		if (!vsock_settle(sock)) {
			vsock_dirty_next(sock, kept);
			kept = sock;
		}
		sock = next;
	}
	channel->dirty = kept;
	channel->full = kept != NULL;
	slab_publish(channel->out);
	slab_consumer_publish(channel->in);
}

/* Each ACK of a peer brings slabs back. Where nobody waits for them they lie until the next turn: to be rung
 * for each would be a third of the bells of a login. */
static unsigned waits(const struct flow_channel *channel)
{
	bool slabs = channel->returns_awaited > 0 || channel->starving != NULL;

	return (slabs ? SLAB_WAIT_SLABS : 0u) | (channel->full ? SLAB_WAIT_ROOM : 0u);
}

void flow_channel_asleep(struct flow_channel *channel, bool asleep)
{
	if (channel->in != NULL)
		slab_consumer_asleep(channel->in, asleep);
	if (channel->out != NULL)
		slab_producer_asleep(channel->out, asleep ? waits(channel) : 0u);
}

bool flow_channel_ready(const struct flow_channel *channel)
{
	return channel->in != NULL && channel->out != NULL &&
	       ((channel->dirty != NULL && !channel->full) || slab_consumer_ready(channel->in) ||
	           (waits(channel) != 0 && slab_producer_ready(channel->out)));
}

bool flow_channel_corrupt(const struct flow_channel *channel)
{
	return (channel->in != NULL && slab_consumer_corrupt(channel->in)) ||
	       (channel->out != NULL && slab_producer_corrupt(channel->out));
}

void flow_channel_drop(struct flow_channel *channel, const char *reason)
{
	if (channel->in == NULL && channel->out == NULL)
		return;
	sessions_lose_lcore(channel->worker, channel->lcore, reason);
	slab_consumer_close(channel->in);
	slab_producer_close(channel->out);
	channel->in = NULL;
	channel->out = NULL;
	channel->dirty = NULL;
	channel->full = false;
	channel->starving = NULL;
}
