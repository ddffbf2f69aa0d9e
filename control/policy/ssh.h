/* SPDX-License-Identifier: Apache-2.0 */
/* ssh: the `ssh` mapping of an audit_ssh rule. Only policy.c uses it. */
#ifndef CONTROL_POLICY_SSH_H
#define CONTROL_POLICY_SSH_H

#include "control/policy/policy.h"
#include "control/settings/yaml.h"

/* What `node` says; where the document has failed, it is of no use but to be released. NULL: no memory. */
struct policy_ssh *ssh_read(
    struct yaml_doc *doc, const struct yaml_node *node, const struct policy_context *context);
void ssh_release(struct policy_ssh *ssh); /* may be NULL */

#endif
