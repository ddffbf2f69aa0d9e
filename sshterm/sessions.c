/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/sessions.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sshterm/fiber.h"
#include "sshterm/legs.h"
#include "sshterm/vsock.h"
#include "sshterm/worker.h"

int sessions_init(struct sessions *sessions, uint32_t limit)
{
	*sessions = (struct sessions){.limit = limit, .deadline_room = limit + 1, .next_id = 1};
	randombytes_buf(sessions->source_key, sizeof(sessions->source_key));
	sessions->deadlines = calloc(sessions->deadline_room, sizeof(*sessions->deadlines));
	return sessions->deadlines == NULL ? -ENOMEM : 0;
}

void sessions_free(struct sessions *sessions)
{
	free(sessions->deadlines);
	sessions->deadlines = NULL;
}

/* -- deadlines: a binary heap, because logins of 10,000 sessions have 10,000 different ones -- */

static void heap_place(struct sessions *s, uint32_t slot, struct session *session)
{
	s->deadlines[slot - 1] = session;
	session->deadline_slot = slot;
}

static void heap_up(struct sessions *s, uint32_t slot, struct session *session)
{
	while (slot > 1 && s->deadlines[slot / 2 - 1]->wait_until_us > session->wait_until_us) {
		heap_place(s, slot, s->deadlines[slot / 2 - 1]);
		slot /= 2;
	}
	heap_place(s, slot, session);
}

static void heap_down(struct sessions *s, uint32_t slot, struct session *session)
{
	for (;;) {
		uint32_t child = 2 * slot;
		if (child > s->deadline_count)
			break;
		if (child < s->deadline_count &&
		    s->deadlines[child]->wait_until_us < s->deadlines[child - 1]->wait_until_us)
			child++;
		if (s->deadlines[child - 1]->wait_until_us >= session->wait_until_us)
			break;
		heap_place(s, slot, s->deadlines[child - 1]);
		slot = child;
	}
	heap_place(s, slot, session);
}

static void deadline_remove(struct sessions *s, struct session *session)
{
	uint32_t slot = session->deadline_slot;

	if (slot == 0)
		return;
	session->deadline_slot = 0;
	struct session *moved = s->deadlines[--s->deadline_count];
	if (moved == session)
		return;
	if (slot > 1 && s->deadlines[slot / 2 - 1]->wait_until_us > moved->wait_until_us)
		heap_up(s, slot, moved);
	else
		heap_down(s, slot, moved);
}

static void deadline_set(struct sessions *s, struct session *session, uint64_t deadline_us)
{
	deadline_remove(s, session);
	session->wait_until_us = deadline_us;
	if (deadline_us != UINT64_MAX)
		heap_up(s, ++s->deadline_count, session);
}

uint64_t sessions_next_deadline(const struct worker *worker)
{
	const struct sessions *s = &worker->sessions;

	return s->deadline_count == 0 ? UINT64_MAX : s->deadlines[0]->wait_until_us;
}

void sessions_expire(struct worker *worker, uint64_t now_us)
{
	struct sessions *s = &worker->sessions;

	while (s->deadline_count > 0 && s->deadlines[0]->wait_until_us <= now_us) {
		struct session *session = s->deadlines[0];
		deadline_remove(s, session);
		session_wake(session);
	}
}

/* -- waiting -- */

void session_wake(struct session *session)
{
	struct sessions *s = &session->worker->sessions;

	session->woken = true;
	if (session->ready || session->running)
		return;
	session->ready = true;
	session->ready_next = NULL;
	if (s->ready_last != NULL)
		s->ready_last->ready_next = session;
	else
		s->ready_first = session;
	s->ready_last = session;
}

void session_wait(struct session *session, uint64_t deadline_us)
{
	struct sessions *s = &session->worker->sessions;

	/* What happened while the fiber ran counts: look again before sleeping. */
	if (!session->woken && deadline_us > worker_now_us()) {
		deadline_set(s, session, deadline_us);
		fiber_yield();
		deadline_remove(s, session);
	}
	session->woken = false;
}

/* -- found by flow -- */

static struct session **bucket_of(struct worker *worker, uint32_t lcore, uint64_t flow)
{
	uint64_t hash = (flow ^ ((uint64_t)lcore << 48)) * 0x9e3779b97f4a7c15ull;

	return &worker->sessions.buckets[(hash >> 40) % SESSION_BUCKETS];
}

struct session *session_find(struct worker *worker, uint32_t lcore, uint64_t flow)
{
	struct session *session = *bucket_of(worker, lcore, flow);

	while (session != NULL && (session->channel_flow != flow || session->lcore != lcore))
		session = session->bucket_next;
	return session;
}

struct session *session_find_id(struct worker *worker, uint64_t flow_id)
{
	struct session *session = worker->sessions.all;

	while (session != NULL && session->flow_id != flow_id)
		session = session->next;
	return session;
}

static void bucket_remove(struct session *session)
{
	struct session **at = bucket_of(session->worker, session->lcore, session->channel_flow);

	while (*at != NULL && *at != session)
		at = &(*at)->bucket_next;
	if (*at != NULL)
		*at = session->bucket_next;
}

static void list_insert(struct sessions *s, struct session *session)
{
	session->next = s->all;
	if (s->all != NULL)
		s->all->previous = session;
	s->all = session;
	s->live++;
}

static void list_remove(struct sessions *s, struct session *session)
{
	if (session->previous != NULL)
		session->previous->next = session->next;
	else
		s->all = session->next;
	if (session->next != NULL)
		session->next->previous = session->previous;
	s->live--;
}

/* -- birth and death -- */

