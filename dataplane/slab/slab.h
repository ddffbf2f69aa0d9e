/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab: a one-way channel between two processes that do not trust each other.
 *
 * Theory of operation. A sealed memfd holds a header, a pool of `slab_count` slabs of `slab_size` bytes, and
 * two single-producer single-consumer rings of descriptors: `filled` carries descriptors (most with a slab)
 * from producer to consumer, `empty` brings slabs back with a status. The producer owns every slab at the
 * start; a slab is taken, filled, put, and is the consumer's until it is returned.
 *
 * Invariants, which hold whatever the other end writes into the shared memory:
 *  - Geometry, own index and the state of each slab are private to an end; shared memory is only ever a
 *    message. The foreign index is read once and refused unless `foreign - own <= ring size`.
 *  - A descriptor is copied out before it is checked: slab number, length, and that the slab is in the state
 *    that allows this move. Anything else marks the channel `corrupt`, for good; the owner of the end drops
 * it.
 *  - Slab *contents* may change at any time while the other end can still write them: a reader copies out
 *    what it decides upon.
 *  - No system call per descriptor: a dry end raises its `asleep` flag, looks once more, and sleeps on its
 *    bell (an eventfd, one for all channels of a thread); the other end rings only when the flag is up, at
 *    most once a publish. A producer's flag says what it waits for, slabs or room in the ring, so that it is
 *    not woken by what is of no use to it.
 * One thread per end. Memory is taken at open and never grows.
 */
#ifndef DATAPLANE_SLAB_H
#define DATAPLANE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_NONE UINT32_MAX /* a descriptor that carries no slab */
#define SLAB_COUNT_MAX 65536u
#define SLAB_SIZE_MAX (1u << 20)

/* 32 bytes, the same in the ring. `type`, `flow`, `arg` mean what the two ends agreed (below). */
struct slab_desc {
	uint32_t slab; /* number of the slab, or SLAB_NONE */
	uint32_t len;  /* bytes of the slab in use, <= slab_size; 0 with SLAB_NONE */
	uint16_t type;
	uint16_t flags;
	uint32_t aux;
	uint64_t flow;
	uint64_t arg;
};

/* What dataplane -> worker descriptors say (`flow` names the session on this channel). */
enum slab_to_worker {
	SLAB_FLOW_OPEN = 1, /* slab: struct slab_flow; arg: none. The first word about a flow. */
	SLAB_FLOW_DATA,     /* slab: in-order bytes from the peer of leg `aux` */
	SLAB_FLOW_FIN,      /* leg `aux`: its peer has sent all it will */
	SLAB_FLOW_RESET,  /* leg `aux`: its peer (or a time-out; arg = errno) ended it; both legs are gone */
	SLAB_FLOW_GONE,   /* the dataplane forgets the flow: nothing more comes, nothing more is taken */
	SLAB_FLOW_CREDIT, /* leg `aux`: arg = slabs that the worker may have put and not got back, from now
	                     on; where more are out, it puts no more until they came back */
};

/* What worker -> dataplane descriptors say. */
enum slab_to_dataplane {
	SLAB_LEG_DATA =
	    1,          /* slab: bytes for the peer of leg `aux`; the slab comes back once they are ACKed */
	SLAB_LEG_FIN,   /* leg `aux`: FIN after all data put before */
	SLAB_LEG_RESET, /* leg `aux` (or SLAB_LEG_BOTH): RST now */
	SLAB_LEG_CONSUMED, /* leg `aux`: arg = total bytes taken from this leg so far (cumulative, u64) */
};

enum slab_leg { SLAB_LEG_CLIENT = 0, SLAB_LEG_ORIGIN = 1, SLAB_LEG_BOTH = 2 };

/* What worker -> recorder descriptors say (`flow` = the worker's handle of a program's recording).
 * Every one of them carries a slab, and its return is the acknowledgement; returned `status` per type. */
enum slab_to_recorder {
	SLAB_REC_OPEN =
	    1, /* slab: JSON (recorder/format, "open"). status: whole blocks the file already holds */
	SLAB_REC_BLOCK, /* slab: one sealed block; arg: its number n. status 0: written (or flushed, if
	                   strict) */
	SLAB_REC_CLOSE, /* slab: JSON ("close"). status 0: header finished, index and session log written */
};
#define SLAB_STATUS_FAILED UINT64_MAX /* the recorder could not do it (disk full, I/O error) */

