/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates as files beside their keys, and for how long they are good. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli/command.h"

long long parse_duration(const char *text)
{
	long long total = 0;

	if (*text == '\0')
		return -1;
	while (*text != '\0') {
		char *end;
		errno = 0;
		long long n = strtoll(text, &end, 10);
		long long unit = *end == 's'   ? 1
		                 : *end == 'm' ? 60
		                 : *end == 'h' ? 3600
		                 : *end == 'd' ? 86400
		                 : *end == 'w' ? 7 * 86400
		                               : 0;
		if (!isdigit((unsigned char)*text) || errno != 0 || unit == 0 || n > 3660LL * 86400 / unit)
			return -1;
		total += n * unit;
		text = end + 1;
	}
	return total > 0 ? total : -1;
}

bool certificate_path(const char *key_path, char *path, size_t room)
{
	size_t len = strlen(key_path);

	if (len > 4 && strcmp(key_path + len - 4, ".pub") == 0)
		len -= 4;
	return snprintf(path, room, "%.*s-cert.pub", (int)len, key_path) < (int)room;
}

int write_certificate(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t len = strlen(line);

	if (fd < 0)
		return complain("cannot write %s: %s", path, strerror(errno));
	bool written = write(fd, line, len) == (ssize_t)len && write(fd, "\n", 1) == 1;
	int error = errno;
	close(fd);
	return written ? EXIT_OK : complain("cannot write %s: %s", path, strerror(error));
}
