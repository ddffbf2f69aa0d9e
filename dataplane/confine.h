/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine: what the dataplane gives up, in the order in which it can.
 *
 * confine_process, before the EAL makes its threads: no_new_privs, and of the capabilities only those that a
 * driver may need to start. confine_thread, by each of our threads once the ports are up: those that are left
 * take a driver's hands off an interface at the end. confine_calls, last: a list of system calls that the
 * drivers in use, the loop and the way out need; any other fails with EPERM, in every thread.
 */
#ifndef DATAPLANE_CONFINE_H
#define DATAPLANE_CONFINE_H

/* 0 or -errno. */
int confine_process(void);
int confine_thread(void);
int confine_calls(void);

#endif
