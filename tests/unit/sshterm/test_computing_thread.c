/* SPDX-License-Identifier: Apache-2.0 */
/* The helper thread's queue: which job, when, and what becomes of those that nobody wants any more. */
#include <criterion/criterion.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "sshterm/computing_thread.h"

#define PATIENCE_MS 60000

/* A job that says when it has begun, and ends when it is let. */
struct held {
	struct computing_job job;
	sem_t begun, let;
	atomic_bool ran;
	pid_t thread;
};

static void hold(void *argument)
{
	struct held *held = argument;

	sem_post(&held->begun);
	while (sem_wait(&held->let) != 0)
		;
	held->thread = gettid();
	held->ran = true;
}

static void prepare(struct held *held)
{
	memset(held, 0, sizeof(*held));
	held->job.run = hold;
	held->job.argument = held;
	sem_init(&held->begun, 0, 0);
	sem_init(&held->let, 0, 0);
}

static void wait_begun(struct held *held)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	cr_assert_eq(sem_timedwait(&held->begun, &until), 0, "the job did not begin");
}

static struct computing_job *wait_done(struct computing_thread *helper)
{
	struct pollfd fd = {.fd = computing_fd(helper), .events = POLLIN};
	struct computing_job *job;

	while ((job = computing_poll(helper)) == NULL) {
		cr_assert_eq(poll(&fd, 1, PATIENCE_MS), 1, "nothing is done");
		computing_heard(helper);
	}
	return job;
}

static void let_all(struct held *held, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sem_post(&held[i].let);
}

/* Puts a job for each letter of `kinds`: L of who is logged in, another letter of a stranger from there. They
 * must come back in `order` (digits). */
static void expect_order(const char *kinds, const char *order)
{
	struct computing_thread *helper = computing_start();
	struct held held[10];
	unsigned count = (unsigned)strlen(kinds);
	char came[11] = "";

	for (unsigned i = 0; i < count; i++) {
		prepare(&held[i]);
		computing_put(helper, &held[i].job,
		    kinds[i] == 'L' ? COMPUTING_LOGGED_IN : COMPUTING_STRANGERS, (uint32_t)kinds[i]);
	}
	let_all(held, count);
	for (unsigned i = 0; i < count; i++)
		came[i] = (char)('0' + ((struct held *)wait_done(helper)->argument - held));
	cr_expect_str_eq(came, order, "%s: expected %s, got %s", kinds, order, came);
	cr_expect_not(computing_busy(helper));
	computing_stop(helper);
}

Test(computing_thread, first_come_first_served)
{
	expect_order("SSSSSS", "012345");
	expect_order("LLLL", "0123");
}

Test(computing_thread, who_is_logged_in_goes_before_strangers)
{
	expect_order("SSSSLL", "045123");
	expect_order("SLSLSL", "013524");
}

Test(computing_thread, but_not_for_ever)
{
	expect_order("LLLLLS", "012354");
	expect_order("LLLLLLLLSS", "0123845679");
}

Test(computing_thread, strangers_take_turns_by_where_they_come_from)
{
	expect_order("aaaab", "01423");
	expect_order("aaabcb", "013425");
	expect_order("aabbcc", "012435");
	expect_order("aaabLb", "041325");
}

Test(computing_thread, who_comes_again_and_again_waits_for_one_of_each_other)
{
	struct computing_thread *helper = computing_start();
	struct held flood[10], one;

	for (unsigned i = 0; i < 10; i++) {
		prepare(&flood[i]);
		computing_put(helper, &flood[i].job, COMPUTING_STRANGERS, 'a');
	}
	let_all(flood, 10);
	/* As the flow of others goes on, so do those that come later. */
	for (unsigned i = 0; i < 4; i++) {
		prepare(&one);
		sem_post(&one.let);
		computing_put(helper, &one.job, COMPUTING_STRANGERS, 'b');
		for (unsigned before = 0; wait_done(helper) != &one.job; before++)
			cr_assert_lt(before, 2, "%u-th time", i);
	}
	computing_stop(helper);
}

Test(computing_thread, nor_do_those_that_come_later_from_elsewhere_go_first_for_ever)
{
	struct computing_thread *helper = computing_start();
	struct held patient[3], others[8];
	unsigned seen = 0;

	for (unsigned i = 0; i < 3; i++) {
		prepare(&patient[i]);
		computing_put(helper, &patient[i].job, COMPUTING_STRANGERS, 'a');
	}
	let_all(patient, 3);
	for (unsigned i = 0; i < 8; i++) {
		prepare(&others[i]);
		sem_post(&others[i].let);
		computing_put(helper, &others[i].job, COMPUTING_STRANGERS, 'b' + i);
		seen += wait_done(helper)->argument == &patient[seen];
		if (seen == 3)
			break;
	}
	cr_expect_eq(seen, 3, "%u of 3", seen);
	computing_stop(helper);
}

