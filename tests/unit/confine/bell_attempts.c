/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/confine/bell_attempts.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What one call comes to in a child that is confined: its errno, 0, or BELL_ENDED_BY + the signal that ended
 * it. */
static int confined(int (*confine_self)(void), int (*attempt)(int bell))
{
	int bell = eventfd(0, EFD_NONBLOCK);
	int status;

	pid_t pid = fork();
	if (pid == 0) {
		if (confine_self() != 0)
			_exit(200);
		_exit(attempt(bell) == 0 ? 0 : errno);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	close(bell);
	return WIFSIGNALED(status) ? BELL_ENDED_BY + WTERMSIG(status) : WEXITSTATUS(status);
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

void bell_attempts_refused(int (*confine_self)(void), int refused)
{
#ifdef __SANITIZE_ADDRESS__
	cr_skip_test("a sanitizer's run-time may do more");
#endif
	const struct {
		const char *what;
		int (*attempt)(int bell);
		int expected;
	} cases[] = {
	    {"O_NONBLOCK is set", set_non_blocking, 0},
	    {"O_NONBLOCK is cleared", clear_non_blocking, refused},
	    {"O_ASYNC", ask_for_signals, refused},
	    {"F_SETOWN", own_by_another, refused},
	    {"tgkill", signal_another, refused},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int got = confined(confine_self, cases[i].attempt);
		cr_expect_eq(
		    got, cases[i].expected, "%s: expected %d, got %d", cases[i].what, cases[i].expected, got);
	}
}
