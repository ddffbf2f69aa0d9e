/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <program id>.json beside each recording: what is known about it without its key. It holds the first header
 * too, so that a last one that was torn by a power failure loses nothing.
 *
 * It is filled up with spaces to the size of a page (4 KB), which the last one is written over in one write.
 * Either the sidecar or the recording's header is written at a time, and flushed before the other is. Not by
 * a second file that is renamed: ext4 looks at each inode that was freed in the last minutes whenever it
 * makes a new one, so each program would make the next ones dearer. What is longer than a page is renamed all
 * the same.
 */
#ifndef RECORDER_SIDECAR_H
#define RECORDER_SIDECAR_H

#include "recorder/format/format.h"
#include "recorder/index.h"

/* Writes the sidecar of a recording that begins. 0 or -errno. */
int sidecar_begin(const struct directory *directory, const struct index_row *row,
    const struct format_header *first, const char *log);
/* Replaces it at the end. `log` and `last` as they will stand in session log and file. Returns a descriptor
 * of it, for the caller to flush and close; or -errno. */
int sidecar_finish(const struct directory *directory, const struct index_row *row,
    const struct format_header *last, const char *log);
/* Reads back the first header. 0 or -errno. */
int sidecar_first_header(
    const struct directory *directory, const struct index_row *row, struct format_header *first);

/* Reads back the row of program row->program_id of row->day, and its session-log object as text (malloc'ed).
 * 0 or -errno. */
int sidecar_row(const struct directory *directory, struct index_row *row, char **log);

#endif
