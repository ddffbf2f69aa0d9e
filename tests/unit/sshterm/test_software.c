/* SPDX-License-Identifier: Apache-2.0 */
/* What is mirrored of the other side's identification string. */
#include <criterion/criterion.h>
#include <string.h>

#include "sshterm/legs.h"
#include "sshterm/software.h"

static const char *mirrored(const char *line, bool good)
{
	static char software[SOFTWARE_MAX];

	cr_assert_eq(software_of((const uint8_t *)line, strlen(line), software), good, "%s", line);
	return software;
}

Test(software, version_and_comments_as_they_are)
{
	cr_assert_str_eq(mirrored("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", true), "OpenSSH_9.2p1 Debian-2");
	cr_assert_str_eq(mirrored("SSH-2.0-Go\r\n", true), "Go");
	cr_assert_str_eq(mirrored("SSH-2.0-dropbear\n", true), "dropbear");
	cr_assert_str_eq(mirrored("SSH-2.0-PuTTY_Release_0.78\r\n\0\0\1", true), "PuTTY_Release_0.78");
	cr_assert_str_eq(mirrored("SSH-2.0-libssh_0.12.2", true), "libssh_0.12.2");
}

Test(software, what_is_not_fit_is_not_said_in_anothers_name)
{
	char longest[SOFTWARE_MAX + 8 + 2] = "SSH-2.0-";

	cr_assert_str_eq(mirrored("", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-2.0-", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-2.0-\r\n", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-1.99-old\r\n", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-2.0-bad\x01version\r\n", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-2.0-caf\xc3\xa9\r\n", false), LEGS_SOFTWARE);
	memset(longest + 8, 'x', SOFTWARE_MAX);
	cr_assert_str_eq(mirrored(longest, false), LEGS_SOFTWARE);
	longest[8 + SOFTWARE_MAX - 1] = '\0';
	cr_assert_eq(strlen(mirrored(longest, true)), SOFTWARE_MAX - 1);
}

Test(software, a_line_is_whole_at_its_end_or_when_it_is_too_long)
{
	uint8_t line[255];

	memset(line, 'x', sizeof(line));
	cr_assert(!software_line_is_whole(line, 0));
	cr_assert(!software_line_is_whole(line, 254));
	cr_assert(software_line_is_whole(line, 255));
	line[3] = '\n';
	cr_assert(software_line_is_whole(line, 4));
	cr_assert(!software_line_is_whole(line, 3));
}
