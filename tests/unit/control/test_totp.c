/* SPDX-License-Identifier: Apache-2.0 */
/* Second factors by time: RFC 6238's own values, and what a code is good for, once. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/keeper/totp.h"
#include "tests/unit/control/folder.h"

#define NOW 1800000015u

static char directory_path[FOLDER_PATH_SIZE];
static struct keyring keyring;
static uint8_t secret[TOTP_SECRET_SIZE];

static void setup(void)
{
	cr_assert(sodium_init() >= 0 && private_key_start() == 0);
	folder_make(directory_path, "totp");
	rpc_log_set((enum rpc_log_level)0);
	cr_assert_eq(keyring_open(&keyring, open(directory_path, O_RDONLY | O_DIRECTORY)), 0);
	cr_assert_eq(totp_enrol(&keyring, "alice", secret), 0);
}

static void teardown(void)
{
	close(keyring.directory);
	keyring_close(&keyring);
	folder_remove(directory_path);
}

TestSuite(totp, .init = setup, .fini = teardown);

/* RFC 6238 appendix B, SHA-1. */
Test(totp, the_values_of_rfc_6238)
{
	static const struct {
		uint64_t time;
		const char *code;
	} values[] = {{59, "94287082"}, {1111111109, "07081804"}, {1111111111, "14050471"},
	    {1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"}};
	char code[TOTP_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		cr_assert(totp_code(
		    (const uint8_t *)"12345678901234567890", 20, values[i].time / TOTP_STEP_S, 8, code));
		cr_expect_str_eq(code, values[i].code);
		cr_assert(totp_code(
		    (const uint8_t *)"12345678901234567890", 20, values[i].time / TOTP_STEP_S, 6, code));
		cr_expect_str_eq(code, values[i].code + 2);
	}
	cr_expect_not(totp_code(secret, sizeof(secret), 1, 9, code));
}

static enum rpc_totp check_at(uint64_t now, const char *code)
{
	uint32_t wait_s;

	return totp_check(&keyring, "alice", wire_span_of(code), now, &wait_s);
}

static const char *code_at(uint64_t now)
{
	static char code[TOTP_TEXT_SIZE];

	cr_assert(totp_code(secret, sizeof(secret), now / TOTP_STEP_S, TOTP_DIGITS, code));
	return code;
}

Test(totp, clocks_may_differ_by_a_step)
{
	cr_expect_eq(check_at(NOW, code_at(NOW - 60)), RPC_TOTP_WRONG);
	cr_expect_eq(check_at(NOW, code_at(NOW + 60)), RPC_TOTP_WRONG);
	cr_expect_eq(check_at(NOW, code_at(NOW - 30)), RPC_TOTP_GOOD);
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_GOOD);
	cr_expect_eq(check_at(NOW, code_at(NOW + 30)), RPC_TOTP_GOOD);
	cr_expect_eq(check_at(NOW + 30, code_at(NOW)), RPC_TOTP_USED, "an earlier one than the last");
}

Test(totp, a_code_is_good_once_also_after_a_restart)
{
	char spaced[8];

	snprintf(spaced, sizeof(spaced), "%.3s %s", code_at(NOW), code_at(NOW) + 3);
	cr_expect_eq(check_at(NOW, spaced), RPC_TOTP_GOOD, "as people type it");
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_USED);
	int directory = keyring.directory;
	keyring_close(&keyring);
	cr_assert_eq(keyring_open(&keyring, directory), 0);
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_USED);
	cr_expect_eq(check_at(NOW + 30, code_at(NOW + 30)), RPC_TOTP_GOOD);
}

