/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/refusals.h"

#include <stdio.h>

#include "control/rpc/rpc.h"
#include "sshterm/channel_facts.h"
#include "sshterm/forwards.h"
#include "sshterm/listening.h"

#define CLIENT 0u

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

static bool is_agent_channel(struct wire_span type)
{
	return wire_span_is(type, "auth-agent@openssh.com") || wire_span_is(type, "auth-agent") ||
	       wire_span_is(type, "agent-connect");
}

#define REFUSAL_IN(table, permits, name)                                                                     \
	refusal_in(table, sizeof(table) / sizeof((table)[0]), (permits), (name))

#define TEXT_DIRECTION "this rule allows forwardings that the client asks for, only"
#define TEXT_UNASKED "nobody asked for this forwarding"
#define TEXT_NOTHING_LEFT "this rule allows no such forwarding"

static bool refuse(char text[REFUSAL_TEXT_MAX], const char *why)
{
	snprintf(text, REFUSAL_TEXT_MAX, "%s", why);
	return true;
}

static bool refuse_place(char text[REFUSAL_TEXT_MAX], const char *what, const char *place)
{
	snprintf(text, REFUSAL_TEXT_MAX, "this rule allows no forwarding %s %.100s", what, place);
	return true;
}

/* Host and port, or a path, against the rule. Bodies that are cut short match nothing but "all". */
static bool refuse_destination(const struct refusal_rules *rules, enum rpc_forward_kind kind,
    struct wire body, const char *what, char text[REFUSAL_TEXT_MAX])
{
	char shown[CHANNEL_PLACE_MAX];
	struct wire_span place = wire_string(&body);

	if (kind == RPC_FORWARD_UNIX_LOCAL || kind == RPC_FORWARD_UNIX_REMOTE) {
		if (forwards_allow_path(rules->forwards, kind, place))
			return false;
		facts_print_path(shown, place);
	} else {
		uint32_t port = wire_u32(&body);

		if (forwards_allow_host(rules->forwards, kind, place, body.failed ? UINT32_MAX : port))
			return false;
		facts_print_place(shown, place, port);
	}
	return refuse_place(text, what, shown);
}

/* A forwarding that is asked for: from the client, to one of the rule's destinations. What an origin asks of
 * a client no list speaks of. */
static bool refuse_asked(const struct refusal_rules *rules, enum rpc_forward_kind kind, unsigned from,
    struct wire body, const char *what, char text[REFUSAL_TEXT_MAX])
{
	enum rpc_forward_extent extent = forwards_extent(rules->forwards, kind);

	if (extent == RPC_FORWARD_ALL)
		return false;
	if (from != CLIENT)
		return refuse(text, TEXT_DIRECTION);
	return extent == RPC_FORWARD_NONE ? refuse(text, TEXT_NOTHING_LEFT)
	                                  : refuse_destination(rules, kind, body, what, text);
}

/* Somebody was connected to where `from` listens: had the other side asked for that? */
static bool refuse_announced(const struct refusal_rules *rules, const struct listening *listening,
    unsigned from, bool is_path, struct wire body, char text[REFUSAL_TEXT_MAX])
{
	enum rpc_forward_kind kind = is_path ? RPC_FORWARD_UNIX_REMOTE : RPC_FORWARD_REMOTE;
	struct wire_span place = wire_string(&body);

	if (from == CLIENT) /* an origin that asked its client to listen */
		return forwards_extent(rules->forwards, kind) != RPC_FORWARD_ALL &&
		       refuse(text, TEXT_DIRECTION);
	uint32_t port = is_path ? 0 : wire_u32(&body);
	/* A port that is cut off reads as 0, which may well have been asked for. */
	if (!body.failed &&
	    (is_path ? listening_has_path(listening, place) : listening_has_port(listening, port)))
		return false;
	return refuse(text, TEXT_UNASKED);
}

bool refusal_of_open(const struct refusal_rules *rules, const struct listening *listening, unsigned from,
    struct wire_span type, struct wire body, char text[REFUSAL_TEXT_MAX])
{
	const char *kind = REFUSAL_IN(opens, rules->permits, type);

	if (kind != NULL)
		return refuse(text, kind);
	if (wire_span_is(type, "direct-tcpip"))
		return refuse_asked(rules, RPC_FORWARD_LOCAL, from, body, "to", text);
	if (wire_span_is(type, "direct-streamlocal@openssh.com"))
		return refuse_asked(rules, RPC_FORWARD_UNIX_LOCAL, from, body, "to", text);
	if (wire_span_is(type, "tun@openssh.com"))
		return refuse_asked(rules, RPC_FORWARD_TUN, from, body, "", text);
	if (wire_span_is(type, "forwarded-tcpip"))
		return refuse_announced(rules, listening, from, false, body, text);
	if (wire_span_is(type, "forwarded-streamlocal@openssh.com"))
		return refuse_announced(rules, listening, from, true, body, text);
	if (from != CLIENT && ((wire_span_is(type, "x11") && !rules->x11_asked) ||
	                          (is_agent_channel(type) && !rules->agent_asked)))
		return refuse(text, TEXT_UNASKED);
	return false;
}

bool refusal_of_global_request(const struct refusal_rules *rules, unsigned from, struct wire_span name,
    struct wire body, char text[REFUSAL_TEXT_MAX])
{
	const char *kind = REFUSAL_IN(global_requests, rules->permits, name);

	if (kind != NULL)
		return refuse(text, kind);
	if (wire_span_is(name, "tcpip-forward"))
		return refuse_asked(rules, RPC_FORWARD_REMOTE, from, body, "from", text);
	if (wire_span_is(name, "streamlocal-forward@openssh.com"))
		return refuse_asked(rules, RPC_FORWARD_UNIX_REMOTE, from, body, "from", text);
	return false;
}

void refusal_note_request(struct refusal_rules *rules, unsigned from, struct wire_span name)
{
	if (from != CLIENT)
		return;
	rules->x11_asked = rules->x11_asked || wire_span_is(name, "x11-req");
	rules->agent_asked = rules->agent_asked || wire_span_is(name, "auth-agent-req@openssh.com") ||
	                     wire_span_is(name, "auth-agent-req") || wire_span_is(name, "agent-req");
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
