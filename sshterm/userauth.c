/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/userauth.h"

#include <stdio.h>
#include <string.h>

#include "sshterm/client_leg.h"
#include "sshterm/legs.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/origin_leg.h"
#include "sshterm/vsock.h"
#include "sshterm/worker.h"

#define PACKETS_MAX 200         /* before login: none, keys offered and proven, answers in dialogues */
#define UNSENT_MAX (64u * 1024) /* for a client that is read */

void userauth_request_free(struct userauth_request *request)
{
	inside_packet_wipe(&request->packet);
	ssh_message_free(request->message);
	*request = (struct userauth_request){0};
}

void userauth_start(struct userauth *auth, struct session *session, struct inside_answers *answers,
    unsigned attempts, const char *notice)
{
	auth->session = session;
	auth->answers = answers;
	auth->limit = attempts;
	auth->notice = notice[0] != '\0' ? notice : NULL;
}

void userauth_offer(struct userauth *auth, bool publickey, bool keyboard, bool password)
{
	snprintf(auth->methods, sizeof(auth->methods), "%s%s%s%s%s", publickey ? "publickey" : "",
	    publickey && (keyboard || password) ? "," : "", keyboard ? "keyboard-interactive" : "",
	    keyboard && password ? "," : "", password ? "password" : "");
}

/* -- taking -- */

static int read_request(struct userauth *auth, struct userauth_request *request, struct leg_failure *failure)
{
	struct userauth_words words;

	if (!userauth_words((struct wire_span){request->packet.bytes, request->packet.len}, &words)) {
		leg_fail(failure, "client_failed", "this is no authentication request");
		return -1;
	}
	request->method = words.method;
	request->offered = words.offered;
	request->key = words.key;
	if (!wire_span_copy(words.login, request->login, sizeof(request->login)))
		request->method = USERAUTH_OTHER;
	/* The origin has heard, or a second factor has been given for, one name. */
	if (auth->session->login[0] != '\0' && strcmp(auth->session->login, request->login) != 0) {
		leg_fail(failure, "client_failed", "the login name cannot be changed any more");
		return -1;
	}
	return 0;
}

static int take_service(ssh_message message, struct leg_failure *failure)
{
	int rc = SSH_ERROR;

	if (ssh_message_type(message) != SSH_REQUEST_SERVICE)
		leg_fail(failure, "client_failed", "login comes first");
	else if (strcmp(ssh_message_service_service(message), "ssh-userauth") != 0)
		leg_fail(failure, "client_failed", "only service ssh-userauth is there before login");
	else
		rc = ssh_message_service_reply_success(message);
	ssh_message_free(message);
	return rc == SSH_OK ? 0 : -1;
}

/* RFC 4252 section 5.4: any time before authentication is successful; a client may be silent until it saw it.
 */
static void show_notice(struct userauth *auth)
{
	if (auth->notice == NULL)
		return;
	client_leg_banner(auth->session, auth->notice);
	auth->notice = NULL;
}

static int take_packet(struct userauth *auth, struct userauth_request *request, struct leg_failure *failure)
{
	enum inside_taken taken = inside_requests_take(
	    auth->session->ssh[LEG_CLIENT], &auth->requests, &request->packet, &request->message);

	if (taken == INSIDE_TAKEN_NOTHING)
		return 0;
	if (++auth->taken > PACKETS_MAX) {
		leg_fail(failure, "auth_failed", "too many authentication requests");
		return -1;
	}
	if (taken == INSIDE_TAKEN_SERVICE) {
		ssh_message message = request->message;
		request->message = NULL;
		if (take_service(message, failure) != 0)
			return -1;
		show_notice(auth);
		return 2;
	}
	show_notice(auth);
	return request->packet.type != USERAUTH_REQUEST || read_request(auth, request, failure) == 0 ? 1 : -1;
}

int userauth_take(struct userauth *auth, struct userauth_request *request, struct leg_failure *failure)
{
	int taken;

	*request = (struct userauth_request){0};
	/* A signature that was not verified is a wrong one to libssh; but nobody is there to be refused. */
	if (auth->session->withdrawn) {
		client_leg_fail(auth->session, failure);
		return -1;
	}
	if (auth->requests.overflow) {
		leg_fail(failure, "client_failed", "an authentication request is too long");
		return -1;
	}
	do {
		taken = take_packet(auth, request, failure);
	} while (taken == 2);
	if (taken < 0)
		userauth_request_free(request);
	return taken;
}

/* -- waiting -- */

static bool is_over(const struct session *session)
{
	return session->kill_reason[0] != '\0' || session->lost != NULL || session->gone ||
	       worker_now_us() >= session->login_deadline_us;
}

