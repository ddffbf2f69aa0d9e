/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/stack.h"

#include <errno.h>
#include <sys/mman.h>

#ifdef ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

#define GUARD_SIZE 4096u
#define PAGE_SIZE_BYTES 4096u
/* Below the frame of stack_trim: its own callee and the ABI's red zone. */
#define TRIM_MARGIN 2048u

_Static_assert(STACK_APART >= TRIM_MARGIN + 2 * PAGE_SIZE_BYTES, "a page to round, and one for stack_trim");

uint8_t *stack_map(void)
{
	uint8_t *base = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (mprotect(base, GUARD_SIZE, PROT_NONE) != 0) {
		int error = errno;

		munmap(base, GUARD_SIZE + STACK_SIZE);
		errno = error;
		return NULL;
	}
	return base + GUARD_SIZE;
}

/* Frames that ended by a switch, or with their thread, and not by a return left their red zones behind. */
static void forget_red_zones(const uint8_t *stack)
{
#ifdef ADDRESS_SANITIZER
	ASAN_UNPOISON_MEMORY_REGION(stack, STACK_SIZE);
#else
	(void)stack;
#endif
}

void stack_unmap(uint8_t *stack)
{
	forget_red_zones(stack);
	munmap(stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
}

bool stack_wipe(uint8_t *stack)
{
	forget_red_zones(stack);
	return madvise(stack, STACK_SIZE, MADV_DONTNEED) == 0;
}

void stack_trim(uint8_t *stack)
{
#ifdef ADDRESS_SANITIZER
	(void)stack;
#else
	uintptr_t low = (uintptr_t)stack;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t high = (here - TRIM_MARGIN) & ~(uintptr_t)(PAGE_SIZE_BYTES - 1);

	if (high > low)
		(void)madvise(stack, high - low, MADV_DONTNEED);
#endif
}
