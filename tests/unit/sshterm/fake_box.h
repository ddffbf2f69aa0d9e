/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_box: everything around one real reeve-sshterm, in one process, for tests without a network.
 *
 * It plays the supervisor, a dataplane of one lcore whose wire are TCP sockets on the loopback, control with
 * one enrolled key, and a recorder that keeps nothing but counts. Stock ssh connects to it, a stock sshd is
 * its origin. What the worker tells is printed, a line each, for the test to look at.
 */
#ifndef TESTS_FAKE_BOX_H
#define TESTS_FAKE_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "control/rpc/rpc.h"
#include "dataplane/slab/slab.h"

#define FAKE_FLOWS_MAX 1024
#define FAKE_BLOB_MAX 1024
#define FAKE_PENDING_MAX 256

struct fake_key {
	uint8_t secret[64], public[32];
};

struct fake_control {
	struct rpc_link link;
	uint32_t epoch;
	struct fake_key host, ca;
	uint8_t enrolled[FAKE_BLOB_MAX], client_ca[FAKE_BLOB_MAX];
	size_t enrolled_len, client_ca_len;
	uint8_t recipient[32];
	char user[64];
	uint32_t login_grace_s;
	uint32_t permits;
	unsigned sessions;
	bool target_changed, mute;
	enum rpc_recording recording;
	/* What the rule says: who may be known how, and how the box logs in at the origin. */
	uint32_t identities;
	uint8_t origin_auth[RPC_ORIGIN_AUTHS_MAX];
	unsigned origin_auth_count;
	char notice[1024];
	bool second_factor; /* the code is 123456 */
	unsigned attempts;
};

/* One side of a flow: a socket and what waits for it. */
struct fake_leg {
	int fd;
	bool eof_told, fin_wanted, fin_done;
	uint64_t sent, consumed; /* bytes to the worker; of those, taken */
	struct slab_desc pending[FAKE_PENDING_MAX];
	const uint8_t *pending_bytes[FAKE_PENDING_MAX];
	uint32_t pending_first, pending_count, pending_offset;
};

struct fake_flow {
	bool used;
	uint64_t number;
	struct fake_leg leg[2];
};

struct fake_wire {
	struct slab_producer *to_worker;
	struct slab_consumer *from_worker;
	struct fake_flow flows[FAKE_FLOWS_MAX];
	uint64_t next_flow;
	int listener;
	uint16_t origin_port;
	uint32_t receive_credit, send_credit;
};

/* fake_control.c */
void fake_control_init(struct fake_control *control);
/* Answers everything that has arrived. -1: the worker broke the protocol or is gone. */
int fake_control_turn(struct fake_control *control);
void fake_control_kill_all(struct fake_control *control, const char *reason);
/* "ssh-ed25519 AAAA… comment" of a key, for TrustedUserCAKeys and known_hosts. */
void fake_key_line(const struct fake_key *key, const char *comment, char *line, size_t size);
/* Reads the blob of a .pub file. 0 or -1. */
int fake_key_file(const char *path, uint8_t *blob, size_t *len);

/* fake_wire.c */
void fake_wire_accept(struct fake_wire *wire);
void fake_wire_turn(struct fake_wire *wire);
/* Forgets all flows, as a dataplane that died. */
void fake_wire_drop(struct fake_wire *wire);

#endif
