/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd: very many kernel TCP connections from one process to another; as many as a process may have open
 * files.
 *
 *   crowd origin PORT                     accepts what comes and echoes
 *   crowd client ADDRESS PORT SOURCE      connections from the source address SOURCE
 *
 * The client does what its standard input says, a line each, and answers each with one line, "ok" or "FAIL"
 * first:
 *
 *   open N SECONDS     N more connections, as many as come up in the time; the rest is given up
 *   echo BYTES         so many bytes out and back on each, checked
 *   key COUNT          one byte out and back on some connection, COUNT times, one after the other: latency
 *   close              FIN on each, and the other side's FIN awaited
 *   abandon            RST on each
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 60000
#define PORT_FIRST 2000
#define PORTS 60000
#define CONNECTING_MAX 256 /* at a time: what an origin's accept queue holds */
#define EVENTS 512
#define ECHO_MAX 65536
#define STALLS_S 15 /* nothing moved for so long: it never will */

struct connection {
	int fd;
	uint32_t back; /* bytes echoed of this round */
};

struct crowd {
	struct connection *connection;
	uint32_t count, opened_ever;
	int epoll;
	struct sockaddr_storage server, source;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double since(uint64_t start_ns)
{
	return (double)(now_ns() - start_ns) / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll");
}

/* -- the origin -- */

static void echo(int fd)
{
	uint8_t bytes[ECHO_MAX];
	ssize_t got = read(fd, bytes, sizeof(bytes));

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* What the client has asked back it takes: it never has more than ECHO_MAX under way. */
	if (got <= 0 || write(fd, bytes, (size_t)got) != got)
		close(fd);
}

static void accept_all(int listener, int epoll)
{
	int fd, on = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		watch(epoll, fd, EPOLLIN, (uint64_t)fd);
	}
}

static _Noreturn void origin(uint16_t port)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0), on = 1;
	struct epoll_event events[EVENTS];

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (void *)&address, sizeof(address)) != 0 || listen(listener, 4096) != 0)
		die("listen");
	watch(epoll, listener, EPOLLIN, (uint64_t)listener);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == (uint64_t)listener)
				accept_all(listener, epoll);
			else
				echo((int)events[i].data.u64);
		}
	}
}

/* -- the client -- */

static socklen_t address_len(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static bool read_address(struct sockaddr_storage *address, const char *text, uint16_t port)
{
	struct sockaddr_in *v4 = (void *)address;
	struct sockaddr_in6 *v6 = (void *)address;

	memset(address, 0, sizeof(*address));
	v4->sin_port = htons(port); /* at the same place in both */
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		address->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		address->ss_family = AF_INET6;
	else
		return false;
	return true;
}

/* Begins one more connection; its place in the crowd. */
static void begin(struct crowd *crowd)
{
	uint32_t place = crowd->count++, n = crowd->opened_ever++;
	struct sockaddr_storage from = crowd->source;
	int fd = socket(from.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0)
		die("socket (how many files may be open: ulimit -n)");
	((struct sockaddr_in *)&from)->sin_port = htons((uint16_t)(PORT_FIRST + n % PORTS));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (void *)&from, address_len(&from)) != 0)
		die("bind to a source address");
	if (connect(fd, (void *)&crowd->server, address_len(&crowd->server)) != 0 && errno != EINPROGRESS)
		die("connect");
	crowd->connection[place] = (struct connection){.fd = fd};
	watch(crowd->epoll, fd, EPOLLOUT, place);
}

static bool connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
}

/* Those that did not come up are closed, the others stand closer together. */
static void leave_out_failed(struct crowd *crowd, uint32_t from, const bool *up)
{
	uint32_t kept = from;

	for (uint32_t i = from; i < crowd->count; i++) {
		if (!up[i]) {
			close(crowd->connection[i].fd);
			continue;
		}
		crowd->connection[kept] = crowd->connection[i];
		watch(crowd->epoll, crowd->connection[kept].fd, EPOLLIN, kept);
		kept++;
	}
	crowd->count = kept;
}

static void open_more(struct crowd *crowd, uint32_t more, double seconds)
{
	uint32_t first = crowd->count, pending = 0, begun = 0, failed = 0;
	bool *up = calloc(CONNECTIONS_MAX, sizeof(*up));
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns(), last = start;

	if (up == NULL || first + more > CONNECTIONS_MAX)
		die("too many connections");
	while ((begun < more || pending > 0) && since(start) < seconds) {
		for (; begun < more && pending < CONNECTING_MAX; begun++, pending++)
			begin(crowd);
		int n = epoll_wait(crowd->epoll, events, EVENTS, 100);
		for (int i = 0; i < n; i++) {
			uint32_t place = (uint32_t)events[i].data.u64;
			int fd = crowd->connection[place].fd;
			if (place < first)
				continue;
			pending--;
			up[place] = connected(fd);
			failed += !up[place];
			last = now_ns();
			/* Watched again once the others are there, too. */
			if (epoll_ctl(crowd->epoll, EPOLL_CTL_DEL, fd, NULL) != 0)
				die("epoll");
		}
	}
	leave_out_failed(crowd, first, up);
	free(up);
	printf("ok open %u failed %u unanswered %u seconds %.2f\n", crowd->count - first, failed, pending,
	    (double)(last - start) / 1e9);
}

static uint8_t byte_at(uint32_t place, uint32_t offset)
{
	return (uint8_t)(place * 31 + offset * 7 + (place >> 8));
}

