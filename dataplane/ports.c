/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/ports.h"

#include <errno.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "dataplane/arrival.h"
#include "dataplane/umem.h"

#define MBUF_CACHE 256
#define TAGS_MAX 3 /* a third tag passes, though nobody looks behind it */
#define RSS_KEY_MAX 64
#define TSO_FRAME 16000u /* bytes: eleven segments of 1448 */
#define TSO_MBUFS_A_LCORE 1024u

int ports_add_link(struct ports *ports, const char *name, const char *inside, const char *outside)
{
	const char *const devices[2] = {inside, outside};

	if (ports->count + 2 > PORTS_MAX)
		return -E2BIG;
	for (unsigned side = 0; side < 2; side++) {
		struct port *port = &ports->port[ports->count + side];
		size_t length = strlen(devices[side]);
		if (strlen(name) >= sizeof(port->link) || length == 0 || length >= sizeof(port->device))
			return -EINVAL;
		*port = (struct port){0};
		memcpy(port->link, name, strlen(name) + 1);
		memcpy(port->device, devices[side], length + 1);
	}
	ports->count += 2;
	return 0;
}

bool ports_is_vdev(const char *device)
{
	return strncmp(device, "net_", 4) == 0;
}

void ports_device_name(const char *device, char *name, size_t size)
{
	snprintf(name, size, "%.*s", (int)strcspn(device, ","), device);
}

uint16_t ports_mbuf_room(uint32_t mtu)
{
	uint32_t frame = mtu + RTE_ETHER_HDR_LEN + TAGS_MAX * 4 + RTE_ETHER_CRC_LEN;

	/* Drivers expect room for 2 KB; more is rounded to what a descriptor can say (1 KB steps). */
	if (frame < RTE_MBUF_DEFAULT_DATAROOM)
		frame = RTE_MBUF_DEFAULT_DATAROOM;
	frame = RTE_ALIGN_CEIL(frame, 64);
	if (frame > UINT16_MAX - RTE_PKTMBUF_HEADROOM)
		frame = RTE_ALIGN_FLOOR(UINT16_MAX - RTE_PKTMBUF_HEADROOM, 64);
	return (uint16_t)(frame + RTE_PKTMBUF_HEADROOM);
}

static const char *side_name(unsigned port)
{
	return port % 2 == 0 ? "inside" : "outside";
}

static bool failed(const struct ports *ports, unsigned number, const char *what, int error)
{
	const struct port *port = &ports->port[number];

	rpc_log(RPC_LOG_ERROR, "link %s, %s port \"%s\": %s: %s", port->link, side_name(number), port->device,
	    what, strerror(error < 0 ? -error : error));
	return false;
}

/* RSS by a key of 0x6d5a repeated sends both directions of a flow to the same queue. */
static void set_rss(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info, uint8_t *key)
{
	uint64_t wanted = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
	uint8_t length = info->hash_key_size;

	if ((info->flow_type_rss_offloads & wanted) == 0)
		return;
	for (unsigned i = 0; i < RSS_KEY_MAX; i++)
		key[i] = i % 2 == 0 ? 0x6d : 0x5a;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = wanted & info->flow_type_rss_offloads;
	if (length > 0 && length <= RSS_KEY_MAX) {
		conf->rx_adv_conf.rss_conf.rss_key = key;
		conf->rx_adv_conf.rss_conf.rss_key_len = length;
	}
}

/*
 * Who virtio trusts hands frames over whose checksum is not filled in yet: those we could not forward as they
 * are. There we sum ourselves.
 */
static uint64_t usable_rx(const struct rte_eth_dev_info *info)
{
	bool virtio =
	    strstr(info->driver_name, "virtio") != NULL || strstr(info->driver_name, "vhost") != NULL;

	return virtio ? info->rx_offload_capa & ~RTE_ETH_RX_OFFLOAD_TCP_CKSUM : info->rx_offload_capa;
}

/* net_tap cuts by rte_gso, in software, which knows no IPv6, and holds the Ethernet header against the MTU: a
 * full segment blocks its queue for ever. */
