/* SPDX-License-Identifier: Apache-2.0 */
/* vault put, ls, rm: passwords and keys for origins that trust no CA. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "control/cli/command.h"
#include "control/cli/secret.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"
#include "control/keeper/sealed.h"
#include "control/rpc/rpc.h"

#define PLAIN_MAX (20 * 1024)

/* The fingerprint of the target, which may be named by an address or name that the box knows. False after a
 * message. */
static bool find_target(const struct call *call, const char *named, char target[64])
{
	if (strncmp(named, "SHA256:", 7) == 0)
		return snprintf(target, 64, "%s", named) < 64 ||
		       (complain("'%s' is no fingerprint of a host key", named), false);
	json_t *result = control_ask(call->socket_path, "targets.ls", json_pack("{s:s}", "at", named));
	if (result == NULL)
		return false;
	const json_t *targets = json_object_get(result, "targets");
	size_t found = json_array_size(targets);
	const char *id = json_string_value(json_object_get(json_array_get(targets, 0), "target_id"));
	if (id == NULL || snprintf(target, 64, "%s", id) >= 64)
		found = 0;
	json_decref(result);
	if (found == 0)
		complain(
		    "no host key is pinned for %s, and a secret goes to the holder of a host key only: "
		    "pin it first "
		    "(reeve target add ADDRESS --key FILE.pub), or let a session meet it (reeve target ls)",
		    named);
	else if (found > 1)
		complain("%s is a name of %zu targets; give the address or the fingerprint of one of them "
		         "(reeve target ls)",
		    named, found);
	return found == 1;
}

/* --target and --login; false after a message. */
static bool find_place(const struct call *call, char target[64], const char **login)
{
	const char *named = call_option(call, "target");

	*login = call_option(call, "login");
	if (named == NULL || *login == NULL)
		return complain("%s",
		           named == NULL ? "--target is missing: the origin's address, or the fingerprint of "
		                           "its host key (reeve target ls)"
		                         : "--login is missing: the login at the origin"),
		       false;
	return find_target(call, named, target);
}

/* Typed twice where somebody types it. False after a message. */
static bool ask_password(const char *login, struct secret *password)
{
	struct secret again = {0};
	char prompt[160];

	snprintf(prompt, sizeof(prompt), "Password of %.80s at the origin: ", login);
	if (!secret_ask(prompt, password) || !secret_ask("Once more: ", &again))
		return false;
	bool same = password->len == again.len && sodium_memcmp(password->at, again.at, again.len) == 0;
	secret_free(&again);
	return same ? true : (complain("the two differ; nothing was put into the vault"), false);
}

static bool take_secret(const struct call *call, const char *login, uint8_t *kind, struct secret *secret)
{
	const char *key = call_option(call, "key");

	*kind = key != NULL ? RPC_SECRET_KEY : RPC_SECRET_PASSWORD;
	if (key != NULL)
		return secret_from_key_file(key, secret);
	return call_option(call, "password-stdin") != NULL ? secret_from_stdin(secret)
	                                                   : ask_password(login, secret);
}

/* NULL after a message. */
static json_t *sealed_for(
    const struct call *call, const char *target, const char *login, uint8_t kind, const struct secret *secret)
{
	uint8_t *room = sodium_malloc(PLAIN_MAX);
	json_t *sealed = NULL;

	if (room == NULL)
		return complain("not enough memory that can be locked"), NULL;
	struct wire_out out = wire_into(room, PLAIN_MAX);
	wire_put_cstring(&out, SEALED_SECRET);
	wire_put_cstring(&out, target);
	wire_put_cstring(&out, login);
	wire_put_u8(&out, kind);
	wire_put_string(&out, secret->at, secret->len);
	sealed_pad(&out);
	sealed = secret_seal(call->socket_path, &out);
	sodium_free(room);
	return sealed;
}

