/* SPDX-License-Identifier: Apache-2.0 */
/* ca create, show, fingerprint, rotate, import, sign-host: whom origins and clients trust. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/cli/command.h"
#include "control/cli/secret.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"
#include "control/keeper/sealed.h"
#include "control/rpc/rpc.h"

static const char *ca_type(const struct call *call)
{
	const char *type = call_option(call, "type");

	if (type == NULL)
		return "user";
	if (strcmp(type, "user") != 0 && strcmp(type, "client") != 0 && strcmp(type, "host") != 0)
		return complain("--type is user, client or host, not '%s'", type), NULL;
	return type;
}

static void say_where_it_goes(const char *type, bool known_hosts)
{
	const char *text = "put the line into the clients' known_hosts";

	if (strcmp(type, "user") == 0)
		text =
		    "put what is above into a file on each origin and name it under TrustedUserCAKeys in its "
		    "sshd_config";
	else if (strcmp(type, "client") == 0)
		text = "only the box trusts this CA: it signs what `reeve user cert` issues";
	else if (!known_hosts)
		text = "clients trust it by a line of known_hosts: reeve ca show --type host --known-hosts "
		       "'*.example.com'";
	fprintf(stderr, "%s\n", text);
}

bool host_patterns_fit(const char *patterns)
{
	for (const char *c = patterns; *c != '\0'; c++)
		if (*c <= ' ' || *c == 0x7f || *c == '#' || *c == '@')
			return false;
	return patterns[0] != '\0';
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* "SHA256:… ssh-ed25519, next: signs from `reeve ca rotate --commit` on" */
static void print_key(FILE *out, const json_t *key)
{
	const char *state = text_of(key, "state");
	time_t retire_at = (time_t)json_integer_value(json_object_get(key, "retire_at"));
	char until[64] = "";

	if (retire_at != 0)
		strftime(until, sizeof(until), " until %F %R", localtime(&retire_at));
	print_safely(out, text_of(key, "fingerprint"));
	fprintf(out, " %s, ", text_of(key, "algorithm"));
	if (strcmp(state, "next") == 0)
		fputs("next: signs from `reeve ca rotate --commit` on\n", out);
	else if (strcmp(state, "old") == 0)
		fprintf(out, "old: trusted%s, signs no more\n", until[0] != '\0' ? until : " until --retire");
	else
		fputs("signs\n", out);
}

/* The lines alone on stdout, so that `> user_ca.pub` does what one hopes; what they are on stderr. */
static void print_ca(const json_t *ca, const char *known_hosts)
{
	size_t i;
	const json_t *key;

	json_array_foreach(json_object_get(ca, "keys"), i, key)
	{
		if (known_hosts != NULL)
			printf("@cert-authority %s ", known_hosts);
		print_safely(stdout, text_of(key, "public_key"));
		putchar('\n');
	}
	fflush(stdout);
	json_array_foreach(json_object_get(ca, "keys"), i, key) print_key(stderr, key);
	say_where_it_goes(text_of(ca, "type"), known_hosts != NULL);
}

/* Takes `params` over. */
static int ask_ca(const struct call *call, const char *method, json_t *params, const char *known_hosts)
{
	json_t *result = control_ask(call->socket_path, method, params);

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		print_ca(result, known_hosts);
	json_decref(result);
	return EXIT_OK;
}

/* What ca.create and ca.rotate share; NULL: complained. */
static json_t *key_params(const struct call *call)
{
	const char *type = ca_type(call), *algorithm = call_option(call, "algorithm");

	if (type == NULL)
		return NULL;
	json_t *params = json_pack("{s:s}", "type", type);
	if (algorithm != NULL)
		json_object_set_new(params, "algorithm", json_string(algorithm));
	if (call_option(call, "pkcs11") != NULL)
		json_object_set_new(params, "token", json_string(call_option(call, "pkcs11")));
	return params;
}

static int run_ca_create(const struct call *call)
{
	json_t *params = key_params(call);

	return params == NULL ? EXIT_USAGE : ask_ca(call, "ca.create", params, NULL);
}

static int run_ca_show(const struct call *call)
{
	const char *known_hosts = call_option(call, "known-hosts");
	const char *type = ca_type(call);

	if (type == NULL)
		return EXIT_USAGE;
	if (known_hosts != NULL && strcmp(type, "host") != 0)
		return complain(
		           "--known-hosts goes with --type host: clients trust no other CA by known_hosts"),
		       EXIT_USAGE;
	if (known_hosts != NULL && !host_patterns_fit(known_hosts))
		return complain("--known-hosts takes the hosts for which the CA is trusted, such as "
		                "'*.example.com,198.51.100.*'"),
		       EXIT_USAGE;
	return ask_ca(call, "ca.show", json_pack("{s:s}", "type", type), known_hosts);
}

