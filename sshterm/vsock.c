/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual sockets; see vsock.h for the theory of operation. */
#include "sshterm/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/flow_channel.h"
#include "sshterm/worker.h"

/* Copied bytes are gathered: a peer that sends one byte a segment must not cost 64 bytes for each. */
#define SEGMENT_ROOM 4096u
/* Of a channel's slabs one in so many is for legs that have none out. */
#define RESERVED_SHARE 16u
#define FD_COUNT (VSOCK_FD_LAST - VSOCK_FD_FIRST + 1)

/* Received bytes: in a slab of the channel (this turn only), or in `room`. */
struct segment {
	struct segment *next;
	const uint8_t *bytes;
	uint32_t len, consumed;
	uint32_t slab; /* SLAB_NONE: in room */
	uint32_t capacity;
	uint8_t room[];
};

struct vsock {
	struct session *session;
	struct flow_channel *channel; /* NULL: abandoned */
	enum leg leg;
	int fd;
	bool open;  /* libssh has not closed it */
	bool fin;   /* the peer's */
	bool reset; /* by the peer, a time-out, or with the dataplane */
	int error;  /* errno to report once reset */
	struct segment *first, *last;
	uint32_t received;  /* bytes in segments */
	uint32_t held;      /* segments that lie in slabs */
	uint64_t consumed;  /* bytes taken since the start */
	uint64_t reported;  /* of those, told to the dataplane */
	uint32_t open_slab; /* being filled, SLAB_NONE: none */
	uint8_t *open_bytes;
	uint32_t open_len;
	uint32_t slabs_out; /* open one included */
	uint32_t credit;    /* that may be out, as the dataplane last said */
	uint32_t unacked;   /* bytes put and not returned */
	bool fin_wanted, fin_put;
	bool is_dirty;
	struct vsock *dirty_next;
	bool is_starving;
	struct vsock *starving_next;
	bool awaits_return; /* of a slab: somebody was told of no room, or of bytes that are not ACKed */
	struct vsock_counters counters;
};

static struct vsock *sockets[FD_COUNT];
static unsigned next_fd;

struct vsock *vsock_create(struct session *session, enum leg leg, struct flow_channel *channel)
{
	unsigned tried = 0;

	while (sockets[next_fd] != NULL && ++tried < FD_COUNT)
		next_fd = (next_fd + 1) % FD_COUNT;
	struct vsock *sock = tried < FD_COUNT ? calloc(1, sizeof(*sock)) : NULL;
	if (sock == NULL)
		return NULL;
	sock->session = session;
	sock->channel = channel;
	sock->leg = leg;
	sock->fd = VSOCK_FD_FIRST + (int)next_fd;
	sock->open = true;
	sock->open_slab = SLAB_NONE;
	sock->credit = session->flow.send_credit;
	sockets[next_fd] = sock;
	next_fd = (next_fd + 1) % FD_COUNT;
	return sock;
}

static void mark_dirty(struct vsock *sock)
{
	if (sock->is_dirty || sock->channel == NULL)
		return;
	sock->is_dirty = true;
	flow_channel_dirty(sock->channel, sock);
}

struct vsock *vsock_dirty_next(struct vsock *sock, struct vsock *next)
{
	struct vsock *was = sock->dirty_next;

	sock->dirty_next = next;
	return was;
}

static void drop_first_segment(struct vsock *sock)
{
	struct segment *segment = sock->first;

	sock->first = segment->next;
	if (sock->first == NULL)
		sock->last = NULL;
	if (segment->slab != SLAB_NONE) {
		sock->held--;
		if (sock->channel != NULL && sock->channel->in != NULL)
			slab_return(sock->channel->in, segment->slab, 0);
	}
	free(segment);
}

static void forget_received(struct vsock *sock)
{
	while (sock->first != NULL)
		drop_first_segment(sock);
	sock->received = 0;
}

/* Only then does a slab that comes back wake the worker and the session. */
static void await_return(struct vsock *sock, bool awaits)
{
	if (sock->awaits_return == awaits || sock->channel == NULL)
		return;
	sock->awaits_return = awaits;
	if (awaits)
		sock->channel->returns_awaited++;
	else
		sock->channel->returns_awaited--;
}

