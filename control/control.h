/* SPDX-License-Identifier: Apache-2.0 */
/* control: what the parts of reeve-control share. The theory of operation opens control.c. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/identity/database.h"
#include "control/identity/known_hosts.h"
#include "control/identity/revocations.h"
#include "control/peers/peers.h"
#include "control/policy/policy.h"
#include "control/policy/store.h"
#include "control/sessions/audit.h"
#include "control/sessions/client_cas.h"
#include "control/sessions/sessions.h"
#include "control/socket/server.h"

#define CONTROL_PATH_MAX 4096
#define CONTROL_RECIPIENTS_MAX 8
#define CONTROL_UIDS_MAX 256

/* SUP_CONFIG_CONTROL, copied and checked. */
struct control_config {
	char socket[108]; /* sun_path */
	char state[CONTROL_PATH_MAX];
	char policy[CONTROL_PATH_MAX];
	uint8_t recipients[CONTROL_RECIPIENTS_MAX * 32];
	uint32_t recipient_count;
	uint32_t workers;
	uid_t owner;
	uid_t admins[CONTROL_UIDS_MAX], auditors[CONTROL_UIDS_MAX], reporters[CONTROL_UIDS_MAX];
	uint32_t admin_count, auditor_count, reporter_count;
};

struct control {
	struct control_config config;
	struct policy_context context;
	int epoll;
	bool configured, started, stopping;
	struct peers peers;
	struct database db;
	struct revocations revocations;
	struct policies policies;
	struct sessions sessions;
	struct known_hosts known; /* imported, of origins */
	struct audit audit;
	struct server server;
	uint8_t host_seed[8]; /* what the keeper calls the seed of host keys */
	bool host_seed_known; /* false: ask */
	uint8_t next_seed[8]; /* likewise, of the next one */
	bool next_seed_known, has_next_seed;
	bool has_host_ca;             /* that certifies host keys */
	bool no_user_ca;              /* the keeper said that there is none to enter origins with */
	struct client_cas client_cas; /* as the keeper last said; none: ask */
	int64_t started_at_ms;        /* CLOCK_MONOTONIC */
};

#endif
