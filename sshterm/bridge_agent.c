/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/bridge_agent.h"

#include <stdlib.h>

#include "sshterm/session.h"

struct bridge_agent {
	struct agent_first *first;
	const struct bridge_login *login;
	void *login_context;
	const struct bridge_doors *doors;
	void *bridge;
};

static void to_client(void *context, const uint8_t *payload, size_t len)
{
	struct bridge_agent *agent = context;

	agent->doors->to_client(agent->bridge, payload, len);
}

static void to_origin(void *context, const uint8_t *payload, size_t len, bool proof)
{
	struct bridge_agent *agent = context;

	(void)proof;
	if (agent->login->send_request(agent->login_context, payload, len) != 0)
		agent->doors->end(agent->bridge, "out_of_memory", "this appliance is out of memory");
}

static void relay(void *context, const uint8_t *payload, size_t len, uint32_t sequence)
{
	struct bridge_agent *agent = context;

	agent->doors->relay(agent->bridge, payload, len, sequence);
}

static void look(void *context, const uint8_t *payload, size_t len)
{
	struct bridge_agent *agent = context;

	agent->doors->look(agent->bridge, payload, len);
}

static void logged_in(void *context, const char *fingerprint, const struct agent_key *key)
{
	struct bridge_agent *agent = context;

	agent->login->logged_in(agent->login_context, fingerprint, key);
}

static void failed(void *context, const char *reason, const char *text)
{
	struct bridge_agent *agent = context;

	agent->login->failed(agent->login_context, reason, text);
	agent->doors->end(agent->bridge, reason, text);
}

static const struct agent_first_ops ops = {.to_client = to_client,
    .to_origin = to_origin,
    .relay = relay,
    .look = look,
    .logged_in = logged_in,
    .failed = failed};

struct bridge_agent *bridge_agent_create(const struct bridge_login *login,
    const struct agent_login_facts *facts, void *context, const struct bridge_doors *doors, void *bridge)
{
	struct bridge_agent *agent = calloc(1, sizeof(*agent));

	if (agent == NULL)
		return NULL;
	*agent =
	    (struct bridge_agent){.login = login, .login_context = context, .doors = doors, .bridge = bridge};
	agent->first = agent_first_create(facts, &ops, agent, worker_now_us());
	if (agent->first != NULL)
		return agent;
	free(agent);
	return NULL;
}

void bridge_agent_free(struct bridge_agent *agent)
{
	if (agent == NULL)
		return;
	agent_first_free(agent->first);
	free(agent);
}

bool bridge_agent_packet(
    struct bridge_agent *agent, unsigned from, const uint8_t *payload, size_t len, uint32_t sequence)
{
	return agent != NULL &&
	       agent_first_packet(agent->first, from, payload, len, sequence, worker_now_us());
}

bool bridge_agent_origin_left(struct bridge_agent *agent, const uint8_t *payload, size_t len)
{
	struct wire in = wire_over(payload, len);
	char text[SESSION_TEXT_MAX];

	if (agent == NULL || !agent_first_waits(agent->first))
		return false;
	wire_skip(&in, 1 + 4);
	(void)wire_span_copy(wire_string(&in), text, sizeof(text));
	agent_first_origin_gone(agent->first, text);
	return true;
}

void bridge_agent_turn(struct bridge_agent *agent)
{
	enum agent_origin_answer answer;
	struct wire_span methods;

	if (agent == NULL || !agent_first_waits(agent->first))
		return;
	if (agent->login->take_answer(agent->login_context, &answer, &methods))
		agent_first_answered(agent->first, answer, methods);
	agent_first_turn(agent->first, worker_now_us());
}

bool bridge_agent_waits(const struct bridge_agent *agent)
{
	return agent != NULL && agent_first_waits(agent->first);
}

uint64_t bridge_agent_deadline(const struct bridge_agent *agent)
{
	return agent == NULL ? UINT64_MAX : agent_first_deadline(agent->first);
}
