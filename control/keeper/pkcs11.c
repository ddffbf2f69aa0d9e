/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/pkcs11.h"

#include <dlfcn.h>
#include <openssl/sha.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/keeper/keeper.h"

#define SLOTS_MAX 64
#define RSA_BYTES_MAX 1024

#ifndef CKK_EC_EDWARDS
#define CKK_EC_EDWARDS 0x40UL
#endif

struct pkcs11 {
	CK_FUNCTION_LIST *f;
	const char *pin;
	struct pkcs11_refusals *refusals;
	CK_SESSION_HANDLE session; /* 0: none */
	char token[33];            /* whose it is */
};

static bool refuse(char error[PKCS11_ERROR_MAX], const char *what, CK_RV rv)
{
	static const struct {
		CK_RV rv;
		const char *text;
	} known[] = {{CKR_PIN_INCORRECT, "the PIN is wrong (keeper.pkcs11.pin_file)"},
	    {CKR_PIN_LOCKED, "the PIN is locked"}, {CKR_TOKEN_NOT_PRESENT, "the token is not there"},
	    {CKR_DEVICE_REMOVED, "the token was taken away"}, {CKR_DEVICE_ERROR, "the token has an error"},
	    {CKR_MECHANISM_INVALID, "the token does not know the algorithm"},
	    {CKR_TOKEN_WRITE_PROTECTED, "the token is write-protected"},
	    {CKR_CURVE_NOT_SUPPORTED, "the token does not know the curve"}};
	const char *text = "";

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].rv == rv)
			text = known[i].text;
	if (text[0] != '\0')
		snprintf(error, PKCS11_ERROR_MAX, "%s: %s", what, text);
	else
		snprintf(error, PKCS11_ERROR_MAX, "%s: PKCS#11 error 0x%lx", what, rv);
	return false;
}

struct pkcs11 *pkcs11_open(
    const char *module, const char *pin, struct pkcs11_refusals *refusals, char error[PKCS11_ERROR_MAX])
{
	void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
	struct pkcs11 *p = calloc(1, sizeof(*p));

	if (library == NULL || p == NULL) {
		snprintf(error, PKCS11_ERROR_MAX, "the PKCS#11 module cannot be loaded: %s",
		    library == NULL ? dlerror() : "no memory");
		free(p);
		return NULL;
	}
	*(void **)&get = dlsym(library, "C_GetFunctionList");
	CK_C_INITIALIZE_ARGS threads = {.flags = CKF_OS_LOCKING_OK};
	CK_RV rv = get == NULL ? CKR_FUNCTION_NOT_SUPPORTED : get(&p->f);
	if (rv == CKR_OK)
		rv = p->f->C_Initialize(&threads);
	if (rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		p->pin = pin;
		p->refusals = refusals;
		return p;
	}
	(void)refuse(error, "the PKCS#11 module does not start", rv);
	free(p);
	return NULL;
}

/* -- sessions ---------------------------------------------------------------------------------------------
 */

/* A label is padded with blanks. */
static bool has_label(const CK_UTF8CHAR label[32], const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < 32; i++)
		if (label[i] != (i < len ? (CK_UTF8CHAR)name[i] : ' '))
			return false;
	return len <= 32;
}

static bool find_slot(struct pkcs11 *p, const char *token, CK_SLOT_ID *slot, char error[PKCS11_ERROR_MAX])
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX;
	CK_TOKEN_INFO info;
	CK_RV rv = p->f->C_GetSlotList(CK_TRUE, slots, &count);

	if (rv != CKR_OK)
		return refuse(error, "the slots cannot be listed", rv);
	for (CK_ULONG i = 0; i < count; i++)
		if (p->f->C_GetTokenInfo(slots[i], &info) == CKR_OK && has_label(info.label, token)) {
			*slot = slots[i];
			return true;
		}
	snprintf(error, PKCS11_ERROR_MAX, "there is no token '%s'", token);
	return false;
}

static void drop_session(struct pkcs11 *p)
{
	if (p->session != 0)
		(void)p->f->C_CloseSession(p->session);
	p->session = 0;
}

static bool is_refused(const struct pkcs11_refusals *refusals, const char *token)
{
	for (uint32_t i = 0; i < refusals->count && i < PKCS11_REFUSALS_MAX; i++)
		if (strcmp(refusals->tokens[i], token) == 0)
			return true;
	return refusals->count >= PKCS11_REFUSALS_MAX;
}

