/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/libssh_userauth.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <libssh/auth.h>
#include <libssh/buffer.h>
#include <libssh/messages.h>
#include <libssh/misc.h>
#include <libssh/packet.h>
#include <libssh/priv.h>
#include <libssh/session.h>
#include <libssh/socket.h>

/* -- packets -- */

void inside_packet_wipe(struct inside_packet *packet)
{
	if (packet->no_secret)
		free(packet->bytes);
	else
		sodium_free(packet->bytes);
	*packet = (struct inside_packet){0};
}

static int fill(struct inside_packet *packet, uint8_t type, struct wire_span payload, bool no_secret)
{
	size_t size = payload.len > 0 ? payload.len : 1;

	*packet = (struct inside_packet){.type = type, .len = payload.len, .no_secret = no_secret};
	packet->bytes = no_secret ? malloc(size) : sodium_malloc(size);
	if (packet->bytes == NULL)
		return -1;
	if (payload.len > 0)
		memcpy(packet->bytes, payload.at, payload.len);
	return 0;
}

int inside_packet_copy(const struct inside_packet *packet, struct inside_packet *copy)
{
	return fill(copy, packet->type, (struct wire_span){packet->bytes, packet->len}, packet->no_secret);
}

static struct wire_span payload_of(ssh_buffer packet)
{
	return (struct wire_span){ssh_buffer_get(packet), ssh_buffer_get_len(packet)};
}

/* Anything but a request that reads as one may hold a secret, or be of a method that does. */
static enum userauth_method method_of(uint8_t type, struct wire_span payload)
{
	struct userauth_words words;

	return type == USERAUTH_REQUEST && userauth_words(payload, &words) ? words.method : USERAUTH_OTHER;
}

static int note_farewell(struct wire_span payload, uint32_t *reason)
{
	struct wire in = wire_over(payload.at, payload.len);

	*reason = wire_u32(&in);
	return SSH_PACKET_NOT_USED;
}

static int listen_for(ssh_session ssh, struct ssh_packet_callbacks_struct *callbacks)
{
	/* Before its key exchange a session has no list of callbacks; what libssh appends later comes behind.
	 */
	if (ssh->packet_callbacks == NULL) {
		ssh_packet_set_callbacks(ssh, callbacks);
		return ssh->packet_callbacks != NULL ? 0 : -1;
	}
	return ssh_list_prepend(ssh->packet_callbacks, callbacks) == SSH_OK ? 0 : -1;
}

static void stop_listening(ssh_session ssh, struct ssh_packet_callbacks_struct *callbacks)
{
	struct ssh_iterator *at = ssh == NULL ? NULL : ssh_list_find(ssh->packet_callbacks, callbacks);

	if (at != NULL)
		ssh_list_remove(ssh->packet_callbacks, at);
}

/* -- the client leg -- */

static bool service_is_next(ssh_session client)
{
	struct ssh_iterator *at = ssh_list_get_iterator(client->ssh_message_list);

	return at != NULL && ssh_message_type(ssh_iterator_value(ssh_message, at)) != SSH_REQUEST_AUTH;
}

/* What was read is yet to be taken. */
static bool is_full(ssh_session ssh, const struct inside_requests *requests)
{
	return requests->next.type != 0 || requests->overflow || service_is_next(ssh);
}

static size_t take_bytes(const void *bytes, size_t len, void *user);

static int take_request(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct inside_requests *requests = user;
	struct wire_span payload = payload_of(packet);
	enum userauth_method method = method_of(type, payload);
	bool for_libssh = method == USERAUTH_PUBLICKEY; /* only these: it verifies their signature */
	bool no_secret = for_libssh || method == USERAUTH_NONE;

	/* libssh sets its own in the key exchange, behind which the first request may follow at once. */
	ssh->socket_callbacks.data = take_bytes;
	if (requests->next.type != 0 || payload.len > INSIDE_PACKET_MAX ||
	    fill(&requests->next, type, payload, no_secret) != 0)
		requests->overflow = true;
	else
		requests->next.verified_by_libssh = for_libssh;
	if (for_libssh && !requests->overflow)
		return SSH_PACKET_NOT_USED;
	sodium_memzero(ssh_buffer_get(packet), payload.len);
	return SSH_PACKET_USED;
}

static int take_client_farewell(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct inside_requests *requests = user;

	(void)ssh;
	(void)type;
	return note_farewell(payload_of(packet), &requests->reason);
}

