/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/session_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "recorder/words.h"

/* Offset behind the last newline, looked for as far back as a line can be long. */
static off_t end_of_lines(int fd, off_t size)
{
	static char tail[2 * LOG_LINE_MAX];
	off_t from = size > (off_t)sizeof(tail) ? size - (off_t)sizeof(tail) : 0;
	ssize_t got = pread(fd, tail, (size_t)(size - from), from);
	const char *newline = got <= 0 ? NULL : memrchr(tail, '\n', (size_t)got);

	if (newline != NULL)
		return from + (newline - tail) + 1;
	return from == 0 ? 0 : size; /* not a log of ours: leave it alone */
}

int session_log_open(const struct directory *directory)
{
	struct stat st;
	int fd = directory_openat(directory, "session-log.jsonl", O_RDWR | O_CREAT | O_APPEND);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		off_t end = end_of_lines(fd, st.st_size);
		if (end < st.st_size && ftruncate(fd, end) != 0) {
			int error = errno;
			close(fd);
			return -error;
		}
	}
	return fd;
}

int session_log_append(int fd, const char *line)
{
	struct iovec parts[2] = {{(void *)(uintptr_t)line, strlen(line)}, {(void *)(uintptr_t) "\n", 1}};
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	ssize_t written = writev(fd, parts, 2);
	if (written == (ssize_t)(parts[0].iov_len + 1))
		return 0;
	int error = written < 0 ? errno : ENOSPC;
	if (ftruncate(fd, st.st_size) != 0)
		error = errno;
	return -error;
}
