/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of sessions to control, control's end in the test's hands. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box.h"

static struct box box;
static int results[64];
static char answers[64][32];

static void asks(struct session *session)
{
	struct control_reply reply;
	struct rpc_ses_begin_reply answer;
	uint64_t n = session->channel_flow;

	results[n] = CONTROL_CALL(session, SES_BEGIN, ses_begin, &reply, .flow = session->flow_id);
	if (results[n] == 0 && rpc_get_ses_begin_reply(reply.body, &answer))
		(void)wire_span_copy(answer.session_id, answers[n], sizeof(answers[n]));
	control_reply_free(&reply);
}

static void start(void)
{
	box_start(&box, 64, 256);
	box_session = asks;
	for (int i = 0; i < 64; i++)
		results[i] = 1;
}

static void stop(void)
{
	box_stop(&box);
}

TestSuite(control_rpc, .init = start, .fini = stop);

static struct session *ask(uint64_t flow)
{
	return box_open(&box, flow, 1000, 1);
}

static void answer(const struct rpc_message *message, const char *id)
{
	cr_assert_eq(RPC_SEND(&box.control, SES_BEGIN_REPLY, ses_begin_reply, RPC_FLAG_REPLY, message->id,
	                 .session_id = wire_span_of(id)),
	    0);
}

static struct rpc_message receive(uint16_t type)
{
	struct rpc_message message;

	cr_assert_eq(rpc_receive(&box.control, &message), 1, "nothing arrived");
	cr_assert_eq(
	    message.type, type, "expected %s, got %s", rpc_type_name(type), rpc_type_name(message.type));
	return message;
}

static void settle(void)
{
	(void)control_poll(&box.worker);
	box_turn(&box);
}

Test(control_rpc, many_are_in_flight_and_answered_in_any_order)
{
	uint32_t ids[20];

	box_control(&box);
	for (uint64_t i = 0; i < 20; i++)
		ask(i + 1);
	for (unsigned i = 0; i < 20; i++)
		ids[i] = receive(RPC_SES_BEGIN).id;
	for (int i = 19; i >= 0; i--) {
		char id[16];
		snprintf(id, sizeof(id), "s%d", i + 1);
		answer(&(struct rpc_message){.id = ids[i]}, id);
		settle();
	}
	for (unsigned i = 1; i <= 20; i++) {
		char id[16];
		snprintf(id, sizeof(id), "s%u", i);
		cr_assert_eq(results[i], 0);
		cr_assert_str_eq(answers[i], id);
	}
}

Test(control_rpc, waits_for_a_control_that_comes)
{
	ask(1);
	cr_assert_eq(results[1], 1, "still waits");
	box_control(&box);
	box_turn(&box);
	struct rpc_message message = receive(RPC_SES_BEGIN);
	answer(&message, "x");
	settle();
	cr_assert_eq(results[1], 0);
}

/* What it can do without. */
static void asks_briefly(struct session *session)
{
	struct control_reply reply;

	results[session->channel_flow] = CONTROL_ASK(session, worker_now_us() + CONTROL_ASK_US, SES_BEGIN,
	    ses_begin, &reply, .flow = session->flow_id);
	control_reply_free(&reply);
}

Test(control_rpc, what_can_be_done_without_waits_for_nobody)
{
	box_session = asks_briefly;
	ask(1);
	cr_assert_eq(results[1], -ETIMEDOUT, "control is away");
	box_control(&box);
	ask(2);
	struct rpc_message message = receive(RPC_SES_BEGIN);
	answer(&message, "x");
	settle();
	cr_assert_eq(results[2], 0);
	ask(3);
	(void)receive(RPC_SES_BEGIN);
	control_detach(&box.worker);
	box_turn(&box);
	cr_assert_eq(results[3], -ETIMEDOUT, "it died with the question");
}

#define KEYS 15

/* A client wants so many of our host keys proven. */
static size_t proofs_len;
static uint64_t proofs_took_us;

