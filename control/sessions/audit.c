/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sessions/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/identity/users.h"
#include "control/rpc/rpc.h"

static int open_file(struct audit *audit)
{
	struct stat stat;

	audit->fd = open(audit->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (audit->fd < 0)
		return -errno;
	audit->size = fstat(audit->fd, &stat) == 0 ? (uint64_t)stat.st_size : 0;
	return 0;
}

int audit_open(struct audit *audit, const char *path, uint64_t size_max)
{
	*audit = (struct audit){.fd = -1, .size_max = size_max};
	if (strlen(path) >= sizeof(audit->path) - 8)
		return -ENAMETOOLONG;
	snprintf(audit->path, sizeof(audit->path), "%s", path);
	return open_file(audit);
}

void audit_close(struct audit *audit)
{
	if (audit->fd >= 0)
		close(audit->fd);
	audit->fd = -1;
}

static void rotate(struct audit *audit)
{
	char from[sizeof(audit->path) + 8], to[sizeof(audit->path) + 8];

	audit_close(audit);
	for (int i = AUDIT_FILES_KEPT; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%d", audit->path, i);
		snprintf(from, sizeof(from), "%s.%d", audit->path, i - 1);
		(void)rename(i == 1 ? audit->path : from, to); /* absent ones are none the worse */
	}
	int error = open_file(audit);
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "%s: cannot go on after rotation: %s", audit->path, strerror(-error));
}

void audit_time(int64_t seconds, char text[32])
{
	time_t at = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&at, &tm) == NULL || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, 32, "1970-01-01T00:00:00Z");
}

static void append(struct audit *audit, const char *line, size_t len)
{
	if (audit->fd < 0)
		(void)open_file(audit);
	/* One write, with O_APPEND: a line is there whole or, on a full disk, cut and said to be. */
	if (audit->fd >= 0 && write(audit->fd, line, len) == (ssize_t)len) {
		audit->size += len;
		audit->written++;
	} else if (audit->failed++ == 0) {
		rpc_log(RPC_LOG_ERROR, "%s: an audit event could not be written: %s", audit->path,
		    strerror(errno));
	}
}

void audit_write(struct audit *audit, const char *event, json_t *fields)
{
	char at[32], uid[40];

	audit_time(time(NULL), at);
	uuid_make(uid);
	json_t *object = json_pack("{s:s, s:s, s:s}", "event", event, "time", at, "uid", uid);
	/* Ours win: a worker's detail cannot rename the event. */
	if (fields != NULL)
		(void)json_object_update_missing(object, fields);
	json_decref(fields);
	char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
	size_t len = text == NULL ? 0 : strlen(text);
	if (text != NULL) {
		text[len] = '\n'; /* in place of the NUL: written by length */
		if (audit->size > 0 && audit->size + len + 1 > audit->size_max)
			rotate(audit);
		append(audit, text, len + 1);
	}
	free(text);
	json_decref(object);
}
