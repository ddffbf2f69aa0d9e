/* SPDX-License-Identifier: Apache-2.0 */
/* Slab channels: both ends in order, and either end against a peer that writes what it likes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/slab/slab.h"

/* Where the shared memory has what (layout version 1): a hostile peer knows it too. */
enum {
	AT_VERSION = 8,
	AT_COUNT = 16,
	AT_SIZE = 20,
	AT_FILLED_HEAD = 64,
	AT_FILLED_TAIL = 128,
	AT_EMPTY_HEAD = 192,
	AT_EMPTY_TAIL = 256,
	AT_FILLED = 4096
};

#define COUNT 16u
#define SIZE 256u
#define RING 64u /* of 16 slabs */
#define AT_EMPTY (AT_FILLED + 4096)

struct channel {
	struct slab_producer *producer;
	struct slab_consumer *consumer;
	uint8_t *raw; /* the memory as a hostile peer has it */
	size_t raw_len;
	int producer_bell, consumer_bell;
};

static void open_channel(struct channel *c, uint32_t count, uint32_t size)
{
	struct stat st;
	int fd = slab_create(count, size, 7);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(fd, &st), 0);
	c->raw_len = (size_t)st.st_size;
	c->raw = mmap(NULL, c->raw_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(c->raw, MAP_FAILED);
	c->producer_bell = eventfd(0, EFD_NONBLOCK);
	c->consumer_bell = eventfd(0, EFD_NONBLOCK);
	cr_assert_eq(slab_producer_open(&c->producer, dup(fd), dup(c->consumer_bell)), 0);
	cr_assert_eq(slab_consumer_open(&c->consumer, fd, dup(c->producer_bell)), 0);
}

static void close_channel(struct channel *c)
{
	slab_producer_close(c->producer);
	slab_consumer_close(c->consumer);
	munmap(c->raw, c->raw_len);
	close(c->producer_bell);
	close(c->consumer_bell);
}

static void poke(struct channel *c, size_t at, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(c->raw + at), value, __ATOMIC_SEQ_CST);
}

static uint32_t put_one(struct channel *c, uint64_t arg)
{
	uint8_t *bytes;
	uint32_t slab = slab_take(c->producer, &bytes);
	cr_assert_neq(slab, SLAB_NONE);
	memcpy(bytes, &arg, sizeof(arg));
	cr_assert(slab_put(c->producer, &(struct slab_desc){.slab = slab, .len = 8, .type = 1, .arg = arg}));
	slab_publish(c->producer);
	return slab;
}

/* -- making and opening -- */

static const struct {
	uint32_t count, size;
	bool good;
} geometries[] = {{1, 64, true}, {SLAB_COUNT_MAX, 64, true}, {2, SLAB_SIZE_MAX, true}, {0, 64, false},
    {SLAB_COUNT_MAX + 1, 64, false}, {UINT32_MAX, 64, false}, {1, 0, false}, {1, 63, false}, {1, 65, false},
    {1, SLAB_SIZE_MAX + 64, false}, {1, UINT32_MAX, false}};

Test(slab, geometry)
{
	for (size_t i = 0; i < sizeof(geometries) / sizeof(geometries[0]); i++) {
		int fd = slab_create(geometries[i].count, geometries[i].size, 1);
		cr_expect_eq(fd >= 0, geometries[i].good, "case %zu: got %d", i, fd);
		if (fd < 0) {
			cr_expect_eq(fd, -EINVAL);
			continue;
		}
		struct slab_producer *end;
		cr_expect_eq(slab_producer_open(&end, fd, -1), 0);
		cr_expect_eq(slab_free_count(end), geometries[i].count);
		cr_expect_eq(slab_size(end), geometries[i].size);
		slab_producer_close(end);
	}
}

