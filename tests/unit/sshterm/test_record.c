/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings and their channel, with a recorder played by hand and time that stands still until told. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sshterm/channels.h"
#include "sshterm/record.h"

#define SLAB_BYTES (66 * 1024)
#define FILE_MAX (8 * 1024 * 1024)

static struct {
	uint64_t now;
	unsigned wakes;
	struct record_channel *channel;
	struct slab_consumer *recorder;
	struct session session;
	uint8_t secret[32], public[32];
	/* one program's file, as the recorder would have it */
	uint8_t file[FILE_MAX];
	size_t file_len;
	uint64_t held;
	json_t *open, *close;
	unsigned opens, closes;
	unsigned broken; /* programs of which control was told so after their end */
} bench;

uint64_t worker_now_us(void)
{
	return bench.now;
}

void session_wake(struct session *session)
{
	cr_assert_eq(session, &bench.session);
	bench.wakes++;
}

void worker_program_broken(struct worker *worker, uint64_t flow, const char *program_id)
{
	(void)worker;
	cr_assert_eq(flow, bench.session.flow_id);
	cr_assert_str_eq(program_id, "program-1");
	bench.broken++;
}

struct record_channel *worker_record_channel(struct worker *worker)
{
	(void)worker;
	return bench.channel;
}

/* Not used by recordings; bridge_dep's other files want them. */
void session_wait(struct session *session, uint64_t deadline_us)
{
	(void)session;
	bench.now = deadline_us;
}

static void attach(uint32_t slabs)
{
	struct slab_producer *end;
	int memfd = slab_create(slabs, SLAB_BYTES, 1);

	cr_assert_geq(memfd, 0);
	if (bench.recorder != NULL)
		slab_consumer_close(bench.recorder);
	cr_assert_eq(slab_producer_open(&end, dup(memfd), -1), 0);
	cr_assert_eq(slab_consumer_open(&bench.recorder, memfd, -1), 0);
	record_channel_attach(bench.channel, end);
}

static void begin(uint32_t slabs)
{
	memset(&bench, 0, sizeof(bench));
	bench.now = 1000000;
	format_keypair(bench.secret, bench.public);
	bench.channel = record_channel_create(NULL);
	if (slabs > 0)
		attach(slabs);
}

static void finish(void)
{
	record_channel_destroy(bench.channel);
	slab_consumer_close(bench.recorder);
	json_decref(bench.open);
	json_decref(bench.close);
}

static struct recording *start(bool strict, bool content)
{
	struct recording *recording = recording_open(bench.channel, &bench.session,
	    &(struct recording_facts){.program_id = "program-1",
	        .session_id = "session-1",
	        .content = content,
	        .strict = strict,
	        .recipients = (const uint8_t(*)[32]) & bench.public,
	        .recipient_count = 1,
	        .started_at = 1700000000},
	    strdup("{\"ProgramID\":\"program-1\"}"));

	cr_assert_not_null(recording);
	record_channel_push(recording);
	return recording;
}

static void say(struct recording *recording, const char *text)
{
	recording_write(recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, wire_span_of(text));
}

/* The recorder takes up to `most` messages; each is acknowledged with its right status, or `status` if not 0.
 */
static unsigned recorder_takes(unsigned most, uint64_t status)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	unsigned taken = 0;

	while (taken < most && slab_get(bench.recorder, &desc, &bytes)) {
		uint64_t answer = 0;

		taken++;
		if (desc.type == SLAB_REC_OPEN) {
			json_decref(bench.open);
			bench.open = json_loadb((const char *)bytes, desc.len, 0, NULL);
			bench.opens++;
			answer = bench.held;
		} else if (desc.type == SLAB_REC_CLOSE) {
			json_decref(bench.close);
			bench.close = json_loadb((const char *)bytes, desc.len, 0, NULL);
			bench.closes++;
		} else if (status == 0) {
			cr_assert_eq(desc.arg, bench.held, "expected block %llu, got %llu",
			    (unsigned long long)bench.held, (unsigned long long)desc.arg);
			struct wire_out out =
			    wire_into(bench.file + bench.file_len, FILE_MAX - bench.file_len);
			wire_put_string(&out, bytes, desc.len);
			bench.file_len += wire_written(&out);
			bench.held++;
		}
		slab_return(bench.recorder, desc.slab, status != 0 ? status : answer);
	}
	slab_consumer_publish(bench.recorder);
	return taken;
}

