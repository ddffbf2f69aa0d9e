/* SPDX-License-Identifier: Apache-2.0 */
/* sessions; session show, kill; stats. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

#define LISTED 1000 /* where no --limit is given */
#define LISTED_MAX 10000

static const struct column session_columns[] = {{"SESSION", "session_id", COLUMN_ID},
    {"USER", "user", COLUMN_TEXT}, {"LOGIN", "login", COLUMN_TEXT}, {"CLIENT", "client", COLUMN_HOST},
    {"SERVER", "server", COLUMN_TEXT}, {"RULE", "rule", COLUMN_TEXT}, {"STARTED", "started_at", COLUMN_TIME},
    {"BYTES", "bytes", COLUMN_BYTES}, {"ENDED", "ended", COLUMN_TEXT}};

/* What went through in both directions; one number tells what to look at. Counted when a session ends. */
static void add_bytes(json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		json_int_t bytes = json_integer_value(json_object_get(row, "bytes_from_client")) +
		                   json_integer_value(json_object_get(row, "bytes_from_origin"));
		if (!json_is_true(json_object_get(row, "live")))
			json_object_set_new(row, "bytes", json_integer(bytes));
	}
}

static int run_sessions(const struct call *call)
{
	bool live = call_option(call, "live") != NULL;
	long limit = call_limit(call, LISTED, LISTED_MAX);

	if (limit < 0)
		return EXIT_USAGE;
	/* One more than is shown tells whether there are more. */
	json_t *result = control_ask(call->socket_path, "sessions.ls",
	    json_pack("{s:b, s:I}", "live", live, "limit", (json_int_t)limit + 1));

	if (result == NULL)
		return EXIT_FAILED;
	json_t *rows = json_object_get(result, "sessions");
	bool more = json_array_size(rows) > (size_t)limit && json_array_remove(rows, (size_t)limit) == 0;
	if (call->json)
		print_json(result);
	else {
		add_bytes(rows);
		table_add_ended(rows);
		table_print(rows, session_columns, sizeof(session_columns) / sizeof(session_columns[0]),
		    live ? "no live sessions" : "no sessions yet");
		if (more)
			puts("… and more (--limit N)");
	}
	json_decref(result);
	return EXIT_OK;
}

/* An event's details in words: "success=yes method=certificate". */
static json_t *detail_words(const json_t *detail)
{
	char words[512] = "";
	size_t used = 0;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)detail, name, value)
	{
		char *dumped = json_is_string(value) || json_is_boolean(value)
		                   ? NULL
		                   : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		const char *text = json_is_string(value)    ? json_string_value(value)
		                   : json_is_boolean(value) ? (json_is_true(value) ? "yes" : "no")
		                                            : dumped;
		int len = snprintf(words + used, sizeof(words) - used, "%s%s=%s", used > 0 ? " " : "", name,
		    text != NULL ? text : "-");
		free(dumped);
		if (len < 0 || (size_t)len >= sizeof(words) - used)
			break;
		used += (size_t)len;
	}
	return json_stringn_nocheck(words, strnlen(words, sizeof(words)));
}

/* Is what passed in this program in a recording? */
static json_t *recorded_words(const json_t *program)
{
	const char *error = json_string_value(json_object_get(program, "error"));
	long long lost = json_integer_value(json_object_get(program, "lost_records"));

	if (error != NULL && strcmp(error, "recording_failed") == 0)
		return json_string("failed");
	if (lost > 0)
		return json_sprintf("%lld lost", lost);
	return json_string(json_is_true(json_object_get(program, "recorded")) ? "yes" : "no");
}

static void prepare_programs(json_t *rows)
{
	size_t i;
	json_t *program;

	json_array_foreach(rows, i, program)
	{
		json_object_set_new(program, "recorded_words", recorded_words(program));
		if (!json_is_null(json_object_get(program, "finished_at")))
			continue; /* what it moves is told when it ends */
		json_object_del(program, "bytes_from_client");
		json_object_del(program, "bytes_from_origin");
	}
}

