/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSH certificates, as PROTOCOL.certkeys lays them out:
 *
 *   string type, string nonce, the key's own fields, u64 serial, u32 kind (1: user, 2: host), string key id,
 *   string principals (each a string), u64 valid after, u64 valid before, string critical options,
 *   string extensions, string reserved, string signature key, string signature over all before it.
 *
 * Options and extensions are (string name, string data) sorted by name; the data of an option with a value is
 * that value as a string again. What is signed here opens doors: a certificate without principals would be
 * good for every login, or for every host, so it is refused, and so is every field that sshd or ssh might
 * read in another way. A host certificate has neither options nor extensions: none are defined for it.
 */
#include "control/certificate/public_key.h"
#include "control/keeper/keeper.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define CERTIFICATE_USER 1
#define CERTIFICATE_HOST 2
#define NONCE_SIZE 32
#define KEY_ID_MAX 1024
#define PRINCIPAL_MAX 256
#define COMMAND_MAX 8192
#define SOURCE_MAX 1024

static bool refuse(char error[KEEPER_ERROR_MAX], const char *text)
{
	snprintf(error, KEEPER_ERROR_MAX, "%s", text);
	return false;
}

bool certificate_timely(uint64_t valid_after, uint64_t valid_before, uint64_t now_s, uint64_t longest_s,
    char error[KEEPER_ERROR_MAX])
{
	bool days = longest_s % 86400 == 0;

	if (valid_before <= now_s || valid_before - now_s > longest_s)
		snprintf(error, KEEPER_ERROR_MAX, "the validity must end within %llu %s from now",
		    (unsigned long long)(days ? longest_s / 86400 : longest_s), days ? "days" : "seconds");
	else if (valid_after > now_s || now_s - valid_after > KEEPER_BACKDATE_S)
		snprintf(error, KEEPER_ERROR_MAX, "the validity must begin within the last %u seconds",
		    KEEPER_BACKDATE_S);
	else
		return true;
	return false;
}

static bool is_security_key(const struct public_key *key)
{
	return key->type->kind == PUBLIC_KEY_SK_ED25519 || key->type->kind == PUBLIC_KEY_SK_ECDSA;
}

/* Reads the holder's key; *fields: all that follows its type's name. Security keys are people's, not hosts'.
 */
static bool read_key(struct wire_span blob, uint32_t kind, struct public_key *key, struct wire_span *fields)
{
	struct wire in = wire_over(blob.at, blob.len);

	(void)wire_string(&in);
	*fields = (struct wire_span){in.at, wire_left(&in)};
	return public_key_parse(blob, key) && (kind == CERTIFICATE_USER || !is_security_key(key));
}

/* At least one name, each short, none empty, none with a NUL or a control character. */
static bool principals_valid(struct wire_span principals)
{
	struct wire in = wire_over(principals.at, principals.len);
	unsigned count = 0;

	while (wire_left(&in) > 0) {
		struct wire_span name = wire_string(&in);
		if (name.len == 0 || name.len > PRINCIPAL_MAX || ++count > KEEPER_PRINCIPALS_MAX)
			return false;
		for (size_t i = 0; i < name.len; i++)
			if (name.at[i] < 0x20 || name.at[i] == 0x7f || name.at[i] == ',')
				return false;
	}
	return wire_done(&in) && count > 0;
}

/* A comma-separated list of addresses and CIDRs; sshd refuses a certificate whose list it cannot read. */
static bool source_valid(struct wire_span source)
{
	if (source.len > SOURCE_MAX)
		return false;
	for (size_t i = 0; i < source.len; i++)
		if (source.at[i] == '\0' || strchr("0123456789abcdefABCDEF.:/,", source.at[i]) == NULL)
			return false;
	return true;
}

static bool command_valid(struct wire_span command)
{
	return command.len <= COMMAND_MAX &&
	       (command.len == 0 || memchr(command.at, '\0', command.len) == NULL);
}

static bool fields_valid(const struct certificate *c, char error[KEEPER_ERROR_MAX])
{
	if (c->key_id.len == 0 || c->key_id.len > KEY_ID_MAX ||
	    memchr(c->key_id.at, '\0', c->key_id.len) != NULL)
		return refuse(error, "the key id is empty, too long or holds a NUL");
	if (!principals_valid(c->principals))
		return refuse(
		    error, "expected at least one principal, each 1 to 256 bytes without control characters");
	if (c->valid_before <= c->valid_after)
		return refuse(error, "the validity ends before it begins");
	if (!command_valid(c->force_command))
		return refuse(error, "the forced command is too long or holds a NUL");
	if (!source_valid(c->source_address))
		return refuse(error, "the source address is no list of addresses");
	return true;
}

/* Opens a nested string: returns where its length will stand. */
static uint8_t *begin_string(struct wire_out *out)
{
	uint8_t *at = out->at;

	wire_put_u32(out, 0);
	return at;
}

static void end_string(struct wire_out *out, uint8_t *at)
{
	if (out->failed)
		return;
	struct wire_out length = wire_into(at, 4);
	wire_put_u32(&length, (uint32_t)(out->at - at - 4));
}

