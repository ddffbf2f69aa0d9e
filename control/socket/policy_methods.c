/* SPDX-License-Identifier: Apache-2.0 */
/* policy.check, policy.apply, policy.show */
#include <stdio.h>
#include <string.h>

#include "control/control.h"

static const char *action_name(uint8_t action)
{
	return action == RPC_ACTION_ALLOW ? "allow" : action == RPC_ACTION_BLOCK ? "block" : "audit_ssh";
}

/* Parses the policy in the parameters. NULL: the request is answered. */
static struct policy *parse(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"text", "name", NULL};
	const char *text = NULL, *name = "policy.yaml";
	struct policy_fault fault;

	if (!params_only(request, params, keys) || !params_string(request, params, "text", true, &text) ||
	    !params_string(request, params, "name", false, &name))
		return NULL;
	struct policy *policy = policy_parse(name, text, strlen(text), &request->control->context, &fault);
	if (policy == NULL)
		request_fail_data(request, SERVER_BAD_INPUT,
		    fault.line == 0 ? NULL
		                    : json_pack("{s:I, s:I}", "line", (json_int_t)fault.line, "column",
		                          (json_int_t)fault.column),
		    fault.text);
	return policy;
}

/* What a good policy still needs: texts for whoever hands it in. */
static json_t *warnings_of(const struct control *control, const struct policy *policy)
{
	json_t *warnings = json_array();
	char text[512];

	for (uint32_t i = 0; control->no_user_ca && i < policy->rule_count; i++) {
		const struct policy_ssh *ssh = policy->rules[i].ssh;
		if (ssh == NULL ||
		    memchr(ssh->origin_auth, RPC_ORIGIN_CERTIFICATE, ssh->origin_auth_count) == NULL)
			continue;
		snprintf(text, sizeof(text),
		    "rule '%.128s' logs in to origins with certificates (origin_auth), and there is no user "
		    "CA to sign "
		    "them: nobody gets in that way before `reeve ca create --type user`",
		    policy->rules[i].name);
		json_array_append_new(warnings, json_string(text));
		break; /* one CA is made for all rules */
	}
	return warnings;
}

static void policy_check(struct request *request, const json_t *params)
{
	struct policy *policy = parse(request, params);

	if (policy == NULL)
		return;
	json_t *result = json_pack("{s:I, s:s, s:I, s:o}", "rules", (json_int_t)policy->rule_count, "default",
	    action_name(policy->default_action), "matches", (json_int_t)policy->match_count, "warnings",
	    warnings_of(request->control, policy));
	policy_release(policy);
	request_result(request, result);
}

static void applied(struct control *control, void *argument, enum policies_result result,
    const struct policy *policy, const char *text)
{
	struct request *request = argument;

	switch (result) {
	case POLICIES_APPLIED:
		request_audit(request, "policy.apply",
		    json_pack("{s:I, s:I}", "generation", (json_int_t)policy->generation, "rules",
		        (json_int_t)policy->rule_count));
		rpc_log(RPC_LOG_NOTICE, "policy generation %llu is in force, %u rule%s (by uid %u)",
		    (unsigned long long)policy->generation, policy->rule_count,
		    policy->rule_count == 1 ? "" : "s", (unsigned)request->uid);
		request_result(request,
		    json_pack("{s:I, s:I, s:o}", "generation", (json_int_t)policy->generation, "rules",
		        (json_int_t)policy->rule_count, "warnings", warnings_of(control, policy)));
		return;
	case POLICIES_BUSY:
		request_fail(request, SERVER_CONFLICT, "%s; nothing was changed, try again", text);
		return;
	case POLICIES_UNAVAILABLE:
		request_fail(request, SERVER_UNAVAILABLE,
		    "%s: the policy was not put in force, generation %llu stays; try again", text,
		    (unsigned long long)control->policies.in_force->generation);
		return;
	case POLICIES_REFUSED:
		request_fail(request, SERVER_BAD_INPUT,
		    "the dataplane refused the policy: %s; generation %llu stays", text,
		    (unsigned long long)control->policies.in_force->generation);
		return;
	case POLICIES_FAILED:
		request_fail(request, JSONRPC_INTERNAL, "the policy was not put in force: %s", text);
		return;
	}
}

static void policy_apply(struct request *request, const json_t *params)
{
	struct policy *policy = parse(request, params);

	if (policy == NULL)
		return;
	policies_apply(request->control, policy, applied, request);
	policy_release(policy);
}

static json_t *rule_json(const struct policy *policy, uint32_t index)
{
	const struct policy_rule *rule = &policy->rules[index];
	static const char *const recordings[] = {"none", "best_effort", "strict"};
	json_t *object = json_pack("{s:I, s:s, s:s, s:I}", "index", (json_int_t)index, "name", rule->name,
	    "action", action_name(rule->action), "matches", (json_int_t)rule->match_count);

	if (rule->ssh != NULL)
		json_object_set_new(object, "recording", json_string(recordings[rule->ssh->recording]));
	return object;
}

static void policy_show(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};
	const struct policy *policy = request->control->policies.in_force;

	if (!params_only(request, params, keys))
		return;
	json_t *rules = json_array();
	for (uint32_t i = 0; i < policy->rule_count; i++)
		json_array_append_new(rules, rule_json(policy, i));
	request_result(request,
	    json_pack("{s:I, s:s, s:I, s:b, s:s, s:s, s:o}", "generation", (json_int_t)policy->generation,
	        "name", policy->name, "applied_at", (json_int_t)policy->applied_at, "in_dataplane",
	        request->control->policies.dataplane_generation == policy->generation, "default",
	        action_name(policy->default_action), "text", policy->text, "rules", rules));
}

const struct method policy_methods[] = {
    {"policy.check", ROLE_ADMIN, policy_check},
    {"policy.apply", ROLE_ADMIN, policy_apply},
    {"policy.show", ROLE_AUDITOR, policy_show},
    {NULL, ROLE_NONE, NULL},
};
