/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lcore: one core's share of the wire, run to completion.
 *
 * Everything that a frame touches belongs to the lcore that polls it: queues, decision table, TCP shard,
 * counters. Others reach it by three doors only: an SPSC ring of frames from each other lcore, a letter box
 * from the control thread, and the pointer to the policy in force (read-copy-update: freed by the control
 * thread once each lcore has passed a quiescent point).
 */
#ifndef DATAPLANE_LCORE_H
#define DATAPLANE_LCORE_H

#include <poll.h>
#include <pthread.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/decisions.h"
#include "dataplane/frame.h"
#include "dataplane/handoff.h"
#include "dataplane/policy.h"
#include "dataplane/ports.h"
#include "dataplane/reassemble.h"
#include "dataplane/tcp/tcp.h"

#define LCORES_MAX 32
#define LCORE_BURST 32
#define LCORE_TX_ROOM 256

#define LCORE_COUNTERS(F)                                                                                    \
	F(passed, "frames sent on unchanged")                                                                \
	F(blocked, "frames dropped by a rule")                                                               \
	F(answered_reset, "blocked frames answered with RST")                                                \
	F(answered_icmp, "blocked frames answered with ICMP")                                                \
	F(answer_limited, "ICMP answers not sent: too many a second")                                        \
	F(known_flow, "frames decided by the decision table")                                                \
	F(asked, "frames for which the policy's tries were asked")                                           \
	F(malformed_passed, "malformed frames sent on: no rule concerns them")                               \
	F(malformed_dropped, "malformed frames dropped: a rule may concern them")                            \
	F(fragments_dropped, "audited fragments refused in reassembly, or edited as a whole")                \
	F(audit_held, "audited SYNs dropped as no worker, recorder or control is up")                        \
	F(audit_refused, "audited SYNs answered with RST for the same reason")                               \
	F(audit_let_by, "audited SYNs forwarded for the same reason")                                        \
	F(midstream_reset, "audited segments without a flow, answered with RST")                             \
	F(midstream_passed, "audited segments without a flow, sent on")                                      \
	F(midstream_dropped, "audited segments without a flow, dropped")                                     \
	F(kept, "frames of flows forwarded before a policy change that audits them")                         \
	F(cut, "such flows reset, as their rule says")                                                       \
	F(icmp_consumed, "ICMP errors about adopted flows")                                                  \
	F(handed_over, "frames handed to the lcore that owns their flow, or a tx queue")                     \
	F(handover_full, "frames dropped as its ring was full")                                              \
	F(no_mbuf, "frames not made for want of an mbuf")                                                    \
	F(tx_dropped, "frames dropped as the port did not take them")                                        \
	F(sleeps, "times that the lcore went to sleep")                                                      \
	F(gathers, "times that it let a stream's frames gather")

struct lcore_counters {
#define LCORE_COUNTER_FIELD(name, text) uint64_t name;
	LCORE_COUNTERS(LCORE_COUNTER_FIELD)
	uint64_t malformed[FRAME_MALFORMATION_COUNT];
	struct {
		uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, tx_dropped;
	} port[PORTS_MAX];
};

/* What the control thread tells an lcore about slab channels. */
struct lcore_letter {
	struct lcore_letter *next;
	enum { LETTER_ATTACH, LETTER_DETACH } kind;
	uint32_t worker, epoch;
	enum handoff_lane lane;
	int memfd, bell;
};

/* What all lcores share, read-only to them but for the RCU variable. */
struct dataplane {
	struct ports ports;
	unsigned lcore_count;
	bool poll; /* idle: poll */
	_Atomic(const struct policy *) policy;
	struct rte_rcu_qsbr *rcu;
	atomic_bool stop;
	atomic_bool control_up, recorder_up;
	struct lcore *lcore[LCORES_MAX];
};

struct lcore_tx {
	struct rte_mbuf *frames[LCORE_TX_ROOM];
	unsigned count;
};

