/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_facts: what openings and requests say, read out of their payloads (RFC 4254 sections 5 to 8), for
 * those who keep logs and recordings. Bodies begin behind the fields that all messages of their kind have.
 */
#ifndef SSHTERM_CHANNEL_FACTS_H
#define SSHTERM_CHANNEL_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "recorder/format/format.h"

#define CHANNEL_TYPE_MAX 64
#define CHANNEL_PLACE_MAX 300 /* "host:port" of a forwarding, cut to fit */

/* A terminal, as pty-req gave it (RFC 4254 sections 6.2, 8). */
struct channel_pty {
	char term[FORMAT_TERM_MAX];
	uint32_t width, height; /* characters */
	struct format_mode modes[FORMAT_MODES_MAX];
	size_t mode_count;
};

/* How a program ended (RFC 4254 section 6.10). */
struct channel_exit {
	bool has_status;
	uint32_t status;
	char signal[32]; /* without SIG */
	bool core_dumped;
	char error_msg[FORMAT_TEXT_MAX];
};

/* What is known of a program when it starts. Spans and pointers are valid during the call. */
struct channel_program {
	const char *type;         /* shell, exec, subsystem, or the channel's type */
	struct wire_span command; /* exec: the command line; subsystem: its name */
	const struct channel_pty *pty;
	bool content;            /* its data is recorded, not only counted */
	const char *destination; /* forwardings: where to, and on whose behalf; else empty */
	const char *originator;
};

/* Text for logs: control characters and NULs become '?'. */
void facts_print_type(char out[CHANNEL_TYPE_MAX], struct wire_span type);
/* "host:port", "[v6]:port" */
void facts_print_place(char out[CHANNEL_PLACE_MAX], struct wire_span host, uint32_t port);
void facts_print_path(char out[CHANNEL_PLACE_MAX], struct wire_span path);

/* Where a channel of this type leads to, and who is behind it; empty where it does not say. */
void facts_read_places(struct wire_span type, struct wire body, char destination[CHANNEL_PLACE_MAX],
    char originator[CHANNEL_PLACE_MAX]);
/* The forwardings whose content is not ours to keep: another protocol's bytes, mostly encrypted, as many as
 * a network carries. Their ends and byte counts are logged. Everything else, known or not, is recorded. */
bool facts_is_forwarding(struct wire_span type);

/* False where the request is malformed. */
bool facts_read_pty(struct wire body, struct channel_pty *pty);
bool facts_read_exit_signal(struct wire body, struct channel_exit *how);

#endif