/* Takes in all that is there. False: the leg is over. */
static bool pump_origin(struct session *session, bool *moved)
{
	const uint8_t *at, *next;
	uint32_t left = vsock_peek(session->sock[LEG_ORIGIN], &at);

	while (left > 0) {
		if (!inside_pump(session->ssh[LEG_ORIGIN]))
			return false;
		uint32_t then = vsock_peek(session->sock[LEG_ORIGIN], &next);
		if (then == left && next == at)
			break;
		*moved = true;
		left = then;
		at = next;
	}
	return inside_pump(session->ssh[LEG_ORIGIN]);
}

/* Takes in what is there up to the next request or answer. A stranger who does not take what they are sent
 * is not read, either. */
static bool pump_client(struct userauth *auth, bool *moved)
{
	struct session *session = auth->session;
	ssh_session ssh = session->ssh[LEG_CLIENT];
	const uint8_t *at, *next;
	uint32_t left, then = vsock_peek(session->sock[LEG_CLIENT], &next);
	bool full, took;

	do {
		left = then;
		at = next;
		if (!auth->requests.leaving && inside_flush(ssh) > UNSENT_MAX)
			return true;
		if (!inside_requests_pump(ssh, &auth->requests, &full))
			return false;
		then = vsock_peek(session->sock[LEG_CLIENT], &next);
		took = then != left || next != at;
		*moved = *moved || took || full;
	} while (took && then > 0 && (!full || auth->requests.leaving));
	return true;
}

/* A client that goes while its request is judged is gone, whatever it had still said. */
static bool client_stays(struct userauth *auth, bool *moved)
{
	if (!vsock_has_ended(auth->session->sock[LEG_CLIENT]))
		return true;
	auth->requests.leaving = true;
	return pump_client(auth, moved);
}

static int wait_for(struct userauth *auth, bool client, struct leg_failure *failure)
{
	struct session *session = auth->session;
	bool moved = false;

	if (!(client ? pump_client(auth, &moved) : client_stays(auth, &moved))) {
		client_leg_fail(session, failure);
		return -1;
	}
	if (!pump_origin(session, &moved)) {
		origin_leg_fail(session, auth->answers, failure);
		return -1;
	}
	if (is_over(session)) {
		leg_fail(failure, "killed", "%s", ""); /* whoever ended it has the reason */
		return -1;
	}
	(void)inside_flush(
	    session->ssh[LEG_CLIENT]); /* what is left goes when there is room, which wakes us */
	(void)inside_flush(session->ssh[LEG_ORIGIN]);
	if (!moved)
		session_wait(session, session->login_deadline_us);
	return 0;
}

int userauth_wait_for_client(struct userauth *auth, struct leg_failure *failure)
{
	return wait_for(auth, true, failure);
}

int userauth_wait_for_origin(struct userauth *auth, struct leg_failure *failure)
{
	return wait_for(auth, false, failure);
}

int userauth_next(struct userauth *auth, struct userauth_request *request, struct leg_failure *failure)
{
	for (;;) {
		int taken = userauth_take(auth, request, failure);
		if (taken < 0)
			return -1;
		if (taken > 0 && request->packet.type == USERAUTH_REQUEST)
			return 0;
		if (taken > 0)
			userauth_request_free(request); /* late: its dialogue is over */
		else if (userauth_wait_for_client(auth, failure) != 0)
			return -1;
	}
}

int userauth_response(struct userauth *auth, struct userauth_request *response, struct leg_failure *failure)
{
	*response = (struct userauth_request){0};
	while (auth->requests.next.type != USERAUTH_REQUEST) {
		int taken = userauth_take(auth, response, failure);
		if (taken != 0)
			return taken;
		if (userauth_wait_for_client(auth, failure) != 0)
			return -1;
	}
	return 0;
}

void userauth_pause(struct userauth *auth, uint64_t us)
{
	uint64_t until = worker_now_us() + us;

	while (worker_now_us() < until && !is_over(auth->session))
		session_wait(auth->session, until);
}

/* -- answering -- */

static int send_failure(struct userauth *auth, bool partial, struct leg_failure *failure)
{
	if (inside_send_failure(auth->session->ssh[LEG_CLIENT], auth->methods, partial) == 0)
		return 0;
	client_leg_fail(auth->session, failure);
	return -1;
}

int userauth_refuse(struct userauth *auth, struct leg_failure *failure)
{
	auth->session->worker->counters.auth_failures++;
	if (++auth->failures >= auth->limit) {
		leg_fail(failure, "auth_failed", "too many authentication failures");
		return -1;
	}
	return send_failure(auth, false, failure);
}

int userauth_pass_over(struct userauth *auth, struct leg_failure *failure)
{
	return send_failure(auth, false, failure);
}

int userauth_continue(struct userauth *auth, struct leg_failure *failure)
{
	return send_failure(auth, true, failure);
}

void userauth_tell(struct userauth *auth, const char *text)
{
	if (text[0] == '\0' || strcmp(text, auth->told) == 0)
		return;
	snprintf(auth->told, sizeof(auth->told), "%s", text);
	client_leg_banner(auth->session, text);
}
