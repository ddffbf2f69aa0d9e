/* SPDX-License-Identifier: Apache-2.0 */
/* identity bind, unbind, ls: which user an address belongs to, and until when. */
#include <stdio.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

/* What the box takes. */
#define TTL_MIN_S 10
#define TTL_MAX_S (30 * 86400)

static const struct column binding_columns[] = {{"ADDRESS", "address", COLUMN_TEXT},
    {"USER", "user", COLUMN_TEXT}, {"UNTIL", "expires_at", COLUMN_TIME}, {"SINCE", "bound_at", COLUMN_TIME}};

static int run_bind(const struct call *call)
{
	const char *ttl = call_option(call, "ttl");
	long long seconds = parse_duration(ttl != NULL ? ttl : "8h");

	if (seconds < TTL_MIN_S || seconds > TTL_MAX_S)
		return complain("--ttl takes a duration from 10s to 30d, such as 8h or 1h30m, not '%s'", ttl),
		       EXIT_USAGE;
	json_t *result = control_ask(call->socket_path, "identity.bind",
	    json_pack("{s:s, s:s, s:I, s:b}", "address", call->arguments[0], "user", call->arguments[1],
	        "ttl_s", (json_int_t)seconds, "kill", call_option(call, "kill") != NULL));
	if (result == NULL)
		return EXIT_FAILED;
	const json_t *bound = json_array_get(json_object_get(result, "bindings"), 0);
	const char *replaced = json_string_value(json_object_get(bound, "replaced"));
	if (call->json)
		print_json(result);
	else
		table_print_one(bound, binding_columns, 3);
	if (!call->json && replaced != NULL)
		printf("it was %s's until now; sessions ended: %lld\n", replaced,
		    (long long)json_integer_value(json_object_get(result, "killed")));
	json_decref(result);
	return EXIT_OK;
}

static int run_unbind(const struct call *call)
{
	json_t *result = control_ask(call->socket_path, "identity.unbind",
	    json_pack(
	        "{s:s, s:b}", "address", call->arguments[0], "kill", call_option(call, "kill") != NULL));

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		printf("%s is not %s's any more; sessions ended: %lld\n",
		    json_string_value(json_object_get(result, "address")),
		    json_string_value(json_object_get(result, "user")),
		    (long long)json_integer_value(json_object_get(result, "killed")));
	json_decref(result);
	return EXIT_OK;
}

static int run_ls(const struct call *call)
{
	const char *user = call_option(call, "user");
	json_t *result = control_ask(
	    call->socket_path, "identity.ls", user == NULL ? NULL : json_pack("{s:s}", "user", user));

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print(json_object_get(result, "bindings"), binding_columns, 4,
		    "no address is bound; `reeve identity bind IP NAME`");
	json_decref(result);
	return EXIT_OK;
}

#define KILL_OPTION "also end the sessions that came in by the binding that goes"

const struct command identity_commands[3] = {
    {.group = "identity",
        .verb = "bind",
        .arguments = "IP NAME [--ttl 8h] [--kill]",
        .argument_min = 2,
        .argument_max = 2,
        .summary = "say that an address is a user's, for a time",
        .text =
            "Says that whoever comes from IP is NAME until the time is up: as a VPN, an 802.1X switch or a\n"
            "zero-trust agent would, once it has authenticated NAME there. Rules with `identities: "
            "[address]`\n"
            "then let a stock client in without a key. Saying it again renews it; an address is one user's.\n"
            "On a tagged network IP is written with its VLAN: 198.51.100.1%vlan7.\n\n"
            "Programs do this by the control socket (method identity.bind, many at once), as a user of this\n"
            "machine whom control.identity_reporters names.\n\n"
            "Example: reeve identity bind 198.51.100.1 alice --ttl 8h",
        .options = {{"ttl", 0, "TIME", "how long: 10s to 30d, 8h by default", false},
            {"kill", 0, NULL, KILL_OPTION, false}},
        .run = run_bind},
    {.group = "identity",
        .verb = "unbind",
        .arguments = "IP [--kill]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "take that back",
        .text = "Takes a binding back before its time is up. Sessions that are live go on, unless --kill is "
                "given.\n\n"
                "Example: reeve identity unbind 198.51.100.1 --kill",
        .options = {{"kill", 0, NULL, KILL_OPTION, false}},
        .run = run_unbind},
    {.group = "identity",
        .verb = "ls",
        .arguments = "[--user NAME]",
        .summary = "list bound addresses",
        .text = "Lists the addresses that are bound now, to whom and until when.\n\n"
                "Example: reeve identity ls --json",
        .options = {{"user", 0, "NAME", "of this user only", false}},
        .run = run_ls},
};
