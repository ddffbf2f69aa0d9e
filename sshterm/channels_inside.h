/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channels_inside: a channel, and what channels.c and withholding.c know of each other. Nobody else does.
 */
#ifndef SSHTERM_CHANNELS_INSIDE_H
#define SSHTERM_CHANNELS_INSIDE_H

#include "sshterm/channels.h"

#define CLIENT 0u
#define ORIGIN 1u
#define OTHER(leg) ((leg) ^ 1u)

struct channel {
	struct channel *next[2]; /* in the bucket of each leg's number */
	uint32_t number[2];      /* what each leg calls it */
	channel_leg opener;
	bool confirmed;
	bool session; /* a session channel: programs start by request */
	bool close_sent[2];
	bool eof_sent[2];
	bool closing[2];         /* said CLOSE, which may be withheld */
	uint8_t notice;          /* enum notice_state */
	uint16_t notice_told;    /* bytes of it */
	uint32_t packet_max[2];  /* that each leg takes */
	struct window window[2]; /* towards each leg */
	struct withheld withheld[2];
	char type[CHANNEL_TYPE_MAX];
	struct replies replies[2]; /* to channel requests, by the asking leg */
	struct channel_pty *pty;
	struct program *program;
};

/* -- channels.c -- */

/* The channel that a message from `from` speaks of, by the receiver's number; NULL where nobody has it.
 * Before the confirmation nobody may speak of it: *early. */
struct channel *channel_spoken_of(struct channels *table, channel_leg from, uint32_t number, bool *early);
enum channels_verdict channels_violate(struct channels *table, const char *what);
/* Gives `to` more of the window that it sends into. */
void channel_adjust(struct channels *table, const struct channel *channel, channel_leg to, uint32_t bytes);
void channel_start_session(
    struct channels *table, struct channel *channel, const char *type, struct wire_span command);
/* Looks at a payload as if nothing were withheld. */
enum channels_verdict channels_look(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len);

/* -- withholding.c: where program_judge is set -- */

/* Data, never empty, of a channel that has a program. */
enum channels_verdict channel_judged_data(
    struct channels *table, struct channel *channel, channel_leg from, uint32_t code, struct wire_span bytes);
/* channels_look(), but what is to wait behind withheld data does, and what need not wait any more goes on. */
enum channels_verdict channels_look_withholding(
    struct channels *table, channel_leg from, const uint8_t *payload, size_t len);

#endif
