/* SPDX-License-Identifier: Apache-2.0 */
/* What can be known before anything starts, each fault in one clear line. */
#include "control/reeved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE_MEMORY_MB 160 /* control, keeper, recorder, and EAL's own */
#define WORKER_MEMORY_MB 32
#define EAL_DEFAULT_MB 64 /* without -m EAL takes this under --no-huge */

static int locks[2] = {-1, -1};
static char socket_lock[SETTINGS_PATH_MAX];

/* The -m of the EAL arguments ("-m", "512" or "-m512"), in MB; 0: none. */
static unsigned long eal_memory_mb(const struct settings *s)
{
	for (unsigned i = 0; i < s->eal_count; i++) {
		if (strcmp(s->eal[i], "-m") == 0 && i + 1 < s->eal_count)
			return strtoul(s->eal[i + 1], NULL, 10);
		if (strncmp(s->eal[i], "-m", 2) == 0 && s->eal[i][2] != '\0')
			return strtoul(s->eal[i] + 2, NULL, 10);
	}
	return 0;
}

/* A line of /proc/meminfo in kB, 0 where it is not there. */
static unsigned long meminfo_kb(const char *name)
{
	char line[128];
	unsigned long value = 0;
	size_t len = strlen(name);
	FILE *file = fopen("/proc/meminfo", "re");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			value = strtoul(line + len + 1, NULL, 10);
	if (file != NULL)
		fclose(file);
	return value;
}

static bool check_memory(const struct settings *s)
{
	unsigned long mb = eal_memory_mb(s);
	unsigned long free_mb = meminfo_kb("MemAvailable") / 1024;
	unsigned long need_mb = BASE_MEMORY_MB + (unsigned long)s->worker_count * WORKER_MEMORY_MB;

	if (settings_eal_has(s, "--no-huge")) {
		need_mb += mb > 0 ? mb : EAL_DEFAULT_MB;
	} else {
		/* meminfo counts pages of the default size only; pages of another size show in Hugetlb. */
		if (meminfo_kb("HugePages_Total") == 0 && meminfo_kb("Hugetlb") == 0) {
			rpc_log(RPC_LOG_ERROR, "no hugepages: reserve some (echo 512 > "
			                       "/proc/sys/vm/nr_hugepages), or add --no-huge, "
			                       "--no-shconf, -m, \"512\" to dataplane.eal");
			return false;
		}
	}
	if (free_mb < need_mb) {
		rpc_log(RPC_LOG_ERROR,
		    "too little memory: %lu MB are available, %lu MB are needed (dataplane.eal's -m, and %u "
		    "MB a "
		    "worker)",
		    free_mb, need_mb, WORKER_MEMORY_MB);
		return false;
	}
	return true;
}

static bool check_executables(const struct reeved *reeved)
{
	char path[SETTINGS_PATH_MAX];

	for (unsigned role = RPC_CONTROL; role <= RPC_ROLE_MAX; role++)
		if (!spawn_executable(reeved->libexec, role, path)) {
			rpc_log(RPC_LOG_ERROR,
			    "reeve-%s is not there: expected an executable %s (or say --libexec)",
			    rpc_role_name(role), path);
			return false;
		}
	return true;
}

bool check_machine(struct reeved *reeved)
{
	char path[SETTINGS_PATH_MAX];

	if (geteuid() != 0) {
		rpc_log(RPC_LOG_ERROR,
		    "reeved needs root: it takes NIC ports and gives each of its processes less");
		return false;
	}
	if (!check_executables(reeved) || !check_memory(&reeved->settings))
		return false;
	if (reeved->settings.netns[0] != '\0') {
		snprintf(path, sizeof(path), "/run/netns/%s", reeved->settings.netns);
		if (access(path, F_OK) != 0) {
			rpc_log(RPC_LOG_ERROR,
			    "dataplane.netns: there is no network namespace '%s' (ip netns add %s)",
			    reeved->settings.netns, reeved->settings.netns);
			return false;
		}
	}
	/* Another reeved's killed dataplane may hold its file prefix for seconds: begin where nobody was. */
	reeved->generation = (uint32_t)getpid() % 4000000 * 1000;
	return true;
}

