/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "sshterm/channels_inside.h"

#define EXTENDED_STDERR 1 /* RFC 4254 section 5.2 */

enum notice_state { NOTICE_NONE = 0, NOTICE_RESERVED, NOTICE_TELLING };

/* -- the table -- */

/* Numbers are chosen by peers; the count is bounded, so that a chain is too. */
static struct channel **bucket(struct channels *table, channel_leg leg, uint32_t number)
{
	return &table->by_number[leg][(number * 0x9e3779b1u) >> 27];
}
_Static_assert(CHANNELS_BUCKETS == 32, "bucket() takes the top five bits");

static struct channel *find(struct channels *table, channel_leg leg, uint32_t number)
{
	struct channel *channel = *bucket(table, leg, number);

	while (channel != NULL && channel->number[leg] != number)
		channel = channel->next[leg];
	return channel;
}

struct channel *channel_spoken_of(struct channels *table, channel_leg from, uint32_t number, bool *early)
{
	struct channel *channel = find(table, OTHER(from), number);

	*early = channel != NULL && !channel->confirmed;
	return channel;
}

static void link_number(struct channels *table, struct channel *channel, channel_leg leg, uint32_t number)
{
	struct channel **head = bucket(table, leg, number);

	channel->number[leg] = number;
	channel->next[leg] = *head;
	*head = channel;
}

static void unlink_number(struct channels *table, struct channel *channel, channel_leg leg)
{
	struct channel **at = bucket(table, leg, channel->number[leg]);

	while (*at != NULL && *at != channel)
		at = &(*at)->next[leg];
	if (*at != NULL)
		*at = channel->next[leg];
}

static void end_program(struct channels *table, struct channel *channel, const char *reason)
{
	if (channel->program != NULL)
		table->ops->program_end(table->context, channel->program, reason);
	channel->program = NULL;
}

static void drop(struct channels *table, struct channel *channel, const char *reason)
{
	end_program(table, channel, reason);
	unlink_number(table, channel, channel->opener);
	if (channel->confirmed)
		unlink_number(table, channel, OTHER(channel->opener));
	replies_free(&channel->replies[0]);
	replies_free(&channel->replies[1]);
	withheld_clear(&channel->withheld[0]);
	withheld_clear(&channel->withheld[1]);
	free(channel->pty);
	free(channel);
	table->count--;
}

void channels_init(struct channels *table, uint32_t permits, const struct channel_ops *ops, void *context)
{
	*table = (struct channels){.ops = ops, .context = context, .rules.permits = permits};
}

void channels_answer_agent_requests(struct channels *table)
{
	table->agent_is_ours = true;
}

/* An answer that waits for its turn. */
struct channels_proofs {
	struct channels_proofs *next;
	uint8_t *payload;
	size_t len;
};

static void drop_proofs(struct channels *table)
{
	struct channels_proofs *first = table->proofs;

	table->proofs = first->next;
	free(first->payload);
	free(first);
}

static void forget_rewritten(struct channels *table)
{
	free(table->rewritten);
	table->rewritten = NULL;
}

void channels_end(struct channels *table, const char *reason)
{
	for (channel_leg leg = 0; leg < 2; leg++) {
		for (size_t i = 0; i < CHANNELS_BUCKETS; i++) {
			while (table->by_number[leg][i] != NULL)
				drop(table, table->by_number[leg][i], reason);
		}
		replies_free(&table->global[leg]);
	}
	while (table->proofs != NULL)
		drop_proofs(table);
	listening_free(&table->listening);
	forget_rewritten(table);
}

void channels_set_forwards(struct channels *table, struct wire_span forwards)
{
	table->rules.forwards = forwards;
}

void channels_set_notice(struct channels *table, struct wire_span notice)
{
	table->notice = notice.len <= CHANNEL_NOTICE_MAX ? notice : (struct wire_span){0};
}

enum channels_verdict channels_violate(struct channels *table, const char *what)
{
	table->violation = what;
	return CHANNELS_VIOLATION;
}

/* -- windows and the notice -- */

/* A copy of the packet with another uint32 at `offset`; of one rewritten before, with that one, too. */
static enum channels_verdict rewrite(
    struct channels *table, const uint8_t *payload, size_t len, size_t offset, uint32_t value)
{
	if (table->rewritten == NULL) {
		table->rewritten = malloc(len);
		if (table->rewritten == NULL)
			return channels_violate(table, "out of memory");
		memcpy(table->rewritten, payload, len);
		table->rewritten_len = len;
	}
	struct wire_out out = wire_into(table->rewritten + offset, sizeof(value));
	wire_put_u32(&out, value);
	return CHANNELS_REWRITTEN;
}

