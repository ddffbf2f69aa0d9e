/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_channel: the box's own channel to the client's agent, on the client's connection.
 *
 * OpenSSH's PROTOCOL section 2 and the agent draft (section 4): who was sent auth-agent-req may open
 * channels of type auth-agent@openssh.com, each of which is a connection to the agent. This one asks one
 * request at a time. It knows of payloads alone; what it sends goes through a function of the caller's.
 *
 * The client pays out and is paid windows as RFC 4254 section 5.2 has it: a request goes in pieces that its
 * window and packet size allow, and after each answer it gets back what the answer used up.
 */
#ifndef SSHTERM_AGENT_CHANNEL_H
#define SSHTERM_AGENT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sshterm/agent_protocol.h"

enum agent_channel_state {
	AGENT_CHANNEL_NONE = 0,
	AGENT_CHANNEL_OPENING,
	AGENT_CHANNEL_OPEN,
	AGENT_CHANNEL_CLOSING, /* CLOSE was sent, theirs is awaited */
	AGENT_CHANNEL_OVER,
};

struct agent_channel {
	enum agent_channel_state state;
	uint32_t number;             /* the box's, chosen by the caller */
	uint32_t peer;               /* the client's */
	uint32_t window, packet_max; /* what may be sent */
	uint8_t *request;            /* what is left of it lies from `sent` to `len`; NULL: all is sent */
	size_t len, sent;
	bool asked; /* an answer is due */
	struct agent_answer answer;
	void (*send)(void *context, const uint8_t *payload, size_t len);
	void *context;
};

/* What a message of the client's on this channel amounts to. */
enum agent_channel_event {
	AGENT_CHANNEL_NOTHING = 0,
	AGENT_CHANNEL_OPENED,
	AGENT_CHANNEL_REFUSED,  /* the client did not open it */
	AGENT_CHANNEL_ANSWERED, /* agent_answer_body(&channel->answer) until the next question */
	AGENT_CHANNEL_GONE,     /* the agent went away */
	AGENT_CHANNEL_MALFORMED,
};

/* Sends the opening. To be called once, and only after the client has asked for agent forwarding. */
void agent_channel_open(struct agent_channel *channel, uint32_t number,
    void (*send)(void *context, const uint8_t *payload, size_t len), void *context);
/* Is this message of the client's for the channel? */
bool agent_channel_is_for(const struct agent_channel *channel, const uint8_t *payload, size_t len);
/* Takes a message that is for it. */
enum agent_channel_event agent_channel_packet(
    struct agent_channel *channel, const uint8_t *payload, size_t len);
/* Asks; `request` (malloc'ed) is the channel's from now on. Only where it is open and nothing is asked. */
void agent_channel_ask(struct agent_channel *channel, uint8_t *request, size_t len);
/* Sends CLOSE; what the client still sends is taken and forgotten. */
void agent_channel_close(struct agent_channel *channel);
/* Frees what it holds. */
void agent_channel_free(struct agent_channel *channel);

#endif
