/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIDECAR_MAX (128 * 1024)

static json_t *header_value(const struct format_header *header)
{
	char *text = format_header_json(header);
	json_t *value = text == NULL ? NULL : json_loads(text, 0, NULL);

	free(text);
	return value;
}

static void set_row(json_t *sidecar, const struct index_row *row, const char *log)
{
	(void)json_object_set_new(sidecar, "program_id", json_string(row->program_id));
	(void)json_object_set_new(sidecar, "session_id", json_string(row->session_id));
	(void)json_object_set_new(sidecar, "worker", json_integer(row->worker));
	(void)json_object_set_new(sidecar, "strict", json_boolean(row->strict));
	(void)json_object_set_new(sidecar, "open", json_boolean(row->open));
	(void)json_object_set_new(sidecar, "started_at", json_integer((json_int_t)row->started_at));
	(void)json_object_set_new(
	    sidecar, "finished_at", row->open ? json_null() : json_integer((json_int_t)row->finished_at));
	(void)json_object_set_new(sidecar, "blocks", json_integer((json_int_t)row->blocks));
	(void)json_object_set_new(sidecar, "file_size", json_integer((json_int_t)row->file_size));
	(void)json_object_set_new(sidecar, "close_reason", json_string(row->close_reason));
	(void)json_object_set_new(sidecar, "log", json_loads(log, 0, NULL));
}

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t written = write(fd, text, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written == 0 ? -ENOSPC : -errno;
		text += written;
		len -= (size_t)written;
	}
	return 0;
}

/* Writes `sidecar` (whose reference it takes) to a new file. A descriptor or -errno. */
static int write_file(const struct directory *directory, const char *place, int flags, json_t *sidecar)
{
	char *text = json_dumps(sidecar, JSON_INDENT(1) | JSON_PRESERVE_ORDER);

	json_decref(sidecar);
	if (text == NULL)
		return -ENOMEM;
	int fd = directory_openat(directory, place, O_WRONLY | O_CREAT | flags);
	int error = fd < 0 ? fd : write_all(fd, text);
	free(text);
	if (error != 0 && fd >= 0)
		close(fd);
	return error != 0 ? error : fd;
}

int sidecar_begin(const struct directory *directory, const struct index_row *row,
    const struct format_header *first, const char *log)
{
	char place[PLACE_SIZE];
	json_t *sidecar = json_object();

	directory_place(place, row->day, row->program_id, ".json");
	set_row(sidecar, row, log);
	(void)json_object_set_new(sidecar, "first_header", header_value(first));
	(void)json_object_set_new(sidecar, "header", json_null());
	int fd = write_file(directory, place, O_TRUNC, sidecar);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static json_t *read_file(const struct directory *directory, const struct index_row *row)
{
	char place[PLACE_SIZE];
	json_t *sidecar = NULL;

	directory_place(place, row->day, row->program_id, ".json");
	int fd = directory_openat(directory, place, O_RDONLY);
	char *text = fd < 0 ? NULL : malloc(SIDECAR_MAX);
	if (text != NULL) {
		ssize_t got = read(fd, text, SIDECAR_MAX);
		if (got > 0)
			sidecar = json_loadb(text, (size_t)got, 0, NULL);
	}
	free(text);
	if (fd >= 0)
		close(fd);
	if (sidecar != NULL && !json_is_object(sidecar)) {
		json_decref(sidecar);
		sidecar = NULL;
	}
	return sidecar;
}

int sidecar_finish(const struct directory *directory, const struct index_row *row,
    const struct format_header *last, const char *log)
{
	char place[PLACE_SIZE], beside[PLACE_SIZE];
	json_t *sidecar = read_file(directory, row);

	if (sidecar == NULL)
		sidecar = json_object();
	set_row(sidecar, row, log);
	(void)json_object_set_new(sidecar, "header", header_value(last));
	directory_place(place, row->day, row->program_id, ".json");
	directory_place(beside, row->day, row->program_id, ".json.new");
	int fd = write_file(directory, beside, O_TRUNC, sidecar);
	if (fd >= 0 && renameat(directory->root, beside, directory->root, place) != 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

int sidecar_first_header(
    const struct directory *directory, const struct index_row *row, struct format_header *first)
{
	json_t *sidecar = read_file(directory, row);
	char *text = json_dumps(json_object_get(sidecar, "first_header"), JSON_COMPACT | JSON_PRESERVE_ORDER);
	int error = text == NULL ? -ENOENT : format_header_from_json(text, strlen(text), first);

	free(text);
	json_decref(sidecar);
	return error;
}

static uint64_t number_of(const json_t *sidecar, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(sidecar, key));

	return value < 0 ? 0 : (uint64_t)value;
}

int sidecar_row(const struct directory *directory, struct index_row *row, char **log)
{
	json_t *sidecar = read_file(directory, row);
	const char *session = json_string_value(json_object_get(sidecar, "session_id"));
	const char *reason = json_string_value(json_object_get(sidecar, "close_reason"));
	json_t *object = json_object_get(sidecar, "log");

	*log = NULL;
	if (session != NULL && reason != NULL && strlen(session) == UUID_SIZE - 1 && json_is_object(object)) {
		memcpy(row->session_id, session, UUID_SIZE);
		snprintf(row->close_reason, sizeof(row->close_reason), "%s", reason);
		row->recorded = true;
		row->worker = (uint32_t)number_of(sidecar, "worker");
		row->strict = json_is_true(json_object_get(sidecar, "strict"));
		row->open = json_is_true(json_object_get(sidecar, "open"));
		row->started_at = number_of(sidecar, "started_at");
		row->finished_at = number_of(sidecar, "finished_at");
		row->blocks = number_of(sidecar, "blocks");
		row->file_size = number_of(sidecar, "file_size");
		*log = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
	}
	json_decref(sidecar);
	return *log == NULL ? -EBADMSG : 0;
}
