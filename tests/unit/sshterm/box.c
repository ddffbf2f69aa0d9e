/* SPDX-License-Identifier: Apache-2.0 */
#include "box.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sshterm/fiber.h"
#include "sshterm/legs.h"

void (*box_session)(struct session *session);

/* Takes the place of legs.c. */
void session_run(struct session *session)
{
	box_session(session);
}

/* `bell` is the producer's, -1: none. */
static void channel(struct slab_producer **producer, struct slab_consumer **consumer, uint32_t slabs,
    uint32_t bytes, int bell)
{
	int fd = slab_create(slabs, bytes, 1);

	cr_assert_geq(fd, 0);
	cr_assert_eq(slab_producer_open(producer, fcntl(fd, F_DUPFD_CLOEXEC, 0), -1), 0);
	cr_assert_eq(slab_consumer_open(consumer, fd, bell), 0);
}

void box_start(struct box *box, uint32_t slabs, uint32_t slab_bytes)
{
	struct rpc_sup_config_sshterm config = {.sessions = 100, .login_grace_s = 60, .lcores = 1};

	*box = (struct box){.control = {.fd = -1}};
	cr_assert_eq(worker_init(&box->worker, &config), 0);
	box->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	channel(&box->to_worker, &box->worker.channels[0].in, slabs, slab_bytes, -1);
	channel(&box->worker.channels[0].out, &box->from_worker, slabs, slab_bytes,
	    fcntl(box->bell, F_DUPFD_CLOEXEC, 0));
}

void box_stop(struct box *box)
{
	sessions_kill_all(&box->worker, "the test is over", "shutdown");
	box_say(box, 0, SLAB_FLOW_GONE, 0);
	for (struct session *session = box->worker.sessions.all; session != NULL; session = session->next)
		session_lose(session, "shutdown");
	box_turn(box);
	cr_assert_eq(box->worker.sessions.live, 0, "%u sessions did not end", box->worker.sessions.live);
	worker_free(&box->worker);
	slab_producer_close(box->to_worker);
	slab_consumer_close(box->from_worker);
	close(box->bell);
	rpc_link_close(&box->control);
	fiber_pool_drain();
}

void box_control(struct box *box)
{
	int pair[2];

	rpc_link_close(&box->control);
	cr_assert_eq(rpc_pair(pair), 0);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	cr_assert_eq(rpc_link_open(&box->control, pair[0], RPC_SSHTERM, 0, 1), 0);
	control_attach(&box->worker, pair[1], 1);
}

void box_say(struct box *box, uint64_t flow, uint16_t type, uint32_t leg)
{
	struct slab_desc desc = {.slab = SLAB_NONE, .type = type, .aux = leg, .flow = flow};

	cr_assert(slab_put(box->to_worker, &desc));
	slab_publish(box->to_worker);
}

static void put(struct box *box, uint64_t flow, uint16_t type, uint32_t leg, const void *bytes, uint32_t len)
{
	uint8_t *at;
	uint32_t slab = slab_take(box->to_worker, &at);

	cr_assert_neq(slab, SLAB_NONE);
	memcpy(at, bytes, len);
	cr_assert(slab_put(box->to_worker,
	    &(struct slab_desc){.slab = slab, .len = len, .type = type, .aux = leg, .flow = flow}));
	slab_publish(box->to_worker);
}

void box_data(struct box *box, uint64_t flow, uint32_t leg, const void *bytes, uint32_t len)
{
	put(box, flow, SLAB_FLOW_DATA, leg, bytes, len);
}

void box_turn(struct box *box)
{
	for (int i = 0; i < 100 && worker_turn(&box->worker); i++)
		(void)control_poll(&box->worker);
}

struct session *box_open(struct box *box, uint64_t flow, uint32_t receive_credit, uint32_t send_credit)
{
	struct slab_flow about = {.family = 4,
	    .receive_credit = receive_credit,
	    .receive_max = receive_credit,
	    .send_credit = send_credit};

	put(box, flow, SLAB_FLOW_OPEN, 0, &about, sizeof(about));
	box_turn(box);
	return session_find(&box->worker, 0, flow);
}

bool box_next(struct box *box, struct slab_desc *desc, void *bytes, bool give_back)
{
	const uint8_t *at;

	if (!slab_get(box->from_worker, desc, &at))
		return false;
	if (at != NULL && bytes != NULL)
		memcpy(bytes, at, desc->len);
	if (at != NULL && give_back)
		slab_return(box->from_worker, desc->slab, 0);
	slab_consumer_publish(box->from_worker);
	return true;
}