/* Makes `path` and what is above it (mode 0755; the last one `mode`), and shows that a file can be made
 * there. */
static bool usable_directory(const char *what, const char *path, mode_t mode)
{
	char part[SETTINGS_PATH_MAX];
	char probe[SETTINGS_PATH_MAX + 32];
	int error = 0;

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			error = errno;
		*slash = '/';
	}
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		error = errno;
	snprintf(probe, sizeof(probe), "%s/.reeved-%d", path, getpid());
	int fd = open(probe, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		rpc_log(RPC_LOG_ERROR, "%s: cannot make a file in %s: %s", what, path,
		    strerror(error != 0 ? error : errno));
		return false;
	}
	close(fd);
	unlink(probe);
	return true;
}

bool check_directories(struct reeved *reeved)
{
	const struct settings *s = &reeved->settings;
	char path[SETTINGS_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s", s->socket);
	*strrchr(path, '/') = '\0';
	if (!usable_directory("control.socket", path[0] != '\0' ? path : "/", 0755) ||
	    !usable_directory("control.state", s->state, 0700) ||
	    !usable_directory("recorder.directory", s->directory, 0700))
		return false;
	snprintf(path, sizeof(path), "%s/keeper", s->state);
	if (!usable_directory("control.state", path, 0700))
		return false;
	/* Keys lie here: whoever made it before, only its owner may look in. */
	reeved->keeper_directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (reeved->keeper_directory < 0 || fchmod(reeved->keeper_directory, 0700) != 0) {
		rpc_log(RPC_LOG_ERROR, "control.state: cannot open %s: %s", path, strerror(errno));
		return false;
	}
	if (access(s->policy, R_OK) != 0) {
		rpc_log(RPC_LOG_ERROR, "policy: cannot read %s: %s", s->policy, strerror(errno));
		return false;
	}
	return true;
}

/* Locks `path`, making it; retries when it was unlinked between open and lock. -1: somebody has it. */
static int lock_file(const char *path)
{
	struct stat held, named;

	for (unsigned tries = 0; tries < 10; tries++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			close(fd);
			return -1;
		}
		if (fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino)
			return fd;
		close(fd);
	}
	return -1;
}

bool check_lock(struct reeved *reeved)
{
	char path[SETTINGS_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/reeved.lock", reeved->settings.state);
	snprintf(socket_lock, sizeof(socket_lock), "%s.lock", reeved->settings.socket);
	locks[0] = lock_file(path);
	if (locks[0] < 0) {
		rpc_log(RPC_LOG_ERROR, "another reeved runs on control.state %s (it holds %s)",
		    reeved->settings.state, path);
		return false;
	}
	locks[1] = lock_file(socket_lock);
	if (locks[1] < 0) {
		rpc_log(RPC_LOG_ERROR, "another reeved runs on control.socket %s (it holds %s)",
		    reeved->settings.socket, socket_lock);
		return false;
	}
	/* A socket that a killed predecessor left: the lock says that nobody listens. */
	if (unlink(reeved->settings.socket) != 0 && errno != ENOENT) {
		rpc_log(RPC_LOG_ERROR, "control.socket: cannot take %s away: %s", reeved->settings.socket,
		    strerror(errno));
		return false;
	}
	return true;
}

void check_unlock(struct reeved *reeved)
{
	if (unlink(reeved->settings.socket) != 0 && errno != ENOENT)
		rpc_log(RPC_LOG_WARNING, "cannot take %s away: %s", reeved->settings.socket, strerror(errno));
	unlink(socket_lock);
	for (unsigned i = 0; i < 2; i++)
		if (locks[i] >= 0)
			close(locks[i]);
}
