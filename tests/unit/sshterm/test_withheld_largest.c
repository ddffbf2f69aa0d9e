/* SPDX-License-Identifier: Apache-2.0 */
/* What is withheld has room for the longest line, and for the largest packet behind it. */
#include <criterion/criterion.h>

#include "sshterm/channels.h"
#include "tests/unit/sshterm/packet_text.h"

#define C 0u
#define O 1u

static struct channels table;
static uint64_t went_on;

static struct program *on_start(void *context, const struct channel_program *facts)
{
	(void)facts;
	return context;
}

static void on_data(
    void *context, struct program *program, channel_leg from, uint32_t code, struct wire_span data)
{
	(void)context;
	(void)program;
	(void)code;
	if (from == C)
		went_on += data.len;
}

static void on_end(void *context, struct program *program, const char *reason)
{
	(void)context;
	(void)program;
	(void)reason;
}

static void on_answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	(void)context;
	(void)to;
	(void)payload;
	(void)len;
}

/* Holds what the sender is lent, and lets all of it pass with the packet behind that. */
static struct channel_judgement judge(void *context, struct program *program, channel_leg from, uint32_t code,
    struct wire_span fresh, bool ends)
{
	(void)context;
	(void)program;
	(void)from;
	(void)code;
	(void)ends;
	return (struct channel_judgement){
	    fresh.len == CHANNEL_PACKET_MAX ? CHANNEL_LET_PASS : CHANNEL_HOLD, UINT32_MAX, {0}};
}

static const struct channel_ops ops = {.program_start = on_start,
    .program_data = on_data,
    .program_judge = judge,
    .program_end = on_end,
    .answer = on_answer};

static enum channels_verdict tell(unsigned from, const char *fields, ...)
{
	uint8_t payload[4096];
	va_list values;

	va_start(values, fields);
	size_t len = packet_va(payload, fields, values);
	va_end(values);
	return channels_packet(&table, from, payload, len);
}

Test(withheld_largest, finds_room_behind_the_longest_line)
{
	static uint8_t payload[9 + CHANNEL_PACKET_MAX], line[4000];
	struct wire_out out = wire_into(payload, sizeof(payload));
	uint32_t held = 0;

	channels_init(&table, ~0u, &ops, &table);
	tell(C, "bsuuu", CONN_OPEN, "session", 1u, 0u, 32768u);
	tell(O, "buuuu", CONN_OPEN_CONFIRMATION, 1u, 2u, 1u << 20, CHANNEL_PACKET_MAX);
	for (; held + sizeof(line) <= WINDOW_LENT_MAX; held += sizeof(line))
		cr_assert_eq(tell(C, "bud", CONN_DATA, 2u, line, sizeof(line)), CHANNELS_STAY);
	wire_put_u8(&out, CONN_DATA);
	wire_put_u32(&out, 2);
	wire_put_u32(&out, CHANNEL_PACKET_MAX);
	cr_expect_eq(channels_packet(&table, C, payload, sizeof(payload)), CHANNELS_STAY, "%s",
	    table.violation == NULL ? "it passed" : table.violation);
	cr_expect_eq(went_on, held + CHANNEL_PACKET_MAX, "%llu bytes went on", (unsigned long long)went_on);
	channels_end(&table, "over");
}
