/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/agent_login.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sshterm/algorithms.h"
#include "sshterm/bridge_agent.h"
#include "sshterm/legs.h"
#include "sshterm/libssh_extensions.h"
#include "sshterm/worker.h"

struct agent_login {
	struct session *session;
	struct agent_login_facts facts;
	struct inside_answers answers;
	bool listening, settled;
	char host[INET6_ADDRSTRLEN];
	char signature_algs[INSIDE_SIGNATURE_ALGS_MAX];
	uint8_t session_id[64];
	uint8_t *proven;
};

/* -- what is known -- */

/* The key or certificate with which the client has just proven itself. */
static int keep_proven(struct agent_login *agent, const struct userauth_request *request)
{
	struct wire_span key = request->key;

	if (key.len == 0)
		return 0;
	agent->proven = malloc(key.len);
	if (agent->proven == NULL)
		return -1;
	memcpy(agent->proven, key.at, key.len);
	agent->facts.wish.proven = (struct wire_span){agent->proven, key.len};
	return 0;
}

/* A re-exchange of keys would leave it as it is, and move it. */
static int keep_session_id(struct agent_login *agent)
{
	struct wire_span id = inside_session_id(agent->session->ssh[LEG_ORIGIN]);

	if (id.len == 0 || id.len > sizeof(agent->session_id))
		return -1;
	memcpy(agent->session_id, id.at, id.len);
	agent->facts.session_id = (struct wire_span){agent->session_id, id.len};
	return 0;
}

static void keep_algorithms(struct agent_login *agent)
{
	const char *list = inside_signature_algs(agent->session->extensions);

	if (list != NULL) {
		memcpy(agent->signature_algs, list, strlen(list) + 1);
		agent->facts.wish.signature_algs = agent->signature_algs;
	}
}

enum origin_verdict agent_login_prepare(struct login *login, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct agent_login *agent = calloc(1, sizeof(*agent));

	if (agent == NULL) {
		leg_fail(failure, "error", "the appliance has no memory for another session");
		return ORIGIN_OVER;
	}
	session->agent = agent;
	agent->session = session;
	keep_algorithms(agent);
	(void)inet_ntop(session->flow.family == 4 ? AF_INET : AF_INET6, session->flow.server_addr,
	    agent->host, sizeof(agent->host));
	agent->facts.host = agent->host;
	agent->facts.wish.login = session->login;
	agent->facts.wish.sha1 = algorithms_name(wire_span_of(login->origin_legacy), wire_span_of("ssh-rsa"));
	agent->facts.wish.now_s = (uint64_t)time(NULL);
	agent->facts.permits = session->grant.permits;
	agent->facts.deadline_us = session->login_deadline_us;
	/* What was refused before counts at the origin, too. */
	agent->facts.tries =
	    AGENT_TRIES_MAX - (unsigned)__builtin_popcount(login->tried & ~(1u << RPC_ORIGIN_AGENT));
	if (keep_proven(agent, &login->pending) == 0 && keep_session_id(agent) == 0)
		return ORIGIN_LATER;
	leg_fail(failure, "error", "the appliance could not prepare the login with your agent");
	return ORIGIN_OVER;
}

/* -- what becomes of it -- */

/* For the audit log: which key it was, or why it was none. */
static void tell(struct agent_login *agent, bool success, json_t *detail)
{
	char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);
	const char *bare = success ? "{\"success\":true}" : "{\"success\":false}"; /* where memory is out */

	agent->settled = true;
	session_event(agent->session, "origin.auth", text == NULL ? bare : text);
	json_decref(detail);
	free(text);
}

static void stop_listening(struct agent_login *agent)
{
	if (agent->listening)
		inside_answers_stop(agent->session->ssh[LEG_ORIGIN], &agent->answers);
	agent->listening = false;
}

static void on_logged_in(void *context, const char *fingerprint, const struct agent_key *key)
{
	struct agent_login *agent = context;

	tell(agent, true,
	    json_pack("{s:s,s:b,s:s,s:s}", "method", "agent", "success", 1, "key", fingerprint, "algorithm",
	        key->algorithm));
}

static void on_failed(void *context, const char *reason, const char *text)
{
	struct agent_login *agent = context;
	struct worker_counters *counters = &agent->session->worker->counters;

	counters->origin_failures += strcmp(reason, "origin_failed") == 0;
	counters->login_timeouts += strcmp(reason, "login_timeout") == 0;
	tell(agent, false,
	    json_pack(
	        "{s:s,s:b,s:s,s:s}", "method", "agent", "success", 0, "reason", reason, "message", text));
	rpc_log(RPC_LOG_INFO, "session %s: not logged in at the origin: %s: %s", agent->session->session_id,
	    reason, text);
}

/* -- requests to the origin -- */

static int send_request(void *context, const uint8_t *payload, size_t len)
{
	struct agent_login *agent = context;
	/* It is only read, behind its number. */
	struct inside_packet packet = {.type = payload[0], .bytes = (uint8_t *)payload + 1, .len = len - 1};

	return inside_answers_ask(agent->session->ssh[LEG_ORIGIN], &agent->answers, &packet);
}

static bool take_answer(void *context, enum agent_origin_answer *answer, struct wire_span *methods)
{
	struct agent_login *agent = context;
	struct inside_answers *answers = &agent->answers;

	if (!agent->listening)
		return false;
	*methods = wire_span_of(answers->methods);
	if (answers->success) {
		*answer = AGENT_ORIGIN_LET_IN;
		stop_listening(agent);
		return true;
	}
	if (answers->question.type != 0) {
		*answer = AGENT_ORIGIN_WOULD_DO;
		inside_packet_wipe(&answers->question);
		return true;
	}
	if (!answers->failure)
		return false;
	*answer = answers->partial ? AGENT_ORIGIN_PARTIAL : AGENT_ORIGIN_REFUSED;
	answers->failure = answers->partial = false;
	return true;
}

static const struct bridge_login hooks = {
    .send_request = send_request, .take_answer = take_answer, .logged_in = on_logged_in, .failed = on_failed};

int agent_login_begin(struct session *session, struct leg_failure *failure)
{
	struct agent_login *agent = session->agent;

	if (agent == NULL)
		return 0;
	if (inside_answers_start(session->ssh[LEG_ORIGIN], &agent->answers) == 0)
		agent->listening = true;
	if (agent->listening && bridge_login_first(session, &hooks, &agent->facts, agent) == 0)
		return 0;
	leg_fail(failure, "error", "the appliance has no memory for another session");
	return -1;
}

void agent_login_free(struct session *session)
{
	struct agent_login *agent = session->agent;

	if (agent == NULL)
		return;
	stop_listening(agent);
	if (!agent->settled)
		tell(agent, false,
		    json_pack("{s:s,s:b,s:s}", "method", "agent", "success", 0, "reason", "closed"));
	free(agent->proven);
	free(agent);
	session->agent = NULL;
}
