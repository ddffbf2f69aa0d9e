/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's private keys of all types, and a CA's keys in their succession: in memory and in the file. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/certificate/public_key.h"
#include "control/keeper/ca_file.h"
#include "control/keeper/keeper.h"
#include "control/keeper/pkcs11.h"
#include "tests/unit/control/folder.h"

#define NOW 1800000000u

static char directory_path[FOLDER_PATH_SIZE];
static int directory;

static void setup(void)
{
	cr_assert(sodium_init() >= 0 && private_key_start() == 0);
	folder_make(directory_path, "ca");
	directory = open(directory_path, O_RDONLY | O_DIRECTORY);
	rpc_log_set((enum rpc_log_level)0);
}

static void teardown(void)
{
	close(directory);
	folder_remove(directory_path);
}

TestSuite(private_key, .init = setup, .fini = teardown, .timeout = 300);
TestSuite(ca, .init = setup, .fini = teardown, .timeout = 300);

/* -- private keys -- */

static bool verifies(struct wire_span blob, const char *text, const struct wire_out *signature)
{
	struct public_key key;

	return public_key_parse(blob, &key) &&
	       public_key_verify(&key, wire_span_of(text),
	           (struct wire_span){signature->start, wire_written(signature)}, 0);
}

Test(private_key, all_types_sign_are_stored_and_read_again)
{
	static const struct {
		enum private_key_type type;
		unsigned bits;
		const char *name;
	} types[] = {{PRIVATE_KEY_ED25519, 0, "ssh-ed25519"},
	    {PRIVATE_KEY_ECDSA_P256, 0, "ecdsa-sha2-nistp256"},
	    {PRIVATE_KEY_ECDSA_P384, 0, "ecdsa-sha2-nistp384"},
	    {PRIVATE_KEY_ECDSA_P521, 0, "ecdsa-sha2-nistp521"}, {PRIVATE_KEY_RSA, 2048, "ssh-rsa"},
	    {PRIVATE_KEY_RSA, 3072, "ssh-rsa"}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct private_key *key = private_key_generate(types[i].type, types[i].bits);
		cr_assert(key != NULL, "%s", types[i].name);
		struct private_key *again = private_key_read(private_key_fields(key));
		cr_assert(again != NULL, "%s", types[i].name);
		struct wire_span a = private_key_blob(key), b = private_key_blob(again);
		cr_expect(a.len == b.len && memcmp(a.at, b.at, a.len) == 0, "%s", types[i].name);
		/* Often: one in two mpints is padded, and one in 256 shorter. */
		for (unsigned n = 0; n < (types[i].type == PRIVATE_KEY_RSA ? 4 : 300); n++) {
			uint8_t room[PRIVATE_KEY_SIGNATURE_MAX];
			struct wire_out out = wire_into(room, sizeof(room));
			cr_assert(private_key_sign(again, wire_span_of(""), wire_span_of("text"), &out));
			cr_assert(verifies(a, "text", &out), "%s, %u", types[i].name, n);
			cr_assert_not(verifies(a, "Text", &out), "%s, %u", types[i].name, n);
		}
		private_key_free(key);
		private_key_free(again);
	}
	cr_expect_null(private_key_generate(PRIVATE_KEY_RSA, 1024));
	cr_expect_null(private_key_generate((enum private_key_type)99, 0));
}

Test(private_key, algorithms_by_name)
{
	struct private_key *rsa = private_key_generate(PRIVATE_KEY_RSA, 2048),
	                   *p256 = private_key_generate(PRIVATE_KEY_ECDSA_P256, 0);
	static const char *const names[] = {"", "rsa-sha2-256", "rsa-sha2-512", "ssh-rsa"};
	uint8_t room[PRIVATE_KEY_SIGNATURE_MAX];

	for (size_t i = 0; i < 4; i++) {
		struct wire_out out = wire_into(room, sizeof(room));
		cr_assert(private_key_sign(rsa, wire_span_of(names[i]), wire_span_of("x"), &out));
		struct wire in = wire_over(room, wire_written(&out));
		cr_expect(wire_span_is(wire_string(&in), i == 0 ? "rsa-sha2-512" : names[i]));
		cr_expect_eq(wire_string(&in).len, 256);
		cr_expect(wire_done(&in));
		/* SHA-1 is for old gear; nobody here takes it for good. */
		cr_expect_eq(verifies(private_key_blob(rsa), "x", &out), i != 3);
	}
	struct wire_out out = wire_into(room, sizeof(room));
	cr_expect_not(private_key_sign(rsa, wire_span_of("ssh-ed25519"), wire_span_of("x"), &out));
	cr_expect_not(private_key_sign(p256, wire_span_of("ecdsa-sha2-nistp384"), wire_span_of("x"), &out));
	uint8_t small[40];
	out = wire_into(small, sizeof(small));
	cr_expect_not(private_key_sign(p256, wire_span_of(""), wire_span_of("x"), &out), "no room");
	private_key_free(rsa);
	private_key_free(p256);
}