static void poll_at(uint64_t now)
{
	bench.now = now;
	while (record_channel_poll(bench.channel, now))
		;
}

/* Everything that is on its way arrives. */
static void settle(void)
{
	for (unsigned i = 0; i < 100; i++) {
		recorder_takes(~0u, 0);
		poll_at(bench.now);
	}
}

/* Opens the file: records as text "<source><code> <data>;", gaps as "gap n;", events as "event;". */
static char *opened(const uint8_t encapsulated[32])
{
	static char text[65536];
	static uint8_t plain[FORMAT_BLOCK_MAX];
	struct format_context context;
	struct wire in = wire_over(bench.file, bench.file_len);
	uint64_t last = 0;
	size_t len = 0;

	text[0] = '\0';
	cr_assert_eq(format_open_setup(&context, bench.secret, encapsulated), 0);
	while (wire_left(&in) > 0) {
		struct wire_span sealed = wire_string(&in);
		struct format_record record;

		cr_assert_eq(format_open(&context, sealed.at, sealed.len, plain), 0);
		struct wire records = wire_over(plain, sealed.len - FORMAT_TAG_SIZE);
		while (format_get_record(&records, &record)) {
			cr_assert_geq(record.time_us, last);
			last = record.time_us;
			if ((record.code & 0xff000000u) == FORMAT_GAP)
				len += (size_t)snprintf(
				    text + len, sizeof(text) - len, "gap %u;", record.code & 0xffffff);
			else if (record.code >= FORMAT_EVENT)
				len += (size_t)snprintf(text + len, sizeof(text) - len, "event;");
			else if (record.data.len < 40)
				len += (size_t)snprintf(text + len, sizeof(text) - len, "%u%u %.*s;",
				    record.source, record.code, (int)record.data.len, record.data.at);
			else
				len +=
				    (size_t)snprintf(text + len, sizeof(text) - len, "%zu;", record.data.len);
		}
		cr_assert(wire_done(&records));
	}
	return text;
}

static void copy_key(const struct recording *recording, uint8_t out[32])
{
	memcpy(out, recording->header.encapsulated, 32);
}

Test(record, a_batch_closes_after_200_ms)
{
	uint8_t key[32];

	begin(16);
	struct recording *recording = start(false, true);
	copy_key(recording, key);
	say(recording, "one");
	bench.now += 1000;
	recording_event(recording, FORMAT_RESIZE | 80 << 12 | 24);
	say(recording, "two");
	cr_expect_eq(record_channel_deadline(bench.channel), 1200000);
	poll_at(1199999);
	settle();
	cr_expect_eq(bench.held, 0, "nothing before its time");
	poll_at(1200000);
	settle();
	cr_expect_eq(bench.held, 1, "expected 1 block, got %llu", (unsigned long long)bench.held);
	cr_expect_str_eq(opened(key), "10 one;event;10 two;");
	cr_expect_null(recording->batch, "an idle program has no buffer");
	cr_expect_eq(record_channel_deadline(bench.channel), UINT64_MAX);
	say(recording, "three");
	recording_close(recording, strdup("{\"Error\":\"\"}"));
	settle();
	cr_expect_str_eq(opened(key), "10 one;event;10 two;10 three;");
	cr_expect_eq(json_integer_value(json_object_get(bench.close, "blocks")), 2);
	cr_expect(record_channel_settled(bench.channel));
	finish();
}

