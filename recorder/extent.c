/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/extent.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/format/format.h"

#define LENGTH_SIZE 4

/* The u32be at `at`; 0 where the file ends before it (no header and no block has that length). */
static uint32_t length_at(int fd, uint64_t at)
{
	uint8_t bytes[LENGTH_SIZE];

	if (pread(fd, bytes, sizeof(bytes), (off_t)at) != (ssize_t)sizeof(bytes))
		return 0;
	struct wire in = wire_over(bytes, sizeof(bytes));
	return wire_u32(&in);
}

int extent_measure(int fd, struct extent *extent)
{
	struct stat st;

	*extent = (struct extent){0};
	if (fstat(fd, &st) != 0)
		return -errno;
	uint64_t end = (uint64_t)st.st_size;
	if (end < FORMAT_HEADER_SIZE || length_at(fd, 0) != FORMAT_HEADER_SIZE - LENGTH_SIZE)
		return -EBADMSG;
	extent->size = FORMAT_HEADER_SIZE;
	while (extent->size < end) {
		uint32_t len = length_at(fd, extent->size);
		if (len <= FORMAT_TAG_SIZE || len > FORMAT_BLOCK_MAX + FORMAT_TAG_SIZE ||
		    LENGTH_SIZE + (uint64_t)len > end - extent->size)
			break;
		extent->size += LENGTH_SIZE + (uint64_t)len;
		extent->blocks++;
	}
	return 0;
}

int extent_cut(int fd, struct extent *extent, uint64_t *cut)
{
	struct stat st;
	int error = extent_measure(fd, extent);

	*cut = 0;
	if (error != 0)
		return error;
	if (fstat(fd, &st) != 0)
		return -errno;
	if ((uint64_t)st.st_size == extent->size)
		return 0;
	*cut = (uint64_t)st.st_size - extent->size;
	return ftruncate(fd, (off_t)extent->size) == 0 ? 0 : -errno;
}
