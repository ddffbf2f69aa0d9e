/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SSHTERM_CONFINE_H
#define SSHTERM_CONFINE_H

/*
 * A worker gives up what it never needs, in two steps: root, capabilities and new privileges, then all system
 * calls but those of the list in confine.c (no sockets, no files, no programs, no threads). What is started
 * in between has no more than the worker, and the second step takes hold of every thread. Descriptors that it
 * has stay, new ones only come over its links. 0 or -errno; what failed is logged.
 */
int confine_identity(void);
int confine_calls(void);

#endif