static void proves(struct session *session)
{
	uint8_t keys[KEYS * 8], *payload = NULL;
	struct wire_out out = wire_into(keys, sizeof(keys));
	uint64_t begun = worker_now_us();

	for (unsigned i = 0; i < KEYS; i++)
		wire_put_cstring(&out, "key!");
	proofs_len = host_proofs(session, (struct wire_span){keys, wire_written(&out)}, &payload);
	proofs_took_us = worker_now_us() - begun;
	results[session->channel_flow] = 0;
	free(payload);
}

/* Answers each question after a while, for as long as any comes; how many did. */
static unsigned answer_each_after(useconds_t delay_us)
{
	struct rpc_message message;
	unsigned answered = 0;
	struct pollfd control = {.fd = box.control.fd, .events = POLLIN};

	while (results[1] != 0) {
		if (poll(&control, 1, 0) == 1 && rpc_receive(&box.control, &message) == 1) {
			cr_assert_eq(message.type, RPC_SES_HOST_PROVE);
			usleep(delay_us);
			cr_assert_eq(RPC_SEND(&box.control, SES_HOST_PROVE_REPLY, ses_host_prove_reply,
			                 RPC_FLAG_REPLY, message.id, .signature = wire_span_of("sig")),
			    0);
			answered++;
		}
		settle();
	}
	return answered;
}

/* Its session stands still meanwhile: a control that is slow with each key must not add that up. */
Test(control_rpc, all_host_keys_of_a_request_have_one_deadline)
{
	box_session = proves;
	box_control(&box);
	ask(1);
	unsigned answered = answer_each_after(CONTROL_ASK_US / 8);
	cr_expect_eq(proofs_len, 0, "%u were answered in %.1f s", answered, (double)proofs_took_us / 1e6);
	cr_expect_lt(answered, KEYS);
}

Test(control_rpc, host_keys_are_proven_in_one_answer)
{
	box_session = proves;
	box_control(&box);
	ask(1);
	cr_expect_eq(answer_each_after(0), KEYS);
	cr_expect_eq(proofs_len, 1 + KEYS * (4 + 3));
}

Test(control_rpc, asks_the_successor_again)
{
	box_control(&box);
	ask(1);
	(void)receive(RPC_SES_BEGIN);
	rpc_link_close(&box.control);
	settle(); /* the worker notices */
	cr_assert_not(box.worker.control.up);
	cr_assert_eq(results[1], 1);
	box_control(&box);
	box_turn(&box);
	struct rpc_message message = receive(RPC_SES_BEGIN);
	answer(&message, "again");
	settle();
	cr_assert_str_eq(answers[1], "again");
}

Test(control_rpc, gives_up_on_a_control_that_stays_away)
{
	ask(1);
	uint64_t until = worker_clock() + CONTROL_AWAY_US;
	while (worker_clock() <= until)
		box_turn(&box);
	box_turn(&box); /* the last one may have begun before it was time */
	cr_assert_eq(results[1], -ETIMEDOUT, "got %d", results[1]);
}

Test(control_rpc, a_killed_session_does_not_wait)
{
	box_control(&box);
	struct session *session = ask(1);
	(void)receive(RPC_SES_BEGIN);
	session_kill(session, "", "killed");
	box_turn(&box);
	cr_assert_eq(results[1], -ECANCELED);
}

Test(control_rpc, kill_by_message)
{
	box_control(&box);
	struct session *session = ask(1);
	(void)receive(RPC_SES_BEGIN);
	(void)RPC_SEND(&box.control, SES_KILL, ses_kill, 0, 1, .flow = session->flow_id + 1000,
	    .reason = wire_span_of("not this one"));
	settle();
	cr_assert_eq(results[1], 1);
	(void)RPC_SEND(&box.control, SES_KILL, ses_kill, 0, 2, .flow = session->flow_id,
	    .reason = wire_span_of("enough"));
	settle();
	cr_assert_eq(results[1], -ECANCELED);
}

Test(control_rpc, a_reply_of_another_type_is_refused)
{
	box_control(&box);
	ask(1);
	struct rpc_message message = receive(RPC_SES_BEGIN);
	(void)RPC_SEND(&box.control, SES_SIGN_REPLY, ses_sign_reply, RPC_FLAG_REPLY, message.id,
	    .error = wire_span_of(""));
	settle();
	cr_assert_eq(results[1], -EPROTO);
}

