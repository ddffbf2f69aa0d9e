/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/control/folder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void folder_make(char path[FOLDER_PATH_SIZE], const char *name)
{
	static unsigned made; /* by this process */
	int error;

	/* A name that is taken is another's, who had this process id before. */
	do
		snprintf(path, FOLDER_PATH_SIZE, "/tmp/reeve-%s-%d-%u", name, (int)getpid(), made++);
	while ((error = mkdir(path, 0700)) != 0 && errno == EEXIST);
	cr_assert_eq(error, 0, "no folder %s: %s", path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void folder_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool folder_damage(int directory, const char *file, off_t at)
{
	int fd = openat(directory, file, O_RDWR);
	uint8_t byte;
	bool done = fd >= 0 && pread(fd, &byte, 1, at) == 1;

	if (done) {
		byte = (uint8_t)(byte ^ 1);
		done = pwrite(fd, &byte, 1, at) == 1;
	}
	if (fd >= 0)
		close(fd);
	return done;
}
