/* SPDX-License-Identifier: Apache-2.0 */
/* target ls, add, name, unname, forget: which origins are known, and by what. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

#define IMPORT_MAX ((size_t)8 << 20)

static int run_target_ls(const struct call *call)
{
	static const struct column columns[] = {{"TARGET", "target_id", COLUMN_TEXT},
	    {"FIRST SEEN", "first_seen", COLUMN_TIME}, {"ADDRESSES", "addresses", COLUMN_LIST},
	    {"NAMES", "names", COLUMN_LIST}};
	json_t *result = control_ask(call->socket_path, "targets.ls", NULL);

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print(json_object_get(result, "targets"), columns, 4, "no origin was met yet");
	json_decref(result);
	return EXIT_OK;
}

static int run_target_add(const struct call *call)
{
	static char line[KEY_LINE_MAX];
	const char *path = call_option(call, "key");

	if (path == NULL)
		return complain("--key FILE.pub is missing: the origin's public host key"), EXIT_USAGE;
	if (!read_public_key(path, line))
		return EXIT_FAILED;
	json_t *result = control_ask(call->socket_path, "target.add",
	    json_pack("{s:s, s:s}", "address", call->arguments[0], "host_key", line));
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		printf("%s: pinned\n", call->arguments[0]);
	json_decref(result);
	return EXIT_OK;
}

static int change_names(const struct call *call, const char *method, const char *done)
{
	json_t *names = json_array();

	for (size_t i = 1; i < call->argument_count; i++)
		json_array_append_new(names, json_string(call->arguments[i]));
	json_t *result = control_ask(call->socket_path, method,
	    json_pack("{s:s, s:o}", "address", call->arguments[0], "names", names));
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		printf("%s: %s\n", call->arguments[0], done);
	json_decref(result);
	return EXIT_OK;
}

static int run_target_name(const struct call *call)
{
	return change_names(call, "target.name", "named");
}

static int run_target_unname(const struct call *call)
{
	return change_names(call, "target.unname", "the names are taken away");
}

static int run_target_forget(const struct call *call)
{
	const char *name = call->arguments[0];
	/* An address has a dot or a colon followed by digits; a target id has neither before its first dash.
	 */
	const char *key =
	    strpbrk(name, ".") != NULL || (strchr(name, ':') != NULL && strncmp(name, "SHA256:", 7) != 0)
	        ? "address"
	        : "target_id";
	json_t *result = control_ask(call->socket_path, "target.forget", json_pack("{s:s}", key, name));

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		puts("forgotten: the next session pins the host key that it meets");
	json_decref(result);
	return EXIT_OK;
}

static unsigned line_of(const char *text, const char *at)
{
	unsigned line = 1;

	for (const char *c = text; c < at; c++)
		line += *c == '\n';
	return line;
}

/* NULL after a message. */
static json_t *known_hosts_text(const char *path, const char *text, size_t len)
{
	const char *nul = memchr(text, '\0', len);
	json_t *json = nul != NULL ? NULL : json_stringn(text, len);

	if (nul != NULL)
		complain("%s is no known_hosts file: line %u holds a NUL byte", path, line_of(text, nul));
	else if (json == NULL)
		complain("%s is no known_hosts file: it is not UTF-8 text", path);
	return json;
}

/* A file's text ("-": standard input). NULL after a message. */
static json_t *read_text(const char *path)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = in == NULL ? NULL : malloc(IMPORT_MAX + 1);
	size_t len = text == NULL ? 0 : fread(text, 1, IMPORT_MAX + 1, in);
	json_t *json = NULL;

	if (in == NULL || text == NULL || ferror(in) != 0)
		complain("cannot read %s: %s", path, strerror(errno));
	else if (len > IMPORT_MAX)
		complain("%s is larger than 8 MB", path);
	else
		json = known_hosts_text(path, text, len);
	if (in != NULL && in != stdin)
		fclose(in);
	free(text);
	return json;
}

static int run_target_import(const struct call *call)
{
	const char *path = call->arguments[0];
	json_t *text = read_text(path);

	if (text == NULL)
		return EXIT_FAILED;
	json_t *result = control_ask(call->socket_path, "known_hosts.import",
	    json_pack("{s:o, s:b}", "text", text, "replace", call_option(call, "replace") != NULL));
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		printf("lines taken: %lld; passed over, of a key type that is not spoken here: %lld; known "
		       "now: %lld\n",
		    (long long)json_integer_value(json_object_get(result, "lines")),
		    (long long)json_integer_value(json_object_get(result, "passed_over")),
		    (long long)json_integer_value(json_object_get(result, "total")));
	json_decref(result);
	return EXIT_OK;
}

