/* SPDX-License-Identifier: Apache-2.0 */
/*
 * computing_thread: the worker's helper, its one other thread, which computes what would hold the worker up.
 *
 * Theory of operation. The queue is the worker's alone: jobs lie on the stacks of the fibers that wait for
 * them, so it takes no memory, and is as long as there are sessions at most, each with one job. One job at a
 * time is shown to the helper, through one atomic pointer; the helper says through another that it is done.
 * So there is no lock, and a worker never waits for a thread that the kernel has put aside, but where both
 * allocate.
 *
 * Order: whoever is logged in goes before strangers, but not for ever: after COMPUTING_IN_A_ROW of theirs a
 * stranger has a turn, or one user's endless key exchanges would let nobody else log in. Strangers take turns
 * by the address that they come from, however many jobs each has there. Else first come, first served. A
 * session that has further jobs queues for each.
 *
 * The helper runs on the worker's core and gives way: a batch thread of lower weight (NICE, SLICE_NS). It
 * touches nothing but what a job's argument refers to. What a job left on the helper's stack is given back to
 * the kernel before anybody hears that it is done.
 *
 * It is started once the worker is nobody, and confined with it (confine.h).
 */
#ifndef SSHTERM_COMPUTING_THREAD_H
#define SSHTERM_COMPUTING_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct computing_thread;

#define COMPUTING_IN_A_ROW 4u

enum computing_queue { COMPUTING_LOGGED_IN, COMPUTING_STRANGERS, COMPUTING_QUEUES };

struct computing_job {
	void (*run)(void *argument);
	void *argument;
	void *owner; /* whoever waits for it; the helper does not look at it */
	/* The helper's own: */
	struct computing_job *next;
	enum computing_queue queue;
	uint32_t source;
	uint64_t round;
	bool begun;
};

/* Starts the thread and waits until it is up. NULL: errno says why. */
struct computing_thread *computing_start(void);
/* Waits for the job under way, if there is one, and ends the thread; what is queued is not run. NULL is let
 * be. */
void computing_stop(struct computing_thread *helper);
/* Becomes readable when a job is done, and is read empty by computing_heard. */
int computing_fd(const struct computing_thread *helper);
void computing_heard(struct computing_thread *helper);
/* Queues a job, which must stay where it is until computing_poll has returned it or computing_withdraw has
 * been heeded. `source`: where a stranger comes from, any number that is the same for one address; of no
 * meaning for those logged in. */
void computing_put(
    struct computing_thread *helper, struct computing_job *job, enum computing_queue which, uint32_t source);
/* Takes a job out of the queue. False: it has begun, and is to be waited for. */
bool computing_withdraw(struct computing_thread *helper, struct computing_job *job);
/* The job that is done, once; NULL: none is. The next begins. */
struct computing_job *computing_poll(struct computing_thread *helper);
/* Would computing_poll return one? */
bool computing_ready(const struct computing_thread *helper);
/* Is one under way, or done and not yet returned? */
bool computing_busy(const struct computing_thread *helper);

#endif
