/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule says of the login: how the box gets into the origin, and what the client reads before. */
#include <stdlib.h>
#include <string.h>

#include "control/policy/ssh.h"

#define NOTICE_MAX 2048 /* bytes */

static const char *const ways[] = {"certificate", "password", "keyboard-interactive", "agent", "vault", NULL};
static const uint8_t way_numbers[] = {RPC_ORIGIN_CERTIFICATE, RPC_ORIGIN_PASSWORD,
    RPC_ORIGIN_KEYBOARD_INTERACTIVE, RPC_ORIGIN_AGENT, RPC_ORIGIN_VAULT};

static void read_origin_auth(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	if (node == NULL) {
		ssh->origin_auth[ssh->origin_auth_count++] = RPC_ORIGIN_CERTIFICATE;
		return;
	}
	for (const struct yaml_node *item = yaml_first_item(node); item != NULL;
	     item = yaml_next_item(node, item)) {
		unsigned choice;
		if (!yaml_choice(doc, item, ways, NULL, &choice))
			return;
		if (memchr(ssh->origin_auth, way_numbers[choice], ssh->origin_auth_count) != NULL) {
			yaml_fail(doc, item,
			    "'%s' stands here twice; each way is tried as often as it is of use",
			    ways[choice]);
			return;
		}
		if (memchr(ssh->origin_auth, RPC_ORIGIN_AGENT, ssh->origin_auth_count) != NULL) {
			yaml_fail(doc, item,
			    "expected 'agent' to stand last: it logs in after the client was let in, when "
			    "nothing else can be tried any more");
			return;
		}
		ssh->origin_auth[ssh->origin_auth_count++] = way_numbers[choice];
	}
	if (node->kind == YAML_LIST)
		yaml_list(doc, node, 1, RPC_ORIGIN_AUTHS_MAX);
}

/* It goes to terminals as it is: nothing in it may move a cursor. */
static bool is_plain(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
		if ((*c < 0x20 && *c != '\n') || *c == 0x7f || (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
			return false;
	return true;
}

static void read_notice(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	const char *text;

	if (!yaml_text(doc, node, NOTICE_MAX, &text))
		return;
	if (!is_plain(text)) {
		yaml_fail(doc, node,
		    "expected text without control characters; lines may end with a line feed (write the "
		    "text "
		    "as a block: |)");
		return;
	}
	ssh->notice = strdup(text);
	if (ssh->notice == NULL)
		yaml_fail(doc, node, "out of memory");
}

static bool asks_client(const struct policy_ssh *ssh)
{
	return memchr(ssh->origin_auth, RPC_ORIGIN_PASSWORD, ssh->origin_auth_count) != NULL ||
	       memchr(ssh->origin_auth, RPC_ORIGIN_KEYBOARD_INTERACTIVE, ssh->origin_auth_count) != NULL;
}

void ssh_read_login(struct yaml_doc *doc, const struct yaml_node *node, struct policy_ssh *ssh)
{
	read_origin_auth(doc, yaml_get(node, "origin_auth"), ssh);
	read_notice(doc, yaml_get(node, "notice"), ssh);
	if (yaml_ok(doc) && (ssh->identities & RPC_IDENTITY_ORIGIN) != 0 && !asks_client(ssh))
		yaml_fail(doc, yaml_get(node, "identities"),
		    "'origin' says that the origin's password or dialogue tells who somebody is, but "
		    "origin_auth "
		    "has neither password nor keyboard-interactive");
}
