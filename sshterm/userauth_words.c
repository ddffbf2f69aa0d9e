/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/userauth_words.h"

#include <string.h>

static enum userauth_method method_of(struct wire_span name)
{
	if (wire_span_is(name, "none"))
		return USERAUTH_NONE;
	if (wire_span_is(name, "publickey") || wire_span_is(name, "publickey-hostbound-v00@openssh.com"))
		return USERAUTH_PUBLICKEY;
	if (wire_span_is(name, "password"))
		return USERAUTH_PASSWORD;
	if (wire_span_is(name, "keyboard-interactive"))
		return USERAUTH_KEYBOARD;
	return USERAUTH_OTHER;
}

/* RFC 4252 section 7; hostbound has more behind it. */
static void read_key(struct wire *in, struct userauth_words *words)
{
	bool has_signature = wire_u8(in) != 0;
	(void)wire_string(in); /* algorithm */
	struct wire_span key = wire_string(in);

	if (in->failed)
		return;
	words->offered = key;
	if (has_signature)
		words->key = key;
}

bool userauth_words(struct wire_span payload, struct userauth_words *words)
{
	struct wire in = wire_over(payload.at, payload.len);

	*words = (struct userauth_words){.login = wire_string(&in)};
	struct wire_span service = wire_string(&in);
	words->method = method_of(wire_string(&in));
	if (in.failed)
		return false;
	if (!wire_span_is(service, "ssh-connection"))
		words->method = USERAUTH_OTHER;
	if (words->method == USERAUTH_PUBLICKEY)
		read_key(&in, words);
	return true;
}

struct wire_span userauth_only_answer(struct wire_span payload)
{
	struct wire in = wire_over(payload.at, payload.len);
	uint32_t answers = wire_u32(&in);
	struct wire_span answer = wire_string(&in);

	return answers == 1 && wire_done(&in) && answer.len <= USERAUTH_CODE_MAX ? answer
	                                                                         : (struct wire_span){0};
}

void userauth_read_failure(struct wire_span payload, char methods[USERAUTH_LIST_MAX], bool *partial)
{
	struct wire in = wire_over(payload.at, payload.len);
	struct wire_span list = wire_string(&in);

	*partial = wire_u8(&in) != 0;
	if (in.failed || !wire_span_copy(list, methods, USERAUTH_LIST_MAX))
		methods[0] = '\0';
}

bool userauth_list_has(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; *at != '\0'; at += strspn(at, ",")) {
		size_t there = strcspn(at, ",");
		if (there == len && memcmp(at, name, len) == 0)
			return true;
		at += there;
	}
	return false;
}
