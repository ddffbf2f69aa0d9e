/* SPDX-License-Identifier: Apache-2.0 */
/* command: what a subcommand of `reeve` is, and what it was called with. */
#ifndef CONTROL_CLI_COMMAND_H
#define CONTROL_CLI_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define COMMAND_OPTIONS_MAX 8
#define COMMAND_ARGUMENTS_MAX 16

/* Exit statuses of the tool, for scripts. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* it was understood and could not be done */
	EXIT_USAGE = 2,  /* the words of the call are off */
};

struct option_spec {
	const char *name;  /* without the dashes */
	char letter;       /* 0: none */
	const char *value; /* name of its value in the help, NULL: a switch */
	const char *help;
	bool repeatable;
};

/* The parsed words of one call. Strings point into argv. */
struct call {
	const char *socket_path;
	bool json;
	const struct command *command;
	const char *arguments[COMMAND_ARGUMENTS_MAX];
	size_t argument_count;
	const char *values[COMMAND_OPTIONS_MAX][COMMAND_ARGUMENTS_MAX]; /* "" for a switch that was given */
	size_t value_counts[COMMAND_OPTIONS_MAX];
};

struct command {
	const char *group;     /* first word, or the only one */
	const char *verb;      /* second word, NULL: none */
	const char *arguments; /* as the help shows them */
	size_t argument_min, argument_max;
	const char *summary; /* one line */
	const char *text;    /* what `--help` adds: paragraphs, an example */
	struct option_spec options[COMMAND_OPTIONS_MAX];
	int (*run)(const struct call *call);
};

/* The value of an option (the last one given), NULL where it was not given; "" for a given switch. */
const char *call_option(const struct call *call, const char *name);
/* The i-th value of a repeatable option, NULL past the last. */
const char *call_option_at(const struct call *call, const char *name, size_t i);

/* The number of --limit, `usual` where it was not given; -1 after a message. */
long call_limit(const struct call *call, long usual, long max);

/* All values of an option, each split at its commas: an array of strings. */
json_t *call_words(const struct call *call, const char *name);

extern const struct command keygen_command, decrypt_command;

/* Patterns of hosts as a line of known_hosts has them; anything else would make another line of it. */
bool host_patterns_fit(const char *patterns);

#define KEY_LINE_MAX 16384
/* The line of a public key file that is neither empty nor a comment: the one. False after a message. */
bool read_public_key(const char *path, char line[KEY_LINE_MAX]);

/* "8h", "30m", "1d", "52w", "45s", "1h30m" in seconds; -1 where it is none of these. */
long long parse_duration(const char *text);

/* A certificate that a command is to get, over the public key in a file. */
struct certificate_order {
	char key[KEY_LINE_MAX];
	char path[4096]; /* where it goes: --output, else KEY-cert.pub, where ssh and sshd look for it */
	long long ttl_s;
};
struct ttl_range {
	const char *usual; /* where --ttl is not given */
	long long min_s, max_s;
	const char *expected; /* for who gave another: "from 1m to 30d, such as 8h" */
};
/* Reads the key's file, --ttl and --output. An exit status. */
int certificate_order_read(const struct call *call, const char *key_path, const struct ttl_range *range,
    struct certificate_order *order);
/* Asks the box for it (`params` are taken over) once its file can be written, and writes it, in the place of
 * an older one; with --json the answer is printed, and the certificate written only where --output says so.
 * `what_next` is said of the file. An exit status. */
int certificate_order_fill(const struct call *call, const struct certificate_order *order, const char *method,
    json_t *params, const char *what_next);

extern const struct command policy_commands[3], ca_commands[6], user_commands[5], target_commands[7];
extern const struct command identity_commands[3], krl_commands[3], totp_command, vault_commands[3];
extern const struct command known_hosts_command, host_key_commands[4];
extern const struct command session_commands[3], recording_commands[3], stats_command;

/* "reeve: " and the text on stderr. Always EXIT_FAILED, so that callers can `return complain(…)`. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
