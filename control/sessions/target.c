/* SPDX-License-Identifier: Apache-2.0 */
/* Is this the right origin? And which host key does the client see for it? */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "control/identity/host_keys.h"
#include "control/sessions/origin_key.h"

static void answer_target(struct peer *worker, uint32_t id, uint8_t verdict, const char *message,
    const char *target_id, const struct host_key_row *row)
{
	struct wire_span none = {0};

	PEER_REPLY(worker, id, SES_TARGET_REPLY, ses_target_reply, .verdict = verdict,
	    .message = wire_span_of(message), .target_id = wire_span_of(target_id),
	    .host_public = row == NULL ? none : (struct wire_span){row->public_key, row->public_len},
	    .host_certificate =
	        row == NULL ? none : (struct wire_span){row->certificate, row->certificate_len});
}

static void host_key_there(struct control *control, struct session *session,
    const struct keeper_question *question, const char *error, const struct host_key_row *row)
{
	struct peer *worker = &control->peers.workers[session->worker];

	if (row == NULL)
		answer_target(worker, question->request_id, RPC_TARGET_REFUSED, error, "", NULL);
	else
		answer_target(worker, question->request_id, question->verdict, "", session->target_id, row);
}

/* The origin is accepted: the keeper hears that the session lives, and says which key the client leg shows.
 */
static void accept_target(
    struct control *control, struct session *session, uint32_t request_id, uint8_t verdict)
{
	if (!session->has_seed && control->host_seed_known) {
		memcpy(session->host_seed, control->host_seed, sizeof(session->host_seed));
		session->has_seed = true;
	}
	history_update(control, session);
	if (session->has_seed) /* else once it is known */
		session_tell_keeper(control, session, true);
	if (!session_show_host_key(
	        control, session, request_id, "ssh-ed25519", false, verdict, host_key_there))
		answer_target(&control->peers.workers[session->worker], request_id, RPC_TARGET_REFUSED,
		    keeper_failure(-ENOMEM), "", NULL);
}

void session_forget_target(struct control *control, struct session *session)
{
	if (session->target_id[0] != '\0')
		session_tell_keeper(control, session, false);
	session->target_id[0] = '\0';
}

/* Whatever was accepted before: nothing is signed, certified or taken from the vault from here on, not after
 * a restart either. The keeper hears of it now: at its end the session has no target any more to be taken
 * back.
 */
static void take_back(struct control *control, struct session *session)
{
	if (session->target_id[0] == '\0')
		return;
	session_forget_target(control, session);
	history_update(control, session);
}

static void refuse_target(struct control *control, struct session *session, uint32_t request_id,
    uint8_t verdict, const char *event, const char *message)
{
	take_back(control, session);
	rpc_log(RPC_LOG_WARNING, "session %s to %s: %s", session->session_id, session->address, message);
	snprintf(session->refusal, sizeof(session->refusal), "%s", message);
	session_event(control, session, event,
	    json_pack("{s:s, s:s}", "address", session->address, "message", message));
	answer_target(&control->peers.workers[session->worker], request_id, verdict, message, "", NULL);
}

/* What is known of it comes from elsewhere than a first use: the pin follows. */
static bool follow(struct control *control, struct session *session, const struct origin_key *key)
{
	bool moved = key->expected[0] != '\0';

	if (!targets_pin(
	        &control->db, session->address, (struct wire_span){key->plain, key->plain_len}, false))
		return false;
	rpc_log(RPC_LOG_NOTICE, "%s has the host key %s, %s%s", session->address, key->target_id,
	    key->certified ? "certified by a host CA" : "as known_hosts says",
	    moved ? "; it had another" : "");
	session_event(control, session, moved ? "host_key.rotated" : "host_key.known",
	    json_pack("{s:s, s:s, s:s}", "address", session->address, "fingerprint", key->target_id, "by",
	        key->certified ? "ca" : "known_hosts"));
	return true;
}

static bool use_first(struct control *control, struct session *session, const struct origin_key *key)
{
	if (!targets_pin(
	        &control->db, session->address, (struct wire_span){key->plain, key->plain_len}, false))
		return false;
	rpc_log(
	    RPC_LOG_NOTICE, "first use of %s: its host key %s is pinned", session->address, key->target_id);
	session_event(control, session, "host_key.first_use",
	    json_pack("{s:s, s:s}", "address", session->address, "fingerprint", key->target_id));
	return true;
}

static void refuse_unknown(
    struct control *control, struct session *session, uint32_t request_id, const struct origin_key *key)
{
	char message[512];

