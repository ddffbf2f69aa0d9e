/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* sources: control/identity/*.c control/certificate/*.c control/policy/*.c control/peers/*.c control/sessions/*.c
 * control/socket/*.c control/settings/yaml.c control/settings/strict.c; deps: rpc libsodium libcrypto sqlite3 jansson
 * yaml-0.1 */
/* clang-format on */
/* Lines at the control socket, all methods behind them, no other process up. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control.h"
#include "control/peers/calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void nobody_lost(void *context, struct peer *peer)
{
	(void)context;
	(void)peer;
}

static struct control control;
static struct client *client;
static int other_end;

static void start(void)
{
	static const char text[] = "default: allow\n";
	struct policy_fault fault;
	char error[256];
	int fds[2];

	rpc_log_set(0);
	control.epoll = epoll_create1(0);
	control.peers.context = &control;
	control.peers.lost = nobody_lost;
	peers_prepare(&control.peers, control.epoll);
	control.policies.in_force = policy_parse("p", text, strlen(text), &control.context, &fault);
	client = calloc(1, sizeof(*client));
	if (peers_open(&control.peers, 1) != 0 ||
	    !database_open(&control.db, ":memory:", error, sizeof(error)) ||
	    audit_open(&control.audit, "/dev/null", UINT64_MAX) != 0 || control.policies.in_force == NULL ||
	    client == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		abort();
	control.server.control = &control;
	control.server.epoll = control.epoll;
	control.server.clients = client;
	client->server = &control.server;
	client->number = 1;
	client->fd = fds[0];
	client->role = ROLE_ADMIN;
	other_end = fds[1];
}

static void drain(void)
{
	static char answers[65536];

	while (recv(other_end, answers, sizeof(answers), MSG_DONTWAIT) > 0)
		;
	client->out_len = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (client == NULL)
		start();
	jsonrpc_line(client, (const char *)data, size);
	calls_abandon(&control.peers);
	drain();
	/* Every request was answered, exactly once. */
	if (client->in_flight != 0 || client->fd < 0)
		abort();
	return 0;
}
