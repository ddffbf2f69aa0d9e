/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: everything one reeve-sshterm process holds, and its event loop.
 */
#ifndef SSHTERM_WORKER_H
#define SSHTERM_WORKER_H

#include "control/rpc/rpc.h"
#include "sshterm/computing_thread.h"
#include "sshterm/control_rpc.h"
#include "sshterm/flow_channel.h"
#include "sshterm/offered.h"
#include "sshterm/session.h"
#include "sshterm/sessions.h"

#define WORKER_LCORES_MAX 64
#define WORKER_SESSIONS_MAX 30000 /* two descriptors each out of vsock.h's range, and room to turn around */

struct worker_counters {
	uint64_t sessions_total;
	uint64_t refused;         /* flows reset because the worker was full or stopping */
	uint64_t logged_in;       /* both legs authenticated */
	uint64_t not_ssh;         /* the client, or the origin, did not speak SSH */
	uint64_t refused_source;  /* of them, because their client holds too many before login */
	uint64_t auth_failures;   /* refused keys and certificates */
	uint64_t login_timeouts;  /* login grace time ran out */
	uint64_t denied;          /* known users whom the rule did not let in */
	uint64_t origin_failures; /* the origin refused, closed or broke its leg before login */
	uint64_t lost;            /* ended with the dataplane */
	uint64_t killed;
	uint64_t long_computations; /* handed to the helper */
	uint64_t slab_waits;        /* times that a leg waited for a slab because they are scarce */
	uint64_t bytes_from_client, bytes_from_origin; /* of ended sessions */
};

struct worker {
	uint32_t index;
	uint32_t lcores;
	bool idle_poll; /* never sleep */
	uint32_t login_grace_s;
	uint64_t recorder_patience_us; /* that a strict session waits for what it sent to be flushed */
	bool started, stopping;
	bool turning; /* the loop goes on */
	uint64_t stop_at_us;
	int bell; /* eventfd that the other ends ring, -1 until it came */
	int epoll;
	struct rpc_link supervisor;
	struct control control;
	struct flow_channel channels[WORKER_LCORES_MAX];
	struct sessions sessions;
	struct record_channel *record;
	struct computing_thread *helper; /* NULL: none; what is long is computed in the fiber */
	struct worker_counters counters;
	struct offered offered;
};

/* Takes what the supervisor configured. 0 or -errno. */
int worker_init(struct worker *worker, const struct rpc_sup_config_sshterm *config);
/* Watches a descriptor for input: the supervisor's link, control's, or the bell. */
int worker_watch(struct worker *worker, int fd);
/* Turns until the supervisor has said SUP_STOP and sessions are settled (0), or the supervisor is gone
 * (-errno). */
int worker_loop(struct worker *worker);
/* One turn without sleeping, for tests. True where anything was done. */
bool worker_turn(struct worker *worker);
void worker_free(struct worker *worker);
/* "name value\n" lines; returns their length. */
size_t worker_stats(const struct worker *worker, char *text, size_t size);
/* Reads the clock anew (worker_now_us is the time of the turn). */
uint64_t worker_clock(void);

/* supervision.c: what arrives over the supervisor's link. 0, or -errno where the link is to be given up. */
int supervision_receive(struct worker *worker);

#endif
