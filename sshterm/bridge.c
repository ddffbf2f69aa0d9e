/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: two authenticated SSH connections, and every message of the connection protocol that
 * arrives on one sent on, whole, on the other.
 *
 * The fiber of the session waits once, for both legs, and then: feeds what was received on each leg to
 * libssh, packet by packet (bridge_packets.h); shows each message 80..127 to the channel table (channels.h),
 * which has programs recorded (programs.h) and says whether it passes; sends it on the other leg. Nothing is
 * translated, reordered or dropped. Transport messages (key exchange, ignore, debug, ping, ext-info) are each
 * leg's own; UNIMPLEMENTED is mapped to the packet it speaks of; DISCONNECT is handed on.
 *
 * Flow control is end to end. Before a packet is taken from one leg, what the other holds unsent (libssh's
 * buffer and its queue behind a key exchange) must be under UNSENT_MAX; else the leg is not read, its bytes
 * stay where they are, and TCP closes the peer's window. What was handed to the dataplane is bounded by the
 * leg's credit of slabs. One exception: while *both* legs exchange keys each must be read to get done, so
 * then packets may queue up to REKEY_MAX; a peer that sends more instead of its KEXINIT ends the session.
 *
 * Answers of the box's own (PONG, refusals) go back on the leg that they were asked for on, so a peer that
 * asks and does not read is not read either once ANSWERS_MAX wait for it; but during its key exchange, up to
 * REKEY_MAX.
 *
 * strict. A packet goes on once the record made of it is flushed; packets behind it on the same leg wait too
 * (struct held), so that order is kept. Messages of the transport never wait, key exchanges go on. At most
 * HOLD_MAX bytes wait a leg (then it is not read); when the oldest has waited recorder_patience the session
 * is ended: the recorder is gone.
 * Early packets. Origins do not wait: packets that arrive after a leg's login and before bridge_run() are
 * copied and taken first. What a client sends behind the request that lets it in is not read before.
 * Agent first. A login at the origin that needs the client's agent is made here (agent_first.h, from
 * bridge_login_first()): until it is, the client's messages are held there.
 * The end. A peer's FIN is passed on after everything before it; then the other peer may take its time to
 * take that and to finish (lingering.h). RST ends both; so a client's messages for an origin that has hung up
 * wait until the client has finished, for they would be answered by one. A session that the box ends tells
 * its client why (DISCONNECT).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/bridge_agent.h"
#include "sshterm/bridge_packets.h"
#include "sshterm/channels.h"
#include "sshterm/held_queue.h"
#include "sshterm/lingering.h"
#include "sshterm/own_words.h"
#include "sshterm/programs.h"
#include "sshterm/session.h"

#define UNSENT_MAX (64u * 1024)
#define ANSWERS_MAX (1024u * 1024) /* more than what is relayed comes to */
#define REKEY_MAX (16u * 1024 * 1024)
#define HOLD_MAX (512u * 1024)
#define EARLY_MAX (1024u * 1024)
#define GATHER_MAX (300u * 1024) /* libssh's largest packet, its MAC, and more */
#define GATHER_KEPT 4096
#define SEQUENCES 32 /* a power of two */
#define FLUSH_US 1000000

#define MSG_DISCONNECT 1
#define MSG_UNIMPLEMENTED 3
#define DISCONNECT_PROTOCOL_ERROR 2
#define DISCONNECT_BY_APPLICATION 11

struct sequence_pair {
	uint32_t sent, received;
	bool valid;
};

/* UNIMPLEMENTED is said of messages that few know: those have a ring of their own, out of which no stream of
 * common ones can push them. */
struct sequences {
	struct sequence_pair last[SEQUENCES];
	uint32_t next;
};

struct bridge_leg {
	struct bridge *bridge;
	enum leg leg;
	struct vsock *sock;
	struct packets *packets; /* NULL: bridge_prepare was not called for it */
	uint8_t *gather;         /* a packet that came in pieces */
	size_t gather_len, gather_size;
	struct held_queue early;  /* received before bridge_run */
	struct held_queue held;   /* to be sent on this leg */
	struct sequences sent[2]; /* the last packets relayed onto this leg: common ones, strange ones */
	bool stopped;             /* not read to its end: too much waits for somebody */
	bool done;                /* nothing more is taken from it: FIN or DISCONNECT came */
	bool fin_sent;
};

