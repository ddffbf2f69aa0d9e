/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/rebuild.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "recorder/sidecar.h"

struct tally {
	unsigned entered, unreadable;
};

int rebuild_aside(const struct directory *directory, const char *path, struct index **index, bool *made)
{
	char aside[48];

	snprintf(aside, sizeof(aside), "index.db.broken-%llu", (unsigned long long)time(NULL));
	rpc_log(RPC_LOG_ERROR, "index.db is no index of ours: kept as %s, and made again from the sidecars",
	    aside);
	if (renameat(directory->root, "index.db", directory->root, aside) != 0)
		return -errno;
	(void)unlinkat(directory->root, "index.db-wal", 0);
	(void)unlinkat(directory->root, "index.db-shm", 0);
	return index_open(index, path, made);
}

/* Sidecars of one day: names are ours, or they are left alone. */
static void enter_day(const struct directory *directory, struct index *index, const char *day, DIR *entries,
    struct tally *tally)
{
	struct dirent *entry;

	while ((entry = readdir(entries)) != NULL) {
		struct index_row row = {0};
		char *log = NULL;
		const char *name = entry->d_name;
		if (strlen(name) != UUID_SIZE - 1 + strlen(".json") ||
		    strcmp(name + UUID_SIZE - 1, ".json") != 0)
			continue;
		memcpy(row.program_id, name, UUID_SIZE - 1);
		memcpy(row.day, day, DAY_SIZE);
		if (uuid_valid(row.program_id) && sidecar_row(directory, &row, &log) == 0 &&
		    index_insert(index, &row, log) == 0)
			tally->entered++;
		else
			tally->unreadable++;
		free(log);
	}
}

static DIR *open_directory(const struct directory *directory, const char *place)
{
	int fd = directory_openat(directory, place, O_RDONLY | O_DIRECTORY);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);

	if (entries == NULL && fd >= 0)
		close(fd);
	return entries;
}

static bool digits(const char *name, size_t count)
{
	return strlen(name) == count && strspn(name, "0123456789") == count;
}

/* Walks year, month and day: `place` grows by a component a level. */
static void walk(const struct directory *directory, struct index *index, const char *place, unsigned level,
    struct tally *tally)
{
	static const size_t widths[] = {4, 2, 2};
	DIR *entries = open_directory(directory, level == 0 ? "." : place);
	struct dirent *entry;

	if (entries == NULL)
		return;
	if (level == 3) {
		enter_day(directory, index, place, entries, tally);
		closedir(entries);
		return;
	}
	while ((entry = readdir(entries)) != NULL) {
		char deeper[DAY_SIZE];
		if (!digits(entry->d_name, widths[level]))
			continue;
		int len =
		    snprintf(deeper, sizeof(deeper), "%s%s%s", place, level == 0 ? "" : "/", entry->d_name);
		if (len > 0 && len < (int)sizeof(deeper))
			walk(directory, index, deeper, level + 1, tally);
	}
	closedir(entries);
}

int rebuild_index(const struct directory *directory, struct index *index)
{
	struct tally tally = {0};

	walk(directory, index, "", 0, &tally);
	if (tally.entered + tally.unreadable > 0)
		rpc_log(RPC_LOG_NOTICE,
		    "the index was made again: %u recordings entered, %u sidecars cannot be read",
		    tally.entered, tally.unreadable);
	return index_commit(index);
}
