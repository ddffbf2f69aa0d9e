/* SPDX-License-Identifier: Apache-2.0 */
/* ls, get, play, decrypt: from the list of recordings to the plaintext in the auditor's hands. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/cli/command.h"
#include "control/cli/recording.h"
#include "control/cli/replay.h"
#include "control/cli/table.h"
#include "control/cli/zip_export.h"

#define PATH_ROOM 4096
#define LISTED 100        /* where no --limit is given */
#define PROGRAMS_MAX 1000 /* that `play` goes through in one session: what the box lists at once */

/* Adds a part's rows. What began between two questions moves the rest on, so that a row may come twice. */
static size_t add_rows(json_t *rows, json_t *known, const json_t *part)
{
	size_t before = json_array_size(rows), i;
	json_t *row;

	json_array_foreach(part, i, row)
	{
		const char *id = json_string_value(json_object_get(row, "ProgramID"));
		if (id == NULL || json_object_get(known, id) != NULL)
			continue;
		json_object_set_new(known, id, json_true());
		json_array_append(rows, row);
	}
	return json_array_size(rows) - before;
}

/* recordings.ls until `limit` rows are there: the box gives as many at once as one message holds. An answer
 * with all their rows, NULL after a message. */
static json_t *list_recordings(
    struct control_socket *socket, const char *session, const char *user, long limit)
{
	json_t *rows = json_array(), *known = json_object(), *part;
	json_int_t offset = 0;
	bool more = true;

	while (more && json_array_size(rows) < (size_t)limit) {
		json_t *params = json_pack("{s:I, s:I, s:s*, s:s*}", "limit",
		    (json_int_t)(limit - (long)json_array_size(rows)), "offset", offset, "session", session,
		    "user", user);
		json_t *answer = control_call(socket, "recordings.ls", params);
		part = json_object_get(answer, "recordings");
		if (answer != NULL && !json_is_array(part))
			complain("the box's answer to recordings.ls has no recordings");
		if (!json_is_array(part)) {
			json_decref(answer);
			json_decref(rows);
			json_decref(known);
			return NULL;
		}
		offset += (json_int_t)json_array_size(part);
		more = json_is_true(json_object_get(answer, "more"));
		/* Rows that are all known already, or none: a box that gives no more, whatever it says. */
		bool any = add_rows(rows, known, part) > 0;
		json_decref(answer);
		if (!any)
			break;
	}
	json_decref(known);
	return json_pack("{s:o, s:b}", "recordings", rows, "more", more);
}

static int run_ls(const struct call *call)
{
	static const struct column columns[] = {{"PROGRAM", "ProgramID", COLUMN_ID},
	    {"SESSION", "SessionID", COLUMN_ID}, {"TYPE", "ProgramType", COLUMN_TEXT},
	    {"USER", "user", COLUMN_TEXT}, {"LOGIN", "Username", COLUMN_TEXT},
	    {"SERVER", "ServerAddress", COLUMN_TEXT}, {"STARTED", "ProgramStartDatetime", COLUMN_TIME},
	    {"SIZE", "file_size", COLUMN_BYTES}, {"ENDED", "ended", COLUMN_TEXT}};
	const char *session = call_option(call, "session");
	const char *user = call_option(call, "user");
	long limit = call_limit(call, LISTED, PROGRAMS_MAX);

	if (limit < 0)
		return EXIT_USAGE;
	if ((session != NULL && *session == '\0') || (user != NULL && *user == '\0'))
		return complain("--session and --user take one, not nothing"), EXIT_USAGE;
	struct control_socket *socket = control_connect(call->socket_path);
	json_t *result = socket == NULL ? NULL : list_recordings(socket, session, user, limit);
	control_close(socket);
	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else {
		table_add_ended(json_object_get(result, "recordings"));
		table_print(json_object_get(result, "recordings"), columns,
		    sizeof(columns) / sizeof(columns[0]), "no recordings");
		if (json_is_true(json_object_get(result, "more")))
			puts("… and more (--limit N)");
	}
	json_decref(result);
	return EXIT_OK;
}

