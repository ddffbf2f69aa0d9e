/* SPDX-License-Identifier: Apache-2.0 */
/* table: rows of JSON objects as aligned columns, or as JSON where the caller asked for it. */
#ifndef CONTROL_CLI_TABLE_H
#define CONTROL_CLI_TABLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

enum column_kind {
	COLUMN_TEXT,
	COLUMN_ID,    /* a UUID: its first 8 characters */
	COLUMN_TIME,  /* unix seconds, or an RFC 3339 string in UTC: local time to the second */
	COLUMN_HOST,  /* an address and port: the address alone */
	COLUMN_BYTES, /* a count of bytes: 1.2M */
	COLUMN_LIST,  /* an array of strings, or of objects whose `fingerprint` is shown: joined by commas */
};

struct column {
	const char *heading;
	const char *key;
	enum column_kind kind;
};

/* Prints one line a row under headings; says `nothing` where there are no rows. */
void table_print(const json_t *rows, const struct column *columns, size_t count, const char *nothing);
/* Prints one "heading: value" line a column of a single object, missing values left out. */
void table_print_one(const json_t *object, const struct column *columns, size_t count);
/* Gives each row an `ended` for its table: its close_reason, or "live" where it goes on. */
void table_add_ended(json_t *rows);
void print_json(const json_t *value);
/* Writes hostile text with control characters (C0, DEL, C1 in UTF-8) as \xNN. Returns the columns it takes.
 */
size_t print_safely(FILE *out, const char *text);

#endif
