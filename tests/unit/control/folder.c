/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/control/folder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
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
