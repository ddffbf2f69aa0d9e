/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"

#define CLIENT 0u
#define OTHER(leg) ((leg) ^ 1u)

struct channel {
	struct channel *next[2]; /* in the bucket of each leg's number */
	uint32_t number[2];      /* what each leg calls it */
	channel_leg opener;
	bool confirmed;
	bool session; /* a session channel: programs start by request */
	bool close_sent[2];
	char type[CHANNEL_TYPE_MAX];
	struct replies replies[2]; /* to channel requests, by the asking leg */
	struct channel_pty *pty;
	struct program *program;
};

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

/* The channel that a message from `from` speaks of, by the receiver's number; NULL where nobody has it.
 * Before the confirmation nobody may speak of it: *early. */
static struct channel *find_spoken_of(struct channels *table, channel_leg from, uint32_t number, bool *early)
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
	free(channel->pty);
	free(channel);
	table->count--;
}

void channels_init(struct channels *table, uint32_t permits, const struct channel_ops *ops, void *context)
{
	*table = (struct channels){.ops = ops, .context = context, .permits = permits};
}

void channels_answer_agent_requests(struct channels *table)
{
	table->agent_is_ours = true;
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
}

static enum channels_verdict violation(struct channels *table, const char *what)
{
	table->violation = what;
	return CHANNELS_VIOLATION;
}

/* -- refusals and replies -- */

static void answer_global(struct channels *table, channel_leg to)
{
	uint8_t payload[REFUSAL_MAX];

	table->ops->answer(table->context, to, payload, refuse_global_request(payload));
}

/* The box's answers whose turn has come. */
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
		return violation(table, "too many global requests without an answer");
	/* Ours is next only if nothing relayed waits before it. */
	while (replies_pop_ours(&table->global[from]))
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
		return violation(table, "too many channel requests without an answer");
	answer_requests(table, channel, from);
	return CHANNELS_STAY;
}

/* -- global requests (RFC 4254 section 4) -- */

/* Host keys are a matter between a peer and its own leg's other end (OpenSSH PROTOCOL section 2.5). */
static bool is_hop_by_hop(struct wire_span name)
{
	return wire_span_is(name, "hostkeys-00@openssh.com") ||
	       wire_span_is(name, "hostkeys-prove-00@openssh.com");
}

static void print_place(char out[CHANNEL_PLACE_MAX], struct wire_span host, uint32_t port)
{
	int len = host.len > CHANNEL_PLACE_MAX - 16 ? CHANNEL_PLACE_MAX - 16 : (int)host.len;
	bool v6 = host.len > 0 && memchr(host.at, ':', host.len) != NULL;
	const char *at = host.len > 0 ? (const char *)host.at : "";

	snprintf(out, CHANNEL_PLACE_MAX, v6 ? "[%.*s]:%u" : "%.*s:%u", len, at, port);
}

static void tell_forward(struct channels *table, struct wire_span name, struct wire body)
{
	char place[CHANNEL_PLACE_MAX];
	struct wire_span host = wire_string(&body);

	if (wire_span_is(name, "tcpip-forward")) {
		uint32_t port = wire_u32(&body);

		print_place(place, host, port);
		if (!body.failed)
			table->ops->forward_requested(table->context, "tcpip-forward", place);
	} else if (wire_span_is(name, "streamlocal-forward@openssh.com")) {
		snprintf(place, sizeof(place), "%.*s", (int)(host.len > 256 ? 256 : host.len),
		    host.len > 0 ? (const char *)host.at : "");
		if (!body.failed)
			table->ops->forward_requested(table->context, "streamlocal-forward", place);
	}
}

static enum channels_verdict global_request(struct channels *table, channel_leg from, struct wire body)
{
	struct wire_span name = wire_string(&body);
	bool want_reply = wire_u8(&body) != 0;

