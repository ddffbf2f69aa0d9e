/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stand_in: plays every child of reeved in tests. It speaks the start-up protocol, writes what it is told to
 * standard error as "trace: …" lines, shows that its channels carry, and misbehaves as the settings ask:
 * the dataplane's EAL arguments --test-exit, --test-babble, --test-deaf and --test-blame.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/rpc/rpc.h"
#include "dataplane/slab/slab.h"

static enum rpc_role role;
static uint32_t own_index;
static bool test_exit, test_babble, test_deaf, test_blame;
static uint32_t worker_epoch; /* of the first channel to worker 0 */
static struct slab_producer *to_recorder;
static struct slab_consumer *from_worker[4];
static struct rpc_link control_keeper;

static enum rpc_role role_of(const char *name)
{
	for (unsigned i = RPC_CONTROL; i <= RPC_ROLE_MAX; i++)
		if (strcmp(name + strlen("reeve-"), rpc_role_name((enum rpc_role)i)) == 0)
			return (enum rpc_role)i;
	exit(9);
}

/* Exactly the descriptors 0 to 3 may be open. */
static void trace_start(char *const *environment)
{
	unsigned open_fds = 0, variables = 0;

	for (int fd = 0; fd < 256; fd++)
		open_fds += fcntl(fd, F_GETFD) >= 0;
	while (environment[variables] != NULL)
		variables++;
	rpc_log(RPC_LOG_INFO, "trace: start fds=%u env=%u", open_fds, variables);
}