/* Reads what came back; false where it is not what went out. `closed` counts ends of streams. */
static bool take_back(struct crowd *crowd, uint32_t place, uint32_t *closed)
{
	struct connection *c = &crowd->connection[place];
	uint8_t bytes[ECHO_MAX];
	ssize_t got = read(c->fd, bytes, sizeof(bytes));

	if (got < 0)
		return errno == EAGAIN;
	if (got == 0) {
		++*closed;
		return true;
	}
	for (ssize_t i = 0; i < got; i++)
		if (bytes[i] != byte_at(place, c->back++))
			return false;
	return true;
}

static void echo_all(struct crowd *crowd, uint32_t len)
{
	uint8_t bytes[ECHO_MAX];
	struct epoll_event events[EVENTS];
	uint32_t sent = 0, back = 0, wrong = 0, closed = 0;
	uint64_t start = now_ns(), moved = start;

	while (back + wrong + closed < crowd->count && since(moved) < STALLS_S) {
		for (; sent < crowd->count && sent < back + CONNECTING_MAX; sent++) {
			for (uint32_t i = 0; i < len; i++)
				bytes[i] = byte_at(sent, i);
			crowd->connection[sent].back = 0;
			wrong += write(crowd->connection[sent].fd, bytes, len) != (ssize_t)len;
		}
		int n = epoll_wait(crowd->epoll, events, EVENTS, 100);
		for (int i = 0; i < n; i++) {
			uint32_t place = (uint32_t)events[i].data.u64;
			moved = now_ns();
			if (!take_back(crowd, place, &closed))
				wrong++;
			else
				back += crowd->connection[place].back == len;
		}
	}
	printf("%s echo %u of %u wrong %u closed %u seconds %.2f\n", back == crowd->count ? "ok" : "FAIL",
	    back, crowd->count, wrong, closed, since(start));
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void keys(struct crowd *crowd, uint32_t count)
{
	double *us = calloc(count, sizeof(*us));
	uint64_t random = 88172645463325252u;

	if (us == NULL || count == 0 || crowd->count == 0) {
		printf("FAIL key: nothing to type on\n");
		free(us);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct epoll_event event = {0};
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		uint32_t place = (uint32_t)(random >> 20) % crowd->count;
		int fd = crowd->connection[place].fd;
		uint8_t key = (uint8_t)random, back;
		/* As a typist does: the box, the worker and the ends have gone to sleep meanwhile. */
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		uint64_t start = now_ns();
		if (write(fd, &key, 1) != 1 || epoll_wait(crowd->epoll, &event, 1, STALLS_S * 1000) != 1 ||
		    event.data.u64 != place || read(fd, &back, 1) != 1 || back != key) {
			printf("FAIL key %u of %u\n", i, count);
			free(us);
			return;
		}
		us[i] = (double)(now_ns() - start) / 1e3;
	}
	qsort(us, count, sizeof(*us), by_size);
	printf("ok key p50 %.0f p99 %.0f max %.0f us\n", us[count / 2], us[count * 99 / 100], us[count - 1]);
	free(us);
}

static void close_all(struct crowd *crowd)
{
	struct epoll_event events[EVENTS];
	uint32_t closed = 0, broken = 0, said = 0;
	uint64_t start = now_ns(), moved = start;

	while (closed + broken < crowd->count && since(moved) < STALLS_S) {
		for (; said < crowd->count && said < closed + broken + CONNECTING_MAX; said++)
			shutdown(crowd->connection[said].fd, SHUT_WR);
		int n = epoll_wait(crowd->epoll, events, EVENTS, 100);
		for (int i = 0; i < n; i++) {
			struct connection *c = &crowd->connection[events[i].data.u64];
			uint8_t byte;
			ssize_t got = read(c->fd, &byte, 1);
			moved = now_ns();
			closed += got == 0;
			broken += got != 0;
			close(c->fd);
			c->fd = -1;
		}
	}
	for (uint32_t i = 0; i < crowd->count; i++)
		if (crowd->connection[i].fd >= 0)
			close(crowd->connection[i].fd);
	printf("%s close %u of %u broken %u seconds %.2f\n", closed == crowd->count ? "ok" : "FAIL", closed,
	    crowd->count, broken, since(start));
	crowd->count = 0;
}

static void abandon_all(struct crowd *crowd)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	for (uint32_t i = 0; i < crowd->count; i++) {
		setsockopt(crowd->connection[i].fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(crowd->connection[i].fd);
	}
	printf("ok abandon %u\n", crowd->count);
	crowd->count = 0;
}

static int client(const char *address, const char *port, const char *source)
{
	struct crowd crowd = {.epoll = epoll_create1(0)};
	char line[128];
	uint32_t number;
	double seconds;

	crowd.connection = calloc(CONNECTIONS_MAX, sizeof(*crowd.connection));
	if (crowd.connection == NULL || !read_address(&crowd.server, address, (uint16_t)atoi(port)) ||
	    !read_address(&crowd.source, source, 0))
		die("addresses");
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "open %u %lf", &number, &seconds) == 2)
			open_more(&crowd, number, seconds);
		else if (sscanf(line, "echo %u", &number) == 1 && number > 0 && number <= ECHO_MAX)
			echo_all(&crowd, number);
		else if (sscanf(line, "key %u", &number) == 1)
			keys(&crowd, number);
		else if (strcmp(line, "close\n") == 0)
			close_all(&crowd);
		else if (strcmp(line, "abandon\n") == 0)
			abandon_all(&crowd);
		else
			printf("FAIL what is '%.*s'?\n", (int)strcspn(line, "\n"), line);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "origin") == 0)
		origin((uint16_t)atoi(argv[2]));
	if (argc == 5 && strcmp(argv[1], "client") == 0)
		return client(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: crowd origin PORT | crowd client ADDRESS PORT SOURCE\n");
	return 2;
}
