/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of the fake box; see fake_box.h.
 *
 *   fake_box --worker PATH --listen PORT --origin PORT --keys DIR [--grace SECONDS] [--strict]
 * [--no-recording]
 *            [--permits BITS] [--changed] [--identities BITS] [--origin-auth N,…] [--notice TEXT] [--totp]
 *            [--attempts N]
 *
 * DIR holds enrolled.pub and client-ca.pub (may be missing); user-ca.pub and host.pub are written there.
 * Commands on standard input: kill TEXT · control (restart it) · recorder (restart it) · dataplane (restart
 * it) · mute (control stays silent) · stats · stop.
 */
#include "fake_box.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLABS 2048
#define SLAB_BYTES 8192
#define RECORD_SLABS 256
#define RECORD_SLAB_BYTES (72 * 1024)

static struct fake_control control;
static struct fake_wire wire;
static struct slab_consumer *recorder;
static struct rpc_link worker_link;
static pid_t worker_pid;
static int own_bell, worker_bell;
static uint32_t epoch = 1;
static uint64_t blocks, opens, closes, reopens;

static void die(const char *what)
{
	fprintf(stderr, "fake_box: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		die("dup");
	return copy;
}

static void spawn(const char *path)
{
	int pair[2];

	if (rpc_pair(pair) != 0)
		die("socketpair");
	worker_pid = fork();
	if (worker_pid == 0) {
		dup2(pair[1], RPC_SUPERVISOR_FD);
		/* Nothing else is the worker's: the rest closes on exec. */
		(void)fcntl(RPC_SUPERVISOR_FD, F_SETFD, 0);
		execl(path, "reeve-sshterm", "0", NULL);
		_exit(127);
	}
	close(pair[1]);
	if (rpc_link_open(&worker_link, pair[0], RPC_SSHTERM, 0, 1) != 0)
		die("link");
}

static void attach_slab(enum rpc_role role, enum rpc_lane lane, enum rpc_side side, int memfd)
{
	int fds[2] = {memfd, own_bell};

	(void)RPC_SEND_FDS(&worker_link, SUP_ATTACH_SLAB, sup_attach_slab, 0, rpc_next_id(&worker_link), fds,
	    2, .role = (uint8_t)role, .index = 0, .lcore = 0, .lane = (uint8_t)lane, .side = (uint8_t)side,
	    .epoch = epoch);
}

static void attach_dataplane(void)
{
	int in = slab_create(SLABS, SLAB_BYTES, epoch), out = slab_create(SLABS, SLAB_BYTES, epoch);

	if (in < 0 || out < 0)
		die("slab_create");
	attach_slab(RPC_DATAPLANE, RPC_LANE_TO_WORKER, RPC_SIDE_CONSUMER, in);
	attach_slab(RPC_DATAPLANE, RPC_LANE_TO_DATAPLANE, RPC_SIDE_PRODUCER, out);
	if (slab_producer_open(&wire.to_worker, in, duplicate(worker_bell)) != 0 ||
	    slab_consumer_open(&wire.from_worker, out, duplicate(worker_bell)) != 0)
		die("slab open");
}

static void attach_recorder(void)
{
	int fd = slab_create(RECORD_SLABS, RECORD_SLAB_BYTES, epoch);

	if (fd < 0)
		die("slab_create");
	attach_slab(RPC_RECORDER, RPC_LANE_TO_RECORDER, RPC_SIDE_PRODUCER, fd);
	if (slab_consumer_open(&recorder, fd, duplicate(worker_bell)) != 0)
		die("slab open");
}

static void attach_control(void)
{
	int pair[2];

	if (rpc_pair(pair) != 0)
		die("socketpair");
	(void)RPC_SEND_FDS(&worker_link, SUP_ATTACH_RPC, sup_attach_rpc, 0, rpc_next_id(&worker_link),
	    &pair[1], 1, .role = RPC_CONTROL, .index = 0, .epoch = epoch);
	close(pair[1]);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	if (rpc_link_open(&control.link, pair[0], RPC_SSHTERM, 0, epoch) != 0)
		die("link");
}

static void start_worker(const char *path, uint32_t grace_s)
{
	struct rpc_message message;

	spawn(path);
	(void)RPC_SEND(&worker_link, SUP_CONFIG_SSHTERM, sup_config_sshterm, 0, rpc_next_id(&worker_link),
	    .worker = 0, .core = 0, .idle = 0, .sessions = 1000, .login_grace_s = grace_s, .lcores = 1);
	(void)RPC_SEND_FDS(&worker_link, SUP_ATTACH_BELL, sup_attach_bell, 0, rpc_next_id(&worker_link),
	    &worker_bell, 1, .lcore = 0);
	attach_dataplane();
	attach_recorder();
	attach_control();
	(void)RPC_SEND(&worker_link, SUP_START, sup_start, 0, rpc_next_id(&worker_link), .reserved = 0);
	if (rpc_receive(&worker_link, &message) != 1 || message.type != RPC_SUP_READY)
		die("the worker is not ready");
	(void)fcntl(worker_link.fd, F_SETFL, O_NONBLOCK);
}

/* -- the recorder: acknowledges -- */
static void recorder_turn(void)
{
	struct slab_desc desc;
	const uint8_t *bytes;

	while (recorder != NULL && slab_get(recorder, &desc, &bytes)) {
		if (desc.type == SLAB_REC_OPEN) {
			opens++;
			reopens += memmem(bytes, desc.len, "\"resume\":true", 13) != NULL ||
			           memmem(bytes, desc.len, "\"resume\": true", 14) != NULL;
		}
		blocks += desc.type == SLAB_REC_BLOCK;
		closes += desc.type == SLAB_REC_CLOSE;
		slab_return(recorder, desc.slab, 0);
	}
	if (recorder != NULL)
		slab_consumer_publish(recorder);
}

/* -- commands -- */
static void peer_down(enum rpc_role role)
{
	(void)RPC_SEND(&worker_link, SUP_PEER, sup_peer, 0, rpc_next_id(&worker_link), .role = (uint8_t)role,
	    .index = 0, .up = 0);
}

static void restart(enum rpc_role role)
{
	epoch++;
	peer_down(role);
	if (role == RPC_CONTROL) {
		rpc_link_close(&control.link);
		usleep(300000);
		attach_control();
	} else if (role == RPC_RECORDER) {
		slab_consumer_close(recorder);
		attach_recorder();
	} else {
		fake_wire_drop(&wire);
		slab_producer_close(wire.to_worker);
		slab_consumer_close(wire.from_worker);
		attach_dataplane();
	}
}

static bool command(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "kill ", 5) == 0)
		fake_control_kill_all(&control, line + 5);
	else if (strcmp(line, "control") == 0)
		restart(RPC_CONTROL);
	else if (strcmp(line, "recorder") == 0)
		restart(RPC_RECORDER);
	else if (strcmp(line, "dataplane") == 0)
		restart(RPC_DATAPLANE);
	else if (strcmp(line, "mute") == 0)
		control.mute = true;
	else if (strcmp(line, "changed") == 0)
		control.target_changed = true;
	else if (strcmp(line, "stats") == 0)
		(void)RPC_SEND(&control.link, STATS, stats, 0, rpc_next_id(&control.link), .reserved = 0);
	else if (strcmp(line, "stop") == 0)
		(void)RPC_SEND(
		    &worker_link, SUP_STOP, sup_stop, 0, rpc_next_id(&worker_link), .grace_ms = 30000);
	else
		return false;
	return true;
}

