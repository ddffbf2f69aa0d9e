/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: checked byte streams over TCP, both directions at once.
 *
 *   stream serve PORT                      answers until it is killed, a process a connection
 *   stream send HOST PORT [up=BYTES] [down=BYTES] [seed=N] [write=BYTES] [count=N] [seconds=N]
 *
 * The sender says in a header how much will come and how much it wants; what both then send is a function
 * of seed, direction and offset, so that every byte is known to the receiver and the first wrong one is
 * named. It shuts its side down after `up` bytes; the server finds the end of the stream exactly there,
 * finishes its own side and says in a trailer what it got, so that the sender's exit status speaks for both.
 * `count` connections run side by side. Sizes take k, m, g. A line tells what was carried, how fast, and what
 * the sender's kernel had to repeat.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536u
#define MAGIC 0x70737472u /* in the byte order of the machine: both ends are on it */
#define CONNECTIONS_MAX 256

struct header {
	uint32_t magic, reserved;
	uint64_t up, down, seed;
};

struct trailer {
	uint32_t magic, whole;
	uint64_t got;
};

struct half {
	uint64_t seed, total, done;
};

struct job {
	const char *host, *port;
	struct header header;
	uint32_t piece; /* bytes a write */
	unsigned count, seconds;
};

/* -- what is sent -- */

static uint64_t word_at(uint64_t seed, uint64_t number)
{
	/* splitmix64 */
	uint64_t z = seed + (number + 1) * 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill(const struct half *half, uint64_t at, uint8_t *bytes, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		uint64_t word = word_at(half->seed, (at + done) / 8);
		uint32_t skip = (uint32_t)((at + done) % 8), part = 8 - skip;
		if (part > len - done)
			part = len - done;
		memcpy(bytes + done, (uint8_t *)&word + skip, part);
		done += part;
	}
}

/* -- one connection -- */

/* 1: moved, 0: would block, -1: an error; *ended where the peer has sent all. */
static int receive_half(int fd, struct half *half, bool *ended)
{
	static uint8_t got[PIECE], expected[PIECE];
	uint64_t left = half->total - half->done;
	/* Never more than is due: what follows is the trailer's, or nothing. */
	ssize_t n = recv(fd, got, left < PIECE ? (left == 0 ? 1 : left) : PIECE, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0) {
		*ended = true;
		return 1;
	}
	fill(half, half->done, expected, (uint32_t)n);
	for (ssize_t i = 0; i < n; i++)
		if (left == 0 || got[i] != expected[i]) {
			fprintf(stderr, "stream: wrong byte at offset %llu: %02x%s\n",
			    (unsigned long long)half->done + (uint64_t)i, got[i],
			    left == 0 ? ", beyond the end" : "");
			errno = EBADMSG;
			return -1;
		}
	half->done += (uint64_t)n;
	return 1;
}

static int send_half(int fd, struct half *half, uint32_t piece)
{
	static uint8_t bytes[PIECE];
	uint64_t left = half->total - half->done;
	uint32_t len = left < piece ? (uint32_t)left : piece;

	fill(half, half->done, bytes, len);
	ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	half->done += (uint64_t)n;
	return 1;
}

/* Runs both halves at once. The sender shuts its side down at its end (`half_close`) and has all when `in` is
 * whole; the server has all at the peer's FIN. 0 or -1 with errno. */
static int exchange(int fd, struct half *in, struct half *out, uint32_t piece, bool half_close)
{
	bool ended = false, shut = false;

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	while (true) {
		bool sending = out->done < out->total;
		bool receiving = half_close ? in->done < in->total : !ended;
		struct pollfd ready = {
		    .fd = fd, .events = (short)((sending ? POLLOUT : 0) | (receiving ? POLLIN : 0))};
		if (!sending && half_close && !shut) {
			shut = true;
			if (shutdown(fd, SHUT_WR) != 0)
				return -1;
		}
		if (!sending && !receiving)
			break;
		if (poll(&ready, 1, -1) < 0 && errno != EINTR)
			return -1;
		if (receiving && (ready.revents & (POLLIN | POLLHUP | POLLERR)) &&
		    receive_half(fd, in, &ended) < 0)
			return -1;
		if (sending && (ready.revents & (POLLOUT | POLLERR)) && send_half(fd, out, piece) < 0)
			return -1;
		if (ended && in->done < in->total) {
			errno = ENODATA;
			return -1;
		}
	}
	return fcntl(fd, F_SETFL, 0);
}

static bool read_all(int fd, void *into, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = recv(fd, (uint8_t *)into + done, len - done, 0);
		if (n == 0)
			errno = ENODATA; /* it ends here */
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool write_all(int fd, const void *from, size_t len)
{
	return send(fd, from, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* -- the server -- */

static int serve_one(int fd)
{
	struct header header;

	if (!read_all(fd, &header, sizeof(header)) || header.magic != MAGIC)
		return 1;
	struct half in = {.seed = header.seed, .total = header.up};
	struct half out = {.seed = ~header.seed, .total = header.down};
	if (exchange(fd, &in, &out, PIECE, false) != 0)
		fprintf(stderr, "stream: server, after %llu of %llu bytes in and %llu of %llu out: %s\n",
		    (unsigned long long)in.done, (unsigned long long)in.total, (unsigned long long)out.done,
		    (unsigned long long)out.total, strerror(errno));
	struct trailer trailer = {.magic = MAGIC, .whole = in.done == in.total, .got = in.done};
	return write_all(fd, &trailer, sizeof(trailer)) ? 0 : 1;
}

static int serve(const char *port)
{
	struct sockaddr_in6 any = {
	    .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)strtoul(port, NULL, 10))};
	int on = 1, listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	signal(SIGCHLD, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof(any)) != 0 ||
	    listen(listener, 1024) != 0) {
		perror("stream: listen");
		return 1;
	}
	while (true) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		if (fork() == 0)
			_exit(serve_one(fd));
		close(fd);
	}
}