Test(totp, wrong_ones_are_limited)
{
	uint32_t wait_s = 0;
	char wrong[TOTP_TEXT_SIZE];

	snprintf(wrong, sizeof(wrong), "%s", code_at(NOW));
	wrong[0] = wrong[0] == '9' ? '0' : (char)(wrong[0] + 1);
	cr_expect_eq(check_at(NOW, "12345"), RPC_TOTP_WRONG, "no code: not counted");
	cr_expect_eq(check_at(NOW, "1234567"), RPC_TOTP_WRONG);
	cr_expect_eq(check_at(NOW, ""), RPC_TOTP_WRONG);
	cr_expect_eq(check_at(NOW, "12a456"), RPC_TOTP_WRONG);
	for (int i = 0; i < TOTP_WRONG_MAX - 1; i++)
		cr_expect_eq(check_at(NOW, wrong), RPC_TOTP_WRONG);
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_GOOD, "one before the last");
	for (int i = 0; i < TOTP_WRONG_MAX; i++)
		cr_expect_eq(check_at(NOW, wrong), RPC_TOTP_WRONG, "a good one begins anew");
	cr_expect_eq(totp_check(&keyring, "alice", wire_span_of(code_at(NOW + 30)), NOW + 30, &wait_s),
	    RPC_TOTP_LOCKED);
	cr_expect_eq(wait_s, TOTP_LOCK_S - 30);
	cr_expect_eq(check_at(NOW + TOTP_LOCK_S - 1, code_at(NOW + TOTP_LOCK_S - 1)), RPC_TOTP_LOCKED);
	cr_expect_eq(check_at(NOW + TOTP_LOCK_S, code_at(NOW + TOTP_LOCK_S)), RPC_TOTP_GOOD);
	/* Few wrong ones over a long time lock nobody out. */
	for (uint64_t i = 1; i < 20; i++)
		cr_expect_eq(check_at(NOW + TOTP_LOCK_S + i * (TOTP_LOCK_S / 3), wrong), RPC_TOTP_WRONG, "%u",
		    (unsigned)i);
}

Test(totp, users)
{
	uint8_t other[TOTP_SECRET_SIZE];

	cr_expect_eq(totp_enrol(&keyring, "alice", other), -EEXIST);
	cr_expect_eq(totp_enrol(&keyring, "bob", other), 0);
	cr_expect_neq(memcmp(other, secret, sizeof(secret)), 0);
	uint32_t wait_s;
	cr_expect_eq(totp_check(&keyring, "bob", wire_span_of(code_at(NOW)), NOW, &wait_s), RPC_TOTP_WRONG);
	cr_expect_eq(totp_check(&keyring, "carol", wire_span_of(code_at(NOW)), NOW, &wait_s), RPC_TOTP_NONE);
	cr_expect_eq(totp_remove(&keyring, "alice"), 0);
	cr_expect_eq(totp_remove(&keyring, "alice"), -ENOENT);
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_NONE);
}

/* An O_PATH descriptor unlinks, and cannot be synced. */
Test(totp, what_is_unlinked_is_gone_synced_or_not)
{
	int unsynced = open(directory_path, O_PATH | O_DIRECTORY);

	cr_assert(dup2(unsynced, keyring.directory) >= 0);
	cr_expect_eq(totp_remove(&keyring, "alice"), 0);
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_NONE);
	cr_expect_eq(totp_enrol(&keyring, "alice", secret), 0);
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_GOOD);
	close(unsynced);
}

/* The one file of alice's. */
static void with_file(char path[256])
{
	glob_t found;
	char pattern[128];

	snprintf(pattern, sizeof(pattern), "%s/totp-*", directory_path);
	cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
	cr_assert_eq(found.gl_pathc, 1);
	snprintf(path, 256, "%s", found.gl_pathv[0]);
	globfree(&found);
}

Test(totp, files)
{
	uint8_t bytes[600];
	char path[256];

	with_file(path);
	FILE *file = fopen(path, "r+");
	size_t len = fread(bytes, 1, sizeof(bytes), file);
	cr_expect_null(memmem(bytes, len, secret, sizeof(secret)), "the secret lies there in clear");
	for (size_t i = 0; i < len; i++) {
		rewind(file);
		bytes[i] ^= 1;
		cr_assert_eq(fwrite(bytes, 1, len, file), len);
		fflush(file);
		cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_FAILED, "byte %zu changed", i);
		bytes[i] ^= 1;
	}
	cr_expect_neq(totp_enrol(&keyring, "alice", (uint8_t[TOTP_SECRET_SIZE]){0}), -ENOENT);
	for (size_t i = 0; i < len; i++) {
		cr_assert_eq(ftruncate(fileno(file), 0), 0);
		rewind(file);
		cr_assert_eq(fwrite(bytes, 1, i, file), i);
		fflush(file);
		cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_FAILED, "cut to %zu bytes", i);
	}
	fclose(file);
	/* One that cannot be written is not good: it would be good again. */
	cr_assert_eq(totp_remove(&keyring, "alice"), 0);
	cr_assert_eq(totp_enrol(&keyring, "alice", secret), 0);
	char blocked[300];
	with_file(path);
	snprintf(blocked, sizeof(blocked), "%s.new", path);
	cr_assert_eq(mkdir(blocked, 0700), 0);
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_FAILED);
	cr_assert_eq(rmdir(blocked), 0);
	cr_expect_eq(check_at(NOW, code_at(NOW)), RPC_TOTP_GOOD);
}
