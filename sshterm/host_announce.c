/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The box's host keys, told to clients that keep their known_hosts up to date (OpenSSH's PROTOCOL,
 * section 2.5): what an sshd says of its own after login. Blobs and signatures are control's and the
 * keeper's.
 */
#include <stdlib.h>
#include <string.h>

#include "sshterm/control_rpc.h"
#include "sshterm/host_key.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/refusals.h"
#include "sshterm/session.h"

#define ANNOUNCED_MAX 24576    /* bytes of an announcement */
#define PROOFS_ASKED_MAX 3     /* requests of one session: a client makes one */
#define PROOFS_KEYS_MAX 15     /* keys in one of them */
#define PROOFS_BYTES_MAX 16384 /* and their signatures */

/* Clients that OpenSSH's sshd does not tell either: they cannot cope with it. */
static bool cannot_cope(const struct session *session)
{
	static const char *const those[] = {
	    "SSH-2.0-Cisco-1.", "SSH-2.0-TTSSH/2.70", "SSH-2.0-TTSSH/2.71", "SSH-2.0-TTSSH/2.72"};
	const char *software = inside_peer_software(session->ssh[LEG_CLIENT], false);

	for (size_t i = 0; i < sizeof(those) / sizeof(those[0]); i++)
		if (software == NULL || strncmp(software, those[i], strlen(those[i])) == 0)
			return true;
	return false;
}

static size_t whole(struct wire_out *out, uint8_t **payload)
{
	if (!out->failed) {
		*payload = out->start;
		return wire_written(out);
	}
	free(out->start);
	return 0;
}

size_t host_announcement(struct session *session, uint8_t **payload)
{
	struct control_reply reply = {0};
	struct rpc_ses_host_keys_reply answer;
	size_t len = 0;

	if (session->host_keys_told)
		return 0;
	session->host_keys_told = true;
	if (cannot_cope(session) || CONTROL_ASK(session, worker_now_us() + CONTROL_ASK_US, SES_HOST_KEYS,
	                                ses_host_keys, &reply, .flow = session->flow_id) != 0)
		return 0;
	uint8_t *room = malloc(ANNOUNCED_MAX);
	if (room != NULL && rpc_get_ses_host_keys_reply(reply.body, &answer) && answer.keys.len > 0) {
		struct wire_out out = wire_into(room, ANNOUNCED_MAX);
		wire_put_u8(&out, CONN_GLOBAL_REQUEST);
		wire_put_cstring(&out, "hostkeys-00@openssh.com");
		wire_put_u8(&out, 0);
		wire_put_bytes(&out, answer.keys.at, answer.keys.len);
		len = whole(&out, payload);
	} else {
		free(room);
	}
	control_reply_free(&reply);
	return len;
}

static bool put_proof(struct session *session, uint64_t until_us, struct wire_span key, struct wire_out *out)
{
	struct control_reply reply = {0};
	struct rpc_ses_host_prove_reply answer;
	bool good =
	    CONTROL_ASK(session, until_us, SES_HOST_PROVE, ses_host_prove, &reply, .flow = session->flow_id,
	        .public_key = key, .algorithm = wire_span_of(host_key_algorithm(session))) == 0 &&
	    rpc_get_ses_host_prove_reply(reply.body, &answer) && answer.error.len == 0;

	if (good)
		wire_put_string(out, answer.signature.at, answer.signature.len);
	control_reply_free(&reply);
	return good;
}

size_t host_proofs(struct session *session, struct wire_span keys, uint8_t **payload)
{
	struct wire in = wire_over(keys.at, keys.len);
	/* Nothing else of the session moves meanwhile: all keys have the time of one question. */
	uint64_t until_us = worker_now_us() + CONTROL_ASK_US;
	uint8_t *room = session->host_key_proofs++ < PROOFS_ASKED_MAX ? malloc(PROOFS_BYTES_MAX) : NULL;
	bool good = room != NULL && wire_left(&in) > 0;

	if (room == NULL)
		return 0;
	struct wire_out out = wire_into(room, PROOFS_BYTES_MAX);
	wire_put_u8(&out, CONN_REQUEST_SUCCESS);
	for (unsigned i = 0; good && wire_left(&in) > 0; i++) {
		struct wire_span key = wire_string(&in);
		good = i < PROOFS_KEYS_MAX && !in.failed && put_proof(session, until_us, key, &out);
	}
	if (good)
		return whole(&out, payload);
	free(room);
	return 0;
}
