/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this file relies on in libssh (0.12.2; read these again with each new version):
 *
 *  - session->packet_callbacks is walked in order, and a callback that returns SSH_PACKET_USED ends the walk
 *    (ssh_packet_process). Patch 0010 lets 83..89 and 101..127 come that far once a session is authenticated.
 *  - In a packet callback `packet` is read up to behind the message number, which lies right before
 *    ssh_buffer_get(packet), and session->recv_seq was already counted up for it.
 *  - ssh_packet_socket_callback takes at most one packet, and nothing of one that is not whole; between the
 *    two looks at a packet, packet_state is PACKET_STATE_SIZEREAD and in_packet.len its length field. It does
 *    not touch its input after the callbacks ran, so the fiber may wait in them.
 *  - What is in session->out_buffer is a payload; ssh_packet_send encrypts it into the socket's out_buffer
 * and counts send_seq up by one, or, during a key exchange, puts it into session->out_queue.
 *  - A key exchange is under way while dh_handshake_state is not DH_STATE_FINISHED; messages go out again
 * from DH_STATE_NEWKEYS_SENT on.
 *  - ssh_socket_nonblocking_flush writes at once when write_wontblock was set, and takes 0 for "no room".
 *  - current_crypto is another object after each key exchange, with the host key that it was made under in
 *    server_pubkey (on the side that is the client).
 *  - Patch 0011: ssh_socket_get_in_buffer. Patch 0015: PING (192) comes to callbacks once authenticated.
 *  - out_queue is emptied in one go when NEWKEYS was sent, the last thing that is sent for the packet that is
 *    taken; after it only the KEXINIT of a key exchange that one of these packets began.
 */
#include "sshterm/bridge_packets.h"

#include <stdlib.h>
#include <string.h>

#include <libssh/priv.h>

#include <libssh/buffer.h>
#include <libssh/callbacks.h>
#include <libssh/crypto.h>
#include <libssh/packet.h>
#include <libssh/session.h>
#include <libssh/socket.h>
#include <libssh/ssh2.h>

#include "sshterm/channels.h"

/* Of the largest packet that libssh takes. */
_Static_assert(MAX_PACKET_LEN == CHANNEL_PACKET_MAX + 13 + 255 + 1, "peers must be told what libssh takes");

#define FIRST_RELAYED 80
#define LAST_RELAYED 127
#define CALLBACKS (SSH2_MSG_PING + 1)

struct packets {
	ssh_session ssh;
	const struct packets_handlers *handlers;
	void *context;
	uint32_t queued;   /* bytes in out_queue */
	uint64_t *waiting; /* the tags of what is in out_queue, in order */
	size_t waiting_count, waiting_room;
	ssh_key host_key;                        /* that the origin showed; NULL: a client's leg */
	const struct ssh_crypto_struct *checked; /* the keys in use were exchanged under host_key */
	struct ssh_packet_callbacks_struct registration;
};

/* The payload with its message number, as it lies in libssh's buffer. */
static const uint8_t *whole_payload(ssh_buffer packet, size_t *len)
{
	*len = ssh_buffer_get_len(packet) + 1;
	return (const uint8_t *)ssh_buffer_get(packet) - 1;
}

static int on_message(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct packets *packets = user;
	size_t len;
	const uint8_t *payload = whole_payload(packet, &len);

	(void)type;
	packets->handlers->message(packets->context, payload, len, ssh->recv_seq - 1);
	return SSH_PACKET_USED;
}

static int on_disconnect(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct packets *packets = user;
	size_t len;
	const uint8_t *payload = whole_payload(packet, &len);

	(void)ssh;
	(void)type;
	return packets->handlers->disconnect(packets->context, payload, len) ? SSH_PACKET_USED
	                                                                     : SSH_PACKET_NOT_USED;
}

static int on_unimplemented(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct packets *packets = user;
	size_t len;
	const uint8_t *payload = whole_payload(packet, &len);

	(void)ssh;
	(void)type;
	if (len >= 5)
		packets->handlers->unimplemented(
		    packets->context, (uint32_t)payload[1] << 24 | (uint32_t)payload[2] << 16 |
		                          (uint32_t)payload[3] << 8 | payload[4]);
	return SSH_PACKET_USED;
}

/* OpenSSH's PROTOCOL, section 1.10: string data, sent back. What a client asks of its leg; origins do not
 * ask. */
