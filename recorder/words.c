/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* True where `key` is absent or a boolean. */
static bool read_flag(const json_t *object, const char *key, bool standard, bool *value)
{
	json_t *found = json_object_get(object, key);

	*value = found == NULL ? standard : json_is_true(found);
	return found == NULL || json_is_boolean(found);
}

static bool read_uuid(const json_t *object, const char *key, char id[UUID_SIZE])
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL || strlen(text) != UUID_SIZE - 1 || !uuid_valid(text))
		return false;
	memcpy(id, text, UUID_SIZE);
	return true;
}

static bool read_header(const json_t *object, struct format_header *header)
{
	char *json = json_dumps(json_object_get(object, "header"), JSON_COMPACT | JSON_PRESERVE_ORDER);
	bool good = json != NULL && format_header_from_json(json, strlen(json), header) == 0;

	free(json);
	return good;
}

/* The object under "log", with a reference of its own; NULL where it is none or too long for a line. */
static json_t *read_log(const json_t *object)
{
	json_t *log = json_object_get(object, "log");

	if (!json_is_object(log))
		return NULL;
	char *text = log_text(log);
	free(text);
	return text == NULL ? NULL : json_incref(log);
}

static const char *open_fault(const json_t *object, struct open_words *words)
{
	if (!json_is_object(object))
		return "it is no JSON object";
	if (!read_uuid(object, "program_id", words->program_id) ||
	    !read_uuid(object, "session_id", words->session_id))
		return "program_id and session_id must be UUIDs in lower case";
	if (!read_flag(object, "record", true, &words->record) ||
	    !read_flag(object, "strict", false, &words->strict) ||
	    !read_flag(object, "resume", false, &words->resume))
		return "record, strict and resume must be booleans";
	if (!read_header(object, &words->header))
		return "header is not a recording's header";
	words->log = read_log(object);
	return words->log == NULL ? "log must be an object of at most 16 KiB" : NULL;
}

int open_words_read(const char *json, size_t len, struct open_words *words, const char **why)
{
	json_t *object = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);

	*words = (struct open_words){0};
	*why = open_fault(object, words);
	json_decref(object);
	return *why == NULL ? 0 : -EBADMSG;
}

int close_words_read(const char *json, size_t len, struct close_words *words, const char **why)
{
	json_t *object = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *blocks = json_object_get(object, "blocks");

	*words = (struct close_words){0};
	*why = NULL;
	if (!json_is_object(object))
		*why = "it is no JSON object";
	else if (!read_header(object, &words->header))
		*why = "header is not a recording's header";
	else if (blocks != NULL && (!json_is_integer(blocks) || json_integer_value(blocks) < 0))
		*why = "blocks must be a number";
	if (*why == NULL) {
		words->blocks = (uint64_t)json_integer_value(blocks);
		words->log = read_log(object);
	}
	json_decref(object);
	return *why == NULL ? 0 : -EBADMSG;
}

void datetime(uint64_t unix_seconds, char text[21])
{
	time_t seconds = (time_t)unix_seconds;
	struct tm utc;

	if (gmtime_r(&seconds, &utc) == NULL || strftime(text, 21, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		memcpy(text, "1970-01-01T00:00:00Z", 21);
}

static void put_absent(json_t *log, const char *key, const char *value)
{
	if (json_object_get(log, key) == NULL)
		(void)json_object_set_new(log, key, json_string(value));
}

void log_finish(json_t *log, const char *program_id, const char *session_id, uint64_t now,
    const char *close_reason, const char *error)
{
	char finished[21];

	datetime(now, finished);
	put_absent(log, "Datetime", finished);
	put_absent(log, "ProgramFinishDatetime", finished);
	/* Which file this line is about is the recorder's to say. */
	(void)json_object_set_new(log, "ProgramID", json_string(program_id));
	(void)json_object_set_new(log, "SessionID", json_string(session_id));
	(void)json_object_set_new(log, "Payload", json_string(""));
	if (error != NULL)
		(void)json_object_set_new(log, "Error", json_string(error));
	else
		put_absent(log, "Error", "");
	if (close_reason[0] != '\0')
		(void)json_object_set_new(log, "close_reason", json_string(close_reason));
}

char *log_text(const json_t *log)
{
	char *text = json_dumps(log, JSON_COMPACT | JSON_PRESERVE_ORDER);

	if (text != NULL && strlen(text) > LOG_LINE_MAX) {
		free(text);
		return NULL;
	}
	return text;
}
