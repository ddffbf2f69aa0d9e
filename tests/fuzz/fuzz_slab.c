/* SPDX-License-Identifier: Apache-2.0 */
/* sources: dataplane/slab/slab.c */
/* Both ends of a slab channel over shared memory that a hostile peer rewrites between any two calls. The
 * input is a script: an operation a byte, and for a write its place and value. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/wire/wire.h"
#include "dataplane/slab/slab.h"

#define COUNT 8u
#define SIZE 64u

static void touch(const uint8_t *bytes, uint32_t len)
{
	volatile uint8_t sum = 0;

	if (len > SIZE)
		abort();
	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
}

static void step(struct slab_producer *producer, struct slab_consumer *consumer, uint8_t *raw, size_t raw_len,
    const uint8_t **at, const uint8_t *end)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	uint8_t *mine;
	uint64_t status;
	uint8_t op = *(*at)++;

	switch (op % 6) {
	case 0: {
		uint32_t slab = slab_take(producer, &mine);
		if (slab != SLAB_NONE) {
			memset(mine, op, SIZE);
			if (!slab_put(producer, &(struct slab_desc){.slab = slab, .len = op % (SIZE + 1)}))
				slab_untake(producer, slab);
		}
		slab_publish(producer);
		break;
	}
	case 1:
		if (slab_get(consumer, &desc, &bytes) && bytes != NULL)
			touch(bytes, desc.len);
		break;
	case 2:
		slab_return(consumer, op >> 4, op);
		slab_consumer_publish(consumer);
		break;
	case 3:
		if (slab_reclaim(producer, &desc, &status, (op & 0x40) != 0) && desc.slab >= COUNT)
			abort();
		break;
	case 4:
		slab_put(producer, &(struct slab_desc){.slab = SLAB_NONE, .arg = op});
		slab_publish(producer);
		break;
	default:
		if (end - *at < 6)
			return;
		uint16_t place = (uint16_t)((*at)[0] << 8 | (*at)[1]);
		memcpy(raw + (place % (raw_len - 4)), *at + 2, 4);
		*at += 6;
	}
	if (slab_free_count(producer) > COUNT)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slab_producer *producer;
	struct slab_consumer *consumer;
	struct stat st;
	int fd = slab_create(COUNT, SIZE, 1);

	if (fd < 0 || fstat(fd, &st) != 0)
		abort();
	uint8_t *raw = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (raw == MAP_FAILED || slab_producer_open(&producer, dup(fd), -1) != 0 ||
	    slab_consumer_open(&consumer, fd, -1) != 0)
		abort();
	for (const uint8_t *at = data, *end = data + size; at < end;)
		step(producer, consumer, raw, (size_t)st.st_size, &at, end);
	slab_producer_close(producer);
	slab_consumer_close(consumer);
	munmap(raw, (size_t)st.st_size);
	return 0;
}