static uint64_t usable_tx(const struct rte_eth_dev_info *info)
{
	bool tap = strcmp(info->driver_name, "net_tap") == 0;

	return tap ? info->tx_offload_capa & ~RTE_ETH_TX_OFFLOAD_TCP_TSO : info->tx_offload_capa;
}

/* A flow's frames may go by any port, so what counts is what all of them offer. */
static void find_common_offloads(struct ports *ports)
{
	uint64_t tx = UINT64_MAX;
	struct rte_eth_dev_info info;

	for (unsigned i = 0; i < ports->count; i++)
		tx &= rte_eth_dev_info_get(ports->port[i].id, &info) == 0 ? usable_tx(&info) : 0;
	ports->tx_checksum = (tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0;
	ports->tx_ip_checksum = (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
	ports->tso_frame = ports->tx_checksum && (tx & RTE_ETH_TX_OFFLOAD_TCP_TSO) != 0 ? TSO_FRAME : 0;
}

/* Frames that a port cuts have mbufs of their own: in one piece, so that no driver's limit of pieces counts,
 * and of a size that one descriptor of any NIC can name. */
static bool take_tso_mbufs(struct ports *ports, const struct ports_config *config)
{
	uint32_t count = RTE_MAX(64u, RTE_MIN(config->mbufs / 32, TSO_MBUFS_A_LCORE * config->lcores));

	if (ports->tso_frame == 0)
		return true;
	if (config->mtu * 2 > TSO_FRAME) { /* not two segments of the link's size would fit */
		ports->tso_frame = 0;
		return true;
	}
	ports->tso_mbufs = rte_pktmbuf_pool_create(
	    "tso_mbufs", count, 0, 0, TSO_FRAME + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	if (ports->tso_mbufs == NULL)
		rpc_log(RPC_LOG_ERROR,
		    "no memory for %u mbufs of %u bytes: %s (a larger -m in dataplane.eal, or fewer mbufs)",
		    count, TSO_FRAME, rte_strerror(rte_errno));
	return ports->tso_mbufs != NULL;
}

static void set_offloads(const struct ports *ports, struct port *port, struct rte_eth_conf *conf,
    const struct rte_eth_dev_info *info, uint32_t frame, uint16_t room)
{
	port->rx_checksum = (usable_rx(info) & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) != 0;
	if (port->rx_checksum)
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	if (ports->tx_checksum)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	if (ports->tso_frame > 0)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
	if (ports->tso_frame > 0 && ports->tx_ip_checksum)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	if (frame > (uint32_t)(room - RTE_PKTMBUF_HEADROOM))
		conf->rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	/* Every frame that we send is from the one pool, unless there is that of TSO, and has no second
	 * owner.
	 */
	if (ports->tso_frame == 0)
		conf->txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if ((conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0)
		conf->txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
}

static bool set_queues(struct ports *ports, unsigned number, const struct ports_config *config,
    const struct rte_eth_dev_info *info, const struct rte_eth_conf *conf)
{
	struct port *port = &ports->port[number];
	uint16_t rx = config->rx_descriptors, tx = config->tx_descriptors;
	struct rte_eth_rxconf rxconf = info->default_rxconf;
	struct rte_eth_txconf txconf = info->default_txconf;
	int socket = rte_eth_dev_socket_id(port->id);
	int error = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);

	rxconf.offloads = conf->rxmode.offloads;
	txconf.offloads = conf->txmode.offloads;
	if (error != 0)
		return failed(ports, number, "ring sizes", error);
	for (uint16_t q = 0; q < port->rx_queues; q++) {
		struct arrival_table before;
		arrival_look(&before);
		error = rte_eth_rx_queue_setup(port->id, q, rx, (unsigned)socket, &rxconf, ports->mbufs);
		if (error != 0)
			return failed(ports, number, "rx queue", error);
		port->arrival[q] = arrival_xdp(&before);
		if (port->arrival[q] < 0 && info->if_index > 0)
			port->arrival[q] = arrival_packet(info->if_index, q);
	}
	for (uint16_t q = 0; q < port->tx_queues; q++) {
		error = rte_eth_tx_queue_setup(port->id, q, tx, (unsigned)socket, &txconf);
		if (error != 0)
			return failed(ports, number, "tx queue", error);
	}
	return true;
}

/* What the driver says it can take at most when it is configured. */
static uint16_t claimed_mtu(const struct rte_eth_dev_info *info, uint32_t wanted)
{
	uint32_t overhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
	uint32_t most = info->max_rx_pktlen > overhead ? info->max_rx_pktlen - overhead : RTE_ETHER_MTU;

	if (info->max_mtu > 0 && info->max_mtu < most)
		most = info->max_mtu;
	return (uint16_t)RTE_MAX(RTE_MIN(wanted, most), (uint32_t)info->min_mtu);
}

/*
 * A NIC has the MTU that it says. Kernel-backed vdevs say 1500 whatever the interface and their arguments
 * (framesz, …) carry: there the configured MTU stands, and the interface's own is set by whoever owns it.
 */
static void set_mtu(struct ports *ports, unsigned number, uint16_t claimed, uint16_t wanted)
{
	struct port *port = &ports->port[number];

	port->mtu = wanted;
	if (claimed == wanted) {
		(void)rte_eth_dev_set_mtu(port->id, wanted);
		return;
	}
	if (ports_is_vdev(port->device)) {
		rpc_log(RPC_LOG_NOTICE,
		    "link %s, %s port \"%s\": the driver speaks of an MTU of %u; %u pass where its arguments "
		    "and the "
		    "interface allow",
		    port->link, side_name(number), port->device, claimed, wanted);
		return;
	}
	port->mtu = claimed;
	rpc_log(RPC_LOG_WARNING, "link %s, %s port \"%s\": an MTU of %u is more than it can, it is %u",
	    port->link, side_name(number), port->device, wanted, claimed);
}

static bool start_port(struct ports *ports, unsigned number, const struct ports_config *config)
{
	struct port *port = &ports->port[number];
	uint8_t key[RSS_KEY_MAX];
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {0};
	int error = rte_eth_dev_info_get(port->id, &info);

	if (error != 0)
		return failed(ports, number, "cannot be asked what it is", error);
	port->rx_queues = RTE_MIN(RTE_MIN(config->lcores, PORTS_QUEUES_MAX), info.max_rx_queues);
	port->tx_queues = RTE_MIN(config->lcores, info.max_tx_queues);
	if (port->rx_queues > 1)
		set_rss(&conf, &info, key);
	set_offloads(ports, port, &conf, &info, config->mtu + RTE_ETHER_HDR_LEN + TAGS_MAX * 4,
	    ports_mbuf_room(config->mtu));
	conf.rxmode.mtu = claimed_mtu(&info, config->mtu);
	error = rte_eth_dev_configure(port->id, port->rx_queues, port->tx_queues, &conf);
	if (error != 0)
		return failed(ports, number, "cannot be configured", error);
	set_mtu(ports, number, (uint16_t)conf.rxmode.mtu, (uint16_t)config->mtu);
	if (!set_queues(ports, number, config, &info, &conf))
		return false;
	error = rte_eth_dev_start(port->id);
	if (error != 0)
		return failed(ports, number, "cannot be started", error);
	port->started = true;
	/* A bump in the wire takes frames for anybody. Some vdevs always do, and know no such call. */
	error = rte_eth_promiscuous_enable(port->id);
	if (error != 0 && error != -ENOTSUP)
		return failed(ports, number, "does not become promiscuous", error);
	(void)rte_eth_allmulticast_enable(port->id);
	rpc_log(RPC_LOG_INFO, "link %s: %s port \"%s\" (%s) is up: MTU %u, %u rx and %u tx queues%s%s%s%s",
	    port->link, side_name(number), port->device, info.driver_name, port->mtu, port->rx_queues,
	    port->tx_queues, port->arrival[0] < 0 ? ", polled" : "",
	    port->rx_checksum ? ", checks TCP checksums" : "", ports->tx_checksum ? ", sets them" : "",
	    ports->tso_frame > 0 ? ", cuts segments" : "");
	return true;
}

static bool find_port(struct ports *ports, unsigned number)
{
	struct port *port = &ports->port[number];
	char name[PORTS_DEVICE_MAX];
	int error;

	ports_device_name(port->device, name, sizeof(name));
	error = rte_eth_dev_get_port_by_name(name, &port->id);
	return error == 0 ||
	       failed(ports, number, "there is no such port (is it bound to a DPDK driver?)", error);
}

static bool any_is_af_xdp(const struct ports *ports)
{
	for (unsigned i = 0; i < ports->count; i++)
		if (strncmp(ports->port[i].device, "net_af_xdp", strlen("net_af_xdp")) == 0)
			return true;
	return false;
}

/* Bytes of data in an mbuf: for frames of the MTU, and where af_packet has slots of `framesz`, for a whole
 * slot. */
uint16_t ports_pool_room(const struct ports *ports, uint32_t mtu)
{
	uint32_t room = ports_mbuf_room(mtu);

	for (unsigned i = 0; i < ports->count; i++) {
		const char *slot = strstr(ports->port[i].device, ",framesz=");
		unsigned long size = slot == NULL ? 0 : strtoul(slot + strlen(",framesz="), NULL, 10);
		if (size <= UINT16_MAX - RTE_PKTMBUF_HEADROOM && size + RTE_PKTMBUF_HEADROOM > room)
			room = (uint32_t)size + RTE_PKTMBUF_HEADROOM;
	}
	return any_is_af_xdp(ports) ? umem_room((uint16_t)room) : (uint16_t)room;
}

/* What the kernel cannot put into an mbuf it would drop, frame by frame: better said once. */
static bool frames_fit(const struct ports *ports, uint32_t mtu)
{
	uint32_t most = umem_frame_max(ports->mbufs) - RTE_ETHER_HDR_LEN - TAGS_MAX * 4;

	if (mtu <= most)
		return true;
	rpc_log(RPC_LOG_ERROR,
	    "net_af_xdp carries no frames of an MTU of %u: it is %u at most (dataplane.mtu); net_af_packet "
	    "with "
	    "framesz carries more",
	    mtu, most);
	return false;
}

bool ports_start(struct ports *ports, const struct ports_config *config)
{
	uint16_t room = ports_pool_room(ports, config->mtu);

	ports->mbufs = rte_pktmbuf_pool_create("mbufs", config->mbufs, MBUF_CACHE, 0, room, SOCKET_ID_ANY);
	if (ports->mbufs == NULL) {
		rpc_log(RPC_LOG_ERROR,
		    "no memory for %u mbufs of %u bytes: %s (a larger -m in dataplane.eal, or fewer)",
		    config->mbufs, room, rte_strerror(rte_errno));
		return false;
	}
	if (any_is_af_xdp(ports) && umem_hold_back(ports->mbufs) < 0) {
		rpc_log(RPC_LOG_ERROR, "no memory to look through %u mbufs", config->mbufs);
		return false;
	}
	if (any_is_af_xdp(ports) && !frames_fit(ports, config->mtu))
		return false;
	for (unsigned i = 0; i < ports->count; i++)
		if (!find_port(ports, i))
			return false;
	find_common_offloads(ports);
	if (!take_tso_mbufs(ports, config))
		return false;
	for (unsigned i = 0; i < ports->count; i++)
		if (!start_port(ports, i, config))
			return false;
	return true;
}

void ports_stop(struct ports *ports)
{
	for (unsigned i = 0; i < ports->count; i++) {
		if (!ports->port[i].started)
			continue;
		ports->port[i].started = false;
		(void)rte_eth_dev_stop(ports->port[i].id);
		(void)rte_eth_dev_close(ports->port[i].id);
	}
}
