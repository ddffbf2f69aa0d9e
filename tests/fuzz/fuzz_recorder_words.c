/* sources: recorder/words.c recorder/directory.c; deps: format */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker that was taken over may put into an open or a close: ids that are taken are UUIDs,
 * session-log lines are bounded and are one line. */
#include <stdlib.h>
#include <string.h>

#include "recorder/words.h"

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check_line(json_t *log)
{
	log_finish(log, "p", "s", 1700000000, "closed", NULL);
	char *line = log_text(log);

	must(line == NULL || (strlen(line) <= LOG_LINE_MAX && strchr(line, '\n') == NULL));
	must(line == NULL || strstr(line, "\"Payload\":\"\"") != NULL);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct open_words begun;
	struct close_words ended;
	const char *why;

	if (open_words_read((const char *)data, size, &begun, &why) == 0) {
		must(uuid_valid(begun.program_id) && uuid_valid(begun.session_id));
		check_line(begun.log);
	} else {
		must(why != NULL);
	}
	json_decref(begun.log);
	if (close_words_read((const char *)data, size, &ended, &why) == 0 && ended.log != NULL)
		check_line(ended.log);
	json_decref(ended.log);
	return 0;
}
