/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual sockets over real slab channels, the dataplane's ends in the test's hands. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "box.h"

#define CREDIT 4096u

static struct box box;
static char got[8192];
static ssize_t result;
static int error;
static struct pollfd polled;

static void parks(struct session *session)
{
	while (session->kill_reason[0] == '\0' && session->lost == NULL && !session->gone)
		session_wait(session, UINT64_MAX);
}

static void start(void)
{
	box_start(&box, 16, 256);
	box_session = parks;
}

static void stop(void)
{
	box_stop(&box);
}

TestSuite(vsock, .init = start, .fini = stop);

/* -- received bytes -- */

static void receives(struct session *session)
{
	int fd = vsock_fd(session->sock[LEG_CLIENT]);

	result = 1;
	while (result > 0) {
		char part[100];
		result = vsock_recv(fd, part, sizeof(part), 0);
		error = errno;
		if (result > 0)
			strncat(got, part, (size_t)result);
	}
}

Test(vsock, recv_waits_and_gives_all_bytes_then_the_end)
{
	box_session = receives;
	cr_assert_not_null(box_open(&box, 7, CREDIT, 4));
	cr_assert_str_eq(got, "");
	box_data(&box, 7, LEG_CLIENT, "one ", 4);
	box_turn(&box);
	box_data(&box, 7, LEG_CLIENT, "two", 3);
	box_data(&box, 7, LEG_ORIGIN, "not mine", 8);
	box_turn(&box);
	cr_assert_str_eq(got, "one two", "got '%s'", got);
	cr_assert_eq(result, 3);
	box_say(&box, 7, SLAB_FLOW_FIN, LEG_CLIENT);
	box_turn(&box);
	cr_assert_eq(result, 0, "FIN reads as 0, got %zd", result);
}

Test(vsock, a_reset_comes_after_the_bytes_before_it)
{
	box_session = receives;
	box_open(&box, 7, CREDIT, 4);
	box_data(&box, 7, LEG_CLIENT, "last", 4);
	box_say(&box, 7, SLAB_FLOW_RESET, LEG_ORIGIN);
	box_turn(&box);
	cr_assert_str_eq(got, "last");
	cr_assert_eq(result, -1);
	cr_assert_eq(error, ECONNRESET, "expected ECONNRESET, got %s", strerror(error));
}

Test(vsock, unread_slabs_are_given_back_at_the_end_of_the_turn)
{
	struct session *session = box_open(&box, 7, CREDIT, 4);
	struct slab_desc desc;
	uint64_t status;
	const uint8_t *at;
	unsigned back = 0;

	for (int i = 0; i < 5; i++)
		box_data(&box, 7, LEG_CLIENT, "0123456789", 10);
	box_turn(&box);
	while (slab_reclaim(box.to_worker, &desc, &status, false))
		back++;
	cr_assert_eq(back, 6, "5 of data and the opening one came back: got %u", back);
	/* and gathered into one piece */
	cr_assert_eq(vsock_peek(session->sock[LEG_CLIENT], &at), 50);
	cr_assert_eq(memcmp(at, "01234567890123456789", 20), 0);
	vsock_consume(session->sock[LEG_CLIENT], 49);
	cr_assert_eq(vsock_peek(session->sock[LEG_CLIENT], &at), 1);
	cr_assert_eq(*at, '9');
}

Test(vsock, more_than_the_credit_ends_the_session)
{
	char bytes[256] = {0};

	box_open(&box, 7, 512, 4);
	for (int i = 0; i < 3; i++)
		box_data(&box, 7, LEG_CLIENT, bytes, 256);
	box_turn(&box);
	cr_assert_null(session_find(&box.worker, 0, 7));
	cr_assert_eq(box.worker.sessions.live, 0);
}

Test(vsock, consumed_is_told_in_steps)
{
	struct session *session = box_open(&box, 7, 800, 4);
	char bytes[200] = {0};
	struct slab_desc desc;

	box_data(&box, 7, LEG_CLIENT, bytes, 200);
	box_turn(&box);
	vsock_consume(session->sock[LEG_CLIENT], 99);
	box_turn(&box);
	cr_assert_not(box_next(&box, &desc, NULL, true), "99 of 800 are not worth a word");
	vsock_consume(session->sock[LEG_CLIENT], 1);
	box_turn(&box);
	cr_assert(box_next(&box, &desc, NULL, true));
	cr_assert_eq(desc.type, SLAB_LEG_CONSUMED);
	cr_assert_eq(desc.arg, 100, "expected 100, got %llu", (unsigned long long)desc.arg);
	vsock_consume(session->sock[LEG_CLIENT], 100);
	box_turn(&box);
	cr_assert(box_next(&box, &desc, NULL, true));
	cr_assert_eq(desc.arg, 200, "cumulative");
}

