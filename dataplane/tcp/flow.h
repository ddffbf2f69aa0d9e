/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow: what the files of dataplane/tcp/ share. Nothing outside this folder includes it.
 *
 * Sequence numbers are u32 and compared modulo 2^32 (RFC 9293 section 3.4); times are microseconds of the
 * caller's monotonic clock; sizes are bytes unless they say otherwise.
 */
#ifndef DATAPLANE_TCP_FLOW_H
#define DATAPLANE_TCP_FLOW_H

#include <stddef.h>

#include "dataplane/tcp/tcp.h"

#define SEQ_LT(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)) < 0)
#define SEQ_LEQ(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)) <= 0)
#define SEQ_GT(a, b) SEQ_LT(b, a)
#define SEQ_GEQ(a, b) SEQ_LEQ(b, a)

#define NONE UINT32_MAX /* no index */
#define NEVER UINT64_MAX

enum {
	L2_MAX = 14 + 4 * FRAME_VLAN_TAGS_MAX,
	SACK_BLOCKS_MAX = 4,
	DELAYED_ACK_US = 40000,
	RTO_INITIAL_US = 1000000, /* RFC 6298 2.1 */
	RTO_MIN_US = 200000,
	RTO_MAX_US = 120000000,
	PERSIST_MAX_US = 60000000,
	KEEPALIVE_PROBES = 8,           /* unanswered ones before a leg is given up */
	CHALLENGE_INTERVAL_US = 500000, /* one challenge ACK a leg in this time (RFC 5961 section 7) */
	PROBE_ANSWER_MS = 50,           /* and one answer to keepalive and window probes */
	TIMESTAMP_TICK_US = 1000,
	MSS_DEFAULT_IPV4 = 536,
	MSS_DEFAULT_IPV6 = 1220,
	MSS_MIN = 48,
	WINDOW_SCALE_MAX = 14,
	DUP_THRESHOLD = 3,
	CWND_MAX = 1 << 30, /* no window is larger (RFC 7323 2.3) */
	CHUNK_BYTES = 1524,
	RUNS_MAX = 512, /* separate stretches of out-of-order bytes a leg */
	CHUNK_LEVELS = 33,
	RECENT_MAX = 3,
	HANDSHAKE_HANGS_US = 5000000, /* a handshake this old may give way in a full table */
	TIME_WAITS_LOOKED_AT = 8,     /* for one that may, too */
	PASS_IDLE_US = 600000000,     /* a forwarded flow is forgotten after one to two of these */
};

/* -- timers (timers.c) -- */
struct timer {
	struct timer *next, *prev; /* NULL: not linked */
	uint64_t due;
};

#define WHEEL_SLOTS 2048u
#define WHEEL_SLOT_US 4096u

struct timer_wheel {
	struct timer slot[WHEEL_SLOTS];
	uint64_t occupied[WHEEL_SLOTS / 64];
	uint64_t at; /* slots up to this tick have been looked at */
};

void timer_list_init(struct timer *list);
/* Appends; lists hold one constant time-out each, so they stay sorted by themselves. */
void timer_append(struct timer *list, struct timer *node, uint64_t due);
void timer_unlink(struct timer *node);
/* The first node that is due, unlinked; NULL: none. */
struct timer *timer_expired(struct timer *list, uint64_t now_us);
uint64_t timer_list_next(const struct timer *list);
void wheel_init(struct timer_wheel *wheel, uint64_t now_us);
/* (Re-)arms. A later `due` costs one store: the node moves when its slot comes round. */
void wheel_arm(struct timer_wheel *wheel, struct timer *node, uint64_t due);
struct timer *wheel_expired(struct timer_wheel *wheel, uint64_t now_us);
/* A time at or before the next node's; NEVER: empty. */
uint64_t wheel_next(const struct timer_wheel *wheel);

/* -- what is in a segment's options (options.c) -- */
struct tcp_options {
	bool mss_present, wscale_present, sack_permitted, timestamps, authenticated;
	uint16_t mss;
	uint8_t wscale;
	uint8_t sack_count;
	uint32_t tsval, tsecr;
	struct {
		uint32_t start, end;
	} sack[SACK_BLOCKS_MAX];
};
/* `at`: the option bytes behind the fixed header. Malformed ones end the walk. */
void options_parse(struct tcp_options *options, const uint8_t *at, uint32_t len);
/* Overwrites with NOPs what an adopted flow must not have negotiated and clears the ECN bits, in the frame's
 * bytes, checksum kept right (RFC 1624); an MSS above `mss_most` is brought down to it: what is longer cannot
 * come in by our ports. True where anything changed. */
