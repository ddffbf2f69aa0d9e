/* SPDX-License-Identifier: Apache-2.0 */
/* stats: the counters of every process, gathered for a second at most; null stands for one that is down. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

#define STATS_TIMEOUT_MS 1000

struct gather {
	struct request *request;
	json_t *result;
	unsigned open;
};

struct answer {
	struct gather *gather;
	char name[32];
};

/* Lines "name value". */
static json_t *counters_of(struct wire_span text)
{
	json_t *object = json_object();
	const char *at = (const char *)text.at, *end = at + text.len;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline == NULL ? end : newline;
		const char *space = memchr(at, ' ', (size_t)(stop - at));
		char name[128], number[24];
		if (space != NULL && (size_t)(space - at) < sizeof(name) &&
		    (size_t)(stop - space - 1) < sizeof(number)) {
			snprintf(name, sizeof(name), "%.*s", (int)(space - at), at);
			snprintf(number, sizeof(number), "%.*s", (int)(stop - space - 1), space + 1);
			json_object_set_new(
			    object, name, json_integer((json_int_t)strtoull(number, NULL, 10)));
		}
		at = stop + 1;
	}
	return object;
}

static json_t *own_counters(const struct control *control)
{
	const struct sessions *s = &control->sessions;
	const struct {
		const char *name;
		uint64_t value;
	} counters[] = {
	    {"sessions_live", s->count},
	    {"sessions_begun", s->begun},
	    {"sessions_granted", s->granted},
	    {"sessions_refused", s->refused},
	    {"sessions_refused_by_source_limit", s->limited_by_source},
	    {"sessions_refused_by_known_hosts_rate", s->unlooked},
	    {"sessions_refused_by_user_limit", s->limited_by_user},
	    {"sessions_ended", s->ended},
	    {"sessions_lost", s->lost},
	    {"sessions_resumed", s->resumed},
	    {"keys_unproven", s->unproven},
	    {"policy_generation", control->policies.in_force->generation},
	    {"policy_generation_in_dataplane", control->policies.dataplane_generation},
	    {"calls_made", control->peers.calls_made},
	    {"calls_failed", control->peers.calls_failed},
	    {"socket_clients", control->server.client_count},
	    {"socket_requests", control->server.requests},
	    {"audit_events", control->audit.written},
	    {"audit_events_failed", control->audit.failed},
	    {"audit_events_of_strangers_left_out", s->unaudited},
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		(void)json_object_set_new(
		    object, counters[i].name, json_integer((json_int_t)counters[i].value));
	return object;
}

static void one_done(struct gather *gather)
{
	if (--gather->open > 0)
		return;
	request_result(gather->request, gather->result);
	free(gather);
}

static void answered(void *context, void *argument, int error, struct wire_span body)
{
	struct answer *answer = argument;
	struct gather *gather = answer->gather;
	struct rpc_stats_reply reply;

	(void)context;
	json_t *counters =
	    error == 0 && rpc_get_stats_reply(body, &reply) ? counters_of(reply.text) : json_null();
	json_object_set_new(gather->result, answer->name, counters);
	free(answer);
	one_done(gather);
}

static void ask(struct gather *gather, struct peer *peer, const char *name)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	if (answer == NULL)
		return;
	/* Null first: the object keeps the order in which it was asked. */
	json_object_set_new(gather->result, name, json_null());
	snprintf(answer->name, sizeof(answer->name), "%s", name);
	answer->gather = gather;
	gather->open++;
	struct call_options options = {.peer = peer,
	    .type = RPC_STATS,
	    .reply_type = RPC_STATS_REPLY,
	    .timeout_ms = STATS_TIMEOUT_MS,
	    .fd = -1,
	    .done = answered,
	    .argument = answer};
	CALL(&options, stats, .reserved = 0);
}

static void stats(struct request *request, const json_t *params)
{
	static const char *const keys[] = {NULL};
	struct control *control = request->control;
	char name[32];

	if (!params_only(request, params, keys))
		return;
	struct gather *gather = calloc(1, sizeof(*gather));
	if (gather == NULL) {
		request_fail(request, JSONRPC_INTERNAL, "out of memory");
		return;
	}
	*gather = (struct gather){request, json_object(), 1};
	ask(gather, &control->peers.dataplane, "dataplane");
	for (uint32_t i = 0; i < control->peers.worker_count; i++) {
		snprintf(name, sizeof(name), "sshterm[%u]", i);
		ask(gather, &control->peers.workers[i], name);
	}
	ask(gather, &control->peers.recorder, "recorder");
	json_object_set_new(gather->result, "control", own_counters(control));
	one_done(gather);
}

const struct method stats_methods[] = {
    {"stats", ROLE_AUDITOR, stats},
    {NULL, ROLE_NONE, NULL},
};
