/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy/ssh_forward.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const forward_keys[] = {"local", "remote", "unix_local", "unix_remote", "tun", NULL};

#define EXPECTED_PLACE                                                                                       \
	"expected HOST:PORTS, where HOST is a name (with * for anything), an IPv4 address or network, an "   \
	"IPv6 "                                                                                              \
	"one in brackets, or *, and PORTS a port, a range or *, such as \"*.example.org:443\", "             \
	"\"10.1.0.0/16:5432-5433\" or \"[2001:db8::]/32:*\""

struct forwards {
	uint8_t extent[RPC_FORWARD_KINDS];
	struct wire_out out;
	unsigned entries;
};

static bool bad_place(struct yaml_doc *doc, const struct yaml_node *node, const char *expected)
{
	char shown[80];

	yaml_shown(node, shown, sizeof(shown));
	return yaml_fail(doc, node, "%s; found %s", expected, shown);
}

/* -- ports -- */

static bool read_port(const char **at, uint32_t max, uint16_t *port)
{
	uint32_t number = 0;
	const char *start = *at;

	while (**at >= '0' && **at <= '9' && *at - start < 6)
		number = number * 10 + (uint32_t)(*(*at)++ - '0');
	*port = (uint16_t)number;
	return *at != start && number <= max;
}

static bool read_ports(const char *text, struct rpc_forward *forward)
{
	forward->port_lo = 0;
	forward->port_hi = UINT16_MAX;
	if (strcmp(text, "*") == 0)
		return true;
	if (!read_port(&text, UINT16_MAX, &forward->port_lo))
		return false;
	forward->port_hi = forward->port_lo;
	if (*text == '-') {
		text++;
		if (!read_port(&text, UINT16_MAX, &forward->port_hi))
			return false;
	}
	return *text == '\0' && forward->port_lo <= forward->port_hi;
}

/* -- hosts -- */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool bits_after_prefix(const struct rpc_forward *forward)
{
	for (unsigned i = forward->prefix; i < 128; i++)
		if ((forward->address[i / 8] & (0x80 >> (i % 8))) != 0)
			return true;
	return false;
}

/* "10.0.0.0/8", "10.0.0.1"; within brackets "2001:db8::" or, with the length behind them, "[2001:db8::]/32".
 */
static bool read_network(char *text, bool brackets, struct rpc_forward *forward)
{
	char *slash = strchr(text, '/'), *end;
	unsigned long prefix = brackets ? 128 : 32;

	if (slash != NULL) {
		*slash++ = '\0';
		if (*slash < '0' || *slash > '9')
			return false;
		unsigned long bits = strtoul(slash, &end, 10);
		if (*end != '\0' || bits > prefix)
			return false;
		prefix = bits;
	}
	forward->form = RPC_FORWARD_NETWORK;
	if (brackets) {
		forward->prefix = (uint8_t)prefix;
		return inet_pton(AF_INET6, text, forward->address) == 1;
	}
	memcpy(forward->address, mapped, sizeof(mapped));
	forward->prefix = (uint8_t)(96 + prefix);
	return inet_pton(AF_INET, text, forward->address + sizeof(mapped)) == 1;
}

/* A name in small letters, without the root's dot. One that ends in a number would be an address to somebody.
 */
static bool read_name(char *text, struct rpc_forward *forward)
{
	size_t len = strlen(text);

	if (len > 0 && text[len - 1] == '.')
		text[--len] = '\0';
	if (len == 0 || len > RPC_FORWARD_PATTERN_MAX || strstr(text, "..") != NULL || text[0] == '.')
		return false;
	for (char *c = text; *c != '\0'; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.*", *c) == NULL)
			return false;
	}
	if (strspn(text, "0123456789.*") == len)
		return false;
	const char *last = strrchr(text, '.');
	last = last == NULL ? text : last + 1;
	if (strspn(last, "0123456789") == strlen(last) ||
	    (last[0] == '0' && last[1] == 'x' && strspn(last + 2, "0123456789abcdef") == strlen(last + 2)))
		return false;
	forward->form = RPC_FORWARD_NAME;
	forward->pattern = wire_span_of(text);
	return true;
}

static bool read_host(char *host, struct rpc_forward *forward)
{
	size_t len = strlen(host);

	if (strcmp(host, "*") == 0) {
		forward->form = RPC_FORWARD_ANY_HOST;
		return true;
	}
	if (host[0] == '[') {
		char *close = strchr(host, ']');
		if (close == NULL)
			return false;
		/* "[2001:db8::]/32" and "[2001:db8::/32]" are the same. */
		memmove(close, close + 1, strlen(close));
		return read_network(host + 1, true, forward);
	}
	if (strchr(host, ':') != NULL)
		return false;
	if (strchr(host, '/') != NULL || (len > 0 && strspn(host, "0123456789.") == len))
		return read_network(host, false, forward);
	return read_name(host, forward);
}

static bool read_place(struct yaml_doc *doc, const struct yaml_node *node, const char *text,
    struct forwards *forwards, uint8_t kind)
{
	struct rpc_forward forward = {.kind = kind};
	char host[RPC_FORWARD_PATTERN_MAX + 8];
	const char *colon = strrchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return bad_place(doc, node, EXPECTED_PLACE);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (!read_ports(colon + 1, &forward) || !read_host(host, &forward))
		return bad_place(doc, node, EXPECTED_PLACE);
	if (forward.form == RPC_FORWARD_NETWORK && bits_after_prefix(&forward))
		return yaml_fail(doc, node, "%s has bits set after its prefix: is the length right?", text);
	if (forward.form == RPC_FORWARD_NETWORK && host[0] == '[' && forward.prefix >= 96 &&
	    memcmp(forward.address, mapped, sizeof(mapped)) == 0)
		return yaml_fail(doc, node, "%s is an IPv4 network in IPv6 clothes: write it as such", text);
	if (kind == RPC_FORWARD_LOCAL && forward.port_hi == 0)
		return yaml_fail(doc, node, "nothing listens on port 0");
	rpc_put_forward(&forwards->out, &forward);
	return true;
}

