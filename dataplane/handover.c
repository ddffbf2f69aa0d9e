/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between lcores: who owns a flow, and the rings by which it gets there.
 *
 * The NIC's hash is never asked (its key may differ, it may have none): one Toeplitz hash in software, with
 * the key 0x6d5a repeated, which gives both directions of a flow the same value. Rings have one producer and
 * one consumer each. Inside the process all trust each other: rte_ring is right here, unlike towards the
 * workers.
 */
#include <rte_mbuf.h>
#include <rte_thash.h>
#include <string.h>

#include "dataplane/lcore.h"

static const uint8_t symmetric_key[40] = {0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d,
    0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
    0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a};

unsigned handover_owner(const struct lcore *lcore, const struct frame *f, bool pair)
{
	uint32_t tuple[9];
	uint32_t words = f->family == 4 ? 1 : 4;

	if (lcore->dataplane->lcore_count == 1)
		return 0;
	/* The hash takes words as numbers; reading the bytes as they lie does for our own purpose. */
	memcpy(tuple, f->src, words * 4);
	memcpy(tuple + words, f->dst, words * 4);
	tuple[2 * words] = pair ? 0 : (uint32_t)f->sport << 16 | f->dport;
	return rte_softrss(tuple, 2 * words + 1, symmetric_key) % lcore->dataplane->lcore_count;
}

void handover_put(struct lcore *lcore, unsigned owner, struct rte_mbuf *m, enum handover why, uint8_t port)
{
	m->hash.usr = (uint32_t)why | (uint32_t)port << 8;
	if (rte_ring_sp_enqueue(lcore->dataplane->lcore[owner]->from[lcore->index], m) != 0) {
		lcore->counters.handover_full++;
		rte_pktmbuf_free(m);
		return;
	}
	lcore->counters.handed_over++;
	lcore->woke |= 1u << owner;
}

void handover_flush(struct lcore *lcore)
{
	while (lcore->woke != 0) {
		unsigned owner = (unsigned)__builtin_ctz(lcore->woke);
		lcore->woke &= lcore->woke - 1;
		lcore_wake(lcore->dataplane->lcore[owner]);
	}
}
