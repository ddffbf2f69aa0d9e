/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker and the legs need of bridge and recording, for tests that are about neither. */
#include <stdlib.h>
#include <string.h>

#include "sshterm/session.h"
#include "sshterm/session_log.h"

struct record_channel {
	struct slab_producer *end;
};

const char *bridge_run(struct session *session)
{
	while (session->kill_reason[0] == '\0' && !vsock_is_reset(session->sock[LEG_CLIENT]) &&
	       !vsock_at_eof(session->sock[LEG_CLIENT])) {
		const uint8_t *at;
		uint32_t len = vsock_peek(session->sock[LEG_CLIENT], &at);
		vsock_consume(session->sock[LEG_CLIENT], len);
		session_wait(session, UINT64_MAX);
	}
	return "closed";
}

int bridge_prepare(struct session *session, enum leg leg)
{
	(void)session;
	(void)leg;
	return 0;
}

int bridge_login_first(struct session *session, const struct bridge_login *hooks,
    const struct agent_login_facts *facts, void *context)
{
	(void)session;
	(void)hooks;
	(void)facts;
	(void)context;
	return 0;
}

void bridge_free(struct session *session)
{
	(void)session;
}

struct record_channel *record_channel_create(struct worker *worker)
{
	(void)worker;
	return calloc(1, sizeof(struct record_channel));
}

void record_channel_destroy(struct record_channel *channel)
{
	if (channel != NULL)
		slab_producer_close(channel->end);
	free(channel);
}

void record_channel_attach(struct record_channel *channel, struct slab_producer *end)
{
	channel->end = end;
}

void record_channel_detach(struct record_channel *channel)
{
	slab_producer_close(channel->end);
	channel->end = NULL;
}

bool record_channel_up(const struct record_channel *channel)
{
	return channel->end != NULL;
}

bool record_channel_poll(struct record_channel *channel, uint64_t now_us)
{
	(void)channel;
	(void)now_us;
	return false;
}

uint64_t record_channel_deadline(const struct record_channel *channel)
{
	(void)channel;
	return UINT64_MAX;
}

void record_channel_asleep(struct record_channel *channel, bool asleep)
{
	(void)channel;
	(void)asleep;
}

bool record_channel_ready(const struct record_channel *channel)
{
	(void)channel;
	return false;
}

bool record_channel_settled(const struct record_channel *channel)
{
	(void)channel;
	return true;
}

size_t record_channel_stats(const struct record_channel *channel, char *text, size_t size)
{
	(void)channel;
	(void)text;
	(void)size;
	return 0;
}

void session_log_text(char *out, size_t size, const uint8_t *text, size_t len)
{
	size_t used = len < size ? len : size - 1;

	memcpy(out, text, used);
	out[used] = '\0';
}
