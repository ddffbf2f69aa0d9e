/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: a worker's slab channel to the recorder, over the recorder's deaths.
 *
 * Each attached channel brings a pool of slabs. A sealed block lives in the slab it was sealed into until the
 * recorder returns that slab: the return is the acknowledgement. When the recorder dies its channel becomes
 * an *old pool*: nothing is given to it any more, but its memory stays mapped, keeps the blocks that nobody
 * has acknowledged, and goes on lending its free slabs to new blocks. When the next recorder attaches, every
 * live recording is opened again (resume), the recorder says how many whole blocks the file holds, those are
 * dropped here, and the others are copied into slabs of the new channel, in order, as room comes. An old pool
 * is unmapped when its last block has left.
 *
 * What a recording still has to say goes out in a fixed order: open; blocks; close. A recording that could
 * not say all (no slab, or the recorder has not answered its resumption yet) is on the `waiting` list and is
 * tried again when slabs came back.
 *
 * Shares. The last slabs of a pool (1/16, at least 2) are kept for opens and closes, and one recording may
 * hold at most half of a pool: a bulk transfer may lose records, but never another session's.
 *
 * The recorder is not trusted with anything but the truth of its acknowledgements: what it returns was
 * described by our own copy of the descriptor; a channel that slab.h calls corrupt is dropped like a dead
 * one.
 */
#include "sshterm/record.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFERS_KEPT 32
#define RETRY_US 5000

/* Who put a slab, and what for. */
struct slab_use {
	struct recording *recording;
	struct sealed_block *block; /* NULL: an open or close message */
};

struct slab_pool {
	struct slab_pool *next; /* older */
	struct slab_producer *end;
	uint32_t capacity, reserve;
	uint32_t blocks;       /* unacknowledged ones that lie here */
	struct slab_use *uses; /* by slab */
};

struct recording_list {
	struct recording_link *first, *last;
};

struct record_channel {
	struct worker *worker;
	struct slab_pool *current;                  /* NULL: no recorder */
	struct slab_pool *old;                      /* newest first */
	struct recording_list all, waiting, due[2]; /* due: best effort, strict; each in order of due_us */
	struct sealed_block *spare;                 /* freed nodes */
	uint8_t *buffers[BUFFERS_KEPT];
	unsigned buffers_kept;
	uint32_t block_max;
	uint64_t next_handle;
	uint64_t answered_us; /* when the recorder returned a slab last */
	EVP_MD_CTX *hash;
	EVP_MD *sha256;
	bool unpublished; /* something was put since the last publish */
	struct {
		uint64_t live, opened, blocks, bytes, acknowledged, resent, lost_records, failed, attached;
	} stats;
};

/* -- lists -- */

/* Links it in after `place` (NULL: at the front). */
static void list_insert(struct recording_list *list, struct recording_link *place,
    struct recording_link *link, struct recording *of)
{
	link->of = of;
	link->before = place;
	link->after = place == NULL ? list->first : place->after;
	*(link->before == NULL ? &list->first : &link->before->after) = link;
	*(link->after == NULL ? &list->last : &link->after->before) = link;
}

static void list_append(struct recording_list *list, struct recording_link *link, struct recording *of)
{
	if (link->of == NULL)
		list_insert(list, list->last, link, of);
}

static void list_remove(struct recording_list *list, struct recording_link *link)
{
	if (link->of == NULL)
		return;
	*(link->before == NULL ? &list->first : &link->before->after) = link->after;
	*(link->after == NULL ? &list->last : &link->after->before) = link->before;
	*link = (struct recording_link){0};
}

void record_channel_schedule(struct recording *recording)
{
	struct recording_list *list = &recording->channel->due[recording->strict];
	struct recording_link *place = list->last;

	if (recording->due.of != NULL)
		return;
	/* Deadlines are nearly constant distances, so this looks at few. */
	while (place != NULL && place->of->due_us > recording->due_us)
		place = place->before;
	list_insert(list, place, &recording->due, recording);
}

void record_channel_unschedule(struct recording *recording)
{
	list_remove(&recording->channel->due[recording->strict], &recording->due);
}

/* -- pools and blocks -- */

static struct slab_pool *pool_create(struct slab_producer *end)
{
	struct slab_pool *pool = calloc(1, sizeof(*pool));
	uint32_t capacity = slab_free_count(end);