/* Whether the answer is about the PIN: asked once more, the token would count it once more. */
static bool is_of_the_pin(CK_RV rv)
{
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED || rv == CKR_PIN_INVALID ||
	       rv == CKR_PIN_LEN_RANGE || rv == CKR_PIN_EXPIRED;
}

static bool log_in(struct pkcs11 *p, const char *token, char error[PKCS11_ERROR_MAX])
{
	CK_RV rv = p->f->C_Login(p->session, CKU_USER, (CK_UTF8CHAR *)p->pin, strlen(p->pin));

	if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
		return true;
	(void)refuse(error, "the token does not let us in", rv);
	if (is_of_the_pin(rv) && p->refusals->count < PKCS11_REFUSALS_MAX) {
		snprintf(p->refusals->tokens[p->refusals->count++], sizeof(p->token), "%s", token);
		rpc_log(RPC_LOG_ERROR,
		    "token '%s': %s; it is not tried again: correct the PIN's file (and unlock the token, "
		    "where it is locked), then restart reeved",
		    token, error);
	}
	return false;
}

static bool need_session(struct pkcs11 *p, const char *token, char error[PKCS11_ERROR_MAX])
{
	CK_SESSION_INFO info;
	CK_SLOT_ID slot = 0;

	if (p->session != 0 && strcmp(p->token, token) == 0 &&
	    p->f->C_GetSessionInfo(p->session, &info) == CKR_OK && info.state == CKS_RW_USER_FUNCTIONS)
		return true;
	drop_session(p);
	if (is_refused(p->refusals, token)) {
		snprintf(error, PKCS11_ERROR_MAX,
		    "the token did not take the PIN, which is not tried again: correct "
		    "keeper.pkcs11.pin_file, then restart reeved");
		return false;
	}
	if (!find_slot(p, token, &slot, error))
		return false;
	CK_RV rv = p->f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &p->session);
	if (rv != CKR_OK)
		return refuse(error, "no session with the token", rv);
	if (!log_in(p, token, error)) {
		drop_session(p);
		return false;
	}
	snprintf(p->token, sizeof(p->token), "%s", token);
	return true;
}

/* -- objects ----------------------------------------------------------------------------------------------
 */

/* The one object of that class and name; CK_INVALID_HANDLE with an error. */
static CK_OBJECT_HANDLE find_object(
    struct pkcs11 *p, const struct pkcs11_name *name, CK_OBJECT_CLASS class, char error[PKCS11_ERROR_MAX])
{
	CK_ATTRIBUTE wanted[3] = {{CKA_CLASS, &class, sizeof(class)}};
	CK_OBJECT_HANDLE found[2] = {CK_INVALID_HANDLE, CK_INVALID_HANDLE};
	CK_ULONG count = 0, wants = 1;

	if (name->object[0] != '\0')
		wanted[wants++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)name->object, strlen(name->object)};
	if (name->id_len > 0)
		wanted[wants++] = (CK_ATTRIBUTE){CKA_ID, (void *)name->id, name->id_len};
	CK_RV rv = p->f->C_FindObjectsInit(p->session, wanted, wants);
	if (rv == CKR_OK) {
		rv = p->f->C_FindObjects(p->session, found, 2, &count);
		(void)p->f->C_FindObjectsFinal(p->session);
	}
	if (rv != CKR_OK)
		(void)refuse(error, "the key cannot be looked for", rv);
	else if (count != 1)
		snprintf(error, PKCS11_ERROR_MAX, "there %s key '%s' in the token",
		    count == 0 ? "is no" : "is more than one",
		    name->object[0] != '\0' ? name->object : "of that id");
	return rv == CKR_OK && count == 1 ? found[0] : CK_INVALID_HANDLE;
}

static bool get(
    struct pkcs11 *p, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *room, size_t size, size_t *len)
{
	CK_ATTRIBUTE attribute = {type, room, size};

	if (p->f->C_GetAttributeValue(p->session, object, &attribute, 1) != CKR_OK ||
	    attribute.ulValueLen > size)
		return false;
	*len = attribute.ulValueLen;
	return true;
}

/* CKA_EC_POINT: the point in a DER OCTET STRING; some tokens leave that out. */
static struct wire_span point_of(const uint8_t *bytes, size_t len, size_t expected)
{
	if (len == expected + 2 && bytes[0] == 0x04 && bytes[1] == expected)
		return (struct wire_span){bytes + 2, expected};
	return len == expected ? (struct wire_span){bytes, len} : (struct wire_span){0};
}

