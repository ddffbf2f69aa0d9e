/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions: the live sessions of a worker: found by flow, run when something happened, woken by their
 * deadlines.
 */
#ifndef SSHTERM_SESSIONS_H
#define SSHTERM_SESSIONS_H

#include "sshterm/flow_channel.h"
#include "sshterm/session.h"

#define SESSION_BUCKETS 4096u
#define SOURCE_BUCKETS 4096u

struct sessions {
	struct session *buckets[SESSION_BUCKETS]; /* by (lcore, channel_flow) */
	struct session *all;
	struct session *ready_first, *ready_last;
	struct session *running;    /* whose fiber runs; NULL: none */
	struct session **deadlines; /* a binary heap by wait_until_us, slot 1 on top */
	uint32_t deadline_count, deadline_room;
	uint32_t live, limit;
	uint32_t strangers[SOURCE_BUCKETS]; /* sessions before login, by the client's address (hashed) */
	uint8_t source_key[16];
	uint64_t next_id;
};

/* Takes the memory for `limit` sessions' bookkeeping. 0 or -ENOMEM. */
int sessions_init(struct sessions *sessions, uint32_t limit);
void sessions_free(struct sessions *sessions);

/* A new session with its fiber, ready to run. NULL: the limit is reached, the client's address holds as many
 * places before login as are left for all, the worker stops, or no memory. */
struct session *session_open(struct flow_channel *channel, uint64_t flow, const struct slab_flow *about);
/* It is logged in: it counts no more against its client's address. */
void session_admitted(struct session *session);
struct session *session_find(struct worker *worker, uint32_t lcore, uint64_t flow);
struct session *session_find_id(struct worker *worker, uint64_t flow_id);
/* The dataplane forgot the flow: its name may be used for another from now on. */
void session_gone(struct session *session);
/* The bytes of this session are gone for good, for `reason` (a static string: its close reason). */
void session_lose(struct session *session, const char *reason);
/* Ends it with this text for both people; the first reason stays. `close_reason` is a static string. */
void session_kill(struct session *session, const char *text, const char *close_reason);
void sessions_kill_all(struct worker *worker, const char *text, const char *close_reason);
void sessions_lose_lcore(struct worker *worker, uint32_t lcore, const char *reason);

/* Wakes those whose deadline has come. */
void sessions_expire(struct worker *worker, uint64_t now_us);
/* When the next deadline is, UINT64_MAX for none. */
uint64_t sessions_next_deadline(const struct worker *worker);
/* Runs every session that was ready at the call. True where one was. */
bool sessions_run(struct worker *worker);

#endif
