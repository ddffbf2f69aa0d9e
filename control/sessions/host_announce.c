/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All host keys of a target, for clients that keep what they know of it up to date (OpenSSH's
 * UpdateHostKeys).
 *
 * A client drops what is not announced and learns what is, so what is announced is whatever it may meet: the
 * keys of the current seed and of the next one, which it so knows before that is committed. One ssh-ed25519
 * key each, those of the types that the rule adds, and all others that were ever asked for; an RSA key is
 * never searched for because of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"
#include "control/identity/host_keys.h"

#define STEPS_MAX 16
#define KEYS_MAX 16384 /* bytes: three seeds, five types */

static const char *const wanted_types[] = {
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};

static void go_on(struct control *control, struct session *session, struct keeper_question *question);

void session_next_seed_is(struct control *control, struct wire_span seed)
{
	control->next_seed_known = true;
	control->has_next_seed = seed.len == sizeof(control->next_seed);
	if (control->has_next_seed)
		memcpy(control->next_seed, seed.at, seed.len);
}

/* -- SES_HOST_KEYS -- */

static void answer_keys(struct peer *worker, uint32_t id, const char *error, struct wire_span keys)
{
	PEER_REPLY(
	    worker, id, SES_HOST_KEYS_REPLY, ses_host_keys_reply, .error = wire_span_of(error), .keys = keys);
}

/* The seeds whose keys are announced: of a session that lives through a commit, the one that it has shown,
 * too. */
struct seeds {
	struct wire_span at[3];
	unsigned count;
};

static struct seeds seeds_of(const struct control *control, const struct session *session)
{
	struct wire_span own = session_seed(session),
	                 current = {control->host_seed, sizeof(control->host_seed)};
	struct seeds seeds = {0};

	if (own.len > 0 && !wire_span_same(own, current))
		seeds.at[seeds.count++] = own;
	seeds.at[seeds.count++] = current;
	if (control->has_next_seed)
		seeds.at[seeds.count++] = (struct wire_span){control->next_seed, sizeof(control->next_seed)};
	return seeds;
}

static void finish(
    struct control *control, struct session *session, struct keeper_question *question, const char *error)
{
	static uint8_t room[KEYS_MAX];
	struct wire_out out = wire_into(room, sizeof(room));

	if (session != NULL && error[0] == '\0') {
		struct seeds seeds = seeds_of(control, session);
		for (unsigned i = 0; i < seeds.count; i++)
			host_keys_put_known(&control->db, seeds.at[i], session->target_id, &out);
	}
	if (session != NULL)
		answer_keys(&control->peers.workers[session->worker], question->request_id,
		    out.failed ? keeper_failure(-EMSGSIZE) : error,
		    (struct wire_span){room, out.failed ? 0 : wire_written(&out)});
	keeper_question_free(question);
}

static void seeds_there(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_host_seed_reply reply;

	if (session == NULL || error != 0 || !rpc_get_key_host_seed_reply(body, &reply) ||
	    reply.error.len > 0 || reply.current.len != sizeof(control->host_seed)) {
		finish(control, session, question, keeper_failure(error));
		return;
	}
	memcpy(control->host_seed, reply.current.at, sizeof(control->host_seed));
	control->host_seed_known = true;
	session_next_seed_is(control, reply.next);
	go_on(control, session, question);
}

static void key_there(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_host_reply reply;

	if (session == NULL || error != 0 || !rpc_get_key_host_reply(body, &reply)) {
		finish(control, session, question, keeper_failure(error));
		return;
	}
	/* A seed may have gone meanwhile: then it is asked anew which there are. */
	if (reply.error.len > 0)
		control->next_seed_known = false;
	else if (!host_keys_store(&control->db, reply.seed, question->target_id,
	             wanted_types[question->wanted], reply.public_key)) {
		finish(control, session, question, keeper_failure(-EIO));
		return;
	}
	go_on(control, session, question);
}

static bool is_wanted(const struct session *session, unsigned type)
{
	return type == 0 || (session->rule != NULL &&
	                        (session->rule->ssh->legacy_client & legacy_bit(wanted_types[type])) != 0);
}

/* The first of a seed's that is not known yet. False: all are. */
static bool find_missing(
    struct control *control, const struct session *session, const uint8_t seed[8], uint8_t *missing)
{
	struct host_key_row row;

	for (unsigned i = 0; i < sizeof(wanted_types) / sizeof(wanted_types[0]); i++) {
		*missing = (uint8_t)i;
		if (is_wanted(session, i) && !host_keys_find(&control->db, (struct wire_span){seed, 8},
		                                 session->target_id, wanted_types[i], &row))
			return true;
	}
	return false;
}

static void ask_key(struct control *control, struct keeper_question *question, uint8_t which)
{
	struct call_options options =
	    keeper_call(control, RPC_KEY_HOST, RPC_KEY_HOST_REPLY, key_there, question);

	CALL(&options, key_host, .target_id = wire_span_of(question->target_id),
	    .type = wire_span_of(wanted_types[question->wanted]), .next = which);
}

