/* SPDX-License-Identifier: Apache-2.0 */
/* reeve-keeper, the real executable: start-up, confinement, restart; its certificates before OpenSSH's
 * judges. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "tests/unit/control/folder.h"

#define FORMER_SEED "host-previous.seed"

/* How long what must happen may take on a machine that has much else to do. */
#define PATIENCE_MS 60000

static char lab[FOLDER_PATH_SIZE];
static int directory;

struct process {
	pid_t pid;
	struct rpc_link supervisor, control;
	struct rpc_message reply;
};

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	folder_make(lab, "keeper-process");
	char path[128];
	snprintf(path, sizeof(path), "%s/keeper", lab);
	mkdir(path, 0700);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	close(directory);
	folder_remove(lab);
}

TestSuite(keeper_process, .init = setup, .fini = teardown, .timeout = 300);

static void attach_control(struct process *p)
{
	int fds[2];
	cr_assert_eq(rpc_pair(fds), 0);
	rpc_link_close(&p->control);
	cr_assert_eq(rpc_link_open(&p->control, fds[0], RPC_KEEPER, 0, 1), 0);
	cr_assert_eq(RPC_SEND_FDS(&p->supervisor, SUP_ATTACH_RPC, sup_attach_rpc, 0, 0, &fds[1], 1,
	                 .role = RPC_CONTROL, .epoch = 1),
	    0);
	close(fds[1]);
}

static void start_this(struct process *p, const char *executable)
{
	int fds[2];
	struct rpc_message message;
	*p = (struct process){.control = {.fd = -1}};
	cr_assert_eq(rpc_pair(fds), 0);
	p->pid = fork();
	if (p->pid == 0) {
		if (dup2(fds[1], RPC_SUPERVISOR_FD) != RPC_SUPERVISOR_FD)
			_exit(126);
		fcntl(RPC_SUPERVISOR_FD, F_SETFD, 0);
		execl(executable, "reeve-keeper", NULL);
		_exit(127);
	}
	close(fds[1]);
	cr_assert_eq(rpc_link_open(&p->supervisor, fds[0], RPC_KEEPER, 0, 1), 0);
	cr_assert_eq(RPC_SEND_FDS(&p->supervisor, SUP_CONFIG_KEEPER, sup_config_keeper, 0, 0, &directory, 1,
	                 .pkcs11_module = {0}),
	    0);
	attach_control(p);
	cr_assert_eq(RPC_SEND(&p->supervisor, SUP_START, sup_start, 0, 0, 0), 0);
	cr_assert_eq(rpc_receive(&p->supervisor, &message), 1, "the keeper did not start");
	cr_assert_eq(message.type, RPC_SUP_READY);
}

static void start(struct process *p)
{
	start_this(p, KEEPER);
}