bool options_edit_syn(const struct frame *frame, uint8_t *bytes, uint16_t mss_most);
/* Cuts the payload off a SYN: IP length and checksums; *len is the frame's new length. */
void options_cut_payload(const struct frame *frame, uint8_t *bytes, uint32_t *len);

/* -- one transmitted, unacknowledged segment: the scoreboard of a leg is a list of these -- */
enum sent_flags {
	SENT_FIN = 1,         /* the last sequence number of it is the FIN */
	SENT_SACKED = 2,      /* RFC 2018 */
	SENT_LOST = 4,        /* thought lost and not yet sent again; neither: in flight */
	SENT_AGAIN = 8,       /* was retransmitted: no RTT from it (Karn) */
	SENT_LOST_BELOW = 16, /* it, or one below it in the index, may be lost (sent_index.c) */
};
struct sent_segment {
	uint64_t sent_us; /* last transmission */
	uint32_t next;
	uint32_t older, newer; /* of those in flight, by last transmission */
	uint32_t left, right;  /* below it in the index */
	uint32_t seq;
	uint32_t len; /* sequence numbers, FIN included */
	uint32_t flags;
};

/* -- a slab of the worker's, being sent -- */
struct send_slab {
	const uint8_t *bytes;
	uint32_t len;
	uint32_t next;
};

/* -- bytes that wait for their turn or for the worker -- */
struct chunk {
	uint32_t next;
	uint32_t seq;
	uint32_t len;
	uint32_t run_last; /* of the first chunk of a run: its last */
	uint8_t data[CHUNK_BYTES];
};

enum leg_flags {
	LEG_DIRTY = 1 << 0,       /* in the shard's list of legs to look at in tcp_flush */
	LEG_ACK_NOW = 1 << 1,     /* an ACK goes out in the next flush */
	LEG_ACK_DELAYED = 1 << 2, /* one is owed within DELAYED_ACK_US */
	LEG_SACK = 1 << 3,        /* negotiated */
	LEG_TIMESTAMPS = 1 << 4,  /* negotiated */
	LEG_FIN_QUEUED = 1 << 5,  /* the worker will send no more */
	LEG_FIN_SENT = 1 << 6,
	LEG_FIN_ACKED = 1 << 7,
	LEG_FIN_SEEN = 1 << 8,       /* fin_seq is known, perhaps out of order */
	LEG_FIN_RECEIVED = 1 << 9,   /* all before it was received */
	LEG_FIN_DELIVERED = 1 << 10, /* and the worker knows */
	LEG_RESET = 1 << 11,         /* ended by RST of either side: nothing more in or out */
	LEG_RECOVERY = 1 << 12,      /* fast recovery until snd_una reaches `recover` */
	LEG_LOSS = 1 << 13,          /* after a time-out, until the same */
	LEG_REORDERING = 1 << 14,    /* seen on this path (RFC 8985 section 6.2) */
	LEG_CWND_LIMITED = 1 << 15,
	LEG_OVERRIDE = 1 << 16,     /* the persist timer lets a small segment go */
	LEG_DSACK = 1 << 17,        /* dsack_start/end are to be reported (RFC 2883) */
	LEG_MAY_FRAGMENT = 1 << 18, /* a path narrower than the least that we send in one piece */
	LEG_RAISE = 1 << 19,        /* path_mtu.c: the segment that is sent now is of mss_most */
	LEG_RAISE_OUT = 1 << 20,    /* one such ends at raise_end, and was not sent again */
	/* recovery.c */
	LEG_UNDO = 1 << 24,         /* undo_* are of the last episode */
	LEG_REO_ROUND = 1 << 25,    /* a duplicate was reported since reo_round */
	LEG_PROBED = 1 << 26,       /* a tail loss probe is out, up to probe_end */
	LEG_PROBED_AGAIN = 1 << 27, /* and was a retransmission */
	LEG_PROBE_ARM = 1 << 28,    /* the probe's timer starts anew with the next output */
	LEG_PACED = 1 << 29,        /* more could be sent, but not at once */
};

enum leg_timer { LEG_TIMER_NONE, LEG_TIMER_RTO, LEG_TIMER_PERSIST, LEG_TIMER_KEEPALIVE };

/* How frames towards a peer look: as the last in-window frame of the other peer did. Never reversed from the
 * peer's own: with VRRP or asymmetric gateways those are not where frames to it go. */