void channel_adjust(struct channels *table, const struct channel *channel, channel_leg to, uint32_t bytes)
{
	uint8_t payload[9];
	struct wire_out out = wire_into(payload, sizeof(payload));

	wire_put_u8(&out, CONN_WINDOW_ADJUST);
	wire_put_u32(&out, channel->number[to]);
	wire_put_u32(&out, bytes);
	table->ops->answer(table->context, to, payload, wire_written(&out));
}

/* Nothing is to be told (any more): the origin gets what was reserved, where it can still use it. */
static void forget_notice(struct channels *table, struct channel *channel)
{
	if (channel->notice == NOTICE_NONE)
		return;
	channel->notice = NOTICE_NONE;
	uint32_t bytes = window_release(&channel->window[CLIENT]);
	if (bytes == 0 || channel->eof_sent[ORIGIN] || channel->close_sent[ORIGIN] ||
	    channel->close_sent[CLIENT])
		return;
	channel_adjust(table, channel, ORIGIN, bytes);
}

/* As much of the notice as the client's window takes. */
static void tell_notice(struct channels *table, struct channel *channel)
{
	uint8_t payload[13 + CHANNEL_NOTICE_MAX];

	while (channel->notice == NOTICE_TELLING) {
		uint32_t left = (uint32_t)table->notice.len - channel->notice_told;
		uint32_t piece = window_room(&channel->window[CLIENT]);
		struct wire_out out = wire_into(payload, sizeof(payload));

		if (piece > channel->packet_max[CLIENT])
			piece = channel->packet_max[CLIENT];
		if (piece == 0)
			return;
		wire_put_u8(&out, CONN_EXTENDED_DATA);
		wire_put_u32(&out, channel->number[CLIENT]);
		wire_put_u32(&out, EXTENDED_STDERR);
		wire_put_string(&out, table->notice.at + channel->notice_told, piece);
		window_insert(&channel->window[CLIENT], piece);
		channel->notice_told = (uint16_t)(channel->notice_told + piece);
		if (piece == left)
			channel->notice = NOTICE_NONE;
		table->ops->answer(table->context, CLIENT, payload, wire_written(&out));
		if (channel->notice == NOTICE_NONE && channel->program != NULL &&
		    table->ops->program_noticed != NULL)
			table->ops->program_noticed(table->context, channel->program, table->notice);
	}
}

/* A shell begins to run, or does not. */
static void begin_notice(struct channels *table, struct channel *channel, bool runs)
{
	if (channel->notice != NOTICE_RESERVED)
		return;
	if (!runs || channel->pty == NULL) {
		forget_notice(table, channel);
		return;
	}
	channel->notice = NOTICE_TELLING;
	tell_notice(table, channel);
}

static enum channels_verdict window_adjust(
    struct channels *table, channel_leg from, const uint8_t *payload, struct wire body)
{
	bool early;
	struct channel *channel = channel_spoken_of(table, from, wire_u32(&body), &early);
	size_t offset = (size_t)(body.at - payload);
	uint32_t bytes = wire_u32(&body);

	if (body.failed || early)
		return channels_violate(table, "malformed window adjustment");
	if (channel == NULL)
		return CHANNELS_PASS;
	uint32_t given = window_grant(&channel->window[from], bytes);
	if (from == CLIENT)
		tell_notice(table, channel);
	if (given == bytes)
		return CHANNELS_PASS;
	return given == 0 ? CHANNELS_STAY : rewrite(table, payload, offset + sizeof(given), offset, given);
}

/* -- refusals and replies -- */

/* The box's answers whose turn has come. */
static void answer_global(struct channels *table, channel_leg to)
{
	uint8_t payload[REFUSAL_MAX];
	enum reply_kind kind;

	while (replies_pop_own(&table->global[to], &kind)) {
		if (kind == REPLY_OURS_PROOFS) {
			table->ops->answer(table->context, to, table->proofs->payload, table->proofs->len);
			drop_proofs(table);
		} else {
			table->ops->answer(table->context, to, payload, refuse_global_request(payload));
		}
	}
}

