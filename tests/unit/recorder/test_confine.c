/* SPDX-License-Identifier: Apache-2.0 */
/* A bell is one open file of several processes: what a taken-over recorder could do to the others with it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/confine.h"

/* What one call comes to in a child that is confined: its errno, 0, or 1000 + the signal that ended it. */
static int confined(int (*attempt)(int bell))
{
	int bell = eventfd(0, EFD_NONBLOCK);
	int status;

	pid_t pid = fork();
	if (pid == 0) {
		if (confine(open("/tmp", O_RDONLY | O_DIRECTORY)) != 0)
			_exit(200);
		_exit(attempt(bell) == 0 ? 0 : errno);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	close(bell);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int set_non_blocking(int bell)
{
	return fcntl(bell, F_SETFL, fcntl(bell, F_GETFL) | O_NONBLOCK);
}

static int clear_non_blocking(int bell)
{
	return fcntl(bell, F_SETFL, 0);
}

static int ask_for_signals(int bell)
{
	return fcntl(bell, F_SETFL, O_NONBLOCK | O_ASYNC);
}

static int own_by_another(int bell)
{
	return fcntl(bell, F_SETOWN, getppid());
}

static int signal_another(int bell)
{
	(void)bell;
	return (int)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

Test(recorder_confine, others_cannot_be_blocked_or_signalled)
{
#ifdef __SANITIZE_ADDRESS__
	cr_skip_test("a sanitizer's run-time may do more");
#endif
	static const struct {
		const char *what;
		int (*attempt)(int bell);
		int expected;
	} cases[] = {
	    {"O_NONBLOCK is set", set_non_blocking, 0},
	    {"O_NONBLOCK is cleared", clear_non_blocking, 1000 + SIGSYS},
	    {"O_ASYNC", ask_for_signals, 1000 + SIGSYS},
	    {"F_SETOWN", own_by_another, 1000 + SIGSYS},
	    {"tgkill", signal_another, 1000 + SIGSYS},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int got = confined(cases[i].attempt);
		cr_expect_eq(
		    got, cases[i].expected, "%s: expected %d, got %d", cases[i].what, cases[i].expected, got);
	}
}
