/* SPDX-License-Identifier: Apache-2.0 */
/* ssh: the `ssh` mapping of an audit_ssh rule. Only policy.c and its parts use it. */
#ifndef CONTROL_POLICY_SSH_H
#define CONTROL_POLICY_SSH_H

#include "control/policy/policy.h"
#include "control/settings/yaml.h"

/* What `node` says; where the document has failed, it is of no use but to be released. NULL: no memory. */
struct policy_ssh *ssh_read(
    struct yaml_doc *doc, const struct yaml_node *node, const struct policy_context *context);
/* What tells who somebody is, and how often they may be there: ssh_who.c. */
void ssh_read_who(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh);
void ssh_release_who(struct policy_ssh *ssh);
void ssh_release(struct policy_ssh *ssh); /* may be NULL */

/* ssh_login.c: keys origin_auth and notice of the mapping `node`; after ssh_read_who. */
void ssh_read_login(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh);

#endif
