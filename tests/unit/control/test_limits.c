/* SPDX-License-Identifier: Apache-2.0 */
/* How many sessions a rule allows at once, of a user and from a source; also over a restart. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "control/sessions/tally.h"
#include "tests/unit/control/control_steps.h"

#define LIMITED_SSH 4 /* two of a user, three from a source, by its place */

TestSuite(limits, .init = open_lab, .fini = close_lab, .timeout = 300);

static struct may try_session(uint64_t flow, const struct mint_key *key)
{
	struct begun begun = begin_rule(flow, LIMITED_SSH, 1, 2201);

	cr_assert_str_eq(begun.error, "");
	cr_assert(target_of(flow, &origin).verdict <= RPC_TARGET_FIRST_USE);
	cr_assert(who_is(flow, mint_blob(key), "root", 1).accepted);
	return may(flow, "root");
}

static json_int_t counter(const char *name)
{
	json_t *response;
	json_t *result = lab_result(&lab, "stats", json_object(), &response);
	json_int_t value = json_integer_value(json_object_get(json_object_get(result, "control"), name));

	json_decref(response);
	return value;
}

Test(limits, of_a_user)
{
	add_user("alice", "root", "sre", &alice);
	add_user("bob", "root", "sre", &other_origin);
	cr_expect(try_session(1, &alice).allowed);
	cr_expect(try_session(2, &alice).allowed);
	cr_expect(may(2, "root").allowed, "asked again, it is still the second");
	struct may third = try_session(3, &alice);
	cr_expect_not(third.allowed);
	cr_expect(strstr(third.message, "you have 2 sessions under rule 'limited-ssh'") != NULL, "got %s",
	    third.message);
	end_session(3, "closed");
	cr_expect(try_session(4, &other_origin).allowed, "bob is somebody else");
	granted_session(5); /* another rule counts by itself */
	end_session(4, "closed");
	end_session(1, "closed");
	cr_expect(try_session(6, &alice).allowed, "one has ended");
	cr_expect_eq(counter("sessions_refused_by_user_limit"), 1);
}

Test(limits, of_a_source)
{
	for (uint64_t flow = 1; flow <= 3; flow++)
		cr_expect_str_eq(begin_rule(flow, LIMITED_SSH, 1, 2201).error, "");
	struct begun fourth = begin_rule(4, LIMITED_SSH, 1, 2201);
	cr_expect(
	    strstr(fourth.error, "too many connections from your address") != NULL, "got %s", fourth.error);
	cr_expect_str_eq(begin(5).error, "", "another rule counts by itself");
	end_session(2, "closed");
	cr_expect_str_eq(begin_rule(6, LIMITED_SSH, 1, 2201).error, "");
	cr_expect_neq(begin_rule(7, LIMITED_SSH, 1, 2201).error[0], '\0');
	cr_expect_eq(counter("sessions_refused_by_source_limit"), 2);
}

/* As begin_rule, but of an IPv6 client: the error. */
static const char *begin_six(uint64_t flow, const char *client)
{
	static char error[256];
	uint8_t from[16], to[16];
	struct rpc_message message;
	struct rpc_ses_begin_reply reply;

	cr_assert_eq(inet_pton(AF_INET6, client, from), 1);
	cr_assert_eq(inet_pton(AF_INET6, "2001:db8::2", to), 1);
	LAB_SEND(WORKER, SES_BEGIN, ses_begin, 78, .flow = flow, .client_addr = {from, sizeof(from)},
	    .client_port = 40000, .server_addr = {to, sizeof(to)}, .server_port = 2201, .rule = LIMITED_SSH,
	    .generation = 1);
	lab_await(&lab, WORKER, RPC_SES_BEGIN_REPLY, &message);
	cr_assert(rpc_get_ses_begin_reply(message.body, &reply));
	copy(reply.error, error, sizeof(error));
	return error;
}

/* Workers share out their places by the same rule. */
Test(limits, an_ipv6_source_is_a_64)
{
	cr_expect_str_eq(begin_six(1, "2001:db8:0:1::11"), "");
	cr_expect_str_eq(begin_six(2, "2001:db8:0:1:ffff::12"), "");
	cr_expect_str_eq(begin_six(3, "2001:db8:0:1::13"), "");
	const char *fourth = begin_six(4, "2001:db8:0:1:8000::14");
	cr_expect(strstr(fourth, "too many connections from your network") != NULL, "got %s", fourth);
	cr_expect_str_eq(begin_six(5, "2001:db8:0:2::11"), "", "another /64 counts by itself");
	end_session(2, "closed");
	cr_expect_str_eq(begin_six(6, "2001:db8:0:1::1"), "");
}

static void resume(uint64_t flow, const char *session_id)
{
	LAB_SEND(WORKER, SES_RESUME, ses_resume, 0, .flow = flow, .session_id = wire_span_of(session_id),
	    .client_addr = CLIENT, .client_port = 40000, .server_addr = SERVER, .server_port = 2201,
	    .rule = LIMITED_SSH, .generation = 1, .rule_name = wire_span_of("limited-ssh"),
	    .user = wire_span_of("alice"), .login = wire_span_of("root"));
}

Test(limits, over_a_restart)
{
	char ids[2][64];

	add_user("alice", "root", "sre", &alice);
	for (uint64_t flow = 1; flow <= 2; flow++) {
		struct begun begun = begin_rule(flow, LIMITED_SSH, 1, 2201);
		memcpy(ids[flow - 1], begun.session_id, sizeof(begun.session_id));
		target_of(flow, &origin);
		cr_assert(who_is(flow, mint_blob(&alice), "root", 1).accepted && may(flow, "root").allowed);
	}
	lab_settle_on_disk(&lab); /* the grants, too */
	lab_kill(&lab);
	lab_start(&lab);
	resume(1, ids[0]);
	resume(2, ids[1]);
	cr_expect_not(try_session(3, &alice).allowed, "two go on");
	cr_expect_neq(begin_rule(4, LIMITED_SSH, 1, 2201).error[0], '\0', "three are there");
	end_session(1, "closed");
	end_session(3, "closed");
	cr_expect(try_session(5, &alice).allowed);
}

Test(tally, counts_each_by_itself)
{
	static struct tallies tallies;

	struct tally *a = tally_enter(&tallies, TALLY_USER, "rule", "a"),
	             *again = tally_enter(&tallies, TALLY_USER, "rule", "a");
	struct tally *source = tally_enter(&tallies, TALLY_SOURCE, "rule", "a");
	struct tally *split = tally_enter(&tallies, TALLY_USER, "rul", "ea");
	cr_expect(a == again && a->count == 2 && source != a && split != a);
	tally_leave(&tallies, again);
	cr_expect_eq(tally_count(&tallies, TALLY_USER, "rule", "a"), 1);
	tally_leave(&tallies, a);
	tally_leave(&tallies, source);
	tally_leave(&tallies, split);
	tally_leave(&tallies, NULL);
	for (size_t i = 0; i < TALLY_BUCKETS; i++)
		cr_expect_null(tallies.buckets[i]);
	cr_expect_eq(tally_count(&tallies, TALLY_USER, "rule", "a"), 0);
}
