/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/agent_offer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 400     /* OpenSSH shows no more of a DISCONNECT */
#define METHODS_TOLD 100 /* bytes of an origin's list of methods, in a message */
#define HEADER_MAX 32

#define MSG_USERAUTH_REQUEST 50

/* -- failures -- */

void agent_fail(struct agent_failure *failure, const char *reason, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	if (failure->failed)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* It may quote the origin. */
	for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++) {
		if (*c < 0x20 || *c >= 0x7f)
			*c = '?';
	}
	failure->failed = true;
	failure->told(failure->context, reason, text);
}

void agent_fail_memory(struct agent_failure *failure)
{
	agent_fail(failure, "out_of_memory", "this appliance is out of memory");
}

/* -- requests -- */

/* USERAUTH_REQUEST (RFC 4252 section 7), malloc'ed, with `room` bytes behind it. What is to be signed has the
 * session identifier before it. */
static uint8_t *put_request(struct agent_offer *offer, const struct agent_key *key,
    struct wire_span session_id, bool proof, size_t room, size_t *len)
{
	size_t size = 256 + session_id.len + strlen(offer->facts->wish.login) + key->blob.len + room;
	uint8_t *bytes = malloc(size);

	if (bytes == NULL)
		return NULL;
	struct wire_out out = wire_into(bytes, size);
	if (session_id.len > 0)
		wire_put_string(&out, session_id.at, session_id.len);
	wire_put_u8(&out, MSG_USERAUTH_REQUEST);
	wire_put_cstring(&out, offer->facts->wish.login);
	wire_put_cstring(&out, "ssh-connection");
	wire_put_cstring(&out, "publickey");
	wire_put_u8(&out, proof);
	wire_put_cstring(&out, key->algorithm);
	wire_put_string(&out, key->blob.at, key->blob.len);
	*len = wire_written(&out);
	if (!out.failed)
		return bytes;
	free(bytes);
	return NULL;
}

static void offer_key(struct agent_offer *offer, const struct agent_key *key)
{
	size_t len = 0;
	uint8_t *request = put_request(offer, key, (struct wire_span){0}, false, 0, &len);

	if (request == NULL) {
		agent_fail_memory(offer->failure);
		return;
	}
	offer->stage = AGENT_OFFER_OFFERING;
	offer->to_origin(offer->context, request, len, false);
	free(request);
}

static void ask_for_signature(struct agent_offer *offer, const struct agent_key *key)
{
	size_t len = 0;
	uint8_t *data = put_request(offer, key, offer->facts->session_id, true, 0, &len);
	uint8_t *request = malloc(AGENT_REQUEST_MAX);
	size_t request_len = 0;

	if (data != NULL && request != NULL)
		request_len = agent_put_sign(
		    request, AGENT_REQUEST_MAX, key->blob, (struct wire_span){data, len}, key->flags);
	free(data);
	if (request_len == 0) {
		free(request);
		agent_fail_memory(offer->failure);
		return;
	}
	offer->stage = AGENT_OFFER_SIGNING;
	agent_channel_ask(&offer->channel, request, request_len);
}

static void prove_key(struct agent_offer *offer, const struct agent_key *key, struct wire_span signature)
{
	size_t len = 0;
	uint8_t *request = put_request(offer, key, (struct wire_span){0}, true, signature.len + 4, &len);

	if (request == NULL) {
		agent_fail_memory(offer->failure);
		return;
	}
	struct wire_out out = wire_into(request + len, signature.len + 4);
	wire_put_string(&out, signature.at, signature.len);
	offer->stage = AGENT_OFFER_PROVING;
	offer->to_origin(offer->context, request, len + wire_written(&out), true);
	free(request);
}

/* -- which key -- */

/* Every key that there is was tried, or as many as the origin would hear of. */
static void fail_for_keys(struct agent_offer *offer)
{
	const struct agent_keys *keys = &offer->keys;
	const char *host = offer->facts->host, *login = offer->facts->wish.login;

	if (offer->one_was_good)
		agent_fail(offer->failure, "origin_failed",
		    "%s took a key of your agent for login '%s' and wants another one, which your agent does "
		    "not have",
		    host, login);
	else if (keys->count == 0)
		agent_fail(offer->failure, "agent_failed",
		    "your forwarded agent shows no key that could log you in at %s (it showed %u); see "
		    "'ssh-add -l' where you are. Keys bound to hosts by 'ssh-add -h' cannot be used through "
		    "this appliance",
		    host, keys->listed);
	else if (offer->not_signed > 0)
		agent_fail(offer->failure, "agent_failed",
		    "your agent did not sign for the login '%s' at %s: did you confirm it, or touch the key?",
		    login, host);
	else
		agent_fail(offer->failure, "origin_failed",
		    "%s did not accept any of %u keys of your agent for login '%s' (the agent has %u); its "
		    "authorized_keys must hold one of the first %u",
		    host, offer->refused, login, keys->listed, offer->facts->tries);
}

static void next_key(struct agent_offer *offer)
{
	if (offer->next >= offer->keys.count || offer->refused >= offer->facts->tries)
		fail_for_keys(offer);
	else
		offer_key(offer, &offer->keys.keys[offer->next]);
}

static void skip_key(struct agent_offer *offer)
{
	offer->next++;
	next_key(offer);
}

