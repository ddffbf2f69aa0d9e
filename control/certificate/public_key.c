/* SPDX-License-Identifier: Apache-2.0 */
#include "control/certificate/public_key.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct public_key_type types[] = {
    {"ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", PUBLIC_KEY_ED25519, NULL, NULL},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", PUBLIC_KEY_ECDSA, "nistp256",
        "P-256"},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", PUBLIC_KEY_ECDSA, "nistp384",
        "P-384"},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", PUBLIC_KEY_ECDSA, "nistp521",
        "P-521"},
    {"ssh-rsa", "ssh-rsa-cert-v01@openssh.com", PUBLIC_KEY_RSA, NULL, NULL},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", PUBLIC_KEY_SK_ED25519, NULL, NULL},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", PUBLIC_KEY_SK_ECDSA,
        "nistp256", "P-256"},
};

const struct public_key_type *public_key_type_of(struct wire_span name, bool *certificate)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		*certificate = wire_span_is(name, types[i].certificate_name);
		if (*certificate || wire_span_is(name, types[i].name))
			return &types[i];
	}
	*certificate = false;
	return NULL;
}

/* An mpint (RFC 4251 section 5) that must be positive and minimal; its magnitude without the leading zero. */
static struct wire_span positive_mpint(struct wire *in)
{
	struct wire_span number = wire_string(in);

	if (number.len == 0 || (number.at[0] & 0x80) != 0 ||
	    (number.at[0] == 0 && (number.len == 1 || (number.at[1] & 0x80) == 0))) {
		in->failed = true;
		return (struct wire_span){0};
	}
	if (number.at[0] == 0) {
		number.at++;
		number.len--;
	}
	return number;
}

static size_t magnitude_bits(struct wire_span number)
{
	size_t bits = number.len * 8;

	if (number.len == 0)
		return 0;
	for (unsigned mask = 0x80; mask != 0 && (number.at[0] & mask) == 0; mask >>= 1)
		bits--;
	return bits;
}

static bool is_odd(struct wire_span number)
{
	return number.len > 0 && (number.at[number.len - 1] & 1) != 0;
}

static void rsa_parts(struct wire *in, struct public_key *key)
{
	key->exponent = positive_mpint(in);
	key->modulus = positive_mpint(in);
	size_t bits = magnitude_bits(key->modulus);
	/* No usable key has an even part; with 1 as the exponent anybody could sign. */
	if (bits < PUBLIC_KEY_RSA_BITS_LEGACY || bits > PUBLIC_KEY_RSA_BITS_MAX || !is_odd(key->modulus) ||
	    key->exponent.len > 8 || !is_odd(key->exponent) || magnitude_bits(key->exponent) < 2)
		in->failed = true;
}

static void ecdsa_parts(struct wire *in, struct public_key *key)
{
	struct wire_span curve = wire_string(in);
	size_t field = strcmp(key->type->curve, "nistp256") == 0   ? 32
	               : strcmp(key->type->curve, "nistp384") == 0 ? 48
	                                                           : 66;

	key->point = wire_string(in);
	/* SEC 1 section 2.3.3, uncompressed form only (RFC 5656 section 3.1 allows others, nobody sends
	 * them). */
	if (!wire_span_is(curve, key->type->curve) || key->point.len != 1 + 2 * field ||
	    key->point.at[0] != 4)
		in->failed = true;
}

static bool legacy_parts(struct wire *in, const struct public_key_type *type, struct public_key *key)
{
	*key = (struct public_key){.type = type};
	switch (type->kind) {
	case PUBLIC_KEY_ED25519:
	case PUBLIC_KEY_SK_ED25519:
		key->point = wire_string(in);
		if (key->point.len != 32)
			in->failed = true;
		break;
	case PUBLIC_KEY_ECDSA:
	case PUBLIC_KEY_SK_ECDSA:
		ecdsa_parts(in, key);
		break;
	case PUBLIC_KEY_RSA:
		rsa_parts(in, key);
		break;
	}
	if (type->kind == PUBLIC_KEY_SK_ED25519 || type->kind == PUBLIC_KEY_SK_ECDSA)
		key->application = wire_string(in);
	return !in->failed;
}

static bool weak(const struct public_key *key)
{
	return key->type->kind == PUBLIC_KEY_RSA && magnitude_bits(key->modulus) < PUBLIC_KEY_RSA_BITS_MIN;
}

