/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/totp.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "reevetot"
#define VERSION 1
#define SUM_SIZE 32
#define KEY_CONTEXT "portreeve totp 1"
#define NAME_CONTEXT "portreeve totp name 1"
#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEALED_SIZE (TOTP_SECRET_SIZE + crypto_aead_xchacha20poly1305_ietf_ABYTES)
#define FILE_MAX 512
#define NAME_SIZE 40 /* "totp-" and 32 hex digits */

/* What a file holds. */
struct factor {
	char user[TOTP_USER_MAX];
	uint64_t last_step;                 /* no code of it or before it is good any more */
	uint32_t wrong;                     /* since first_wrong */
	uint64_t first_wrong, locked_until; /* unix seconds */
	uint8_t nonce[NONCE_SIZE], sealed[SEALED_SIZE];
};

/* -- the algorithm ----------------------------------------------------------------------------------------
 */

bool totp_code(const uint8_t *secret, size_t len, uint64_t step, unsigned digits, char code[TOTP_TEXT_SIZE])
{
	static const uint32_t moduli[] = {1000000, 10000000, 100000000};
	uint8_t counter[8], mac[EVP_MAX_MD_SIZE];
	struct wire_out out = wire_into(counter, sizeof(counter));
	unsigned mac_len = 0;

	wire_put_u64(&out, step);
	if (digits < 6 || digits > 8 ||
	    HMAC(EVP_sha1(), secret, (int)len, counter, sizeof(counter), mac, &mac_len) == NULL ||
	    mac_len != 20)
		return false;
	unsigned at = mac[19] & 0xf;
	uint32_t number = ((uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 |
	                      (uint32_t)mac[at + 2] << 8 | mac[at + 3]) %
	                  moduli[digits - 6];
	sodium_memzero(mac, sizeof(mac));
	snprintf(code, TOTP_TEXT_SIZE, "%0*u", (int)digits, number);
	return true;
}

/* -- files ------------------------------------------------------------------------------------------------
 */

static void hashed(
    const struct keyring *keyring, const char *context, const char *text, uint8_t *out, size_t size)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, keyring->seeds[KEYRING_SEAL], KEEPER_SEED_SIZE, size);
	crypto_generichash_update(&state, (const uint8_t *)context, strlen(context) + 1);
	crypto_generichash_update(&state, (const uint8_t *)text, strlen(text));
	crypto_generichash_final(&state, out, size);
	sodium_memzero(&state, sizeof(state));
}

static bool file_name(const struct keyring *keyring, const char *user, char name[NAME_SIZE])
{
	uint8_t hash[16];

	if (!keyring_has(keyring, KEYRING_SEAL) || user[0] == '\0')
		return false;
	hashed(keyring, NAME_CONTEXT, user, hash, sizeof(hash));
	snprintf(name, NAME_SIZE, "totp-");
	sodium_bin2hex(name + 5, NAME_SIZE - 5, hash, sizeof(hash));
	return true;
}

static int store(const struct keyring *keyring, const struct factor *factor)
{
	uint8_t bytes[FILE_MAX], sum[SUM_SIZE];
	struct wire_out out = wire_into(bytes, sizeof(bytes));
	char name[NAME_SIZE];

	wire_put_bytes(&out, MAGIC, 8);
	wire_put_u8(&out, VERSION);
	wire_put_cstring(&out, factor->user);
	wire_put_u64(&out, factor->last_step);
	wire_put_u32(&out, factor->wrong);
	wire_put_u64(&out, factor->first_wrong);
	wire_put_u64(&out, factor->locked_until);
	wire_put_bytes(&out, factor->nonce, NONCE_SIZE);
	wire_put_bytes(&out, factor->sealed, SEALED_SIZE);
	crypto_generichash(sum, sizeof(sum), bytes, wire_written(&out), NULL, 0);
	wire_put_bytes(&out, sum, sizeof(sum));
	if (out.failed || !file_name(keyring, factor->user, name))
		return -EINVAL;
	return keyfile_replace(keyring->directory, name, bytes, wire_written(&out));
}

