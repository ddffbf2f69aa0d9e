/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy/match.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 4096 /* entries of one list in a match */
#define ADDRESS_TEXT_MAX 64

struct range {
	uint16_t lo, hi;
};

struct network {
	uint8_t family; /* 0: any */
	uint8_t plen;
	uint8_t address[16];
};

/* The lists of one match; each has at least one entry once read ("any" where the key is absent). */
struct lists {
	struct range *vlans, *sports, *dports;
	struct network *sources, *destinations;
	uint8_t *links, *protocols;
	uint32_t vlan_count, sport_count, dport_count, source_count, destination_count, link_count,
	    protocol_count;
};

static const char *const match_keys[] = {
    "protocol", "src_ip", "dst_ip", "src_port", "dst_port", "vlan", "link", NULL};
static const char *const match_later[] = {"detect", "detected", "detected_protocol", "application",
    "inner_vlan", "dscp", "src_mac", "dst_mac", NULL};

/* Room for the items of `node`, or for the single "any". NULL: the document has failed. */
static void *room_for(struct yaml_doc *doc, const struct yaml_node *node, size_t size, uint32_t *count)
{
	*count = node == NULL ? 1 : node->kind == YAML_LIST ? node->count : 1;
	if (node != NULL && node->kind == YAML_LIST && !yaml_list(doc, node, 1, SIDE_MAX))
		return NULL;
	void *room = calloc(*count, size);
	if (room == NULL)
		yaml_fail(doc, node, "out of memory");
	return room;
}

/* A decimal number of at most 5 digits at *at; moves on. */
static bool decimal(const char **at, uint32_t max, uint16_t *value)
{
	uint32_t number = 0;
	const char *start = *at;

	while (**at >= '0' && **at <= '9' && *at - start < 6)
		number = number * 10 + (uint32_t)(*(*at)++ - '0');
	if (*at == start || number > max || (*start == '0' && *at - start > 1))
		return false;
	*value = (uint16_t)number;
	return true;
}

static bool read_range(
    struct yaml_doc *doc, const struct yaml_node *node, uint32_t max, const char *what, struct range *range)
{
	char shown[80];
	const char *at = node->kind == YAML_SCALAR ? node->text : "";

	if (decimal(&at, max, &range->lo)) {
		range->hi = range->lo;
		if (*at == '\0')
			return true;
		if (*at++ == '-' && decimal(&at, max, &range->hi) && *at == '\0') {
			if (range->lo <= range->hi)
				return true;
			return yaml_fail(
			    doc, node, "the range %u-%u is the wrong way round", range->lo, range->hi);
		}
	}
	yaml_shown(node, shown, sizeof(shown));
	return yaml_fail(doc, node,
	    "expected %s (0 to %u), a range such as 1000-2000, or a list of them; found %s", what, max,
	    shown);
}

static struct range *read_ranges(
    struct yaml_doc *doc, const struct yaml_node *node, uint32_t max, const char *what, uint32_t *count)
{
	struct range *ranges = room_for(doc, node, sizeof(*ranges), count);
	uint32_t i = 0;

	if (ranges == NULL)
		return NULL;
	if (node == NULL)
		ranges[0] = (struct range){0, (uint16_t)max};
	for (const struct yaml_node *item = yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item))
		if (!read_range(doc, item, max, what, &ranges[i++]))
			break;
	return ranges;
}

/* Bits after the prefix must be zero: "10.0.0.1/8" is more likely a slip than a wish. */
static bool host_bits_set(const struct network *network)
{
	unsigned bits = network->family == 4 ? 32 : 128;

	for (unsigned i = network->plen; i < bits; i++)
		if ((network->address[i / 8] & (0x80 >> (i % 8))) != 0)
			return true;
	return false;
}

static bool parse_network(const char *text, struct network *network)
{
	char copy[ADDRESS_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	uint16_t plen = 0;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, network->address) == 1)
		network->family = 4;
	else if (inet_pton(AF_INET6, copy, network->address) == 1)
		network->family = 6;
	else
		return false;
	unsigned bits = network->family == 4 ? 32 : 128;
	if (slash == NULL) {
		network->plen = (uint8_t)bits;
		return true;
	}
	slash++;
	if (!decimal(&slash, bits, &plen) || *slash != '\0')
		return false;
	network->plen = (uint8_t)plen;
	return true;
}

static bool read_network(struct yaml_doc *doc, const struct yaml_node *node, struct network *network)
{
	char shown[80];

	if (node->kind != YAML_SCALAR || !parse_network(node->text, network)) {
		yaml_shown(node, shown, sizeof(shown));
		return yaml_fail(doc, node,
		    "expected an address or network such as 198.51.100.0/24 or \"2001:db8::/64\", or a list "
		    "of them; "
		    "found %s",
		    shown);
	}
	if (host_bits_set(network))
		return yaml_fail(doc, node,
		    "%s has bits set after its prefix: is the length right? expected e.g. %s", node->text,
		    network->family == 4 ? "198.51.100.0/24" : "2001:db8::/64");
	return true;
}

