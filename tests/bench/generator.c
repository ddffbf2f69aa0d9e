/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generator: 64-byte frames of many flows out of two ports, and a count of what comes back.
 *
 *   generator EAL-ARGUMENTS… -- FLOWS WARM-UP-SECONDS SECONDS
 *
 * Port 0 sends as the clients do, port 1 as the servers answer: the same flows in both directions, half TCP,
 * half UDP. Frames are laid out once and copied into fresh mbufs. Prints "received N offered N seconds S".
 */
#include <netinet/in.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME 60 /* 64 with the FCS */
#define BURST 32
#define RING 2048
#define MBUFS 16384

struct frame {
	uint8_t bytes[64];
};

struct count {
	uint64_t received, offered;
};

static void lay_out(struct frame *frame, uint32_t flow, bool answer)
{
	struct rte_ether_hdr *ethernet = (void *)frame->bytes;
	struct rte_ipv4_hdr *ip = (void *)(ethernet + 1);
	uint32_t client = RTE_IPV4(10, 0, 0, 0) + flow % 50000,
	         server = RTE_IPV4(172, 16, 0, 0) + flow / 50000;
	rte_be16_t client_port = htons((uint16_t)(1024 + flow % 60000)), server_port = htons(443);
	bool tcp = flow % 2 == 0;

	memset(frame, 0, sizeof(*frame));
	memcpy(ethernet, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
	ethernet->ether_type = htons(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length = htons(FRAME - sizeof(*ethernet));
	ip->time_to_live = 64;
	ip->next_proto_id = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	ip->src_addr = htonl(answer ? server : client);
	ip->dst_addr = htonl(answer ? client : server);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	struct rte_udp_hdr *udp = (void *)(ip + 1);
	udp->src_port = answer ? server_port : client_port;
	udp->dst_port = answer ? client_port : server_port;
	if (tcp) {
		struct rte_tcp_hdr *header = (void *)udp;
		header->data_off = 5 << 4;
		header->tcp_flags = RTE_TCP_ACK_FLAG;
	} else {
		udp->dgram_len = htons(FRAME - sizeof(*ethernet) - sizeof(*ip));
	}
}

static void open_port(uint16_t port, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = {0};

	if (rte_eth_dev_configure(port, 1, 1, &conf) != 0 ||
	    rte_eth_rx_queue_setup(port, 0, RING, SOCKET_ID_ANY, NULL, pool) != 0 ||
	    rte_eth_tx_queue_setup(port, 0, RING, SOCKET_ID_ANY, NULL) != 0 || rte_eth_dev_start(port) != 0)
		rte_exit(EXIT_FAILURE, "port %u does not start\n", port);
}

static void wait_for_links(void)
{
	for (uint16_t port = 0; port < 2; port++) {
		struct rte_eth_link link = {0};
		for (int tries = 0; tries < 200 && !link.link_status; tries++) {
			(void)rte_eth_link_get_nowait(port, &link);
			rte_delay_us_sleep(50000);
		}
		if (!link.link_status)
			rte_exit(EXIT_FAILURE, "port %u: nobody at the other end\n", port);
	}
}

static void send_some(uint16_t port, struct rte_mempool *pool, const struct frame *frames, uint32_t flows,
    uint32_t *next, struct count *count)
{
	struct rte_mbuf *burst[BURST];

	if (rte_pktmbuf_alloc_bulk(pool, burst, BURST) != 0)
		return;
	for (unsigned i = 0; i < BURST; i++) {
		rte_memcpy(rte_pktmbuf_append(burst[i], FRAME), frames[*next].bytes, 64);
		if (++*next == flows)
			*next = 0;
	}
	unsigned sent = rte_eth_tx_burst(port, 0, burst, BURST);
	count->offered += sent;
	rte_pktmbuf_free_bulk(burst + sent, BURST - sent);
	*next = (*next + flows - (BURST - sent)) % flows;
}

static struct count exchange(
    struct rte_mempool *pool, struct frame *frames[2], uint32_t flows, double seconds)
{
	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	struct count count = {0};
	uint32_t next[2] = {0};

	while (rte_rdtsc() < end) {
		for (uint16_t port = 0; port < 2; port++) {
			struct rte_mbuf *burst[BURST];
			unsigned got = rte_eth_rx_burst(port, 0, burst, BURST);
			count.received += got;
			if (got > 0)
				rte_pktmbuf_free_bulk(burst, got);
			send_some(port, pool, frames[port], flows, &next[port], &count);
		}
	}
	return count;
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);

	if (used < 0 || argc - used != 4 || rte_eth_dev_count_avail() != 2)
		rte_exit(
		    EXIT_FAILURE, "usage: generator EAL-ARGUMENTS (two ports) -- FLOWS WARM-UP SECONDS\n");
	uint32_t flows = (uint32_t)atoi(argv[used + 1]);
	double warm_up = atof(argv[used + 2]), seconds = atof(argv[used + 3]);
	struct rte_mempool *pool =
	    rte_pktmbuf_pool_create("pool", MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	struct frame *frames[2] = {calloc(flows, sizeof(struct frame)), calloc(flows, sizeof(struct frame))};
	if (pool == NULL || flows == 0 || frames[0] == NULL || frames[1] == NULL)
		rte_exit(EXIT_FAILURE, "no memory for %u flows\n", flows);
	for (uint32_t i = 0; i < flows; i++) {
		lay_out(&frames[0][i], i, false);
		lay_out(&frames[1][i], i, true);
	}
	open_port(0, pool);
	open_port(1, pool);
	wait_for_links();
	(void)exchange(pool, frames, flows, warm_up);
	struct count count = exchange(pool, frames, flows, seconds);
	printf("received %llu offered %llu seconds %g\n", (unsigned long long)count.received,
	    (unsigned long long)count.offered, seconds);
	fflush(stdout);
	_exit(0);
}
