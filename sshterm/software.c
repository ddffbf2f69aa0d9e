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

/* How long the protocol version at the line's beginning is, with the dash behind it; 0: it is none of ours.
 */
static size_t protocol_len(const uint8_t *at, size_t len)
{
	/* RFC 4253 section 5.1: 1.99 is said by servers of 2.0 that speak 1.x as well. */
	static const char *const protocols[] = {"SSH-2.0-", "SSH-1.99-"};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		size_t prefix = strlen(protocols[i]);

		if (len > prefix && memcmp(at, protocols[i], prefix) == 0)
			return prefix;
	}
	return 0;
}

bool software_of(const uint8_t *at, size_t len, char software[SOFTWARE_MAX])
{
	size_t used = protocol_len(at, len);

	snprintf(software, SOFTWARE_MAX, "%s", LEGS_SOFTWARE);
	if (used == 0)
		return false;
	at += used;
	len -= used;
	used = 0;
	while (used < len && at[used] >= 0x20 && at[used] <= 0x7e)
		used++;
	if (used == 0 || used >= SOFTWARE_MAX || (used < len && at[used] != '\r' && at[used] != '\n'))
		return false;
	memcpy(software, at, used);
	software[used] = '\0';
	return true;
}

/* Decimal digits at `at`, as a number (9999: more than that). *end is behind them; `at` where there are none.
 */
static unsigned number_at(const char *at, const char **end)
{
	unsigned number = 0;

	for (*end = at; **end >= '0' && **end <= '9'; (*end)++)
		number = number >= 1000 ? 9999 : number * 10 + (unsigned)(**end - '0');
	return number;
}

void software_without_login_bugs(char software[SOFTWARE_MAX])
{
	static const char product[] = "OpenSSH_";
	const char *version = software + sizeof(product) - 1, *dot, *rest;
	const char *instead;

	if (strncmp(software, product, sizeof(product) - 1) != 0)
		return;
	unsigned major = number_at(version, &dot);
	if (dot == version || *dot != '.')
		return;
	unsigned minor = number_at(dot + 1, &rest);
	if (rest == dot + 1)
		return;
	if ((major == 6 && minor >= 7) || (major == 7 && minor <= 7))
		instead = "7.8";
	else if (major == 6 && minor >= 5)
		instead = "6.4";
	else
		return;
	while (rest[0] == '.' && rest[1] >= '0' && rest[1] <= '9') /* 6.6.1 */
		(void)number_at(rest + 1, &rest);
	memcpy(software + sizeof(product) - 1, instead, 3); /* no version is shorter */
	memmove(software + sizeof(product) + 2, rest, strlen(rest) + 1);
}
