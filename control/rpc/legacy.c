/* SPDX-License-Identifier: Apache-2.0 */
#include "control/rpc/legacy.h"

#include <stdio.h>

#define BOTH (LEGACY_CLIENT | LEGACY_ORIGIN)

/*
 * Group exchange is the origin's only: a server needs a file of moduli. The NIST curves are fit for the leg
 * to the origin as they are; clients are not offered them unasked, for every audit of servers complains of
 * them. Nor is group 18, which costs a stranger nothing to ask for, and the box 100 ms.
 */
const struct legacy_algorithm legacy_algorithms[] = {
    {"diffie-hellman-group14-sha1", LEGACY_KEX, BOTH},
    {"diffie-hellman-group1-sha1", LEGACY_KEX, BOTH},
    {"diffie-hellman-group-exchange-sha256", LEGACY_KEX, LEGACY_ORIGIN},
    {"diffie-hellman-group-exchange-sha1", LEGACY_KEX, LEGACY_ORIGIN},
    {"diffie-hellman-group18-sha512", LEGACY_KEX, LEGACY_CLIENT},
    {"ecdh-sha2-nistp256", LEGACY_KEX, LEGACY_CLIENT},
    {"ecdh-sha2-nistp384", LEGACY_KEX, LEGACY_CLIENT},
    {"ecdh-sha2-nistp521", LEGACY_KEX, LEGACY_CLIENT},
    {"ecdsa-sha2-nistp256", LEGACY_HOST_KEY, LEGACY_CLIENT},
    {"ecdsa-sha2-nistp384", LEGACY_HOST_KEY, LEGACY_CLIENT},
    {"ecdsa-sha2-nistp521", LEGACY_HOST_KEY, LEGACY_CLIENT},
    {"ssh-rsa", LEGACY_HOST_KEY, BOTH}, /* signatures by SHA-1 */
    {LEGACY_RSA_1024, LEGACY_SIZE, LEGACY_ORIGIN},
    {"aes256-cbc", LEGACY_CIPHER, BOTH},
    {"aes192-cbc", LEGACY_CIPHER, BOTH},
    {"aes128-cbc", LEGACY_CIPHER, BOTH},
    {"3des-cbc", LEGACY_CIPHER, BOTH},
    {"hmac-sha1-etm@openssh.com", LEGACY_MAC, BOTH},
    {"hmac-sha1", LEGACY_MAC, BOTH},
};
const size_t legacy_count = sizeof(legacy_algorithms) / sizeof(legacy_algorithms[0]);

const struct legacy_algorithm *legacy_find(struct wire_span name)
{
	for (size_t i = 0; i < legacy_count; i++)
		if (wire_span_is(name, legacy_algorithms[i].name))
			return &legacy_algorithms[i];
	return NULL;
}

void legacy_list(uint32_t set, char list[LEGACY_LIST_MAX])
{
	size_t used = 0;

	list[0] = '\0';
	for (size_t i = 0; i < legacy_count; i++)
		if ((set & 1u << i) != 0)
			used += (size_t)snprintf(list + used, LEGACY_LIST_MAX - used, "%s%s",
			    used > 0 ? "," : "", legacy_algorithms[i].name);
}

uint32_t legacy_bit(const char *name)
{
	const struct legacy_algorithm *algorithm = legacy_find(wire_span_of(name));

	return algorithm == NULL ? 0 : 1u << (algorithm - legacy_algorithms);
}
