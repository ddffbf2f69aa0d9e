/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/libssh_inside.h"

#include <stdlib.h>
#include <string.h>

#include <libssh/auth.h>
#include <libssh/buffer.h>
#include <libssh/crypto.h>
#include <libssh/messages.h>
#include <libssh/misc.h>
#include <libssh/packet.h>
#include <libssh/pki.h>
#include <libssh/priv.h>
#include <libssh/session.h>
#include <libssh/socket.h>
#include <libssh/ssh2.h>

void inside_forget_files(ssh_session ssh)
{
	char *file;

	while ((file = ssh_list_pop_head(char *, ssh->opts.identity_non_exp)) != NULL)
		free(file);
}

ssh_string inside_public_blob(ssh_key key)
{
	ssh_string blob = NULL;

	return key != NULL && ssh_pki_export_pubkey_blob(key, &blob) == SSH_OK ? blob : NULL;
}

ssh_key inside_read_blob(const uint8_t *blob, size_t len)
{
	ssh_string string = ssh_string_new(len);
	ssh_key key = NULL;

	if (string == NULL || ssh_string_fill(string, blob, len) != 0 ||
	    ssh_pki_import_pubkey_blob(string, &key) != SSH_OK)
		key = NULL;
	ssh_string_free(string);
	return key;
}

int inside_set_software(ssh_session ssh, const char *software)
{
	char *copy = strdup(software);

	if (copy == NULL)
		return -1;
	free(ssh->server_opts.custombanner);
	ssh->server_opts.custombanner = copy;
	return 0;
}

/* -- authentication -- */

ssh_string inside_offered_key(ssh_message message, enum ssh_publickey_state_e *state)
{
	*state = message->auth_request.signature_state;
	return inside_public_blob(message->auth_request.pubkey);
}

int inside_auth_success(ssh_session ssh)
{
	return ssh_auth_reply_success(ssh, 0) == SSH_OK ? 0 : -1;
}

/* -- transport -- */

struct wire_span inside_session_identifier(ssh_session ssh)
{
	return (struct wire_span){ssh->current_crypto->session_id, ssh->current_crypto->session_id_len};
}

const char *inside_rsa_algorithm(ssh_session ssh)
{
	const char *host_keys = ssh->opts.wanted_methods[SSH_HOSTKEYS];

	if ((ssh->extensions & SSH_EXT_SIG_RSA_SHA512) != 0)
		return "rsa-sha2-512";
	if ((ssh->extensions & SSH_EXT_SIG_RSA_SHA256) != 0)
		return "rsa-sha2-256";
	return host_keys != NULL && match_group(host_keys, "ssh-rsa") == 1 ? "ssh-rsa" : "rsa-sha2-512";
}

bool inside_has_keys(ssh_session ssh)
{
	return ssh != NULL && ssh->current_crypto != NULL;
}

bool inside_closed_in_the_clear(ssh_session ssh)
{
	return ssh->current_crypto == NULL && ssh->dh_handshake_state < DH_STATE_NEWKEYS_SENT &&
	       (ssh->socket == NULL || !ssh_socket_is_open(ssh->socket));
}

void inside_disconnect(ssh_session ssh, uint32_t reason, const char *text)
{
	if (ssh == NULL || ssh->socket == NULL || !ssh_socket_is_open(ssh->socket))
		return;
	ssh_buffer_reinit(ssh->out_buffer);
	if (ssh_buffer_pack(ssh->out_buffer, "bdss", SSH2_MSG_DISCONNECT, reason, text, "") == SSH_OK)
		(void)ssh_packet_send(ssh);
}

uint32_t inside_flush(ssh_session ssh)
{
	if (ssh == NULL || ssh->socket == NULL || !ssh_socket_is_open(ssh->socket))
		return 0;
	if (ssh_socket_buffered_write_bytes(ssh->socket) > 0) {
		ssh_socket_set_write_wontblock(ssh->socket);
		(void)ssh_socket_nonblocking_flush(ssh->socket);
	}
	return ssh_socket_is_open(ssh->socket) ? (uint32_t)ssh_socket_buffered_write_bytes(ssh->socket) : 0;
}

unsigned inside_misplaced(ssh_session ssh)
{
	static const char refused[] = "Packet filter:";

	return strncmp(ssh_get_error(ssh), refused, sizeof(refused) - 1) == 0 ? ssh->in_packet.type : 0;
}

const char *inside_peer_text(ssh_session ssh)
{
	return ssh == NULL ? NULL : ssh->peer_discon_msg;
}

const char *inside_peer_software(ssh_session ssh, bool server)
{
	return ssh == NULL ? NULL : server ? ssh->serverbanner : ssh->clientbanner;
}

const char *inside_peer_first_line(ssh_session ssh)
{
	return ssh == NULL ? NULL : ssh->first_line;
}
