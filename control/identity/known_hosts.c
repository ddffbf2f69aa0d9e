/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity/known_hosts.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/identity/known_hashed.h"
#include "control/identity/known_memo.h"

#define NAME_MAX_ALL 512

const char known_hosts_certificates[] =
    "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"
    "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com";

/* -- one line -- */

static const char *take_marker(struct wire_span word, enum known_marker *marker)
{
	if (wire_span_is(word, "@cert-authority"))
		*marker = KNOWN_CA;
	else if (wire_span_is(word, "@revoked"))
		*marker = KNOWN_REVOKED;
	else
		return "begins with a marker that is neither @cert-authority nor @revoked";
	return NULL;
}

static const char *take_key(struct wire_span type, struct wire_span base64, struct known_line *line)
{
	struct public_key key;

	line->blob = malloc(PUBLIC_KEY_BLOB_MAX);
	if (line->blob == NULL)
		return "did not fit into memory";
	if (base64.len == 0 ||
	    sodium_base642bin(line->blob, PUBLIC_KEY_BLOB_MAX, (const char *)base64.at, base64.len, NULL,
	        &line->blob_len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return "has no valid base64 after its key type";
	/* known_line_free() frees it. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	if (!public_key_parse_legacy((struct wire_span){line->blob, line->blob_len}, &key))
		return "has a damaged key, or one of less than 1024 bits";
	if (!wire_span_is(type, key.type->name))
		return "says another key type in its text than in its data";
	line->type = key.type;
	return NULL;
}

const char *known_line_parse(const char *text, size_t len, struct known_line *line)
{
	const char *at = text, *end = text + len;
	struct wire_span patterns = public_key_word(&at, end);
	const char *wrong = NULL;
	bool certificate;

	*line = (struct known_line){0};
	if (patterns.len == 0 || patterns.at[0] == '#')
		return NULL;
	if (len > KNOWN_HOSTS_LINE_MAX || memchr(text, '\0', len) != NULL)
		return "is too long, or has a NUL byte in it";
	if (patterns.at[0] == '@') {
		wrong = take_marker(patterns, &line->marker);
		patterns = public_key_word(&at, end);
	}
	struct wire_span type = public_key_word(&at, end), base64 = public_key_word(&at, end);
	if (wrong != NULL)
		return wrong;
	/* A .pub file, or a CA's key behind its marker: no host has such a name. */
	if (public_key_type_of(patterns, &certificate) != NULL)
		return "says no host before its key; expected hosts, key type and key";
	if (type.len == 0)
		return "is no line of a known_hosts file; expected hosts, key type and key";
	/* Types that we do not speak (ssh-dss) are passed over, as OpenSSH does. */
	if (public_key_type_of(type, &certificate) == NULL || certificate)
		return NULL;
	wrong = take_key(type, base64, line);
	if (wrong == NULL) {
		line->patterns = strndup((const char *)patterns.at, patterns.len);
		wrong = line->patterns == NULL ? "did not fit into memory" : NULL;
	}
	return wrong;
}

void known_line_free(struct known_line *line)
{
	free(line->patterns);
	free(line->blob);
	*line = (struct known_line){0};
}

/* -- matching -- */

static bool hashed_matches(const char *text, const char *name)
{
	struct known_hashed hashed;

	return known_hashed_read(&hashed, text) && known_hashed_matches(&hashed, name);
}

/* 1: matches, 0: does not, -1: a negated pattern does, which takes all others back. */
static int list_matches(const char *patterns, const char *name)
{
	int matches = 0;

	for (const char *at = patterns; *at != '\0';) {
		size_t len = strcspn(at, ",");
		bool negated = *at == '!';
		if (word_fits((struct wire_span){(const uint8_t *)at + negated, len - negated}, name)) {
			if (negated)
				return -1;
			matches = 1;
		}
		at += len + (at[len] == ',');
	}
	return matches;
}

bool known_line_hashed(const struct known_line *line)
{
	return known_hashed_is(line->patterns);
}

/* OpenSSH asks for the one name that was typed; here each name counts, and one that is negated counts against
 * all of them. */
bool known_line_matches(const struct known_line *line, const struct words *names)
{
	bool hashed = known_line_hashed(line), matches = false;

	for (size_t i = 0; i < names->count; i++) {
		int one = hashed ? hashed_matches(line->patterns, names->at[i])
		                 : list_matches(line->patterns, names->at[i]);
		if (one < 0)
			return false;
		if (hashed && one > 0) /* nothing is negated in a hash */
			return true;
		matches = matches || one > 0;
	}
	return matches;
}

/* -- all lines -- */

static bool append(struct known_hosts *known, struct known_line *line)
{
	if (known->count == known->room) {
		size_t room = known->room == 0 ? 64 : known->room * 2;
		struct known_line *lines = realloc(known->lines, room * sizeof(*lines));
		if (lines == NULL)
			return false;
		known->lines = lines;
		known->room = room;
	}
	known->lines[known->count++] = *line;
	*line = (struct known_line){0};
	return true;
}

void known_hosts_free(struct known_hosts *known)
{
	for (size_t i = 0; i < known->count; i++)
		known_line_free(&known->lines[i]);
	free(known->lines);
	known_memo_destroy(known->memo);
	*known = (struct known_hosts){.now_ms = known->now_ms};
}

bool known_hosts_load(struct known_hosts *known, struct database *db)
{
	sqlite3_stmt *row = database_query(db, "SELECT line FROM known_hosts", "");
	bool good = row != NULL;

	known_hosts_free(known);
	while (database_row(row)) {
		struct known_line line;
		const char *text = database_text(row, 0);
		good = known_line_parse(text, strlen(text), &line) == NULL &&
		       (line.patterns == NULL || append(known, &line)) && good;
		known_line_free(&line);
	}
	return known_memo_create(known) && good;
}

/* Puts one line into the database. False: it is wrong, or there are too many. */
static bool import_line(struct database *db, const char *text, size_t len, struct known_import *result)
{
	struct known_line line;

	result->wrong = known_line_parse(text, len, &line);
	bool ours = result->wrong == NULL && line.patterns != NULL;
	known_line_free(&line);
	if (!ours) {
		result->passed_over += len > 0 && text[0] != '#';
		return result->wrong == NULL;
	}
	if (++result->lines > KNOWN_HOSTS_MAX) {
		result->wrong = "is one too many: at most 20,000 are kept";
		return false;
	}
	struct wire_span span = {(const uint8_t *)text, len};
	if (!database_run(db,
	        "INSERT OR IGNORE INTO known_hosts(line, imported_at) VALUES(CAST(? AS TEXT), ?)", "bi", span,
	        (int64_t)time(NULL)))
		result->wrong = "was not taken by control.db";
	return result->wrong == NULL;
}

bool known_hosts_import(struct known_hosts *known, struct database *db, const char *text, bool replace,
    struct known_import *result)
{
	unsigned number = 0;

	*result = (struct known_import){0};
	if (!database_begin(db))
		return false;
	bool good = !replace || database_run(db, "DELETE FROM known_hosts", "");
	for (const char *at = text; good && *at != '\0';) {
		size_t len = strcspn(at, "\n"), whole = len;
		while (len > 0 && isspace((unsigned char)at[len - 1]))
			len--;
		number++;
		good = import_line(db, at, len, result);
		at += whole + (at[whole] == '\n');
	}
	if (!good)
		result->wrong_line = number;
	return database_end(db, good) && known_hosts_load(known, db);
}

json_t *known_hosts_json(const struct known_hosts *known)
{
	static const char *const markers[] = {"", "cert-authority", "revoked"};
	json_t *list = json_array();

	for (size_t i = 0; i < known->count; i++) {
		const struct known_line *line = &known->lines[i];
		char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];
		public_key_fingerprint((struct wire_span){line->blob, line->blob_len}, fingerprint);
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:s}", "marker", markers[line->marker], "hosts",
		              line->patterns, "type", line->type->name, "fingerprint", fingerprint));
	}
	return list;
}