/* Takes it off the channel's lists. */
static void unlist(struct vsock *sock)
{
	if (sock->channel == NULL)
		return;
	for (struct vsock **at = &sock->channel->dirty; sock->is_dirty && *at != NULL;
	     at = &(*at)->dirty_next)
		if (*at == sock) {
			*at = sock->dirty_next;
			break;
		}
	for (struct vsock **at = &sock->channel->starving; sock->is_starving && *at != NULL;
	     at = &(*at)->starving_next)
		if (*at == sock) {
			*at = sock->starving_next;
			break;
		}
	sock->is_dirty = sock->is_starving = false;
	await_return(sock, false);
}

static void starve(struct vsock *sock)
{
	if (sock->is_starving)
		return;
	sock->is_starving = true;
	sock->starving_next = sock->channel->starving;
	sock->channel->starving = sock;
}

void vsock_feed_starving(struct vsock **starving)
{
	while (*starving != NULL) {
		struct vsock *sock = *starving;
		*starving = sock->starving_next;
		sock->is_starving = false;
		session_wake(sock->session);
	}
}

void vsock_destroy(struct vsock *sock)
{
	if (sock == NULL)
		return;
	forget_received(sock);
	unlist(sock);
	if (sock->open_slab != SLAB_NONE && sock->channel != NULL && sock->channel->out != NULL)
		slab_untake(sock->channel->out, sock->open_slab);
	sockets[sock->fd - VSOCK_FD_FIRST] = NULL;
	free(sock);
}

int vsock_fd(const struct vsock *sock)
{
	return sock->fd;
}

struct vsock_counters vsock_counters(const struct vsock *sock)
{
	return sock->counters;
}

/* -- from the channel -- */

static struct segment *segment_append(struct vsock *sock, uint32_t capacity)
{
	struct segment *segment = malloc(sizeof(*segment) + capacity);

	if (segment == NULL)
		return NULL;
	*segment = (struct segment){.slab = SLAB_NONE, .capacity = capacity, .bytes = segment->room};
	if (sock->last != NULL)
		sock->last->next = segment;
	else
		sock->first = segment;
	sock->last = segment;
	return segment;
}

bool vsock_deliver(struct vsock *sock, uint32_t slab, const uint8_t *bytes, uint32_t len)
{
	if (sock->fin || sock->reset || len > sock->session->flow.receive_max ||
	    sock->received > sock->session->flow.receive_max - len)
		return false;
	struct segment *segment = segment_append(sock, 0);
	if (segment == NULL)
		return false;
	segment->bytes = bytes;
	segment->len = len;
	segment->slab = slab;
	sock->held++;
	sock->received += len;
	sock->counters.bytes_in += len;
	mark_dirty(sock);
	session_wake(sock->session);
	return true;
}

void vsock_peer_fin(struct vsock *sock)
{
	sock->fin = true;
	session_wake(sock->session);
}

void vsock_peer_reset(struct vsock *sock, int error)
{
	if (!sock->reset) {
		sock->reset = true;
		sock->error = error != 0 ? error : ECONNRESET;
	}
	session_wake(sock->session);
}

void vsock_credit(struct vsock *sock, uint32_t slabs)
{
	bool more = slabs > sock->credit;

	sock->credit = slabs;
	if (more)
		session_wake(sock->session);
}

void vsock_abandon(struct vsock *sock, int error)
{
	forget_received(sock);
	unlist(sock);
	sock->channel = NULL;
	sock->open_slab = SLAB_NONE;
	sock->unacked = 0;
	vsock_peer_reset(sock, error);
}

void vsock_returned(struct vsock *sock, uint32_t len)
{
	if (sock->slabs_out > 0)
		sock->slabs_out--;
	sock->unacked -= len <= sock->unacked ? len : sock->unacked;
	if (sock->awaits_return)
		session_wake(sock->session);
	await_return(sock, false);
}

/* -- reading -- */