/* One whose data is a value; left out where that is empty. */
static void put_option(struct wire_out *out, const char *name, struct wire_span value)
{
	if (value.len == 0)
		return;
	wire_put_cstring(out, name);
	uint8_t *data = begin_string(out);
	wire_put_string(out, value.at, value.len);
	end_string(out, data);
}

static void put_extensions(struct wire_out *out, uint32_t permits)
{
	static const struct {
		const char *name;
		uint32_t permit;
	} sorted[] = {
	    {"no-touch-required", RPC_CERTIFY_NO_TOUCH},
	    {"permit-X11-forwarding", RPC_PERMIT_X11_FORWARDING},
	    {"permit-agent-forwarding", RPC_PERMIT_AGENT_FORWARDING},
	    {"permit-port-forwarding", RPC_PERMIT_PORT_FORWARDING},
	    {"permit-pty", RPC_PERMIT_PTY},
	    {"permit-user-rc", RPC_PERMIT_USER_RC},
	};
	uint8_t *list = begin_string(out);

	for (size_t i = 0; i < sizeof(sorted) / sizeof(sorted[0]); i++)
		if ((permits & sorted[i].permit) != 0) {
			wire_put_cstring(out, sorted[i].name);
			wire_put_string(out, "", 0);
		}
	end_string(out, list);
}

static void put_body(struct wire_out *out, uint32_t kind, const struct public_key_type *type,
    struct wire_span key_fields, const struct certificate *c)
{
	uint8_t nonce[NONCE_SIZE];

	randombytes_buf(nonce, sizeof(nonce));
	wire_put_cstring(out, type->certificate_name);
	wire_put_string(out, nonce, sizeof(nonce));
	wire_put_bytes(out, key_fields.at, key_fields.len);
	wire_put_u64(out, c->serial);
	wire_put_u32(out, kind);
	wire_put_string(out, c->key_id.at, c->key_id.len);
	wire_put_string(out, c->principals.at, c->principals.len);
	wire_put_u64(out, c->valid_after);
	wire_put_u64(out, c->valid_before);
	uint8_t *options = begin_string(out);
	put_option(out, "force-command", c->force_command);
	put_option(out, "source-address", c->source_address);
	if ((c->permits & RPC_CERTIFY_VERIFY_REQUIRED) != 0) { /* a flag: its data is empty */
		wire_put_cstring(out, "verify-required");
		wire_put_string(out, "", 0);
	}
	end_string(out, options);
	put_extensions(out, c->permits);
	wire_put_string(out, "", 0); /* reserved */
}

static bool make(const struct keyring *keyring, enum keyring_kind ca, uint32_t kind,
    const struct certificate *c, struct wire_out *out, char error[KEEPER_ERROR_MAX])
{
	uint8_t room[PRIVATE_KEY_SIGNATURE_MAX];
	struct wire_out signature = wire_into(room, sizeof(room));
	struct wire_span ca_blob = keyring_ca_blob(keyring, ca);
	struct public_key key;
	struct wire_span key_fields;
	uint8_t *start = out->at;

	if (!read_key(c->public_key, kind, &key, &key_fields))
		return refuse(error, kind == CERTIFICATE_USER
		                         ? "the public key is no ed25519, ecdsa (nistp256, 384, 521), "
		                           "ed25519-sk, ecdsa-sk or rsa key of 2048 to 16384 bits"
		                         : "the public key is no ed25519, ecdsa (nistp256, 384, 521) or rsa "
		                           "key of 2048 to 16384 bits");
	if ((c->permits & (RPC_CERTIFY_NO_TOUCH | RPC_CERTIFY_VERIFY_REQUIRED)) != 0 &&
	    !is_security_key(&key))
		return refuse(error, "touch and verification are asked of security keys, and this is none");
	if (!fields_valid(c, error))
		return false;
	if (ca_blob.len == 0) {
		snprintf(error, KEEPER_ERROR_MAX, "there is no %s CA yet (reeve ca create --type %s)",
		    ca_name((uint8_t)ca), ca_name((uint8_t)ca));
		return false;
	}
	put_body(out, kind, key.type, key_fields, c);
	wire_put_string(out, ca_blob.at, ca_blob.len);
	if (out->failed)
		return refuse(error, "the certificate would be too long");
	struct wire_span body = {start, (size_t)(out->at - start)};
	if (!keyring_ca_sign(keyring, ca, body, &signature, error))
		return false;
	wire_put_string(out, room, wire_written(&signature));
	return out->failed ? refuse(error, "the certificate would be too long") : true;
}

bool certificate_make(const struct keyring *keyring, enum keyring_kind ca, const struct certificate *c,
    struct wire_out *out, char error[KEEPER_ERROR_MAX])
{
	return make(keyring, ca, CERTIFICATE_USER, c, out, error);
}

bool certificate_make_host(const struct keyring *keyring, const struct certificate *c, struct wire_out *out,
    char error[KEEPER_ERROR_MAX])
{
	struct certificate plain = *c;

	plain.force_command = plain.source_address = (struct wire_span){0};
	plain.permits = 0;
	return make(keyring, KEYRING_HOST_CA, CERTIFICATE_HOST, &plain, out, error);
}
