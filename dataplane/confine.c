/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/confine.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* NET_ADMIN, NET_RAW: packet sockets and interfaces; BPF, PERFMON: af_xdp's program; SYS_RAWIO: UIO;
 * IPC_LOCK: pinned memory for VFIO; SYS_ADMIN: physical addresses, huge pages; SYS_NICE: scheduling of EAL
 * threads; DAC_OVERRIDE: /dev/vfio, hugetlbfs and runtime directory, whosever they are. */
static const cap_value_t to_start[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON, CAP_SYS_RAWIO,
    CAP_IPC_LOCK, CAP_SYS_ADMIN, CAP_SYS_NICE, CAP_SYS_RESOURCE, CAP_DAC_OVERRIDE};
static const cap_value_t to_run[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF};

/* Keeps of `wanted` what this thread may have anyway: without root there is nothing to give up. */
static int keep(const cap_value_t *wanted, size_t count)
{
	cap_t now = cap_get_proc();
	cap_t then = cap_init();
	int error = now == NULL || then == NULL ? -ENOMEM : 0;

	for (size_t i = 0; error == 0 && i < count; i++) {
		cap_flag_value_t have;
		if (cap_get_flag(now, wanted[i], CAP_PERMITTED, &have) != 0 || have != CAP_SET)
			continue;
		if (cap_set_flag(then, CAP_PERMITTED, 1, &wanted[i], CAP_SET) != 0 ||
		    cap_set_flag(then, CAP_EFFECTIVE, 1, &wanted[i], CAP_SET) != 0)
			error = -errno;
	}
	if (error == 0 && cap_set_proc(then) != 0)
		error = -errno;
	cap_free(now);
	cap_free(then);
	return error;
}

int confine_process(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return keep(to_start, COUNT(to_start));
}

int confine_thread(void)
{
	return keep(to_run, COUNT(to_run));
}

static const int calls[] = {
    /* the loop, its naps and bells; kernel-backed drivers' bursts */
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(sched_yield),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(eventfd2),
    SCMP_SYS(membarrier),
    /* the EAL's own threads: interrupts, alarms, memif's connections */
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(connect),
    SCMP_SYS(socket),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(memfd_create),
    SCMP_SYS(shutdown),
    /* memory: policies, slab channels */
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(ftruncate),
    /* descriptors; the way out: sockets, programs and links of the drivers, files of the EAL */
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(flock),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(ioctl),
    SCMP_SYS(bpf),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(uname),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(prctl),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(capget),
    SCMP_SYS(capset),
};

int confine_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error = filter == NULL ? -ENOMEM : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	for (size_t i = 0; error == 0 && i < COUNT(calls); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	/* abort() of its own: other processes of root's are none of its business. */
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		    SCMP_A0_32(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (error == 0)
		error = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	return error;
}