static struct inside_requests *requests_of(ssh_session ssh)
{
	for (struct ssh_iterator *at = ssh_list_get_iterator(ssh->packet_callbacks); at != NULL;
	     at = at->next) {
		const struct ssh_packet_callbacks_struct *callbacks =
		    ssh_iterator_value(ssh_packet_callbacks, at);
		if (callbacks->callbacks[0] == take_request)
			return callbacks->user;
	}
	return NULL;
}

/* In place of libssh's own: leaves what is not to be read yet where it is. */
static size_t take_bytes(const void *bytes, size_t len, void *user)
{
	ssh_session ssh = user;
	const struct inside_requests *requests = requests_of(ssh);

	if (requests != NULL && is_full(ssh, requests) && !requests->leaving)
		return 0;
	return ssh_packet_socket_callback(bytes, len, ssh);
}

int inside_requests_start(ssh_session client, struct inside_requests *requests)
{
	*requests = (struct inside_requests){.farewell_table = {take_client_farewell}};
	requests->table[0] = take_request;
	requests->table[USERAUTH_INFO_RESPONSE - USERAUTH_REQUEST] = take_request;
	requests->callbacks = (struct ssh_packet_callbacks_struct){.start = USERAUTH_REQUEST,
	    .n_callbacks = sizeof(requests->table) / sizeof(requests->table[0]),
	    .callbacks = requests->table,
	    .user = requests};
	requests->farewell = (struct ssh_packet_callbacks_struct){
	    .start = 1, .n_callbacks = 1, .callbacks = requests->farewell_table, .user = requests};
	client->auth.state = SSH_AUTH_STATE_INFO;
	return listen_for(client, &requests->callbacks) == 0 ? listen_for(client, &requests->farewell) : -1;
}

void inside_requests_stop(ssh_session client, struct inside_requests *requests)
{
	stop_listening(client, &requests->callbacks);
	stop_listening(client, &requests->farewell);
	if (client != NULL && client->socket_callbacks.data == take_bytes)
		client->socket_callbacks.data = ssh_packet_socket_callback;
	inside_packet_wipe(&requests->next);
}

/* What an earlier read brought behind a request. */
static void take_left(ssh_session client)
{
	struct ssh_buffer_struct *left = ssh_socket_get_in_buffer(client->socket);
	size_t taken;

	do {
		taken = take_bytes(ssh_buffer_get(left), ssh_buffer_get_len(left), client);
		ssh_buffer_pass_bytes(left, (uint32_t)taken);
	} while (taken > 0 && ssh_socket_is_open(client->socket));
}

bool inside_requests_pump(ssh_session client, struct inside_requests *requests, bool *full)
{
	bool goes_on = true;

	*full = false;
	if (!ssh_socket_is_open(client->socket))
		return false;
	client->socket_callbacks.data = take_bytes;
	if (ssh_buffer_get_len(ssh_socket_get_in_buffer(client->socket)) > 0)
		take_left(client);
	if (requests->leaving || !is_full(client, requests))
		goes_on = inside_pump(client);
	*full = is_full(client, requests);
	return goes_on;
}

enum inside_taken inside_requests_take(
    ssh_session client, struct inside_requests *requests, struct inside_packet *packet, ssh_message *message)
{
	*message = NULL;
	if (service_is_next(client)) {
		*message = ssh_message_pop_head(client);
		return INSIDE_TAKEN_SERVICE;
	}
	if (requests->next.type == 0)
		return INSIDE_TAKEN_NOTHING;
	/* The only one that can be there is this request's. */
	if (requests->next.verified_by_libssh)
		*message = ssh_message_pop_head(client);
	*packet = requests->next;
	requests->next = (struct inside_packet){0};
	return INSIDE_TAKEN_PACKET;
}

/* -- the origin leg -- */

static int take_banner(struct inside_answers *answers, struct wire_span payload)
{
	struct wire in = wire_over(payload.at, payload.len);
	struct wire_span text = wire_string(&in);

	if (in.failed || answers->banner_count == INSIDE_BANNERS_KEPT ||
	    text.len > INSIDE_BANNERS_MAX - answers->banner_bytes)
		return SSH_PACKET_NOT_USED;
	ssh_string copy = ssh_string_new(text.len);
	if (copy == NULL)
		return SSH_PACKET_NOT_USED;
	(void)ssh_string_fill(copy, text.at, text.len);
	answers->banners[answers->banner_count++] = copy;
	answers->banner_bytes += text.len;
	return SSH_PACKET_NOT_USED;
}

static int take_question(struct inside_answers *answers, struct wire_span payload)
{
	if (!answers->relaying)
		return SSH_PACKET_NOT_USED;
	if (answers->question.type != 0 || payload.len > INSIDE_PACKET_MAX ||
	    fill(&answers->question, USERAUTH_QUESTION, payload, false) != 0)
		answers->confused = true;
	return SSH_PACKET_USED;
}

