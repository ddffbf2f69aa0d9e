/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers: stacks with guard pages, a pool of them, and the switch told to AddressSanitizer. */
#include "sshterm/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif

#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
/* Red zones around every local multiply what a call needs. */
#define STACK_SIZE (2048u * 1024)
#else
/* libssh's deepest path (sntrup761 as the client, where there is no helper) needs 90 KB. Untouched pages cost
 * nothing. */
#define STACK_SIZE (256u * 1024)
#endif
#define GUARD_SIZE 4096u
#define PAGE_SIZE_BYTES 4096u
#define POOL_MAX 64u
/* Below the stack pointer of fiber_trim_stack: its own callees and the ABI's red zone. */
#define TRIM_MARGIN 2048u

struct fiber {
	void *stack_pointer; /* of the fiber while it does not run */
	uint8_t *stack;      /* lowest usable byte; the guard page is below it */
	fiber_main main;
	void *argument;
	bool ended;
#ifdef FIBER_ASAN
	void *fake_stack;
#endif
};

/* In fiber_switch.S: saves the callee-saved registers and the stack pointer, loads the other's. */
void fiber_switch(void **save, void *load);

static struct fiber *current;
static void *scheduler_stack_pointer;
#ifdef FIBER_ASAN
static void *scheduler_fake_stack;
static const void *scheduler_bottom;
static size_t scheduler_size;
#endif

static uint8_t *pool[POOL_MAX];
static size_t pool_count;

static uint8_t *stack_take(void)
{
	if (pool_count > 0)
		return pool[--pool_count];
	uint8_t *base = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	if (mprotect(base, GUARD_SIZE, PROT_NONE) != 0) {
		munmap(base, GUARD_SIZE + STACK_SIZE);
		return NULL;
	}
	return base + GUARD_SIZE;
}

static void stack_unmap(uint8_t *stack)
{
	munmap(stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
}

static void stack_give(uint8_t *stack)
{
#ifdef FIBER_ASAN
	/* Frames that ended by a switch and not by a return left their red zones behind. */
	ASAN_UNPOISON_MEMORY_REGION(stack, STACK_SIZE);
#endif
	/* Also wipes: the next session must not find this one's leftovers. */
	if (pool_count == POOL_MAX || madvise(stack, STACK_SIZE, MADV_DONTNEED) != 0)
		stack_unmap(stack);
	else
		pool[pool_count++] = stack;
}

static void entered_fiber(void)
{
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(current->fake_stack, &scheduler_bottom, &scheduler_size);
#endif
}

static void leave_fiber(struct fiber *fiber)
{
#ifdef FIBER_ASAN
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
	fiber->stack = stack_take();
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
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber->stack, STACK_SIZE);
#endif
	fiber_switch(&scheduler_stack_pointer, fiber->stack_pointer);
#ifdef FIBER_ASAN
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
	uintptr_t low = (uintptr_t)current->stack;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

#ifdef FIBER_ASAN
	/* Locals live on the sanitizer's own stack there, and its shadow does not follow madvise. */
	(void)low;
	(void)here;
#else
	uintptr_t high = (here - TRIM_MARGIN) & ~(uintptr_t)(PAGE_SIZE_BYTES - 1);
	if (high > low)
		(void)madvise((void *)low, high - low, MADV_DONTNEED);
#endif
}

void fiber_destroy(struct fiber *fiber)
{
	if (fiber == NULL)
		return;
	stack_give(fiber->stack);
	free(fiber);
}

void fiber_pool_drain(void)
{
	while (pool_count > 0)
		stack_unmap(pool[--pool_count]);
}
