/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the supervisor share; its theory of operation stands in reeved.c. */
#ifndef CONTROL_REEVED_H
#define CONTROL_REEVED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/rpc/rpc.h"
#include "control/settings/settings.h"

/* A count and the letter after its noun, for "%u link%s". */
#define PLURAL(n) (n), (n) == 1 ? "" : "s"

#define CHILDREN_MAX (4 + SETTINGS_WORKERS_MAX)
#define LEAVING_MAX 64
#define READY_TIMEOUT_US 30000000u /* from spawn to RPC_SUP_READY */
#define STEADY_US 5000000u         /* a child that lived so long may be restarted at once again */
#define RESTARTS_AT_ONCE 3u        /* quick deaths in a row before restarts are spaced */
#define RESTART_SPACING_US 1000000u
#define LINGER_US 2000000u     /* from the end of a child's link to its exit */
#define STOP_STAGE_US 3000000u /* for each stage of an orderly stop after the sessions' */

/* Slab channels: bytes of a slab and how many. The memory costs nothing until it is touched. */
#define FLOW_SLAB_SIZE SETTINGS_FLOW_SLAB
#define FLOW_SLAB_COUNT 2048u /* towards a worker, who copies out at once; the other way: send_memory */
#define RECORD_SLAB_SIZE ((uint32_t)FORMAT_BLOCK_MAX + 4096u)
#define RECORD_SLAB_COUNT 512u

enum child_state {
	CHILD_DOWN,     /* no process; restart_us says when there will be one */
	CHILD_STARTING, /* spawned; RPC_SUP_READY has not come yet */
	CHILD_UP,
};

struct child {
	enum rpc_role role;
	uint32_t index; /* a worker's number, else 0 */
	enum child_state state;
	pid_t pid;
	int pidfd; /* -1: none */
	struct rpc_link link;
	uint32_t epoch; /* of this run; what is attached to it carries it */
	int bells[SETTINGS_LCORES_MAX];
	unsigned bell_count;
	bool condemned; /* SIGKILL was sent: nothing it says counts any more */
	bool was_up;    /* has ever said READY */
	unsigned quick_deaths;
	uint64_t started_us;
	uint64_t restart_us; /* CHILD_DOWN: start it then */
	uint64_t linger_us;  /* its link ended: it is killed then, unless it has exited; 0: the link lives */
	uint32_t generation; /* of this run of the dataplane */
};

/* A process that was killed and takes its time to vanish, while its successor runs already. */
struct leaving {
	pid_t pid;
	int pidfd;
	uint32_t generation;
	char name[32];
};

enum reeved_phase { REEVED_STARTING, REEVED_SERVING, REEVED_STOPPING, REEVED_GONE };

struct reeved {
	struct settings settings;
	char libexec[SETTINGS_PATH_MAX]; /* where the executables are; empty: the build tree or the prefix */
	struct child children[CHILDREN_MAX];
	unsigned child_count;
	struct leaving leaving[LEAVING_MAX];
	unsigned leaving_count;
	enum reeved_phase phase;
	bool failed;         /* exit status 1 */
	uint32_t epoch;      /* the last one given */
	uint32_t generation; /* of the dataplane: names its EAL file prefix */
	uint32_t mtu;        /* that the dataplane is told */
	unsigned stop_stage;
	uint64_t stop_deadline_us;
	int keeper_directory;
};

uint64_t reeved_now_us(void); /* CLOCK_MONOTONIC */

/* -- reeved_spawn.c -- */
/* The path of a role's executable, or false with the places that were tried in `path`. */
bool spawn_executable(const char *libexec, enum rpc_role role, char path[SETTINGS_PATH_MAX]);
/* Starts it with `supervisor_fd` at RPC_SUPERVISOR_FD, a clean environment and no other descriptor. `cpu`
 * pins it, -1: nowhere. Returns the pid, or -errno. */
pid_t spawn(const char *path, enum rpc_role role, uint32_t index, int supervisor_fd, int cpu);

/* -- reeved_channels.c -- */
/* Bells of a child that starts. 0 or -errno. */
int channels_make_bells(const struct reeved *reeved, struct child *child);
void channels_close_bells(struct child *child);
/* Tells a starting child about its own bells. */
int channels_send_bells(struct child *child);
/* Makes all links and slab channels between two running children, as their roles ask for, with `epoch`.
 * 0 or -errno; on -errno *at_fault is who did not take them (NULL: the system had none). */
int channels_attach(
    const struct reeved *reeved, struct child *a, struct child *b, uint32_t epoch, struct child **at_fault);

/* -- reeved_configure.c -- */
/* Sends RPC_SUP_CONFIG_* of its role. 0 or -errno. */
int configure(struct reeved *reeved, struct child *child);

/* -- reeved_children.c -- */
void children_create(struct reeved *reeved);
/* Spawns and connects all. False: something is missing; the reason is logged. */
bool children_start_all(struct reeved *reeved);
/* After poll: a child's link has something (or its end), or its process ended. */
void child_link_event(struct reeved *reeved, struct child *child);
void child_exit_event(struct reeved *reeved, struct child *child);
void leaving_exit_event(struct reeved *reeved, struct leaving *leaving);
/* Restarts, time-outs and the stages of a stop that are due. Returns when it wants to be called again. */
uint64_t children_tick(struct reeved *reeved, uint64_t now_us);
void children_stop(struct reeved *reeved);
/* SIGKILL to all, at once. */
void children_kill(struct reeved *reeved);
void child_name(const struct child *child, char *name, size_t size);

/* -- reeved_leftovers.c -- Takes away what EAL left of a dataplane that is gone. */
void leftovers_remove(pid_t pid, uint32_t generation);

/* -- reeved_check.c -- What can be known before anything starts. False: logged, one line. */
bool check_machine(struct reeved *reeved);
bool check_directories(struct reeved *reeved);
/* Takes the locks of state directory and socket; they are held until the process ends. */
bool check_lock(struct reeved *reeved);
void check_unlock(struct reeved *reeved);

/* -- ports.c -- */
/* Makes the kernel silent on every kernel-visible port and turns off what would mend or merge frames. Fills
 * in reeved->mtu. False: logged. */
bool ports_prepare(struct reeved *reeved);
/* Takes off XDP programs that the dataplane left. */
void ports_release(const struct reeved *reeved);

/* -- reeved_notify.c -- Tells the service manager, where NOTIFY_SOCKET names one (sd_notify(3)). */
void notify(const char *state);

#endif
