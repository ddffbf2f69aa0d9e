/* SPDX-License-Identifier: Apache-2.0 */
/* policy check, apply, show. The text is judged by the box: it knows which version of the language it speaks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

#define POLICY_MAX ((size_t)16 << 20)

/* The file's text, malloc'ed and NUL-terminated; "-" is standard input. NULL after a message. */
static char *read_policy(const char *path)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = NULL;
	size_t len = 0, room = 0;

	if (in == NULL)
		return complain("cannot read %s: %s", path, strerror(errno)), NULL;
	ssize_t got = getdelim(&text, &room, '\0', in);
	len = got > 0 ? (size_t)got : 0;
	bool failed = ferror(in) != 0;
	bool binary = len > 0 && text[len - 1] == '\0';
	if (in != stdin)
		fclose(in);
	if (failed)
		complain("cannot read %s: %s", path, strerror(errno));
	else if (len == 0)
		complain("%s is empty: a policy says at least `default: allow` or `default: block`", path);
	else if (binary || len > POLICY_MAX)
		complain("%s is not a policy: %s", path,
		    binary ? "it holds a NUL byte" : "it is larger than 16 MB");
	else
		return text;
	free(text);
	return NULL;
}

static json_t *send_policy(const struct call *call, const char *method)
{
	const char *path = call->arguments[0];
	char *text = read_policy(path);

	if (text == NULL)
		return NULL;
	json_t *params = json_pack("{s:s, s:s}", "text", text, "name", path);
	free(text);
	if (params == NULL)
		return complain("%s is not UTF-8 text", path), NULL;
	return control_ask(call->socket_path, method, params);
}

static long long integer(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void print_warnings(const json_t *result)
{
	const json_t *warning;
	size_t i;

	json_array_foreach(json_object_get(result, "warnings"), i, warning)
	{
		fprintf(stderr, "reeve: warning: %s\n",
		    json_is_string(warning) ? json_string_value(warning) : "");
	}
}

static int run_check(const struct call *call)
{
	json_t *result = send_policy(call, "policy.check");

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else {
		printf("%s: good: %lld rule%s\n", call->arguments[0], integer(result, "rules"),
		    integer(result, "rules") == 1 ? "" : "s");
		print_warnings(result);
	}
	json_decref(result);
	return EXIT_OK;
}

static int run_apply(const struct call *call)
{
	json_t *result = send_policy(call, "policy.apply");

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else {
		printf("in force: generation %lld, %lld rule%s\n", integer(result, "generation"),
		    integer(result, "rules"), integer(result, "rules") == 1 ? "" : "s");
		print_warnings(result);
	}
	json_decref(result);
	return EXIT_OK;
}

static int run_show(const struct call *call)
{
	static const struct column columns[] = {
	    {"#", "index", COLUMN_TEXT}, {"RULE", "name", COLUMN_TEXT}, {"ACTION", "action", COLUMN_TEXT}};
	json_t *result = control_ask(call->socket_path, "policy.show", NULL);

	if (result == NULL)
		return EXIT_FAILED;
	const char *text = json_string_value(json_object_get(result, "text"));
	if (call->json)
		print_json(result);
	else if (call_option(call, "rules") != NULL)
		table_print(json_object_get(result, "rules"), columns, 3, "no rules: the default alone");
	else
		printf("# generation %lld\n%s", integer(result, "generation"), text != NULL ? text : "");
	json_decref(result);
	return EXIT_OK;
}

const struct command policy_commands[3] = {
    {.group = "policy",
        .verb = "check",
        .arguments = "FILE",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "say whether a policy file is good",
        .text = "Has the box read FILE (- is standard input) as it would for `policy apply`, and changes\n"
                "nothing. An error names the line, what stands there and what was expected.\n\n"
                "Example: reeve policy check policy.yaml && reeve policy apply policy.yaml",
        .run = run_check},
    {.group = "policy",
        .verb = "apply",
        .arguments = "FILE",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "put a policy in force",
        .text = "Replaces the policy by FILE (- is standard input) while traffic runs. When the command "
                "returns,\n"
                "every new connection is judged by it. Nothing is half-applied: on an error the old policy "
                "stays.\n"
                "Live audited sessions keep the rule they began under. The policy survives a restart.",
        .run = run_apply},
    {.group = "policy",
        .verb = "show",
        .arguments = "[--rules]",
        .summary = "print the policy in force",
        .text =
            "Prints the text of the policy in force, as it was applied. With --rules, a table of its rules.",
        .options = {{"rules", 0, NULL, "a table of the rules instead of the text", false}},
        .run = run_show},
};
