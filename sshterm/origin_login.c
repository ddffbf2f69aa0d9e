/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our login at the origin: the ways that the rule has, in its order, as far as the origin offers them.
 *
 * The origin leads (RFC 4252 section 5.1): after each answer of its the first way of the rule that it still
 * offers is tried, the box's own once each. So an origin that wants several methods gets the box's first
 * where the rule has them first, and the client is asked for the others. Somebody whose identity is only what
 * the origin will make of their password gets nothing of the box's own.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/agent_login.h"
#include "sshterm/legs.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/login.h"
#include "sshterm/origin_leg.h"
#include "sshterm/vault_login.h"
#include "sshterm/worker.h"

static bool is_relayed(uint8_t way)
{
	return way == RPC_ORIGIN_PASSWORD || way == RPC_ORIGIN_KEYBOARD_INTERACTIVE;
}

static bool origin_offers(const struct login *login, uint8_t way)
{
	switch (way) {
	case RPC_ORIGIN_PASSWORD:
		return inside_answers_offer(&login->answers, "password");
	case RPC_ORIGIN_KEYBOARD_INTERACTIVE:
		return inside_answers_offer(&login->answers, "keyboard-interactive");
	case RPC_ORIGIN_VAULT: /* which of them it needs, the vault says when it is asked first */
		return (login->vault_kind != RPC_SECRET_PASSWORD &&
		           inside_answers_offer(&login->answers, "publickey")) ||
		       (login->vault_kind != RPC_SECRET_KEY &&
		           (inside_answers_offer(&login->answers, "password") ||
		               inside_answers_offer(&login->answers, "keyboard-interactive")));
	default:
		return inside_answers_offer(&login->answers, "publickey");
	}
}

/* 0: none. */
static uint8_t next_way(const struct login *login)
{
	for (unsigned i = 0; i < login->origin_auth_count; i++) {
		uint8_t way = login->origin_auth[i];
		if (!is_relayed(way) &&
		    (login->known_by == RPC_WHO_ORIGIN || (login->tried & 1u << way) != 0))
			continue;
		if (origin_offers(login, way))
			return way;
	}
	return 0;
}

/* The vault may have found that what it has fits nothing that the origin offers yet. */
static bool was_tried(const struct login *login, uint8_t way)
{
	return !is_relayed(way) && (login->tried & 1u << way) != 0;
}

static const char *way_name(uint8_t way)
{
	static const char *const names[] = {[0] = "none",
	    [RPC_ORIGIN_CERTIFICATE] = "certificate",
	    [RPC_ORIGIN_AGENT] = "agent",
	    [RPC_ORIGIN_PASSWORD] = "password",
	    [RPC_ORIGIN_KEYBOARD_INTERACTIVE] = "keyboard-interactive",
	    [RPC_ORIGIN_VAULT] = "vault"};

	return names[way];
}

void origin_tell(const struct login *login, uint8_t way, enum origin_verdict verdict)
{
	json_t *detail = json_pack("{s:s,s:b,s:b}", "method", way_name(way), "success",
	    verdict == ORIGIN_IN || verdict == ORIGIN_PARTIAL, "partial", verdict == ORIGIN_PARTIAL);
	char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);

	if (text != NULL)
		session_event(login->session, "origin.auth", text);
	/* Only now it is known who that was; an origin that asked nothing has not told it. */
	if (text != NULL && way != 0 && verdict == ORIGIN_IN && login->known_by == RPC_WHO_ORIGIN)
		session_event(login->session, "auth", text);
	json_decref(detail);
	free(text);
}

/* What the person at the client is told who can do nothing more. */
static void fail_login(struct login *login, struct leg_failure *failure)
{
	const char *name = login->session->login;
	bool own = (login->tried & 1u << RPC_ORIGIN_CERTIFICATE) != 0;

	if (login->known_by == RPC_WHO_ORIGIN)
		leg_fail(
		    failure, "origin_failed", "the origin offers no way to log in that works through here");
	else if (login->vault_said[0] != '\0')
		leg_fail(failure, "origin_failed", "%s", login->vault_said);
	else if (login->answers.partial)
		leg_fail(failure, "origin_failed",
		    "the origin wants a further method for login '%s' (%s), which the rule does not provide",
		    name, login->answers.methods);
	else if (own)
		leg_fail(failure, "origin_failed",
		    "the origin did not accept Portreeve's certificate for login '%s'; its TrustedUserCAKeys "
		    "must hold the key that 'reeve ca show --type user' prints, the login must exist there, "
		    "and its clock must be right",
		    name);
	else
		leg_fail(failure, "origin_failed",
		    "the origin offers login '%s' only these methods: %s; the rule provides none of them",
		    name, login->answers.methods);
}

static enum origin_verdict try_way(struct login *login, uint8_t way, struct leg_failure *failure)
{
	login->tried |= 1u << way;
	if (is_relayed(way))
		return relay_login(login, failure);
	login->answers.relaying = false;
	switch (way) {
	case RPC_ORIGIN_CERTIFICATE:
		return origin_leg_certificate(login->session, &login->answers, failure);
	case RPC_ORIGIN_VAULT:
		return vault_login(login, failure);
	case RPC_ORIGIN_AGENT:
		return agent_login_prepare(login, failure);
	default:
		leg_fail(failure, "error", "the rule names a way into the origin that is not there");
		return ORIGIN_OVER;
	}
}

enum origin_verdict origin_look(struct login *login, struct leg_failure *failure)
{
	if (!login->looked)
		login->first = origin_leg_none(login->session, &login->answers, failure);
	login->looked = true;
	return login->first;
}

enum origin_verdict origin_login(struct login *login, struct leg_failure *failure)
{
	struct session *session = login->session;
	enum origin_verdict verdict = origin_look(login, failure);
	uint8_t way = 0;

	if (verdict == ORIGIN_IN) { /* some let anyone in */
		origin_tell(login, way, verdict);
		if (login->known_by == RPC_WHO_ORIGIN) {
			leg_fail(failure, "denied",
			    "the origin lets anyone in as '%s', which tells nobody who you are",
			    session->login);
			return ORIGIN_OVER;
		}
	}
	while (verdict == ORIGIN_DENIED || verdict == ORIGIN_PARTIAL) {
		inside_answers_pass_banners(&login->answers, session->ssh[LEG_CLIENT]);
		way = next_way(login);
		if (way == 0) {
			fail_login(login, failure);
			return ORIGIN_OVER;
		}
		verdict = try_way(login, way, failure);
		if (was_tried(login, way) && verdict != ORIGIN_OVER && verdict != ORIGIN_LATER)
			origin_tell(login, way, verdict);
		/* What it said of a step that went well is no reason any more. */
		if (verdict == ORIGIN_PARTIAL &&
		    (way == RPC_ORIGIN_VAULT || !was_tried(login, RPC_ORIGIN_VAULT)))
			login->vault_said[0] = '\0';
	}
	if (verdict != ORIGIN_OVER)
		inside_answers_pass_banners(&login->answers, session->ssh[LEG_CLIENT]);
	return verdict;
}
