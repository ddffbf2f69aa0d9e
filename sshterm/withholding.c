/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rule withholds of the data of a channel (channels.h), accounted by windows.h, in the order of
 * withheld.h.
 */
#include <stdlib.h>

#include "sshterm/channels_inside.h"

#define CHANNEL_PIECE_MAX 32000 /* every peer takes a payload of 32768 (RFC 4253 section 6.1) */

static struct channel_judgement ask(
    struct channels *table, struct channel *channel, channel_leg from, uint32_t code, struct wire_span fresh)
{
	if (channel->program == NULL)
		return (struct channel_judgement){CHANNEL_HOLD};
	return table->ops->program_judge(
	    table->context, channel->program, from, code, fresh, channel->withheld[OTHER(from)].ends);
}

static bool replace_held(struct window *window, struct withheld *queue, uint32_t bytes, struct wire_span by)
{
	if (by.len > WITHHELD_MAX)
		return false;
	window_replace(window, bytes, (uint32_t)by.len);
	return withheld_replace(queue, bytes, by);
}

/* Does what the judge says, until it says nothing more. False: more is withheld than may be. */
static bool follow(
    struct channels *table, struct channel *channel, channel_leg from, struct channel_judgement judgement)
{
	struct window *window = &channel->window[OTHER(from)];
	struct withheld *queue = &channel->withheld[OTHER(from)];

	while (judgement.ruling != CHANNEL_HOLD && judgement.bytes > 0 && window->held > 0) {
		uint32_t bytes = judgement.bytes < window->held ? judgement.bytes : window->held;

		if (judgement.ruling == CHANNEL_REPLACE) {
			if (!replace_held(window, queue, bytes, judgement.instead))
				return false;
		} else {
			window_pass(window, bytes);
			if (!withheld_pass(queue, bytes))
				return false;
		}
		judgement = ask(table, channel, from, 0, (struct wire_span){0});
	}
	/* What nobody will let pass any more does not. */
	if (window->held > 0 && (queue->ends || channel->program == NULL))
		return replace_held(window, queue, window->held, (struct wire_span){0});
	return window->held <= WINDOW_LENT_MAX;
}

enum channels_verdict channel_judged_data(
    struct channels *table, struct channel *channel, channel_leg from, uint32_t code, struct wire_span bytes)
{
	struct window *window = &channel->window[OTHER(from)];
	struct withheld *queue = &channel->withheld[OTHER(from)];
	uint32_t len = (uint32_t)bytes.len;

	if (channel->closing[OTHER(from)])
		return CHANNELS_STAY; /* it takes nothing more, least of all what nobody has judged */
	window_take(window, len);
	struct channel_judgement judgement = ask(table, channel, from, code, bytes);
	if (queue->first == NULL && judgement.ruling == CHANNEL_LET_PASS && judgement.bytes >= len) {
		window_pass(window, len);
		if (window_outgo(window) == len) {
			window_sent(window, len);
			table->ops->program_data(table->context, channel->program, from, code, bytes);
			return CHANNELS_PASS;
		}
		if (withheld_put(queue, WITHHELD_DATA, code, bytes.at, len))
			return CHANNELS_STAY;
	} else if (withheld_put(queue, WITHHELD_UNDECIDED, code, bytes.at, len) &&
	           follow(table, channel, from, judgement)) {
		return CHANNELS_STAY;
	}
	return channels_violate(table, "more was withheld on a channel than can be");
}

/* One message of data that waited. False: no memory. */
static bool send_piece(struct channels *table, struct channel *channel, channel_leg to, uint32_t bytes)
{
	struct withheld *queue = &channel->withheld[to];
	const struct withheld_entry *entry = queue->first;
	struct wire_span data = {entry->bytes + entry->gone, bytes};
	uint8_t *payload = malloc(13 + bytes);

	if (payload == NULL)
		return false;
	struct wire_out out = wire_into(payload, 13 + bytes);
	wire_put_u8(&out, entry->code == 0 ? CONN_DATA : CONN_EXTENDED_DATA);
	wire_put_u32(&out, channel->number[to]);
	if (entry->code != 0)
		wire_put_u32(&out, entry->code);
	wire_put_string(&out, data.at, data.len);
	/* Its program may have been refused since. */
	if (channel->program == NULL && channel->session)
		channel_start_session(table, channel, "session", (struct wire_span){0});
	if (entry->kind == WITHHELD_DATA && channel->program != NULL)
		table->ops->program_data(table->context, channel->program, OTHER(to), entry->code, data);
	table->ops->answer(table->context, to, payload, wire_written(&out));
	free(payload);
	window_sent(&channel->window[to], bytes);
	withheld_took(queue, bytes);
	return true;
}

