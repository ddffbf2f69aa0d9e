/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/policy/match.h"
#include "control/policy/ssh.h"
#include "control/settings/yaml.h"

/* Keys of the file. The `later` lists hold what Portreeve's documents name and this version does not build.
 */
static const char *const top_keys[] = {"default", "block_with", "rules", NULL};
static const char *const rule_keys[] = {"name", "action", "match", "block_with", "on_unavailable",
    "midstream", "on_policy_change", "on_unsupported", "ssh", NULL};
static const char *const rule_later[] = {"enabled", "schedule", "log", NULL};
static const char *const actions[] = {"allow", "block", "audit_ssh", NULL};
static const char *const default_actions[] = {"allow", "block", NULL};
static const char *const blocks[] = {"drop", "reset", "icmp", NULL};
static const char *const unavailables[] = {"hold", "reset", "allow", NULL};
static const char *const midstreams[] = {"reset", "pass", "drop", NULL};
static const char *const policy_changes[] = {"keep", "reset", NULL};
static const char *const unsupporteds[] = {"reset", "pass", NULL};

/* A key that means something for one action only. */
static void only_for(
    struct yaml_doc *doc, const struct yaml_node *rule, const char *key, bool applies, const char *action)
{
	const struct yaml_node *node = yaml_get(rule, key);

	if (node != NULL && !applies)
		yaml_fail(doc, node, "means nothing here: it is for rules with action: %s", action);
}

static uint8_t choose(
    struct yaml_doc *doc, const struct yaml_node *rule, const char *key, const char *const *names)
{
	unsigned choice = 0;

	yaml_choice(doc, yaml_get(rule, key), names, NULL, &choice);
	return (uint8_t)choice;
}

static void read_name(struct yaml_doc *doc, const struct yaml_node *node, char name[POLICY_RULE_NAME_SIZE])
{
	const char *text;

	if (!yaml_text(doc, node, POLICY_RULE_NAME_SIZE - 1, &text))
		return;
	for (const char *c = text; *c != '\0'; c++)
		if (*c < 0x20 || *c == 0x7f) {
			yaml_fail(doc, node, "expected a name without control characters");
			return;
		}
	snprintf(name, POLICY_RULE_NAME_SIZE, "%s", text);
}

static void read_rule(struct yaml_doc *doc, const struct yaml_node *node,
    const struct policy_context *context, struct policy *policy, struct policy_rule *rule)
{
	unsigned action = 0;

	yaml_map(doc, node, rule_keys, rule_later);
	read_name(doc, yaml_need(doc, node, "name"), rule->name);
	yaml_choice(doc, yaml_need(doc, node, "action"), actions, NULL, &action);
	rule->action = (uint8_t)(RPC_ACTION_ALLOW + action);
	bool audit = rule->action == RPC_ACTION_AUDIT_SSH;
	only_for(doc, node, "block_with", rule->action == RPC_ACTION_BLOCK, "block");
	only_for(doc, node, "on_unavailable", audit, "audit_ssh");
	only_for(doc, node, "midstream", audit, "audit_ssh");
	only_for(doc, node, "on_policy_change", audit, "audit_ssh");
	only_for(doc, node, "on_unsupported", audit, "audit_ssh");
	only_for(doc, node, "ssh", audit, "audit_ssh");
	rule->block = choose(doc, node, "block_with", blocks);
	rule->unavailable = choose(doc, node, "on_unavailable", unavailables);
	rule->midstream = choose(doc, node, "midstream", midstreams);
	rule->policy_change = choose(doc, node, "on_policy_change", policy_changes);
	rule->unsupported = choose(doc, node, "on_unsupported", unsupporteds);
	if (yaml_ok(doc))
		match_read(doc, audit ? yaml_need(doc, node, "match") : yaml_get(node, "match"), context,
		    policy, rule);
	if (!audit || !yaml_ok(doc))
		return;
	const struct yaml_node *ssh = yaml_need(doc, node, "ssh");
	rule->ssh = ssh == NULL ? NULL : ssh_read(doc, ssh, context);
}

