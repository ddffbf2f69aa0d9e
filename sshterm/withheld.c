/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/withheld.h"

#include <stdlib.h>
#include <string.h>

static uint32_t left(const struct withheld_entry *entry)
{
	return entry->len - entry->gone;
}

/* A new entry, empty, at *at. NULL: no memory. */
static struct withheld_entry *insert(
    struct withheld *queue, struct withheld_entry **at, enum withheld_kind kind, uint32_t code)
{
	struct withheld_entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	entry->kind = kind;
	entry->code = code;
	entry->next = *at;
	*at = entry;
	queue->bytes += WITHHELD_COST;
	return entry;
}

static void drop_at(struct withheld *queue, struct withheld_entry **at)
{
	struct withheld_entry *entry = *at;

	*at = entry->next;
	queue->bytes -= left(entry) + WITHHELD_COST;
	free(entry->bytes);
	free(entry);
}

/* Drops `bytes` of the front of *at, and with its last byte the entry. */
static void take_front(struct withheld *queue, struct withheld_entry **at, uint32_t bytes)
{
	if (bytes == left(*at)) {
		drop_at(queue, at);
		return;
	}
	(*at)->gone += bytes;
	queue->bytes -= bytes;
}

static bool append(struct withheld *queue, struct withheld_entry *entry, const uint8_t *bytes, size_t len)
{
	if (len > WITHHELD_MAX || queue->bytes + len > WITHHELD_MAX)
		return false;
	if (entry->gone > 0) {
		memmove(entry->bytes, entry->bytes + entry->gone, left(entry));
		entry->len -= entry->gone;
		entry->gone = 0;
	}
	if (entry->len + len > entry->room) {
		uint32_t room = 2 * (entry->len + (uint32_t)len);
		uint8_t *grown = realloc(entry->bytes, room);

		if (grown == NULL)
			return false;
		entry->bytes = grown;
		entry->room = room;
	}
	memcpy(entry->bytes + entry->len, bytes, len);
	entry->len += (uint32_t)len;
	queue->bytes += len;
	return true;
}

/* Puts bytes before *at, which then is what follows them; behind others of the same kind if they are of
 * `before`. */
static bool put_at(struct withheld *queue, struct withheld_entry *before, struct withheld_entry ***at,
    const struct withheld_entry *like, struct wire_span data)
{
	bool joins = before != NULL && like->kind != WITHHELD_MESSAGE && before->kind == like->kind &&
	             before->code == like->code;
	struct withheld_entry *entry = joins ? before : insert(queue, *at, like->kind, like->code);

	if (entry == NULL)
		return false;
	if (!joins)
		*at = &entry->next;
	return append(queue, entry, data.at, data.len);
}

/* The first undecided entry's place, or the end; *before: what stands before it. */
static struct withheld_entry **find_undecided(struct withheld *queue, struct withheld_entry **before)
{
	struct withheld_entry **at = &queue->first;

	*before = NULL;
	while (*at != NULL && (*at)->kind != WITHHELD_UNDECIDED) {
		*before = *at;
		at = &(*at)->next;
	}
	return at;
}

#define COPIED_MAX 32768u /* at once: until it is taken from where it was, it counts twice */

bool withheld_put(
    struct withheld *queue, enum withheld_kind kind, uint32_t code, const uint8_t *bytes, size_t len)
{
	struct withheld_entry **at = &queue->first, *before = NULL;

	for (; *at != NULL; at = &(*at)->next)
		before = *at;
	return put_at(queue, before, &at, &(struct withheld_entry){.kind = kind, .code = code},
	    (struct wire_span){bytes, len});
}

bool withheld_pass(struct withheld *queue, uint32_t bytes)
{
	while (bytes > 0) {
		struct withheld_entry *before, **at = find_undecided(queue, &before), *entry = *at;
		if (entry == NULL)
			return false;
		uint32_t piece = bytes < left(entry) ? bytes : left(entry);
		if (piece > COPIED_MAX)
			piece = COPIED_MAX;

		if (!put_at(queue, before, &at,
		        &(struct withheld_entry){.kind = WITHHELD_DATA, .code = entry->code},
		        (struct wire_span){entry->bytes + entry->gone, piece}))
			return false;
		take_front(queue, at, piece);
		bytes -= piece;
	}
	return true;
}

bool withheld_replace(struct withheld *queue, uint32_t bytes, struct wire_span instead)
{
	struct withheld_entry *before, **at = find_undecided(queue, &before);

	if (*at == NULL)
		return false;
	if (instead.len > 0 &&
	    !put_at(queue, before, &at, &(struct withheld_entry){.kind = WITHHELD_OWN, .code = (*at)->code},
	        instead))
		return false;
	while (bytes > 0) {
		at = find_undecided(queue, &before);
		if (*at == NULL)
			return false;
		uint32_t piece = bytes < left(*at) ? bytes : left(*at);

		take_front(queue, at, piece);
		bytes -= piece;
	}
	return true;
}

void withheld_took(struct withheld *queue, uint32_t bytes)
{
	take_front(queue, &queue->first, bytes);
}

struct withheld_entry *withheld_take(struct withheld *queue)
{
	struct withheld_entry *entry = queue->first;

	queue->first = entry->next;
	queue->bytes -= left(entry) + WITHHELD_COST;
	return entry;
}

void withheld_drop_data(struct withheld *queue)
{
	struct withheld_entry **at = &queue->first;

	while (*at != NULL) {
		if ((*at)->kind == WITHHELD_MESSAGE)
			at = &(*at)->next;
		else
			drop_at(queue, at);
	}
}

void withheld_clear(struct withheld *queue)
{
	while (queue->first != NULL)
		drop_at(queue, &queue->first);
	queue->ends = false;
}
