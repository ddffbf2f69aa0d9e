/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Password and keyboard-interactive, from the client to the origin and back, packet by packet: name,
 * instruction, prompts with their echo flags, any number of rounds, no prompts at all, requests to change a
 * password.
 *
 * Nothing is read but where a packet belongs: what the client answers lies in memory that is wiped as soon as
 * it was sent on, once, and stands in no log and in no recording.
 */
#include "sshterm/legs.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/login.h"
#include "sshterm/origin_leg.h"
#include "sshterm/worker.h"

static bool rule_has(const struct login *login, uint8_t way)
{
	for (unsigned i = 0; i < login->origin_auth_count; i++)
		if (login->origin_auth[i] == way)
			return true;
	return false;
}

static bool can_relay(const struct login *login, enum userauth_method method)
{
	if (method == USERAUTH_PASSWORD)
		return rule_has(login, RPC_ORIGIN_PASSWORD) &&
		       inside_answers_offer(&login->answers, "password");
	return method == USERAUTH_KEYBOARD && rule_has(login, RPC_ORIGIN_KEYBOARD_INTERACTIVE) &&
	       inside_answers_offer(&login->answers, "keyboard-interactive");
}

struct offered_ways relay_ways(const struct login *login)
{
	return (struct offered_ways){
	    can_relay(login, USERAUTH_KEYBOARD), can_relay(login, USERAUTH_PASSWORD)};
}

/* Hands a packet of the client's on and forgets it. */
static int hand_on(struct login *login, struct inside_packet *packet, struct leg_failure *failure)
{
	struct session *session = login->session;
	int rc = inside_answers_ask(session->ssh[LEG_ORIGIN], &login->answers, packet);

	inside_packet_wipe(packet);
	if (rc != 0)
		origin_leg_fail(session, &login->answers, failure);
	return rc;
}

/* A request whose method the origin can go on with becomes the one that the origin is asked. */
static int ask_origin(struct login *login, struct leg_failure *failure)
{
	login->fresh = false;
	login->proven = false;
	login->questions = 0;
	return hand_on(login, &login->pending.packet, failure);
}

/* The pending request as it was left: asked of the origin where that can be (1), or answered (0). */
static int begin(struct login *login, struct leg_failure *failure)
{
	if (login->fresh && can_relay(login, login->pending.method))
		return ask_origin(login, failure) == 0 ? 1 : -1;
	/* A dialogue without a question, or a method that is not there, was no attempt at anything. */
	bool attempt =
	    !login->fresh && !(login->pending.method == USERAUTH_KEYBOARD && login->questions == 0);
	bool proven = login->proven;
	login->fresh = login->proven = false;
	if (proven)
		return userauth_continue(&login->auth, failure);
	return attempt ? userauth_refuse(&login->auth, failure) : userauth_pass_over(&login->auth, failure);
}

static bool has_verdict(const struct login *login)
{
	return login->answers.success || login->answers.failure;
}

int origin_await(struct login *login, struct leg_failure *failure)
{
	while (!has_verdict(login) && login->answers.question.type == 0) {
		if (userauth_wait_for_origin(&login->auth, failure) != 0)
			return -1;
		if (login->answers.confused) {
			leg_fail(failure, "origin_failed", "the origin breaks the authentication protocol");
			return -1;
		}
	}
	return 0;
}

static int put_question(struct login *login, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct inside_packet *question = &login->answers.question;

	inside_answers_pass_banners(&login->answers, session->ssh[LEG_CLIENT]);
	int rc = inside_send(
	    session->ssh[LEG_CLIENT], question->type, (struct wire_span){question->bytes, question->len});
	inside_packet_wipe(question);
	login->questions++;
	if (rc != 0)
		leg_fail(failure, "client_closed", "%s", "");
	return rc;
}

/* The client makes another request while (or because) it owes an answer, or was answered: 1 where the origin
 * is asked now, 0 where it was answered, -1: over. */
static int another_request(struct login *login, struct userauth_request *next, struct leg_failure *failure)
{
	userauth_request_free(&login->pending);
	login->pending = *next;
	*next = (struct userauth_request){0};
	if (can_relay(login, login->pending.method))
		return ask_origin(login, failure) == 0 ? 1 : -1;
	if (key_untaken(login, &login->pending, failure) != 0)
		return -1;
	return login->pending.method == USERAUTH_NONE ? userauth_pass_over(&login->auth, failure)
	                                              : userauth_refuse(&login->auth, failure);
}

/* The client's turn: an answer where one is owed, or a request. 1: the origin is asked, 0: its verdict came
 * meanwhile, -1: over. */
static int await_client(struct login *login, bool *answer_owed, struct leg_failure *failure)
{
	int asked = 0;

	while (asked == 0 && !(*answer_owed && has_verdict(login))) {
		struct userauth_request next;
		int taken = userauth_take(&login->auth, &next, failure);
		if (taken == 0)
			asked = userauth_wait_for_client(&login->auth, failure);
		else if (taken < 0)
			asked = -1;
		else if (next.packet.type == USERAUTH_REQUEST) {
			*answer_owed = false; /* RFC 4256 section 3.1: that dialogue is over */
			asked = another_request(login, &next, failure);
		} else if (*answer_owed && login->pending.method == USERAUTH_KEYBOARD)
			asked = hand_on(login, &next.packet, failure) == 0 ? 1 : -1;
		userauth_request_free(&next);
	}
	*answer_owed = false;
	return asked;
}

enum origin_verdict relay_login(struct login *login, struct leg_failure *failure)
{
	bool answer_owed = false;
	const struct offered_ways ways = relay_ways(login);

	userauth_offer(&login->auth, false, ways.keyboard, ways.password);
	if (login->known_by == RPC_WHO_ORIGIN && !login->answers.partial)
		offered_note(login->session, ways);
	int asked = begin(login, failure);
	for (;;) {
		if (asked == 0)
			asked = await_client(login, &answer_owed, failure);
		if (asked < 0 || (!has_verdict(login) && origin_await(login, failure) != 0))
			return ORIGIN_OVER;
		if (has_verdict(login))
			break;
		if (put_question(login, failure) != 0)
			return ORIGIN_OVER;
		answer_owed = true;
		asked = 0;
	}
	enum origin_verdict verdict = login->answers.success   ? ORIGIN_IN
	                              : login->answers.partial ? ORIGIN_PARTIAL
	                                                       : ORIGIN_DENIED;
	login->proven = verdict == ORIGIN_PARTIAL;
	origin_tell(login,
	    login->pending.method == USERAUTH_PASSWORD ? RPC_ORIGIN_PASSWORD
	                                               : RPC_ORIGIN_KEYBOARD_INTERACTIVE,
	    verdict);
	return verdict;
}
