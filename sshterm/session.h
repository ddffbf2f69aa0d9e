/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: one taken-over connection in an SSH worker; what the legs, the bridge and the recording share.
 *
 * A session is straight-line code in one fiber: session_run() (legs.h) makes the origin leg's key exchange,
 * the client leg, authentication on both; bridge_run() then relays packets until either side is done;
 * session_end() tells everybody. Sessions are one thread's: nothing here is locked, and a fiber runs until it
 * waits. The worker's other thread (computing_thread.h) sees what a long computation is handed, and no
 * session.
 */
#ifndef SSHTERM_SESSION_H
#define SSHTERM_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "control/rpc/rpc.h"
#include "dataplane/slab/slab.h"

struct ssh_session_struct; /* libssh's */
struct fiber;
struct vsock;
struct bridge;
struct inside_extensions;
struct agent_login;
struct bridge_login;
struct agent_login_facts;
struct host_key;
struct worker;

enum leg { LEG_CLIENT = SLAB_LEG_CLIENT, LEG_ORIGIN = SLAB_LEG_ORIGIN };

#define SESSION_TEXT_MAX 256
#define SESSION_RECIPIENTS_MAX 8
#define SESSION_NOTICE_MAX 500

/* What control decided (SES_MAY_REPLY), copied: replies do not outlive the receive buffer. */
struct session_grant {
	uint32_t permits; /* enum rpc_permit */
	enum rpc_recording recording;
	uint8_t recipients[SESSION_RECIPIENTS_MAX][32];
	unsigned recipient_count;
	char user_id[SESSION_TEXT_MAX], user_email[SESSION_TEXT_MAX], account_id[SESSION_TEXT_MAX];
	uint8_t *forwards; /* SES_MAY_REPLY.forwards, valid; NULL: as the permits say */
	size_t forwards_len;
	char *session_notice; /* with a line end; NULL: none */
};

struct session {
	struct worker *worker;
	struct fiber *fiber;
	struct slab_flow flow; /* addresses, ports, rule: as the dataplane said */
	uint64_t flow_id;      /* names the session in RPC, unique in this worker's life */
	uint64_t channel_flow; /* names it on the slab channels of `lcore` */
	uint32_t lcore;
	uint64_t started_at_us; /* CLOCK_REALTIME */
	char session_id[40];    /* UUID from control */
	char rule_name[64];
	char target_id[80];
	char user[SESSION_TEXT_MAX];
	char login[SESSION_TEXT_MAX];
	struct session_grant grant;
	struct ssh_session_struct *ssh[2];    /* by enum leg; NULL before they exist */
	struct vsock *sock[2];                /* by enum leg: the virtual sockets */
	struct inside_extensions *extensions; /* the origin's, until the login is over */
	struct agent_login *agent;            /* the origin is to be logged in at with the client's agent */
	struct host_key *host_key;            /* what the client is shown: host_key.c */
	unsigned host_key_proofs;             /* that its client asked for: host_announce.c */
	bool host_keys_told;                  /* to its client: likewise */
	struct bridge *bridge;                /* from the first bridge_prepare() to bridge_free() */
	char kill_reason[SESSION_TEXT_MAX];   /* not empty: end the session (control, shutdown, …) with this
	                                         text */
	const char *close_reason;             /* for index and log: "closed", "worker_lost", "killed", … */
	uint64_t bytes[2];             /* channel data relayed, by the leg it came from (for SES_END) */
	uint64_t login_deadline_us;    /* CLOCK_MONOTONIC; UINT64_MAX once both legs are authenticated */
	uint64_t recorder_patience_us; /* that a packet of a strict session waits for the recorder */

	/* -- the worker's own (sessions.c, control_rpc.c): nobody else's business -- */
	const char *lost;           /* the channel or the peers are gone: the close reason, else NULL */
	enum leg reset_by;          /* whose end (SLAB_FLOW_RESET) took both legs with it */
	uint32_t stranger;          /* its place in sessions.strangers + 1; 0: it is logged in */
	bool gone;                  /* the dataplane has forgotten the flow */
	bool withdrawn;             /* nobody was there any more for whom to compute */
	bool ready, running, woken; /* in the ready list; on the CPU; woken while running */
	uint64_t wait_until_us;     /* while it waits */
	uint32_t deadline_slot;     /* place in the heap of deadlines + 1, 0: not in it */
	uint32_t resumed_epoch;     /* the control link that knows this session */
	struct session *ready_next;
	struct session *bucket_next;
	struct session *previous, *next; /* all sessions */
};

/* -- virtual sockets (vsock.c): a leg's bytes between the dataplane's slabs and libssh -- */
/* Received bytes in place (contiguous part); 0: none. The pointer is valid until vsock_consume or the fiber
 * waits. */
