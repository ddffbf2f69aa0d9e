/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions: what control knows and decides about the connections that workers have taken over.
 *
 * Theory of operation. A worker asks, in this order: BEGIN (which rule is this), TARGET (is this the origin's
 * right key), WHO (whose key is this), MAY (may they), CERT (a certificate for the origin), and SIGN whenever
 * the client leg exchanges keys; PROGRAM, PROGRAM_END, EVENT and END only tell. A worker parses what
 * strangers send and may be taken over: each question is answered only where the ones before it went well
 * *here* (that a key is proven, too: proof.h); a session's state is ours, and what a worker says of an
 * earlier state (RESUME, after control was restarted) counts only as far as the database confirms it. A
 * session is named (worker, flow); it dies with its worker's link.
 *
 * Questions that need the keeper are answered from its reply's callback, which finds the session again by its
 * serial number: it may have ended meanwhile.
 *
 * Messages for the client say what to do; somebody whose key is not known learns nothing.
 */
#ifndef CONTROL_SESSIONS_SESSIONS_H
#define CONTROL_SESSIONS_SESSIONS_H

#include <jansson.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/certificate/certificate.h"
#include "control/identity/targets.h"
#include "control/identity/users.h"
#include "control/peers/peers.h"
#include "control/policy/policy.h"
#include "control/rpc/rpc.h"
#include "control/sessions/offers.h"
#include "control/sessions/proof.h"
#include "control/sessions/tally.h"

#define SESSIONS_PER_WORKER_MAX 65536
#define SESSION_ID_SIZE 40
#define SESSION_PROGRAMS_MAX 10000 /* told of in one session; more are not listed */
#define SESSION_EVENTS_MAX 1000    /* kept for session.show; all of them stand in audit.jsonl */
#define SESSION_AUDIT_MAX 50000    /* lines in audit.jsonl of one session */
#define SESSION_CERTIFICATES_MAX 4
#define SESSION_FACTORS_MAX 6       /* codes that one session may try */
#define SESSION_SECRETS_MAX 8       /* questions to the vault */
#define SESSION_PROOFS_MAX 32       /* host keys that prove themselves */
#define SECRET_DATA_MAX (16 * 1024) /* bytes that a vaulted key signs */
#define STRANGERS_AUDIT_PER_S 50    /* lines in audit.jsonl of connections that nobody was let in on */
#define STRANGERS_AUDIT_LINE                                                                                 \
	512 /* bytes of detail that one of them may have; longer ones count as several                       \
	     */
#define STRANGERS_AUDIT_BURST 20000
#define SESSION_ID_PREFIX_MIN 6

#define SESSIONS_BUCKETS 4096

struct control;
struct peer;

struct session {
	struct session *next_in_bucket;
	struct session *previous, *next; /* all, oldest first */
	uint64_t serial;                 /* never used twice in this process */
	uint32_t worker;
	uint64_t flow;
	char session_id[SESSION_ID_SIZE];
	uint8_t client_addr[16], server_addr[16];
	uint8_t addr_len; /* 4 or 16 */
	uint8_t link;
	uint16_t client_port, server_port, vlan;
	int64_t started_at;
	struct policy *policy; /* held; NULL where the generation is not known any more (after RESUME) */
	const struct policy_rule *rule; /* NULL likewise */
	char rule_name[POLICY_RULE_NAME_SIZE];
	char address[TARGET_ADDRESS_SIZE];
	char target_id[PUBLIC_KEY_FINGERPRINT_SIZE]; /* empty: TARGET has not gone well (yet) */
	uint8_t host_seed[8]; /* of what it is shown, from its first host key to its end */
	bool has_seed;
	struct proof_host_keys shown; /* of the client leg; none: not known any more (after RESUME) */
	uint8_t identifier[64];       /* the first exchange hash that was signed for it; length 0: none yet */
	uint8_t identifier_len;
	/* The certificate whose CA's signature was found good last: it is offered, then proven. All zero:
	 * none. */
	uint8_t intact[crypto_hash_sha256_BYTES];
	/* Set by WHO with a proven key, or by what the rule takes in its place. */
	uint32_t identity; /* enum rpc_identity: what told who it is; 0: nothing yet */
	char user[WORD_SIZE], user_id[USER_ID_SIZE], email[USER_EMAIL_SIZE];
	char login[WORD_SIZE];
	char key_fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];
	uint8_t
	    *came_with; /* the key or certificate that WHO accepted, as a blob; NULL: none, or not known */
	size_t came_with_len;
	char *force_command;    /* NULL: none */
	uint32_t key_permits;   /* what the certificate (or key: all) allows */
	bool factor_shown;      /* what the rule wants beside it was right */
	bool factor_looked;     /* the keeper was asked whether there is one */
	uint32_t factors_asked; /* codes that the keeper was asked about */
	/* Set by MAY. With identity ORIGIN it may go on to the origin; once that has let it in (by_origin),
	 * and the second factor was shown where the rule wants one, it is granted. */
	bool to_origin, by_origin, granted;
	bool at_origin; /* which has let it in: what its login there needed, it needs no more */
	bool killed;
	bool failure_told; /* the worker has said why nobody was let in */
	uint32_t permits;
	struct tally *by_source, *by_user; /* where it is counted, for the rule's limits */
	struct offers offered;             /* until it is granted */
	char asked_login[WORD_SIZE];       /* by the last WHO, of somebody who may be anybody */
	char passed_over[WORD_SIZE];       /* the last login that its address's user may not have; "": none */
	char refusal[512];                 /* why the last WHO or MAY was answered no */
	uint32_t programs, events, audited, certificates, secrets, proofs;
};

