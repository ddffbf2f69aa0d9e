/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports: the links' Ethernet ports, found by PCI address or vdev string, configured and started.
 *
 * A link is a pair: port 2·link is its inside, 2·link + 1 its outside, so that the way on is `port ^ 1`.
 */
#ifndef DATAPLANE_PORTS_H
#define DATAPLANE_PORTS_H

#include <rte_ethdev.h>
#include <stdbool.h>
#include <stdint.h>

#define PORTS_LINKS_MAX 16
#define PORTS_MAX (2 * PORTS_LINKS_MAX)
#define PORTS_NAME_MAX 64
#define PORTS_DEVICE_MAX 256
#define PORTS_QUEUES_MAX 32

struct port {
	char link[PORTS_NAME_MAX];
	char device[PORTS_DEVICE_MAX]; /* as configured: a PCI address, or "net_…,arguments" */
	uint16_t id;                   /* rte_ethdev's number */
	uint16_t rx_queues, tx_queues; /* <= lcores; lcore i polls queue i */
	uint16_t mtu;
	bool rx_checksum; /* it says of each frame whether the TCP checksum is right */
	bool started;
	int arrival[PORTS_QUEUES_MAX]; /* readable while frames wait in that rx queue; -1: there is no such */
};

struct ports_config {
	uint16_t lcores;
	uint32_t mtu, mbufs;
	uint16_t rx_descriptors, tx_descriptors;
};

struct ports {
	struct port port[PORTS_MAX];
	unsigned count;
	struct rte_mempool *mbufs;
	/* What all of them do for frames that are made here. */
	bool tx_checksum, tx_ip_checksum;
	uint16_t tso_frame; /* bytes of a frame that they cut into segments; 0: not all of them do */
	struct rte_mempool *tso_mbufs;
};

/* Adds a link. 0; -E2BIG: too many; -EINVAL: a string that is too long or empty. */
int ports_add_link(struct ports *ports, const char *name, const char *inside, const char *outside);
/* True for a vdev string ("net_…"), false for a PCI address. */
bool ports_is_vdev(const char *device);
/* The device's name for rte_eth_dev_get_port_by_name: what stands before the first comma. */
void ports_device_name(const char *device, char *name, size_t size);
/* Bytes an mbuf must hold for frames of this MTU, headroom included. */
uint16_t ports_mbuf_room(uint32_t mtu);
/* The same for all ports of the pool: af_packet wants room for a whole slot of its ring (`framesz=`). */
uint16_t ports_pool_room(const struct ports *ports, uint32_t mtu);
/* After rte_eal_init: takes the mbufs, configures and starts every port. False: it has said why in the log.
 */
bool ports_start(struct ports *ports, const struct ports_config *config);
/* Stops and closes: kernel-backed drivers take their programs and sockets off the interface. */
void ports_stop(struct ports *ports);

#endif
