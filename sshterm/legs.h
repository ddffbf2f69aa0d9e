/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legs: from two TCP streams to two authenticated SSH connections, and the end of a session.
 */
#ifndef SSHTERM_LEGS_H
#define SSHTERM_LEGS_H

#include "sshterm/algorithms.h"
#include "sshterm/session.h"

/* The identification string of legs that mirror nobody (RFC 4253 section 4.2), without "SSH-2.0-". */
#define LEGS_SOFTWARE "Portreeve"

/* What all sessions share. 0 or -errno. */
int legs_start(void);
void legs_stop(void);

/* The whole life of a session: called as its fiber's main function. */
void session_run(struct session *session);

/* Why a leg could not go on. */
struct leg_failure {
	const char *close_reason;        /* static string for index and log */
	char text[SESSION_TEXT_MAX * 2]; /* for people; empty: the connection just ends */
	uint32_t
	    reason; /* of the DISCONNECT that the client gets (RFC 4253 section 11.1); 0: by application */
	uint32_t client_reason; /* of the one that it sent; 0: none */
};
/* The first failure stays. */
void leg_fail(struct leg_failure *failure, const char *close_reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a call to control that failed with `error`. */
void leg_fail_control(struct leg_failure *failure, int error);

/* What a leg's key exchange may agree on. 0 or -1. */
int leg_set_algorithms(struct ssh_session_struct *ssh, const struct algorithms *algorithms);

#endif
