/* SPDX-License-Identifier: Apache-2.0 */
/* sources: sshterm/agent_first.c sshterm/agent_offer.c sshterm/agent_hold.c sshterm/agent_channel.c
 * sshterm/agent_keys.c sshterm/agent_protocol.c sshterm/refusals.c sshterm/forwards.c sshterm/listening.c
 * sshterm/channel_facts.c; deps: wire rpc libsodium */
/*
 * The login by the client's agent, between a hostile client and a hostile origin. Input: steps of u8 what
 * (low bits: client, origin, the origin's answer to a login, time), u8 length, bytes. Checked besides memory:
 * it fails once, and says nothing afterwards; the client's agent is reached only when it was asked for;
 * messages are relayed only once the origin has let us in; and whoever waits has a time by which it ends.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/agent_first.h"
#include "sshterm/refusals.h"

static bool is_over, requested, let_in;
static unsigned confirmed;

static void to_client(void *context, const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);

	(void)context;
	if (is_over || len == 0)
		abort();
	if (wire_u8(&in) == CONN_OPEN &&
	    !(requested && wire_span_is(wire_string(&in), "auth-agent@openssh.com")))
		abort();
	confirmed += payload[0] == CONN_OPEN_CONFIRMATION;
}

static void to_origin(void *context, const uint8_t *payload, size_t len, bool proof)
{
	(void)context;
	(void)proof;
	if (is_over || len == 0 || payload[0] != 50 || let_in)
		abort();
}

static void relay(void *context, const uint8_t *payload, size_t len, uint32_t sequence)
{
	volatile uint8_t sum = 0;

	(void)context;
	(void)sequence;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + payload[i]);
	if (is_over || !let_in || len == 0)
		abort();
}

static void look(void *context, const uint8_t *payload, size_t len)
{
	(void)context;
	if (is_over || !let_in || len < 5 ||
	    (payload[0] != CONN_OPEN_CONFIRMATION && payload[0] != CONN_OPEN_FAILURE))
		abort();
}

static void logged_in(void *context, const char *fingerprint, const struct agent_key *key)
{
	(void)context;
	if (let_in || strncmp(fingerprint, "SHA256:", 7) != 0 || key->algorithm == NULL)
		abort();
	let_in = true;
}

static void failed(void *context, const char *reason, const char *text)
{
	(void)context;
	if (is_over || reason == NULL || text[0] == '\0')
		abort();
	is_over = true;
}

static const struct agent_first_ops ops = {.to_client = to_client,
    .to_origin = to_origin,
    .relay = relay,
    .look = look,
    .logged_in = logged_in,
    .failed = failed};

static bool asks_for_agent(struct wire_span payload)
{
	struct wire in = wire_over(payload.at, payload.len);
	bool request = wire_u8(&in) == CONN_REQUEST && wire_u32(&in) == AGENT_SESSION_NUMBER;
	struct wire_span name = wire_string(&in);

	return request && !in.failed &&
	       (wire_span_is(name, "auth-agent-req@openssh.com") || wire_span_is(name, "auth-agent-req"));
}

static void step(struct agent_first *agent, uint8_t what, struct wire_span bytes, uint64_t *now)
{
	switch (what & 3) {
	case 0:
		requested |= asks_for_agent(bytes);
		(void)agent_first_packet(agent, 0, bytes.at, bytes.len, 1, *now);
		break;
	case 1:
		/* Before it has let us in, nothing of an origin gets past libssh. */
		if (let_in)
			(void)agent_first_packet(agent, 1, bytes.at, bytes.len, 1, *now);
		break;
	case 2:
		agent_first_answered(agent, (what >> 2) & 3, bytes);
		break;
	default:
		*now = agent_first_deadline(agent) == UINT64_MAX ? *now : agent_first_deadline(agent);
		agent_first_turn(agent, *now);
		if (agent_first_deadline(agent) <= *now)
			abort(); /* it would turn for ever */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct agent_login_facts facts = {.host = "host",
	    .wish = {.login = "alice", .now_s = 1000},
	    .session_id = {(const uint8_t *)"id", 2},
	    .tries = AGENT_TRIES_MAX,
	    .deadline_us = 60000000};
	struct wire in = wire_over(input, size);
	uint64_t now = 0;
	struct agent_first *agent = agent_first_create(&facts, &ops, NULL, now);

	is_over = requested = let_in = false;
	confirmed = 0;
	while (agent != NULL && wire_left(&in) > 0) {
		uint8_t what = wire_u8(&in);
		struct wire_span bytes = wire_bytes(&in, wire_u8(&in));

		if (in.failed)
			break;
		uint8_t *exact = malloc(bytes.len + 1);
		if (bytes.len > 0)
			memcpy(exact, bytes.at, bytes.len);
		step(agent, what, (struct wire_span){exact, bytes.len}, &now);
		free(exact);
	}
	agent_first_free(agent);
	return 0;
}
