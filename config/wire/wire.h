/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: the one bounds-checked cursor over bytes that somebody else wrote.
 *
 * Every parser of foreign bytes (frames, SSH blobs, RPC bodies, recordings) reads through `struct wire`.
 * The error is sticky: a read past the end returns zeros, moves nothing, and sets `failed`; a parser reads a
 * whole structure straight through and asks once, at the end, whether it was all there. All integers are
 * big-endian (network order), as in RFC 4251 section 5 and in every header we meet on the wire.
 *
 * A cursor never owns memory: spans that it returns point into the buffer it was given.
 */
#ifndef CONFIG_WIRE_H
#define CONFIG_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest string (RFC 4251 `string`) that any reader accepts, in bytes. */
#define WIRE_STRING_MAX (1u << 20)

/* Bytes inside somebody's buffer. `at` is never NULL where `len` > 0. */
struct wire_span {
	const uint8_t *at;
	size_t len;
};

/* A reader. */
struct wire {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

/* A writer into a buffer of fixed size; `failed` means that something did not fit and was left out. */
struct wire_out {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	bool failed;
};

struct wire wire_over(const void *bytes, size_t len);
size_t wire_left(const struct wire *w);
/* True when everything was there and nothing is left over. */
bool wire_done(const struct wire *w);

uint8_t wire_u8(struct wire *w);
uint16_t wire_u16(struct wire *w);
uint32_t wire_u32(struct wire *w);
uint64_t wire_u64(struct wire *w);
/* The next `len` bytes in place, or a span of length 0 with `failed` set. */
struct wire_span wire_bytes(struct wire *w, size_t len);
/* u32be length, then that many bytes (RFC 4251 `string`); longer than WIRE_STRING_MAX is refused. */
struct wire_span wire_string(struct wire *w);
void wire_skip(struct wire *w, size_t len);

struct wire_out wire_into(void *buffer, size_t size);
size_t wire_written(const struct wire_out *o);
void wire_put_u8(struct wire_out *o, uint8_t v);
void wire_put_u16(struct wire_out *o, uint16_t v);
void wire_put_u32(struct wire_out *o, uint32_t v);
void wire_put_u64(struct wire_out *o, uint64_t v);
void wire_put_bytes(struct wire_out *o, const void *bytes, size_t len);
void wire_put_string(struct wire_out *o, const void *bytes, size_t len);
void wire_put_cstring(struct wire_out *o, const char *s);

struct wire_span wire_span_of(const char *s);
bool wire_span_is(struct wire_span span, const char *s);
/* The same bytes? Not in constant time: for what is no secret. */
bool wire_span_same(struct wire_span a, struct wire_span b);
/* Copies the span into `buffer` as a C string. False (and an empty string) when it does not fit or holds a
 * NUL. */
bool wire_span_copy(struct wire_span span, char *buffer, size_t size);

#endif