struct bridge {
	struct session *session;
	struct bridge_leg legs[2];
	struct channels channels;
	struct programs programs;
	struct held_queue answers[2]; /* the box's own, made while a packet was looked at */
	struct bridge_agent *agent;   /* NULL: the origin had let us in before */
	bool running;
	bool strict;
	struct lingering lingering;      /* one peer is done */
	const char *reason;              /* set: the session is to be ended for this */
	char text[SESSION_TEXT_MAX * 2]; /* and the client is told this */
};

static struct bridge_leg *other_leg(struct bridge_leg *leg)
{
	return &leg->bridge->legs[leg->leg == LEG_CLIENT ? LEG_ORIGIN : LEG_CLIENT];
}

/* The first reason counts. */
static void end_with(struct bridge *bridge, const char *reason, const char *text)
{
	if (bridge->reason != NULL)
		return;
	bridge->reason = reason;
	snprintf(bridge->text, sizeof(bridge->text), "%s", text);
}

static void out_of_memory(struct bridge *bridge)
{
	end_with(bridge, "out_of_memory", "the gateway is out of memory");
}

/* -- sending -- */

/* For packets_send(): the number that the packet has on the leg that it came from, and which of the two rings
 * it goes into. */
#define TAG_RELAYED (1ull << 33)
#define TAG_STRANGE (1ull << 32)

static uint64_t sequence_tag(uint8_t type, uint32_t received)
{
	bool known = (type >= CONN_GLOBAL_REQUEST && type <= CONN_REQUEST_FAILURE) ||
	             (type >= CONN_OPEN && type <= CONN_FAILURE);

	return TAG_RELAYED | (known ? 0 : TAG_STRANGE) | received;
}

static void on_sent(void *context, uint64_t tag, uint32_t sequence)
{
	struct bridge_leg *to = context;
	struct sequences *ring = &to->sent[(tag & TAG_STRANGE) != 0];

	ring->last[ring->next++ % SEQUENCES] =
	    (struct sequence_pair){.sent = sequence, .received = (uint32_t)tag, .valid = true};
}

static void send_now(
    struct bridge_leg *to, const uint8_t *payload, size_t len, bool relayed, uint32_t received)
{
	if (to->fin_sent)
		return; /* nobody listens there any more */
	if (packets_send(to->packets, payload, len, relayed ? sequence_tag(payload[0], received) : 0) == 0)
		return;
	if (!to->done)
		end_with(to->bridge, "protocol_error", "the connection to the other side failed");
}

/* Sends on, or lets wait what must. `recording`: where the packet was recorded, or NULL. */
static void deliver(struct bridge_leg *to, const uint8_t *payload, size_t len, struct recording *recording,
    bool relayed, uint32_t received)
{
	struct bridge *bridge = to->bridge;
	struct held like = {.relayed = relayed, .sequence = received, .since_us = worker_now_us()};

	if (bridge->strict && recording != NULL) {
		like.mark = recording_mark(recording);
		if (!recording_is_safe(recording, like.mark)) {
			like.recording = recording;
			recording_urge(recording);
		}
	}
	if (like.recording == NULL && to->held.first == NULL) {
		send_now(to, payload, len, relayed, received);
		return;
	}
	if (!queue_put(&to->held, payload, len, &like))
		out_of_memory(bridge);
}

/* Sends what need not wait any longer. */
static void release_held(struct bridge_leg *to)
{
	while (to->held.first != NULL) {
		struct held *held = to->held.first;

		if (held->recording != NULL && !recording_is_safe(held->recording, held->mark)) {
			recording_urge(held->recording);
			if (recording_is_safe(held->recording, held->mark))
				continue;
			return;
		}
		send_now(to, held->payload, held->len, held->relayed, held->sequence);
		queue_drop(&to->held);
	}
}