Test(slab, memory_is_sealed)
{
	int fd = slab_create(COUNT, SIZE, 1);
	cr_expect_eq(fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	cr_expect_eq(ftruncate(fd, 0), -1, "a peer can pull the memory away");
	cr_expect_eq(ftruncate(fd, 1 << 26), -1);
	close(fd);
}

Test(slab, what_is_no_channel_is_refused)
{
	struct slab_consumer *end = NULL;
	char zeros[8192] = {0};
	/* Not sealed; sealed but no channel; not a memfd; an honest one that was altered. */
	int fd = memfd_create("x", MFD_ALLOW_SEALING);
	cr_assert_eq(write(fd, zeros, sizeof(zeros)), (ssize_t)sizeof(zeros));
	cr_expect_eq(slab_consumer_open(&end, dup(fd), -1), -EPROTO);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	cr_expect_eq(slab_consumer_open(&end, fd, -1), -EPROTO);
	cr_expect_eq(slab_consumer_open(&end, open("/dev/null", O_RDWR), -1), -EINVAL);
	static const struct {
		off_t at;
		uint32_t value;
	} changes[] = {{0, 1}, {AT_VERSION, 2}, {AT_COUNT, 0}, {AT_COUNT, COUNT * 2}, {AT_COUNT, UINT32_MAX},
	    {AT_SIZE, SIZE * 2}, {AT_SIZE, SIZE + 1}, {AT_SIZE, 0}};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		fd = slab_create(COUNT, SIZE, 1);
		cr_assert_eq(pwrite(fd, &changes[i].value, 4, changes[i].at), 4);
		cr_expect_eq(slab_consumer_open(&end, fd, -1), -EPROTO, "change %zu was accepted", i);
	}
}

Test(slab, both_ends_take_their_descriptors_over)
{
	int before = dup(0);
	for (unsigned i = 0; i < 10; i++) {
		struct channel c;
		struct slab_producer *end;
		open_channel(&c, COUNT, SIZE);
		close_channel(&c);
		cr_expect_neq(slab_producer_open(&end, open("/dev/null", O_RDWR), eventfd(0, 0)), 0);
	}
	int after = dup(0);
	cr_expect_eq(before + 1, after, "descriptors leak: %d, then %d", before, after);
}

/* -- in order -- */

Test(slab, there_and_back)
{
	struct channel c;
	struct slab_desc desc;
	const uint8_t *bytes;
	uint64_t status;
	open_channel(&c, COUNT, SIZE);
	cr_expect_eq(slab_producer_epoch(c.producer), 7);
	cr_expect_eq(slab_consumer_epoch(c.consumer), 7);
	for (uint64_t round = 0; round < 1000; round++) {
		for (uint64_t i = 0; i < COUNT; i++)
			put_one(&c, round * COUNT + i);
		uint8_t *none;
		cr_assert_eq(slab_take(c.producer, &none), SLAB_NONE);
		for (uint64_t i = 0; i < COUNT; i++) {
			cr_assert(slab_consumer_ready(c.consumer));
			cr_assert(slab_get(c.consumer, &desc, &bytes));
			cr_assert_eq(desc.arg, round * COUNT + i);
			cr_assert(memcmp(bytes, &desc.arg, 8) == 0);
			slab_return(c.consumer, desc.slab, desc.arg + 1);
		}
		cr_assert_not(slab_get(c.consumer, &desc, &bytes));
		cr_assert_not(slab_reclaim(c.producer, &desc, &status, false), "visible before publish");
		slab_consumer_publish(c.consumer);
		for (uint64_t i = 0; i < COUNT; i++) {
			cr_assert(slab_producer_ready(c.producer));
			cr_assert(slab_reclaim(c.producer, &desc, &status, false));
			cr_assert_eq(desc.arg, round * COUNT + i, "the private copy");
			cr_assert_eq(status, desc.arg + 1);
		}
		cr_assert_eq(slab_free_count(c.producer), COUNT);
	}
	cr_expect_not(slab_producer_corrupt(c.producer) || slab_consumer_corrupt(c.consumer));
	close_channel(&c);
}

Test(slab, nothing_is_visible_before_publish)
{
	struct channel c;
	struct slab_desc desc;
	const uint8_t *bytes;
	open_channel(&c, COUNT, SIZE);
	cr_assert(slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE, .type = 3}));
	cr_expect_not(slab_consumer_ready(c.consumer));
	cr_expect_not(slab_get(c.consumer, &desc, &bytes));
	slab_publish(c.producer);
	cr_expect(slab_get(c.consumer, &desc, &bytes));
	cr_expect(desc.type == 3 && bytes == NULL);
	close_channel(&c);
}

