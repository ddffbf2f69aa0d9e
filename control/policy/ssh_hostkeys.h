/* SPDX-License-Identifier: Apache-2.0 */
/* ssh_hostkeys: `host_keys` and `legacy` of a rule's ssh mapping. */
#ifndef CONTROL_POLICY_SSH_HOSTKEYS_H
#define CONTROL_POLICY_SSH_HOSTKEYS_H

#include "control/policy/policy.h"
#include "control/settings/yaml.h"

/* `node` is the ssh mapping. */
void ssh_read_host_keys(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh);

#endif
