/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/token.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control/certificate/public_key.h"

#define MESSAGE_MAX (64 * 1024)

int token_start(struct token *token, const struct token_settings *settings)
{
	int fds[2];

	*token = (struct token){.fd = -1};
	if (settings->module[0] == '\0')
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		token_process(fds[1], settings);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -errno;
	}
	token->fd = fds[0];
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the answer to the last question; what answers an earlier one came too late. */
static bool await_answer(struct token *token, int timeout_ms, uint8_t *room, struct wire_span *result,
    char error[KEEPER_ERROR_MAX])
{
	int64_t until = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd fd = {.fd = token->fd, .events = POLLIN};
		int64_t left = until - now_ms();
		if (left <= 0 || (poll(&fd, 1, (int)left) == 0)) {
			token->owes = true;
			snprintf(error, KEEPER_ERROR_MAX, "the token does not answer");
			return false;
		}
		if (fd.revents == 0)
			continue;
		ssize_t len = read(token->fd, room, MESSAGE_MAX);
		if (len <= 0) {
			snprintf(error, KEEPER_ERROR_MAX, "the token's process is gone; restart reeved");
			return false;
		}
		struct wire in = wire_over(room, (size_t)len);
		uint32_t number = wire_u32(&in);
		struct wire_span why = wire_string(&in);
		*result = wire_string(&in);
		if (!wire_done(&in) || (number != token->number && number != 0))
			continue;
		if (why.len > 0)
			(void)snprintf(error, KEEPER_ERROR_MAX, "%.*s", (int)(why.len > 200 ? 200 : why.len),
			    (const char *)why.at);
		return why.len == 0;
	}
}

/* Takes what came after its question was given up. */
static void take_late(struct token *token, uint8_t *room)
{
	ssize_t len;

	while ((len = read(token->fd, room, MESSAGE_MAX)) > 0) {
		struct wire in = wire_over(room, (size_t)len);
		uint32_t number = wire_u32(&in);
		if (number == token->number || number == 0)
			token->owes = false;
	}
	if (len == 0)
		token->owes = false; /* it is gone: the question finds that out */
}

static bool ask(struct token *token, enum token_what what, uint8_t algorithm, const char *uri,
    struct wire_span data, uint8_t *room, struct wire_span *result, char error[KEEPER_ERROR_MAX])
{
	struct wire_out out = wire_into(room, MESSAGE_MAX);

	if (token == NULL || token->fd < 0) {
		snprintf(error, KEEPER_ERROR_MAX,
		    "no token is configured: keeper.pkcs11 in reeved.yaml names the module and the PIN's "
		    "file");
		return false;
	}
	take_late(token, room);
	if (token->owes) {
		snprintf(error, KEEPER_ERROR_MAX,
		    "the token has not answered the last question yet; see to it, or try again in a minute");
		return false;
	}
	token->number = token->number == UINT32_MAX ? 1 : token->number + 1;
	wire_put_u32(&out, token->number);
	wire_put_u8(&out, (uint8_t)what);
	wire_put_u8(&out, algorithm);
	wire_put_cstring(&out, uri);
	wire_put_string(&out, data.at, data.len);
	if (out.failed || write(token->fd, room, wire_written(&out)) < 0) {
		snprintf(error, KEEPER_ERROR_MAX, "the token cannot be asked: %s",
		    out.failed ? "too long" : strerror(errno));
		return false;
	}
	return await_answer(
	    token, what == TOKEN_GENERATE ? TOKEN_MAKE_TIMEOUT_MS : TOKEN_TIMEOUT_MS, room, result, error);
}

bool token_key(struct token *token, enum token_what what, const char *uri, uint8_t algorithm,
    struct wire_out *blob, char error[KEEPER_ERROR_MAX])
{
	static uint8_t room[MESSAGE_MAX];
	struct wire_span result;

	if (!ask(token, what, algorithm, uri, (struct wire_span){0}, room, &result, error))
		return false;
	wire_put_bytes(blob, result.at, result.len);
	return !blob->failed;
}

bool token_sign(struct token *token, const char *uri, struct wire_span blob, struct wire_span data,
    struct wire_out *out, char error[KEEPER_ERROR_MAX])
{
	static uint8_t room[MESSAGE_MAX];
	struct wire_span signature;
	struct public_key key;

	if (!ask(token, TOKEN_SIGN, 0, uri, data, room, &signature, error))
		return false;
	if (!public_key_parse(blob, &key) || !public_key_verify(&key, data, signature, 0)) {
		snprintf(error, KEEPER_ERROR_MAX,
		    "what the token signed is not by the CA's key; was it replaced there?");
		return false;
	}
	wire_put_bytes(out, signature.at, signature.len);
	return !out->failed;
}