Test(slab, a_full_ring_takes_no_more_and_loses_nothing)
{
	struct channel c;
	struct slab_desc desc;
	const uint8_t *bytes;
	open_channel(&c, COUNT, SIZE);
	uint64_t put = 0, got = 0;
	for (unsigned round = 0; round < 100; round++) {
		while (slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE, .arg = put}))
			put++;
		cr_assert_eq(
		    put - got, RING, "expected room for %u, found %lu", RING, (unsigned long)(put - got));
		slab_publish(c.producer);
		for (unsigned i = 0; i < 1 + round % RING; i++) {
			cr_assert(slab_get(c.consumer, &desc, &bytes));
			cr_assert_eq(desc.arg, got++);
		}
	}
	cr_expect_not(slab_producer_corrupt(c.producer));
	close_channel(&c);
}

Test(slab, keep_and_untake)
{
	struct channel c;
	struct slab_desc desc;
	const uint8_t *bytes;
	uint8_t *mine;
	uint64_t status;
	open_channel(&c, COUNT, SIZE);
	uint32_t slab = put_one(&c, 99);
	cr_assert(slab_get(c.consumer, &desc, &bytes));
	slab_return(c.consumer, desc.slab, 0);
	slab_consumer_publish(c.consumer);
	cr_assert(slab_reclaim(c.producer, &desc, &status, true));
	cr_expect_eq(slab_free_count(c.producer), COUNT - 1);
	cr_expect_eq(*slab_producer_bytes(c.producer, slab), 99);
	cr_expect(slab_put(c.producer, &(struct slab_desc){.slab = slab, .len = 8}));
	cr_expect_not(slab_put(c.producer, &(struct slab_desc){.slab = slab, .len = 8}), "put twice");
	slab_untake(c.producer, slab); /* not ours any more: nothing happens */
	cr_expect_eq(slab_free_count(c.producer), COUNT - 1);
	uint32_t other = slab_take(c.producer, &mine);
	slab_untake(c.producer, other);
	slab_untake(c.producer, other);
	cr_expect_eq(slab_free_count(c.producer), COUNT - 1, "given back twice");
	cr_expect_null(slab_producer_bytes(c.producer, COUNT));
	/* The owner's own mistakes. */
	cr_expect_not(slab_put(c.producer, &(struct slab_desc){.slab = COUNT, .len = 1}));
	other = slab_take(c.producer, &mine);
	cr_expect_not(slab_put(c.producer, &(struct slab_desc){.slab = other, .len = SIZE + 1}));
	cr_expect(slab_put(c.producer, &(struct slab_desc){.slab = other, .len = SIZE}));
	close_channel(&c);
}

static uint64_t rung(int bell)
{
	uint64_t value = 0;
	return read(bell, &value, sizeof(value)) == (ssize_t)sizeof(value) ? value : 0;
}

Test(slab, bells_ring_for_sleepers_only_and_once)
{
	struct channel c;
	struct slab_desc desc;
	const uint8_t *bytes;
	open_channel(&c, COUNT, SIZE);
	put_one(&c, 1);
	cr_expect_eq(rung(c.consumer_bell), 0, "nobody sleeps");
	slab_consumer_asleep(c.consumer, true);
	put_one(&c, 2);
	put_one(&c, 3);
	cr_expect_eq(rung(c.consumer_bell), 1, "once for a sleeper");
	slab_consumer_asleep(c.consumer, true);
	slab_consumer_asleep(c.consumer, false);
	put_one(&c, 4);
	cr_expect_eq(rung(c.consumer_bell), 0);
	slab_consumer_asleep(c.consumer, true);
	slab_publish(c.producer);
	cr_expect_eq(rung(c.consumer_bell), 0, "nothing new was published");
	slab_producer_asleep(c.producer, SLAB_WAIT_SLABS);
	cr_assert(slab_get(c.consumer, &desc, &bytes));
	slab_return(c.consumer, desc.slab, 0);
	slab_consumer_publish(c.consumer);
	slab_consumer_publish(c.consumer);
	cr_expect_eq(rung(c.producer_bell), 1);
	close_channel(&c);
}

