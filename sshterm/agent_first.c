/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/agent_first.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/agent_hold.h"
#include "sshterm/refusals.h"

#define CLIENT 0u
#define TEXT_MAX 320
#define HEADER_MAX 32

#define MSG_IGNORE 2

enum stage {
	WAITING = 0, /* for a session channel, and auth-agent-req on it */
	OFFERING,    /* the agent's keys (agent_offer.h) */
	CONFIRMING,  /* logged in; what was held is going on */
	RELAYING,
};

/* What the first session channel has come to. */
enum first_state {
	NO_FIRST = 0,
	FIRST_OPEN,   /* confirmed by the box; its opening is held */
	FIRST_ASKED,  /* its opening went to the origin */
	FIRST_JOINED, /* the origin has it, too */
	FIRST_CLOSED, /* refused by the origin: the client's CLOSE is awaited */
};

struct agent_first {
	struct agent_login_facts facts;
	const struct agent_first_ops *ops;
	void *context;
	enum stage stage;
	struct agent_failure failure;
	struct agent_offer offer;
	uint64_t wait_until_us;
	struct agent_hold hold;
	/* -- the first session channel -- */
	enum first_state first;
	uint32_t client_number, origin_number;
	uint32_t origin_packet; /* the origin takes no more data at once */
};

/* -- what is held -- */

/* The number that a message on a channel names (RFC 4254 section 5). */
static bool names_channel(const uint8_t *payload, size_t len, uint32_t number)
{
	struct wire in = wire_over(payload, len);
	uint8_t type = wire_u8(&in);
	uint32_t named = wire_u32(&in);

	return !in.failed && type >= CONN_WINDOW_ADJUST && type <= CONN_FAILURE && named == number;
}

static struct agent_held *hold(
    struct agent_first *agent, const uint8_t *payload, size_t len, uint32_t sequence, uint64_t now_us)
{
	bool full;
	struct agent_held *held = agent_hold_put(&agent->hold, payload, len, sequence, now_us, &full);

	if (full)
		agent_fail(&agent->failure, "protocol_error",
		    "too much was sent before the login at %s was complete", agent->facts.host);
	else if (held == NULL)
		agent_fail_memory(&agent->failure);
	return held;
}

/* -- to the client -- */

static void say_of_first(struct agent_first *agent, uint8_t type)
{
	uint8_t payload[HEADER_MAX];
	struct wire_out out = wire_into(payload, sizeof(payload));

	wire_put_u8(&out, type);
	wire_put_u32(&out, agent->client_number);
	agent->ops->to_client(agent->context, payload, wire_written(&out));
}

/* The opening of a session channel becomes the first one's. */
static void confirm_first(struct agent_first *agent, struct agent_held *opening)
{
	uint8_t payload[HEADER_MAX];
	struct wire_out out = wire_into(payload, sizeof(payload));
	struct wire in = wire_over(opening->payload, opening->len);

	wire_skip(&in, 1);
	(void)wire_string(&in);
	agent->client_number = wire_u32(&in);
	agent->first = FIRST_OPEN;
	opening->first = opening->opening = true;
	wire_put_u8(&out, CONN_OPEN_CONFIRMATION);
	wire_put_u32(&out, agent->client_number);
	wire_put_u32(&out, AGENT_SESSION_NUMBER);
	wire_put_u32(&out, 0); /* no data before the origin says so */
	wire_put_u32(&out, AGENT_SESSION_PACKET);
	agent->ops->to_client(agent->context, payload, wire_written(&out));
}

static bool opens_session(const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);
	bool opens = wire_u8(&in) == CONN_OPEN;
	struct wire_span type = wire_string(&in);

	wire_skip(&in, 12);
	return opens && !in.failed && wire_span_is(type, "session");
}

/* The first one is gone: is another there that can take its place? */
static void find_first(struct agent_first *agent)
{
	struct agent_held *packet = agent->hold.head;

	while (packet != NULL && !opens_session(packet->payload, packet->len))
		packet = packet->next;
	if (packet != NULL)
		confirm_first(agent, packet);
}

/* The request of the first channel that its client may be waiting on, before it asks for agent forwarding;
 * NULL: there is none, or it is of a kind whose answer nobody but the origin knows. */
static struct agent_held *awaited_request(const struct agent_first *agent)
{
	struct agent_held *packet = agent->hold.head;
	struct wire_span name;

