/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token: the process that speaks with a PKCS#11 token for the keeper.
 *
 * Theory of operation. A vendor's module cannot run where keys lie and nothing may be opened: it wants files,
 * threads and sockets, and is nobody's reviewed code. So before the keeper reads a key it forks a process
 * that has none: a guard, and under it the one that loads the module and answers, one question at a time,
 * over a socketpair. When that one dies (or hangs, and is killed for it) the guard says so and starts
 * another: the keeper goes on, and what needed the token is refused with the reason. What a token signed is
 * verified before it leaves the keeper.
 *
 * The keeper waits for an answer, and whoever needs no token waits with it. So it does that once: after a
 * question that was given up no other is put until its answer has come or the process was started again.
 *
 * Question: u32 number, u8 what (enum token_what), u8 algorithm, string URI, string data. Answer: u32 number,
 * string error, string result.
 */
#ifndef CONTROL_KEEPER_TOKEN_H
#define CONTROL_KEEPER_TOKEN_H

#include "control/keeper/keeper.h"

#define TOKEN_TIMEOUT_MS 3000 /* control waits for the keeper 5 s, and others wait behind the question */
#define TOKEN_MAKE_TIMEOUT_MS 55000

enum token_what { TOKEN_FIND = 1, TOKEN_GENERATE, TOKEN_SIGN };

struct token_settings {
	char module[1024];            /* path; empty: there is no token */
	char pin_file[1024];          /* path: its first line is the PIN */
	struct wire_span environment; /* "NAME=VALUE" each a string: what the module's vendor wants */
};

struct token {
	int fd; /* -1: none is configured */
	uint32_t number;
	bool owes; /* the last question was given up and its answer has not come */
};

/* Starts the process; to be called before any key is read. 0 or -errno. */
int token_start(struct token *token, const struct token_settings *settings);
/* The public key blob of the URI's key, which is there (FIND) or is made (GENERATE). */
bool token_key(struct token *token, enum token_what what, const char *uri, uint8_t algorithm,
    struct wire_out *blob, char error[KEEPER_ERROR_MAX]);
/* Appends a signature blob over `data` that `blob` verifies. */
bool token_sign(struct token *token, const char *uri, struct wire_span blob, struct wire_span data,
    struct wire_out *out, char error[KEEPER_ERROR_MAX]);

/* -- token_confine.c -- Of the process that is about to load the module. 0 or -errno. */
int token_confine(void);
/* -- token_process.c -- Does not return. */
_Noreturn void token_process(int fd, const struct token_settings *settings);

#endif
