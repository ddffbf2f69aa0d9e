/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers: a pool of their stacks, and the switch told to AddressSanitizer. */
#include "sshterm/fiber.h"

#include <stdint.h>
#include <stdlib.h>

#include "sshterm/stack.h"

#ifdef ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

#define POOL_MAX 64u

struct fiber {
	void *stack_pointer; /* of the fiber while it does not run */
	uint8_t *stack;
	fiber_main main;
	void *argument;
	bool ended;
#ifdef ADDRESS_SANITIZER
	void *fake_stack;
#endif
};

/* In fiber_switch.S: saves the callee-saved registers and the stack pointer, loads the other's. */
void fiber_switch(void **save, void *load);

static struct fiber *current;
static void *scheduler_stack_pointer;
#ifdef ADDRESS_SANITIZER
static void *scheduler_fake_stack;
static const void *scheduler_bottom;
static size_t scheduler_size;
#endif

static uint8_t *pool[POOL_MAX];
static size_t pool_count;

static uint8_t *pool_take(void)
{
	return pool_count > 0 ? pool[--pool_count] : stack_map();
}

/* Wiped: the next session must not find this one's leftovers. */
static void pool_give(uint8_t *stack)
{
	if (pool_count == POOL_MAX || !stack_wipe(stack))
		stack_unmap(stack);
	else
		pool[pool_count++] = stack;
}

static void entered_fiber(void)
{
#ifdef ADDRESS_SANITIZER
	__sanitizer_finish_switch_fiber(current->fake_stack, &scheduler_bottom, &scheduler_size);
#endif
}

static void leave_fiber(struct fiber *fiber)
{
#ifdef ADDRESS_SANITIZER
	__sanitizer_start_switch_fiber(
	    fiber->ended ? NULL : &fiber->fake_stack, scheduler_bottom, scheduler_size);
#endif
	fiber_switch(&fiber->stack_pointer, scheduler_stack_pointer);
}

static void fiber_entry(void)
{
	struct fiber *fiber = current;

	entered_fiber();
	fiber->main(fiber->argument);
	fiber->ended = true;
	leave_fiber(fiber);
	abort(); /* an ended fiber is never resumed */
}

/* What fiber_switch expects to pop (see fiber_switch.S), so that its return enters fiber_entry. */
static void *prepare_stack(uint8_t *top)
{
	void **sp = (void **)top;

#if defined(__x86_64__)
	*--sp = NULL; /* fiber_entry's return address: the end of every backtrace */
	*--sp = (void *)fiber_entry;
	for (int i = 0; i < 6; i++)
		*--sp = NULL;
#elif defined(__aarch64__)
	for (int i = 0; i < 20; i++)
		*--sp = NULL;
	sp[11] = (void *)fiber_entry; /* x30 */
#else
#error "fiber_switch.S knows x86-64 and aarch64"
#endif
	return sp;
}

struct fiber *fiber_create(fiber_main main, void *argument)
{
	struct fiber *fiber = calloc(1, sizeof(*fiber));

	if (fiber == NULL)
		return NULL;
	fiber->stack = pool_take();
	if (fiber->stack == NULL) {
		free(fiber);
		return NULL;
	}
	fiber->main = main;
	fiber->argument = argument;
	fiber->stack_pointer = prepare_stack(fiber->stack + STACK_SIZE);
	return fiber;
}

void fiber_resume(struct fiber *fiber)
{
	current = fiber;
#ifdef ADDRESS_SANITIZER
	__sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber->stack, STACK_SIZE);
#endif
	fiber_switch(&scheduler_stack_pointer, fiber->stack_pointer);
#ifdef ADDRESS_SANITIZER
	__sanitizer_finish_switch_fiber(scheduler_fake_stack, NULL, NULL);
#endif
	current = NULL;
}

void fiber_yield(void)
{
	leave_fiber(current);
	entered_fiber();
}

bool fiber_ended(const struct fiber *fiber)
{
	return fiber->ended;
}

struct fiber *fiber_current(void)
{
	return current;
}

void fiber_trim_stack(void)
{
	stack_trim(current->stack);
}

void fiber_destroy(struct fiber *fiber)
{
	if (fiber == NULL)
		return;
	pool_give(fiber->stack);
	free(fiber);
}

void fiber_pool_drain(void)
{
	while (pool_count > 0)
		stack_unmap(pool[--pool_count]);
}
