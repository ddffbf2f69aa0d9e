/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/packet/link.h"

#include <stdio.h>
#include <stdlib.h>

enum { OVERTAKEN_US = 1000, LATE_US = 700000, ETHER_MIN = 14 };

struct transit {
	struct transit *next;
	uint64_t due;
	unsigned to;
	struct box_frame *frame;
};

static bool chance(const struct link *link, unsigned per_mille)
{
	return seeded_below(link->random, 1000) < per_mille;
}

static void trace(
    const struct link *link, unsigned to, const struct box_frame *frame, const char *what, uint64_t now_us)
{
	struct frame f;

	if (!link->trace)
		return;
	frame_parse(&f, frame->bytes, frame->len);
	printf("%10.3f ms #%llu to %s: %s port %u flags %02x seq %u+%u ack %u win %u opt %u %s\n",
	    (double)now_us / 1000, (unsigned long long)link->frames, to ? "origin" : "client",
	    frame_kind_name(f.kind), to ? f.sport : f.dport, f.tcp_flags, f.seq, f.payload_len, f.ack,
	    f.tcp_window, f.kind == FRAME_TCP ? f.tcp_header_len - 20u : 0, what);
}

static void put(struct link *link, unsigned to, struct box_frame *frame, uint64_t due)
{
	struct transit *t = malloc(sizeof(*t)), **at = &link->head;

	*t = (struct transit){.due = due, .to = to, .frame = frame};
	if (link->tail != NULL && link->tail->due <= due) {
		link->tail->next = t;
		link->tail = t;
		return;
	}
	while (*at != NULL && (*at)->due <= due)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	if (t->next == NULL)
		link->tail = t;
}

/* When the last byte has left; 0: the queue is full. */
static uint64_t transmit(struct link *link, unsigned to, uint32_t len, uint64_t now_us)
{
	if (link->rate == 0)
		return now_us;
	uint64_t start = link->free_us[to] > now_us ? link->free_us[to] : now_us;
	if ((start - now_us) * link->rate / 1000 > link->queue)
		return 0;
	link->free_us[to] = start + (uint64_t)len * 1000 / link->rate;
	return link->free_us[to];
}

static bool too_big(struct link *link, unsigned to, const struct box_frame *frame, uint64_t now_us)
{
	struct frame f;
	uint8_t icmp[256];

	if (link->mtu == 0 || link->frames < link->mtu_from)
		return false;
	frame_parse(&f, frame->bytes, frame->len);
	if (f.ip_len <= link->mtu)
		return false;
	if (!link->black_hole && f.kind == FRAME_TCP) {
		uint32_t n = box_build_too_big(icmp, frame->bytes, frame->len, link->mtu);
		put(link, !to, box_frame_new(icmp, n), now_us + link->delay_us);
	}
	return true;
}

/* What the frame check sequence would catch (the Ethernet header) is lost, not damaged. */
static const char *damage(struct link *link, struct box_frame *frame)
{
	uint32_t l2 = ETHER_MIN;

	while (l2 + 4 < frame->len && (frame->bytes[l2 - 2] == 0x81 || frame->bytes[l2 - 2] == 0x88) &&
	       (frame->bytes[l2 - 1] == 0x00 || frame->bytes[l2 - 1] == 0xa8))
		l2 += 4;
	if (chance(link, link->corrupt)) {
		frame->bytes[l2 + seeded_below(link->random, frame->len - l2)] ^=
		    (uint8_t)(1 << seeded_below(link->random, 8));
		return "DAMAGED";
	}
	if (chance(link, link->cut)) {
		frame->len = l2 + seeded_below(link->random, frame->len - l2);
		return "CUT";
	}
	return "";
}

static uint64_t act(struct link *link, unsigned to, struct box_frame *frame, uint64_t due, bool *lost)
{
	for (unsigned i = 0; i < 2; i++) {
		if (link->act[i].frame != link->frames)
			continue;
		switch (link->act[i].what) {
		case LINK_LOSE:
			*lost = true;
			break;
		case LINK_DUPLICATE:
			put(link, to, box_frame_new(frame->bytes, frame->len), due);
			break;
		case LINK_OVERTAKEN:
			return due + OVERTAKEN_US;
		case LINK_LATE:
			return due + LATE_US;
		case LINK_CUT:
			frame->len -= frame->len / 3;
			break;
		}
	}
	return due;
}

void link_send(struct link *link, unsigned to, struct box_frame *frame, uint64_t now_us)
{
	bool lost = false;

	link->frames++;
	uint64_t due = transmit(link, to, frame->len, now_us);
	const char *full = due == 0 ? "QUEUE FULL" : too_big(link, to, frame, now_us) ? "TOO BIG" : NULL;
	if (full != NULL || chance(link, link->loss)) {
		trace(link, to, frame, full != NULL ? full : "LOST", now_us);
		free(frame);
		return;
	}
	due = act(link, to, frame, due + link->delay_us, &lost);
	if (lost) {
		trace(link, to, frame, "LOST", now_us);
		free(frame);
		return;
	}
	if (chance(link, link->duplicate))
		put(link, to, box_frame_new(frame->bytes, frame->len), due);
	if (chance(link, link->reorder))
		due += seeded_below(link->random, (uint32_t)link->jitter_us + 1);
	trace(link, to, frame, damage(link, frame), now_us);
	put(link, to, frame, due);
}

uint64_t link_deliver(struct link *link, uint64_t now_us)
{
	while (link->head != NULL && link->head->due <= now_us) {
		struct transit *t = link->head;
		link->head = t->next;
		if (link->head == NULL)
			link->tail = NULL;
		box_give(
		    link->box[t->to], t->to == 1 ? TCP_INSIDE : TCP_OUTSIDE, t->frame->bytes, t->frame->len);
		free(t->frame);
		free(t);
	}
	return link->head != NULL ? link->head->due : UINT64_MAX;
}

void link_close(struct link *link)
{
	for (struct transit *t; (t = link->head) != NULL;) {
		link->head = t->next;
		free(t->frame);
		free(t);
	}
}