	if (agent->stage != WAITING || agent->first != FIRST_OPEN)
		return NULL;
	while (packet != NULL && !(packet->first && agent_held_asks(packet, &name)))
		packet = packet->next;
	if (packet == NULL ||
	    !(wire_span_is(name, "pty-req") || wire_span_is(name, "env") || wire_span_is(name, "x11-req")))
		return NULL;
	return packet;
}

/* Answers it before the origin can: most terminals are granted, and few environments are missed. */
static void answer_early(struct agent_first *agent, struct agent_held *packet)
{
	struct wire_span name;

	(void)agent_held_asks(packet, &name);
	say_of_first(
	    agent, refusal_of_request(agent->facts.permits, name) == NULL ? CONN_SUCCESS : CONN_FAILURE);
	agent_held_answered(packet);
}

/* -- after the login -- */

/* A message of the client's on the first channel, with the origin's number. */
static void relay_numbered(struct agent_first *agent, const uint8_t *payload, size_t len, uint32_t sequence)
{
	uint8_t *copy = malloc(len);

	if (copy == NULL) {
		agent_fail_memory(&agent->failure);
		return;
	}
	memcpy(copy, payload, len);
	struct wire_out out = wire_into(copy + 1, 4);
	wire_put_u32(&out, agent->origin_number);
	agent->ops->relay(agent->context, copy, len, sequence);
	free(copy);
}

/* Data of more bytes than the origin takes at once go in pieces. */
static void relay_in_pieces(struct agent_first *agent, const uint8_t *payload, size_t len, uint32_t sequence)
{
	struct wire in = wire_over(payload, len);
	bool extended = wire_u8(&in) == CONN_EXTENDED_DATA;

	wire_skip(&in, 4);
	uint32_t code = extended ? wire_u32(&in) : 0;
	struct wire_span data = wire_string(&in);
	uint8_t *piece = in.failed ? NULL : malloc(agent->origin_packet + HEADER_MAX);
	if (piece == NULL) {
		agent_fail_memory(&agent->failure);
		return;
	}
	while (data.len > 0) {
		size_t part = data.len < agent->origin_packet ? data.len : agent->origin_packet;
		struct wire_out out = wire_into(piece, agent->origin_packet + HEADER_MAX);

		wire_put_u8(&out, payload[0]);
		wire_put_u32(&out, agent->origin_number);
		if (extended)
			wire_put_u32(&out, code);
		wire_put_string(&out, data.at, part);
		agent->ops->relay(agent->context, piece, wire_written(&out), sequence);
		data.at += part;
		data.len -= part;
	}
	free(piece);
}

/* How much data a message carries; 0: none, or it is malformed. */
static size_t data_length(const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);
	uint8_t type = wire_u8(&in);

	if (type != CONN_DATA && type != CONN_EXTENDED_DATA)
		return 0;
	wire_skip(&in, type == CONN_EXTENDED_DATA ? 8 : 4);
	size_t data = wire_string(&in).len;
	return in.failed ? 0 : data;
}

static void relay_of_first(struct agent_first *agent, const uint8_t *payload, size_t len, uint32_t sequence)
{
	if (data_length(payload, len) > agent->origin_packet)
		relay_in_pieces(agent, payload, len, sequence);
	else
		relay_numbered(agent, payload, len, sequence);
	if (payload[0] == CONN_CLOSE)
		agent->first = NO_FIRST; /* it has no more to say there */
}

static void relay_now(struct agent_first *agent, const struct agent_held *packet)
{
	if (!packet->first || packet->opening)
		agent->ops->relay(agent->context, packet->payload, packet->len, packet->sequence);
	else if (agent->first == FIRST_JOINED)
		relay_of_first(agent, packet->payload, packet->len, packet->sequence);
}

/* Relays what is held, up to the first channel's opening, and behind it once the origin has answered that. */
static void relay_held(struct agent_first *agent)
{
	while (!agent->failure.failed && agent->first != FIRST_ASKED) {
		struct agent_held *packet = agent_hold_take(&agent->hold);

		if (packet == NULL)
			break;
		if (packet->opening)
			agent->first = FIRST_ASKED;
		relay_now(agent, packet);
		free(packet);
	}
	if (agent->stage == CONFIRMING && agent->hold.head == NULL && agent->first != FIRST_ASKED)
		agent->stage = RELAYING;
}

