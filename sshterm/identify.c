/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is it? Requests are answered until control accepts one.
 *
 * Until then the client is a stranger. libssh verifies that whoever offers a key or certificate holds its
 * private half, and nothing more: whose it is, who signed it, and for how long it is good, is control's to
 * say, of the whole request. Where the origin is to judge a password, a login that control does not know
 * looks from outside like a password that is wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sshterm/control_rpc.h"
#include "sshterm/legs.h"
#include "sshterm/libssh_inside.h"
#include "sshterm/login.h"
#include "sshterm/worker.h"

#define REFUSAL_US 2000000 /* what a refused password takes on a usual origin */

/* Answers of one question to control. */
struct who {
	enum rpc_who_method method;
	const char *login;
	struct wire_span key, proof;
};

/* 1: somebody's (named in session->user where that is settled), 0: nobody's, -1: cannot tell. */
static int ask_who(struct login *login, const struct who *who, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct control_reply reply;
	struct rpc_ses_who_reply answer;
	bool settled = who->method == RPC_WHO_ADDRESS || who->method == RPC_WHO_ORIGIN || who->proof.len > 0;
	int result = -1;

	int error = CONTROL_CALL(session, SES_WHO, ses_who, &reply, .flow = session->flow_id,
	    .login = wire_span_of(who->login), .public_key = who->key, .proof = who->proof,
	    .method = (uint8_t)who->method);
	if (error != 0 || !rpc_get_ses_who_reply(reply.body, &answer) ||
	    answer.second_factor > RPC_FACTOR_TOTP) {
		leg_fail_control(failure, error != 0 ? error : -EPROTO);
	} else if (answer.accepted) {
		result = !settled || wire_span_copy(answer.user, session->user, sizeof(session->user));
		login->second_factor = (enum rpc_factor)answer.second_factor;
	} else {
		char text[SESSION_TEXT_MAX];
		result = 0;
		if (who->method != RPC_WHO_ORIGIN && wire_span_copy(answer.message, text, sizeof(text)))
			userauth_tell(&login->auth, text);
	}
	control_reply_free(&reply);
	return result;
}

/* Control has said yes: the request is to be answered by what follows. */
static void settle(struct login *login, struct userauth_request *request, enum rpc_who_method known_by)
{
	snprintf(login->session->login, sizeof(login->session->login), "%s", request->login);
	login->known_by = known_by;
	login->proven = known_by != RPC_WHO_ORIGIN;
	login->fresh = known_by == RPC_WHO_ORIGIN;
	login->pending = *request;
	*request = (struct userauth_request){0};
}

int key_untaken(struct login *login, const struct userauth_request *request, struct leg_failure *failure)
{
	struct who who = {.method = RPC_WHO_UNTAKEN, .login = request->login, .key = request->offered};

	return request->offered.len == 0 || ask_who(login, &who, failure) >= 0 ? 0 : -1;
}

/* Each returns 1: accepted, and `request` is taken over; 0: answered, go on; -1: over. */

/* Whose login it is that the origin would be asked about, and that the rule lets them: 1 or 0. Who asks has
 * shown nothing yet: what the rule says of that login is not for them. */
static int ask_unproven(struct login *login, const char *name, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct who who = {.method = RPC_WHO_ORIGIN, .login = name};
	struct leg_failure denied = {0};
	int known = ask_who(login, &who, failure);

	if (known <= 0)
		return known;
	snprintf(session->login, sizeof(session->login), "%s", name);
	login->known_by = RPC_WHO_ORIGIN;
	if (may_ask(login, &denied) == 0)
		return 1;
	session->user[0] = '\0';
	if (strcmp(denied.close_reason, "denied") == 0)
		return 0;
	*failure = denied;
	return -1;
}

static bool takes_keys(const struct login *login)
{
	return (login->identities & (RPC_IDENTITY_CERTIFICATE | RPC_IDENTITY_KEY)) != 0;
}

/* A client's first question is what there is, and it goes by the answer: one that begins a dialogue where the
 * origin has none gives up dialogues for good, and then has none for a second factor or the origin's next
 * method. So the origin is asked first; of a login that is nobody's it does not hear. From here on the login
 * stays what it is, as it does at the origin. */
static int look_at_origin(
    struct login *login, const struct userauth_request *request, struct leg_failure *failure)
{
	struct session *session = login->session;
	struct offered_ways ways = {true, true}; /* where none works, who comes so is told that */

	if ((login->identities & RPC_IDENTITY_ORIGIN) == 0 || session->login[0] != '\0')
		return 0;
	int known = ask_unproven(login, request->login, failure);
	if (known < 0 || (known > 0 && origin_look(login, failure) == ORIGIN_OVER))
		return -1;
	struct offered_ways there = relay_ways(login);
	if (known == 0)
		ways = offered_last(session);
	else if (there.keyboard || there.password)
		offered_note(session, ways = there);
	snprintf(session->login, sizeof(session->login), "%s", request->login);
	userauth_offer(&login->auth, takes_keys(login), ways.keyboard, ways.password);
	/* That was all: who it is, is yet to be shown. */
	may_forget(session);
	session->user[0] = '\0';
	return 0;
}

