/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_offer: an agent's keys are offered to the origin, until it lets us in with one.
 *
 * The agent's keys are listed, the likeliest is offered to the origin unsigned (RFC 4252 section 7), and the
 * agent signs only where the origin would take it: a signature may cost its user a touch or a confirmation.
 * An agent may refuse to sign; then the next key is offered. An origin that takes a key and wants another one
 * as well gets it; one that wants anything else cannot be satisfied any more.
 */
#ifndef SSHTERM_AGENT_OFFER_H
#define SSHTERM_AGENT_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "sshterm/agent_channel.h"
#include "sshterm/agent_keys.h"

/* OpenSSH cuts the line at the sixth failure. */
#define AGENT_TRIES_MAX 5

/* How the origin answered a USERAUTH_REQUEST (RFC 4252 sections 5.1, 7). */
enum agent_origin_answer {
	AGENT_ORIGIN_WOULD_DO, /* USERAUTH_PK_OK */
	AGENT_ORIGIN_REFUSED,
	AGENT_ORIGIN_PARTIAL, /* the key is good; `methods` must follow */
	AGENT_ORIGIN_LET_IN,
};

/* What is known of the login; all of it outlives the offering. */
struct agent_login_facts {
	const char *host;            /* what the origin is called in messages */
	struct agent_wish wish;      /* login, what the client has proven, what the origin verifies */
	struct wire_span session_id; /* of the origin's connection: signatures are over it */
	uint32_t permits;            /* enum rpc_permit */
	uint64_t deadline_us;        /* for all of the login */
	unsigned tries;              /* refused keys, at most AGENT_TRIES_MAX */
};

/* Says why it cannot be done: once, whoever finds it out. */
struct agent_failure {
	void (*told)(void *context, const char *reason, const char *text);
	void *context;
	bool failed;
};
/* `reason` is a static string; what the text quotes of peers is made plain. */
void agent_fail(struct agent_failure *failure, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void agent_fail_memory(struct agent_failure *failure);

/* Paramiko sends the request for its agent before it minds the agent's channels, and may refuse the first. */
#define AGENT_OPENS_MAX 4

enum agent_offer_stage {
	AGENT_OFFER_IDLE = 0,
	AGENT_OFFER_OPENING,  /* the agent's channel */
	AGENT_OFFER_LISTING,  /* its keys */
	AGENT_OFFER_OFFERING, /* a key to the origin */
	AGENT_OFFER_SIGNING,
	AGENT_OFFER_PROVING, /* the origin has the signature */
	AGENT_OFFER_OVER,
};

struct agent_offer {
	enum agent_offer_stage stage;
	const struct agent_login_facts *facts;
	struct agent_failure *failure;
	void (*to_client)(void *context, const uint8_t *payload, size_t len);
	/* A USERAUTH_REQUEST, `proof`: signed. */
	void (*to_origin)(void *context, const uint8_t *payload, size_t len, bool proof);
	void *context;

	struct agent_channel channel;
	struct agent_answer list; /* what keys point into */
	struct agent_keys keys;
	unsigned opens; /* how often its channel was opened */
	unsigned next;  /* key */
	unsigned refused, not_signed;
	bool one_was_good; /* a key was taken, and the origin wants more */
};

/* Opens the agent's channel, with this number; the callbacks and facts are filled in before. */
void agent_offer_begin(struct agent_offer *offer, uint32_t number);
/* A message of the client's for the agent's channel (agent_channel_is_for). */
void agent_offer_packet(struct agent_offer *offer, const uint8_t *payload, size_t len);
/* The origin's answer. True: it has let us in, with the key that agent_offer_key tells. */
bool agent_offer_answered(
    struct agent_offer *offer, enum agent_origin_answer answer, struct wire_span methods);
const struct agent_key *agent_offer_key(const struct agent_offer *offer);
/* The agent is not needed any more: closes its channel; what the client still sends there is taken. */
void agent_offer_end(struct agent_offer *offer);
void agent_offer_free(struct agent_offer *offer);

#endif