static int on_ping(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct packets *packets = user;
	size_t len;
	const uint8_t *payload = whole_payload(packet, &len);

	(void)type;
	if (ssh->client)
		return SSH_PACKET_NOT_USED;
	uint8_t *answer = malloc(len);
	int rc = -1;
	if (answer != NULL) {
		memcpy(answer, payload, len);
		answer[0] = SSH2_MSG_PONG;
		rc = packets_send(packets, answer, len, 0);
	}
	free(answer);
	if (rc != 0) {
		ssh_set_error(ssh, SSH_FATAL, "a ping could not be answered");
		ssh->session_state = SSH_SESSION_STATE_ERROR;
	}
	return SSH_PACKET_USED;
}

/* By message number. */
static ssh_packet_callback table[CALLBACKS];

static void fill_table(void)
{
	table[SSH2_MSG_DISCONNECT] = on_disconnect;
	table[SSH2_MSG_UNIMPLEMENTED] = on_unimplemented;
	table[SSH2_MSG_PING] = on_ping;
	for (unsigned type = FIRST_RELAYED; type <= LAST_RELAYED; type++)
		table[type] = on_message;
}

struct packets *packets_attach(
    struct ssh_session_struct *ssh, const struct packets_handlers *handlers, void *context)
{
	struct packets *packets = calloc(1, sizeof(*packets));

	if (packets == NULL)
		return NULL;
	fill_table();
	packets->ssh = ssh;
	packets->handlers = handlers;
	packets->context = context;
	packets->registration = (struct ssh_packet_callbacks_struct){
	    .start = 0, .n_callbacks = CALLBACKS, .callbacks = table, .user = packets};
	packets->checked = ssh->current_crypto;
	if (ssh->client && ssh->current_crypto != NULL)
		packets->host_key = ssh_key_dup(ssh->current_crypto->server_pubkey);
	if ((ssh->client && packets->host_key == NULL) ||
	    ssh_list_prepend(ssh->packet_callbacks, &packets->registration) != SSH_OK) {
		ssh_key_free(packets->host_key);
		free(packets);
		return NULL;
	}
	return packets;
}

void packets_detach(struct packets *packets)
{
	if (packets == NULL)
		return;
	ssh_packet_remove_callbacks(packets->ssh, &packets->registration);
	ssh_key_free(packets->host_key);
	free(packets->waiting);
	free(packets);
}

/* -- receiving -- */

size_t packets_take_received(struct packets *packets, uint8_t *out, size_t size)
{
	struct ssh_buffer_struct *received = ssh_socket_get_in_buffer(packets->ssh->socket);
	uint32_t len = ssh_buffer_get_len(received);

	if (len > 0 && len <= size)
		(void)ssh_buffer_get_data(received, out, len);
	return len;
}

/* libssh checks at each key exchange that the origin holds the key that it shows, not that it is still the
 * same one: control has judged the first. */
static void check_host_key(struct packets *packets)
{
	ssh_session ssh = packets->ssh;

	if (ssh->current_crypto == packets->checked)
		return;
	packets->checked = ssh->current_crypto;
	if (packets->host_key == NULL || ssh->current_crypto == NULL ||
	    (ssh->current_crypto->server_pubkey != NULL &&
	        ssh_key_cmp(ssh->current_crypto->server_pubkey, packets->host_key, SSH_KEY_CMP_PUBLIC) == 0))
		return;
	ssh_set_error(ssh, SSH_FATAL, "the origin showed another host key at a key re-exchange");
	ssh->session_state = SSH_SESSION_STATE_ERROR;
}

/* What left out_queue went out in a row with our NEWKEYS, at the end of what libssh sent; but where one of
 * them began the next key exchange, whose KEXINIT is the last. */
static void number_waiting(struct packets *packets)
{
	ssh_session ssh = packets->ssh;

	if (packets->waiting_count == 0)
		return;
	size_t left = ssh_list_count(ssh->out_queue);
	if (left >= packets->waiting_count)
		return;
	size_t gone = packets->waiting_count - left;
	uint32_t first = ssh->send_seq - (uint32_t)gone - (left > 0 ? 1 : 0);
	for (size_t i = 0; i < gone; i++)
		if (packets->waiting[i] != 0)
			packets->handlers->sent(packets->context, packets->waiting[i], first + (uint32_t)i);
	packets->waiting_count = left;
	memmove(packets->waiting, packets->waiting + gone, left * sizeof(*packets->waiting));
	if (left == 0) {
		free(packets->waiting);
		packets->waiting = NULL;
		packets->waiting_room = 0;
	}
}

