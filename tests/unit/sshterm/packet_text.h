/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet_text: payloads of the connection protocol, written in a line.
 *
 * packet(out, "bssu", …): b a byte, u a uint32, s a C string as an RFC 4251 string, d bytes and length as a
 * string.
 */
#ifndef TESTS_UNIT_SSHTERM_PACKET_TEXT_H
#define TESTS_UNIT_SSHTERM_PACKET_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

static inline size_t packet_va(uint8_t out[4096], const char *fields, va_list values)
{
	struct wire_out o = wire_into(out, 4096);

	for (; *fields != '\0'; fields++) {
		const void *bytes;

		switch (*fields) {
		case 'b':
			wire_put_u8(&o, (uint8_t)va_arg(values, int));
			break;
		case 'u':
			wire_put_u32(&o, va_arg(values, uint32_t));
			break;
		case 's':
			wire_put_cstring(&o, va_arg(values, const char *));
			break;
		case 'd':
			bytes = va_arg(values, const void *);
			wire_put_string(&o, bytes, va_arg(values, size_t));
			break;
		}
	}
	return wire_written(&o);
}

#endif