struct tcp_look {
	uint8_t l2[L2_MAX];
	uint8_t l2_len, ttl, dscp;
	uint32_t flow_label;
};

/* HyStart++ (congestion.c), while ssthresh is UINT32_MAX. RTTs of 0: none yet. */
struct hystart {
	uint32_t round_end;                 /* sequence number */
	uint32_t round_rtt_us, last_rtt_us; /* least of this round and of the one before */
	uint32_t css_rtt_us;                /* least when conservative slow start began; 0: it did not */
	uint8_t samples, css_rounds;
};
/* An epoch of CUBIC (cubic.c), afterwards. Windows in bytes. */
struct cubic {
	uint32_t w_max, w_est, cwnd_prior;
	uint32_t est_credit; /* remainder of w_est's growth */
	uint32_t k_ms, epoch_ms;
	uint32_t paused_ms; /* the window is not used since then, if `paused` */
	bool in_epoch, paused;
};
union congestion_model {
	struct hystart hystart;
	struct cubic cubic;
};

/* Our TCP endpoint towards one peer. */
struct tcp_leg {
	/* what every segment touches */
	uint32_t flags;
	uint8_t id;         /* enum slab_leg */
	uint8_t snd_wscale; /* the peer's, for windows that it announces */
	uint8_t rcv_wscale; /* what the peer was told by the other end's SYN, for windows that we announce */
	uint8_t backoff;    /* RTO or persist time-outs in a row */
	uint32_t dirty_next;
	uint32_t rcv_nxt, rcv_adv; /* rcv_adv: the right edge that the peer was ever promised */
	uint32_t dlv_nxt;          /* next byte for the worker, <= rcv_nxt */
	uint32_t last_ack_sent;
	uint32_t snd_una, snd_nxt, snd_end; /* snd_end: behind the last byte the worker gave */
	uint32_t snd_wnd, snd_wl1, snd_wl2, snd_wnd_max;
	uint32_t ts_recent, ts_base;
	uint64_t ts_zero_us;   /* our TSval was ts_base then */
	uint64_t ts_recent_us; /* when ts_recent was noted */
	uint64_t last_heard_us;
	uint64_t consumed, delivered; /* bytes to the worker since adoption */
	uint32_t credit;              /* bytes that may be with the worker and in the window (window.c) */
	uint16_t mss;                 /* payload of a full segment, our options taken off */
	uint16_t mss_most;            /* as it was agreed */
	uint16_t dup_acks;
	uint16_t peer_mss_seen; /* largest payload from the peer */
	uint16_t peer_full;     /* payload of what it calls a full segment now */
	uint16_t peer_len_seen; /* of its last segment, if that did not end a write */

	/* sending */
	uint32_t sent_head, sent_tail;
	uint32_t flight_oldest, flight_newest;      /* records in flight, by last transmission */
	uint32_t sent_root, sent_count;             /* of the records' index; records */
	uint32_t slab_head, slab_tail, slab_cursor; /* numbers of the worker's slabs */
	uint32_t head_seq, cursor_seq;              /* sequence number of their first bytes */
	uint32_t slabs;
	uint32_t cwnd, ssthresh, recover, acked_in_round;
	uint32_t sacked_bytes, lost_bytes, fack;
	uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us;
	uint32_t rack_end, rack_rtt_us;
	uint32_t reo_round; /* LEG_REO_ROUND ends when this is acknowledged */
	uint64_t rack_sent_us;
	uint64_t rto_due, reorder_due, probe_due, last_send_us, challenge_us;
	uint64_t paced_us;  /* what was sent is paced out at this time */
	uint64_t raise_due; /* from when on mss_most is tried again; NEVER: it is in use */
	uint32_t raise_end;
	union {
		union congestion_model model;
		struct hystart hystart;
		struct cubic cubic;
	};

	/* recovery */
	uint32_t recover_flight, prr_delivered, prr_out; /* RFC 6937 */
	uint32_t probe_end;
	uint32_t undo_cwnd, undo_ssthresh;
	uint32_t undo_from, undo_stamp; /* snd_una then; our clock at the first retransmission */
	union congestion_model undo_model;
	uint16_t undo_retransmits;     /* segments sent again and not reported as duplicates */
	uint8_t reo_mult, reo_persist; /* RACK's reordering window: in quarters of the least RTT; for how
	                                  many recoveries yet */

