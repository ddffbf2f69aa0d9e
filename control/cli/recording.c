/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli/command.h"

#define HEADER_BYTES_MAX ((size_t)1 << 20)
#define KEY_FILE_MAX 256
/* Our blocks are at most FORMAT_BLOCK_MAX; other producers of the format may choose larger ones. */
#define BLOCK_BYTES_MAX ((size_t)16 << 20)
#define REMOTE_CHUNK 98304 /* what one recording.read returns at most */

/* -- keys -- */

int recording_read_key(const char *path, uint8_t key[FORMAT_KEY_SIZE])
{
	char text[KEY_FILE_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return complain(
		           "cannot read the private key %s: %s (-k FILE names it)", path, strerror(errno)),
		       -1;
	ssize_t len = read(fd, text, sizeof(text));
	close(fd);
	int error =
	    len < 0 || (size_t)len == sizeof(text) ? -EINVAL : format_key_decode(text, (size_t)len, key);
	sodium_memzero(text, sizeof(text));
	if (error != 0)
		return complain("%s is not a private key of `reeve keygen` (44 characters of base64)", path),
		       -1;
	return 0;
}

/* -- sources -- */

struct file_source {
	struct recording_source source;
	int fd;
	const char *path; /* the caller's */
};

static ssize_t file_read(void *context, uint64_t offset, void *buffer, size_t size)
{
	const struct file_source *file = context;
	ssize_t got = pread(file->fd, buffer, size, (off_t)offset);

	if (got < 0)
		complain("cannot read the recording %s: %s", file->path, strerror(errno));
	return got;
}

struct recording_source *recording_file(const char *path)
{
	struct file_source *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return complain("out of memory"), NULL;
	file->path = path;
	file->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0) {
		complain("cannot open the recording %s: %s", path, strerror(errno));
		free(file);
		return NULL;
	}
	file->source = (struct recording_source){.read = file_read, .context = file};
	return &file->source;
}

struct remote_source {
	struct recording_source source;
	struct control_socket *socket;
	char id[64];
	int number;
	uint8_t chunk[REMOTE_CHUNK];
	uint64_t chunk_offset;
	size_t chunk_len;
};

/* Fetches the chunk that begins at `offset`. False after a message. */
static bool remote_fetch(struct remote_source *remote, uint64_t offset)
{
	json_t *params = json_pack(
	    "{s:s, s:I, s:i}", "program", remote->id, "offset", (json_int_t)offset, "length", REMOTE_CHUNK);
	if (params != NULL && remote->number > 0)
		json_object_set_new(params, "number", json_integer(remote->number));
	json_t *result = control_call(remote->socket, "recording.read", params);
	const char *data = json_string_value(json_object_get(result, "data"));
	bool fetched =
	    data != NULL && sodium_base642bin(remote->chunk, sizeof(remote->chunk), data, strlen(data), NULL,
	                        &remote->chunk_len, NULL, sodium_base64_VARIANT_ORIGINAL) == 0;

	if (result != NULL && !fetched)
		complain(
		    "the box's answer to recording.read is not base64 of %d bytes at most", REMOTE_CHUNK);
	remote->chunk_offset = offset;
	json_decref(result);
	return fetched;
}

static ssize_t remote_read(void *context, uint64_t offset, void *buffer, size_t size)
{
	struct remote_source *remote = context;

	if (remote->chunk_len == 0 || offset < remote->chunk_offset ||
	    offset >= remote->chunk_offset + remote->chunk_len)
		if (!remote_fetch(remote, offset))
			return -1;
	size_t skip = (size_t)(offset - remote->chunk_offset);
	size_t have = remote->chunk_len > skip ? remote->chunk_len - skip : 0;
	if (have < size)
		size = have;
	memcpy(buffer, remote->chunk + skip, size);
	return (ssize_t)size;
}

struct recording_source *recording_remote(struct control_socket *socket, const char *id, int number)
{
	struct remote_source *remote = calloc(1, sizeof(*remote));

