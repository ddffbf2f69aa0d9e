/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reeve: the admin's and auditor's tool.
 *
 * Theory of operation. Each subcommand is a row of a table: its words, its options, its help and a function.
 * This file turns argv into a `struct call` and finds the row. Commands that speak with the box do so by
 * JSON-RPC over the control socket (socket.c); what they may do is decided there, by the caller's uid.
 * Recordings are opened here, in the auditor's own process: private keys never cross the socket, and a
 * recording that was fetched (`get`) needs no box at all to be read (`decrypt`).
 *
 * Whatever comes from the box's sessions is hostile text: tables print it with control characters escaped.
 * Only `play` and `decrypt --replay` write recorded bytes to the terminal as they are: that is their job.
 */
#include "control/cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/table.h"

#define DEFAULT_SOCKET "/run/portreeve/control.sock"
#define REEVE_VERSION "0.1.0"

struct command_rows {
	const struct command *rows;
	size_t count;
	const char *heading; /* starts a section of the help; NULL: goes on */
};

static const struct command_rows sections[] = {
    {policy_commands, 3, "Policy"},
    {ca_commands, 6, "Who may log in"},
    {user_commands, 5, NULL},
    {&totp_command, 1, NULL},
    {identity_commands, 3, NULL},
    {krl_commands, 3, NULL},
    {target_commands, 7, NULL},
    {vault_commands, 3, NULL},
    {&known_hosts_command, 1, "Host keys"},
    {host_key_commands, 4, NULL},
    {session_commands, 3, "Sessions"},
    {recording_commands, 3, "Recordings"},
    {&decrypt_command, 1, NULL},
    {&keygen_command, 1, NULL},
    {&stats_command, 1, "The box"},
};
#define SECTION_COUNT (sizeof(sections) / sizeof(sections[0]))