static void list_keys(struct agent_offer *offer)
{
	/* The keys point into the answer: it is kept, and the channel gets an empty one. */
	offer->list = offer->channel.answer;
	offer->channel.answer = (struct agent_answer){0};
	if (!agent_keys_choose(&offer->keys, agent_answer_body(&offer->list), &offer->facts->wish))
		agent_fail(offer->failure, "agent_failed",
		    "your agent did not list its keys; see 'ssh-add -l' where you are");
	else
		next_key(offer);
}

static void take_signature(struct agent_offer *offer)
{
	const struct agent_key *key = agent_offer_key(offer);
	struct wire_span signature;

	if (agent_read_signature(agent_answer_body(&offer->channel.answer), key->signature, &signature)) {
		prove_key(offer, key, signature);
	} else {
		offer->not_signed++;
		skip_key(offer);
	}
}

/* -- the agent's channel -- */

static void ask_for_list(struct agent_offer *offer)
{
	uint8_t *request = malloc(HEADER_MAX);

	if (request == NULL) {
		agent_fail_memory(offer->failure);
		return;
	}
	offer->stage = AGENT_OFFER_LISTING;
	agent_channel_ask(&offer->channel, request, agent_put_list(request, HEADER_MAX));
}

void agent_offer_packet(struct agent_offer *offer, const uint8_t *payload, size_t len)
{
	enum agent_channel_event event = agent_channel_packet(&offer->channel, payload, len);

	if (offer->stage == AGENT_OFFER_OVER)
		return; /* what becomes of it does not matter any more */
	switch (event) {
	case AGENT_CHANNEL_NOTHING:
		break;
	case AGENT_CHANNEL_OPENED:
		ask_for_list(offer);
		break;
	case AGENT_CHANNEL_ANSWERED:
		if (offer->stage == AGENT_OFFER_LISTING)
			list_keys(offer);
		else if (offer->stage == AGENT_OFFER_SIGNING)
			take_signature(offer);
		break;
	case AGENT_CHANNEL_REFUSED:
		if (offer->opens < AGENT_OPENS_MAX) {
			agent_offer_begin(offer, offer->channel.number);
			break;
		}
		agent_fail(offer->failure, "agent_failed",
		    "your client did not let this appliance reach your agent, with which it logs in at %s",
		    offer->facts->host);
		break;
	case AGENT_CHANNEL_GONE:
		agent_fail(offer->failure, "agent_failed", "your agent went away during the login at %s",
		    offer->facts->host);
		break;
	case AGENT_CHANNEL_MALFORMED:
		agent_fail(offer->failure, "agent_failed", "your agent gave an answer that is not one");
		break;
	}
}

/* The key was good, and is not enough. Another key might be; whatever else it wants, nobody can be asked for
 * it any more. */
static void take_partial(struct agent_offer *offer, struct wire_span methods)
{
	static const char key[] = "publickey";
	bool another_key =
	    methods.len >= sizeof(key) - 1 && memmem(methods.at, methods.len, key, sizeof(key) - 1) != NULL;

	offer->one_was_good = true;
	if (another_key) {
		skip_key(offer);
		return;
	}
	agent_fail(offer->failure, "origin_failed",
	    "%s took a key of your agent for login '%s' and wants %.*s as well, for which nobody can be "
	    "asked once "
	    "an agent is used: this rule's origin_auth does not fit this host",
	    offer->facts->host, offer->facts->wish.login,
	    (int)(methods.len > METHODS_TOLD ? METHODS_TOLD : methods.len),
	    methods.len > 0 ? (const char *)methods.at : "");
}

/* -- the interface -- */

static void channel_send(void *context, const uint8_t *payload, size_t len)
{
	struct agent_offer *offer = context;

	offer->to_client(offer->context, payload, len);
}

void agent_offer_begin(struct agent_offer *offer, uint32_t number)
{
	offer->stage = AGENT_OFFER_OPENING;
	offer->opens++;
	agent_channel_open(&offer->channel, number, channel_send, offer);
}

bool agent_offer_answered(
    struct agent_offer *offer, enum agent_origin_answer answer, struct wire_span methods)
{
	if (offer->stage != AGENT_OFFER_OFFERING && offer->stage != AGENT_OFFER_PROVING)
		return false;
	switch (answer) {
	case AGENT_ORIGIN_WOULD_DO:
		if (offer->stage == AGENT_OFFER_OFFERING)
			ask_for_signature(offer, agent_offer_key(offer));
		return false;
	case AGENT_ORIGIN_REFUSED:
		offer->refused++;
		skip_key(offer);
		return false;
	case AGENT_ORIGIN_PARTIAL:
		take_partial(offer, methods);
		return false;
	case AGENT_ORIGIN_LET_IN:
		return true;
	}
	return false;
}

const struct agent_key *agent_offer_key(const struct agent_offer *offer)
{
	return &offer->keys.keys[offer->next];
}

void agent_offer_end(struct agent_offer *offer)
{
	offer->stage = AGENT_OFFER_OVER;
	agent_channel_close(&offer->channel);
	agent_answer_clear(&offer->list);
	offer->keys = (struct agent_keys){0};
}

void agent_offer_free(struct agent_offer *offer)
{
	agent_channel_free(&offer->channel);
	agent_answer_clear(&offer->list);
}
