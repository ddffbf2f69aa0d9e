/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy/ssh.h"
#include "control/policy/ssh_forward.h"
#include "control/policy/ssh_hostkeys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The `later` lists hold what Portreeve's documents name and this version does not build. */
static const char *const ssh_keys[] = {"users", "logins", "identities", "trusted_cas", "second_factor",
    "limits", "origin_auth", "command_logging", "recording", "permit", "notice", "log_exec", "host_keys",
    "legacy", "certificate_ttl", "login_grace", "auth_attempts", "forward", "session_notice", NULL};
static const char *const ssh_later[] = {"commands", "file_transfer", "content", "channels", NULL};
static const char *const users_keys[] = {"groups", "names", NULL};
static const char *const recordings[] = {"best_effort", "strict", NULL};
static const char *const permits[] = {
    "pty", "port-forwarding", "agent-forwarding", "x11-forwarding", "user-rc", NULL};
static const char *const permits_later[] = {"sftp", "scp", "upload", "download", "shell", "exec", NULL};

#define PERMIT_ALL                                                                                           \
	(RPC_PERMIT_PTY | RPC_PERMIT_PORT_FORWARDING | RPC_PERMIT_AGENT_FORWARDING |                         \
	    RPC_PERMIT_X11_FORWARDING | RPC_PERMIT_USER_RC)

/* Words of a list (or a single word). `braces`: "{user}" is a word too. */
static void read_words(
    struct yaml_doc *doc, const struct yaml_node *node, const char *what, bool braces, struct words *words)
{
	for (const struct yaml_node *item = yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item)) {
		const char *word;
		if (!yaml_text(doc, item, 255, &word))
			return;
		if (!word_is_name(word) && !(braces && strcmp(word, "{user}") == 0)) {
			char shown[80];
			yaml_shown(item, shown, sizeof(shown));
			yaml_fail(doc, item,
			    "expected the name of a %s (letters, digits and . _ @ + - \\ $, at most 63)%s; "
			    "found %s",
			    what, braces ? " or \"{user}\"" : "", shown);
			return;
		}
		if (!words_add(words, word)) {
			yaml_fail(doc, item, "too many names (at most %u)", WORDS_MAX);
			return;
		}
	}
}

static void read_users(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	yaml_map(doc, node, users_keys, NULL);
	read_words(doc, yaml_get(node, "groups"), "group", false, &ssh->groups);
	read_words(doc, yaml_get(node, "names"), "user", false, &ssh->names);
	if (yaml_ok(doc) && ssh->groups.count == 0 && ssh->names.count == 0)
		yaml_fail(doc, node,
		    "nobody may use this rule: expected groups, names or both, with at least one name");
}

static void read_permits(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	if (node == NULL)
		return;
	ssh->permits = 0;
	for (const struct yaml_node *item = yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item)) {
		unsigned choice = 0;
		if (yaml_choice(doc, item, permits, permits_later, &choice))
			ssh->permits |= 1u << choice; /* the order of enum rpc_permit */
	}
}

static void read_recording(struct yaml_doc *doc, const struct yaml_node *node,
    const struct policy_context *context, struct policy_ssh *ssh)
{
	bool command_logging = true, log_exec = false;
	unsigned mode = 0;

	yaml_bool(doc, yaml_get(node, "command_logging"), &command_logging);
	yaml_bool(doc, yaml_get(node, "log_exec"), &log_exec);
	yaml_choice(doc, yaml_get(node, "recording"), recordings, NULL, &mode);
	if (log_exec)
		ssh->permits |= RPC_PERMIT_LOG_EXEC;
	if (!command_logging) {
		if (yaml_get(node, "recording") != NULL)
			yaml_fail(doc, yaml_get(node, "recording"),
			    "says how to record, but command_logging: false says that nothing is recorded; "
			    "leave one out");
		ssh->recording = RPC_RECORDING_NONE;
		return;
	}
	ssh->recording = mode == 0 ? RPC_RECORDING_BEST_EFFORT : RPC_RECORDING_STRICT;
	if (context->recipient_count == 0)
		yaml_fail(doc, node,
		    "sessions are to be recorded, but the configuration of reeved has no auditor's key: put "
		    "one into "
		    "recorder.recipients (reeve keygen makes it), or say command_logging: false");
}