/* The same of a channel. */
static void answer_requests(struct channels *table, struct channel *channel, channel_leg to)
{
	uint8_t payload[REFUSAL_MAX];
	enum reply_kind kind;

	while (replies_pop_own(&channel->replies[to], &kind)) {
		size_t len = refuse_request(payload, channel->number[to]);

		if (kind == REPLY_OURS_GRANTED)
			payload[0] = CONN_SUCCESS;
		table->ops->answer(table->context, to, payload, len);
	}
}

/* Notes one request in `replies`; one of ours at the head is answered at once. False: too many. */
static bool refuse_in_turn(struct replies *replies)
{
	return replies_push(replies, REPLY_OURS);
}

static enum channels_verdict refuse_global(
    struct channels *table, channel_leg from, struct wire_span name, bool want_reply, const char *text)
{
	if (text != NULL)
		table->ops->refused(table->context, from, name, text);
	if (!want_reply)
		return CHANNELS_STAY;
	if (!refuse_in_turn(&table->global[from]))
		return channels_violate(table, "too many global requests without an answer");
	/* Ours is next only if nothing relayed waits before it. */
	answer_global(table, from);
	return CHANNELS_STAY;
}

static enum channels_verdict refuse_channel_request(struct channels *table, struct channel *channel,
    channel_leg from, struct wire_span name, bool want_reply, const char *text)
{
	table->ops->refused(table->context, from, name, text);
	if (!want_reply)
		return CHANNELS_STAY;
	if (!refuse_in_turn(&channel->replies[from]))
		return channels_violate(table, "too many channel requests without an answer");
	answer_requests(table, channel, from);
	return CHANNELS_STAY;
}

/* -- global requests (RFC 4254 section 4) -- */

/* Host keys are a matter between a peer and its own leg's other end (OpenSSH PROTOCOL section 2.5): the
 * origin's are not what its client meets. */
#define PROVE_HOST_KEYS "hostkeys-prove-00@openssh.com"
static bool is_hop_by_hop(struct wire_span name)
{
	return wire_span_is(name, "hostkeys-00@openssh.com") || wire_span_is(name, PROVE_HOST_KEYS);
}

/* Answered by the box, in its turn. */
static enum channels_verdict prove_host_keys(struct channels *table, struct wire_span name, struct wire body)
{
	struct channels_proofs *proofs = calloc(1, sizeof(*proofs)), **last = &table->proofs;

	if (proofs != NULL && table->ops->prove_host_keys != NULL)
		proofs->len = table->ops->prove_host_keys(
		    table->context, (struct wire_span){body.at, wire_left(&body)}, &proofs->payload);
	if (proofs == NULL || proofs->len == 0) {
		free(proofs);
		return refuse_global(table, CLIENT, name, true, NULL);
	}
	while (*last != NULL)
		last = &(*last)->next;
	*last = proofs;
	if (!replies_push(&table->global[CLIENT], REPLY_OURS_PROOFS))
		return channels_violate(table, "too many global requests without an answer");
	answer_global(table, CLIENT);
	return CHANNELS_STAY;
}

/* tcpip-forward and its kin (RFC 4254 section 7.1, OpenSSH's PROTOCOL section 2.4). False: another request.
 */
static bool read_forward(struct wire_span name, struct wire body, struct listening_request *request)
{
	*request = (struct listening_request){0};
	request->cancel = wire_span_is(name, "cancel-tcpip-forward") ||
	                  wire_span_is(name, "cancel-streamlocal-forward@openssh.com");
	request->path = wire_span_is(name, "streamlocal-forward@openssh.com") ||
	                wire_span_is(name, "cancel-streamlocal-forward@openssh.com");
	if (!request->cancel && !request->path && !wire_span_is(name, "tcpip-forward"))
		return false;
	request->place = wire_string(&body);
	if (!request->path)
		request->port = wire_u32(&body);
	return !body.failed;
}

static void tell_forward(struct channels *table, const struct listening_request *request)
{
	char place[CHANNEL_PLACE_MAX];

	if (request->cancel)
		return;
	if (request->path)
		facts_print_path(place, request->place);
	else
		facts_print_place(place, request->place, request->port);
	table->ops->forward_requested(
	    table->context, request->path ? "streamlocal-forward" : "tcpip-forward", place);
}

