/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owed: changes of the index that are not on the disk. Those of the running transaction, and those of
 * transactions that were lost (a full disk), kept until they can be made again: without them a program that
 * is over would stand as one that runs, or not at all, until the recorder is started again.
 */
#ifndef RECORDER_OWED_H
#define RECORDER_OWED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "recorder/index.h"

#define OWED_BYTES_MAX ((size_t)16 << 20) /* of both lists; what is more is not kept */

struct owed_change {
	STAILQ_ENTRY(owed_change) link;
	bool finish; /* else: a new program */
	struct index_row row;
	char *log;
};
STAILQ_HEAD(owed_list, owed_change);

struct owed {
	struct owed_list running;          /* of the transaction that is open */
	struct owed_list lost;             /* oldest first */
	size_t bytes;                      /* of both */
	unsigned count;                    /* in `lost` */
	unsigned running_dropped, dropped; /* not kept; the second: since `lost` was empty */
};

void owed_init(struct owed *owed);
void owed_note(struct owed *owed, bool finish, const struct index_row *row, const char *log);
/* The transaction is on the disk, or was lost. */
void owed_kept(struct owed *owed);
void owed_lost(struct owed *owed);
/* The lost ones were made again (or are given up). */
void owed_clear(struct owed *owed);

#endif
