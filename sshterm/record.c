/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/record.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The smallest piece of a data record that is worth a split at a block's end. */
#define SPLIT_MIN 1024

/* -- opening -- */

static int set_up_keys(struct recording *recording, const struct recording_facts *facts)
{
	struct format_header *header = &recording->header;

	if (facts->recipient_count == 0)
		return -1;
	if (format_seal_setup(&recording->context, facts->recipients[0], header->encapsulated) != 0)
		return -1;
	for (unsigned i = 1; i < facts->recipient_count && i < FORMAT_RECIPIENTS_MAX; i++) {
		struct format_wrapped *wrapped = &header->wrapped[header->wrapped_count];

		if (format_wrap(&recording->context, facts->recipients[i], wrapped) != 0)
			return -1;
		header->wrapped_count++;
	}
	record_channel_chain(recording->channel,
	    (struct wire_span){.at = header->encapsulated, .len = sizeof(header->encapsulated)},
	    (struct wire_span){0}, recording->chain);
	return 0;
}

struct recording *recording_open(
    struct record_channel *channel, struct session *session, const struct recording_facts *facts, char *log)
{
	struct recording *recording = calloc(1, sizeof(*recording));

	if (recording == NULL) {
		free(log);
		return NULL;
	}
	recording->channel = channel;
	recording->session = session;
	recording->session_flow = session->flow_id;
	recording->content = facts->content;
	recording->strict = facts->strict && facts->content;
	recording->log = log;
	recording->started_us = recording->last_us = worker_now_us();
	recording->header.started_at = facts->started_at;
	snprintf(recording->header.session_id, sizeof(recording->header.session_id), "%s", facts->session_id);
	snprintf(recording->header.program_id, sizeof(recording->header.program_id), "%s", facts->program_id);
	if (recording->content && set_up_keys(recording, facts) != 0) {
		recording_free(recording);
		return NULL;
	}
	record_channel_adopt(channel, recording);
	return recording;
}

void recording_free(struct recording *recording)
{
	format_context_wipe(&recording->context);
	free(recording->log);
	free(recording);
}

/* -- the batch -- */

static uint32_t batch_limit(const struct recording *recording)
{
	return record_channel_block_max(recording->channel);
}

static bool start_batch(struct recording *recording)
{
	if (recording->batch != NULL)
		return true;
	recording->batch = record_channel_buffer(recording->channel);
	if (recording->batch == NULL)
		return false;
	recording->batch_len = 0;
	/* A strict one ends when a packet waits for it; the 200 ms are for what nobody waits for (resizes).
	 */
	recording->due_us = worker_now_us() + RECORD_BATCH_US;
	record_channel_schedule(recording);
	return true;
}

static void drop_batch(struct recording *recording)
{
	if (recording->batch == NULL)
		return;
	record_channel_unschedule(recording);
	sodium_memzero(recording->batch, recording->batch_len);
	record_channel_buffer_back(recording->channel, recording->batch);
	recording->batch = NULL;
	recording->batch_len = 0;
}

bool recording_seal(struct recording *recording, bool last)
{
	if (recording->batch == NULL || recording->batch_len == 0)
		return true;
	uint32_t sealed_len = recording->batch_len + FORMAT_TAG_SIZE;
	uint8_t *bytes;
	struct sealed_block *block = record_channel_take(recording, sealed_len, &bytes);

	if (block == NULL && last)
		block = record_channel_take_heap(recording, sealed_len, &bytes);
	if (block == NULL)
		return false;
	/* Cannot fail: lengths are within bounds, and sequence numbers do not wrap within a lifetime. */
	if (format_seal(&recording->context, recording->batch, recording->batch_len, bytes) != 0)
		abort();
	record_channel_chain(recording->channel,
	    (struct wire_span){.at = recording->chain, .len = RECORD_CHAIN_SIZE},
	    (struct wire_span){.at = bytes, .len = sealed_len}, recording->chain);
	block->number = recording->next_block++;
	recording->header.data_size += recording->batch_len;
	recording->commit_us = worker_now_us();
	drop_batch(recording);
	record_channel_give(recording, block);
	return true;
}

static uint64_t now_of(struct recording *recording)
{
	uint64_t now = worker_now_us();

	if (now > recording->last_us)
		recording->last_us = now;
	return recording->last_us - recording->started_us;
}

static bool put(struct recording *recording, const struct format_record *record)
{
	struct wire_out out =
	    wire_into(recording->batch + recording->batch_len, batch_limit(recording) - recording->batch_len);

	if (!format_put_record(&out, record))
		return false;
	recording->batch_len += (uint32_t)wire_written(&out);
	return true;
}

static void lose(struct recording *recording)
{
	recording->lost_before++;
	recording->header.lost_records++;
	record_channel_count_lost(recording->channel, 1);
}

/* Opens a batch if there is none; the first record after a loss says how much is missing. */
static bool open_batch(struct recording *recording)
{
	if (recording->batch != NULL)
		return true;
	if (!start_batch(recording))
		return false;
	if (recording->lost_before > 0) {
		uint32_t lost =
		    recording->lost_before > 0xffffff ? 0xffffff : (uint32_t)recording->lost_before;

		(void)put(recording, &(struct format_record){.source = FORMAT_FROM_CLIENT,
		                         .code = FORMAT_GAP | lost,
		                         .time_us = now_of(recording)});
		recording->lost_before = 0;
	}
	return true;
}

