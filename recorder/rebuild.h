/* SPDX-License-Identifier: Apache-2.0 */
/* The index made again from the sidecars: it is a convenience, and never the only word about a recording. */
#ifndef RECORDER_REBUILD_H
#define RECORDER_REBUILD_H

#include <stdbool.h>

#include "recorder/directory.h"
#include "recorder/index.h"

/* Moves an index.db that is no index out of the way and makes a new one. 0 or -errno. */
int rebuild_aside(const struct directory *directory, const char *path, struct index **index, bool *made);
/* Enters every sidecar below the directory. Sidecars that cannot be read are counted in the log. 0 or -errno.
 */
int rebuild_index(const struct directory *directory, struct index *index);

#endif
