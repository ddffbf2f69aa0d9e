/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/control/control_steps.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lab lab;
struct mint_key alice, origin, other_origin;

void open_lab(void)
{
	lab_open(&lab);
	mint_key(&alice);
	mint_key(&origin);
	mint_key(&other_origin);
	lab_start(&lab);
}

void close_lab(void)
{
	lab_close(&lab);
}

/* -- steps of a session ------------------------------------------------------------------------------------
 */

void copy(struct wire_span span, char *text, size_t size)
{
	snprintf(text, size, "%.*s", (int)span.len, span.len > 0 ? (const char *)span.at : "");
}

/* The exchange hash of each flow's key exchange. */
static uint8_t hashes[128][32];

struct wire_span identifier_of(uint64_t flow)
{
	return (struct wire_span){hashes[flow % 128], 32};
}

struct begun begin_rule(uint64_t flow, uint32_t rule, uint64_t generation, uint16_t port)
{
	struct rpc_message message;
	struct rpc_ses_begin_reply reply;
	struct begun begun;

	randombytes_buf(hashes[flow % 128], 32);
	LAB_SEND(WORKER, SES_BEGIN, ses_begin, 77, .flow = flow, .client_addr = CLIENT, .client_port = 40000,
	    .server_addr = SERVER, .server_port = port, .rule = rule, .generation = generation);
	lab_await(&lab, WORKER, RPC_SES_BEGIN_REPLY, &message);
	cr_assert_eq(message.id, 77);
	cr_assert(rpc_get_ses_begin_reply(message.body, &reply));
	copy(reply.error, begun.error, sizeof(begun.error));
	copy(reply.session_id, begun.session_id, sizeof(begun.session_id));
	copy(reply.rule_name, begun.rule, sizeof(begun.rule));
	copy(reply.host_key_algs, begun.algorithms, sizeof(begun.algorithms));
	begun.grace = reply.login_grace_s;
	begun.attempts = reply.auth_attempts;
	begun.identities = reply.identities;
	return begun;
}

struct begun begin(uint64_t flow)
{
	return begin_rule(flow, 1, 1, 22);
}

struct target target_of(uint64_t flow, const struct mint_key *key)
{
	struct rpc_message message;
	struct rpc_ses_target_reply reply;
	struct target target;

	LAB_SEND(WORKER, SES_TARGET, ses_target, 5, .flow = flow, .host_key = mint_blob(key));
	lab_await(&lab, WORKER, RPC_SES_TARGET_REPLY, &message);
	cr_assert(rpc_get_ses_target_reply(message.body, &reply));
	target.verdict = reply.verdict;
	copy(reply.message, target.message, sizeof(target.message));
	copy(reply.target_id, target.target_id, sizeof(target.target_id));
	target.host_public_len = reply.host_public.len;
	return target;
}

struct who who_is(uint64_t flow, struct wire_span key, const char *login, uint8_t proven)
{
	static uint8_t request[PUBLIC_KEY_BLOB_MAX + 512];
	size_t len = 0;

	if (proven) {
		(void)sign(flow);
		len = mint_request(mint_find(key), identifier_of(flow), login, key, (struct wire_span){0},
		    request, sizeof(request));
	}
	return who_shows(flow, key, login, (struct wire_span){request, len});
}

static struct who who_reply(void)
{
	struct rpc_message message;
	struct rpc_ses_who_reply reply;
	struct who who;

	lab_await(&lab, WORKER, RPC_SES_WHO_REPLY, &message);
	cr_assert(rpc_get_ses_who_reply(message.body, &reply));
	who.accepted = reply.accepted;
	who.second_factor = reply.second_factor;
	copy(reply.user, who.user, sizeof(who.user));
	copy(reply.message, who.message, sizeof(who.message));
	return who;
}

struct who who_shows(uint64_t flow, struct wire_span key, const char *login, struct wire_span proof)
{
	LAB_SEND(WORKER, SES_WHO, ses_who, 6, .flow = flow, .login = wire_span_of(login), .public_key = key,
	    .proof = proof);
	return who_reply();
}

