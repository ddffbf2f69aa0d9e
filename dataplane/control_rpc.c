/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/control_rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/stats.h"

#define POLICY_BYTES_MAX (64u << 20)
#define PASS_WAIT_US 50

enum state { STATE_CONFIG = 1, STATE_ATTACH = 2, STATE_RUN = 4, STATE_STOP = 8 };

static bool body(const struct rpc_message *m, bool decoded)
{
	if (!decoded)
		rpc_log(RPC_LOG_ERROR, "cannot read a message %s", rpc_type_name(m->type));
	return decoded;
}

/* -- from the supervisor -------------------------------------------------------------------------- */

static int take_fd(struct rpc_message *m, unsigned i)
{
	int fd = i < m->fd_count ? m->fds[i] : -1;

	if (fd >= 0)
		m->fds[i] = -1;
	return fd;
}

static int attach_rpc(void *context, struct rpc_link *link, struct rpc_message *m)
{
	struct control_rpc *c = context;
	struct rpc_sup_attach_rpc to;

	(void)link;
	if (!body(m, rpc_get_sup_attach_rpc(m->body, &to)) || to.role != RPC_CONTROL || m->fd_count != 1)
		return -EPROTO;
	rpc_link_close(&c->control);
	return rpc_link_open(&c->control, take_fd(m, 0), RPC_CONTROL, to.index, to.epoch);
}

static int attach_bell(void *context, struct rpc_link *link, struct rpc_message *m)
{
	struct control_rpc *c = context;
	struct rpc_sup_attach_bell to;

	(void)link;
	if (!body(m, rpc_get_sup_attach_bell(m->body, &to)) || to.lcore >= c->dataplane->lcore_count ||
	    m->fd_count != 1 || (c->state & STATE_ATTACH) == 0)
		return -EPROTO;
	int bell = take_fd(m, 0);
	int flags = fcntl(bell, F_GETFL);
	if (flags < 0 || fcntl(bell, F_SETFL, flags | O_NONBLOCK) != 0)
		return -errno;
	lcore_bell(c->dataplane->lcore[to.lcore], bell);
	return 0;
}

static int attach_slab(void *context, struct rpc_link *link, struct rpc_message *m)
{
	struct control_rpc *c = context;
	struct rpc_sup_attach_slab to;
	struct lcore_letter *letter;

	(void)link;
	if (!body(m, rpc_get_sup_attach_slab(m->body, &to)) || to.role != RPC_SSHTERM ||
	    to.lcore >= c->dataplane->lcore_count || m->fd_count < 1)
		return -EPROTO;
	if (to.lane != RPC_LANE_TO_WORKER && to.lane != RPC_LANE_TO_DATAPLANE)
		return -EPROTO;
	letter = calloc(1, sizeof(*letter));
	if (letter == NULL)
		return -ENOMEM;
	letter->kind = LETTER_ATTACH;
	letter->worker = to.index;
	letter->epoch = to.epoch;
	letter->lane = to.lane == RPC_LANE_TO_WORKER ? HANDOFF_TO_WORKER : HANDOFF_FROM_WORKER;
	letter->memfd = take_fd(m, 0);
	letter->bell = take_fd(m, 1);
	lcore_tell(c->dataplane->lcore[to.lcore], letter);
	return 0;
}

static int worker_down(struct control_rpc *c, uint32_t worker)
{
	for (unsigned i = 0; i < c->dataplane->lcore_count; i++) {
		struct lcore_letter *letter = calloc(1, sizeof(*letter));
		if (letter == NULL)
			return -ENOMEM;
		letter->kind = LETTER_DETACH;
		letter->worker = worker;
		letter->memfd = letter->bell = -1;
		lcore_tell(c->dataplane->lcore[i], letter);
	}
	return 0;
}

