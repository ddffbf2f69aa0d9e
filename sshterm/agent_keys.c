/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/agent_keys.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "sshterm/agent_protocol.h"

#define CERT "-cert-v01@openssh.com"
#define USER_CERTIFICATE 1 /* PROTOCOL.certkeys: SSH_CERT_TYPE_USER */
#define PLAIN_MAX 4096     /* a key's blob without its certificate; RSA of 16384 bits has 2 KB */

/* Key types, and how many strings a key has behind its type (RFC 4253 section 6.6, RFC 5656, RFC 8709,
 * PROTOCOL.u2f). */
static const struct key_type {
	const char *name, *certificate;
	const char *signature, *certified; /* algorithms; RSA's are chosen */
	unsigned fields;
} types[] = {
    {"ssh-ed25519", "ssh-ed25519" CERT, "ssh-ed25519", "ssh-ed25519" CERT, 1},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256" CERT, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256" CERT, 2},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" CERT, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" CERT, 2},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521" CERT, "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521" CERT, 2},
    {"ssh-rsa", "ssh-rsa" CERT, NULL, NULL, 2},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519" CERT, "sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519" CERT,
        2},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256" CERT,
        "sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256" CERT, 3},
};

/* A blob, taken apart. */
struct parts {
	const struct key_type *type;
	struct wire_span fields; /* the strings that make the key */
	bool certificate;
	struct wire rest; /* of a certificate, behind them */
};

static bool take_apart(struct wire_span blob, struct parts *parts)
{
	struct wire in = wire_over(blob.at, blob.len);
	struct wire_span name = wire_string(&in);

	*parts = (struct parts){0};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (wire_span_is(name, types[i].name) || wire_span_is(name, types[i].certificate))
			parts->type = &types[i];
	}
	if (parts->type == NULL)
		return false;
	parts->certificate = wire_span_is(name, parts->type->certificate);
	if (parts->certificate)
		(void)wire_string(&in); /* nonce */
	parts->fields.at = in.at;
	for (unsigned i = 0; i < parts->type->fields; i++)
		(void)wire_string(&in);
	parts->fields.len = (size_t)(in.at - parts->fields.at);
	parts->rest = in;
	return !in.failed && (parts->certificate || wire_left(&in) == 0);
}

static bool same_key(const struct parts *a, const struct parts *b)
{
	return a->type == b->type && wire_span_same(a->fields, b->fields);
}

/* -- certificates (PROTOCOL.certkeys) -- */

static bool names_login(struct wire_span principals, const char *login)
{
	struct wire in = wire_over(principals.at, principals.len);
	bool named = false;

	while (wire_left(&in) > 0 && !in.failed)
		named |= wire_span_is(wire_string(&in), login);
	return named;
}

/* Could an origin let this certificate in? *named: it says that it is for the login. */
static bool certificate_fits(struct wire in, const struct agent_wish *wish, bool *named)
{
	(void)wire_u64(&in); /* serial */
	uint32_t kind = wire_u32(&in);
	(void)wire_string(&in); /* key id */
	struct wire_span principals = wire_string(&in);
	uint64_t after = wire_u64(&in), before = wire_u64(&in);

	*named = names_login(principals, wish->login);
	return !in.failed && kind == USER_CERTIFICATE && after <= wish->now_s && wish->now_s < before;
}

/* -- algorithms -- */

