/* SPDX-License-Identifier: Apache-2.0 */
/* Where the primes of RSA host keys lie: kept over restarts, bounded, and gone with their seed. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/keeper/host_hints.h"
#include "tests/unit/control/folder.h"

static char directory_path[FOLDER_PATH_SIZE];
static struct keyring keyring;
static struct host_hints *hints;
static const uint8_t seed_one[HOST_SEED_ID_SIZE] = {1}, seed_two[HOST_SEED_ID_SIZE] = {2};

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	rpc_log_set((enum rpc_log_level)0);
	folder_make(directory_path, "hints");
	cr_assert_eq(keyring_open(&keyring, open(directory_path, O_RDONLY | O_DIRECTORY)), 0);
	hints = host_hints_open(&keyring);
	cr_assert_not_null(hints);
}

static void teardown(void)
{
	host_hints_close(hints);
	close(keyring.directory);
	keyring_close(&keyring);
	folder_remove(directory_path);
}

TestSuite(host_hints, .init = setup, .fini = teardown, .timeout = 300);

static const uint8_t *name(unsigned number)
{
	static uint8_t bytes[HOST_KEY_NAME_SIZE];

	memset(bytes, 0, sizeof(bytes));
	snprintf((char *)bytes, sizeof(bytes), "key %u", number);
	return bytes;
}

static void put(unsigned number, const uint8_t seed[HOST_SEED_ID_SIZE])
{
	host_hints_put(hints, name(number), seed, &(struct host_hint){.p = 2 * number, .q = 4 * number});
}

static bool there(unsigned number)
{
	struct host_hint hint;

	if (!host_hints_find(hints, name(number), &hint))
		return false;
	cr_expect(hint.p == 2 * number && hint.q == 4 * number, "%u: got %u %u", number, hint.p, hint.q);
	return true;
}

static void reopen(void)
{
	host_hints_close(hints);
	hints = host_hints_open(&keyring);
	cr_assert_not_null(hints);
}

Test(host_hints, as_many_as_fit_and_the_one_unused_longest_goes)
{
	for (unsigned i = 0; i < HOST_HINTS_MAX; i++)
		put(i, seed_one);
	cr_expect(there(0));
	host_hints_save(hints);
	reopen(); /* who was used when is known after a restart */
	put(HOST_HINTS_MAX, seed_one);
	cr_expect(there(0) && there(2) && there(HOST_HINTS_MAX - 1) && there(HOST_HINTS_MAX));
	cr_expect_not(there(1));
	/* What is known is not put twice. */
	host_hints_save(hints);
	put(0, seed_one);
	cr_expect_eq(host_hints_unsaved(hints), 0);
}

Test(host_hints, go_with_their_seed)
{
	put(1, seed_one);
	put(2, seed_two);
	put(3, seed_one);
	host_hints_save(hints);
	host_hints_forget(hints, seed_one);
	cr_expect_eq(host_hints_unsaved(hints), 2);
	cr_expect(there(2) && !there(1) && !there(3));
	host_hints_save(hints);
	reopen();
	cr_expect(there(2) && !there(1) && !there(3));
}

/* Each byte and each length of the file: nothing of a damaged one is believed. */
Test(host_hints, damage_at_each_byte_is_seen)
{
	uint8_t bytes[400];
	struct stat st;

	put(1, seed_one);
	put(2, seed_one);
	host_hints_save(hints);
	int fd = openat(keyring.directory, "host-rsa.hints", O_RDWR);
	cr_assert(fd >= 0 && fstat(fd, &st) == 0 && st.st_size < (off_t)sizeof(bytes));
	cr_expect_eq(st.st_mode & 0777, 0600);
	ssize_t len = pread(fd, bytes, sizeof(bytes), 0);
	cr_expect_null(memmem(bytes, (size_t)len, "key 1", 5), "it lies there in clear");
	for (ssize_t i = 0; i < len; i++) {
		uint8_t other = bytes[i] ^ 1;
		cr_assert_eq(pwrite(fd, &other, 1, i), 1);
		reopen();
		cr_expect_not(there(1), "byte %zd", i);
		cr_assert_eq(pwrite(fd, &bytes[i], 1, i), 1);
	}
	reopen();
	cr_expect(there(1) && there(2));
	for (ssize_t cut = len - 1; cut >= 0; cut--) {
		cr_assert_eq(ftruncate(fd, cut), 0);
		reopen();
		cr_expect_not(there(1), "cut to %zd", cut);
	}
	close(fd);
	/* It is written again. */
	put(1, seed_one);
	host_hints_save(hints);
	reopen();
	cr_expect(there(1));
}