/* -- sent bytes -- */

Test(vsock, small_writes_of_a_turn_share_a_slab)
{
	struct session *session = box_open(&box, 7, CREDIT, 4);
	struct vsock *sock = session->sock[LEG_ORIGIN];
	struct slab_desc desc;
	char bytes[256];

	cr_assert_eq(vsock_write(sock, (const uint8_t *)"abc", 3), 3);
	cr_assert_eq(vsock_write(sock, (const uint8_t *)"def", 3), 3);
	cr_assert_eq(vsock_unacked(sock), 6);
	box_turn(&box);
	cr_assert(box_next(&box, &desc, bytes, false));
	cr_assert_eq(desc.type, SLAB_LEG_DATA);
	cr_assert_eq(desc.aux, LEG_ORIGIN);
	cr_assert_eq(desc.len, 6);
	cr_assert_eq(memcmp(bytes, "abcdef", 6), 0);
	cr_assert_not(vsock_drained(sock), "not before the slab came back");
	slab_return(box.from_worker, desc.slab, 0);
	slab_consumer_publish(box.from_worker);
	box_turn(&box);
	cr_assert_eq(vsock_unacked(sock), 0);
	cr_assert(vsock_drained(sock));
}

Test(vsock, a_full_ring_keeps_no_worker_awake)
{
	struct session *session = box_open(&box, 7, CREDIT, 4);
	struct flow_channel *channel = &box.worker.channels[0];
	struct slab_desc desc;
	unsigned fins = 0;

	while (flow_channel_say(channel, 8, SLAB_LEG_CONSUMED, LEG_CLIENT, 0))
		;
	vsock_shutdown(session->sock[LEG_CLIENT]);
	box_turn(&box);
	cr_assert_not_null(channel->dirty, "it could not be said");
	flow_channel_asleep(channel, true);
	cr_expect_not(flow_channel_ready(channel), "the dataplane takes nothing");
	cr_assert(box_next(&box, &desc, NULL, true));
	cr_expect(flow_channel_ready(channel), "there is room");
	flow_channel_asleep(channel, false);
	box_turn(&box);
	while (box_next(&box, &desc, NULL, true))
		fins += desc.type == SLAB_LEG_FIN;
	cr_expect_eq(fins, 1);
	flow_channel_asleep(channel, true);
	cr_expect_not(flow_channel_ready(channel));
	flow_channel_asleep(channel, false);
}

/* -- slabs that come back -- */

static void writes_until_taken(struct session *session)
{
	static const uint8_t bytes[256];

	while (vsock_write(session->sock[LEG_CLIENT], bytes, 256) == 0)
		session_wait(session, UINT64_MAX);
	result = 256;
	parks(session);
}

static void counts_wakes(struct session *session)
{
	for (result = 0; session->lost == NULL; result++)
		session_wait(session, UINT64_MAX);
}

/* The dataplane gives one slab back; true where it rang for that. */
static bool comes_back_rung(void)
{
	struct slab_desc desc;
	uint64_t rung;

	flow_channel_asleep(&box.worker.channels[0], true);
	cr_assert(box_next(&box, &desc, NULL, true));
	flow_channel_asleep(&box.worker.channels[0], false);
	return read(box.bell, &rung, sizeof(rung)) == sizeof(rung);
}

Test(vsock, a_slab_that_comes_back_wakes_only_who_waits_for_it)
{
	box_session = counts_wakes;
	struct vsock *sock = box_open(&box, 7, CREDIT, 4)->sock[LEG_CLIENT];

	for (unsigned i = 0; i < 2; i++) {
		vsock_write(sock, (const uint8_t *)"abc", 3);
		box_turn(&box);
		cr_assert_not(comes_back_rung(), "nobody waits");
		cr_assert_not(flow_channel_ready(&box.worker.channels[0]), "nor stays awake for it");
		box_turn(&box);
		cr_assert_eq(vsock_unacked(sock), 0, "it is taken in a turn that is for something else");
		cr_assert_eq(result, 0, "woken %zd times", result);
	}
	vsock_write(sock, (const uint8_t *)"abc", 3);
	box_turn(&box);
	cr_assert_not(vsock_drained(sock));
	cr_assert(comes_back_rung(), "now it is waited for");
	cr_assert(flow_channel_ready(&box.worker.channels[0]));
	box_turn(&box);
	cr_assert_eq(result, 1);
	vsock_write(sock, (const uint8_t *)"abc", 3);
	box_turn(&box);
	cr_assert_not(comes_back_rung(), "once");
}

