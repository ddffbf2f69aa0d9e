/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/refusals.h"

#include "control/rpc/rpc.h"

/* RFC 4254 sections 6.3, 7; OpenSSH's PROTOCOL sections 2.3, 2.4; the agent draft's names as well. A name
 * that stands in no table is nothing that a rule speaks of: it passes. */
struct rule_of_name {
	const char *name;
	uint32_t permit;
	const char *text;
};

#define TEXT_PTY "this rule allows no terminal (pty)"
#define TEXT_PORT "this rule allows no port forwarding"
#define TEXT_AGENT "this rule allows no agent forwarding"
#define TEXT_X11 "this rule allows no X11 forwarding"

static const struct rule_of_name opens[] = {
    {"direct-tcpip", RPC_PERMIT_PORT_FORWARDING, TEXT_PORT},
    {"forwarded-tcpip", RPC_PERMIT_PORT_FORWARDING, TEXT_PORT},
    {"direct-streamlocal@openssh.com", RPC_PERMIT_PORT_FORWARDING, TEXT_PORT},
    {"forwarded-streamlocal@openssh.com", RPC_PERMIT_PORT_FORWARDING, TEXT_PORT},
    {"tun@openssh.com", RPC_PERMIT_PORT_FORWARDING, TEXT_PORT},
    {"auth-agent@openssh.com", RPC_PERMIT_AGENT_FORWARDING, TEXT_AGENT},
    {"auth-agent", RPC_PERMIT_AGENT_FORWARDING, TEXT_AGENT},
    {"agent-connect", RPC_PERMIT_AGENT_FORWARDING, TEXT_AGENT},
    {"x11", RPC_PERMIT_X11_FORWARDING, TEXT_X11},
};

static const struct rule_of_name global_requests[] = {
    {"tcpip-forward", RPC_PERMIT_PORT_FORWARDING, TEXT_PORT},
    {"streamlocal-forward@openssh.com", RPC_PERMIT_PORT_FORWARDING, TEXT_PORT},
};

static const struct rule_of_name requests[] = {
    {"pty-req", RPC_PERMIT_PTY, TEXT_PTY},
    {"auth-agent-req@openssh.com", RPC_PERMIT_AGENT_FORWARDING, TEXT_AGENT},
    {"auth-agent-req", RPC_PERMIT_AGENT_FORWARDING, TEXT_AGENT},
    {"agent-req", RPC_PERMIT_AGENT_FORWARDING, TEXT_AGENT},
    {"x11-req", RPC_PERMIT_X11_FORWARDING, TEXT_X11},
};

bool is_agent_request(struct wire_span name)
{
	return wire_span_is(name, "auth-agent-req@openssh.com") || wire_span_is(name, "auth-agent-req");
}

static const char *refusal_in(
    const struct rule_of_name *table, size_t entries, uint32_t permits, struct wire_span name)
{
	for (size_t i = 0; i < entries; i++) {
		if (wire_span_is(name, table[i].name))
			return permits & table[i].permit ? NULL : table[i].text;
	}
	return NULL;
}

#define REFUSAL_IN(table, permits, name)                                                                     \
	refusal_in(table, sizeof(table) / sizeof((table)[0]), (permits), (name))

const char *refusal_of_open(uint32_t permits, struct wire_span type)
{
	return REFUSAL_IN(opens, permits, type);
}

const char *refusal_of_global_request(uint32_t permits, struct wire_span name)
{
	return REFUSAL_IN(global_requests, permits, name);
}

const char *refusal_of_request(uint32_t permits, struct wire_span name)
{
	return REFUSAL_IN(requests, permits, name);
}

size_t refuse_open(uint8_t out[REFUSAL_MAX], uint32_t number, enum open_failure code, const char *text)
{
	struct wire_out o = wire_into(out, REFUSAL_MAX);

	wire_put_u8(&o, CONN_OPEN_FAILURE);
	wire_put_u32(&o, number);
	wire_put_u32(&o, code);
	wire_put_cstring(&o, text);
	wire_put_cstring(&o, ""); /* language tag */
	return wire_written(&o);
}

size_t refuse_request(uint8_t out[REFUSAL_MAX], uint32_t number)
{
	struct wire_out o = wire_into(out, REFUSAL_MAX);

	wire_put_u8(&o, CONN_FAILURE);
	wire_put_u32(&o, number);
	return wire_written(&o);
}

size_t refuse_global_request(uint8_t out[REFUSAL_MAX])
{
	out[0] = CONN_REQUEST_FAILURE;
	return 1;
}
