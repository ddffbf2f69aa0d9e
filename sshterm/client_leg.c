/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client leg: we are the server, and the client is a stranger until control says otherwise.
 *
 * libssh verifies that whoever offers a key or certificate holds its private half, and nothing more: whose it
 * is, who signed it, and for how long it is good, is control's to say, of the whole blob.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/algorithms.h"
#include "sshterm/client_leg.h"
#include "sshterm/control_rpc.h"
#include "sshterm/legs.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/vsock.h"
#include "sshterm/worker.h"

/* How long a client may keep its identification string back before the origin is asked without it: some wait
 * for the server's first. */
#define LOOK_US 200000
#define SOFTWARE_MAX 200
#define REQUESTS_MAX 100 /* before login: service, none, keys offered and proven */

static ssh_bind binding; /* what all client legs share */

int client_leg_start(void)
{
	bool no = false;

	binding = ssh_bind_new();
	if (binding == NULL)
		return -ENOMEM;
	return ssh_bind_options_set(binding, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no) < 0 ? -EINVAL : 0;
}

void client_leg_stop(void)
{
	ssh_bind_free(binding);
	binding = NULL;
}

/* -- before SSH -- */

int client_leg_look(struct session *session, struct leg_failure *failure)
{
	static const char sign[4] = {'S', 'S', 'H', '-'};
	struct vsock *sock = session->sock[LEG_CLIENT];
	uint64_t until = worker_now_us() + LOOK_US;
	const uint8_t *at = NULL;
	uint32_t there;

	while ((there = vsock_peek(sock, &at)) == 0 && !vsock_at_eof(sock) && worker_now_us() < until &&
	       session->kill_reason[0] == '\0')
		session_wait(session, until);
	if (there == 0 && vsock_at_eof(sock)) {
		leg_fail(failure, "client_closed", "%s", "");
		return -1;
	}
	if (there == 0 || memcmp(at, sign, there < sizeof(sign) ? there : sizeof(sign)) == 0)
		return 0;
	static const char answer[] = "Invalid SSH identification string.\r\n";
	(void)vsock_write(sock, (const uint8_t *)answer, sizeof(answer) - 1);
	leg_fail(failure, "not_ssh", "%s", "");
	return -1;
}

void client_leg_refuse_early(struct session *session, const char *text)
{
	static const char hello[] = "SSH-2.0-" LEGS_SOFTWARE "\r\n";
	uint8_t packet[64 + SESSION_TEXT_MAX * 2];
	size_t text_len = strnlen(text, SESSION_TEXT_MAX * 2);
	/* RFC 4253 section 6, no cipher yet: length, padding length, payload, padding to a multiple of 8. */
	size_t payload = 1 + 4 + 4 + text_len + 4;
	size_t padding = 8 - (5 + payload) % 8;
	if (padding < 4)
		padding += 8;
	struct wire_out out = wire_into(packet, sizeof(packet));

	wire_put_u32(&out, (uint32_t)(1 + payload + padding));
	wire_put_u8(&out, (uint8_t)padding);
	wire_put_u8(&out, 1 /* SSH_MSG_DISCONNECT */);
	wire_put_u32(&out, INSIDE_BY_APPLICATION);
	wire_put_string(&out, text, text_len);
	wire_put_string(&out, "", 0);
	wire_put_bytes(&out, "\0\0\0\0\0\0\0\0\0\0\0", padding);
	if (out.failed)
		return;
	(void)vsock_write(session->sock[LEG_CLIENT], (const uint8_t *)hello, sizeof(hello) - 1);
	(void)vsock_write(session->sock[LEG_CLIENT], packet, (uint32_t)wire_written(&out));
}

/* -- key exchange -- */

/* libssh asks for a signature over the exchange hash: control has the keeper make it, for this session's
 * target only. Also at every rekey. */
static ssh_string sign_hash(
    ssh_session ssh, ssh_key hostkey, const unsigned char *hash, size_t hash_len, void *userdata)
{
	struct session *session = userdata;
	struct control_reply reply;
	struct rpc_ses_sign_reply answer;
	ssh_string signature = NULL;

	(void)ssh;
	(void)hostkey;
	int error = CONTROL_CALL(session, SES_SIGN, ses_sign, &reply, .flow = session->flow_id,
	    .hash = (struct wire_span){hash, hash_len});
	if (error != 0)
		return NULL;
	if (rpc_get_ses_sign_reply(reply.body, &answer) && answer.error.len == 0 && answer.signature.len > 0)
		signature = ssh_string_new(answer.signature.len);
	if (signature != NULL)
		ssh_string_fill(signature, answer.signature.at, answer.signature.len);
	else
		rpc_log(RPC_LOG_WARNING, "session %s: the host key did not sign", session->session_id);
	control_reply_free(&reply);
	return signature;
}