Test(vsock, who_found_no_room_is_rung_for_and_who_is_gone_is_not)
{
	static const uint8_t bytes[1024];
	struct session *session = box_open(&box, 8, CREDIT, 2);
	struct vsock *sock = session->sock[LEG_CLIENT];

	cr_assert_eq(vsock_write(sock, bytes, 512), 512);
	box_turn(&box);
	cr_assert_not(comes_back_rung(), "all was taken");
	box_turn(&box);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(vsock_write(sock, bytes, 1024), 256, "two slabs may be out");
		box_turn(&box);
		cr_assert(comes_back_rung());
		box_turn(&box);
	}
	cr_assert_eq(vsock_write(sock, bytes, 1024), 256);
	session_lose(session, "error");
	box_turn(&box);
	cr_assert_not(comes_back_rung(), "who waited is gone");
}

/* A full slab that finds no place in the ring is put at the end of a later turn; what is to be written next
 * waits for it to come back. */
static struct vsock *finds_the_ring_full(struct slab_desc *first)
{
	static const uint8_t bytes[256];
	struct vsock *sock = box_open(&box, 9, CREDIT, 4)->sock[LEG_CLIENT];

	vsock_write(sock, bytes, 256);
	box_turn(&box);
	cr_assert(box_next(&box, first, NULL, false));
	while (flow_channel_say(&box.worker.channels[0], 9, SLAB_LEG_CONSUMED, LEG_ORIGIN, 0))
		;
	cr_assert_eq(vsock_write(sock, bytes, 256), 256);
	box_turn(&box);
	return sock;
}

static bool is_put_and_comes_back_rung(void)
{
	struct slab_desc desc;

	while (box_next(&box, &desc, NULL, false))
		;
	box_turn(&box);
	return comes_back_rung();
}

Test(vsock, who_found_the_ring_full_is_rung_for)
{
	struct slab_desc first;

	finds_the_ring_full(&first);
	cr_assert(is_put_and_comes_back_rung());
}

Test(vsock, who_asks_again_while_the_ring_is_full_is_rung_for)
{
	struct slab_desc first;
	struct vsock *sock = finds_the_ring_full(&first);

	slab_return(box.from_worker, first.slab, 0);
	slab_consumer_publish(box.from_worker);
	box_turn(&box);
	polled = (struct pollfd){.fd = vsock_fd(sock), .events = POLLOUT};
	cr_assert_eq(vsock_poll(&polled, 1, 0), 0, "no room");
	cr_assert(is_put_and_comes_back_rung());
}

/* -- what may be out -- */

Test(vsock, slab_credit_bounds_what_is_taken)
{
	struct session *session = box_open(&box, 7, CREDIT, 2);
	static const uint8_t bytes[1024];
	struct slab_desc desc;

	cr_assert_eq(vsock_write(session->sock[LEG_CLIENT], bytes, 1024), 512, "two slabs of 256");
	cr_assert_eq(vsock_write(session->sock[LEG_CLIENT], bytes, 1), 0);
	box_turn(&box);
	cr_assert(box_next(&box, &desc, NULL, true));
	box_turn(&box);
	cr_assert_eq(vsock_write(session->sock[LEG_CLIENT], bytes, 1024), 256, "one came back");
}

static uint32_t slabs_taken(struct vsock *sock)
{
	static const uint8_t bytes[64 * 256];

	return vsock_write(sock, bytes, sizeof(bytes)) / 256;
}

