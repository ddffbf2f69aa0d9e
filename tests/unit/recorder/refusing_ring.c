/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into reeve-recorder: four of five calls of io_uring_submit() find the kernel without memory for a
 * request. That it is there it says to the
 * descriptor REFUSING_MARK. */
#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

/* Before the recorder confines itself. */
__attribute__((constructor)) static void mark(void)
{
	const char *fd = getenv("REFUSING_MARK");

	if (fd != NULL && write(atoi(fd), "!", 1) != 1)
		abort();
}

int io_uring_submit(struct io_uring *ring)
{
	static int (*submit)(struct io_uring * ring);
	static unsigned calls;

	if (submit == NULL)
		submit = (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit");
	return ++calls % 5 != 0 ? -EAGAIN : submit(ring);
}
