/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process with the PKCS#11 module cannot do. A module is foreign code, and its vendor's business is
 * files, devices, sockets, threads, and daemons to speak with: a list of what it may call would be another
 * for each. So this is a list of what no module needs, and what would make more of a module that was taken
 * over: to run other programs, to look into or steer other processes, namespaces and mounts, the kernel's
 * modules, programs and keys, the interfaces by which kernels are attacked most. Each of them fails with
 * EPERM, as it would for somebody without rights.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "control/keeper/token.h"

static const int denied[] = {
    /* other programs */
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    /* other processes */
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(kcmp),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    /* namespaces, mounts, roots */
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(open_by_handle_at),
    /* the kernel: its modules, programs, keys, next boot */
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(syslog),
    SCMP_SYS(bpf),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    /* interfaces that kernels are attacked by */
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(personality),
};

#define NEW_NAMESPACES                                                                                       \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |           \
	    CLONE_NEWCGROUP | CLONE_PTRACE)

/* Threads and children, as before; no namespaces of their own. Each bit by itself: a rule knows equality
 * only. */
static int deny_namespaces(scmp_filter_ctx filter)
{
	int error = 0;

	for (unsigned bit = 0; error == 0 && bit < 32; bit++) {
		const scmp_datum_t flag = (scmp_datum_t)1 << bit;
		if ((NEW_NAMESPACES & flag) != 0)
			error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			    SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
	}
	/* Its flags lie in memory, where no filter looks: the C library takes clone() where there is no
	 * clone3().
	 */
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return error;
}

/* Signals to itself alone: other processes of root's are none of its business. */
static int deny_signals(scmp_filter_ctx filter)
{
	const scmp_datum_t self = (scmp_datum_t)getpid();
	int error =
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1, SCMP_A0_32(SCMP_CMP_NE, self));

	if (error == 0)
		error = seccomp_rule_add(
		    filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, SCMP_A0_32(SCMP_CMP_NE, self));
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tkill), 0);
	return error;
}

int token_confine(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int error = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; error == 0 && i < sizeof(denied) / sizeof(denied[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
	if (error == 0)
		error = deny_namespaces(filter);
	if (error == 0)
		error = deny_signals(filter);
	if (error ==
	    0) /* what is typed into a terminal is not its own to type (compared as the kernel does) */
		error = seccomp_rule_add(
		    filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1_32(SCMP_CMP_EQ, TIOCSTI));
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
