/* SPDX-License-Identifier: Apache-2.0 */
/* folder: a directory of a test's own below /tmp. */
#ifndef TESTS_UNIT_CONTROL_FOLDER_H
#define TESTS_UNIT_CONTROL_FOLDER_H

#include <stdbool.h>
#include <sys/types.h>

#define FOLDER_PATH_SIZE 64

/* Makes one that nobody else has; its name begins with `name`. The test fails where it cannot. */
void folder_make(char path[FOLDER_PATH_SIZE], const char *name);
/* Removes it with all that is in it. */
void folder_remove(const char *path);
/* Makes the byte at `at` of a file in it another one. False: it could not. */
bool folder_damage(int directory, const char *file, off_t at);

#endif