/* Payload of SLAB_FLOW_OPEN; both ends are this build, so it is passed as it lies in memory. */
struct slab_flow {
	uint8_t family;          /* 4 or 6 */
	uint8_t link;            /* number of the link, in the order of the configuration */
	uint16_t vlan;           /* outer VLAN id, 0 = untagged */
	uint16_t client_port;    /* host order */
	uint16_t server_port;    /* host order */
	uint8_t client_addr[16]; /* network order; IPv4 in the first 4 bytes */
	uint8_t server_addr[16];
	uint32_t rule; /* index of the rule in the policy */
	uint32_t
	    receive_credit;   /* bytes a leg: its window at first; CONSUMED is said in steps of an eighth */
	uint32_t receive_max; /* bytes a leg: most that is ever in flight to the worker and not CONSUMED */
	uint32_t send_credit; /* slabs a leg: most the worker may have put and not got back, at first */
	uint64_t generation;  /* of the policy that the rule belongs to */
};

struct slab_producer;
struct slab_consumer;

/* Makes the shared memory, fully sealed (F_SEAL_SHRINK|GROW|SEAL). Returns the memfd, or -errno. `slab_count`
 * 1..SLAB_COUNT_MAX, `slab_size` 64..SLAB_SIZE_MAX (multiple of 64). `epoch` is told to both ends. */
int slab_create(uint32_t slab_count, uint32_t slab_size, uint32_t epoch);

/* Opens an end. Takes `memfd` and `peer_bell` over in every case (closes memfd after mapping). `peer_bell`
 * may be -1 (nobody to wake). 0, or -errno: -EPROTO where the memory is not a channel of this layout. */
int slab_producer_open(struct slab_producer **out, int memfd, int peer_bell);
int slab_consumer_open(struct slab_consumer **out, int memfd, int peer_bell);
void slab_producer_close(struct slab_producer *end);
void slab_consumer_close(struct slab_consumer *end);

uint32_t slab_producer_epoch(const struct slab_producer *end);
uint32_t slab_consumer_epoch(const struct slab_consumer *end);
uint32_t slab_size(const struct slab_producer *end);
uint32_t slab_count(const struct slab_producer *end);

/* -- producer ------------------------------------------------------------------------------------- */
/* Takes an empty slab: its number, and *bytes (slab_size of them), or SLAB_NONE when none is free. */
uint32_t slab_take(struct slab_producer *end, uint8_t **bytes);
/* Gives a taken slab back unused. */
void slab_untake(struct slab_producer *end, uint32_t slab);
/* The memory of a slab that is taken or put (put: to send again or to copy from; the peer may write it). */
uint8_t *slab_producer_bytes(struct slab_producer *end, uint32_t slab);
uint32_t slab_free_count(const struct slab_producer *end);
/* Queues a descriptor; not visible before slab_publish. False when the ring is full (nothing changed). */
bool slab_put(struct slab_producer *end, const struct slab_desc *desc);
/* Makes what was put visible and rings the consumer's bell if it sleeps. */
void slab_publish(struct slab_producer *end);
/* Takes back the next returned slab: *desc is the private copy of what was put, *status the consumer's
 * word. The slab is free again (unless `keep`: then it is taken, its bytes still there). False: none. */
bool slab_reclaim(struct slab_producer *end, struct slab_desc *desc, uint64_t *status, bool keep);
bool slab_producer_corrupt(const struct slab_producer *end);
/* What a producer may sleep for; either, or both. */
enum slab_wait {
	SLAB_WAIT_SLABS = 1, /* that come back */
	SLAB_WAIT_ROOM = 2,  /* slab_put has found the ring full */
};
/* Raises the asleep flag, or lowers it (0). After raising, look once more before sleeping on the bell. */
void slab_producer_asleep(struct slab_producer *end, unsigned waits);
/* Anything to reclaim? Or room, where that is slept for? */
bool slab_producer_ready(const struct slab_producer *end);

/* -- consumer ------------------------------------------------------------------------------------- */
/* Copies out the next descriptor; *bytes is the slab's memory (NULL with SLAB_NONE). False: none, or corrupt.
 */
bool slab_get(struct slab_consumer *end, struct slab_desc *desc, const uint8_t **bytes);
/* Returns a slab that was got. Not visible before slab_consumer_publish. */
void slab_return(struct slab_consumer *end, uint32_t slab, uint64_t status);
/* Makes what was returned visible, and rings the producer's bell if it sleeps for that, or for the room that
 * slab_get has made since the last time. */
void slab_consumer_publish(struct slab_consumer *end);
bool slab_consumer_corrupt(const struct slab_consumer *end);
void slab_consumer_asleep(struct slab_consumer *end, bool asleep);
bool slab_consumer_ready(const struct slab_consumer *end);

#endif