static void let_in(struct agent_first *agent)
{
	char fingerprint[AGENT_FINGERPRINT_MAX];
	const struct agent_key *key = agent_offer_key(&agent->offer);

	agent_fingerprint(fingerprint, key->blob);
	agent->ops->logged_in(agent->context, fingerprint, key);
	agent_offer_end(&agent->offer);
	agent->stage = CONFIRMING;
	relay_held(agent);
}

/* The first channel's opening was confirmed by the origin, too. */
static bool take_origin_confirmation(struct agent_first *agent, const uint8_t *payload, size_t len)
{
	uint8_t adjust[HEADER_MAX];
	struct wire_out out = wire_into(adjust, sizeof(adjust));
	struct wire in = wire_over(payload, len);
	bool confirms = wire_u8(&in) == CONN_OPEN_CONFIRMATION;
	uint32_t recipient = wire_u32(&in), number = wire_u32(&in), window = wire_u32(&in);
	uint32_t packet = wire_u32(&in);

	if (!confirms || in.failed || recipient != agent->client_number || agent->first != FIRST_ASKED)
		return false;
	agent->ops->look(agent->context, payload, len);
	agent->first = FIRST_JOINED;
	agent->origin_number = number;
	agent->origin_packet = packet > 0 ? packet : 1;
	if (window > 0) {
		wire_put_u8(&out, CONN_WINDOW_ADJUST);
		wire_put_u32(&out, agent->client_number);
		wire_put_u32(&out, window);
		agent->ops->to_client(agent->context, adjust, wire_written(&out));
	}
	relay_held(agent);
	return true;
}

/* The client believes that it has the channel: the reason goes to where its program would complain. */
static void tell_why_closed(struct agent_first *agent, struct wire_span reason)
{
	uint8_t payload[TEXT_MAX + HEADER_MAX];
	char text[TEXT_MAX];
	struct wire_out out = wire_into(payload, sizeof(payload));
	int len = snprintf(text, sizeof(text), "%s opened no session: %.*s\r\n", agent->facts.host,
	    (int)(reason.len > 200 ? 200 : reason.len), reason.len > 0 ? (const char *)reason.at : "");

	for (char *c = text; c < text + len; c++) {
		if ((unsigned char)*c < 0x20 && *c != '\r' && *c != '\n')
			*c = '?';
	}
	wire_put_u8(&out, CONN_EXTENDED_DATA);
	wire_put_u32(&out, agent->client_number);
	wire_put_u32(&out, 1); /* stderr */
	wire_put_cstring(&out, text);
	agent->ops->to_client(agent->context, payload, wire_written(&out));
	say_of_first(agent, CONN_CLOSE);
}

static bool take_origin_refusal(struct agent_first *agent, const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);
	bool refuses = wire_u8(&in) == CONN_OPEN_FAILURE;
	uint32_t recipient = wire_u32(&in);

	(void)wire_u32(&in);
	struct wire_span reason = wire_string(&in);
	if (!refuses || in.failed || recipient != agent->client_number || agent->first != FIRST_ASKED)
		return false;
	agent->ops->look(agent->context, payload, len);
	tell_why_closed(agent, reason);
	agent->first = FIRST_CLOSED; /* what is held of it goes nowhere */
	relay_held(agent);
	return true;
}

/* Nobody else may have the number that the client calls its first channel by. */
static bool takes_our_number(const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);
	uint8_t type = wire_u8(&in);

	if (type == CONN_OPEN)
		(void)wire_string(&in);
	else if (type == CONN_OPEN_CONFIRMATION)
		(void)wire_u32(&in);
	else
		return false;
	uint32_t number = wire_u32(&in);
	return !in.failed && (number == AGENT_SESSION_NUMBER || number == AGENT_CHANNEL_NUMBER);
}

static bool origin_packet(struct agent_first *agent, const uint8_t *payload, size_t len)
{
	if (take_origin_confirmation(agent, payload, len) || take_origin_refusal(agent, payload, len))
		return true;
	if (takes_our_number(payload, len)) {
		agent_fail(&agent->failure, "protocol_error", "a channel number was used twice");
		return true;
	}
	return false;
}

/* -- what the client sends before the origin has let us in -- */

static void lacks_agent(struct agent_first *agent)
{
	agent_fail(&agent->failure, "no_agent",
	    "this rule logs in at %s with your forwarded agent: connect with ssh -A (ForwardAgent yes) and "
	    "an "
	    "agent that runs and holds your key",
	    agent->facts.host);
}

