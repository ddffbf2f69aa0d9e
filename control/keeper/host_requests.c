/* SPDX-License-Identifier: Apache-2.0 */
/* What control may ask of the host keys. */
#include <errno.h>
#include <string.h>

#include "control/keeper/host_wait.h"

#define HASH_MIN 20 /* of an exchange hash, RFC 4253 section 8: SHA-1 … */
#define HASH_MAX 64 /* … to SHA-512 */

static struct wire_span written(const struct wire_out *out)
{
	return (struct wire_span){out->start, wire_written(out)};
}

static const char busy[] = "too many RSA host keys are asked for at once; try again in a moment";

int on_host(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_host body;
	uint8_t blob[HOST_KEY_BLOB_MAX], id[HOST_SEED_ID_SIZE] = {0};
	char target_id[KEEPER_TARGET_ID_MAX];
	const char *error = "";
	struct wire_out out = wire_into(blob, sizeof(blob));

	if (!rpc_get_key_host(message->body, &body) || body.next > HOST_SEED_PREVIOUS ||
	    !wire_span_copy(body.target_id, target_id, sizeof(target_id)))
		return -EPROTO;
	enum host_seed seed = (enum host_seed)body.next;
	enum host_waiting waiting = host_wait_for(keeper, message, seed, target_id, body.type);
	if (waiting == HOST_WAITS)
		return 0;
	if (waiting == HOST_WAIT_FULL)
		error = busy;
	else if (!host_keys_has(keeper->host_keys, seed))
		error = "there is no such host-key seed";
	else if (!host_keys_public(keeper->host_keys, seed, target_id, body.type, &out))
		error = "the target has no id, or there are no host keys of this type";
	else
		host_keys_seed_id(keeper->host_keys, seed, id);
	if (error[0] != '\0')
		out = wire_into(blob, sizeof(blob));
	return RPC_SEND(link, KEY_HOST_REPLY, key_host_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(error), .public_key = written(&out), .seed = {id, sizeof(id)});
}

/* What signs. */
struct signer {
	const char *target_id;
	enum host_seed seed;
	struct wire_span algorithm;
};

/* NULL, or why it is not signed. */
static const char *find_signer(const struct keeper *keeper, const char *session_id,
    const struct rpc_key_host_sign *body, struct signer *signer)
{
	const uint8_t *seed_id = live_seed(keeper->live, session_id);

	signer->target_id = live_target(keeper->live, session_id);
	signer->algorithm = body->algorithm.len > 0 ? body->algorithm : wire_span_of("ssh-ed25519");
	if (signer->target_id == NULL)
		return "no live session: host keys sign for live sessions only";
	if (body->hash.len < HASH_MIN || body->hash.len > HASH_MAX)
		return "an exchange hash has 20 to 64 bytes";
	if (signer->target_id[0] == '\0')
		return "the session has no target yet";
	if (seed_id == NULL || !host_keys_by_id(keeper->host_keys, seed_id, &signer->seed))
		return "the host-key seed that the session began with is forgotten";
	return NULL;
}

/* True: the request is put off until the signer's key has been searched for. Otherwise *error says what is
 * wrong so far. */
static bool put_off(
    struct keeper *keeper, struct rpc_message *message, const struct signer *signer, const char **error)
{
	if (*error != NULL)
		return false;
	enum host_waiting waiting = host_wait_for(
	    keeper, message, signer->seed, signer->target_id, host_keys_type(signer->algorithm));
	if (waiting == HOST_WAIT_FULL)
		*error = busy;
	return waiting == HOST_WAITS;
}

int on_host_sign(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_host_sign body;
	uint8_t blob[HOST_KEY_SIGNATURE_MAX];
	char session_id[KEEPER_SESSION_ID_MAX];
	struct signer signer;
	struct wire_out out = wire_into(blob, sizeof(blob));

	if (!rpc_get_key_host_sign(message->body, &body) ||
	    !wire_span_copy(body.session_id, session_id, sizeof(session_id)))
		return -EPROTO;
	const char *error = find_signer(keeper, session_id, &body, &signer);
	if (put_off(keeper, message, &signer, &error))
		return 0;
	if (error == NULL && !host_keys_sign(keeper->host_keys, signer.seed, signer.target_id,
	                         signer.algorithm, body.hash, &out))
		error = "there is no host key for this algorithm";
	if (error != NULL) {
		rpc_log(RPC_LOG_WARNING, "refused to sign with a host key: %s", error);
		out = wire_into(blob, sizeof(blob));
	}
	return RPC_SEND(link, KEY_HOST_SIGN_REPLY, key_host_sign_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(error == NULL ? "" : error), .signature = written(&out));
}

/* What the client will verify, which can be taken for nothing else that a host key signs: an exchange hash is
 * shorter. */
static bool put_proof(struct wire_out *out, struct wire_span identifier, struct wire_span public_key)
{
	wire_put_cstring(out, "hostkeys-prove-00@openssh.com");
	wire_put_string(out, identifier.at, identifier.len);
	wire_put_string(out, public_key.at, public_key.len);
	return !out->failed;
}