static void take_answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	struct bridge *bridge = context;

	if (!queue_put(&bridge->answers[to], payload, len, &(struct held){0}))
		out_of_memory(bridge);
}

/* Data that was withheld is among them: that waits for its record. */
static void deliver_answers(struct bridge *bridge)
{
	for (unsigned to = 0; to < 2; to++) {
		struct held_queue *answers = &bridge->answers[to];

		while (answers->first != NULL) {
			deliver(&bridge->legs[to], answers->first->payload, answers->first->len,
			    bridge->programs.touched, false, 0);
			queue_drop(answers);
		}
	}
}

/* -- what arrives -- */

/* Looks at a packet and sends it on. */
static void pass_on(struct bridge_leg *from, const uint8_t *payload, size_t len, uint32_t sequence)
{
	struct bridge *bridge = from->bridge;

	if (bridge->reason != NULL)
		return;
	bridge->programs.touched = NULL;
	switch (channels_packet(&bridge->channels, from->leg, payload, len)) {
	case CHANNELS_PASS:
		deliver(other_leg(from), payload, len, bridge->programs.touched, true, sequence);
		break;
	case CHANNELS_REWRITTEN:
		deliver(other_leg(from), bridge->channels.rewritten, bridge->channels.rewritten_len, NULL,
		    true, sequence);
		break;
	case CHANNELS_STAY:
		break;
	case CHANNELS_VIOLATION:
		rpc_log(RPC_LOG_WARNING, "session %s: %s (from the %s)", bridge->session->session_id,
		    bridge->channels.violation, from->leg == LEG_CLIENT ? "client" : "origin");
		end_with(bridge, "protocol_error", bridge->channels.violation);
		break;
	}
	deliver_answers(bridge);
}

static void relay(struct bridge_leg *from, const uint8_t *payload, size_t len, uint32_t sequence)
{
	if (from->bridge->reason == NULL &&
	    !bridge_agent_packet(from->bridge->agent, from->leg, payload, len, sequence))
		pass_on(from, payload, len, sequence);
}

static void on_message(void *context, const uint8_t *payload, size_t len, uint32_t sequence)
{
	struct bridge_leg *from = context;

	if (from->bridge->running && from->early.first == NULL) {
		relay(from, payload, len, sequence);
		return;
	}
	if (from->early.bytes + len > EARLY_MAX)
		end_with(from->bridge, "protocol_error", "too much was sent before login was complete");
	else if (!queue_put(&from->early, payload, len, &(struct held){.sequence = sequence}))
		out_of_memory(from->bridge);
}

static bool on_disconnect(void *context, const uint8_t *payload, size_t len)
{
	struct bridge_leg *from = context;

	if (!from->bridge->running)
		return false;
	if (from->leg == LEG_ORIGIN && bridge_agent_origin_left(from->bridge->agent, payload, len)) {
		from->done = true;
		return true;
	}
	/* With its reason and text, behind everything that was sent before it. */
	deliver(other_leg(from), payload, len, NULL, false, 0);
	from->done = true;
	return true;
}

/* The latest: numbers begin anew with each strict key exchange. */
static const struct sequence_pair *find_sequence(const struct sequences *ring, uint32_t sequence)
{
	for (unsigned back = 1; back <= SEQUENCES; back++) {
		const struct sequence_pair *pair = &ring->last[(ring->next - back) % SEQUENCES];

		if (pair->valid && pair->sent == sequence)
			return pair;
	}
	return NULL;
}

static void on_unimplemented(void *context, uint32_t sequence)
{
	struct bridge_leg *from = context;

	const struct sequence_pair *pair = find_sequence(&from->sent[1], sequence);
	uint8_t payload[5];
	struct wire_out out = wire_into(payload, sizeof(payload));

	if (pair == NULL)
		pair = find_sequence(&from->sent[0], sequence);
	if (pair == NULL)
		return; /* it was the box's own */
	wire_put_u8(&out, MSG_UNIMPLEMENTED);
	wire_put_u32(&out, pair->received);
	deliver(other_leg(from), payload, sizeof(payload), NULL, false, 0);
}

