/* SPDX-License-Identifier: Apache-2.0 */
/* Which programs there are: by id (resume, lists, reads) and by their worker's handle (every descriptor). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/program.h"

/* FNV-1a. A worker picks ids and handles, and may make its own chains long: it slows down itself and, within
 * PROGRAMS_MAX, others by microseconds. */
static uint32_t bucket_of(const void *bytes, size_t len, uint64_t seed)
{
	const uint8_t *at = bytes;
	uint64_t hash = 0xcbf29ce484222325ull ^ seed;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 0x100000001b3ull;
	return (uint32_t)(hash >> 32) % TABLE_BUCKETS;
}

static uint32_t id_bucket(const char *program_id)
{
	return bucket_of(program_id, UUID_SIZE - 1, 0);
}

static uint32_t flow_bucket(const struct channel *channel, uint64_t flow)
{
	return bucket_of(&flow, sizeof(flow), channel->worker);
}

struct program *program_by_id(const struct recorder *recorder, const char *program_id)
{
	struct program *program = recorder->by_id[id_bucket(program_id)];

	while (program != NULL && strcmp(program->row.program_id, program_id) != 0)
		program = program->next_by_id;
	return program;
}

struct program *program_by_flow(const struct recorder *recorder, const struct channel *channel, uint64_t flow)
{
	struct program *program = recorder->by_flow[flow_bucket(channel, flow)];

	while (program != NULL && (program->channel != channel || program->flow != flow))
		program = program->next_by_flow;
	return program;
}

struct program *program_new(struct recorder *recorder, const struct index_row *row)
{
	const struct held_queue empty = {SLAB_NONE, SLAB_NONE, 0};
	struct program *program;

	if (recorder->programs_open >= recorder->programs_limit)
		return NULL;
	program = calloc(1, sizeof(*program));
	if (program == NULL)
		return NULL;
	program->owner = recorder;
	program->row = *row;
	program->fd = program->sidecar_fd = -1;
	program->close_slab = SLAB_NONE;
	program->queued = program->writing = program->unflushed = empty;
	uint32_t bucket = id_bucket(row->program_id);
	program->next_by_id = recorder->by_id[bucket];
	recorder->by_id[bucket] = program;
	TAILQ_INSERT_TAIL(&recorder->programs, program, all);
	recorder->programs_open++;
	recorder->strict_open += program->row.strict;
	return program;
}

void program_bind(struct recorder *recorder, struct program *program, struct channel *channel, uint64_t flow)
{
	if (program->channel != NULL) {
		struct program **at = &recorder->by_flow[flow_bucket(program->channel, program->flow)];
		while (*at != program)
			at = &(*at)->next_by_flow;
		*at = program->next_by_flow;
		program->channel->programs--;
	}
	program->channel = channel;
	program->flow = flow;
	if (channel != NULL) {
		uint32_t bucket = flow_bucket(channel, flow);
		channel->programs++;
		program->next_by_flow = recorder->by_flow[bucket];
		recorder->by_flow[bucket] = program;
	}
}

void program_free(struct recorder *recorder, struct program *program)
{
	struct program **at = &recorder->by_id[id_bucket(program->row.program_id)];

	program_bind(recorder, program, NULL, 0);
	while (*at != program)
		at = &(*at)->next_by_id;
	*at = program->next_by_id;
	if (program->is_ready)
		TAILQ_REMOVE(&recorder->ready, program, ready);
	if (program->is_dirty)
		TAILQ_REMOVE(&recorder->dirty, program, dirty);
	TAILQ_REMOVE(&recorder->programs, program, all);
	recorder->programs_open--;
	recorder->strict_open -= program->row.strict;
	if (program->fd >= 0)
		close(program->fd);
	if (program->sidecar_fd >= 0)
		close(program->sidecar_fd);
	if (program->ending != NULL)
		json_decref(program->ending->log);
	free(program->ending);
	free(program);
}

void program_ready(struct recorder *recorder, struct program *program)
{
	if (program->is_ready)
		return;
	program->is_ready = true;
	TAILQ_INSERT_TAIL(&recorder->ready, program, ready);
}
