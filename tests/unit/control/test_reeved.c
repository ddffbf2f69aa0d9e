/* SPDX-License-Identifier: Apache-2.0 */
/* reeved, the real executable, over stand-in children: start, each role's death, orderly stop, bad input. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/control/folder.h"

#define LOG_MAX (1 << 20)
/* How long what must happen may take on a machine that has much else to do. */
#define PATIENCE_S 60.0
/* What a stop gives the workers: more than any of them takes, however busy the machine. */
#define STOP_GRACE_S 30

struct lab {
	char directory[64];
	pid_t reeved;
	char *log;
};

static char *path_in(const struct lab *lab, const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", lab->directory, name);
	return path;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert(file != NULL, "%s: %s", path, strerror(errno));
	fputs(text, file);
	fclose(file);
}

static void write_settings(const struct lab *lab, const char *eal)
{
	char text[2048];

	snprintf(text, sizeof(text),
	    "control: {socket: %s/control.sock, state: %s/state, stop_grace: %us}\n"
	    "dataplane:\n"
	    "  lcores: [0]\n"
	    "  eal: [\"--no-huge\", \"-m\", \"16\"%s]\n"
	    "  links:\n"
	    "    - {name: lab, inside: \"net_null0\", outside: \"net_null1\"}\n"
	    "sshterm: {cores: [0, 0]}\n"
	    "recorder: {directory: %s/recordings, recipients: [%s/key.pub]}\n"
	    "policy: %s/policy.yaml\n",
	    lab->directory, lab->directory, STOP_GRACE_S, eal, lab->directory, lab->directory,
	    lab->directory);
	write_file(path_in(lab, "reeved.yaml"), text);
}