static bool put_curve_blob(struct pkcs11 *p, CK_OBJECT_HANDLE key, bool edwards, struct wire_out *blob)
{
	uint8_t bytes[128];
	size_t len;

	if (!get(p, key, CKA_EC_POINT, bytes, sizeof(bytes), &len))
		return false;
	struct wire_span point = point_of(bytes, len, edwards ? 32 : 65);
	wire_put_cstring(blob, edwards ? "ssh-ed25519" : "ecdsa-sha2-nistp256");
	if (!edwards)
		wire_put_cstring(blob, "nistp256");
	wire_put_string(blob, point.at, point.len);
	return point.len > 0 && !blob->failed;
}

static bool put_rsa_blob(struct pkcs11 *p, CK_OBJECT_HANDLE key, struct wire_out *blob)
{
	uint8_t n[2 * RSA_BYTES_MAX], e[64];
	size_t n_len, e_len;

	if (!get(p, key, CKA_MODULUS, n, sizeof(n), &n_len) ||
	    !get(p, key, CKA_PUBLIC_EXPONENT, e, sizeof(e), &e_len) || n_len < 256)
		return false;
	wire_put_cstring(blob, "ssh-rsa");
	blob_put_mpint(blob, e, e_len);
	blob_put_mpint(blob, n, n_len);
	return !blob->failed;
}

static bool put_blob(struct pkcs11 *p, CK_OBJECT_HANDLE key, CK_KEY_TYPE type, struct wire_out *blob,
    char error[PKCS11_ERROR_MAX])
{
	if (type == CKK_RSA                            ? put_rsa_blob(p, key, blob)
	    : type == CKK_EC || type == CKK_EC_EDWARDS ? put_curve_blob(p, key, type == CKK_EC_EDWARDS, blob)
	                                               : false)
		return true;
	snprintf(error, PKCS11_ERROR_MAX,
	    "the token's key cannot be used: expected ed25519, ecdsa on P-256, or rsa from 2048 bits");
	return false;
}

static bool type_of(struct pkcs11 *p, CK_OBJECT_HANDLE key, CK_KEY_TYPE *type, char error[PKCS11_ERROR_MAX])
{
	size_t len;

	if (get(p, key, CKA_KEY_TYPE, type, sizeof(*type), &len) && len == sizeof(*type))
		return true;
	snprintf(error, PKCS11_ERROR_MAX, "the token does not say of what type the key is");
	return false;
}

bool pkcs11_find(
    struct pkcs11 *p, const struct pkcs11_name *name, struct wire_out *blob, char error[PKCS11_ERROR_MAX])
{
	CK_OBJECT_HANDLE public, private;
	CK_KEY_TYPE type;

	if (!need_session(p, name->token, error))
		return false;
	private = find_object(p, name, CKO_PRIVATE_KEY, error);
	public =
	    private == CK_INVALID_HANDLE ? CK_INVALID_HANDLE : find_object(p, name, CKO_PUBLIC_KEY, error);
	return public != CK_INVALID_HANDLE && type_of(p, public, &type, error) &&
	       put_blob(p, public, type, blob, error);
}

/* -- making one -------------------------------------------------------------------------------------------
 */

bool pkcs11_generate(struct pkcs11 *p, const struct pkcs11_name *name, uint8_t algorithm,
    struct wire_out *blob, char error[PKCS11_ERROR_MAX])
{
	static CK_BYTE p256[] = {
	    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}; /* OID prime256v1 */
	static CK_BYTE ed25519[] = {0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9'};
	static CK_BYTE exponent[] = {1, 0, 1};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bits = algorithm == RPC_CA_RSA_4096 ? 4096 : 3072;
	bool rsa = algorithm == RPC_CA_RSA_3072 || algorithm == RPC_CA_RSA_4096;
	bool edwards = algorithm == RPC_CA_ED25519;
	CK_MECHANISM mechanism = {rsa       ? CKM_RSA_PKCS_KEY_PAIR_GEN
	                          : edwards ? CKM_EC_EDWARDS_KEY_PAIR_GEN
	                                    : CKM_EC_KEY_PAIR_GEN,
	    NULL, 0};
	CK_ATTRIBUTE curve = edwards ? (CK_ATTRIBUTE){CKA_EC_PARAMS, ed25519, sizeof(ed25519)}
	                             : (CK_ATTRIBUTE){CKA_EC_PARAMS, p256, sizeof(p256)};
	CK_ATTRIBUTE label = {CKA_LABEL, (void *)name->object, strlen(name->object)};
	CK_ATTRIBUTE id = {CKA_ID, (void *)name->id, name->id_len};
	CK_ATTRIBUTE public[] = {{CKA_TOKEN, &yes, 1}, {CKA_VERIFY, &yes, 1}, label, id,
	    rsa ? (CK_ATTRIBUTE){CKA_MODULUS_BITS, &bits, sizeof(bits)} : curve,
	    {CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)}};
	CK_ATTRIBUTE private[] = {{CKA_TOKEN, &yes, 1}, {CKA_PRIVATE, &yes, 1}, {CKA_SENSITIVE, &yes, 1},
	    {CKA_EXTRACTABLE, &no, 1}, {CKA_SIGN, &yes, 1}, label, id};
	CK_OBJECT_HANDLE public_key, private_key;

