/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/counters.h"

#include <inttypes.h>
#include <stdio.h>

size_t counters_text(const struct counters *counters, uint64_t programs_open, char *text, size_t size)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {{"programs_open", programs_open},
#define COUNTER_ROW(name) {#name, counters->name},
	    RECORDER_COUNTERS(COUNTER_ROW)
#undef COUNTER_ROW
	};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int len = snprintf(text + used, size - used, "%s %" PRIu64 "\n", all[i].name, all[i].value);
		if (len < 0 || (size_t)len >= size - used)
			return 0;
		used += (size_t)len;
	}
	return used;
}