static void make_socket(struct wire_span path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (!wire_span_copy(path, address.sun_path, sizeof(address.sun_path)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		rpc_log(RPC_LOG_ERROR, "trace: bind: %s", strerror(errno));
}

static void take_config(const struct rpc_message *message)
{
	struct rpc_sup_config_dataplane dataplane;
	struct rpc_sup_config_control control;
	struct rpc_sup_config_sshterm sshterm;
	struct rpc_sup_config_recorder recorder;

	if (message->type == RPC_SUP_CONFIG_DATAPLANE &&
	    rpc_get_sup_config_dataplane(message->body, &dataplane)) {
		struct wire eal = wire_over(dataplane.eal.at, dataplane.eal.len);
		while (wire_left(&eal) > 0) {
			struct wire_span argument = wire_string(&eal);
			test_exit |= wire_span_is(argument, "--test-exit");
			test_babble |= wire_span_is(argument, "--test-babble");
			test_deaf |= wire_span_is(argument, "--test-deaf");
			test_blame |= wire_span_is(argument, "--test-blame");
		}
		rpc_log(RPC_LOG_INFO, "trace: config mtu=%u flows=%u generation=%u", dataplane.mtu,
		    dataplane.flows, dataplane.generation);
	} else if (message->type == RPC_SUP_CONFIG_CONTROL &&
	           rpc_get_sup_config_control(message->body, &control)) {
		rpc_log(RPC_LOG_INFO, "trace: config recipients=%zu workers=%u", control.recipients.len / 32,
		    control.workers);
		make_socket(control.socket);
	} else if (message->type == RPC_SUP_CONFIG_KEEPER && message->fd_count == 1) {
		rpc_log(RPC_LOG_INFO, "trace: config directory=%d",
		    mkdirat(message->fds[0], "probe", 0700) == 0 || errno == EEXIST);
	} else if (message->type == RPC_SUP_CONFIG_SSHTERM &&
	           rpc_get_sup_config_sshterm(message->body, &sshterm)) {
		rpc_log(RPC_LOG_INFO, "trace: config worker=%u core=%u", sshterm.worker, sshterm.core);
	} else if (message->type == RPC_SUP_CONFIG_RECORDER &&
	           rpc_get_sup_config_recorder(message->body, &recorder)) {
		rpc_log(RPC_LOG_INFO, "trace: config workers=%u", recorder.workers);
	} else {
		exit(10);
	}
}

static void take_slab(struct rpc_message *message)
{
	struct rpc_sup_attach_slab body;

	if (!rpc_get_sup_attach_slab(message->body, &body) || message->fd_count != 2)
		exit(11);
	rpc_log(RPC_LOG_INFO, "trace: slab %s[%u] lcore=%u lane=%u side=%u epoch=%u",
	    rpc_role_name((enum rpc_role)body.role), body.index, body.lcore, body.lane, body.side,
	    body.epoch);
	if (body.role == RPC_SSHTERM && body.index == 0 && worker_epoch == 0)
		worker_epoch = body.epoch;
	int error = 0;
	if (body.lane == RPC_LANE_TO_RECORDER && body.side == RPC_SIDE_PRODUCER) {
		slab_producer_close(to_recorder);
		error = slab_producer_open(&to_recorder, message->fds[0], message->fds[1]);
	} else if (body.lane == RPC_LANE_TO_RECORDER && body.index < 4) {
		slab_consumer_close(from_worker[body.index]);
		error = slab_consumer_open(&from_worker[body.index], message->fds[0], message->fds[1]);
	} else {
		rpc_message_close_fds(message);
	}
	if (error != 0)
		exit(12);
	message->fd_count = 0;
}

static void take_rpc(struct rpc_message *message)
{
	struct rpc_sup_attach_rpc body;

	if (!rpc_get_sup_attach_rpc(message->body, &body) || message->fd_count != 1)
		exit(13);
	rpc_log(RPC_LOG_INFO, "trace: rpc %s[%u] epoch=%u", rpc_role_name((enum rpc_role)body.role),
	    body.index, body.epoch);
	if (role != RPC_KEEPER && body.role != RPC_KEEPER)
		return;
	rpc_link_close(&control_keeper);
	rpc_link_open(&control_keeper, message->fds[0], (enum rpc_role)body.role, body.index, body.epoch);
	message->fd_count = 0;
	if (role == RPC_CONTROL)
		RPC_SEND(&control_keeper, KEY_HOST, key_host, 0, 1, .target_id = wire_span_of("t"));
}

static void say_hello_to_recorder(void)
{
	uint8_t *bytes;
	uint32_t slab = to_recorder == NULL ? SLAB_NONE : slab_take(to_recorder, &bytes);

	if (slab == SLAB_NONE)
		return;
	memcpy(bytes, "hello", 5);
	slab_put(to_recorder, &(struct slab_desc){.slab = slab, .len = 5, .type = SLAB_REC_BLOCK});
	slab_publish(to_recorder);
}

static void hear_workers(void)
{
	struct slab_desc desc;
	const uint8_t *bytes;

	for (unsigned i = 0; i < 4; i++)
		while (from_worker[i] != NULL && slab_get(from_worker[i], &desc, &bytes)) {
			rpc_log(RPC_LOG_INFO, "trace: worker %u says %.*s", i, (int)desc.len,
			    (const char *)bytes);
			slab_return(from_worker[i], desc.slab, 0);
			slab_consumer_publish(from_worker[i]);
		}
}

static void take(struct rpc_link *supervisor, struct rpc_message *message)
{
	struct rpc_sup_peer peer;

	switch (message->type) {
	case RPC_SUP_ATTACH_SLAB:
		take_slab(message);
		break;
	case RPC_SUP_ATTACH_RPC:
		take_rpc(message);
		break;
	case RPC_SUP_ATTACH_BELL:
		rpc_log(RPC_LOG_INFO, "trace: bell");
		break;
	case RPC_SUP_PEER:
		if (!rpc_get_sup_peer(message->body, &peer))
			exit(14);
		rpc_log(RPC_LOG_INFO, "trace: peer %s[%u] %s", rpc_role_name((enum rpc_role)peer.role),
		    peer.index, peer.up ? "up" : "down");
		if (peer.role == RPC_RECORDER && peer.up && role == RPC_SSHTERM)
			say_hello_to_recorder();
		/* Said again of the next worker, it is about one that is gone. */
		if (test_blame && peer.role == RPC_SSHTERM && peer.index == 0 && peer.up)
			rpc_blame(0, worker_epoch);
		break;
	case RPC_SUP_START:
		if (test_exit)
			exit(1);
		RPC_SEND(supervisor, SUP_READY, sup_ready, 0, 0, 0);
		if (test_babble)
			RPC_SEND(supervisor, SES_KILL, ses_kill, 0, 0, .flow = 1);
		break;
	case RPC_SUP_STOP:
		rpc_log(RPC_LOG_INFO, "trace: stop");
		if (!test_deaf)
			exit(0);
		break;
	default:
		take_config(message);
	}
	rpc_message_close_fds(message);
}

static void hear_control_or_keeper(void)
{
	struct rpc_message message;

	if (rpc_receive(&control_keeper, &message) != 1) {
		rpc_link_close(&control_keeper);
		return;
	}
	rpc_log(RPC_LOG_INFO, "trace: %s from %s", rpc_type_name(message.type),
	    rpc_role_name(control_keeper.peer));
	if (role == RPC_KEEPER)
		RPC_SEND(&control_keeper, KEY_HOST_REPLY, key_host_reply, RPC_FLAG_REPLY, message.id, 0);
	rpc_message_close_fds(&message);
}

int main(int argc, char **argv)
{
	struct rpc_link supervisor;
	struct rpc_message message;

	role = role_of(argv[0]);
	own_index = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
	control_keeper.fd = -1;
	if (rpc_child_start(role, own_index, &supervisor) != 0)
		return 8;
	trace_start(environ);
	for (;;) {
		struct pollfd fds[2] = {
		    {.fd = supervisor.fd, .events = POLLIN}, {.fd = control_keeper.fd, .events = POLLIN}};
		poll(fds, 2, role == RPC_RECORDER ? 20 : -1);
		hear_workers();
		if (fds[1].revents != 0)
			hear_control_or_keeper();
		if (fds[0].revents == 0)
			continue;
		if (rpc_receive(&supervisor, &message) != 1)
			return 7;
		take(&supervisor, &message);
	}
}
