/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reassemble: fragments whose addresses an audit_ssh rule concerns, held until their datagram is whole.
 *
 * The fragments themselves are kept (as handles) beside the bytes of the whole, so that a datagram that turns
 * out to be none of our business goes on in the fragments it came in. Bounded in datagrams, fragments a
 * datagram, and time; fragments that overlap end their datagram (RFC 5722: nobody honest sends them, and two
 * readers of one datagram may not see two different ones). No DPDK here: the owner gives and takes handles.
 */
#ifndef DATAPLANE_REASSEMBLE_H
#define DATAPLANE_REASSEMBLE_H

#include "dataplane/frame.h"

#define REASSEMBLE_DATAGRAMS 128
#define REASSEMBLE_FRAGMENTS 48 /* 65,535 bytes in fragments of the IPv6 minimum MTU, less are refused */
#define REASSEMBLE_WAIT_US 2000000
#define REASSEMBLE_WHOLE_MAX (14 + 4 * FRAME_VLAN_TAGS_MAX + 65535 + 40)

enum reassemble_result {
	REASSEMBLE_HELD,    /* the handle is kept */
	REASSEMBLE_WHOLE,   /* the datagram is complete: its bytes and its handles are in *whole */
	REASSEMBLE_REFUSED, /* overlap, tiny, too many, too long: drop this one; those held before were
	                       released */
};

struct reassemble_whole {
	uint8_t *bytes; /* one frame without any fragment header; valid until the next call */
	uint32_t len;
	void *handles[REASSEMBLE_FRAGMENTS]; /* in the order they arrived; the caller's again */
	unsigned handle_count;
};

struct reassemble_counters {
	uint64_t held, whole, overlapping, tiny, refused, expired;
};

struct reassembler;

/* `release` is called with each handle that is given up. NULL: no memory. */
struct reassembler *reassemble_create(void (*release)(void *context, void *handle), void *context);
void reassemble_destroy(struct reassembler *r);
/* `port`: where the fragment came in; part of the datagram's name. frame->bytes must stay while `handle` is
 * held. */
enum reassemble_result reassemble_add(struct reassembler *r, uint8_t port, const struct frame *frame,
    void *handle, uint64_t now_us, struct reassemble_whole *whole);
/* Releases what has waited too long. */
void reassemble_expire(struct reassembler *r, uint64_t now_us);
const struct reassemble_counters *reassemble_counters(const struct reassembler *r);

#endif
