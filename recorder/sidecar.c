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
/* Of a disk and of the page cache: written at once, found whole or not at all, as a recording's header is. */
#define PAGE FORMAT_HEADER_SIZE

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

static int write_all(int fd, const char *text, size_t len)
{
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

/* The text of `sidecar` (whose reference it takes), filled up with spaces to PAGE bytes: *len is those, or
 * more. */
static char *text_of(json_t *sidecar, size_t *len)
{
	char *text = json_dumps(sidecar, JSON_INDENT(1) | JSON_PRESERVE_ORDER);

	json_decref(sidecar);
	*len = text == NULL ? 0 : strlen(text);
	if (text == NULL || *len >= PAGE)
		return text;
	char *page = malloc(PAGE);
	if (page != NULL) {
		memset(page, ' ', PAGE);
		memcpy(page, text, *len);
		page[PAGE - 1] = '\n';
		*len = PAGE;
	}
	free(text);
	return page;
}

/* Writes a new file. A descriptor or -errno. */
static int write_file(const struct directory *directory, const char *place, const char *text, size_t len)
{
	int fd = directory_openat(directory, place, O_WRONLY | O_CREAT | O_TRUNC);
	int error = fd < 0 ? fd : write_all(fd, text, len);

	if (error != 0 && fd >= 0)
		close(fd);
	return error != 0 ? error : fd;
}

int sidecar_begin(const struct directory *directory, const struct index_row *row,
    const struct format_header *first, const char *log)
{
	char place[PLACE_SIZE];
	json_t *sidecar = json_object();
	size_t len;

	directory_place(place, row->day, row->program_id, ".json");
	set_row(sidecar, row, log);
	(void)json_object_set_new(sidecar, "first_header", header_value(first));
	(void)json_object_set_new(sidecar, "header", json_null());
	char *text = text_of(sidecar, &len);
	int fd = text == NULL ? -ENOMEM : write_file(directory, place, text, len);
	free(text);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* What the file holds, NULL: no JSON object. *size: its bytes, SIDECAR_MAX at most. */
static json_t *read_open(int fd, size_t *size)
{
	char *text = malloc(SIDECAR_MAX);
	ssize_t got = text == NULL ? -1 : read(fd, text, SIDECAR_MAX);
	json_t *sidecar = got > 0 ? json_loadb(text, (size_t)got, 0, NULL) : NULL;

	*size = got > 0 ? (size_t)got : 0;
	free(text);
	if (sidecar != NULL && !json_is_object(sidecar)) {
		json_decref(sidecar);
		sidecar = NULL;
	}
	return sidecar;
}

static json_t *read_file(const struct directory *directory, const struct index_row *row)
{
	char place[PLACE_SIZE];
	size_t size;

	directory_place(place, row->day, row->program_id, ".json");
	int fd = directory_openat(directory, place, O_RDONLY);
	json_t *sidecar = fd < 0 ? NULL : read_open(fd, &size);
	if (fd >= 0)
		close(fd);
	return sidecar;
}

/* Takes the first one's place. A descriptor or -errno. */
static int write_beside(
    const struct directory *directory, const struct index_row *row, const char *text, size_t len)
{
	char place[PLACE_SIZE], beside[PLACE_SIZE];

	directory_place(place, row->day, row->program_id, ".json");
	directory_place(beside, row->day, row->program_id, ".json.new");
	int fd = write_file(directory, beside, text, len);
	if (fd >= 0 && renameat(directory->root, beside, directory->root, place) != 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

/* Takes `fd`. A descriptor or -errno. */
static int write_over(int fd, const char *page)
{
	ssize_t written = pwrite(fd, page, PAGE, 0);

	if (written == PAGE)
		return fd;
	int error = written < 0 ? errno : ENOSPC;
	close(fd);
	return -error;
}

int sidecar_finish(const struct directory *directory, const struct index_row *row,
    const struct format_header *last, const char *log)
{
	char place[PLACE_SIZE];
	size_t size = 0, len;

	directory_place(place, row->day, row->program_id, ".json");
	int fd = directory_openat(directory, place, O_RDWR);
	json_t *sidecar = fd < 0 ? NULL : read_open(fd, &size);
	if (sidecar == NULL)
		sidecar = json_object();
	set_row(sidecar, row, log);
	/* A torn one is made again: the last header opens the file as well as the first. */
	if (json_object_get(sidecar, "first_header") == NULL)
		(void)json_object_set_new(sidecar, "first_header", header_value(last));
	(void)json_object_set_new(sidecar, "header", header_value(last));
	char *text = text_of(sidecar, &len);
	if (text != NULL && size == PAGE && len == PAGE) {
		fd = write_over(fd, text);
	} else {
		if (fd >= 0)
			close(fd);
		fd = text == NULL ? -ENOMEM : write_beside(directory, row, text, len);
	}
	free(text);
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