	if (remote == NULL)
		return complain("out of memory"), NULL;
	remote->source = (struct recording_source){.read = remote_read, .context = remote};
	remote->socket = socket;
	remote->number = number;
	snprintf(remote->id, sizeof(remote->id), "%s", id);
	return &remote->source;
}

void recording_source_close(struct recording_source *source)
{
	if (source == NULL)
		return;
	if (source->read == file_read)
		close(((struct file_source *)source->context)->fd);
	free(source->context);
}

/* -- records -- */

struct recording {
	struct recording_source source;
	char name[256];
	struct format_header header;
	struct format_context context;
	uint64_t offset;
	uint64_t block;
	uint64_t opened_bytes; /* of all blocks so far: what data_size counts */
	bool in_block;         /* the end came in the middle of one */
	bool ended, differs;   /* the end came; it is not where the header says */
	struct wire plain;     /* what is left of the block that is open */
	uint8_t *sealed;       /* `room` bytes, and as many in `opened` */
	uint8_t *opened;
	size_t room;
};

/* Reads exactly `size` bytes unless the end comes first. Returns how many, -1 after a message. */
static ssize_t read_whole(struct recording *r, void *buffer, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got =
		    r->source.read(r->source.context, r->offset, (uint8_t *)buffer + have, size - have);
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
		r->offset += (uint64_t)got;
	}
	return (ssize_t)have;
}

static int read_header(struct recording *r)
{
	uint8_t length[4];

	ssize_t got = read_whole(r, length, sizeof(length));
	if (got < 0)
		return -1;
	if (got != (ssize_t)sizeof(length))
		return complain("%s is too short to be a recording", r->name), -1;
	struct wire in = wire_over(length, sizeof(length));
	size_t n = wire_u32(&in);
	if (n == 0 || n > HEADER_BYTES_MAX)
		return complain("%s is not a recording: its header would be %zu bytes long", r->name, n), -1;
	uint8_t *bytes = malloc(4 + n);
	if (bytes == NULL)
		return complain("out of memory"), -1;
	size_t consumed = 0;
	memcpy(bytes, length, 4);
	got = read_whole(r, bytes + 4, n);
	int error = got == (ssize_t)n ? format_header_decode(bytes, 4 + n, &r->header, &consumed) : -EBADMSG;
	free(bytes);
	if (got < 0)
		return -1;
	if (got < (ssize_t)n)
		return complain("%s ends within its header, after %zd of %zu bytes: it was cut off, or is no "
		                "recording",
		           r->name, got + 4, n + 4),
		       -1;
	if (error != 0)
		return complain("%s is not a recording: its header does not decode", r->name), -1;
	return 0;
}

/* A further recipient's context is wrapped in the header; the first one's is the file's own. */
static int open_context(struct recording *r, const uint8_t key[FORMAT_KEY_SIZE])
{
	uint8_t public[FORMAT_KEY_SIZE];

	if (crypto_scalarmult_base(public, key) != 0)
		return -EINVAL;
	for (size_t i = 0; i < r->header.wrapped_count; i++)
		if (memcmp(r->header.wrapped[i].recipient, public, sizeof(public)) == 0)
			return format_unwrap(&r->header.wrapped[i], key, &r->context);
	return format_open_setup(&r->context, key, r->header.encapsulated);
}

struct recording *recording_open(
    const struct recording_source *source, const char *name, const uint8_t key[FORMAT_KEY_SIZE])
{
	struct recording *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return complain("out of memory"), NULL;
	r->source = *source;
	snprintf(r->name, sizeof(r->name), "%s", name);
	if (read_header(r) != 0) {
		recording_close(r);
		return NULL;
	}
	if (open_context(r, key) != 0) {
		complain("%s does not open with this key: it was sealed to another, or changed", name);
		recording_close(r);
		return NULL;
	}
	return r;
}

void recording_close(struct recording *recording)
{
	if (recording == NULL)
		return;
	if (recording->room > 0)
		sodium_memzero(recording->opened, recording->room);
	free(recording->sealed);
	free(recording->opened);
	sodium_memzero(recording, sizeof(*recording));
	free(recording);
}