static enum channels_verdict global_request(struct channels *table, channel_leg from, struct wire body)
{
	struct wire_span name = wire_string(&body);
	bool want_reply = wire_u8(&body) != 0;
	struct listening_request request;
	char refusal[REFUSAL_TEXT_MAX];

	if (body.failed)
		return channels_violate(table, "malformed global request");
	if (from == CLIENT && want_reply && wire_span_is(name, PROVE_HOST_KEYS))
		return prove_host_keys(table, name, body);
	if (is_hop_by_hop(name))
		return refuse_global(table, from, name, want_reply, NULL);
	if (refusal_of_global_request(&table->rules, from, name, body, refusal))
		return refuse_global(table, from, name, want_reply, refusal);
	bool listens = from == CLIENT && read_forward(name, body, &request);
	request.waits = want_reply;
	if (listens && !listening_ask(&table->listening, &request))
		return refuse_global(table, from, name, want_reply, "too many forwardings");
	if (want_reply && !replies_push(&table->global[from], listens ? REPLY_LISTEN : REPLY_RELAYED))
		return channels_violate(table, "too many global requests without an answer");
	if (listens)
		tell_forward(table, &request);
	return CHANNELS_PASS;
}

static enum channels_verdict global_reply(
    struct channels *table, channel_leg from, struct wire body, bool success)
{
	channel_leg asker = OTHER(from);
	enum reply_kind kind;

	/* One that nobody asked for passes; it answers nothing here. */
	if (!replies_pop(&table->global[asker], &kind))
		return CHANNELS_PASS;
	if (kind == REPLY_LISTEN) /* the port follows where the listener chose it */
		listening_answer(&table->listening, success, wire_u32(&body));
	answer_global(table, asker);
	return CHANNELS_PASS;
}

/* -- opening (RFC 4254 section 5.1) -- */

struct opening {
	uint32_t window, packet_max;
	size_t window_offset; /* in the payload; the other follows */
};

/* Window and largest packet, as OPEN and CONFIRMATION have them. */
static struct opening read_opening(const uint8_t *payload, struct wire *body)
{
	struct opening opening = {.window_offset = (size_t)(body->at - payload)};

	opening.window = wire_u32(body);
	opening.packet_max = wire_u32(body);
	return opening;
}

/* What `leg` takes in one packet, as the other is to hear it. */
static enum channels_verdict limit_packets(struct channels *table, struct channel *channel, channel_leg leg,
    const uint8_t *payload, size_t len, const struct opening *opening)
{
	bool lower = opening->packet_max > CHANNEL_PACKET_MAX;

	channel->packet_max[leg] = lower ? CHANNEL_PACKET_MAX : opening->packet_max;
	return lower ? rewrite(table, payload, len, opening->window_offset + sizeof(opening->window),
	                   CHANNEL_PACKET_MAX)
	             : CHANNELS_PASS;
}

static void start_channel_program(
    struct channels *table, struct channel *channel, struct wire_span type, struct wire body)
{
	char destination[CHANNEL_PLACE_MAX], originator[CHANNEL_PLACE_MAX];

	facts_read_places(type, body, destination, originator);
	channel->program =
	    table->ops->program_start(table->context, &(struct channel_program){
	                                                  .type = channel->type,
	                                                  .content = !facts_is_forwarding(type),
	                                                  .destination = destination,
	                                                  .originator = originator,
	                                              });
}

static enum channels_verdict refuse_opening(
    struct channels *table, channel_leg from, uint32_t number, enum open_failure code, const char *text)
{
	uint8_t payload[REFUSAL_MAX];

	table->ops->answer(table->context, from, payload, refuse_open(payload, number, code, text));
	return CHANNELS_STAY;
}

/* The opener grants the first window; of a session channel's, the notice is held back. */
static enum channels_verdict take_opening(struct channels *table, struct channel *channel,
    const uint8_t *payload, size_t len, const struct opening *opening)
{
	channel_leg from = channel->opener;
	struct window *window = &channel->window[from];

	enum channels_verdict verdict = limit_packets(table, channel, from, payload, len, opening);
	if (from == CLIENT && channel->session && table->notice.len > 0 && opening->packet_max > 0) {
		channel->notice = NOTICE_RESERVED;
		window_reserve(window, (uint32_t)table->notice.len);
	}
	uint32_t given = window_grant(window, opening->window);
	if (given == opening->window || verdict == CHANNELS_VIOLATION)
		return verdict;
	return rewrite(table, payload, len, opening->window_offset, given);
}

