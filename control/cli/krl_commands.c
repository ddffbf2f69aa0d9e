/* SPDX-License-Identifier: Apache-2.0 */
/* krl load, show, clear: which keys and certificates are revoked. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

#define KRL_MAX (8u << 20) /* what the box takes */

static const struct column krl_columns[] = {{"VERSION", "version", COLUMN_TEXT},
    {"MADE", "generated_at", COLUMN_TIME}, {"LOADED", "loaded_at", COLUMN_TIME},
    {"COMMENT", "comment", COLUMN_TEXT}, {"KEYS", "keys", COLUMN_TEXT},
    {"FINGERPRINTS", "fingerprints", COLUMN_TEXT}, {"SERIALS", "serials", COLUMN_TEXT},
    {"KEY IDS", "key_ids", COLUMN_TEXT}};
#define KRL_COLUMNS (sizeof(krl_columns) / sizeof(krl_columns[0]))

/* The whole file in base64, malloc'ed. NULL after a message. */
static char *read_file(const char *path)
{
	FILE *in = fopen(path, "re");
	uint8_t *bytes = malloc(KRL_MAX + 1);
	size_t len = in != NULL && bytes != NULL ? fread(bytes, 1, KRL_MAX + 1, in) : 0;
	char *text = NULL;

	if (in == NULL || bytes == NULL || ferror(in) != 0) {
		complain("cannot read %s: %s", path, strerror(errno));
	} else if (len > KRL_MAX) {
		complain("%s is longer than 8 MiB", path);
	} else {
		size_t room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
		text = malloc(room);
		if (text != NULL)
			sodium_bin2base64(text, room, bytes, len, sodium_base64_VARIANT_ORIGINAL);
	}
	if (in != NULL)
		fclose(in);
	free(bytes);
	return text;
}

/* What the box holds now; takes `result` over (NULL: it was said why not). */
static int show(const struct call *call, json_t *result)
{
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		table_print_one(result, krl_columns, KRL_COLUMNS);
	if (!call->json && call_option(call, "kill") != NULL)
		printf("live sessions ended: %lld\n",
		    (long long)json_integer_value(json_object_get(result, "killed")));
	json_decref(result);
	return EXIT_OK;
}

static int run_load(const struct call *call)
{
	char *text = read_file(call->arguments[0]);

	if (text == NULL)
		return EXIT_FAILED;
	json_t *result = control_ask(call->socket_path, "krl.load",
	    json_pack("{s:s, s:b}", "krl", text, "kill", call_option(call, "kill") != NULL));
	free(text);
	return show(call, result);
}

static int run_show(const struct call *call)
{
	return show(call, control_ask(call->socket_path, "krl.show", NULL));
}

static int run_clear(const struct call *call)
{
	json_t *result = control_ask(call->socket_path, "krl.clear", NULL);

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		puts("nothing is revoked any more");
	json_decref(result);
	return EXIT_OK;
}

const struct command krl_commands[3] = {
    {.group = "krl",
        .verb = "load",
        .arguments = "FILE [--kill]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "revoke keys and certificates",
        .text = "Puts a key revocation list in force in the place of the one before: a file that `ssh-keygen "
                "-k`\n"
                "made. It holds for enrolled keys, for certificates (by serial, key id or key) and for CAs, "
                "also\n"
                "the box's own. One that is damaged is refused, and the one before stays. Sessions that are "
                "live\n"
                "go on, unless --kill is given.\n\n"
                "Example: a certificate of the box's client CA by its serial, which `reeve user cert` told:\n"
                "  reeve ca show --type client >ca.pub\n"
                "  echo 'serial: 7' >serials.txt\n"
                "  ssh-keygen -k -f revoked.krl -s ca.pub serials.txt\n"
                "  reeve krl load revoked.krl --kill",
        .options = {{"kill", 0, NULL, "also end live sessions whose key or certificate is revoked", false}},
        .run = run_load},
    {.group = "krl",
        .verb = "show",
        .arguments = "",
        .summary = "show the revocation list in force",
        .text = "Shows number, date and comment of the revocation list in force, and how much it revokes.\n"
                "`ssh-keygen -Q -f FILE KEY` asks the file about a key.",
        .run = run_show},
    {.group = "krl",
        .verb = "clear",
        .arguments = "",
        .summary = "take the revocation list out of force",
        .text = "Takes the revocation list out of force: nothing is revoked any more.",
        .run = run_clear},
};
