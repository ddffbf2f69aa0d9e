/* SPDX-License-Identifier: Apache-2.0 */
/*
 * programs: the programs (channels) of a session, towards recorder, control and session log.
 *
 * It is what channels.h reports to. Each program gets a UUID, a recording (record.h) if its content is kept,
 * a session-log object, and a word to control at its start (with the encapsulated key) and at its end (with
 * the chain over its sealed blocks). A program that ended is not closed at once but within PROGRAM_LINGER_US,
 * or with its session, which mostly ends in the same moment: the log can then say when the session finished.
 */
#ifndef SSHTERM_PROGRAMS_H
#define SSHTERM_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "sshterm/channels.h"
#include "sshterm/record.h"
#include "sshterm/session.h"

#define PROGRAM_LINGER_US 1000000
#define PROGRAM_REFUSALS_TOLD 32 /* events about refusals a session; further ones are only counted */

struct program;

struct programs {
	struct session *session;
	struct program *live;               /* newest first */
	struct program *ended, *ended_last; /* in the order of their ends */
	struct recording *touched;          /* what the last packet was recorded in; the bridge resets it */
	struct recording *busy;             /* what data was recorded in last */
	uint32_t refusals;
	uint32_t started;
	void (*answer)(void *context, channel_leg to, const uint8_t *payload, size_t len);
	void *answer_context;
};

/* The context of these is a struct programs. */
extern const struct channel_ops programs_ops;

void programs_init(struct programs *programs, struct session *session,
    void (*answer)(void *context, channel_leg to, const uint8_t *payload, size_t len), void *answer_context);
/* Closes programs that ended PROGRAM_LINGER_US ago. */
void programs_reap(struct programs *programs, uint64_t now_us);
/* When programs_reap has something to do (us, CLOCK_MONOTONIC), UINT64_MAX: never. */
uint64_t programs_deadline(const struct programs *programs);
/* The session is over: closes all that ended. (channels_end() has ended all that lived.) */
void programs_finish(struct programs *programs);
/* True where some recording of a `strict` session broke. */
bool programs_broken(const struct programs *programs);

#endif
