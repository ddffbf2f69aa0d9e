/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header as JSON. `encapsulated_key` and `started_at` come first, so that the first bytes of its base64
 * are the same in every version of one file's header. What is read may come from a worker that was taken over
 * or from a file that somebody made up: each type is looked at, every string is bounded.
 */
#include "recorder/format/format.h"
#include "recorder/format/utf8.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

#define HEX_KEY_SIZE (2 * FORMAT_KEY_SIZE + 1)
#define BASE64_MAX 128 /* of a wrapped context: 80 characters and a NUL */

/* -- writing -- */

static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value); /* -1 for a value that could not be made */
}

static json_t *text_or_null(const char *text)
{
	char clean[FORMAT_TEXT_MAX];

	if (text[0] == '\0')
		return json_null();
	utf8_clean(text, clean, sizeof(clean));
	return json_string(clean);
}

static int set_text(json_t *object, const char *key, const char *text)
{
	return text[0] == '\0' ? 0 : set(object, key, text_or_null(text));
}

static json_t *modes_json(const struct format_header *header)
{
	json_t *modes = json_array();
	char number[4];

	for (size_t i = 0; i < header->mode_count && i < FORMAT_MODES_MAX; i++) {
		const char *name = format_mode_name(header->modes[i].opcode);
		if (name == NULL) {
			snprintf(number, sizeof(number), "%u", header->modes[i].opcode);
			name = number;
		}
		json_t *pair = json_pack("[sI]", name, (json_int_t)header->modes[i].value);
		if (json_array_append_new(modes, pair) != 0) {
			json_decref(modes);
			return NULL;
		}
	}
	return modes;
}

static json_t *pty_json(const struct format_header *header)
{
	if (!header->has_pty)
		return json_null();
	json_t *pty = json_object();
	if (set(pty, "term", text_or_null(header->term)) != 0 ||
	    set(pty, "width", json_integer(header->width)) != 0 ||
	    set(pty, "height", json_integer(header->height)) != 0 ||
	    set(pty, "modes", modes_json(header)) != 0) {
		json_decref(pty);
		return NULL;
	}
	return pty;
}

static json_t *exit_json(const struct format_header *header)
{
	if (!header->has_exit)
		return json_null();
	json_t *ended = json_object();
	if (set(ended, "timestamp", json_integer((json_int_t)header->exit_timestamp)) != 0 ||
	    set(ended, "status", header->has_status ? json_integer(header->status) : json_null()) != 0 ||
	    set(ended, "signal", text_or_null(header->signal)) != 0 ||
	    set(ended, "core_dumped", json_boolean(header->core_dumped)) != 0 ||
	    set(ended, "error_msg", text_or_null(header->error_msg)) != 0) {
		json_decref(ended);
		return NULL;
	}
	return ended;
}

static json_t *base64(const uint8_t *bytes, size_t len)
{
	char text[BASE64_MAX];

	return json_string(sodium_bin2base64(text, sizeof(text), bytes, len, sodium_base64_VARIANT_ORIGINAL));
}

static json_t *recipients_json(const struct format_header *header)
{
	json_t *recipients = json_array();

	for (size_t i = 0; i < header->wrapped_count && i < FORMAT_RECIPIENTS_MAX - 1; i++) {
		const struct format_wrapped *wrapped = &header->wrapped[i];
		json_t *one = json_object();
		if (set(one, "public_key", base64(wrapped->recipient, FORMAT_KEY_SIZE)) != 0 ||
		    set(one, "encapsulated_key", base64(wrapped->encapsulated, FORMAT_KEY_SIZE)) != 0 ||
		    set(one, "context", base64(wrapped->sealed, sizeof(wrapped->sealed))) != 0) {
			json_decref(one);
			one = NULL;
		}
		if (json_array_append_new(recipients, one) != 0) {
			json_decref(recipients);
			return NULL;
		}
	}
	return recipients;
}

static int set_own_keys(json_t *object, const struct format_header *header)
{
	if (set_text(object, "session_id", header->session_id) != 0 ||
	    set_text(object, "program_id", header->program_id) != 0 ||
	    set_text(object, "close_reason", header->close_reason) != 0)
		return -1;
	if (header->lost_records > 0 &&
	    set(object, "lost_records", json_integer((json_int_t)header->lost_records)) != 0)
		return -1;
	return header->wrapped_count > 0 ? set(object, "recipients", recipients_json(header)) : 0;
}

char *format_header_json(const struct format_header *header)
{
	char key[HEX_KEY_SIZE];
	json_t *object = json_object();
	char *text = NULL;

	sodium_bin2hex(key, sizeof(key), header->encapsulated, FORMAT_KEY_SIZE);
	bool sealed = !sodium_is_zero(header->encapsulated, FORMAT_KEY_SIZE);
	if ((!sealed || set(object, "encapsulated_key", json_string(key)) == 0) &&
	    set(object, "started_at", json_integer((json_int_t)header->started_at)) == 0 &&
	    set(object, "data_size", json_integer((json_int_t)header->data_size)) == 0 &&
	    set(object, "pty", pty_json(header)) == 0 && set(object, "exit_data", exit_json(header)) == 0 &&
	    set_own_keys(object, header) == 0)
		text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(object);
	return text;
}

/* -- reading: each returns false where the value is there but not what it has to be -- */

static bool read_number(const json_t *object, const char *key, uint64_t most, uint64_t *value)
{
	json_t *found = json_object_get(object, key);

	*value = 0;
	if (found == NULL || json_is_null(found))
		return true;
	if (!json_is_integer(found) || json_integer_value(found) < 0)
		return false;
	*value = (uint64_t)json_integer_value(found);
	return *value <= most;
}