static int peer(void *context, struct rpc_link *link, struct rpc_message *m)
{
	struct control_rpc *c = context;
	struct rpc_sup_peer about;

	(void)link;
	if (!body(m, rpc_get_sup_peer(m->body, &about)))
		return -EPROTO;
	if (about.role == RPC_CONTROL)
		atomic_store(&c->dataplane->control_up, about.up != 0);
	else if (about.role == RPC_RECORDER)
		atomic_store(&c->dataplane->recorder_up, about.up != 0);
	else if (about.role == RPC_SSHTERM && about.up == 0)
		return worker_down(c, about.index);
	return 0;
}

static int start(void *context, struct rpc_link *link, struct rpc_message *m)
{
	struct control_rpc *c = context;

	(void)m;
	c->state = STATE_RUN;
	return RPC_SEND(link, SUP_READY, sup_ready, 0, rpc_next_id(link), .reserved = 0);
}

static int stop(void *context, struct rpc_link *link, struct rpc_message *m)
{
	struct control_rpc *c = context;

	(void)link;
	(void)m;
	c->state = STATE_STOP;
	return 0;
}

/* -- from control --------------------------------------------------------------------------------- */

/* The policy's bytes, private to us: a sealed memfd cannot change, and one that is not sealed is refused. */
static void *map_policy(int fd, uint32_t size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_SHRINK))
		return MAP_FAILED;
	if (size == 0 || size > POLICY_BYTES_MAX || fstat(fd, &st) != 0 || st.st_size < (off_t)size)
		return MAP_FAILED;
	return mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
}

static bool sessions_live(const struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->lcore_count; i++)
		if (__atomic_load_n(&tcp_counters(dp->lcore[i]->shard)->flows, __ATOMIC_RELAXED) > 0)
			return true;
	return false;
}

/* Puts the policy in force, waits until every lcore has it, frees the one before. */
static void publish(struct control_rpc *c, struct policy *policy)
{
	struct dataplane *dp = c->dataplane;
	struct policy *before = c->policy;

	if (before != NULL) {
		policy_inherit(policy, before);
		policy->older_audits =
		    dp->lcore_count > 1 && (before->audits || before->older_audits) && sessions_live(dp);
	}
	atomic_store_explicit(&dp->policy, policy, memory_order_release);
	c->policy = policy;
	uint64_t token = rte_rcu_qsbr_start(dp->rcu);
	for (unsigned i = 0; i < dp->lcore_count; i++)
		lcore_wake(dp->lcore[i]);
	while (rte_rcu_qsbr_check(dp->rcu, token, false) != 1)
		usleep(PASS_WAIT_US);
	policy_free(before);
	rpc_log(RPC_LOG_NOTICE, "policy generation %llu is in force: %u rules",
	    (unsigned long long)policy->generation, policy->rule_count);
}

static int take_policy(void *context, struct rpc_link *link, struct rpc_message *m)
{
	struct control_rpc *c = context;
	struct rpc_dp_policy said;
	char error[256] = "";

	if (!body(m, rpc_get_dp_policy(m->body, &said)) || m->fd_count != 1)
		return -EPROTO;
	void *bytes = map_policy(m->fds[0], said.size);
	if (bytes == MAP_FAILED) {
		snprintf(
		    error, sizeof(error), "the policy's memory is not sealed, or not %u bytes", said.size);
	} else {
		struct policy *policy =
		    policy_create(bytes, said.size, c->dataplane->lcore_count, error, sizeof(error));
		munmap(bytes, said.size);
		if (policy != NULL && policy->generation != said.generation) {
			snprintf(error, sizeof(error), "the policy is of another generation than announced");
			policy_free(policy);
		} else if (policy != NULL) {
			publish(c, policy);
		}
	}
	if (error[0] != '\0')
		rpc_log(RPC_LOG_ERROR, "policy generation %llu refused: %s",
		    (unsigned long long)said.generation, error);
	return RPC_SEND(link, DP_POLICY_DONE, dp_policy_done, RPC_FLAG_REPLY, m->id,
	    .generation = said.generation, .error = wire_span_of(error));
}

