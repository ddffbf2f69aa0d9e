/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_rpc: what sessions ask of control, many at once over one link, and what they tell it.
 *
 * A call parks its session's fiber until the reply with its id arrives. When control dies, calls in flight
 * and new ones wait for its successor up to CONTROL_AWAY_US and are then asked again; the successor is first
 * told what it must know of the live sessions (RPC_SES_RESUME). Messages without a reply that could not be
 * sent are kept in order, up to a bound.
 */
#ifndef SSHTERM_CONTROL_RPC_H
#define SSHTERM_CONTROL_RPC_H

#include <stdbool.h>
#include <stdint.h>

#include "control/rpc/rpc.h"

#define CONTROL_AWAY_US 2000000ull       /* how long a login waits for a control that is not there */
#define CONTROL_AWAY_LIVE_US 30000000ull /* and a live session, at a rekey */
#define CONTROL_REPLY_US 10000000ull     /* and for the answer of one that is */
#define CONTROL_ASK_US 2000000ull        /* for those of the control_ask()s of one request */
#define CONTROL_KEPT_MAX 4096            /* messages kept while control is away */

struct session;
struct worker;
struct control_call;
struct control_kept;

#define CONTROL_CALL_BUCKETS 256
struct control {
	struct rpc_link link;
	bool up;
	uint32_t generation; /* counts links: a call knows whether it was asked over this one */
	struct control_call *calls[CONTROL_CALL_BUCKETS];
	struct control_kept *kept_first, *kept_last;
	unsigned kept_count;
	uint64_t kept_dropped;
};

/* A reply's body, copied: spans decoded from it are valid until control_reply_free. */
struct control_reply {
	uint8_t *bytes;
	struct wire_span body;
};

/* Asks and waits. 0; -ETIMEDOUT: control is away or silent; -ECANCELED: the session is over; -EPROTO: the
 * reply is of another type than `reply_type`; -ENOMEM. */
int control_call(struct session *session, uint16_t type, uint16_t reply_type, rpc_put_fn put,
    const void *body, struct control_reply *reply);
/* The same, for what a session can do without: it waits for no control that is away, and for an answer until
 * `until_us` of worker_now_us(), one deadline for all questions that serve the same request of a peer. Later
 * than that nothing is asked: -ETIMEDOUT. */
int control_ask(struct session *session, uint64_t until_us, uint16_t type, uint16_t reply_type,
    rpc_put_fn put, const void *body, struct control_reply *reply);
void control_reply_free(struct control_reply *reply);
#define CONTROL_ASK(session, until_us, NAME, name, reply, ...)                                               \
	control_ask((session), (until_us), RPC_##NAME, RPC_##NAME##_REPLY, rpc_put_##name,                   \
	    &(struct rpc_##name){__VA_ARGS__}, (reply))
#define CONTROL_CALL(session, NAME, name, reply, ...)                                                        \
	control_call((session), RPC_##NAME, RPC_##NAME##_REPLY, rpc_put_##name,                              \
	    &(struct rpc_##name){__VA_ARGS__}, (reply))

void control_init(struct worker *worker);
/* A new link (taken over): tells it of live sessions, sends what was kept, wakes those who wait. */
void control_attach(struct worker *worker, int fd, uint32_t epoch);
void control_detach(struct worker *worker);
/* Takes in what has arrived. True where there was anything. */
bool control_poll(struct worker *worker);
/* Tries to send what was kept. */
void control_flush(struct worker *worker);
bool control_settled(const struct worker *worker);
void control_free(struct worker *worker);

#endif