static struct network *read_networks(struct yaml_doc *doc, const struct yaml_node *node, uint32_t *count)
{
	struct network *networks = room_for(doc, node, sizeof(*networks), count);
	uint32_t i = 0;

	for (const struct yaml_node *item = networks == NULL ? NULL : yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item))
		if (!read_network(doc, item, &networks[i++]))
			break;
	return networks;
}

static bool read_link(
    struct yaml_doc *doc, const struct yaml_node *node, const struct words *links, uint8_t *link)
{
	const char *name;

	if (!yaml_text(doc, node, 255, &name))
		return false;
	for (size_t i = 0; i < links->count; i++)
		if (strcmp(links->at[i], name) == 0) {
			*link = (uint8_t)i;
			return true;
		}
	return yaml_fail(doc, node, "there is no link '%.64s' in the configuration of reeved", name);
}

static uint8_t *read_links(
    struct yaml_doc *doc, const struct yaml_node *node, const struct words *links, uint32_t *count)
{
	uint8_t *numbers = room_for(doc, node, sizeof(*numbers), count);
	uint32_t i = 0;

	if (numbers != NULL && node == NULL)
		numbers[0] = 255;
	for (const struct yaml_node *item = numbers == NULL ? NULL : yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item))
		if (!read_link(doc, item, links, &numbers[i++]))
			break;
	return numbers;
}

static bool read_protocol(struct yaml_doc *doc, const struct yaml_node *node, uint8_t *protocol)
{
	static const struct {
		const char *name;
		uint8_t number;
	} known[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP},
	    {"icmpv6", IPPROTO_ICMPV6}, {"sctp", IPPROTO_SCTP}, {"gre", IPPROTO_GRE}, {"esp", IPPROTO_ESP},
	    {"ah", IPPROTO_AH}, {"igmp", IPPROTO_IGMP}, {"ospf", 89}, {"vrrp", 112}};
	char shown[80];
	const char *at = node->kind == YAML_SCALAR ? node->text : "";
	uint16_t number = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(at, known[i].name) == 0) {
			*protocol = known[i].number;
			return true;
		}
	if (decimal(&at, 255, &number) && *at == '\0' && number > 0) {
		*protocol = (uint8_t)number;
		return true;
	}
	yaml_shown(node, shown, sizeof(shown));
	return yaml_fail(doc, node,
	    "expected tcp, udp, icmp, icmpv6, sctp, gre, esp, ah, igmp, ospf, vrrp, a number from 1 to 255, "
	    "or a list of "
	    "them; found %s",
	    shown);
}

static uint8_t *read_protocols(struct yaml_doc *doc, const struct yaml_node *node, uint32_t *count)
{
	uint8_t *numbers = room_for(doc, node, sizeof(*numbers), count);
	uint32_t i = 0;

	for (const struct yaml_node *item = numbers == NULL ? NULL : yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item))
		if (!read_protocol(doc, item, &numbers[i++]))
			break;
	return numbers;
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* Ports exist in some protocols only; audit_ssh is TCP to a stated port. */
static bool check_ports(
    struct yaml_doc *doc, const struct yaml_node *node, struct policy_rule *rule, struct lists *lists)
{
	bool ports = yaml_get(node, "src_port") != NULL || yaml_get(node, "dst_port") != NULL;
	const struct yaml_node *protocol = yaml_get(node, "protocol");

	if (rule->action == RPC_ACTION_AUDIT_SSH) {
		if (yaml_get(node, "dst_port") == NULL)
			return yaml_fail(
			    doc, node, "audit_ssh needs a dst_port, e.g. 22: SSH is found by its port");
		if (protocol == NULL)
			lists->protocols[0] = IPPROTO_TCP;
	}
	for (uint32_t i = 0; i < lists->protocol_count; i++) {
		if (rule->action == RPC_ACTION_AUDIT_SSH && lists->protocols[i] != IPPROTO_TCP)
			return yaml_fail(doc, protocol, "audit_ssh is for tcp alone");
		if (rule->block == RPC_BLOCK_RESET && lists->protocols[i] != IPPROTO_TCP &&
		    lists->protocols[i] != 0)
			return yaml_fail(
			    doc, protocol, "block_with: reset is for tcp; use drop or icmp here");
		if (ports && !has_ports(lists->protocols[i]))
			return yaml_fail(doc, protocol == NULL ? node : protocol,
			    "ports need a protocol that has them: expected protocol: tcp, udp or sctp");
	}
	return true;
}