Test(slab, a_producer_is_rung_for_what_it_waits_for)
{
	struct channel c;
	struct slab_desc desc;
	const uint8_t *bytes;
	open_channel(&c, COUNT, SIZE);
	put_one(&c, 1);
	for (unsigned i = 1; i < RING; i++)
		cr_assert(slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE}));
	cr_assert_not(slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE}), "the ring is full");
	slab_publish(c.producer);
	slab_producer_asleep(c.producer, SLAB_WAIT_ROOM);
	cr_expect_not(slab_producer_ready(c.producer));
	slab_consumer_publish(c.consumer);
	cr_expect_eq(rung(c.producer_bell), 0, "nothing was taken");
	cr_assert(slab_get(c.consumer, &desc, &bytes));
	cr_expect(slab_producer_ready(c.producer));
	slab_consumer_publish(c.consumer);
	cr_expect_eq(rung(c.producer_bell), 1, "there is room, though no slab came back");
	slab_producer_asleep(c.producer, SLAB_WAIT_ROOM);
	slab_consumer_publish(c.consumer);
	slab_return(c.consumer, desc.slab, 0);
	slab_consumer_publish(c.consumer);
	cr_expect_eq(rung(c.producer_bell), 0, "once for what was taken, and not for a slab");
	slab_producer_asleep(c.producer, 0);
	uint64_t status;
	cr_assert(slab_reclaim(c.producer, &desc, &status, false));
	slab_producer_asleep(c.producer, SLAB_WAIT_SLABS);
	cr_assert(slab_get(c.consumer, &desc, &bytes));
	slab_consumer_publish(c.consumer);
	cr_expect_eq(rung(c.producer_bell), 0, "who waits for slabs has no use for room");
	cr_expect_not(slab_producer_ready(c.producer));
	slab_producer_asleep(c.producer, 0);
	cr_assert(slab_get(c.consumer, &desc, &bytes));
	slab_consumer_publish(c.consumer);
	cr_expect_eq(rung(c.producer_bell), 0, "it is awake");
	close_channel(&c);
}

/* -- a hostile producer -- */

static void expect_consumer_refuses(struct channel *c, const char *what)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	cr_expect_not(slab_get(c->consumer, &desc, &bytes), "%s was accepted", what);
	cr_expect(slab_consumer_corrupt(c->consumer), "%s: the channel is not marked", what);
	cr_expect_not(slab_get(c->consumer, &desc, &bytes), "%s: a corrupt channel gives more", what);
}

static void forge(struct channel *c, size_t ring, uint32_t place, const struct slab_desc *desc, size_t head,
    uint32_t head_value)
{
	memcpy(c->raw + ring + place * sizeof(*desc), desc, sizeof(*desc));
	poke(c, head, head_value);
}

Test(slab, consumer_against_forged_descriptors)
{
	static const struct {
		const char *what;
		struct slab_desc desc;
	} forged[] = {
	    {"a slab number beyond the pool", {.slab = COUNT, .len = 1}},
	    {"a huge slab number", {.slab = SLAB_NONE - 1, .len = 1}},
	    {"a length beyond the slab", {.slab = 0, .len = SIZE + 1}},
	    {"a huge length", {.slab = 0, .len = UINT32_MAX}},
	    {"a length without a slab", {.slab = SLAB_NONE, .len = 1}},
	};
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		struct channel c;
		open_channel(&c, COUNT, SIZE);
		forge(&c, AT_FILLED, 0, &forged[i].desc, AT_FILLED_HEAD, 1);
		expect_consumer_refuses(&c, forged[i].what);
		close_channel(&c);
	}
}

