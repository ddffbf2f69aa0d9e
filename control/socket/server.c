/* SPDX-License-Identifier: Apache-2.0 */
#include "control/socket/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"

#define READ_CHUNK 65536
#define READS_PER_TURN 16

/* -- the listening socket ---------------------------------------------------------------------------------
 */

static void client_open(struct server *server, int fd);

static void server_ready(void *context, uint32_t events)
{
	struct server *server = context;

	(void)events;
	for (int i = 0; i < 16; i++) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		if (server->client_count >= SERVER_CLIENTS_MAX) {
			server->refused++;
			close(fd);
			continue;
		}
		client_open(server, fd);
	}
}

/* Is somebody listening at the path? Else what lies there is a leftover. */
static bool in_use(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool used = fd >= 0 &&
	            (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return used;
}

static void make_parent(const char *path)
{
	char parent[108];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash != NULL && slash != parent) {
		*slash = '\0';
		(void)mkdir(parent, 0755); /* if it cannot be, bind says so */
	}
}

int server_open(struct server *server, struct control *control, const char *path, bool shared)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server->watch};

	*server = (struct server){.control = control, .epoll = control->epoll, .fd = -1};
	server->watch = (struct watch){server_ready, server};
	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
	    sizeof(address.sun_path))
		return -ENAMETOOLONG;
	make_parent(path);
	if (in_use(&address))
		return -EADDRINUSE;
	(void)unlink(path);
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->fd < 0)
		return -errno;
	mode_t before = umask(0777 & ~(shared ? 0666u : 0660u));
	int bound = bind(server->fd, (struct sockaddr *)&address, sizeof(address));
	int error = errno;
	(void)umask(before);
	if (bound == 0 && listen(server->fd, 64) == 0 &&
	    epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->fd, &event) == 0) {
		snprintf(server->path, sizeof(server->path), "%s", path);
		return 0;
	}
	error = bound == 0 ? errno : error;
	close(server->fd);
	server->fd = -1;
	return -error;
}

/* -- clients ----------------------------------------------------------------------------------------------
 */

static enum server_role role_of(const struct control_config *config, uid_t uid)
{
	if (uid == 0 || uid == config->owner)
		return ROLE_ADMIN;
	for (uint32_t i = 0; i < config->admin_count; i++)
		if (config->admins[i] == uid)
			return ROLE_ADMIN;
	for (uint32_t i = 0; i < config->auditor_count; i++)
		if (config->auditors[i] == uid)
			return ROLE_AUDITOR;
	for (uint32_t i = 0; i < config->reporter_count; i++)
		if (config->reporters[i] == uid)
			return ROLE_REPORTER;
	return ROLE_NONE;
}

static void client_close(struct client *client)
{
	if (client->fd < 0)
		return;
	(void)epoll_ctl(client->server->epoll, EPOLL_CTL_DEL, client->fd, NULL);
	close(client->fd);
	client->fd = -1;
}

static void client_ready(void *context, uint32_t events);

static void client_open(struct server *server, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct client *client = calloc(1, sizeof(*client));
	struct epoll_event event = {.events = EPOLLIN};

	if (client == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
		free(client);
		close(fd);
		return;
	}
	client->watch = (struct watch){client_ready, client};
	client->server = server;
	client->number = ++server->next_number;
	client->fd = fd;
	client->uid = peer.uid;
	client->role = role_of(&server->control->config, peer.uid);
	/* Where auditors are configured anybody may connect: it must not keep out those who may more. */
	if (client->role == ROLE_NONE && server->stranger_count >= SERVER_STRANGERS_MAX) {
		server->refused++;
		free(client);
		close(fd);
		return;
	}
	client->progress_ms = peers_now_ms();
	event.data.ptr = &client->watch;
	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		free(client);
		close(fd);
		return;
	}
	client->next = server->clients;
	server->clients = client;
	server->client_count++;
	server->stranger_count += client->role == ROLE_NONE;
}

struct client *server_client(struct server *server, uint64_t number)
{
	struct client *client = server->clients;

	while (client != NULL && client->number != number)
		client = client->next;
	return client != NULL && client->fd >= 0 ? client : NULL;
}

static void client_free(struct client *client)
{
	client_close(client);
	free(client->in);
	free(client->out);
	free(client);
}

static void take_lines(struct client *client);
static void set_interest(struct client *client);

void server_sweep(struct server *server)
{
	struct client **at = &server->clients;

	while (*at != NULL) {
		struct client *client = *at;
		if (client->fd >= 0 && !client->paused && client->in_scanned < client->in_len) {
			take_lines(client);
			set_interest(client);
		}
		if (client->fd >= 0) {
			at = &client->next;
			continue;
		}
		*at = client->next;
		server->client_count--;
		server->stranger_count -= client->role == ROLE_NONE;
		client_free(client);
	}
}

void server_close(struct server *server)
{
	while (server->clients != NULL) {
		struct client *next = server->clients->next;
		client_free(server->clients);
		server->clients = next;
	}
	server->client_count = 0;
	if (server->fd >= 0) {
		(void)unlink(server->path);
		close(server->fd);
	}
	server->fd = -1;
}

void server_tick(struct server *server)
{
	int64_t now = peers_now_ms();

	for (struct client *client = server->clients; client != NULL; client = client->next)
		if (client->fd >= 0 && client->out_len > 0 && now - client->progress_ms > SERVER_STALL_MS) {
			rpc_log(RPC_LOG_WARNING,
			    "a client of the control socket (uid %u) does not read: closed",
			    (unsigned)client->uid);
			client_close(client);
		}
}

