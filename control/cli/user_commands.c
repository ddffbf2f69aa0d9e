/* SPDX-License-Identifier: Apache-2.0 */
/* user add, change, ls, rm, cert: who may log in through audited rules, and with what. */
#include <stdio.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

static const struct column user_columns[] = {{"USER", "name", COLUMN_TEXT}, {"LOGINS", "logins", COLUMN_LIST},
    {"GROUPS", "groups", COLUMN_LIST}, {"KEYS", "keys", COLUMN_LIST}, {"SINCE", "created_at", COLUMN_TIME}};

/* The public keys of all --key; NULL after a message. */
static json_t *option_keys(const struct call *call)
{
	static char line[KEY_LINE_MAX];
	json_t *keys = json_array();
	const char *path;

	for (size_t i = 0; (path = call_option_at(call, "key", i)) != NULL; i++) {
		if (!read_public_key(path, line)) {
			json_decref(keys);
			return NULL;
		}
		json_array_append_new(keys, json_string(line));
	}
	return keys;
}

/* Takes `result` over (NULL: it was said why not). */
static int print_user(const struct call *call, json_t *result)
{
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print_one(result, user_columns, 4);
	json_decref(result);
	return EXIT_OK;
}

static int run_add(const struct call *call)
{
	if (call_option(call, "login") == NULL)
		return complain("--login is missing: the logins at origins that %s may use, such as --login "
		                "%s,root",
		           call->arguments[0], call->arguments[0]),
		       EXIT_USAGE;
	json_t *logins = call_words(call, "login");
	if (json_array_size(logins) == 0) {
		json_decref(logins);
		return complain("--login is empty: expected logins such as %s,root", call->arguments[0]),
		       EXIT_USAGE;
	}

	json_t *keys = option_keys(call);
	if (keys == NULL) {
		json_decref(logins);
		return EXIT_FAILED;
	}
	return print_user(call, control_ask(call->socket_path, "user.add",
	                            json_pack("{s:s, s:o, s:o, s:o}", "name", call->arguments[0], "logins",
	                                logins, "keys", keys, "groups", call_words(call, "group"))));
}

static int run_change(const struct call *call)
{
	bool logins = call_option(call, "login") != NULL, groups = call_option(call, "group") != NULL;
	bool keys = call_option(call, "key") != NULL, no_keys = call_option(call, "no-keys") != NULL;

	if (!logins && !groups && !keys && !no_keys)
		return complain("nothing to change: --login, --key, --no-keys or --group says what"),
		       EXIT_USAGE;
	if (keys && no_keys)
		return complain("--key and --no-keys: one of them"), EXIT_USAGE;
	json_t *params = json_pack("{s:s}", "name", call->arguments[0]);
	json_t *lines = option_keys(call);
	if (lines == NULL) {
		json_decref(params);
		return EXIT_FAILED;
	}
	if (keys || no_keys)
		json_object_set(params, "keys", lines);
	json_decref(lines);
	if (logins)
		json_object_set_new(params, "logins", call_words(call, "login"));
	if (groups)
		json_object_set_new(params, "groups", call_words(call, "group"));
	return print_user(call, control_ask(call->socket_path, "user.change", params));
}

static int run_ls(const struct call *call)
{
	json_t *result = control_ask(call->socket_path, "user.ls", NULL);

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print(json_object_get(result, "users"), user_columns, 5,
		    "no users; `reeve user add NAME --login …`");
	json_decref(result);
	return EXIT_OK;
}

static int run_rm(const struct call *call)
{
	json_t *result =
	    control_ask(call->socket_path, "user.rm", json_pack("{s:s}", "name", call->arguments[0]));

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		printf("%s is no user any more; live sessions go on (`reeve session kill`)\n",
		    call->arguments[0]);
	json_decref(result);
	return EXIT_OK;
}

static int run_cert(const struct call *call)
{
	static const struct ttl_range range = {.usual = "8h",
	    .min_s = 60,
	    .max_s = 30 * 86400,
	    .expected = "from 1m to 30d, such as 8h or 1h30m"};
	static struct certificate_order order;
	const char *key_path = call_option(call, "key");

	if (key_path == NULL)
		return complain("--key FILE.pub is missing: the public key to certify"), EXIT_USAGE;
	int status = certificate_order_read(call, key_path, &range, &order);
	if (status != EXIT_OK)
		return status;
	json_t *params =
	    json_pack("{s:s, s:s, s:I, s:b, s:b}", "name", call->arguments[0], "key", order.key, "ttl_s",
	        (json_int_t)order.ttl_s, "no_touch_required", call_option(call, "no-touch-required") != NULL,
	        "verify_required", call_option(call, "verify-required") != NULL);
	if (call_option(call, "source-address") != NULL)
		json_object_set_new(
		    params, "source_address", json_string(call_option(call, "source-address")));
	if (call_option(call, "force-command") != NULL)
		json_object_set_new(params, "force_command", json_string(call_option(call, "force-command")));
	return certificate_order_fill(
	    call, &order, "user.cert", params, "ssh finds it beside its private key");
}