Test(record, messages)
{
	begin(16);
	struct recording *recording = start(true, true);

	settle();
	cr_expect_str_eq(json_string_value(json_object_get(bench.open, "program_id")), "program-1");
	cr_expect_str_eq(json_string_value(json_object_get(bench.open, "session_id")), "session-1");
	cr_expect(json_is_true(json_object_get(bench.open, "strict")));
	cr_expect(json_is_false(json_object_get(bench.open, "resume")));
	cr_expect_not_null(json_object_get(json_object_get(bench.open, "header"), "encapsulated_key"));
	cr_expect_str_eq(
	    json_string_value(json_object_get(json_object_get(bench.open, "log"), "ProgramID")), "program-1");
	recording_close(recording, strdup("{}"));
	settle();
	cr_expect_eq(json_integer_value(json_object_get(bench.close, "blocks")), 0, "no empty block");

	recording = start(false, false);
	say(recording, "unrecorded");
	settle();
	cr_expect(json_is_false(json_object_get(bench.open, "record")));
	cr_expect_null(json_object_get(json_object_get(bench.open, "header"), "encapsulated_key"));
	recording_close(recording, strdup("{}"));
	settle();
	cr_expect_eq(bench.held, 0);
	cr_expect_eq(bench.closes, 2);
	cr_expect(record_channel_settled(bench.channel));
	finish();
}

