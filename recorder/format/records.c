/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of a file, records of the joined plaintexts, and the codes of events. */
#include "recorder/format/format.h"

#define RECORD_FIXED 13u /* source, code, time: what T counts beside the data */
#define EVENT_KIND 0xff000000u
#define EVENT_VALUE 0x00ffffffu
#define RESIZE_BITS 12
#define RESIZE_MAX ((1u << RESIZE_BITS) - 1)

static uint32_t clamp(uint64_t value, uint32_t most)
{
	return value > most ? most : (uint32_t)value;
}

uint32_t format_resize(uint32_t columns, uint32_t rows)
{
	return FORMAT_RESIZE | clamp(columns, RESIZE_MAX) << RESIZE_BITS | clamp(rows, RESIZE_MAX);
}

uint32_t format_gap(uint64_t lost_records)
{
	return FORMAT_GAP | clamp(lost_records, EVENT_VALUE);
}

bool format_is_resize(uint32_t code, uint32_t *columns, uint32_t *rows)
{
	*columns = code >> RESIZE_BITS & RESIZE_MAX;
	*rows = code & RESIZE_MAX;
	return (code & EVENT_KIND) == FORMAT_RESIZE;
}

bool format_is_gap(uint32_t code, uint32_t *lost_records)
{
	*lost_records = code & EVENT_VALUE;
	return (code & EVENT_KIND) == FORMAT_GAP;
}

bool format_get_block(struct wire *in, struct wire_span *sealed)
{
	*sealed = (struct wire_span){0};
	if (in->failed || wire_left(in) == 0)
		return false;
	uint32_t len = wire_u32(in);
	if (len <= FORMAT_TAG_SIZE || len > FORMAT_SEALED_MAX)
		in->failed = true;
	*sealed = wire_bytes(in, len);
	return !in->failed;
}

bool format_put_record(struct wire_out *out, const struct format_record *record)
{
	bool event = record->code >= FORMAT_EVENT;
	size_t len = record->data.len;

	if (record->source > FORMAT_FROM_ORIGIN || event != (len == 0) ||
	    (event && record->source != FORMAT_FROM_CLIENT))
		return false;
	if (out->failed || len > FORMAT_BLOCK_MAX ||
	    FORMAT_RECORD_OVERHEAD + len > (size_t)(out->end - out->at))
		return false;
	wire_put_u32(out, RECORD_FIXED + (uint32_t)len);
	wire_put_u8(out, record->source);
	wire_put_u32(out, record->code);
	wire_put_u64(out, record->time_us);
	if (len > 0)
		wire_put_bytes(out, record->data.at, len);
	return true;
}

bool format_get_record(struct wire *in, struct format_record *record)
{
	*record = (struct format_record){0};
	if (in->failed || wire_left(in) == 0)
		return false;
	uint32_t total = wire_u32(in);
	if (total < RECORD_FIXED)
		in->failed = true;
	record->source = wire_u8(in);
	record->code = wire_u32(in);
	record->time_us = wire_u64(in);
	record->data = wire_bytes(in, total - RECORD_FIXED);
	if (record->source > FORMAT_FROM_ORIGIN)
		in->failed = true;
	return !in->failed;
}