	if (pool != NULL)
		pool->uses = calloc(capacity > 0 ? capacity : 1, sizeof(*pool->uses));
	if (pool == NULL || pool->uses == NULL) {
		free(pool);
		return NULL;
	}
	pool->end = end;
	pool->capacity = capacity;
	pool->reserve = capacity / 16 < 2 ? 2 : capacity / 16;
	return pool;
}

static void pool_destroy(struct slab_pool *pool)
{
	slab_producer_close(pool->end);
	free(pool->uses);
	free(pool);
}

/* Unmaps old pools that hold nothing any more. */
static void sweep_old(struct record_channel *channel)
{
	struct slab_pool **at = &channel->old;

	while (*at != NULL) {
		struct slab_pool *pool = *at;

		if (pool->blocks == 0 && (channel->current != NULL || pool != channel->old)) {
			*at = pool->next;
			pool_destroy(pool);
		} else {
			at = &pool->next;
		}
	}
}

static struct sealed_block *block_new(struct record_channel *channel, uint32_t len)
{
	struct sealed_block *block = channel->spare;

	if (block != NULL)
		channel->spare = block->next;
	else
		block = malloc(sizeof(*block));
	if (block != NULL)
		*block = (struct sealed_block){.len = len, .slab = SLAB_NONE};
	return block;
}

/* Leaves the block's storage. A slab that the recorder still holds comes back by itself. */
static void block_leave(struct sealed_block *block)
{
	struct slab_pool *pool = block->pool;

	free(block->heap);
	block->heap = NULL;
	if (pool == NULL)
		return;
	pool->uses[block->slab] = (struct slab_use){0};
	slab_untake(pool->end, block->slab);
	pool->blocks--;
	block->pool = NULL;
	block->slab = SLAB_NONE;
}

static void block_free(struct record_channel *channel, struct sealed_block *block)
{
	block_leave(block);
	block->next = channel->spare;
	channel->spare = block;
}

static const uint8_t *block_bytes(const struct sealed_block *block)
{
	return block->heap != NULL ? block->heap : slab_producer_bytes(block->pool->end, block->slab);
}

/* Takes a slab of the pool for this block. */
static bool block_enter(struct sealed_block *block, struct slab_pool *pool, uint8_t **bytes)
{
	if (block->len > slab_size(pool->end))
		return false;
	block->slab = slab_take(pool->end, bytes);
	if (block->slab == SLAB_NONE)
		return false;
	if (block->slab >= pool->capacity) { /* the pool was not all free when it came */
		slab_untake(pool->end, block->slab);
		block->slab = SLAB_NONE;
		return false;
	}
	block->pool = pool;
	pool->blocks++;
	return true;
}

/* Where blocks are sealed into now, NULL: no recorder has been there yet. */
static struct slab_pool *sealing_pool(const struct record_channel *channel)
{
	return channel->current != NULL ? channel->current : channel->old;
}

bool record_channel_could_take(const struct recording *recording, uint32_t slabs)
{
	struct slab_pool *pool = sealing_pool(recording->channel);

	if (pool == NULL)
		return false;
	uint32_t most = (pool->capacity + 1) / 2;
	if (most + pool->reserve > pool->capacity)
		most = pool->capacity > pool->reserve ? pool->capacity - pool->reserve : 1;
	if (slabs > most)
		slabs = most;
	return slab_free_count(pool->end) >= pool->reserve + slabs &&
	       recording->unacknowledged + slabs <= (pool->capacity + 1) / 2;
}

uint64_t record_channel_answered_us(const struct record_channel *channel)
{
	return channel->current == NULL ? 0 : channel->answered_us;
}

struct sealed_block *record_channel_take(struct recording *recording, uint32_t len, uint8_t **bytes)
{
	struct record_channel *channel = recording->channel;

	if (!record_channel_could_take(recording, 1))
		return NULL;
	struct sealed_block *block = block_new(channel, len);
	if (block != NULL && !block_enter(block, sealing_pool(channel), bytes)) {
		block_free(channel, block);
		return NULL;
	}
	return block;
}

struct sealed_block *record_channel_take_heap(struct recording *recording, uint32_t len, uint8_t **bytes)
{
	struct sealed_block *block = block_new(recording->channel, len);

	if (block == NULL)
		return NULL;
	block->heap = malloc(len);
	if (block->heap == NULL) {
		block_free(recording->channel, block);
		return NULL;
	}
	*bytes = block->heap;
	return block;
}

/* -- what the recorder is told -- */