static const struct packets_handlers handlers = {
    .message = on_message,
    .disconnect = on_disconnect,
    .unimplemented = on_unimplemented,
    .sent = on_sent,
};

/* -- reading -- */

static bool gather_room(struct bridge_leg *leg, size_t size)
{
	if (size <= leg->gather_size)
		return true;
	if (size > GATHER_MAX)
		return false;
	uint8_t *gather = realloc(leg->gather, size);
	if (gather == NULL)
		return false;
	leg->gather = gather;
	leg->gather_size = size;
	return true;
}

/* Moves received bytes behind those gathered until there are `want`. */
static bool gather_more(struct bridge_leg *leg, size_t want)
{
	if (!gather_room(leg, want)) {
		out_of_memory(leg->bridge);
		return false;
	}
	while (leg->gather_len < want) {
		const uint8_t *at;
		uint32_t there = vsock_peek(leg->sock, &at);

		if (there == 0)
			return false;
		if (there > want - leg->gather_len)
			there = (uint32_t)(want - leg->gather_len);
		memcpy(leg->gather + leg->gather_len, at, there);
		leg->gather_len += there;
		vsock_consume(leg->sock, there);
	}
	return true;
}

/* Feeds one packet that lies (or begins) in the gathered bytes. False: more bytes are needed, or it failed.
 */
static bool feed_gathered(struct bridge_leg *leg)
{
	for (;;) {
		size_t taken = packets_feed(leg->packets, leg->gather, leg->gather_len);

		if (packets_broken(leg->packets))
			return false;
		if (taken > 0) {
			leg->gather_len -= taken;
			memmove(leg->gather, leg->gather + taken, leg->gather_len);
			return true;
		}
		size_t want = packets_wanted(leg->packets);
		if (want <= leg->gather_len) {
			end_with(leg->bridge, "protocol_error", "a packet could not be taken");
			return false;
		}
		if (!gather_more(leg, want))
			return false;
	}
}

/* Takes one packet, in place where it is whole. False: there is none, or the leg failed. */
static bool take_packet(struct bridge_leg *leg)
{
	const uint8_t *at;

	if (leg->gather_len > 0)
		return feed_gathered(leg);
	uint32_t there = vsock_peek(leg->sock, &at);
	if (there == 0)
		return false;
	size_t taken = packets_feed(leg->packets, at, there);
	if (packets_broken(leg->packets))
		return false;
	if (taken > 0) {
		vsock_consume(leg->sock, (uint32_t)taken);
		return true;
	}
	size_t want = packets_wanted(leg->packets);
	if (want <= there) {
		end_with(leg->bridge, "protocol_error", "a packet could not be taken");
		return false;
	}
	return gather_more(leg, want) && feed_gathered(leg);
}

/* What is to go to the leg's peer and has not gone. */
static size_t waiting_for(const struct bridge_leg *leg)
{
	return packets_unsent(leg->packets) + leg->held.bytes;
}

/* Would the box keep too much for this peer if it went on answering it? Sending wakes us (there is room), and
 * so does the recorder, whom held packets wait for. */
static bool owed_too_much(struct bridge_leg *leg)
{
	if (waiting_for(leg) < ANSWERS_MAX)
		return false;
	(void)packets_flush(leg->packets);
	size_t waiting = waiting_for(leg);
	if (waiting < ANSWERS_MAX)
		return false;
	if (!packets_rekeying(leg->packets))
		return true;
	if (waiting >= REKEY_MAX)
		end_with(leg->bridge, "protocol_error", "a key exchange was not answered");
	return waiting >= REKEY_MAX;
}

