/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which host key does the client see, and which certificate of it?
 *
 * What is known stands in the database; what is not is asked of the keeper, put there, and looked at again,
 * step by step: the key, then its certificate.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "control/identity/host_keys.h"

#define CERTIFICATE_S (14 * 86400)
#define CERTIFICATE_FRESH_S (7 * 86400)
#define BACKDATE_S 240      /* clocks differ; the keeper allows 300 */
#define NO_CERTIFICATE_S 10 /* until a host CA is asked after again */
#define STEPS_MAX 4
#define PRINCIPALS_MAX 256    /* the keeper makes no certificate with more, and OpenSSH reads none */
#define PRINCIPALS_SIZE 16384 /* so that what the keeper makes is not too long to be kept */

static void go_on(struct control *control, struct session *session, struct keeper_question *question);

static const char *type_of(const struct keeper_question *question)
{
	return (const char *)question->saved.at;
}

static void fail(
    struct control *control, struct session *session, struct keeper_question *question, int error)
{
	if (session != NULL)
		question->shown(control, session, question, keeper_failure(error), NULL);
	keeper_question_free(question);
}

/* -- the key -- */

/* A session keeps the seed it began with: the keeper signs for it by that one. */
static bool is_former(const struct control *control, const struct session *session)
{
	return session->has_seed && control->host_seed_known &&
	       memcmp(session->host_seed, control->host_seed, sizeof(control->host_seed)) != 0;
}

static struct wire_span seed_of(const struct control *control, const struct session *session)
{
	return (struct wire_span){is_former(control, session) ? session->host_seed : control->host_seed,
	    sizeof(control->host_seed)};
}

/* From the first key that it is shown to its end, whatever is committed or restarted meanwhile. */
static void settle_seed(struct control *control, struct session *session, struct wire_span seed)
{
	if (session->has_seed && memcmp(session->host_seed, seed.at, sizeof(session->host_seed)) == 0)
		return;
	memcpy(session->host_seed, seed.at, sizeof(session->host_seed));
	session->has_seed = true;
	history_update(control, session);
	session_tell_keeper(control, session, true);
}

static void key_there(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_host_reply reply;

	bool read = error == 0 && rpc_get_key_host_reply(body, &reply);
	if (read && reply.error.len > 0 && question->former)
		error = -ESTALE;
	if (session == NULL || !read || reply.error.len > 0 || reply.seed.len != sizeof(control->host_seed)) {
		fail(control, session, question, error);
		return;
	}
	if (question->former) {
		if (memcmp(session->host_seed, reply.seed.at, sizeof(session->host_seed)) != 0) {
			fail(control, session, question, -ESTALE); /* it began two rotations ago */
			return;
		}
	} else {
		memcpy(control->host_seed, reply.seed.at, sizeof(control->host_seed));
		control->host_seed_known = true;
	}
	if (host_keys_store(
	        &control->db, reply.seed, question->target_id, type_of(question), reply.public_key))
		go_on(control, session, question);
	else
		fail(control, session, question, -EIO);
}

/* -- the certificate -- */

static struct wire_span seed_asked(const struct keeper_question *question)
{
	return (struct wire_span){question->seed, sizeof(question->seed)};
}

/* What the client may have typed to get here: the target's addresses and the names known for them. Where they
 * are too many, this session's own come first: others cannot take its certificate away by adding theirs. */
static bool put_principals(struct control *control, const struct session *session, struct wire_out *out)
{
	struct words names = {0};

	targets_names(&control->db, session->target_id, session->address, PRINCIPALS_MAX, &names);
	for (size_t i = 0; i < names.count; i++)
		if (wire_written(out) + 4 + strlen(names.at[i]) <= PRINCIPALS_SIZE)
			wire_put_cstring(out, names.at[i]);
	words_free(&names);
	return wire_written(out) > 0 && !out->failed;
}

/* The plain key is shown for a while: without a host CA, or where there is no certificate to be had. */
static void go_without(struct control *control, struct session *session, struct keeper_question *question)
{
	if (host_keys_store_certificate(&control->db, seed_asked(question), question->target_id,
	        type_of(question), (struct wire_span){0}, time(NULL) + NO_CERTIFICATE_S))
		go_on(control, session, question);
	else
		fail(control, session, question, -EIO);
}

static void certificate_there(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_certify_host_reply reply;

	if (session == NULL || error != 0 || !rpc_get_key_certify_host_reply(body, &reply)) {
		fail(control, session, question, error);
		return;
	}
	if (reply.error.len == 0 &&
	    host_keys_store_certificate(&control->db, seed_asked(question), question->target_id,
	        type_of(question), reply.certificate, time(NULL) + CERTIFICATE_FRESH_S))
		go_on(control, session, question);
	else
		go_without(control, session, question);
}

