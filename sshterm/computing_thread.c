/* SPDX-License-Identifier: Apache-2.0 */
/* The helper thread; see computing_thread.h for the theory of operation. */
#include "sshterm/computing_thread.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sshterm/stack.h"

/* A tenth of the core while the worker wants all of it (sched(7): a tenth of the weight of nice 0), all that
 * the worker leaves otherwise. */
#define NICE 10
/* What the kernel lets it run in one go (EEVDF, from Linux 6.12; others take no notice): a thread with a
 * shorter slice stops one with a longer one when it wakes, and the worker's is the default of a few
 * milliseconds. */
#define SLICE_NS 20000000u

struct queue {
	struct computing_job *first, *last;
};

struct computing_thread {
	/* the worker's */
	struct queue queues[COMPUTING_QUEUES];
	unsigned in_a_row;             /* jobs of those logged in since a stranger's */
	uint64_t round;                /* of strangers: of the last that was begun */
	struct computing_job *running; /* shown to the thread, not yet returned */
	pthread_t thread;
	uint8_t *stack;
	int fd;
	/* between the two */
	sem_t up;   /* posted when the thread has done all that the worker's filter forbids */
	sem_t work; /* posted for each job that is shown, and to stop */
	_Atomic(struct computing_job *) shown;
	_Atomic(struct computing_job *) done;
	atomic_bool stopping;
};

/* -- the thread -- */

