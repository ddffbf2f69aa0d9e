/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* sources: control/certificate/public_key.c, control/certificate/verify.c; deps: rpc, libsodium, libcrypto */
/* clang-format on */
/* A line that somebody pasted: refused with a reason, or a key that prints and reads back as the same. */
#include <stdlib.h>
#include <string.h>

#include "control/certificate/public_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct public_key_line line, again;

	if (public_key_line_parse((const char *)data, size, &line) != NULL)
		return 0;
	char *text = public_key_line_print((struct wire_span){line.blob, line.blob_len}, line.comment);
	if (text == NULL || public_key_line_parse(text, strlen(text), &again) != NULL ||
	    again.blob_len != line.blob_len || memcmp(again.blob, line.blob, line.blob_len) != 0)
		abort();
	free(text);
	return 0;
}