/* Room for a record of `need` bytes in the open batch, closing a full one. False: it cannot be had now. */
static bool make_room(struct recording *recording, uint32_t need)
{
	if (!open_batch(recording))
		return false;
	if (batch_limit(recording) - recording->batch_len >= need)
		return true;
	/* What is strict never loses: the packets that wait are bounded, so is the memory taken here. */
	if (!recording_seal(recording, recording->strict))
		return false;
	return open_batch(recording);
}

void recording_event(struct recording *recording, uint32_t code)
{
	if (!recording->content || recording->failed)
		return;
	if (!make_room(recording, FORMAT_RECORD_OVERHEAD)) {
		lose(recording);
		return;
	}
	(void)put(recording, &(struct format_record){
	                         .source = FORMAT_FROM_CLIENT, .code = code, .time_us = now_of(recording)});
}

/* How much of `len` bytes goes into the batch that is open, so that bulk data fills blocks to the brim. */
static size_t piece_for(const struct recording *recording, size_t len)
{
	size_t room = batch_limit(recording) - (recording->batch == NULL ? 0 : recording->batch_len);

	if (room < FORMAT_RECORD_OVERHEAD + SPLIT_MIN || room - FORMAT_RECORD_OVERHEAD >= len) {
		size_t most = batch_limit(recording) - 2 * FORMAT_RECORD_OVERHEAD; /* a gap record may lead */

		return len < most ? len : most;
	}
	return room - FORMAT_RECORD_OVERHEAD;
}

void recording_write(
    struct recording *recording, enum format_source source, uint32_t code, struct wire_span data)
{
	if (!recording->content || recording->failed || data.len == 0)
		return;
	if (data.len > recording->largest)
		recording->largest = (uint32_t)data.len;
	while (data.len > 0) {
		size_t piece = piece_for(recording, data.len);

		if (!make_room(recording, (uint32_t)piece + FORMAT_RECORD_OVERHEAD)) {
			lose(recording);
			return;
		}
		(void)put(recording, &(struct format_record){.source = (uint8_t)source,
		                         .code = code,
		                         .time_us = now_of(recording),
		                         .data = {.at = data.at, .len = piece}});
		data.at += piece;
		data.len -= piece;
	}
}

/* Would the largest packet that is to be expected find room? */
static bool has_room(const struct recording *recording)
{
	uint32_t limit = batch_limit(recording), most = limit / 2;
	/* A gap record may lead a batch. */
	uint32_t room = limit - (recording->batch == NULL ? FORMAT_RECORD_OVERHEAD : recording->batch_len);
	if (most < recording->largest)
		most = recording->largest;
	most += FORMAT_RECORD_OVERHEAD;

	/* Of a block that ends up too short for another piece, the rest stays empty. */
	return room >= most ||
	       record_channel_could_take(recording, 1 + (most - room) / (limit - 2 * SPLIT_MIN));
}

bool recording_is_pressed(struct recording *recording)
{
	uint64_t answered = record_channel_answered_us(recording->channel);

	recording->pressed = recording->content && !recording->failed && !recording->strict &&
	                     answered + RECORD_PRESSED_US > worker_now_us() && !has_room(recording);
	return recording->pressed;
}

/* -- strict -- */

uint64_t recording_mark(const struct recording *recording)
{
	return recording->next_block + (recording->batch != NULL && recording->batch_len > 0 ? 1 : 0);
}

bool recording_is_safe(const struct recording *recording, uint64_t mark)
{
	return !recording->content || recording->acknowledged >= mark;
}

void recording_urge(struct recording *recording)
{
	uint64_t now = worker_now_us();
	uint64_t due = recording->commit_us == 0 ? now : recording->commit_us + RECORD_COMMIT_US;

	if (recording->batch == NULL)
		return;
	if (due <= now && recording_seal(recording, false))
		return;
	if (recording->due_us <= due)
		return;
	record_channel_unschedule(recording);
	recording->due_us = due;
	record_channel_schedule(recording);
}

/* -- the end -- */

void recording_close(struct recording *recording, char *log)
{
	if (recording->content && !recording->failed) {
		if (recording->lost_before > 0 && recording->batch == NULL)
			(void)open_batch(recording); /* what was lost at the very end is told too */
		(void)recording_seal(recording, true);
	}
	drop_batch(recording);
	format_context_wipe(&recording->context);
	free(recording->log);
	recording->log = log;
	recording->closed = true;
	if (recording->holders == 0)
		recording->session = NULL;
	record_channel_push(recording);
}

void recording_hold(struct recording *recording)
{
	recording->holders++;
}

void recording_unhold(struct recording *recording)
{
	recording->holders--;
	if (recording->holders > 0 || !recording->closed)
		return;
	recording->session = NULL;
	record_channel_push(recording); /* frees it if this was the last thing it waited for */
}
