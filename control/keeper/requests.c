/* SPDX-License-Identifier: Apache-2.0 */
/* What control may ask. Control itself may be taken over: each request is judged by the keeper's own rules.
 */
#include "control/keeper/host_keys.h"
#include "control/keeper/totp.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define EVIDENCE_MAX (64 * 1024)
/* Separates evidence from whatever else might ever be signed with that key. */
#define EVIDENCE_PREFIX "portreeve evidence 1"

static struct wire_span written(const struct wire_out *out)
{
	return (struct wire_span){out->start, wire_written(out)};
}

/* -- certificates -- */

/* May this be certified at all, by this CA, for so long? Sets error where it may not. */
static void judge(
    const struct keeper *keeper, const struct rpc_key_certify *body, char error[KEEPER_ERROR_MAX])
{
	char session_id[KEEPER_SESSION_ID_MAX];
	uint64_t longest = body->ca == RPC_CA_USER ? KEEPER_USER_VALIDITY_S : KEEPER_CLIENT_VALIDITY_S;

	if (body->ca != RPC_CA_USER && body->ca != RPC_CA_CLIENT)
		snprintf(error, KEEPER_ERROR_MAX, "the host CA signs no user certificates");
	else if (body->ca == RPC_CA_USER &&
	         (!wire_span_copy(body->session_id, session_id, sizeof(session_id)) ||
	             live_target(keeper->live, session_id) == NULL))
		snprintf(
		    error, KEEPER_ERROR_MAX, "no live session: the user CA signs for live sessions only");
	else if (body->ca == RPC_CA_CLIENT && body->session_id.len != 0)
		snprintf(error, KEEPER_ERROR_MAX, "the client CA does not sign for sessions");
	else
		(void)certificate_timely(
		    body->valid_after, body->valid_before, keeper->now_s(), longest, error);
}

static int on_certify(void *context, struct rpc_link *link, struct rpc_message *message)
{
	static uint8_t room[KEEPER_CERTIFICATE_MAX];
	struct keeper *keeper = context;
	struct rpc_key_certify body;
	char error[KEEPER_ERROR_MAX] = "";
	struct wire_out out = wire_into(room, sizeof(room));

	if (!rpc_get_key_certify(message->body, &body) || ca_name(body.ca) == NULL)
		return -EPROTO;
	struct certificate certificate = {
	    .public_key = body.public_key,
	    .serial = body.serial,
	    .key_id = body.key_id,
	    .principals = body.principals,
	    .valid_after = body.valid_after,
	    .valid_before = body.valid_before,
	    .force_command = body.force_command,
	    .source_address = body.source_address,
	    .permits = body.permits,
	};
	judge(keeper, &body, error);
	if (error[0] != '\0' || !certificate_make(&keeper->keyring, body.ca, &certificate, &out, error)) {
		rpc_log(RPC_LOG_WARNING, "refused a certificate by the %s CA: %s", ca_name(body.ca), error);
		out = wire_into(room, sizeof(room));
	}
	return RPC_SEND(link, KEY_CERTIFY_REPLY, key_certify_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(error), .certificate = written(&out));
}

/* -- sessions -- */

static int on_session(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_session body;
	char session_id[KEEPER_SESSION_ID_MAX], target_id[KEEPER_TARGET_ID_MAX];
	uint8_t seed[HOST_SEED_ID_SIZE];

	(void)link;
	if (!rpc_get_key_session(message->body, &body) || body.live > 1 || body.session_id.len == 0 ||
	    (body.seed.len != 0 && body.seed.len != sizeof(seed)) ||
	    !wire_span_copy(body.session_id, session_id, sizeof(session_id)) ||
	    !wire_span_copy(body.target_id, target_id, sizeof(target_id)))
		return -EPROTO;
	if (body.live == 0)
		live_remove(keeper->live, session_id);
	else if (!live_add(keeper->live, session_id, target_id))
		rpc_log(RPC_LOG_ERROR, "session %s: %u sessions are live, no more are signed for", session_id,
		    live_count(keeper->live));
	if (body.seed.len > 0) {
		memcpy(seed, body.seed.at, sizeof(seed));
		live_set_seed(keeper->live, session_id, seed);
	} else if (live_seed(keeper->live, session_id) == NULL) {
		host_keys_seed_id(keeper->host_keys, HOST_SEED_CURRENT, seed);
		live_set_seed(keeper->live, session_id, seed);
	}
	host_seed_look(keeper);
	return 0;
}

