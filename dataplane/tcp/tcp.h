/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp: adopted flows of one lcore; pure functions over buffers and a clock (no DPDK, no system call).
 *
 * The lcore (dataplane/lcore.c) asks the policy and hands every TCP frame that an audit_ssh rule may concern
 * to tcp_input; what must be sent comes out through the hooks. Tests feed frames and virtual time.
 */
#ifndef DATAPLANE_TCP_H
#define DATAPLANE_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/frame.h"
#include "dataplane/slab/slab.h"

enum tcp_port_side { TCP_INSIDE = 0, TCP_OUTSIDE = 1 };

/* What becomes of the frame that was given to tcp_input. */
enum tcp_verdict {
	TCP_FORWARD,  /* send it on by the opposite port (it may have been edited in place: options, ECN,
	                 length) */
	TCP_CONSUMED, /* it was for the box; free it */
	TCP_DROP,     /* refused and counted; free it */
	TCP_UNKNOWN,  /* of no flow here (any more): the caller asks the policy as for the first of a flow */
};

/* What every port does for the frames that we make; what they do not, the endpoint does itself. */
struct tcp_offloads {
	bool checksum; /* puts the TCP checksum in: a frame leaves with the pseudo-header's in its place */
	uint16_t frame_max; /* cuts frames of up to so many bytes into segments (TSO); 0: none does. Needs
	                       `checksum` */
};

enum tcp_congestion { TCP_CUBIC, TCP_NEWRENO, TCP_CONGESTIONS }; /* RFC 9438; RFC 6582 */
/* Its name in settings, statistics and logs. */
const char *tcp_congestion_name(enum tcp_congestion congestion);

struct tcp_config {
	uint32_t flows;              /* flow table size, taken at start */
	uint32_t workers;            /* worker numbers are 0 .. workers - 1 */
	uint32_t receive_credit;     /* bytes of window that a leg begins with and always has */
	uint32_t receive_window_max; /* that it may grow to */
	uint64_t receive_memory;     /* bytes that all legs together may have beyond receive_credit each */
	uint32_t send_credit;        /* slabs a leg from the worker, to begin with */
	uint32_t send_slabs_max;     /* that it may grow to */
	uint32_t slab_bytes;         /* of each */
	uint32_t reorder_bytes;      /* undelivered and out-of-order bytes kept a leg, in whole chunks */
	uint64_t reorder_total;      /* and by all legs together: taken at start */
	uint32_t sent_segments; /* unacknowledged segments that all legs together may have; 0: from `flows` */
	uint16_t mtu;           /* of the link, bytes of IP datagram */
	uint32_t handshake_ms;  /* a handshake may take so long */
	uint32_t time_wait_ms;  /* a closed flow absorbs strays so long */
	uint32_t fin_wait_ms;   /* once the worker closed both legs: a peer may keep its window shut, then its
	                           half open, so long */
	uint32_t idle_keepalive_ms; /* a silent peer is probed after it; 0: never */
	uint32_t retransmit_limit;  /* time-outs in a row before a leg is given up */
	struct tcp_offloads offloads;
	enum tcp_congestion congestion;
	uint64_t seed[2]; /* hash key of the flow table: random, secret */
};
/* Sensible values for everything; the caller sets flows, workers, mtu, seed. */
void tcp_config_defaults(struct tcp_config *config);

/* What the policy said of a SYN. */
struct tcp_rule {
	uint32_t rule;
	uint64_t generation;
	uint8_t on_unsupported; /* enum rpc_unsupported: 0 answer RST, 1 let the flow pass untouched */
};

/* Where the headers of a frame lie that a port finishes, and into what it cuts the payload. */
struct tcp_unfinished {
	uint8_t family;
	uint8_t l2_len, l3_len, l4_len;
	uint16_t segment_len; /* payload of each segment but the last; 0: the frame is one segment */
};

/*
 * Hooks: how the endpoint acts. Frames go to the lcore (`context`), bytes to the handoff (`worker_context`,
 * filled in by handoff_hooks). Worker functions return false (0 bytes) where the worker's channel has no room
 * now; the endpoint keeps the bytes in its window and asks again on tcp_worker_ready.
 */