static int run_show(const struct call *call)
{
	static const struct column one[] = {{"session", "session_id", COLUMN_ID},
	    {"live", "live", COLUMN_TEXT}, {"user", "user", COLUMN_TEXT}, {"login", "login", COLUMN_TEXT},
	    {"client", "client", COLUMN_TEXT}, {"server", "server", COLUMN_TEXT},
	    {"target", "target_id", COLUMN_TEXT}, {"rule", "rule", COLUMN_TEXT},
	    {"started", "started_at", COLUMN_TIME}, {"finished", "finished_at", COLUMN_TIME},
	    {"ended", "close_reason", COLUMN_TEXT}, {"bytes from client", "bytes_from_client", COLUMN_BYTES},
	    {"bytes from origin", "bytes_from_origin", COLUMN_BYTES}};
	static const struct column programs[] = {{"PROGRAM", "program_id", COLUMN_ID},
	    {"TYPE", "type", COLUMN_TEXT}, {"COMMAND", "command", COLUMN_TEXT},
	    {"TO", "destination", COLUMN_TEXT}, {"STARTED", "started_at", COLUMN_TIME},
	    {"FINISHED", "finished_at", COLUMN_TIME}, {"FROM CLIENT", "bytes_from_client", COLUMN_BYTES},
	    {"FROM ORIGIN", "bytes_from_origin", COLUMN_BYTES}, {"RECORDED", "recorded_words", COLUMN_TEXT}};
	static const struct column events[] = {{"TIME", "time", COLUMN_TIME}, {"EVENT", "event", COLUMN_TEXT},
	    {"DETAIL", "detail_text", COLUMN_TEXT}};
	json_t *result =
	    control_ask(call->socket_path, "session.show", json_pack("{s:s}", "id", call->arguments[0]));

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json) {
		print_json(result);
		json_decref(result);
		return EXIT_OK;
	}
	if (json_is_true(json_object_get(result, "live"))) {
		json_object_del(result, "bytes_from_client");
		json_object_del(result, "bytes_from_origin");
	}
	table_print_one(result, one, sizeof(one) / sizeof(one[0]));
	putchar('\n');
	json_t *program_rows = json_object_get(result, "programs");
	size_t i;
	prepare_programs(program_rows);
	table_print(program_rows, programs, sizeof(programs) / sizeof(programs[0]), "no programs");
	json_t *event;
	json_t *event_rows = json_object_get(result, "events");
	json_array_foreach(event_rows, i, event)
	{
		json_object_set_new(event, "detail_text", detail_words(json_object_get(event, "detail")));
	}
	if (json_array_size(event_rows) > 0) {
		putchar('\n');
		table_print(event_rows, events, 3, "");
	}
	json_decref(result);
	return EXIT_OK;
}

static int run_kill(const struct call *call)
{
	const char *reason = call_option(call, "reason");
	json_t *result = control_ask(call->socket_path, "session.kill",
	    json_pack("{s:s, s:s}", "id", call->arguments[0], "reason",
	        reason != NULL ? reason : "ended by an administrator"));

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		printf("%s: told to end\n", call->arguments[0]);
	json_decref(result);
	return EXIT_OK;
}

const struct command session_commands[3] = {
    {.group = "sessions",
        .arguments = "[--live] [--limit N]",
        .summary = "list sessions, newest first",
        .text = "Lists the SSH sessions that went through audited rules, refused ones too, newest first.",
        .options = {{"live", 0, NULL, "only those that are open now", false},
            {"limit", 0, "N", "at most so many, up to 10000 (default: 1000)", false}},
        .run = run_sessions},
    {.group = "session",
        .verb = "show",
        .arguments = "SESSION",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "print all that is known of a session",
        .text = "Prints a session, the programs that ran in it (shells, commands, subsystems, forwardings) "
                "and its\n"
                "audit events: what was tried, refused and done, and when.\n\n"
                "Example: reeve session show 25eb36a8",
        .run = run_show},
    {.group = "session",
        .verb = "kill",
        .arguments = "SESSION [--reason TEXT]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "end a live session",
        .text = "Ends a live session at once. The user is shown the reason; recordings are finished.",
        .options = {{"reason", 0, "TEXT", "what the user is told", false}},
        .run = run_kill},
};

/* -- stats -- */

static void print_counters(const char *process, const json_t *counters, bool all)
{
	const char *name;
	json_t *value;

	print_safely(stdout, process);
	if (!json_is_object(counters)) {
		printf("  not up\n");
		return;
	}
	putchar('\n');
	json_object_foreach((json_t *)counters, name, value)
	{
		if (!all && json_is_integer(value) && json_integer_value(value) == 0)
			continue;
		fputs("  ", stdout);
		size_t width = print_safely(stdout, name);
		printf("%*s", (int)(width < 40 ? 40 - width : 1), "");
		if (json_is_integer(value))
			printf("%lld\n", (long long)json_integer_value(value));
		else {
			print_safely(stdout, json_is_string(value) ? json_string_value(value) : "-");
			putchar('\n');
		}
	}
}

static int run_stats(const struct call *call)
{
	const char *process;
	json_t *counters;
	json_t *result = control_ask(call->socket_path, "stats", NULL);

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		json_object_foreach(result, process, counters)
		    print_counters(process, counters, call_option(call, "all") != NULL);
	json_decref(result);
	return EXIT_OK;
}

const struct command stats_command = {
    .group = "stats",
    .arguments = "[--all]",
    .summary = "print the counters of every process",
    .text =
        "Prints the counters of each process since it started, those that are not zero; --all prints all.\n"
        "A process that does not answer within a second is shown as not up.",
    .options = {{"all", 0, NULL, "zero counters too", false}},
    .run = run_stats,
};
