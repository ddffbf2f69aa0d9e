/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge_box: the bridge alone between a stock client and a stock server, over kernel sockets.
 *
 * Everything that the worker provides (virtual sockets, waiting, control) is replaced by the plainest thing
 * that does the job, so that what is tested is the bridge and the recording. Each connection is a process.
 * The client is let in without authentication; the origin is logged in to with the key given. The recorder is
 * a thread at the other end of a real slab channel, which writes each program's file (and appends what
 * control would be told to a log).
 *
 * bridge_box LISTEN_PORT ORIGIN_PORT USER KEY_FILE HOST_KEY_FILE OUT_DIR RECIPIENT_FILE [permits] [mode]
 * mode: best_effort (default), strict, none. Environment: BOX_KEX (the origin leg's key exchange),
 * BOX_DAWDLES, BOX_HASTE, BOX_KILLED.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include "recorder/format/format.h"
#include "sshterm/session.h"
#include "tests/unit/sshterm/fake_recorder.h"

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc has no header with it */
#endif

/* Enough for all of a test's data: of what nobody waits for, nothing is to be lost because the recorder comes
 * late. */
#define SLABS 2048
#define SLAB_BYTES (66 * 1024)

/* BOX_DAWDLES: after a write that found no room the peer has time to make some before the bridge looks again.
 */
#define DAWDLE_US 50000

/* -- the worker's part -- */

struct vsock {
	int fd;
	uint8_t bytes[256 * 1024];
	uint32_t at, len;
	bool eof, reset, blocked;
	bool ended; /* a FIN has come; bytes may lie before it */
};

static struct {
	struct session session;
	struct record_channel *channel;
	int bell;
	FILE *log;
	size_t at_first, most; /* bytes allocated when the bridge first waited, and the most at any wait */
} box;

/* What is allocated, and not what an allocator keeps of what was freed: the same with a sanitizer. */
static size_t allocated(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#endif
}

static void look_at_memory(void)
{
	size_t now = allocated();

	if (box.at_first == 0)
		box.at_first = box.most = now;
	else if (now > box.most)
		box.most = now;
}

/* BOX_HASTE: the box's clock goes so many times as fast. */
static unsigned haste(void)
{
	return getenv("BOX_HASTE") != NULL ? (unsigned)atoi(getenv("BOX_HASTE")) : 1;
}

uint64_t worker_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000) * haste();
}

struct record_channel *worker_record_channel(struct worker *worker)
{
	(void)worker;
	return box.channel;
}

void session_wake(struct session *session)
{
	(void)session; /* one session: it is awake whenever anything happens */
}

static void wait_for_bell(int timeout_ms)
{
	struct pollfd fds[3] = {{.fd = box.bell, .events = POLLIN}, {.fd = -1}, {.fd = -1}};
	const uint8_t *at;

	for (unsigned i = 0; i < 2; i++) {
		struct vsock *sock = box.session.sock[i];

		if (sock != NULL)
			fds[1 + i] = (struct pollfd){.fd = sock->eof ? -1 : sock->fd,
			    .events = (short)((sock->len == 0 ? POLLIN : 0) | (sock->ended ? 0 : POLLRDHUP) |
			                      (sock->blocked ? POLLOUT : 0))};
	}
	record_channel_asleep(box.channel, true);
	if (record_channel_ready(box.channel))
		timeout_ms = 0;
	poll(fds, 3, timeout_ms);
	/* Bytes arrive whether the bridge wants them now or not. */
	for (unsigned i = 0; i < 2; i++) {
		if ((fds[1 + i].revents & POLLRDHUP) != 0)
			box.session.sock[i]->ended = true;
		if ((fds[1 + i].revents & POLLIN) != 0)
			(void)vsock_peek(box.session.sock[i], &at);
	}
	record_channel_asleep(box.channel, false);
	uint64_t rung;
	if (read(box.bell, &rung, sizeof(rung)) < 0 && errno != EAGAIN)
		perror("bell");
	(void)record_channel_poll(box.channel, worker_now_us());
}