struct sessions {
	struct session *buckets[SESSIONS_BUCKETS];
	struct session *first, *last;
	uint32_t count;
	uint32_t per_worker[256];
	uint64_t next_serial;
	uint32_t questions[256]; /* that the keeper has not answered, of each worker */
	int64_t strangers_at;    /* unix seconds, of strangers_room */
	int64_t strangers_room;
	uint64_t unaudited; /* lines of strangers that the audit log did not take */
	uint64_t begun, granted, refused, ended, lost, resumed; /* for stats */
	struct tallies tallies;
	uint64_t limited_by_source, limited_by_user; /* refused by a rule's limits */
	uint64_t unlooked; /* whose origin was not looked for among hashed lines: too many were new */
	uint64_t unproven; /* keys that a worker called proven without showing it */
};

/* What such a client is told. */
extern const char session_busy[];

/* -- the table (table.c) -- */
struct session *session_find(struct control *control, uint32_t worker, uint64_t flow);
struct session *session_by_serial(struct control *control, uint64_t serial);
/* NULL without memory or where the worker has too many. */
struct session *session_create(struct control *control, uint32_t worker, uint64_t flow);
/* Keeps a copy of what it came with (length 0: of nothing). */
void session_keep_key(struct session *session, struct wire_span blob);
void session_forget(struct control *control, struct session *session);
void sessions_close(struct control *control);
/* Counts the session for the limits of its rule: its source (RPC_SOURCE_BYTES, of a VLAN) from the beginning,
 * its user once granted (what somebody only tries in a user's name must not keep the user out). Saying it
 * again changes nothing. */
void session_count_source(struct control *control, struct session *session);
void session_count_user(struct control *control, struct session *session);
/* Has the session's user as many others as the rule allows? */
bool session_user_is_at_limit(struct control *control, const struct session *session);
/* Live sessions of a user. */
unsigned sessions_of_user(struct control *control, const char *user);