const struct format_header *recording_header(const struct recording *recording)
{
	return &recording->header;
}

/* Makes room for a sealed block of `size` bytes and its plaintext. */
static bool make_room(struct recording *r, size_t size)
{
	if (size <= r->room)
		return true;
	uint8_t *sealed = malloc(size), *opened = malloc(size);
	if (sealed == NULL || opened == NULL) {
		free(sealed);
		free(opened);
		return complain("out of memory for a block of %zu bytes", size), false;
	}
	if (r->room > 0)
		sodium_memzero(r->opened, r->room);
	free(r->sealed);
	free(r->opened);
	r->sealed = sealed;
	r->opened = opened;
	r->room = size;
	return true;
}

/* Opens the next block. 1, 0 at the end, -1 after a message. */
static int open_block(struct recording *r)
{
	uint8_t length[4];
	ssize_t got = read_whole(r, length, sizeof(length));

	if (got <= 0)
		return (int)got;
	struct wire in = wire_over(length, sizeof(length));
	size_t n = wire_u32(&in);
	if (got < 4)
		n = 0;
	else if (n <= FORMAT_TAG_SIZE || n > BLOCK_BYTES_MAX)
		return complain("%s is damaged: block %llu would be %zu bytes long", r->name,
		           (unsigned long long)r->block, n),
		       -1;
	else if (!make_room(r, n))
		return -1;
	else
		got = read_whole(r, r->sealed, n);
	if (got < 0)
		return -1;
	if (n == 0 || (size_t)got < n) {
		r->in_block = true;
		return 0;
	}
	if (format_open(&r->context, r->sealed, n, r->opened) != 0)
		return complain(r->block == 0 ? "%s does not open with this key (block %llu): it was "
		                                "sealed to another, or changed; -k takes the private "
		                                "half of the pair"
		                              : "%s was changed or is damaged: block %llu does not open",
		           r->name, (unsigned long long)r->block),
		       -1;
	r->plain = wire_over(r->opened, n - FORMAT_TAG_SIZE);
	r->opened_bytes += n - FORMAT_TAG_SIZE;
	r->block++;
	return 1;
}

/* The header of a recording that was closed says how much it holds. One that was not (its program runs, or
 * the power went) has no close_reason, nor need those of other producers: nothing is known of their end. */
static void judge_end(struct recording *r)
{
	const struct format_header *h = &r->header;
	bool closed = h->close_reason[0] != '\0';
	unsigned long long have = r->opened_bytes, said = h->data_size;

	r->ended = true;
	r->differs = closed && (have != said || r->in_block);
	if (r->differs && have < said)
		complain(
		    "%s was cut off after it was closed: of its %llu bytes the last %llu are missing (it "
		    "ends %s block %llu)",
		    r->name, said, said - have, r->in_block ? "in the middle of" : "before",
		    (unsigned long long)r->block);
	else if (r->differs)
		complain("%s was changed after it was closed: it holds more than the %llu bytes that its "
		         "header tells of",
		    r->name, said);
	else if (r->in_block)
		fprintf(stderr,
		    "reeve: %s ends in the middle of block %llu: it is still being written, or was cut off\n",
		    r->name, (unsigned long long)r->block);
	else if (r->block == 0)
		fprintf(stderr, "reeve: %s holds no data, so that no key can be told to be the wrong one\n",
		    r->name);
}

bool recording_is_whole(const struct recording *recording)
{
	return recording->ended && !recording->differs;
}

int recording_next(struct recording *r, struct format_record *record)
{
	while (wire_left(&r->plain) == 0) {
		int opened = r->ended ? 0 : open_block(r);
		if (opened == 0 && !r->ended)
			judge_end(r);
		if (opened <= 0)
			return opened;
	}
	if (!format_get_record(&r->plain, record))
		return complain("%s is damaged: block %llu holds no whole records", r->name,
		           (unsigned long long)(r->block - 1)),
		       -1;
	return 1;
}
