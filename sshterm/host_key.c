/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/host_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libssh/callbacks.h>

#include "sshterm/control_rpc.h"
#include "sshterm/worker.h"

#define PLAIN "ssh-ed25519"
#define CERTIFIED "-cert-v01@openssh.com"

struct host_key {
	ssh_string public, certificate; /* of type ssh-ed25519; certificate: NULL, there is none */
	unsigned exchanges;             /* that showed the certificate */
	char algorithm[64];             /* of the key exchange under way, a certificate's as its key's */
};

static ssh_string copy(struct wire_span span)
{
	ssh_string string = span.len == 0 ? NULL : ssh_string_new(span.len);

	if (string != NULL && ssh_string_fill(string, span.at, span.len) != 0) {
		ssh_string_free(string);
		string = NULL;
	}
	return string;
}

/* NULL has nothing. */
static struct wire_span span_of(ssh_string string)
{
	return string == NULL ? (struct wire_span){0}
	                      : (struct wire_span){ssh_string_data(string), ssh_string_len(string)};
}

int host_key_set(struct session *session, struct wire_span public, struct wire_span certificate)
{
	host_key_free(session);
	session->host_key = calloc(1, sizeof(*session->host_key));
	if (session->host_key == NULL)
		return -ENOMEM;
	session->host_key->public = copy(public);
	session->host_key->certificate = copy(certificate);
	return session->host_key->public != NULL &&
	               (certificate.len == 0 || session->host_key->certificate != NULL)
	           ? 0
	           : -ENOMEM;
}

void host_key_free(struct session *session)
{
	if (session->host_key == NULL)
		return;
	ssh_string_free(session->host_key->public);
	ssh_string_free(session->host_key->certificate);
	free(session->host_key);
	session->host_key = NULL;
}

bool host_key_certified(const struct session *session)
{
	return session->host_key->certificate != NULL;
}

const char *host_key_algorithm(const struct session *session)
{
	return session->host_key == NULL ? "" : session->host_key->algorithm;
}

static ssh_string ask_control(struct session *session, const char *algorithm, bool certificate)
{
	struct control_reply reply;
	struct rpc_ses_host_key_reply answer;
	ssh_string blob = NULL;

	int error = CONTROL_CALL(session, SES_HOST_KEY, ses_host_key, &reply, .flow = session->flow_id,
	    .algorithm = wire_span_of(algorithm));
	if (error != 0)
		return NULL;
	if (rpc_get_ses_host_key_reply(reply.body, &answer) && answer.error.len == 0)
		blob = copy(certificate ? answer.host_certificate : answer.host_public);
	control_reply_free(&reply);
	return blob;
}

static ssh_string give_key(ssh_session ssh, const char *algorithm, void *userdata)
{
	struct session *session = userdata;
	struct host_key *key = session->host_key;
	const char *suffix = strstr(algorithm, CERTIFIED);
	size_t len = suffix == NULL ? strlen(algorithm) : (size_t)(suffix - algorithm);
	ssh_string blob;

	(void)ssh;
	if (len >= sizeof(key->algorithm))
		return NULL;
	memcpy(key->algorithm, algorithm, len);
	key->algorithm[len] = '\0';
	if (strcmp(key->algorithm, PLAIN) != 0)
		blob = ask_control(session, algorithm, suffix != NULL);
	else if (suffix != NULL && key->exchanges++ == 0)
		blob = copy(span_of(key->certificate));
	else if (suffix != NULL) /* days later the first one may have expired */
		blob = ask_control(session, algorithm, true);
	else
		blob = copy(span_of(key->public));
	if (blob == NULL)
		rpc_log(RPC_LOG_WARNING, "session %s: there is no host key for %s", session->session_id,
		    algorithm);
	return blob;
}

/* Control has the keeper sign, for this session's target only. */
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
	    .hash = (struct wire_span){hash, hash_len},
	    .algorithm = wire_span_of(session->host_key->algorithm));
	if (error != 0)
		return NULL;
	if (rpc_get_ses_sign_reply(reply.body, &answer) && answer.error.len == 0)
		signature = copy(answer.signature);
	if (signature == NULL)
		rpc_log(RPC_LOG_WARNING, "session %s: the host key did not sign", session->session_id);
	control_reply_free(&reply);
	return signature;
}

int host_key_install(struct session *session, ssh_session ssh)
{
	return ssh_set_hostkey_callback(ssh, give_key, session) == SSH_OK &&
	               ssh_set_hostkey_sign_callback(ssh, sign_hash, session) == SSH_OK
	           ? 0
	           : -1;
}