/* --program N, 1-based; 0: not given, -1 after a message. */
static int program_number(const struct call *call)
{
	const char *text = call_option(call, "program");
	char *end = NULL;

	if (text == NULL)
		return 0;
	long n = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || n < 1 || n > PROGRAMS_MAX)
		return complain(
		           "--program takes the number of a program in its session, from 1; not '%s'", text),
		       -1;
	return (int)n;
}

/* Copies all of a source into `fd`. Bytes copied, -1 after a message. */
static long long copy_source(const struct recording_source *source, int fd, const char *path)
{
	static uint8_t chunk[64 * 1024];
	uint64_t offset = 0;

	for (;;) {
		ssize_t got = source->read(source->context, offset, chunk, sizeof(chunk));
		if (got <= 0)
			return got < 0 ? -1 : (long long)offset;
		for (ssize_t done = 0; done < got;) {
			ssize_t put = write(fd, chunk + done, (size_t)(got - done));
			if (put < 0 && errno != EINTR)
				return complain("cannot write %s: %s", path, strerror(errno)), -1;
			done += put > 0 ? put : 0;
		}
		offset += (uint64_t)got;
	}
}

static int print_file(const char *path, long long bytes)
{
	json_t *file = json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)bytes);

	print_json(file);
	json_decref(file);
	return EXIT_OK;
}

static int fetch(struct control_socket *socket, const struct call *call, int number, const char *output)
{
	struct recording_source *source = recording_remote(socket, call->arguments[0], number);

	if (source == NULL)
		return EXIT_FAILED;
	int fd = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		int error = errno;
		recording_source_close(source);
		if (error == EEXIST)
			return complain(
			    "%s is there already and stays as it is; choose another name with -o", output);
		return complain("cannot write %s: %s", output, strerror(error));
	}
	long long copied = copy_source(source, fd, output);
	recording_source_close(source);
	if (close(fd) != 0 && copied >= 0)
		copied = (complain("cannot write %s: %s", output, strerror(errno)), -1);
	if (copied < 0) {
		unlink(output);
		return EXIT_FAILED;
	}
	if (call->json)
		return print_file(output, copied);
	printf("%s: %lld bytes, sealed; `reeve decrypt -i %s -k KEY` opens it\n", output, copied, output);
	return EXIT_OK;
}

/* The rows of the session's recordings; none where the id is no session's, NULL after a message. */
static json_t *session_rows(struct control_socket *socket, const char *id)
{
	json_t *result = list_recordings(socket, id, NULL, PROGRAMS_MAX);
	json_t *rows = json_incref(json_object_get(result, "recordings"));

	json_decref(result);
	return rows;
}

/* Which program of the session to fetch, where the id is a session's: its only one. 0: the id is no
 * session's, -1 after a message. */
static int only_program(struct control_socket *socket, const char *id)
{
	json_t *rows = session_rows(socket, id);
	size_t count = json_array_size(rows);

	if (rows == NULL)
		return -1;
	json_decref(rows);
	if (count > 1)
		return complain("%s is a session of %zu programs: --program takes the number of one, from 1 "
		                "(reeve ls --session %s)",
		           id, count, id),
		       -1;
	return (int)count;
}

static int run_get(const struct call *call)
{
	char name[PATH_ROOM];
	const char *output = call_option(call, "output");
	int number = program_number(call);

	if (number < 0)
		return EXIT_USAGE;
	if (output == NULL) {
		snprintf(name, sizeof(name), "%s.sshlog", call->arguments[0]);
		output = name;
	}
	struct control_socket *socket = control_connect(call->socket_path);
	if (socket == NULL)
		return EXIT_FAILED;
	if (number == 0)
		number = only_program(socket, call->arguments[0]);
	int status = number < 0 ? EXIT_FAILED : fetch(socket, call, number, output);
	control_close(socket);
	return status;
}

/* -- play -- */

static int play_source(struct recording_source *source, const char *name, const uint8_t key[FORMAT_KEY_SIZE],
    const struct replay_pace *pace)
{
	int status = EXIT_FAILED;

	if (source == NULL)
		return EXIT_FAILED;
	struct recording *recording = recording_open(source, name, key);
	if (recording != NULL && replay_run(recording, pace) == 0 && recording_is_whole(recording))
		status = EXIT_OK;
	recording_close(recording);
	recording_source_close(source);
	return status;
}

