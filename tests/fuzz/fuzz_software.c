/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* sources: sshterm/software.c */
/* clang-format on */
/* A peer's identification string: whatever it is, what is said in its name is printable, short, and in the
 * line. */
#include <stdlib.h>
#include <string.h>

#include "sshterm/software.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char software[SOFTWARE_MAX];

	(void)software_line_is_whole(data, size);
	bool mirrored = software_of(data, size, software);
	size_t len = strnlen(software, SOFTWARE_MAX);
	if (len == 0 || len == SOFTWARE_MAX)
		abort();
	if (mirrored && memcmp(software, data + (data[4] == '2' ? 8 : 9), len) != 0)
		abort();
	software_without_login_bugs(software);
	if (strnlen(software, SOFTWARE_MAX) == 0 || strnlen(software, SOFTWARE_MAX) > len)
		abort();
	len = strnlen(software, SOFTWARE_MAX);
	for (size_t i = 0; i < len; i++)
		if (software[i] < 0x20 || software[i] > 0x7e)
			abort();
	return 0;
}