Test(private_key, what_is_damaged_is_no_key)
{
	static const enum private_key_type types[] = {
	    PRIVATE_KEY_ED25519, PRIVATE_KEY_ECDSA_P256, PRIVATE_KEY_RSA};
	uint8_t bytes[PRIVATE_KEY_FIELDS_MAX];

	for (size_t i = 0; i < 3; i++) {
		struct private_key *key = private_key_generate(types[i], 2048);
		struct wire_span fields = private_key_fields(key);
		memcpy(bytes, fields.at, fields.len);
		size_t step = fields.len / 64 + 1;
		for (size_t at = 0; at < fields.len; at += step) {
			cr_expect_null(private_key_read((struct wire_span){bytes, at}), "cut at %zu", at);
			bytes[at] ^= 1;
			struct private_key *bad = private_key_read((struct wire_span){bytes, fields.len});
			cr_expect_null(bad, "type %zu, byte %zu", i, at);
			private_key_free(bad);
			bytes[at] ^= 1;
		}
		bytes[fields.len] = 0;
		cr_expect_null(private_key_read((struct wire_span){bytes, fields.len + 1}), "one byte more");
		private_key_free(key);
	}
}

/* -- a CA's keys -- */

static struct ca_file file_at(uint64_t now)
{
	return (struct ca_file){
	    .directory = directory, .name = "ca-user.key", .kind = KEYRING_USER_CA, .now_s = now};
}

static struct ca_key fresh(enum private_key_type type)
{
	struct ca_key key = {.private = private_key_generate(type, 2048)};

	cr_assert(key.private != NULL && ca_key_set_blob(&key, private_key_blob(key.private)));
	return key;
}

static int add(struct ca *ca, enum private_key_type type)
{
	struct ca_file file = file_at(NOW);
	struct ca_key key = fresh(type);
	int error = ca_add(ca, &file, &key);

	cr_expect_eq(key.blob == NULL, error == 0, "the key is the CA's exactly where it was taken");
	ca_key_free(&key);
	return error;
}

/* The states of the keys, n c o, in the order of the file, and the last bytes of their blobs. */
static const char *states(const struct ca *ca)
{
	static char text[CA_KEYS_MAX + 1];

	for (unsigned i = 0; i < ca->count; i++)
		text[i] = " nco"[ca->keys[i].state];
	text[ca->count] = '\0';
	return text;
}

static void expect_stored(const struct ca *ca)
{
	struct ca stored;

	cr_assert_eq(ca_load(&stored, directory, "ca-user.key", KEYRING_USER_CA), 0);
	cr_assert_eq(stored.count, ca->count);
	for (unsigned i = 0; i < ca->count; i++) {
		const struct ca_key *a = &ca->keys[i], *b = &stored.keys[i];
		cr_expect(a->state == b->state && a->created_at == b->created_at &&
		          a->retire_at == b->retire_at && a->blob_len == b->blob_len &&
		          memcmp(a->blob, b->blob, a->blob_len) == 0);
		cr_expect((a->private == NULL) == (b->private == NULL));
		cr_expect_str_eq(
		    a->token_uri == NULL ? "" : a->token_uri, b->token_uri == NULL ? "" : b->token_uri);
	}
	ca_close(&stored);
}

