/* SPDX-License-Identifier: Apache-2.0 */
/* The origin leg: we are the client, with a key that lives for one session. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/algorithms.h"
#include "sshterm/control_rpc.h"
#include "sshterm/legs.h"
#include "sshterm/libssh_extensions.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/login.h"
#include "sshterm/origin_leg.h"
#include "sshterm/software.h"
#include "sshterm/vsock.h"
#include "sshterm/worker.h"

#define FIRST_LINE_SHOWN 200 /* bytes of what an origin says that is no SSH */

static int set_algorithms(ssh_session ssh, const struct origin_leg_terms *terms)
{
	struct algorithms algorithms;

	return algorithms_of_origin_leg(
	           &algorithms, wire_span_of(terms->legacy), wire_span_of(terms->host_key_algs)) &&
	               leg_set_algorithms(ssh, &algorithms) == 0
	           ? 0
	           : -1;
}

static int set_options(ssh_session ssh, struct session *session, const struct origin_leg_terms *terms)
{
	bool no = false;
	int fd = vsock_fd(session->sock[LEG_ORIGIN]);
	long timeout_s = (long)session->worker->login_grace_s + 1;
	int bad = set_algorithms(ssh, terms);

	inside_forget_files(ssh);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &no);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_HOST, "origin");
	bad |=
	    ssh_options_set(ssh, SSH_OPTIONS_USER, "nobody"); /* the login is an argument of ssh_userauth_* */
	bad |= ssh_options_set(ssh, SSH_OPTIONS_SSH_DIR, "/");
	bad |= ssh_options_set(ssh, SSH_OPTIONS_KNOWNHOSTS, "/dev/null"); /* control knows the hosts */
	bad |= ssh_options_set(ssh, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
	bad |= ssh_options_set(ssh, SSH_OPTIONS_FD, &fd);
	bad |= ssh_options_set(ssh, SSH_OPTIONS_TIMEOUT, &timeout_s);
	/* Control verifies what they say. */
	bad |= ssh_set_host_certificates(ssh, 1);
	return bad < 0 ? -1 : 0;
}

/* No identification line came. A server that takes no more connections may say so in a line of its own
 * (OpenSSH: "Exceeded MaxStartups", "Not allowed at this time"). */
static void fail_before_ssh(struct session *session, struct leg_failure *failure)
{
	const char *line = inside_peer_first_line(session->ssh[LEG_ORIGIN]);
	bool closed = vsock_at_eof(session->sock[LEG_ORIGIN]);
	const char *reason = closed ? "origin_failed" : "not_ssh";

	if (line != NULL && line[0] != '\0')
		leg_fail(failure, reason, "%s; it said: %.*s",
		    closed ? "the origin closed the connection" : "the origin does not speak SSH",
		    FIRST_LINE_SHOWN, line);
	else
		leg_fail(failure, reason, "%s",
		    closed ? "the origin closed the connection before it said anything"
		           : "the origin does not speak SSH");
}

/* What went wrong on this leg, in words for the person who waits at the client. */
void origin_leg_fail(
    struct session *session, const struct inside_answers *answers, struct leg_failure *failure)
{
	ssh_session ssh = session->ssh[LEG_ORIGIN];
	const char *said = inside_peer_text(ssh);

	if (said != NULL && answers != NULL)
		failure->reason = answers->reason;
	if (said != NULL)
		leg_fail(failure, "origin_failed", "the origin ended the connection: %s", said);
	else if (inside_peer_software(ssh, true) == NULL)
		fail_before_ssh(session, failure);
	else if (inside_has_keys(ssh) && vsock_at_eof(session->sock[LEG_ORIGIN]))
		leg_fail(failure, "origin_failed", "the origin closed the connection during login");
	else if (inside_misplaced(ssh) != 0)
		leg_fail(failure, "origin_failed",
		    "the origin sent a message (type %u) that has no place before login is complete",
		    inside_misplaced(ssh));
	else
		leg_fail(
		    failure, "origin_failed", "no secure connection to the origin: %s", ssh_get_error(ssh));
}

/* The origin is told whose packets it will get. What the client did not say yet (client_leg_look() waited) it
 * is not told. */
static int mirror_software(struct session *session, ssh_session ssh)
{
	const uint8_t *line = NULL;
	uint32_t there = vsock_peek(session->sock[LEG_CLIENT], &line);
	char software[SOFTWARE_MAX];

	(void)software_of(line, software_line_is_whole(line, there) ? there : 0, software);
	return inside_set_software(ssh, software);
}

int origin_leg_connect(
    struct session *session, const struct origin_leg_terms *terms, struct leg_failure *failure)
{
	ssh_session ssh = ssh_new();

