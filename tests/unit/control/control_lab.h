/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_lab: the real reeve-control, and a test that plays all the other processes. The keeper and the
 * dataplane answer by themselves while the test waits for something, as far as it has not told them to be
 * silent.
 */
#ifndef TESTS_UNIT_CONTROL_CONTROL_LAB_H
#define TESTS_UNIT_CONTROL_CONTROL_LAB_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "control/rpc/rpc.h"
#include "tests/unit/control/mint.h"

#define LAB_REPORTER 65533 /* uid of who may report identities */

struct lab_certify { /* what the keeper was last asked to certify */
	unsigned count;
	struct rpc_key_certify body; /* numbers only */
	char session_id[64], key_id[256], source_address[64], force_command[256];
	uint8_t principals[512], public_key[128];
	size_t principals_len, public_key_len;
};

struct lab {
	char dir[64], socket[96], policy[96];
	pid_t pid;
	struct rpc_link supervisor, keeper, dataplane, recorder, workers[2];
	int client;             /* connection to the control socket, -1: none yet */
	struct mint_key cas[4]; /* by enum rpc_ca; the first is the client CA's old one */
	bool old_client_ca;
	uint64_t old_client_ca_until;
	bool ca_exists[4];
	void (*before_start)(void); /* runs between the links and SUP_START */
	bool reporter;              /* the configuration names LAB_REPORTER */
	bool keeper_silent, dataplane_silent;
	const char *dataplane_refuses; /* NULL, or the error it answers with */
	struct lab_certify certify;
	size_t host_certificate; /* bytes of the host certificates that the keeper makes; 0: it makes none */
	uint8_t host_principals[20000]; /* of the last that it was asked for */
	size_t host_principals_len;
	uint8_t totp_verdict;   /* what the keeper says of codes: enum rpc_totp */
	const char *totp_error; /* and of second factors that are made or removed */
	bool keeper_holds;      /* questions for host keys, until lab_host_answer is called */
	uint32_t held[4], held_count;
	const char *host_seed, *former_host_seed; /* of host keys; 8 letters; former NULL: none */
	const char *next_host_seed;               /* NULL: none; its keys are the user CA's */
	char keeper_heard[4096];                  /* "SESSION sid 1;HOST target 0;…" in order */
	char told_seed[16];                       /* of the last SESSION */
	char evidence[2][2048];                   /* the last two texts */
	unsigned policies;
	uint64_t policy_generation;
	uint8_t *policy_blob;
	size_t policy_size;
};

extern const char lab_policy[];

void lab_open(struct lab *lab);
void lab_close(struct lab *lab);
/* Starts reeve-control (again) on the same state and attaches everybody. */
void lab_start(struct lab *lab);
/* Starts it and returns its exit status instead of waiting for READY (a start that must fail). */
int lab_start_fails(struct lab *lab);
void lab_kill(struct lab *lab);
/* Replaces a link by a new one (the process at the other end was restarted). */
void lab_attach(struct lab *lab, struct rpc_link *link, enum rpc_role role, uint32_t index);

/* How long something that must come may take on a machine that has much else to do. */
#define LAB_PATIENCE_MS 50000

/* Waits for a message of that type on `link`; others of that link are test failures. */
void lab_await(struct lab *lab, struct rpc_link *link, uint16_t type, struct rpc_message *message);
/* Lets keeper and dataplane answer for a while: where nothing is waited for. */
void lab_idle(struct lab *lab, int ms);
/* Returns when control has done all that was asked of it on its links, with all that keeper and dataplane
 * (unless they are silent) have to say to it. Needs the link of a worker. */
void lab_settle(struct lab *lab);
/* The same, and what it has put down is in control.db for whoever comes after it. */
void lab_settle_on_disk(struct lab *lab);
/* The keeper answers the n'th question for a host key that it held, by this key. */
void lab_host_answer(struct lab *lab, unsigned n, const struct mint_key *key);
/* True where nothing but silence (or the end) comes on the link within `ms`. */
bool lab_silent(struct lab *lab, struct rpc_link *link, int ms);
bool lab_hung_up(struct lab *lab, struct rpc_link *link);

/* One JSON-RPC call; the whole response object, the caller's. */
json_t *lab_call(struct lab *lab, const char *method, json_t *params);
/* The same; its result, borrowed from *response; fails the test on an error. */
json_t *lab_result(struct lab *lab, const char *method, json_t *params, json_t **response);
/* The error's code of the call (0: it succeeded); *message (may be NULL) is malloc'ed. */
int lab_error(struct lab *lab, const char *method, json_t *params, char **message);
int lab_connect(struct lab *lab);
void lab_send_text(int fd, const char *text, size_t len);
/* The next line from `fd`, parsed; NULL at its end. */
json_t *lab_read_json(struct lab *lab, int fd);

#define LAB_SEND(link, NAME, name, id, ...) cr_assert_eq(RPC_SEND(link, NAME, name, 0, id, __VA_ARGS__), 0)

#endif