static int by_start(const void *a, const void *b)
{
	const char *one = json_string_value(json_object_get(*(json_t *const *)a, "ProgramStartDatetime"));
	const char *two = json_string_value(json_object_get(*(json_t *const *)b, "ProgramStartDatetime"));

	return strcmp(one != NULL ? one : "", two != NULL ? two : "");
}

/* Plays the recorded programs of a session in the order in which they started. */
static int play_session(struct control_socket *socket, json_t *rows, const uint8_t key[FORMAT_KEY_SIZE],
    const struct replay_pace *pace)
{
	static json_t *order[PROGRAMS_MAX];
	int status = EXIT_OK;
	size_t count = 0, i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		if (count < PROGRAMS_MAX && !json_is_false(json_object_get(row, "recorded")))
			order[count++] = row;
	}
	if (count == 0)
		return complain("nothing of this session was recorded: its rule says command_logging: false");
	qsort(order, count, sizeof(order[0]), by_start);
	for (i = 0; i < count; i++) {
		const char *program = json_string_value(json_object_get(order[i], "ProgramID"));
		const char *type = json_string_value(json_object_get(order[i], "ProgramType"));
		if (program == NULL)
			continue;
		if (count > 1) {
			fflush(stdout);
			fprintf(stderr, "-- program %zu of %zu: %s %.8s\n", i + 1, count,
			    type != NULL ? type : "", program);
		}
		/* One that is damaged does not keep the next from being seen. */
		if (play_source(recording_remote(socket, program, 0), program, key, pace) != EXIT_OK)
			status = EXIT_FAILED;
		if (json_is_true(json_object_get(order[i], "live")))
			fprintf(stderr, "\nreeve: so far: %.8s goes on\n", program);
	}
	return status;
}

static int play_remote(
    const struct call *call, int number, const uint8_t key[FORMAT_KEY_SIZE], const struct replay_pace *pace)
{
	struct control_socket *socket = control_connect(call->socket_path);
	int status = EXIT_FAILED;

	if (socket == NULL)
		return EXIT_FAILED;
	json_t *rows = number == 0 ? session_rows(socket, call->arguments[0]) : json_array();
	if (json_array_size(rows) > 0)
		status = play_session(socket, rows, key, pace);
	else if (rows != NULL)
		status = play_source(
		    recording_remote(socket, call->arguments[0], number), call->arguments[0], key, pace);
	json_decref(rows);
	control_close(socket);
	return status;
}

/* Is --json asked of a replay? Said, then: what it writes is what was recorded. */
static bool no_json(const struct call *call)
{
	if (call->json)
		complain("a replay has no JSON: what it writes is what was recorded");
	return call->json;
}

static int run_play(const struct call *call)
{
	uint8_t key[FORMAT_KEY_SIZE];
	struct replay_pace pace;
	const char *key_path = call_option(call, "key");
	const char *input = call_option(call, "input");
	int number = program_number(call);

	if (number < 0 || !replay_pace_of(call, &pace) || no_json(call))
		return EXIT_USAGE;
	if ((call->argument_count == 1) == (input != NULL))
		return complain("name either a session or program of the box, or a file by -i"), EXIT_USAGE;
	if (recording_read_key(key_path != NULL ? key_path : "sshkey", key) != 0)
		return EXIT_FAILED;
	int status = input != NULL ? play_source(recording_file(input), input, key, &pace)
	                           : play_remote(call, number, key, &pace);
	sodium_memzero(key, sizeof(key));
	return status;
}

#define PLAY_OPTIONS                                                                                         \
	{"key", 'k', "FILE", "the private key (default: sshkey)", false},                                    \
	    {"input", 'i', "FILE", "a recording in a file", false},                                          \
	    {"speed", 0, "N", "play N times as fast", false},                                                \
	    {"max-idle", 0, "S", "cut pauses to S seconds (default 3; 0: never)", false},                    \
	{                                                                                                    \
		"no-wait", 0, NULL, "no pauses at all", false                                                \
	}