static int run_put(const struct call *call)
{
	char target[64];
	const char *login;
	struct secret secret = {0};
	uint8_t kind;
	json_t *sealed = NULL, *result = NULL;

	if (call_option(call, "key") != NULL && call_option(call, "password-stdin") != NULL)
		return complain("--key and --password-stdin: one of them"), EXIT_USAGE;
	if (sodium_init() < 0)
		return complain("the system has no randomness to give");
	if (!find_place(call, target, &login))
		return EXIT_FAILED;
	if (take_secret(call, login, &kind, &secret))
		sealed = sealed_for(call, target, login, kind, &secret);
	secret_free(&secret);
	if (sealed != NULL)
		result = control_ask(call->socket_path, "vault.put",
		    json_pack("{s:s, s:s, s:o}", "target", target, "login", login, "sealed", sealed));
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		printf("%s of %s for the host with key %s: in the vault%s\n",
		    kind == RPC_SECRET_KEY ? "key" : "password", login, target,
		    json_is_true(json_object_get(result, "replaced")) ? ", in the place of the former one"
		                                                      : "");
	json_decref(result);
	return EXIT_OK;
}

static int run_ls(const struct call *call)
{
	static const struct column columns[] = {{"TARGET", "target", COLUMN_TEXT},
	    {"LOGIN", "login", COLUMN_TEXT}, {"KIND", "kind", COLUMN_TEXT}, {"PUT", "put_at", COLUMN_TIME},
	    {"KEY", "fingerprint", COLUMN_TEXT}};
	json_t *result = control_ask(call->socket_path, "vault.ls", NULL);

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print(json_object_get(result, "secrets"), columns, 5, "the vault is empty");
	json_decref(result);
	return EXIT_OK;
}

static int run_rm(const struct call *call)
{
	char target[64];
	const char *login;

	if (!find_place(call, target, &login))
		return EXIT_FAILED;
	json_t *result = control_ask(
	    call->socket_path, "vault.rm", json_pack("{s:s, s:s}", "target", target, "login", login));
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		puts("removed: sessions as that login find no secret any more");
	json_decref(result);
	return EXIT_OK;
}

#define TARGET_OPTION                                                                                        \
	{                                                                                                    \
		"target", 0, "ADDRESS|SHA256:…",                                                             \
		    "the origin: its address, a name (`reeve target name`) or host key", false               \
	}
#define LOGIN_OPTION                                                                                         \
	{                                                                                                    \
		"login", 0, "LOGIN", "the login at the origin", false                                        \
	}

const struct command vault_commands[3] = {
    {.group = "vault",
        .verb = "put",
        .arguments = "--target ADDRESS|SHA256:… --login LOGIN [--key FILE | --password-stdin]",
        .summary = "hold a password or key for an origin",
        .text = "Puts the password, or with --key a private key, of LOGIN at one origin into the keeper's "
                "vault: for\n"
                "gear that trusts no CA. Rules with `vault` among their `origin_auth` use it; users never "
                "see it.\n"
                "It is for the holder of the origin's host key and goes to no other machine.\n\n"
                "The password is asked for at the terminal, or read from standard input; it is sealed to the "
                "keeper's\n"
                "key before it leaves this program, and encrypted where it lies.\n\n"
                "Example: reeve vault put --target 198.51.100.9 --login admin",
        .options = {TARGET_OPTION, LOGIN_OPTION,
            {"key", 0, "FILE", "a private key as ssh-keygen writes it; its passphrase is asked for", false},
            {"password-stdin", 0, NULL, "the password is the first line of standard input", false}},
        .run = run_put},
    {.group = "vault",
        .verb = "ls",
        .arguments = "",
        .summary = "list what the vault holds",
        .text =
            "Lists for which origins and logins the vault holds a password or a key, and the fingerprints "
            "of\n"
            "the keys; with --json also their public halves, for the origins' authorized_keys. Secrets are\n"
            "never shown.",
        .run = run_ls},
    {.group = "vault",
        .verb = "rm",
        .arguments = "--target ADDRESS|SHA256:… --login LOGIN",
        .summary = "forget a secret",
        .text = "Removes the password or key of LOGIN at one origin from the vault.",
        .options = {TARGET_OPTION, LOGIN_OPTION},
        .run = run_rm},
};