static enum channels_verdict open_channel(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len, struct wire body)
{
	struct wire_span type = wire_string(&body);
	uint32_t number = wire_u32(&body);
	struct opening opening = read_opening(payload, &body);
	char refusal[REFUSAL_TEXT_MAX];

	if (body.failed)
		return channels_violate(table, "malformed channel open");
	if (find(table, from, number) != NULL)
		return channels_violate(table, "a channel number was used twice");
	if (refusal_of_open(&table->rules, &table->listening, from, type, body, refusal)) {
		table->ops->refused(table->context, from, type, refusal);
		return refuse_opening(table, from, number, OPEN_ADMINISTRATIVELY_PROHIBITED, refusal);
	}
	if (table->count >= CHANNELS_MAX)
		return refuse_opening(table, from, number, OPEN_RESOURCE_SHORTAGE, "too many channels");
	struct channel *channel = calloc(1, sizeof(*channel));
	if (channel == NULL)
		return refuse_opening(table, from, number, OPEN_RESOURCE_SHORTAGE, "out of memory");
	channel->opener = from;
	channel->session = wire_span_is(type, "session");
	facts_print_type(channel->type, type);
	link_number(table, channel, from, number);
	table->count++;
	if (!channel->session)
		start_channel_program(table, channel, type, body);
	return take_opening(table, channel, payload, len, &opening);
}

/* The channel that `from` answers the opening of, or NULL. */
static struct channel *find_opening(struct channels *table, channel_leg from, uint32_t number)
{
	struct channel *channel = find(table, OTHER(from), number);

	return channel != NULL && !channel->confirmed && channel->opener == OTHER(from) ? channel : NULL;
}

static enum channels_verdict open_confirmation(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len, struct wire body)
{
	struct channel *channel = find_opening(table, from, wire_u32(&body));
	uint32_t number = wire_u32(&body);
	struct opening opening = read_opening(payload, &body);

	if (body.failed || channel == NULL)
		return channels_violate(table, "a channel was confirmed that nobody had opened");
	if (find(table, from, number) != NULL)
		return channels_violate(table, "a channel number was used twice");
	channel->confirmed = true;
	(void)window_grant(&channel->window[from], opening.window);
	link_number(table, channel, from, number);
	return limit_packets(table, channel, from, payload, len, &opening);
}

static enum channels_verdict open_failure(struct channels *table, channel_leg from, struct wire body)
{
	struct channel *channel = find_opening(table, from, wire_u32(&body));

	if (body.failed || channel == NULL)
		return channels_violate(table, "the opening of a channel failed that nobody had opened");
	drop(table, channel, "open_failed");
	return CHANNELS_PASS;
}

/* -- data and the end (RFC 4254 sections 5.2, 5.3) -- */

void channel_start_session(
    struct channels *table, struct channel *channel, const char *type, struct wire_span command)
{
	channel->program = table->ops->program_start(table->context, &(struct channel_program){
	                                                                 .type = type,
	                                                                 .command = command,
	                                                                 .pty = channel->pty,
	                                                                 .content = true,
	                                                                 .destination = "",
	                                                                 .originator = "",
	                                                             });
}

static enum channels_verdict data(struct channels *table, channel_leg from, struct wire body, bool extended)
{
	bool early;
	struct channel *channel = channel_spoken_of(table, from, wire_u32(&body), &early);
	uint32_t code = extended ? wire_u32(&body) : 0;
	struct wire_span bytes = wire_string(&body);

	if (body.failed || early)
		return channels_violate(table, "malformed channel data");
	table->bytes[from] += bytes.len;
	if (channel == NULL || bytes.len == 0)
		return CHANNELS_PASS;
	/* Data before any request has started a program would otherwise be nobody's. */
	if (channel->program == NULL && channel->session)
		channel_start_session(table, channel, "session", (struct wire_span){0});
	if (table->ops->program_judge != NULL && channel->program != NULL)
		return channel_judged_data(table, channel, from, code, bytes);
	if (channel->program != NULL)
		table->ops->program_data(table->context, channel->program, from, code, bytes);
	return CHANNELS_PASS;
}

/* After the origin's EOF nothing may come on its behalf. */
static enum channels_verdict end_of_data(struct channels *table, channel_leg from, struct wire body)
{
	bool early;
	struct channel *channel = channel_spoken_of(table, from, wire_u32(&body), &early);