Test(computing_thread, one_at_a_time_in_another_thread)
{
	struct computing_thread *helper = computing_start();
	struct held first, second;

	prepare(&first);
	prepare(&second);
	computing_put(helper, &first.job, COMPUTING_STRANGERS, 0);
	computing_put(helper, &second.job, COMPUTING_STRANGERS, 0);
	wait_begun(&first);
	cr_expect(computing_busy(helper));
	cr_expect_not(computing_ready(helper));
	cr_expect_null(computing_poll(helper), "it is not done");
	sem_post(&second.let);
	sem_post(&first.let);
	struct pollfd fd = {.fd = computing_fd(helper), .events = POLLIN};
	cr_assert_eq(poll(&fd, 1, PATIENCE_MS), 1);
	cr_expect_neq(sem_trywait(&second.begun), 0, "the second has to wait until the first is taken back");
	cr_expect_eq(wait_done(helper), &first.job);
	cr_expect_neq(first.thread, gettid());
	cr_expect_eq(wait_done(helper), &second.job);
	computing_heard(helper);
	cr_expect_eq(poll(&fd, 1, 0), 0, "and then it is silent");
	computing_stop(helper);
}

Test(computing_thread, what_is_withdrawn_is_not_run)
{
	struct computing_thread *helper = computing_start();
	struct held held[5];

	for (unsigned i = 0; i < 5; i++) {
		prepare(&held[i]);
		if (i < 4)
			computing_put(helper, &held[i].job, COMPUTING_STRANGERS, 0);
	}
	wait_begun(&held[0]);
	cr_expect_not(computing_withdraw(helper, &held[0].job), "it has begun");
	cr_expect(computing_withdraw(helper, &held[2].job), "from the middle");
	cr_expect(computing_withdraw(helper, &held[3].job), "the last");
	computing_put(helper, &held[4].job, COMPUTING_STRANGERS, 0);
	cr_expect(computing_withdraw(helper, &held[1].job), "the first");
	let_all(held, 5);
	cr_expect_eq(wait_done(helper), &held[0].job);
	cr_expect_eq(wait_done(helper), &held[4].job, "what came behind them");
	computing_put(helper, &held[1].job, COMPUTING_STRANGERS, 0);
	cr_expect_eq(wait_done(helper), &held[1].job, "and it may be put again");
	cr_expect_not(computing_busy(helper));
	cr_expect_not(held[2].ran || held[3].ran);
	computing_stop(helper);
}

static void slow(void *argument)
{
	struct held *held = argument;

	sem_post(&held->begun);
	usleep(100000);
	held->ran = true;
}

Test(computing_thread, at_its_end_the_job_under_way_is_done_and_no_other_begun)
{
	struct computing_thread *helper = computing_start();
	struct held held[3];

	for (unsigned i = 0; i < 3; i++) {
		prepare(&held[i]);
		held[i].job.run = i == 0 ? hold : slow;
		computing_put(helper, &held[i].job, COMPUTING_STRANGERS, 0);
	}
	sem_post(&held[0].let);
	cr_expect_eq(wait_done(helper), &held[0].job);
	wait_begun(&held[1]);
	computing_stop(helper);
	cr_expect(held[1].ran);
	cr_expect_not(held[2].ran);
}

Test(computing_thread, at_its_end_with_nothing_to_do)
{
	computing_stop(computing_start());
	computing_stop(NULL);
}

static void look_at_itself(void *argument)
{
	int *seen = argument;

	seen[0] = sched_getscheduler(0);
	seen[1] = getpriority(PRIO_PROCESS, 0);
}

Test(computing_thread, gives_way)
{
	struct computing_thread *helper = computing_start();
	int seen[2] = {-1, -1}, own = getpriority(PRIO_PROCESS, 0);
	struct computing_job job = {.run = look_at_itself, .argument = seen};

	computing_put(helper, &job, COMPUTING_STRANGERS, 0);
	cr_assert_eq(wait_done(helper), &job);
	cr_expect_eq(seen[0], SCHED_BATCH);
	cr_expect_eq(seen[1], 10);
	cr_expect_eq(getpriority(PRIO_PROCESS, 0), own, "and only the helper does");
	computing_stop(helper);
}

#if !defined(__SANITIZE_ADDRESS__)
/* As far down as any job gets, and within a job's outermost frame, next to what the thread itself keeps. */
#define DEEP 20000
#define SHALLOW 1500

struct left {
	const volatile char *at;
	int size;
};

static void leave(struct left *left, volatile char *secret, int size)
{
	for (int i = 0; i < size; i++) /* volatile: nobody may leave it out */
		secret[i] = 0x5a;
	*left = (struct left){secret, size};
}

static void leaves_deep(void *argument)
{
	volatile char secret[DEEP];

	leave(argument, secret, DEEP);
}

static void leaves_shallow(void *argument)
{
	volatile char secret[SHALLOW];

	leave(argument, secret, SHALLOW);
}

/* Looked at from here: another job's own frame would lie on top of it. */
static void expect_nothing_left(void (*leaves)(void *argument))
{
	struct computing_thread *helper = computing_start();
	struct left left = {0};
	struct computing_job job = {.run = leaves, .argument = &left};
	int found = 0;

	computing_put(helper, &job, COMPUTING_STRANGERS, 0);
	cr_assert_eq(wait_done(helper), &job);
	for (int i = 0; i < left.size; i++)
		found += left.at[i] == 0x5a;
	cr_expect_eq(found, 0, "%d of %d bytes are still there", found, left.size);
	computing_stop(helper);
}

Test(computing_thread, the_next_job_finds_nothing_of_the_last)
{
	expect_nothing_left(leaves_deep);
	expect_nothing_left(leaves_shallow);
}
#endif
