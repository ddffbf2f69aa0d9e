/* SPDX-License-Identifier: Apache-2.0 */
#include "config/wire/wire.h"

#include <string.h>

struct wire wire_over(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	return (struct wire){.at = at, .end = len > 0 ? at + len : at};
}

size_t wire_left(const struct wire *w)
{
	return w->failed ? 0 : (size_t)(w->end - w->at);
}

bool wire_done(const struct wire *w)
{
	return !w->failed && w->at == w->end;
}

struct wire_span wire_bytes(struct wire *w, size_t len)
{
	if (w->failed || len > (size_t)(w->end - w->at)) {
		w->failed = true;
		return (struct wire_span){0};
	}
	struct wire_span span = {.at = w->at, .len = len};
	if (len > 0)
		w->at += len;
	return span;
}

/* Reads `width` (1 to 8) bytes as one big-endian number; 0 on a short read. */
static uint64_t wire_number(struct wire *w, size_t width)
{
	struct wire_span span = wire_bytes(w, width);
	uint64_t v = 0;

	for (size_t i = 0; i < span.len; i++)
		v = v << 8 | span.at[i];
	return v;
}

uint8_t wire_u8(struct wire *w)
{
	return (uint8_t)wire_number(w, 1);
}

uint16_t wire_u16(struct wire *w)
{
	return (uint16_t)wire_number(w, 2);
}

uint32_t wire_u32(struct wire *w)
{
	return (uint32_t)wire_number(w, 4);
}

uint64_t wire_u64(struct wire *w)
{
	return wire_number(w, 8);
}

struct wire_span wire_string(struct wire *w)
{
	uint32_t len = wire_u32(w);

	if (len > WIRE_STRING_MAX)
		w->failed = true;
	return wire_bytes(w, len);
}

void wire_skip(struct wire *w, size_t len)
{
	(void)wire_bytes(w, len);
}

struct wire_out wire_into(void *buffer, size_t size)
{
	uint8_t *at = buffer;

	return (struct wire_out){.start = at, .at = at, .end = size > 0 ? at + size : at};
}

size_t wire_written(const struct wire_out *o)
{
	return (size_t)(o->at - o->start);
}

void wire_put_bytes(struct wire_out *o, const void *bytes, size_t len)
{
	if (o->failed || len > (size_t)(o->end - o->at)) {
		o->failed = true;
		return;
	}
	if (len > 0) {
		memcpy(o->at, bytes, len);
		o->at += len;
	}
}

static void wire_put_number(struct wire_out *o, uint64_t v, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
	wire_put_bytes(o, bytes, width);
}

void wire_put_u8(struct wire_out *o, uint8_t v)
{
	wire_put_number(o, v, 1);
}

void wire_put_u16(struct wire_out *o, uint16_t v)
{
	wire_put_number(o, v, 2);
}

void wire_put_u32(struct wire_out *o, uint32_t v)
{
	wire_put_number(o, v, 4);
}

void wire_put_u64(struct wire_out *o, uint64_t v)
{
	wire_put_number(o, v, 8);
}

void wire_put_string(struct wire_out *o, const void *bytes, size_t len)
{
	if (len > UINT32_MAX) {
		o->failed = true;
		return;
	}
	wire_put_u32(o, (uint32_t)len);
	wire_put_bytes(o, bytes, len);
}

void wire_put_cstring(struct wire_out *o, const char *s)
{
	wire_put_string(o, s, strlen(s));
}

struct wire_span wire_span_of(const char *s)
{
	return (struct wire_span){.at = (const uint8_t *)s, .len = strlen(s)};
}

bool wire_span_is(struct wire_span span, const char *s)
{
	return wire_span_same(span, wire_span_of(s));
}

bool wire_span_same(struct wire_span a, struct wire_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool wire_span_copy(struct wire_span span, char *buffer, size_t size)
{
	if (size == 0)
		return false;
	buffer[0] = '\0';
	if (span.len >= size || (span.len > 0 && memchr(span.at, '\0', span.len) != NULL))
		return false;
	if (span.len > 0)
		memcpy(buffer, span.at, span.len);
	buffer[span.len] = '\0';
	return true;
}
