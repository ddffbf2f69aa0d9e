/* SPDX-License-Identifier: Apache-2.0 */
/* targets.ls, target.*, known_hosts.*: which origins are known, and by what. */
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

static bool lists(const json_t *target, const char *key, const char *text)
{
	size_t i;
	const json_t *one;

	json_array_foreach(json_object_get(target, key), i, one)
	{
		if (strcmp(json_string_value(one), text) == 0)
			return true;
	}
	return false;
}

/* Those of the targets that somebody means who types this: an address, or a name. */
static json_t *targets_meant(json_t *targets, const char *typed)
{
	char address[TARGET_ADDRESS_SIZE], name[TARGET_NAME_MAX + 1];
	bool is_address = target_address_read(typed, address);
	bool is_name = !is_address && target_name_read(typed, name);
	json_t *meant = json_array(), *target;
	size_t i;

	json_array_foreach(targets, i, target)
	{
		if ((is_address && lists(target, "addresses", address)) ||
		    (is_name && lists(target, "names", name)))
			json_array_append(meant, target);
	}
	json_decref(targets);
	return meant;
}

static void targets_ls(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"at", NULL};
	const char *at = NULL;

	if (!params_only(request, params, keys) || !params_string(request, params, "at", false, &at))
		return;
	json_t *targets = targets_json(&request->control->db);
	request_result(
	    request, json_pack("{s:o}", "targets", at == NULL ? targets : targets_meant(targets, at)));
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
	bool by_admin;

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
	else if (targets_check(&request->control->db, address, blob, target_id, pinned, &by_admin) ==
	         TARGETS_CHANGED)
		request_fail(request, SERVER_CONFLICT, "%s is pinned to %s; first: reeve target forget %s",
		    address, pinned, address);
	else if (!targets_pin(&request->control->db, address, blob, true))
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
	else {
		request_audit(request, "host_key.add",
		    json_pack("{s:s, s:s}", "address", address, "target", target_id));
		request_result(request, json_pack("{s:s, s:s}", "target_id", target_id, "address", address));
	}
	free(line);
}

/* Names of an address, or of one port of it; canonical, each good; false: answered. */
static bool take_target_names(
    struct request *request, const json_t *params, char address[TARGET_ADDRESS_SIZE], const json_t **names)
{
	static const char *const keys[] = {"address", "names", NULL};
	const char *typed = NULL;
	char name[TARGET_NAME_MAX + 1];
	size_t i;
	const json_t *item;

	if (!params_only(request, params, keys) || !params_string(request, params, "address", true, &typed) ||
	    !params_list(request, params, "names", names))
		return false;
	if (!target_place_read(typed, address)) {
		request_fail(request, SERVER_BAD_INPUT,
		    "expected an address such as 198.51.100.2 or [2001:db8::2]:2222, %%vlan7 after it on a "
		    "tagged network; found '%.80s'",
		    typed);
		return false;
	}
	json_array_foreach((json_t *)*names, i, item)
	{
		if (!target_name_read(json_string_value(item), name)) {
			request_fail(request, SERVER_BAD_INPUT,
			    "'%.80s' is no host name; expected letters, digits, '-', '_' and '.', at most %d",
			    json_string_value(item), TARGET_NAME_MAX);
			return false;
		}
	}
	if (json_array_size(*names) == 0)
		request_fail(request, SERVER_BAD_INPUT, "expected at least one name");
	return json_array_size(*names) > 0;
}

static void target_name(struct request *request, const json_t *params)
{
	struct database *db = &request->control->db;
	char address[TARGET_ADDRESS_SIZE], name[TARGET_NAME_MAX + 1];
	const json_t *names = NULL, *item;
	bool good = true;
	size_t i;

	if (!take_target_names(request, params, address, &names))
		return;
	if (targets_name_count(db, address) + json_array_size(names) > TARGET_NAMES_MAX) {
		request_fail(
		    request, SERVER_BAD_INPUT, "%s would have more than %d names", address, TARGET_NAMES_MAX);
		return;
	}
	json_array_foreach((json_t *)names, i, item)
	{
		(void)target_name_read(json_string_value(item), name);
		good = targets_name(db, address, name) && good;
	}
	if (!good) {
		request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
		return;
	}
	request_audit(
	    request, "target.name", json_pack("{s:s, s:O}", "address", address, "names", (json_t *)names));
	request_result(request, json_pack("{s:s}", "address", address));
}

static void target_unname(struct request *request, const json_t *params)
{
	char address[TARGET_ADDRESS_SIZE], name[TARGET_NAME_MAX + 1];
	const json_t *names = NULL, *item;
	int removed = 0;
	size_t i;

	if (!take_target_names(request, params, address, &names))
		return;
	json_array_foreach((json_t *)names, i, item)
	{
		(void)target_name_read(json_string_value(item), name);
		removed += targets_unname(&request->control->db, address, name);
	}
	if (removed == 0) {
		request_fail(request, SERVER_NOT_FOUND, "%s has none of these names", address);
		return;
	}
	request_audit(
	    request, "target.unname", json_pack("{s:s, s:O}", "address", address, "names", (json_t *)names));
	request_result(request, json_pack("{s:s, s:i}", "address", address, "removed", removed));
}

/* -- known_hosts files of origins -------------------------------------------------------------------------
 */

static void known_hosts_import_method(struct request *request, const json_t *params)
{
	static const char *const keys[] = {"text", "replace", NULL};
	struct control *control = request->control;
	struct known_import result;
	const char *text = NULL;
	bool replace = false;

	if (!params_only(request, params, keys) || !params_string(request, params, "text", true, &text) ||
	    !params_bool(request, params, "replace", &replace))
		return;
	if (!known_hosts_import(&control->known, &control->db, text, replace, &result)) {
		if (result.wrong_line > 0)
			request_fail(request, SERVER_BAD_INPUT, "line %u %s; nothing was imported",
			    result.wrong_line, result.wrong == NULL ? "cannot be taken" : result.wrong);
		else
			request_fail(request, JSONRPC_INTERNAL, "control.db did not take it; see the log");
		return;
	}
	request_audit(request, "known_hosts.import",
	    json_pack("{s:i, s:b, s:i}", "lines", (int)result.lines, "replace", replace, "total",
	        (int)control->known.count));
	request_result(request, json_pack("{s:i, s:i, s:i}", "lines", (int)result.lines, "passed_over",
	                            (int)result.passed_over, "total", (int)control->known.count));
}

static void known_hosts_ls(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};

	if (params_only(request, params, keys))
		request_result(
		    request, json_pack("{s:o}", "known_hosts", known_hosts_json(&request->control->known)));
}

const struct method target_methods[] = {
    {"targets.ls", ROLE_ADMIN, targets_ls},
    {"target.add", ROLE_ADMIN, target_add},
    {"target.forget", ROLE_ADMIN, target_forget},
    {"known_hosts.import", ROLE_ADMIN, known_hosts_import_method},
    {"known_hosts.ls", ROLE_ADMIN, known_hosts_ls},
    {"target.name", ROLE_ADMIN, target_name},
    {"target.unname", ROLE_ADMIN, target_unname},
    {NULL, ROLE_NONE, NULL},
};