	if (!need_session(p, name->token, error))
		return false;
	char there[PKCS11_ERROR_MAX];
	if (find_object(p, name, CKO_PRIVATE_KEY, there) != CK_INVALID_HANDLE) {
		snprintf(error, PKCS11_ERROR_MAX,
		    "there is such a key in the token already (reeve ca import --pkcs11 takes it)");
		return false;
	}
	CK_RV rv = p->f->C_GenerateKeyPair(
	    p->session, &mechanism, public, rsa ? 6 : 5, private, 7, &public_key, &private_key);
	if (rv != CKR_OK)
		return refuse(error, "the token makes no such key", rv);
	return put_blob(p, public_key, rsa ? CKK_RSA : edwards ? CKK_EC_EDWARDS : CKK_EC, blob, error);
}

/* -- signing ----------------------------------------------------------------------------------------------
 */

/* DigestInfo of SHA-512 (RFC 8017 section 9.2): CKM_RSA_PKCS is what every token has. */
static const uint8_t sha512_info[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};

static void put_signature(struct wire_out *out, CK_KEY_TYPE type, const uint8_t *raw, size_t len)
{
	uint8_t room[160];
	struct wire_out pair = wire_into(room, sizeof(room));

	if (type == CKK_RSA) {
		wire_put_cstring(out, "rsa-sha2-512");
		wire_put_string(out, raw, len);
	} else if (type == CKK_EC_EDWARDS) {
		wire_put_cstring(out, "ssh-ed25519");
		wire_put_string(out, raw, len);
	} else {
		blob_put_mpint(&pair, raw, len / 2);
		blob_put_mpint(&pair, raw + len / 2, len / 2);
		wire_put_cstring(out, "ecdsa-sha2-nistp256");
		wire_put_string(out, room, wire_written(&pair));
	}
}

static bool sign_with(struct pkcs11 *p, CK_OBJECT_HANDLE key, CK_KEY_TYPE type, struct wire_span data,
    struct wire_out *signature, char error[PKCS11_ERROR_MAX])
{
	uint8_t input[sizeof(sha512_info) + SHA512_DIGEST_LENGTH], raw[2 * RSA_BYTES_MAX];
	CK_MECHANISM mechanism = {type == CKK_RSA          ? CKM_RSA_PKCS
	                          : type == CKK_EC_EDWARDS ? CKM_EDDSA
	                                                   : CKM_ECDSA,
	    NULL, 0};
	struct wire_span what = data;
	CK_ULONG len = sizeof(raw);

	if (type == CKK_RSA) {
		memcpy(input, sha512_info, sizeof(sha512_info));
		SHA512(data.at, data.len, input + sizeof(sha512_info));
		what = (struct wire_span){input, sizeof(input)};
	} else if (type == CKK_EC) {
		SHA256(data.at, data.len, input);
		what = (struct wire_span){input, SHA256_DIGEST_LENGTH};
	}
	CK_RV rv = p->f->C_SignInit(p->session, &mechanism, key);
	if (rv == CKR_OK)
		rv = p->f->C_Sign(p->session, (CK_BYTE *)what.at, what.len, raw, &len);
	if (rv != CKR_OK)
		return refuse(error, "the token does not sign", rv);
	put_signature(signature, type, raw, len);
	return !signature->failed;
}

bool pkcs11_sign(struct pkcs11 *p, const struct pkcs11_name *name, struct wire_span data,
    struct wire_out *signature, char error[PKCS11_ERROR_MAX])
{
	CK_KEY_TYPE type;

	if (!need_session(p, name->token, error))
		return false;
	CK_OBJECT_HANDLE key = find_object(p, name, CKO_PRIVATE_KEY, error);
	if (key != CK_INVALID_HANDLE && type_of(p, key, &type, error) &&
	    sign_with(p, key, type, data, signature, error))
		return true;
	/* Whatever is wrong with the session is not wrong with the next one. */
	drop_session(p);
	return false;
}
