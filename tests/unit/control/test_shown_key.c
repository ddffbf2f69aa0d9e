/* SPDX-License-Identifier: Apache-2.0 */
/* Which host key clients are shown, where what is asked and what is answered do not follow one another. */
#include <criterion/criterion.h>
#include <string.h>

#include "control/identity/database.h"
#include "control/sessions/sessions.h"
#include "tests/unit/control/control_steps.h"

TestSuite(shown_key, .init = open_lab, .fini = close_lab, .timeout = 300);

static struct rpc_message answer;

static struct rpc_ses_target_reply target_answer(uint32_t id)
{
	struct rpc_ses_target_reply reply;

	lab_await(&lab, WORKER, RPC_SES_TARGET_REPLY, &answer);
	cr_assert_eq(answer.id, id);
	cr_assert(rpc_get_ses_target_reply(answer.body, &reply));
	return reply;
}

static void ask_target(uint32_t id, uint64_t flow, const struct mint_key *key)
{
	LAB_SEND(WORKER, SES_TARGET, ses_target, id, .flow = flow, .host_key = mint_blob(key));
}

static void forget_target(void)
{
	json_t *response;

	lab_result(&lab, "target.forget", json_pack("{s:s}", "address", "198.51.100.2"), &response);
	json_decref(response);
}

/* The keeper's answer is about the target that it was asked about, whatever the session has come to. */
Test(shown_key, is_of_the_target_that_was_asked_about)
{
	struct mint_key first, second;

	mint_key(&first);
	mint_key(&second);
	lab.keeper_holds = true;
	begin(1);
	ask_target(11, 1, &origin);
	lab_settle(&lab);
	forget_target();
	ask_target(12, 1, &other_origin);
	lab_settle(&lab);
	cr_assert_eq(lab.held_count, 2);
	lab_host_answer(&lab, 0, &first);
	struct rpc_ses_target_reply reply = target_answer(11);
	cr_expect_eq(reply.verdict, RPC_TARGET_REFUSED);
	cr_expect_eq(reply.host_public.len, 0);
	/* Nothing of it is taken for the other target's. */
	begin(2);
	ask_target(13, 2, &other_origin);
	lab_settle(&lab);
	cr_assert_eq(lab.held_count, 3, "the other target's key is said to be known");
	lab_host_answer(&lab, 2, &second);
	reply = target_answer(13);
	cr_assert_eq(reply.host_public.len, sizeof(second.blob));
	cr_expect_arr_eq(reply.host_public.at, second.blob, sizeof(second.blob));
	lab_host_answer(&lab, 1, &second);
	reply = target_answer(12);
	cr_expect_eq(reply.verdict, RPC_TARGET_FIRST_USE);
	cr_expect_eq(reply.host_public.len, sizeof(second.blob));
}

static void resume(uint64_t flow, const char *id)
{
	LAB_SEND(WORKER, SES_RESUME, ses_resume, 0, .flow = flow, .session_id = wire_span_of(id),
	    .client_addr = CLIENT, .client_port = 40000, .server_addr = SERVER, .server_port = 22, .rule = 1,
	    .generation = 1, .rule_name = wire_span_of("prod-ssh"));
}

