/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "sshterm/fiber.h"

struct trace {
	char text[256];
	struct fiber *seen;
};

static void add(struct trace *trace, const char *word)
{
	strncat(trace->text, word, sizeof(trace->text) - strlen(trace->text) - 1);
}

static void two_steps(void *argument)
{
	struct trace *trace = argument;

	trace->seen = fiber_current();
	add(trace, "a");
	fiber_yield();
	add(trace, "b");
}

Test(fiber, runs_until_it_yields_and_goes_on_there)
{
	struct trace trace = {0};
	struct fiber *fiber = fiber_create(two_steps, &trace);

	cr_assert_not_null(fiber);
	cr_assert_str_eq(trace.text, "", "nothing runs before the first resume");
	fiber_resume(fiber);
	add(&trace, "-");
	cr_assert_not(fiber_ended(fiber));
	cr_assert_eq(trace.seen, fiber);
	cr_assert_null(fiber_current(), "outside of all fibers");
	fiber_resume(fiber);
	cr_assert(fiber_ended(fiber));
	cr_assert_str_eq(trace.text, "a-b", "expected a-b, got %s", trace.text);
	fiber_destroy(fiber);
	fiber_pool_drain();
}

/* Registers and locals of each survive the others. */
static void counts(void *argument)
{
	unsigned long *sum = argument;
	unsigned long here = *sum;
	double part = (double)here / 3;

	for (unsigned long i = 0; i < 100; i++) {
		here += i;
		part += 1.5;
		fiber_yield();
	}
	*sum = here + (unsigned long)(part * 3 + 0.5);
}

Test(fiber, many_do_not_disturb_each_other)
{
	enum { MANY = 200 };
	struct fiber *fibers[MANY];
	unsigned long sums[MANY];

	for (unsigned i = 0; i < MANY; i++) {
		sums[i] = i;
		fibers[i] = fiber_create(counts, &sums[i]);
		cr_assert_not_null(fibers[i]);
	}
	for (unsigned turn = 0; turn < 101; turn++)
		for (unsigned i = 0; i < MANY; i++)
			fiber_resume(fibers[i]);
	for (unsigned i = 0; i < MANY; i++) {
		cr_assert(fiber_ended(fibers[i]));
		cr_assert_eq(
		    sums[i], i + 4950 + i + 450, "fiber %u: expected %u, got %lu", i, 2 * i + 5400, sums[i]);
		fiber_destroy(fibers[i]);
	}
	fiber_pool_drain();
}

/* Volatile, and used after the call, so that the compiler keeps the frames. */
static unsigned deep(unsigned depth)
{
	volatile char room[1024];

	memset((char *)room, (int)depth, sizeof(room));
	return depth == 0 ? 0 : deep(depth - 1) + (room[17] == (char)depth);
}

static void trims(void *argument)
{
	unsigned *result = argument;
	unsigned before = deep(100);

	fiber_trim_stack();
	*result = before + deep(100);
}

Test(fiber, a_trimmed_stack_is_still_a_stack)
{
	unsigned result = 0;
	struct fiber *fiber = fiber_create(trims, &result);

	fiber_resume(fiber);
	cr_assert(fiber_ended(fiber));
	cr_assert_eq(result, 200, "expected 200, got %u", result);
	fiber_destroy(fiber);
	fiber_pool_drain();
}

static void overflows(void *argument)
{
	(void)argument;
	(void)deep(100000);
}

#if !defined(__SANITIZE_ADDRESS__)
Test(fiber, an_overflow_meets_the_guard_page, .signal = SIGSEGV)
{
	fiber_resume(fiber_create(overflows, NULL));
}
#else
Test(fiber, an_overflow_function_is_there)
{
	cr_assert_neq((void *)overflows, NULL);
}
#endif

static void leaves_secret(void *argument)
{
	volatile char secret[64];

	memset((char *)secret, 0x5a, sizeof(secret));
	*(uintptr_t *)argument = (uintptr_t)secret;
}

static void looks_for_secret(void *argument)
{
	uintptr_t *where = argument;
	const volatile char *at = (const volatile char *)*where;
	int found = 0;

	for (int i = 0; i < 64; i++)
		found += at[i] == 0x5a;
	*where = found > 32;
}

#if !defined(__SANITIZE_ADDRESS__)
Test(fiber, a_stack_from_the_pool_holds_nothing_of_its_last_owner)
{
	uintptr_t where = 0;
	struct fiber *first = fiber_create(leaves_secret, &where);

	fiber_resume(first);
	fiber_destroy(first);
	struct fiber *second = fiber_create(looks_for_secret, &where);
	fiber_resume(second);
	cr_assert_eq(where, 0, "the first fiber's bytes are still there");
	fiber_destroy(second);
	fiber_pool_drain();
}
#else
Test(fiber, secrets_functions_are_there)
{
	cr_assert_neq((void *)leaves_secret, (void *)looks_for_secret);
}
#endif
