/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool uuid_valid(const char *text)
{
	for (unsigned i = 0; i < UUID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = text[i];
		if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return text[UUID_SIZE - 1] == '\0';
}

/* glibc has no wrapper for openat2(2). */
static int open_beneath(int dirfd, const char *path, int flags, unsigned mode)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
	    .mode = (flags & O_CREAT) != 0 ? mode : 0,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int directory_open(struct directory *directory, const char *path)
{
	*directory = (struct directory){.root = -1, .day_fd = -1};
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	directory->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return directory->root < 0 ? -errno : 0;
}

void directory_close(struct directory *directory)
{
	if (directory->day_fd >= 0)
		close(directory->day_fd);
	if (directory->root >= 0)
		close(directory->root);
	directory->root = directory->day_fd = -1;
}

/* Makes the components of "YYYY/MM/DD" and flushes the directory that got a new one. */
static int make_day(int root, const char *day)
{
	static const size_t ends[] = {4, 7, 10};
	char part[DAY_SIZE];

	for (unsigned i = 0; i < 3; i++) {
		memcpy(part, day, ends[i]);
		part[ends[i]] = '\0';
		if (mkdirat(root, part, 0700) == 0)
			(void)fsync(root); /* once a day; the year's entry is what recovery needs first */
		else if (errno != EEXIST)
			return -errno;
	}
	return open_beneath(root, day, O_RDONLY | O_DIRECTORY, 0);
}

int directory_day(struct directory *directory, uint64_t now)
{
	char day[DAY_SIZE];
	time_t seconds = (time_t)now;
	struct tm utc;

	if (gmtime_r(&seconds, &utc) == NULL || strftime(day, sizeof(day), "%Y/%m/%d", &utc) != DAY_SIZE - 1)
		return -ERANGE;
	if (directory->day_fd >= 0 && strcmp(day, directory->day) == 0)
		return 0;
	int fd = make_day(directory->root, day);
	if (fd < 0)
		return fd;
	if (directory->day_fd >= 0)
		close(directory->day_fd);
	directory->day_fd = fd;
	memcpy(directory->day, day, sizeof(day));
	return 0;
}

void directory_place(char place[PLACE_SIZE], const char *day, const char *id, const char *suffix)
{
	snprintf(place, PLACE_SIZE, "%s/%s%s", day, id, suffix);
}

int directory_openat(const struct directory *directory, const char *place, int flags)
{
	return open_beneath(directory->root, place, flags, 0600);
}
