/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

/* Flow numbers are the worker's own, so a hash that a hostile worker can steer slows down only itself. */
static unsigned bucket_of(uint32_t worker, uint64_t flow)
{
	uint64_t mixed = (flow + worker * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;

	return (unsigned)(mixed >> 40) % SESSIONS_BUCKETS;
}

struct session *session_find(struct control *control, uint32_t worker, uint64_t flow)
{
	struct session *session = control->sessions.buckets[bucket_of(worker, flow)];

	while (session != NULL && (session->worker != worker || session->flow != flow))
		session = session->next_in_bucket;
	return session;
}

struct session *session_by_serial(struct control *control, uint64_t serial)
{
	struct session *session = control->sessions.last;

	/* Answers are mostly awaited by young sessions. */
	while (session != NULL && session->serial != serial)
		session = session->previous;
	return session;
}

struct session *session_create(struct control *control, uint32_t worker, uint64_t flow)
{
	struct sessions *sessions = &control->sessions;
	unsigned bucket = bucket_of(worker, flow);

	if (worker >= PEER_WORKERS_MAX || sessions->per_worker[worker] >= SESSIONS_PER_WORKER_MAX)
		return NULL;
	struct session *session = calloc(1, sizeof(*session));
	if (session == NULL)
		return NULL;
	session->serial = ++sessions->next_serial;
	session->worker = worker;
	session->flow = flow;
	session->next_in_bucket = sessions->buckets[bucket];
	sessions->buckets[bucket] = session;
	session->previous = sessions->last;
	if (sessions->last != NULL)
		sessions->last->next = session;
	else
		sessions->first = session;
	sessions->last = session;
	sessions->count++;
	sessions->per_worker[worker]++;
	return session;
}

void session_keep_key(struct session *session, struct wire_span blob)
{
	free(session->came_with);
	session->came_with = blob.len > 0 ? malloc(blob.len) : NULL;
	session->came_with_len = session->came_with == NULL ? 0 : blob.len;
	if (session->came_with != NULL)
		memcpy(session->came_with, blob.at, blob.len);
}

void session_forget(struct control *control, struct session *session)
{
	struct sessions *sessions = &control->sessions;
	struct session **at = &sessions->buckets[bucket_of(session->worker, session->flow)];

	while (*at != session)
		at = &(*at)->next_in_bucket;
	*at = session->next_in_bucket;
	if (session->previous != NULL)
		session->previous->next = session->next;
	else
		sessions->first = session->next;
	if (session->next != NULL)
		session->next->previous = session->previous;
	else
		sessions->last = session->previous;
	sessions->count--;
	sessions->per_worker[session->worker]--;
	tally_leave(&sessions->tallies, session->by_source);
	tally_leave(&sessions->tallies, session->by_user);
	policy_release(session->policy);
	free(session->force_command);
	free(session->came_with);
	offers_free(&session->offered);
	free(session);
}

void session_count_source(struct control *control, struct session *session)
{
	char source[TARGET_ADDRESS_SIZE];
	uint8_t addr[sizeof(session->client_addr)] = {0};

	memcpy(addr, session->client_addr, RPC_SOURCE_BYTES(session->addr_len));
	target_address((struct wire_span){addr, session->addr_len}, 22, session->vlan, source);
	if (session->by_source == NULL)
		session->by_source =
		    tally_enter(&control->sessions.tallies, TALLY_SOURCE, session->rule_name, source);
}

void session_count_user(struct control *control, struct session *session)
{
	if (session->by_user == NULL)
		session->by_user =
		    tally_enter(&control->sessions.tallies, TALLY_USER, session->rule_name, session->user_id);
}

bool session_user_is_at_limit(struct control *control, const struct session *session)
{
	uint32_t limit = session->rule == NULL ? 0 : session->rule->ssh->sessions_per_user;

	return limit > 0 && session->by_user == NULL &&
	       tally_count(&control->sessions.tallies, TALLY_USER, session->rule_name, session->user_id) >=
	           limit;
}

void sessions_close(struct control *control)
{
	while (control->sessions.first != NULL)
		session_forget(control, control->sessions.first);
}

unsigned sessions_of_user(struct control *control, const char *user)
{
	unsigned count = 0;

	for (const struct session *session = control->sessions.first; session != NULL;
	     session = session->next)
		count += strcmp(session->user, user) == 0;
	return count;
}
