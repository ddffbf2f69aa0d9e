/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impair: a wire that is worse than it should be, for kernels without netem.
 *
 *   impair IFACE_A IFACE_B [loss=1%,reorder=3%,dup=1%,corrupt=0.1%,delay=5ms,seed=N]
 *
 * Relays Ethernet frames between two interfaces through packet sockets. Each frame draws, from a generator a
 * direction (the same seed gives the same draws), whether it is lost, doubled, damaged (one bit flipped in
 * an IP packet, which every checksum finds; ARP has none and is spared), or held back behind later ones;
 * `delay` is added to every frame. Frames wait in one list a direction, in order of their due time.
 * VLAN tags that the kernel took out of the frame are put back. It says "relays" once it does. SIGTERM ends
 * it and prints what was done: "overflowed" frames found no room here, "missed" ones were gone before they
 * were read. Both are losses that nobody asked for: the relay was too slow for what was sent.
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 16384
#define BURST 64                     /* frames a system call */
#define QUEUE_MAX 32768              /* frames waiting in a direction; more are lost, as in any queue: */
#define QUEUE_BYTES_MAX (256u << 20) /* 10 Gbit/s for 100 ms, twice */
#define REORDER_NS 3000000u /* how long a frame that is to be overtaken is held, on top of the delay */
#define PER_CENT 10000u     /* odds are counted in a million: 1 % of it */

struct settings {
	uint32_t loss, reorder, dup, corrupt; /* of 1,000,000 */
	uint64_t delay_ns;
	uint64_t seed;
};

struct waiting {
	struct waiting *next, *before;
	uint64_t due_ns;
	size_t len;
	uint8_t bytes[];
};

struct direction {
	int from, to; /* packet sockets */
	uint64_t random;
	struct waiting *first, *last;
	size_t queued, queued_bytes;
	uint64_t relayed, lost, doubled, damaged, held, overflowed;
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
			else if (strcmp(word, "corrupt") == 0)
				ok = parse_odds(value, &settings->corrupt);
			else if (strcmp(word, "delay") == 0)
				ok = parse_delay(value, &settings->delay_ns);
			else if (strcmp(word, "seed") == 0)
				ok = (settings->seed = strtoull(value, NULL, 10)) != 0;
			else
				ok = false;
		}
		if (!ok) {
			fprintf(stderr,
			    "impair: cannot read '%s' (expected loss=N%%, reorder=N%%, dup=N%%, corrupt=N%%, "
			    "delay=Nms or seed=N)\n",
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
	int on = 1, buffer = 64 << 20;
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
	bool room = way->queued < QUEUE_MAX && way->queued_bytes + len <= QUEUE_BYTES_MAX;
	struct waiting *frame = room ? malloc(sizeof(*frame) + len) : NULL;
	if (frame == NULL) {
		way->overflowed++;
		return;
	}
	frame->due_ns = due_ns;
	frame->len = len;
	memcpy(frame->bytes, bytes, len);
	/* From the end: all but those that were held back come in the order in which they go. */
	struct waiting *after = way->last;
	while (after != NULL && after->due_ns > due_ns)
		after = after->before;
	frame->before = after;
	frame->next = after == NULL ? way->first : after->next;
	*(after == NULL ? &way->first : &after->next) = frame;
	*(frame->next == NULL ? &way->last : &frame->next->before) = frame;
	way->queued++;
	way->queued_bytes += len;
}

static void send_frames(struct direction *way, struct mmsghdr *messages, unsigned count)
{
	unsigned sent = 0;
	while (sent < count) {
		int n = sendmmsg(way->to, messages + sent, count - sent, 0);
		if (n > 0) {
			sent += (unsigned)n;
			way->relayed += (unsigned)n;
		} else if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR) {
			struct pollfd room = {.fd = way->to, .events = POLLOUT};
			poll(&room, 1, 1);
		} else { /* longer than the interface takes */
			sent++;
			way->overflowed++;
		}
	}
}