static void read_commands(void)
{
	static char text[1024];
	static size_t used;
	ssize_t got = read(0, text + used, sizeof(text) - 1 - used);
	char *end;

	if (got == 0)
		exit(0); /* the test is gone */
	used += got > 0 ? (size_t)got : 0;
	text[used] = '\0';
	while ((end = strchr(text, '\n')) != NULL) {
		char line[1024];
		size_t len = (size_t)(end - text) + 1;
		memcpy(line, text, len);
		line[len] = '\0';
		if (!command(line))
			printf("unknown command %s\n", line);
		memmove(text, end + 1, used - len + 1);
		used -= len;
	}
}

static void sleep_for_work(void)
{
	struct pollfd fds[5 + 2 * FAKE_FLOWS_MAX] = {{.fd = wire.listener, .events = POLLIN},
	    {.fd = own_bell, .events = POLLIN}, {.fd = control.link.fd, .events = POLLIN},
	    {.fd = worker_link.fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	nfds_t count = 5;
	uint64_t rung;

	for (unsigned i = 0; i < FAKE_FLOWS_MAX; i++) {
		for (int side = 0; wire.flows[i].used && side < 2; side++) {
			const struct fake_leg *leg = &wire.flows[i].leg[side];
			bool reads = !leg->eof_told && leg->sent - leg->consumed < wire.receive_credit;
			fds[count++] = (struct pollfd){.fd = leg->fd,
			    .events = (short)((reads ? POLLIN : 0) | (leg->pending_count > 0 ? POLLOUT : 0))};
			if (fds[count - 1].events == 0)
				fds[count - 1].fd = -1;
		}
	}
	slab_producer_asleep(wire.to_worker, true);
	slab_consumer_asleep(wire.from_worker, true);
	slab_consumer_asleep(recorder, true);
	bool ready = slab_producer_ready(wire.to_worker) || slab_consumer_ready(wire.from_worker) ||
	             slab_consumer_ready(recorder);
	(void)poll(fds, count, ready ? 0 : 100);
	if ((fds[0].revents & POLLIN) != 0)
		fake_wire_accept(&wire);
	if ((fds[1].revents & POLLIN) != 0 && read(own_bell, &rung, sizeof(rung)) < 0)
		die("bell");
	if ((fds[4].revents & (POLLIN | POLLHUP)) != 0)
		read_commands();
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 64) != 0)
		die("listen");
	return fd;
}