Test(vsock, scarce_slabs_are_shared_and_the_last_are_for_who_has_none)
{
	uint32_t want[] = {8, 4, 2, 1, 1, 0};

	/* Each as much as it leaves free. */
	for (uint64_t flow = 0; flow < sizeof(want) / sizeof(*want); flow++) {
		struct session *session = box_open(&box, 7 + flow, CREDIT, 64);
		uint32_t took = slabs_taken(session->sock[LEG_CLIENT]);
		cr_assert_eq(
		    took, want[flow], "leg %u: expected %u slabs, got %u", (unsigned)flow, want[flow], took);
	}
	cr_assert_gt(box.worker.counters.slab_waits, 0);
}

Test(vsock, a_session_that_found_the_pool_empty_is_woken)
{
	for (uint64_t flow = 0; flow < 5; flow++)
		slabs_taken(box_open(&box, 17 + flow, CREDIT, 64)->sock[LEG_CLIENT]);
	box_session = writes_until_taken;
	result = 0;
	box_open(&box, 8, CREDIT, 4);
	cr_assert_eq(result, 0);
	cr_assert(comes_back_rung());
	box_turn(&box);
	cr_assert_eq(result, 256);
}

static void credit(uint32_t leg, uint64_t slabs)
{
	struct slab_desc desc = {
	    .slab = SLAB_NONE, .type = SLAB_FLOW_CREDIT, .aux = leg, .flow = 7, .arg = slabs};

	cr_assert(slab_put(box.to_worker, &desc));
	slab_publish(box.to_worker);
	box_turn(&box);
}

Test(vsock, the_dataplane_raises_and_lowers_what_may_be_out)
{
	struct session *session = box_open(&box, 7, CREDIT, 2);
	struct vsock *sock = session->sock[LEG_ORIGIN];
	struct slab_desc desc;

	cr_assert_eq(slabs_taken(sock), 2);
	credit(LEG_CLIENT, 9);
	cr_assert_eq(slabs_taken(sock), 0, "of the other leg");
	credit(LEG_ORIGIN, 5);
	cr_assert_eq(slabs_taken(sock), 3, "5, of which 2 are out");
	credit(LEG_ORIGIN, 3);
	for (int back = 0; back < 2; back++) {
		cr_assert_eq(slabs_taken(sock), 0, "5 and 4 are out, 3 may be");
		cr_assert(box_next(&box, &desc, NULL, true));
		box_turn(&box);
	}
	cr_assert_eq(slabs_taken(sock), 0, "3 are out");
	cr_assert(box_next(&box, &desc, NULL, true));
	box_turn(&box);
	cr_assert_eq(slabs_taken(sock), 1);
	credit(7, 100);
	cr_assert_not_null(session_find(&box.worker, 0, 7), "a leg that is none is ignored");
}

Test(vsock, a_session_that_waits_for_credit_is_woken_by_it)
{
	box_session = writes_until_taken;
	result = 0;
	box_open(&box, 7, CREDIT, 0);
	cr_assert_eq(result, 0);
	credit(LEG_CLIENT, 1);
	cr_assert_eq(result, 256);
}

Test(vsock, fin_goes_after_the_bytes_and_ends_writing)
{
	struct session *session = box_open(&box, 7, CREDIT, 4);
	struct vsock *sock = session->sock[LEG_CLIENT];
	struct slab_desc desc;

	vsock_write(sock, (const uint8_t *)"bye", 3);
	vsock_shutdown(sock);
	vsock_shutdown(sock);
	cr_assert_eq(vsock_write(sock, (const uint8_t *)"more", 4), 0);
	cr_assert_eq(vsock_send(vsock_fd(sock), "more", 4, 0), -1);
	cr_assert_eq(errno, EPIPE);
	box_turn(&box);
	cr_assert(box_next(&box, &desc, NULL, true));
	cr_assert_eq(desc.type, SLAB_LEG_DATA);
	cr_assert(box_next(&box, &desc, NULL, true));
	cr_assert_eq(desc.type, SLAB_LEG_FIN);
	cr_assert_not(box_next(&box, &desc, NULL, true), "once");
}

/* -- poll -- */

static void polls(struct session *session)
{
	polled.fd = vsock_fd(session->sock[LEG_CLIENT]);
	result = vsock_poll(&polled, 1, 100000);
	error = errno;
	parks(session);
}

static void poll_case(short events, uint32_t send_credit)
{
	result = -2;
	polled = (struct pollfd){.events = events};
	box_session = polls;
	box_open(&box, 7, CREDIT, send_credit);
}

