/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CELL_MAX 512
#define COLUMN_MAX 16

size_t print_safely(FILE *out, const char *text)
{
	size_t columns = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;
		if (*c < 0x20 || *c == 0x7f || c1) {
			fprintf(out, "\\x%02x", c1 ? c[1] : *c);
			columns += 4;
			c += c1 ? 1 : 0;
			continue;
		}
		fputc(*c, out);
		columns += (*c & 0xc0) != 0x80; /* continuation bytes take no column */
	}
	return columns;
}

/* Unix seconds of 2026-11-21T03:09:46.597Z, 0 where the text is no such time. */
static time_t seconds_of(const char *text)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	return end != NULL && text[strlen(text) - 1] == 'Z' ? timegm(&tm) : 0;
}

static void cell_time(const json_t *value, char *cell)
{
	struct tm tm;
	const char *text = json_string_value(value);
	time_t seconds = text != NULL ? seconds_of(text) : (time_t)json_integer_value(value);

	if (text != NULL && *text != '\0' && seconds == 0)
		snprintf(cell, CELL_MAX, "%s", text);
	else if (seconds == 0)
		snprintf(cell, CELL_MAX, "-");
	else if (localtime_r(&seconds, &tm) == NULL ||
	         strftime(cell, CELL_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(cell, CELL_MAX, "%lld", (long long)seconds);
}

static void cell_bytes(const json_t *value, char *cell)
{
	static const char units[] = " KMGTPE";
	double n = json_number_value(value);
	size_t unit = 0;

	if (!json_is_number(value)) {
		snprintf(cell, CELL_MAX, "-");
		return;
	}
	while (n >= 1024 && unit + 2 < sizeof(units)) {
		n /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(cell, CELL_MAX, "%.0f", n);
	else
		snprintf(cell, CELL_MAX, "%.1f%c", n, units[unit]);
}

static void cell_list(const json_t *value, char *cell)
{
	size_t i, used = 0;
	const json_t *item;

	cell[0] = '\0';
	json_array_foreach(value, i, item)
	{
		const char *text =
		    json_string_value(json_is_object(item) ? json_object_get(item, "fingerprint") : item);
		if (text == NULL)
			continue;
		int len = snprintf(cell + used, CELL_MAX - used, "%s%s", used > 0 ? "," : "", text);
		if (len < 0 || (size_t)len >= CELL_MAX - used)
			break;
		used += (size_t)len;
	}
	if (used == 0)
		snprintf(cell, CELL_MAX, "-");
}

static void cell_text(const json_t *value, char *cell)
{
	if (json_is_string(value) && *json_string_value(value) != '\0')
		snprintf(cell, CELL_MAX, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(cell, CELL_MAX, "%lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		snprintf(cell, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
	else
		snprintf(cell, CELL_MAX, "-");
}

/* 198.51.100.1:22 and [2001:db8::1]:22 without the port. */
static void cell_host(const json_t *value, char *cell)
{
	cell_text(value, cell);
	char *bracket = strchr(cell, ']');
	if (cell[0] == '[' && bracket != NULL) {
		*bracket = '\0';
		memmove(cell, cell + 1, strlen(cell));
	} else if (strchr(cell, ':') != NULL && strchr(cell, ':') == strrchr(cell, ':')) {
		*strchr(cell, ':') = '\0';
	}
}

static void cell_of(const json_t *row, const struct column *column, char *cell)
{
	const json_t *value = json_object_get(row, column->key);

	switch (column->kind) {
	case COLUMN_TIME:
		cell_time(value, cell);
		break;
	case COLUMN_HOST:
		cell_host(value, cell);
		break;
	case COLUMN_BYTES:
		cell_bytes(value, cell);
		break;
	case COLUMN_LIST:
		cell_list(value, cell);
		break;
	case COLUMN_ID:
		cell_text(value, cell);
		if (strlen(cell) > 8)
			cell[8] = '\0';
		break;
	case COLUMN_TEXT:
		cell_text(value, cell);
		break;
	}
}

/* Columns that `text` takes when printed safely. */
static size_t width_of(const char *text)
{
	size_t columns = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
		columns += *c < 0x20 || *c == 0x7f ? 4 : (*c & 0xc0) != 0x80;
	return columns;
}

static void print_cell(const char *text, size_t width, bool last)
{
	size_t printed = print_safely(stdout, text);

	if (!last)
		printf("%*s", (int)(printed < width ? width - printed + 2 : 2), "");
}

void table_print(const json_t *rows, const struct column *columns, size_t count, const char *nothing)
{
	size_t widths[COLUMN_MAX] = {0};
	char cell[CELL_MAX];
	size_t i;
	const json_t *row;

	if (json_array_size(rows) == 0) {
		puts(nothing);
		return;
	}
	for (size_t c = 0; c < count && c < COLUMN_MAX; c++) {
		widths[c] = strlen(columns[c].heading);
		json_array_foreach(rows, i, row)
		{
			cell_of(row, &columns[c], cell);
			if (width_of(cell) > widths[c])
				widths[c] = width_of(cell);
		}
	}
	for (size_t c = 0; c < count; c++)
		print_cell(columns[c].heading, widths[c], c + 1 == count);
	putchar('\n');
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < count; c++) {
			cell_of(row, &columns[c], cell);
			print_cell(cell, widths[c], c + 1 == count);
		}
		putchar('\n');
	}
}

void table_print_one(const json_t *object, const struct column *columns, size_t count)
{
	char cell[CELL_MAX];

	for (size_t c = 0; c < count; c++) {
		const json_t *value = json_object_get(object, columns[c].key);
		if (value == NULL || json_is_null(value))
			continue;
		if (columns[c].kind == COLUMN_ID)
			cell_text(value, cell);
		else
			cell_of(object, &columns[c], cell);
		printf("%-18s ", columns[c].heading);
		print_safely(stdout, cell);
		putchar('\n');
	}
}

void table_add_ended(json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		json_t *reason = json_object_get(row, "close_reason");
		bool live = json_is_true(json_object_get(row, "live"));
		json_object_set_new(row, "ended",
		    live || reason == NULL ? json_string(live ? "live" : "-") : json_incref(reason));
	}
}

void print_json(const json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	if (text != NULL)
		puts(text);
	free(text);
}
