/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/agent_protocol.h"

#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 4

/* -- requests -- */

size_t agent_put_list(uint8_t *out, size_t size)
{
	struct wire_out o = wire_into(out, size);

	wire_put_u32(&o, 1);
	wire_put_u8(&o, AGENT_REQUEST_IDENTITIES);
	return o.failed ? 0 : wire_written(&o);
}

size_t agent_put_sign(uint8_t *out, size_t size, struct wire_span key, struct wire_span data, uint32_t flags)
{
	size_t body = 1 + 4 + key.len + 4 + data.len + 4;
	struct wire_out o = wire_into(out, size);

	if (key.len > AGENT_REQUEST_MAX || data.len > AGENT_REQUEST_MAX || body > AGENT_REQUEST_MAX - 4)
		return 0;
	wire_put_u32(&o, (uint32_t)body);
	wire_put_u8(&o, AGENT_SIGN_REQUEST);
	wire_put_string(&o, key.at, key.len);
	wire_put_string(&o, data.at, data.len);
	wire_put_u32(&o, flags);
	return o.failed ? 0 : wire_written(&o);
}

/* -- answers -- */

static bool make_room(struct agent_answer *answer, size_t size)
{
	if (size <= answer->size)
		return true;
	if (size < 2 * answer->size)
		size = 2 * answer->size; /* it may come a byte at a time */
	if (size < 1024)
		size = 1024;
	uint8_t *bytes = realloc(answer->bytes, size);
	if (bytes == NULL)
		return false;
	answer->bytes = bytes;
	answer->size = size;
	return true;
}

/* How long the whole message is, its length field included; 0: not known yet. */
static size_t whole_length(const struct agent_answer *answer)
{
	struct wire in = wire_over(answer->bytes, answer->len);
	uint32_t body = wire_u32(&in);

	return in.failed ? 0 : LENGTH_BYTES + (size_t)body;
}

enum agent_gathered agent_gather(struct agent_answer *answer, struct wire_span piece)
{
	if (piece.len > AGENT_ANSWER_MAX - answer->len || !make_room(answer, answer->len + piece.len))
		return AGENT_MALFORMED;
	if (piece.len > 0)
		memcpy(answer->bytes + answer->len, piece.at, piece.len);
	answer->len += piece.len;
	size_t whole = whole_length(answer);
	if (whole == 0)
		return AGENT_MORE;
	if (whole == LENGTH_BYTES || whole > AGENT_ANSWER_MAX || answer->len > whole)
		return AGENT_MALFORMED;
	return answer->len == whole ? AGENT_WHOLE : AGENT_MORE;
}

struct wire_span agent_answer_body(const struct agent_answer *answer)
{
	if (answer->len <= LENGTH_BYTES)
		return (struct wire_span){0};
	return (struct wire_span){answer->bytes + LENGTH_BYTES, answer->len - LENGTH_BYTES};
}

void agent_answer_clear(struct agent_answer *answer)
{
	free(answer->bytes);
	*answer = (struct agent_answer){0};
}

bool agent_read_list(struct wire_span answer, struct wire *list, uint32_t *count)
{
	*list = wire_over(answer.at, answer.len);
	uint8_t type = wire_u8(list);
	*count = wire_u32(list);
	return !list->failed && type == AGENT_IDENTITIES_ANSWER;
}

bool agent_read_key(struct wire *list, struct wire_span *blob, struct wire_span *comment)
{
	*blob = wire_string(list);
	*comment = wire_string(list);
	return !list->failed;
}

bool agent_read_signature(struct wire_span answer, const char *algorithm, struct wire_span *signature)
{
	struct wire in = wire_over(answer.at, answer.len);
	uint8_t type = wire_u8(&in);

	*signature = wire_string(&in);
	if (!wire_done(&in) || type != AGENT_SIGN_RESPONSE || signature->len > AGENT_BLOB_MAX)
		return false;
	struct wire made = wire_over(signature->at, signature->len);
	struct wire_span name = wire_string(&made);
	struct wire_span blob = wire_string(&made);
	/* A security key's has flags and a counter behind it. */
	return !made.failed && blob.len > 0 && wire_span_is(name, algorithm);
}
