/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/transfer.h"

#include <string.h>

#define COMMAND_MAX 4096 /* bytes of a command line that are looked at; a longer one is no transfer's */

static struct wire_span next_word(struct wire_span *rest)
{
	struct wire_span word;

	while (rest->len > 0 && (*rest->at == ' ' || *rest->at == '\t')) {
		rest->at++;
		rest->len--;
	}
	word.at = rest->at;
	while (rest->len > 0 && *rest->at != ' ' && *rest->at != '\t') {
		rest->at++;
		rest->len--;
	}
	word.len = (size_t)(rest->at - word.at);
	return word;
}

/* A shell would run more than the one program: then it is an exec, whatever its first word is. */
static bool is_one_program(struct wire_span command)
{
	for (size_t i = 0; i < command.len; i++)
		if (command.at[i] < 0x20 ? command.at[i] != '\t' : strchr(";&|<>()`$", command.at[i]) != NULL)
			return false;
	return true;
}

static struct wire_span without_folder(struct wire_span word)
{
	const uint8_t *slash = word.len == 0 ? NULL : memrchr(word.at, '/', word.len);

	if (slash == NULL)
		return word;
	return (struct wire_span){slash + 1, word.len - (size_t)(slash + 1 - word.at)};
}

/* scp -t FILE receives, scp -f FILE… sends (what `scp -O` asks for, with -r, -p, -d and -v as it was given
 * them). */
static struct transfer scp_of(struct wire_span rest)
{
	for (struct wire_span word = next_word(&rest); word.len > 1 && word.at[0] == '-';
	     word = next_word(&rest)) {
		if (memchr(word.at, 't', word.len) != NULL)
			return (struct transfer){"scp", "upload"};
		if (memchr(word.at, 'f', word.len) != NULL)
			return (struct transfer){"scp", "download"};
	}
	return (struct transfer){0};
}

struct transfer transfer_of(const char *type, struct wire_span command)
{
	if (strcmp(type, "subsystem") == 0)
		return (struct transfer){wire_span_is(command, "sftp") ? "sftp" : NULL, NULL};
	if (strcmp(type, "exec") != 0 || command.len > COMMAND_MAX || !is_one_program(command))
		return (struct transfer){0};
	struct wire_span program = without_folder(next_word(&command));
	if (wire_span_is(program, "sftp-server"))
		return (struct transfer){"sftp", NULL};
	return wire_span_is(program, "scp") ? scp_of(command) : (struct transfer){0};
}