static int run_target_known(const struct call *call)
{
	static const struct column columns[] = {{"MARKER", "marker", COLUMN_TEXT},
	    {"HOSTS", "hosts", COLUMN_TEXT}, {"TYPE", "type", COLUMN_TEXT},
	    {"FINGERPRINT", "fingerprint", COLUMN_TEXT}};
	json_t *result = control_ask(call->socket_path, "known_hosts.ls", NULL);

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print(json_object_get(result, "known_hosts"), columns, 4, "nothing was imported");
	json_decref(result);
	return EXIT_OK;
}

const struct command target_commands[7] = {
    {.group = "target",
        .verb = "ls",
        .arguments = "",
        .summary = "list the origins whose host keys are pinned",
        .text =
            "Lists the origins that sessions went to: a target is one machine, told by its host key (the\n"
            "fingerprint, as `ssh-keygen -l` prints it), under all the addresses it was met at.",
        .run = run_target_ls},
    {.group = "target",
        .verb = "add",
        .arguments = "ADDRESS --key FILE.pub",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "pin an origin's host key beforehand",
        .text =
            "Pins the host key that the origin at ADDRESS must show: what rules with `host_keys: strict` ask "
            "for.\n"
            "FILE.pub is the origin's public host key, e.g. its /etc/ssh/ssh_host_ed25519_key.pub. ADDRESS "
            "is\n"
            "198.51.100.2, or [198.51.100.2]:2222 where the port is not 22, and %vlan7 after it on a tagged\n"
            "network.",
        .options = {{"key", 0, "FILE.pub", "the origin's public host key", false}},
        .run = run_target_add},
    {.group = "target",
        .verb = "import",
        .arguments = "FILE [--replace]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "import origins' host keys from a known_hosts file",
        .text =
            "Imports a known_hosts file of OpenSSH's: the keys that origins must show, by address or by the "
            "names\n"
            "that `reeve target name` told; hashed names, patterns, [host]:port. A line with @cert-authority "
            "makes\n"
            "the box trust a host CA for the origins that it matches (rules with `host_keys: ca` accept "
            "nothing\n"
            "else), one with @revoked makes it refuse a key or a CA. FILE may be - for standard input.\n\n"
            "Example: reeve target import --replace /etc/ssh/ssh_known_hosts",
        .options = {{"replace", 0, NULL, "forget what was imported before", false}},
        .run = run_target_import},
    {.group = "target",
        .verb = "known",
        .arguments = "",
        .summary = "list what was imported from known_hosts files",
        .text = "Lists the imported lines of known_hosts files.",
        .run = run_target_known},
    {.group = "target",
        .verb = "name",
        .arguments = "ADDRESS NAME…",
        .argument_min = 2,
        .argument_max = COMMAND_ARGUMENTS_MAX,
        .summary = "tell the box by which names an address is known",
        .text = "Tells the box what people type to get to ADDRESS. The box asks no DNS: without this it "
                "knows an\n"
                "origin's addresses alone. The names stand in the host certificates that clients are shown, "
                "in what\n"
                "`reeve known-hosts` prints, and are looked for in imported known_hosts files.\n\n"
                "ADDRESS alone is every port of it ([web1]:2222 in known_hosts files); [198.51.100.2]:2222 "
                "is that\n"
                "port, [198.51.100.2]:22 port 22 alone. %vlan7 stands after it on a tagged network.\n\n"
                "Example: reeve target name 198.51.100.2 web1 web1.example.com",
        .run = run_target_name},
    {.group = "target",
        .verb = "unname",
        .arguments = "ADDRESS NAME…",
        .argument_min = 2,
        .argument_max = COMMAND_ARGUMENTS_MAX,
        .summary = "take names from an address",
        .text = "Forgets names that `reeve target name` gave to ADDRESS, which is to be written as it was "
                "then: without\n"
                "a port, or with it.",
        .run = run_target_unname},
    {.group = "target",
        .verb = "forget",
        .arguments = "TARGET|ADDRESS",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "accept that an origin's host key changed",
        .text = "Forgets the pinned host key of a target or of an address, so that the next session pins the "
                "key it\n"
                "meets. Do this after you have made sure that the machine really was re-installed:\n"
                "until then the box stops every session to it, which is the point of pinning.",
        .run = run_target_forget},
};