static void lab_up(struct lab *lab, const char *eal)
{
	static const char *const names[] = {"control", "keeper", "dataplane", "sshterm", "recorder"};
	char path[256];

	*lab = (struct lab){.directory = "/tmp/reeve-supervisor-XXXXXX", .log = malloc(LOG_MAX)};
	cr_assert(mkdtemp(lab->directory) != NULL);
	mkdir(path_in(lab, "libexec"), 0755);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/libexec/reeve-%s", lab->directory, names[i]);
		cr_assert_eq(symlink(STAND_IN, path), 0);
	}
	write_file(path_in(lab, "key.pub"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
	write_file(path_in(lab, "policy.yaml"), "default: allow\n");
	write_settings(lab, eal);
}

static pid_t start(const struct lab *lab, const char *log)
{
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(path_in(lab, log), O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		unsetenv("PORTREEVE_LOG");
		execl(REEVED, "reeved", "-c", path_in(lab, "reeved.yaml"), "--libexec",
		    path_in(lab, "libexec"), NULL);
		_exit(127);
	}
	return pid;
}

static const char *read_log(struct lab *lab)
{
	FILE *file = fopen(path_in(lab, "log"), "r");
	size_t len = file == NULL ? 0 : fread(lab->log, 1, LOG_MAX - 1, file);

	lab->log[len] = '\0';
	if (file != NULL)
		fclose(file);
	return lab->log;
}

static unsigned occurrences(const char *text, const char *what)
{
	unsigned count = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
		count++;
	return count;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Waits until `what` stands in the log `times` times; returns the seconds it took. */
static double wait_log(struct lab *lab, const char *what, unsigned times)
{
	double begun = now();

	while (occurrences(read_log(lab), what) < times) {
		cr_assert(now() - begun < PATIENCE_S, "expected %u × \"%s\", got %u in %.0f s; the log:\n%s",
		    times, what, occurrences(lab->log, what), PATIENCE_S, lab->log);
		usleep(5000);
	}
	return now() - begun;
}

/* Starts reeved; returns when all is up. */
static void bring_up(struct lab *lab)
{
	lab->reeved = start(lab, "log");
	wait_log(lab, "notice: ready", 1);
}

/* Waits for reeved's end; its exit status, or 1000 + signal. */
static int wait_end(struct lab *lab)
{
	double begun = now();
	int status = 0;

	while (waitpid(lab->reeved, &status, WNOHANG) == 0) {
		if (now() - begun > PATIENCE_S) {
			kill(lab->reeved, SIGKILL);
			waitpid(lab->reeved, &status, 0);
			cr_assert_fail(
			    "reeved did not end in %.0f s; the log:\n%s", PATIENCE_S, read_log(lab));
		}
		usleep(5000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void lab_down(struct lab *lab)
{
	folder_remove(lab->directory);
	free(lab->log);
}

/* The pid that the log names last for a child: "NAME started, pid N". */
static pid_t pid_of(struct lab *lab, const char *name)
{
	char what[64];
	pid_t pid = 0;

	snprintf(what, sizeof(what), "reeved: info: %s started, pid ", name);
	read_log(lab);
	for (const char *at = lab->log; (at = strstr(at, what)) != NULL; at += strlen(what))
		pid = atoi(at + strlen(what));
	cr_assert(pid > 0, "no pid of %s in the log:\n%s", name, lab->log);
	return pid;
}

static bool alive(pid_t pid)
{
	return kill(pid, 0) == 0;
}

Test(reeved, starts_connects_and_stops, .timeout = 300)
{
	struct lab lab;
	lab_up(&lab, "");
	lab.reeved = start(&lab, "log");
	wait_log(&lab, "reeved: notice: ready: 1 link, 1 lcore, 2 workers", 1);
	/* Each child: descriptors 0 to 3 and PATH, nothing else. */
	cr_expect_eq(occurrences(lab.log, "trace: start fds=4 env=1"), 6, "%s", lab.log);
	cr_expect(strstr(lab.log, "reeve-control: info: trace: config recipients=1 workers=2") != NULL);
	cr_expect(strstr(lab.log, "reeve-keeper: info: trace: config directory=1") != NULL);
	cr_expect(strstr(lab.log, "reeve-dataplane: info: trace: config mtu=1500 flows=65536") != NULL);
	cr_expect(strstr(lab.log, "reeve-sshterm[1]: info: trace: config worker=1 core=0") != NULL);
	/* Links: control with all five others, both ends with the first epoch. */
	cr_expect_eq(occurrences(lab.log, "reeve-control: info: trace: rpc "), 5);
	cr_expect_eq(occurrences(lab.log, "trace: rpc control[0] epoch=1"), 5);
	/* Channels: both lanes for each worker at both ends, and one each to the recorder. */
	cr_expect_eq(occurrences(lab.log, "reeve-dataplane: info: trace: slab sshterm["), 4);
	cr_expect_eq(occurrences(lab.log, "trace: slab dataplane[0] lcore=0"), 4);
	cr_expect_eq(occurrences(lab.log, "lane=3 side=1 epoch=1"), 2);
	cr_expect_eq(occurrences(lab.log, "lane=3 side=2 epoch=1"), 2);
	cr_expect_eq(occurrences(lab.log, "trace: bell"), 4);
	/* They carry. */
	wait_log(&lab, "reeve-keeper: info: trace: KEY_HOST from control", 1);
	wait_log(&lab, "reeve-control: info: trace: KEY_HOST_REPLY from keeper", 1);
	wait_log(&lab, "trace: worker 0 says hello", 1);
	wait_log(&lab, "trace: worker 1 says hello", 1);
	cr_expect(access(path_in(&lab, "control.sock"), F_OK) == 0);

	/* A second one on the same state is refused and does no harm. */
	pid_t second = start(&lab, "second");
	int status;
	waitpid(second, &status, 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	cr_expect(access(path_in(&lab, "control.sock"), F_OK) == 0);

	kill(lab.reeved, SIGHUP);
	wait_log(&lab, "SIGHUP changes nothing", 1);
	pid_t keeper = pid_of(&lab, "reeve-keeper");
	const pid_t workers[] = {pid_of(&lab, "reeve-sshterm[0]"), pid_of(&lab, "reeve-sshterm[1]")};
	double told = now();
	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0);
	/* They end because they were told, and not because their time was up. */
	double took = now() - told;
	cr_expect_lt(took, STOP_GRACE_S / 2.0, "the stop took %.1f s", took);
	read_log(&lab);
	for (unsigned i = 0; i < 2; i++) {
		char what[80];
		snprintf(
		    what, sizeof(what), "reeve-sshterm[%u] (pid %d) did not stop in time", i, workers[i]);
		cr_expect(strstr(lab.log, what) == NULL, "%s", lab.log);
	}
	cr_expect_eq(occurrences(lab.log, "trace: stop"), 6);
	/* In order: workers, recorder, control, keeper, dataplane. */
	const char *at = lab.log;
	static const char *const order[] = {
	    "reeve-sshterm[", "reeve-recorder", "reeve-control", "reeve-keeper", "reeve-dataplane", NULL};
	for (unsigned i = 0; order[i] != NULL; i++) {
		char what[64];
		snprintf(what, sizeof(what), "%s%s", order[i],
		    i == 0 ? "0]: info: trace: stop" : ": info: trace: stop");
		const char *next = strstr(at, what);
		cr_expect(next != NULL, "expected \"%s\" after the one before it:\n%s", what, lab.log);
		at = next != NULL ? next : at;
	}
	cr_expect(access(path_in(&lab, "control.sock"), F_OK) != 0, "the socket is still there");
	cr_expect(access(path_in(&lab, "control.sock.lock"), F_OK) != 0, "the socket's lock is still there");
	cr_expect_not(alive(keeper));
	lab_down(&lab);
}

/* Between the deaths of a child that keeps dying. */
#define RESTART_SPACING_S 1.0

static const struct victim {
	const char *name;     /* who is killed */
	const char *role;     /* as peers are told */
	const char *survivor; /* who must get something new … */
	const char *attached; /* … this, with the second epoch */
} victims[] = {
    {"reeve-sshterm[0]", "sshterm[0]", "reeve-dataplane", "slab sshterm[0] lcore=0 lane=1 side=1"},
    {"reeve-recorder", "recorder[0]", "reeve-sshterm[1]", "slab recorder[0] lcore=0 lane=3 side=1"},
    {"reeve-control", "control[0]", "reeve-keeper", "rpc control[0]"},
    {"reeve-keeper", "keeper[0]", "reeve-control", "rpc keeper[0]"},
    {"reeve-dataplane", "dataplane[0]", "reeve-sshterm[0]", "slab dataplane[0] lcore=0 lane=2 side=1"},
};

/* Kills a child that has run `runs` times; the seconds until its successor had a process. What that takes
 * until it is ready says how fast the machine is, and nothing of when it was started. */
static double death_to_successor(struct lab *lab, const char *name, unsigned runs)
{
	char what[64];

	snprintf(what, sizeof(what), "reeved: info: %s started, pid ", name);
	pid_t pid = pid_of(lab, name);
	double killed = now();
	kill(pid, SIGKILL);
	wait_log(lab, what, runs + 1);
	double took = now() - killed;
	snprintf(what, sizeof(what), "reeved: info: %s is ready", name);
	wait_log(lab, what, runs + 1);
	return took;
}

/* Kills one and looks at what becomes of it and the others; the seconds until the next was started. */
static double restart_of(const struct victim *victim)
{
	struct lab lab;
	char what[160];
	lab_up(&lab, "");
	bring_up(&lab);
	pid_t before = pid_of(&lab, victim->name);
	unsigned others = occurrences(lab.log, " started, pid ");
	cr_assert_eq(others, 6);

	double took = death_to_successor(&lab, victim->name, 1);
	cr_expect(strstr(lab.log, "; starting it again\n") != NULL, "%s", lab.log);
	/* Survivors: told of the death, then given fresh ends, then told that it is up. */
	snprintf(what, sizeof(what), "%s: info: trace: peer %s down", victim->survivor, victim->role);
	wait_log(&lab, what, 1);
	snprintf(what, sizeof(what), "%s: info: trace: %s epoch=2", victim->survivor, victim->attached);
	wait_log(&lab, what, 1);
	snprintf(what, sizeof(what), "%s: info: trace: peer %s up", victim->survivor, victim->role);
	wait_log(&lab, what, 2);
	/* The new one knows who is there: the five others. */
	pid_t after = pid_of(&lab, victim->name);
	cr_expect_neq(before, after);
	cr_expect_eq(occurrences(lab.log, " started, pid "), others + 1,
	    "somebody else was restarted too:\n%s", lab.log);
	cr_expect(strstr(lab.log, "was killed by signal 9 (KILL)") != NULL ||
	          strcmp(victim->role, "dataplane[0]") == 0);
	wait_log(&lab, "trace: worker 0 says hello", 1);
	cr_expect_not(alive(before));

	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0, "%s", victim->name);
	cr_expect_not(alive(after));
	lab_down(&lab);
	return took;
}

Test(reeved, each_role_is_restarted_at_once, .timeout = 300)
{
	for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
		double took = INFINITY;
		/* The machine may have something else to do, but not each time. */
		for (unsigned tries = 0; tries < 5 && took >= RESTART_SPACING_S; tries++)
			took = restart_of(&victims[i]);
		cr_expect_lt(took, RESTART_SPACING_S, "%s: expected at once, its successor came after %.2f s",
		    victims[i].name, took);
	}
}

Test(reeved, a_new_dataplane_gets_a_new_generation, .timeout = 300)
{
	struct lab lab;
	unsigned first = 0, second = 0;
	lab_up(&lab, "");
	bring_up(&lab);
	kill(pid_of(&lab, "reeve-dataplane"), SIGKILL);
	wait_log(&lab, "generation=", 2);
	const char *at = strstr(lab.log, "generation=");
	sscanf(at, "generation=%u", &first);
	sscanf(strstr(at + 1, "generation="), "generation=%u", &second);
	cr_expect_eq(second, first + 1);
	kill(lab.reeved, SIGTERM);
	wait_end(&lab);
	lab_down(&lab);
}

Test(reeved, who_keeps_dying_is_restarted_once_a_second, .timeout = 300)
{
	struct lab lab;
	lab_up(&lab, "");
	bring_up(&lab);
	double took = 0;
	for (unsigned i = 1; i <= 4; i++) {
		cr_expect(strstr(lab.log, "starting it again in a second") == NULL, "after %u deaths", i - 1);
		took = death_to_successor(&lab, "reeve-recorder", i);
	}
	cr_expect(strstr(lab.log, "starting it again in a second") != NULL, "%s", lab.log);
	cr_expect_geq(took, RESTART_SPACING_S, "expected a second's pause, took %.2f s", took);
	/* More may be the machine's doing, but not each time. */
	for (unsigned i = 5; i <= 8 && took >= 2 * RESTART_SPACING_S; i++)
		took = death_to_successor(&lab, "reeve-recorder", i);
	cr_expect_lt(took, 2 * RESTART_SPACING_S, "expected a second's pause, took %.2f s", took);
	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0);
	lab_down(&lab);
}

Test(reeved, misbehaviour, .timeout = 300)
{
	struct lab lab;
	/* A dataplane that cannot start: one clear line, everything stops. */
	lab_up(&lab, ", --test-exit");
	lab.reeved = start(&lab, "log");
	cr_expect_eq(wait_end(&lab), 1);
	cr_expect(strstr(read_log(&lab), "exited with status 1 before it was ready: giving up") != NULL, "%s",
	    lab.log);
	cr_expect(access(path_in(&lab, "control.sock"), F_OK) != 0);
	lab_down(&lab);
	/* One that says what it may not. */
	lab_up(&lab, ", --test-babble");
	lab.reeved = start(&lab, "log");
	wait_log(&lab, "sent what it may not send; killing it", 2);
	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0);
	lab_down(&lab);
	/* A worker that another process blames is ended, once: the blame of its successor is an old one. */
	lab_up(&lab, ", --test-blame");
	lab.reeved = start(&lab, "log");
	wait_log(&lab, "broke the rules towards dataplane; killing it", 1);
	wait_log(&lab, "reeve-dataplane: info: trace: peer sshterm[0] up", 2);
	usleep(500000);
	cr_expect_eq(occurrences(read_log(&lab), "broke the rules"), 1, "%s", lab.log);
	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0);
	lab_down(&lab);
	/* One that does not stop. */
	lab_up(&lab, ", --test-deaf");
	bring_up(&lab);
	pid_t dataplane = pid_of(&lab, "reeve-dataplane");
	kill(lab.reeved, SIGINT);
	cr_expect_eq(wait_end(&lab), 0);
	cr_expect(strstr(read_log(&lab), "did not stop in time; killing it") != NULL, "%s", lab.log);
	cr_expect_not(alive(dataplane));
	lab_down(&lab);
	/* Or stops at once by the second signal, and not when its time is up. */
	lab_up(&lab, ", --test-deaf");
	bring_up(&lab);
	kill(lab.reeved, SIGTERM);
	wait_log(&lab, "reeve-dataplane: info: trace: stop", 1);
	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0);
	cr_expect(strstr(read_log(&lab), "did not stop in time") == NULL, "%s", lab.log);
	lab_down(&lab);
}