static bool room_to_wait(struct packets *packets)
{
	if (packets->waiting_count < packets->waiting_room)
		return true;
	size_t room = packets->waiting_room == 0 ? 64 : packets->waiting_room * 2;
	uint64_t *waiting = realloc(packets->waiting, room * sizeof(*waiting));
	if (waiting == NULL)
		return false;
	packets->waiting = waiting;
	packets->waiting_room = room;
	return true;
}

size_t packets_feed(struct packets *packets, const uint8_t *at, size_t len)
{
	size_t taken = ssh_packet_socket_callback(at, len, packets->ssh);

	check_host_key(packets);
	number_waiting(packets);
	return taken;
}

size_t packets_wanted(const struct packets *packets)
{
	ssh_session ssh = packets->ssh;
	struct ssh_crypto_struct *crypto = ssh_packet_get_current_crypto(ssh, SSH_DIRECTION_IN);
	size_t mac = crypto == NULL ? 0 : hmac_digest_len(crypto->in_hmac);

	if (ssh->packet_state == PACKET_STATE_SIZEREAD)
		return ssh->in_packet.len + sizeof(uint32_t) + mac;
	if (crypto == NULL)
		return 8;
	if (crypto->in_hmac_etm)
		return sizeof(uint32_t);
	return crypto->in_cipher->lenfield_blocksize > 0 ? crypto->in_cipher->lenfield_blocksize
	                                                 : crypto->in_cipher->blocksize;
}

bool packets_broken(const struct packets *packets)
{
	return packets->ssh->session_state == SSH_SESSION_STATE_ERROR ||
	       packets->ssh->session_state == SSH_SESSION_STATE_DISCONNECTED ||
	       !ssh_socket_is_open(packets->ssh->socket);
}

const char *packets_error(const struct packets *packets)
{
	return ssh_get_error(packets->ssh);
}

bool packets_rekeying(const struct packets *packets)
{
	return packets->ssh->dh_handshake_state != DH_STATE_FINISHED;
}

/* -- sending -- */

int packets_send(struct packets *packets, const uint8_t *payload, size_t len, uint64_t tag)
{
	ssh_session ssh = packets->ssh;
	uint32_t before = ssh->send_seq;

	if (ssh_list_get_iterator(ssh->out_queue) == NULL)
		packets->queued = 0;
	/* Something left there would be sent along; libssh leaves nothing but after its own failures. */
	if (ssh_buffer_get_len(ssh->out_buffer) > 0 && ssh_buffer_reinit(ssh->out_buffer) != 0)
		return -1;
	if (ssh_buffer_add_data(ssh->out_buffer, payload, (uint32_t)len) != SSH_OK ||
	    (packets_rekeying(packets) && !room_to_wait(packets)))
		return -1;
	if (ssh_packet_send(ssh) == SSH_ERROR)
		return -1;
	if (ssh_list_get_iterator(ssh->out_queue) != NULL) {
		/* Ours is the last there; it may itself have begun the key exchange. */
		if (!room_to_wait(packets))
			return -1;
		packets->waiting[packets->waiting_count++] = tag;
		packets->queued += (uint32_t)len;
	} else if (tag != 0 && ssh->send_seq == before + 1) {
		packets->handlers->sent(packets->context, tag, before);
	}
	return 0;
}

uint32_t packets_unsent(const struct packets *packets)
{
	uint32_t buffered = (uint32_t)ssh_socket_buffered_write_bytes(packets->ssh->socket);

	return buffered + (ssh_list_get_iterator(packets->ssh->out_queue) == NULL ? 0 : packets->queued);
}

int packets_flush(struct packets *packets)
{
	ssh_session ssh = packets->ssh;

	if (ssh_list_get_iterator(ssh->out_queue) == NULL)
		packets->queued = 0;
	if (!ssh_socket_is_open(ssh->socket))
		return -1;
	if (ssh_socket_buffered_write_bytes(ssh->socket) == 0)
		return 0;
	ssh_socket_set_write_wontblock(ssh->socket);
	return ssh_socket_nonblocking_flush(ssh->socket) == SSH_ERROR ? -1 : 0;
}
