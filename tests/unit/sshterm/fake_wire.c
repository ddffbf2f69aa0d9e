/* SPDX-License-Identifier: Apache-2.0 */
/* The dataplane's side of the slab channels, with TCP sockets of the kernel for a wire. */
#include "fake_box.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(struct fake_wire *wire, uint64_t flow, uint16_t type, uint32_t leg, uint64_t arg)
{
	struct slab_desc desc = {.slab = SLAB_NONE, .type = type, .aux = leg, .flow = flow, .arg = arg};

	(void)slab_put(wire->to_worker, &desc);
}

static int connect_origin(uint16_t port)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void prepare(int fd)
{
	int one = 1;

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void open_flow(struct fake_wire *wire, struct fake_flow *flow, int client, int origin)
{
	struct slab_flow about = {.family = 4,
	    .client_addr = {127, 0, 0, 1},
	    .server_addr = {127, 0, 0, 1},
	    .client_port = 40000,
	    .server_port = wire->origin_port,
	    .receive_credit = wire->receive_credit,
	    .receive_max = wire->receive_credit,
	    .send_credit = wire->send_credit};
	uint8_t *bytes;
	uint32_t slab = slab_take(wire->to_worker, &bytes);

	prepare(client);
	prepare(origin);
	*flow = (struct fake_flow){
	    .used = true, .number = ++wire->next_flow, .leg = {{.fd = client}, {.fd = origin}}};
	memcpy(bytes, &about, sizeof(about));
	(void)slab_put(wire->to_worker,
	    &(struct slab_desc){
	        .slab = slab, .len = sizeof(about), .type = SLAB_FLOW_OPEN, .flow = flow->number});
}

void fake_wire_accept(struct fake_wire *wire)
{
	int client = accept4(wire->listener, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0)
		return;
	int origin = connect_origin(wire->origin_port);
	for (unsigned i = 0; origin >= 0 && i < FAKE_FLOWS_MAX; i++)
		if (!wire->flows[i].used) {
			open_flow(wire, &wire->flows[i], client, origin);
			return;
		}
	close(client);
	if (origin >= 0)
		close(origin);
}

static void close_flow(struct fake_wire *wire, struct fake_flow *flow, bool reset)
{
	struct linger hard = {.l_onoff = 1};

	for (int i = 0; i < 2; i++) {
		struct fake_leg *leg = &flow->leg[i];
		while (leg->pending_count > 0) {
			slab_return(
			    wire->from_worker, leg->pending[leg->pending_first % FAKE_PENDING_MAX].slab, 0);
			leg->pending_first++;
			leg->pending_count--;
		}
		if (reset)
			(void)setsockopt(leg->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(leg->fd);
	}
	say(wire, flow->number, SLAB_FLOW_GONE, 0, 0);
	flow->used = false;
}

static void reset_flow(struct fake_wire *wire, struct fake_flow *flow, int leg, int error)
{
	say(wire, flow->number, SLAB_FLOW_RESET, (uint32_t)leg, (uint64_t)error);
	close_flow(wire, flow, true);
}

/* Socket -> worker, as far as the credit goes. False: the flow is no more. */
static bool receive(struct fake_wire *wire, struct fake_flow *flow, int side)
{
	struct fake_leg *leg = &flow->leg[side];
	uint8_t *bytes;

	while (!leg->eof_told && leg->sent - leg->consumed < wire->receive_credit) {
		uint64_t credit = wire->receive_credit - (leg->sent - leg->consumed);
		uint32_t slab = slab_take(wire->to_worker, &bytes);
		if (slab == SLAB_NONE)
			return true;
		uint32_t want = slab_size(wire->to_worker);
		ssize_t got = recv(leg->fd, bytes, credit < want ? credit : want, 0);
		if (got <= 0) {
			slab_untake(wire->to_worker, slab);
			if (got < 0 && (errno == EAGAIN || errno == EINTR))
				return true;
			if (got < 0) {
				reset_flow(wire, flow, side, errno);
				return false;
			}
			say(wire, flow->number, SLAB_FLOW_FIN, (uint32_t)side, 0);
			leg->eof_told = true;
			return true;
		}
		leg->sent += (uint64_t)got;
		(void)slab_put(wire->to_worker, &(struct slab_desc){.slab = slab,
		                                    .len = (uint32_t)got,
		                                    .type = SLAB_FLOW_DATA,
		                                    .aux = (uint32_t)side,
		                                    .flow = flow->number});
	}
	return true;
}

/* Worker -> socket. False: the flow is no more. */
static bool send_pending(struct fake_wire *wire, struct fake_flow *flow, int side)
{
	struct fake_leg *leg = &flow->leg[side];

	while (leg->pending_count > 0) {
		uint32_t at = leg->pending_first % FAKE_PENDING_MAX;
		struct slab_desc *desc = &leg->pending[at];
		ssize_t put = send(leg->fd, leg->pending_bytes[at] + leg->pending_offset,
		    desc->len - leg->pending_offset, MSG_NOSIGNAL);
		if (put < 0 && errno == EAGAIN)
			return true;
		if (put < 0) {
			reset_flow(wire, flow, side, errno);
			return false;
		}
		leg->pending_offset += (uint32_t)put;
		if (leg->pending_offset < desc->len)
			return true;
		slab_return(wire->from_worker, desc->slab, 0);
		leg->pending_offset = 0;
		leg->pending_first++;
		leg->pending_count--;
	}
	if (leg->fin_wanted && !leg->fin_done) {
		(void)shutdown(leg->fd, SHUT_WR);
		leg->fin_done = true;
	}
	return true;
}

static struct fake_flow *find(struct fake_wire *wire, uint64_t number)
{
	for (unsigned i = 0; i < FAKE_FLOWS_MAX; i++)
		if (wire->flows[i].used && wire->flows[i].number == number)
			return &wire->flows[i];
	return NULL;
}

static void take(struct fake_wire *wire, const struct slab_desc *desc, const uint8_t *bytes)
{
	struct fake_flow *flow = find(wire, desc->flow);
	struct fake_leg *leg = flow != NULL && desc->aux <= 1 ? &flow->leg[desc->aux] : NULL;

	if (flow != NULL && desc->type == SLAB_LEG_RESET) {
		close_flow(wire, flow, true);
	} else if (leg != NULL && desc->type == SLAB_LEG_DATA && bytes != NULL &&
	           leg->pending_count < FAKE_PENDING_MAX) {
		uint32_t at = (leg->pending_first + leg->pending_count++) % FAKE_PENDING_MAX;
		leg->pending[at] = *desc;
		leg->pending_bytes[at] = bytes;
		return;
	} else if (leg != NULL && desc->type == SLAB_LEG_FIN) {
		leg->fin_wanted = true;
	} else if (leg != NULL && desc->type == SLAB_LEG_CONSUMED) {
		leg->consumed = desc->arg;
	}
	if (bytes != NULL)
		slab_return(wire->from_worker, desc->slab, 0);
}

void fake_wire_turn(struct fake_wire *wire)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	uint64_t status;

	while (slab_reclaim(wire->to_worker, &desc, &status, false))
		;
	while (slab_get(wire->from_worker, &desc, &bytes))
		take(wire, &desc, bytes);
	for (unsigned i = 0; i < FAKE_FLOWS_MAX; i++) {
		struct fake_flow *flow = &wire->flows[i];
		if (!flow->used)
			continue;
		if (!receive(wire, flow, 0) || !receive(wire, flow, 1) || !send_pending(wire, flow, 0) ||
		    !send_pending(wire, flow, 1))
			continue;
		if (flow->leg[0].fin_done && flow->leg[1].fin_done && flow->leg[0].eof_told &&
		    flow->leg[1].eof_told)
			close_flow(wire, flow, false);
	}
	slab_publish(wire->to_worker);
	slab_consumer_publish(wire->from_worker);
}

void fake_wire_drop(struct fake_wire *wire)
{
	for (unsigned i = 0; i < FAKE_FLOWS_MAX; i++)
		if (wire->flows[i].used) {
			close(wire->flows[i].leg[0].fd);
			close(wire->flows[i].leg[1].fd);
			wire->flows[i].used = false;
		}
}