static int finish(struct process *p)
{
	int status;
	RPC_SEND(&p->supervisor, SUP_STOP, sup_stop, 0, 0, .grace_ms = 1000);
	waitpid(p->pid, &status, 0);
	rpc_link_close(&p->supervisor);
	rpc_link_close(&p->control);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void call(struct process *p, uint16_t type, rpc_put_fn put, const void *body)
{
	static uint8_t room[RPC_MESSAGE_MAX];
	struct wire_out out = wire_into(room, sizeof(room));
	put(&out, body);
	/* Whoever makes an RSA key searches until there is one. */
	int error = rpc_call(&p->control, type, &out, PATIENCE_MS, &p->reply, NULL, NULL);
	cr_assert_eq(error, 0, "%s: %s", rpc_type_name(type), strerror(-error));
}

/* The CA's key that signs, as a line of a .pub file. */
static void ca_line_of(struct process *p, uint8_t ca, uint8_t action, uint8_t algorithm, char line[1024])
{
	struct rpc_key_ca_reply reply;
	char text[1000];
	call(p, RPC_KEY_CA, rpc_put_key_ca,
	    &(struct rpc_key_ca){.ca = ca, .action = action, .algorithm = algorithm});
	cr_assert(rpc_get_key_ca_reply(p->reply.body, &reply));
	cr_assert_eq(reply.error.len, 0, "%.*s", (int)reply.error.len, (const char *)reply.error.at);
	struct wire in = wire_over(reply.keys.at, reply.keys.len);
	for (uint8_t state = 0; state != RPC_CA_CURRENT;) {
		struct wire_span one = wire_string(&in);
		struct wire key = wire_over(one.at, one.len);
		cr_assert_not(in.failed, "no key signs");
		state = wire_u8(&key);
		wire_skip(&key, 16);
		struct wire_span blob = wire_string(&key);
		struct wire parts = wire_over(blob.at, blob.len);
		struct wire_span type = wire_string(&parts);
		sodium_bin2base64(text, sizeof(text), blob.at, blob.len, sodium_base64_VARIANT_ORIGINAL);
		snprintf(line, 1024, "%.*s %s", (int)type.len, (const char *)type.at, text);
	}
}

static void ca_line(struct process *p, uint8_t ca, uint8_t action, char line[1024])
{
	ca_line_of(p, ca, action, RPC_CA_ED25519, line);
}

static void say_live(struct process *p, const char *session_id)
{
	cr_assert_eq(
	    RPC_SEND(&p->control, KEY_SESSION, key_session, 0, 0, .session_id = wire_span_of(session_id),
	        .target_id = wire_span_of("target"), .live = 1),
	    0);
}

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...)
{
	char command[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void read_text(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t len = file == NULL ? 0 : fread(text, 1, size - 1, file);
	text[len] = '\0';
	if (file != NULL)
		fclose(file);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	cr_assert(file != NULL);
	fputs(text, file);
	fclose(file);
}

/* A key of `type` in lab/id, and its certificate by the user CA in lab/id-cert.pub. */
static void certify(struct process *p, const char *type, const char *principal, const char *command)
{
	char path[128], text[8192], encoded[8192], line[20000];
	uint8_t blob[4096], names[128];
	size_t len;
	struct rpc_key_certify_reply reply;
	struct wire_out principals = wire_into(names, sizeof(names));

	shell("rm -f %s/id*; ssh-keygen -q -t %s -N '' -C test -f %s/id", lab, type, lab);
	snprintf(path, sizeof(path), "%s/id.pub", lab);
	read_text(path, text, sizeof(text));
	char *space = strchr(text, ' ');
	cr_assert(space != NULL);
	*space = '\0';
	*strchr(space + 1, ' ') = '\0';
	cr_assert_eq(sodium_base642bin(blob, sizeof(blob), space + 1, strlen(space + 1), NULL, &len, NULL,
	                 sodium_base64_VARIANT_ORIGINAL),
	    0);
	wire_put_cstring(&principals, principal);
	uint64_t now = (uint64_t)time(NULL);
	call(p, RPC_KEY_CERTIFY, rpc_put_key_certify,
	    &(struct rpc_key_certify){.ca = RPC_CA_USER,
	        .session_id = wire_span_of("s1"),
	        .public_key = {blob, len},
	        .key_id = wire_span_of("alice via portreeve"),
	        .principals = {names, wire_written(&principals)},
	        .valid_after = now - 60,
	        .valid_before = now + 300,
	        .source_address = wire_span_of("127.0.0.0/8"),
	        .force_command = wire_span_of(command),
	        .permits = RPC_PERMIT_PTY | RPC_PERMIT_AGENT_FORWARDING,
	        .serial = 7});
	cr_assert(rpc_get_key_certify_reply(p->reply.body, &reply));
	cr_assert_eq(reply.error.len, 0, "%.*s", (int)reply.error.len, (const char *)reply.error.at);
	sodium_bin2base64(encoded, sizeof(encoded), reply.certificate.at, reply.certificate.len,
	    sodium_base64_VARIANT_ORIGINAL);
	snprintf(line, sizeof(line), "%s-cert-v01@openssh.com %s test\n", text, encoded);
	snprintf(path, sizeof(path), "%s/id-cert.pub", lab);
	write_text(path, line);
}

Test(keeper_process, ssh_keygen_reads_the_certificates)
{
	static const char *const types[] = {
	    "ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048"};
	static const char *const lines[] = {"user certificate", "Key ID: \"alice via portreeve\"",
	    "Serial: 7", "        Principals: \n                root", "force-command /bin/true",
	    "source-address 127.0.0.0/8",
	    "Extensions: \n                permit-agent-forwarding\n                permit-pty\n"};
	struct process p;
	char line[1024], path[128], text[8192];
	start(&p);
	ca_line(&p, RPC_CA_USER, RPC_CA_CREATE, line);
	say_live(&p, "s1");
	for (unsigned i = 0; i < 5; i++) {
		certify(&p, types[i], "root", "/bin/true");
		cr_expect_eq(
		    shell("ssh-keygen -L -f %s/id-cert.pub > %s/shown 2>&1", lab, lab), 0, "%s", types[i]);
		snprintf(path, sizeof(path), "%s/shown", lab);
		read_text(path, text, sizeof(text));
		for (unsigned j = 0; j < 7; j++)
			cr_expect(strstr(text, lines[j]) != NULL, "%s: expected \"%s\" in\n%s", types[i],
			    lines[j], text);
	}
	cr_expect_eq(finish(&p), 0);
}

/* A port of the loopback that nobody else takes: in a network of this process's own, where there can be one.
 */
static unsigned free_port(void)
{
	if (unshare(CLONE_NEWNET) == 0 && shell("ip link set lo up") == 0)
		return 2222;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	close(fd);
	return ntohs(address.sin_port);
}

static bool wait_port(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons((uint16_t)port)};
	for (unsigned waited = 0; waited < PATIENCE_MS; waited += 20) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		int result = connect(fd, (struct sockaddr *)&address, sizeof(address));
		close(fd);
		if (result == 0)
			return true;
		usleep(20000);
	}
	return false;
}

