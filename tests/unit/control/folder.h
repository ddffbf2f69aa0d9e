/* SPDX-License-Identifier: Apache-2.0 */
/* folder: a directory of a test's own below /tmp. */
#ifndef TESTS_UNIT_CONTROL_FOLDER_H
#define TESTS_UNIT_CONTROL_FOLDER_H

/* Removes it with all that is in it. */
void folder_remove(const char *path);

#endif