void session_wait(struct session *session, uint64_t deadline_us)
{
	uint64_t deadline = record_channel_deadline(box.channel), now = worker_now_us();

	(void)session;
	look_at_memory();
	if (deadline > deadline_us)
		deadline = deadline_us;
	wait_for_bell(deadline == UINT64_MAX ? -1
	              : deadline <= now      ? 0
	                                     : (int)((deadline - now) / 1000 / haste()) + 1);
}

uint32_t vsock_peek(struct vsock *sock, const uint8_t **at)
{
	if (sock->len == 0 && !sock->eof && !sock->reset) {
		ssize_t got = recv(sock->fd, sock->bytes, sizeof(sock->bytes), MSG_DONTWAIT);

		sock->at = 0;
		if (got > 0)
			sock->len = (uint32_t)got;
		else if (got == 0)
			sock->eof = true;
		else if (errno != EAGAIN)
			sock->reset = true;
	}
	*at = sock->bytes + sock->at;
	return sock->len;
}

void vsock_consume(struct vsock *sock, uint32_t len)
{
	sock->at += len;
	sock->len -= len;
}

bool vsock_at_eof(const struct vsock *sock)
{
	return sock->len == 0 && (sock->eof || sock->reset);
}

bool vsock_has_ended(const struct vsock *sock)
{
	return sock->ended || sock->eof || sock->reset;
}

bool vsock_is_reset(const struct vsock *sock)
{
	return sock->reset;
}

uint32_t vsock_write(struct vsock *sock, const uint8_t *at, uint32_t len)
{
	ssize_t put = send(sock->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	sock->blocked = put < (ssize_t)len;
	if (put < 0 && errno != EAGAIN)
		sock->reset = true;
	if (put < 0 && getenv("BOX_DAWDLES") != NULL)
		usleep(DAWDLE_US);
	return put < 0 ? 0 : (uint32_t)put;
}

uint32_t vsock_unacked(const struct vsock *sock)
{
	(void)sock;
	return 0;
}

void vsock_shutdown(struct vsock *sock)
{
	shutdown(sock->fd, SHUT_WR);
}

/* What libssh calls, on the same descriptors. */
int vsock_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	return poll(fds, count, timeout_ms);
}

ssize_t vsock_recv(int fd, void *buffer, size_t len, int flags)
{
	return recv(fd, buffer, len, flags);
}

ssize_t vsock_send(int fd, const void *buffer, size_t len, int flags)
{
	(void)flags;
	for (unsigned i = 0; i < 2; i++) {
		if (box.session.sock[i] != NULL && box.session.sock[i]->fd == fd) {
			ssize_t put = vsock_write(box.session.sock[i], buffer, (uint32_t)len);

			return box.session.sock[i]->reset ? -1 : put;
		}
	}
	return send(fd, buffer, len, MSG_NOSIGNAL);
}

ssize_t vsock_read(int fd, void *buffer, size_t len)
{
	return read(fd, buffer, len);
}

ssize_t vsock_write_fd(int fd, const void *buffer, size_t len)
{
	return write(fd, buffer, len);
}

int vsock_close(int fd)
{
	(void)fd; /* the process ends soon */
	return 0;
}

int vsock_fcntl(int fd, int command, ...)
{
	(void)fd;
	return command == F_GETFL ? O_RDWR : 0;
}

int vsock_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return getsockopt(fd, level, name, value, len);
}

int vsock_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return setsockopt(fd, level, name, value, len);
}

int vsock_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	return connect(fd, address, len);
}

/* -- control's part -- */

/* BOX_KILLED: while the first long computation of the bridge waits for its turn, the session is killed. */
static int kill_instead(ssh_computation compute, void *argument, void *userdata)
{
	struct session *session = userdata;

	(void)compute;
	(void)argument;
	snprintf(session->kill_reason, sizeof(session->kill_reason), "enough of this");
	session->close_reason = "idle";
	return SSH_ERROR;
}

/* It announces nothing of its own, so nobody asks. */
size_t host_announcement(struct session *session, uint8_t **payload)
{
	(void)session;
	(void)payload;
	return 0;
}

size_t host_proofs(struct session *session, struct wire_span keys, uint8_t **payload)
{
	(void)session;
	(void)keys;
	(void)payload;
	return 0;
}