static int by_name(const void *a, const void *b)
{
	const struct policy_rule *const *left = a, *const *right = b;
	int order = strcmp((*left)->name, (*right)->name);

	/* The later of two is the one to blame. */
	return order != 0 ? order : *left < *right ? -1 : *left > *right;
}

/* Names stand in logs, recordings and messages: two rules with one name would be taken for each other. */
static void refuse_same_names(
    struct yaml_doc *doc, const struct yaml_node *rules, const struct policy *policy)
{
	const struct policy_rule **sorted =
	    calloc(policy->rule_count + 1, sizeof(const struct policy_rule *));

	if (sorted == NULL) {
		yaml_fail(doc, rules, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < policy->rule_count; i++)
		sorted[i] = &policy->rules[i];
	qsort(sorted, policy->rule_count, sizeof(*sorted), by_name);
	for (uint32_t i = 1; i < policy->rule_count; i++) {
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
			continue;
		const struct yaml_node *node = rules->first;
		for (long skip = sorted[i] - policy->rules; skip > 0 && node != NULL; skip--)
			node = node->next;
		yaml_fail(doc, yaml_get(node, "name"), "the name '%s' is taken by an earlier rule",
		    sorted[i]->name);
		break;
	}
	free(sorted);
}

static void read_rules(struct yaml_doc *doc, const struct yaml_node *rules,
    const struct policy_context *context, struct policy *policy)
{
	if (rules == NULL || !yaml_list(doc, rules, 0, POLICY_RULES_MAX))
		return;
	policy->rules = calloc(rules->count + 1, sizeof(*policy->rules));
	if (policy->rules == NULL) {
		yaml_fail(doc, rules, "out of memory");
		return;
	}
	for (const struct yaml_node *node = rules->first; node != NULL && yaml_ok(doc); node = node->next)
		read_rule(doc, node, context, policy, &policy->rules[policy->rule_count++]);
	if (yaml_ok(doc))
		refuse_same_names(doc, rules, policy);
}

static void read_policy(struct yaml_doc *doc, const struct policy_context *context, struct policy *policy)
{
	unsigned action = 0;

	yaml_map(doc, doc->root, top_keys, NULL);
	yaml_choice(doc, yaml_need(doc, doc->root, "default"), default_actions, NULL, &action);
	policy->default_action = (uint8_t)(RPC_ACTION_ALLOW + action);
	only_for(doc, doc->root, "block_with", policy->default_action == RPC_ACTION_BLOCK,
	    "block (here: default: block)");
	policy->default_block = choose(doc, doc->root, "block_with", blocks);
	read_rules(doc, yaml_get(doc->root, "rules"), context, policy);
}

static void take_fault(const struct yaml_doc *doc, struct policy_fault *fault)
{
	fault->line = doc->error_line;
	fault->column = doc->error_column;
	snprintf(fault->text, sizeof(fault->text), "%s", doc->error);
}

struct policy *policy_parse(const char *name, const char *text, size_t len,
    const struct policy_context *context, struct policy_fault *fault)
{
	struct yaml_doc doc;
	struct policy *policy = calloc(1, sizeof(*policy));

	*fault = (struct policy_fault){0};
	bool parsed = yaml_parse(&doc, name, text, len);
	if (policy != NULL) {
		policy->references = 1;
		policy->name = strdup(name);
		policy->text = strndup(text, len);
	}
	if (policy == NULL || policy->name == NULL || policy->text == NULL)
		yaml_fail(&doc, NULL, "out of memory");
	else if (parsed)
		read_policy(&doc, context, policy);
	if (!yaml_ok(&doc)) {
		take_fault(&doc, fault);
		policy_release(policy);
		policy = NULL;
	}
	yaml_doc_free(&doc);
	return policy;
}

struct policy *policy_hold(struct policy *policy)
{
	if (policy != NULL)
		policy->references++;
	return policy;
}

void policy_release(struct policy *policy)
{
	if (policy == NULL || --policy->references > 0)
		return;
	for (uint32_t i = 0; i < policy->rule_count; i++)
		ssh_release(policy->rules[i].ssh);
	free(policy->rules);
	free(policy->matches);
	free(policy->name);
	free(policy->text);
	free(policy);
}