	if (body.failed || early)
		return channels_violate(table, "malformed end of data");
	if (channel == NULL)
		return CHANNELS_PASS;
	channel->eof_sent[from] = true;
	if (from == ORIGIN)
		forget_notice(table, channel);
	return CHANNELS_PASS;
}

static enum channels_verdict close_channel(struct channels *table, channel_leg from, struct wire body)
{
	bool early;
	struct channel *channel = channel_spoken_of(table, from, wire_u32(&body), &early);

	if (body.failed || early)
		return channels_violate(table, "malformed channel close");
	if (channel == NULL)
		return CHANNELS_PASS;
	channel->close_sent[from] = true;
	forget_notice(table, channel);
	if (channel->close_sent[OTHER(from)])
		drop(table, channel, "closed");
	return CHANNELS_PASS;
}

/* -- channel requests (RFC 4254 sections 5.4, 6) -- */

static bool read_pty(struct channel *channel, struct wire body)
{
	struct channel_pty *pty = malloc(sizeof(*pty));

	if (pty == NULL)
		return true; /* the relay goes on; only the header will lack the terminal */
	if (!facts_read_pty(body, pty)) {
		free(pty);
		return false;
	}
	free(channel->pty);
	channel->pty = pty;
	return true;
}

static bool window_change(struct channels *table, struct channel *channel, struct wire body)
{
	uint32_t width = wire_u32(&body), height = wire_u32(&body);

	if (body.failed)
		return false;
	if (channel->program != NULL) {
		table->ops->program_resize(table->context, channel->program, width, height);
	} else if (channel->pty != NULL) {
		channel->pty->width = width;
		channel->pty->height = height;
	}
	return true;
}

static bool exit_signal(struct channels *table, struct channel *channel, struct wire body)
{
	struct channel_exit how;

	if (!facts_read_exit_signal(body, &how))
		return false;
	if (channel->program != NULL)
		table->ops->program_exit(table->context, channel->program, &how);
	return true;
}

static bool exit_status(struct channels *table, struct channel *channel, struct wire body)
{
	struct channel_exit how = {.has_status = true, .status = wire_u32(&body)};

	if (body.failed)
		return false;
	if (channel->program != NULL)
		table->ops->program_exit(table->context, channel->program, &how);
	return true;
}

/* A request that starts a program. One that runs already stays: the origin will refuse the second. */
static bool start_program(
    struct channels *table, struct channel *channel, struct wire_span name, struct wire body)
{
	struct wire_span command = {0};

	if (!wire_span_is(name, "shell"))
		command = wire_string(&body);
	if (body.failed)
		return false;
	if (channel->program != NULL)
		return true;
	channel_start_session(table, channel,
	    wire_span_is(name, "shell")  ? "shell"
	    : wire_span_is(name, "exec") ? "exec"
	                                 : "subsystem",
	    command);
	return true;
}

/* What the request tells us. False where it is malformed; *kind says what its reply will tell. */
static bool learn_request(struct channels *table, struct channel *channel, channel_leg from,
    struct wire_span name, struct wire body, enum reply_kind *kind)
{
	if (!channel->session)
		return true;
	if (from == CLIENT) {
		if (wire_span_is(name, "shell") || wire_span_is(name, "exec") ||
		    wire_span_is(name, "subsystem")) {
			bool shell = wire_span_is(name, "shell");

			if (channel->program == NULL)
				*kind = shell ? REPLY_SHELL : REPLY_PROGRAM;
			else if (shell)
				*kind = REPLY_LATE_SHELL;
			if (!shell)
				forget_notice(table, channel);
			return start_program(table, channel, name, body);
		}
		if (wire_span_is(name, "pty-req")) {
			*kind = REPLY_PTY;
			return read_pty(channel, body);
		}
		return !wire_span_is(name, "window-change") || window_change(table, channel, body);
	}
	if (wire_span_is(name, "exit-status"))
		return exit_status(table, channel, body);
	return !wire_span_is(name, "exit-signal") || exit_signal(table, channel, body);
}

/* The box has used the agent that is offered here: the offer ends with it where the rule gives it to nobody
 * else. */
static bool is_offer_to_us(const struct channels *table, channel_leg from, struct wire_span name)
{
	return table->agent_is_ours && from == CLIENT && is_agent_request(name) &&
	       refusal_of_request(table->rules.permits, name) != NULL;
}

