/* deps: format */
/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over a file's blocks, and the same bytes as records: nothing outside is touched, every walk ends.
 */
#include <stdlib.h>

#include "recorder/format/format.h"

static void must(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire blocks = wire_over(data, size);
	struct wire records = wire_over(data, size);
	struct wire_span sealed;
	struct format_record record;
	size_t seen = 0;
	uint32_t a, b;

	while (format_get_block(&blocks, &sealed)) {
		seen += 4 + sealed.len;
		must(sealed.len > FORMAT_TAG_SIZE && sealed.at + sealed.len <= data + size);
	}
	must(seen <= size && blocks.failed == (seen != size));
	seen = 0;
	while (format_get_record(&records, &record)) {
		seen += FORMAT_RECORD_OVERHEAD + record.data.len;
		must(record.source <= FORMAT_FROM_ORIGIN);
		(void)format_is_resize(record.code, &a, &b);
		(void)format_is_gap(record.code, &a);
	}
	must(seen <= size && records.failed == (seen != size));
	return 0;
}