Test(ca, keys_follow_one_another)
{
	struct ca ca = {0};
	struct ca_file file = file_at(NOW);

	cr_expect_null(ca_current(&ca));
	cr_expect_eq(ca_commit(&ca, &file, 0), -ENOENT);
	cr_expect_eq(ca_undo(&ca, &file), -ENOENT);
	cr_expect_eq(ca_retire(&ca, &file), -ENOENT);
	cr_expect_eq(ca_abandon(&ca, &file), -ENOENT);
	cr_expect_eq(
	    faccessat(directory, "ca-user.key", F_OK, 0), -1, "nothing was done, something was written");

	cr_assert_eq(add(&ca, PRIVATE_KEY_ED25519), 0);
	cr_expect_str_eq(states(&ca), "c");
	const uint8_t *first = ca_current(&ca)->blob;
	cr_assert_eq(add(&ca, PRIVATE_KEY_ECDSA_P256), 0);
	cr_expect_str_eq(states(&ca), "cn");
	cr_expect_eq(ca_current(&ca)->blob, first, "a next key signs already");
	expect_stored(&ca);
	cr_expect_eq(add(&ca, PRIVATE_KEY_ED25519), -EEXIST, "two next keys");
	cr_expect_eq(ca_undo(&ca, &file), -ENOENT);
	const uint8_t *second = ca_next(&ca)->blob;

	cr_assert_eq(ca_commit(&ca, &file, 0), 0);
	cr_expect_str_eq(states(&ca), "co");
	cr_expect(ca_current(&ca)->blob == second && ca.keys[1].blob == first);
	expect_stored(&ca);
	cr_assert_eq(ca_undo(&ca, &file), 0);
	cr_expect_str_eq(states(&ca), "nc");
	cr_expect(ca_current(&ca)->blob == first && ca_next(&ca)->blob == second);
	expect_stored(&ca);
	cr_assert_eq(ca_abandon(&ca, &file), 0);
	cr_expect_str_eq(states(&ca), "c");
	cr_expect_eq(ca_current(&ca)->blob, first);
	expect_stored(&ca);

	/* Undo goes to the youngest of several. */
	const uint8_t *current[3];
	for (unsigned i = 0; i < 3; i++) {
		cr_assert(add(&ca, PRIVATE_KEY_ED25519) == 0 && ca_commit(&ca, &file, 0) == 0);
		current[i] = ca_current(&ca)->blob;
	}
	cr_expect_eq(ca.count, 4);
	cr_assert_eq(ca_undo(&ca, &file), 0);
	cr_expect(ca_current(&ca)->blob == current[1] && ca_next(&ca)->blob == current[2]);
	cr_expect_eq(ca_undo(&ca, &file), -EEXIST);
	cr_assert_eq(ca_retire(&ca, &file), 0);
	cr_expect_eq(ca.count, 2);
	expect_stored(&ca);
	ca_close(&ca);
}

Test(ca, old_keys_retire_by_themselves_and_no_others)
{
	struct ca ca = {0};
	struct ca_file file = file_at(NOW);

	add(&ca, PRIVATE_KEY_ED25519);
	add(&ca, PRIVATE_KEY_ED25519);
	cr_assert_eq(ca_commit(&ca, &file, NOW + 100), 0);
	add(&ca, PRIVATE_KEY_ED25519);
	cr_assert_eq(ca_commit(&ca, &file, 0), 0);
	file.now_s = NOW + 99;
	cr_expect_eq(ca_expire(&ca, &file), 0);
	cr_expect_eq(ca.count, 3);
	file.now_s = NOW + 100;
	cr_expect_eq(ca_expire(&ca, &file), 0);
	cr_expect_eq(ca.count, 2);
	file.now_s = UINT64_MAX - 1;
	cr_expect_eq(ca_expire(&ca, &file), 0);
	cr_expect_eq(ca.count, 2, "one that has no time went");
	expect_stored(&ca);
	ca_close(&ca);
}

Test(ca, as_many_as_fit_and_none_twice)
{
	struct ca ca = {0};
	struct ca_file file = file_at(NOW);
	struct ca_key twin = fresh(PRIVATE_KEY_ED25519),
	              key = {.private = private_key_read(private_key_fields(twin.private))};

	ca_key_set_blob(&key, private_key_blob(key.private));
	cr_assert_eq(ca_add(&ca, &file, &key), 0);
	cr_expect_eq(ca_add(&ca, &file, &twin), -EALREADY);
	ca_key_free(&twin);
	while (ca.count < CA_KEYS_MAX)
		cr_assert(add(&ca, PRIVATE_KEY_ED25519) == 0 && ca_commit(&ca, &file, 0) == 0);
	cr_expect_eq(add(&ca, PRIVATE_KEY_ED25519), -ENOSPC);
	expect_stored(&ca);
	ca_close(&ca);
}

Test(ca, what_cannot_be_written_has_not_happened)
{
	struct ca ca = {0};
	struct ca_file file = file_at(NOW);

	add(&ca, PRIVATE_KEY_ED25519);
	file.directory = -1;
	struct ca_key key = fresh(PRIVATE_KEY_ED25519);
	cr_expect_eq(ca_add(&ca, &file, &key), -EBADF);
	cr_expect_neq(key.blob, NULL, "the key was taken");
	cr_expect_str_eq(states(&ca), "c");
	file.directory = directory;
	cr_assert_eq(ca_add(&ca, &file, &key), 0);
	file.directory = -1;
	cr_expect_eq(ca_commit(&ca, &file, 0), -EBADF);
	cr_expect_eq(ca_abandon(&ca, &file), -EBADF);
	cr_expect_str_eq(states(&ca), "cn");
	expect_stored(&ca);
	ca_close(&ca);
}

