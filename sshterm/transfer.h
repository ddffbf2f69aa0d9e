/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer: which programs move files, by what was asked for.
 *
 * The origin may run something else under these names, and files may be moved by any other program: this is
 * for telling the common ones apart in the audit log, not for refusing anything.
 */
#ifndef SSHTERM_TRANSFER_H
#define SSHTERM_TRANSFER_H

#include "config/wire/wire.h"

struct transfer {
	const char *event;  /* Teleport's name: "sftp", "scp"; NULL: no transfer that is known */
	const char *action; /* scp: "upload", "download"; else NULL */
};

/* `type`: "subsystem", "exec" or another; `command`: the subsystem's name or the command line, a stranger's.
 */
struct transfer transfer_of(const char *type, struct wire_span command);

#endif