Test(slab, consumer_against_forged_indices)
{
	static const uint32_t heads[] = {RING + 1, 1u << 31, UINT32_MAX, UINT32_MAX - 1};
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct channel c;
		open_channel(&c, COUNT, SIZE);
		poke(&c, AT_FILLED_HEAD, heads[i]);
		expect_consumer_refuses(&c, "a head that claims more than a ring");
		close_channel(&c);
	}
	/* Backwards, after something was taken. */
	struct channel c;
	struct slab_desc desc;
	const uint8_t *bytes;
	open_channel(&c, COUNT, SIZE);
	put_one(&c, 1);
	put_one(&c, 2);
	cr_assert(slab_get(c.consumer, &desc, &bytes) && slab_get(c.consumer, &desc, &bytes));
	poke(&c, AT_FILLED_HEAD, 1);
	expect_consumer_refuses(&c, "a head that went back");
	close_channel(&c);
}

Test(slab, consumer_is_given_the_same_slab_twice)
{
	struct channel c;
	struct slab_desc desc, twice = {.slab = 0, .len = 8};
	const uint8_t *bytes;
	open_channel(&c, COUNT, SIZE);
	forge(&c, AT_FILLED, 0, &twice, AT_FILLED_HEAD, 1);
	cr_assert(slab_get(c.consumer, &desc, &bytes));
	forge(&c, AT_FILLED, 1, &twice, AT_FILLED_HEAD, 2);
	expect_consumer_refuses(&c, "a slab that we hold");
	close_channel(&c);
	/* Returned and given again is in order. */
	open_channel(&c, COUNT, SIZE);
	forge(&c, AT_FILLED, 0, &twice, AT_FILLED_HEAD, 1);
	cr_assert(slab_get(c.consumer, &desc, &bytes));
	slab_return(c.consumer, 0, 0);
	slab_return(c.consumer, 0, 0); /* own mistake: the second does nothing */
	forge(&c, AT_FILLED, 1, &twice, AT_FILLED_HEAD, 2);
	cr_expect(slab_get(c.consumer, &desc, &bytes));
	close_channel(&c);
}

Test(slab, geometry_rewritten_after_open_changes_nothing)
{
	struct channel c;
	struct slab_desc desc;
	const uint8_t *bytes;
	open_channel(&c, COUNT, SIZE);
	poke(&c, AT_COUNT, UINT32_MAX);
	poke(&c, AT_SIZE, UINT32_MAX);
	poke(&c, AT_VERSION, 0);
	put_one(&c, 5);
	cr_expect(slab_get(c.consumer, &desc, &bytes));
	cr_expect_eq(desc.arg, 5);
	cr_expect_eq(slab_size(c.producer), SIZE);
	close_channel(&c);
}

/* -- a hostile consumer -- */

static void expect_producer_refuses(struct channel *c, const char *what)
{
	struct slab_desc desc;
	uint64_t status;
	uint8_t *bytes;
	cr_expect_not(slab_reclaim(c->producer, &desc, &status, false), "%s was accepted", what);
	cr_expect(slab_producer_corrupt(c->producer), "%s: the channel is not marked", what);
	cr_expect_eq(slab_take(c->producer, &bytes), SLAB_NONE);
	cr_expect_not(slab_put(c->producer, &(struct slab_desc){.slab = SLAB_NONE}));
}

Test(slab, producer_against_forged_returns)
{
	static const struct {
		const char *what;
		uint32_t slab, head;
	} forged[] = {
	    {"a slab that was never given", 3, 1},
	    {"a slab number beyond the pool", COUNT, 1},
	    {"a huge slab number", SLAB_NONE, 1},
	    {"a head that claims more than a ring", 0, RING + 1},
	    {"a head that went back", 0, UINT32_MAX},
	};
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		struct channel c;
		open_channel(&c, COUNT, SIZE);
		cr_assert_eq(put_one(&c, 1), 0);
		forge(&c, AT_EMPTY, 0, &(struct slab_desc){.slab = forged[i].slab}, AT_EMPTY_HEAD,
		    forged[i].head);
		expect_producer_refuses(&c, forged[i].what);
		close_channel(&c);
	}
}

Test(slab, producer_gets_a_slab_back_twice)
{
	struct channel c;
	struct slab_desc desc;
	uint64_t status;
	open_channel(&c, COUNT, SIZE);
	cr_assert_eq(put_one(&c, 1), 0);
	for (uint32_t i = 0; i < 2; i++)
		forge(&c, AT_EMPTY, i, &(struct slab_desc){.slab = 0}, AT_EMPTY_HEAD, i + 1);
	cr_expect(slab_reclaim(c.producer, &desc, &status, false));
	expect_producer_refuses(&c, "the second return");
	close_channel(&c);
}