	session->ssh[LEG_ORIGIN] = ssh;
	if (ssh != NULL)
		session->extensions = inside_extensions_start(ssh);
	if (session->extensions == NULL || set_options(ssh, session, terms) != 0 ||
	    mirror_software(session, ssh) != 0) {
		leg_fail(failure, "error", "the appliance has no memory for another session");
		return -1;
	}
	if (ssh_connect(ssh) != SSH_OK) {
		origin_leg_fail(session, NULL, failure);
		return -1;
	}
	return 0;
}

uint8_t *origin_leg_host_key(struct session *session, size_t *len)
{
	ssh_key key = NULL;
	ssh_string blob = NULL;
	uint8_t *copy = NULL;

	if (ssh_get_server_publickey(session->ssh[LEG_ORIGIN], &key) == SSH_OK)
		blob = inside_public_blob(key);
	if (blob != NULL) {
		*len = ssh_string_len(blob);
		copy = malloc(*len);
		if (copy != NULL)
			memcpy(copy, ssh_string_data(blob), *len);
	}
	ssh_string_free(blob);
	ssh_key_free(key);
	return copy;
}

/* -- login -- */

/* Puts the certificate blob that control gave onto the private key. */
static int put_certificate(ssh_key key, struct wire_span certificate)
{
	ssh_key cert = inside_read_blob(certificate.at, certificate.len);
	int rc = cert == NULL ? SSH_ERROR : ssh_pki_copy_cert_to_privkey(cert, key);

	ssh_key_free(cert);
	return rc == SSH_OK ? 0 : -1;
}

/* Has control's certificate made for this key. */
static int certify(struct session *session, ssh_key key, struct leg_failure *failure)
{
	ssh_string blob = inside_public_blob(key);
	struct control_reply reply;
	struct rpc_ses_cert_reply answer;
	int result = -1;

	if (blob == NULL) {
		leg_fail(failure, "error", "the appliance could not make a key for this session");
		return -1;
	}
	struct wire_span public = {ssh_string_data(blob), ssh_string_len(blob)};
	int error =
	    CONTROL_CALL(session, SES_CERT, ses_cert, &reply, .flow = session->flow_id, .public_key = public);
	ssh_string_free(blob);
	if (error != 0) {
		leg_fail_control(failure, error);
		return -1;
	}
	if (!rpc_get_ses_cert_reply(reply.body, &answer))
		leg_fail_control(failure, -EPROTO);
	else if (answer.error.len > 0)
		leg_fail(failure, "error", "no certificate for the origin: %.*s", (int)answer.error.len,
		    (const char *)answer.error.at);
	else if (put_certificate(key, answer.certificate) != 0)
		leg_fail(failure, "error", "the certificate for the origin does not fit this session's key");
	else
		result = 0;
	control_reply_free(&reply);
	return result;
}

static enum origin_verdict verdict_of(
    struct session *session, const struct inside_answers *answers, int rc, struct leg_failure *failure)
{
	/* A DISCONNECT during authentication reads as "denied"; its text says more. */
	if (inside_peer_text(session->ssh[LEG_ORIGIN]) == NULL) {
		if (rc == SSH_AUTH_SUCCESS)
			return ORIGIN_IN;
		if (rc == SSH_AUTH_PARTIAL)
			return ORIGIN_PARTIAL;
		if (rc == SSH_AUTH_DENIED)
			return ORIGIN_DENIED;
	}
	origin_leg_fail(session, answers, failure);
	return ORIGIN_OVER;
}

/* First of all: the origin's EXT_INFO has been read when its answer is there, which says what can continue.
 */
enum origin_verdict origin_leg_none(
    struct session *session, struct inside_answers *answers, struct leg_failure *failure)
{
	return verdict_of(
	    session, answers, ssh_userauth_none(session->ssh[LEG_ORIGIN], session->login), failure);
}

enum origin_verdict origin_leg_certificate(
    struct session *session, struct inside_answers *answers, struct leg_failure *failure)
{
	enum origin_verdict verdict = ORIGIN_OVER;
	ssh_key key = NULL;

	if (ssh_pki_generate_key(SSH_KEYTYPE_ED25519, NULL, &key) != SSH_OK)
		leg_fail(failure, "error", "the appliance could not make a key for this session");
	else if (certify(session, key, failure) == 0)
		verdict = verdict_of(session, answers,
		    ssh_userauth_publickey(session->ssh[LEG_ORIGIN], session->login, key), failure);
	ssh_key_free(key); /* wiped by libcrypto; the certificate is of no use without it */
	return verdict;
}