	if (session->rule->ssh->host_keys == POLICY_HOST_KEYS_CA)
		snprintf(message, sizeof(message),
		    "portreeve: this rule accepts origins with a certificate of a known host CA only, and %s "
		    "%s%s",
		    session->address,
		    key->certificate_fault == NULL ? "has shown none" : "has shown one that ",
		    key->certificate_fault == NULL ? "" : key->certificate_fault);
	else
		snprintf(message, sizeof(message),
		    "portreeve: the host key of %s (%s) is not known, and this rule accepts known ones only; "
		    "an administrator can pin it with: reeve target add %s --key FILE.pub",
		    session->address, key->target_id, session->address);
	refuse_target(control, session, request_id, RPC_TARGET_REFUSED, "host_key.unknown", message);
}

static void refuse_changed(
    struct control *control, struct session *session, uint32_t request_id, const struct origin_key *key)
{
	char message[512];

	if (key->expected[0] != '\0')
		snprintf(message, sizeof(message),
		    "portreeve: the host key of %s has changed (was %s, is %s): the session is stopped "
		    "before any "
		    "secret is sent; an administrator can accept it with: reeve target forget %s",
		    session->address, key->expected, key->target_id, session->address);
	else
		snprintf(message, sizeof(message),
		    "portreeve: the host key of %s (%s) is not the one in the imported known_hosts: the "
		    "session is "
		    "stopped before any secret is sent; an administrator can see and import what should be "
		    "there "
		    "with: reeve target known, reeve target import",
		    session->address, key->target_id);
	refuse_target(control, session, request_id, RPC_TARGET_CHANGED, "host_key.changed", message);
}

static void judge_target(
    struct control *control, struct session *session, uint32_t request_id, struct origin_key *key)
{
	enum origin_verdict verdict = origin_key_judge(
	    key, &control->db, &control->known, session->address, session->rule->ssh->host_keys, time(NULL));
	bool stored = true;

	switch (verdict) {
	case ORIGIN_UNKNOWN:
		refuse_unknown(control, session, request_id, key);
		return;
	case ORIGIN_CHANGED:
		refuse_changed(control, session, request_id, key);
		return;
	case ORIGIN_REVOKED:
		refuse_target(control, session, request_id, RPC_TARGET_CHANGED, "host_key.revoked",
		    "portreeve: the origin's host key is revoked: the session is stopped before any secret "
		    "is sent");
		return;
	case ORIGIN_FAILED:
		refuse_target(control, session, request_id, RPC_TARGET_REFUSED, "host_key.unknown",
		    "portreeve: known host keys cannot be read; please tell the administrator of this "
		    "gateway");
		return;
	case ORIGIN_BUSY:
		control->sessions.unlooked++;
		refuse_target(
		    control, session, request_id, RPC_TARGET_REFUSED, "host_key.unknown", session_busy);
		return;
	case ORIGIN_FIRST_USE:
		stored = use_first(control, session, key);
		break;
	case ORIGIN_VOUCHED:
		stored = follow(control, session, key);
		break;
	case ORIGIN_KNOWN:
		break;
	}
	if (!stored) {
		refuse_target(control, session, request_id, RPC_TARGET_REFUSED, "host_key.unknown",
		    "portreeve: the host key could not be stored; please tell the administrator of this "
		    "gateway");
		return;
	}
	snprintf(session->target_id, sizeof(session->target_id), "%s", key->target_id);
	accept_target(control, session, request_id,
	    verdict == ORIGIN_FIRST_USE ? RPC_TARGET_FIRST_USE : RPC_TARGET_KNOWN);
}

int session_on_target(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct control *control = context;
	struct rpc_ses_target target;

	if (!rpc_get_ses_target(message->body, &target))
		return -EPROTO;
	struct session *session = session_find(control, link->index, target.flow);
	if (session == NULL || session->rule == NULL) {
		answer_target(&control->peers.workers[link->index], message->id, RPC_TARGET_REFUSED,
		    "portreeve: this session is not known any more; please connect again", "", NULL);
		return 0;
	}
	bool small = (session->rule->ssh->legacy_origin & legacy_bit(LEGACY_RSA_1024)) != 0;
	static struct origin_key key;
	if (!origin_key_read(&key, target.host_key, small))
		refuse_target(control, session, message->id, RPC_TARGET_REFUSED, "host_key.unknown",
		    "portreeve: the origin's host key is of a kind that is not supported here");
	else
		judge_target(control, session, message->id, &key);
	return 0;
}