static int run_ca_fingerprint(const struct call *call)
{
	const char *type = ca_type(call);

	if (type == NULL)
		return EXIT_USAGE;
	json_t *result = control_ask(call->socket_path, "ca.show", json_pack("{s:s}", "type", type));
	size_t i;
	const json_t *key;
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		json_array_foreach(json_object_get(result, "keys"), i, key) print_key(stdout, key);
	json_decref(result);
	return EXIT_OK;
}

/* The key as the keeper takes it, sealed. NULL after a message. */
static json_t *sealed_key(const struct call *call, const char *type)
{
	uint8_t ca = strcmp(type, "user") == 0     ? RPC_CA_USER
	             : strcmp(type, "client") == 0 ? RPC_CA_CLIENT
	                                           : RPC_CA_HOST;
	struct secret fields = {0};
	json_t *sealed = NULL;

	if (!secret_from_key_file(call->arguments[0], &fields))
		return NULL;
	uint8_t *room = sodium_malloc(fields.len + 64);
	if (room != NULL) {
		struct wire_out out = wire_into(room, fields.len + 64);
		wire_put_cstring(&out, SEALED_CA_KEY);
		wire_put_u8(&out, ca);
		wire_put_string(&out, fields.at, fields.len);
		sealed = secret_seal(call->socket_path, &out);
	}
	sodium_free(room);
	secret_free(&fields);
	return sealed;
}

static int run_ca_import(const struct call *call)
{
	const char *type = ca_type(call);

	if (type == NULL)
		return EXIT_USAGE;
	if ((call->argument_count > 0) == (call_option(call, "pkcs11") != NULL))
		return complain("expected either the FILE of a private key or --pkcs11 and the URI of one in "
		                "a token"),
		       EXIT_USAGE;
	if (call->argument_count == 0)
		return ask_ca(call, "ca.import", key_params(call), NULL);
	if (sodium_init() < 0)
		return complain("the system has no randomness to give");
	json_t *sealed = sealed_key(call, type);
	return sealed == NULL
	           ? EXIT_FAILED
	           : ask_ca(call, "ca.import", json_pack("{s:s, s:o}", "type", type, "sealed", sealed), NULL);
}

/* Which of the switches was given; "next" where none was, NULL after a complaint. */
static const char *rotate_step(const struct call *call)
{
	static const char *const steps[] = {"commit", "undo", "retire", "abandon"};
	const char *step = "next";
	unsigned given = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (call_option(call, steps[i]) != NULL) {
			step = steps[i];
			given++;
		}
	if (given > 1)
		return complain("--commit, --undo, --retire and --abandon are steps: one at a time"), NULL;
	if (call_option(call, "keep") != NULL && strcmp(step, "commit") != 0)
		return complain("--keep goes with --commit: for how long the former key stays trusted"), NULL;
	if ((call_option(call, "algorithm") != NULL || call_option(call, "pkcs11") != NULL) &&
	    strcmp(step, "next") != 0)
		return complain("--algorithm and --pkcs11 go with a new key, not with --%s", step), NULL;
	return step;
}

static int run_ca_rotate(const struct call *call)
{
	const char *step = rotate_step(call), *keep = call_option(call, "keep");
	json_t *params = step == NULL ? NULL : key_params(call);

	if (params == NULL)
		return EXIT_USAGE;
	json_object_set_new(params, "step", json_string(step));
	if (keep != NULL) {
		long long seconds = parse_duration(keep);
		if (seconds < 60) {
			json_decref(params);
			return complain("--keep takes a duration from 1m on, such as 30d, not '%s'", keep),
			       EXIT_USAGE;
		}
		json_object_set_new(params, "keep_s", json_integer(seconds));
	}
	return ask_ca(call, "ca.rotate", params, NULL);
}

static int run_sign_host(const struct call *call)
{
	static const struct ttl_range range = {.usual = "52w",
	    .min_s = 60,
	    .max_s = 2 * 366 * 86400,
	    .expected = "from 1m to 104w, such as 52w or 90d"};
	static struct certificate_order order;
	const char *names = call_option(call, "names");

	if (names == NULL || *names == '\0')
		return complain("--names is missing: the names and addresses under which clients reach the "
		                "host, such as --names web1.example.com,198.51.100.7"),
		       EXIT_USAGE;
	int status = certificate_order_read(call, call->arguments[0], &range, &order);
	return status != EXIT_OK ? status
	                         : certificate_order_fill(call, &order, "ca.sign_host",
	                               json_pack("{s:s, s:o, s:I}", "key", order.key, "names",
	                                   call_words(call, "names"), "ttl_s", (json_int_t)order.ttl_s),
	                               "name it under HostCertificate in the origin's sshd_config");
}

#define CA_TEXT                                                                                              \
	"There are three CAs, each for one purpose:\n"                                                       \
	"  user    origins trust it (TrustedUserCAKeys); it signs certificates of minutes, one a session\n"  \
	"  client  only the box trusts it; it signs the users' certificates (`reeve user cert`)\n"           \
	"  host    clients trust it (@cert-authority in known_hosts); it signs host keys\n"                  \
	"Public keys go to standard output, a line each; what they are, to standard error."