static bool give(struct record_channel *channel, struct recording *recording, struct sealed_block *block,
    const struct slab_desc *desc)
{
	struct slab_pool *pool = channel->current;

	if (!slab_put(pool->end, desc))
		return false; /* corrupt: the next poll drops the channel */
	pool->uses[desc->slab] = (struct slab_use){.recording = recording, .block = block};
	channel->unpublished = true;
	return true;
}

/* {"program_id", "session_id", …}: the open message; malloc'ed. */
static char *open_message(const struct recording *recording, bool closing)
{
	char *header_text = format_header_json(&recording->header);
	json_t *header = header_text == NULL ? NULL : json_loads(header_text, 0, NULL);
	json_t *log = recording->log == NULL ? NULL : json_loads(recording->log, 0, NULL);
	json_t *message = json_object();
	char *text = NULL;

	free(header_text);
	if (!recording->content && header != NULL)
		json_object_del(header, "encapsulated_key");
	if (!closing) {
		json_object_set_new(message, "program_id", json_string(recording->header.program_id));
		json_object_set_new(message, "session_id", json_string(recording->header.session_id));
		json_object_set_new(message, "strict", json_boolean(recording->strict));
		json_object_set_new(message, "resume", json_boolean(recording->told));
		json_object_set_new(message, "record", json_boolean(recording->content));
	} else {
		json_object_set_new(message, "blocks", json_integer((json_int_t)recording->next_block));
	}
	json_object_set_new(message, "header", header != NULL ? header : json_object());
	json_object_set_new(message, "log", log != NULL ? log : json_object());
	text = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	return text;
}

/* Gives an open or close message. False: no slab now. */
static bool give_message(struct recording *recording, enum slab_to_recorder type)
{
	struct record_channel *channel = recording->channel;
	struct slab_pool *pool = channel->current;
	uint8_t *bytes;
	uint32_t slab = slab_take(pool->end, &bytes);

	if (slab == SLAB_NONE)
		return false;
	char *text = open_message(recording, type == SLAB_REC_CLOSE);
	size_t len = text == NULL ? 0 : strlen(text);
	bool given = false;

	if (len > 0 && len <= slab_size(pool->end) && slab < pool->capacity) {
		memcpy(bytes, text, len); /* NOLINT(bugprone-not-null-terminated-result): .len tells */
		given = give(channel, recording, NULL,
		    &(struct slab_desc){.slab = slab,
		        .len = (uint32_t)len,
		        .type = (uint16_t)type,
		        .flow = recording->handle});
	}
	free(text);
	if (!given)
		slab_untake(pool->end, slab);
	return given;
}

/* Gives one block, from wherever it lies. False: no slab now. */
static bool give_block(struct recording *recording, struct sealed_block *block)
{
	struct record_channel *channel = recording->channel;
	struct slab_pool *pool = channel->current;

	if (block->pool != pool) {
		struct sealed_block moved = {.len = block->len, .slab = SLAB_NONE};
		uint8_t *bytes;

		if (slab_free_count(pool->end) <= pool->reserve || !block_enter(&moved, pool, &bytes))
			return false;
		memcpy(bytes, block_bytes(block), block->len);
		block_leave(block);
		block->pool = moved.pool;
		block->slab = moved.slab;
		channel->stats.resent++;
	}
	struct slab_desc desc = {
	    .slab = block->slab,
	    .len = block->len,
	    .type = SLAB_REC_BLOCK,
	    .flow = recording->handle,
	    .arg = block->number,
	};
	block->given = give(channel, recording, block, &desc);
	return block->given;
}

/* Says all that can be said now. True: nothing is left to be said (but answers may be). */
static bool say(struct recording *recording)
{
	bool fresh = !recording->told;

	if (recording->stage == RECORDING_UNTOLD) {
		if (!give_message(recording, SLAB_REC_OPEN))
			return false;
		recording->told = true;
		/* A new file takes blocks at once; a resumed one only when the recorder has said from where.
		 */
		recording->stage = fresh ? RECORDING_OPEN : RECORDING_OPENING;
	}
	if (recording->stage == RECORDING_OPENING)
		return true; /* its answer comes back here */
	while (recording->ungiven != NULL) {
		if (!give_block(recording, recording->ungiven))
			return false;
		recording->ungiven = recording->ungiven->next;
	}
	if (recording->closed && recording->stage == RECORDING_OPEN) {
		if (!give_message(recording, SLAB_REC_CLOSE))
			return false;
		recording->stage = RECORDING_CLOSING;
	}
	return true;
}