static bool append(struct yaml_doc *doc, const struct yaml_node *node, struct policy *policy,
    const struct rpc_policy_match *match)
{
	if (policy->match_count >= POLICY_MATCHES_MAX)
		return yaml_fail(doc, node,
		    "the policy is too large: lists multiplied out give more than %u single matches (up to "
		    "this rule)",
		    POLICY_MATCHES_MAX);
	if (policy->match_count == policy->match_room) {
		uint32_t room = policy->match_room == 0 ? 256 : policy->match_room * 2;
		struct rpc_policy_match *more = realloc(policy->matches, room * sizeof(*more));
		if (more == NULL)
			return yaml_fail(doc, node, "out of memory");
		policy->matches = more;
		policy->match_room = room;
	}
	policy->matches[policy->match_count++] = *match;
	return true;
}

/* Everything but addresses is in *match; appends it for each pair of networks of one family. */
static bool multiply_networks(struct yaml_doc *doc, const struct yaml_node *node, struct policy *policy,
    const struct lists *lists, struct rpc_policy_match match)
{
	for (uint32_t s = 0; s < lists->source_count; s++) {
		for (uint32_t d = 0; d < lists->destination_count; d++) {
			const struct network *source = &lists->sources[s],
			                     *destination = &lists->destinations[d];
			if (source->family != 0 && destination->family != 0 &&
			    source->family != destination->family)
				continue;
			match.family = source->family != 0 ? source->family : destination->family;
			match.src_plen = source->plen;
			match.dst_plen = destination->plen;
			memcpy(match.src, source->address, sizeof(match.src));
			memcpy(match.dst, destination->address, sizeof(match.dst));
			if (!append(doc, node, policy, &match))
				return false;
		}
	}
	return true;
}

static bool multiply_ports(struct yaml_doc *doc, const struct yaml_node *node, struct policy *policy,
    const struct lists *lists, struct rpc_policy_match match)
{
	for (uint32_t s = 0; s < lists->sport_count; s++) {
		for (uint32_t d = 0; d < lists->dport_count; d++) {
			match.sport_lo = lists->sports[s].lo;
			match.sport_hi = lists->sports[s].hi;
			match.dport_lo = lists->dports[d].lo;
			match.dport_hi = lists->dports[d].hi;
			if (!multiply_networks(doc, node, policy, lists, match))
				return false;
		}
	}
	return true;
}

static bool multiply(
    struct yaml_doc *doc, const struct yaml_node *node, struct policy *policy, const struct lists *lists)
{
	uint32_t before = policy->match_count;
	struct rpc_policy_match match = {0};

	for (uint32_t v = 0; v < lists->vlan_count; v++) {
		for (uint32_t l = 0; l < lists->link_count; l++) {
			for (uint32_t p = 0; p < lists->protocol_count; p++) {
				match.vlan_lo = lists->vlans[v].lo;
				match.vlan_hi = lists->vlans[v].hi;
				match.link = lists->links[l];
				match.protocol = lists->protocols[p];
				if (!multiply_ports(doc, node, policy, lists, match))
					return false;
			}
		}
	}
	if (policy->match_count == before)
		return yaml_fail(
		    doc, node, "can never match: src_ip and dst_ip are of different address families");
	return true;
}

static void read_lists(struct yaml_doc *doc, const struct yaml_node *node,
    const struct policy_context *context, struct lists *lists)
{
	lists->protocols = read_protocols(doc, yaml_get(node, "protocol"), &lists->protocol_count);
	lists->sources = read_networks(doc, yaml_get(node, "src_ip"), &lists->source_count);
	lists->destinations = read_networks(doc, yaml_get(node, "dst_ip"), &lists->destination_count);
	lists->sports = read_ranges(doc, yaml_get(node, "src_port"), 65535, "a port", &lists->sport_count);
	lists->dports = read_ranges(doc, yaml_get(node, "dst_port"), 65535, "a port", &lists->dport_count);
	lists->vlans = read_ranges(doc, yaml_get(node, "vlan"), 4095, "a VLAN id", &lists->vlan_count);
	lists->links = read_links(doc, yaml_get(node, "link"), &context->links, &lists->link_count);
}

bool match_read(struct yaml_doc *doc, const struct yaml_node *node, const struct policy_context *context,
    struct policy *policy, struct policy_rule *rule)
{
	struct lists lists = {0};

	if (node != NULL)
		yaml_map(doc, node, match_keys, match_later);
	rule->first_match = policy->match_count;
	read_lists(doc, node, context, &lists);
	bool good =
	    yaml_ok(doc) && check_ports(doc, node, rule, &lists) && multiply(doc, node, policy, &lists);
	rule->match_count = policy->match_count - rule->first_match;
	free(lists.protocols);
	free(lists.sources);
	free(lists.destinations);
	free(lists.sports);
	free(lists.dports);
	free(lists.vlans);
	free(lists.links);
	return good;
}