static bool may_read(struct bridge_leg *leg)
{
	struct bridge_leg *to = other_leg(leg);
	uint32_t unsent = packets_unsent(to->packets);
	struct recording *busy = leg->bridge->programs.busy;

	if (leg->bridge->reason != NULL || leg->done || to->held.bytes >= HOLD_MAX || owed_too_much(leg))
		return false;
	/* The origin has hung up: what is sent to it brings an RST, before the client has taken everything.
	 */
	if (to->leg == LEG_ORIGIN && vsock_has_ended(to->sock) && !vsock_has_ended(leg->sock) &&
	    !packets_rekeying(leg->packets))
		return false;
	/* Faster than the recorder can take: slow it down to that. Key exchanges go on. */
	if (busy != NULL && recording_is_pressed(busy) && !packets_rekeying(leg->packets))
		return false;
	if (unsent < UNSENT_MAX)
		return true;
	(void)packets_flush(to->packets);
	unsent = packets_unsent(to->packets);
	if (unsent < UNSENT_MAX)
		return true;
	if (!packets_rekeying(leg->packets) || !packets_rekeying(to->packets))
		return false;
	if (unsent >= REKEY_MAX)
		end_with(leg->bridge, "protocol_error", "a key exchange was not answered");
	return unsent < REKEY_MAX;
}

static void heed_kill(struct bridge *bridge)
{
	const struct session *session = bridge->session;

	if (session->kill_reason[0] != '\0')
		end_with(bridge, session->close_reason != NULL ? session->close_reason : "killed",
		    session->kill_reason);
}

static void leg_broken(struct bridge_leg *leg)
{
	/* A session that is killed while it waits for a computation of a key exchange hears of it by that
	 * exchange's failing. */
	heed_kill(leg->bridge);
	if (leg->bridge->session->kill_reason[0] != '\0')
		return;
	rpc_log(RPC_LOG_WARNING, "session %s: the %s's connection failed: %s",
	    leg->bridge->session->session_id, leg->leg == LEG_CLIENT ? "client" : "origin",
	    packets_error(leg->packets));
	end_with(leg->bridge, "protocol_error", "the SSH connection was broken");
}

static void read_leg(struct bridge_leg *leg)
{
	do
		leg->stopped = !may_read(leg);
	while (!leg->stopped && take_packet(leg));
	if (leg->bridge->lingering.began && packets_broken(leg->packets))
		leg->done = true; /* one peer is done; what the other still had to say does not matter */
	if (!leg->done && packets_broken(leg->packets))
		leg_broken(leg);
	if (leg->gather_len == 0 && leg->gather_size > GATHER_KEPT) {
		free(leg->gather);
		leg->gather = NULL;
		leg->gather_size = 0;
	}
}

/* Packets that came before the bridge ran. */
static void take_early(struct bridge_leg *leg)
{
	struct held_queue early = leg->early;

	leg->early = (struct held_queue){0};
	while (early.first != NULL) {
		relay(leg, early.first->payload, early.first->len, early.first->sequence);
		queue_drop(&early);
	}
}

/* Bytes that libssh itself had read of the packet that follows. */
static bool take_received(struct bridge_leg *leg)
{
	size_t there = packets_take_received(leg->packets, NULL, 0);

	if (there == 0)
		return true;
	if (!gather_room(leg, there))
		return false;
	leg->gather_len = packets_take_received(leg->packets, leg->gather, leg->gather_size);
	return true;
}

/* -- the end -- */

/* Everything for this leg has been handed to the dataplane. */
static bool all_sent(struct bridge_leg *leg)
{
	return leg->held.first == NULL && packets_unsent(leg->packets) == 0;
}

/* A leg whose peer is done: what it sent goes to the other, then FIN goes there too. */
static void pass_fin(struct bridge_leg *leg)
{
	struct bridge_leg *to = other_leg(leg);

	if (!leg->done && vsock_at_eof(leg->sock) && !vsock_is_reset(leg->sock))
		leg->done = true;
	if (!leg->done)
		return;
	if (!to->fin_sent && all_sent(to)) {
		vsock_shutdown(to->sock);
		to->fin_sent = true;
	}
}

/* What is on its way to the leg's peer, as far as the box knows. */
static uint64_t on_its_way(const struct bridge_leg *leg)
{
	return waiting_for(leg) + vsock_unacked(leg->sock);
}