const struct command user_commands[5] = {
    {.group = "user",
        .verb = "add",
        .arguments = "NAME --login a,b [--key FILE.pub] [--group G]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "enrol a user",
        .text =
            "Enrols NAME: the logins that NAME may use on origins (as far as the rule allows them too), the\n"
            "public keys that prove it is NAME, and the groups that rules name. --login, --key and --group "
            "may\n"
            "be repeated. A user without a key needs a certificate (`reeve user cert`).\n\n"
            "Example: reeve user add alice --login alice,root --key alice.pub --group sre",
        .options = {{"login", 0, "A,B", "logins at the origin", true},
            {"key", 0, "FILE", "a public key of the user, one in a file", true},
            {"group", 0, "G", "groups the user is in", true}},
        .run = run_add},
    {.group = "user",
        .verb = "ls",
        .arguments = "",
        .summary = "list users",
        .text =
            "Lists the enrolled users, their logins at origins, their groups and the fingerprints of their\n"
            "keys, as `ssh-keygen -l` prints them. What a user may do is what the logins here and the "
            "rule's\n"
            "users and logins both allow (`reeve policy show`).\n\n"
            "Example: reeve user ls --json",
        .run = run_ls},
    {.group = "user",
        .verb = "change",
        .arguments = "NAME [--login a,b] [--key FILE.pub | --no-keys] [--group G]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "change a user's logins, keys or groups",
        .text =
            "Puts the logins, keys or groups that are given in the place of those that NAME has; what is "
            "not\n"
            "given stays as it is, and so do certificates, second factor and bound addresses. --login, "
            "--key\n"
            "and --group may be repeated; --group '' takes all groups away. A certificate names the logins "
            "of\n"
            "its day: for a new one NAME needs another (`reeve user cert`). Live sessions go on.\n\n"
            "Example: reeve user change alice --group sre --group dba",
        .options = {{"login", 0, "A,B", "logins at the origin", true},
            {"key", 0, "FILE", "a public key of the user, one in a file", true},
            {"no-keys", 0, NULL, "no key any more", false}, {"group", 0, "G", "groups the user is in", true}},
        .run = run_change},
    {.group = "user",
        .verb = "rm",
        .arguments = "NAME",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "remove a user",
        .text = "Removes NAME. Certificates that were issued to NAME are worth nothing from now on. Sessions "
                "that\n"
                "are live go on; `reeve session kill` ends them.\n\n"
                "Example: reeve user rm alice",
        .run = run_rm},
    {.group = "user",
        .verb = "cert",
        .arguments = "NAME --key FILE.pub [--ttl 8h] [--source-address LIST] [--force-command CMD] "
                     "[--no-touch-required] [--verify-required] [-o FILE]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "issue a certificate to a user",
        .text =
            "Signs the user's public key with the box's client CA and writes the certificate beside it, as\n"
            "FILE-cert.pub, where ssh finds it by itself. The box checks it at each login; origins never see "
            "it.\n"
            "With --json the certificate is printed, and written only where -o says.\n\n"
            "It can say from where it may be used, the one command that it is for, and of a security key, "
            "that\n"
            "it need not be touched or that it must ask for PIN or fingerprint.\n\n"
            "Example: reeve user cert alice --key alice.pub --ttl 8h",
        .options = {{"key", 0, "FILE", "the public key to certify", false},
            {"ttl", 0, "TIME", "how long it is good: 30m, 8h (default), 7d", false},
            {"source-address", 0, "LIST", "from where: 198.51.100.7,2001:db8::/32", false},
            {"force-command", 0, "CMD", "what runs, whatever is asked for", false},
            {"no-touch-required", 0, NULL, "a security key need not be touched", false},
            {"verify-required", 0, NULL, "a security key asks for PIN or fingerprint", false},
            {"output", 'o', "FILE", "where to write it", false}},
        .run = run_cert},
};
