/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libssh_inside: the one place that touches libssh's private structures.
 *
 * What it relies on (0.12; each is a line to look at when libssh is upgraded):
 *  - session->packet_callbacks is a list walked from its head; a callback that returns SSH_PACKET_NOT_USED
 *    leaves the packet to the next one, with the reading position where it was left.
 *  - ssh_pki_export_pubkey_blob gives the certificate where the key has one, byte for byte as it was read.
 *  - ssh_message_pop_head, ssh_handle_packets, ssh_buffer_pack, ssh_packet_send and ssh_socket_* exist in the
 *    static library, with the meaning they have in client.c and server.c.
 *  - session->out_buffer holds the payload that ssh_packet_send sends; ssh_packet_send sends DISCONNECT also
 *    during key exchange and does not look at session_state.
 *  - session->server_opts.custombanner is the server's identification string without "SSH-2.0-", malloc'ed.
 *  - session->opts.identity_non_exp lists files that ssh_options_apply would expand.
 *  - session->current_crypto->session_id is the session identifier, extensions the server-sig-algs that it
 * knows, opts.wanted_methods[SSH_HOSTKEYS] the host key algorithms that were set.
 *  - where its filter refuses a packet, in_packet.type is that one's, and ssh_get_error begins with "Packet
 *    filter:".
 *  - session->peer_discon_msg is the text of the peer's DISCONNECT.
 */
#ifndef SSHTERM_LIBSSH_INSIDE_H
#define SSHTERM_LIBSSH_INSIDE_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/wire/wire.h"

/* Reasons of SSH_MSG_DISCONNECT (RFC 4253 section 11.1). */
enum inside_reason {
	INSIDE_PROTOCOL_ERROR = 2,
	INSIDE_KEY_EXCHANGE_FAILED = 3,
	INSIDE_BY_APPLICATION = 11,
	INSIDE_NO_MORE_METHODS = 14,
};

/* The public blob of a key (a certificate's is the certificate); NULL: none. ssh_string_free. */
ssh_string inside_public_blob(ssh_key key);
/* Reads a public key or certificate. NULL: it is not one. ssh_key_free. */
ssh_key inside_read_blob(const uint8_t *blob, size_t len);

/* A worker has no files: takes the default identities off the session, so that nothing looks for them. */
void inside_forget_files(ssh_session ssh);
/* What we say that we are, as server or client: the identification string, "SSH-2.0-" excluded. 0 or -1. */
int inside_set_software(ssh_session ssh, const char *software);

/* The key or certificate of a publickey request as a blob (ssh_string_free), NULL: none. *state tells whether
 * it was only offered, or its signature is right. */
ssh_string inside_offered_key(ssh_message message, enum ssh_publickey_state_e *state);
/* USERAUTH_SUCCESS. 0 or -1. */
int inside_auth_success(ssh_session ssh);

/* The session identifier (RFC 4253 section 7.2). Valid as long as the session; only after the key exchange.
 */
struct wire_span inside_session_identifier(ssh_session ssh);
/* How an RSA key of ours signs for this server: what it said that it verifies (RFC 8308 section 3.1); one
 * that said nothing gets rsa-sha2-512, or ssh-rsa (SHA-1) where the rule's legacy list has that. */
const char *inside_rsa_algorithm(ssh_session ssh);

/* Has the key exchange been completed once? */
bool inside_has_keys(ssh_session ssh);
/* libssh has closed its end of the socket, and all that it sent was in the clear. */
bool inside_closed_in_the_clear(ssh_session ssh);
/* Queues SSH_MSG_DISCONNECT; a session whose socket libssh has closed is left alone. */
/* `reason`: enum inside_reason, or another of RFC 4253. */
void inside_disconnect(ssh_session ssh, uint32_t reason, const char *text);
/* Hands what libssh holds for the socket on. Bytes that are left. */
uint32_t inside_flush(ssh_session ssh);
/* The type of the message that libssh gave the connection up for, as it had no place there; 0: it was
 * something else. */
unsigned inside_misplaced(ssh_session ssh);
/* Text of the DISCONNECT that the peer sent; NULL: none. */
const char *inside_peer_text(ssh_session ssh);
/* The peer's identification line, NULL before it came. `server`: whether the peer is the server. */
const char *inside_peer_software(ssh_session ssh, bool server);
/* The first line that a server sent before its identification line; NULL: none. Any bytes but NUL, CR and LF.
 */
const char *inside_peer_first_line(ssh_session ssh);

#endif