/* Out of the channel, with all it still holds. */
static void forget(struct recording *recording)
{
	struct record_channel *channel = recording->channel;

	while (recording->first != NULL) {
		struct sealed_block *block = recording->first;

		recording->first = block->next;
		block_free(channel, block);
	}
	list_remove(&channel->all, &recording->all);
	list_remove(&channel->waiting, &recording->waiting);
	record_channel_unschedule(recording);
	channel->stats.live--;
	recording_free(recording);
}

/* Says what it can and keeps the lists right; the recording may be gone afterwards. */
static void push(struct recording *recording)
{
	struct record_channel *channel = recording->channel;

	if (recording->stage == RECORDING_DONE) {
		if (recording->holders == 0)
			forget(recording);
		return;
	}
	if (channel->current != NULL && say(recording))
		list_remove(&channel->waiting, &recording->waiting);
	else
		list_append(&channel->waiting, &recording->waiting, recording);
}

static void publish(struct record_channel *channel)
{
	if (channel->unpublished && channel->current != NULL)
		slab_publish(channel->current->end);
	channel->unpublished = false;
}

void record_channel_push(struct recording *recording)
{
	struct record_channel *channel = recording->channel;

	push(recording);
	publish(channel);
}

void record_channel_adopt(struct record_channel *channel, struct recording *recording)
{
	recording->handle = channel->next_handle++;
	list_append(&channel->all, &recording->all, recording);
	/* Told at the next push: the caller still fills in the header. The list makes sure that it comes. */
	list_append(&channel->waiting, &recording->waiting, recording);
	channel->stats.live++;
	channel->stats.opened++;
}

void record_channel_give(struct recording *recording, struct sealed_block *block)
{
	struct record_channel *channel = recording->channel;

	*(recording->last == NULL ? &recording->first : &recording->last->next) = block;
	recording->last = block;
	if (recording->ungiven == NULL)
		recording->ungiven = block;
	recording->unacknowledged++;
	channel->stats.blocks++;
	channel->stats.bytes += block->len;
	record_channel_push(recording);
}

/* -- what the recorder answers -- */

/* It cannot store this one (disk full, I/O error): what is in its hands stays there, the rest is given up. */
static void fail(struct recording *recording, const char *what)
{
	struct record_channel *channel = recording->channel;

	if (recording->failed)
		return;
	rpc_log(RPC_LOG_ERROR, "recording of program %s is broken after %llu blocks: %s",
	    recording->header.program_id, (unsigned long long)recording->acknowledged, what);
	recording->failed = true;
	channel->stats.failed++;
	snprintf(recording->header.close_reason, sizeof(recording->header.close_reason), "recording_failed");
	for (struct sealed_block *block = recording->ungiven; block != NULL; block = block->next) {
		block_leave(block);
		block->acknowledged = true;
	}
	recording->ungiven = NULL;
	/* Control was told with the program's end that all is well so far. */
	if (recording->closed && recording->content)
		worker_program_broken(channel->worker, recording->session_flow, recording->header.program_id);
	if (recording->session != NULL)
		session_wake(recording->session);
}

/* Drops what is acknowledged from the head, in order; strict waits for nothing else. */
static void settle(struct recording *recording)
{
	bool progress = false;

	while (recording->first != NULL && recording->first->acknowledged) {
		struct sealed_block *block = recording->first;

		recording->first = block->next;
		if (recording->first == NULL)
			recording->last = NULL;
		if (!recording->failed)
			recording->acknowledged = block->number + 1;
		recording->unacknowledged--;
		block_free(recording->channel, block);
		progress = true;
	}
	if (progress && (recording->strict || recording->pressed) && recording->session != NULL)
		session_wake(recording->session);
}

static void opened(struct recording *recording, uint64_t held)
{
	if (held == SLAB_STATUS_FAILED) {
		fail(recording, "the recorder could not open its file");
	} else if (held < recording->acknowledged) {
		fail(recording, "the recorder lost blocks that it had acknowledged");
	} else if (recording->stage == RECORDING_OPENING) {
		for (struct sealed_block *block = recording->first; block != NULL && block->number < held;
		     block = block->next) {
			block->acknowledged = true;
			recording->ungiven = block->next;
		}
		settle(recording);
	}
	if (recording->stage == RECORDING_OPENING)
		recording->stage = RECORDING_OPEN;
}