/* An O_PATH descriptor opens and renames, and cannot be synced. */
Test(ca, what_is_in_its_place_has_happened_synced_or_not)
{
	struct ca ca = {0};
	struct ca_file file = file_at(NOW);

	file.directory = open(directory_path, O_PATH | O_DIRECTORY);
	struct ca_key key = fresh(PRIVATE_KEY_ED25519), next = fresh(PRIVATE_KEY_ED25519);
	cr_expect_eq(ca_add(&ca, &file, &key), 0);
	cr_expect_eq(ca_add(&ca, &file, &next), 0);
	cr_expect_eq(ca_commit(&ca, &file, 0), 0);
	cr_expect_str_eq(states(&ca), "co");
	close(file.directory);
	expect_stored(&ca);
	ca_close(&ca);
}

Test(ca, a_seed_of_version_1_is_its_current_key)
{
	static const uint8_t seed[KEEPER_SEED_SIZE] = {9, 8, 7};
	struct keyring keyring;
	uint8_t public[32], secret[64];

	crypto_sign_seed_keypair(public, secret, seed);
	cr_assert_eq(keyfile_write(directory, "ca-user.key", KEYRING_USER_CA, seed), 0);
	cr_assert_eq(keyring_open(&keyring, directory), 0);
	struct wire_span blob = keyring_ca_blob(&keyring, KEYRING_USER_CA);
	cr_assert_eq(blob.len, 51);
	cr_expect_arr_eq(blob.at + 19, public, 32);
	/* The first step writes version 2, with the same key. */
	struct ca_file file = keyring_ca_file(&keyring, KEYRING_USER_CA, NOW);
	struct ca_key key = fresh(PRIVATE_KEY_ECDSA_P256);
	cr_assert_eq(ca_add(keyring_ca(&keyring, KEYRING_USER_CA), &file, &key), 0);
	keyring_close(&keyring);
	cr_assert_eq(keyring_open(&keyring, directory), 0);
	blob = keyring_ca_blob(&keyring, KEYRING_USER_CA);
	cr_expect(blob.len == 51 && memcmp(blob.at + 19, public, 32) == 0);
	cr_expect_eq(keyring_ca(&keyring, KEYRING_USER_CA)->count, 2);
	keyring_close(&keyring);
}

