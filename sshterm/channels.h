/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channels: what the connection protocol (RFC 4254) says that passes through the bridge.
 *
 * Theory of operation. Every message 80..127 that arrives on a leg is shown to channels_packet() before it is
 * sent on. It keeps one table of channels, found by either side's number: a message from one leg carries the
 * *other* leg's number. From it a session learns its programs: a session channel becomes one at its shell,
 * exec or subsystem request, every other channel at its opening. What it learns goes to `struct channel_ops`;
 * nothing here knows of libssh, of recordings or of time, so that tests and a fuzzer feed it bytes alone.
 *
 * The verdict says what becomes of the packet: it passes, as it is or with other numbers in
 * it (`rewritten`), it stays (refused, or of that leg's own business), or it contradicts the protocol in a
 * way after which the table could no longer say which channel is which: then the session ends, because what
 * cannot be named cannot be recorded. Messages for numbers that nobody has, and messages and names that
 * nobody here has heard of, pass: the peer knows best.
 *
 * Windows (windows.h). Every grant is noted. Where the session has a notice, its length is reserved in the
 * client's window of each session channel, out of the OPEN that passes; the origin's granting of a shell on a
 * terminal lets it be written to the channel's stderr, piece by piece as windows allow, and anything else
 * gives the origin what was reserved.
 *
 * Packets. What a receiver announces as the largest packet that it takes (in OPEN and CONFIRMATION) is
 * lowered to what the box itself takes, CHANNEL_PACKET_MAX; what is smaller passes as it is.
 *
 * Withheld data. A rule that judges data before it goes on (`program_judge`) may hold it, let it pass, drop
 * it or put something else in its place; today's rules hold nothing, and nobody sets it. Where it is set, the
 * data of every program is accounted in both directions, what waits stands in order (withheld.h), is cut to
 * the receiver's window and packets, and is program_data only as it goes on. Requests, EOF and CLOSE wait
 * behind it, and are looked at when it is their turn; replies and window adjustments, which answer the other
 * direction, do not wait.
 *
 * Refusals are answered in turn (replies.h): `answer` is called for the messages of the box's own that are
 * due *after* the packet itself has been sent on.
 *
 * Bounds: CHANNELS_MAX live channels a session (more are refused as a peer would), REPLIES_RUNS_MAX runs a
 * FIFO.
 */
#ifndef SSHTERM_CHANNELS_H
#define SSHTERM_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "sshterm/channel_facts.h"
#include "sshterm/listening.h"
#include "sshterm/refusals.h"
#include "sshterm/replies.h"
#include "sshterm/windows.h"
#include "sshterm/withheld.h"

#define CHANNELS_MAX 1024
#define CHANNELS_BUCKETS 32
/* The most data that a peer is told to put into one message. libssh takes packets of 262144 bytes at most
 * (its MAX_PACKET_LEN), of which the length of the padding takes 1, the padding up to 255 (RFC 4253 section
 * 6), and the message up to its data 13 (CHANNEL_EXTENDED_DATA, RFC 4254 section 5.2). */
#define CHANNEL_PACKET_MAX (262144u - 1 - 255 - 13)
#define CHANNEL_NOTICE_MAX 504

/* Which leg, as in session.h (0 client, 1 origin); an int so that this file needs nothing of a session. */
typedef unsigned channel_leg;

struct program; /* the caller's */

/* What becomes of data that is held. */
enum channel_ruling { CHANNEL_HOLD = 0, CHANNEL_LET_PASS, CHANNEL_REPLACE };

struct channel_judgement {
	enum channel_ruling ruling;
	uint32_t bytes;           /* on how many of those held, the oldest first; more than all: all */
	struct wire_span instead; /* CHANNEL_REPLACE: this goes on for them; empty: they are dropped */
};

struct channel_ops {
	/* A program begins; what is returned stands for it below. NULL: nobody wants to hear of it. */
	struct program *(*program_start)(void *context, const struct channel_program *facts);
	/* `code`: 0 data, else the extended data type (RFC 4254 section 5.2; 1 is stderr). Never empty. */
	void (*program_data)(
	    void *context, struct program *program, channel_leg from, uint32_t code, struct wire_span data);
	/* NULL: everything passes. Else `fresh` came and is held behind what is; says what becomes of the
	 * oldest bytes, and is asked again, with an empty `fresh`, until it holds the rest. `ends`: nothing
	 * more will come, and what is still held then is dropped. More than WINDOW_LENT_MAX held ends the
	 * session. */
	struct channel_judgement (*program_judge)(void *context, struct program *program, channel_leg from,
	    uint32_t code, struct wire_span fresh, bool ends);
	void (*program_resize)(void *context, struct program *program, uint32_t width, uint32_t height);
	void (*program_exit)(void *context, struct program *program, const struct channel_exit *how);
	/* All of the notice went to its client. May be NULL. */
	void (*program_noticed)(void *context, struct program *program, struct wire_span notice);
	/* The origin refused the terminal that the program was to have. */
	void (*program_no_pty)(void *context, struct program *program);
	/* The channel is closed, or the request that should have started it failed: `reason` says which. */
	void (*program_end)(void *context, struct program *program, const char *reason);
	/* A global forwarding request passed (tcpip-forward, …): `place` is where the origin shall listen. */
	void (*forward_requested)(void *context, const char *request, const char *place);
	/* The box refused something by the rule. */
	void (*refused)(void *context, channel_leg from, struct wire_span name, const char *text);
	/* The client wants it proven that the box has the host keys that it announced (OpenSSH's PROTOCOL,
	 * section 2.5): the answer to its request, malloc'ed; 0: it is refused. NULL: so are all. */
	size_t (*prove_host_keys)(void *context, struct wire_span keys, uint8_t **answer);
	/* Send this payload to `to`, after the packet that is being looked at. */
	void (*answer)(void *context, channel_leg to, const uint8_t *payload, size_t len);
};

struct channel;

struct channels {
	const struct channel_ops *ops;
	void *context;
	bool agent_is_ours;
	struct refusal_rules rules;
	struct listening listening; /* what the client had the origin listen for */
	struct channel *by_number[2][CHANNELS_BUCKETS];
	struct replies global[2];       /* by the asking leg */
	struct channels_proofs *proofs; /* to the client, the oldest first: their turn has not come */
	uint32_t count;
	uint64_t bytes[2];     /* channel data, by the leg it came from */
	const char *violation; /* why, after CHANNELS_VIOLATION */
	struct wire_span notice;
	/* What is to be sent on in the packet's place, after CHANNELS_REWRITTEN; until the next packet. */
	uint8_t *rewritten;
	size_t rewritten_len;
};

enum channels_verdict { CHANNELS_PASS = 0, CHANNELS_STAY, CHANNELS_REWRITTEN, CHANNELS_VIOLATION };

void channels_init(struct channels *table, uint32_t permits, const struct channel_ops *ops, void *context);
/* The box itself uses the client's agent: where the rule lets nobody else have it, a request for it is
 * granted and goes no further. */
void channels_answer_agent_requests(struct channels *table);
/* Which forwardings are allowed (SES_MAY_REPLY.forwards, valid; forwards.h). They are the caller's, and stay.
 */
void channels_set_forwards(struct channels *table, struct wire_span forwards);
/* A text of at most CHANNEL_NOTICE_MAX bytes that each interactive shell begins with, on stderr. It is the
 * caller's, and stays where it is. */
void channels_set_notice(struct channels *table, struct wire_span notice);
/* Looks at one whole payload (message number first, 80..127) that came from `from`. */
enum channels_verdict channels_packet(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len);
/* Ends every program that still runs, with `reason`, and frees the table. */
void channels_end(struct channels *table, const char *reason);

#endif