static void begin_login(struct agent_first *agent)
{
	agent->stage = OFFERING;
	agent_offer_begin(&agent->offer, AGENT_CHANNEL_NUMBER);
}

static bool starts_program(struct wire_span name)
{
	return wire_span_is(name, "exec") || wire_span_is(name, "shell") || wire_span_is(name, "subsystem");
}

static void request_of_first(struct agent_first *agent, const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);

	if (agent->stage != WAITING || wire_u8(&in) != CONN_REQUEST)
		return;
	(void)wire_u32(&in);
	struct wire_span name = wire_string(&in);
	if (is_agent_request(name))
		begin_login(agent);
	else if (starts_program(name))
		lacks_agent(agent);
}

/* The client gives its first channel up. Nothing of it has reached the origin, and nothing will. */
static void first_is_given_up(struct agent_first *agent, uint64_t now_us)
{
	agent_hold_drop_first(&agent->hold);
	say_of_first(agent, CONN_CLOSE);
	agent->first = NO_FIRST;
	agent->wait_until_us = now_us + AGENT_WAIT_US;
	find_first(agent);
}

static void hold_of_first(
    struct agent_first *agent, const uint8_t *payload, size_t len, uint32_t sequence, uint64_t now_us)
{
	if (payload[0] == CONN_CLOSE && agent->first == FIRST_OPEN) {
		first_is_given_up(agent, now_us);
		return;
	}
	struct agent_held *packet = hold(agent, payload, len, sequence, now_us);
	if (packet == NULL)
		return;
	packet->first = true;
	request_of_first(agent, payload, len);
}

/* A keepalive is answered in its turn, which is now, unless something before it waits. */
static bool answer_keepalive(struct agent_first *agent, const uint8_t *payload, size_t len)
{
	static const uint8_t alive[] = {MSG_IGNORE, 0, 0, 0, 0};
	uint8_t refusal[REFUSAL_MAX];
	struct wire_span name;

	if (!agent_is_question(payload, len, &name) || !wire_span_is(name, "keepalive@openssh.com"))
		return false;
	if (agent->hold.questions > 0 || agent->stage == CONFIRMING) {
		agent->ops->to_client(agent->context, alive, sizeof(alive));
		return false;
	}
	agent->ops->to_client(agent->context, refusal, refuse_global_request(refusal));
	return true;
}

static void hold_packet(
    struct agent_first *agent, const uint8_t *payload, size_t len, uint32_t sequence, uint64_t now_us)
{
	if (names_channel(payload, len, AGENT_SESSION_NUMBER)) {
		if (agent->first == FIRST_OPEN || agent->first == FIRST_ASKED)
			hold_of_first(agent, payload, len, sequence, now_us);
		return; /* for one that is gone: their CLOSE, or what they sent before they saw ours */
	}
	if (answer_keepalive(agent, payload, len))
		return;
	struct agent_held *packet = hold(agent, payload, len, sequence, now_us);
	if (packet != NULL && agent->first == NO_FIRST && agent->stage < CONFIRMING &&
	    opens_session(payload, len)) {
		confirm_first(agent, packet);
		agent->wait_until_us = now_us + AGENT_WAIT_US;
	}
}

/* A message of the client's once all that was held went on. True: it was taken. */
static bool relay_packet(struct agent_first *agent, const uint8_t *payload, size_t len, uint32_t sequence)
{
	if (!names_channel(payload, len, AGENT_SESSION_NUMBER))
		return false;
	if (agent->first == FIRST_JOINED)
		relay_of_first(agent, payload, len, sequence);
	else if (agent->first == FIRST_CLOSED && payload[0] == CONN_CLOSE)
		agent->first = NO_FIRST;
	return true;
}

bool agent_first_packet(struct agent_first *agent, unsigned from, const uint8_t *payload, size_t len,
    uint32_t sequence, uint64_t now_us)
{
	if (agent->failure.failed || len == 0)
		return true;
	if (from != CLIENT)
		return origin_packet(agent, payload, len);
	if (agent_channel_is_for(&agent->offer.channel, payload, len)) {
		agent_offer_packet(&agent->offer, payload, len);
		return true;
	}
	if (agent->stage == RELAYING)
		return relay_packet(agent, payload, len, sequence);
	hold_packet(agent, payload, len, sequence, now_us);
	return true;
}

