/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports: interfaces that DPDK takes over but the kernel still sees (af_xdp, af_packet vdevs).
 *
 * A box on the wire must be as silent as a cable: the kernel may answer no ARP, send no neighbour or router
 * solicitation and no MLD, and join nothing. So IPv6 is switched off, ARP too, forwarding as well, and an
 * interface that has an address is refused rather than robbed of it. Offloads are switched off because they
 * merge, split or leave unfinished what must go on as it came; VLAN tags stay in the frame.
 */
#include "control/reeved.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MTU_DEFAULT 1500u

/* Goes into the ports' namespace; returns a descriptor of our own to come back by, -1: already there, -2:
 * failed. */
static int enter(const struct reeved *reeved)
{
	char path[SETTINGS_PATH_MAX];

	if (reeved->settings.netns[0] == '\0')
		return -1;
	snprintf(path, sizeof(path), "/run/netns/%s", reeved->settings.netns);
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open(path, O_RDONLY | O_CLOEXEC);
	int result = there < 0 || own < 0 ? -1 : setns(there, CLONE_NEWNET);
	if (result != 0)
		rpc_log(RPC_LOG_ERROR, "dataplane.netns: cannot enter %s: %s", path, strerror(errno));
	if (there >= 0)
		close(there);
	if (result == 0)
		return own;
	if (own >= 0)
		close(own);
	return -2;
}

static void leave(int own)
{
	if (own < 0)
		return;
	if (setns(own, CLONE_NEWNET) != 0)
		rpc_log(RPC_LOG_ERROR, "cannot return to the own network namespace: %s", strerror(errno));
	close(own);
}

/* The first address that is not link-local IPv6 (that one goes with IPv6). False: none. */
static bool has_address(const char *iface, int *family)
{
	struct ifaddrs *all = NULL;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return false;
	for (const struct ifaddrs *at = all; at != NULL && !found; at = at->ifa_next) {
		if (at->ifa_addr == NULL || strcmp(at->ifa_name, iface) != 0)
			continue;
		*family = at->ifa_addr->sa_family;
		if (*family == AF_INET6) {
			struct sockaddr_in6 address;
			memcpy(&address, at->ifa_addr, sizeof(address));
			found = !IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr);
		} else {
			found = *family == AF_INET;
		}
	}
	freeifaddrs(all);
	return found;
}

/* Writes a value below /proc/sys/net, which is that of the namespace we are in. A kernel without it: no harm.
 */
static void set_sysctl(const char *family, const char *iface, const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, iface, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		rpc_log(RPC_LOG_WARNING, "port %s: cannot set %s: %s", iface, path, strerror(errno));
	close(fd);
}

/* Names of the ports, bound in their namespace as long as this process lives. */
static int claims[2 * SETTINGS_LINKS_MAX];
static unsigned claim_count;

/*
 * Keeps another reeved from a port of ours: the XDP program is the interface's, not the process's, so that
 * whoever came second, and went, would take the first one's wire with it. An abstract UNIX socket's name
 * belongs to the network namespace, as the interface does, and is free again when its owner dies, however
 * that happens.
 */
static bool claim(const char *iface)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "portreeve-port-%s", iface);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&name,
	                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0) {
		claims[claim_count++] = fd;
		return true;
	}
	if (errno == EADDRINUSE)
		rpc_log(RPC_LOG_ERROR,
		    "dataplane.links: interface '%s' is a port of another reeved that runs, or stands in two "
		    "links",
		    iface);
	else
		rpc_log(RPC_LOG_ERROR, "dataplane.links: cannot claim interface '%s': %s", iface,
		    strerror(errno));
	if (fd >= 0)
		close(fd);
	return false;
}

static void unclaim(void)
{
	while (claim_count > 0)
		close(claims[--claim_count]);
}

static struct ifreq request_for(const char *iface)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	return request;
}

/* One ethtool flag off. Drivers that do not know it refuse: then there is nothing to turn off. */
static void offload_off(int fd, const char *iface, uint32_t command)
{
	struct ethtool_value value = {.cmd = command, .data = 0};
	struct ifreq request = request_for(iface);

	request.ifr_data = (char *)&value;
	(void)ioctl(fd, SIOCETHTOOL, &request);
}

