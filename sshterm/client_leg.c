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
#include "sshterm/host_key.h"
#include "sshterm/legs.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/libssh_userauth.h"
#include "sshterm/software.h"
#include "sshterm/vsock.h"
#include "sshterm/worker.h"

/* How long a client may keep its identification string back before the origin is asked without it: some wait
 * for the server's first. */
#define LOOK_US 200000

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

static bool may_be_ssh(const uint8_t *at, uint32_t there)
{
	static const char sign[4] = {'S', 'S', 'H', '-'};

	return there == 0 || memcmp(at, sign, there < sizeof(sign) ? there : sizeof(sign)) == 0;
}

int client_leg_look(struct session *session, struct leg_failure *failure)
{
	struct vsock *sock = session->sock[LEG_CLIENT];
	uint64_t until = worker_now_us() + LOOK_US;
	const uint8_t *at = NULL;
	uint32_t there;

	/* The whole line, if it comes at once: the origin is told it. */
	while (there = vsock_peek(sock, &at), may_be_ssh(at, there) && !software_line_is_whole(at, there) &&
	                                          !vsock_at_eof(sock) && worker_now_us() < until &&
	                                          session->kill_reason[0] == '\0')
		session_wait(session, until);
	if (there == 0 && vsock_at_eof(sock)) {
		leg_fail(failure, "client_closed", "%s", "");
		return -1;
	}
	if (may_be_ssh(at, there))
		return 0;
	static const char answer[] = "Invalid SSH identification string.\r\n";
	(void)vsock_write(sock, (const uint8_t *)answer, sizeof(answer) - 1);
	leg_fail(failure, "not_ssh", "%s", "");
	return -1;
}

void client_leg_refuse_plainly(struct session *session, uint32_t reason, const char *text)
{
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
	wire_put_u32(&out, reason != 0 ? reason : INSIDE_BY_APPLICATION);
	wire_put_string(&out, text, text_len);
	wire_put_string(&out, "", 0);
	wire_put_bytes(&out, "\0\0\0\0\0\0\0\0\0\0\0", padding);
	if (!out.failed)
		(void)vsock_write(session->sock[LEG_CLIENT], packet, (uint32_t)wire_written(&out));
}

void client_leg_refuse_early(struct session *session, uint32_t reason, const char *text)
{
	static const char hello[] = "SSH-2.0-" LEGS_SOFTWARE "\r\n";

	(void)vsock_write(session->sock[LEG_CLIENT], (const uint8_t *)hello, sizeof(hello) - 1);
	client_leg_refuse_plainly(session, reason, text);
}

/* -- key exchange -- */

static void mirror_software(struct session *session, ssh_session ssh)
{
	const char *line = inside_peer_software(session->ssh[LEG_ORIGIN], true);
	char software[SOFTWARE_MAX];

	if (line == NULL)
		line = "";
	(void)software_of((const uint8_t *)line, strlen(line), software);
	software_without_login_bugs(software);
	(void)inside_set_software(ssh, software);
}

void client_leg_fail(struct session *session, struct leg_failure *failure)
{
	ssh_session ssh = session->ssh[LEG_CLIENT];
	struct vsock *sock = session->sock[LEG_CLIENT];

	if (inside_peer_text(ssh) != NULL || vsock_at_eof(sock))
		leg_fail(failure, "client_closed", "%s", "");
	else if (inside_peer_software(ssh, false) == NULL)
		leg_fail(failure, "not_ssh", "%s", "");
	else if (inside_misplaced(ssh) != 0)
		leg_fail(failure, "client_failed",
		    "your SSH program sent a message (type %u) that has no place before login is complete",
		    inside_misplaced(ssh));
	else
		leg_fail(failure, "client_failed", "%s", ssh_get_error(ssh));
}

static int set_algorithms(ssh_session ssh, const char *legacy, bool certificates)
{
	struct algorithms algorithms;

	return algorithms_of_client_leg(&algorithms, wire_span_of(legacy), certificates) &&
	               leg_set_algorithms(ssh, &algorithms) == 0 &&
	               ssh_options_set(ssh, SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, algorithms.user_keys) >= 0
	           ? 0
	           : -1;
}

int client_leg_accept(struct session *session, const char *legacy, struct inside_requests *requests,
    struct leg_failure *failure)
{
	ssh_session ssh = ssh_new();

	session->ssh[LEG_CLIENT] = ssh;
	if (ssh == NULL || ssh_bind_accept_fd(binding, ssh, vsock_fd(session->sock[LEG_CLIENT])) != SSH_OK ||
	    set_algorithms(ssh, legacy, host_key_certified(session)) != 0 ||
	    host_key_install(session, ssh) != 0 || inside_requests_start(ssh, requests) != 0) {
		leg_fail(failure, "error", "the appliance has no memory for another session");
		return -1;
	}
	inside_forget_files(ssh);
	mirror_software(session, ssh);
	if (ssh_handle_key_exchange(ssh) != SSH_OK) {
		client_leg_fail(session, failure);
		failure->reason = INSIDE_KEY_EXCHANGE_FAILED;
		return -1;
	}
	return 0;
}

/* -- authentication: userauth.c -- */

void client_leg_banner(struct session *session, const char *text)
{
	char lines[2 * CLIENT_BANNER_MAX + 4];
	size_t used = 0;

	/* Lines end as RFC 4252 section 5.4 has them. */
	for (const char *c = text; *c != '\0' && used < sizeof(lines) - 4; c++) {
		if (*c == '\n')
			lines[used++] = '\r';
		lines[used++] = *c;
	}
	if (used == 0 || lines[used - 1] != '\n') {
		lines[used++] = '\r';
		lines[used++] = '\n';
	}
	lines[used] = '\0';
	ssh_string banner = ssh_string_from_char(lines);
	if (banner != NULL)
		(void)ssh_send_issue_banner(session->ssh[LEG_CLIENT], banner);
	ssh_string_free(banner);
}

void client_leg_refuse(struct session *session, uint32_t reason, const char *text)
{
	client_leg_banner(session, text);
	inside_disconnect(session->ssh[LEG_CLIENT], reason != 0 ? reason : INSIDE_NO_MORE_METHODS, text);
}

int client_leg_admit(struct session *session)
{
	return inside_auth_success(session->ssh[LEG_CLIENT]);
}
