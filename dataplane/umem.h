/* SPDX-License-Identifier: Apache-2.0 */
/*
 * umem: what of a mempool net_af_xdp shows to the kernel.
 *
 * The driver (22.11) registers (objects) × (bytes of an object) from the start of the pool's first chunk. But
 * no object lies across a page, so with pages of 4 KB (no huge pages) each has a page of its own, and two
 * fifths of a pool of usual size lie beyond what was registered. The kernel drops descriptors that name them:
 * such a buffer is lost, and when a burst has used enough of them, the port's fill ring is empty for good.
 */
#ifndef DATAPLANE_UMEM_H
#define DATAPLANE_UMEM_H

#include <rte_mempool.h>

/* Bytes of data in an mbuf, at least `room`, so that an object fills its page as far as it can: what is
 * registered then is nearly all of the pool. */
uint16_t umem_room(uint16_t room);
/* Bytes of the longest frame that the kernel can put into an object of the pool; longer ones it drops. */
uint32_t umem_frame_max(const struct rte_mempool *pool);
/* Takes the objects beyond the registered bytes out of the pool for good, before anybody else has any.
 * Returns their number, or -ENOMEM. */
int umem_hold_back(struct rte_mempool *pool);

#endif
