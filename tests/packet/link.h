/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link: a bad wire between two boxes. It loses, reorders, duplicates, delays, damages and cuts frames,
 * carries so many bytes a second, has a queue that overflows, and may carry less than the boxes believe
 * (MTU).
 */
#ifndef TESTS_PACKET_LINK_H
#define TESTS_PACKET_LINK_H

#include "tests/packet/box.h"
#include "tests/packet/seeded.h"

/* What happens to one frame, by its number. */
enum link_action { LINK_LOSE, LINK_DUPLICATE, LINK_OVERTAKEN, LINK_LATE, LINK_CUT };

struct transit;

struct link {
	/* set by the test */
	struct seeded *random;
	struct box *box[2];                              /* 0 is the client's: it sends by its outside */
	unsigned loss, reorder, duplicate, corrupt, cut; /* in 1/1000 */
	uint64_t delay_us, jitter_us;
	uint32_t rate, queue; /* bytes a millisecond; bytes. 0: no limit */
	uint32_t mtu;         /* bytes of IP datagram … */
	uint64_t mtu_from;    /* … from this frame on */
	bool black_hole;      /* and nobody says so */
	struct {
		uint64_t frame; /* number, from 1 */
		enum link_action what;
	} act[2];
	bool trace;

	/* its own */
	uint64_t frames;
	uint64_t free_us[2]; /* towards box 0 and 1 */
	struct transit *head, *tail;
};

/* A frame of box `!to`; takes it over. */
void link_send(struct link *link, unsigned to, struct box_frame *frame, uint64_t now_us);
/* Gives the boxes what has arrived. Returns when the next frame does, or UINT64_MAX. */
uint64_t link_deliver(struct link *link, uint64_t now_us);
void link_close(struct link *link);

#endif
