/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/control.h"
#include "control/settings/yaml.h"

#define PUSH_TIMEOUT_MS 15000 /* for the dataplane to build its classifier for 200,000 matches */

struct push {
	struct policy *policy;
	policies_done done; /* NULL: nobody waits for it */
	void *argument;
};

/* -- the database -----------------------------------------------------------------------------------------
 */

static bool store(struct control *control, struct policy *policy)
{
	sqlite3_stmt *row =
	    database_query(&control->db, "SELECT coalesce(max(generation), 0) + 1 FROM policies", "");

	if (!database_row(row))
		return false;
	policy->generation = (uint64_t)sqlite3_column_int64(row, 0);
	database_stop(row);
	database_durable(&control->db, true);
	bool good = database_run(&control->db,
	    "INSERT INTO policies(generation, name, text, applied_at) VALUES(?, ?, ?, NULL)", "itt",
	    (int64_t)policy->generation, policy->name, policy->text);
	database_durable(&control->db, false);
	return good;
}

static void prune(struct control *control)
{
	(void)database_run(&control->db,
	    "DELETE FROM policies WHERE generation <= (SELECT max(generation) FROM policies) - ?1"
	    " AND generation NOT IN (SELECT generation FROM sessions WHERE finished_at IS NULL)"
	    " AND generation <> (SELECT coalesce(max(generation), 0) FROM policies WHERE applied_at IS NOT "
	    "NULL)",
	    "i", (int64_t)POLICIES_KEPT);
}

/* From now on a restart loads this one. */
static bool remember(struct control *control, const struct policy *policy)
{
	database_durable(&control->db, true);
	bool good = database_run(&control->db, "UPDATE policies SET applied_at = ? WHERE generation = ?",
	    "ii", policy->applied_at, (int64_t)policy->generation);
	database_durable(&control->db, false);
	prune(control);
	return good;
}

static bool put_in_force(struct control *control, struct policy *policy)
{
	policy->applied_at = time(NULL);
	bool good = remember(control, policy);
	control->policies.from_file = false;
	policy_hold(policy);
	policy_release(control->policies.in_force);
	control->policies.in_force = policy;
	return good;
}

/* Parses the policy in the row (generation, name, text, applied_at), if there is one. */
static struct policy *take_policy(struct control *control, sqlite3_stmt *row, struct policy_fault *fault)
{
	if (!database_row(row))
		return NULL;
	const char *text = database_text(row, 2);
	struct policy *policy =
	    policy_parse(database_text(row, 1), text, strlen(text), &control->context, fault);
	if (policy != NULL) {
		policy->generation = (uint64_t)sqlite3_column_int64(row, 0);
		policy->applied_at = sqlite3_column_int64(row, 3);
	}
	database_stop(row);
	return policy;
}

/* -- at start ---------------------------------------------------------------------------------------------
 */

static struct policy *from_file(struct control *control, struct policy_fault *fault)
{
	const char *path = control->config.policy;
	char *text = malloc(YAML_TEXT_MAX + 1);
	int fd = text == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got = fd < 0 ? -1 : 1;

	while (got > 0 && len <= YAML_TEXT_MAX) {
		got = read(fd, text + len, YAML_TEXT_MAX + 1 - len);
		if (got > 0)
			len += (size_t)got;
	}
	struct policy *policy = NULL;
	if (got < 0)
		snprintf(
		    fault->text, sizeof(fault->text), "%.500s: cannot read it: %s", path, strerror(errno));
	else
		policy = policy_parse(path, text, len, &control->context, fault);
	if (fd >= 0)
		close(fd);
	free(text);
	return policy;
}

bool policies_open(struct control *control, struct policy_fault *fault)
{
	*fault = (struct policy_fault){0};
	struct policy *policy = take_policy(control,
	    database_query(&control->db,
	        "SELECT generation, name, text, applied_at FROM policies WHERE applied_at IS NOT NULL"
	        " ORDER BY generation DESC LIMIT 1",
	        ""),
	    fault);

	if (policy != NULL) {
		control->policies.in_force = policy;
		rpc_log(RPC_LOG_NOTICE,
		    "policy generation %llu, applied before, is in force again, %u rule%s; %s was not read "
		    "(`reeve policy apply`)",
		    (unsigned long long)policy->generation, policy->rule_count,
		    policy->rule_count == 1 ? "" : "s", control->config.policy);
		return true;
	}
	if (fault->text[0] != '\0')
		rpc_log(RPC_LOG_ERROR,
		    "the policy that was in force does not fit the configuration any more (%s); taking %s "
		    "instead",
		    fault->text, control->config.policy);
	policy = from_file(control, fault);
	if (policy == NULL)
		return false;
	if (!store(control, policy)) {
		snprintf(fault->text, sizeof(fault->text), "the policy could not be stored in control.db");
		policy_release(policy);
		return false;
	}
	prune(control); /* no start that comes to nothing leaves its policy there for ever */
	policy->applied_at = time(NULL);
	control->policies.in_force = policy;
	control->policies.from_file = true;
	rpc_log(RPC_LOG_NOTICE, "policy generation %llu is that of %s, %u rule%s",
	    (unsigned long long)policy->generation, policy->name, policy->rule_count,
	    policy->rule_count == 1 ? "" : "s");
	return true;
}