	/* receiving */
	uint32_t fin_seq;
	uint32_t chunk_head, chunk_tail, chunks;
	uint32_t run_tail; /* the first chunk of the last run */
	uint32_t runs;
	uint32_t unearned_chunks;          /* chunk_shares.c */
	uint32_t taker_older, taker_newer; /* in the list of its level: leg numbers */
	uint8_t taker_level;               /* 0: in none */
	uint32_t recent[RECENT_MAX]; /* out-of-order segments, latest first: which SACK blocks come first */
	uint32_t dsack_start, dsack_end;
	uint32_t probed_ms; /* when a probe was last answered */

	/* windows and buffers (window.c); times are the low 32 bits of microseconds */
	uint32_t rcv_rtt_us, rcv_tsecr;    /* round-trip time as the receiver sees it, and its last echo */
	uint32_t round_us, round_consumed; /* when the round of measurement began, and where */
	uint32_t round_bytes;              /* consumed in the round before, a round-trip time's worth */
	uint32_t charged, held;            /* of receive_memory: for the window; bytes that are there */
	uint32_t slabs_told, slabs_most;   /* what the worker may have out, and ever was allowed to */

	struct tcp_look look;
	uint8_t timer_kind; /* enum leg_timer */
	uint8_t unanswered; /* probes since the peer was last heard */
	uint16_t ip_id;

	struct timer timer;       /* wheel */
	struct timer delayed_ack; /* list */
	struct timer idle;        /* list */
};

enum flow_state {
	FLOW_FREE,
	FLOW_SYN,       /* the client's SYN went by */
	FLOW_SYN_ACK,   /* and the origin's answer */
	FLOW_ADOPTED,   /* two endpoints */
	FLOW_TIME_WAIT, /* over; strays are absorbed */
	FLOW_PASS,      /* forwarded, never adopted */
};

/* Canonical: `low` is the lesser of (address, port). 48 bytes, hashed as six words. */
struct flow_key {
	uint8_t low[16], high[16];
	uint16_t low_port, high_port;
	uint16_t vlan[FRAME_VLAN_TAGS_MAX];
	uint8_t link, family, vlan_tags, zero[5];
};
_Static_assert(sizeof(struct flow_key) == 48, "hashed as words, no padding");

/* What one end said in its SYN. */
struct syn_note {
	uint32_t isn;
	uint16_t window, mss;
	uint8_t wscale;
	bool wscale_present, sack_permitted, timestamps;
	uint32_t tsval;
	uint64_t at_us;
};

/* What a forwarded flow's ends said of its end; it counts until they go on. */
enum pass_ends { PASS_FIN_CLIENT = 1, PASS_FIN_ORIGIN = 2, PASS_RESET = 4 };

enum flow_flags {
	FLOW_WAITING = 1,    /* in its worker's list of flows that have something to say */
	FLOW_TELL_RESET = 2, /* the worker is to be told of a reset … */
	FLOW_TELL_GONE = 4,  /* … and that it is over */
	FLOW_HAS_WORKER = 8,
	FLOW_FIN_WAIT = 16,   /* the peers have acknowledged both FINs: the fin_wait timer runs for theirs */
	FLOW_CLIENT_LOW = 32, /* the client is the key's `low` end */
	FLOW_CLOSING = 64,    /* the worker closed both legs: the fin_wait timer runs, for its bytes' sake */
};

struct tcp_flow {
	_Alignas(64) struct flow_key key; /* of a cache line, with what a look needs */
	uint32_t hash_next;               /* in its bucket, or in the free list */
	uint32_t incarnation;
	uint8_t state; /* enum flow_state */
	uint8_t flags;
	uint8_t client_side; /* enum tcp_port_side the client is behind */
	uint8_t reset_leg;
	int16_t worker;
	uint16_t reset_error;
	uint32_t worker_epoch;
	uint32_t wait_next;
	struct tcp_rule rule;
	struct timer timer; /* handshake, TIME_WAIT, FIN_WAIT or pass-idle list, by state */
	union {
		struct tcp_leg leg[2]; /* FLOW_ADOPTED, FLOW_TIME_WAIT; by enum slab_leg */
		struct {               /* FLOW_SYN, FLOW_SYN_ACK; by who sent it, and towards whom */
			struct syn_note syn[2];
			struct tcp_look look[2];
		};
		struct { /* FLOW_PASS */
			uint64_t last_seen_us;
			uint8_t ends; /* enum pass_ends */
			bool half;    /* nothing but the first frame was seen: in the list of handshakes */
		};
	};
};

struct congestion;