struct lcore {
	struct dataplane *dataplane;
	unsigned index;
	const struct policy *policy; /* as of the last quiescent point */
	uint64_t now_us;
	uint32_t now_s;
	double us_per_cycle;
	struct decisions decisions;
	struct tcp_shard *shard;
	struct handoff *handoff;
	struct reassembler *reassembler;
	uint64_t tick_at_us, expire_at_us;
	struct lcore_tx tx[PORTS_MAX];
	struct rte_ring *from[LCORES_MAX]; /* frames that lcore i handed over; NULL for itself */
	unsigned woke;                     /* lcores to wake once this burst is done, a bit each */
	uint32_t icmp_tokens;
	uint64_t icmp_refill_us;
	uint64_t malformed_logged_us[FRAME_MALFORMATION_COUNT];
	uint64_t malformed_unlogged[FRAME_MALFORMATION_COUNT];
	struct burst *burst;
	uint8_t *scratch; /* a scattered frame made linear */
	struct lcore_counters counters;
	unsigned dry;  /* turns of the loop without work */
	unsigned load; /* frames and descriptors a working turn, in sixteenths: a moving average */
	struct pollfd wait[1 + PORTS_MAX]; /* the bell, then what shows that frames wait (ports.h) */
	unsigned waits;                    /* 0: a port has no such descriptor, the lcore naps */
	int bell;
	atomic_bool asleep;
	pthread_mutex_t letters_lock;
	atomic_bool letters_waiting;
	struct lcore_letter *letters;
};

/* Of each leg's windows and buffers; the meaning is tcp_config's. None is 0. */
struct lcore_windows {
	uint32_t receive_credit, receive_window_max, receive_memory, send_credit, send_slabs_max, slab_bytes;
};

struct lcore_config {
	uint32_t flows, workers;
	struct lcore_windows windows;
	enum tcp_congestion congestion;
	uint32_t keepalive_ms; /* 0: never */
	uint32_t decisions4, decisions6;
};

/* Takes all memory of one lcore. NULL: it has said why in the log. */
struct lcore *lcore_create(struct dataplane *dataplane, unsigned index, const struct lcore_config *config);
void lcore_destroy(struct lcore *lcore);
/* The bell that others ring to wake it; taken over. Before lcore_run. */
void lcore_bell(struct lcore *lcore, int bell);
/* The loop, until dataplane->stop. */
int lcore_run(void *lcore);
/* From another thread: puts a letter in (taken over; freed by the lcore) and wakes it. */
void lcore_tell(struct lcore *lcore, struct lcore_letter *letter);
void lcore_wake(struct lcore *lcore);

/* -- for the files of one lcore ------------------------------------------------------------------- */
/* Why a frame was handed over; stands in the mbuf's hash field, with a port above it. */
enum handover { HANDOVER_TCP = 1, HANDOVER_FRAGMENT, HANDOVER_ICMP, HANDOVER_SEND };

/* The lcore that owns a flow: a symmetric Toeplitz hash over addresses and, unless `pair`, ports. */
unsigned handover_owner(const struct lcore *lcore, const struct frame *frame, bool pair);
/* Takes the frame over; drops and counts it where the ring is full. `port`: where it came in, or of
 * HANDOVER_SEND where it goes out. */
void handover_put(struct lcore *lcore, unsigned owner, struct rte_mbuf *m, enum handover why, uint8_t port);
/* Wakes the lcores that were given something since the last call. */
void handover_flush(struct lcore *lcore);

/* One frame on its way through judgement. */
struct packet {
	struct rte_mbuf *m;             /* NULL for a datagram that was put together */
	struct reassemble_whole *whole; /* then its fragments */
	uint8_t port;                   /* where it came in */
	bool copied;                    /* `bytes` is a copy of a scattered mbuf */
	uint8_t *bytes;
	uint32_t len;
	struct frame *frame;
};

void lcore_send(struct lcore *lcore, unsigned number, struct rte_mbuf *m);
void lcore_flush(struct lcore *lcore);
/* Sends the packet on by the opposite port, or frees it. */
void lcore_pass(struct lcore *lcore, struct packet *packet);
void lcore_drop(struct packet *packet);

/* Judges and settles `count` frames that came in by `port`, in order. */
void inspect_burst(struct lcore *lcore, uint8_t port, struct rte_mbuf **frames, unsigned count);
/* A frame that another lcore handed over. */
void inspect_handed_over(struct lcore *lcore, struct rte_mbuf *m, enum handover why);
struct burst *inspect_room(void);

#endif