/* -- messages of workers: rpc_handler functions; context is struct control -- */
int session_on_begin(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_target(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_host_key(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_host_keys(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_host_prove(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_who(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_factor(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_may(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_cert(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_sign(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_secret(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_secret_sign(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_program(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_program_end(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_event(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_end(void *context, struct rpc_link *link, struct rpc_message *message);
int session_on_resume(void *context, struct rpc_link *link, struct rpc_message *message);

/* -- what happens to them (lifecycle.c) -- */
void session_end(struct control *control, struct session *session, const char *reason,
    uint64_t bytes_from_client, uint64_t bytes_from_origin);
/* Tells the keeper, if it is there, that the session lives, or lives no more. */
void session_tell_keeper(struct control *control, const struct session *session, bool live);
/* As the keeper calls it; empty: none yet. */
struct wire_span session_seed(const struct session *session);
/* It has no origin (any more) that was accepted: the keeper does nothing for it until one is (target.c). */
void session_forget_target(struct control *control, struct session *session);
/* The worker's link is gone: its sessions are. */
void sessions_worker_lost(struct control *control, uint32_t worker);
/* A (new) keeper is there: it hears of all live sessions before anything is asked of it. */
void sessions_tell_keeper(struct control *control);
/* Tells the worker to end it. False where its worker is not reachable. */
bool session_kill(struct control *control, struct session *session, const char *reason);
/* Sessions in the database that no worker has claimed since start are over. Once, some time after start. */
void sessions_settle_unclaimed(struct control *control);

/* -- the keeper (keeper.c) -- */
struct keeper_question;
struct host_key_row;
/* error: empty, or what to tell the client (then row is NULL). */
typedef void (*host_key_shown)(struct control *control, struct session *session,
    const struct keeper_question *question, const char *error, const struct host_key_row *row);
struct keeper_question {
	struct control *control;
	uint64_t serial;     /* of the session */
	uint32_t worker;     /* whose question it is */
	uint32_t request_id; /* of the worker's request that it serves */
	uint8_t verdict;     /* TARGET: what to answer */
	/* host_key.c: how far it has come, and the target that it is about; the session may have come to
	 * another. */
	uint8_t steps;
	bool certified;
	bool looks;      /* factor.c: without a code */
	bool former;     /* it is about the seed before the current one */
	uint8_t wanted;  /* host_announce.c: of which type it is */
	uint8_t seed[8]; /* of the key whose certificate is asked for */
	char target_id[PUBLIC_KEY_FINGERPRINT_SIZE];
	host_key_shown shown;
	struct wire_span saved; /* a copied message body, freed with the question */
};
/* NULL without memory, or where the worker has asked its share already. `body`: copied where its at is not
 * NULL. */
struct keeper_question *keeper_question(
    struct control *control, const struct session *session, uint32_t request_id, struct wire_span body);
void keeper_question_free(struct keeper_question *question);
/* What a session asks of it: waits while the keeper is restarted, for as long as a client has patience. */
struct call_options keeper_call(
    struct control *control, uint16_t type, uint16_t reply_type, call_done done, void *argument);
#define KEEPER_AWAY_MS 2000    /* while it is restarted */
#define KEEPER_TIMEOUT_MS 5000 /* an RSA host key takes a third of a second to find, and others wait */
#define EVIDENCE_TIMEOUT_MS 60000
/* What to tell a client when the keeper does not answer. */
const char *keeper_failure(int error);

/* -- what workers tell (programs.c) -- */
/* Does the detail of an event `origin.auth` say that the origin has let the session in? */
bool session_let_in_by(const json_t *detail);

/* -- may they (may.c) -- */
/* What rule and enrolment say of a user and a login. False: they may not, and `why` tells that user. */
bool session_user_may(
    const struct session *session, const struct user *user, const char *login, char *why, size_t size);
/* May the session be given what this way (enum rpc_origin_auth) of logging in at its origin needs? Asked each
 * time: a worker that was taken over does not keep to what MAY told it, and since MAY the user may have been
 * removed, or what they came with revoked. False: `why` is for that user. */
bool session_may_get(
    struct control *control, const struct session *session, uint8_t way, char *why, size_t size);

/* -- host keys (host_key.c) -- */
/* Calls `shown`, maybe at once, with the target's host key of that type. certified: its certificate is what
 * is wanted. False: it will not (no memory). */
bool session_show_host_key(struct control *control, struct session *session, uint32_t request_id,
    const char *type, bool certified, uint8_t verdict, host_key_shown shown);
/* Is it a host key algorithm that this session may use? */
bool session_may_sign_by(const struct session *session, struct wire_span algorithm);

/* -- all host keys (host_announce.c) -- */
/* The keeper said which seed is the next one; empty: there is none. */
void session_next_seed_is(struct control *control, struct wire_span seed);

/* -- events and history (history.c) -- */
/* Texts of strangers (logins, commands, reasons) become valid UTF-8 without control characters, cut to fit:
 * what is not can stand in no JSON object, and would take the whole object with it. */
void session_text(struct wire_span span, char *text, size_t size);
/* Writes an event of this session to the audit log and its history; takes `detail` over. */
void session_event(struct control *control, struct session *session, const char *event, json_t *detail);
/* The session is granted from now on, as MAY decided. */
void session_start(struct control *control, struct session *session);
/* The same of one whom the origin has let in since MAY: of a user who was removed, or over the limit of
 * sessions, it ends at once. */
void session_start_by_origin(struct control *control, struct session *session);
void history_begin(struct control *control, const struct session *session);
/* The session has its identifier. False: another one has had it. */
bool history_identify(struct control *control, const struct session *session);
void history_update(struct control *control, const struct session *session);
void history_end(struct control *control, const struct session *session, const char *reason,
    uint64_t bytes_from_client, uint64_t bytes_from_origin);
/* False where the program is there already (told again after a restart). */
struct history_program {
	const char *id, *type, *command, *destination, *originator;
	int64_t started_at;
	bool recorded;
};
bool history_program(
    struct control *control, const struct session *session, const struct history_program *program);
/* False where the session has no such program running. Of `end` its counts are taken. */
bool history_program_end(struct control *control, const struct session *session, const char *program_id,
    const struct rpc_ses_program_end *end, const char *error);
/* A recording broke after its program's end was told: by the worker and under the number that its session has
 * or had. */
void history_program_broken(struct control *control, uint32_t worker, uint64_t flow, const char *program_id);
/* Old sessions go: by age, by number. */
void history_prune(struct control *control);

/* Session objects as SOCKET clients see them. newest first. */
json_t *history_list(struct control *control, bool live_only, int64_t limit, int64_t offset);
/* Whole: with programs and events. NULL where there is none. */
json_t *history_show(struct control *control, const char *session_id);
enum history_match { HISTORY_NONE = 0, HISTORY_ONE, HISTORY_SEVERAL };
/* A full id, or a prefix of at least SESSION_ID_PREFIX_MIN characters that fits one only. */
enum history_match history_find_session(
    struct control *control, const char *prefix, char id[SESSION_ID_SIZE]);
enum history_match history_find_program(
    struct control *control, const char *prefix, char id[SESSION_ID_SIZE]);
/* The number'th (from 1) program of a session. */
bool history_program_number(
    struct control *control, const char *session_id, int64_t number, char id[SESSION_ID_SIZE]);

/* "198.51.100.1:40000", "[2001:db8::1]:22" */
void session_endpoint(const uint8_t *addr, uint8_t len, uint16_t port, char text[64]);

#endif
