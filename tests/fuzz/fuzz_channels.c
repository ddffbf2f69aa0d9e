/* SPDX-License-Identifier: Apache-2.0 */
/* sources: sshterm/channels.c sshterm/replies.c sshterm/refusals.c sshterm/windows.c sshterm/withheld.c
 * sshterm/withholding.c sshterm/forwards.c sshterm/listening.c sshterm/channel_facts.c; deps: wire rpc */
/*
 * The channel table over what two hostile peers send. Input: records of u8 leg (low bit; of the first, bit 7:
 * all is permitted, bit 6: the box uses the agent, bit 5: shells begin with a notice, bit 4: a judge
 * withholds data), u8 length, payload. Checked besides memory: every program that began ends once, and
 * answers are well formed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/channels.h"

struct program {
	int alive;
	uint32_t held[2]; /* by sender */
};

static long alive;

static struct program *start(void *context, const struct channel_program *facts)
{
	struct program *program = malloc(sizeof(*program));
	volatile uint8_t sum = 0;

	(void)context;
	for (size_t i = 0; i < facts->command.len; i++)
		sum = (uint8_t)(sum + facts->command.at[i]);
	if (facts->pty != NULL && facts->pty->mode_count > FORMAT_MODES_MAX)
		abort();
	program->alive = 1;
	program->held[0] = program->held[1] = 0;
	alive++;
	return program;
}

static void data(
    void *context, struct program *program, channel_leg from, uint32_t code, struct wire_span bytes)
{
	(void)context;
	(void)code;
	if (!program->alive || from > 1 || bytes.len == 0)
		abort();
}

/* The last byte of what comes says what becomes of what is held. */
static struct channel_judgement judge(void *context, struct program *program, channel_leg from, uint32_t code,
    struct wire_span fresh, bool ends)
{
	static const uint8_t instead[40] = "this is put in its place";
	struct channel_judgement judgement = {CHANNEL_HOLD};
	uint8_t last = fresh.len > 0 ? fresh.at[fresh.len - 1] : 0;

	(void)context;
	(void)code;
	if (!program->alive || from > 1)
		abort();
	program->held[from] += (uint32_t)fresh.len;
	if (ends)
		last = 'p';
	if (program->held[from] == 0 || last < 'p')
		return judgement;
	judgement.bytes = last & 1 ? program->held[from] : 1;
	judgement.ruling = last & 2 ? CHANNEL_REPLACE : CHANNEL_LET_PASS;
	judgement.instead = (struct wire_span){instead, last & 4 ? sizeof(instead) : 0};
	program->held[from] -= judgement.bytes;
	return judgement;
}

static void resize(void *context, struct program *program, uint32_t width, uint32_t height)
{
	(void)context;
	(void)width;
	(void)height;
	if (!program->alive)
		abort();
}

static void exited(void *context, struct program *program, const struct channel_exit *how)
{
	(void)context;
	if (!program->alive || (how->has_status && how->signal[0] != '\0'))
		abort();
}

static void no_pty(void *context, struct program *program)
{
	(void)context;
	if (!program->alive)
		abort();
}

static void end(void *context, struct program *program, const char *reason)
{
	(void)context;
	if (!program->alive || reason == NULL)
		abort();
	free(program);
	alive--;
}

static void forward(void *context, const char *request, const char *place)
{
	(void)context;
	(void)request;
	(void)place;
}

static void refused(void *context, channel_leg from, struct wire_span name, const char *text)
{
	(void)context;
	(void)from;
	(void)name;
	(void)text;
}

static const uint8_t notice[24] = "This session is kept.\r\n";

static bool judges;

static void answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	(void)context;
	if (to > 1 || len == 0)
		abort();
	if (payload[0] == CONN_EXTENDED_DATA && to == 0 && len > 13 && len <= 13 + sizeof(notice))
		return;
	if (payload[0] == CONN_WINDOW_ADJUST && to == 1 && len == 9)
		return;
	if (payload[0] == CONN_REQUEST_SUCCESS && to == 0)
		return;
	if (judges && (payload[0] == CONN_WINDOW_ADJUST || payload[0] == CONN_DATA ||
	                  payload[0] == CONN_EXTENDED_DATA || payload[0] == CONN_EOF ||
	                  payload[0] == CONN_CLOSE || payload[0] == CONN_REQUEST))
		return;
	if (len > REFUSAL_MAX)
		abort();
	if (payload[0] != CONN_SUCCESS && payload[0] != CONN_REQUEST_FAILURE &&
	    payload[0] != CONN_OPEN_FAILURE && payload[0] != CONN_FAILURE)
		abort();
}

/* The box has the keys whose first byte says so. */
static size_t prove(void *context, struct wire_span keys, uint8_t **payload)
{
	(void)context;
	if (keys.len == 0 || (keys.at[0] & 1) == 0)
		return 0;
	*payload = malloc(keys.len);
	memcpy(*payload, keys.at, keys.len);
	(*payload)[0] = CONN_REQUEST_SUCCESS;
	return keys.len;
}

static struct channel_ops ops = {.program_start = start,
    .program_data = data,
    .program_resize = resize,
    .program_exit = exited,
    .program_no_pty = no_pty,
    .program_end = end,
    .forward_requested = forward,
    .refused = refused,
    .prove_host_keys = prove,
    .answer = answer};

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct wire in = wire_over(input, size);
	struct channels table;

	judges = size > 0 && (input[0] & 0x10) != 0;
	ops.program_judge = judges ? judge : NULL;
	channels_init(&table, size > 0 && input[0] & 0x80 ? ~0u : 0, &ops, NULL);
	if (size > 0 && input[0] & 0x40)
		channels_answer_agent_requests(&table);
	if (size > 0 && input[0] & 0x20)
		channels_set_notice(&table, (struct wire_span){notice, sizeof(notice)});
	while (wire_left(&in) > 0) {
		channel_leg from = wire_u8(&in) & 1;
		struct wire_span payload = wire_bytes(&in, wire_u8(&in));

		if (in.failed || payload.len == 0 ||
		    channels_packet(&table, from, payload.at, payload.len) == CHANNELS_VIOLATION)
			break;
	}
	channels_end(&table, "over");
	if (alive != 0)
		abort();
	return 0;
}