Test(slab, producer_against_a_tail_it_never_reached)
{
	struct channel c;
	open_channel(&c, COUNT, SIZE);
	for (unsigned i = 0; i < RING; i++)
		cr_assert(slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE}));
	slab_publish(c.producer);
	poke(&c, AT_FILLED_TAIL, RING + 1);
	cr_expect_not(slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE}));
	cr_expect(slab_producer_corrupt(c.producer));
	close_channel(&c);
	/* One that goes back only makes the ring look fuller. */
	open_channel(&c, COUNT, SIZE);
	for (unsigned i = 0; i < RING; i++)
		cr_assert(slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE}));
	slab_publish(c.producer);
	poke(&c, AT_FILLED_TAIL, 0);
	cr_expect_not(slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE}));
	cr_expect_not(slab_producer_corrupt(c.producer));
	close_channel(&c);
}

/* A peer in another process that writes at random into headers and rings while we work: whatever comes, no
 * end may touch memory that is not the channel's (a sanitizer or a crash tells). */
Test(slab, both_ends_against_noise, .timeout = 300)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct channel c;
		open_channel(&c, COUNT, SIZE);
		pid_t noise = fork();
		if (noise == 0) {
			unsigned state = seed;
			for (;;) {
				state = state * 1103515245u + 12345u;
				size_t at = (state >> 8) % (AT_EMPTY + 2048);
				state = state * 1103515245u + 12345u;
				uint32_t value = (state & 0x30000) != 0 ? (state >> 20) % 80 : state;
				__atomic_store_n(
				    (uint32_t *)(void *)(c.raw + at / 4 * 4), value, __ATOMIC_RELAXED);
			}
		}
		for (unsigned i = 0; i < 3000; i++) {
			struct slab_desc desc;
			const uint8_t *bytes;
			uint8_t *mine;
			uint64_t status;
			uint32_t slab = slab_take(c.producer, &mine);
			if (slab != SLAB_NONE) {
				memset(mine, 1, SIZE);
				if (!slab_put(c.producer, &(struct slab_desc){.slab = slab, .len = SIZE}))
					slab_untake(c.producer, slab);
			}
			slab_publish(c.producer);
			if (slab_get(c.consumer, &desc, &bytes) && bytes != NULL) {
				cr_assert_leq(desc.len, SIZE);
				volatile uint8_t last = desc.len > 0 ? bytes[desc.len - 1] : 0;
				(void)last;
				slab_return(c.consumer, desc.slab, 0);
			}
			slab_consumer_publish(c.consumer);
			if (slab_reclaim(c.producer, &desc, &status, false))
				cr_assert_lt(desc.slab, COUNT);
			cr_assert_leq(slab_free_count(c.producer), COUNT);
		}
		kill(noise, SIGKILL);
		waitpid(noise, NULL, 0);
		close_channel(&c);
	}
}

/* -- two processes -- */

#define TRANSFER_SLABS 400000u

/* The other end is at work: whoever sleeps is woken, or a wake-up was lost. */
static bool sleep_on(int bell)
{
	struct pollfd pfd = {.fd = bell, .events = POLLIN};
	return poll(&pfd, 1, 60000) == 1 && rung(bell);
}

/* A process that ends with the test, however that ends. */
static pid_t fork_consumer(int (*consume)(struct channel *c), struct channel *c)
{
	pid_t child = fork();
	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(consume(c));
}

/* Takes all, checks each, returns them in bursts. Exit status tells. */
static int consume_all(struct channel *c)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	for (uint64_t next = 0; next < TRANSFER_SLABS;) {
		unsigned burst = 0;
		for (; burst < 32 && slab_get(c->consumer, &desc, &bytes); burst++, next++) {
			if (desc.arg != next || memcmp(bytes, &next, 8) != 0 ||
			    memcmp(bytes + desc.len - 8, &next, 8) != 0)
				return 1;
			slab_return(c->consumer, desc.slab, 0);
		}
		slab_consumer_publish(c->consumer);
		if (slab_consumer_corrupt(c->consumer))
			return 2;
		if (burst > 0)
			continue;
		slab_consumer_asleep(c->consumer, true);
		if (!slab_consumer_ready(c->consumer) && !sleep_on(c->consumer_bell))
			return 3;
		slab_consumer_asleep(c->consumer, false);
	}
	return 0;
}

