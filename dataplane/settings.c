/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/settings.h"

#include <rte_ether.h>
#include <stdio.h>
#include <string.h>

#define MTU_MIN 1280
#define MTU_MAX 16000 /* what frames and mbufs of 16 KB carry */
#define CPU_MAX 1023

static bool wrong(char *error, size_t size, const char *text)
{
	snprintf(error, size, "dataplane configuration: %s", text);
	return false;
}

static bool read_lcores(struct settings *s, struct wire_span span, char *error, size_t size)
{
	struct wire in = wire_over(span.at, span.len);

	while (wire_left(&in) > 0) {
		if (s->lcore_count == LCORES_MAX)
			return wrong(error, size, "too many lcores");
		uint32_t cpu = wire_u32(&in);
		for (unsigned i = 0; i < s->lcore_count; i++)
			if (s->lcore[i] == cpu)
				return wrong(error, size, "an lcore is named twice");
		if (in.failed || cpu > CPU_MAX)
			return wrong(error, size, "an lcore that cannot be");
		s->lcore[s->lcore_count++] = cpu;
	}
	return s->lcore_count > 0 || wrong(error, size, "no lcores");
}

static bool read_eal(struct settings *s, struct wire_span span, char *error, size_t size)
{
	struct wire in = wire_over(span.at, span.len);

	while (wire_left(&in) > 0) {
		struct wire_span argument = wire_string(&in);
		if (s->eal_count == SETTINGS_EAL_MAX ||
		    !wire_span_copy(argument, s->eal[s->eal_count++], SETTINGS_EAL_LENGTH))
			return wrong(error, size, "too many EAL arguments, or one too long");
	}
	return !in.failed || wrong(error, size, "EAL arguments cut short");
}

static bool read_links(struct settings *s, struct wire_span span, char *error, size_t size)
{
	struct wire in = wire_over(span.at, span.len);
	char name[PORTS_NAME_MAX], inside[PORTS_DEVICE_MAX], outside[PORTS_DEVICE_MAX];

	while (wire_left(&in) > 0) {
		struct wire_span n = wire_string(&in), i = wire_string(&in), o = wire_string(&in);
		if (in.failed || !wire_span_copy(n, name, sizeof(name)) ||
		    !wire_span_copy(i, inside, sizeof(inside)) ||
		    !wire_span_copy(o, outside, sizeof(outside)))
			return wrong(error, size, "a link whose name or ports are too long");
		if (ports_add_link(&s->ports, name, inside, outside) != 0)
			return wrong(error, size, "too many links, or a port without a name");
	}
	return s->ports.count > 0 || wrong(error, size, "no links");
}

/* 0 stands for "as usual". */
static uint32_t or_usual(uint32_t value, uint32_t usual)
{
	return value != 0 ? value : usual;
}

bool settings_read(
    struct settings *s, const struct rpc_sup_config_dataplane *config, char *error, size_t error_size)
{
	memset(s, 0, sizeof(*s));
	if (!wire_span_copy(config->netns, s->netns, sizeof(s->netns)) || strchr(s->netns, '/') != NULL)
		return wrong(error, error_size, "the netns is a name under /run/netns, not a path");
	s->poll = config->idle != 0;
	s->mtu = or_usual(config->mtu, RTE_ETHER_MTU);
	s->mbufs = or_usual(config->mbufs, 16384);
	s->flows = or_usual(config->flows, 16384);
	s->rx_descriptors = or_usual(config->rx_descriptors, 1024);
	s->tx_descriptors = or_usual(config->tx_descriptors, 1024);
	s->workers = config->workers;
	s->generation = config->generation;
	s->windows = (struct lcore_windows){
	    .receive_credit = or_usual(config->receive_credit, 64 * 1024),
	    .receive_window_max = or_usual(config->receive_window_max, 6 << 20),
	    .receive_memory = or_usual(config->receive_memory, 256u << 20),
	    .send_credit = or_usual(config->send_credit, 32),
	    .send_slabs_max = or_usual(config->send_slabs_max, (6 << 20) / 8192),
	    .slab_bytes = or_usual(config->slab_bytes, 8192),
	};
	s->congestion = (enum tcp_congestion)config->congestion;
	s->keepalive_ms = config->keepalive_ms;
	if (config->congestion >= TCP_CONGESTIONS)
		return wrong(error, error_size, "no such congestion control");
	if (s->mtu < MTU_MIN || s->mtu > MTU_MAX)
		return wrong(error, error_size, "the MTU must be 1280 to 16000");
	if (s->rx_descriptors > UINT16_MAX || s->tx_descriptors > UINT16_MAX)
		return wrong(error, error_size, "at most 65535 descriptors a queue");
	return read_lcores(s, config->lcores, error, error_size) &&
	       read_eal(s, config->eal, error, error_size) && read_links(s, config->links, error, error_size);
}

__attribute__((format(printf, 2, 3))) static void add(struct eal_arguments *out, const char *format, ...)
{
	va_list args;

	if (out->argc == SETTINGS_ARGV_MAX)
		return; /* cannot be: SETTINGS_ARGV_MAX counts all that settings_read lets through */
	va_start(args, format);
	vsnprintf(out->text[out->argc], sizeof(out->text[0]), format, args);
	va_end(args);
	out->argv[out->argc] = out->text[out->argc];
	out->argv[++out->argc] = NULL;
}

static void add_lcores(const struct settings *s, struct eal_arguments *out)
{
	char list[LCORES_MAX * 5 + 1];
	size_t len = 0;

	for (unsigned i = 0; i < s->lcore_count; i++)
		len +=
		    (size_t)snprintf(list + len, sizeof(list) - len, "%s%u", i > 0 ? "," : "", s->lcore[i]);
	add(out, "-l");
	add(out, "%s", list);
	add(out, "--main-lcore=%u", s->lcore[0]);
}

void settings_eal_arguments(const struct settings *s, long pid, struct eal_arguments *out)
{
	bool pci = false;

	out->argc = 0;
	add(out, "reeve-dataplane");
	add(out, "--file-prefix=reeve-%ld-%u", pid, s->generation);
	add(out, "--no-telemetry");
	/* Before the administrator's own, which may ask for more. */
	add(out, "--log-level=lib.eal:notice");
	add_lcores(s, out);
	for (unsigned i = 0; i < s->eal_count; i++)
		add(out, "%s", s->eal[i]);
	for (unsigned i = 0; i < s->ports.count; i++) {
		const char *device = s->ports.port[i].device;
		bool vdev = ports_is_vdev(device);
		add(out, "%s", vdev ? "--vdev" : "-a");
		add(out, "%s", device);
		pci |= !vdev;
	}
	if (!pci)
		add(out, "--no-pci");
}
