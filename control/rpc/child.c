/* SPDX-License-Identifier: Apache-2.0 */
/* What every child does first, and the one way to write a log line. */
#include "control/rpc/rpc.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024

static char log_name[48] = "reeve";
static enum rpc_log_level log_level = RPC_LOG_INFO;
static int supervisor_fd = -1;

/* What is no level is told of by one process, not by all. */
static enum rpc_log_level level_from_environment(bool tell)
{
	static const char *const names[] = {"", "error", "warning", "notice", "info", "debug"};
	const char *wanted = getenv("PORTREEVE_LOG");

	for (unsigned i = 1; wanted != NULL && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(wanted, names[i]) == 0)
			return (enum rpc_log_level)i;
	if (tell && wanted != NULL && *wanted != '\0')
		rpc_log(RPC_LOG_WARNING,
		    "PORTREEVE_LOG=%s is no level: expected error, warning, notice, info or debug; it is "
		    "info now",
		    wanted);
	return RPC_LOG_INFO;
}

/* Descriptor 3 is the supervisor's socket, unless somebody has started the program by hand. */
static bool started_by_reeved(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(RPC_SUPERVISOR_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int rpc_child_start(enum rpc_role role, uint32_t index, struct rpc_link *supervisor)
{
	struct rlimit no_core = {0, 0};

	if (role == RPC_SSHTERM)
		snprintf(log_name, sizeof(log_name), "reeve-%s[%u]", rpc_role_name(role), index);
	else if (role == RPC_SUPERVISOR)
		snprintf(log_name, sizeof(log_name), "reeved");
	else
		snprintf(log_name, sizeof(log_name), "reeve-%s", rpc_role_name(role));
	log_level = level_from_environment(role == RPC_SUPERVISOR);
	signal(SIGPIPE, SIG_IGN);
	if (role == RPC_SUPERVISOR)
		return 0;
	if (!started_by_reeved()) {
		rpc_log(RPC_LOG_ERROR, "this program is started by reeved (reeved --help), not by hand");
		return -ENOTSOCK;
	}
	signal(SIGINT, SIG_IGN);
	/* SIGTERM is for the supervisor; it tells its children by RPC_SUP_STOP so that sessions end in order.
	 */
	signal(SIGTERM, SIG_IGN);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
	    setrlimit(RLIMIT_CORE, &no_core) != 0)
		return -errno;
	supervisor_fd = RPC_SUPERVISOR_FD;
	return rpc_link_open(supervisor, RPC_SUPERVISOR_FD, RPC_SUPERVISOR, 0, 0);
}

void rpc_blame(uint32_t worker, uint32_t epoch)
{
	/* A link of its own over the same socket: it is another thread's that receives on the real one. */
	struct rpc_link link = {.fd = supervisor_fd, .peer = RPC_SUPERVISOR};

	if (supervisor_fd < 0)
		return;
	int error = RPC_SEND(&link, SUP_BLAME, sup_blame, 0, 0, .worker = worker, .epoch = epoch);
	if (error != 0)
		rpc_log(
		    RPC_LOG_ERROR, "reeved cannot be told to end worker %u: %s", worker, strerror(-error));
}

void rpc_log_set(enum rpc_log_level level)
{
	log_level = level;
}

/* Names and banners in log lines come from strangers: nothing may move the cursor or fake a line. Control
 * characters, C0 as well as C1 in UTF-8 (0xc2 0x80..0x9f), become \xNN. Returns the bytes written. */
static size_t escape(const char *text, char *out, size_t size)
{
	size_t at = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c != '\0' && at + 5 < size; c++) {
		bool c1 = c > (const unsigned char *)text && c[-1] == 0xc2 && *c >= 0x80 && *c < 0xa0;
		if (*c < 0x20 || *c == 0x7f || c1)
			at += (size_t)snprintf(out + at, size - at, "\\x%02x", *c);
		else
			out[at++] = (char)*c;
	}
	return at;
}

void rpc_log(enum rpc_log_level level, const char *format, ...)
{
	static const char *const names[] = {"", "error", "warning", "notice", "info", "debug"};
	char text[LOG_LINE_MAX];
	char line[LOG_LINE_MAX + 128];
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	size_t len = (size_t)snprintf(line, sizeof(line), "%s: %s: ", log_name, names[level]);
	len += escape(text, line + len, sizeof(line) - len - 1);
	line[len++] = '\n';
	/* One write: lines of different processes do not mix. */
	ssize_t written = write(STDERR_FILENO, line, len);
	(void)written;
}