struct who who_by(uint64_t flow, uint8_t method, const char *login)
{
	LAB_SEND(WORKER, SES_WHO, ses_who, 6, .flow = flow, .login = wire_span_of(login), .method = method);
	return who_reply();
}

struct may may(uint64_t flow, const char *login)
{
	struct rpc_message message;
	struct rpc_ses_may_reply reply;
	struct may answer;

	LAB_SEND(WORKER, SES_MAY, ses_may, 7, .flow = flow, .login = wire_span_of(login));
	lab_await(&lab, WORKER, RPC_SES_MAY_REPLY, &message);
	cr_assert(rpc_get_ses_may_reply(message.body, &reply));
	answer.allowed = reply.allowed;
	answer.recording = reply.recording;
	answer.permits = reply.permits;
	answer.recipients = reply.recipients.len;
	answer.origin_auth_count = reply.origin_auth.len;
	memset(answer.origin_auth, 0, sizeof(answer.origin_auth));
	if (reply.origin_auth.len > 0 && reply.origin_auth.len <= sizeof(answer.origin_auth))
		memcpy(answer.origin_auth, reply.origin_auth.at, reply.origin_auth.len);
	copy(reply.message, answer.message, sizeof(answer.message));
	copy(reply.user_id, answer.user_id, sizeof(answer.user_id));
	return answer;
}

struct rpc_ses_cert_reply cert(uint64_t flow, const struct mint_key *key)
{
	struct rpc_message message;
	struct rpc_ses_cert_reply reply;

	LAB_SEND(WORKER, SES_CERT, ses_cert, 8, .flow = flow, .public_key = mint_blob(key));
	lab_await(&lab, WORKER, RPC_SES_CERT_REPLY, &message);
	cr_assert(rpc_get_ses_cert_reply(message.body, &reply));
	return reply;
}

struct rpc_ses_sign_reply sign(uint64_t flow)
{
	struct rpc_message message;
	struct rpc_ses_sign_reply reply;

	LAB_SEND(WORKER, SES_SIGN, ses_sign, 9, .flow = flow, .hash = identifier_of(flow));
	lab_await(&lab, WORKER, RPC_SES_SIGN_REPLY, &message);
	cr_assert(rpc_get_ses_sign_reply(message.body, &reply));
	return reply;
}

void add_user(const char *name, const char *login, const char *group, const struct mint_key *key)
{
	json_t *response;
	char *line = mint_line(key, "test");

	lab_result(&lab, "user.add",
	    json_pack("{s:s, s:[s, s], s:[s], s:[s]}", "name", name, "logins", name, login, "groups", group,
	        "keys", line),
	    &response);
	json_decref(response);
	free(line);
}

void granted_session(uint64_t flow)
{
	begin(flow);
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
	cr_assert(who_is(flow, mint_blob(&alice), "root", 1).accepted);
	struct may answer = may(flow, "root");
	cr_assert(answer.allowed, "%s", answer.message);
}

json_t *session_list(bool live, json_t **response)
{
	return json_object_get(
	    lab_result(&lab, "sessions.ls", json_pack("{s:b}", "live", live), response), "sessions");
}

void end_session(uint64_t flow, const char *reason)
{
	LAB_SEND(WORKER, SES_END, ses_end, 0, .flow = flow, .reason = wire_span_of(reason),
	    .bytes_from_client = 100, .bytes_from_origin = 2000);
	lab_settle(&lab);
}

/* Is there a line with this event and this text in the audit log? */
bool audited(const char *event, const char *text)
{
	char path[128], line[8192], wanted[128];
	bool found = false;

	snprintf(path, sizeof(path), "%s/state/audit.jsonl", lab.dir);
	snprintf(wanted, sizeof(wanted), "\"event\":\"%s\"", event);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = strstr(line, wanted) != NULL && strstr(line, text) != NULL;
	fclose(file);
	return found;
}
