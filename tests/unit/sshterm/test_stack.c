/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks: where they end, and what is left on them. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sshterm/stack.h"

static size_t pages_in_memory(uint8_t *stack)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
	unsigned char there[STACK_SIZE / 4096];

	cr_assert_eq(mincore(stack, STACK_SIZE, there), 0);
	for (size_t i = 0; i < STACK_SIZE / page; i++)
		count += there[i] & 1;
	return count;
}

static size_t bytes_not_zero(const volatile uint8_t *at, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += at[i] != 0;
	return count;
}

Test(stack, costs_what_is_touched)
{
	uint8_t *stack = stack_map();

	cr_assert_not_null(stack);
	cr_expect_eq(pages_in_memory(stack), 0);
	stack[0] = stack[STACK_SIZE - 1] = 1;
	cr_expect_eq(pages_in_memory(stack), 2);
	stack_unmap(stack);
}

Test(stack, wiped_it_holds_nothing_and_costs_nothing)
{
	uint8_t *stack = stack_map();

	memset(stack, 0x5a, STACK_SIZE);
	cr_assert(stack_wipe(stack));
	cr_expect_eq(pages_in_memory(stack), 0);
	cr_expect_eq(bytes_not_zero(stack, STACK_SIZE), 0);
	stack_unmap(stack);
}

Test(stack, unmapped_it_is_gone_with_its_guard_page)
{
	uint8_t *stack = stack_map();
	unsigned char there[1];

	stack_unmap(stack);
	cr_expect_neq(mincore(stack, 1, there), 0);
	cr_expect_neq(mincore(stack - 4096, 1, there), 0);
}

#ifndef ADDRESS_SANITIZER
/* It reports the signal itself. */
Test(stack, below_it_is_a_guard_page, .signal = SIGSEGV)
{
	volatile uint8_t *stack = stack_map();

	stack[0] = 1;
	stack[-1] = 1;
}

Test(stack, the_guard_page_is_a_whole_one, .signal = SIGSEGV)
{
	volatile uint8_t *stack = stack_map();

	stack[-4096] = 1;
}

#define DEEP 100000

struct run {
	uint8_t *stack;
	int size;       /* of what is left behind, next to the one who trims */
	uintptr_t left; /* where */
	bool own_survived;
	size_t pages; /* in memory after trimming */
};

__attribute__((noinline)) static void leave(struct run *run)
{
	volatile char secret[DEEP];

	run->left = (uintptr_t)secret + DEEP - (size_t)run->size;
	for (int i = DEEP - run->size; i < DEEP; i++) /* volatile: nobody may leave it out */
		secret[i] = 0x5a;
}

/* As the computing thread does it. */
__attribute__((noinline)) static void leave_apart(struct run *run)
{
	volatile uint8_t between[STACK_APART];

	between[0] = 0;
	leave(run);
	(void)between[0];
}

static void *leave_and_trim(void *argument)
{
	struct run *run = argument;
	volatile uint8_t own[512];

	memset((uint8_t *)own, 0xa5, sizeof(own));
	leave_apart(run);
	stack_trim(run->stack);
	run->pages = pages_in_memory(run->stack);
	run->own_survived = true;
	for (size_t i = 0; i < sizeof(own); i++)
		run->own_survived &= own[i] == 0xa5;
	return NULL;
}

static void expect_nothing_left(int size)
{
	struct run run = {.stack = stack_map(), .size = size};
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	cr_assert_eq(pthread_attr_setstack(&attributes, run.stack, STACK_SIZE), 0);
	cr_assert_eq(pthread_create(&thread, &attributes, leave_and_trim, &run), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
	cr_expect_eq(
	    bytes_not_zero((const volatile uint8_t *)run.left, (size_t)size), 0, "of %d bytes", size);
	cr_expect(run.own_survived, "what the one who trims has there stays");
	cr_expect_leq(run.pages, 6, "%zu pages of %zu are still there", run.pages, STACK_SIZE / 4096);
	stack_unmap(run.stack);
}

Test(stack, trimmed_it_keeps_what_is_in_use_and_nothing_else)
{
	expect_nothing_left(100);
	expect_nothing_left(1500);
	expect_nothing_left(DEEP);
}
#endif
