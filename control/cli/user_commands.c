/* SPDX-License-Identifier: Apache-2.0 */
/* user add, ls, rm, cert: who may log in through audited rules, and with what. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

/* What the box issues. */
#define TTL_MIN_S 60
#define TTL_MAX_S (30 * 86400)

bool read_public_key(const char *path, char line[KEY_LINE_MAX])
{
	FILE *in = fopen(path, "re");
	bool found = false;

	if (in == NULL)
		return complain("cannot read the public key %s: %s", path, strerror(errno)), false;
	while (!found && fgets(line, KEY_LINE_MAX, in) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		found = line[0] != '\0' && line[0] != '#';
	}
	fclose(in);
	if (found && strncmp(line, "-----BEGIN", 10) == 0)
		return complain("%s is a private key; give the public one (%s.pub?)", path, path), false;
	if (!found)
		complain("%s holds no public key", path);
	return found;
}

/* Splits "a,b" into the array. */
static void add_words(json_t *array, const char *words)
{
	while (*words != '\0') {
		size_t len = strcspn(words, ",");
		if (len > 0)
			json_array_append_new(array, json_stringn(words, len));
		words += len + (words[len] == ',');
	}
}

static json_t *option_words(const struct call *call, const char *name)
{
	json_t *array = json_array();
	const char *value;

	for (size_t i = 0; (value = call_option_at(call, name, i)) != NULL; i++)
		add_words(array, value);
	return array;
}

static const struct column user_columns[] = {{"USER", "name", COLUMN_TEXT}, {"LOGINS", "logins", COLUMN_LIST},
    {"GROUPS", "groups", COLUMN_LIST}, {"KEYS", "keys", COLUMN_LIST}, {"SINCE", "created_at", COLUMN_TIME}};

static int run_add(const struct call *call)
{
	static char line[KEY_LINE_MAX];
	const char *path;

	if (call_option(call, "login") == NULL)
		return complain("--login is missing: the logins at origins that %s may use, such as --login "
		                "%s,root",
		           call->arguments[0], call->arguments[0]),
		       EXIT_USAGE;
	json_t *keys = json_array();
	json_t *logins = option_words(call, "login");
	if (json_array_size(logins) == 0) {
		json_decref(keys);
		json_decref(logins);
		return complain("--login is empty: expected logins such as %s,root", call->arguments[0]),
		       EXIT_USAGE;
	}

	for (size_t i = 0; (path = call_option_at(call, "key", i)) != NULL; i++) {
		if (!read_public_key(path, line)) {
			json_decref(keys);
			json_decref(logins);
			return EXIT_FAILED;
		}
		json_array_append_new(keys, json_string(line));
	}
	json_t *result = control_ask(call->socket_path, "user.add",
	    json_pack("{s:s, s:o, s:o, s:o}", "name", call->arguments[0], "logins", logins, "keys", keys,
	        "groups", option_words(call, "group")));
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print_one(result, user_columns, 4);
	json_decref(result);
	return EXIT_OK;
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

/* Writes the certificate and says what it is: its serial is what a revocation list names. With --json it is
 * printed, and written only where -o says so. */
static int give_certificate(
    const struct call *call, const json_t *result, const char *path, const char *certificate)
{
	char until[32];
	time_t end = (time_t)json_integer_value(json_object_get(result, "valid_before"));

	if (call->json)
		print_json(result);
	if (call->json && call_option(call, "output") == NULL)
		return EXIT_OK;
	int status = write_certificate(path, certificate);
	if (status != EXIT_OK || call->json)
		return status;
	strftime(until, sizeof(until), "%F %T", localtime(&end));
	printf("%s: serial %lld, good until %s; ssh finds it beside its private key\n", path,
	    (long long)json_integer_value(json_object_get(result, "serial")), until);
	return EXIT_OK;
}

static int run_cert(const struct call *call)
{
	static char line[KEY_LINE_MAX];
	char path[4096];
	const char *key_path = call_option(call, "key");
	const char *ttl = call_option(call, "ttl");
	const char *output = call_option(call, "output");

	if (key_path == NULL)
		return complain("--key FILE.pub is missing: the public key to certify"), EXIT_USAGE;
	long long seconds = parse_duration(ttl != NULL ? ttl : "8h");
	if (seconds < TTL_MIN_S || seconds > TTL_MAX_S)
		return complain("--ttl takes a duration from 1m to 30d, such as 8h or 1h30m, not '%s'", ttl),
		       EXIT_USAGE;
	if (!read_public_key(key_path, line))
		return EXIT_FAILED;
	if (output == NULL && !certificate_path(key_path, path, sizeof(path)))
		return complain("the path is too long");
	json_t *result = control_ask(call->socket_path, "user.cert",
	    json_pack(
	        "{s:s, s:s, s:I}", "name", call->arguments[0], "key", line, "ttl_s", (json_int_t)seconds));
	const char *certificate = json_string_value(json_object_get(result, "certificate"));
	int status = EXIT_FAILED;
	if (result != NULL && certificate == NULL)
		complain("the box answered without a certificate");
	else if (certificate != NULL)
		status = give_certificate(call, result, output != NULL ? output : path, certificate);
	json_decref(result);
	return status;
}

const struct command user_commands[4] = {
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
            "be repeated. A user without a key needs a certificate (`reeve user cert`). To change a user, "
            "remove\n"
            "and add: certificates that were issued before are worth nothing then.\n\n"
            "Example: reeve user add alice --login alice,root --key alice.pub --group sre",
        .options = {{"login", 0, "A,B", "logins at the origin", true},
            {"key", 0, "FILE", "a public key of the user", true},
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
        .arguments = "NAME --key FILE.pub [--ttl 8h] [-o FILE]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "issue a certificate to a user",
        .text =
            "Signs the user's public key with the box's client CA and writes the certificate beside it, as\n"
            "FILE-cert.pub, where ssh finds it by itself. The box checks it at each login; origins never see "
            "it.\n"
            "With --json the certificate is printed, and written only where -o says.\n\n"
            "Example: reeve user cert alice --key alice.pub --ttl 8h",
        .options = {{"key", 0, "FILE", "the public key to certify", false},
            {"ttl", 0, "TIME", "how long it is good: 30m, 8h (default), 7d", false},
            {"output", 'o', "FILE", "where to write it", false}},
        .run = run_cert},
};
