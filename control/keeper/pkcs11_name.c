/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "control/keeper/pkcs11.h"

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* What stands in a value as itself (RFC 7512 section 2.3): no '?', behind which a PIN would come. */
static bool is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~:[]@!$'()*+,=&", c) != NULL);
}

/* Percent-decodes (RFC 3986 section 2.1) into at most `size` bytes. -1: it cannot be. */
static int decode(struct wire_span value, uint8_t *room, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < value.len; i++) {
		int c = value.at[i];
		if (c == '%') {
			if (i + 2 >= value.len || hex(value.at[i + 1]) < 0 || hex(value.at[i + 2]) < 0)
				return -1;
			c = hex(value.at[i + 1]) * 16 + hex(value.at[i + 2]);
			i += 2;
		} else if (!is_plain(value.at[i])) {
			return -1;
		}
		if (len == size)
			return -1;
		room[len++] = (uint8_t)c;
	}
	return (int)len;
}

static bool take_text(struct wire_span value, char *room, size_t size)
{
	int len = decode(value, (uint8_t *)room, size - 1);

	if (len <= 0 || memchr(room, '\0', (size_t)len) != NULL || room[0] == '\0')
		return false;
	room[len] = '\0';
	return true;
}

static bool take_attribute(struct wire_span attribute, struct pkcs11_name *name)
{
	const uint8_t *equals = memchr(attribute.at, '=', attribute.len);

	if (equals == NULL)
		return false;
	struct wire_span key = {attribute.at, (size_t)(equals - attribute.at)};
	struct wire_span value = {equals + 1, attribute.len - key.len - 1};
	if (wire_span_is(key, "token"))
		return name->token[0] == '\0' && take_text(value, name->token, sizeof(name->token));
	if (wire_span_is(key, "object"))
		return name->object[0] == '\0' && take_text(value, name->object, sizeof(name->object));
	if (wire_span_is(key, "type"))
		return wire_span_is(value, "private");
	if (!wire_span_is(key, "id") || name->id_len != 0)
		return false;
	int len = decode(value, name->id, sizeof(name->id));
	name->id_len = len < 0 ? 0 : (size_t)len;
	return len > 0;
}

bool pkcs11_name_read(struct wire_span uri, struct pkcs11_name *name, const char **wrong)
{
	static const char scheme[] = "pkcs11:";
	struct wire_span rest;

	*name = (struct pkcs11_name){0};
	*wrong = "expected such as pkcs11:token=portreeve;object=user-ca, with `token` and `object` or `id` "
	         "and nothing "
	         "else (the PIN stands in keeper.pkcs11.pin_file)";
	if (uri.len <= strlen(scheme) || memcmp(uri.at, scheme, strlen(scheme)) != 0)
		return false;
	rest = (struct wire_span){uri.at + strlen(scheme), uri.len - strlen(scheme)};
	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.at, ';', rest.len);
		size_t len = end == NULL ? rest.len : (size_t)(end - rest.at);
		if (!take_attribute((struct wire_span){rest.at, len}, name))
			return false;
		len += end != NULL;
		rest = (struct wire_span){rest.at + len, rest.len - len};
	}
	return name->token[0] != '\0' && (name->object[0] != '\0' || name->id_len > 0);
}
