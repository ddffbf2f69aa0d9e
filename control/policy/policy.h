/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: policy.yaml, read strictly, and compiled for the dataplane.
 *
 * Theory of operation. The text becomes rules in order, first match wins. Lists in a rule's match (networks,
 * ports, VLANs, links, protocols) are multiplied out into single matches here, because the dataplane's
 * classifier knows only those; how many come out is bounded. The dataplane gets the matches and what to do
 * with a packet (policy_compile); who may log in, and what is recorded, stays here and is looked up by rule
 * number and generation when a worker asks. A policy never changes once parsed; it is shared by reference
 * count.
 */
#ifndef CONTROL_POLICY_POLICY_H
#define CONTROL_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/identity/words.h"
#include "control/rpc/legacy.h"
#include "control/rpc/rpc.h"

#define POLICY_RULES_MAX 50000
#define POLICY_MATCHES_MAX 200000
#define POLICY_RULE_NAME_SIZE 64

/* Which host keys of an origin are good enough. */
enum policy_host_keys {
	POLICY_HOST_KEYS_FIRST_USE = 0, /* what is known, else whichever is met first */
	POLICY_HOST_KEYS_KNOWN_HOSTS,   /* what an administrator imported or pinned */
	POLICY_HOST_KEYS_CA,            /* certificates of a host CA */
	POLICY_HOST_KEYS_STRICT,        /* whatever is known, however it came to be; nothing new */
};

/* A CA beside the box's own whose user certificates count. */
struct policy_trusted_ca {
	uint8_t *blob; /* its plain key */
	size_t blob_len;
	bool by_principal; /* a principal names the enrolled user; else the key id does */
};
#define POLICY_TRUSTED_CAS_MAX 32

/* What an audit_ssh rule says about sessions. */
struct policy_ssh {
	struct words groups, names; /* users: who may */
	struct words logins;        /* "{user}" stands for the user's own name */
	uint32_t identities;        /* enum rpc_identity: what tells who somebody is */
	uint8_t second_factor;      /* enum rpc_factor */
	struct policy_trusted_ca *trusted_cas;
	uint32_t trusted_ca_count;
	uint32_t sessions_per_user,
	    sessions_per_source; /* at once under this rule; 0: as many as they like */
	enum rpc_recording recording;
	uint32_t permits; /* enum rpc_permit */
	enum policy_host_keys host_keys;
	uint32_t legacy_client, legacy_origin; /* sets of control/rpc/legacy.h */
	uint32_t certificate_ttl_s;            /* of the certificates minted for the origin */
	uint32_t login_grace_s;                /* 0: as the configuration says (sshterm.login_grace) */
	uint32_t auth_attempts;
	uint8_t origin_auth[RPC_ORIGIN_AUTHS_MAX]; /* enum rpc_origin_auth, in the order of trying */
	uint32_t origin_auth_count;
	char *notice;      /* shown to clients before login; NULL: none */
	uint8_t *forwards; /* as SES_MAY_REPLY.forwards has it; NULL: as the permits say */
	size_t forwards_len;
	char *session_notice; /* NULL: none */
};

struct policy_rule {
	char name[POLICY_RULE_NAME_SIZE];
	uint8_t action, block, unavailable, midstream, policy_change, unsupported; /* enums of rpc.h */
	uint32_t first_match, match_count;                                         /* in policy->matches */
	struct policy_ssh *ssh; /* audit_ssh only, else NULL */
};

struct policy {
	unsigned references;
	uint64_t generation;
	int64_t applied_at; /* unix seconds; 0: not in force yet */
	uint8_t default_action, default_block;
	struct policy_rule *rules;
	uint32_t rule_count;
	struct rpc_policy_match *matches;
	uint32_t match_count, match_room;
	char *name; /* of the file it came from, for messages */
	char *text;
};

/* What a policy is checked against. */
struct policy_context {
	struct words links;       /* names of the links, in their order */
	unsigned recipient_count; /* auditors' keys: without one nothing can be recorded */
};

struct policy_fault {
	uint32_t line, column; /* 0: not tied to a place */
	char text[1024];       /* with file, line and column */
};

/* Parses; one reference is the caller's. NULL: `fault` says what, where, and what was expected. */
struct policy *policy_parse(const char *name, const char *text, size_t len,
    const struct policy_context *context, struct policy_fault *fault);
struct policy *policy_hold(struct policy *policy);
void policy_release(struct policy *policy);

/* May the user (name and groups) use this rule at all? May `user` log in as `login` by this rule? */
bool policy_ssh_user(const struct policy_ssh *ssh, const char *user, const struct words *groups);
bool policy_ssh_login(const struct policy_ssh *ssh, const char *user, const char *login);

/* The blob of rpc.h (RPC_POLICY_VERSION) in a sealed memfd. Returns the descriptor and its size, or -errno.
 */
int policy_compile(const struct policy *policy, size_t *size);

#endif