static void take_answer(struct record_channel *channel, const struct slab_desc *desc, uint64_t status)
{
	struct slab_pool *pool = channel->current;
	struct slab_use use = pool->uses[desc->slab];
	struct recording *recording = use.recording;

	pool->uses[desc->slab] = (struct slab_use){0};
	if (use.block != NULL) { /* its slab is free already */
		use.block->pool = NULL;
		use.block->slab = SLAB_NONE;
		use.block->acknowledged = true;
		pool->blocks--;
	}
	if (recording == NULL)
		return;
	if (desc->type == SLAB_REC_OPEN)
		opened(recording, status);
	else if (status != 0)
		fail(recording, "the recorder could not write");
	settle(recording);
	if (desc->type == SLAB_REC_BLOCK && use.block != NULL)
		channel->stats.acknowledged++;
	if (desc->type == SLAB_REC_CLOSE)
		recording->stage = RECORDING_DONE;
	if (desc->type != SLAB_REC_BLOCK)
		push(recording);
}

static bool take_answers(struct record_channel *channel)
{
	struct slab_desc desc;
	uint64_t status;
	bool any = false;

	while (channel->current != NULL && slab_reclaim(channel->current->end, &desc, &status, false)) {
		any = true;
		channel->answered_us = worker_now_us();
		if (desc.slab < channel->current->capacity)
			take_answer(channel, &desc, status);
	}
	return any;
}

/* -- attaching, detaching -- */

void record_channel_detach(struct record_channel *channel)
{
	struct slab_pool *pool = channel->current;

	if (pool == NULL)
		return;
	(void)take_answers(channel); /* what it had acknowledged before it died holds */
	pool->next = channel->old;
	channel->old = pool;
	channel->current = NULL;
	/* A message that was on its way is said again to the next; blocks are found by their recordings. */
	for (struct recording_link *at = channel->all.first; at != NULL; at = at->after) {
		struct recording *recording = at->of;

		if (recording->stage == RECORDING_DONE)
			continue;
		recording->stage = RECORDING_UNTOLD;
		recording->ungiven = recording->failed ? NULL : recording->first;
		for (struct sealed_block *block = recording->first; block != NULL; block = block->next)
			block->given = false;
		list_append(&channel->waiting, &recording->waiting, recording);
	}
	sweep_old(channel);
}

static void push_waiting(struct record_channel *channel)
{
	struct recording_link *at = channel->waiting.first;

	while (at != NULL && channel->current != NULL && slab_free_count(channel->current->end) > 0) {
		struct recording *recording = at->of;

		at = at->after; /* push takes this one off, or off the world, and no other */
		push(recording);
	}
	publish(channel);
}

void record_channel_attach(struct record_channel *channel, struct slab_producer *end)
{
	record_channel_detach(channel);
	channel->current = pool_create(end);
	if (channel->current == NULL) {
		rpc_log(RPC_LOG_ERROR, "no memory for the channel to the recorder");
		slab_producer_close(end);
		return;
	}
	channel->stats.attached++;
	channel->answered_us = worker_now_us();
	if (slab_size(end) > FORMAT_TAG_SIZE + 1024 && slab_size(end) - FORMAT_TAG_SIZE < channel->block_max)
		channel->block_max = slab_size(end) - FORMAT_TAG_SIZE;
	push_waiting(channel);
}

bool record_channel_up(const struct record_channel *channel)
{
	return channel->current != NULL;
}

/* -- the worker's loop -- */

static bool close_due(struct record_channel *channel, struct recording_list *list, uint64_t now_us)
{
	bool any = false;

	while (list->first != NULL && list->first->of->due_us <= now_us) {
		struct recording *recording = list->first->of;

		any = true;
		if (recording_seal(recording, false))
			continue;
		/* No slab: look again soon (a returned slab wakes the worker earlier, too). */
		record_channel_unschedule(recording);
		recording->due_us = now_us + RETRY_US;
		record_channel_schedule(recording);
	}
	(void)channel;
	return any;
}

bool record_channel_poll(struct record_channel *channel, uint64_t now_us)
{
	bool any = take_answers(channel);

	if (channel->current != NULL && slab_producer_corrupt(channel->current->end)) {
		rpc_log(RPC_LOG_ERROR, "the recorder's channel is corrupt; it is dropped");
		record_channel_detach(channel);
		any = true;
	}
	if (any || channel->waiting.first != NULL)
		push_waiting(channel);
	any |= close_due(channel, &channel->due[1], now_us);
	any |= close_due(channel, &channel->due[0], now_us);
	if (channel->old != NULL)
		sweep_old(channel);
	return any;
}

uint64_t record_channel_deadline(const struct record_channel *channel)
{
	uint64_t deadline = UINT64_MAX;

	for (unsigned i = 0; i < 2; i++) {
		const struct recording_link *first = channel->due[i].first;

		if (first != NULL && first->of->due_us < deadline)
			deadline = first->of->due_us;
	}
	return deadline;
}

