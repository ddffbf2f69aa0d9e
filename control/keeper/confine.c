/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keeper gives up before it takes its first request, in this order: the chance to gain rights
 * (no_new_privs), all capabilities, every file but those below its directory (Landlock, where the kernel has
 * it), and every system call but those below (seccomp; another one kills the process).
 *
 * openat() is allowed with the directory's descriptor only. There is no socket(), connect(), execve() or
 * ptrace(): who takes the keeper over can ask it for signatures, as control can, and cannot carry keys away
 * but through the one link it has.
 */
#include "control/keeper/keeper.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int drop_capabilities(void)
{
	cap_t none = cap_init();

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap);
	int result = none == NULL ? -1 : cap_set_proc(none);
	int error = result == 0 ? 0 : -errno;
	cap_free(none);
	return error;
}

/* Best effort: kernels before 5.13, or booted without it, have none; seccomp stands alone there. */
static int restrict_files(int directory)
{
	const uint64_t files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
	                       LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
	                       LANDLOCK_ACCESS_FS_REMOVE_FILE;
	const struct landlock_ruleset_attr ruleset = {
	    .handled_access_fs = files | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
	                         LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
	                         LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
	                         LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM};
	const struct landlock_path_beneath_attr beneath = {.allowed_access = files, .parent_fd = directory};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);

	if (fd < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	int error = syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0 ||
	                    syscall(SYS_landlock_restrict_self, fd, 0) != 0
	                ? -errno
	                : 0;
	close(fd);
	return error;
}

static const int allowed[] = {
    /* its links and its log */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(close),
    /* key files: openat has a rule of its own; the kernel takes the others by the same directory, or Landlock
     * and missing capabilities forbid them */
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fsync),
    SCMP_SYS(lseek),
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    /* randomness, time, the end */
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* -1: there is none. */
static int restrict_calls(int directory)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	const scmp_datum_t at = (scmp_datum_t)directory;
	int error = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; error == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	/* Compared as 32 bits: the upper half of an int's register is whatever it was. */
	const struct scmp_arg_cmp first = SCMP_A0_32(SCMP_CMP_EQ, at), third = SCMP_A2_32(SCMP_CMP_EQ, at);
	if (error == 0 && directory >= 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, first);
	if (error == 0 && directory >= 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(unlinkat), 1, first);
	if (error == 0 && directory >= 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(renameat2), 2, first, third);
	if (error == 0 && directory >= 0) /* what the C library makes of renameat2() without flags */
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(renameat), 2, first, third);
	/* abort() of its own; other processes of root's are none of its business. */
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		    SCMP_A0_32(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

static int give_up(int directory)
{
	int error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -errno : 0;

	if (error == 0)
		error = drop_capabilities();
	if (error == 0 && directory >= 0)
		error = restrict_files(directory);
		/* A sanitizer's run-time makes calls of its own at any time. */
#ifndef __SANITIZE_ADDRESS__
	if (error == 0)
		error = restrict_calls(directory);
#else
	(void)restrict_calls;
#endif
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "cannot confine itself: %s", strerror(-error));
	return error;
}

int confine(int directory)
{
	return give_up(directory);
}

int confine_searcher(void)
{
	return give_up(-1);
}
