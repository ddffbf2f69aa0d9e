/* SPDX-License-Identifier: Apache-2.0 */
/* Workers' slab channels: descriptors in, acknowledgements out. What comes in is a stranger's word. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "recorder/program.h"

#define DESCRIPTORS_A_TURN 256 /* of one channel, so that none starves the others */
#define WORDS_MAX (64 * 1024)  /* bytes of an open or a close */

/* -- held slabs -- */

void held_put(struct channel *channel, struct held_queue *queue, uint32_t slab)
{
	channel->held[slab].next = SLAB_NONE;
	if (queue->count++ == 0)
		queue->head = slab;
	else
		channel->held[queue->tail].next = slab;
	queue->tail = slab;
}

uint32_t held_take(struct channel *channel, struct held_queue *queue)
{
	uint32_t slab = queue->head;

	if (queue->count == 0)
		return SLAB_NONE;
	queue->head = channel->held[slab].next;
	queue->count--;
	return slab;
}

void held_return(struct channel *channel, uint32_t slab, uint64_t status)
{
	channel->held_count--;
	slab_return(channel->end, slab, status);
}

void held_return_all(struct channel *channel, struct held_queue *queue, uint64_t status)
{
	uint32_t slab;

	while ((slab = held_take(channel, queue)) != SLAB_NONE)
		held_return(channel, slab, status);
}

/* -- descriptors -- */

static void protocol_error(struct recorder *recorder, const struct channel *channel, const char *what)
{
	/* The first of each worker's faults is worth a line; a hostile worker must not fill the log. */
	if (recorder->counters.protocol_errors++ < 20)
		rpc_log(RPC_LOG_WARNING, "worker %u: %s", channel->worker, what);
}

/* -- handles whose open failed -- */

/* Its place, or REFUSED_KEPT. */
static uint32_t refused_at(const struct channel *channel, uint64_t flow)
{
	for (uint32_t i = 0; i < channel->refused_count; i++)
		if (channel->refused[i] == flow)
			return i;
	return REFUSED_KEPT;
}

static void refused_forget(struct channel *channel, uint64_t flow)
{
	uint32_t at = refused_at(channel, flow);

	if (at == REFUSED_KEPT)
		return;
	channel->refused[at] = channel->refused[--channel->refused_count];
	channel->refused_next = channel->refused_count;
}

static void refused_keep(struct channel *channel, uint64_t flow)
{
	if (refused_at(channel, flow) != REFUSED_KEPT)
		return;
	if (channel->refused_next == REFUSED_KEPT)
		channel->refused_next = 0;
	channel->refused[channel->refused_next++] = flow;
	if (channel->refused_count < channel->refused_next)
		channel->refused_count = channel->refused_next;
}

/* What its worker sent before it could know: to be answered, and no breach of the rules. */
static bool of_refused(struct recorder *recorder, struct channel *channel, const struct slab_desc *desc)
{
	if (refused_at(channel, desc->flow) == REFUSED_KEPT ||
	    (desc->type != SLAB_REC_BLOCK && desc->type != SLAB_REC_CLOSE))
		return false;
	if (desc->type == SLAB_REC_CLOSE)
		refused_forget(channel, desc->flow);
	else
		recorder->counters.blocks_refused++;
	held_return(channel, desc->slab, SLAB_STATUS_FAILED);
	return true;
}

static void read_open(
    struct recorder *recorder, struct channel *channel, const struct slab_desc *desc, const char *json)
{
	uint64_t status = SLAB_STATUS_FAILED;

	if (program_by_flow(recorder, channel, desc->flow) != NULL)
		protocol_error(recorder, channel, "opened a handle that is open");
	else {
		status = program_open(recorder, channel, desc->flow, json, desc->len);
		(status == SLAB_STATUS_FAILED ? refused_keep : refused_forget)(channel, desc->flow);
	}
	held_return(channel, desc->slab, status);
}

static void read_words(struct recorder *recorder, struct channel *channel, const struct slab_desc *desc,
    const uint8_t *bytes, struct program *program)
{
	static char json[WORDS_MAX];

	if (desc->len > sizeof(json)) {
		protocol_error(recorder, channel, "an open or close of more than 64 KiB");
		held_return(channel, desc->slab, SLAB_STATUS_FAILED);
		return;
	}
	/* Copied out: the worker can still write the slab while it is read. */
	memcpy(json, bytes, desc->len);
	if (desc->type == SLAB_REC_OPEN)
		read_open(recorder, channel, desc, json);
	else if (!program_close(recorder, program, desc->slab, json, desc->len))
		held_return(channel, desc->slab, SLAB_STATUS_FAILED);
}

/* Blocks and close of a program that the last recorder finished: all is there already. */
static void read_again(
    struct recorder *recorder, struct channel *channel, const struct slab_desc *desc, struct program *program)
{
	bool known =
	    desc->type == SLAB_REC_CLOSE || (desc->type == SLAB_REC_BLOCK && desc->arg < program->written);

	if (!known)
		protocol_error(recorder, channel, "more for a program that is finished");
	held_return(channel, desc->slab, known ? 0 : SLAB_STATUS_FAILED);
	if (desc->type == SLAB_REC_CLOSE)
		program_free(recorder, program);
}