uint32_t vsock_peek(struct vsock *sock, const uint8_t **at)
{
	if (sock->first == NULL)
		return 0;
	*at = sock->first->bytes + sock->first->consumed;
	return sock->first->len - sock->first->consumed;
}

void vsock_consume(struct vsock *sock, uint32_t len)
{
	while (len > 0 && sock->first != NULL) {
		struct segment *segment = sock->first;
		uint32_t part = segment->len - segment->consumed;
		if (part > len)
			part = len;
		segment->consumed += part;
		sock->received -= part;
		sock->consumed += part;
		len -= part;
		if (segment->consumed == segment->len)
			drop_first_segment(sock);
	}
	mark_dirty(sock);
}

bool vsock_at_eof(const struct vsock *sock)
{
	return sock->first == NULL && (sock->fin || sock->reset);
}

bool vsock_has_ended(const struct vsock *sock)
{
	return sock->fin || sock->reset;
}

bool vsock_is_reset(const struct vsock *sock)
{
	return sock->reset;
}

/* -- writing -- */

static bool put_open_slab(struct vsock *sock)
{
	struct slab_desc desc = {.slab = sock->open_slab,
	    .len = sock->open_len,
	    .type = SLAB_LEG_DATA,
	    .aux = sock->leg,
	    .flow = sock->session->channel_flow};

	if (!slab_put(sock->channel->out, &desc))
		return false;
	sock->unacked += sock->open_len;
	sock->open_slab = SLAB_NONE;
	sock->open_len = 0;
	return true;
}

/*
 * May the leg have one slab more? The dataplane's word says how many are of use; how the legs of a channel
 * share them is decided here: a leg gets no more than it leaves free (k greedy ones end up with one share in
 * k + 1 each), and the last of them are for legs that have none out, so that peers who never read cannot
 * hold up a keystroke.
 */
static bool may_take(struct vsock *sock)
{
	uint32_t spare = slab_free_count(sock->channel->out);

	if (sock->slabs_out >= sock->credit) {
		await_return(sock, true);
		return false;
	}
	if (sock->slabs_out == 0
	        ? spare > 0
	        : spare > sock->slabs_out && spare > slab_count(sock->channel->out) / RESERVED_SHARE)
		return true;
	sock->session->worker->counters.slab_waits += !sock->is_starving;
	starve(sock);
	return false;
}

static bool take_open_slab(struct vsock *sock)
{
	if (!may_take(sock))
		return false;
	sock->open_slab = slab_take(sock->channel->out, &sock->open_bytes);
	if (sock->open_slab == SLAB_NONE)
		return false; /* the channel is corrupt, and will be dropped */
	sock->open_len = 0;
	sock->slabs_out++;
	return true;
}

/* Could vsock_write take a byte now? */
static bool has_room(struct vsock *sock)
{
	if (sock->reset || sock->fin_wanted)
		return true; /* the write tells why not */
	if (sock->channel == NULL || sock->channel->out == NULL)
		return false;
	if (sock->open_slab == SLAB_NONE)
		return may_take(sock);
	if (sock->open_len < slab_size(sock->channel->out))
		return true;
	await_return(sock, true); /* the ring is full, the end of the turn tries again */
	return false;
}

uint32_t vsock_write(struct vsock *sock, const uint8_t *at, uint32_t len)
{
	uint32_t done = 0;

	if (sock->reset || sock->fin_wanted || sock->channel == NULL || sock->channel->out == NULL)
		return 0;
	uint32_t size = slab_size(sock->channel->out);
	while (done < len) {
		if (sock->open_slab == SLAB_NONE && !take_open_slab(sock))
			break;
		uint32_t part = size - sock->open_len;
		if (part > len - done)
			part = len - done;
		memcpy(sock->open_bytes + sock->open_len, at + done, part);
		sock->open_len += part;
		done += part;
		if (sock->open_len == size && !put_open_slab(sock)) {
			await_return(sock, true);
			break;
		}
	}
	sock->counters.bytes_out += done;
	mark_dirty(sock);
	return done;
}

uint32_t vsock_unacked(const struct vsock *sock)
{
	return sock->unacked + (sock->open_slab != SLAB_NONE ? sock->open_len : 0);
}