static int take_answer(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct inside_answers *answers = user;

	(void)ssh;
	switch (type) {
	case USERAUTH_FAILURE:
		answers->failure = true;
		userauth_read_failure(payload_of(packet), answers->methods, &answers->partial);
		return SSH_PACKET_NOT_USED;
	case USERAUTH_SUCCESS:
		answers->success = true;
		return SSH_PACKET_NOT_USED;
	case USERAUTH_BANNER:
		return take_banner(answers, payload_of(packet));
	case USERAUTH_QUESTION:
		return take_question(answers, payload_of(packet));
	default:
		return SSH_PACKET_NOT_USED;
	}
}

static int take_origin_farewell(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct inside_answers *answers = user;

	(void)ssh;
	(void)type;
	return note_farewell(payload_of(packet), &answers->reason);
}

int inside_answers_start(ssh_session origin, struct inside_answers *answers)
{
	*answers = (struct inside_answers){.farewell_table = {take_origin_farewell}};
	for (unsigned i = 0; i < sizeof(answers->table) / sizeof(answers->table[0]); i++)
		answers->table[i] = take_answer;
	answers->callbacks = (struct ssh_packet_callbacks_struct){.start = USERAUTH_FAILURE,
	    .n_callbacks = sizeof(answers->table) / sizeof(answers->table[0]),
	    .callbacks = answers->table,
	    .user = answers};
	answers->farewell = (struct ssh_packet_callbacks_struct){
	    .start = 1, .n_callbacks = 1, .callbacks = answers->farewell_table, .user = answers};
	return listen_for(origin, &answers->callbacks) == 0 ? listen_for(origin, &answers->farewell) : -1;
}

void inside_answers_stop(ssh_session origin, struct inside_answers *answers)
{
	stop_listening(origin, &answers->callbacks);
	stop_listening(origin, &answers->farewell);
	inside_packet_wipe(&answers->question);
	while (answers->banner_count > 0)
		ssh_string_free(answers->banners[--answers->banner_count]);
}

bool inside_answers_offer(const struct inside_answers *answers, const char *method)
{
	return userauth_list_has(answers->methods, method);
}

void inside_answers_pass_banners(struct inside_answers *answers, ssh_session client)
{
	for (unsigned i = 0; i < answers->banner_count; i++) {
		(void)ssh_send_issue_banner(client, answers->banners[i]);
		ssh_string_free(answers->banners[i]);
	}
	answers->banner_count = 0;
}

int inside_answers_ask(ssh_session origin, struct inside_answers *answers, const struct inside_packet *packet)
{
	inside_packet_wipe(&answers->question);
	answers->success = answers->failure = answers->partial = false;
	answers->relaying = true;
	origin->auth.state = SSH_AUTH_STATE_KBDINT_SENT;
	return inside_send(origin, packet->type, (struct wire_span){packet->bytes, packet->len});
}

/* -- sending -- */

int inside_send(ssh_session ssh, uint8_t type, struct wire_span payload)
{
	ssh_buffer usual = ssh->out_buffer;
	int rc = SSH_ERROR;

	ssh->out_buffer = ssh_buffer_new();
	if (ssh->out_buffer != NULL) {
		ssh_buffer_set_secure(ssh->out_buffer);
		if (ssh_buffer_add_u8(ssh->out_buffer, type) == SSH_OK &&
		    ssh_buffer_add_data(ssh->out_buffer, payload.at, (uint32_t)payload.len) == SSH_OK)
			rc = ssh_packet_send(ssh);
	}
	/* It was sent and is empty, or waits in a queue and another one stands here. */
	ssh_buffer_free(ssh->out_buffer);
	ssh->out_buffer = usual;
	return rc == SSH_OK ? 0 : -1;
}

int inside_send_failure(ssh_session client, const char *methods, bool partial)
{
	uint8_t payload[USERAUTH_LIST_MAX + 8];
	struct wire_out out = wire_into(payload, sizeof(payload));

	wire_put_cstring(&out, methods);
	wire_put_u8(&out, partial ? 1 : 0);
	return out.failed
	           ? -1
	           : inside_send(client, USERAUTH_FAILURE, (struct wire_span){payload, wire_written(&out)});
}

bool inside_pump(ssh_session ssh)
{
	if (ssh->session_state == SSH_SESSION_STATE_ERROR ||
	    ssh->session_state == SSH_SESSION_STATE_DISCONNECTED || !ssh_socket_is_open(ssh->socket))
		return false;
	return ssh_handle_packets(ssh, SSH_TIMEOUT_NONBLOCKING) != SSH_ERROR;
}
