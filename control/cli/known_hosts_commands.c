/* SPDX-License-Identifier: Apache-2.0 */
/* known-hosts: what clients should know of the box's host keys; host-key: their seed. */
#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

#define TYPES_MAX 5

static const char *const types_offered[] = {"ssh-ed25519", "ssh-rsa"};
static const char *const types_known[TYPES_MAX] = {
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};

struct asked {
	struct control_socket *socket;
	const char *current, *next; /* seeds; next: NULL, there is none */
	const char *types[TYPES_MAX];
	size_t type_count;
	const char *host; /* NULL: all */
	bool only_host;   /* print the host's own name alone, and nothing where it is not known */
};

/* -- collecting -- */

static bool has_host(const json_t *target, const char *host)
{
	size_t i;
	const json_t *item;

	json_array_foreach(json_object_get(target, "hosts"), i, item)
	{
		if (strcasecmp(json_string_value(item), host) == 0)
			return true;
	}
	return strcmp(json_string_value(json_object_get(target, "target_id")), host) == 0;
}

/* {type, public_key, next} of one type under one seed. False: a message was printed. */
static bool add_key(
    const struct asked *asked, json_t *keys, const char *target_id, const char *type, bool next)
{
	json_t *key = control_call(asked->socket, "host_key.show",
	    json_pack("{s:s, s:s, s:s, s:b}", "target_id", target_id, "type", type, "seed",
	        next ? asked->next : asked->current, "next", next));

	if (key == NULL)
		return false;
	json_object_set_new(key, "type", json_string(type));
	json_object_set_new(key, "next", json_boolean(next));
	json_array_append_new(keys, key);
	return true;
}

static bool add_target(const struct asked *asked, json_t *list, const json_t *target)
{
	const char *target_id = json_string_value(json_object_get(target, "target_id"));
	json_t *keys = json_array();
	bool good = true;

	for (size_t i = 0; i < asked->type_count && good; i++) {
		good = add_key(asked, keys, target_id, asked->types[i], false) &&
		       (asked->next == NULL || add_key(asked, keys, target_id, asked->types[i], true));
	}
	json_t *hosts =
	    asked->only_host ? json_pack("[s]", asked->host) : json_incref(json_object_get(target, "hosts"));
	json_array_append_new(
	    list, json_pack("{s:s, s:o, s:o}", "target_id", target_id, "hosts", hosts, "keys", keys));
	return good;
}

/* NULL after a message. */
static json_t *collect(const struct asked *asked)
{
	json_t *targets = control_call(asked->socket, "targets.ls", NULL), *list = json_array();
	const json_t *target;
	bool good = targets != NULL;
	size_t i;

	json_array_foreach(json_object_get(targets, "targets"), i, target)
	{
		if (good && (asked->host == NULL || has_host(target, asked->host)))
			good = add_target(asked, list, target);
	}
	json_decref(targets);
	if (good && json_array_size(list) == 0 && asked->host != NULL && !asked->only_host) {
		complain(
		    "the box knows no origin '%s'; see `reeve target ls`, and `reeve target name` for names",
		    asked->host);
		good = false;
	}
	if (!good) {
		json_decref(list);
		return NULL;
	}
	return list;
}

/* -- known_hosts lines -- */

static char *joined(const json_t *hosts)
{
	char *text = NULL;
	size_t size = 0, i;
	const json_t *host;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	json_array_foreach(hosts, i, host)
	{
		fprintf(out, "%s%s", i > 0 ? "," : "", json_string_value(host));
	}
	return fclose(out) == 0 ? text : (free(text), NULL);
}

static void print_lines(const json_t *list)
{
	const json_t *target, *key;
	size_t i, k;

	json_array_foreach(list, i, target)
	{
		char *hosts = joined(json_object_get(target, "hosts"));
		json_array_foreach(json_object_get(target, "keys"), k, key)
		{
			if (hosts != NULL && hosts[0] != '\0')
				printf(
				    "%s %s\n", hosts, json_string_value(json_object_get(key, "public_key")));
		}
		free(hosts);
	}
}

/* One line for the fleet, a key: the hosts are those that an admin said, or all that are known. */
static bool print_ca(const struct asked *asked, const json_t *list, const char *patterns)
{
	json_t *cas = control_call(asked->socket, "host_key.ca", NULL), *all = json_array();
	const json_t *target, *ca;
	size_t i;

	json_array_foreach(list, i, target)
	{
		json_array_extend(all, json_object_get(target, "hosts"));
	}
	char *hosts = patterns != NULL ? strdup(patterns) : joined(all);
	json_array_foreach(json_object_get(cas, "public_keys"), i, ca)
	{
		if (hosts != NULL && hosts[0] != '\0')
			printf("@cert-authority %s %s\n", hosts, json_string_value(ca));
	}
	bool good = cas != NULL;
	free(hosts);
	json_decref(all);
	json_decref(cas);
	return good;
}