/* -- the sender -- */

static int connect_to(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &found) != 0) {
		fprintf(stderr, "stream: %s: no such address\n", host);
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		fprintf(stderr, "stream: connect to %s: %s\n", host, strerror(errno));
	freeaddrinfo(found);
	return fd;
}

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void tell(int fd, const struct job *job, double took)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	printf(
	    "up %llu down %llu in %.2f s, %.1f Mbit/s, retransmitted %u, dsack %u, reordered %u, mss %u/%u\n",
	    (unsigned long long)job->header.up, (unsigned long long)job->header.down, took,
	    (double)(job->header.up + job->header.down) * 8e-6 / took, info.tcpi_total_retrans,
	    info.tcpi_dsack_dups, info.tcpi_reord_seen, info.tcpi_snd_mss, info.tcpi_rcv_mss);
	fflush(stdout);
}

static int send_one(const struct job *job, unsigned number)
{
	struct header header = job->header;
	struct trailer trailer;
	char beyond;

	header.seed += number;
	alarm(job->seconds);
	int fd = connect_to(job->host, job->port);
	if (fd < 0)
		return 1;
	double start = seconds_now();
	struct half in = {.seed = ~header.seed, .total = header.down};
	struct half out = {.seed = header.seed, .total = header.up};
	if (!write_all(fd, &header, sizeof(header)) || exchange(fd, &in, &out, job->piece, true) != 0) {
		fprintf(stderr, "stream: after %llu of %llu bytes out and %llu of %llu in: %s\n",
		    (unsigned long long)out.done, (unsigned long long)out.total, (unsigned long long)in.done,
		    (unsigned long long)in.total, strerror(errno));
		return 1;
	}
	if (!read_all(fd, &trailer, sizeof(trailer))) {
		fprintf(stderr, "stream: all was sent and received, but for the server's last word: %s\n",
		    strerror(errno));
		return 1;
	}
	if (trailer.magic != MAGIC || !trailer.whole || trailer.got != header.up) {
		fprintf(stderr, "stream: the server did not say that it got all %llu bytes\n",
		    (unsigned long long)header.up);
		return 1;
	}
	if (recv(fd, &beyond, 1, 0) != 0) {
		fprintf(stderr, "stream: the server's side did not end after its trailer\n");
		return 1;
	}
	tell(fd, job, seconds_now() - start);
	return 0;
}

static int send_all(const struct job *job)
{
	int status, failed = 0;

	for (unsigned i = 0; i < job->count; i++)
		if (fork() == 0)
			_exit(send_one(job, i));
	while (wait(&status) > 0) {
		if (WIFSIGNALED(status))
			fprintf(stderr, "stream: not done in %u s\n", job->seconds);
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	}
	return failed == 0 ? 0 : 1;
}

static bool parse_size(const char *text, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 10);
	if (end == text)
		return false;
	*value <<= *end == 'k' ? 10 : *end == 'm' ? 20 : *end == 'g' ? 30 : 0;
	return *end == '\0' || (strchr("kmg", *end) != NULL && end[1] == '\0');
}

static bool parse_word(const char *word, struct job *job)
{
	const char *value = strchr(word, '=');
	uint64_t number;

	if (value == NULL || !parse_size(value + 1, &number))
		return false;
	size_t len = (size_t)(value - word);
	if (len == 2 && strncmp(word, "up", len) == 0)
		job->header.up = number;
	else if (len == 4 && strncmp(word, "down", len) == 0)
		job->header.down = number;
	else if (len == 4 && strncmp(word, "seed", len) == 0)
		job->header.seed = number;
	else if (len == 5 && strncmp(word, "write", len) == 0 && number >= 1 && number <= PIECE)
		job->piece = (uint32_t)number;
	else if (len == 5 && strncmp(word, "count", len) == 0 && number >= 1 && number <= CONNECTIONS_MAX)
		job->count = (unsigned)number;
	else if (len == 7 && strncmp(word, "seconds", len) == 0)
		job->seconds = (unsigned)number;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct job job = {.header = {.magic = MAGIC, .seed = 1}, .piece = PIECE, .count = 1, .seconds = 60};
	bool ok = true;

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc < 4 || strcmp(argv[1], "send") != 0)
		ok = false;
	for (int i = 4; ok && i < argc; i++)
		ok = parse_word(argv[i], &job);
	if (!ok) {
		fprintf(stderr,
		    "usage: stream serve PORT | stream send HOST PORT [up=BYTES] [down=BYTES] [seed=N] "
		    "[write=BYTES] [count=N] [seconds=N]\n");
		return 2;
	}
	job.host = argv[2];
	job.port = argv[3];
	return send_all(&job);
}
