/* SPDX-License-Identifier: Apache-2.0 */
/* settings: what the supervisor's SUP_CONFIG_DATAPLANE says, checked, and the EAL's command line made of it.
 */
#ifndef DATAPLANE_SETTINGS_H
#define DATAPLANE_SETTINGS_H

#include "control/rpc/rpc.h"
#include "dataplane/lcore.h"
#include "dataplane/ports.h"

#define SETTINGS_EAL_MAX 32     /* further EAL arguments */
#define SETTINGS_EAL_LENGTH 256 /* of one, and of any that we make (a vdev string is the longest) */
#define SETTINGS_ARGV_MAX (SETTINGS_EAL_MAX + 2 * PORTS_MAX + 16)

struct settings {
	char netns[64];
	uint32_t lcore[LCORES_MAX];
	unsigned lcore_count;
	char eal[SETTINGS_EAL_MAX][SETTINGS_EAL_LENGTH];
	unsigned eal_count;
	struct ports ports;
	bool poll;
	uint32_t mtu, mbufs, flows, rx_descriptors, tx_descriptors, workers, generation;
	struct lcore_windows windows;
	enum tcp_congestion congestion;
	uint32_t keepalive_ms;
};

/* False: `error` says what is wrong with it. */
bool settings_read(
    struct settings *settings, const struct rpc_sup_config_dataplane *config, char *error, size_t error_size);

struct eal_arguments {
	char text[SETTINGS_ARGV_MAX][SETTINGS_EAL_LENGTH + 16];
	char *argv[SETTINGS_ARGV_MAX + 1];
	int argc;
};
/* A --file-prefix of its own: the one of a process that was killed is not free for a while. `pid`: ours. */
void settings_eal_arguments(const struct settings *settings, long pid, struct eal_arguments *out);

#endif
