/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key file: 8 bytes "reevekey", u8 version (1), u8 kind (enum keyring_kind), u64 creation time (unix
 * seconds), string seed (32 bytes), 32 bytes of BLAKE2b over all before it. All integers big-endian.
 *
 * The sum tells a torn or edited file from a good one; it is no protection against who may write here.
 */
#include "control/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEYFILE_MAGIC "reevekey"
#define KEYFILE_VERSION 1
#define KEYFILE_SUM 32
#define KEYFILE_SIZE (8 + 1 + 1 + 8 + 4 + KEEPER_SEED_SIZE + KEYFILE_SUM)

static int decode(
    const uint8_t *bytes, enum keyring_kind kind, uint8_t seed[KEEPER_SEED_SIZE], uint64_t *made_at)
{
	uint8_t sum[KEYFILE_SUM];
	struct wire in = wire_over(bytes, KEYFILE_SIZE);
	struct wire_span magic = wire_bytes(&in, 8);
	uint8_t version = wire_u8(&in);
	uint8_t stored_kind = wire_u8(&in);

	*made_at = wire_u64(&in);
	struct wire_span stored = wire_string(&in);
	struct wire_span stored_sum = wire_bytes(&in, KEYFILE_SUM);
	crypto_generichash(sum, sizeof(sum), bytes, KEYFILE_SIZE - KEYFILE_SUM, NULL, 0);
	if (!wire_done(&in) || !wire_span_is(magic, KEYFILE_MAGIC) || version != KEYFILE_VERSION ||
	    stored_kind != kind || stored.len != KEEPER_SEED_SIZE ||
	    sodium_memcmp(stored_sum.at, sum, sizeof(sum)) != 0)
		return -EBADMSG;
	memcpy(seed, stored.at, KEEPER_SEED_SIZE);
	return 0;
}

int keyfile_load(int directory, const char *name, uint8_t *bytes, size_t size, size_t *len)
{
	struct stat st;
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	int error = fstat(fd, &st) != 0 ? -errno : 0;
	if (error == 0 && !S_ISREG(st.st_mode))
		error = -EBADMSG;
	if (error == 0 && (st.st_mode & 077) != 0)
		error = -EPERM;
	if (error == 0) {
		ssize_t got = read(fd, bytes, size);
		error = got < 0 ? -errno : (size_t)got == size ? -EBADMSG : 0;
		*len = error == 0 ? (size_t)got : 0;
	}
	close(fd);
	return error;
}

int keyfile_read_dated(int directory, const char *name, enum keyring_kind kind,
    uint8_t seed[KEEPER_SEED_SIZE], uint64_t *made_at)
{
	uint8_t bytes[KEYFILE_SIZE + 1];
	size_t len = 0;
	int error = keyfile_load(directory, name, bytes, sizeof(bytes), &len);

	if (error == 0)
		error = len != KEYFILE_SIZE ? -EBADMSG : decode(bytes, kind, seed, made_at);
	sodium_memzero(bytes, sizeof(bytes));
	return error;
}

int keyfile_read(int directory, const char *name, enum keyring_kind kind, uint8_t seed[KEEPER_SEED_SIZE])
{
	uint64_t made_at;

	return keyfile_read_dated(directory, name, kind, seed, &made_at);
}

static void encode(uint8_t bytes[KEYFILE_SIZE], enum keyring_kind kind, const uint8_t seed[KEEPER_SEED_SIZE],
    uint64_t made_at)
{
	struct wire_out out = wire_into(bytes, KEYFILE_SIZE);
	uint8_t sum[KEYFILE_SUM];

	wire_put_bytes(&out, KEYFILE_MAGIC, 8);
	wire_put_u8(&out, KEYFILE_VERSION);
	wire_put_u8(&out, (uint8_t)kind);
	wire_put_u64(&out, made_at);
	wire_put_string(&out, seed, KEEPER_SEED_SIZE);
	crypto_generichash(sum, sizeof(sum), bytes, wire_written(&out), NULL, 0);
	wire_put_bytes(&out, sum, sizeof(sum));
}

static int write_synced(int fd, const uint8_t *bytes, size_t len)
{
	ssize_t written = write(fd, bytes, len);

	if (written != (ssize_t)len)
		return written < 0 ? -errno : -ENOSPC;
	return fsync(fd) != 0 ? -errno : 0;
}

void keyfile_sync(int directory)
{
	if (fsync(directory) != 0)
		rpc_log(RPC_LOG_ERROR,
		    "keeper/ could not be synced (%s): after a power failure its files may be those of "
		    "before "
		    "this step; see to the disk",
		    strerror(errno));
}

/* Writes `name`.new whole and renames it to `name`; `flags` are renameat2's. */
static int put(int directory, const char *name, const uint8_t *bytes, size_t len, unsigned flags)
{
	char temporary[64];

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	/* One that an earlier, killed keeper left half-written was never in use. */
	(void)unlinkat(directory, temporary, 0);
	int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int error = write_synced(fd, bytes, len);
	close(fd);
	if (error == 0 && renameat2(directory, temporary, directory, name, flags) != 0)
		error = -errno;
	if (error == 0)
		keyfile_sync(directory);
	else
		(void)unlinkat(directory, temporary, 0);
	return error;
}

int keyfile_replace(int directory, const char *name, const uint8_t *bytes, size_t len)
{
	return put(directory, name, bytes, len, 0);
}

static int put_seed(int directory, const char *name, enum keyring_kind kind,
    const uint8_t seed[KEEPER_SEED_SIZE], uint64_t made_at, unsigned flags)
{
	uint8_t bytes[KEYFILE_SIZE];

	encode(bytes, kind, seed, made_at);
	int error = put(directory, name, bytes, sizeof(bytes), flags);
	sodium_memzero(bytes, sizeof(bytes));
	return error;
}

int keyfile_write(
    int directory, const char *name, enum keyring_kind kind, const uint8_t seed[KEEPER_SEED_SIZE])
{
	/* The new name must not replace a key, even one that came into being meanwhile. */
	return put_seed(directory, name, kind, seed, (uint64_t)time(NULL), RENAME_NOREPLACE);
}

int keyfile_rewrite_dated(int directory, const char *name, enum keyring_kind kind,
    const uint8_t seed[KEEPER_SEED_SIZE], uint64_t made_at)
{
	return put_seed(directory, name, kind, seed, made_at, 0);
}

int keyfile_rewrite(
    int directory, const char *name, enum keyring_kind kind, const uint8_t seed[KEEPER_SEED_SIZE])
{
	return keyfile_rewrite_dated(directory, name, kind, seed, (uint64_t)time(NULL));
}
