/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/agent_channel.h"

#include <stdlib.h>
#include <string.h>

#include "sshterm/refusals.h"

#define OUR_WINDOW AGENT_ANSWER_MAX
#define OUR_PACKET 32768u
#define PIECE_MAX 4096u
#define HEADER_MAX 64

void agent_channel_open(struct agent_channel *channel, uint32_t number,
    void (*send)(void *context, const uint8_t *payload, size_t len), void *context)
{
	uint8_t payload[HEADER_MAX];
	struct wire_out out = wire_into(payload, sizeof(payload));

	*channel = (struct agent_channel){
	    .state = AGENT_CHANNEL_OPENING, .number = number, .send = send, .context = context};
	wire_put_u8(&out, CONN_OPEN);
	wire_put_cstring(&out, "auth-agent@openssh.com");
	wire_put_u32(&out, number);
	wire_put_u32(&out, OUR_WINDOW);
	wire_put_u32(&out, OUR_PACKET);
	send(context, payload, wire_written(&out));
}

bool agent_channel_is_for(const struct agent_channel *channel, const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);
	uint8_t type = wire_u8(&in);
	uint32_t number = wire_u32(&in);

	return channel->state != AGENT_CHANNEL_NONE && channel->state != AGENT_CHANNEL_OVER && !in.failed &&
	       type >= CONN_OPEN_CONFIRMATION && type <= CONN_FAILURE && number == channel->number;
}

/* -- sending -- */

static void send_about_channel(struct agent_channel *channel, uint8_t type, const uint32_t *value)
{
	uint8_t payload[HEADER_MAX];
	struct wire_out out = wire_into(payload, sizeof(payload));

	wire_put_u8(&out, type);
	wire_put_u32(&out, channel->peer);
	if (value != NULL)
		wire_put_u32(&out, *value);
	channel->send(channel->context, payload, wire_written(&out));
}

static void drop_request(struct agent_channel *channel)
{
	free(channel->request);
	channel->request = NULL;
	channel->len = channel->sent = 0;
}

/* As much of the request as the client's window takes. */
static void send_request(struct agent_channel *channel)
{
	uint8_t payload[PIECE_MAX + HEADER_MAX];

	while (channel->request != NULL && channel->window > 0 && channel->packet_max > 0) {
		size_t piece = channel->len - channel->sent;
		struct wire_out out = wire_into(payload, sizeof(payload));

		if (piece > PIECE_MAX)
			piece = PIECE_MAX;
		if (piece > channel->window)
			piece = channel->window;
		if (piece > channel->packet_max)
			piece = channel->packet_max;
		wire_put_u8(&out, CONN_DATA);
		wire_put_u32(&out, channel->peer);
		wire_put_string(&out, channel->request + channel->sent, piece);
		channel->window -= (uint32_t)piece;
		channel->sent += piece;
		if (channel->sent == channel->len)
			drop_request(channel);
		channel->send(channel->context, payload, wire_written(&out));
	}
}

void agent_channel_ask(struct agent_channel *channel, uint8_t *request, size_t len)
{
	drop_request(channel);
	agent_answer_clear(&channel->answer);
	channel->request = request;
	channel->len = len;
	channel->asked = true;
	send_request(channel);
}

void agent_channel_close(struct agent_channel *channel)
{
	drop_request(channel);
	agent_answer_clear(&channel->answer);
	channel->asked = false;
	if (channel->state != AGENT_CHANNEL_OPEN)
		return;
	channel->state = AGENT_CHANNEL_CLOSING;
	send_about_channel(channel, CONN_CLOSE, NULL);
}

void agent_channel_free(struct agent_channel *channel)
{
	drop_request(channel);
	agent_answer_clear(&channel->answer);
	channel->state = AGENT_CHANNEL_OVER;
}

/* -- receiving -- */

static enum agent_channel_event take_confirmation(struct agent_channel *channel, struct wire body)
{
	if (channel->state != AGENT_CHANNEL_OPENING)
		return AGENT_CHANNEL_MALFORMED;
	channel->peer = wire_u32(&body);
	channel->window = wire_u32(&body);
	channel->packet_max = wire_u32(&body);
	if (body.failed || channel->packet_max == 0)
		return AGENT_CHANNEL_MALFORMED;
	channel->state = AGENT_CHANNEL_OPEN;
	return AGENT_CHANNEL_OPENED;
}

static enum agent_channel_event take_data(struct agent_channel *channel, struct wire body)
{
	struct wire_span piece = wire_string(&body);

	if (!wire_done(&body))
		return AGENT_CHANNEL_MALFORMED;
	if (piece.len == 0)
		return AGENT_CHANNEL_NOTHING;
	/* An agent speaks when it was spoken to, and has heard the whole question. */
	if (!channel->asked || channel->request != NULL)
		return AGENT_CHANNEL_MALFORMED;
	switch (agent_gather(&channel->answer, piece)) {
	case AGENT_MORE:
		return AGENT_CHANNEL_NOTHING;
	case AGENT_WHOLE:
		break;
	case AGENT_MALFORMED:
		return AGENT_CHANNEL_MALFORMED;
	}
	uint32_t used = (uint32_t)channel->answer.len;
	channel->asked = false;
	send_about_channel(channel, CONN_WINDOW_ADJUST, &used);
	return AGENT_CHANNEL_ANSWERED;
}

static enum agent_channel_event take_adjustment(struct agent_channel *channel, struct wire body)
{
	uint32_t more = wire_u32(&body);

	if (body.failed)
		return AGENT_CHANNEL_MALFORMED;
	channel->window = more > UINT32_MAX - channel->window ? UINT32_MAX : channel->window + more;
	send_request(channel);
	return AGENT_CHANNEL_NOTHING;
}

static enum agent_channel_event take_close(struct agent_channel *channel)
{
	bool ours_sent = channel->state == AGENT_CHANNEL_CLOSING;

	agent_channel_close(channel);
	channel->state = AGENT_CHANNEL_OVER;
	return ours_sent ? AGENT_CHANNEL_NOTHING : AGENT_CHANNEL_GONE;
}

/* Nobody has anything to request here. */
static enum agent_channel_event take_request(struct agent_channel *channel, struct wire body)
{
	(void)wire_string(&body);
	if (wire_u8(&body) != 0)
		send_about_channel(channel, CONN_FAILURE, NULL);
	return body.failed ? AGENT_CHANNEL_MALFORMED : AGENT_CHANNEL_NOTHING;
}

enum agent_channel_event agent_channel_packet(
    struct agent_channel *channel, const uint8_t *payload, size_t len)
{
	struct wire body = wire_over(payload, len);
	uint8_t type = wire_u8(&body);

	(void)wire_u32(&body); /* our number */
	if (type == CONN_OPEN_CONFIRMATION)
		return take_confirmation(channel, body);
	if (channel->state == AGENT_CHANNEL_OPENING) {
		channel->state = AGENT_CHANNEL_OVER;
		return type == CONN_OPEN_FAILURE ? AGENT_CHANNEL_REFUSED : AGENT_CHANNEL_MALFORMED;
	}
	if (type == CONN_CLOSE)
		return take_close(channel);
	if (channel->state == AGENT_CHANNEL_CLOSING)
		return AGENT_CHANNEL_NOTHING;
	switch (type) {
	case CONN_DATA:
		return take_data(channel, body);
	case CONN_WINDOW_ADJUST:
		return take_adjustment(channel, body);
	case CONN_EOF:
		return AGENT_CHANNEL_GONE;
	case CONN_REQUEST:
		return take_request(channel, body);
	default:
		return AGENT_CHANNEL_NOTHING;
	}
}