static int ssh(unsigned port, const char *command)
{
	return shell(
	    "ssh -F none -n -p %u -i %s/id -o CertificateFile=%s/id-cert.pub -o IdentitiesOnly=yes "
	    "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
	    "root@127.0.0.1 '%s' > %s/out 2>&1",
	    port, lab, lab, command, lab);
}

Test(keeper_process, sshd_lets_its_certificates_in)
{
	struct process p;
	char line[1024], path[128], text[1024], config[1024];

	if (geteuid() != 0 || access("/usr/sbin/sshd", X_OK) != 0)
		cr_skip_test("needs root and sshd");
	unsigned port = free_port();
	start(&p);
	ca_line(&p, RPC_CA_USER, RPC_CA_CREATE, line);
	say_live(&p, "s1");
	snprintf(path, sizeof(path), "%s/ca.pub", lab);
	write_text(path, line);
	cr_assert_eq(shell("ssh-keygen -q -t ed25519 -N '' -f %s/host && mkdir -p /run/sshd", lab), 0);
	snprintf(config, sizeof(config),
	    "Port %u\nListenAddress 127.0.0.1\nHostKey %s/host\nTrustedUserCAKeys %s/ca.pub\nUsePAM "
	    "no\nPidFile none\n"
	    "PermitRootLogin prohibit-password\nAuthorizedKeysFile none\nPasswordAuthentication "
	    "no\nStrictModes no\n",
	    port, lab, lab);
	snprintf(path, sizeof(path), "%s/sshd_config", lab);
	write_text(path, config);
	pid_t sshd = fork();
	if (sshd == 0) {
		execl("/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-q", "-f", path, NULL);
		_exit(127);
	}
	cr_assert(wait_port(port));
	snprintf(path, sizeof(path), "%s/out", lab);
	static const char *const types[] = {"ed25519", "ecdsa -b 256", "rsa -b 2048"};
	for (unsigned i = 0; i < 3; i++) {
		certify(&p, types[i], "root", "");
		int status = ssh(port, "echo in; exit 3");
		read_text(path, text, sizeof(text));
		cr_expect_eq(status, 3, "%s: expected status 3, got %d: %s", types[i], status, text);
		cr_expect_str_eq(text, "in\n");
	}
	/* The CA's other algorithms, each as the key that follows: sshd reads the file at each login. */
	static const uint8_t algorithms[] = {RPC_CA_ECDSA_P256, RPC_CA_RSA_3072};
	for (unsigned i = 0; i < 2; i++) {
		ca_line_of(&p, RPC_CA_USER, RPC_CA_ROTATE, algorithms[i], line);
		ca_line(&p, RPC_CA_USER, RPC_CA_COMMIT, line);
		snprintf(path, sizeof(path), "%s/ca.pub", lab);
		write_text(path, line);
		certify(&p, "ed25519", "root", "");
		int status = ssh(port, "exit 4");
		snprintf(path, sizeof(path), "%s/out", lab);
		read_text(path, text, sizeof(text));
		cr_expect_eq(status, 4, "CA %.20s: expected status 4, got %d: %s", line, status, text);
	}
	/* A forced command is forced; another principal is not let in. */
	certify(&p, "ed25519", "root", "echo forced");
	cr_expect_eq(ssh(port, "echo in"), 0);
	read_text(path, text, sizeof(text));
	cr_expect_str_eq(text, "forced\n");
	certify(&p, "ed25519", "alice", "");
	cr_expect_eq(ssh(port, "echo in"), 255);
	kill(sshd, SIGTERM);
	waitpid(sshd, NULL, 0);
	cr_expect_eq(finish(&p), 0);
}

