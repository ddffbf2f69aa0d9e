/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber: straight-line code that can wait. A fiber is a stack and the registers that lie on it.
 *
 * One thread resumes fibers; a fiber runs until it yields or its main function returns.
 */
#ifndef SSHTERM_FIBER_H
#define SSHTERM_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber;
typedef void (*fiber_main)(void *argument);

/* NULL: no memory. Nothing runs before the first fiber_resume. */
struct fiber *fiber_create(fiber_main main, void *argument);
/* Runs it until it yields or ends. Not from inside a fiber. */
void fiber_resume(struct fiber *fiber);
/* Back to who resumed this fiber. Only inside a fiber. */
void fiber_yield(void);
bool fiber_ended(const struct fiber *fiber);
/* The fiber that runs now, NULL outside of all. */
struct fiber *fiber_current(void);
/* Gives the running fiber's stack pages below what is in use back to the kernel: key exchange touches ten
 * times what a waiting session needs, and leaves intermediate secrets there. */
void fiber_trim_stack(void);
/* Its stack goes to the pool. The fiber has ended or was never resumed. */
void fiber_destroy(struct fiber *fiber);
/* Frees the pooled stacks. */
void fiber_pool_drain(void);

#endif