/* -- bytes ------------------------------------------------------------------------------------------------
 */

/* Reading goes on while the client reads us, and has not too much under way. */
static void set_interest(struct client *client)
{
	struct epoll_event event = {.data.ptr = &client->watch};

	if (client->fd < 0)
		return;
	client->paused = client->out_len > SERVER_OUT_PAUSE || client->in_flight >= SERVER_IN_FLIGHT_MAX;
	if (!client->paused && !client->finished)
		event.events |= EPOLLIN;
	if (client->out_len > 0)
		event.events |= EPOLLOUT;
	(void)epoll_ctl(client->server->epoll, EPOLL_CTL_MOD, client->fd, &event);
	if (client->finished && client->out_len == 0 && client->in_flight == 0)
		client_close(client);
}

static void flush(struct client *client)
{
	size_t at = 0;

	while (at < client->out_len) {
		ssize_t sent =
		    send(client->fd, client->out + at, client->out_len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
			client_close(client);
			return;
		}
		if (sent <= 0)
			break;
		at += (size_t)sent;
	}
	if (at > 0) {
		memmove(client->out, client->out + at, client->out_len - at);
		client->out_len -= at;
		client->progress_ms = peers_now_ms();
	}
	if (client->out_len == 0 && client->out_room > READ_CHUNK) {
		free(client->out);
		client->out = NULL;
		client->out_room = 0;
	}
}

void client_send(struct client *client, const char *text, size_t len)
{
	if (client->fd < 0)
		return;
	if (client->out_len + len + 1 > client->out_room) {
		size_t room = (client->out_len + len + 1) * 2;
		char *more = realloc(client->out, room);
		if (more == NULL) {
			client_close(client);
			return;
		}
		client->out = more;
		client->out_room = room;
	}
	if (client->out_len == 0)
		client->progress_ms = peers_now_ms();
	memcpy(client->out + client->out_len, text, len);
	client->out[client->out_len + len] = '\n';
	client->out_len += len + 1;
	flush(client);
	if (client->fd >= 0 && !client->taking)
		set_interest(client);
}

/* Takes whole lines out of the buffer, as long as the client is not paused. */
static void take_lines(struct client *client)
{
	size_t start = 0;

	client->taking = true;
	while (client->fd >= 0 && !client->paused && client->in_scanned < client->in_len) {
		char *newline =
		    memchr(client->in + client->in_scanned, '\n', client->in_len - client->in_scanned);
		if (newline == NULL) {
			client->in_scanned = client->in_len;
			break;
		}
		size_t end = (size_t)(newline - client->in);
		jsonrpc_line(client, client->in + start, end - start);
		start = client->in_scanned = end + 1;
		client->paused =
		    client->out_len > SERVER_OUT_PAUSE || client->in_flight >= SERVER_IN_FLIGHT_MAX;
	}
	client->taking = false;
	if (start > 0) {
		memmove(client->in, client->in + start, client->in_len - start);
		client->in_len -= start;
		client->in_scanned -= start;
	}
	if (client->in_len == 0 && client->in_room > READ_CHUNK) {
		free(client->in);
		client->in = NULL;
		client->in_room = 0;
	}
}

static bool make_room(struct client *client)
{
	if (client->in_room - client->in_len >= READ_CHUNK)
		return true;
	size_t room = client->in_room == 0 ? 2 * READ_CHUNK : client->in_room * 2;
	char *more = realloc(client->in, room);
	if (more == NULL)
		return false;
	client->in = more;
	client->in_room = room;
	return true;
}

static void refuse_long_line(struct client *client)
{
	static const char text[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":"
	                           "\"the line is longer than 12 MiB\"},\"id\":null}";

	client->finished = true;
	client->in_len = client->in_scanned = 0;
	client_send(client, text, sizeof(text) - 1);
}

static void read_client(struct client *client)
{
	for (int i = 0; i < READS_PER_TURN && client->fd >= 0 && !client->paused && !client->finished; i++) {
		if (!make_room(client)) {
			client_close(client);
			return;
		}
		ssize_t got = recv(
		    client->fd, client->in + client->in_len, client->in_room - client->in_len, MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (got < 0) {
			client_close(client);
			return;
		}
		if (got == 0) {
			/* It has said all it will; what is under way is still answered. */
			client->finished = true;
			return;
		}
		client->in_len += (size_t)got;
		take_lines(client);
		if (client->fd >= 0 && client->in_scanned > SERVER_LINE_MAX &&
		    client->in_scanned == client->in_len)
			refuse_long_line(client);
	}
}

void client_answered(struct client *client)
{
	client->in_flight--;
	/* Lines that were read before a pause are taken up again at the end of the turn (server_sweep). */
	if (client->fd >= 0 && !client->taking)
		set_interest(client);
}

static void client_ready(void *context, uint32_t events)
{
	struct client *client = context;

	if (client->fd < 0)
		return;
	if ((events & EPOLLERR) != 0) {
		client_close(client);
		return;
	}
	if ((events & EPOLLOUT) != 0)
		flush(client);
	if (client->fd >= 0 && (events & (EPOLLIN | EPOLLHUP)) != 0)
		read_client(client);
	if ((events & EPOLLHUP) != 0) /* nobody is left to read an answer */
		client_close(client);
	if (client->fd >= 0)
		set_interest(client);
}