static int load(const struct keyring *keyring, const char *user, struct factor *factor)
{
	uint8_t bytes[FILE_MAX], sum[SUM_SIZE];
	char name[NAME_SIZE];
	size_t len = 0;

	if (!file_name(keyring, user, name))
		return -EINVAL;
	int error = keyfile_load(keyring->directory, name, bytes, sizeof(bytes), &len);
	if (error != 0)
		return error;
	struct wire in = wire_over(bytes, len);
	bool known = wire_span_is(wire_bytes(&in, 8), MAGIC) && wire_u8(&in) == VERSION;
	bool named = wire_span_copy(wire_string(&in), factor->user, sizeof(factor->user));
	factor->last_step = wire_u64(&in);
	factor->wrong = wire_u32(&in);
	factor->first_wrong = wire_u64(&in);
	factor->locked_until = wire_u64(&in);
	struct wire_span nonce = wire_bytes(&in, NONCE_SIZE), sealed = wire_bytes(&in, SEALED_SIZE);
	struct wire_span told = wire_bytes(&in, SUM_SIZE);
	if (!wire_done(&in) || !known || !named || strcmp(factor->user, user) != 0)
		return -EBADMSG;
	crypto_generichash(sum, sizeof(sum), bytes, len - SUM_SIZE, NULL, 0);
	if (sodium_memcmp(sum, told.at, SUM_SIZE) != 0)
		return -EBADMSG;
	memcpy(factor->nonce, nonce.at, NONCE_SIZE);
	memcpy(factor->sealed, sealed.at, SEALED_SIZE);
	return 0;
}

/* -- secrets ----------------------------------------------------------------------------------------------
 */

static void seal_secret(
    const struct keyring *keyring, struct factor *factor, const uint8_t secret[TOTP_SECRET_SIZE])
{
	uint8_t key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];

	hashed(keyring, KEY_CONTEXT, "", key, sizeof(key));
	randombytes_buf(factor->nonce, NONCE_SIZE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(factor->sealed, NULL, secret, TOTP_SECRET_SIZE,
	    (const uint8_t *)factor->user, strlen(factor->user), NULL, factor->nonce, key);
	sodium_memzero(key, sizeof(key));
}

static bool open_secret(
    const struct keyring *keyring, const struct factor *factor, uint8_t secret[TOTP_SECRET_SIZE])
{
	uint8_t key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];

	hashed(keyring, KEY_CONTEXT, "", key, sizeof(key));
	bool good =
	    crypto_aead_xchacha20poly1305_ietf_decrypt(secret, NULL, NULL, factor->sealed, SEALED_SIZE,
	        (const uint8_t *)factor->user, strlen(factor->user), factor->nonce, key) == 0;
	sodium_memzero(key, sizeof(key));
	return good;
}

int totp_enrol(const struct keyring *keyring, const char *user, uint8_t secret[TOTP_SECRET_SIZE])
{
	struct factor factor = {0};
	int error = load(keyring, user, &factor);

	if (error != -ENOENT)
		return error == 0 ? -EEXIST : error;
	factor = (struct factor){0};
	if ((size_t)snprintf(factor.user, sizeof(factor.user), "%s", user) >= sizeof(factor.user))
		return -EINVAL;
	randombytes_buf(secret, TOTP_SECRET_SIZE);
	seal_secret(keyring, &factor, secret);
	return store(keyring, &factor);
}

int totp_remove(const struct keyring *keyring, const char *user)
{
	char name[NAME_SIZE];

	if (!file_name(keyring, user, name))
		return -EINVAL;
	if (unlinkat(keyring->directory, name, 0) != 0)
		return -errno;
	keyfile_sync(keyring->directory);
	return 0;
}

/* -- codes ------------------------------------------------------------------------------------------------
 */