/* No privilege, none to come by, and only the system calls of the filter; its status is left in `text`. */
static void expect_confined(pid_t pid, char text[4096])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	read_text(path, text, 4096);
	cr_expect(strstr(text, "NoNewPrivs:\t1") != NULL, "%s", text);
	cr_expect(strstr(text, "CapEff:\t0000000000000000") != NULL, "%s", text);
	cr_expect(strstr(text, "CapPrm:\t0000000000000000") != NULL, "%s", text);
	if (geteuid() == 0) /* others cannot take from it, and need not */
		cr_expect(strstr(text, "CapBnd:\t0000000000000000") != NULL, "%s", text);
#ifndef __SANITIZE_ADDRESS__
	cr_expect(strstr(text, "Seccomp:\t2") != NULL, "%s", text);
#endif
}

Test(keeper_process, it_is_confined)
{
	struct process p;
	char text[4096];
	start(&p);
	expect_confined(p.pid, text);
	cr_expect_eq(finish(&p), 0);
}

static void ask_host(struct process *p, uint32_t id, const char *target, const char *type)
{
	cr_assert_eq(RPC_SEND(&p->control, KEY_HOST, key_host, 0, id, .target_id = wire_span_of(target),
	                 .type = wire_span_of(type)),
	    0);
}

/* The id of the next answer; *error: does it say one? */
static uint32_t answered(struct process *p, bool *error)
{
	struct rpc_message message;
	struct rpc_key_host_reply reply;

	cr_assert_eq(rpc_receive(&p->control, &message), 1);
	cr_assert_eq(message.type, RPC_KEY_HOST_REPLY);
	cr_assert(rpc_get_key_host_reply(message.body, &reply));
	*error = reply.error.len > 0;
	return message.id;
}

static pid_t searcher_of(const struct process *p)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", p->pid, p->pid);
	read_text(path, text, sizeof(text));
	return (pid_t)atoi(text);
}

/* Is it there, and more than a zombie that waits for whoever adopts orphans here? */
static bool runs(pid_t pid)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return false;
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	const char *state = strrchr(text, ')');
	return state != NULL && state[2] != 'Z' && state[2] != 'X';
}

/* Magic number and version, nonce, tag; an entry: two names, two distances. */
#define HINTS_FILE_SIZE(entries) (9 + 24 + 16 + (entries) * (16 + 8 + 4 + 4))

/* The one that is searched for keeps nobody waiting but who asked for it, and what is too much is refused at
 * once. A new keeper knows what was found. */
