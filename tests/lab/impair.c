/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impair: a wire that is worse than it should be, for kernels without netem.
 *
 *   impair IFACE_A IFACE_B [loss=1%,reorder=3%,dup=1%,delay=5ms,seed=N]
 *
 * Relays Ethernet frames between two interfaces through packet sockets. Each frame draws, from a seeded
 * generator (the same seed gives the same draws), whether it is lost, doubled, or held back behind later
 * ones; `delay` is added to every frame. Frames wait in one list a direction, in order of their due time.
 * VLAN tags that the kernel took out of the frame are put back. SIGTERM ends it and prints what was done.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 16384
#define QUEUE_MAX 4096      /* frames waiting in a direction; more are lost, as in any queue */
#define REORDER_NS 3000000u /* how long a frame that is to be overtaken is held, on top of the delay */
#define PER_CENT 10000u     /* odds are counted in a million: 1 % of it */

struct settings {
	uint32_t loss, reorder, dup; /* of 1,000,000 */
	uint64_t delay_ns;
	uint64_t seed;
};

struct waiting {
	struct waiting *next;
	uint64_t due_ns;
	size_t len;
	uint8_t bytes[];
};

struct direction {
	int from, to; /* packet sockets */
	struct waiting *first;
	unsigned queued;
	uint64_t relayed, lost, doubled, held, overflowed;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* xorshift64*: good enough to draw lots, and the same everywhere. */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

static bool drawn(uint64_t *state, uint32_t odds)
{
	return draw(state) >> 32 < (uint64_t)odds * 4294967296u / 1000000u;
}

static bool parse_odds(const char *text, uint32_t *odds)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || (strcmp(end, "%") != 0 && *end != '\0') || value < 0 || value > 100)
		return false;
	*odds = (uint32_t)(value * PER_CENT);
	return true;
}

static bool parse_delay(const char *text, uint64_t *delay_ns)
{
	char *end;
	double value = strtod(text, &end);
	double unit = strcmp(end, "us") == 0   ? 1e3
	              : strcmp(end, "ms") == 0 ? 1e6
	              : strcmp(end, "s") == 0  ? 1e9
	                                       : 0;
	if (end == text || unit == 0 || value < 0 || value * unit > 60e9)
		return false;
	*delay_ns = (uint64_t)(value * unit);
	return true;
}

static bool parse_settings(char *text, struct settings *settings)
{
	char *rest = NULL;
	for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(word, '=');
		bool ok = value != NULL;
		if (ok) {
			*value++ = '\0';
			if (strcmp(word, "loss") == 0)
				ok = parse_odds(value, &settings->loss);
			else if (strcmp(word, "reorder") == 0)
				ok = parse_odds(value, &settings->reorder);
			else if (strcmp(word, "dup") == 0)
				ok = parse_odds(value, &settings->dup);
			else if (strcmp(word, "delay") == 0)
				ok = parse_delay(value, &settings->delay_ns);
			else if (strcmp(word, "seed") == 0)
				ok = (settings->seed = strtoull(value, NULL, 10)) != 0;
			else
				ok = false;
		}
		if (!ok) {
			fprintf(stderr,
			    "impair: cannot read '%s' (expected loss=N%%, reorder=N%%, dup=N%%, delay=Nms or "
			    "seed=N)\n",
			    word);
			return false;
		}
	}
	return true;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq promiscuous = {.mr_type = PACKET_MR_PROMISC};
	int on = 1, buffer = 8 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto failed;
	address.sll_ifindex = promiscuous.mr_ifindex = (int)if_nametoindex(name);
	if (address.sll_ifindex == 0)
		goto failed;
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) != 0)
		goto failed;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		goto failed;
	return fd;
failed:
	fprintf(stderr, "impair: interface %s: %s\n", name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The tag that the kernel took out, or 0 tags. Returns bytes to be put in after the addresses. */
static size_t stripped_tag(struct msghdr *message, uint8_t tag[4])
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		struct tpacket_auxdata aux;
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			return 0;
		uint16_t type = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
		tag[0] = (uint8_t)(type >> 8), tag[1] = (uint8_t)type;
		tag[2] = (uint8_t)(aux.tp_vlan_tci >> 8), tag[3] = (uint8_t)aux.tp_vlan_tci;
		return 4;
	}
	return 0;
}

static void enqueue(struct direction *way, const uint8_t *bytes, size_t len, uint64_t due_ns)
{
	struct waiting *frame = way->queued < QUEUE_MAX ? malloc(sizeof(*frame) + len) : NULL;
	if (frame == NULL) {
		way->overflowed++;
		return;
	}
	frame->due_ns = due_ns;
	frame->len = len;
	memcpy(frame->bytes, bytes, len);
	struct waiting **at = &way->first;
	while (*at != NULL && (*at)->due_ns <= due_ns)
		at = &(*at)->next;
	frame->next = *at;
	*at = frame;
	way->queued++;
}

