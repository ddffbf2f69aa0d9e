/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confinement, in this order: no_new_privs, so that the filters may be set without privilege; capabilities,
 * all of them, also from the bounding set; Landlock, so that even an openat(2) of a path finds nothing but
 * the recordings; seccomp last, as it forbids the calls that the others are made with.
 */
#include "recorder/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/rpc/rpc.h"

unsigned long confine_raise_files(unsigned long wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
	if (limit.rlim_cur >= wanted || setrlimit(RLIMIT_NOFILE, &raised) == 0)
		return wanted;
	/* Without privilege the hard limit is as far as it goes. */
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

static int drop_capabilities(void)
{
	cap_t none = cap_init();

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap); /* not permitted without privilege, and not needed then */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	int error = none == NULL || cap_set_proc(none) != 0 ? -errno : 0;
	cap_free(none);
	return error;
}

static int only_below(int directory)
{
	const uint64_t read_write = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
	                            LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
	                            LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR;
	/* Everything that the first version of Landlock can refuse. */
	const struct landlock_ruleset_attr all = {
	    .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	};
	const struct landlock_path_beneath_attr rule = {.allowed_access = read_write, .parent_fd = directory};
	int error = 0;

	long ruleset = syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
		rpc_log(RPC_LOG_WARNING,
		    "this kernel has no Landlock: seccomp and openat2 alone confine the recorder");
		return 0;
	}
	if (ruleset < 0 ||
	    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0 ||
	    syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		error = -errno;
	if (ruleset >= 0)
		close((int)ruleset);
	return error;
}

static const int allowed[] = {
    /* channels, links, sleeping */
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(close),
    SCMP_SYS(madvise),
    SCMP_SYS(munmap),
    SCMP_SYS(brk),
    SCMP_SYS(mremap),
    /* storage */
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(openat2),
    SCMP_SYS(openat),
    SCMP_SYS(open),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(writev),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(mkdirat),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlinkat),
    SCMP_SYS(lseek),
    SCMP_SYS(getdents64),
    /* SQLite beside those */
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(readlink),
    SCMP_SYS(unlink),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchown),
    SCMP_SYS(geteuid),
    SCMP_SYS(getpid),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    /* the C library, and the way out */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(futex),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
#if defined(__SANITIZE_ADDRESS__)
    /* what the sanitizers do when they look for leaks at the end */
    SCMP_SYS(sigaltstack),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(prctl),
    SCMP_SYS(ptrace),
    SCMP_SYS(wait4),
    SCMP_SYS(sched_yield),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(prlimit64),
    SCMP_SYS(dup),
    SCMP_SYS(getppid),
    SCMP_SYS(kill),
    SCMP_SYS(mprotect),
    SCMP_SYS(mmap),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(process_vm_readv),
#endif
};

/* Memory may be asked for, but never to run code in. */
static int allow_memory(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_executable);

	return error != 0 ? error
	                  : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable);
}

/* Locks of SQLite's, and what links and channels ask. O_NONBLOCK may be set and never cleared: a worker's
 * bell is one open file that the dataplane's lcores ring, too, and they would block on it. No signals by
 * descriptors (F_SETOWN, O_ASYNC), and none but to ourselves: we have root's uid, if nothing else of root. */
static int allow_descriptors(scmp_filter_ctx filter)
{
	static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_GETLK, F_SETLK,
	    F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_GET_SEALS};
	const struct scmp_arg_cmp set_flags = SCMP_A1_32(SCMP_CMP_EQ, F_SETFL);
	const struct scmp_arg_cmp non_blocking =
	    SCMP_A2_32(SCMP_CMP_MASKED_EQ, O_NONBLOCK | O_ASYNC, O_NONBLOCK);
	const struct scmp_arg_cmp ourselves = SCMP_A0_32(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, set_flags, non_blocking);

	for (size_t i = 0; error == 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
		    SCMP_A1_32(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
	return error != 0 ? error : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, ourselves);
}

static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; error == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (error == 0)
		error = allow_descriptors(filter);
#if !defined(__SANITIZE_ADDRESS__)
	if (error == 0)
		error = allow_memory(filter);
#else
	(void)allow_memory;
#endif
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

int confine(int directory)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	int error = drop_capabilities();
	if (error == 0)
		error = only_below(directory);
	return error != 0 ? error : filter_calls();
}
