/* SPDX-License-Identifier: Apache-2.0 */
/* targets.ls, target.add, target.forget */
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

static void targets_ls(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};

	if (params_only(request, params, keys))
		request_result(request, json_pack("{s:o}", "targets", targets_json(&request->control->db)));
}

static void target_forget(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"target_id", "address", NULL};
	const char *target_id = NULL, *address = NULL;

	if (!params_only(request, params, keys) ||
	    !params_string(request, params, "target_id", false, &target_id) ||
	    !params_string(request, params, "address", false, &address))
		return;
	if ((target_id == NULL) == (address == NULL)) {
		request_fail(request, JSONRPC_PARAMS, "target.forget takes either target_id or address");
		return;
	}
	char canonical[TARGET_ADDRESS_SIZE];
	const char *name = target_id != NULL ? target_id : address;
	if (address != NULL && target_address_read(address, canonical))
		name = canonical;
	int forgotten = targets_forget(&request->control->db, name);
	if (forgotten == 0) {
		request_fail(
		    request, SERVER_NOT_FOUND, "nothing is pinned for '%.100s'; see: reeve target ls", name);
		return;
	}
	request_audit(
	    request, "host_key.forget", json_pack("{s:s, s:i}", "target", name, "addresses", forgotten));
	request_result(request, json_pack("{s:i}", "forgotten", forgotten));
}

/* Pins a host key beforehand, for rules with host_keys: strict. */
static void target_add(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"address", "host_key", NULL};
	const char *typed = NULL, *text = NULL;
	char address[TARGET_ADDRESS_SIZE];
	char target_id[PUBLIC_KEY_FINGERPRINT_SIZE], pinned[PUBLIC_KEY_FINGERPRINT_SIZE];

	if (!params_only(request, params, keys) || !params_string(request, params, "address", true, &typed) ||
	    !params_string(request, params, "host_key", true, &text))
		return;
	struct public_key_line *line = malloc(sizeof(*line));
	const char *wrong =
	    line == NULL ? "did not fit into memory" : public_key_line_parse(text, strlen(text), line);
	struct wire_span blob = {line == NULL ? NULL : line->blob, line == NULL ? 0 : line->blob_len};
	if (wrong != NULL)
		request_fail(request, SERVER_BAD_INPUT, "the host key %s", wrong);
	else if (!target_address_read(typed, address))
		request_fail(request, SERVER_BAD_INPUT,
		    "expected an address such as 198.51.100.2 or [2001:db8::2]:2222, %%vlan7 after it on a "
		    "tagged network");
	else if (targets_check(&request->control->db, address, blob, target_id, pinned) == TARGETS_CHANGED)
		request_fail(request, SERVER_CONFLICT, "%s is pinned to %s; first: reeve target forget %s",
		    address, pinned, address);
	else if (!targets_pin(&request->control->db, address, blob))
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
	else {
		request_audit(request, "host_key.add",
		    json_pack("{s:s, s:s}", "address", address, "target", target_id));
		request_result(request, json_pack("{s:s, s:s}", "target_id", target_id, "address", address));
	}
	free(line);
}

const struct method target_methods[] = {
    {"targets.ls", ROLE_ADMIN, targets_ls},
    {"target.add", ROLE_ADMIN, target_add},
    {"target.forget", ROLE_ADMIN, target_forget},
    {NULL, ROLE_NONE, NULL},
};
