/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/agent_hold.h"

#include <stdlib.h>
#include <string.h>

#include "sshterm/refusals.h"

bool agent_is_question(const uint8_t *payload, size_t len, struct wire_span *name)
{
	struct wire in = wire_over(payload, len);

	if (wire_u8(&in) != CONN_GLOBAL_REQUEST)
		return false;
	*name = wire_string(&in);
	return wire_u8(&in) != 0 && !in.failed;
}

static void append(struct agent_hold *hold, struct agent_held *held)
{
	struct wire_span name;

	held->next = NULL;
	*(hold->head == NULL ? &hold->head : &hold->tail->next) = held;
	hold->tail = held;
	hold->bytes += held->len + AGENT_HELD_COST;
	hold->questions += agent_is_question(held->payload, held->len, &name);
}

struct agent_held *agent_hold_put(struct agent_hold *hold, const uint8_t *payload, size_t len,
    uint32_t sequence, uint64_t now_us, bool *full)
{
	*full = len > AGENT_HELD_MAX || hold->bytes + len + AGENT_HELD_COST > AGENT_HELD_MAX;
	struct agent_held *held = *full ? NULL : calloc(1, sizeof(*held) + len);
	if (held == NULL)
		return NULL;
	held->since_us = now_us;
	held->sequence = sequence;
	held->len = (uint32_t)len;
	memcpy(held->payload, payload, len);
	append(hold, held);
	return held;
}

struct agent_held *agent_hold_take(struct agent_hold *hold)
{
	struct agent_held *held = hold->head;
	struct wire_span name;

	if (held == NULL)
		return NULL;
	hold->head = held->next;
	hold->bytes -= held->len + AGENT_HELD_COST;
	hold->questions -= agent_is_question(held->payload, held->len, &name);
	return held;
}

void agent_hold_drop_first(struct agent_hold *hold)
{
	struct agent_hold all = *hold;
	struct agent_held *held;

	*hold = (struct agent_hold){0};
	while ((held = agent_hold_take(&all)) != NULL) {
		if (held->first)
			free(held);
		else
			append(hold, held);
	}
}

void agent_hold_clear(struct agent_hold *hold)
{
	struct agent_held *held;

	while ((held = agent_hold_take(hold)) != NULL)
		free(held);
}

bool agent_held_asks(const struct agent_held *held, struct wire_span *name)
{
	struct wire in = wire_over(held->payload, held->len);
	uint8_t type = wire_u8(&in);

	(void)wire_u32(&in);
	*name = wire_string(&in);
	return wire_u8(&in) != 0 && type == CONN_REQUEST && !in.failed;
}

void agent_held_answered(struct agent_held *held)
{
	struct wire in = wire_over(held->payload, held->len);

	wire_skip(&in, 1 + 4);
	(void)wire_string(&in);
	size_t want_reply = held->len - wire_left(&in);
	if (!in.failed && want_reply < held->len)
		held->payload[want_reply] = 0;
}
