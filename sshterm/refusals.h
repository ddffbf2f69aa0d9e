/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusals: what a rule does not let pass, and the message with which the box says so.
 *
 * A refusal is answered to the asker as its peer would (RFC 4254 sections 4, 5.1, 5.4). These functions
 * decide and write the payloads; when the answer goes out is the business of replies.h.
 *
 * Three things must hold for a forwarding: the kind is permitted, its destination is one of the rule's
 * (forwards.h), and, where it is the origin that opens the channel, its client has asked for it: origins are
 * refused what nobody wanted, as their client would refuse it, or should.
 */
#ifndef SSHTERM_REFUSALS_H
#define SSHTERM_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"

/* Message numbers of the connection protocol (RFC 4250 section 4.1.2). */
enum connection_message {
	CONN_GLOBAL_REQUEST = 80,
	CONN_REQUEST_SUCCESS = 81,
	CONN_REQUEST_FAILURE = 82,
	CONN_OPEN = 90,
	CONN_OPEN_CONFIRMATION = 91,
	CONN_OPEN_FAILURE = 92,
	CONN_WINDOW_ADJUST = 93,
	CONN_DATA = 94,
	CONN_EXTENDED_DATA = 95,
	CONN_EOF = 96,
	CONN_CLOSE = 97,
	CONN_REQUEST = 98,
	CONN_SUCCESS = 99,
	CONN_FAILURE = 100,
	CONN_FIRST = 80,
	CONN_LAST = 127,
};

enum open_failure {
	OPEN_ADMINISTRATIVELY_PROHIBITED = 1, /* RFC 4254 section 5.1 */
	OPEN_RESOURCE_SHORTAGE = 4,
};

/* The longest payload that refuse_open writes. */
#define REFUSAL_MAX 256

#define REFUSAL_TEXT_MAX 160

/* What the rule says, and what was asked for before under it. */
struct refusal_rules {
	uint32_t permits;          /* enum rpc_permit */
	struct wire_span forwards; /* see forwards.h */
	bool agent_asked, x11_asked;
};

struct listening;

/* May leg `from` (0 client, 1 origin) not open a channel of this type? Then `text` says why. `body`: what
 * follows the fields that all openings have. */
bool refusal_of_open(const struct refusal_rules *rules, const struct listening *listening, unsigned from,
    struct wire_span type, struct wire body, char text[REFUSAL_TEXT_MAX]);
/* The same of a global request. */
bool refusal_of_global_request(const struct refusal_rules *rules, unsigned from, struct wire_span name,
    struct wire body, char text[REFUSAL_TEXT_MAX]);
/* Why a channel request may not be made under `permits`, or NULL: it may. */
const char *refusal_of_request(uint32_t permits, struct wire_span name);
/* A channel request passes: what it asks for may be opened from now on. */
void refusal_note_request(struct refusal_rules *rules, unsigned from, struct wire_span name);

/* A request for agent forwarding? */
bool is_agent_request(struct wire_span name);

/* Payloads; each returns its length. `number`: the asker's own number of the channel. */
size_t refuse_open(uint8_t out[REFUSAL_MAX], uint32_t number, enum open_failure code, const char *text);
size_t refuse_request(uint8_t out[REFUSAL_MAX], uint32_t number);
size_t refuse_global_request(uint8_t out[REFUSAL_MAX]);

#endif
