/* SPDX-License-Identifier: Apache-2.0 */
/* What is mirrored of the other side's identification string. */
#include <criterion/criterion.h>
#include <stdio.h>
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
	cr_assert_str_eq(mirrored("SSH-1.99-Cisco-1.25\r\n", true), "Cisco-1.25");
}

Test(software, what_is_not_fit_is_not_said_in_anothers_name)
{
	char longest[SOFTWARE_MAX + 8 + 2] = "SSH-2.0-";

	cr_assert_str_eq(mirrored("", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-2.0-", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-2.0-\r\n", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-1.99-\r\n", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-1.5-old\r\n", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-2.0-bad\x01version\r\n", false), LEGS_SOFTWARE);
	cr_assert_str_eq(mirrored("SSH-2.0-caf\xc3\xa9\r\n", false), LEGS_SOFTWARE);
	memset(longest + 8, 'x', SOFTWARE_MAX);
	cr_assert_str_eq(mirrored(longest, false), LEGS_SOFTWARE);
	longest[8 + SOFTWARE_MAX - 1] = '\0';
	cr_assert_eq(strlen(mirrored(longest, true)), SOFTWARE_MAX - 1);
}

static const char *shown(const char *software)
{
	static char copy[SOFTWARE_MAX];

	snprintf(copy, sizeof(copy), "%s", software);
	software_without_login_bugs(copy);
	return copy;
}

Test(software, bugs_of_login_are_not_the_boxs)
{
	cr_expect_str_eq(shown("OpenSSH_7.6p1 Ubuntu-4ubuntu0.7"), "OpenSSH_7.8p1 Ubuntu-4ubuntu0.7");
	cr_expect_str_eq(shown("OpenSSH_7.4"), "OpenSSH_7.8");
	cr_expect_str_eq(shown("OpenSSH_7.7"), "OpenSSH_7.8");
	cr_expect_str_eq(shown("OpenSSH_7.0"), "OpenSSH_7.8");
	cr_expect_str_eq(shown("OpenSSH_6.7p1 Debian-5"), "OpenSSH_7.8p1 Debian-5");
	cr_expect_str_eq(shown("OpenSSH_7.5p1-hpn14v5"), "OpenSSH_7.8p1-hpn14v5");
	cr_expect_str_eq(shown("OpenSSH_6.6.1p1 Ubuntu-2"), "OpenSSH_6.4p1 Ubuntu-2");
	cr_expect_str_eq(shown("OpenSSH_6.6.1"), "OpenSSH_6.4");
	cr_expect_str_eq(shown("OpenSSH_6.5"), "OpenSSH_6.4");
}

Test(software, all_else_stays)
{
	static const char *const others[] = {"OpenSSH_5.3", "OpenSSH_4.3p2", "OpenSSH_6.0p1 Debian-4",
	    "OpenSSH_6.4", "OpenSSH_7.8", "OpenSSH_7.10", "OpenSSH_7.70", "OpenSSH_9.2p1 Debian-2",
	    "OpenSSH_10.0", "OpenSSH_16.6", "OpenSSH_", "OpenSSH_7", "OpenSSH_7.", "OpenSSH_.7",
	    "OpenSSH_99999999999999.7", "OpenSSH_for_Windows_7.7", "xOpenSSH_7.4", "Sun_SSH_1.1",
	    "Cisco-1.25", "dropbear_0.52", ""};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_str_eq(shown(others[i]), others[i]);
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