struct worker_flows {
	uint32_t epoch; /* counts losses: a flow of an older epoch is an orphan */
	uint32_t wait_head, wait_tail;
	struct send_slab *slabs; /* by slab number, SLAB_COUNT_MAX of them, touched as used */
};

/* Legs that have about as many chunks beyond what their windows were charged: leg numbers. */
struct chunk_takers {
	uint32_t oldest, newest;
};

struct tcp_shard {
	struct tcp_config config;
	struct tcp_hooks hooks;
	struct tcp_counters counters;
	const struct congestion *congestion;
	struct tcp_flow *flows;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t free_flow;
	uint32_t free_sent;
	uint32_t sent_spare, sent_kept; /* records of no leg; so many are for legs that have none (sack.c) */
	uint32_t free_chunk;
	uint32_t dirty_head, dirty_tail;      /* leg numbers: flow * 2 + leg */
	uint32_t orphan_cursor, orphans_left; /* the sweep after a lost worker */
	struct sent_segment *sent;
	struct chunk *chunks;
	uint32_t chunk_count, free_chunks, fresh_chunk; /* fresh_chunk: it and those behind were never used */
	uint32_t unearned_chunks;                       /* of all legs */
	struct chunk_takers takers[CHUNK_LEVELS];       /* by the bit length of what they have unearned */
	struct worker_flows *workers;
	struct timer handshakes, time_waits, fin_waits, passes, idles, delayed_acks;
	struct timer ended; /* forwarded flows that are over by their looks */
	struct timer_wheel wheel;
};

static inline struct tcp_flow *leg_flow(struct tcp_leg *leg)
{
	return (struct tcp_flow *)((char *)(leg - leg->id) - offsetof(struct tcp_flow, leg));
}
static inline struct tcp_flow *flow_of_timer(struct timer *timer)
{
	return (struct tcp_flow *)((char *)timer - offsetof(struct tcp_flow, timer));
}
static inline uint32_t flow_index(const struct tcp_shard *shard, const struct tcp_flow *flow)
{
	return (uint32_t)(flow - shard->flows);
}
static inline uint64_t flow_id(const struct tcp_shard *shard, const struct tcp_flow *flow)
{
	return (uint64_t)flow->incarnation << 32 | flow_index(shard, flow);
}
static inline struct tcp_leg *leg_other(struct tcp_leg *leg)
{
	return leg->id == SLAB_LEG_CLIENT ? leg + 1 : leg - 1;
}
/* The port our frames to this peer leave by, and its frames come in by. */
static inline enum tcp_port_side leg_side(const struct tcp_flow *flow, uint8_t leg)
{
	return leg == SLAB_LEG_CLIENT ? (enum tcp_port_side)flow->client_side
	                              : (enum tcp_port_side) !flow->client_side;
}
static inline uint32_t leg_header_len(const struct tcp_flow *flow, const struct tcp_leg *leg)
{
	return (flow->key.family == 4 ? 20u : 40u) + 20u + (leg->flags & LEG_TIMESTAMPS ? 12u : 0u);
}

/* -- flow_table.c -- */
bool flow_table_init(struct tcp_shard *shard);
void flow_table_free(struct tcp_shard *shard);
/* Key of a frame; returns true where the frame's source is the key's `low` end. */
bool flow_key_of(struct flow_key *key, uint8_t link, const struct frame *frame);
struct tcp_flow *flow_find(const struct tcp_shard *shard, const struct flow_key *key);
/* NULL: full. The flow comes zeroed but for its incarnation. */
struct tcp_flow *flow_new(struct tcp_shard *shard, const struct flow_key *key);
/* Timers and lists must have let go of it. */
void flow_free(struct tcp_shard *shard, struct tcp_flow *flow);
uint64_t flow_hash(const uint64_t seed[2], const struct flow_key *key);

/* -- adopt.c -- */
/* The flow's SYN notes become two endpoints; a worker is told. False: none is up, both sides were reset. */
bool flow_adopt(struct tcp_shard *shard, struct tcp_flow *flow, const struct frame *frame,
    const struct tcp_options *options, uint64_t now_us);
/* Frames shall look like this one, which went to the same peer. */
void leg_look_like(struct tcp_look *look, const struct frame *frame);

/* -- close.c: how flows and legs end, and what the worker is told -- */
/* Ends both legs: RST to those in `rst_mask` (1 << leg), the worker is told `error` of leg `leg`. */
void flow_reset(struct tcp_shard *shard, struct tcp_flow *flow, uint8_t leg, int error, unsigned rst_mask,
    uint64_t now_us);