static void go_on(struct control *control, struct session *session, struct keeper_question *question)
{
	if (++question->steps > STEPS_MAX || strcmp(question->target_id, session->target_id) != 0) {
		finish(control, session, question, keeper_failure(-EIO));
	} else if (!control->host_seed_known || !control->next_seed_known) {
		struct call_options options =
		    keeper_call(control, RPC_KEY_HOST_SEED, RPC_KEY_HOST_SEED_REPLY, seeds_there, question);
		CALL(&options, key_host_seed, .action = RPC_HOST_SEED_SHOW);
	} else if (find_missing(control, session, control->host_seed, &question->wanted)) {
		ask_key(control, question, 0);
	} else if (control->has_next_seed &&
	           find_missing(control, session, control->next_seed, &question->wanted)) {
		ask_key(control, question, 1);
	} else {
		finish(control, session, question, "");
	}
}

int session_on_host_keys(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct peer *worker = &control->peers.workers[link->index];
	struct rpc_ses_host_keys asked;

	if (!rpc_get_ses_host_keys(message->body, &asked))
		return -EPROTO;
	struct session *session = session_find(control, link->index, asked.flow);
	if (session == NULL || !session->granted || session->target_id[0] == '\0') {
		answer_keys(worker, message->id, "portreeve: nobody is logged in", (struct wire_span){0});
		return 0;
	}
	struct keeper_question *question =
	    keeper_question(control, session, message->id, (struct wire_span){0});
	if (question == NULL)
		answer_keys(worker, message->id, keeper_failure(-ENOMEM), (struct wire_span){0});
	else
		go_on(control, session, question);
	return 0;
}

/* -- SES_HOST_PROVE -- */

static void answer_proof(struct peer *worker, uint32_t id, const char *error, struct wire_span signature)
{
	PEER_REPLY(worker, id, SES_HOST_PROVE_REPLY, ses_host_prove_reply, .error = wire_span_of(error),
	    .signature = signature);
}

static void proven(void *context, void *argument, int error, struct wire_span body)
{
	struct control *control = context;
	struct keeper_question *question = argument;
	struct session *session = session_by_serial(control, question->serial);
	struct rpc_key_host_prove_reply reply;

	if (session != NULL && (error != 0 || !rpc_get_key_host_prove_reply(body, &reply)))
		answer_proof(&control->peers.workers[session->worker], question->request_id,
		    keeper_failure(error), (struct wire_span){0});
	else if (session != NULL)
		answer_proof(&control->peers.workers[session->worker], question->request_id,
		    reply.error.len > 0 ? "portreeve: the host key did not sign" : "", reply.signature);
	keeper_question_free(question);
}

/* RSA keys sign as in the key exchange, if that was by RSA; SHA-1 only there, and where the rule has it. */
static struct wire_span algorithm_of(
    const struct session *session, const char *type, struct wire_span of_exchange)
{
	const char *of_type;
	bool certificate;

	if (strcmp(type, "ssh-rsa") != 0)
		return wire_span_of(type);
	if (host_keys_algorithm(of_exchange, &of_type, &certificate) && !certificate &&
	    strcmp(of_type, type) == 0 && session_may_sign_by(session, of_exchange))
		return of_exchange;
	return wire_span_of("rsa-sha2-512");
}

/* Whose key is it, of those that are announced? False: nobody's. */
static bool find_announced(struct control *control, const struct session *session,
    struct wire_span public_key, struct wire_span *seed, char type[HOST_KEYS_TYPE_SIZE])
{
	struct seeds seeds = seeds_of(control, session);

	for (unsigned i = 0; i < seeds.count; i++) {
		*seed = seeds.at[i];
		if (host_keys_whose(&control->db, *seed, session->target_id, public_key, type))
			return true;
	}
	return false;
}

int session_on_host_prove(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct peer *worker = &control->peers.workers[link->index];
	struct rpc_ses_host_prove asked;
	char type[HOST_KEYS_TYPE_SIZE];
	struct wire_span seed;

	if (!rpc_get_ses_host_prove(message->body, &asked))
		return -EPROTO;
	struct session *session = session_find(control, link->index, asked.flow);
	if (session == NULL || !session->granted || session->identifier_len == 0 ||
	    session->proofs >= SESSION_PROOFS_MAX ||
	    !find_announced(control, session, asked.public_key, &seed, type)) {
		answer_proof(worker, message->id, "portreeve: no such host key", (struct wire_span){0});
		return 0;
	}
	session->proofs++;
	struct call_options options = keeper_call(control, RPC_KEY_HOST_PROVE, RPC_KEY_HOST_PROVE_REPLY,
	    proven, keeper_question(control, session, message->id, (struct wire_span){0}));
	if (options.argument == NULL)
		answer_proof(worker, message->id, keeper_failure(-ENOMEM), (struct wire_span){0});
	else
		CALL(&options, key_host_prove, .session_id = wire_span_of(session->session_id),
		    .identifier = {session->identifier, session->identifier_len}, .seed = seed,
		    .algorithm = algorithm_of(session, type, asked.algorithm));
	return 0;
}