static void write_line(const char *directory, const char *name, const struct fake_key *key)
{
	char path[512], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fake_key_line(key, name, line, sizeof(line));
	file = fopen(path, "w");
	if (file == NULL)
		die(path);
	fprintf(file, "%s\n", line);
	fclose(file);
}

static void read_keys(const char *directory)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/enrolled.pub", directory);
	if (fake_key_file(path, control.enrolled, &control.enrolled_len) != 0)
		die(path);
	snprintf(path, sizeof(path), "%s/client-ca.pub", directory);
	(void)fake_key_file(path, control.client_ca, &control.client_ca_len);
	write_line(directory, "user-ca.pub", &control.ca);
	write_line(directory, "host.pub", &control.host);
}

/* Numbers of enum rpc_origin_auth. */
static void read_ways(char *list)
{
	control.origin_auth_count = 0;
	for (char *way = strtok(list, ","); way != NULL && control.origin_auth_count < RPC_ORIGIN_AUTHS_MAX;
	     way = strtok(NULL, ","))
		control.origin_auth[control.origin_auth_count++] = (uint8_t)atoi(way);
}

static int run(void)
{
	int status = 0;

	for (;;) {
		fake_wire_turn(&wire);
		recorder_turn();
		(void)fake_control_turn(&control);
		if (waitpid(worker_pid, &status, WNOHANG) == worker_pid)
			break;
		sleep_for_work();
	}
	fake_wire_turn(&wire);
	recorder_turn();
	(void)fake_control_turn(&control);
	printf("worker exit %d signal %d opens %llu reopens %llu blocks %llu closes %llu\n",
	    WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	    (unsigned long long)opens, (unsigned long long)reopens, (unsigned long long)blocks,
	    (unsigned long long)closes);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

struct options {
	const char *worker, *keys;
	uint16_t port;
	uint32_t grace_s;
};

static bool take_option(int option, struct options *options)
{
	switch (option) {
	case 'w':
		options->worker = optarg;
		break;
	case 'l':
		options->port = (uint16_t)atoi(optarg);
		break;
	case 'o':
		wire.origin_port = (uint16_t)atoi(optarg);
		break;
	case 'k':
		options->keys = optarg;
		break;
	case 'g':
		options->grace_s = (uint32_t)atoi(optarg);
		break;
	case 's':
		control.recording = RPC_RECORDING_STRICT;
		break;
	case 'n':
		control.recording = RPC_RECORDING_NONE;
		break;
	case 'p':
		control.permits = (uint32_t)strtoul(optarg, NULL, 0);
		break;
	case 'c':
		control.target_changed = true;
		break;
	case 'i':
		control.identities = (uint32_t)strtoul(optarg, NULL, 0);
		break;
	case 'a':
		read_ways(optarg);
		break;
	case 't':
		snprintf(control.notice, sizeof(control.notice), "%s", optarg);
		break;
	case 'f':
		control.second_factor = true;
		break;
	case 'm':
		control.attempts = (unsigned)atoi(optarg);
		break;
	default:
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"worker", 1, NULL, 'w'}, {"listen", 1, NULL, 'l'},
	    {"origin", 1, NULL, 'o'}, {"keys", 1, NULL, 'k'}, {"grace", 1, NULL, 'g'},
	    {"strict", 0, NULL, 's'}, {"no-recording", 0, NULL, 'n'}, {"permits", 1, NULL, 'p'},
	    {"changed", 0, NULL, 'c'}, {"identities", 1, NULL, 'i'}, {"origin-auth", 1, NULL, 'a'},
	    {"notice", 1, NULL, 't'}, {"totp", 0, NULL, 'f'}, {"attempts", 1, NULL, 'm'}, {NULL, 0, NULL, 0}};
	struct options given = {.keys = ".", .grace_s = 10};
	int option;

	signal(SIGPIPE, SIG_IGN);
	fake_control_init(&control);
	wire.receive_credit = 128 * 1024;
	wire.send_credit = 32;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!take_option(option, &given))
			return 2;
	}
	if (given.worker == NULL || given.port == 0) {
		fprintf(stderr, "fake_box: --worker and --listen are missing\n");
		return 2;
	}
	control.login_grace_s = given.grace_s;
	read_keys(given.keys);
	own_bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker_bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	wire.listener = listen_on(given.port);
	start_worker(given.worker, given.grace_s);
	printf("ready\n");
	fflush(stdout);
	return run();
}
