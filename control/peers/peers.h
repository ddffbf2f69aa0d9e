/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers: control's links to the other processes, and the requests it has made of them.
 *
 * Theory of operation. A link is non-blocking in both directions: what the peer does not take at once waits
 * in a bounded queue (a worker that lets its queue overflow loses its link; nothing here ever waits for a
 * peer). A request to a peer is a `call`: its bytes are kept until the reply or its deadline, so that a
 * request for a process that is being restarted goes out when the new one is there. The answer comes to a
 * callback, exactly once, also for a failure; callbacks look up what they were for again, because it may be
 * gone.
 */
#ifndef CONTROL_PEERS_PEERS_H
#define CONTROL_PEERS_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "control/rpc/rpc.h"

#define PEER_QUEUE_MAX (16u << 20) /* bytes that wait for one peer */
#define PEER_WORKERS_MAX 256
#define CALLS_MAX 65536 /* requests under way, all peers together */

/* What epoll's event points to. */
struct watch {
	void (*ready)(void *context, uint32_t events);
	void *context;
};

struct peers;
struct outgoing;
struct call;

struct peer {
	struct watch watch;
	struct peers *peers;
	struct rpc_link link; /* link.fd < 0: down */
	struct outgoing *first, *last;
	size_t queued; /* bytes in the queue */
	bool writable_wanted;
	uint64_t
	    incarnation; /* counts attachments: answers of an older one are not for the new one's requests */
};

struct peers {
	int epoll;
	struct peer supervisor, keeper, dataplane, recorder;
	struct peer *workers;
	uint32_t worker_count;
	struct call *calls; /* all under way, oldest first */
	struct call *calls_last;
	uint32_t call_count;
	uint64_t calls_made, calls_failed;
	bool serving; /* messages of others than the supervisor are taken */
	/* A message that is no reply: 0, or < 0 to drop the link. */
	int (*message)(void *context, struct peer *peer, struct rpc_message *message);
	/* The link went down (already closed). */
	void (*lost)(void *context, struct peer *peer);
	void *context;
};

/* All links down; message, lost and context are the caller's to set. */
void peers_prepare(struct peers *peers, int epoll);
/* Makes room for the workers. 0 or -errno. */
int peers_open(struct peers *peers, uint32_t workers);
/* From here on all peers are heard; before, what they send waits in their sockets. */
void peers_serve(struct peers *peers);
void peers_close(struct peers *peers);

/* The peer of that role and index; NULL where there is no such. */
struct peer *peers_find(struct peers *peers, uint8_t role, uint32_t index);
/* Takes `fd` as the peer's new link (the old one is dropped without a word) and resends waiting calls. 0 or
 * -errno. */
int peer_attach(struct peer *peer, int fd, enum rpc_role role, uint32_t index, uint32_t epoch);
/* Takes an open link (the supervisor's). */
int peer_adopt(struct peer *peer, const struct rpc_link *link);
/* Drops the link and tells `lost`. */
void peer_drop(struct peer *peer);
bool peer_up(const struct peer *peer);
/* Sends again what waits in calls for this peer: for the owner, once it has said what must come first. */
void peer_flush_calls(struct peer *peer);

/* Queues or sends a message. False where the peer is down or drops out over it. */
bool peer_send(
    struct peer *peer, uint16_t type, uint16_t flags, uint32_t id, rpc_put_fn put, const void *body);
#define PEER_SEND(peer, NAME, name, flags, id, ...)                                                          \
	peer_send((peer), RPC_##NAME, (flags), (id), rpc_put_##name, &(struct rpc_##name){__VA_ARGS__})
/* The answer to a request: its type is the reply's. */
#define PEER_REPLY(peer, id, NAME, name, ...) PEER_SEND(peer, NAME, name, RPC_FLAG_REPLY, id, __VA_ARGS__)

/* `body`: of the reply, valid during the callback. error: 0, -ETIMEDOUT, -EPIPE (the peer is down), -ENOMEM.
 */
typedef void (*call_done)(void *context, void *argument, int error, struct wire_span body);

struct call_options {
	struct peer *peer;
	uint16_t type, reply_type;
	int timeout_ms;
	int away_ms; /* how long of it the peer may be away, each time; 0: all of it */
	bool wait;   /* while the peer is down, wait for it until the deadline (else fail at once) */
	int fd;      /* passed along; -1: none. Stays the caller's (it is duplicated). */
	call_done done;
	void *argument; /* the callback frees it */
};
/* Makes a request. `done` is called once, perhaps before this returns. */
void call_start(const struct call_options *options, rpc_put_fn put, const void *body);
/* CALL(&options, KEY_HOST, key_host, .target_id = …) */
#define CALL(options, name, ...) call_start((options), rpc_put_##name, &(struct rpc_##name){__VA_ARGS__})

/* Fails calls whose deadline is past; returns milliseconds to the next one, -1: none. */
int calls_expire(struct peers *peers);

int64_t peers_now_ms(void); /* CLOCK_MONOTONIC */

#endif
