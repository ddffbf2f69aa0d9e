/* SPDX-License-Identifier: Apache-2.0 */
/* folder: a directory of a test's own below /tmp. */
#ifndef TESTS_UNIT_CONTROL_FOLDER_H
#define TESTS_UNIT_CONTROL_FOLDER_H

#define FOLDER_PATH_SIZE 64

/* Makes one that nobody else has; its name begins with `name`. The test fails where it cannot. */
void folder_make(char path[FOLDER_PATH_SIZE], const char *name);
/* Removes it with all that is in it. */
void folder_remove(const char *path);

#endif
