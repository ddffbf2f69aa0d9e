/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IFACE ",iface="

/* RTM_SETLINK with IFLA_XDP { IFLA_XDP_FD = -1 }: no program. */
struct request {
	struct nlmsghdr head;
	struct ifinfomsg link;
	struct rtattr xdp;
	struct rtattr fd;
	int32_t none;
};

bool xdp_interface(const char *device, char *name)
{
	const char *at = strstr(device, IFACE);
	size_t length;

	if (strncmp(device, "net_af_xdp", 10) != 0 || at == NULL)
		return false;
	at += strlen(IFACE);
	length = strcspn(at, ",");
	if (length == 0 || length >= IF_NAMESIZE)
		return false;
	memcpy(name, at, length);
	name[length] = '\0';
	return true;
}

static int answer(int fd)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
	} reply;
	ssize_t got = recv(fd, &reply, sizeof(reply), MSG_TRUNC);

	if (got < 0)
		return -errno;
	if ((size_t)got < sizeof(reply) || reply.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return reply.error.error;
}

int xdp_detach(const char *device)
{
	char name[IF_NAMESIZE];
	struct request ask = {
	    .head = {.nlmsg_len = sizeof(ask),
	        .nlmsg_type = RTM_SETLINK,
	        .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
	    .link = {.ifi_family = AF_UNSPEC},
	    .xdp = {.rta_len = sizeof(ask.xdp) + sizeof(ask.fd) + sizeof(ask.none),
	        .rta_type = IFLA_XDP | NLA_F_NESTED},
	    .fd = {.rta_len = sizeof(ask.fd) + sizeof(ask.none), .rta_type = IFLA_XDP_FD},
	    .none = -1,
	};
	int error = 0;

	if (!xdp_interface(device, name))
		return 0;
	ask.link.ifi_index = (int)if_nametoindex(name);
	if (ask.link.ifi_index == 0)
		return 0;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	if (send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		error = -errno;
	else
		error = answer(fd);
	close(fd);
	return error;
}
