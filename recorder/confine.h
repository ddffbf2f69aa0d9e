/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorder gives up once its directory, index and ring are open. */
#ifndef RECORDER_CONFINE_H
#define RECORDER_CONFINE_H

/* Raises the limit of open files as far as it goes (before confine). Returns it. */
unsigned long confine_raise_files(unsigned long wanted);
/* No new privileges, no capabilities, no files but below `directory` (Landlock, where the kernel has it), no
 * system calls but those that its work needs (the process is killed by any other). 0 or -errno. */
int confine(int directory);

#endif
