/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin_key: is the key or certificate that an origin has shown good enough for the rule?
 *
 * What is known of an origin comes from three places: pins (what was met there first, or what an
 * administrator said of the address), imported known_hosts lines for its address and names, and host CAs
 * (@cert-authority lines). A revoked key is refused whatever else is known. Which keys an origin is asked
 * for, and which it is judged by, are the same lines'.
 *
 *   first_use    a pin or a line decides; where there is neither, the key is pinned and told of
 *   strict       the same, but where there is neither it is refused
 *   known_hosts  lines, CAs and what an administrator pinned; pins of a first use count for nothing
 *   ca           a certificate of a CA, and nothing else
 */
#ifndef CONTROL_SESSIONS_ORIGIN_KEY_H
#define CONTROL_SESSIONS_ORIGIN_KEY_H

#include "control/identity/known_hosts.h"
#include "control/identity/targets.h"
#include "control/policy/policy.h"

enum origin_verdict {
	ORIGIN_KNOWN = 0,
	ORIGIN_VOUCHED, /* known by a line or a CA, and not pinned yet, or as another: to be pinned */
	ORIGIN_FIRST_USE,
	ORIGIN_UNKNOWN,
	ORIGIN_CHANGED,
	ORIGIN_REVOKED,
	ORIGIN_FAILED, /* the database does not say */
	ORIGIN_BUSY,   /* too many new addresses are asked about: not now */
};

struct origin_key {
	struct wire_span shown; /* a plain blob or a certificate */
	uint8_t plain[PUBLIC_KEY_BLOB_MAX];
	size_t plain_len;
	char target_id[PUBLIC_KEY_FINGERPRINT_SIZE];
	char expected[PUBLIC_KEY_FINGERPRINT_SIZE]; /* CHANGED: what is pinned; empty: a line says another */
	const char *certificate_fault;              /* NULL: none was shown, or it is good */
	bool certified;                             /* by a CA that is trusted for this origin */
};

/* Reads what was shown. small: RSA from 1024 bits will do. False: no key that is spoken here. */
bool origin_key_read(struct origin_key *key, struct wire_span shown, bool small);
enum origin_verdict origin_key_judge(struct origin_key *key, struct database *db,
    const struct known_hosts *known, const char *address, enum policy_host_keys mode, time_t now);
/* Which algorithms to ask the origin at the address for first (comma separated). False: nothing is
 * pinned there, and what the lines say is not looked for now, as ORIGIN_BUSY. */
bool origin_key_algorithms(struct database *db, const struct known_hosts *known, const char *address,
    enum policy_host_keys mode, char *list, size_t size);

#endif
