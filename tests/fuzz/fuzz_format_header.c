/* deps: format */
/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes claim to be a recording: a header that is read can be written, and reads the same again. */
#include <stdlib.h>
#include <string.h>

#include "recorder/format/format.h"

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check(const struct format_header *header, size_t consumed, size_t len)
{
	uint8_t again[FORMAT_HEADER_SIZE];
	struct format_header second;
	size_t used;

	must(consumed > 4 && consumed <= len);
	must(header->mode_count <= FORMAT_MODES_MAX && header->wrapped_count < FORMAT_RECIPIENTS_MAX);
	if (format_header_encode(header, again) != 0)
		return; /* without an encapsulated key */
	must(format_header_decode(again, sizeof(again), &second, &used) == 0 && used == FORMAT_HEADER_SIZE);
	must(second.started_at == header->started_at && second.wrapped_count == header->wrapped_count);
	must(memcmp(second.encapsulated, header->encapsulated, FORMAT_KEY_SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct format_header header;
	size_t consumed = 0;

	if (format_header_decode(data, size, &header, &consumed) == 0)
		check(&header, consumed, size);
	/* The JSON alone comes from workers; base64 would hide it from the fuzzer. */
	if (format_header_from_json((const char *)data, size, &header) == 0)
		check(&header, FORMAT_HEADER_SIZE, FORMAT_HEADER_SIZE);
	return 0;
}