static void session_free(struct session *session)
{
	vsock_destroy(session->sock[LEG_CLIENT]);
	vsock_destroy(session->sock[LEG_ORIGIN]);
	fiber_destroy(session->fiber);
	free(session);
}

static void session_main(void *argument)
{
	session_run(argument);
}

static uint64_t realtime_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

#define STRANGERS_FEW 64 /* logins under way from one address that are no offence, however full it is */

/* Whoever makes connections and does not log in shares the places that are free with all others: an address
 * may hold as many as it leaves. One alone gets half of them, n together leave an (n + 1)th part. */
static uint32_t stranger_place(const struct sessions *s, const struct slab_flow *about)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t value;

	crypto_shorthash(
	    hash, about->client_addr, RPC_SOURCE_BYTES(about->family == 4 ? 4 : 16), s->source_key);
	memcpy(&value, hash, sizeof(value));
	return value % SOURCE_BUCKETS;
}

void session_admitted(struct session *session)
{
	if (session->stranger != 0)
		session->worker->sessions.strangers[session->stranger - 1]--;
	session->stranger = 0;
}

struct session *session_open(struct flow_channel *channel, uint64_t flow, const struct slab_flow *about)
{
	struct worker *worker = channel->worker;
	struct sessions *s = &worker->sessions;

	if (worker->stopping || s->live >= s->limit || (about->family != 4 && about->family != 6))
		return NULL;
	uint32_t place = stranger_place(s, about);
	uint32_t free_places = s->limit - s->live;
	uint32_t few = s->limit / 8 < STRANGERS_FEW ? s->limit / 8 : STRANGERS_FEW;
	if (s->strangers[place] >= free_places && s->strangers[place] >= few) {
		worker->counters.refused_source++;
		return NULL;
	}
	struct session *session = calloc(1, sizeof(*session));
	if (session == NULL)
		return NULL;
	session->worker = worker;
	session->flow = *about;
	session->flow_id = s->next_id++;
	session->channel_flow = flow;
	session->lcore = channel->lcore;
	session->started_at_us = realtime_us();
	session->recorder_patience_us = worker->recorder_patience_us;
	session->login_deadline_us = worker_now_us() + (uint64_t)worker->login_grace_s * 1000000;
	session->sock[LEG_CLIENT] = vsock_create(session, LEG_CLIENT, channel);
	session->sock[LEG_ORIGIN] = vsock_create(session, LEG_ORIGIN, channel);
	session->fiber = fiber_create(session_main, session);
	if (session->sock[LEG_CLIENT] == NULL || session->sock[LEG_ORIGIN] == NULL ||
	    session->fiber == NULL) {
		session_free(session);
		return NULL;
	}
	struct session **bucket = bucket_of(worker, session->lcore, flow);
	session->bucket_next = *bucket;
	*bucket = session;
	list_insert(s, session);
	session->stranger = place + 1;
	s->strangers[place]++;
	worker->counters.sessions_total++;
	session_wake(session);
	return session;
}

static void session_close(struct session *session)
{
	struct sessions *s = &session->worker->sessions;

	deadline_remove(s, session);
	session_admitted(session);
	if (!session->gone)
		bucket_remove(session);
	list_remove(s, session);
	session_free(session);
}

void session_gone(struct session *session)
{
	if (!session->gone)
		bucket_remove(session);
	session->gone = true;
	vsock_peer_reset(session->sock[LEG_CLIENT], ECONNRESET);
	vsock_peer_reset(session->sock[LEG_ORIGIN], ECONNRESET);
}

void session_lose(struct session *session, const char *reason)
{
	if (session->lost == NULL)
		session->lost = reason;
	vsock_peer_reset(session->sock[LEG_CLIENT], ECONNABORTED);
	vsock_peer_reset(session->sock[LEG_ORIGIN], ECONNABORTED);
}

void session_kill(struct session *session, const char *text, const char *close_reason)
{
	if (session->kill_reason[0] == '\0') {
		snprintf(session->kill_reason, sizeof(session->kill_reason), "%s",
		    text[0] != '\0' ? text : "portreeve: the session was ended by an administrator");
		session->close_reason = close_reason;
	}
	session_wake(session);
}

void sessions_kill_all(struct worker *worker, const char *text, const char *close_reason)
{
	for (struct session *session = worker->sessions.all; session != NULL; session = session->next)
		session_kill(session, text, close_reason);
}

void sessions_lose_lcore(struct worker *worker, uint32_t lcore, const char *reason)
{
	for (struct session *session = worker->sessions.all; session != NULL; session = session->next) {
		if (session->lcore != lcore || session->lost != NULL)
			continue;
		session->lost = reason;
		vsock_abandon(session->sock[LEG_CLIENT], ECONNABORTED);
		vsock_abandon(session->sock[LEG_ORIGIN], ECONNABORTED);
		/* The next dataplane numbers its flows anew. */
		if (!session->gone)
			bucket_remove(session);
		session->gone = true;
	}
}

bool sessions_run(struct worker *worker)
{
	struct sessions *s = &worker->sessions;
	struct session *session = s->ready_first;

	/* Those that become ready meanwhile wait for the next turn, or two sessions could keep the loop. */
	s->ready_first = s->ready_last = NULL;
	if (session == NULL)
		return false;
	while (session != NULL) {
		struct session *next = session->ready_next;
		session->ready = false;
		session->running = true;
		session->woken = false;
		s->running = session;
		fiber_resume(session->fiber);
		s->running = NULL;
		session->running = false;
		if (fiber_ended(session->fiber))
			session_close(session);
		else if (session->woken)
			session_wake(session);
		session = next;
	}
	return true;
}
