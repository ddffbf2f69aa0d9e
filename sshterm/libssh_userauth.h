/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libssh_userauth: the packets of authentication (RFC 4252, RFC 4256) on both legs as they came, in order.
 *
 * libssh judges signatures. All else it is kept from: passwords and answers would stay in its heap, it
 * answers requests in another order than they came in when some have no answer, and its dialogue knows fewer
 * messages than an origin may send. What this relies on, beyond libssh_inside.h (0.12):
 *  - a callback in front of libssh's that returns SSH_PACKET_USED keeps the packet from libssh; the payload
 * lies in session->in_buffer and nowhere else in the clear, and may be overwritten there.
 *  - ssh_packet_incoming_filter lets USERAUTH_INFO_RESPONSE pass on the server's side in auth.state
 *    SSH_AUTH_STATE_INFO, and message 60 and USERAUTH_SUCCESS on the client's in SSH_AUTH_STATE_KBDINT_SENT;
 *    nothing else of what we use looks at auth.state.
 *  - ssh_packet_userauth_request queues one message for a publickey request, or (bad signature, unreadable
 * key) none, and does so before it returns.
 *  - received bytes go to session->socket_callbacks.data, at most one packet's at each call; what it does not
 * take stays in the socket's in_buffer, and 0 ends the calls for what has arrived.
 *  - ssh_packet_send takes its payload from session->out_buffer, encrypts it there, and during a key exchange
 *    puts the buffer into out_queue and a new one in its place; a buffer marked secure is wiped when it is
 * freed.
 */
#ifndef SSHTERM_LIBSSH_USERAUTH_H
#define SSHTERM_LIBSSH_USERAUTH_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "sshterm/userauth_words.h"

#define USERAUTH_REQUEST 50
#define USERAUTH_FAILURE 51
#define USERAUTH_SUCCESS 52
#define USERAUTH_BANNER 53
#define USERAUTH_QUESTION 60 /* INFO_REQUEST, PASSWD_CHANGEREQ or PK_OK: as the method has it */
#define USERAUTH_INFO_RESPONSE 61

#define INSIDE_PACKET_MAX 65536 /* bytes of a client's request or answer, or of an origin's question */
#define INSIDE_BANNERS_KEPT 16
/* Bytes of all of them: as many as a packet may bring (OpenSSH's limit); what is beyond is not shown. */
#define INSIDE_BANNERS_MAX (256u * 1024)

/* A payload behind its message number; inside_packet_wipe. In memory of libsodium, which costs a dozen system
 * calls, where it may hold a secret. */
struct inside_packet {
	uint8_t type;            /* 0: none */
	bool no_secret;          /* a request by public key, or `none`: in ordinary memory */
	bool verified_by_libssh; /* publickey: libssh looked at it, and queued a message or did not */
	uint8_t *bytes;
	size_t len;
};
void inside_packet_wipe(struct inside_packet *packet);
/* A copy that is the caller's. 0 or -1: no memory. */
int inside_packet_copy(const struct inside_packet *packet, struct inside_packet *copy);

/*
 * -- the client leg: requests and answers, one after the other --
 *
 * As OpenSSH's server does, none is read before the one before it was answered: what a client sends behind a
 * request, be it of the service that it asks for, waits as the bytes that it came in, which the peer's window
 * bounds, and finds the connection as the answer left it. So somebody must wait for a client's packet
 * (inside_requests_pump), else its leg is not read.
 */
struct inside_requests {
	struct ssh_packet_callbacks_struct callbacks, farewell;
	ssh_packet_callback table[USERAUTH_INFO_RESPONSE - USERAUTH_REQUEST + 1], farewell_table[1];
	struct inside_packet next; /* type 0: none */
	bool leaving;              /* the client has ended its side: what it still said is read to the end */
	bool overflow;             /* longer than is kept, or no memory: the connection is to be ended */
	uint32_t reason;           /* of the DISCONNECT that came, 0: none */
};
/* To be called before the key exchange: dropbear sends its service request, and `none`, together with its
 * NEWKEYS. 0 or -1. */
int inside_requests_start(ssh_session client, struct inside_requests *requests);
/* Stops listening and wipes what is left; also where it was never started. */
void inside_requests_stop(ssh_session client, struct inside_requests *requests);
/* Takes in what has arrived up to the next request, answer or service request, without waiting. *full: there
 * is one to be taken, or `overflow`. False: the connection is over. */
bool inside_requests_pump(ssh_session client, struct inside_requests *requests, bool *full);
enum inside_taken { INSIDE_TAKEN_NOTHING = 0, INSIDE_TAKEN_SERVICE, INSIDE_TAKEN_PACKET };
/* What was read and has not been taken. PACKET: *packet is the caller's to wipe; *message is libssh's word on
 * a publickey request, NULL: its signature does not verify, or nobody here reads its key. SERVICE: *message
 * is the service request. The message is the caller's (ssh_message_free). */
enum inside_taken inside_requests_take(
    ssh_session client, struct inside_requests *requests, struct inside_packet *packet, ssh_message *message);

/* -- the origin leg: its answers -- */
struct inside_answers {
	struct ssh_packet_callbacks_struct callbacks, farewell;
	ssh_packet_callback table[USERAUTH_QUESTION - USERAUTH_FAILURE + 1], farewell_table[1];
	bool relaying;                   /* questions are ours and not libssh's */
	bool success, failure, partial;  /* the last answer */
	bool confused;                   /* it asked twice, or more than is kept */
	char methods[USERAUTH_LIST_MAX]; /* that can continue, as its last failure said */
	struct inside_packet question;
	ssh_string banners[INSIDE_BANNERS_KEPT]; /* in the order in which they came (RFC 4252 section 5.4) */
	unsigned banner_count;
	size_t banner_bytes; /* of all that came */
	uint32_t reason;     /* of the DISCONNECT that came, 0: none */
};
int inside_answers_start(ssh_session origin, struct inside_answers *answers);
void inside_answers_stop(ssh_session origin, struct inside_answers *answers);
/* Does the origin's list name this method? */
bool inside_answers_offer(const struct inside_answers *answers, const char *method);
/* Sends the banners on that came since the last time. */
void inside_answers_pass_banners(struct inside_answers *answers, ssh_session client);
/* Sends a client's packet to the origin as it is; its answer is to be waited for in *answers. 0 or -1. */
int inside_answers_ask(
    ssh_session origin, struct inside_answers *answers, const struct inside_packet *packet);

/* -- sending -- */
/* A packet as it is; no copy of the payload is left behind. 0 or -1. */
int inside_send(ssh_session ssh, uint8_t type, struct wire_span payload);
/* USERAUTH_FAILURE: these methods can continue. 0 or -1. */
int inside_send_failure(ssh_session client, const char *methods, bool partial);

/* Takes in what has arrived, without waiting. False: the connection is over. */
bool inside_pump(ssh_session ssh);

#endif
