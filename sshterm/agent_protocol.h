/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_protocol: what is said to an SSH agent, and what it answers (draft-ietf-sshm-ssh-agent).
 *
 * The agent is the client's: what it says is as foreign as the client. A message is u32 length, u8 type,
 * contents; one request is answered by one message, and no more is expected than that.
 */
#ifndef SSHTERM_AGENT_PROTOCOL_H
#define SSHTERM_AGENT_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define AGENT_ANSWER_MAX (256u * 1024) /* what OpenSSH's agent bounds its messages to, length included */
#define AGENT_REQUEST_MAX (64u * 1024) /* of ours: a key's blob and what it is to sign */
#define AGENT_BLOB_MAX (16u * 1024)    /* a key, a certificate, a signature: more is none */

/* Message numbers (sections 6.1 and 5.1). */
enum agent_message {
	AGENT_FAILURE = 5,
	AGENT_REQUEST_IDENTITIES = 11,
	AGENT_IDENTITIES_ANSWER = 12,
	AGENT_SIGN_REQUEST = 13,
	AGENT_SIGN_RESPONSE = 14,
};
/* Flags of a signature by an RSA key (section 3.6.1); without one it is SHA-1's. */
#define AGENT_RSA_SHA2_256 2u
#define AGENT_RSA_SHA2_512 4u

/* Gathers one answer, which comes in pieces. All zeros is an empty one. */
struct agent_answer {
	uint8_t *bytes;
	size_t len, size;
};

enum agent_gathered { AGENT_MORE = 0, AGENT_WHOLE, AGENT_MALFORMED };

/* Requests, length included. Their length; 0 where it does not fit into AGENT_REQUEST_MAX. */
size_t agent_put_list(uint8_t *out, size_t size);
size_t agent_put_sign(uint8_t *out, size_t size, struct wire_span key, struct wire_span data, uint32_t flags);

/* Takes a piece. WHOLE: the answer is there, and nothing behind it. MALFORMED: it is empty, longer than
 * AGENT_ANSWER_MAX, more came than one answer, or memory is out. */
enum agent_gathered agent_gather(struct agent_answer *answer, struct wire_span piece);
/* The whole answer, from its type on; good until the next call for it. */
struct wire_span agent_answer_body(const struct agent_answer *answer);
void agent_answer_clear(struct agent_answer *answer);

/* Begins to read an IDENTITIES_ANSWER: *count is what the agent claims. False: it is not one. */
bool agent_read_list(struct wire_span answer, struct wire *list, uint32_t *count);
/* The next key's blob and comment. False: there is no whole one left. */
bool agent_read_key(struct wire *list, struct wire_span *blob, struct wire_span *comment);
/* The signature (string algorithm, string blob) of a SIGN_RESPONSE, if it was made with `algorithm`. False:
 * it was not, or the agent refused, or this is no such answer. */
bool agent_read_signature(struct wire_span answer, const char *algorithm, struct wire_span *signature);

#endif
