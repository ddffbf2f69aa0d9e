/* SPDX-License-Identifier: Apache-2.0 */
/* confine: what reeve-control gives up once everything is open. */
#ifndef CONTROL_CONFINE_H
#define CONTROL_CONFINE_H

/* Drops every capability, sets no_new_privs, and allows from here on only the system calls that the loop,
 * SQLite and jansson need (seccomp; others return EPERM, and starting programs or tracing kills). 0 or
 * -errno. */
int confine(void);

#endif
