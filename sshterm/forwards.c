/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/forwards.h"

#include <arpa/inet.h>
#include <string.h>

#define HOST_MAX 253 /* RFC 1035 section 2.3.4, as text */

/* What was asked for. */
enum host_class { HOST_STRANGE = 0, HOST_NAME, HOST_ADDRESS };
struct host {
	enum host_class class;
	char name[HOST_MAX + 2];
	uint8_t address[16]; /* IPv4 mapped */
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(const uint8_t address[16])
{
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

/* -- the rules -- */

static struct wire read_extents(struct wire_span rules, uint8_t extent[RPC_FORWARD_KINDS], uint16_t *entries)
{
	struct wire in = wire_over(rules.at, rules.len);

	for (unsigned kind = 0; kind < RPC_FORWARD_KINDS; kind++)
		extent[kind] = wire_u8(&in);
	*entries = wire_u16(&in);
	return in;
}

enum rpc_forward_extent forwards_extent(struct wire_span rules, enum rpc_forward_kind kind)
{
	uint8_t extent[RPC_FORWARD_KINDS];
	uint16_t entries;

	if (rules.len == 0)
		return RPC_FORWARD_ALL;
	(void)read_extents(rules, extent, &entries);
	return (enum rpc_forward_extent)extent[kind];
}

/* -- what is asked for -- */

static bool is_number(const char *label)
{
	if (label[0] == '0' && label[1] == 'x')
		return strspn(label + 2, "0123456789abcdef") == strlen(label + 2);
	return strspn(label, "0123456789") == strlen(label);
}

/* `name`: small letters. */
static bool is_name(const char *name)
{
	const char *last = strrchr(name, '.');

	if (name[0] == '\0' || name[0] == '.' || strstr(name, "..") != NULL)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name) &&
	       !is_number(last == NULL ? name : last + 1);
}

static void read_host(struct wire_span text, struct host *host)
{
	host->class = HOST_STRANGE;
	/* False for NULs, too. */
	if (!wire_span_copy(text, host->name, sizeof(host->name)))
		return;
	memcpy(host->address, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, host->name, host->address + sizeof(mapped)) == 1 ||
	    inet_pton(AF_INET6, host->name, host->address) == 1) {
		host->class = HOST_ADDRESS;
		return;
	}
	size_t len = strlen(host->name);
	if (len > 0 && host->name[len - 1] == '.')
		host->name[len - 1] = '\0';
	for (char *c = host->name; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	if (is_name(host->name))
		host->class = HOST_NAME;
}

/* Does all of `text` match? '*' stands for any bytes but `stop`. Backtracks to the last '*' only: where an
 * earlier one stopped does not matter, as all between has matched. With a `stop` byte a '*' may not be
 * widened over it. */
static bool matches(struct wire_span pattern, struct wire_span text, int stop)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.at[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.len && pattern.at[p] == text.at[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX && text.at[mark] != stop) {
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.at[p] == '*')
		p++;
	return p == pattern.len;
}

static bool in_network(const struct rpc_forward *network, const uint8_t address[16])
{
	bool network_is_v4 = network->prefix >= 96 && is_mapped(network->address);
	unsigned bytes = network->prefix / 8, bits = network->prefix % 8;

	/* ::/0 is every IPv6 address, and no IPv4 one. */
	if (network_is_v4 != is_mapped(address) || memcmp(network->address, address, bytes) != 0)
		return false;
	return bits == 0 || (network->address[bytes] ^ address[bytes]) >> (8 - bits) == 0;
}

static bool holds(const struct rpc_forward *forward, const struct host *host, uint32_t port)
{
	if (port < forward->port_lo || port > forward->port_hi)
		return false;
	switch (forward->form) {
	case RPC_FORWARD_ANY_HOST:
		return true;
	case RPC_FORWARD_NAME:
		return host->class == HOST_NAME && matches(forward->pattern, wire_span_of(host->name), -1);
	case RPC_FORWARD_NETWORK:
		return host->class == HOST_ADDRESS && in_network(forward, host->address);
	default:
		return false;
	}
}

bool forwards_allow_host(
    struct wire_span rules, enum rpc_forward_kind kind, struct wire_span host_text, uint32_t port)
{
	uint8_t extent[RPC_FORWARD_KINDS];
	struct rpc_forward forward;
	struct host host;
	uint16_t entries;

	if (forwards_extent(rules, kind) != RPC_FORWARD_LISTED)
		return forwards_extent(rules, kind) == RPC_FORWARD_ALL;
	read_host(host_text, &host);
	struct wire in = read_extents(rules, extent, &entries);
	for (unsigned i = 0; i < entries && rpc_get_forward(&in, &forward); i++)
		if (forward.kind == kind && holds(&forward, &host, port))
			return true;
	return false;
}

/* No NUL, which would end it for the origin, and nothing that leads elsewhere. */
static bool is_plain_path(struct wire_span path)
{
	size_t component = 0; /* length of the last one so far; dots alone are told by `dots` */
	bool dots = true;

	if (path.len < 2 || path.at[0] != '/')
		return false;
	for (size_t i = 1; i <= path.len; i++) {
		if (i == path.len || path.at[i] == '/') {
			if (component == 0 || (dots && component <= 2))
				return false;
			component = 0;
			dots = true;
			continue;
		}
		if (path.at[i] == '\0')
			return false;
		dots = dots && path.at[i] == '.';
		component++;
	}
	return true;
}

bool forwards_allow_path(struct wire_span rules, enum rpc_forward_kind kind, struct wire_span path)
{
	uint8_t extent[RPC_FORWARD_KINDS];
	struct rpc_forward forward;
	uint16_t entries;

	if (forwards_extent(rules, kind) != RPC_FORWARD_LISTED)
		return forwards_extent(rules, kind) == RPC_FORWARD_ALL;
	if (!is_plain_path(path))
		return false;
	struct wire in = read_extents(rules, extent, &entries);
	for (unsigned i = 0; i < entries && rpc_get_forward(&in, &forward); i++)
		if (forward.kind == kind && matches(forward.pattern, path, '/'))
			return true;
	return false;
}
