/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recording: reads a recording's records in order, from a file or from the box, with the auditor's key.
 *
 * Everything in a recording is hostile: whoever holds the recipient's public key can make one.
 */
#ifndef CONTROL_CLI_RECORDING_H
#define CONTROL_CLI_RECORDING_H

#include <stdint.h>
#include <sys/types.h>

#include "control/cli/socket.h"
#include "recorder/format/format.h"

/* Where the bytes of a recording come from. `read` returns what it could read at `offset` (0: the end), or -1
 * after having printed why. */
struct recording_source {
	ssize_t (*read)(void *context, uint64_t offset, void *buffer, size_t size);
	void *context;
};

struct recording;

/* Reads a private key file into `key` (the caller wipes it). 0, or -1 after a message. */
int recording_read_key(const char *path, uint8_t key[FORMAT_KEY_SIZE]);
/* Opens with a private key; `name` is for messages. NULL after a message. */
struct recording *recording_open(
    const struct recording_source *source, const char *name, const uint8_t key[FORMAT_KEY_SIZE]);
void recording_close(struct recording *recording);
const struct format_header *recording_header(const struct recording *recording);
/* 1: the next record (its data is valid until the next call); 0: the end; -1: damaged, after a message. An
 * end that is not where the recording's writer left it is told on stderr and is an end. */
int recording_next(struct recording *recording, struct format_record *record);
/* After the end: false where the recording was closed and holds less or more than its header says. */
bool recording_is_whole(const struct recording *recording);

/* A file as a source. NULL after a message. */
struct recording_source *recording_file(const char *path);
/* A program's recording on the box, by program id (or session id and a 1-based number; 0: none). */
struct recording_source *recording_remote(struct control_socket *socket, const char *id, int number);
void recording_source_close(struct recording_source *source);

#endif
