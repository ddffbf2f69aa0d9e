/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What EAL leaves of a process: its run-time directory /run/dpdk/PREFIX, with sockets and memory maps in it,
 * whether it ended in order or was killed. Every dataplane has a prefix of its own (reeve-PID-GENERATION), so
 * nobody would ever reuse or remove them.
 */
#include "control/reeved.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void leftovers_remove(pid_t pid, uint32_t generation)
{
	char path[64];
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/run/dpdk/reeve-%d-%u", pid, generation);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(fd, entry->d_name, 0);
	closedir(directory);
	if (rmdir(path) != 0)
		rpc_log(RPC_LOG_WARNING, "cannot take %s away: %s", path, strerror(errno));
}