Test(vsock, poll_tells_of_bytes)
{
	poll_case(POLLIN, 4);
	cr_assert_eq(result, -2, "waits");
	box_data(&box, 7, LEG_CLIENT, "x", 1);
	box_turn(&box);
	cr_assert_eq(result, 1);
	cr_assert_eq(polled.revents, POLLIN);
}

Test(vsock, poll_tells_of_room)
{
	poll_case(POLLIN | POLLOUT, 4);
	cr_assert_eq(result, 1);
	cr_assert_eq(polled.revents, POLLOUT);
}

Test(vsock, poll_without_room_waits)
{
	poll_case(POLLOUT, 0);
	cr_assert_eq(result, -2);
}

Test(vsock, poll_tells_of_fin_as_input)
{
	poll_case(POLLIN, 4);
	box_say(&box, 7, SLAB_FLOW_FIN, LEG_CLIENT);
	box_turn(&box);
	cr_assert_eq(polled.revents, POLLIN);
}

Test(vsock, poll_tells_of_reset_as_error)
{
	poll_case(POLLIN, 4);
	box_say(&box, 7, SLAB_FLOW_RESET, LEG_CLIENT);
	box_turn(&box);
	cr_assert_eq(polled.revents, POLLIN | POLLERR);
}

Test(vsock, poll_fails_when_the_session_is_killed)
{
	poll_case(POLLIN, 4);
	session_kill(session_find(&box.worker, 0, 7), "enough", "killed");
	box_turn(&box);
	cr_assert_eq(result, -1);
	cr_assert_eq(error, ECANCELED);
}

Test(vsock, poll_fails_when_login_took_too_long)
{
	poll_case(POLLIN, 4);
	struct session *session = session_find(&box.worker, 0, 7);
	session->login_deadline_us = worker_now_us();
	session_wake(session);
	box_turn(&box);
	cr_assert_eq(result, -1);
}

static void polls_briefly(struct session *session)
{
	polled = (struct pollfd){.fd = vsock_fd(session->sock[LEG_CLIENT]), .events = POLLIN};
	result = vsock_poll(&polled, 1, 0);
	parks(session);
}

Test(vsock, poll_without_time_does_not_wait)
{
	result = -2;
	box_session = polls_briefly;
	box_open(&box, 7, CREDIT, 4);
	cr_assert_eq(result, 0);
}

/* -- descriptors -- */

Test(vsock, what_libssh_asks_of_a_descriptor)
{
	struct session *session = box_open(&box, 7, CREDIT, 4);
	int fd = vsock_fd(session->sock[LEG_CLIENT]), other = vsock_fd(session->sock[LEG_ORIGIN]);
	int value = -1, one = 1;
	socklen_t len = sizeof(value);

	cr_assert(fd >= VSOCK_FD_FIRST && fd <= VSOCK_FD_LAST && fd != other);
	cr_assert_eq(vsock_fcntl(fd, F_SETFL, 0), 0);
	cr_assert_eq(vsock_fcntl(fd, F_GETFL), O_RDWR);
	cr_assert_eq(vsock_fcntl(fd, F_SETLK), -1);
	cr_assert_eq(vsock_getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len), 0);
	cr_assert_eq(value, 0);
	cr_assert_eq(vsock_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len), -1);
	cr_assert_eq(vsock_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)), 0);
	cr_assert_eq(vsock_connect(fd, NULL, 0), -1);
	cr_assert_eq(vsock_write_fd(fd, "x", 1), 1);
	cr_assert_eq(vsock_close(fd), 0);
	cr_assert_eq(vsock_close(fd), -1);
	cr_assert_eq(errno, EBADF);
	cr_assert_eq(vsock_read(fd, &value, 1), -1);
	cr_assert_eq(vsock_send(3, "x", 1, 0), -1, "a real descriptor is none of ours");
	/* What was written before the close still goes out. */
	box_turn(&box);
	struct slab_desc desc;
	cr_assert(box_next(&box, &desc, NULL, true));
}

Test(vsock, descriptors_are_not_used_twice_while_held)
{
	struct session *first = box_open(&box, 1, CREDIT, 4);
	int fd = vsock_fd(first->sock[LEG_CLIENT]);

	vsock_close(fd);
	struct session *second = box_open(&box, 2, CREDIT, 4);
	cr_assert_neq(vsock_fd(second->sock[LEG_CLIENT]), fd);
	cr_assert_neq(vsock_fd(second->sock[LEG_ORIGIN]), fd);
}