/* Clients choose their behaviour by the server's software version, and the server they meant is the origin.
 */
static void mirror_software(struct session *session, ssh_session ssh)
{
	const char *line = inside_peer_software(session->ssh[LEG_ORIGIN], true);
	const char *software = LEGS_SOFTWARE;

	if (line != NULL && strncmp(line, "SSH-2.0-", 8) == 0 && strlen(line) < SOFTWARE_MAX) {
		software = line + 8;
		for (const char *c = software; *c != '\0'; c++)
			if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
				software = LEGS_SOFTWARE;
	}
	(void)inside_set_software(ssh, software);
}

static void fail_transport(struct session *session, struct leg_failure *failure)
{
	ssh_session ssh = session->ssh[LEG_CLIENT];
	struct vsock *sock = session->sock[LEG_CLIENT];

	if (inside_peer_text(ssh) != NULL || vsock_at_eof(sock))
		leg_fail(failure, "client_closed", "%s", "");
	else if (inside_peer_software(ssh, false) == NULL)
		leg_fail(failure, "not_ssh", "%s", "");
	else
		leg_fail(failure, "client_failed", "%s", ssh_get_error(ssh));
}

static int set_algorithms(ssh_session ssh, const char *legacy)
{
	struct algorithms algorithms;
	int bad = algorithms_of_client_leg(&algorithms, wire_span_of(legacy)) ? 0 : -1;

	bad |= ssh_options_set(ssh, SSH_OPTIONS_KEY_EXCHANGE, algorithms.kex);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_HOSTKEYS, algorithms.host_keys);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_CIPHERS_C_S, algorithms.ciphers);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_CIPHERS_S_C, algorithms.ciphers);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_HMAC_C_S, algorithms.macs);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_HMAC_S_C, algorithms.macs);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, algorithms.user_keys);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_RSA_MIN_SIZE, &algorithms.rsa_bits_min);
	return bad < 0 ? -1 : 0;
}

int client_leg_accept(
    struct session *session, const struct client_leg_terms *terms, struct leg_failure *failure)
{
	ssh_session ssh = ssh_new();

	session->ssh[LEG_CLIENT] = ssh;
	if (ssh == NULL || ssh_bind_accept_fd(binding, ssh, vsock_fd(session->sock[LEG_CLIENT])) != SSH_OK ||
	    set_algorithms(ssh, terms->legacy) != 0) {
		leg_fail(failure, "error", "the appliance has no memory for another session");
		return -1;
	}
	inside_forget_files(ssh);
	if (inside_set_host_key(ssh, terms->host_public.at, terms->host_public.len) != 0) {
		leg_fail(failure, "error", "the appliance has no host key for this target");
		return -1;
	}
	ssh_set_hostkey_sign_callback(ssh, sign_hash, session);
	mirror_software(session, ssh);
	ssh_set_auth_methods(ssh, SSH_AUTH_METHOD_PUBLICKEY);
	if (ssh_handle_key_exchange(ssh) != SSH_OK) {
		fail_transport(session, failure);
		return -1;
	}
	return 0;
}

/* -- authentication -- */

struct auth {
	struct session *session;
	struct inside_auth_watch watch;
	unsigned failures, limit;
	unsigned requests;           /* of any kind: those that are no failure cost work, too */
	char told[SESSION_TEXT_MAX]; /* the last banner: each text is shown once */
};

static void show_banner(ssh_session ssh, const char *text)
{
	char line[SESSION_TEXT_MAX * 2 + 4];

	snprintf(line, sizeof(line), "%s\r\n", text);
	ssh_string banner = ssh_string_from_char(line);
	if (banner != NULL)
		(void)ssh_send_issue_banner(ssh, banner);
	ssh_string_free(banner);
}

void client_leg_refuse(struct session *session, const char *text)
{
	show_banner(session->ssh[LEG_CLIENT], text);
	inside_disconnect(session->ssh[LEG_CLIENT], INSIDE_NO_MORE_METHODS, text);
}

/* Asks control whose key this is. 1: somebody's (named in session->user), 0: nobody's, -1: cannot tell. */
static int ask_who(struct auth *auth, const char *login, ssh_string blob, struct wire_span proof,
    struct leg_failure *failure)
{
	struct session *session = auth->session;
	struct control_reply reply;
	struct rpc_ses_who_reply answer;
	int result = -1;