/* -- evidence -- */

static int on_evidence(void *context, struct rpc_link *link, struct rpc_message *message)
{
	static uint8_t room[EVIDENCE_MAX + sizeof(EVIDENCE_PREFIX)];
	struct keeper *keeper = context;
	struct rpc_key_evidence body;
	uint8_t signature[KEEPER_SIGNATURE_SIZE], public_key[KEEPER_PUBLIC_SIZE];
	struct wire_out out = wire_into(room, sizeof(room));

	if (!rpc_get_key_evidence(message->body, &body))
		return -EPROTO;
	wire_put_bytes(&out, EVIDENCE_PREFIX, sizeof(EVIDENCE_PREFIX)); /* with its NUL */
	wire_put_bytes(&out, body.text.at, body.text.len);
	if (out.failed)
		return RPC_SEND(link, KEY_EVIDENCE_REPLY, key_evidence_reply, RPC_FLAG_REPLY, message->id,
		    .error = wire_span_of("the text is too long to be signed"));
	if (!keyring_sign(&keeper->keyring, KEYRING_EVIDENCE, room, wire_written(&out), signature) ||
	    !keyring_public(&keeper->keyring, KEYRING_EVIDENCE, public_key))
		return RPC_SEND(link, KEY_EVIDENCE_REPLY, key_evidence_reply, RPC_FLAG_REPLY, message->id,
		    .error = wire_span_of("there is no evidence key"));
	return RPC_SEND(link, KEY_EVIDENCE_REPLY, key_evidence_reply, RPC_FLAG_REPLY, message->id,
	    .signature = {signature, sizeof(signature)}, .public_key = {public_key, sizeof(public_key)});
}

static const struct rpc_handler handlers[] = {
    {RPC_KEY_CA, RPC_FROM(RPC_CONTROL), ~0u, on_ca},
    {RPC_KEY_CERTIFY, RPC_FROM(RPC_CONTROL), ~0u, on_certify},
    {RPC_KEY_SESSION, RPC_FROM(RPC_CONTROL), ~0u, on_session},
    {RPC_KEY_HOST, RPC_FROM(RPC_CONTROL), ~0u, on_host},
    {RPC_KEY_HOST_SIGN, RPC_FROM(RPC_CONTROL), ~0u, on_host_sign},
    {RPC_KEY_HOST_PROVE, RPC_FROM(RPC_CONTROL), ~0u, on_host_prove},
    {RPC_KEY_HOST_SEED, RPC_FROM(RPC_CONTROL), ~0u, on_host_seed},
    {RPC_KEY_EVIDENCE, RPC_FROM(RPC_CONTROL), ~0u, on_evidence},
    {RPC_KEY_CERTIFY_HOST, RPC_FROM(RPC_CONTROL), ~0u, on_certify_host},
    {RPC_KEY_SEAL, RPC_FROM(RPC_CONTROL), ~0u, on_seal},
    {RPC_KEY_TOTP_ENROL, RPC_FROM(RPC_CONTROL), ~0u, on_totp_enrol},
    {RPC_KEY_TOTP_CHECK, RPC_FROM(RPC_CONTROL), ~0u, on_totp_check},
    {RPC_KEY_TOTP_REMOVE, RPC_FROM(RPC_CONTROL), ~0u, on_totp_remove},
    {RPC_KEY_VAULT_PUT, RPC_FROM(RPC_CONTROL), ~0u, on_vault_put},
    {RPC_KEY_VAULT_LIST, RPC_FROM(RPC_CONTROL), ~0u, on_vault_list},
    {RPC_KEY_VAULT_REMOVE, RPC_FROM(RPC_CONTROL), ~0u, on_vault_remove},
    {RPC_KEY_SECRET, RPC_FROM(RPC_CONTROL), ~0u, on_secret},
    {RPC_KEY_SECRET_SIGN, RPC_FROM(RPC_CONTROL), ~0u, on_secret_sign},
};

int requests_take(struct keeper *keeper, struct rpc_link *control, struct rpc_message *message)
{
	return rpc_dispatch(handlers, sizeof(handlers) / sizeof(handlers[0]), 1, keeper, control, message);
}