const struct command recording_commands[3] = {
    {.group = "ls",
        .arguments = "[--session ID] [--user U] [--limit N]",
        .summary = "list recordings, newest first",
        .text =
            "Lists the programs that ran in audited sessions, one a line (a session may run several), "
            "newest\n"
            "first. What they did is sealed; `play` and `decrypt` open it with the auditor's private key.",
        .options = {{"session", 0, "ID", "of one session", false}, {"user", 0, "U", "of one user", false},
            {"limit", 0, "N", "at most so many, up to 1000 (default: 100)", false}},
        .run = run_ls},
    {.group = "get",
        .arguments = "ID [--program N] [-o FILE]",
        .argument_min = 1,
        .argument_max = 1,
        .summary = "fetch a recording, sealed as it is",
        .text = "Fetches the file of a program, or of the N-th program of a session (N may be left out where "
                "there\n"
                "is one only). The file stays sealed: it can be kept or sent anywhere, and is read by `reeve "
                "decrypt`\n"
                "or ssh-log-cli with the private key.",
        .options = {{"output", 'o', "FILE", "where to write it (default: ID.sshlog)", false},
            {"program", 0, "N", "the N-th program of the session ID", false}},
        .run = run_get},
    {.group = "play",
        .arguments = "ID|-i FILE [-k KEY] [--program N]",
        .argument_max = 1,
        .summary = "replay a recording on this terminal",
        .text =
            "Replays what the user saw, with its timing: a program, or all programs of a session in their\n"
            "order. The private key stays in this process; the box sends the sealed file.",
        .options = {PLAY_OPTIONS, {"program", 0, "N", "only the N-th program of the session ID", false}},
        .run = run_play},
};

/* -- decrypt -- */

static int said_file(const struct call *call, const char *path)
{
	struct stat file;

	if (call->json)
		return print_file(path, stat(path, &file) == 0 ? (long long)file.st_size : 0);
	printf("%s\n", path);
	return EXIT_OK;
}

static int run_decrypt(const struct call *call)
{
	char name[PATH_ROOM];
	uint8_t key[FORMAT_KEY_SIZE];
	struct replay_pace pace;
	const char *input = call_option(call, "input");
	const char *key_path = call_option(call, "key");
	const char *output = call_option(call, "output");

	if (input == NULL || key_path == NULL)
		return complain("-i RECORDING and -k PRIVATE-KEY are needed"), EXIT_USAGE;
	if (!replay_pace_of(call, &pace) || (call_option(call, "replay") != NULL && no_json(call)))
		return EXIT_USAGE;
	if (recording_read_key(key_path, key) != 0)
		return EXIT_FAILED;
	int status = EXIT_FAILED;
	if (call_option(call, "replay") != NULL) {
		status = play_source(recording_file(input), input, key, &pace);
		sodium_memzero(key, sizeof(key));
		return status;
	}
	if (output == NULL) {
		snprintf(name, sizeof(name), "%s.decrypted.zip", input);
		output = name;
	}
	struct recording_source *source = recording_file(input);
	struct recording *recording = source != NULL ? recording_open(source, input, key) : NULL;
	sodium_memzero(key, sizeof(key));
	/* What is left of one that was cut off is written, and is no success. */
	if (recording != NULL && zip_export(recording, output) == 0) {
		status = said_file(call, output);
		if (!recording_is_whole(recording))
			status = EXIT_FAILED;
	}
	recording_close(recording);
	recording_source_close(source);
	return status;
}

const struct command decrypt_command = {
    .group = "decrypt",
    .arguments = "-i RECORDING -k KEY [-o FILE.zip] [--replay]",
    .summary = "open a recording without the box",
    .text =
        "Opens a recording with the auditor's private key, as `ssh-log-cli decrypt` does: into a zip with\n"
        "term_data.txt and term_times.txt for a terminal session (`scriptreplay --timing term_times.txt\n"
        "term_data.txt` plays them), or data_from_client.txt and data_from_server.txt for any other.\n"
        "Of a recording that was cut off, what is left is written, and the command fails.",
    .options = {{"input", 'i', "FILE", "the recording", false},
        {"key", 'k', "FILE", "the private key", false},
        {"output", 'o', "FILE", "the zip (default: RECORDING.decrypted.zip); an older one goes", false},
        {"replay", 0, NULL, "replay to the terminal instead", false},
        {"speed", 0, "N", "with --replay: N times as fast", false},
        {"max-idle", 0, "S", "with --replay: cut pauses to S seconds", false},
        {"no-wait", 0, NULL, "with --replay: no pauses at all", false}},
    .run = run_decrypt,
};