Test(keeper_process, nobody_waits_for_another_s_rsa_host_key)
{
	struct process p;
	char target[32];
	struct stat hints;
	bool error, hints_there = false;

	start(&p);
	say_live(&p, "s1");
	kill(searcher_of(&p), SIGSTOP); /* no search ends before all have asked */
	for (uint32_t i = 1; i <= 8; i++) {
		snprintf(target, sizeof(target), "target %u", i);
		ask_host(&p, i, target, "ssh-rsa");
	}
	ask_host(&p, 9, "target 1", "ssh-rsa"); /* the same key again is no other search */
	ask_host(&p, 10, "target 9", "ssh-rsa");
	ask_host(&p, 11, "target 1", "ssh-ed25519");
	ask_host(&p, 12, "target 1", "ecdsa-sha2-nistp256");
	cr_expect_eq(answered(&p, &error), 10);
	cr_expect(error, "nine were taken");
	for (uint32_t id = 11; id <= 12; id++) {
		cr_expect_eq(answered(&p, &error), id);
		cr_expect_not(error);
	}
	kill(searcher_of(&p), SIGCONT);
	static const uint32_t order[] = {1, 9, 2, 3, 4, 5, 6, 7, 8};
	for (unsigned i = 0; i < 9; i++) {
		cr_expect_eq(answered(&p, &error), order[i]);
		cr_expect_not(error);
	}
	/* Written whenever it is idle for a moment: with some of them early, with all in the end. */
	for (unsigned waited = 0; waited < PATIENCE_MS && !hints_there; waited += 10, usleep(10000))
		hints_there = fstatat(directory, "host-rsa.hints", &hints, 0) == 0 &&
		              hints.st_size == HINTS_FILE_SIZE(8);
	cr_expect(hints_there);
	kill(p.pid, SIGKILL);
	finish(&p);
	start(&p);
	ask_host(&p, 1, "target 3", "ssh-rsa");
	ask_host(&p, 2, "target 1", "ssh-ed25519");
	cr_expect_eq(answered(&p, &error), 1, "it is searched for again");
	cr_expect_not(error);
	cr_expect_eq(answered(&p, &error), 2);
	/* Control is replaced while one is searched for: the next one is not told what it did not ask. */
	ask_host(&p, 7, "target 10", "ssh-rsa");
	attach_control(&p);
	ask_host(&p, 8, "target 10", "ssh-rsa");
	cr_expect_eq(answered(&p, &error), 8);
	cr_expect_not(error);
	cr_expect_eq(finish(&p), 0);
}

Test(keeper_process, the_searcher_is_confined_and_does_not_outlive_it)
{
	struct process p;
	char text[4096];
	bool error;

	start(&p);
	pid_t searcher = searcher_of(&p);
	cr_assert_gt(searcher, 0);
	ask_host(&p, 1, "target 1", "ssh-rsa"); /* when it has answered it is what it will be */
	cr_expect_eq(answered(&p, &error), 1);
	expect_confined(searcher, text);
	cr_expect(strstr(text, "Name:\treeve-searcher") != NULL, "%s", text);
	cr_expect_eq(
	    shell("test $(ls /proc/%d/fd | wc -l) -le 4", searcher), 0, "it has more open than its socket");
	kill(searcher, SIGKILL);
	ask_host(&p, 2, "target 2", "ssh-rsa");
	int status;
	waitpid(p.pid, &status, 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) != 0, "the keeper goes on without it");
	rpc_link_close(&p.supervisor);
	rpc_link_close(&p.control);
	start(&p);
	searcher = searcher_of(&p);
	kill(p.pid, SIGKILL);
	finish(&p);
	for (unsigned waited = 0; waited < PATIENCE_MS && runs(searcher); waited += 10)
		usleep(10000);
	cr_expect_not(runs(searcher), "it is left");
}

