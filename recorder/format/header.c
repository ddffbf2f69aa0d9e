/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first FORMAT_HEADER_SIZE bytes of a file: u32be N, then base64 of the JSON padded with spaces. N is
 * 4092, so the JSON has 3069 bytes and the base64 no '='; a header that grows at the end of a session
 * therefore takes the place of the first one exactly.
 */
#include "recorder/format/format.h"
#include "recorder/format/utf8.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_SIZE 4
#define TEXT_SIZE (FORMAT_HEADER_SIZE - LENGTH_SIZE)
#define JSON_SIZE (TEXT_SIZE / 4 * 3)
#define FOREIGN_TEXT_MAX (1u << 20)

_Static_assert(TEXT_SIZE % 4 == 0, "the header's base64 needs no padding");

/* Halves the string; false where there is nothing left to cut. */
static bool halve(char *text)
{
	size_t len = strlen(text);

	if (len == 0)
		return false;
	text[utf8_cut(text, len / 2)] = '\0';
	return true;
}

static void clean(char *text, size_t size)
{
	char cleaned[FORMAT_TEXT_MAX];

	utf8_clean(text, cleaned, size);
	memcpy(text, cleaned, strlen(cleaned) + 1);
}

/* Gives up the least: an error's text before names, names before modes. Keys, recipients and ids stay. */
static bool cut_something(struct format_header *header)
{
	if (halve(header->error_msg) || halve(header->term) || halve(header->signal) ||
	    halve(header->close_reason))
		return true;
	if (header->mode_count == 0)
		return false;
	header->mode_count /= 2;
	return true;
}

/* The header's JSON in at most JSON_SIZE bytes, malloc'ed, or NULL. */
static char *fitted_json(const struct format_header *header, int *error)
{
	struct format_header cut = *header;

	clean(cut.error_msg, sizeof(cut.error_msg));
	clean(cut.term, sizeof(cut.term));
	clean(cut.signal, sizeof(cut.signal));
	clean(cut.close_reason, sizeof(cut.close_reason));
	for (;;) {
		char *json = format_header_json(&cut);
		if (json == NULL) {
			*error = -ENOMEM;
			return NULL;
		}
		if (strlen(json) <= JSON_SIZE)
			return json;
		free(json);
		if (!cut_something(&cut)) {
			*error = -EMSGSIZE;
			return NULL;
		}
	}
}

int format_header_encode(const struct format_header *header, uint8_t out[FORMAT_HEADER_SIZE])
{
	struct wire_out file = wire_into(out, FORMAT_HEADER_SIZE);
	uint8_t padded[JSON_SIZE];
	char text[TEXT_SIZE + 1];
	int error = 0;

	if (sodium_is_zero(header->encapsulated, FORMAT_KEY_SIZE))
		return -EINVAL;
	char *json = fitted_json(header, &error);
	if (json == NULL)
		return error;
	size_t len = strlen(json);
	memcpy(padded, json, len); /* NOLINT(bugprone-not-null-terminated-result): blanks follow */
	memset(padded + len, ' ', sizeof(padded) - len);
	free(json);
	sodium_bin2base64(text, sizeof(text), padded, sizeof(padded), sodium_base64_VARIANT_ORIGINAL);
	wire_put_u32(&file, TEXT_SIZE);
	wire_put_bytes(&file, text, TEXT_SIZE);
	return 0;
}

int format_header_decode(const uint8_t *file, size_t len, struct format_header *header, size_t *consumed)
{
	struct wire in = wire_over(file, len);
	size_t text_size = wire_u32(&in);
	size_t json_size = 0;

	*header = (struct format_header){0};
	if (text_size > FOREIGN_TEXT_MAX)
		return -EBADMSG;
	struct wire_span text = wire_bytes(&in, text_size);
	if (in.failed || text.len == 0)
		return -EBADMSG;
	char *json = malloc(text_size);
	if (json == NULL)
		return -ENOMEM;
	int error = -EBADMSG;
	if (sodium_base642bin((uint8_t *)json, text_size, (const char *)text.at, text.len, NULL, &json_size,
	        NULL, sodium_base64_VARIANT_ORIGINAL) == 0)
		error = format_header_from_json(json, json_size, header);
	free(json);
	if (error == 0)
		*consumed = LENGTH_SIZE + text_size;
	return error;
}
