/* SPDX-License-Identifier: Apache-2.0 */
/* prohibit: the ICMP answer to a frame that a rule blocks with `icmp`. Pure functions over buffers. */
#ifndef DATAPLANE_PROHIBIT_H
#define DATAPLANE_PROHIBIT_H

#include "dataplane/frame.h"

/* The longest answer: an IPv6 one fills the minimum MTU (RFC 4443 2.4 c). */
#define PROHIBIT_MAX (14 + 4 * FRAME_VLAN_TAGS_MAX + 1280)

/*
 * Writes "administratively prohibited" (RFC 1812 5.2.7.1 code 13; RFC 4443 3.1 code 1), as the frame's
 * destination would answer it (the box has no address of its own), with MACs turned round and the same tags.
 * Returns its length, or 0 where nobody may be answered (RFC 1812 4.3.2.7, RFC 4443 2.4 e): ICMP errors,
 * later fragments, group or unspecified addresses.
 */
uint32_t prohibit_answer(uint8_t out[PROHIBIT_MAX], const struct frame *frame);

#endif