Test(record, large_data_is_split_and_fills_blocks)
{
	static uint8_t data[200000];
	uint8_t key[32];

	begin(64);
	struct recording *recording = start(false, true);
	copy_key(recording, key);
	memset(data, 'x', sizeof(data));
	say(recording, "small");
	recording_write(recording, FORMAT_FROM_CLIENT, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
	recording_close(recording, strdup("{}"));
	settle();
	cr_expect_eq(bench.held, 4, "expected 4 blocks, got %llu", (unsigned long long)bench.held);
	cr_expect_str_eq(opened(key), "10 small;65497;65502;65502;3499;", "got %s", opened(key));
	finish();
}

Test(record, the_chain_covers_the_sealed_blocks)
{
	uint8_t chain[32], input[32 + SLAB_BYTES];

	begin(16);
	struct recording *recording = start(false, true);
	SHA256(recording->header.encapsulated, 32, chain);
	for (unsigned i = 0; i < 3; i++) {
		say(recording, "block");
		poll_at(bench.now + RECORD_BATCH_US);
	}
	settle();
	struct wire in = wire_over(bench.file, bench.file_len);
	while (wire_left(&in) > 0) {
		struct wire_span sealed = wire_string(&in);

		memcpy(input, chain, 32);
		memcpy(input + 32, sealed.at, sealed.len);
		SHA256(input, 32 + sealed.len, chain);
	}
	cr_expect_arr_eq(recording->chain, chain, 32);
	finish();
}

/* A full pool: records are discarded before sealing, counted, and the next block says so first. */
Test(record, gaps)
{
	static uint8_t data[30000];
	uint8_t key[32];

	begin(8); /* 2 in reserve; half of 8 for one recording */
	struct recording *recording = start(false, true);
	copy_key(recording, key);
	memset(data, 'y', sizeof(data));
	for (unsigned i = 0; i < 20; i++)
		recording_write(
		    recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
	uint64_t lost = recording->header.lost_records;
	cr_expect_gt(lost, 0, "something had to be lost");
	cr_expect_lt(lost, 14, "what fits is kept; lost %llu", (unsigned long long)lost);
	settle();
	say(recording, "after");
	poll_at(bench.now + 2 * RECORD_BATCH_US);
	recording_close(recording, strdup("{}"));
	settle();
	char *text = opened(key), expected[64];
	snprintf(expected, sizeof(expected), "gap %llu;10 after;", (unsigned long long)lost);
	cr_expect_not_null(strstr(text, expected), "expected to hold '%s', got '%s'", expected, text);
	cr_expect_eq(
	    json_integer_value(json_object_get(json_object_get(bench.close, "header"), "lost_records")),
	    (json_int_t)lost);
	cr_expect(record_channel_settled(bench.channel));
	finish();
}

Test(record, slow_recorders_press_dead_ones_do_not)
{
	static uint8_t data[30000];

	begin(8);
	struct recording *recording = start(false, true);
	unsigned written = 0;
	while (!recording_is_pressed(recording) && written < 100) {
		recording_write(
		    recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
		written++;
	}
	cr_expect_lt(written, 100);
	cr_expect_eq(recording->header.lost_records, 0, "pressed before anything is lost");
	bench.wakes = 0;
	recorder_takes(2, 0);
	poll_at(bench.now);
	cr_expect_gt(bench.wakes, 0, "acknowledgements wake it");
	cr_expect_not(recording_is_pressed(recording));
	while (!recording_is_pressed(recording))
		recording_write(
		    recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
	bench.now += RECORD_PRESSED_US;
	cr_expect_not(recording_is_pressed(recording), "a recorder that does not answer slows nobody down");
	finish();
}

/* A packet of the largest size is several blocks: none of them is to be missed in the middle of it. */
Test(record, large_packets_are_waited_for_until_there_is_room)
{
	static uint8_t data[CHANNEL_PACKET_MAX];
	unsigned written = 0;

	begin(32);
	struct recording *recording = start(false, true);
	while (!recording_is_pressed(recording) && ++written < 100)
		recording_write(
		    recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
	cr_expect_geq(written, 3, "pressed after %u packets", written);
	cr_expect_eq(recording->header.lost_records, 0, "and before anything is lost");
	finish();
	/* Who has too few slabs for that is not slowed down for ever. */
	begin(8);
	recording = start(false, true);
	recording_write(recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
	recorder_takes(100, 0);
	poll_at(bench.now);
	cr_expect_not(recording_is_pressed(recording), "all slabs are free");
	finish();
}

/* What stands before a record's bytes takes room, too: a packet that its bytes alone would fit is none. */
Test(record, room_is_for_whole_records)
{
	static uint8_t data[40000];

	for (uint32_t spare = 0; spare <= FORMAT_RECORD_OVERHEAD; spare++) {
		begin(8);
		struct recording *recording = start(false, true);
		struct wire_span largest = {data, sizeof(data)};
		uint32_t limit = record_channel_block_max(bench.channel);
		recording_write(recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, largest);
		while (record_channel_could_take(recording, 1))
			recording_write(
			    recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, 5000});
		/* No slab is to be had; in the batch that is open so much room is left. */
		recording_write(recording, FORMAT_FROM_ORIGIN, FORMAT_DATA,
		    (struct wire_span){
		        data, limit - recording->batch_len - largest.len - spare - FORMAT_RECORD_OVERHEAD});
		cr_assert_eq(limit - recording->batch_len, largest.len + spare);
		bool pressed = recording_is_pressed(recording);
		cr_expect_eq(pressed, spare < FORMAT_RECORD_OVERHEAD, "%u bytes to spare", spare);
		if (!pressed)
			recording_write(recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, largest);
		cr_expect_eq(recording->header.lost_records, 0, "%u bytes to spare", spare);
		finish();
	}
}

Test(record, one_recording_leaves_room_for_another)
{
	static uint8_t data[60000];

	begin(32);
	struct recording *greedy = start(false, true), *modest = start(false, true);
	for (unsigned i = 0; i < 100; i++)
		recording_write(
		    greedy, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
	cr_expect_gt(greedy->header.lost_records, 0);
	say(modest, "hello");
	poll_at(bench.now + RECORD_BATCH_US);
	cr_expect_eq(modest->next_block, 1, "its block was sealed");
	cr_expect_eq(modest->header.lost_records, 0);
	finish();
}

/* kill -9 of the recorder at any point: the next one is told again and gets exactly what it lacks. */
static void crash_after(unsigned messages, bool while_away)
{
	uint8_t key[32];
	char expected[256] = "";

	begin(16);
	struct recording *recording = start(false, true);
	copy_key(recording, key);
	for (unsigned i = 0; i < 4; i++) {
		char text[8];

		snprintf(text, sizeof(text), "b%u", i);
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "10 %s;", text);
		say(recording, text);
		poll_at(bench.now + RECORD_BATCH_US);
		if (i == 1 && while_away)
			record_channel_detach(bench.channel);
	}
	if (!while_away) {
		recorder_takes(messages, 0); /* written, but whether acknowledged was seen … */
		if (messages % 2)
			poll_at(bench.now); /* … is chance */
	}
	attach(16);
	settle();
	say(recording, "end");
	recording_close(recording, strdup("{}"));
	settle();
	strcat(expected, "10 end;");
	cr_expect_str_eq(
	    opened(key), expected, "after %u: expected '%s', got '%s'", messages, expected, opened(key));
	cr_expect_eq(bench.opens, messages == 0 || while_away ? 1 : 2, "opens: %u", bench.opens);
	cr_expect(json_is_true(json_object_get(bench.open, "resume")) || bench.opens == 1);
	cr_expect(record_channel_settled(bench.channel));
	finish();
}

Test(record, a_recorder_dies)
{
	for (unsigned messages = 0; messages < 6; messages++)
		crash_after(messages, false);
	crash_after(0, true);
}

Test(record, it_dies_again_while_blocks_are_resent)
{
	static uint8_t data[60000];
	uint8_t key[32];

	begin(32);
	struct recording *recording = start(false, true);
	copy_key(recording, key);
	for (unsigned i = 0; i < 12; i++)
		recording_write(
		    recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
	recorder_takes(3, 0);
	for (unsigned i = 0; i < 5; i++) {
		attach(6); /* smaller: the old pools' blocks come over bit by bit */
		recorder_takes(2, 0);
		poll_at(bench.now);
		recorder_takes(2, 0);
	}
	recording_close(recording, strdup("{}"));
	settle();
	cr_expect(record_channel_settled(bench.channel));
	cr_expect_eq(recording != NULL && bench.held >= 11, 1, "held %llu", (unsigned long long)bench.held);
	cr_expect_eq(strlen(opened(key)) > 60, 1);
	finish();
}

Test(record, it_dies_before_close_was_acknowledged)
{
	begin(16);
	struct recording *recording = start(false, true);
	say(recording, "x");
	recording_close(recording, strdup("{\"Error\":\"late\"}"));
	attach(16); /* all was given, nothing answered */
	cr_expect_not(record_channel_settled(bench.channel));
	settle();
	cr_expect(record_channel_settled(bench.channel));
	finish();
}

Test(record, failures_are_final)
{
	begin(16);
	struct recording *recording = start(true, true);
	settle();
	say(recording, "x");
	recording_urge(recording);
	recorder_takes(~0u, SLAB_STATUS_FAILED);
	bench.wakes = 0;
	poll_at(bench.now);
	cr_expect(recording->failed);
	cr_expect_gt(bench.wakes, 0, "the session hears of it");
	cr_expect_not(recording_is_safe(recording, 1));
	say(recording, "y"); /* nothing more is sealed */
	recording_close(recording, strdup("{}"));
	settle();
	cr_expect(record_channel_settled(bench.channel));
	finish();
}

/* Control hears with a program's end that its recording is well; where it is not after all, it hears that,
 * too, also when the session is over. */
Test(record, what_fails_after_its_end_is_told_once)
{
	begin(8);
	bench.session.flow_id = 77;
	struct recording *recording = start(false, true);
	say(recording, "x");
	recording_close(recording, strdup("{}"));
	cr_expect_eq(recorder_takes(1, 0), 1);
	poll_at(bench.now);
	cr_expect_eq(bench.broken, 0);
	cr_expect_eq(recorder_takes(9, SLAB_STATUS_FAILED), 2, "the block and the close");
	poll_at(bench.now);
	cr_expect_eq(bench.broken, 1);
	cr_expect(record_channel_settled(bench.channel));
	/* What fails while the program runs is told with its end. */
	recording = start(false, true);
	recorder_takes(9, SLAB_STATUS_FAILED);
	poll_at(bench.now);
	recording_close(recording, strdup("{}"));
	recorder_takes(9, SLAB_STATUS_FAILED);
	poll_at(bench.now);
	cr_expect_eq(bench.broken, 1);
	/* And one without content has nothing to lose. */
	recording_close(start(false, false), strdup("{}"));
	recorder_takes(9, SLAB_STATUS_FAILED);
	poll_at(bench.now);
	cr_expect_eq(bench.broken, 1);
	finish();
}

Test(record, lost_blocks_break_a_recording)
{
	begin(16);
	struct recording *recording = start(false, true);
	say(recording, "x");
	poll_at(bench.now + RECORD_BATCH_US);
	settle();
	cr_expect_eq(recording->acknowledged, 1);
	bench.held = 0; /* the next recorder finds an empty file */
	attach(16);
	settle();
	cr_expect(recording->failed);
	recording_close(recording, strdup("{}"));
	settle();
	finish();
}

Test(record, strict)
{
	uint8_t key[32];

	begin(16);
	struct recording *recording = start(true, true);
	copy_key(recording, key);
	settle();
	say(recording, "k");
	uint64_t mark = recording_mark(recording);
	cr_expect_not(recording_is_safe(recording, mark));
	recording_urge(recording);
	cr_expect_eq(recording->next_block, 1, "an idle session's packet is sealed at once");
	/* The next within 5 ms waits for more to come. */
	bench.now += 1000;
	say(recording, "l");
	recording_urge(recording);
	cr_expect_eq(recording->next_block, 1);
	cr_expect_eq(record_channel_deadline(bench.channel), bench.now - 1000 + RECORD_COMMIT_US);
	uint64_t second = recording_mark(recording);
	cr_expect_eq(second, 2);
	recorder_takes(~0u, 0);
	bench.wakes = 0;
	poll_at(bench.now);
	cr_expect_gt(bench.wakes, 0);
	cr_expect(recording_is_safe(recording, mark));
	cr_expect_not(recording_is_safe(recording, second));
	poll_at(bench.now + 4000);
	settle();
	cr_expect(recording_is_safe(recording, second));
	cr_expect_str_eq(opened(key), "10 k;10 l;");
	finish();
}

Test(record, strict_loses_nothing_without_slabs)
{
	static uint8_t data[60000];
	uint8_t key[32];

	begin(4);
	struct recording *recording = start(true, true);
	copy_key(recording, key);
	for (unsigned i = 0; i < 20; i++)
		recording_write(
		    recording, FORMAT_FROM_ORIGIN, FORMAT_DATA, (struct wire_span){data, sizeof(data)});
	cr_expect_eq(recording->header.lost_records, 0);
	recording_hold(recording);
	recording_close(recording, strdup("{}"));
	settle();
	cr_expect_eq(bench.held, recording->next_block);
	cr_expect_eq(recording->acknowledged, recording->next_block);
	cr_expect_eq(recording->stage, RECORDING_DONE, "held: it stays");
	recording_unhold(recording);
	cr_expect(record_channel_settled(bench.channel));
	finish();
}

Test(record, without_any_recorder_yet)
{
	uint8_t key[32];

	begin(0);
	struct recording *recording = start(false, true);
	copy_key(recording, key);
	say(recording, "early");
	poll_at(bench.now + RECORD_BATCH_US);
	cr_expect_eq(recording->next_block, 0, "no slab: the batch waits");
	attach(8);
	poll_at(bench.now + RECORD_BATCH_US);
	recording_close(recording, strdup("{}"));
	settle();
	cr_expect_str_eq(opened(key), "10 early;");
	char stats[1024];
	cr_expect_gt(record_channel_stats(bench.channel, stats, sizeof(stats)), 0);
	cr_expect_not_null(strstr(stats, "blocks_sealed 1\n"), "got %s", stats);
	cr_expect_eq(record_channel_stats(bench.channel, stats, 4), 3);
	finish();
}