Test(reeved, own_death_takes_all_along, .timeout = 300)
{
	struct lab lab;
	static const char *const names[] = {"reeve-control", "reeve-keeper", "reeve-recorder",
	    "reeve-sshterm[0]", "reeve-sshterm[1]", "reeve-dataplane"};
	pid_t pids[6];
	lab_up(&lab, "");
	bring_up(&lab);
	for (unsigned i = 0; i < 6; i++)
		pids[i] = pid_of(&lab, names[i]);
	kill(lab.reeved, SIGKILL);
	wait_end(&lab);
	double begun = now();
	for (unsigned i = 0; i < 6; i++) {
		char stat_path[64], text[256] = "";
		/* Gone, or a zombie that waits for whoever adopts orphans here. */
		for (;;) {
			snprintf(stat_path, sizeof(stat_path), "/proc/%d/stat", pids[i]);
			FILE *file = fopen(stat_path, "r");
			if (file == NULL)
				break;
			size_t len = fread(text, 1, sizeof(text) - 1, file);
			fclose(file);
			text[len] = '\0';
			const char *state = strrchr(text, ')');
			if (state == NULL || state[2] == 'Z' || state[2] == 'X')
				break;
			cr_assert(now() - begun < PATIENCE_S, "%s outlived reeved", names[i]);
			usleep(5000);
		}
	}
	/* The next start clears what was left: a stale socket, locks that nobody holds. */
	lab.reeved = start(&lab, "log");
	wait_log(&lab, "notice: ready", 2);
	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0);
	lab_down(&lab);
}

