/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/owed.h"

#include <stdlib.h>
#include <string.h>

static size_t size_of(const struct owed_change *change)
{
	return sizeof(*change) + strlen(change->log) + 1;
}

static void free_list(struct owed *owed, struct owed_list *list)
{
	struct owed_change *change;

	while ((change = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		owed->bytes -= size_of(change);
		free(change->log);
		free(change);
	}
}

void owed_init(struct owed *owed)
{
	*owed = (struct owed){0};
	STAILQ_INIT(&owed->running);
	STAILQ_INIT(&owed->lost);
}

void owed_note(struct owed *owed, bool finish, const struct index_row *row, const char *log)
{
	struct owed_change *change = NULL;

	if (owed->bytes + sizeof(*change) + strlen(log) < OWED_BYTES_MAX)
		change = malloc(sizeof(*change));
	if (change == NULL || (change->log = strdup(log)) == NULL) {
		free(change);
		owed->running_dropped++;
		return;
	}
	change->finish = finish;
	change->row = *row;
	owed->bytes += size_of(change);
	STAILQ_INSERT_TAIL(&owed->running, change, link);
}

void owed_kept(struct owed *owed)
{
	free_list(owed, &owed->running);
	owed->running_dropped = 0;
}

void owed_lost(struct owed *owed)
{
	const struct owed_change *change;

	STAILQ_FOREACH(change, &owed->running, link)
	owed->count++;
	STAILQ_CONCAT(&owed->lost, &owed->running);
	owed->dropped += owed->running_dropped;
	owed->running_dropped = 0;
}

void owed_clear(struct owed *owed)
{
	free_list(owed, &owed->lost);
	owed->count = owed->dropped = 0;
}
