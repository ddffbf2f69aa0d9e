/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrival: what to sleep on until frames come.
 *
 * DPDK shows no descriptor for a queue of net_af_xdp or net_af_packet, yet each is a socket of ours that
 * poll() finds readable while frames wait in its ring. They are found in our own descriptor table: an AF_XDP
 * socket appears when its queue is set up, AF_PACKET sockets are bound to the port's interface.
 */
#ifndef DATAPLANE_ARRIVAL_H
#define DATAPLANE_ARRIVAL_H

#include <stdint.h>

#define ARRIVAL_SOCKETS_MAX 1024 /* descriptors looked at */

/* The table at one moment: a bit a descriptor that is an AF_XDP socket. */
struct arrival_table {
	uint64_t xdp[ARRIVAL_SOCKETS_MAX / 64];
};

void arrival_look(struct arrival_table *table);
/* The one AF_XDP socket that was made since `before`; -1: none, or several. */
int arrival_xdp(const struct arrival_table *before);
/* The socket of queue `queue` of the AF_PACKET port on this interface (the queues' sockets are made in
 * order); -1: there is none. */
int arrival_packet(unsigned ifindex, unsigned queue);
/* Frames that the kernel dropped before this socket because its rings were full or held no empty buffer;
 * net_af_xdp (22.11) counts them nowhere. 0 where it is no AF_XDP socket. */
uint64_t arrival_overflown(int fd);

#endif
