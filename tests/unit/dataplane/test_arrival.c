/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/arrival.h"

static int make(int domain, int protocol)
{
	int fd = socket(domain, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		cr_skip_test("sockets of family %d are not to be had here (root may)", domain);
	return fd;
}

static void bind_to(int fd, unsigned ifindex)
{
	struct sockaddr_ll at = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)ifindex};

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

Test(arrival, xdp_socket_of_one_queue)
{
	struct arrival_table before;
	int earlier = make(AF_XDP, 0), udp, queue, more;

	arrival_look(&before);
	cr_assert_eq(arrival_xdp(&before), -1, "nothing is new, got %d", arrival_xdp(&before));
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	queue = make(AF_XDP, 0);
	cr_assert_eq(arrival_xdp(&before), queue, "expected %d, got %d", queue, arrival_xdp(&before));
	more = make(AF_XDP, 0);
	cr_assert_eq(arrival_xdp(&before), -1, "two are new: which is meant?");
	close(more), close(queue), close(udp), close(earlier);
}

Test(arrival, packet_sockets_in_the_order_of_the_queues)
{
	unsigned lo = if_nametoindex("lo");
	int unbound = make(AF_PACKET, 0), first = make(AF_PACKET, 0), second = make(AF_PACKET, 0);

	bind_to(first, lo);
	bind_to(second, lo);
	cr_assert_eq(arrival_packet(lo, 0), first, "expected %d, got %d", first, arrival_packet(lo, 0));
	cr_assert_eq(arrival_packet(lo, 1), second, "expected %d, got %d", second, arrival_packet(lo, 1));
	cr_assert_eq(arrival_packet(lo, 2), -1);
	cr_assert_eq(arrival_packet(lo + 1000, 0), -1, "another interface's");
	close(second), close(first), close(unbound);
}