	int error = CONTROL_CALL(session, SES_WHO, ses_who, &reply, .flow = session->flow_id,
	    .login = wire_span_of(login),
	    .public_key = (struct wire_span){ssh_string_data(blob), ssh_string_len(blob)}, .proof = proof);
	if (error != 0 || !rpc_get_ses_who_reply(reply.body, &answer)) {
		leg_fail_control(failure, error != 0 ? error : -EPROTO);
	} else if (answer.accepted) {
		result = proof.len == 0 ||
		         (wire_span_copy(answer.user, session->user, sizeof(session->user)) &&
		             wire_span_copy(wire_span_of(login), session->login, sizeof(session->login)));
	} else {
		char text[SESSION_TEXT_MAX];
		result = 0;
		if (wire_span_copy(answer.message, text, sizeof(text)) && text[0] != '\0' &&
		    strcmp(text, auth->told) != 0) {
			snprintf(auth->told, sizeof(auth->told), "%s", text);
			show_banner(session->ssh[LEG_CLIENT], text);
		}
	}
	control_reply_free(&reply);
	return result;
}

/* A refusal counts, whether the key was only offered or proven. */
static void refuse_attempt(struct auth *auth)
{
	auth->failures++;
	auth->session->worker->counters.auth_failures++;
}

/* 1: proven and accepted, 0: go on, -1: over. */
static int take_public_key(struct auth *auth, ssh_message message, struct leg_failure *failure)
{
	enum ssh_publickey_state_e state;
	ssh_string blob = inside_offered_key(message, &state);
	struct wire_span proof = {0};
	int who = 0;

	/* Control verifies the signature itself: ours is not the word that it goes by. */
	if (blob != NULL && state == SSH_PUBLICKEY_STATE_VALID)
		proof = inside_signed_request(&auth->watch, blob);
	if (blob != NULL && (state == SSH_PUBLICKEY_STATE_NONE || proof.len > 0))
		who = ask_who(auth, ssh_message_auth_user(message), blob, proof, failure);
	ssh_string_free(blob);
	if (who < 0)
		return -1;
	if (who == 0) {
		refuse_attempt(auth);
		return ssh_message_reply_default(message) == SSH_OK ? 0 : -1;
	}
	if (state == SSH_PUBLICKEY_STATE_VALID)
		return 1; /* no answer yet: the origin has to let us in first */
	return ssh_message_auth_reply_pk_ok_simple(message) == SSH_OK ? 0 : -1;
}

/* 1: proven and accepted, 0: go on, -1: over. */
static int take_message(struct auth *auth, ssh_message message, struct leg_failure *failure)
{
	switch (ssh_message_type(message)) {
	case SSH_REQUEST_SERVICE:
		if (strcmp(ssh_message_service_service(message), "ssh-userauth") == 0)
			return ssh_message_service_reply_success(message) == SSH_OK ? 0 : -1;
		leg_fail(failure, "client_failed", "only service ssh-userauth is there before login");
		return -1;
	case SSH_REQUEST_AUTH:
		if (ssh_message_subtype(message) == SSH_AUTH_METHOD_PUBLICKEY)
			return take_public_key(auth, message, failure);
		if (ssh_message_subtype(message) != SSH_AUTH_METHOD_NONE)
			refuse_attempt(auth);
		return ssh_message_reply_default(message) == SSH_OK ? 0 : -1;
	default:
		leg_fail(failure, "client_failed", "login comes first");
		return -1;
	}
}

static int next_step(struct auth *auth, struct leg_failure *failure)
{
	ssh_session ssh = auth->session->ssh[LEG_CLIENT];
	bool unanswered;
	ssh_message message = inside_next_message(ssh, &auth->watch, &unanswered);
	int step = -1;

	if (message != NULL) {
		step = take_message(auth, message, failure);
		ssh_message_free(message);
	} else if (unanswered) {
		/* A signature that does not verify, or a key of a type that nobody here reads. */
		refuse_attempt(auth);
		step = inside_auth_failure(ssh);
	}
	if (step == 0 && (auth->failures >= auth->limit || ++auth->requests >= REQUESTS_MAX)) {
		leg_fail(failure, "auth_failed", "too many authentication failures");
		return -1;
	}
	return step;
}

int client_leg_authenticate(struct session *session, unsigned attempts, struct leg_failure *failure)
{
	struct auth auth = {.session = session, .limit = attempts};
	ssh_session ssh = session->ssh[LEG_CLIENT];
	int step = 0;

	if (inside_auth_watch_start(ssh, &auth.watch) != 0) {
		leg_fail(failure, "error", "the appliance has no memory for another session");
		return -1;
	}
	while (step == 0)
		step = next_step(&auth, failure);
	inside_auth_watch_stop(ssh, &auth.watch);
	if (step < 0 && failure->close_reason == NULL) {
		/* A client that found none of its keys good just goes. */
		if (auth.failures > 0)
			leg_fail(failure, "auth_failed", "%s", "");
		else
			fail_transport(session, failure);
	}
	return step > 0 ? 0 : -1;
}

int client_leg_admit(struct session *session, const struct inside_banners *banners)
{
	inside_pass_banners(banners, session->ssh[LEG_CLIENT]);
	return inside_auth_success(session->ssh[LEG_CLIENT]);
}
