/* SPDX-License-Identifier: Apache-2.0 */
/* sources: control/identity/known_hosts.c, control/identity/known_memo.c, control/identity/known_hashed.c,
 * control/identity/words.c, control/identity/database.c, control/certificate/public_key.c,
 * control/certificate/verify.c; deps: rpc, libsodium, libcrypto, sqlite3, jansson */
/* A line of a known_hosts file and a name: whatever they are, the line is taken with all its parts, passed
 * over, or refused; and a line without '*', '?' and hashes matches only a name that stands in it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/identity/known_hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[64];
	struct known_line line;
	struct words names = {0};

	if (size < 1 || (size_t)data[0] % sizeof(name) + 1 > size)
		return 0;
	size_t name_len = data[0] % sizeof(name);
	memcpy(name, data + 1, name_len);
	name[name_len] = '\0';
	const char *wrong = known_line_parse((const char *)data + 1 + name_len, size - 1 - name_len, &line);
	must(words_add(&names, name));
	if (wrong == NULL && line.patterns != NULL) {
		must(line.blob_len > 0 && line.type != NULL && line.patterns[0] != '\0');
		if (known_line_matches(&line, &names) && strpbrk(line.patterns, "*?|") == NULL)
			must(strcasestr(line.patterns, name) != NULL);
	}
	known_line_free(&line);
	words_free(&names);
	return 0;
}