/* It ends although one peer was done and the other was not: is anything lost that was on its way to that one?
 */
static const char *undelivered(struct bridge *bridge, const struct bridge_leg *to)
{
	uint64_t bytes = on_its_way(to);

	if (to->done || bytes == 0)
		return "closed";
	rpc_log(RPC_LOG_WARNING,
	    "session %s: the other side had hung up, and the %s did not get up to %llu bytes",
	    bridge->session->session_id, to->leg == LEG_CLIENT ? "client" : "origin",
	    (unsigned long long)bytes);
	return "undelivered";
}

/* Is the session over by itself? Its close reason, or NULL. */
static const char *is_over(struct bridge *bridge)
{
	struct bridge_leg *client = &bridge->legs[LEG_CLIENT], *origin = &bridge->legs[LEG_ORIGIN];
	struct bridge_leg *last = client->done ? origin : client; /* if one is done: the other */

	/* The dataplane ends both with one. After a peer's goodbye, a reset only means that it was quick to
	 * go, or that the other does not want the rest. */
	if (vsock_is_reset(client->sock) || vsock_is_reset(origin->sock)) {
		if (client->done || origin->done)
			return bridge->session->reset_by == last->leg ? "closed" : undelivered(bridge, last);
		if (bridge->session->lost != NULL)
			return bridge->session->lost;
		return bridge->session->reset_by == LEG_CLIENT ? "client_reset" : "origin_reset";
	}
	if (client->fin_sent && origin->fin_sent)
		return "closed";
	if ((client->done || origin->done) &&
	    lingering_is_over(
	        &bridge->lingering, on_its_way(client) << 32 ^ on_its_way(origin), worker_now_us()))
		return undelivered(bridge, last);
	return NULL;
}

static void look_at_strict(struct bridge *bridge)
{
	uint64_t now = worker_now_us(), patience = bridge->session->recorder_patience_us;

	if (!bridge->strict || bridge->reason != NULL)
		return;
	if (programs_broken(&bridge->programs)) {
		end_with(bridge, "recording_failed", "the session cannot be recorded any more");
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct held *oldest = bridge->legs[i].held.first;

		if (oldest != NULL && now >= oldest->since_us + patience)
			end_with(bridge, "recorder_lost", "the session cannot be recorded any more");
	}
}

static void send_disconnect(struct bridge_leg *leg, uint32_t code, const char *text)
{
	uint8_t payload[SESSION_TEXT_MAX * 2 + 32];
	struct wire_out out = wire_into(payload, sizeof(payload));

	wire_put_u8(&out, MSG_DISCONNECT);
	wire_put_u32(&out, code);
	wire_put_cstring(&out, text);
	wire_put_cstring(&out, "");
	if (!out.failed)
		(void)packets_send(leg->packets, payload, wire_written(&out), 0);
}

