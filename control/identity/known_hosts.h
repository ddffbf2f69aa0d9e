/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_hosts: host keys of origins as OpenSSH writes them down (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"),
 * imported by administrators: plain and hashed names, patterns, [host]:port, @cert-authority and @revoked.
 *
 * The lines stand in the database and, parsed, in memory: an origin's names are looked for in all of them.
 */
#ifndef CONTROL_IDENTITY_KNOWN_HOSTS_H
#define CONTROL_IDENTITY_KNOWN_HOSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "control/certificate/public_key.h"
#include "control/identity/database.h"
#include "control/identity/words.h"

#define KNOWN_HOSTS_MAX 20000      /* lines */
#define KNOWN_HOSTS_LINE_MAX 16384 /* bytes of one */

enum known_marker { KNOWN_KEY = 0, KNOWN_CA, KNOWN_REVOKED };

struct known_line {
	enum known_marker marker;
	char *patterns; /* NULL: the line is empty, a comment, or of a key type that nothing here speaks */
	uint8_t *blob;
	size_t blob_len;
	const struct public_key_type *type;
};

struct known_memo;

struct known_hosts {
	struct known_line *lines;
	size_t count, room;
	struct known_memo *memo; /* which hashed lines are of which name; NULL: there are none */
	int64_t (*now_ms)(void); /* NULL: the monotonic clock; tests have their own */
};

/* NULL, or what is wrong with the line ("… on line 3"); free the line in either case. */
const char *known_line_parse(const char *text, size_t len, struct known_line *line);
void known_line_free(struct known_line *line);
/* Are its hosts hashed ("|1|salt|hash")? */
bool known_line_hashed(const struct known_line *line);
/* Do the line's patterns match one of the names ("198.51.100.2", "[web1]:2222")? */
bool known_line_matches(const struct known_line *line, const struct words *names);

/* What the database has, instead of what was there. False: it could not be read, or there is no memory. */
bool known_hosts_load(struct known_hosts *known, struct database *db);
void known_hosts_free(struct known_hosts *known);

struct known_import {
	unsigned lines, passed_over; /* taken (those that were there, too); not of a type or form for us */
	unsigned wrong_line;         /* 0: none; then nothing was imported */
	const char *wrong;
};
/* Adds a file's lines to the database and to `known`; `replace`: and takes away all that were there. False
 * where the database did not take them, or a line is wrong. */
bool known_hosts_import(struct known_hosts *known, struct database *db, const char *text, bool replace,
    struct known_import *result);
/* [{marker, hosts, type, fingerprint}] */
json_t *known_hosts_json(const struct known_hosts *known);

enum known_verdict {
	KNOWN_NONE = 0, /* no line for these names */
	KNOWN_OTHER,    /* there are, with other keys */
	KNOWN_HERE,
	KNOWN_BUSY, /* too many names that were not asked for before: not now */
};
/* Is the plain key one of those that the names have? */
enum known_verdict known_hosts_check(
    const struct known_hosts *known, const struct words *names, struct wire_span key);
/* Is the key (a host's, or a CA's) marked so for one of the names? */
bool known_hosts_marked(const struct known_hosts *known, enum known_marker marker, const struct words *names,
    struct wire_span key);
/* Adds to a comma-separated list the host key algorithms to ask for: certificates' where a CA is known for
 * one of `ca_names`, then those of the keys that `names` have. False: not now, as KNOWN_BUSY. */
bool known_hosts_algorithms(const struct known_hosts *known, const struct words *ca_names,
    const struct words *names, char *list, size_t size);
/* All certificate algorithms. */
extern const char known_hosts_certificates[];

#endif
