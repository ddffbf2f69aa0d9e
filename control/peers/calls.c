/* SPDX-License-Identifier: Apache-2.0 */
#include "control/peers/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct call {
	struct call *previous, *next;
	struct call_options options; /* options.fd: our own duplicate */
	int64_t deadline_ms;
	int64_t away_until_ms; /* while it is not sent */
	uint32_t id;           /* on the link; 0: not sent yet */
	uint64_t incarnation;  /* of the link it was sent on */
	size_t len;
	uint8_t body[];
};

static void unlink_call(struct peers *peers, struct call *call)
{
	if (call->previous != NULL)
		call->previous->next = call->next;
	else
		peers->calls = call->next;
	if (call->next != NULL)
		call->next->previous = call->previous;
	else
		peers->calls_last = call->previous;
	peers->call_count--;
}

static void finish(struct peers *peers, struct call *call, int error, struct wire_span body)
{
	struct call_options options = call->options;

	unlink_call(peers, call);
	if (options.fd >= 0)
		close(options.fd);
	free(call);
	if (error != 0)
		peers->calls_failed++;
	options.done(peers->context, options.argument, error, body);
}

static void wait_for_peer(struct call *call)
{
	int away_ms = call->options.away_ms > 0 ? call->options.away_ms : call->options.timeout_ms;

	call->id = 0;
	call->away_until_ms = peers_now_ms() + away_ms;
}

static int64_t due(const struct call *call)
{
	return call->id == 0 && call->away_until_ms < call->deadline_ms ? call->away_until_ms
	                                                                : call->deadline_ms;
}

static void send_call(struct call *call)
{
	struct peer *peer = call->options.peer;

	call->id = rpc_next_id(&peer->link);
	call->incarnation = peer->incarnation;
	/* Where this fails the link is about to be found broken, which settles the call. */
	(void)peer_send_bytes(peer, call->options.type, 0, call->id, call->body, call->len, call->options.fd);
}

void call_start(const struct call_options *options, rpc_put_fn put, const void *body)
{
	static uint8_t room[RPC_MESSAGE_MAX - 8];
	struct peers *peers = options->peer->peers;
	struct wire_out out = wire_into(room, sizeof(room));

	put(&out, body);
	size_t len = wire_written(&out);
	struct call *call = out.failed || peers->call_count >= CALLS_MAX ? NULL : malloc(sizeof(*call) + len);
	peers->calls_made++;
	if (call == NULL || (!options->wait && !peer_up(options->peer))) {
		int error = call == NULL ? -ENOMEM : -EPIPE;
		free(call);
		peers->calls_failed++;
		options->done(peers->context, options->argument, error, (struct wire_span){0});
		return;
	}
	*call = (struct call){
	    .options = *options, .deadline_ms = peers_now_ms() + options->timeout_ms, .len = len};
	call->options.fd = options->fd >= 0 ? fcntl(options->fd, F_DUPFD_CLOEXEC, 0) : -1;
	memcpy(call->body, room, len);
	wait_for_peer(call);
	call->previous = peers->calls_last;
	if (peers->calls_last != NULL)
		peers->calls_last->next = call;
	else
		peers->calls = call;
	peers->calls_last = call;
	peers->call_count++;
	if (peer_up(options->peer))
		send_call(call);
}

void peer_flush_calls(struct peer *peer)
{
	for (struct call *call = peer->peers->calls; call != NULL; call = call->next)
		if (call->options.peer == peer && call->id == 0)
			send_call(call);
}

int calls_reply(struct peer *peer, struct rpc_message *message)
{
	for (struct call *call = peer->peers->calls; call != NULL; call = call->next) {
		if (call->options.peer != peer || call->id != message->id ||
		    call->incarnation != peer->incarnation)
			continue;
		if (call->options.reply_type != message->type)
			return -EPROTO;
		finish(peer->peers, call, 0, message->body);
		return 0;
	}
	return 0; /* late: its call has timed out */
}

void calls_link_lost(struct peer *peer)
{
	struct peers *peers = peer->peers;
	struct call *call = peers->calls;

	while (call != NULL) {
		/* finish() takes what it frees out of the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		struct call *next = call->next;
		if (call->options.peer == peer && call->options.wait) {
			wait_for_peer(call);
		} else if (call->options.peer == peer) {
			finish(peers, call, -EPIPE, (struct wire_span){0});
			/* The callback may have started or finished others: begin again. */
			next = peers->calls;
		}
		call = next;
	}
}

int calls_expire(struct peers *peers)
{
	int64_t now = peers_now_ms(), nearest = INT64_MAX;
	struct call *call = peers->calls;

	while (call != NULL) {
		/* finish() takes what it frees out of the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		struct call *next = call->next;
		if (due(call) <= now) {
			finish(peers, call, call->id == 0 ? -EPIPE : -ETIMEDOUT, (struct wire_span){0});
			next = peers->calls;
			nearest = INT64_MAX;
		} else if (due(call) < nearest) {
			nearest = due(call);
		}
		call = next;
	}
	return nearest == INT64_MAX ? -1 : (int)(nearest - now);
}

void calls_abandon(struct peers *peers)
{
	while (peers->calls != NULL)
		/* It takes what it frees out of the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		finish(peers, peers->calls, -EPIPE, (struct wire_span){0});
}