/* -- SSHFP (RFC 4255; SHA-256: RFC 6594; Ed25519: RFC 7479) -- */

static int sshfp_algorithm(const char *type)
{
	return strcmp(type, "ssh-rsa") == 0 ? 1 : strncmp(type, "ecdsa-", strlen("ecdsa-")) == 0 ? 3 : 4;
}

static bool fingerprint(const char *line, char hex[2 * crypto_hash_sha256_BYTES + 1])
{
	uint8_t blob[KEY_LINE_MAX], hash[crypto_hash_sha256_BYTES];
	const char *base64 = strchr(line, ' ');
	size_t len;

	if (base64 == NULL || sodium_base642bin(blob, sizeof(blob), base64 + 1, strlen(base64 + 1), NULL,
	                          &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return false;
	crypto_hash_sha256(hash, blob, len);
	sodium_bin2hex(hex, 2 * crypto_hash_sha256_BYTES + 1, hash, sizeof(hash));
	return true;
}

/* A name, not an address, and not one with a port: DNS has no place for those. */
static bool in_dns(const char *host)
{
	return host[0] != '[' && strchr(host, ':') == NULL && strspn(host, "0123456789.") != strlen(host);
}

static unsigned print_sshfp_of(const char *host, const json_t *keys)
{
	char hex[2 * crypto_hash_sha256_BYTES + 1];
	unsigned printed = 0;
	const json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
	{
		if (fingerprint(json_string_value(json_object_get(key, "public_key")), hex))
			printed +=
			    printf("%s%s IN SSHFP %d 2 %s\n", host, strchr(host, '.') != NULL ? "." : "",
			        sshfp_algorithm(json_string_value(json_object_get(key, "type"))), hex) > 0;
	}
	return printed;
}

static int print_sshfp(const json_t *list)
{
	const json_t *target, *host;
	unsigned printed = 0;
	size_t i, h;

	json_array_foreach(list, i, target)
	{
		json_array_foreach(json_object_get(target, "hosts"), h, host)
		{
			if (in_dns(json_string_value(host)))
				printed +=
				    print_sshfp_of(json_string_value(host), json_object_get(target, "keys"));
		}
	}
	if (printed == 0)
		return complain(
		    "no origin has a name that DNS could hold; tell the box with: reeve target name");
	return EXIT_OK;
}

/* -- the commands -- */

/* `words`: from --type, which may be a list and be repeated; they stay the caller's. */
static bool take_types(const json_t *words, struct asked *asked)
{
	size_t i;
	const json_t *word;

	json_array_foreach(words, i, word)
	{
		const char *type = json_string_value(word);
		bool known = false, taken = false;
		for (size_t k = 0; k < TYPES_MAX; k++)
			known = known || strcmp(type, types_known[k]) == 0;
		for (size_t k = 0; k < asked->type_count; k++)
			taken = taken || strcmp(type, asked->types[k]) == 0;
		if (!known) {
			complain(
			    "--type takes ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384 and "
			    "ecdsa-sha2-nistp521, not '%s'",
			    type);
			return false;
		}
		if (!taken)
			asked->types[asked->type_count++] = type;
	}
	for (size_t k = 0; k < 2 && json_array_size(words) == 0; k++)
		asked->types[asked->type_count++] = types_offered[k];
	return true;
}

static int print_all(const struct call *call, struct asked *asked)
{
	json_t *list = collect(asked);
	int status = EXIT_OK;

	if (list == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(list);
	else if (call_option(call, "sshfp") != NULL)
		status = print_sshfp(list);
	else {
		if (json_array_size(list) == 0 && !asked->only_host)
			complain("no origin is known yet: a session makes one known, or `reeve target add`");
		print_lines(list);
		if (!print_ca(asked, list, asked->only_host ? NULL : call_option(call, "ca-hosts")))
			status = EXIT_FAILED;
	}
	json_decref(list);
	return status;
}

static int ask_known_hosts(const struct call *call, struct asked *asked)
{
	int status = EXIT_FAILED;

	asked->socket = control_connect(call->socket_path);
	json_t *seeds = asked->socket == NULL ? NULL : control_call(asked->socket, "host_key.seed", NULL);
	if (seeds != NULL) {
		asked->current = json_string_value(json_object_get(seeds, "current"));
		asked->next = json_string_value(json_object_get(seeds, "next"));
		status = print_all(call, asked);
	}
	json_decref(seeds);
	control_close(asked->socket);
	return status;
}

static int run_known_hosts(const struct call *call)
{
	struct asked asked = {.host = call->argument_count > 0 ? call->arguments[0] : NULL};
	const char *ca_hosts = call_option(call, "ca-hosts");

	if (ca_hosts != NULL && !host_patterns_fit(ca_hosts))
		return complain("--ca-hosts takes the hosts for which the CA is trusted, such as "
		                "'*.example.com,198.51.100.*'"),
		       EXIT_USAGE;
	if (call_option(call, "for") != NULL) {
		asked.host = call_option(call, "for");
		asked.only_host = true;
	}
	json_t *types = call_words(call, "type");
	int status = take_types(types, &asked) ? ask_known_hosts(call, &asked) : EXIT_USAGE;
	json_decref(types);
	return status;
}

const struct command known_hosts_command = {
    .group = "known-hosts",
    .arguments = "[HOST] [--for NAME] [--type T,…] [--ca-hosts P] [--sshfp]",
    .argument_max = 1,
    .summary = "print known_hosts lines for what clients are shown",
    .text = "Prints the box's host keys for all origins (or for HOST: an address, a name, a target) as lines "
            "for\n"
            "/etc/ssh/ssh_known_hosts, and the host CA, if there is one, as @cert-authority lines; while a "
            "rotation is\n"
            "under way (`reeve host-key`), the next keys as well. Which names an origin has `reeve target "
            "name` tells.\n\n"
            "With --for, only the lines of that one name, and none where it is not known: for ssh_config's\n"
            "  KnownHostsCommand /usr/local/bin/reeve known-hosts --for %H\n\n"
            "--sshfp prints DNS records instead (RFC 4255, SHA-256), of names alone.",
    .options = {{"for", 0, "NAME", "one host, as KnownHostsCommand asks", false},
        {"type", 0, "T,…", "key types (default: ssh-ed25519,ssh-rsa)", true},
        {"ca-hosts", 0, "P", "hosts of the @cert-authority lines, e.g. '*.example.com'", false},
        {"sshfp", 0, NULL, "SSHFP records", false}},
    .run = run_known_hosts,
};

static int seed_step(const struct call *call, const char *method)
{
	json_t *result = control_ask(call->socket_path, method, NULL);

	if (result == NULL)
		return EXIT_FAILED;
	const char *next = json_string_value(json_object_get(result, "next"));
	if (call->json)
		print_json(result);
	else
		printf("current seed: %s\nnext seed:    %s\n",
		    json_string_value(json_object_get(result, "current")), next == NULL ? "none" : next);
	json_decref(result);
	return EXIT_OK;
}

static int run_show(const struct call *call)
{
	return seed_step(call, "host_key.seed");
}

static int run_rotate(const struct call *call)
{
	int status = seed_step(call, "host_key.rotate");

	if (status == EXIT_OK && !call->json)
		puts("hand out what `reeve known-hosts` prints now, then: reeve host-key commit");
	return status;
}

static int run_commit(const struct call *call)
{
	return seed_step(call, "host_key.commit");
}

static int run_abandon(const struct call *call)
{
	return seed_step(call, "host_key.abandon");
}

#define SEED_TEXT                                                                                            \
	"All host keys that clients are shown are derived from one seed. A rotation has an overlap: "        \
	"`rotate` makes\n"                                                                                   \
	"the next seed, and `reeve known-hosts` prints the keys of both; when clients have them, `commit` "  \
	"makes the\n"                                                                                        \
	"next seed the current one, for ever (`abandon` forgets it instead). Sessions that are live at "     \
	"that moment\n"                                                                                      \
	"keep the keys they began with. Seeds are shown by a fingerprint; they never leave the keeper."

const struct command host_key_commands[4] = {
    {.group = "host-key",
        .verb = "show",
        .arguments = "",
        .summary = "show the seed of host keys, and whether a next one waits",
        .text = SEED_TEXT,
        .run = run_show},
    {.group = "host-key",
        .verb = "rotate",
        .arguments = "",
        .summary = "make the next seed of host keys",
        .text = SEED_TEXT,
        .run = run_rotate},
    {.group = "host-key",
        .verb = "commit",
        .arguments = "",
        .summary = "let the next seed be the current one",
        .text = SEED_TEXT,
        .run = run_commit},
    {.group = "host-key",
        .verb = "abandon",
        .arguments = "",
        .summary = "forget the next seed",
        .text = SEED_TEXT,
        .run = run_abandon},
};
