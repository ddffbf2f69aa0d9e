/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/openssh_key.h"

#include <sodium.h>
#include <string.h>

#define BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"
#define END "-----END OPENSSH PRIVATE KEY-----"
#define MAGIC "openssh-key-v1" /* with its NUL */

/* The base64 between the two lines; length 0: they are not there. */
static struct wire_span between_lines(const char *text, size_t len)
{
	const char *begin = memmem(text, len, BEGIN, strlen(BEGIN));
	if (begin == NULL)
		return (struct wire_span){0};
	begin += strlen(BEGIN);
	const char *end = memmem(begin, len - (size_t)(begin - text), END, strlen(END));
	if (end == NULL)
		return (struct wire_span){0};
	return (struct wire_span){(const uint8_t *)begin, (size_t)(end - begin)};
}

static const char *read_kdf(struct wire_span name, struct wire_span options, struct openssh_key *key)
{
	struct wire in = wire_over(options.at, options.len);

	if (strcmp(key->cipher, "none") == 0)
		return wire_span_is(name, "none") ? NULL : "is damaged";
	if (!wire_span_is(name, "bcrypt"))
		return "is encrypted in a way that is not known here; rewrite it with: ssh-keygen -p -f FILE";
	key->salt = wire_string(&in);
	key->rounds = wire_u32(&in);
	if (!wire_done(&in) || key->salt.len == 0 || key->rounds == 0)
		return "is damaged";
	return key->rounds <= OPENSSH_KEY_ROUNDS_MAX ? NULL
	                                             : "has more rounds of bcrypt than are reasonable; "
	                                               "rewrite it with: ssh-keygen -p -a 100 -f FILE";
}

const char *openssh_key_open(const char *text, size_t len, uint8_t *room, struct openssh_key *key)
{
	struct wire_span base64 = between_lines(text, len);
	size_t decoded = 0;

	*key = (struct openssh_key){0};
	if (base64.len == 0 && memmem(text, len, BEGIN, strlen(BEGIN)) != NULL)
		return "is cut off: there is no key before \"" END "\", or that line is missing";
	if (base64.len == 0)
		return memmem(text, len, "PRIVATE KEY-----", 16) != NULL
		           ? "is a private key of an older format; rewrite it with: ssh-keygen -p -f FILE"
		           : "is no private key: expected a file as ssh-keygen writes it";
	if (sodium_base642bin(room, len, (const char *)base64.at, base64.len, "\r\n \t", &decoded, NULL,
	        sodium_base64_VARIANT_ORIGINAL) != 0)
		return "is damaged: what stands between its lines is no base64";
	struct wire in = wire_over(room, decoded);
	struct wire_span magic = wire_bytes(&in, sizeof(MAGIC));
	struct wire_span cipher = wire_string(&in), kdf = wire_string(&in), options = wire_string(&in);
	uint32_t count = wire_u32(&in);
	key->public_key = wire_string(&in);
	key->private_part = wire_string(&in);
	if (!wire_done(&in) || memcmp(magic.at, MAGIC, sizeof(MAGIC)) != 0 || count != 1 ||
	    !wire_span_copy(cipher, key->cipher, sizeof(key->cipher)))
		return "is damaged, or holds more than one key";
	return read_kdf(kdf, options, key);
}

/* How many strings follow the type; 0: a type that cannot be used. */
static unsigned strings_of(struct wire_span type)
{
	static const struct {
		const char *name;
		unsigned strings;
	} known[] = {{"ssh-ed25519", 2}, {"ecdsa-sha2-nistp256", 3}, {"ecdsa-sha2-nistp384", 3},
	    {"ecdsa-sha2-nistp521", 3}, {"ssh-rsa", 6}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (wire_span_is(type, known[i].name))
			return known[i].strings;
	return 0;
}

struct wire_span openssh_key_fields(struct wire_span plain)
{
	struct wire in = wire_over(plain.at, plain.len);
	uint32_t first = wire_u32(&in), second = wire_u32(&in);
	const uint8_t *begin = in.at;
	unsigned strings = strings_of(wire_string(&in));

	if (first != second || strings == 0)
		return (struct wire_span){0};
	for (unsigned i = 0; i < strings; i++)
		(void)wire_string(&in);
	const uint8_t *end = in.at;
	(void)wire_string(&in); /* comment */
	for (uint8_t expected = 1; wire_left(&in) > 0; expected++)
		if (wire_u8(&in) != expected)
			return (struct wire_span){0};
	return in.failed ? (struct wire_span){0} : (struct wire_span){begin, (size_t)(end - begin)};
}