	if (body.failed)
		return violation(table, "malformed global request");
	if (is_hop_by_hop(name))
		return refuse_global(table, from, name, want_reply, NULL);
	const char *refusal = refusal_of_global_request(table->permits, name);
	if (refusal != NULL)
		return refuse_global(table, from, name, want_reply, refusal);
	if (want_reply && !replies_push(&table->global[from], REPLY_RELAYED))
		return violation(table, "too many global requests without an answer");
	tell_forward(table, name, body);
	return CHANNELS_PASS;
}

static enum channels_verdict global_reply(struct channels *table, channel_leg from)
{
	channel_leg asker = OTHER(from);
	enum reply_kind kind;

	/* One that nobody asked for passes; it answers nothing here. */
	if (!replies_pop(&table->global[asker], &kind))
		return CHANNELS_PASS;
	while (replies_pop_ours(&table->global[asker]))
		answer_global(table, asker);
	return CHANNELS_PASS;
}

/* -- opening (RFC 4254 section 5.1) -- */

/* Destination and originator of the forwarding channels (RFC 4254 sections 6.3.2, 7.2; OpenSSH PROTOCOL 2.4).
 */
static void read_places(struct wire_span type, struct wire body, char destination[CHANNEL_PLACE_MAX],
    char originator[CHANNEL_PLACE_MAX])
{
	destination[0] = originator[0] = '\0';
	if (wire_span_is(type, "direct-tcpip") || wire_span_is(type, "forwarded-tcpip")) {
		struct wire_span host = wire_string(&body);
		uint32_t port = wire_u32(&body);

		print_place(destination, host, port);
		host = wire_string(&body);
		port = wire_u32(&body);
		print_place(originator, host, port);
	} else if (wire_span_is(type, "direct-streamlocal@openssh.com") ||
	           wire_span_is(type, "forwarded-streamlocal@openssh.com")) {
		struct wire_span path = wire_string(&body);

		snprintf(destination, CHANNEL_PLACE_MAX, "%.*s", (int)(path.len > 256 ? 256 : path.len),
		    path.len > 0 ? (const char *)path.at : "");
	} else if (wire_span_is(type, "x11")) {
		struct wire_span host = wire_string(&body);
		uint32_t port = wire_u32(&body);

		print_place(originator, host, port);
	}
}

/* The forwardings whose content is not ours to keep: another protocol's bytes, mostly encrypted, as many as
 * a network carries. Their ends and byte counts are logged. Everything else, known or not, is recorded. */
static bool is_forwarding(struct wire_span type)
{
	static const char *const types[] = {"direct-tcpip", "forwarded-tcpip",
	    "direct-streamlocal@openssh.com", "forwarded-streamlocal@openssh.com", "tun@openssh.com", "x11",
	    "auth-agent@openssh.com", "auth-agent", "agent-connect"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (wire_span_is(type, types[i]))
			return true;
	}
	return false;
}

static void start_channel_program(
    struct channels *table, struct channel *channel, struct wire_span type, struct wire body)
{
	char destination[CHANNEL_PLACE_MAX], originator[CHANNEL_PLACE_MAX];

