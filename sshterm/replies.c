/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/replies.h"

#include <stdlib.h>

static struct reply_run *run_at(const struct replies *replies, uint32_t place)
{
	return &replies->runs[(replies->head + place) & (replies->size - 1)];
}

static bool grow(struct replies *replies)
{
	uint32_t size = replies->size == 0 ? 4 : replies->size * 2;

	if (size > REPLIES_RUNS_MAX)
		return false;
	struct reply_run *runs = calloc(size, sizeof(*runs));
	if (runs == NULL)
		return false;
	for (uint32_t i = 0; i < replies->used; i++)
		runs[i] = *run_at(replies, i);
	free(replies->runs);
	replies->runs = runs;
	replies->size = size;
	replies->head = 0;
	return true;
}

bool replies_push(struct replies *replies, enum reply_kind kind)
{
	if (replies->used > 0) {
		struct reply_run *last = run_at(replies, replies->used - 1);

		if (last->kind == kind && last->count < UINT32_MAX) {
			last->count++;
			return true;
		}
	}
	if (replies->used == replies->size && !grow(replies))
		return false;
	*run_at(replies, replies->used++) = (struct reply_run){.count = 1, .kind = kind};
	return true;
}

static void drop_head(struct replies *replies)
{
	if (--run_at(replies, 0)->count > 0)
		return;
	replies->head = (replies->head + 1) & (replies->size - 1);
	replies->used--;
}

static bool is_own(uint32_t kind)
{
	return kind >= REPLY_OURS;
}

bool replies_pop(struct replies *replies, enum reply_kind *kind)
{
	if (replies->used == 0 || is_own(run_at(replies, 0)->kind))
		return false;
	*kind = run_at(replies, 0)->kind;
	drop_head(replies);
	return true;
}

bool replies_pop_own(struct replies *replies, enum reply_kind *kind)
{
	if (replies->used == 0 || !is_own(run_at(replies, 0)->kind))
		return false;
	*kind = run_at(replies, 0)->kind;
	drop_head(replies);
	return true;
}

bool replies_empty(const struct replies *replies)
{
	return replies->used == 0;
}

void replies_free(struct replies *replies)
{
	free(replies->runs);
	*replies = (struct replies){0};
}