static enum channels_verdict grant_in_turn(
    struct channels *table, struct channel *channel, channel_leg from, bool want_reply)
{
	if (!want_reply)
		return CHANNELS_STAY;
	if (!replies_push(&channel->replies[from], REPLY_OURS_GRANTED))
		return channels_violate(table, "too many channel requests without an answer");
	answer_requests(table, channel, from);
	return CHANNELS_STAY;
}

static enum channels_verdict channel_request(struct channels *table, channel_leg from, struct wire body)
{
	bool early;
	struct channel *channel = channel_spoken_of(table, from, wire_u32(&body), &early);
	struct wire_span name = wire_string(&body);
	bool want_reply = wire_u8(&body) != 0;
	enum reply_kind kind = REPLY_RELAYED;

	if (body.failed || early)
		return channels_violate(table, "malformed channel request");
	if (channel == NULL)
		return CHANNELS_PASS;
	if (is_offer_to_us(table, from, name))
		return grant_in_turn(table, channel, from, want_reply);
	const char *refusal = refusal_of_request(table->rules.permits, name);
	if (refusal != NULL)
		return refuse_channel_request(table, channel, from, name, want_reply, refusal);
	if (!learn_request(table, channel, from, name, body, &kind))
		return channels_violate(table, "malformed channel request");
	refusal_note_request(&table->rules, from, name);
	if (want_reply && !replies_push(&channel->replies[from], kind))
		return channels_violate(table, "too many channel requests without an answer");
	if (!want_reply && (kind == REPLY_SHELL || kind == REPLY_LATE_SHELL))
		begin_notice(table, channel, true);
	return CHANNELS_PASS;
}

static enum channels_verdict channel_reply(
    struct channels *table, channel_leg from, struct wire body, bool success)
{
	channel_leg asker = OTHER(from);
	bool early;
	struct channel *channel = channel_spoken_of(table, from, wire_u32(&body), &early);
	enum reply_kind kind;

	if (body.failed || early)
		return channels_violate(table, "malformed channel reply");
	if (channel == NULL || !replies_pop(&channel->replies[asker], &kind))
		return CHANNELS_PASS;
	if (kind == REPLY_SHELL || kind == REPLY_LATE_SHELL)
		begin_notice(table, channel, success);
	if (!success && (kind == REPLY_PROGRAM || kind == REPLY_SHELL))
		end_program(table, channel, "refused_by_origin");
	if (!success && kind == REPLY_PTY) {
		free(channel->pty);
		channel->pty = NULL;
		if (channel->program != NULL)
			table->ops->program_no_pty(table->context, channel->program);
	}
	answer_requests(table, channel, asker);
	return CHANNELS_PASS;
}

enum channels_verdict channels_look(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len)
{
	struct wire body = wire_over(payload, len);

	switch (wire_u8(&body)) {
	case CONN_GLOBAL_REQUEST:
		return global_request(table, from, body);
	case CONN_REQUEST_SUCCESS:
	case CONN_REQUEST_FAILURE:
		return global_reply(table, from, body, payload[0] == CONN_REQUEST_SUCCESS);
	case CONN_OPEN:
		return open_channel(table, from, payload, len, body);
	case CONN_OPEN_CONFIRMATION:
		return open_confirmation(table, from, payload, len, body);
	case CONN_OPEN_FAILURE:
		return open_failure(table, from, body);
	case CONN_WINDOW_ADJUST:
		return window_adjust(table, from, payload, body);
	case CONN_EOF:
		return end_of_data(table, from, body);
	case CONN_DATA:
		return data(table, from, body, false);
	case CONN_EXTENDED_DATA:
		return data(table, from, body, true);
	case CONN_CLOSE:
		return close_channel(table, from, body);
	case CONN_REQUEST:
		return channel_request(table, from, body);
	case CONN_SUCCESS:
	case CONN_FAILURE:
		return channel_reply(table, from, body, payload[0] == CONN_SUCCESS);
	default: /* what nobody here has heard of */
		return CHANNELS_PASS;
	}
}

enum channels_verdict channels_packet(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len)
{
	forget_rewritten(table);
	return table->ops->program_judge == NULL ? channels_look(table, from, payload, len)
	                                         : channels_look_withholding(table, from, payload, len);
}
