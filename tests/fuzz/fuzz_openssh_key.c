/* SPDX-License-Identifier: Apache-2.0 */
/* sources: control/cli/openssh_key.c; deps: wire libsodium */
/* A private key file that somebody gave an administrator: first byte odd, what stands in it once it is
 * decrypted. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/openssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct openssh_key key;

	if (sodium_init() < 0 || size == 0)
		return 0;
	uint8_t *copy = malloc(size), *room = malloc(size);
	memcpy(copy, data + 1, size - 1);
	if ((data[0] & 1) != 0) {
		struct wire_span fields = openssh_key_fields((struct wire_span){copy, size - 1});
		if (fields.len > 0 && (fields.at < copy || fields.at + fields.len > copy + size - 1))
			abort();
	} else if (openssh_key_open((const char *)copy, size - 1, room, &key) == NULL) {
		/* Read every byte that it points to. */
		volatile uint8_t sum = 0;
		for (size_t i = 0; i < key.private_part.len; i++)
			sum = (uint8_t)(sum + key.private_part.at[i]);
		(void)openssh_key_fields(key.private_part);
	}
	free(copy);
	free(room);
	return 0;
}