/* NULL, or why it is not signed. */
static const char *find_prover(const struct keeper *keeper, const char *session_id,
    const struct rpc_key_host_prove *body, struct signer *signer)
{
	signer->target_id = live_target(keeper->live, session_id);
	signer->algorithm = body->algorithm;
	if (signer->target_id == NULL || signer->target_id[0] == '\0')
		return "no live session with a target: host keys prove themselves in such ones only";
	if (body->identifier.len < HASH_MIN || body->identifier.len > HASH_MAX)
		return "a session's identifier has 20 to 64 bytes";
	if (body->seed.len != HOST_SEED_ID_SIZE ||
	    !host_keys_any_by_id(keeper->host_keys, body->seed.at, &signer->seed))
		return "there is no such host-key seed";
	return NULL;
}

static const char *prove(const struct keeper *keeper, const struct signer *signer,
    struct wire_span identifier, struct wire_out *signature)
{
	uint8_t blob[HOST_KEY_BLOB_MAX], text[HOST_KEY_BLOB_MAX + HASH_MAX + 64];
	struct wire_out public_key = wire_into(blob, sizeof(blob)), out = wire_into(text, sizeof(text));

	if (!host_keys_public(keeper->host_keys, signer->seed, signer->target_id,
	        host_keys_type(signer->algorithm), &public_key) ||
	    !put_proof(&out, identifier, written(&public_key)) ||
	    !host_keys_sign(keeper->host_keys, signer->seed, signer->target_id, signer->algorithm,
	        written(&out), signature))
		return "there is no host key for this algorithm";
	return NULL;
}

int on_host_prove(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_host_prove body;
	uint8_t blob[HOST_KEY_SIGNATURE_MAX];
	char session_id[KEEPER_SESSION_ID_MAX];
	struct signer signer;
	struct wire_out out = wire_into(blob, sizeof(blob));

	if (!rpc_get_key_host_prove(message->body, &body) ||
	    !wire_span_copy(body.session_id, session_id, sizeof(session_id)))
		return -EPROTO;
	const char *error = find_prover(keeper, session_id, &body, &signer);
	if (put_off(keeper, message, &signer, &error))
		return 0;
	if (error == NULL)
		error = prove(keeper, &signer, body.identifier, &out);
	if (error != NULL) {
		rpc_log(RPC_LOG_WARNING, "a host key was not proven: %s", error);
		out = wire_into(blob, sizeof(blob));
	}
	return RPC_SEND(link, KEY_HOST_PROVE_REPLY, key_host_prove_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(error == NULL ? "" : error), .signature = written(&out));
}

static const char *do_with_seed(struct keeper *keeper, uint8_t action)
{
	int error = 0;

	if (action == RPC_HOST_SEED_ROTATE)
		error = host_keys_rotate(keeper->host_keys);
	else if (action == RPC_HOST_SEED_COMMIT)
		error = host_keys_commit(keeper->host_keys);
	else if (action == RPC_HOST_SEED_ABANDON)
		error = host_keys_abandon(keeper->host_keys);
	if (error == 0 && action == RPC_HOST_SEED_COMMIT)
		keeper->look_at_previous_at = keeper->now_s() + PREVIOUS_NEEDED_S;
	if (error == -EEXIST)
		return "there is a next host-key seed already; commit it, or abandon it";
	if (error == -ENOENT)
		return "there is no next host-key seed; make it with: reeve host-key rotate";
	return error == 0 ? "" : strerror(-error);
}

void host_seed_look(struct keeper *keeper)
{
	uint8_t previous[HOST_SEED_ID_SIZE];
	uint64_t now = keeper->now_s();

	if (!host_keys_has(keeper->host_keys, HOST_SEED_PREVIOUS) || now < keeper->look_at_previous_at)
		return;
	keeper->look_at_previous_at = now + PREVIOUS_NEEDED_S;
	host_keys_seed_id(keeper->host_keys, HOST_SEED_PREVIOUS, previous);
	if (!live_needs_seed(keeper->live, previous) ||
	    host_keys_previous_age(keeper->host_keys, now) > PREVIOUS_MAX_S)
		host_keys_forget_previous(keeper->host_keys);
}

int host_seed_look_in_ms(const struct keeper *keeper)
{
	uint64_t now = keeper->now_s(), left = 0;

	if (keeper->host_keys == NULL || !host_keys_has(keeper->host_keys, HOST_SEED_PREVIOUS))
		return -1;
	if (keeper->look_at_previous_at > now)
		left = keeper->look_at_previous_at - now;
	return (int)(left < PREVIOUS_NEEDED_S ? left : PREVIOUS_NEEDED_S) * 1000;
}

int on_host_seed(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_host_seed body;
	uint8_t current[HOST_SEED_ID_SIZE], next[HOST_SEED_ID_SIZE];

	if (!rpc_get_key_host_seed(message->body, &body) || body.action > RPC_HOST_SEED_ABANDON)
		return -EPROTO;
	const char *error = do_with_seed(keeper, body.action);
	bool has_next = host_keys_has(keeper->host_keys, HOST_SEED_NEXT);
	host_keys_seed_id(keeper->host_keys, HOST_SEED_CURRENT, current);
	if (has_next)
		host_keys_seed_id(keeper->host_keys, HOST_SEED_NEXT, next);
	return RPC_SEND(link, KEY_HOST_SEED_REPLY, key_host_seed_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(error), .current = {current, sizeof(current)},
	    .next = {next, has_next ? sizeof(next) : 0});
}
