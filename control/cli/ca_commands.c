/* SPDX-License-Identifier: Apache-2.0 */
/* ca create, show; target ls, forget: whom origins trust, and which origins are known. */
#include <stdio.h>
#include <string.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

static const char *ca_type(const struct call *call)
{
	const char *type = call_option(call, "type");

	if (type == NULL)
		return "user";
	if (strcmp(type, "host") == 0)
		return complain("--type host: a host CA is not in this version"), NULL;
	if (strcmp(type, "user") != 0 && strcmp(type, "client") != 0)
		return complain("--type is user or client, not '%s'", type), NULL;
	return type;
}

static const char *where_it_goes(const char *type)
{
	if (strcmp(type, "user") == 0)
		return "put this line into a file on each origin and name it under TrustedUserCAKeys in its "
		       "sshd_config";
	return "only the box trusts this CA: it signs what `reeve user cert` issues";
}

static int run_ca(const struct call *call, const char *method)
{
	const char *type = ca_type(call);

	if (type == NULL)
		return EXIT_USAGE;
	json_t *result = control_ask(call->socket_path, method, json_pack("{s:s}", "type", type));
	if (result == NULL)
		return EXIT_FAILED;
	const char *line = json_string_value(json_object_get(result, "public_key"));
	if (call->json)
		print_json(result);
	else {
		/* The line alone on stdout, so that `> user_ca.pub` does what one hopes. */
		print_safely(stdout, line != NULL ? line : "");
		putchar('\n');
		fflush(stdout);
		fprintf(stderr, "%s\n%s\n", json_string_value(json_object_get(result, "fingerprint")),
		    where_it_goes(type));
	}
	json_decref(result);
	return EXIT_OK;
}

static int run_ca_create(const struct call *call)
{
	return run_ca(call, "ca.create");
}

static int run_ca_show(const struct call *call)
{
	return run_ca(call, "ca.show");
}

#define CA_TEXT                                                                                              \
	"There are two, never one:\n"                                                                        \
	"  user    origins trust it (TrustedUserCAKeys); it signs certificates of minutes, one a session\n"  \
	"  client  only the box trusts it; it signs the users' certificates (`reeve user cert`)\n"           \
	"The public key is printed as one line on standard output, its fingerprint on standard error."

const struct command ca_commands[2] = {
    {.group = "ca",
        .verb = "create",
        .arguments = "[--type user|client]",
        .summary = "make a certificate authority",
        .text = "Makes a certificate authority in the box's keeper, which never gives its private half "
                "away.\n" CA_TEXT,
        .options = {{"type", 0, "TYPE", "user (default) or client", false}},
        .run = run_ca_create},
    {.group = "ca",
        .verb = "show",
        .arguments = "[--type user|client]",
        .summary = "print a CA's public key",
        .text = "Prints the public key of a certificate authority.\n" CA_TEXT,
        .options = {{"type", 0, "TYPE", "user (default) or client", false}},
        .run = run_ca_show},
};

static int run_target_ls(const struct call *call)
{
	static const struct column columns[] = {{"TARGET", "target_id", COLUMN_TEXT},
	    {"FIRST SEEN", "first_seen", COLUMN_TIME}, {"ADDRESSES", "addresses", COLUMN_LIST}};
	json_t *result = control_ask(call->socket_path, "targets.ls", NULL);

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print(json_object_get(result, "targets"), columns, 3, "no origin was met yet");
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
	printf("%s: pinned\n", call->arguments[0]);
	json_decref(result);
	return EXIT_OK;
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
	puts("forgotten: the next session pins the host key that it meets");
	json_decref(result);
	return EXIT_OK;
}

const struct command target_commands[3] = {
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