uint32_t vsock_peek(struct vsock *sock, const uint8_t **at);
/* Takes `len` of them; the dataplane is told, so the peer's window opens. */
void vsock_consume(struct vsock *sock, uint32_t len);
/* No more will come from this peer (FIN), all bytes before it were consumed. */
bool vsock_at_eof(const struct vsock *sock);
/* No more will come from this peer; bytes before it may be there still. */
bool vsock_has_ended(const struct vsock *sock);
/* The peer or the dataplane ended it (RST, time-out, dataplane lost). */
bool vsock_is_reset(const struct vsock *sock);
/* Hands bytes to the dataplane; returns how many were taken (slab credit), 0..len. */
uint32_t vsock_write(struct vsock *sock, const uint8_t *at, uint32_t len);
/* Bytes handed over and not yet ACKed by the peer (an upper bound, whole slabs). */
uint32_t vsock_unacked(const struct vsock *sock);
/* FIN after what was written. */
void vsock_shutdown(struct vsock *sock);

/* -- waiting (fiber.c, worker.c) -- */
/* Parks the fiber until something happens to the session (bytes, room, FIN, RST, kill, a recording's
 * acknowledgement, session_wake) or until `deadline_us` (CLOCK_MONOTONIC; UINT64_MAX: none). Spurious returns
 * happen. */
void session_wait(struct session *session, uint64_t deadline_us);
/* Makes the session's fiber run soon. */
void session_wake(struct session *session);
uint64_t worker_now_us(void); /* CLOCK_MONOTONIC, read once a turn of the loop */

/* -- control (control_rpc.c): fire and forget; kept and sent when control was restarted -- */
void session_event(struct session *session, const char *event, const char *detail_json);
/* A program (channel) began or ended; `flow` is filled in by the callee, spans are copied or sent at once. */
void session_program(struct session *session, const struct rpc_ses_program *program);
void session_program_end(struct session *session, const struct rpc_ses_program_end *end);
/* The recording of a program whose end was told before is broken; its session may be over since. */
void worker_program_broken(struct worker *worker, uint64_t flow, const char *program_id);
/* Any other message without a reply: session_tell(s, RPC_SES_END, rpc_put_ses_end, &body). */
void session_tell(struct session *session, uint16_t type, rpc_put_fn put, const void *body);

/* -- all host keys (host_announce.c): OpenSSH's PROTOCOL, section 2.5 -- Each asks control; the fiber may
 * wait, not for long. The payload is malloc'ed; 0: there is none. */
/* GLOBAL_REQUEST hostkeys-00@openssh.com, where the origin's server would send it: behind the login, once. */
size_t host_announcement(struct session *session, uint8_t **payload);
/* The REQUEST_SUCCESS that a hostkeys-prove-00@openssh.com wants; `keys`: what it asks about, a stranger's.
 */
size_t host_proofs(struct session *session, struct wire_span keys, uint8_t **payload);

/* -- the bridge (bridge.c) -- Both legs are authenticated (but see bridge_login_first) and non-blocking. Runs
 * until the session is over; returns the close reason (a static string). Every way out leaves all programs
 * closed towards the recorder.
 */
const char *bridge_run(struct session *session);
/* Called as soon as a leg's key exchange is done: puts the raw packet callbacks in front of libssh's (they
 * stay quiet until bridge_run), because a peer goes on at once when a login is complete. 0 or -1. */
int bridge_prepare(struct session *session, enum leg leg);
/* The client is let in, the origin's leg is not yet: the bridge is to log in there with the client's agent
 * (agent_first.h) before anything goes on. `hooks` and `facts` outlive the bridge. 0 or -1: no memory. */
int bridge_login_first(struct session *session, const struct bridge_login *hooks,
    const struct agent_login_facts *facts, void *context);
/* Frees what bridge_prepare made; to be called once for every session, before its libssh sessions are freed.
 */
void bridge_free(struct session *session);

/* -- the recording channel (record_channel.c): one a worker, driven by the worker's loop -- */
struct record_channel;
struct record_channel *record_channel_create(struct worker *worker);
void record_channel_destroy(struct record_channel *channel);
/* A (new) channel to the recorder: reopens live recordings there and resends what it does not hold. */
void record_channel_attach(struct record_channel *channel, struct slab_producer *end);
void record_channel_detach(struct record_channel *channel);
bool record_channel_up(const struct record_channel *channel);
/* Takes acknowledgements, closes batches that are due (200 ms); true where it did anything. */
bool record_channel_poll(struct record_channel *channel, uint64_t now_us);
/* When the next batch is due (us, CLOCK_MONOTONIC), UINT64_MAX: none. */
uint64_t record_channel_deadline(const struct record_channel *channel);
/* Raises/lowers the asleep flag; ready: look again before sleeping. */
void record_channel_asleep(struct record_channel *channel, bool asleep);
bool record_channel_ready(const struct record_channel *channel);
/* All recordings closed and acknowledged (for an orderly stop)? */
bool record_channel_settled(const struct record_channel *channel);
/* Appends lines "name value\n" to text; returns bytes appended. */
size_t record_channel_stats(const struct record_channel *channel, char *text, size_t size);
struct record_channel *worker_record_channel(struct worker *worker);

#endif