/* One bit of an IP packet. */
static bool damage(struct direction *way, uint8_t *bytes, size_t len)
{
	size_t at = 12;
	while (at + 4 < len &&
	       ((bytes[at] == 0x81 && bytes[at + 1] == 0) || (bytes[at] == 0x88 && bytes[at + 1] == 0xa8)))
		at += 4;
	bool ip = at + 2 < len &&
	          ((bytes[at] == 0x08 && bytes[at + 1] == 0) || (bytes[at] == 0x86 && bytes[at + 1] == 0xdd));
	if (!ip)
		return false;
	at += 2;
	uint64_t bit = draw(&way->random) % ((len - at) * 8);
	bytes[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
	return true;
}

/* Decides about one frame; false where it does not go on at once. */
static bool take_frame(
    struct direction *way, const struct settings *settings, uint64_t now, uint8_t *bytes, size_t len)
{
	uint64_t due = settings->delay_ns;
	if (drawn(&way->random, settings->loss)) {
		way->lost++;
		return false;
	}
	if (drawn(&way->random, settings->reorder)) {
		way->held++;
		due += REORDER_NS;
	}
	bool twice = drawn(&way->random, settings->dup);
	if (drawn(&way->random, settings->corrupt) && damage(way, bytes, len))
		way->damaged++;
	way->doubled += twice;
	if (due == 0 && !twice)
		return true;
	for (int i = 0; i < 1 + twice; i++)
		enqueue(way, bytes, len, now + due);
	return false;
}

/* Puts the tag that the kernel took out back into the frame. Returns where the frame begins; *len grows. */
static uint8_t *put_tag_back(struct msghdr *message, uint8_t *bytes, size_t *len)
{
	uint8_t tag[4];
	size_t tag_len = stripped_tag(message, tag);
	if (tag_len != 0) {
		memmove(bytes - tag_len, bytes, 12);
		memcpy(bytes - tag_len + 12, tag, tag_len);
		*len += tag_len;
	}
	return bytes - tag_len;
}

static void receive_frames(struct direction *way, const struct settings *settings)
{
	static uint8_t buffers[BURST][FRAME_MAX + 4];
	static uint8_t control[BURST][CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct mmsghdr in[BURST], out[BURST];
	struct iovec into[BURST], from[BURST];
	unsigned now_out = 0;
	for (int i = 0; i < BURST; i++) {
		into[i] = (struct iovec){.iov_base = buffers[i] + 4, .iov_len = FRAME_MAX};
		in[i].msg_hdr = (struct msghdr){.msg_iov = &into[i],
		    .msg_iovlen = 1,
		    .msg_control = control[i],
		    .msg_controllen = sizeof(control[i])};
	}
	int count = recvmmsg(way->from, in, BURST, MSG_DONTWAIT, NULL);
	uint64_t now = now_ns();
	for (int i = 0; i < count; i++) {
		size_t len = in[i].msg_len;
		if (len < 14)
			continue;
		uint8_t *bytes = put_tag_back(&in[i].msg_hdr, buffers[i] + 4, &len);
		if (!take_frame(way, settings, now, bytes, len))
			continue;
		from[now_out] = (struct iovec){.iov_base = bytes, .iov_len = len};
		out[now_out].msg_hdr = (struct msghdr){.msg_iov = &from[now_out], .msg_iovlen = 1};
		now_out++;
	}
	send_frames(way, out, now_out);
}

/* Sends what is due; returns nanoseconds to the next one, or -1. */
static int64_t send_due(struct direction *way)
{
	uint64_t now = now_ns();
	while (way->first != NULL && way->first->due_ns <= now) {
		struct mmsghdr out[BURST];
		struct iovec from[BURST];
		struct waiting *end = way->first;
		unsigned count = 0;
		for (; count < BURST && end != NULL && end->due_ns <= now; end = end->next, count++) {
			from[count] = (struct iovec){.iov_base = end->bytes, .iov_len = end->len};
			out[count].msg_hdr = (struct msghdr){.msg_iov = &from[count], .msg_iovlen = 1};
		}
		send_frames(way, out, count);
		while (way->first != end) {
			struct waiting *frame = way->first;
			way->first = frame->next;
			way->queued--;
			way->queued_bytes -= frame->len;
			free(frame);
		}
		*(way->first == NULL ? &way->last : &way->first->before) = NULL;
	}
	return way->first == NULL ? -1 : (int64_t)(way->first->due_ns - now);
}

static void relay(struct direction ways[2], const struct settings *settings)
{
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
				receive_frames(&ways[i], settings);
	}
}

static void report(const struct direction *way, const char *from, const char *to)
{
	struct tpacket_stats kernel = {0};
	socklen_t len = sizeof(kernel);
	(void)getsockopt(way->from, SOL_PACKET, PACKET_STATISTICS, &kernel, &len);
	printf("impair: %s to %s: relayed %llu, lost %llu, doubled %llu, damaged %llu, held back %llu, "
	       "overflowed %llu, missed %u\n",
	    from, to, (unsigned long long)way->relayed, (unsigned long long)way->lost,
	    (unsigned long long)way->doubled, (unsigned long long)way->damaged, (unsigned long long)way->held,
	    (unsigned long long)way->overflowed, kernel.tp_drops);
}

int main(int argc, char **argv)
{
	struct settings settings = {.seed = 1};
	if (argc < 3 || argc > 4 || (argc == 4 && !parse_settings(argv[3], &settings))) {
		fprintf(stderr, "usage: impair IFACE_A IFACE_B "
		                "[loss=1%%,reorder=3%%,dup=1%%,corrupt=0.1%%,delay=5ms,seed=N]\n");
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

	struct direction ways[2] = {
	    {.from = a, .to = b, .random = settings.seed}, {.from = b, .to = a, .random = ~settings.seed}};
	/* Delays are kept to microseconds, not to the kernel's usual 50. */
	prctl(PR_SET_TIMERSLACK, 1000);
	printf("impair: relays between %s and %s\n", argv[1], argv[2]);
	fflush(stdout);
	relay(ways, &settings);
	for (int i = 0; i < 2; i++)
		report(&ways[i], argv[1 + i], argv[2 - i]);
	return 0;
}