/* RST to this peer; its leg is over, the other one goes on. */
void leg_reset(struct tcp_shard *shard, struct tcp_leg *leg, bool send, uint64_t now_us);
/* True where the worker of the flow is gone: both sides were reset, slabs forgotten. */
bool flow_orphaned(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us);
/* Lets go of everything and gives the entry back. */
void flow_forget(struct tcp_shard *shard, struct tcp_flow *flow);
/* The peer is given up (`error`: ETIMEDOUT …). */
void leg_time_out(struct tcp_shard *shard, struct tcp_leg *leg, int error, uint64_t now_us);
/* A frame of a flow that is forwarded, never adopted (FLOW_PASS). */
enum tcp_verdict pass_input(struct tcp_shard *shard, struct tcp_flow *flow, enum tcp_port_side from,
    const struct frame *frame, uint64_t now_us);
/* A frame for a flow that is over. True: a new connection begins with it and the flow is forgotten. */
bool time_wait_input(struct tcp_shard *shard, struct tcp_flow *flow, struct tcp_leg *leg,
    const struct frame *frame, uint64_t now_us);
/* Both legs over? Then the flow goes to TIME_WAIT. FIN_WAIT is timed, too. */
void flow_check_over(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us);
/* The worker closed both legs fin_wait_ms ago: peers that take no bytes, or send no FIN, are reset. */
void flow_fin_wait_due(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us);

/* -- worker.c -- */
/* Hands the worker what it can take: bytes, FINs, reset, gone; the rest waits for tcp_worker_ready. */
void flow_settle(struct tcp_shard *shard, struct tcp_flow *flow, uint64_t now_us);
/* Hands over in-order bytes; returns how many the worker took. */
uint32_t leg_deliver(struct tcp_shard *shard, struct tcp_leg *leg, const uint8_t *at, uint32_t len);

