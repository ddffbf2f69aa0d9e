/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a session as a worker takes them towards the real reeve-control, and the suite's lab. */
#ifndef TESTS_UNIT_CONTROL_STEPS_H
#define TESTS_UNIT_CONTROL_STEPS_H

#include "tests/unit/control/control_lab.h"

extern struct lab lab;
extern struct mint_key alice, origin, other_origin;

static const uint8_t client_addr[4] = {198, 51, 100, 1}, server_addr[4] = {198, 51, 100, 2};
#define WORKER (&lab.workers[0])
#define CLIENT                                                                                               \
	{                                                                                                    \
		client_addr, 4                                                                               \
	}
#define SERVER                                                                                               \
	{                                                                                                    \
		server_addr, 4                                                                               \
	}

struct begun {
	char error[256], session_id[64], rule[64], algorithms[128];
	uint32_t grace, attempts, identities;
};

struct target {
	uint8_t verdict;
	char message[640], target_id[64];
	size_t host_public_len;
};

struct who {
	uint8_t accepted, second_factor;
	char user[64], message[640];
};

struct may {
	uint8_t allowed, recording, origin_auth[8];
	uint32_t permits;
	char message[640], user_id[64];
	size_t recipients, origin_auth_count;
};

/* The text of a span, cut to fit. */
void copy(struct wire_span span, char *text, size_t size);
void open_lab(void);
void close_lab(void);
struct begun begin_rule(uint64_t flow, uint32_t rule, uint64_t generation, uint16_t port);
struct begun begin(uint64_t flow);
struct target target_of(uint64_t flow, const struct mint_key *key);
struct who who_is(uint64_t flow, struct wire_span key, const char *login, uint8_t proven);
/* The same, but what is shown as a proof is the caller's. */
struct who who_shows(uint64_t flow, struct wire_span key, const char *login, struct wire_span proof);
/* Without a key: enum rpc_who_method. */
struct who who_by(uint64_t flow, uint8_t method, const char *login);
/* What the flow's key exchange came to: another one for each that begins. */
struct wire_span identifier_of(uint64_t flow);
struct may may(uint64_t flow, const char *login);
struct rpc_ses_cert_reply cert(uint64_t flow, const struct mint_key *key);
struct rpc_ses_sign_reply sign(uint64_t flow);
void add_user(const char *name, const char *login, const char *group, const struct mint_key *key);
void granted_session(uint64_t flow);
json_t *session_list(bool live, json_t **response);
void end_session(uint64_t flow, const char *reason);
/* Is there a line with this event and this text in the audit log? */
bool audited(const char *event, const char *text);

#endif