void policies_close(struct control *control)
{
	struct policies *policies = &control->policies;

	policy_release(policies->in_force);
	for (unsigned i = 0; i < POLICIES_CACHED; i++)
		policy_release(policies->cached[i]);
	policy_release(policies->applying);
	*policies = (struct policies){0};
}

/* -- by generation ----------------------------------------------------------------------------------------
 */

struct policy *policies_generation(struct control *control, uint64_t generation)
{
	struct policies *policies = &control->policies;
	struct policy_fault fault = {0};

	if (policies->in_force != NULL && policies->in_force->generation == generation)
		return policy_hold(policies->in_force);
	if (policies->applying != NULL && policies->applying->generation == generation)
		return policy_hold(policies->applying);
	for (unsigned i = 0; i < POLICIES_CACHED; i++)
		if (policies->cached[i] != NULL && policies->cached[i]->generation == generation)
			return policy_hold(policies->cached[i]);
	if (generation > INT64_MAX)
		return NULL;
	struct policy *policy = take_policy(control,
	    database_query(&control->db,
	        "SELECT generation, name, text, applied_at FROM policies WHERE generation = ?", "i",
	        (int64_t)generation),
	    &fault);
	if (policy == NULL)
		return NULL;
	policy_release(policies->cached[policies->next_cached]);
	policies->cached[policies->next_cached] = policy_hold(policy);
	policies->next_cached = (policies->next_cached + 1) % POLICIES_CACHED;
	return policy;
}

/* -- to the dataplane -------------------------------------------------------------------------------------
 */

static void push(struct control *control, struct policy *policy, policies_done done, void *argument);

static void settle(
    struct control *control, struct push *pushed, enum policies_result result, const char *text)
{
	struct policies *policies = &control->policies;
	struct policy *policy = pushed->policy;

	if (result == POLICIES_APPLIED)
		policies->dataplane_generation = policy->generation;
	if (pushed->done != NULL) {
		policy_release(policies->applying);
		policies->applying = NULL;
		if (result == POLICIES_APPLIED && !put_in_force(control, policy))
			result = POLICIES_FAILED;
		/* Whatever the dataplane made of it, it is to have what is in force. */
		if (result != POLICIES_APPLIED && peer_up(&control->peers.dataplane))
			push(control, policies->in_force, NULL, NULL);
		pushed->done(control, pushed->argument, result, policy, text);
	} else if (result == POLICIES_APPLIED) {
		if (policies->from_file && policy == policies->in_force && remember(control, policy))
			policies->from_file = false;
	} else {
		rpc_log(RPC_LOG_ERROR, "the dataplane did not take policy generation %llu: %s",
		    (unsigned long long)policy->generation, text);
	}
	policy_release(policy);
	free(pushed);
}

static void push_done(void *context, void *argument, int error, struct wire_span body)
{
	struct push *pushed = argument;
	struct rpc_dp_policy_done reply;
	char text[512];

	if (error != 0) {
		settle(context, pushed, POLICIES_UNAVAILABLE,
		    error == -EPIPE ? "the dataplane is down" : "the dataplane did not confirm it in time");
	} else if (!rpc_get_dp_policy_done(body, &reply) || reply.generation != pushed->policy->generation) {
		settle(context, pushed, POLICIES_UNAVAILABLE, "the dataplane's answer makes no sense");
	} else if (reply.error.len > 0) {
		if (!wire_span_copy(reply.error, text, sizeof(text)))
			snprintf(text, sizeof(text), "it did not say why");
		settle(context, pushed, POLICIES_REFUSED, text);
	} else {
		settle(context, pushed, POLICIES_APPLIED, "");
	}
}

static void push(struct control *control, struct policy *policy, policies_done done, void *argument)
{
	struct push *pushed = malloc(sizeof(*pushed));
	size_t size = 0;

	if (pushed == NULL) {
		if (done != NULL)
			done(control, argument, POLICIES_FAILED, policy, "out of memory");
		return;
	}
	*pushed = (struct push){policy_hold(policy), done, argument};
	int memfd = policy_compile(policy, &size);
	if (memfd < 0) {
		settle(control, pushed, POLICIES_FAILED, "the compiled policy could not be put into memory");
		return;
	}
	struct call_options options = {.peer = &control->peers.dataplane,
	    .type = RPC_DP_POLICY,
	    .reply_type = RPC_DP_POLICY_DONE,
	    .timeout_ms = PUSH_TIMEOUT_MS,
	    .fd = memfd,
	    .done = push_done,
	    .argument = pushed};
	CALL(&options, dp_policy, .generation = policy->generation, .size = (uint32_t)size);
	close(memfd);
}

void policies_apply(struct control *control, struct policy *policy, policies_done done, void *argument)
{
	struct policies *policies = &control->policies;

	if (policies->applying != NULL) {
		done(control, argument, POLICIES_BUSY, policy, "another policy is being applied");
	} else if (!peer_up(&control->peers.dataplane)) {
		done(control, argument, POLICIES_UNAVAILABLE, policy, "the dataplane is down");
	} else if (!store(control, policy)) {
		done(control, argument, POLICIES_FAILED, policy, "it could not be stored in control.db");
	} else {
		policies->applying = policy_hold(policy);
		push(control, policy, done, argument);
	}
}

void policies_dataplane_up(struct control *control)
{
	control->policies.dataplane_generation = 0;
	if (control->policies.in_force != NULL)
		push(control, control->policies.in_force, NULL, NULL);
}
