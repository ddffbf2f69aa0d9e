/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/stats.h"

#include "dataplane/arrival.h"

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <stdarg.h>
#include <stdio.h>

#define LAST_LINE 64 /* kept free for rules.not_shown */

struct text {
	char *at;
	size_t len, size;
};

/* One line, or nothing where it does not fit. */
__attribute__((format(printf, 3, 4))) static bool line(
    struct text *t, uint64_t value, const char *format, ...)
{
	char name[256];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	int len = snprintf(t->at + t->len, t->size - t->len, "%s %llu\n", name, (unsigned long long)value);
	if (len < 0 || (size_t)len >= t->size - t->len)
		return false;
	t->len += (size_t)len;
	return true;
}

/* Another thread is counting: read once, whole. */
static uint64_t now(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#define SUM(dp, member)                                                                                      \
	__extension__({                                                                                      \
		uint64_t sum_ = 0;                                                                           \
		for (unsigned l_ = 0; l_ < (dp)->lcore_count; l_++)                                          \
			sum_ += now(&(dp)->lcore[l_]->member);                                               \
		sum_;                                                                                        \
	})

static void write_lcores(struct text *t, const struct dataplane *dp)
{
#define LCORE_LINE(name, text) line(t, SUM(dp, counters.name), "frames." #name);
	LCORE_COUNTERS(LCORE_LINE)
#define MALFORMED_LINE(NAME, name, text)                                                                     \
	line(t, SUM(dp, counters.malformed[FRAME_BAD_##NAME]), "malformed." #name);
	FRAME_MALFORMATIONS(MALFORMED_LINE)
	line(t, SUM(dp, decisions.entries), "decisions.entries");
	line(t, SUM(dp, decisions.replaced), "decisions.replaced");
}

static void write_tcp(struct text *t, const struct dataplane *dp)
{
	struct tcp_counters tcp = {0};
	struct handoff_counters handoff = {0};
	struct reassemble_counters whole = {0};

	for (unsigned i = 0; i < dp->lcore_count; i++) {
		const struct tcp_counters *c = tcp_counters(dp->lcore[i]->shard);
		const struct handoff_counters *h = handoff_counters(dp->lcore[i]->handoff);
#define TCP_SUM(name, text) tcp.name += now(&c->name);
		TCP_COUNTERS(TCP_SUM)
#define HANDOFF_SUM(name, text) handoff.name += now(&h->name);
		HANDOFF_COUNTERS(HANDOFF_SUM)
		if (dp->lcore[i]->reassembler == NULL)
			continue;
		const struct reassemble_counters *r = reassemble_counters(dp->lcore[i]->reassembler);
		whole.held += now(&r->held);
		whole.whole += now(&r->whole);
		whole.overlapping += now(&r->overlapping);
		whole.tiny += now(&r->tiny);
		whole.refused += now(&r->refused);
		whole.expired += now(&r->expired);
	}
#define TCP_LINE(name, text) line(t, tcp.name, "tcp." #name);
	TCP_COUNTERS(TCP_LINE)
#define HANDOFF_LINE(name, text) line(t, handoff.name, "handoff." #name);
	HANDOFF_COUNTERS(HANDOFF_LINE)
	line(t, 1, "tcp.congestion.%s", tcp_congestion_name(tcp_congestion_of(dp->lcore[0]->shard)));
	line(t, whole.held, "reassembly.held");
	line(t, whole.whole, "reassembly.whole");
	line(t, whole.overlapping, "reassembly.overlapping");
	line(t, whole.tiny, "reassembly.tiny");
	line(t, whole.refused, "reassembly.refused");
	line(t, whole.expired, "reassembly.expired");
}

static uint64_t overflown(const struct port *port)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < port->rx_queues; i++)
		frames += arrival_overflown(port->arrival[i]);
	return frames;
}

static void write_ports(struct text *t, const struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->ports.count; i++) {
		const struct port *port = &dp->ports.port[i];
		const char *side = i % 2 == 0 ? "inside" : "outside";
		struct rte_eth_stats eth = {0};
		line(t, SUM(dp, counters.port[i].rx_packets), "link.%s.%s.rx_packets", port->link, side);
		line(t, SUM(dp, counters.port[i].rx_bytes), "link.%s.%s.rx_bytes", port->link, side);
		line(t, SUM(dp, counters.port[i].tx_packets), "link.%s.%s.tx_packets", port->link, side);
		line(t, SUM(dp, counters.port[i].tx_bytes), "link.%s.%s.tx_bytes", port->link, side);
		line(t, SUM(dp, counters.port[i].tx_dropped), "link.%s.%s.tx_dropped", port->link, side);
		if (rte_eth_stats_get(port->id, &eth) != 0)
			continue;
		line(t, eth.imissed + overflown(port), "link.%s.%s.rx_missed", port->link, side);
		line(t, eth.ierrors, "link.%s.%s.rx_errors", port->link, side);
		line(t, eth.rx_nombuf, "link.%s.%s.rx_no_mbuf", port->link, side);
		line(t, eth.oerrors, "link.%s.%s.tx_errors", port->link, side);
	}
	line(t, rte_mempool_avail_count(dp->ports.mbufs), "mbufs.free");
	line(t, rte_mempool_in_use_count(dp->ports.mbufs), "mbufs.used");
}

static void write_rules(struct text *t, const struct policy *policy)
{
	uint64_t not_shown = 0;

	line(t, policy->generation, "policy.generation");
	line(t, policy->rule_count, "policy.rules");
	for (uint32_t i = 0; i <= policy->rule_count; i++) {
		uint64_t packets = policy->inherited[i].packets, bytes = policy->inherited[i].bytes;
		for (unsigned l = 0; l < policy->lcores; l++) {
			packets += now(&policy->hits[l][i].packets);
			bytes += now(&policy->hits[l][i].bytes);
		}
		if (packets == 0)
			continue;
		if (t->size - t->len < 2 * (POLICY_NAME_MAX + LAST_LINE)) {
			not_shown++;
			continue;
		}
		line(t, packets, "rule.%s.packets", policy->rules[i].name);
		line(t, bytes, "rule.%s.bytes", policy->rules[i].name);
	}
	line(t, not_shown, "rules.not_shown");
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through `t` */
size_t stats_write(const struct dataplane *dataplane, const struct policy *policy, char *text, size_t size)
{
	struct text t = {.at = text, .size = size};

	line(&t, dataplane->lcore_count, "lcores");
	write_ports(&t, dataplane);
	write_lcores(&t, dataplane);
	write_tcp(&t, dataplane);
	if (policy != NULL)
		write_rules(&t, policy);
	return t.len;
}
