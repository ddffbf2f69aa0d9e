/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever the box refuses, each side gets as many answers as it asked for, in the order in which it asked:
 * two peers pipeline requests, global ones and on one channel, some of which the rule refuses, some without a
 * wish for an answer; what is drawn decides when each packet arrives. Those that are relayed are answered by
 * the other peer, with success (and, where that can be, their number) or failure. What the box's host keys
 * are to prove the box answers itself, with the request's number.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/channels.h"
#include "tests/unit/sshterm/packet_text.h"
#include "tests/unit/sshterm/seeded_line.h"

#define SEEDS 2000
#define REQUESTS 60

/* One direction: payloads of at most 48 bytes. */
struct way {
	uint8_t payload[4 * REQUESTS][48];
	size_t len[4 * REQUESTS];
	unsigned head, tail;
};

/* What a peer waits for: its global requests, or those on the channel. */
struct asked {
	int expected[REQUESTS]; /* a number: success with it; -1 failure; -2 success */
	unsigned count, answered;
};

static struct {
	struct channels table;
	struct way to_box[2], from_box[2];
	struct asked global[2], channel[2];
	unsigned sent[2];
	uint64_t random;
	const char *wrong;
} world;

static uint32_t draw(uint32_t below)
{
	return seeded(&world.random, below);
}

static void put(struct way *line, const uint8_t *payload, size_t len)
{
	cr_assert(line->tail < 4 * REQUESTS && len <= sizeof(line->payload[0]));
	memcpy(line->payload[line->tail], payload, len);
	line->len[line->tail++] = len;
}

static void say(unsigned leg, const char *fields, ...)
{
	uint8_t payload[4096];
	va_list values;

	va_start(values, fields);
	size_t len = packet_va(payload, fields, values);
	va_end(values);
	put(&world.to_box[leg], payload, len);
}

static uint32_t others_number(unsigned leg)
{
	return leg == 0 ? 8 : 3;
}

/* The client alone can ask for it. */
static void ask_proof(void)
{
	struct asked *asked = &world.global[0];

	asked->expected[asked->count] = (int)asked->count;
	say(0, "bsbu", CONN_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", 1, (uint32_t)asked->count++);
	world.sent[0]++;
}

static size_t on_prove(void *context, struct wire_span keys, uint8_t **payload)
{
	(void)context;
	*payload = malloc(1 + keys.len);
	(*payload)[0] = CONN_REQUEST_SUCCESS;
	memcpy(*payload + 1, keys.at, keys.len);
	return 1 + keys.len;
}

/* The last byte says how the other peer is to answer. */
static void ask(unsigned leg)
{
	if (leg == 0 && draw(5) == 0) {
		ask_proof();
		return;
	}
	bool global = draw(2), refused = draw(2), want = draw(3) != 0;
	struct asked *asked = global ? &world.global[leg] : &world.channel[leg];
	int answer = draw(2) ? (global ? (int)asked->count : -2) : -1;

	if (want)
		asked->expected[asked->count++] = refused ? -1 : answer;
	if (global)
		say(leg, "bsbsu", CONN_GLOBAL_REQUEST, refused ? "tcpip-forward" : "wave@example.org",
		    (int)want, "", (uint32_t)answer);
	else
		say(leg, "busbu", CONN_REQUEST, others_number(leg), refused ? "x11-req" : "poke@example.org",
		    (int)want, (uint32_t)answer);
	world.sent[leg]++;
}

static void got_answer(struct asked *asked, int answer)
{
	if (asked->answered == asked->count)
		world.wrong = "an answer too many";
	else if (asked->expected[asked->answered++] != answer)
		world.wrong = "an answer out of turn";
}

static uint32_t last_word(const uint8_t *p, size_t len)
{
	return (uint32_t)p[len - 4] << 24 | (uint32_t)p[len - 3] << 16 | (uint32_t)p[len - 2] << 8 |
	       p[len - 1];
}

static void reply(unsigned leg, const uint8_t *p, size_t len, bool global)
{
	struct wire in = wire_over(p + 1, len - 1);
	int answer = (int)last_word(p, len);

	if (!global)
		(void)wire_u32(&in);
	struct wire_span name = wire_string(&in);
	if (wire_span_is(name, "tcpip-forward") || wire_span_is(name, "x11-req"))
		world.wrong = "a refused request was sent on";
	if (wire_u8(&in) == 0)
		return;
	if (global && answer >= 0)
		say(leg, "bu", CONN_REQUEST_SUCCESS, (uint32_t)answer);
	else if (global)
		say(leg, "b", CONN_REQUEST_FAILURE);
	else
		say(leg, "bu", answer == -2 ? CONN_SUCCESS : CONN_FAILURE, others_number(leg));
}

static void hear(unsigned leg)
{
	struct way *line = &world.from_box[leg];

	if (line->head == line->tail)
		return;
	const uint8_t *p = line->payload[line->head];
	size_t len = line->len[line->head++];
	switch (p[0]) {
	case CONN_GLOBAL_REQUEST:
	case CONN_REQUEST:
		reply(leg, p, len, p[0] == CONN_GLOBAL_REQUEST);
		break;
	case CONN_REQUEST_SUCCESS:
		got_answer(&world.global[leg], (int)last_word(p, len));
		break;
	case CONN_REQUEST_FAILURE:
		got_answer(&world.global[leg], -1);
		break;
	case CONN_SUCCESS:
	case CONN_FAILURE:
		got_answer(&world.channel[leg], p[0] == CONN_SUCCESS ? -2 : -1);
		break;
	}
}

static struct {
	struct way to[2];
} answers;

static void on_answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	(void)context;
	put(&answers.to[to], payload, len);
}