/* -- a dataplane that breaks the rules or dies -- */

Test(vsock, strange_descriptors_harm_nobody)
{
	struct session *session = box_open(&box, 7, CREDIT, 4);
	struct slab_desc desc;
	uint64_t status;
	unsigned back = 0;
	const uint8_t *at;

	box_data(&box, 99, LEG_CLIENT, "nobody's", 8);
	box_data(&box, 7, 5, "no such leg", 11);
	box_data(&box, 7, LEG_CLIENT, "", 0);
	box_say(&box, 7, 77, 0);
	box_say(&box, 99, SLAB_FLOW_FIN, 0);
	box_say(&box, 7, SLAB_FLOW_FIN, 9);
	box_say(&box, 7, SLAB_FLOW_DATA, 0);
	box_say(&box, 100, SLAB_FLOW_OPEN, 0);
	box_turn(&box);
	cr_assert_eq(vsock_peek(session->sock[LEG_CLIENT], &at), 0);
	while (slab_reclaim(box.to_worker, &desc, &status, false))
		back++;
	cr_assert_eq(back, 4, "every slab came back, got %u", back);
	cr_assert_eq(box.worker.sessions.live, 1);
	cr_assert_eq(box.worker.channels[0].strays, 2);
}

Test(vsock, a_full_worker_resets_the_flow)
{
	struct slab_desc desc;

	box.worker.sessions.limit = 0;
	cr_assert_null(box_open(&box, 7, CREDIT, 4));
	cr_assert(box_next(&box, &desc, NULL, true));
	cr_assert_eq(desc.type, SLAB_LEG_RESET);
	cr_assert_eq(desc.aux, SLAB_LEG_BOTH);
	cr_assert_eq(box.worker.counters.refused, 1);
}

Test(vsock, a_lost_dataplane_ends_its_sessions)
{
	struct session *session = box_open(&box, 7, CREDIT, 4);

	vsock_write(session->sock[LEG_CLIENT], (const uint8_t *)"x", 1);
	box_data(&box, 7, LEG_CLIENT, "y", 1);
	flow_channel_drop(&box.worker.channels[0], "dataplane_lost");
	cr_assert_str_eq(session->lost, "dataplane_lost");
	cr_assert(vsock_is_reset(session->sock[LEG_CLIENT]));
	cr_assert_eq(vsock_write(session->sock[LEG_CLIENT], (const uint8_t *)"x", 1), 0);
	box_turn(&box);
	cr_assert_eq(box.worker.sessions.live, 0);
}

Test(vsock, a_forgotten_flows_name_may_be_used_again)
{
	struct session *first = box_open(&box, 7, CREDIT, 4);

	session_gone(first);
	struct session *second = box_open(&box, 7, CREDIT, 4);
	cr_assert_not_null(second);
	cr_assert_neq(first, second);
}

/* -- deadlines -- */

static uint64_t order[64], first_us;
static unsigned ordered;

static void sleeps(struct session *session)
{
	session_wait(session, UINT64_MAX); /* until all are there */
	/* Later ones first, some alike. */
	session_wait(session, first_us + 1000 * (50 - session->channel_flow / 2));
	order[ordered++] = session->channel_flow;
}

Test(vsock, deadlines_come_in_order)
{
	box_session = sleeps;
	ordered = 0;
	for (uint64_t flow = 1; flow <= 50; flow++) {
		struct slab_desc desc;
		uint64_t status;
		box_open(&box, flow, CREDIT, 4);
		while (slab_reclaim(box.to_worker, &desc, &status, false))
			;
	}
	/* They lie down in one turn, and none is woken in it. */
	first_us = worker_clock();
	for (uint64_t flow = 1; flow <= 50; flow++)
		session_wake(session_find(&box.worker, 0, flow));
	while (worker_clock() <= first_us + 50000)
		box_turn(&box);
	box_turn(&box); /* the last one may have begun before it was time */
	cr_assert_eq(ordered, 50, "%u of 50 woke", ordered);
	for (unsigned i = 1; i < 50; i++)
		cr_assert_leq(order[i] / 2, order[i - 1] / 2 + 1, "flow %llu woke after %llu",
		    (unsigned long long)order[i], (unsigned long long)order[i - 1]);
	cr_assert_eq(sessions_next_deadline(&box.worker), UINT64_MAX);
}
