/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sessions/client_cas.h"

#include <stdlib.h>
#include <string.h>

void client_cas_take(struct client_cas *cas, struct wire_span public_line)
{
	struct public_key_line *line = malloc(sizeof(*line));

	if (line == NULL)
		return;
	if (public_key_line_parse((const char *)public_line.at, public_line.len, line) == NULL) {
		memcpy(cas->at[0].blob, line->blob, line->blob_len);
		cas->at[0].len = line->blob_len;
		cas->count = 1;
	}
	free(line);
}

struct wire_span client_cas_find(const struct client_cas *cas, struct wire_span blob)
{
	for (unsigned i = 0; i < cas->count; i++)
		if (blob.len == cas->at[i].len && memcmp(blob.at, cas->at[i].blob, blob.len) == 0)
			return (struct wire_span){cas->at[i].blob, cas->at[i].len};
	return (struct wire_span){0};
}
