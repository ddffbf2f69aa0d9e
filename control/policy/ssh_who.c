/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule says about who somebody is, and how often. */
#include "control/policy/ssh.h"

#include <stdlib.h>
#include <string.h>

#include "control/certificate/public_key.h"

#define LIMIT_MAX 1000000

/* In the order of the bits of enum rpc_identity. */
static const char *const identities[] = {"certificate", "key", "address", "origin", NULL};
static const char *const factors[] = {"none", "totp", NULL};
static const char *const named_by[] = {"key_id", "principal", NULL};

static void read_identities(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	ssh->identities = RPC_IDENTITY_CERTIFICATE | RPC_IDENTITY_KEY;
	if (node == NULL || (node->kind == YAML_LIST && !yaml_list(doc, node, 1, 4)))
		return;
	ssh->identities = 0;
	for (const struct yaml_node *item = yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item)) {
		unsigned choice = 0;
		if (!yaml_choice(doc, item, identities, NULL, &choice))
			return;
		if ((ssh->identities & (1u << choice)) != 0)
			yaml_fail(doc, item, "'%s' stands in the list twice", identities[choice]);
		ssh->identities |= 1u << choice;
	}
}

/* -- further CAs ------------------------------------------------------------------------------------------
 */

static void read_trusted_ca(
    struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh, struct public_key_line *line)
{
	static const char *const keys[] = {"key", "user", NULL};
	struct policy_trusted_ca *ca = &ssh->trusted_cas[ssh->trusted_ca_count];
	const struct yaml_node *key = yaml_need(doc, node, "key");
	unsigned choice = 0;
	const char *text;

	yaml_map(doc, node, keys, NULL);
	if (!yaml_text(doc, key, PUBLIC_KEY_BLOB_MAX * 2, &text) || !yaml_ok(doc))
		return;
	const char *wrong = public_key_line_parse(text, key->len, line);
	if (wrong != NULL) {
		yaml_fail(doc, key, "the CA's public key %s", wrong);
		return;
	}
	/* The analyzer does not see that a line that was parsed, and each CA that is counted, has a key:
	 * NOLINTBEGIN(clang-analyzer-core.NonNullParamChecker, clang-analyzer-optin.portability.UnixAPI) */
	for (uint32_t i = 0; i < ssh->trusted_ca_count; i++)
		if (ssh->trusted_cas[i].blob_len == line->blob_len &&
		    memcmp(ssh->trusted_cas[i].blob, line->blob, line->blob_len) == 0)
			yaml_fail(doc, key, "this CA stands in the list twice");
	if (yaml_choice(doc, yaml_get(node, "user"), named_by, NULL, &choice))
		ca->by_principal = choice == 1;
	ca->blob = malloc(line->blob_len);
	if (ca->blob == NULL) {
		yaml_fail(doc, key, "out of memory");
		return;
	}
	memcpy(ca->blob, line->blob, line->blob_len);
	/* NOLINTEND(clang-analyzer-core.NonNullParamChecker, clang-analyzer-optin.portability.UnixAPI) */
	ca->blob_len = line->blob_len;
	ssh->trusted_ca_count++;
}

static void read_trusted_cas(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	if (node == NULL || !yaml_list(doc, node, 1, POLICY_TRUSTED_CAS_MAX))
		return;
	if ((ssh->identities & RPC_IDENTITY_CERTIFICATE) == 0) {
		yaml_fail(doc, node, "means nothing here: identities has no certificate");
		return;
	}
	struct public_key_line *line = malloc(sizeof(*line));
	ssh->trusted_cas = calloc(node->count, sizeof(*ssh->trusted_cas));
	if (line != NULL && ssh->trusted_cas != NULL)
		for (const struct yaml_node *item = node->first; item != NULL && yaml_ok(doc);
		     item = item->next)
			read_trusted_ca(doc, item, ssh, line);
	else
		yaml_fail(doc, node, "out of memory");
	free(line);
}

void ssh_release_who(struct policy_ssh *ssh)
{
	for (uint32_t i = 0; i < ssh->trusted_ca_count; i++)
		free(ssh->trusted_cas[i].blob);
	free(ssh->trusted_cas);
}

/* -- limits -----------------------------------------------------------------------------------------------
 */

static void read_limits(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	static const char *const keys[] = {"sessions_per_user", "sessions_per_source", NULL};

	if (node == NULL)
		return;
	yaml_map(doc, node, keys, NULL);
	yaml_u32(doc, yaml_get(node, "sessions_per_user"), 1, LIMIT_MAX, &ssh->sessions_per_user);
	yaml_u32(doc, yaml_get(node, "sessions_per_source"), 1, LIMIT_MAX, &ssh->sessions_per_source);
	if (yaml_ok(doc) && ssh->sessions_per_user + ssh->sessions_per_source == 0)
		yaml_fail(doc, node, "expected sessions_per_user, sessions_per_source or both");
}

void ssh_read_who(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	unsigned factor = 0;

	read_identities(doc, yaml_get(node, "identities"), ssh);
	read_trusted_cas(doc, yaml_get(node, "trusted_cas"), ssh);
	if (yaml_choice(doc, yaml_get(node, "second_factor"), factors, NULL, &factor))
		ssh->second_factor = (uint8_t)factor; /* the order of enum rpc_factor */
	read_limits(doc, yaml_get(node, "limits"), ssh);
}
