/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssh_forward: which forwardings a rule allows, by kind and by destination; and the notice that its shells
 * begin with.
 *
 * Names are never resolved here: an address or network holds for addresses that were asked for as such, and
 * for no name that may lead there; a name, for that name as it was asked for.
 */
#ifndef CONTROL_POLICY_SSH_FORWARD_H
#define CONTROL_POLICY_SSH_FORWARD_H

#include "control/policy/policy.h"
#include "control/settings/yaml.h"

#define SESSION_NOTICE_MAX 500 /* bytes */

/* `node` may be NULL (the key is absent). After the permits were read: what both forbid is taken off them. */
void forward_read(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh);
void session_notice_read(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh);

#endif
