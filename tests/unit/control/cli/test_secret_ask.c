/* SPDX-License-Identifier: Apache-2.0 */
/* The prompt for a secret, at a terminal: no echo while it is typed, and echo again however it ends. */
#include <criterion/criterion.h>
#include <pty.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "control/cli/command.h"
#include "control/cli/secret.h"

static int master, slave;
static pid_t child;

int complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	return 1;
}

static bool echoes(void)
{
	struct termios now;

	cr_assert_eq(tcgetattr(slave, &now), 0);
	return (now.c_lflag & ECHO) != 0;
}

/* A child that asks; exits 0 where it is told "open". Returns with the prompt shown. */
static void ask(void)
{
	char shown[64];

	cr_assert(sodium_init() >= 0);
	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	cr_assert(echoes());
	child = fork();
	if (child == 0) {
		struct secret line = {0};
		close(master);
		if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) != 0)
			_exit(2);
		bool good = secret_ask("PIN: ", &line);
		_exit(good && line.len == 4 && memcmp(line.at, "open", 4) == 0 ? 0 : 1);
	}
	for (size_t len = 0; len < 5;) { /* in one piece or more */
		ssize_t got = read(master, shown + len, sizeof(shown) - len);
		cr_assert(got > 0);
		len += (size_t)got;
	}
	cr_assert(memcmp(shown, "PIN: ", 5) == 0);
	cr_assert(!echoes(), "nothing typed is shown");
}

static int type(const char *text)
{
	int status = 0;

	cr_assert_eq(write(master, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

TestSuite(secret_ask, .timeout = 300);

Test(secret_ask, a_line)
{
	ask();
	int status = type("open\n");
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_expect(echoes());
}

Test(secret_ask, ctrl_c)
{
	ask();
	int status = type("op\x03");
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "it ends as by Ctrl-C");
	cr_expect(echoes());
}

Test(secret_ask, sigterm)
{
	int status = 0;

	ask();
	kill(child, SIGTERM);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	cr_expect(echoes());
}