/* An origin that shows another key later, or one that is known no more, is refused after a restart, too. */
Test(shown_key, a_target_that_was_refused_does_not_come_back)
{
	struct mint_key fresh;
	json_t *response;
	struct begun begun[3];

	mint_key(&fresh);
	add_user("alice", "root", "sre", &alice);
	char *line = mint_line(&origin, "");
	lab_result(&lab, "target.add",
	    json_pack("{s:s, s:s}", "address", "[198.51.100.2]:2222", "host_key", line), &response);
	json_decref(response);
	free(line);
	for (uint64_t flow = 1; flow < 3; flow++) {
		begun[flow] = begin_rule(flow, 2, 1, 2222);
		cr_assert_eq(target_of(flow, &origin).verdict, RPC_TARGET_KNOWN);
		cr_assert(who_is(flow, mint_blob(&alice), "root", 1).accepted);
		cr_assert(may(flow, "root").allowed);
		cr_assert_eq(cert(flow, &fresh).error.len, 0);
	}
	cr_expect_eq(target_of(1, &other_origin).verdict, RPC_TARGET_CHANGED);
	lab_result(&lab, "target.forget", json_pack("{s:s}", "address", "[198.51.100.2]:2222"), &response);
	json_decref(response);
	cr_expect_eq(target_of(2, &origin).verdict, RPC_TARGET_REFUSED);
	for (unsigned restarted = 0; restarted < 2; restarted++) {
		for (uint64_t flow = 1; flow < 3; flow++) {
			cr_expect(cert(flow, &fresh).error.len > 0, "%u %u", restarted, (unsigned)flow);
			cr_expect(sign(flow).error.len > 0, "%u %u", restarted, (unsigned)flow);
		}
		if (restarted > 0)
			break;
		lab_settle_on_disk(&lab);
		lab_kill(&lab);
		lab_start(&lab);
		resume(1, begun[1].session_id);
		resume(2, begun[2].session_id);
	}
}

/* All that is announced, in order; returns how many. */
static unsigned announced(uint64_t flow, struct wire_span keys[8])
{
	struct rpc_ses_host_keys_reply reply;
	unsigned count = 0;

	LAB_SEND(WORKER, SES_HOST_KEYS, ses_host_keys, 21, .flow = flow);
	lab_await(&lab, WORKER, RPC_SES_HOST_KEYS_REPLY, &answer);
	cr_assert(rpc_get_ses_host_keys_reply(answer.body, &reply));
	struct wire in = wire_over(reply.keys.at, reply.keys.len);
	while (wire_left(&in) > 0 && count < 8)
		keys[count++] = wire_string(&in);
	cr_expect(wire_done(&in));
	return count;
}

/* By which algorithm it was proven; "": it was not. */
static const char *proven(uint64_t flow, struct wire_span key, const char *algorithm)
{
	static char by[64];
	struct rpc_ses_host_prove_reply reply;

	LAB_SEND(WORKER, SES_HOST_PROVE, ses_host_prove, 22, .flow = flow, .public_key = key,
	    .algorithm = wire_span_of(algorithm));
	lab_await(&lab, WORKER, RPC_SES_HOST_PROVE_REPLY, &answer);
	cr_assert(rpc_get_ses_host_prove_reply(answer.body, &reply));
	cr_expect_eq(reply.error.len == 0, reply.signature.len > 0);
	copy(reply.signature, by, sizeof(by));
	return by;
}

#define CURRENT_KEY mint_blob(&lab.cas[RPC_CA_HOST])
#define NEXT_KEY mint_blob(&lab.cas[RPC_CA_USER])

Test(shown_key, all_are_announced_to_who_is_let_in)
{
	struct wire_span keys[8];

	add_user("alice", "root", "sre", &alice);
	begin(1);
	cr_assert(target_of(1, &origin).verdict <= RPC_TARGET_FIRST_USE);
	cr_expect_eq(announced(1, keys), 0, "nobody is yet");
	cr_expect_str_eq(proven(1, CURRENT_KEY, "ssh-ed25519"), "");
	granted_session(2);
	lab.keeper_heard[0] = '\0';
	cr_assert_eq(announced(2, keys), 1);
	cr_expect(wire_span_same(keys[0], CURRENT_KEY));
	cr_expect_str_eq(lab.keeper_heard, "SEED  0;", "the key is known, and what the next seed is will be");
	cr_expect_eq(announced(2, keys), 1);
	cr_expect_str_eq(lab.keeper_heard, "SEED  0;");
	cr_expect_str_eq(proven(2, CURRENT_KEY, "ssh-ed25519"), "ssh-ed25519");
	cr_expect(strstr(lab.keeper_heard, "PROVE seed one 32;") != NULL, "%s", lab.keeper_heard);
	cr_expect_str_eq(proven(2, NEXT_KEY, "ssh-ed25519"), "", "there is no next seed");
	cr_expect_str_eq(proven(2, mint_blob(&alice), "ssh-ed25519"), "", "nobody's");
	cr_expect_eq(announced(77, keys), 0, "no such session");
}

