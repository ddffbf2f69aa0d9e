/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers whose cost does not depend on how many there are. Constant time-outs (delayed ACK, handshake,
 * TIME_WAIT, idle) are FIFO lists: the head is always the next. RTO and persist vary and share a hashed
 * wheel.
 */
#include "dataplane/tcp/flow.h"

void timer_list_init(struct timer *list)
{
	list->next = list->prev = list;
	list->due = NEVER;
}

void timer_unlink(struct timer *node)
{
	if (node->next == NULL)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

void timer_append(struct timer *list, struct timer *node, uint64_t due)
{
	timer_unlink(node);
	node->due = due;
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

struct timer *timer_expired(struct timer *list, uint64_t now_us)
{
	struct timer *first = list->next;

	if (first == list || first->due > now_us)
		return NULL;
	timer_unlink(first);
	return first;
}

uint64_t timer_list_next(const struct timer *list)
{
	return list->next == list ? NEVER : list->next->due;
}

/* -- the wheel: a node lies in the slot of its time, or, when that is more than a turn away, in the slot
 *    just behind `at`, from where it is moved on once a turn -- */

void wheel_init(struct timer_wheel *wheel, uint64_t now_us)
{
	for (uint32_t i = 0; i < WHEEL_SLOTS; i++)
		timer_list_init(&wheel->slot[i]);
	for (uint32_t i = 0; i < WHEEL_SLOTS / 64; i++)
		wheel->occupied[i] = 0;
	wheel->at = now_us / WHEEL_SLOT_US;
}

static void wheel_place(struct timer_wheel *wheel, struct timer *node)
{
	uint64_t tick = node->due / WHEEL_SLOT_US + 1; /* never early */

	if (tick <= wheel->at)
		tick = wheel->at + 1;
	if (tick - wheel->at >= WHEEL_SLOTS)
		tick = wheel->at + WHEEL_SLOTS - 1;
	uint32_t slot = (uint32_t)(tick % WHEEL_SLOTS);
	uint64_t due = node->due;
	timer_append(&wheel->slot[slot], node, due);
	wheel->occupied[slot / 64] |= 1ull << (slot % 64);
}

void wheel_arm(struct timer_wheel *wheel, struct timer *node, uint64_t due)
{
	/* Linked and put off: its slot comes round first and finds it not due yet. */
	if (node->next != NULL && due >= node->due) {
		node->due = due;
		return;
	}
	timer_unlink(node);
	node->due = due;
	wheel_place(wheel, node);
}

/* Empties one slot as far as it is due; what was put off is placed anew. */
static struct timer *slot_expired(struct timer_wheel *wheel, uint32_t slot, uint64_t now_us)
{
	struct timer *list = &wheel->slot[slot];

	while (list->next != list) {
		struct timer *node = list->next;
		timer_unlink(node);
		if (node->due <= now_us)
			return node;
		wheel_place(wheel, node);
	}
	wheel->occupied[slot / 64] &= ~(1ull << (slot % 64));
	return NULL;
}

struct timer *wheel_expired(struct timer_wheel *wheel, uint64_t now_us)
{
	uint64_t now_tick = now_us / WHEEL_SLOT_US;

	/* After a long silence one turn sees every slot. */
	if (now_tick > wheel->at + WHEEL_SLOTS)
		wheel->at = now_tick - WHEEL_SLOTS;
	while (wheel->at < now_tick) {
		uint32_t slot = (uint32_t)((wheel->at + 1) % WHEEL_SLOTS);
		if (wheel->occupied[slot / 64] >> (slot % 64) & 1) {
			/* `at` moves first: nodes placed anew must land behind this slot. */
			wheel->at++;
			struct timer *node = slot_expired(wheel, slot, now_us);
			if (node != NULL) {
				wheel->at--; /* there may be more here */
				return node;
			}
			continue;
		}
		wheel->at++;
	}
	return NULL;
}

uint64_t wheel_next(const struct timer_wheel *wheel)
{
	for (uint64_t tick = wheel->at + 1; tick < wheel->at + 1 + WHEEL_SLOTS;) {
		uint32_t slot = (uint32_t)(tick % WHEEL_SLOTS);
		uint64_t word = wheel->occupied[slot / 64] >> (slot % 64);
		if (word != 0)
			return (tick + (uint64_t)__builtin_ctzll(word)) * WHEEL_SLOT_US;
		tick += 64 - slot % 64;
	}
	return NEVER;
}