static void produce_burst(struct channel *c, uint64_t *next)
{
	uint8_t *bytes;
	uint32_t slab;
	for (unsigned burst = 0; burst < 32 && *next < TRANSFER_SLABS; burst++) {
		if ((slab = slab_take(c->producer, &bytes)) == SLAB_NONE)
			break;
		memcpy(bytes, next, 8);
		memcpy(bytes + 8192 - 8, next, 8);
		cr_assert(
		    slab_put(c->producer, &(struct slab_desc){.slab = slab, .len = 8192, .arg = *next}));
		(*next)++;
	}
	slab_publish(c->producer);
}

#define TRANSFER_WORDS 300000u

/* Descriptors without slabs, a few at a time, so that the ring is full nearly always. */
static int consume_words(struct channel *c)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	for (uint64_t next = 0; next < TRANSFER_WORDS;) {
		unsigned burst = 0;
		for (; burst < 16 && slab_get(c->consumer, &desc, &bytes); burst++)
			if (desc.arg != next++)
				return 1;
		slab_consumer_publish(c->consumer);
		if (burst > 0)
			continue;
		slab_consumer_asleep(c->consumer, true);
		if (!slab_consumer_ready(c->consumer) && !sleep_on(c->consumer_bell))
			return 2;
		slab_consumer_asleep(c->consumer, false);
	}
	return 0;
}

/* Nothing comes back: room in the ring is all that the producer can be woken for. */
Test(slab, two_processes_without_slabs, .timeout = 300)
{
	struct channel c;
	uint64_t next = 0;
	int child_status;
	open_channel(&c, COUNT, SIZE);
	pid_t child = fork_consumer(consume_words, &c);
	while (next < TRANSFER_WORDS) {
		while (next < TRANSFER_WORDS &&
		       slab_put(c.producer, &(struct slab_desc){.slab = SLAB_NONE, .arg = next}))
			next++;
		slab_publish(c.producer);
		slab_producer_asleep(c.producer, SLAB_WAIT_ROOM);
		if (next < TRANSFER_WORDS && !slab_producer_ready(c.producer))
			cr_assert(sleep_on(c.producer_bell), "not rung, though there is room");
		slab_producer_asleep(c.producer, 0);
	}
	waitpid(child, &child_status, 0);
	cr_expect(
	    WIFEXITED(child_status) && WEXITSTATUS(child_status) == 0, "consumer: status %x", child_status);
	close_channel(&c);
}

Test(slab, two_processes_transfer, .timeout = 300)
{
	struct channel c;
	struct slab_desc desc;
	struct timespec begun, ended;
	uint64_t status, next = 0, back = 0;
	int child_status;
	open_channel(&c, 512, 8192);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	pid_t child = fork_consumer(consume_all, &c);
	while (back < TRANSFER_SLABS) {
		uint64_t before = next + back;
		produce_burst(&c, &next);
		while (slab_reclaim(c.producer, &desc, &status, false))
			cr_assert_eq(desc.arg, back++, "returned out of order");
		cr_assert_not(slab_producer_corrupt(c.producer));
		if (next + back != before)
			continue;
		slab_producer_asleep(c.producer, SLAB_WAIT_SLABS);
		if (!slab_producer_ready(c.producer))
			cr_assert(sleep_on(c.producer_bell), "nobody rings");
		slab_producer_asleep(c.producer, 0);
	}
	waitpid(child, &child_status, 0);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	cr_expect(
	    WIFEXITED(child_status) && WEXITSTATUS(child_status) == 0, "consumer: status %x", child_status);
	double seconds =
	    (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
	cr_log_info(
	    "%u slabs of 8 KiB in %.2f s: %.0f a second", TRANSFER_SLABS, seconds, TRANSFER_SLABS / seconds);
	close_channel(&c);
}