struct tcp_hooks {
	void *context;
	/* A buffer for a whole frame of `len` bytes; NULL: none now (counted, retransmission will do). */
	uint8_t *(*frame_alloc)(void *context, uint32_t len, void **handle);
	/* The port is to finish this frame (config.offloads), which is sent next. NULL where there are none.
	 */
	void (*frame_unfinished)(void *context, void *handle, const struct tcp_unfinished *what);
	/* Sends it on link `link` out of the port `side`; takes the handle over. */
	void (*frame_send)(void *context, uint8_t link, enum tcp_port_side side, void *handle, uint32_t len);
	void *worker_context;
	/* Chooses a worker for a new flow and tells it. Returns its number, or -1: nobody is up. */
	int (*worker_open)(void *context, uint64_t flow, const struct slab_flow *about);
	/* In-order bytes of leg `leg` (enum slab_leg). Returns how many were taken (0..len). */
	uint32_t (*worker_data)(
	    void *context, int worker, uint64_t flow, uint8_t leg, const uint8_t *at, uint32_t len);
	bool (*worker_fin)(void *context, int worker, uint64_t flow, uint8_t leg);
	bool (*worker_reset)(void *context, int worker, uint64_t flow, uint8_t leg, int error);
	bool (*worker_gone)(void *context, int worker, uint64_t flow);
	/* From now on it may have `slabs` slabs of leg `leg` out. */
	bool (*worker_credit)(void *context, int worker, uint64_t flow, uint8_t leg, uint32_t slabs);
	/* The slab's bytes are all ACKed (or the flow is over): give it back. */
	void (*slab_done)(void *context, int worker, uint32_t slab);
};

struct tcp_shard; /* all flows of one lcore, their timers and memory */

/* Takes all memory now. NULL: not enough. */
struct tcp_shard *tcp_shard_create(const struct tcp_config *config, const struct tcp_hooks *hooks);
void tcp_shard_destroy(struct tcp_shard *shard);

/*
 * For each TCP frame the lcore calls tcp_input first; it answers TCP_UNKNOWN, at the price of one hash and
 * one look, where the policy is to be asked. `bytes` is the frame again, writable; *len comes in as
 * frame->len and goes out as the length to forward (payload on a SYN is cut off).
 */
enum tcp_verdict tcp_input(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from,
    const struct frame *frame, uint8_t *bytes, uint32_t *len, uint64_t now_us);
/* Does this frame belong to a flow that is followed here (either orientation)? */
bool tcp_knows(const struct tcp_shard *shard, uint8_t link, const struct frame *frame);
/* A SYN (no ACK) that tcp_input did not know and an audit_ssh rule matched: begin to follow its handshake.
 * TCP_DROP: table full (counted), or the options are unsupported and the rule says so (an RST was sent). */
enum tcp_verdict tcp_syn(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from,
    const struct frame *frame, uint8_t *bytes, uint32_t *len, const struct tcp_rule *rule, uint64_t now_us);
/* Remembers the flow of `frame` as one that is forwarded and never adopted (a policy change, no worker and
 * `on_unavailable: allow`, …): tcp_input answers TCP_FORWARD for it until it closes or is idle. False: table
 * full. */
bool tcp_pass(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame,
    uint64_t now_us);
/* An ICMP error that quotes a segment of an adopted flow: true where it is consumed. */
bool tcp_icmp(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame,
    uint64_t now_us);
/* Builds an RST answering `frame` as its destination would (RFC 9293 3.10.7.1), out of the port it came in
 * by. */
void tcp_refuse(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame);
/* For a segment of a connection that the box lost with an earlier dataplane: makes its other side speak. Its
 * two legs had sequence numbers of their own, so the frame's are no use there; but a segment from outside the
 * window is answered by an ACK (RFC 9293 3.10.7.4), which names them, and which is then refused like this one
 * was. */
void tcp_ask_other(struct tcp_shard *shard, uint8_t link, enum tcp_port_side from, const struct frame *frame);

/* A descriptor from worker `worker` (enum slab_to_dataplane); `bytes` is its slab's memory, which must stay
 * readable until slab_done or tcp_worker_lost (the worker may be writing it). False: the worker broke the
 * rules; its flow was reset on both sides. */
bool tcp_from_worker(
    struct tcp_shard *shard, int worker, const struct slab_desc *desc, const uint8_t *bytes, uint64_t now_us);
enum tcp_turn {
	TCP_TURN_ALL,   /* each flow that waited had its turn */
	TCP_TURN_SOME,  /* more wait than have their turn in a call, and some got through: call again, though
	                   nothing more may come back meanwhile */
	TCP_TURN_STUCK, /* more wait, but of those who had their turn none got through */
};
/* The worker's channel has room again. */
enum tcp_turn tcp_worker_ready(struct tcp_shard *shard, int worker, uint64_t now_us);
/* The worker is gone: RST to both sides of all its flows (a slice of the table each tcp_tick); its slabs are
 * forgotten, not returned, and never read again: their memory may be unmapped when this returns. */