static void read_seconds(
    struct yaml_doc *doc, const struct yaml_node *node, uint32_t min, uint32_t max, uint32_t *seconds)
{
	uint64_t ms = (uint64_t)*seconds * 1000;

	if (yaml_duration(doc, node, (uint64_t)min * 1000, (uint64_t)max * 1000, &ms))
		*seconds = (uint32_t)((ms + 999) / 1000);
}

static void read_all(struct yaml_doc *doc, const struct yaml_node *node, const struct policy_context *context,
    struct policy_ssh *ssh)
{
	*ssh = (struct policy_ssh){.permits = PERMIT_ALL, .certificate_ttl_s = 120, .auth_attempts = 6};
	yaml_map(doc, node, ssh_keys, ssh_later);
	read_users(doc, yaml_need(doc, node, "users"), ssh);
	read_words(doc, yaml_need(doc, node, "logins"), "login", true, &ssh->logins);
	if (yaml_ok(doc) && ssh->logins.count == 0)
		yaml_fail(doc, yaml_get(node, "logins"), "expected at least one login, e.g. \"{user}\"");
	ssh_read_who(doc, node, ssh);
	ssh_read_login(doc, node, ssh);
	read_permits(doc, yaml_get(node, "permit"), ssh);
	forward_read(doc, yaml_get(node, "forward"), ssh);
	session_notice_read(doc, yaml_get(node, "session_notice"), ssh);
	read_recording(doc, node, context, ssh);
	ssh_read_host_keys(doc, node, ssh);
	read_seconds(doc, yaml_get(node, "certificate_ttl"), 30, 300, &ssh->certificate_ttl_s);
	if (yaml_ok(doc) && yaml_get(node, "certificate_ttl") != NULL &&
	    memchr(ssh->origin_auth, RPC_ORIGIN_CERTIFICATE, ssh->origin_auth_count) == NULL)
		yaml_fail(doc, yaml_get(node, "certificate_ttl"),
		    "means nothing here: origin_auth has no certificate");
	read_seconds(doc, yaml_get(node, "login_grace"), 10, 600, &ssh->login_grace_s);
	yaml_u32(doc, yaml_get(node, "auth_attempts"), 1, 20, &ssh->auth_attempts);
}

struct policy_ssh *ssh_read(
    struct yaml_doc *doc, const struct yaml_node *node, const struct policy_context *context)
{
	struct policy_ssh *ssh = calloc(1, sizeof(*ssh));

	if (ssh == NULL)
		yaml_fail(doc, node, "out of memory");
	else
		read_all(doc, node, context, ssh);
	return ssh;
}

void ssh_release(struct policy_ssh *ssh)
{
	if (ssh == NULL)
		return;
	ssh_release_who(ssh);
	words_free(&ssh->groups);
	words_free(&ssh->names);
	words_free(&ssh->logins);
	free(ssh->notice);
	free(ssh->forwards);
	free(ssh->session_notice);
	free(ssh);
}

bool policy_ssh_user(const struct policy_ssh *ssh, const char *user, const struct words *groups)
{
	return words_have(&ssh->names, user) || words_meet(&ssh->groups, groups);
}

bool policy_ssh_login(const struct policy_ssh *ssh, const char *user, const char *login)
{
	for (size_t i = 0; i < ssh->logins.count; i++) {
		const char *allowed = strcmp(ssh->logins.at[i], "{user}") == 0 ? user : ssh->logins.at[i];
		if (strcmp(allowed, login) == 0)
			return true;
	}
	return false;
}
