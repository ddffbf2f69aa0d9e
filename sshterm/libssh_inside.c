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

int inside_set_host_key(ssh_session ssh, const uint8_t *blob, size_t len)
{
	ssh_key key = inside_read_blob(blob, len);

	if (ssh_key_type(key) != SSH_KEYTYPE_ED25519) {
		ssh_key_free(key);
		return -1;
	}
	ssh_key_free(ssh->srv.ed25519_key);
	ssh->srv.ed25519_key = key;
	return 0;
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

/* -- authentication requests that libssh does not answer -- */

/* The key that a publickey request is signed by (RFC 4252 section 7; hostbound has more behind it). Length 0:
 * none. */
static struct wire_span signing_key(struct wire_span request)
{
	struct wire in = wire_over(request.at, request.len);

	(void)wire_string(&in); /* login */
	(void)wire_string(&in); /* service */
	struct wire_span method = wire_string(&in);
	bool has_signature = wire_u8(&in) != 0;
	(void)wire_string(&in); /* algorithm */
	struct wire_span key = wire_string(&in);
	bool named =
	    wire_span_is(method, "publickey") || wire_span_is(method, "publickey-hostbound-v00@openssh.com");
	return !in.failed && has_signature && named ? key : (struct wire_span){0};
}

static void forget_oldest(struct inside_auth_watch *watch)
{
	free(watch->kept[0].bytes);
	memmove(watch->kept, watch->kept + 1, sizeof(watch->kept) - sizeof(watch->kept[0]));
	watch->kept[INSIDE_REQUESTS_KEPT - 1] = (struct inside_request){0};
}

static void keep(struct inside_auth_watch *watch, struct wire_span request)
{
	unsigned i = 0;

	if (watch->kept[INSIDE_REQUESTS_KEPT - 1].bytes != NULL)
		forget_oldest(watch);
	while (watch->kept[i].bytes != NULL)
		i++;
	watch->kept[i].bytes = malloc(request.len);
	if (watch->kept[i].bytes == NULL)
		return;
	memcpy(watch->kept[i].bytes, request.at, request.len);
	watch->kept[i].len = request.len;
}

static int look_at_request(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct inside_auth_watch *watch = user;
	struct wire_span request = {ssh_buffer_get(packet), ssh_buffer_get_len(packet)};

	(void)ssh;
	(void)type;
	watch->arrived++;
	if (request.len <= INSIDE_REQUEST_MAX && signing_key(request).len > 0)
		keep(watch, request);
	return SSH_PACKET_NOT_USED;
}

int inside_auth_watch_start(ssh_session ssh, struct inside_auth_watch *watch)
{
	*watch = (struct inside_auth_watch){.table = {look_at_request}};
	watch->callbacks = (struct ssh_packet_callbacks_struct){
	    .start = SSH2_MSG_USERAUTH_REQUEST,
	    .n_callbacks = 1,
	    .callbacks = watch->table,
	    .user = watch,
	};
	return ssh_list_prepend(ssh->packet_callbacks, &watch->callbacks) == SSH_OK ? 0 : -1;
}

void inside_auth_watch_stop(ssh_session ssh, struct inside_auth_watch *watch)
{
	struct ssh_iterator *at = ssh_list_find(ssh->packet_callbacks, &watch->callbacks);

	if (at != NULL)
		ssh_list_remove(ssh->packet_callbacks, at);
	while (watch->kept[0].bytes != NULL)
		forget_oldest(watch);
}

struct wire_span inside_signed_request(struct inside_auth_watch *watch, ssh_string key)
{
	while (watch->kept[0].bytes != NULL) {
		struct wire_span request = {watch->kept[0].bytes, watch->kept[0].len};
		struct wire_span shown = signing_key(request);
		if (shown.len == ssh_string_len(key) &&
		    memcmp(shown.at, ssh_string_data(key), shown.len) == 0)
			return request;
		forget_oldest(watch);
	}
	return (struct wire_span){0};
}

ssh_message inside_next_message(ssh_session ssh, struct inside_auth_watch *watch, bool *unanswered)
{
	*unanswered = false;
	for (;;) {
		ssh_message message = ssh_message_pop_head(ssh);
		if (message != NULL) {
			watch->handled += ssh_message_type(message) == SSH_REQUEST_AUTH;
			return message;
		}
		if (watch->handled < watch->arrived) {
			watch->handled = watch->arrived;
			*unanswered = true;
			return NULL;
		}
		if (ssh->session_state == SSH_SESSION_STATE_ERROR ||
		    ssh->session_state == SSH_SESSION_STATE_DISCONNECTED || !ssh_socket_is_open(ssh->socket))
			return NULL;
		/* The virtual poll keeps the deadlines, and answers with an error when one has come. */
		if (ssh_handle_packets(ssh, SSH_TIMEOUT_INFINITE) == SSH_ERROR)
			return NULL;
	}
}

ssh_string inside_offered_key(ssh_message message, enum ssh_publickey_state_e *state)
{
	*state = message->auth_request.signature_state;
	return inside_public_blob(message->auth_request.pubkey);
}

int inside_auth_failure(ssh_session ssh)
{
	return ssh_auth_reply_default(ssh, 0) == SSH_OK ? 0 : -1;
}

int inside_auth_success(ssh_session ssh)
{
	return ssh_auth_reply_success(ssh, 0) == SSH_OK ? 0 : -1;
}

/* -- transport -- */

bool inside_has_keys(ssh_session ssh)
{
	return ssh != NULL && ssh->current_crypto != NULL;
}

void inside_disconnect(ssh_session ssh, enum inside_reason reason, const char *text)
{
	if (ssh == NULL || ssh->socket == NULL || !ssh_socket_is_open(ssh->socket))
		return;
	ssh_buffer_reinit(ssh->out_buffer);
	if (ssh_buffer_pack(ssh->out_buffer, "bdss", SSH2_MSG_DISCONNECT, (uint32_t)reason, text, "") ==
	    SSH_OK)
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

const char *inside_peer_text(ssh_session ssh)
{
	return ssh == NULL ? NULL : ssh->peer_discon_msg;
}

const char *inside_peer_software(ssh_session ssh, bool server)
{
	return ssh == NULL ? NULL : server ? ssh->serverbanner : ssh->clientbanner;
}

static int keep_banner(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct inside_banners *banners = user;
	struct wire in = wire_over(ssh_buffer_get(packet), ssh_buffer_get_len(packet));
	struct wire_span text = wire_string(&in);

	(void)ssh;
	(void)type;
	if (in.failed || banners->count == INSIDE_BANNERS_KEPT ||
	    text.len > INSIDE_BANNERS_MAX - banners->bytes)
		return SSH_PACKET_NOT_USED;
	ssh_string copy = ssh_string_new(text.len);
	if (copy == NULL)
		return SSH_PACKET_NOT_USED;
	(void)ssh_string_fill(copy, text.at, text.len);
	banners->kept[banners->count++] = copy;
	banners->bytes += text.len;
	return SSH_PACKET_NOT_USED;
}

int inside_banners_start(ssh_session from, struct inside_banners *banners)
{
	*banners = (struct inside_banners){.table = {keep_banner}};
	banners->callbacks = (struct ssh_packet_callbacks_struct){
	    .start = SSH2_MSG_USERAUTH_BANNER,
	    .n_callbacks = 1,
	    .callbacks = banners->table,
	    .user = banners,
	};
	return ssh_list_prepend(from->packet_callbacks, &banners->callbacks) == SSH_OK ? 0 : -1;
}

void inside_banners_stop(ssh_session from, struct inside_banners *banners)
{
	struct ssh_iterator *at = ssh_list_find(from->packet_callbacks, &banners->callbacks);

	if (at != NULL)
		ssh_list_remove(from->packet_callbacks, at);
	while (banners->count > 0)
		ssh_string_free(banners->kept[--banners->count]);
}

void inside_pass_banners(const struct inside_banners *banners, ssh_session to)
{
	for (unsigned i = 0; i < banners->count; i++)
		(void)ssh_send_issue_banner(to, banners->kept[i]);
}