static int stats(void *context, struct rpc_link *link, struct rpc_message *m)
{
	static char text[RPC_MESSAGE_MAX - 64];
	struct control_rpc *c = context;
	size_t len = stats_write(c->dataplane, c->policy, text, sizeof(text));

	return RPC_SEND(link, STATS_REPLY, stats_reply, RPC_FLAG_REPLY, m->id,
	    .text = {.at = (const uint8_t *)text, .len = len});
}

static const struct rpc_handler handlers[] = {
    {RPC_SUP_ATTACH_RPC, RPC_FROM(RPC_SUPERVISOR), STATE_ATTACH | STATE_RUN, attach_rpc},
    {RPC_SUP_ATTACH_BELL, RPC_FROM(RPC_SUPERVISOR), STATE_ATTACH, attach_bell},
    {RPC_SUP_ATTACH_SLAB, RPC_FROM(RPC_SUPERVISOR), STATE_ATTACH | STATE_RUN, attach_slab},
    {RPC_SUP_PEER, RPC_FROM(RPC_SUPERVISOR), STATE_ATTACH | STATE_RUN, peer},
    {RPC_SUP_START, RPC_FROM(RPC_SUPERVISOR), STATE_ATTACH, start},
    {RPC_SUP_STOP, RPC_FROM(RPC_SUPERVISOR), ~0u, stop},
    {RPC_DP_POLICY, RPC_FROM(RPC_CONTROL), STATE_ATTACH | STATE_RUN, take_policy},
    {RPC_STATS, RPC_FROM(RPC_CONTROL), STATE_ATTACH | STATE_RUN, stats},
};

/* -- the thread ----------------------------------------------------------------------------------- */

/* One message of a link. < 0: the link is of no use any more. */
static int serve(struct control_rpc *c, struct rpc_link *link)
{
	struct rpc_message m;
	int got = rpc_receive(link, &m);

	if (got <= 0)
		return got;
	uint16_t type = m.type;
	int error = rpc_dispatch(handlers, sizeof(handlers) / sizeof(handlers[0]), c->state, c, link, &m);
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "message %s from %s: %s", rpc_type_name(type),
		    rpc_role_name(link->peer), strerror(-error));
	return error;
}

/* Waits for one round of messages. False: the supervisor is gone, or said stop. */
static bool turn(struct control_rpc *c)
{
	struct pollfd fds[2] = {
	    {.fd = c->supervisor.fd, .events = POLLIN}, {.fd = c->control.fd, .events = POLLIN}};

	if (poll(fds, 2, -1) < 0)
		return errno == EINTR;
	if (fds[0].revents != 0 && serve(c, &c->supervisor) < 0)
		return false;
	/* The supervisor may just have replaced the link that had something to say. */
	if (fds[1].revents != 0 && c->control.fd == fds[1].fd && serve(c, &c->control) < 0)
		rpc_link_close(&c->control); /* a new one comes with the next control */
	return c->state != STATE_STOP;
}

bool control_rpc_wait_config(struct control_rpc *c, struct rpc_sup_config_dataplane *config)
{
	struct rpc_message m;

	if (rpc_receive(&c->supervisor, &m) != 1)
		return false;
	bool good =
	    m.type == RPC_SUP_CONFIG_DATAPLANE && body(&m, rpc_get_sup_config_dataplane(m.body, config));
	rpc_message_close_fds(&m);
	c->state = STATE_ATTACH;
	return good;
}

bool control_rpc_wait_start(struct control_rpc *c)
{
	while (c->state == STATE_ATTACH)
		if (!turn(c))
			return false;
	return true;
}

void *control_rpc_run(void *control_rpc)
{
	struct control_rpc *c = control_rpc;

	while (turn(c))
		;
	atomic_store(&c->dataplane->stop, true);
	for (unsigned i = 0; i < c->dataplane->lcore_count; i++)
		lcore_wake(c->dataplane->lcore[i]);
	return NULL;
}