void record_channel_asleep(struct record_channel *channel, bool asleep)
{
	if (channel->current != NULL)
		slab_producer_asleep(channel->current->end, asleep ? SLAB_WAIT_SLABS : 0);
}

bool record_channel_ready(const struct record_channel *channel)
{
	return channel->current != NULL && slab_producer_ready(channel->current->end);
}

bool record_channel_settled(const struct record_channel *channel)
{
	return channel->all.first == NULL;
}

/* -- what recordings borrow -- */

uint8_t *record_channel_buffer(struct record_channel *channel)
{
	if (channel->buffers_kept > 0)
		return channel->buffers[--channel->buffers_kept];
	return malloc(FORMAT_BLOCK_MAX);
}

void record_channel_buffer_back(struct record_channel *channel, uint8_t *buffer)
{
	if (channel->buffers_kept < BUFFERS_KEPT)
		channel->buffers[channel->buffers_kept++] = buffer;
	else
		free(buffer);
}

uint32_t record_channel_block_max(const struct record_channel *channel)
{
	return channel->block_max;
}

void record_channel_chain(struct record_channel *channel, struct wire_span first, struct wire_span second,
    uint8_t chain[RECORD_CHAIN_SIZE])
{
	/* Digests cannot fail once the context was made (no allocation, no provider fetch). */
	if (EVP_DigestInit_ex(channel->hash, channel->sha256, NULL) != 1 ||
	    EVP_DigestUpdate(channel->hash, first.at, first.len) != 1 ||
	    (second.len > 0 && EVP_DigestUpdate(channel->hash, second.at, second.len) != 1) ||
	    EVP_DigestFinal_ex(channel->hash, chain, NULL) != 1)
		abort();
}

void record_channel_count_lost(struct record_channel *channel, uint64_t records)
{
	channel->stats.lost_records += records;
}

/* -- life -- */

struct record_channel *record_channel_create(struct worker *worker)
{
	struct record_channel *channel = calloc(1, sizeof(*channel));

	if (channel == NULL)
		return NULL;
	channel->worker = worker;
	channel->block_max = FORMAT_BLOCK_MAX;
	channel->next_handle = 1;
	channel->hash = EVP_MD_CTX_new();
	channel->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (channel->hash == NULL || channel->sha256 == NULL) {
		record_channel_destroy(channel);
		return NULL;
	}
	return channel;
}

void record_channel_destroy(struct record_channel *channel)
{
	if (channel == NULL)
		return;
	while (channel->all.first != NULL) {
		struct recording *recording = channel->all.first->of;

		if (recording->batch != NULL)
			sodium_memzero(recording->batch, recording->batch_len);
		free(recording->batch);
		forget(recording);
	}
	while (channel->spare != NULL) {
		struct sealed_block *next = channel->spare->next;

		free(channel->spare);
		channel->spare = next;
	}
	while (channel->buffers_kept > 0)
		free(channel->buffers[--channel->buffers_kept]);
	if (channel->current != NULL)
		pool_destroy(channel->current);
	while (channel->old != NULL) {
		struct slab_pool *next = channel->old->next;

		pool_destroy(channel->old);
		channel->old = next;
	}
	EVP_MD_CTX_free(channel->hash);
	EVP_MD_free(channel->sha256);
	free(channel);
}

size_t record_channel_stats(const struct record_channel *channel, char *text, size_t size)
{
	int len = snprintf(text, size,
	    "recordings_live %llu\nrecordings_opened %llu\nrecordings_failed %llu\nblocks_sealed %llu\n"
	    "bytes_sealed %llu\nblocks_acknowledged %llu\nblocks_resent %llu\nrecords_lost %llu\n"
	    "recorder_attached %llu\nrecorder_up %u\nrecorder_slabs_free %u\n",
	    (unsigned long long)channel->stats.live, (unsigned long long)channel->stats.opened,
	    (unsigned long long)channel->stats.failed, (unsigned long long)channel->stats.blocks,
	    (unsigned long long)channel->stats.bytes, (unsigned long long)channel->stats.acknowledged,
	    (unsigned long long)channel->stats.resent, (unsigned long long)channel->stats.lost_records,
	    (unsigned long long)channel->stats.attached, channel->current != NULL,
	    channel->current != NULL ? slab_free_count(channel->current->end) : 0);

	return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size == 0 ? 0 : size - 1;
}