Test(control_rpc, stray_replies_are_ignored_and_strange_messages_close_the_link)
{
	box_control(&box);
	answer(&(struct rpc_message){.id = 12345}, "nobody asked");
	settle();
	cr_assert(box.worker.control.up);
	(void)RPC_SEND(&box.control, SES_END, ses_end, 0, 1, .flow = 1);
	settle();
	cr_assert_not(box.worker.control.up, "not control's message");
}

Test(control_rpc, stats)
{
	struct rpc_stats_reply stats;

	box_control(&box);
	ask(1);
	(void)receive(RPC_SES_BEGIN);
	(void)RPC_SEND(&box.control, STATS, stats, 0, 77, .reserved = 0);
	settle();
	struct rpc_message message = receive(RPC_STATS_REPLY);
	cr_assert_eq(message.id, 77);
	cr_assert(rpc_get_stats_reply(message.body, &stats));
	cr_assert_not_null(memmem(stats.text.at, stats.text.len, "sessions_live 1\n", 16));
}

/* -- messages without a reply -- */

static void tells(struct session *session)
{
	strcpy(session->session_id, "id-1");
	strcpy(session->user, "alice");
	while (session->kill_reason[0] == '\0') {
		session_wait(session, UINT64_MAX);
		session_event(session, "resize", "{}");
	}
}

Test(control_rpc, what_is_told_while_control_is_away_is_kept_in_order)
{
	struct rpc_ses_resume resume;

	box_session = tells;
	struct session *session = ask(1);
	session_wake(session);
	box_turn(&box);
	struct rpc_ses_end end = {.flow = session->flow_id, .reason = wire_span_of("closed")};
	session_tell(session, RPC_SES_END, rpc_put_ses_end, &end);
	box_control(&box);
	struct rpc_message message = receive(RPC_SES_RESUME);
	cr_assert(rpc_get_ses_resume(message.body, &resume));
	cr_assert(wire_span_is(resume.user, "alice"));
	(void)receive(RPC_SES_EVENT);
	(void)receive(RPC_SES_END);
	cr_assert_eq(rpc_receive(&box.control, &message), 0, "once each");
}

Test(control_rpc, live_sessions_are_told_to_a_successor)
{
	box_session = tells;
	struct session *session = ask(1);
	box_control(&box);
	(void)receive(RPC_SES_RESUME);
	control_detach(&box.worker);
	box_control(&box);
	(void)receive(RPC_SES_RESUME);
	cr_assert_not_null(session);
}

Test(control_rpc, what_is_kept_is_bounded)
{
	struct rpc_message message;
	unsigned arrived = 0;

	box_session = tells;
	struct session *session = ask(1);
	for (int i = 0; i < CONTROL_KEPT_MAX + 100; i++)
		session_event(session, "data", "{}");
	cr_assert_eq(box.worker.control.kept_count, CONTROL_KEPT_MAX);
	cr_assert_gt(box.worker.control.kept_dropped, 0);
	box_control(&box);
	do {
		while (rpc_receive(&box.control, &message) == 1)
			arrived++;
		control_flush(&box.worker);
	} while (box.worker.control.kept_first != NULL);
	while (rpc_receive(&box.control, &message) == 1)
		arrived++;
	cr_assert_eq(arrived, CONTROL_KEPT_MAX, "got %u", arrived);
}

/* As the bridge does where keys are exchanged anew: it looks, asks in the midst of its turn, and waits. */
static void asks_and_waits(struct session *session)
{
	asks(session);
	session_wait(session, UINT64_MAX);
	results[session->channel_flow] = 2;
}

Test(control_rpc, what_came_with_the_answer_ends_the_wait_that_follows)
{
	box_session = asks_and_waits;
	box_control(&box);
	struct session *session = ask(1);
	struct rpc_message message = receive(RPC_SES_BEGIN);
	answer(&message, "x");
	(void)control_poll(&box.worker);
	session_kill(session, "enough", "killed");
	box_turn(&box);
	cr_assert_eq(results[1], 2, "it was killed, and does not know");
}