static void ask_certificate(struct control *control, struct session *session,
    struct keeper_question *question, const struct host_key_row *row)
{
	static uint8_t room[PRINCIPALS_SIZE];
	struct wire_out out = wire_into(room, sizeof(room));
	struct call_options options = keeper_call(
	    control, RPC_KEY_CERTIFY_HOST, RPC_KEY_CERTIFY_HOST_REPLY, certificate_there, question);
	uint64_t now = (uint64_t)time(NULL), serial;
	char key_id[PUBLIC_KEY_FINGERPRINT_SIZE + 16];

	memcpy(question->seed, seed_of(control, session).at, sizeof(question->seed));
	if (!put_principals(control, session, &out)) {
		go_without(control, session, question);
		return;
	}
	snprintf(key_id, sizeof(key_id), "portreeve:%s", question->target_id);
	randombytes_buf(&serial, sizeof(serial));
	CALL(&options, key_certify_host, .public_key = {row->public_key, row->public_len},
	    .key_id = wire_span_of(key_id), .principals = {room, wire_written(&out)},
	    .valid_after = now - BACKDATE_S, .valid_before = now + CERTIFICATE_S, .serial = serial >> 1);
}

/* -- both -- */

static void go_on(struct control *control, struct session *session, struct keeper_question *question)
{
	struct host_key_row row;
	struct wire_span seed = seed_of(control, session);

	/* The origin has shown another key meanwhile, and that is another target, or none. */
	if (++question->steps > STEPS_MAX || strcmp(question->target_id, session->target_id) != 0) {
		fail(control, session, question, -EIO);
		return;
	}
	if (!control->host_seed_known ||
	    !host_keys_find(&control->db, seed, question->target_id, type_of(question), &row)) {
		struct call_options options =
		    keeper_call(control, RPC_KEY_HOST, RPC_KEY_HOST_REPLY, key_there, question);
		question->former = is_former(control, session);
		CALL(&options, key_host, .target_id = wire_span_of(question->target_id),
		    .type = wire_span_of(type_of(question)), .next = question->former ? 2 : 0);
		return;
	}
	/* Where the client has negotiated a certificate, there was one a moment ago: it is asked for again.
	 */
	if (!control->has_host_ca) {
		row.certificate_len = 0;
	} else if (row.fresh_until <= time(NULL) ||
	           (question->certified && row.certificate_len == 0 && question->steps == 1)) {
		ask_certificate(control, session, question, &row);
		return;
	}
	settle_seed(control, session, seed);
	crypto_hash_sha256(session->shown.digest[0], row.public_key, row.public_len);
	crypto_hash_sha256(session->shown.digest[1], row.certificate, row.certificate_len);
	session->shown.count = row.certificate_len > 0 ? 2 : 1;
	question->shown(control, session, question, "", &row);
	keeper_question_free(question);
}

bool session_show_host_key(struct control *control, struct session *session, uint32_t request_id,
    const char *type, bool certified, uint8_t verdict, host_key_shown shown)
{
	struct keeper_question *question = keeper_question(
	    control, session, request_id, (struct wire_span){(const uint8_t *)type, strlen(type) + 1});

	if (question == NULL)
		return false;
	question->verdict = verdict;
	question->certified = certified;
	question->shown = shown;
	go_on(control, session, question);
	return true;
}

/* -- HOST_KEY -- */

static void answer(struct peer *worker, uint32_t id, const char *error, const struct host_key_row *row)
{
	PEER_REPLY(worker, id, SES_HOST_KEY_REPLY, ses_host_key_reply, .error = wire_span_of(error),
	    .host_public =
	        row == NULL ? (struct wire_span){0} : (struct wire_span){row->public_key, row->public_len},
	    .host_certificate = row == NULL ? (struct wire_span){0}
	                                    : (struct wire_span){row->certificate, row->certificate_len});
}

static void key_shown(struct control *control, struct session *session,
    const struct keeper_question *question, const char *error, const struct host_key_row *row)
{
	answer(&control->peers.workers[session->worker], question->request_id, error, row);
}

bool session_may_sign_by(const struct session *session, struct wire_span algorithm)
{
	const char *type;
	bool certificate;

	if (!host_keys_algorithm(algorithm, &type, &certificate))
		return false;
	/* SHA-1 is the rule's to allow. */
	return !wire_span_is(algorithm, "ssh-rsa") ||
	       (session->rule != NULL && (session->rule->ssh->legacy_client & legacy_bit("ssh-rsa")) != 0);
}

int session_on_host_key(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct peer *worker = &control->peers.workers[link->index];
	struct rpc_ses_host_key asked;
	const char *type;
	bool certificate;

	if (!rpc_get_ses_host_key(message->body, &asked))
		return -EPROTO;
	struct session *session = session_find(control, link->index, asked.flow);
	if (session == NULL || session->target_id[0] == '\0' ||
	    !host_keys_algorithm(asked.algorithm, &type, &certificate) ||
	    !session_may_sign_by(session, asked.algorithm))
		answer(worker, message->id, "portreeve: no such host key", NULL);
	else if (!session_show_host_key(control, session, message->id, type, certificate, 0, key_shown))
		answer(worker, message->id, keeper_failure(-ENOMEM), NULL);
	return 0;
}