/* -- paths -- */

static bool read_path(struct yaml_doc *doc, const struct yaml_node *node, const char *text,
    struct forwards *forwards, uint8_t kind)
{
	struct rpc_forward forward = {.kind = kind, .form = RPC_FORWARD_PATH, .port_hi = UINT16_MAX};
	size_t len = strlen(text);
	bool plain = text[0] == '/' && strstr(text, "//") == NULL && strstr(text, "/./") == NULL &&
	             strstr(text, "/../") == NULL && text[len - 1] != '/' &&
	             (len < 2 || strcmp(text + len - 2, "/.") != 0) &&
	             (len < 3 || strcmp(text + len - 3, "/..") != 0);

	for (const char *c = text; *c != '\0'; c++)
		plain = plain && (unsigned char)*c >= ' ' && *c != 0x7f;
	if (!plain)
		return bad_place(doc, node,
		    "expected the path of a socket, from / on, without . and .. (* stands for anything but "
		    "/), such "
		    "as /run/user/*/app.sock");
	forward.pattern = wire_span_of(text);
	rpc_put_forward(&forwards->out, &forward);
	return true;
}

/* -- the map -- */

static void read_kind(
    struct yaml_doc *doc, const struct yaml_node *node, struct forwards *forwards, uint8_t kind)
{
	bool is_path = kind == RPC_FORWARD_UNIX_LOCAL || kind == RPC_FORWARD_UNIX_REMOTE, all = true;

	if (node == NULL)
		return;
	if (kind == RPC_FORWARD_TUN || (node->kind == YAML_SCALAR && (strcmp(node->text, "true") == 0 ||
	                                                                 strcmp(node->text, "false") == 0))) {
		yaml_bool(doc, node, &all);
		forwards->extent[kind] = all ? RPC_FORWARD_ALL : RPC_FORWARD_NONE;
		return;
	}
	if (node->kind != YAML_LIST) {
		bad_place(doc, node, "expected true, false or a list of destinations");
		return;
	}
	forwards->extent[kind] = node->count == 0 ? RPC_FORWARD_NONE : RPC_FORWARD_LISTED;
	for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
		const char *text;

		if (++forwards->entries > RPC_FORWARD_ENTRIES_MAX) {
			yaml_fail(doc, item, "too many destinations (a rule has at most %u)",
			    RPC_FORWARD_ENTRIES_MAX);
			return;
		}
		if (!yaml_text(doc, item, RPC_FORWARD_PATTERN_MAX, &text) ||
		    !(is_path ? read_path(doc, item, text, forwards, kind)
		              : read_place(doc, item, text, forwards, kind)))
			return;
	}
}

/* The extents, the number of entries, and the entries that were written meanwhile. */
static bool keep(const struct forwards *forwards, struct policy_ssh *ssh)
{
	size_t len = wire_written(&forwards->out), size = RPC_FORWARD_KINDS + 2 + len;
	struct wire_out out;

	ssh->forwards = malloc(size);
	if (ssh->forwards == NULL)
		return false;
	out = wire_into(ssh->forwards, size);
	wire_put_bytes(&out, forwards->extent, sizeof(forwards->extent));
	wire_put_u16(&out, (uint16_t)forwards->entries);
	wire_put_bytes(&out, forwards->out.start, len);
	ssh->forwards_len = wire_written(&out);
	return !out.failed;
}

void forward_read(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	struct forwards forwards = {0};
	bool any = false;

	if (node == NULL)
		return;
	uint8_t *room = malloc(RPC_FORWARDS_MAX);
	if (room == NULL) {
		yaml_fail(doc, node, "out of memory");
		return;
	}
	forwards.out = wire_into(room, RPC_FORWARDS_MAX);
	yaml_map(doc, node, forward_keys, NULL);
	for (uint8_t kind = 0; kind < RPC_FORWARD_KINDS && yaml_ok(doc); kind++) {
		read_kind(doc, yaml_get(node, forward_keys[kind]), &forwards, kind);
		any = any || forwards.extent[kind] != RPC_FORWARD_NONE;
	}
	if (yaml_ok(doc) && any && (ssh->permits & RPC_PERMIT_PORT_FORWARDING) == 0)
		yaml_fail(doc, node,
		    "means nothing here: permit does not have port-forwarding, which all of these need");
	/* What the origin is told by the certificate agrees with what the box lets pass. */
	if (!any)
		ssh->permits &= ~(uint32_t)RPC_PERMIT_PORT_FORWARDING;
	if (yaml_ok(doc) && !keep(&forwards, ssh))
		yaml_fail(doc, node, "out of memory");
	free(room);
}

void session_notice_read(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	const char *text;

	if (!yaml_text(doc, node, SESSION_NOTICE_MAX, &text))
		return;
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f) {
			yaml_fail(doc, node, "expected one line of text, without control characters");
			return;
		}
	ssh->session_notice = strdup(text);
	if (ssh->session_notice == NULL)
		yaml_fail(doc, node, "out of memory");
}