Test(shown_key, the_next_seeds_is_announced_while_there_is_one)
{
	struct wire_span keys[8];
	json_t *response;

	add_user("alice", "root", "sre", &alice);
	granted_session(1);
	cr_expect_eq(announced(1, keys), 1);
	lab.next_host_seed = "seed two";
	lab_result(&lab, "host_key.rotate", json_object(), &response);
	json_decref(response);
	cr_assert_eq(announced(1, keys), 2);
	cr_expect(wire_span_same(keys[0], CURRENT_KEY) && wire_span_same(keys[1], NEXT_KEY));
	cr_expect_str_eq(proven(1, NEXT_KEY, "ssh-ed25519"), "ssh-ed25519");
	cr_expect(strstr(lab.keeper_heard, "PROVE seed two 32;") != NULL, "%s", lab.keeper_heard);
	/* Whose it is was kept, but it is nobody's any more. */
	lab.next_host_seed = NULL;
	lab_result(&lab, "host_key.abandon", json_object(), &response);
	json_decref(response);
	cr_expect_eq(announced(1, keys), 1);
	cr_expect_str_eq(proven(1, NEXT_KEY, "ssh-ed25519"), "");
	/* A new keeper may have another one: it is asked. */
	lab.next_host_seed = "seed two";
	lab_attach(&lab, &lab.keeper, RPC_KEEPER, 0);
	lab_settle(&lab);
	granted_session(2); /* which asks for the current one alone */
	cr_expect_eq(announced(1, keys), 2);
}

Test(shown_key, proofs_are_not_without_end)
{
	unsigned count = 0;

	add_user("alice", "root", "sre", &alice);
	granted_session(1);
	while (count < 1000 && proven(1, CURRENT_KEY, "ssh-ed25519")[0] != '\0')
		count++;
	cr_expect_eq(count, SESSION_PROOFS_MAX);
}

/* The error that the worker is told, or "". */
static const char *ask_host_key(uint64_t flow, const char *algorithm)
{
	static char error[256];
	struct rpc_ses_host_key_reply reply;

	LAB_SEND(WORKER, SES_HOST_KEY, ses_host_key, 20, .flow = flow, .algorithm = wire_span_of(algorithm));
	lab_await(&lab, WORKER, RPC_SES_HOST_KEY_REPLY, &answer);
	cr_assert(rpc_get_ses_host_key_reply(answer.body, &reply));
	copy(reply.error, error, sizeof(error));
	cr_expect_eq(reply.host_public.len > 0, error[0] == '\0');
	return error;
}

/* Control and the keeper are replaced, and the seed is another: the keeper hears by which one an old session
 * is signed for, and that one's keys are shown to it. */
Test(shown_key, is_by_the_seed_that_the_session_began_with)
{
	struct begun old = begin(1);

	cr_assert_eq(target_of(1, &origin).verdict, RPC_TARGET_FIRST_USE);
	cr_expect_str_eq(lab.told_seed, "seed one");
	lab_settle_on_disk(&lab);
	lab_kill(&lab);
	lab.host_seed = "seed two";
	lab.former_host_seed = "seed one";
	lab_start(&lab);
	begin(2);
	cr_assert_eq(target_of(2, &origin).verdict, RPC_TARGET_KNOWN);
	cr_expect_str_eq(lab.told_seed, "seed two");
	resume(1, old.session_id);
	lab_settle(&lab);
	cr_expect_str_eq(lab.told_seed, "seed one");
	lab.keeper_heard[0] = '\0';
	cr_expect_str_eq(ask_host_key(1, "ecdsa-sha2-nistp256"), "");
	cr_expect(strstr(lab.keeper_heard, " 2;") != NULL, "asked for %s", lab.keeper_heard);
	/* A new keeper hears it, too. */
	lab_attach(&lab, &lab.keeper, RPC_KEEPER, 0);
	lab.told_seed[0] = '\0';
	lab_settle(&lab);
	cr_expect_str_eq(lab.told_seed, "seed one");
	/* The keeper has it no more. */
	lab.former_host_seed = NULL;
	cr_expect(strstr(ask_host_key(1, "ecdsa-sha2-nistp384"), "please connect again") != NULL);
}
