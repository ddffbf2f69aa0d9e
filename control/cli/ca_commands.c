/* SPDX-License-Identifier: Apache-2.0 */
/* ca create, show, sign-host; target ls, add, forget: whom origins and clients trust, and which origins are
 * known. */
#include <stdio.h>
#include <string.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

#define HOST_TTL_MIN_S 60
#define HOST_TTL_MAX_S (2 * 366 * 86400)

static const char *ca_type(const struct call *call)
{
	const char *type = call_option(call, "type");

	if (type == NULL)
		return "user";
	if (strcmp(type, "user") != 0 && strcmp(type, "client") != 0 && strcmp(type, "host") != 0)
		return complain("--type is user, client or host, not '%s'", type), NULL;
	return type;
}

static const char *where_it_goes(const char *type, bool known_hosts)
{
	if (strcmp(type, "user") == 0)
		return "put this line into a file on each origin and name it under TrustedUserCAKeys in its "
		       "sshd_config";
	if (strcmp(type, "client") == 0)
		return "only the box trusts this CA: it signs what `reeve user cert` issues";
	return known_hosts ? "put this line into the clients' known_hosts"
	                   : "clients trust it by a line of known_hosts: reeve ca show --type host "
	                     "--known-hosts '*.example.com'";
}

/* Patterns as known_hosts has them; anything else would make another line of it. */
static bool patterns_fit(const char *patterns)
{
	for (const char *c = patterns; *c != '\0'; c++)
		if (*c <= ' ' || *c == 0x7f || *c == '#' || *c == '@')
			return false;
	return patterns[0] != '\0';
}

static int run_ca(const struct call *call, const char *method, const char *known_hosts)
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
		if (known_hosts != NULL)
			printf("@cert-authority %s ", known_hosts);
		print_safely(stdout, line != NULL ? line : "");
		putchar('\n');
		fflush(stdout);
		fprintf(stderr, "%s\n%s\n", json_string_value(json_object_get(result, "fingerprint")),
		    where_it_goes(type, known_hosts != NULL));
	}
	json_decref(result);
	return EXIT_OK;
}

static int run_ca_create(const struct call *call)
{
	return run_ca(call, "ca.create", NULL);
}

static int run_ca_show(const struct call *call)
{
	const char *known_hosts = call_option(call, "known-hosts");
	const char *type = call_option(call, "type");

	if (known_hosts != NULL && (type == NULL || strcmp(type, "host") != 0))
		return complain(
		           "--known-hosts goes with --type host: clients trust no other CA by known_hosts"),
		       EXIT_USAGE;
	if (known_hosts != NULL && !patterns_fit(known_hosts))
		return complain("--known-hosts takes the hosts for which the CA is trusted, such as "
		                "'*.example.com,198.51.100.*'"),
		       EXIT_USAGE;
	return run_ca(call, "ca.show", known_hosts);
}

/* Splits "a,b" into a list. */
static json_t *name_list(const char *names)
{
	json_t *array = json_array();

	while (*names != '\0') {
		size_t len = strcspn(names, ",");
		if (len > 0)
			json_array_append_new(array, json_stringn(names, len));
		names += len + (names[len] == ',');
	}
	return array;
}

static int write_host_certificate(const char *path, const char *certificate)
{
	int status = write_certificate(path, certificate);

	if (status == EXIT_OK)
		printf("%s: name it under HostCertificate in the origin's sshd_config\n", path);
	return status;
}

static int run_sign_host(const struct call *call)
{
	static char line[KEY_LINE_MAX];
	char path[4096];
	const char *names = call_option(call, "names");
	const char *ttl = call_option(call, "ttl");
	const char *output = call_option(call, "output");

	if (names == NULL || *names == '\0')
		return complain("--names is missing: the names and addresses under which clients reach the "
		                "host, such as --names web1.example.com,198.51.100.7"),
		       EXIT_USAGE;
	long long seconds = parse_duration(ttl != NULL ? ttl : "52w");
	if (seconds < HOST_TTL_MIN_S || seconds > HOST_TTL_MAX_S)
		return complain("--ttl takes a duration from 1m to 104w, such as 52w or 90d, not '%s'", ttl),
		       EXIT_USAGE;
	if (!read_public_key(call->arguments[0], line))
		return EXIT_FAILED;
	if (output == NULL && !certificate_path(call->arguments[0], path, sizeof(path)))
		return complain("the path is too long");
	json_t *result = control_ask(call->socket_path, "ca.sign_host",
	    json_pack(
	        "{s:s, s:o, s:I}", "key", line, "names", name_list(names), "ttl_s", (json_int_t)seconds));
	const char *certificate = json_string_value(json_object_get(result, "certificate"));
	int status = EXIT_FAILED;
	if (result != NULL && certificate == NULL)
		complain("the box answered without a certificate");
	else if (certificate != NULL && call->json)
		print_json(result), status = EXIT_OK;
	else if (certificate != NULL)
		status = write_host_certificate(output != NULL ? output : path, certificate);
	json_decref(result);
	return status;
}

#define CA_TEXT                                                                                              \
	"There are three, never one:\n"                                                                      \
	"  user    origins trust it (TrustedUserCAKeys); it signs certificates of minutes, one a session\n"  \
	"  client  only the box trusts it; it signs the users' certificates (`reeve user cert`)\n"           \
	"  host    clients trust it (@cert-authority in known_hosts); it signs host keys\n"                  \
	"The public key is printed as one line on standard output, its fingerprint on standard error."
#define CA_TYPE_OPTION                                                                                       \
	{                                                                                                    \
		"type", 0, "TYPE", "user (default), client or host", false                                   \
	}

const struct command ca_commands[3] = {
    {.group = "ca",
        .verb = "create",
        .arguments = "[--type user|client|host]",
        .summary = "make a certificate authority",
        .text = "Makes a certificate authority in the box's keeper, which never gives its private half "
                "away.\n" CA_TEXT,
        .options = {CA_TYPE_OPTION},
        .run = run_ca_create},
    {.group = "ca",
        .verb = "show",
        .arguments = "[--type user|client|host] [--known-hosts PATTERNS]",
        .summary = "print a CA's public key",
        .text = "Prints the public key of a certificate authority.\n" CA_TEXT,
        .options = {CA_TYPE_OPTION, {"known-hosts", 0, "PATTERNS",
                                        "of the host CA: as a line of known_hosts for these hosts", false}},
        .run = run_ca_show},
    {.group = "ca",
        .verb = "sign-host",
        .arguments = "KEY.pub --names a,b [--ttl 52w] [-o FILE]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "issue a host certificate for an origin",
        .text =
            "Signs an origin's public host key with the host CA and writes the certificate beside it, as\n"
            "KEY-cert.pub. Name that under HostCertificate in the origin's sshd_config; clients that\n"
            "reach the origin without the box then need one @cert-authority line for all of them\n"
            "(`reeve ca show --type host --known-hosts PATTERNS`), and none of their host keys.\n\n"
            "Example: reeve ca sign-host ssh_host_ed25519_key.pub --names web1.example.com,198.51.100.7",
        .options = {{"names", 0, "A,B", "names and addresses under which clients reach the host", false},
            {"ttl", 0, "TIME", "how long it is good: 90d, 52w (default)", false},
            {"output", 'o', "FILE", "where to write it", false}},
        .run = run_sign_host},
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