/* -- window.c: how much a leg may have on its way, in and out -- */
/* A new leg's: `rtt_us` as the handshake showed it. */
void window_begin(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t rtt_us, uint64_t now_us);
/* The leg is over. */
void window_end(struct tcp_shard *shard, struct tcp_leg *leg);
/* What the leg holds (delivered, consumed, chunks) has changed. */
void window_account(struct tcp_shard *shard, struct tcp_leg *leg);
/* How many of `len` bytes more memory allows the leg to keep. */
uint32_t window_keeps(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t len);
/* Takes the round-trip time from a segment of `len` bytes. */
void window_rtt(struct tcp_leg *leg, const struct tcp_options *options, uint32_t len, uint64_t now_us);
/* The worker consumed: measures, once a round-trip time, and sets the leg's credit. */
void window_consumed(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
/* The leg has long been silent: its window's growth is given up. */
void window_rest(struct tcp_shard *shard, struct tcp_leg *leg);
/* Tells the worker how many slabs it may have out, where cwnd has changed that. */
void window_grant(struct tcp_shard *shard, struct tcp_leg *leg);

/* -- handshake.c -- */
enum tcp_verdict handshake_input(struct tcp_shard *shard, struct tcp_flow *flow, uint8_t from_leg,
    const struct frame *frame, uint8_t *bytes, uint32_t *len, uint64_t now_us);
/* -- input.c -- */
void leg_input(struct tcp_shard *shard, struct tcp_leg *leg, const struct frame *frame, uint64_t now_us);
/* -- output.c -- */
void leg_output(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
void leg_mark_dirty(struct tcp_shard *shard, struct tcp_leg *leg);
/* Raises rcv_adv as far as the worker's credit allows; returns the window field of our next segment. */
uint16_t leg_window(struct tcp_leg *leg);
/* True where the window could be opened by enough to tell the peer (RFC 9293 3.8.6.2.2). */
bool leg_window_opened(const struct tcp_leg *leg);
/* Sets the wheel timer for what the leg waits for now. */
void leg_arm(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
/* The wheel timer of a leg came due. */
void leg_timer_fired(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
/* Begins to probe a silent peer. */
void leg_keepalive(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
/* The RTO runs anew: something was acknowledged. */
void leg_restart_rto(struct tcp_leg *leg, uint64_t now_us);
/* And nothing was sent in vain yet. */
void leg_begin_rto(struct tcp_leg *leg, uint64_t now_us);
void leg_challenge(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
/* Slabs of the worker, by sequence number. */
bool leg_slab_append(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t slab, const uint8_t *bytes, uint32_t len);
void leg_slabs_release(struct tcp_shard *shard, struct tcp_leg *leg, bool all);
/* -- path_mtu.c -- */
/* A router could not pass on a segment of ours that made a datagram of `datagram` bytes; `mtu` is what fits,
 * 0 where it does not say. */
void leg_too_big(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t datagram, uint32_t mtu, uint64_t now_us);
/* A retransmission time-out, which `backoff` does not count yet: is it one too many for full segments? */
void leg_black_hole(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
/* May a segment of mss_most be tried now, with `left` bytes to send and `room` for them at the peer? */
bool leg_may_raise(const struct tcp_leg *leg, uint32_t left, uint32_t room, uint64_t now_us);
/* It arrived whole, or did not: what is lost is about to be sent in pieces. */
void leg_raised(struct tcp_shard *shard, struct tcp_leg *leg);
void leg_not_raised(struct tcp_leg *leg, uint64_t now_us);
/* One retransmission, or one segment of new data, whatever cwnd says; the RTO comes next (RFC 8985 7.3). */
void leg_probe_tail(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);

/* -- what one ACK says, gathered by input.c and sack.c for recovery.c -- */
struct ack {
	uint64_t now_us;
	uint32_t number;
	uint32_t echo;      /* TSecr; 0: none */
	uint32_t rtt_us;    /* sample; 0: none */
	uint64_t newest_us; /* when the latest sent of what it delivers was sent */
	bool advances;      /* snd_una */
	bool duplicate;     /* RFC 5681 section 2 */
	bool twice;         /* D-SACK: these numbers arrived twice */
	uint32_t twice_start, twice_end;
};

/* -- recovery.c -- */
/* After sent_sacked, sent_acked and snd_una: loss, its end, and cwnd. `delivered`: bytes that are now known
 * to have arrived. */
void recovery_acked(struct tcp_shard *shard, struct tcp_leg *leg, struct ack *ack, uint32_t delivered);
/* RACK's reordering timer. */
void recovery_reordered(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
/* The RTO. */
void recovery_timed_out(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
void recovery_retransmitted(struct tcp_leg *leg, uint32_t bytes, uint64_t now_us);
/* Sets probe_due: data was sent, or acknowledged (RFC 8985 7.2). */
void recovery_schedule_probe(struct tcp_leg *leg, uint64_t now_us);
/* The probe is out; `again`: it was a retransmission. */
void recovery_probed(struct tcp_shard *shard, struct tcp_leg *leg, bool again, uint64_t now_us);

/* -- sack.c: the scoreboard -- */
void sent_begin(struct tcp_leg *leg);
/* May the leg have `n` records more? */
bool sent_room(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t n);
struct sent_segment *sent_append(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, uint32_t len,
    uint32_t flags, uint64_t now_us);
/* Splits so that `segment` keeps `len` sequence numbers. False: no record. */
bool sent_split(struct tcp_shard *shard, struct tcp_leg *leg, struct sent_segment *segment, uint32_t len);
void sent_release(struct tcp_shard *shard, struct tcp_leg *leg);
/* `record` was sent once more. */
void sent_again(struct tcp_shard *shard, struct tcp_leg *leg, struct sent_segment *record, uint64_t now_us);
/* Cumulative ACK: drops records below ack->number. */
void sent_acked(struct tcp_shard *shard, struct tcp_leg *leg, struct ack *ack);
/* SACK blocks; the first may be a D-SACK. */
void sent_sacked(
    struct tcp_shard *shard, struct tcp_leg *leg, const struct tcp_options *options, struct ack *ack);
/* Adapts RACK's reordering window to what the peer says of duplicates. */
void sent_note_duplicate(struct tcp_leg *leg, const struct ack *ack);
/* A recovery is over: the window may narrow again. */
void sent_recovered(struct tcp_leg *leg);
/* RACK's rule (RFC 8985 6.2): marks records lost; returns how many bytes became so. */
uint32_t sent_detect_losses(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
/* The RTO's verdict (RFC 8985 6.3). SACKs are forgotten where the peer reneged on them. */
void sent_timed_out(struct tcp_shard *shard, struct tcp_leg *leg, uint64_t now_us);
void sent_head_lost(struct tcp_shard *shard, struct tcp_leg *leg);
/* Those of more than `len` sequence numbers. */
void sent_larger_lost(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t len);
/* It was a mistake: what was not sent again is in flight as before. */
void sent_none_lost(struct tcp_shard *shard, struct tcp_leg *leg);
/* Bytes thought to be in the network (RFC 6675 `pipe`). */
uint32_t sent_pipe(const struct tcp_leg *leg);

/* -- sent_index.c: the scoreboard by sequence number; each O(log n) -- */
/* A record, its flags and numbers set, that the index has not; takes one out that it has. */
void sent_index_add(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index);
void sent_index_remove(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index);
/* The first record that begins at or behind `seq`, *before: the last that begins before it; NONE. */
uint32_t sent_index_from(
    const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t seq, uint32_t *before);
/* The record has become SENT_LOST. */
void sent_index_lost(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t index);
/* The first by sequence number that is lost; NONE. */
uint32_t sent_first_lost(struct tcp_shard *shard, struct tcp_leg *leg);
/* -- congestion.c, cubic.c, newreno.c -- */
struct congestion {
	const char *name;
	/* Bytes that arrived, outside of fast recovery: grows cwnd. */
	void (*acked)(struct tcp_leg *leg, uint32_t bytes, uint64_t now_us);
	/* A congestion event with `flight` bytes unacknowledged: chooses ssthresh; cwnd follows by
	 * recovery.c. */
	void (*lost)(struct tcp_leg *leg, uint32_t flight, bool timed_out, uint64_t now_us);
	void (*idled)(struct tcp_leg *leg, uint64_t idle_us); /* nothing sent for more than an RTO */
};
extern const struct congestion congestion_cubic, congestion_newreno;
extern const struct congestion *const congestion_algorithms[TCP_CONGESTIONS];
void congestion_init(struct tcp_leg *leg);
uint32_t congestion_initial_window(const struct tcp_leg *leg);
/* Grows cwnd for `bytes` acknowledged below ssthresh; returns how many are left for congestion avoidance. */
uint32_t congestion_slow_start(struct tcp_leg *leg, uint32_t bytes);
/* An RTT of this round of the first slow start (HyStart++). */
void congestion_rtt(struct tcp_leg *leg, uint32_t rtt_us);
void congestion_decay(struct tcp_leg *leg, uint64_t idle_us);
/* W_cubic(t), bytes, `t_ms` into the epoch. */
uint32_t cubic_window(const struct cubic *cubic, uint32_t mss, uint32_t t_ms);
/* Rounded down. */
uint32_t cubic_root(uint64_t n);
/* -- rtt.c -- */
void rtt_sample(struct tcp_leg *leg, uint32_t rtt_us);
/* -- reassembly.c -- */
bool chunks_init(struct tcp_shard *shard);
/* Keeps [seq, seq + len) that the leg does not have yet. False: (partly) no memory. */
bool chunks_insert(
    struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, const uint8_t *at, uint32_t len);
/* The end of the contiguous bytes from `seq` on. */
uint32_t chunks_contiguous(const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t seq);
/* How many chunks the leg may have. */
uint32_t chunks_allowed(const struct tcp_shard *shard, const struct tcp_leg *leg);
void chunks_drop_first(struct tcp_shard *shard, struct tcp_leg *leg);
void chunks_release(struct tcp_shard *shard, struct tcp_leg *leg);
/* Drops what is behind the first `keep` chunks and not acknowledged; returns how many chunks. */
uint32_t chunks_cut(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t keep);
/* SACK blocks of what lies beyond rcv_nxt, most recent first; returns their number. */
unsigned chunks_sack_blocks(
    const struct tcp_shard *shard, const struct tcp_leg *leg, uint32_t blocks[][2], unsigned max);
/* -- chunk_shares.c: who gets chunks where they are scarce -- */
void chunk_shares_init(struct tcp_shard *shard);
/* May the leg take one more? Chunks of others may be taken back for it. */
bool chunk_shares_permit(struct tcp_shard *shard, struct tcp_leg *leg);
/* The leg's chunks or credit have changed. */
void chunk_shares_account(struct tcp_shard *shard, struct tcp_leg *leg);
/* -- segment.c -- */
/* Builds and sends one segment of this leg, or where ports cut a frame of several, all full but the last;
 * payload from the slabs at `seq`. False: no buffer. */
bool segment_send(struct tcp_shard *shard, struct tcp_leg *leg, uint32_t seq, uint8_t flags, uint32_t payload,
    uint64_t now_us);
/* -- shard.c -- */
/* Our TSval: continues the other end's clock, a tick a millisecond. */
uint32_t leg_timestamp(const struct tcp_leg *leg, uint64_t now_us);

#endif
