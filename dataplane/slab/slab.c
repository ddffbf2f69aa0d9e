/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/slab/slab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLAB_MAGIC 0x42414c5365657652ull /* "ReveSLAB" */
#define SLAB_LAYOUT_VERSION 1u
#define SLAB_LINE 64 /* one index a cache line, so that the ends do not share lines they write */
#define SLAB_PAGE 4096

/* The consumer's asleep flag: there is one thing that it waits for. */
#define CONSUMER_WAITS 1u

/* What a slab is, as its producer sees it. */
enum slab_state { SLAB_FREE, SLAB_TAKEN, SLAB_GIVEN };

struct slab_index {
	_Alignas(SLAB_LINE) _Atomic uint32_t value;
};

/* The first page of the memfd. The first five fields are written once, by slab_create. */
struct slab_header {
	uint64_t magic;
	uint32_t version;
	uint32_t epoch;
	uint32_t slab_count;
	uint32_t slab_size;
	struct slab_index filled_head;     /* written by the producer */
	struct slab_index filled_tail;     /* written by the consumer */
	struct slab_index empty_head;      /* written by the consumer */
	struct slab_index empty_tail;      /* written by the producer */
	struct slab_index producer_asleep; /* enum slab_wait */
	struct slab_index consumer_asleep;
};
_Static_assert(sizeof(struct slab_header) <= SLAB_PAGE, "the header is one page");
_Static_assert(sizeof(struct slab_desc) == 32, "descriptors are 32 bytes in shared memory");

/* Where things lie, computed from geometry that was read once and checked against the memfd's size. */
struct slab_map {
	struct slab_header *header;
	struct slab_desc *filled;
	struct slab_desc *empty;
	uint8_t *slabs;
	size_t bytes;
	uint32_t slab_count;
	uint32_t slab_size;
	uint32_t ring_mask;
	uint32_t epoch;
	int peer_bell;
	bool corrupt;
};

struct slab_producer {
	struct slab_map map;
	uint32_t filled_head; /* next to write */
	uint32_t published;   /* what the consumer has been shown */
	uint32_t filled_tail; /* last accepted word of the consumer */
	uint32_t empty_tail;  /* next to read */
	uint32_t waits;       /* what it sleeps for: enum slab_wait */
	uint32_t free_count;
	uint32_t *free_slabs;  /* a stack of numbers */
	uint8_t *state;        /* enum slab_state a slab */
	struct slab_desc *put; /* what was put with each slab */
};

struct slab_consumer {
	struct slab_map map;
	uint32_t filled_tail;
	uint32_t empty_head;
	uint32_t published; /* returns that the producer has been shown */
	uint32_t announced; /* of filled_tail: descriptors of whose room the producer has been told */
	uint8_t *held;      /* a slab: ours now? */
};

/* Slabs and as many slabless descriptors again; a power of two so that indices wrap freely. */
static uint32_t ring_size_for(uint32_t slab_count)
{
	uint32_t size = 64;

	while (size < 2 * slab_count)
		size *= 2;
	return size;
}

static size_t page_up(size_t bytes)
{
	return (bytes + SLAB_PAGE - 1) / SLAB_PAGE * SLAB_PAGE;
}

static size_t ring_bytes(uint32_t slab_count)
{
	return page_up((size_t)ring_size_for(slab_count) * sizeof(struct slab_desc));
}

static size_t channel_bytes(uint32_t slab_count, uint32_t slab_size)
{
	return SLAB_PAGE + 2 * ring_bytes(slab_count) + page_up((size_t)slab_count * slab_size);
}

static bool geometry_valid(uint32_t slab_count, uint32_t slab_size)
{
	return slab_count >= 1 && slab_count <= SLAB_COUNT_MAX && slab_size >= 64 &&
	       slab_size <= SLAB_SIZE_MAX && slab_size % 64 == 0;
}

