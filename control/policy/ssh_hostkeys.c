/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy/ssh_hostkeys.h"

#include <stdio.h>
#include <string.h>

static const char *const host_keys[] = {"first_use", "known_hosts", "ca", "strict", NULL}; /* as the enum */
static const char *const legacy_keys[] = {"client", "origin", NULL};

/* The names that a leg can be given, as a message shows them. */
static void legacy_names(uint8_t leg, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < legacy_count && used < size; i++)
		if ((legacy_algorithms[i].legs & leg) != 0)
			used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
			    legacy_algorithms[i].name);
}

static void read_legacy(struct yaml_doc *doc, const struct yaml_node *node, uint8_t leg, uint32_t *set)
{
	if (node != NULL && node->kind == YAML_LIST && !yaml_list(doc, node, 1, (uint32_t)legacy_count))
		return;
	for (const struct yaml_node *item = yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item)) {
		const char *name;
		char known[LEGACY_LIST_MAX];
		if (!yaml_text(doc, item, 64, &name))
			return;
		const struct legacy_algorithm *algorithm = legacy_find(wire_span_of(name));
		if (algorithm == NULL || (algorithm->legs & leg) == 0) {
			legacy_names(leg, known, sizeof(known));
			yaml_fail(doc, item,
			    "'%s' is no legacy algorithm that this leg can have; expected one of %s", name,
			    known);
			return;
		}
		*set |= 1u << (algorithm - legacy_algorithms);
	}
}

void ssh_read_host_keys(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	const struct yaml_node *legacy = yaml_get(node, "legacy");
	unsigned choice = 0;

	if (yaml_choice(doc, yaml_get(node, "host_keys"), host_keys, NULL, &choice))
		ssh->host_keys = (enum policy_host_keys)choice;
	if (legacy == NULL)
		return;
	yaml_map(doc, legacy, legacy_keys, NULL);
	read_legacy(doc, yaml_get(legacy, "client"), LEGACY_CLIENT, &ssh->legacy_client);
	read_legacy(doc, yaml_get(legacy, "origin"), LEGACY_ORIGIN, &ssh->legacy_origin);
	if (yaml_ok(doc) && (ssh->legacy_client | ssh->legacy_origin) == 0)
		yaml_fail(
		    doc, legacy, "expected client, origin or both, with the algorithms that they may have");
}