Test(reeved, service_manager_is_told, .timeout = 300)
{
	struct lab lab;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char text[32] = "";
	lab_up(&lab, "");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_in(&lab, "notify"));
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	lab.reeved = start(&lab, "log");
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	cr_expect_eq(poll(&pfd, 1, 10000), 1);
	cr_expect_gt(recv(fd, text, sizeof(text) - 1, 0), 0);
	cr_expect_str_eq(text, "READY=1");
	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0);
	close(fd);
	lab_down(&lab);
}

static int shell(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Of this process alone: several runs may be under way. */
static char netns[40];

static void remove_netns(void)
{
	char command[80];

	snprintf(command, sizeof(command), "ip netns del %s", netns);
	if (netns[0] != '\0')
		shell(command);
}

/* Runs `command` in the namespace; what it prints. */
static const char *in_netns(const char *command)
{
	static char text[8192];
	char line[512];

	snprintf(line, sizeof(line), "ip netns exec %s %s 2>&1", netns, command);
	FILE *pipe = popen(line, "r");
	text[fread(text, 1, sizeof(text) - 1, pipe)] = '\0';
	pclose(pipe);
	return text;
}

/* The kernel falls silent on the ports: no ARP, no IPv6, no offload; their MTU is what the dataplane is told.
 */
Test(reeved, kernel_visible_ports_fall_silent, .fini = remove_netns, .timeout = 300)
{
	struct lab lab;
	char text[4096] = "", changed[4096];
	snprintf(netns, sizeof(netns), "reeve-supervisor-%d", (int)getpid());
	snprintf(text, sizeof(text), "ip netns add %s", netns);
	if (shell(text) != 0)
		cr_skip_test("needs root and network namespaces");
	snprintf(text, sizeof(text), "ip -n %s link add suputa mtu 1400 type veth peer name suputb mtu 1450",
	    netns);
	cr_assert_eq(shell(text), 0);
	lab_up(&lab, "");
	FILE *file = fopen(path_in(&lab, "reeved.yaml"), "r");
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	const char *at = strstr(text, "  links:");
	snprintf(changed, sizeof(changed),
	    "%.*s  netns: %s\n  links:\n    - {name: lab, inside: "
	    "\"net_af_packet0,iface=suputa\", outside: "
	    "\"net_af_packet1,iface=suputb\"}\n%s",
	    (int)(at - text), text, netns, strstr(text, "sshterm:"));
	write_file(path_in(&lab, "reeved.yaml"), changed);
	bring_up(&lab);
	cr_expect(strstr(lab.log, "trace: config mtu=1400 ") != NULL, "%s", lab.log);
	for (unsigned i = 0; i < 2; i++) {
		char command[128];
		snprintf(command, sizeof(command), "ip link show suput%c", 'a' + i);
		cr_expect(strstr(in_netns(command), "NOARP,PROMISC,UP") != NULL, "%s", in_netns(command));
		snprintf(command, sizeof(command), "ip addr show suput%c", 'a' + i);
		cr_expect(strstr(in_netns(command), "inet") == NULL, "%s", in_netns(command));
		snprintf(
		    command, sizeof(command), "cat /proc/sys/net/ipv6/conf/suput%c/disable_ipv6", 'a' + i);
		cr_expect_str_eq(in_netns(command), "1\n");
		snprintf(command, sizeof(command), "ethtool -k suput%c", 'a' + i);
		static const char *const off[] = {"\ntx-checksumming: off", "\n\ttx-tcp-segmentation: off",
		    "\ngeneric-receive-offload: off", "\ngeneric-segmentation-offload: off"};
		for (unsigned j = 0; access("/usr/sbin/ethtool", X_OK) == 0 && j < 4; j++)
			cr_expect(strstr(in_netns(command), off[j]) != NULL, "expected %s in %s", off[j],
			    in_netns(command));
	}
	kill(lab.reeved, SIGTERM);
	cr_expect_eq(wait_end(&lab), 0);
	/* An MTU that a port does not carry. */
	at = strstr(changed, "  links:");
	snprintf(text, sizeof(text), "%.*s  mtu: 1450\n%s", (int)(at - changed), changed, at);
	write_file(path_in(&lab, "reeved.yaml"), text);
	lab.reeved = start(&lab, "log");
	cr_expect_eq(wait_end(&lab), 1);
	cr_expect(
	    strstr(read_log(&lab), "dataplane.mtu is 1450, but interface 'suputa' carries 1400") != NULL);
	lab_down(&lab);
}

/* Exit status and words of what needs no rights and starts nothing. */
Test(reeved, words, .timeout = 300)
{
	struct lab lab;
	lab_up(&lab, "");
	static const struct {
		const char *arguments, *says;
		int status;
	} cases[] = {
	    {"--help", "usage: reeved -c FILE", 0},
	    {"--version", "reeved (Portreeve) ", 0},
	    {"-c reeved.yaml --check", "OK: 1 link, 1 lcore, 2 workers\n", 0},
	    {"-c none.yaml --check", "none.yaml: cannot read it: No such file or directory\n", 2},
	    {"-c policy.yaml --check", "policy.yaml:1:1: unknown key 'default'; expected one of control,", 2},
	    {"", "expected -c FILE", 2},
	    {"-c reeved.yaml more", "expected -c FILE", 2},
	    {"--nonsense", "reeved --help", 2},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char command[512], text[4096];
		snprintf(command, sizeof(command), "cd %s && %s %s 2>&1", lab.directory, REEVED,
		    cases[i].arguments);
		FILE *pipe = popen(command, "r");
		text[fread(text, 1, sizeof(text) - 1, pipe)] = '\0';
		int status = pclose(pipe);
		cr_expect_eq(WEXITSTATUS(status), cases[i].status, "'%s': expected status %d, got %d",
		    cases[i].arguments, cases[i].status, WEXITSTATUS(status));
		cr_expect(strstr(text, cases[i].says) != NULL, "'%s': expected \"%s\", got \"%s\"",
		    cases[i].arguments, cases[i].says, text);
	}
	lab_down(&lab);
}

/* What cannot run says so in one line before anything starts. */
Test(reeved, faults_found_before_the_start, .timeout = 300)
{
	struct lab lab;
	lab_up(&lab, "");
	unlink(path_in(&lab, "libexec/reeve-sshterm"));
	lab.reeved = start(&lab, "log");
	cr_expect_eq(wait_end(&lab), 1);
	cr_expect(strstr(read_log(&lab), "reeve-sshterm is not there: expected an executable") != NULL, "%s",
	    lab.log);
	lab_down(&lab);

	static const struct {
		const char *from, *to, *message;
		int status;
	} cases[] = {
	    {"-m\", \"16\"", "-m\", \"99999999\"", "too little memory:", 1},
	    {"lcores: [0]", "lcores: [0]\n  netns: no-such-netns",
	        "there is no network namespace 'no-such-netns'", 1},
	    {"net_null0", "net_af_xdp0,iface=nosuch0", "there is no interface 'nosuch0'", 1},
	    {"net_null0", "net_af_packet0,iface=lo", "interface 'lo' has an IPv4 address", 1},
	    {"/recordings,", "/policy.yaml/x,", "recorder.directory: cannot make a file in", 1},
	    {"/key.pub]", "/nokey.pub]", "cannot read the auditor's public key", 2},
	    {"/policy.yaml\n", "/nopolicy.yaml\n", "policy: cannot read", 1},
	    {"lcores", "lcore", "unknown key 'lcore'; expected one of netns, lcores,", 2},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[4096] = "", changed[4096];
		lab_up(&lab, "");
		FILE *file = fopen(path_in(&lab, "reeved.yaml"), "r");
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
		char *at = strstr(text, cases[i].from);
		cr_assert(at != NULL);
		snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, cases[i].to,
		    at + strlen(cases[i].from));
		write_file(path_in(&lab, "reeved.yaml"), changed);
		lab.reeved = start(&lab, "log");
		int status = wait_end(&lab);
		read_log(&lab);
		cr_expect_eq(status, cases[i].status, "case %zu: expected status %d, got %d", i,
		    cases[i].status, status);
		cr_expect(strstr(lab.log, cases[i].message) != NULL, "case %zu: expected \"%s\", got:\n%s", i,
		    cases[i].message, lab.log);
		cr_expect_eq(
		    occurrences(lab.log, "\n"), 1, "case %zu: expected one line, got:\n%s", i, lab.log);
		lab_down(&lab);
	}
}
