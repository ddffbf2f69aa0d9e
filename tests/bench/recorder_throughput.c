/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU-seconds a GB of reeve-recorder: one worker gives sealed blocks of 64 KiB (or of the size given) as fast
 * as they come back, over 8 recordings. Prints the recorder's own user and system time, the rate, and what
 * sealing itself costs the worker.
 *
 *   recorder_throughput [GB, 2] [bytes a block, 65519] [strict]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/recorder/harness.h"

#define RECORDINGS 8
#define SLABS 512

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* utime and stime of the recorder, from /proc. */
static void cpu_of(pid_t pid, double *user, double *sys)
{
	char path[64], text[1024] = "";
	unsigned long utime = 0, stime = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	if (file == NULL || fgets(text, sizeof(text), file) == NULL)
		exit(1);
	fclose(file);
	(void)sscanf(
	    strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime, &stime);
	*user = (double)utime / (double)sysconf(_SC_CLK_TCK);
	*sys = (double)stime / (double)sysconf(_SC_CLK_TCK);
}

static double sealing_cost(struct recording *recording, size_t block)
{
	static uint8_t plain[FORMAT_BLOCK_MAX], sealed[FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE];
	size_t rounds = (256u << 20) / block;
	double start = seconds(CLOCK_PROCESS_CPUTIME_ID);

	for (size_t i = 0; i < rounds; i++)
		(void)format_seal(&recording->context, plain, block, sealed);
	return (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) / ((double)(rounds * block) / 1e9);
}

/* Keeps as many slabs under way as there are; `bytes` is what a block has in it. Returns bytes given. */
static uint64_t stream(struct worker *worker, const uint8_t *bytes, size_t len, uint64_t total)
{
	uint64_t next[RECORDINGS] = {0}, given = 0, status;
	struct slab_desc desc;
	unsigned under_way = 0, turn = 0;

	while (given < total || under_way > 0) {
		while (given < total && under_way < SLABS) {
			give(worker, SLAB_REC_BLOCK, turn + 1, next[turn]++, bytes, len);
			turn = (turn + 1) % RECORDINGS;
			given += len;
			under_way++;
		}
		while (under_way > SLABS / 2 || (given >= total && under_way > 0)) {
			status = returned(worker, &desc);
			if (status != 0) {
				fprintf(stderr, "a block was refused: is the disk full?\n");
				exit(1);
			}
			under_way--;
		}
	}
	return given;
}

int main(int argc, char **argv)
{
	static uint8_t sealed[FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE];
	static struct recording recordings[RECORDINGS];
	double gb = argc > 1 ? atof(argv[1]) : 2;
	size_t block = argc > 2 ? strtoul(argv[2], NULL, 10) : FORMAT_BLOCK_MAX - FORMAT_RECORD_OVERHEAD;
	bool strict = argc > 3 && strcmp(argv[3], "strict") == 0;
	struct harness harness;
	struct slab_desc desc;
	double user, sys, before_user, before_sys;

	if (block < 1 || block > FORMAT_BLOCK_MAX - FORMAT_RECORD_OVERHEAD || gb <= 0) {
		fprintf(stderr, "usage: recorder_throughput [GB] [bytes a block, 1 to 65519] [strict]\n");
		return 2;
	}
	harness_begin(&harness);
	harness_attach(&harness, 0, SLABS);
	for (unsigned i = 0; i < RECORDINGS; i++) {
		recording_make(&recordings[i], i + 1, strict);
		give_open(&harness.workers[0], &recordings[i], false);
		(void)returned(&harness.workers[0], &desc);
	}
	cpu_of(harness.pid, &before_user, &before_sys);
	double start = seconds(CLOCK_MONOTONIC);
	uint64_t bytes = stream(&harness.workers[0], sealed, block + FORMAT_RECORD_OVERHEAD + FORMAT_TAG_SIZE,
	    (uint64_t)(gb * 1e9));
	double took = seconds(CLOCK_MONOTONIC) - start;
	cpu_of(harness.pid, &user, &sys);
	double written = (double)bytes / 1e9;
	printf("recorder: %.2f GB in blocks of %zu, %s: %.3f CPU-s/GB (user %.3f, system %.3f), %.2f GB/s, "
	       "%llu writes,"
	       " %llu flushes, %llu sleeps; sealing: %.3f CPU-s/GB\n",
	    written, block, strict ? "strict" : "best_effort",
	    (user - before_user + sys - before_sys) / written, (user - before_user) / written,
	    (sys - before_sys) / written, written / took, (unsigned long long)stat_of(&harness, "writes"),
	    (unsigned long long)stat_of(&harness, "flushes"), (unsigned long long)stat_of(&harness, "sleeps"),
	    sealing_cost(&recordings[0], block));
	harness_end(&harness);
	return 0;
}