static void read_descriptor(
    struct recorder *recorder, struct channel *channel, const struct slab_desc *desc, const uint8_t *bytes)
{
	struct program *program = program_by_flow(recorder, channel, desc->flow);

	if (bytes == NULL) {
		protocol_error(recorder, channel, "a descriptor without a slab");
		return;
	}
	channel->held_count++;
	channel->held[desc->slab] = (struct held){.bytes = bytes, .number = desc->arg, .len = desc->len};
	if (desc->type == SLAB_REC_OPEN) {
		read_words(recorder, channel, desc, bytes, NULL);
	} else if (program != NULL && program->state == PROGRAM_FINISHED) {
		read_again(recorder, channel, desc, program);
	} else if (program == NULL && of_refused(recorder, channel, desc)) {
		return;
	} else if (program == NULL || program->state != PROGRAM_OPEN) {
		protocol_error(recorder, channel, "a block or close for a handle that is not open");
		held_return(channel, desc->slab, SLAB_STATUS_FAILED);
	} else if (desc->type == SLAB_REC_BLOCK) {
		program_block(recorder, program, desc->slab, desc->arg, desc->len);
	} else if (desc->type == SLAB_REC_CLOSE) {
		read_words(recorder, channel, desc, bytes, program);
	} else {
		protocol_error(recorder, channel, "a descriptor of unknown type");
		held_return(channel, desc->slab, SLAB_STATUS_FAILED);
	}
}

static bool channel_read(struct recorder *recorder, struct channel *channel)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	unsigned count = 0;

	while (count < DESCRIPTORS_A_TURN && slab_get(channel->end, &desc, &bytes)) {
		read_descriptor(recorder, channel, &desc, bytes);
		count++;
	}
	if (slab_consumer_corrupt(channel->end) && !channel->leaving) {
		recorder->counters.channels_corrupt++;
		channel->leaving = true;
		rpc_log(RPC_LOG_ERROR,
		    "worker %u broke the rules of its slab channel: its recordings are finished",
		    channel->worker);
		rpc_blame(channel->worker, channel->epoch);
	}
	return count > 0;
}

bool channels_read(struct recorder *recorder)
{
	struct channel *channel;
	bool any = false;

	TAILQ_FOREACH(channel, &recorder->channels, link)
	any |= channel_read(recorder, channel);
	return any;
}

void channels_publish(struct recorder *recorder)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &recorder->channels, link)
	slab_consumer_publish(channel->end);
}

bool channels_asleep(struct recorder *recorder, bool asleep)
{
	struct channel *channel;
	bool ready = false;

	TAILQ_FOREACH(channel, &recorder->channels, link)
	slab_consumer_asleep(channel->end, asleep);
	TAILQ_FOREACH(channel, &recorder->channels, link)
	ready |= !slab_consumer_corrupt(channel->end) && slab_consumer_ready(channel->end);
	return ready;
}

/* -- coming and going -- */

int channel_attach(struct recorder *recorder, uint32_t worker, uint32_t epoch, int memfd, int bell)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	struct slab_consumer *end = NULL;
	int error = slab_consumer_open(&end, memfd, bell);

	if (channel != NULL && error == 0)
		channel->held =
		    calloc(SLAB_COUNT_MAX, sizeof(*channel->held)); /* touched as slabs are used */
	if (error != 0 || channel == NULL || channel->held == NULL) {
		if (error == 0)
			slab_consumer_close(end);
		free(channel);
		return error != 0 ? error : -ENOMEM;
	}
	/* A worker gets a new channel while its old one is here only when it was started again. */
	worker_lost(recorder, worker);
	channel->end = end;
	channel->worker = worker;
	channel->epoch = epoch;
	TAILQ_INSERT_TAIL(&recorder->channels, channel, link);
	return 0;
}

void worker_lost(struct recorder *recorder, uint32_t worker)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &recorder->channels, link)
	if (channel->worker == worker)
		channel->leaving = true;
}

static void channel_free(struct recorder *recorder, struct channel *channel)
{
	TAILQ_REMOVE(&recorder->channels, channel, link);
	slab_consumer_close(channel->end);
	free(channel->held);
	free(channel);
}

/* A channel that nobody fills any more goes when its last slab is dealt with: until then the kernel may be
 * reading from it. Programs that are still open on it then have lost their worker. */
static void channel_release(struct recorder *recorder, struct channel *channel)
{
	struct program *program, *next;

	for (program = TAILQ_FIRST(&recorder->programs); program != NULL; program = next) {
		next = TAILQ_NEXT(program, all);
		if (program->channel != channel)
			continue;
		program_bind(recorder, program, NULL, 0);
		if (program->state == PROGRAM_OPEN || program->state == PROGRAM_FINISHED)
			program_settle(recorder, program, "worker_lost");
	}
	channel_free(recorder, channel);
}

void channels_release(struct recorder *recorder)
{
	struct channel *channel, *next;

	for (channel = TAILQ_FIRST(&recorder->channels); channel != NULL; channel = next) {
		next = TAILQ_NEXT(channel, link);
		bool dry = slab_consumer_corrupt(channel->end) || !slab_consumer_ready(channel->end);
		if (channel->leaving && dry && channel->held_count == 0)
			channel_release(recorder, channel);
	}
}
