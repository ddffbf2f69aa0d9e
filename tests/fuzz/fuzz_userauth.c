/* SPDX-License-Identifier: Apache-2.0 */
/* sources: sshterm/userauth_words.c; deps: wire */
/* What a client asks and answers and an origin refuses while they authenticate: what is found in it lies in
 * it, and a list names what it is made of. */
#include <stdlib.h>
#include <string.h>

#include "sshterm/userauth_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct wire_span part, const uint8_t *data, size_t size)
{
	if (part.len > 0 && (part.at < data || part.len > size || part.at > data + size - part.len))
		abort();
}

static void check_list(const char *list)
{
	char copy[USERAUTH_LIST_MAX];
	char *save = NULL;

	memcpy(copy, list, strlen(list) + 1);
	for (char *name = strtok_r(copy, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save))
		if (!userauth_list_has(list, name))
			abort();
	if (userauth_list_has(list, "a name,that is none"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wire_span payload = {data, size};
	struct userauth_words words;
	char methods[USERAUTH_LIST_MAX];
	bool partial;

	if (userauth_words(payload, &words)) {
		check_inside(words.login, data, size);
		check_inside(words.offered, data, size);
		check_inside(words.key, data, size);
		if (words.offered.len > 0 && words.method != USERAUTH_PUBLICKEY)
			abort();
		if (words.key.len > 0 && !wire_span_same(words.key, words.offered))
			abort();
	}
	struct wire_span answer = userauth_only_answer(payload);
	check_inside(answer, data, size);
	if (answer.len > USERAUTH_CODE_MAX)
		abort();
	userauth_read_failure(payload, methods, &partial);
	if (memchr(methods, '\0', sizeof(methods)) == NULL)
		abort();
	check_list(methods);
	return 0;
}
