/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/listening.h"

#include <stdlib.h>
#include <string.h>

struct listening_entry {
	struct listening_entry *next;
	bool cancel, path, waits;
	uint32_t asked, port; /* as it was asked for (0: any), and as it is known */
	size_t len;
	uint8_t place[];
};

static bool same(const struct listening_entry *entry, const struct listening_entry *other)
{
	/* A port that the listener chose is cancelled by its number. */
	return entry->path == other->path && entry->len == other->len &&
	       memcmp(entry->place, other->place, entry->len) == 0 &&
	       (entry->path || entry->port == other->port);
}

static void drop(struct listening *listening, struct listening_entry **at)
{
	struct listening_entry *entry = *at;

	*at = entry->next;
	listening->count--;
	free(entry);
}

/* What a cancellation names goes, the oldest of several alike. */
static void cancel(struct listening *listening, const struct listening_entry *what)
{
	for (struct listening_entry **at = &listening->first; *at != NULL; at = &(*at)->next)
		if (!(*at)->cancel && !(*at)->waits && same(*at, what)) {
			drop(listening, at);
			return;
		}
}

bool listening_ask(struct listening *listening, const struct listening_request *request)
{
	struct listening_entry **end = &listening->first;
	struct listening_entry *entry =
	    listening->count >= LISTENING_MAX ? NULL : malloc(sizeof(*entry) + request->place.len);

	if (entry == NULL)
		return false;
	*entry = (struct listening_entry){.cancel = request->cancel,
	    .path = request->path,
	    .waits = request->waits,
	    .asked = request->port,
	    .port = request->port,
	    .len = request->place.len};
	if (entry->len > 0)
		memcpy(entry->place, request->place.at, entry->len);
	if (entry->cancel && !entry->waits) {
		cancel(listening, entry);
		free(entry);
		return true;
	}
	while (*end != NULL)
		end = &(*end)->next;
	*end = entry;
	listening->count++;
	return true;
}

void listening_answer(struct listening *listening, bool success, uint32_t port)
{
	struct listening_entry **at = &listening->first;

	while (*at != NULL && !(*at)->waits)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	struct listening_entry *entry = *at;
	entry->waits = false;
	if (entry->cancel && success)
		cancel(listening, entry);
	if (entry->cancel || !success) {
		/* cancel() may have moved what stands before it. */
		for (at = &listening->first; *at != entry; at = &(*at)->next)
			;
		drop(listening, at);
	} else if (entry->asked == 0 && port != 0) {
		entry->port = port;
	}
}

bool listening_has_port(const struct listening *listening, uint32_t port)
{
	for (const struct listening_entry *at = listening->first; at != NULL; at = at->next)
		if (!at->cancel && !at->path && (at->port == port || at->port == 0 || at->asked == port))
			return true;
	return false;
}

bool listening_has_path(const struct listening *listening, struct wire_span path)
{
	for (const struct listening_entry *at = listening->first; at != NULL; at = at->next)
		if (!at->cancel && at->path && at->len == path.len &&
		    (path.len == 0 || memcmp(at->place, path.at, path.len) == 0))
			return true;
	return false;
}

void listening_free(struct listening *listening)
{
	while (listening->first != NULL)
		drop(listening, &listening->first);
}