	read_places(type, body, destination, originator);
	channel->program = table->ops->program_start(table->context, &(struct channel_program){
	                                                                 .type = channel->type,
	                                                                 .content = !is_forwarding(type),
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

/* A name for logs: what is printable of the type. */
static void copy_type(char out[CHANNEL_TYPE_MAX], struct wire_span type)
{
	size_t len = type.len < CHANNEL_TYPE_MAX - 1 ? type.len : CHANNEL_TYPE_MAX - 1;

	for (size_t i = 0; i < len; i++)
		out[i] = type.at[i] > ' ' && type.at[i] < 0x7f ? (char)type.at[i] : '?';
	out[len] = '\0';
}

static enum channels_verdict open_channel(struct channels *table, channel_leg from, struct wire body)
{
	struct wire_span type = wire_string(&body);
	uint32_t number = wire_u32(&body);

	wire_skip(&body, 8); /* initial window, maximum packet */
	if (body.failed)
		return violation(table, "malformed channel open");
	if (find(table, from, number) != NULL)
		return violation(table, "a channel number was used twice");
	const char *refusal = refusal_of_open(table->permits, type);
	if (refusal != NULL) {
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
	copy_type(channel->type, type);
	link_number(table, channel, from, number);
	table->count++;
	if (!channel->session)
		start_channel_program(table, channel, type, body);
	return CHANNELS_PASS;
}

/* The channel that `from` answers the opening of, or NULL. */
static struct channel *find_opening(struct channels *table, channel_leg from, uint32_t number)
{
	struct channel *channel = find(table, OTHER(from), number);

	return channel != NULL && !channel->confirmed && channel->opener == OTHER(from) ? channel : NULL;
}

static enum channels_verdict open_confirmation(struct channels *table, channel_leg from, struct wire body)
{
	struct channel *channel = find_opening(table, from, wire_u32(&body));
	uint32_t number = wire_u32(&body);

	if (body.failed || channel == NULL)
		return violation(table, "a channel was confirmed that nobody had opened");
	if (find(table, from, number) != NULL)
		return violation(table, "a channel number was used twice");
	channel->confirmed = true;
	link_number(table, channel, from, number);
	return CHANNELS_PASS;
}

static enum channels_verdict open_failure(struct channels *table, channel_leg from, struct wire body)
{
	struct channel *channel = find_opening(table, from, wire_u32(&body));

	if (body.failed || channel == NULL)
		return violation(table, "the opening of a channel failed that nobody had opened");
	drop(table, channel, "open_failed");
	return CHANNELS_PASS;
}

/* -- data and the end (RFC 4254 sections 5.2, 5.3) -- */

static void start_session_program(
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
	struct channel *channel = find_spoken_of(table, from, wire_u32(&body), &early);
	uint32_t code = extended ? wire_u32(&body) : 0;
	struct wire_span bytes = wire_string(&body);

	if (body.failed || early)
		return violation(table, "malformed channel data");
	table->bytes[from] += bytes.len;
	if (channel == NULL || bytes.len == 0)
		return CHANNELS_PASS;
	/* Data before any request has started a program would otherwise be nobody's. */
	if (channel->program == NULL && channel->session)
		start_session_program(table, channel, "session", (struct wire_span){0});
	if (channel->program != NULL)
		table->ops->program_data(table->context, channel->program, from, code, bytes);
	return CHANNELS_PASS;
}

static enum channels_verdict close_channel(struct channels *table, channel_leg from, struct wire body)
{
	bool early;
	struct channel *channel = find_spoken_of(table, from, wire_u32(&body), &early);

	if (body.failed || early)
		return violation(table, "malformed channel close");
	if (channel == NULL)
		return CHANNELS_PASS;
	channel->close_sent[from] = true;
	if (channel->close_sent[OTHER(from)])
		drop(table, channel, "closed");
	return CHANNELS_PASS;
}

/* -- channel requests (RFC 4254 sections 5.4, 6) -- */

/* Encoded terminal modes (RFC 4254 section 8): opcodes 1 to 159 have a uint32, 0 ends, others stop parsing.
 */
static void read_modes(struct channel_pty *pty, struct wire_span encoded)
{
	struct wire modes = wire_over(encoded.at, encoded.len);

	while (pty->mode_count < FORMAT_MODES_MAX && wire_left(&modes) >= 5) {
		uint8_t opcode = wire_u8(&modes);

		if (opcode == 0 || opcode >= 160)
			return;
		pty->modes[pty->mode_count++] =
		    (struct format_mode){.opcode = opcode, .value = wire_u32(&modes)};
	}
}

static bool read_pty(struct channel *channel, struct wire body)
{
	struct channel_pty *pty = calloc(1, sizeof(*pty));
	struct wire_span term = wire_string(&body);

	if (pty == NULL)
		return true; /* the relay goes on; only the header will lack the terminal */
	if (!wire_span_copy(term, pty->term, sizeof(pty->term)))
		pty->term[0] = '\0';
	pty->width = wire_u32(&body);
	pty->height = wire_u32(&body);
	wire_skip(&body, 8); /* pixels */
	struct wire_span modes = wire_string(&body);
	if (body.failed) {
		free(pty);
		return false;
	}
	read_modes(pty, modes);
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
	struct channel_exit how = {0};
	struct wire_span name = wire_string(&body);

	how.core_dumped = wire_u8(&body) != 0;
	struct wire_span text = wire_string(&body);
	if (body.failed)
		return false;
	if (!wire_span_copy(name, how.signal, sizeof(how.signal)))
		snprintf(how.signal, sizeof(how.signal), "unknown");
	if (text.len >= sizeof(how.error_msg))
		text.len = sizeof(how.error_msg) - 1;
	if (!wire_span_copy(text, how.error_msg, sizeof(how.error_msg)))
		how.error_msg[0] = '\0';
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
	start_session_program(table, channel,
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
			if (channel->program == NULL)
				*kind = REPLY_PROGRAM;
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
	       refusal_of_request(table->permits, name) != NULL;
}

static enum channels_verdict grant_in_turn(
    struct channels *table, struct channel *channel, channel_leg from, bool want_reply)
{
	if (!want_reply)
		return CHANNELS_STAY;
	if (!replies_push(&channel->replies[from], REPLY_OURS_GRANTED))
		return violation(table, "too many channel requests without an answer");
	answer_requests(table, channel, from);
	return CHANNELS_STAY;
}

static enum channels_verdict channel_request(struct channels *table, channel_leg from, struct wire body)
{
	bool early;
	struct channel *channel = find_spoken_of(table, from, wire_u32(&body), &early);
	struct wire_span name = wire_string(&body);
	bool want_reply = wire_u8(&body) != 0;
	enum reply_kind kind = REPLY_RELAYED;

	if (body.failed || early)
		return violation(table, "malformed channel request");
	if (channel == NULL)
		return CHANNELS_PASS;
	if (is_offer_to_us(table, from, name))
		return grant_in_turn(table, channel, from, want_reply);
	const char *refusal = refusal_of_request(table->permits, name);
	if (refusal != NULL)
		return refuse_channel_request(table, channel, from, name, want_reply, refusal);
	if (!learn_request(table, channel, from, name, body, &kind))
		return violation(table, "malformed channel request");
	if (want_reply && !replies_push(&channel->replies[from], kind))
		return violation(table, "too many channel requests without an answer");
	return CHANNELS_PASS;
}

static enum channels_verdict channel_reply(
    struct channels *table, channel_leg from, struct wire body, bool success)
{
	channel_leg asker = OTHER(from);
	bool early;
	struct channel *channel = find_spoken_of(table, from, wire_u32(&body), &early);
	enum reply_kind kind;

	if (body.failed || early)
		return violation(table, "malformed channel reply");
	if (channel == NULL || !replies_pop(&channel->replies[asker], &kind))
		return CHANNELS_PASS;
	if (!success && kind == REPLY_PROGRAM)
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

enum channels_verdict channels_packet(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len)
{
	struct wire body = wire_over(payload, len);

	switch (wire_u8(&body)) {
	case CONN_GLOBAL_REQUEST:
		return global_request(table, from, body);
	case CONN_REQUEST_SUCCESS:
	case CONN_REQUEST_FAILURE:
		return global_reply(table, from);
	case CONN_OPEN:
		return open_channel(table, from, body);
	case CONN_OPEN_CONFIRMATION:
		return open_confirmation(table, from, body);
	case CONN_OPEN_FAILURE:
		return open_failure(table, from, body);
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
	default: /* window adjustments, EOF, and what nobody here has heard of */
		return CHANNELS_PASS;
	}
}