bool public_key_parts(struct wire *in, const struct public_key_type *type, struct public_key *key)
{
	if (!legacy_parts(in, type, key))
		return false;
	in->failed = weak(key);
	return !in->failed;
}

static bool parse(struct wire_span blob, struct public_key *key)
{
	struct wire in = wire_over(blob.at, blob.len);
	bool certificate;
	const struct public_key_type *type = public_key_type_of(wire_string(&in), &certificate);

	*key = (struct public_key){0};
	if (blob.len > PUBLIC_KEY_BLOB_MAX || type == NULL || certificate)
		return false;
	return legacy_parts(&in, type, key) && wire_done(&in);
}

bool public_key_parse(struct wire_span blob, struct public_key *key)
{
	return parse(blob, key) && !weak(key);
}

bool public_key_parse_legacy(struct wire_span blob, struct public_key *key)
{
	return parse(blob, key);
}

void public_key_fingerprint(struct wire_span blob, char text[PUBLIC_KEY_FINGERPRINT_SIZE])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, blob.at, blob.len);
	snprintf(text, PUBLIC_KEY_FINGERPRINT_SIZE, "SHA256:");
	sodium_bin2base64(text + 7, PUBLIC_KEY_FINGERPRINT_SIZE - 7, hash, sizeof(hash),
	    sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

struct wire_span public_key_word(const char **at, const char *end)
{
	while (*at < end && isspace((unsigned char)**at))
		(*at)++;
	struct wire_span span = {.at = (const uint8_t *)*at};
	while (*at < end && !isspace((unsigned char)**at))
		(*at)++;
	span.len = (size_t)((const uint8_t *)*at - span.at);
	return span;
}

static void take_comment(const char *at, const char *end, char *comment, size_t size)
{
	size_t len = 0;

	while (at < end && isspace((unsigned char)*at))
		at++;
	while (end > at && isspace((unsigned char)end[-1]))
		end--;
	/* Comments reach terminals and logs: printable ASCII only. */
	for (; at < end && len + 1 < size; at++)
		comment[len++] = *at >= 0x20 && *at < 0x7f ? *at : '?';
	comment[len] = '\0';
}

const char *public_key_line_parse(const char *text, size_t len, struct public_key_line *line)
{
	const char *at = text, *end = text + len;
	struct wire_span type = public_key_word(&at, end), base64 = public_key_word(&at, end);
	bool certificate;

	*line = (struct public_key_line){0};
	if (memchr(text, '\0', len) != NULL)
		return "has a NUL byte in it";
	take_comment(at, end, line->comment, sizeof(line->comment));
	if (type.len == 0)
		return "is empty; expected a line such as \"ssh-ed25519 AAAA… comment\", the content of a "
		       ".pub file";
	const struct public_key_type *known = public_key_type_of(type, &certificate);
	if (certificate)
		return "is a certificate; expected the plain public key, the content of a .pub file";
	if (known == NULL)
		return "begins with a word that is no key type; expected ssh-ed25519, "
		       "ecdsa-sha2-nistp256/384/521, "
		       "ssh-rsa or an sk- type, without options before it";
	if (sodium_base642bin(line->blob, sizeof(line->blob), (const char *)base64.at, base64.len, NULL,
	        &line->blob_len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    line->blob_len == 0)
		return "has no valid base64 after its type; was it cut while copying?";
	if (!public_key_parse((struct wire_span){line->blob, line->blob_len}, &line->key))
		return known->kind == PUBLIC_KEY_RSA
		           ? "is damaged, or is an RSA key of less than 2048 or more than 16384 bits"
		           : "is damaged; was it cut while copying?";
	if (line->key.type != known)
		return "says another type in its text than in its data";
	return NULL;
}

char *public_key_line_print(struct wire_span blob, const char *comment)
{
	struct wire in = wire_over(blob.at, blob.len);
	struct wire_span type = wire_string(&in);
	size_t base64 = sodium_base64_encoded_len(blob.len, sodium_base64_VARIANT_ORIGINAL);
	size_t size = type.len + 1 + base64 + 1 + strlen(comment) + 1;
	char *line = malloc(size);

	if (line == NULL)
		return NULL;
	int at = snprintf(line, size, "%.*s ", (int)type.len, type.len > 0 ? (const char *)type.at : "");
	sodium_bin2base64(line + at, base64, blob.at, blob.len, sodium_base64_VARIANT_ORIGINAL);
	if (comment[0] != '\0')
		snprintf(line + at + base64 - 1, strlen(comment) + 2, " %s", comment);
	return line;
}
