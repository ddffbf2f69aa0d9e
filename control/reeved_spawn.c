/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and executing the other programs, each with nothing but what it needs. */
#include "control/reeved.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define ENVIRONMENT_MAX 6

static const char *const folders[RPC_ROLE_MAX + 1] = {
    [RPC_CONTROL] = "control",
    [RPC_KEEPER] = "control/keeper",
    [RPC_DATAPLANE] = "dataplane",
    [RPC_SSHTERM] = "sshterm",
    [RPC_RECORDER] = "recorder",
};

/* The directory that this executable lies in. */
static bool own_directory(char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);

	if (len <= 0)
		return false;
	path[len] = '\0';
	char *slash = strrchr(path, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

bool spawn_executable(const char *libexec, enum rpc_role role, char path[SETTINGS_PATH_MAX])
{
	char own[SETTINGS_PATH_MAX - 64], built[SETTINGS_PATH_MAX], installed[SETTINGS_PATH_MAX];
	const char *name = rpc_role_name(role);

	if (libexec[0] != '\0') {
		snprintf(installed, sizeof(installed), "%.900s/reeve-%s", libexec, name);
		memcpy(path, installed, sizeof(installed));
		return access(installed, X_OK) == 0;
	}
	if (!own_directory(own, sizeof(own)))
		return false;
	/* In the build tree reeved is build/control/reeved; installed, it is PREFIX/sbin/reeved. */
	snprintf(built, sizeof(built), "%s/../%s/reeve-%s", own, folders[role], name);
	snprintf(installed, sizeof(installed), "%s/../libexec/portreeve/reeve-%s", own, name);
	bool is_built = access(built, X_OK) == 0;
	memcpy(path, is_built ? built : installed, SETTINGS_PATH_MAX);
	return is_built || access(installed, X_OK) == 0;
}

/* Only what a child may know: where the system's programs are, and how much it shall log. */
static void make_environment(char *environment[ENVIRONMENT_MAX], char log[64])
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	unsigned n = 0;
	const char *level = getenv("PORTREEVE_LOG");

	environment[n++] = path;
	if (level != NULL && strlen(level) < 32) {
		snprintf(log, 64, "PORTREEVE_LOG=%s", level);
		environment[n++] = log;
	}
	environment[n] = NULL;
}

/* In the new process, before exec: only async-signal-safe calls. */
static void become(
    const char *path, char *const argv[], char *const environment[], int supervisor_fd, int cpu)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	/* Set before exec, and again by the child: there is no moment in which it could outlive us. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		_exit(126);
	if (supervisor_fd == RPC_SUPERVISOR_FD) {
		if (fcntl(supervisor_fd, F_SETFD, 0) != 0)
			_exit(126);
	} else if (dup2(supervisor_fd, RPC_SUPERVISOR_FD) < 0) {
		_exit(126);
	}
	if (close_range(RPC_SUPERVISOR_FD + 1, ~0u, 0) != 0)
		_exit(126);
	if (cpu >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET((size_t)cpu, &set);
		/* A core that is not ours to use (cpuset): the worker runs elsewhere, slower. */
		(void)sched_setaffinity(0, sizeof(set), &set);
	}
	execve(path, argv, environment);
	_exit(127);
}

pid_t spawn(const char *path, enum rpc_role role, uint32_t index, int supervisor_fd, int cpu)
{
	char name[32], number[16], log[64];
	char *argv[] = {name, number, NULL};
	char *environment[ENVIRONMENT_MAX];

	snprintf(name, sizeof(name), "reeve-%s", rpc_role_name(role));
	snprintf(number, sizeof(number), "%u", index);
	make_environment(environment, log);
	if (role != RPC_SSHTERM)
		argv[1] = NULL;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(path, argv, environment, supervisor_fd, cpu);
	return pid;
}