Test(ca, damage_at_each_byte_is_seen)
{
	uint8_t bytes[4096];
	struct ca ca = {0}, stored;
	struct stat st;

	add(&ca, PRIVATE_KEY_ED25519);
	add(&ca, PRIVATE_KEY_ECDSA_P256);
	ca_close(&ca);
	fstatat(directory, "ca-user.key", &st, 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq(faccessat(directory, "ca-user.key.new", F_OK, 0), -1, "a temporary file is left");
	int fd = openat(directory, "ca-user.key", O_RDWR);
	ssize_t len = read(fd, bytes, sizeof(bytes));
	cr_assert(len > 300 && len < (ssize_t)sizeof(bytes));
	cr_expect_eq(
	    ca_load(&stored, directory, "ca-user.key", KEYRING_CLIENT_CA), -EBADMSG, "another CA's file");
	for (ssize_t i = 0; i < len; i++) {
		uint8_t bad = bytes[i] ^ 0x41;
		cr_assert_eq(pwrite(fd, &bad, 1, i), 1);
		cr_expect_eq(
		    ca_load(&stored, directory, "ca-user.key", KEYRING_USER_CA), -EBADMSG, "byte %zd", i);
		cr_assert_eq(pwrite(fd, &bytes[i], 1, i), 1);
	}
	cr_assert_eq(ca_load(&stored, directory, "ca-user.key", KEYRING_USER_CA), 0);
	ca_close(&stored);
	for (ssize_t cut = len - 1; cut >= 0; cut--) {
		cr_assert_eq(ftruncate(fd, cut), 0);
		cr_expect_eq(
		    ca_load(&stored, directory, "ca-user.key", KEYRING_USER_CA), -EBADMSG, "cut at %zd", cut);
	}
	close(fd);
}

/* -- what comes sealed -- */

Test(ca, what_is_sealed_is_opened_by_this_keeper_alone)
{
	struct keyring keyring;
	uint8_t public[SEAL_PUBLIC_SIZE], sealed[100 + crypto_box_SEALBYTES];
	size_t len = 0;

	cr_assert_eq(keyring_open(&keyring, directory), 0);
	cr_assert(seal_public(&keyring, public));
	crypto_box_seal(sealed, (const uint8_t *)"secret", 6, public);
	uint8_t *plain = seal_open(&keyring, (struct wire_span){sealed, 6 + crypto_box_SEALBYTES}, &len);
	cr_assert(plain != NULL && len == 6);
	cr_expect_eq(memcmp(plain, "secret", 6), 0);
	sodium_free(plain);
	for (size_t i = 0; i < 6 + crypto_box_SEALBYTES; i++) {
		sealed[i] ^= 1;
		cr_expect_null(
		    seal_open(&keyring, (struct wire_span){sealed, 6 + crypto_box_SEALBYTES}, &len),
		    "byte %zu", i);
		sealed[i] ^= 1;
	}
	cr_expect_null(seal_open(&keyring, (struct wire_span){sealed, crypto_box_SEALBYTES - 1}, &len));
	cr_expect_null(seal_open(&keyring, (struct wire_span){0}, &len));
	/* The same key after a restart. */
	uint8_t again[SEAL_PUBLIC_SIZE];
	keyring_close(&keyring);
	cr_assert_eq(keyring_open(&keyring, directory), 0);
	cr_assert(seal_public(&keyring, again));
	cr_expect_arr_eq(public, again, SEAL_PUBLIC_SIZE);
	keyring_close(&keyring);
}

/* -- keys in a token -- */

Test(ca, a_token_key_is_stored_by_its_name)
{
	struct ca ca = {0};
	struct ca_file file = file_at(NOW);
	struct ca_key key = fresh(PRIVATE_KEY_ED25519);

	private_key_free(key.private);
	key.private = NULL;
	key.token_uri = strdup("pkcs11:token=t;object=o");
	cr_assert_eq(ca_add(&ca, &file, &key), 0);
	expect_stored(&ca);
	/* Without a token it does not sign, and says so. */
	struct keyring keyring;
	uint8_t room[256];
	char error[KEEPER_ERROR_MAX] = "";
	struct wire_out out = wire_into(room, sizeof(room));
	cr_assert_eq(keyring_open(&keyring, directory), 0);
	cr_expect_not(keyring_ca_sign(&keyring, KEYRING_USER_CA, wire_span_of("x"), &out, error));
	cr_expect(strstr(error, "no token is configured") != NULL, "got %s", error);
	keyring_close(&keyring);
	ca_close(&ca);
}

Test(ca, names_of_token_keys)
{
	static const struct {
		const char *uri, *token, *object;
		size_t id_len;
		bool good;
	} cases[] = {
	    {"pkcs11:token=t;object=o", "t", "o", 0, true},
	    {"pkcs11:object=user%20ca;token=my%2dtoken;type=private", "my-token", "user ca", 0, true},
	    {"pkcs11:token=t;id=%01%00", "t", "", 2, true},
	    {"pkcs11:token=t", "", "", 0, false},
	    {"pkcs11:object=o", "", "", 0, false},
	    {"pkcs11:token=t;object=o?pin-value=1234", "", "", 0, false},
	    {"pkcs11:token=t;object=o;pin-value=1234", "", "", 0, false},
	    {"pkcs11:token=t;object=o;type=public", "", "", 0, false},
	    {"pkcs11:token=t;token=u;object=o", "", "", 0, false},
	    {"pkcs11:token=t;object=%zz", "", "", 0, false},
	    {"pkcs11:token=t;object=%2", "", "", 0, false},
	    {"pkcs11:token=t;object=a%00b", "", "", 0, false},
	    {"pkcs11:token=t;object=", "", "", 0, false},
	    {"pkcs11:token=123456789012345678901234567890123;object=o", "", "", 0, false},
	    {"pkcs11:", "", "", 0, false},
	    {"", "", "", 0, false},
	    {"/dev/token", "", "", 0, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pkcs11_name name;
		const char *wrong = NULL;
		bool good = pkcs11_name_read(wire_span_of(cases[i].uri), &name, &wrong);
		cr_expect_eq(good, cases[i].good, "%s", cases[i].uri);
		if (!good)
			continue;
		cr_expect_str_eq(name.token, cases[i].token);
		cr_expect_str_eq(name.object, cases[i].object);
		cr_expect_eq(name.id_len, cases[i].id_len);
	}
}