Test(keeper_process, restart_keeps_keys_and_forgets_sessions)
{
	struct process p;
	char before[1024], after[1024];
	struct rpc_key_host_sign_reply reply;
	uint8_t hash[32] = {1};
	const struct rpc_key_host_sign sign = {.session_id = wire_span_of("s1"), .hash = {hash, 32}};

	start(&p);
	ca_line(&p, RPC_CA_CLIENT, RPC_CA_CREATE, before);
	say_live(&p, "s1");
	call(&p, RPC_KEY_HOST_SIGN, rpc_put_key_host_sign, &sign);
	cr_assert(rpc_get_key_host_sign_reply(p.reply.body, &reply));
	cr_expect_eq(reply.error.len, 0);
	/* Another control: it has to say itself which sessions live. */
	attach_control(&p);
	call(&p, RPC_KEY_HOST_SIGN, rpc_put_key_host_sign, &sign);
	cr_assert(rpc_get_key_host_sign_reply(p.reply.body, &reply));
	cr_expect_gt(reply.error.len, 0);
	kill(p.pid, SIGKILL);
	cr_expect_neq(finish(&p), 0);
	start(&p);
	ca_line(&p, RPC_CA_CLIENT, RPC_CA_SHOW, after);
	cr_expect_str_eq(before, after);
	cr_expect_eq(finish(&p), 0);
}

static void host_seed(struct process *p, uint8_t action)
{
	struct rpc_key_host_seed_reply reply;

	call(p, RPC_KEY_HOST_SEED, rpc_put_key_host_seed, &(struct rpc_key_host_seed){.action = action});
	cr_assert(rpc_get_key_host_seed_reply(p->reply.body, &reply));
	cr_assert_eq(reply.error.len, 0, "%.*s", (int)reply.error.len, (const char *)reply.error.at);
}

static bool former_seed_is_there(void)
{
	return faccessat(directory, FORMER_SEED, F_OK, 0) == 0;
}

static void wait_for_former_seed(bool there)
{
	for (unsigned waited = 0; waited < PATIENCE_MS && former_seed_is_there() != there; waited += 10)
		usleep(10000);
	cr_assert_eq(former_seed_is_there(), there);
}

/* Of all that reaches a keeper only what is said of sessions reminds it of the former seed: none comes here.
 */
Test(keeper_process, the_former_seed_goes_though_nothing_happens)
{
	struct process p;

	start_this(&p, HASTY_KEEPER);
	host_seed(&p, RPC_HOST_SEED_ROTATE);
	host_seed(&p, RPC_HOST_SEED_COMMIT);
	wait_for_former_seed(false);
	cr_expect_eq(finish(&p), 0);
}

Test(keeper_process, the_former_seed_stays_where_no_control_says_who_needs_it)
{
	struct process p;

	start_this(&p, HASTY_KEEPER);
	host_seed(&p, RPC_HOST_SEED_ROTATE);
	/* Its last word, and gone before the answer. */
	cr_assert_eq(
	    RPC_SEND(&p.control, KEY_HOST_SEED, key_host_seed, 0, 1, .action = RPC_HOST_SEED_COMMIT), 0);
	rpc_link_close(&p.control);
	wait_for_former_seed(true);
	usleep(2500000); /* it would have looked twice */
	cr_expect(former_seed_is_there());
	attach_control(&p);
	wait_for_former_seed(false);
	cr_expect_eq(finish(&p), 0);
}

Test(keeper_process, a_control_that_breaks_the_protocol_loses_its_link_only)
{
	struct process p;
	struct rpc_message message;
	char line[1024];
	start(&p);
	cr_assert_eq(RPC_SEND(&p.control, SES_KILL, ses_kill, 0, 0, .flow = 1), 0);
	cr_expect_lt(rpc_receive(&p.control, &message), 0, "the link should have ended");
	attach_control(&p);
	ca_line(&p, RPC_CA_HOST, RPC_CA_CREATE, line);
	cr_expect_eq(finish(&p), 0);
}

Test(keeper_process, without_a_supervisor_it_ends)
{
	struct process p;
	int status;
	start(&p);
	rpc_link_close(&p.supervisor);
	waitpid(p.pid, &status, 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	rpc_link_close(&p.control);
}
