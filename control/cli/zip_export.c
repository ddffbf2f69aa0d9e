/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zip has two stored entries: with a pty the pair that scriptreplay(1) plays (term_data.txt, whose first
 * line scriptreplay skips, and term_times.txt, "seconds bytes" an origin record), else the two directions.
 * The entries are written to files without a name beside the zip first, since a session may exceed memory.
 */
#include "control/cli/zip_export.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zip.h>

#include "control/cli/command.h"

#define PATH_ROOM 4096

struct entry {
	const char *name;
	FILE *file;
};

/* A file that has no name: plaintext that nobody finds when we are killed. */
static FILE *nameless_file(const char *beside)
{
	char copy[PATH_ROOM];

	snprintf(copy, sizeof(copy), "%s", beside);
	int fd = open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return tmpfile();
	FILE *file = fdopen(fd, "w+");
	if (file == NULL)
		close(fd);
	return file;
}

static const char *format_date(uint64_t seconds, char text[64])
{
	time_t at = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&at, &tm) == NULL || strftime(text, 64, "%Y-%m-%d %H:%M:%S+00", &tm) == 0)
		snprintf(text, 64, "%llu", (unsigned long long)seconds);
	return text;
}

static void write_trailer(FILE *out, const struct format_header *h)
{
	char date[64];

	if (!h->has_exit) {
		fputs("\nSession has no termination data\n", out);
		return;
	}
	fprintf(out, "\nScript done on %s ", format_date(h->exit_timestamp, date));
	if (h->error_msg[0] != '\0')
		fprintf(out, "[ERROR=\"%s\"]\n", h->error_msg);
	else if (h->core_dumped)
		fputs("[CORE DUMPED]\n", out);
	else
		fprintf(out, "[COMMAND_EXIT_CODE=\"%u\"]\n", h->has_status ? h->status : 0);
}

static int write_terminal(struct recording *recording, FILE *data, FILE *times)
{
	const struct format_header *h = recording_header(recording);
	struct format_record record;
	uint64_t last_us = 0;
	char date[64];
	int got;

	fprintf(data, "Session started on %s [TERM=\"%s\" COLUMNS=\"%u\" LINES=\"%u\"]\n",
	    format_date(h->started_at, date), h->term, h->width, h->height);
	while ((got = recording_next(recording, &record)) > 0) {
		/* scriptreplay aborts on a line of length zero. */
		if (record.source != FORMAT_FROM_ORIGIN || record.code >= FORMAT_EVENT ||
		    record.data.len == 0)
			continue;
		uint64_t delta = record.time_us > last_us ? record.time_us - last_us : 0;
		fprintf(times, "%.6f %zu\n", (double)delta / 1e6, record.data.len);
		fwrite(record.data.at, 1, record.data.len, data);
		last_us = record.time_us;
	}
	write_trailer(data, h);
	return got;
}

static int write_directions(struct recording *recording, FILE *client, FILE *server)
{
	struct format_record record;
	int got;

	while ((got = recording_next(recording, &record)) > 0)
		if (record.code < FORMAT_EVENT)
			fwrite(record.data.at, 1, record.data.len,
			    record.source == FORMAT_FROM_CLIENT ? client : server);
	return got;
}

static bool add_entry(zip_t *zip, struct entry *entry)
{
	if (fflush(entry->file) != 0 || ferror(entry->file) || fseek(entry->file, 0, SEEK_SET) != 0)
		return false;
	zip_source_t *source = zip_source_filep(zip, entry->file, 0, -1);
	if (source == NULL)
		return false;
	entry->file = NULL; /* libzip's now */
	zip_int64_t index = zip_file_add(zip, entry->name, source, ZIP_FL_ENC_UTF_8);
	if (index < 0) {
		zip_source_free(source);
		return false;
	}
	return zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0;
}

static int write_zip(struct entry entries[2], const char *path)
{
	char partial[PATH_ROOM];
	int error = 0;

	if (snprintf(partial, sizeof(partial), "%s.partial", path) >= (int)sizeof(partial))
		return complain("the output's path is too long"), -1;
	zip_t *zip = zip_open(partial, ZIP_CREATE | ZIP_TRUNCATE, &error);
	if (zip == NULL)
		return complain("cannot write %s: %s", partial, strerror(errno)), -1;
	if (!add_entry(zip, &entries[0]) || !add_entry(zip, &entries[1])) {
		complain("cannot add the session to %s: %s", partial, zip_strerror(zip));
		zip_discard(zip);
		return -1;
	}
	if (zip_close(zip) != 0) {
		complain("cannot write %s: %s", partial, zip_strerror(zip));
		zip_discard(zip);
		unlink(partial);
		return -1;
	}
	if (chmod(partial, 0600) != 0 || rename(partial, path) != 0) {
		complain("cannot write %s: %s", path, strerror(errno));
		unlink(partial);
		return -1;
	}
	return 0;
}

int zip_export(struct recording *recording, const char *path)
{
	bool pty = recording_header(recording)->has_pty;
	struct entry entries[2] = {{.name = pty ? "term_data.txt" : "data_from_client.txt"},
	    {.name = pty ? "term_times.txt" : "data_from_server.txt"}};
	int status = -1;

	umask(077);
	entries[0].file = nameless_file(path);
	entries[1].file = nameless_file(path);
	if (entries[0].file == NULL || entries[1].file == NULL)
		complain("cannot make a temporary file beside %s: %s", path, strerror(errno));
	else if (pty)
		status = write_terminal(recording, entries[0].file, entries[1].file);
	else
		status = write_directions(recording, entries[0].file, entries[1].file);
	if (status == 0)
		status = write_zip(entries, path);
	for (int i = 0; i < 2; i++)
		if (entries[i].file != NULL)
			fclose(entries[i].file);
	return status;
}