void session_event(struct session *session, const char *event, const char *detail_json)
{
	(void)session;
	fprintf(box.log, "event %s %s\n", event, detail_json);
}

void session_program(struct session *session, const struct rpc_ses_program *program)
{
	(void)session;
	fprintf(box.log, "program %.*s %.*s\n", (int)program->program_id.len, program->program_id.at,
	    (int)program->type.len, program->type.at);
}

void session_program_end(struct session *session, const struct rpc_ses_program_end *end)
{
	(void)session;
	fprintf(box.log, "program_end %.*s blocks %llu lost %llu chain ", (int)end->program_id.len,
	    end->program_id.at, (unsigned long long)end->blocks, (unsigned long long)end->lost_records);
	for (size_t i = 0; i < end->chain.len; i++)
		fprintf(box.log, "%02x", end->chain.at[i]);
	fprintf(box.log, "\n");
}

void worker_program_broken(struct worker *worker, uint64_t flow, const char *program_id)
{
	(void)worker;
	fprintf(box.log, "program_broken %llu %s\n", (unsigned long long)flow, program_id);
}

/* -- both legs, as plainly as libssh lets us -- */

static void die(const char *what, ssh_session ssh)
{
	fprintf(stderr, "bridge_box: %s: %s\n", what, ssh == NULL ? strerror(errno) : ssh_get_error(ssh));
	exit(1);
}

static ssh_session connect_origin(int fd, const char *user, const char *key_file)
{
	ssh_session ssh = ssh_new();
	ssh_key key = NULL;
	int off = 0;

	ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &off);
	ssh_options_set(ssh, SSH_OPTIONS_HOST, "origin");
	ssh_options_set(ssh, SSH_OPTIONS_USER, user);
	ssh_options_set(ssh, SSH_OPTIONS_FD, &fd);
	if (getenv("BOX_KEX") != NULL)
		ssh_options_set(ssh, SSH_OPTIONS_KEY_EXCHANGE, getenv("BOX_KEX"));
	if (ssh_connect(ssh) != SSH_OK)
		die("origin", ssh);
	box.session.ssh[LEG_ORIGIN] = ssh;
	if (bridge_prepare(&box.session, LEG_ORIGIN) != 0)
		die("bridge_prepare", ssh);
	(void)ssh_userauth_none(ssh, NULL);
	if (ssh_pki_import_privkey_file(key_file, NULL, NULL, NULL, &key) != SSH_OK)
		die("key", ssh);
	if (ssh_userauth_publickey(ssh, NULL, key) != SSH_AUTH_SUCCESS)
		die("login at the origin", ssh);
	ssh_key_free(key);
	return ssh;
}

static ssh_session accept_client(int fd, const char *host_key)
{
	ssh_bind bind = ssh_bind_new();
	ssh_session ssh = ssh_new();
	bool off = false;

	ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &off);
	ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HOSTKEY, host_key);
	if (ssh_bind_accept_fd(bind, ssh, fd) != SSH_OK)
		die("accept", ssh);
	ssh_bind_free(bind); /* the session has its own copies */
	ssh_set_auth_methods(ssh, SSH_AUTH_METHOD_NONE | SSH_AUTH_METHOD_PUBLICKEY);
	if (ssh_handle_key_exchange(ssh) != SSH_OK)
		die("client", ssh);
	box.session.ssh[LEG_CLIENT] = ssh;
	if (bridge_prepare(&box.session, LEG_CLIENT) != 0)
		die("bridge_prepare", ssh);
	for (;;) {
		ssh_message message = ssh_message_get(ssh);

		if (message == NULL)
			die("client's login", ssh);
		if (ssh_message_type(message) == SSH_REQUEST_AUTH) {
			ssh_message_auth_reply_success(message, 0);
			ssh_message_free(message);
			return ssh;
		}
		ssh_message_reply_default(message);
		ssh_message_free(message);
	}
}