static void offloads_off(int fd, const char *iface)
{
	static const uint32_t commands[] = {ETHTOOL_SGRO, ETHTOOL_SGSO, ETHTOOL_STSO, ETHTOOL_SUFO,
	    ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM, ETHTOOL_SSG};
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = request_for(iface);

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		offload_off(fd, iface, commands[i]);
	request.ifr_data = (char *)&flags;
	if (ioctl(fd, SIOCETHTOOL, &request) != 0)
		return;
	flags.cmd = ETHTOOL_SFLAGS;
	flags.data &= ~(uint32_t)(ETH_FLAG_LRO | ETH_FLAG_RXVLAN | ETH_FLAG_TXVLAN);
	(void)ioctl(fd, SIOCETHTOOL, &request);
}

static bool raise(int fd, const char *iface)
{
	struct ifreq request = request_for(iface);

	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		return false;
	request.ifr_flags = (short)(request.ifr_flags | IFF_NOARP | IFF_PROMISC | IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static bool prepare(int fd, const char *iface, uint32_t *mtu)
{
	struct ifreq request = request_for(iface);
	int family;

	if (if_nametoindex(iface) == 0) {
		rpc_log(RPC_LOG_ERROR,
		    "dataplane.links: there is no interface '%s' in that network namespace", iface);
		return false;
	}
	if (has_address(iface, &family)) {
		rpc_log(RPC_LOG_ERROR,
		    "dataplane.links: interface '%s' has an IPv%c address: a port of the box has none (ip "
		    "addr flush dev "
		    "%s, if this really is the port that is meant)",
		    iface, family == AF_INET ? '4' : '6', iface);
		return false;
	}
	if (!claim(iface))
		return false;
	set_sysctl("ipv6", iface, "disable_ipv6", "1");
	set_sysctl("ipv4", iface, "forwarding", "0");
	offloads_off(fd, iface);
	if (!raise(fd, iface) || ioctl(fd, SIOCGIFMTU, &request) != 0) {
		rpc_log(RPC_LOG_ERROR, "dataplane.links: cannot set interface '%s' up: %s", iface,
		    strerror(errno));
		return false;
	}
	*mtu = (uint32_t)request.ifr_mtu;
	return true;
}

/* Runs over both ports of each link, in their namespace. */
static bool prepare_all(struct reeved *reeved, uint32_t *smallest)
{
	char iface[IFNAMSIZ];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0;

	for (unsigned i = 0; good && i < 2 * reeved->settings.link_count; i++) {
		const struct settings_link *link = &reeved->settings.links[i / 2];
		uint32_t mtu = MTU_DEFAULT;
		if (!settings_port_iface(i % 2 == 0 ? link->inside : link->outside, iface, sizeof(iface)))
			continue;
		good = prepare(fd, iface, &mtu);
		if (good && reeved->settings.mtu > mtu) {
			rpc_log(RPC_LOG_ERROR,
			    "dataplane.mtu is %u, but interface '%s' carries %u (ip link set %s mtu %u)",
			    reeved->settings.mtu, iface, mtu, iface, reeved->settings.mtu);
			good = false;
		}
		*smallest = mtu < *smallest ? mtu : *smallest;
	}
	if (fd >= 0)
		close(fd);
	return good;
}

bool ports_prepare(struct reeved *reeved)
{
	uint32_t smallest = UINT32_MAX;
	int own = enter(reeved);

	if (own == -2)
		return false;
	bool good = prepare_all(reeved, &smallest);
	leave(own);
	if (!good)
		unclaim();
	if (reeved->settings.mtu != 0)
		reeved->mtu = reeved->settings.mtu;
	else
		reeved->mtu = smallest != UINT32_MAX ? smallest : MTU_DEFAULT;
	return good;
}

/* libbpf speaks to nobody here: a program that is not there is the normal case. */
static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

void ports_release(const struct reeved *reeved)
{
	char iface[IFNAMSIZ];
	int own = enter(reeved);

	if (own == -2)
		return;
	libbpf_set_print(quiet);
	for (unsigned i = 0; i < 2 * reeved->settings.link_count; i++) {
		const struct settings_link *link = &reeved->settings.links[i / 2];
		const char *port = i % 2 == 0 ? link->inside : link->outside;
		if (strncmp(port, "net_af_xdp", strlen("net_af_xdp")) != 0 ||
		    !settings_port_iface(port, iface, sizeof(iface)))
			continue;
		int index = (int)if_nametoindex(iface);
		if (index == 0)
			continue;
		/* Native or generic: it was the driver that chose. */
		(void)bpf_xdp_detach(index, XDP_FLAGS_DRV_MODE, NULL);
		(void)bpf_xdp_detach(index, XDP_FLAGS_SKB_MODE, NULL);
	}
	leave(own);
	unclaim();
}
