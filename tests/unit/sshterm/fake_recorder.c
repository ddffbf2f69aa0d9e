/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sshterm/fake_recorder.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "recorder/format/format.h"

#define PROGRAMS_MAX 4096

struct kept {
	char id[64];
	uint64_t blocks;
	int fd;
};

struct fake_recorder {
	const char *directory;
	struct slab_consumer *end;
	int bell;
	pthread_t thread;
	_Atomic bool stop;
	struct kept kept[PROGRAMS_MAX]; /* by flow */
};

static void keep_text(const struct fake_recorder *recorder, const struct kept *kept, const char *suffix,
    const uint8_t *bytes, uint32_t len)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s%s", recorder->directory, kept->id, suffix);
	FILE *file = fopen(path, "w");
	if (file == NULL)
		return;
	fwrite(bytes, 1, len, file);
	fclose(file);
}

static void write_header(struct kept *kept, json_t *message)
{
	struct format_header header;
	uint8_t bytes[FORMAT_HEADER_SIZE];
	char *text = json_dumps(json_object_get(message, "header"), 0);

	if (text != NULL && format_header_from_json(text, strlen(text), &header) == 0 &&
	    format_header_encode(&header, bytes) == 0 && pwrite(kept->fd, bytes, sizeof(bytes), 0) < 0)
		perror("pwrite");
	free(text);
}

static uint64_t take(struct fake_recorder *recorder, const struct slab_desc *desc, const uint8_t *bytes)
{
	struct kept *kept = &recorder->kept[desc->flow % PROGRAMS_MAX];
	char path[4096];

	if (desc->type == SLAB_REC_BLOCK) {
		uint8_t size[4] = {(uint8_t)(desc->len >> 24), (uint8_t)(desc->len >> 16),
		    (uint8_t)(desc->len >> 8), (uint8_t)desc->len};

		if (desc->arg != kept->blocks || kept->fd < 0)
			return SLAB_STATUS_FAILED;
		kept->blocks++;
		return write(kept->fd, size, 4) == 4 &&
		               write(kept->fd, bytes, desc->len) == (ssize_t)desc->len
		           ? 0
		           : SLAB_STATUS_FAILED;
	}
	json_t *message = json_loadb((const char *)bytes, desc->len, 0, NULL);
	if (message == NULL)
		return SLAB_STATUS_FAILED;
	if (desc->type == SLAB_REC_OPEN) {
		snprintf(kept->id, sizeof(kept->id), "%s",
		    json_string_value(json_object_get(message, "program_id")));
		snprintf(path, sizeof(path), "%s/%s.sshlog", recorder->directory, kept->id);
		keep_text(recorder, kept, ".open.json", bytes, desc->len);
		kept->fd = -1;
		if (json_is_true(json_object_get(message, "record"))) {
			kept->fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
			write_header(kept, message);
			lseek(kept->fd, FORMAT_HEADER_SIZE, SEEK_SET);
		}
		kept->blocks = 0;
	} else if (desc->type == SLAB_REC_CLOSE) {
		keep_text(recorder, kept, ".close.json", bytes, desc->len);
		if (kept->fd >= 0) {
			write_header(kept, message);
			close(kept->fd);
		}
	}
	json_decref(message);
	return 0;
}

static void *run(void *argument)
{
	struct fake_recorder *recorder = argument;
	struct slab_desc desc;
	const uint8_t *bytes;

	while (!recorder->stop) {
		while (slab_get(recorder->end, &desc, &bytes)) {
			slab_return(recorder->end, desc.slab, take(recorder, &desc, bytes));
			slab_consumer_publish(recorder->end);
		}
		slab_consumer_asleep(recorder->end, true);
		if (!slab_consumer_ready(recorder->end)) {
			struct pollfd fd = {.fd = recorder->bell, .events = POLLIN};
			uint64_t rung;

			poll(&fd, 1, 50);
			if (read(recorder->bell, &rung, sizeof(rung)) < 0)
				rung = 0;
		}
		slab_consumer_asleep(recorder->end, false);
	}
	return NULL;
}

struct fake_recorder *fake_recorder_start(const char *directory, uint32_t slabs, uint32_t slab_bytes,
    uint32_t epoch, int bell, struct slab_producer **end)
{
	struct fake_recorder *recorder = calloc(1, sizeof(*recorder));
	int memfd = slab_create(slabs, slab_bytes, epoch);

	recorder->directory = directory;
	recorder->bell = eventfd(0, EFD_NONBLOCK);
	if (memfd < 0 || slab_producer_open(end, dup(memfd), dup(recorder->bell)) != 0 ||
	    slab_consumer_open(&recorder->end, memfd, bell) != 0 ||
	    pthread_create(&recorder->thread, NULL, run, recorder) != 0) {
		fprintf(stderr, "fake_recorder: no channel\n");
		exit(1);
	}
	return recorder;
}

void fake_recorder_stop(struct fake_recorder *recorder)
{
	recorder->stop = true;
	pthread_join(recorder->thread, NULL);
	slab_consumer_close(recorder->end);
	close(recorder->bell);
	free(recorder);
}