/* People type "123 456". False: it is no code at all. */
static bool read_code(struct wire_span typed, char code[TOTP_DIGITS + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < typed.len; i++) {
		if (typed.at[i] == ' ')
			continue;
		if (typed.at[i] < '0' || typed.at[i] > '9' || len == TOTP_DIGITS)
			return false;
		code[len++] = (char)typed.at[i];
	}
	code[len] = '\0';
	return len == TOTP_DIGITS;
}

/* The latest step near now whose code it is; 0: none. */
static uint64_t step_of(const uint8_t secret[TOTP_SECRET_SIZE], const char *code, uint64_t now_s)
{
	uint64_t now = now_s / TOTP_STEP_S, found = 0;
	char expected[TOTP_TEXT_SIZE];

	/* All are looked at, so that time does not tell which it was. */
	for (uint64_t step = now - TOTP_WINDOW; step <= now + TOTP_WINDOW; step++)
		if (totp_code(secret, TOTP_SECRET_SIZE, step, TOTP_DIGITS, expected) &&
		    sodium_memcmp(expected, code, TOTP_DIGITS) == 0)
			found = step;
	sodium_memzero(expected, sizeof(expected));
	return found;
}

static void count_wrong(struct factor *factor, uint64_t now_s)
{
	if (factor->wrong == 0 || now_s - factor->first_wrong > TOTP_LOCK_S) {
		factor->wrong = 0;
		factor->first_wrong = now_s;
	}
	if (++factor->wrong < TOTP_WRONG_MAX)
		return;
	factor->wrong = 0;
	factor->locked_until = now_s + TOTP_LOCK_S;
}

static enum rpc_totp judge(
    const struct keyring *keyring, struct factor *factor, const char *code, uint64_t now_s)
{
	uint8_t secret[TOTP_SECRET_SIZE];

	if (!open_secret(keyring, factor, secret))
		return RPC_TOTP_FAILED;
	uint64_t step = step_of(secret, code, now_s);
	sodium_memzero(secret, sizeof(secret));
	if (step == 0) {
		count_wrong(factor, now_s);
		return RPC_TOTP_WRONG;
	}
	/* Who looked over the shoulder comes too late (RFC 6238 section 5.2). */
	if (step <= factor->last_step)
		return RPC_TOTP_USED;
	factor->last_step = step;
	factor->wrong = 0;
	return RPC_TOTP_GOOD;
}

enum rpc_totp totp_check(
    const struct keyring *keyring, const char *user, struct wire_span typed, uint64_t now_s, uint32_t *wait_s)
{
	struct factor factor = {0};
	char code[TOTP_DIGITS + 1];
	int error = load(keyring, user, &factor);

	*wait_s = 0;
	if (error != 0) {
		if (error != -ENOENT)
			rpc_log(RPC_LOG_ERROR, "the second factor of user %s cannot be read: %s", user,
			    error == -EBADMSG ? "its file is damaged" : strerror(-error));
		return error == -ENOENT ? RPC_TOTP_NONE : RPC_TOTP_FAILED;
	}
	if (factor.locked_until > now_s) {
		*wait_s = (uint32_t)(factor.locked_until - now_s < TOTP_LOCK_S ? factor.locked_until - now_s
		                                                               : TOTP_LOCK_S);
		return RPC_TOTP_LOCKED;
	}
	if (!read_code(typed, code))
		return RPC_TOTP_WRONG;
	enum rpc_totp verdict = judge(keyring, &factor, code, now_s);
	/* One that could not be marked as used, or counted as wrong, would be good again, or free. */
	if ((verdict == RPC_TOTP_GOOD || verdict == RPC_TOTP_WRONG) && store(keyring, &factor) != 0) {
		rpc_log(RPC_LOG_ERROR, "a second factor could not be stored: no code is good");
		verdict = RPC_TOTP_FAILED;
	}
	sodium_memzero(code, sizeof(code));
	return verdict;
}