/* A message that waited is looked at, and goes on. */
static bool send_message(struct channels *table, struct channel *channel, channel_leg to)
{
	struct withheld_entry *entry = withheld_take(&channel->withheld[to]);
	enum channels_verdict verdict = channels_look(table, OTHER(to), entry->bytes, entry->len);

	if (verdict == CHANNELS_PASS)
		table->ops->answer(table->context, to, entry->bytes, entry->len);
	free(entry->bytes);
	free(entry);
	return verdict != CHANNELS_VIOLATION;
}

/* What waits for `to` goes there as far as it may, and the sender is paid. False: the session is to end. */
static bool go_on(struct channels *table, struct channel *channel, channel_leg to)
{
	struct withheld *queue = &channel->withheld[to];
	channel_leg sender = OTHER(to);

	while (queue->first != NULL && queue->first->kind != WITHHELD_UNDECIDED) {
		const struct withheld_entry *entry = queue->first;
		uint32_t bytes = window_outgo(&channel->window[to]), left = entry->len - entry->gone;

		if (entry->kind == WITHHELD_MESSAGE) {
			if (!send_message(table, channel, to))
				return false;
			continue;
		}
		bytes = bytes < left ? bytes : left;
		if (bytes > channel->packet_max[to])
			bytes = channel->packet_max[to];
		if (bytes > CHANNEL_PIECE_MAX)
			bytes = CHANNEL_PIECE_MAX;
		if (bytes == 0)
			break;
		if (!send_piece(table, channel, to, bytes)) {
			(void)channels_violate(table, "out of memory");
			return false;
		}
	}
	if (queue->ends || channel->eof_sent[sender] || channel->closing[sender] || channel->closing[to])
		return true;
	uint32_t paid = window_give(&channel->window[to]);
	if (paid > 0)
		channel_adjust(table, channel, sender, paid);
	return true;
}

/* `from` says something behind what is withheld of it. */
static bool wait_in_turn(
    struct channels *table, struct channel *channel, channel_leg from, const uint8_t *payload, size_t len)
{
	struct withheld *queue = &channel->withheld[OTHER(from)];

	queue->ends |= payload[0] != CONN_REQUEST;
	if (withheld_put(queue, WITHHELD_MESSAGE, 0, payload, len) &&
	    (!queue->ends ||
	        follow(table, channel, from, ask(table, channel, from, 0, (struct wire_span){0}))))
		return true;
	(void)channels_violate(table, "more was withheld on a channel than can be");
	return false;
}

/* One that says CLOSE takes no more data. */
static bool stop_withholding(struct channels *table, struct channel *channel, channel_leg from)
{
	channel->closing[from] = true;
	channel->window[from].held = channel->window[from].pending = 0;
	withheld_drop_data(&channel->withheld[from]);
	return go_on(table, channel, from);
}

enum channels_verdict channels_look_withholding(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len)
{
	struct wire body = wire_over(payload, len);
	uint8_t type = wire_u8(&body);
	bool early, orderly = type == CONN_EOF || type == CONN_CLOSE || type == CONN_REQUEST;
	enum channels_verdict verdict = CHANNELS_STAY;

	if (type < CONN_WINDOW_ADJUST || type > CONN_FAILURE)
		return channels_look(table, from, payload, len);
	struct channel *channel = channel_spoken_of(table, from, wire_u32(&body), &early);
	if (body.failed || early || channel == NULL)
		return channels_look(table, from, payload, len);
	if (type == CONN_CLOSE && !stop_withholding(table, channel, from))
		return CHANNELS_VIOLATION;
	if (orderly && channel->withheld[OTHER(from)].first != NULL) {
		if (!wait_in_turn(table, channel, from, payload, len))
			return CHANNELS_VIOLATION;
	} else {
		verdict = channels_look(table, from, payload, len);
		if (type == CONN_CLOSE || verdict == CHANNELS_VIOLATION)
			return verdict; /* the channel may be gone */
	}
	/* A program that was refused decides nothing any more. */
	for (channel_leg leg = 0; leg < 2 && channel->program == NULL; leg++)
		(void)follow(table, channel, leg, (struct channel_judgement){CHANNEL_HOLD});
	/* Towards the origin first: what starts there may free what was reserved at the client. */
	return go_on(table, channel, ORIGIN) && go_on(table, channel, CLIENT) ? verdict : CHANNELS_VIOLATION;
}
