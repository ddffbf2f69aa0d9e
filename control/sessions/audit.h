/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit: audit.jsonl in the state directory, one JSON object a line, event names as Teleport has them. Append
 * only; at AUDIT_FILE_MAX bytes it becomes audit.jsonl.1, and so on, the oldest of AUDIT_FILES_KEPT goes.
 */
#ifndef CONTROL_SESSIONS_AUDIT_H
#define CONTROL_SESSIONS_AUDIT_H

#include <jansson.h>
#include <stdint.h>

#define AUDIT_FILE_MAX (64u << 20)
#define AUDIT_FILES_KEPT 9

struct audit {
	int fd;
	char path[4096];
	uint64_t size, size_max;
	uint64_t written, failed; /* lines */
};

/* 0 or -errno. size_max: AUDIT_FILE_MAX, or less in tests. */
int audit_open(struct audit *audit, const char *path, uint64_t size_max);
void audit_close(struct audit *audit);
/* Writes {"event", "time", "uid", …fields}; takes `fields` over (NULL: none). */
void audit_write(struct audit *audit, const char *event, json_t *fields);

/* "2026-11-21T02:00:00Z" */
void audit_time(int64_t seconds, char text[32]);

#endif
