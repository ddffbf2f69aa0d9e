/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_log: the session-log object of one program.
 *
 * The field names in capitals are those of Cloudflare's `ssh_logs` dataset, all of them, always there,
 * strings (empty where a thing is not so: ProgramFinishDatetime until the program ends, and so on). `Payload`
 * is always empty: content exists only sealed. Portreeve's own fields are in snake_case. Times are RFC 3339,
 * UTC.
 */
#ifndef SSHTERM_SESSION_LOG_H
#define SSHTERM_SESSION_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "sshterm/channels.h"
#include "sshterm/session.h"

struct session_log_program {
	const char *program_id;
	const char *type;
	const char *command;                  /* NULL: not to be logged, or none */
	const struct channel_pty *pty;        /* NULL: none */
	const char *destination, *originator; /* of a forwarding; "" else */
	bool recorded;
	uint64_t started_us, finished_us; /* CLOCK_REALTIME; finished 0: it runs */
	uint64_t session_finished_us;     /* 0: it is not over */
	uint64_t bytes[2];                /* by the leg they came from */
	uint64_t lost_records;
	const struct channel_exit *exit; /* NULL: unknown */
	const char *error;               /* "" none */
	const char *close_reason;        /* "" while it runs */
};

/* The object as JSON text, malloc'ed; NULL: no memory. What peers wrote is made valid UTF-8. */
char *session_log_json(const struct session *session, const struct session_log_program *program);
/* Copies `len` bytes that a peer wrote as valid UTF-8 (others become '?'), cut to size-1 bytes. */
void session_log_text(char *out, size_t size, const uint8_t *text, size_t len);

#endif