static void send_frame(struct direction *way, const uint8_t *bytes, size_t len)
{
	while (send(way->to, bytes, len, 0) < 0) {
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
			way->overflowed++;
			return;
		}
		struct pollfd room = {.fd = way->to, .events = POLLOUT};
		poll(&room, 1, 1);
	}
	way->relayed++;
}

static void take_frame(struct direction *way, const struct settings *settings, uint64_t *random,
    const uint8_t *bytes, size_t len)
{
	uint64_t due = settings->delay_ns;
	if (drawn(random, settings->loss)) {
		way->lost++;
		return;
	}
	if (drawn(random, settings->reorder)) {
		way->held++;
		due += REORDER_NS;
	}
	unsigned copies = 1;
	if (drawn(random, settings->dup)) {
		way->doubled++;
		copies = 2;
	}
	for (unsigned i = 0; i < copies; i++) {
		if (due == 0)
			send_frame(way, bytes, len);
		else
			enqueue(way, bytes, len, now_ns() + due);
	}
}

static void receive_frames(struct direction *way, const struct settings *settings, uint64_t *random)
{
	static uint8_t buffer[FRAME_MAX + 4];
	for (int burst = 0; burst < 64; burst++) {
		uint8_t control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct iovec into = {.iov_base = buffer + 4, .iov_len = FRAME_MAX};
		struct msghdr message = {.msg_iov = &into,
		    .msg_iovlen = 1,
		    .msg_control = control,
		    .msg_controllen = sizeof(control)};
		ssize_t len = recvmsg(way->from, &message, MSG_DONTWAIT);
		if (len < 12)
			return;
		uint8_t tag[4];
		size_t tag_len = stripped_tag(&message, tag);
		uint8_t *bytes = buffer + 4 - tag_len;
		if (tag_len != 0) {
			memmove(bytes, buffer + 4, 12);
			memcpy(bytes + 12, tag, tag_len);
		}
		take_frame(way, settings, random, bytes, (size_t)len + tag_len);
	}
}

/* Sends what is due; returns nanoseconds to the next one, or -1. */
static int64_t send_due(struct direction *way)
{
	uint64_t now = now_ns();
	while (way->first != NULL) {
		struct waiting *frame = way->first;
		if (frame->due_ns > now)
			return (int64_t)(frame->due_ns - now);
		way->first = frame->next;
		way->queued--;
		send_frame(way, frame->bytes, frame->len);
		free(frame);
	}
	return -1;
}

static void relay(struct direction ways[2], const struct settings *settings)
{
	uint64_t random = settings->seed;
	sigset_t while_waiting;
	sigemptyset(&while_waiting);
	while (!stopping) {
		int64_t next = -1;
		for (int i = 0; i < 2; i++) {
			int64_t due = send_due(&ways[i]);
			if (due >= 0 && (next < 0 || due < next))
				next = due;
		}
		struct timespec wait = {.tv_sec = next / 1000000000, .tv_nsec = next % 1000000000};
		struct pollfd fds[2] = {
		    {.fd = ways[0].from, .events = POLLIN}, {.fd = ways[1].from, .events = POLLIN}};
		if (ppoll(fds, 2, next < 0 ? NULL : &wait, &while_waiting) <= 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (fds[i].revents != 0)
				receive_frames(&ways[i], settings, &random);
	}
}

int main(int argc, char **argv)
{
	struct settings settings = {.seed = 1};
	if (argc < 3 || argc > 4 || (argc == 4 && !parse_settings(argv[3], &settings))) {
		fprintf(stderr,
		    "usage: impair IFACE_A IFACE_B [loss=1%%,reorder=3%%,dup=1%%,delay=5ms,seed=N]\n");
		return 2;
	}
	int a = open_interface(argv[1]), b = open_interface(argv[2]);
	if (a < 0 || b < 0)
		return 1;
	/* Signals arrive only inside ppoll: none is lost between looking at `stopping` and waiting. */
	sigset_t held;
	sigemptyset(&held);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGINT);
	sigprocmask(SIG_BLOCK, &held, NULL);
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);

	struct direction ways[2] = {{.from = a, .to = b}, {.from = b, .to = a}};
	relay(ways, &settings);
	for (int i = 0; i < 2; i++)
		printf("impair: %s to %s: relayed %llu, lost %llu, doubled %llu, held back %llu, overflowed "
		       "%llu\n",
		    argv[1 + i], argv[2 - i], (unsigned long long)ways[i].relayed,
		    (unsigned long long)ways[i].lost, (unsigned long long)ways[i].doubled,
		    (unsigned long long)ways[i].held, (unsigned long long)ways[i].overflowed);
	return 0;
}