static bool in_list(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)) != NULL; at += len) {
		if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* OpenSSH before 7.8 told of RSA's algorithms alone: only a list with others in it is one of all. */
static bool list_is_whole(const char *list)
{
	return in_list(list, "ssh-ed25519") || strstr(list, "ecdsa-sha2-") != NULL;
}

static bool choose_rsa(struct agent_key *key, const struct agent_wish *wish)
{
	const char *list = wish->signature_algs;

	if (list == NULL && wish->sha1) {
		key->signature = "ssh-rsa";
		key->algorithm = key->certificate ? "ssh-rsa" CERT : "ssh-rsa";
	} else if (list == NULL || in_list(list, "rsa-sha2-512")) {
		key->signature = "rsa-sha2-512";
		key->algorithm = key->certificate ? "rsa-sha2-512" CERT : "rsa-sha2-512";
		key->flags = AGENT_RSA_SHA2_512;
	} else if (in_list(list, "rsa-sha2-256")) {
		key->signature = "rsa-sha2-256";
		key->algorithm = key->certificate ? "rsa-sha2-256" CERT : "rsa-sha2-256";
		key->flags = AGENT_RSA_SHA2_256;
	} else {
		return false;
	}
	return true;
}

static bool choose_algorithm(
    struct agent_key *key, const struct key_type *type, const struct agent_wish *wish)
{
	const char *list = wish->signature_algs;

	if (type->signature == NULL)
		return choose_rsa(key, wish);
	key->signature = type->signature;
	key->algorithm = key->certificate ? type->certified : type->signature;
	return list == NULL || !list_is_whole(list) || in_list(list, type->signature);
}

/* -- the choice -- */

enum rank { RANK_PROVEN, RANK_SAME_KEY, RANK_NAMED, RANK_CERTIFICATE, RANK_KEY };

static bool judge(struct agent_key *key, const struct agent_wish *wish)
{
	struct parts parts, proven;
	bool named = false;

	if (key->blob.len > AGENT_BLOB_MAX || !take_apart(key->blob, &parts))
		return false;
	key->certificate = parts.certificate;
	if (parts.certificate && !certificate_fits(parts.rest, wish, &named))
		return false;
	if (!choose_algorithm(key, parts.type, wish))
		return false;
	key->rank = !parts.certificate ? RANK_KEY : named ? RANK_NAMED : RANK_CERTIFICATE;
	if (wish->proven.len > 0 && take_apart(wish->proven, &proven) && same_key(&parts, &proven))
		key->rank = wire_span_same(key->blob, wish->proven) ? RANK_PROVEN : RANK_SAME_KEY;
	return true;
}

/* Behind all of its rank and those before it. */
static void insert(struct agent_keys *keys, const struct agent_key *key)
{
	unsigned place = keys->count;

	while (place > 0 && keys->keys[place - 1].rank > key->rank)
		place--;
	if (keys->count == AGENT_KEYS_MAX)
		keys->skipped++;
	if (place == AGENT_KEYS_MAX)
		return;
	unsigned last = keys->count < AGENT_KEYS_MAX ? keys->count++ : AGENT_KEYS_MAX - 1;
	memmove(&keys->keys[place + 1], &keys->keys[place], (last - place) * sizeof(*key));
	keys->keys[place] = *key;
}

bool agent_keys_choose(struct agent_keys *keys, struct wire_span answer, const struct agent_wish *wish)
{
	struct wire list;
	uint32_t count;

	*keys = (struct agent_keys){0};
	if (!agent_read_list(answer, &list, &count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct agent_key key = {0};
		struct wire_span comment;

		if (!agent_read_key(&list, &key.blob, &comment))
			return false;
		keys->listed++;
		if (judge(&key, wish))
			insert(keys, &key);
		else
			keys->unfit++;
	}
	return wire_done(&list);
}

void agent_fingerprint(char out[AGENT_FINGERPRINT_MAX], struct wire_span blob)
{
	uint8_t hash[crypto_hash_sha256_BYTES], plain[PLAIN_MAX];
	struct wire_out o = wire_into(plain, sizeof(plain));
	struct parts parts;

	if (take_apart(blob, &parts) && parts.certificate) {
		wire_put_cstring(&o, parts.type->name);
		wire_put_bytes(&o, parts.fields.at, parts.fields.len);
		if (!o.failed)
			blob = (struct wire_span){plain, wire_written(&o)};
	}
	crypto_hash_sha256(hash, blob.at, blob.len);
	snprintf(out, AGENT_FINGERPRINT_MAX, "SHA256:");
	(void)sodium_bin2base64(out + 7, AGENT_FINGERPRINT_MAX - 7, hash, sizeof(hash),
	    sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}
