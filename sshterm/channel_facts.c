/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/channel_facts.h"

#include <stdio.h>
#include <string.h>

#define TUN_UNIT_ANY 0x7fffffffu /* OpenSSH's PROTOCOL section 2.3 */

static void print_text(char *out, size_t size, struct wire_span text)
{
	size_t len = text.len < size - 1 ? text.len : size - 1;

	for (size_t i = 0; i < len; i++)
		out[i] = text.at[i] >= ' ' && text.at[i] != 0x7f ? (char)text.at[i] : '?';
	out[len] = '\0';
}

void facts_print_type(char out[CHANNEL_TYPE_MAX], struct wire_span type)
{
	print_text(out, CHANNEL_TYPE_MAX, type);
	for (char *c = out; *c != '\0'; c++)
		if (*c == ' ' || (unsigned char)*c >= 0x80)
			*c = '?';
}

void facts_print_path(char out[CHANNEL_PLACE_MAX], struct wire_span path)
{
	print_text(out, CHANNEL_PLACE_MAX, path);
}

void facts_print_place(char out[CHANNEL_PLACE_MAX], struct wire_span host, uint32_t port)
{
	char text[CHANNEL_PLACE_MAX - 16];
	bool v6 = host.len > 0 && memchr(host.at, ':', host.len) != NULL;

	print_text(text, sizeof(text), host);
	snprintf(out, CHANNEL_PLACE_MAX, v6 ? "[%s]:%u" : "%s:%u", text, port);
}

static void print_tun(char out[CHANNEL_PLACE_MAX], uint32_t mode, uint32_t unit)
{
	char number[16] = "any";
	const char *kind = mode == 1 ? "point-to-point" : mode == 2 ? "ethernet" : "of an unknown mode";

	if (unit != TUN_UNIT_ANY)
		snprintf(number, sizeof(number), "%u", unit);
	snprintf(out, CHANNEL_PLACE_MAX, "tun %s, %s", number, kind);
}

/* RFC 4254 sections 6.3.2, 7.2; OpenSSH's PROTOCOL sections 2.3, 2.4. */
void facts_read_places(struct wire_span type, struct wire body, char destination[CHANNEL_PLACE_MAX],
    char originator[CHANNEL_PLACE_MAX])
{
	destination[0] = originator[0] = '\0';
	if (wire_span_is(type, "direct-tcpip") || wire_span_is(type, "forwarded-tcpip")) {
		struct wire_span host = wire_string(&body);
		uint32_t port = wire_u32(&body);

		facts_print_place(destination, host, port);
		host = wire_string(&body);
		port = wire_u32(&body);
		facts_print_place(originator, host, port);
	} else if (wire_span_is(type, "direct-streamlocal@openssh.com") ||
	           wire_span_is(type, "forwarded-streamlocal@openssh.com")) {
		facts_print_path(destination, wire_string(&body));
	} else if (wire_span_is(type, "x11")) {
		struct wire_span host = wire_string(&body);
		uint32_t port = wire_u32(&body);

		facts_print_place(originator, host, port);
	} else if (wire_span_is(type, "tun@openssh.com")) {
		uint32_t mode = wire_u32(&body), unit = wire_u32(&body);

		print_tun(destination, mode, unit);
	}
}

bool facts_is_forwarding(struct wire_span type)
{
	static const char *const types[] = {"direct-tcpip", "forwarded-tcpip",
	    "direct-streamlocal@openssh.com", "forwarded-streamlocal@openssh.com", "tun@openssh.com", "x11",
	    "auth-agent@openssh.com", "auth-agent", "agent-connect"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (wire_span_is(type, types[i]))
			return true;
	}
	return false;
}

/* Encoded terminal modes (RFC 4254 section 8): opcodes 1 to 159 have a uint32, 0 ends, others stop parsing.
 */
static void read_modes(struct channel_pty *pty, struct wire_span encoded)
{
	struct wire modes = wire_over(encoded.at, encoded.len);

	while (pty->mode_count < FORMAT_MODES_MAX && wire_left(&modes) >= 5) {
		uint8_t opcode = wire_u8(&modes);

		if (opcode == 0 || opcode >= 160)
			return;
		pty->modes[pty->mode_count++] =
		    (struct format_mode){.opcode = opcode, .value = wire_u32(&modes)};
	}
}

bool facts_read_pty(struct wire body, struct channel_pty *pty)
{
	*pty = (struct channel_pty){0};
	struct wire_span term = wire_string(&body);
	if (!wire_span_copy(term, pty->term, sizeof(pty->term)))
		pty->term[0] = '\0';
	pty->width = wire_u32(&body);
	pty->height = wire_u32(&body);
	wire_skip(&body, 8); /* pixels */
	struct wire_span modes = wire_string(&body);
	if (body.failed)
		return false;
	read_modes(pty, modes);
	return true;
}

bool facts_read_exit_signal(struct wire body, struct channel_exit *how)
{
	*how = (struct channel_exit){0};
	struct wire_span name = wire_string(&body);
	how->core_dumped = wire_u8(&body) != 0;
	struct wire_span text = wire_string(&body);
	if (body.failed)
		return false;
	if (!wire_span_copy(name, how->signal, sizeof(how->signal)))
		snprintf(how->signal, sizeof(how->signal), "unknown");
	if (text.len >= sizeof(how->error_msg))
		text.len = sizeof(how->error_msg) - 1;
	if (!wire_span_copy(text, how->error_msg, sizeof(how->error_msg)))
		how->error_msg[0] = '\0';
	return true;
}