static bool same(const struct known_line *line, struct wire_span key)
{
	return line->blob_len == key.len && memcmp(line->blob, key.at, key.len) == 0;
}

enum known_verdict known_hosts_check(
    const struct known_hosts *known, const struct words *names, struct wire_span key)
{
	enum known_verdict verdict = KNOWN_NONE;

	if (!known_memo_look(known, names))
		return KNOWN_BUSY;
	for (size_t i = 0; i < known->count; i++) {
		const struct known_line *line = &known->lines[i];
		if (line->marker != KNOWN_KEY || !known_memo_matches(known, i, names))
			continue;
		if (same(line, key))
			return KNOWN_HERE;
		verdict = KNOWN_OTHER;
	}
	return verdict;
}

bool known_hosts_marked(const struct known_hosts *known, enum known_marker marker, const struct words *names,
    struct wire_span key)
{
	for (size_t i = 0; i < known->count; i++) {
		const struct known_line *line = &known->lines[i];
		if (line->marker == marker && same(line, key) && known_line_matches(line, names))
			return true;
	}
	return false;
}

static void add(char *list, size_t size, const char *names)
{
	size_t used = strlen(list);

	if (strstr(list, names) == NULL && used + strlen(names) + 2 <= size)
		snprintf(list + used, size - used, "%s%s", used > 0 ? "," : "", names);
}

bool known_hosts_algorithms(const struct known_hosts *known, const struct words *ca_names,
    const struct words *names, char *list, size_t size)
{
	if (!known_memo_look(known, ca_names))
		return false;
	for (size_t i = 0; i < known->count; i++)
		if (known->lines[i].marker == KNOWN_CA && known_memo_matches(known, i, ca_names)) {
			add(list, size, known_hosts_certificates);
			break;
		}
	if (!known_memo_look(known, names))
		return false;
	for (size_t i = 0; i < known->count; i++) {
		const struct known_line *line = &known->lines[i];
		if (line->marker == KNOWN_KEY && known_memo_matches(known, i, names))
			add(list, size,
			    line->type->kind == PUBLIC_KEY_RSA ? "rsa-sha2-512,rsa-sha2-256,ssh-rsa"
			                                       : line->type->name);
	}
	return true;
}
