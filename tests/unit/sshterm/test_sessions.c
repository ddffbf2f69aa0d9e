/* SPDX-License-Identifier: Apache-2.0 */
/* Places for sessions: who connects without logging in does not take those of others. The box has 100. */
#include <criterion/criterion.h>
#include <string.h>

#include "box.h"

static struct box box;

static void wait_for_the_end(struct session *session)
{
	while (session->lost == NULL && session->kill_reason[0] == '\0')
		session_wait(session, UINT64_MAX);
}

static void start(void)
{
	box_session = wait_for_the_end;
	box_start(&box, 64, 4096);
}

static void stop(void)
{
	box_stop(&box);
}

TestSuite(sessions, .init = start, .fini = stop);

/* How many of `tries` connections from that address get a session; those are admitted where `admit`. */
static unsigned connect_from(uint8_t family, uint8_t last, uint8_t host, unsigned tries, bool admit)
{
	static uint64_t flow = 1;
	struct slab_flow about = {.family = family, .receive_credit = 65536, .send_credit = 4};
	unsigned got = 0;

	about.client_addr[0] = 192;
	about.client_addr[3] = last;
	about.client_addr[15] = host;
	for (unsigned i = 0; i < tries; i++) {
		struct session *session = session_open(&box.worker.channels[0], flow++, &about);
		got += session != NULL;
		if (session != NULL && admit)
			session_admitted(session);
	}
	return got;
}

Test(sessions, one_source_leaves_half)
{
	cr_expect_eq(connect_from(4, 1, 0, 200, false), 50);
	cr_expect_eq(box.worker.counters.refused_source, 150);
	cr_expect_eq(connect_from(4, 2, 0, 200, false), 25, "another leaves half of the rest");
	cr_expect_eq(connect_from(4, 3, 0, 5, false), 5, "and there are some for a third");
}

Test(sessions, who_is_logged_in_does_not_count)
{
	cr_expect_eq(connect_from(4, 1, 0, 80, true), 80, "many people behind one address");
	cr_expect_eq(connect_from(4, 1, 0, 80, false), 12, "of 20 places an eighth of 100, or half of 20");
	cr_expect_eq(connect_from(4, 2, 0, 1, false), 1);
}

Test(sessions, a_host_with_many_ipv6_addresses_is_one)
{
	unsigned got = 0;

	for (unsigned host = 0; host < 200; host++)
		got += connect_from(6, 1, (uint8_t)host, 1, false);
	cr_expect_eq(got, 50);
}

Test(sessions, places_come_back)
{
	cr_expect_eq(connect_from(4, 1, 0, 200, false), 50);
	for (struct session *session = box.worker.sessions.all; session != NULL; session = session->next)
		session_lose(session, "test");
	box_turn(&box);
	cr_expect_eq(box.worker.sessions.live, 0);
	cr_expect_eq(connect_from(4, 1, 0, 200, false), 50);
}