static bool read_u32(const json_t *object, const char *key, uint32_t *value)
{
	uint64_t wide;
	bool good = read_number(object, key, UINT32_MAX, &wide);

	*value = (uint32_t)wide;
	return good;
}

static bool read_text(const json_t *object, const char *key, char *text, size_t size)
{
	json_t *found = json_object_get(object, key);

	text[0] = '\0';
	if (found == NULL || json_is_null(found))
		return true;
	if (!json_is_string(found))
		return false;
	size_t len = json_string_length(found);
	if (len >= size)
		len = utf8_cut(json_string_value(found), size - 1);
	memcpy(text, json_string_value(found), len);
	text[len] = '\0';
	return true;
}

static void read_mode(const json_t *pair, struct format_header *header)
{
	const char *name = json_string_value(json_array_get(pair, 0));
	json_t *value = json_array_get(pair, 1);
	uint8_t opcode = name == NULL ? 0 : format_mode_opcode(name);

	if (opcode == 0 || !json_is_integer(value) || header->mode_count == FORMAT_MODES_MAX)
		return;
	if (json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
		return;
	header->modes[header->mode_count++] =
	    (struct format_mode){.opcode = opcode, .value = (uint32_t)json_integer_value(value)};
}

static bool read_pty(const json_t *pty, struct format_header *header)
{
	size_t i;
	json_t *pair;

	if (pty == NULL || json_is_null(pty))
		return true;
	header->has_pty = true;
	json_t *modes = json_object_get(pty, "modes");
	json_array_foreach(modes, i, pair) read_mode(pair, header);
	return json_is_object(pty) && (modes == NULL || json_is_array(modes)) &&
	       read_text(pty, "term", header->term, sizeof(header->term)) &&
	       read_u32(pty, "width", &header->width) && read_u32(pty, "height", &header->height);
}

static bool read_exit(const json_t *ended, struct format_header *header)
{
	if (ended == NULL || json_is_null(ended))
		return true;
	header->has_exit = true;
	header->has_status = json_is_integer(json_object_get(ended, "status"));
	header->core_dumped = json_is_true(json_object_get(ended, "core_dumped"));
	return json_is_object(ended) && read_number(ended, "timestamp", INT64_MAX, &header->exit_timestamp) &&
	       read_u32(ended, "status", &header->status) &&
	       read_text(ended, "signal", header->signal, sizeof(header->signal)) &&
	       read_text(ended, "error_msg", header->error_msg, sizeof(header->error_msg));
}

static bool read_base64(const json_t *object, const char *key, uint8_t *bytes, size_t len)
{
	json_t *found = json_object_get(object, key);
	size_t got = 0;

	return json_is_string(found) &&
	       sodium_base642bin(bytes, len, json_string_value(found), json_string_length(found), NULL, &got,
	           NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       got == len;
}

static bool read_recipients(const json_t *recipients, struct format_header *header)
{
	size_t i;
	json_t *one;

	if (recipients == NULL || json_is_null(recipients))
		return true;
	if (!json_is_array(recipients) || json_array_size(recipients) > FORMAT_RECIPIENTS_MAX - 1)
		return false;
	json_array_foreach(recipients, i, one)
	{
		struct format_wrapped *wrapped = &header->wrapped[header->wrapped_count++];
		if (!read_base64(one, "public_key", wrapped->recipient, FORMAT_KEY_SIZE) ||
		    !read_base64(one, "encapsulated_key", wrapped->encapsulated, FORMAT_KEY_SIZE) ||
		    !read_base64(one, "context", wrapped->sealed, sizeof(wrapped->sealed)))
			return false;
	}
	return true;
}

static bool read_encapsulated(const json_t *object, struct format_header *header)
{
	json_t *found = json_object_get(object, "encapsulated_key");
	size_t got = 0;

	if (found == NULL)
		return true;
	return json_is_string(found) && json_string_length(found) == 2 * FORMAT_KEY_SIZE &&
	       sodium_hex2bin(header->encapsulated, FORMAT_KEY_SIZE, json_string_value(found),
	           2 * FORMAT_KEY_SIZE, NULL, &got, NULL) == 0 &&
	       got == FORMAT_KEY_SIZE;
}

int format_header_from_json(const char *json, size_t len, struct format_header *header)
{
	json_t *object = json_loadb(json, len, 0, NULL);

	*header = (struct format_header){0};
	bool good = json_is_object(object) && read_encapsulated(object, header) &&
	            json_is_integer(json_object_get(object, "started_at")) &&
	            read_number(object, "started_at", INT64_MAX, &header->started_at) &&
	            read_number(object, "data_size", INT64_MAX, &header->data_size) &&
	            read_pty(json_object_get(object, "pty"), header) &&
	            read_exit(json_object_get(object, "exit_data"), header) &&
	            read_text(object, "session_id", header->session_id, sizeof(header->session_id)) &&
	            read_text(object, "program_id", header->program_id, sizeof(header->program_id)) &&
	            read_text(object, "close_reason", header->close_reason, sizeof(header->close_reason)) &&
	            read_number(object, "lost_records", INT64_MAX, &header->lost_records) &&
	            read_recipients(json_object_get(object, "recipients"), header);
	json_decref(object);
	if (!good)
		*header = (struct format_header){0};
	return good ? 0 : -EBADMSG;
}