int slab_create(uint32_t slab_count, uint32_t slab_size, uint32_t epoch)
{
	if (!geometry_valid(slab_count, slab_size))
		return -EINVAL;
	int fd = memfd_create("reeve-slab", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	struct slab_header header = {
	    .magic = SLAB_MAGIC,
	    .version = SLAB_LAYOUT_VERSION,
	    .epoch = epoch,
	    .slab_count = slab_count,
	    .slab_size = slab_size,
	};
	if (ftruncate(fd, (off_t)channel_bytes(slab_count, slab_size)) != 0 ||
	    pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

/* Maps and checks. The peer may already be running and hostile: geometry is read once, and only the size of
 * the memfd, which is sealed, decides whether it is believed. */
static int map_open(struct slab_map *map, int memfd, int peer_bell)
{
	struct stat st;
	struct slab_header header;
	int seals = fcntl(memfd, F_GET_SEALS);

	*map = (struct slab_map){.peer_bell = peer_bell};
	if (seals < 0 || fstat(memfd, &st) != 0)
		return -errno;
	if ((seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW) ||
	    st.st_size < SLAB_PAGE || pread(memfd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return -EPROTO;
	if (header.magic != SLAB_MAGIC || header.version != SLAB_LAYOUT_VERSION ||
	    !geometry_valid(header.slab_count, header.slab_size) ||
	    (size_t)st.st_size != channel_bytes(header.slab_count, header.slab_size))
		return -EPROTO;
	uint8_t *base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (base == MAP_FAILED)
		return -errno;
	/* Session bytes stay out of core dumps. */
	(void)madvise(base, (size_t)st.st_size, MADV_DONTDUMP);
	map->bytes = (size_t)st.st_size;
	map->header = (struct slab_header *)base;
	map->filled = (struct slab_desc *)(base + SLAB_PAGE);
	map->empty = (struct slab_desc *)(base + SLAB_PAGE + ring_bytes(header.slab_count));
	map->slabs = base + SLAB_PAGE + 2 * ring_bytes(header.slab_count);
	map->slab_count = header.slab_count;
	map->slab_size = header.slab_size;
	map->ring_mask = ring_size_for(header.slab_count) - 1;
	map->epoch = header.epoch;
	return 0;
}

static void map_close(struct slab_map *map)
{
	if (map->header != NULL)
		munmap(map->header, map->bytes);
	if (map->peer_bell >= 0)
		close(map->peer_bell);
}

/* Reads the foreign index once; refuses one that claims more than a ring's worth. */
static bool foreign_index(struct slab_map *map, struct slab_index *index, uint32_t own, uint32_t *value)
{
	uint32_t foreign = atomic_load_explicit(&index->value, memory_order_acquire);

	if (foreign - own > map->ring_mask + 1)
		map->corrupt = true;
	*value = foreign;
	return !map->corrupt;
}

/* Rings where the other end sleeps for any of `news`. A store to an index must be seen before the flag is
 * read (Dekker): hence the full fence. */
static void ring_bell(struct slab_map *map, struct slab_index *asleep, uint32_t news)
{
	atomic_thread_fence(memory_order_seq_cst);
	if ((atomic_load_explicit(&asleep->value, memory_order_relaxed) & news) == 0)
		return;
	atomic_store_explicit(&asleep->value, 0, memory_order_relaxed);
	if (map->peer_bell >= 0) {
		uint64_t one = 1;
		ssize_t written = write(map->peer_bell, &one, sizeof(one));
		(void)written; /* EAGAIN: it is ringing already */
	}
}

static void set_asleep(struct slab_index *flag, uint32_t waits)
{
	atomic_store_explicit(&flag->value, waits, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

/* Copies a descriptor out of memory that the other end may be rewriting: each word is read once, and the
 * compiler may not go back for it after the checks. */
static struct slab_desc copy_out(const struct slab_desc *shared)
{
	uint64_t words[sizeof(struct slab_desc) / sizeof(uint64_t)];
	struct slab_desc desc;

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = __atomic_load_n((const uint64_t *)shared + i, __ATOMIC_RELAXED);
	memcpy(&desc, words, sizeof(desc));
	return desc;
}

static uint8_t *slab_at(struct slab_map *map, uint32_t slab)
{
	return map->slabs + (size_t)slab * map->slab_size;
}

/* -- producer -- */

int slab_producer_open(struct slab_producer **out, int memfd, int peer_bell)
{
	struct slab_producer *end = calloc(1, sizeof(*end));
	int error = end == NULL ? -ENOMEM : map_open(&end->map, memfd, peer_bell);

	close(memfd);
	if (end == NULL) {
		if (peer_bell >= 0)
			close(peer_bell);
		return error;
	}
	if (error == 0) {
		uint32_t n = end->map.slab_count;
		/* map_open() refuses a channel without slabs.
		 * NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI) */
		end->free_slabs = calloc(n, sizeof(*end->free_slabs));
		end->state = calloc(n, sizeof(*end->state));
		end->put = calloc(n, sizeof(*end->put));
		if (end->free_slabs == NULL || end->state == NULL || end->put == NULL)
			error = -ENOMEM;
		/* Low numbers on top: a quiet channel touches few pages. */
		for (uint32_t i = 0; error == 0 && i < n; i++)
			end->free_slabs[i] = n - 1 - i;
		end->free_count = n;
	}
	if (error != 0) {
		slab_producer_close(end);
		return error;
	}
	*out = end;
	return 0;
}

void slab_producer_close(struct slab_producer *end)
{
	if (end == NULL)
		return;
	map_close(&end->map);
	free(end->free_slabs);
	free(end->state);
	free(end->put);
	free(end);
}

uint32_t slab_producer_epoch(const struct slab_producer *end)
{
	return end->map.epoch;
}

uint32_t slab_size(const struct slab_producer *end)
{
	return end->map.slab_size;
}

uint32_t slab_count(const struct slab_producer *end)
{
	return end->map.slab_count;
}

uint32_t slab_free_count(const struct slab_producer *end)
{
	return end->free_count;
}

uint32_t slab_take(struct slab_producer *end, uint8_t **bytes)
{
	if (end->free_count == 0 || end->map.corrupt)
		return SLAB_NONE;
	uint32_t slab = end->free_slabs[--end->free_count];
	end->state[slab] = SLAB_TAKEN;
	*bytes = slab_at(&end->map, slab);
	return slab;
}

static void free_slab(struct slab_producer *end, uint32_t slab)
{
	end->state[slab] = SLAB_FREE;
	end->free_slabs[end->free_count++] = slab;
}

void slab_untake(struct slab_producer *end, uint32_t slab)
{
	if (slab < end->map.slab_count && end->state[slab] == SLAB_TAKEN)
		free_slab(end, slab);
}

uint8_t *slab_producer_bytes(struct slab_producer *end, uint32_t slab)
{
	return slab < end->map.slab_count ? slab_at(&end->map, slab) : NULL;
}

bool slab_put(struct slab_producer *end, const struct slab_desc *desc)
{
	struct slab_map *map = &end->map;

	if (map->corrupt)
		return false;
	if (end->filled_head - end->filled_tail > map->ring_mask) {
		uint32_t tail;
		/* The consumer may have taken at most what it was shown. */
		tail = atomic_load_explicit(&map->header->filled_tail.value, memory_order_acquire);
		if (end->published - tail > map->ring_mask + 1) {
			map->corrupt = true;
			return false;
		}
		end->filled_tail = tail;
		if (end->filled_head - tail > map->ring_mask)
			return false;
	}
	if (desc->slab != SLAB_NONE) {
		if (desc->slab >= map->slab_count || end->state[desc->slab] != SLAB_TAKEN ||
		    desc->len > map->slab_size)
			return false;
		end->state[desc->slab] = SLAB_GIVEN;
		end->put[desc->slab] = *desc;
	}
	map->filled[end->filled_head & map->ring_mask] = *desc;
	end->filled_head++;
	return true;
}

void slab_publish(struct slab_producer *end)
{
	if (end->published == end->filled_head)
		return;
	end->published = end->filled_head;
	atomic_store_explicit(&end->map.header->filled_head.value, end->filled_head, memory_order_release);
	ring_bell(&end->map, &end->map.header->consumer_asleep, CONSUMER_WAITS);
}

bool slab_reclaim(struct slab_producer *end, struct slab_desc *desc, uint64_t *status, bool keep)
{
	struct slab_map *map = &end->map;
	uint32_t head;

	if (map->corrupt || !foreign_index(map, &map->header->empty_head, end->empty_tail, &head) ||
	    head == end->empty_tail)
		return false;
	struct slab_desc returned = copy_out(&map->empty[end->empty_tail & map->ring_mask]);
	if (returned.slab >= map->slab_count || end->state[returned.slab] != SLAB_GIVEN) {
		map->corrupt = true;
		return false;
	}
	end->empty_tail++;
	atomic_store_explicit(&map->header->empty_tail.value, end->empty_tail, memory_order_release);
	*desc = end->put[returned.slab];
	*status = returned.arg;
	if (keep)
		end->state[returned.slab] = SLAB_TAKEN;
	else
		free_slab(end, returned.slab);
	return true;
}

bool slab_producer_corrupt(const struct slab_producer *end)
{
	return end->map.corrupt;
}

void slab_producer_asleep(struct slab_producer *end, unsigned waits)
{
	end->waits = waits;
	set_asleep(&end->map.header->producer_asleep, waits);
}

bool slab_producer_ready(const struct slab_producer *end)
{
	const struct slab_header *header = end->map.header;

	if (atomic_load_explicit(&header->empty_head.value, memory_order_acquire) != end->empty_tail)
		return true;
	/* An index that cannot be counts as room: the next slab_put looks into it. */
	return (end->waits & SLAB_WAIT_ROOM) != 0 &&
	       end->filled_head - atomic_load_explicit(&header->filled_tail.value, memory_order_acquire) !=
	           end->map.ring_mask + 1;
}

/* -- consumer -- */

int slab_consumer_open(struct slab_consumer **out, int memfd, int peer_bell)
{
	struct slab_consumer *end = calloc(1, sizeof(*end));
	int error = end == NULL ? -ENOMEM : map_open(&end->map, memfd, peer_bell);

	close(memfd);
	if (end == NULL) {
		if (peer_bell >= 0)
			close(peer_bell);
		return error;
	}
	if (error == 0) {
		/* map_open() refuses a channel without slabs.
		 * NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI) */
		end->held = calloc(end->map.slab_count, sizeof(*end->held));
		if (end->held == NULL)
			error = -ENOMEM;
	}
	if (error != 0) {
		slab_consumer_close(end);
		return error;
	}
	*out = end;
	return 0;
}

void slab_consumer_close(struct slab_consumer *end)
{
	if (end == NULL)
		return;
	map_close(&end->map);
	free(end->held);
	free(end);
}

uint32_t slab_consumer_epoch(const struct slab_consumer *end)
{
	return end->map.epoch;
}

bool slab_get(struct slab_consumer *end, struct slab_desc *desc, const uint8_t **bytes)
{
	struct slab_map *map = &end->map;
	uint32_t head;

	if (map->corrupt || !foreign_index(map, &map->header->filled_head, end->filled_tail, &head) ||
	    head == end->filled_tail)
		return false;
	*desc = copy_out(&map->filled[end->filled_tail & map->ring_mask]);
	*bytes = NULL;
	if (desc->slab != SLAB_NONE) {
		if (desc->slab >= map->slab_count || desc->len > map->slab_size || end->held[desc->slab]) {
			map->corrupt = true;
			return false;
		}
		end->held[desc->slab] = 1;
		*bytes = slab_at(map, desc->slab);
	} else if (desc->len != 0) {
		map->corrupt = true;
		return false;
	}
	end->filled_tail++;
	atomic_store_explicit(&map->header->filled_tail.value, end->filled_tail, memory_order_release);
	return true;
}

void slab_return(struct slab_consumer *end, uint32_t slab, uint64_t status)
{
	struct slab_map *map = &end->map;

	if (slab >= map->slab_count || !end->held[slab])
		return;
	end->held[slab] = 0;
	/* Never full: the ring is larger than the number of slabs, and each is in it once at most. */
	map->empty[end->empty_head & map->ring_mask] = (struct slab_desc){.slab = slab, .arg = status};
	end->empty_head++;
}

void slab_consumer_publish(struct slab_consumer *end)
{
	uint32_t news = 0;

	if (end->published != end->empty_head) {
		end->published = end->empty_head;
		atomic_store_explicit(
		    &end->map.header->empty_head.value, end->empty_head, memory_order_release);
		news |= SLAB_WAIT_SLABS;
	}
	if (end->announced != end->filled_tail) {
		end->announced = end->filled_tail;
		news |= SLAB_WAIT_ROOM;
	}
	if (news != 0)
		ring_bell(&end->map, &end->map.header->producer_asleep, news);
}

bool slab_consumer_corrupt(const struct slab_consumer *end)
{
	return end->map.corrupt;
}

void slab_consumer_asleep(struct slab_consumer *end, bool asleep)
{
	set_asleep(&end->map.header->consumer_asleep, asleep ? CONSUMER_WAITS : 0);
}

bool slab_consumer_ready(const struct slab_consumer *end)
{
	return atomic_load_explicit(&end->map.header->filled_head.value, memory_order_acquire) !=
	       end->filled_tail;
}
