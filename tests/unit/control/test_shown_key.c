/* SPDX-License-Identifier: Apache-2.0 */
/* Which host key clients are shown, where what is asked and what is answered do not follow one another. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/control/control_steps.h"

TestSuite(shown_key, .init = open_lab, .fini = close_lab, .timeout = 60);

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
	lab_idle(&lab, 100);
	forget_target();
	ask_target(12, 1, &other_origin);
	lab_idle(&lab, 100);
	cr_assert_eq(lab.held_count, 2);
	lab_host_answer(&lab, 0, &first);
	struct rpc_ses_target_reply reply = target_answer(11);
	cr_expect_eq(reply.verdict, RPC_TARGET_REFUSED);
	cr_expect_eq(reply.host_public.len, 0);
	/* Nothing of it is taken for the other target's. */
	begin(2);
	ask_target(13, 2, &other_origin);
	lab_idle(&lab, 100);
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
