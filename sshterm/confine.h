/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SSHTERM_CONFINE_H
#define SSHTERM_CONFINE_H

/*
 * Gives up what a worker never needs: root, capabilities, new privileges, and all system calls but those of
 * the list in confine.c (no sockets, no files, no programs). Descriptors that it has stay, new ones only come
 * over its links. 0 or -errno; what failed is logged.
 */
int confine(void);

#endif