/* The box ends the session: both sides are told, as far as they listen. */
static void say_goodbye(struct bridge *bridge)
{
	bool violation = strcmp(bridge->reason, "protocol_error") == 0;
	uint64_t until = worker_now_us() + FLUSH_US;
	char words[OWN_WORDS_MAX];

	send_disconnect(&bridge->legs[LEG_CLIENT],
	    violation ? DISCONNECT_PROTOCOL_ERROR : DISCONNECT_BY_APPLICATION,
	    own_words(bridge->text, words));
	/* Not to one that has said its own: if it is gone already, its RST would overtake what the client is
	 * told. */
	if (!bridge->legs[LEG_ORIGIN].done)
		send_disconnect(&bridge->legs[LEG_ORIGIN],
		    violation ? DISCONNECT_PROTOCOL_ERROR : DISCONNECT_BY_APPLICATION,
		    "the session was ended");
	for (;;) {
		bool left = false;

		for (unsigned i = 0; i < 2; i++) {
			struct bridge_leg *leg = &bridge->legs[i];

			if (vsock_is_reset(leg->sock) || packets_flush(leg->packets) != 0)
				continue;
			left |= packets_unsent(leg->packets) > 0;
		}
		if (!left || worker_now_us() >= until)
			return;
		session_wait(bridge->session, until);
	}
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_deadline(const struct bridge *bridge)
{
	uint64_t deadline =
	    earliest(programs_deadline(&bridge->programs), lingering_deadline(&bridge->lingering));

	deadline = earliest(deadline, bridge_agent_deadline(bridge->agent));
	/* It is woken by acknowledgements; this is for when none come. */
	if (bridge->programs.busy != NULL && bridge->programs.busy->pressed)
		deadline = earliest(deadline, worker_now_us() + RECORD_PRESSED_US);

	for (unsigned i = 0; i < 2; i++) {
		const struct held *oldest = bridge->legs[i].held.first;

		if (oldest != NULL)
			deadline =
			    earliest(deadline, oldest->since_us + bridge->session->recorder_patience_us);
	}
	return deadline;
}

/* Did the end of a turn make room for what was not read in it? Then it is to be read now: nothing that is yet
 * to happen need wake us, for what was received is there and what was to be sent has gone. */
static bool may_go_on(struct bridge *bridge)
{
	for (unsigned i = 0; i < 2; i++) {
		if (bridge->legs[i].stopped && may_read(&bridge->legs[i]))
			return true;
	}
	return bridge->reason != NULL;
}

/* One look at everything. The reason why the session is over, or NULL. */
static const char *turn(struct bridge *bridge)
{
	struct session *session = bridge->session;

	heed_kill(bridge);
	for (unsigned i = 0; i < 2; i++)
		read_leg(&bridge->legs[i]);
	if (bridge->reason == NULL && vsock_at_eof(bridge->legs[LEG_ORIGIN].sock) &&
	    bridge_agent_origin_left(bridge->agent, NULL, 0))
		bridge->legs[LEG_ORIGIN].done = true;
	if (bridge->reason == NULL)
		bridge_agent_turn(bridge->agent);
	for (unsigned i = 0; i < 2; i++) {
		release_held(&bridge->legs[i]);
		(void)packets_flush(bridge->legs[i].packets);
	}
	/* What the box itself ends is told before anybody's FIN. */
	for (unsigned i = 0; i < 2 && bridge->reason == NULL; i++)
		pass_fin(&bridge->legs[i]);
	session->bytes[LEG_CLIENT] = bridge->channels.bytes[LEG_CLIENT];
	session->bytes[LEG_ORIGIN] = bridge->channels.bytes[LEG_ORIGIN];
	programs_reap(&bridge->programs, worker_now_us());
	look_at_strict(bridge);
	const char *over = is_over(bridge);
	if (over != NULL)
		return over;
	if (bridge->reason != NULL)
		say_goodbye(bridge);
	return bridge->reason;
}

static void announce_host_keys(struct bridge *bridge)
{
	uint8_t *payload = NULL;
	size_t len = bridge_agent_waits(bridge->agent) ? 0 : host_announcement(bridge->session, &payload);

	if (len > 0)
		deliver(&bridge->legs[LEG_CLIENT], payload, len, NULL, false, 0);
	free(payload);
}

/* -- the interface -- */

static struct bridge *bridge_of(struct session *session)
{
	if (session->bridge != NULL)
		return session->bridge;
	struct bridge *bridge = calloc(1, sizeof(*bridge));
	if (bridge == NULL)
		return NULL;
	bridge->session = session;
	for (unsigned i = 0; i < 2; i++) {
		bridge->legs[i].bridge = bridge;
		bridge->legs[i].leg = i;
	}
	session->bridge = bridge;
	return bridge;
}

int bridge_prepare(struct session *session, enum leg leg)
{
	struct bridge *bridge = bridge_of(session);

	if (bridge == NULL)
		return -1;
	if (bridge->legs[leg].packets == NULL)
		bridge->legs[leg].packets = packets_attach(session->ssh[leg], &handlers, &bridge->legs[leg]);
	return bridge->legs[leg].packets == NULL ? -1 : 0;
}

/* -- doors for a login with the client's agent -- */

static void door_to_client(void *context, const uint8_t *payload, size_t len)
{
	struct bridge *bridge = context;

	deliver(&bridge->legs[LEG_CLIENT], payload, len, NULL, false, 0);
}

static void door_relay(void *context, const uint8_t *payload, size_t len, uint32_t sequence)
{
	struct bridge *bridge = context;

	pass_on(&bridge->legs[LEG_CLIENT], payload, len, sequence);
}

static void door_look(void *context, const uint8_t *payload, size_t len)
{
	struct bridge *bridge = context;

	bridge->programs.touched = NULL;
	if (channels_packet(&bridge->channels, LEG_ORIGIN, payload, len) == CHANNELS_VIOLATION)
		end_with(bridge, "protocol_error", bridge->channels.violation);
	deliver_answers(bridge);
}

static void door_end(void *context, const char *reason, const char *text)
{
	end_with(context, reason, text);
}

static const struct bridge_doors doors = {
    .to_client = door_to_client, .relay = door_relay, .look = door_look, .end = door_end};

int bridge_login_first(struct session *session, const struct bridge_login *hooks,
    const struct agent_login_facts *facts, void *context)
{
	struct bridge *bridge = bridge_of(session);

	if (bridge == NULL)
		return -1;
	bridge->agent = bridge_agent_create(hooks, facts, context, &doors, bridge);
	return bridge->agent == NULL ? -1 : 0;
}

void bridge_free(struct session *session)
{
	struct bridge *bridge = session->bridge;

	if (bridge == NULL)
		return;
	for (unsigned i = 0; i < 2; i++) {
		packets_detach(bridge->legs[i].packets);
		queue_clear(&bridge->legs[i].early);
		queue_clear(&bridge->legs[i].held);
		queue_clear(&bridge->answers[i]);
		free(bridge->legs[i].gather);
	}
	bridge_agent_free(bridge->agent);
	free(bridge);
	session->bridge = NULL;
}

/* Whatever happened: nothing waits for a record any more, and every program is closed. */
static void settle(struct bridge *bridge, const char *reason)
{
	for (unsigned i = 0; i < 2; i++) {
		queue_clear(&bridge->legs[i].held);
		if (!vsock_is_reset(bridge->legs[i].sock))
			vsock_shutdown(bridge->legs[i].sock);
	}
	bridge->running = false;
	channels_end(&bridge->channels, reason);
	programs_finish(&bridge->programs);
}

const char *bridge_run(struct session *session)
{
	struct bridge *bridge = session->bridge;
	const char *reason = NULL;

	if (bridge == NULL || bridge->legs[LEG_CLIENT].packets == NULL ||
	    bridge->legs[LEG_ORIGIN].packets == NULL)
		return "internal_error"; /* bridge_prepare was not called for both legs */
	bridge->strict = session->grant.recording == RPC_RECORDING_STRICT;
	programs_init(&bridge->programs, session, take_answer, bridge);
	channels_init(&bridge->channels, session->grant.permits, &programs_ops, &bridge->programs);
	/* The user's client offers its agent for our login; that the origin's programs may use it is another
	 * matter. */
	if (bridge->agent != NULL)
		channels_answer_agent_requests(&bridge->channels);
	channels_set_forwards(
	    &bridge->channels, (struct wire_span){session->grant.forwards, session->grant.forwards_len});
	if (session->grant.session_notice != NULL)
		channels_set_notice(&bridge->channels, wire_span_of(session->grant.session_notice));
	for (unsigned i = 0; i < 2; i++) {
		bridge->legs[i].sock = session->sock[i];
		if (!take_received(&bridge->legs[i]))
			out_of_memory(bridge);
	}
	bridge->running = true;
	for (unsigned i = 0; i < 2; i++)
		take_early(&bridge->legs[i]);
	for (;;) {
		announce_host_keys(bridge);
		reason = turn(bridge);
		if (reason != NULL)
			break;
		if (!may_go_on(bridge))
			session_wait(session, next_deadline(bridge));
	}
	settle(bridge, reason);
	return reason;
}