int complain(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("reeve: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

/* Prints them one behind the other. Returns the columns: some words have letters of several bytes ("…"). */
static int print_joined(FILE *out, const char *const *words, size_t count)
{
	size_t columns = 0;

	for (size_t i = 0; i < count; i++)
		columns += print_safely(out, words[i]);
	return (int)columns;
}

/* "group verb ARGUMENTS", as far as there are any. Returns the columns. */
static int print_call(FILE *out, const struct command *c)
{
	const char *words[] = {c->group, c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "",
	    c->arguments[0] != '\0' ? " " : "", c->arguments};

	return print_joined(out, words, 5);
}

static void print_words(const struct command *c)
{
	int width = printf("  ") + print_call(stdout, c);
	if (width >= 44)
		width = printf("\n") - 1;
	printf("%*s%s\n", 44 - width, "", c->summary);
}

static void print_help(void)
{
	puts("reeve: administers a Portreeve box and reads its recordings\n\n"
	     "Usage: reeve [--socket PATH] COMMAND [WORDS] [OPTIONS]\n"
	     "       reeve COMMAND --help, or reeve help COMMAND");
	for (size_t s = 0; s < SECTION_COUNT; s++) {
		if (sections[s].heading != NULL)
			printf("\n%s:\n", sections[s].heading);
		for (size_t i = 0; i < sections[s].count; i++)
			print_words(&sections[s].rows[i]);
	}
	puts("\nEverywhere:\n"
	     "  --socket PATH   the box's control socket (default " DEFAULT_SOCKET ",\n"
	     "                  or PORTREEVE_SOCKET in the environment)\n"
	     "  --json          print what the box answered, or the result, as JSON\n"
	     "  --help          of the tool, or of one command\n"
	     "  --version\n\n"
	     "Sessions and programs may be named by the first characters of their ids, six at least.\n"
	     "Exit status: 0 done, 1 could not be done, 2 called wrongly.");
}

static void print_command_help(const struct command *c)
{
	printf("Usage: reeve ");
	print_call(stdout, c);
	printf("\n\n%s\n", c->text);
	if (c->options[0].name != NULL)
		puts("\nOptions:");
	for (size_t i = 0; i < COMMAND_OPTIONS_MAX && c->options[i].name != NULL; i++) {
		const struct option_spec *o = &c->options[i];
		char letter[8] = "    ";
		if (o->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		const char *words[] = {"  ", letter, "--", o->name, " ", o->value != NULL ? o->value : ""};
		int width = print_joined(stdout, words, 6);
		if (width >= 28)
			width = printf("\n") - 1;
		printf("%*s%s\n", 28 - width, "", o->help);
	}
}

const char *call_option_at(const struct call *call, const char *name, size_t i)
{
	for (size_t o = 0; o < COMMAND_OPTIONS_MAX && call->command->options[o].name != NULL; o++)
		if (strcmp(call->command->options[o].name, name) == 0)
			return i < call->value_counts[o] ? call->values[o][i] : NULL;
	return NULL;
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

json_t *call_words(const struct call *call, const char *name)
{
	json_t *array = json_array();
	const char *value;

	for (size_t i = 0; (value = call_option_at(call, name, i)) != NULL; i++)
		add_words(array, value);
	return array;
}

const char *call_option(const struct call *call, const char *name)
{
	for (size_t o = 0; o < COMMAND_OPTIONS_MAX && call->command->options[o].name != NULL; o++)
		if (strcmp(call->command->options[o].name, name) == 0 && call->value_counts[o] > 0)
			return call->values[o][call->value_counts[o] - 1];
	return NULL;
}

long call_limit(const struct call *call, long usual, long max)
{
	const char *text = call_option(call, "limit");
	char *end = NULL;

	if (text == NULL)
		return usual;
	long n = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || n < 1 || n > max)
		return complain("--limit takes a number from 1 to %ld, not '%s'", max, text), -1;
	return n;
}

static const struct command *find_command(const char *group, const char *verb, bool *group_known)
{
	*group_known = false;
	for (size_t s = 0; s < SECTION_COUNT; s++)
		for (size_t i = 0; i < sections[s].count; i++) {
			const struct command *c = &sections[s].rows[i];
			if (strcmp(c->group, group) != 0)
				continue;
			*group_known = true;
			if (c->verb == NULL || (verb != NULL && strcmp(c->verb, verb) == 0))
				return c;
		}
	return NULL;
}

/* `reeve ca --help`: the commands that begin with this word. */
static void print_group_help(const char *group)
{
	puts("Usage:");
	for (size_t s = 0; s < SECTION_COUNT; s++)
		for (size_t i = 0; i < sections[s].count; i++)
			if (strcmp(sections[s].rows[i].group, group) == 0)
				print_words(&sections[s].rows[i]);
	printf("\n`reeve %s WORD --help` tells all of one.\n", group);
}

static bool asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static void print_verbs(FILE *out, const char *group)
{
	const char *comma = "";

	for (size_t s = 0; s < SECTION_COUNT; s++)
		for (size_t i = 0; i < sections[s].count; i++)
			if (strcmp(sections[s].rows[i].group, group) == 0 &&
			    sections[s].rows[i].verb != NULL) {
				fprintf(out, "%s%s", comma, sections[s].rows[i].verb);
				comma = ", ";
			}
}

static int usage_error(const struct call *call, const char *what, const char *word)
{
	const struct command *c = call->command;

	fprintf(stderr, "reeve: %s%s%s\n", what, word != NULL ? " " : "", word != NULL ? word : "");
	if (c != NULL) {
		fputs("Usage: reeve ", stderr);
		print_call(stderr, c);
		fputc('\n', stderr);
	} else {
		fputs("`reeve --help` lists the commands.\n", stderr);
	}
	return EXIT_USAGE;
}

/* Finds the option that `word` names (--name, --name=value, -x). *value: after the '=', or NULL. */
static int match_option(const struct command *command, const char *word, const char **value)
{
	*value = NULL;
	for (int o = 0; o < COMMAND_OPTIONS_MAX && command->options[o].name != NULL; o++) {
		const struct option_spec *spec = &command->options[o];
		size_t len = strlen(spec->name);
		if (word[1] != '-') {
			if (spec->letter != 0 && word[1] == spec->letter && word[2] == '\0')
				return o;
		} else if (strncmp(word + 2, spec->name, len) == 0 &&
		           (word[2 + len] == '\0' || word[2 + len] == '=')) {
			*value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
			return o;
		}
	}
	return -1;
}

/* Options that stand anywhere. Returns how many words were taken, 0: not one of them, -1: value missing. */
static int take_global(struct call *call, char **argv, int left)
{
	if (strcmp(argv[0], "--json") == 0) {
		call->json = true;
		return 1;
	}
	if (strncmp(argv[0], "--socket=", 9) == 0) {
		call->socket_path = argv[0] + 9;
		return 1;
	}
	if (strcmp(argv[0], "--socket") != 0)
		return 0;
	if (left < 2)
		return -1;
	call->socket_path = argv[1];
	return 2;
}

static int take_option(struct call *call, char **argv, int left)
{
	const char *value;
	int o = match_option(call->command, argv[0], &value);

	if (o < 0)
		return usage_error(call, "unknown option", argv[0]), -1;
	const struct option_spec *spec = &call->command->options[o];
	int words = 1;
	if (spec->value == NULL && value != NULL)
		return usage_error(call, "this option takes no value:", argv[0]), -1;
	if (spec->value != NULL && value == NULL) {
		if (left < 2)
			return usage_error(call, "a value must follow", argv[0]), -1;
		value = argv[1];
		words = 2;
	}
	if (call->value_counts[o] >= (spec->repeatable ? COMMAND_ARGUMENTS_MAX : 1))
		return usage_error(call, "given too often:", argv[0]), -1;
	call->values[o][call->value_counts[o]++] = value != NULL ? value : "";
	return words;
}

/* Says which of the words that the help shows in CAPITALS is not there. */
static int missing_argument(const struct call *call)
{
	const char *word = call->command->arguments;
	char what[64];

	for (size_t i = 0; i < call->argument_count; i++)
		word += strcspn(word, " ") + 1;
	snprintf(what, sizeof(what), "%.*s", (int)strcspn(word, " "), word);
	return usage_error(call, "this word is missing:", what);
}

/* Reads everything after the command's own words. EXIT_OK, EXIT_USAGE, or -1 when help was asked for. */
static int parse_words(struct call *call, char **argv, int argc)
{
	bool only_arguments = false;

	for (int i = 0; i < argc;) {
		int taken = only_arguments ? 0 : take_global(call, argv + i, argc - i);
		if (taken < 0)
			return usage_error(call, "a path must follow", argv[i]);
		if (taken == 0 && !only_arguments && asks_for_help(argv[i]))
			return -1;
		if (taken == 0 && !only_arguments && strcmp(argv[i], "--") == 0) {
			only_arguments = true;
			taken = 1;
		}
		if (taken == 0 && !only_arguments && argv[i][0] == '-' && argv[i][1] != '\0') {
			taken = take_option(call, argv + i, argc - i);
			if (taken < 0)
				return EXIT_USAGE;
		}
		if (taken == 0) {
			if (call->argument_count >= call->command->argument_max)
				return usage_error(call, "one word too many:", argv[i]);
			if (argv[i][0] == '\0') /* of "$ID" that is not set; it would mean all there are */
				return usage_error(call, "a word is empty", NULL);
			call->arguments[call->argument_count++] = argv[i];
			taken = 1;
		}
		i += taken;
	}
	if (call->argument_count < call->command->argument_min)
		return missing_argument(call);
	return EXIT_OK;
}

/* Letters to put in, take out, change or swap with the next to make one word of the other; words are short.
 */
static size_t distance(const char *a, const char *b)
{
	enum { WORD_MAX = 16 };
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= lb; j++)
		last[j] = j;
	for (size_t i = 1; i <= la; i++) {
		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		size_t *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[lb];
}

/* The command that somebody who typed `word` may have meant, NULL: none is near. */
static const char *nearest_command(const char *word)
{
	const char *nearest = NULL;
	size_t best = 3;

	for (size_t s = 0; s < SECTION_COUNT; s++)
		for (size_t i = 0; i < sections[s].count; i++) {
			size_t d = distance(word, sections[s].rows[i].group);
			if (d < best) {
				best = d;
				nearest = sections[s].rows[i].group;
			}
		}
	return nearest;
}

static int unknown_command(const char *group, const char *verb, bool group_known)
{
	const char *nearest = nearest_command(group);

	if (!group_known && nearest != NULL)
		fprintf(stderr, "reeve: unknown command '%s'; did you mean '%s'? `reeve --help` lists them\n",
		    group, nearest);
	else if (!group_known)
		fprintf(stderr, "reeve: unknown command '%s'; `reeve --help` lists them\n", group);
	else {
		fprintf(stderr, "reeve: '%s' %s%s%s; it is followed by one of: ", group,
		    verb == NULL ? "needs a second word" : "does not know '", verb == NULL ? "" : verb,
		    verb == NULL ? "" : "'");
		print_verbs(stderr, group);
		fputc('\n', stderr);
	}
	return EXIT_USAGE;
}

/* Finds the command that the words begin with, reads the rest of them, and runs it. */
static int run_words(struct call *call, char **words, int count, bool only_help)
{
	bool group_known;
	const char *verb = count > 1 && words[1][0] != '-' ? words[1] : NULL;

	call->command = find_command(words[0], verb, &group_known);
	if (call->command == NULL) {
		bool asked = only_help || (count > 1 && asks_for_help(words[1]));
		if (!group_known || verb != NULL || !asked)
			return unknown_command(words[0], verb, group_known);
		print_group_help(words[0]);
		return EXIT_OK;
	}
	int own = call->command->verb != NULL ? 2 : 1;
	int status = only_help ? -1 : parse_words(call, words + own, count - own);
	if (status == -1)
		return print_command_help(call->command), EXIT_OK;
	return status == EXIT_OK ? call->command->run(call) : status;
}

int main(int argc, char **argv)
{
	static struct call call;
	const char *socket_path = getenv("PORTREEVE_SOCKET");
	int i = 1;

	call.socket_path = socket_path != NULL && *socket_path != '\0' ? socket_path : DEFAULT_SOCKET;
	while (i < argc && argv[i][0] == '-') {
		int taken = take_global(&call, argv + i, argc - i);
		if (taken < 0)
			return usage_error(&call, "a path must follow", argv[i]);
		if (taken == 0 && strcmp(argv[i], "--version") == 0)
			return puts("reeve (Portreeve) " REEVE_VERSION), EXIT_OK;
		if (taken == 0 && asks_for_help(argv[i]))
			return print_help(), EXIT_OK;
		if (taken == 0)
			return usage_error(&call, "unknown option", argv[i]);
		i += taken;
	}
	if (i >= argc) {
		print_help();
		return EXIT_USAGE;
	}
	bool only_help = strcmp(argv[i], "help") == 0;
	if (only_help && ++i == argc)
		return print_help(), EXIT_OK;
	int status = run_words(&call, argv + i, argc - i, only_help);
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain("could not write the output: is the disk full?");
	return status;
}
