/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login: what the steps of a login share between the key exchanges and USERAUTH_SUCCESS.
 *
 *   identify (identify.c)         the client's requests are answered until control knows who it is
 *   second factor (factor.c)      where the rule wants one: the box's own question; of whom only the origin
 * knows, it comes last
 *   may (may.c)                   the rule's decision, and how the box is to log in at the origin
 *   origin login (origin_login.c) the rule's ways in, in its order: a certificate (origin_leg.c), what the
 * vault holds (vault_login.c), or what the client is asked for, relayed (relay_login.c)
 *
 * The client is owed an answer to one request all along (`pending`): each step takes it over as the one
 * before it left it, and it is answered with USERAUTH_SUCCESS only once the origin has let us in.
 */
#ifndef SSHTERM_LOGIN_H
#define SSHTERM_LOGIN_H

#include "sshterm/libssh_userauth.h"
#include "sshterm/offered.h"
#include "sshterm/userauth.h"

struct leg_failure;

/* How the origin answered. */
enum origin_verdict {
	ORIGIN_OVER = -1, /* a leg or the session is over; *failure is filled in */
	ORIGIN_DENIED,    /* not so; answers.methods can continue */
	ORIGIN_PARTIAL,   /* well, and answers.methods must follow */
	ORIGIN_IN,
	ORIGIN_LATER, /* agent: once the client is in and has forwarded it */
};

struct login {
	struct session *session;
	struct userauth auth;          /* the client's requests */
	struct inside_answers answers; /* the origin's answers */
	uint32_t identities;           /* enum rpc_identity, as the rule has it */
	const char *origin_legacy;     /* old algorithms that it lets the origin have */

	struct userauth_request pending; /* the client's request that is owed an answer */
	bool proven; /* it went well: what it is answered with is success, be it partial */
	bool fresh;  /* nothing was done with it: the origin is to judge it */

	bool pretending; /* to somebody whose login is nobody's: as if the origin refused them */
	struct offered_ways pretended; /* that it has, then */

	bool looked;               /* the origin was asked what it offers, */
	enum origin_verdict first; /* and so answered (answers.methods) */

	enum rpc_who_method known_by;
	enum rpc_factor second_factor;             /* still to be given */
	uint8_t origin_auth[RPC_ORIGIN_AUTHS_MAX]; /* enum rpc_origin_auth, in the rule's order */
	unsigned origin_auth_count;
	uint32_t tried;             /* bit set of them: the box's own, each once */
	enum rpc_secret vault_kind; /* 0: the vault has not been asked */
	char vault_said[2 *
	                SESSION_TEXT_MAX]; /* why the vault was of no use; empty: it was, or was not asked */
	unsigned questions;                /* of the origin in the dialogue of the pending request */
};

/* Each returns 0, or -1 with *failure filled in. */
/* Who is it, and as whom: fills in session->user and session->login. */
int identify(struct login *login, struct leg_failure *failure);
/* A key that is not looked at: control hears of it, for the audit log. 0 or -1 with *failure filled in; other
 * requests are nothing. */
int key_untaken(struct login *login, const struct userauth_request *request, struct leg_failure *failure);
/* The second factor, where one is due. */
int factor_ask(struct login *login, struct leg_failure *failure);
/* May they? Fills in session->grant and login->origin_auth. */
int may_ask(struct login *login, struct leg_failure *failure);

/* What MAY allowed is not so any more. */
void may_forget(struct session *session);

/* How the origin takes session->login without anything: asked once, which is what it may be without penalty.
 */
enum origin_verdict origin_look(struct login *login, struct leg_failure *failure);
/* The whole of our login at the origin: ORIGIN_IN, ORIGIN_LATER, or ORIGIN_OVER. */
enum origin_verdict origin_login(struct login *login, struct leg_failure *failure);
/* One of its ways: the client is asked for password or keyboard-interactive, as far as rule and origin have
 * them. */
enum origin_verdict relay_login(struct login *login, struct leg_failure *failure);

/* What of it there is, of the rule's ways and those that the origin offers now. */
struct offered_ways relay_ways(const struct login *login);

/* Waits until the origin has answered or asked. 0, or -1 with *failure filled in. */
int origin_await(struct login *login, struct leg_failure *failure);
/* How the origin took it, for the audit log: only the worker knows. `way`: enum rpc_origin_auth, 0: none. */
void origin_tell(const struct login *login, uint8_t way, enum origin_verdict verdict);

#define FACTOR_PROMPT "Verification code: "
/* Asks the client one question, not echoed, in the dialogue of its pending request. 1: *answer has the answer
 * (userauth_request_free), 0: it made another request instead, -1: over. `code`: the text in it, length 0
 * where it is not one answer. */
int factor_question(struct login *login, const char *prompt, struct userauth_request *answer,
    struct wire_span *code, struct leg_failure *failure);

#endif
