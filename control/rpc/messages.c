/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders and decoders, made from the tables in rpc.h. */
#include "control/rpc/rpc.h"

#include <string.h>

#define PUT_u8(out, v) wire_put_u8((out), (v))
#define PUT_u16(out, v) wire_put_u16((out), (v))
#define PUT_u32(out, v) wire_put_u32((out), (v))
#define PUT_u64(out, v) wire_put_u64((out), (v))
#define PUT_span(out, v) wire_put_string((out), (v).at, (v).len)

#define GET_u8(in) wire_u8(in)
#define GET_u16(in) wire_u16(in)
#define GET_u32(in) wire_u32(in)
#define GET_u64(in) wire_u64(in)
#define GET_span(in) wire_string(in)

#define PUT_FIELD(kind, field) PUT_##kind(out, body->field);
#define GET_FIELD(kind, field) body->field = GET_##kind(&in);

#define DEFINE(NAME, name, number)                                                                           \
	void rpc_put_##name(struct wire_out *out, const void *from)                                          \
	{                                                                                                    \
		const struct rpc_##name *body = from;                                                        \
		NAME##_FIELDS(PUT_FIELD)                                                                     \
	}                                                                                                    \
	bool rpc_get_##name(struct wire_span bytes, struct rpc_##name *body)                                 \
	{                                                                                                    \
		struct wire in = wire_over(bytes.at, bytes.len);                                             \
		NAME##_FIELDS(GET_FIELD) return wire_done(&in);                                              \
	}
RPC_MESSAGES(DEFINE)

const char *rpc_type_name(uint16_t type)
{
	switch (type) {
#define NAME_OF(NAME, name, number)                                                                          \
	case number:                                                                                         \
		return #NAME;
		RPC_MESSAGES(NAME_OF)
	default:
		return "unknown";
	}
}

const char *rpc_role_name(enum rpc_role role)
{
	static const char *const names[] = {
	    "nobody", "supervisor", "control", "keeper", "dataplane", "sshterm", "recorder"};

	return (unsigned)role <= RPC_ROLE_MAX ? names[role] : "unknown";
}

void rpc_put_policy_match(struct wire_out *out, const struct rpc_policy_match *m)
{
	wire_put_u8(out, m->family);
	wire_put_u8(out, m->protocol);
	wire_put_u16(out, m->vlan_lo);
	wire_put_u16(out, m->vlan_hi);
	wire_put_u8(out, m->link);
	wire_put_u8(out, m->src_plen);
	wire_put_bytes(out, m->src, sizeof(m->src));
	wire_put_u8(out, m->dst_plen);
	wire_put_bytes(out, m->dst, sizeof(m->dst));
	wire_put_u16(out, m->sport_lo);
	wire_put_u16(out, m->sport_hi);
	wire_put_u16(out, m->dport_lo);
	wire_put_u16(out, m->dport_hi);
}

static bool policy_match_possible(const struct rpc_policy_match *m)
{
	unsigned plen_max = m->family == 4 ? 32 : 128;

	if (m->family != 0 && m->family != 4 && m->family != 6)
		return false;
	if (m->family == 0 && (m->src_plen != 0 || m->dst_plen != 0))
		return false;
	return m->src_plen <= plen_max && m->dst_plen <= plen_max && m->vlan_lo <= m->vlan_hi &&
	       m->vlan_hi <= 4095 && m->sport_lo <= m->sport_hi && m->dport_lo <= m->dport_hi;
}

bool rpc_get_policy_match(struct wire *in, struct rpc_policy_match *m)
{
	struct wire_span address;

	*m = (struct rpc_policy_match){0};
	m->family = wire_u8(in);
	m->protocol = wire_u8(in);
	m->vlan_lo = wire_u16(in);
	m->vlan_hi = wire_u16(in);
	m->link = wire_u8(in);
	m->src_plen = wire_u8(in);
	address = wire_bytes(in, sizeof(m->src));
	if (address.len > 0)
		memcpy(m->src, address.at, sizeof(m->src));
	m->dst_plen = wire_u8(in);
	address = wire_bytes(in, sizeof(m->dst));
	if (address.len > 0)
		memcpy(m->dst, address.at, sizeof(m->dst));
	m->sport_lo = wire_u16(in);
	m->sport_hi = wire_u16(in);
	m->dport_lo = wire_u16(in);
	m->dport_hi = wire_u16(in);
	return !in->failed && policy_match_possible(m);
}

void rpc_put_forward(struct wire_out *out, const struct rpc_forward *forward)
{
	wire_put_u8(out, forward->kind);
	wire_put_u8(out, forward->form);
	wire_put_u8(out, forward->prefix);
	wire_put_bytes(out, forward->address, sizeof(forward->address));
	wire_put_string(out, forward->pattern.at, forward->pattern.len);
	wire_put_u16(out, forward->port_lo);
	wire_put_u16(out, forward->port_hi);
}

static bool forward_possible(const struct rpc_forward *forward)
{
	bool is_path = forward->kind == RPC_FORWARD_UNIX_LOCAL || forward->kind == RPC_FORWARD_UNIX_REMOTE;
	bool has_pattern = forward->form == RPC_FORWARD_NAME || forward->form == RPC_FORWARD_PATH;

	return forward->kind < RPC_FORWARD_TUN && forward->form <= RPC_FORWARD_PATH &&
	       is_path == (forward->form == RPC_FORWARD_PATH) && forward->prefix <= 128 &&
	       has_pattern == (forward->pattern.len > 0) && forward->pattern.len <= RPC_FORWARD_PATTERN_MAX &&
	       forward->port_lo <= forward->port_hi;
}

bool rpc_get_forward(struct wire *in, struct rpc_forward *forward)
{
	*forward = (struct rpc_forward){0};
	forward->kind = wire_u8(in);
	forward->form = wire_u8(in);
	forward->prefix = wire_u8(in);
	struct wire_span address = wire_bytes(in, sizeof(forward->address));
	if (address.len > 0)
		memcpy(forward->address, address.at, sizeof(forward->address));
	forward->pattern = wire_string(in);
	forward->port_lo = wire_u16(in);
	forward->port_hi = wire_u16(in);
	return !in->failed && forward_possible(forward);
}

bool rpc_forwards_valid(struct wire_span forwards)
{
	struct wire in = wire_over(forwards.at, forwards.len);
	struct rpc_forward forward;
	uint8_t extent = RPC_FORWARD_ALL;

	if (forwards.len == 0)
		return true;
	for (unsigned kind = 0; kind < RPC_FORWARD_KINDS; kind++) {
		extent = wire_u8(&in);
		if (extent > RPC_FORWARD_LISTED)
			return false;
	}
	uint16_t entries = wire_u16(&in);
	/* The last kind is all or none. */
	if (entries > RPC_FORWARD_ENTRIES_MAX || extent == RPC_FORWARD_LISTED)
		return false;
	for (unsigned i = 0; i < entries; i++)
		if (!rpc_get_forward(&in, &forward))
			return false;
	return wire_done(&in);
}
