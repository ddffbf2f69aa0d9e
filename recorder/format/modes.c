/* SPDX-License-Identifier: Apache-2.0 */
/* Names of terminal modes: RFC 4254 section 8, and IUTF8 of RFC 8160. */
#include "recorder/format/format.h"

#include <stddef.h>
#include <string.h>

static const char *const names[] = {
    [1] = "VINTR",
    [2] = "VQUIT",
    [3] = "VERASE",
    [4] = "VKILL",
    [5] = "VEOF",
    [6] = "VEOL",
    [7] = "VEOL2",
    [8] = "VSTART",
    [9] = "VSTOP",
    [10] = "VSUSP",
    [11] = "VDSUSP",
    [12] = "VREPRINT",
    [13] = "VWERASE",
    [14] = "VLNEXT",
    [15] = "VFLUSH",
    [16] = "VSWTCH",
    [17] = "VSTATUS",
    [18] = "VDISCARD",
    [30] = "IGNPAR",
    [31] = "PARMRK",
    [32] = "INPCK",
    [33] = "ISTRIP",
    [34] = "INLCR",
    [35] = "IGNCR",
    [36] = "ICRNL",
    [37] = "IUCLC",
    [38] = "IXON",
    [39] = "IXANY",
    [40] = "IXOFF",
    [41] = "IMAXBEL",
    [42] = "IUTF8",
    [50] = "ISIG",
    [51] = "ICANON",
    [52] = "XCASE",
    [53] = "ECHO",
    [54] = "ECHOE",
    [55] = "ECHOK",
    [56] = "ECHONL",
    [57] = "NOFLSH",
    [58] = "TOSTOP",
    [59] = "IEXTEN",
    [60] = "ECHOCTL",
    [61] = "ECHOKE",
    [62] = "PENDIN",
    [70] = "OPOST",
    [71] = "OLCUC",
    [72] = "ONLCR",
    [73] = "OCRNL",
    [74] = "ONOCR",
    [75] = "ONLRET",
    [90] = "CS7",
    [91] = "CS8",
    [92] = "PARENB",
    [93] = "PARODD",
    [128] = "TTY_OP_ISPEED",
    [129] = "TTY_OP_OSPEED",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

const char *format_mode_name(uint8_t opcode)
{
	return opcode < NAMES ? names[opcode] : NULL;
}

uint8_t format_mode_opcode(const char *name)
{
	for (size_t i = 1; i < NAMES; i++)
		if (names[i] != NULL && strcmp(names[i], name) == 0)
			return (uint8_t)i;
	/* One to three digits, of 1 to 255. */
	unsigned value = 0;
	size_t digits = strspn(name, "0123456789");
	if (digits == 0 || digits > 3 || name[digits] != '\0')
		return 0;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (unsigned)(name[i] - '0');
	return value <= UINT8_MAX ? (uint8_t)value : 0;
}
