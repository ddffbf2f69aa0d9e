/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/searcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/keeper/private_key.h"

#define QUESTION_SIZE (HOST_KEY_NAME_SIZE + KEEPER_SEED_SIZE)
#define ANSWER_SIZE (HOST_KEY_NAME_SIZE + 4 + 4)
#define LESS_URGENT 10

static void answer(int fd, const uint8_t question[QUESTION_SIZE])
{
	uint8_t room[ANSWER_SIZE];
	struct wire_out out = wire_into(room, sizeof(room));
	struct host_hint hint;

	if (!host_search(question + HOST_KEY_NAME_SIZE, &hint))
		_exit(1); /* no memory */
	wire_put_bytes(&out, question, HOST_KEY_NAME_SIZE);
	wire_put_u32(&out, hint.p);
	wire_put_u32(&out, hint.q);
	if (write(fd, room, wire_written(&out)) != ANSWER_SIZE)
		_exit(0);
}

static _Noreturn void search(int fd)
{
	uint8_t question[QUESTION_SIZE];

	/* Nothing of the keeper's but the log and this socket. */
	if (fd != 3) {
		(void)dup2(fd, 3);
		fd = 3;
	}
	(void)close_range(4, ~0u, 0);
	prctl(PR_SET_NAME, "reeve-searcher");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpriority(PRIO_PROCESS, 0, LESS_URGENT);
	if (private_key_start() != 0 || confine_searcher() != 0)
		_exit(1);
	while (read(fd, question, sizeof(question)) == QUESTION_SIZE) {
		answer(fd, question);
		sodium_memzero(question, sizeof(question));
	}
	_exit(0); /* the keeper is gone */
}

int searcher_start(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		search(fds[1]);
	close(fds[1]);
	int error = pid < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0 ? -errno : 0;
	if (error != 0)
		close(fds[0]);
	return error != 0 ? error : fds[0];
}

bool searcher_ask(int fd, const struct host_search *asked)
{
	uint8_t question[QUESTION_SIZE];

	memcpy(question, asked->name, HOST_KEY_NAME_SIZE);
	memcpy(question + HOST_KEY_NAME_SIZE, asked->derived, KEEPER_SEED_SIZE);
	bool good = write(fd, question, sizeof(question)) == QUESTION_SIZE;
	sodium_memzero(question, sizeof(question));
	return good;
}

int searcher_take(int fd, uint8_t name[HOST_KEY_NAME_SIZE], struct host_hint *hint)
{
	uint8_t room[ANSWER_SIZE];
	ssize_t len = read(fd, room, sizeof(room));

	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	struct wire in = wire_over(room, (size_t)len);
	struct wire_span said = wire_bytes(&in, HOST_KEY_NAME_SIZE);
	*hint = (struct host_hint){.p = wire_u32(&in), .q = wire_u32(&in)};
	if (!wire_done(&in))
		return -EPIPE;
	memcpy(name, said.at, said.len);
	return 1;
}
