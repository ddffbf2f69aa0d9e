/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/arrival.h"

#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <string.h>
#include <sys/socket.h>

/* -1 where `fd` is no socket. */
static int domain_of(int fd)
{
	int domain;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 ? domain : -1;
}

void arrival_look(struct arrival_table *table)
{
	memset(table, 0, sizeof(*table));
	for (int fd = 0; fd < ARRIVAL_SOCKETS_MAX; fd++)
		if (domain_of(fd) == AF_XDP)
			table->xdp[fd / 64] |= 1ull << (fd % 64);
}

int arrival_xdp(const struct arrival_table *before)
{
	struct arrival_table now;
	int found = -1;

	arrival_look(&now);
	for (int fd = 0; fd < ARRIVAL_SOCKETS_MAX; fd++) {
		if (((now.xdp[fd / 64] & ~before->xdp[fd / 64]) >> (fd % 64) & 1) == 0)
			continue;
		if (found >= 0)
			return -1;
		found = fd;
	}
	return found;
}

int arrival_packet(unsigned ifindex, unsigned queue)
{
	for (int fd = 0; fd < ARRIVAL_SOCKETS_MAX; fd++) {
		struct sockaddr_ll at = {0};
		socklen_t len = sizeof(at);
		if (domain_of(fd) != AF_PACKET || getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
		    (unsigned)at.sll_ifindex != ifindex || at.sll_protocol == 0)
			continue;
		if (queue-- == 0)
			return fd;
	}
	return -1;
}

uint64_t arrival_overflown(int fd)
{
	struct xdp_statistics stats = {0};
	socklen_t len = sizeof(stats);

	/* Kernels before 5.9 answer with the first half only: the rest stays 0. */
	if (fd < 0 || domain_of(fd) != AF_XDP || getsockopt(fd, SOL_XDP, XDP_STATISTICS, &stats, &len) != 0)
		return 0;
	return stats.rx_ring_full + stats.rx_fill_ring_empty_descs;
}
