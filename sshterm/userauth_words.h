/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userauth_words: reads what the two peers say while they authenticate (RFC 4252, RFC 4256). All of it is
 * foreign; spans point into what was read. Nothing here knows libssh.
 */
#ifndef SSHTERM_USERAUTH_WORDS_H
#define SSHTERM_USERAUTH_WORDS_H

#include <stdbool.h>

#include "config/wire/wire.h"

#define USERAUTH_LIST_MAX 512 /* bytes of an origin's list of methods that can continue */
#define USERAUTH_CODE_MAX 64  /* of a second factor */

enum userauth_method {
	USERAUTH_NONE = 1,
	USERAUTH_PUBLICKEY, /* hostbound, too */
	USERAUTH_PASSWORD,
	USERAUTH_KEYBOARD,
	USERAUTH_OTHER, /* or for another service than ssh-connection */
};

/* A USERAUTH_REQUEST (RFC 4252 section 5), its payload behind the message number. */
struct userauth_words {
	enum userauth_method method;
	struct wire_span login;
	struct wire_span offered; /* publickey: the key or certificate that it names; length 0: none */
	struct wire_span key;     /* the same, where there is a signature by it; length 0: there is none */
};
/* False: it is no request. */
bool userauth_words(struct wire_span payload, struct userauth_words *words);

/* The one answer of an INFO_RESPONSE (RFC 4256 section 3.4); length 0: not one, empty, or too long for a
 * code. */
struct wire_span userauth_only_answer(struct wire_span payload);

/* A USERAUTH_FAILURE: which methods can continue (empty where that is no text, or too long), and whether the
 * request went well. */
void userauth_read_failure(struct wire_span payload, char methods[USERAUTH_LIST_MAX], bool *partial);

/* Does a list of names (RFC 4251 section 5) have this one? */
bool userauth_list_has(const char *list, const char *name);

#endif