/* As linux/sched/types.h has it, which does not go together with sched.h. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void give_way(void)
{
	struct attributes attributes = {
	    .size = sizeof(attributes), .policy = SCHED_BATCH, .nice = NICE, .runtime = SLICE_NS};

	/* That it is refused harms nobody: then the two share the core as equals. */
	(void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

/* So far down that all of its stack, the outermost frame too, lies in pages that are given back. */
__attribute__((noinline)) static void run_apart(const struct computing_job *job)
{
	volatile uint8_t between[STACK_APART];

	between[0] = 0;
	job->run(job->argument);
	(void)between[0]; /* so that the call above does not become a jump out of this frame */
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		; /* a signal */
}

static void *computing_main(void *argument)
{
	struct computing_thread *helper = argument;
	const uint64_t one = 1;
	uint8_t random;

	give_way();
	/* OpenSSL has generators of random numbers for each thread; made now, while nothing is forbidden. */
	(void)RAND_bytes(&random, sizeof(random));
	(void)RAND_priv_bytes(&random, sizeof(random));
	sem_post(&helper->up);
	for (;;) {
		wait_for(&helper->work);
		if (atomic_load_explicit(&helper->stopping, memory_order_acquire))
			return NULL;
		struct computing_job *job = atomic_load_explicit(&helper->shown, memory_order_acquire);
		run_apart(job);
		/* What it says of errors is for this thread alone, which asks nobody. */
		ERR_clear_error();
		/* Secrets are left behind by what is computed here, and the next session's job runs on the
		 * same stack. */
		stack_trim(helper->stack);
		atomic_store_explicit(&helper->done, job, memory_order_release);
		while (write(helper->fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
}

/* -- the worker's side -- */

/* Signals are the worker's. */
static int start_thread(struct computing_thread *helper)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return error;
	error = pthread_attr_setstack(&attributes, helper->stack, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error == 0)
		error = pthread_create(&helper->thread, &attributes, computing_main, helper);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

static void computing_free(struct computing_thread *helper)
{
	if (helper->stack != NULL)
		stack_unmap(helper->stack);
	if (helper->fd >= 0)
		close(helper->fd);
	sem_destroy(&helper->up);
	sem_destroy(&helper->work);
	free(helper);
}

struct computing_thread *computing_start(void)
{
	struct computing_thread *helper = calloc(1, sizeof(*helper));
	int error = 0;

	if (helper == NULL)
		return NULL;
	sem_init(&helper->up, 0, 0);
	sem_init(&helper->work, 0, 0);
	helper->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	helper->stack = stack_map();
	if (helper->fd < 0 || helper->stack == NULL)
		error = errno;
	else
		error = start_thread(helper);
	if (error == 0) {
		wait_for(&helper->up);
		return helper;
	}
	computing_free(helper);
	errno = error;
	return NULL;
}

void computing_stop(struct computing_thread *helper)
{
	if (helper == NULL)
		return;
	atomic_store_explicit(&helper->stopping, true, memory_order_release);
	sem_post(&helper->work);
	pthread_join(helper->thread, NULL);
	computing_free(helper);
}

int computing_fd(const struct computing_thread *helper)
{
	return helper->fd;
}

void computing_heard(struct computing_thread *helper)
{
	uint64_t rung;

	(void)!read(helper->fd, &rung, sizeof(rung));
}

static struct computing_job *take_first(struct queue *queue)
{
	struct computing_job *job = queue->first;

	if (job != NULL)
		queue->first = job->next;
	return job;
}

static void begin_next(struct computing_thread *helper)
{
	bool strangers = helper->in_a_row >= COMPUTING_IN_A_ROW;
	struct computing_job *job =
	    take_first(&helper->queues[strangers ? COMPUTING_STRANGERS : COMPUTING_LOGGED_IN]);

	if (job == NULL)
		job = take_first(&helper->queues[strangers ? COMPUTING_LOGGED_IN : COMPUTING_STRANGERS]);
	if (job == NULL)
		return;
	if (job->queue == COMPUTING_STRANGERS)
		helper->round = job->round;
	helper->in_a_row = job->queue == COMPUTING_STRANGERS ? 0 : helper->in_a_row + 1;
	helper->running = job;
	job->begun = true;
	atomic_store_explicit(&helper->shown, job, memory_order_release);
	sem_post(&helper->work);
}

/* Each address has one job a round: in the next, or in the one after its last that waits. */
static void queue_by_rounds(struct computing_thread *helper, struct computing_job *job)
{
	struct queue *queue = &helper->queues[COMPUTING_STRANGERS];
	struct computing_job **at;

	job->round = helper->round + 1;
	for (const struct computing_job *one = queue->first; one != NULL; one = one->next)
		if (one->source == job->source && one->round >= job->round)
			job->round = one->round + 1;
	for (at = &queue->first; *at != NULL && (*at)->round <= job->round; at = &(*at)->next)
		;
	job->next = *at;
	*at = job;
	if (job->next == NULL)
		queue->last = job;
}

static void queue_last(struct computing_thread *helper, struct computing_job *job)
{
	struct queue *queue = &helper->queues[COMPUTING_LOGGED_IN];

	job->next = NULL;
	*(queue->first == NULL ? &queue->first : &queue->last->next) = job;
	queue->last = job;
}

void computing_put(
    struct computing_thread *helper, struct computing_job *job, enum computing_queue which, uint32_t source)
{
	job->queue = which;
	job->source = source;
	job->begun = false;
	if (which == COMPUTING_STRANGERS)
		queue_by_rounds(helper, job);
	else
		queue_last(helper, job);
	if (helper->running == NULL)
		begin_next(helper);
}

bool computing_withdraw(struct computing_thread *helper, struct computing_job *job)
{
	struct queue *queue = &helper->queues[job->queue];
	struct computing_job *before = NULL;

	if (job->begun)
		return false;
	for (struct computing_job *at = queue->first; at != job; at = at->next)
		before = at;
	*(before == NULL ? &queue->first : &before->next) = job->next;
	if (queue->last == job)
		queue->last = before;
	return true;
}

struct computing_job *computing_poll(struct computing_thread *helper)
{
	struct computing_job *job = helper->running;

	if (!computing_ready(helper))
		return NULL;
	atomic_store_explicit(&helper->done, NULL, memory_order_relaxed);
	helper->running = NULL;
	begin_next(helper);
	return job;
}

bool computing_ready(const struct computing_thread *helper)
{
	return atomic_load_explicit(&helper->done, memory_order_acquire) != NULL;
}

bool computing_busy(const struct computing_thread *helper)
{
	return helper->running != NULL;
}