void vsock_shutdown(struct vsock *sock)
{
	if (sock->fin_wanted)
		return;
	sock->fin_wanted = true;
	mark_dirty(sock);
}

bool vsock_drained(struct vsock *sock)
{
	if (sock->reset || sock->channel == NULL)
		return true;
	if (vsock_unacked(sock) == 0)
		return sock->fin_put == sock->fin_wanted;
	await_return(sock, true);
	return false;
}

/* -- the end of a turn -- */

/* Moves bytes out of slabs, behind or into the copied segment before them. */
static void copy_held(struct vsock *sock)
{
	struct segment *old = sock->first;

	sock->first = sock->last = NULL;
	while (old != NULL) {
		struct segment *segment = old;
		uint32_t left = segment->len - segment->consumed;
		struct segment *into = sock->last;
		old = segment->next;
		segment->next = NULL;
		if (segment->slab == SLAB_NONE) {
			if (sock->last != NULL)
				sock->last->next = segment;
			else
				sock->first = segment;
			sock->last = segment;
			continue;
		}
		if (into == NULL || into->capacity - into->len < left)
			into = segment_append(sock, left > SEGMENT_ROOM ? left : SEGMENT_ROOM);
		if (into != NULL) {
			memcpy(into->room + into->len, segment->bytes + segment->consumed, left);
			into->len += left;
		} else {
			/* No memory: this stream has a hole and must not go on. */
			sock->received -= left;
			vsock_peer_reset(sock, ENOMEM);
		}
		slab_return(sock->channel->in, segment->slab, 0);
		sock->held--;
		free(segment);
	}
}

/* The window opens in steps of an eighth of the credit; a keystroke needs no descriptor of its own. */
static bool report_due(const struct vsock *sock)
{
	uint64_t unreported = sock->consumed - sock->reported;

	return unreported > 0 && unreported >= sock->session->flow.receive_credit / 8;
}

bool vsock_settle(struct vsock *sock)
{
	if (sock->held > 0)
		copy_held(sock);
	if (sock->open_slab != SLAB_NONE && sock->open_len > 0 && !put_open_slab(sock))
		return false;
	if (report_due(sock)) {
		if (!flow_channel_say(sock->channel, sock->session->channel_flow, SLAB_LEG_CONSUMED,
		        sock->leg, sock->consumed))
			return false;
		sock->reported = sock->consumed;
	}
	if (sock->fin_wanted && !sock->fin_put && !sock->reset) {
		if (!flow_channel_say(sock->channel, sock->session->channel_flow, SLAB_LEG_FIN, sock->leg, 0))
			return false;
		sock->fin_put = true;
	}
	sock->is_dirty = false;
	return true;
}

/* -- what libssh calls -- */

static struct vsock *by_fd(int fd)
{
	if (fd < VSOCK_FD_FIRST || fd > VSOCK_FD_LAST || sockets[fd - VSOCK_FD_FIRST] == NULL ||
	    !sockets[fd - VSOCK_FD_FIRST]->open) {
		errno = EBADF;
		return NULL;
	}
	return sockets[fd - VSOCK_FD_FIRST];
}

static short revents_of(struct vsock *sock, short events)
{
	short revents = 0;

	if ((events & POLLIN) != 0 && (sock->first != NULL || sock->fin))
		revents |= POLLIN;
	if ((events & POLLOUT) != 0 && has_room(sock))
		revents |= POLLOUT;
	if (sock->reset)
		revents |= POLLERR | (events & POLLIN);
	return revents;
}

/*
 * What ends every wait of libssh: the session was killed, its channel was lost, or login took too long. It is
 * answered with an error and not with a time-out, upon which a blocking libssh would only ask again.
 */
static bool session_over(const struct session *session)
{
	return session->kill_reason[0] != '\0' || session->lost != NULL ||
	       worker_now_us() >= session->login_deadline_us;
}

