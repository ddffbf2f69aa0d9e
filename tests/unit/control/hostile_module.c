/* SPDX-License-Identifier: Apache-2.0 */
/* A PKCS#11 module that is none: when it is loaded it tries what no module needs, and what modules do need,
 * writes what came of it to the file that HOSTILE_REPORT names, and says that it is broken. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static FILE *report;

static void tell(const char *what, long result)
{
	fprintf(report, "%s %s\n", what, result >= 0 ? "done" : strerrorname_np(errno));
	fflush(report);
}

static void *thread(void *argument)
{
	return argument;
}

/* What succeeds in a child must not end the module. */
static long in_child(long (*try)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(try() >= 0 ? 0 : errno);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno == 0 ? 0 : -1;
}

static long try_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static long try_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static long try_clone(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}

static void try_what_none_needs(void)
{
	struct iovec one = {.iov_base = &one, .iov_len = 1};
	union bpf_attr bpf = {
	    .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	struct perf_event_attr perf = {.size = sizeof(perf), .type = PERF_TYPE_SOFTWARE, .exclude_kernel = 1};

	tell("execve", in_child(try_exec));
	tell("unshare", in_child(try_unshare));
	tell("clone", in_child(try_clone));
	tell("ptrace", ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
	tell("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), &one, 1, &one, 1, 0));
	tell("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	tell("init_module", syscall(SYS_init_module, "", 0, ""));
	tell("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &bpf, sizeof(bpf)));
	tell("perf_event_open", syscall(SYS_perf_event_open, &perf, 0, -1, -1, 0));
	tell("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
	tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
	tell("keyctl", syscall(SYS_keyctl, 0, -3, 1));
	tell("kill", kill(getppid(), 0));
}

static void try_what_some_need(void)
{
	pthread_t one;

	errno = pthread_create(&one, NULL, thread, NULL);
	tell("thread", errno == 0 ? 0 : -1);
	if (errno == 0)
		pthread_join(one, NULL);
	tell("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	tell("open", open("/etc/passwd", O_RDONLY));
	tell("self", kill(getpid(), 0));
}

unsigned long C_GetFunctionList(void **list);
unsigned long C_GetFunctionList(void **list)
{
	const char *path = getenv("HOSTILE_REPORT");

	*list = NULL;
	report = path == NULL ? NULL : fopen(path, "w");
	if (report != NULL) {
		try_what_none_needs();
		try_what_some_need();
		fclose(report);
	}
	return 6; /* CKR_FUNCTION_FAILED */
}