static void on_refused(void *context, channel_leg from, struct wire_span name, const char *text)
{
	(void)context;
	(void)from;
	(void)name;
	(void)text;
}

static struct program *on_start(void *context, const struct channel_program *facts)
{
	(void)context;
	(void)facts;
	return NULL;
}

static const struct channel_ops ops = {
    .program_start = on_start, .answer = on_answer, .refused = on_refused, .prove_host_keys = on_prove};

static void turn(unsigned from)
{
	struct way *line = &world.to_box[from];

	if (line->head == line->tail)
		return;
	const uint8_t *p = line->payload[line->head];
	size_t len = line->len[line->head++];
	answers.to[0].head = answers.to[0].tail = answers.to[1].head = answers.to[1].tail = 0;
	switch (channels_packet(&world.table, from, p, len)) {
	case CHANNELS_PASS:
		put(&world.from_box[from ^ 1], p, len);
		break;
	case CHANNELS_STAY:
		break;
	default:
		world.wrong = "a verdict that nothing calls for";
	}
	for (unsigned to = 0; to < 2; to++)
		for (unsigned i = 0; i < answers.to[to].tail; i++)
			put(&world.from_box[to], answers.to[to].payload[i], answers.to[to].len[i]);
}

static bool all_heard(void)
{
	for (unsigned leg = 0; leg < 2; leg++)
		if (world.sent[leg] < REQUESTS || world.to_box[leg].head != world.to_box[leg].tail ||
		    world.from_box[leg].head != world.from_box[leg].tail)
			return false;
	return true;
}

static void session(uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	world.random = seed * 0x9e3779b97f4a7c15ull + 1;
	channels_init(&world.table, 0, &ops, NULL); /* nothing is permitted */
	say(0, "bsuuu", CONN_OPEN, "session", 3u, 100u, 100u);
	turn(0);
	say(1, "buuuu", CONN_OPEN_CONFIRMATION, 3u, 8u, 100u, 100u);
	turn(1);
	for (unsigned leg = 0; leg < 2; leg++)
		world.from_box[leg].head = world.from_box[leg].tail;
	for (unsigned steps = 0; steps < 100000 && world.wrong == NULL && !all_heard(); steps++) {
		unsigned leg = draw(2);

		switch (draw(3)) {
		case 0:
			if (world.sent[leg] < REQUESTS)
				ask(leg);
			break;
		case 1:
			turn(leg);
			break;
		case 2:
			hear(leg);
			break;
		}
	}
	cr_assert_null(world.wrong, "seed %llu: %s", (unsigned long long)seed, world.wrong);
	cr_assert(all_heard());
	for (unsigned leg = 0; leg < 2; leg++) {
		cr_assert_eq(world.global[leg].answered, world.global[leg].count, "seed %llu: unanswered",
		    (unsigned long long)seed);
		cr_assert_eq(world.channel[leg].answered, world.channel[leg].count, "seed %llu: unanswered",
		    (unsigned long long)seed);
	}
	channels_end(&world.table, "over");
}

Test(replies, refusals_never_upset_their_order, .timeout = 300)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		session(seed);
}