int vsock_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct session *session = NULL;
	uint64_t deadline = timeout_ms < 0 ? UINT64_MAX : worker_now_us() + (uint64_t)timeout_ms * 1000;

	for (;;) {
		int ready = 0;
		for (nfds_t i = 0; i < count; i++) {
			struct vsock *sock = by_fd(fds[i].fd);
			fds[i].revents = sock == NULL ? POLLNVAL : revents_of(sock, fds[i].events);
			ready += fds[i].revents != 0;
			if (sock != NULL)
				session = sock->session;
		}
		if (ready > 0 || session == NULL)
			return ready;
		if (session_over(session)) {
			errno = ECANCELED;
			return -1;
		}
		if (worker_now_us() >= deadline)
			return 0;
		session_wait(
		    session, deadline < session->login_deadline_us ? deadline : session->login_deadline_us);
	}
}

ssize_t vsock_recv(int fd, void *buffer, size_t len, int flags)
{
	struct vsock *sock = by_fd(fd);
	uint8_t *out = buffer;
	size_t done = 0;

	if (sock == NULL)
		return -1;
	while (sock->first == NULL && !sock->fin && !sock->reset) {
		if (session_over(sock->session)) {
			errno = ECANCELED;
			return -1;
		}
		session_wait(sock->session, sock->session->login_deadline_us);
	}
	if ((flags & MSG_PEEK) != 0) {
		const uint8_t *at;
		uint32_t there = vsock_peek(sock, &at);
		done = there < len ? there : len;
		if (done > 0)
			memcpy(out, at, done);
		return (ssize_t)done;
	}
	while (done < len && sock->first != NULL) {
		const uint8_t *at;
		uint32_t part = vsock_peek(sock, &at);
		if (part > len - done)
			part = (uint32_t)(len - done);
		memcpy(out + done, at, part);
		vsock_consume(sock, part);
		done += part;
	}
	if (done == 0 && sock->reset) {
		errno = sock->error;
		return -1;
	}
	return (ssize_t)done;
}

ssize_t vsock_send(int fd, const void *buffer, size_t len, int flags)
{
	struct vsock *sock = by_fd(fd);

	(void)flags;
	if (sock == NULL)
		return -1;
	if (sock->reset || sock->fin_wanted) {
		errno = sock->reset ? sock->error : EPIPE;
		return -1;
	}
	return (ssize_t)vsock_write(sock, buffer, len < UINT32_MAX ? (uint32_t)len : UINT32_MAX);
}

ssize_t vsock_read(int fd, void *buffer, size_t len)
{
	return vsock_recv(fd, buffer, len, 0);
}

ssize_t vsock_write_fd(int fd, const void *buffer, size_t len)
{
	return vsock_send(fd, buffer, len, 0);
}

int vsock_close(int fd)
{
	struct vsock *sock = by_fd(fd);

	if (sock == NULL)
		return -1;
	/* The leg lives on: what was written still goes out, and the number is the session's until it ends.
	 */
	sock->open = false;
	return 0;
}

int vsock_fcntl(int fd, int command, ...)
{
	if (by_fd(fd) == NULL)
		return -1;
	if (command == F_GETFL)
		return O_RDWR;
	/* Blocking or not is libssh's own affair (its timeouts); descriptors cross no exec. */
	if (command == F_SETFL || command == F_SETFD || command == F_GETFD)
		return 0;
	errno = EINVAL;
	return -1;
}

int vsock_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct vsock *sock = by_fd(fd);
	int error = sock != NULL && sock->reset ? sock->error : 0;

	if (sock == NULL)
		return -1;
	if (level != SOL_SOCKET || name != SO_ERROR || *len < sizeof(error)) {
		errno = ENOPROTOOPT;
		return -1;
	}
	memcpy(value, &error, sizeof(error));
	*len = sizeof(error);
	return 0;
}

int vsock_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)level; /* TCP_NODELAY and kin: the dataplane never delays */
	(void)name;
	(void)value;
	(void)len;
	return by_fd(fd) == NULL ? -1 : 0;
}

int vsock_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	(void)fd;
	(void)address;
	(void)len;
	errno = ENETUNREACH; /* a worker opens no connections; legs are given to it */
	return -1;
}
