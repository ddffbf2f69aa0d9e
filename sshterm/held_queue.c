/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/held_queue.h"

#include <stdlib.h>
#include <string.h>

#include "sshterm/record.h"

bool queue_put(struct held_queue *queue, const uint8_t *payload, size_t len, const struct held *like)
{
	struct held *held = malloc(sizeof(*held) + len);

	if (held == NULL)
		return false;
	*held = *like;
	held->next = NULL;
	held->len = (uint32_t)len;
	memcpy(held->payload, payload, len);
	*(queue->first == NULL ? &queue->first : &queue->last->next) = held;
	queue->last = held;
	queue->bytes += len;
	if (held->recording != NULL)
		recording_hold(held->recording);
	return true;
}

void queue_drop(struct held_queue *queue)
{
	struct held *held = queue->first;

	queue->first = held->next;
	queue->bytes -= held->len;
	if (held->recording != NULL)
		recording_unhold(held->recording);
	free(held);
}

void queue_clear(struct held_queue *queue)
{
	while (queue->first != NULL)
		queue_drop(queue);
}
