/* SPDX-License-Identifier: Apache-2.0 */
/* session-log.jsonl: one JSON object a finished program, only ever appended to. */
#ifndef RECORDER_SESSION_LOG_H
#define RECORDER_SESSION_LOG_H

#include "recorder/directory.h"

/* Opens the log; a last line that was cut by a crash goes. A descriptor or -errno. */
int session_log_open(const struct directory *directory);
/* Appends `line` and a newline in one write, or nothing. 0 or -errno. */
int session_log_append(int fd, const char *line);

#endif
