/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/umem.h"

#include <errno.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdlib.h>

#define XDP_HEADROOM 256u /* that the kernel keeps free before a frame */
#define PAGE 4096u        /* the smallest that a pool is laid out on, and the largest that the kernel takes */

static uint32_t object_size(uint32_t room)
{
	return rte_mempool_calc_obj_size((uint32_t)sizeof(struct rte_mbuf) + room, 0, NULL);
}

uint16_t umem_room(uint16_t room)
{
	uint32_t most = room;

	/* In cache lines; the pool may add one to spread objects over the memory's channels. */
	while (object_size(most + RTE_CACHE_LINE_SIZE) <= PAGE)
		most += RTE_CACHE_LINE_SIZE;
	return (uint16_t)most;
}

static bool registered(const struct rte_mempool *pool, const void *object)
{
	const struct rte_mempool_memhdr *first = STAILQ_FIRST(&pool->mem_list);
	uint64_t size = rte_mempool_calc_obj_size(pool->elt_size, pool->flags, NULL);
	uintptr_t start = (uintptr_t)first->addr, at = (uintptr_t)object - pool->header_size;

	return at >= start && at + size <= start + pool->populated_size * size;
}

uint32_t umem_frame_max(const struct rte_mempool *pool)
{
	uint32_t size = rte_mempool_calc_obj_size(pool->elt_size, pool->flags, NULL);

	if (size > PAGE)
		size = PAGE;
	return size - pool->header_size - (uint32_t)sizeof(struct rte_mbuf) - RTE_PKTMBUF_HEADROOM -
	       XDP_HEADROOM;
}

int umem_hold_back(struct rte_mempool *pool)
{
	void **good = calloc(pool->populated_size, sizeof(*good)), *object;
	unsigned count = 0;
	int held = 0;

	if (good == NULL)
		return -ENOMEM;
	while (count < pool->populated_size && rte_mempool_get(pool, &object) == 0) {
		if (registered(pool, object))
			good[count++] = object;
		else
			held++;
	}
	for (unsigned i = 0; i < count; i++)
		rte_mempool_put(pool, good[i]);
	free(good);
	return held;
}