#define CA_TYPE_OPTION                                                                                       \
	{                                                                                                    \
		"type", 0, "TYPE", "user (default), client or host", false                                   \
	}
#define CA_ALGORITHM_OPTION                                                                                  \
	{                                                                                                    \
		"algorithm", 0, "NAME", "ed25519 (default), ecdsa-p256, rsa-3072 or rsa-4096", false         \
	}

#define CA_PKCS11_OPTION                                                                                     \
	{                                                                                                    \
		"pkcs11", 0, "URI", "the key is in a token: pkcs11:token=…;object=…", false                  \
	}

const struct command ca_commands[6] = {
    {.group = "ca",
        .verb = "create",
        .arguments = "[--type user|client|host] [--algorithm NAME] [--pkcs11 URI]",
        .summary = "make a certificate authority",
        .text = "Makes a certificate authority in the box's keeper, which never gives its private half "
                "away.\nEd25519 unless an origin or client is too old for it. With --pkcs11 the key is made "
                "in a\n"
                "token (keeper.pkcs11 in reeved.yaml names its module), and stays there.\n" CA_TEXT,
        .options = {CA_TYPE_OPTION, CA_ALGORITHM_OPTION, CA_PKCS11_OPTION},
        .run = run_ca_create},
    {.group = "ca",
        .verb = "show",
        .arguments = "[--type user|client|host] [--known-hosts PATTERNS]",
        .summary = "print a CA's public keys",
        .text =
            "Prints the public key of a certificate authority; while a new key takes over from an old one\n"
            "(`reeve ca rotate`), both, for both are to be trusted.\n" CA_TEXT,
        .options = {CA_TYPE_OPTION,
            {"known-hosts", 0, "PATTERNS", "of the host CA: as lines of known_hosts for these hosts", false}},
        .run = run_ca_show},
    {.group = "ca",
        .verb = "fingerprint",
        .arguments = "[--type user|client|host]",
        .summary = "print the fingerprints of a CA's keys",
        .text =
            "Prints the fingerprint of each of the CA's keys, as `ssh-keygen -l` does, and what the key is\n"
            "for: read it over the phone before you trust a line that came by mail.",
        .options = {CA_TYPE_OPTION},
        .run = run_ca_fingerprint},
    {.group = "ca",
        .verb = "rotate",
        .arguments = "[--type user|client|host] [--algorithm NAME | --pkcs11 URI | --commit [--keep TIME] | "
                     "--undo | --retire | "
                     "--abandon]",
        .summary = "replace a CA's key, step by step",
        .text =
            "Replaces the key of a CA without locking anybody out. Each step is a call:\n"
            "  reeve ca rotate            makes the next key and shows it beside the current one, which "
            "goes\n"
            "                             on signing. Hand both out: to the origins (TrustedUserCAKeys) for\n"
            "                             the user CA, to the clients (known_hosts) for the host CA; for "
            "the\n"
            "                             client CA there is nothing to do, the box trusts both.\n"
            "  reeve ca rotate --commit   when all have it: the next key signs from now on. The former one "
            "is\n"
            "                             still shown and trusted, for what it has signed; with --keep 30d\n"
            "                             it retires by itself.\n"
            "  reeve ca rotate --retire   when what it signed has run out: the old key is forgotten. Take "
            "its\n"
            "                             line away where you put it.\n"
            "--undo goes back from --commit, where an origin was forgotten; --abandon drops the next key.\n"
            "A key that was stolen: all three at once, then new certificates (client, host).",
        .options = {CA_TYPE_OPTION, CA_ALGORITHM_OPTION, CA_PKCS11_OPTION,
            {"commit", 0, NULL, "sign with the next key from now on", false},
            {"keep", 0, "TIME", "with --commit: retire the former key after 30d, 8h, …", false},
            {"undo", 0, NULL, "sign with the former key again", false},
            {"retire", 0, NULL, "forget old keys", false},
            {"abandon", 0, NULL, "forget the next key", false}},
        .run = run_ca_rotate},
    {.group = "ca",
        .verb = "import",
        .arguments = "FILE | --pkcs11 URI [--type user|client|host]",
        .argument_max = 1,
        .summary = "give a CA a key that exists already",
        .text =
            "Takes a private key as ssh-keygen writes it (ed25519, ecdsa or rsa; its passphrase is asked "
            "for) as\n"
            "the key of the CA, so that origins or clients that trust it already need no change. Where "
            "there\n"
            "is a CA, it becomes its next key: `reeve ca rotate --commit` then signs with it.\n\n"
            "The key is sealed to the keeper's key before it leaves this program. Destroy the file when you\n"
            "no longer need it elsewhere: whoever has it is this CA.",
        .options = {CA_TYPE_OPTION, CA_PKCS11_OPTION},
        .run = run_ca_import},
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