static int try_address(struct login *login, struct userauth_request *request, struct leg_failure *failure)
{
	struct who who = {.method = RPC_WHO_ADDRESS, .login = request->login};
	int known = (login->identities & RPC_IDENTITY_ADDRESS) != 0 ? ask_who(login, &who, failure) : 0;

	if (known > 0)
		settle(login, request, RPC_WHO_ADDRESS);
	if (known == 0 && look_at_origin(login, request, failure) != 0)
		return -1;
	/* Every client asks so first: that it may not is no attempt. */
	return known != 0 ? known : userauth_pass_over(&login->auth, failure);
}

static int try_publickey(struct login *login, struct userauth_request *request, struct leg_failure *failure)
{
	enum ssh_publickey_state_e state = SSH_PUBLICKEY_STATE_ERROR;
	ssh_string blob = request->message == NULL ? NULL : inside_offered_key(request->message, &state);
	struct who who = {.method = RPC_WHO_PUBLICKEY, .login = request->login};
	int known = 0;

	if (blob != NULL)
		who.key = (struct wire_span){ssh_string_data(blob), ssh_string_len(blob)};
	/* Control verifies the signature itself: ours is not the word that it goes by. */
	if (blob != NULL && state == SSH_PUBLICKEY_STATE_VALID && wire_span_same(request->key, who.key))
		who.proof = (struct wire_span){request->packet.bytes, request->packet.len};
	if (blob != NULL && (state == SSH_PUBLICKEY_STATE_NONE || who.proof.len > 0))
		known = ask_who(login, &who, failure);
	else
		known = key_untaken(login, request, failure);
	if (known > 0 && who.proof.len > 0)
		settle(login, request, RPC_WHO_PUBLICKEY);
	else if (known > 0)
		known = ssh_message_auth_reply_pk_ok_simple(request->message) == SSH_OK ? 0 : -1;
	else if (known == 0)
		known = userauth_refuse(&login->auth, failure);
	ssh_string_free(blob);
	return known;
}

/* A login that is nobody's takes as long, and is asked as much, as one with a wrong password. */
static int pretend(struct login *login, struct userauth_request *request, struct leg_failure *failure)
{
	struct userauth_request answer = {0};
	struct wire_span code;
	int answered = 1;

	if (request->method == USERAUTH_KEYBOARD)
		answered = factor_question(login, "Password: ", &answer, &code, failure);
	userauth_request_free(&answer);
	if (answered <= 0)
		return answered; /* another request is there, or nobody */
	userauth_pause(&login->auth, REFUSAL_US);
	return userauth_refuse(&login->auth, failure);
}

static bool is_pretended(const struct login *login, enum userauth_method method)
{
	return (method == USERAUTH_KEYBOARD && login->pretended.keyboard) ||
	       (method == USERAUTH_PASSWORD && login->pretended.password);
}

/* From here on it is as relay_login.c does it: the name stays, keys are of no use, and control is not asked
 * any more who that is. */
static int pretend_first(struct login *login, struct userauth_request *request, struct leg_failure *failure)
{
	struct session *session = login->session;

	login->pretending = true;
	login->pretended = offered_last(session);
	snprintf(session->login, sizeof(session->login), "%s", request->login);
	userauth_offer(&login->auth, false, login->pretended.keyboard, login->pretended.password);
	return is_pretended(login, request->method) ? pretend(login, request, failure)
	                                            : userauth_pass_over(&login->auth, failure);
}

static int pretend_on(struct login *login, struct userauth_request *request, struct leg_failure *failure)
{
	if (is_pretended(login, request->method))
		return pretend(login, request, failure);
	if (key_untaken(login, request, failure) != 0)
		return -1;
	return request->method == USERAUTH_NONE ? userauth_pass_over(&login->auth, failure)
	                                        : userauth_refuse(&login->auth, failure);
}

static int try_origin(struct login *login, struct userauth_request *request, struct leg_failure *failure)
{
	if ((login->identities & RPC_IDENTITY_ORIGIN) == 0)
		return userauth_refuse(&login->auth, failure);
	int known = ask_unproven(login, request->login, failure);
	if (known == 0)
		return pretend_first(login, request, failure);
	if (known > 0)
		settle(login, request, RPC_WHO_ORIGIN);
	return known;
}

static int try_request(struct login *login, struct userauth_request *request, struct leg_failure *failure)
{
	if (login->pretending)
		return pretend_on(login, request, failure);
	switch (request->method) {
	case USERAUTH_NONE:
		return try_address(login, request, failure);
	case USERAUTH_PUBLICKEY:
		return try_publickey(login, request, failure);
	case USERAUTH_PASSWORD:
	case USERAUTH_KEYBOARD:
		return try_origin(login, request, failure);
	default:
		return userauth_refuse(&login->auth, failure);
	}
}

int identify(struct login *login, struct leg_failure *failure)
{
	bool by_origin = (login->identities & RPC_IDENTITY_ORIGIN) != 0;
	int known = 0;

	userauth_offer(&login->auth, takes_keys(login), by_origin, by_origin);
	while (known == 0) {
		struct userauth_request request;
		if (userauth_next(&login->auth, &request, failure) != 0)
			known = -1;
		else
			known = try_request(login, &request, failure);
		userauth_request_free(&request);
	}
	return known > 0 ? 0 : -1;
}
