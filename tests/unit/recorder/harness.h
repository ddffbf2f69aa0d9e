/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real reeve-recorder, run by a test that is supervisor, control and worker to it. Every wait is bounded;
 * what fails says so through Criterion (or stops a program that is no test).
 */
#ifndef TESTS_RECORDER_HARNESS_H
#define TESTS_RECORDER_HARNESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "control/rpc/rpc.h"
#include "dataplane/slab/slab.h"
#include "recorder/format/format.h"

#define WORKERS 2
#define WAIT_MS 30000 /* for what must come, on a machine that has much else to do */

struct worker {
	struct slab_producer *end;
	int bell; /* ours: the recorder rings it when it returns slabs */
};

struct harness {
	char directory[64];
	pid_t pid;
	struct rpc_link supervisor, control;
	int bell; /* the recorder's */
	uint32_t epoch;
	struct worker workers[WORKERS];
	uint32_t told_workers; /* how many there are, as the recorder is told; 0: WORKERS */
};

/* A recording as its worker makes it. */
struct recording {
	uint64_t flow;
	char program_id[40], session_id[40];
	bool strict;
	uint8_t secret[FORMAT_KEY_SIZE], public[FORMAT_KEY_SIZE];
	struct format_context context;
	struct format_header header;
};

/* A fresh directory under /tmp, and a recorder over it. */
void harness_begin(struct harness *harness);
void harness_spawn(struct harness *harness);
void harness_attach(struct harness *harness, unsigned worker, uint32_t slabs);
/* SIGKILL, and the channels with it, as the supervisor would see it. */
void harness_kill(struct harness *harness);
/* SUP_STOP; returns the exit status. */
int harness_stop(struct harness *harness, uint32_t grace_ms);
int harness_wait_exit(struct harness *harness);
/* Ends the recorder and removes the directory. */
void harness_end(struct harness *harness);
/* Puts the directory onto a file system whose disk has 3 MB and promises 64: what is written is taken, and
 * lost when it is flushed. `disk` is what unmounting takes. False: not here. */
bool harness_mount_liar(struct harness *harness, char disk[96]);
void harness_unmount_liar(struct harness *harness, const char *disk);

void recording_make(struct recording *recording, uint64_t flow, bool strict);
/* Seals `len` bytes as one record into `sealed`; returns its length. */
size_t recording_seal(
    struct recording *recording, uint64_t time_us, const void *data, size_t len, uint8_t *sealed);

/* Puts a slab and publishes; fails the test when none is free. */
void give(
    struct worker *worker, uint16_t type, uint64_t flow, uint64_t number, const void *bytes, size_t len);
void give_open(struct worker *worker, const struct recording *recording, bool resume);
void give_close(struct worker *worker, const struct recording *recording, uint64_t blocks);
/* With this command in the log object (JSON text, without quotes). */
void give_close_of(
    struct worker *worker, const struct recording *recording, uint64_t blocks, const char *command);
/* The next returned slab. */
uint64_t returned(struct worker *worker, struct slab_desc *desc);
/* A returned slab, if one comes within `ms`. */
bool returned_within(struct worker *worker, int ms, struct slab_desc *desc, uint64_t *status);

/* A counter by name, asked over control's link. */
uint64_t stat_of(struct harness *harness, const char *name);
/* Waits until a counter reaches `value`. */
void wait_stat(struct harness *harness, const char *name, uint64_t value, int ms);
/* REC_LIST: the rows' text (static), or "ERROR: …". */
const char *list_of(struct harness *harness, const char *filter);
/* REC_READ of everything into `bytes`; returns the length, -1 with *error set. */
ssize_t read_recording(struct harness *harness, const char *program_id, uint8_t *bytes, size_t size);

/* The path of a file of the recording ("…/YYYY/MM/DD/<id><suffix>"). */
void path_of(
    const struct harness *harness, const struct recording *recording, const char *suffix, char path[160]);
/* Reads a whole file; returns its length. */
size_t load(const char *path, uint8_t *bytes, size_t size);
/* Opens every block with the recording's key; the data of all records goes to `out`. Returns the number of
 * blocks, or -1 where something does not open. */
int decrypt(const struct recording *recording, const uint8_t *file, size_t len, struct format_header *header,
    uint8_t *out, size_t *out_len);

#endif
