/* SPDX-License-Identifier: Apache-2.0 */
/* From settings to each role's RPC_SUP_CONFIG_*: a child learns what concerns it and nothing else. */
#include "control/reeved.h"

#include <string.h>
#include <unistd.h>

#define PART_MAX (SETTINGS_EAL_MAX * (SETTINGS_PORT_MAX + 4))

/* Lists of a message, encoded one after the other. */
struct part {
	uint8_t bytes[PART_MAX];
	struct wire_out out;
};

static struct wire_span part_span(const struct part *part)
{
	return (struct wire_span){part->bytes, wire_written(&part->out)};
}

static void part_numbers(struct part *part, const uint32_t *numbers, unsigned count)
{
	part->out = wire_into(part->bytes, sizeof(part->bytes));
	for (unsigned i = 0; i < count; i++)
		wire_put_u32(&part->out, numbers[i]);
}

static int configure_control(struct reeved *reeved, struct child *child)
{
	static struct part admins, auditors, reporters, links;
	const struct settings *s = &reeved->settings;

	part_numbers(&admins, s->admins, s->admin_count);
	part_numbers(&auditors, s->auditors, s->auditor_count);
	part_numbers(&reporters, s->reporters, s->reporter_count);
	links.out = wire_into(links.bytes, sizeof(links.bytes));
	for (unsigned i = 0; i < s->link_count; i++)
		wire_put_cstring(&links.out, s->links[i].name);
	return RPC_SEND(&child->link, SUP_CONFIG_CONTROL, sup_config_control, 0, 0,
	    .socket = wire_span_of(s->socket), .state = wire_span_of(s->state),
	    .policy = wire_span_of(s->policy),
	    .recipients = {s->recipients[0], (size_t)s->recipient_count * FORMAT_KEY_SIZE},
	    .workers = s->worker_count, .lcores = s->lcore_count, .admins = part_span(&admins),
	    .auditors = part_span(&auditors), .reporters = part_span(&reporters), .links = part_span(&links),
	    .owner = getuid());
}

static int configure_dataplane(struct reeved *reeved, struct child *child)
{
	static struct part lcores, eal, links;
	const struct settings *s = &reeved->settings;

	part_numbers(&lcores, s->lcores, s->lcore_count);
	eal.out = wire_into(eal.bytes, sizeof(eal.bytes));
	for (unsigned i = 0; i < s->eal_count; i++)
		wire_put_cstring(&eal.out, s->eal[i]);
	/* Hugepages without files: no mount of hugetlbfs is needed, and a killed process leaves none taken.
	 */
	if (!settings_eal_has(s, "--no-huge") && !settings_eal_has(s, "--in-memory"))
		wire_put_cstring(&eal.out, "--in-memory");
	child->generation = ++reeved->generation;
	links.out = wire_into(links.bytes, sizeof(links.bytes));
	for (unsigned i = 0; i < s->link_count; i++) {
		wire_put_cstring(&links.out, s->links[i].name);
		wire_put_cstring(&links.out, s->links[i].inside);
		wire_put_cstring(&links.out, s->links[i].outside);
	}
	return RPC_SEND(&child->link, SUP_CONFIG_DATAPLANE, sup_config_dataplane, 0, 0,
	    .netns = wire_span_of(s->netns), .lcores = part_span(&lcores), .eal = part_span(&eal),
	    .links = part_span(&links), .idle = s->dataplane_poll ? 1 : 0, .mtu = reeved->mtu,
	    .mbufs = s->mbufs, .flows = s->flows, .rx_descriptors = s->rx_descriptors,
	    .tx_descriptors = s->tx_descriptors, .workers = s->worker_count, .generation = child->generation,
	    .receive_credit = s->receive_credit, .receive_window_max = s->receive_window_max,
	    .receive_memory = s->receive_memory, .send_credit = s->send_credit,
	    .send_slabs_max = s->send_buffer_max / SETTINGS_FLOW_SLAB, .slab_bytes = SETTINGS_FLOW_SLAB,
	    .congestion = s->congestion, .keepalive_ms = s->keepalive_ms);
}

static int configure_sshterm(struct reeved *reeved, struct child *child)
{
	const struct settings *s = &reeved->settings;

	return RPC_SEND(&child->link, SUP_CONFIG_SSHTERM, sup_config_sshterm, 0, 0, .worker = child->index,
	    .core = s->cores[child->index], .idle = s->sshterm_poll ? 1 : 0, .sessions = s->sessions,
	    .login_grace_s = s->login_grace_s, .recorder_patience_s = s->recorder_patience_s,
	    .lcores = s->lcore_count);
}

static int configure_keeper(struct reeved *reeved, struct child *child)
{
	const struct settings *s = &reeved->settings;
	uint8_t room[SETTINGS_ENVIRONMENT_MAX * (SETTINGS_PATH_MAX + 4)];
	struct wire_out environment = wire_into(room, sizeof(room));

	for (unsigned i = 0; i < s->pkcs11_environment_count; i++)
		wire_put_cstring(&environment, s->pkcs11_environment[i]);
	return RPC_SEND_FDS(&child->link, SUP_CONFIG_KEEPER, sup_config_keeper, 0, 0,
	    &reeved->keeper_directory, 1, .pkcs11_module = wire_span_of(s->pkcs11_module),
	    .pkcs11_pin_file = wire_span_of(s->pkcs11_pin_file),
	    .pkcs11_environment = {room, wire_written(&environment)});
}

int configure(struct reeved *reeved, struct child *child)
{
	const struct settings *s = &reeved->settings;

	switch (child->role) {
	case RPC_CONTROL:
		return configure_control(reeved, child);
	case RPC_KEEPER:
		return configure_keeper(reeved, child);
	case RPC_DATAPLANE:
		return configure_dataplane(reeved, child);
	case RPC_SSHTERM:
		return configure_sshterm(reeved, child);
	default:
		return RPC_SEND(&child->link, SUP_CONFIG_RECORDER, sup_config_recorder, 0, 0,
		    .directory = wire_span_of(s->directory), .workers = s->worker_count);
	}
}