static void fill_session(char **argv, int argc)
{
	struct session *session = &box.session;
	FILE *file = fopen(argv[7], "r");
	char text[64] = "";

	session->flow = (struct slab_flow){.family = 4,
	    .client_port = 1,
	    .server_port = 22,
	    .client_addr = {127, 0, 0, 1},
	    .server_addr = {127, 0, 0, 1}};
	session->started_at_us = (uint64_t)time(NULL) * 1000000;
	snprintf(session->session_id, sizeof(session->session_id), "session-%d", getpid());
	snprintf(session->login, sizeof(session->login), "%s", argv[3]);
	session->grant.permits = argc > 8 ? (uint32_t)strtoul(argv[8], NULL, 0) : ~0u;
	session->grant.recording = RPC_RECORDING_BEST_EFFORT;
	if (argc > 9 && strcmp(argv[9], "strict") == 0)
		session->grant.recording = RPC_RECORDING_STRICT;
	if (argc > 9 && strcmp(argv[9], "none") == 0)
		session->grant.recording = RPC_RECORDING_NONE;
	if (file == NULL || fgets(text, sizeof(text), file) == NULL ||
	    format_key_decode(text, strlen(text), session->grant.recipients[0]) != 0)
		die("recipient", NULL);
	fclose(file);
	session->grant.recipient_count = 1;
}

static void serve(int client, char **argv, int argc)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(argv[2])),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int origin = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	struct fake_recorder *recorder;
	struct slab_producer *end;
	char path[4096];

	snprintf(path, sizeof(path), "%s/control.log", argv[6]);
	box.log = fopen(path, "a");
	fill_session(argv, argc);
	box.bell = eventfd(0, EFD_NONBLOCK);
	box.channel = record_channel_create(NULL);
	recorder = fake_recorder_start(argv[6], SLABS, SLAB_BYTES, 1, dup(box.bell), &end);
	record_channel_attach(box.channel, end);
	if (connect(origin, (struct sockaddr *)&at, sizeof(at)) != 0)
		die("connect", NULL);
	setsockopt(origin, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connect_origin(origin, argv[3], argv[4]);
	accept_client(client, argv[5]);
	box.session.recorder_patience_us = 5000000;
	for (unsigned i = 0; i < 2; i++) {
		box.session.sock[i] = calloc(1, sizeof(struct vsock));
		box.session.sock[i]->fd = i == LEG_CLIENT ? client : origin;
		ssh_set_blocking(box.session.ssh[i], 0);
	}
	if (getenv("BOX_KILLED") != NULL)
		ssh_set_computation_callback(kill_instead, &box.session);
	const char *reason = bridge_run(&box.session);
	box.session.sock[0]->eof = box.session.sock[1]->eof = true;
	for (uint64_t until = worker_now_us() + 5000000;
	     !record_channel_settled(box.channel) && worker_now_us() < until;)
		wait_for_bell(10);
	size_t len = record_channel_stats(box.channel, path, sizeof(path));
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	fprintf(box.log,
	    "session_end %s from_client %llu from_origin %llu settled %d cpu_ms %ld kept_kb %zu\n%.*s",
	    reason, (unsigned long long)box.session.bytes[0], (unsigned long long)box.session.bytes[1],
	    record_channel_settled(box.channel),
	    usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 + usage.ru_stime.tv_sec * 1000 +
	        usage.ru_stime.tv_usec / 1000,
	    (box.most - box.at_first) / 1024, (int)len, path);
	fclose(box.log);
	bridge_free(&box.session);
	ssh_free(box.session.ssh[0]);
	ssh_free(box.session.ssh[1]);
	free(box.session.sock[0]);
	free(box.session.sock[1]);
	record_channel_destroy(box.channel);
	fake_recorder_stop(recorder);
	exit(0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (argc < 8) {
		fprintf(stderr, "usage: bridge_box LISTEN_PORT ORIGIN_PORT USER KEY HOST_KEY OUT_DIR "
		                "RECIPIENT [permits] [mode]\n");
		return 2;
	}
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 16) != 0)
		die("listen", NULL);
	for (;;) {
		int client = accept(listener, NULL, NULL);

		if (client < 0)
			return 1;
		if (fork() == 0) {
			close(listener);
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* a session that hangs does not outlive its test */
			serve(client, argv, argc);
		}
		close(client);
	}
}