void tcp_worker_lost(struct tcp_shard *shard, int worker, uint64_t now_us);
/* Timers that are due. */
void tcp_tick(struct tcp_shard *shard, uint64_t now_us);
/* Sends what became sendable since the last call (ACKs, data), which may start timers; call once a burst,
 * after tcp_from_worker and tcp_tick. Returns when tcp_tick is due (us), UINT64_MAX for never. */
uint64_t tcp_flush(struct tcp_shard *shard, uint64_t now_us);
/* Memory of a flow (both legs) in the table, bytes. */
uint32_t tcp_flow_bytes(void);

/* Counters, all since start; X-macro so that names are given once: TCP_COUNTERS(F) F(name, "what it counts").
 */
#define TCP_COUNTERS(F)                                                                                      \
	F(flows, "flows in the table now")                                                                   \
	F(legs_established, "adopted flows, both legs open, now")                                            \
	F(syn_tracked, "SYNs of audited flows followed")                                                     \
	F(adopted, "connections taken over")                                                                 \
	F(table_full, "audited SYNs dropped because the table was full")                                     \
	F(keepalives, "silent peers asked whether they live")                                                \
	F(time_wait_cut, "closed flows forgotten early, for a new one in a full table")                      \
	F(worker_none, "adoptions refused because no worker was up")                                         \
	F(wrong_side, "segments that came in by the wrong port")                                             \
	F(bad_checksum, "segments of adopted flows with a wrong checksum")                                   \
	F(out_of_window, "segments outside the window")                                                      \
	F(retransmits, "segments sent again")                                                                \
	F(fast_recoveries, "losses noticed by later segments' arrival")                                      \
	F(retransmit_timeouts, "retransmission time-outs")                                                   \
	F(tail_probes, "tail loss probes sent (RFC 8985)")                                                   \
	F(spurious_recoveries, "losses that were none, undone")                                              \
	F(sack_reneged, "peers that threw away what they had SACKed")                                        \
	F(bursts_held, "times that data waited to be paced")                                                 \
	F(reordered, "segments kept out of order")                                                           \
	F(reorder_dropped, "out-of-order segments dropped for want of memory")                               \
	F(reorder_taken_back, "chunks of out-of-order bytes taken from those who had most, for others")      \
	F(memory_dropped, "segments dropped because receive_memory was used up")                             \
	F(window_grown, "windows that grew with what their workers consumed")                                \
	F(window_limited, "windows kept or made smaller than wanted because memory was scarce")              \
	F(receive_charged, "bytes of receive_memory that windows beyond receive_credit are promised, now")   \
	F(receive_held, "bytes of receive_memory in use, now")                                               \
	F(send_grown, "legs whose allowance of slabs was raised")                                            \
	F(resets_in, "RSTs accepted")                                                                        \
	F(resets_out, "RSTs sent")                                                                           \
	F(timeouts, "legs ended by retransmission or keepalive time-out")                                    \
	F(icmp_consumed, "ICMP errors that quoted our segments")                                             \
	F(path_mtu_lowered, "times that a leg's segments got smaller as ICMP said what fits")                \
	F(path_mtu_raised, "and raised again: a full one was tried, and arrived")                            \
	F(black_holes, "times that they did as full ones timed out again and again")                         \
	F(super_segments, "frames of several segments given to a port to cut (TSO)")                         \
	F(no_buffer, "frames not sent for want of a buffer")                                                 \
	F(no_segment, "data held back for want of a segment record")                                         \
	F(passed, "flows forwarded and never adopted, now")                                                  \
	F(unsupported, "SYNs with options that rule out adoption")                                           \
	F(paws_dropped, "segments dropped for an old timestamp")                                             \
	F(challenge_acks, "challenge ACKs sent (RFC 5961)")                                                  \
	F(worker_violations, "flows reset because the worker broke the rules")                               \
	F(worker_lost, "flows reset because their worker was lost")                                          \
	F(bytes_in, "in-order payload bytes handed to workers")                                              \
	F(bytes_out, "payload bytes sent for the first time")
struct tcp_counters {
#define TCP_COUNTER_FIELD(name, text) uint64_t name;
	TCP_COUNTERS(TCP_COUNTER_FIELD)
};
const struct tcp_counters *tcp_counters(const struct tcp_shard *shard);
/* What its flows go by. */
enum tcp_congestion tcp_congestion_of(const struct tcp_shard *shard);

#endif
