/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one directory below which the recorder opens files:
 *
 *   YYYY/MM/DD/<program id>.sshlog   the recording (by the recorder's clock at its start, UTC)
 *   YYYY/MM/DD/<program id>.json     its sidecar: first header, last header, session-log object
 *   session-log.jsonl                one line a finished program
 *   index.db                         SQLite: what can be found, and which programs are open
 *
 * Directories are 0700, files 0600. Nothing is opened through a symbolic link or out of the directory
 * (openat2, RESOLVE_BENEATH), and names are built from checked ids only.
 */
#ifndef RECORDER_DIRECTORY_H
#define RECORDER_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#define DAY_SIZE 11   /* "YYYY/MM/DD" and a NUL */
#define UUID_SIZE 37  /* 36 characters and a NUL */
#define PLACE_SIZE 64 /* day, '/', id, suffix, NUL */

struct directory {
	int root;
	int day_fd; /* of `day`; -1 before the first recording */
	char day[DAY_SIZE];
};

/* A UUID as RFC 9562 section 4 writes it, in lower case: 36 characters of [0-9a-f-]. */
bool uuid_valid(const char *text);

/* Opens (and makes, parents excepted) the directory. 0 or -errno. */
int directory_open(struct directory *directory, const char *path);
void directory_close(struct directory *directory);
/* The day of unix time `now`, its directory made and open as directory->day_fd. 0 or -errno. */
int directory_day(struct directory *directory, uint64_t now);
/* "YYYY/MM/DD/<id><suffix>" */
void directory_place(char place[PLACE_SIZE], const char *day, const char *id, const char *suffix);
/* Opens a place below the root; files are made 0600. A descriptor or -errno. */
int directory_openat(const struct directory *directory, const char *place, int flags);

#endif
