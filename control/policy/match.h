/* SPDX-License-Identifier: Apache-2.0 */
/* match: a rule's `match` mapping, multiplied out into single matches. Only policy.c uses it. */
#ifndef CONTROL_POLICY_MATCH_H
#define CONTROL_POLICY_MATCH_H

#include "control/policy/policy.h"
#include "control/settings/yaml.h"

/* Reads `node` (NULL: matches everything) for `rule` and appends its matches to the policy. False: the
 * document has failed. */
bool match_read(struct yaml_doc *doc, const struct yaml_node *node, const struct policy_context *context,
    struct policy *policy, struct policy_rule *rule);

#endif
