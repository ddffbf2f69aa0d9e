/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "sshterm/legs.h"
#include "sshterm/software.h"

#define LINE_MAX 255 /* RFC 4253 section 4.2 */

bool software_line_is_whole(const uint8_t *at, size_t len)
{
	return len >= LINE_MAX || (len > 0 && memchr(at, '\n', len) != NULL);
}

bool software_of(const uint8_t *at, size_t len, char software[SOFTWARE_MAX])
{
	static const char protocol[8] = {'S', 'S', 'H', '-', '2', '.', '0', '-'};
	size_t used = 0;

	snprintf(software, SOFTWARE_MAX, "%s", LEGS_SOFTWARE);
	if (len <= sizeof(protocol) || memcmp(at, protocol, sizeof(protocol)) != 0)
		return false;
	at += sizeof(protocol);
	len -= sizeof(protocol);
	while (used < len && at[used] >= 0x20 && at[used] <= 0x7e)
		used++;
	if (used == 0 || used >= SOFTWARE_MAX || (used < len && at[used] != '\r' && at[used] != '\n'))
		return false;
	memcpy(software, at, used);
	software[used] = '\0';
	return true;
}
