/* SPDX-License-Identifier: Apache-2.0 */
/* The token process: a guard, and under it the one that loads the module. Neither has a key of the keeper's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/keeper/pkcs11.h"
#include "control/keeper/token.h"

#define MESSAGE_MAX (64 * 1024)
#define RESULT_MAX 8192
#define HANG_S 60 /* a question that takes longer: the module hangs */

static void answer(int fd, uint32_t number, const char *error, struct wire_span result)
{
	static uint8_t room[RESULT_MAX + 1024];
	struct wire_out out = wire_into(room, sizeof(room));

	wire_put_u32(&out, number);
	wire_put_cstring(&out, error);
	wire_put_string(&out, result.at, result.len);
	(void)send(fd, room, wire_written(&out), MSG_NOSIGNAL);
}

/* -- the one that loads the module ------------------------------------------------------------------------
 */

/* The PIN's file is for its owner alone. False: error says what is wrong with it. */
static bool read_pin(const char *path, char pin[PKCS11_PIN_MAX], char error[PKCS11_ERROR_MAX])
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = -1;

	if (fd < 0 || fstat(fd, &st) != 0)
		snprintf(error, PKCS11_ERROR_MAX, "the PIN's file %.100s cannot be read: %s", path,
		    strerror(errno));
	else if ((st.st_mode & 077) != 0)
		snprintf(error, PKCS11_ERROR_MAX,
		    "the PIN's file %.100s is open to others than its owner: chmod 600", path);
	else if ((len = read(fd, pin, PKCS11_PIN_MAX - 1)) <= 0)
		snprintf(error, PKCS11_ERROR_MAX, "the PIN's file %.100s is empty", path);
	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return false;
	pin[len] = '\0';
	pin[strcspn(pin, "\r\n")] = '\0';
	return true;
}

static struct pkcs11 *open_module(
    const struct token_settings *settings, struct pkcs11_refusals *refusals, char error[PKCS11_ERROR_MAX])
{
	static char pin[PKCS11_PIN_MAX];

	return read_pin(settings->pin_file, pin, error) ? pkcs11_open(settings->module, pin, refusals, error)
	                                                : NULL;
}

static void take_question(int fd, struct pkcs11 *module, const char *no_module, struct wire in)
{
	uint8_t room[RESULT_MAX];
	char error[PKCS11_ERROR_MAX] = "";
	struct pkcs11_name name;
	const char *wrong;
	struct wire_out result = wire_into(room, sizeof(room));
	uint32_t number = wire_u32(&in);
	uint8_t what = wire_u8(&in), algorithm = wire_u8(&in);
	struct wire_span uri = wire_string(&in), data = wire_string(&in);
	bool good = false;

	if (!wire_done(&in))
		return;
	if (!pkcs11_name_read(uri, &name, &wrong))
		snprintf(error, sizeof(error), "%s", wrong);
	else if (module == NULL)
		snprintf(error, sizeof(error), "%s", no_module);
	else if (what == TOKEN_SIGN)
		good = pkcs11_sign(module, &name, data, &result, error);
	else if (what == TOKEN_GENERATE)
		good = pkcs11_generate(module, &name, algorithm, &result, error);
	else
		good = pkcs11_find(module, &name, &result, error);
	if (!good && error[0] == '\0')
		snprintf(error, sizeof(error), "the token's answer does not fit");
	answer(fd, number, error, (struct wire_span){room, good ? wire_written(&result) : 0});
}

static _Noreturn void serve(int fd, const struct token_settings *settings, struct pkcs11_refusals *refusals)
{
	static uint8_t room[MESSAGE_MAX];
	char error[PKCS11_ERROR_MAX] = "";
	struct pkcs11 *module = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (token_confine() != 0) {
		rpc_log(RPC_LOG_ERROR, "token: it cannot confine itself: no module is loaded");
		_exit(1);
	}
	for (;;) {
		ssize_t len = recv(fd, room, sizeof(room), 0);
		if (len <= 0)
			_exit(0); /* the keeper is gone */
		alarm(HANG_S);
		/* Loaded at the first question, and again at each one until it can be: a token may be plugged
		 * in. */
		if (module == NULL) {
			module = open_module(settings, refusals, error);
			if (module == NULL)
				rpc_log(RPC_LOG_ERROR, "token: %s", error);
		}
		take_question(fd, module, error, wire_over(room, (size_t)len));
		alarm(0);
	}
}

/* -- the guard --------------------------------------------------------------------------------------------
 */

static void give_up_rights(const struct token_settings *settings)
{
	cap_t none = cap_init();
	struct wire in = wire_over(settings->environment.at, settings->environment.len);
	static char variables[16][1024];

	for (unsigned i = 0; i < 16 && wire_left(&in) > 0; i++)
		if (wire_span_copy(wire_string(&in), variables[i], sizeof(variables[i])))
			(void)putenv(variables[i]);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap);
	if (none == NULL || cap_set_proc(none) != 0)
		_exit(1);
	cap_free(none);
}

/* Waits until the keeper is gone. */
static bool keeper_left(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = 0};

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLHUP | POLLERR)) != 0;
}

_Noreturn void token_process(int fd, const struct token_settings *settings)
{
	const struct timespec second = {.tv_sec = 1};

	/* Nothing of the keeper's but the log and this socket: not its link, not its directory. */
	if (fd != 3) {
		(void)dup2(fd, 3);
		fd = 3;
	}
	(void)close_range(4, ~0u, 0);
	prctl(PR_SET_NAME, "reeve-token");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	give_up_rights(settings);
	/* What one of them learns of the PIN, its successor knows. */
	struct pkcs11_refusals *refusals =
	    mmap(NULL, sizeof(*refusals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (refusals == MAP_FAILED)
		_exit(1);
	while (!keeper_left(fd)) {
		int status = 0;
		pid_t pid = fork();
		if (pid == 0)
			serve(fd, settings, refusals);
		if (pid > 0)
			(void)waitpid(pid, &status, 0);
		if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		rpc_log(RPC_LOG_ERROR, "token: the PKCS#11 module %s; starting again",
		    pid > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hung" : "ended");
		/* Number 0: whatever was asked. */
		answer(fd, 0, "the PKCS#11 module ended while it was asked", (struct wire_span){0});
		(void)nanosleep(&second, NULL);
	}
	_exit(0);
}
