/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userauth: the client leg's authentication, one request after the other, with its limits.
 *
 * Requests are answered in the order in which they came, whether the client waits for answers or not. Each
 * refused one counts; all of them are bounded in number and, by the session's login deadline, in time.
 */
#ifndef SSHTERM_USERAUTH_H
#define SSHTERM_USERAUTH_H

#include <stdbool.h>

#include "sshterm/libssh_userauth.h"
#include "sshterm/session.h"
#include "sshterm/userauth_words.h"

struct leg_failure;

#define USERAUTH_METHODS_MAX 64 /* "publickey,keyboard-interactive,password" */

/* The client leg's side of it. */
struct userauth {
	struct session *session;
	struct inside_requests requests;
	struct inside_answers *answers; /* the origin's: it may end the connection meanwhile */
	unsigned failures, limit;
	unsigned taken;                     /* of any kind: those that are no failure cost work, too */
	char methods[USERAUTH_METHODS_MAX]; /* that can continue, for the next failure */
	const char *notice;                 /* shown before the first answer; NULL: none, or shown */
	char told[SESSION_TEXT_MAX];        /* the last banner of ours: each text is shown once */
};

/* A request (or an answer to a question: packet.type says which) that is owed an answer. */
struct userauth_request {
	enum userauth_method method; /* of a request */
	struct wire_span offered;    /* the key that it names, in the packet */
	struct wire_span key;        /* that it is signed by */
	char login[SESSION_TEXT_MAX];
	struct inside_packet packet;
	ssh_message message; /* libssh's word on a publickey request, NULL: it is not to be taken */
};
void userauth_request_free(struct userauth_request *request);

/* What the rule has for it; auth->requests listens already, `notice` and `answers` stay the caller's. */
void userauth_start(struct userauth *auth, struct session *session, struct inside_answers *answers,
    unsigned attempts, const char *notice);

/* Which methods can continue: of "publickey", "password", "keyboard-interactive". */
void userauth_offer(struct userauth *auth, bool publickey, bool keyboard, bool password);

/* The client's next packet, if there is one: 1, 0, or -1 with *failure filled in (a limit, a broken rule). */
int userauth_take(struct userauth *auth, struct userauth_request *request, struct leg_failure *failure);
/* Takes in what has arrived on the origin's leg, and on the client's where its next packet is waited for, and
 * waits where there was nothing. While a request is being judged the client's leg is not read (RFC 4252
 * section 5.1 has requests answered in order); that the client is gone is noticed all the same. 0, or -1
 * where a leg or the session is over. */
int userauth_wait_for_client(struct userauth *auth, struct leg_failure *failure);
int userauth_wait_for_origin(struct userauth *auth, struct leg_failure *failure);
/* Takes and waits: the next request; answers to questions that nobody asks any more are passed over. 0 or -1.
 */
int userauth_next(struct userauth *auth, struct userauth_request *request, struct leg_failure *failure);
/* The answer to a question that was just sent: 1; 0: it made another request instead, which is the next to be
 * taken; -1: over. */
int userauth_response(struct userauth *auth, struct userauth_request *response, struct leg_failure *failure);

/* Lets some time go by. */
void userauth_pause(struct userauth *auth, uint64_t us);

/* Answers: what was asked for is refused, and the attempt counts; the same for what is no attempt; or what
 * was asked for is well and further methods must follow. 0, or -1 with *failure filled in. */
int userauth_refuse(struct userauth *auth, struct leg_failure *failure);
int userauth_pass_over(struct userauth *auth, struct leg_failure *failure);
int userauth_continue(struct userauth *auth, struct leg_failure *failure);

/* A line for the person at the client; the same one only once. */
void userauth_tell(struct userauth *auth, const char *text);

#endif
