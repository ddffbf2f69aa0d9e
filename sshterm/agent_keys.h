/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_keys: which of an agent's keys are offered to the origin, and in which order.
 *
 * An origin cuts the line after some refused keys (OpenSSH's MaxAuthTries, 6 by default, with `none` and what
 * was tried before counted in), so the likeliest come first: the key with which the client has proven itself
 * here, then the other form of it (its certificate, or the key that the certificate is for), certificates
 * that name the login, other certificates, plain keys; within each class as the agent lists them. Left out:
 * what cannot be a login (host certificates, certificates that are not in force now, types that nobody here
 * knows, DSA), and what the origin says that it does not verify (server-sig-algs, RFC 8308 section 3.1).
 */
#ifndef SSHTERM_AGENT_KEYS_H
#define SSHTERM_AGENT_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define AGENT_KEYS_MAX 16
#define AGENT_FINGERPRINT_MAX 64

struct agent_key {
	struct wire_span blob; /* in the agent's answer */
	const char *algorithm; /* for the request: with -cert-v01@openssh.com where it is a certificate */
	const char *signature; /* the algorithm that the signature names */
	uint32_t flags;        /* for the agent */
	bool certificate;
	unsigned rank;
};

struct agent_keys {
	struct agent_key keys[AGENT_KEYS_MAX]; /* likeliest first */
	unsigned count;
	unsigned listed;  /* keys that the agent has shown */
	unsigned unfit;   /* of them: left out */
	unsigned skipped; /* of them: good, but behind the first AGENT_KEYS_MAX */
};

/* What the choice goes by. */
struct agent_wish {
	struct wire_span proven;    /* what the client has proven itself with; empty: no key */
	const char *login;          /* at the origin */
	const char *signature_algs; /* what the origin verifies, comma separated; NULL: it did not say */
	bool sha1;                  /* ssh-rsa may be used with an origin that says nothing */
	uint64_t now_s;             /* unix seconds */
};

/* Chooses from an IDENTITIES_ANSWER. False: it is malformed. */
bool agent_keys_choose(struct agent_keys *keys, struct wire_span answer, const struct agent_wish *wish);

/* "SHA256:…" as ssh-add -l prints it, of a key or of the key that a certificate is for. */
void agent_fingerprint(char out[AGENT_FINGERPRINT_MAX], struct wire_span blob);

#endif