/* -- the origin -- */

void agent_first_answered(
    struct agent_first *agent, enum agent_origin_answer answer, struct wire_span methods)
{
	if (agent->stage == OFFERING && !agent->failure.failed &&
	    agent_offer_answered(&agent->offer, answer, methods))
		let_in(agent);
}

void agent_first_origin_gone(struct agent_first *agent, const char *text)
{
	if (agent_first_waits(agent))
		agent_fail(&agent->failure, "origin_failed", "%s ended the connection during the login%s%s",
		    agent->facts.host, text[0] != '\0' ? ": " : "", text);
}

/* -- time -- */

/* Who opened something else, and never a session: each is told in its channel, then the connection ends. */
static void refuse_held_opens(struct agent_first *agent)
{
	static const char text[] = "this rule logs in with your forwarded agent, which a client offers with "
	                           "a session only: ssh -N and -W open none; use ssh -A";

	for (struct agent_held *packet = agent->hold.head; packet != NULL; packet = packet->next) {
		uint8_t payload[REFUSAL_MAX];
		struct wire in = wire_over(packet->payload, packet->len);

		if (wire_u8(&in) != CONN_OPEN || packet->opening)
			continue;
		(void)wire_string(&in);
		uint32_t number = wire_u32(&in);
		if (!in.failed)
			agent->ops->to_client(agent->context, payload,
			    refuse_open(payload, number, OPEN_ADMINISTRATIVELY_PROHIBITED, text));
	}
}

static void waited_in_vain(struct agent_first *agent)
{
	refuse_held_opens(agent);
	if (agent->first != NO_FIRST)
		lacks_agent(agent);
	else
		agent_fail(&agent->failure, "no_agent",
		    "this rule logs in at %s with your forwarded agent, which a client offers with a session "
		    "only: ssh -N and -W open none; start a shell or a command with ssh -A",
		    agent->facts.host);
}

void agent_first_turn(struct agent_first *agent, uint64_t now_us)
{
	struct agent_held *awaited;

	if (!agent_first_waits(agent))
		return;
	while ((awaited = awaited_request(agent)) != NULL && now_us >= awaited->since_us + AGENT_PATIENCE_US)
		answer_early(agent, awaited);
	if (now_us >= agent->facts.deadline_us) {
		refuse_held_opens(agent);
		agent_fail(&agent->failure, "login_timeout",
		    "the login at %s with your agent took too long%s", agent->facts.host,
		    agent->offer.stage == AGENT_OFFER_SIGNING
		        ? ": the agent did not sign (was it to be confirmed, or touched?)"
		        : "");
	} else if (agent->stage == WAITING && now_us >= agent->wait_until_us) {
		waited_in_vain(agent);
	}
}

uint64_t agent_first_deadline(const struct agent_first *agent)
{
	uint64_t deadline = agent->facts.deadline_us;
	const struct agent_held *awaited = awaited_request(agent);

	if (!agent_first_waits(agent))
		return UINT64_MAX;
	if (agent->stage == WAITING && agent->wait_until_us < deadline)
		deadline = agent->wait_until_us;
	if (awaited != NULL && awaited->since_us + AGENT_PATIENCE_US < deadline)
		deadline = awaited->since_us + AGENT_PATIENCE_US;
	return deadline;
}

bool agent_first_waits(const struct agent_first *agent)
{
	return agent->stage < CONFIRMING && !agent->failure.failed;
}

/* -- birth and death -- */

struct agent_first *agent_first_create(
    const struct agent_login_facts *facts, const struct agent_first_ops *ops, void *context, uint64_t now_us)
{
	struct agent_first *agent = calloc(1, sizeof(*agent));

	if (agent == NULL)
		return NULL;
	agent->facts = *facts;
	agent->ops = ops;
	agent->context = context;
	agent->failure = (struct agent_failure){.told = ops->failed, .context = context};
	agent->offer = (struct agent_offer){.facts = &agent->facts,
	    .failure = &agent->failure,
	    .to_client = ops->to_client,
	    .to_origin = ops->to_origin,
	    .context = context};
	agent->wait_until_us = now_us + AGENT_WAIT_US;
	return agent;
}

void agent_first_free(struct agent_first *agent)
{
	if (agent == NULL)
		return;
	agent_hold_clear(&agent->hold);
	agent_offer_free(&agent->offer);
	free(agent);
}
