/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/control/folder.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void folder_make(char path[FOLDER_PATH_SIZE], const char *name)
{
	snprintf(path, FOLDER_PATH_SIZE, "/tmp/reeve-%s-XXXXXX", name);
	cr_assert_not_null(mkdtemp(path), "no folder %s", path);
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
