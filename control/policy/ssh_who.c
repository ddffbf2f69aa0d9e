/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule says about who somebody is. */
#include "control/policy/ssh.h"

/* In the order of the bits of enum rpc_identity. */
static const char *const identities[] = {"certificate", "key", "address", "origin", NULL};

static void read_identities(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	ssh->identities = RPC_IDENTITY_CERTIFICATE | RPC_IDENTITY_KEY;
	if (node == NULL || (node->kind == YAML_LIST && !yaml_list(doc, node, 1, 4)))
		return;
	ssh->identities = 0;
	for (const struct yaml_node *item = yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item)) {
		unsigned choice = 0;
		if (!yaml_choice(doc, item, identities, NULL, &choice))
			return;
		if ((ssh->identities & (1u << choice)) != 0)
			yaml_fail(doc, item, "'%s' stands in the list twice", identities[choice]);
		ssh->identities |= 1u << choice;
	}
}

void ssh_read_who(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	read_identities(doc, yaml_get(node, "identities"), ssh);
}
