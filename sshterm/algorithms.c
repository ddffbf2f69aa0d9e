/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/algorithms.h"

#include <stdio.h>
#include <string.h>

#include "control/rpc/legacy.h"

/* A server needs no more: whoever knows none of these is old gear. No group exchange, whose moduli are in a
 * file, and neither NIST curves nor group 18 but where a rule names them (legacy.c says why). */
#define CLIENT_KEX                                                                                           \
	"mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256," \
	"curve25519-sha256@libssh.org,diffie-hellman-group16-sha512,diffie-hellman-group14-sha256"
#define CLIENT_HOST_KEYS "ssh-ed25519,rsa-sha2-512,rsa-sha2-256"
#define CERTIFIED "-cert-v01@openssh.com"

/* What costs much CPU as the client comes last: sntrup761 5 ms, group 18 90 ms, while the hybrid with ML-KEM
 * costs a third of a millisecond (tests/bench/kex). */
#define ORIGIN_KEX                                                                                           \
	"mlkem768x25519-sha256,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"           \
	"ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group14-sha256," \
	"sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,diffie-hellman-group18-sha512"
#define ORIGIN_HOST_KEYS                                                                                     \
	"ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
#define ORIGIN_CERTIFICATES                                                                                  \
	"ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"                         \
	"ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"                 \
	"rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com"

#define CIPHERS                                                                                              \
	"aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr," \
	"aes128-ctr"
#define MACS "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"
#define RSA_BITS_MIN 2048
/* What users may sign with; the names also tell clients (RFC 8308 section 3.1). */
#define USER_KEYS                                                                                            \
	"ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,"                              \
	"ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,"                 \
	"ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,"              \
	"rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,"                   \
	"ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,"            \
	"sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"

/* The next name of a comma-separated list. */
static bool next_name(struct wire_span *list, struct wire_span *name)
{
	do {
		const uint8_t *comma = list->len == 0 ? NULL : memchr(list->at, ',', list->len);
		size_t len = comma == NULL ? list->len : (size_t)(comma - list->at);
		*name = (struct wire_span){list->at, len};
		if (list->len == 0)
			return false;
		size_t taken = comma == NULL ? len : len + 1;
		list->at += taken;
		list->len -= taken;
	} while (name->len == 0);
	return true;
}

bool algorithms_name(struct wire_span list, struct wire_span wanted)
{
	struct wire_span name;

	while (next_name(&list, &name))
		if (wire_span_same(name, wanted))
			return true;
	return false;
}

/* Adds a name at the end of a list, unless it stands there. False: it does not fit. */
static bool add(char list[ALGORITHMS_LIST_MAX], struct wire_span name)
{
	size_t used = strlen(list);

	if (algorithms_name(wire_span_of(list), name))
		return true;
	if (used + name.len + 2 > ALGORITHMS_LIST_MAX)
		return false;
	if (used > 0)
		list[used++] = ',';
	memcpy(list + used, name.at, name.len);
	list[used + name.len] = '\0';
	return true;
}

static bool add_all(char list[ALGORITHMS_LIST_MAX], struct wire_span names)
{
	struct wire_span name;
	bool good = true;

	while (next_name(&names, &name))
		good = add(list, name) && good;
	return good;
}

/* Behind all others: the peer's first of what both know is not taken where it is the client's to choose, but
 * ours are not put before better ones either. */
static bool add_legacy(struct algorithms *algorithms, struct wire_span names, uint8_t leg)
{
	struct wire_span name;
	bool good = true;

	while (next_name(&names, &name)) {
		const struct legacy_algorithm *legacy = legacy_find(name);
		if (legacy == NULL || (legacy->legs & leg) == 0)
			continue;
		switch (legacy->kind) {
		case LEGACY_KEX:
			good = add(algorithms->kex, name) && good;
			break;
		case LEGACY_HOST_KEY:
			good = add(algorithms->host_keys, name) && good;
			/* What a client takes from a server it signs by itself. */
			if (leg == LEGACY_CLIENT)
				good = add(algorithms->user_keys, name) && good;
			break;
		case LEGACY_CIPHER:
			good = add(algorithms->ciphers, name) && good;
			break;
		case LEGACY_MAC:
			good = add(algorithms->macs, name) && good;
			break;
		case LEGACY_SIZE:
			algorithms->rsa_bits_min = 1024;
			break;
		}
	}
	return good;
}

/* Before the plain host keys, a certificate's name for each. */
static bool put_certificates_first(char list[ALGORITHMS_LIST_MAX])
{
	char plain[ALGORITHMS_LIST_MAX], certified[96];
	struct wire_span names, name;
	bool good = true;

	memcpy(plain, list, sizeof(plain));
	list[0] = '\0';
	for (names = wire_span_of(plain); next_name(&names, &name);)
		/* SHA-1 is for those who know nothing of certificates. */
		if (!wire_span_is(name, "ssh-rsa")) {
			snprintf(certified, sizeof(certified), "%.*s" CERTIFIED, (int)name.len,
			    (const char *)name.at);
			good = add(list, wire_span_of(certified)) && good;
		}
	return add_all(list, wire_span_of(plain)) && good;
}

bool algorithms_of_client_leg(struct algorithms *algorithms, struct wire_span legacy, bool certificates)
{
	*algorithms = (struct algorithms){.kex = CLIENT_KEX,
	    .user_keys = USER_KEYS,
	    .ciphers = CIPHERS,
	    .macs = MACS,
	    .rsa_bits_min = RSA_BITS_MIN};
	return add_all(algorithms->host_keys, wire_span_of(CLIENT_HOST_KEYS)) &&
	       add_legacy(algorithms, legacy, LEGACY_CLIENT) &&
	       (!certificates || put_certificates_first(algorithms->host_keys));
}

/* Does the rule allow it, and is it one? */
static bool is_legacy_host_key(struct wire_span legacy, struct wire_span name)
{
	const struct legacy_algorithm *algorithm = legacy_find(name);

	return algorithm != NULL && algorithm->kind == LEGACY_HOST_KEY &&
	       (algorithm->legs & LEGACY_ORIGIN) != 0 && algorithms_name(legacy, name);
}

bool algorithms_of_origin_leg(
    struct algorithms *algorithms, struct wire_span legacy, struct wire_span preferred)
{
	struct wire_span name;
	bool good = true;

	*algorithms = (struct algorithms){
	    .kex = ORIGIN_KEX, .ciphers = CIPHERS, .macs = MACS, .rsa_bits_min = RSA_BITS_MIN};
	/* Only what we speak: a pinned key of another type cannot be asked for. */
	while (next_name(&preferred, &name))
		if (algorithms_name(wire_span_of(ORIGIN_HOST_KEYS), name) ||
		    algorithms_name(wire_span_of(ORIGIN_CERTIFICATES), name) ||
		    is_legacy_host_key(legacy, name))
			good = add(algorithms->host_keys, name) && good;
	return add_all(algorithms->host_keys, wire_span_of(ORIGIN_HOST_KEYS)) && good &&
	       add_legacy(algorithms, legacy, LEGACY_ORIGIN);
}
