/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a taken-over worker can reach: the bytes of its own sessions and the messages of its links, nothing
 * else.
 *
 * Stages, in this order because each needs what the next takes away: user and groups, capabilities (setresuid
 * from 0 drops them, and dropping is checked), no_new_privs, then the system call filter. A call that is not
 * on the list fails with EPERM, so that a library which merely asks goes on; those that only an attacker
 * would make kill the process.
 */
#include "sshterm/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "sshterm/address_sanitizer.h"

#define NOBODY 65534

static int drop_user(void)
{
	if (geteuid() != 0)
		return 0; /* started by an ordinary user (tests): there is nothing to drop */
	if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0)
		return -errno;
	/* The kernel made the process dumpable or cleared the death signal on the change of user. */
	if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_PDEATHSIG, 9) != 0)
		return -errno;
	return setuid(0) == 0 ? -EPERM : 0;
}

static int drop_capabilities(void)
{
	cap_t none = cap_init();
	int error = none == NULL || cap_set_proc(none) != 0 ? -errno : 0;

	cap_free(none);
	if (error == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		error = -errno;
	return error;
}

#ifndef ADDRESS_SANITIZER
static const int allowed[] = {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
    SCMP_SYS(pread64), SCMP_SYS(close), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(fstat), SCMP_SYS(munmap), SCMP_SYS(mremap),
    SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(getrandom), SCMP_SYS(exit), SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield),
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(mlock), SCMP_SYS(munlock)};

/* Nothing in here has a use for these; whoever calls them is not us. */
static const int deadly[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(socket), SCMP_SYS(connect),
    SCMP_SYS(bind), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(init_module), SCMP_SYS(bpf),
    SCMP_SYS(io_uring_setup), SCMP_SYS(userfaultfd)};

/* Memory may be mapped and protected, but never made executable. */
static int allow_memory(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);

	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
	return error;
}

/* fstat by its newer name (an empty path), and fcntl for what slab.c and links ask. O_NONBLOCK may be set and
 * never cleared: a bell is one open file that we share with a dataplane lcore, which would block on ringing
 * it. And no signals by descriptors (F_SETOWN, F_SETSIG, O_ASYNC): the other workers are of the same user. */
static int allow_descriptors(scmp_filter_ctx filter)
{
	static const int commands[] = {F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_GET_SEALS};
	const struct scmp_arg_cmp set_flags = SCMP_A1_32(SCMP_CMP_EQ, F_SETFL);
	const struct scmp_arg_cmp non_blocking =
	    SCMP_A2_32(SCMP_CMP_MASKED_EQ, O_NONBLOCK | O_ASYNC, O_NONBLOCK);
	int error = 0;

	for (size_t i = 0; error == 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
		    SCMP_A1_32(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, set_flags, non_blocking);
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
		    SCMP_A3(SCMP_CMP_MASKED_EQ, 0x1000 /* AT_EMPTY_PATH */, 0x1000));
	return error;
}

static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; error == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; error == 0 && i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
		if (error == -EDOM) /* this architecture does not have it */
			error = 0;
	}
	if (error == 0)
		error = allow_memory(filter);
	if (error == 0)
		error = allow_descriptors(filter);
	/* For the helper, too. */
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (error == 0)
		error = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	return error;
}
#endif

int confine_identity(void)
{
	int error = drop_user();

	if (error != 0) {
		rpc_log(RPC_LOG_ERROR, "cannot become nobody: %s", strerror(-error));
		return error;
	}
	error = drop_capabilities();
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "cannot drop capabilities: %s", strerror(-error));
	return error;
}

int confine_calls(void)
{
#ifdef ADDRESS_SANITIZER
	rpc_log(RPC_LOG_WARNING, "built with AddressSanitizer: no system call filter");
	return 0;
#else
	int error = filter_calls();

	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "cannot load the system call filter: %s", strerror(-error));
	return error;
#endif
}
